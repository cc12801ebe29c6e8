package figures

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	warm = 30 * time.Second // before the fault, for averages to settle
	// look is over how long 99 % must succeed for a recovery, and lookEvery how fine its start is looked for.
	look      = 5 * time.Second
	lookEvery = 250 * time.Millisecond
)

// scenario is a fault of one server under a constant load.
type scenario struct {
	build
	clients  int
	load     float64 // operations per second, all clients together
	capacity float64 // without the fault
	mode     mode
	during   float64 // capacity in the fault
	lasts    time.Duration
	after    time.Duration // how long to look for the recovery; the run ends with it
	seed     uint64
}

// op is one operation that a person began.
type op struct {
	at, end time.Time // end is zero while it is under way
	ok      bool      // answered while the person was still there
}

// outcome is what was seen of a scenario.
type outcome struct {
	t0, t1, end time.Time // of the fault, and of the last operation's start
	ops         []op      // by start
	attempts    []time.Time
}

// random returns a seeded source for everything that a run draws.
func random(seed, stream uint64) func() float64 {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // repeatable on purpose
	return func() float64 { mu.Lock(); defer mu.Unlock(); return r.Float64() }
}

// exponential is the time to the next of events that come at a mean rate per second.
func exponential(draw func() float64, rate float64) time.Duration {
	return time.Duration(-math.Log(1-draw()) * float64(time.Second) / rate)
}

// traffic is operations at random instants, noted as they begin and end.
type traffic struct {
	mu   sync.Mutex
	ops  []op
	stop bool
	wg   sync.WaitGroup
}

// add lets one client begin operations at a mean rate per second until halt. Whoever began one leaves after limit.
func (t *traffic) add(c client, draw func() float64, rate float64, limit time.Duration) {
	t.wg.Go(func() {
		for {
			time.Sleep(exponential(draw, rate))
			t.mu.Lock()
			if t.stop {
				t.mu.Unlock()
				return
			}
			i := len(t.ops)
			t.ops = append(t.ops, op{at: time.Now()})
			t.mu.Unlock()
			t.wg.Go(func() {
				ctx, leave := context.WithTimeout(context.Background(), limit)
				defer leave()
				err := c.call(ctx)
				t.mu.Lock()
				defer t.mu.Unlock()
				o := &t.ops[i]
				o.end = time.Now()
				o.ok = err == nil && o.end.Sub(o.at) <= limit
			})
		}
	})
}

// halt lets no more operations begin and waits for those under way.
func (t *traffic) halt() []op {
	t.mu.Lock()
	t.stop = true
	t.mu.Unlock()
	t.wg.Wait()
	return t.ops
}

// run plays a scenario. It ends when the clients have recovered or after has passed.
func (sc scenario) run() (*outcome, error) {
	sc.draw = random(sc.seed, 7)
	srv := newServer(sc.capacity, sc.seed)
	defer srv.close()
	t := &traffic{}
	for range sc.clients {
		c, err := sc.client(func(ctx context.Context, _ string) error { return srv.exchange(ctx) })
		if err != nil {
			return nil, err
		}
		defer c.close()
		t.add(c, sc.draw, sc.load/float64(sc.clients), patience)
	}
	o := &outcome{}
	time.Sleep(warm)
	o.t0 = time.Now()
	srv.set(sc.mode, sc.during)
	time.Sleep(sc.lasts)
	o.t1 = time.Now()
	srv.set(healthy, sc.capacity)
	for time.Since(o.t1) < sc.after {
		time.Sleep(min(look, sc.after-time.Since(o.t1)))
		t.mu.Lock()
		// Windows that were looked at before are not looked at again: the whole run is, at the end.
		seen := outcome{t1: latest(o.t1, time.Now().Add(-2*look)), end: time.Now(), ops: t.ops}
		recovered := !math.IsInf(seen.recovery(), 1)
		t.mu.Unlock()
		if recovered {
			break
		}
	}
	o.end = time.Now()
	o.ops, o.attempts = t.halt(), srv.attempts
	return o, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// between returns the operations begun in [from, to).
func (o *outcome) between(from, to time.Time) []op {
	find := func(at time.Time) int {
		i, _ := slices.BinarySearchFunc(o.ops, at, func(p op, at time.Time) int { return p.at.Compare(at) })
		return i
	}
	return o.ops[find(from):find(to)]
}

// perOp is attempts in the fault per operation begun in it.
func (o *outcome) perOp() float64 {
	attempts := 0
	for _, at := range o.attempts {
		if !at.Before(o.t0) && at.Before(o.t1) {
			attempts++
		}
	}
	return float64(attempts) / float64(len(o.between(o.t0, o.t1)))
}

// goodput is the share of the operations begun in the fault that were answered; within: before its end.
func (o *outcome) goodput(within bool) float64 {
	good, ops := 0, o.between(o.t0, o.t1)
	for _, p := range ops {
		if p.ok && (!within || p.end.Before(o.t1)) {
			good++
		}
	}
	return float64(good) / float64(len(ops))
}

// recovery is how many seconds after the fault 99 % of the operations begun in the next five seconds succeed; +Inf
// when they never do.
func (o *outcome) recovery() float64 {
	for at := o.t1; !at.Add(look).After(o.end); at = at.Add(lookEvery) {
		good, ops := 0, o.between(at, at.Add(look))
		for _, p := range ops {
			if p.ok {
				good++
			}
		}
		if len(ops) > 0 && float64(good) >= 0.99*float64(len(ops)) {
			return at.Sub(o.t1).Seconds()
		}
	}
	return math.Inf(1)
}

// p95 is how long 95 % of the operations begun in [from, to) took, answered or not.
func (o *outcome) p95(from, to time.Time) float64 {
	var waits []float64
	for _, p := range o.between(from, to) {
		waits = append(waits, p.end.Sub(p.at).Seconds())
	}
	return quantile(waits, 0.95)
}

// quantile is the smallest of the values that at least q of them do not exceed; NaN of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1]
}

// busiest is the largest number of instants in any stretch of time of that length; at is sorted.
func busiest(at []time.Time, stretch time.Duration) int {
	best, from := 0, 0
	for to := range at {
		for at[to].Sub(at[from]) >= stretch {
			from++
		}
		best = max(best, to-from+1)
	}
	return best
}
