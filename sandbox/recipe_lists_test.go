package sandbox

import (
	"archive/zip"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// pageParam is a page element with the session of an answer; number < 0: no page element.
func pageParam(number int, session string) string {
	out := ""
	if number >= 0 {
		out = fmt.Sprintf("<page><month>1</month><year>2000</year><pageNumber>%d</pageNumber><context></context></page>", number)
	}
	if session != "" {
		out += "<session>" + session + "</session>"
	}
	return out
}

func sessionOf(n *xmltree.Node) (more bool, session string) {
	return textOf(n.Child("", "hasMoreResults")) == "true", textOf(n.Child("", "session"))
}

// TestRecipePages reads lists to their ends, however the client counts.
func TestRecipePages(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	w.s.SetRecipe(RecipeBehaviour{PageSize: 3})
	var made []string
	for range 7 {
		made = append(made, w.rxCreated(rxDraft{}))
	}
	me := w.login(0)
	for _, tc := range []struct {
		name    string
		numbers []int // of the pages, -1 = no page element
	}{
		{"from 0", []int{0, 1, 2}},
		{"from 1", []int{1, 2, 3}},
		{"silent, then 1", []int{-1, 1, 2}},
		{"silent, then 2", []int{-1, 2, 3}},
		{"a page twice", []int{0, 1, 1, 2}},
		{"back to the first", []int{1, 2, 1, 2, 3}},
	} {
		var got []string
		session, pages := "", map[int]string{}
		for _, number := range tc.numbers {
			n := w.rxOK(me, home("listOpenRids", pageParam(number, session)))
			rids := textsOf(n, "rid")
			more, s := sessionOf(n)
			if s != "" {
				session = s
			}
			if before, again := pages[number]; again && before != fmt.Sprint(rids) {
				t.Errorf("%s: page %d is another one the second time", tc.name, number)
			}
			if pages[number] == "" {
				got = append(got, rids...)
			}
			pages[number] = fmt.Sprint(rids)
			if want := len(rids) == 3 && rids[2] != made[6]; more != want {
				t.Errorf("%s: page %d: more %t", tc.name, number, more)
			}
		}
		if !slices.Equal(got, made) {
			t.Errorf("%s: %d entries in another order than made, or not all", tc.name, len(got))
		}
	}
}

// TestRecipePagesRefused: sessions that are not the caller's, not of this list or not anything.
func TestRecipePagesRefused(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	w.s.SetRecipe(RecipeBehaviour{PageSize: 1})
	for range 3 {
		w.rxCreated(rxDraft{})
		w.rxCreated(rxDraft{patient: w.citizens[1]})
	}
	me := w.login(0)
	_, session := sessionOf(w.rxOK(me, home("listOpenRids", pageParam(1, ""))))
	_, theirs := sessionOf(w.rxOK(w.login(1), home("listOpenRids", pageParam(1, ""))))
	for name, param := range map[string]string{
		"none":             pageParam(2, ""),
		"somebody else's":  pageParam(2, theirs),
		"invented":         pageParam(2, b64([]byte("invented"))),
		"not base64":       pageParam(2, "!"),
		"beyond":           pageParam(4, session),
		"before the first": pageParam(-1, session) + "<page><pageNumber>-1</pageNumber></page>",
		"not a number":     "<page><pageNumber>x</pageNumber></page>",
	} {
		if _, code := w.rxCall(me, home("listOpenRids", param)); code != recipeBadPage {
			t.Errorf("session %s: %s", name, code)
		}
	}
	if _, code := w.rxCall(me, home("listOpenPrescriptions", pageParam(2, session))); code != recipeBadPage {
		t.Errorf("session of another operation: %s", code)
	}
	if n := w.rxOK(me, home("listOpenRids", pageParam(2, session))); len(textsOf(n, "rid")) != 1 {
		t.Error("the session was spoilt by refused requests")
	}
}

// TestRecipePagesStand: what changes between two pages neither hides nor repeats an entry, and what is gone is left out.
func TestRecipePagesStand(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	w.s.SetRecipe(RecipeBehaviour{PageSize: 2})
	var made []string
	for range 4 {
		made = append(made, w.rxCreated(rxDraft{}))
	}
	me := w.login(0)
	first := w.rxOK(me, home("listOpenRids", pageParam(0, "")))
	_, session := sessionOf(first)
	w.rxOK(w.doctors[0], rxOf("revokePrescription", made[0]))
	w.rxOK(w.doctors[0], rxOf("revokePrescription", made[3]))
	w.rxCreated(rxDraft{})
	second := w.rxOK(me, home("listOpenRids", pageParam(1, session)))
	if more, _ := sessionOf(second); more || !slices.Equal(textsOf(second, "rid"), made[2:3]) {
		t.Errorf("second page has %d entries", len(textsOf(second, "rid")))
	}
}

// TestRecipeExecutorLists: every list of the pharmacy in pages.
func TestRecipeExecutorLists(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	w.s.SetRecipe(RecipeBehaviour{PageSize: 2})
	var made []string
	for range 3 {
		made = append(made, w.rxCreated(rxDraft{}))
	}
	other := w.rxCreated(rxDraft{patient: w.citizens[1]})
	all := func(op, param, element string) []string {
		t.Helper()
		var out []string
		session := ""
		for number := range 5 {
			n := w.rxOK(w.pharmacies[0], &rxRequest{role: recipeExecutor, op: op, param: param + pageParam(number, session)})
			for c := range n.Elements() {
				switch {
				case c.Local() != element:
				case element == "rids":
					out = append(out, textOf(c))
				default:
					out = append(out, textOf(c.Child("", "rid")))
				}
			}
			more, s := sessionOf(n)
			if session = s; !more {
				return out
			}
		}
		t.Fatal("a list without end")
		return nil
	}
	patient := "<patientId>" + w.patient + "</patientId>"
	if got := all("listOpenPrescriptions", patient, "prescriptions"); !slices.Equal(got, made) {
		t.Errorf("listOpenPrescriptions: %d", len(got))
	}
	if got := all("listRidsInProcess", "", "rids"); len(got) != 0 {
		t.Errorf("in process: %d", len(got))
	}
	put := &rxRequest{role: recipeExecutor, op: "putRidsInProcess", param: "<rids>" + strings.Join(append(slices.Clone(made), other), "</rids><rids>") + "</rids>"}
	w.rxOK(w.pharmacies[0], put)
	if got := all("listRidsInProcess", "", "rids"); !slices.Equal(got, append(slices.Clone(made), other)) {
		t.Errorf("in process: %d", len(got))
	}
	w.rxOK(w.pharmacies[0], rxWith("markAsDelivered", made[0]))
	w.rxOK(w.pharmacies[0], rxWith("markAsArchived", made[0]))
	for _, tc := range []struct {
		param string
		want  []string
	}{
		{patient, made[:1]},
		{patient + "<activeResults>true</activeResults>", made[1:]},
		{"<activeResults>true</activeResults>", append(slices.Clone(made[1:]), other)},
	} {
		if got := all("listRidsHistory", tc.param, "items"); !slices.Equal(got, tc.want) {
			t.Errorf("history: %d, want %d", len(got), len(tc.want))
		}
	}
	n := w.rxOK(w.pharmacies[1], &rxRequest{role: recipeExecutor, op: "listRidsHistory", param: patient + "<activeResults>true</activeResults>"})
	if ridsIn(n) != "" {
		t.Error("history of another pharmacy")
	}
	if _, code := w.rxCall(w.pharmacies[1], &rxRequest{role: recipeExecutor, op: "listRidsHistory", param: "<patientId>1</patientId>"}); code != recipeBadPatient {
		t.Errorf("history of nobody: %s", code)
	}
}

// TestRecipeLag: a young prescription is in no list, by behaviour and by script; its RID works at once.
func TestRecipeLag(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	me := w.login(0)
	rid := w.rxCreated(rxDraft{})
	lists := func() [3]string {
		t.Helper()
		patient := "<patientId>" + w.patient + "</patientId>"
		return [3]string{
			ridsIn(w.rxOK(me, home("listOpenRids", ""))),
			strings.Join(textsOf(w.rxOK(w.doctors[0], &rxRequest{role: recipePrescriber, op: "listOpenRids", param: patient}), "prescriptions"), " "),
			ridsIn(w.rxOK(w.pharmacies[0], &rxRequest{role: recipeExecutor, op: "listOpenPrescriptions", param: patient})),
		}
	}
	if got := lists(); got != [3]string{rid, rid, rid} {
		t.Errorf("at once: %d", len(got))
	}
	w.s.SetRecipe(RecipeBehaviour{ListLag: time.Hour})
	if got := lists(); got != [3]string{} {
		t.Error("listed in spite of the behaviour")
	}
	w.s.SetRecipe(RecipeBehaviour{})
	cancel := inject(t, w.s, "recipe-presc 0 to_end lag s=3600")
	if got := lists(); got != [3]string{"", "", rid} {
		t.Error("a step on the prescriber's and the patient's service")
	}
	w.rxOK(me, home("getVision", ridParam(rid)))
	cancel()
	if got := lists(); got != [3]string{rid, rid, rid} {
		t.Error("after the step")
	}
	if got := w.s.State().Hits["recipe-presc"]["lag"]; got != 2 {
		t.Errorf("%d hits", got)
	}
}

// TestRecipeNotes: notifications and feedback reach whom they are for, and the read flag.
func TestRecipeNotes(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	content := "<content>" + b64([]byte("sealed note")) + "</content>"
	to := "<executorId>" + w.numbers[0] + "</executorId>"
	send := &rxRequest{role: recipePrescriber, op: "sendNotification", param: to + "<patientId>" + w.patient + "</patientId>" + content}
	w.does(w.doctors[0], "recipe.notified", send)
	list := func(op string, tk token, role recipeRole, read string) *xmltree.Node {
		t.Helper()
		return w.rxOK(tk, &rxRequest{role: role, op: op, param: "<readFlag>" + read + "</readFlag>"})
	}
	note := func(n int, read string) string {
		t.Helper()
		got := list("listNotifications", w.pharmacies[n], recipeExecutor, read)
		for c := range got.Elements() {
			if c.Local() == "notifications" && (textOf(c.Child("", "sentBy")) != w.authors[0].NIHII.Full() || string(binaryOf(c.Child("", "content"))) != "sealed note") {
				t.Error("not the note that was sent")
			}
		}
		return fmt.Sprint(len(textsOf(got, "sentDate")))
	}
	if got := note(1, "true") + note(0, "false") + note(0, "false") + note(0, "true"); got != "0101" {
		t.Errorf("listed %s", got)
	}

	rid := w.rxCreated(rxDraft{})
	feedback := func(extra string) *rxRequest {
		return &rxRequest{role: recipeExecutor, op: "createFeedback", param: extra + ridParam(rid) + content}
	}
	if _, code := w.rxCall(w.pharmacies[0], feedback("")); code != recipeNotAllowed {
		t.Errorf("by a pharmacy that has not had it: %s", code)
	}
	w.rxOK(w.pharmacies[0], rxWith("getPrescriptionForExecutor", rid))
	if _, code := w.rxCall(w.pharmacies[0], feedback("<prescriberId>"+w.authors[1].NIHII.Full()+"</prescriberId>")); code != recipeBadPrescriber {
		t.Errorf("to another prescriber: %s", code)
	}
	w.does(w.pharmacies[0], "recipe.feedback", feedback("<prescriberId>"+w.authors[0].NIHII.Full()+"</prescriberId><executorId>"+w.numbers[0]+"</executorId>"))
	n := list("listFeedbacks", w.doctors[0], recipePrescriber, "false")
	if textOf(nodeAt(n, "", "feedbacks", "rid")) != rid || textOf(nodeAt(n, "", "feedbacks", "sentBy")) != w.numbers[0] {
		t.Error("feedback")
	}
	if got := len(textsOf(list("listFeedbacks", w.doctors[0], recipePrescriber, "0"), "rid")); got != 0 {
		t.Errorf("%d unread after reading", got)
	}
	if got := len(textsOf(list("listFeedbacks", w.doctors[1], recipePrescriber, "1"), "rid")); got != 0 {
		t.Errorf("%d of another doctor's", got)
	}
	w.rxOK(w.login(0), home("putFeedbackFlag", ridParam(rid)+"<allowFeedback>false</allowFeedback>"))
	if _, code := w.rxCall(w.pharmacies[0], feedback("")); code != recipeNoFeedback {
		t.Errorf("not welcome: %s", code)
	}
	for _, tc := range []struct {
		q    *rxRequest
		tk   token
		code string
	}{
		{&rxRequest{role: recipePrescriber, op: "sendNotification", param: to}, w.doctors[0], recipeBadNote},
		{&rxRequest{role: recipePrescriber, op: "sendNotification", param: content}, w.doctors[0], recipeBadExecutor},
		{&rxRequest{role: recipePrescriber, op: "sendNotification", param: to + "<patientId>1</patientId>" + content}, w.doctors[0], recipeBadPatient},
		{&rxRequest{role: recipeExecutor, op: "listNotifications"}, w.pharmacies[0], recipeBadFlag},
		{&rxRequest{role: recipeExecutor, op: "listRelations"}, w.pharmacies[0], recipeBadHolder},
	} {
		if _, code := w.rxCall(tc.tk, tc.q); code != tc.code {
			t.Errorf("%s: %s, want %s", tc.q.op, code, tc.code)
		}
	}
	notes := w.s.RecipeNotes()
	if len(notes) != 2 || notes[0].RID != "" || notes[1].RID != rid || !notes[0].Read || !notes[1].Read || string(notes[0].Content) != "sealed note" {
		t.Errorf("%d notes", len(notes))
	}
}

// TestRecipeValidation: everything for a client with another version, nothing for one that has it.
func TestRecipeValidation(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	ask := func(version string) *xmltree.Node {
		t.Helper()
		return w.rxOK(w.doctors[0], &rxRequest{
			role: recipePrescriber, op: "getValidationProperties", param: "<clientPropertiesVersion>" + version + "</clientPropertiesVersion>",
		})
	}
	n := ask("0")
	if got := len(slices.Collect(n.Child("", "properties").Elements())); got != 2*len(validationRules) {
		t.Errorf("%d properties", got)
	}
	z, err := zip.NewReader(bytes.NewReader(binaryOf(nodeAt(n, "", "xsdValidationFiles", "entry", "value"))), int64(len(binaryOf(nodeAt(n, "", "xsdValidationFiles", "entry", "value")))))
	if err != nil || len(z.File) != 1 {
		t.Fatalf("zip: %v", err)
	}
	version := textOf(n.Child("", "serverPropertiesVersion"))
	if got := ask(version); len(textsOf(got, "key")) != 0 || textOf(got.Child("", "serverPropertiesVersion")) != version {
		t.Error("the same version")
	}
	w.s.SetRecipeValidation(RecipeValidation{
		Version: "2", Properties: map[string]string{"kmehr.assert.P0.10": "b", "kmehr.assert.P0.2": "a", "x": "c"}, Files: map[string][]byte{"f": []byte("zip")},
	})
	if got := ask(version); !slices.Equal(textsOf(got, "key"), []string{"f", "kmehr.assert.P0.2", "kmehr.assert.P0.10", "x"}) {
		t.Errorf("keys %v", textsOf(got, "key"))
	}
	w.s.SetRecipeValidation(RecipeValidation{})
	if got := ask(version); len(textsOf(got, "key")) != 0 {
		t.Error("not the sandbox's own again")
	}
	if _, code := w.rxCall(w.doctors[0], &rxRequest{role: recipePrescriber, op: "getValidationProperties"}); code != recipeBadVersion {
		t.Errorf("without version: %s", code)
	}
}

// TestRecipeBounds: what is remembered has an end, and reaching it is an answer and not a failure.
func TestRecipeBounds(t *testing.T) {
	st := &recipeState{behaviour: RecipeBehaviour{PageSize: 1}}
	ask := func(who string, number int, session []byte) (recipePage[string], *recipeRefusal) {
		x := &recipeCall{
			st: st, role: recipePatient, op: &recipeOperation{name: "listOpenRids"}, who: recipeCaller{number: who},
			param: parsed(t, []byte("<p>"+pageParam(number, b64(session))+"</p>")),
		}
		return recipePaged(x, "", []string{"a", "b"}, func(s string) string { return s })
	}
	first, r := ask("first", 1, nil)
	if r != nil || !first.more {
		t.Fatal("no second page")
	}
	if p, r := ask("first", 2, first.session); r != nil || !slices.Equal(p.items, []string{"b"}) || p.more {
		t.Error("second page")
	}
	for i := range recipeSessions {
		if _, r := ask(fmt.Sprint(i), 1, nil); r != nil {
			t.Fatal(r.code)
		}
	}
	if _, r := ask("first", 2, first.session); r == nil || r.code != recipeBadPage {
		t.Error("a forgotten session goes on")
	}
	if len(st.rest.paging.lists) != recipeSessions || len(st.rest.paging.order) != recipeSessions {
		t.Errorf("%d lists", len(st.rest.paging.lists))
	}

	x := &recipeCall{st: st, who: recipeCaller{number: "1"}, param: parsed(t, []byte("<p><content>"+b64([]byte("note"))+"</content></p>"))}
	for range recipeNoteLimit {
		if r := x.note(&recipeNote{to: "2"}); r != nil {
			t.Fatal(r.code)
		}
	}
	if r := x.note(&recipeNote{to: "2"}); r == nil || r.code != recipeFull || len(st.rest.notes.all) != recipeNoteLimit {
		t.Error("one note too many")
	}
	st.rest.notes = recipeNotes{size: recipeNoteBytes}
	if r := x.note(&recipeNote{to: "2"}); r == nil || r.code != recipeFull {
		t.Error("one byte too many")
	}
}
