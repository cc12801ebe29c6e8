package saml

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Namespaces of SAML 1.1 (dossier 01 A.3).
const (
	NS         = "urn:oasis:names:tc:SAML:1.0:assertion"
	NSProtocol = "urn:oasis:names:tc:SAML:1.0:protocol"
)

// URIs used in assertions (dossier 01 A.4).
const (
	MethodHolderOfKey     = "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key"
	MethodSenderVouches   = "urn:oasis:names:tc:SAML:1.0:cm:sender-vouches"
	FormatX509SubjectName = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
	FormatUnspecified     = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	AuthMethodX509        = "urn:oasis:names:tc:SAML:1.0:am:X509-PKI"
	// IssuerSTS is the Issuer of every assertion of the eHealth STS.
	IssuerSTS = "urn:be:fgov:ehealth:sts:1_0"
)

// What can be wrong with an assertion, besides the errors of package dsig.
var (
	// ErrFormat: not a SAML 1.1 assertion in schema order, or one that contradicts itself.
	ErrFormat = errors.New("saml: malformed assertion")
	// ErrIssuer: issued by somebody else than the STS.
	ErrIssuer = errors.New("saml: unexpected issuer")
	// ErrUnsigned: the assertion has no signature, more than one, or one that does not cover this very element.
	ErrUnsigned = errors.New("saml: assertion not covered by one signature")
	// ErrTrust: the signer's certificate does not lead to a trusted root, is not valid now, or is not the expected one.
	ErrTrust = errors.New("saml: signer not trusted")
)

// Assertion is a SAML 1.1 assertion taken apart. Fields that the assertion does not have are zero. It is not modified
// after Parse; share it freely.
type Assertion struct {
	ID, Issuer   string
	IssueInstant time.Time
	// NotBefore and NotOnOrAfter are the Conditions; zero = not limited.
	NotBefore, NotOnOrAfter time.Time
	// AuthInstant and AuthMethod come from the AuthenticationStatement.
	AuthInstant time.Time
	AuthMethod  string
	// Subject is the text of the NameIdentifier, SubjectQualifier its NameQualifier, SubjectFormat its Format: for the STS the
	// subject DN of the holder's certificate, the issuer DN and FormatX509SubjectName.
	Subject, SubjectQualifier, SubjectFormat string
	// HolderOfKey is the certificate of a holder-of-key SubjectConfirmation; nil when there is none.
	HolderOfKey *x509.Certificate
	// Attributes are those of all attribute statements, in document order.
	Attributes []Attribute
	// Raw is the assertion as a document of its own: the octets received, or, when those lean on namespace
	// declarations of elements around it, an exclusive-C14N copy, which has the same signature (dossier 01 A.8).
	Raw []byte

	node *xmltree.Node
}

// Attribute is one SAML attribute. A value that is XML instead of text is given as its source.
type Attribute struct {
	Namespace, Name string
	Values          []string
}

// Node returns the element that the assertion was parsed from.
func (a *Assertion) Node() *xmltree.Node { return a.node }

// Attribute returns the values of all attributes of that name, whatever their namespace. ok = false: there is none.
func (a *Assertion) Attribute(name string) (values []string, ok bool) {
	for _, at := range a.Attributes {
		if at.Name == name {
			values, ok = append(values, at.Values...), true
		}
	}
	return values, ok
}

const (
	redactedAssertion = "saml.Assertion(redacted)"
	redactedAttribute = "saml.Attribute(redacted)"
)

// String shows nothing of the assertion.
func (a *Assertion) String() string { return redactedAssertion }

// Format shows nothing of the assertion, whatever the verb.
func (a *Assertion) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redactedAssertion)) }

// LogValue shows nothing of the assertion.
func (a *Assertion) LogValue() slog.Value { return slog.StringValue(redactedAssertion) }

// String shows nothing of the attribute: neither names, which tell the quality of a person, nor values.
func (a Attribute) String() string { return redactedAttribute }

// Format shows nothing of the attribute, whatever the verb.
func (a Attribute) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redactedAttribute)) }

// LogValue shows nothing of the attribute.
func (a Attribute) LogValue() slog.Value { return slog.StringValue(redactedAttribute) }
