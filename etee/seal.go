package etee

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// ErrSigner: a credential that cannot sign messages: no RSA key of the length that its profile asks for, another key than
// its certificate, no key usage for signatures, or not valid now.
var ErrSigner = errors.New("etee: signing credential not usable")

// Sealer seals messages in the name of one party (dossier 02 B.1 and B.3). It does not change and is safe for concurrent use
// if the signers of its credentials are.
type Sealer struct {
	outer, inner keystore.Credential
	own          bool // the inner layer has its own credential and brings its certificates
	profile      Profile
	encoding     cms.Encoding
	layers       int // about what the two signatures add to a message
}

// SealerOption changes a [Sealer].
type SealerOption func(*Sealer) error

// ContentSigner signs the inner layer with another credential of the same person than the outer one: the signature key
// of an identity card.
func ContentSigner(c keystore.Credential) SealerOption {
	return func(s *Sealer) error {
		s.inner, s.own = c, true
		return nil
	}
}

// WithProfile says how to sign. By default it is [EID] for certificates of identity cards and [EHealthCertificate] for
// all others.
func WithProfile(p Profile) SealerOption {
	return func(s *Sealer) error {
		if p != EHealthCertificate && p != EID {
			return fmt.Errorf("%w: profile", ErrPolicy)
		}
		s.profile = p
		return nil
	}
}

// InDER writes DER, in which the official library reads messages too, instead of the BER that it writes. [Sealer.SealTo] cannot.
func InDER() SealerOption {
	return func(s *Sealer) error {
		s.encoding = cms.DER
		return nil
	}
}

// NewSealer makes a sealer that signs with the authentication credential. Its certificate and chain go into every
// message. The signer may be a card; it is asked for two signatures per message. The error is [ErrSigner] or [ErrPolicy].
func NewSealer(auth keystore.Credential, opts ...SealerOption) (*Sealer, error) {
	s := &Sealer{outer: auth, inner: auth, encoding: cms.BER}
	for _, o := range opts {
		if err := o(s); err != nil {
			return nil, err
		}
	}
	if s.profile == 0 {
		s.profile = EHealthCertificate
		if auth.Certificate != nil {
			if subject, err := keystore.ParseSubject(auth.Certificate); err == nil && subject.EID {
				s.profile = EID
			}
		}
	}
	for _, c := range []keystore.Credential{s.outer, s.inner} {
		if err := usable(c, s.profile); err != nil {
			return nil, err
		}
	}
	if !sameParty(s.outer.Certificate, s.inner.Certificate) {
		return nil, fmt.Errorf("%w: two parties", ErrSigner)
	}
	for _, o := range []cms.SignOptions{s.options(s.outer, time.Time{}, true), s.options(s.inner, time.Time{}, s.own)} {
		s.layers += 512 + len(o.Certificate.RawIssuer) + rsaBits(o.Certificate)/8
		for _, c := range o.Include {
			s.layers += len(c.Raw) + len(c.Raw)/80
		}
	}
	return s, nil
}

func usable(c keystore.Credential, p Profile) error {
	switch {
	case c.Certificate == nil || c.Signer == nil:
		return fmt.Errorf("%w: missing", ErrSigner)
	case rsaBits(c.Certificate) < p.minBits():
		return fmt.Errorf("%w: key too short, or not RSA", ErrSigner)
	case c.Certificate.KeyUsage&signs == 0:
		return fmt.Errorf("%w: key usage", ErrSigner)
	}
	if public, ok := c.Signer.Public().(*rsa.PublicKey); !ok || !public.Equal(c.Certificate.PublicKey) {
		return fmt.Errorf("%w: another key than the certificate", ErrSigner)
	}
	return nil
}

// signs are the key usages for signatures.
const signs = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment

// Seal seals content, which may be empty, for all the recipients. Whoever must be able to read an own message adds the own
// ETK. A recipient named twice counts once.
//
// The result is about 1.2 percent and 4 kB longer. Errors are [ErrNoRecipient], [ErrRecipient], [ErrKEK] and [ErrSigner];
// those of the signer, for instance a card that was taken out, are wrapped.
func (s *Sealer) Seal(content []byte, to ...Recipient) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(content) + len(content)/80 + s.layers + 640*len(to))
	if err := s.seal(&out, bytes.NewReader(content), int64(len(content)), to); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// SealTo is Seal from a reader to a writer. It holds some 100 kB whatever the length of the content. When it fails, what
// was written is of no use.
func (s *Sealer) SealTo(w io.Writer, content io.Reader, to ...Recipient) error {
	if s.encoding == cms.DER {
		return fmt.Errorf("%w: DER needs the length beforehand", ErrPolicy)
	}
	return s.seal(w, content, 0, to)
}

// seal puts the three layers around each other, from the outside inwards, and lets the content run through (B.3).
func (s *Sealer) seal(w io.Writer, content io.Reader, size int64, to []Recipient) error {
	now := time.Now()
	for _, c := range []keystore.Credential{s.outer, s.inner} {
		if now.Before(c.Certificate.NotBefore) || now.After(c.Certificate.NotAfter) {
			return fmt.Errorf("%w: certificate not valid now", ErrSigner)
		}
	}
	list, err := targets(to, now)
	if err != nil {
		return err
	}
	outerOptions := s.options(s.outer, now, true)
	innerOptions := s.options(s.inner, now, s.own)
	envelope := cms.EnvelopeOptions{Encoding: s.encoding, Targets: list}
	innerSize, envelopeSize := int64(0), int64(0)
	if s.encoding == cms.DER {
		if innerSize, err = cms.SignedSize(size, innerOptions); err != nil {
			return err
		}
		if envelopeSize, err = cms.EnvelopedSize(innerSize, envelope); err != nil {
			return err
		}
	}
	outer, err := cms.NewSignedWriter(w, envelopeSize, outerOptions)
	if err != nil {
		return fmt.Errorf("etee: seal: %w", err)
	}
	middle, err := cms.NewEnvelopedWriter(outer, innerSize, envelope)
	if err != nil {
		return fmt.Errorf("etee: seal: %w", err)
	}
	inner, err := cms.NewSignedWriter(middle, size, innerOptions)
	if err != nil {
		return fmt.Errorf("etee: seal: %w", err)
	}
	if _, err = io.Copy(inner, content); err != nil {
		return fmt.Errorf("etee: seal: %w", err)
	}
	for _, layer := range []io.Closer{inner, middle, outer} {
		if err := layer.Close(); err != nil {
			return fmt.Errorf("etee: seal: %w", err)
		}
	}
	return nil
}

func (s *Sealer) options(c keystore.Credential, now time.Time, include bool) cms.SignOptions {
	o := cms.SignOptions{
		Certificate: c.Certificate, Signer: c.Signer, Scheme: s.profile.scheme(), Encoding: s.encoding, SigningTime: now,
	}
	if include {
		o.Include = append([]*x509.Certificate{c.Certificate}, c.Chain...)
	}
	return o
}
