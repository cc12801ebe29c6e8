package sts_test

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/incident"
	"github.com/ehealth-continuity/ehealth/sts"
)

// members is the size of the fleets: with -long that of figure 13 of dossier 08.
func members() int {
	if *sts.Long {
		return 500
	}
	return 200
}

// meter notes when messages for the STS leave, whatever becomes of them.
type meter struct {
	http.RoundTripper
	mu sync.Mutex
	at []time.Time
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.at = append(m.at, time.Now())
	m.mu.Unlock()
	return m.RoundTripper.RoundTrip(r)
}

// reset returns what was noted and begins anew.
func (m *meter) reset() []time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.at
	m.at = nil
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// peak is the highest rate a second over any window of that length.
func peak(at []time.Time, window time.Duration) float64 {
	best, from := 0, 0
	for to := range at {
		for at[to].Sub(at[from]) >= window {
			from++
		}
		best = max(best, to-from+1)
	}
	return float64(best) / window.Seconds()
}

// fleet is many users who logged in within ten minutes. Each has a process of its own.
type fleet struct {
	p     *platform
	meter *meter
	users []*sts.DurableSource
	all   []*events
	login float64 // mean rate of the logins, a second
}

const loginSpan = 10 * time.Minute

func logIn(t *testing.T, p *platform, n int) *fleet {
	t.Helper()
	f := &fleet{p: p, meter: &meter{RoundTripper: p.http.Transport}, login: float64(n) / loginSpan.Seconds()}
	p.http.Transport = f.meter
	for range n {
		p.x = p.exchanger() // its own breaker and budget
		_, c, req := p.doctor()
		e := &events{}
		d := p.durable(c.Source(req), e, sts.Idle(-1))
		f.users, f.all = append(f.users, d), append(f.all, e)
		if _, err := d.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(loginSpan / time.Duration(n))
	}
	return f
}

func (f *fleet) close() {
	for _, d := range f.users {
		d.Close()
	}
}

// working fails the test when a user has no token.
func (f *fleet) working(t *testing.T) {
	t.Helper()
	for _, d := range f.users {
		if _, err := d.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFigure13: figure 13 of dossier 08: users log on within ten minutes and their tokens live
// equally long; renewals stay below three times the mean rate of the logins.
func TestFigure13(t *testing.T) {
	if testing.Short() {
		t.Skip("adds users only: run without -short")
	}
	inSandbox(t, sandbox.Config{}, func(t *testing.T, p *platform) {
		f := logIn(t, p, members())
		defer f.close()
		f.meter.reset()
		time.Sleep(18*time.Hour + loginSpan)
		at := f.meter.reset()
		second, minute := peak(at, time.Second), peak(at, time.Minute)
		mean := float64(len(at)) / at[len(at)-1].Sub(at[0]).Seconds()
		t.Logf("%d renewals in %v: mean %.3f/s, peak %.0f/s in a second, %.2f/s in a minute; logins %.2f/s",
			len(at), at[len(at)-1].Sub(at[0]).Round(time.Minute), mean, second, minute, f.login)
		if len(at) != members() || minute > 3*f.login || second > 6 {
			t.Error("renewals come together")
		}
		// In ten minutes for 500 users; fewer need longer for as many renewals.
		if window := 5000 * time.Minute / time.Duration(members()); peak(at, window) > 3*mean {
			t.Errorf("%.3f/s in %v, mean %.3f/s", peak(at, window), window, mean)
		}
		f.working(t)
	})
}

// TestT15: the STS is away for the hours in which all users want to renew. During and after it they never
// ask it more than in the minutes in which they logged in.
func TestT15(t *testing.T) {
	if testing.Short() {
		t.Skip("adds users only: run without -short")
	}
	inSandbox(t, sandbox.Config{}, func(t *testing.T, p *platform) {
		f := logIn(t, p, members())
		defer f.close()
		normal := peak(f.meter.reset(), time.Minute)
		time.Sleep(12 * time.Hour)
		cancel := p.inject("sts 0 10800 http status=503;body=html -")
		time.Sleep(3 * time.Hour)
		during := f.meter.reset()
		f.working(t)
		cancel()
		time.Sleep(time.Hour)
		after := f.meter.reset()
		t.Logf("messages to the STS a second, highest minute: logins %.2f, outage %.2f, recovery %.2f", normal, peak(during, time.Minute), peak(after, time.Minute))
		if n := peak(during, time.Minute); n > 3*f.login {
			t.Errorf("%.2f/s during the outage", n)
		}
		if n := peak(after, time.Minute); n > 1.2*normal {
			t.Errorf("%.2f/s after it, normal peak %.2f/s", n, normal)
		}
		for _, d := range f.users {
			if s := d.Session(); s.Failures != 0 {
				t.Error("not renewed within an hour:", s.Failures)
			}
		}
	})
}

// TestSTSOverloaded: INC-2020-01-24-STS: on the morning after, the STS can do a third of its work for 46
// minutes. Users who logged in the day before need nothing of it, also when they restart.
func TestSTSOverloaded(t *testing.T) {
	sc, ok := incident.Get("INC-2020-01-24-STS")
	if !ok {
		t.Fatal("no incident")
	}
	const users = 100
	inSandbox(t, sandbox.Config{Scale: users / 40_000.0}, func(t *testing.T, p *platform) {
		f := logIn(t, p, users)
		defer f.close()
		normal := peak(f.meter.reset(), time.Minute)
		time.Sleep(24*time.Hour - loginSpan - 10*time.Minute)
		if _, err := p.sb.Apply(sc); err != nil { // in an hour, for 46 minutes
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		f.meter.reset()
		for range 46 {
			f.working(t)
			time.Sleep(time.Minute)
		}
		during := f.meter.reset()
		time.Sleep(time.Hour)
		after := f.meter.reset()
		t.Logf("messages to the STS a second, highest minute: logins %.2f, incident %.2f (%d in all), afterwards %.2f",
			normal, peak(during, time.Minute), len(during), peak(after, time.Minute))
		if peak(during, time.Minute) > normal || peak(after, time.Minute) > 1.2*normal {
			t.Error("renewals storm")
		}
		f.working(t)
		for _, e := range f.all {
			if len(e.of(sts.Lost)) != 0 {
				t.Error("a user lost the session")
			}
		}
	})
}

// TestRestartsWhileDown: 50 users restart their program while the STS does not answer; with the vault
// nobody notices (dossier 12, scenario 8: the official connector cannot).
func TestRestartsWhileDown(t *testing.T) {
	inSandbox(t, sandbox.Config{}, func(t *testing.T, p *platform) {
		_, c, req := p.doctor()
		key, err := cache.KeyFromSigner(c.Config().HolderOfKey.Signer)
		if err != nil {
			t.Fatal(err)
		}
		v, err := cache.OpenVault(filepath.Join(t.TempDir(), "vault"), key)
		if err != nil {
			t.Fatal(err)
		}
		begin := func() *sts.DurableSource {
			return p.durable(c.Source(req), &events{}, sts.WithStore(sts.FileStore(v), c.Binding(req)))
		}
		d := begin()
		if _, err := d.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.Close()
		p.inject("sts 0 36000 hang - -")
		asked := p.asked()
		for range 50 {
			d := begin()
			ctx, cancel := context.WithTimeout(t.Context(), exchange.DefaultTimeout)
			start := time.Now()
			if _, err := d.Token(ctx); err != nil || !time.Now().Equal(start) {
				t.Error(err, time.Since(start))
			}
			cancel()
			d.Close()
			time.Sleep(10 * time.Minute)
		}
		if n := p.asked() - asked; n != 0 {
			t.Errorf("%d messages to the STS", n)
		}
	})
}
