package ehbox

import (
	"bytes"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
)

// Opener opens sealed fields; *etee.Opener is one.
type Opener interface {
	Open(sealed []byte, opts ...etee.OpenOption) (*etee.Message, error)
}

// Reader opens messages (dossier 03 section 8.4). It does not change and is safe for concurrent use.
type Reader struct {
	openers []Opener
	take    bool
}

// ReaderOption changes a Reader.
type ReaderOption func(*Reader)

// TakeUnsealed gives out fields in clear of messages that say that they are encrypted. By default such a message is
// refused with ErrNotSealed: nobody vouches for those fields.
func TakeUnsealed() ReaderOption { return func(r *Reader) { r.take = true } }

// NewReader makes a reader with a ring of keys: the present ones first, then those of all earlier key stores, because old
// mail was sealed for old keys. Without any it reads what is in clear.
func NewReader(openers []Opener, opts ...ReaderOption) *Reader {
	r := &Reader{openers: append([]Opener(nil), openers...)}
	for _, o := range opts {
		o(r)
	}
	return r
}

// What is wrong with the content of one message. Each but ErrSpilled stands in a *fault.Error with notice D-MSG-BAD.
var (
	// ErrNotSealed: the message says that it is encrypted, and a field is not.
	ErrNotSealed error = reason("ehbox: a field of an encrypted message is not sealed")
	// ErrNoPart: a reference without its attachment.
	ErrNoPart error = reason("ehbox: an attachment is missing")
	// ErrSpilled: an attachment went where WithSpill said, and its Part was not given an Open since. It is a mistake of the
	// program and not of the message: Kind Invalid, no notice.
	ErrSpilled error = reason("ehbox: an attachment went to WithSpill and has no Open")
	// ErrNoKeys: no key in the ring opens it.
	ErrNoKeys error = reason("ehbox: no key opens this message")
)

// Message is a message in clear. No way of printing it shows what it says.
type Message struct {
	MessageID     MessageID
	PublicationID string
	Sender        Sender
	Info          MessageInfo
	Destinations  []Destination
	Title         Private
	Body          Data
	BodyType      string
	BodyFile      Private
	Annexes       []LetterAnnex
	Free          *FreeInformations
	Patient       Private    // INSS of the patient that it is about, as the sender wrote it
	Receipt       *Receipt   // of ACKNOWLEDGMENT messages
	LateError     *LateError // of ERROR messages
	Specification Specification
	CustomMetas   []CustomMeta
	// Reports are those of the sealed fields, in the order in which they were opened: who sealed, and what to warn of.
	Reports []*etee.Report
	// FlagWrong tells that a field was sealed in a message that says that it is in clear.
	FlagWrong bool
}

// Text is the body when it is text, else "".
func (m *Message) Text() string {
	if len(m.BodyType) >= 5 && m.BodyType[:5] == "text/" {
		return string(m.Body.Bytes())
	}
	return ""
}

// Open opens a message that was read. The error is a *fault.Error of Kind Security or Protocol, Outcome Done: the platform
// gave the message, it is this one that cannot be opened, now or ever; see ErrNoKeys. Only ErrSpilled is of Kind Invalid.
func (r *Reader) Open(v *GetFullMessageResponse) (*Message, error) {
	m := &v.Message
	o := &opening{r: r, v: v, out: &Message{
		MessageID: m.MessageID, PublicationID: m.PublicationID, Sender: v.Sender, Info: v.Info, Destinations: m.Destinations,
		Title: m.Document.Title, BodyType: m.Document.MimeType, BodyFile: m.Document.FileName,
		Receipt: m.Receipt, LateError: m.LateError, Specification: m.Specification, CustomMetas: m.CustomMetas,
	}}
	o.received = receivedAt(v.Info.Published, time.Now())
	o.out.Body = o.content(m.Document.Content)
	for _, a := range m.Annexes {
		o.out.Annexes = append(o.out.Annexes, LetterAnnex{
			Title: Hide(string(o.field(a.Title).Bytes())), FileName: a.FileName, MimeType: a.MimeType, Content: o.content(a.Content),
		})
	}
	if m.PatientINSS != nil {
		o.out.Patient = Hide(trim(string(o.field(*m.PatientINSS).Bytes())))
	}
	o.out.Free = o.free(m.Free)
	if o.err != nil {
		return nil, o.failed()
	}
	return o.out, nil
}

// receivedAt is the latest instant at which a message of that day can have been published: lists and messages tell the
// day only. Certificates must have been valid then.
func receivedAt(day Date, now time.Time) time.Time {
	if day.IsZero() {
		return time.Time{}
	}
	if end := day.Start().Add(24*time.Hour - time.Second); end.Before(now) {
		return end
	}
	return now
}

// opening keeps the first error.
type opening struct {
	r        *Reader
	v        *GetFullMessageResponse
	out      *Message
	received time.Time
	err      error
}

func (o *opening) failed() *fault.Error {
	e := &fault.Error{Op: "ehbox.Open", Service: ServiceConsultation, Kind: fault.Security, Outcome: fault.Done, Notice: NoticeBad, Err: o.err}
	switch {
	case errors.Is(o.err, ErrNoPart):
		e.Kind = fault.Protocol
	case errors.Is(o.err, ErrSpilled):
		e.Kind, e.Notice = fault.Invalid, ""
	}
	return e
}

func (o *opening) content(x Content) Data {
	if x.Ref == "" || o.err != nil {
		return o.field(x.Text)
	}
	p, ok := findPart(o.v.Parts, x.Ref)
	if !ok {
		o.err = ErrNoPart
		return Data{}
	}
	if p.Open == nil {
		o.err = ErrSpilled
		return Data{}
	}
	b, err := p.bytes()
	if err != nil {
		o.err = err
		return Data{}
	}
	return o.field(NewData(b))
}

// field opens one field. Some senders put base64 into a field or an attachment that is not text; a sealed one is tried
// that way too, one in clear never is: "TEST" is base64 as well.
func (o *opening) field(d Data) Data {
	if o.err != nil || d.Len() == 0 {
		return d
	}
	b := d.Bytes()
	encrypted := o.out.Specification.Encrypted
	if !looksSealed(b) && encrypted {
		if twice, err := parseData(string(b)); err == nil && looksSealed(twice.Bytes()) {
			b = twice.Bytes()
		}
	}
	switch sealed := looksSealed(b); {
	case sealed && encrypted:
		return o.open(b)
	case sealed:
		if m, err := o.try(b); err == nil {
			o.out.FlagWrong = true
			o.out.Reports = append(o.out.Reports, m.Report)
			return NewData(m.Content)
		}
		return d // a signed document is CMS too: in a message in clear it is what it is
	case encrypted && !o.r.take:
		o.err = ErrNotSealed
	}
	return d
}

func (o *opening) open(b []byte) Data {
	m, err := o.try(b)
	if err != nil {
		o.err = err
		return Data{}
	}
	o.out.Reports = append(o.out.Reports, m.Report)
	return NewData(m.Content)
}

// try opens with each key in turn. A message that is refused for another reason than a missing key is refused.
func (o *opening) try(b []byte) (*etee.Message, error) {
	for _, k := range o.r.openers {
		m, err := k.Open(b, etee.ReceivedAt(o.received))
		if err == nil || !errors.Is(err, etee.DecryptionPrivateKeyNotFound) {
			return m, err
		}
	}
	return nil, ErrNoKeys
}

func (o *opening) free(f *FreeInformations) *FreeInformations {
	if f == nil {
		return nil
	}
	var out FreeInformations
	if f.Text != nil {
		d := o.field(*f.Text)
		out.Text = &d
	}
	if f.Old != nil {
		out.Old = &OldFreeInformation{Render: f.Old.Render, Data: o.field(f.Old.Data)}
	}
	if f.Table != nil {
		t := &Table{Title: f.Table.Title}
		for _, r := range f.Table.Rows {
			t.Rows = append(t.Rows, Row{Left: o.field(r.Left), Right: o.field(r.Right)})
		}
		out.Table = t
	}
	return &out
}

// oidSigned is id-signedData (RFC 5652) with its tag.
var oidSigned = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}

// looksSealed tells that bytes begin like a sealed message: a sequence, of any form of length, with the type of signed
// data.
func looksSealed(b []byte) bool {
	if len(b) < 2+len(oidSigned) || b[0] != 0x30 {
		return false
	}
	skip := 2
	if n := b[1]; n > 0x80 {
		skip += int(n & 0x7f)
	}
	return skip <= 10 && len(b) > skip && bytes.HasPrefix(b[skip:], oidSigned)
}

var (
	_ Opener = (*etee.Opener)(nil)
	_ Sealer = (*etee.Sealer)(nil)
)
