package sts

import (
	"crypto/x509"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/saml"
)

// Issuer is the Issuer of the platform's assertions (dossier 01 A.4).
const Issuer = saml.IssuerSTS

// Trust says whose signature on an assertion counts.
type Trust struct {
	// Roots are the authorities under which the STS certificate must stand. Required.
	Roots *x509.CertPool
	// Intermediates help to build the chain; nil = none.
	Intermediates *x509.CertPool
	// SignerCN accepts the common name of the signing certificate; nil = [PlatformSigner].
	// The authorities that certify the STS also certify every care provider, so a chain to
	// Roots alone proves nothing about the signer's right to issue tokens.
	SignerCN func(cn string) bool
	// Issuer is what the assertion must name as its issuer; "" = [Issuer].
	Issuer string
	// AllowSHA1 accepts RSA-SHA1 signatures, which the acceptance platform still made in
	// 2020 (dossier 01 A.8). Default: refused.
	AllowSHA1 bool
}

// PlatformSigner accepts the common names of the platform's own access-management
// certificates: "CBE=0809394427, IAMACC" and its siblings (dossier 01 A.8).
func PlatformSigner(cn string) bool {
	number, application, ok := strings.Cut(cn, ",")
	return ok && strings.TrimSpace(number) == "CBE=0809394427" &&
		strings.HasPrefix(strings.TrimSpace(application), "IAM")
}

func (t Trust) saml() saml.Trust {
	s := saml.Trust{
		Roots: t.Roots, Intermediates: t.Intermediates, SignerCN: t.SignerCN,
		Issuer: t.Issuer, AllowSHA1: t.AllowSHA1,
	}
	if s.SignerCN == nil {
		s.SignerCN = PlatformSigner
	}
	if s.Issuer == "" {
		s.Issuer = Issuer
	}
	return s
}
