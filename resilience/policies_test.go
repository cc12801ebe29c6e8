package resilience

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
	"pgregory.net/rapid"

	"github.com/ehealth-continuity/ehealth/fault"
)

func TestBudgetModel(t *testing.T) {
	tenThousand(t, "200", "50")
	empty := 0
	rapid.Check(t, func(t *rapid.T) {
		p := BudgetPolicy{Capacity: float64(rapid.IntRange(1, 20).Draw(t, "capacity")), PerSuccess: 0.4, PerRetry: 1}
		b, tenths := NewBudget(p), int(p.Capacity*10)
		model := tenths
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				want := model >= 10
				if b.Has() != want || b.Take() != want {
					t.Fatalf("with %d tenths", model)
				}
				if want {
					model -= 10
				} else {
					empty++
				}
			},
			"success": func(*rapid.T) { b.Success(); model = min(model+4, tenths) },
			"return":  func(*rapid.T) { b.Return(); model = min(model+10, tenths) },
			"": func(t *rapid.T) {
				if math.Abs(b.Level()-float64(model)/10) > 1e-9 {
					t.Fatalf("level %v, model %d tenths", b.Level(), model)
				}
			},
		})
	})
	if empty == 0 {
		t.Error("no run ever emptied the bucket")
	}
}

// TestBudgetRace: whatever the interleaving, no token is made or lost.
func TestBudgetRace(t *testing.T) {
	b := NewBudget(BudgetPolicy{Capacity: 1000, PerSuccess: 0.5, PerRetry: 1})
	var wg sync.WaitGroup
	taken := make([]int, 8)
	for i := range taken {
		wg.Go(func() {
			for range 500 {
				if b.Take() {
					taken[i]++
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range taken {
		sum += n
	}
	if sum != 1000 || b.Level() != 0 {
		t.Fatalf("%d taken, %v left", sum, b.Level())
	}
	var off *Budget = NewBudget(BudgetPolicy{Capacity: -1})
	off.Success()
	off.Return()
	if !off.Take() || !off.Has() || off.Level() != -1 {
		t.Fatal("a nil budget has no bound")
	}
}

func TestFullJitter(t *testing.T) {
	f := &FullJitter{Base: 100 * time.Millisecond, Max: 2 * time.Second, Random: full}
	for round := range 2 {
		for i, want := range []int{100, 200, 400, 800, 1600, 2000, 2000} {
			if got := f.NextBackOff().Round(time.Millisecond); got != time.Duration(want)*time.Millisecond {
				t.Fatalf("round %d pause %d: %v", round, i, got)
			}
		}
		f.Reset()
	}
	f.n = 500
	if d := f.NextBackOff(); d > 2*time.Second || d < 0 {
		t.Fatalf("overflow: %v", d)
	}
	huge := &FullJitter{Base: math.MaxInt64 / 2, Max: math.MaxInt64, Random: full, n: 5}
	if d := huge.NextBackOff(); d < 0 {
		t.Fatalf("overflow: %v", d)
	}
	if d := (&FullJitter{Base: -1, Max: 1}).NextBackOff(); d != 0 {
		t.Fatalf("off: %v", d)
	}
	var below, above int
	f = &FullJitter{Base: time.Second, Max: time.Second}
	for range 1000 {
		d := f.NextBackOff()
		if d < 0 || d >= time.Second {
			t.Fatalf("out of range: %v", d)
		}
		if d < time.Second/2 {
			below++
		} else {
			above++
		}
	}
	if below < 350 || above < 350 {
		t.Errorf("not full jitter: %d below the middle, %d above", below, above)
	}
	var _ func() backoff.BackOff = func() backoff.BackOff { return f }
}

func TestShare(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name       string
		left       time.Duration
		fresh      int
		repeatable bool
		want       time.Duration
	}{
		{"one address", 15 * s, 1, true, 15 * s},
		{"two addresses", 15 * s, 2, true, 7500 * time.Millisecond},
		{"three addresses", 15 * s, 3, true, 5 * s},
		{"a write gets all", 15 * s, 2, false, 15 * s},
		{"none fresh", 3 * s, 0, true, 3 * s},
		{"least", s, 10, true, 250 * time.Millisecond},
		{"less than the least is left", 100 * time.Millisecond, 4, true, 100 * time.Millisecond},
		{"nothing left", 0, 2, true, 0},
		{"too late", -s, 1, false, 0},
	} {
		if got := Share(c.left, c.fresh, c.repeatable, DefaultMinShare); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		left := time.Duration(rapid.Int64Range(-1, 1<<40).Draw(t, "left"))
		got := Share(left, rapid.IntRange(-1, 9).Draw(t, "fresh"), rapid.Bool().Draw(t, "repeatable"), DefaultMinShare)
		if got > max(left, 0) || got < 0 || left > 0 && got < min(left, DefaultMinShare) {
			t.Fatalf("%v of %v", got, left)
		}
	})
}

func TestLatencies(t *testing.T) {
	p := DefaultPolicy().Hedge
	l := NewLatencies(p)
	r := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	for i := range 3000 {
		d := time.Duration(math.Exp(r.NormFloat64())*30) * time.Millisecond
		all = append(all, d)
		l.Observe(t0, d)
		if _, ok := l.Quantile(); ok != (i+1 >= p.MinSamples) {
			t.Fatalf("after %d samples: %v", i+1, ok)
		}
	}
	slices.Sort(all)
	want := all[len(all)*95/100]
	if got, _ := l.Quantile(); got < want*95/100 || got > want*120/100 {
		t.Errorf("p95 %v, estimated %v", want, got)
	}
	for i := range 200 { // two windows later only the new ones count
		l.Observe(t0.Add(2*p.Window+time.Duration(i)), 5*time.Millisecond)
	}
	if got, _ := l.Quantile(); got < 5*time.Millisecond || got > 6*time.Millisecond {
		t.Errorf("after two windows: %v", got)
	}
	for _, d := range []time.Duration{-1, 0, 1, time.Millisecond, time.Second, time.Hour, math.MaxInt64} {
		i := latencyStep(d)
		if latencyBound(i) < min(d, latencyBound(latencySteps-1)) || i > 0 && latencyBound(i-1) > d {
			t.Errorf("%v in step %d up to %v", d, i, latencyBound(i))
		}
	}
	if NewLatencies(HedgePolicy{Quantile: -1}) != nil {
		t.Error("off")
	}
}

// TestLimiterSeries feeds series of latencies, as Netflix tests its own.
func TestLimiterSeries(t *testing.T) {
	use := func(l *Limiter, n int, d time.Duration) {
		for range n { // all places taken: the limit may grow
			held := 0
			for l.inFlight < l.limit {
				if _, err := l.Acquire(t.Context(), time.Time{}, false); err != nil {
					t.Fatal(err)
				}
				held++
			}
			l.Release(d)
			for ; held > 1; held-- {
				l.Release(0)
			}
		}
	}
	const ms = time.Millisecond
	l := NewLimiter(DefaultPolicy().Limit)
	use(l, 20, 20*ms)
	steady := l.Limit()
	if steady <= DefaultLimitInitial {
		t.Fatalf("steady and busy: %d does not grow", steady)
	}
	use(l, 600, 20*ms)
	if l.Limit() != DefaultLimitMax {
		t.Fatalf("bound: %d", l.Limit())
	}
	use(l, 20, 28*ms)
	if l.Limit() != DefaultLimitMax {
		t.Fatalf("within the tolerance: %d", l.Limit())
	}
	use(l, 40, 200*ms)
	slow := l.Limit()
	if slow > 20 || slow < 1 {
		t.Fatalf("ten times as slow: %d", slow)
	}
	use(l, 200, 20*ms)
	if l.Limit() <= slow {
		t.Fatalf("fast again: %d", l.Limit())
	}
	idle := NewLimiter(DefaultPolicy().Limit)
	for range 100 {
		if _, err := idle.Acquire(t.Context(), time.Time{}, false); err != nil {
			t.Fatal(err)
		}
		idle.Release(20 * ms)
	}
	if idle.Limit() != DefaultLimitInitial {
		t.Fatalf("idle: %d grew without need", idle.Limit())
	}
	var off *Limiter = NewLimiter(LimitPolicy{Max: -1})
	if _, err := off.Acquire(t.Context(), time.Time{}, false); err != nil || off.Limit() != -1 {
		t.Fatal("off")
	}
	off.Release(ms)
}

func TestBulkhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBulkhead(BulkheadPolicy{InFlight: 2, Waiting: 2})
		take := func(ctx context.Context, d time.Duration) error {
			var deadline time.Time
			if d > 0 {
				deadline = time.Now().Add(d)
			}
			_, err := b.Acquire(ctx, deadline)
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 2 {
			if err := take(ctx, 0); err != nil {
				t.Fatal(err)
			}
		}
		got := make(chan error, 2)
		go func() { got <- take(ctx, time.Second) }()
		synctest.Wait()
		go func() { got <- take(ctx, 0) }()
		synctest.Wait()
		start := time.Now()
		if err := take(ctx, 0); !errors.Is(err, ErrBulkheadFull) || time.Since(start) != 0 {
			t.Fatalf("queue full: %v", err)
		}
		if err := <-got; !errors.Is(err, ErrBulkheadFull) || time.Since(start) != time.Second {
			t.Fatalf("deadline: %v after %v", err, time.Since(start))
		}
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
			t.Fatalf("canceled: %v after %v", err, time.Since(start))
		}
		b.Release()
		b.Release()
		if b.InFlight() != 0 || len(b.queue) != 0 {
			t.Fatalf("%d in flight, %d waiting", b.InFlight(), len(b.queue))
		}
	})
}

// TestGateOrder: first come, first served, and a place given in the instant of a cancellation
// is not lost.
func TestGateOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{limit: 1, waiting: 10, by: ErrLimited}
		if _, err := g.acquire(t.Context(), time.Time{}, true); err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 5 {
			go func() {
				if _, err := g.acquire(t.Context(), time.Time{}, true); err == nil {
					time.Sleep(time.Second)
					g.mu.Lock()
					order = append(order, i)
					g.release()
					g.mu.Unlock()
				}
			}()
			synctest.Wait()
		}
		g.mu.Lock()
		g.release()
		g.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) || g.inFlight != 0 {
			t.Fatalf("order %v, %d in flight", order, g.inFlight)
		}
		for range 200 {
			ctx, cancel := context.WithCancel(t.Context())
			_, _ = g.acquire(ctx, time.Time{}, true)
			done := make(chan error, 1)
			go func() { _, err := g.acquire(ctx, time.Time{}, true); done <- err }()
			synctest.Wait()
			go cancel()
			g.mu.Lock()
			g.release()
			g.mu.Unlock()
			if err := <-done; err == nil {
				g.mu.Lock()
				g.release()
				g.mu.Unlock()
			}
			cancel()
			synctest.Wait()
			if g.inFlight != 0 {
				t.Fatalf("%d in flight", g.inFlight)
			}
		}
	})
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRateLimit(RatePolicy{PerSecond: 2, Burst: 2})
		start := time.Now()
		for i, want := range []time.Duration{0, 0, 500 * time.Millisecond, time.Second} {
			if _, err := r.Wait(t.Context(), time.Now(), time.Time{}); err != nil || time.Since(start) != want {
				t.Fatalf("%d: %v after %v", i, err, time.Since(start))
			}
		}
		_, err := r.Wait(t.Context(), time.Now(), time.Now().Add(100*time.Millisecond))
		f, ok := errors.AsType[*Refusal](err)
		if !ok || !errors.Is(err, ErrRateLimited) || f.RetryAfter != 500*time.Millisecond || time.Since(start) != time.Second {
			t.Fatalf("%v %+v", err, f)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(200 * time.Millisecond); cancel() }()
		if _, err := r.Wait(ctx, time.Now(), time.Time{}); !errors.Is(err, context.Canceled) || time.Since(start) != 1200*time.Millisecond {
			t.Fatalf("canceled: %v after %v", err, time.Since(start))
		}
		// What was refused or canceled took nothing from those who wait.
		if _, err := r.Wait(t.Context(), time.Now(), time.Time{}); err != nil || time.Since(start) != 1500*time.Millisecond {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		if waited, err := NewRateLimit(RatePolicy{PerSecond: -1}).Wait(t.Context(), time.Now(), time.Now()); waited || err != nil {
			t.Fatal("off")
		}
	})
}

func TestRefusal(t *testing.T) {
	for by, kind := range map[error]fault.Kind{
		ErrBreakerOpen: fault.Unavailable, ErrBulkheadFull: fault.Throttled, ErrLimited: fault.Throttled, ErrRateLimited: fault.Throttled,
	} {
		f := (&Refusal{By: by, RetryAfter: time.Second}).failure()
		if f.Fault.Kind != kind || f.Fault.Outcome != fault.NotSent || !errors.Is(f, by) || f.Fault.RetryAfter != time.Second {
			t.Errorf("%v: %v", by, f)
		}
		if want := kind.String() + " (outcome not sent): " + by.Error(); f.Error() != want || f.SafeError() != want {
			t.Errorf("%q, want %q", f.Error(), want)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name string
		c    Config
		ok   bool
	}{
		{"zero", Config{}, true},
		{"everything off", Config{Policy: Policy{
			Timeout: -1, MaxAttempts: -1, MinShare: -1, Backoff: BackoffPolicy{Base: -1, Max: -1}, Budget: BudgetPolicy{Capacity: -1},
			Breaker: BreakerPolicy{Consecutive: -1, Ratio: -1, Slow: -1, Patience: -1, Growth: -1}, Limit: LimitPolicy{Max: -1},
			Bulkhead: BulkheadPolicy{InFlight: -1}, Rate: RatePolicy{PerSecond: -1}, Hedge: HedgePolicy{Quantile: -1},
		}, Health: HealthPolicy{Slow: -1, Hold: -1}}, true},
		{"base above max", Config{Policy: Policy{Backoff: BackoffPolicy{Base: time.Hour}}}, false},
		{"price above capacity", Config{Policy: Policy{Budget: BudgetPolicy{Capacity: 0.5}}}, false},
		{"ratio", Config{Policy: Policy{Breaker: BreakerPolicy{Ratio: 60}}}, false},
		{"open", Config{Policy: Policy{Breaker: BreakerPolicy{Open: time.Hour}}}, false},
		{"limit", Config{Policy: Policy{Limit: LimitPolicy{Min: 50}}}, false},
		{"burst", Config{Policy: Policy{Rate: RatePolicy{Burst: -1}}}, false},
		{"quantile", Config{Policy: Policy{Hedge: HedgePolicy{Quantile: 95}}}, false},
		{"of one service", Config{Services: map[string]Policy{"s": {Hedge: HedgePolicy{Quantile: 95}}}}, false},
		{"function without needs", Config{Functions: []Function{{Name: "f"}}}, false},
		{"health", Config{Health: HealthPolicy{Hold: time.Hour}}, false},
	} {
		e, err := New(c.c)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			e.Close()
		}
	}
	e, err := New(Config{Policy: Policy{MaxAttempts: 2}, Services: map[string]Policy{"s": {Timeout: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got := e.Config()
	if got.MaxAttempts != 2 || got.Timeout != DefaultTimeout || got.Services["s"].MaxAttempts != 2 || got.Services["s"].Timeout != time.Minute {
		t.Errorf("%+v", got.Services)
	}
	if got.Breaker != DefaultPolicy().Breaker || got.Limit != DefaultPolicy().Limit || got.Hedge != DefaultPolicy().Hedge {
		t.Error("defaults")
	}
}
