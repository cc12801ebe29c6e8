package outbox_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

func until(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(at))
	return at
}

// Rules 1 and 4: "not there" is believed from a question asked after the horizon, no earlier.
func TestHorizon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{next: []string{"gone"}}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		_, err := b.Do(t.Context(), item("r1"))
		var u *outbox.UnknownError
		if !errors.As(err, &u) {
			t.Fatal(err)
		}
		horizon := p.attempts[0].Expires.Add(11 * time.Minute) // skew 5, late 5, lag 1
		if !u.Until.Equal(horizon) {
			t.Fatalf("horizon %v, want %v", u.Until, horizon)
		}
		drain(t, b)
		if len(p.sent) != 2 || !p.sent[1].After(horizon) {
			t.Fatalf("sent again at %v, horizon %v", p.sent, horizon)
		}
		if d := p.sent[1].Sub(horizon); d > 10*time.Second {
			t.Fatalf("sent %v after the horizon", d)
		}
		before := 0
		for _, at := range p.asked {
			if !at.After(horizon) {
				before++
			}
		}
		if before < 3 || len(p.asked) != before+1 {
			t.Fatalf("asked %d times before the horizon and %d after", before, len(p.asked)-before)
		}
	})
}

// A service that executes at the last moment, and whose query lags, makes no double.
func TestLateExecution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{next: []string{"late"}, late: 10 * time.Minute, visible: 59 * time.Second}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		id := put(t, b, item("r1"))
		drain(t, b)
		wantState(t, b, id, outbox.Done, "")
		if p.count("r1") != 1 || len(p.sent) != 1 {
			t.Fatalf("%d effects, sent %d times", p.count("r1"), len(p.sent))
		}
		if res, err := b.Result(t.Context(), id); err != nil || string(res.Answer) != "found r1" {
			t.Fatal(res, err)
		}
	})
}

func TestUnreachableResolverNeverResends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{next: []string{"lost"}, blind: true}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		first, second := put(t, b, item("r1")), put(t, b, item("r2"))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Hour)
		defer cancel()
		if err := b.Drain(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if len(p.sent) != 1 || state(t, b, first) != outbox.Unknown || state(t, b, second) != outbox.Prepared {
			t.Fatalf("sent %d", len(p.sent))
		}
		drain(t, b) // 48 h later it is a person's
		wantState(t, b, first, outbox.Parked, outbox.ReasonUnclear)
		wantState(t, b, second, outbox.Done, "")
		if err := b.Cancel(t.Context(), first); !errors.Is(err, outbox.ErrState) {
			t.Fatalf("an item of unknown outcome was cancelled: %v", err)
		}
		p.blind = false
		if err := b.Retry(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		drain(t, b)
		wantState(t, b, first, outbox.Done, "")
		if p.count("r1") != 1 {
			t.Fatalf("%d effects", p.count("r1"))
		}
	})
}

func TestPersonDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{next: []string{"lost", "gone"}}
		pol := resolvable
		pol.Class = resilience.UnsafeWrite
		b := openBox(t, outboxtest.NewMemory(), p, pol)
		defer b.Close()
		one, two := put(t, b, item("r1")), put(t, b, item("r2"))
		drain(t, b)
		wantState(t, b, one, outbox.Parked, outbox.ReasonPerson)
		for _, err := range []error{b.Decide(t.Context(), one, true), b.Decide(t.Context(), two, false)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Decide(t.Context(), two, true); !errors.Is(err, outbox.ErrState) {
			t.Fatalf("decided twice: %v", err)
		}
		wantState(t, b, one, outbox.Done, "")
		wantState(t, b, two, outbox.Parked, outbox.ReasonDecided)
		if err := b.Retry(t.Context(), two); err != nil {
			t.Fatal(err)
		}
		drain(t, b)
		wantState(t, b, two, outbox.Done, "")
		if p.count("r1") != 1 || p.count("r2") != 1 {
			t.Fatal(p.effects)
		}
	})
}

// T12 of dossier 06 B.6: put at 23:50 local time, the service is back at 00:10.
func TestT12Midnight(t *testing.T) {
	for _, c := range []struct{ name, put, midnight string }{
		{"winter", "2026-11-20T22:50:00Z", "2026-11-20T23:00:00Z"},
		{"summer", "2026-07-10T21:50:00Z", "2026-07-10T22:00:00Z"},
		{"day of 23 hours", "2026-03-28T23:30:00Z", "2026-03-29T22:00:00Z"}, // 00:30 of the day on which summer time begins
		{"day of 25 hours", "2026-10-24T22:30:00Z", "2026-10-25T23:00:00Z"},
		{"last day of the year", "2026-12-31T22:50:00Z", "2026-12-31T23:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				until(t, c.put)
				midnight, _ := time.Parse(time.RFC3339, c.midnight)
				p := &platform{}
				var at time.Time
				back := midnight.Add(10 * time.Minute)
				b := openBox(t, outboxtest.NewMemory(), p, resolvable,
					outbox.WithGate(func(outbox.Kind) (bool, time.Time) { return !time.Now().Before(back), back }),
					outbox.WithEvents(func(e outbox.Event) {
						if e.To == outbox.Expired {
							at = e.At
						}
					}))
				defer b.Close()
				id := put(t, b, item("r1", func(i *outbox.Item) { i.Expiry = outbox.Midnight(time.Time{}) }))
				// One that is not the first of its line expires as well, and one without limit is sent.
				behind := put(t, b, item("r2", func(i *outbox.Item) { i.Expiry = outbox.Midnight(time.Time{}) }))
				free := put(t, b, item("r3"))
				drain(t, b)
				wantState(t, b, id, outbox.Expired, outbox.ReasonExpired)
				wantState(t, b, behind, outbox.Expired, outbox.ReasonExpired)
				wantState(t, b, free, outbox.Done, "")
				if !at.Equal(midnight) {
					t.Fatalf("expired at %v, want %v", at, midnight)
				}
				if got := p.order(); got != "r3" {
					t.Fatalf("effects %s", got)
				}
				if _, err := b.Do(t.Context(), item("r1", func(i *outbox.Item) { i.Expiry = outbox.Midnight(time.Time{}) })); !errors.Is(err, outbox.ErrState) {
					t.Fatalf("sent after midnight: %v", err)
				}
			})
		})
	}
}

// A message sent a second before midnight is signed to live until midnight.
func TestMessageDoesNotOutliveItsItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until(t, "2026-11-20T22:59:59Z")
		p := &platform{next: []string{"gone"}}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		id := put(t, b, item("r1", func(i *outbox.Item) { i.Expiry = outbox.Midnight(time.Time{}) }))
		drain(t, b)
		if x := p.attempts[0].Expires; x.Format(time.RFC3339) != "2026-11-20T23:00:00Z" {
			t.Fatalf("expires %v", x)
		}
		wantState(t, b, id, outbox.Expired, outbox.ReasonExpired) // unknown, then not there, then too late
		if len(p.sent) != 1 {
			t.Fatalf("sent %d times", len(p.sent))
		}
	})
}

func TestExpiryRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := until(t, "2026-03-27T12:00:00Z") // two days before summer time
		b := openBox(t, outboxtest.NewMemory(), &platform{}, resolvable)
		defer b.Close()
		for _, c := range []struct {
			rule outbox.Expiry
			want string
		}{
			{outbox.Expiry{}, ""},
			{outbox.At(at.Add(time.Hour)), "2026-03-27T13:00:00Z"},
			{outbox.Days(1), "2026-03-28T12:00:00Z"},
			{outbox.Days(3), "2026-03-30T11:00:00Z"}, // the same time of day
			{outbox.Midnight(at.Add(48 * time.Hour)), "2026-03-29T22:00:00Z"},
		} {
			v, err := b.Show(t.Context(), put(t, b, outbox.Item{Kind: "k", Expiry: c.rule}))
			got := ""
			if !v.Expires.IsZero() {
				got = v.Expires.Format(time.RFC3339)
			}
			if err != nil || got != c.want {
				t.Errorf("%s: %s, want %s (%v)", c.rule, got, c.want, err)
			}
		}
		for _, bad := range []outbox.Expiry{outbox.Days(0), outbox.Days(-1), outbox.At(time.Time{}), outbox.At(at), outbox.Midnight(at.Add(-24 * time.Hour))} {
			if _, err := b.Put(t.Context(), outbox.Item{Kind: "k", Expiry: bad}); !errors.Is(err, outbox.ErrInvalid) {
				t.Errorf("%s was accepted: %v", bad, err)
			}
		}
	})
}

// A worker that is stopped for longer than its lease loses the line; what it sends afterwards is
// refused as expired, and what it writes is fenced off.
func TestPausedWorkerIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{hold: make(chan struct{})}
		store := outboxtest.NewMemory()
		one, two := openBox(t, store, deaf{p}, resolvable), openBox(t, store, p2(p), resolvable)
		id := put(t, one, item("r1"))
		put(t, one, item("r2"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- one.Run(ctx) }()
		synctest.Wait() // one has written its intent and hangs
		if state(t, two, id) != outbox.Sending {
			t.Fatal("the intent is not there")
		}
		began := time.Now()
		drain(t, two)
		if d := time.Since(began); d < 11*time.Minute {
			t.Fatalf("the second worker was done after %v", d)
		}
		if got := p.order(); got != "r1 r2" {
			t.Fatalf("effects %s", got)
		}
		close(p.hold) // the first one wakes
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if got := p.order(); got != "r1 r2" {
			t.Fatalf("effects %s", got)
		}
		wantState(t, two, id, outbox.Done, "")
		one.Close()
		two.Close()
	})
}

// deaf does not notice that its context is over, as a process that was stopped.
type deaf struct{ *platform }

func (d deaf) Send(_ context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	return d.platform.Send(context.Background(), it, a)
}

// p2 is another door to the same platform, which does not hang.
func p2(p *platform) outbox.Handler { return &door{p} }

type door struct{ p *platform }

func (d *door) Send(_ context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Answer, error) {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	d.p.execute(it.Ref)
	return nil, nil
}

func (d *door) Resolve(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Verdict, error) {
	return d.p.Resolve(ctx, it, a)
}

// The answer of the service is true even when the lease is gone: it is recorded.
func TestLateAnswerCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{hold: make(chan struct{}), blind: true}
		store := outboxtest.NewMemory()
		slow := outbox.SendFunc(func(context.Context, outbox.Item, outbox.Attempt) (outbox.Answer, error) {
			<-p.hold
			return outbox.Answer("late answer"), nil
		})
		one, two := openBox(t, store, both{slow, p}, resolvable), openBox(t, store, p, resolvable)
		id := put(t, one, item("r1"))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		ended := make(chan error, 2)
		go func() { ended <- one.Run(ctx) }()
		synctest.Wait()
		go func() { ended <- two.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		if state(t, two, id) != outbox.Unknown {
			t.Fatal("the second worker did not take over")
		}
		close(p.hold)
		synctest.Wait()
		res, err := two.Result(t.Context(), id)
		if err != nil || string(res.Answer) != "late answer" {
			t.Fatal(res, err)
		}
		<-ended
		<-ended
		one.Close()
		two.Close()
	})
}

type both struct {
	outbox.Sender
	outbox.Resolver
}
