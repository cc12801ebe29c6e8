package outbox

import (
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience"
)

// Defaults of [Policy] and of the options, each with its reason there.
const (
	DefaultTTL        = time.Minute
	DefaultTimeout    = time.Minute
	DefaultSkew       = 5 * time.Minute
	DefaultLate       = 5 * time.Minute
	DefaultLag        = time.Minute
	DefaultTries      = 50
	DefaultAsk        = 2 * time.Second
	DefaultBackoff    = 5 * time.Second
	DefaultBackoffMax = 10 * time.Minute
	DefaultGiveUp     = 48 * time.Hour
	DefaultLease      = 2*time.Minute + 15*time.Second
	DefaultSpread     = time.Minute
	DefaultPause      = 20
	DefaultPauseMax   = time.Minute
	DefaultGrace      = 10 * time.Second
	DefaultDeadline   = 15 * time.Second
	DefaultKeep       = 30 * 24 * time.Hour
	DefaultLockWait   = 200 * time.Millisecond
)

// Policy is what the Box must know about a kind. A duration of 0 is the default, a negative one
// is none.
type Policy struct {
	// Class decides what follows an unknown outcome: an IdempotentWrite is sent again, a
	// ResolvableWrite is asked for, an UnsafeWrite is parked for a person. It must be set: a
	// Read has no place in an outbox.
	Class resilience.Class
	// TTL is how long a signed message is valid. Default 1 min (dossier 01: a timestamp lives
	// 60 s). Never beyond the lease or the expiry of the item.
	TTL time.Duration
	// Timeout bounds one call of Send and of Resolve in the background. Default 1 min (BCP-01).
	Timeout time.Duration
	// Skew, Late and Lag make the horizon: "it did not happen" is believed only from a question
	// asked after the message's Expires + Skew + Late + Lag. Skew (default 5 min) is how long
	// after Expires, on our clock, the service may still accept the message: its tolerance and
	// the error of our clocks. Late (default 5 min) is the longest time from acceptance to
	// execution. Lag (default 1 min) is the longest time until a query shows an execution.
	Skew, Late, Lag time.Duration
	// Tries is how many attempts the service may refuse for a while before the item is parked.
	// Attempts that never left do not count: an outage parks nothing. Default 50; negative =
	// no limit.
	Tries int
	// Ask is the pause before the first question after an unknown outcome. Default 2 s. Later
	// ones follow Backoff, and one falls right after the horizon.
	Ask time.Duration
	// Backoff and BackoffMax bound the pause before an item is tried again: it doubles from the
	// first (default 5 s) to the second (default 10 min), with jitter.
	Backoff, BackoffMax time.Duration
	// GiveUp is how long after the horizon the resolver may fail to say yes or no before the
	// item is parked. Default 48 h; negative = never. What the resolver leaves to somebody else, by a fault.Canceled with a
	// RetryAfter, is parked after DefaultKeep.
	GiveUp time.Duration
	// KeepPayload keeps the payload of done and cancelled items, which is otherwise dropped: who
	// needs no health data any more should not have it.
	KeepPayload bool
}

func orDefault(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	} else if *d < 0 {
		*d = 0
	}
}

// resolved returns p with every number in place.
func (p Policy) resolved() (Policy, error) {
	if p.Class == resilience.Read {
		return p, fmt.Errorf("%w: the policy names no class of write", ErrInvalid)
	}
	if p.GiveUp < 0 {
		p.GiveUp = 1<<63 - 1
	}
	if p.Tries == 0 {
		p.Tries = DefaultTries
	}
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{
		{&p.TTL, DefaultTTL},
		{&p.Timeout, DefaultTimeout},
		{&p.Skew, DefaultSkew},
		{&p.Late, DefaultLate},
		{&p.Lag, DefaultLag},
		{&p.Ask, DefaultAsk},
		{&p.Backoff, DefaultBackoff},
		{&p.BackoffMax, DefaultBackoffMax},
		{&p.GiveUp, DefaultGiveUp},
	} {
		orDefault(d.at, d.def)
	}
	if p.TTL == 0 || p.Timeout == 0 {
		return p, fmt.Errorf("%w: TTL and Timeout cannot be switched off", ErrInvalid)
	}
	return p, nil
}

// horizon is how long after Expires "it did not happen" may be believed.
func (p Policy) horizon() time.Duration { return p.Skew + p.Late + p.Lag }

// backoff is the pause before try n (from 1), r in [0,1) decides the jitter: half of the pause
// is fixed, so that a pause is never nothing.
func (p Policy) backoff(n int, r float64) time.Duration {
	d := p.Backoff
	for ; n > 1 && d < p.BackoffMax; n-- {
		d *= 2
	}
	d = min(d, max(p.BackoffMax, p.Backoff))
	return d/2 + time.Duration(r*float64(d/2))
}
