package recipe

import (
	"context"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// intact refuses a reference of which an entry was damaged and set aside, with an outbox.ErrCorrupt. Nobody knows what stood there: it
// may have been sent, or paper may have been given, so neither is done now. A person finds out, and prescribes under another
// reference.
func intact(ctx context.Context, box *outbox.Box, reference string) error {
	all, err := latestOf(ctx, box, reference, KindCreate, KindPaper)
	if err != nil {
		return err
	}
	return undamaged(all...)
}

// undamaged is intact for items that were looked up.
func undamaged(all ...item) error {
	for _, it := range all {
		if !it.aside.IsZero() {
			return &outbox.CorruptError{ID: it.aside, Part: "entry", Aside: true}
		}
	}
	return nil
}
