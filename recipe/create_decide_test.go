package recipe_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// park loses answers and lets Recip-e be down for so long that it is not asked any more. It goes on being down until heal. The numbers
// are those of what was made.
func (s *surgery) park(references ...string) (rids map[string]identity.RID, heal func()) {
	s.t.Helper()
	rids = map[string]identity.RID{}
	s.sb.SetRecipe(sandbox.RecipeBehaviour{ListLag: 20 * time.Minute}) // so that it is not found at once
	cancel := s.inject(both("missing op=createPrescription"))
	for _, r := range references {
		_, err := s.create(r)
		s.wantUnsure(r, err)
		all := s.sb.Prescriptions()
		rids[r], err = identity.ParseRID(all[len(all)-1].RID)
		ok(s.t, err)
		if _, err := s.p.Decide(s.t.Context(), r, recipe.Decision{Created: true, RID: rids[r]}); !errors.Is(err, recipe.ErrNotYet) {
			s.t.Errorf("decided too early: %v", err)
		}
	}
	cancel()
	heal = s.inject(refusing)
	time.Sleep(outbox.DefaultGiveUp + time.Hour)
	s.work()
	time.Sleep(time.Minute)
	for _, r := range references {
		s.state(r, recipe.OutcomeUnsure)
	}
	return rids, heal
}

// decides records a decision that counts, with a number or without, or is refused.
func (s *surgery) decides(reference string, d recipe.Decision, refused error, rid identity.RID) {
	s.t.Helper()
	out, err := s.p.Decide(s.t.Context(), reference, d)
	if refused != nil {
		if f, typed := errors.AsType[*fault.Error](err); !typed || f.Kind != fault.Conflict || !errors.Is(err, refused) {
			s.t.Errorf("%s: error %v", reference, err)
		}
		return
	}
	ok(s.t, err)
	if rid.IsZero() != (out.Notice == recipe.NoticeUnsure) || out.State != recipe.OutcomeCreated || out.RID != rid {
		s.t.Errorf("%s: %s, number known %t, notice %q", reference, out.State, !out.RID.IsZero(), out.Notice)
	}
}

// A person decides: that there is none; that there is one, whose number is found by its key when Recip-e answers, confirmed, or
// refused when it is another one's; and its number afterwards.
func TestDecide(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		ctx, none := t.Context(), identity.RID{}
		rids, heal := s.park("not", "given", "sought", "before")

		out, err := s.p.Decide(ctx, "not", recipe.Decision{})
		ok(t, err)
		if out.State != recipe.OutcomeNotCreated || out.Notice != recipe.NoticePaper {
			t.Errorf("%s, notice %q", out.State, out.Notice)
		}
		_, err = s.p.Paper(ctx, "not")
		ok(t, err)

		s.decides("sought", recipe.Decision{Created: true}, nil, none)
		ok(t, s.p.PaperGiven(ctx, "sought"))
		time.Sleep(time.Minute) // it is told that nobody knows which one is to be revoked
		ok(t, s.box.Decide(ctx, s.box.ID(recipe.KindCreate, "before/1"), true))
		s.decides("before", recipe.Decision{Created: true}, nil, none)
		heal()
		s.toldOf("sought", rids["sought"])

		s.decides("given", recipe.Decision{Created: true, RID: rids["before"]}, recipe.ErrNumber, none)
		s.state("given", recipe.OutcomeUnsure)
		s.decides("given", recipe.Decision{Created: true, RID: rids["given"]}, nil, rids["given"])
		s.decides("given", recipe.Decision{Created: true}, nil, rids["given"])
		s.numberCounts("given", rids["given"])

		later := s.mustCreate("later").RID
		s.decides("before", recipe.Decision{Created: true, RID: later}, recipe.ErrNumber, none)
		s.decides("before", recipe.Decision{Created: true, RID: rids["before"]}, nil, rids["before"])
		if _, err := s.p.Decide(ctx, "never", recipe.Decision{Created: true}); !errors.Is(err, recipe.ErrReference) {
			t.Errorf("error %v", err)
		}
	})
}

// toldOf wants that a prescription beside paper is revoked once its number is known, and that this is told.
func (s *surgery) toldOf(reference string, rid identity.RID) {
	s.t.Helper()
	want := map[recipe.EventKind]bool{recipe.EventNotRevoked: true, recipe.EventSurplus: true, recipe.EventSettled: true, recipe.EventRevoked: true}
	for len(want) > 0 {
		e := <-s.events
		switch {
		case e.Reference != reference, e.Kind == recipe.EventSettled && e.RID.IsZero():
			continue
		case e.RID != rid && e.Kind != recipe.EventNotRevoked:
			s.t.Errorf("%s tells of another one", e.Kind)
		}
		delete(want, e.Kind)
	}
	if p, _ := s.sb.Prescription(rid.Reveal()); p.Status != sandbox.Revoked {
		s.t.Errorf("%s beside paper", p.Status)
	}
	if out := s.state(reference, recipe.OutcomePaper); out.RID != rid {
		s.t.Error("its number is not known")
	}
}

// numberCounts wants everything else to go by a number that a person gave.
func (s *surgery) numberCounts(reference string, rid identity.RID) {
	s.t.Helper()
	ctx := s.t.Context()
	var c *recipe.CreatedError
	if _, err := s.p.Decide(ctx, reference, recipe.Decision{}); !errors.As(err, &c) || c.RID != rid {
		s.t.Errorf("taken back: %v", err)
	}
	if made := s.mustCreate(reference); made.RID != rid || !made.Before || made.Notice == recipe.NoticeUnsure {
		s.t.Error("the same reference is another prescription")
	}
	if _, err := s.p.Paper(ctx, reference); !errors.As(err, &c) || c.RID != rid {
		s.t.Errorf("paper: %v", err)
	}
	ok(s.t, s.p.PaperGiven(ctx, reference))
	time.Sleep(time.Minute)
	if p, _ := s.sb.Prescription(rid.Reveal()); p.Status != sandbox.Revoked {
		s.t.Errorf("%s beside paper", p.Status)
	}
}
