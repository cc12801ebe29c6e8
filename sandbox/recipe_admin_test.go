package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAdminRecipe looks at prescriptions over the admin API, with and without what leads to people.
func TestAdminRecipe(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	c, base := w.s.HTTPClient(), w.s.AdminURL()
	call := func(want int, method, path, body string) map[string]any {
		t.Helper()
		status, out := admin(t, c, method, base+path, "application/json", body)
		if status != want {
			t.Errorf("%s %s: %d %v", method, path, status, out)
		}
		return out
	}
	rid := w.rxCreated(rxDraft{})
	locked := w.rxCreated(rxDraft{vision: "locked"})
	w.rxOK(w.pharmacies[0], rxWith("getPrescriptionForExecutor", rid))
	w.rxOK(w.login(0), home("revokePrescription", ridParam(locked)+"<reason>x</reason>"))
	kept := w.rxCreated(rxDraft{})
	w.rxOK(w.login(0), home("putVisionForPatient", ridParam(kept)+"<vision>"+w.numbers[0]+"-PHARMACY.NIHII</vision>"))

	hidden := call(200, "GET", "/admin/prescriptions", "")
	raw, err := json.Marshal(hidden)
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{
		"RID": rid, "patient": w.patient, "pharmacy": w.numbers[0], "prescriber": w.authors[0].NIHII.Base(),
	} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("shows the %s", name)
		}
	}
	var got struct{ Prescriptions []adminPrescription }
	if err := json.Unmarshal(raw, &got); err != nil || len(got.Prescriptions) != 3 {
		t.Fatalf("%v, %d", err, len(got.Prescriptions))
	}
	var lines []string
	for _, p := range got.Prescriptions {
		line := fmt.Sprint(p.N, " ", p.Type, " ", p.Vision)
		for _, e := range p.Events {
			line += fmt.Sprint(" ", e.Status, "/", e.By)
		}
		lines = append(lines, line)
	}
	want := "1 P0 open NotDelivered/prescriber InProcess/pharmacy\n2 P0 locked NotDelivered/prescriber Revoked/patient\n3 P0 pharmacy NotDelivered/prescriber"
	if strings.Join(lines, "\n") != want {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
	open := call(200, "GET", "/admin/prescriptions?status=InProcess&clear=1", "")
	raw, _ = json.Marshal(open)
	if err := json.Unmarshal(raw, &got); err != nil || len(got.Prescriptions) != 1 {
		t.Fatalf("%v, %d", err, len(got.Prescriptions))
	}
	p := got.Prescriptions[0]
	if p.RID != rid || p.Patient != w.patient || p.Executor != w.numbers[0] || p.Events[1].Number != w.numbers[0] || p.Events[0].Program != "test/1" {
		t.Error("not what was asked for in clear")
	}
	call(400, "GET", "/admin/prescriptions?status=Lost", "")
	call(204, "PUT", "/admin/recipe", `{"pageSize":1,"listLag":0.5,"archiveEarly":true,"pagesFromZero":true}`)
	if out := call(200, "GET", "/admin/recipe", ""); out["pageSize"] != 1.0 || out["listLag"] != 0.5 || out["archiveEarly"] != true || out["pagesFromZero"] != true {
		t.Errorf("%v", out)
	}
	call(204, "PUT", "/admin/recipe", `{}`)
	if out := call(200, "GET", "/admin/recipe", ""); out["pageSize"] != 50.0 || out["listLag"] != 0.0 {
		t.Errorf("%v", out)
	}
	call(400, "PUT", "/admin/recipe", `{"pageSize":-1}`)
	call(400, "PUT", "/admin/recipe", `{"unknown":1}`)
	call(204, "DELETE", "/admin/prescriptions", "")
	if len(w.s.Prescriptions()) != 0 || len(w.s.RecipeNotes()) != 0 {
		t.Error("not forgotten")
	}
	if _, code := w.rxCall(w.doctors[0], rxOf("getPrescriptionStatus", rid)); code != recipeUnknownRID {
		t.Errorf("a forgotten prescription: %s", code)
	}
}

// TestAdminResetState: the counters go back to zero, what was done stays done.
func TestAdminResetState(t *testing.T) {
	s := echo(t, Config{})
	cancel := inject(t, s, "genins 0 to_end fault code=SOA-02001")
	defer cancel()
	c := s.HTTPClient()
	for _, url := range []string{urlSTS, urlGenIns} {
		if r := post(c, url, "x", time.Minute); r.err != nil {
			t.Fatal(r.err)
		}
	}
	st := s.State()
	if st.Requests["sts"] != 1 || st.Requests["genins"] != 1 || st.Hits["genins"]["fault"] != 1 {
		t.Fatalf("%+v", st)
	}
	status, _ := admin(t, c, http.MethodDelete, s.AdminURL()+"/admin/state", "", "")
	st = s.State()
	if status != http.StatusNoContent || len(st.Requests)+len(st.Endpoints)+len(st.Effects)+len(st.Counters)+len(st.Hits) != 0 {
		t.Errorf("%d %+v", status, st)
	}
	if len(s.Faults()) != 1 {
		t.Error("the fault ended")
	}
}
