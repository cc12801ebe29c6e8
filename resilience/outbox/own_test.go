package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

// noted is a store that writes down its calls, and between two of which something happens.
type noted struct {
	outbox.Store
	calls    []string
	inserted func()
}

func (s *noted) note(call string) { s.calls = append(s.calls, call) }

func (s *noted) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	s.note("insert")
	in, err := s.Store.Insert(ctx, e, c)
	if f := s.inserted; f != nil {
		s.inserted = nil
		f()
	}
	return in, err
}

func (s *noted) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	s.note("headers")
	return s.Store.Headers(ctx, ids)
}

func (s *noted) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	s.note("load")
	return s.Store.Load(ctx, id)
}

func (s *noted) Claim(ctx context.Context, c outbox.Claim) (outbox.Claimed, error) {
	s.note("claim")
	return s.Store.Claim(ctx, c)
}

func (s *noted) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	s.note("swap")
	return s.Store.Swap(ctx, e, g)
}

func (s *noted) Release(ctx context.Context, l outbox.Lease) error {
	s.note("release")
	return s.Store.Release(ctx, l)
}

// What Do has just stored it asks no store for: intent, attempt, answer, and the line is given back with it. When something came
// between, it asks.
func TestCallsOfADo(t *testing.T) {
	const half = outbox.DefaultLease / 2 // a lease of which less is left is extended first
	for _, c := range []struct {
		name     string
		next     string
		inserted func(b *outbox.Box, id outbox.ID) // happens between two calls
		want     []string
		err      error
		state    outbox.State
		effects  int
	}{
		{"done", "done", nil, []string{"insert", "swap", "swap"}, nil, outbox.Done, 1},
		{"refused", "reject", nil, []string{"insert", "swap", "swap"}, outbox.ErrState, outbox.Rejected, 0},
		{"cannot be made", "unsendable", nil, []string{"insert", "swap", "swap"}, outbox.ErrState, outbox.Parked, 0},
		{"no answer", "gone", func(*outbox.Box, outbox.ID) { time.Sleep(half - time.Second/2) }, []string{"insert", "swap", "swap", "claim", "headers", "release"}, outbox.ErrUnknown, outbox.Unknown, 0},
		{
			"cancelled before it was sent", "done", func(b *outbox.Box, id outbox.ID) { _ = b.Cancel(context.Background(), id) },
			[]string{"insert", "headers", "swap", "swap", "release", "claim", "headers", "release"},
			outbox.ErrState, outbox.Cancelled, 0,
		},
		{
			"taken up by a person before it was sent", "done", func(b *outbox.Box, id outbox.ID) { _ = b.Retry(context.Background(), id) },
			[]string{"insert", "headers", "swap", "swap", "release", "claim", "swap", "swap"},
			nil, outbox.Done, 1,
		},
		{
			"the store took its time", "done", func(*outbox.Box, outbox.ID) { time.Sleep(half + time.Second/2) },
			[]string{"insert", "claim", "swap", "swap"},
			nil, outbox.Done, 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &platform{next: []string{c.next}}
				store := &noted{Store: outboxtest.NewMemory()}
				b := openBox(t, store, p, resolvable)
				defer b.Close()
				id := b.ID("k", "r1")
				store.calls = nil
				if c.inserted != nil {
					store.inserted = func() { c.inserted(b, id) }
				}
				ctx, cancel := context.WithTimeout(t.Context(), half+time.Second)
				defer cancel()
				_, err := b.Do(ctx, item("r1"))
				if !errors.Is(err, c.err) {
					t.Errorf("error %v, want %v", err, c.err)
				}
				if !slices.Equal(store.calls, c.want) {
					t.Errorf("calls %v, want %v", store.calls, c.want)
				}
				if n := p.count("r1"); n != c.effects {
					t.Errorf("%d effects, want %d", n, c.effects)
				}
				if s := state(t, b, id); s != c.state {
					t.Errorf("%s, want %s", s, c.state)
				}
			})
		})
	}
}

// What comes between the intent and the answer is found by the revision or by the lease: the answer goes to what the store holds then.
func TestOvertakenWhileSending(t *testing.T) {
	ring := outbox.NewKeys(testKey('a'), testKey('b'))
	for _, c := range []struct {
		name    string
		between func(t *testing.T, disk *outboxtest.Memory, id outbox.ID, line outbox.Line)
		want    []string
		err     error
	}{
		{"nothing", nil, []string{"insert", "swap", "swap"}, nil},
		{"sealed anew", func(t *testing.T, disk *outboxtest.Memory, _ outbox.ID, _ outbox.Line) {
			other, err := outbox.Open(t.Context(), disk, outbox.NewKeys(testKey('b'), testKey('a')))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := other.Rotate(t.Context()); n != 1 || err != nil {
				t.Error(n, err)
			}
		}, []string{"insert", "swap", "swap", "headers", "swap"}, nil},
		{"its worker was taken for gone", func(t *testing.T, disk *outboxtest.Memory, _ outbox.ID, _ outbox.Line) {
			time.Sleep(time.Hour)
			other, err := outbox.Open(t.Context(), disk, ring, outbox.Handle("k", &platform{blind: true}, resolvable), outbox.WithPace(-1, -1, -1))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := other.Run(ctx); err != nil {
				t.Error(err)
			}
		}, []string{"insert", "swap", "swap", "headers", "swap", "headers", "swap"}, nil},
		{"another has the line", func(t *testing.T, disk *outboxtest.Memory, _ outbox.ID, line outbox.Line) {
			time.Sleep(time.Hour)
			if _, err := disk.Claim(t.Context(), outbox.Claim{Owner: "another", Now: time.Now(), For: time.Minute, Line: &line}); err != nil {
				t.Error(err)
			}
		}, []string{"insert", "swap", "swap", "headers", "swap"}, nil},
		{"removed", func(t *testing.T, disk *outboxtest.Memory, id outbox.ID, _ outbox.Line) {
			if err := disk.Remove(t.Context(), id, 0, ""); err != nil {
				t.Error(err)
			}
		}, []string{"insert", "swap", "swap", "headers", "release", "headers", "release"}, outbox.ErrNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := outboxtest.NewMemory()
				store := &noted{Store: disk}
				sent := 0
				h := outbox.SendFunc(func(_ context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
					sent++
					e, err := disk.Load(t.Context(), a.ID)
					if err != nil || e.State != outbox.Sending {
						t.Error(e.State, err)
					}
					if c.between != nil {
						c.between(t, disk, a.ID, e.Line)
					}
					return outbox.Answer("ok"), nil
				})
				idem := outbox.Policy{Class: resilience.IdempotentWrite}
				b, err := outbox.Open(t.Context(), store, ring, outbox.Handle("k", h, idem))
				if err != nil {
					t.Fatal(err)
				}
				defer b.Close()
				store.calls = nil
				res, err := b.Do(t.Context(), item("r1"))
				if !errors.Is(err, c.err) || c.err == nil && string(res.Answer) != "ok" {
					t.Fatalf("%v, %v", res, err)
				}
				if !slices.Equal(store.calls, c.want) || sent != 1 {
					t.Errorf("calls %v, want %v; sent %d times", store.calls, c.want, sent)
				}
				if c.err != nil {
					return
				}
				v, err := b.Show(t.Context(), res.ID)
				if err != nil || v.State != outbox.Done || v.Attempts != 1 || v.Doubled || len(v.History) != 1 || v.History[0].Outcome != fault.Done {
					t.Errorf("%+v %v", v, err)
				}
			})
		})
	}
}

// A handler gets of an item that was put just now what it would get from the disk, and what it does with it is its own.
func TestItemAsFromTheDisk(t *testing.T) {
	far := time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, it := range map[string]outbox.Item{
		"plain":                 {Key: "key", Ref: "ref", Payload: []byte("payload")},
		"signs":                 {Key: "<k&\u2028\x00>", Ref: "é\"\\", Payload: []byte("\xff\x00")},
		"no text":               {Key: "k\xff\xfe", Ref: "r\xc3", Payload: []byte("payload")},
		"nothing":               {Ref: "ref"},
		"empty":                 {Ref: "ref", Payload: []byte{}},
		"a limit":               {Ref: "ref", Expiry: outbox.Days(1), Payload: []byte("payload")},
		"a limit nobody stores": {Ref: "ref", Expiry: outbox.At(far), Payload: []byte("payload")},
	} {
		t.Run(name, func(t *testing.T) {
			seen := func(do bool) string {
				var got []string
				h := outbox.SendFunc(func(_ context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
					it.Priority = 0 // of a call that waits
					got = append(got, fmt.Sprintf("%q %q %q %v %v %v %v %v %v", it.Key, it.Ref, it.Payload, it.Payload == nil, it.Kind, it.Expiry, it.After, it.Held, a.N))
					clear(it.Payload)
					return nil, nil
				})
				path := dbPath(t) + fmt.Sprint(do)
				b := openBox(t, openBolt(t, path), h, outbox.Policy{Class: resilience.IdempotentWrite})
				defer b.Close()
				it := it
				it.Kind = "k"
				was := string(it.Payload)
				if do {
					_, err := b.Do(t.Context(), it)
					got = append(got, fmt.Sprint(err == nil))
				} else {
					id := put(t, b, it)
					drain(t, b)
					got = append(got, fmt.Sprint(state(t, b, id) == outbox.Done))
				}
				if string(it.Payload) != was {
					t.Error("the caller's payload was changed")
				}
				return fmt.Sprint(got)
			}
			if now, later := seen(true), seen(false); now != later {
				t.Errorf("at once %s, from the disk %s", now, later)
			}
		})
	}
}

// The next one of the line is free when an item is done, without another call.
func TestLineIsGivenBackWithTheAnswer(t *testing.T) {
	store := &noted{Store: outboxtest.NewMemory()}
	var b *outbox.Box
	b = openBox(t, store, outbox.SendFunc(func(ctx context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Answer, error) {
		if it.Ref == "r1" {
			put(t, b, item("r2"))
		}
		return nil, nil
	}), outbox.Policy{Class: resilience.IdempotentWrite})
	defer b.Close()
	store.calls = nil
	if _, err := b.Do(t.Context(), item("r1")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"insert", "swap", "insert", "swap"}; !slices.Equal(store.calls, want) {
		t.Errorf("calls %v, want %v", store.calls, want)
	}
	got, err := store.Store.Claim(t.Context(), outbox.Claim{Owner: "w", Now: time.Now(), For: time.Minute, Kinds: []outbox.Kind{"k"}})
	if err != nil || got.Head.ID != b.ID("k", "r2") {
		t.Errorf("%v %v", got.Head.ID, err)
	}
}
