package saml_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// now is the instant of all tests; certificates are valid for a day around it.
var now = time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)

const (
	assertionID = "_0123456789abcdef0123456789abcdef"
	stsCN       = "CBE=0809394427, IAMACC"
)

type issuer struct {
	key  crypto.Signer
	cert *x509.Certificate
}

// pki is a root, an intermediate and what they issued.
var pki = sync.OnceValue(func() (p struct{ root, inter, sts, stsRSA, stranger, holder, holder2 issuer }) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	p.root = certify("root", issuer{}, ecKey(), true)
	p.inter = certify("intermediate", p.root, ecKey(), true)
	p.sts = certify(stsCN, p.inter, ecKey(), false)
	p.stsRSA = certify(stsCN, p.inter, rsaKey, false)
	p.stranger = certify(stsCN, issuer{}, ecKey(), false)
	p.holder = certify("SSIN=holder", p.inter, ecKey(), false)
	p.holder2 = certify("SSIN=other", p.inter, ecKey(), false)
	return p
})

func ecKey() crypto.Signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

// certify issues a certificate; without parent it is self-signed.
func certify(cn string, parent issuer, key crypto.Signer, ca bool) issuer {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: ca, BasicConstraintsValid: ca,
	}
	if parent.cert == nil {
		parent = issuer{key, tmpl}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent.cert, key.Public(), parent.key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return issuer{key, cert}
}

func b64(c *x509.Certificate) string { return base64.StdEncoding.EncodeToString(c.Raw) }

// lines breaks base64 as the STS does.
func lines(s string) string {
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76] + "\n")
		s = s[76:]
	}
	return b.String() + s
}

func confirmation(cert *x509.Certificate) string {
	return `<SubjectConfirmation><ConfirmationMethod>` + saml.MethodHolderOfKey + `</ConfirmationMethod>` +
		`<ds:KeyInfo xmlns:ds="` + dsig.NS + `"><ds:X509Data><ds:X509Certificate>` + lines(b64(cert)) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></SubjectConfirmation>`
}

const nameIdentifier = `<NameIdentifier Format="` + saml.FormatX509SubjectName + `" NameQualifier="CN=issuing CA, C=BE">CN="SSIN=79021802145", OU=eHealth-platform Belgium, C=BE</NameIdentifier>`

// unsigned is an assertion of the layout of dossier 01 A.8; %SIG% is where its signature goes.
func unsigned(holder *x509.Certificate) string {
	return `<Assertion xmlns="` + saml.NS + `" AssertionID="` + assertionID + `" IssueInstant="2026-01-01T09:59:12.454Z" Issuer="` + saml.IssuerSTS + `" MajorVersion="1" MinorVersion="1">` +
		`<Conditions NotBefore="2026-01-01T09:54:10.427Z" NotOnOrAfter="2026-01-01T14:59:10.427Z"/>` +
		`<AuthenticationStatement AuthenticationInstant="2026-01-01T09:59:12.454Z" AuthenticationMethod="` + saml.AuthMethodX509 + `"><Subject>` + nameIdentifier + confirmation(holder) + `</Subject></AuthenticationStatement>` +
		`<AttributeStatement><Subject>` + nameIdentifier + `</Subject>` +
		`<Attribute AttributeName="urn:be:fgov:person:ssin" AttributeNamespace="urn:be:fgov:identification-namespace"><AttributeValue>79021802145</AttributeValue></Attribute>` +
		`<Attribute AttributeName="urn:be:fgov:person:ssin:doctor:boolean" AttributeNamespace="urn:be:fgov:certified-namespace:ehealth"><AttributeValue>true</AttributeValue></Attribute>` +
		`<Attribute AttributeName="urn:two" AttributeNamespace="urn:n"><AttributeValue>a</AttributeValue><AttributeValue/></Attribute>` +
		`</AttributeStatement>%SIG%</Assertion>`
}

// signed signs the first Assertion in doc and puts the signature at %SIG%.
func signed(t testing.TB, doc string, by issuer, certs ...*x509.Certificate) string {
	t.Helper()
	if certs == nil {
		certs = []*x509.Certificate{by.cert, pki().inter.cert}
	}
	sig, err := dsig.Sign(by.key, []dsig.Ref{{Node: assertion(t, parse(t, strings.Replace(doc, "%SIG%", "", 1))), URI: "#" + assertionID, Enveloped: true}},
		dsig.SignOptions{KeyInfo: keyInfo(certs...)})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(doc, "%SIG%", string(sig), 1)
}

func parse(t testing.TB, doc string) *xmltree.Node {
	t.Helper()
	n, err := xmltree.Parse([]byte(doc), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func assertion(t testing.TB, root *xmltree.Node) *xmltree.Node {
	t.Helper()
	for n := range root.Descendants() {
		if n.Is(saml.NS, "Assertion") {
			return n
		}
	}
	t.Fatal("no assertion")
	return nil
}

func edit(t testing.TB, doc, old, new string) string {
	t.Helper()
	if !strings.Contains(doc, old) {
		t.Fatalf("the document does not contain %q", old)
	}
	return strings.Replace(doc, old, new, 1)
}

func trust() saml.Trust {
	pool := x509.NewCertPool()
	pool.AddCert(pki().root.cert)
	return saml.Trust{Roots: pool, SignerCN: func(cn string) bool { return cn == stsCN }}
}

func keyInfo(certs ...*x509.Certificate) func(*xmltree.Writer) {
	return func(w *xmltree.Writer) { dsig.WriteX509Data(w, certs...) }
}
