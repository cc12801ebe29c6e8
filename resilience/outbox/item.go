package outbox

import (
	"encoding/base32"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// ID names an item. It is a keyed digest of kind and reference, so the same intent has the same
// id, and nobody reads the reference from it.
type ID [16]byte

var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// String returns 26 characters, safe in file names and addresses.
func (id ID) String() string { return idText.EncodeToString(id[:]) }

// IsZero tells whether there is no id.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// ParseID reads what String writes.
func ParseID(text string) (ID, error) {
	b, err := idText.DecodeString(text)
	if err != nil || len(b) != len(ID{}) || ID(b).String() != text {
		return ID{}, fmt.Errorf("%w: not an item id", ErrInvalid)
	}
	return ID(b), nil
}

// Kind names an operation, e.g. "recipe.archive". It is stored and logged in clear. At most 64
// of a-z, 0-9, dot, dash and underscore.
type Kind string

func (k Kind) valid() bool {
	if len(k) == 0 || len(k) > 64 {
		return false
	}
	for _, c := range []byte(k) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// Priority decides which line is served first. Within a line the order is that of putting.
type Priority uint8

const (
	// Normal is the default: sent at the pace of a drain.
	Normal Priority = iota
	// Interactive: a person waits. Served first, and without the pauses of a drain. [Box.Do]
	// sets it.
	Interactive
	// Background: served when nothing else waits.
	Background
)

// rank orders priorities in an index: the smallest first.
func (p Priority) rank() byte { return [...]byte{1, 0, 2}[p] }

// String returns a lower-case English word.
func (p Priority) String() string {
	if p > Background {
		return "priority(?)"
	}
	return [...]string{"normal", "interactive", "background"}[p]
}

const (
	// MaxPayload bounds a payload: a message of 10 MB with room for its envelope.
	MaxPayload = 32 << 20
	// MaxText bounds a key and a reference.
	MaxText = 512
)

// Item is one write. No way of printing it shows Key, Ref or Payload.
type Item struct {
	Kind     Kind      // which operation; decides the handler
	Key      string    // items with the same key keep their order: a patient, a prescription, a mailbox. "" = no order
	Ref      string    // our own reference, unique within the kind: what a resolver asks by. "" = one is made
	Priority Priority  // which line goes first
	Expiry   Expiry    // until when it may be sent
	After    time.Time // not to be sent before; zero = at once
	Held     bool      // not to be sent before [Box.Release]
	Payload  []byte    // what the handler needs to make the message; kept sealed, dropped when done
}

// Format writes the kind and the sizes, whatever the verb.
func (it Item) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, it.String()) }

// String describes the item without its contents.
func (it Item) String() string {
	return fmt.Sprintf("item of kind %s, %s, %d bytes", it.Kind, it.Priority, len(it.Payload))
}

// LogValue implements slog.LogValuer.
func (it Item) LogValue() slog.Value { return slog.StringValue(it.String()) }

func (it Item) check() error {
	switch {
	case !it.Kind.valid():
		return fmt.Errorf("%w: kind", ErrInvalid)
	case len(it.Key) > MaxText, len(it.Ref) > MaxText:
		return fmt.Errorf("%w: key or reference longer than %d bytes", ErrInvalid, MaxText)
	case it.Priority > Background:
		return fmt.Errorf("%w: priority", ErrInvalid)
	case !it.Expiry.valid():
		return fmt.Errorf("%w: expiry", ErrInvalid)
	case len(it.Payload) > MaxPayload:
		return fmt.Errorf("%w: payload longer than %d bytes", ErrInvalid, MaxPayload)
	}
	return nil
}

// Attempt is one try to send an item. It is on disk before the handler sees it.
type Attempt struct {
	ID      ID        // of the item
	N       int       // 1 for the first
	Begun   time.Time // when it was written
	Expires time.Time // the signed message must not be valid beyond this instant, and must not be sent after it
}
