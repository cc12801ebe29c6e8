package resilience_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// A fleet of clients against one server, on virtual time: the scenarios and figures 1 to 5 of
// dossier 08 section 4. The clients are the real policies; the naive ones are the same code
// with everything switched off but four tries with full jitter.

const (
	fleetLoad     = 100.0 // operations per second, all clients together
	fleetCapacity = 125.0 // of the server, per second
	fleetWarm     = 30 * time.Second
	fleetURL      = "https://a.example/s"
)

type mode int

const (
	healthy   mode = iota
	refuse         // answers no connection, at once
	blackHole      // accepts, and never answers
	reset          // accepts, and cuts
	drip           // answers byte by byte: never whole within the time of an attempt
	errors30       // 30 % of the answers are errors
)

// server works off one queue at a rate. What it accepted it works off even when nobody waits
// any more: that is what makes overload sustain itself.
type server struct {
	mu       sync.Mutex
	mode     mode
	capacity float64
	queue    []chan struct{}
	wake     chan struct{}
	random   *rand.Rand
	attempts []time.Time
}

func (s *server) set(m mode, capacity float64) {
	s.mu.Lock()
	s.mode, s.capacity = m, capacity
	s.mu.Unlock()
}

func (s *server) work(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		pause, n := time.Duration(float64(time.Second)/s.capacity), len(s.queue)
		s.mu.Unlock()
		if n == 0 {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
			continue
		}
		time.Sleep(pause)
		s.mu.Lock()
		close(s.queue[0])
		s.queue = s.queue[1:]
		s.mu.Unlock()
	}
}

func (s *server) serve(ctx context.Context, _ *resilience.Attempt, _ int) (int, error) {
	s.mu.Lock()
	s.attempts = append(s.attempts, time.Now())
	m := s.mode
	failed := m == errors30 && s.random.Float64() < 0.3
	var done chan struct{}
	if m == healthy || m == errors30 {
		done = make(chan struct{})
		s.queue = append(s.queue, done)
	}
	s.mu.Unlock()
	switch m {
	case refuse, reset:
		time.Sleep(5 * time.Millisecond)
		if m == refuse {
			return 0, &fault.Error{Kind: fault.Unavailable, Outcome: fault.NotSent}
		}
		return 0, &fault.Error{Kind: fault.Unavailable, Outcome: fault.Unknown}
	case healthy, errors30:
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	select { // a black hole and a drip have no done
	case <-done:
	case <-ctx.Done():
		k, o := fault.Transport(ctx.Err(), fault.Written)
		return 0, &fault.Error{Kind: k, Outcome: o, Err: ctx.Err()}
	}
	time.Sleep(10 * time.Millisecond)
	if failed {
		return 0, &fault.Error{Kind: fault.Unavailable, Outcome: fault.Unknown}
	}
	return 1, nil
}

// op is one operation that a person began.
type op struct {
	at, end time.Time
	ok      bool
}

type scenario struct {
	clients  int
	policy   resilience.Policy
	mode     mode
	capacity float64 // during the fault
	fault    time.Duration
	after    time.Duration
	seed     uint64
}

type outcome struct {
	t0, t1   time.Time
	ops      []op
	attempts []time.Time
}

// run plays a scenario to its end.
func run(t *testing.T, sc scenario) (out outcome) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(sc.seed, 7))
		var randomMu sync.Mutex
		draw := func() float64 { randomMu.Lock(); defer randomMu.Unlock(); return random.Float64() }
		srv := &server{capacity: fleetCapacity, wake: make(chan struct{}, 1), random: rand.New(rand.NewPCG(sc.seed, 8))}
		ctx, stop := context.WithCancel(t.Context())
		go srv.work(ctx)
		var wg sync.WaitGroup
		var mu sync.Mutex
		end := time.Now().Add(fleetWarm + sc.fault + sc.after)
		for range sc.clients {
			e, err := resilience.New(resilience.Config{Policy: sc.policy, Random: draw})
			if err != nil {
				t.Fatal(err)
			}
			p := resilience.NewPipeline(e, resilience.Layers[int, int]{}, srv.serve)
			call := &resilience.Call{Op: "op", Service: "s", Endpoints: []resilience.Endpoint{{URL: fleetURL, Active: true}}}
			wg.Go(func() {
				for time.Now().Before(end) {
					time.Sleep(time.Duration(-math.Log(1-draw()) * float64(time.Second) * float64(sc.clients) / fleetLoad))
					wg.Go(func() {
						o := op{at: time.Now()}
						_, _, err := p.Do(context.Background(), call, 1)
						o.end, o.ok = time.Now(), err == nil
						mu.Lock()
						out.ops = append(out.ops, o)
						mu.Unlock()
					})
				}
			})
		}
		time.Sleep(fleetWarm)
		out.t0 = time.Now()
		srv.set(sc.mode, sc.capacity)
		time.Sleep(sc.fault)
		out.t1 = time.Now()
		srv.set(healthy, fleetCapacity)
		wg.Wait()
		stop()
		time.Sleep(time.Second) // for the server to notice
		out.attempts = srv.attempts
	})
	slices.SortFunc(out.ops, func(a, b op) int { return a.at.Compare(b.at) })
	return out
}

func within(at, from, to time.Time) bool { return !at.Before(from) && at.Before(to) }

// perOp is figure 1: attempts in the fault per operation begun in it.
func (o *outcome) perOp() float64 {
	attempts, ops := 0, 0
	for _, at := range o.attempts {
		if within(at, o.t0, o.t1) {
			attempts++
		}
	}
	for _, p := range o.ops {
		if within(p.at, o.t0, o.t1) {
			ops++
		}
	}
	return float64(attempts) / float64(ops)
}

// goodput is figures 4 and 5: operations begun in the fault that were answered in it.
func (o *outcome) goodput() float64 {
	good, ops := 0, 0
	for _, p := range o.ops {
		if within(p.at, o.t0, o.t1) {
			ops++
			if p.ok {
				good++
			}
		}
	}
	return float64(good) / float64(ops)
}

// recovery is figure 2: the first instant after the fault from which 99 % of the operations
// begun in the next five seconds succeed; math.Inf when it never comes.
func (o *outcome) recovery() float64 {
	last := o.ops[len(o.ops)-1].at
	for at := o.t1; at.Add(5 * time.Second).Before(last); at = at.Add(250 * time.Millisecond) {
		good, ops := 0, 0
		from, _ := slices.BinarySearchFunc(o.ops, at, func(p op, at time.Time) int { return p.at.Compare(at) })
		for _, p := range o.ops[from:] {
			if !p.at.Before(at.Add(5 * time.Second)) {
				break
			}
			ops++
			if p.ok {
				good++
			}
		}
		if float64(good) >= 0.99*float64(ops) {
			return at.Sub(o.t1).Seconds()
		}
	}
	return math.Inf(1)
}

func naive() resilience.Policy {
	return resilience.Policy{
		AttemptMax: 2 * time.Second, Timeout: -1, Budget: resilience.BudgetPolicy{Capacity: -1},
		Breaker: resilience.BreakerPolicy{Consecutive: -1, Ratio: -1}, Limit: resilience.LimitPolicy{Max: -1},
		Bulkhead: resilience.BulkheadPolicy{InFlight: -1}, Rate: resilience.RatePolicy{PerSecond: -1}, Hedge: resilience.HedgePolicy{Quantile: -1},
	}
}

func ours() resilience.Policy {
	return resilience.Policy{AttemptMax: 2 * time.Second, Timeout: 8 * time.Second}
}

func withoutBreaker() resilience.Policy {
	p := ours()
	p.Breaker = resilience.BreakerPolicy{Consecutive: -1, Ratio: -1}
	return p
}

// worst runs a scenario with several seeds and returns the worst and the median of a figure.
func worst(t *testing.T, sc scenario, figure func(*outcome) float64, lowIsBad bool) (bad, median float64) {
	seeds := 2
	if testing.Short() {
		seeds = 1
	}
	var all []float64
	for i := range seeds {
		sc.seed = uint64(i + 1)
		o := run(t, sc)
		all = append(all, figure(&o))
	}
	slices.Sort(all)
	bad, median = all[len(all)-1], all[len(all)/2]
	if lowIsBad {
		bad = all[0]
	}
	return bad, median
}

var modeNames = map[mode]string{refuse: "refuse", blackHole: "black hole", reset: "reset", drip: "slow drip"}

func TestFigure1Amplification(t *testing.T) {
	for m := refuse; m <= drip; m++ {
		for _, c := range []struct {
			name    string
			clients int
			policy  resilience.Policy
			atMost  float64
			atLeast float64
		}{
			{"naive, 50 clients", 50, naive(), 5, 3},
			{"ours, 50 clients of 2/s", 50, ours(), 0.35, 0},
			{"ours, 1 client of 100/s", 1, ours(), 0.05, 0},
			{"ours without breaker, 50 clients", 50, withoutBreaker(), 1.10, 0},
		} {
			bad, median := worst(t, scenario{clients: c.clients, policy: c.policy, mode: m, capacity: fleetCapacity, fault: time.Minute, after: time.Second}, (*outcome).perOp, false)
			t.Logf("%-10s %-34s %.3f attempts per operation (worst %.3f)", modeNames[m], c.name, median, bad)
			if bad > c.atMost || bad < c.atLeast {
				t.Errorf("%s, %s: %.3f, at most %.2f wanted", modeNames[m], c.name, bad, c.atMost)
			}
		}
	}
}

func TestFigure2Recovery(t *testing.T) {
	limit := 1.5 * resilience.DefaultBreakerOpen.Seconds()
	for m := refuse; m <= drip; m++ {
		for _, clients := range []int{50, 1} {
			bad, median := worst(t, scenario{clients: clients, policy: ours(), mode: m, capacity: fleetCapacity, fault: time.Minute, after: 40 * time.Second}, (*outcome).recovery, false)
			t.Logf("%-10s ours, %2d clients: %.1f s (worst %.1f s)", modeNames[m], clients, median, bad)
			if bad > limit {
				t.Errorf("%s, %d clients: %.1f s, at most %.1f wanted", modeNames[m], clients, bad, limit)
			}
		}
	}
	bad, _ := worst(t, scenario{clients: 50, policy: naive(), mode: blackHole, capacity: fleetCapacity, fault: time.Minute, after: 2 * time.Minute}, (*outcome).recovery, false)
	t.Logf("black hole naive, 50 clients: %.1f s", bad)
	if bad < 30 {
		t.Errorf("the naive fleet recovers in %.1f s: the scenario shows nothing", bad)
	}
}

func TestFigure3Metastability(t *testing.T) {
	for _, c := range []struct {
		clients int
		fault   time.Duration
	}{{50, 20 * time.Second}, {1, 20 * time.Second}, {50, 5 * time.Minute}, {50, 30 * time.Minute}, {1, 30 * time.Minute}} {
		if testing.Short() && c.fault > 5*time.Minute {
			continue
		}
		o := run(t, scenario{clients: c.clients, policy: ours(), capacity: 0.3 * fleetCapacity, fault: c.fault, after: 3 * time.Minute, seed: 1})
		r := o.recovery()
		t.Logf("ours, %d clients, brownout of %v: recovers after %.1f s", c.clients, c.fault, r)
		if math.IsInf(r, 1) {
			t.Errorf("%d clients, %v: never recovers", c.clients, c.fault)
		}
	}
	o := run(t, scenario{clients: 50, policy: naive(), capacity: 0.3 * fleetCapacity, fault: 20 * time.Second, after: 10 * time.Minute, seed: 1})
	if r := o.recovery(); !math.IsInf(r, 1) {
		t.Errorf("the naive fleet recovers after %.1f s: the scenario shows nothing", r)
	}
}

// TestFigure4PartialErrors: with +0.4 per success, for comparison, no client can reach 98 % in the long run: r
// retries per operation cost r and earn 0.4·s, and s = 0.7·(1+r), so s ends at 97 %, less what
// the full and the empty bucket lose. +0.6 reaches it, at the same amplification in an outage.
func TestFigure4PartialErrors(t *testing.T) {
	for _, clients := range []int{50, 1} {
		for _, c := range []struct{ perSuccess, atLeast float64 }{{resilience.DefaultBudgetPerSuccess, 0.98}, {0.4, 0.94}} {
			sc := scenario{clients: clients, policy: ours(), mode: errors30, capacity: fleetCapacity * 2, fault: time.Minute, after: time.Second}
			sc.policy.Budget.PerSuccess = c.perSuccess
			good, _ := worst(t, sc, (*outcome).goodput, true)
			cost, _ := worst(t, sc, (*outcome).perOp, false)
			t.Logf("ours, %2d clients, +%.1f per success: %.1f %% at %.2f attempts per operation", clients, c.perSuccess, 100*good, cost)
			if good < c.atLeast || cost > 1.45 {
				t.Errorf("%d clients: %.1f %% at %.2f attempts per operation", clients, 100*good, cost)
			}
		}
	}
}

func TestFigure5Brownout(t *testing.T) {
	line := ""
	for _, c := range []struct {
		name    string
		clients int
		policy  resilience.Policy
		atLeast float64
	}{{"naive", 1, naive(), 0}, {"ours, 1 client", 1, ours(), 0.25}, {"ours, 50 clients", 50, ours(), 0}} {
		good, median := worst(t, scenario{clients: c.clients, policy: c.policy, capacity: 0.32 * fleetCapacity, fault: 20 * time.Second, after: time.Second}, (*outcome).goodput, true)
		line += fmt.Sprintf("%s %.0f %% (worst %.0f %%); ", c.name, 100*median, 100*good)
		if good < c.atLeast {
			t.Errorf("%s: %.1f %%, at least %.0f %% wanted", c.name, 100*good, 100*c.atLeast)
		}
	}
	t.Log(line + "the ceiling is 40 %")
}
