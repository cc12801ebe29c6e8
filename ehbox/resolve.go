package ehbox

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// before is how far back in the SENTBOX a letter is looked for, counted from its last attempt, since what became of the
// earlier ones is known: lists show days only, and in zones of their own.
const before = 48 * time.Hour

// Resolve implements outbox.Resolver: it looks for the letter in the SENTBOX, and in the bin that a person may have moved
// it to meanwhile, by the custom meta that mirrors its PublicationId. Listing these folders sends no receipts.
func (h handler) Resolve(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Verdict, error) {
	r, err := decodeRecord(it.Payload)
	if err != nil {
		return outbox.Verdict{}, invalid(opSend, ServicePublication, err)
	}
	unclear := false
	for _, folder := range []Folder{Sentbox, BinSentbox} {
		id, sure, err := h.m.c.published(ctx, folder, r.plain, a.Begun.Add(-before))
		switch {
		case err != nil:
			return outbox.Verdict{}, err
		case id != "":
			answer, err := encodeAccepted(id, r)
			return outbox.Verdict{Found: outbox.Happened, Answer: answer}, err
		case !sure:
			unclear = true
		}
	}
	if unclear {
		return outbox.Verdict{Found: outbox.Unclear}, nil
	}
	return outbox.Verdict{Found: outbox.NotThere}, nil
}

// maxCandidates is how many messages without our meta are read to see whether they are the letter.
const maxCandidates = 50

// published looks for a publication in a folder of sent messages, among those since an instant. sure is false when
// something there cannot be read and might be it.
func (c *Client) published(ctx context.Context, folder Folder, r *SendMessageRequest, since time.Time) (_ MessageID, sure bool, _ error) {
	sure = true
	candidates := 0
	for e, err := range c.Walk(ctx, r.Box, folder) {
		if err != nil {
			return "", false, err
		}
		if day := e.Info.Published; e.Err == nil && !day.IsZero() && day.Start().Add(24*time.Hour).Before(since) {
			break // everything after it is older
		}
		v, ours := e.Meta(MetaPublicationID)
		if ours && e.MessageID.valid() && v.Reveal() == r.PublicationID {
			return e.MessageID, true, nil
		}
		if !candidate(e, ours, r) {
			continue
		}
		if candidates++; candidates > maxCandidates {
			sure = false
			continue
		}
		is, err := c.isPublication(ctx, r.Box, folder, e.MessageID, r.PublicationID)
		switch {
		case err != nil:
			sure = false
		case is:
			return e.MessageID, true, nil
		}
	}
	return "", sure, nil
}

// candidate tells that an entry might be the letter although it does not say so: it cannot be read, or it has lost its
// meta and has the letter's title or none.
func candidate(e *Entry, ours bool, r *SendMessageRequest) bool {
	if e.Err != nil {
		return true
	}
	return !ours && (e.Content == nil || e.Content.Title == r.Document.Title)
}

// isPublication reads a message whose entry in the list cannot be read.
func (c *Client) isPublication(ctx context.Context, box *BoxID, folder Folder, id MessageID, publicationID string) (bool, error) {
	v, err := c.GetFullMessage(ctx, MessageRequest{Box: box, Folder: folder, MessageID: id})
	if err != nil {
		return false, err
	}
	return v.Message.PublicationID == publicationID, nil
}

// Failed is a letter that the platform had accepted and could not deliver, or not to all.
type Failed struct {
	MessageID MessageID // of the ERROR message in the own INBOX, to be deleted once it was dealt with
	Error     LateError
	// Ours tells that the publication is a letter of this outbox, ID its item.
	Ours bool
	ID   outbox.ID
	// Action says what to do. ActResend wants a letter with another Reference; ActNothing is the platform's answer to our own
	// repeat, and the letter was delivered.
	Action LateAction
}

// LateErrors goes through the ERROR messages in an INBOX (nil = the default one) and says which letters they are about.
// It lists the whole INBOX, which marks everything in it as received, and reads the ERROR messages only, which come from
// the platform and send no receipts. One that is not there any more or that is not as it should be comes as an error and
// does not end the walk; every other error does, of the platform, the connection and the outbox.
func (m *Mailer) LateErrors(ctx context.Context, box *BoxID) iter.Seq2[*Failed, error] {
	return func(yield func(*Failed, error) bool) {
		for e, err := range m.c.Walk(ctx, box, Inbox) {
			if err != nil {
				yield(nil, err)
				return
			}
			if e.Err != nil && !errors.Is(e.Err, ErrMismatch) || e.Specification.Type != ErrorContent {
				continue
			}
			f, err := m.failed(ctx, box, e.MessageID)
			if !yield(f, err) || err != nil && !own(err) {
				return
			}
		}
	}
}

var errNoError = reason("ehbox: ERROR message without the error")

func (m *Mailer) failed(ctx context.Context, box *BoxID, id MessageID) (*Failed, error) {
	v, err := m.c.GetFullMessage(ctx, MessageRequest{Box: box, Folder: Inbox, MessageID: id})
	if err != nil {
		return nil, err
	}
	if v.Message.LateError == nil {
		return nil, &fault.Error{Op: opRead, Service: ServiceConsultation, Kind: fault.Protocol, Outcome: fault.Done, Notice: NoticeBad, Err: errNoError}
	}
	f := &Failed{MessageID: id, Error: *v.Message.LateError}
	if err := m.match(ctx, f); err != nil {
		return nil, err
	}
	return f, nil
}

// match looks the publication up in the outbox and says what to do.
func (m *Mailer) match(ctx context.Context, f *Failed) error {
	f.Action = f.Error.Code.Action(false)
	b := m.box.Load()
	if b == nil || f.Error.PublicationID == "" {
		return nil
	}
	entry, err := b.Prepare(outbox.Item{Kind: KindSend, Ref: f.Error.PublicationID})
	if err != nil {
		return err
	}
	view, err := b.Show(ctx, entry.ID)
	if errors.Is(err, outbox.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Ours, f.ID = true, entry.ID
	switch {
	case view.State == outbox.Done:
		f.Action = f.Error.Code.Action(true)
		if f.Error.Code == LateDuplicate {
			f.Action = duplicate(view.History)
		}
	case f.Error.Code != LateDuplicate:
	case view.State.Open(): // the SENTBOX will tell
		f.Action = ActWait
	default: // given up here, and yet it arrived
		f.Action = ActInspect
	}
	return nil
}

// duplicate says what to do when a letter that was accepted is called a duplicate. It may be one of our own attempts of
// unknown outcome, which arrived. Without such a one, but with an attempt that was refused because of absences, it is that
// refusal which used up the number: whether it does is not known (dossier 03 section 5.4), and the letter did not arrive.
func duplicate(tries []outbox.Try) LateAction {
	refused, unknown := false, false
	for _, t := range tries {
		refused = refused || away(t.Failure)
		unknown = unknown || t.Outcome == fault.Unknown
	}
	switch {
	case !refused:
		return ActNothing
	case unknown:
		return ActInspect
	}
	return ActResend
}
