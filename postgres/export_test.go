package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestOutbox is Outbox with leases on the clock of its callers.
func (d *DB) TestOutbox() *Outbox {
	s := d.Outbox()
	s.test = true
	return s
}

// SetMaxHold shortens [MaxHold].
func (d *DB) SetMaxHold(t time.Duration) { d.maxHold = t }

// SetMaxClaim shortens the time for lending a line.
func (d *DB) SetMaxClaim(t time.Duration) { d.maxClaim = t }

// Patience multiplies the patience with failures that pass.
func (d *DB) Patience(factor time.Duration) { d.factor = factor }

// OpenVersion leaves a schema as an older program would.
func OpenVersion(ctx context.Context, dsn string, version int) error {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	d, err := newDB(nil)
	if err != nil {
		return err
	}
	d.direct, d.own = cfg, newPool(cfg, 1)
	d.acquire = d.own.acquire
	return errors.Join(d.migrate(ctx, version), d.Close())
}

// Versions is the newest version of a schema.
func Versions() int { return len(migrations) }

// Wrap is what becomes of an error of the driver.
func Wrap(op string, write bool, err error) error { return wrap(op, write, err) }
