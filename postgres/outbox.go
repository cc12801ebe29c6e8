package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Outbox is an [outbox.Store] for any number of processes. It implements [outbox.Checker] and
// [outbox.Waker] too. Leases go by the clock of the server.
type Outbox struct {
	d    *DB
	test bool // leases go by the callers' clock: for the suite, which makes time itself
	wake *waker

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
}

var (
	_ outbox.Store   = (*Outbox)(nil)
	_ outbox.Checker = (*Outbox)(nil)
	_ outbox.Waker   = (*Outbox)(nil)
)

// Outbox returns the outbox of this schema. Its Close leaves the DB open.
func (d *DB) Outbox() *Outbox { return &Outbox{d: d, wake: newWaker(d)} }

// Close implements [outbox.Store].
func (s *Outbox) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if !was {
		s.calls.Wait()
		s.wake.close()
	}
	return nil
}

// run is DB.do for an open store.
func (s *Outbox) run(ctx context.Context, op string, write bool, patience time.Duration, f func(*pgx.Conn) error) error {
	if err := ctx.Err(); err != nil {
		return wrap(op, false, err)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return outbox.ErrClosed
	}
	s.calls.Add(1)
	s.mu.Unlock()
	defer s.calls.Done()
	return s.d.do(ctx, op, write, patience, f)
}

// The codes of the functions in migrations/1_outbox.sql.
func result(code int) error {
	switch code {
	case 0:
		return nil
	case 1:
		return outbox.ErrExists
	case 2:
		return outbox.ErrNotFound
	case 3:
		return outbox.ErrStale
	case 4:
		return outbox.ErrLeaseLost
	case 5:
		return outbox.ErrLeased
	case 6:
		return outbox.ErrNothing
	}
	return fmt.Errorf("postgres: answer %d of a function", code)
}

// stamp and unstamp turn times into numbers, as package outbox does.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func unstamp(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// uuid is how the driver knows 16 bytes, in all its modes.
func uuid(b [16]byte) pgtype.UUID { return pgtype.UUID{Bytes: b, Valid: true} }

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// clock is what the server takes for its own clock; nil = that.
func (s *Outbox) clock(c *outbox.Claim) any {
	if s.test && c != nil {
		return stamp(c.Now)
	}
	return nil
}

// columns of an entry, for functions and lists.
func columns(e *outbox.Entry) []any {
	return []any{
		uuid(e.ID), uuid(e.Line), string(e.Kind), int16(e.State), int16(e.Priority), int64(e.Attempt),
		stamp(e.Due), stamp(e.Expires), stamp(e.Changed), notNil(e.Meta), e.Payload, e.Answer,
	}
}

const (
	header = "id, line, seq, rev, kind, state, priority, attempt, due, expires, changed, meta"
	whole  = header + ", payload, answer"
)

// row scans an entry, after what comes before it.
type row struct {
	e                     outbox.Entry
	id, line              [16]byte
	kind                  string
	state, priority       int16
	seq, rev, attempt     int64
	due, expires, changed int64
}

func (r *row) targets(contents bool) []any {
	t := []any{&r.id, &r.line, &r.seq, &r.rev, &r.kind, &r.state, &r.priority, &r.attempt, &r.due, &r.expires, &r.changed, &r.e.Meta}
	if contents {
		t = append(t, &r.e.Payload, &r.e.Answer)
	}
	return t
}

func (r *row) entry() outbox.Entry {
	e := r.e
	e.ID, e.Line, e.Kind = r.id, r.line, outbox.Kind(r.kind)
	e.Seq, e.Rev, e.Attempt = uint64(r.seq), uint64(r.rev), uint32(r.attempt)
	e.State, e.Priority = outbox.State(r.state), outbox.Priority(r.priority)
	e.Due, e.Expires, e.Changed = unstamp(r.due), unstamp(r.expires), unstamp(r.changed)
	return e
}

// Insert implements [outbox.Store].
func (s *Outbox) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (in outbox.Inserted, err error) {
	if e.Rev != 1 || e.State == 0 || e.State > outbox.Cancelled || e.Kind == "" || e.Priority > outbox.Background {
		return in, outbox.ErrInvalid
	}
	if j := joinFrom(ctx); j != nil {
		return s.join(ctx, j, e)
	}
	var owner *string
	var length int64
	if c != nil {
		owner, length = &c.Owner, int64(c.For)
	}
	args := append(columns(&e), owner, length, s.clock(c))
	again := false
	fail.Point("postgres.insert.before")
	err = s.run(ctx, "Insert", true, insertPatience, func(conn *pgx.Conn) error {
		var code int
		var seq, epoch *int64
		err := conn.QueryRow(ctx, s.d.sql("SELECT code, o_seq, o_epoch FROM @.insert($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)"), args...).Scan(&code, &seq, &epoch)
		was := again
		again = again || err != nil
		switch {
		case err != nil:
			return err
		case code == 1 && was:
			in, err = s.mine(ctx, conn, &e, c)
			return err
		case code != 0:
			return result(code)
		}
		in = outbox.Inserted{Seq: uint64(*seq)}
		if c != nil && *epoch != 0 {
			in.Lease = &outbox.Lease{Line: e.Line, Owner: c.Owner, Epoch: uint64(*epoch), Until: c.Now.Add(c.For).Round(0).UTC()}
		}
		return nil
	})
	fail.Point("postgres.insert.after")
	if err != nil {
		return outbox.Inserted{}, err
	}
	if e.State.Open() && in.Lease == nil {
		s.wake.tell()
	}
	return in, nil
}

// mine finds out, after a connection broke under an insert, whether that insert happened: the sealed
// header of every write is unique.
func (s *Outbox) mine(ctx context.Context, conn *pgx.Conn, e *outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	var seq int64
	var meta []byte
	err := conn.QueryRow(ctx, s.d.sql("SELECT seq, meta FROM @.item WHERE id = $1"), uuid(e.ID)).Scan(&seq, &meta)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return outbox.Inserted{}, err
	}
	if !bytes.Equal(meta, e.Meta) || len(meta) == 0 {
		return outbox.Inserted{}, outbox.ErrExists
	}
	in := outbox.Inserted{Seq: uint64(seq)}
	if c == nil {
		return in, nil
	}
	var epoch int64
	err = conn.QueryRow(ctx, s.d.sql("SELECT epoch FROM @.line WHERE line = $1 AND owner = $2 AND until <> 0"), uuid(e.Line), c.Owner).Scan(&epoch)
	switch {
	case err == nil:
		in.Lease = &outbox.Lease{Line: e.Line, Owner: c.Owner, Epoch: uint64(epoch), Until: c.Now.Add(c.For).Round(0).UTC()}
	case !errors.Is(err, pgx.ErrNoRows):
		return outbox.Inserted{}, err
	}
	return in, nil
}

// Load implements [outbox.Store].
func (s *Outbox) Load(ctx context.Context, id outbox.ID) (e outbox.Entry, err error) {
	err = s.run(ctx, "Load", false, 0, func(c *pgx.Conn) error {
		var r row
		err := c.QueryRow(ctx, s.d.sql("SELECT "+whole+" FROM @.item WHERE id = $1"), uuid(id)).Scan(r.targets(true)...)
		e = r.entry()
		return noRows(err)
	})
	if err != nil {
		return outbox.Entry{ID: id}, err
	}
	return e, nil
}

// Swap implements [outbox.Store].
func (s *Outbox) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	if e.State == 0 || e.State > outbox.Cancelled || e.Priority > outbox.Background {
		return outbox.ErrInvalid
	}
	var line *pgtype.UUID
	var owner *string
	var epoch int64
	if g.Lease != nil {
		l := uuid(g.Lease.Line)
		line, owner, epoch = &l, &g.Lease.Owner, int64(g.Lease.Epoch)
	}
	args := []any{
		uuid(e.ID), int64(e.Rev), int16(e.State), int16(e.Priority), int64(e.Attempt), stamp(e.Due), stamp(e.Expires), stamp(e.Changed),
		notNil(e.Meta), e.Payload, e.Answer, g.Drop, line, owner, epoch, g.Release,
	}
	var next *string
	again := false
	fail.Point("postgres.swap.before")
	err := s.run(ctx, "Swap", true, resultPatience, func(c *pgx.Conn) error {
		var code int
		err := c.QueryRow(ctx, s.d.sql("SELECT code, o_next FROM @.swap($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)"), args...).Scan(&code, &next)
		was := again
		again = again || err != nil
		switch {
		case err != nil:
			return err
		case code == 3 && was:
			return s.swapped(ctx, c, &e)
		}
		return result(code)
	})
	fail.Point("postgres.swap.after")
	if err == nil && next != nil && (g.Lease == nil || g.Release) {
		s.wake.tell()
		if *next != string(e.Kind) {
			s.wake.stir() // the next one is another worker's of this process
		}
	}
	return err
}

// swapped finds out, after a connection broke under a swap, whether that swap happened.
func (s *Outbox) swapped(ctx context.Context, c *pgx.Conn, e *outbox.Entry) error {
	var rev int64
	var meta []byte
	err := c.QueryRow(ctx, s.d.sql("SELECT rev, meta FROM @.item WHERE id = $1"), uuid(e.ID)).Scan(&rev, &meta)
	switch {
	case err != nil:
		return noRows(err)
	case uint64(rev) == e.Rev && bytes.Equal(meta, e.Meta) && len(meta) > 0:
		return nil
	}
	return outbox.ErrStale
}

// Claim implements [outbox.Store].
func (s *Outbox) Claim(ctx context.Context, c outbox.Claim) (out outbox.Claimed, err error) {
	kinds := make([]string, len(c.Kinds))
	for i, k := range c.Kinds {
		kinds[i] = string(k)
	}
	var line *pgtype.UUID
	if c.Line != nil {
		l := uuid(*c.Line)
		line = &l
	}
	args := []any{c.Owner, stamp(c.Now), int64(c.For), line, kinds, c.Urgent, s.clock(&c)}
	fail.Point("postgres.claim.before")
	err = s.run(ctx, "Claim", true, 0, func(conn *pgx.Conn) error {
		ctx, cancel := context.WithTimeout(ctx, s.d.maxClaim)
		defer cancel()
		rows, err := conn.Query(ctx, s.d.sql("SELECT c.code, c.o_left, c.o_epoch, c.o_next, (c.i).* FROM @.claim($1,$2,$3,$4,$5,$6,$7) c"), args...)
		if err != nil {
			return err
		}
		out, err = scanClaimed(rows, &c)
		return err
	})
	fail.Point("postgres.claim.after")
	return out, err
}

// scanClaimed reads the one row of a claim; without a code 0 it has no item.
func scanClaimed(rows pgx.Rows, c *outbox.Claim) (out outbox.Claimed, err error) {
	defer rows.Close()
	if !rows.Next() {
		return out, errors.Join(rows.Err(), pgx.ErrNoRows)
	}
	var code int
	var left, epoch, next *int64
	var r row
	item := r.targets(true)
	if err := rows.Scan(append([]any{&code, &left, &epoch, &next}, make([]any, len(item))...)...); err != nil {
		return out, err
	}
	if err := result(code); err != nil {
		if next != nil {
			out.Next = unstamp(*next)
		}
		return out, errors.Join(rows.Err(), err)
	}
	if err := rows.Scan(append([]any{nil, nil, nil, nil}, item...)...); err != nil {
		return out, err
	}
	out.Head = r.entry()
	out.Lease = outbox.Lease{
		Line: out.Head.Line, Owner: c.Owner, Epoch: uint64(*epoch), Until: c.Now.Add(time.Duration(*left)).Round(0).UTC(),
	}
	rows.Close() // the commit comes after the row
	return out, rows.Err()
}

// Release implements [outbox.Store].
func (s *Outbox) Release(ctx context.Context, l outbox.Lease) error {
	var freed bool
	err := s.run(ctx, "Release", true, resultPatience, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, s.d.sql("SELECT @.release($1, $2, $3)"), uuid(l.Line), l.Owner, int64(l.Epoch)).Scan(&freed)
	})
	if freed && err == nil {
		s.wake.tell()
	}
	return err
}

// Remove implements [outbox.Store].
func (s *Outbox) Remove(ctx context.Context, id outbox.ID, rev uint64, reason string) error {
	again := false
	return s.run(ctx, "Remove", true, resultPatience, func(c *pgx.Conn) error {
		var code int
		err := c.QueryRow(ctx, s.d.sql("SELECT @.remove($1, $2, $3)"), uuid(id), int64(rev), reason).Scan(&code)
		was := again
		again = again || err != nil
		switch {
		case err != nil:
			return err
		case code == 2 && was:
			return nil // the first try did it, or somebody else: it is gone
		}
		return result(code)
	})
}

// Mark implements [outbox.Store].
func (s *Outbox) Mark(ctx context.Context, name string, old, next []byte) (now []byte, err error) {
	fail.Point("postgres.mark.before")
	err = s.run(ctx, "Mark", next != nil, resultPatience, func(c *pgx.Conn) error {
		if next == nil {
			err := c.QueryRow(ctx, s.d.sql("SELECT value FROM @.mark WHERE name = $1"), name).Scan(&now)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			return err
		}
		return c.QueryRow(ctx, s.d.sql("SELECT @.set_mark($1, $2, $3)"), name, old, next).Scan(&now)
	})
	fail.Point("postgres.mark.after")
	return now, err
}
