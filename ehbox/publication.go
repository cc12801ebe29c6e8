package ehbox

import (
	"io"

	"github.com/ehealth-continuity/ehealth/internal/mime"
)

// Limits of a message (dossier 03 sections 3.1, 5 and 5.5).
const (
	MaxMessage     = 10 << 20 // bytes, sealing included
	MaxCustomMetas = 50       // older servers refuse more
	maxTitle       = 400
	maxFileName    = 255
	maxMeta        = 250
	maxApplication = 25
	maxMail        = 80
	maxName        = 100
)

// SendMessageRequest is a message as it travels: when it is encrypted, all its Data are sealed. [Client.Send] makes one
// of a [Letter].
type SendMessageRequest struct {
	// PublicationID is the sender's own number, 1 to 13 characters, which must be unique for documents: a second document
	// under the same number is not delivered (dossier 03 section 12). Required.
	PublicationID string
	Box           *BoxID // send as another of the caller's boxes
	Destinations  []Destination
	Document      Document
	Free          *FreeInformations
	PatientINSS   *Data
	Annexes       []Annex
	Specification Specification
	Receipts      Receipts
	CustomMetas   []CustomMeta
	Metas         []Meta
	CopyMailTo    []Private // e-mail addresses to be notified
	Parts         []Part    // what the Content.Ref name
}

// Receipts are what the sender wants to be told. Each comes as a message into the own INBOX, which must be cleaned up;
// GetMessageAcknowledgmentsStatus tells the same without.
type Receipts struct{ Published, Received, Read bool }

// Part is an attachment beside a message.
type Part struct {
	ID   string // Content-ID without angle brackets
	Type string // media type
	Size int64  // bytes
	// Open gives the content from its start, each time it is called: once for every attempt to send.
	Open func() (io.ReadCloser, error)
}

func (r *SendMessageRequest) wire(c *codec) {
	attrText(c, "PublicationId", &r.PublicationID)
	maybe(c, "BoxId", &r.Box, (*BoxID).wire)
	many(c, "DestinationContext", &r.Destinations, (*Destination).wire)
	one(c, "ContentContext", r, must, func(r *SendMessageRequest, c *codec) {
		one(c, "Content", r, must, func(r *SendMessageRequest, c *codec) {
			one(c, "Document", &r.Document, must, (*Document).wire)
			maybe(c, "FreeInformations", &r.Free, (*FreeInformations).wire)
			maybe(c, "EncryptableINSSPatient", &r.PatientINSS, (*Data).wire)
			many(c, "Annex", &r.Annexes, (*Annex).wire)
		})
		one(c, "ContentSpecification", r, must, func(r *SendMessageRequest, c *codec) {
			r.Specification.wire(c)
			c.boolean("PublicationReceipt", &r.Receipts.Published, wanted)
			c.boolean("ReceivedReceipt", &r.Receipts.Received, wanted)
			c.boolean("ReadReceipt", &r.Receipts.Read, wanted)
		})
		many(c, "CustomMeta", &r.CustomMetas, (*CustomMeta).wire)
	})
	many(c, "Meta", &r.Metas, (*Meta).wire)
	c.privates("CopyMailTo", &r.CopyMailTo)
}

// SendMessageResponse answers it. Success means that the message was accepted for processing, not that it was delivered:
// what fails later comes as an ERROR message into the own INBOX (dossier 03 section 1).
type SendMessageResponse struct {
	Reply             // Reply.ID is the message id that recipients will see
	SentPublicationID string
	Absences          []Absence // with code 826
}

// MessageID is the message's number as recipients will see it.
func (r *SendMessageResponse) MessageID() MessageID { return MessageID(r.ID) }

// Absence is a recipient who is out of office.
type Absence struct {
	Party
	From, To    Date
	Substitutes []Party
}

func (r *SendMessageResponse) wire(c *codec) {
	if c.writing() {
		attrText(c, "Id", &r.ID)
		attrText(c, "SentPublicationId", &r.SentPublicationID)
		id := r.ID
		r.ID = ""
		r.Reply.wire(c)
		r.ID = id
	} else {
		attrText(c, "SentPublicationId", &r.SentPublicationID)
		r.Reply.wire(c)
	}
	many(c, "Recipient", &r.Absences, func(a *Absence, c *codec) {
		a.Party.wire(c)
		c.date("AbsentFrom", &a.From, optional)
		c.date("AbsentTo", &a.To, optional)
		many(c, "Substitute", &a.Substitutes, (*Party).wire)
	})
}

func toMime(parts []Part) []mime.Part {
	out := make([]mime.Part, len(parts))
	for i, p := range parts {
		out[i] = mime.Part(p)
	}
	return out
}

func fromMime(parts []mime.Part) []Part {
	out := make([]Part, len(parts))
	for i, p := range parts {
		out[i] = Part(p)
	}
	return out
}
