package resilience

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bulkhead bounds how many calls of one service are under way, so that a stuck service cannot
// hold the whole process (dossier 06 B.5, BCP-09). A few callers may wait, in the order they
// came; more are refused at once with ErrBulkheadFull. A nil Bulkhead has no bound.
type Bulkhead struct{ gate }

// NewBulkhead returns a bulkhead, or nil when p switches it off.
func NewBulkhead(p BulkheadPolicy) *Bulkhead {
	if p.InFlight < 0 {
		return nil
	}
	return &Bulkhead{gate{limit: p.InFlight, waiting: max(p.Waiting, 0), by: ErrBulkheadFull}}
}

// Acquire takes a place, or waits for one until ctx ends or the deadline comes (zero: none).
// The error is a *[Refusal] by ErrBulkheadFull, or ctx.Err(). Every place that was taken must be
// given back by Release. waited tells whether time has passed.
func (b *Bulkhead) Acquire(ctx context.Context, deadline time.Time) (waited bool, err error) {
	if b == nil {
		return false, nil
	}
	return b.acquire(ctx, deadline, true)
}

// Release gives a place back.
func (b *Bulkhead) Release() {
	if b != nil {
		b.mu.Lock()
		b.release()
		b.mu.Unlock()
	}
}

// InFlight returns how many places are taken.
func (b *Bulkhead) InFlight() int {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inFlight
}

// gate is a counting semaphore with a bounded queue and a limit that may change.
type gate struct {
	mu       sync.Mutex
	limit    int
	inFlight int
	waiting  int // most that may wait
	queue    []*waiter
	by       error // sentinel of its refusals
}

type waiter struct{ granted chan struct{} }

func (g *gate) acquire(ctx context.Context, deadline time.Time, mayWait bool) (waited bool, err error) {
	g.mu.Lock()
	if g.inFlight < g.limit && len(g.queue) == 0 {
		g.inFlight++
		g.mu.Unlock()
		return false, nil
	}
	if !mayWait || len(g.queue) >= g.waiting {
		g.mu.Unlock()
		return false, &Refusal{By: g.by, Reason: "no place"}
	}
	w := &waiter{granted: make(chan struct{})}
	g.queue = append(g.queue, w)
	g.mu.Unlock()
	return true, g.wait(ctx, deadline, w)
}

func (g *gate) wait(ctx context.Context, deadline time.Time, w *waiter) error {
	var timeout <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		timeout = t.C
	}
	var err error
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout:
		err = &Refusal{By: g.by, Reason: "waited until the deadline"}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, q := range g.queue {
		if q == w {
			g.queue = append(g.queue[:i], g.queue[i+1:]...)
			return err
		}
	}
	g.release() // granted in the same instant: the next one in the queue takes it
	return err
}

// release must be called with the lock held.
func (g *gate) release() {
	g.inFlight--
	g.admit()
}

// admit lets in whom the limit allows, first come first served.
func (g *gate) admit() {
	for g.inFlight < g.limit && len(g.queue) > 0 {
		close(g.queue[0].granted)
		g.queue[0] = nil
		g.queue = g.queue[1:]
		g.inFlight++
	}
}

// Limiter adapts the number of attempts under way at one address to what that address bears:
// Gradient2 of Netflix's concurrency-limits. When answers get slower than they usually are,
// something is queueing behind the address, and the limit shrinks; what is over it waits
// shortly or is refused with ErrLimited. All methods are safe for concurrent use; Acquire and
// Release allocate nothing unless they wait. A nil Limiter has no bound. Dossiers 07 section 3
// and 08 section 1.5.
type Limiter struct {
	gate
	p     LimitPolicy
	exact float64 // the limit before rounding
	long  float64 // long average of the latencies, in seconds
	n     int     // samples in it, up to warmUp
}

// warmUp samples are averaged plainly, before the slow average takes over.
const warmUp = 10

// NewLimiter returns a limiter, or nil when p switches it off.
func NewLimiter(p LimitPolicy) *Limiter {
	if p.Max < 0 {
		return nil
	}
	p = p.resolve(DefaultPolicy().Limit)
	return &Limiter{gate: gate{limit: p.Initial, waiting: max(p.Waiting, 0), by: ErrLimited}, p: p, exact: float64(p.Initial)}
}

// Acquire takes a place as [Bulkhead.Acquire] does; without mayWait it never waits.
func (l *Limiter) Acquire(ctx context.Context, deadline time.Time, mayWait bool) (waited bool, err error) {
	if l == nil {
		return false, nil
	}
	return l.acquire(ctx, deadline, mayWait)
}

// Release gives a place back. latency is that of an attempt that was answered or timed out; 0
// says that it tells nothing about the load, such as a refused connection.
func (l *Limiter) Release(latency time.Duration) {
	if l == nil {
		return
	}
	l.mu.Lock()
	if latency > 0 {
		l.sample(latency.Seconds())
	}
	l.release()
	l.mu.Unlock()
}

// Limit returns the limit now, -1 when there is none.
func (l *Limiter) Limit() int {
	if l == nil {
		return -1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit
}

func (l *Limiter) sample(short float64) {
	if l.n < warmUp {
		l.n++
		l.long += (short - l.long) / float64(l.n)
	} else {
		l.long += (short - l.long) * 2 / float64(l.p.LongWindow+1)
	}
	// After a long slow time the average must not take as long to come down again.
	if l.long > 2*short {
		l.long *= 0.9
	}
	gradient := min(max(l.p.Tolerance*l.long/short, 0.5), 1)
	next := gradient*l.exact + float64(l.p.Queue)
	if next > l.exact && float64(l.inFlight) < l.exact/2 {
		return // nobody uses what there is: no reason to give more
	}
	next = l.exact*(1-l.p.Smoothing) + next*l.p.Smoothing
	l.exact = min(max(next, float64(l.p.Min)), float64(l.p.Max))
	l.limit = int(l.exact)
}

// RateLimit bounds how many calls of one service start per second: a wrapper around x/time/rate
// that tells how long a refused caller would have had to wait. A nil RateLimit has no bound.
type RateLimit struct{ l *rate.Limiter }

// NewRateLimit returns a rate limit with a full burst, or nil when p switches it off.
func NewRateLimit(p RatePolicy) *RateLimit {
	if p.PerSecond < 0 {
		return nil
	}
	return &RateLimit{rate.NewLimiter(rate.Limit(p.PerSecond), p.Burst)}
}

// Wait takes one start, and waits for its turn until ctx ends. A turn that would come after the
// deadline (zero: none) is given back at once: *[Refusal] by ErrRateLimited, with RetryAfter.
func (r *RateLimit) Wait(ctx context.Context, now, deadline time.Time) (waited bool, err error) {
	if r == nil {
		return false, nil
	}
	if r.l.AllowN(now, 1) {
		return false, nil
	}
	res := r.l.ReserveN(now, 1)
	delay := res.DelayFrom(now)
	if !deadline.IsZero() && delay >= deadline.Sub(now) {
		res.CancelAt(now)
		return false, &Refusal{By: ErrRateLimited, RetryAfter: delay}
	}
	if err := sleep(ctx, delay); err != nil {
		res.Cancel()
		return true, err
	}
	return true, nil
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
