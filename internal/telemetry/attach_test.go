package telemetry

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/ehealth-continuity/ehealth/resilience"
)

// TestAttach follows an address from good to bad and back through the real engine.
func TestAttach(t *testing.T) {
	r := newRig(t)
	synctest.Test(t, func(t *testing.T) {
		p := quick()
		p.MaxAttempts, p.Breaker.Consecutive = 1, 3
		e, err := resilience.New(resilience.Config{
			Policy: p, Functions: []resilience.Function{
				{Name: "insurability", Needs: []resilience.Need{{Service: testService}}},
				{Name: "login", Needs: []resilience.Need{{Service: "sts"}}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		stop, err := r.Attach(e)
		if err != nil {
			t.Fatal(err)
		}
		call := resilience.Call{Endpoints: bothAddresses[1:]}
		m := r.metrics()
		if got := m["ehealth.health.condition"]; len(got) != 2 || sum(got) != 0 {
			t.Errorf("at the start: %v", got)
		}
		for range 3 {
			_ = r.do(t.Context(), e, call, answers(soa("SOA-02001")))
		}
		_ = r.do(t.Context(), e, call, answers())
		synctest.Wait()
		m = r.metrics()
		at := []string{"ehealth.service", testService, "server.address", "other.example.be", "server.port", "8443"}
		if sum(m["ehealth.breaker.state"], at...) != 1 || sum(m["ehealth.breaker.changes"], append(at, "ehealth.breaker.to", "open")...) != 1 {
			t.Errorf("%v\n%v", m["ehealth.breaker.state"], m["ehealth.breaker.changes"])
		}
		if sum(m["ehealth.client.blocked_attempts"], "ehealth.blocked.by", "breaker") != 1 || sum(m["ehealth.client.blocked_attempts"], "ehealth.blocked.by", "limit") != 0 {
			t.Error(m["ehealth.client.blocked_attempts"])
		}
		if sum(m["ehealth.health.condition"], "ehealth.function", "insurability") != 3 || sum(m["ehealth.health.condition"], "ehealth.function", "login") != 0 {
			t.Error(m["ehealth.health.condition"])
		}
		if sum(m["ehealth.client.active_calls"]) != 0 || sum(m["ehealth.client.budget"], "ehealth.service", testService) <= 0 || sum(m["ehealth.client.concurrency_limit"], at...) <= 0 {
			t.Error(m["ehealth.client.active_calls"], m["ehealth.client.budget"], m["ehealth.client.concurrency_limit"])
		}
		for range 10 {
			time.Sleep(2 * time.Minute)
			_ = r.do(t.Context(), e, call, answers())
		}
		synctest.Wait()
		m = r.metrics()
		if sum(m["ehealth.breaker.state"]) != 0 || sum(m["ehealth.health.condition"]) != 0 {
			t.Errorf("%v\n%v", m["ehealth.breaker.state"], m["ehealth.health.condition"])
		}
		stop()
		before := sum(m["ehealth.client.calls"])
		_ = r.do(t.Context(), e, call, answers())
		if m = r.metrics(); sum(m["ehealth.client.calls"]) != before || len(m["ehealth.breaker.state"]) != 0 {
			t.Error("it goes on after stop", m["ehealth.client.calls"], m["ehealth.breaker.state"])
		}
	})
	count := map[string]int{}
	for _, l := range r.lines() {
		count[l["msg"].(string)]++ //nolint:forcetypeassert // slog writes a string
	}
	for msg, n := range map[string]int{
		"breaker open": 1, "breaker half-open": 1, "breaker closed": 1, "function down": 1, "function ok": 1, "call failed": 4, "call done": 10,
	} {
		if count[msg] != n {
			t.Errorf("%q stands %d times, %d wanted", msg, count[msg], n)
		}
	}
}

// TestHealthIsLoggedOncePerChange: what only moves the next check is no news.
func TestHealthIsLoggedOncePerChange(t *testing.T) {
	r := newRig(t)
	s := resilience.Status{Function: "f"}
	r.Health()(s) // fine from the start: nothing to say
	s.Condition = resilience.Down
	r.Health()(s)
	s.NextCheck = time.Now()
	r.Health()(s)
	s.Where = resilience.Platform
	r.Health()(s)
	s.Condition, s.Where = resilience.OK, resilience.Nowhere
	r.Health()(s)
	r.seed(resilience.Status{Function: "f", Condition: resilience.Down}) // older than what was told
	if got := r.lines(); len(got) != 3 {
		t.Errorf("%d lines: %v", len(got), got)
	}
	if m := r.metrics()["ehealth.health.condition"]; len(m) != 1 || m[0].value != 0 {
		t.Error(m)
	}
}

func TestConcurrentUse(t *testing.T) {
	r := newRig(t)
	e := r.engine(resilience.Config{Policy: quick()})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				c := resilience.Call{Op: "op" + string(rune('a'+(i+j)%16)), Service: testService, Endpoints: bothAddresses}
				_ = r.do(context.Background(), e, c, answers(soa("SOA-02001")))
			}
		})
	}
	for range 20 {
		r.metrics()
	}
	wg.Wait()
	if n := sum(r.metrics()["ehealth.client.calls"]); n != 400 {
		t.Errorf("%v calls", n)
	}
	if n := len(r.spans.GetSpans()); n != 400 {
		t.Errorf("%d spans", n)
	}
	left := 0
	r.calls.Range(func(any, any) bool { left++; return true })
	if left != 0 || r.live.Load() != 0 {
		t.Errorf("%d calls are kept, %d live", left, r.live.Load())
	}
}

var errMeter = errors.New("refused by the meter")

// brokenMeters refuses one instrument, or the callback.
type brokenMeters struct {
	noop.MeterProvider
	name string
}

func (p brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter {
	return brokenMeter{name: p.name}
}

type brokenMeter struct {
	noop.Meter
	name string
}

func (m brokenMeter) Int64Counter(name string, o ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	if name == m.name {
		return nil, errMeter
	}
	return m.Meter.Int64Counter(name, o...)
}

func (m brokenMeter) Float64ObservableGauge(name string, o ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	if name == m.name {
		return nil, errMeter
	}
	return m.Meter.Float64ObservableGauge(name, o...)
}

func (m brokenMeter) RegisterCallback(f metric.Callback, o ...metric.Observable) (metric.Registration, error) {
	if m.name == "callback" {
		return nil, errMeter
	}
	return m.Meter.RegisterCallback(f, o...)
}

func TestMeterErrors(t *testing.T) {
	if _, err := New(Options{MeterProvider: brokenMeters{name: mSession.Name}}); !errors.Is(err, errMeter) {
		t.Error(err)
	}
	e, err := resilience.New(resilience.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, name := range []string{mBudget.Name, "callback"} {
		tel, err := New(Options{MeterProvider: brokenMeters{name: name}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tel.Attach(e); !errors.Is(err, errMeter) {
			t.Error(err)
		}
	}
}
