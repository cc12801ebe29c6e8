package resilience

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Engine holds what the calls of one process share: a budget, a bulkhead and a rate limit per
// service, a breaker and a limiter per address, and the health feed. Make one per process, so
// that there is one probe per address and process. It is safe for concurrent use.
type Engine struct {
	cfg       Config
	addresses Addresses
	health    *Health

	services atomic.Pointer[map[string]*service] // copied on write
	mu       sync.Mutex

	observers listeners[Event]
	changes   listeners[Change]

	probes   sync.WaitGroup
	probeCtx context.Context
	closed   context.CancelFunc
}

// New returns an engine, or what is wrong with the configuration.
func New(c Config) (*Engine, error) {
	c, err := c.resolved()
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: c}
	e.probeCtx, e.closed = context.WithCancel(context.Background())
	e.services.Store(&map[string]*service{})
	for _, f := range c.Observers {
		e.observers.add(f)
	}
	e.health = newHealth(c.Health, c.Functions)
	return e, nil
}

// Close stops probes and the health feed. Calls go on working, without cheap probes.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed()
	e.mu.Unlock()
	e.probes.Wait()
	e.health.close()
}

// Config returns the configuration with all defaults filled in.
func (e *Engine) Config() Config { return e.cfg }

// Health returns the health feed.
func (e *Engine) Health() *Health { return e.health }

// Observe adds an observer of events, which must not block; stop removes it. A panic in it is
// contained.
func (e *Engine) Observe(f func(Event)) (stop func()) { return e.observers.add(f) }

// OnChange adds an observer of breakers, under the same rules.
func (e *Engine) OnChange(f func(Change)) (stop func()) { return e.changes.add(f) }

// Breakers returns the state of every breaker that is not closed, for a store.
func (e *Engine) Breakers() []Snapshot {
	var out []Snapshot
	e.each(func(_ *service, ep *endpoint) {
		if s := ep.breaker.Snapshot(); s.State != Closed {
			out = append(out, s)
		}
	})
	return out
}

// Restore takes over what Breakers returned before a restart.
func (e *Engine) Restore(states []Snapshot) {
	now := time.Now()
	for _, s := range states {
		ep := e.service(s.Service).endpoint(s.Endpoint)
		ep.breaker.Restore(s, now)
		if r := ep.breaker.Snapshot(); r.State != Closed {
			e.breakerChanged(Change{Seq: ep.breaker.gen.Load(), To: r})
		}
	}
}

// Open reports whether no call may go to an address now, because a breaker for it is open.
func (e *Engine) Open(url string) bool {
	now := time.Now()
	for _, s := range *e.services.Load() {
		if ep := (*s.endpoints.Load())[url]; ep != nil && !ep.breaker.Ready(now) {
			return true
		}
	}
	return false
}

// ForceOpen lets no call through to an address until the given instant; zero: until
// CloseBreaker. reason must hold no personal data.
func (e *Engine) ForceOpen(service, endpoint, reason string, until time.Time) {
	e.service(service).endpoint(endpoint).breaker.ForceOpen(time.Now(), reason, until)
}

// CloseBreaker lets all calls through to an address again.
func (e *Engine) CloseBreaker(service, endpoint string) {
	e.service(service).endpoint(endpoint).breaker.Close(time.Now())
}

// service is the state of one service.
type service struct {
	e         *Engine
	name      string
	p         Policy
	budget    *Budget
	hedges    *Budget // bounds their share; each also costs a token of budget
	bulkhead  *Bulkhead
	rate      *RateLimit
	stats     counters
	endpoints atomic.Pointer[map[string]*endpoint] // copied on write
	ops       atomic.Pointer[map[string]*Latencies]
	mu        sync.Mutex
}

// endpoint is the state of one address of one service.
type endpoint struct {
	url     string
	host    string // for events: no path, no user name
	breaker *Breaker
	limiter *Limiter
	site    *site // in the health feed; nil without functions
}

// hostOf returns the host of an address, with its port.
func hostOf(addr string) string {
	if u, err := url.Parse(addr); err == nil {
		return u.Host
	}
	return ""
}

// maxOps bounds how many operations of a service have their latencies measured: their names
// belong to the code, so more would be a mistake of the caller.
const maxOps = 256

func (e *Engine) service(name string) *service {
	if s := (*e.services.Load())[name]; s != nil {
		return s
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	old := *e.services.Load()
	if s := old[name]; s != nil {
		return s
	}
	p, ok := e.cfg.Services[name]
	if !ok {
		p = e.cfg.Policy
	}
	s := &service{e: e, name: name, p: p, budget: NewBudget(p.Budget), bulkhead: NewBulkhead(p.Bulkhead), rate: NewRateLimit(p.Rate)}
	if p.Hedge.Share > 0 {
		s.hedges = NewBudget(BudgetPolicy{Capacity: hedgeBurst, PerSuccess: p.Hedge.Share, PerRetry: 1})
	}
	s.endpoints.Store(&map[string]*endpoint{})
	s.ops.Store(&map[string]*Latencies{})
	e.services.Store(with(old, name, s))
	return s
}

func (s *service) endpoint(addr string) *endpoint {
	if ep := (*s.endpoints.Load())[addr]; ep != nil {
		return ep
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.endpoints.Load()
	if ep := old[addr]; ep != nil {
		return ep
	}
	ep := &endpoint{url: addr, host: hostOf(addr), limiter: NewLimiter(s.p.Limit)}
	ep.breaker = NewBreaker(s.name, addr, s.p.Breaker, s.e.breakerChanged)
	ep.breaker.random, ep.breaker.probed = s.e.cfg.Random, s.e.cfg.Probe != nil
	ep.site = s.e.health.watched(s.name, addr)
	s.endpoints.Store(with(old, addr, ep))
	return ep
}

func (s *service) operation(op string) *Latencies {
	if l := (*s.ops.Load())[op]; l != nil {
		return l
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.ops.Load()
	if l := old[op]; l != nil || len(old) >= maxOps {
		return l
	}
	l := NewLatencies(s.p.Hedge)
	if l != nil {
		s.ops.Store(with(old, op, l))
	}
	return l
}

// with returns a copy of a map with one more entry.
func with[V any](old map[string]V, key string, v V) *map[string]V {
	m := make(map[string]V, len(old)+1)
	for k, o := range old {
		m[k] = o
	}
	m[key] = v
	return &m
}

func (s *service) backoff() backoff.BackOff {
	if s.p.Backoff.New != nil {
		return s.p.Backoff.New()
	}
	return &FullJitter{Base: s.p.Backoff.Base, Max: s.p.Backoff.Max, Random: s.e.cfg.Random}
}

func (e *Engine) each(f func(*service, *endpoint)) {
	for _, s := range *e.services.Load() {
		for _, ep := range *s.endpoints.Load() {
			f(s, ep)
		}
	}
}

func (e *Engine) breakerChanged(c Change) {
	e.health.breaker(c)
	e.changes.tell(c)
	if c.To.State == Open && e.cfg.Probe != nil {
		e.scheduleProbe(c.To)
	}
}

// scheduleProbe asks the address cheaply when its open time, which is jittered, is over.
func (e *Engine) scheduleProbe(s Snapshot) {
	time.AfterFunc(time.Until(s.Until), func() {
		e.mu.Lock()
		if e.probeCtx.Err() != nil {
			e.mu.Unlock()
			return
		}
		e.probes.Add(1)
		e.mu.Unlock()
		defer e.probes.Done()
		e.probe(s.Service, s.Endpoint)
	})
}

func (e *Engine) probe(service, addr string) {
	svc := e.service(service)
	b := svc.endpoint(addr).breaker
	permit, due := b.ProbeDue(time.Now())
	if !due {
		return // closed or opened again meanwhile
	}
	ctx, cancel := context.WithTimeout(e.probeCtx, svc.p.Breaker.ProbeTimeout)
	defer cancel()
	err := func() (err error) {
		defer func() {
			if recover() != nil {
				err = errProbe
			}
		}()
		return e.cfg.Probe(ctx, service, addr)
	}()
	svc.stats.probes.Add(1)
	b.ProbeDone(permit, time.Now(), err)
}

const errProbe sentinel = "resilience: probe panicked"

// listeners is a list of observers that is read on every event and seldom changed.
type listeners[T any] struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*func(T)]
}

func (l *listeners[T]) add(f func(T)) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry := &f
	l.set(append(l.get(), entry))
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		var left []*func(T)
		for _, g := range l.get() {
			if g != entry {
				left = append(left, g)
			}
		}
		l.set(left)
	}
}

func (l *listeners[T]) get() []*func(T) {
	if p := l.list.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *listeners[T]) set(list []*func(T)) {
	list = slices.Clone(list)
	l.list.Store(&list)
}

func (l *listeners[T]) tell(v T) {
	for _, f := range l.get() {
		call(*f, v)
	}
}

// call contains the panic of an observer: it must not become that of the call it observes.
func call[T any](f func(T), v T) {
	defer func() { _ = recover() }()
	f(v)
}
