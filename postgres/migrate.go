package postgres

import (
	"context"
	"embed"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations lists the files in their order; the version of a schema is how many of them it has.
var migrations = []string{"1_outbox.sql", "2_tokens.sql", "3_answers.sql"}

// minServer is PostgreSQL 15, as a server tells it.
const minServer = 150000

// migrate brings the schema to the newest version. Every node does so when it starts; one of them
// does the work, in one transaction.
func (d *DB) migrate(ctx context.Context, upTo int) error {
	return d.do(ctx, "Open", true, 0, func(c *pgx.Conn) error {
		var server int
		if err := c.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&server); err != nil {
			return err
		}
		if server < minServer {
			return fmt.Errorf("%w: the server is older than PostgreSQL 15", outbox.ErrInvalid)
		}
		have, err := d.version(ctx, c)
		if err != nil || have >= upTo {
			return d.tooNew(have, err)
		}
		fail.Point("postgres.migrate.before")
		err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return d.apply(ctx, tx, upTo) })
		fail.Point("postgres.migrate.after")
		return err
	})
}

func (d *DB) tooNew(have int, err error) error {
	if err == nil && have > len(migrations) {
		return outbox.ErrNewer
	}
	return err
}

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// version is that of the schema; 0 = there is none.
func (d *DB) version(ctx context.Context, q querier) (n int, err error) {
	there, err := d.there(ctx, q)
	if err != nil || !there {
		return 0, err
	}
	err = q.QueryRow(ctx, d.sql("SELECT coalesce(max(version), 0) FROM @.version")).Scan(&n)
	return n, err
}

// there tells whether the schema has tables. It reads them as rows: names looked up otherwise may come
// from a cache that does not know yet what another node committed.
func (d *DB) there(ctx context.Context, q querier) (yes bool, err error) {
	err = q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'version')", d.schema).Scan(&yes)
	return yes, err
}

func (d *DB) apply(ctx context.Context, tx pgx.Tx, upTo int) error {
	// Two nodes that start together: the second waits here, and finds the work done.
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "ehealth migration of "+d.schema); err != nil {
		return err
	}
	have, err := d.version(ctx, tx)
	if err = d.tooNew(have, err); err != nil {
		return err
	}
	if have == 0 {
		const first = `CREATE SCHEMA IF NOT EXISTS @;
CREATE TABLE IF NOT EXISTS @.version (version int PRIMARY KEY, applied timestamptz NOT NULL, instance uuid NOT NULL DEFAULT gen_random_uuid())`
		if _, err := tx.Exec(ctx, d.sql(first)); err != nil {
			return err
		}
	}
	for n := have + 1; n <= upTo; n++ {
		b, err := migrationFiles.ReadFile("migrations/" + migrations[n-1])
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, d.sql(string(b))); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, d.sql("INSERT INTO @.version (version, applied) VALUES ($1, now())"), n); err != nil {
			return err
		}
		fail.Point("postgres.migrate.step")
	}
	return nil
}

// sql names the schema in a statement; schemas are checked to need no quotes.
func (d *DB) sql(text string) string { return strings.ReplaceAll(text, "@", d.schema) }
