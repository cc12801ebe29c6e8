package outbox

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"log/slog"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
)

// KeySize is the length of the secret of a [Key] in bytes.
const KeySize = 32

const keyIDSize = 8

// Key seals records. No way of printing it shows it.
type Key struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

// KeyFromBytes makes a key of 32 random or derived bytes, which are not kept. A password is not
// a key.
func KeyFromBytes(secret []byte) (Key, error) {
	if len(secret) != KeySize {
		return Key{}, fmt.Errorf("%w: a key has %d bytes", ErrInvalid, KeySize)
	}
	var k Key
	id, err := hkdf.Key(sha256.New, secret, nil, "ehealth outbox v1 key id", keyIDSize)
	if err != nil {
		return Key{}, fmt.Errorf("outbox: %w", err)
	}
	copy(k.id[:], id)
	sealing, err := hkdf.Key(sha256.New, secret, nil, "ehealth outbox v1 records", chacha20poly1305.KeySize)
	if err != nil {
		return Key{}, fmt.Errorf("outbox: %w", err)
	}
	if k.aead, err = chacha20poly1305.NewX(sealing); err != nil {
		return Key{}, fmt.Errorf("outbox: %w", err)
	}
	return k, nil
}

// String returns a fixed text.
func (Key) String() string { return "outbox.Key" }

// Format implements fmt.Formatter, so that no verb prints the key.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Keys is the current key, with which all is written, and older ones that may still be needed to
// read until [Box.Rotate] has run.
type Keys struct {
	current Key
	byID    map[[keyIDSize]byte]Key
}

// NewKeys puts a ring of keys together.
func NewKeys(current Key, older ...Key) Keys {
	r := Keys{current: current, byID: map[[keyIDSize]byte]Key{current.id: current}}
	for _, k := range older {
		if _, ok := r.byID[k.id]; !ok {
			r.byID[k.id] = k
		}
	}
	return r
}

func (r Keys) valid() bool {
	for _, k := range r.byID {
		if k.aead == nil {
			return false
		}
	}
	return r.current.aead != nil
}

// A sealed part is: version 1, key id, nonce, XChaCha20-Poly1305 ciphertext. Authenticated with it
// are the version, the key id, the bucket and whatever binds it to its place.
const (
	sealVersion = 1
	sealHead    = 1 + keyIDSize
)

func (r Keys) seal(bucket string, bind, plain []byte) []byte {
	out := make([]byte, sealHead+chacha20poly1305.NonceSizeX, sealHead+chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	out[0] = sealVersion
	copy(out[1:], r.current.id[:])
	nonce := out[sealHead:]
	_, _ = rand.Read(nonce) // never fails
	return r.current.aead.Seal(out, nonce, plain, associated(out[:sealHead], bucket, bind))
}

// open returns ErrKey when the key is not in the ring, and ErrCorrupt when the part is not what
// was sealed for this place.
func (r Keys) open(bucket string, bind, sealed []byte) ([]byte, error) {
	if len(sealed) < sealHead+chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead || sealed[0] != sealVersion {
		return nil, ErrCorrupt
	}
	k, ok := r.byID[[keyIDSize]byte(sealed[1:sealHead])]
	if !ok {
		return nil, ErrKey
	}
	nonce, text := sealed[sealHead:][:chacha20poly1305.NonceSizeX], sealed[sealHead+chacha20poly1305.NonceSizeX:]
	plain, err := k.aead.Open(nil, nonce, text, associated(sealed[:sealHead], bucket, bind))
	if err != nil {
		return nil, ErrCorrupt
	}
	return plain, nil
}

// old tells whether the part was sealed with another key than the current one.
func (r Keys) old(sealed []byte) bool {
	return len(sealed) >= sealHead && [keyIDSize]byte(sealed[1:sealHead]) != r.current.id
}

// associated joins what is authenticated so that no two tuples give the same bytes.
func associated(head []byte, bucket string, bind []byte) []byte {
	b := make([]byte, 0, len(head)+1+len(bucket)+len(bind))
	b = append(b, head...)
	b = append(b, byte(len(bucket)))
	b = append(b, bucket...)
	return append(b, bind...)
}

// index makes the digests under which a store files entries. Its secret is random, made once
// per store and kept there sealed, so that a rotation of keys changes no id and no line.
type index struct {
	secret []byte
	free   sync.Pool // of *mac: to key one takes as long as to use it, and a look into a ledger takes dozens
}

// mac is a keyed digest and room to work in.
type mac struct {
	hash.Hash
	room []byte
}

func newIndex(secret []byte) *index {
	x := &index{secret: secret}
	x.free.New = func() any { return &mac{Hash: hmac.New(sha256.New, x.secret)} }
	return x
}

func (x *index) digest(use string, parts ...string) (d [16]byte) {
	m := x.free.Get().(*mac)
	b := append(m.room[:0], use...)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	m.Reset()
	m.Write(b)
	clear(b)
	b = m.Sum(b[:0])
	copy(d[:], b)
	m.room = b
	x.free.Put(m)
	return d
}

func (x *index) sum(payload []byte) []byte {
	m := x.free.Get().(*mac)
	m.Reset()
	m.Write([]byte("payload"))
	m.Write(payload)
	out := m.Sum(nil)
	x.free.Put(m)
	return out
}
