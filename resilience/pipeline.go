package resilience

import (
	"context"
	"time"
)

// Handler does one thing of a call, for a call X = [Exec] or for one attempt of it X =
// [Attempt].
type Handler[X, Req, Resp any] func(ctx context.Context, x *X, req Req) (Resp, error)

// Layer wraps a handler: it may act before and after, refuse, or measure.
type Layer[X, Req, Resp any] struct {
	Name string // in Describe
	Wrap func(next Handler[X, Req, Resp]) Handler[X, Req, Resp]
}

type (
	// CallLayer runs once per call, such as a ledger.
	CallLayer[Req, Resp any] = Layer[Exec, Req, Resp]
	// AttemptLayer runs once per attempt, hedges included, such as a signature with a fresh
	// timestamp.
	AttemptLayer[Req, Resp any] = Layer[Attempt, Req, Resp]
	// Send makes one attempt: it sends req to a.Endpoint and returns the answer, wholly read,
	// within ctx. Its error should be a *[Failure] or a *fault.Error; another one counts as
	// unavailable with an unknown outcome.
	Send[Req, Resp any] = Handler[Attempt, Req, Resp]
)

// Layers are a user's own, at the two places where they make sense.
type Layers[Req, Resp any] struct {
	PerCall    []CallLayer[Req, Resp]    // before a place is taken, in this order
	PerAttempt []AttemptLayer[Req, Resp] // right around Send, in this order
}

// Pipeline is the chain of policies around one kind of call. It is safe for concurrent use.
type Pipeline[Req, Resp any] struct {
	engine  *Engine
	names   []string
	call    Handler[Exec, Req, Resp]
	attempt Handler[Attempt, Req, Resp]
	races   racePool[Req, Resp]
}

// NewPipeline builds the chain, which is, from the outside in:
//
//	once per call     event · own layers · bulkhead · rate · retry
//	once per attempt  hedge · breaker · limit · event · own layers · send
//
// The deadline of a call bounds every wait in it, but as a value, [Exec.Deadline]: only an
// attempt has a context that ends at its share, because only an attempt can hang.
func NewPipeline[Req, Resp any](e *Engine, own Layers[Req, Resp], send Send[Req, Resp]) *Pipeline[Req, Resp] {
	p := &Pipeline[Req, Resp]{engine: e}
	perCall := append([]CallLayer[Req, Resp]{{"event", callEvent[Req, Resp]}}, own.PerCall...)
	perCall = append(perCall, CallLayer[Req, Resp]{"bulkhead", bulkhead[Req, Resp]}, CallLayer[Req, Resp]{"rate", rateLimit[Req, Resp]})
	perAttempt := append([]AttemptLayer[Req, Resp]{
		{"hedge", p.hedge}, {"breaker", breaker[Req, Resp]}, {"limit", limit[Req, Resp]}, {"event", attemptEvent[Req, Resp]},
	}, own.PerAttempt...)
	p.call = compose(perCall, p.retry)
	p.attempt = compose(perAttempt, send)
	for _, l := range perCall {
		p.names = append(p.names, "call/"+l.Name)
	}
	p.names = append(p.names, "call/retry")
	for _, l := range perAttempt {
		p.names = append(p.names, "attempt/"+l.Name)
	}
	p.names = append(p.names, "attempt/send")
	return p
}

// compose wraps the layers around the innermost handler, the first one outermost.
func compose[X, Req, Resp any](layers []Layer[X, Req, Resp], inner Handler[X, Req, Resp]) Handler[X, Req, Resp] {
	for i := len(layers) - 1; i >= 0; i-- {
		inner = layers[i].Wrap(inner)
	}
	return inner
}

// Describe returns the names of the layers from the outside in.
func (p *Pipeline[Req, Resp]) Describe() []string { return append([]string(nil), p.names...) }

// Do makes one call. The error is a *fault.Error, made of all attempts: the most informative
// of them with the gravest outcome; the others are joined to its Err. A call that succeeded or
// failed returns at once when ctx ends.
func (p *Pipeline[Req, Resp]) Do(ctx context.Context, c *Call, req Req) (Resp, Info, error) {
	x := p.engine.begin(ctx, c)
	resp, err := p.call(ctx, x, req)
	return resp, x.info(), err
}

func callEvent[Req, Resp any](next Handler[Exec, Req, Resp]) Handler[Exec, Req, Resp] {
	return func(ctx context.Context, x *Exec, req Req) (Resp, error) {
		resp, err := next(ctx, x, req)
		if err != nil {
			err = x.final(ctx, err)
		}
		x.ended(err)
		return resp, err
	}
}

func bulkhead[Req, Resp any](next Handler[Exec, Req, Resp]) Handler[Exec, Req, Resp] {
	return func(ctx context.Context, x *Exec, req Req) (resp Resp, err error) {
		waited, err := x.svc.bulkhead.Acquire(ctx, x.Deadline)
		if err != nil {
			return resp, err
		}
		if waited {
			x.now = time.Now()
		}
		defer x.svc.bulkhead.Release()
		return next(ctx, x, req)
	}
}

func rateLimit[Req, Resp any](next Handler[Exec, Req, Resp]) Handler[Exec, Req, Resp] {
	return func(ctx context.Context, x *Exec, req Req) (resp Resp, err error) {
		waited, err := x.svc.rate.Wait(ctx, x.now, x.Deadline)
		if err != nil {
			return resp, err
		}
		if waited {
			x.now = time.Now()
		}
		return next(ctx, x, req)
	}
}

// retry is the loop: attempts one after the other, until one succeeds or Decide says stop.
func (p *Pipeline[Req, Resp]) retry(ctx context.Context, x *Exec, req Req) (resp Resp, err error) {
	if len(x.routes) == 0 {
		return resp, &Refusal{By: ErrNoEndpoint}
	}
	for a := x.firstAttempt(); ; {
		resp, err = p.try(ctx, a, req)
		if err == nil {
			x.won(a)
			return resp, nil
		}
		if a = x.next(ctx, a, err); a == nil {
			var none Resp
			return none, x.verdict(ctx)
		}
	}
}

// try makes one attempt within its share of the time that is left.
func (p *Pipeline[Req, Resp]) try(ctx context.Context, a *Attempt, req Req) (Resp, error) {
	ctx, a.cancel = within(ctx, a.until)
	defer a.cancel()
	return p.attempt(ctx, a, req)
}

// within returns a context that ends at the deadline; zero: none.
func within(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline)
}

func breaker[Req, Resp any](next Handler[Attempt, Req, Resp]) Handler[Attempt, Req, Resp] {
	return func(ctx context.Context, a *Attempt, req Req) (resp Resp, err error) {
		b := a.ep.breaker
		permit, err := b.Allow(a.Started)
		if err != nil {
			a.x.svc.stats.breakerRefusals.Add(1)
			return resp, err
		}
		returned := false
		defer func() {
			if !returned { // send panicked: the probe of a half-open breaker must not be lost
				b.Record(permit, time.Now(), Ignored, nil)
			}
		}()
		resp, err = next(ctx, a, req)
		returned = true
		cause := err
		if err == nil && a.verdict == Failed {
			cause = errSlow
		}
		b.Record(permit, a.ended, a.verdict, cause)
		return resp, err
	}
}

func limit[Req, Resp any](next Handler[Attempt, Req, Resp]) Handler[Attempt, Req, Resp] {
	return func(ctx context.Context, a *Attempt, req Req) (resp Resp, err error) {
		l := a.ep.limiter
		waited, err := l.Acquire(ctx, a.until, !a.Hedge)
		if err != nil {
			a.ended = time.Now()
			a.x.svc.stats.refusals.Add(1)
			return resp, err
		}
		if waited {
			a.Started = time.Now()
		}
		defer func() { l.Release(a.loaded(err)) }()
		return next(ctx, a, req)
	}
}

func attemptEvent[Req, Resp any](next Handler[Attempt, Req, Resp]) Handler[Attempt, Req, Resp] {
	return func(ctx context.Context, a *Attempt, req Req) (Resp, error) {
		a.left = true
		resp, err := next(ctx, a, req)
		a.finish(err)
		return resp, err
	}
}
