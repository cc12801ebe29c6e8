package outbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Progress tells how far a drain is.
type Progress struct {
	Total    int       // items that waited at the start, and those that came since
	Open     int       // items that wait still
	Done     int       // carried out by this drain, or found to have been
	Rejected int       // refused by the service
	Parked   int       // need a person
	Expired  int       // too late
	Kind     Kind      // what the last step was about
	Next     time.Time // when the next step is due, as far as known
	Closed   []Kind    // kinds whose gate is closed
}

// Run sends what waits until ctx ends. It is a [Box.Drain] that never is finished; several
// processes may run on one store. It returns nil when ctx ended, and an error when the store
// failed for good.
func (b *Box) Run(ctx context.Context) error { return b.work(ctx, false, nil) }

// Drain sends what waits, at the pace of [WithPace], until nothing of the kinds handled is open any
// more: all is settled or parked. It waits for what is due later, for horizons and for closed
// gates; ctx ends it. progress, which may be nil, is called after each step and each wait, from one
// goroutine at a time.
func (b *Box) Drain(ctx context.Context, progress func(Progress)) error {
	return b.work(ctx, true, progress)
}

// poll is how often a worker looks for what other processes put, when nothing wakes it.
const poll = 15 * time.Second

// worker drains one kind, so that a service that is stuck holds up no other (BCP-09).
type worker struct {
	b       *Box
	kind    Kind
	traffic *traffic
	sends   context.Context // outlives the drain by the grace
	finish  bool
	end     func() // ends all workers: a drain is over for all kinds at once
	board   *board

	paced  time.Time // nothing but interactive items before this instant
	aside  time.Time // stepping aside for people elsewhere since; zero = not
	closed bool      // the gate was closed at the last look
	errs   int       // failures of the store in a row
}

func (b *Box) work(ctx context.Context, finish bool, progress func(Progress)) error {
	done, err := b.enter()
	if err != nil {
		return err
	}
	defer done()
	sends, stop := graceful(ctx, b.cfg.grace)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	board := &board{b: b, show: progress, closed: map[Kind]bool{}}
	if err := board.start(ctx); err != nil {
		return err
	}

	var all, side sync.WaitGroup
	errs := make(chan error, len(b.cfg.kinds)+1)
	side.Go(func() { b.housekeeping(ctx, board) })
	if w, ok := b.store.(Waker); ok {
		side.Go(func() { b.relay(ctx, w) })
	}
	for k := range b.cfg.kinds {
		w := &worker{b: b, kind: k, traffic: b.busy[k], sends: sends, finish: finish, end: cancel, board: board}
		all.Go(func() {
			if err := w.run(ctx); err != nil {
				errs <- err
				cancel()
			}
		})
	}
	if len(b.cfg.kinds) == 0 && !finish {
		<-ctx.Done()
	}
	all.Wait()
	cancel()
	side.Wait()
	close(errs)
	return <-errs
}

// graceful returns a context that ends grace after ctx.
func graceful(ctx context.Context, grace time.Duration) (context.Context, func()) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	end := context.AfterFunc(ctx, func() {
		if sleep(out, grace) {
			cancel()
		}
	})
	return out, func() { end(); cancel() }
}

// relay passes on what a store hears of other processes.
func (b *Box) relay(ctx context.Context, w Waker) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.Wake():
			for k := range b.wake {
				b.stir(k)
			}
		}
	}
}

func (w *worker) run(ctx context.Context) error {
	w.spread()
	for ctx.Err() == nil {
		wait, over, err := w.turn(ctx)
		if over || err != nil {
			return err
		}
		w.sleep(ctx, wait)
	}
	return nil
}

// spread puts the first step of a drain at a random time, so that many clients do not start at
// once.
func (w *worker) spread() {
	if w.b.cfg.spread > 0 {
		w.paced = time.Now().Add(rand.N(w.b.cfg.spread))
	}
}

// turn does one step, or tells how long there is nothing to do.
func (w *worker) turn(ctx context.Context) (wait time.Duration, over bool, err error) {
	at := now()
	if ok, retry := w.b.open(w.kind, at); !ok {
		w.closed = true
		w.board.gate(w.kind, true, retry)
		return w.idle(ctx, retry)
	}
	if w.closed {
		w.closed = false
		w.board.gate(w.kind, false, at)
		w.spread() // the service is back for everybody at the same moment
	}
	c := w.b.claim()
	c.Kinds = []Kind{w.kind}
	c.Urgent = time.Now().Before(w.paced) || w.traffic.now() || w.others()
	got, err := w.b.store.Claim(ctx, c)
	switch {
	case errors.Is(err, ErrNothing):
		w.errs = 0
		if next := w.paced; c.Urgent {
			if !next.After(at) {
				next = at.Add(time.Second) // people are served
			}
			got.Next = earliest(got.Next, next)
		}
		return w.idle(ctx, got.Next)
	case err != nil:
		return w.failed(ctx, err)
	}
	s := w.b.step(w.sends, got, nil, ID{})
	if s.err != nil && fatal(s.err) {
		return w.failed(ctx, s.err)
	}
	w.errs = 0
	w.pause(got.Head.Priority, s)
	w.board.stepped(ctx, w.kind, got.Head.State, s)
	return 0, false, nil
}

// others tells whether to step aside for people whose calls do not go through this Box.
func (w *worker) others() bool {
	if w.b.cfg.people == nil || !w.b.cfg.people() {
		w.aside = time.Time{}
		return false
	}
	if w.aside.IsZero() {
		w.aside = time.Now()
	}
	if time.Since(w.aside) > maxYield {
		w.aside = time.Now() // one step, then aside again
		return false
	}
	return true
}

// fatal tells failures of the store from those of one item.
func fatal(err error) bool {
	for _, one := range []error{ErrStale, ErrLeaseLost, ErrCorrupt, ErrKey, ErrNotFound, ErrState} {
		if errors.Is(err, one) {
			return errors.Is(err, ErrBroken)
		}
	}
	return true
}

// failed waits longer after each failure of the store, and gives up when it is closed or broken.
func (w *worker) failed(ctx context.Context, err error) (time.Duration, bool, error) {
	switch {
	case ctx.Err() != nil:
		return 0, true, nil
	case errors.Is(err, ErrClosed), errors.Is(err, ErrBroken):
		return 0, true, err
	}
	w.errs++
	return min(time.Second<<min(w.errs, 6), time.Minute), false, nil
}

// pause spares the service after a step that used it.
func (w *worker) pause(p Priority, s stepped) {
	if s.sent && p != Interactive && w.b.cfg.pause > 0 {
		pause := min(time.Duration(w.b.cfg.pause)*s.latency, w.b.cfg.pmax)
		// Half up or down: clients that were slowed down together must not come back together.
		w.paced = time.Now().Add(time.Duration((0.5 + jitter()) * float64(pause)))
	}
}

// idle decides how long to wait when nothing is to be done before next, and whether the drain is
// over.
func (w *worker) idle(ctx context.Context, next time.Time) (time.Duration, bool, error) {
	if w.finish {
		open, err := w.board.left(ctx)
		if err != nil {
			return w.failed(ctx, err)
		}
		if open == 0 {
			w.end() // what is put after this instant would wait for a worker that has left
			return 0, true, nil
		}
	}
	wait := poll
	if !next.IsZero() {
		wait = min(wait, max(time.Until(next), 0)+time.Microsecond)
	}
	w.board.waiting(next)
	return wait, false, nil
}

func (w *worker) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-w.b.wake[w.kind]:
	}
}

// housekeeping lets items expire when their time comes, even those that are not the first of
// their line, and forgets what was kept long enough.
func (b *Box) housekeeping(ctx context.Context, board *board) {
	forget := time.Now()
	for ctx.Err() == nil {
		next := b.sweep(ctx, board)
		if b.cfg.keep > 0 && !time.Now().Before(forget) {
			_, _ = b.Forget(ctx, now().Add(-b.cfg.keep)) // tried again in an hour
			forget = time.Now().Add(time.Hour)
		}
		wait := time.Minute
		if !next.IsZero() {
			wait = min(wait, max(time.Until(next), time.Millisecond))
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// sweep expires what is overdue and returns when the next item expires.
func (b *Box) sweep(ctx context.Context, board *board) time.Time {
	for {
		page, err := b.store.List(ctx, Query{Overdue: forever, Limit: 100})
		if err != nil || len(page.Entries) == 0 {
			return time.Time{}
		}
		moved := 0
		for _, e := range page.Entries {
			at := now()
			if e.Expires.After(at) {
				return e.Expires
			}
			r, err := b.change(ctx, e.ID, guard{}, nil, func(r *record) error {
				if !r.State.Waiting() {
					return ErrState
				}
				return r.expired(at)
			})
			if err == nil {
				moved++
				board.stepped(ctx, r.Kind, e.State, stepped{rec: r})
			} else if errors.Is(err, ErrCorrupt) {
				moved++
			}
		}
		if moved == 0 {
			return time.Time{} // all in the hands of others; look again in a minute
		}
	}
}

// forever is later than any expiry, and still a number of nanoseconds.
var forever = time.Unix(0, 1<<63-1).UTC()
