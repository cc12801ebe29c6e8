package outboxtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Memory is the simplest store that keeps the contract, and loses everything with the process. It
// is the model of the suite, and serves tests that need a Box but no disk.
type Memory struct {
	mu     sync.Mutex
	closed bool
	seq    uint64
	epoch  uint64
	items  map[outbox.ID]outbox.Entry
	aside  map[outbox.ID]outbox.Entry
	leases map[outbox.Line]outbox.Lease
	marks  map[string][]byte
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		items: map[outbox.ID]outbox.Entry{}, aside: map[outbox.ID]outbox.Entry{},
		leases: map[outbox.Line]outbox.Lease{}, marks: map[string][]byte{},
	}
}

func clone(e outbox.Entry) outbox.Entry {
	e.Meta, e.Payload, e.Answer = bytes.Clone(e.Meta), bytes.Clone(e.Payload), bytes.Clone(e.Answer)
	return e
}

// lock takes the lock, or returns what forbids the call.
func (m *Memory) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return outbox.ErrClosed
	}
	return nil
}

// head returns the first open entry of a line.
func (m *Memory) head(l outbox.Line) (best outbox.Entry, ok bool) {
	for _, e := range m.items {
		if e.Line == l && e.State.Open() && (!ok || e.Seq < best.Seq) {
			best, ok = e, true
		}
	}
	return best, ok
}

// tidy ends the lease of a line without open entries.
func (m *Memory) tidy(l outbox.Line) {
	if _, ok := m.head(l); !ok {
		delete(m.leases, l)
	}
}

func (m *Memory) lend(l outbox.Line, c *outbox.Claim) outbox.Lease {
	old, held := m.leases[l]
	until := c.Now.Add(c.For)
	if held && old.Owner == c.Owner && !c.Now.After(old.Until) {
		if until.After(old.Until) {
			old.Until = until
		}
		m.leases[l] = old
		return old
	}
	m.epoch++
	m.leases[l] = outbox.Lease{Line: l, Owner: c.Owner, Epoch: m.epoch, Until: until}
	return m.leases[l]
}

// Insert implements outbox.Store.
func (m *Memory) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	if err := m.lock(ctx); err != nil {
		return outbox.Inserted{}, err
	}
	defer m.mu.Unlock()
	if _, ok := m.items[e.ID]; ok {
		return outbox.Inserted{}, outbox.ErrExists
	}
	_, waits := m.head(e.Line)
	m.seq++
	e.Seq = m.seq
	m.items[e.ID] = clone(e)
	in := outbox.Inserted{Seq: e.Seq}
	if c != nil && !waits && e.State.Open() {
		l := m.lend(e.Line, c)
		in.Lease = &l
	}
	return in, nil
}

// Load implements outbox.Store.
func (m *Memory) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	if err := m.lock(ctx); err != nil {
		return outbox.Entry{}, err
	}
	defer m.mu.Unlock()
	e, ok := m.items[id]
	if !ok {
		return outbox.Entry{}, outbox.ErrNotFound
	}
	return clone(e), nil
}

// Headers implements outbox.Store.
func (m *Memory) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	if len(ids) > outbox.MaxHeaders {
		return nil, outbox.ErrInvalid
	}
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []outbox.Entry
	for _, id := range ids {
		if e, ok := m.items[id]; ok {
			e.Meta, e.Payload, e.Answer = bytes.Clone(e.Meta), nil, nil
			out = append(out, e)
		} else if _, ok := m.aside[id]; ok {
			out = append(out, outbox.Entry{ID: id})
		}
	}
	return out, nil
}

// Swap implements outbox.Store.
func (m *Memory) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	was, ok := m.items[e.ID]
	switch {
	case !ok:
		return outbox.ErrNotFound
	case was.Rev+1 != e.Rev:
		return outbox.ErrStale
	case g.Lease != nil && !m.holds(*g.Lease):
		return outbox.ErrLeaseLost
	}
	e = clone(e)
	e.Seq, e.Line, e.Kind = was.Seq, was.Line, was.Kind
	if e.Payload == nil && !g.Drop {
		e.Payload = was.Payload
	}
	if e.Answer == nil {
		e.Answer = was.Answer
	}
	m.items[e.ID] = e
	if g.Lease != nil && g.Release {
		delete(m.leases, e.Line)
	}
	m.tidy(e.Line)
	return nil
}

func (m *Memory) holds(l outbox.Lease) bool {
	got, ok := m.leases[l.Line]
	return ok && got.Owner == l.Owner && (l.Epoch == 0 || got.Epoch == l.Epoch)
}

// free returns whether the line may be lent to owner.
func (m *Memory) free(l outbox.Line, at time.Time) bool {
	got, ok := m.leases[l]
	return !ok || at.After(got.Until)
}

// Claim implements outbox.Store.
func (m *Memory) Claim(ctx context.Context, c outbox.Claim) (outbox.Claimed, error) {
	if err := m.lock(ctx); err != nil {
		return outbox.Claimed{}, err
	}
	defer m.mu.Unlock()
	if c.Line != nil {
		head, ok := m.head(*c.Line)
		switch {
		case !m.free(*c.Line, c.Now) && m.leases[*c.Line].Owner != c.Owner:
			return outbox.Claimed{}, outbox.ErrLeased
		case !ok:
			return outbox.Claimed{}, outbox.ErrNothing
		}
		return outbox.Claimed{Lease: m.lend(*c.Line, &c), Head: clone(head)}, nil
	}
	var best outbox.Entry
	var found bool
	var next time.Time
	for _, e := range m.heads() {
		if !slices.Contains(c.Kinds, e.Kind) || c.Urgent && e.Priority != outbox.Interactive {
			continue
		}
		due := e.Due
		if l, ok := m.leases[e.Line]; ok && due.Before(l.Until.Add(1)) {
			due = l.Until.Add(1)
		}
		if due.After(c.Now) {
			if next.IsZero() || due.Before(next) {
				next = due
			}
			continue
		}
		e.Due = due
		if !found || before(e, best) {
			best, found = e, true
		}
	}
	if !found {
		return outbox.Claimed{Next: next}, outbox.ErrNothing
	}
	return outbox.Claimed{Lease: m.lend(best.Line, &c), Head: clone(m.items[best.ID])}, nil
}

// rank orders priorities, the most urgent first.
func rank(p outbox.Priority) int {
	return slices.Index([]outbox.Priority{outbox.Interactive, outbox.Normal, outbox.Background}, p)
}

func before(a, b outbox.Entry) bool {
	return cmp.Or(cmp.Compare(rank(a.Priority), rank(b.Priority)), a.Due.Compare(b.Due), bytes.Compare(a.Line[:], b.Line[:])) < 0
}

func (m *Memory) heads() []outbox.Entry {
	by := map[outbox.Line]outbox.Entry{}
	for _, e := range m.items {
		if h, ok := by[e.Line]; e.State.Open() && (!ok || e.Seq < h.Seq) {
			by[e.Line] = e
		}
	}
	out := make([]outbox.Entry, 0, len(by))
	for _, e := range by {
		out = append(out, e)
	}
	return out
}

// Release implements outbox.Store.
func (m *Memory) Release(ctx context.Context, l outbox.Lease) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if m.holds(l) {
		delete(m.leases, l.Line)
	}
	return nil
}

// List implements outbox.Store.
func (m *Memory) List(ctx context.Context, q outbox.Query) (outbox.Page, error) {
	if err := m.lock(ctx); err != nil {
		return outbox.Page{}, err
	}
	defer m.mu.Unlock()
	key := func(e outbox.Entry) []byte { return e.ID[:] }
	from := m.items
	switch {
	case q.Aside:
		from = m.aside
	case !q.Overdue.IsZero():
		key = func(e outbox.Entry) []byte { return append(stamp(e.Expires), e.ID[:]...) }
	case q.State != 0 && !q.State.Open():
		key = func(e outbox.Entry) []byte { return append(stamp(e.Changed), e.ID[:]...) }
	}
	var all []outbox.Entry
	for _, e := range from {
		if wanted(q, e) && (q.After == nil || bytes.Compare(key(e), q.After) > 0) {
			e = clone(e)
			e.Payload, e.Answer = nil, nil
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b outbox.Entry) int { return bytes.Compare(key(a), key(b)) })
	limit := min(q.Limit, 1000)
	if limit <= 0 {
		limit = 100
	}
	if len(all) <= limit {
		return outbox.Page{Entries: all}, nil
	}
	return outbox.Page{Entries: all[:limit], More: key(all[limit-1])}, nil
}

func stamp(t time.Time) []byte { return binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())) }

func wanted(q outbox.Query, e outbox.Entry) bool {
	switch {
	case q.Aside:
		return true
	case !q.Overdue.IsZero():
		return e.State.Waiting() && !e.Expires.IsZero() && !e.Expires.After(q.Overdue)
	case q.State == 0:
		return true
	}
	return e.State == q.State && (q.State.Open() || q.Before.IsZero() || e.Changed.Before(q.Before))
}

// Count implements outbox.Store.
func (m *Memory) Count(ctx context.Context) (outbox.Counts, error) {
	if err := m.lock(ctx); err != nil {
		return outbox.Counts{}, err
	}
	defer m.mu.Unlock()
	c := outbox.Counts{By: map[outbox.Kind]map[outbox.State]int{}, Aside: len(m.aside)}
	for _, e := range m.items {
		if c.By[e.Kind] == nil {
			c.By[e.Kind] = map[outbox.State]int{}
		}
		c.By[e.Kind][e.State]++
	}
	return c, nil
}

// Remove implements outbox.Store.
func (m *Memory) Remove(ctx context.Context, id outbox.ID, rev uint64, reason string) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	e, ok := m.items[id]
	switch {
	case !ok:
		return outbox.ErrNotFound
	case rev != 0 && rev != e.Rev:
		return outbox.ErrStale
	case reason != "":
		m.aside[id] = e
	}
	delete(m.items, id)
	m.tidy(e.Line)
	return nil
}

// Mark implements outbox.Store.
func (m *Memory) Mark(ctx context.Context, name string, old, next []byte) ([]byte, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	now, ok := m.marks[name]
	if next != nil && (old != nil) == ok && bytes.Equal(old, now) {
		m.marks[name] = bytes.Clone(next)
	}
	return bytes.Clone(m.marks[name]), nil
}

// Close implements outbox.Store. A closed Memory can be opened again with [Memory.Reopen], with
// everything it held: it plays the disk too.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// Reopen makes a closed store usable again.
func (m *Memory) Reopen() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = false
	return m
}
