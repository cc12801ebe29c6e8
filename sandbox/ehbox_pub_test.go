package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// TestMailRefused: what is wrong with a request is said by a fault, and nothing is published.
func TestMailRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	w := newMailWorld(t, mailAtOnce)
	to := w.reader.Mailbox()
	dest := func(id, typ, sub, quality string) []string {
		return []string{Mailbox{ID: id, Type: typ, SubType: sub, Quality: quality}.xml()}
	}
	ssin, hospital := to.ID, w.s.Organisation(identity.Hospital, 0).Number
	for name, tc := range map[string]struct {
		code string
		l    mailLetter
	}{
		"check digits":           {"802", mailLetter{to: dest("99123199770", "INSS", "", "DOCTOR")}},
		"length":                 {"802", mailLetter{to: dest(ssin[:10], "INSS", "", "DOCTOR")}},
		"quality":                {"803", mailLetter{to: dest(ssin, "INSS", "", "WIZARD")}},
		"lower case":             {"803", mailLetter{to: dest(ssin, "INSS", "", "doctor")}},
		"SSIN for INSS":          {"804", mailLetter{to: dest(ssin, "SSIN", "", "DOCTOR")}},
		"type of others":         {"804", mailLetter{to: dest(hospital, "CBE", "", "HOSPITAL")}},
		"subtype":                {"805", mailLetter{to: dest(hospital, "NIHII", "PHARMACY", "HOSPITAL")}},
		"subtype of a person":    {"805", mailLetter{to: dest(ssin, "INSS", "DOCTOR", "DOCTOR")}},
		"everybody":              {"814", mailLetter{to: dest("ALL", "NIHII", "", "DOCTOR")}},
		"citizen":                {"814", mailLetter{to: dest(ssin, "INSS", "", "CITIZEN")}},
		"box of somebody":        {"810", mailLetter{to: []string{to.xml()}, box: boxXML(to)}},
		"digest":                 {"816", mailLetter{to: []string{to.xml()}, digest: digestOf([]byte("other"))}},
		"digest in hexadecimal":  {"816", mailLetter{to: []string{to.xml()}, digest: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}},
		"second of two is wrong": {"802", mailLetter{to: []string{to.xml(), dest("1", "INSS", "", "DOCTOR")[0]}}},
		"too large":              {"801", mailLetter{to: []string{to.xml()}, text: strings.Repeat("x", mailLimit+1)}},
	} {
		tc.l.id = "REFUSED"
		r := w.send(w.writes, tc.l)
		t.Log(name)
		w.business(r, tc.code)
	}
	w.refusedWith(w.send(w.writes, mailLetter{id: "A", to: []string{to.xml()}, kind: mailError}), "SOA-03007")
	w.refusedWith(w.send(w.writes, mailLetter{id: "12345678901234", to: []string{to.xml()}}), "SOA-03006")
	w.refusedWith(w.send(w.writes, mailLetter{id: "A"}), "SOA-03006")
	w.refusedWith(w.call(pathMailSend, nsMailSend+":send", w.message(mailLetter{id: "A", to: []string{to.xml()}}.xml(), w.writes)), "SOA-03004")
	w.refusedWith(w.call(pathMailSend, "", envelope(t, mailLetter{id: "A", to: []string{to.xml()}}.xml())), "SOA-01001")
	w.refusedWith(w.call(pathMailRead, "", w.message(mailLetter{id: "A", to: []string{to.xml()}}.xml(), w.writes)), "SOA-03005")
	w.sendOK(w.writes, mailLetter{id: "FULL", to: []string{to.xml()}, text: strings.Repeat("x", mailLimit)})
	w.effects(map[string]int{"ehbox.send": 1, "ehbox.double": 0})
	if got := w.kinds(w.writer.Mailbox(), folderIn); got != "" {
		t.Errorf("errors in the inbox: %s", got)
	}
	w.conform()
}

// TestMailDuplicate: 702 for an id that was used, whoever used it, and none when duplicates are kept.
func TestMailDuplicate(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	to, mine := w.reader.Mailbox(), w.writer.Mailbox()
	l := mailLetter{id: "SAME", to: []string{to.xml()}, text: "one", metas: "<CustomMeta><Key>id</Key><Value>SAME</Value></CustomMeta>"}
	w.sendOK(w.writes, l)
	w.sendOK(w.writes, l)
	l.text = "two"
	w.sendOK(w.writes, l)
	if got := w.kinds(mine, folderIn); got != "ERROR 702, ERROR 702" {
		t.Errorf("errors: %s", got)
	}
	e := w.folder(mine, folderIn)[0]
	n := w.consulted(w.writes, "GetFullMessage", readBody(folderIn, e.ID))
	x := nodeAt(n, "", "Message", "ContentContext", "Content", "Error")
	if id, _ := x.Attr("", "PublicationId"); id != "SAME" || e.About != "SAME" || textOf(x.Child("", "Code")) != "702" {
		t.Errorf("error: %s", n.Source())
	}
	if n := w.consulted(w.writes, "GetMessagesList", "<Source>INBOX</Source>"); len(textsOf(n, "ContentInfo")) != 0 {
		t.Error("errors have no ContentInfo")
	}
	back := mailLetter{id: "SAME", to: []string{mine.xml()}, text: "back"}
	w.sendOK(w.reads, back)
	if got := w.kinds(to, folderIn); got != "ERROR 702, DOCUMENT" {
		t.Errorf("another sender: %s", got)
	}
	w.effects(map[string]int{"ehbox.send": 1, "ehbox.copy": 1, "ehbox.duplicate": 3, "ehbox.double": 0})

	w.s.SetMail(MailBehaviour{Delay: -1, KeepDuplicates: true})
	w.sendOK(w.writes, l)
	w.effects(map[string]int{"ehbox.send": 2, "ehbox.double": 1})
	l.id = "OTHER" // the letter again under another id: told by its content, or by its metas when it was sealed anew
	w.sendOK(w.writes, l)
	l.id, l.text = "THIRD", "sealed anew"
	w.sendOK(w.writes, l)
	w.effects(map[string]int{"ehbox.send": 4, "ehbox.double": 3})
	w.sendOK(w.writes, mailLetter{id: "NEW", to: []string{to.xml()}, text: "another letter"})
	w.effects(map[string]int{"ehbox.send": 5, "ehbox.double": 3})
	w.conform()
}

// TestMailWithoutID: the first of a day goes through.
func TestMailWithoutID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMailWorld(t, mailAtOnce)
		l := mailLetter{to: []string{w.reader.Mailbox().xml()}}
		for i, want := range []string{"", "ERROR 702", "ERROR 702"} {
			l.text = fmt.Sprint(i)
			w.sendOK(w.writes, l)
			if got := w.kinds(w.writer.Mailbox(), folderIn); got != want {
				t.Errorf("letter %d: %s", i, got)
			}
			if i == 1 {
				time.Sleep(25 * time.Hour)
				w.writer, w.writes = w.doctorToken(0)
			}
		}
	})
}

// TestMailUnknownRecipient: 703, and the others get it unless told otherwise.
func TestMailUnknownRecipient(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	nobody := Mailbox{ID: "18999132", Type: "NIHII", Quality: "DOCTOR"}
	to := []string{w.reader.Mailbox().xml(), nobody.xml(), w.s.Organisation(identity.Hospital, 0).Mailbox().xml()}
	w.sendOK(w.writes, mailLetter{id: "A", to: to})
	if got := w.kinds(w.writer.Mailbox(), folderIn); got != "ERROR 703" {
		t.Fatalf("errors: %s", got)
	}
	n := w.consulted(w.writes, "GetFullMessage", readBody(folderIn, w.folder(w.writer.Mailbox(), folderIn)[0].ID))
	if got := textOf(nodeAt(n, "", "Message", "ContentContext", "Content", "Error", "Destination", "Id")); got != nobody.ID {
		t.Errorf("error: %s", n.Source())
	}
	w.effects(map[string]int{"ehbox.send": 1, "ehbox.copy": 2})
	w.sendOK(w.writes, mailLetter{id: "B", to: []string{nobody.xml()}})
	w.s.SetMail(MailBehaviour{Delay: -1, AllOrNothing: true})
	w.sendOK(w.writes, mailLetter{id: "C", to: to})
	w.effects(map[string]int{"ehbox.send": 1, "ehbox.copy": 2})
	if got := w.kinds(w.writer.Mailbox(), folderSent); got != mailDocument {
		t.Errorf("sent box: %s", got)
	}
	w.s.SetMail(MailBehaviour{Delay: -1, LateError: "700"})
	w.sendOK(w.writes, mailLetter{id: "D", to: to})
	if got := w.kinds(w.writer.Mailbox(), folderIn); got != "ERROR 700, ERROR 703, ERROR 703, ERROR 703" {
		t.Errorf("errors: %s", got)
	}
	w.s.SetMail(MailBehaviour{Delay: -1, MassMail: true})
	w.sendOK(w.writes, mailLetter{id: "E", to: []string{Mailbox{ID: "ALL", Type: "NIHII", Quality: "DOCTOR"}.xml()}})
	w.effects(map[string]int{"ehbox.send": 2, "ehbox.copy": 5})
	w.conform()
}

// TestMailNews: a new version takes the place of the old one in every box, whatever the new list of recipients.
func TestMailNews(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	hospital, house := w.s.Organisation(identity.Hospital, 0).Mailbox(), w.s.Organisation(identity.MedicalHouse, 0).Mailbox()
	to := []string{w.reader.Mailbox().xml(), hospital.xml()}
	var ids []string
	for i := range 3 {
		ids = append(ids, w.sendOK(w.writes, mailLetter{id: "NEWS1", kind: mailNews, to: to, text: fmt.Sprint("version ", i)}))
		to = []string{house.xml()}
	}
	if in := w.folder(w.reader.Mailbox(), folderIn); len(in) != 1 || in[0].ID != ids[2] || string(in[0].Text) != "version 2" {
		t.Errorf("inbox: %+v", in)
	}
	if got := len(w.folder(house, folderIn)); got != 0 {
		t.Error("a new recipient of an old message")
	}
	if got := w.folder(w.writer.Mailbox(), folderSent); len(got) != 1 || got[0].ID != ids[2] {
		t.Errorf("sent box: %+v", got)
	}
	for _, at := range [][2]string{{folderIn, ids[2]}, {folderIn, ids[0]}, {folderHistory, ids[1]}} {
		n := w.consulted(w.reads, "GetHistory", readBody(at[0], at[1]))
		if got := textsOf(n, "MessageId"); !slices.Equal(got, []string{ids[1], ids[0]}) {
			t.Errorf("history of %v: %v", at, got)
		}
	}
	for _, folder := range []string{folderHistory, folderIn} {
		n := w.consulted(w.reads, "GetFullMessage", readBody(folder, ids[0]))
		if got := string(binaryOf(nodeAt(n, "", "Message", "ContentContext", "Content", "Document", "EncryptableTextContent"))); got != "version 0" {
			t.Errorf("old version: %q", got)
		}
	}
	doc := w.sendOK(w.writes, mailLetter{id: "DOC", to: []string{w.reader.Mailbox().xml()}})
	if n := w.consulted(w.reads, "GetHistory", readBody(folderIn, doc)); len(textsOf(n, "MessageId")) != 0 {
		t.Error("a document has a history")
	}
	w.business(w.consult(w.reads, "GetHistory", readBody(folderIn, "AAAAAAAAAAAAA")), "806")
	w.sendOK(w.writes, mailLetter{id: "NEWS1", to: []string{w.reader.Mailbox().xml()}}) // a document under the id of news
	if got := w.kinds(w.writer.Mailbox(), folderIn); got != "ERROR 702" {
		t.Errorf("errors: %s", got)
	}
	w.effects(map[string]int{"ehbox.send": 4, "ehbox.double": 0})
	w.conform()
}

// TestMailPassesThrough: what the platform does not interpret comes out as it went in.
func TestMailPassesThrough(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	for name, extra := range map[string]string{
		"free text": "<FreeInformations><EncryptableFreeText>QQ==</EncryptableFreeText></FreeInformations>",
		"table": `<FreeInformations><Table Title="t &amp; u"><Row><EncryptableLeftCell>QQ==</EncryptableLeftCell><EncryptableRightCell/></Row>` +
			`<Row><EncryptableLeftCell>Qg==</EncryptableLeftCell><EncryptableRightCell>Qw==</EncryptableRightCell></Row></Table></FreeInformations>`,
		"old":     `<FreeInformations><EncryptableOldFreeInformation Render="r">QQ==</EncryptableOldFreeInformation></FreeInformations>`,
		"patient": "<EncryptableINSSPatient>QQ==</EncryptableINSSPatient>",
		"annex": "<Annex><EncryptableTitle>QQ==</EncryptableTitle><EncryptableTextContent>Qg==</EncryptableTextContent>" +
			"<DownloadFileName>a</DownloadFileName><MimeType>b/c</MimeType><Digest>" + digestOf([]byte("B")) + "</Digest></Annex>",
	} {
		hospital := w.s.Organisation(identity.Hospital, 0).Mailbox().xml()
		id := w.sendOK(w.writes, mailLetter{
			id: "ID" + digestOf([]byte(name))[:6], extra: extra, text: name, to: []string{
				w.reader.Mailbox().xml(),
				hospital + `<User FirstName="Jan" LastName="S">99123199771</User><Mandate><Id>1</Id><Type>T</Type><SubType>S</SubType><Name>N</Name></Mandate><OoOProcessed>true</OoOProcessed>`,
			},
		})
		n := w.consulted(w.reads, "GetFullMessage", readBody(folderIn, id))
		want := strings.Replace(extra, "<Digest>"+digestOf([]byte("B"))+"</Digest>", "", 1)
		want = strings.ReplaceAll(want, "<EncryptableRightCell/>", "<EncryptableRightCell></EncryptableRightCell>")
		got := string(n.Source())
		if !strings.Contains(got, want) && !strings.Contains(strings.ReplaceAll(got, "<EncryptableRightCell/>", "<EncryptableRightCell></EncryptableRightCell>"), want) {
			t.Errorf("%s: %s", name, got)
		}
		if !strings.Contains(got, `<User FirstName="Jan" LastName="S">99123199771</User><Mandate><Id>1</Id><Type>T</Type><SubType>S</SubType><Name>N</Name></Mandate></DestinationContext>`) {
			t.Errorf("%s: destination: %s", name, got)
		}
		row := w.consulted(w.reads, "GetMessagesList", "<Source>INBOX</Source><EndIndex>1</EndIndex>")
		has := func(local string) bool { return textsOf(row, local)[0] == "true" }
		if has("HasFreeInformations") != strings.Contains(extra, "Free") || has("HasAnnex") != strings.Contains(extra, "Annex") ||
			(len(textsOf(row, "EncryptableINSSPatient")) > 0) != strings.Contains(extra, "INSSPatient") {
			t.Errorf("%s: row %s", name, row.Source())
		}
	}
	w.conform()
}

// TestMailAttachments: an attachment comes back as multipart, in every odd form that was asked for.
func TestMailAttachments(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	content := []byte("%PDF\x00\xff\r\n--boundary")
	id, err := w.s.DeliverMail(MailDelivery{
		From: w.writer.Mailbox(), To: []Mailbox{w.reader.Mailbox()}, Text: []byte("see annex"),
		Annexes: []MailAnnex{{Title: []byte("Scan"), File: "scan.pdf", MimeType: "application/pdf", Content: content}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []MailBehaviour{{}, {BareContentIDs: true}, {DoubleBase64: true}} {
		b.Delay = -1
		w.s.SetMail(b)
		r := w.consult(w.reads, "GetFullMessage", readBody(folderIn, id))
		if got := strings.Contains(string(r.Body), "Content-Id: <") || strings.Contains(string(r.Body), "Content-ID: <"); got == b.BareContentIDs {
			t.Errorf("%+v: brackets %v", b, got)
		}
		rq := &request{Header: map[string][]string{"Content-Type": {r.ContentType}}, Body: r.Body}
		parts, refused := takeApart(rq)
		if refused != nil || len(parts) != 1 {
			t.Fatalf("%d parts, %+v", len(parts), refused)
		}
		r.Body = rq.Body
		n := w.answered(r)
		w.answers = append(w.answers, n.Source())
		got, ok := attachment(parts, textsOf(n, "EncryptableBinaryContent")[0])
		want := string(content)
		if b.DoubleBase64 {
			want = b64(content)
		}
		if !ok || string(got) != want {
			t.Errorf("%+v: %q", b, got)
		}
	}
	w.conform()
}

// TestMailOdd: what clients must bear (dossier 03 section 14, point 10).
func TestMailOdd(t *testing.T) {
	w := newMailWorld(t, MailBehaviour{Delay: -1, NoContentInfo: true, ForeignQuality: true, ExtraElements: true})
	id := w.sendOK(w.writes, mailLetter{id: "A", to: []string{w.reader.Mailbox().xml()}})
	for _, r := range []*response{
		w.consult(w.reads, "GetMessagesList", "<Source>INBOX</Source>"),
		w.consult(w.reads, "GetFullMessage", readBody(folderIn, id)),
	} {
		n := w.answered(r)
		if len(textsOf(n, "ContentInfo")) != 0 || textsOf(n, "FutureElement") == nil || textOf(nodeAt(n, "", "Sender", "Quality"))+
			textOf(nodeAt(n, "", "Message", "Sender", "Quality")) != "FUTURE_QUALITY" {
			t.Errorf("not odd: %s", n.Source())
		}
	}
}
