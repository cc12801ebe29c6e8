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
// is put into the order in which it was given, and all of it is taken into process, ten with each call: the time in which another
// pharmacy could dispense the same prescriptions ends with the first seconds and not with the last item.

// maxOrdered bounds how many dispensings are put in order and taken into process before the first of them is dealt with: it
// is done within the life of one message. The next ones follow when these are through.
const maxOrdered = 200

// laterPause is how long the next ones stay away.
const laterPause = 30 * time.Second

// errOlderFirst sends an item back into its line.
const errOlderFirst reason = "recipe: older dispensings go first"

// codeElsewhere marks an item that waits for another pharmacy, in what the outbox remembers of its last try.
const codeElsewhere = "elsewhere"

// order is what a Dispenser knows about the order of what waits.
type order struct {
	made     bool               // what is in turn is due in the order in which it was given
	inTurn   map[outbox.ID]bool // was put in order, and not tried since
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
	if box == nil {
		return nil
	}
	if d.inOrder(id) {
		return nil
	}
	waiting, err := d.waiting(ctx, box, id)
	if err != nil {
		return err
	}
	oldest := oldestOf(waiting)
	made, on, err := d.place(waiting, oldest, id)
	if on || err != nil {
		return err
	}
	waiting = waiting[:min(len(waiting), maxOrdered)]
	if !made {
		if err := d.reserveAll(ctx, box, waiting); err != nil {
			return err
		}
	}
	if err := hurry(ctx, box, waiting, id); err != nil {
		return err
	}
	return d.setOrder(waiting, oldest.ID, id)
}

// inOrder tells that an item may go on because the order is made and it is in turn.
func (d *Dispenser) inOrder(id outbox.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := &d.order
	if !o.made || o.again || !o.inTurn[id] {
		return false
	}
	delete(o.inTurn, id)
	o.made = len(o.inTurn) > 0
	return true
}

// place decides what an item that is not simply in turn does: go on, go back, or make the order.
func (d *Dispenser) place(waiting []outbox.View, oldest outbox.View, id outbox.ID) (made, on bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := &d.order
	if o.made { // what was cancelled, or done by another process, is not in turn any more
		there := map[outbox.ID]bool{}
		for _, v := range waiting {
			there[v.ID] = o.inTurn[v.ID]
		}
		for x := range o.inTurn {
			if !there[x] {
				delete(o.inTurn, x)
			}
		}
		o.made = len(o.inTurn) > 0
	}
	switch {
	case o.made && o.again && oldest.ID == id:
		return true, false, nil
	case o.made && o.inTurn[id]:
		delete(o.inTurn, id)
		return true, true, nil
	case o.made:
		return true, false, back(laterPause)
	case oldest.ID != id && !o.yielded[id]:
		o.yielded[id] = true
		return false, false, back(max(time.Until(oldest.Due), 0) + time.Second)
	}
	return false, false, nil
}

// setOrder notes that the order is made. Who made it without being the oldest stands behind all others: it goes back, and the
// oldest one makes the order once more.
func (d *Dispenser) setOrder(waiting []outbox.View, oldest, id outbox.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := &d.order
	clear(o.yielded)
	clear(o.inTurn)
	for _, v := range waiting {
		o.inTurn[v.ID] = true
	}
	o.made, o.again = true, oldest != id
	if o.again {
		return back(clockTick)
	}
	delete(o.inTurn, id)
	o.made = len(o.inTurn) > 0
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
	smaller := maxSmaller
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := d.reserveSome(ctx, batch, &smaller); err != nil {
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
	for _, v := range waiting {
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

// maxSmaller bounds how often a call is made smaller for one round of reservations: Recip-e may refuse all of them.
const maxSmaller = 10

// reserveSome takes up to ten prescriptions into process. When Recip-e refuses the call it may be because of one number that it
// does not know, so the others are asked for without it.
func (d *Dispenser) reserveSome(ctx context.Context, rids []identity.RID, smaller *int) error {
	_, err := d.c.Reserve(ctx, rids)
	err = passing(weighed(err))
	switch {
	case err == nil, fault.OutcomeOf(err) != fault.Rejected:
		return err
	case len(rids) == 1, !neverValid(err), *smaller <= 0:
		return nil
	}
	*smaller--
	half := len(rids) / 2
	if err := d.reserveSome(ctx, rids[:half], smaller); err != nil {
		return err
	}
	return d.reserveSome(ctx, rids[half:], smaller)
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
		clear(d.order.inTurn)
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
