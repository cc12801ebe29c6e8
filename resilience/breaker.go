package resilience

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Breaker leaves one address of one service alone while it does not work.
//
//	         10 failures in a row, or 60 % of 20 calls in 10 s
//	Closed ───────────────────────────────────────────────────▶ Open ◀───┐
//	  ▲                                                           │      │ any failure,
//	  │ three successes, one at a time                            │ 5 s… │ longer each time
//	  └──────────────────────── HalfOpen ◀────────────────────────┘ ─────┘
//	                                       cheap probe, if there is one
//
// What counts is told by a [Verdict]; mistakes of the caller never do. [Breaker.ForceOpen]
// closes the address by hand with a reason and an end.
//
// It has no clock: now is an argument. All methods are safe for concurrent use; Allow and
// Record allocate nothing.
type Breaker struct {
	service, endpoint string
	p                 BreakerPolicy
	random            func() float64
	probed            bool // a cheap probe decides when half-open begins
	onChange          func(Change)

	closed atomic.Bool   // the fast path of Allow
	gen    atomic.Uint64 // grows with every change of state

	mu       sync.Mutex
	state    BreakerState
	since    time.Time
	until    time.Time
	outage   time.Time // when it opened first; zero while closed
	reason   string
	lastErr  string
	failures int // in a row
	passed   int // successes while half-open
	probing  bool
	probeAt  time.Time
	refusal  *Refusal
	window   window
}

// BreakerState is what a breaker does with calls.
type BreakerState uint8

// The states.
const (
	Closed     BreakerState = iota // lets all through
	Open                           // lets none through until its time is over
	HalfOpen                       // lets one through at a time
	ForcedOpen                     // closed by hand: lets none through
)

var breakerStates = [...]string{"closed", "open", "half-open", "forced open"}

// String returns a lower-case English name; it is part of the log and storage formats.
func (s BreakerState) String() string {
	if int(s) < len(breakerStates) {
		return breakerStates[s]
	}
	return "BreakerState(?)"
}

// MarshalText returns String.
func (s BreakerState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *BreakerState) UnmarshalText(text []byte) error {
	for i, name := range breakerStates {
		if name == string(text) {
			*s = BreakerState(i)
			return nil
		}
	}
	return errors.New("resilience: unknown state of a breaker")
}

// Snapshot is the state of a breaker, to show or to store. It holds no personal data.
type Snapshot struct {
	Service  string       `json:"service"`
	Endpoint string       `json:"endpoint"`
	State    BreakerState `json:"state"`
	Since    time.Time    `json:"since"`            // when it came into this state
	Until    time.Time    `json:"until,omitzero"`   // end of an open time; zero: none, or not known
	Outage   time.Time    `json:"outage,omitzero"`  // when it opened first; zero while closed
	Reason   string       `json:"reason,omitempty"` // why it opened
	Failures int          `json:"failures"`         // in a row
	LastErr  string       `json:"last_error,omitempty"`
}

// Change is one change of a breaker's state.
type Change struct {
	Seq  uint64 // of this breaker, growing: a smaller one that arrives later is older news
	From BreakerState
	To   Snapshot
}

// Permit is the right to make one call. The zero value belongs to no call.
type Permit struct {
	gen   uint64
	probe bool
}

// NewBreaker returns a closed breaker. Numbers of p that are zero have their defaults.
// onChange, when not nil, is called after every change of state, outside all locks, possibly
// from several goroutines; see Change.Seq.
func NewBreaker(service, endpoint string, p BreakerPolicy, onChange func(Change)) *Breaker {
	b := &Breaker{service: service, endpoint: endpoint, p: p.resolve(DefaultPolicy().Breaker), onChange: onChange}
	b.closed.Store(true)
	return b
}

// Allow asks to make a call. Without a permit the error is a *[Refusal] by ErrBreakerOpen.
// Whoever has a permit must hand it to Record.
func (b *Breaker) Allow(now time.Time) (Permit, error) {
	if b.closed.Load() {
		return Permit{gen: b.gen.Load()}, nil
	}
	b.mu.Lock()
	if !b.admits(now) {
		r := b.refusal
		b.mu.Unlock()
		return Permit{}, r
	}
	var c *Change
	if b.state == Open || b.state == ForcedOpen {
		c = b.become(HalfOpen, now, time.Time{}, b.reason)
	}
	p := Permit{gen: b.gen.Load()}
	if b.state == HalfOpen {
		p.probe, b.probing, b.probeAt = true, true, now
	}
	b.mu.Unlock()
	b.emit(c)
	return p, nil
}

// Ready reports whether Allow would give a permit now.
func (b *Breaker) Ready(now time.Time) bool {
	if b.closed.Load() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.admits(now)
}

// good tells whether it is closed and the last call that counted succeeded.
func (b *Breaker) good() bool {
	if !b.closed.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures == 0
}

func (b *Breaker) admits(now time.Time) bool {
	switch b.state {
	case Closed:
		return true
	case Open:
		return !b.probed && !now.Before(b.until)
	case ForcedOpen:
		return !b.until.IsZero() && !now.Before(b.until)
	}
	// A probe that never told must not keep the address closed for ever.
	return !b.probing || now.Sub(b.probeAt) > b.p.OpenMax
}

// Record tells how the call of a permit ended. cause is kept for the snapshot: an error that is
// not known to be safe is kept as its type only. The result of a call that was let through in
// an earlier state changes nothing.
func (b *Breaker) Record(p Permit, now time.Time, v Verdict, cause error) {
	if v == Ignored && !p.probe {
		return
	}
	b.mu.Lock()
	if p.gen != b.gen.Load() {
		b.mu.Unlock()
		return
	}
	var c *Change
	switch b.state {
	case Closed:
		c = b.count(now, v, cause)
	case HalfOpen:
		c = b.probeEnded(now, v, cause)
	}
	b.mu.Unlock()
	b.emit(c)
}

func (b *Breaker) count(now time.Time, v Verdict, cause error) *Change {
	b.window.add(now, b.p.Window, v == Failed)
	if v == Success {
		b.failures = 0
		return nil
	}
	b.failures++
	b.lastErr = safeText(cause)
	switch calls, failed := b.window.sum(now, b.p.Window); {
	case b.p.Consecutive > 0 && b.failures >= b.p.Consecutive:
		return b.open(now, "failures in a row")
	case b.p.Ratio > 0 && calls >= b.p.MinCalls && float64(failed) >= b.p.Ratio*float64(calls):
		return b.open(now, "share of failures")
	}
	return nil
}

func (b *Breaker) probeEnded(now time.Time, v Verdict, cause error) *Change {
	b.probing = false
	switch v {
	case Failed:
		b.failures++
		b.lastErr = safeText(cause)
		return b.open(now, "still failing")
	case Success:
		b.failures = 0
		if b.passed++; b.passed >= b.p.CloseAfter {
			return b.become(Closed, now, time.Time{}, "")
		}
	}
	return nil
}

func (b *Breaker) open(now time.Time, reason string) *Change {
	if b.outage.IsZero() {
		b.outage = now
	}
	d := b.p.Open
	if b.p.Growth > 0 {
		d = min(max(d, time.Duration(b.p.Growth*float64(now.Sub(b.outage)))), b.p.OpenMax)
	}
	// Half of the time is jitter, so that many clients do not return in one wave.
	d = d/2 + time.Duration(draw(b.random)*float64(d/2))
	return b.become(Open, now, now.Add(d), reason)
}

// become is the one place where the state changes.
func (b *Breaker) become(s BreakerState, now, until time.Time, reason string) *Change {
	from := b.state
	b.state, b.since, b.until, b.reason = s, now, until, reason
	b.passed, b.probing = 0, false
	switch s {
	case Closed:
		b.failures, b.outage = 0, time.Time{}
		b.window = window{}
	case ForcedOpen:
		if b.outage.IsZero() {
			b.outage = now
		}
	}
	seq := b.gen.Add(1)
	b.closed.Store(s == Closed)
	if s != Closed {
		b.refusal = &Refusal{By: ErrBreakerOpen, Reason: reason}
		if !until.IsZero() {
			b.refusal.RetryAfter = max(until.Sub(now), 0)
		}
	}
	return &Change{Seq: seq, From: from, To: b.snapshot()}
}

func (b *Breaker) emit(c *Change) {
	if c != nil && b.onChange != nil {
		b.onChange(*c)
	}
}

// ForceOpen closes the address for all calls until the given instant, or until Close when it
// is zero. reason is shown to operators and must hold no personal data. Afterwards the breaker
// is half-open.
func (b *Breaker) ForceOpen(now time.Time, reason string, until time.Time) {
	b.mu.Lock()
	c := b.become(ForcedOpen, now, until, reason)
	b.mu.Unlock()
	b.emit(c)
}

// Close ends every open state by hand.
func (b *Breaker) Close(now time.Time) {
	b.mu.Lock()
	var c *Change
	if b.state != Closed {
		c = b.become(Closed, now, time.Time{}, "")
	}
	b.mu.Unlock()
	b.emit(c)
}

// ProbeDue asks to make the cheap probe; false when it is not time, or another one is under
// way. Whoever gets a permit must hand it to ProbeDone.
func (b *Breaker) ProbeDue(now time.Time) (Permit, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != Open || now.Before(b.until) || b.probing {
		return Permit{}, false
	}
	b.probing, b.probeAt = true, now
	return Permit{gen: b.gen.Load(), probe: true}, true
}

// ProbeDone tells how the cheap probe ended: success makes the breaker half-open, which lets
// real calls try one at a time; everything else opens it again.
func (b *Breaker) ProbeDone(p Permit, now time.Time, err error) {
	b.mu.Lock()
	var c *Change
	if p.gen == b.gen.Load() && b.state == Open {
		if err == nil {
			c = b.become(HalfOpen, now, time.Time{}, "probe succeeded")
		} else {
			b.lastErr = safeText(err)
			c = b.open(now, "probe failed")
		}
	}
	b.mu.Unlock()
	b.emit(c)
}

// Snapshot returns the state now.
func (b *Breaker) Snapshot() Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.snapshot()
}

func (b *Breaker) snapshot() Snapshot {
	return Snapshot{
		Service: b.service, Endpoint: b.endpoint, State: b.state, Since: b.since, Until: b.until, Outage: b.outage,
		Reason: b.reason, Failures: b.failures, LastErr: b.lastErr,
	}
}

// Restore takes over the state of a snapshot, after a restart. Times that a changed clock put
// into the future are drawn back to now; an open time that ended more than OpenMax ago says
// nothing any more, and the breaker stays closed. It reports no Change.
func (b *Breaker) Restore(s Snapshot, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed.Load() || s.State == Closed || s.State > ForcedOpen {
		return
	}
	state, until := s.State, s.Until
	if state == HalfOpen { // the probe under way died with the process
		state, until = Open, earliest(s.Since, now)
	}
	if state == Open {
		until = earliest(until, now.Add(b.p.OpenMax))
	}
	if !until.IsZero() && now.Sub(until) > b.p.OpenMax {
		return
	}
	b.become(state, now, until, s.Reason)
	b.since, b.outage = earliest(s.Since, now), earliest(s.Outage, now)
	if b.outage.IsZero() {
		b.outage = b.since
	}
	b.failures, b.lastErr = max(s.Failures, 0), s.LastErr
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// windowSlots is how fine the sliding window is: a tenth of it leaves at a time.
const windowSlots = 10

// window counts calls and failures in slots of time.
type window struct {
	epoch time.Time
	slots [windowSlots]slot
}

type slot struct {
	at            int64 // which slot since epoch
	calls, failed uint32
}

func (w *window) add(now time.Time, width time.Duration, failed bool) {
	if w.epoch.IsZero() {
		w.epoch = now
	}
	at := w.at(now, width)
	s := &w.slots[at%windowSlots]
	if s.at != at {
		*s = slot{at: at}
	}
	if s.calls < math.MaxUint32 {
		s.calls++
		if failed {
			s.failed++
		}
	}
}

func (w *window) at(now time.Time, width time.Duration) int64 {
	return max(int64(now.Sub(w.epoch)/(width/windowSlots)), 0)
}

func (w *window) sum(now time.Time, width time.Duration) (calls, failed int) {
	at := w.at(now, width)
	for i := range w.slots {
		if s := &w.slots[i]; s.at > at-windowSlots && s.at <= at {
			calls += int(s.calls)
			failed += int(s.failed)
		}
	}
	return calls, failed
}
