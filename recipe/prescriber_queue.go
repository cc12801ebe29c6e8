package recipe

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Handler is what an outbox must know about a kind.
type Handler struct {
	Kind    outbox.Kind
	Handler outbox.Sender
	Policy  outbox.Policy
	// Service gets the items. "" = nobody: they are settled on this computer, and must not wait for a service.
	Service string
}

// policyOf is how the outbox treats a kind.
func policyOf(k outbox.Kind) outbox.Policy {
	switch k {
	case KindCreate:
		return outbox.Policy{Class: resilience.ResolvableWrite, Skew: outbox.DefaultSkew, Late: outbox.DefaultLate, Lag: lag}
	case KindNotify:
		return outbox.Policy{Class: resilience.UnsafeWrite}
	case KindNumber:
		return outbox.Policy{Class: resilience.IdempotentWrite, BackoffMax: 6 * time.Hour}
	}
	return outbox.Policy{Class: resilience.IdempotentWrite}
}

// Handlers are all kinds of items of a prescriber.
func (p *Prescriber) Handlers() []Handler {
	own := func(k outbox.Kind, s outbox.Sender) Handler { return Handler{k, s, policyOf(k), p.service} }
	local := func(k outbox.Kind, s outbox.Sender) Handler { return Handler{k, s, policyOf(k), ""} }
	return []Handler{
		own(KindCreate, createHandler{p}), own(KindHeld, heldHandler{p}), local(KindPaper, paperHandler{p}), own(KindNumber, numberHandler{p}),
		own(KindRevoke, outbox.SendFunc(p.sendRevoke)), own(KindVision, outbox.SendFunc(p.sendVision)),
		own(KindFeedbackFlag, outbox.SendFunc(p.sendFlag)), own(KindNotify, outbox.SendFunc(p.sendNote)),
	}
}

// Handle are the options that make an outbox do the work of this prescriber.
func (p *Prescriber) Handle() []outbox.Option { return handle(p.Handlers()) }

func handle(all []Handler) []outbox.Option {
	var out []outbox.Option
	for _, h := range all {
		out = append(out, outbox.Handle(h.Kind, h.Handler, h.Policy))
	}
	return out
}

// writeRecord is a write about one prescription that waits.
type writeRecord struct {
	Version int    `json:"v"`
	Author  string `json:"author,omitempty"` // see [Prescriber.own]
	RID     string `json:"rid,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Allowed bool   `json:"allowed,omitempty"`

	Vision    *string `json:"vision,omitempty"`
	Others    string  `json:"others,omitempty"`
	KMEHR     string  `json:"kmehr,omitempty"`
	Source    string  `json:"source,omitempty"`
	Pharmacy  string  `json:"pharmacy,omitempty"`
	Patient   string  `json:"patient,omitempty"`
	Text      string  `json:"text,omitempty"`
	Reference string  `json:"ref,omitempty"` // of the prescription that is one too many
}

// waiting reads a write that is to be done now.
func (p *Prescriber) waiting(op operation, it outbox.Item) (*writeRecord, error) {
	var r writeRecord
	if err := json.Unmarshal(it.Payload, &r); err != nil || r.Version != createVersion {
		return nil, p.invalid(op.name, errRecord)
	}
	if !p.own(r.Author) {
		return nil, p.foreign(op.name)
	}
	return &r, nil
}

// queue does a write now if it can, and keeps it otherwise. The writes about one prescription keep their order.
func (p *Prescriber) queue(ctx context.Context, op operation, kind outbox.Kind, rid identity.RID, ref string, rec writeRecord) error {
	box := p.box.Load()
	if box == nil {
		return p.local(op.name, fault.Local, ErrNoOutbox)
	}
	rec.Version, rec.Author = createVersion, p.who.NIHII.Base()
	line := ""
	if !rid.IsZero() {
		rec.RID, line = rid.Reveal(), "rid/"+rid.Reveal()
	}
	payload, err := json.Marshal(rec)
	if err != nil {
		return p.local(op.name, fault.Local, errRecord)
	}
	_, err = box.Do(ctx, outbox.Item{Kind: kind, Key: line, Ref: ref, Payload: payload})
	return throughOutbox(op.name, p.service, err)
}

// QueueRevoke is [Prescriber.Revoke] through the outbox: when it cannot be done now, it is done when Recip-e answers again,
// and the error matches outbox.ErrQueued. What a pharmacy has by then is not revoked, and ends as rejected.
func (p *Prescriber) QueueRevoke(ctx context.Context, rid identity.RID, why identity.Private) error {
	if rid.IsZero() || why.IsZero() {
		return p.invalid(opRevoke.name, ErrRequest)
	}
	rec := writeRecord{Reason: why.Reveal()}
	for n := range maxTries {
		ref := "revoke/" + rid.Reveal()
		if n > 0 {
			ref = refOf(ref, n)
		}
		over, err := p.over(ctx, ref, &rec)
		if err != nil || over == outbox.Done {
			return err
		}
		if over != 0 {
			continue
		}
		err = p.queue(ctx, opRevoke, KindRevoke, rid, ref, rec)
		if !errors.Is(err, outbox.ErrConflict) {
			return err
		} // else it was asked for at the same moment with another reason
	}
	return p.local(opRevoke.name, fault.Conflict, errTooOften)
}

// over tells where an earlier revocation ended; 0 = there is none, or it waits: then rec gets its reason, so that the new one joins
// it. One that was refused or given up may be asked for again, because the pharmacy may have let go.
func (p *Prescriber) over(ctx context.Context, ref string, rec *writeRecord) (outbox.State, error) {
	box := p.box.Load()
	if box == nil {
		return 0, p.local(opRevoke.name, fault.Local, ErrNoOutbox)
	}
	view, err := box.Show(ctx, box.ID(KindRevoke, ref))
	if errors.Is(err, outbox.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, p.ledger(opRevoke.name, err)
	}
	if !view.State.Open() {
		return view.State, nil
	}
	it, err := box.Reveal(ctx, view.ID)
	if err != nil {
		return 0, p.ledger(opRevoke.name, err)
	}
	var before writeRecord
	if json.Unmarshal(it.Payload, &before) == nil && before.Reason != "" {
		rec.Reason = before.Reason
	}
	return 0, nil
}

// QueueFeedbackFlag is [Prescriber.SetFeedback] through the outbox.
func (p *Prescriber) QueueFeedbackFlag(ctx context.Context, rid identity.RID, allowed bool) error {
	if rid.IsZero() {
		return p.invalid(opFeedbackFlag.name, ErrRequest)
	}
	return p.queue(ctx, opFeedbackFlag, KindFeedbackFlag, rid, "", writeRecord{Allowed: allowed})
}

// QueueVision is [Prescriber.PutVision] through the outbox.
func (p *Prescriber) QueueVision(ctx context.Context, rid identity.RID, v Visibility) error {
	if rid.IsZero() {
		return p.invalid(opVision.name, ErrRequest)
	}
	if err := v.check(p.conf.Generation); err != nil {
		return p.invalid(opVision.name, err)
	}
	rec := writeRecord{Others: string(v.Others), KMEHR: v.PrescriptionVersion, Source: v.ReferenceSourceVersion}
	if v.Vision != nil {
		text := v.Vision.Reveal()
		rec.Vision = &text
	}
	return p.queue(ctx, opVision, KindVision, rid, "", rec)
}

// QueueNotification is [Prescriber.SendNotification] through the outbox. reference names it, so that it is not sent twice; ""
// = each call is a message of its own. When nobody knows whether it arrived it is not sent again: a person decides.
func (p *Prescriber) QueueNotification(ctx context.Context, reference string, n OutgoingNotification) error {
	if n.Pharmacy.IsZero() || n.Patient.IsZero() || n.Text.IsZero() {
		return p.invalid(opNotify.name, ErrRequest)
	}
	return p.queue(ctx, opNotify, KindNotify, identity.RID{}, reference, writeRecord{
		Pharmacy: n.Pharmacy.Reveal(), Patient: n.Patient.Reveal(), Text: n.Text.Reveal(),
	})
}

func (p *Prescriber) sendRevoke(ctx context.Context, it outbox.Item, at outbox.Attempt) (outbox.Answer, error) {
	r, err := p.waiting(opRevoke, it)
	if err != nil {
		return nil, err
	}
	rid := ridOf(r.RID)
	err = p.Revoke(exchange.WithExpires(ctx, at.Expires), rid, identity.Hide(r.Reason))
	if r.Reference == "" {
		return nil, err
	}
	switch fault.OutcomeOf(err) {
	case fault.Done:
		p.tell(Event{Kind: EventRevoked, Reference: r.Reference, RID: rid})
	case fault.Rejected:
		if !triedAgain(fault.KindOf(err)) { // else it is told when it is parked, see Observe
			p.tell(Event{Kind: EventNotRevoked, Reference: r.Reference, RID: rid})
		}
	}
	return nil, err
}

// triedAgain tells of a refusal whether the outbox tries again: it may help later.
func triedAgain(k fault.Kind) bool {
	return k == 0 || k == fault.Denied || k == fault.Canceled || k.Temporary()
}

func (p *Prescriber) sendFlag(ctx context.Context, it outbox.Item, at outbox.Attempt) (outbox.Answer, error) {
	r, err := p.waiting(opFeedbackFlag, it)
	if err != nil {
		return nil, err
	}
	return nil, p.SetFeedback(exchange.WithExpires(ctx, at.Expires), ridOf(r.RID), r.Allowed)
}

func (p *Prescriber) sendVision(ctx context.Context, it outbox.Item, at outbox.Attempt) (outbox.Answer, error) {
	r, err := p.waiting(opVision, it)
	if err != nil {
		return nil, err
	}
	v := Visibility{Others: protocol.VisionOthers(r.Others), PrescriptionVersion: r.KMEHR, ReferenceSourceVersion: r.Source}
	if r.Vision != nil {
		vision := protocol.Vision(*r.Vision)
		v.Vision = &vision
	}
	return nil, p.PutVision(exchange.WithExpires(ctx, at.Expires), ridOf(r.RID), v)
}

func (p *Prescriber) sendNote(ctx context.Context, it outbox.Item, at outbox.Attempt) (outbox.Answer, error) {
	r, err := p.waiting(opNotify, it)
	if err != nil {
		return nil, err
	}
	pharmacy, err := identity.ParseNIHIILenient(r.Pharmacy)
	if err != nil {
		return nil, p.invalid(opNotify.name, errRecord)
	}
	patient, err := identity.ParseSSIN(r.Patient)
	if err != nil {
		return nil, p.invalid(opNotify.name, errRecord)
	}
	return nil, p.SendNotification(exchange.WithExpires(ctx, at.Expires), OutgoingNotification{pharmacy, patient, identity.Hide(r.Text)})
}

// Why a surplus prescription is revoked: the pharmacy that asks for it reads this.
const (
	reasonPaper  = "duplicate: paper given"
	reasonDouble = "duplicate"
)

func surplusRef(rid identity.RID) string { return "surplus/" + rid.Reveal() }

// revokeSurplus sees to it that a prescription that is one too many is revoked, now or later. It is told only when that is on
// disk.
func (p *Prescriber) revokeSurplus(ctx context.Context, reference string, rid identity.RID, why string) error {
	box := p.box.Load()
	if box == nil {
		return p.local(opRevoke.name, fault.Local, ErrNoOutbox)
	}
	payload, err := json.Marshal(writeRecord{Version: createVersion, Author: p.who.NIHII.Base(), RID: rid.Reveal(), Reason: why, Reference: reference})
	if err != nil {
		return p.local(opRevoke.name, fault.Local, errRecord)
	}
	_, err = box.Put(ctx, outbox.Item{Kind: KindRevoke, Key: "rid/" + rid.Reveal(), Ref: surplusRef(rid), Priority: outbox.Interactive, Payload: payload})
	if err != nil && !errors.Is(err, outbox.ErrConflict) {
		return p.ledger(opRevoke.name, err)
	}
	p.tell(Event{Kind: EventSurplus, Reference: reference, RID: rid})
	return nil
}

func (p *Prescriber) tell(e Event) {
	if p.conf.OnEvent != nil {
		p.conf.OnEvent(e)
	}
}

// Observe is to be told of the changes in the outbox (see outbox.WithEvents). It makes events of them: [EventSettled] for
// prescriptions of which nobody knew and for those that were held, and [EventNotRevoked] for a surplus one that needs a person. It
// does not block. Of what another prescriber began with the same outbox nothing is told: that one asks for the Outcome.
func (p *Prescriber) Observe(e outbox.Event) {
	box := p.box.Load()
	if p.conf.OnEvent == nil || box == nil {
		return
	}
	switch ends := e.To == outbox.Done || e.To == outbox.Expired || e.To == outbox.Rejected || e.To == outbox.Parked; {
	case e.Kind == KindCreate && ends, e.Kind == KindHeld && ends && e.To != outbox.Done, e.Kind == KindNumber && e.To == outbox.Done:
		go p.settled(box, e)
	case e.Kind == KindRevoke && e.To == outbox.Parked:
		go p.parked(box, e)
	}
}

// parked tells of a surplus prescription that could not be revoked so often that it is not tried any more.
func (p *Prescriber) parked(box *outbox.Box, e outbox.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), withdrawWait)
	defer cancel()
	it, err := box.Reveal(ctx, e.ID)
	if err != nil {
		return
	}
	var r writeRecord
	if json.Unmarshal(it.Payload, &r) == nil && r.Reference != "" {
		p.tell(Event{Kind: EventNotRevoked, Reference: r.Reference, RID: ridOf(r.RID)})
	}
}

// settled tells of a prescription whose caller is not told by its own call. When the outbox cannot be read, who asks for the
// Outcome learns of that.
func (p *Prescriber) settled(box *outbox.Box, e outbox.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), withdrawWait)
	defer cancel()
	it, err := box.Reveal(ctx, e.ID)
	if err != nil || !p.authored(it) || e.Kind == KindCreate && e.From == outbox.Sending && !later(ctx, box, e, it) {
		return
	}
	if e.To == outbox.Parked { // it cannot be sent; one of which nobody knows waits for a person
		if view, err := box.Show(ctx, e.ID); err != nil || view.Pending || !p.withdraw(ctx, box, e.ID) {
			return
		}
	}
	reference := referenceOf(it.Ref)
	if out, err := p.Outcome(ctx, reference); err == nil {
		p.tell(Event{Kind: EventSettled, Reference: reference, RID: out.RID, Outcome: out})
	}
}

// authored tells that an item is not another prescriber's. What is done leaves nothing to tell by, and was done by who may.
func (p *Prescriber) authored(it outbox.Item) bool {
	var r struct {
		Author string `json:"author"`
	}
	return json.Unmarshal(it.Payload, &r) != nil || p.own(r.Author)
}

// later tells of a prescription that was just sent whether that was in the background, after it was held and confirmed.
func later(ctx context.Context, box *outbox.Box, e outbox.Event, it outbox.Item) bool {
	if e.To != outbox.Done {
		rec, err := decodeCreate(it.Payload)
		return err == nil && rec.Later
	}
	res, err := box.Result(ctx, e.ID)
	if err != nil {
		return false
	}
	a, err := decodeCreateAnswer(res.Answer)
	return err == nil && a.Later
}
