package identity

import (
	"fmt"
	"strings"
)

// mod97Check judges ten digits whose last two are 97 minus the remainder of the
// first eight by 97; CBE and EHP numbers share it.
func mod97Check(s string) bool { return number(s[8:]) == check97(number(s[:8])) }

type cbeKind struct{}

func (cbeKind) label() string { return "CBE" }

func (cbeKind) parse(s string) (string, error) {
	if len(s) == 9 {
		s = "0" + s
	}
	if err := digits(s, 10); err != nil {
		return "", err
	}
	if s[0] != '0' && s[0] != '1' {
		return "", ErrForm
	}
	if !mod97Check(s) {
		return "", ErrCheck
	}
	return s, nil
}

// CBE is an enterprise number (KBO, BCE): ten digits starting with 0 or 1.
// Dossier 05 section 6.3.
type CBE struct{ value[cbeKind] }

// ParseCBE accepts ten digits, or the nine of an old number, which get a 0 in
// front. The last two are 97 minus the remainder of the first eight by 97.
func ParseCBE(s string) (CBE, error) {
	v, err := parse[cbeKind](s)
	return CBE{v}, err
}

// ParseCBELenient is ParseCBE after removing a leading "BE" and '.', '-', '/'
// and spaces: letterheads show BE 0820.563.481.
func ParseCBELenient(s string) (CBE, error) {
	return ParseCBE(strings.TrimPrefix(strip(s), "BE"))
}

// MustCBE is ParseCBE for constants in tests and examples; it panics.
func MustCBE(s string) CBE { return must(ParseCBE(s)) }

// NewCBE computes the check digits of eight digits starting with 0 or 1.
func NewCBE(eight string) (CBE, error) {
	if err := digits(eight, 8); err != nil {
		return CBE{}, &ParseError{Type: "CBE", Err: err}
	}
	return ParseCBE(fmt.Sprintf("%s%02d", eight, check97(number(eight))))
}

// WithoutLeadingZero reveals the number as some clients write it in lookups of
// encryption tokens: 820563481 for 0820563481. A number that starts with 1
// keeps its ten digits.
func (c CBE) WithoutLeadingZero() string { return strings.TrimPrefix(c.Reveal(), "0") }

type ehpKind struct{}

func (ehpKind) label() string { return "EHP" }

func (ehpKind) parse(s string) (string, error) {
	if err := ehpForm(s); err != nil {
		return "", err
	}
	if !mod97Check(s) {
		return "", ErrCheck
	}
	return s, nil
}

func ehpForm(s string) error { return digits(s, 10) }

// EHP is a number given by the eHealth platform to an organisation that has no
// other one, such as a hub: ten digits. Dossier 11 section 1.2.
type EHP struct{ value[ehpKind] }

// ParseEHP accepts ten digits, the last two of which are 97 minus the remainder
// of the first eight by 97.
func ParseEHP(s string) (EHP, error) {
	v, err := parse[ehpKind](s)
	return EHP{v}, err
}

// ParseEHPLenient lets wrong check digits pass: the rule holds for every number
// seen but was never published. Ask CheckOK and warn.
func ParseEHPLenient(s string) (EHP, error) {
	v, err := parseAs[ehpKind](s, ehpForm)
	return EHP{v}, err
}

// MustEHP is ParseEHP for constants in tests and examples; it panics.
func MustEHP(s string) EHP { return must(ParseEHP(s)) }

// NewEHP computes the check digits of eight digits.
func NewEHP(eight string) (EHP, error) {
	if err := digits(eight, 8); err != nil {
		return EHP{}, &ParseError{Type: "EHP", Err: err}
	}
	return ParseEHP(fmt.Sprintf("%s%02d", eight, check97(number(eight))))
}

// CheckOK reports whether the check digits follow the rule of ParseEHP.
func (e EHP) CheckOK() bool { return !e.IsZero() && mod97Check(e.Reveal()) }
