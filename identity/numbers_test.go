package identity

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// The table of dossier 05 section 6.2, row by row.
func TestNIHIITable(t *testing.T) {
	for _, tt := range []struct {
		six         string
		rest, check int
		base, full  string
		profession  Profession
		form        NIHIIForm
	}{
		{"199999", 82, 15, "19999915", "19999915001", ProfessionDoctor, FormPerson},
		{"299999", 75, 22, "29999922", "29999922001", ProfessionPharmacy, FormPerson},
		{"219999", 3, 94, "21999994", "21999994000", ProfessionPharmacy, FormPharmacy},
		{"499999", 61, 36, "49999936", "49999936401", ProfessionMidwifeOrNurse, FormPerson},
		{"709999", 56, 41, "70999941", "70999941000", ProfessionInstitution, FormHospital},
		{"899999", 33, 64, "89999964", "89999964000", ProfessionOrganisation, FormOrganisation},
	} {
		t.Run(tt.base, func(t *testing.T) {
			if n := number(tt.six); n%97 != tt.rest || check97(n) != tt.check {
				t.Errorf("rest %d, check %d", n%97, check97(n))
			}
			long, err := ParseNIHII(tt.full)
			if err != nil {
				t.Fatal(err)
			}
			if long.Base() != tt.base || long.Full() != tt.full || long.Qualification() != tt.full[8:] {
				t.Errorf("base %s, full %s, qualification %s", long.Base(), long.Full(), long.Qualification())
			}
			if long.Profession() != tt.profession || long.Form() != tt.form || !long.CheckOK() {
				t.Errorf("profession %v, form %v", long.Profession(), long.Form())
			}
			short, err := ParseNIHII(tt.base)
			if err != nil {
				t.Fatal(err)
			}
			if short.Base() != tt.base || short.Full() != tt.base+"000" || short.Qualification() != "" || short.Reveal() != tt.base {
				t.Errorf("base %s, full %s, qualification %q", short.Base(), short.Full(), short.Qualification())
			}
			if short == long || !short.SameBase(long) || !long.SameBase(short) {
				t.Error("SameBase")
			}
			if made, err := NewNIHII(tt.six, tt.full[8:]); err != nil || made != long {
				t.Errorf("NewNIHII with qualification: %v", err)
			}
			if made, err := NewNIHII(tt.six, ""); err != nil || made != short {
				t.Errorf("NewNIHII: %v", err)
			}
		})
	}
}

func TestNIHIIProfessions(t *testing.T) {
	want := "unknown,doctor,pharmacist or pharmacy,dentist,midwife or nurse,physiotherapist,unknown,institution,organisation,unknown,"
	forms := "unknown,person,pharmacy,person,person,person,unknown,hospital,organisation,unknown,"
	var got, gotForms string
	for first := range 10 {
		n, err := NewNIHII(fmt.Sprintf("%d09999", first), "")
		if err != nil {
			t.Fatal(err)
		}
		got += n.Profession().String() + ","
		gotForms += n.Form().String() + ","
	}
	if got != want {
		t.Errorf("professions %s", got)
	}
	if gotForms != forms {
		t.Errorf("forms %s", gotForms)
	}
	if f := MustNIHII("21999994000").Form(); f != FormPharmacy {
		t.Errorf("padded pharmacy is %v", f)
	}
}

func TestParseNIHIIRefuses(t *testing.T) {
	for _, tt := range []struct {
		in            string
		strict, loose error
	}{
		{"19999916", ErrCheck, nil},
		{"19999916001", ErrCheck, nil},
		{"1999991", ErrLength, ErrLength},
		{"199999150", ErrLength, ErrLength},
		{"1999991500", ErrLength, ErrLength},
		{"199999150011", ErrLength, ErrLength},
		{"1999991a", ErrDigits, ErrDigits},
		{"1-99999-15-001", ErrLength, nil},
		{"", ErrLength, ErrLength},
	} {
		if _, err := ParseNIHII(tt.in); !errors.Is(err, tt.strict) {
			t.Errorf("%q: %v, want %v", tt.in, err, tt.strict)
		}
		n, err := ParseNIHIILenient(tt.in)
		if !errors.Is(err, tt.loose) || (err == nil) == n.IsZero() {
			t.Errorf("lenient %q: %v, want %v", tt.in, err, tt.loose)
		}
	}
	if n, _ := ParseNIHIILenient("19999916001"); n.CheckOK() {
		t.Error("CheckOK does not warn")
	}
	if n, _ := ParseNIHIILenient("1-99999-15-001"); !n.CheckOK() || n != MustNIHII("19999915001") {
		t.Error("separators are not removed")
	}
	for _, a := range [][2]string{{"19999", ""}, {"1999999", ""}, {"19999x", ""}, {"199999", "01"}, {"199999", "0x1"}} {
		if _, err := NewNIHII(a[0], a[1]); !errors.Is(err, ErrLength) && !errors.Is(err, ErrDigits) {
			t.Errorf("NewNIHII(%q): %v", a, err)
		}
	}
	var none NIHII
	if none.CheckOK() || none.Base() != "" || none.Full() != "" || none.Qualification() != "" || none.SameBase(none) ||
		none.Profession() != ProfessionUnknown || none.Form() != FormUnknown {
		t.Error("the absent NIHII claims something")
	}
}

// The table of dossier 05 section 6.3.
func TestCBETable(t *testing.T) {
	for _, tt := range []struct {
		eight       string
		rest, check int
		number      string
		lookup      string
	}{
		{"09999999", 75, 22, "0999999922", "999999922"},
		{"08205634", 16, 81, "0820563481", "820563481"},
		{"08093944", 70, 27, "0809394427", "809394427"},
	} {
		if n := number(tt.eight); n%97 != tt.rest || check97(n) != tt.check {
			t.Errorf("%s: rest %d, check %d", tt.eight, n%97, check97(n))
		}
		c, err := ParseCBE(tt.number)
		if err != nil || c.Reveal() != tt.number || c.WithoutLeadingZero() != tt.lookup {
			t.Errorf("%s: %v, %s", tt.number, err, c.WithoutLeadingZero())
		}
		if old, err := ParseCBE(tt.lookup); err != nil || old != c {
			t.Errorf("nine digits of %s: %v", tt.number, err)
		}
		if made, err := NewCBE(tt.eight); err != nil || made != c {
			t.Errorf("NewCBE(%s): %v", tt.eight, err)
		}
	}
	one, err := NewCBE("10000000")
	if err != nil || one.WithoutLeadingZero() != one.Reveal() || len(one.Reveal()) != 10 {
		t.Errorf("a number that starts with 1: %v", err)
	}
	// The Recip-e numbers of dossier 02 section A.4 follow the rule too.
	for _, s := range []string{"0823257311", "0206653946"} {
		if _, err := ParseCBE(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestParseCBERefuses(t *testing.T) {
	for in, want := range map[string]error{
		"0820563482": ErrCheck, "82056348": ErrLength, "08205634811": ErrLength, "2820563481": ErrForm, "082056348x": ErrDigits,
		"0820.563.481": ErrLength, "": ErrLength, "82056348x": ErrDigits,
	} {
		if c, err := ParseCBE(in); !errors.Is(err, want) || !c.IsZero() {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
	for _, in := range []string{"BE 0820.563.481", "BE0820563481", "0820.563.481", "820.563.481"} {
		if c, err := ParseCBELenient(in); err != nil || c != MustCBE("0820563481") {
			t.Errorf("lenient %q: %v", in, err)
		}
	}
	if _, err := ParseCBELenient("BE 0820.563.482"); !errors.Is(err, ErrCheck) {
		t.Errorf("lenient: %v", err)
	}
	if _, err := NewCBE("29999999"); !errors.Is(err, ErrForm) {
		t.Errorf("NewCBE: %v", err)
	}
	if _, err := NewCBE("9999999"); !errors.Is(err, ErrLength) {
		t.Errorf("NewCBE: %v", err)
	}
}

// The hubs of dossier 11 section 1.2 and its synthetic number.
func TestEHP(t *testing.T) {
	for _, s := range []string{"1990000035", "1990000728", "1990000134", "1990001916", "1990000827", "1999999943"} {
		e, err := ParseEHP(s)
		if err != nil || e.Reveal() != s || !e.CheckOK() {
			t.Errorf("%s: %v", s, err)
		}
		if made, err := NewEHP(s[:8]); err != nil || made != e {
			t.Errorf("NewEHP(%s): %v", s[:8], err)
		}
	}
	for in, want := range map[string]error{"1990000036": ErrCheck, "199000003": ErrLength, "19900000351": ErrLength, "199000003x": ErrDigits} {
		if _, err := ParseEHP(in); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
	if e, err := ParseEHPLenient("1990000036"); err != nil || e.CheckOK() {
		t.Errorf("lenient: %v", err)
	}
	if _, err := ParseEHPLenient("199000003x"); !errors.Is(err, ErrDigits) {
		t.Errorf("lenient: %v", err)
	}
	if _, err := NewEHP("199000000"); !errors.Is(err, ErrLength) {
		t.Errorf("NewEHP: %v", err)
	}
	if (EHP{}).CheckOK() {
		t.Error("the absent EHP number passes")
	}
}

// The table of dossier 05 section 6.4.
func TestCNKTable(t *testing.T) {
	for six, cnk := range map[string]string{"999999": "9999996", "123456": "1234566", "432100": "4321006", "000000": "0000000"} {
		c, err := ParseCNK(cnk)
		if err != nil || c.Reveal() != cnk || !c.CheckOK() {
			t.Errorf("%s: %v", cnk, err)
		}
		if made, err := NewCNK(six); err != nil || made != c {
			t.Errorf("NewCNK(%s): %v", six, err)
		}
	}
	for in, want := range map[string]error{"1234567": ErrCheck, "123456": ErrLength, "12345666": ErrLength, "123456x": ErrDigits, "1234-566": ErrLength} {
		if _, err := ParseCNK(in); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
	if c, err := ParseCNKLenient("1234-567"); err != nil || c.CheckOK() || c.Reveal() != "1234567" {
		t.Errorf("lenient: %v", err)
	}
	if _, err := ParseCNKLenient("123456x"); !errors.Is(err, ErrDigits) {
		t.Errorf("lenient: %v", err)
	}
	if _, err := NewCNK("12345"); !errors.Is(err, ErrLength) {
		t.Errorf("NewCNK: %v", err)
	}
	if (CNK{}).CheckOK() {
		t.Error("the absent CNK passes")
	}
}

// One wrong digit is always noticed where one modulus rules.
func TestOneWrongDigit(t *testing.T) {
	text := func(n int) *rapid.Generator[string] { return rapid.StringMatching(fmt.Sprintf(`[0-9]{%d}`, n)) }
	t.Run("NIHII", rapid.MakeCheck(func(t *rapid.T) {
		n, err := NewNIHII(text(6).Draw(t, "six"), text(3).Draw(t, "qualification"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseNIHII(change(t, n.Reveal(), 0, 8)); !errors.Is(err, ErrCheck) {
			t.Fatalf("not noticed: %v", err)
		}
	}))
	t.Run("CBE", rapid.MakeCheck(func(t *rapid.T) {
		n, err := NewCBE(rapid.StringMatching(`[01][0-9]{7}`).Draw(t, "eight"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCBE(change(t, n.Reveal(), 0, 10)); !errors.Is(err, ErrCheck) && !errors.Is(err, ErrForm) {
			t.Fatalf("not noticed: %v", err)
		}
	}))
	t.Run("EHP", rapid.MakeCheck(func(t *rapid.T) {
		n, err := NewEHP(text(8).Draw(t, "eight"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseEHP(change(t, n.Reveal(), 0, 10)); !errors.Is(err, ErrCheck) {
			t.Fatalf("not noticed: %v", err)
		}
	}))
	t.Run("CNK", rapid.MakeCheck(func(t *rapid.T) {
		n, err := NewCNK(text(6).Draw(t, "six"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCNK(change(t, n.Reveal(), 0, 7)); !errors.Is(err, ErrCheck) {
			t.Fatalf("not noticed: %v", err)
		}
	}))
}
