//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cache

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
)

// lockFile takes flock(2) on the file at path. The file stays: removing it would let a waiter
// lock a file that is gone while another makes a new one.
func lockFile(ctx context.Context, path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	unlock, err := poll(ctx, func() (func(), error) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return sync.OnceFunc(func() { _ = f.Close() }), nil
		case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
			return nil, nil
		}
		return nil, err
	})
	if err != nil {
		_ = f.Close()
	}
	return unlock, err
}

// syncDir makes renames in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) { // the file system has nothing to sync
		err = nil
	}
	return errors.Join(err, d.Close())
}

// unlockFile gives back the lock on a file that bbolt left mapped when it panicked: the map keeps
// the lock alive when the file is closed.
func unlockFile(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
