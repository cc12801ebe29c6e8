package telemetry

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

var (
	benchCall = &resilience.Call{Op: "insurability.Check", Service: testService}
	benchDone = resilience.Event{
		Call: true, Op: "insurability.Check", Service: testService, Endpoint: "services.example.be", Attempt: 1, Outcome: fault.Done, Why: resilience.WhyDone, Latency: time.Second,
	}
)

func plain(testing.TB) *Telemetry {
	t, err := New(Options{})
	if err != nil {
		panic(err)
	}
	return t
}

func withSDK(tb testing.TB) *Telemetry {
	tb.Helper()
	tp, mp := sdktrace.NewTracerProvider(), sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	tb.Cleanup(func() { _ = tp.Shutdown(context.Background()); _ = mp.Shutdown(context.Background()) })
	t, err := New(Options{TracerProvider: tp, MeterProvider: mp})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// layered returns both layers around nothing.
func layered(t *Telemetry) func() {
	h := CallLayer[int, int](t).Wrap(func(context.Context, *resilience.Exec, int) (int, error) { return 0, nil })
	try := AttemptLayer[int, int](t).Wrap(func(context.Context, *resilience.Attempt, int) (int, error) { return 0, nil })
	ctx, x, a := context.Background(), &resilience.Exec{Call: benchCall}, &resilience.Attempt{}
	return func() {
		_, _ = h(ctx, x, 0)
		_, _ = try(ctx, a, 0)
	}
}

// The floor is the API used naively: what no layer of ours can go below is the span itself.

func BenchmarkFloorAPISpan(b *testing.B) {
	tracer := plain(b).tracer
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_, span := tracer.Start(ctx, "insurability.Check")
		span.End()
	}
}

func BenchmarkFloorAPISpanWithAttributes(b *testing.B) {
	tracer := plain(b).tracer
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_, span := tracer.Start(ctx, "insurability.Check", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("a", "b"), attribute.String("c", "d")))
		span.End()
	}
}

func BenchmarkLayersWithoutSDK(b *testing.B) {
	f := layered(plain(b))
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

func BenchmarkLayersWithSDK(b *testing.B) {
	f := layered(withSDK(b))
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

func BenchmarkObserverWithoutSDK(b *testing.B) {
	f := plain(b).Observer()
	b.ReportAllocs()
	for b.Loop() {
		f(benchDone)
	}
}

func BenchmarkObserverWithSDK(b *testing.B) {
	f := withSDK(b).Observer()
	b.ReportAllocs()
	for b.Loop() {
		f(benchDone)
	}
}

func BenchmarkObserverLogging(b *testing.B) {
	t, err := New(Options{Logger: slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		b.Fatal(err)
	}
	f := t.Observer()
	b.ReportAllocs()
	for b.Loop() {
		f(benchDone)
	}
}

func BenchmarkObserverBelowLevel(b *testing.B) {
	t, err := New(Options{Logger: slog.New(slog.NewJSONHandler(io.Discard, nil))})
	if err != nil {
		b.Fatal(err)
	}
	f := t.Observer()
	b.ReportAllocs()
	for b.Loop() {
		f(benchDone)
	}
}

// TestAllocations holds what the package comment promises. Times are left to the benchmarks.
func TestAllocations(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func()
		most float64
	}{
		{"layers without SDK", layered(plain(t)), 3},
		{"observer without SDK", func() func() { f := plain(t).Observer(); return func() { f(benchDone) } }(), 0},
		{"observer with SDK", func() func() { f := withSDK(t).Observer(); return func() { f(benchDone) } }(), 2},
	} {
		c.f() // the first time fills the caches
		if n := testing.AllocsPerRun(100, c.f); n > c.most {
			t.Errorf("%s: %v allocations, at most %v wanted", c.name, n, c.most)
		} else {
			t.Logf("%s: %v allocations", c.name, n)
		}
	}
}
