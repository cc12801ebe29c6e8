package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var locks = map[string]func(context.Context, string) (func(), error){"system": lockFile, "file": exclusive}

func TestLock(t *testing.T) {
	for name, lock := range locks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "x.lock")
				var mu sync.Mutex // its TryLock says whether the lock under test excludes
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						unlock, err := lock(t.Context(), path)
						if err != nil {
							t.Error(err)
							return
						}
						if !mu.TryLock() {
							t.Error("two holders")
							return
						}
						time.Sleep(time.Second)
						mu.Unlock()
						unlock()
						unlock()
					})
				}
				wg.Wait()
			})
		})
	}
}

func TestLockEndsWithContext(t *testing.T) {
	for name, lock := range locks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "x.lock")
				unlock, err := lock(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				defer unlock()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				if _, err := lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				if waited := time.Since(start); waited != time.Second {
					t.Error(waited)
				}
			})
		})
	}
}

// TestStaleLock: a lock file that its holder keeps fresh is respected for hours; one that was left
// behind is taken after a minute.
func TestStaleLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "x.lock")
		unlock, err := exclusive(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if _, err := exclusive(short, path); !errors.Is(err, context.DeadlineExceeded) {
			t.Error("a lock in use was taken", err)
		}
		unlock()
		if err := os.WriteFile(path, nil, fileMode); err != nil { // a holder that died
			t.Fatal(err)
		}
		touch(path)
		start := time.Now()
		unlock, err = exclusive(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		if waited := time.Since(start); waited < lockStale || waited > lockStale+time.Second {
			t.Error("taken after", waited)
		}
	})
}

// TestBreakStaleFresh: a fresh lock file is never taken away.
func TestBreakStaleFresh(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	if err := os.WriteFile(path, nil, fileMode); err != nil {
		t.Fatal(err)
	}
	breakStale(path, time.Now())
	if _, err := os.Stat(path); err != nil {
		t.Error("a fresh lock was broken")
	}
	breakStale(path, time.Now().Add(2*lockStale))
	if _, err := os.Stat(path); err == nil {
		t.Error("a stale lock was respected")
	}
}

func TestVaultLockNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, k := t.TempDir(), newKey(t)
		a, b := openVault(t, dir, k), openVault(t, dir, k)
		unlockA, err := a.Lock(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		unlockB, err := b.Lock(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		defer unlockB()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := b.Lock(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error("two holders of one name", err)
		}
		unlockA()
		unlock, err := b.Lock(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		unlock()
	})
}
