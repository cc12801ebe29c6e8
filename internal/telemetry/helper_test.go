package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a Telemetry with an SDK that keeps everything in memory.
type rig struct {
	t *testing.T
	*Telemetry
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
	out    *output
}

type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader(), out: &output{}}
	tp := sdktrace.NewTracerProvider(sdktrace.WithSyncer(r.spans))
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader))
	t.Cleanup(func() {
		_ = tp.Shutdown(context.Background())
		_ = mp.Shutdown(context.Background())
	})
	var err error
	r.Telemetry, err = New(Options{
		TracerProvider: tp, MeterProvider: mp, Version: "v0",
		Logger: slog.New(slog.NewJSONHandler(r.out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lines returns the log as one map per line.
func (r *rig) lines() []map[string]any {
	r.t.Helper()
	var out []map[string]any
	for line := range strings.Lines(r.out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			r.t.Fatalf("%v: %s", err, line)
		}
		out = append(out, m)
	}
	return out
}

// point is one data point: the value of a counter or gauge, the count of a histogram.
type point struct {
	value float64
	attrs map[string]string
}

func attrsOf(s attribute.Set) map[string]string {
	m := map[string]string{}
	for _, kv := range s.ToSlice() {
		m[string(kv.Key)] = kv.Value.String()
	}
	return m
}

func attrMap(kvs []attribute.KeyValue) map[string]string { return attrsOf(attribute.NewSet(kvs...)) }

// metrics collects everything, by the name of the metric.
func (r *rig) metrics() map[string][]point {
	r.t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.reader.Collect(context.Background(), &rm); err != nil {
		r.t.Fatal(err)
	}
	out := map[string][]point{}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					out[m.Name] = append(out[m.Name], point{float64(p.Value), attrsOf(p.Attributes)})
				}
			case metricdata.Gauge[int64]:
				for _, p := range d.DataPoints {
					out[m.Name] = append(out[m.Name], point{float64(p.Value), attrsOf(p.Attributes)})
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					out[m.Name] = append(out[m.Name], point{p.Value, attrsOf(p.Attributes)})
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					out[m.Name] = append(out[m.Name], point{float64(p.Count), attrsOf(p.Attributes)})
				}
			default:
				r.t.Fatalf("%s: unexpected data %T", m.Name, d)
			}
		}
	}
	return out
}

// sum adds up the points that have all these attributes ("key", "value", ...).
func sum(ps []point, kvs ...string) (total float64) {
	for _, p := range ps {
		fits := true
		for i := 0; i < len(kvs); i += 2 {
			fits = fits && p.attrs[kvs[i]] == kvs[i+1]
		}
		if fits {
			total += p.value
		}
	}
	return total
}

const (
	testService = "uddi:ehealth-fgov-be:business:genericinsurability:v1"
	urlFirst    = "https://services.example.be/GenericInsurability/v1"
	urlSecond   = "https://other.example.be:8443/GenericInsurability/v1"
)

var bothAddresses = []resilience.Endpoint{{URL: urlFirst, Active: true}, {URL: urlSecond, Order: 1}}

// quick is a policy without pauses.
func quick() resilience.Policy {
	return resilience.Policy{Backoff: resilience.BackoffPolicy{Base: -1}, Hedge: resilience.HedgePolicy{Quantile: -1}}
}

// engine returns an engine that r is attached to.
func (r *rig) engine(c resilience.Config) *resilience.Engine {
	r.t.Helper()
	e, err := resilience.New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	stop, err := r.Attach(e)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { stop(); stop(); e.Close() })
	return e
}

// send is what answers attempts in tests.
type send = resilience.Send[int, int]

// answers fails the attempts with these errors in turn, then answers.
func answers(errs ...error) send {
	var mu sync.Mutex
	return func(context.Context, *resilience.Attempt, int) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(errs) == 0 {
			return 1, nil
		}
		err := errs[0]
		errs = errs[1:]
		return 0, err
	}
}

func soa(code string) *resilience.Failure {
	e, rule := fault.FromSOA(fault.SOAFault{Code: code, ID: "8d5f2b1e-7c41-4c0e-9f0a-1b2c3d4e5f60", Message: "Jan Janssens is not known"})
	e.Op, e.Service, e.Endpoint = "insurability.Check", testService, urlFirst
	return &resilience.Failure{Fault: e, Rule: rule}
}

func (r *rig) do(ctx context.Context, e *resilience.Engine, c resilience.Call, s send) error {
	if c.Op == "" {
		c.Op, c.Service = "insurability.Check", testService
	}
	_, _, err := resilience.NewPipeline(e, Layers[int, int](r.Telemetry), s).Do(ctx, &c, 0)
	return err
}
