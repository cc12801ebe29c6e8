package recipe

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// Who prescribed must be the same everywhere (dossier 04 section 7.2). The author of the sample is 10000007004.
func TestAuthor(t *testing.T) {
	const flag, number = "urn:be:fgov:person:ssin:doctor:boolean", "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11"
	assertion, err := os.ReadFile("../internal/saml/testdata/assertion.xml")
	if err != nil {
		t.Fatal(err)
	}
	token := func(nihii string) *xmltree.Node {
		doc := string(assertion)
		if nihii != "" {
			doc = strings.Replace(strings.Replace(doc, flag, number, 1), "<AttributeValue>true<", "<AttributeValue>"+nihii+"<", 1)
		}
		n, err := xmltree.Parse([]byte(doc), xmltree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	broken, err := xmltree.Parse([]byte("<token/>"), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	message := sampleMessage(t, "271145", 1)
	for name, c := range map[string]struct {
		answer, document string
		token            *xmltree.Node
		raw              bool
		label            string
	}{
		"all agree":              {"10000007004", "10000007", token("10000007004"), false, ""},
		"other qualification":    {"10000007003", "1.0000007.001", token("10000007999"), false, ""},
		"nobody says anything":   {"", "", nil, false, ""},
		"sealed alone":           {"10000007004", "", nil, true, ""},
		"another in the answer":  {"10001003004", "10000007004", token("10000007004"), false, LabelPrescriber},
		"another, sealed alone":  {"10001003004", "", nil, true, LabelPrescriber},
		"another in the paper":   {"10000007004", "10001003004", token("10000007004"), false, LabelPrescriber},
		"another logged in":      {"10000007004", "10000007004", token("10001003004"), false, LabelToken},
		"token without a number": {"10000007004", "10000007004", token(""), false, ""},
		"token is none":          {"10000007004", "10000007004", broken, false, LabelToken},
		"not a number":           {"doctor", "10000007004", token("10000007004"), false, LabelPrescriber},
	} {
		t.Run(name, func(t *testing.T) {
			f := &Fetched{Message: message, Prescriber: identity.Hide(c.answer)}
			var stamped *protocol.TimestampedPrescription
			if !c.raw {
				stamped = &protocol.TimestampedPrescription{PrescriberID: identity.Hide(c.document), SecurityToken: c.token}
			}
			err := checkAuthor(f, stamped)
			if c.label == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e, is := errors.AsType[*AuthorMismatchError](err)
			if !is || e.Label != c.label || strings.Contains(err.Error(), "1000") && !strings.Contains(c.label, "1000") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What was dispensed is compared by product and number of packages.
func TestCompare(t *testing.T) {
	message := sampleMessage(t, "271145", 2)
	for name, c := range map[string]struct {
		items []DispensedItem
		want  []Difference
	}{
		"the same":         {[]DispensedItem{gaveItem(t, "271145", 2)}, nil},
		"in two lines":     {[]DispensedItem{gaveItem(t, "271145", 1), gaveItem(t, "271145", 0)}, nil},
		"fewer":            {[]DispensedItem{gaveItem(t, "271145", 1)}, []Difference{{DifferentQuantity, 0, 0}}},
		"more":             {[]DispensedItem{gaveItem(t, "271145", 3)}, []Difference{{DifferentQuantity, 0, 0}}},
		"another product":  {[]DispensedItem{gaveItem(t, "654321", 2)}, []Difference{{DifferentMissing, 0, -1}, {DifferentAdded, -1, 0}}},
		"something beside": {[]DispensedItem{gaveItem(t, "271145", 2), gaveItem(t, "654321", 1)}, []Difference{{DifferentAdded, -1, 1}}},
		"a preparation":    {[]DispensedItem{{Name: identity.Hide("x")}}, []Difference{{DifferentMissing, 0, -1}, {DifferentAdded, -1, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := compare(message, c.items)
			if len(got) != len(c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}
