package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

const childEnv = "OUTBOX_CRASHTEST"

func childArgs() string { return os.Getenv(childEnv) }

// plan is what a child is to do.
type plan struct {
	Dir     string   `json:"dir"`
	Point   string   `json:"point"`            // where to die; "" = nowhere
	Hit     int      `json:"hit"`              // at which passage of it
	Within  int      `json:"within,omitempty"` // die so many microseconds after it
	Refs    []string `json:"refs"`             // to be put, in this order; key and way are part of the reference
	Keys    []int    `json:"keys"`             // numbers of the sealing keys, the current one first
	Rotate  bool     `json:"rotate,omitempty"`
	Compact bool     `json:"compact,omitempty"`
	Old     bool     `json:"old,omitempty"`    // make the file one of schema 1 first
	Finish  bool     `json:"finish,omitempty"` // work until nothing is left, then report everything
	For     int      `json:"for"`              // milliseconds of work, unless Finish
}

// report is one line from a child to its parent: what a caller was told.
type report struct {
	What   string         `json:"what"` // put, done, rotated, state, counts, fatal
	Ref    string         `json:"ref,omitempty"`
	Answer string         `json:"answer,omitempty"`
	Text   string         `json:"text,omitempty"`
	Counts map[string]int `json:"counts,omitempty"`
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
	if err := w.work(); err != nil {
		w.tell(report{What: "fatal", Text: err.Error()})
		return 3
	}
	return 0
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
			if name == "journal.before" {
				gen, off := journalEnd(w.Dir)
				w.mark("journaling", gen, off)
			} else {
				w.mark("committing", newestTx(w.file()), 0)
			}
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

func (w *worker) file() string { return filepath.Join(w.Dir, "box.db") }

// mark tells the parent, by a file, whether a write is under way and what was durable before it.
func (w *worker) mark(what string, a, b uint64) {
	_ = os.WriteFile(filepath.Join(w.Dir, "commit"), fmt.Appendf(nil, "%s %d %d", what, a, b), 0o600)
}

func (w *worker) work() error {
	if w.Old {
		if err := downgrade(w.file()); err != nil {
			return err
		}
	}
	w.arm()
	opts := []outbox.BoltOption{outbox.WithLockWait(5 * time.Second), outbox.WithCompaction(-1, 0), outbox.WithJournal(16 << 10)}
	if w.Compact {
		opts[1] = outbox.WithCompaction(0.001, 1)
	}
	store, err := outbox.OpenBolt(w.file(), opts...)
	if err != nil {
		return err
	}
	keys := make([]outbox.Key, len(w.Keys))
	for i, n := range w.Keys {
		secret := make([]byte, outbox.KeySize)
		copy(secret, fmt.Sprintf("key number %d", n))
		if keys[i], err = outbox.KeyFromBytes(secret); err != nil {
			return err
		}
	}
	ctx := context.Background()
	h := handler{w}
	box, err := outbox.Open(ctx, store, outbox.NewKeys(keys[0], keys[1:]...),
		outbox.Handle("app.write", h, outbox.Policy{
			Class: resilience.ResolvableWrite, TTL: ttl, Timeout: ttl, Skew: skew, Late: late, Lag: lag, Tries: -1,
			Ask: time.Millisecond, Backoff: 4 * time.Millisecond, BackoffMax: 20 * time.Millisecond,
		}),
		outbox.WithLease(lease), outbox.WithPace(-1, -1, -1), outbox.WithGrace(-1))
	if err != nil {
		return errors.Join(err, store.Close())
	}
	if err := w.use(ctx, box); err != nil {
		return err
	}
	return box.Close()
}

func (w *worker) use(ctx context.Context, box *outbox.Box) error {
	if w.Rotate {
		if _, err := box.Rotate(ctx); err != nil {
			return err
		}
		w.tell(report{What: "rotated"})
	}
	work, cancel := context.WithTimeout(ctx, time.Duration(w.For)*time.Millisecond)
	defer cancel()
	var side sync.WaitGroup
	if !w.Finish {
		side.Go(func() { _ = box.Run(work) })
	}
	err := w.put(ctx, work, box)
	side.Wait()
	if err != nil || !w.Finish {
		return err
	}
	limit, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	if err := box.Drain(limit, nil); err != nil {
		return err
	}
	return w.account(ctx, box)
}

// put plays the callers: those in a hurry and those who are not.
func (w *worker) put(ctx, work context.Context, box *outbox.Box) error {
	for _, ref := range w.Refs {
		it := outbox.Item{Kind: "app.write", Key: keyOf(ref), Ref: ref, Payload: []byte("payload of " + ref)}
		if ref[0] == 'p' || w.Finish {
			if _, err := box.Put(ctx, it); err != nil {
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

// keyOf: a reference is way, key, number.
func keyOf(ref string) string { return ref[1:2] }

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
		if r.Ref, err = refOf(ctx, box, view.ID); err != nil {
			return err
		}
		if res, err := box.Result(ctx, view.ID); err == nil {
			r.Answer = string(res.Answer)
		}
		w.tell(r)
	}
	w.tell(report{What: "counts"})
	return nil
}

func refOf(ctx context.Context, box *outbox.Box, id outbox.ID) (string, error) {
	it, err := box.Reveal(ctx, id)
	return it.Ref, err
}

// handler talks to the platform over its socket.
type handler struct{ w *worker }

func (h handler) call(ctx context.Context, q request) (r response, sent bool, err error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", filepath.Join(h.w.Dir, "s"))
	if err != nil {
		return r, false, err
	}
	defer c.Close()
	if t, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(t)
	}
	b, err := json.Marshal(q)
	if err != nil {
		return r, false, err
	}
	fail.Point("send.dialled")
	if _, err := c.Write(append(b, '\n')); err != nil {
		return r, true, err
	}
	fail.Point("send.written")
	line, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		return r, true, err
	}
	fail.Point("send.answered")
	return r, true, json.Unmarshal(line, &r)
}

// Send implements outbox.Sender.
func (h handler) Send(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	if rand.IntN(20) == 0 {
		// The process was paused, and does not know: the platform must refuse the message.
		time.Sleep(ttl + 10*time.Millisecond)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), ttl)
		defer cancel()
	}
	r, sent, err := h.call(ctx, request{Op: "send", Ref: it.Ref, Key: it.Key, Expires: a.Expires})
	switch {
	case err != nil && !sent:
		return nil, &fault.Error{Op: "crashtest", Kind: fault.Unavailable, Outcome: fault.NotSent, Err: err}
	case err != nil:
		return nil, &fault.Error{Op: "crashtest", Kind: fault.Timeout, Outcome: fault.Unknown, Err: err}
	case r.Status != "done":
		return nil, &fault.Error{Op: "crashtest", Kind: fault.Throttled, Outcome: fault.Rejected, Code: r.Status}
	}
	return outbox.Answer(r.Answer), nil
}

// Resolve implements outbox.Resolver.
func (h handler) Resolve(ctx context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Verdict, error) {
	r, _, err := h.call(ctx, request{Op: "query", Ref: it.Ref})
	switch {
	case err != nil:
		return outbox.Verdict{}, &fault.Error{Op: "crashtest", Kind: fault.Unavailable, Outcome: fault.NotSent, Err: err}
	case r.Status == "yes":
		return outbox.Verdict{Found: outbox.Happened, Answer: outbox.Answer(r.Answer)}, nil
	}
	return outbox.Verdict{Found: outbox.NotThere}, nil
}

// downgrade takes from a file what schema 1 did not have.
func downgrade(path string) error {
	if _, err := os.Stat(path); err != nil {
		return nil // nothing there yet
	}
	// What lies in the journal goes into the file first: schema 1 had none.
	s, err := outbox.OpenBolt(path, outbox.WithLockWait(5*time.Second))
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		m := tx.Bucket([]byte("meta"))
		if m == nil {
			return nil
		}
		for _, b := range []string{"line", "due", "settled", "expiry", "aside"} {
			if tx.Bucket([]byte(b)) == nil {
				continue
			}
			if err := tx.DeleteBucket([]byte(b)); err != nil {
				return err
			}
		}
		for k, _ := m.Cursor().Seek([]byte("n/")); k != nil && k[0] == 'n'; k, _ = m.Cursor().Seek([]byte("n/")) {
			if err := m.Delete(k); err != nil {
				return err
			}
		}
		return m.Put([]byte("schema"), []byte{0, 0, 0, 0, 0, 0, 0, 1})
	})
	return errors.Join(err, db.Close())
}
