package sandbox

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// mailWorld is a world in which mail is processed at once, a doctor who writes and one who reads.
type mailWorld struct {
	*world
	writer, reader *Person
	writes, reads  token
	answers        [][]byte // every consultation answer, for xmllint
	sent, faults   [][]byte
}

func newMailWorld(t testing.TB, b MailBehaviour) *mailWorld {
	t.Helper()
	w := &mailWorld{world: newWorld(t)}
	w.s.SetMail(b)
	w.writer, w.writes = w.doctorToken(0)
	w.reader, w.reads = w.doctorToken(1)
	return w
}

var mailAtOnce = MailBehaviour{Delay: -1}

func (b Mailbox) xml() string {
	sub := ""
	if b.SubType != "" {
		sub = "<SubType>" + b.SubType + "</SubType>"
	}
	return "<Id>" + b.ID + "</Id><Type>" + b.Type + "</Type>" + sub + "<Quality>" + b.Quality + "</Quality>"
}

func boxXML(b Mailbox) string { return "<BoxId>" + b.xml() + "</BoxId>" }

// consult calls an operation of the consultation service.
func (w *mailWorld) consult(tk token, name, body string) *response {
	w.t.Helper()
	payload := `<c:` + name + `Request xmlns:c="` + nsMailRead + `">` + body + `</c:` + name + `Request>`
	action := map[string]string{"GetHistory": "getMessageHistory"}[name]
	if action == "" {
		action = strings.ToLower(name[:1]) + name[1:]
	}
	return w.call(pathMailRead, nsMailRead+":"+action, w.message(payload, tk))
}

// consulted returns the payload of a good answer.
func (w *mailWorld) consulted(tk token, name, body string) *xmltree.Node {
	w.t.Helper()
	r := w.consult(tk, name, body)
	if strings.HasPrefix(r.ContentType, "multipart/") {
		w.t.Fatal("attachments were not expected")
	}
	n := w.answered(r)
	w.answers = append(w.answers, n.Source())
	return n
}

// textsOf lists the text of all elements of that name.
func textsOf(n *xmltree.Node, local string) []string {
	var out []string
	for d := range n.Descendants() {
		if d.Is("", local) {
			out = append(out, textOf(d))
		}
	}
	return out
}

func statusOf(n *xmltree.Node) string { return textOf(nodeAt(n, "", "Status", "Code")) }

// mailLetter is a SendMessageRequest in the making.
type mailLetter struct {
	id, box, kind, receipts, metas, annex, extra string
	text                                         string
	to                                           []string // content of DestinationContext
	digest                                       string
}

func (l mailLetter) xml() string {
	attr := ""
	if l.id != "" {
		attr = ` PublicationId="` + l.id + `"`
	}
	var to strings.Builder
	for _, d := range l.to {
		to.WriteString("<DestinationContext>" + d + "</DestinationContext>")
	}
	kind, receipts, digest := l.kind, l.receipts, l.digest
	if kind == "" {
		kind = mailDocument
	}
	if receipts == "" {
		receipts = "false false false"
	}
	if digest == "" {
		digest = digestOf([]byte(l.text))
	}
	r := strings.Fields(receipts)
	return `<p:SendMessageRequest xmlns:p="` + nsMailSend + `"` + attr + `>` + l.box + to.String() +
		`<ContentContext><Content><Document><Title>Letter</Title><EncryptableTextContent>` + b64([]byte(l.text)) +
		`</EncryptableTextContent><DownloadFileName>body.txt</DownloadFileName><MimeType>text/plain</MimeType><Digest>` + digest +
		`</Digest></Document>` + l.extra + l.annex + `</Content><ContentSpecification><ApplicationName>Test</ApplicationName><ContentType>` + kind +
		`</ContentType><IsImportant>false</IsImportant><IsEncrypted>false</IsEncrypted><PublicationReceipt>` + r[0] +
		`</PublicationReceipt><ReceivedReceipt>` + r[1] + `</ReceivedReceipt><ReadReceipt>` + r[2] + `</ReadReceipt></ContentSpecification>` +
		l.metas + `</ContentContext></p:SendMessageRequest>`
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return b64(sum[:])
}

func (w *mailWorld) send(tk token, l mailLetter) *response {
	w.t.Helper()
	return w.call(pathMailSend, nsMailSend+":sendMessage", w.message(l.xml(), tk))
}

// sendOK sends and returns the MessageId.
func (w *mailWorld) sendOK(tk token, l mailLetter) string {
	w.t.Helper()
	r := w.send(tk, l)
	n := w.answered(r)
	w.sent = append(w.sent, n.Source())
	if statusOf(n) != "100" || r.Effect != "ehbox.accepted" {
		w.t.Fatalf("status %s, effect %q", statusOf(n), r.Effect)
	}
	if got, _ := n.Attr("", "SentPublicationId"); got != l.id {
		w.t.Errorf("SentPublicationId %q, want %q", got, l.id)
	}
	id, _ := n.Attr("", "Id")
	return id
}

// business checks a BusinessError.
func (w *mailWorld) business(r *response, code string) {
	w.t.Helper()
	m, err := soap.Parse(r.Body, xmltree.Limits{})
	if err != nil {
		w.t.Fatal(err)
	}
	f, ok := m.Fault()
	if !ok || f.SOA == nil || !f.SOA.Business || f.SOA.Code != code || r.Status != http.StatusInternalServerError ||
		!strings.HasPrefix(f.FaultString, code+": ") || r.Effect != "" {
		w.t.Errorf("want BusinessError %s: status %d, %s", code, r.Status, r.Body)
		return
	}
	for n := range f.Detail.Elements() {
		w.faults = append(w.faults, n.Source())
	}
}

// conform lets xmllint judge every answer that was seen.
func (w *mailWorld) conform() {
	w.t.Helper()
	conformsTo(w.t, mailSchema(w.t, nsMailRead), w.answers...)
	conformsTo(w.t, sharedXSD(w.t, "ehealth-errors", "ehealth-errors-schema-soa-1_0.xsd"), w.faults...)
	if len(w.sent) > 0 {
		conformsTo(w.t, mailSchema(w.t, nsMailSend), w.sent...)
	}
}

func (w *mailWorld) folder(b Mailbox, folder string) []MailMessage {
	w.t.Helper()
	list, err := w.s.Mail(b, folder)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// kinds is a folder in one line, newest first: "ERROR 702 DOCUMENT".
func (w *mailWorld) kinds(b Mailbox, folder string) string {
	w.t.Helper()
	var out []string
	for _, m := range w.folder(b, folder) {
		out = append(out, strings.TrimSpace(m.Kind+" "+m.Code))
	}
	return strings.Join(out, ", ")
}

func (w *mailWorld) effects(want map[string]int) {
	w.t.Helper()
	got := w.s.State().Effects
	for name, n := range want {
		if got[name] != n {
			w.t.Errorf("effect %s: %d, want %d", name, got[name], n)
		}
	}
}

func readBody(folder, id string) string {
	return "<Source>" + folder + "</Source><MessageId>" + id + "</MessageId>"
}

// TestMailLetter is the life of one letter: sent, listed, read, with its receipts, status, move and removal.
func TestMailLetter(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	to := w.reader.Mailbox()
	nihii := Mailbox{ID: w.reader.NIHII.Base(), Type: "NIHII", Quality: "DOCTOR"}
	id := w.sendOK(w.writes, mailLetter{
		id: "LETTER-1", to: []string{nihii.xml()}, text: "bonjour é", receipts: "true true 1",
		metas: "<CustomMeta><Key>k</Key><Value>v</Value></CustomMeta><CustomMeta><Key>k</Key><Value>w</Value></CustomMeta>",
	})
	if got := w.kinds(w.writer.Mailbox(), folderIn); got != "ACKNOWLEDGMENT PUBLISHED" {
		t.Errorf("after sending: %s", got)
	}
	info := w.consulted(w.reads, "GetBoxInfo", "")
	if got := textsOf(info, "Id")[0]; got != to.ID || textsOf(info, "CurrentSize")[0] != "10" || textsOf(info, "MaxSize")[0] != "10485760" {
		t.Errorf("box info: %s", info.Source())
	}
	list := w.consulted(w.reads, "GetMessagesList", "<Source/>")
	if !slices.Equal(textsOf(list, "MessageId"), []string{id}) || textsOf(list, "Source")[0] != folderIn {
		t.Fatalf("list: %s", list.Source())
	}
	row := list.Child("", "Message")
	if textOf(nodeAt(row, "", "Destination", "Id")) != nihii.ID || textOf(nodeAt(row, "", "Sender", "Id")) != w.writer.SSIN.Reveal() ||
		textOf(nodeAt(row, "", "Sender", "FirstName")) != w.writer.FirstName || textOf(nodeAt(row, "", "ContentInfo", "Title")) != "Letter" ||
		!slices.Equal(textsOf(row, "Value"), []string{"v", "w"}) || textOf(nodeAt(row, "", "MessageInfo", "Size")) != "10" {
		t.Errorf("row: %s", row.Source())
	}
	w.consulted(w.reads, "GetMessagesList", "<Source>INBOX</Source>") // a second time: no second receipt
	if got := w.kinds(w.writer.Mailbox(), folderIn); got != "ACKNOWLEDGMENT RECEIVED, ACKNOWLEDGMENT PUBLISHED" {
		t.Errorf("after listing: %s", got)
	}
	full := w.consulted(w.reads, "GetFullMessage", readBody(folderIn, id))
	w.consulted(w.reads, "GetFullMessage", readBody(folderIn, id))
	if got, _ := full.Child("", "Message").Attr("", "MessageId"); got != id || textsOf(full, "PublicationId")[0] != "LETTER-1" {
		t.Errorf("full message: %s", full.Source())
	}
	if got := string(binaryOf(nodeAt(full, "", "Message", "ContentContext", "Content", "Document", "EncryptableTextContent"))); got != "bonjour é" {
		t.Errorf("text %q", got)
	}
	if got := w.kinds(w.writer.Mailbox(), folderIn); got != "ACKNOWLEDGMENT READ, ACKNOWLEDGMENT RECEIVED, ACKNOWLEDGMENT PUBLISHED" {
		t.Errorf("after reading: %s", got)
	}
	for _, ack := range w.folder(w.writer.Mailbox(), folderIn) {
		n := w.consulted(w.writes, "GetFullMessage", readBody(folderIn, ack.ID))
		if got := textOf(nodeAt(n, "", "Message", "ContentContext", "Content", "Acknowledgment", "MessageId")); got != id || ack.About != id {
			t.Errorf("%s is about %q", ack.Code, got)
		}
	}
	w.consulted(w.writes, "GetMessagesList", "<Source>INBOX</Source>")
	status := w.consulted(w.writes, "GetMessageAcknowledgmentsStatus", "<MessageId>"+id+"</MessageId>")
	if len(textsOf(status, "Published")) != 1 || len(textsOf(status, "Received")) != 1 || len(textsOf(status, "Read")) != 1 {
		t.Errorf("status: %s", status.Source())
	}
	w.business(w.consult(w.reads, "GetMessageAcknowledgmentsStatus", "<MessageId>"+id+"</MessageId>"), "809")
	if got := w.folder(w.writer.Mailbox(), folderSent); len(got) != 1 || got[0].ID != id || !got[0].Read.IsZero() {
		t.Errorf("sent box: %+v", got)
	}
	w.moves(id)
	for _, m := range w.folder(w.writer.Mailbox(), folderIn) {
		w.consulted(w.writes, "DeleteMessage", "<Source>INBOX</Source><MessageId>"+m.ID+"</MessageId>")
	}
	if got := w.s.mail.held; got != 10 { // the copy of the sender
		t.Errorf("%d bytes held", got)
	}
	w.consulted(w.writes, "DeleteMessage", "<Source>SENTBOX</Source><MessageId>"+id+"</MessageId>")
	if got := w.s.mail.held; got != 0 {
		t.Errorf("%d bytes held", got)
	}
	w.effects(map[string]int{"ehbox.send": 1, "ehbox.copy": 1, "ehbox.double": 0, "ehbox.duplicate": 0})
	w.conform()
}

// moves takes the letter to the bin, back, and away.
func (w *mailWorld) moves(id string) {
	w.t.Helper()
	w.t.Helper()
	move := func(from, to string, ids ...string) *xmltree.Node {
		return w.consulted(w.reads, "MoveMessage", "<Source>"+from+"</Source><Destination>"+to+"</Destination><MessageId>"+strings.Join(ids, "</MessageId><MessageId>")+"</MessageId>")
	}
	const other = "AAAAAAAAAAAAA"
	if n := move(folderIn, folderBinIn, id); statusOf(n) != "100" || len(textsOf(n, "MessageId")) != 0 {
		w.t.Errorf("move: %s", n.Source())
	}
	w.business(w.consult(w.reads, "GetFullMessage", readBody(folderIn, id)), "806")
	if n := move(folderIn, folderBinIn, id, other); statusOf(n) != "813" || !slices.Equal(textsOf(n, "MessageId"), []string{id, other}) {
		w.t.Errorf("moved twice: %s", n.Source())
	}
	if n := w.consulted(w.reads, "GetMessagesList", "<Source>BININBOX</Source>"); !slices.Equal(textsOf(n, "MessageId"), []string{id}) {
		w.t.Errorf("bin: %s", n.Source())
	}
	move(folderBinIn, folderIn, id)
	w.business(w.consult(w.reads, "MoveMessage", "<Source>INBOX</Source><Destination>SENTBOX</Destination><MessageId>"+id+"</MessageId>"), "812")
	w.business(w.consult(w.reads, "MoveMessage", "<Source>INBOX</Source><Destination>INBOX</Destination><MessageId>"+id+"</MessageId>"), "812")
	remove := func(ids ...string) *xmltree.Node {
		return w.consulted(w.reads, "DeleteMessage", "<Source>INBOX</Source><MessageId>"+strings.Join(ids, "</MessageId><MessageId>")+"</MessageId>")
	}
	if n := remove(other, id); statusOf(n) != "815" || !slices.Equal(textsOf(n, "MessageId"), []string{other}) {
		w.t.Errorf("delete: %s", n.Source())
	}
	if got := w.folder(w.reader.Mailbox(), folderIn); len(got) != 0 {
		w.t.Error("not deleted")
	}
}

// TestMailWindow: indices from 1, at most a hundred, newest first, and the list moves.
func TestMailWindow(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	var ids []string
	for i := range 103 {
		id, err := w.s.DeliverMail(MailDelivery{From: w.writer.Mailbox(), To: []Mailbox{w.reader.Mailbox()}, Text: []byte{byte(i)}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append([]string{id}, ids...)
	}
	list := func(op, window string) []string {
		return textsOf(w.consulted(w.reads, op, "<Source>INBOX</Source>"+window), "MessageId")
	}
	for _, op := range []string{"GetMessagesList", "GetAllEhboxesMessagesList"} {
		if got := list(op, ""); !slices.Equal(got, ids[:100]) {
			t.Errorf("%s: %d messages", op, len(got))
		}
		if got := list(op, "<StartIndex>101</StartIndex><EndIndex>200</EndIndex>"); !slices.Equal(got, ids[100:]) {
			t.Errorf("%s: %d messages on the second page", op, len(got))
		}
		if got := list(op, "<StartIndex>104</StartIndex><EndIndex>104</EndIndex>"); len(got) != 0 {
			t.Errorf("%s: %d messages behind the end", op, len(got))
		}
		w.business(w.consult(w.reads, op, "<Source>INBOX</Source><StartIndex>5</StartIndex><EndIndex>4</EndIndex>"), "807")
		w.business(w.consult(w.reads, op, "<Source>INBOX</Source><StartIndex>1</StartIndex><EndIndex>101</EndIndex>"), "808")
		w.business(w.consult(w.reads, op, "<Source>INBOX</Source><StartIndex>101</StartIndex>"), "807")
	}
	w.refusedWith(w.consult(w.reads, "GetMessagesList", "<Source>INBOX</Source><StartIndex>0</StartIndex>"), "SOA-03006")
	w.conform()
}

// TestMailBoxes: which boxes a token opens.
func TestMailBoxes(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	nihii := Mailbox{ID: w.reader.NIHII.Full(), Type: "NIHII", Quality: "DOCTOR"}
	if n := w.consulted(w.reads, "GetBoxInfo", boxXML(nihii)); textsOf(n, "Id")[0] != nihii.ID {
		t.Errorf("by NIHII: %s", n.Source())
	}
	w.business(w.consult(w.reads, "GetBoxInfo", boxXML(w.writer.Mailbox())), "810")
	w.business(w.consult(w.reads, "GetBoxInfo", boxXML(Mailbox{ID: w.reader.SSIN.Reveal(), Type: "INSS", Quality: "NURSE"})), "810")
	p, pharmacy := w.pharmacyToken(0)
	if n := w.consulted(pharmacy, "GetBoxInfo", ""); textsOf(n, "Id")[0] != p.Pharmacy.Number || textsOf(n, "Quality")[0] != "PHARMACY" {
		t.Errorf("pharmacy: %s", n.Source())
	}
	hospital, c := w.organisation(identity.Hospital, 0)
	stem := claimEH + "hospital:nihii-number"
	tk := w.issue(c, stem+"="+hospital.Number, stem+":recognisedhospital:boolean")
	if n := w.consulted(tk, "GetBoxInfo", ""); textsOf(n, "SubType")[0] != "HOSPITAL" {
		t.Errorf("hospital: %s", n.Source())
	}
	w.business(w.consult(tk, "GetBoxInfo", boxXML(hospital.Mailbox())), "810")
	w.sendOK(tk, mailLetter{id: "H1", to: []string{w.reader.Mailbox().xml()}, text: "x"})
	w.sendOK(pharmacy, mailLetter{id: "P1", to: []string{w.reader.Mailbox().xml()}, text: "x"})
	n := w.consulted(w.reads, "GetMessagesList", "<Source>INBOX</Source>")
	if got := textsOf(n, "Name"); !slices.Equal(got, []string{p.Pharmacy.Name, hospital.Name}) || !slices.Equal(textsOf(n, "PersonInOrganisation"), []string{p.SSIN.Reveal()}) {
		t.Errorf("senders: %s", n.Source())
	}
	w.sendOK(w.writes, mailLetter{id: "D1", box: boxXML(Mailbox{ID: w.writer.NIHII.Base(), Type: "NIHII", Quality: "DOCTOR"}), to: []string{w.reader.Mailbox().xml()}, text: "x"})
	if got := w.folder(w.reader.Mailbox(), folderIn)[0].Sender; got.Type != "NIHII" {
		t.Errorf("sender by BoxId: %+v", got)
	}
	both := append(pharmacyClaims(p), claimPSE+"fpsph:pharmacist:boolean")
	first := w.answered(w.call(pathTrust, actionIssue, w.x509Message(rstFor(pharmacy.key, both...), w.must(p.Authentication()))))
	tk = w.assertionIn(w.answered(w.call(pathTrust, actionChallenge, w.x509Message(challengeAnswer(first), pharmacy.key))), pharmacy.key)
	for _, to := range []Mailbox{p.Mailbox(), p.Pharmacy.Mailbox()} {
		if _, err := w.s.DeliverMail(MailDelivery{From: hospital.Mailbox(), To: []Mailbox{to}}); err != nil {
			t.Fatal(err)
		}
	}
	n = w.consulted(tk, "GetAllEhboxesMessagesList", "<Source>INBOX</Source>")
	var quality []string
	for c := range n.Elements() {
		if c.Local() == "Message" {
			quality = append(quality, textOf(nodeAt(c, "", "Destination", "Quality")))
		}
	}
	if !slices.Equal(quality, []string{"PHARMACY", "PHARMACIST"}) {
		t.Errorf("all boxes: %v", quality)
	}
	w.consulted(tk, "GetBoxInfo", boxXML(p.Mailbox()))
	none := w.issue(w.must(w.writer.Authentication()), claimPS+"="+w.writer.SSIN.Reveal())
	w.refusedWith(w.consult(none, "GetBoxInfo", ""), "SOA-01002")
	w.conform()
}

// TestMailSamplesAnswered: the samples of all consultation requests reach their operation.
func TestMailSamplesAnswered(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	for name, doc := range mailSamples(t) {
		n := parsed(t, doc)
		path := pathMailRead
		if n.Space() == nsMailSend {
			path = pathMailSend
		}
		if strings.Contains(string(doc), "cid:") {
			continue // needs its attachment; see the multipart sample
		}
		r := w.call(path, "", w.message(string(n.Source()), w.reads))
		m, err := soap.Parse(r.Body, xmltree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := m.Fault(); ok && (f.SOA == nil || !f.SOA.Business) {
			t.Errorf("%s: %s", name, f.FaultString)
		}
	}
}

// TestMailHTTPSample: the multipart sample, byte for byte but for its security header, and with the quirks of senders in
// the field.
func TestMailHTTPSample(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	raw, err := os.ReadFile(oracle.Shared(t, "samples", "ehbox", "http-sendMessage-annex-swa.http"))
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	i, j := strings.Index(body, "<?xml"), strings.Index(body, "</soapenv:Envelope>")+len("</soapenv:Envelope>")
	m, err := soap.Parse([]byte(body[i:j]), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	hospital, pharmacy := w.s.Organisation(identity.Hospital, 0), w.s.Organisation(identity.Pharmacy, 0)
	payload := strings.NewReplacer("19999123", w.writer.NIHII.Base(), "71999140", hospital.Number, "29999130", pharmacy.Number).Replace(string(m.Payload.Source()))
	header := http.Header{}
	for line := range strings.SplitSeq(head, "\r\n") {
		if k, v, ok := strings.Cut(line, ": "); ok {
			header.Set(k, v)
		}
	}
	for name, change := range map[string]func(string) string{
		"as is": func(s string) string { return s },
		"without brackets": func(s string) string {
			return strings.ReplaceAll(s, "<annex-1@sandbox.example>", "annex-1@sandbox.example")
		},
		"base64":            func(s string) string { return base64Annex(s) },
		"changed":           func(s string) string { return strings.Replace(s, "%PDF-1.4", "%PDF-1.5", 1) },
		"other content id":  func(s string) string { return strings.ReplaceAll(s, "Content-ID: <annex-1@", "Content-ID: <annex-2@") },
		"escaped reference": func(s string) string { return s },
		"cut":               func(s string) string { return strings.ReplaceAll(s, "--MIMEBoundary_sandbox_0001--", "") },
	} {
		own := strings.Replace(payload, "7F3K9Q2M4X8ZQ", "ID"+digestOf([]byte(name))[:8], 1)
		if name == "escaped reference" {
			own = strings.Replace(own, "cid:annex-1@", "cid:annex-1%40", 1)
		}
		sent := change(body[:i] + string(w.message(own, w.writes)) + body[j:])
		r := w.callWith(pathMailSend, header, []byte(sent))
		switch name {
		case "changed":
			w.business(r, "816")
		case "other content id":
			w.refusedWith(r, "SOA-03007")
		case "cut":
			w.refusedWith(r, "SOA-03002")
		default:
			if got := statusOf(w.answered(r)); got != "100" {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
	got := w.folder(hospital.Mailbox(), folderIn)
	if len(got) != 4 || string(got[0].Annexes[0].Content) != "%PDF-1.4\n% synthetic placeholder\n%%EOF\n" {
		t.Fatalf("%d letters: %q", len(got), got[0].Annexes)
	}
}

func base64Annex(s string) string {
	i, j := strings.Index(s, "%PDF-1.4"), strings.Index(s, "%%EOF\n")+len("%%EOF\n")
	s = s[:i] + b64([]byte(s[i:j])) + s[j:]
	k := strings.LastIndex(s, "Content-Transfer-Encoding: binary")
	return s[:k] + "Content-Transfer-Encoding: base64" + s[k+len("Content-Transfer-Encoding: binary"):]
}

// callWith is call with HTTP headers.
func (w *world) callWith(path string, h http.Header, body []byte) *response {
	w.t.Helper()
	for _, r := range w.s.routes {
		if r.Path == path {
			return r.Handle(w.t.Context(), w.s, &request{Service: r.Service, Path: path, Header: h, Body: body, At: time.Now()})
		}
	}
	w.t.Fatalf("no service at %s", path)
	return nil
}

// TestMailDelay: a publication appears a second after it was accepted, also in the sender's box; State tells at once.
func TestMailDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMailWorld(t, MailBehaviour{})
		id := w.sendOK(w.writes, mailLetter{id: "A", to: []string{w.reader.Mailbox().xml()}, text: "x"})
		w.effects(map[string]int{"ehbox.send": 0})
		w.business(w.consult(w.writes, "GetMessageAcknowledgmentsStatus", "<MessageId>"+id+"</MessageId>"), "809")
		if got := w.kinds(w.writer.Mailbox(), folderSent); got != "" {
			t.Errorf("sent box: %s", got)
		}
		time.Sleep(mailDelay)
		w.effects(map[string]int{"ehbox.send": 1})
		if got := w.kinds(w.writer.Mailbox(), folderSent); got != mailDocument {
			t.Errorf("sent box: %s", got)
		}
		w.consulted(w.writes, "GetMessageAcknowledgmentsStatus", "<MessageId>"+id+"</MessageId>")
	})
}

// TestMailRetention: a year, or expired, read and in the bin.
func TestMailRetention(t *testing.T) {
	for _, tc := range []struct {
		do    string
		after time.Duration
		want  int
	}{
		{"", 200 * 24 * time.Hour, 1},
		{"read", 200 * 24 * time.Hour, 1},
		{"bin", 200 * 24 * time.Hour, 1},
		{"read bin", 200 * 24 * time.Hour, 0},
		{"read bin", 100 * 24 * time.Hour, 1},
		{"", 366 * 24 * time.Hour, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newMailWorld(t, mailAtOnce)
			to := w.reader.Mailbox()
			id, err := w.s.DeliverMail(MailDelivery{From: w.writer.Mailbox(), To: []Mailbox{to}})
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(tc.do, "read") {
				w.consulted(w.reads, "GetFullMessage", readBody(folderIn, id))
			}
			folder := folderIn
			if strings.Contains(tc.do, "bin") {
				folder = folderBinIn
				w.consulted(w.reads, "MoveMessage", "<Source>INBOX</Source><Destination>BININBOX</Destination><MessageId>"+id+"</MessageId>")
			}
			time.Sleep(tc.after)
			if got := len(w.folder(to, folder)); got != tc.want {
				t.Errorf("%q, %s later: %d messages, want %d", tc.do, tc.after, got, tc.want)
			}
		})
	}
}

// TestMailQuota: a full box lets messages wait, in order, until there is room.
func TestMailQuota(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	to := w.reader.Mailbox()
	if err := w.s.SetQuota(to, 8); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range 4 {
		ids = append(ids, w.sendOK(w.writes, mailLetter{id: fmt.Sprint("Q", i), to: []string{to.xml()}, text: "12345", receipts: "true false false"}))
	}
	state := func() string {
		n := w.consulted(w.reads, "GetBoxInfo", "")
		return strings.Join(slices.Concat(textsOf(n, "NbrMessagesInStandBy"), textsOf(n, "CurrentSize"), textsOf(n, "MaxSize")), " ")
	}
	if got := state(); got != "2 10 8" { // a message enters while the box is below its quota
		t.Errorf("full: %s", got)
	}
	if got := w.kinds(w.writer.Mailbox(), folderIn); strings.Count(got, "PUBLISHED") != 4 {
		t.Errorf("published whether there is room or not: %s", got)
	}
	w.consulted(w.reads, "MoveMessage", "<Source>INBOX</Source><Destination>BININBOX</Destination><MessageId>"+ids[0]+"</MessageId>")
	if got := state(); got != "2 10 8" {
		t.Errorf("moving frees nothing: %s", got)
	}
	w.consulted(w.reads, "DeleteMessage", "<Source>BININBOX</Source><MessageId>"+ids[0]+"</MessageId>")
	if got := state(); got != "1 10 8" || w.folder(to, folderIn)[0].ID != ids[2] {
		t.Errorf("room for one: %s", got)
	}
	if err := w.s.SetQuota(to, 1000); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "0 15 1000" || w.folder(to, folderIn)[0].ID != ids[3] {
		t.Errorf("room for all: %s", got)
	}
	if err := w.s.SetQuota(Mailbox{}, 1); err != ErrNoMailbox {
		t.Errorf("no box: %v", err)
	}
	if got, err := w.s.MailboxState(to); err != nil || got != (MailboxState{15, 1000, 0}) {
		t.Errorf("%+v %v", got, err)
	}
	w.conform()
}
