package recipe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// live is a call that somebody waits for: its attempts leave here what the answer in the outbox does not hold.
type live struct {
	trips  *trips
	joined bool  // it was begun by an earlier call
	to     *made // what was made ready for this call; nil = nothing

	mu    sync.Mutex
	rough bool // it needed more than one attempt, or another address
}

// made is what the attempts of a call need not find out again: who Recip-e is, and what their payload says.
type made struct {
	to      *etee.Found
	rec     *createRecord
	payload []byte
}

// record reads a payload.
func (m *made) record(payload []byte) (*createRecord, error) {
	if m != nil && bytes.Equal(payload, m.payload) {
		rec := *m.rec
		return &rec, nil
	}
	return decodeCreate(payload)
}

func (m *made) recipients() *etee.Found {
	if m == nil {
		return nil
	}
	return m.to
}

type liveKey struct{}

func (l *live) with(ctx context.Context) context.Context { return context.WithValue(ctx, liveKey{}, l) }

// liveOf returns it, and whether there is one: a worker has none.
func liveOf(ctx context.Context) (_ *live, waited bool) {
	if l, ok := ctx.Value(liveKey{}).(*live); ok {
		return l, true
	}
	return &live{trips: &trips{}}, false
}

func (l *live) shaky() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rough || l.joined
}

func (l *live) was(rough bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rough = l.rough || rough
}

// reserve is what must be left of a call's time for sending: a message that has too little comes to an unknown end.
func reserve(left time.Duration) time.Duration { return min(left/3, 5*time.Second) }

// slack is how much longer than the call its message is valid. A message that expires with the call would be refused wherever
// the clock of the practice is some seconds slow. It does not let anything leave after the call: see createHandler.Send.
const slack = outbox.DefaultTTL - DefaultTimeout

// prepare makes the item. An error says that nothing was sent and nothing is on disk.
func (c *creating) prepare(ctx context.Context, n int) (outbox.Item, *made, error) {
	end, _ := ctx.Deadline()
	ready, cancel := context.WithDeadline(ctx, end.Add(-reserve(time.Until(end))))
	defer cancel()
	ready, done := c.doc.rules.follow(ready)
	defer done()
	rec, to, err := c.p.makeReady(c.trips.follow(ready), c.doc, c.r, c.trips)
	if err != nil {
		return outbox.Item{}, nil, err
	}
	payload, err := json.Marshal(rec)
	if err != nil {
		return outbox.Item{}, nil, c.p.local(opCreate, fault.Local, errRecord)
	}
	return outbox.Item{
		Kind: KindCreate, Key: lineOf(c.r.Reference), Ref: refOf(c.r.Reference, n), Expiry: outbox.At(end.Add(slack)), Payload: payload,
	}, &made{to, rec, payload}, nil
}

// makeReady does everything that can fail before sending: login, tokens, key, sealing, and a read when the service failed
// lately.
func (p *Prescriber) makeReady(ctx context.Context, doc *document, r *CreateRequest, t *trips) (*createRecord, *etee.Found, error) {
	key, to, err := p.equip(ctx, doc.patient, t)
	if err != nil {
		return nil, nil, err
	}
	rec := &createRecord{
		Version: createVersion, Reference: r.Reference, Author: p.who.NIHII.Base(), Patient: doc.patient.Reveal(), Type: string(r.Type), Expires: doc.expires.String(),
		KMEHR: doc.ids.KMEHR.Reveal(), Local: doc.ids.Local.Reveal(), Digest: doc.digest, KeyID: protocol.EncodeKeyID(key.ID()),
		Start: time.Now().Round(0), Content: doc.content, Medical: doc.medical, Feedback: r.Feedback, Label: asStored(r.Label.Reveal()), Vision: asStored(r.Vision.Reveal()),
		VisionOthers: asStored(string(r.VisionOthers)), KMEHRVersion: doc.version, Source: doc.source,
	}
	packed, err := pack(doc.xml)
	if err != nil {
		return nil, nil, p.local(opCreate, fault.Local, err)
	}
	if rec.Sealed, err = p.p.Sealer.Seal(packed, etee.ForKEK(key)); err != nil {
		return nil, nil, p.local(opCreate, fault.Local, err)
	}
	if err := doc.rules.wait(); err != nil {
		return nil, nil, p.invalid(opCreate, err)
	}
	if p.healthy() && !p.shaken.Load() {
		return rec, to, nil
	}
	t.now(TripProbe)
	for a, err := range p.openRIDs(ctx, doc.patient) {
		if err != nil {
			return nil, nil, p.notSent(opCreate, NoticePaper, err)
		}
		rec.Pin = a.Endpoint.URL
		for _, rid := range a.Result.RIDs() {
			rec.Known = append(rec.Known, rid.Reveal())
		}
	}
	p.shaken.Store(false)
	return rec, to, nil
}

// asStored is a text as it comes back from the outbox: what is sent at once must be what would be sent from there.
func asStored(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// equip gets what a prescription for a patient needs from others.
func (p *Prescriber) equip(ctx context.Context, patient identity.SSIN, t *trips) (etee.KEK, *etee.Found, error) {
	if err := p.login(ctx, t); err != nil {
		return etee.KEK{}, nil, err
	}
	t.now(TripTokens)
	to, err := p.recipients(ctx, nil)
	if err != nil {
		return etee.KEK{}, nil, p.notSent(opCreate, NoticePaper, err)
	}
	t.now(TripKey)
	key, err := p.p.KGSS.NewKey(ctx, p.acl(patient))
	if err != nil {
		return etee.KEK{}, nil, p.notSent(opCreate, NoticePaper, err)
	}
	return key, &to, nil
}

// login sees to it that there is a token. One that was issued just now was fetched for us, whoever did it.
func (c *client) login(ctx context.Context, t *trips) error {
	if c.p.Tokens == nil {
		return nil
	}
	const clocks = 2 * time.Second // that of the platform shows seconds
	began := time.Now()
	t.now(TripLogin)
	before := len(t.names())
	tok, err := c.p.Tokens.Token(ctx)
	if err != nil {
		return c.notSent(opCreate, NoticePaper, err)
	}
	if tok == nil {
		return nil
	}
	if last := c.seen.Swap(&tok.ID); (last == nil || *last != tok.ID) && tok.IssuedAt.After(began.Add(-clocks)) && len(t.names()) == before {
		t.note(TripLogin)
	}
	return nil
}

// Prepare gets what prescriptions for a patient will need from other services than Recip-e, so that creating one is a single
// request: to be called when a patient's file is opened. n keys are made ready, at most 16.
func (p *Prescriber) Prepare(ctx context.Context, patient identity.SSIN, n int) error {
	ctx, cancel := p.bounded(ctx, time.Now())
	defer cancel()
	if err := p.login(ctx, &trips{}); err != nil {
		return err
	}
	if _, err := p.p.Depot.Find(ctx, p.conf.Recipients...); err != nil {
		return p.notSent(opCreate, "", err)
	}
	if err := p.p.KGSS.Prepare(ctx, p.acl(patient), max(n, 1)); err != nil {
		return p.notSent(opCreate, "", err)
	}
	return nil
}

// healthy tells that no address of the service is known to have failed lately.
func (c *client) healthy() bool {
	if c.p.Engine == nil {
		return true
	}
	for _, s := range c.p.Engine.Breakers() {
		if s.Service == c.service {
			return false
		}
	}
	return true
}

// createHandler sends prescriptions and finds out about them.
type createHandler struct{ p *Prescriber }

// Send implements outbox.Sender. A worker sends only what was held and confirmed: everything else leaves while its caller
// waits, or never.
func (h createHandler) Send(ctx context.Context, it outbox.Item, at outbox.Attempt) (outbox.Answer, error) {
	p := h.p
	l, waited := liveOf(ctx)
	rec, err := l.to.record(it.Payload)
	if err != nil {
		return nil, p.invalid(opCreate, err)
	}
	if !p.own(rec.Author) {
		return nil, p.foreign(opCreate)
	}
	if !waited && !rec.Later {
		return nil, p.local(opCreate, fault.Unavailable, ErrNobodyWaits)
	}
	if err := p.once(ctx, at); err != nil {
		return nil, err
	}
	if err := p.excluded(ctx, rec.Reference, opCreate); err != nil {
		return nil, err
	}
	if err := p.alone(ctx, rec, it, at); err != nil {
		return nil, err
	}
	l.trips.now(TripSend)
	q, err := p.createQuestion(rec)
	if err != nil {
		return nil, p.invalid(opCreate, err)
	}
	q.to = l.to.recipients()
	if at.N > 1 { // the address that had answered the read did not take it
		q.pin = ""
	}
	a, err := ask(exchange.WithExpires(l.trips.follow(ctx), at.Expires), p.client, q)
	if err != nil {
		l.was(true)
		return nil, p.doubted(a, err)
	}
	l.was(a.Attempts > 1 || a.Alternate || rec.Pin != "")
	if a.Result.RID.IsZero() {
		return nil, p.incomplete(a, ErrNoRID)
	}
	return json.Marshal(createAnswer{RID: a.Result.RID.Reveal(), Content: rec.Content, Later: rec.Later, Expires: rec.Expires})
}

// doubted is the error of a call: a refusal that names a prescription has made something, and only looking says what.
func (p *Prescriber) doubted(a *answered[*protocol.CreatePrescriptionResult], err error) error {
	if a != nil && !a.Result.RID.IsZero() {
		return p.incomplete(a, err)
	}
	return err
}

// incomplete is the error of an answer after which nobody knows.
func (p *Prescriber) incomplete(a *answered[*protocol.CreatePrescriptionResult], cause error) error {
	return &fault.Error{
		Op: opCreate, Service: p.service, Endpoint: a.Endpoint.URL, Ticket: a.Response.ID, Kind: fault.Protocol, Outcome: fault.Unknown,
		Attempts: a.Attempts, Notice: NoticeUnsure, Err: cause,
	}
}

const errOnce reason = "recipe: it may have been sent before, so it is not sent again"

// once refuses what was sent before and came to an unknown end, although it was not found since: how long lists may hide a new
// prescription is not published, and one more cannot be told from the first.
func (p *Prescriber) once(ctx context.Context, at outbox.Attempt) error {
	box := p.box.Load()
	if at.N == 1 || box == nil {
		return nil
	}
	view, err := box.Show(ctx, at.ID)
	if err != nil {
		return p.ledger(opCreate, err)
	}
	for _, t := range view.History {
		if t.N < at.N && (t.Failure == nil || t.Outcome != fault.NotSent && t.Outcome != fault.Rejected) {
			return &fault.Error{Op: opCreate, Service: p.service, Kind: fault.Conflict, Outcome: fault.Rejected, Err: errOnce}
		}
	}
	return nil
}

func (p *Prescriber) createQuestion(rec *createRecord) (question[*protocol.CreatePrescriptionResult], error) {
	patient, err := identity.ParseSSIN(rec.Patient)
	if err != nil {
		return question[*protocol.CreatePrescriptionResult]{}, errRecord
	}
	expires, err := protocol.ParseDate(rec.Expires)
	if err != nil {
		return question[*protocol.CreatePrescriptionResult]{}, errRecord
	}
	op := create
	op.class = resilience.ResolvableWrite
	return question[*protocol.CreatePrescriptionResult]{
		op: op, pin: rec.Pin, result: func() *protocol.CreatePrescriptionResult { return &protocol.CreatePrescriptionResult{} },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.CreatePrescriptionParam{
				Party: protocol.Party{PatientID: patient}, Prescription: rec.Sealed, PrescriptionType: identity.PrescriptionType(rec.Type),
				FeedbackRequested: rec.Feedback, KeyID: rec.KeyID, Keyed: k, PrescriberLabel: identity.Hide(rec.Label), ExpirationDate: expires,
				Vision: protocol.Vision(rec.Vision), VisionOthers: protocol.VisionOthers(rec.VisionOthers),
			}
		},
		clear: func(r *protocol.Request) {
			r.Administrative = &protocol.Administrative{
				PrescriptionType: rec.Type, PrescriptionVersion: rec.KMEHRVersion, ReferenceSourceVersion: rec.Source, KeyID: rec.KeyID,
			}
		},
	}, nil
}

// excluded refuses what must not be created because paper was given. It is asked at the head of the line, where nothing else
// happens to this reference at the same time.
func (p *Prescriber) excluded(ctx context.Context, reference, op string) error {
	box := p.box.Load()
	if box == nil {
		return p.local(op, fault.Local, ErrNoOutbox)
	}
	paper, err := latest(ctx, box, KindPaper, reference)
	if err != nil {
		return p.ledger(op, err)
	}
	switch paper.fate(time.Now()) {
	case fateDone:
	case fateWaiting, fateUnknown: // behind us in the line: it is looked at after us
		was, err := given(ctx, box, paper.id)
		if errors.Is(err, errSettled) {
			return p.excluded(ctx, reference, op)
		}
		if err != nil {
			return p.ledger(op, err)
		}
		if !was {
			return nil
		}
	default:
		return nil
	}
	return &fault.Error{Op: op, Service: p.service, Kind: fault.Conflict, Outcome: fault.Rejected, Err: ErrPaperGiven}
}

const errAnother reason = "recipe: there is another one under this reference"

// alone refuses what must not be sent because another try under the same reference was carried out, or may have been: a person may
// take up an old one, and a computer whose clock is fast takes one for expired that is sent all the same. Like [Prescriber.excluded]
// it is asked at the head of the line. The first try of the first one needs no look.
func (p *Prescriber) alone(ctx context.Context, rec *createRecord, it outbox.Item, at outbox.Attempt) error {
	box := p.box.Load()
	if box == nil || at.N == 1 && !rec.Later && it.Ref == refOf(rec.Reference, 1) {
		return nil
	}
	var ids []outbox.ID
	for n := 1; n <= maxTries; n++ {
		if id := box.ID(KindCreate, refOf(rec.Reference, n)); id != at.ID {
			ids = append(ids, id)
		}
	}
	others, err := box.ShowAll(ctx, ids...)
	if err != nil {
		return p.ledger(opCreate, err)
	}
	for _, v := range others {
		if certain(v) || v.State == 0 { // of one that was damaged nobody knows
			return &fault.Error{Op: opCreate, Service: p.service, Kind: fault.Conflict, Outcome: fault.Rejected, Err: errAnother}
		}
	}
	return nil
}
