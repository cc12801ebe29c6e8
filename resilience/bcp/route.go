package bcp

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// Breakers tells which addresses are not to be asked now. Open must be false again as soon as a trial is allowed. It may
// be called with a lock held and must not call back.
type Breakers interface{ Open(url string) bool }

// FailoverPolicy says when an address that the list calls INACTIVE may be asked. An ACTIVE one always may.
type FailoverPolicy uint8

// The policies.
const (
	// WhenBroken: when the breaker of the commanded address is open, or when this call's request was certainly not
	// carried out there: it was not sent, or the platform answered that the service is not available. Reads and writes
	// alike, as a write of which nothing was carried out is as good as new.
	WhenBroken FailoverPolicy = iota
	// WhenUnanswered: also when a read got no usable answer (time-out, connection lost, HTTP 502 or 504).
	WhenUnanswered
	// Never: only the platform's list decides.
	Never
)

// String returns a lower-case English phrase.
func (p FailoverPolicy) String() string {
	return [...]string{"when broken", "when unanswered", "never", "?"}[p&3]
}

// badFor is the mean time that an alternate which does not know the operation (HTTP 404 and the like) is left out.
const badFor = 15 * time.Minute

// RouterConfig configures a [Router].
type RouterConfig struct {
	// Directory tells the addresses. Required. When it has a method Alert(), that is called when a service leaves its
	// commanded address.
	Directory resilience.Directory
	// Breakers tells which addresses are not to be asked; nil = none is.
	Breakers Breakers
	// Policy is for all services that Policies does not name; the zero value is WhenBroken.
	Policy FailoverPolicy
	// Policies are by UDDI id; nil = none.
	Policies map[string]FailoverPolicy
	// OnMode is told when a service changes its mode; it must return soon. nil = nobody is.
	OnMode func(ModeChange)
}

// ModeChange tells that the calls of a service go elsewhere from now on.
type ModeChange struct {
	Service  string
	At       time.Time
	From, To Mode
	// Ordered: the list commands another address; else the client decided.
	Ordered bool
	Primary string // the address that the list commands
	Serving string // the address that serves besides it or instead; "" in Normal
}

// Router chooses the addresses of calls. It is safe for concurrent use.
type Router struct {
	cfg   RouterConfig
	alert interface{ Alert() }

	mu       sync.Mutex
	services map[string]*machine
	bad      map[string]time.Time // address -> until when it is left out
	assumed  map[string]time.Time // address -> until when a breaker is taken to be open, from Import
	chance   func() float64
}

// NewRouter returns a router in which every service is in Normal mode.
func NewRouter(cfg RouterConfig) *Router {
	r := &Router{
		cfg: cfg, services: map[string]*machine{}, bad: map[string]time.Time{}, assumed: map[string]time.Time{},
		chance: rand.Float64,
	}
	r.alert, _ = cfg.Directory.(interface{ Alert() })
	return r
}

// Route is the choice of addresses for one call. It belongs to one goroutine.
type Route struct {
	router  *Router
	policy  FailoverPolicy
	class   resilience.Class
	primary string
	rest    []resilience.Endpoint // not asked yet, in order
	now     resilience.Endpoint
	known   bool
	failed  int // failures of now in this call
}

// Route chooses for one call that has not been sent yet.
func (r *Router) Route(service string, class resilience.Class) *Route {
	now := time.Now()
	eps := r.cfg.Directory.Endpoints(service)
	route := &Route{router: r, class: class, policy: r.policy(service)}
	first, ok := Active(eps)
	if !ok {
		return route
	}
	route.primary = first.URL
	r.mu.Lock()
	change, moved := r.advance(service, eps, first, route.policy, now)
	route.rest = r.order(r.services[service], eps, first, route.policy, now)
	r.mu.Unlock()
	route.take(0)
	if moved {
		if change.To == Away && r.alert != nil {
			r.alert.Alert()
		}
		if r.cfg.OnMode != nil {
			r.cfg.OnMode(change)
		}
	}
	return route
}

func (r *Router) policy(service string) FailoverPolicy {
	if p, ok := r.cfg.Policies[service]; ok {
		return p
	}
	return r.cfg.Policy
}

// advance moves the machine of a service on. The lock is held.
func (r *Router) advance(id string, eps []resilience.Endpoint, first resilience.Endpoint, p FailoverPolicy, now time.Time) (ModeChange, bool) {
	m := r.services[id]
	if m == nil {
		m = &machine{}
		r.services[id] = m
	}
	former := m.from
	if first.URL != m.primary {
		former = m.primary
	}
	s := sight{now: now, primary: first.URL, isDefault: first.Order == 0, primaryOpen: r.open(first.URL, now)}
	for _, e := range sorted(eps) {
		if e.URL == first.URL || p == Never && !e.Active || !r.usable(e.URL, now) {
			continue
		}
		if s.alternate == "" {
			s.alternate = e.URL
		}
		s.fromUsable = s.fromUsable || e.URL == former
	}
	was := *m
	m.step(s, r.chance())
	return ModeChange{
		Service: id, At: now, From: was.mode, To: m.mode, Ordered: was.primary != m.primary, Primary: m.primary, Serving: m.from,
	}, was.primary != "" && (was.mode != m.mode || was.primary != m.primary)
}

// usable tells whether an alternate may be asked. The lock is held.
func (r *Router) usable(url string, now time.Time) bool {
	return !r.isBad(url, now) && !r.open(url, now)
}

func (r *Router) isBad(url string, now time.Time) bool {
	until, ok := r.bad[url]
	if ok && !now.Before(until) {
		delete(r.bad, url)
		ok = false
	}
	return ok
}

func (r *Router) open(url string, now time.Time) bool {
	if until, ok := r.assumed[url]; ok {
		if now.Before(until) {
			return true
		}
		delete(r.assumed, url)
	}
	return r.cfg.Breakers != nil && r.cfg.Breakers.Open(url)
}

// sorted is the order of a list: active ones, then the others, each by Order.
func sorted(eps []resilience.Endpoint) []resilience.Endpoint {
	out := slices.Clone(eps)
	slices.SortStableFunc(out, func(a, b resilience.Endpoint) int {
		switch {
		case a.Active == b.Active:
			return a.Order - b.Order
		case a.Active:
			return -1
		}
		return 1
	})
	return out
}

// order lists the addresses that this call may ask, the one to ask first in front. The lock is held.
func (r *Router) order(m *machine, eps []resilience.Endpoint, first resilience.Endpoint, p FailoverPolicy, now time.Time) []resilience.Endpoint {
	out := sorted(eps)
	out = slices.DeleteFunc(out, func(e resilience.Endpoint) bool {
		return e.URL != first.URL && (p == Never && !e.Active || r.isBad(e.URL, now))
	})
	front := first.URL
	if share := m.share(now); m.from != "" && share < 1 && r.chance() >= share {
		front = m.from
	}
	rank := func(e resilience.Endpoint) int {
		n := 0
		if r.open(e.URL, now) {
			n = 2
		}
		if e.URL != front {
			n++
		}
		return n
	}
	slices.SortStableFunc(out, func(a, b resilience.Endpoint) int { return rank(a) - rank(b) })
	return out
}

// Endpoint is the address to ask now; ok is false when the service has none.
func (t *Route) Endpoint() (e resilience.Endpoint, ok bool) { return t.now, t.known }

// Order lists the addresses in the order to ask them, for a caller that decides itself, after
// each failure, whether to go on to the next one. With [WhenBroken] only what may be asked
// without a failure of this call is in it.
func (t *Route) Order() []resilience.Endpoint {
	if !t.known {
		return nil
	}
	out := append([]resilience.Endpoint{t.now}, t.rest...)
	if t.policy != WhenBroken || t.router.isOpen(t.primary) {
		return out
	}
	return slices.DeleteFunc(out, func(e resilience.Endpoint) bool {
		return !e.Active && e.URL != t.primary && e.URL != t.now.URL
	})
}

// Alternate tells whether that is another address than the one that the list commands.
func (t *Route) Alternate() bool { return t.known && t.now.URL != t.primary }

// take makes the i-th of the rest the current address.
func (t *Route) take(i int) {
	t.now, t.known, t.failed = t.rest[i], true, 0
	t.rest = slices.Delete(t.rest, i, i+1)
}

// Next is told how the attempt at the current address ended and chooses another one, which Endpoint then returns too. ok is
// false when no other address may be asked for this failure: then the current one stays, and whether to ask it again is
// for the retry policy to say. Refusals of the caller (SOA-01001, SOA-01002) or of the request, and failures of
// security, never lead to another address.
func (t *Route) Next(f fault.Rule) (e resilience.Endpoint, ok bool) {
	if !t.known {
		return e, false
	}
	t.failed++
	if f.MarkBad && t.now.URL != t.primary {
		t.router.markBad(t.now.URL)
	}
	if !t.maySwitch(f) {
		return e, false
	}
	inactive := t.mayUseInactive(f)
	for i, c := range t.rest {
		if c.Active || c.URL == t.primary || inactive {
			t.take(i)
			return t.now, true
		}
	}
	return e, false
}

// maySwitch tells whether a failure allows any other address.
func (t *Route) maySwitch(f fault.Rule) bool {
	switch f.Kind {
	case fault.Denied, fault.Security, fault.Canceled, fault.Invalid, fault.Local, fault.NotFound, fault.Conflict:
		// The other address would say the same, or must not be asked in silence.
		return f.MarkBad && t.now.URL != t.primary && t.class.MayRepeat(f.Outcome, true)
	}
	if !t.class.MayRepeat(f.Outcome, true) {
		return false
	}
	if f.MarkBad {
		return t.now.URL != t.primary // the commanded address does not know the operation: that is our configuration
	}
	switch f.Switch {
	case fault.SwitchYes:
		return true
	case fault.SwitchReadsOnly:
		return t.class == resilience.Read
	case fault.SwitchAfterRepeat:
		return t.failed > 1 || f.Retry == fault.RetryNo || t.router.isOpen(t.now.URL)
	}
	return false
}

// mayUseInactive tells whether the policy allows an inactive address after a failure.
func (t *Route) mayUseInactive(f fault.Rule) bool {
	switch {
	case t.policy == Never:
		return false
	case f.Outcome == fault.NotSent || f.Outcome == fault.Rejected || t.router.isOpen(t.primary):
		return true
	}
	return t.policy == WhenUnanswered && t.class == resilience.Read
}

func (r *Router) isOpen(url string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open(url, time.Now())
}

func (r *Router) markBad(url string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad[url] = time.Now().Add(spread(badFor, r.chance()))
}

// ServiceMode is the mode of one service.
type ServiceMode struct {
	Service string
	Mode    Mode
	Primary string    // the address that the list commands
	Serving string    // Away and Returning: the address that serves instead
	Since   time.Time // start of the mode
	// Until is the earliest end of Away, and the end of Returning.
	Until time.Time
}

// Modes returns the modes of all services that were routed, by UDDI id. It moves nothing.
func (r *Router) Modes() []ServiceMode {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]ServiceMode, 0, len(r.services))
	for id, m := range r.services {
		s := ServiceMode{Service: id, Mode: m.mode, Primary: m.primary, Serving: m.from, Since: m.since}
		if m.mode != Normal {
			s.Until = m.since.Add(m.hold)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b ServiceMode) int {
		if a.Service < b.Service {
			return -1
		}
		return 1
	})
	return out
}
