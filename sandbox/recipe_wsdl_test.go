package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

// TestRecipeOperations compares the table of operations with the official WSDLs: names and SOAPActions of all three services.
// listPrescriptions is newer than they are.
func TestRecipeOperations(t *testing.T) {
	action := regexp.MustCompile(`soapAction="` + nsRecipe + `:([A-Za-z]+)"`)
	message := regexp.MustCompile(`element="recipe:([A-Za-z]+Request)"`)
	for role, svc := range recipeServices() {
		wsdl, err := os.ReadFile(oracle.Shared(t, "schemas", "recipe", "wsdl", "ehealth-recipe-services", "WSDL", "RecipeWebService-"+string(role)+"-4_0.wsdl"))
		if err != nil {
			t.Fatal(err)
		}
		official := func(re *regexp.Regexp) []string {
			all := map[string]bool{}
			for _, m := range re.FindAllSubmatch(wsdl, -1) {
				all[string(m[1])] = true
			}
			return slices.Sorted(maps.Keys(all))
		}
		actions, elements := []string{}, []string{}
		for element, op := range svc.byElement {
			if op.name != "listPrescriptions" {
				actions, elements = append(actions, op.action), append(elements, element)
			}
		}
		slices.Sort(actions)
		slices.Sort(elements)
		if want := official(action); !slices.Equal(actions, want) {
			t.Errorf("%s: SOAPActions %v, want %v", role, actions, want)
		}
		if want := official(message); !slices.Equal(elements, want) {
			t.Errorf("%s: elements %v, want %v", role, elements, want)
		}
	}
}

// TestRecipeZeep lets python3-zeep talk to the prescriber and the patient service of a sandbox on sockets, with the real WSDLs.
// The seal is ours: what is judged is the outer message, its security and the answers.
func TestRecipeZeep(t *testing.T) {
	if testing.Short() {
		t.Skip("Python judges: run without -short")
	}
	python := pythonWith(t, "zeep", "xmlsec", "lxml", "requests")
	s, err := New(Config{Seed: 7, Patients: -1, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := s.Person(identity.Doctor, 0)
	by, err := p.Authentication()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.serviceKeys("CBE", recipeCBE, "")
	if err != nil {
		t.Fatal(err)
	}
	key := newRxKey()
	param := func(role recipeRole, root, children string) string {
		t.Helper()
		doc := `<r:` + root + ` xmlns:r="` + nsRecipeSealed + string(role) + `">` + children + `<symmKey>` + b64(key) + `</symmKey></r:` + root + `>`
		sealed, err := seal([]byte(doc), by, time.Now(), cms.ForCertificate{Certificate: keys[1].Certificate})
		if err != nil {
			t.Fatal(err)
		}
		return b64(sealed)
	}
	patient := "<patientId>" + p.SSIN.Reveal() + "</patientId>" // a doctor may prescribe for himself, and then he is the patient, too
	w := &rxWorld{world: &world{t, s}}
	create := w.rxCreate(rxDraft{patient: p.SSIN.Reveal()})
	wsdl := func(role string) string {
		return oracle.Shared(t, "schemas", "recipe", "wsdl", "ehealth-recipe-services", "WSDL", "RecipeWebService-"+role+"-4_0.wsdl")
	}
	job := zeepJob(t, s, p)
	maps.Copy(job, map[string]any{
		"prescriber_wsdl": wsdl("prescriber"), "patient_wsdl": wsdl("patient"), "key_id": rxKeyID,
		"prescriber": s.URL(uddiRecipe+"prescriber:v4", 0), "patient": s.URL(uddiRecipe+"patient:v4", 0), "alternate": s.URL(uddiRecipe+"prescriber:v4", 1),
		"create": param(recipePrescriber, "createPrescriptionParam", create.param),
		"open":   param(recipePrescriber, "listOpenRidsParam", patient),
		"mine":   param(recipePatient, "listOpenRidsParam", ""),
	})
	raw, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "job.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-B", filepath.Join("testdata", "zeep_recipe.py"), file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, stderr.Bytes())
	}
	var got map[string]struct{ Status, Echo, Content string }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	all := s.Prescriptions()
	if len(all) != 1 {
		t.Fatalf("%d prescriptions", len(all))
	}
	for name, want := range map[string]string{"create": "rid", "open": "prescriptions", "alternate": "prescriptions", "mine": "rid"} {
		a := got[name]
		sealed, err := decodeBase64(a.Content)
		if err != nil || a.Status != recipeSuccess || a.Echo != "true" {
			t.Errorf("%s: status %q, InResponseTo right: %s, %v", name, a.Status, a.Echo, err)
			continue
		}
		if rids := textsOf(parsed(t, rxDecrypt(t, key, sealed)), want); fmt.Sprint(rids) != fmt.Sprint([]string{all[0].RID}) {
			t.Errorf("%s: %d RIDs", name, len(rids))
		}
	}
}
