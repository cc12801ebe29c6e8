package recipe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// CreateRequest is a prescription to be created. Either Prescription or Document is given.
type CreateRequest struct {
	// Reference is the caller's own name for this prescription: the same Reference is the same prescription, whatever
	// happened to the call. Empty = made from the patient, the author, what is prescribed and the day, so that the same twice on
	// one day is one prescription; so is what is tried again after midnight, when it was not settled by then, or was settled
	// less than twelve hours before. With another label, type, expiry or visibility it is refused (outbox.ErrConflict).
	//
	// It is remembered for outbox.DefaultKeep (30 days, or what outbox.WithKeep says) after it was created, paper was given
	// for it, or it was taken back. The same Reference after that is a new prescription: who may ask again so late keeps RIDs.
	// What nobody knows is never forgotten.
	Reference string
	// Prescription is what to prescribe; Document is a KMEHR document that the caller made.
	Prescription kmehr.Prescription
	Document     []byte
	// Type is P0, or P1 when something of it is reimbursed (dossier 04 section 10).
	Type identity.PrescriptionType
	// Feedback allows the pharmacy to write back. Label is what the patient reads in lists.
	Feedback bool
	Label    identity.Private
	// Vision is which pharmacies find it, VisionOthers which other prescribers do.
	Vision       protocol.Vision
	VisionOthers protocol.VisionOthers
	// Hold keeps it, when it could not be sent, until [Prescriber.Confirm] or midnight. Without it nothing is ever sent later.
	Hold bool
}

const shownRequest = "recipe.CreateRequest(redacted)"

// Format writes no content, whatever the verb.
func (CreateRequest) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownRequest) }

// LogValue holds no content.
func (CreateRequest) LogValue() slog.Value { return slog.StringValue(shownRequest) }

// MarshalJSON holds no content.
func (CreateRequest) MarshalJSON() ([]byte, error) { return json.Marshal(shownRequest) }

// Created is an electronic prescription.
type Created struct {
	RID       identity.RID // zero = a person found out that it was created, and nobody knows its number (D-UNSURE)
	Reference string       // of the request, or the one that was made
	Expires   protocol.Date
	// Notice is D-RX-PRINT when the service is unstable: give the patient the proof on paper, too. "" = nothing.
	Notice string
	// Before: it had been created before this call.
	Before bool
	// Trips are the requests that this call needed, in order. All but the last are for what could have been prepared.
	Trips []string
}

const opCreate = "recipe.prescriber.createPrescription"

var create = operate(protocol.Prescriber, "createPrescription", NoticePaper)

// Create creates a prescription, once. See the package comment for how it ends. It takes at most ctx's deadline, and
// Config.Timeout without one; five seconds more when the store of the outbox hangs.
//
// Everything that can fail before sending is done before anything is on disk: login, tokens, key, rules of the document,
// sealing. When the service failed lately, a read goes first, so that no prescription is the probe.
func (p *Prescriber) Create(ctx context.Context, r CreateRequest) (*Created, error) {
	box := p.box.Load()
	if box == nil {
		return nil, p.local(opCreate, fault.Local, ErrNoOutbox)
	}
	now := time.Now()
	ctx, cancel := p.bounded(ctx, now)
	defer cancel()
	doc, err := p.draft(&r, now)
	if err != nil {
		return nil, p.invalid(opCreate, err)
	}
	return (&creating{p: p, box: box, r: &r, doc: doc, trips: &trips{}, began: now}).attended(ctx, now)
}

// attended does all that needs the outbox, and leaves it to itself when that hangs.
func (c *creating) attended(ctx context.Context, now time.Time) (*Created, error) {
	type end struct {
		created *Created
		err     error
	}
	e, ok := attend(ctx, func() end {
		created, err := c.do(ctx, now)
		return end{created, err}
	}, func(e end) { c.late(ctx, e.err) })
	switch {
	case c.broken() != nil:
		c.stage.CompareAndSwap(looking, left)
		return nil, c.broken()
	case ok:
		return e.created, e.err
	case c.stage.CompareAndSwap(looking, left):
		return nil, c.p.ledger(opCreate, ctx.Err())
	}
	return nil, c.unsure(ctx.Err())
}

// late tells what became of a prescription whose caller heard that nobody knows. What the outbox does not know either it finds
// out, and tells by itself.
func (c *creating) late(ctx context.Context, err error) {
	if c.stage.Load() == left || errors.As(err, new(*UnsureError)) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawWait)
	defer cancel()
	if out, err := c.p.Outcome(ctx, c.r.Reference); err == nil && out.State != OutcomeUnsure {
		c.p.tell(Event{Kind: EventSettled, Reference: c.r.Reference, RID: out.RID, Outcome: out})
	}
}

func (c *creating) do(ctx context.Context, now time.Time) (*Created, error) {
	if c.doc.before != "" {
		late, err := c.p.evening(ctx, c.box, c.doc.before, now)
		if err != nil {
			return nil, c.p.ledger(opCreate, err)
		}
		if late {
			c.r.Reference = c.doc.before
		}
	}
	for range 3 { // somebody else may be faster with the same reference
		created, again, err := c.run(ctx)
		if !again {
			return created, err
		}
	}
	return nil, c.p.local(opCreate, fault.Conflict, outbox.ErrConflict)
}

// overNight is how long something counts as done in the same go when midnight came between.
const overNight = 12 * time.Hour

// evening tells whether the same content was prescribed before midnight, and is under way or was settled only some hours ago.
func (p *Prescriber) evening(ctx context.Context, box *outbox.Box, reference string, now time.Time) (bool, error) {
	st, err := p.look(ctx, box, reference)
	if err != nil {
		return false, err
	}
	switch st.state {
	case OutcomeUnsure, OutcomeHeld:
		return true, nil
	case OutcomeCreated:
		return now.Sub(st.create.view.Changed) < overNight, nil
	case OutcomePaper:
		return now.Sub(st.paper.view.Changed) < overNight, nil
	}
	return false, nil
}

// bounded gives ctx a deadline.
func (p *Prescriber) bounded(ctx context.Context, now time.Time) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, now.Add(p.conf.Timeout))
}

// MaxCreateAll is how many prescriptions [Prescriber.CreateAll] takes, as the official module does (dossier 04 section 9.6).
const MaxCreateAll = 30

// CreateResult is what became of one of several.
type CreateResult struct {
	Created *Created
	Err     error
}

// CreateAll creates several prescriptions side by side. Each has its own result, and the failure of one says nothing about
// another. There is no such call on the wire: each is a request of its own. ctx's deadline, or Config.Timeout without one, is that
// of all together.
func (p *Prescriber) CreateAll(ctx context.Context, all []CreateRequest) []CreateResult {
	out := make([]CreateResult, len(all))
	if len(all) > MaxCreateAll {
		for i := range out {
			out[i].Err = p.invalid(opCreate, errTooMany)
		}
		return out
	}
	ctx, cancel := p.bounded(ctx, time.Now())
	defer cancel()
	const together = 10
	var wg sync.WaitGroup
	places := make(chan struct{}, together)
	for i := range all {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			out[i].Created, out[i].Err = p.Create(ctx, all[i])
		})
	}
	wg.Wait()
	return out
}

const errTooMany reason = "recipe: too many prescriptions at once"

// creating is one call of Create.
type creating struct {
	p     *Prescriber
	box   *outbox.Box
	r     *CreateRequest
	doc   *document
	trips *trips
	began time.Time
	stage atomic.Int32
}

// The stages of a call.
const (
	looking int32 = iota
	putting       // from now on something of it may be in the outbox
	left          // nobody waits for it, and nothing of it goes into the outbox
)

// put tells whether something may be put into the outbox: not when the caller has been told that nothing was.
func (c *creating) put() bool {
	return c.stage.CompareAndSwap(looking, putting) || c.stage.Load() == putting
}

// broken waits for what the rules say about the document, and is the error of what breaks them: it comes before any other one.
func (c *creating) broken() error {
	if err := c.doc.rules.wait(); err != nil {
		return c.p.invalid(opCreate, err)
	}
	return nil
}

// run looks what is known of the reference and does what is left to do. again: somebody else did something meanwhile.
func (c *creating) run(ctx context.Context) (_ *Created, again bool, _ error) {
	st, err := c.p.look(ctx, c.box, c.r.Reference)
	if err != nil || st.state != OutcomeNotTried && st.state != OutcomeNotCreated {
		if bad := c.broken(); bad != nil {
			return nil, false, bad
		}
	}
	if errors.Is(err, outbox.ErrCorrupt) {
		return nil, false, c.unsure(err)
	}
	if err != nil {
		return nil, false, c.p.ledger(opCreate, err)
	}
	switch st.state {
	case OutcomePaper:
		return nil, false, c.p.local(opCreate, fault.Conflict, ErrPaperGiven)
	case OutcomeHeld:
		again, err := c.sameAsHeld(ctx, st)
		if again || err != nil {
			return nil, again, err
		}
		return nil, false, c.notCreated(nil, true)
	case OutcomeCreated, OutcomeUnsure:
		return c.join(ctx, st.create)
	}
	n, err := st.create.next()
	if err != nil {
		return nil, false, cmp.Or(c.broken(), c.notCreated(c.p.local(opCreate, fault.Conflict, err), false))
	}
	it, to, err := c.prepare(ctx, n)
	if bad := c.broken(); bad != nil {
		return nil, false, bad
	}
	c.p.meant.add(c.r.Reference, c.doc.medical)
	if err != nil {
		return nil, false, c.hold(ctx, st, err)
	}
	l := &live{trips: c.trips, to: to}
	if !c.put() {
		return nil, false, c.p.ledger(opCreate, ctx.Err())
	}
	res, err := c.box.Do(l.with(ctx), it)
	if errors.Is(err, outbox.ErrConflict) || errors.Is(err, errAnother) {
		return nil, true, nil
	}
	created, err := c.settle(ctx, it, res, err, l)
	c.p.shaken.Store(errors.As(err, new(*UnsureError)) || errors.As(err, new(*NotCreatedError)))
	if e, ok := errors.AsType[*NotCreatedError](err); ok && !e.Held {
		err = c.hold(ctx, st, err)
	}
	return created, false, err
}

// join waits for what was begun under the same reference, and asks for it when that is due. again: it was settled meanwhile.
func (c *creating) join(ctx context.Context, known item) (_ *Created, again bool, _ error) {
	if known.view.State == outbox.Done {
		res, err := c.box.Result(ctx, known.id)
		if err != nil {
			return nil, false, c.p.ledger(opCreate, err)
		}
		created, err := c.done(ctx, res, nil)
		return created, false, err
	}
	it, err := c.box.Reveal(ctx, known.id)
	if err != nil {
		return nil, false, c.p.ledger(opCreate, err)
	}
	if len(it.Payload) == 0 {
		return nil, true, nil
	}
	rec, err := decodeCreate(it.Payload)
	if err != nil || rec.Content != c.doc.content {
		return nil, false, c.p.local(opCreate, fault.Conflict, outbox.ErrConflict)
	}
	l := &live{trips: c.trips, joined: true}
	if !c.put() {
		return nil, false, c.p.ledger(opCreate, ctx.Err())
	}
	res, err := c.box.Do(l.with(ctx), it)
	created, err := c.settle(ctx, it, res, err, l)
	return created, false, err
}

// done reads the answer of a prescription that was created.
func (c *creating) done(ctx context.Context, res *outbox.Result, l *live) (*Created, error) {
	a, err := c.p.createdAs(ctx, c.box, c.r.Reference, res.Answer)
	if err != nil {
		return nil, &fault.Error{Op: opCreate, Service: c.p.service, Kind: fault.Local, Outcome: fault.Done, Err: err}
	}
	if a.Content != "" && a.Content != c.doc.content {
		return nil, c.p.local(opCreate, fault.Conflict, outbox.ErrConflict)
	}
	out := &Created{RID: a.rid(), Reference: c.r.Reference, Expires: c.doc.expires, Before: res.Before, Trips: c.trips.names()}
	if day, err := protocol.ParseDate(a.Expires); err == nil {
		out.Expires = day
	}
	if out.RID.IsZero() {
		out.Notice = NoticeUnsure
		return out, nil
	}
	if l != nil && (l.shaky() || c.p.troubled(time.Now())) || l == nil && c.p.troubled(time.Now()) {
		out.Notice = NoticePrint
	}
	return out, nil
}

// settle says what the outbox says in terms of prescriptions. Whatever is not sent is taken back at once, and only when that
// succeeded it is certain that there is none.
func (c *creating) settle(ctx context.Context, it outbox.Item, res *outbox.Result, err error, l *live) (*Created, error) {
	if err == nil {
		return c.done(ctx, res, l)
	}
	if u, ok := errors.AsType[*outbox.UnknownError](err); ok {
		return nil, c.unsure(u.Err)
	}
	if q, ok := errors.AsType[*outbox.QueuedError](err); ok {
		if c.p.withdraw(ctx, c.box, q.ID) {
			return nil, c.notCreated(q.Err, false)
		}
		return nil, c.unsure(err)
	}
	if s, ok := errors.AsType[*outbox.StateError](err); ok {
		switch {
		case s.Pending:
			return nil, c.unsure(err)
		case s.State == outbox.Rejected && !temporary(s.Err):
			return nil, c.refused(s.Err)
		case s.State == outbox.Parked && !c.p.withdraw(ctx, c.box, s.ID):
			return nil, c.unsure(err)
		}
		return nil, c.notCreated(s.Err, false)
	}
	// The outbox itself failed. Nothing was sent unless the item is there.
	id := c.box.ID(it.Kind, it.Ref)
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawWait)
	defer cancel()
	switch _, serr := c.box.Show(asking, id); {
	case errors.Is(serr, outbox.ErrNotFound) && intact(asking, c.box, c.r.Reference) == nil:
		return nil, c.notCreated(err, false)
	case serr == nil && c.p.withdraw(ctx, c.box, id):
		return nil, c.notCreated(err, false)
	}
	return nil, c.unsure(err)
}

// temporary: it was refused for a reason that has nothing to do with the prescription.
func temporary(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && (e.Kind.Temporary() || e.Kind == fault.Canceled)
}

// failure is the error of a create, with what its cause says.
func (c *creating) failure(cause error, kind fault.Kind, outcome fault.Outcome, notice string, err error) *fault.Error {
	out := &fault.Error{Op: opCreate, Service: c.p.service, Kind: kind, Outcome: outcome, Notice: notice, Err: err}
	if e, ok := errors.AsType[*fault.Error](cause); ok {
		out.Kind, out.Endpoint, out.Ticket, out.Code, out.Message = e.Kind, e.Endpoint, e.Ticket, e.Code, e.Message
		out.Attempts, out.RetryAfter = e.Attempts, e.RetryAfter
	}
	return out
}

// notCreated: there certainly is none.
func (c *creating) notCreated(cause error, held bool) error {
	e := &NotCreatedError{Reference: c.r.Reference, Held: held, Trips: c.trips.names(), Err: cause}
	return c.failure(cause, fault.Unavailable, fault.NotSent, NoticePaper, e)
}

func (c *creating) unsure(cause error) error {
	return c.failure(cause, fault.Timeout, fault.Unknown, NoticeUnsure, &UnsureError{Reference: c.r.Reference, Err: cause})
}

// refused: Recip-e does not take it. What is wrong must be put right, so nothing is said about paper.
func (c *creating) refused(cause error) error {
	if errors.Is(cause, ErrPaperGiven) {
		return c.p.local(opCreate, fault.Conflict, ErrPaperGiven)
	}
	if !errors.As(cause, new(*RefusedError)) {
		return c.failure(cause, fault.Invalid, fault.Rejected, NoticePaper, &NotCreatedError{Reference: c.r.Reference, Trips: c.trips.names(), Err: cause})
	}
	return c.failure(cause, fault.Invalid, fault.Rejected, "", cause)
}
