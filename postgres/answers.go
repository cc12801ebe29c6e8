package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

const (
	purgeBatch = 1000 // records that one statement removes
	eachBatch  = 100  // records that one statement reads: 100 MB when all are as large as can be
)

type answers struct {
	d      *DB
	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
}

// Answers returns the store of answers of this schema, for package cache, which seals what it puts
// here. Its Close leaves the DB open.
func (d *DB) Answers() cache.RecordStore { return &answers{d: d} }

// run is DB.do in the words of package cache.
func (a *answers) run(ctx context.Context, op string, write bool, f func(*pgx.Conn) error) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return cache.ErrClosed
	}
	a.calls.Add(1)
	a.mu.Unlock()
	defer a.calls.Done()
	err := a.d.do(ctx, "Answers."+op, write, 0, f)
	switch {
	case errors.Is(err, outbox.ErrClosed):
		return cache.ErrClosed
	case errors.Is(err, outbox.ErrFull):
		return fmt.Errorf("%w: %w", cache.ErrFull, err)
	case errors.Is(err, outbox.ErrCorrupt):
		return fmt.Errorf("%w: %w", cache.ErrCorrupt, err)
	}
	return err
}

// instant is a time as a number; times that no number of nanoseconds can tell become the first or
// the last.
func instant(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// Load implements [cache.RecordStore].
func (a *answers) Load(ctx context.Context, id [32]byte) (record []byte, err error) {
	err = a.run(ctx, "Load", false, func(c *pgx.Conn) error {
		err := c.QueryRow(ctx, a.d.sql("SELECT record FROM @.answer WHERE id = $1"), id[:]).Scan(&record)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return record, err
}

// Save implements [cache.RecordStore].
func (a *answers) Save(ctx context.Context, id [32]byte, record []byte, expires time.Time) error {
	if len(record) > cache.MaxRecord {
		return cache.ErrTooLarge
	}
	fail.Point("postgres.answer.before")
	err := a.run(ctx, "Save", true, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, a.d.sql("INSERT INTO @.answer VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET record = $2, expires = $3"), id[:], notNil(record), instant(expires))
		return err
	})
	fail.Point("postgres.answer.after")
	return err
}

// Remove implements [cache.RecordStore].
func (a *answers) Remove(ctx context.Context, id [32]byte) error {
	return a.run(ctx, "Remove", true, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, a.d.sql("DELETE FROM @.answer WHERE id = $1"), id[:])
		return err
	})
}

// Purge implements [cache.RecordStore]. What another node is just writing or purging is left to it.
func (a *answers) Purge(ctx context.Context, before time.Time) (n int, err error) {
	for {
		k := int64(0)
		err := a.run(ctx, "Purge", true, func(c *pgx.Conn) error {
			tag, err := c.Exec(ctx, a.d.sql(`DELETE FROM @.answer WHERE id IN (
				SELECT id FROM @.answer WHERE expires < $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED)`), instant(before), purgeBatch)
			k = tag.RowsAffected()
			return err
		})
		n += int(k)
		if err != nil || k < purgeBatch {
			return n, err
		}
	}
}

// Each implements [cache.RecordStore]. No connection is held while f works.
func (a *answers) Each(ctx context.Context, f func(id [32]byte, record []byte) error) error {
	type one struct{ id, record []byte }
	for last := []byte{}; ; {
		var page []one
		err := a.run(ctx, "Each", false, func(c *pgx.Conn) error {
			rows, err := c.Query(ctx, a.d.sql("SELECT id, record FROM @.answer WHERE id > $1 ORDER BY id LIMIT $2"), last, eachBatch)
			if err != nil {
				return err
			}
			page, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (o one, err error) {
				err = r.Scan(&o.id, &o.record)
				return o, err
			})
			return err
		})
		if err != nil {
			return err
		}
		for _, o := range page {
			if len(o.id) != 32 {
				continue // not ours
			}
			if err := f([32]byte(o.id), o.record); err != nil {
				return err
			}
		}
		if len(page) < eachBatch {
			return nil
		}
		last = page[len(page)-1].id
	}
}

// Close implements [cache.RecordStore].
func (a *answers) Close() error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.calls.Wait()
	return nil
}
