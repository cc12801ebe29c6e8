package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// platform is a service with effects. What happens to the next requests is scripted.
type platform struct {
	mu       sync.Mutex
	effects  []string             // references, in the order of execution
	next     []string             // done, lost (executed, answer lost), gone (lost before execution), late, unsent, reject, busy, panic, or an error text
	late     time.Duration        // delay of "late"
	asked    []time.Time          // when a resolver came
	sent     []time.Time          // when a sender came
	blind    bool                 // the resolver cannot be reached
	unclear  bool                 // the resolver does not know
	latency  time.Duration        // of everything
	attempts []outbox.Attempt     // as seen by Send
	hold     chan struct{}        // when set, Send waits for it
	visible  time.Duration        // how long until an effect can be queried
	at       map[string]time.Time // when each effect happened
}

func (p *platform) execute(ref string) {
	p.effects = append(p.effects, ref)
	if p.at == nil {
		p.at = map[string]time.Time{}
	}
	p.at[ref] = time.Now()
}

func (p *platform) Send(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-ctx.Done():
		}
	}
	if p.latency > 0 {
		time.Sleep(p.latency)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, time.Now())
	p.attempts = append(p.attempts, a)
	what := "done"
	if len(p.next) > 0 {
		what, p.next = p.next[0], p.next[1:]
	}
	lost := &fault.Error{Op: "test", Kind: fault.Timeout, Outcome: fault.Unknown}
	switch what {
	case "done":
		if time.Now().After(a.Expires) {
			return nil, &fault.Error{Op: "test", Kind: fault.Security, Outcome: fault.Rejected, Code: "expired"}
		}
		p.execute(it.Ref)
		return outbox.Answer("ok " + it.Ref), nil
	case "lost":
		p.execute(it.Ref)
		return nil, lost
	case "gone":
		return nil, lost
	case "late":
		time.AfterFunc(p.late, func() { p.mu.Lock(); defer p.mu.Unlock(); p.execute(it.Ref) })
		return nil, lost
	case "unsent":
		return nil, &fault.Error{Op: "test", Kind: fault.Unavailable, Outcome: fault.NotSent}
	case "denied":
		return nil, &fault.Error{Op: "test", Kind: fault.Denied, Outcome: fault.NotSent, Notice: "D-AUTH-NONE"}
	case "unsendable":
		return nil, &fault.Error{Op: "test", Kind: fault.Invalid, Outcome: fault.NotSent}
	case "reject":
		return nil, &fault.Error{Op: "test", Kind: fault.Invalid, Outcome: fault.Rejected, Code: "SOA-03006", Message: "of patient 79121231234"}
	case "busy":
		return nil, &fault.Error{Op: "test", Kind: fault.Throttled, Outcome: fault.Rejected, RetryAfter: 30 * time.Second}
	case "panic":
		panic("79121231234")
	}
	return nil, errors.New(what)
}

func (p *platform) Resolve(_ context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Verdict, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, time.Now())
	switch {
	case p.blind:
		return outbox.Verdict{}, &fault.Error{Op: "test", Kind: fault.Unavailable, Outcome: fault.NotSent}
	case p.unclear:
		return outbox.Verdict{}, nil
	}
	if at, ok := p.at[it.Ref]; ok && time.Since(at) >= p.visible {
		return outbox.Verdict{Found: outbox.Happened, Answer: outbox.Answer("found " + it.Ref)}, nil
	}
	return outbox.Verdict{Found: outbox.NotThere}, nil
}

func (p *platform) count(ref string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.effects {
		if r == ref {
			n++
		}
	}
	return n
}

func testKey(b byte) outbox.Key {
	k, err := outbox.KeyFromBytes([]byte(strings.Repeat(string(rune(b)), 32)))
	if err != nil {
		panic(err)
	}
	return k
}

var resolvable = outbox.Policy{Class: resilience.ResolvableWrite}

// openBox makes a Box without pauses over store, for kind "k".
func openBox(t testing.TB, store outbox.Store, h outbox.Sender, p outbox.Policy, opts ...outbox.Option) *outbox.Box {
	t.Helper()
	opts = append([]outbox.Option{outbox.Handle("k", h, p), outbox.WithPace(-1, -1, -1)}, opts...)
	b, err := outbox.Open(t.Context(), store, outbox.NewKeys(testKey('a')), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func item(ref string, change ...func(*outbox.Item)) outbox.Item {
	it := outbox.Item{Kind: "k", Key: "key", Ref: ref, Payload: []byte("payload of " + ref)}
	for _, c := range change {
		c(&it)
	}
	return it
}

func put(t testing.TB, b *outbox.Box, it outbox.Item) outbox.ID {
	t.Helper()
	id, err := b.Put(t.Context(), it)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func drain(t testing.TB, b *outbox.Box) {
	t.Helper()
	if err := b.Drain(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

func state(t testing.TB, b *outbox.Box, id outbox.ID) outbox.State {
	t.Helper()
	v, err := b.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return v.State
}

func wantState(t testing.TB, b *outbox.Box, id outbox.ID, want outbox.State, reason outbox.Reason) {
	t.Helper()
	v, err := b.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if v.State != want || v.Reason != reason {
		t.Fatalf("item is %s (%s), want %s (%s)", v.State, v.Reason, want, reason)
	}
}

func TestDoEnds(t *testing.T) {
	idem, unsafe := resolvable, resolvable
	idem.Class, unsafe.Class = resilience.IdempotentWrite, resilience.UnsafeWrite
	for _, c := range []struct {
		name    string
		next    string
		policy  outbox.Policy
		want    error // nil = done
		state   outbox.State
		reason  outbox.Reason
		effects int
	}{
		{"done", "done", resolvable, nil, outbox.Done, "", 1},
		{"answer lost, found by asking", "lost", resolvable, nil, outbox.Done, "", 1},
		{"request lost", "gone", resolvable, outbox.ErrUnknown, outbox.Unknown, "", 0},
		{"executed late", "late", resolvable, outbox.ErrUnknown, outbox.Unknown, "", 0},
		{"no error of ours", "what is this", resolvable, outbox.ErrUnknown, outbox.Unknown, "", 0},
		{"panic", "panic", resolvable, outbox.ErrUnknown, outbox.Unknown, "", 0},
		{"answer lost, safe to repeat", "lost", idem, nil, outbox.Done, "", 2},
		{"answer lost, a person must decide", "lost", unsafe, outbox.ErrUnknown, outbox.Parked, outbox.ReasonPerson, 1},
		{"not sent", "unsent", resolvable, nil, outbox.Done, "", 1}, // the second try, within the deadline
		{"no login", "denied", resolvable, nil, outbox.Done, "", 1},
		{"cannot be made", "unsendable", resolvable, outbox.ErrState, outbox.Parked, outbox.ReasonUnsendable, 0},
		{"refused", "reject", resolvable, outbox.ErrState, outbox.Rejected, outbox.ReasonRefused, 0},
		{"refused for a while", "busy", resolvable, outbox.ErrQueued, outbox.Ready, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &platform{next: []string{c.next}, late: time.Minute}
				b := openBox(t, outboxtest.NewMemory(), p, c.policy)
				defer b.Close()
				res, err := b.Do(t.Context(), item("r1"))
				if c.want == nil && (err != nil || res == nil) || c.want != nil && !errors.Is(err, c.want) {
					t.Fatalf("result %v, error %v, want %v", res, err, c.want)
				}
				var id outbox.ID
				for v := range b.List(t.Context(), outbox.Filter{}) {
					id = v.ID
				}
				wantState(t, b, id, c.state, c.reason)
				if n := p.count("r1"); n != c.effects {
					t.Fatalf("%d effects, want %d", n, c.effects)
				}
				if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), "7912123") {
					t.Fatalf("the error carries personal data: %v", err)
				}
			})
		})
	}
}

func TestDoReturnsTheFault(t *testing.T) {
	p := &platform{next: []string{"reject"}}
	b := openBox(t, outboxtest.NewMemory(), p, resolvable)
	defer b.Close()
	for _, what := range []string{"fresh", "remembered"} {
		_, err := b.Do(t.Context(), item("r1"))
		fe, ok := errors.AsType[*fault.Error](err)
		if !ok || fe.Code != "SOA-03006" || fe.Outcome != fault.Rejected || !errors.Is(err, fault.ErrInvalid) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if len(p.sent) != 1 {
		t.Fatalf("sent %d times", len(p.sent))
	}
}

func TestSameReferenceIsOneItem(t *testing.T) {
	p := &platform{}
	b := openBox(t, outboxtest.NewMemory(), p, resolvable)
	defer b.Close()
	first, err := b.Do(t.Context(), item("r1"))
	if err != nil || first.Before {
		t.Fatal(first, err)
	}
	again, err := b.Do(t.Context(), item("r1"))
	if err != nil || !again.Before || again.ID != first.ID || string(again.Answer) != "ok r1" {
		t.Fatal(again, err)
	}
	if id := put(t, b, item("r1")); id != first.ID {
		t.Fatal("Put made another item")
	}
	if _, err := b.Put(t.Context(), item("r1", func(i *outbox.Item) { i.Payload = []byte("other") })); !errors.Is(err, outbox.ErrConflict) {
		t.Fatalf("other content: %v", err)
	}
	if p.count("r1") != 1 {
		t.Fatalf("%d effects", p.count("r1"))
	}
}

func TestDoWaitsForThoseBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		put(t, b, item("r1"))
		put(t, b, item("r2"))
		if _, err := b.Do(t.Context(), item("r3")); err != nil {
			t.Fatal(err)
		}
		if got := p.order(); got != "r1 r2 r3" {
			t.Fatalf("order %s", got)
		}
		p.next = []string{"gone"}
		put(t, b, item("r4"))
		_, err := b.Do(t.Context(), item("r5"))
		if !errors.Is(err, outbox.ErrQueued) || errors.Is(err, outbox.ErrUnknown) {
			t.Fatalf("behind an unknown one: %v", err)
		}
		drain(t, b)
		if got := p.order(); got != "r1 r2 r3 r4 r5" {
			t.Fatalf("order %s", got)
		}
	})
}

func TestDoAfterTheDeadlineStillRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{hold: make(chan struct{})}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		res, err := b.Do(ctx, item("r1")) // the sender takes the answer although ctx is over
		if err != nil || string(res.Answer) != "ok r1" || time.Since(began) != time.Second {
			t.Fatal(res, err, time.Since(began))
		}
	})
}

func TestGateQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(time.Hour)
		p := &platform{}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable, outbox.WithGate(func(outbox.Kind) (bool, time.Time) { return !time.Now().Before(at), at }))
		defer b.Close()
		_, err := b.Do(t.Context(), item("r1"))
		if !errors.Is(err, outbox.ErrQueued) || len(p.sent) != 0 {
			t.Fatalf("%v, sent %d", err, len(p.sent))
		}
		began := time.Now()
		var closed int
		if err := b.Drain(t.Context(), func(p outbox.Progress) { closed = max(closed, len(p.Closed)) }); err != nil {
			t.Fatal(err)
		}
		if p.count("r1") != 1 || time.Since(began) > time.Hour+time.Minute || closed != 1 {
			t.Fatalf("%d effects after %v, closed %d", p.count("r1"), time.Since(began), closed)
		}
	})
}

// T06 of dossier 06 B.6: the login is over; the work is kept, nothing is parked, nothing lost.
func TestT06NoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{}
		for range 500 {
			p.next = append(p.next, "denied")
		}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		id := put(t, b, item("r1"))
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := b.Drain(ctx, nil); err != nil {
			t.Fatal(err)
		}
		v, err := b.Show(t.Context(), id)
		if err != nil || v.State != outbox.Ready || v.Last == nil || v.Last.Notice != "D-AUTH-NONE" || v.Attempts < 100 || len(v.History) != 20 {
			t.Fatalf("%+v %v", v, err)
		}
		p.next = nil
		drain(t, b)
		wantState(t, b, id, outbox.Done, "")
	})
}

func TestPoisonIsParkedAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		poison := outbox.SendFunc(func(_ context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Answer, error) {
			if it.Ref == "poison" {
				return nil, &fault.Error{Op: "test", Kind: fault.Unavailable, Outcome: fault.Rejected}
			}
			return nil, nil
		})
		pol := outbox.Policy{Class: resilience.IdempotentWrite, Tries: 5}
		var events []string
		b := openBox(t, outboxtest.NewMemory(), poison, pol, outbox.WithEvents(func(e outbox.Event) { events = append(events, e.To.String()) }))
		defer b.Close()
		bad, good, other := put(t, b, item("poison")), put(t, b, item("good")), put(t, b, item("other", func(i *outbox.Item) { i.Key = "other" }))
		drain(t, b)
		wantState(t, b, bad, outbox.Parked, outbox.ReasonTries)
		wantState(t, b, good, outbox.Done, "")
		wantState(t, b, other, outbox.Done, "")
		if got := strings.Count(strings.Join(events, " "), "sending"); got != 7 {
			t.Fatalf("%d attempts: %v", got, events)
		}
		if err := b.Retry(t.Context(), bad); err != nil {
			t.Fatal(err)
		}
		drain(t, b)
		wantState(t, b, bad, outbox.Parked, outbox.ReasonTries)
		if err := b.Cancel(t.Context(), bad); err != nil {
			t.Fatal(err)
		}
		wantState(t, b, bad, outbox.Cancelled, "")
	})
}

// order is what was executed so far.
func (p *platform) order() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.effects, " ")
}

func (p *platform) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.effects)
}
