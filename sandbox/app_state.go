package sandbox

import (
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

// put executes, or finds that it was executed before when duplicates are recognised.
func (a *appState) put(holder, ref, key string, at time.Time) (e AppExecution, again bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := appKey{holder, ref}
	x := a.index[k]
	if x != nil && a.behaviour.Deduplicate {
		return x.first, true
	}
	if a.index == nil {
		a.index, a.counts = map[appKey]*appEntry{}, map[string]int{}
	}
	e = AppExecution{Reference: ref, OrderingKey: key, Number: int64(len(a.log)) + 1, At: at, Nth: 1}
	if x == nil {
		a.index[k] = &appEntry{first: e, count: 1}
	} else {
		x.count++
		e.Nth = x.count
	}
	a.log = append(a.log, e)
	a.counts[ref]++
	return e, false
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
