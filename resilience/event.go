package resilience

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// Event is what an observer learns: one per attempt that left, and one per call. It holds no
// personal data: no message, no path, no identifier of a person.
type Event struct {
	Call     bool // the end of a call; false: of one attempt
	Op       string
	Service  string
	Endpoint string // host of the address, "" when none was asked
	Class    Class
	Attempt  int           // number of the attempt; of a call: how many left, hedges included
	Outcome  fault.Outcome // Done for success
	Kind     fault.Kind    // 0 for success
	Code     string        // code of the platform or the service, only if it looks like one
	Hedged   bool          // this attempt is a hedge; of a call: a hedge answered it
	Why      Why           // why the attempt was made; of a call: why it ended
	Verdict  Verdict       // of an attempt: what it says about the address
	Started  time.Time
	Latency  time.Duration
}

func (e *Engine) attemptEnded(a *Attempt, err error, latency time.Duration) {
	if a.ep.site != nil {
		e.health.attempt(a.ep.site, a.evidence(err, latency), a.ended)
	}
	if len(e.observers.get()) == 0 {
		return
	}
	ev := Event{
		Op: a.x.Op, Service: a.x.svc.name, Endpoint: a.ep.host, Class: a.x.Class, Attempt: a.No, Hedged: a.Hedge, Why: a.Why,
		Verdict: a.verdict, Started: a.Started, Latency: latency,
	}
	ev.failed(err)
	e.observers.tell(ev)
}

func (a *Attempt) evidence(err error, latency time.Duration) evidence {
	ev := evidence{verdict: a.verdict, latency: latency, slow: err == nil && a.verdict == Failed}
	if a.verdict == Failed && fault.OutcomeOf(err) == fault.NotSent {
		k := fault.KindOf(err)
		ev.dialing = k == fault.Unavailable || k == fault.Timeout
		ev.offline = ev.dialing && offline(err)
	}
	return ev
}

// offline recognises errors of a computer without network: no route, or no name server that
// answers. A name that does not exist is not among them.
func offline(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound
	}
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.ENETDOWN)
}

func (ev *Event) failed(err error) {
	ev.Outcome = fault.Done
	if err == nil {
		return
	}
	ev.Outcome, ev.Kind = fault.OutcomeOf(err), fault.KindOf(err)
	if ev.Kind == 0 {
		ev.Kind = bareKind(err)
	}
	if fe, ok := errors.AsType[*fault.Error](err); ok {
		ev.Code = codeLike(fe.Code)
	}
}

// codeLike returns s if it looks like a code: short, without anything that occurs in text.
// Eleven digits in a row could be a person's number.
func codeLike(s string) string {
	digits := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			if digits++; digits >= 11 {
				return ""
			}
			continue
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '_', c == '.', c == ':':
		default:
			return ""
		}
		if c != '.' && c != '-' { // these may separate the digits of one number
			digits = 0
		}
	}
	if len(s) > 40 {
		return ""
	}
	return s
}

// ended tells the end of a call.
func (x *Exec) ended(err error) {
	if err == nil && x.last != nil {
		x.now = x.last.ended
	} else {
		x.now = time.Now()
	}
	if err == nil {
		x.svc.stats.succeeded.Add(1)
	} else {
		x.svc.stats.failed.Add(1)
	}
	if len(x.e.observers.get()) == 0 {
		return
	}
	ev := Event{
		Call: true, Op: x.Op, Service: x.svc.name, Class: x.Class, Attempt: x.tries + x.hedges, Why: x.why, Started: x.Started,
		Latency: x.now.Sub(x.Started),
	}
	if x.last != nil && ev.Attempt > 0 {
		ev.Endpoint, ev.Hedged = x.last.ep.host, x.last.Hedge
	}
	ev.failed(err)
	x.e.observers.tell(ev)
}

// classify makes a *Failure of whatever error an attempt ended in.
func (x *Exec) classify(a *Attempt, err error) *Failure {
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		if r, refused := errors.AsType[*Refusal](err); refused {
			f = r.failure()
		} else if fe, classified := errors.AsType[*fault.Error](err); classified {
			f = &Failure{Fault: fe, Rule: plainRule(fe.Kind, fe.Outcome)}
		} else {
			k := bareKind(err)
			o := unsent(a, err)
			f = &Failure{Fault: &fault.Error{Kind: k, Outcome: o, Err: err}, Rule: plainRule(k, o)}
		}
	}
	if f.Fault.Op == "" { // a copy: the transport's own may be shared
		e := *f.Fault
		e.Op, e.Service, e.Endpoint = x.Op, x.svc.name, a.Endpoint.URL
		f = &Failure{Fault: &e, Rule: f.Rule, NotHere: f.NotHere}
	}
	return f
}

// unsent is the outcome of an unclassified error: an attempt that was still waiting for its
// place when ctx ended certainly was not sent.
func unsent(a *Attempt, err error) fault.Outcome {
	if !a.left && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return fault.NotSent
	}
	return fault.Unknown
}

// plainRule is the advice for an error that came without: what is temporary may be repeated as
// far as its outcome and the class allow.
func plainRule(k fault.Kind, o fault.Outcome) fault.Rule {
	r := fault.Rule{Kind: k, Outcome: o}
	switch {
	case !k.Temporary():
	case o == fault.NotSent:
		r.Retry, r.Switch = fault.RetryWithBackoff, fault.SwitchYes
	case o == fault.Rejected:
		r.Retry, r.Switch = fault.RetryWithBackoff, fault.SwitchAfterRepeat
	default:
		r.Retry, r.Switch = fault.RetryReadsOnly, fault.SwitchReadsOnly
	}
	return r
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*Refusal](err)
	return ok
}

// final makes a *fault.Error of an error that no attempt is behind: of a call layer.
func (x *Exec) final(ctx context.Context, err error) error {
	if fe, ok := errors.AsType[*fault.Error](err); ok && fe != nil {
		return err
	}
	fe := &fault.Error{Op: x.Op, Service: x.svc.name, Kind: bareKind(err), Outcome: fault.NotSent, Err: err}
	if r, ok := errors.AsType[*Refusal](err); ok {
		fe = r.failure().Fault
		fe.Op, fe.Service = x.Op, x.svc.name
		x.svc.stats.refusals.Add(1)
	}
	if ctx.Err() != nil {
		fe.Kind = bareKind(ctx.Err())
		x.why = WhyCanceled
	} else {
		x.why = WhyRefused
	}
	return fe
}

// verdict turns the failed attempts into the one error of the call: the first of the most
// informative ones (a fault with a code outranks a bare time-out), with the gravest outcome of
// all.
func (x *Exec) verdict(ctx context.Context) error {
	best := x.failed[0]
	for _, f := range x.failed[1:] {
		if informative(f) > informative(best) {
			best = f
		}
	}
	e := *best.Fault
	e.Attempts = x.tries + x.hedges
	causes := []error{e.Err}
	for _, f := range x.failed {
		if grave(f.Fault.Outcome) > grave(e.Outcome) {
			e.Outcome = f.Fault.Outcome
		}
		if f != best {
			causes = append(causes, f.Fault)
		}
	}
	if x.why == WhyBudget {
		causes = append(causes, ErrBudget)
		x.svc.stats.budgetRefusals.Add(1)
	}
	if len(causes) > 1 {
		e.Err = errors.Join(causes...)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Kind = fault.Canceled
	}
	return &e
}

func informative(f *Failure) int {
	switch {
	case f.Fault.Kind == fault.Security:
		return 4
	case f.Fault.Ticket != "" || fault.IsSOA(f.Fault.Code):
		return 3
	case f.Fault.Code != "":
		return 2
	case isRefusal(f.Fault.Err):
		return 0
	}
	return 1
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

// counters are the numbers behind Stats.
type counters struct {
	calls, succeeded, failed, attempts, retries, hedges, probes atomic.Int64
	refusals, breakerRefusals, budgetRefusals                   atomic.Int64
}

// Stats is what one service did since the engine was made.
type Stats struct {
	Service   string
	Calls     int64 // begun
	Succeeded int64
	Failed    int64
	Attempts  int64 // that left, hedges included
	Retries   int64 // attempts after the first, hedges not included
	Hedges    int64
	Probes    int64 // cheap ones
	// Refused: by bulkhead, rate and adaptive limit; NotAllowed: by an open breaker;
	// NotRetried: calls that failed for want of a token.
	Refused, NotAllowed, NotRetried int64
	Budget                          float64 // tokens left, -1 = no budget
	InFlight                        int
	Endpoints                       []EndpointStats
}

// EndpointStats is the state of one address.
type EndpointStats struct {
	Snapshot
	Limit int // adaptive limit now, -1 = none
}

// Stats returns the numbers of every service that was called.
func (e *Engine) Stats() []Stats {
	var out []Stats
	for _, s := range *e.services.Load() {
		c := &s.stats
		st := Stats{
			Service: s.name, Calls: c.calls.Load(), Succeeded: c.succeeded.Load(), Failed: c.failed.Load(), Attempts: c.attempts.Load(),
			Retries: c.retries.Load(), Hedges: c.hedges.Load(), Probes: c.probes.Load(), Refused: c.refusals.Load(),
			NotAllowed: c.breakerRefusals.Load(), NotRetried: c.budgetRefusals.Load(), Budget: s.budget.Level(), InFlight: s.bulkhead.InFlight(),
		}
		for _, ep := range *s.endpoints.Load() {
			st.Endpoints = append(st.Endpoints, EndpointStats{ep.breaker.Snapshot(), ep.limiter.Limit()})
		}
		out = append(out, st)
	}
	return out
}
