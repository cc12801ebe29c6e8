package identity

import (
	"fmt"
	"io"
	"log/slog"
	"unique"
)

const hidden = "[private]"

// Private is a piece of text about a person, or a secret, that must reach neither a log nor a screen by accident:
// a name, a number, a password, a title, a message written by a server. Every way to print it shows
// "[private]"; [Private.Reveal] is the only way to its text. The zero value means absent. Values are comparable.
//
// The text lives behind a handle, so printing a struct that holds a Private in an unexported field (where package
// fmt cannot call methods) shows an address and not the text.
type Private struct{ h unique.Handle[string] }

// Hide makes a Private of s; the empty string gives the zero value.
func Hide(s string) Private {
	if s == "" {
		return Private{}
	}
	return Private{h: unique.Make(s)}
}

// Reveal returns the text. What is done with it afterwards is the caller's responsibility.
func (p Private) Reveal() string {
	if p.IsZero() {
		return ""
	}
	return p.h.Value()
}

// IsZero tells that there is no text.
func (p Private) IsZero() bool { return p == Private{} }

// String returns "[private]", or "" for the zero value.
func (p Private) String() string {
	if p.IsZero() {
		return ""
	}
	return hidden
}

// Format implements [fmt.Formatter] for every verb with the redacted form.
func (p Private) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue implements [slog.LogValuer] with the redacted form.
func (p Private) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText writes the redacted form, so that a value dumped as JSON stays private.
func (p Private) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
