package ehbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// KindSend is the kind of a [Mailer]'s items in the outbox.
const KindSend outbox.Kind = "ehbox.send"

// SendPolicy is what the outbox must know about them.
func SendPolicy() outbox.Policy {
	return outbox.Policy{Class: resilience.ResolvableWrite, Tries: sendTries}
}

// sendTries is how often a letter may be refused for a while before a person must look at it: for a day, at ten minutes each.
// That is twice the longest outage known (dossier 06, INC-2019-08-RECIPE), so that an outage parks nothing, and bounds how
// long a letter that eHealthBox never takes holds up those behind it.
const sendTries = 150

// Mailer sends letters through an outbox: each exactly once, whatever happens to the connection, the platform or this
// process.
//
//	mailer, err := ehbox.NewMailer(client, keys, sealer)
//	box, err := outbox.Open(ctx, store, ring, mailer.Handle())
//	mailer.Use(box)
//	sent, err := mailer.Send(ctx, letter)
//
// It is safe for concurrent use.
type Mailer struct {
	c      *Client
	keys   Keys
	sealer Sealer
	late   bool // seal when sending
	box    atomic.Pointer[outbox.Box]
}

// MailerOption changes a Mailer.
type MailerOption func(*Mailer)

// SealWhenSending seals letters at the moment of sending only. By default a letter is sealed when it is queued, if the
// keys can be had then, so that it can be sent while the ETK depot is down; and sealed anew when sending finds that a key
// has changed.
func SealWhenSending() MailerOption { return func(m *Mailer) { m.late = true } }

// NewMailer makes a Mailer for the boxes of c. keys and sealer may be nil for who sends letters in clear only.
func NewMailer(c *Client, keys Keys, sealer Sealer, opts ...MailerOption) (*Mailer, error) {
	if c == nil || (keys == nil) != (sealer == nil) {
		return nil, reason("ehbox: a mailer needs a client, and keys and sealer together")
	}
	m := &Mailer{c: c, keys: keys, sealer: sealer}
	for _, o := range opts {
		o(m)
	}
	return m, nil
}

// Handle is the option that makes an outbox send letters.
func (m *Mailer) Handle() outbox.Option { return outbox.Handle(KindSend, handler{m}, SendPolicy()) }

// Handler sends and resolves the items, for outboxes that are put together otherwise.
func (m *Mailer) Handler() outbox.Handler { return handler{m} }

// Use says which outbox the letters go through.
func (m *Mailer) Use(b *outbox.Box) { m.box.Store(b) }

// SentState is what became of a letter so far.
type SentState uint8

// The states.
const (
	// SentAccepted: the platform has it. What fails later comes as an ERROR message, see [Mailer.LateErrors].
	SentAccepted SentState = iota + 1
	// SentQueued: not sent yet; it is on disk and goes by itself. Show notice D-MSG-QUEUED.
	SentQueued
	// SentUnknown: sent, and nobody knows yet whether it arrived. It is being found out; it must not be sent again by hand.
	SentUnknown
)

// String returns a lower-case English word.
func (s SentState) String() string {
	switch s {
	case SentAccepted:
		return "accepted"
	case SentQueued:
		return "queued"
	case SentUnknown:
		return "unknown"
	}
	return "not sent"
}

// Sent is what became of a letter.
type Sent struct {
	State         SentState
	Reference     string // of the letter; the one that was made, when it had none
	PublicationID string
	MessageID     MessageID // with SentAccepted: as recipients see it
	ID            outbox.ID // of the item in the outbox
	Before        bool      // it had been accepted before this call
	Notice        string    // to show to the person; "" = none
}

// errNoOutbox: Use was not called.
var errNoOutbox = reason("ehbox: the mailer has no outbox")

// Send sends a letter, or keeps it to be sent. With a nil error it was accepted. When errors.Is says outbox.ErrQueued or
// outbox.ErrUnknown, there is a Sent too, whose State says so. Any other error means that the letter was refused or not
// taken: an [*OutOfOfficeError] is within reach of errors.As, and so is the *fault.Error.
//
// The same reference with the same content again is the same letter: it is not sent twice. With another content it is
// outbox.ErrConflict.
//
// Send ends within ctx's deadline, at most 15 s without one ([outbox.DefaultDeadline], BCP-01). A third of that, at most
// 4 s, is for the keys of the recipients: when they do not come, the letter is kept unsealed in the outbox, which is
// encrypted, and sealed as it leaves.
func (m *Mailer) Send(ctx context.Context, l Letter) (*Sent, error) {
	box := m.box.Load()
	if box == nil {
		return nil, invalid(opSend, ServicePublication, errNoOutbox)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, outbox.DefaultDeadline)
		defer cancel()
	}
	if l.Reference == "" {
		l.Reference = rand.Text()
	}
	it, err := m.item(&l)
	if err != nil {
		return nil, err
	}
	sent := &Sent{Reference: l.Reference, PublicationID: it.Ref}
	res, err := m.put(ctx, box, it, PublicationID(m.from(l.From), next(l.Reference)))
	return sent.told(res, err)
}

// told fills in what the outbox says.
func (s *Sent) told(res *outbox.Result, err error) (*Sent, error) {
	if q, ok := errors.AsType[*outbox.QueuedError](err); ok {
		s.State, s.ID, s.Notice = SentQueued, q.ID, NoticeQueued
		return s, err
	}
	if u, ok := errors.AsType[*outbox.UnknownError](err); ok {
		s.State, s.ID, s.Notice = SentUnknown, u.ID, NoticeUnsure
		return s, err
	}
	if err != nil {
		return nil, err
	}
	a, err := decodeAccepted(res.Answer)
	if err != nil {
		return nil, err
	}
	s.State, s.ID, s.MessageID, s.Before = SentAccepted, res.ID, a.MessageID, res.Before
	return s, nil
}

// item makes the outbox item of a letter, unsealed. Its reference there is the PublicationId: it is what the platform is
// asked by.
func (m *Mailer) item(l *Letter) (outbox.Item, error) {
	if len(l.Reference) > 200 {
		return outbox.Item{}, invalid(opSend, ServicePublication, ErrText)
	}
	if !l.Clear && m.sealer == nil {
		return outbox.Item{}, invalid(opSend, ServicePublication, errNoSealer)
	}
	from := m.from(l.From)
	r := l.request(PublicationID(from, l.Reference))
	check := *r
	if err := check.digests(); err != nil {
		return outbox.Item{}, invalid(opSend, ServicePublication, err)
	}
	if err := check.validate(); err != nil {
		return outbox.Item{}, invalid(opSend, ServicePublication, err)
	}
	payload, err := (&record{plain: r}).encode()
	if err != nil {
		return outbox.Item{}, invalid(opSend, ServicePublication, err)
	}
	return outbox.Item{
		Kind: KindSend, Key: "ehbox " + from.Type + " " + from.number() + " " + string(from.Quality), Ref: r.PublicationID, Payload: payload,
	}, nil
}

var errNoSealer = reason("ehbox: a letter must be sealed, and the mailer has no sealer")

// from is the box that sends.
func (m *Mailer) from(b *BoxID) BoxID {
	if b != nil {
		return *b
	}
	return m.c.own[0]
}

// put gives the item to the outbox. What is sealed differs each time, so an item that is there already is looked up by
// its content in clear. despite is the number of the letter that would go in its stead, see Letter.Despite.
func (m *Mailer) put(ctx context.Context, box *outbox.Box, it outbox.Item, despite string) (*outbox.Result, error) {
	plain, err := decodeRecord(it.Payload)
	if err != nil {
		return nil, invalid(opSend, ServicePublication, err)
	}
	entry, err := box.Prepare(it)
	if err != nil {
		return nil, err
	}
	known, err := m.known(ctx, box, entry.ID, plain)
	if err != nil {
		return nil, err
	}
	if known == nil {
		queued := it
		if queued.Payload, err = m.sealEarly(ctx, plain, it.Payload); err != nil {
			return nil, err
		}
		res, err := box.Do(ctx, queued)
		if !errors.Is(err, outbox.ErrConflict) {
			return res, err
		}
		// Somebody else was faster with this letter.
		if known, err = m.known(ctx, box, entry.ID, plain); err != nil || known == nil {
			return nil, first(err, outbox.ErrConflict)
		}
	}
	if known.done {
		return box.Result(ctx, entry.ID)
	}
	if known.away {
		if err := askAgain(ctx, box, entry.ID, despite); err != nil {
			return nil, err
		}
	}
	it.Payload = known.payload
	return box.Do(ctx, it)
}

// askAgain takes up a letter that was refused because of absences. The outbox keeps the code of a refusal and not who is
// absent; and who it is may have changed since.
func askAgain(ctx context.Context, box *outbox.Box, id outbox.ID, despite string) error {
	other, err := box.Prepare(outbox.Item{Kind: KindSend, Ref: despite})
	if err != nil {
		return err
	}
	switch view, err := box.Show(ctx, other.ID); {
	case errors.Is(err, outbox.ErrNotFound):
	case err != nil:
		return err
	case view.State != outbox.Cancelled:
		return nil // it goes in this one's stead
	}
	if err := box.Retry(ctx, id); !errors.Is(err, outbox.ErrState) {
		return err
	}
	return nil // somebody else was faster
}

// knownItem is an item that is in the outbox already.
type knownItem struct {
	done    bool
	away    bool // refused because of absences
	payload []byte
}

// known looks for the same letter in the outbox; outbox.ErrConflict when another one is there under its reference.
func (m *Mailer) known(ctx context.Context, box *outbox.Box, id outbox.ID, plain *record) (*knownItem, error) {
	view, err := box.Show(ctx, id)
	if errors.Is(err, outbox.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	want, err := plain.digest()
	if err != nil {
		return nil, invalid(opSend, ServicePublication, err)
	}
	if view.State == outbox.Done {
		res, err := box.Result(ctx, id)
		if err != nil {
			return nil, err
		}
		if a, err := decodeAccepted(res.Answer); err != nil || a.Content != want {
			return nil, first(err, outbox.ErrConflict)
		}
		return &knownItem{done: true}, nil
	}
	if view.State == outbox.Cancelled || view.State == outbox.Expired {
		return &knownItem{done: true}, nil // its content is gone; the result says what became of it
	}
	it, err := box.Reveal(ctx, id)
	if err != nil {
		return nil, err
	}
	there, err := decodeRecord(it.Payload)
	if err != nil {
		return nil, outbox.ErrConflict
	}
	if got, err := there.digest(); err != nil || got != want {
		return nil, outbox.ErrConflict
	}
	return &knownItem{payload: it.Payload, away: view.State == outbox.Rejected && away(view.Last)}, nil
}

// away tells that a letter was refused because recipients are out of office.
func away(f *outbox.Failure) bool {
	return f != nil && f.Service == ServicePublication && f.Code == string(RecipientOutOfOffice)
}

// sealEarly seals the letter for the outbox when its keys can be had now. When they cannot for a while, it is queued as it
// is; when they never can, it is not taken.
func (m *Mailer) sealEarly(ctx context.Context, r *record, asIs []byte) ([]byte, error) {
	if m.late || !r.plain.Specification.Encrypted {
		return asIs, nil
	}
	asking, cancel := context.WithTimeout(ctx, keysTime(ctx))
	defer cancel()
	ring, err := m.keys.For(asking, r.plain.boxesOf())
	if err != nil {
		if ctx.Err() == nil && temporary(err) {
			return asIs, nil
		}
		return nil, notSent(err)
	}
	out := &record{plain: r.plain, key: ring.Key}
	if out.sealed, err = r.plain.seal(m.sealer, ring.Recipients); err != nil {
		return nil, err
	}
	if err := out.sealed.validateSize(); err != nil {
		return nil, invalid(opSend, ServicePublication, err)
	}
	return out.encode()
}

// keysTime is how long a person waits for keys before the letter is put on disk as it is: what is left afterwards must
// suffice for that, or a depot that hangs would cost the letter.
func keysTime(ctx context.Context) time.Duration {
	const most = 4 * time.Second
	if end, ok := ctx.Deadline(); ok {
		return min(most, time.Until(end)/3)
	}
	return most
}

// temporary: who waits may get keys.
func temporary(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return !ok || e.Kind.Temporary() || e.Kind == fault.Canceled || e.Kind == fault.Protocol
}

// notSent says of the letter what an error says of the question for its keys: whatever became of that, nothing was sent.
func notSent(err error) error {
	out := &fault.Error{Op: opSend, Service: ServicePublication, Kind: fault.Unavailable, Outcome: fault.NotSent, Err: err}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		out.Kind, out.Ticket, out.Code, out.Notice, out.RetryAfter = e.Kind, e.Ticket, e.Code, e.Notice, e.RetryAfter
	}
	return out
}

// accepted is what the outbox keeps as the answer.
type accepted struct {
	MessageID MessageID `json:"message"`
	Content   string    `json:"content"` // record.digest
}

func decodeAccepted(b []byte) (accepted, error) {
	var a accepted
	if err := json.Unmarshal(b, &a); err != nil {
		return a, &fault.Error{Op: opSend, Service: ServicePublication, Kind: fault.Local, Outcome: fault.Done, Err: errRecord}
	}
	return a, nil
}

func encodeAccepted(id MessageID, r *record) (outbox.Answer, error) {
	content, err := r.digest()
	if err != nil {
		return nil, err
	}
	return json.Marshal(accepted{MessageID: id, Content: content})
}

// handler is the Mailer as the outbox sees it.
type handler struct{ m *Mailer }

// Send implements outbox.Sender.
func (h handler) Send(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	r, err := decodeRecord(it.Payload)
	if err != nil {
		return nil, invalid(opSend, ServicePublication, err)
	}
	message, err := h.m.sealed(ctx, r)
	if err != nil {
		return nil, err
	}
	v, err := h.m.c.SendMessage(exchange.WithExpires(ctx, a.Expires), *message)
	if err != nil {
		return nil, err
	}
	return encodeAccepted(v.MessageID(), r)
}

// sealed is the message to be sent: as it was sealed when it was queued, unless a key has changed since.
func (m *Mailer) sealed(ctx context.Context, r *record) (*SendMessageRequest, error) {
	if !r.plain.Specification.Encrypted {
		out := *r.plain
		if err := out.digests(); err != nil {
			return nil, invalid(opSend, ServicePublication, err)
		}
		return &out, nil
	}
	if m.sealer == nil {
		return nil, invalid(opSend, ServicePublication, errNoSealer)
	}
	ring, err := m.keys.For(ctx, r.plain.boxesOf())
	switch {
	case err != nil && r.sealed != nil && temporary(err) && ctx.Err() == nil:
		return r.sealed, nil
	case err != nil:
		return nil, notSent(err)
	case r.sealed != nil && r.key == ring.Key:
		return r.sealed, nil
	}
	return r.plain.seal(m.sealer, ring.Recipients)
}
