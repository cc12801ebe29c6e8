package saml_test

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/beevik/etree"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/jonboulle/clockwork"
	goxmldsig "github.com/russellhaering/goxmldsig"
)

// goxmldsig shares no code with package dsig. It signs ECDSA as ASN.1, which XML-DSig does not know, so RSA it is; and it stops
// at 1,000 elements, far above an assertion.

func TestGoxmldsigAcceptsOurs(t *testing.T) {
	doc := signed(t, unsigned(pki().holder.cert), pki().stsRSA)
	validate := func(doc string) error {
		tree := etree.NewDocument()
		if err := tree.ReadFromString(doc); err != nil {
			t.Fatal(err)
		}
		ctx := goxmldsig.NewDefaultValidationContext(&goxmldsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{pki().stsRSA.cert}})
		ctx.IdAttribute = "AssertionID"
		ctx.Clock = goxmldsig.NewFakeClock(clockwork.NewFakeClockAt(now))
		_, err := ctx.Validate(tree.Root())
		return err
	}
	if err := validate(doc); err != nil {
		t.Errorf("goxmldsig refuses ours: %v", err)
	}
	if validate(edit(t, doc, ">true<", ">false<")) == nil {
		t.Error("goxmldsig accepts a changed assertion")
	}
}

func TestWeAcceptGoxmldsig(t *testing.T) {
	ctx, err := goxmldsig.NewSigningContext(pki().stsRSA.key, [][]byte{pki().stsRSA.cert.Raw, pki().inter.cert.Raw})
	if err != nil {
		t.Fatal(err)
	}
	ctx.IdAttribute = "AssertionID"
	ctx.Canonicalizer = goxmldsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	tree := etree.NewDocument()
	if err := tree.ReadFromString(strings.Replace(unsigned(pki().holder.cert), "%SIG%", "", 1)); err != nil {
		t.Fatal(err)
	}
	el, err := ctx.SignEnveloped(tree.Root())
	if err != nil {
		t.Fatal(err)
	}
	tree.SetRoot(el)
	doc, err := tree.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, doc, trust(), now); err != nil {
		t.Errorf("we refuse goxmldsig's: %v", err)
	}
	if verify(t, edit(t, doc, ">true<", ">false<"), trust(), now) == nil {
		t.Error("a changed assertion is accepted")
	}
	a, err := saml.Parse(parse(t, doc))
	if err != nil || !a.HolderOfKey.Equal(pki().holder.cert) {
		t.Errorf("goxmldsig's assertion is read differently: %v", err)
	}
}
