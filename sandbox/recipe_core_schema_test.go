package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// TestRecipeSchema: every sample of a request conforms, and mutants of some are judged as xmllint judges them with the real
// schema.
func TestRecipeSchema(t *testing.T) {
	if testing.Short() {
		t.Skip("only computes: run without -short")
	}
	xmllint := oracle.Tool(t, "xmllint")
	official := oracle.Shared(t, "schemas", "recipe", "wsdl", "ehealth-recipe-services", "WSDL", "recipeservices_protocol-4_0.xsd")
	samples, good, bad := 0, 0, 0
	for role, service := range recipeServices() {
		files, err := filepath.Glob(filepath.Join(oracle.Shared(t, "samples", "recipe", "outer", string(role)), "*Request.xml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			doc, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			root := parsed(t, doc)
			op := service.byElement[root.Local()]
			if op == nil {
				t.Errorf("%s: no such operation of the %s", root.Local(), role)
				continue
			}
			if err := op.request.validate(root); err != nil {
				t.Errorf("%s: %v", root.Local(), err)
			}
			samples++
			switch root.Local() {
			case "CreatePrescriptionRequest", "GetPrescriptionForExecutorRequest", "GetVisionRequest":
			default:
				continue
			}
			mutants := slices.DeleteFunc(mutate(t, withPrefixes(doc), false), func(m mutant) bool { // a prefix for no namespace
				_, err := xmltree.Parse(m.doc, xmltree.Limits{})
				return errors.Is(err, xmltree.ErrNamespace)
			})
			want := xmllintVerdicts(t, xmllint, official, mutants)
			for i, m := range mutants {
				err := schemaVerdict(t, qname{nsRecipe, root.Local()}, op.request, m.doc)
				lax := err != nil && strings.Contains(err.Error(), "base64Binary") // xmllint passes over what is no base64
				if (err == nil) != want[i] && !lax {
					t.Errorf("%s, %s: we say %v, xmllint says valid=%v", root.Local(), m.what, err, want[i])
				}
				if want[i] {
					good++
				} else {
					bad++
				}
			}
		}
	}
	t.Logf("%d samples; mutants: %d valid, %d not", samples, good, bad)
	if samples != 39 || good < 50 || bad < 50 {
		t.Errorf("%d samples; mutants: %d valid, %d not", samples, good, bad)
	}
}
