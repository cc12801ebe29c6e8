package etee

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
	"unique"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// ErrIdentifier: nobody can be registered in the ETK depot under that type, number or application.
var ErrIdentifier = errors.New("etee: not an identifier of the ETK depot")

// maxApplication bounds the name of an application; the longest known one has 9 characters.
const maxApplication = 128

// Identifier is whom the ETK depot knows: a type of number, the number in the depot's form, and an application of its holder
// (dossier 02 A.4). Identifiers are comparable; the zero value is nobody. The number does not show when it is printed.
type Identifier struct {
	Type identity.IdentifierType
	// Application is empty for holders with one token.
	Application string

	// Behind a handle, which fmt cannot follow even from an outer struct.
	number unique.Handle[string]
}

// NewIdentifier makes an identifier and brings the number into the depot's form: zeros in front of a short one, a long one
// cut, so that a NIHII number of eleven digits becomes its first eight ([identity.IdentifierType.Pad]). Check digits are not
// looked at: the depot knows numbers that do not follow the published rules. The error is [ErrIdentifier].
func NewIdentifier(t identity.IdentifierType, number, application string) (Identifier, error) {
	if _, err := identity.ParseIdentifierType(string(t)); err != nil {
		return Identifier{}, fmt.Errorf("%w: type", ErrIdentifier)
	}
	if number == "" || len(number) > 64 {
		return Identifier{}, fmt.Errorf("%w: number", ErrIdentifier)
	}
	padded, err := t.Pad(number)
	if err != nil {
		return Identifier{}, fmt.Errorf("%w: number: %w", ErrIdentifier, err)
	}
	if len(application) > maxApplication || !utf8.ValidString(application) ||
		strings.ContainsFunc(application, unicode.IsControl) || strings.TrimSpace(application) != application {
		return Identifier{}, fmt.Errorf("%w: application", ErrIdentifier)
	}
	return Identifier{t, application, unique.Make(padded)}, nil
}

// IdentifierOf is under which identifier the holder of an authentication certificate is registered (dossier 02 A.5). The error
// is [ErrIdentifier] or [keystore.ErrSubject].
func IdentifierOf(c *x509.Certificate) (Identifier, error) {
	s, err := keystore.ParseSubject(c)
	if err != nil {
		return Identifier{}, err
	}
	return NewIdentifier(s.Type, s.Reveal(), s.Application)
}

// The identifiers of services (dossier 02 A.4), for configurations that name no others.
var (
	// KGSSIdentifier is the key service.
	KGSSIdentifier = known("0809394427", "KGSS")
	// RecipeIdentifier and RecipeNewIdentifier are Recip-e's, which changed from the first to the second and back in
	// February 2026 (INC-2026-02-04-ETK): give [Depot.Find] both.
	RecipeIdentifier    = known("0823257311", "")
	RecipeNewIdentifier = known("0206653946", "")
	// MyCareNetIdentifier is that of chapter IV, member data, eAttest and eAgreement.
	MyCareNetIdentifier = known("0820563481", "MYCARENET")
)

func known(number, application string) Identifier {
	return Identifier{identity.TypeCBE, application, unique.Make(number)}
}

// IsZero reports whether it is nobody.
func (i Identifier) IsZero() bool { return i == Identifier{} }

// Reveal returns the number as the depot writes it, "" for nobody.
func (i Identifier) Reveal() string {
	if i.number == (unique.Handle[string]{}) {
		return ""
	}
	return i.number.Value()
}

// String shows type and application, never the number.
func (i Identifier) String() string {
	switch {
	case i.IsZero():
		return "etee.Identifier(absent)"
	case i.Application != "":
		return "etee.Identifier(" + string(i.Type) + ", " + i.Application + ", redacted)"
	}
	return "etee.Identifier(" + string(i.Type) + ", redacted)"
}

// Format writes String whatever the verb.
func (i Identifier) Format(f fmt.State, verb rune) { format(f, verb, i.String()) }

// LogValue is String.
func (i Identifier) LogValue() slog.Value { return slog.StringValue(i.String()) }

// holds reports whether a certificate's subject is the one that was asked for. Tokens of persons are registered under their
// SSIN and found under their NIHII number too, which no certificate shows (dossier 02 A.3). Without an application any
// will do; a subject that names none is the holder of all of them.
func (i Identifier) holds(s keystore.Subject) bool {
	if i.Application != "" && s.Application != "" && i.Application != s.Application {
		return false
	}
	if s.Type == identity.TypeSSIN && (i.Type == identity.TypeNIHII || i.Type == identity.TypeNIHII11) {
		return true
	}
	number, err := s.Type.Pad(s.Reveal())
	return err == nil && s.Type == i.Type && number == i.Reveal()
}

// identifierFrom reads an identifier that the depot, or our own store, wrote.
func identifierFrom(t, number, application string) (Identifier, error) {
	return NewIdentifier(identity.IdentifierType(t), number, application)
}
