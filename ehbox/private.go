package ehbox

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Private is a piece of text about a person, or a secret; only Reveal shows it. See [identity.Private].
type Private = identity.Private

// Hide makes a Private of s; the empty string gives the zero value.
func Hide(s string) Private { return identity.Hide(s) }

// Data is content: of a letter, an annex, a sealed field. No way of printing it shows it. The zero value is no bytes.
type Data struct{ p *[]byte }

// NewData holds b, which must not be changed afterwards.
func NewData(b []byte) Data { return Data{&b} }

// Bytes returns the content, which must not be changed.
func (d Data) Bytes() []byte {
	if d.p == nil {
		return nil
	}
	return *d.p
}

// Len is the number of bytes.
func (d Data) Len() int { return len(d.Bytes()) }

// Equal tells whether the bytes are the same.
func (d Data) Equal(e Data) bool { return bytes.Equal(d.Bytes(), e.Bytes()) }

// String says how long it is.
func (d Data) String() string { return fmt.Sprintf("[%d bytes]", d.Len()) }

// Format writes String whatever the verb.
func (d Data) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }

// LogValue implements [slog.LogValuer] with the redacted form.
func (d Data) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText writes the redacted form.
func (d Data) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
