package saml_test

import (
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// FuzzParse: never a panic; what parses can be kept and parses again to the same thing; nothing but the golden assertion, which
// was really signed, verifies.
func FuzzParse(f *testing.F) {
	doc, trust := golden(f)
	good := parse(f, doc)
	canonical := func(n *xmltree.Node) string {
		return string(c14n.Append(nil, n, c14n.Options{Omit: n.Child(dsig.NS, "Signature")}))
	}
	want := canonical(good)
	f.Add([]byte(doc))
	f.Add([]byte(`<w xmlns="` + saml.NS + `" xmlns:xs="urn:xs">` + strings.Replace(doc, ` xmlns="`+saml.NS+`"`, "", 1) + `</w>`))
	f.Add([]byte(`<a:Assertion xmlns:a="` + saml.NS + `" MajorVersion="1" MinorVersion="1" AssertionID="x" Issuer="i" IssueInstant="2026-01-01T10:00:00Z">` +
		`<a:AttributeStatement><a:Subject><a:NameIdentifier>n</a:NameIdentifier></a:Subject><a:Attribute AttributeName="n"><a:AttributeValue><b/></a:AttributeValue></a:Attribute></a:AttributeStatement></a:Assertion>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		root, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 16})
		if err != nil {
			return
		}
		for n := range root.Descendants() {
			a, err := saml.Parse(n)
			if err != nil {
				continue
			}
			again, err := xmltree.Parse(a.Raw, xmltree.Limits{})
			if err != nil {
				t.Fatalf("Raw does not parse: %v", err)
			}
			b, err := saml.Parse(again)
			if err != nil || b.ID != a.ID || b.Subject != a.Subject || len(b.Attributes) != len(a.Attributes) || string(b.Raw) != string(a.Raw) {
				t.Fatalf("Raw reads differently: %v", err)
			}
			if a.Verify(trust, now) == nil && canonical(n) != want {
				t.Fatal("a forged assertion verifies")
			}
		}
	})
}
