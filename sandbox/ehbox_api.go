package sandbox

import (
	"errors"
	"time"
)

// ErrNoMailbox: nobody of the sandbox has a box of that name.
var ErrNoMailbox = errors.New("sandbox: no such mailbox")

// MailMessage is a message in a box, as those who drive the sandbox see it.
type MailMessage struct {
	ID            string // MessageId
	PublicationID string // "" = none
	Folder        string // "INBOX", "SENTBOX", "BININBOX", "BINSENTBOX", "HISTORY"
	Kind          string // "DOCUMENT", "NEWS", "ACKNOWLEDGMENT", "ERROR"
	Title         string
	Text          []byte // content of the document, sealed when Encrypted
	Annexes       []MailAnnex
	Encrypted     bool
	Sender        Mailbox
	Metas         [][2]string
	Size          int64
	Published     time.Time
	Received      time.Time // zero: not listed yet
	Read          time.Time // zero: not read yet
	// About is the MessageId that an acknowledgment is about, or the PublicationId of an error. Code is PUBLISHED, RECEIVED
	// or READ, or the code of the error.
	About, Code string
}

// MailAnnex is an annex of a message. Title is sealed when the message is encrypted.
type MailAnnex struct {
	Title          []byte
	File, MimeType string
	Content        []byte
}

// Mail lists a folder of a box, newest first: "INBOX", "SENTBOX", "BININBOX", "BINSENTBOX" or "HISTORY". Looking has no
// effect. The error is ErrNoMailbox.
func (s *Sandbox) Mail(box Mailbox, folder string) ([]MailMessage, error) {
	st := &s.mail
	st.mu.Lock()
	defer st.mu.Unlock()
	st.settle(s, time.Now())
	b := st.boxOf(s, box)
	if b == nil {
		return nil, ErrNoMailbox
	}
	var out []MailMessage
	for _, e := range b.listed(folder) {
		out = append(out, e.public())
	}
	return out, nil
}

func (e *mailEntry) public() MailMessage {
	m := e.msg
	p := MailMessage{
		ID: m.id, PublicationID: m.publication, Folder: e.folder, Kind: m.kind, Title: m.document.title, Text: m.document.content,
		Encrypted: m.encrypted, Sender: m.sender.Mailbox, Metas: m.metas, Size: m.size, Published: m.published,
		Received: e.received, Read: e.read,
	}
	for _, a := range m.annexes {
		p.Annexes = append(p.Annexes, MailAnnex{Title: a.sealed, File: a.file, MimeType: a.mimeType, Content: a.content})
	}
	switch {
	case m.acknowledges != nil:
		p.About, p.Code = m.acknowledges.message, m.acknowledges.kind
	case m.reports != nil:
		p.About, p.Code = m.reports.publication, m.reports.code
	}
	return p
}

// MailboxState is what getBoxInfo tells.
type MailboxState struct {
	Size, MaxSize int64 // bytes of INBOX and BININBOX
	StandBy       int   // messages that wait until there is room
}

// MailboxState returns the state of a box. The error is ErrNoMailbox.
func (s *Sandbox) MailboxState(box Mailbox) (MailboxState, error) {
	st := &s.mail
	st.mu.Lock()
	defer st.mu.Unlock()
	st.settle(s, time.Now())
	b := st.boxOf(s, box)
	if b == nil {
		return MailboxState{}, ErrNoMailbox
	}
	return MailboxState{Size: b.size(), MaxSize: b.quota, StandBy: len(b.standby)}, nil
}

// SetQuota changes how many bytes a box holds; 0 makes it full at once, so that everything new stands by. Messages enter
// while the box is below its quota, whatever their own size, as on the platform. The error is ErrNoMailbox.
func (s *Sandbox) SetQuota(box Mailbox, bytes int64) error {
	st := &s.mail
	st.mu.Lock()
	defer st.mu.Unlock()
	st.settle(s, time.Now())
	b := st.boxOf(s, box)
	if b == nil {
		return ErrNoMailbox
	}
	b.quota = bytes
	b.drain()
	return nil
}

// SetAbsence makes a person out of office from one day to another, both included, without the checks of insertOoO, and
// returns the OoOId. The error is ErrNoMailbox.
func (s *Sandbox) SetAbsence(box Mailbox, from, to time.Time, substitutes ...Mailbox) (string, error) {
	st := &s.mail
	st.mu.Lock()
	defer st.mu.Unlock()
	b := st.boxOf(s, box)
	if b == nil || b.person == nil {
		return "", ErrNoMailbox
	}
	return st.absent(b, from, to, substitutes), nil
}

// MailDelivery is a message that somebody of the sandbox sends without a client. Everything that a client would seal is
// given as it travels: sealed when Encrypted (Sandbox.Seal).
type MailDelivery struct {
	From          Mailbox
	To            []Mailbox
	PublicationID string // "" = a new one
	News          bool   // else a document
	Title         string // "" = "Message"
	Text          []byte
	MimeType      string // of Text; "" = text/plain
	PatientINSS   []byte // nil = none
	Annexes       []MailAnnex
	Important     bool
	Encrypted     bool
	Metas         [][2]string

	PublicationReceipt, ReceivedReceipt, ReadReceipt bool
}

// DeliverMail processes such a message at once and returns its MessageId. A duplicate PublicationID or an unknown
// recipient is told to the sender by an ERROR message, as always. The error is ErrNoMailbox when the sender has no box.
func (s *Sandbox) DeliverMail(d MailDelivery) (string, error) {
	now := time.Now()
	m := &mail{
		publication: d.PublicationID, kind: mailDocument, important: d.Important, encrypted: d.Encrypted, metas: d.Metas,
		patient: d.PatientINSS, wantsPublished: d.PublicationReceipt, wantsReceived: d.ReceivedReceipt, wantsRead: d.ReadReceipt,
		document: mailPart{title: d.Title, content: d.Text, file: "body.txt", mimeType: d.MimeType},
		size:     int64(len(d.Text) + len(d.PatientINSS)),
	}
	if d.News {
		m.kind = mailNews
	}
	if m.document.title == "" {
		m.document.title = "Message"
	}
	if m.document.mimeType == "" {
		m.document.mimeType = "text/plain"
	}
	for _, a := range d.Annexes {
		m.annexes = append(m.annexes, mailPart{sealed: a.Title, binary: true, content: a.Content, file: a.File, mimeType: a.MimeType})
		m.size += int64(len(a.Title) + len(a.Content))
	}
	for _, to := range d.To {
		m.to = append(m.to, mailDestination{Mailbox: to})
	}
	st := &s.mail
	st.mu.Lock()
	defer st.mu.Unlock()
	st.settle(s, now)
	b := st.boxOf(s, d.From)
	if b == nil {
		return "", ErrNoMailbox
	}
	m.id, m.from, m.sender = st.nextID("S"), b, b.sender(d.From, "")
	if m.publication == "" {
		m.publication = st.nextID("D")
	}
	st.process(s, m, now)
	return m.id, nil
}
