package postgres

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// listing is one kind of list: a walk along an index. What is compared with the place of the page
// before is what orders the list.
type listing struct {
	from  string // table
	where string
	args  []any
	order string // one number, or "" for the id alone
}

func listingOf(q outbox.Query) listing {
	switch {
	case q.Aside:
		return listing{from: "aside", where: "true"}
	case !q.Overdue.IsZero():
		return listing{from: "item", where: "state <= 3 AND expires <> 0 AND expires <= $1", args: []any{stamp(q.Overdue)}, order: "expires"}
	case q.State == 0:
		return listing{from: "item", where: "true"}
	case q.State.Open():
		// The index of open items is small beside that of all.
		return listing{from: "item", where: "state BETWEEN 2 AND 5 AND state = $1", args: []any{int16(q.State)}, order: "seq"}
	}
	l := listing{from: "item", where: "NOT (state BETWEEN 2 AND 5) AND state = $1", args: []any{int16(q.State)}, order: "changed"}
	if !q.Before.IsZero() {
		l.where += " AND changed < $2"
		l.args = append(l.args, stamp(q.Before))
	}
	return l
}

// after continues behind the place of the page before: a number and an id.
func (l *listing) after(more []byte) error {
	if more == nil {
		return nil
	}
	if len(more) != 24 {
		return fmt.Errorf("%w: page", outbox.ErrInvalid)
	}
	id, n := uuid([16]byte(more[8:])), len(l.args)
	if l.order == "" {
		l.where += fmt.Sprintf(" AND id > $%d", n+1)
		l.args = append(l.args, id)
		return nil
	}
	l.where += fmt.Sprintf(" AND (%s, id) > ($%d, $%d)", l.order, n+1, n+2)
	l.args = append(l.args, int64(binary.BigEndian.Uint64(more)), id)
	return nil
}

func (l *listing) sql(limit int) string {
	order := "id"
	if l.order != "" {
		order = l.order + ", id"
	}
	return fmt.Sprintf("SELECT %s FROM @.%s WHERE %s ORDER BY %s LIMIT %d", header, l.from, l.where, order, limit)
}

// place is where an entry stands in the list.
func (l *listing) place(e *outbox.Entry) []byte {
	n := int64(0)
	switch l.order {
	case "expires":
		n = stamp(e.Expires)
	case "changed":
		n = stamp(e.Changed)
	case "seq":
		n = int64(e.Seq)
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(n)), e.ID[:]...)
}

// List implements [outbox.Store].
func (s *Outbox) List(ctx context.Context, q outbox.Query) (outbox.Page, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	l := listingOf(q)
	if err := l.after(q.After); err != nil {
		return outbox.Page{}, err
	}
	var p outbox.Page
	err := s.run(ctx, "List", false, 0, func(c *pgx.Conn) error {
		p = outbox.Page{}
		rows, err := c.Query(ctx, s.d.sql(l.sql(limit+1)), l.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r row
			if err := rows.Scan(r.targets(false)...); err != nil {
				return err
			}
			p.Entries = append(p.Entries, r.entry())
		}
		return rows.Err()
	})
	if err != nil {
		return outbox.Page{}, err
	}
	if len(p.Entries) > limit {
		p.Entries = p.Entries[:limit]
		p.More = l.place(&p.Entries[limit-1])
	}
	return p, nil
}

// Headers implements [outbox.Store]. It is one statement, and so sees one moment.
func (s *Outbox) Headers(ctx context.Context, ids []outbox.ID) (out []outbox.Entry, err error) {
	if len(ids) > outbox.MaxHeaders {
		return nil, fmt.Errorf("%w: more than %d ids", outbox.ErrInvalid, outbox.MaxHeaders)
	}
	asked := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		asked[i] = uuid(id)
	}
	read := func(q lister) error {
		rows, err := q.Query(ctx, s.d.sql(
			"SELECT false, "+header+" FROM @.item WHERE id = ANY($1) UNION ALL SELECT true, "+header+" FROM @.aside WHERE id = ANY($1)"), asked)
		if err != nil {
			return err
		}
		out, err = inOrder(rows, ids)
		return err
	}
	if j := joinFrom(ctx); j != nil {
		err = s.readJoined(j, read)
	} else {
		err = s.run(ctx, "Headers", false, 0, func(c *pgx.Conn) error { return read(c) })
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// lister is a connection or a transaction.
type lister interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// inOrder reads headers that come in any order.
func inOrder(rows pgx.Rows, ids []outbox.ID) ([]outbox.Entry, error) {
	defer rows.Close()
	found := map[outbox.ID]outbox.Entry{}
	for rows.Next() {
		var r row
		var aside bool
		if err := rows.Scan(append([]any{&aside}, r.targets(false)...)...); err != nil {
			return nil, err
		}
		if !aside {
			found[r.id] = r.entry()
		} else if _, again := found[r.id]; !again {
			found[r.id] = outbox.Entry{ID: r.id}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	out := make([]outbox.Entry, 0, len(found))
	for _, id := range ids {
		if e, ok := found[id]; ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// Count implements [outbox.Store]. It reads an index of all items: a fifth of a second per million.
func (s *Outbox) Count(ctx context.Context) (outbox.Counts, error) {
	var out outbox.Counts
	err := s.run(ctx, "Count", false, 0, func(c *pgx.Conn) error {
		out = outbox.Counts{By: map[outbox.Kind]map[outbox.State]int{}}
		rows, err := c.Query(ctx, s.d.sql("SELECT kind, state, count(*) FROM @.item GROUP BY kind, state UNION ALL SELECT '', 0, count(*) FROM @.aside"))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var kind outbox.Kind
			var state int16
			var n int
			if err := rows.Scan((*string)(&kind), &state, &n); err != nil {
				return err
			}
			if kind == "" {
				out.Aside = n
				continue
			}
			if out.By[kind] == nil {
				out.By[kind] = map[outbox.State]int{}
			}
			out.By[kind][outbox.State(state)] = n
		}
		return rows.Err()
	})
	return out, err
}

// disagree is true when a line and its items do not fit together. One statement sees one moment.
const disagree = `SELECT EXISTS (
	SELECT FROM (
		SELECT DISTINCT ON (line) line, id, kind, @.rank(priority) AS rank, due FROM @.item WHERE state BETWEEN 2 AND 5 ORDER BY line, seq
	) h FULL JOIN @.line l USING (line)
	WHERE h.id IS NULL OR l.head IS NULL OR h.id <> l.head OR h.kind <> l.kind OR h.rank <> l.rank OR h.due <> l.due
) OR EXISTS (SELECT FROM @.item WHERE seq = 0)`

// Check implements [outbox.Checker]: it compares the lines with the items they are derived from.
func (s *Outbox) Check(ctx context.Context) error {
	var bad bool
	err := s.run(ctx, "Check", false, 0, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, s.d.sql(disagree)).Scan(&bad)
	})
	if err == nil && bad {
		err = &outbox.CorruptError{Part: "index"}
	}
	return err
}
