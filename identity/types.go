package identity

import "strings"

// IdentifierType names the kind of number in certificates and in the depot of
// encryption tokens. The set is open: the platform adds types, and an unknown
// one is not an error. Dossier 02 section A.4, 01 section B.4.
type IdentifierType string

// The identifier types known to the depot.
const (
	TypeCBE               IdentifierType = "CBE"
	TypeCBETreatCenter    IdentifierType = "CBE-TREAT_CENTER"
	TypeCBEConsortium     IdentifierType = "CBE-CONSORTIUM"
	TypeSSIN              IdentifierType = "SSIN"
	TypeNIHII             IdentifierType = "NIHII"
	TypeNIHII11           IdentifierType = "NIHII11"
	TypePharmacy          IdentifierType = "NIHII-PHARMACY"
	TypeHospital          IdentifierType = "NIHII-HOSPITAL"
	TypeLabo              IdentifierType = "NIHII-LABO"
	TypeRetirement        IdentifierType = "NIHII-RETIREMENT"
	TypeOTDPharmacy       IdentifierType = "NIHII-OTD_PHARMACY"
	TypeGroup             IdentifierType = "NIHII-GROUP" // group of nurses
	TypePalliativeCare    IdentifierType = "NIHII-PALLIATIVE_CARE"
	TypeOfficeDentists    IdentifierType = "NIHII-OFFICE_DENTISTS"
	TypeMedicalHouse      IdentifierType = "NIHII-MEDICAL_HOUSE"
	TypeOfficeDoctors     IdentifierType = "NIHII-OFFICE_DOCTORS"
	TypeGroupDoctors      IdentifierType = "NIHII-GROUP_DOCTORS"
	TypeOfBand            IdentifierType = "NIHII-OF_BAND"
	TypePsychHouse        IdentifierType = "NIHII-PSYCH_HOUSE"
	TypeProtAcc           IdentifierType = "NIHII-PROT_ACC"
	TypeHomeServices      IdentifierType = "NIHII-HOME_SERVICES"
	TypeOfPhysios         IdentifierType = "NIHII-OF_PHYSIOS"
	TypeGuardPost         IdentifierType = "NIHII-GUARD_POST"
	TypeBelRAI            IdentifierType = "NIHII-BELRAI"
	TypeBelRAIScreen      IdentifierType = "NIHII-BELRAI_SCREEN"
	TypeGroupMidwives     IdentifierType = "NIHII-GROUP_MIDWIVES"
	TypeReeducation       IdentifierType = "NIHII-REEDUCATION"
	TypeSortingCenter     IdentifierType = "NIHII-SORTING_CENTER"
	TypeAmbulanceService  IdentifierType = "NIHII-AMBU_SERVICE"
	TypeLegalPsy          IdentifierType = "NIHII-LEGAL_PSY"
	TypeEHP               IdentifierType = "EHP"
	TypeEHPControl        IdentifierType = "EHP-CTRL_ORGANISM"
	TypeSite              IdentifierType = "SITE"
	TypeSiteSMUR          IdentifierType = "SITESMUR"
	TypeSitePIT           IdentifierType = "SITEPIT"
	maxIdentifierTypeSize                = 40
	maxIdentifierDigits                  = 20
)

// identifierDigits lists the known types with the length of their values.
var identifierDigits = map[IdentifierType]int{
	TypeCBE: 10, TypeCBETreatCenter: 10, TypeCBEConsortium: 10, TypeSSIN: 11, TypeNIHII: 8, TypeNIHII11: 11,
	TypePharmacy: 8, TypeHospital: 8, TypeLabo: 8, TypeRetirement: 8, TypeOTDPharmacy: 8, TypeGroup: 8,
	TypePalliativeCare: 8, TypeOfficeDentists: 8, TypeMedicalHouse: 8, TypeOfficeDoctors: 8, TypeGroupDoctors: 8,
	TypeOfBand: 8, TypePsychHouse: 8, TypeProtAcc: 8, TypeHomeServices: 8, TypeOfPhysios: 8, TypeGuardPost: 8,
	TypeBelRAI: 8, TypeBelRAIScreen: 8, TypeGroupMidwives: 8, TypeReeducation: 8, TypeSortingCenter: 8,
	TypeAmbulanceService: 8, TypeLegalPsy: 8, TypeEHP: 10, TypeEHPControl: 10, TypeSite: 4, TypeSiteSMUR: 10, TypeSitePIT: 10,
}

// ParseIdentifierType accepts capital letters, digits, '-' and '_', beginning
// with a letter; unknown types pass.
func ParseIdentifierType(s string) (IdentifierType, error) {
	if s == "" || len(s) > maxIdentifierTypeSize {
		return "", &ParseError{Type: "identifier type", Err: ErrLength}
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'A' && c <= 'Z'
		other := i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '_')
		if !letter && !other {
			return "", &ParseError{Type: "identifier type", Err: ErrForm}
		}
	}
	return IdentifierType(s), nil
}

// Known reports whether t is one of the constants.
func (t IdentifierType) Known() bool { return identifierDigits[t] != 0 }

// Digits returns the length of the values of t, 0 when t is not known.
func (t IdentifierType) Digits() int { return identifierDigits[t] }

// Pad brings a number into the form of the depot: zeros in front of a short
// one, a long one cut behind the last digit (an eleven-digit NIHII becomes its
// first eight). Always pass the digits as text: a number that went through an
// integer has lost its zeros and would be cut wrongly. For unknown types the
// digits are returned as they are. ErrDigits or ErrLength otherwise.
func (t IdentifierType) Pad(number string) (string, error) {
	if number == "" || len(number) > maxIdentifierDigits {
		return "", &ParseError{Type: "identifier type", Err: ErrLength}
	}
	if !onlyDigits(number) {
		return "", &ParseError{Type: "identifier type", Err: ErrDigits}
	}
	n := t.Digits()
	switch {
	case n == 0:
		return number, nil
	case len(number) > n:
		return number[:n], nil
	}
	return strings.Repeat("0", n-len(number)) + number, nil
}

// Check applies the check-digit rule of t to a number in the depot's form. Types
// without a known rule (SITE and unknown ones) only need digits.
func (t IdentifierType) Check(number string) error {
	var err error
	switch {
	case t == TypeSSIN:
		_, err = ParseSSIN(number)
	case strings.HasPrefix(string(t), "NIHII"):
		if n := t.Digits(); n != 0 && len(number) != n {
			return &ParseError{Type: "NIHII", Err: ErrLength}
		}
		_, err = ParseNIHII(number)
	case t == TypeCBE, t == TypeCBEConsortium, t == TypeCBETreatCenter:
		if len(number) != t.Digits() {
			return &ParseError{Type: "CBE", Err: ErrLength}
		}
		_, err = ParseCBE(number)
	case t == TypeEHP, t == TypeEHPControl:
		_, err = ParseEHP(number)
	default:
		_, err = t.Pad(number)
	}
	return err
}

// EHBox returns Type and SubType of the eHealthBox for t: the parts before and
// after the first '-', with two exceptions (SSIN is called INSS, TREAT_CENTER is
// written out). NIHII11 and the SITE types have no SubType either.
func (t IdentifierType) EHBox() (typ, subType string) {
	switch t {
	case TypeSSIN:
		return "INSS", ""
	case TypeCBETreatCenter:
		return "CBE", "TREATMENT_CENTER"
	}
	typ, subType, _ = strings.Cut(string(t), "-")
	return typ, subType
}
