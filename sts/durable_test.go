package sts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// issuer is a source whose tokens have ids. It notes when it was asked.
type issuer struct {
	life  time.Duration
	takes time.Duration
	via   Via

	mu    sync.Mutex
	fails error
	asked []time.Time
}

func (s *issuer) fail(err error) { s.mu.Lock(); defer s.mu.Unlock(); s.fails = err }

func (s *issuer) calls() []time.Time { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.asked) }

func (s *issuer) Token(ctx context.Context) (*Token, error) {
	s.mu.Lock()
	s.asked = append(s.asked, time.Now())
	n := len(s.asked)
	s.mu.Unlock()
	if s.takes > 0 {
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			return nil, waitEnded(ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return nil, s.fails
	}
	now := time.Now()
	return &Token{ID: fmt.Sprint(n), IssuedAt: now, NotOnOrAfter: now.Add(s.life), Via: s.via}, nil
}

func failure(k fault.Kind) *fault.Error {
	return &fault.Error{Op: "sts.Issue", Kind: k, Outcome: fault.Rejected, Notice: noticeNoLogin}
}

// journal notes events.
type journal struct {
	mu  sync.Mutex
	all []Event
}

func (j *journal) note(e Event) { j.mu.Lock(); defer j.mu.Unlock(); j.all = append(j.all, e) }

// of returns the events of these kinds, all without kinds.
func (j *journal) of(kinds ...EventKind) (out []Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.all {
		if len(kinds) == 0 || slices.Contains(kinds, e.Kind) {
			out = append(out, e)
		}
	}
	return out
}

// durable runs f in a bubble with a source that is closed at its end.
func durable(t *testing.T, src TokenSource, opts []DurableOption, f func(t *testing.T, d *DurableSource, j *journal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		d, err := Durable(src, append(opts, OnEvent(j.note))...)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		f(t, d, j)
	})
}

func mustToken(t *testing.T, ts TokenSource) *Token {
	t.Helper()
	tok, err := ts.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestDurableOptions(t *testing.T) {
	src := &issuer{}
	bad := map[string]func() (*DurableSource, error){
		"no source": func() (*DurableSource, error) { return Durable(nil) },
		"timeout":   func() (*DurableSource, error) { return Durable(src, LoginTimeout(-1)) },
		"no store":  func() (*DurableSource, error) { return Durable(src, WithStore(nil, Binding{})) },
		"no holder": func() (*DurableSource, error) { return Durable(src, WithStore(&memory{}, Binding{})) },
		"no roots": func() (*DurableSource, error) {
			return Durable(src, WithStore(&memory{}, Binding{HolderOfKey: world().ehealth, Request: doctor}))
		},
		"no claims": func() (*DurableSource, error) {
			return Durable(src, WithStore(&memory{}, Binding{HolderOfKey: world().ehealth, Trust: Trust{Roots: world().roots}}))
		},
	}
	for name, f := range bad {
		if d, err := f(); err == nil {
			d.Close()
			t.Error(name, "was accepted")
		}
	}
}

// TestDurableSingleFlight: one request however many wait; who gives up does not stop the others.
func TestDurableSingleFlight(t *testing.T) {
	src := &issuer{life: time.Hour, takes: 5 * time.Second}
	durable(t, src, nil, func(t *testing.T, d *DurableSource, j *journal) {
		first, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := d.Token(first)
			if fe := checkError(t, err, fault.Timeout); fe.Notice != noticeNoLogin {
				t.Error(fe.Notice)
			}
		})
		for range 50 {
			wg.Go(func() { mustToken(t, d) })
		}
		wg.Wait()
		if n := len(src.calls()); n != 1 {
			t.Errorf("%d requests", n)
		}
		if e := j.of(); len(e) != 1 || e[0].Kind != Renewed || e[0].Notice != "" || !e[0].Until.Equal(time.Now().Add(time.Hour)) {
			t.Error(e)
		}
	})
}

// TestDurableRenewsEarly: renewal comes between a half and three quarters of the life, at another
// moment each time, and callers never wait for it.
func TestDurableRenewsEarly(t *testing.T) {
	const life = 24 * time.Hour
	src := &issuer{life: life, takes: time.Second}
	durable(t, src, []DurableOption{Idle(-1)}, func(t *testing.T, d *DurableSource, j *journal) {
		mustToken(t, d)
		time.Sleep(60 * life)
		calls := src.calls()
		distinct := map[time.Duration]bool{}
		for i := 1; i < len(calls); i++ {
			gap := calls[i].Sub(calls[i-1]) - src.takes
			if gap < life/2 || gap > life*3/4 {
				t.Error("renewed after", gap)
			}
			distinct[gap.Round(time.Minute)] = true
		}
		if len(calls) < 75 || len(distinct) < 50 {
			t.Errorf("%d renewals, %d different times", len(calls), len(distinct))
		}
		at := time.Now()
		if mustToken(t, d); !time.Now().Equal(at) {
			t.Error("a caller had to wait")
		}
		if len(j.of(Renewed)) != len(calls) || len(j.of()) != len(calls) {
			t.Error(len(j.of()), "events")
		}
	})
}

// TestDurableKept: while renewal fails the token is used to its very end, and the person is told
// in time (dossier 06 B.4.1).
func TestDurableKept(t *testing.T) {
	src := &issuer{life: 24 * time.Hour}
	durable(t, src, nil, func(t *testing.T, d *DurableSource, j *journal) {
		tok := mustToken(t, d)
		src.fail(failure(fault.Unavailable))
		end := tok.NotOnOrAfter
		time.Sleep(time.Until(end) - 1)
		if mustToken(t, d) != tok {
			t.Error("another token")
		}
		kept, soon := j.of(KeptUntil), j.of(EndsSoon)
		if len(kept) != 1 || kept[0].Notice != "D-AUTH-KEPT" || !kept[0].Until.Equal(end) || kept[0].Cause != fault.Unavailable {
			t.Error(kept)
		}
		if len(soon) != 1 || soon[0].Notice != "D-AUTH-UNTIL" || !soon[0].At.Equal(end.Add(-SoonBefore)) || !soon[0].Until.Equal(end) {
			t.Error(soon)
		}
		if n := len(j.of(Lost)); n != 0 {
			t.Error("lost before its end")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if lost := j.of(Lost); len(lost) != 1 || lost[0].Notice != "D-AUTH-NONE" || !lost[0].At.Equal(end) || !lost[0].Until.IsZero() {
			t.Error(lost)
		}
		_, err := d.Token(t.Context())
		checkError(t, err, fault.Unavailable)
		if s := d.Session(); !s.Until.IsZero() || s.Failures == 0 || s.LastFailure != fault.Unavailable {
			t.Errorf("%+v", s)
		}
		failed := src.calls()[1:]
		if len(failed) < 8 || len(failed) > 80 {
			t.Errorf("%d failed renewals in the second half of 24 h", len(failed))
		}
		time.Sleep(LoginRetryLong)
		src.fail(nil)
		mustToken(t, d)
		if s := d.Session(); s.Failures != 0 || !s.NextTry.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

// TestDurablePause: without a token callers get the error at once while the pause grows, whoever
// asks how often; a person may ask in between, once a second.
func TestDurablePause(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	src := &issuer{life: time.Hour, fails: failure(fault.Timeout), takes: time.Millisecond}
	durable(t, src, nil, func(t *testing.T, d *DurableSource, j *journal) {
		for end := time.Now().Add(8 * time.Hour); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			_, err := d.Token(t.Context())
			checkError(t, err, fault.Timeout)
		}
		calls := src.calls()
		longest := time.Duration(0)
		for i := 1; i < len(calls); i++ {
			gap := calls[i].Sub(calls[i-1])
			longest = max(longest, gap)
			if gap < DefaultMinDelay || gap > LoginRetryLong+time.Second {
				t.Error(gap)
			}
		}
		// Full jitter below five minutes makes two and a half on average; the bound grows to fifteen.
		if n := len(calls); n < 60 || n > 200 || longest < LoginRetryMax/2 {
			t.Errorf("%d logins, longest pause %v", n, longest)
		}
		if len(j.of(Lost)) != 1 || len(j.of(KeptUntil)) != 0 {
			t.Error(j.of(Lost, KeptUntil))
		}
		src.fail(nil)
		for { // the person does not wait for the pause
			if _, err := d.Login(t.Context()); err == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if gap := time.Since(calls[len(calls)-1]); gap > LoginRetryLong || len(src.calls()) != len(calls)+1 {
			t.Error(gap, len(src.calls())-len(calls))
		}
	})
}

func TestDurableLogin(t *testing.T) {
	src := &issuer{life: time.Hour, fails: failure(fault.Timeout)}
	durable(t, src, nil, func(t *testing.T, d *DurableSource, _ *journal) {
		for range 1000 { // an impatient person
			_, err := d.Login(t.Context())
			checkError(t, err, fault.Timeout)
			time.Sleep(50 * time.Millisecond)
		}
		if n := len(src.calls()); n != 50 {
			t.Errorf("%d logins in 50 s", n)
		}
	})
}

func TestPauseAfter(t *testing.T) {
	tests := map[string]struct {
		n           int
		left, asked time.Duration
		min, max    time.Duration
	}{
		"first login":          {1, 0, 0, time.Second, time.Second},
		"fourth login":         {4, 0, 0, time.Second, 8 * time.Second},
		"much later":           {1000, 0, 0, 10 * time.Minute, 20 * time.Minute},
		"after an hour":        {30, 0, 0, time.Second, 9*time.Minute + 42*time.Second},
		"login, asked to wait": {1, 0, 30 * time.Second, 30 * time.Second, 30 * time.Second},
		"login, overlong hint": {1, 0, time.Hour, time.Minute, time.Minute},
		"first renewal":        {1, 12 * time.Hour, 0, time.Second, time.Minute},
		"much later renewal":   {1000, 12 * time.Hour, 0, time.Second, 30 * time.Minute},
		"renewal near the end": {1000, 10 * time.Minute, 0, time.Second, 5 * time.Minute},
		"renewal at the end":   {1000, time.Second, 0, time.Second, time.Second},
		"renewal, long hint":   {1, 12 * time.Hour, time.Hour, time.Hour, time.Hour},
		"renewal, hint beyond": {1, time.Hour, time.Hour, 30 * time.Minute, 30 * time.Minute},
	}
	for name, tt := range tests {
		low, high := time.Duration(1<<62), time.Duration(0)
		for range 2000 {
			d := pauseAfter(tt.n, tt.left, tt.asked)
			low, high = min(low, d), max(high, d)
		}
		if low < tt.min || high > tt.max || high < tt.max*9/10 {
			t.Errorf("%s: %v to %v, want %v to %v", name, low, high, tt.min, tt.max)
		}
	}
}

// TestDurableBadSource: a source that gives nothing, or something expired, is a failure.
func TestDurableBadSource(t *testing.T) {
	for name, tok := range map[string]*Token{"nothing": nil, "expired": {}} {
		t.Run(name, func(t *testing.T) {
			src := TokenSourceFunc(func(context.Context) (*Token, error) { return tok, nil })
			durable(t, src, nil, func(t *testing.T, d *DurableSource, _ *journal) {
				if _, err := d.Token(t.Context()); err == nil {
					t.Error("no error")
				}
			})
		})
	}
}

// TestDurableNotices: what the person must mend is said instead of the general text.
func TestDurableNotices(t *testing.T) {
	tests := map[string]struct{ notice, kept, lost string }{
		"STS down":              {"D-AUTH-NONE", "D-AUTH-KEPT", "D-AUTH-NONE"},
		"clock":                 {"D-CLOCK", "D-CLOCK", "D-CLOCK"},
		"certificate":           {"D-KEY", "D-KEY", "D-KEY"},
		"another login waits":   {"D-AUTH-FALLBACK", "D-AUTH-KEPT", "D-AUTH-FALLBACK"},
		"not a notice for this": {"D-WRONG", "D-AUTH-KEPT", "D-AUTH-NONE"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src := &issuer{life: time.Hour}
			durable(t, src, nil, func(t *testing.T, d *DurableSource, j *journal) {
				mustToken(t, d)
				src.fail(&fault.Error{Kind: fault.Denied, Notice: tt.notice})
				time.Sleep(time.Hour)
				synctest.Wait()
				kept, lost := j.of(KeptUntil), j.of(Lost)
				if len(kept) != 1 || kept[0].Notice != tt.kept || len(lost) != 1 || lost[0].Notice != tt.lost {
					t.Error(kept, lost)
				}
			})
		})
	}
}

// TestDurableIdle: a token that nobody uses is not renewed for ever, and its end is no event.
func TestDurableIdle(t *testing.T) {
	src := &issuer{life: 24 * time.Hour}
	durable(t, src, nil, func(t *testing.T, d *DurableSource, j *journal) {
		mustToken(t, d)
		time.Sleep(60 * 24 * time.Hour)
		if n := len(src.calls()); n < 6 || n > 9 {
			t.Errorf("%d requests", n)
		}
		if len(j.of()) != len(src.calls()) {
			t.Error(j.of())
		}
		before := len(src.calls())
		mustToken(t, d)
		if len(src.calls()) != before+1 {
			t.Error("no new login")
		}
	})
}

// TestDurableFallbackUsed: events name the login and why it was needed.
func TestDurableFallbackUsed(t *testing.T) {
	src := &issuer{life: time.Hour, via: Via{Login: "certificate", Fallback: true, Why: fault.Denied}}
	durable(t, src, nil, func(t *testing.T, d *DurableSource, j *journal) {
		tok := mustToken(t, d)
		e := j.of()
		if len(e) != 2 || e[0].Kind != Renewed || e[1].Kind != FallbackUsed || e[1].Notice != "D-AUTH-USED" ||
			e[1].Login != "certificate" || e[1].Cause != fault.Denied || !e[1].Until.Equal(tok.NotOnOrAfter) {
			t.Error(e)
		}
		if s := d.Session(); !s.Via.Fallback || !s.Until.Equal(tok.NotOnOrAfter) || !s.RenewAt.Before(s.Until) {
			t.Errorf("%+v", s)
		}
	})
}

// TestDurableDrop: refused tokens are given up at growing distances, so that a service which
// refuses everything makes no storm at the STS.
func TestDurableDrop(t *testing.T) {
	src := &issuer{life: 24 * time.Hour}
	durable(t, src, nil, func(t *testing.T, d *DurableSource, _ *journal) {
		if d.Drop(nil) {
			t.Error("nothing was dropped")
		}
		tok := mustToken(t, d)
		for range 2 { // the second time it is gone already
			if !d.Drop(tok) {
				t.Error("a refused token is not given up")
			}
		}
		if again := mustToken(t, d); again.ID == tok.ID || d.Drop(again) {
			t.Error("the replacement is given up at once")
		}
		start := time.Now()
		for time.Since(start) < 3*time.Hour {
			d.Drop(mustToken(t, d))
			time.Sleep(5 * time.Second)
		}
		if n := len(src.calls()); n < 7 || n > 9 {
			t.Errorf("%d logins in 3 h of refusals", n)
		}
		time.Sleep(MaxDropDelay)
		if !d.Drop(mustToken(t, d)) {
			t.Error("not given up after a quiet hour")
		}
		time.Sleep(DefaultDropDelay)
		if !d.Drop(mustToken(t, d)) {
			t.Error("the delay did not start anew")
		}
	})
}

// TestDurableClose: Close cuts off a login under way; the token at hand stays usable.
func TestDurableClose(t *testing.T) {
	src := &issuer{life: time.Hour, takes: time.Minute}
	durable(t, src, nil, func(t *testing.T, d *DurableSource, _ *journal) {
		done := make(chan error)
		go func() { _, err := d.Token(t.Context()); done <- err }()
		time.Sleep(time.Second)
		start := time.Now()
		d.Close()
		if err := <-done; !errors.Is(err, ErrClosed) || !time.Now().Equal(start) {
			t.Error(err, time.Since(start))
		}
		if _, err := d.Token(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	src = &issuer{life: time.Hour}
	durable(t, src, nil, func(t *testing.T, d *DurableSource, _ *journal) {
		tok := mustToken(t, d)
		d.Close()
		d.Close()
		time.Sleep(time.Hour - 1)
		if mustToken(t, d) != tok {
			t.Error("another token")
		}
		time.Sleep(time.Nanosecond)
		if _, err := d.Token(t.Context()); !errors.Is(err, ErrClosed) || len(src.calls()) != 1 {
			t.Error(err, len(src.calls()))
		}
	})
}

// TestDurableEndedContext: a caller whose time is over before it asks is not served by a login, but
// is by the token at hand.
func TestDurableEndedContext(t *testing.T) {
	src := &issuer{life: time.Hour}
	durable(t, src, nil, func(t *testing.T, d *DurableSource, _ *journal) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := d.Token(ctx)
		checkError(t, err, fault.Canceled)
		if len(src.calls()) != 0 {
			t.Error("the source was asked")
		}
		mustToken(t, d)
		if _, err := d.Token(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestEmitter: events arrive one at a time and in order, also when handling one causes another.
func TestEmitter(t *testing.T) {
	var e emitter
	var got []EventKind
	e.to = func(ev Event) {
		got = append(got, ev.Kind)
		if ev.Kind == Renewed {
			e.emit(Event{Kind: Lost})
			got = append(got, 0)
		}
	}
	e.emit(Event{Kind: Renewed}, Event{Kind: EndsSoon})
	if want := []EventKind{Renewed, 0, EndsSoon, Lost}; !slices.Equal(got, want) {
		t.Error(got)
	}
	func() {
		defer func() { _ = recover() }()
		e.to = func(Event) { panic("x") }
		e.emit(Event{})
	}()
	e.to = func(ev Event) { got = append(got, ev.Kind) }
	if e.emit(Event{Kind: Adopted}); got[len(got)-1] != Adopted {
		t.Error("stuck after a panic")
	}
	if EventKind(99).String() != "unknown" || GroupRefusal.String() != "group refusal" || StoreFailed.String() != "store failed" {
		t.Error("names")
	}
}
