package ehbox

import "time"

// MaxWindow is how many rows one page of a list may have (dossier 03 section 4.2).
const MaxWindow = 100

// GetBoxInfoRequest asks about a box; without Box, about the caller's default one.
type GetBoxInfoRequest struct{ Box *BoxID }

func (r *GetBoxInfoRequest) wire(c *codec) { maybe(c, "BoxId", &r.Box, (*BoxID).wire) }

// GetBoxInfoResponse says how full a box is.
type GetBoxInfoResponse struct {
	Reply
	Box     BoxID
	StandBy int64 // messages that wait because the box is full; they enter by themselves when there is room
	Size    int64 // bytes
	MaxSize int64 // bytes
}

func (r *GetBoxInfoResponse) wire(c *codec) {
	r.Reply.wire(c)
	if n := r.payload(); n != optional || c.writing() {
		one(c, "BoxId", &r.Box, n, (*BoxID).wire)
		c.number("NbrMessagesInStandBy", &r.StandBy, n)
		c.number("CurrentSize", &r.Size, n)
		c.number("MaxSize", &r.MaxSize, n)
	}
}

// payload: an answer whose status is not success may have none.
func (r *Reply) payload() need {
	if r.Code.OK() {
		return wanted
	}
	return optional
}

// Full tells that messages wait, or would.
func (r *GetBoxInfoResponse) Full() bool { return r.StandBy > 0 || r.Size > r.MaxSize }

// GetMessagesListRequest asks for a window of a folder, newest first. Listing an INBOX marks every message listed as
// received, which sends the receipts that their senders asked for (dossier 03 section 1).
type GetMessagesListRequest struct {
	Box    *BoxID // nil = the caller's default one
	Folder Folder // "" = Inbox
	Start  int    // from 1; 0 = 1
	End    int    // inclusive; 0 = 100; at most MaxWindow rows
}

func (r *GetMessagesListRequest) wire(c *codec) {
	maybe(c, "BoxId", &r.Box, (*BoxID).wire)
	windowWire(c, &r.Folder, &r.Start, &r.End)
}

func windowWire(c *codec, folder *Folder, start, end *int) {
	if c.writing() && *folder == "" {
		*folder = Inbox
	}
	text(c, "Source", folder, wanted)
	c.index("StartIndex", start)
	c.index("EndIndex", end)
}

func (c *codec) index(local string, v *int) {
	n := int64(*v)
	c.number(local, &n, optional)
	*v = int(n)
}

// GetAllEhboxesMessagesListRequest asks for a window over all boxes of the user, newest first. [Entry].Destination tells
// them apart.
type GetAllEhboxesMessagesListRequest struct {
	Folder     Folder // "" = Inbox
	Start, End int    // as in GetMessagesListRequest
}

func (r *GetAllEhboxesMessagesListRequest) wire(c *codec) {
	windowWire(c, &r.Folder, &r.Start, &r.End)
}

// GetMessagesListResponse is one page of a list.
type GetMessagesListResponse struct {
	Reply
	Folder  Folder
	Entries []Entry
}

func (r *GetMessagesListResponse) wire(c *codec) {
	r.Reply.wire(c)
	text(c, "Source", &r.Folder, r.payload())
	many(c, "Message", &r.Entries, (*Entry).wire)
}

// Entry is one message of a list.
type Entry struct {
	MessageID     MessageID
	Destination   Party // which of the own boxes, not all recipients
	Sender        Sender
	Info          MessageInfo
	Content       *ContentInfo // often absent
	Specification Specification
	CustomMetas   []CustomMeta
	// Err is why this entry cannot be read, nil for good ones. Only MessageID may then be relied upon, and it may be empty. One
	// bad message never hides the others (INC-2025-11-POISON). An ErrMismatch says that the message is for a box that the Client
	// was not told of, such as the own one under another number; it has MessageID and Specification.
	Err error
}

func (e *Entry) wire(c *codec) {
	if c.writing() {
		e.fields(c)
		return
	}
	own := &codec{n: c.n, deviations: c.deviations}
	e.fields(own)
	if own.err == nil && !e.MessageID.valid() {
		own.fail("MessageId", errMissing)
	}
	e.Err = own.err
}

func (e *Entry) fields(c *codec) {
	text(c, "MessageId", &e.MessageID, must)
	one(c, "Destination", &e.Destination, wanted, (*Party).wire)
	one(c, "Sender", &e.Sender, wanted, (*Sender).wire)
	one(c, "MessageInfo", &e.Info, wanted, (*MessageInfo).wire)
	maybe(c, "ContentInfo", &e.Content, (*ContentInfo).wire)
	one(c, "ContentSpecification", &e.Specification, wanted, (*Specification).wire)
	many(c, "CustomMeta", &e.CustomMetas, (*CustomMeta).wire)
	if !c.writing() && e.Specification.Type == "" && e.Content != nil {
		e.Specification.Type = e.Content.contentType // where version 2 had it (dossier 03 section 4.2)
	}
}

// Meta returns the first value under a key.
func (e *Entry) Meta(key string) (Private, bool) { return findMeta(e.CustomMetas, key) }

func findMeta(all []CustomMeta, key string) (Private, bool) {
	for _, m := range all {
		if m.Key == key {
			return m.Value, true
		}
	}
	return Private{}, false
}

// ContentInfo is what a list says about a content.
type ContentInfo struct {
	PatientINSS         *Data // sealed when the message is
	Title               Private
	MimeType            string
	HasFreeInformations bool
	HasAnnex            bool

	contentType ContentType
}

func (i *ContentInfo) wire(c *codec) {
	maybe(c, "EncryptableINSSPatient", &i.PatientINSS, (*Data).wire)
	c.private("Title", &i.Title, wanted)
	text(c, "MimeType", &i.MimeType, wanted)
	c.boolean("HasFreeInformations", &i.HasFreeInformations, wanted)
	c.boolean("HasAnnex", &i.HasAnnex, wanted)
	if !c.writing() {
		text(c, "ContentType", &i.contentType, optional)
	}
}

// MessageRequest names one message, for GetFullMessage and GetMessageHistory. Reading a message of the INBOX marks it as
// read, which sends the receipt that its sender asked for. Messages in a bin must be moved back first.
type MessageRequest struct {
	Box       *BoxID // nil = the caller's default one
	Folder    Folder // Inbox, Sentbox or History; "" = Inbox
	MessageID MessageID
}

func (r *MessageRequest) wire(c *codec) {
	maybe(c, "BoxId", &r.Box, (*BoxID).wire)
	if c.writing() && r.Folder == "" {
		r.Folder = Inbox
	}
	text(c, "Source", &r.Folder, wanted)
	text(c, "MessageId", &r.MessageID, must)
}

// GetFullMessageResponse is one message.
type GetFullMessageResponse struct {
	Reply
	Sender  Sender
	Message FullMessage
	Info    MessageInfo
	Parts   []Part // attachments, see [GetFullMessageResponse.Open]
}

func (r *GetFullMessageResponse) wire(c *codec) {
	r.Reply.wire(c)
	n := r.payload()
	one(c, "Sender", &r.Sender, n, (*Sender).wire)
	one(c, "Message", &r.Message, n, (*FullMessage).wire)
	one(c, "MessageInfo", &r.Info, n, (*MessageInfo).wire)
}

// FullMessage is a message with its content, as it travels: sealed fields are sealed.
type FullMessage struct {
	MessageID     MessageID
	PublicationID string // given by the sender
	Destinations  []Destination
	Document      Document
	Free          *FreeInformations
	PatientINSS   *Data
	Annexes       []Annex
	Receipt       *Receipt   // of ACKNOWLEDGMENT messages
	LateError     *LateError // of ERROR messages
	Specification Specification
	CustomMetas   []CustomMeta
	Metas         []Meta
	CopyMailTo    []Private // e-mail addresses that were notified
}

func (m *FullMessage) wire(c *codec) {
	attrText(c, "MessageId", &m.MessageID)
	text(c, "PublicationId", &m.PublicationID, optional)
	many(c, "DestinationContext", &m.Destinations, (*Destination).wire)
	one(c, "ContentContext", m, wanted, func(m *FullMessage, c *codec) {
		one(c, "Content", m, wanted, func(m *FullMessage, c *codec) {
			one(c, "Document", &m.Document, wanted, (*Document).wire)
			maybe(c, "FreeInformations", &m.Free, (*FreeInformations).wire)
			maybe(c, "EncryptableINSSPatient", &m.PatientINSS, (*Data).wire)
			many(c, "Annex", &m.Annexes, (*Annex).wire)
			maybe(c, "Acknowledgment", &m.Receipt, (*Receipt).wire)
			maybe(c, "Error", &m.LateError, (*LateError).wire)
		})
		one(c, "ContentSpecification", &m.Specification, wanted, (*Specification).wire)
		many(c, "CustomMeta", &m.CustomMetas, (*CustomMeta).wire)
	})
	many(c, "Meta", &m.Metas, (*Meta).wire)
	c.privates("CopyMailTo", &m.CopyMailTo)
}

// Meta returns the first value under a key of the custom metas.
func (m *FullMessage) Meta(key string) (Private, bool) { return findMeta(m.CustomMetas, key) }

// GetHistoryResponse names the older versions of NEWS; documents have none.
type GetHistoryResponse struct {
	Reply
	MessageIDs []MessageID
}

func (r *GetHistoryResponse) wire(c *codec) {
	r.Reply.wire(c)
	texts(c, "MessageId", &r.MessageIDs)
}

// MoveMessageRequest moves messages into a bin or back: Inbox and BinInbox, Sentbox and BinSentbox.
type MoveMessageRequest struct {
	Box        *BoxID // nil = the caller's default one
	From, To   Folder
	MessageIDs []MessageID // 1 to 100
}

func (r *MoveMessageRequest) wire(c *codec) {
	maybe(c, "BoxId", &r.Box, (*BoxID).wire)
	text(c, "Source", &r.From, must)
	text(c, "Destination", &r.To, must)
	texts(c, "MessageId", &r.MessageIDs)
}

// DeleteMessageRequest deletes messages for good. It works in every folder and cannot be undone.
type DeleteMessageRequest struct {
	Box        *BoxID // nil = the caller's default one
	Folder     Folder
	MessageIDs []MessageID // 1 to 100
}

func (r *DeleteMessageRequest) wire(c *codec) {
	maybe(c, "BoxId", &r.Box, (*BoxID).wire)
	text(c, "Source", &r.Folder, must)
	texts(c, "MessageId", &r.MessageIDs)
}

// ChangeResponse answers a move and a deletion.
type ChangeResponse struct {
	Reply
	// NotDone are the messages that were not moved or deleted; all others were. See [PartialError] and Unsure.
	NotDone []MessageID
	// Unsure is set when the request was sent more than once: NotDone then holds what the first one may have done already.
	Unsure bool
}

func (r *ChangeResponse) wire(c *codec) {
	r.Reply.wire(c)
	texts(c, "MessageId", &r.NotDone)
}

// GetMessageAcknowledgmentsStatusRequest asks how far a message came that the caller sent.
type GetMessageAcknowledgmentsStatusRequest struct {
	Box        *BoxID // nil = the caller's default one
	MessageID  MessageID
	Start, End int // rows, as in GetMessagesListRequest
}

func (r *GetMessageAcknowledgmentsStatusRequest) wire(c *codec) {
	maybe(c, "BoxId", &r.Box, (*BoxID).wire)
	text(c, "MessageId", &r.MessageID, must)
	c.index("StartIndex", &r.Start)
	c.index("EndIndex", &r.End)
}

// GetMessageAcknowledgmentsStatusResponse has one row per recipient.
type GetMessageAcknowledgmentsStatusResponse struct {
	Reply
	Rows []AcknowledgmentRow
}

// AcknowledgmentRow says how far a message came for one recipient; a zero time is "not yet".
type AcknowledgmentRow struct {
	Recipient                 Party
	Published, Received, Read time.Time
}

func (r *GetMessageAcknowledgmentsStatusResponse) wire(c *codec) {
	r.Reply.wire(c)
	if c.writing() && len(r.Rows) == 0 {
		return
	}
	one(c, "AcknowledgmentsStatus", r, r.payload(), func(r *GetMessageAcknowledgmentsStatusResponse, c *codec) {
		many(c, "Row", &r.Rows, func(a *AcknowledgmentRow, c *codec) {
			one(c, "Recipient", &a.Recipient, wanted, (*Party).wire)
			c.time("Published", &a.Published, optional)
			c.time("Received", &a.Received, optional)
			c.time("Read", &a.Read, optional)
		})
	})
}

// InsertOoORequest announces an absence. Both days are included; at most a year, at most 5 substitutes, no overlap.
type InsertOoORequest struct {
	Box         *BoxID // nil = the caller's default one
	Start, End  Date
	Substitutes []BoxID // persons
}

func (r *InsertOoORequest) wire(c *codec) {
	maybe(c, "BoxId", &r.Box, (*BoxID).wire)
	c.date("StartDate", &r.Start, must)
	c.date("EndDate", &r.End, must)
	many(c, "Substitute", &r.Substitutes, (*BoxID).wire)
}

// InsertOoOResponse has the number of the absence in Reply.ID.
type InsertOoOResponse struct {
	Reply
	Substitutes []Substitute // those that were refused
}

func (r *InsertOoOResponse) wire(c *codec) {
	r.Reply.wire(c)
	many(c, "Substitute", &r.Substitutes, (*Substitute).wire)
}

// Substitute is one who cannot stand in.
type Substitute struct {
	BoxID
	AbsentFrom, AbsentTo Date // when that is why
}

func (s *Substitute) wire(c *codec) {
	s.BoxID.wire(c)
	c.date("AbsentFrom", &s.AbsentFrom, optional)
	c.date("AbsentTo", &s.AbsentTo, optional)
}

// DeleteOoORequest takes absences back.
type DeleteOoORequest struct {
	Box    *BoxID // nil = the caller's default one
	OoOIDs []string
}

func (r *DeleteOoORequest) wire(c *codec) {
	maybe(c, "BoxId", &r.Box, (*BoxID).wire)
	texts(c, "OoOId", &r.OoOIDs)
}

// DeleteOoOResponse answers it.
type DeleteOoOResponse struct {
	Reply
	NotFound []string // all others were deleted
	Unsure   bool     // as in ChangeResponse
}

func (r *DeleteOoOResponse) wire(c *codec) {
	r.Reply.wire(c)
	texts(c, "OoOId", &r.NotFound)
}

// GetOoOListRequest asks for all absences of a box: past, present and future.
type GetOoOListRequest struct{ Box *BoxID }

func (r *GetOoOListRequest) wire(c *codec) { maybe(c, "BoxId", &r.Box, (*BoxID).wire) }

// GetOoOListResponse lists them.
type GetOoOListResponse struct {
	Reply
	Absences []OutOfOffice
}

// OutOfOffice is one absence.
type OutOfOffice struct {
	ID          string
	Start, End  Date // both included
	Substitutes []BoxID
}

func (r *GetOoOListResponse) wire(c *codec) {
	r.Reply.wire(c)
	many(c, "OoO", &r.Absences, func(o *OutOfOffice, c *codec) {
		text(c, "OoOId", &o.ID, wanted)
		c.date("StartDate", &o.Start, wanted)
		c.date("EndDate", &o.End, wanted)
		many(c, "Substitute", &o.Substitutes, (*BoxID).wire)
	})
}
