package outbox

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// storeWait bounds one write of a result. The caller's context does not: what is known goes to
// disk even when nobody waits for it any more.
const storeWait = 30 * time.Second

// stepped is what one step on the head of a line did.
type stepped struct {
	rec     *record       // the head afterwards; nil when it went away
	sent    bool          // something was sent or asked
	latency time.Duration // of that
	cause   error         // what the attempt or question ended with
	err     error         // of the store, the key or a damaged record
	blocked time.Time     // nothing was done: not before this instant
}

// step does the next thing for the head of a line on loan, which is r when that is known. The line is
// given back, or kept until an item of it is settled, or until something could not be stored. caller
// bounds sending and asking, not storing.
func (b *Box) step(caller context.Context, on Claimed, r *record, until ID) stepped {
	ctx, l := context.WithoutCancel(caller), on.Lease
	keep := !until.IsZero()
	s := b.stepHead(caller, ctx, l, on.Head, r, guard{Guard{Lease: &l, Release: !keep}, until})
	if s.err != nil || (!s.blocked.IsZero() && !keep) {
		b.giveBack(ctx, l, s.err)
	}
	return s
}

// giveBack releases the line, unless its head was written with a key we do not have: then the
// lease stays until it ends, so that nobody trips over the line all the time.
func (b *Box) giveBack(ctx context.Context, l Lease, err error) {
	if !errors.Is(err, ErrKey) {
		b.letGo(ctx, l)
	}
}

func (b *Box) stepHead(caller, ctx context.Context, l Lease, head Entry, r *record, g guard) stepped {
	if r == nil {
		var err error
		if r, err = b.keys.decode(head); err != nil {
			return stepped{err: b.aside(ctx, head, err)}
		}
	}
	h := b.cfg.kinds[r.Kind]
	at := now()
	switch {
	case h == nil:
		return stepped{rec: r, blocked: at.Add(b.cfg.lease)}
	case r.State == Sending:
		return b.lapse(ctx, r, at, g)
	case r.State.Waiting() && r.overdue(at):
		return b.moved(ctx, r, g, func(r *record) error { return r.expired(at) })
	case r.Due.After(at):
		return stepped{rec: r, blocked: r.Due}
	case r.State == Unknown && h.policy.Class != resilience.ResolvableWrite:
		return b.moved(ctx, r, g, func(r *record) error { return r.unresolvable(at, h.policy, jitter()) })
	}
	if ok, retry := b.open(r.Kind, at); !ok {
		return stepped{rec: r, blocked: retry}
	}
	it, err := b.item(r)
	if err != nil {
		return stepped{err: b.aside(ctx, head, err)}
	}
	if r.State == Unknown {
		return b.ask(caller, ctx, h, r, it, g)
	}
	return b.try(caller, ctx, l, h, r, it, g)
}

// gateWait is how long a closed gate that names no time is left alone.
const gateWait = 5 * time.Second

func (b *Box) open(k Kind, at time.Time) (bool, time.Time) {
	if b.cfg.gate == nil {
		return true, time.Time{}
	}
	ok, retry := b.cfg.gate(k)
	if !ok && !retry.After(at) {
		retry = at.Add(gateWait)
	}
	return ok, retry
}

// item opens what the handler gets.
func (b *Box) item(r *record) (Item, error) {
	payload := bytes.Clone(r.plain) // what a handler does with its own is nobody else's concern
	if len(payload) == 0 {
		var err error
		if payload, err = b.keys.part(bucketPayload, r.ID, r.Payload); err != nil {
			return Item{}, err
		}
	}
	return Item{Kind: r.Kind, Key: r.Key, Ref: r.Ref, Priority: r.Priority, Payload: payload}, nil
}

// moved makes one move that needs nothing from outside.
func (b *Box) moved(ctx context.Context, r *record, g guard, move func(*record) error) stepped {
	r, err := b.change(ctx, r.ID, g, nil, move)
	return stepped{rec: r, err: err}
}

// lapse finds an attempt whose worker is gone.
func (b *Box) lapse(ctx context.Context, r *record, at time.Time, g guard) stepped {
	n := int(r.Attempt)
	fail.Point("lapse.before")
	return b.moved(ctx, r, g, func(r *record) error {
		if r.State != Sending || !r.current(n) {
			return ErrStale
		}
		return r.lapsed(at)
	})
}

// try writes the intent, sends, and writes what became of it.
func (b *Box) try(caller, ctx context.Context, l Lease, h *handled, r *record, it Item, g guard) stepped {
	fail.Point("begin.before")
	from := r.State
	a, err := r.begin(now(), l.Until, h.policy)
	if err != nil {
		return stepped{err: err}
	}
	if err := b.write(ctx, r, guard{Guard: Guard{Lease: g.Lease}}, nil); err != nil {
		return stepped{rec: r, err: err}
	}
	fail.Point("begin.written")
	b.tell(r, from)

	began := time.Now()
	ans, cause := b.send(caller, h, it, a, l.Until)
	latency := time.Since(began)
	fail.Point("send.after")
	s := b.record(ctx, h, r, a, ans, cause, g)
	s.sent, s.latency, s.cause = true, latency, cause
	return s
}

func (b *Box) send(caller context.Context, h *handled, it Item, a Attempt, leaseEnd time.Time) (Answer, error) {
	if !now().Before(a.Expires) {
		return nil, tooLate
	}
	if err := caller.Err(); err != nil {
		return nil, &fault.Error{Op: "outbox", Kind: fault.Canceled, Outcome: fault.NotSent, Err: err}
	}
	ctx, cancel := context.WithDeadline(caller, earliest(time.Now().Add(h.policy.Timeout), leaseEnd))
	defer cancel()
	return send(ctx, h.send, it, a)
}

// record stores what became of attempt a. What the service itself said is true whoever holds the
// line now; all else only counts from the holder.
func (b *Box) record(ctx context.Context, h *handled, own *record, a Attempt, ans Answer, cause error, g guard) stepped {
	var answer []byte
	o := fault.OutcomeOf(cause)
	if cause == nil && len(ans) <= MaxPayload {
		answer = append([]byte{}, ans...)
	}
	at, jit := now(), jitter()
	move := func(r *record) error { return r.concluded(a.N, cause, at, h.policy, jit) }
	fail.Point("record.before")
	r, err := b.changeOwn(ctx, own, g, answer, move)
	if errors.Is(err, ErrLeaseLost) && (o == fault.Done || o == fault.Rejected) {
		r, err = b.change(ctx, a.ID, guard{}, answer, move)
	}
	fail.Point("record.after")
	return stepped{rec: r, err: err}
}

// ask lets the resolver find out what became of the last attempt.
func (b *Box) ask(caller, ctx context.Context, h *handled, r *record, it Item, g guard) stepped {
	n, a := int(r.Attempt), r.attempt()
	fail.Point("resolve.before")
	began := time.Now()
	asked := now() // before the question leaves: rule 4
	qctx, cancel := context.WithTimeout(caller, h.policy.Timeout)
	v, cause := resolve(qctx, h.resolve, it, a)
	cancel()
	latency := time.Since(began)
	fail.Point("resolve.after")

	var answer []byte
	if cause == nil && v.Found == Happened && len(v.Answer) <= MaxPayload {
		answer = append([]byte{}, v.Answer...)
	}
	at, jit := now(), jitter()
	rec, err := b.change(ctx, r.ID, g, answer, func(r *record) error {
		return r.resolved(n, v, cause, asked, at, h.policy, jit)
	})
	fail.Point("resolve.recorded")
	return stepped{rec: rec, err: err, sent: true, latency: latency, cause: cause}
}
