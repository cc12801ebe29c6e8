package resilience

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

var insurance = []Function{
	{Name: "insurability", Alternate: "D-INS-DIRECT", Needs: []Need{{Service: "genins", Endpoints: []string{urlA, urlB}, Partner: true}}},
	{Name: "login", Needs: []Need{{Service: "sts"}}},
}

// world is an engine with a health feed and a transport that answers by address.
type world struct {
	e    *Engine
	p    *Pipeline[int, int]
	do   map[string]func() error
	seen []Status
	at   []time.Duration
	t0   time.Time
	stop func()
}

func newWorld(t *testing.T, c Config) *world {
	t.Helper()
	c.Random, c.Hedge.Quantile = full, -1
	if c.Functions == nil {
		c.Functions = insurance
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{e: e, do: map[string]func() error{}, t0: time.Now()}
	w.p = NewPipeline(e, Layers[int, int]{}, func(_ context.Context, a *Attempt, _ int) (int, error) {
		if f := w.do[a.Endpoint.URL]; f != nil {
			return 0, f()
		}
		return 0, nil
	})
	w.stop = e.Health().Watch(func(s Status) {
		w.seen = append(w.seen, s)
		w.at = append(w.at, time.Since(w.t0))
	})
	return w
}

func (w *world) call(service string, urls ...string) {
	var eps []Endpoint
	for i, u := range urls {
		eps = append(eps, Endpoint{u, i, i == 0})
	}
	_, _, _ = w.p.Do(context.Background(), &Call{Op: "op", Service: service, Endpoints: eps, Timeout: 10 * time.Second}, 1)
}

// log is what a person saw: "insurability down platform D-DOWN".
func (w *world) log() string {
	var b strings.Builder
	for _, s := range w.seen {
		fmt.Fprintf(&b, "%s %v", s.Function, s.Condition)
		if s.With != "" {
			b.WriteString(" " + s.With)
		}
		if s.Where != Nowhere {
			b.WriteString(" " + s.Where.String())
		}
		fmt.Fprintf(&b, " %s; ", s.Notice)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func dialFails() error {
	return &fault.Error{Kind: fault.Unavailable, Outcome: fault.NotSent, Err: errors.New("connection refused")}
}

func noNetwork() error {
	return &fault.Error{Kind: fault.Unavailable, Outcome: fault.NotSent, Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}
}

func gone() error {
	e, r := fault.FromSOA(fault.SOAFault{Code: "SOA-02001"})
	return &Failure{Fault: e, Rule: r}
}

const urlSTS = "https://sts.example/issue"

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(w *world)
		want string
	}{
		{"all well", func(w *world) {
			for range 20 {
				w.call("genins", urlA, urlB)
				w.call("sts", urlSTS)
			}
		}, ""},
		{"a mistake of the caller is no outage", func(w *world) {
			w.do[urlA] = func() error { return &fault.Error{Kind: fault.Denied, Outcome: fault.Rejected} }
			for range 20 {
				w.call("genins", urlA)
			}
		}, ""},
		{"down and up again", func(w *world) {
			w.do[urlSTS] = gone
			for range 3 {
				w.call("sts", urlSTS)
			}
			time.Sleep(time.Minute)
			w.do[urlSTS] = nil
			w.call("sts", urlSTS)
			time.Sleep(time.Minute)
		}, "login down platform D-DOWN; login ok D-OK"},
		{"the partner is down, the platform is not", func(w *world) {
			w.call("sts", urlSTS)
			w.do[urlA], w.do[urlB] = gone, gone
			for range 3 {
				w.call("genins", urlA, urlB)
			}
		}, "insurability down partner D-DOWN"},
		{"the alternate answers", func(w *world) {
			w.do[urlA] = gone
			for range 3 {
				w.call("genins", urlA, urlB)
				time.Sleep(RestMax)
			}
		}, "insurability degraded alternate platform D-INS-DIRECT"},
		{"own network: no name server answers", func(w *world) {
			w.call("genins", urlA)
			w.call("sts", urlSTS)
			w.do[urlA], w.do[urlB], w.do[urlSTS] = noNetwork, noNetwork, noNetwork
			w.call("genins", urlA)
			w.do[urlA], w.do[urlB], w.do[urlSTS] = nil, nil, nil
			time.Sleep(time.Second)
			w.call("genins", urlA)
			w.call("sts", urlSTS)
			time.Sleep(time.Minute)
		}, "insurability down network D-NET; login down network D-NET; insurability ok D-OK; login ok D-OK"},
		{"own network: every host refuses", func(w *world) {
			w.do[urlA], w.do[urlB] = dialFails, dialFails
			w.call("genins", urlA, urlB)
		}, "insurability down network D-NET; login down network D-NET"},
		{"one host refuses, another worked lately: not the network", func(w *world) {
			w.call("sts", urlSTS)
			w.do[urlA], w.do[urlB] = dialFails, dialFails
			w.call("genins", urlA, urlB)
			w.call("genins", urlA, urlB)
		}, "insurability down partner D-DOWN"},
		{"slow, and fast again", func(w *world) {
			w.do[urlSTS] = func() error { time.Sleep(8 * time.Second); return nil }
			for range 3 {
				w.call("sts", urlSTS)
			}
			w.do[urlSTS] = func() error { time.Sleep(100 * time.Millisecond); return nil }
			for range 20 {
				w.call("sts", urlSTS)
				time.Sleep(time.Second)
			}
		}, "login slow platform D-SLOW; login ok D-OK"},
		{"closed by hand", func(w *world) {
			w.e.ForceOpen("sts", urlSTS, "planned work", time.Time{})
			time.Sleep(time.Second)
			w.e.CloseBreaker("sts", urlSTS)
			time.Sleep(time.Minute)
		}, "login down platform D-DOWN; login ok D-OK"},
		{"reported by the service package", func(w *world) {
			w.e.Health().Report("login", "session kept", "D-AUTH-KEPT")
			time.Sleep(time.Minute)
			w.e.Health().Report("login", "", "")
			time.Sleep(time.Minute)
		}, "login degraded session kept D-AUTH-KEPT; login ok D-OK"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, Config{})
			defer w.e.Close()
			c.play(w)
			synctest.Wait()
			if got := w.log(); got != c.want {
				t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
			}
		})
	}
}

// TestHealthWithinASecond: the watcher hears of a fault within one second of the evidence, and
// of a recovery within one second after the good evidence has lasted long enough.
func TestHealthWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		defer w.e.Close()
		w.do[urlSTS] = gone
		for range DefaultHealthDownAfter {
			time.Sleep(10 * time.Second)
			w.call("sts", urlSTS)
		}
		evidence := time.Since(w.t0)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(w.seen) != 1 || w.at[0]-evidence > time.Second || w.seen[0].Since.Sub(w.t0) != evidence {
			t.Fatalf("evidence at %v, heard at %v", evidence, w.at)
		}
		w.do[urlSTS] = nil
		w.call("sts", urlSTS)
		back := time.Since(w.t0)
		time.Sleep(time.Minute) // nobody calls: time alone must tell
		synctest.Wait()
		if len(w.seen) != 2 || w.at[1]-back-DefaultHealthHold > time.Second {
			t.Fatalf("back at %v, heard at %v", back, w.at)
		}
		s, ok := w.e.Health().Function("login")
		if !ok || s.Condition != OK || s.Notice != noticeOK {
			t.Fatalf("%+v", s)
		}
		if _, ok := w.e.Health().Function("nothing"); ok {
			t.Fatal("found what is not there")
		}
	})
}

func TestHealthNextCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		defer w.e.Close()
		w.do[urlSTS] = gone
		for range DefaultBreakerConsecutive {
			w.call("sts", urlSTS)
		}
		s := w.e.Health().Functions()[1]
		if s.Condition != Down || s.Service != "sts" || time.Until(s.NextCheck).Round(time.Second) != DefaultBreakerOpen {
			t.Fatalf("%+v", s)
		}
	})
}

// TestHealthFlapping: a service that goes up and down makes at most six changes in any hour.
func TestHealthFlapping(t *testing.T) {
	for _, half := range []time.Duration{10 * time.Second, 20 * time.Second, 45 * time.Second, time.Minute, 2 * time.Minute, 6 * time.Minute, 11 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, Config{Policy: Policy{Breaker: BreakerPolicy{Consecutive: -1, Ratio: -1}}})
			defer w.e.Close()
			for time.Since(w.t0) < 3*time.Hour {
				w.do[urlSTS] = nil
				if time.Since(w.t0)/half%2 == 1 {
					w.do[urlSTS] = gone
				}
				w.call("sts", urlSTS)
				time.Sleep(time.Second)
			}
			synctest.Wait()
			most := 0
			for i, from := range w.at {
				n := 0
				for _, at := range w.at[i:] {
					if at-from < time.Hour {
						n++
					}
				}
				most = max(most, n)
			}
			t.Logf("%v up, %v down: %d changes in three hours, at most %d in one", half, half, len(w.at), most)
			if most > 6 || most == 0 {
				t.Errorf("%v: %d changes in an hour: %v", half, most, w.at)
			}
		})
	}
}

// TestWatchers: a slow watcher gets the latest status, does not hold up the calls, and stop ends
// everything, even from within.
func TestWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{Health: HealthPolicy{Hold: -1}})
		defer w.e.Close()
		var slow []Condition
		stopSlow := w.e.Health().Watch(func(s Status) {
			slow = append(slow, s.Condition)
			time.Sleep(time.Hour)
		})
		var stopSelf func()
		selfish := 0
		stopSelf = w.e.Health().Watch(func(Status) { selfish++; stopSelf() })
		_ = w.e.Health().Watch(func(Status) { panic("contained") })
		start := time.Now()
		for range 5 {
			w.do[urlSTS] = gone
			for range 3 {
				w.call("sts", urlSTS)
			}
			w.do[urlSTS] = nil
			w.call("sts", urlSTS)
			synctest.Wait()
		}
		if time.Since(start) != 0 {
			t.Fatal("a watcher held up the calls")
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if len(w.seen) < 5 || len(slow) != 2 || slow[1] != OK || selfish != 1 {
			t.Fatalf("%d seen, slow %v, selfish %d", len(w.seen), slow, selfish)
		}
		stopSlow()
		w.stop()
		w.stop()
		n := len(w.seen)
		w.e.ForceOpen("sts", urlSTS, "x", time.Time{})
		synctest.Wait()
		if len(w.seen) != n {
			t.Fatal("heard after stop")
		}
		w.e.Close()
		w.e.Close()
		w.e.Health().Watch(func(Status) { t.Error("heard after Close") })()
	})
}
