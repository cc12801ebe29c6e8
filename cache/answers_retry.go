package cache

import (
	"context"
	"errors"
	"time"
)

const (
	// MaxContradicted bounds the ids whose records are known to be wrong while the store does not take that in: all
	// patients of a busy counter for months, in a few megabytes. Beyond it nothing older is returned from the store at
	// all, until it was rid of it.
	MaxContradicted = 1 << 16

	retryEvery   = time.Minute // between two tries to tell the store
	retryChunk   = 64          // ids that are tried at once
	sweepChunk   = 1024        // records that are looked up at once, when more than MaxContradicted are wrong
	sweepTimeout = time.Minute // bounds one such look
)

// contradicted is what the store still holds, or may hold, although it was replaced or removed since. Nothing of it is
// returned. The mutex of Answers guards it.
type contradicted struct {
	ids     map[AnswerID]uint64 // the change that the store does not have
	horizon time.Time           // not zero: there were more, and every record up to then is suspect
	resting bool                // the store refused; the timer will try again
	timer   *time.Timer
}

// contradict notes that the store does not have a change.
func (a *Answers) contradict(id AnswerID, change uint64) {
	c := &a.wrong
	old, known := c.ids[id]
	if !known && len(c.ids) >= MaxContradicted {
		if now := time.Now(); now.After(c.horizon) {
			c.horizon = now
		}
		return
	}
	c.ids[id] = max(old, change)
}

// superseded tells whether a change, 0 for what is in the store, is not the last one of its id.
func (c *contradicted) superseded(id AnswerID, change uint64) bool {
	last, ok := c.ids[id]
	return ok && change < last
}

func (c *contradicted) none() bool { return len(c.ids) == 0 && c.horizon.IsZero() }

// suspect tells whether a record may be one of those that were contradicted when there was no room to note which. One
// from the future has no age that could be relied on.
func suspect(s Stored, horizon, now time.Time) bool {
	return !horizon.IsZero() && (!s.At.After(horizon) || s.At.After(now))
}

// again puts what the store does not know yet among the writes, as removals: what is newer is in memory, and is stored
// again when the platform says it again. It returns false when there is nothing to do now. The mutex is held.
func (a *Answers) again() bool {
	c := &a.wrong
	if a.store == nil || c.resting || c.none() {
		return false
	}
	for id, change := range c.ids {
		if len(a.order) >= retryChunk {
			break
		}
		if a.waiting[id] == nil {
			w := &write{id: id, remove: true, change: change, again: true}
			a.waiting[id] = w
			a.order = append(a.order, w)
		}
	}
	return true
}

// rest ends the tries for a while. The mutex is held.
func (a *Answers) rest() {
	c := &a.wrong
	c.resting = true
	if a.closed {
		return
	}
	if c.timer == nil {
		c.timer = time.AfterFunc(retryEvery, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			if !a.closed {
				a.retry()
			}
		})
		return
	}
	c.timer.Reset(retryEvery)
}

// retry tells the store again, now. The mutex is held.
func (a *Answers) retry() {
	a.wrong.resting = false
	if a.store != nil && !a.wrong.none() {
		a.write()
	}
}

var errEnough = errors.New("enough")

// sweep takes some of the suspect records out of the store, and ends the suspicion when there are none.
func (a *Answers) sweep(store RecordStore, horizon time.Time) error {
	var ids []AnswerID
	now := time.Now()
	ctx, cancel := context.WithTimeout(a.base, sweepTimeout)
	defer cancel()
	err := store.Each(ctx, func(id [32]byte, record []byte) error {
		if id == headID {
			return nil
		}
		if s, err := a.open(id, record); err == nil && suspect(s, horizon, now) {
			ids = append(ids, id)
		}
		if len(ids) >= sweepChunk {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	for _, id := range ids {
		if err := a.inTime(func(ctx context.Context) error { return store.Remove(ctx, id) }); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && a.wrong.horizon.Equal(horizon) {
		a.wrong.horizon = time.Time{}
	}
	return nil
}
