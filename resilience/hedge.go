package resilience

import (
	"context"
	"sync"
	"time"
)

// race is one read that may be asked a second time. The original runs in the caller's
// goroutine; only when it takes longer than usual does the hedge start in another one, so a
// call that is answered in time costs no goroutine.
type race[Req, Resp any] struct {
	armed // a race goes back to the pool only when it was disarmed before it fired
	next  Handler[Attempt, Req, Resp]

	mu     sync.Mutex
	a      *Attempt // the original
	req    Req
	over   bool // the original has ended: too late for a hedge
	hedge  *Attempt
	cancel context.CancelFunc
	done   chan struct{} // closed when the hedge has ended
	resp   Resp
	err    error
}

type racePool[Req, Resp any] struct{ sync.Pool }

func (p *Pipeline[Req, Resp]) hedge(next Handler[Attempt, Req, Resp]) Handler[Attempt, Req, Resp] {
	return func(ctx context.Context, a *Attempt, req Req) (Resp, error) {
		delay, ok := a.hedgeAfter()
		if !ok {
			return next(ctx, a, req)
		}
		r, _ := p.races.Get().(*race[Req, Resp])
		if r == nil {
			r = &race[Req, Resp]{next: next}
			r.fire = r.start
		}
		r.mu.Lock()
		r.a, r.req = a, req
		r.mu.Unlock()
		q := &a.x.op.queue
		q.arm(&r.armed, a.Started.Add(delay), delay)
		returned := false
		defer func() {
			if !returned {
				q.disarm(&r.armed)
			}
		}()
		resp, err := next(ctx, a, req)
		returned = true
		if q.disarm(&r.armed) {
			var none Req
			r.a, r.req = nil, none
			p.races.Put(r)
			return resp, err
		}
		return r.settle(resp, err)
	}
}

// start makes the hedge, if there is a token and an address for it. Without one the original
// simply goes on.
func (r *race[Req, Resp]) start() {
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return
	}
	original, req := r.a, r.req
	h := original.newHedge()
	if h == nil {
		r.mu.Unlock()
		return
	}
	ctx, cancel := within(original.x.ctx, original.until)
	r.hedge, r.cancel, r.done = h, cancel, make(chan struct{})
	r.mu.Unlock()
	defer cancel()
	defer close(r.done)
	resp, err := r.contained(ctx, h, req)
	h.hedgeEnded(err)
	r.mu.Lock()
	r.resp, r.err = resp, err
	r.mu.Unlock()
	if err == nil {
		original.cancel() // the loser
	}
}

// contained makes a panic of the hedge its failure: it happens in a goroutine that the caller
// cannot guard.
func (r *race[Req, Resp]) contained(ctx context.Context, h *Attempt, req Req) (resp Resp, err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return r.next(ctx, h, req)
}

const errPanic sentinel = "resilience: hedge panicked"

// settle decides the race after the original has ended.
func (r *race[Req, Resp]) settle(resp Resp, err error) (Resp, error) {
	r.mu.Lock()
	r.over = true
	done, cancel := r.done, r.cancel
	r.mu.Unlock()
	if done == nil {
		return resp, err // there was no token, or it had just ended
	}
	if err == nil {
		cancel()
		return resp, nil
	}
	select {
	case <-done:
	case <-r.a.x.ctx.Done():
		cancel()
		return resp, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return resp, err
	}
	r.a.adopt(r.hedge)
	return r.resp, nil
}

// hedgeAfter tells when this attempt should be hedged, if at all.
func (a *Attempt) hedgeAfter() (time.Duration, bool) {
	if a.x.Class != Read || a.x.op == nil || !a.ep.breaker.closed.Load() {
		return 0, false
	}
	d, ok := a.x.op.Quantile()
	if !ok {
		return 0, false
	}
	d = max(d, a.x.svc.p.Hedge.MinDelay)
	if !a.until.IsZero() && a.until.Sub(a.Started) < d+max(a.x.svc.p.MinShare, 0) {
		return 0, false
	}
	return d, true
}

// newHedge returns the second attempt beside a, paid for, or nil.
func (a *Attempt) newHedge() *Attempt {
	x, now := a.x, time.Now()
	to := a.route
	for i := range x.routes {
		r := &x.routes[i]
		if r != a.route && r.Active && a.route.Active && r.failures == 0 && r.ep.breaker.good() {
			to = r
			break
		}
	}
	if !to.ep.breaker.closed.Load() || !x.svc.budget.Ample() || !x.svc.hedges.Take() {
		return nil
	}
	if !x.svc.budget.Take() {
		x.svc.hedges.Return()
		return nil
	}
	x.hedges++
	x.svc.stats.hedges.Add(1)
	return &Attempt{x: x, No: a.No, Endpoint: *to.Endpoint, Hedge: true, Why: WhyHedge, Started: now, route: to, ep: to.ep, until: a.until}
}

// hedgeEnded gives the token back when the hedge never left.
func (a *Attempt) hedgeEnded(err error) {
	if isRefusal(err) {
		a.x.svc.budget.Return()
		a.x.svc.hedges.Return()
	}
}

// adopt makes the hedge's answer that of the attempt.
func (a *Attempt) adopt(h *Attempt) {
	a.Endpoint, a.route, a.ep, a.Hedge, a.ended = h.Endpoint, h.route, h.ep, true, h.ended
}

// armed is one attempt in a [hedgeQueue].
type armed struct {
	due        time.Time
	prev, next *armed
	in         bool
	fire       func() // made once per race, not per attempt
}

// hedgeQueue holds the attempts of one operation that may be hedged, in the order in which
// they fall due, which is the order in which they began. One timer serves all of them, so that
// an attempt that is answered in time costs two short locks and no timer. When the delay of the
// operation shrinks, an attempt may be hedged a little late.
type hedgeQueue struct {
	mu         sync.Mutex
	head, tail *armed
	timer      *time.Timer
	running    bool
}

func (q *hedgeQueue) arm(n *armed, due time.Time, delay time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n.due, n.in, n.prev, n.next = due, true, q.tail, nil
	if q.tail == nil {
		q.head = n
	} else {
		q.tail.next = n
	}
	q.tail = n
	if q.running {
		return
	}
	q.running = true
	if q.timer == nil {
		q.timer = time.AfterFunc(delay, q.tick)
	} else {
		q.timer.Reset(delay)
	}
}

// disarm takes an attempt out; false when it fired already.
func (q *hedgeQueue) disarm(n *armed) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !n.in {
		return false
	}
	q.unlink(n)
	return true
}

func (q *hedgeQueue) unlink(n *armed) {
	if n.prev == nil {
		q.head = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		q.tail = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next, n.in = nil, nil, false
}

// tick fires what is due and sets the timer for the next one, if there is one.
func (q *hedgeQueue) tick() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for q.head != nil && !q.head.due.After(now) {
		n := q.head
		q.unlink(n)
		go n.fire()
	}
	if q.running = q.head != nil; q.running {
		q.timer.Reset(q.head.due.Sub(now))
	}
}
