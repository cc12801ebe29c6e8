package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/base64"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

var mailSendOperations = []operation{{qname{nsMailSend, "SendMessageRequest"}, []string{nsMailSend + ":sendMessage"}}}

// mailCall is a request to one of the two services after its door: who calls, and what.
type mailCall struct {
	v      *services
	s      *Sandbox
	rq     *request
	m      *soap.Message
	caller mailCaller
	box    *mailbox // the one that BoxId means
	as     Mailbox  // as which of its names
	asker  string
	rules  MailBehaviour
}

// enterMail does what both services begin with (dossier 03 section 14): shape, schema, caller, box.
func (v *services) enterMail(s *Sandbox, rq *request, ops []operation) (*mailCall, map[string][]byte, *response) {
	parts, r := takeApart(rq)
	var m *soap.Message
	if r == nil {
		m, _, r = open(rq, ops)
	}
	if r != nil {
		return nil, nil, v.fault(s, rq, r)
	}
	s.mail.mu.Lock()
	rules := s.mail.behaviour
	s.mail.mu.Unlock()
	guard := v
	if rules.AcceptReplays {
		guard = newServices() // one that has not seen anything
	}
	c, r := guard.holderOfKey(s, rq, m)
	if r != nil {
		return nil, nil, v.fault(s, rq, r)
	}
	types := mailTypesOfficial
	if rules.LenientINSS {
		types = mailTypesLenient
	}
	if r := conforms(m.Payload, types[m.Payload.Local()]); r != nil {
		return nil, nil, v.fault(s, rq, r)
	}
	x := &mailCall{v: v, s: s, rq: rq, m: m, caller: s.mailboxesOf(c), asker: askerKey(c.cert, m.Payload.Local()), rules: rules}
	if len(x.caller.boxes) == 0 {
		return nil, nil, v.fault(s, rq, refuse("SOA-01002", "token proves no quality that has a box"))
	}
	if !x.choose(m.Payload.Child("", "BoxId")) {
		return nil, nil, x.business("810")
	}
	return x, parts, nil
}

// choose finds the box that BoxId means: one of the caller's. The token of an organisation cannot choose (dossier 03 2.3).
func (x *mailCall) choose(id *xmltree.Node) bool {
	x.box = x.caller.boxes[0]
	x.as = x.box.self
	if id == nil {
		return true
	}
	m := mailboxIn(id)
	if x.caller.ssin == "" {
		return false
	}
	b := x.s.mail.box(x.s, m)
	for _, mine := range x.caller.boxes {
		if b == mine {
			x.box, x.as = b, m
			return true
		}
	}
	return false
}

func mailboxIn(n *xmltree.Node) Mailbox {
	return Mailbox{
		ID: textOf(n.Child("", "Id")), Type: textOf(n.Child("", "Type")),
		SubType: textOf(n.Child("", "SubType")), Quality: textOf(n.Child("", "Quality")),
	}
}

// sendMessage is the publication service (dossier 03 section 5).
func (v *services) sendMessage(_ context.Context, s *Sandbox, rq *request) *response {
	x, parts, rs := v.enterMail(s, rq, mailSendOperations)
	if rs != nil {
		return rs
	}
	d := mailDecoder{parts: parts}
	msg := d.mail(x.m.Payload)
	switch {
	case d.missing:
		return v.fault(s, rq, refuse("SOA-03007", "an attachment is missing"))
	case msg.kind != mailDocument && msg.kind != mailNews:
		return v.fault(s, rq, refuse("SOA-03007", "only documents and news can be sent"))
	case msg.size > mailLimit:
		return x.business("801")
	}
	for _, to := range msg.to {
		if code := to.wrong(x.rules.MassMail); code != "" {
			return x.business(code)
		}
	}
	if d.changed {
		return x.business("816")
	}
	if d.plain {
		s.count("ehbox-pub.not-sealed")
	}
	msg.from, msg.sender = x.box, x.box.sender(x.as, x.caller.ssin)
	return x.publish(msg)
}

// publish accepts the message, or tells who is absent.
func (x *mailCall) publish(msg *mail) *response {
	st := &x.s.mail
	st.mu.Lock()
	defer st.mu.Unlock()
	st.settle(x.s, x.rq.At)
	if st.held+msg.size > mailCapacity {
		return x.v.fault(x.s, x.rq, refuse("SOA-02002", "no more room in this sandbox"))
	}
	msg.id = st.nextID("S")
	var absent []mailAbsent
	for _, to := range msg.to {
		b := st.boxOf(x.s, to.Mailbox)
		if b == nil || to.processed {
			continue
		}
		if a := b.absence(dayIn(x.rq.At)); a != nil {
			absent = append(absent, mailAbsent{to, a})
		}
	}
	if len(absent) > 0 {
		if x.rules.AbsenceUsesID && msg.publication != "" && st.published[msg.publication] == nil {
			st.reserve(msg)
		}
		return x.sent(msg, "826", absent, "")
	}
	st.accept(msg, x.rq.At)
	st.settle(x.s, x.rq.At) // at once, when there is no delay
	return x.sent(msg, "100", nil, "ehbox.accepted")
}

// reserve marks a PublicationId as used without a message.
func (st *mailState) reserve(m *mail) {
	if st.published == nil {
		st.published = map[string]*mailTrace{}
	}
	st.published[m.publication] = &mailTrace{id: m.id, kind: mailDocument, from: m.from}
}

// mailAbsent is a recipient who is out of office.
type mailAbsent struct {
	to mailDestination
	a  *mailAbsence
}

// sent is a SendMessageResponse.
func (x *mailCall) sent(msg *mail, code string, absent []mailAbsent, effect string) *response {
	w := x.writer(nsMailSend, "SendMessageResponse", msg.id)
	if msg.publication != "" {
		w.Attr("", "SentPublicationId", msg.publication)
	}
	w.status(code)
	for _, r := range absent {
		w.Start("", "Recipient")
		w.destination(r.to, false)
		w.Leaf("", "AbsentFrom", mailDay(r.a.from))
		w.Leaf("", "AbsentTo", mailDay(r.a.to))
		for _, sub := range r.a.substitutes {
			w.Start("", "Substitute")
			w.box(sub)
			w.End()
		}
		w.End()
	}
	return x.answer(w, effect)
}

// mailDecoder reads a SendMessageRequest that conforms to its schema.
type mailDecoder struct {
	parts   map[string][]byte
	missing bool // a reference without attachment
	changed bool // a digest that does not fit
	plain   bool // IsEncrypted, and a field that is no CMS message
}

func (d *mailDecoder) mail(n *xmltree.Node) *mail {
	m := &mail{}
	m.publication, _ = n.Attr("", "PublicationId")
	for c := range n.Elements() {
		switch c.Local() {
		case "DestinationContext":
			m.to = append(m.to, destinationIn(c))
		case "ContentContext":
			d.context(m, c)
		case "Meta":
			meta := mailMeta{typ: textOf(c.Child("", "Type"))}
			for v := range c.Elements() {
				if v.Local() == "Value" {
					meta.values = append(meta.values, textOf(v))
				}
			}
			m.systemMetas = append(m.systemMetas, meta)
		case "CopyMailTo":
			m.copyTo = append(m.copyTo, textOf(c))
		}
	}
	return m
}

func destinationIn(n *xmltree.Node) mailDestination {
	out := mailDestination{Mailbox: mailboxIn(n), processed: isTrue(n.Child("", "OoOProcessed"))}
	if u := n.Child("", "User"); u != nil {
		first, _ := u.Attr("", "FirstName")
		last, _ := u.Attr("", "LastName")
		out.user = &mailUser{inss: textOf(u), first: first, last: last}
	}
	if m := n.Child("", "Mandate"); m != nil {
		out.mandate = &mailMandate{Mailbox: mailboxIn(m), name: optional(m.Child("", "Name"))}
	}
	return out
}

func isTrue(n *xmltree.Node) bool {
	t := collapse(textOf(n))
	return t == "true" || t == "1"
}

func (d *mailDecoder) context(m *mail, n *xmltree.Node) {
	spec := n.Child("", "ContentSpecification")
	m.application, m.kind = textOf(spec.Child("", "ApplicationName")), textOf(spec.Child("", "ContentType"))
	for local, to := range map[string]*bool{
		"IsImportant": &m.important, "IsEncrypted": &m.encrypted, "PublicationReceipt": &m.wantsPublished,
		"ReceivedReceipt": &m.wantsReceived, "ReadReceipt": &m.wantsRead,
	} {
		*to = isTrue(spec.Child("", local))
	}
	for c := range n.Elements() {
		if c.Local() == "CustomMeta" {
			m.metas = append(m.metas, [2]string{textOf(c.Child("", "Key")), textOf(c.Child("", "Value"))})
		}
	}
	for c := range n.Child("", "Content").Elements() {
		switch c.Local() {
		case "Document":
			m.document = d.part(m, c)
		case "Annex":
			m.annexes = append(m.annexes, d.part(m, c))
		case "EncryptableINSSPatient":
			m.patient = d.bytes(m, c)
		case "FreeInformations":
			m.free = d.free(m, c)
		}
	}
}

// bytes decodes a base64 field and counts it.
func (d *mailDecoder) bytes(m *mail, n *xmltree.Node) []byte {
	b := binaryOf(n)
	d.take(m, b)
	if b == nil {
		b = []byte{}
	}
	return b
}

// take counts the size of a field, and looks whether what should be sealed is.
func (d *mailDecoder) take(m *mail, b []byte) {
	m.size += int64(len(b))
	const sequence = 0x30
	d.plain = d.plain || m.encrypted && len(b) > 0 && b[0] != sequence
}

func (d *mailDecoder) part(m *mail, n *xmltree.Node) mailPart {
	p := mailPart{
		title: textOf(n.Child("", "Title")), file: textOf(n.Child("", "DownloadFileName")), mimeType: textOf(n.Child("", "MimeType")),
	}
	if t := n.Child("", "EncryptableTitle"); t != nil {
		p.sealed = d.bytes(m, t)
	}
	if text := n.Child("", "EncryptableTextContent"); text != nil {
		p.content = d.bytes(m, text)
	} else {
		var ok bool
		p.binary = true
		p.content, ok = attachment(d.parts, textOf(n.Child("", "EncryptableBinaryContent")))
		d.missing = d.missing || !ok
		d.take(m, p.content)
	}
	sum := sha256.Sum256(p.content)
	d.changed = d.changed || collapse(textOf(n.Child("", "Digest"))) != base64.StdEncoding.EncodeToString(sum[:])
	return p
}

func (d *mailDecoder) free(m *mail, n *xmltree.Node) *mailFree {
	f := &mailFree{}
	for c := range n.Elements() {
		switch c.Local() {
		case "EncryptableFreeText":
			f.text = d.bytes(m, c)
		case "EncryptableOldFreeInformation":
			f.old = d.bytes(m, c)
			f.render, _ = c.Attr("", "Render")
		case "Table":
			if t, ok := c.Attr("", "Title"); ok {
				f.title = &t
			}
			for r := range c.Elements() {
				f.rows = append(f.rows, [2][]byte{
					d.bytes(m, r.Child("", "EncryptableLeftCell")), d.bytes(m, r.Child("", "EncryptableRightCell")),
				})
			}
		}
	}
	return f
}
