package sandbox

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// mailCodes are the status and error codes with their English text (dossier 03 section 7).
var mailCodes = map[string]string{
	"100": "SUCCESS",
	"801": "The message is larger than allowed.",
	"802": "The specified identifier is invalid.",
	"803": "The specified Quality is invalid.",
	"804": "The specified Type is invalid.",
	"805": "The specified SubType is invalid.",
	"806": "The specified MessageId is unknown for this Source, or not accessible.",
	"807": "EndIndex must not be before StartIndex.",
	"808": "No more than 100 rows can be asked for.",
	"809": "The specified MessageId is invalid, or you are not the sender.",
	"810": "The specified BoxId is invalid or not accessible.",
	"812": "A message cannot be moved between these folders.",
	"813": "One or more messages could not be moved.",
	"814": "Not authorized to publish to this Quality.",
	"815": "One or more messages could not be deleted.",
	"816": "The digest does not match the content.",
	"820": "The period overlaps another one.",
	"821": "The period ends more than one year ahead.",
	"822": "The period starts after its end.",
	"823": "The period starts in the past.",
	"824": "One or more substitutes cannot be chosen because they are absent.",
	"825": "No more than 5 substitutes can be chosen.",
	"826": "One or more recipients have an Out-Of-Office active.",
	"827": "One or more substitutes are unknown.",
	"829": "Only persons can be absent or substitutes.",
	"830": "Nobody can be his own substitute.",
	"840": "One or more Out-Of-Office ids are unknown.",
}

// mailTooMany is the text of 826 in insertOoO, where the same number means something else.
const mailTooMany = "No more than 10 Out-Of-Office periods are possible for a box."

// business is a fault with a code of the service (dossier 03 7.1).
func (x *mailCall) business(code string) *response { return x.businessText(code, mailCodes[code]) }

func (x *mailCall) businessText(code, text string) *response {
	x.s.count(x.rq.Service + ".refused." + code)
	body, err := (&soap.Fault{
		FaultCode: "Server", FaultSpace: soap.NS, FaultString: code + ": " + text,
		SOA: &soap.SOAError{
			Business: true, ID: x.s.ticket(), Origin: "Server", Code: code, Environment: x.s.environment(),
			Messages: []soap.Text{{Lang: "en", Value: text}},
		},
	}).Encode()
	if err != nil { // constants of this package
		return httpAnswer(HTTPAnswer{Status: http.StatusInternalServerError, Body: "empty"})
	}
	return &response{Status: http.StatusInternalServerError, ContentType: soap.ContentType, Body: body}
}

// answer makes the response of what was written.
func (x *mailCall) answer(w *mailWriter, effect string) *response {
	w.End()
	payload, err := w.Bytes()
	if err != nil {
		return x.v.fault(x.s, x.rq, refuse("SOA-00001", "answer not encodable"))
	}
	rs := x.v.answer(x.s, x.rq, nil, payload, x.asker)
	if len(w.parts) > 0 && rs.Status == http.StatusOK {
		if rs, err = withAttachments(rs, w.parts, w.rules.BareContentIDs); err != nil {
			return x.v.fault(x.s, x.rq, refuse("SOA-00001", "answer not encodable"))
		}
	}
	rs.Effect = effect
	return rs
}

// mailWriter writes one answer.
type mailWriter struct {
	*xmltree.Writer
	rules MailBehaviour
	parts []outPart
}

// writer begins an answer.
func (x *mailCall) writer(space, local, id string) *mailWriter {
	w := &mailWriter{Writer: xmltree.NewWriter(), rules: x.rules}
	prefix := "c"
	if space == nsMailSend {
		prefix = "p"
	}
	w.Start(prefix, local)
	w.NS(prefix, space)
	w.Attr("", "Id", id)
	return w
}

func (w *mailWriter) status(code string) {
	w.statusText(code, mailCodes[code])
}

func (w *mailWriter) statusText(code, text string) {
	w.Start("", "Status")
	w.Leaf("", "Code", code)
	w.Start("", "Message")
	w.Attr("", "Lang", "EN")
	w.Text(text)
	w.End()
	w.End()
}

// mailDay writes a day that is held as midnight UTC, with the offset it has in Brussels.
func mailDay(day time.Time) string {
	y, m, d := day.Date()
	return time.Date(y, m, d, 12, 0, 0, 0, brussels).Format("2006-01-02Z07:00")
}

// mailInstant writes an xs:dateTime.
func mailInstant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (w *mailWriter) leafUnless(local, text string) {
	if text != "" {
		w.Leaf("", local, text)
	}
}

func (w *mailWriter) base64(local string, b []byte) {
	w.Leaf("", local, base64.StdEncoding.EncodeToString(b))
}

func (w *mailWriter) boolean(local string, v bool) { w.Leaf("", local, strconv.FormatBool(v)) }

func (w *mailWriter) identifier(m Mailbox) {
	w.Leaf("", "Id", m.ID)
	w.Leaf("", "Type", m.Type)
	w.leafUnless("SubType", m.SubType)
}

func (w *mailWriter) box(m Mailbox) {
	w.identifier(m)
	w.Leaf("", "Quality", m.Quality)
}

// destination writes EhboxIdentifierType, or DestinationContextType of the consultation.
func (w *mailWriter) destination(d mailDestination, mandate bool) {
	w.box(d.Mailbox)
	if d.user != nil {
		w.Start("", "User")
		w.Attr("", "FirstName", d.user.first)
		w.Attr("", "LastName", d.user.last)
		w.Text(d.user.inss)
		w.End()
	}
	if mandate && d.mandate != nil {
		w.Start("", "Mandate")
		w.identifier(d.mandate.Mailbox)
		if d.mandate.name != nil {
			w.Leaf("", "Name", *d.mandate.name)
		}
		w.End()
	}
}

func (w *mailWriter) sender(s mailSender) {
	w.Start("", "Sender")
	if w.rules.ForeignQuality {
		s.SubType, s.Quality = "FUTURE", "FUTURE_QUALITY"
	}
	w.box(s.Mailbox)
	w.Leaf("", "Name", s.name)
	w.leafUnless("FirstName", s.first)
	w.leafUnless("PersonInOrganisation", s.person)
	w.End()
}

func (w *mailWriter) info(m *mail) {
	w.Start("", "MessageInfo")
	w.Leaf("", "PublicationDate", mailDay(dayIn(m.published)))
	w.Leaf("", "ExpirationDate", mailDay(dayIn(m.expires)))
	w.Leaf("", "Size", strconv.FormatInt(m.size, 10))
	w.End()
}

func (w *mailWriter) specification(m *mail) {
	w.Start("", "ContentSpecification")
	w.leafUnless("ApplicationName", m.application)
	w.Leaf("", "ContentType", m.kind)
	w.boolean("IsImportant", m.important)
	w.boolean("IsEncrypted", m.encrypted)
	w.End()
	for _, kv := range m.metas {
		w.Start("", "CustomMeta")
		w.Leaf("", "Key", kv[0])
		w.Leaf("", "Value", kv[1])
		w.End()
	}
}

// row is one Message of a list. Errors have no ContentInfo, as in the samples.
func (w *mailWriter) row(e *mailEntry) {
	m := e.msg
	w.Start("", "Message")
	w.Leaf("", "MessageId", m.id)
	w.Start("", "Destination")
	w.destination(e.as, false)
	w.End()
	w.sender(m.sender)
	w.info(m)
	if m.kind != mailError && !w.rules.NoContentInfo {
		w.Start("", "ContentInfo")
		if m.patient != nil {
			w.base64("EncryptableINSSPatient", m.patient)
		}
		w.Leaf("", "Title", m.document.title)
		w.Leaf("", "MimeType", m.document.mimeType)
		w.boolean("HasFreeInformations", m.free != nil)
		w.boolean("HasAnnex", len(m.annexes) > 0)
		w.End()
	}
	w.specification(m)
	w.extra()
	w.End()
}

func (w *mailWriter) extra() {
	if w.rules.ExtraElements {
		w.Leaf("", "FutureElement", "x")
	}
}

// full is Sender, Message and MessageInfo of a message.
func (w *mailWriter) full(m *mail, poison int) {
	w.sender(m.sender)
	w.Start("", "Message")
	w.Attr("", "MessageId", m.id)
	w.leafUnless("PublicationId", m.publication)
	for _, d := range m.to {
		w.Start("", "DestinationContext")
		w.destination(d, true)
		w.End()
	}
	w.Start("", "ContentContext")
	w.Start("", "Content")
	w.Start("", "Document")
	w.Leaf("", "Title", m.document.title)
	w.part(m.document, poison)
	w.End()
	w.free(m.free)
	if m.patient != nil {
		w.base64("EncryptableINSSPatient", m.patient)
	}
	for _, a := range m.annexes {
		w.Start("", "Annex")
		w.base64("EncryptableTitle", a.sealed)
		w.part(a, poison)
		w.End()
	}
	w.receipt(m.acknowledges)
	w.failure(m.reports)
	w.End()
	w.specification(m)
	w.End()
	for _, meta := range m.systemMetas {
		w.Start("", "Meta")
		w.Leaf("", "Type", meta.typ)
		for _, v := range meta.values {
			w.Leaf("", "Value", v)
		}
		w.End()
	}
	for _, to := range m.copyTo {
		w.Leaf("", "CopyMailTo", to)
	}
	w.extra()
	w.End()
	w.info(m)
}

// part is content, file name and type of the document or of an annex.
func (w *mailWriter) part(p mailPart, poison int) {
	if p.binary {
		h := randomHex(16)
		id := strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-") + "@ehealth.fgov.be"
		w.Leaf("", "EncryptableBinaryContent", "cid:"+id)
		content := p.content
		if w.rules.DoubleBase64 {
			content = []byte(base64.StdEncoding.EncodeToString(content))
		}
		if poison != poisonNoAttachment {
			w.parts = append(w.parts, outPart{id: id, mimeType: p.mimeType, content: content})
		}
	} else {
		w.base64("EncryptableTextContent", p.content)
	}
	w.Leaf("", "DownloadFileName", p.file)
	w.Leaf("", "MimeType", p.mimeType)
}

func (w *mailWriter) free(f *mailFree) {
	if f == nil {
		return
	}
	w.Start("", "FreeInformations")
	switch {
	case f.text != nil:
		w.base64("EncryptableFreeText", f.text)
	case f.rows != nil:
		w.Start("", "Table")
		if f.title != nil {
			w.Attr("", "Title", *f.title)
		}
		for _, r := range f.rows {
			w.Start("", "Row")
			w.base64("EncryptableLeftCell", r[0])
			w.base64("EncryptableRightCell", r[1])
			w.End()
		}
		w.End()
	default:
		w.Start("", "EncryptableOldFreeInformation")
		w.Attr("", "Render", f.render)
		w.Text(base64.StdEncoding.EncodeToString(f.old))
		w.End()
	}
	w.End()
}

func (w *mailWriter) receipt(r *mailReceipt) {
	if r == nil {
		return
	}
	w.Start("", "Acknowledgment")
	w.Leaf("", "MessageId", r.message)
	if r.recipient != nil {
		w.Start("", "Recipient")
		w.destination(*r.recipient, false)
		w.End()
	}
	w.Leaf("", "AckType", r.kind)
	w.Leaf("", "DateTime", mailInstant(r.at))
	w.End()
}

func (w *mailWriter) failure(f *mailFailure) {
	if f == nil {
		return
	}
	w.Start("", "Error")
	if f.publication != "" {
		w.Attr("", "PublicationId", f.publication)
	}
	w.Leaf("", "Code", f.code)
	w.Leaf("", "Message", f.text)
	for _, d := range f.destinations {
		w.Start("", "Destination")
		w.destination(d, false)
		w.End()
	}
	w.End()
}
