package kmehr

import (
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

func BenchmarkWrite(b *testing.B) {
	p := sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	doc := must[[]byte](b)(Write(sample()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(doc); err != nil {
			b.Fatal(err)
		}
	}
}

// ordinary is a prescription as a program hands it over: numbers, instant and day of expiry are made for it.
func ordinary() Prescription {
	p := sample()
	p.ID, p.LocalID, p.Created, p.Expires = Private{}, Private{}, time.Time{}, Day{}
	return p
}

// BenchmarkDraft is what a create waits for before its document can be sealed: all but the rules.
func BenchmarkDraft(b *testing.B) {
	p := ordinary()
	b.ReportAllocs()
	for b.Loop() {
		filled, err := p.Fill(time.Now())
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err = Draft(DefaultRules(), identity.PrescriptionP0, filled); err != nil {
			b.Fatal(err)
		}
		_, _ = filled.HeaderIDs(), filled.Digest()
	}
}

// BenchmarkCheck holds a document to schema and rules.
func BenchmarkCheck(b *testing.B) {
	_, check, err := Draft(DefaultRules(), identity.PrescriptionP0, ordinary())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := check(); err != nil {
			b.Fatal(err)
		}
	}
}
