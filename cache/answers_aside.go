package cache

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// setAsideFor is how long a damaged record is kept.
const setAsideFor = 30 * 24 * time.Hour

// setAside keeps a damaged record under an id that nobody asks for, where a person may still look
// at it until it is purged, and returns the error to report.
func (a *Answers) setAside(ctx context.Context, id AnswerID, record []byte) error {
	a.tell(Damaged, ErrCorrupt)
	done, err := a.queueAside(id, record)
	if err != nil || done == nil {
		return errors.Join(ErrCorrupt, err)
	}
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return errors.Join(ErrCorrupt, err)
}

// queueAside puts it among what is written, so that it does not meet a write of the same id. done is nil when such a
// write waits already: it takes the place of the record.
func (a *Answers) queueAside(id AnswerID, record []byte) (done chan error, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return nil, ErrClosed
	case a.waiting[id] != nil, a.wrong.superseded(id, 0):
		return nil, nil
	case len(a.order) >= MaxWaiting:
		return nil, ErrBusy
	}
	done = make(chan error, 1)
	w := &write{id: id, remove: true, broken: record, wait: []chan error{done}}
	a.waiting[id] = w
	a.order = append(a.order, w)
	a.write()
	return done, nil
}

// putAside copies the record and removes it unless another one took its place since it was read. A process on another
// computer has the moment between the last look and the removal to lose what it saves just then: the platform is then
// asked again.
func (a *Answers) putAside(store RecordStore, w *write) error {
	there := false
	look := func(ctx context.Context) error {
		b, err := store.Load(ctx, w.id)
		there = bytes.Equal(b, w.broken)
		return err
	}
	if err := a.inTime(look); err != nil || !there {
		return err
	}
	err := a.inTime(func(ctx context.Context) error {
		return store.Save(ctx, a.ID("set aside", string(w.id[:])), w.broken, time.Now().Add(setAsideFor))
	})
	if err == nil {
		err = a.inTime(look)
	}
	if err != nil || !there {
		return err
	}
	return a.inTime(func(ctx context.Context) error { return store.Remove(ctx, w.id) })
}
