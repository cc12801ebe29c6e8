package ehbox

import (
	"context"
	"slices"

	"github.com/ehealth-continuity/ehealth/fault"
)

// GetBoxInfo asks how full a box is. The error of every operation is a *[fault.Error]; a refusal wraps a [*StatusError].
func (c *Client) GetBoxInfo(ctx context.Context, r GetBoxInfoRequest) (*GetBoxInfoResponse, error) {
	q, err := ready(boxInfo, &r, (*GetBoxInfoRequest).wire, nil)
	if err != nil {
		return nil, err
	}
	v, _, err := ask(ctx, c, question[GetBoxInfoResponse]{
		op: boxInfo, body: q, wire: (*GetBoxInfoResponse).wire, reply: func(v *GetBoxInfoResponse) *Reply { return &v.Reply },
		belong: func(v *GetBoxInfoResponse) error {
			if v.Code.OK() && !c.owns(r.Box, v.Box) {
				return &MismatchError{Field: "BoxId"}
			}
			return nil
		},
	})
	return orNil(v, err), err
}

// orNil drops an answer that has an error.
func orNil[A any](v *A, err error) *A {
	if err != nil {
		return nil
	}
	return v
}

// ready validates and writes a request.
func ready[R any](op operation, r *R, wire func(*R, *codec), verdict error) ([]byte, error) {
	if verdict != nil {
		return nil, invalid(op.name, op.service, verdict)
	}
	b, err := encode(op.space(), op.request, r, wire)
	if err != nil {
		return nil, invalid(op.name, op.service, err)
	}
	return b, nil
}

// owns tells whether a box in an answer is the one that was asked about, or without one, any of the caller's.
func (c *Client) owns(asked *BoxID, got BoxID) bool {
	if asked != nil && got.Same(*asked) {
		return true
	}
	mine := slices.ContainsFunc(c.own, got.Same)
	// A box asked for by one of its names may be answered under another.
	return mine && (asked == nil || slices.ContainsFunc(c.own, asked.Same))
}

// receives is owns for the destination of one message. A quality that no box of the caller's has says nothing: the list of
// qualities grows, and one message must not hide the others (dossier 03 section 17). Then the number decides.
func (c *Client) receives(asked *BoxID, got BoxID) bool {
	if c.owns(asked, got) {
		return true
	}
	sameHolder := func(b BoxID) bool {
		b.Quality, b.SubType = got.Quality, got.SubType
		return b.Same(got)
	}
	known := slices.ContainsFunc(c.own, func(b BoxID) bool { return b.Quality == got.Quality })
	return !known && (slices.ContainsFunc(c.own, sameHolder) || asked != nil && sameHolder(*asked))
}

func window(start, end int) error {
	if start == 0 {
		start = 1
	}
	if end == 0 {
		end = MaxWindow
	}
	if start < 1 || end < start || end-start+1 > MaxWindow {
		return ErrWindow
	}
	return nil
}

func rows(start, end int) int {
	if start == 0 {
		start = 1
	}
	if end == 0 {
		end = MaxWindow
	}
	return end - start + 1
}

func listable(f Folder) error {
	switch f {
	case "", Inbox, Sentbox, BinInbox, BinSentbox:
		return nil
	}
	return ErrFolder
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// GetMessagesList lists a window of a folder. Listing an INBOX sends receipts, see [GetMessagesListRequest]; [Client.Walk]
// goes through a whole folder. An entry of an INBOX that is for a box not given to [New] has an Err that is ErrMismatch; a
// page with nothing for one of the caller's boxes is refused.
func (c *Client) GetMessagesList(ctx context.Context, r GetMessagesListRequest) (*GetMessagesListResponse, error) {
	q, err := ready(list, &r, (*GetMessagesListRequest).wire, first(listable(r.Folder), window(r.Start, r.End)))
	if err != nil {
		return nil, err
	}
	v, _, err := ask(ctx, c, question[GetMessagesListResponse]{
		op: list, body: q, wire: (*GetMessagesListResponse).wire, reply: func(v *GetMessagesListResponse) *Reply { return &v.Reply },
		belong: func(v *GetMessagesListResponse) error {
			return c.listed(v, r.Box, r.Folder, rows(r.Start, r.End), true)
		},
	})
	if err != nil {
		return nil, err
	}
	c.others(v, r.Box, r.Folder) // belong judged the page, on a copy of its own
	return v, nil
}

// listed ties a list to its question: the folder, the number of entries, and, in an inbox, whose box it is, see others.
func (c *Client) listed(v *GetMessagesListResponse, box *BoxID, f Folder, n int, mine bool) error {
	if !v.Code.OK() {
		return nil
	}
	if v.Folder != f {
		return &MismatchError{Field: "Source"}
	}
	if len(v.Entries) > n {
		return &MismatchError{Field: "number of messages"}
	}
	if mine && !c.others(v, box, f) {
		return &MismatchError{Field: "Message/Destination"}
	}
	return nil
}

// others makes each entry of an inbox that is for no box known here an error of its own: a box has more numbers than were
// configured, and one message must not hide the others. It is false for a page that has such entries and nothing that is
// provably ours.
func (c *Client) others(v *GetMessagesListResponse, box *BoxID, f Folder) bool {
	if f != Inbox && f != BinInbox {
		return true
	}
	ours, foreign := false, false
	for i := range v.Entries {
		switch e := &v.Entries[i]; {
		case e.Err != nil || e.Destination.IsZero():
		case c.receives(box, e.Destination.BoxID):
			ours = true
		default:
			foreign = true
			*e = Entry{MessageID: e.MessageID, Specification: e.Specification, Err: &MismatchError{Field: "Message/Destination"}}
		}
	}
	return ours || !foreign
}

// GetAllEhboxesMessagesList lists a window over all boxes of the user. Whose boxes they are is the platform's word: some
// may not be known to this client.
func (c *Client) GetAllEhboxesMessagesList(ctx context.Context, r GetAllEhboxesMessagesListRequest) (*GetMessagesListResponse, error) {
	q, err := ready(listAll, &r, (*GetAllEhboxesMessagesListRequest).wire, first(listable(r.Folder), window(r.Start, r.End)))
	if err != nil {
		return nil, err
	}
	v, _, err := ask(ctx, c, question[GetMessagesListResponse]{
		op: listAll, body: q, wire: (*GetMessagesListResponse).wire, reply: func(v *GetMessagesListResponse) *Reply { return &v.Reply },
		belong: func(v *GetMessagesListResponse) error { return c.listed(v, nil, r.Folder, rows(r.Start, r.End), false) },
	})
	return orNil(v, err), err
}

func readable(r *MessageRequest) error {
	switch r.Folder {
	case "", Inbox, Sentbox, History:
	default:
		return ErrFolder
	}
	if !r.MessageID.valid() {
		return ErrMessageID
	}
	return nil
}

// GetFullMessage reads one message. Reading from an INBOX sends the READ receipt that its sender asked for. Fields stay
// sealed; [Reader] opens them.
func (c *Client) GetFullMessage(ctx context.Context, r MessageRequest) (*GetFullMessageResponse, error) {
	q, err := ready(read, &r, (*MessageRequest).wire, readable(&r))
	if err != nil {
		return nil, err
	}
	v, a, err := ask(ctx, c, question[GetFullMessageResponse]{
		op: read, body: q, wire: (*GetFullMessageResponse).wire, reply: func(v *GetFullMessageResponse) *Reply { return &v.Reply },
		belong: func(v *GetFullMessageResponse) error {
			if v.Code.OK() && v.Message.MessageID != r.MessageID {
				return &MismatchError{Field: "Message/@MessageId"}
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	v.Parts = fromMime(a.Parts)
	return v, nil
}

// GetMessageHistory names the older versions of NEWS.
func (c *Client) GetMessageHistory(ctx context.Context, r MessageRequest) (*GetHistoryResponse, error) {
	q, err := ready(history, &r, (*MessageRequest).wire, readable(&r))
	if err != nil {
		return nil, err
	}
	v, _, err := ask(ctx, c, question[GetHistoryResponse]{
		op: history, body: q, wire: (*GetHistoryResponse).wire, reply: func(v *GetHistoryResponse) *Reply { return &v.Reply },
	})
	return orNil(v, err), err
}

// GetMessageAcknowledgmentsStatus tells how far a message came that the caller sent. The answer names no message; nothing
// but the connection ties it to the question.
func (c *Client) GetMessageAcknowledgmentsStatus(ctx context.Context, r GetMessageAcknowledgmentsStatusRequest) (*GetMessageAcknowledgmentsStatusResponse, error) {
	verdict := window(r.Start, r.End)
	if !r.MessageID.valid() {
		verdict = ErrMessageID
	}
	q, err := ready(acks, &r, (*GetMessageAcknowledgmentsStatusRequest).wire, verdict)
	if err != nil {
		return nil, err
	}
	v, _, err := ask(ctx, c, question[GetMessageAcknowledgmentsStatusResponse]{
		op: acks, body: q, wire: (*GetMessageAcknowledgmentsStatusResponse).wire,
		reply: func(v *GetMessageAcknowledgmentsStatusResponse) *Reply { return &v.Reply },
		belong: func(v *GetMessageAcknowledgmentsStatusResponse) error {
			if len(v.Rows) > rows(r.Start, r.End) {
				return &MismatchError{Field: "number of rows"}
			}
			return nil
		},
	})
	return orNil(v, err), err
}

func movable(r *MoveMessageRequest) error {
	pairs := map[Folder]Folder{Inbox: BinInbox, BinInbox: Inbox, Sentbox: BinSentbox, BinSentbox: Sentbox}
	if to, ok := pairs[r.From]; !ok || to != r.To {
		return ErrFolder
	}
	return several(r.MessageIDs)
}

func several(ids []MessageID) error {
	if len(ids) == 0 || len(ids) > 100 {
		return ErrRequest
	}
	for _, id := range ids {
		if !id.valid() {
			return ErrMessageID
		}
	}
	return nil
}

// MoveMessage moves messages into a bin or back. When some were not moved, the answer comes with an error that wraps a
// [*PartialError]; all others were. When the request had to be sent more than once, nobody knows whether the first one
// moved those: then there is no error, and the answer says Unsure.
func (c *Client) MoveMessage(ctx context.Context, r MoveMessageRequest) (*ChangeResponse, error) {
	q, err := ready(move, &r, (*MoveMessageRequest).wire, movable(&r))
	if err != nil {
		return nil, err
	}
	return c.change(ctx, move, q, r.MessageIDs, NotAllMoved)
}

// DeleteMessage deletes messages for good. Partial success is told as by MoveMessage.
func (c *Client) DeleteMessage(ctx context.Context, r DeleteMessageRequest) (*ChangeResponse, error) {
	verdict := first(listable(r.Folder), several(r.MessageIDs))
	if r.Folder == "" {
		verdict = ErrFolder // nobody deletes by default
	}
	q, err := ready(remove, &r, (*DeleteMessageRequest).wire, verdict)
	if err != nil {
		return nil, err
	}
	return c.change(ctx, remove, q, r.MessageIDs, NotAllDeleted)
}

func (c *Client) change(ctx context.Context, op operation, body []byte, asked []MessageID, partial Code) (*ChangeResponse, error) {
	v, a, err := ask(ctx, c, question[ChangeResponse]{
		op: op, body: body, wire: (*ChangeResponse).wire, reply: func(v *ChangeResponse) *Reply { return &v.Reply },
		belong: func(v *ChangeResponse) error { return within("MessageId", v.NotDone, asked) },
	})
	if err == nil || v == nil || v.Code != partial {
		return orNil(v, err), err
	}
	if a.Attempts > 1 {
		v.Unsure = true
		return v, nil
	}
	return v, partially(err, v.NotDone, nil)
}

// within tells that an answer lists only what the question had.
func within[T comparable](field string, got, asked []T) error {
	for _, x := range got {
		if !slices.Contains(asked, x) {
			return &MismatchError{Field: field}
		}
	}
	return nil
}

func partially(err error, ids []MessageID, absences []string) error {
	e := err.(*fault.Error)
	s := e.Err.(*StatusError)
	e.Err = &PartialError{StatusError: *s, MessageIDs: ids, OoOIDs: absences}
	return e
}

// InsertOoO announces an absence; Reply.ID of the answer is its number. A refusal because of substitutes comes with the
// answer that names them. It is not repeated after an unknown outcome: look in [Client.GetOoOList].
func (c *Client) InsertOoO(ctx context.Context, r InsertOoORequest) (*InsertOoOResponse, error) {
	var verdict error
	if r.Start.IsZero() || r.End.IsZero() || r.End.Start().Before(r.Start.Start()) || len(r.Substitutes) > 5 {
		verdict = ErrRequest
	}
	q, err := ready(insertOoO, &r, (*InsertOoORequest).wire, verdict)
	if err != nil {
		return nil, err
	}
	v, _, err := ask(ctx, c, question[InsertOoOResponse]{
		op: insertOoO, body: q, wire: (*InsertOoOResponse).wire, reply: func(v *InsertOoOResponse) *Reply { return &v.Reply },
		belong: func(v *InsertOoOResponse) error {
			for _, s := range v.Substitutes {
				if !slices.ContainsFunc(r.Substitutes, s.Same) {
					return &MismatchError{Field: "Substitute"}
				}
			}
			return nil
		},
	})
	return v, err
}

// DeleteOoO takes absences back. Partial success is told as by MoveMessage.
func (c *Client) DeleteOoO(ctx context.Context, r DeleteOoORequest) (*DeleteOoOResponse, error) {
	var verdict error
	if len(r.OoOIDs) == 0 || slices.ContainsFunc(r.OoOIDs, func(id string) bool { return id == "" || len(id) > 13 }) {
		verdict = ErrRequest
	}
	q, err := ready(deleteOoO, &r, (*DeleteOoORequest).wire, verdict)
	if err != nil {
		return nil, err
	}
	v, a, err := ask(ctx, c, question[DeleteOoOResponse]{
		op: deleteOoO, body: q, wire: (*DeleteOoOResponse).wire, reply: func(v *DeleteOoOResponse) *Reply { return &v.Reply },
		belong: func(v *DeleteOoOResponse) error { return within("OoOId", v.NotFound, r.OoOIDs) },
	})
	if err == nil || v == nil || v.Code != AbsenceUnknown {
		return orNil(v, err), err
	}
	if a.Attempts > 1 {
		v.Unsure = true
		return v, nil
	}
	return v, partially(err, nil, v.NotFound)
}

// GetOoOList lists the absences of a box.
func (c *Client) GetOoOList(ctx context.Context, r GetOoOListRequest) (*GetOoOListResponse, error) {
	q, err := ready(listOoO, &r, (*GetOoOListRequest).wire, nil)
	if err != nil {
		return nil, err
	}
	v, _, err := ask(ctx, c, question[GetOoOListResponse]{
		op: listOoO, body: q, wire: (*GetOoOListResponse).wire, reply: func(v *GetOoOListResponse) *Reply { return &v.Reply },
	})
	return orNil(v, err), err
}

// SendMessage sends one message as it is: once, never blindly again. Success means accepted for processing, see
// [SendMessageResponse]. When recipients are out of office the error wraps an [*OutOfOfficeError] and nothing was sent.
// After an unknown outcome the same PublicationID protects from a double; [Mailer] finds out.
func (c *Client) SendMessage(ctx context.Context, r SendMessageRequest) (*SendMessageResponse, error) {
	q, err := ready(send, &r, (*SendMessageRequest).wire, r.validate())
	if err != nil {
		return nil, err
	}
	v, _, err := ask(ctx, c, question[SendMessageResponse]{
		op: send, body: q, parts: r.Parts, wire: (*SendMessageResponse).wire,
		reply:  func(v *SendMessageResponse) *Reply { return &v.Reply },
		belong: func(v *SendMessageResponse) error { return r.answeredBy(v) },
	})
	if err != nil {
		if v != nil && v.Code == RecipientOutOfOffice {
			e := err.(*fault.Error)
			e.Err = &OutOfOfficeError{StatusError: *e.Err.(*StatusError), PublicationID: r.PublicationID, Absences: v.Absences}
		}
		return v, err
	}
	return v, nil
}

// answeredBy ties an answer to the message that was sent. Success must name it. A refusal need not (the schema does not ask
// it to), but must not name another one: it came as the answer to our request.
func (r *SendMessageRequest) answeredBy(v *SendMessageResponse) error {
	if v.SentPublicationID != r.PublicationID && (v.Code.OK() || v.SentPublicationID != "") {
		return &MismatchError{Field: "SentPublicationId"}
	}
	for _, a := range v.Absences {
		if !slices.ContainsFunc(r.Destinations, func(d Destination) bool { return d.mayBe(a.BoxID) }) {
			return &MismatchError{Field: "Recipient"}
		}
	}
	return nil
}
