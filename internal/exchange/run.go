package exchange

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

const (
	backoffBase = 100 * time.Millisecond // bound of the first pause before an address is asked again
	backoffMax  = 2 * time.Second        // bound of every pause that the platform did not ask for
)

// run is one call under way.
type run struct {
	x     *Exchanger
	c     *Call
	addrs []*address // in the order to ask
	first string     // first choice by the directory, whatever failed lately

	tries   int
	renewed bool
	failed  []*failure
}

// address is one endpoint as this call sees it.
type address struct {
	resilience.Endpoint
	failures int
	dead     bool // not to be asked again in this call
	down     bool // it said itself that it is not available
}

func newRun(x *Exchanger, c *Call, all []resilience.Endpoint) *run {
	r := &run{x: x, c: c, first: preferred(all)}
	for _, ep := range x.addresses.Order(all, time.Now()) {
		r.addrs = append(r.addrs, &address{Endpoint: ep})
	}
	return r
}

func (r *run) do(ctx context.Context) (*Answer, error) {
	for at := r.addrs[0]; at != nil; {
		ans, f := r.once(ctx, at)
		r.tries++
		if f == nil {
			r.x.addresses.Worked(at.URL)
			if j, ok := r.c.Security.(Judge); ok {
				j.Served(r.c.Service)
			}
			ans.Attempts, ans.Alternate = r.tries, at.URL != r.first
			return ans, nil
		}
		if j, ok := r.c.Security.(Judge); ok && f.Kind == fault.Denied {
			j.Denied(f.Error)
		}
		r.failed = append(r.failed, f)
		at.failures++
		if blame(f) {
			r.x.addresses.Failed(at.URL, time.Now())
		}
		at = r.next(ctx, at, f)
	}
	return nil, r.verdict(ctx)
}

// blame tells whether a failure says something about the address rather than about the request.
func blame(f *failure) bool {
	return f.mismatch || f.Kind.Temporary() || f.Kind == fault.Protocol
}

// once makes one attempt within its share of the time that is left.
func (r *run) once(ctx context.Context, at *address) (*Answer, *failure) {
	deadline, _ := ctx.Deadline()
	if fresh := r.fresh(); fresh > 1 && r.c.Class.MayRepeat(fault.Unknown, true) {
		// Every address that was not asked yet gets an equal share, so that one that hangs
		// cannot use up the time of the others. A write is not repeated after a time-out, so
		// its first attempt may use all there is.
		now := time.Now()
		deadline = now.Add(deadline.Sub(now) / time.Duration(fresh))
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return r.x.attempt(ctx, r.c, at.Endpoint)
}

func (r *run) fresh() (n int) {
	for _, a := range r.addrs {
		if a.failures == 0 {
			n++
		}
	}
	return n
}

// next decides where the next attempt goes and waits until it may start; nil ends the call.
func (r *run) next(ctx context.Context, at *address, f *failure) *address {
	if ctx.Err() != nil || r.tries >= MaxAttempts {
		return nil
	}
	if f.rule.DropToken {
		if r.renewed || !r.c.Security.Refused(ctx, f.Error) {
			return nil
		}
		r.renewed = true
		return at
	}
	if f.rule.MarkBad && at.URL == r.first {
		return nil // the default address does not know the operation: that is our configuration
	}
	at.dead = at.dead || !r.mayRetry(f)
	at.down = f.Outcome == fault.Rejected
	to := at
	if r.maySwitch(f, at) {
		to = r.best()
	}
	switch {
	case to.dead:
		return nil
	case to.failures == 0:
		return to
	case !pause(ctx, r.tries, f.RetryAfter):
		return nil
	}
	return to
}

// mayRetry tells whether the same address may be asked again.
func (r *run) mayRetry(f *failure) bool {
	return f.rule.Retry != fault.RetryNo && r.c.Class.MayRepeat(f.Outcome, true)
}

// maySwitch tells whether another address may be asked.
func (r *run) maySwitch(f *failure, at *address) bool {
	switch {
	case f.rule.MarkBad:
	case f.rule.Switch == fault.SwitchNo:
		return false
	case f.rule.Switch == fault.SwitchAfterRepeat && at.failures < 2 && r.mayRetry(f):
		return false
	}
	return r.c.Class.MayRepeat(f.Outcome, true)
}

// best is the address that promises most: one that was not asked yet, else one that did not
// say itself that it is down, else the one that failed least; in the order to ask.
func (r *run) best() *address {
	best := r.addrs[0]
	for _, a := range r.addrs[1:] {
		if a.rank() < best.rank() {
			best = a
		}
	}
	return best
}

func (a *address) rank() int {
	n := a.failures
	if a.down {
		n += MaxAttempts
	}
	if a.dead {
		n += 2 * MaxAttempts
	}
	return n
}

// pause waits before an address is asked a second time: as long as the platform asked for,
// else a random part of a growing time (full jitter). It declines when the deadline is nearer.
func pause(ctx context.Context, tries int, asked time.Duration) bool {
	bound := min(backoffBase<<min(tries-1, 10), backoffMax)
	d := max(asked, time.Duration(rand.Int64N(int64(bound)))+1)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// verdict turns the failed attempts into the one error of the call: the first of the most
// informative ones (a fault with a code outranks a bare time-out), with the gravest outcome of all.
func (r *run) verdict(ctx context.Context) error {
	best := r.failed[0]
	for _, f := range r.failed[1:] {
		if informative(f) > informative(best) {
			best = f
		}
	}
	e := *best.Error
	e.Attempts = r.tries
	causes := []error{e.Err}
	for _, f := range r.failed {
		if grave(f.Outcome) > grave(e.Outcome) {
			e.Outcome = f.Outcome
		}
		if f != best {
			causes = append(causes, f.Error)
		}
	}
	if len(causes) > 1 {
		e.Err = errors.Join(causes...)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Kind, e.Notice = fault.Canceled, ""
	}
	if e.Notice == "" && (e.Kind.Temporary() || e.Kind == fault.Protocol) {
		e.Notice = r.c.Notice
	}
	return &e
}

func informative(f *failure) int {
	switch {
	case f.Kind == fault.Security:
		return 3
	case f.Ticket != "" || fault.IsSOA(f.Code):
		return 2
	case f.Code != "":
		return 1
	}
	return 0
}

func grave(o fault.Outcome) int {
	switch o {
	case fault.Unknown:
		return 2
	case fault.Rejected:
		return 1
	}
	return 0
}
