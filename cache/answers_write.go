package cache

import (
	"context"
	"errors"
	"time"
)

// maxBatch bounds how many writes share one transaction: all that may wait.
const maxBatch = MaxWaiting

// write is one change waiting for the store.
type write struct {
	id     AnswerID
	stored Stored
	remove bool
	wait   []chan error // who waits for it
	taken  bool         // the writer has it
	change uint64       // its number; a later change of the same id has a higher one
	void   bool         // there was a later one that was refused
	broken []byte       // the removal is of this damaged record only, see setAside
	again  bool         // it tells the store what it refused before: nobody is told of a failure twice
}

// saveAll is implemented by stores that write many records for the price of one, as [Records].
type saveAll interface {
	SaveAll(ctx context.Context, records []Record) error
}

// Put stores an answer in place of an earlier one and returns when it is in the store. It stays in
// memory even when that fails, and what it replaces is not returned any more.
func (a *Answers) Put(ctx context.Context, id AnswerID, s Stored) error {
	return a.change(ctx, &write{id: id, stored: s}, true)
}

// Keep is Put for whoever must not wait: the answer is in memory at once and in the store a moment
// later. A failure is told to [OnAnswers].
func (a *Answers) Keep(id AnswerID, s Stored) {
	if err := a.change(context.Background(), &write{id: id, stored: s}, false); err != nil && !errors.Is(err, ErrClosed) {
		a.tell(NotStored, err)
	}
}

// Remove removes an answer, in memory at once and from the store before it returns; that there is
// none is no error.
func (a *Answers) Remove(ctx context.Context, id AnswerID) error {
	return a.change(ctx, &write{id: id, remove: true}, true)
}

// Drop is Remove for whoever must not wait. A failure is told to [OnAnswers]; the answer is not returned any more all the
// same, and the store is told again until it has removed it or the Answers are closed.
func (a *Answers) Drop(id AnswerID) {
	if err := a.change(context.Background(), &write{id: id, remove: true}, false); err != nil && !errors.Is(err, ErrClosed) {
		a.tell(NotStored, err)
	}
}

// Flush waits until everything that waits for the store now was written.
func (a *Answers) Flush(ctx context.Context) error {
	a.mu.Lock()
	idle := a.idle
	busy := a.busy
	a.mu.Unlock()
	if !busy {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *Answers) change(ctx context.Context, w *write, wait bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(w.stored.Value) > MaxRecord-answerMin-1024-len(w.stored.Service)-len(w.stored.Endpoint) {
		if _, err := a.queue(&write{id: w.id, remove: true}, false); err != nil { // older news must not outlive it
			return errors.Join(ErrTooLarge, err)
		}
		return ErrTooLarge
	}
	done, err := a.queue(w, wait)
	if err != nil || done == nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// queue puts a change into memory and among those that wait for the store, in place of an earlier one
// of the same id. done is nil when nobody wants to wait, or when there is no store.
func (a *Answers) queue(w *write, wait bool) (done chan error, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	a.changes++
	w.change = a.changes
	if a.memory != nil {
		if w.remove || len(w.stored.Value) > MaxInMemory {
			a.memory.Remove(w.id)
		} else {
			a.memory.Add(w.id, w.stored)
		}
	}
	if a.store == nil {
		if a.reopen != nil {
			a.contradict(w.id, w.change) // what the store holds, once it is there
		}
		return nil, nil
	}
	if old := a.waiting[w.id]; old != nil && !old.taken {
		old.stored, old.remove, old.change, old.again = w.stored, w.remove, w.change, false
		old.broken = nil
		w = old
	} else {
		if len(a.order) >= MaxWaiting {
			if old != nil {
				old.void = true
			}
			a.contradict(w.id, w.change)
			return nil, ErrBusy
		}
		a.waiting[w.id] = w
		a.order = append(a.order, w)
	}
	if wait {
		done = make(chan error, 1)
		w.wait = append(w.wait, done)
	}
	a.write()
	return done, nil
}

// write starts the writer. The mutex is held.
func (a *Answers) write() {
	if !a.busy {
		a.busy, a.idle = true, make(chan struct{})
		go a.writer(a.idle)
	}
}

// writer writes until nothing waits any more, and what the store refused before when nothing else waits. Changes that
// come while it writes share the next transaction.
func (a *Answers) writer(idle chan struct{}) {
	defer close(idle)
	for {
		a.mu.Lock()
		if len(a.order) == 0 && !a.again() {
			a.busy, a.order = false, nil
			a.mu.Unlock()
			return
		}
		n := min(len(a.order), maxBatch)
		batch := a.order[:n:n]
		a.order = a.order[n:]
		for _, w := range batch {
			w.taken = true
		}
		store, horizon := a.store, a.wrong.horizon
		a.mu.Unlock()
		if n > 0 {
			a.commit(store, batch)
			continue
		}
		if err := a.sweep(store, horizon); err != nil {
			a.mu.Lock()
			a.rest()
			a.mu.Unlock()
		}
	}
}

// commit writes a batch and tells everybody. When many at once fail, each is tried by itself, so that
// one that cannot be written does not fail the others.
func (a *Answers) commit(store RecordStore, batch []*write) {
	var records []Record
	for _, w := range batch {
		if !w.remove {
			records = append(records, Record{ID: w.id, Data: a.seal(w.id, w.stored), Expires: w.stored.Until})
		}
	}
	all, many := store.(saveAll)
	if many = many && len(records) > 1; many {
		many = a.inTime(func(ctx context.Context) error { return all.SaveAll(ctx, records) }) == nil
	}
	var refused error
	for _, w := range batch {
		var err error
		switch {
		case w.again && refused != nil:
			err = refused // a store that hangs is not waited for so many times
		case w.broken != nil:
			err = a.putAside(store, w)
		case w.remove:
			err = a.inTime(func(ctx context.Context) error { return store.Remove(ctx, w.id) })
		case !many:
			err = a.inTime(func(ctx context.Context) error { return store.Save(ctx, w.id, records[0].Data, w.stored.Until) })
		}
		if !w.remove {
			records = records[1:]
		}
		if w.again && err != nil {
			refused = err
		}
		a.written(w, err)
	}
}

// inTime gives one access to the store its time.
func (a *Answers) inTime(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(a.base, storeTimeout)
	defer cancel()
	return f(ctx)
}

// written ends a change.
func (a *Answers) written(w *write, err error) {
	a.mu.Lock()
	if a.waiting[w.id] == w {
		delete(a.waiting, w.id)
	}
	switch {
	case err != nil && w.broken != nil: // nothing came in its place
	case err != nil:
		a.contradict(w.id, w.change)
		if w.again {
			a.rest()
		}
	case !a.wrong.superseded(w.id, w.change):
		delete(a.wrong.ids, w.id)
	}
	wait, again := w.wait, w.again
	a.mu.Unlock()
	for _, done := range wait {
		done <- err
	}
	if err != nil && len(wait) == 0 && !again {
		a.tell(NotStored, err)
	}
}

// schedule does what must be done now and then, and comes back: purges, and looks whether a file is
// free that another process had open.
func (a *Answers) schedule() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.upkeep = time.AfterFunc(0, a.maintain)
}

func (a *Answers) maintain() {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return
	}
	a.keeping.Add(1)
	store, next := a.store, a.opt.purge
	a.mu.Unlock()
	defer a.keeping.Done()
	switch {
	case store != nil:
		a.purge(store)
	case a.reopen != nil:
		if !a.takeOver() {
			next = a.opt.takeOver
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed && next > 0 && (a.store != nil || a.reopen != nil) {
		a.upkeep.Reset(next)
	}
}

// purge removes what is no longer valid from the store. In memory it is found out when it is asked
// for, or pushed out by others.
func (a *Answers) purge(store RecordStore) {
	ctx, cancel := context.WithTimeout(a.base, storeTimeout)
	defer cancel()
	if _, err := store.Purge(ctx, time.Now()); err != nil && ctx.Err() == nil {
		a.tell(NotPurged, err) // a purge that takes longer goes on the next time
	}
}
