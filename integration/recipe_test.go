package integration

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// keysOf loads the key store of a person or an organisation.
func keysOf(t *testing.T, file []byte, err error) *keystore.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s, err := keystore.Load(file, "password")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prescribes is the configuration of the n-th doctor, who prescribes through a recorder.
func (w *world) prescribes(t *testing.T, n int) (ehealth.Config, *keystore.Store, *recorder) {
	t.Helper()
	cfg := w.doctor(t, n)
	file, err := w.sb.Person(identity.Doctor, n).Keystore("password")
	keys := keysOf(t, file, err)
	cfg.Identity = keys
	cfg, r := w.records(t, cfg)
	return cfg, keys, r
}

// dispenses is that of the n-th pharmacy.
func (w *world) dispenses(t *testing.T, n int) (ehealth.Config, *keystore.Store, *recorder) {
	t.Helper()
	cfg := w.doctor(t, 0)
	o := w.sb.Organisation(identity.Pharmacy, n)
	file, err := o.Keystore("password")
	keys := keysOf(t, file, err)
	cfg.Identity = keys
	file, err = o.Holder.Keystore("password")
	cfg.Login = keysOf(t, file, err)
	cfg.Caller = insurability.Caller{
		Quality: identity.Pharmacy, NIHII: identity.MustNIHII(o.Number), Name: o.Name,
		Holder: &insurability.Holder{NIHII: o.Holder.NIHII, Name: o.Holder.Name(), SSIN: o.Holder.SSIN},
	}
	cfg, r := w.records(t, cfg)
	return cfg, keys, r
}

func (w *world) records(t *testing.T, cfg ehealth.Config) (ehealth.Config, *recorder) {
	t.Helper()
	r := &recorder{next: w.sb.HTTPClient().Transport}
	t.Cleanup(r.CloseIdleConnections)
	cfg.Transport, cfg.DataDir, cfg.Outbox, cfg.Recipe = r, t.TempDir(), &ehealth.Outbox{}, &ehealth.Recipe{}
	return cfg, r
}

// cnk makes a number of a product.
func cnk(t *testing.T) identity.CNK {
	t.Helper()
	c, err := identity.NewCNK("123456")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hostile is text that breaks what is pasted together, and what counts bytes or units of 16 bits.
const hostile = `O'Neil & <b>"Søn"</b> ]]> 😀 𝒜`

// prescription is one of every kind of item for the n-th patient, with hostile text in it.
func (w *world) prescription(t *testing.T, n int) kmehr.Prescription {
	t.Helper()
	doctor, patient := w.sb.Person(identity.Doctor, 0), w.sb.Patients()[n]
	y, m, d := patient.Birth.Date()
	daily := kmehr.Text{Lang: "fr", Text: kmehr.Hide("1 par jour " + hostile)}
	return kmehr.Prescription{
		Author: kmehr.Author{
			NIHII: doctor.NIHII, FirstName: kmehr.Hide(doctor.FirstName), FamilyName: kmehr.Hide(hostile), Phone: kmehr.Hide("+3220000000"),
			Address: kmehr.Address{Zip: kmehr.Hide("1000"), City: kmehr.Hide("Brussel"), Street: kmehr.Hide("Straat"), Number: kmehr.Hide("1")},
		},
		Software: kmehr.Software{Name: "MyPractice", Version: "4.2", Phone: "+3220000000", Email: "support@example.be"},
		Source:   kmehr.Source{Version: "SAMPLE"},
		Patient: kmehr.Patient{
			SSIN: patient.SSIN, FirstName: kmehr.Hide(patient.FirstName), FamilyName: kmehr.Hide(hostile), Birth: kmehr.NewDay(y, m, d),
		},
		Items: []kmehr.Item{
			{Medicine: &kmehr.Medicine{CNK: cnk(t), Name: kmehr.Hide(hostile)}, Posology: daily, Quantity: kmehr.Quantity{Value: "999999999"}},
			{Group: &kmehr.Group{Kind: kmehr.VMPGroup, Code: kmehr.Hide("0012345"), Name: kmehr.Hide("Samplinum")}, Posology: daily},
			{Magistral: &kmehr.Magistral{Text: kmehr.Text{Lang: "nl", Text: kmehr.Hide(hostile)}}, Posology: daily, Quantity: kmehr.Quantity{Value: "0.5"}},
		},
	}
}

// TestRecipeWire follows a prescription from the doctor to the pharmacy and lets programs of other authors judge every layer of
// what went over the wire: xmlsec1 the signatures, xmllint the schemas, BouncyCastle and openssl the seals, gzip and the JDK
// the document.
func TestRecipeWire(t *testing.T) {
	w := newWorld(t, sandbox.Config{})
	t.Cleanup(func() { _ = w.sb.Close() })
	recipeKey, err := w.sb.DecryptionKey(sandbox.Holder{Type: identity.TypeCBE, Number: "0823257311"})
	if err != nil {
		t.Fatal(err)
	}
	dcfg, dkeys, dwire := w.prescribes(t, 0)
	pcfg, pkeys, pwire := w.dispenses(t, 0)
	d, p := w.open(t, dcfg), w.open(t, pcfg)
	ask := w.prescription(t, 1)
	made, err := d.Recipe.Prescriber.Create(t.Context(), recipe.CreateRequest{
		Reference: "visit 1", Prescription: ask, Type: identity.PrescriptionP1, VisionOthers: "locked", Feedback: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Recipe.Executor.GetWithInsurability(t.Context(), made.RID)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Recipe.Executor.Deliver(t.Context(), made.RID); err != nil {
		t.Fatal(err)
	}
	doctor, err := dkeys.Authentication()
	if err != nil {
		t.Fatal(err)
	}
	pharmacy, err := pkeys.Authentication()
	if err != nil {
		t.Fatal(err)
	}
	newer, executor := []string{"derived", "recipe-prescriber-2023-derived.xsd"}, sealedXSD("Executor")

	// create
	param, result, asked, _ := judged(t, dwire.one(t, "CreatePrescriptionRequest"), "createPrescription", doctor.Certificate, recipeKey.Key, newer, sealedXSD("Prescriber"))
	if rid := textAt(t, result, "/*/rid"); rid != made.RID.Reveal() || rid == "" {
		t.Error("another RID")
	}
	keyID := textAt(t, param, "/*/keyId")
	clear := func(local string) string { return textAt(t, asked, "/*/AdministrativeInformation/"+local) }
	day := made.Expires
	for what, ok := range map[string]bool{
		"prefix of the body":                strings.HasPrefix(string(asked), "<v4:CreatePrescriptionRequest "),
		"Id is an NCName with a UUID":       regexp.MustCompile(`^id[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(textAt(t, asked, "/*/@Id")),
		"IssueInstant":                      regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)$`).MatchString(textAt(t, asked, "/*/@IssueInstant")),
		"ProgramId":                         textAt(t, asked, "/*/@ProgramId") != "",
		"KeyIdentifier is twice base64":     string(unbase64(t, clear("KeyIdentifier"))) == keyID,
		"type outside and inside":           clear("PrescriptionType") == "P1" && textAt(t, param, "/*/prescriptionType") == "P1",
		"version":                           clear("PrescriptionVersion") == "kmehr_1.29",
		"source":                            clear("ReferenceSourceVersion") == "samv2:SAMPLE",
		"one slash":                         textAt(t, param, "namespace-uri(/*)") == "http:/services.recipe.be/prescriber",
		"children in no namespace":          textAt(t, param, "count(/*//*[namespace-uri()!=''])") == "0",
		"expirationDate has ten characters": len(textAt(t, param, "/*/expirationDate")) == 10,
		"no default namespace":              textAt(t, asked, "count(/*/*[namespace-uri()!=''])") == "0",
		"patient":                           textAt(t, param, "/*/patientId") == ask.Patient.SSIN.Reveal(),
		"others":                            textAt(t, param, "/*/visionOtherPrescribers") == "locked",
		"day":                               !day.IsZero(),
	} {
		if !ok {
			t.Errorf("create: %s", what)
		}
	}

	// the key and its access list
	kgss, err := w.sb.DecryptionKey(sandbox.Holder{Type: identity.TypeCBE, Number: "0809394427", Application: "KGSS"})
	if err != nil {
		t.Fatal(err)
	}
	order := unseal(t, unbase64(t, textAt(t, payload(t, dwire.one(t, "GetNewKeyRequest").request), "//*[local-name()='SealedContent']")), kgss.Key, nil).content
	oracle.ValidateXSD(t, oracle.Shared(t, "schemas", "ehealth-etee", "XSD", "ehealth-etee-kgss-schema-inner-protocol-1_2.xsd"), order)
	sample, err := os.ReadFile(oracle.Shared(t, "samples", "recipe", "kgss", "getNewKeyRequestContent-recipe.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := readersOf(t, order), readersOf(t, sample); !slices.Equal(a, slices.Sorted(slices.Values(strings.Split(
		strings.ReplaceAll(strings.Join(b, "\n"), "00000000196", ask.Patient.SSIN.Reveal()), "\n")))) {
		t.Errorf("readers %q", a)
	}

	// what is sealed under it: the answer of the key service to the pharmacy has the key, for the means named in the request
	key := pwire.one(t, "GetKeyRequest")
	order = unseal(t, unbase64(t, textAt(t, payload(t, key.request), "//*[local-name()='SealedContent']")), kgss.Key, nil).content
	oracle.ValidateXSD(t, oracle.Shared(t, "schemas", "ehealth-etee", "XSD", "ehealth-etee-kgss-schema-inner-protocol-1_2.xsd"), order)
	if !bytes.Equal(unbase64(t, textAt(t, order, "/*/*[local-name()='KeyIdentifier']")), unbase64(t, keyID)) {
		t.Error("the pharmacy asks for another key")
	}
	var means []byte
	var own any = pkeys.Encryption()[0].Signer
	if s := textAt(t, order, "/*/*[local-name()='KeyEncryptionKey']"); s != "" {
		means, own = unbase64(t, s), nil
	}
	key.response = unseal(t, unbase64(t, textAt(t, payload(t, key.response), "//*[local-name()='SealedContent']")), own, means).content
	kek := unbase64(t, textAt(t, key.response, "//*[local-name()='Key']"))
	sealed := unbase64(t, textAt(t, param, "/*/prescription"))
	if id := keyIdentifier(t, sealed); !bytes.Equal(id, unbase64(t, keyID)) {
		t.Errorf("sealed under the key %x", id)
	}
	inner := unseal(t, sealed, nil, kek)
	if !bytes.Equal(inner.signer, doctor.Certificate.Raw) {
		t.Error("the prescription is sealed by another")
	}
	document := program(t, inner.content, "gzip", "-dc")
	judgeKMEHR(t, document, "P1")
	if e := textAt(t, document, "//*[local-name()='transaction']/*[local-name()='expirationdate']"); e != textAt(t, param, "/*/expirationDate") {
		t.Errorf("the document expires on %s", e)
	}
	for path, want := range map[string]string{
		"//*[local-name()='patient']/*[local-name()='familyname']": hostile,
		"(//*[local-name()='intendedname'])[1]":                    hostile,
	} {
		if textAt(t, document, path) != want {
			t.Errorf("%s is another text", path)
		}
	}

	// get
	param, result, asked, answered := judged(t, pwire.one(t, "GetPrescriptionForExecutorRequest"), "getPrescriptionForExecutor", pharmacy.Certificate, recipeKey.Key, executor, []string{"derived", "recipe-executor-derived.xsd"})
	for what, ok := range map[string]bool{
		"version":              textAt(t, param, "/*/version") == "v2",
		"executorId":           textAt(t, param, "/*/executorId") == w.sb.Organisation(identity.Pharmacy, 0).Number,
		"one slash":            textAt(t, param, "namespace-uri(/*)") == "http:/services.recipe.be/executor",
		"insurability asked":   textAt(t, asked, "/*/DisablePatientInsurabilityCheckParam") == "false",
		"insurability":         textAt(t, answered, "count(/*/GetInsurabilityForPharmacistResponse)") == "1" && len(got.Insurability) > 0,
		"type":                 textAt(t, answered, "/*/PrescriptionType") == "P1",
		"the same key":         textAt(t, result, "/*/encryptionKeyId") == keyID,
		"prescriber":           textAt(t, result, "/*/prescriberId") == ask.Author.NIHII.Reveal(),
		"midnight in Brussels": strings.Contains(textAt(t, result, "/*/expirationDate"), "T00:00:00.000+0"),
	} {
		if !ok {
			t.Errorf("get: %s", what)
		}
	}
	stamped := unbase64(t, textAt(t, result, "/*/prescription"))
	if !bytes.Equal(unbase64(t, textAt(t, stamped, "/*/*/prescriptionSealed")), sealed) {
		t.Error("another prescription is stamped")
	}
	if !bytes.Equal(document, got.Message.Bytes()) {
		t.Error("the pharmacy reads another document")
	}

	// deliver
	param, result, _, _ = judged(t, pwire.one(t, "MarkAsDeliveredRequest"), "markAsDelivered", pharmacy.Certificate, recipeKey.Key, executor, executor)
	if textAt(t, param, "/*/rid") != made.RID.Reveal() || textAt(t, result, "/*/status/code") != "100" {
		t.Error("something else was delivered")
	}
	if rx, _ := w.sb.Prescription(made.RID.Reveal()); rx.Status != sandbox.Delivered || rx.Deliveries != 1 {
		t.Errorf("it is %s", rx.Status)
	}
}

// readersOf are the allowed readers of a request for a key, as sorted lines. An empty Value is not an absent one.
func readersOf(t *testing.T, content []byte) (out []string) {
	t.Helper()
	const reader = "//*[local-name()='AllowedReader']"
	n, err := strconv.Atoi(textAt(t, content, "count("+reader+")"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		at := fmt.Sprintf("(%s)[%d]/*[local-name()=", reader, i+1)
		out = append(out, strings.Join([]string{
			textAt(t, content, at+"'Namespace']"), textAt(t, content, at+"'Name']"), textAt(t, content, "count("+strings.Trim(at, " ")+"'Value'])"),
			textAt(t, content, at+"'Value']"),
		}, ","))
	}
	return slices.Sorted(slices.Values(out))
}

// judgeKMEHR holds a document to the official schema, by xmllint, and to the official rules of a type, by the JDK.
func judgeKMEHR(t *testing.T, doc []byte, typ string) {
	t.Helper()
	oracle.ValidateXSD(t, recipeXSD(t, "conf", "XSD", "xsd-kmehr-1.28.0", "ehealth-kmehr", "XSD", "kmehr_elements-1_28.xsd"), doc)
	if broken := brokenByJDK(t, officialRules(t, typ), doc)[0]; len(broken) > 0 {
		t.Errorf("the JDK finds broken the rules %s", numbers(broken))
	}
}
