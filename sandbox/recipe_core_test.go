package sandbox

import (
	"bytes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // what Recip-e answers with
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// rxWorld is a sandbox with two doctors, two pharmacies and a patient, and a client of Recip-e that is made of strings.
type rxWorld struct {
	*world
	doctors    [2]token
	authors    [2]*Person
	pharmacies [2]token
	numbers    [2]string // of the pharmacies
	patient    string

	outer, inner []rxAnswer // every answer, for schema validation
}

// rxAnswer is one answer of a service.
type rxAnswer struct {
	role recipeRole
	doc  []byte
}

func newRxWorld(t testing.TB) *rxWorld {
	t.Helper()
	w := &rxWorld{world: newWorld(t)}
	for i := range w.doctors {
		w.authors[i], w.doctors[i] = w.doctorToken(i)
		p, tk := w.pharmacyToken(i)
		w.pharmacies[i], w.numbers[i] = tk, p.Pharmacy.Number
	}
	if w.numbers[0] == w.numbers[1] {
		t.Fatal("both pharmacists work in one pharmacy")
	}
	w.patient = w.s.Patients()[0].SSIN.Reveal()
	return w
}

// rxRequest is one request in the making. What is empty takes the value that goes with the operation.
type rxRequest struct {
	role   recipeRole
	op     string // name of the operation
	param  string // children of the param
	root   string // local name of the param
	attrs  string // of the param, with a blank in front
	space  string // namespace of the param
	key    []byte
	noKey  bool   // param has no symmKey of its own
	clear  string // what follows the Secured element
	head   string // attributes of the outer element
	id     string
	action string // "-" = none
	to     *Credential
	by     *Credential
	raw    []byte // instead of sealed
	path   string // "" = that of the role
}

func rxNow() string { return recipeTime(time.Now()) }

// newRxKey is a symmKey.
func newRxKey() []byte {
	key := make([]byte, 24)
	_, _ = rand.Read(key)
	return key
}

// rxPayload seals the param of q and writes the outer element.
func (w *rxWorld) rxPayload(tk token, q *rxRequest) string {
	w.t.Helper()
	op := rxOperation(w.t, q.role, q.op)
	if q.key == nil {
		q.key = newRxKey()
	}
	root, space, id := op.param, nsRecipeSealed+string(q.role), "id"+randomHex(16)
	if q.root != "" {
		root = q.root
	}
	if q.space != "" {
		space = q.space
	}
	if q.id != "" {
		id = q.id
	}
	param := `<r:` + root + ` xmlns:r="` + space + `"` + q.attrs + `>` + q.param
	if !q.noKey {
		param += `<symmKey>` + b64(q.key) + `</symmKey>`
	}
	param += `</r:` + root + `>`
	sealed := q.raw
	if sealed == nil {
		keys, err := w.s.serviceKeys("CBE", recipeCBE, "")
		if err != nil {
			w.t.Fatal(err)
		}
		to, by := keys[1], tk.key
		if q.to != nil {
			to = *q.to
		}
		if q.by != nil {
			by = *q.by
		}
		if sealed, err = seal([]byte(param), by, time.Now(), cms.ForCertificate{Certificate: to.Certificate}); err != nil {
			w.t.Fatal(err)
		}
	}
	head := q.head
	if head == "" {
		head = `Id="` + id + `" IssueInstant="` + rxNow() + `" ProgramId="test/1"`
	}
	return fmt.Sprintf(`<v4:%[1]sRequest xmlns:v4="%[2]s" %[3]s><Secured%[1]sRequest><SecuredContent>%[4]s</SecuredContent></Secured%[1]sRequest>%[5]s</v4:%[1]sRequest>`,
		op.stem, nsRecipe, head, b64(sealed), q.clear)
}

func rxOperation(t testing.TB, role recipeRole, name string) *recipeOperation {
	t.Helper()
	for _, op := range recipeServices()[role].byElement {
		if op.name == name {
			return op
		}
	}
	t.Fatalf("no operation %s of the %s", name, role)
	return nil
}

func rxPath(role recipeRole) string {
	return pathRecipe + strings.ToUpper(string(role[:1])) + string(role[1:])
}

// rxSend sends a request.
func (w *rxWorld) rxSend(tk token, q *rxRequest) *response {
	w.t.Helper()
	payload := w.rxPayload(tk, q)
	action := q.action
	switch action {
	case "":
		action = nsRecipe + ":" + rxOperation(w.t, q.role, q.op).action
	case "-":
		action = ""
	}
	path := q.path
	if path == "" {
		path = rxPath(q.role)
	}
	return w.call(path, action, w.message(payload, tk))
}

// rxTryDecrypt opens an answer: 3DES, ECB, PKCS #5.
func rxTryDecrypt(key, sealed []byte) ([]byte, error) {
	block, err := des.NewTripleDESCipher(key) //nolint:gosec // the protocol
	if err != nil {
		return nil, err
	}
	if len(sealed) == 0 || len(sealed)%des.BlockSize != 0 {
		return nil, errors.New("not whole blocks")
	}
	out := bytes.Clone(sealed)
	eachBlock(out, block, cipher.Block.Decrypt)
	pad := int(out[len(out)-1])
	if pad == 0 || pad > des.BlockSize || !bytes.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errors.New("wrong padding")
	}
	return out[:len(out)-pad], nil
}

// rxDecrypt opens an answer that must be good.
func rxDecrypt(t testing.TB, key, sealed []byte) []byte {
	t.Helper()
	out, err := rxTryDecrypt(key, sealed)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rxOpen opens a good answer and returns the result and its code: "100", or the messageCode of a 300.
func (w *rxWorld) rxOpen(q *rxRequest, rs *response) (*xmltree.Node, string) {
	w.t.Helper()
	n := w.answered(rs)
	w.outer = append(w.outer, rxAnswer{q.role, bytes.Clone(n.Source())})
	if v, _ := n.Child(nsCommons20, "Status").Child(nsCommons20, "StatusCode").Attr("", "Value"); v != recipeSuccess {
		return nil, v[strings.LastIndexByte(v, ':')+1:]
	}
	stem := strings.TrimSuffix(n.Local(), "Response")
	sealed, err := base64.StdEncoding.DecodeString(textOf(nodeAt(n, "", "Secured"+stem+"Response", "SecuredContent")))
	if err != nil {
		w.t.Fatal(err)
	}
	doc := rxDecrypt(w.t, q.key, sealed)
	result := parsed(w.t, doc)
	w.inner = append(w.inner, rxAnswer{q.role, doc})
	if !result.Is(nsRecipeSealed+string(q.role), rxOperation(w.t, q.role, q.op).result) {
		w.t.Errorf("result %s of %s", result.Local(), q.op)
	}
	code := textOf(nodeAt(result, "", "status", "code"))
	if code == "300" {
		return result, textOf(nodeAt(result, "", "status", "messageCode"))
	}
	return result, code
}

// rxCall sends a request and opens its answer.
func (w *rxWorld) rxCall(tk token, q *rxRequest) (*xmltree.Node, string) {
	w.t.Helper()
	return w.rxOpen(q, w.rxSend(tk, q))
}

// rxOK calls and wants success.
func (w *rxWorld) rxOK(tk token, q *rxRequest) *xmltree.Node {
	w.t.Helper()
	n, code := w.rxCall(tk, q)
	if code != "100" {
		w.t.Fatalf("%s: %s", q.op, code)
	}
	return n
}

// rxDraft is a createPrescription in the making; fields replace what they name.
type rxDraft struct {
	patient, typ, keyID, sealed, expires, vision, others, more string
	outerType, outerKey                                        string
	without                                                    string // element that is left out
}

const rxKeyID = "AAECAwQFBgcICQoLDA0ODw=="

func (w *rxWorld) rxCreate(d rxDraft) *rxRequest {
	or := func(v *string, def string) {
		switch *v {
		case "":
			*v = def
		case "-":
			*v = ""
		}
	}
	or(&d.patient, w.patient)
	or(&d.typ, "P0")
	or(&d.keyID, rxKeyID)
	or(&d.sealed, b64([]byte("sealed")))
	or(&d.expires, time.Now().In(brussels).AddDate(0, 3, -1).Format(time.DateOnly))
	or(&d.outerType, d.typ)
	or(&d.outerKey, b64([]byte(d.keyID)))
	var b strings.Builder
	for _, f := range [][2]string{
		{"patientId", d.patient},
		{"prescription", d.sealed},
		{"prescriptionType", d.typ},
		{"feedbackRequested", "true"},
		{"keyId", d.keyID},
		{"expirationDate", d.expires},
		{"vision", d.vision},
		{"visionOtherPrescribers", d.others},
	} {
		if f[0] != d.without && (f[1] != "" || !strings.HasPrefix(f[0], "vision")) {
			fmt.Fprintf(&b, "<%s>%s</%s>", f[0], f[1], f[0])
		}
	}
	return &rxRequest{
		role: recipePrescriber, op: "createPrescription", param: b.String() + d.more,
		clear: `<AdministrativeInformation><PrescriptionType>` + d.outerType + `</PrescriptionType><PrescriptionVersion>kmehr_1.29</PrescriptionVersion>` +
			`<ReferenceSourceVersion>samv2:1</ReferenceSourceVersion><KeyIdentifier>` + d.outerKey + `</KeyIdentifier></AdministrativeInformation>`,
	}
}

// rxCreated makes a prescription of the first doctor and returns its RID.
func (w *rxWorld) rxCreated(d rxDraft) string {
	w.t.Helper()
	q := w.rxCreate(d)
	rs := w.rxSend(w.doctors[0], q)
	n, code := w.rxOpen(q, rs)
	if code != "100" || rs.Effect != "recipe.created" {
		w.t.Fatalf("create: %s, effect %q", code, rs.Effect)
	}
	return textOf(n.Child("", "rid"))
}

// rxAbout is a request about a prescription.
func rxAbout(role recipeRole, op, rid string) *rxRequest {
	q := &rxRequest{role: role, op: op, param: "<rid>" + rid + "</rid>"}
	switch op {
	case "revokePrescription":
		q.param += "<reason>test</reason>"
	case "getPrescriptionForExecutor":
		q.clear = "<DisablePatientInsurabilityCheckParam>true</DisablePatientInsurabilityCheckParam>"
		q.param += "<version>v2</version>"
	}
	return q
}

func rxOf(op, rid string) *rxRequest   { return rxAbout(recipePrescriber, op, rid) }
func rxWith(op, rid string) *rxRequest { return rxAbout(recipeExecutor, op, rid) }

func TestRecipeLife(t *testing.T) {
	w := newRxWorld(t)
	rid := w.rxCreated(rxDraft{})
	if r, err := identity.ParseRID(rid); err != nil || r.Type() != "P0" {
		t.Fatal("RID is not one")
	}
	if got := textsOf(w.rxOK(w.doctors[0], &rxRequest{role: recipePrescriber, op: "listOpenRids", param: "<patientId>" + w.patient + "</patientId>"}), "prescriptions"); fmt.Sprint(got) != "["+rid+"]" {
		t.Errorf("open RIDs %d", len(got))
	}
	n := w.rxOK(w.doctors[0], rxOf("getPrescription", rid))
	if textOf(n.Child("", "encryptionKeyId")) != rxKeyID || string(binaryOf(n.Child("", "prescription"))) != "sealed" || textOf(n.Child("", "patientId")) != w.patient {
		t.Error("not what was created")
	}
	state := func(want string) {
		t.Helper()
		if got := textOf(w.rxOK(w.doctors[0], rxOf("getPrescriptionStatus", rid)).Child("", "prescriptionStatus")); got != want {
			t.Errorf("state %s, want %s", got, want)
		}
	}
	state("NotDelivered")
	got := w.rxOK(w.pharmacies[0], rxWith("getPrescriptionForExecutor", rid))
	if textOf(got.Child("", "encryptionKeyId")) != rxKeyID {
		t.Error("key")
	}
	state("InProcess")
	w.rxOK(w.pharmacies[0], rxWith("markAsDelivered", rid))
	state("Delivered")
	w.rxOK(w.pharmacies[0], rxWith("markAsArchived", rid))
	state("Archived")
	p, ok := w.s.Prescription(rid)
	if !ok || p.Deliveries != 1 || len(p.Events) != 4 || p.Updater != w.numbers[0] || p.Events[0].By != w.authors[0].NIHII.Full() || p.Events[3].Program != "test/1" {
		t.Errorf("%d deliveries, %d events", p.Deliveries, len(p.Events))
	}
	if rs := w.rxSend(w.pharmacies[0], rxWith("markAsArchived", rid)); rs.Status != http.StatusOK && rs.Status != 0 || rs.Effect != "" {
		t.Errorf("archived again: %d %q", rs.Status, rs.Effect)
	}
}

// rxRID is the RID of the answer to a create, for goroutines.
func rxRID(t testing.TB, q *rxRequest, rs *response) string {
	doc, err := xmltree.Parse(rs.Body, xmltree.Limits{})
	if err != nil {
		t.Error(err)
		return ""
	}
	for n := range doc.Descendants() {
		if !n.Is("", "SecuredContent") {
			continue
		}
		sealed, err := base64.StdEncoding.DecodeString(textOf(n))
		if err != nil {
			t.Error(err)
			return ""
		}
		plain, err := rxTryDecrypt(q.key, sealed)
		if err != nil {
			t.Error(err)
			return ""
		}
		result, err := xmltree.Parse(plain, xmltree.Limits{})
		if err != nil {
			t.Error(err)
			return ""
		}
		return textOf(result.Child("", "rid"))
	}
	return ""
}

// rxValid checks the answers so far with the schemas: the official ones, and the derived ones for what those do not have. Of
// answers that look alike only some are checked. Results without content are not valid where content is required; an
// official answer to a refused call looks so all the same (dossier 04 section 17).
func (w *rxWorld) rxValid() {
	w.t.Helper()
	const required = "createPrescriptionResult getPrescriptionForPrescriberResult getPrescriptionForExecutorResultSealed listPrescriptionsResult"
	dir := func(elem ...string) string {
		return oracle.Shared(w.t, append([]string{"schemas", "recipe"}, elem...)...)
	}
	seen := map[string]int{}
	check := func(a rxAnswer, outer bool) {
		n := parsed(w.t, a.doc)
		code := textOf(nodeAt(n, "", "status", "code"))
		key := n.Local() + code + string(a.role)
		if seen[key]++; seen[key] > 2 || (code == "300" && strings.Contains(required, n.Local())) {
			return
		}
		schema := dir("wsdl", "recipe-central-system-unsealed", "XSD", "Unsealed"+strings.TrimPrefix(rxPath(a.role), pathRecipe)+"ServicesV4_schema1.xsd")
		switch {
		case outer && n.Local() == "ListPrescriptionsResponse":
			schema = dir("derived", "recipe-protocol-2023-derived.xsd")
		case outer:
			schema = dir("wsdl", "ehealth-recipe-services", "WSDL", "recipeservices_protocol-4_0.xsd")
		case n.Local() == "listPrescriptionsResult":
			schema = dir("derived", "recipe-prescriber-2023-derived.xsd")
		case n.Local() == "getPrescriptionForExecutorResultSealed":
			schema = dir("derived", "recipe-executor-derived.xsd")
		}
		if err := oracle.XSDError(w.t, schema, a.doc); err != nil {
			w.t.Errorf("%s: %v", n.Local(), err)
		}
	}
	for _, a := range w.outer {
		check(a, true)
	}
	for _, a := range w.inner {
		check(a, false)
	}
	if len(seen) == 0 {
		w.t.Error("no answers to check")
	}
}
