package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

const (
	// lockPollMin and lockPollMax bound the pause between two looks at a lock that is taken:
	// first short, because most holders are done soon, then long enough to cost nothing.
	lockPollMin = time.Millisecond
	lockPollMax = 100 * time.Millisecond
	// lockFresh is how often the holder of a lock file touches it.
	lockFresh = 10 * time.Second
	// lockStale is when a lock file that nobody touched counts as left behind: six missed
	// touches, so that a busy disk is not taken for a dead process.
	lockStale = time.Minute
)

// poll calls try until it succeeds, fails or ctx ends. It polls because a lock that the
// operating system waits for cannot be given up when ctx ends.
func poll(ctx context.Context, try func() (unlock func(), err error)) (func(), error) {
	for pause := lockPollMin; ; pause = min(2*pause, lockPollMax) {
		unlock, err := try()
		if unlock != nil || err != nil {
			return unlock, err
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-t.C:
		}
	}
}

// exclusive takes a lock by making a file that must not exist. It serves systems without
// flock.
func exclusive(ctx context.Context, path string) (func(), error) {
	return poll(ctx, func() (func(), error) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		switch {
		case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrPermission): // Windows denies access to a file that is being deleted
			breakStale(path, time.Now())
			return nil, nil
		case err != nil:
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		touch(path)
		return keepFresh(path), nil
	})
}

// keepFresh touches the lock file until unlock is called.
func keepFresh(path string) (unlock func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		t := time.NewTicker(lockFresh)
		defer t.Stop()
		for {
			select {
			case <-stop:
				return
			case <-t.C:
				touch(path)
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(stop)
		<-stopped
		_ = os.Remove(path)
	})
}

func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now) // a lock that cannot be touched goes stale, and no more
}

// breakStale removes a lock file that was left behind. The rename lets only one process take
// it away; one that finds that it took a fresh file, made in between, puts it back.
func breakStale(path string, now time.Time) {
	stale := func(p string) bool {
		info, err := os.Stat(p)
		return err == nil && info.ModTime().Before(now.Add(-lockStale))
	}
	if !stale(path) {
		return
	}
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	away := fmt.Sprintf("%s%s%x", path, tempMark, id)
	if os.Rename(path, away) != nil {
		return
	}
	if !stale(away) {
		_ = os.Rename(away, path)
		return
	}
	_ = os.Remove(away)
}
