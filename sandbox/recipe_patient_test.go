package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// homeWorld is an rxWorld with patients who log in themselves.
type homeWorld struct {
	*rxWorld
	citizens []string
	tokens   map[string]token
}

func newHomeWorld(t testing.TB) *homeWorld {
	t.Helper()
	w := &homeWorld{rxWorld: newRxWorld(t), tokens: map[string]token{}}
	for _, p := range w.s.Patients()[:3] {
		w.citizens = append(w.citizens, p.SSIN.Reveal())
	}
	return w
}

// login is the token of the n-th patient.
func (w *homeWorld) login(n int) token {
	w.t.Helper()
	ssin := w.citizens[n]
	if tk, ok := w.tokens[ssin]; ok {
		return tk
	}
	p := w.s.Citizen(identity.MustSSIN(ssin))
	if p == nil {
		w.t.Fatal("a patient cannot log in")
	}
	tk := w.issue(w.must(p.Authentication()), claimHolderSSIN+"="+ssin, claimPS+"="+ssin)
	w.tokens[ssin] = tk
	return tk
}

// conform lets xmllint judge the answers that were seen, in a test of its own: without xmllint or the schemas only that one is
// skipped.
func (w *homeWorld) conform() {
	w.t.Helper()
	t, ok := w.t.(*testing.T)
	if !ok || t.Failed() {
		return
	}
	// Their results have elements that are required and that a refusal does not have.
	required := []string{"getVisionResult", "getPrescriptionForPatientResult", "validationPropertiesResult"}
	t.Run("schemas", func(t *testing.T) {
		seen := &rxWorld{world: &world{t, w.s}, outer: w.outer}
		for _, a := range w.inner {
			n := parsed(t, a.doc)
			if textOf(nodeAt(n, "", "status", "code")) == "100" || !slices.Contains(required, n.Local()) {
				seen.inner = append(seen.inner, a)
			}
		}
		seen.rxValid()
	})
}

// home is a request of the patient service.
func home(op, param string) *rxRequest {
	return &rxRequest{role: recipePatient, op: op, param: param}
}

func ridParam(rid string) string { return "<rid>" + rid + "</rid>" }

// rids lists the text of every rid, sorted as they come.
func ridsIn(n *xmltree.Node) string { return strings.Join(textsOf(n, "rid"), " ") }

// does calls an operation that has one effect.
func (w *homeWorld) does(tk token, effect string, q *rxRequest) {
	w.t.Helper()
	rs := w.rxSend(tk, q)
	if _, code := w.rxOpen(q, rs); code != "100" || rs.Effect != effect {
		w.t.Errorf("%s: %s, effect %q, want %q", q.op, code, rs.Effect, effect)
	}
}

// TestRecipePatient is everything that a patient does with a prescription.
func TestRecipePatient(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	me := w.login(0)
	rid := w.rxCreated(rxDraft{more: "<prescriberLabel>Dr Test</prescriberLabel>"})
	other := w.rxCreated(rxDraft{patient: w.citizens[1]})

	n := w.rxOK(me, home("listOpenRids", ""))
	if ridsIn(n) != rid || strings.Join(textsOf(n, "patientId"), "") != w.citizens[0] || textsOf(n, "vision")[0] != "" {
		t.Errorf("listOpenRids: %d entries", len(textsOf(n, "rid")))
	}
	if got := strings.Join(textsOf(n, "prescriberId"), ""); got != w.authors[0].NIHII.Full() {
		t.Error("prescriber")
	}
	if n = w.rxOK(me, home("listOpenPrescriptions", "<patientId>"+w.citizens[0]+"</patientId>")); ridsIn(n) != rid || textsOf(n, "prescriberLabel")[0] != "Dr Test" {
		t.Error("listOpenPrescriptions")
	}
	if n = w.rxOK(me, home("getPrescriptionStatus", ridParam(rid))); textsOf(n, "prescriptionStatus")[0] != "NotDelivered" {
		t.Error("status")
	}
	n = w.rxOK(me, home("getPrescription", ridParam(rid)+"<version>v2</version>"))
	if string(binaryOf(n.Child("", "prescription"))) != "sealed" || textsOf(n, "encryptionKeyId")[0] != rxKeyID ||
		textsOf(n, "patientId")[0] != asLong(w.citizens[0]) || textsOf(n, "prescriptionType")[0] != "P0" {
		t.Error("getPrescription")
	}
	w.rxOK(me, home("putFeedbackFlag", ridParam(rid)+"<allowFeedback>false</allowFeedback>"))
	if p, _ := w.s.Prescription(rid); p.FeedbackAllowed {
		t.Error("flag")
	}
	for _, op := range []string{"getVision", "getPrescriptionStatus", "revokePrescription"} {
		if _, code := w.rxCall(me, home(op, ridParam(other)+"<reason>x</reason>")); code != recipeNotAllowed {
			t.Errorf("%s of somebody else's: %s", op, code)
		}
	}
	w.rxOK(me, home("revokePrescription", ridParam(rid)+"<reason>not needed</reason>"))
	n, code := w.rxCall(me, home("revokePrescription", ridParam(rid)+"<reason>again</reason>"))
	if code != recipeWrongState || textsOf(n, "statusUpdater")[0] != w.citizens[0] || textsOf(n, "prescriptionStatus")[0] != "Revoked" {
		t.Errorf("revoked twice: %s", code)
	}
	if n = w.rxOK(me, home("listRidsHistory", "<activeResults>false</activeResults>")); ridsIn(n) != rid {
		t.Error("history")
	}
	if n = w.rxOK(me, home("listRidsHistory", "<activeResults>true</activeResults>")); ridsIn(n) != "" {
		t.Error("active partition")
	}
}

// TestRecipePatientRefused: each wrong request with its code; the prescription stays as it is.
func TestRecipePatientRefused(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	rid := w.rxCreated(rxDraft{})
	me := w.login(0)
	for _, tc := range []struct{ op, param, code string }{
		{"listOpenRids", "<patientId>" + w.citizens[1] + "</patientId>", recipeNotAllowed},
		{"listOpenRids", "<patientId>12345678901</patientId>", recipeBadPatient},
		{"listOpenRids", "<page><pageNumber>7</pageNumber></page>", recipeBadPage},
		{"getPrescription", ridParam(rid), recipeBadVersion},
		{"getPrescription", ridParam("BEP0"), recipeBadRID},
		{"getPrescription", ridParam("BEP000000000"), recipeUnknownRID},
		{"getVision", ridParam(rid) + "<patientId>" + w.citizens[1] + "</patientId>", recipeBadPatient},
		{"revokePrescription", ridParam(rid), recipeBadReason},
		{"putFeedbackFlag", ridParam(rid), recipeBadFlag},
		{"putVisionForPatient", ridParam(rid), recipeBadVision},
		{"putVisionForPatient", ridParam(rid) + "<vision>closed</vision>", recipeBadVision},
		{"putVisionForPatient", ridParam(rid) + "<vision>123-PHARMACY.NIHII</vision>", recipeBadVision},
		{"putVisionForPatient", ridParam(rid) + "<vision>00000000-PHARMACY.NIHII</vision>", recipeBadVision},
		{"createReservation", ridParam(rid) + "<executorId>00000000</executorId>", recipeBadExecutor},
		{"createReservation", ridParam(rid), recipeBadExecutor},
		{"createRelation", "", recipeBadHolder},
		{"createRelation", relation(w.citizens[0], "A", "B", ""), recipeBadHolder},
		{"createRelation", relation(w.citizens[1], "", "B", ""), recipeBadName},
		{"createRelation", relation(w.citizens[1], "A", "B", "2001-01-01T00:00:00Z"), recipeBadEnd},
		{"createRelation", relation(w.citizens[1], "A", "B", "tomorrow"), recipeBadEnd},
		{"createRelation", "<patientId>" + w.citizens[1] + "</patientId>" + relation(w.citizens[2], "A", "B", ""), recipeNotAllowed},
		{"revokeRelation", "<mandateHolderId>" + w.citizens[1] + "</mandateHolderId>", recipeRelationUnknown},
		{"revokeRelation", "<patientId>" + w.citizens[2] + "</patientId><mandateHolderId>" + w.citizens[1] + "</mandateHolderId>", recipeNotAllowed},
		{"listRelations", "<patientId>" + w.citizens[1] + "</patientId>", recipeNotAllowed},
	} {
		if _, code := w.rxCall(me, home(tc.op, tc.param)); code != tc.code {
			t.Errorf("%s: %s, want %s", tc.op, code, tc.code)
		}
	}
	if p, _ := w.s.Prescription(rid); len(p.Events) != 1 || p.Vision != "" || !p.FeedbackAllowed {
		t.Error("a refused request changed something")
	}
	w.rxOK(w.pharmacies[0], rxWith("getPrescriptionForExecutor", rid))
	for _, tc := range []struct{ op, more string }{
		{"revokePrescription", "<reason>late</reason>"}, {"createReservation", "<executorId>" + w.numbers[1] + "</executorId>"},
	} {
		n, code := w.rxCall(me, home(tc.op, ridParam(rid)+tc.more))
		if code != recipeStateOfAnother || textsOf(n, "statusUpdater")[0] != w.numbers[0] || textsOf(n, "prescriptionStatus")[0] != "InProcess" {
			t.Errorf("%s of what is in process: %s", tc.op, code)
		}
	}
}

func relation(holder, first, last, end string) string {
	out := "<patientFirstname>" + first + "</patientFirstname><patientLastname>" + last + "</patientLastname><mandateHolderId>" + holder + "</mandateHolderId>"
	if end != "" {
		out += "<endDate>" + end + "</endDate>"
	}
	return out
}

// TestRecipePatientRole: the patient service takes whoever proves to be a person, and nobody else; a pharmacist has no
// prescriptions of his customers there.
func TestRecipePatientRole(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	w.rxCreated(rxDraft{})
	if n := w.rxOK(w.doctors[0], home("listOpenRids", "")); ridsIn(n) != "" {
		t.Error("the doctor as a person sees his patient's prescription")
	}
	lab, key := w.organisation(identity.Labo, 0)
	tk := w.issue(key, claimEH+"labo:nihii-number="+lab.Number)
	w.refusedWith(w.rxSend(tk, home("listOpenRids", "")), "SOA-01002")
	w.refusedWith(w.rxSend(w.login(0), rxWith("markAsDelivered", "BEP000000000")), "SOA-01002")
	w.refusedWith(w.rxSend(w.login(0), rxOf("getPrescription", "BEP000000000")), "SOA-01002")
}

// TestRecipePatientVision: what pharmacies find by the patient, and that a RID opens everything.
func TestRecipePatientVision(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	rid := w.rxCreated(rxDraft{})
	me := w.login(0)
	finds := func(n int) bool {
		t.Helper()
		q := &rxRequest{role: recipeExecutor, op: "listOpenPrescriptions", param: "<patientId>" + w.patient + "</patientId>"}
		got := w.rxOK(w.pharmacies[n], q)
		if ridsIn(got) == rid && string(binaryOf(nodeAt(got, "", "prescriptions", "prescription"))) != "sealed" {
			t.Error("content")
		}
		return ridsIn(got) == rid
	}
	for _, tc := range []struct {
		vision, reads string
		first, second bool
	}{
		{"", "", true, true},
		{"LOCKED", "locked", false, false},
		{w.numbers[1] + "-PHARMACY.NIHII", w.numbers[1] + "-PHARMACY.NIHII", false, true},
		{"null", "", true, true},
	} {
		w.rxOK(me, home("putVisionForPatient", ridParam(rid)+"<vision>"+tc.vision+"</vision>"))
		if got := textOf(w.rxOK(me, home("getVision", ridParam(rid))).Child("", "vision")); got != tc.reads {
			t.Errorf("vision %q reads %q", tc.vision, got)
		}
		if finds(0) != tc.first || finds(1) != tc.second {
			t.Errorf("vision %q: found by %t and %t", tc.vision, finds(0), finds(1))
		}
	}
	w.rxOK(me, home("putVisionForPatient", ridParam(rid)+"<vision>locked</vision>"))
	w.rxOK(w.pharmacies[0], rxWith("getPrescriptionForExecutor", rid))
	w.rxOK(me, home("putVisionForPatient", ridParam(rid)+"<vision></vision>"))
	if !finds(0) || finds(1) {
		t.Error("what is in process is found by the pharmacy that has it only")
	}
	w.rxOK(w.pharmacies[0], rxWith("markAsDelivered", rid))
	if _, code := w.rxCall(me, home("putVisionForPatient", ridParam(rid)+"<vision>locked</vision>")); code != recipeStateOfAnother {
		t.Errorf("vision of what is delivered: %s", code)
	}
}

// TestRecipeReservation: a pharmacy keeps a prescription, then another one does.
func TestRecipeReservation(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	rid := w.rxCreated(rxDraft{})
	me := w.login(0)
	start := time.Now().Add(-time.Minute)
	kept := func(n int) *xmltree.Node {
		t.Helper()
		return w.rxOK(w.pharmacies[n], &rxRequest{
			role: recipeExecutor, op: "listReservations", param: "<startDate>" + recipeTime(start) + "</startDate>",
		})
	}
	found := func(n int) string {
		t.Helper()
		return ridsIn(w.rxOK(w.pharmacies[n], &rxRequest{role: recipeExecutor, op: "listOpenPrescriptions", param: "<patientId>" + w.patient + "</patientId>"}))
	}
	w.does(me, "recipe.kept", home("createReservation", ridParam(rid)+"<executorId>"+w.numbers[0]+"</executorId>"))
	n := kept(0)
	if textOf(nodeAt(n, "", "items", "rid")) != rid || textOf(nodeAt(n, "", "items", "executorId")) != w.numbers[0] ||
		textOf(nodeAt(n, "", "items", "patientId")) != w.patient || nodeAt(n, "", "items", "prescription") == nil {
		t.Error("reservation of the pharmacy")
	}
	if ridsIn(kept(1)) != "" || found(0) != rid || found(1) != "" {
		t.Error("kept for one pharmacy, found by another")
	}
	if got := textsOf(w.rxOK(me, home("listOpenRids", "")), "reservedAtNihii"); !slices.Equal(got, []string{w.numbers[0]}) {
		t.Errorf("%d reservedAtNihii", len(got))
	}
	w.rxOK(me, home("createReservation", ridParam(rid)+"<executorId>"+w.numbers[1]+"</executorId>"))
	if ridsIn(kept(0)) != "" || textOf(nodeAt(kept(1), "", "items", "rid")) != rid || found(0) != "" || found(1) != rid {
		t.Error("moved to the other pharmacy")
	}
	w.rxOK(w.pharmacies[0], rxWith("getPrescriptionForExecutor", rid)) // the proof counts more
	if n = kept(1); textOf(nodeAt(n, "", "items", "prescriptionStatus")) != "InProcess" {
		t.Error("state of what was kept")
	}
	start = time.Now().Add(time.Minute)
	if ridsIn(kept(1)) != "" {
		t.Error("reservations before startDate")
	}
	bad := &rxRequest{role: recipeExecutor, op: "listReservations", param: "<startDate>today</startDate>"}
	if _, code := w.rxCall(w.pharmacies[0], bad); code != recipeBadStart {
		t.Errorf("startDate: %s", code)
	}
}

// TestRecipeMandate: a holder acts for a patient as long as the relation lasts.
func TestRecipeMandate(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	rid := w.rxCreated(rxDraft{})
	me, holder := w.login(0), w.login(1)
	forMe := "<patientId>" + w.citizens[0] + "</patientId>"
	end := time.Now().Add(time.Hour)
	w.does(me, "recipe.related", home("createRelation", relation(w.citizens[1], "Jean", "Proef", recipeTime(end))))
	if _, code := w.rxCall(me, home("createRelation", relation(w.citizens[1], "Jean", "Proef", ""))); code != recipeRelationExists {
		t.Errorf("twice: %s", code)
	}
	n := w.rxOK(holder, home("listRelations", ""))
	if textOf(nodeAt(n, "", "items", "patientId")) != w.citizens[0] || textOf(nodeAt(n, "", "items", "patientFirstname")) != "Jean" ||
		textOf(nodeAt(n, "", "items", "endDate")) != recipeTime(end) {
		t.Error("the holder's relations")
	}
	if got := len(textsOf(w.rxOK(me, home("listRelations", forMe)), "mandateHolderId")); got != 1 {
		t.Errorf("%d of the patient's relations", got)
	}
	if ridsIn(w.rxOK(holder, home("listOpenRids", forMe))) != rid || ridsIn(w.rxOK(holder, home("listOpenRids", ""))) != "" {
		t.Error("the holder's lists")
	}
	w.rxOK(holder, home("putVisionForPatient", ridParam(rid)+"<vision>locked</vision>"))
	w.rxOK(holder, home("putVisionForPatient", ridParam(rid)+"<vision></vision>"))

	at := func(op, param string) *rxRequest { return &rxRequest{role: recipeExecutor, op: op, param: param} }
	byHolder := "<mandateHolderId>" + w.citizens[1] + "</mandateHolderId>"
	n = w.rxOK(w.pharmacies[0], at("listRelations", byHolder))
	if textOf(nodeAt(n, "", "items", "patientId")) != w.citizens[0] || nodeAt(n, "", "items", "endDate") != nil {
		t.Error("relations for the pharmacy")
	}
	for _, param := range []string{byHolder, forMe + byHolder} {
		if got := ridsIn(w.rxOK(w.pharmacies[0], at("listOpenPrescriptions", param))); got != rid {
			t.Errorf("by the holder's card: %q", got)
		}
	}
	for param, code := range map[string]string{
		"<patientId>" + w.citizens[2] + "</patientId>" + byHolder: recipeRelationUnknown,
		"": recipeBadPatient,
		forMe + "<mandateHolderId>1</mandateHolderId>": recipeBadHolder,
	} {
		if _, got := w.rxCall(w.pharmacies[0], at("listOpenPrescriptions", param)); got != code {
			t.Errorf("%s, want %s", got, code)
		}
	}
	for at, want := range map[time.Time]bool{end.Add(-time.Second): true, end: false} {
		if x := (&recipeCall{st: &w.s.recipe, at: at}); x.mandated(w.citizens[1], w.citizens[0]) != want {
			t.Errorf("%s from the end of the relation: %t", at.Sub(end), !want)
		}
	}
	w.does(holder, "recipe.unrelated", home("revokeRelation", forMe+byHolder))
	if _, code := w.rxCall(holder, home("listOpenRids", forMe)); code != recipeNotAllowed {
		t.Errorf("after the end: %s", code)
	}
	if _, code := w.rxCall(holder, home("getVision", ridParam(rid))); code != recipeNotAllowed {
		t.Errorf("after the end: %s", code)
	}
}

// TestRecipeMandateRefused: whoever names a patient, or a prescription of one, without a mandate of his that is in force is refused,
// and nothing happens or is told.
func TestRecipeMandateRefused(t *testing.T) {
	w := newHomeWorld(t)
	rid, third := w.rxCreated(rxDraft{}), w.rxCreated(rxDraft{patient: w.citizens[2]})
	me, asker := w.login(0), w.login(1)
	id := func(n int) string { return "<patientId>" + w.citizens[n] + "</patientId>" }
	questions := func(rid string) map[string]string {
		return map[string]string{
			"getPrescription": ridParam(rid) + "<version>v2</version>", "revokePrescription": ridParam(rid) + "<reason>x</reason>",
			"putFeedbackFlag": ridParam(rid) + "<allowFeedback>false</allowFeedback>", "listOpenRids": "", "listOpenPrescriptions": "",
		}
	}
	refused := func(why string, n int, rid, want string, lists bool) {
		t.Helper()
		for op, param := range questions(rid) {
			if isList := strings.HasPrefix(op, "list"); isList && !lists {
				continue
			}
			q := home(op, id(n)+param)
			rs := w.rxSend(asker, q)
			a, code := w.rxOpen(q, rs)
			if code != want || rs.Effect != "" || len(textsOf(a, "rid"))+len(textsOf(a, "encryptionKeyId"))+len(textsOf(a, "patientId")) != 0 {
				t.Errorf("%s, %s: %s, effect %q", why, op, code, rs.Effect)
			}
		}
		if p, _ := w.s.Prescription(rid); p.Status != NotDelivered || !p.FeedbackAllowed {
			t.Errorf("%s: something happened", why)
		}
	}
	refused("no mandate", 0, rid, recipeNotAllowed, true)
	end := time.Now().Add(time.Hour)
	w.rxOK(me, home("createRelation", relation(w.citizens[1], "Jean", "Proef", recipeTime(end))))
	refused("another patient's", 0, third, recipeNotAllowed, false)
	refused("another patient", 2, third, recipeNotAllowed, true)
	refused("in another's name", 1, rid, recipeBadPatient, false)
	for op, param := range questions(rid) {
		if op != "revokePrescription" && op != "putFeedbackFlag" {
			w.rxOK(asker, home(op, id(0)+param))
		}
	}
	w.s.recipe.rest.relations[0].end = time.Now().Add(-time.Second)
	refused("ended", 0, rid, recipeNotAllowed, true)
	w.s.recipe.rest.relations[0].end = end
	w.does(asker, "recipe.flag", home("putFeedbackFlag", id(0)+questions(rid)["putFeedbackFlag"]))
	w.rxOK(asker, home("revokePrescription", id(0)+questions(rid)["revokePrescription"]))
	if p, _ := w.s.Prescription(rid); p.Status != Revoked || p.FeedbackAllowed {
		t.Error("under a mandate")
	}
}

// TestCitizens: patients have tokens in the depot; who is no patient has none.
func TestCitizens(t *testing.T) {
	w := newWorld(t)
	p := w.s.Patients()[1]
	c := w.s.Citizen(p.SSIN)
	if c == nil || c != w.s.Citizen(p.SSIN) || c.Name() != p.FirstName+" "+p.LastName {
		t.Fatal("a patient as a person")
	}
	if enc, err := c.Encryption(); err != nil || w.askETK("SSIN", p.SSIN.Reveal(), "") != enc[0].Certificate.SerialNumber.String() {
		t.Errorf("depot: %v", err)
	}
	if w.s.Citizen(identity.MustSSIN("85073199704")) == nil || w.s.Citizen(w.s.Person(identity.Doctor, 0).SSIN) != nil {
		t.Error("who is a patient")
	}
	if err := w.s.RotateKey(Holder{Type: identity.TypeSSIN, Number: p.SSIN.Reveal()}); err != nil {
		t.Error(err)
	}
	if all, err := c.Encryption(); err != nil || len(all) != 2 {
		t.Errorf("%d keys after a renewal (%v)", len(all), err)
	}
	if fmt.Sprint(w.s.Citizen(identity.SSIN{})) != fmt.Sprint((*Person)(nil)) {
		t.Error("nobody")
	}
}
