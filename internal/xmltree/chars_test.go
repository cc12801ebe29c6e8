package xmltree

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// slowBadChar looks at one character after the other.
func slowBadChar(s string) int {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size <= 1 || !isChar(r) {
			return i
		}
		i += size
	}
	return -1
}

// TestBadCharEverywhere: every byte at every place of a word, alone, after and before another byte, is judged as it is by itself.
func TestBadCharEverywhere(t *testing.T) {
	for c := range 256 {
		for _, next := range []string{"x", "\x00", "\x1f", "\x7f", "\x80", "\xa9", "\xff", "\n"} {
			for at := range 18 {
				for _, after := range []int{0, 1, 7, 8, 20} {
					s := strings.Repeat("~", at) + string([]byte{byte(c)}) + next + strings.Repeat(" ", after)
					if got, want := badChar(s), slowBadChar(s); got != want {
						t.Fatalf("%q: %d, want %d", s, got, want)
					}
				}
			}
		}
	}
	for _, word := range []string{"é", "€", "\U0001F600", "\uFFFE", "\uFFFF", "\uFFFD", "\xed\xa0\x80", "\xc0\x80", "\xf0\x9f\x98", "\r\n", "\t"} {
		for at := range 18 {
			s := strings.Repeat("a", at) + word + strings.Repeat("b", 18-at) + word
			if got, want := badChar(s), slowBadChar(s); got != want {
				t.Fatalf("%q: %d, want %d", s, got, want)
			}
		}
	}
}

// TestTextEverywhere: what ends a plain run of text is seen wherever it stands.
func TestTextEverywhere(t *testing.T) {
	for _, c := range []struct {
		in, out string
		err     error
	}{
		{"x", "x", nil},
		{"&amp;", "&", nil},
		{"\r\n", "\n", nil},
		{"\r", "\n", nil},
		{"]", "]", nil},
		{"]]", "]]", nil},
		{"]]>", "", ErrSyntax},
		{"<![CDATA[<&\r]]>", "<&\n", nil},
		{"<![CDATA[]]>", "", nil},
		{"&nbsp;", "", ErrSyntax},
		{"&", "", ErrSyntax},
		{">", ">", nil},
		{"é", "é", nil},
	} {
		for at := range 40 {
			before, after := strings.Repeat("A", at), strings.Repeat("B", 39-at)
			root, err := Parse([]byte("<a><b>"+before+c.in+after+"</b></a>"), Limits{})
			if !errors.Is(err, c.err) {
				t.Fatalf("%q at %d: %v", c.in, at, err)
			}
			if c.err != nil {
				continue
			}
			if got, err := root.Child("", "b").Text(); err != nil || got != before+c.out+after {
				t.Fatalf("%q at %d: %q, %v", c.in, at, got, err)
			}
		}
	}
}
