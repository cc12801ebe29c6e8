package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/appclient"
	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

const childEnv = "OUTBOX_CRASHTEST"

func childArgs() string { return os.Getenv(childEnv) }

// plan is what a child is to do.
type plan struct {
	World   string   `json:"world"`            // directory of world.json, and of the tokens of a bolt campaign
	Dir     string   `json:"dir"`              // of the campaign
	DSN     string   `json:"dsn,omitempty"`    // of the database; "" = the file in Dir
	Schema  string   `json:"schema,omitempty"` // of the campaign in it; "" = the default
	Point   string   `json:"point"`            // where to die; "" = nowhere
	Hit     int      `json:"hit"`              // at which passage of it
	Within  int      `json:"within,omitempty"` // die so many microseconds after it
	Refs    []string `json:"refs"`             // to be put, in this order; key and way are part of the reference
	Keys    []int    `json:"keys"`             // numbers of the sealing keys, the current one first
	Rotate  bool     `json:"rotate,omitempty"`
	Compact bool     `json:"compact,omitempty"`
	Old     bool     `json:"old,omitempty"`    // make the store one of an older schema first
	Finish  bool     `json:"finish,omitempty"` // work until nothing is left, then report everything
	For     int      `json:"for"`              // milliseconds of work at most, unless Finish
	Node    bool     `json:"node,omitempty"`   // work until the input ends
	Hold    bool     `json:"hold,omitempty"`   // hold the first message until it has expired
	Rx      *rxPlan  `json:"rx,omitempty"`     // prescribe and dispense instead of putting Refs
}

// report is one line from a child to its parent: what a caller was told.
type report struct {
	What   string `json:"what"` // put, done, rotated, state, vendor, fatal; of a node also ready, holding, token
	Ref    string `json:"ref,omitempty"`
	Answer string `json:"answer,omitempty"`
	Text   string `json:"text,omitempty"`
}

type worker struct {
	plan
	out *json.Encoder
	mu  sync.Mutex
}

func (w *worker) tell(r report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.out.Encode(r)
}

func child() int {
	w := &worker{out: json.NewEncoder(os.Stdout)}
	if err := json.Unmarshal([]byte(childArgs()), &w.plan); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := w.work(context.Background()); err != nil {
		w.tell(report{What: "fatal", Text: err.Error()})
		switch {
		case errors.Is(err, errUnfinished):
			return exitUnfinished
		case noServer(err):
			return exitNoServer
		}
		return 3
	}
	return 0
}

const (
	exitNoServer   = 4 // a child found no database server, or one that had no time for it
	exitUnfinished = 5 // a child could not do all in time
)

func noServer(err error) bool {
	_, dialled := errors.AsType[*pgconn.ConnectError](err)
	k := fault.KindOf(err)
	return dialled || k == fault.Unavailable || k == fault.Timeout
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// arm makes the child die at its point.
func (w *worker) arm() {
	if w.Point == "timer" {
		time.AfterFunc(time.Duration(w.Within)*time.Microsecond, die)
		return
	}
	var mu sync.Mutex
	hits := 0
	fail.Set(func(name string) {
		mu.Lock()
		defer mu.Unlock()
		if name != w.Point {
			if w.Within > 0 && (name == "commit.after" || name == "journal.after") {
				w.mark("acknowledged", 0, 0)
			}
			return
		}
		hits++
		if w.Within > 0 {
			w.markWrite(name)
		}
		switch {
		case hits != w.Hit:
		case w.Within > 0:
			time.AfterFunc(time.Duration(w.Within)*time.Microsecond, die)
		default:
			die()
		}
	})
}

func (w *worker) work(ctx context.Context) error {
	if w.Old {
		if err := w.downgrade(ctx); err != nil {
			return err
		}
	}
	w.arm()
	b, err := w.open(ctx)
	if err != nil {
		return err
	}
	if w.Rx != nil {
		return errors.Join(w.prescribe(ctx, b), b.close())
	}
	box, err := w.box(ctx, b)
	if err != nil {
		return errors.Join(err, b.close())
	}
	if w.Node {
		err = w.node(ctx, box)
	} else {
		err = w.use(ctx, box)
	}
	if err != nil {
		return err
	}
	return errors.Join(box.Close(), b.close())
}

// box opens the outbox over a back with the application's handler.
func (w *worker) box(ctx context.Context, b *back) (*outbox.Box, error) {
	known, err := readWorld(w.World)
	if err != nil {
		return nil, err
	}
	c, err := known.client(0, b.tokens)
	if err != nil {
		return nil, err
	}
	grace := -time.Nanosecond
	if c.hold = sometimes(10); w.Node || w.Hold {
		c.hold = w.holdOnce()
	}
	if w.Node {
		grace = lease
		if err := known.login(ctx, b.tokens); err != nil {
			return nil, err
		}
	}
	keys := make([]outbox.Key, len(w.Keys))
	for i, n := range w.Keys {
		if keys[i], err = sealingKey(n); err != nil {
			return nil, err
		}
	}
	p := appclient.Policy()
	p.TTL, p.Timeout, p.Skew, p.Late, p.Lag, p.Tries = ttl, lease, skew, late, lag, -1
	p.Ask, p.Backoff, p.BackoffMax = 5*time.Millisecond, 20*time.Millisecond, 200*time.Millisecond
	return outbox.Open(ctx, b.store, outbox.NewKeys(keys[0], keys[1:]...), outbox.Handle(appclient.Kind, c, p),
		outbox.WithLease(lease), outbox.WithPace(-1, -1, -1), outbox.WithGrace(grace))
}

func sealingKey(n int) (outbox.Key, error) {
	secret := make([]byte, outbox.KeySize)
	copy(secret, fmt.Sprintf("key number %d", n))
	return outbox.KeyFromBytes(secret)
}

func (w *worker) use(ctx context.Context, box *outbox.Box) error {
	if w.Rotate {
		if _, err := box.Rotate(ctx); err != nil {
			return err
		}
		w.tell(report{What: "rotated"})
	}
	limit := time.Duration(w.For) * time.Millisecond
	if w.Finish {
		limit = finishLimit
	}
	work, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var side sync.WaitGroup
	var put atomic.Bool
	var drained error
	side.Go(func() {
		for work.Err() == nil && drained == nil {
			all := put.Load()
			if drained = box.Drain(work, nil); work.Err() != nil {
				drained = nil // a read that was cut off
			}
			if all {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	err := w.put(ctx, work, box)
	put.Store(true)
	side.Wait()
	if err := errors.Join(err, drained); err != nil || !w.Finish {
		return err
	}
	if work.Err() != nil {
		return fmt.Errorf("%w: %v", errUnfinished, limit)
	}
	return w.account(ctx, box)
}

// finishLimit bounds the end of the work, with nobody killed, on a machine that is busy.
const finishLimit = 5 * time.Minute

// put plays the callers: those in a hurry and those who are not.
func (w *worker) put(ctx, work context.Context, box *outbox.Box) error {
	for _, ref := range w.Refs {
		it := outbox.Item{Kind: appclient.Kind, Key: keyOf(ref), Ref: ref, Payload: []byte("payload of " + ref)}
		if ref[0] == withVendor || ref[0] == later || w.Finish {
			var err error
			if ref[0] == withVendor {
				err = w.putWith(ctx, box, it)
			} else {
				_, err = box.Put(ctx, it)
			}
			if err != nil {
				return err
			}
			fail.Point("ack.before")
			w.tell(report{What: "put", Ref: ref})
			continue
		}
		res, err := box.Do(work, it)
		fail.Point("ack.before")
		switch {
		case err == nil:
			w.tell(report{What: "done", Ref: ref, Answer: string(res.Answer)})
		case errors.Is(err, outbox.ErrQueued), errors.Is(err, outbox.ErrUnknown):
			w.tell(report{What: "put", Ref: ref})
		case work.Err() == nil:
			return err
		}
		if work.Err() != nil {
			return nil
		}
	}
	return nil
}

// account tells what became of everything.
func (w *worker) account(ctx context.Context, box *outbox.Box) error {
	v, err := box.Verify(ctx)
	if err != nil {
		return err
	}
	if !v.OK() || v.Old > 0 && len(w.Keys) == 1 {
		return fmt.Errorf("verify: %+v", v)
	}
	for view, err := range box.List(ctx, outbox.Filter{}) {
		if err != nil {
			return err
		}
		r := report{What: "state", Text: view.State.String()}
		if view.Doubled {
			r.Text = "doubled"
		}
		it, err := box.Reveal(ctx, view.ID)
		if err != nil {
			return err
		}
		r.Ref = it.Ref
		if res, err := box.Result(ctx, view.ID); err == nil {
			r.Answer = string(res.Answer)
		}
		w.tell(r)
	}
	if w.DSN != "" {
		return w.vendors(ctx)
	}
	return nil
}

// A reference is way, key, campaign, number: d b 003 000017. The ways:
const (
	later      = 'p' // Put: the caller is told that it is kept
	now        = 'd' // Do: the caller waits for the answer
	withVendor = 't' // PutTx: together with a row of the caller's own
)

func keyOf(ref string) string { return ref[1:5] }

func numberOf(ref string) string { return ref[5:] }

func (w *worker) file() string { return filepath.Join(w.Dir, "box.db") }
