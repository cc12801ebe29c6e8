package recipe_test

import (
	"time"

	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// rarely makes an outbox ask and try every three hours at most in the end, for tests that let days pass: what they show does not depend on how
// often, and each message costs several signatures.
func (s *surgery) rarely() {
	s.pauses = 3 * time.Hour
	s.reopen()
}

// handle are the handlers of the prescriber, with the pauses that the test asks for.
func (s *surgery) handle() []outbox.Option {
	if s.pauses == 0 {
		return s.p.Handle()
	}
	var out []outbox.Option
	for _, h := range s.p.Handlers() {
		if h.Kind == recipe.KindCreate || h.Kind == recipe.KindHeld {
			h.Policy.BackoffMax = s.pauses
		}
		out = append(out, outbox.Handle(h.Kind, h.Handler, h.Policy))
	}
	return out
}
