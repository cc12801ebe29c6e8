package recipe

import (
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// Stamp tells what is known about the signature of a time-stamped prescription.
type Stamp uint8

// The values of Stamp.
const (
	// StampNone: the document is the sealed prescription alone, or its signature is missing and nobody asked for it.
	StampNone Stamp = iota
	// StampUnverified: there is a signature, and no [StampTrust] to verify it with.
	StampUnverified
	// StampVerified: the signature is good, covers the whole document, and its signer is trusted.
	StampVerified
	// StampInvalid: the signature is not good; see [StampError].
	StampInvalid
)

// String returns a lower-case English word.
func (s Stamp) String() string {
	words := [...]string{"none", "unverified", "verified", "invalid"}
	if int(s) >= len(words) {
		return "stamp(?)"
	}
	return words[s]
}

// StampTrust says whose signature on time-stamped prescriptions is believed.
type StampTrust struct {
	// Roots are the trust anchors; Intermediates complete the chain, besides what the signature brings; may be nil.
	Roots, Intermediates *x509.CertPool
	// SignerCN tells whether a common name is that of the signer; nil = anybody under Roots.
	SignerCN func(cn string) bool
}

// StampError says that the signature of a time-stamped prescription is missing or not good.
type StampError struct{ Err error }

// Error describes it without the document's content.
func (e *StampError) Error() string { return "recipe: time-stamp: " + e.Err.Error() }

// SafeError is Error: it may be logged.
func (e *StampError) SafeError() string { return e.Error() }

// Unwrap returns the cause.
func (e *StampError) Unwrap() error { return e.Err }

var (
	errStampMissing = reason("signature is missing")
	errStampCovers  = reason("signature does not cover the document")
	errStampSigner  = reason("signer is not trusted")
)

// checkStamp verifies the signature as far as that is possible.
func (x *Executor) checkStamp(f *Fetched, t *protocol.TimestampedPrescription) error {
	switch {
	case t == nil:
		return nil
	case x.stamps == nil:
		if t.Signature != nil {
			f.Stamp = StampUnverified
		}
		return nil
	}
	if err := x.stamps.verify(t.Signature, f.Document.created); err != nil {
		f.Stamp = StampInvalid
		return &StampError{err}
	}
	f.Stamp = StampVerified
	return nil
}

// stampIDs are the attributes that may name the document in its signature; which one it is, is not published.
var stampIDs = []dsig.IDAttr{{Local: "Id"}, {Local: "ID"}, {Local: "id"}}

// verify checks that a signature was made by a trusted signer over the whole document. The certificate must have been valid
// when the prescription was made; a time in the future counts as now.
func (t *StampTrust) verify(signature *xmltree.Node, at time.Time) error {
	if signature == nil {
		return errStampMissing
	}
	if at.IsZero() {
		at = time.Now()
	}
	v, err := dsig.Verify(signature, dsig.Policy{IDs: stampIDs, AllowInclusive: true, Key: func(info *xmltree.Node) (*x509.Certificate, error) {
		return t.signer(info, at)
	}})
	switch {
	case errors.Is(err, errStampSigner):
		return errStampSigner
	case err != nil:
		return err
	case !v.Covers(signature.Parent()):
		return errStampCovers
	}
	return nil
}

func (t *StampTrust) signer(info *xmltree.Node, at time.Time) (*x509.Certificate, error) {
	certs, err := dsig.Certificates(info)
	if err != nil {
		return nil, err
	}
	leaf, err := dsig.Leaf(certs)
	if err != nil {
		return nil, err
	}
	between := x509.NewCertPool()
	if t.Intermediates != nil {
		between = t.Intermediates.Clone()
	}
	for _, c := range certs {
		between.AddCert(c)
	}
	roots := t.Roots
	if roots == nil {
		roots = x509.NewCertPool() // never those of the system
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil || t.SignerCN != nil && !t.SignerCN(leaf.Subject.CommonName) {
		return nil, errStampSigner
	}
	return leaf, nil
}

// The labels of the official module for an [AuthorMismatchError]. Which of the two it uses when is not published: here the
// first is for the number that Recip-e names, the second for the login token of the prescriber.
const (
	LabelPrescriber = "4001013"
	LabelToken      = "4001014"
)

// AuthorMismatchError is an alarm: the prescription names another author than whoever handed it in. It must not be dispensed
// before somebody has asked the prescriber.
type AuthorMismatchError struct {
	Label string // LabelPrescriber or LabelToken
}

// Error shows the label.
func (e *AuthorMismatchError) Error() string {
	return "recipe: the author of the prescription is not who handed it in (" + e.Label + ")"
}

// SafeError is Error: it may be logged.
func (e *AuthorMismatchError) SafeError() string { return e.Error() }

// checkAuthor compares the author of a prescription with who Recip-e says it is, and with the token of the prescriber, by the
// first eight digits of their numbers (dossier 04 section 7.2). The message of a hospital names it as its sender.
func checkAuthor(f *Fetched, t *protocol.TimestampedPrescription) error {
	authors := authorsOf(f.Message)
	named := []identity.Private{f.Prescriber}
	if t != nil {
		named = append(named, t.PrescriberID)
	}
	for _, n := range named {
		if !n.IsZero() && !anyNumber(authors, n.Reveal()) {
			return &AuthorMismatchError{LabelPrescriber}
		}
	}
	if t == nil || t.SecurityToken == nil {
		return nil
	}
	a, err := saml.Parse(t.SecurityToken)
	if err != nil {
		return &AuthorMismatchError{LabelToken} // a token that says nothing does not vouch for anybody
	}
	numbers := tokenNumbers(a)
	for _, n := range numbers {
		if anyNumber(authors, n) {
			return nil
		}
	}
	if len(numbers) == 0 {
		return nil // there is nothing to compare
	}
	return &AuthorMismatchError{LabelToken}
}

// authorsOf are the numbers under which the author may hand a prescription in.
func authorsOf(m *kmehr.Message) []identity.NIHII {
	p := m.Prescription()
	out := []identity.NIHII{p.Author.NIHII}
	if p.Hospital != nil {
		out = append(out, p.Hospital.NIHII)
	}
	return out
}

func anyNumber(authors []identity.NIHII, number string) bool {
	for _, a := range authors {
		if protocol.SameNIHII(identity.Hide(number), a) {
			return true
		}
	}
	return false
}

// tokenNumbers are the NIHII numbers of a login token (dossier 04 section 3.2).
func tokenNumbers(a *saml.Assertion) []string {
	var out []string
	for _, attribute := range a.Attributes {
		if strings.HasSuffix(attribute.Name, ":nihii11") || strings.HasSuffix(attribute.Name, ":nihii-number") {
			out = append(out, attribute.Values...)
		}
	}
	return out
}
