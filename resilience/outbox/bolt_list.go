package outbox

import (
	"bytes"
	"context"
	"errors"
)

// List implements [Store].
func (s *Bolt) List(_ context.Context, q Query) (p Page, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	err = s.read(func(t *boltTx) error {
		p = listing(q).page(t, q, limit)
		return nil
	})
	return p, err
}

// Headers implements [Store].
func (s *Bolt) Headers(_ context.Context, ids []ID) (out []Entry, err error) {
	if len(ids) > MaxHeaders {
		return nil, errTooMany
	}
	err = s.read(func(t *boltTx) error {
		out = make([]Entry, 0, len(ids))
		for _, id := range ids {
			e, err := t.entry(id)
			if errors.Is(err, ErrNotFound) && t.b(bktAside).Get(append(bytes.Clone(id[:]), 'r')) == nil {
				continue
			}
			out = append(out, e) // with an error: its id only
		}
		return nil
	})
	return out, err
}

// listed tells how one kind of list walks the file.
type listed struct {
	bucket []byte
	start  []byte                                               // where the keys of interest begin
	more   func(k []byte) bool                                  // whether a key is still of interest
	id     func(k, v []byte) (ID, bool)                         // the entry it stands for
	want   func(e *Entry) bool                                  // after looking at it
	entry  func(t *boltTx, id ID, v []byte) (e Entry, e2 error) // nil = by id
}

func listing(q Query) listed {
	all := func([]byte) bool { return true }
	byID := func(k, _ []byte) (ID, bool) { return ID(k), len(k) == 16 }
	any := func(*Entry) bool { return true }
	switch {
	case q.Aside:
		return listed{
			bucket: bktAside, more: all, want: any,
			id: func(k, _ []byte) (ID, bool) {
				if len(k) != 17 || k[16] != bktItem[0] {
					return ID{}, false
				}
				return ID(k[:16]), true
			},
			entry: func(_ *boltTx, id ID, v []byte) (Entry, error) {
				e, err := parseHeader(id, v)
				if err != nil {
					e = Entry{ID: id}
				}
				return e, nil
			},
		}
	case !q.Overdue.IsZero():
		last := be64(uint64(stamp(q.Overdue)))
		return listed{
			bucket: bktExpiry, want: func(e *Entry) bool { return e.State.Waiting() },
			more: func(k []byte) bool { return len(k) == 24 && bytes.Compare(k[:8], last) <= 0 },
			id:   func(k, _ []byte) (ID, bool) { return ID(k[8:]), true },
		}
	case q.State == 0:
		return listed{bucket: bktItem, more: all, id: byID, want: any}
	case q.State.Open():
		return listed{
			bucket: bktLine, more: all, want: func(e *Entry) bool { return e.State == q.State },
			id: func(k, v []byte) (ID, bool) {
				if len(k) != 24 || len(v) != 16 {
					return ID{}, false
				}
				return ID(v), true
			},
		}
	}
	return listed{
		bucket: bktSettled, start: []byte{byte(q.State)}, want: any,
		more: func(k []byte) bool {
			return len(k) == 25 && k[0] == byte(q.State) && (q.Before.IsZero() || bytes.Compare(k[1:9], be64(uint64(stamp(q.Before)))) < 0)
		},
		id: func(k, _ []byte) (ID, bool) { return ID(k[9:]), true },
	}
}

func (w listed) page(t *boltTx, q Query, limit int) (p Page) {
	cur := t.b(w.bucket).Cursor()
	k, v := cur.Seek(w.start)
	if q.After != nil {
		if k, v = cur.Seek(q.After); bytes.Equal(k, q.After) {
			k, v = cur.Next()
		}
	}
	var last []byte
	for ; k != nil && w.more(k); k, v = cur.Next() {
		if len(p.Entries) == limit {
			p.More = bytes.Clone(last)
			return p
		}
		id, ok := w.id(k, v)
		if !ok {
			continue
		}
		e, err := t.entryAt(w, id, v)
		if errors.Is(err, ErrNotFound) || err == nil && !w.want(&e) {
			continue
		}
		// A header that cannot be read is listed by its id: opening it will tell.
		p.Entries = append(p.Entries, e)
		last = k
	}
	return p
}

func (t *boltTx) entryAt(w listed, id ID, v []byte) (Entry, error) {
	if w.entry != nil {
		return w.entry(t, id, v)
	}
	return t.entry(id)
}
