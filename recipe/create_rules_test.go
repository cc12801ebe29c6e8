package recipe_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/sts"
)

// TestRulesComeFirst: the rules are looked at beside other work, and what they say is said whatever that comes to, without waiting
// for it.
func TestRulesComeFirst(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		invalid := func(name string, r recipe.CreateRequest) {
			t.Helper()
			r.Type = "P7" // there are no rules for it
			began := time.Now()
			_, err := s.p.Create(t.Context(), r)
			if !errors.As(err, new(*kmehr.InvalidError)) || fault.KindOf(err) != fault.Invalid || fault.OutcomeOf(err) != fault.NotSent {
				t.Errorf("%s: %v", name, err)
			}
			if errors.As(err, new(*recipe.NotCreatedError)) || time.Since(began) > 0 {
				t.Errorf("%s: after %v: %v", name, time.Since(began), err)
			}
		}
		done := s.request("done")
		_, err := s.p.Create(t.Context(), done)
		ok(t, err)
		invalid("created before", done)
		both := s.request("both")
		both.Vision = "nonsense"
		invalid("wrong in two ways", both)
		invalid("nothing in the way", s.request("free"))

		s.link.Tokens = sts.TokenSourceFunc(func(ctx context.Context) (*sts.Token, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		s.reopen()
		invalid("login hangs", s.request("hangs"))
		held := s.request("held")
		held.Hold = true
		invalid("login hangs, to be held", held)
		for _, reference := range []string{"both", "free", "hangs", "held"} {
			if out, err := s.p.Outcome(t.Context(), reference); err != nil || out.State != recipe.OutcomeNotTried {
				t.Errorf("%s: %v, %v", reference, out.State, err)
			}
		}
		if s.made() != 1 {
			t.Errorf("%d prescriptions", s.made())
		}
	})
}
