package sts

import (
	"context"
	"flag"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/ehealth-continuity/ehealth/fault"
)

// Long asks for what takes minutes.
var Long = flag.Bool("long", false, "fleets of 500 users, and ten thousand steps of the model of durable tokens")

// steps sets how many steps a state machine of this package makes: checks runs of so many each.
func steps(t *testing.T, checks, each string) {
	t.Helper()
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.steps": each} {
		f := flag.Lookup(name)
		if f == nil {
			t.Fatal("no flag", name)
		}
		before := f.Value.String()
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Value.Set(before) })
	}
}

// inBubble hides the deadline of the test, which must not be asked for in a bubble.
type inBubble struct{ testing.TB }

// fleet is the system under test: processes that share a store, and an STS that is up or down.
type fleet struct {
	t     *testing.T
	sts   *fakeSTS
	store *memory
	c     *Client
	procs [2]*member

	mu     sync.Mutex
	down   bool
	life   time.Duration
	issued []issuedToken
	asked  []time.Time
}

// issuedToken is what the model knows of a token.
type issuedToken struct {
	id  string
	end time.Time
	at  time.Time
}

type member struct {
	d       *DurableSource
	dropped map[string]bool // by this run of the process; drops are not remembered over a restart
	asked   []time.Time     // logins of this run
}

func (f *fleet) start(i int) {
	m := &member{dropped: map[string]bool{}}
	src := f.c.Source(Request{Identity: doctor.Identity, Validity: f.life})
	d, err := Durable(TokenSourceFunc(func(ctx context.Context) (*Token, error) {
		f.mu.Lock()
		down := f.down
		f.asked, m.asked = append(f.asked, time.Now()), append(m.asked, time.Now())
		f.mu.Unlock()
		if down {
			return nil, failure(fault.Unavailable)
		}
		tok, err := src.Token(ctx)
		if err == nil {
			f.mu.Lock()
			f.issued = append(f.issued, issuedToken{tok.ID, tok.NotOnOrAfter, time.Now()})
			f.mu.Unlock()
		}
		return tok, err
	}), WithStore(f.store, f.c.Binding(doctor)), Idle(-1))
	if err != nil {
		f.t.Fatal(err)
	}
	m.d = d
	f.procs[i] = m
}

// good tells whether the model has a token that process i must be able to give.
func (f *fleet) good(i int, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.issued) == 0 {
		return false
	}
	last := f.issued[len(f.issued)-1] // the one in the store
	return now.Before(last.end) && !f.procs[i].dropped[last.id]
}

// token asks process i and compares the answer with the model.
func (f *fleet) token(rt *rapid.T, i int) {
	good, before := f.good(i, time.Now()), len(f.procs[i].asked)
	tok, err := f.procs[i].d.Token(f.t.Context())
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil && good:
		rt.Fatalf("no token although there is a good one: %v", err)
	case err != nil && !f.down && len(f.procs[i].asked) > before:
		rt.Fatalf("no token although the STS is up: %v", err)
	case err != nil && fault.KindOf(err) != fault.Unavailable:
		rt.Fatalf("another error: %v", err)
	case err != nil:
		return
	case !now.Before(tok.NotOnOrAfter):
		rt.Fatal("an expired token")
	case f.procs[i].dropped[tok.ID]:
		rt.Fatal("a token that was refused")
	case good && len(f.procs[i].asked) > before:
		rt.Fatal("a login although there was a good token")
	}
	for _, t := range f.issued {
		if t.id == tok.ID && t.end.Equal(tok.NotOnOrAfter) {
			return
		}
	}
	rt.Fatal("a token that was never issued")
}

// check holds after every step.
func (f *fleet) check(rt *rapid.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.procs {
		for i := 1; i < len(m.asked); i++ {
			// A login follows another one after a failure or a dropped token: never sooner than this.
			if gap := m.asked[i].Sub(m.asked[i-1]); gap < DefaultMinDelay {
				rt.Fatalf("two logins of one process within %v", gap)
			}
		}
	}
}

// TestDurableModel drives two processes with a shared store at random through renewals, outages,
// refusals and restarts, and compares what they give with what the STS has issued. With -long it makes ten thousand steps.
func TestDurableModel(t *testing.T) {
	if testing.Short() {
		t.Skip("adds histories only: run without -short")
	}
	// rapid watches a clock that runs ahead here, so every check is a run of its own.
	steps(t, "1", "100")
	made, enough := 0, 2_000
	if *Long {
		enough = 10_000
	}
	for made < enough {
		synctest.Test(t, func(t *testing.T) { modelRun(t, &made) })
	}
}

func modelRun(t *testing.T, made *int) {
	rapid.Check(inBubble{t}, func(rt *rapid.T) {
		f := &fleet{t: t, sts: &fakeSTS{}, store: &memory{}, life: time.Duration(rapid.IntRange(1, 24).Draw(rt, "hours")) * time.Hour}
		f.c = newClient(t, f.sts, nil)
		for i := range f.procs {
			f.start(i)
		}
		defer func() {
			for _, m := range f.procs {
				m.d.Close()
			}
		}()
		who := func(rt *rapid.T) int { *made++; return rapid.IntRange(0, 1).Draw(rt, "process") }
		rt.Repeat(map[string]func(*rapid.T){
			"use": func(rt *rapid.T) { f.token(rt, who(rt)) },
			"pass": func(rt *rapid.T) {
				*made++
				unit := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(rt, "unit")
				time.Sleep(unit * time.Duration(rapid.IntRange(1, 30).Draw(rt, "n")))
			},
			"outage": func(*rapid.T) { *made++; f.mu.Lock(); f.down = true; f.mu.Unlock() },
			"mend":   func(*rapid.T) { *made++; f.mu.Lock(); f.down = false; f.mu.Unlock() },
			"refuse": func(rt *rapid.T) {
				m := f.procs[who(rt)]
				time.Sleep(time.Second)
				if tok, err := m.d.Token(t.Context()); err == nil && m.d.Drop(tok) {
					m.dropped[tok.ID] = true
				}
			},
			"restart": func(rt *rapid.T) {
				i := who(rt)
				f.procs[i].d.Close()
				time.Sleep(time.Second)
				f.start(i)
			},
			"": func(rt *rapid.T) {
				time.Sleep(time.Second) // a process looks into the store once a second at most
				f.check(rt)
			},
		})
	})
}
