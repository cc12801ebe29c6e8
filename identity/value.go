package identity

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unique"
)

// kind tells one sort of identifier from another at compile time.
type kind interface {
	label() string
	// parse returns the canonical text of s or one of the reasons of errors.go.
	parse(s string) (string, error)
}

// value carries what all identifiers share. The digits stand behind a handle,
// which is comparable and which fmt cannot follow from an outer struct.
type value[K kind] struct{ h unique.Handle[string] }

func parse[K kind](s string) (value[K], error) {
	var k K
	canon, err := k.parse(s)
	if err != nil {
		return value[K]{}, &ParseError{Type: k.label(), Err: err}
	}
	return value[K]{unique.Make(canon)}, nil
}

// parseAs is parse with another judge and s as canonical text, for the lenient parsers.
func parseAs[K kind](s string, judge func(string) error) (value[K], error) {
	if err := judge(s); err != nil {
		var k K
		return value[K]{}, &ParseError{Type: k.label(), Err: err}
	}
	return value[K]{unique.Make(s)}, nil
}

// must serves the Must functions; the panic does not name the input.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// IsZero reports whether the identifier is absent.
func (v value[K]) IsZero() bool { return v.h == unique.Handle[string]{} }

// Reveal returns the identifier in clear, "" when absent. Every use is a
// decision to let it leave the process.
func (v value[K]) Reveal() string {
	if v.IsZero() {
		return ""
	}
	return v.h.Value()
}

// String returns the kind and "redacted" or "absent", never the identifier.
func (v value[K]) String() string {
	var k K
	if v.IsZero() {
		return k.label() + "(absent)"
	}
	return k.label() + "(redacted)"
}

// GoString is String with the package's name in front.
func (v value[K]) GoString() string { return "identity." + v.String() }

// Format writes the redacted form whatever the verb; width and %q are honoured.
func (v value[K]) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('#'):
		_, _ = io.WriteString(f, v.GoString())
	case verb == 'q':
		_, _ = fmt.Fprintf(f, fmt.FormatString(f, 'q'), v.String())
	default:
		_, _ = fmt.Fprintf(f, fmt.FormatString(f, 's'), v.String())
	}
}

// LogValue returns the redacted form.
func (v value[K]) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText returns empty text for an absent identifier and ErrReveal for
// any other: see the package comment.
func (v value[K]) MarshalText() ([]byte, error) {
	if v.IsZero() {
		return []byte{}, nil
	}
	var k K
	return nil, &ParseError{Type: k.label(), Err: ErrReveal}
}

// UnmarshalText parses strictly; empty text makes the identifier absent.
func (v *value[K]) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*v = value[K]{}
		return nil
	}
	p, err := parse[K](string(text))
	if err != nil {
		return err
	}
	*v = p
	return nil
}

// maxInput bounds what lenient parsers look at; no written form of a number is longer.
const maxInput = 64

// strip removes the separators that people and other programs put into numbers.
func strip(s string) string {
	if len(s) > maxInput || !strings.ContainsAny(s, ".-/ ") {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.', '-', '/', ' ':
			return -1
		}
		return r
	}, s)
}

// digits checks that s consists of n ASCII digits. Length is judged in bytes
// first: a text of the wrong length is reported as such even when it has letters.
func digits(s string, n int) error {
	if len(s) != n {
		return ErrLength
	}
	if !onlyDigits(s) {
		return ErrDigits
	}
	return nil
}

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// number reads at most eleven digits; the caller has checked them.
func number(s string) int {
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// check97 is 97 minus the remainder, 01 to 97: the check digits of all Belgian
// numbers that end in two of them.
func check97(n int) int { return 97 - n%97 }
