package recipe_test

import (
	"context"
	"errors"
	"fmt"
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

// shelves is a TokenStore.
type shelves map[string][]byte

func (s shelves) Load(_ context.Context, key string) ([]byte, error) { return s[key], nil }

func (s shelves) Save(_ context.Context, key string, record []byte) error {
	s[key] = record
	return nil
}

// What a process makes of the tokens of Recip-e that it finds when it starts.
func TestTokensAtStart(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		n := 0
		// start begins a process with what is on disk; a prescription takes so many requests, 0 = there can be none.
		start := func(when string, disk shelves, requests int, candidates ...etee.Identifier) {
			t.Helper()
			var err error
			conf := etee.DepotConfig{Trust: etee.Trust{Roots: s.sb.Roots()}}
			if disk != nil {
				conf.Store = disk
			}
			s.link.Depot, err = etee.NewDepot(s.link.Exchange, conf)
			ok(t, err)
			s.options = append(s.options, recipe.WithRecipients(candidates...))
			s.reopen()
			for range 2 {
				n++
				asked, made, began := s.sb.State().Requests["recipe-presc"], s.made(), time.Now()
				_, err := s.create(fmt.Sprint(n))
				asked = s.sb.State().Requests["recipe-presc"] - asked
				switch {
				case requests == 0 && !errors.As(err, new(*recipe.NotCreatedError)), requests > 0 && (err != nil || asked != requests), s.made()-made != min(requests, 1):
					t.Errorf("%s: %d requests: %v", when, asked, err)
				case time.Since(began) > time.Second:
					t.Errorf("%s: took %s", when, time.Since(began))
				}
				requests = min(requests, 1) // from now on it is known which token is right
			}
			time.Sleep(9 * time.Hour)
		}
		disk, old, next := shelves{}, etee.RecipeIdentifier, etee.RecipeNewIdentifier
		start("before", disk, 1, old, next)
		back := s.inject("etk 0 to_end key_rotate old=0823257311;new=0206653946;lag_s=86400")
		start("the depot has another one only, and there is an earlier one", disk, 2, old, next)
		start("none under the only number", disk, 1, old)
		start("another one only, and nothing earlier", nil, 0, old, next)
		start("its key is in use", disk, 1, old, next)
		back()
		start("back", disk, 1, old, next)
		start("wrong ones under the first numbers", nil, 3, etee.MyCareNetIdentifier, etee.KGSSIdentifier, old)
	})
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
