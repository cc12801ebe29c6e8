package outbox_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// mortal is the store of a process that dies: from one moment on nothing it does has an effect
// and everything fails.
type mortal struct {
	outbox.Store
	mu     sync.Mutex
	left   int // writes until death; negative = not armed
	before bool
	dead   bool
}

// pass runs one write, or dies before or after it.
func (m *mortal) pass(f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return outbox.ErrClosed
	}
	m.left--
	if m.left == 0 {
		m.dead = true
		if !m.before {
			_ = f()
		}
		return outbox.ErrClosed
	}
	return f()
}

func (m *mortal) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (in outbox.Inserted, err error) {
	err = m.pass(func() error { in, err = m.Store.Insert(ctx, e, c); return err })
	return in, err
}

func (m *mortal) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	return m.pass(func() error { return m.Store.Swap(ctx, e, g) })
}

func (m *mortal) Claim(ctx context.Context, c outbox.Claim) (got outbox.Claimed, err error) {
	err = m.pass(func() error { got, err = m.Store.Claim(ctx, c); return err })
	return got, err
}

func (m *mortal) Release(ctx context.Context, l outbox.Lease) error {
	return m.pass(func() error { return m.Store.Release(ctx, l) })
}

func (m *mortal) Close() error { return nil }

// house is a pharmacy with one store, a process that dies now and then, and a service.
type house struct {
	t     *testing.T
	disk  *outboxtest.Memory
	proc  *mortal
	box   *outbox.Box
	p     *platform
	n     int
	open  bool              // the gate
	told  map[string]bool   // accepted, by reference
	seen  map[string]string // answers that a caller saw
	key   map[string]string // key of each reference
	moves []string          // moves that the machine does not have
	ids   map[string]outbox.ID
}

func (h *house) start() {
	h.proc = &mortal{Store: h.disk, left: -1}
	h.box = openBox(h.t, h.proc, h.p, resolvable,
		outbox.WithGate(func(outbox.Kind) (bool, time.Time) { return h.open, time.Time{} }),
		outbox.WithEvents(func(e outbox.Event) {
			if !e.From.CanBecome(e.To) {
				h.moves = append(h.moves, e.From.String()+" to "+e.To.String())
			}
		}))
}

func (h *house) item(rt *rapid.T) outbox.Item {
	h.n++
	ref := fmt.Sprintf("r%03d", h.n)
	it := item(ref, func(i *outbox.Item) { i.Key = rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key") })
	h.key[ref] = it.Key
	h.p.mu.Lock()
	h.p.next = append(h.p.next, rapid.SampledFrom([]string{"done", "done", "lost", "gone", "late", "unsent", "reject", "busy", "panic", "denied", "unsendable"}).Draw(rt, "fate"))
	h.p.mu.Unlock()
	return it
}

// hear notes what a caller was told; a caller who was told nothing asks again after the restart.
func (h *house) hear(it outbox.Item, id outbox.ID, res *outbox.Result, err error) {
	switch {
	case err == nil && res != nil:
		h.told[it.Ref], h.ids[it.Ref], h.seen[it.Ref] = true, res.ID, string(res.Answer)
	case err == nil:
		h.told[it.Ref], h.ids[it.Ref] = true, id
	case errors.Is(err, outbox.ErrQueued), errors.Is(err, outbox.ErrUnknown), errors.Is(err, outbox.ErrState):
		h.told[it.Ref] = true
	}
}

func (h *house) within(d time.Duration, f func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(h.t.Context(), d)
	defer cancel()
	f(ctx)
}

func (h *house) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"put": func(rt *rapid.T) {
			it := h.item(rt)
			if rapid.IntRange(0, 5).Draw(rt, "limit") == 0 {
				it.Expiry = outbox.Days(1)
			}
			id, err := h.box.Put(h.t.Context(), it)
			h.hear(it, id, nil, err)
		},
		"do": func(rt *rapid.T) {
			it := h.item(rt)
			h.within(time.Duration(rapid.IntRange(1, 20).Draw(rt, "seconds"))*time.Second, func(ctx context.Context) {
				res, err := h.box.Do(ctx, it)
				h.hear(it, outbox.ID{}, res, err)
			})
		},
		"work": func(rt *rapid.T) {
			d := time.Duration(rapid.IntRange(1, 1000).Draw(rt, "seconds")) * time.Second
			h.within(d, func(ctx context.Context) { _ = h.box.Run(ctx) })
		},
		"wait": func(rt *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 100_000).Draw(rt, "seconds")) * time.Second)
		},
		"gate": func(rt *rapid.T) { h.open = rapid.Bool().Draw(rt, "open") },
		"blind": func(rt *rapid.T) {
			h.p.mu.Lock()
			defer h.p.mu.Unlock()
			h.p.blind = rapid.Bool().Draw(rt, "blind")
		},
		"die": func(rt *rapid.T) {
			h.proc.mu.Lock()
			h.proc.left, h.proc.before = rapid.IntRange(1, 12).Draw(rt, "writes"), rapid.Bool().Draw(rt, "before")
			h.proc.mu.Unlock()
		},
		"restart": func(*rapid.T) { h.start() },
		"person": func(rt *rapid.T) {
			for v, err := range h.box.List(h.t.Context(), outbox.Filter{}) {
				if err != nil || v.State == outbox.Done {
					continue
				}
				switch rapid.IntRange(0, 6).Draw(rt, "what") {
				case 0:
					_ = h.box.Retry(h.t.Context(), v.ID)
				case 1:
					_ = h.box.Cancel(h.t.Context(), v.ID)
				case 2:
					if v.Pending { // the person looks at the service, when nothing can be under way any more
						time.Sleep(15 * time.Minute)
						it, err := h.box.Reveal(h.t.Context(), v.ID)
						if err == nil {
							_ = h.box.Decide(h.t.Context(), v.ID, h.p.count(it.Ref) > 0)
						}
					}
				}
			}
		},
		"": h.invariants,
	}
}

func (h *house) invariants(rt *rapid.T) {
	if len(h.moves) > 0 {
		rt.Fatalf("moves outside the machine: %v", h.moves)
	}
	last := map[string]string{}
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	for i, ref := range h.p.effects {
		if slices.Contains(h.p.effects[:i], ref) {
			rt.Fatalf("%s was executed twice: %v", ref, h.p.effects)
		}
		last[h.key[ref]] = ref
	}
}

// finish lets the house come to rest in peace, and compares.
func (h *house) finish(rt *rapid.T) {
	time.Sleep(time.Hour)
	h.open, h.p.blind = true, false
	h.p.mu.Lock()
	h.p.next = nil
	h.p.mu.Unlock()
	h.start()
	if err := h.box.Drain(h.t.Context(), nil); err != nil {
		rt.Fatal(err)
	}
	h.invariants(rt)
	left := map[string]bool{}
	for ref := range h.told {
		left[ref] = true
	}
	for v, err := range h.box.List(h.t.Context(), outbox.Filter{}) {
		if err != nil {
			rt.Fatal(err)
		}
		it, err := h.box.Reveal(h.t.Context(), v.ID)
		if err != nil {
			rt.Fatal(err)
		}
		delete(left, it.Ref)
		n := h.p.count(it.Ref)
		switch v.State {
		case outbox.Done:
			if n != 1 {
				rt.Fatalf("%s is done with %d effects", it.Ref, n)
			}
		case outbox.Rejected, outbox.Expired, outbox.Cancelled:
			if n != 0 {
				rt.Fatalf("%s is %s with %d effects", it.Ref, v.State, n)
			}
		case outbox.Parked:
			if n != 0 && !v.Pending {
				rt.Fatalf("%s is parked for %s with %d effects", it.Ref, v.Reason, n)
			}
		default:
			rt.Fatalf("%s is still %s", it.Ref, v.State)
		}
		if want, ok := h.seen[it.Ref]; ok {
			if res, err := h.box.Result(h.t.Context(), v.ID); err != nil || string(res.Answer) != want {
				rt.Fatalf("%s: a caller saw %q, now it is %v %v", it.Ref, want, res, err)
			}
		}
	}
	if len(left) > 0 {
		rt.Fatalf("lost: %v", left)
	}
}

// TestRandomLives lets 100 houses live 100 steps each.
func TestRandomLives(t *testing.T) {
	if testing.Short() {
		t.Skip("only computes: run without -short")
	}
	for name, value := range map[string]string{"rapid.checks": "100", "rapid.steps": "100"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() == f.DefValue {
			if err := flag.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	steps := 0
	rapid.Check(t, func(rt *rapid.T) {
		// rapid speaks by panics: those pass from the bubble to where it waits for them.
		var said any
		synctest.Test(t, func(t *testing.T) {
			defer func() { said = recover() }()
			live(t, rt, &steps)
		})
		if said != nil {
			panic(said)
		}
	})
	t.Logf("%d steps", steps)
}

func live(t *testing.T, rt *rapid.T, steps *int) {
	h := &house{
		t: t, disk: outboxtest.NewMemory(), p: &platform{late: 10 * time.Minute, visible: 50 * time.Second}, open: true,
		told: map[string]bool{}, seen: map[string]string{}, key: map[string]string{}, ids: map[string]outbox.ID{},
	}
	h.start()
	acts := h.actions()
	for name, f := range acts {
		if name != "" {
			acts[name] = func(rt *rapid.T) { *steps++; f(rt) }
		}
	}
	rt.Repeat(acts)
	h.finish(rt)
}

func TestPrintsNothing(t *testing.T) {
	const secret = "79121231234"
	it := outbox.Item{Kind: "k", Key: secret, Ref: secret, Payload: []byte(secret)}
	k := testKey('7')
	for _, v := range []any{it, &it, k, &k, outbox.NewKeys(k), &outbox.QueuedError{Err: errors.New(secret)}, &outbox.UnknownError{Err: &fault.Error{Message: secret}}, &outbox.StateError{Err: errors.New(secret)}} {
		for _, verb := range []string{"%v", "%+v", "%s", "%q"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, secret) || strings.Contains(got, "55 55 55") {
				t.Errorf("%T prints %s", v, got)
			}
		}
	}
}
