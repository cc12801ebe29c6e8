package etee

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// MaxETK is the longest ETK that is read: 64 KiB, ten times a real one.
const MaxETK = 64 << 10

// ErrETK: not the structure of an ETK.
var ErrETK = errors.New("etee: not an ETK")

// errLongKey: verifying with a key takes time that grows with the square of its length, and the token brings the key.
var errLongKey = errors.New("etee: key too long")

// ETK is an encryption token: the certificate that messages for somebody are encrypted with, as the depot hands it out
// (dossier 02 A.1). Parsing it says nothing about whose it is: [ETK.Check] does. It prints nothing of its content.
type ETK struct{ *etk }

type etk struct {
	raw            []byte
	encryption     *x509.Certificate
	authentication *x509.Certificate
	registration   *x509.Certificate // nil when the token does not hold it
	others         []*x509.Certificate
	signer         cms.SignerInfo
	content        []byte
	proofs         proofs
}

// ParseETK reads a token. The error wraps [ErrETK].
func ParseETK(token []byte) (ETK, error) {
	if len(token) > MaxETK {
		return ETK{}, fmt.Errorf("%w: too long", ErrETK)
	}
	k := &etk{raw: bytes.Clone(token)}
	data, err := cms.ParseSignedData(k.raw, cms.Limits{Bytes: MaxETK, Certificates: 16})
	if err != nil {
		return ETK{}, fmt.Errorf("%w: %w", ErrETK, err)
	}
	if len(data.Signers) != 1 || data.Detached {
		return ETK{}, fmt.Errorf("%w: must have one signer and a content", ErrETK)
	}
	k.signer, k.content = data.Signers[0], data.Content.Bytes()
	if k.encryption, err = cms.ParseCertificate(k.content); err != nil {
		return ETK{}, fmt.Errorf("%w: content is no certificate", ErrETK)
	}
	k.registration, k.others, _ = data.Signer(&k.signer)
	if k.authentication = k.holder(); k.authentication == nil {
		return ETK{}, fmt.Errorf("%w: no authentication certificate", ErrETK)
	}
	return ETK{k}, nil
}

// ParseETKBase64 reads a token as it travels in XML; white space between is allowed.
func ParseETKBase64(text []byte) (ETK, error) {
	if len(text) > 2*MaxETK {
		return ETK{}, fmt.Errorf("%w: too long", ErrETK)
	}
	packed := bytes.Join(bytes.Fields(text), nil)
	token := make([]byte, base64.StdEncoding.DecodedLen(len(packed)))
	n, err := base64.StdEncoding.Decode(token, packed)
	if err != nil {
		return ETK{}, fmt.Errorf("%w: base64", ErrETK)
	}
	return ParseETK(token[:n])
}

// holder finds the authentication certificate: no authority and not the registration authority. When several are left, it
// is the one that signed the encryption certificate, else the one with its name.
func (k *etk) holder() *x509.Certificate {
	var left []*x509.Certificate
	for _, c := range k.others {
		if !c.IsCA && c != k.registration {
			left = append(left, c)
		}
	}
	if len(left) > 1 {
		for _, fits := range []func(*x509.Certificate) bool{
			func(c *x509.Certificate) bool { return k.issuedBy(c) == nil },
			func(c *x509.Certificate) bool { return sameName(c.RawSubject, k.encryption.RawSubject) },
		} {
			for _, c := range left {
				if fits(c) {
					return c
				}
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	return left[0]
}

// issuedBy verifies the encryption certificate with the authentication key. CheckSignatureFrom would refuse it, since the
// issuer is no authority.
func (k *etk) issuedBy(c *x509.Certificate) error {
	if rsaBits(c) > maxIssuerBits {
		return errLongKey
	}
	return c.CheckSignature(k.encryption.SignatureAlgorithm, k.encryption.RawTBSCertificate, k.encryption.Signature)
}

// Bytes returns the token as it was parsed. The slice is the caller's.
func (k ETK) Bytes() []byte {
	if k.etk == nil {
		return nil
	}
	return bytes.Clone(k.raw)
}

// Encryption is the certificate to encrypt with.
func (k ETK) Encryption() *x509.Certificate {
	if k.etk == nil {
		return nil
	}
	return k.encryption
}

// Authentication is the holder's certificate, which issued the encryption certificate.
func (k ETK) Authentication() *x509.Certificate {
	if k.etk == nil {
		return nil
	}
	return k.authentication
}

// Holder is whose token it is, from the authentication certificate. The error is [keystore.ErrSubject].
func (k ETK) Holder() (keystore.Subject, error) {
	if k.etk == nil {
		return keystore.Subject{}, keystore.ErrSubject
	}
	return keystore.ParseSubject(k.authentication)
}

// ExpiresAt is when the first of the two certificates expires: nobody may seal with the token after that.
func (k ETK) ExpiresAt() time.Time {
	if k.etk == nil {
		return time.Time{}
	}
	if k.authentication.NotAfter.Before(k.encryption.NotAfter) {
		return k.authentication.NotAfter
	}
	return k.encryption.NotAfter
}

// Check makes all checks of dossier 02 A.2 at that time, and one more of our own unless [RASignature] is off: that the
// registration authority's signature verifies. That its certificate is missing or its issuer not trusted is the warning
// [ETKRegistrationNotTrusted], since old authorities are under other roots. Of the policy only Off, Also and Refuse are looked at.
//
// Signatures and paths that were verified are not verified again within a minute, with the same trust anchors; what is said about
// time is looked at in each call.
//
// The recipient may be sealed for, and carries the warnings. The error is [ErrETK] for the zero ETK and else a [*Refusal]
// with all findings.
func (k ETK) Check(trust Trust, policy Policy, at time.Time) (Recipient, error) {
	if k.etk == nil {
		return Recipient{}, ErrETK
	}
	if trust.Roots == nil {
		return Recipient{}, ErrTrust
	}
	r := &Report{Policy: policy.Name(), Authentication: k.authentication, ValidatedAt: at}
	if rsaBits(k.authentication) == 0 {
		r.fail(ETKAuthenticationKeyBroken)
	}
	k.proofs.begin(trust)
	if k.issuedByHolder() != nil {
		r.fail(ETKEncryptionSignature)
	}
	within(r, k.encryption, at, ETKEncryptionTooEarly, ETKEncryptionExpired)
	within(r, k.authentication, at, ETKAuthenticationTooEarly, ETKAuthenticationExpired)
	if !enciphers(k.encryption) {
		r.fail(ETKEncryptionKeyUsage)
	}
	if rsaBits(k.encryption) < minRecipientBits {
		r.fail(ETKEncryptionKey)
	}
	if k.authentication.IsCA || k.authentication.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		r.fail(ETKAuthenticationKeyUsage)
	}
	if !sameName(k.encryption.RawSubject, k.authentication.RawSubject) {
		r.fail(ETKCertificatesDoNotMatch)
	}
	if !r.Has(ETKAuthenticationExpired) && k.trusted(trust, k.authentication, at) != nil {
		r.fail(ETKAuthenticationStatus)
	}
	k.checkRegistration(r, trust, policy, at)
	if !r.Accepted() {
		return Recipient{}, &Refusal{r}
	}
	return Recipient{&recipient{certificate: k.encryption, warnings: r.Warnings}}, nil
}

func within(r *Report, c *x509.Certificate, at time.Time, early, expired Code) {
	switch {
	case at.Before(c.NotBefore):
		r.fail(early)
	case at.After(c.NotAfter):
		r.fail(expired)
	}
}

// checkRegistration verifies the signature of the registration authority. Its certificate may have expired since: it is
// good when it was at the time the encryption certificate began.
func (k ETK) checkRegistration(r *Report, trust Trust, policy Policy, at time.Time) {
	if !policy.is(RASignature) {
		return
	}
	if k.registration == nil {
		r.warn(ETKRegistrationNotTrusted, policy)
		return
	}
	err := k.registeredAs(!policy.is(AlgorithmProtection))
	if err != nil || k.registration.KeyUsage != 0 && k.registration.KeyUsage&signs == 0 {
		r.fail(ETKRegistrationSignature)
	}
	if k.trusted(trust, k.registration, at, k.encryption.NotBefore) != nil {
		r.warn(ETKRegistrationNotTrusted, policy)
	}
}

// String says that it is a token.
func (k ETK) String() string {
	if k.etk == nil {
		return "etee.ETK(none)"
	}
	return "etee.ETK(until " + k.ExpiresAt().UTC().Format(time.DateOnly) + ")"
}

// Format writes String whatever the verb.
func (k ETK) Format(f fmt.State, verb rune) { format(f, verb, k.String()) }

// LogValue is String.
func (k ETK) LogValue() slog.Value { return slog.StringValue(k.String()) }
