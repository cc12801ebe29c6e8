package sandbox

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// day is a date so many days from today.
func day(n int) string { return dayIn(time.Now()).AddDate(0, 0, n).Format(time.DateOnly) }

func absenceBody(from, to string, substitutes ...Mailbox) string {
	var b strings.Builder
	b.WriteString("<StartDate>" + from + "</StartDate><EndDate>" + to + "</EndDate>")
	for _, s := range substitutes {
		b.WriteString("<Substitute>" + s.xml() + "</Substitute>")
	}
	return b.String()
}

// TestMailAbsence is the dialogue of dossier 03 5.4: absent, substitute added, sent.
func TestMailAbsence(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	third, thirdToken := w.doctorToken(2)
	n := w.consulted(w.reads, "InsertOoO", absenceBody(day(0), day(7), third.Mailbox()))
	id, _ := n.Attr("", "Id")
	if statusOf(n) != "100" || id == "" || len(id) > 13 {
		t.Fatalf("insert: %s", n.Source())
	}
	to := w.reader.Mailbox().xml()
	l := mailLetter{id: "A", to: []string{to}, text: "x"}
	r := w.send(w.writes, l)
	a := w.answered(r)
	w.sent = append(w.sent, a.Source())
	if statusOf(a) != "826" || r.Effect != "" || !slices.Equal(textsOf(a, "Id"), []string{w.reader.SSIN.Reveal(), third.SSIN.Reveal()}) ||
		textsOf(a, "AbsentFrom")[0][:10] != day(0) || textsOf(a, "AbsentTo")[0][:10] != day(7) {
		t.Fatalf("826: %s", a.Source())
	}
	l.to = []string{to + "<OoOProcessed>true</OoOProcessed>", third.Mailbox().xml()}
	w.sendOK(w.writes, l) // 826 has not used up the id
	w.effects(map[string]int{"ehbox.send": 1, "ehbox.copy": 2, "ehbox.duplicate": 0})

	w.s.SetMail(MailBehaviour{Delay: -1, AbsenceUsesID: true})
	l.id, l.to = "B", []string{to}
	if got := statusOf(w.answered(w.send(w.writes, l))); got != "826" {
		t.Fatal(got)
	}
	l.to = []string{to + "<OoOProcessed>1</OoOProcessed>"}
	w.sendOK(w.writes, l)
	w.effects(map[string]int{"ehbox.send": 1, "ehbox.duplicate": 1})

	// The substitute may be absent, too, but not in the same days.
	bad := w.consulted(thirdToken, "InsertOoO", absenceBody(day(3), day(9), w.reader.Mailbox()))
	if statusOf(bad) != "824" || textsOf(bad, "AbsentTo")[0][:10] != day(7) {
		t.Errorf("824: %s", bad.Source())
	}
	list := w.consulted(w.reads, "GetOoOList", "")
	if !slices.Equal(textsOf(list, "OoOId"), []string{id}) || textsOf(list, "Id")[0] != third.SSIN.Reveal() {
		t.Errorf("list: %s", list.Source())
	}
	gone := w.consulted(w.reads, "DeleteOoO", "<OoOId>"+id+"</OoOId><OoOId>unknown</OoOId>")
	if statusOf(gone) != "840" || !slices.Equal(textsOf(gone, "OoOId"), []string{"unknown"}) {
		t.Errorf("delete: %s", gone.Source())
	}
	w.consulted(w.reads, "GetOoOList", "")
	l.id, l.to = "C", []string{to}
	w.sendOK(w.writes, l)
	w.conform()
}

func TestMailAbsenceRefused(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	other := w.s.Person(identity.Nurse, 0).Mailbox()
	nobody := Mailbox{ID: "18999132", Type: "NIHII", Quality: "DOCTOR"}
	six := make([]Mailbox, 6)
	for i := range six {
		six[i] = other
	}
	for i, tc := range []struct{ code, body string }{
		{"822", absenceBody(day(5), day(4))},
		{"823", absenceBody(day(-1), day(4))},
		{"821", absenceBody(day(1), dayIn(time.Now()).AddDate(1, 0, 1).Format(time.DateOnly))},
		{"825", absenceBody(day(1), day(4), six...)},
		{"829", absenceBody(day(1), day(4), w.s.Organisation(identity.Hospital, 0).Mailbox())},
		{"830", absenceBody(day(1), day(4), w.reader.Mailbox())},
	} {
		w.s.SetMail(MailBehaviour{AbsenceInStatus: i%2 == 1})
		r := w.consult(w.reads, "InsertOoO", tc.body)
		if i%2 == 0 {
			w.business(r, tc.code)
			continue
		}
		n := w.answered(r)
		w.answers = append(w.answers, n.Source())
		if statusOf(n) != tc.code || r.Effect != "" {
			t.Errorf("%s: %s", tc.code, n.Source())
		}
	}
	w.s.SetMail(MailBehaviour{})
	n := w.consulted(w.reads, "InsertOoO", absenceBody(day(1), day(4), nobody, other))
	if statusOf(n) != "827" || !slices.Equal(textsOf(n, "Id"), []string{nobody.ID}) {
		t.Errorf("827: %s", n.Source())
	}
	for i := range 10 {
		if n := w.consulted(w.reads, "InsertOoO", absenceBody(day(2*i), day(2*i))); statusOf(n) != "100" {
			t.Fatalf("period %d: %s", i, n.Source())
		}
	}
	w.business(w.consult(w.reads, "InsertOoO", absenceBody(day(50), day(51))), "826")
	if n := w.consulted(w.reads, "GetOoOList", ""); len(textsOf(n, "OoOId")) != 10 {
		t.Errorf("list: %s", n.Source())
	}
	first := textsOf(w.consulted(w.reads, "GetOoOList", ""), "OoOId")[0]
	w.consulted(w.reads, "DeleteOoO", "<OoOId>"+first+"</OoOId>")
	w.business(w.consult(w.reads, "InsertOoO", absenceBody(day(1), day(2))), "820")
	if n := w.consulted(w.reads, "InsertOoO", absenceBody(day(0), day(0))); statusOf(n) != "100" {
		t.Errorf("a gap: %s", n.Source())
	}
	hospital, c := w.organisation(identity.Hospital, 0)
	stem := claimEH + "hospital:nihii-number"
	tk := w.issue(c, stem+"="+hospital.Number, stem+":recognisedhospital:boolean")
	w.business(w.consult(tk, "InsertOoO", absenceBody(day(1), day(2))), "829")
	if _, err := w.s.SetAbsence(hospital.Mailbox(), time.Now(), time.Now()); err != ErrNoMailbox {
		t.Errorf("organisations are never absent: %v", err)
	}
	if id, err := w.s.SetAbsence(w.writer.Mailbox(), time.Now(), time.Now().Add(time.Hour)); err != nil || id == "" {
		t.Error(id, err)
	}
	if got := statusOf(w.answered(w.send(w.reads, mailLetter{id: "Z", to: []string{w.writer.Mailbox().xml()}}))); got != "826" {
		t.Errorf("absent by the Go API: %s", got)
	}
	w.conform()
}
