package outbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// Insert implements [Store].
func (s *Bolt) Insert(ctx context.Context, e Entry, c *Claim) (Inserted, error) {
	var in Inserted
	err := s.update(ctx, func(t *boltTx) (err error) {
		in = Inserted{}
		if t.b(bktItem).Get(e.ID[:]) != nil {
			return ErrExists
		}
		if e.Rev != 1 || e.State == 0 || !e.Kind.valid() {
			return ErrInvalid
		}
		n := e
		if n.Seq, err = t.next(bktLine); err != nil {
			return err
		}
		rec, _ := t.line(e.Line)
		if c != nil && e.State.Open() && rec.due == nil {
			if err := rec.lend(t, c); err != nil {
				return err
			}
			l := rec.lease(e.Line)
			in.Lease = &l
		}
		if err := errors.Join(t.store(&n, false), t.file(&n, true)); err != nil {
			return err
		}
		in.Seq = n.Seq
		if !n.State.Open() {
			return nil
		}
		return t.settle(n.Line, rec)
	})
	if err != nil {
		return Inserted{}, err
	}
	return in, nil
}

// lend gives the line to the owner of c, or extends his lease.
func (r *lineRec) lend(t *boltTx, c *Claim) error {
	until := stamp(c.Now.Add(c.For))
	if r.until != 0 && r.owner == c.Owner {
		r.until = max(r.until, until)
		return nil
	}
	epoch, err := t.next(bktDue)
	if err != nil {
		return err
	}
	r.epoch, r.owner, r.until = epoch, c.Owner, until
	return nil
}

func (r *lineRec) lease(l Line) Lease {
	return Lease{Line: l, Owner: r.owner, Epoch: r.epoch, Until: unstamp(uint64(r.until))}
}

// Load implements [Store].
func (s *Bolt) Load(_ context.Context, id ID) (e Entry, err error) {
	err = s.read(func(t *boltTx) (err error) {
		e, err = t.whole(id)
		return err
	})
	return e, err
}

// Swap implements [Store].
func (s *Bolt) Swap(ctx context.Context, e Entry, g Guard) error {
	return s.update(ctx, func(t *boltTx) error {
		was, err := t.entry(e.ID)
		if err != nil {
			return err
		}
		if was.Rev+1 != e.Rev {
			return ErrStale
		}
		rec, _ := t.line(was.Line)
		if g.Lease != nil && !rec.heldBy(g.Lease) {
			return ErrLeaseLost
		}
		n := e
		n.Seq, n.Line, n.Kind = was.Seq, was.Line, was.Kind
		if g.Release && g.Lease != nil {
			rec.until, rec.owner = 0, ""
		}
		if err := errors.Join(t.file(&was, false), t.store(&n, g.Drop), t.file(&n, true)); err != nil {
			return err
		}
		if !was.State.Open() && !n.State.Open() && g.Lease == nil {
			return nil
		}
		return t.settle(n.Line, rec)
	})
}

// Claim implements [Store].
func (s *Bolt) Claim(ctx context.Context, c Claim) (Claimed, error) {
	if got, ok, err := s.peek(c); err != nil || ok {
		return got, err
	}
	var out Claimed
	var some bool
	err := s.update(ctx, func(t *boltTx) (err error) {
		out, some = Claimed{}, false
		if c.Line != nil {
			some, err = t.claimLine(*c.Line, c, &out)
			return err
		}
		for {
			best, next := t.best(c)
			if best == nil {
				out.Next = next
				return nil // not ErrNothing: empty lines may have been cleared away, and that stays
			}
			if some, err = t.claimLine(*best, c, &out); some || err != nil {
				return err
			}
		}
	})
	switch {
	case err != nil:
		return Claimed{}, err
	case !some:
		return Claimed{Next: out.Next}, ErrNothing
	}
	return out, nil
}

// peek finds out without a write that there is nothing to claim: idle workers cost no sync.
func (s *Bolt) peek(c Claim) (out Claimed, ok bool, err error) {
	if c.Line != nil {
		return Claimed{}, false, nil
	}
	verr := s.read(func(t *boltTx) error {
		best, next := t.best(c)
		if best == nil {
			out.Next, ok, err = next, true, ErrNothing
		}
		return nil
	})
	if verr != nil {
		return Claimed{}, false, verr
	}
	return out, ok, err
}

// claimLine lends line l; false when the line turned out to be empty.
func (t *boltTx) claimLine(l Line, c Claim, out *Claimed) (bool, error) {
	rec, _ := t.line(l)
	if !rec.free(c.Now) && rec.owner != c.Owner {
		return false, ErrLeased
	}
	head, ok, err := t.head(l)
	if err != nil {
		return false, err
	}
	if t.dirty { // something damaged was cleared away, and all indexes with it
		rec, _ = t.line(l)
	}
	if !ok {
		if rec.due != nil {
			err = t.settle(l, rec)
		}
		return false, err
	}
	before := rec
	if rec.free(c.Now) {
		rec.until, rec.owner = 0, "" // over: a new lease, not an extended one
	}
	if err := rec.lend(t, &c); err != nil {
		return false, err
	}
	if rec.until != before.until || rec.epoch != before.epoch {
		if err := t.settle(l, rec); err != nil {
			return false, err
		}
	}
	out.Lease = rec.lease(l)
	out.Head, err = t.whole(head.ID)
	return true, err
}

// best finds the line to serve next among free ones, or when there will be one.
func (t *boltTx) best(c Claim) (line *Line, next time.Time) {
	cur := t.b(bktDue).Cursor()
	now := uint64(stamp(c.Now))
	var bestRank byte
	var bestDue, soonest uint64
	for _, k := range c.Kinds {
		for rank := byte(0); rank <= 2; rank++ {
			if c.Urgent && rank != Interactive.rank() {
				break
			}
			prefix := append([]byte(k), 0, rank)
			key, _ := cur.Seek(prefix)
			if !bytes.HasPrefix(key, prefix) || len(key) != len(prefix)+24 {
				continue
			}
			due := binary.BigEndian.Uint64(key[len(prefix):])
			if due > now {
				if soonest == 0 || due < soonest {
					soonest = due
				}
				continue
			}
			l := Line(key[len(prefix)+8:])
			if line == nil || cmp.Or(cmp.Compare(rank, bestRank), cmp.Compare(due, bestDue), bytes.Compare(l[:], line[:])) < 0 {
				line, bestRank, bestDue = &l, rank, due
			}
		}
	}
	return line, unstamp(soonest)
}

// Release implements [Store].
func (s *Bolt) Release(ctx context.Context, l Lease) error {
	return s.update(ctx, func(t *boltTx) error {
		rec, ok := t.line(l.Line)
		if !ok || !rec.heldBy(&l) {
			return nil
		}
		rec.until, rec.owner = 0, ""
		return t.settle(l.Line, rec)
	})
}

// Remove implements [Store].
func (s *Bolt) Remove(ctx context.Context, id ID, rev uint64, reason string) error {
	return s.update(ctx, func(t *boltTx) error {
		e, err := t.entry(id)
		switch {
		case errors.Is(err, ErrCorrupt) && reason != "":
			return t.setAside(id[:], reason)
		case err != nil:
			return err
		case rev != 0 && rev != e.Rev:
			return ErrStale
		case reason != "":
			return t.setAside(id[:], reason)
		}
		if err := errors.Join(t.file(&e, false), t.del(bktItem, id[:]), t.del(bktPayload, id[:]), t.del(bktAnswer, id[:])); err != nil {
			return err
		}
		if !e.State.Open() {
			return nil
		}
		rec, _ := t.line(e.Line)
		return t.settle(e.Line, rec)
	})
}

// setAside moves a damaged item, as it is, where nothing trips over it. Its header cannot be
// trusted, so the derived buckets are made anew.
func (t *boltTx) setAside(id []byte, reason string) error {
	if len(id) != 16 || t.b(bktItem).Get(id) == nil {
		return nil // an index that points nowhere
	}
	for _, part := range [][]byte{bktItem, bktPayload, bktAnswer} {
		v := bytes.Clone(t.b(part).Get(id))
		if v == nil {
			continue
		}
		key := append(bytes.Clone(id), part[0])
		if err := errors.Join(t.put(bktAside, key, v), t.del(part, id)); err != nil {
			return err
		}
	}
	if err := t.put(bktAside, append(bytes.Clone(id), 'r'), []byte(clip(reason))); err != nil {
		return err
	}
	return t.derive()
}

// Mark implements [Store].
func (s *Bolt) Mark(ctx context.Context, name string, old, next []byte) (now []byte, err error) {
	key := []byte("mark/" + name)
	if next == nil {
		err = s.read(func(t *boltTx) error {
			now = bytes.Clone(t.b(bktMeta).Get(key))
			return nil
		})
		return now, err
	}
	err = s.update(ctx, func(t *boltTx) error {
		now = bytes.Clone(t.b(bktMeta).Get(key))
		if !bytes.Equal(now, old) || (now == nil) != (old == nil) {
			return nil
		}
		now = bytes.Clone(next)
		return t.put(bktMeta, key, next)
	})
	return now, err
}

// Count implements [Store].
func (s *Bolt) Count(context.Context) (Counts, error) {
	c := Counts{By: map[Kind]map[State]int{}}
	err := s.read(func(t *boltTx) error {
		cur := t.b(bktMeta).Cursor()
		for k, v := cur.Seek([]byte(countPrefix)); bytes.HasPrefix(k, []byte(countPrefix)); k, v = cur.Next() {
			kind, state, ok := bytes.Cut(k[len(countPrefix):], []byte("/"))
			if !ok || len(state) != 1 || len(v) != 8 {
				return &CorruptError{Part: "index"}
			}
			if c.By[Kind(kind)] == nil {
				c.By[Kind(kind)] = map[State]int{}
			}
			c.By[Kind(kind)][State(state[0]-'0')] = int(binary.BigEndian.Uint64(v))
		}
		cur = t.b(bktAside).Cursor()
		for k, _ := cur.First(); k != nil; k, _ = cur.Next() {
			if len(k) == 17 && k[16] == 'r' {
				c.Aside++
			}
		}
		return nil
	})
	return c, err
}
