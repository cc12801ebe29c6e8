package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// rxTold is an answer in one line: its code, and of a conflict the state and who put it there: "doctor-1", "pharmacy-2", "".
func (w *rxWorld) rxTold(tk token, q *rxRequest) string {
	w.t.Helper()
	n, code := w.rxCall(tk, q)
	status := n.Child("", "status")
	out := strings.TrimPrefix(code, "error.")
	if s := textOf(status.Child("", "prescriptionStatus")); s != "" {
		out += " " + s + " by " + w.rxName(textOf(status.Child("", "statusUpdater")))
	}
	return out
}

func (w *rxWorld) rxName(number string) string {
	for i := range 2 {
		switch number {
		case w.authors[i].NIHII.Full():
			return fmt.Sprint("doctor-", i+1)
		case w.numbers[i]:
			return fmt.Sprint("pharmacy-", i+1)
		}
	}
	return "nobody"
}

// rxDo reads a line such as "2 markAsDelivered": who (d1, d2, p1, p2) and what.
func (w *rxWorld) rxDo(line, rid string) string {
	w.t.Helper()
	who, op, _ := strings.Cut(line, " ")
	i := int(who[1] - '1')
	if who[0] == 'd' {
		return w.rxTold(w.doctors[i], rxOf(op, rid))
	}
	q := rxWith(op, rid)
	if op == "putRidsInProcess" {
		q.param = "<rids>" + rid + "</rids>"
	}
	return w.rxTold(w.pharmacies[i], q)
}

// TestRecipeStates: after some steps by doctors and pharmacies the next one is accepted or refused, and a refusal tells where
// the prescription is and who put it there.
func TestRecipeStates(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	w := newRxWorld(t)
	const (
		get      = "p1 getPrescriptionForExecutor"
		deliver  = "p1 markAsDelivered"
		archive  = "p1 markAsArchived"
		back     = "p1 markAsUnDelivered"
		revoke   = "d1 revokePrescription"
		takenOff = "p1 putRidsInProcess"
	)
	for _, tc := range []struct {
		before []string
		last   string
		want   string
		state  PrescriptionStatus
	}{
		{nil, get, "100", InProcess},
		{nil, takenOff, "100", InProcess},
		{nil, deliver, "status NotDelivered by doctor-1", NotDelivered},
		{nil, archive, "status NotDelivered by doctor-1", NotDelivered},
		{nil, back, "status NotDelivered by doctor-1", NotDelivered},
		{nil, revoke, "100", Revoked},
		{nil, "p1 revokePrescription", "100", Revoked},
		{nil, "d2 revokePrescription", "access.denied", NotDelivered},
		{nil, "d2 getPrescription", "100", NotDelivered},
		{[]string{get}, get, "100", InProcess},
		{[]string{get}, deliver, "100", Delivered},
		{[]string{takenOff}, deliver, "100", Delivered},
		{[]string{get}, archive, "status InProcess by pharmacy-1", InProcess},
		{[]string{get}, back, "100", NotDelivered},
		{[]string{get}, "p1 revokePrescription", "100", Revoked},
		{[]string{get}, revoke, "status.other InProcess by pharmacy-1", InProcess},
		{[]string{get}, "p2 getPrescriptionForExecutor", "status.other InProcess by pharmacy-1", InProcess},
		{[]string{get}, "p2 putRidsInProcess", "100", InProcess},
		{[]string{get}, "p2 markAsDelivered", "status.other InProcess by pharmacy-1", InProcess},
		{[]string{get}, "p2 markAsUnDelivered", "status.other InProcess by pharmacy-1", InProcess},
		{[]string{get}, "p2 revokePrescription", "status.other InProcess by pharmacy-1", InProcess},
		{[]string{get, deliver}, deliver, "status Delivered by pharmacy-1", Delivered},
		{[]string{get, deliver}, get, "status Delivered by pharmacy-1", Delivered},
		{[]string{get, deliver}, archive, "100", Archived},
		{[]string{get, deliver}, back, "100", NotDelivered},
		{[]string{get, deliver}, revoke, "status.other Delivered by pharmacy-1", Delivered},
		{[]string{get, deliver}, "p2 markAsDelivered", "status.other Delivered by pharmacy-1", Delivered},
		{[]string{get, deliver}, "p2 markAsArchived", "status.other Delivered by pharmacy-1", Delivered},
		{[]string{get, deliver}, "d2 getPrescription", "access.denied", Delivered},
		{[]string{get, deliver, back}, "p2 getPrescriptionForExecutor", "100", InProcess},
		{[]string{get, back, "p2 getPrescriptionForExecutor"}, deliver, "status.other InProcess by pharmacy-2", InProcess},
		{[]string{get, deliver, archive}, archive, "status Archived by pharmacy-1", Archived},
		{[]string{get, deliver, archive}, deliver, "status Archived by pharmacy-1", Archived},
		{[]string{get, deliver, archive}, back, "status Archived by pharmacy-1", Archived},
		{[]string{revoke}, revoke, "status Revoked by doctor-1", Revoked},
		{[]string{revoke}, get, "status.other Revoked by doctor-1", Revoked},
		{[]string{"p1 revokePrescription"}, revoke, "status.other Revoked by pharmacy-1", Revoked},
	} {
		rid := w.rxCreated(rxDraft{})
		for _, step := range tc.before {
			if got := w.rxDo(step, rid); got != "100" {
				t.Fatalf("%v: %s: %s", tc.before, step, got)
			}
		}
		if tc.before == nil && strings.HasPrefix(tc.want, "status NotDelivered") { // of a prescription that nobody has, its author is told
			tc.want = strings.Replace(tc.want, "status", "status.other", 1)
		}
		got := w.rxDo(tc.last, rid)
		p, _ := w.s.Prescription(rid)
		if got != tc.want || p.Status != tc.state || p.Events[len(p.Events)-1].Status != tc.state {
			t.Errorf("%v, then %s: %q and %s, want %q and %s", tc.before, tc.last, got, p.Status, tc.want, tc.state)
		}
	}
	for _, rid := range []string{"BEP0ABCDEFGH", "BEP0ABCDEFGO", "x", ""} {
		want := "rid.unknown"
		if rid != "BEP0ABCDEFGH" {
			want = "validation.rid"
		}
		for _, op := range []string{"d1 getPrescription", "d1 getPrescriptionStatus", revoke, get, deliver, archive, back, takenOff, "p1 getPrescriptionStatus"} {
			if got := w.rxDo(op, rid); got != want {
				t.Errorf("%s of %q: %s", op, rid, got)
			}
		}
	}
	w.rxValid()
}

// TestRecipeEffects: every step is counted once, deliveries also at the prescription.
func TestRecipeEffects(t *testing.T) {
	w := newRxWorld(t)
	rid := w.rxCreated(rxDraft{})
	for _, step := range []string{
		"p1 getPrescriptionForExecutor", "p1 markAsDelivered", "p1 markAsUnDelivered", "p2 getPrescriptionForExecutor", "p2 markAsDelivered",
		"p2 markAsArchived",
	} {
		if got := w.rxDo(step, rid); got != "100" {
			t.Fatalf("%s: %s", step, got)
		}
	}
	p, _ := w.s.Prescription(rid)
	if p.Deliveries != 2 || p.Executor != w.numbers[1] || len(p.Events) != 7 {
		t.Errorf("%d deliveries, %d events", p.Deliveries, len(p.Events))
	}
	if _, ok := w.s.Prescription("BEP0ABCDEFGH"); ok {
		t.Error("a prescription that is not there")
	}
}

// TestRecipeBatch: putRidsInProcess takes ten RIDs at most, and tells of each where it is.
func TestRecipeBatch(t *testing.T) {
	w := newRxWorld(t)
	var rids []string
	for range maxRIDs + 1 {
		rids = append(rids, w.rxCreated(rxDraft{}))
	}
	w.rxDo("p2 getPrescriptionForExecutor", rids[3])
	batch := func(list []string) *rxRequest {
		q := &rxRequest{role: recipeExecutor, op: "putRidsInProcess"}
		for _, rid := range list {
			q.param += "<rids>" + rid + "</rids>"
		}
		return q
	}
	if got := w.rxTold(w.pharmacies[0], batch(rids)); got != "validation.toomanyrids" {
		t.Errorf("eleven: %s", got)
	}
	if got := w.rxTold(w.pharmacies[0], batch(nil)); got != "validation.rid" {
		t.Errorf("none: %s", got)
	}
	q := batch(rids[:maxRIDs])
	rs := w.rxSend(w.pharmacies[0], q)
	n, code := w.rxOpen(q, rs)
	items := 0
	for c := range n.Elements() {
		if c.Local() != "item" {
			continue
		}
		want := "InProcess by pharmacy-1"
		if items == 3 {
			want = "InProcess by pharmacy-2"
		}
		if got := textOf(c.Child("", "prescriptionStatus")) + " by " + w.rxName(textOf(c.Child("", "statusUpdater"))); got != want || textOf(c.Child("", "rid")) != rids[items] {
			t.Errorf("item %d: %s", items, got)
		}
		items++
	}
	if code != "100" || items != maxRIDs || w.s.State().Effects["recipe.reserved"] != maxRIDs-2 || rs.Effect != "recipe.reserved" { // the engine counts the first
		t.Errorf("%s, %d items, %d more reserved", code, items, w.s.State().Effects["recipe.reserved"])
	}
	w.rxValid()
}

// TestRecipeExpires: at midnight in Brussels after the last day, summer time or not.
func TestRecipeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins on 2000-01-01 at 00:00 UTC, one o'clock in Brussels
		w := newRxWorld(t)
		open := w.rxCreated(rxDraft{expires: "2000-01-01"})
		had := w.rxCreated(rxDraft{expires: "2000-01-01"})
		later := w.rxCreated(rxDraft{expires: "2000-01-02"})
		gone := w.rxCreated(rxDraft{expires: "2000-01-01"})
		for _, step := range []string{"p1 getPrescriptionForExecutor", "p1 markAsDelivered"} {
			w.rxDo(step, gone)
		}
		w.rxDo("p1 getPrescriptionForExecutor", had)
		states := func() string {
			var out []string
			for _, rid := range []string{open, had, later, gone} {
				p, _ := w.s.Prescription(rid)
				out = append(out, string(p.Status))
			}
			return strings.Join(out, " ")
		}
		time.Sleep(23*time.Hour - time.Nanosecond)
		if got := states(); got != "NotDelivered InProcess NotDelivered Delivered" {
			t.Errorf("before midnight: %s", got)
		}
		time.Sleep(time.Nanosecond)
		_, tk := w.pharmacyToken(0)
		w.pharmacies[0] = tk
		if got := w.rxDo("p1 markAsDelivered", had); got != "status Expired by nobody" {
			t.Errorf("deliver after midnight: %s", got)
		}
		if got := states(); got != "Expired Expired NotDelivered Delivered" {
			t.Errorf("after midnight: %s", got)
		}
		if got := w.rxDo("p1 markAsUnDelivered", gone); got != "100" {
			t.Errorf("undeliver: %s", got)
		}
		if got := states(); got != "Expired Expired NotDelivered Expired" {
			t.Errorf("taken back when its day is over: %s", got)
		}
		p, _ := w.s.Prescription(open)
		if e := p.Events[1]; e.By != "" || e.At.In(brussels).Format(time.DateTime) != "2000-01-02 00:00:00" {
			t.Errorf("expired at %s", e.At)
		}
		w.rxValid()
	})
}

// TestRecipeVisionOfPrescribers: what prescribers see of each other's prescriptions.
func TestRecipeVisionOfPrescribers(t *testing.T) {
	w := newRxWorld(t)
	open, locked, gmd := w.rxCreated(rxDraft{}), w.rxCreated(rxDraft{others: "locked"}), w.rxCreated(rxDraft{others: "gmd_prescriber", vision: "locked"})
	list := func(i int, filter string) (string, string) {
		n := w.rxOK(w.doctors[i], &rxRequest{role: recipePrescriber, op: "listPrescriptions", param: filter})
		partial := n.Child("", "partial")
		hidden, _ := partial.Attr("", "hasHidden")
		var rids []string
		for c := range partial.Elements() {
			if rid, ok := c.Attr("", "rid"); ok {
				rids = append(rids, rid)
			}
		}
		return strings.Join(rids, " "), hidden
	}
	day := dayIn(time.Now()).Format(time.DateOnly)
	byPatient := "<patientId>" + w.patient + "</patientId>"
	today := byPatient + `<between from="` + day + `" to-inclusive="` + day + `"/>`
	all := strings.Join([]string{open, locked, gmd}, " ")
	for _, tc := range []struct {
		who                int
		filter, want, hide string
	}{
		{0, byPatient, all, "false"},
		{0, "", all, "false"},
		{1, byPatient, open, "true"},
		{1, "", "", "false"},
		{0, today + "<prescriberId>" + w.authors[0].NIHII.Full() + "</prescriberId><status><status>NotDelivered</status><status>InProcess</status></status>", all, "false"},
		{0, byPatient + "<prescriberId>" + w.authors[1].NIHII.Full() + "</prescriberId>", "", "false"},
		{0, byPatient + "<status><status>Revoked</status></status>", "", "false"},
		{0, byPatient + `<between to-inclusive="2000-01-01"/>`, "", "false"},
		{0, byPatient + `<expiringBetween from="` + day + `"/>`, all, "false"},
		{0, byPatient + `<expiringBetween to-inclusive="` + day + `"/>`, "", "false"},
		{
			0, byPatient + `<sortOptions><sortedBy attribute="prescription-date" order="descending"/></sortOptions>`,
			strings.Join([]string{gmd, locked, open}, " "), "false",
		},
	} {
		got, hidden := list(tc.who, tc.filter)
		if got != tc.want || hidden != tc.hide {
			t.Errorf("doctor %d, %s: %d found, hidden %s", tc.who+1, tc.filter, len(strings.Fields(got)), hidden)
		}
	}
	for _, filter := range []string{
		"<patientId>1</patientId>", byPatient + "<status><status>Lost</status></status>", byPatient + `<between from="today"/>`,
		byPatient + `<sortOptions><sortedBy attribute="name" order="ascending"/></sortOptions>`, byPatient + "<page><pageNumber>2</pageNumber></page>",
		byPatient + `<sortOptions><sortedBy attribute="prescription-date" order="up"/></sortOptions>`,
		byPatient + `<sortOptions><sorted attribute="prescription-date" order="descending"/></sortOptions>`,
		byPatient + "<status/>", byPatient + "<status><state>Revoked</state></status>", byPatient + "<status>Revoked</status>",
	} {
		if _, code := w.rxCall(w.doctors[0], &rxRequest{role: recipePrescriber, op: "listPrescriptions", param: filter}); !strings.HasPrefix(code, "error.validation.") {
			t.Errorf("%s: %s", filter, code)
		}
	}
	put := func(i int, attrs, rest string) string {
		return w.rxTold(w.doctors[i], &rxRequest{role: recipePrescriber, op: "putVisionForPrescriber", attrs: attrs, param: "<rid>" + open + "</rid>" + rest})
	}
	for _, tc := range []struct {
		who               int
		attrs, rest, want string
		vision, others    string
	}{
		{1, "", "<vision>locked</vision>", "access.denied", "", "open"},
		{0, "", "", "validation.vision", "", "open"},
		{0, ` type="x"`, "<vision/>", "validation.vision", "", "open"},
		{0, "", "<vision>everybody</vision>", "validation.vision", "", "open"},
		{0, "", "<vision/><visionOtherPrescribers>locked</visionOtherPrescribers>", "validation.vision", "", "open"},
		{0, "", `<vision xmlns="urn:x">locked</vision>`, "validation.vision", "", "open"},
		{0, "", "<vision>locked</vision>", "100", "locked", "open"},
		{0, ` type="prescriber"`, "<visionOtherPrescribers>locked</visionOtherPrescribers>", "100", "locked", "locked"},
		{0, ` type="prescriber"`, "<vision></vision><visionOtherPrescribers>open</visionOtherPrescribers>", "100", "", "open"},
	} {
		got := put(tc.who, tc.attrs, tc.rest)
		if p, _ := w.s.Prescription(open); got != tc.want || p.Vision != tc.vision || p.OtherPrescribers != tc.others {
			t.Errorf("%s %s: %s, %q, %q", tc.attrs, tc.rest, got, p.Vision, p.OtherPrescribers)
		}
	}
	for value, want := range map[string]string{"true": "100", "false": "100", "yes": "validation.flag"} {
		q := &rxRequest{role: recipePrescriber, op: "putFeedbackFlag", param: "<rid>" + open + "</rid><allowFeedback>" + value + "</allowFeedback>"}
		if got := w.rxTold(w.doctors[0], q); got != want {
			t.Errorf("flag %s: %s", value, got)
		}
		if p, _ := w.s.Prescription(open); want == "100" && p.FeedbackAllowed != (value == "true") {
			t.Errorf("flag %s is not kept", value)
		}
	}
	w.rxValid()
}

// TestRecipePrescriberLists: pages of the lists of a prescriber, the partitions of the history, and prescriptions that lists do not have
// yet.
func TestRecipePrescriberLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRxWorld(t)
		var rids []string
		for range 7 {
			rids = append(rids, w.rxCreated(rxDraft{expires: "2000-06-01"}))
		}
		w.rxDo("d1 revokePrescription", rids[6])
		w.rxDo("p1 getPrescriptionForExecutor", rids[5])
		w.s.SetRecipe(RecipeBehaviour{PageSize: 2})
		about := "<patientId>" + w.patient + "</patientId>"
		walk := func(op, filter, element string) []string {
			var out []string
			page := ""
			for i := 1; i < 9; i++ {
				n := w.rxOK(w.doctors[0], &rxRequest{role: recipePrescriber, op: op, param: about + filter + page})
				got := textsOf(n, element)
				for d := range n.Descendants() {
					if rid, ok := d.Attr("", "rid"); ok {
						got = append(got, rid)
					}
				}
				if len(got) > 2 {
					t.Errorf("%s: page of %d", op, len(got))
				}
				out = append(out, got...)
				if fmt.Sprint(textsOf(n, "hasMoreResults")) != "[true]" {
					return out
				}
				page = fmt.Sprintf("<page><pageNumber>%d</pageNumber></page>", i+1)
				if s := textsOf(n, "session"); len(s) == 1 {
					page += "<session>" + s[0] + "</session>"
				}
			}
			t.Errorf("%s has no end", op)
			return out
		}
		for _, tc := range []struct {
			op, filter, element string
			want                []string
		}{
			{"listOpenRids", "", "prescriptions", rids[:6]},
			{"listRidsHistory", "<activeResults>true</activeResults>", "rid", rids[:6]},
			{"listRidsHistory", "<activeResults>false</activeResults>", "rid", rids[6:]},
			{"listRidsHistory", "", "rid", rids[6:]},
			{"listPrescriptions", "", "-", rids},
		} {
			if got := walk(tc.op, tc.filter, tc.element); !slices.Equal(got, tc.want) {
				t.Errorf("%s %s: %d of %d", tc.op, tc.filter, len(got), len(tc.want))
			}
		}
		w.s.SetRecipe(RecipeBehaviour{ListLag: 30 * time.Second, PageSize: 2})
		young := w.rxCreated(rxDraft{expires: "2000-06-01"})
		if got := walk("listOpenRids", "", "prescriptions"); slices.Contains(got, young) {
			t.Error("in the list at once")
		}
		w.rxOK(w.doctors[0], rxOf("getPrescription", young))
		time.Sleep(30 * time.Second)
		if got := walk("listOpenRids", "", "prescriptions"); !slices.Contains(got, young) {
			t.Error("not in the list after the lag")
		}
		if got := textsOf(w.rxOK(w.doctors[1], &rxRequest{role: recipePrescriber, op: "listOpenRids", param: about}), "prescriptions"); len(got) != 0 {
			t.Errorf("another doctor is told of %d", len(got))
		}
		w.rxValid()
	})
}

// TestRecipeConcurrent: of many pharmacies' calls at the same moment, one gets it; no RID is given twice.
func TestRecipeConcurrent(t *testing.T) {
	w := newRxWorld(t)
	const n = 8
	rids := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		q := w.rxCreate(rxDraft{})
		msg := w.message(w.rxPayload(w.doctors[0], q), w.doctors[0])
		wg.Go(func() { rids[i] = rxRID(t, q, w.call(rxPath(q.role), "", msg)) })
	}
	wg.Wait()
	if got := slices.Compact(slices.Sorted(slices.Values(rids))); len(got) != n {
		t.Fatalf("%d different RIDs", len(got))
	}
	effects := make([]string, n)
	for i := range n {
		q := rxWith("getPrescriptionForExecutor", rids[0])
		msg := w.message(w.rxPayload(w.pharmacies[i%2], q), w.pharmacies[i%2])
		wg.Go(func() { effects[i] = w.call(rxPath(q.role), "", msg).Effect })
	}
	wg.Wait()
	slices.Sort(effects)
	if effects[n-1] != "recipe.inprocess" || effects[n-2] != "" {
		t.Errorf("effects %q", effects)
	}
}
