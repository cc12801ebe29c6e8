package recipe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// Lists show all pages, and one prescription whose key is refused does not fail the others.
func TestLists(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.sb.SetRecipe(sandbox.RecipeBehaviour{PageSize: 2})
		made := map[string]bool{}
		for _, ref := range []string{"a", "b", "c", "d", "e"} {
			made[s.mustCreate(ref).RID.Reveal()] = true
		}
		n := 0
		for rid, err := range s.p.OpenRIDs(t.Context(), s.patient.SSIN) {
			ok(t, err)
			if n++; !made[rid.Reveal()] {
				t.Error("not ours")
			}
		}
		for r, err := range s.p.History(t.Context(), s.patient.SSIN, true) {
			ok(t, err)
			if n++; r.PrescriptionStatus != protocol.NotDelivered {
				t.Errorf("state %s", r.PrescriptionStatus)
			}
		}
		if n != 10 {
			t.Errorf("%d of 2 x 5", n)
		}
		s.sb.SetRecipe(sandbox.RecipeBehaviour{})
		n = 0
		for l, err := range s.p.List(t.Context(), recipe.ListQuery{Patient: s.patient.SSIN, Own: true, Newest: true}) {
			ok(t, err)
			ok(t, l.Err)
			if n++; l.Message == nil || !made[l.RID.Reveal()] {
				t.Error("without content")
			}
		}
		if n != 5 {
			t.Errorf("%d listed", n)
		}
	})
	t.Run("refused key", func(t *testing.T) {
		inSandbox(t, func(t *testing.T, s *surgery) {
			// Only pharmacies may read this one: the prescriber himself gets no key.
			blind := newSurgery(t, s.sb, 0, recipe.WithReaders(recipe.ReaderPharmacy()))
			blind.mustCreate("blind")
			s.mustCreate("seen")
			opened, refused := 0, 0
			for l, err := range s.p.List(t.Context(), recipe.ListQuery{Patient: s.patient.SSIN}) {
				ok(t, err)
				switch {
				case l.Message != nil:
					opened++
				case errors.Is(l.Err, fault.ErrDenied):
					refused++
				default:
					t.Errorf("error %v", l.Err)
				}
			}
			if opened != 1 || refused != 1 {
				t.Errorf("%d opened, %d refused", opened, refused)
			}
		})
	})
}

// What may be repeated is queued while Recip-e is down, and done once it is back, in order.
func TestQueued(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		rid := s.mustCreate("one").RID
		cancel := s.inject("recipe-presc 0 to_end refuse\nrecipe-direct 0 to_end refuse")
		locked := protocol.VisionLocked
		number, err := identity.ParseNIHII(s.sb.Organisation(identity.Pharmacy, 0).Number)
		ok(t, err)
		for name, f := range map[string]func() error{
			"flag":   func() error { return s.p.QueueFeedbackFlag(t.Context(), rid, true) },
			"vision": func() error { return s.p.QueueVision(t.Context(), rid, recipe.Visibility{Vision: &locked}) },
			"note": func() error {
				return s.p.QueueNotification(t.Context(), "note", recipe.OutgoingNotification{Pharmacy: number, Patient: s.patient.SSIN, Text: identity.Hide("hello")})
			},
		} {
			err := f()
			if e, whole := errors.AsType[*fault.Error](err); !whole || !errors.Is(err, outbox.ErrQueued) || e.Outcome != fault.NotSent {
				t.Errorf("%s: %v", name, err)
			}
		}
		cancel()
		s.work()
		for {
			time.Sleep(10 * time.Second)
			stats, err := s.box.Stats(t.Context())
			ok(t, err)
			if stats.Open() == 0 {
				break
			}
		}
		p, _ := s.sb.Prescription(rid.Reveal())
		if !p.FeedbackAllowed || p.Vision != "locked" || len(s.sb.RecipeNotes()) != 1 {
			t.Errorf("flag %v, vision %q, %d notes", p.FeedbackAllowed, p.Vision, len(s.sb.RecipeNotes()))
		}
		ok(t, s.p.QueueRevoke(t.Context(), rid, identity.Hide("mistake")))
		ok(t, s.p.QueueRevoke(t.Context(), rid, identity.Hide("mistake")))
		st, err := s.p.Status(t.Context(), rid)
		ok(t, err)
		if st.State != protocol.Revoked {
			t.Errorf("state %s", st.State)
		}
	})
}

// A lost answer to a write that may be repeated is no failure, and its effect is there once.
func TestLostWrites(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		rid := s.mustCreate("one").RID
		s.inject("recipe-presc 0 to_end lost_ack p=1;max=1")
		ok(t, s.p.Revoke(t.Context(), rid, identity.Hide("mistake")))
		if n := s.sb.State().Effects["recipe.revoked"]; n != 1 {
			t.Errorf("revoked %d times", n)
		}
		s.deliver(s.mustCreate("two").RID.Reveal())
		second := s.sb.Prescriptions()[1].RID
		r, err := identity.ParseRID(second)
		ok(t, err)
		err = s.p.Revoke(t.Context(), r, identity.Hide("mistake"))
		state, is := errors.AsType[*recipe.StateError](err)
		if !is || state.State != protocol.Delivered || state.Own || !errors.As(err, new(*recipe.RefusedError)) || !errors.Is(err, fault.ErrConflict) {
			t.Errorf("error %v", err)
		}
	})
}

// Feedback of a pharmacy is opened by the prescriber it is for.
func TestFeedbacks(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		r := s.request("one")
		r.Feedback = true
		c, err := s.p.Create(t.Context(), r)
		ok(t, err)
		x := s.pharmacy()
		_, err = x.Reserve(t.Context(), []identity.RID{c.RID})
		ok(t, err)
		ok(t, x.Feedback(t.Context(), recipe.Feedback{RID: c.RID, Prescriber: s.person.NIHII, Text: identity.Hide("delivered with advice")}))
		ok(t, s.p.SetFeedback(t.Context(), c.RID, false))
		for _, read := range []bool{false, true} {
			all, err := s.p.Feedbacks(t.Context(), read)
			ok(t, err)
			for _, f := range all {
				ok(t, f.Err)
				if f.Text.Reveal() != "delivered with advice" || f.RID != c.RID || f.Report == nil {
					t.Error("another feedback")
				}
				return
			}
		}
		t.Error("no feedback")
	})
}

// shelf is a PropertiesStore in memory.
type shelf struct{ b []byte }

func (k *shelf) Load(context.Context) ([]byte, error) { return k.b, nil }

func (k *shelf) Save(_ context.Context, b []byte) error { k.b = b; return nil }

// Newer rules are used and kept; the last good ones stay when the platform does not answer or sends what cannot be read.
func TestValidationProperties(t *testing.T) {
	store := &shelf{}
	inSandbox(t, func(t *testing.T, s *surgery) {
		got, err := s.p.ValidationProperties(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.New != (s.p.RulesVersion() != "") || got.Version == "" {
			t.Errorf("version %q, in use %q", got.Version, s.p.RulesVersion())
		}
		s.mustCreate("under the rules of the platform")
		if got.New {
			s.reopen()
			ok(t, s.p.LoadRules(t.Context()))
			if s.p.RulesVersion() != got.Version {
				t.Errorf("kept %q", s.p.RulesVersion())
			}
		}
		version := s.p.RulesVersion()
		s.inject("recipe-presc 0 to_end hang\nrecipe-direct 0 to_end hang")
		if _, err := s.p.ValidationProperties(t.Context()); err == nil || s.p.RulesVersion() != version {
			t.Error("rules lost in an outage")
		}
	}, recipe.WithProperties(store))
	store.b = []byte("{")
	inSandbox(t, func(t *testing.T, s *surgery) {
		if s.p.LoadRules(t.Context()) == nil {
			t.Error("damaged rules were loaded")
		}
		s.mustCreate("under our own rules")
	}, recipe.WithProperties(store))
}

// INC-2026-02-04-ETK: Recip-e moves to another identity and back while prescribing goes on.
func TestTokenMoves(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.mustCreate("before")
		time.Sleep(2 * time.Minute)
		cancel := s.inject("etk 0 7200 key_rotate old=0823257311;new=0206653946;lag_s=0")
		time.Sleep(time.Minute)
		c := s.mustCreate("moved")
		if _, err := s.p.Get(t.Context(), c.RID); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour)
		cancel()
		s.mustCreate("back")
		if n := s.sb.State().Effects["recipe.created"]; n != 3 || s.made() != 3 {
			t.Errorf("%d executed", n)
		}
	}, recipe.WithRecipients(etee.RecipeIdentifier, etee.RecipeNewIdentifier))
}

// Nothing of a patient, a prescription or a medicine is in what a program prints.
func TestPrintsNothing(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		c := s.mustCreate("one")
		got, err := s.p.Get(t.Context(), c.RID)
		ok(t, err)
		secrets := []string{s.patient.SSIN.Reveal(), s.patient.LastName, "Sampelium", c.RID.Reveal(), s.person.SSIN.Reveal()}
		cancel := s.inject("recipe-presc 0 to_end hang exec=1\nrecipe-direct 0 to_end hang exec=1")
		_, lost := s.create("two")
		cancel()
		_, refused := s.p.Get(t.Context(), identity.MustRID("BEP0ABCDEFGH"))
		_, paper := s.p.Paper(t.Context(), "one")
		bad := s.request("bad")
		bad.Prescription.Items = nil
		var listed *recipe.Listed
		for l, err := range s.p.List(t.Context(), recipe.ListQuery{Patient: s.patient.SSIN}) {
			ok(t, err)
			listed = l
		}
		_, invalid := s.p.Create(t.Context(), bad)
		permit, err := s.p.Paper(t.Context(), "three")
		ok(t, err)
		for what, v := range map[string]any{
			"created": c, "prescription": got, "request": s.request("x"), "unsure": lost, "refused": refused, "paper": paper, "invalid": invalid,
			"permit": permit, "listed": listed, "feedback": recipe.ReceivedFeedback{Text: identity.Hide("Sampelium")}, "link": s.link, "event": recipe.Event{RID: c.RID}, "outcome": recipe.Outcome{RID: c.RID},
		} {
			for _, text := range printed(v) {
				for _, secret := range secrets {
					if strings.Contains(text, secret) {
						t.Errorf("%s prints something personal", what)
					}
				}
			}
		}
	})
}

// printed is a value in all the ways in which programs print.
func printed(v any) []string {
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	out := []string{fmt.Sprintf("%v", v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), fmt.Sprintf("%s", v), fmt.Sprintf("%x", v), log.String()}
	if b, err := json.Marshal(v); err == nil {
		out = append(out, string(b))
	}
	if err, is := v.(error); is {
		out = append(out, err.Error())
	}
	return out
}
