package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

const testTicket = "8d5f2b1e-7c41-4c0e-9f0a-1b2c3d4e5f60"

// scenarios are calls that end in every way there is.
var scenarios = []struct {
	name    string
	policy  func(*resilience.Policy)
	call    resilience.Call
	before  func(e *resilience.Engine)
	ctx     func() context.Context
	send    send
	want    map[string]string // attributes of the span, beside operation, service and class
	events  int               // attempts
	refused string            // ehealth.refusal.reason
	end     string
	line    string
}{
	{
		name: "answer", call: resilience.Call{Endpoints: bothAddresses}, send: answers(), events: 1, end: "done", line: "call done",
		want: map[string]string{"ehealth.outcome": "done", "ehealth.hedged": "false", "ehealth.call.attempts": "1", "server.address": "services.example.be"},
	},
	{
		name: "answer of the alternate", call: resilience.Call{Endpoints: bothAddresses}, send: answers(soa("SOA-02001")), events: 2, end: "done", line: "call degraded",
		want: map[string]string{"ehealth.outcome": "done", "ehealth.hedged": "false", "ehealth.call.attempts": "2", "server.address": "other.example.be", "server.port": "8443"},
	},
	{
		name: "refused by the platform", call: resilience.Call{Endpoints: bothAddresses}, send: answers(soa("SOA-01002")), events: 1, end: "useless", line: "call failed",
		want: map[string]string{
			"ehealth.outcome": "rejected", "error.type": "denied", "ehealth.error.code": "SOA-01002", "ehealth.ticket": testTicket,
			"ehealth.call.attempts": "1", "server.address": "services.example.be",
		},
	},
	{
		name: "write with an unknown outcome", call: resilience.Call{Endpoints: bothAddresses, Class: resilience.UnsafeWrite},
		send: answers(&fault.Error{Kind: fault.Timeout, Notice: "D-INS-UNKNOWN"}), events: 1, end: "outcome_unknown", line: "call failed",
		want: map[string]string{
			"ehealth.outcome": "unknown", "error.type": "timeout", "ehealth.notice": "D-INS-UNKNOWN", "ehealth.call.attempts": "1", "server.address": "services.example.be",
		},
	},
	{
		name: "not classified", call: resilience.Call{Endpoints: bothAddresses[:1], Class: resilience.UnsafeWrite}, send: answers(errors.New("Janssens")), events: 1, end: "outcome_unknown", line: "call failed",
		want: map[string]string{"ehealth.outcome": "unknown", "error.type": "unavailable", "ehealth.call.attempts": "1", "server.address": "services.example.be"},
	},
	{
		name: "security", call: resilience.Call{Endpoints: bothAddresses[:1]}, send: answers(&fault.Error{Kind: fault.Security, Notice: "D-WRONG"}), events: 1, end: "useless", line: "call refused for security",
		want: map[string]string{"ehealth.outcome": "unknown", "error.type": "security", "ehealth.notice": "D-WRONG", "ehealth.call.attempts": "1", "server.address": "services.example.be"},
	},
	{
		name: "no address", send: answers(), end: "refused_here", refused: "local", line: "call failed",
		want: map[string]string{"ehealth.outcome": "not_sent", "error.type": "local", "ehealth.call.attempts": "0"},
	},
	{
		name: "budget is empty", call: resilience.Call{Endpoints: bothAddresses[:1]}, policy: func(p *resilience.Policy) {
			p.Budget = resilience.BudgetPolicy{Capacity: 1, PerRetry: 1, PerSuccess: 0.001}
		},
		send: answers(soa("SOA-02002"), soa("SOA-02002"), soa("SOA-02002"), soa("SOA-02002")), events: 2, end: "budget", refused: "budget", line: "call failed",
		want: map[string]string{
			"ehealth.outcome": "rejected", "error.type": "unavailable", "ehealth.error.code": "SOA-02002", "ehealth.ticket": testTicket,
			"ehealth.call.attempts": "2", "server.address": "services.example.be",
		},
	},
	{
		name: "breaker is open", call: resilience.Call{Endpoints: bothAddresses[:1]}, send: answers(), end: "useless", line: "call failed",
		before: func(e *resilience.Engine) { e.ForceOpen(testService, urlFirst, "maintenance", time.Time{}) },
		want:   map[string]string{"ehealth.outcome": "not_sent", "error.type": "unavailable", "ehealth.call.attempts": "0", "server.address": "services.example.be"},
	},
	{
		name: "canceled before", call: resilience.Call{Endpoints: bothAddresses}, send: answers(context.Canceled), events: 1, end: "canceled", line: "call canceled",
		ctx:  func() context.Context { ctx, cancel := context.WithCancel(context.Background()); cancel(); return ctx },
		want: map[string]string{"ehealth.outcome": "unknown", "error.type": "canceled", "ehealth.call.attempts": "1", "server.address": "services.example.be"},
	},
}

func TestSpanOfACall(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			r := newRig(t)
			p := quick()
			if sc.policy != nil {
				sc.policy(&p)
			}
			var told resilience.Event
			e := r.engine(resilience.Config{Policy: p, Observers: []func(resilience.Event){func(ev resilience.Event) {
				if ev.Call {
					told = ev
				}
			}}})
			if sc.before != nil {
				sc.before(e)
			}
			ctx := context.Background()
			if sc.ctx != nil {
				ctx = sc.ctx()
			}
			err := r.do(ctx, e, sc.call, sc.send)
			spans := r.spans.GetSpans()
			if len(spans) != 1 {
				t.Fatalf("%d spans", len(spans))
			}
			s := spans[0]
			got := attrMap(s.Attributes)
			for k, v := range map[string]string{"ehealth.operation": "insurability.Check", "ehealth.service": testService, "ehealth.class": className(sc.call.Class)} {
				if got[k] != v {
					t.Errorf("%s = %q, want %q", k, got[k], v)
				}
				delete(got, k)
			}
			if retry := got["ehealth.retry_after"]; (retry != "") != (fmt.Sprint(retryAfter(err)) != "0s") {
				t.Errorf("retry_after %q, error %v", retry, retryAfter(err))
			}
			delete(got, "ehealth.retry_after")
			if fmt.Sprint(got) != fmt.Sprint(sc.want) {
				t.Errorf("attributes\n got %v\nwant %v", got, sc.want)
			}
			if s.Name != "insurability.Check" || s.SpanKind != trace.SpanKindClient || len(s.Events) != sc.events {
				t.Errorf("%q %v, %d events", s.Name, s.SpanKind, len(s.Events))
			}
			sameStory(t, s, told, err)
			if m := r.metrics(); sum(m["ehealth.client.calls"], "ehealth.call.end", sc.end) != 1 || sum(m["ehealth.client.calls"]) != 1 {
				t.Errorf("calls: %v", m["ehealth.client.calls"])
			} else if sum(m["ehealth.client.refusals"]) != 0 != (sc.refused != "") || sc.refused != "" && sum(m["ehealth.client.refusals"], "ehealth.refusal.reason", sc.refused) != 1 {
				t.Errorf("refusals: %v", m["ehealth.client.refusals"])
			}
			callLines := slices.DeleteFunc(r.lines(), func(l map[string]any) bool { return l["op"] == nil })
			if len(callLines) != 1 || callLines[0]["msg"] != sc.line {
				t.Errorf("log: %v", callLines)
			}
		})
	}
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// sameStory checks that the span says what the event of the call says, which is told by another
// layer.
func sameStory(t *testing.T, s tracetest.SpanStub, ev resilience.Event, err error) {
	t.Helper()
	got := attrMap(s.Attributes)
	kind := ""
	if ev.Kind != 0 {
		kind = words(ev.Kind.String())
	}
	if got["error.type"] != kind || got["ehealth.outcome"] != words(ev.Outcome.String()) || got["ehealth.error.code"] != ev.Code {
		t.Errorf("span %v\nevent %+v", got, ev)
	}
	if got["ehealth.call.attempts"] != fmt.Sprint(ev.Attempt) {
		t.Errorf("span has %s attempts, event %d", got["ehealth.call.attempts"], ev.Attempt)
	}
	if want := (err != nil); want != (s.Status.Code == codes.Error) || s.Status.Description != kind {
		t.Errorf("status %+v for %v", s.Status, err)
	}
}

func TestAttemptsAreEvents(t *testing.T) {
	r := newRig(t)
	e := r.engine(resilience.Config{Policy: quick()})
	if err := r.do(context.Background(), e, resilience.Call{Endpoints: bothAddresses}, answers(soa("SOA-02001"))); err != nil {
		t.Fatal(err)
	}
	events := r.spans.GetSpans()[0].Events
	want := []map[string]string{
		{
			"ehealth.attempt.number": "1", "ehealth.attempt.reason": "first", "ehealth.hedged": "false", "ehealth.endpoint.alternate": "false", "server.address": "services.example.be",
			"ehealth.outcome": "rejected", "error.type": "unavailable", "ehealth.error.code": "SOA-02001", "ehealth.ticket": testTicket,
		},
		{
			"ehealth.attempt.number": "2", "ehealth.attempt.reason": "switch", "ehealth.hedged": "false", "ehealth.endpoint.alternate": "true", "server.address": "other.example.be", "server.port": "8443",
			"ehealth.outcome": "done",
		},
	}
	if len(events) != len(want) {
		t.Fatalf("%d events", len(events))
	}
	for i, ev := range events {
		got := attrMap(ev.Attributes)
		if got["ehealth.attempt.duration"] == "" {
			t.Error("no duration")
		}
		delete(got, "ehealth.attempt.duration")
		if ev.Name != eventAttempt || fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("event %d\n got %v\nwant %v", i, got, want[i])
		}
	}
	m := r.metrics()["ehealth.client.attempts"]
	if sum(m, "ehealth.attempt.reason", "first", "ehealth.attempt.verdict", "failure", "ehealth.error.code", "SOA-02001") != 1 || sum(m, "ehealth.attempt.reason", "switch", "ehealth.attempt.verdict", "success") != 1 || sum(m) != 2 {
		t.Errorf("attempts: %v", m)
	}
}

// TestHedge: the hedge's context does not come from that of the call, but its children belong
// into the call's span all the same.
func TestHedge(t *testing.T) {
	r := newRig(t)
	synctest.Test(t, func(t *testing.T) {
		p := quick()
		p.Hedge = resilience.HedgePolicy{Quantile: 0.9, MinSamples: 5, MinDelay: time.Second}
		e, err := resilience.New(resilience.Config{Policy: p, Observers: []func(resilience.Event){r.Observer()}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for range 40 {
			if err := r.do(t.Context(), e, resilience.Call{Endpoints: bothAddresses[:1]}, func(context.Context, *resilience.Attempt, int) (int, error) {
				time.Sleep(10 * time.Millisecond)
				return 1, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		r.spans.Reset()
		var inside trace.SpanContext
		err = r.do(t.Context(), e, resilience.Call{Endpoints: bothAddresses[:1]}, func(ctx context.Context, a *resilience.Attempt, _ int) (int, error) {
			if a.Hedge {
				inside = trace.SpanContextFromContext(ctx)
				return 2, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s := r.spans.GetSpans()
		if len(s) != 1 || !inside.IsValid() || s[0].SpanContext.SpanID() != inside.SpanID() {
			t.Fatalf("%d spans, the hedge ran in %v", len(s), inside)
		}
		got := attrMap(s[0].Attributes)
		if got["ehealth.hedged"] != "true" || got["ehealth.call.attempts"] != "2" || len(s[0].Events) != 2 {
			t.Errorf("%v, %d events", got, len(s[0].Events))
		}
	})
	m := r.metrics()
	if sum(m["ehealth.client.calls"], "ehealth.hedged", "true") != 1 || sum(m["ehealth.client.attempts"], "ehealth.attempt.reason", "hedge") != 1 {
		t.Errorf("%v\n%v", m["ehealth.client.calls"], m["ehealth.client.attempts"])
	}
}

func TestPanicEndsTheSpan(t *testing.T) {
	r := newRig(t)
	e := r.engine(resilience.Config{Policy: quick()})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = r.do(context.Background(), e, resilience.Call{Endpoints: bothAddresses}, func(context.Context, *resilience.Attempt, int) (int, error) { panic("Janssens") })
	}()
	s := r.spans.GetSpans()
	if len(s) != 1 || s[0].Status.Code != codes.Error || attrMap(s[0].Attributes)["error.type"] != "panic" {
		t.Fatalf("%+v", s)
	}
	if n := r.live.Load(); n != 0 {
		t.Errorf("%d calls are still held", n)
	}
}

// TestParent: the span is a child of the caller's, and what an attempt does is a child of it.
func TestParent(t *testing.T) {
	r := newRig(t)
	e := r.engine(resilience.Config{Policy: quick()})
	ctx, parent := r.tracer.Start(context.Background(), "person presses a key")
	var inside trace.SpanContext
	if err := r.do(ctx, e, resilience.Call{Endpoints: bothAddresses}, func(ctx context.Context, _ *resilience.Attempt, _ int) (int, error) {
		inside = trace.SpanContextFromContext(ctx)
		return 1, nil
	}); err != nil {
		t.Fatal(err)
	}
	parent.End()
	s := r.spans.GetSpans()[0]
	if s.Parent.SpanID() != parent.SpanContext().SpanID() || s.SpanContext.SpanID() != inside.SpanID() {
		t.Errorf("parent %v, inside %v", s.Parent, inside)
	}
}

func TestNilTelemetryHasNoLayers(t *testing.T) {
	e, err := resilience.New(resilience.Config{Policy: quick()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got, _, err := resilience.NewPipeline(e, Layers[int, int](nil), answers()).Do(context.Background(), &resilience.Call{Op: "x", Service: "s", Endpoints: bothAddresses}, 0)
	if err != nil || got != 1 {
		t.Error(got, err)
	}
}
