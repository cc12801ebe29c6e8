package resilience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/ehealth-continuity/ehealth/fault"
)

const (
	urlA = "https://a.example/service/v1"
	urlB = "https://b.example/service/v1"
)

var (
	onlyA = []Endpoint{{urlA, 0, true}}
	aAndB = []Endpoint{{urlA, 0, true}, {urlB, 1, false}}
)

// script is a transport: what it does depends on the address and the number of the request there.
type script struct {
	t     *testing.T
	mu    sync.Mutex
	asked []string
	do    map[string]func(ctx context.Context, n int) (string, error)
	count map[string]int
}

func (s *script) send(ctx context.Context, a *Attempt, _ string) (string, error) {
	if d, ok := ctx.Deadline(); !ok || !d.Equal(a.Deadline()) {
		s.t.Errorf("context ends %v, attempt %v", d, a.Deadline())
	}
	s.mu.Lock()
	s.asked = append(s.asked, a.Endpoint.URL[8:9])
	s.count[a.Endpoint.URL]++
	n := s.count[a.Endpoint.URL]
	s.mu.Unlock()
	return s.do[a.Endpoint.URL](ctx, n)
}

func answers(d time.Duration) func(context.Context, int) (string, error) {
	return func(ctx context.Context, _ int) (string, error) {
		if err := sleep(ctx, d); err != nil {
			return "", lost(err)
		}
		return "answer", nil
	}
}

func hangs(ctx context.Context, _ int) (string, error) {
	<-ctx.Done()
	return "", lost(ctx.Err())
}

func lost(err error) error {
	r := fault.TransportRule(err, fault.Written)
	return &Failure{Fault: r.Error(err), Rule: r}
}

func refuses(context.Context, int) (string, error) {
	r := fault.Rule{Kind: fault.Unavailable, Outcome: fault.NotSent, Retry: fault.RetryWithBackoff, Switch: fault.SwitchYes}
	return "", &Failure{Fault: r.Error(nil), Rule: r}
}

func soa(code string) func(context.Context, int) (string, error) {
	return func(context.Context, int) (string, error) {
		e, r := fault.FromSOA(fault.SOAFault{Code: code, ID: "t1"})
		return "", &Failure{Fault: e, Rule: r}
	}
}

func then(fs ...func(context.Context, int) (string, error)) func(context.Context, int) (string, error) {
	return func(ctx context.Context, n int) (string, error) { return fs[min(n, len(fs))-1](ctx, n) }
}

type do = map[string]func(context.Context, int) (string, error)

type bench struct {
	*script
	e      *Engine
	p      *Pipeline[string, string]
	events []Event
}

func newBench(t *testing.T, c Config, d do) *bench {
	t.Helper()
	if c.Random == nil {
		c.Random = full
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{script: &script{t: t, do: d, count: map[string]int{}}, e: e}
	e.Observe(func(ev Event) {
		b.mu.Lock()
		b.events = append(b.events, ev)
		b.mu.Unlock()
	})
	b.p = NewPipeline(e, Layers[string, string]{}, b.send)
	return b
}

func (b *bench) call(ctx context.Context, class Class, eps []Endpoint) (string, Info, error) {
	return b.p.Do(ctx, &Call{Op: "op", Service: "s", Class: class, Endpoints: eps}, "q")
}

func TestDescribe(t *testing.T) {
	e, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var order []string
	note := func(name string) func(Handler[Attempt, int, int]) Handler[Attempt, int, int] {
		return func(next Handler[Attempt, int, int]) Handler[Attempt, int, int] {
			return func(ctx context.Context, a *Attempt, q int) (int, error) {
				order = append(order, name)
				return next(ctx, a, q)
			}
		}
	}
	p := NewPipeline(e, Layers[int, int]{
		PerCall: []CallLayer[int, int]{{"ledger", func(next Handler[Exec, int, int]) Handler[Exec, int, int] {
			return func(ctx context.Context, x *Exec, q int) (int, error) {
				order = append(order, "ledger "+x.Op)
				return next(ctx, x, q)
			}
		}}},
		PerAttempt: []AttemptLayer[int, int]{{"token", note("token")}, {"sign", note("sign")}},
	}, func(_ context.Context, a *Attempt, q int) (int, error) {
		if a.No == 1 {
			_, err := refuses(t.Context(), 1)
			return 0, err
		}
		return q + 1, nil
	})
	want := "call/event call/ledger call/bulkhead call/rate call/retry attempt/hedge attempt/breaker attempt/limit attempt/event attempt/token attempt/sign attempt/send"
	if got := strings.Join(p.Describe(), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got, info, err := p.Do(t.Context(), &Call{Op: "op", Service: "s", Endpoints: aAndB}, 41)
	if got != 42 || err != nil || info.Attempts != 2 || !info.Alternate || info.Endpoint.URL != urlB {
		t.Errorf("%d %+v %v", got, info, err)
	}
	if o := strings.Join(order, ","); o != "ledger op,token,sign,token,sign" {
		t.Error(o)
	}
}

// TestCalls runs single calls on virtual time with every pause at its longest.
func TestCalls(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, c := range []struct {
		name    string
		class   Class
		eps     []Endpoint
		do      do
		asked   string
		took    time.Duration
		ok      bool
		outcome fault.Outcome
		kind    fault.Kind
		why     Why
	}{
		{"answer", Read, aAndB, do{urlA: answers(20 * ms)}, "a", 20 * ms, true, fault.Done, 0, WhyDone},
		{"A hangs, B answers: half of the time", Read, aAndB, do{urlA: hangs, urlB: answers(s)}, "ab", 8500 * ms, true, fault.Done, 0, WhyDone},
		{"both hang", Read, aAndB, do{urlA: hangs, urlB: hangs}, "ab", 15 * s, false, fault.Unknown, fault.Timeout, WhyDeadline},
		{"one address hangs", Read, onlyA, do{urlA: hangs}, "a", 15 * s, false, fault.Unknown, fault.Timeout, WhyDeadline},
		{"a write hangs: all the time, no repeat", UnsafeWrite, aAndB, do{urlA: hangs, urlB: answers(s)}, "a", 15 * s, false, fault.Unknown, fault.Timeout, WhyDeadline},
		{"a write is refused at connect", UnsafeWrite, aAndB, do{urlA: refuses, urlB: answers(s)}, "ab", s, true, fault.Done, 0, WhyDone},
		{"refused everywhere", Read, onlyA, do{urlA: refuses}, "aaaa", 700 * ms, false, fault.NotSent, fault.Unavailable, WhyAttempts},
		{"SOA-02002 once", Read, aAndB, do{urlA: then(soa("SOA-02002"), answers(0))}, "aa", 100 * ms, true, fault.Done, 0, WhyDone},
		{"SOA-02002 always", Read, aAndB, do{urlA: soa("SOA-02002"), urlB: answers(0)}, "aab", 100 * ms, true, fault.Done, 0, WhyDone},
		{"SOA-02001: elsewhere at once", UnsafeWrite, aAndB, do{urlA: soa("SOA-02001"), urlB: answers(0)}, "ab", 0, true, fault.Done, 0, WhyDone},
		{"SOA-01002: nothing helps", Read, aAndB, do{urlA: soa("SOA-01002"), urlB: answers(0)}, "a", 0, false, fault.Rejected, fault.Denied, WhyUseless},
		{"SOA-01001 without a token to renew", Read, aAndB, do{urlA: soa("SOA-01001")}, "a", 0, false, fault.Rejected, fault.Denied, WhyUseless},
		{"unclassified error of a read", Read, onlyA, do{urlA: then(func(context.Context, int) (string, error) { return "", errors.New("x") }, answers(0))}, "aa", 100 * ms, true, fault.Done, 0, WhyDone},
		{"unclassified error of a write", UnsafeWrite, onlyA, do{urlA: func(context.Context, int) (string, error) { return "", errors.New("x") }}, "a", 0, false, fault.Unknown, fault.Unavailable, WhyOutcome},
		{"bare *fault.Error", Read, onlyA, do{urlA: then(func(context.Context, int) (string, error) {
			return "", &fault.Error{Kind: fault.Throttled, Outcome: fault.Rejected, RetryAfter: 2 * s}
		}, answers(0))}, "aa", 2 * s, true, fault.Done, 0, WhyDone},
		{"a coded fault outranks a time-out, the outcome is the gravest", Read, aAndB, do{urlA: hangs, urlB: soa("SOA-02001")}, "aba", 15 * s, false, fault.Unknown, fault.Unavailable, WhyDeadline},
		{"no address", Read, nil, do{}, "", 0, false, fault.NotSent, fault.Local, WhyRefused},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{Policy: Policy{Hedge: HedgePolicy{Quantile: -1}}}, c.do)
			defer b.e.Close()
			start := time.Now()
			_, info, err := b.call(t.Context(), c.class, c.eps)
			took := time.Since(start)
			if got := strings.Join(b.asked, ""); got != c.asked || (err == nil) != c.ok || took.Round(ms) != c.took {
				t.Errorf("%s: asked %s, %v after %v", c.name, got, err, took)
			}
			if fault.OutcomeOf(err) != c.outcome || fault.KindOf(err) != c.kind || info.Attempts != len(c.asked) {
				t.Errorf("%s: %v, %+v", c.name, err, info)
			}
			if c.why != WhyDeadline && info.Why != c.why {
				t.Errorf("%s: ended by %s", c.name, info.Why)
			}
			if e, ok := errors.AsType[*fault.Error](err); !c.ok && (!ok || e.Op != "op" || e.Service != "s" || e.Attempts != len(c.asked)) {
				t.Errorf("%s: %#v", c.name, err)
			}
			if n := len(b.events); n != len(c.asked)+1 || !b.events[n-1].Call {
				t.Errorf("%s: %d events", c.name, n)
			}
		})
	}
}

func TestRenew(t *testing.T) {
	for _, works := range []bool{true, false} {
		b := newBench(t, Config{}, do{urlA: then(soa("SOA-01001"), answers(0))})
		renewed := 0
		_, info, err := b.p.Do(t.Context(), &Call{Op: "op", Service: "s", Class: UnsafeWrite, Endpoints: aAndB, Renew: func(_ context.Context, e *fault.Error) bool {
			renewed++
			return works && e.Code == "SOA-01001"
		}}, "q")
		if (err == nil) != works || renewed != 1 || info.Attempts != len(b.asked) {
			t.Errorf("works %v: %v, %d renewals, %v", works, err, renewed, b.asked)
		}
		if level := b.e.service("s").budget.Level(); level != 10 {
			t.Errorf("works %v: budget %v", works, level)
		}
		b.e.Close()
	}
}

func TestBudgetBoundsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Policy: Policy{Breaker: BreakerPolicy{Consecutive: -1, Ratio: -1}}}, do{urlA: soa("SOA-02002")})
		defer b.e.Close()
		var last error
		for range 100 {
			_, _, last = b.call(t.Context(), Read, onlyA)
		}
		if len(b.asked) != 110 || !errors.Is(last, ErrBudget) || !errors.Is(last, fault.ErrUnavailable) {
			t.Fatalf("%d attempts for 100 calls; %v", len(b.asked), last)
		}
		if s := b.e.Stats()[0]; s.Calls != 100 || s.Attempts != 110 || s.Retries != 10 || s.Failed != 100 || s.NotRetried < 90 || s.Budget >= 1 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestBackoffIsAnExtensionPoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		c := Config{Policy: Policy{Backoff: BackoffPolicy{New: func() backoff.BackOff {
			made++
			return backoff.WithMaxRetries(backoff.NewConstantBackOff(time.Second), 2)
		}}}}
		b := newBench(t, c, do{urlA: refuses})
		defer b.e.Close()
		start := time.Now()
		_, info, _ := b.call(t.Context(), Read, onlyA)
		if made != 1 || len(b.asked) != 3 || time.Since(start) != 2*time.Second || info.Why != WhyAttempts {
			t.Fatalf("%d made, asked %v, %v, %s", made, b.asked, time.Since(start), info.Why)
		}
	})
}

func TestOpenBreakerFailsFastAndElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, do{urlA: answers(0), urlB: answers(0)})
		defer b.e.Close()
		b.e.ForceOpen("s", urlA, "planned work", time.Now().Add(time.Minute))
		if _, info, err := b.call(t.Context(), UnsafeWrite, aAndB); err != nil || info.Endpoint.URL != urlB || info.Attempts != 1 {
			t.Fatalf("%+v %v", info, err)
		}
		start := time.Now()
		_, info, err := b.call(t.Context(), Read, onlyA)
		e, _ := errors.AsType[*fault.Error](err)
		if !errors.Is(err, ErrBreakerOpen) || e.Outcome != fault.NotSent || e.RetryAfter != time.Minute || info.Attempts != 0 || time.Since(start) != 0 {
			t.Fatalf("%v %+v", err, info)
		}
		if !strings.Contains(err.Error(), "planned work") {
			t.Fatal(err)
		}
		if got := b.e.Breakers(); len(got) != 1 || got[0].Endpoint != urlA {
			t.Fatalf("%+v", got)
		}
		other := newBench(t, Config{}, do{})
		defer other.e.Close()
		other.e.Restore(b.e.Breakers())
		if _, _, err := other.call(t.Context(), Read, onlyA); !errors.Is(err, ErrBreakerOpen) {
			t.Fatalf("not restored: %v", err)
		}
		b.e.CloseBreaker("s", urlA)
		if _, info, err := b.call(t.Context(), Read, onlyA); err != nil || info.Attempts != 1 {
			t.Fatal(err)
		}
	})
}

// TestProbe: with a cheap probe, no real call is risked on an address before it said yes.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		up := false
		isUp := func() bool { mu.Lock(); defer mu.Unlock(); return up }
		var probes []time.Duration
		start := time.Now()
		real := then(refuses)
		b := newBench(t, Config{Probe: func(_ context.Context, service, endpoint string) error {
			mu.Lock()
			probes = append(probes, time.Since(start))
			n := len(probes)
			mu.Unlock()
			if n == 2 {
				panic("a probe may be broken")
			}
			if !isUp() || service != "s" || endpoint != urlA {
				return errors.New("down")
			}
			return nil
		}}, do{urlA: func(ctx context.Context, n int) (string, error) {
			if isUp() {
				return "answer", nil
			}
			return real(ctx, n)
		}})
		for range 3 {
			_, _, _ = b.call(t.Context(), Read, onlyA)
		}
		asked := len(b.asked)
		if asked != DefaultBreakerConsecutive {
			t.Fatalf("%d attempts until it opened", asked)
		}
		for range 200 {
			time.Sleep(100 * time.Millisecond)
			_, _, _ = b.call(t.Context(), Read, onlyA)
		}
		synctest.Wait()
		if len(b.asked) != asked || len(probes) < 3 {
			t.Fatalf("%d real calls while down, probes %v", len(b.asked)-asked, probes)
		}
		mu.Lock()
		up = true
		mu.Unlock()
		time.Sleep(DefaultBreakerOpen)
		synctest.Wait()
		for range DefaultBreakerCloseAfter {
			if _, _, err := b.call(t.Context(), Read, onlyA); err != nil {
				t.Fatal(err)
			}
		}
		if s := b.e.service("s").endpoint(urlA).breaker.Snapshot(); s.State != Closed {
			t.Fatalf("%+v", s)
		}
		b.e.ForceOpen("s", urlA, "x", time.Time{})
		b.e.Close()
		time.Sleep(time.Hour)
	})
}

// TestCancellation: at every layer, a call ends in the instant in which its caller gives up.
func TestCancellation(t *testing.T) {
	stuck := do{urlA: hangs}
	for _, c := range []struct {
		name    string
		c       Config
		do      do
		prepare func(b *bench)
	}{
		{"bulkhead", Config{Policy: Policy{Bulkhead: BulkheadPolicy{InFlight: 1}}}, stuck, func(b *bench) { _, _ = b.e.service("s").bulkhead.Acquire(context.Background(), time.Time{}) }},
		{"rate", Config{Policy: Policy{Rate: RatePolicy{PerSecond: 0.1, Burst: 1}}}, stuck, func(b *bench) { b.e.service("s").rate.l.Allow() }},
		{"limit", Config{Policy: Policy{Limit: LimitPolicy{Initial: 1}}}, stuck, func(b *bench) {
			_, _ = b.e.service("s").endpoint(urlA).limiter.Acquire(context.Background(), time.Time{}, false)
		}},
		{"send", Config{}, stuck, nil},
		{"pause", Config{Policy: Policy{Backoff: BackoffPolicy{Base: 10 * time.Second, Max: 10 * time.Second}}}, do{urlA: soa("SOA-02002")}, nil},
		{"Retry-After", Config{}, do{urlA: func(context.Context, int) (string, error) {
			return "", &fault.Error{Kind: fault.Throttled, Outcome: fault.Rejected, RetryAfter: 9 * time.Second}
		}}, nil},
		{"hedge", Config{}, stuck, func(b *bench) { warm(b, "op", 10*time.Millisecond) }},
	} {
		for _, deadline := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, c.c, c.do)
				defer b.e.Close()
				if c.prepare != nil {
					c.prepare(b)
				}
				ctx, cancel := context.WithCancel(t.Context())
				want := fault.Canceled
				if deadline {
					ctx, cancel = context.WithTimeout(t.Context(), 3*time.Second)
				} else {
					time.AfterFunc(3*time.Second, cancel)
				}
				defer cancel()
				start := time.Now()
				_, info, err := b.call(ctx, Read, onlyA)
				took := time.Since(start)
				if took > 3*time.Second || err == nil {
					t.Errorf("%s: %v after %v", c.name, err, took)
				}
				if !deadline && (took != 3*time.Second || fault.KindOf(err) != want) {
					t.Errorf("%s: %v after %v", c.name, err, took)
				}
				if len(b.asked) == 0 && (!errors.Is(err, fault.ErrNotSent) || info.Attempts != 0) {
					t.Errorf("%s: nothing was sent, but %v", c.name, err)
				}
				synctest.Wait()
			})
		}
	}
}

// warm makes an operation's p95 known.
func warm(b *bench, op string, d time.Duration) {
	l := b.e.service("s").operation(op)
	for range DefaultHedgeMinSamples {
		l.Observe(time.Now(), d)
	}
}

func TestHedge(t *testing.T) {
	const ms = time.Millisecond
	slowThen := then(answers(5*time.Second), answers(20*ms))
	hedgeAt := func(b *bench) time.Duration { d, _ := b.e.service("s").operation("op").Quantile(); return d }
	run := func(name string, class Class, eps []Endpoint, d do, check func(t *testing.T, b *bench, info Info, err error, took time.Duration), prepare func(b *bench)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{}, d)
				defer b.e.Close()
				warm(b, "op", 100*ms)
				if prepare != nil {
					prepare(b)
				}
				start := time.Now()
				_, info, err := b.call(t.Context(), class, eps)
				took := time.Since(start)
				synctest.Wait()
				check(t, b, info, err, took)
				if n := b.e.service("s").endpoint(urlA).limiter.inFlight; n != 0 {
					t.Errorf("%d attempts left behind", n)
				}
			})
		})
	}
	run("the hedge wins", Read, onlyA, do{urlA: slowThen}, func(t *testing.T, b *bench, info Info, err error, took time.Duration) {
		want := hedgeAt(b)
		if err != nil || !info.Hedged || info.Attempts != 2 || took < 120*ms || took > want+20*ms {
			t.Errorf("%+v %v after %v", info, err, took)
		}
		if lvl := b.e.service("s").budget.Level(); lvl != 9.6 {
			t.Errorf("budget %v", lvl)
		}
		var loser []string
		for _, ev := range b.events {
			if !ev.Call && !ev.Hedged {
				loser = append(loser, fmt.Sprint(ev.Kind, ev.Verdict == Ignored))
			}
		}
		if !slices.Equal(loser, []string{"canceled true"}) {
			t.Errorf("the loser ended as %v", loser)
		}
	}, nil)
	run("the original wins", Read, onlyA, do{urlA: then(answers(200*ms), answers(time.Hour))}, func(t *testing.T, _ *bench, info Info, err error, took time.Duration) {
		if err != nil || info.Hedged || took != 200*ms || info.Attempts != 2 {
			t.Errorf("%+v %v after %v", info, err, took)
		}
	}, nil)
	run("an empty budget does not cancel the original", Read, onlyA, do{urlA: slowThen}, func(t *testing.T, b *bench, info Info, err error, took time.Duration) {
		if err != nil || info.Hedged || took != 5*time.Second || len(b.asked) != 1 {
			t.Errorf("%+v %v after %v", info, err, took)
		}
	}, func(b *bench) {
		for b.e.service("s").budget.Take() {
		}
	})
	run("a write is never hedged", IdempotentWrite, onlyA, do{urlA: slowThen}, func(t *testing.T, b *bench, info Info, err error, took time.Duration) {
		if err != nil || took != 5*time.Second || len(b.asked) != 1 {
			t.Errorf("%+v %v after %v", info, err, took)
		}
	}, nil)
	run("at most one, and an inactive address is not asked for it", Read, aAndB, do{urlA: hangs, urlB: hangs}, func(t *testing.T, b *bench, _ Info, err error, took time.Duration) {
		if got := strings.Join(b.asked, ""); err == nil || got != "aabb" || took != 15*time.Second {
			t.Errorf("asked %s, %v after %v", got, err, took)
		}
	}, nil)
	run("another active address is asked for it", Read, []Endpoint{{urlA, 0, true}, {urlB, 1, true}}, do{urlA: hangs, urlB: answers(10 * ms)}, func(t *testing.T, b *bench, info Info, err error, _ time.Duration) {
		if got := strings.Join(b.asked, ""); err != nil || got != "ab" || info.Endpoint.URL != urlB || !info.Hedged || !info.Alternate {
			t.Errorf("asked %s, %+v %v", got, info, err)
		}
	}, nil)
	run("the original fails, the hedge saves it", Read, onlyA, do{urlA: then(func(ctx context.Context, n int) (string, error) {
		_ = sleep(ctx, 300*ms)
		return soa("SOA-02002")(ctx, n)
	}, answers(500*ms))}, func(t *testing.T, _ *bench, info Info, err error, _ time.Duration) {
		if err != nil || !info.Hedged {
			t.Errorf("%+v %v", info, err)
		}
	}, nil)
	run("a hedge that fails or panics changes nothing", Read, onlyA, do{urlA: then(answers(time.Second), func(context.Context, int) (string, error) { panic("x") })}, func(t *testing.T, _ *bench, info Info, err error, took time.Duration) {
		if err != nil || info.Hedged || took != time.Second {
			t.Errorf("%+v %v after %v", info, err, took)
		}
	}, nil)
	run("too few samples", Read, onlyA, do{urlA: slowThen}, func(t *testing.T, b *bench, _ Info, err error, took time.Duration) {
		if err != nil || len(b.asked) != 1 || took != 5*time.Second {
			t.Errorf("%v after %v, asked %v", err, took, b.asked)
		}
	}, func(b *bench) {
		b.p = NewPipeline(b.e, Layers[string, string]{}, func(ctx context.Context, a *Attempt, q string) (string, error) { return b.send(ctx, a, q) })
		b.e.service("s").ops.Store(&map[string]*Latencies{})
	})
}

// TestHedgeQueue: many calls at once are hedged each in its own time, and none is left behind.
func TestHedgeQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var fired []int
		count := func() int { mu.Lock(); defer mu.Unlock(); return len(fired) }
		q := &hedgeQueue{}
		nodes := make([]*armed, 6)
		for i := range nodes {
			nodes[i] = &armed{fire: func() { mu.Lock(); fired = append(fired, i); mu.Unlock() }}
			q.arm(nodes[i], time.Now().Add(time.Second), time.Second)
			time.Sleep(100 * time.Millisecond)
		}
		for _, i := range []int{0, 3, 5} {
			if !q.disarm(nodes[i]) || q.disarm(nodes[i]) {
				t.Fatal("disarm")
			}
		}
		start := time.Now()
		for count() < 3 && time.Since(start) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if !slices.Equal(fired, []int{1, 2, 4}) || time.Since(start).Round(50*time.Millisecond) != 800*time.Millisecond {
			t.Fatalf("%v after %v", fired, time.Since(start))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if q.head != nil || q.tail != nil || q.running || q.disarm(nodes[1]) {
			t.Fatal("left behind")
		}
		q.arm(nodes[0], time.Now().Add(time.Second), time.Second)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(fired) != 4 {
			t.Fatal("the timer does not start again")
		}
	})
}

func TestObserverPanics(t *testing.T) {
	b := newBench(t, Config{Observers: []func(Event){func(Event) { panic("x") }}}, do{urlA: answers(0)})
	defer b.e.Close()
	stop := b.e.Observe(func(Event) { panic("y") })
	if _, _, err := b.call(t.Context(), Read, onlyA); err != nil || len(b.events) != 2 {
		t.Fatalf("%v, %d events", err, len(b.events))
	}
	stop()
	stop()
	if n := len(b.e.observers.get()); n != 2 {
		t.Fatalf("%d observers left", n)
	}
}

// TestPanicInSend: what the attempt held is given back.
func TestPanicInSend(t *testing.T) {
	b := newBench(t, Config{}, do{urlA: func(context.Context, int) (string, error) { panic("x") }})
	defer b.e.Close()
	func() {
		defer func() { _ = recover() }()
		_, _, _ = b.call(t.Context(), Read, onlyA)
		t.Error("swallowed")
	}()
	s := b.e.service("s")
	if s.bulkhead.InFlight() != 0 || s.endpoint(urlA).limiter.inFlight != 0 {
		t.Error("places lost")
	}
}

func TestEventsHoldNoPersonalData(t *testing.T) {
	const ssin = "85073199704"
	b := newBench(t, Config{Policy: Policy{MaxAttempts: 1}}, do{})
	defer b.e.Close()
	for _, code := range []string{ssin, "85.07.31-997.04", "no such patient Janssens", strings.Repeat("A", 41)} {
		b.do["https://user:"+ssin+"@a.example:8443/x?ssin="+ssin] = func(context.Context, int) (string, error) {
			return "", &fault.Error{Kind: fault.Unavailable, Code: code, Message: ssin, Err: errors.New(ssin)}
		}
		_, _, err := b.call(t.Context(), Read, []Endpoint{{"https://user:" + ssin + "@a.example:8443/x?ssin=" + ssin, 0, true}})
		b.asked = nil
		if err == nil || strings.Contains(err.Error(), ssin) {
			t.Error(err)
		}
	}
	for _, ev := range b.events {
		if text := fmt.Sprintf("%+v", ev); strings.Contains(text, "8507319") || strings.Contains(text, "85.07") || strings.Contains(text, "Janssens") || ev.Code != "" || ev.Endpoint != "a.example:8443" {
			t.Error(text)
		}
	}
	for code, want := range map[string]string{"SOA-02002": "SOA-02002", "HTTP-503": "HTTP-503", "urn:x:1.2_3": "urn:x:1.2_3", "a b": ""} {
		if got := codeLike(code); got != want {
			t.Errorf("%q: %q", code, got)
		}
	}
}
