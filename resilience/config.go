package resilience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Config is everything that can be set. The zero value is ready for use.
type Config struct {
	// Policy holds for every service; a zero field has the default of defaults.go, a negative
	// one is off.
	Policy
	// Services changes single numbers for single services; their zero fields are those of
	// Policy.
	Services map[string]Policy
	// Health says when a function is called slow or down.
	Health HealthPolicy
	// Functions are what [Health] reports on; none = no health feed.
	Functions []Function
	// Order puts the addresses of a service into the order in which a call of this class asks
	// them, and may leave some out; those that failed lately then move to the end. nil = the
	// lowest Order among the active ones first, then the others.
	Order func(service string, class Class, all []Endpoint) []Endpoint
	// Probe asks an address cheaply whether it is back, before a real call is risked on it: nil
	// = the next real call is the probe. It must respect ctx. It runs in a goroutine of the
	// [Engine], one at a time per address.
	Probe func(ctx context.Context, service, endpoint string) error
	// Observers see every event and must not block. [Engine.Observe] adds more.
	Observers []func(Event)
	// Random draws from [0, 1) for all jitter and must be safe for concurrent use: nil =
	// math/rand/v2. Simulations set it for a fixed seed.
	Random func() float64
}

// Policy is how the calls of one service are treated.
type Policy struct {
	Timeout     time.Duration // total time of a call; negative: only the caller's context bounds it
	MaxAttempts int           // attempts per call, hedges not counted; negative: 1
	AttemptMax  time.Duration // longest time of one attempt, if it may be repeated; 0 or negative: its share of Timeout
	MinShare    time.Duration // least time that an attempt is started with; negative: none
	Backoff     BackoffPolicy
	Budget      BudgetPolicy
	Breaker     BreakerPolicy
	Limit       LimitPolicy
	Bulkhead    BulkheadPolicy
	Rate        RatePolicy
	Hedge       HedgePolicy
}

// BackoffPolicy is the pause before an address is asked again.
type BackoffPolicy struct {
	Base, Max time.Duration // of [FullJitter]; negative: no pause
	// New makes the source of pauses for one call, and replaces FullJitter. It is a factory
	// because a backoff.BackOff has state and is not safe for concurrent use.
	New func() backoff.BackOff
}

// BudgetPolicy is the bucket that retries and hedges of a service share. Capacity negative: no
// budget, every retry is allowed.
type BudgetPolicy struct{ Capacity, PerSuccess, PerRetry, PerSecond float64 }

// BreakerPolicy is when an address is left alone. See [Breaker].
type BreakerPolicy struct {
	Consecutive  int           // failures in a row that open it; negative: off
	Ratio        float64       // share of failed calls that opens it, 0 < Ratio <= 1; negative: off
	MinCalls     int           // least number of calls for Ratio
	Window       time.Duration // over which Ratio is measured
	Slow         time.Duration // an answer that takes longer counts as a failure; negative: off
	Patience     time.Duration // a time-out after less than this does not count; negative: every one counts
	Open         time.Duration // first open time
	Growth       float64       // later open times as a share of the outage so far; negative: no growth
	OpenMax      time.Duration // longest open time
	CloseAfter   int           // successes, one at a time, that close it
	ProbeTimeout time.Duration // of Config.Probe
}

// LimitPolicy is the adaptive concurrency of one address. See [Limiter]. Max negative: off.
type LimitPolicy struct {
	Initial, Min, Max    int
	Queue                int     // how many calls beyond the ideal are welcome
	Smoothing, Tolerance float64 // weight of the new limit; how much slower than usual is still usual
	LongWindow           int     // samples of the long average
	Waiting              int     // callers that may wait; negative: none
}

// BulkheadPolicy is the fixed concurrency of one service. InFlight negative: off.
type BulkheadPolicy struct {
	InFlight int
	Waiting  int // callers that may wait; negative: none
}

// RatePolicy is how many calls of one service may start. PerSecond negative: off.
type RatePolicy struct {
	PerSecond float64
	Burst     int
}

// HedgePolicy is when a read is asked a second time while the first is under way. Quantile
// negative: never.
type HedgePolicy struct {
	Quantile   float64 // of the operation's latencies, 0.5 <= Quantile < 1
	MinSamples int
	MinDelay   time.Duration // negative: none
	Window     time.Duration
	// Share of the successful attempts of a service that may be hedged in the long run, beside
	// what the budget allows; negative: as many as the budget allows.
	Share float64
}

// HealthPolicy is when a function is reported slow, down and well again. See [Health].
type HealthPolicy struct {
	DownAfter     int
	Slow          time.Duration // negative: never slow
	Hold, HoldMax time.Duration // Hold negative: better at once
	Memory        time.Duration
}

// resolved returns the configuration without zeros, or what is wrong with it.
func (c Config) resolved() (Config, error) {
	c.Policy = c.Policy.resolve(DefaultPolicy())
	c.Health = c.Health.resolve()
	errs := []error{c.Policy.validate("")}
	services := make(map[string]Policy, len(c.Services))
	for name, p := range c.Services {
		services[name] = p.resolve(c.Policy)
		errs = append(errs, services[name].validate(name+": "))
	}
	c.Services = services
	seen := map[string]bool{}
	for _, f := range c.Functions {
		if f.Name == "" || len(f.Needs) == 0 || seen[f.Name] {
			errs = append(errs, fmt.Errorf("function %q: needs a name of its own and at least one service", f.Name))
		}
		seen[f.Name] = true
	}
	if c.Health.DownAfter < 1 || c.Health.HoldMax < c.Health.Hold || c.Health.Memory < 0 {
		errs = append(errs, errors.New("health: DownAfter >= 1, Hold <= HoldMax and Memory >= 0 wanted"))
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, fmt.Errorf("resilience: %w", err)
	}
	return c, nil
}

func (p Policy) validate(where string) error {
	var errs []error
	want := func(ok bool, rule string) {
		if !ok {
			errs = append(errs, errors.New(where+rule))
		}
	}
	b, l := p.Breaker, p.Limit
	want(p.Backoff.Base < 0 || p.Backoff.Max >= p.Backoff.Base, "Backoff.Max is below Backoff.Base")
	want(p.Budget.Capacity < 0 || p.Budget.PerRetry > 0 && p.Budget.PerRetry <= p.Budget.Capacity, "Budget.PerRetry must be above 0 and at most Capacity")
	want(p.Budget.PerSuccess >= 0 || p.Budget.Capacity < 0, "Budget.PerSuccess is negative")
	want(b.Ratio <= 1, "Breaker.Ratio is above 1")
	want(b.MinCalls > 0 && b.Window >= windowSlots*time.Nanosecond, "Breaker.MinCalls and Window must be positive")
	want(b.Open > 0 && b.OpenMax >= b.Open, "Breaker.Open must be positive and at most OpenMax")
	want(b.CloseAfter > 0 && b.ProbeTimeout > 0, "Breaker.CloseAfter and ProbeTimeout must be positive")
	want(l.Max < 0 || 0 < l.Min && l.Min <= l.Initial && l.Initial <= l.Max, "Limit: 0 < Min <= Initial <= Max wanted")
	want(l.Max < 0 || l.Smoothing > 0 && l.Smoothing <= 1 && l.Tolerance >= 1 && l.LongWindow > 1 && l.Queue >= 0, "Limit: Smoothing in (0, 1], Tolerance >= 1, LongWindow > 1, Queue >= 0 wanted")
	want(p.Rate.PerSecond < 0 || p.Rate.Burst > 0, "Rate.Burst must be positive")
	want(p.Hedge.Quantile < 0 || p.Hedge.Quantile >= 0.5 && p.Hedge.Quantile < 1, "Hedge.Quantile must be in [0.5, 1)")
	want(p.Hedge.Share <= 1, "Hedge.Share is above 1")
	want(p.Hedge.Quantile < 0 || p.Hedge.MinSamples > 0 && p.Hedge.Window > 0, "Hedge.MinSamples and Window must be positive")
	return errors.Join(errs...)
}
