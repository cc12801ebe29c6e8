package paper

import (
	"strings"
	"testing"
)

func TestLatin(t *testing.T) {
	for _, tc := range []struct{ in, out string }{
		{"Zoë Müßig-Œuvré €", "Zoë Müßig-Œuvré €"},
		{"Łukasz Wałęsa", "Lukasz Walesa"},
		{"Ștefan Țepeș", "Stefan Tepes"},
		{"İbrahim Gökçeoğlu ış", "Ibrahim Gökçeoglu is"},
		{"Dvořák Šimková Ž", "Dvorák Šimková Ž"},
		{"Nguyễn Thị Ánh", "Nguyen Thi Ánh"},
		{"Đorđević", "Dordevic"},
		{"Zoe\u0308 Rene\u0301 C\u0327a", "Zoë René Ça"},
		{"n\u030cs\u0323\u0302", "ns"},
		{"1⅓ 1½ ⅔", "1 1/3 1½ 2/3"},
		{"≥ 5 mg → 10\u202fmg", ">= 5 mg -> 10 mg"},
		{"interferon β-1a, 5 μg", "interferon beta-1a, 5 µg"},
		{"B₁₂ 30 m²", "B12 30 m²"},
		{"a\r\nb\tc\u00add", "a\nb cd"},
	} {
		b, bad := latin(tc.in)
		var got strings.Builder
		for _, c := range b {
			got.WriteRune(decode(c))
		}
		if bad != 0 || got.String() != tc.out {
			t.Errorf("%q: %q, %U, want %q", tc.in, got.String(), bad, tc.out)
		}
	}
	for in, want := range map[string]rune{"Γιώργος": 'Γ', "αβ": 'α', "漢": '漢', "10⁶": '⁶', "\u0301a": '\u0301', "😀": '😀', "a\u0007": 7, "\u0085": 0x85, "Ж\u0306": 'Ж'} {
		if b, bad := latin(in); bad != want || b != nil {
			t.Errorf("%q: %q, %U", in, b, bad)
		}
	}
}

// FuzzLatin: nothing panics, and what is printed has no control characters but the end of a line.
func FuzzLatin(f *testing.F) {
	for _, s := range []string{"Łukasz", "e\u0301\u0301", "1⅓", "β", "\u0308", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, bad := latin(s)
		if bad != 0 && b != nil {
			t.Errorf("text and an error: %q", b)
		}
		for _, c := range b {
			if r := decode(c); r == 0 || c < ' ' && c != '\n' || c == 0x7f {
				t.Errorf("%q became %q", s, b)
			}
		}
	})
}
