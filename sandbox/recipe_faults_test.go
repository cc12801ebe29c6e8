package sandbox

import (
	"bytes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // what Recip-e answers with
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func TestRecipeFaultRows(t *testing.T) {
	for _, tc := range []struct {
		row  string
		want Fault
	}{
		{"recipe-presc 0 9 inner -", InnerStatus{Code: 300, Message: "error.sandbox.scripted", P: 1}},
		{
			"recipe-exec 0 9 inner code=500;message=error.x;status=Delivered;by=21999994;op=markAsDelivered;p=0.5;exec=0.25",
			InnerStatus{Code: 500, Message: "error.x", Status: "Delivered", By: "21999994", Op: "markAsDelivered", P: 0.5, Exec: 0.25},
		},
		{"recipe-direct 0 9 outer -", OuterStatus{Code: "urn:be:fgov:ehealth:2.0:status:Responder", P: 1}},
		{"recipe-presc 0 9 outer code=urn:x:y;message=later;op=listOpenRids;exec=1", OuterStatus{
			Code: "urn:x:y", Message: "later", Op: "listOpenRids", P: 1, Exec: 1,
		}},
		{"recipe-presc 0 9 corrupt -", CorruptAnswer{How: "bytes", P: 1}},
		{"recipe-presc 0 9 corrupt how=key;op=getPrescription;p=0.5", CorruptAnswer{How: "key", Op: "getPrescription", P: 0.5}},
		{"recipe-presc 0 9 missing op=createPrescription", MissingAnswer{Op: "createPrescription", P: 1}},
		{"recipe-presc 0 9 lag s=12.5", ListLag{By: 12500 * time.Millisecond}},
	} {
		got, err := ParseStep(tc.row)
		if err != nil {
			t.Errorf("%s: %v", tc.row, err)
			continue
		}
		if got.Fault != tc.want {
			t.Errorf("%s: %#v, want %#v", tc.row, got.Fault, tc.want)
		}
		if again, err := ParseStep(got.String()); err != nil || again != got {
			t.Errorf("%s prints as %q, which reads as %v (%v)", tc.row, got, again, err)
		}
	}
}

func TestRecipeFaultRowsRefused(t *testing.T) {
	for row, reason := range map[string]string{
		"genins 0 9 inner -":                           "not a fault of genins",
		"esb 0 9 lag s=1":                              "not a fault of esb",
		"recipe-presc 0 9 inner code=100":              "code:",
		"recipe-presc 0 9 inner code=12":               "code:",
		"recipe-presc 0 9 inner status=Lost":           "status:",
		"recipe-presc 0 9 inner by=pharmacy":           "by:",
		"recipe-presc 0 9 inner op=No":                 "op:",
		"recipe-presc 0 9 inner exec=2":                "exec:",
		"recipe-presc 0 9 inner p=2":                   "p:",
		"recipe-presc 0 9 outer code=" + recipeSuccess: "code:",
		"recipe-presc 0 9 outer op=1":                  "op:",
		"recipe-presc 0 9 outer p=0":                   "p:",
		"recipe-presc 0 9 corrupt how=sideways":        "how:",
		"recipe-presc 0 9 corrupt op=X":                "op:",
		"recipe-presc 0 9 missing op=X":                "op:",
		"recipe-presc 0 9 missing p=3":                 "p:",
		"recipe-presc 0 9 lag -":                       "s:",
		"recipe-presc 0 9 lag s=-1":                    "s:",
	} {
		_, err := ParseStep(row)
		var se *ScriptError
		if !errors.As(err, &se) || !strings.Contains(se.Reason, reason) {
			t.Errorf("%s: %v, want %q", row, err, reason)
		}
	}
}

// sealedIn is the SecuredContent of an answer, with its outer status and message.
func sealedIn(w *homeWorld, rs *response) (code, message string, sealed []byte) {
	w.t.Helper()
	n := w.answered(rs)
	w.outer = append(w.outer, rxAnswer{recipePrescriber, bytes.Clone(n.Source())})
	status := n.Child(nsCommons20, "Status")
	code, _ = status.Child(nsCommons20, "StatusCode").Attr("", "Value")
	for d := range n.Descendants() {
		if d.Is("", "SecuredContent") {
			sealed = binaryOf(d)
		}
	}
	return code, textOf(status.Child(nsCommons20, "StatusMessage")), sealed
}

// TestRecipeInner: a scripted inner failure of one operation, executed or not.
func TestRecipeInner(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	rid := w.rxCreated(rxDraft{})
	w.rxOK(w.pharmacies[0], rxWith("getPrescriptionForExecutor", rid))
	cancel := inject(t, w.s, "recipe-exec 0 to_end inner code=500;message=error.x;status=Delivered;by="+w.numbers[1]+";op=markAsDelivered")
	q := rxWith("markAsDelivered", rid)
	rs := w.rxSend(w.pharmacies[0], q)
	n, code := w.rxOpen(q, rs)
	if code != "500" || rs.Effect != "" || textOf(nodeAt(n, "", "status", "messageCode")) != "error.x" ||
		textOf(nodeAt(n, "", "status", "statusUpdater")) != w.numbers[1] || textOf(nodeAt(n, "", "status", "prescriptionStatus")) != "Delivered" {
		t.Errorf("code %s, effect %q", code, rs.Effect)
	}
	if p, _ := w.s.Prescription(rid); p.Status != InProcess {
		t.Errorf("state %s", p.Status)
	}
	w.rxOK(w.pharmacies[0], rxWith("getPrescriptionStatus", rid)) // another operation
	cancel()
	cancel = inject(t, w.s, "recipe-exec 0 to_end inner exec=1")
	rs = w.rxSend(w.pharmacies[0], q)
	if _, code = w.rxOpen(q, rs); code != "error.sandbox.scripted" || rs.Effect != "recipe.delivered" {
		t.Errorf("executed: code %s, effect %q", code, rs.Effect)
	}
	cancel()
	if got := w.s.State().Hits["recipe-exec"]["inner"]; got != 2 {
		t.Errorf("%d hits", got)
	}
}

// TestRecipeOuter: another outer status without content, executed or not, at one of the two hosts.
func TestRecipeOuter(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	for _, tc := range []struct {
		params, code, message, effect string
	}{
		{"-", outerResponder, "", ""},
		{"code=urn:x;message=later;op=createPrescription;exec=1", "urn:x", "later", "recipe.created"},
	} {
		cancel := inject(t, w.s, "recipe-presc 0 to_end outer "+tc.params)
		rs := w.rxSend(w.doctors[0], w.rxCreate(rxDraft{}))
		code, message, sealed := sealedIn(w, rs)
		if code != tc.code || message != tc.message || sealed != nil || rs.Effect != tc.effect {
			t.Errorf("%s: %s %q, %d bytes, effect %q", tc.params, code, message, len(sealed), rs.Effect)
		}
		cancel()
	}
	if got := len(w.s.Prescriptions()); got != 1 {
		t.Errorf("%d prescriptions", got)
	}
}

// TestRecipeUnusable: the operation is executed and its answer is damaged, sealed for another key, or absent.
func TestRecipeUnusable(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	made := 0
	for _, params := range []string{"corrupt -", "corrupt how=text", "corrupt how=key", "missing -"} {
		cancel := inject(t, w.s, "recipe-presc 0 to_end "+params)
		q := w.rxCreate(rxDraft{})
		rs := w.rxSend(w.doctors[0], q)
		cancel()
		made++
		code, _, sealed := sealedIn(w, rs)
		if code != recipeSuccess || rs.Effect != "recipe.created" || len(w.s.Prescriptions()) != made {
			t.Errorf("%s: %s, effect %q", params, code, rs.Effect)
		}
		if params == "missing -" {
			if sealed != nil {
				t.Errorf("%s: %d bytes", params, len(sealed))
			}
			continue
		}
		plain, padded := unpadded(t, q.key, sealed)
		_, err := xmltree.Parse(plain, xmltree.Limits{})
		if err == nil {
			t.Errorf("%s: can be read", params)
		}
		if isText := params == "corrupt how=text"; isText != (padded && strings.Contains(string(plain), "createPrescriptionResult")) {
			t.Errorf("%s: opens %t", params, padded)
		}
	}
}

// unpadded opens an answer that may be damaged.
func unpadded(t *testing.T, key, sealed []byte) (plain []byte, ok bool) {
	t.Helper()
	block, err := des.NewTripleDESCipher(key) //nolint:gosec // the protocol
	if err != nil || len(sealed) == 0 || len(sealed)%des.BlockSize != 0 {
		t.Fatalf("%d bytes: %v", len(sealed), err)
	}
	out := bytes.Clone(sealed)
	eachBlock(out, block, cipher.Block.Decrypt)
	pad := int(out[len(out)-1])
	if pad == 0 || pad > des.BlockSize || !bytes.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return out, false
	}
	return out[:len(out)-pad], true
}

// TestRecipeKeyRotate: while the step lasts, Recip-e opens what is sealed for the key it has, and nothing else.
func TestRecipeKeyRotate(t *testing.T) {
	w := newHomeWorld(t)
	defer w.conform()
	rest := w.s.central("CBE", recipeCBE, "")
	keys := map[string]Credential{}
	for name, c := range map[string]*centralService{"old": rest, "new": rest.after("0206653946")} {
		all, err := c.Encryption()
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = all[0]
	}
	opens := func(name string) bool {
		t.Helper()
		q, key := w.rxCreate(rxDraft{}), keys[name]
		q.to = &key
		_, code := w.rxCall(w.doctors[0], q)
		return code == "100"
	}
	for _, tc := range []struct {
		row      string
		old, new bool
	}{
		{"", true, false},
		{"etk 0 to_end key_rotate old=0823257311;new=0206653946;lag_s=200000", true, false},
		{"recipe-presc 0 to_end key_rotate old=0823257311;new=0206653946;lag_s=0", false, true},
		{"recipe-exec 0 to_end key_rotate old=0823257311;new=0206653946;lag_s=0", false, true},
		{"", true, false},
	} {
		cancel := func() {}
		if tc.row != "" {
			cancel = inject(t, w.s, tc.row)
		}
		if opens("old") != tc.old || opens("new") != tc.new {
			t.Errorf("%q: opens old %t, new %t", tc.row, opens("old"), opens("new"))
		}
		cancel()
	}
}

// TestRecipeGetKeyRefused: the key service refuses by script what Recip-e gives.
func TestRecipeGetKeyRefused(t *testing.T) {
	w := newHomeWorld(t)
	p := w.authors[0]
	id, _ := w.newKGSSKey(p, kgssReaderXML("AllowedReader", nsCertified, claimPSE+"doctor:nihii11", ""))
	etk, err := w.s.ETK(Holder{Type: identity.TypeSSIN, Number: p.SSIN.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	get := func() *response {
		t.Helper()
		content := `<k:KeyIdentifier>` + b64(id) + `</k:KeyIdentifier><k:ETK>` + b64(etk) + `</k:ETK>`
		return w.call(pathKGSS, "", w.message(w.kgssMessage("GetKeyRequest", content, w.doctors[0].key), w.doctors[0]))
	}
	if _, code := w.kgssAnswer(get()); code != "" {
		t.Fatalf("GetKey: %s", code)
	}
	cancel := inject(t, w.s, "kgss 0 to_end refuse_auth scope=all;code=SOA-01002")
	defer cancel()
	w.refusedWith(get(), "SOA-01002")
}
