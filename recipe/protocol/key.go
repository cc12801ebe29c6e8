package protocol

import (
	"bytes"
	"crypto/des"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
)

// KeySize is the length of a ResponseKey in bytes.
const KeySize = 24

// Reasons for which ResponseKey.Decrypt refuses an answer.
var (
	// ErrCipherLength: the ciphertext is empty or not a multiple of eight bytes.
	ErrCipherLength = errors.New("recipe: length of the sealed answer is impossible")
	// ErrPadding: the answer was sealed with another key, or damaged.
	ErrPadding = errors.New("recipe: answer was not sealed with the key of this request")
)

// ResponseKey is the key that the client puts into a request and with which the server seals the answer: 24 bytes for
// triple DES in ECB mode with PKCS#5 padding and no vector, as the protocol demands (dossier 04 section 9.4). A fresh key
// per attempt ties the answer to the request. It is never printed: a struct that holds one in an unexported field shows an
// address.
type ResponseKey struct{ k *string } // behind a pointer to a string: fmt follows those to arrays

// NewResponseKey makes a random key.
func NewResponseKey() ResponseKey {
	var k [KeySize]byte
	_, _ = rand.Read(k[:]) // never fails
	s := string(k[:])
	return ResponseKey{&s}
}

// ParseResponseKey makes a key of 24 bytes, which it copies.
func ParseResponseKey(b []byte) (ResponseKey, error) {
	if len(b) != KeySize {
		return ResponseKey{}, errors.New("recipe: a response key has 24 bytes")
	}
	s := string(b)
	return ResponseKey{&s}, nil
}

// IsZero tells that there is no key.
func (k ResponseKey) IsZero() bool { return k.k == nil }

// Equal tells whether both are the same key.
func (k ResponseKey) Equal(o ResponseKey) bool {
	if k.k == nil || o.k == nil {
		return k.k == o.k
	}
	return *k.k == *o.k
}

// Bytes returns a copy of the key in clear, nil when there is none.
func (k ResponseKey) Bytes() []byte {
	if k.k == nil {
		return nil
	}
	return []byte(*k.k)
}

// Decrypt opens the SecuredContent of an answer, after base64 decoding. It fails with [ErrCipherLength] or [ErrPadding].
// One answer in 256 that was sealed with another key has good padding by chance and yields noise, which is then not XML:
// both mean the same.
func (k ResponseKey) Decrypt(sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || len(sealed)%des.BlockSize != 0 {
		return nil, ErrCipherLength
	}
	if k.k == nil {
		return nil, ErrPadding
	}
	b, err := des.NewTripleDESCipher(k.Bytes())
	if err != nil {
		return nil, fmt.Errorf("recipe: triple DES: %w", err)
	}
	out := make([]byte, len(sealed))
	for i := 0; i < len(sealed); i += des.BlockSize {
		b.Decrypt(out[i:], sealed[i:])
	}
	n := int(out[len(out)-1])
	if n < 1 || n > des.BlockSize {
		return nil, ErrPadding
	}
	for _, p := range out[len(out)-n:] {
		if int(p) != n {
			return nil, ErrPadding
		}
	}
	return out[:len(out)-n], nil
}

// Encrypt seals an answer as the server does. It is for tests and simulations.
func (k ResponseKey) Encrypt(plain []byte) ([]byte, error) {
	if k.k == nil {
		return nil, errors.New("recipe: no response key")
	}
	b, err := des.NewTripleDESCipher(k.Bytes())
	if err != nil {
		return nil, fmt.Errorf("recipe: triple DES: %w", err)
	}
	n := des.BlockSize - len(plain)%des.BlockSize
	out := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
	for i := 0; i < len(out); i += des.BlockSize {
		b.Encrypt(out[i:], out[i:])
	}
	return out, nil
}

const redactedKey = "ResponseKey(redacted)"

// String never shows the key.
func (k ResponseKey) String() string { return redactedKey }

// GoString never shows the key.
func (k ResponseKey) GoString() string { return redactedKey }

// Format never shows the key, whatever the verb.
func (k ResponseKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redactedKey)) }

// LogValue never shows the key.
func (k ResponseKey) LogValue() slog.Value { return slog.StringValue(redactedKey) }

// MarshalText never shows the key.
func (k ResponseKey) MarshalText() ([]byte, error) { return []byte(redactedKey), nil }

// EncodeKeyID writes the identifier of a key of the key service as keyId and encryptionKeyId carry it: base64.
func EncodeKeyID(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// DecodeKeyID is the reverse of EncodeKeyID; it accepts line breaks and missing padding. The result is what the key
// service and the sealed content call the key identifier.
func DecodeKeyID(keyID string) ([]byte, error) {
	b, err := parseBase64(keyID)
	if err != nil || len(b) == 0 {
		return nil, &MessageError{Path: "keyId", Reason: errBase64.Error()}
	}
	return b, nil
}

// AdministrativeKeyIdentifier writes a keyId as AdministrativeInformation/KeyIdentifier carries it: base64 of its
// characters, that is base64 twice (dossier 04 section 9.3).
func AdministrativeKeyIdentifier(keyID string) string {
	return base64.StdEncoding.EncodeToString([]byte(keyID))
}
