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

// hold keeps what was certainly not sent, when the caller asked for that; cause is why it was not. It returns the error of
// the call.
func (c *creating) hold(ctx context.Context, st *entries, cause error) error {
	if e, ok := errors.AsType[*NotCreatedError](cause); ok {
		cause = e.Err
	}
	if !c.r.Hold || !temporary(cause) || !c.put() {
		return c.notCreated(cause, false)
	}
	payload, err := json.Marshal(heldRecord{
		Version: createVersion, Reference: c.r.Reference, Author: c.p.who.NIHII.Base(), Content: c.doc.content, Medical: c.doc.medical, Document: c.doc.xml, Type: string(c.r.Type), Feedback: c.r.Feedback,
		Label: c.r.Label.Reveal(), Vision: c.r.Vision.Reveal(), VisionOthers: string(c.r.VisionOthers),
	})
	if err != nil {
		return c.notCreated(errors.Join(cause, errRecord), false)
	}
	n, err := st.held.next()
	if err != nil {
		return c.notCreated(errors.Join(cause, err), false)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawWait)
	defer cancel()
	_, err = c.box.Put(ctx, outbox.Item{
		Kind: KindHeld, Key: lineOf(c.r.Reference), Ref: refOf(c.r.Reference, n), Held: true, Expiry: outbox.Midnight(c.began), Payload: payload,
	})
	if err != nil {
		return c.notCreated(errors.Join(cause, err), false)
	}
	return c.notCreated(cause, true)
}

// sameAsHeld refuses a content that is not what is held, or confirmed, under the same reference. again: it was settled meanwhile.
func (c *creating) sameAsHeld(ctx context.Context, st *entries) (again bool, _ error) {
	kept := st.held
	if kept.fate(time.Now()) == fateDone {
		kept = st.create
	}
	it, err := c.box.Reveal(ctx, kept.id)
	if err != nil {
		return false, c.p.ledger(opCreate, err)
	}
	if len(it.Payload) == 0 {
		return true, nil
	}
	var r struct {
		Content string `json:"content"`
	}
	if err := json.Unmarshal(it.Payload, &r); err != nil || r.Content != "" && r.Content != c.doc.content {
		return false, c.p.local(opCreate, fault.Conflict, outbox.ErrConflict)
	}
	return false, nil
}

const opConfirm = "recipe.prescriber.Confirm"

// Confirm states that no paper was given for a prescription that is held, and lets it be sent, until midnight. From then on
// [Prescriber.Paper] gets its permit only if it can still be taken back. Confirming twice does no harm.
func (p *Prescriber) Confirm(ctx context.Context, reference string) error {
	box := p.box.Load()
	if box == nil {
		return p.local(opConfirm, fault.Local, ErrNoOutbox)
	}
	st, err := p.look(ctx, box, reference)
	if err != nil {
		return p.ledger(opConfirm, err)
	}
	switch {
	case st.state == OutcomePaper:
		return p.local(opConfirm, fault.Conflict, ErrPaperGiven)
	case st.state == OutcomeCreated, st.state == OutcomeHeld && st.confirmed:
		return nil
	case st.state != OutcomeHeld:
		return p.local(opConfirm, fault.NotFound, ErrReference)
	}
	if err := box.Release(ctx, st.held.id); err != nil {
		return p.ledger(opConfirm, err)
	}
	return nil
}

// heldHandler makes a prescription of what was confirmed, with a key of its own, and puts it into the same line.
type heldHandler struct{ p *Prescriber }

// Send implements outbox.Sender.
func (h heldHandler) Send(ctx context.Context, it outbox.Item, at outbox.Attempt) (outbox.Answer, error) {
	p := h.p
	held, err := decodeHeld(it.Payload)
	if err != nil {
		return nil, p.invalid(opConfirm, err)
	}
	if !p.own(held.Author) {
		return nil, p.foreign(opConfirm)
	}
	if err := p.excluded(ctx, held.Reference, opConfirm); err != nil {
		return nil, err
	}
	box := p.box.Load()
	last, err := latest(ctx, box, KindCreate, held.Reference)
	if err != nil {
		return nil, p.ledger(opConfirm, err)
	}
	if f := last.fate(time.Now()); f != fateNone {
		return nil, nil // an earlier attempt of ours came that far, or somebody else did
	}
	n, err := last.next()
	if err != nil {
		return nil, p.local(opConfirm, fault.Conflict, err)
	}
	own, err := box.Show(ctx, at.ID)
	if err != nil {
		return nil, p.ledger(opConfirm, err)
	}
	r := &CreateRequest{
		Reference: held.Reference, Document: held.Document, Type: identity.PrescriptionType(held.Type), Feedback: held.Feedback,
		Label: identity.Hide(held.Label), Vision: protocol.Vision(held.Vision), VisionOthers: protocol.VisionOthers(held.VisionOthers),
	}
	doc, err := p.document(r, time.Now())
	if err != nil {
		return nil, p.invalid(opConfirm, err)
	}
	if held.Content != "" {
		doc.content = held.Content
	}
	rec, _, err := p.makeReady(ctx, doc, r, &trips{})
	if err != nil {
		return nil, err
	}
	rec.Later = true
	payload, err := json.Marshal(rec)
	if err != nil {
		return nil, p.invalid(opConfirm, errRecord)
	}
	_, err = box.Put(ctx, outbox.Item{
		Kind: KindCreate, Key: lineOf(held.Reference), Ref: refOf(held.Reference, n), Expiry: outbox.At(own.Expires), Payload: payload,
	})
	if err != nil && !errors.Is(err, outbox.ErrConflict) { // put by somebody else meanwhile: that one goes
		return nil, p.ledger(opConfirm, err)
	}
	return nil, nil
}
