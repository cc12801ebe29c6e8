package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
)

var errRefused = errors.New("the store refuses")

// moody is a store in memory that may refuse, or hold up, what is written.
type moody struct {
	mu      sync.Mutex
	m       map[[32]byte][]byte
	refuses bool
	absent  bool
	gate    chan struct{} // not nil: a Save waits for it
	onSave  func(id [32]byte)
	onLoad  func() // with what was loaded
	removed int
}

func newMoody() *moody { return &moody{m: map[[32]byte][]byte{}} }

func (s *moody) set(f func()) { s.mu.Lock(); defer s.mu.Unlock(); f() }

func (s *moody) has(id [32]byte) bool { s.mu.Lock(); defer s.mu.Unlock(); return s.m[id] != nil }

func (s *moody) Load(_ context.Context, id [32]byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.absent {
		return nil, errAway
	}
	b := bytes.Clone(s.m[id])
	if s.onLoad != nil {
		s.onLoad()
	}
	return b, nil
}

func (s *moody) Save(_ context.Context, id [32]byte, b []byte, _ time.Time) error {
	s.mu.Lock()
	gate, then := s.gate, s.onSave
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuses {
		return errRefused
	}
	s.m[id] = bytes.Clone(b)
	if then != nil {
		then(id)
	}
	return nil
}

func (s *moody) Remove(_ context.Context, id [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuses {
		return errRefused
	}
	s.removed++
	delete(s.m, id)
	return nil
}

func (s *moody) Each(_ context.Context, f func([32]byte, []byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, b := range s.m {
		if err := f(id, b); err != nil {
			return err
		}
	}
	return nil
}

func (s *moody) Purge(context.Context, time.Time) (int, error) { return 0, nil }
func (s *moody) Close() error                                  { return nil }

func over(t *testing.T, s cache.RecordStore, opts ...cache.AnswersOption) *cache.Answers {
	t.Helper()
	a, err := cache.NewAnswers(t.Context(), s, key(t, 1), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func none(t *testing.T, when string, a *cache.Answers, id cache.AnswerID) {
	t.Helper()
	if s, err := a.Get(t.Context(), id); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("%s: %q, %v", when, s.Value, err)
	}
}

func flushed(t *testing.T, a *cache.Answers) {
	t.Helper()
	if err := a.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestContradictionSticks: what was taken back, or replaced, does not come back because the store refused to hear of it,
// neither when memory has no room for what is newer nor after a restart once the store has heard.
func TestContradictionSticks(t *testing.T) {
	contradict := map[string]func(*cache.Answers, cache.AnswerID){
		"drop":   func(a *cache.Answers, id cache.AnswerID) { a.Drop(id) },
		"remove": func(a *cache.Answers, id cache.AnswerID) { _ = a.Remove(context.Background(), id) },
		"keep":   func(a *cache.Answers, id cache.AnswerID) { a.Keep(id, answer("no", time.Hour)) },
		"keep what is too large": func(a *cache.Answers, id cache.AnswerID) {
			a.Keep(id, answer(string(make([]byte, cache.MaxRecord)), time.Hour))
		},
	}
	for name, change := range contradict {
		for _, why := range []string{"refused", "too many wait", "before taking over"} {
			t.Run(name+", "+why, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newMoody()
					first := over(t, s)
					id := first.ID("x")
					if err := first.Put(t.Context(), id, answer("yes", 100*time.Hour)); err != nil {
						t.Fatal(err)
					}
					if err := first.Close(); err != nil {
						t.Fatal(err)
					}
					if why == "before taking over" {
						s.set(func() { s.absent = true })
					}
					a := over(t, s, cache.WithMemory(1), cache.WithTakeOver(time.Hour))
					gate := make(chan struct{})
					switch why {
					case "refused":
						s.set(func() { s.refuses = true })
					case "too many wait":
						s.set(func() { s.gate = gate })
						for i := range cache.MaxWaiting + 1 {
							a.Keep(a.ID(fmt.Sprint(i)), answer("y", time.Hour))
							if i == 0 {
								synctest.Wait() // the writer has it, and waits
							}
						}
					}
					go change(a, id)
					synctest.Wait()
					a.Keep(a.ID("other"), answer("y", time.Hour)) // pushes it out of memory
					synctest.Wait()
					none(t, "while the store does not know", a, id)
					if why == "too many wait" {
						close(gate)
					}
					if !s.has(id) && why == "refused" {
						t.Fatal("the store did not refuse")
					}
					s.set(func() { s.refuses, s.absent = false, false })
					time.Sleep(2 * time.Hour)
					synctest.Wait()
					none(t, "when the store knows", a, id)
					if err := a.Close(); err != nil {
						t.Fatal(err)
					}
					none(t, "after a restart", over(t, s), id)
				})
			})
		}
	}
}

// TestContradictionAtTheEnd: Close tells the store what it refused before.
func TestContradictionAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoody()
		a := over(t, s)
		id := a.ID("x")
		if err := a.Put(t.Context(), id, answer("yes", time.Hour)); err != nil {
			t.Fatal(err)
		}
		s.set(func() { s.refuses = true })
		a.Drop(id)
		flushed(t, a)
		s.set(func() { s.refuses = false })
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if s.has(id) {
			t.Error("it is still stored")
		}
	})
}

// TestNewerThanAContradiction: what is kept after a refused removal is stored and read, and the removal does not take it.
func TestNewerThanAContradiction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoody()
		a := over(t, s, cache.WithMemory(-1))
		id := a.ID("x")
		s.set(func() { s.refuses = true })
		a.Drop(id)
		flushed(t, a)
		s.set(func() { s.refuses = false })
		if err := a.Put(t.Context(), id, answer("again", 5*time.Hour)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got, err := a.Get(t.Context(), id); err != nil || string(got.Value) != "again" {
			t.Errorf("%q, %v", got.Value, err)
		}
	})
}

// TestInFlightIsContradicted: an answer that is just being written, and was taken back while too many others wait, is not
// given, and does not stay in the store.
func TestInFlightIsContradicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoody()
		a := over(t, s, cache.WithMemory(-1))
		id, gate := a.ID("x"), make(chan struct{})
		s.set(func() { s.gate = gate })
		a.Keep(id, answer("yes", time.Hour))
		synctest.Wait()
		for i := range cache.MaxWaiting {
			a.Keep(a.ID(fmt.Sprint(i)), answer("y", time.Hour))
		}
		a.Drop(id)
		none(t, "in flight", a, id)
		close(gate)
		flushed(t, a)
		none(t, "afterwards", a, id)
		if s.has(id) {
			t.Error("it is still stored")
		}
	})
}

// TestMoreContradictionsThanAreRemembered: beyond the bound nothing older is given from the store, until all of it was
// taken out there; what is newer is.
func TestMoreContradictionsThanAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoody()
		a := over(t, s, cache.WithMemory(-1))
		old, id := a.ID("old"), a.ID("x")
		for _, id := range []cache.AnswerID{old, id} {
			if err := a.Put(t.Context(), id, answer("yes", 100*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		s.set(func() { s.refuses = true })
		for i := range cache.MaxContradicted {
			a.Drop(a.ID(fmt.Sprint(i)))
			if i%1000 == 0 {
				flushed(t, a)
			}
		}
		flushed(t, a)
		if _, err := a.Get(t.Context(), old); err != nil {
			t.Fatal("within the bound:", err)
		}
		a.Drop(id)
		flushed(t, a)
		none(t, "beyond the bound", a, id)
		none(t, "of what nobody contradicted", a, old)
		s.set(func() { s.refuses = false })
		later := answer("later", 100*time.Hour)
		later.At = time.Now().Add(time.Nanosecond)
		time.Sleep(time.Second)
		if err := a.Put(t.Context(), old, later); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Get(t.Context(), old); err != nil {
			t.Error("what is newer:", err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if s.has(id) || !s.has(old) {
			t.Error("the store holds the wrong ones", s.has(id), s.has(old))
		}
		s.set(func() {
			if s.removed < cache.MaxContradicted {
				t.Errorf("only %d were removed", s.removed)
			}
		})
	})
}

// TestContradictedWhileInUse: as with a file that another process has open.
func TestContradictedWhileInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "answers.db")
		first := openAnswers(t, path)
		id := first.ID("x")
		if err := first.Put(t.Context(), id, answer("yes", 100*time.Hour)); err != nil {
			t.Fatal(err)
		}
		a := openAnswers(t, path, cache.WithTakeOver(0))
		a.Drop(id)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * cache.DefaultTakeOver)
		synctest.Wait()
		flushed(t, a)
		none(t, "after taking over", a, id)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		none(t, "after a restart", openAnswers(t, path), id)
	})
}

// TestSettingAsideTakesNothingGood: a good record that comes while a damaged one is set aside stays, whether this
// process wrote it or another.
func TestSettingAsideTakesNothingGood(t *testing.T) {
	for _, who := range []string{"nobody", "this process", "another process"} {
		t.Run(who, func(t *testing.T) {
			s := newMoody()
			other := over(t, s)
			id := other.ID("x")
			if err := other.Put(t.Context(), id, answer("good", time.Hour)); err != nil {
				t.Fatal(err)
			}
			good := bytes.Clone(s.m[id])
			var told []cache.AnswersEventKind
			a := over(t, s, cache.WithMemory(-1), cache.OnAnswers(func(e cache.AnswersEvent) { told = append(told, e.Kind) }))
			s.set(func() {
				s.m[id][len(good)-1] ^= 1
				s.onSave = func(at [32]byte) {
					switch {
					case at == id:
					case who == "this process":
						a.Keep(id, answer("good", time.Hour))
					case who == "another process":
						s.m[id] = good
					}
				}
			})
			if _, err := a.Get(t.Context(), id); !errors.Is(err, cache.ErrCorrupt) {
				t.Error(err)
			}
			flushed(t, a)
			s.set(func() {
				if len(s.m) != 3 && who != "nobody" || len(s.m) != 2 && who == "nobody" { // the head, what was set aside
					t.Errorf("%d records", len(s.m))
				}
			})
			if fmt.Sprint(told) != "[damaged]" {
				t.Error(told)
			}
			got, err := a.Get(t.Context(), id)
			if who == "nobody" && !errors.Is(err, cache.ErrNotFound) || who != "nobody" && (err != nil || string(got.Value) != "good") {
				t.Errorf("%q, %v", got.Value, err)
			}
		})
	}
}

// TestSettingAsideComesTooLate: a good record that this process was just writing when the damaged one was read stays.
func TestSettingAsideComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoody()
		a := over(t, s, cache.WithMemory(-1))
		id := a.ID("x")
		loaded, on := make(chan struct{}), make(chan struct{})
		s.set(func() {
			s.m[id] = []byte("damaged")
			s.onLoad = func() { s.onLoad = nil; close(loaded); s.mu.Unlock(); <-on; s.mu.Lock() }
		})
		got := make(chan error)
		go func() { got <- second(a.Get(t.Context(), id)) }()
		<-loaded
		if err := a.Put(t.Context(), id, answer("good", time.Hour)); err != nil {
			t.Fatal(err)
		}
		close(on)
		<-got
		flushed(t, a)
		if got, err := a.Get(t.Context(), id); err != nil || string(got.Value) != "good" {
			t.Errorf("%q, %v", got.Value, err)
		}
	})
}
