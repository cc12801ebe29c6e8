package recipe

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Permit says that there is no electronic prescription and that none will be made for a reference, so that paper may be given.
// Only [Prescriber.Paper] grants one; the zero Permit permits nothing.
type Permit struct {
	reference string
	granted   time.Time
	of        string // digest of what it was granted for; "" = not known
}

// Covers tells whether it was granted for this content: the same patient, author and medicines. It is false when that is not known,
// which is so when nothing was tried under the reference, or in another process: [Prescriber.PaperFor] always knows. A day of
// begin that is given counts from Prescription.Created, or from today without one.
func (p Permit) Covers(x kmehr.Prescription) bool { return p.of != "" && p.of == medicalOf(x) }

func medicalOf(x kmehr.Prescription) string {
	sum := x.Digest()
	return hex.EncodeToString(sum[:])
}

const shownPermit = "recipe.Permit(redacted)"

// Format writes a fixed text, whatever the verb.
func (Permit) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownPermit) }

// LogValue is a fixed text.
func (Permit) LogValue() slog.Value { return slog.StringValue(shownPermit) }

// meant remembers what was prescribed under the latest references: what is taken back leaves nothing on disk.
type meant struct {
	mu sync.Mutex
	of map[string]string
}

const maxMeant = 1000

func (m *meant) add(reference, medical string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil || len(m.of) >= maxMeant {
		m.of = map[string]string{}
	}
	m.of[reference] = medical
}

func (m *meant) get(reference string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[reference]
}

// Granted is when it was granted; the zero time for the zero Permit.
func (p Permit) Granted() time.Time { return p.granted }

// IsZero tells that nothing is permitted.
func (p Permit) IsZero() bool { return p.granted.IsZero() }

// Reference is that of the prescription which paper takes the place of.
func (p Permit) Reference() string { return p.reference }

// CreatedError says that paper must not be given, because there is an electronic prescription.
type CreatedError struct{ RID identity.RID }

// Error says so.
func (e *CreatedError) Error() string { return "recipe: there is an electronic prescription" }

// SafeError is Error: it may be logged.
func (e *CreatedError) SafeError() string { return e.Error() }

const (
	opPaper      = "recipe.prescriber.Paper"
	opPaperGiven = "recipe.prescriber.PaperGiven"
	// permitWait is how long granting may take. It is local.
	permitWait = 10 * time.Second
)

// paperRecord says that paper was given.
type paperRecord struct {
	Version int    `json:"v"`
	Of      string `json:"of,omitempty"`     // see Permit
	Author  string `json:"author,omitempty"` // see [Prescriber.own]
	Given   bool   `json:"given,omitempty"`  // by a person who was not sure: it waits for what becomes of the electronic one
}

// paperAnswer is when, and what had to be taken back.
type paperAnswer struct {
	At      time.Time `json:"at"`
	Of      string    `json:"of,omitempty"`
	Surplus string    `json:"surplus,omitempty"`
	// Unnumbered: there is one to be taken back, and nobody knows its number.
	Unnumbered bool `json:"unnumbered,omitempty"`
}

// errSettled: an item that was not settled is so now.
const errSettled reason = "recipe: settled meanwhile"

// given tells whether a paper item that is not settled was recorded by [Prescriber.PaperGiven].
func given(ctx context.Context, box *outbox.Box, id outbox.ID) (bool, error) {
	it, err := box.Reveal(ctx, id)
	if err != nil {
		return false, err
	}
	if len(it.Payload) == 0 {
		switch view, err := box.Show(ctx, id); {
		case err != nil:
			return false, err
		case view.State != outbox.Done && view.State != outbox.Cancelled && view.State != outbox.Expired:
			return false, errRecord // it should be there: looking again would find the same
		}
		return false, errSettled
	}
	var r paperRecord
	if err := json.Unmarshal(it.Payload, &r); err != nil {
		return false, errRecord
	}
	return r.Given, nil
}

// Paper grants the permit to give paper for a reference: when nothing was tried, or when it is certain that nothing was
// created. It is on disk before it is granted, and from then on the electronic one is refused ([ErrPaperGiven]), in every
// process that shares the outbox. A held prescription is given up. Asking again gives the same permit.
//
// It fails with a [*CreatedError] when there is an electronic prescription, and with an [*UnsureError] while nobody knows.
func (p *Prescriber) Paper(ctx context.Context, reference string) (Permit, error) {
	return p.paper(ctx, reference, "")
}

// PaperFor is [Prescriber.Paper] for a content, which the permit covers. It is refused (outbox.ErrConflict) when the reference
// is known to be about another one.
func (p *Prescriber) PaperFor(ctx context.Context, reference string, content kmehr.Prescription) (Permit, error) {
	return p.paper(ctx, reference, medicalOf(content))
}

func (p *Prescriber) paper(ctx context.Context, reference, of string) (Permit, error) {
	box := p.box.Load()
	if box == nil {
		return Permit{}, p.local(opPaper, fault.Local, ErrNoOutbox)
	}
	if reference == "" || len(reference) > maxReference {
		return Permit{}, p.invalid(opPaper, ErrReference)
	}
	ctx, cancel := context.WithTimeout(ctx, permitWait)
	defer cancel()
	type end struct {
		permit Permit
		err    error
	}
	e, ok := attend(ctx, func() end {
		for range 3 {
			permit, again, err := p.permit(ctx, box, reference, of)
			if !again {
				return end{permit, err}
			}
		}
		return end{err: p.local(opPaper, fault.Conflict, outbox.ErrConflict)}
	}, func(end) {}) // whoever asks again gets a permit that came too late
	if !ok {
		return Permit{}, p.ledger(opPaper, ctx.Err())
	}
	return e.permit, e.err
}

func (p *Prescriber) permit(ctx context.Context, box *outbox.Box, reference, of string) (_ Permit, again bool, _ error) {
	st, err := p.look(ctx, box, reference)
	if errors.Is(err, outbox.ErrCorrupt) {
		return Permit{}, false, p.undecided(reference, err)
	}
	if err != nil {
		return Permit{}, false, p.ledger(opPaper, err)
	}
	switch about := p.about(ctx, box, reference, st); {
	case of == "":
		of = about
	case about != "" && about != of:
		return Permit{}, false, p.local(opPaper, fault.Conflict, outbox.ErrConflict)
	}
	switch st.state {
	case OutcomePaper:
		return p.granted(ctx, box, reference, of, st)
	case OutcomeCreated:
		return Permit{}, false, p.exists(ctx, box, reference, st.create.id)
	case OutcomeUnsure:
		// One that is on disk and was not sent belongs to a call that ended, or is about to send it: whoever comes first wins.
		if st.create.fate(time.Now()) != fateWaiting || !p.withdraw(ctx, box, st.create.id) {
			return Permit{}, false, p.undecided(reference, nil)
		}
	case OutcomeHeld: // it would be before us in the line
		for _, it := range []item{st.held, st.create} {
			if it.fate(time.Now()) == fateWaiting && !p.withdraw(ctx, box, it.id) {
				return Permit{}, false, p.undecided(reference, nil)
			}
		}
	}
	n, err := st.paper.next()
	if err != nil {
		return Permit{}, false, p.local(opPaper, fault.Conflict, err)
	}
	payload, err := json.Marshal(paperRecord{Version: createVersion, Author: p.who.NIHII.Base(), Of: of})
	if err != nil {
		return Permit{}, false, p.local(opPaper, fault.Local, errRecord)
	}
	end, _ := ctx.Deadline()
	res, err := box.Do(ctx, outbox.Item{
		Kind: KindPaper, Key: lineOf(reference), Ref: refOf(reference, n), Expiry: outbox.At(end), Payload: payload,
	})
	if err == nil {
		return permitOf(reference, of, res)
	}
	if q, ok := errors.AsType[*outbox.QueuedError](err); ok {
		// Something about this reference is before it in the line. A permit that is not taken back in time is granted to nobody.
		p.withdraw(ctx, box, q.ID)
		return Permit{}, false, p.undecided(reference, q.Err)
	}
	if s, ok := errors.AsType[*outbox.StateError](err); ok && s.State == outbox.Rejected {
		return Permit{}, true, nil // what it was refused for is in the ledger now
	}
	if errors.Is(err, outbox.ErrConflict) {
		return Permit{}, true, nil
	}
	return Permit{}, false, p.ledger(opPaper, err)
}

func permitOf(reference, of string, res *outbox.Result) (Permit, bool, error) {
	var a paperAnswer
	if err := json.Unmarshal(res.Answer, &a); err != nil {
		return Permit{}, false, &fault.Error{Op: opPaper, Service: ServicePrescriber, Kind: fault.Local, Outcome: fault.Done, Err: errRecord}
	}
	if a.Surplus != "" || a.Unnumbered { // a person gave paper before it was known, and there was an electronic one
		return Permit{}, false, &fault.Error{
			Op: opPaper, Service: ServicePrescriber, Kind: fault.Conflict, Outcome: fault.NotSent, Err: &CreatedError{ridOf(a.Surplus)},
		}
	}
	switch {
	case a.Of == "":
		a.Of = of
	case of != "" && of != a.Of:
		return Permit{}, false, &fault.Error{Op: opPaper, Service: ServicePrescriber, Kind: fault.Conflict, Outcome: fault.NotSent, Err: outbox.ErrConflict}
	}
	return Permit{reference, a.At, a.Of}, false, nil
}

// granted returns the permit that was granted before.
func (p *Prescriber) granted(ctx context.Context, box *outbox.Box, reference, of string, st *entries) (Permit, bool, error) {
	if st.given {
		return Permit{}, false, p.undecided(reference, ErrPaperGiven)
	}
	res, err := box.Result(ctx, st.paper.id)
	if err != nil {
		return Permit{}, false, p.ledger(opPaper, err)
	}
	permit, again, err := permitOf(reference, of, res)
	if e, ok := errors.AsType[*CreatedError](err); ok && e.RID.IsZero() {
		a, err := p.createdAs(ctx, box, reference, nil)
		if err != nil {
			return Permit{}, false, p.ledger(opPaper, err)
		}
		e.RID = a.rid()
	}
	return permit, again, err
}

// about is the digest of what was tried under a reference; "" = not known.
func (p *Prescriber) about(ctx context.Context, box *outbox.Box, reference string, st *entries) string {
	if of := p.meant.get(reference); of != "" {
		return of
	}
	for _, it := range []item{st.create, st.held} {
		if it.n == 0 {
			continue
		}
		var r struct{ Medical string }
		if shown, err := box.Reveal(ctx, it.id); err == nil && json.Unmarshal(shown.Payload, &r) == nil && r.Medical != "" {
			return r.Medical
		}
	}
	return ""
}

func (p *Prescriber) exists(ctx context.Context, box *outbox.Box, reference string, id outbox.ID) error {
	rid, err := p.ridIn(ctx, box, reference, id)
	if err != nil {
		return p.ledger(opPaper, err)
	}
	return p.local(opPaper, fault.Conflict, &CreatedError{rid})
}

func (p *Prescriber) undecided(reference string, cause error) error {
	return &fault.Error{
		Op: opPaper, Service: p.service, Kind: fault.Conflict, Outcome: fault.Unknown, Notice: NoticeUnsure, Err: &UnsureError{reference, cause},
	}
}

// PaperGiven records that somebody gave paper although nobody knows whether there is an electronic prescription. When it turns
// out that there is one, it is revoked, unless a pharmacy has it already; that is told by an [Event].
func (p *Prescriber) PaperGiven(ctx context.Context, reference string) error {
	box := p.box.Load()
	if box == nil {
		return p.local(opPaperGiven, fault.Local, ErrNoOutbox)
	}
	if reference == "" || len(reference) > maxReference {
		return p.invalid(opPaperGiven, ErrReference)
	}
	payload, err := json.Marshal(paperRecord{Version: createVersion, Author: p.who.NIHII.Base(), Given: true})
	if err != nil {
		return p.local(opPaperGiven, fault.Local, errRecord)
	}
	for range 3 {
		st, err := p.look(ctx, box, reference)
		if err != nil {
			return p.ledger(opPaperGiven, err)
		}
		if st.state == OutcomePaper {
			return nil
		}
		n, err := st.paper.next()
		if err != nil {
			return p.local(opPaperGiven, fault.Conflict, err)
		}
		_, err = box.Put(ctx, outbox.Item{Kind: KindPaper, Key: lineOf(reference), Ref: refOf(reference, n), Priority: outbox.Interactive, Payload: payload})
		if err == nil {
			return nil
		}
		if !errors.Is(err, outbox.ErrConflict) { // somebody asked for a permit just now, which may not be granted
			return p.ledger(opPaperGiven, err)
		}
	}
	return p.local(opPaperGiven, fault.Conflict, outbox.ErrConflict)
}

// paperHandler grants permits. It runs at the head of the line, so nothing about the reference is under way.
type paperHandler struct{ p *Prescriber }

// Send implements outbox.Sender.
func (h paperHandler) Send(ctx context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Answer, error) {
	p := h.p
	box := p.box.Load()
	var r paperRecord
	if err := json.Unmarshal(it.Payload, &r); err != nil || r.Version != createVersion {
		return nil, p.invalid(opPaper, errRecord)
	}
	if box == nil {
		return nil, p.local(opPaper, fault.Local, ErrNoOutbox)
	}
	if !p.own(r.Author) {
		return nil, p.foreign(opPaper)
	}
	reference := referenceOf(it.Ref)
	for _, kind := range []outbox.Kind{KindHeld, KindCreate} {
		last, err := latest(ctx, box, kind, reference)
		if err != nil {
			return nil, p.ledger(opPaper, err)
		}
		f := last.fate(time.Now())
		if f == fateWaiting && p.withdraw(ctx, box, last.id) {
			f = fateNone
		}
		switch {
		case f == fateNone, f == fateDone && kind == KindHeld:
		case f == fateDone:
			return h.surplus(ctx, box, last.id, reference, r.Given)
		case r.Given: // to be looked at again, until somebody decided
			return nil, p.local(opPaper, fault.Unavailable, ErrNotYet)
		default:
			return nil, &fault.Error{Op: opPaper, Service: p.service, Kind: fault.Conflict, Outcome: fault.Rejected, Err: ErrNotYet}
		}
	}
	if err := intact(ctx, box, reference); err != nil {
		return nil, p.ledger(opPaper, err)
	}
	return json.Marshal(paperAnswer{At: time.Now().Round(0), Of: r.Of})
}

// surplus takes back the electronic prescription when paper was given already.
func (h paperHandler) surplus(ctx context.Context, box *outbox.Box, id outbox.ID, reference string, given bool) (outbox.Answer, error) {
	p := h.p
	res, err := box.Result(ctx, id)
	if err != nil {
		return nil, p.ledger(opPaper, err)
	}
	a, err := p.createdAs(ctx, box, reference, res.Answer)
	if err != nil {
		return nil, p.ledger(opPaper, err)
	}
	if !given {
		return nil, &fault.Error{Op: opPaper, Service: p.service, Kind: fault.Conflict, Outcome: fault.Rejected, Err: &CreatedError{a.rid()}}
	}
	if a.rid().IsZero() {
		number, err := latest(ctx, box, KindNumber, reference)
		switch {
		case err != nil:
			return nil, p.ledger(opPaper, err)
		case number.fate(time.Now()) == fateUnknown: // it is being found, and may not have seen us
			return nil, p.local(opPaper, fault.Unavailable, ErrNotYet)
		}
		p.tell(Event{Kind: EventNotRevoked, Reference: reference})
		return json.Marshal(paperAnswer{At: time.Now().Round(0), Unnumbered: true})
	}
	if err := p.revokeSurplus(ctx, reference, a.rid(), reasonPaper); err != nil {
		return nil, err
	}
	return json.Marshal(paperAnswer{At: time.Now().Round(0), Surplus: a.RID})
}
