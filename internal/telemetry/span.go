package telemetry

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// Layers are both layers of spans, for [resilience.NewPipeline].
func Layers[Req, Resp any](t *Telemetry) resilience.Layers[Req, Resp] {
	return resilience.Layers[Req, Resp]{
		PerCall:    []resilience.CallLayer[Req, Resp]{CallLayer[Req, Resp](t)},
		PerAttempt: []resilience.AttemptLayer[Req, Resp]{AttemptLayer[Req, Resp](t)},
	}
}

// CallLayer makes one span per call. It should be the first of the layers per call, so that the
// others are inside the span. A nil Telemetry makes none.
//
// Without an SDK a call pays for the span that the API makes, less than 300 ns and three
// allocations; so does one that is not sampled.
func CallLayer[Req, Resp any](t *Telemetry) resilience.CallLayer[Req, Resp] {
	type handler = resilience.Handler[resilience.Exec, Req, Resp]
	return resilience.CallLayer[Req, Resp]{Name: "span", Wrap: func(next handler) handler {
		if t == nil {
			return next
		}
		return func(ctx context.Context, x *resilience.Exec, req Req) (Resp, error) {
			st := t.startOf(x.Call)
			ctx, span := t.tracer.Start(ctx, st.name, st.options...)
			if !span.IsRecording() {
				defer span.End()
				return next(ctx, x, req)
			}
			r := &record{span: span}
			t.calls.Store(x, r)
			t.live.Add(1)
			returned := false
			defer func() {
				t.calls.Delete(x)
				t.live.Add(-1)
				if !returned {
					span.SetAttributes(keyError.String("panic"))
					span.SetStatus(codes.Error, "panic")
				}
				span.End()
			}()
			resp, err := next(ctx, x, req)
			returned = true
			t.ended(ctx, r, err)
			return resp, err
		}
	}}
}

// AttemptLayer adds one event per attempt to the span of its call, and puts that span into the
// context of a hedge, which does not come from that of the call. It does nothing without
// [CallLayer]. An attempt that is still under way when its call ends leaves no event.
func AttemptLayer[Req, Resp any](t *Telemetry) resilience.AttemptLayer[Req, Resp] {
	type handler = resilience.Handler[resilience.Attempt, Req, Resp]
	return resilience.AttemptLayer[Req, Resp]{Name: "span", Wrap: func(next handler) handler {
		if t == nil {
			return next
		}
		return func(ctx context.Context, a *resilience.Attempt, req Req) (Resp, error) {
			r := t.recordOf(a)
			if r == nil {
				return next(ctx, a, req)
			}
			if a.Hedge {
				ctx = trace.ContextWithSpan(ctx, r.span)
			}
			r.left()
			resp, err := next(ctx, a, req)
			t.attempted(r, a, err)
			return resp, err
		}
	}}
}

// record is a call whose span is recorded.
type record struct {
	span trace.Span

	mu       sync.Mutex
	attempts int
	endpoint string // host of the answer, else of the attempt that ended last
	answered bool
	original bool // by another attempt than a hedge: that answer is preferred
	hedged   bool
}

func (r *record) left() {
	r.mu.Lock()
	r.attempts++
	r.mu.Unlock()
}

func (t *Telemetry) recordOf(a *resilience.Attempt) *record {
	if t.live.Load() == 0 {
		return nil
	}
	if r, ok := t.calls.Load(a.Call()); ok {
		return r.(*record) //nolint:forcetypeassert // only CallLayer stores
	}
	return nil
}

type startKey struct {
	op, service string
	class       resilience.Class
}

// start is what a span begins with, ready for use.
type start struct {
	name    string
	options []trace.SpanStartOption
}

func (t *Telemetry) startOf(c *resilience.Call) *start {
	k := startKey{c.Op, c.Service, c.Class}
	if s, ok := t.starts.get(k); ok {
		return s
	}
	k.op, k.service = t.name(k.op), t.name(k.service)
	if k.op == "" {
		k.op = other
	}
	if s, ok := t.starts.get(k); ok {
		return s
	}
	s := &start{name: k.op, options: []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(keyOp.String(k.op), keyService.String(k.service), keyClass.String(className(k.class))),
	}}
	if in, ok := t.starts.put(k, s); ok {
		return in
	}
	return s
}

// ended writes what became of a call into its span.
func (t *Telemetry) ended(ctx context.Context, r *record, err error) {
	r.mu.Lock()
	attempts, endpoint, hedged := r.attempts, r.endpoint, r.hedged
	r.mu.Unlock()
	if err == nil {
		kvs := append(t.address(endpoint), keyOutcome.String("done"), keyHedged.Bool(hedged))
		if attempts > 0 {
			kvs = append(kvs, keyAttempts.Int(attempts))
		}
		r.span.SetAttributes(kvs...)
		return
	}
	f := failureOf(err)
	if !f.known {
		f.refused(ctx, err)
	}
	if f.attempts == 0 {
		f.attempts = attempts
	}
	if endpoint == "" {
		endpoint = hostOf(f.endpoint)
	}
	kvs := append(t.failed(&f), t.address(endpoint)...)
	r.span.SetAttributes(append(kvs, keyAttempts.Int(f.attempts))...)
	r.span.SetStatus(codes.Error, kindName(f.kind))
}

// attempted writes one attempt into the span of its call.
func (t *Telemetry) attempted(r *record, a *resilience.Attempt, err error) {
	took := time.Since(a.Started)
	endpoint := hostOf(a.Endpoint.URL)
	r.mu.Lock()
	switch answer := err == nil; {
	case answer && !r.original:
		r.endpoint, r.answered, r.original, r.hedged = endpoint, true, !a.Hedge, a.Hedge
	case !r.answered:
		r.endpoint = endpoint
	}
	r.mu.Unlock()
	kvs := append(make([]attribute.KeyValue, 0, 12), keyNumber.Int(a.No), keyReason.String(words(string(knownWhy(a.Why)))),
		keyHedged.Bool(a.Hedge), keyAlternate.Bool(a.Endpoint.Order > 0), keyDuration.Float64(took.Seconds()))
	kvs = append(kvs, t.address(endpoint)...)
	if err == nil {
		kvs = append(kvs, keyOutcome.String("done"))
	} else {
		f := failureOf(err)
		kvs = append(kvs, t.failed(&f)...)
	}
	r.span.AddEvent(eventAttempt, trace.WithAttributes(kvs...))
}

func (t *Telemetry) address(endpoint string) []attribute.KeyValue { return address(t.host(endpoint)) }

// failed returns the attributes of a failure.
func (t *Telemetry) failed(f *failure) []attribute.KeyValue {
	kvs := []attribute.KeyValue{keyOutcome.String(words(f.outcome.String())), keyError.String(kindName(f.kind))}
	for _, v := range [...]struct {
		key   attribute.Key
		value string
	}{{keyCode, t.code(f.code)}, {keyTicket, ticketLike(f.ticket)}, {keyNotice, noticeLike(f.notice)}} {
		if v.value != "" {
			kvs = append(kvs, v.key.String(v.value))
		}
	}
	if f.retryAfter > 0 {
		kvs = append(kvs, keyRetryAfter.Float64(f.retryAfter.Seconds()))
	}
	return kvs
}

// failure is what may be told of an error.
type failure struct {
	known                          bool // it is a *fault.Error
	kind                           fault.Kind
	outcome                        fault.Outcome
	code, ticket, notice, endpoint string
	attempts                       int
	retryAfter                     time.Duration
}

func failureOf(err error) failure {
	f := failure{kind: plainKind(err), outcome: fault.OutcomeOf(err)}
	if e, ok := errors.AsType[*fault.Error](err); ok && e != nil {
		f.known = true
		if e.Kind != 0 {
			f.kind = e.Kind
		}
		f.code, f.ticket, f.notice, f.endpoint = e.Code, e.Ticket, e.Notice, e.Endpoint
		f.attempts, f.retryAfter = e.Attempts, e.RetryAfter
	}
	return f
}

// refused judges an error that no attempt is behind as the pipeline will, outside of this layer.
func (f *failure) refused(ctx context.Context, err error) {
	f.outcome = fault.NotSent
	if r, ok := errors.AsType[*resilience.Refusal](err); ok {
		f.retryAfter = r.RetryAfter
		switch {
		case errors.Is(r.By, resilience.ErrBreakerOpen):
			f.kind = fault.Unavailable
		case errors.Is(r.By, resilience.ErrNoEndpoint):
			f.kind = fault.Local
		default:
			f.kind = fault.Throttled
		}
	}
	if ctx.Err() != nil {
		f.kind = plainKind(ctx.Err())
	}
}

// plainKind is the kind of an error that nobody classified.
func plainKind(err error) fault.Kind {
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Timeout
	}
	return fault.Unavailable
}
