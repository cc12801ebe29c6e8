package outbox

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Result is an item that was carried out.
type Result struct {
	ID     ID
	Answer Answer    // what the service said; empty when only a resolver could establish it
	At     time.Time // when it became known
	Before bool      // it was done before this call: the same reference had been put already
}

// Do stores the item and tries at once to send it, within ctx's deadline, at most 15 s without
// one. It ends with
//
//   - a Result: done, the answer is on disk;
//   - an error that is a [QueuedError]: not carried out yet, will be sent later;
//   - a [UnknownError]: sent, no answer, will be resolved; or the store took the item and hangs now, so that nobody knows;
//   - a [StateError]: the service refused it (its *fault.Error is within reach of errors.As), or
//     the item was parked, expired or cancelled;
//   - any other error: the item was not accepted ([ErrFull], [ErrInvalid], [ErrConflict]...); only
//     after a *fault.Error of Outcome Unknown, from a store on a network, it may have been: the same
//     item with the same Ref, put again, finds out and does no harm.
//
// What is put under a reference that is known already joins the item that is there. Items with the
// same key that wait before it are sent first.
func (b *Box) Do(ctx context.Context, it Item) (*Result, error) {
	done, err := b.enter()
	if err != nil {
		return nil, err
	}
	defer done()
	h := b.cfg.kinds[it.Kind]
	if h == nil {
		return nil, ErrInvalid
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultDeadline)
		defer cancel()
	}
	defer b.busy[it.Kind].enter(b.wake[it.Kind])()
	if it.Priority == Normal {
		it.Priority = Interactive
	}
	c := b.claim()
	r, lease, err := b.put(ctx, it, &c)
	if err != nil {
		return nil, err
	}
	fresh := lease != nil
	before := !fresh && r.State == Done
	if r.State.Open() {
		defer b.stir(r.Kind) // what was not finished is the worker's now
		r, err = b.push(ctx, r, c, lease)
	}
	return b.result(ctx, r, err, before)
}

// push works on the line of r until r is settled, has to wait, or ctx ends. It owns the line, with r as
// its head, under the lease; without one it waits for it.
func (b *Box) push(ctx context.Context, r *record, c Claim, lease *Lease) (*record, error) {
	id, line := r.ID, r.Line
	c.Line = &line
	owned := lease != nil
	var cause error
	defer func() {
		if owned {
			b.letGo(ctx, Lease{Line: line, Owner: c.Owner})
		}
	}()
	var got Claimed
	var known *record
	if owned && r.kept() && time.Until(lease.Until) > b.cfg.lease/2 { // not when the store took its time: a claim extends the lease
		got, known = Claimed{Lease: *lease, Head: r.Entry}, r // what a claim would give
	}
	for ctx.Err() == nil {
		if known == nil {
			var err error
			c.Now = now()
			if got, err = b.store.Claim(ctx, c); errors.Is(err, ErrLeased) {
				// Another goroutine or process works on it: it may settle our item too.
				if !sleep(ctx, leasedPoll) {
					break
				}
				if r, err = b.read(ctx, id); err != nil {
					return b.again(ctx, id, cause, err)
				}
				if !r.State.Open() {
					return r, nil
				}
				continue
			}
			if err != nil {
				if errors.Is(err, ErrNothing) {
					err = nil
				}
				return b.again(ctx, id, cause, err)
			}
			owned = true
		}
		s := b.step(ctx, got, known, id)
		known = nil
		if s.cause != nil && got.Head.ID == id {
			cause = s.cause
		}
		if s.err != nil && !errors.Is(s.err, ErrCorrupt) && !errors.Is(s.err, ErrStale) {
			return b.again(ctx, id, cause, s.err)
		}
		if s.rec != nil && s.rec.ID == id && !s.rec.State.Open() {
			owned = s.err != nil // else the write that settled it gave the line back
			return s.rec, cause
		}
		if !s.blocked.IsZero() && !b.worthWaiting(ctx, s.blocked) {
			break
		}
	}
	return b.again(ctx, id, cause, nil)
}

// lastLook bounds what is still read and given back when a call is over: a store that hangs must not hold up who has to be
// told something.
const lastLook = 5 * time.Second

// leasedPoll is how often Do looks whether a line that another works on is free.
const leasedPoll = 50 * time.Millisecond

func (b *Box) letGo(ctx context.Context, l Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer cancel()
	_ = b.store.Release(ctx, l) // it ends by itself
}

// worthWaiting waits until t when that lies well before the deadline.
func (b *Box) worthWaiting(ctx context.Context, t time.Time) bool {
	if d, ok := ctx.Deadline(); ok && t.Add(100*time.Millisecond).After(d) {
		return false
	}
	return sleep(ctx, time.Until(t))
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// again reads the item once more, even when the caller has no time left; err is the reason for stopping, when there is one. The
// item was accepted: when the store does not tell in time where it stands, its outcome is not known.
func (b *Box) again(ctx context.Context, id ID, cause, err error) (*record, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer cancel()
	r, rerr := b.read(ctx, id)
	if rerr != nil && ctx.Err() != nil {
		return nil, &UnknownError{ID: id, Err: errors.Join(cause, err, rerr)}
	}
	if rerr != nil {
		return nil, errors.Join(rerr, err)
	}
	if err != nil {
		cause = err
	}
	return r, cause
}

// result turns where the item stands into what Do returns.
func (b *Box) result(ctx context.Context, r *record, cause error, before bool) (*Result, error) {
	if r == nil {
		return nil, cause
	}
	if cause == nil {
		cause = r.Last.err("outbox")
	}
	switch {
	case r.State == Done:
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
		defer cancel()
		ans, err := b.answer(late, r)
		if err != nil && late.Err() != nil {
			return nil, &UnknownError{ID: r.ID, Err: err}
		}
		if err != nil {
			return nil, err
		}
		return &Result{ID: r.ID, Answer: ans, At: r.Changed, Before: before}, nil
	case r.State.Open() && r.Pending:
		return nil, &UnknownError{ID: r.ID, Until: r.Horizon, Err: cause}
	case r.State == Parked && r.Pending:
		return nil, &UnknownError{ID: r.ID, Err: cause}
	case r.State.Open(), r.State == Held:
		return nil, &QueuedError{ID: r.ID, Next: r.Due, Err: cause}
	}
	return nil, &StateError{ID: r.ID, State: r.State, Pending: r.Pending, Err: cause}
}

// answer is the stored answer: what the caller sees is what is on disk.
func (b *Box) answer(ctx context.Context, r *record) (Answer, error) {
	if r.Answer != nil { // it was read with the record, and an answer does not change
		return b.keys.part(bucketAnswer, r.ID, r.Answer)
	}
	e, err := b.store.Load(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return b.keys.part(bucketAnswer, r.ID, e.Answer)
}

// traffic counts the people who wait for a kind.
type traffic struct {
	mu    sync.Mutex
	n     int
	since time.Time
}

func (t *traffic) enter(wake chan struct{}) (leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n++; t.n == 1 {
		t.since = time.Now()
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.n--; t.n == 0 {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	}
}

// maxYield bounds how long a drain steps aside for people in one go.
const maxYield = 30 * time.Second

// now tells whether a drain should step aside.
func (t *traffic) now() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n > 0 && time.Since(t.since) > maxYield {
		t.since = time.Now()
		return false
	}
	return t.n > 0
}
