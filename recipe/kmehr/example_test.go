package kmehr_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
)

func prescription() kmehr.Prescription {
	return kmehr.Prescription{
		Created: time.Date(2030, 1, 15, 9, 30, 0, 0, time.UTC),
		Author: kmehr.Author{
			NIHII: identity.MustNIHII("10000007004"), FirstName: kmehr.Hide("Sample"), FamilyName: kmehr.Hide("Prescriber"),
			Phone:   kmehr.Hide("+3220000000"),
			Address: kmehr.Address{Zip: kmehr.Hide("1000"), City: kmehr.Hide("Samplecity"), Street: kmehr.Hide("Samplestreet"), Number: kmehr.Hide("1")},
		},
		Software: kmehr.Software{Name: "sample-software", Version: "1.0", Phone: "+3220000000", Email: "support@example.invalid"},
		Source:   kmehr.Source{Version: "2030.01"},
		Patient: kmehr.Patient{
			SSIN: identity.MustSSIN("00000000196"), FirstName: kmehr.Hide("Sample"), FamilyName: kmehr.Hide("Patient"),
			Birth: kmehr.NewDay(2000, 1, 1),
		},
		Items: []kmehr.Item{{
			Medicine: &kmehr.Medicine{CNK: identity.MustCNK("1234566"), Name: kmehr.Hide("Sample product 10 mg 30 tablets")},
			Quantity: kmehr.Quantity{Value: "1"},
			Posology: kmehr.Text{Lang: "fr", Text: kmehr.Hide("1 comprimé par jour")},
		}},
	}
}

func ExampleWrite() {
	doc, err := kmehr.Write(prescription())
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := kmehr.Parse(doc)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Version(), m.ReferenceSource(), m.Prescription().Expires.Reveal())
	fmt.Println(m) // nothing of the content
	// Output:
	// kmehr_1.29 samv2:2030.01 2030-04-14
	// kmehr.Message(redacted)
}

func ExampleInvalidError() {
	p := prescription()
	p.Items[0].Periodicity = "UN"
	_, err := kmehr.Write(p)
	var invalid *kmehr.InvalidError
	if errors.As(err, &invalid) {
		for _, v := range invalid.Violations {
			fmt.Println(v.Rule, v.Field, v.Message)
		}
	}
	// Output:
	// P0.70 Items[0].Periodicity the periodicity is none of UQ, US, UN, UX and UE
}

func ExampleParseRules() {
	rules, err := kmehr.ParseRules([]byte("kmehr.assert.P0.1 = /kmehrmessage/header/id;2;2\nkmehr.assert.P0.2 = count(//item) = 1\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	doc, err := kmehr.WriteWith(rules, identity.PrescriptionP0, prescription())
	fmt.Println(rules.Types(), rules.Len(identity.PrescriptionP0), len(doc) > 0, err)
	// Output:
	// [P0] 2 true <nil>
}
