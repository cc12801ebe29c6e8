package sandbox

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"
	goxmldsig "github.com/russellhaering/goxmldsig"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
)

// Constants of the returned assertion (dossier 01 A.4).
const (
	authMethodX509    = "urn:oasis:names:tc:SAML:1.0:am:X509-PKI"
	nameFormatX509    = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
	confirmationOfKey = "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key"
)

// attribute is one attribute of an assertion.
type attribute struct {
	space, name string
	values      []string
}

// newAssertion makes and signs a token (dossier 01 A.8). The signature is made by goxmldsig, so that a client that
// checks it with the module's own dsig package has met a second implementation.
func (s *Sandbox) newAssertion(o *tokenOrder, now time.Time) (raw []byte, until time.Time, err error) {
	until = now.Add(maxTokenLife)
	if !o.until.IsZero() && o.until.Before(until) {
		until = o.until
	}
	a := etree.NewElement("Assertion")
	attrs(a, "xmlns", saml.NS, "AssertionID", "_"+randomHex(16), "IssueInstant", wireTime(now), "Issuer", stsIssuer,
		"MajorVersion", "1", "MinorVersion", "1")
	attrs(a.CreateElement("Conditions"), "NotBefore", wireTime(now.Add(-clockSkew)), "NotOnOrAfter", wireTime(until))

	auth := a.CreateElement("AuthenticationStatement")
	attrs(auth, "AuthenticationInstant", wireTime(now), "AuthenticationMethod", authMethodX509)
	confirmation := subjectElement(auth, o.ident).CreateElement("SubjectConfirmation")
	confirmation.CreateElement("ConfirmationMethod").SetText(confirmationOfKey)
	info := confirmation.CreateElement("ds:KeyInfo")
	info.CreateAttr("xmlns:ds", dsig.NS)
	info.CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").SetText(base64.StdEncoding.EncodeToString(o.key.Raw))

	if len(o.claims) > 0 {
		statement := a.CreateElement("AttributeStatement")
		subjectElement(statement, o.ident)
		for _, c := range o.claims {
			e := statement.CreateElement("Attribute")
			attrs(e, "AttributeName", c.name, "AttributeNamespace", c.space)
			for _, value := range c.values {
				e.CreateElement("AttributeValue").SetText(value)
			}
		}
	}
	signer, err := s.pki.stsSigner()
	if err != nil {
		return nil, until, err
	}
	raw, err = signEnveloped(a, signer)
	return raw, until, err
}

func attrs(e *etree.Element, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		e.CreateAttr(pairs[i], pairs[i+1])
	}
}

func subjectElement(parent *etree.Element, cert *x509.Certificate) *etree.Element {
	subject := parent.CreateElement("Subject")
	id := subject.CreateElement("NameIdentifier")
	attrs(id, "Format", nameFormatX509, "NameQualifier", dnText(cert.RawIssuer))
	id.SetText(dnText(cert.RawSubject))
	return subject
}

// signEnveloped adds the signature as the last child and serialises.
func signEnveloped(e *etree.Element, by Credential) ([]byte, error) {
	ctx, err := goxmldsig.NewSigningContext(by.Key, [][]byte{by.Certificate.Raw})
	if err != nil {
		return nil, fmt.Errorf("sandbox: assertion: %w", err)
	}
	ctx.Hash = crypto.SHA256
	ctx.IdAttribute = "AssertionID"
	ctx.Canonicalizer = goxmldsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	signed, err := ctx.SignEnveloped(e)
	if err != nil {
		return nil, fmt.Errorf("sandbox: assertion: %w", err)
	}
	doc := etree.NewDocumentWithRoot(signed)
	raw, err := doc.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("sandbox: assertion: %w", err)
	}
	return raw, nil
}

var dnNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SURNAME", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L",
	"2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.42": "GIVENNAME",
}

// dnText writes a name as the STS does: the last part first, ", " between, values with special characters in
// quotes (dossier 01 A.8).
func dnText(raw []byte) string {
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &seq); err != nil {
		return ""
	}
	var parts []string
	for i := len(seq) - 1; i >= 0; i-- {
		for _, tv := range seq[i] {
			name := dnNames[tv.Type.String()]
			if name == "" {
				name = "OID." + tv.Type.String()
			}
			value := fmt.Sprint(tv.Value)
			if strings.ContainsAny(value, `,=+<>#;"\`) {
				value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
			}
			parts = append(parts, name+"="+value)
		}
	}
	return strings.Join(parts, ", ")
}

// askerKey is an opaque key of who asked, and about whom.
func askerKey(cert *x509.Certificate, about string) string {
	h := sha256.New()
	h.Write(cert.Raw)
	h.Write([]byte(about))
	return hex.EncodeToString(h.Sum(nil)[:12])
}
