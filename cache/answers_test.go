package cache_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
)

func key(t testing.TB, b byte) cache.Key {
	t.Helper()
	k, err := cache.KeyFromBytes(bytes.Repeat([]byte{b}, cache.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func openAnswers(t testing.TB, path string, opts ...cache.AnswersOption) *cache.Answers {
	t.Helper()
	a, err := cache.OpenAnswers(t.Context(), path, key(t, 1), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func answer(value string, life time.Duration) cache.Stored {
	now := time.Now()
	return cache.Stored{
		Value: []byte(value), At: now.Add(-time.Minute), Until: now.Add(life),
		Service: "uddi:genins", Endpoint: "https://services.example.test/genins", Alternate: true,
	}
}

// same compares answers; times lose their monotonic part on the way.
func sameAnswer(a, b cache.Stored) bool {
	return bytes.Equal(a.Value, b.Value) && a.At.Equal(b.At) && a.Until.Equal(b.Until) &&
		a.Service == b.Service && a.Endpoint == b.Endpoint && a.Alternate == b.Alternate
}

func TestAnswersSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.db")
	want := answer("insured", time.Hour)
	a := openAnswers(t, path)
	id, other := a.ID("pharmacy 1", "patient 1"), a.ID("pharmacy 1", "patient 2")
	if err := a.Put(t.Context(), id, want); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Get(t.Context(), id); err != nil || !sameAnswer(got, want) {
		t.Fatalf("from memory: %+v, %v", got, err)
	}
	if _, err := a.Get(t.Context(), other); !errors.Is(err, cache.ErrNotFound) {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Get": second(a.Get(t.Context(), id)), "Put": a.Put(t.Context(), id, want), "Remove": a.Remove(t.Context(), id),
	} {
		if !errors.Is(err, cache.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	b := openAnswers(t, path)
	for range 2 { // from disk, then from memory
		if got, err := b.Get(t.Context(), b.ID("pharmacy 1", "patient 1")); err != nil || !sameAnswer(got, want) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if err := b.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), id); !errors.Is(err, cache.ErrNotFound) {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestIDs(t *testing.T) {
	a, err := cache.NewAnswers(t.Context(), nil, key(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	b, err := cache.NewAnswers(t.Context(), nil, key(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	defer a.Close()
	seen := map[cache.AnswerID]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"ab", ""}, {"", "ab"}, {"b", "a"}} {
		for name, id := range map[string]cache.AnswerID{"a": a.ID(parts...), "b": b.ID(parts...)} {
			what := name + strings.Join(parts, "|")
			if old, ok := seen[id]; ok {
				t.Errorf("%q and %q have one id", old, what)
			}
			seen[id] = what
		}
	}
	if _, err := cache.NewAnswers(t.Context(), nil, cache.Key{}); !errors.Is(err, cache.ErrUnsuitable) {
		t.Error(err)
	}
}

// TestValidity: nothing is returned beyond its validity, from memory or disk, and the disk is purged.
func TestValidity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "answers.db")
		a := openAnswers(t, path)
		id, large := a.ID("x"), a.ID("large")
		want := answer("x", 30*time.Minute)
		big := want
		big.Value = bytes.Repeat([]byte("y"), cache.MaxInMemory+1)
		if err := a.Put(t.Context(), id, want); err != nil {
			t.Fatal(err)
		}
		if err := a.Put(t.Context(), large, big); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(want.Until) - 1)
		for _, id := range []cache.AnswerID{id, large} {
			if _, err := a.Get(t.Context(), id); err != nil {
				t.Error("the last moment:", err)
			}
		}
		time.Sleep(time.Nanosecond)
		for _, id := range []cache.AnswerID{id, large} {
			if _, err := a.Get(t.Context(), id); !errors.Is(err, cache.ErrNotFound) {
				t.Error("after its end:", err)
			}
		}
		time.Sleep(cache.DefaultPurge)
		synctest.Wait()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, path); n != 1 { // the head
			t.Errorf("%d records are left", n)
		}
		s, err := cache.OpenRecords(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Save(t.Context(), id, []byte("old"), time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		b := openAnswers(t, path, cache.WithPurge(-1))
		synctest.Wait()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, path); n != 1 {
			t.Errorf("opening left %d records", n)
		}
	})
}

func count(t *testing.T, path string) (n int) {
	t.Helper()
	s, err := cache.OpenRecords(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Each(t.Context(), func([32]byte, []byte) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// record reads or changes what is on disk.
func onDisk(t *testing.T, path string, f func(*cache.Records)) {
	t.Helper()
	s, err := cache.OpenRecords(path)
	if err != nil {
		t.Fatal(err)
	}
	f(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestForgedRecords: a record is good only where, and for as long as, it was written.
func TestForgedRecords(t *testing.T) {
	for name, forge := range map[string]func(record []byte){
		"copied to another id": func([]byte) {},
		"a longer life":        func(b []byte) { b[9+7]++ },
		"changed":              func(b []byte) { b[len(b)-1] ^= 1 },
		"of an older version":  func(b []byte) { b[0] = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "answers.db")
			a := openAnswers(t, path)
			mine, theirs := a.ID("pharmacy A", "patient"), a.ID("pharmacy B", "patient")
			target := mine
			if name == "copied to another id" {
				target = theirs
			}
			if err := a.Put(t.Context(), mine, answer("insured", time.Hour)); err != nil {
				t.Fatal(err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			onDisk(t, path, func(s *cache.Records) {
				b, err := s.Load(t.Context(), mine)
				if err != nil {
					t.Fatal(err)
				}
				forge(b)
				if err := s.Save(t.Context(), target, b, time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
			})
			before := count(t, path)
			var events []cache.AnswersEvent
			c := openAnswers(t, path, cache.OnAnswers(func(e cache.AnswersEvent) { events = append(events, e) }))
			if got, err := c.Get(t.Context(), target); !errors.Is(err, cache.ErrCorrupt) || got.Value != nil {
				t.Errorf("%v, %v", got, err)
			}
			if len(events) != 1 || events[0].Kind != cache.Damaged {
				t.Errorf("events %v", events)
			}
			if _, err := c.Get(t.Context(), target); !errors.Is(err, cache.ErrNotFound) {
				t.Error("the second time:", err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if after := count(t, path); after != before {
				t.Errorf("%d records before, %d after: it was not set aside", before, after)
			}
		})
	}
}

// TestForeignRecord: what another key or a newer program wrote is left as it is.
func TestForeignRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.db")
	a := openAnswers(t, path)
	id, newer := a.ID("x"), a.ID("newer")
	for _, id := range []cache.AnswerID{id, newer} {
		if err := a.Put(t.Context(), id, answer("x", time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	var want [2][]byte
	onDisk(t, path, func(s *cache.Records) {
		for i, id := range []cache.AnswerID{id, newer} {
			b, err := s.Load(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			b[1-i] ^= 0x7f // the key id; the version
			if err := s.Save(t.Context(), id, b, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			want[i] = b
		}
	})
	c := openAnswers(t, path)
	for id, want := range map[cache.AnswerID]error{id: cache.ErrKey, newer: cache.ErrVersion} {
		if _, err := c.Get(t.Context(), id); !errors.Is(err, want) {
			t.Error(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	onDisk(t, path, func(s *cache.Records) {
		for i, id := range []cache.AnswerID{id, newer} {
			if b, err := s.Load(t.Context(), id); err != nil || !bytes.Equal(b, want[i]) {
				t.Error("it was changed", err)
			}
		}
	})
}

func TestInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "answers.db")
		a := openAnswers(t, path)
		id := a.ID("x")
		if err := a.Put(t.Context(), id, answer("of the first", 24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := cache.OpenAnswers(t.Context(), path, key(t, 1)); !errors.Is(err, cache.ErrInUse) {
			t.Error(err)
		}
		var kinds []cache.AnswersEventKind
		b := openAnswers(t, path, cache.WithTakeOver(0), cache.OnAnswers(func(e cache.AnswersEvent) { kinds = append(kinds, e.Kind) }))
		if _, err := b.Get(t.Context(), id); !errors.Is(err, cache.ErrNotFound) {
			t.Error(err)
		}
		own := b.ID("y")
		if err := b.Put(t.Context(), own, answer("in memory", 24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), own); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Minute)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(cache.DefaultTakeOver + time.Second)
		synctest.Wait()
		if got, err := b.Get(t.Context(), id); err != nil || string(got.Value) != "of the first" {
			t.Errorf("after taking over: %q, %v", got.Value, err)
		}
		if fmt.Sprint(kinds) != "[in use taken over]" {
			t.Error(kinds)
		}
	})
}

// TestFull: what is stored stays, what does not fit is told, and the answer is still there in memory.
func TestFull(t *testing.T) {
	var mu sync.Mutex
	var events []cache.AnswersEvent
	a := openAnswers(t, filepath.Join(t.TempDir(), "answers.db"), cache.WithRecords(cache.WithMaxSize(1<<18)),
		cache.OnAnswers(func(e cache.AnswersEvent) { mu.Lock(); events = append(events, e); mu.Unlock() }))
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = a.Put(t.Context(), a.ID(fmt.Sprint(n)), answer(strings.Repeat("x", 20_000), time.Hour))
	}
	if !errors.Is(err, cache.ErrFull) || n < 2 {
		t.Fatalf("after %d: %v", n, err)
	}
	last := a.ID("last")
	a.Keep(last, answer(strings.Repeat("y", 20_000), time.Hour))
	if err := a.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(events) != 1 || events[0].Kind != cache.NotStored || !errors.Is(events[0].Err, cache.ErrFull) {
		t.Errorf("events %v", events)
	}
	for _, id := range []cache.AnswerID{last, a.ID("0")} {
		if _, err := a.Get(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

func TestDamagedFile(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"not a database": func([]byte) []byte { return bytes.Repeat([]byte("x"), 64<<10) },
		"cut short":      func(b []byte) []byte { return b[:64<<10] }, // 200 answers take more, the file is larger still
		"no heads":       func(b []byte) []byte { clear(b[:8192]); return b },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "answers.db")
			a := openAnswers(t, path)
			for i := range 200 {
				a.Keep(a.ID(fmt.Sprint(i)), answer(strings.Repeat("x", 1000), time.Hour))
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b = damage(b)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := cache.OpenRecords(path); !errors.Is(err, cache.ErrCorrupt) {
				t.Error(err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
				t.Error("the damaged file was changed", err)
			}
			var kinds []cache.AnswersEventKind
			c := openAnswers(t, path, cache.OnAnswers(func(e cache.AnswersEvent) { kinds = append(kinds, e.Kind) }))
			if err := c.Put(t.Context(), c.ID("new"), answer("new", time.Hour)); err != nil {
				t.Error(err)
			}
			if fmt.Sprint(kinds) != "[damaged]" {
				t.Error(kinds)
			}
			aside, err := filepath.Glob(path + "-*.bad")
			if err != nil || len(aside) != 1 {
				t.Fatal(aside, err)
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, b) {
				t.Error("what was set aside is not what was there", err)
			}
		})
	}
}

// slow is a store whose writes wait to be let through.
type slow struct {
	cache.RecordStore
	gate    chan struct{}
	entered chan struct{} // nil: nobody wants to know
}

func (s *slow) Save(ctx context.Context, id [32]byte, b []byte, until time.Time) error {
	if s.entered != nil {
		s.entered <- struct{}{}
	}
	<-s.gate
	return s.RecordStore.Save(ctx, id, b, until)
}

// TestKeepDoesNotWait: the answer is there at once, the last of several is stored, a removal wins over
// what waits, and Close writes everything.
func TestKeepDoesNotWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.db")
	s, err := cache.OpenRecords(path)
	if err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{}, 1)
	gate <- struct{}{} // for the head
	a, err := cache.NewAnswers(t.Context(), &slow{RecordStore: s, gate: gate}, key(t, 1), cache.WithMemory(-1))
	if err != nil {
		t.Fatal(err)
	}
	x, y := a.ID("x"), a.ID("y")
	for i := range 10 {
		a.Keep(x, answer(fmt.Sprint(i), time.Hour))
		a.Keep(y, answer("y", time.Hour))
	}
	a.Drop(y)
	if got, err := a.Get(t.Context(), x); err != nil || string(got.Value) != "9" {
		t.Errorf("%q, %v", got.Value, err)
	}
	if _, err := a.Get(t.Context(), y); !errors.Is(err, cache.ErrNotFound) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(gate)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	b := openAnswers(t, path)
	if got, err := b.Get(t.Context(), x); err != nil || string(got.Value) != "9" {
		t.Errorf("%q, %v", got.Value, err)
	}
	if _, err := b.Get(t.Context(), y); !errors.Is(err, cache.ErrNotFound) {
		t.Error("a removed answer came back:", err)
	}
}

// TestQueueIsBounded: more than MaxWaiting writes are refused, and told.
func TestQueueIsBounded(t *testing.T) {
	s, err := cache.OpenRecords(filepath.Join(t.TempDir(), "answers.db"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	busy := 0
	gate, entered := make(chan struct{}, 1), make(chan struct{}, cache.MaxWaiting+2000)
	gate <- struct{}{}
	a, err := cache.NewAnswers(t.Context(), &slow{RecordStore: s, gate: gate, entered: entered}, key(t, 1), cache.OnAnswers(func(e cache.AnswersEvent) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == cache.NotStored && errors.Is(e.Err, cache.ErrBusy) {
			busy++
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	<-entered // the head
	a.Keep(a.ID("first"), answer("x", time.Hour))
	<-entered // the writer has it, and waits
	for i := range cache.MaxWaiting + 1000 {
		a.Keep(a.ID(fmt.Sprint(i)), answer("x", time.Hour))
	}
	mu.Lock()
	if busy != 1000 {
		t.Errorf("%d were refused", busy)
	}
	mu.Unlock()
	for i := range cache.MaxWaiting + 1000 { // none of the young is lost to memory
		if _, err := a.Get(t.Context(), a.ID(fmt.Sprint(i))); i >= cache.MaxWaiting+1000-cache.DefaultMemory && err != nil {
			t.Fatal(i, err)
		}
	}
	s.Close() // nobody needs to wait for so many writes
	close(gate)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTooLarge(t *testing.T) {
	a := openAnswers(t, filepath.Join(t.TempDir(), "answers.db"))
	if err := a.Put(t.Context(), a.ID("x"), answer(strings.Repeat("x", cache.MaxRecord), time.Hour)); !errors.Is(err, cache.ErrTooLarge) {
		t.Error(err)
	}
	if err := a.Put(t.Context(), a.ID("x"), answer(strings.Repeat("x", cache.MaxRecord-2048), time.Hour)); err != nil {
		t.Error(err)
	}
}

func TestStoredIsNotPrinted(t *testing.T) {
	s := answer("85073199704", time.Hour)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if out := fmt.Sprintf(verb, s) + fmt.Sprintf(verb, &s); strings.Contains(out, "85073199704") || strings.Contains(out, "56, 53") || strings.Contains(out, "3835") {
			t.Errorf("%s: %s", verb, out)
		}
	}
	if b, err := json.Marshal(s); err != nil || string(b) != `"cache.Stored"` {
		t.Errorf("%s, %v", b, err)
	}
	if cache.NotStored.String() != "not stored" || cache.AnswersEventKind(99).String() != "unknown" {
		t.Error("names of events")
	}
}

// away is a store that cannot be reached for a while.
type away struct {
	cache.RecordStore
	back chan struct{}
}

var errAway = errors.New("no connection")

func (s away) Load(ctx context.Context, id [32]byte) ([]byte, error) {
	select {
	case <-s.back:
		return s.RecordStore.Load(ctx, id)
	default:
		return nil, errAway
	}
}

// TestStoreComesLater: a database that is away at the start is used when it is there.
func TestStoreComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "answers.db")
		s, err := cache.OpenRecords(path)
		if err != nil {
			t.Fatal(err)
		}
		store := away{s, make(chan struct{})}
		if _, err := cache.NewAnswers(t.Context(), store, key(t, 1)); !errors.Is(err, errAway) {
			t.Error(err)
		}
		var kinds []cache.AnswersEventKind
		a, err := cache.NewAnswers(t.Context(), store, key(t, 1), cache.WithTakeOver(0), cache.OnAnswers(func(e cache.AnswersEvent) { kinds = append(kinds, e.Kind) }))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		close(store.back)
		time.Sleep(cache.DefaultTakeOver + time.Second)
		if err := a.Put(t.Context(), a.ID("x"), answer("x", time.Hour)); err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, path); n != 2 || fmt.Sprint(kinds) != "[not read taken over]" {
			t.Error(n, kinds)
		}
	})
}

// TestStoreThatComesLaterIsAnothers: a database that is away at the start and turns out to be filled with another key is
// left as it is, and that is told: once, not every minute.
func TestStoreThatComesLaterIsAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "answers.db")
		other := openAnswers(t, path)
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := cache.OpenRecords(path)
		if err != nil {
			t.Fatal(err)
		}
		store := away{s, make(chan struct{})}
		var told []error
		a, err := cache.NewAnswers(t.Context(), store, key(t, 2), cache.WithTakeOver(0), cache.OnAnswers(func(e cache.AnswersEvent) { told = append(told, e.Err) }))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		close(store.back)
		time.Sleep(time.Hour)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if len(told) != 2 || !errors.Is(told[0], errAway) || !errors.Is(told[1], cache.ErrKey) {
			t.Error(told)
		}
	})
}

// gone is a store that answers until it hangs, as a database behind a network that is cut.
type gone struct {
	mu    sync.Mutex
	m     map[[32]byte][]byte
	hangs bool
}

func (s *gone) hang(ctx context.Context) error {
	s.mu.Lock()
	hangs := s.hangs
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (s *gone) Load(ctx context.Context, id [32]byte) ([]byte, error) {
	if err := s.hang(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[id], nil
}

func (s *gone) Save(ctx context.Context, id [32]byte, b []byte, _ time.Time) error {
	if err := s.hang(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[id] = b
	return nil
}

func (s *gone) Remove(ctx context.Context, _ [32]byte) error             { return s.hang(ctx) }
func (s *gone) Purge(ctx context.Context, _ time.Time) (int, error)      { return 0, s.hang(ctx) }
func (s *gone) Each(context.Context, func([32]byte, []byte) error) error { return nil }
func (s *gone) Close() error                                             { return nil }

// TestCloseOfAStoreThatHangs: a program ends though its database is gone, however much waits, and is told what was lost.
func TestCloseOfAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		lost := 0
		s := &gone{m: map[[32]byte][]byte{}}
		a, err := cache.NewAnswers(t.Context(), s, key(t, 1), cache.OnAnswers(func(e cache.AnswersEvent) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == cache.NotStored {
				lost++
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.hangs = true
		s.mu.Unlock()
		const n = 500
		for i := range n {
			a.Keep(a.ID(fmt.Sprint(i)), answer("x", time.Hour))
		}
		begun := time.Now()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("Close took %v", took)
		}
		mu.Lock()
		defer mu.Unlock()
		if lost != n {
			t.Errorf("%d of %d losses were told", lost, n)
		}
	})
}
