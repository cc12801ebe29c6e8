package outbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{latency: 500 * time.Millisecond}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable, outbox.WithPace(time.Minute, 0, 0))
		defer b.Close()
		for n := range 5 {
			put(t, b, item(fmt.Sprint("slow", n), func(i *outbox.Item) { i.Key = "" }))
		}
		began := time.Now()
		done := make(chan error)
		go func() { done <- b.Drain(t.Context(), nil) }()
		// A person's item does not wait for the pauses.
		time.Sleep(time.Minute + 3*time.Second)
		mid := time.Now()
		put(t, b, item("quick", func(i *outbox.Item) { i.Priority = outbox.Interactive }))
		synctest.Wait()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if first := p.sent[0].Sub(began); first > time.Minute+time.Second {
			t.Fatalf("the first was sent after %v", first)
		}
		var slow []time.Time
		for i, ref := range p.effects {
			if ref == "quick" {
				if d := p.sent[i].Sub(mid); d > 1100*time.Millisecond {
					t.Errorf("the interactive one waited %v", d)
				}
				continue
			}
			slow = append(slow, p.sent[i])
		}
		for i := 1; i < len(slow); i++ {
			if d := slow[i].Sub(slow[i-1]); d < 5500*time.Millisecond || d > 15501*time.Millisecond {
				t.Errorf("pause %d was %v, want 20 x 500 ms, half up or down, and 500 ms of sending", i, d)
			}
		}
		if len(slow) != 5 {
			t.Fatalf("effects %v", p.effects)
		}
	})
}

// TestDrainEndsForAllKinds: what is put when the worker of its kind has found nothing left must not keep the drain waiting
// for that worker.
func TestDrainEndsForAllKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{}
		looked := false
		var b *outbox.Box
		gate := func(k outbox.Kind) (bool, time.Time) {
			if k == "slow" && !looked {
				looked = true
				time.Sleep(time.Second) // the other worker has long looked
				put(t, b, item("late"))
			}
			return true, time.Time{}
		}
		b = openBox(t, outboxtest.NewMemory(), p, resolvable, outbox.WithPace(-1, 0, 0), outbox.Handle("slow", p, resolvable), outbox.WithGate(gate))
		defer b.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		if err := b.Drain(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the drain took %v", took)
		}
	})
}

func TestPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		for _, pr := range []outbox.Priority{outbox.Background, outbox.Normal, outbox.Interactive} {
			put(t, b, item(pr.String(), func(i *outbox.Item) { i.Key, i.Priority = "", pr }))
			time.Sleep(time.Second)
		}
		later := put(t, b, item("later", func(i *outbox.Item) { i.Key, i.After, i.Priority = "", time.Now().Add(time.Hour), outbox.Interactive }))
		began := time.Now()
		drain(t, b)
		if got := p.order(); got != "interactive normal background later" || time.Since(began).Round(time.Millisecond) != time.Hour {
			t.Fatalf("order %s in %v", got, time.Since(began))
		}
		wantState(t, b, later, outbox.Done, "")
	})
}

// A drain steps aside while people are served, but not for ever.
func TestDrainYieldsToPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{}
		hold := make(chan struct{})
		slow := outbox.SendFunc(func(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
			if it.Ref == "person" {
				<-hold
			}
			return p.Send(ctx, it, a)
		})
		b := openBox(t, outboxtest.NewMemory(), both{slow, p}, resolvable)
		defer b.Close()
		put(t, b, item("background", func(i *outbox.Item) { i.Key = "other" }))
		ended := make(chan error, 2)
		go func() {
			_, err := b.Do(t.Context(), item("person"))
			ended <- err
		}()
		synctest.Wait()
		go func() { ended <- b.Drain(t.Context(), nil) }()
		time.Sleep(10 * time.Second)
		if p.total() != 0 {
			t.Fatal("the drain did not step aside")
		}
		time.Sleep(30 * time.Second)
		if got := p.order(); got != "background" {
			t.Fatalf("the drain stepped aside for ever: %s", got)
		}
		close(hold)
		for range 2 {
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestGracefulStop(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration // until the answer, after the stop
		took  time.Duration
		state outbox.State
	}{
		{"the answer comes", 3 * time.Second, 3 * time.Second, outbox.Done},
		{"the answer does not come", time.Hour, outbox.DefaultGrace, outbox.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := make(chan struct{})
				h := outbox.SendFunc(func(ctx context.Context, _ outbox.Item, _ outbox.Attempt) (outbox.Answer, error) {
					select {
					case <-answer:
						return nil, nil
					case <-ctx.Done():
						return nil, &fault.Error{Kind: fault.Canceled, Outcome: fault.Unknown, Err: ctx.Err()}
					}
				})
				store := outboxtest.NewMemory()
				b := openBox(t, store, both{h, &platform{}}, resolvable)
				id, next := put(t, b, item("r1")), put(t, b, item("r2"))
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- b.Run(ctx) }()
				synctest.Wait()
				timer := time.AfterFunc(c.after, func() { close(answer) })
				began := time.Now()
				cancel()
				if err := <-ended; err != nil || time.Since(began) != c.took {
					t.Fatalf("%v after %v", err, time.Since(began))
				}
				timer.Stop()
				wantState(t, b, id, c.state, "")
				wantState(t, b, next, outbox.Prepared, "")
				if c.state == outbox.Done { // the line was given back
					close2(t, b, next)
				}
				b.Close()
			})
		})
	}
}

func close2(t *testing.T, b *outbox.Box, id outbox.ID) {
	t.Helper()
	drain(t, b)
	wantState(t, b, id, outbox.Done, "")
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{next: []string{"done", "reject", "unsendable", "done"}}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		for n := range 4 {
			put(t, b, item(fmt.Sprint(n)))
		}
		put(t, b, item("soon over", func(i *outbox.Item) {
			i.Expiry, i.After = outbox.At(time.Now().Add(time.Hour)), time.Now().Add(2*time.Hour)
		}))
		var last outbox.Progress
		calls := 0
		if err := b.Drain(t.Context(), func(p outbox.Progress) {
			calls++
			if p.Total < last.Total || p.Done < last.Done || p.Open > p.Total {
				t.Errorf("%+v after %+v", p, last)
			}
			last = p
		}); err != nil {
			t.Fatal(err)
		}
		if last.Total != 5 || last.Open != 0 || last.Done != 2 || last.Rejected != 1 || last.Parked != 1 || last.Expired != 1 || calls < 6 {
			t.Fatalf("%+v in %d calls", last, calls)
		}
	})
}

// Kinds do not wait for each other (BCP-09), and items of an unknown kind stay.
func TestKindsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		p := &platform{}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable, outbox.Handle("stuck", outbox.SendFunc(func(ctx context.Context, _ outbox.Item, _ outbox.Attempt) (outbox.Answer, error) {
			<-stuck
			return nil, nil
		}), outbox.Policy{Class: resilience.IdempotentWrite}))
		defer b.Close()
		put(t, b, outbox.Item{Kind: "stuck"})
		alien := put(t, b, outbox.Item{Kind: "unheard-of"})
		for n := range 10 {
			put(t, b, item(fmt.Sprint(n)))
		}
		ended := make(chan error)
		go func() { ended <- b.Drain(t.Context(), nil) }()
		synctest.Wait()
		if p.total() != 10 {
			t.Fatalf("%d effects while another kind is stuck", p.total())
		}
		close(stuck)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		wantState(t, b, alien, outbox.Prepared, "")
		if _, err := b.Do(t.Context(), outbox.Item{Kind: "unheard-of", Ref: "x"}); !errors.Is(err, outbox.ErrInvalid) {
			t.Fatalf("%v", err)
		}
	})
}

// Three workers on one store while one item in ten loses its answer: each effect once, in order.
func TestManyWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{}
		for n := range 400 {
			p.next = append(p.next, map[bool]string{true: "lost", false: "done"}[n%10 == 3])
		}
		store := outboxtest.NewMemory()
		var boxes []*outbox.Box
		for range 3 {
			boxes = append(boxes, openBox(t, store, p, resolvable))
		}
		for n := range 60 {
			put(t, boxes[n%3], item(fmt.Sprintf("%d-%03d", n%7, n), func(i *outbox.Item) { i.Key = fmt.Sprint(n % 7) }))
		}
		var wg sync.WaitGroup
		for _, b := range boxes {
			wg.Go(func() { drain(t, b) })
		}
		wg.Wait()
		last := map[string]string{}
		for _, ref := range p.effects {
			if k := ref[:1]; last[k] >= ref {
				t.Errorf("%s after %s", ref, last[k])
			} else {
				last[k] = ref
			}
		}
		if p.total() != 60 {
			t.Fatalf("%d effects", p.total())
		}
		for _, b := range boxes {
			b.Close()
		}
	})
}

// A recovery with many clients (dossier 07 section 1; figures 8 and 9 of dossier 08): 500 clients of 20
// items, a service of 125 per second with an interactive load of 50 per second.
func TestDrainOfManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, each, rate, base = 500, 20, 125, 50.0
		srv := &server{rate: rate}
		h := outbox.SendFunc(func(ctx context.Context, _ outbox.Item, _ outbox.Attempt) (outbox.Answer, error) {
			return nil, srv.serve(ctx, 10*time.Second)
		})
		began := time.Now()
		var wg sync.WaitGroup
		for range clients {
			b, err := outbox.Open(t.Context(), outboxtest.NewMemory(), outbox.NewKeys(testKey('a')), outbox.Handle("k", h, outbox.Policy{Class: resilience.IdempotentWrite}))
			if err != nil {
				t.Fatal(err)
			}
			for range each {
				put(t, b, outbox.Item{Kind: "k"})
			}
			wg.Go(func() { drain(t, b); b.Close() })
		}
		stop := make(chan struct{})
		var people []time.Duration
		var mu sync.Mutex
		var crowd sync.WaitGroup
		crowd.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rand.ExpFloat64() / base * float64(time.Second))):
				}
				crowd.Go(func() {
					at := time.Now()
					err := srv.serve(t.Context(), 2*time.Second)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						people = append(people, time.Hour)
						return
					}
					people = append(people, time.Since(at))
				})
			}
		})
		wg.Wait()
		took := time.Since(began)
		close(stop)
		crowd.Wait()
		ideal := clients * each * time.Second / 75 // what the people leave of the rate
		slices.Sort(people)
		p95 := people[len(people)*95/100]
		failed := 0
		for _, d := range people {
			if d == time.Hour {
				failed++
			}
		}
		t.Logf("efficiency %.2f, peak %.2f, people %d, failed %d, p95 %v", float64(ideal)/float64(took), float64(srv.peak())/rate, len(people), failed, p95)
		if eff := float64(ideal) / float64(took); eff < 0.8 {
			t.Errorf("efficiency %.2f", eff)
		}
		if failed*100 > len(people) || p95 > time.Second || float64(srv.peak()) > 2*rate {
			t.Errorf("%d of %d failed, p95 %v, peak %.1f", failed, len(people), p95, float64(srv.peak())/rate)
		}
	})
}

// server serves rate requests per second, in the order of their arrival.
type server struct {
	mu   sync.Mutex
	rate float64
	free time.Time
	came []time.Time
}

func (s *server) serve(ctx context.Context, limit time.Duration) error {
	s.mu.Lock()
	now := time.Now()
	s.came = append(s.came, now)
	if s.free.Before(now) {
		s.free = now
	}
	s.free = s.free.Add(time.Duration(float64(time.Second) / s.rate))
	wait := s.free.Sub(now)
	s.mu.Unlock()
	t := time.NewTimer(min(wait, limit))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if wait > limit {
		return &fault.Error{Kind: fault.Timeout, Outcome: fault.Unknown}
	}
	return nil
}

// peak is the largest number of arrivals in one second.
func (s *server) peak() (n int) {
	for i := range s.came {
		j := i
		for j < len(s.came) && s.came[j].Sub(s.came[i]) < time.Second {
			j++
		}
		n = max(n, j-i)
	}
	return n
}

func TestPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{next: []string{"reject", "done"}}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		rejected, done := put(t, b, item("r1")), put(t, b, item("r2"))
		drain(t, b)
		waiting := put(t, b, item("r3"))
		held := put(t, b, item("r4", func(i *outbox.Item) { i.Held = true }))
		ctx := t.Context()

		for _, c := range []struct {
			what string
			err  error
			want error
		}{
			{"retry done", b.Retry(ctx, done), outbox.ErrState},
			{"cancel done", b.Cancel(ctx, done), outbox.ErrState},
			{"decide done", b.Decide(ctx, done, true), outbox.ErrState},
			{"decide waiting", b.Decide(ctx, waiting, true), outbox.ErrState},
			{"release waiting", b.Release(ctx, waiting), outbox.ErrState},
			{"retry held", b.Retry(ctx, held), outbox.ErrState},
			{"show nothing", func() error { _, err := b.Show(ctx, outbox.ID{1}); return err }(), outbox.ErrNotFound},
			{"retry rejected", b.Retry(ctx, rejected), nil},
			{"cancel waiting", b.Cancel(ctx, waiting), nil},
			{"cancel held", b.Cancel(ctx, held), nil},
		} {
			if !errors.Is(c.err, c.want) {
				t.Errorf("%s: %v", c.what, c.err)
			}
		}
		drain(t, b)
		wantState(t, b, rejected, outbox.Done, "")

		var out bytes.Buffer
		if err := b.Export(ctx, &out, outbox.Filter{Kind: "k", State: outbox.Done}); err != nil {
			t.Fatal(err)
		}
		lines := 0
		for line := range bytes.Lines(out.Bytes()) {
			var got struct {
				ID, State, Key, Ref string
				Answer              []byte
			}
			if err := json.Unmarshal(line, &got); err != nil || got.State != "done" || got.Key != "key" || string(got.Answer) != "ok "+got.Ref {
				t.Fatalf("%s: %v", line, err)
			}
			if id, err := outbox.ParseID(got.ID); err != nil || (id != done && id != rejected) {
				t.Fatalf("id %s: %v", got.ID, err)
			}
			lines++
		}
		if lines != 2 {
			t.Fatalf("%d lines", lines)
		}
		seen := map[outbox.State]int{}
		for v, err := range b.List(ctx, outbox.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			seen[v.State]++
			if text, _ := json.Marshal(v); bytes.Contains(text, []byte("payload")) || bytes.Contains(text, []byte("7912")) {
				t.Fatalf("a view shows too much: %s", text)
			}
		}
		if seen[outbox.Done] != 2 || seen[outbox.Cancelled] != 2 {
			t.Fatalf("%v", seen)
		}
		if it, err := b.Reveal(ctx, done); err != nil || it.Ref != "r2" || len(it.Payload) != 0 {
			t.Fatal("the payload of a done item is still there", err)
		}
		if n, err := b.Forget(ctx, time.Now().Add(time.Second)); err != nil || n != 4 {
			t.Fatalf("forgot %d: %v", n, err)
		}
	})
}

func TestLedgerIsKeptForAMonth(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	synctest.Test(t, func(t *testing.T) {
		p := &platform{}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable)
		defer b.Close()
		id := put(t, b, item("r1"))
		for _, c := range []struct {
			d    time.Duration
			gone bool
		}{{29 * 24 * time.Hour, false}, {2 * 24 * time.Hour, true}} {
			ctx, cancel := context.WithTimeout(t.Context(), c.d)
			if err := b.Run(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
			if _, err := b.Show(t.Context(), id); errors.Is(err, outbox.ErrNotFound) != c.gone {
				t.Fatalf("after %v: %v", c.d, err)
			}
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	h := &platform{}
	send := outbox.SendFunc(h.Send)
	for name, opts := range map[string][]outbox.Option{
		"no class":    {outbox.Handle("k", h, outbox.Policy{})},
		"no resolver": {outbox.Handle("k", send, resolvable)},
		"bad kind":    {outbox.Handle("K!", h, resolvable)},
		"twice":       {outbox.Handle("k", h, resolvable), outbox.Handle("k", h, resolvable)},
		"lease":       {outbox.WithLease(-1)},
	} {
		if _, err := outbox.Open(t.Context(), outboxtest.NewMemory(), outbox.NewKeys(testKey('a')), opts...); !errors.Is(err, outbox.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := outbox.Open(t.Context(), outboxtest.NewMemory(), outbox.Keys{}); !errors.Is(err, outbox.ErrInvalid) {
		t.Errorf("no key: %v", err)
	}
	if _, err := outbox.KeyFromBytes(make([]byte, 31)); !errors.Is(err, outbox.ErrInvalid) {
		t.Errorf("short key: %v", err)
	}
	b := openBox(t, outboxtest.NewMemory(), h, resolvable)
	defer b.Close()
	for name, it := range map[string]outbox.Item{
		"kind": {Kind: "a b"}, "key": {Kind: "k", Key: strings.Repeat("x", 513)}, "ref": {Kind: "k", Ref: strings.Repeat("x", 513)},
		"priority": {Kind: "k", Priority: 3}, "payload": {Kind: "k", Payload: make([]byte, outbox.MaxPayload+1)},
	} {
		if _, err := b.Put(t.Context(), it); !errors.Is(err, outbox.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "x", strings.Repeat("u", 26), strings.Repeat("z", 26), strings.Repeat("0", 27)} {
		if _, err := outbox.ParseID(bad); !errors.Is(err, outbox.ErrInvalid) {
			t.Errorf("id %q: %v", bad, err)
		}
	}
}

// A drain steps aside for people who are served elsewhere, but not for ever.
func TestStepsAsideForPeopleElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Bool
		busy.Store(true)
		p := &platform{}
		b := openBox(t, outboxtest.NewMemory(), p, resolvable, outbox.WithPace(-1, -1, 0), outbox.WithPeople(busy.Load))
		defer b.Close()
		put(t, b, item("r1"))
		put(t, b, item("r2"))
		put(t, b, item("r3"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx) }()
		time.Sleep(29 * time.Second)
		if n := p.total(); n != 0 {
			t.Errorf("%d items were sent while people were served", n)
		}
		time.Sleep(4 * time.Second)
		if n := p.total(); n != 1 {
			t.Errorf("%d items were sent after half a minute", n)
		}
		busy.Store(false)
		time.Sleep(2 * time.Second)
		if n := p.total(); n != 3 {
			t.Errorf("%d items were sent when the people were gone", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
