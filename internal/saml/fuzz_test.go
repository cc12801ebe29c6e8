package saml_test

import (
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// FuzzParse: never a panic; what parses can be kept and parses again to the same thing; nothing unsigned verifies.
func FuzzParse(f *testing.F) {
	base := unsigned(pki().holder.cert)
	f.Add([]byte(strings.Replace(base, "%SIG%", "", 1)))
	f.Add([]byte(`<w xmlns="` + saml.NS + `" xmlns:xs="urn:xs">` + strings.Replace(strings.Replace(base, "%SIG%", "", 1), ` xmlns="`+saml.NS+`"`, "", 1) + `</w>`))
	good := parse(f, signed(f, base, pki().sts))
	f.Add(good.Source())
	want := string(c14n.Append(nil, good, c14n.Options{Omit: good.Child(dsig.NS, "Signature")}))
	f.Fuzz(func(t *testing.T, doc []byte) {
		root, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 20})
		if err != nil {
			return
		}
		for n := range root.Descendants() {
			if !n.Is(saml.NS, "Assertion") {
				continue
			}
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
			if a.Verify(trust(), now) != nil {
				continue
			}
			if got := c14n.Append(nil, n, c14n.Options{Omit: n.Child(dsig.NS, "Signature")}); string(got) != want {
				t.Fatal("a forged assertion verifies")
			}
		}
	})
}
