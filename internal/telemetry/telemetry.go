package telemetry

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/ehealth-continuity/ehealth/internal/redact"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// Scope is the instrumentation scope of all metrics and spans.
const Scope = "github.com/ehealth-continuity/ehealth"

// Options say where telemetry goes. The zero value is ready for use.
type Options struct {
	TracerProvider trace.TracerProvider // nil = the global one, also when it is set later
	MeterProvider  metric.MeterProvider // nil = the global one, also when it is set later
	Logger         *slog.Logger         // nil = no log lines
	Version        string               // of this module, for the instrumentation scope; "" = none
}

// Telemetry is safe for concurrent use. It holds no goroutine and needs no end.
type Telemetry struct {
	tracer trace.Tracer
	meter  metric.Meter
	log    *slog.Logger // nil = none
	in     instruments

	starts cache[startKey, *start]
	sets   cache[eventKey, *eventSets]
	others sync.Map // attribute sets of what happens seldom, by a comparable key
	sparse atomic.Int64

	names, hosts, codes interner

	live  atomic.Int64 // recorded calls under way
	calls sync.Map     // *resilience.Exec -> *record

	mu     sync.Mutex
	health map[string]resilience.Status // as last told
}

// New returns a Telemetry, or the error of a meter that refuses an instrument.
func New(o Options) (*Telemetry, error) {
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	t := &Telemetry{
		tracer: o.TracerProvider.Tracer(Scope, trace.WithInstrumentationVersion(o.Version)),
		meter:  o.MeterProvider.Meter(Scope, metric.WithInstrumentationVersion(o.Version)),
		names:  interner{most: maxNames}, hosts: interner{most: maxHosts}, codes: interner{most: maxCodes},
		starts: cache[startKey, *start]{most: maxSets}, sets: cache[eventKey, *eventSets]{most: maxSets},
		health: map[string]resilience.Status{},
	}
	if o.Logger != nil {
		h := o.Logger.Handler()
		if _, clean := h.(*redact.Handler); !clean {
			h = redact.New(h)
		}
		t.log = slog.New(h)
	}
	if err := t.in.make(t.meter); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return t, nil
}

// Attach connects everything that an engine tells: its calls and attempts, its breakers, its
// health and its counters. stop disconnects it; it may be called twice. Attach one engine only,
// as there is one per process.
func (t *Telemetry) Attach(e *resilience.Engine) (stop func(), err error) {
	unregister, err := t.Stats(e.Stats)
	if err != nil {
		return nil, err
	}
	stops := []func(){unregister, e.Observe(t.Observer()), e.OnChange(t.Breaker()), e.Health().Watch(t.Health())}
	for _, s := range e.Health().Functions() {
		t.seed(s)
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			for _, f := range stops {
				f()
			}
		})
	}, nil
}
