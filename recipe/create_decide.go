package recipe

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// KindNumber looks for the number of a prescription of which a person said that it was created, see [Prescriber.Decide].
const KindNumber outbox.Kind = "recipe.number"

const opDecide = "recipe.prescriber.Decide"

const errNoNumber reason = "recipe: its number is not found yet"

// Decision is what a person found out about a prescription of which nobody knew.
type Decision struct {
	// Created: there is an electronic prescription. Otherwise there is none, and paper may be given.
	Created bool
	// RID is its number. Zero = it is looked for by its key.
	RID identity.RID
}

// Decide records what a person found out about a prescription of which nobody knows, when it is not looked for any more:
// outbox.DefaultGiveUp after the time in which it could have been found. Earlier than that the error is within [ErrNotYet].
//
// A number that is given counts when Recip-e has confirmed that it is this prescription's; another one's is refused
// ([ErrNumber]), and then nothing is recorded. While Recip-e does not answer, the decision counts without its number, which is confirmed, or found, later:
// Outcome has it from then on, an [EventSettled] tells, and if paper was given the prescription is revoked. Of what was decided by
// outbox.Box.Decide the number can be given afterwards; nothing is left of its key by then, so that Recip-e is asked only whether
// the prescription is the caller's and of that time.
func (p *Prescriber) Decide(ctx context.Context, reference string, d Decision) (Outcome, error) {
	box := p.box.Load()
	if box == nil {
		return Outcome{}, p.local(opDecide, fault.Local, ErrNoOutbox)
	}
	ctx, cancel := p.bounded(ctx, time.Now())
	defer cancel()
	st, err := p.look(ctx, box, reference)
	if err != nil {
		return Outcome{}, p.ledger(opDecide, err)
	}
	switch v := st.create.view; {
	case st.create.n == 0:
		return Outcome{}, p.local(opDecide, fault.NotFound, ErrReference)
	case v.State == outbox.Done:
		err = p.numbered(ctx, box, reference, st, d)
	case !v.Pending:
		return Outcome{}, p.local(opDecide, fault.Conflict, outbox.ErrState)
	case v.State != outbox.Parked:
		return Outcome{}, p.local(opDecide, fault.Conflict, ErrNotYet)
	case d.Created:
		if err = p.number(ctx, box, reference, st, d.RID); err == nil {
			err = p.conclude(ctx, box, st.create.id, true)
		}
	default:
		if err = p.conclude(ctx, box, st.create.id, false); err == nil {
			p.withdraw(ctx, box, st.create.id)
		}
	}
	if err != nil {
		return Outcome{}, err
	}
	return p.Outcome(ctx, reference)
}

// ReferenceOf is the reference of the prescription that an item of the outbox is about, such as [Prescriber.Decide] takes it; "" for
// an item that is not of kind [KindCreate]. See outbox.Box.Reveal.
func ReferenceOf(it outbox.Item) string {
	if it.Kind != KindCreate {
		return ""
	}
	return referenceOf(it.Ref)
}

// conclude makes a decision that the outbox keeps. Somebody else may have been faster.
func (p *Prescriber) conclude(ctx context.Context, box *outbox.Box, id outbox.ID, created bool) error {
	err := box.Decide(ctx, id, created)
	if s, ok := errors.AsType[*outbox.StateError](err); ok && (created && s.State == outbox.Done || !created && !s.Pending && s.State != outbox.Done) {
		return nil
	}
	if err != nil {
		return p.ledger(opDecide, err)
	}
	return nil
}

// numbered is a decision about a prescription of which it is known that it was created.
func (p *Prescriber) numbered(ctx context.Context, box *outbox.Box, reference string, st *entries, d Decision) error {
	rid, err := p.ridIn(ctx, box, reference, st.create.id)
	switch {
	case err != nil:
		return p.ledger(opDecide, err)
	case !d.Created, !rid.IsZero() && !d.RID.IsZero() && rid != d.RID:
		return p.local(opDecide, fault.Conflict, &CreatedError{rid})
	case !rid.IsZero():
		return nil
	}
	return p.number(ctx, box, reference, st, d.RID)
}

// numberRecord is what is kept of a prescription whose number is looked for: no more than that takes.
type numberRecord struct {
	Version   int       `json:"v"`
	Reference string    `json:"ref"`
	Author    string    `json:"author"`
	RID       string    `json:"rid,omitempty"` // as a person said
	Patient   string    `json:"patient,omitempty"`
	KeyID     string    `json:"key,omitempty"` // "" = nothing is left of it
	Content   string    `json:"content,omitempty"`
	Expires   string    `json:"expires,omitempty"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"` // without a key: it was created in between
}

// number confirms a number, or finds it, now or later.
func (p *Prescriber) number(ctx context.Context, box *outbox.Box, reference string, st *entries, rid identity.RID) error {
	rec, err := p.sought(ctx, box, reference, st.create)
	if err != nil {
		return p.ledger(opDecide, err)
	}
	if rec.RID = rid.Reveal(); rec.RID == "" && rec.KeyID == "" {
		return nil // nothing to look with
	}
	payload, err := json.Marshal(rec)
	if err != nil {
		return p.local(opDecide, fault.Local, errRecord)
	}
	last, err := latest(ctx, box, KindNumber, reference)
	if err != nil {
		return p.ledger(opDecide, err)
	}
	switch f := last.fate(time.Now()); {
	case f == fateWaiting && rid.IsZero() && last.view.State != outbox.Parked:
		return nil // it is being looked for
	case f == fateWaiting && !p.withdraw(ctx, box, last.id), f == fateUnknown:
		return p.local(opDecide, fault.Conflict, outbox.ErrConflict) // somebody else asks just now
	}
	n, err := last.next()
	if err != nil {
		return p.local(opDecide, fault.Conflict, err)
	}
	// A line of its own: paper that was given does not wait for this.
	_, err = box.Do(ctx, outbox.Item{
		Kind: KindNumber, Key: "rxno/" + reference, Ref: refOf(reference, n), Expiry: outbox.Days(int(outbox.DefaultKeep / (24 * time.Hour))), Payload: payload,
	})
	if err == nil || errors.Is(err, outbox.ErrQueued) || errors.Is(err, outbox.ErrUnknown) {
		return nil
	}
	if s, ok := errors.AsType[*outbox.StateError](err); ok && s.State == outbox.Rejected {
		return p.local(opDecide, fault.Conflict, ErrNumber)
	}
	return p.ledger(opDecide, err)
}

// sought is what is known of a prescription whose number is not.
func (p *Prescriber) sought(ctx context.Context, box *outbox.Box, reference string, it item) (*numberRecord, error) {
	out := &numberRecord{Version: createVersion, Reference: reference, Author: p.who.NIHII.Base(), Start: it.view.Created.Add(-outbox.DefaultSkew)}
	for _, t := range it.view.History {
		out.End = t.Begun.Add(outbox.DefaultTTL + outbox.DefaultSkew + outbox.DefaultLate)
	}
	if it.view.State == outbox.Done {
		return out, nil
	}
	shown, err := box.Reveal(ctx, it.id)
	if err != nil {
		return nil, err
	}
	rec, err := decodeCreate(shown.Payload)
	if err != nil {
		return nil, err
	}
	if !p.own(rec.Author) {
		return nil, errAuthor
	}
	out.Patient, out.KeyID, out.Content, out.Expires, out.Start = rec.Patient, rec.KeyID, rec.Content, rec.Expires, rec.Start
	return out, nil
}

// createdAs is what the outbox has about a prescription that was created: as it was answered, or found afterwards. Its number is zero
// when a person decided and it is not found.
func (p *Prescriber) createdAs(ctx context.Context, box *outbox.Box, reference string, answer outbox.Answer) (*createAnswer, error) {
	a, err := decodeCreateAnswer(answer)
	if err != nil || a.RID != "" {
		return a, err
	}
	it, err := latest(ctx, box, KindNumber, reference)
	if err != nil || it.n == 0 || it.view.State != outbox.Done {
		return a, err
	}
	res, err := box.Result(ctx, it.id)
	if err != nil {
		return nil, err
	}
	return decodeCreateAnswer(res.Answer)
}

// ridIn is the number of that; zero = none.
func (p *Prescriber) ridIn(ctx context.Context, box *outbox.Box, reference string, id outbox.ID) (identity.RID, error) {
	res, err := box.Result(ctx, id)
	if err != nil {
		return identity.RID{}, err
	}
	a, err := p.createdAs(ctx, box, reference, res.Answer)
	if err != nil {
		return identity.RID{}, err
	}
	return a.rid(), nil
}

// numberHandler confirms numbers and finds them.
type numberHandler struct{ p *Prescriber }

// Send implements outbox.Sender. It only asks Recip-e.
func (h numberHandler) Send(ctx context.Context, it outbox.Item, at outbox.Attempt) (outbox.Answer, error) {
	p := h.p
	var rec numberRecord
	if err := json.Unmarshal(it.Payload, &rec); err != nil || rec.Version != createVersion {
		return nil, p.invalid(opDecide, errRecord)
	}
	if !p.own(rec.Author) {
		return nil, p.foreign(opDecide)
	}
	a := createAnswer{RID: rec.RID, Content: rec.Content, Expires: rec.Expires}
	if rec.RID != "" {
		if err := h.confirm(ctx, &rec); err != nil {
			return nil, err
		}
	} else if err := h.search(ctx, &rec, at.ID, &a); err != nil {
		return nil, err
	}
	if err := h.settle(ctx, rec.Reference, a.rid()); err != nil {
		return nil, err
	}
	return json.Marshal(a)
}

// later is the error of a question that is asked again.
func (h numberHandler) later(err error) error {
	out := h.p.notSent(opDecide, NoticeUnsure, err)
	if !out.Kind.Temporary() && out.Kind != fault.Canceled {
		out.Kind = fault.Unavailable
	}
	return out
}

// confirm asks whether a number is that of the prescription.
func (h numberHandler) confirm(ctx context.Context, rec *numberRecord) error {
	rid := ridOf(rec.RID)
	is := false
	a, err := h.p.get(ctx, rid)
	switch {
	case errors.As(err, new(*RefusedError)): // lists show keys where the prescription itself is refused, because of its state
		if is, err = h.listed(ctx, rec, rid); err != nil {
			return h.later(err)
		}
	case err != nil:
		return h.later(err)
	case rec.KeyID != "":
		is = a.Result.EncryptionKeyID == rec.KeyID
	default:
		is = !a.Result.CreationDate.Before(rec.Start) && !a.Result.CreationDate.After(rec.End)
	}
	if !is {
		return &fault.Error{Op: opDecide, Service: h.p.service, Kind: fault.Invalid, Outcome: fault.Rejected, Err: ErrNumber}
	}
	return nil
}

// listed tells whether a list has the number under the key.
func (h numberHandler) listed(ctx context.Context, rec *numberRecord, rid identity.RID) (bool, error) {
	patient, err := identity.ParseSSIN(rec.Patient)
	if err != nil || rec.KeyID == "" || h.p.conf.Generation != protocol.Gen2023 {
		return false, nil
	}
	for l, err := range h.p.list(ctx, ListQuery{Patient: patient, Own: true}) {
		if err != nil {
			return false, err
		}
		if l.RID == rid {
			return l.EncryptionKey == rec.KeyID, nil
		}
	}
	return false, nil
}

// search looks for the number by the key, everywhere.
func (h numberHandler) search(ctx context.Context, rec *numberRecord, id outbox.ID, a *createAnswer) error {
	patient, err := identity.ParseSSIN(rec.Patient)
	if err != nil {
		return h.p.invalid(opDecide, errRecord)
	}
	s := &search{p: h.p, id: id, rec: &createRecord{KeyID: rec.KeyID, Start: rec.Start}, patient: patient}
	if err := s.run(ctx, outbox.Attempt{Expires: rec.Start}); err != nil {
		return h.later(err)
	}
	if len(s.found) == 0 {
		return h.p.local(opDecide, fault.Unavailable, errNoNumber)
	}
	h.p.others.forget(id)
	v, err := createHandler(h).found(ctx, &createRecord{Reference: rec.Reference, Content: rec.Content, Expires: rec.Expires}, s.found)
	if err != nil {
		return h.later(err)
	}
	found, err := decodeCreateAnswer(v.Answer)
	if err != nil {
		return h.p.local(opDecide, fault.Local, err)
	}
	*a = *found
	return nil
}

// settle does what follows from a number: the decision counts, and what paper took the place of is revoked.
func (h numberHandler) settle(ctx context.Context, reference string, rid identity.RID) error {
	box := h.p.box.Load()
	st, err := h.p.look(ctx, box, reference)
	if err != nil {
		return h.p.ledger(opDecide, err)
	}
	if v := st.create.view; v.State == outbox.Parked && v.Pending {
		if err := h.p.conclude(ctx, box, st.create.id, true); err != nil {
			return err
		}
	}
	if st.state == OutcomePaper {
		return h.p.revokeSurplus(ctx, reference, rid, reasonPaper)
	}
	return nil
}
