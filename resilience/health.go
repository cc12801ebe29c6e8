package resilience

import (
	"sync"
	"time"
)

// Function is something that a person does, and what it needs: "insurability" needs the login
// and the insurability service.
type Function struct {
	Name  string // the parameter {svc} of the notices
	Needs []Need
	// Alternate is the notice while another address than the first choice answers, such as
	// "D-INS-DIRECT"; "" = none.
	Alternate string
}

// Need is one service that a function needs, with its addresses.
type Need struct {
	Service string
	// Endpoints are its URLs, first choice first; none = whatever is asked, in the order seen.
	Endpoints []string
	// Partner: behind the platform stands somebody else, such as an insurer; then its failure
	// alone says nothing about the platform.
	Partner bool
}

// Condition is how well a function works, from good to bad.
type Condition uint8

// The conditions.
const (
	OK       Condition = iota
	Slow               // it answers, but slowly
	Degraded           // it works by other means: see Status.With
	Down               // it does not work
)

// String returns a lower-case English word.
func (c Condition) String() string {
	switch c {
	case OK:
		return "ok"
	case Slow:
		return "slow"
	case Degraded:
		return "degraded"
	}
	return "down"
}

// Place is where a failure is.
type Place uint8

// The places.
const (
	Nowhere  Place = iota
	Network        // the network of this computer: nothing at all can be reached
	Platform       // the platform, or its service
	Partner        // the partner behind the platform
)

// String returns a lower-case English word.
func (p Place) String() string { return [...]string{"nowhere", "network", "platform", "partner"}[p&3] }

// Ids of the notices that the health feed gives (dossier 06 part D).
const (
	noticeOK   = "D-OK"
	noticeSlow = "D-SLOW"
	noticeDown = "D-DOWN"
	noticeNet  = "D-NET"
)

// Status is how well a function works now. It holds no personal data.
type Status struct {
	Function  string
	Condition Condition
	With      string    // while degraded: by what, such as "alternate"
	Where     Place     // of the failure, as far as the evidence tells
	Service   string    // that is to blame; "" while OK and for the network
	Since     time.Time // of this condition; zero: from the start
	NextCheck time.Time // when an address that failed is asked again; zero: with the next call
	Notice    string    // id of the text for the person; "" = nothing to say
}

// same tells whether a watcher has nothing new to learn.
func (s Status) same(o Status) bool {
	return s.Condition == o.Condition && s.With == o.With && s.Where == o.Where && s.Notice == o.Notice
}

// Health is the state of every [Function], made of what attempts and breakers tell.
//
// It becomes worse with the evidence: three failed attempts in a row, or an open breaker. It
// becomes better when the good evidence has lasted for a while, which grows with every turn for
// the worse in the last hour, so that an unsteady service does not make a flickering screen.
// All methods are safe for concurrent use and never wait for a watcher.
type Health struct {
	p HealthPolicy

	mu        sync.Mutex
	functions []*function
	sites     map[siteKey]*site
	seen      []*site // the same, in the order they were first asked
	watchers  map[*watcher]struct{}
	waiting   int // functions whose better evidence has not lasted long enough
	closed    bool
}

type siteKey struct{ service, url string }

// site is one address of one service as the feed sees it.
type site struct {
	siteKey
	asked   bool      // it was asked at least once
	fails   int       // in a row
	failed  time.Time // last failure
	dialing bool      // that failure never reached a server
	offline bool      // and only a missing network explains it
	worked  time.Time
	latency float64 // smoothed, in seconds
	slow    bool
	seq     uint64 // of the newest change of its breaker
	open    bool
	until   time.Time
}

type function struct {
	Function
	now    Status
	next   Status      // better than now, but not for long enough
	better time.Time   // since when next has been true; zero: it is not
	timer  *time.Timer // for the end of the hold
	worse  []time.Time // turns for the worse within the last hour
	fixed  *Status     // reported by the service package itself
}

func newHealth(p HealthPolicy, fs []Function) *Health {
	h := &Health{p: p, sites: map[siteKey]*site{}, watchers: map[*watcher]struct{}{}}
	for _, f := range fs {
		h.functions = append(h.functions, &function{Function: f, now: Status{Function: f.Name}})
	}
	return h
}

// Functions returns the status of every function, in the order of the configuration.
func (h *Health) Functions() []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Status, 0, len(h.functions))
	for _, f := range h.functions {
		out = append(out, h.filled(f.now))
	}
	return out
}

// Function returns the status of one function; ok is false when there is none of that name.
func (h *Health) Function(name string) (s Status, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.functions {
		if f.Name == name {
			return h.filled(f.now), true
		}
	}
	return Status{}, false
}

// filled adds what changes without being an event.
func (h *Health) filled(s Status) Status {
	s.NextCheck = time.Time{}
	if s.Condition == OK {
		return s
	}
	for _, f := range h.functions {
		if f.Name != s.Function {
			continue
		}
		for _, n := range f.Needs {
			for _, st := range h.sitesOf(n) {
				if st.open && !st.until.IsZero() && (s.NextCheck.IsZero() || st.until.Before(s.NextCheck)) {
					s.NextCheck = st.until
				}
			}
		}
	}
	return s
}

// Report lets a service package say that a function works by other means, which only it can
// know: stored answers, a session that cannot be renewed. with and notice are shown until the
// report is taken back by an empty with. It never hides that the function is down.
func (h *Health) Report(name, with, notice string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.functions {
		if f.Name == name {
			f.fixed = nil
			if with != "" {
				f.fixed = &Status{Function: name, Condition: Degraded, With: with, Notice: notice}
			}
		}
	}
	h.evaluate(time.Now())
}

// evidence is what one attempt tells about an address.
type evidence struct {
	verdict Verdict
	latency time.Duration
	slow    bool // it was an answer, but too late to be of use
	dialing bool // it failed before a server was reached
	offline bool // and in a way that only a missing network explains
}

// attempt takes in the end of an attempt.
func (h *Health) attempt(s *site, ev evidence, now time.Time) {
	if len(h.functions) == 0 || ev.verdict == Ignored {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	fails, slow, asked := s.fails, s.slow, s.asked
	s.asked = true
	if ev.verdict == Success {
		s.fails, s.worked = 0, now
	} else {
		s.fails++
		s.failed, s.dialing, s.offline = now, ev.dialing, ev.offline
	}
	if ev.verdict == Success || ev.slow {
		h.smooth(s, ev.latency)
	}
	if !asked || s.fails != fails || s.slow != slow || h.waiting > 0 {
		h.evaluate(now)
	}
}

func (h *Health) smooth(s *site, latency time.Duration) {
	if s.latency == 0 {
		s.latency = latency.Seconds()
	} else {
		s.latency += slowGain * (latency.Seconds() - s.latency)
	}
	switch limit := h.p.Slow.Seconds(); {
	case limit <= 0:
	case s.latency > limit:
		s.slow = true
	case s.latency < limit/2:
		s.slow = false
	}
}

// breaker takes in a change of a breaker.
func (h *Health) breaker(c Change) {
	if len(h.functions) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.site(c.To.Service, c.To.Endpoint)
	if c.Seq < s.seq {
		return // older news that came late
	}
	s.seq, s.open, s.until = c.Seq, c.To.State != Closed, c.To.Until
	s.asked = true
	now := time.Now()
	if s.open && s.failed.IsZero() {
		s.failed = now
	}
	if !s.open {
		s.fails = 0
	}
	h.evaluate(now)
}

// watched returns the site of an address, nil when there is no function to report on.
func (h *Health) watched(service, url string) *site {
	if len(h.functions) == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.site(service, url)
}

func (h *Health) site(service, url string) *site {
	k := siteKey{service, url}
	s := h.sites[k]
	if s == nil {
		s = &site{siteKey: k}
		h.sites[k] = s
		h.seen = append(h.seen, s)
	}
	return s
}

// bad tells whether an address does not work.
func (h *Health) bad(s *site) bool { return s.open || s.fails >= h.p.DownAfter }

// close ends all watchers.
func (h *Health) close() {
	h.mu.Lock()
	h.closed = true
	for _, f := range h.functions {
		if f.timer != nil {
			f.timer.Stop()
		}
	}
	var ws []*watcher
	for w := range h.watchers {
		ws = append(ws, w)
	}
	h.mu.Unlock()
	for _, w := range ws {
		w.stop()
	}
}
