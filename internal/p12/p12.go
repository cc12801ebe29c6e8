package p12

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	// DefaultIterations is the number of rounds of each key derivation when
	// [Iterations] is not given: 10 000, what JDK 16 and later write by default
	// (java.security, keystore.pkcs12.keyPbeIterationCount and its two
	// siblings). A store with three keys then takes some 10 ms to write or to
	// open. It slows down guessing a weak password only a little: choose a long
	// random one, or raise the number.
	DefaultIterations = 10_000

	// MaxIterations is the largest number of rounds that readers accept: the
	// JDK refuses more than 5 000 000 (PKCS12KeyStore).
	MaxIterations = 5_000_000

	saltSize = 16 // NIST SP 800-132 section 5.1 asks for 128 bits
)

// Entry is one private key with its certificate.
type Entry struct {
	// Alias is the friendlyName of the key and of its certificate: required,
	// unique without regard to case (the JDK folds it), in the basic
	// multilingual plane.
	Alias string
	// Key is an *rsa.PrivateKey or *ecdsa.PrivateKey.
	Key crypto.PrivateKey
	// Certificate holds the public key of Key.
	Certificate *x509.Certificate
	// Chain are the issuers, nearest first; may be empty. A certificate that
	// several entries share is stored once.
	Chain []*x509.Certificate
}

// Option changes how [Encode] protects the store.
type Option func(*options) error

type options struct{ iterations int }

// Iterations sets the rounds of every key derivation in the store, 1 to
// [MaxIterations]; 0 means [DefaultIterations].
func Iterations(n int) Option {
	return func(o *options) error {
		if n < 0 || n > MaxIterations {
			return fmt.Errorf("iterations must lie between 1 and %d", MaxIterations)
		}
		if n > 0 {
			o.iterations = n
		}
		return nil
	}
}

// Encode returns a PKCS#12 file with all entries, every one of them under the
// same password (as eHealth stores have it). The password must not be empty:
// readers disagree on what an empty one means.
func Encode(entries []Entry, password string, opts ...Option) ([]byte, error) {
	o := options{iterations: DefaultIterations}
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, fmt.Errorf("p12: %w", err)
		}
	}
	if err := check(entries, password); err != nil {
		return nil, fmt.Errorf("p12: %w", err)
	}
	der, err := encode(entries, password, o)
	if err != nil {
		return nil, fmt.Errorf("p12: %w", err)
	}
	return der, nil
}

// check refuses what would give a file that some reader cannot use.
func check(entries []Entry, password string) error {
	if len(entries) == 0 {
		return errors.New("no entries")
	}
	if password == "" {
		return errors.New("empty password")
	}
	if _, err := bmp(password); err != nil {
		return fmt.Errorf("password: %w", err)
	}
	seen := make(map[string]bool, len(entries))
	for i, e := range entries {
		if err := e.check(); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		folded := strings.ToLower(e.Alias)
		if seen[folded] {
			return fmt.Errorf("entry %d: alias already used", i)
		}
		seen[folded] = true
	}
	return nil
}

func (e Entry) check() error {
	if e.Alias == "" {
		return errors.New("no alias")
	}
	if _, err := bmp(e.Alias); err != nil {
		return fmt.Errorf("alias: %w", err)
	}
	if e.Certificate == nil || slices.Contains(e.Chain, nil) {
		return errors.New("no certificate")
	}
	var public interface{ Equal(crypto.PublicKey) bool }
	switch k := e.Key.(type) {
	case *rsa.PrivateKey:
		if k != nil {
			public = &k.PublicKey
		}
	case *ecdsa.PrivateKey:
		if k != nil {
			public = &k.PublicKey
		}
	}
	if public == nil {
		return errors.New("key is neither RSA nor ECDSA")
	}
	if !public.Equal(e.Certificate.PublicKey) {
		return errors.New("key does not belong to the certificate")
	}
	return nil
}

// encode builds the PFX: the keys, each shrouded on its own, in a plain safe (a
// reader may open one key only), the certificates in an encrypted safe, and a
// MAC over both. Two safes in this order is what the JDK writes, and go-pkcs12
// reads no other number.
func encode(entries []Entry, password string, o options) ([]byte, error) {
	keys, err := keySafe(entries, password, o)
	if err != nil {
		return nil, err
	}
	certs, err := certSafe(entries)
	if err != nil {
		return nil, err
	}
	sealed, err := newCipher(password, o.iterations)
	if err != nil {
		return nil, err
	}
	var safes cryptobyte.Builder
	safes.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addData(b, keys)
		addContentInfo(b, oidEncryptedData, func(b *cryptobyte.Builder) {
			addSequence(b, func(b *cryptobyte.Builder) { // EncryptedData
				b.AddASN1Int64(0)
				addSequence(b, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidData)
					sealed.addAlgorithm(b)
					b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) {
						b.AddBytes(sealed.encrypt(certs))
					})
				})
			})
		})
	})
	content, err := safes.Bytes()
	if err != nil {
		return nil, err
	}
	var pfx cryptobyte.Builder
	pfx.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		addData(b, content)
		err = addMAC(b, content, password, o.iterations)
	})
	if err != nil {
		return nil, err
	}
	return pfx.Bytes()
}

// keySafe is the SafeContents with one shrouded key bag per entry.
func keySafe(entries []Entry, password string, o options) ([]byte, error) {
	var b cryptobyte.Builder
	var failed error
	addSequence(&b, func(b *cryptobyte.Builder) {
		for _, e := range entries {
			plain, err := x509.MarshalPKCS8PrivateKey(e.Key)
			if err != nil {
				failed = err
				return
			}
			c, err := newCipher(password, o.iterations)
			if err != nil {
				failed = err
				return
			}
			addBag(b, oidShroudedKeyBag, e.attributes(), func(b *cryptobyte.Builder) {
				addSequence(b, func(b *cryptobyte.Builder) { // EncryptedPrivateKeyInfo
					c.addAlgorithm(b)
					b.AddASN1OctetString(c.encrypt(plain))
				})
			})
			clear(plain)
		}
	})
	if failed != nil {
		return nil, failed
	}
	return b.Bytes()
}

// certSafe is the SafeContents with every certificate once: the entries' own
// with their attributes, then issuers without (the JDK finds those by name).
func certSafe(entries []Entry) ([]byte, error) {
	var b cryptobyte.Builder
	addSequence(&b, func(b *cryptobyte.Builder) {
		done := make(map[string]bool)
		for _, e := range entries {
			addCertificate(b, e.Certificate, e.attributes())
			done[string(e.Certificate.Raw)] = true
		}
		for _, e := range entries {
			for _, c := range e.Chain {
				if !done[string(c.Raw)] {
					addCertificate(b, c, nil)
					done[string(c.Raw)] = true
				}
			}
		}
	})
	return b.Bytes()
}

func addCertificate(b *cryptobyte.Builder, c *x509.Certificate, attributes [][]byte) {
	addBag(b, oidCertBag, attributes, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidX509Certificate)
			b.AddASN1(explicit0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(c.Raw) })
		})
	})
}

// attributes are friendlyName and localKeyId, which tie a key to its
// certificate. The identifier is a SHA-1 as with OpenSSL (a name, not a
// protection), with the alias in it so that two entries may share a certificate.
func (e Entry) attributes() [][]byte {
	name, _ := bmp(e.Alias) // checked before
	name = slices.Clip(name)
	id := sha1.Sum(append(name, e.Certificate.Raw...))
	set := [][]byte{
		attribute(oidFriendlyName, cbasn1.Tag(asn1.TagBMPString), name),
		attribute(oidLocalKeyID, cbasn1.OCTET_STRING, id[:]),
	}
	slices.SortFunc(set, bytes.Compare) // DER orders a SET OF by encoding
	return set
}

// addMAC adds MacData: HMAC-SHA256 with a key of RFC 7292 appendix B.
func addMAC(b *cryptobyte.Builder, content []byte, password string, iterations int) error {
	pass, err := bmpPassword(password)
	if err != nil {
		return err
	}
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails: crypto/rand ends the program instead
	key := deriveSHA256(purposeMAC, pass, salt, iterations, sha256.Size)
	mac := hmac.New(sha256.New, key)
	mac.Write(content)
	addSequence(b, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) { // DigestInfo
			addAlgorithm(b, oidSHA256, (*cryptobyte.Builder).AddASN1NULL)
			b.AddASN1OctetString(mac.Sum(nil))
		})
		b.AddASN1OctetString(salt)
		b.AddASN1Int64(int64(iterations))
	})
	return nil
}
