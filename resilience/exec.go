package resilience

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/ehealth-continuity/ehealth/fault"
)

// Call is one call as the policies see it: everything but its content.
type Call struct {
	Op        string     // such as "insurability.Check"; belongs to the code, not to the patient
	Service   string     // by UDDI id
	Class     Class      // what a repeat may do
	Endpoints []Endpoint // all addresses of the service, in any order
	// Timeout is the total time: 0 = Policy.Timeout, negative = only the caller's context.
	Timeout time.Duration
	// Renew replaces a refused token and reports whether it did; nil = there is none.
	Renew func(ctx context.Context, e *fault.Error) bool
}

// Info is how a call went.
type Info struct {
	Endpoint  Endpoint // of the answer, or of the last attempt
	Alternate bool     // Endpoint is not the first choice of the directory
	Attempts  int      // that left, hedges included
	Hedged    bool     // the answer is that of a hedge
	Why       Why      // why the call ended: WhyDone for an answer
	Latency   time.Duration
}

// Failure is a failed attempt with what its classification says about a repeat.
type Failure struct {
	Fault *fault.Error
	Rule  fault.Rule
	// NotHere: what failed is not the address that was asked but something needed before, such
	// as a token. It says nothing about the address, and its breaker does not count it.
	NotHere bool
}

// Error is that of Fault.
func (f *Failure) Error() string { return f.Fault.Error() }

// SafeError is Error.
func (f *Failure) SafeError() string { return f.Fault.Error() }

// Unwrap returns Fault.
func (f *Failure) Unwrap() error { return f.Fault }

// Exec is one call under way.
type Exec struct {
	*Call
	Started  time.Time
	Deadline time.Time // of the whole call; zero: none

	e   *Engine
	svc *service
	op  *Latencies
	ctx context.Context // of the caller; a hedge outlives the attempt that it hedges

	now     time.Time // refreshed by whoever waited
	routes  []route
	few     [2]route // most services have one or two addresses
	first   string   // first choice of the directory, whatever failed lately
	initial Attempt  // the one attempt of most calls

	last    *Attempt
	tries   int
	hedges  int
	backoff backoff.BackOff
	failed  []*Failure
	why     Why
	renewed bool
}

// route is one address as this call sees it.
type route struct {
	*Endpoint // of the caller's list, or of an ordered copy of it
	ep        *endpoint
	failures  int32
	dead      bool // not to be asked again in this call
	down      bool // it said itself that it is not available
}

// Attempt is one attempt of a call.
type Attempt struct {
	No       int // from 1; a hedge has the number of its original
	Endpoint Endpoint
	Hedge    bool
	Why      Why // why it was made
	Started  time.Time

	x       *Exec
	route   *route
	ep      *endpoint
	until   time.Time
	cancel  context.CancelFunc
	left    bool // it came through to Send
	ended   time.Time
	verdict Verdict
}

// Call returns the call that the attempt belongs to.
func (a *Attempt) Call() *Exec { return a.x }

// Deadline returns when the attempt must have ended; zero: never.
func (a *Attempt) Deadline() time.Time { return a.until }

func (e *Engine) begin(ctx context.Context, c *Call) *Exec {
	now := time.Now()
	svc := e.service(c.Service)
	x := &Exec{Call: c, Started: now, now: now, e: e, svc: svc, ctx: ctx, op: svc.operation(c.Op)}
	if t := or(c.Timeout, svc.p.Timeout); t > 0 {
		x.Deadline = now.Add(t)
	}
	if d, ok := ctx.Deadline(); ok && (x.Deadline.IsZero() || d.Before(x.Deadline)) {
		x.Deadline = d
	}
	svc.stats.calls.Add(1)
	x.direct(now)
	return x
}

// direct lists the addresses in the order to ask them.
func (x *Exec) direct(now time.Time) {
	all := x.Endpoints
	x.routes = x.few[:0]
	if len(all) > 0 {
		x.first = preferred(all)
	}
	switch order := x.e.cfg.Order; {
	case len(all) < 2:
	case order == nil:
		all = x.e.addresses.Order(all, now)
	default:
		all = x.e.addresses.rested(slices.Clone(order(x.svc.name, x.Class, all)), now)
	}
	for i := range all {
		x.routes = append(x.routes, route{Endpoint: &all[i], ep: x.svc.endpoint(all[i].URL)})
	}
}

// preferred is the address that the directory alone would have us ask.
func preferred(all []Endpoint) string {
	best := all[0]
	for _, ep := range all[1:] {
		if ep.Active && !best.Active || ep.Active == best.Active && ep.Order < best.Order {
			best = ep
		}
	}
	return best.URL
}

// firstAttempt goes to the first address whose breaker is not open, and to the first of all
// when every breaker is: it will be refused, which tells the caller until when.
func (x *Exec) firstAttempt() *Attempt {
	a := &x.initial
	to := &x.routes[0]
	for i := range x.routes {
		if r := &x.routes[i]; r.ep.breaker.Ready(x.now) {
			to = r
			break
		}
	}
	*a = Attempt{x: x, Why: WhyFirst}
	x.start(a, to, x.now)
	return a
}

// start prepares the next attempt.
func (x *Exec) start(a *Attempt, to *route, now time.Time) {
	a.No, a.Endpoint, a.Started, a.route, a.ep = x.tries+1, *to.Endpoint, now, to, to.ep
	x.last = a
	repeatable := x.Class.MayRepeat(fault.Unknown, true)
	a.until = x.Deadline
	if !x.Deadline.IsZero() {
		a.until = now.Add(Share(x.Deadline.Sub(now), 1+x.freshBeside(to), repeatable, x.svc.p.MinShare))
	}
	if repeatable {
		a.atMost(now, x.svc.p.AttemptMax)
		if !to.ep.breaker.closed.Load() {
			a.atMost(now, x.svc.p.Breaker.ProbeTimeout)
		}
	}
}

func (a *Attempt) atMost(now time.Time, d time.Duration) {
	if d > 0 && (a.until.IsZero() || a.until.Sub(now) > d) {
		a.until = now.Add(d)
	}
}

// freshBeside counts the other addresses that were not asked yet and may be.
func (x *Exec) freshBeside(to *route) (n int) {
	for i := range x.routes {
		if r := &x.routes[i]; r != to && r.failures == 0 && !r.dead && r.ep.breaker.closed.Load() {
			n++
		}
	}
	return n
}

// finish closes the books of an attempt that left.
func (a *Attempt) finish(err error) {
	a.ended = time.Now()
	latency := a.ended.Sub(a.Started)
	svc := a.x.svc
	a.verdict = svc.p.Breaker.Judge(err, latency)
	svc.stats.attempts.Add(1)
	if err == nil {
		svc.budget.Success()
		svc.hedges.Success()
		a.x.op.Observe(a.ended, latency)
	}
	if len(a.x.routes) > 1 {
		switch a.verdict {
		case Success:
			a.x.e.addresses.Worked(a.Endpoint.URL)
		case Failed:
			a.x.e.addresses.Failed(a.Endpoint.URL, a.ended)
		}
	}
	a.x.e.attemptEnded(a, err, latency)
}

// loaded is the latency as far as it tells how loaded the address is: that of an answer or a
// time-out, not that of a connection that was refused or a call that was canceled.
func (a *Attempt) loaded(err error) time.Duration {
	if err == nil {
		return a.ended.Sub(a.Started)
	}
	if a.verdict == Failed && fault.OutcomeOf(err) == fault.Unknown && errors.Is(err, fault.ErrTimeout) {
		return a.ended.Sub(a.Started)
	}
	return 0
}

func (x *Exec) won(a *Attempt) {
	x.tries++
	x.why = WhyDone
	x.last = a
}

// next decides on the next attempt and waits until it may start; nil ends the call.
func (x *Exec) next(ctx context.Context, a *Attempt, err error) *Attempt {
	f := x.classify(a, err)
	x.failed = append(x.failed, f)
	local := !a.left
	if local {
		a.route.dead = true
	} else {
		x.tries++
		a.route.failures++
		a.route.down = f.Fault.Outcome == fault.Rejected
	}
	now := time.Now()
	there := x.best(a.route, now)
	s := x.situation(a.route, there, f, now)
	s.Canceled, s.Local = ctx.Err() != nil, local
	d := Decide(s)
	a.route.dead = a.route.dead || !s.repeats() && !f.Rule.DropToken
	x.why = d.Why
	if d.Verb == Stop {
		return nil
	}
	if !x.may(ctx, d, f) {
		return nil
	}
	if !local {
		x.svc.stats.retries.Add(1)
	}
	to := a.route
	if d.Verb == Elsewhere {
		to = there
	}
	n := &Attempt{x: x, Why: d.Why}
	x.start(n, to, time.Now())
	return n
}

// may pays for the next attempt, renews the token for it and waits until it may start.
func (x *Exec) may(ctx context.Context, d Decision, f *Failure) bool {
	if d.Spend && !x.svc.budget.Take() {
		x.why = WhyBudget
		return false
	}
	if d.Renew {
		x.renewed = true
		if x.Renew == nil || !x.Renew(ctx, f.Fault) {
			x.why = WhyUseless
		}
	}
	if x.why != WhyUseless && d.Delay > 0 && sleep(ctx, d.Delay) != nil {
		x.why = WhyCanceled
	}
	if x.why == d.Why {
		return true
	}
	if d.Spend {
		x.svc.budget.Return()
	}
	return false
}

func (x *Exec) situation(here, there *route, f *Failure, now time.Time) Situation {
	s := Situation{
		Class: x.Class, Rule: f.Rule, RetryAfter: f.Fault.RetryAfter, Attempts: x.tries, MaxAttempts: max(x.svc.p.MaxAttempts, 1),
		Same: int(here.failures), MinShare: x.svc.p.MinShare, Budget: x.svc.budget.Has(), Renewed: x.renewed, Remaining: time.Hour,
	}
	s.Here = Target{Exists: true, First: here.URL == x.first, Asked: true, Dead: here.dead, Down: here.down}
	if there != nil {
		s.There = Target{Exists: true, First: there.URL == x.first, Asked: there.failures > 0, Dead: there.dead, Down: there.down, Good: there.ep.breaker.good()}
	}
	if !x.Deadline.IsZero() {
		s.Remaining = x.Deadline.Sub(now)
	}
	if x.backoff == nil {
		x.backoff = x.svc.backoff()
	}
	if s.Pause = x.backoff.NextBackOff(); s.Pause == backoff.Stop {
		s.MaxAttempts = x.tries // the extension point has had enough
	}
	return s
}

// best is the other address that promises most: one that was not asked yet, else one that did
// not say itself that it is down, else the one that failed least; in the order to ask.
func (x *Exec) best(here *route, now time.Time) *route {
	var best *route
	for i := range x.routes {
		r := &x.routes[i]
		if r == here || r.dead || !r.ep.breaker.Ready(now) {
			continue
		}
		if best == nil || r.rank() < best.rank() {
			best = r
		}
	}
	return best
}

func (r *route) rank() int32 {
	if r.down {
		return r.failures + 1<<10
	}
	return r.failures
}

func (x *Exec) info() Info {
	i := Info{Attempts: x.tries + x.hedges, Why: x.why, Latency: x.now.Sub(x.Started)}
	if x.last != nil && i.Attempts > 0 {
		i.Endpoint, i.Hedged = x.last.Endpoint, x.last.Hedge
		i.Alternate = i.Endpoint.URL != x.first
	}
	return i
}
