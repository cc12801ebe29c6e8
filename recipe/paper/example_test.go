package paper_test

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/paper"
)

func example() paper.Content {
	return paper.Content{
		Language:   paper.FR,
		Prescriber: paper.Prescriber{Name: identity.Hide("Zoë Janssens"), NIHII: identity.MustNIHII("10000007004")},
		Patient:    paper.Patient{FirstName: identity.Hide("Anne"), FamilyName: identity.Hide("Exemple")},
		Items: []paper.Item{{
			Medicine: identity.Hide("Examplamine 500 mg (20 compr.)"), Quantity: identity.Hide("1"), Posology: identity.Hide("1 compr. par jour"),
		}},
		Issued: time.Date(2030, 1, 15, 9, 30, 0, 0, time.UTC),
		Until:  kmehr.NewDay(2030, 4, 14),
	}
}

// After a prescription was created while the service is unstable, the patient gets its proof.
func ExampleProof() {
	var page bytes.Buffer
	err := paper.Proof(&page, paper.Electronic{Content: example(), RID: identity.MustRID("BEP0ABCDEFGH")})
	fmt.Println(err, bytes.HasPrefix(page.Bytes(), []byte("%PDF-")))
	// Output: <nil> true
}

func ExampleFieldError() {
	c := example()
	c.Patient.FamilyName = identity.Hide("Жуков")
	err := paper.Proof(&bytes.Buffer{}, paper.Electronic{Content: c, RID: identity.MustRID("BEP0ABCDEFGH")})
	if e, ok := errors.AsType[*paper.FieldError](err); ok {
		fmt.Println("write the name in Latin letters:", e.Field)
	}
	// Output: write the name in Latin letters: Patient.FamilyName
}
