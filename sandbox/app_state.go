package sandbox

import (
	"math/rand/v2"
	"sync"
	"time"
)

// appState is what the application knows. The zero value is an application that has done nothing yet.
type appState struct {
	mu        sync.Mutex
	shared    *services // replay guard of both addresses
	behaviour AppBehaviour
	log       []AppExecution
	index     map[appKey]*appEntry
	counts    map[string]int // executions by reference, over all callers
	rng       *rand.Rand     // of late executions
}

// appWrite is a Put that was accepted.
type appWrite struct {
	holder, ref, key string
	at               time.Time // arrival
}

// appKey is a reference of one caller.
type appKey struct{ holder, reference string }

// appEntry is what happened under a reference.
type appEntry struct {
	first AppExecution
	count int
}

func (a *appState) door() *services {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.shared == nil {
		a.shared = newServices()
	}
	return a.shared
}

// delayed draws whether the next Put is executed late, and how long after its arrival.
func (a *appState) delayed(seed uint64) (time.Duration, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.behaviour
	if b.LateP <= 0 || b.Late <= 0 {
		return 0, false
	}
	if a.rng == nil {
		a.rng = rand.New(rand.NewPCG(seed, 0x61707020))
	}
	if a.rng.Float64() >= b.LateP {
		return 0, false
	}
	return time.Duration(a.rng.Int64N(int64(b.Late))), true
}

// put executes, or finds that it was executed before when duplicates are recognised, or that it is too late to.
func (a *appState) put(w appWrite) (e AppExecution, again, missed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if late := a.behaviour.Late; late > 0 && time.Since(w.at) > late {
		return AppExecution{}, false, true
	}
	k := appKey{w.holder, w.ref}
	x := a.index[k]
	if x != nil && a.behaviour.Deduplicate {
		return x.first, true, false
	}
	if a.index == nil {
		a.index, a.counts = map[appKey]*appEntry{}, map[string]int{}
	}
	e = AppExecution{Reference: w.ref, OrderingKey: w.key, Number: int64(len(a.log)) + 1, At: w.at, Nth: 1}
	if x == nil {
		a.index[k] = &appEntry{first: e, count: 1}
	} else {
		x.count++
		e.Nth = x.count
	}
	a.log = append(a.log, e)
	a.counts[w.ref]++
	return e, false, false
}

// query finds the first execution under a reference, unless it is younger than the lag.
func (a *appState) query(holder, ref string, at time.Time) (AppExecution, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.index[appKey{holder, ref}]
	if x == nil || at.Sub(x.first.At) < a.behaviour.QueryLag {
		return AppExecution{}, false
	}
	return x.first, true
}
