package etee

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
)

var (
	// ErrNoRecipient: a message must be sealed for somebody.
	ErrNoRecipient = errors.New("etee: no recipient")
	// ErrRecipient: a certificate that nobody may encrypt for: expired, not yet valid, an RSA key below 2048 bits or
	// another kind, or without the key usages keyEncipherment and dataEncipherment.
	ErrRecipient = errors.New("etee: recipient's certificate not usable")
	// ErrKEK: a key-encryption key of the wrong length, or more than one.
	ErrKEK = errors.New("etee: key-encryption key not usable")
)

// Recipient is whom a message is sealed for: the holder of an ETK ([ETK.Check]), of a certificate ([ForCertificate]), or of a
// symmetric key ([ForKEK]). The zero value is nobody. It prints nothing of its content.
type Recipient struct{ *recipient }

// recipient stands behind a pointer, where fmt stops.
type recipient struct {
	certificate *x509.Certificate
	kek         KEK
	warnings    []Code
}

// ForCertificate makes a recipient of an encryption certificate that the caller has checked. Most callers have an ETK and
// call its Check instead. The certificate is looked at when a message is sealed.
func ForCertificate(c *x509.Certificate) Recipient { return Recipient{&recipient{certificate: c}} }

// ForKEK makes a recipient of whoever can get this key: a recipient not known when the message is sealed. eHealth's policy
// is one such recipient in a message at most, with a key of 16 bytes, which the KGSS hands out.
func ForKEK(k KEK) Recipient { return Recipient{&recipient{kek: k}} }

// Warnings are those of [ETK.Check].
func (r Recipient) Warnings() []Code {
	if r.recipient == nil {
		return nil
	}
	return slices.Clone(r.warnings)
}

// Certificate is the encryption certificate, nil with a KEK.
func (r Recipient) Certificate() *x509.Certificate {
	if r.recipient == nil {
		return nil
	}
	return r.certificate
}

// String says what kind it is.
func (r Recipient) String() string {
	switch {
	case r.recipient == nil:
		return "etee.Recipient(none)"
	case r.certificate != nil:
		return "etee.Recipient(certificate)"
	}
	return "etee.Recipient(KEK)"
}

// Format writes String whatever the verb.
func (r Recipient) Format(f fmt.State, verb rune) { format(f, verb, r.String()) }

// LogValue is String.
func (r Recipient) LogValue() slog.Value { return slog.StringValue(r.String()) }

// target checks the recipient and turns it into what package cms encrypts for.
func (r Recipient) target(now time.Time) (cms.Target, error) {
	if r.recipient == nil {
		return nil, ErrNoRecipient
	}
	c := r.certificate
	if c == nil {
		if len(r.kek.key()) != kekSize {
			return nil, fmt.Errorf("%w: must have %d bytes", ErrKEK, kekSize)
		}
		return cms.ForKEK{ID: r.kek.id, Key: r.kek.secret}, nil
	}
	switch {
	case now.Before(c.NotBefore):
		return nil, fmt.Errorf("%w: not yet valid", ErrRecipient)
	case now.After(c.NotAfter):
		return nil, fmt.Errorf("%w: expired", ErrRecipient)
	case rsaBits(c) < minRecipientBits:
		return nil, fmt.Errorf("%w: key too short, or not RSA", ErrRecipient)
	case !enciphers(c):
		return nil, fmt.Errorf("%w: key usage", ErrRecipient)
	}
	return cms.ForCertificate{Certificate: c}, nil
}

// enciphers reports whether the key usage is that of an encryption certificate (dossier 02 A.2, check 3).
func enciphers(c *x509.Certificate) bool {
	const both = x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment
	return !c.IsCA && c.KeyUsage&both == both
}

// targets drops recipients that are named twice, as one's own ETK easily is.
func targets(to []Recipient, now time.Time) ([]cms.Target, error) {
	if len(to) == 0 {
		return nil, ErrNoRecipient
	}
	var out []cms.Target
	var done []*x509.Certificate
	keks := 0
	for _, r := range to {
		t, err := r.target(now)
		if err != nil {
			return nil, err
		}
		if c := r.certificate; c == nil {
			if keks++; keks > 1 {
				return nil, fmt.Errorf("%w: more than one", ErrKEK)
			}
		} else if slices.ContainsFunc(done, c.Equal) {
			continue
		} else {
			done = append(done, c)
		}
		out = append(out, t)
	}
	return out, nil
}

// kekSize is the length of a key-encryption key that eHealth accepts (policy UNKNOWN_RECIPIENT of the official library).
const kekSize = 16

// KEK is a symmetric key that opens messages for recipients not known beforehand, with the identifier under which the KGSS
// keeps it. The zero value is no key. It prints nothing of its content.
type KEK struct{ *kek }

type kek struct{ id, secret []byte }

// NewKEK copies a key of 16 bytes; 24 and 32 are accepted for reading what others wrote, and not by [Sealer.Seal]. The
// identifier is the bytes whose base64 is the KGSS key id; without one, [Opener.Open] tries the key on every recipient.
// The error is [ErrKEK].
func NewKEK(id, key []byte) (KEK, error) {
	switch len(key) {
	case 16, 24, 32:
		return KEK{&kek{bytes.Clone(id), bytes.Clone(key)}}, nil
	}
	return KEK{}, fmt.Errorf("%w: %d bytes", ErrKEK, len(key))
}

// ID returns a copy of the identifier.
func (k KEK) ID() []byte {
	if k.kek == nil {
		return nil
	}
	return bytes.Clone(k.id)
}

func (k KEK) key() []byte {
	if k.kek == nil {
		return nil
	}
	return k.secret
}

// String shows nothing.
func (k KEK) String() string { return "etee.KEK" }

// Format writes String whatever the verb.
func (k KEK) Format(f fmt.State, verb rune) { format(f, verb, k.String()) }

// LogValue is String.
func (k KEK) LogValue() slog.Value { return slog.StringValue(k.String()) }
