package resilience

import (
	"sync/atomic"
	"time"
)

// Budget bounds what retries and hedges add to the load of a service: a bucket of tokens that
// starts full, gains a little with every success and with time, and pays for every retry and
// hedge.
//
// When much fails, the bucket is soon empty and only first attempts go out; when little fails
// it is never noticed. Concurrency-based budgets do not bound anything when failures are fast
// (dossier 07 section 1). All methods are safe for concurrent use and allocate nothing. A nil
// Budget has no bound.
type Budget struct {
	level                          atomic.Int64 // in thousandths of a token
	capacity, perSuccess, perRetry int64
	perSecond                      int64
	grown                          atomic.Int64 // instant up to which time has been paid out, in nanoseconds
}

const milli = 1000

// NewBudget returns a full bucket, or nil when p switches budgets off.
func NewBudget(p BudgetPolicy) *Budget {
	if p.Capacity < 0 {
		return nil
	}
	b := &Budget{capacity: int64(p.Capacity * milli), perSuccess: int64(p.PerSuccess * milli), perRetry: int64(p.PerRetry * milli), perSecond: int64(p.PerSecond * milli)}
	b.level.Store(b.capacity)
	return b
}

// Take pays for one retry or hedge. It reports false, and takes nothing, when the bucket does
// not hold enough.
func (b *Budget) Take() bool {
	if b == nil {
		return true
	}
	b.grow()
	for {
		old := b.level.Load()
		if old < b.perRetry {
			return false
		}
		if b.level.CompareAndSwap(old, old-b.perRetry) {
			return true
		}
	}
}

// Has reports whether Take would succeed now.
func (b *Budget) Has() bool {
	if b == nil {
		return true
	}
	b.grow()
	return b.level.Load() >= b.perRetry
}

// Ample reports whether at least half of the bucket is full: then a hedge may have a token
// without a retry going short.
func (b *Budget) Ample() bool { return b == nil || b.level.Load() >= max(b.capacity/2, b.perRetry) }

// grow pays out what time has brought since it was last asked.
func (b *Budget) grow() {
	if b.perSecond <= 0 {
		return
	}
	now, last := time.Now().UnixNano(), b.grown.Load()
	if last == 0 {
		b.grown.CompareAndSwap(0, now)
		return
	}
	const second = int64(time.Second)
	elapsed := min(now-last, b.capacity*second/b.perSecond+second)
	if n := elapsed * b.perSecond / second; n > 0 && b.grown.CompareAndSwap(last, max(last+n*second/b.perSecond, now-second)) {
		b.add(n)
	}
}

// Return gives back what Take took, for a retry that did not happen.
func (b *Budget) Return() {
	if b != nil {
		b.add(b.perRetry)
	}
}

// Success records one successful attempt.
func (b *Budget) Success() {
	if b != nil {
		b.add(b.perSuccess)
	}
}

func (b *Budget) add(n int64) {
	for {
		old := b.level.Load()
		if old == b.capacity || b.level.CompareAndSwap(old, min(old+n, b.capacity)) {
			return
		}
	}
}

// Level returns how many tokens are in the bucket, -1 for a budget without bound.
func (b *Budget) Level() float64 {
	if b == nil {
		return -1
	}
	return float64(b.level.Load()) / milli
}
