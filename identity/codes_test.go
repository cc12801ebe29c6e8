package identity

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Every three-digit text is judged as the pattern of the GenIns schema does.
func TestMutualityPattern(t *testing.T) {
	pattern := regexp.MustCompile(`^(750|999|[1-69][0-9]{2})$`)
	for i := range 1000 {
		s := fmt.Sprintf("%03d", i)
		m, err := ParseMutuality(s)
		if (err == nil) != pattern.MatchString(s) {
			t.Errorf("%s: %v", s, err)
		}
		if err != nil && !errors.Is(err, ErrForm) {
			t.Errorf("%s: %v", s, err)
		}
		if err == nil && s != "750" && m.Union().Code()[0] != s[0] {
			t.Errorf("%s: union %v", s, m.Union())
		}
		if m.MediPrima() != (s == "690") {
			t.Errorf("%s: MediPrima", s)
		}
	}
	for in, want := range map[string]error{"": ErrLength, "12": ErrLength, "1234": ErrLength, "12x": ErrDigits} {
		if _, err := ParseMutuality(in); !errors.Is(err, want) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if MustMutuality("750").Union() != UnionUnknown || (Mutuality{}).Union() != UnionUnknown {
		t.Error("750 and the absent code have no union")
	}
}

// The table of dossier 05 section 6.5.
func TestUnions(t *testing.T) {
	for digit, name := range map[string]string{
		"1": "Christian", "2": "Neutral", "3": "Socialist", "4": "Liberal", "5": "Free", "6": "CAAMI", "9": "Railways",
	} {
		u, err := ParseUnion(digit)
		if err != nil || u.String() != name || u.Digit() != digit || u.Code() != digit+"00" {
			t.Errorf("%s: %v %v %s %s", digit, err, u, u.Digit(), u.Code())
		}
		if v, err := ParseUnion(digit + "00"); err != nil || v != u || MustMutuality(digit+"00").Union() != u {
			t.Errorf("%s00: %v", digit, err)
		}
	}
	if u, err := ParseUnion("000"); err != nil || u != UnionUnknown || u.Digit() != "" || u.Code() != "000" || u.String() != "unknown" {
		t.Errorf("000: %v %v", u, err)
	}
	for in, want := range map[string]error{"": ErrLength, "12": ErrLength, "1000": ErrLength, "7": ErrForm, "0": ErrForm, "800": ErrForm, "101": ErrForm, "x": ErrForm} {
		if _, err := ParseUnion(in); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
	if Union(200).Digit() != "" || Union(200).Code() != "000" {
		t.Error("a value outside the set has a digit")
	}
}

func TestRID(t *testing.T) {
	pattern := regexp.MustCompile(`^BE[PKN][P0-9][0-9A-HJ-NP-TV-Z]{8}$`)
	for in, typ := range map[string]PrescriptionType{
		"BEP0ABCDEFGH": PrescriptionP0, "BEP10000000Z": PrescriptionP1, "BEP2XYZW1234": PrescriptionP2, "BEPP12345678": PrescriptionPP,
		"BEKP00000000": "KP", "BEN9ZZZZZZZZ": "N9",
	} {
		r, err := ParseRID(in)
		if err != nil || r.Type() != typ || r.Reveal() != in {
			t.Errorf("%s: %v, type %q", in, err, r.Type())
		}
	}
	refused := map[string]error{
		"": ErrLength, "BEP0ABCDEFG": ErrLength, "BEP0ABCDEFGHJ": ErrLength, "BEX0ABCDEFGH": ErrForm, "BEPKABCDEFGH": ErrForm,
		"BEP0ABCDEFGI": ErrForm, "BEP0ABCDEFGO": ErrForm, "BEP0ABCDEFGU": ErrForm, "bep0abcdefgh": ErrForm, "BEP0ABCDEFG|": ErrForm,
		"BEP0ABCDEFG ": ErrForm, "FRP0ABCDEFGH": ErrForm, " BEP0ABCDEFGH": ErrLength,
	}
	for in, want := range refused {
		if pattern.MatchString(in) {
			t.Fatalf("the test is wrong about %q", in)
		}
		if r, err := ParseRID(in); !errors.Is(err, want) || !r.IsZero() {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
	if (RID{}).Type() != "" {
		t.Error("the absent RID has a type")
	}
}

func TestRIDLenient(t *testing.T) {
	for in, want := range map[string]string{
		"BEP0ABCDEFGI": "BEP0ABCDEFGI", "\n BEP0ABCDEFGH\t": "BEP0ABCDEFGH", "BEPKABCDEFGH": "BEPKABCDEFGH", "BEX0ABCDEFGH": "BEX0ABCDEFGH",
	} {
		if r, err := ParseRIDLenient(in); err != nil || r.Reveal() != want {
			t.Errorf("%q: %v", in, err)
		}
	}
	for in, want := range map[string]error{
		"": ErrLength, "BEP0ABCDEFG": ErrLength, "BEP0ABCDEFG|": ErrForm, "bep0abcdefgh": ErrForm, "FRP0ABCDEFGH": ErrForm,
		strings.Repeat(" ", 100) + "BEP0ABCDEFGH": ErrLength,
	} {
		if _, err := ParseRIDLenient(in); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
}

func TestNewRID(t *testing.T) {
	pattern := regexp.MustCompile(`^BE[PKN][P0-9][0-9A-HJ-NP-TV-Z]{8}$`)
	seen := map[RID]uint64{}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, ridSpace-1).Draw(t, "n")
		r, err := NewRID(PrescriptionP1, n)
		if err != nil || !pattern.MatchString(r.Reveal()) || r.Type() != PrescriptionP1 {
			t.Fatalf("%d: %v", n, err)
		}
		if old, ok := seen[r]; ok && old != n {
			t.Fatalf("%d and %d make the same RID", old, n)
		}
		seen[r] = n
	})
	if r, err := NewRID(PrescriptionP0, ridSpace-1); err != nil || r.Reveal() != "BEP0ZZZZZZZZ" {
		t.Errorf("the last RID: %v", err)
	}
	for typ, n := range map[PrescriptionType]uint64{PrescriptionP0: ridSpace, "PK": 0, "": 1, "P00": 2} {
		if _, err := NewRID(typ, n); !errors.Is(err, ErrForm) {
			t.Errorf("%q %d: %v", typ, n, err)
		}
	}
}

// The qualities as dossier 05 section 1.4 lists them.
func TestQualities(t *testing.T) {
	const genIns = "doctor, nurse, physiotherapist, dentist, logopedist, trussmaker, orthopedist, midwife, optician, podologist, dietician, hospital, " +
		"groupofnurses, labo, retirement, otdpharmacy, medicalhouse, groupofdoctors, psychiatrichouse, guardpost, ambulanceservice"
	accepted := map[Quality]bool{}
	for s := range strings.SplitSeq(genIns, ", ") {
		q, err := ParseQuality(s)
		if err != nil || !q.GenIns() || !q.MemberData() {
			t.Errorf("%s: %v", s, err)
		}
		accepted[q] = true
	}
	for _, q := range []Quality{ClinicalPsychologist, Reeducation} {
		if !q.MemberData() || q.GenIns() {
			t.Errorf("%s belongs to MemberData only", q)
		}
	}
	for q := range qualities {
		if q.GenIns() != accepted[q] {
			t.Errorf("%s: GenIns %v", q, q.GenIns())
		}
		if q.IsPerson() == q.IsOrganisation() {
			t.Errorf("%s is a person and an organisation, or neither", q)
		}
		if string(q) != strings.ToLower(string(q)) {
			t.Errorf("%s is not lower case", q)
		}
	}
	for _, q := range []Quality{Doctor, Midwife, Dietician, ClinicalPsychologist, Pharmacist} {
		if !q.IsPerson() {
			t.Errorf("%s is a person", q)
		}
	}
	for _, q := range []Quality{Hospital, GuardPost, MedicalHouse, GroupOfDoctors, AmbulanceService, Reeducation, Pharmacy, Enterprise, EHPOrganisation} {
		if !q.IsOrganisation() {
			t.Errorf("%s is an organisation", q)
		}
	}
	for _, s := range []string{"", "DOCTOR", "Doctor", "doctor ", "PHARMACY", "plumber"} {
		q, err := ParseQuality(s)
		if !errors.Is(err, ErrForm) || q != "" || Quality(s).IsPerson() || Quality(s).IsOrganisation() {
			t.Errorf("%q: %v", s, err)
		}
	}
	if WirePharmacy != "PHARMACY" || WirePharmacyHolder != "PHARMACY-HOLDER" {
		t.Error("the pharmacist service spells its qualities in capitals")
	}
}

// The table of dossier 02 section A.4.
func TestIdentifierTypes(t *testing.T) {
	for _, tt := range []struct {
		typ          IdentifierType
		digits       int
		ehType, ehSu string
	}{
		{"CBE", 10, "CBE", ""},
		{"CBE-TREAT_CENTER", 10, "CBE", "TREATMENT_CENTER"},
		{"CBE-CONSORTIUM", 10, "CBE", "CONSORTIUM"},
		{"SSIN", 11, "INSS", ""},
		{"NIHII", 8, "NIHII", ""},
		{"NIHII11", 11, "NIHII11", ""},
		{"NIHII-PHARMACY", 8, "NIHII", "PHARMACY"},
		{"NIHII-HOSPITAL", 8, "NIHII", "HOSPITAL"},
		{"NIHII-OTD_PHARMACY", 8, "NIHII", "OTD_PHARMACY"},
		{"NIHII-GROUP", 8, "NIHII", "GROUP"},
		{"NIHII-BELRAI_SCREEN", 8, "NIHII", "BELRAI_SCREEN"},
		{"NIHII-REEDUCATION", 8, "NIHII", "REEDUCATION"},
		{"NIHII-SORTING_CENTER", 8, "NIHII", "SORTING_CENTER"},
		{"EHP", 10, "EHP", ""},
		{"EHP-CTRL_ORGANISM", 10, "EHP", "CTRL_ORGANISM"},
		{"SITE", 4, "SITE", ""},
		{"SITESMUR", 10, "SITESMUR", ""},
		{"SITEPIT", 10, "SITEPIT", ""},
	} {
		a, b := tt.typ.EHBox()
		if tt.typ.Digits() != tt.digits || !tt.typ.Known() || a != tt.ehType || b != tt.ehSu {
			t.Errorf("%s: %d digits, %s/%s", tt.typ, tt.typ.Digits(), a, b)
		}
	}
	for typ := range identifierDigits {
		if p, err := ParseIdentifierType(string(typ)); err != nil || p != typ {
			t.Errorf("%s: %v", typ, err)
		}
	}
	if u, err := ParseIdentifierType("NIHII-NEW_THING"); err != nil || u.Known() || u.Digits() != 0 {
		t.Errorf("an unknown type must pass: %v", err)
	}
	for in, want := range map[string]error{"": ErrLength, strings.Repeat("A", 41): ErrLength, "cbe": ErrForm, "1CBE": ErrForm, "CBE=1": ErrForm, "-": ErrForm} {
		if _, err := ParseIdentifierType(in); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
}

func TestPad(t *testing.T) {
	for _, tt := range []struct {
		typ      IdentifierType
		in, want string
	}{
		{TypeCBE, "820563481", "0820563481"},
		{TypeCBE, "0820563481", "0820563481"},
		{TypeNIHII, "19999915001", "19999915"},
		{TypeNIHII11, "19999915001", "19999915001"},
		{TypePharmacy, "1999994", "01999994"},
		{TypeSSIN, "10199747", "00010199747"},
		{TypeSite, "12", "0012"},
		{"NIHII-NEW", "123", "123"},
	} {
		if got, err := tt.typ.Pad(tt.in); err != nil || got != tt.want {
			t.Errorf("%s: %q %v, want %q", tt.typ, got, err, tt.want)
		}
	}
	for in, want := range map[string]error{"": ErrLength, "12x": ErrDigits, "-1": ErrDigits, strings.Repeat("1", 21): ErrLength} {
		if _, err := TypeCBE.Pad(in); !errors.Is(err, want) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestIdentifierCheck(t *testing.T) {
	for _, tt := range []struct {
		typ  IdentifierType
		in   string
		want error
	}{
		{TypeSSIN, "85073199704", nil},
		{TypeSSIN, "85073199705", ErrCheck},
		{TypeNIHII, "19999915", nil},
		{TypeNIHII, "19999915001", ErrLength},
		{TypeNIHII11, "19999915001", nil},
		{TypePharmacy, "21999994", nil},
		{TypePharmacy, "21999995", ErrCheck},
		{"NIHII-NEW", "21999994", nil},
		{TypeCBE, "0820563481", nil},
		{TypeCBE, "820563481", ErrLength},
		{TypeCBEConsortium, "0820563482", ErrCheck},
		{TypeEHP, "1990000035", nil},
		{TypeEHPControl, "1990000036", ErrCheck},
		{TypeSite, "1234", nil},
		{TypeSite, "12x4", ErrDigits},
	} {
		if err := tt.typ.Check(tt.in); !errors.Is(err, tt.want) {
			t.Errorf("%s %s: %v, want %v", tt.typ, tt.in, err, tt.want)
		}
	}
}
