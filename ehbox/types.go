package ehbox

import (
	"strings"
	"time"
)

// Folder is a part of a box.
type Folder string

// The folders. HISTORY holds older versions of NEWS and can be read, not listed (dossier 03 section 4).
const (
	Inbox      Folder = "INBOX"
	Sentbox    Folder = "SENTBOX"
	BinInbox   Folder = "BININBOX"
	BinSentbox Folder = "BINSENTBOX"
	History    Folder = "HISTORY"
)

// ContentType says what a message is. The set is open on read.
type ContentType string

// The content types. Only documents and news can be sent; the platform makes the other two (dossier 03 sections 3.1, 6).
const (
	DocumentContent       ContentType = "DOCUMENT"
	NewsContent           ContentType = "NEWS"
	AcknowledgmentContent ContentType = "ACKNOWLEDGMENT"
	ErrorContent          ContentType = "ERROR"
)

// MessageID is the platform's number of a message: 13 letters and digits.
type MessageID string

// valid reports whether it is what the schema says.
func (m MessageID) valid() bool { return len(m) == 13 && alphanumeric(string(m)) }

func alphanumeric(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// BoxID names a box: an identification and a quality. Values are comparable; see [BoxID.Same] for what two forms of one
// number are.
type BoxID struct {
	ID      Private
	Type    string // INSS, NIHII, CBE, EHP and others: the set is open
	SubType string // of organisations, "" for persons
	Quality Quality
}

func (b *BoxID) wire(c *codec) {
	c.id("Id", &b.ID, must)
	text(c, "Type", &b.Type, wanted)
	text(c, "SubType", &b.SubType, optional)
	text(c, "Quality", &b.Quality, wanted)
}

// IsZero tells that there is none.
func (b BoxID) IsZero() bool { return b == BoxID{} }

// Same tells whether both name one box: equal type, quality and number. Numbers are compared without leading zeros, a
// NIHII without its qualification code (8 and 11 digits are both in use), and a SubType only when both have one (dossier
// 03 section 10.1).
func (b BoxID) Same(o BoxID) bool {
	return b.Type == o.Type && b.Quality == o.Quality && b.number() == o.number() && b.number() != "" &&
		(b.SubType == "" || o.SubType == "" || b.SubType == o.SubType)
}

// mayBe tells whether a name in an answer can mean this box: numbers of different types cannot be compared, and one number
// is one holder.
func (b BoxID) mayBe(o BoxID) bool { return b.Type != o.Type || b.number() == o.number() }

func (b BoxID) number() string {
	s := b.ID.Reveal()
	if b.Type == TypeNIHII && len(s) == 11 {
		s = s[:8]
	}
	return strings.TrimLeft(s, "0")
}

// User is a person inside the organisation that a message goes to.
type User struct {
	INSS                Private // 11 digits
	FirstName, LastName Private // 1 to 100 characters
}

func (u *User) wire(c *codec) {
	c.attrPrivate("FirstName", &u.FirstName)
	c.attrPrivate("LastName", &u.LastName)
	c.content(wanted, u.INSS.Reveal, func(s string) error { u.INSS = Hide(strings.Clone(trim(s))); return nil })
}

// Party is a box, with the person meant in it.
type Party struct {
	BoxID
	User *User
}

func (p *Party) wire(c *codec) {
	p.BoxID.wire(c)
	maybe(c, "User", &p.User, (*User).wire)
}

// Mandate names in whose place a message is received ("V1 mandate system").
type Mandate struct {
	ID            Private
	Type, SubType string
	Name          Private
}

func (m *Mandate) wire(c *codec) {
	c.id("Id", &m.ID, must)
	text(c, "Type", &m.Type, wanted)
	text(c, "SubType", &m.SubType, optional)
	c.private("Name", &m.Name, optional)
}

// Destination is one recipient.
type Destination struct {
	Party
	Mandate *Mandate
	// OutOfOfficeHandled says that the sender knows of the recipient's absence and sends all the same (OoOProcessed; dossier
	// 03 section 5.4).
	OutOfOfficeHandled bool
}

func (d *Destination) wire(c *codec) {
	d.Party.wire(c)
	maybe(c, "Mandate", &d.Mandate, (*Mandate).wire)
	c.boolean("OoOProcessed", &d.OutOfOfficeHandled, optional)
}

// Sender is who sent a message, as the platform knows him.
type Sender struct {
	BoxID
	Name, FirstName      Private
	PersonInOrganisation Private // INSS of the person, when an organisation sent
}

func (s *Sender) wire(c *codec) {
	s.BoxID.wire(c)
	c.private("Name", &s.Name, wanted)
	c.private("FirstName", &s.FirstName, optional)
	c.id("PersonInOrganisation", &s.PersonInOrganisation, optional)
}

// MessageInfo is what the platform says about a message.
type MessageInfo struct {
	Published, Expires Date
	Size               string // of the content in bytes, as the platform writes it
}

func (m *MessageInfo) wire(c *codec) {
	c.date("PublicationDate", &m.Published, wanted)
	c.date("ExpirationDate", &m.Expires, wanted)
	text(c, "Size", &m.Size, wanted)
}

// Specification says what a message is and how it is to be shown.
type Specification struct {
	Application string // 1 to 25 characters, optional
	Type        ContentType
	Important   bool
	Encrypted   bool
}

func (s *Specification) wire(c *codec) {
	text(c, "ApplicationName", &s.Application, optional)
	text(c, "ContentType", &s.Type, wanted)
	c.boolean("IsImportant", &s.Important, wanted)
	c.boolean("IsEncrypted", &s.Encrypted, wanted)
}

// CustomMeta is a pair that the platform hands on without looking at it. A key may stand several times. Values often hold
// names (dossier 03 section 10.3).
type CustomMeta struct {
	Key   string  // 1 to 250 characters
	Value Private // 1 to 250 characters
}

func (m *CustomMeta) wire(c *codec) {
	c.leaf("Key", wanted, func() string { return m.Key }, func(s string) error { m.Key = strings.Clone(s); return nil })
	c.private("Value", &m.Value, wanted)
}

// Meta is defined by the platform; none is published.
type Meta struct {
	Type   string
	Values []Private
}

func (m *Meta) wire(c *codec) {
	text(c, "Type", &m.Type, wanted)
	c.privates("Value", &m.Values)
}

// Content is what stands where a content stands: bytes inline, or a reference to an attachment.
type Content struct {
	Text Data   // inline; sealed when the message is
	Ref  string // "cid:…"; when not empty, Text is not used
}

func (x *Content) wire(c *codec) {
	const binary, inline = "EncryptableBinaryContent", "EncryptableTextContent"
	if c.err != nil {
		return
	}
	if c.writing() {
		if x.Ref != "" {
			c.w.Leaf("", binary, x.Ref)
		} else {
			c.data(inline, &x.Text, wanted)
		}
		return
	}
	b, t := c.find(binary, optional), c.find(inline, optional)
	if (b == nil) == (t == nil) {
		c.deviate(inline, errChoice)
	}
	text(c, binary, &x.Ref, optional)
	c.data(inline, &x.Text, optional)
}

// Document is the body of a message.
type Document struct {
	Title    Private // 1 to 400 characters, never encrypted
	Content  Content
	FileName Private // 1 to 255 characters
	MimeType string  // 1 to 255 characters
	Digest   Data    // SHA-256 of the content as transmitted, in requests only
}

func (d *Document) wire(c *codec) {
	c.private("Title", &d.Title, wanted)
	d.Content.wire(c)
	c.private("DownloadFileName", &d.FileName, wanted)
	text(c, "MimeType", &d.MimeType, wanted)
	c.digest(&d.Digest)
}

// digest handles the element that requests have and answers have not.
func (c *codec) digest(d *Data) {
	if c.writing() && d.Len() == 0 {
		return
	}
	c.data("Digest", d, optional)
}

// Annex is an attachment of a message.
type Annex struct {
	Title    Data // sealed when the message is
	Content  Content
	FileName Private // 1 to 255 characters, never encrypted
	MimeType string  // 1 to 255 characters
	Digest   Data    // as in Document
}

func (a *Annex) wire(c *codec) {
	c.data("EncryptableTitle", &a.Title, wanted)
	a.Content.wire(c)
	c.private("DownloadFileName", &a.FileName, wanted)
	text(c, "MimeType", &a.MimeType, wanted)
	c.digest(&a.Digest)
}

// FreeInformations is exactly one of its three forms.
type FreeInformations struct {
	Text  *Data
	Table *Table
	Old   *OldFreeInformation
}

// Table is free information in two columns.
type Table struct {
	Title Private // never encrypted
	Rows  []Row
}

// Row is one line of a table.
type Row struct{ Left, Right Data }

// OldFreeInformation is the legacy form.
type OldFreeInformation struct {
	Render string // required
	Data   Data
}

func (f *FreeInformations) wire(c *codec) {
	n := 0
	if c.writing() {
		for _, there := range []bool{f.Text != nil, f.Table != nil, f.Old != nil} {
			if there {
				n++
			}
		}
		if n != 1 {
			c.fail("FreeInformations", errChoice)
			return
		}
	}
	maybe(c, "EncryptableFreeText", &f.Text, (*Data).wire)
	maybe(c, "Table", &f.Table, (*Table).wire)
	maybe(c, "EncryptableOldFreeInformation", &f.Old, (*OldFreeInformation).wire)
	if f.Text == nil && f.Table == nil && f.Old == nil {
		c.deviate("", errChoice)
	}
}

func (d *Data) wire(c *codec) {
	c.content(wanted,
		func() string { return encodeData(*d) },
		func(s string) (err error) { *d, err = parseData(s); return err })
}

func (t *Table) wire(c *codec) {
	c.attrPrivate("Title", &t.Title)
	many(c, "Row", &t.Rows, func(r *Row, c *codec) {
		c.data("EncryptableLeftCell", &r.Left, wanted)
		c.data("EncryptableRightCell", &r.Right, wanted)
	})
}

func (o *OldFreeInformation) wire(c *codec) {
	attrText(c, "Render", &o.Render)
	o.Data.wire(c)
}

// Receipt says what became of a message for one recipient.
type Receipt struct {
	MessageID MessageID // of the message that was sent
	Recipient *Party    // nil for Published
	Type      ReceiptType
	At        time.Time
}

// ReceiptType says how far a message came.
type ReceiptType string

// The receipts (dossier 03 section 6): the platform has it; the recipient's list showed it; the recipient opened it.
const (
	Published       ReceiptType = "PUBLISHED"
	ReceivedReceipt ReceiptType = "RECEIVED"
	ReadReceipt     ReceiptType = "READ"
)

func (r *Receipt) wire(c *codec) {
	text(c, "MessageId", &r.MessageID, wanted)
	maybe(c, "Recipient", &r.Recipient, (*Party).wire)
	text(c, "AckType", &r.Type, wanted)
	c.time("DateTime", &r.At, wanted)
}

// LateError says that a publication failed after it had been accepted.
type LateError struct {
	PublicationID string
	Code          LateCode
	Messages      []Private
	Destinations  []Party // the recipients at fault
	Failures      []Private
}

func (e *LateError) wire(c *codec) {
	attrText(c, "PublicationId", &e.PublicationID)
	text(c, "Code", &e.Code, wanted)
	c.privates("Message", &e.Messages)
	many(c, "Destination", &e.Destinations, (*Party).wire)
	c.privates("Failure", &e.Failures)
}

// Text is a message of the platform in one language.
type Text struct {
	Lang  string // FR, NL, EN, DE, NA or nothing
	Value Private
}

func (t *Text) wire(c *codec) {
	attrText(c, "Lang", &t.Lang)
	c.content(wanted, t.Value.Reveal, func(s string) error { t.Value = Hide(strings.Clone(s)); return nil })
}

// Reply is what every answer has.
type Reply struct {
	ID         string // ticket; the message id after sending, the OoOId after inserting
	Code       Code
	Messages   []Text
	Deviations []Deviation // where the answer is not what its schema says
}

func (r *Reply) wire(c *codec) {
	attrText(c, "Id", &r.ID)
	if c.err != nil {
		return
	}
	var status struct{}
	one(c, "Status", &status, must, func(_ *struct{}, c *codec) {
		text(c, "Code", &r.Code, must)
		many(c, "Message", &r.Messages, (*Text).wire)
	})
}
