package recipe

import (
	"errors"
	"testing"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// A visibility that cannot be sent is refused at once, also where it would have been kept for later: this prescriber has neither
// platform nor outbox.
func TestVisibilityRefused(t *testing.T) {
	rid, locked, other := identity.MustRID("BEP0ABCDEFGH"), protocol.VisionLocked, protocol.Vision("everybody")
	for _, c := range []struct {
		gen protocol.Generation
		v   Visibility
		why error // nil = a *protocol.ValidationError
	}{
		{protocol.Gen2023, Visibility{}, ErrRequest},
		{protocol.Gen2021, Visibility{}, ErrRequest},
		{protocol.Gen2021, Visibility{Others: protocol.OthersLocked}, ErrRequest},
		{protocol.Gen2021, Visibility{Vision: &locked, Others: protocol.OthersLocked}, errOthers},
		{protocol.Gen2023, Visibility{Vision: &other}, nil},
	} {
		p := &Prescriber{client: &client{role: protocol.Prescriber, service: ServicePrescriber, conf: Config{Generation: c.gen}}}
		for name, err := range map[string]error{"now": p.PutVision(t.Context(), rid, c.v), "queued": p.QueueVision(t.Context(), rid, c.v)} {
			e, ok := errors.AsType[*fault.Error](err)
			if !ok || e.Kind != fault.Invalid || e.Outcome != fault.NotSent || c.why != nil && !errors.Is(err, c.why) ||
				c.why == nil && !errors.As(err, new(*protocol.ValidationError)) {
				t.Errorf("%s, generation %s: %v", name, c.gen, err)
			}
		}
	}
}
