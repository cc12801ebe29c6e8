package resilience

import "time"

// Every number of the package, with its reason. A zero field of [Policy] means the constant
// here; a negative one switches the thing off. "07" and "08" are the project's dossiers.
const (
	// DefaultTimeout is the total time of a call: what a person at a counter waits (06 B.5,
	// BCP-01).
	DefaultTimeout = 15 * time.Second
	// DefaultMaxAttempts is how often one call is sent at most, hedges not counted. Four tries
	// turn 30 % random errors into 0.8 % (07 section 1).
	DefaultMaxAttempts = 4
	// DefaultMinShare is the least time worth starting an attempt with: a TLS handshake, one
	// signature and one answer over a slow line.
	DefaultMinShare = 250 * time.Millisecond

	// DefaultBackoffBase and DefaultBackoffMax bound the random pause before an address is asked
	// again: random(0, min(Max, Base·2ⁿ)) (08 section 1.8).
	DefaultBackoffBase = 100 * time.Millisecond
	DefaultBackoffMax  = 2 * time.Second

	// DefaultBudgetCapacity bounds the retries of an outage, DefaultBudgetPerSuccess serves them
	// under partial errors, DefaultBudgetPerRetry is the price of a retry or a hedge (07 section
	// 1). At 30 % errors 0.4 per success ends at 95 to 97 % answered, because r retries per
	// call cost r and earn 0.4·0.7·(1+r); 0.6 gives 99 % and the same load in an outage.
	DefaultBudgetCapacity   = 10
	DefaultBudgetPerSuccess = 0.6
	DefaultBudgetPerRetry   = 1
	// DefaultBudgetPerSecond keeps a workstation with one call every few minutes able to retry at
	// all (08 section 1.3). One token per half minute is nothing to a busy client: without the
	// breaker, 50 clients of 2 calls a second stay below 1.10 attempts per call in an outage.
	DefaultBudgetPerSecond = 0.03

	// DefaultBreakerConsecutive failures in a row open a breaker; five would halve the goodput at
	// 30 % errors (07 section 1).
	DefaultBreakerConsecutive = 10
	// DefaultBreakerRatio of at least DefaultBreakerMinCalls calls within DefaultBreakerWindow
	// opens it too: the rule for busy clients.
	DefaultBreakerRatio    = 0.6
	DefaultBreakerMinCalls = 20
	DefaultBreakerWindow   = 10 * time.Second
	// DefaultBreakerSlow makes an answer count as a failure: who waits ten seconds at a counter
	// has been failed, and INC-2018-09-12-SLOW is caught by it.
	DefaultBreakerSlow = 10 * time.Second
	// DefaultBreakerPatience is the least time an attempt must have had before its time-out says
	// something about the address rather than about a caller in a hurry.
	DefaultBreakerPatience = 500 * time.Millisecond
	// DefaultBreakerOpen is the first open time; every open time is drawn from [d/2, d].
	DefaultBreakerOpen = 5 * time.Second
	// DefaultBreakerGrowth makes the open time this share of the outage so far: a recovery is
	// noticed at most a tenth of the outage late, and a short outage is never made long.
	DefaultBreakerGrowth = 0.1
	// DefaultBreakerOpenMax is the longest open time, reached after 20 minutes.
	DefaultBreakerOpenMax = 2 * time.Minute
	// DefaultBreakerCloseAfter successes, one at a time, close a half-open breaker (07 section 1
	// simulated three).
	DefaultBreakerCloseAfter = 3
	// DefaultProbeTimeout bounds a cheap probe, and a read that is the probe of a half-open
	// breaker: the person whose call it is still has time for another address.
	DefaultProbeTimeout = 5 * time.Second

	// The adaptive limit per endpoint: Gradient2 with the numbers of 07 section 3. The least is
	// 1, not 20, because a workstation is a small client.
	DefaultLimitInitial    = 20
	DefaultLimitMin        = 1
	DefaultLimitMax        = 200
	DefaultLimitQueue      = 4
	DefaultLimitSmoothing  = 0.2
	DefaultLimitTolerance  = 1.5
	DefaultLimitLongWindow = 600
	// DefaultLimitWaiting callers may wait for the adaptive limit; more are refused at once,
	// because what waits longer than a person does is work for nobody.
	DefaultLimitWaiting = 20

	// DefaultBulkheadInFlight calls of one service may be under way and DefaultBulkheadWaiting
	// may wait: a stuck service cannot hold more of the process than that (06 B.5, BCP-09).
	DefaultBulkheadInFlight = 100
	DefaultBulkheadWaiting  = 200

	// DefaultRatePerSecond and DefaultRateBurst only stop a loop gone wild; quotas of a service
	// are for its own policy.
	DefaultRatePerSecond = 200
	DefaultRateBurst     = 200

	// DefaultHedgeQuantile of an operation's own latencies is when a read is asked a second time
	// (07 section 5), but only after DefaultHedgeMinSamples within DefaultHedgeWindow and never
	// before DefaultHedgeMinDelay: below that the second question costs more than it saves.
	DefaultHedgeQuantile   = 0.95
	DefaultHedgeMinSamples = 30
	DefaultHedgeMinDelay   = 50 * time.Millisecond
	DefaultHedgeWindow     = 5 * time.Minute
	// DefaultHedgeShare is what a p95 promises. The budget alone would allow 40 %: enough for
	// hedges to keep a server overloaded that they overloaded (fleet simulation, 80 % load).
	DefaultHedgeShare = 0.05

	// DefaultHealthDownAfter failed attempts in a row make an address bad, long before a breaker
	// opens on a workstation with one call a minute.
	DefaultHealthDownAfter = 3
	// DefaultHealthSlow is the smoothed latency from which an address is slow; it is slow no
	// more below half of it.
	DefaultHealthSlow = 3 * time.Second
	// DefaultHealthHold is how long good evidence must last before a function is reported
	// better. It grows twelvefold (5 s, 1 min, 10 min) with every turn for the worse within the
	// last hour, up to DefaultHealthHoldMax, so that a service that goes up and down makes at
	// most six changes an hour, whatever its period (08 section 4, figure 14).
	DefaultHealthHold    = 5 * time.Second
	DefaultHealthHoldMax = 10 * time.Minute
	// DefaultHealthMemory is how long a failure to reach an address counts as evidence about the
	// own network.
	DefaultHealthMemory = 2 * time.Minute
)

const (
	healthFlapWindow = time.Hour // over which turns for the worse are counted
	healthFlapFactor = 12
	hedgeBurst       = 2   // hedges in a row beyond the share
	slowGain         = 0.3 // weight of the newest latency in the smoothed one
)

// or returns def for a zero value.
func or[T ~int | ~int64 | ~float64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// resolve replaces every zero of p by the value of base.
func (p Policy) resolve(base Policy) Policy {
	p.Timeout = or(p.Timeout, base.Timeout)
	p.MaxAttempts = or(p.MaxAttempts, base.MaxAttempts)
	p.AttemptMax = or(p.AttemptMax, base.AttemptMax)
	p.MinShare = or(p.MinShare, base.MinShare)

	p.Backoff.Base = or(p.Backoff.Base, base.Backoff.Base)
	p.Backoff.Max = or(p.Backoff.Max, base.Backoff.Max)
	if p.Backoff.New == nil {
		p.Backoff.New = base.Backoff.New
	}
	p.Budget.Capacity = or(p.Budget.Capacity, base.Budget.Capacity)
	p.Budget.PerSuccess = or(p.Budget.PerSuccess, base.Budget.PerSuccess)
	p.Budget.PerRetry = or(p.Budget.PerRetry, base.Budget.PerRetry)
	p.Budget.PerSecond = or(p.Budget.PerSecond, base.Budget.PerSecond)

	p.Breaker = p.Breaker.resolve(base.Breaker)
	p.Limit = p.Limit.resolve(base.Limit)

	p.Bulkhead.InFlight = or(p.Bulkhead.InFlight, base.Bulkhead.InFlight)
	p.Bulkhead.Waiting = or(p.Bulkhead.Waiting, base.Bulkhead.Waiting)
	p.Rate.PerSecond = or(p.Rate.PerSecond, base.Rate.PerSecond)
	p.Rate.Burst = or(p.Rate.Burst, base.Rate.Burst)

	p.Hedge.Quantile = or(p.Hedge.Quantile, base.Hedge.Quantile)
	p.Hedge.MinSamples = or(p.Hedge.MinSamples, base.Hedge.MinSamples)
	p.Hedge.MinDelay = or(p.Hedge.MinDelay, base.Hedge.MinDelay)
	p.Hedge.Window = or(p.Hedge.Window, base.Hedge.Window)
	p.Hedge.Share = or(p.Hedge.Share, base.Hedge.Share)
	return p
}

func (b BreakerPolicy) resolve(base BreakerPolicy) BreakerPolicy {
	b.Consecutive = or(b.Consecutive, base.Consecutive)
	b.Ratio = or(b.Ratio, base.Ratio)
	b.MinCalls = or(b.MinCalls, base.MinCalls)
	b.Window = or(b.Window, base.Window)
	b.Slow = or(b.Slow, base.Slow)
	b.Patience = or(b.Patience, base.Patience)
	b.Open = or(b.Open, base.Open)
	b.Growth = or(b.Growth, base.Growth)
	b.OpenMax = or(b.OpenMax, base.OpenMax)
	b.CloseAfter = or(b.CloseAfter, base.CloseAfter)
	b.ProbeTimeout = or(b.ProbeTimeout, base.ProbeTimeout)
	return b
}

func (l LimitPolicy) resolve(base LimitPolicy) LimitPolicy {
	l.Initial = or(l.Initial, base.Initial)
	l.Min = or(l.Min, base.Min)
	l.Max = or(l.Max, base.Max)
	l.Queue = or(l.Queue, base.Queue)
	l.Smoothing = or(l.Smoothing, base.Smoothing)
	l.Tolerance = or(l.Tolerance, base.Tolerance)
	l.LongWindow = or(l.LongWindow, base.LongWindow)
	l.Waiting = or(l.Waiting, base.Waiting)
	return l
}

func (h HealthPolicy) resolve() HealthPolicy {
	h.DownAfter = or(h.DownAfter, DefaultHealthDownAfter)
	h.Slow = or(h.Slow, DefaultHealthSlow)
	h.Hold = or(h.Hold, DefaultHealthHold)
	h.HoldMax = or(h.HoldMax, DefaultHealthHoldMax)
	h.Memory = or(h.Memory, DefaultHealthMemory)
	return h
}

// DefaultPolicy returns the policy that a zero [Policy] stands for.
func DefaultPolicy() Policy {
	return Policy{
		Timeout: DefaultTimeout, MaxAttempts: DefaultMaxAttempts, MinShare: DefaultMinShare,
		Backoff: BackoffPolicy{Base: DefaultBackoffBase, Max: DefaultBackoffMax},
		Budget:  BudgetPolicy{Capacity: DefaultBudgetCapacity, PerSuccess: DefaultBudgetPerSuccess, PerRetry: DefaultBudgetPerRetry, PerSecond: DefaultBudgetPerSecond},
		Breaker: BreakerPolicy{
			Consecutive: DefaultBreakerConsecutive, Ratio: DefaultBreakerRatio, MinCalls: DefaultBreakerMinCalls,
			Window: DefaultBreakerWindow, Slow: DefaultBreakerSlow, Patience: DefaultBreakerPatience, Open: DefaultBreakerOpen,
			Growth: DefaultBreakerGrowth, OpenMax: DefaultBreakerOpenMax, CloseAfter: DefaultBreakerCloseAfter,
			ProbeTimeout: DefaultProbeTimeout,
		},
		Limit: LimitPolicy{
			Initial: DefaultLimitInitial, Min: DefaultLimitMin, Max: DefaultLimitMax, Queue: DefaultLimitQueue,
			Smoothing: DefaultLimitSmoothing, Tolerance: DefaultLimitTolerance, LongWindow: DefaultLimitLongWindow,
			Waiting: DefaultLimitWaiting,
		},
		Bulkhead: BulkheadPolicy{InFlight: DefaultBulkheadInFlight, Waiting: DefaultBulkheadWaiting},
		Rate:     RatePolicy{PerSecond: DefaultRatePerSecond, Burst: DefaultRateBurst},
		Hedge: HedgePolicy{
			Quantile: DefaultHedgeQuantile, MinSamples: DefaultHedgeMinSamples, MinDelay: DefaultHedgeMinDelay, Window: DefaultHedgeWindow,
			Share: DefaultHedgeShare,
		},
	}
}
