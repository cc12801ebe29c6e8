package resilience

import (
	"context"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// The floors stand in every run, so that a figure is a ratio on one machine.

func BenchmarkFloorNow(b *testing.B) {
	for b.Loop() {
		_ = time.Now()
	}
}

func BenchmarkFloorDeadlineContext(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, cancel := context.WithDeadline(context.Background(), time.Now().Add(time.Second))
		cancel()
	}
}

func BenchmarkBudget(b *testing.B) {
	bu := NewBudget(DefaultPolicy().Budget)
	b.ReportAllocs()
	for b.Loop() {
		bu.Take()
		bu.Success()
	}
}

func BenchmarkBreaker(b *testing.B) {
	br := NewBreaker("s", "e", BreakerPolicy{}, nil)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		p, err := br.Allow(now)
		if err != nil {
			b.Fatal(err)
		}
		br.Record(p, now, Success, nil)
	}
}

func BenchmarkBreakerParallel(b *testing.B) {
	br := NewBreaker("s", "e", BreakerPolicy{}, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := time.Now()
		for pb.Next() {
			p, _ := br.Allow(now)
			br.Record(p, now, Success, nil)
		}
	})
}

func BenchmarkBreakerOpen(b *testing.B) {
	br := NewBreaker("s", "e", BreakerPolicy{}, nil)
	now := time.Now()
	br.ForceOpen(now, "bench", time.Time{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := br.Allow(now); err == nil {
			b.Fatal("let through")
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	l := NewLimiter(DefaultPolicy().Limit)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Acquire(ctx, time.Time{}, true); err != nil {
			b.Fatal(err)
		}
		l.Release(time.Millisecond)
	}
}

func BenchmarkLatencies(b *testing.B) {
	l := NewLatencies(DefaultPolicy().Hedge)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		l.Observe(now, 30*time.Millisecond)
		l.Quantile()
	}
}

// BenchmarkPipeline is the whole default chain around a transport that does nothing.
func BenchmarkPipeline(b *testing.B) {
	one := []Endpoint{{"https://a.example/s", 0, true}}
	two := []Endpoint{{"https://a.example/s", 0, true}, {"https://b.example/s", 1, false}}
	for _, c := range []struct {
		name  string
		class Class
		eps   []Endpoint
		ctx   func() (context.Context, context.CancelFunc)
	}{
		{"write", UnsafeWrite, one, nil},
		{"read with its hedge armed", Read, one, nil},
		{"read, caller can cancel", Read, one, func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) }},
		{"read, two addresses", Read, two, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			e, err := New(Config{Policy: Policy{Rate: RatePolicy{PerSecond: 1e9, Burst: 1e9}}, Functions: []Function{{Name: "f", Needs: []Need{{Service: "s"}}}}})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			events := 0
			e.Observe(func(Event) { events++ })
			p := NewPipeline(e, Layers[int, int]{}, func(context.Context, *Attempt, int) (int, error) { return 1, nil })
			ctx := context.Background()
			if c.ctx != nil {
				var cancel context.CancelFunc
				ctx, cancel = c.ctx()
				defer cancel()
			}
			call := &Call{Op: "op", Service: "s", Class: c.class, Endpoints: c.eps}
			for range 100 {
				if _, _, err := p.Do(ctx, call, 1); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := p.Do(ctx, call, 1); err != nil {
					b.Fatal(err)
				}
			}
			if events == 0 {
				b.Fatal("nothing was observed")
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	s := Situation{
		Class: Read, Rule: fault.Rule{Kind: fault.Unavailable, Outcome: fault.Unknown, Retry: fault.RetryReadsOnly}, Attempts: 1, MaxAttempts: 4,
		Remaining: time.Second, Budget: true,
	}
	b.ReportAllocs()
	for b.Loop() {
		Decide(s)
	}
}
