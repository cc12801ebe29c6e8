package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// rxPost sends a request to a host (0 = ESB, 1 = the alternate one) as a client does, and returns what it sees: "100", a
// messageCode, an outer status, the code of a fault, "HTTP 503", "cut", "late" after ten seconds, or "not mine" for an answer
// that its key does not open. A result comes with the first two.
func (w *rxWorld) rxPost(c *http.Client, host int, tk token, q *rxRequest) (*xmltree.Node, string) {
	w.t.Helper()
	payload := w.rxPayload(tk, q)
	return w.rxPostBytes(c, host, q, w.message(payload, tk))
}

func (w *rxWorld) rxPostBytes(c *http.Client, host int, q *rxRequest, msg []byte) (*xmltree.Node, string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	rq, err := http.NewRequestWithContext(ctx, http.MethodPost, w.s.URL(uddiRecipe+string(q.role)+":v4", host), bytes.NewReader(msg))
	if err != nil {
		w.t.Fatal(err)
	}
	rq.Header.Set("Content-Type", soap.ContentType)
	rq.Header.Set("SOAPAction", `"`+nsRecipe+":"+rxOperation(w.t, q.role, q.op).action+`"`)
	rs, err := c.Do(rq)
	if err != nil {
		if ctx.Err() != nil {
			return nil, "late"
		}
		return nil, "cut"
	}
	defer rs.Body.Close()
	body, err := io.ReadAll(rs.Body)
	if err != nil {
		return nil, "cut"
	}
	m, err := soap.Parse(body, xmltree.Limits{})
	if err != nil {
		return nil, fmt.Sprint("HTTP ", rs.StatusCode)
	}
	if f, ok := m.Fault(); ok {
		return nil, f.FaultString
	}
	return w.rxRead(q, m.Payload)
}

// rxRead opens an answer that may be anybody's.
func (w *rxWorld) rxRead(q *rxRequest, n *xmltree.Node) (*xmltree.Node, string) {
	w.t.Helper()
	if v, _ := n.Child(nsCommons20, "Status").Child(nsCommons20, "StatusCode").Attr("", "Value"); v != recipeSuccess {
		return nil, v[strings.LastIndexByte(v, ':')+1:]
	}
	for d := range n.Descendants() {
		if !d.Is("", "SecuredContent") {
			continue
		}
		sealed, err := base64.StdEncoding.DecodeString(textOf(d))
		if err != nil {
			w.t.Fatal(err)
		}
		plain, err := rxTryDecrypt(q.key, sealed)
		if err != nil {
			return nil, "not mine"
		}
		result, err := xmltree.Parse(plain, xmltree.Limits{})
		if err != nil {
			return nil, "not mine"
		}
		status := result.Child("", "status")
		if code := textOf(status.Child("", "code")); code != "300" {
			return result, code
		}
		return result, textOf(status.Child("", "messageCode"))
	}
	return nil, "nothing"
}

func (w *rxWorld) rxInject(rows ...string) {
	w.t.Helper()
	sc, err := ParseScript(strings.Join(rows, "\n"))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.s.Apply(sc); err != nil {
		w.t.Fatal(err)
	}
}

// TestRecipeOutcomes: what a prescriber sees of the engine's faults, and what was done all the same.
func TestRecipeOutcomes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	for _, tc := range []struct {
		row     string
		host    int
		want    string
		created int
	}{
		{"", 0, "100", 1},
		{"", 1, "100", 1},
		{"recipe-presc 0 to_end lost_ack p=1", 0, "cut", 1},
		{"recipe-presc 0 to_end lost_ack p=1", 1, "100", 1},
		{"recipe-direct 0 to_end lost_ack p=1", 1, "cut", 1},
		{"recipe-exec 0 to_end lost_ack p=1", 0, "100", 1},
		{"recipe-presc 0 to_end slow median_ms=12000;sigma=0", 0, "late", 1},
		{"recipe-presc 0 to_end slow median_ms=12000;sigma=0;late=1", 0, "late", 1},
		{"recipe-presc 0 to_end hang -", 0, "late", 0},
		{"recipe-presc 0 to_end hang exec=1", 0, "late", 1},
		{"recipe-presc 0 to_end http status=503;body=html", 0, "HTTP 503", 0},
		{"recipe-presc 0 to_end http status=503;body=empty;exec=1", 0, "HTTP 503", 1},
		{"recipe-presc 0 to_end fault code=SOA-02002;retry=true", 0, "SOA-02002", 0},
		{"recipe-presc 0 to_end fault code=SOA-02002;exec=1", 0, "SOA-02002", 1},
		{"recipe-direct 0 to_end fault code=SOA-02002;exec=1", 1, "SOA-02002", 1},
		{"esb 0 to_end fault code=SOA-02001", 0, "SOA-02001", 0},
		{"esb 0 to_end fault code=SOA-02001", 1, "100", 1},
		{"recipe-presc 0 to_end refuse_auth code=SOA-01002;scope=all", 0, "SOA-01002", 0},
		{"recipe-presc 0 to_end refuse -", 0, "cut", 0},
		{"recipe-presc 0 to_end inner message=error.x", 0, "error.x", 0},
		{"recipe-presc 0 to_end inner message=error.x;exec=1", 0, "error.x", 1},
		{"recipe-presc 0 to_end inner op=listOpenRids", 0, "100", 1},
		{"recipe-presc 0 to_end outer -", 0, "Responder", 0},
		{"recipe-presc 0 to_end outer exec=1", 0, "Responder", 1},
		{"recipe-presc 0 to_end missing -", 0, "nothing", 1},
		{"recipe-presc 0 to_end corrupt -", 0, "not mine", 1},
		{"recipe-presc 0 to_end corrupt how=text", 0, "not mine", 1},
		{"recipe-presc 0 to_end corrupt how=key", 0, "not mine", 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newRxWorld(t)
			if tc.row != "" {
				w.rxInject(tc.row)
			}
			_, got := w.rxPost(w.s.HTTPClient(), tc.host, w.doctors[0], w.rxCreate(rxDraft{}))
			w.s.ClearFaults()
			time.Sleep(time.Minute)
			if n := len(w.s.Prescriptions()); got != tc.want || n != tc.created || w.s.State().Effects["recipe.created"] != n {
				t.Errorf("%q at host %d: %s, %d created; want %s, %d", tc.row, tc.host, got, n, tc.want, tc.created)
			}
		})
	}
}

// TestRecipeOneCountry: what is created at one host is read, delivered and archived at the other one.
func TestRecipeOneCountry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRxWorld(t)
		c := w.s.HTTPClient()
		created, code := w.rxPost(c, 0, w.doctors[0], w.rxCreate(rxDraft{}))
		rid := textOf(created.Child("", "rid"))
		if code != "100" || rid == "" {
			t.Fatal(code)
		}
		for i, op := range []string{"getPrescriptionForExecutor", "markAsDelivered", "markAsArchived", "markAsArchived"} {
			want := "100"
			if i == 3 {
				want = recipeWrongState
			}
			if _, got := w.rxPost(c, 1-i%2, w.pharmacies[0], rxWith(op, rid)); got != want {
				t.Errorf("%s at host %d: %s", op, 1-i%2, got)
			}
		}
		st := w.s.State()
		for name, want := range map[string]int{"recipe.created": 1, "recipe.inprocess": 1, "recipe.delivered": 1, "recipe.archived": 1, "recipe.repeated": 0} {
			if st.Effects[name] != want {
				t.Errorf("%s: %d", name, st.Effects[name])
			}
		}
		if st.Requests["recipe-presc"] != 1 || st.Requests["recipe-direct"] != 2 || st.Requests["recipe-exec"] != 2 {
			t.Errorf("requests %v", st.Requests)
		}
	})
}

// TestRecipeBlindRepeat: a client that sends a create again after a lost answer has two prescriptions, and the sandbox sees
// that the Id came twice.
func TestRecipeBlindRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRxWorld(t)
		w.rxInject("recipe-presc 0 to_end lost_ack p=1;max=1")
		c := w.s.HTTPClient()
		for i, want := range []string{"cut", "100"} {
			q := w.rxCreate(rxDraft{})
			q.id = "id-of-both"
			if _, got := w.rxPost(c, 0, w.doctors[0], q); got != want {
				t.Errorf("%d: %s, want %s", i, got, want)
			}
		}
		if e := w.s.State().Effects; e["recipe.created"] != 2 || e["recipe.repeated"] != 1 {
			t.Errorf("effects %v", e)
		}
	})
}

// TestRecipeSwappedAnswers: a swapped answer is never one's own: with a key of his own per call nobody can read it; with one key for
// all calls a doctor is shown another patient's prescription, and never a repetition of the one he asked for.
func TestRecipeSwappedAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRxWorld(t)
		c := w.s.HTTPClient()
		key := newRxKey()
		other := w.s.Patients()[1].SSIN.Reveal()
		rids := []string{w.rxCreated(rxDraft{}), w.rxCreated(rxDraft{patient: other})}
		w.rxInject("recipe-presc 0 to_end misroute p=1")
		ask := func(rid string, key []byte) (string, string) {
			q := rxOf("getPrescription", rid)
			q.key = key
			n, code := w.rxPost(c, 0, w.doctors[0], q)
			return textOf(n.Child("", "rid")), code
		}
		for i, want := range []string{rids[0], rids[0], rids[0]} { // the second gets what the first got
			if rid, code := ask(rids[i%2], key); code != "100" || rid != want {
				t.Errorf("shared key, call %d: %s", i, code)
			}
		}
		if _, code := ask(rids[1], nil); code != "not mine" {
			t.Errorf("fresh key: %s", code)
		}
		if n := w.s.State().Hits["recipe-presc"]["misroute"]; n != 2 {
			t.Errorf("%d answers were swapped", n)
		}
	})
}

// TestRecipeCapacity: a step of capacity takes the peaks of the country for the two services.
func TestRecipeCapacity(t *testing.T) {
	for service, want := range map[string]float64{"recipe-presc": 32, "recipe-exec": 63, "recipe-direct": 95} {
		if got := PeakRate(service); got != want {
			t.Errorf("%s: %v a second", service, got)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newRxWorld(t)
		w.rxInject("recipe-presc 0 to_end capacity rps=1;queue=0;over=503")
		c := w.s.HTTPClient()
		list := &rxRequest{role: recipePrescriber, op: "listOpenRids", param: "<patientId>" + w.patient + "</patientId>"}
		var got []string
		for range 3 {
			q := *list
			_, code := w.rxPost(c, 0, w.doctors[0], &q)
			got = append(got, code)
		}
		if strings.Join(got, " ") != "100 100 HTTP 503" && strings.Join(got, " ") != "100 HTTP 503 HTTP 503" {
			t.Errorf("%v", got)
		}
	})
}

// TestRecipeKeyMoves: what is sealed for the number that Recip-e had is refused as long as it has another, and the other way
// round (INC-2026-02-04-ETK).
func TestRecipeKeyMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRxWorld(t)
		before, err := w.s.serviceKeys("CBE", recipeCBE, "")
		if err != nil {
			t.Fatal(err)
		}
		moved, err := w.s.central("CBE", recipeCBE, "").after("0206653946").credentials()
		if err != nil {
			t.Fatal(err)
		}
		w.rxInject("etk 10 100 key_rotate old=0823257311;new=0206653946;lag_s=20")
		for _, tc := range []struct {
			after      time.Duration
			depot      string // what the depot says to the old number
			old, moved string
		}{
			{0, before[1].Alias, "100", "Requester"},
			{15 * time.Second, "NO_MATCHING_ETK", "100", "Requester"},
			{20 * time.Second, "NO_MATCHING_ETK", "Requester", "100"},
			{100 * time.Second, before[1].Alias, "100", "Requester"},
		} {
			time.Sleep(tc.after)
			got := map[string]string{}
			for name, to := range map[string]*Credential{"old": &before[1], "moved": &moved[1]} {
				q := w.rxCreate(rxDraft{expires: "2000-03-01"})
				q.to = to
				n := w.answered(w.rxSend(w.doctors[0], q))
				_, got[name] = w.rxRead(q, n)
			}
			if depot := w.askETK("CBE", recipeCBE, "-"); got["old"] != tc.old || got["moved"] != tc.moved || depot != tc.depot {
				t.Errorf("%s later: old %s, moved %s, want %s, %s", tc.after, got["old"], got["moved"], tc.old, tc.moved)
			}
		}
		if err := w.s.RotateKey(Holder{Type: "CBE", Number: recipeCBE}); err != nil {
			t.Fatal(err)
		}
		w.rxCreated(rxDraft{expires: "2000-03-01"})
		q := w.rxCreate(rxDraft{expires: "2000-03-01"})
		q.to = &before[1]
		if _, code := w.rxCall(w.doctors[0], q); code != "100" {
			t.Errorf("the former key after a renewal: %s", code)
		}
	})
}

// TestRecipeStamped: version v2 gives the prescription with its prescriber's token under Recip-e's signature, any other the
// sealed prescription alone; what the insurer says comes along unless it is not wanted.
func TestRecipeStamped(t *testing.T) {
	w := newRxWorld(t)
	for _, version := range []string{"v2", "v1"} {
		rid := w.rxCreated(rxDraft{})
		q := rxWith("getPrescriptionForExecutor", rid)
		q.param = strings.Replace(q.param, "v2", version, 1)
		content := binaryOf(w.rxOK(w.pharmacies[0], q).Child("", "prescription"))
		again := binaryOf(w.rxOK(w.pharmacies[0], &rxRequest{role: q.role, op: q.op, param: q.param, clear: q.clear}).Child("", "prescription"))
		if !bytes.Equal(content, again) {
			t.Error("not the same document twice")
		}
		if version == "v1" {
			if string(content) != "sealed" {
				t.Error("not what was created")
			}
			continue
		}
		w.stampedBy(parsed(t, content), rid)
	}
	for disabled, wants := range map[string]bool{"true": false, "1": false, "false": true, "0": true} {
		q := rxWith("getPrescriptionForExecutor", w.rxCreated(rxDraft{typ: "P1"}))
		q.clear = "<DisablePatientInsurabilityCheckParam>" + disabled + "</DisablePatientInsurabilityCheckParam>"
		w.rxOK(w.pharmacies[0], q)
		n := parsed(t, w.outer[len(w.outer)-1].doc)
		answer := n.Child("", "GetInsurabilityForPharmacistResponse")
		if textOf(n.Child("", "PrescriptionType")) != "P1" || (answer != nil) != wants {
			t.Errorf("disabled %s: %v", disabled, answer != nil)
		}
		if ssin := textOf(nodeAt(answer.Child(nsPharma, "InsurabilityResponse"), nsPharmaCore, "CareReceiver", "Ssin")); wants && ssin != w.patient {
			t.Error("of another patient")
		}
	}
	w.rxValid()
}

// stampedBy checks a timestampedPrescription.
func (w *rxWorld) stampedBy(doc *xmltree.Node, rid string) {
	w.t.Helper()
	got, err := dsig.Verify(doc.Child(dsig.NS, "Signature"), dsig.Policy{
		IDs: []dsig.IDAttr{{Local: "Id"}},
		Key: func(info *xmltree.Node) (*x509.Certificate, error) {
			certs, err := dsig.Certificates(info)
			if err != nil {
				return nil, err
			}
			return dsig.Leaf(certs)
		},
	})
	if err != nil || !got.Covers(doc) {
		w.t.Fatalf("signature: %v", err)
	}
	if _, err := w.s.pki.clientChain(got.Certificate, time.Now()); err != nil || !strings.Contains(got.Certificate.Subject.CommonName, "CBE="+recipeCBE) {
		w.t.Errorf("signer: %v", err)
	}
	inside := doc.Child("", "prescriptionWithSecurityToken")
	a, err := saml.Parse(nodeAt(inside, "", "securityToken").Child(saml.NS, "Assertion"))
	if err != nil || a.ID != w.doctors[0].ID {
		w.t.Errorf("token: %v", err)
	}
	if r := w.s.trusts(a, time.Now()); r != nil {
		w.t.Error("the token inside is not good any more")
	}
	want := map[string]string{
		"rid": rid, "encryptionKeyId": rxKeyID, "prescriptionSealed": b64([]byte("sealed")), "prescriptionType": "P0", "patientId": w.patient,
		"prescriberId": w.authors[0].NIHII.Full(), "feedbackRequested": "true",
	}
	for local, value := range want {
		if got := textOf(inside.Child("", local)); got != value {
			w.t.Errorf("%s differs", cmp.Or(local, got))
		}
	}
}
