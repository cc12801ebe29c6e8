package insurability

import (
	"bytes"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// What decodes can be written, and what was written decodes to the same bytes again.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{
		"genins-request-ssin.xml", "genins-response-insured.xml", "genins-response-fault-multiio.xml",
		"genins-response-transfer-medicalhouse.xml", "genins-response-hospitalized.xml", "pharmacist-request.xml",
		"pharmacist-response-insured.xml",
	} {
		f.Add(sample(f, name))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		n, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 16, Nodes: 1 << 12})
		if err != nil {
			return
		}
		once, err := recode(n)
		if err != nil {
			return
		}
		n, err = xmltree.Parse(bytes.Clone(once), xmltree.Limits{})
		if err != nil {
			t.Fatalf("what we write does not parse: %v\n%s", err, once)
		}
		twice, err := recode(n)
		if err != nil {
			t.Fatalf("what we write does not decode: %v\n%s", err, once)
		}
		if !bytes.Equal(once, twice) {
			t.Errorf("written twice, not the same\n%s\n%s", once, twice)
		}
		_ = correlateGenIns(fullRequest())(n)
		_ = correlatePharmacist(fullPharmacistRequest())(n)
	})
}
