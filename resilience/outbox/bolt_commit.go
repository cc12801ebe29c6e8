package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
)

// operation is one write waiting for its turn. It must change nothing before it is sure not to
// fail, and may be run again after a rollback.
type operation struct {
	do   func(*boltTx) error
	err  error
	turn chan bool // false: it is done; true: the queue is yours to write
}

// maxBatch bounds how many writes share one sync of the disk.
const maxBatch = 256

// update runs a write and returns when it is on disk. It is the group commit: whoever finds nobody
// writing writes, for himself and for all who came meanwhile; then the first of those who came
// later takes over. One writer alone waits for nobody and changes no goroutine.
//
// A context that ends does not end the wait: whoever is told "it failed" must be able to rely on
// it.
func (s *Bolt) update(ctx context.Context, do func(*boltTx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o := &operation{do: do, turn: make(chan bool, 1)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.queue = append(s.queue, o)
	if s.writing {
		s.mu.Unlock()
		if mine := <-o.turn; !mine {
			return o.err
		}
		s.mu.Lock()
	}
	s.writing = true
	n := min(len(s.queue), maxBatch)
	batch := s.queue[:n:n] // o is the first of it
	s.queue = s.queue[n:]
	s.mu.Unlock()
	s.commit(batch)
	s.pass()
	return o.err
}

// pass hands the queue on.
func (s *Bolt) pass() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 {
		s.queue[0].turn <- true
		return
	}
	s.queue, s.writing = nil, false
	s.idle.Broadcast()
}

// commit writes a batch. When it fails as a whole, each write gets a transaction of its own, so
// that one that is too large does not fail the others.
func (s *Bolt) commit(batch []*operation) {
	err := s.transact(batch)
	if err != nil && len(batch) > 1 && !errors.Is(err, ErrBroken) {
		for _, o := range batch {
			if e := s.transact([]*operation{o}); e != nil {
				o.err = e
			}
		}
		err = nil
	}
	for i, o := range batch {
		if err != nil {
			o.err = err
		}
		if i > 0 {
			o.turn <- false
		}
	}
}

// transact runs the operations and makes them last. Errors of single operations stay with them.
func (s *Bolt) transact(batch []*operation) (err error) {
	s.live.Lock()
	defer s.live.Unlock()
	if s.broken != nil {
		return s.broken
	}
	defer func() {
		if errors.Is(err, ErrCorrupt) {
			err = s.fail(err) // bbolt lost its way in the middle of a write
		}
	}()
	defer faults(&err)()
	t := s.t
	t.redo, t.large = t.redo[:0], false
	dirty := false
	for _, o := range batch {
		t.dirty = false
		o.err = o.do(t)
		if o.err != nil && t.dirty { // half a write: go back to what is on disk
			return errors.Join(fmt.Errorf("outbox: half a write was undone: %w", o.err), s.restore())
		}
		dirty = dirty || t.dirty
	}
	if !dirty {
		return nil
	}
	if err := t.flush(); err != nil {
		return s.fail(err)
	}
	t.changed = true
	if t.large || !s.j.fits(len(t.redo)) {
		return s.checkpoint()
	}
	if err := s.j.append(t.redo); err != nil {
		return s.fail(clean("writing the journal", err))
	}
	return nil
}

// checkpoint commits what the journal holds, and what was just done, to the file. A full disk leaves
// all as it was before the last writes.
func (s *Bolt) checkpoint() error {
	t := s.t
	if err := t.b(bktMeta).Put(keyGen, be64(s.j.gen+1)); err != nil {
		return s.fail(err)
	}
	fail.Point("commit.before")
	if err := t.Commit(); err != nil {
		if full(err) {
			return errors.Join(ErrFull, s.restore())
		}
		return s.fail(clean("writing", err))
	}
	fail.Point("commit.after")
	s.t = nil
	return s.begin()
}

// begin starts the transaction that collects what is in the journal.
func (s *Bolt) begin() error {
	tx, err := s.db.Begin(true)
	if err != nil {
		return s.fail(clean("beginning a write", err))
	}
	s.t = newBoltTx(tx)
	s.j.gen, s.j.off = generation(tx), 0
	return nil
}

func (s *Bolt) drop() {
	if s.t != nil {
		_ = s.t.Rollback() // no-op after a commit
		s.t = nil
	}
}

// restore makes the transaction anew from the file and the journal.
func (s *Bolt) restore() error {
	s.drop()
	if err := s.begin(); err != nil {
		return err
	}
	bodies, err := s.j.load(s.j.gen)
	if err != nil {
		return s.fail(clean("reading the journal", err))
	}
	for _, body := range bodies {
		if err := redo(s.t.Tx, body); err != nil {
			return s.fail(err)
		}
	}
	s.t.changed = len(bodies) > 0
	return nil
}

// fail stops all writes: the disk failed at a moment when nobody knows what it holds, so the file
// must be opened again. A full disk is another matter: bbolt finds out before it changes anything
// that counts.
func (s *Bolt) fail(err error) error {
	s.broken = fmt.Errorf("%w: %w", ErrBroken, err)
	s.drop()
	return s.broken
}
