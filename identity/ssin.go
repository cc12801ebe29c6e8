package identity

import (
	"fmt"
	"time"
)

type ssinKind struct{}

func (ssinKind) label() string { return "SSIN" }

func (ssinKind) parse(s string) (string, error) {
	if err := digits(s, 11); err != nil {
		return "", err
	}
	if _, ok := ssinCentury(s); !ok {
		return "", ErrCheck
	}
	return s, nil
}

// rest2000 is 2*10^9 mod 97: a 2 stands in front of the nine digits of people
// born from 2000 on. (The number itself would not fit a 32-bit int.)
const rest2000 = 68

// ssinCentury tells from the check digits whether the person was born in 2000
// or later. rest2000 is not zero, so both rules never hold at once.
func ssinCentury(s string) (born2000, ok bool) {
	n, c := number(s[:9]), number(s[9:])
	switch c {
	case check97(n):
		return false, true
	case check97(n%97 + rest2000):
		return true, true
	}
	return false, false
}

// SSIN is the identification number of a natural person in social security
// (INSZ, NISS), eleven digits: YYMMDD, order number, check digits. People who
// are not in the national register have a BIS number, whose month is raised by
// 20 or 40. Dossier 05 section 6.1.
type SSIN struct{ value[ssinKind] }

// ParseSSIN accepts exactly eleven digits with the check digits of either
// century. The date is not judged: numbers with an unknown or impossible date
// of birth exist.
func ParseSSIN(s string) (SSIN, error) {
	v, err := parse[ssinKind](s)
	return SSIN{v}, err
}

// ParseSSINLenient is ParseSSIN after removing '.', '-', '/' and spaces:
// identity cards show 85.07.31-997.04.
func ParseSSINLenient(s string) (SSIN, error) { return ParseSSIN(strip(s)) }

// MustSSIN is ParseSSIN for constants in tests and examples; it panics.
func MustSSIN(s string) SSIN { return must(ParseSSIN(s)) }

// NewSSIN makes the number of a person in the national register. Month and
// day may be 0 (unknown); order is 0 to 999, odd for men, even for women. The
// year is 1900 to 2099. Anything else is ErrForm.
func NewSSIN(year, month, day, order int) (SSIN, error) {
	return newSSIN(year, month, day, order, 0)
}

// NewBIS makes a BIS number: NewSSIN with the month raised by 40, or by 20
// when the sex is not known.
func NewBIS(year, month, day, order int, sexKnown bool) (SSIN, error) {
	if sexKnown {
		return newSSIN(year, month, day, order, bisSexKnown)
	}
	return newSSIN(year, month, day, order, bisSexUnknown)
}

const (
	bisSexUnknown = 20
	bisSexKnown   = 40
)

func newSSIN(year, month, day, order, offset int) (SSIN, error) {
	if year < 1900 || year > 2099 || month < 0 || month > 12 || day < 0 || day > 31 || order < 0 || order > 999 {
		return SSIN{}, &ParseError{Type: "SSIN", Err: ErrForm}
	}
	nine := fmt.Sprintf("%02d%02d%02d%03d", year%100, month+offset, day, order)
	n := number(nine)
	if year >= 2000 {
		n = n%97 + rest2000
	}
	return ParseSSIN(fmt.Sprintf("%s%02d", nine, check97(n)))
}

// Sex as far as a number tells.
type Sex uint8

// The values of Sex. SexUnknown is the zero value: BIS numbers raised by 20
// and absent numbers say nothing.
const (
	SexUnknown Sex = iota
	Male
	Female
)

// String returns "male", "female" or "unknown".
func (s Sex) String() string {
	switch s {
	case Male:
		return "male"
	case Female:
		return "female"
	}
	return "unknown"
}

// Born2000 reports whether the check digits are those of a person born in
// 2000 or later.
func (s SSIN) Born2000() bool {
	if s.IsZero() {
		return false
	}
	b, _ := ssinCentury(s.Reveal())
	return b
}

// bisOffset returns 0, 20 or 40.
func (s SSIN) bisOffset() int {
	if s.IsZero() {
		return 0
	}
	switch m := number(s.Reveal()[2:4]); {
	case m >= bisSexUnknown && m < bisSexKnown:
		return bisSexUnknown
	case m >= bisSexKnown && m < bisSexKnown+20:
		return bisSexKnown
	}
	return 0
}

// BIS reports whether the number belongs to a person outside the national
// register: month raised by 20 or 40.
func (s SSIN) BIS() bool { return s.bisOffset() != 0 }

// Sex is derived from the order number, odd for men and even for women. It is
// SexUnknown for BIS numbers raised by 20.
func (s SSIN) Sex() Sex {
	switch {
	case s.IsZero() || s.bisOffset() == bisSexUnknown:
		return SexUnknown
	case (s.Reveal()[8]-'0')%2 == 1:
		return Male
	}
	return Female
}

// BirthDate returns the date written in the number, without the BIS offset;
// the century follows from the check digits. ok is false when the three parts
// are not a date of the calendar (parts of the date may be 0, unknown), and the
// parts are then returned as they stand. The result is a claim of the number,
// not a fact: never reject a person because of it.
func (s SSIN) BirthDate() (year, month, day int, ok bool) {
	if s.IsZero() {
		return 0, 0, 0, false
	}
	d := s.Reveal()
	year, month, day = 1900+number(d[:2]), number(d[2:4])-s.bisOffset(), number(d[4:6])
	if s.Born2000() {
		year += 100
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	ok = month >= 1 && month <= 12 && t.Day() == day && t.Month() == time.Month(month)
	return year, month, day, ok
}
