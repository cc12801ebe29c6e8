package resilience

import (
	"math/bits"
	"sync"
	"time"
)

// Latencies estimates a quantile of an operation's recent latencies in bounded memory (about
// 1 kB): a histogram with eight steps per doubling from 1 ms to over two minutes, so that an
// estimate is at most an eighth too high, over the current window and the one before. It is
// safe for concurrent use and allocates nothing.
type Latencies struct {
	p     HedgePolicy
	queue hedgeQueue // of its attempts under way

	mu       sync.Mutex
	start    time.Time
	now, old [latencySteps]uint32
	n, nOld  int
	since    int           // samples since the estimate
	estimate time.Duration // 0 = too few samples
}

const (
	latencySub   = 3                        // bits: eight steps per doubling
	latencyShift = 20                       // 2^20 ns, about 1 ms: everything below is one step
	latencySteps = (37-latencyShift)<<3 + 1 // up to 2^37 ns, over two minutes
)

// NewLatencies returns an empty estimator, or nil when p switches hedging off.
func NewLatencies(p HedgePolicy) *Latencies {
	if p.Quantile < 0 {
		return nil
	}
	return &Latencies{p: p}
}

// Observe adds one latency of a successful attempt.
func (l *Latencies) Observe(now time.Time, d time.Duration) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.start.IsZero() {
		l.start = now
	}
	if age := now.Sub(l.start); age >= l.p.Window {
		l.rotate(age)
		l.start = now
	}
	l.now[latencyStep(d)]++
	l.n++
	// The estimate moves slowly; a sixteenth of new samples is soon enough.
	if l.since++; l.since >= max(1, (l.n+l.nOld)/16) {
		l.since, l.estimate = 0, l.quantile()
	}
}

func (l *Latencies) rotate(age time.Duration) {
	l.old, l.nOld = l.now, l.n
	if age >= 2*l.p.Window {
		l.old, l.nOld = [latencySteps]uint32{}, 0
	}
	l.now, l.n = [latencySteps]uint32{}, 0
}

// Quantile returns the estimate; ok is false until there are enough samples.
func (l *Latencies) Quantile() (d time.Duration, ok bool) {
	if l == nil {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.estimate, l.estimate > 0
}

func (l *Latencies) quantile() time.Duration {
	total := l.n + l.nOld
	if total < l.p.MinSamples {
		return 0
	}
	want := int(l.p.Quantile*float64(total)) + 1
	for i := range l.now {
		if want -= int(l.now[i] + l.old[i]); want <= 0 {
			return latencyBound(i)
		}
	}
	return latencyBound(latencySteps - 1)
}

// latencyStep returns the step of d: the position of its highest bit and the three bits below.
func latencyStep(d time.Duration) int {
	u := uint64(max(d, 0))
	if u < 1<<latencyShift {
		return 0
	}
	high := bits.Len64(u) - 1
	sub := int(u>>(high-latencySub)) & (1<<latencySub - 1)
	return min((high-latencyShift)<<latencySub+sub+1, latencySteps-1)
}

// latencyBound returns the upper end of a step.
func latencyBound(i int) time.Duration {
	octave, sub := i>>latencySub, i&(1<<latencySub-1)
	return time.Duration(uint64(1<<latencySub+sub) << (octave + latencyShift - latencySub))
}
