package identity

import "fmt"

type nihiiKind struct{}

func (nihiiKind) label() string { return "NIHII" }

func (nihiiKind) parse(s string) (string, error) {
	if err := nihiiForm(s); err != nil {
		return "", err
	}
	if !nihiiCheck(s) {
		return "", ErrCheck
	}
	return s, nil
}

func nihiiForm(s string) error {
	if len(s) != 8 && len(s) != 11 {
		return ErrLength
	}
	return digits(s, len(s))
}

func nihiiCheck(s string) bool { return number(s[6:8]) == check97(number(s[:6])) }

// NIHII is a number of the national institute for health and disability
// insurance (RIZIV, INAMI): six digits, two check digits and, for people, a
// three-digit qualification. Organisations have eight digits, written with 000
// behind them where a message wants eleven. Dossier 05 section 6.2.
//
// A value keeps the length it was parsed with; compare two numbers of unknown
// length with SameBase.
type NIHII struct{ value[nihiiKind] }

// ParseNIHII accepts eight or eleven digits whose seventh and eighth are
// 97 minus the remainder of the first six by 97.
func ParseNIHII(s string) (NIHII, error) {
	v, err := parse[nihiiKind](s)
	return NIHII{v}, err
}

// ParseNIHIILenient removes '.', '-', '/' and spaces and lets wrong check
// digits pass: some older series are said to use other moduli. Ask CheckOK
// and warn. Length and digits are still checked.
func ParseNIHIILenient(s string) (NIHII, error) {
	v, err := parseAs[nihiiKind](strip(s), nihiiForm)
	return NIHII{v}, err
}

// MustNIHII is ParseNIHII for constants in tests and examples; it panics.
func MustNIHII(s string) NIHII { return must(ParseNIHII(s)) }

// NewNIHII computes the check digits of six digits. The qualification is three
// digits, or empty for the eight-digit form.
func NewNIHII(six, qualification string) (NIHII, error) {
	err := digits(six, 6)
	if err == nil && qualification != "" {
		err = digits(qualification, 3)
	}
	if err != nil {
		return NIHII{}, &ParseError{Type: "NIHII", Err: err}
	}
	return ParseNIHII(fmt.Sprintf("%s%02d%s", six, check97(number(six)), qualification))
}

// CheckOK reports whether the check digits follow the published rule. It is
// always true for numbers made by ParseNIHII, and false for an absent one.
func (n NIHII) CheckOK() bool { return !n.IsZero() && nihiiCheck(n.Reveal()) }

// Base reveals the first eight digits; "" when absent.
func (n NIHII) Base() string {
	if n.IsZero() {
		return ""
	}
	return n.Reveal()[:8]
}

// Qualification returns the last three digits of the eleven-digit form, ""
// for the eight-digit form. 000 stands for "none".
func (n NIHII) Qualification() string {
	if s := n.Reveal(); len(s) == 11 {
		return s[8:]
	}
	return ""
}

// Full reveals the eleven-digit form; an eight-digit number is followed by
// 000, which is right for organisations only. "" when absent.
func (n NIHII) Full() string {
	if s := n.Reveal(); len(s) == 8 {
		return s + "000"
	}
	return n.Reveal()
}

// SameBase reports whether both numbers are present and have the same first
// eight digits.
func (n NIHII) SameBase(o NIHII) bool { return !n.IsZero() && n.Base() == o.Base() }

// Profession is what the first digit of a NIHII number says about its holder.
type Profession uint8

// The professions by first digit. The zero value stands for digits without a
// known meaning (0, 6, 9) and for absent numbers.
const (
	ProfessionUnknown         Profession = 0
	ProfessionDoctor          Profession = 1
	ProfessionPharmacy        Profession = 2 // a pharmacist or a pharmacy, see Form
	ProfessionDentist         Profession = 3
	ProfessionMidwifeOrNurse  Profession = 4
	ProfessionPhysiotherapist Profession = 5
	ProfessionInstitution     Profession = 7 // hospital or other institution
	ProfessionOrganisation    Profession = 8 // medical house and other organisations
)

// String returns an English word for the profession.
func (p Profession) String() string {
	switch p {
	case ProfessionDoctor:
		return "doctor"
	case ProfessionPharmacy:
		return "pharmacist or pharmacy"
	case ProfessionDentist:
		return "dentist"
	case ProfessionMidwifeOrNurse:
		return "midwife or nurse"
	case ProfessionPhysiotherapist:
		return "physiotherapist"
	case ProfessionInstitution:
		return "institution"
	case ProfessionOrganisation:
		return "organisation"
	}
	return "unknown"
}

// Profession reads the first digit. The rule is inferred from numbers in use,
// so treat it as a hint.
func (n NIHII) Profession() Profession {
	if n.IsZero() {
		return ProfessionUnknown
	}
	switch p := Profession(n.Reveal()[0] - '0'); p {
	case 0, 6, 9:
		return ProfessionUnknown
	default:
		return p
	}
}

// NIHIIForm says what kind of holder a NIHII number has.
type NIHIIForm uint8

// The forms of a NIHII number.
const (
	FormUnknown NIHIIForm = iota
	FormPerson
	FormPharmacy
	FormHospital // hospital or another institution: first digit 7
	FormOrganisation
)

// String returns "person", "pharmacy", "hospital", "organisation" or "unknown".
func (f NIHIIForm) String() string {
	switch f {
	case FormPerson:
		return "person"
	case FormPharmacy:
		return "pharmacy"
	case FormHospital:
		return "hospital"
	case FormOrganisation:
		return "organisation"
	}
	return "unknown"
}

// Form derives the kind of holder. Numbers starting with 2 belong to
// pharmacists when they carry a qualification other than 000, else to
// pharmacies. Like Profession it is a hint; what counts is the quality that the
// message or certificate names.
func (n NIHII) Form() NIHIIForm {
	switch n.Profession() {
	case ProfessionDoctor, ProfessionDentist, ProfessionMidwifeOrNurse, ProfessionPhysiotherapist:
		return FormPerson
	case ProfessionPharmacy:
		if q := n.Qualification(); q != "" && q != "000" {
			return FormPerson
		}
		return FormPharmacy
	case ProfessionInstitution:
		return FormHospital
	case ProfessionOrganisation:
		return FormOrganisation
	}
	return FormUnknown
}
