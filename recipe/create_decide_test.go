package recipe_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// park loses an answer and lets Recip-e be down for so long that it is not asked any more. It goes on being down until heal. The
// number is that of what was made.
func (s *surgery) park(reference string) (rid identity.RID, heal func()) {
	s.t.Helper()
	s.lose(reference)
	all := s.sb.Prescriptions()
	rid, err := identity.ParseRID(all[len(all)-1].RID)
	ok(s.t, err)
	if _, err := s.p.Decide(s.t.Context(), reference, recipe.Decision{Created: true, RID: rid}); !errors.Is(err, recipe.ErrNotYet) {
		s.t.Errorf("decided too early: %v", err)
	}
	heal = s.inject(refusing)
	time.Sleep(outbox.DefaultGiveUp + time.Hour)
	s.work()
	time.Sleep(time.Minute)
	s.state(reference, recipe.OutcomeUnsure)
	return rid, heal
}

// decides records a decision and wants it to be refused, or to count with a number.
func (s *surgery) decides(reference string, d recipe.Decision, refused error, rid identity.RID) {
	s.t.Helper()
	out, err := s.p.Decide(s.t.Context(), reference, d)
	if refused != nil {
		if f, typed := errors.AsType[*fault.Error](err); !typed || f.Kind != fault.Conflict || !errors.Is(err, refused) {
			s.t.Errorf("error %v", err)
		}
		return
	}
	ok(s.t, err)
	if rid.IsZero() != (out.Notice == recipe.NoticeUnsure) || out.State != recipe.OutcomeCreated || out.RID != rid {
		s.t.Errorf("%s, number known %t, notice %q", out.State, !out.RID.IsZero(), out.Notice)
	}
}

// The number that a person has is that of the prescription, or it does not count.
func TestDecideWithNumber(t *testing.T) {
	for _, gen := range []protocol.Generation{protocol.Gen2023, protocol.Gen2021} {
		inSandbox(t, func(t *testing.T, s *surgery) {
			other := s.mustCreate("other").RID
			rid, heal := s.park("lost")
			heal()
			s.decides("lost", recipe.Decision{Created: true, RID: other}, recipe.ErrNumber, rid)
			s.state("lost", recipe.OutcomeUnsure)
			s.decides("lost", recipe.Decision{Created: true, RID: rid}, nil, rid)
			s.decides("lost", recipe.Decision{Created: true}, nil, rid)
			var c *recipe.CreatedError
			if _, err := s.p.Decide(t.Context(), "lost", recipe.Decision{}); !errors.As(err, &c) || c.RID != rid {
				t.Errorf("taken back: %v", err)
			}
			if made := s.mustCreate("lost"); made.RID != rid || !made.Before || made.Notice == recipe.NoticeUnsure {
				t.Error("the same reference is another prescription")
			}
			if _, err := s.p.Paper(t.Context(), "lost"); !errors.As(err, &c) || c.RID != rid {
				t.Errorf("paper: %v", err)
			}
			ok(t, s.p.PaperGiven(t.Context(), "lost"))
			time.Sleep(time.Minute)
			if p, _ := s.sb.Prescription(rid.Reveal()); p.Status != sandbox.Revoked {
				t.Errorf("%s beside paper", p.Status)
			}
			if _, err := s.p.Decide(t.Context(), "never", recipe.Decision{Created: true}); !errors.Is(err, recipe.ErrReference) {
				t.Errorf("error %v", err)
			}
		}, recipe.WithGeneration(gen))
	}
}

// Without a number, it is found by its key when Recip-e answers; what paper took the place of by then is revoked.
func TestDecideWithoutNumber(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		rid, heal := s.park("lost")
		s.decides("lost", recipe.Decision{Created: true}, nil, identity.RID{})
		ok(t, s.p.PaperGiven(t.Context(), "lost"))
		time.Sleep(time.Minute) // it is told that nobody knows which one is to be revoked
		heal()
		want := map[recipe.EventKind]bool{recipe.EventNotRevoked: true, recipe.EventSurplus: true, recipe.EventSettled: true, recipe.EventRevoked: true}
		for len(want) > 0 {
			e := <-s.events
			if e.RID != rid && !e.RID.IsZero() || e.RID.IsZero() && e.Kind != recipe.EventNotRevoked && e.Kind != recipe.EventSettled {
				t.Errorf("%s tells of another one", e.Kind)
			}
			if e.Kind != recipe.EventSettled || e.RID == rid {
				delete(want, e.Kind)
			}
		}
		if p, _ := s.sb.Prescription(rid.Reveal()); p.Status != sandbox.Revoked || s.made() != 1 {
			t.Errorf("%s beside paper", p.Status)
		}
		if out := s.state("lost", recipe.OutcomePaper); out.RID != rid {
			t.Error("its number is not known")
		}
	})
}

// What was decided in the outbox itself gets its number afterwards, as far as that can be judged.
func TestNumberAfterwards(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		rid, heal := s.park("lost")
		heal()
		later := s.mustCreate("later").RID
		for v, err := range s.box.List(t.Context(), outbox.Filter{State: outbox.Parked}) {
			ok(t, err)
			ok(t, s.box.Decide(t.Context(), v.ID, true))
		}
		s.decides("lost", recipe.Decision{Created: true}, nil, identity.RID{})
		s.decides("lost", recipe.Decision{Created: true, RID: later}, recipe.ErrNumber, rid)
		s.decides("lost", recipe.Decision{Created: true, RID: rid}, nil, rid)
	})
}

// That there is none frees paper.
func TestDecideNot(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		_, heal := s.park("lost")
		defer heal()
		out, err := s.p.Decide(t.Context(), "lost", recipe.Decision{})
		ok(t, err)
		if out.State != recipe.OutcomeNotCreated || out.Notice != recipe.NoticePaper {
			t.Errorf("%s, notice %q", out.State, out.Notice)
		}
		_, err = s.p.Paper(t.Context(), "lost")
		ok(t, err)
	})
}
