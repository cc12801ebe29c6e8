package etee

import (
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
)

// side holds the codes of one of the two signed layers.
type side struct {
	structure, signers, contentMissing, certificatesBroken, certificateMissing    Code
	signatureAlgorithm, digestAlgorithm, keyTooShort, keyUsage, expired, tooEarly Code
	chainNotTrusted, notVerified, mismatch, notExpected                           Code
}

var outerSide = side{
	structure: OuterStructureIncorrect, signers: OuterSigners, contentMissing: OuterContentMissing,
	certificatesBroken: OuterCertificatesBroken, certificateMissing: OuterCertificateMissing,
	signatureAlgorithm: OuterSignatureAlgorithm, digestAlgorithm: OuterDigestAlgorithm, keyTooShort: OuterKeyTooShort,
	keyUsage: OuterKeyUsage, expired: OuterCertificateExpired, tooEarly: OuterCertificateTooEarly,
	chainNotTrusted: OuterChainNotTrusted, notVerified: OuterNotVerified, mismatch: OuterSignatureMismatch,
	notExpected: OuterNotExpectedSigner,
}

var innerSide = side{
	structure: InnerStructureIncorrect, signers: InnerSigners, contentMissing: InnerContentMissing,
	certificatesBroken: InnerCertificatesBroken, certificateMissing: InnerCertificateMissing,
	signatureAlgorithm: InnerSignatureAlgorithm, digestAlgorithm: InnerDigestAlgorithm, keyTooShort: InnerKeyTooShort,
	keyUsage: InnerKeyUsage, expired: InnerCertificateExpired, tooEarly: InnerCertificateTooEarly,
	chainNotTrusted: InnerChainNotTrusted, notVerified: InnerNotVerified, mismatch: InnerSignatureMismatch,
	notExpected: InnerNotExpectedSigner,
}

// limits are for one layer: certificates of a chain or two, one signer.
var limits = cms.Limits{Certificates: 16}

// layer is a parsed SignedData with its one signer.
type layer struct {
	*side
	*opening
	data    *cms.SignedData
	signer  *cms.SignerInfo
	profile Profile
}

// parse reads a layer; nil after a fatal finding (dossier 02 B.4, steps 1 and 7).
func (o *opening) parse(b []byte, s *side) *layer {
	data, err := cms.ParseSignedData(b, limits)
	switch {
	case err != nil:
		o.report.fail(s.structure)
	case len(data.Signers) != 1:
		o.report.fail(s.signers)
	case data.Detached:
		o.report.fail(s.contentMissing)
	default:
		l := &layer{side: s, opening: o, data: data, signer: &data.Signers[0]}
		l.profile = profileOf(l.signer.Signature.OID)
		return l
	}
	return nil
}

// algorithms checks them against the policy (step 3) and reports whether the signature can be verified.
func (l *layer) algorithms() bool {
	scheme, salt, err := l.signer.Scheme()
	if l.profile == 0 {
		l.report.fail(l.signatureAlgorithm)
		l.report.fail(l.digestAlgorithm)
		return false
	}
	good := true
	if scheme.Hash != digestAlgorithm {
		l.report.fail(l.digestAlgorithm)
		good = false
	} else if err != nil || scheme != l.profile.scheme() {
		l.report.fail(l.signatureAlgorithm)
		good = false
	}
	if l.policy.Profiles != nil && !slices.Contains(l.policy.Profiles, l.profile) ||
		l.profile == EHealthCertificate && salt != digestAlgorithm.Size() && l.policy.is(Salt32) && good {
		l.report.fail(l.signatureAlgorithm)
		good = false
	}
	return good
}

// verify checks the signature itself.
func (l *layer) verify(content []byte, c *x509.Certificate) {
	if !l.signer.HasSigned && (cms.LooksLikeAttributes(content) || l.policy.is(SignedAttributes)) {
		l.report.fail(l.notVerified)
		return
	}
	err := l.signer.Verify(hashOf(content), c.PublicKey, cms.VerifyOptions{
		Accept: []cms.Scheme{l.profile.scheme()}, IgnoreProtection: !l.policy.is(AlgorithmProtection),
	})
	switch {
	case err == nil:
	case errors.Is(err, cms.ErrSignature):
		l.report.fail(l.mismatch)
	case errors.Is(err, cms.ErrAlgorithm):
		l.report.fail(l.signatureAlgorithm)
	case errors.Is(err, cms.ErrKey):
		l.report.fail(l.keyTooShort)
	default: // digest or attributes
		l.report.fail(l.notVerified)
	}
}

func hashOf(b []byte) []byte {
	h := digestAlgorithm.New()
	h.Write(b)
	return h.Sum(nil)
}

// own finds the signer's certificate in the layer; nil, with a finding, when it is not there exactly once.
func (l *layer) own() (c *x509.Certificate, all []*x509.Certificate) {
	c, all, bad := l.data.Signer(l.signer)
	if c == nil {
		if bad > 0 {
			l.report.fail(l.certificatesBroken)
		} else {
			l.report.fail(l.certificateMissing)
		}
	}
	return c, all
}

// usage checks what a certificate may be used for.
func (l *layer) usage(c *x509.Certificate, allowed x509.KeyUsage) {
	if c.KeyUsage&allowed == 0 {
		l.report.fail(l.keyUsage)
	}
}

// trusted checks the rest of a certificate: key length, validity and chain at that time (step 4).
func (l *layer) trusted(c *x509.Certificate, all []*x509.Certificate, at time.Time) {
	if rsaBits(c) < l.profile.minBits() {
		l.report.fail(l.keyTooShort)
	}
	switch {
	case at.After(c.NotAfter):
		l.report.fail(l.expired)
	case at.Before(c.NotBefore):
		l.report.fail(l.tooEarly)
	}
	if l.trust.verify(c, all, at) != nil {
		l.report.fail(l.chainNotTrusted)
	}
}

// expected checks the certificate against the list of [From] (step 5).
func (l *layer) expected(c *x509.Certificate) {
	if l.from == nil {
		return
	}
	same := func(e *x509.Certificate) bool {
		public, ok := e.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		return ok && public.Equal(c.PublicKey)
	}
	if !slices.ContainsFunc(l.from, same) {
		l.report.fail(l.notExpected)
	}
}
