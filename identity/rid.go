package identity

import "strings"

// ridAlphabet is what the last eight characters of a RID are made of: no I, O
// and U, which are easily misread.
const ridAlphabet = "0123456789ABCDEFGHJKLMNPQRSTVWXYZ"

type ridKind struct{}

func (ridKind) label() string { return "RID" }

// parse applies ^BE[PKN][P0-9][0-9A-HJ-NP-TV-Z]{8}$.
func (ridKind) parse(s string) (string, error) {
	if len(s) != 12 {
		return "", ErrLength
	}
	if s[:2] != "BE" || !strings.Contains("PKN", s[2:3]) || !strings.Contains("P0123456789", s[3:4]) {
		return "", ErrForm
	}
	for i := 4; i < len(s); i++ {
		if strings.IndexByte(ridAlphabet, s[i]) < 0 {
			return "", ErrForm
		}
	}
	return s, nil
}

func ridFormLenient(s string) error {
	if len(s) != 12 {
		return ErrLength
	}
	if s[:2] != "BE" {
		return ErrForm
	}
	for i := 2; i < len(s); i++ {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'A' || s[i] > 'Z') {
			return ErrForm
		}
	}
	return nil
}

// RID identifies an electronic prescription: BE, two characters of type and
// eight others. It is given out by the server and has no check digit; whoever
// holds it can fetch the prescription, so it is redacted like a person's number.
// Dossier 04 section 10.
type RID struct{ value[ridKind] }

// ParseRID accepts ^BE[PKN][P0-9][0-9A-HJ-NP-TV-Z]{8}$. Use it for what people
// type and scan.
func ParseRID(s string) (RID, error) {
	v, err := parse[ridKind](s)
	return RID{v}, err
}

// ParseRIDLenient is for answers of the server, which decides what a RID is:
// white space around is dropped, and after BE any ten digits and capital letters
// pass. To refuse the RID of a prescription that was created would lose it.
func ParseRIDLenient(s string) (RID, error) {
	if len(s) <= maxInput {
		s = strings.Trim(s, " \t\r\n")
	}
	v, err := parseAs[ridKind](s, ridFormLenient)
	return RID{v}, err
}

// MustRID is ParseRID for constants in tests and examples; it panics.
func MustRID(s string) RID { return must(ParseRID(s)) }

// ridSpace is the count of values of the last eight characters, 33^8.
const ridSpace = 33 * 33 * 33 * 33 * 33 * 33 * 33 * 33

// NewRID makes the RID of type t whose last eight characters are n in base 33.
// Only the server (the sandbox) gives out RIDs. ErrForm when the type does not
// fit the pattern or n is 33^8 or more.
func NewRID(t PrescriptionType, n uint64) (RID, error) {
	if len(t) != 2 || n >= ridSpace {
		return RID{}, &ParseError{Type: "RID", Err: ErrForm}
	}
	var b [8]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = ridAlphabet[n%33]
		n /= 33
	}
	return ParseRID("BE" + string(t) + string(b[:]))
}

// PrescriptionType is the third and fourth character of a RID.
type PrescriptionType string

// The prescription types in use; the executor's software may meet others.
const (
	PrescriptionP0 PrescriptionType = "P0" // medicine, not reimbursed
	PrescriptionP1 PrescriptionType = "P1" // medicine, reimbursed
	PrescriptionP2 PrescriptionType = "P2" // magistral preparation, legacy
	PrescriptionPP PrescriptionType = "PP" // first generation
)

// Type returns the prescription type, "" when absent.
func (r RID) Type() PrescriptionType {
	if r.IsZero() {
		return ""
	}
	return PrescriptionType(r.Reveal()[2:4])
}
