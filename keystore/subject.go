package keystore

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unique"

	"github.com/ehealth-continuity/ehealth/identity"
)

// ErrSubject: the certificate's subject has no identifier of the eHealth platform
// and no national number of an eID card.
var ErrSubject = errors.New("keystore: certificate subject names no eHealth identifier")

// Subject is whom a certificate speaks for.
type Subject struct {
	// Type is the kind of number, such as SSIN, CBE or NIHII-PHARMACY.
	Type identity.IdentifierType
	// Application is the application id ("IAMACC"), empty when there is none.
	Application string
	// EID is true for the certificate of a Belgian identity card.
	EID bool

	// The one that fits Type is set, the others are absent. NIHII also serves all
	// types that begin with it, CBE and EHP likewise. A SSIN or CBE number with
	// wrong check digits stays absent; NIHII and EHP numbers are kept (ask
	// CheckOK), since the platform itself has issued such. Reveal has the number
	// in every case.
	SSIN  identity.SSIN
	CBE   identity.CBE
	NIHII identity.NIHII
	EHP   identity.EHP

	// Behind handles, which fmt cannot follow even from an outer struct.
	number, name secret
}

// Object identifiers of X.520 that pkix.Name has no field for.
var (
	oidSurname   = asn1.ObjectIdentifier{2, 5, 4, 4}
	oidGivenName = asn1.ObjectIdentifier{2, 5, 4, 42}
)

// ParseSubject reads the subject of an eHealth or eID certificate by the rules of
// the official connector (dossier 01 B.4, dossier 02 A.5): with a SERIALNUMBER it
// is an eID card and the number a SSIN; else the OU of the form TYPE=digits gives
// type and number, an OU with which the CN ends is the application id, and the
// remaining OU the owner's name. The order of the parts does not matter. The error
// is [ErrSubject].
func ParseSubject(c *x509.Certificate) (Subject, error) {
	if c == nil {
		return Subject{}, fmt.Errorf("%w: no certificate", ErrSubject)
	}
	if c.Subject.SerialNumber != "" {
		s := Subject{Type: identity.TypeSSIN, EID: true, name: newSecret(cardName(c.Subject))}
		s.setNumber(c.Subject.SerialNumber)
		return s, nil
	}
	cn, units := c.Subject.CommonName, c.Subject.OrganizationalUnit
	own := -1
	var s Subject
	var digits string
	for i, ou := range units {
		t, d, ok := identifier(ou)
		// The CN begins with the identifier, which settles it should the owner's
		// name have the form of one too.
		if ok && (own < 0 || strings.HasPrefix(cn, ou) && !strings.HasPrefix(cn, units[own])) {
			own, s.Type, digits = i, t, d
		}
	}
	if own < 0 {
		return Subject{}, ErrSubject
	}
	s.setNumber(digits)
	for i, ou := range units {
		switch {
		case i == own, ou == "eHealth-platform Belgium", ou == "Federal Government", ou == "":
		case s.Application == "" && strings.HasSuffix(cn, ou):
			s.Application = ou
		case s.name == secret{}:
			s.name = newSecret(ou)
		}
	}
	return s, nil
}

// identifier splits TYPE=digits. The connector's expression is
// [A-Z(-|_)]+=[0-9]+, in which "(-|" is a range of characters by accident and lets
// nearly everything pass; what it means to say are capitals, '-' and '_', to which
// the digits of NIHII11 must be added.
func identifier(ou string) (identity.IdentifierType, string, bool) {
	name, digits, ok := strings.Cut(ou, "=")
	if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", "", false
	}
	t, err := identity.ParseIdentifierType(name)
	return t, digits, err == nil
}

func (s *Subject) setNumber(digits string) {
	s.number = newSecret(digits)
	family, _, _ := strings.Cut(string(s.Type), "-")
	switch family {
	case "SSIN":
		s.SSIN, _ = identity.ParseSSIN(digits)
	case "CBE":
		s.CBE, _ = identity.ParseCBE(digits)
	case "NIHII", "NIHII11":
		s.NIHII, _ = identity.ParseNIHIILenient(digits)
	case "EHP":
		s.EHP, _ = identity.ParseEHPLenient(digits)
	}
}

// cardName is "given names surname" of an eID certificate; older ones have only a
// CN, "Given Surname (Authentication)".
func cardName(n pkix.Name) string {
	var given, surname string
	for _, a := range n.Names {
		if text, ok := a.Value.(string); ok && a.Type.Equal(oidGivenName) {
			given = text
		} else if ok && a.Type.Equal(oidSurname) {
			surname = text
		}
	}
	if both := strings.TrimSpace(given + " " + surname); both != "" {
		return both
	}
	return strings.TrimSuffix(n.CommonName, " (Authentication)")
}

// Reveal returns the number as the certificate has it, in clear and unchecked.
func (s Subject) Reveal() string { return s.number.reveal() }

// RevealName returns the owner's name in clear, empty when there is none.
func (s Subject) RevealName() string { return s.name.reveal() }

// CheckOK reports whether the number follows the check-digit rule of its type;
// types without a known rule only need digits.
func (s Subject) CheckOK() bool { return s.Type.Check(s.Reveal()) == nil }

// String shows the type and the application, never number or name.
func (s Subject) String() string {
	if s.Type == "" {
		return "keystore.Subject(absent)"
	}
	text := "keystore.Subject(" + string(s.Type)
	if s.Application != "" {
		text += ", " + s.Application
	}
	return text + ", redacted)"
}

// Format writes String whatever the verb.
func (s Subject) Format(f fmt.State, verb rune) { format(f, verb, s.String()) }

// LogValue is String.
func (s Subject) LogValue() slog.Value { return slog.StringValue(s.String()) }

type secret struct{ h unique.Handle[string] }

func newSecret(s string) secret {
	if s == "" {
		return secret{}
	}
	return secret{unique.Make(s)}
}

func (s secret) reveal() string {
	if s == (secret{}) {
		return ""
	}
	return s.h.Value()
}
