package saml

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Trust says whose assertions are believed.
type Trust struct {
	// Roots are the trust anchors; nil trusts nobody (the system's roots are never used).
	Roots *x509.CertPool
	// Intermediates complete the chain, besides the certificates that the signature itself brings; may be nil.
	Intermediates *x509.CertPool
	// SignerCN tells whether the common name of the signer's certificate is that of the STS, for acceptance
	// "CBE=0809394427, IAMACC" (dossier 01 A.8); nil = any signer under Roots.
	SignerCN func(cn string) bool
	// Issuer is the expected Issuer; "" = IssuerSTS.
	Issuer string
	// AllowSHA1 also accepts rsa-sha1 signatures, which the STS made until about 2020.
	AllowSHA1 bool
}

// Verify checks that the STS issued this assertion: the expected Issuer, exactly one signature in it, as last child,
// whose one reference covers this very element, made with a key that is certified under t.Roots at the instant now.
// It does not look at Conditions.
func (a *Assertion) Verify(t Trust, now time.Time) error {
	issuer := t.Issuer
	if issuer == "" {
		issuer = IssuerSTS
	}
	if a.Issuer != issuer {
		return ErrIssuer
	}
	sig, err := a.signature()
	if err != nil {
		return err
	}
	v, err := dsig.Verify(sig, dsig.Policy{
		IDs:       []dsig.IDAttr{{Local: "AssertionID"}},
		AllowSHA1: t.AllowSHA1,
		MaxRefs:   1,
		Key:       signer,
	})
	if err != nil {
		return fmt.Errorf("saml: %w", err)
	}
	if !v.Covers(a.node) || !v.Refs[0].Enveloped {
		return ErrUnsigned
	}
	return t.check(v.Certificate, sig.Child(dsig.NS, "KeyInfo"), now)
}

// signature finds the one signature. A second one anywhere inside, in Advice for example, is refused: nobody knows which
// of two a reader would take.
func (a *Assertion) signature() (*xmltree.Node, error) {
	var sig, last *xmltree.Node
	for n := range a.node.Descendants() {
		if n.Is(dsig.NS, "Signature") {
			if sig != nil {
				return nil, fmt.Errorf("%w: two signatures", ErrUnsigned)
			}
			sig = n
		}
	}
	for n := range a.node.Elements() {
		last = n
	}
	if sig == nil || sig != last {
		return nil, fmt.Errorf("%w: no signature at its end", ErrUnsigned)
	}
	return sig, nil
}

func signer(keyInfo *xmltree.Node) (*x509.Certificate, error) {
	certs, err := dsig.Certificates(keyInfo)
	if err != nil {
		return nil, err
	}
	return dsig.Leaf(certs)
}

// check builds the chain of the signer's certificate.
func (t Trust) check(leaf *x509.Certificate, keyInfo *xmltree.Node, now time.Time) error {
	if t.Roots == nil {
		return fmt.Errorf("%w: no roots given", ErrTrust)
	}
	pool := x509.NewCertPool()
	if t.Intermediates != nil {
		pool = t.Intermediates.Clone()
	}
	certs, err := dsig.Certificates(keyInfo)
	if err != nil {
		return err
	}
	for _, c := range certs {
		pool.AddCert(c)
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots:         t.Roots,
		Intermediates: pool,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("%w: %s", ErrTrust, reason(err))
	}
	if t.SignerCN != nil && !t.SignerCN(leaf.Subject.CommonName) {
		return fmt.Errorf("%w: another signer", ErrTrust)
	}
	return nil
}

// reason names the kind of a chain error and drops its text, which may quote names.
func reason(err error) string {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "a certificate of the chain is expired or not valid yet"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "unknown authority"
	}
	return "invalid chain"
}
