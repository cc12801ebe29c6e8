package recipe_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

// twiceTexts is D-RX-TWICE without a day, which Recip-e does not say.
var twiceTexts = map[notice.Lang]string{
	notice.EN: "Attention: prescription %s was already dispensed elsewhere.",
	notice.FR: "Attention : la prescription %s a déjà été délivrée ailleurs.",
	notice.NL: "Opgelet: voorschrift %s werd al elders afgeleverd.",
	notice.DE: "Achtung: Verschreibung %s wurde bereits anderswo abgegeben.",
}

// Whoever hears that a prescription was delivered elsewhere can show the text of the notice, in all languages, from the error
// alone; and the error prints nothing of the prescription.
func TestNoticeOfTwice(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		c, other := newChemist(t, s.sb, 0), newChemist(t, s.sb, 1)
		rids := s.several(2)
		for _, rid := range rids {
			_, err := other.x.Get(t.Context(), rid)
			ok(t, err)
			ok(t, other.x.Deliver(t.Context(), rid))
		}
		rid := rids[0]
		_, got := c.x.Get(t.Context(), rid)
		told, dispensed := c.d.Dispense(t.Context(), recipe.Dispensing{RID: rid, Archive: recipe.ArchiveNow})
		_, marked := c.d.Archive(t.Context(), rids[1])
		for name, x := range map[string]struct {
			err error
			rid identity.RID
		}{
			"get": {got, rid}, "deliver": {c.x.Deliver(t.Context(), rid), rid}, "archive": {c.x.Archive(t.Context(), rid), rid},
			"undeliver": {c.x.Undeliver(t.Context(), rid), rid}, "dispense": {dispensed, rid}, "queued mark": {marked, rids[1]},
			"revoke": {c.x.Revoke(t.Context(), rid, identity.Hide("mistake")), rid}, "prescriber's revoke": {s.p.Revoke(t.Context(), rid, identity.Hide("mistake")), rid},
		} {
			n, is := notice.FromError(x.err, notice.RecipE)
			if !is || n.ID() != notice.IDRxTwice {
				t.Errorf("%s: notice %q: %v", name, n.ID(), x.err)
				continue
			}
			for lang, text := range twiceTexts {
				if want := fmt.Sprintf(text, x.rid.Reveal()); n.Text(lang) != want {
					t.Errorf("%s: %q, want %q", name, n.Text(lang), want)
				}
			}
			e, _ := errors.AsType[*fault.Error](x.err)
			state, is := errors.AsType[*recipe.StateError](x.err)
			if !is || !state.Twice || !errors.Is(x.err, fault.ErrConflict) || !strings.Contains(x.err.Error(), "the prescription is Delivered already") {
				t.Errorf("%s: %v", name, x.err)
			}
			silent(t, s, rids, x.err, e, e.Err, *e)
		}
		if len(told.Notices) != 1 || told.Notices[0] != notice.PrescriptionTwice(rid.Reveal(), time.Time{}) {
			t.Errorf("notices %v", told.Notices)
		}
	})
}
