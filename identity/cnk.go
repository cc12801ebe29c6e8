package identity

import "fmt"

type cnkKind struct{}

func (cnkKind) label() string { return "CNK" }

func (cnkKind) parse(s string) (string, error) {
	if err := cnkForm(s); err != nil {
		return "", err
	}
	if !cnkCheck(s) {
		return "", ErrCheck
	}
	return s, nil
}

func cnkForm(s string) error { return digits(s, 7) }

func cnkCheck(s string) bool { return int(s[6]-'0') == luhn(s[:6]) }

// luhn returns the digit that completes s: from the right every second digit
// counts double, beginning with the last.
func luhn(s string) int {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 0 {
			d *= 2
			if d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return (10 - sum%10) % 10
}

// CNK is the code of a pharmaceutical product or package: seven digits, the
// last a Luhn digit. Dossier 05 section 6.4.
type CNK struct{ value[cnkKind] }

// ParseCNK accepts seven digits with the right check digit.
func ParseCNK(s string) (CNK, error) {
	v, err := parse[cnkKind](s)
	return CNK{v}, err
}

// ParseCNKLenient removes '.', '-', '/' and spaces and lets a wrong check digit
// pass: what counts is the reference database. Ask CheckOK and warn.
func ParseCNKLenient(s string) (CNK, error) {
	v, err := parseAs[cnkKind](strip(s), cnkForm)
	return CNK{v}, err
}

// MustCNK is ParseCNK for constants in tests and examples; it panics.
func MustCNK(s string) CNK { return must(ParseCNK(s)) }

// NewCNK computes the check digit of six digits.
func NewCNK(six string) (CNK, error) {
	if err := digits(six, 6); err != nil {
		return CNK{}, &ParseError{Type: "CNK", Err: err}
	}
	return ParseCNK(fmt.Sprintf("%s%d", six, luhn(six)))
}

// CheckOK reports whether the check digit is right. It is always true for codes
// made by ParseCNK, and false for an absent one.
func (c CNK) CheckOK() bool { return !c.IsZero() && cnkCheck(c.Reveal()) }
