package sandbox

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

// TestRecipeRefuses: what is wrong outside the seal or with the seal itself is refused, with the code of the rule that was
// broken, and nothing is executed.
func TestRecipeRefuses(t *testing.T) {
	w := newRxWorld(t)
	doctor, pharmacy := w.doctors[0], w.pharmacies[0]
	pharmacist, pharmacistKey := w.person(identity.Pharmacist, 0)
	plain := w.issue(pharmacistKey, claimHolderSSIN+"="+pharmacist.SSIN.Reveal(), claimPS+"="+pharmacist.SSIN.Reveal())
	other := w.must(w.authors[1].Authentication())
	old := *w.s.central("CBE", recipeCBE, "").after("0206653946")
	oldKeys, err := old.credentials()
	if err != nil {
		t.Fatal(err)
	}
	send := func(tk token, change func(*rxRequest)) *response {
		q := w.rxCreate(rxDraft{})
		if change != nil {
			change(q)
		}
		return w.rxSend(tk, q)
	}
	altered := func(from, to string) *response {
		q := w.rxCreate(rxDraft{})
		payload := w.rxPayload(doctor, q)
		changed := strings.Replace(payload, from, to, 1)
		if changed == payload {
			t.Fatalf("%q is not in the request", from)
		}
		return w.call(rxPath(q.role), "", w.message(changed, doctor))
	}
	head := `IssueInstant="` + rxNow() + `"`
	for _, tc := range []struct {
		name string
		rs   *response
		want string // code of a fault, or the end of the outer status
	}{
		{"good", send(doctor, nil), "Success"},
		{"no SOAPAction", send(doctor, func(q *rxRequest) { q.action = "-" }), "Success"},
		{"no Id", send(doctor, func(q *rxRequest) { q.head = head + ` ProgramId="x"` }), "Success"},
		{"another order", send(doctor, func(q *rxRequest) {
			q.param = "<more/><keyId>" + rxKeyID + "</keyId>" + strings.Replace(q.param, "<keyId>"+rxKeyID+"</keyId>", "", 1)
		}), "Success"},
		{"symmKey in a namespace", send(doctor, func(q *rxRequest) {
			q.noKey, q.param = true, q.param+`<symmKey xmlns="`+nsRecipeSealed+`prescriber">`+b64(newRxKey())+"</symmKey>"
		}), "SOA-03007"},
		{"SOAPAction of another operation", send(doctor, func(q *rxRequest) { q.action = nsRecipe + ":revokePrescription" }), "SOA-03004"},
		{"SOAPAction with a capital", send(doctor, func(q *rxRequest) { q.action = nsRecipe + ":CreatePrescription" }), "SOA-03004"},
		{"listOpenRids with a small letter", w.rxSend(doctor, &rxRequest{
			role: recipePrescriber, op: "listOpenRids", action: nsRecipe + ":listOpenRids", param: "<patientId>" + w.patient + "</patientId>",
		}), "SOA-03004"},
		{"operation of the pharmacy", send(doctor, func(q *rxRequest) {
			*q = *rxWith("markAsDelivered", "BEP0ABCDEFGH")
			q.action, q.path = "-", rxPath(recipePrescriber)
		}), "SOA-03005"},
		{"version 3", altered(nsRecipe, strings.Replace(nsRecipe, "v4", "v3", 1)), "SOA-03005"},
		{"qualified children", altered(`xmlns:v4="`, `xmlns="`+nsRecipe+`" xmlns:v4="`), "SOA-03006"},
		{"no IssueInstant", send(doctor, func(q *rxRequest) { q.head = `ProgramId="x"` }), "SOA-03006"},
		{"no ProgramId", send(doctor, func(q *rxRequest) { q.head = head }), "SOA-03006"},
		{"IssueInstant without time", send(doctor, func(q *rxRequest) { q.head = `IssueInstant="2030-01-15" ProgramId="x"` }), "SOA-03006"},
		{"Id that is no name", send(doctor, func(q *rxRequest) { q.id = "1" + randomHex(8) }), "SOA-03006"},
		{"unknown attribute", send(doctor, func(q *rxRequest) { q.head = head + ` ProgramId="x" Version="4"` }), "SOA-03006"},
		{"no administrative information", send(doctor, func(q *rxRequest) { q.clear = "" }), "SOA-03006"},
		{"part of the administrative information missing", altered("<PrescriptionVersion>kmehr_1.29</PrescriptionVersion>", ""), "SOA-03006"},
		{"key identifier is not base64", altered("<KeyIdentifier>", "<KeyIdentifier>!"), "SOA-03006"},
		{"content is not base64", altered("<SecuredContent>", "<SecuredContent>!"), "SOA-03006"},
		{"no body", w.call(rxPath(recipePrescriber), "", []byte(`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"/>`)), "SOA-03003"},
		{"not XML", w.call(rxPath(recipePrescriber), "", []byte(`<`)), "SOA-03001"},

		{"a pharmacy prescribes", send(pharmacy, nil), "SOA-01002"},
		{"a pharmacist prescribes", send(plain, nil), "SOA-01002"},
		{"a doctor delivers", w.rxSend(doctor, rxWith("markAsDelivered", "BEP0ABCDEFGH")), "SOA-01002"},
		{"a pharmacist without pharmacy delivers", w.rxSend(plain, rxWith("markAsDelivered", "BEP0ABCDEFGH")), "SOA-01002"},
		{"no security header", w.call(rxPath(recipePrescriber), "", envelope(t, w.rxPayload(doctor, w.rxCreate(rxDraft{})))), "SOA-01001"},
		{"no token", w.call(rxPath(recipePrescriber), "", w.x509Message(w.rxPayload(doctor, w.rxCreate(rxDraft{})), doctor.key)), "SOA-01001"},
		{"old timestamp", w.call(rxPath(recipePrescriber), "", w.messageAt(w.rxPayload(doctor, w.rxCreate(rxDraft{})), doctor,
			wsse.Stamp{Now: time.Now().Add(-time.Hour)})), "SOA-01001"},
		{"token of another", w.call(rxPath(recipePrescriber), "", w.message(w.rxPayload(doctor, w.rxCreate(rxDraft{})), token{doctor.Assertion, other})), "SOA-01001"},
		{"changed after it was signed", w.call(rxPath(recipePrescriber), "", []byte(strings.Replace(
			string(w.message(w.rxPayload(doctor, w.rxCreate(rxDraft{})), doctor)), "<PrescriptionType>P0", "<PrescriptionType>P1", 1))), "SOA-01001"},

		{"sealed for another", send(doctor, func(q *rxRequest) { q.to = &other }), "Requester"},
		{"sealed for the key of tomorrow", send(doctor, func(q *rxRequest) { q.to = &oldKeys[1] }), "Requester"},
		{"sealed by another", send(doctor, func(q *rxRequest) { q.by = &other }), "Requester"},
		{"not sealed", send(doctor, func(q *rxRequest) { q.raw = []byte("<r/>") }), "Requester"},
		{"not XML in the seal", send(doctor, func(q *rxRequest) { q.param = "<" }), "Requester"},
		{"no symmKey", send(doctor, func(q *rxRequest) { q.noKey = true }), "SOA-03007"},
		{"symmKey of 23 bytes", send(doctor, func(q *rxRequest) { q.key = newRxKey()[1:] }), "SOA-03007"},
		{"symmKey is not base64", send(doctor, func(q *rxRequest) { q.noKey, q.param = true, q.param+"<symmKey>!</symmKey>" }), "SOA-03007"},
	} {
		switch {
		case strings.HasPrefix(tc.want, "SOA-"):
			w.refusedWith(tc.rs, tc.want)
			if t.Failed() {
				t.Fatal(tc.name)
			}
		default:
			n := w.answered(tc.rs)
			v, _ := n.Child(nsCommons20, "Status").Child(nsCommons20, "StatusCode").Attr("", "Value")
			sealed := nodeAt(n, "", "SecuredCreatePrescriptionResponse") != nil
			if !strings.HasSuffix(v, ":"+tc.want) || sealed != (tc.want == "Success") || (tc.rs.Effect != "") != sealed {
				t.Errorf("%s: %s, effect %q", tc.name, v, tc.rs.Effect)
			}
		}
	}
	if n := len(w.s.Prescriptions()); n != 4 {
		t.Errorf("%d prescriptions from 4 good requests", n)
	}
}

// TestRecipeReplay: the same message at the same host is a replay, at the other host it is not.
func TestRecipeReplay(t *testing.T) {
	w := newRxWorld(t)
	msg := w.message(w.rxPayload(w.doctors[0], w.rxCreate(rxDraft{})), w.doctors[0])
	for i, want := range []string{"", "SOA-01001"} {
		rs := w.call(rxPath(recipePrescriber), "", msg)
		if want != "" {
			w.refusedWith(rs, want)
		} else if w.answered(rs); rs.Effect != "recipe.created" {
			t.Errorf("%d: effect %q", i, rs.Effect)
		}
	}
	for _, r := range w.s.routes {
		if r.Path != rxPath(recipePrescriber) || !r.Direct {
			continue
		}
		rs := r.Handle(t.Context(), w.s, &request{Service: r.Service, Path: r.Path, Body: msg, At: time.Now()})
		if w.answered(rs); rs.Effect != "recipe.created" {
			t.Errorf("other host: effect %q", rs.Effect)
		}
	}
	if st := w.s.State(); st.Effects["recipe.repeated"] != 1 || len(w.s.Prescriptions()) != 2 {
		t.Errorf("%d repeated, %d prescriptions", st.Effects["recipe.repeated"], len(w.s.Prescriptions()))
	}
}

// TestRecipeCreateRefuses: what is wrong with a createPrescriptionParam is inner status 300.
func TestRecipeCreateRefuses(t *testing.T) {
	w := newRxWorld(t)
	today := time.Now().In(brussels)
	day := func(years, days int) string { return today.AddDate(years, 0, days).Format(time.DateOnly) }
	for _, tc := range []struct {
		name string
		d    rxDraft
		want string
	}{
		{"today", rxDraft{expires: day(0, 0)}, "100"},
		{"a year less a day", rxDraft{expires: day(1, -1)}, "100"},
		{"type P1, everything hidden", rxDraft{typ: "P1", vision: "LOCKED", others: "locked"}, "100"},
		{"vision null", rxDraft{vision: "null", others: "gmd_prescriber"}, "100"},
		{"2021 generation", rxDraft{more: "<prescriberLabel>x</prescriberLabel><vision/>"}, "100"},
		{"own number", rxDraft{more: "<prescriberId>" + w.authors[0].NIHII.Base() + "</prescriberId>"}, "100"},
		{"yesterday", rxDraft{expires: day(0, -1)}, recipeBadExpiration},
		{"a year", rxDraft{expires: day(1, 0)}, recipeBadExpiration},
		{"eleven characters", rxDraft{expires: day(0, 9) + "Z"}, recipeBadExpiration},
		{"no such day", rxDraft{expires: day(0, 9)[:5] + "02-30"}, recipeBadExpiration},
		{"no expiration date", rxDraft{without: "expirationDate"}, recipeBadExpiration},
		{"no patient", rxDraft{without: "patientId"}, recipeBadPatient},
		{"patient with wrong check digits", rxDraft{patient: "1" + w.patient[1:]}, recipeBadPatient},
		{"patient with dots", rxDraft{patient: "85.07.31-997.04"}, recipeBadPatient},
		{"unknown type", rxDraft{typ: "P9"}, recipeBadType},
		{"another type outside", rxDraft{outerType: "P1"}, recipeBadType},
		{"no type", rxDraft{without: "prescriptionType"}, recipeBadType},
		{"another key outside", rxDraft{outerKey: b64([]byte("QUFB"))}, recipeBadKey},
		{"key outside once in base64", rxDraft{outerKey: rxKeyID}, recipeBadKey},
		{"key is not base64", rxDraft{keyID: "!"}, recipeBadKey},
		{"no key", rxDraft{keyID: "-"}, recipeBadKey},
		{"no content", rxDraft{without: "prescription"}, recipeBadContent},
		{"content is not base64", rxDraft{sealed: "!"}, recipeBadContent},
		{"no feedback flag", rxDraft{without: "feedbackRequested"}, recipeBadFlag},
		{"unknown vision", rxDraft{vision: "open"}, recipeBadVision},
		{"unknown vision of others", rxDraft{others: "none"}, recipeBadVision},
		{"another prescriber", rxDraft{more: "<prescriberId>" + w.authors[1].NIHII.Full() + "</prescriberId>"}, recipeNotCaller},
	} {
		q := w.rxCreate(tc.d)
		rs := w.rxSend(w.doctors[0], q)
		n, code := w.rxOpen(q, rs)
		if code != tc.want || (rs.Effect == "recipe.created") != (code == "100") {
			t.Errorf("%s: %s, effect %q; want %s", tc.name, code, rs.Effect, tc.want)
		}
		if code == "100" {
			continue
		}
		var langs []string
		for m := range n.Child("", "status").Elements() {
			if l, ok := m.Attr("", "lang"); ok && textOf(m) != "" {
				langs = append(langs, l)
			}
		}
		if fmt.Sprint(langs) != "[FR NL DE EN]" || n.Child("", "rid") != nil {
			t.Errorf("%s: messages %v", tc.name, langs)
		}
	}
	for name, tc := range map[string]struct {
		change func(*rxRequest)
		want   string
	}{
		"another param":          {func(q *rxRequest) { q.root = "revokePrescriptionParam" }, recipeBadParam},
		"no namespace that is":   {func(q *rxRequest) { q.space = "urn:x" }, recipeBadParam},
		"two slashes":            {func(q *rxRequest) { q.space = "http://services.recipe.be/prescriber" }, recipeBadParam},
		"namespace of executors": {func(q *rxRequest) { q.space = nsRecipeSealed + string(recipeExecutor) }, recipeBadParam},
		"key in a namespace": {func(q *rxRequest) {
			q.param = strings.Replace(q.param, "<keyId>", `<keyId xmlns="`+nsRecipeSealed+`prescriber">`, 1)
		}, recipeBadKey},
	} {
		q := w.rxCreate(rxDraft{})
		tc.change(q)
		if _, code := w.rxCall(w.doctors[0], q); code != tc.want {
			t.Errorf("%s: %s, want %s", name, code, tc.want)
		}
	}
}
