package resilience

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Endpoint is one address of a service.
type Endpoint struct {
	URL    string
	Order  int  // 0 = the default address; alternates follow in ascending order
	Active bool // the platform says: use this one now
}

// Directory tells the addresses of a service by its UDDI id.
type Directory interface {
	// Endpoints returns the addresses of service, in any order; none when it is unknown.
	Endpoints(service string) []Endpoint
}

// Static is a Directory that never changes.
type Static map[string][]Endpoint

// Endpoints implements [Directory].
func (s Static) Endpoints(service string) []Endpoint { return s[service] }

const (
	// RestMin is how long an address is asked last after its first failure in a row.
	RestMin = 10 * time.Second
	// RestMax bounds that time; it doubles with every further failure.
	RestMax = 2 * time.Minute
)

// Addresses remembers, for this process, which addresses failed lately.
//
// An address that failed rests for a jittered, growing time (RestMin to RestMax). A resting
// address is asked only when every other one failed too. When its rest is over, one call at a
// time tries it again; success makes it first choice at once. The zero value is ready for use
// and safe for concurrent use.
type Addresses struct {
	mu   sync.Mutex
	rest map[string]*rest
}

type rest struct {
	failures int
	until    time.Time
}

// Order returns the addresses of a service in the order in which to ask them: the lowest
// Order among the active ones first (all of them count as active when none is marked), then
// the others, resting ones last.
func (a *Addresses) Order(all []Endpoint, now time.Time) []Endpoint {
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(x, y Endpoint) int {
		if x.Active != y.Active {
			if x.Active {
				return -1
			}
			return 1
		}
		return x.Order - y.Order
	})
	return a.rested(out, now)
}

// rested moves the addresses that rest to the end, the one whose rest ends first in front.
func (a *Addresses) rested(out []Endpoint, now time.Time) []Endpoint {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.SortStableFunc(out, func(x, y Endpoint) int { return a.restLeft(x.URL, now).compare(a.restLeft(y.URL, now)) })
	if len(out) > 1 {
		a.probe(out[0].URL, now)
	}
	return out
}

// rank sorts addresses: those that do not rest are equal, whatever their past.
type rank time.Duration

func (r rank) compare(o rank) int {
	switch {
	case r < o:
		return -1
	case r > o:
		return 1
	}
	return 0
}

func (a *Addresses) restLeft(url string, now time.Time) rank {
	if r := a.rest[url]; r != nil && r.until.After(now) {
		return rank(r.until.Sub(now))
	}
	return 0
}

// probe makes the call that is about to try an address whose rest is over the only one: for
// the others it rests until this call has told.
func (a *Addresses) probe(url string, now time.Time) {
	if r := a.rest[url]; r != nil && !r.until.After(now) {
		r.until = now.Add(RestMin)
	}
}

// Failed records that url did not serve a call: no answer, or an answer that says the
// service is not available. Refusals of the request itself are not failures of the address.
func (a *Addresses) Failed(url string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.rest == nil {
		a.rest = make(map[string]*rest)
	}
	r := a.rest[url]
	if r == nil {
		r = &rest{}
		a.rest[url] = r
	}
	d := min(RestMin<<min(r.failures, 8), RestMax)
	r.failures++
	// Half of the time is jitter, so that many clients do not return in one wave.
	r.until = now.Add(d/2 + time.Duration(rand.Int64N(int64(d/2)+1)))
}

// Worked records that url served a call.
func (a *Addresses) Worked(url string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.rest, url)
}
