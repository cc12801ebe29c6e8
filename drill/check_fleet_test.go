package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// sessionLimit is how long somebody who logs in waits (dossier 06 B.5, BCP-01).
const sessionLimit = 15 * time.Second

// house is a small fleet in front of a sandbox: counters that ask and write, and users who have a session and no more.
// The whole platform of this module stands behind each, with a health feed that is watched.
type house struct {
	*testing.T
	s        *sandbox.Sandbox
	t0       time.Time // offset 0 of the incident
	began    time.Time // when the users began to log in
	sts, app meter
	patients []sandbox.Patient
	calls    sync.WaitGroup

	mu       sync.Mutex
	members  []*member // counters first, then users in the order of their arrival
	measured []measured
	accepted []string // references of writes that were done, kept, or are being found out
}

// member is one process.
type member struct {
	name    string
	arrived time.Time
	p       *ehealth.Platform
	app     *App

	mu       sync.Mutex
	changes  []resilience.Status
	sessions []sts.Event
	lists    []bcp.Event
}

// measured is one call: what, when, and what became of it.
type measured struct {
	of       Traffic
	at       time.Duration // offset
	took     time.Duration
	err      error
	wrong    bool
	deadline time.Duration
}

// meter notes when messages for a service leave, whatever becomes of them: connections that are swallowed never reach the
// sandbox's own counters.
type meter struct {
	mu sync.Mutex
	at []time.Time
}

type metered struct {
	*http.Transport
	sts, app       *meter
	stsURL, appURL string
}

func (m *meter) count() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = append(m.at, time.Now())
}

// RoundTrip counts and passes on.
func (t metered) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.URL.String() {
	case t.stsURL:
		t.sts.count()
	case t.appURL:
		t.app.count()
	}
	return t.Transport.RoundTrip(r)
}

// stsSpan is over how long the load on the STS is measured: with a few dozen users a shorter one measures single people.
const stsSpan = 5 * time.Minute

// busiest is the highest number of messages within stsSpan, of those between two instants.
func (m *meter) busiest(from, to time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	var at []time.Time
	for _, t := range m.at {
		if !t.Before(from) && t.Before(to) {
			at = append(at, t)
		}
	}
	best, first := 0, 0
	for last := range at {
		for at[last].Sub(at[first]) >= stsSpan {
			first++
		}
		best = max(best, last-first+1)
	}
	return best
}

// newHouse makes a sandbox, on the clock of the bubble.
func newHouse(t *testing.T, t0 time.Time, cfg sandbox.Config) *house {
	t.Helper()
	s, err := sandbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{T: t, s: s, t0: t0, patients: patients(s)}
	// Without work an answer takes no virtual time and a ratio of waits would say nothing.
	h.inject("app 0 to_end slow dist=lognormal;median_ms=300;sigma=0.05;cap_ms=1000")
	h.inject("genins 0 to_end slow dist=lognormal;median_ms=200;sigma=0.05;cap_ms=1000")
	return h
}

func (h *house) inject(row string) (cancel func()) {
	h.Helper()
	st, err := sandbox.ParseStep(row)
	if err != nil {
		h.Fatal(err)
	}
	if cancel, err = h.s.Inject(st); err != nil {
		h.Fatal(err)
	}
	return cancel
}

// close ends everything in the bubble.
func (h *house) close() {
	h.calls.Wait()
	for _, m := range h.all() {
		_ = m.p.Close()
		m.p.Config().Transport.(metered).CloseIdleConnections()
	}
	h.s.Close()
	time.Sleep(2 * time.Second) // connections that a test slows down notice it late
}

// all is everybody who has arrived by now.
func (h *house) all() []*member {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*member(nil), h.members...)
}

// pharmacy is the configuration of a pharmacy that obeys the service list.
func (h *house) pharmacy(n int) ehealth.Config {
	cfg, err := oursConfig(h.s, h.s.Organisation(identity.Pharmacy, n%2))
	if err != nil {
		h.Fatal(err)
	}
	return queued(cfg)
}

// doctor is that of a doctor, who logs in with the identity card and has the eHealth certificate as fallback.
func (h *house) doctor(n int) ehealth.Config {
	cfg := h.pharmacy(0)
	d := h.s.Person(identity.Doctor, n%2)
	var err error
	if cfg.Identity, err = source(d.Authentication()); err == nil {
		cfg.Login, err = source(d.EID())
	}
	if err != nil {
		h.Fatal(err)
	}
	cfg.Caller = insurability.Caller{Quality: identity.Doctor, NIHII: d.NIHII, SSIN: d.SSIN, Name: d.Name()}
	return cfg
}

// user is that of somebody who needs a session only.
func (h *house) user(n int) ehealth.Config {
	cfg := h.doctor(n)
	cfg.Trust.ServiceList, cfg.Outbox = nil, nil
	return cfg
}

// join starts a process.
func (h *house) join(name string, cfg ehealth.Config) *member {
	tr, ok := cfg.Transport.(*http.Transport)
	if !ok {
		h.Fatal("the sandbox's transport is of another type")
	}
	cfg.Transport = metered{tr, &h.sts, &h.app, h.s.URL(ehealth.ServiceSTS, 0), h.s.URL(ServiceApp, 0)}
	m := &member{name: name, arrived: time.Now()}
	cfg.OnSession = func(e sts.Event) { m.mu.Lock(); defer m.mu.Unlock(); m.sessions = append(m.sessions, e) }
	cfg.OnList = func(e bcp.Event) { m.mu.Lock(); defer m.mu.Unlock(); m.lists = append(m.lists, e) }
	var err error
	if m.p, err = ehealth.Open(context.Background(), cfg); err != nil {
		h.Error(err)
		return nil
	}
	m.p.Health.Watch(func(s resilience.Status) { m.mu.Lock(); defer m.mu.Unlock(); m.changes = append(m.changes, s) })
	m.app = NewApp(m.p)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members = append(h.members, m)
	return m
}

// note makes one call and keeps what it came to.
func (h *house) note(of Traffic, deadline time.Duration, call func() (wrong bool, err error)) error {
	v := measured{of: of, at: time.Since(h.t0), deadline: deadline}
	began := time.Now()
	v.wrong, v.err = call()
	v.took = time.Since(began)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.measured = append(h.measured, v)
	return v.err
}

func (h *house) check(m *member, patient sandbox.Patient) error {
	return h.note(Insurability, checkLimit, func() (bool, error) {
		a, err := m.p.Insurability.Check(context.Background(), insurability.Query{Patient: patient.SSIN})
		return err == nil && a.SSIN.Reveal() != patient.SSIN.Reveal(), err
	})
}

func (h *house) put(m *member, reference string) error {
	return h.note(Writes, putLimit, func() (bool, error) {
		_, err := m.p.Write(context.Background(), outbox.Item{Kind: appclient.Kind, Ref: reference, Payload: payload})
		if err == nil || errors.Is(err, outbox.ErrQueued) || errors.Is(err, outbox.ErrUnknown) {
			h.mu.Lock()
			h.accepted = append(h.accepted, reference)
			h.mu.Unlock()
		}
		return false, err // the handler compares the reference itself
	})
}

// emptied waits until no queue has anything left, at most as long as limit, and returns what is left and what is parked.
func (h *house) emptied(limit time.Duration) (waiting, parked int) {
	h.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Second) {
		waiting, parked = 0, 0
		for _, m := range h.all() {
			q, err := m.p.Queue(context.Background())
			if err != nil {
				h.Fatal(err)
			}
			waiting, parked = waiting+q.Waiting, parked+q.Parked
		}
		if waiting == 0 || time.Now().After(end) {
			return waiting, parked
		}
	}
}

// lost counts accepted writes that were not executed once.
func (h *house) lost() (none, more int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ref := range h.accepted {
		switch n := h.s.AppExecuted(ref); {
		case n == 0:
			none++
		case n > 1:
			more++
		}
	}
	return none, more
}

// logIn is one try of a person; again says that it is not the first one, which passes over the pause after a failure.
func (h *house) logIn(m *member, again bool) error {
	return h.note(Login, sessionLimit, func() (bool, error) {
		ctx, cancel := context.WithTimeout(context.Background(), sessionLimit)
		defer cancel()
		get := m.p.Tokens.Token
		if again {
			get = m.p.Tokens.Login
		}
		_, err := get(ctx)
		return false, err
	})
}

// work is a counter's day between two offsets: calls on their own, because the next customer does not wait. dense says
// when they come every few seconds.
func (h *house) work(n int, m *member, from, to time.Duration, dense func(time.Duration) bool) {
	rnd := rand.New(rand.NewPCG(uint64(n), uint64(from))) //nolint:gosec // repeatable on purpose
	for at, k := from+time.Duration(n)*time.Second, 0; at < to; k++ {
		time.Sleep(time.Until(h.t0.Add(at)))
		patient := h.patients[rnd.IntN(len(h.patients))]
		h.calls.Go(func() { _ = h.check(m, patient) })
		if !dense(at) || k%2 == 0 {
			reference := fmt.Sprintf("desk %d, %d", n, at.Milliseconds()) // at goes on while the call is made
			h.calls.Go(func() { _ = h.put(m, reference) })
		}
		pause := 12 * time.Second
		if dense(at) {
			pause = 4 * time.Second
		}
		at += pause + time.Duration(rnd.Int64N(int64(time.Second)))
	}
}

// arrive is a user who begins to work and tries until there is a session, once a minute and with less patience later.
func (h *house) arrive(n int, until time.Duration) {
	m := h.join(fmt.Sprintf("user %d", n), h.user(n))
	if m == nil {
		return
	}
	for try := 0; time.Since(h.t0) < until; try++ {
		if h.logIn(m, try > 0) == nil {
			return
		}
		time.Sleep(min(time.Duration(1+try/5)*time.Minute, 10*time.Minute))
	}
}

// firstChange is how long after from somebody was told that a function is not well; negative when never before to.
func (m *member) firstChange(function string, from, to time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.changes {
		if s.Function == function && s.Condition != resilience.OK && !s.Since.Before(from) && s.Since.Before(to) {
			return s.Since.Sub(from)
		}
	}
	return -1
}

// calm tells whether no function changed.
func (m *member) calm(from, to time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.changes {
		if !s.Since.Before(from) && s.Since.Before(to) {
			return false
		}
	}
	return true
}

func (m *member) events(kind sts.EventKind) (out []sts.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.sessions {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// refusedLists is how many service lists the process did not take.
func (m *member) refusedLists() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.lists {
		if e.Kind == bcp.Refused {
			n++
		}
	}
	return n
}

// waits are the times of the calls of one kind that began within a stretch.
func (h *house) waits(of Traffic, from, to time.Duration) (out []time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range h.measured {
		if v.of == of && v.at >= from && v.at < to {
			out = append(out, v.took)
		}
	}
	return out
}

// promises counts the calls that broke one of the two that hold always.
func (h *house) promises() (calls, failed, late, wrong, doubled int, slowest map[Traffic]time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	slowest = map[Traffic]time.Duration{}
	for _, v := range h.measured {
		calls++
		if v.err != nil {
			failed++
		}
		if v.took > v.deadline {
			late++
		}
		if v.wrong {
			wrong++
		}
		slowest[v.of] = max(slowest[v.of], v.took)
	}
	for _, e := range h.s.AppExecutions() {
		if e.Nth > 1 {
			doubled++
		}
	}
	return calls, failed, late, wrong, doubled, slowest
}

// notices are the ids that callers were shown for calls of a kind within a stretch.
func (h *house) notices(of Traffic, from, to time.Duration) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := map[string]int{}
	var order []string
	for _, v := range h.measured {
		fe, ok := errors.AsType[*fault.Error](v.err)
		if !ok || v.of != of || v.at < from || v.at >= to {
			continue
		}
		if count[fe.Notice] == 0 {
			order = append(order, fe.Notice)
		}
		count[fe.Notice]++
	}
	var out []string
	for _, n := range order {
		out = append(out, fmt.Sprintf("%d× %s", count[n], n))
	}
	return strings.Join(out, ", ")
}

// warm makes the keys that a sandbox uses: it takes time that does not pass in a bubble.
func warm(t *testing.T) {
	t.Helper()
	warmOnce.Do(func() {
		for i := range 8 {
			if _, err := sandbox.SharedKeys().RSA(i); err != nil {
				t.Fatal(err)
			}
		}
	})
}
