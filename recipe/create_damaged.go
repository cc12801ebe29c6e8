package recipe

import (
	"context"
	"slices"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// intact refuses a reference of which an entry was damaged and set aside, with an outbox.ErrCorrupt. Nobody knows what stood there: it
// may have been sent, or paper may have been given, so neither is done now. A person finds out, and prescribes under another
// reference.
func intact(ctx context.Context, box *outbox.Box, reference string) error {
	aside, err := box.Aside(ctx)
	if err != nil || len(aside) == 0 {
		return err
	}
	for _, kind := range []outbox.Kind{KindCreate, KindPaper} {
		for n := 1; n <= maxTries; n++ {
			id := box.ID(kind, refOf(reference, n))
			if slices.ContainsFunc(aside, func(v outbox.View) bool { return v.ID == id }) {
				return &outbox.CorruptError{ID: id, Part: "entry", Aside: true}
			}
		}
	}
	return nil
}
