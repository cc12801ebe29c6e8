package cache

import (
	"crypto"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/crypto/chacha20poly1305"
)

// KeySize is the length of a vault's key in bytes.
const KeySize = 32

// ErrUnsuitable reports something from which no key can be made.
var ErrUnsuitable = errors.New("cache: not suitable for a key")

// Key opens a [Vault]. The zero value opens none. No way of printing a Key shows it.
type Key struct {
	id   [keyIDSize]byte // tells keys apart without revealing them
	seal []byte          // encrypts records
	name []byte          // makes file names
	root []byte          // makes the keys of other purposes
}

const keyIDSize = 8

// String returns a fixed text.
func (Key) String() string { return "cache.Key" }

// Format implements fmt.Formatter, so that no verb prints the key.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

func (k Key) valid() bool { return len(k.seal) == KeySize && len(k.name) == KeySize }

// fileName is the keyed digest under which the record of bucket and name is kept.
func (k Key) fileName(bucket, name string) string {
	m := hmac.New(sha256.New, k.name)
	m.Write(labelled(bucket, name))
	return fmt.Sprintf("%x", m.Sum(nil)[:16])
}

// labelled joins two texts so that no other two give the same bytes.
func labelled(bucket, name string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(bucket)))
	b = append(b, bucket...)
	return append(b, name...)
}

// Valid reports whether the key was made by one of this package's functions.
func (k Key) Valid() bool { return k.valid() && len(k.root) == KeySize }

// Derive returns the key of another purpose, such as a database of answers or an outbox (HKDF
// with SHA-256, RFC 5869). Keys of different purposes say nothing about each other or about the
// vault's own; the same Key and purpose give the same 32 bytes every time.
//
// The zero Key must not give a key that anybody can guess: it gives other random bytes at each
// call, which open nothing. Ask [Key.Valid] first.
func (k Key) Derive(purpose string) [32]byte {
	var out [32]byte
	if k.Valid() {
		b, err := hkdf.Key(sha256.New, k.root, nil, "ehealth derived key v1 "+purpose, len(out))
		if err == nil && copy(out[:], b) == len(out) {
			return out
		}
	}
	_, _ = rand.Read(out[:]) // never fails
	return out
}

// KeyFromBytes returns the key made of 32 secret bytes, which are not kept. They must be
// random or derived: a password is not a key.
func KeyFromBytes(secret []byte) (Key, error) {
	if len(secret) != KeySize {
		return Key{}, fmt.Errorf("%w: want %d bytes", ErrUnsuitable, KeySize)
	}
	return derive(secret)
}

// derive separates the uses of one secret (HKDF, RFC 5869).
func derive(secret []byte) (Key, error) {
	var k Key
	var err error
	part := func(use string, n int) []byte {
		out, e := hkdf.Key(sha256.New, secret, nil, "ehealth vault v1 "+use, n)
		err = errors.Join(err, e)
		return out
	}
	copy(k.id[:], part("key id", keyIDSize))
	k.seal, k.name = part("records", chacha20poly1305.KeySize), part("file names", KeySize)
	k.root = part("derivation", KeySize)
	if err != nil {
		return Key{}, fmt.Errorf("cache: %w", err)
	}
	return k, nil
}

// signerDomain is what KeyFromSigner lets the key sign. It can be nothing else that an eHealth
// key signs: those are XML, DER or a TLS transcript.
const signerDomain = "ehealth vault key derivation v1: never sign this text for anybody else\n"

// KeyFromSigner derives the key from an RSA private key: from the PKCS #1 v1.5 signature
// (RFC 8017 section 8.2) over a fixed text, which only that private key can make, and which it
// makes alike every time. The private key may be in a card; it signs once.
//
// Other keys give another signature each time (ECDSA, RSA-PSS) and are refused with
// [ErrUnsuitable]: use [KeyFromFile] or [KeyFromBytes] with them.
func KeyFromSigner(s crypto.Signer) (Key, error) {
	if s == nil {
		return Key{}, fmt.Errorf("%w: no signer", ErrUnsuitable)
	}
	pub, ok := s.Public().(*rsa.PublicKey)
	if !ok {
		return Key{}, fmt.Errorf("%w: only RSA keys sign alike every time; use KeyFromFile or KeyFromBytes with this one", ErrUnsuitable)
	}
	digest := sha256.Sum256([]byte(signerDomain))
	sig, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return Key{}, fmt.Errorf("cache: deriving the key: %w", err)
	}
	// What does not verify as PKCS #1 v1.5 may differ next time, and the vault would be lost.
	if err := rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig); err != nil {
		return Key{}, fmt.Errorf("%w: the signer makes no PKCS #1 v1.5 signatures", ErrUnsuitable)
	}
	secret, err := hkdf.Key(sha256.New, sig, nil, "ehealth vault v1 from signer", KeySize)
	if err != nil {
		return Key{}, fmt.Errorf("cache: %w", err)
	}
	return derive(secret)
}

// KeyFromFile returns the key kept in the file at path, which is made, with a random key and mode
// 0600, when there is none. Several processes may do so at once. Lost with the file are the
// records, never more. A file that others may read or that is no key is refused with [ErrKey].
func KeyFromFile(path string) (Key, error) {
	secret, err := readKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return Key{}, err
		}
		return KeyFromBytes(secret)
	}
	secret = make([]byte, KeySize)
	_, _ = rand.Read(secret) // never fails
	tmp, err := writeTemp(filepath.Dir(path), filepath.Base(path), secret, nil)
	if err != nil {
		return Key{}, clean("making the key file", err)
	}
	defer os.Remove(tmp)
	// A link fails when another process was first, where a rename would replace its key.
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := createKeyFile(path, secret); err != nil {
			return Key{}, clean("making the key file", err)
		}
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return Key{}, clean("making the key file", err)
	}
	if secret, err = readKeyFile(path); err != nil {
		return Key{}, err
	}
	return KeyFromBytes(secret)
}

// createKeyFile serves file systems without hard links.
func createKeyFile(path string, secret []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(secret)
	return errors.Join(err, f.Sync(), f.Close())
}

func readKeyFile(path string) ([]byte, error) {
	b, info, err := readFile(path, KeySize)
	switch {
	case errors.Is(err, ErrTooLarge), err == nil && len(b) != KeySize:
		return nil, fmt.Errorf("%w: the key file does not hold %d bytes", ErrKey, KeySize)
	case err != nil:
		return nil, clean("reading the key file", err)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%w: others may read the key file", ErrKey)
	}
	return b, nil
}
