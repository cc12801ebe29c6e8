package keystore

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// AuthenticationAlias is the alias of the entry that signs, compared without
// regard to case (dossier 01 B.1 and B.4).
const AuthenticationAlias = "authentication"

// Errors of this package, to be asked for with [errors.Is].
var (
	// ErrPassword: the password of the file, or the PIN of the token, is wrong or
	// blocked.
	ErrPassword = errors.New("keystore: wrong password")
	// ErrNotKeystore: not a PKCS#12 file with password protection, damaged, too
	// big, or written with an algorithm that is not supported.
	ErrNotKeystore = errors.New("keystore: not a readable PKCS#12 key store")
	// ErrNoKey: no private key with a certificate that belongs to it.
	ErrNoKey = errors.New("keystore: no private key with its certificate")
	// ErrNoAuthentication: there are keys, but none to sign with: no alias
	// "authentication" and no certificate for digital signatures.
	ErrNoAuthentication = errors.New("keystore: no authentication key")
	// ErrNoToken: the PKCS#11 module cannot be loaded, or no token has that label
	// or slot (card not inserted).
	ErrNoToken = errors.New("keystore: no such token")
)

// Credential is a private key with its certificate.
type Credential struct {
	// Alias is the friendlyName in the file, or the label on the token; when
	// there is none, the decimal serial number of the certificate.
	Alias string
	// Certificate holds the public key of Signer.
	Certificate *x509.Certificate
	// Chain are the issuers that came with the key, nearest first, without
	// Certificate; may be empty. Nothing says that they are trusted.
	Chain []*x509.Certificate
	// Signer signs with the private key; the key itself may be in a card. It is
	// safe for concurrent use if it comes from this package.
	Signer crypto.Signer
}

// Decrypter returns the key as decrypter, if it can be one: RSA keys from a file
// or from a token can.
func (c Credential) Decrypter() (crypto.Decrypter, bool) {
	d, ok := c.Signer.(crypto.Decrypter)
	return d, ok
}

// String names the kind of key and nothing else: aliases and subjects hold
// identifiers of persons.
func (c Credential) String() string {
	if c.Certificate == nil {
		return "keystore.Credential(none)"
	}
	kind := c.Certificate.PublicKeyAlgorithm.String()
	switch k := c.Certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		kind = fmt.Sprintf("RSA-%d", k.N.BitLen())
	case *ecdsa.PublicKey:
		kind = k.Curve.Params().Name
	}
	return "keystore.Credential(" + kind + ")"
}

// Format writes String whatever the verb: %d or %#v would print the fields.
func (c Credential) Format(f fmt.State, verb rune) { format(f, verb, c.String()) }

// LogValue is String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// format writes text for any verb, quoted for %q.
func format(f fmt.State, verb rune, text string) {
	if verb == 'q' {
		text = strconv.Quote(text)
	}
	_, _ = io.WriteString(f, text)
}

// Store holds the keys of one eHealth certificate. It does not change after it
// was made and is safe for concurrent use. The functions of this package make it;
// its zero value is of no use. A Store is a [Source] that opens itself.
type Store struct{ *roles }

// roles stand behind a pointer, where fmt stops when it prints a Store out of an
// unexported field and may not call its methods.
type roles struct {
	all        []Credential
	auth       int // index in all, -1 = none
	encryption []Credential
	close      func() error
}

// newStore sorts credentials into roles; auth is the index of the one that signs,
// -1 for none.
func newStore(all []Credential, auth int) *Store {
	s := &Store{&roles{all: all, auth: auth}}
	for i, c := range all {
		if c.encrypts(i == auth) {
			s.encryption = append(s.encryption, c)
		}
	}
	slices.SortStableFunc(s.encryption, newestFirst)
	return s
}

// authentication finds the credential that signs: by alias, then by key usage
// (dossier 01 B.4: doing both is the safe rule); the newest if there are several,
// -1 if there is none.
func authentication(all []Credential) int {
	for _, fits := range []func(Credential) bool{
		func(c Credential) bool { return strings.EqualFold(c.Alias, AuthenticationAlias) },
		func(c Credential) bool { return c.Certificate.KeyUsage&x509.KeyUsageDigitalSignature != 0 },
	} {
		best := -1
		for i, c := range all {
			if fits(c) && (best < 0 || newestFirst(c, all[best]) < 0) {
				best = i
			}
		}
		if best >= 0 {
			return best
		}
	}
	return -1
}

// encrypts reports whether others seal messages for this key. The reference
// takes every entry whose certificate has both encipherment usages (dossier 02
// D); beside the authentication key, one of them or a serial number as alias is
// enough. Authentication certificates have keyEncipherment too, so that alone
// says nothing for them.
func (c Credential) encrypts(authentication bool) bool {
	const both = x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment
	usage := c.Certificate.KeyUsage & both
	if authentication {
		return usage == both
	}
	_, numbered := decimal(c.Alias)
	return usage != 0 || numbered
}

func newestFirst(a, b Credential) int {
	return cmp.Or(
		b.Certificate.NotBefore.Compare(a.Certificate.NotBefore),
		b.Certificate.NotAfter.Compare(a.Certificate.NotAfter),
	)
}

// decimal reads an alias that is a serial number; RFC 5280 4.1.2.2 limits those
// to 20 bytes, hence 49 digits.
func decimal(alias string) (*big.Int, bool) {
	if alias == "" || len(alias) > 49 || strings.Trim(alias, "0123456789") != "" {
		return nil, false
	}
	return new(big.Int).SetString(alias, 10)
}

// FromSigner makes a store with one authentication credential from any signer: a
// card, a hardware module, a key of the caller's own. The chain may be nil. The
// error wraps [ErrNoKey] if something is missing or the signer's public key is not
// the certificate's.
func FromSigner(certificate *x509.Certificate, chain []*x509.Certificate, signer crypto.Signer) (*Store, error) {
	if certificate == nil || signer == nil {
		return nil, fmt.Errorf("%w: certificate or signer missing", ErrNoKey)
	}
	if !samePublic(certificate, signer) {
		return nil, fmt.Errorf("%w: the signer has another public key than the certificate", ErrNoKey)
	}
	return newStore([]Credential{{AuthenticationAlias, certificate, slices.Clone(chain), signer}}, 0), nil
}

// samePublic reports whether signer holds the private key of the certificate.
func samePublic(c *x509.Certificate, signer crypto.Signer) bool {
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}

// Authentication returns the credential that signs STS requests and messages.
// The error is [ErrNoAuthentication].
func (s *Store) Authentication() (Credential, error) {
	if s.auth < 0 {
		return Credential{}, ErrNoAuthentication
	}
	return s.all[s.auth], nil
}

// Encryption returns the credentials for which others seal messages, the newest
// certificate first; the others are old ones, kept for old messages. The slice is
// the caller's.
func (s *Store) Encryption() []Credential { return slices.Clone(s.encryption) }

// EncryptionBySerial returns the encryption credential whose certificate has that
// serial number, or else the one that has it as decimal alias. A sealed message
// names its key by issuer and serial number (dossier 02, summary 7 and 8).
func (s *Store) EncryptionBySerial(serial *big.Int) (Credential, bool) {
	if serial == nil {
		return Credential{}, false
	}
	for _, c := range s.encryption {
		if c.Certificate.SerialNumber.Cmp(serial) == 0 {
			return c, true
		}
	}
	for _, c := range s.encryption {
		if n, ok := decimal(c.Alias); ok && n.Cmp(serial) == 0 {
			return c, true
		}
	}
	return Credential{}, false
}

// WithOlder returns a store that signs with the keys of s and decrypts with those
// of s and of the older stores: after a renewal, messages sealed before still need
// the previous file. A key that occurs twice is kept once. Closing the result
// closes nothing.
func (s *Store) WithOlder(older ...*Store) *Store {
	merged := &Store{&roles{all: s.all, auth: s.auth, encryption: s.Encryption()}}
	for _, o := range older {
		for _, c := range o.encryption {
			if !slices.ContainsFunc(merged.encryption, func(have Credential) bool { return have.Certificate.Equal(c.Certificate) }) {
				merged.encryption = append(merged.encryption, c)
			}
		}
	}
	slices.SortStableFunc(merged.encryption, newestFirst)
	return merged
}

// Close ends the session with a token, after which its signers fail. For stores
// from files or signers it does nothing. It may be called more than once.
func (s *Store) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// Open returns the store itself: a Store is a [Source].
func (s *Store) Open(context.Context) (*Store, error) { return s, nil }

// String counts the keys and shows nothing of them.
func (s *Store) String() string {
	auth := 1
	if s.auth < 0 {
		auth = 0
	}
	return fmt.Sprintf("keystore.Store(%d authentication, %d encryption)", auth, len(s.encryption))
}

// Format writes String whatever the verb.
func (s *Store) Format(f fmt.State, verb rune) { format(f, verb, s.String()) }

// LogValue is String.
func (s *Store) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Source opens a store, each time anew: a file may have been renewed, a card may
// have been inserted again.
type Source interface {
	Open(ctx context.Context) (*Store, error)
}

// SourceFunc is a function that is a [Source]. It hides what it holds, such as a
// password, from everything that prints.
type SourceFunc func(ctx context.Context) (*Store, error)

// Open calls f.
func (f SourceFunc) Open(ctx context.Context) (*Store, error) { return f(ctx) }
