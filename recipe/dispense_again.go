package recipe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// passing makes an error that says nothing about the prescription one that says when to try again. What Recip-e itself refuses
// is final; a token that is not in the depot, a question that a gateway does not like or a certificate that is being replaced
// is an outage like any other, and must not end a delivery that was made.
func passing(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	switch {
	case !ok, e.Outcome != fault.NotSent && e.Outcome != fault.Rejected, errors.As(err, new(*RefusedError)), neverValid(err):
		return err
	case e.Kind.Temporary(), e.Kind == fault.Denied, e.Kind == fault.Canceled:
		return err
	}
	out := *e
	out.Kind, out.Outcome, out.Err = fault.Unavailable, fault.NotSent, err
	return &out
}

// unstored is the error of a store that could not say what was done: nothing is sent before it can.
func (d *Dispenser) unstored(err error) error {
	return &fault.Error{Op: opDispense, Service: ServiceExecutor, Kind: fault.Unavailable, Outcome: fault.NotSent, Err: err}
}

// unkept is the error of a store that did not take a dispensing, or cannot say what became of it: the proof will do, and it is to
// be scanned again.
func (d *Dispenser) unkept(err error, o fault.Outcome) error {
	if errors.As(err, new(*fault.Error)) || errors.As(err, new(*outbox.StateError)) {
		return throughOutbox(opDispense, ServiceExecutor, err)
	}
	return &fault.Error{
		Op: opDispense, Service: ServiceExecutor, Kind: fault.Unavailable, Outcome: o, Notice: NoticeProof, Err: err,
	}
}

// kept is the error of a dispensing that waits in the outbox. proof: the proof on paper will do until then.
func (d *Dispenser) kept(err error, proof bool) error {
	out := throughOutbox(opDispense, ServiceExecutor, err)
	e, ok := errors.AsType[*fault.Error](out)
	if ok && proof && (e.Notice == "" || e.Notice == NoticeUnsure) {
		e.Notice = NoticeProof // it is confirmed by itself, and nobody is asked to wait for that
	}
	return out
}

// ledger is the error of an outbox that cannot be read or written: Recip-e was not asked.
func (d *Dispenser) ledger(op string, err error) error {
	if e, ok := errors.AsType[*fault.Error](err); err == nil || ok && e.Op == op {
		return err
	}
	return &fault.Error{Op: op, Service: ServiceExecutor, Kind: fault.Local, Outcome: fault.NotSent, Err: err}
}

// refuse is the error of what is asked in a way that cannot be.
func (d *Dispenser) refuse(op string, err error) *fault.Error {
	e := d.invalid(err)
	e.Op = op
	return e
}

// undone tells that what an item has done does not stand any more: the prescription was taken back without this outbox, or is
// somebody else's by now. While Recip-e does not answer, what was done counts.
func (d *Dispenser) undone(ctx context.Context, k outbox.Kind, rid string) bool {
	id, err := identity.ParseRIDLenient(rid)
	if err != nil {
		return false
	}
	wait := hurried
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	s, err := d.c.Status(ctx, id)
	if err != nil {
		return false
	}
	mine := holderOf(s.By, d.c.Caller().NIHII) != another
	switch k {
	case KindUndeliver:
		return mine && (s.State == protocol.InProcess || s.State == protocol.Delivered || s.State == protocol.Archived)
	case KindArchive:
		return !mine || s.State != protocol.Archived
	}
	return !mine || s.State != protocol.Delivered && s.State != protocol.Archived
}

// backOf tells whether the delivery of an item is to be taken back next.
func (d *Dispenser) backOf(it outbox.Item) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) { return d.takenBack(ctx, it.Ref) }
}

// takenBack tells that the delivery of an item is to be taken back as soon as it is made: then it is not archived, because
// what is archived cannot be taken back.
func (d *Dispenser) takenBack(ctx context.Context, ref string) (bool, error) {
	box := d.box.Load()
	cut := strings.LastIndexByte(ref, '/')
	if box == nil || cut < 0 {
		return false, nil
	}
	for n := range maxSlots {
		v, err := box.Show(ctx, box.ID(KindUndeliver, fmt.Sprintf("%s/%d", ref[:cut], n)))
		switch {
		case errors.Is(err, outbox.ErrNotFound):
			return false, nil
		case err != nil:
			return false, d.unstored(err)
		case v.State.Open():
			return true, nil
		}
	}
	return false, nil
}

// keptRef names what is kept for an item. The instant of dispensing is in it because the outbox forgets items, and may give
// the same id again.
func keptRef(id outbox.ID, at time.Time) string { return fmt.Sprintf("%s/%d", id, at.UnixNano()) }

// finish notes that what was kept for an item is not needed when the item is done: not before, so that a program that ends
// between the two loses nothing.
func (d *Dispenser) finish(id outbox.ID, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.finished) < maxOrdered { // what is not noted expires by itself
		d.finished = append(d.finished, keptRef(id, at))
	}
}

// clean drops what was kept for items that are done. A program begins with what earlier ones left.
func (d *Dispenser) clean(ctx context.Context, box *outbox.Box, old bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	d.mu.Lock()
	refs := d.finished
	d.finished = nil
	old = old && !d.cleaned
	d.cleaned = d.cleaned || old
	d.mu.Unlock()
	if old {
		refs = append(refs, keptRefs(ctx, box)...)
	}
	for _, ref := range refs {
		d.drop(ctx, box, ref)
	}
}

// keptRefs are the names of what is kept. What cannot be read stays, and expires.
func keptRefs(ctx context.Context, box *outbox.Box) []string {
	var out []string
	for _, s := range []outbox.State{outbox.Held, outbox.Expired} {
		for v, err := range box.List(ctx, outbox.Filter{Kind: kindKeptRecord, State: s}) {
			if err != nil {
				continue
			}
			if it, err := box.Reveal(ctx, v.ID); err == nil {
				out = append(out, it.Ref)
			}
		}
	}
	return out
}

// drop cancels what was kept unless its item may still need it. When that fails it expires by itself.
func (d *Dispenser) drop(ctx context.Context, box *outbox.Box, ref string) {
	name, _, _ := strings.Cut(ref, "/")
	id, err := outbox.ParseID(name)
	if err != nil {
		return
	}
	v, err := box.Show(ctx, id)
	if err != nil && !errors.Is(err, outbox.ErrNotFound) || err == nil && v.State != outbox.Done && v.State != outbox.Cancelled {
		return
	}
	_ = box.Cancel(ctx, box.ID(kindKeptRecord, ref))
}

// tell gives a report to whoever wants to hear of it. That one must not be able to undo what was done: the report is on disk.
func (d *Dispenser) tell(r Report) {
	if d.onReport == nil {
		return
	}
	defer func() { _ = recover() }()
	d.onReport(r)
}

// tellRefusal tells of an item that Recip-e refused for another reason than the state.
func (d *Dispenser) tellRefusal(it outbox.Item, id outbox.ID, err error) {
	if !refusedForGood(err) {
		return
	}
	if r := refusal(it.Payload, id, time.Now()); r != nil {
		d.tell(*r)
	}
}
