package main

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// openPostgres: the nodes share their tokens through the database; the children of a campaign find
// theirs where those on bbolt do, so that each database need not log in anew.
func (w *worker) openPostgres(ctx context.Context) (*back, error) {
	db, err := postgres.Open(ctx, w.DSN, postgres.WithSchema(w.Schema), postgres.WithMaxConns(4))
	if err != nil {
		return nil, err
	}
	b := &back{store: db.Outbox(), close: func() error { db.Close(); return nil }}
	if w.Node {
		if b.tokens, err = db.Tokens(tokenKey()); err != nil {
			return nil, errors.Join(err, b.close())
		}
		return b, nil
	}
	if b.tokens, err = sharedTokens(w.World); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// downgradePostgres takes from a schema what version 1 did not have. The children do not use it.
func (w *worker) downgradePostgres(ctx context.Context) error {
	c, err := pgx.Connect(ctx, w.DSN)
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, strings.ReplaceAll(`DO $$ BEGIN
	IF to_regclass('@.version') IS NOT NULL THEN
		DROP TABLE IF EXISTS @.token, @.answer;
		DELETE FROM @.version WHERE version > 1;
	END IF;
END $$`, "@", w.Schema))
	return errors.Join(err, c.Close(ctx))
}

// The table of a vendor, whose own transactions carry intents.
const vendorTable = "CREATE TABLE vendor (campaign text, ref text, PRIMARY KEY (campaign, ref))"

// putWith puts an item in a transaction that writes to the vendor's table too.
func (w *worker) putWith(ctx context.Context, box *outbox.Box, it outbox.Item) error {
	c, err := pgx.Connect(ctx, w.DSN)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO vendor VALUES ($1, $2) ON CONFLICT DO NOTHING", w.Schema, it.Ref); err != nil {
			return err
		}
		_, err := postgres.PutTx(ctx, tx, box, it)
		fail.Point("vendor.before")
		return err
	})
	fail.Point("vendor.after")
	return errors.Join(err, c.Close(ctx))
}

// vendors tells what stands in the vendor's table.
func (w *worker) vendors(ctx context.Context) error {
	c, err := pgx.Connect(ctx, w.DSN)
	if err != nil {
		return err
	}
	rows, err := c.Query(ctx, "SELECT ref FROM vendor WHERE campaign = $1", w.Schema)
	if err != nil {
		return errors.Join(err, c.Close(ctx))
	}
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, ref := range refs {
		w.tell(report{What: "vendor", Ref: ref})
	}
	return errors.Join(err, c.Close(ctx))
}
