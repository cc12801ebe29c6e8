package kmehr

import (
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

func TestSamplesPass(t *testing.T) {
	for name, doc := range sharedSamples(t) {
		m := must[*Message](t)(Parse(doc))
		for _, typ := range []identity.PrescriptionType{"P0", "P1"} {
			if v := DefaultRules().Check(m, typ); v != nil {
				t.Errorf("%s as %s: %v", name, typ, v)
			}
		}
		again := must[[]byte](t)(Write(m.Prescription()))
		oracle.ValidateXSD(t, xsd(t), again)
	}
}

func TestWriteMinimal(t *testing.T) {
	p := sample()
	p.Items = []Item{product(), group(), preparation()}
	doc := must[[]byte](t)(Write(p))
	t.Log(string(doc))
	oracle.ValidateXSD(t, xsd(t), doc)
}
