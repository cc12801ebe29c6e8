package recipe

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// After an outage what waits is due in the order in which the tries of the outage happen to end. Before anything is done, it
// is put into the order of dispensing, and all of it is taken into process, ten with each call: the time in which another
// pharmacy could dispense the same prescriptions ends with the first seconds and not with the last item.

// maxReserved bounds how many prescriptions are taken into process before the first of them is dealt with.
const maxReserved = 200

// errOlderFirst sends an item back into its line.
const errOlderFirst reason = "recipe: older dispensings go first"

// turn lets a dispensing of the background go on when it is the oldest, or when the order is made already.
func (d *Dispenser) turn(ctx context.Context, id outbox.ID) error {
	box := d.box.Load()
	d.mu.Lock()
	ordered := d.ordered
	d.mu.Unlock()
	if box == nil || ordered {
		return nil
	}
	waiting, err := d.waiting(ctx, box, id)
	if err != nil {
		return err
	}
	if len(waiting) > 0 && waiting[0].ID != id {
		if err := box.Retry(ctx, waiting[0].ID); err == nil {
			return &fault.Error{Op: opDispense, Service: ServiceExecutor, Kind: fault.Canceled, Outcome: fault.NotSent, Err: errOlderFirst}
		} else if !errors.Is(err, outbox.ErrState) && !errors.Is(err, outbox.ErrNotFound) {
			return err
		}
	}
	if len(waiting) > 1 {
		if err := d.reserveAll(ctx, box, waiting); err != nil {
			return err
		}
		for _, v := range waiting {
			if v.ID == id {
				continue
			}
			if err := box.Retry(ctx, v.ID); err != nil && !errors.Is(err, outbox.ErrState) && !errors.Is(err, outbox.ErrNotFound) {
				return err
			}
		}
	}
	d.mu.Lock()
	d.ordered = true
	d.mu.Unlock()
	return nil
}

// waiting are the dispensings that wait, the one under way included, oldest first.
func (d *Dispenser) waiting(ctx context.Context, box *outbox.Box, own outbox.ID) ([]outbox.View, error) {
	var out []outbox.View
	for _, s := range []outbox.State{outbox.Prepared, outbox.Ready, outbox.Unknown, outbox.Sending} {
		for v, err := range box.List(ctx, outbox.Filter{Kind: KindDispense, State: s}) {
			if errors.Is(err, outbox.ErrCorrupt) {
				continue // set aside: the outbox tells of it
			}
			if err != nil {
				return nil, err
			}
			if s != outbox.Sending || v.ID == own {
				out = append(out, v)
			}
		}
	}
	slices.SortFunc(out, func(a, b outbox.View) int {
		return cmp.Or(a.Created.Compare(b.Created), slices.Compare(a.ID[:], b.ID[:]))
	})
	// One that changed its state meanwhile was listed twice.
	return slices.CompactFunc(out, func(a, b outbox.View) bool { return a.ID == b.ID }), nil
}

// reserveAll takes what waits into process. That a prescription cannot be had shows again when its turn comes, so only a
// platform that does not answer matters here.
func (d *Dispenser) reserveAll(ctx context.Context, box *outbox.Box, waiting []outbox.View) error {
	if !d.reserve {
		return nil
	}
	var batch []identity.RID
	var ids []outbox.ID
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		_, err := d.c.Reserve(ctx, batch)
		if err != nil && fault.OutcomeOf(err) != fault.Rejected {
			return err
		}
		d.mu.Lock()
		for _, id := range ids {
			d.reserved[id] = true
		}
		d.mu.Unlock()
		batch, ids = nil, nil
		return nil
	}
	for _, v := range waiting[:min(len(waiting), maxReserved)] {
		d.mu.Lock()
		has := d.reserved[v.ID]
		d.mu.Unlock()
		if has {
			continue
		}
		rid, ok := dispensedRID(ctx, box, v.ID)
		if !ok {
			continue
		}
		batch, ids = append(batch, rid), append(ids, v.ID)
		if len(batch) == protocol.MaxRIDsInProcess {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// dispensedRID reads the prescription of an item; an item that went away meanwhile has none.
func dispensedRID(ctx context.Context, box *outbox.Box, id outbox.ID) (identity.RID, bool) {
	it, err := box.Reveal(ctx, id)
	if err != nil {
		return identity.RID{}, false
	}
	rec, err := decodeDispense(it.Payload)
	if err != nil {
		return identity.RID{}, false
	}
	rid, err := rec.rid()
	return rid, err == nil
}

// disorder forgets the order when the platform does not answer: what is reserved may be gone when it comes back.
func (d *Dispenser) disorder(err error) {
	if k := fault.KindOf(err); !k.Temporary() && k != fault.Protocol && k != fault.Security {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ordered = false
	clear(d.reserved)
}

// nudge takes up what waits after a call of a person was answered: Recip-e is back.
func (d *Dispenser) nudge(ctx context.Context) {
	box := d.box.Load()
	d.mu.Lock()
	ordered := d.ordered
	d.mu.Unlock()
	if box == nil || ordered {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if waiting, err := d.waiting(ctx, box, outbox.ID{}); err == nil && len(waiting) > 0 {
		_ = box.Retry(ctx, waiting[0].ID) // its own time comes anyway
	}
}
