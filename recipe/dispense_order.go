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

// codeElsewhere marks an item that waits for another pharmacy, in what the outbox remembers of its last try.
const codeElsewhere = "elsewhere"

// order is what a Dispenser knows about the order of what waits.
type order struct {
	made     bool               // what waits is due in the order of dispensing
	again    bool               // the oldest one is to make it once more: who made it stands at the wrong place
	yielded  map[outbox.ID]bool // has let the oldest one go first since it was tried last
	reserved map[outbox.ID]bool // was taken into process since Recip-e answers again
	failed   outbox.ID          // the last failure was this one's; zero = it was a success
	failedAt time.Time          // when that was
}

// turn lets a dispensing of the background go on when the order is made. Otherwise the oldest one finds out whether Recip-e
// answers, and the others wait for it, but only once: one that always fails must not hold up all others.
func (d *Dispenser) turn(ctx context.Context, id outbox.ID) error {
	box := d.box.Load()
	d.mu.Lock()
	made, again, yielded := d.order.made, d.order.again, d.order.yielded[id]
	d.mu.Unlock()
	if box == nil || made && !again {
		return nil
	}
	waiting, err := d.waiting(ctx, box, id)
	if err != nil {
		return err
	}
	oldest := oldestOf(waiting)
	switch {
	case made && oldest.ID != id:
		return nil
	case !made && oldest.ID != id && !yielded:
		d.mu.Lock()
		d.order.yielded[id] = true
		d.mu.Unlock()
		return back(max(time.Until(oldest.Due), 0) + time.Second)
	}
	if !made {
		if err := d.reserveAll(ctx, box, waiting); err != nil {
			return err
		}
	}
	if err := hurry(ctx, box, waiting, id); err != nil {
		return err
	}
	d.mu.Lock()
	d.order.made, d.order.again = true, oldest.ID != id
	clear(d.order.yielded)
	d.mu.Unlock()
	if oldest.ID != id {
		return back(clockTick)
	}
	return nil
}

// back sends an item back into its line.
func back(pause time.Duration) error {
	return &fault.Error{Op: opDispense, Service: ServiceExecutor, Kind: fault.Canceled, Outcome: fault.NotSent, RetryAfter: pause, Err: errOlderFirst}
}

// oldestOf is the oldest item that does not wait for another pharmacy.
func oldestOf(waiting []outbox.View) outbox.View {
	for _, v := range waiting {
		if v.Last == nil || v.Last.Code != codeElsewhere {
			return v
		}
	}
	if len(waiting) > 0 {
		return waiting[0]
	}
	return outbox.View{}
}

// hurry makes all that waits but one item due now, oldest first.
func hurry(ctx context.Context, box *outbox.Box, waiting []outbox.View, but outbox.ID) error {
	for _, v := range waiting {
		if v.ID == but {
			continue
		}
		if err := box.Retry(ctx, v.ID); err != nil && !errors.Is(err, outbox.ErrState) && !errors.Is(err, outbox.ErrNotFound) {
			return err
		}
		if err := tick(ctx); err != nil {
			return err
		}
	}
	return nil
}

// clockTick lies between the instants at which two items are due: on some systems the clock stands still for longer than it
// takes to write one, and items that are due at the same instant have no order.
const clockTick = 20 * time.Millisecond

// tick waits for the next instant.
func tick(ctx context.Context) error {
	t := time.NewTimer(clockTick)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return &fault.Error{Op: opDispense, Service: ServiceExecutor, Kind: fault.Canceled, Outcome: fault.NotSent, Err: ctx.Err()}
	}
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
	if !d.reserve || len(waiting) < 2 {
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
			d.order.reserved[id] = true
		}
		d.mu.Unlock()
		batch, ids = nil, nil
		return nil
	}
	for _, v := range waiting[:min(len(waiting), maxReserved)] {
		d.mu.Lock()
		has := d.order.reserved[v.ID]
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

// ended tells the order how a try ended. When two different ones fail without a success between them, Recip-e does not
// answer, and the order is to be made anew when it does: what is reserved may be gone by then.
func (d *Dispenser) ended(id outbox.ID, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch k := fault.KindOf(err); {
	case err == nil:
		d.order.failed, d.order.failedAt = outbox.ID{}, time.Time{}
	case !k.Temporary() && k != fault.Protocol && k != fault.Security:
	case d.order.failed.IsZero() || d.order.failed == id:
		d.order.failed, d.order.failedAt = id, time.Now()
	default:
		d.order.failed, d.order.failedAt, d.order.made, d.order.again = id, time.Now(), false, false
		clear(d.order.reserved)
	}
}

// nudge takes up what waits after a call of a person was answered: Recip-e is back.
func (d *Dispenser) nudge(ctx context.Context) {
	box := d.box.Load()
	d.mu.Lock()
	made := d.order.made
	d.mu.Unlock()
	if box == nil || made {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if waiting, err := d.waiting(ctx, box, outbox.ID{}); err == nil && len(waiting) > 0 {
		_ = box.Retry(ctx, oldestOf(waiting).ID) // its own time comes anyway
	}
}
