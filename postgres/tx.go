package postgres

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// PutTx is [outbox.Box.Put] inside a transaction of the caller's, on the database of box: the item
// is stored when tx commits, and never was when it is rolled back. It is the outbox pattern: what
// the program wrote about its patient and what must be sent for it become true together.
//
//	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
//		if _, err := tx.Exec(ctx, "INSERT INTO prescription ..."); err != nil {
//			return err
//		}
//		_, err := postgres.PutTx(ctx, tx, box, item)
//		return err
//	})
//
// Its place in its line is that of the commit, which wakes the workers of all processes. Whoever puts
// the same reference meanwhile waits for tx to end.
//
// [outbox.ErrConflict] and [outbox.ErrInvalid] leave tx usable; any other error comes from the
// database, which then accepts nothing but a rollback. [outbox.ErrInvalid] says also that box is not
// over an [Outbox] of the database of tx.
func PutTx(ctx context.Context, tx pgx.Tx, box *outbox.Box, item outbox.Item) (outbox.ID, error) {
	if tx == nil || box == nil {
		return outbox.ID{}, fmt.Errorf("%w: no transaction or no box", outbox.ErrInvalid)
	}
	// The box does what it does for any item; only its store sees tx. Whether that is one of ours is
	// asked before anything could be stored elsewhere.
	j := &joined{tx: tx}
	if err := j.probe(ctx, box); err != nil {
		return outbox.ID{}, err
	}
	return box.Put(context.WithValue(ctx, joinKey{}, j), item)
}

type joinKey struct{}

// joined is a transaction on its way from PutTx to the store.
type joined struct {
	tx      pgx.Tx
	probing bool
	schema  *DB // whose store was reached
}

func joinFrom(ctx context.Context) *joined {
	j, _ := ctx.Value(joinKey{}).(*joined)
	return j
}

// probe looks for an item that is not there, and whether the question reaches a store of ours.
func (j *joined) probe(ctx context.Context, box *outbox.Box) error {
	j.probing = true
	var id outbox.ID
	_, _ = rand.Read(id[:]) // never fails
	_, err := box.Show(context.WithValue(ctx, joinKey{}, j), id)
	j.probing = false
	if j.schema == nil {
		if err != nil && !plain(err) {
			return err
		}
		if err == outbox.ErrClosed {
			return err
		}
		return fmt.Errorf("%w: the box is not over PostgreSQL", outbox.ErrInvalid)
	}
	same, err := j.schema.there(ctx, j.tx)
	if err != nil {
		return wrap("PutTx", false, err)
	}
	if same {
		sql := j.schema.sql("SELECT EXISTS (SELECT FROM @.version WHERE version = 1 AND instance = $1)")
		if err := j.tx.QueryRow(ctx, sql, uuid(j.schema.instance)).Scan(&same); err != nil {
			return wrap("PutTx", false, err)
		}
	}
	if !same {
		return fmt.Errorf("%w: the transaction is on another database than the box", outbox.ErrInvalid)
	}
	return nil
}

// join is Insert in the caller's transaction.
func (s *Outbox) join(ctx context.Context, j *joined, e outbox.Entry) (outbox.Inserted, error) {
	leave, err := s.d.enter()
	if err != nil {
		return outbox.Inserted{}, err
	}
	defer leave()
	fail.Point("postgres.join.before")
	var fresh bool
	err = j.tx.QueryRow(ctx, s.d.sql("SELECT @.join($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)"), columns(&e)...).Scan(&fresh)
	fail.Point("postgres.join.after")
	switch {
	case err != nil:
		return outbox.Inserted{}, wrap("PutTx", false, err) // nothing is stored before the commit
	case !fresh:
		return outbox.Inserted{}, outbox.ErrExists
	}
	return outbox.Inserted{}, nil
}

// readJoined reads in the caller's transaction, which may hold the item already.
func (s *Outbox) readJoined(j *joined, read func(lister) error) error {
	if j.probing {
		j.schema = s.d
		return nil
	}
	return wrap("PutTx", false, read(j.tx))
}

func randomName() string { return rand.Text() }
