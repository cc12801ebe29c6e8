package wsse_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// now is the instant of all tests.
var now = time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)

const assertionID = "_0123456789abcdef0123456789abcdef"

// opaque hides everything of a key but crypto.Signer, as a card does.
type opaque struct{ key crypto.Signer }

func (o opaque) Public() crypto.PublicKey { return o.key.Public() }
func (o opaque) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.key.Sign(r, digest, opts)
}

type identity struct {
	name string
	key  crypto.Signer
	cred wsse.Credential
}

func newIdentity(name string, key crypto.Signer) identity {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "SSIN=" + name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return identity{name, key, wsse.Credential{Certificate: cert, Signer: opaque{key}}}
}

var rsaID = sync.OnceValue(func() identity {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return newIdentity("RSA", k)
})

func ecID(name string, c elliptic.Curve) func() identity {
	return sync.OnceValue(func() identity {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			panic(err)
		}
		return newIdentity(name, k)
	})
}

var (
	ec     = ecID("P-256", elliptic.P256())
	ec384  = ecID("P-384", elliptic.P384())
	mallet = ecID("attacker", elliptic.P256())
)

func b64(c *x509.Certificate) string { return base64.StdEncoding.EncodeToString(c.Raw) }

// assertion is a holder-of-key assertion in the layout of dossier 01 A.8: default namespace, line breaks in the certificate. Nobody
// checks its signature here, so it has none.
func assertion(holder identity) string {
	cert := b64(holder.cred.Certificate)
	return `<Assertion xmlns="` + saml.NS + `" AssertionID="` + assertionID + `" IssueInstant="2026-01-01T09:59:12.454Z" Issuer="` + saml.IssuerSTS + `" MajorVersion="1" MinorVersion="1">` +
		`<AttributeStatement><Subject><NameIdentifier>CN=holder</NameIdentifier><SubjectConfirmation><ConfirmationMethod>` + saml.MethodHolderOfKey + `</ConfirmationMethod>` +
		`<ds:KeyInfo xmlns:ds="` + dsig.NS + `"><ds:X509Data><ds:X509Certificate>` + cert[:64] + "\n" + cert[64:] + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></SubjectConfirmation></Subject>` +
		`<Attribute AttributeName="n" AttributeNamespace="ns"><AttributeValue>v</AttributeValue></Attribute></AttributeStatement></Assertion>`
}

// payload is what a client asks, with a default namespace, an attribute in a namespace and characters that need care.
const payload = `<p:Request xmlns:p="urn:p" xmlns="urn:q" p:b="&#9;x" a="&lt;"><Patient>caf` + "\u00e9" + ` &amp; 1</Patient><Empty/></p:Request>`

func x509Message(t testing.TB, who identity) string {
	t.Helper()
	m, err := wsse.X509([]byte(payload), who.cred, wsse.Stamp{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return string(m)
}

func hokMessage(t testing.TB, who identity) string {
	t.Helper()
	m, err := wsse.HolderOfKey([]byte(payload), []byte(assertion(who)), assertionID, who.cred, wsse.Stamp{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return string(m)
}

func parse(t testing.TB, doc string) *xmltree.Node {
	t.Helper()
	n, err := xmltree.Parse([]byte(doc), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// find returns the first element with that local name.
func find(t testing.TB, root *xmltree.Node, local string) *xmltree.Node {
	t.Helper()
	for n := range root.Descendants() {
		if n.Local() == local {
			return n
		}
	}
	t.Fatalf("no element %s", local)
	return nil
}

// source returns the text of the first element with that local name.
func source(t testing.TB, doc, local string) string {
	t.Helper()
	return string(find(t, parse(t, doc), local).Source())
}

func edit(t testing.TB, doc, old, new string) string {
	t.Helper()
	if !strings.Contains(doc, old) {
		t.Fatalf("the document does not contain %q", old)
	}
	return strings.Replace(doc, old, new, 1)
}

func verify(t testing.TB, doc string, at time.Time) (*wsse.Verified, error) {
	t.Helper()
	return wsse.Verify(parse(t, doc), wsse.Policy{Now: at})
}

// idOf returns the wsu:Id of the first element with that local name.
func idOf(t testing.TB, doc, local string) string {
	t.Helper()
	id, ok := find(t, parse(t, doc), local).Attr(wsse.NSWSU, "Id")
	if !ok {
		t.Fatalf("%s has no id", local)
	}
	return id
}

// layout is a message as some other client might write it; %SIG% is where the signature goes.
type layout struct {
	before, after string // children of Security around the signature
	timestamp     string // content; "" = Created now, Expires in a minute
	ids           []string
	prefixes      []string
	str           string // content of KeyInfo; "" = the STR for bst
	body          string
}

const (
	bstOpen   = `<wsse:BinarySecurityToken wsu:Id="X509-1" EncodingType="` + wsse.EncodingBase64 + `" ValueType="` + wsse.ValueX509v3 + `">`
	bstSTR    = `<wsse:SecurityTokenReference><wsse:Reference URI="#X509-1" ValueType="` + wsse.ValueX509v3 + `"/></wsse:SecurityTokenReference>`
	samlSTR   = `<wsse:SecurityTokenReference wsse11:TokenType="` + wsse.TokenSAML11 + `"><wsse:KeyIdentifier ValueType="` + wsse.ValueSAMLAssertionID + `">` + assertionID + `</wsse:KeyIdentifier></wsse:SecurityTokenReference>`
	aMinute   = `<wsu:Created>2026-01-01T10:00:00Z</wsu:Created><wsu:Expires>2026-01-01T10:01:00Z</wsu:Expires>`
	stampOpen = `<wsu:Timestamp wsu:Id="TS-1">`
)

func bst(who identity) string {
	return bstOpen + b64(who.cred.Certificate) + `</wsse:BinarySecurityToken>`
}

func stamp(content string) string { return stampOpen + content + `</wsu:Timestamp>` }

// envelope writes the layout with %SIG% in place of the signature.
func (l layout) envelope() string {
	if l.timestamp == "" {
		l.timestamp = aMinute
	}
	if l.body == "" {
		l.body = `<S:Body wsu:Id="id-1" extra="1">` + payload + `</S:Body>`
	}
	return `<S:Envelope xmlns:S="` + soap.NS + `" xmlns:wsse="` + wsse.NSWSSE + `" xmlns:wsu="` + wsse.NSWSU + `" xmlns:wsse11="` + wsse.NSWSSE11 + `" xmlns:xsd="http://www.w3.org/2001/XMLSchema">` + "\n <S:Header>\n" +
		`<wsse:Security>` + strings.Replace(l.before, "%TS%", stamp(l.timestamp), 1) + `%SIG%` + strings.Replace(l.after, "%TS%", stamp(l.timestamp), 1) + `</wsse:Security></S:Header> ` + l.body + `</S:Envelope>`
}

// sign makes the message.
func (l layout) sign(t testing.TB, who identity) string {
	t.Helper()
	doc := l.envelope()
	root := parse(t, strings.Replace(doc, "%SIG%", "", 1))
	var refs []dsig.Ref
	for _, id := range l.ids {
		ref := dsig.Ref{URI: "#" + id, Prefixes: l.prefixes}
		for n := range root.Descendants() {
			if v, _ := n.Attr(wsse.NSWSU, "Id"); v == id {
				ref.Node = n
			}
		}
		refs = append(refs, ref)
	}
	str := l.str
	if str == "" {
		str = bstSTR
	}
	sig, err := dsig.Sign(who.cred.Signer, refs, dsig.SignOptions{
		Prefixes: l.prefixes, Parent: find(t, root, "Security"),
		KeyInfo: func(w *xmltree.Writer) { w.Raw([]byte(withNamespaces(str))) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(doc, "%SIG%", string(sig), 1)
}

// withNamespaces makes a piece of XML self-contained.
func withNamespaces(x string) string {
	i := strings.IndexAny(x, " >")
	return x[:i] + ` xmlns:wsse="` + wsse.NSWSSE + `" xmlns:wsu="` + wsse.NSWSU + `" xmlns:wsse11="` + wsse.NSWSSE11 + `"` + x[i:]
}
