package outbox

import (
	"context"
	"slices"
	"sync"
	"time"
)

// board gathers what the workers of a drain did.
type board struct {
	b    *Box
	show func(Progress)

	mu     sync.Mutex
	p      Progress
	closed map[Kind]bool
}

func (d *board) start(ctx context.Context) error {
	open, err := d.left(ctx)
	d.p.Total, d.p.Open = open, open
	if err == nil {
		d.publish()
	}
	return err
}

// left counts what still waits for the kinds handled here.
func (d *board) left(ctx context.Context) (int, error) {
	kinds := make([]Kind, 0, len(d.b.cfg.kinds))
	for k := range d.b.cfg.kinds {
		kinds = append(kinds, k)
	}
	if len(kinds) == 0 {
		return 0, nil
	}
	c, err := d.b.store.Count(ctx)
	return c.Open(kinds...), err
}

// publish calls show under the lock, so that calls come one at a time and in order.
func (d *board) publish() {
	if d.show == nil {
		return
	}
	p := d.p
	for k, c := range d.closed {
		if c {
			p.Closed = append(p.Closed, k)
		}
	}
	slices.Sort(p.Closed)
	d.show(p)
}

func (d *board) stepped(ctx context.Context, k Kind, from State, s stepped) {
	if d.show == nil {
		return
	}
	open, err := d.left(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.p.Kind, d.p.Next = k, time.Time{}
	if s.rec != nil && s.rec.State != from {
		switch s.rec.State {
		case Done:
			d.p.Done++
		case Rejected:
			d.p.Rejected++
		case Parked:
			d.p.Parked++
		case Expired:
			d.p.Expired++
		}
	}
	if err == nil {
		d.p.Open = open
		d.p.Total = max(d.p.Total, open+d.p.Done+d.p.Rejected+d.p.Parked+d.p.Expired)
	}
	d.publish()
}

func (d *board) gate(k Kind, closed bool, retry time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed[k], d.p.Next = closed, retry
	d.publish()
}

func (d *board) waiting(next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.p.Next = next
	d.publish()
}
