package identity

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// The table of dossier 05 section 6.1, row by row.
func TestSSINTable(t *testing.T) {
	type date struct {
		y, m, d int
		ok      bool
	}
	tests := []struct {
		in       string
		born2000 bool
		bis      bool
		sex      Sex
		birth    date
	}{
		{"85073199704", false, false, Male, date{1985, 7, 31, true}},
		{"15073199817", true, false, Female, date{2015, 7, 31, true}},
		{"85473199790", false, true, Male, date{1985, 7, 31, true}},
		{"85273199747", false, true, SexUnknown, date{1985, 7, 31, true}},
		{"90022999836", false, false, Female, date{1990, 2, 29, false}},
		{"00010199747", false, false, Male, date{1900, 1, 1, true}},
		{"00010199776", true, false, Male, date{2000, 1, 1, true}},
		{"00000000097", false, false, Female, date{1900, 0, 0, false}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			s, err := ParseSSIN(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if s.Reveal() != tt.in || s.IsZero() {
				t.Errorf("Reveal = %q, IsZero = %v", s.Reveal(), s.IsZero())
			}
			if s.Born2000() != tt.born2000 || s.BIS() != tt.bis || s.Sex() != tt.sex {
				t.Errorf("born2000 %v, BIS %v, sex %v; want %v, %v, %v", s.Born2000(), s.BIS(), s.Sex(), tt.born2000, tt.bis, tt.sex)
			}
			var got date
			got.y, got.m, got.d, got.ok = s.BirthDate()
			if got != tt.birth {
				t.Errorf("BirthDate = %v, want %v", got, tt.birth)
			}
		})
	}
}

// Rows "N mod 97" and "CC" of the same table.
func TestSSINCheckDigits(t *testing.T) {
	for _, tt := range []struct {
		nine           string
		prefix2        bool
		rest, expected int
	}{
		{"850731997", false, 93, 4},
		{"150731998", true, 80, 17},
		{"854731997", false, 7, 90},
		{"852731997", false, 50, 47},
		{"900229998", false, 61, 36},
		{"000101997", false, 50, 47},
		{"000101997", true, 21, 76},
		{"000000000", false, 0, 97},
	} {
		n := number(tt.nine)
		if tt.prefix2 {
			n = n%97 + rest2000
		}
		if n%97 != tt.rest || check97(n) != tt.expected {
			t.Errorf("%s: rest %d check %d, want %d %d", tt.nine, n%97, check97(n), tt.rest, tt.expected)
		}
	}
	if rest2000 != int64(2_000_000_000)%97 {
		t.Error("rest2000 is not 2*10^9 mod 97")
	}
}

func TestParseSSINRefuses(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want error
	}{
		{"85073199705", ErrCheck},
		{"8507319970", ErrLength},
		{"85.07.31-997.04", ErrLength},
		{"", ErrLength},
		{"850731997040", ErrLength},
		{"8507319970a", ErrDigits},
		{"8507319970 ", ErrDigits},
		{"8507319٠٤", ErrDigits}, // seven ASCII and two Arabic digits: eleven bytes
		{"+8507319970", ErrDigits},
		{"00000000000", ErrCheck}, // check digits are 01 to 97
		{"00000000098", ErrCheck},
		{"00000000099", ErrCheck},
	} {
		s, err := ParseSSIN(tt.in)
		if !errors.Is(err, tt.want) {
			t.Errorf("%q: %v, want %v", tt.in, err, tt.want)
		}
		if !s.IsZero() {
			t.Errorf("%q: refused but not zero", tt.in)
		}
		var pe *ParseError
		if !errors.As(err, &pe) || pe.Type != "SSIN" || pe.SafeError() != err.Error() {
			t.Errorf("%q: not a *ParseError of SSIN: %#v", tt.in, err)
		}
	}
}

func TestParseSSINLenient(t *testing.T) {
	for _, in := range []string{"85.07.31-997.04", "85073199704", "850731 997 04", "85/07/31-997.04"} {
		s, err := ParseSSINLenient(in)
		if err != nil || s != MustSSIN("85073199704") {
			t.Errorf("%q: %v", in, err)
		}
	}
	for in, want := range map[string]error{
		"85.07.31-997.05": ErrCheck, "85,07,31-997.04": ErrLength, "x5.07.31-997.04": ErrDigits, "": ErrLength,
	} {
		if _, err := ParseSSINLenient(in); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
}

func TestAbsentSSIN(t *testing.T) {
	var s SSIN
	_, _, _, ok := s.BirthDate()
	if !s.IsZero() || s.Reveal() != "" || s.Born2000() || s.BIS() || s.Sex() != SexUnknown || ok {
		t.Error("the absent SSIN claims something")
	}
}

func TestSexString(t *testing.T) {
	if got := fmt.Sprint(Male, Female, SexUnknown); got != "male female unknown" {
		t.Error(got)
	}
}

func TestNewSSIN(t *testing.T) {
	for _, tt := range []struct {
		make func() (SSIN, error)
		want string
	}{
		{func() (SSIN, error) { return NewSSIN(1985, 7, 31, 997) }, "85073199704"},
		{func() (SSIN, error) { return NewSSIN(2015, 7, 31, 998) }, "15073199817"},
		{func() (SSIN, error) { return NewBIS(1985, 7, 31, 997, true) }, "85473199790"},
		{func() (SSIN, error) { return NewBIS(1985, 7, 31, 997, false) }, "85273199747"},
		{func() (SSIN, error) { return NewSSIN(1900, 0, 0, 0) }, "00000000097"},
	} {
		s, err := tt.make()
		if err != nil || s.Reveal() != tt.want {
			t.Errorf("got %q %v, want %s", s.Reveal(), err, tt.want)
		}
	}
	for _, a := range [][4]int{{1899, 1, 1, 1}, {2100, 1, 1, 1}, {1985, 13, 1, 1}, {1985, -1, 1, 1}, {1985, 1, 32, 1}, {1985, 1, -1, 1}, {1985, 1, 1, 1000}, {1985, 1, 1, -1}} {
		if s, err := NewSSIN(a[0], a[1], a[2], a[3]); !errors.Is(err, ErrForm) || !s.IsZero() {
			t.Errorf("%v: %v", a, err)
		}
	}
}

func drawSSIN(t *rapid.T) (SSIN, int, int, int, int, int) {
	y, m := rapid.IntRange(1900, 2099).Draw(t, "year"), rapid.IntRange(0, 12).Draw(t, "month")
	d, o := rapid.IntRange(0, 31).Draw(t, "day"), rapid.IntRange(0, 999).Draw(t, "order")
	offset := rapid.SampledFrom([]int{0, bisSexUnknown, bisSexKnown}).Draw(t, "offset")
	s, err := newSSIN(y, m, d, o, offset)
	if err != nil {
		t.Fatal(err)
	}
	return s, y, m, d, o, offset
}

func TestSSINRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, y, m, d, o, offset := drawSSIN(t)
		gy, gm, gd, _ := s.BirthDate()
		if gy != y || gm != m || gd != d {
			t.Fatalf("date %d-%d-%d became %d-%d-%d", y, m, d, gy, gm, gd)
		}
		want := Female
		if offset == bisSexUnknown {
			want = SexUnknown
		} else if o%2 == 1 {
			want = Male
		}
		if s.Sex() != want || s.BIS() != (offset != 0) || s.Born2000() != (y >= 2000) {
			t.Fatalf("sex %v, BIS %v, born2000 %v", s.Sex(), s.BIS(), s.Born2000())
		}
		if again, err := ParseSSIN(s.Reveal()); err != nil || again != s {
			t.Fatal("a number made by the constructor does not parse to itself")
		}
	})
}

// One wrong digit is noticed by the modulus, unless the number becomes a valid
// one of the other century: that is the price of two rules.
func TestSSINOneWrongDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _, _, _, _, _ := drawSSIN(t)
		wrong, err := ParseSSIN(change(t, s.Reveal(), 0, 11))
		if err == nil && wrong.Born2000() == s.Born2000() {
			t.Fatal("a changed digit passed under the same rule")
		}
		if err != nil && !errors.Is(err, ErrCheck) {
			t.Fatal(err)
		}
	})
}

// change returns s with one digit of s[from:to] replaced by another.
func change(t *rapid.T, s string, from, to int) string {
	i := rapid.IntRange(from, to-1).Draw(t, "position")
	b := []byte(s)
	b[i] = '0' + (b[i]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "by")))%10
	return string(b)
}
