package ehbox

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/ehealth-continuity/ehealth/fault"
)

// Store keeps what a [Syncer] fetches. It must be safe for concurrent use when it is shared.
type Store interface {
	// Known tells what it has of these messages; those that it does not know may be left out.
	Known(ctx context.Context, ids []MessageID) (map[MessageID]Stored, error)
	// Keep keeps a message; when it returns nil, the message survives the loss of power. Only then is the message
	// acknowledged to whoever asks, moved or deleted. Keeping one twice is no error: a program can die in between.
	Keep(ctx context.Context, m *Message) error
	// SetAside remembers that a message cannot be opened, and why, so that it is not fetched again with every run. e.MessageID
	// is what names it. The message stays in the box.
	SetAside(ctx context.Context, e *Entry, why error) error
}

// Stored says what a Store has of a message.
type Stored uint8

// The states.
const (
	NotStored Stored = iota
	Kept
	Aside
)

// Effect is what is about to be told to senders.
type Effect struct {
	Type ReceiptType // ReceivedReceipt before a page is listed, ReadReceipt before a message is read
	// MessageIDs are those it is about: with ReadReceipt one, with ReceivedReceipt none, since nobody knows beforehand who is
	// on the page.
	MessageIDs []MessageID
}

// SyncOptions are how a Syncer works. The zero value is a careful one.
type SyncOptions struct {
	Box *BoxID // nil = the default one
	// Before is asked before each step that sends receipts to those senders who asked for them: listing marks messages as
	// received, reading marks them as read (dossier 03 section 1). When it says false the step is not made, and the messages
	// stay for the next run. nil = yes. Messages of the platform itself (acknowledgments and errors) have no effect and are
	// not asked about.
	Before func(Effect) bool
	// All lists the whole folder in each run. Otherwise a run stops listing after the first page on which all is known; what
	// an earlier run failed to fetch behind it is then fetched by the next run with All.
	All bool
	// Remove moves messages to the bin once they are kept.
	Remove bool
}

// Syncer brings what is new in an INBOX into a store: each message once, kept before anything else is done with it.
type Syncer struct {
	c     *Client
	r     *Reader
	store Store
	o     SyncOptions
}

// NewSyncer makes a Syncer. All are required. The client must not be one of [WithSpill], which leaves nothing to be kept:
// that is ErrSpilled.
func NewSyncer(c *Client, r *Reader, s Store, o SyncOptions) (*Syncer, error) {
	if c == nil || r == nil || s == nil {
		return nil, reason("ehbox: client, reader and store are required")
	}
	if c.conf.Spill != nil {
		return nil, fmt.Errorf("ehbox: a syncer keeps attachments itself, use a client without WithSpill: %w", ErrSpilled)
	}
	return &Syncer{c: c, r: r, store: s, o: o}, nil
}

// Synced is one message of a run.
type Synced struct {
	Entry   *Entry
	Message *Message // nil when it was set aside or left
	// Aside is why it was set aside; it did not stop the others (INC-2025-11-POISON). Show notice D-MSG-BAD.
	Aside error
	// Failed is why it could not be fetched now; the next run tries again.
	Failed error
	// Left tells that Before said no.
	Left bool
	// NotRemoved is why a kept message could not be moved to the bin. The next run with All tries again.
	NotRemoved error
}

// patience is how many messages in a row may fail to be fetched before it is the platform that fails and not they.
const patience = 3

// Sync makes one run. It lists first, then fetches what is not known, the oldest first. A message that cannot be fetched is
// left for the next run, and does not hold up those behind it. An error ends the run: of the list, of the store, of the
// login, or of three messages in a row. What is done stays done; the next run goes on.
func (s *Syncer) Sync(ctx context.Context) iter.Seq2[*Synced, error] {
	return func(yield func(*Synced, error) bool) {
		entries, again, err := s.unknown(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		failed := 0
		for _, e := range slices.Backward(entries) {
			x, err := s.one(ctx, e)
			if err == nil && x.Failed != nil {
				if failed++; failed == patience {
					err = x.Failed
				}
			} else {
				failed = 0
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(x, nil) {
				return
			}
		}
		if err := s.removeKept(ctx, again); err != nil {
			yield(nil, err)
		}
	}
}

// unknown lists what the store does not have, newest first. again are messages that it has and that are still in the
// folder.
func (s *Syncer) unknown(ctx context.Context) (fresh []*Entry, again []MessageID, err error) {
	var page []*Entry
	stop := errors.New("enough")
	flush := func() error {
		all := true
		known, err := s.store.Known(ctx, idsOf(page))
		if err != nil {
			return local(err)
		}
		for _, e := range page {
			switch known[e.MessageID] {
			case Kept:
				again = append(again, e.MessageID)
			case Aside:
			default:
				all = false
				fresh = append(fresh, e)
			}
		}
		page = page[:0]
		if all && !s.o.All {
			return stop
		}
		return nil
	}
	for e, err := range s.walk(ctx) {
		if err != nil {
			return nil, nil, err
		}
		if page = append(page, e); len(page) < MaxWindow-overlap {
			continue
		}
		if err := flush(); errors.Is(err, stop) {
			return fresh, again, nil
		} else if err != nil {
			return nil, nil, err
		}
	}
	if len(page) > 0 {
		if err := flush(); err != nil && !errors.Is(err, stop) {
			return nil, nil, err
		}
	}
	return fresh, again, nil
}

// walk is Client.Walk that asks before each page.
func (s *Syncer) walk(ctx context.Context) iter.Seq2[*Entry, error] {
	return s.c.walk(ctx, s.o.Box, Inbox, func() bool { return s.may(Effect{Type: ReceivedReceipt}) })
}

func (s *Syncer) may(e Effect) bool { return s.o.Before == nil || s.o.Before(e) }

func idsOf(entries []*Entry) []MessageID {
	out := make([]MessageID, 0, len(entries))
	for _, e := range entries {
		if e.MessageID.valid() {
			out = append(out, e.MessageID)
		}
	}
	return out
}

// one fetches, opens and keeps one message.
func (s *Syncer) one(ctx context.Context, e *Entry) (*Synced, error) {
	x := &Synced{Entry: e}
	if !e.MessageID.valid() { // nothing to ask for it by
		x.Aside = bad(e.Err)
		return x, nil
	}
	fromPlatform := e.Err == nil && (e.Specification.Type == AcknowledgmentContent || e.Specification.Type == ErrorContent)
	if !fromPlatform && !s.may(Effect{Type: ReadReceipt, MessageIDs: []MessageID{e.MessageID}}) {
		x.Left = true
		return x, nil
	}
	v, err := s.c.GetFullMessage(ctx, MessageRequest{Box: s.o.Box, Folder: Inbox, MessageID: e.MessageID})
	if err == nil {
		x.Message, err = s.r.Open(v)
	}
	switch {
	case err == nil:
	case own(err):
		return x, s.aside(ctx, x, err)
	case doubtful(err) && ctx.Err() == nil:
		x.Message, x.Failed = nil, err
		return x, nil
	default:
		return nil, err
	}
	if err := s.store.Keep(ctx, x.Message); err != nil {
		return nil, local(err)
	}
	if s.o.Remove {
		x.NotRemoved = s.removeKept(ctx, []MessageID{e.MessageID})
	}
	return x, nil
}

// own tells that an error is about this message and not about the platform, this computer or the connection: the others
// can be fetched.
func own(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return false
	}
	switch e.Kind {
	case fault.NotFound, fault.Invalid:
		return true
	case fault.Protocol:
		// A page of a proxy says nothing about this message; an answer about it that is not as its schema does.
		_, about := errors.AsType[*MessageError](err)
		return about || e.Outcome == fault.Done
	case fault.Security:
		// Nor does an answer to another question; what cannot be opened does.
		return e.Outcome == fault.Done
	}
	return false
}

// doubtful: it may be about this message or about the platform.
func doubtful(err error) bool {
	switch fault.KindOf(err) {
	case fault.Protocol, fault.Unavailable, fault.Timeout, fault.Security:
		return true
	}
	return false
}

func (s *Syncer) aside(ctx context.Context, x *Synced, why error) error {
	x.Message, x.Aside = nil, bad(why)
	if errors.Is(why, fault.ErrNotFound) {
		return nil // moved or deleted since it was listed: nothing to remember
	}
	if err := s.store.SetAside(ctx, x.Entry, x.Aside); err != nil {
		return local(err)
	}
	return nil
}

// bad gives the error of one message its notice.
func bad(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Notice != "" {
		return err
	}
	out := &fault.Error{Op: "ehbox.Sync", Service: ServiceConsultation, Kind: fault.Protocol, Outcome: fault.Done, Notice: NoticeBad, Err: err}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		out.Kind, out.Code, out.Ticket = e.Kind, e.Code, e.Ticket
	}
	return out
}

// removeKept moves messages that are kept to the bin. What is gone already is fine.
func (s *Syncer) removeKept(ctx context.Context, ids []MessageID) error {
	if !s.o.Remove {
		return nil
	}
	for chunk := range slices.Chunk(ids, MaxWindow) {
		_, err := s.c.MoveMessage(ctx, MoveMessageRequest{Box: s.o.Box, From: Inbox, To: BinInbox, MessageIDs: chunk})
		if _, partial := errors.AsType[*PartialError](err); err != nil && !partial {
			return err
		}
	}
	return nil
}

// local is the error of a store.
func local(err error) error {
	return &fault.Error{Op: "ehbox.Sync", Kind: fault.Local, Outcome: fault.Unknown, Err: err}
}
