package bcp_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

// steps is the number of steps of one check; rapid makes a hundred checks.
const steps = 100

// modelDirectory is a directory that the test changes.
type modelDirectory struct{ eps []resilience.Endpoint }

func (m *modelDirectory) Endpoints(string) []resilience.Endpoint { return m.eps }

// routeModel says again, in the plainest words, what the first address of a call is. Chance is always one half, so that
// every drawn duration is its mean.
type routeModel struct {
	policy bcp.FailoverPolicy
	eps    []resilience.Endpoint
	open   broken

	commanded, other string
	mode             string // "", "away", "back"
	start            time.Time
	stay             time.Duration
	failedReturns    int
	lastReturn       time.Time
	lastOpen         time.Time
}

// allowed are the addresses besides the commanded one that work now, best first.
func (m *routeModel) allowed() (out []string) {
	for _, active := range []bool{true, false} {
		for order := range 4 {
			for _, e := range m.eps {
				if e.Active == active && e.Order == order && e.URL != m.commandedNow() && !m.open[e.URL] && (active || m.policy != bcp.Never) {
					out = append(out, e.URL)
				}
			}
		}
	}
	return out
}

func (m *routeModel) commandedNow() string {
	best := -1
	for i, e := range m.eps {
		if best < 0 || e.Active && !m.eps[best].Active || e.Active == m.eps[best].Active && e.Order < m.eps[best].Order {
			best = i
		}
	}
	return m.eps[best].URL
}

// call advances the model to now and predicts the address that a call asks first.
func (m *routeModel) call(now time.Time) string {
	c, works := m.commandedNow(), m.allowed()
	down := m.open[c]
	if down {
		m.lastOpen = now
	}
	goBack := func(other string) {
		m.mode, m.other, m.start, m.stay, m.lastReturn = "back", other, now, time.Minute, now
	}
	leave := func() {
		if m.lastReturn.IsZero() || now.Sub(m.lastReturn) >= time.Hour {
			m.failedReturns = 0
		} else {
			m.failedReturns = min(m.failedReturns+1, 2)
		}
		m.mode, m.other, m.start = "away", works[0], now
		m.stay = []time.Duration{5 * time.Minute, 20 * time.Minute, time.Hour}[m.failedReturns]
	}
	switch {
	case c != m.commanded:
		former := m.commanded
		m.commanded, m.mode, m.other, m.failedReturns, m.lastReturn = c, "", "", 0, time.Time{}
		if m.lastOpen = (time.Time{}); down {
			m.lastOpen = now
		}
		if m.orderOf(c) == 0 && !down && former != "" && slices.Contains(works, former) {
			goBack(former)
		}
	case m.mode != "away" && down && len(works) > 0:
		leave()
	case m.mode == "away" && len(works) > 0 && !slices.Contains(works, m.other):
		m.other = works[0]
	case m.mode == "away" && !down && now.Sub(m.start) >= m.stay && now.Sub(m.lastOpen) >= time.Minute:
		goBack(m.other)
	case m.mode == "back" && !down && (now.Sub(m.start) >= m.stay || !slices.Contains(works, m.other)):
		m.mode, m.other = "", ""
	}
	want := c
	switch {
	case m.mode == "away", m.mode == "back" && 0.1+0.9*min(1, float64(now.Sub(m.start))/float64(m.stay)) <= 0.5:
		want = m.other
	}
	// What is broken comes last.
	if !m.open[want] && slices.ContainsFunc(m.eps, func(e resilience.Endpoint) bool { return e.URL == want }) && (want == c || slices.Contains(works, want)) {
		return want
	}
	if !down {
		return c
	}
	if len(works) > 0 {
		return works[0]
	}
	return ""
}

func (m *routeModel) orderOf(url string) int {
	for _, e := range m.eps {
		if e.URL == url {
			return e.Order
		}
	}
	return -1
}

// TestRouterModel compares the router with the model over 10 000 steps, and checks what must hold whatever happened.
func TestRouterModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A bubble has no test deadline, which rapid would ask for.
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) {
			m := &routeModel{open: broken{}, policy: rapid.SampledFrom([]bcp.FailoverPolicy{bcp.WhenBroken, bcp.WhenUnanswered, bcp.Never}).Draw(t, "policy")}
			dir := &modelDirectory{}
			setList := func(mask int) {
				m.eps = nil
				for i, url := range []string{"A", "B", "C"} {
					if i < 2 || mask&8 != 0 {
						m.eps = append(m.eps, resilience.Endpoint{URL: url, Order: i, Active: mask>>i&1 == 1})
					}
				}
				dir.eps = m.eps
			}
			setList(1)
			var away time.Time
			r := bcp.NewRouter(bcp.RouterConfig{Directory: dir, Breakers: m.open, Policy: m.policy, OnMode: func(c bcp.ModeChange) {
				if c.From == bcp.Away && !c.Ordered && c.At.Sub(away) < bcp.AwayMin {
					t.Fatalf("away for %v only", c.At.Sub(away))
				}
				if c.To == bcp.Away {
					away = c.At
				}
			}})
			bcp.SetChance(r, func() float64 { return 0.5 })
			for range steps {
				switch rapid.IntRange(0, 9).Draw(t, "step") {
				case 0:
					setList(rapid.IntRange(0, 15).Draw(t, "list"))
				case 1, 2:
					u := rapid.SampledFrom([]string{"A", "A", "B", "C"}).Draw(t, "url")
					m.open[u] = !m.open[u]
				case 3:
					saved, err := r.Export()
					if err != nil {
						t.Fatal(err)
					}
					if err := r.Import(saved); err != nil {
						t.Fatal(err)
					}
					time.Sleep(31 * time.Second) // until Import's own memory of open breakers is over
				default:
					time.Sleep(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
				}
				checkCall(t, r, m)
			}
		})
	})
}

// checkCall makes one call with a chain of failures.
func checkCall(t *rapid.T, r *bcp.Router, m *routeModel) {
	want := m.call(time.Now())
	class := rapid.SampledFrom([]resilience.Class{resilience.Read, resilience.IdempotentWrite, resilience.UnsafeWrite}).Draw(t, "class")
	route := r.Route("s", class)
	e, ok := route.Endpoint()
	if !ok || want != "" && e.URL != want {
		t.Fatalf("asks %q first, the model says %q (%s)", e.URL, want, m.mode)
	}
	commanded := m.commandedNow()
	if m.policy == bcp.Never && !e.Active && e.URL != commanded {
		t.Fatalf("an inactive address against the policy")
	}
	asked := []string{e.URL}
	for range 5 {
		f := rapid.SampledFrom([]fault.Rule{refused, timedOut, notFound, badTLS, soa("SOA-01001"), soa("SOA-01002"), soa("SOA-02001"), soa("SOA-02002"), soa("SOA-03005")}).Draw(t, "failure")
		if f.MarkBad {
			continue // it would change what the model does not know
		}
		e, ok := route.Next(f)
		if !ok {
			return
		}
		switch {
		case slices.Contains(asked, e.URL):
			t.Fatalf("%s twice", e.URL)
		case f.Kind == fault.Denied || f.Kind == fault.Security || f.Kind == fault.Invalid:
			t.Fatalf("another address after %v", f.Kind)
		case f.Outcome == fault.Unknown && class != resilience.Read:
			t.Fatalf("a write goes elsewhere with its outcome unknown")
		case !e.Active && e.URL != commanded && m.policy == bcp.Never:
			t.Fatal("an inactive address against the policy")
		case !e.Active && e.URL != commanded && f.Outcome == fault.Unknown && m.policy == bcp.WhenBroken && !m.open[commanded]:
			t.Fatal("an inactive address after an unknown outcome")
		}
		asked = append(asked, e.URL)
	}
}

// TestDirectoryModel offers good and bad lists in any order: what is in force, in memory and after a restart, is always the
// newest good one.
func TestDirectoryModel(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	p := world()
	other := issue(&p.issuing, name("C=BE|O=Federal Government|OU=X|CN=X"), kind{})
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	type offer struct {
		doc  []byte
		at   int
		sw   bool
		want error // whatever was before; nil = it depends
	}
	var pool []offer
	for i := range 6 {
		at := base.Add(time.Duration(i) * time.Second)
		for _, sw := range []bool{false, true} {
			services := normal
			if sw {
				services = switched
			}
			good := p.make(draft{issued: at, services: services})
			pool = append(pool, offer{good, i, sw, nil},
				offer{replaceOnce(good, "<ds:DigestValue>", "<ds:DigestValue>AA"), i, sw, bcp.ErrBadSignature},
				offer{p.make(draft{issued: at, services: services, by: &other}), i, sw, bcp.ErrSigner},
				offer{p.make(draft{issued: at, services: services, env: "X"}), i, sw, bcp.ErrEnvironment})
		}
	}
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		e := &events{}
		cfg := (&server{}).config(p, e)
		cfg.Dir = fmt.Sprintf("%s/%d", dir, n)
		d, err := bcp.New(cfg)
		if err != nil {
			rt.Fatal(err)
		}
		at, sw := -1, false
		for range steps {
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				if d, err = bcp.New(cfg); err != nil {
					rt.Fatal(err)
				}
			} else {
				o := pool[rapid.IntRange(0, len(pool)-1).Draw(rt, "list")]
				want := o.want
				if want == nil && o.at < at {
					want = bcp.ErrOlder
				} else if want == nil && o.at == at && o.sw != sw {
					want = bcp.ErrConflict
				}
				if err := d.Offer(o.doc); !errors.Is(err, want) || (err == nil) != (want == nil) {
					rt.Fatalf("%v, want %v", err, want)
				}
				if want == nil {
					at, sw = o.at, o.sw
				}
			}
			first, _ := bcp.Active(d.Endpoints(genins))
			l, _ := d.List()
			if (l == nil) != (at < 0) || l != nil && !l.IssueInstant.Equal(base.Add(time.Duration(at)*time.Second)) || (first.Order == 1) != sw {
				rt.Fatalf("in force: %+v", first)
			}
		}
	})
}
