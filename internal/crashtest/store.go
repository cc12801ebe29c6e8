package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// back is where a child keeps its items and its token.
type back struct {
	store  outbox.Store
	tokens sts.Store
	close  func() error // of what the store does not close itself
}

func (w *worker) open(ctx context.Context) (*back, error) {
	if w.DSN != "" {
		return w.openPostgres(ctx)
	}
	opts := []outbox.BoltOption{outbox.WithLockWait(5 * time.Second), outbox.WithCompaction(-1, 0), outbox.WithJournal(16 << 10)}
	if w.Compact {
		opts[1] = outbox.WithCompaction(0.001, 1)
	}
	store, err := outbox.OpenBolt(w.file(), opts...)
	if err != nil {
		return nil, err
	}
	tokens, err := sharedTokens(w.World)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &back{store: store, tokens: tokens, close: func() error { return nil }}, nil
}

// sharedTokens is the token store of all children of all campaigns.
func sharedTokens(dir string) (sts.Store, error) {
	v, err := cache.OpenVault(filepath.Join(dir, "tokens"), tokenKey())
	return sts.FileStore(v), err
}

func tokenKey() cache.Key {
	secret := make([]byte, cache.KeySize)
	copy(secret, "key of the tokens")
	k, _ := cache.KeyFromBytes(secret) // fails on another length only
	return k
}

// mark tells the parent, by a file, whether a write is under way and what was durable before it.
func (w *worker) mark(what string, a, b uint64) {
	_ = os.WriteFile(filepath.Join(w.Dir, "commit"), fmt.Appendf(nil, "%s %d %d", what, a, b), 0o600)
}

func (w *worker) markWrite(name string) {
	switch {
	case w.DSN != "":
	case name == "journal.before":
		gen, off := journalEnd(w.Dir)
		w.mark("journaling", gen, off)
	default:
		w.mark("committing", newestTx(w.file()), 0)
	}
}

func (w *worker) downgrade(ctx context.Context) error {
	if w.DSN != "" {
		return w.downgradePostgres(ctx)
	}
	return downgrade(w.file())
}

// downgrade takes from a file what schema 1 did not have.
func downgrade(path string) error {
	if _, err := os.Stat(path); err != nil {
		return nil // nothing there yet
	}
	// What lies in the journal goes into the file first: schema 1 had none.
	s, err := outbox.OpenBolt(path, outbox.WithLockWait(5*time.Second))
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		m := tx.Bucket([]byte("meta"))
		if m == nil {
			return nil
		}
		for _, b := range []string{"line", "due", "settled", "expiry", "aside"} {
			if tx.Bucket([]byte(b)) == nil {
				continue
			}
			if err := tx.DeleteBucket([]byte(b)); err != nil {
				return err
			}
		}
		for k, _ := m.Cursor().Seek([]byte("n/")); k != nil && k[0] == 'n'; k, _ = m.Cursor().Seek([]byte("n/")) {
			if err := m.Delete(k); err != nil {
				return err
			}
		}
		return m.Put([]byte("schema"), []byte{0, 0, 0, 0, 0, 0, 0, 1})
	})
	return errors.Join(err, db.Close())
}
