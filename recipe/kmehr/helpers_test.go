package kmehr

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

var created = time.Date(2030, 1, 15, 9, 30, 0, 0, brussels)

// sample is the base of the tests: valid, with one item.
func sample() Prescription {
	nihii, err := identity.NewNIHII("100000", "004")
	if err != nil {
		panic(err)
	}
	return Prescription{
		ID: Hide("10000007004.20300115093000000"), LocalID: Hide("00000000-0000-4000-8000-0000000000b1"),
		Created: created,
		Author: Author{
			NIHII: nihii, FirstName: Hide("Sample"), FamilyName: Hide("Prescriber"), Phone: Hide("+3220000000"),
			Address: Address{Zip: Hide("1000"), City: Hide("Samplecity"), Street: Hide("Samplestreet"), Number: Hide("1")},
		},
		Software: Software{"sample-software", "1.0", "+3220000000", "support@example.invalid"},
		Source:   Source{Version: "SAMPLE"},
		Patient: Patient{
			SSIN: identity.MustSSIN("00000000196"), FirstName: Hide("Sample"), FamilyName: Hide("Patient"),
			Birth: NewDay(2000, 1, 1),
		},
		Items: []Item{product()},
	}
}

func product() Item {
	cnk, err := identity.NewCNK("123456")
	if err != nil {
		panic(err)
	}
	return Item{
		Medicine: &Medicine{CNK: cnk, Name: Hide("Sample product 10 mg 30 tablets")},
		Posology: Text{"fr", Hide("1 comprime par jour")},
		Quantity: Quantity{Value: "1"},
	}
}

func group() Item {
	return Item{
		Group:    &Group{Code: Hide("0012345"), Name: Hide("Samplinum oral 10 mg")},
		Posology: Text{"fr", Hide("1 comprime par jour")},
		Duration: Duration{"7", Days},
	}
}

func preparation() Item {
	return Item{
		Magistral: &Magistral{Text: Text{"fr", Hide("Preparation de demonstration")}},
		Posology:  Text{"fr", Hide("1 application par jour")},
		Quantity:  Quantity{Value: "1"},
	}
}

func xsd(t testing.TB) string {
	return oracle.Shared(t, "schemas", "recipe", "conf", "XSD", "xsd-kmehr-1.28.0", "ehealth-kmehr", "XSD", "kmehr_elements-1_28.xsd")
}

func sharedSamples(t testing.TB) map[string][]byte {
	t.Helper()
	dir := oracle.Shared(t, "samples", "recipe", "kmehr")
	files, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		doc, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = doc
	}
	return all
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
