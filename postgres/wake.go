package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// waker tells other processes of writes, and hears of theirs.
//
// NOTIFY inside a write would make all commits wait for each other (PostgreSQL orders the
// transactions that notify), so it comes after the commit, in a transaction of its own that waits for
// no disk, and one stands for all writes since the last. One that is lost is made up for by the
// workers' own looking.
type waker struct {
	d    *DB
	node string
	heard,
	said chan struct{} // of one: a wake-up not delivered yet, a notice not sent yet
	speak, listen sync.Once
	end           context.Context
	cancel        context.CancelFunc
}

const (
	notifyWait = 5 * time.Second // bounds one notice
	listenMin  = 100 * time.Millisecond
	listenMax  = 5 * time.Second // between attempts to listen again
)

func newWaker(d *DB) *waker {
	w := &waker{d: d, node: randomName(), heard: make(chan struct{}, 1), said: make(chan struct{}, 1)}
	w.end, w.cancel = context.WithCancel(d.end)
	return w
}

func (w *waker) close() { w.cancel() }

// spawn runs f until the DB or the store is closed; DB.Close waits for it.
func (w *waker) spawn(f func()) {
	leave, err := w.d.enter()
	if err != nil {
		return // closed
	}
	go func() {
		defer leave()
		f()
	}()
}

// stir wakes the workers of this process.
func (w *waker) stir() { signal(w.heard) }

// tell wakes the workers of other processes, soon.
func (w *waker) tell() {
	signal(w.said)
	w.speak.Do(func() { w.spawn(w.speaking) })
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *waker) speaking() {
	for {
		select {
		case <-w.end.Done():
			return
		case <-w.said:
		}
		// Not of w.end: a statement that is cancelled costs its connection, which may be somebody else's.
		ctx, cancel := context.WithTimeout(context.Background(), notifyWait)
		_ = w.d.once(ctx, func(c *pgx.Conn) error { // lost ones do not matter
			_, err := c.Exec(ctx, w.d.sql("SELECT set_config('synchronous_commit', 'off', true), pg_notify('@.outbox', $1)"), w.node)
			return err
		})
		cancel()
	}
}

// Wake implements [outbox.Waker]. The first call begins to listen, on a connection of its own.
func (s *Outbox) Wake() <-chan struct{} {
	s.wake.listen.Do(func() { s.wake.spawn(s.wake.listening) })
	return s.wake.heard
}

// listening keeps a connection that listens. Whenever it listens anew, something may have been
// missed.
func (w *waker) listening() {
	pause := listenMin
	for w.end.Err() == nil {
		if w.hear() {
			pause = listenMin
		}
		if !sleep(w.end, pause) {
			return
		}
		pause = min(2*pause, listenMax)
	}
}

// hear listens until the connection breaks; false when it never listened.
func (w *waker) hear() bool {
	c, err := w.d.dial(w.end)
	if err != nil {
		return false
	}
	defer hangUp(c)
	for _, sql := range append(steady, `LISTEN "@.outbox"`) {
		if _, err := c.Exec(w.end, w.d.sql(sql)); err != nil {
			return false
		}
	}
	for {
		w.stir()
		n, err := c.WaitForNotification(w.end)
		for err == nil && n.Payload == w.node {
			n, err = c.WaitForNotification(w.end)
		}
		if err != nil {
			return true
		}
	}
}

// steady makes the server find out within half a minute that the machine of a client is gone.
var steady = []string{"SET tcp_keepalives_idle = 15", "SET tcp_keepalives_interval = 5", "SET tcp_keepalives_count = 3"}
