package recipe_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

var bothNumbers = recipe.WithRecipients(etee.RecipeIdentifier, etee.RecipeNewIdentifier)

// INC-2026-02-04-ETK: the depot has a token of Recip-e under another number only, whose key Recip-e uses a day later. What it
// could open last is used until then, also when it was forgotten by the depot's own measure; then the new one; and the former
// one again when it comes back.
func TestTokenAheadOfItsKey(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		c := newChemist(t, s.sb, 0, bothNumbers)
		n := 0
		step := func(when string) {
			t.Helper()
			n++
			began := time.Now()
			made, err := s.create(when)
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			if _, err := c.d.Dispense(t.Context(), recipe.Dispensing{RID: made.RID, Archive: recipe.ArchiveNow}); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			at(t, s.sb, made.RID, sandbox.Archived, 1)
			if took := time.Since(began); took > time.Second || s.made() != n {
				t.Errorf("%s: took %s, %d made", when, took, s.made())
			}
		}
		step("before")
		back := s.inject("etk 0 to_end key_rotate old=0823257311;new=0206653946;lag_s=86400")
		step("kept")
		time.Sleep(9 * time.Hour)
		step("the depot has another one only")
		before := s.sb.State().Requests["recipe-presc"]
		step("known by now")
		if got := s.sb.State().Requests["recipe-presc"] - before; got != 1 {
			t.Errorf("%d requests", got)
		}
		time.Sleep(9 * time.Hour)
		step("still")
		time.Sleep(9 * time.Hour)
		step("its key is in use")
		back()
		time.Sleep(etee.DefaultMissTTL)
		step("back")
		time.Sleep(9 * time.Hour)
		step("for good")
	}, bothNumbers)
}

// A process that starts while the depot has wrong tokens of Recip-e under the first numbers of its list tries the next one, within
// the call, and then knows; also for its first prescription.
func TestWrongTokensFirst(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		for n, want := range []int{3, 1, 1} {
			before := s.sb.State().Requests["recipe-presc"]
			if made, err := s.create(string(rune('a' + n))); err != nil || made.RID.IsZero() || made.Notice != "" {
				t.Fatal(err)
			}
			if got := s.sb.State().Requests["recipe-presc"] - before; got != want {
				t.Errorf("%d requests, want %d", got, want)
			}
		}
		if s.made() != 3 {
			t.Errorf("%d made", s.made())
		}
	}, recipe.WithRecipients(etee.MyCareNetIdentifier, etee.KGSSIdentifier, etee.RecipeIdentifier))
}

// One that starts while the depot has a token only whose key Recip-e does not use yet cannot prescribe. That is certain, so that
// there is paper at once, and it is over when the key is in use, without a restart.
func TestOnlyWrongToken(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.inject("etk 0 to_end key_rotate old=0823257311;new=0206653946;lag_s=86400")
		began := time.Now()
		_, err := s.create("early")
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %s", took)
		}
		s.wantNotCreated("early", err)
		time.Sleep(24 * time.Hour)
		s.mustCreate("later")
	}, bothNumbers)
}

// shelves is a TokenStore.
type shelves map[string][]byte

func (s shelves) Load(_ context.Context, key string) ([]byte, error) { return s[key], nil }

func (s shelves) Save(_ context.Context, key string, record []byte) error {
	s[key] = record
	return nil
}

// One that had the right token before, in an earlier process, uses it as long as Recip-e does, however often it starts.
func TestRestartAheadOfKey(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		store := shelves{}
		step := func(when string) {
			t.Helper()
			var err error
			s.link.Depot, err = etee.NewDepot(s.link.Exchange, etee.DepotConfig{Trust: etee.Trust{Roots: s.sb.Roots()}, Store: store})
			ok(t, err)
			s.reopen()
			made := s.made()
			if _, err := s.create(when); err != nil || s.made() != made+1 {
				t.Fatalf("%s: %v", when, err)
			}
			time.Sleep(9 * time.Hour)
		}
		step("before")
		back := s.inject("etk 0 to_end key_rotate old=0823257311;new=0206653946;lag_s=86400")
		step("the depot has another one only")
		s.options = append(s.options, recipe.WithRecipients(etee.RecipeIdentifier))
		step("the depot has none under the one number that is configured")
		s.options = append(s.options, bothNumbers)
		time.Sleep(9 * time.Hour)
		step("its key is in use")
		back()
		step("back")
	}, bothNumbers)
}

// A question that Recip-e cannot read says nothing about a prescription: it is dispensed on the proof, kept, and confirmed once
// when it can.
func TestUnreadQuestion(t *testing.T) {
	for _, how := range []string{"outer code=urn:be:fgov:ehealth:2.0:status:Requester", "fault code=SOA-03007"} {
		inSandbox(t, func(t *testing.T, s *surgery) {
			c := newChemist(t, s.sb, 0)
			made := s.mustCreate("one")
			heal := s.inject("recipe-exec 0 to_end " + how + "\nrecipe-direct 0 to_end " + how)
			_, err := c.x.Get(t.Context(), made.RID)
			if f, is := errors.AsType[*fault.Error](err); !is || f.Notice != recipe.NoticeProof {
				t.Errorf("%s: get: %v", how, err)
			}
			for range 2 {
				got, err := c.d.Dispense(t.Context(), recipe.Dispensing{RID: made.RID, ForceMajeure: true, Archive: recipe.ArchiveNow})
				if !errors.Is(err, outbox.ErrQueued) || got == nil || got.State != recipe.DispensedQueued {
					t.Fatalf("%s: not kept: %v", how, err)
				}
				if len(got.Notices) != 2 || got.Notices[0].ID() != notice.IDRxProof || got.Notices[1].ID() != notice.IDRxLater {
					t.Errorf("%s: notices %v", how, got.Notices)
				}
			}
			c.work()
			time.Sleep(10 * time.Hour)
			at(t, s.sb, made.RID, sandbox.NotDelivered, 0)
			heal()
			time.Sleep(5 * time.Hour)
			at(t, s.sb, made.RID, sandbox.Archived, 1)
			if n := len(c.reports()); n != 0 {
				t.Errorf("%s: %d reports", how, n)
			}
		})
	}
}
