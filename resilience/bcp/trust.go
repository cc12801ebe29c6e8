package bcp

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// Common names of the authorities that issue the signer's certificate (dossier 01 D.5), for [Trust].Issuer.
const (
	IssuerProduction = "ZetesConfidens Private Trust PKI - eHealth issuing CA 001"
	IssuerAcceptance = "TEST-ZetesConfidens-eHealth acceptance test-issuing CA 001"
)

// Trust says whose lists are believed.
type Trust struct {
	// Roots are the pinned authorities: the eHealth issuing CA itself, or the roots above it. Required; the system's
	// roots are never used.
	Roots *x509.CertPool
	// Intermediates complete the chain, besides the certificates that the signature brings; may be nil.
	Intermediates *x509.CertPool
	// Issuer accepts the common name of the authority that issued the signer's certificate; nil = any under Roots. Set it
	// when Roots holds a root with more than one authority below.
	Issuer func(cn string) bool
	// Signer accepts the signer's certificate by its subject; nil = PlatformSigner.
	Signer func(*x509.Certificate) bool
	// Hosts are the hosts that addresses may be on, "host", "host:port", or ".example.be" for every host below that
	// domain. The hosts of Addresses and of the previous list are allowed too. When none of the three says anything, every
	// host is allowed. A known service (one of Addresses or of the previous list) on another host refuses the list;
	// an unknown service is ignored, because the list holds services of other owners too.
	Hosts []string
	// Addresses are the addresses known beforehand, by UDDI id.
	Addresses resilience.Static

	// stored: a copy that was accepted before. The clock may be wrong at boot, and a certificate that expired since
	// must not cost the last good list.
	stored bool
}

const (
	signerCBE = "CBE=0809394427"
	signerOU  = "SERVICELIST"
)

// PlatformSigner tells whether the subject of a certificate is that of the service list (dossier 01 D.5): one country BE,
// one organisation "Federal Government", the units SERVICELIST and CBE=0809394427 among its units, and one common name
// "CBE=0809394427, SERVICELIST". The order of the parts is not looked at.
func PlatformSigner(c *x509.Certificate) bool {
	n := c.Subject
	units := map[string]bool{}
	for _, u := range n.OrganizationalUnit {
		units[u] = true
	}
	names := 0
	for _, a := range n.Names {
		if a.Type.String() == "2.5.4.3" {
			names++
		}
	}
	return names == 1 && n.CommonName == signerCBE+", "+signerOU && units[signerOU] && units[signerCBE] &&
		len(n.Country) == 1 && n.Country[0] == "BE" && len(n.Organization) == 1 && n.Organization[0] == "Federal Government"
}

// signerOf takes the end certificate of KeyInfo, in whatever order the certificates stand.
func signerOf(keyInfo *xmltree.Node) (*x509.Certificate, error) {
	certs, err := dsig.Certificates(keyInfo)
	if err != nil {
		return nil, err
	}
	return dsig.Leaf(certs)
}

// check decides on the signer's certificate.
func (t *Trust) check(leaf *x509.Certificate, brought []*x509.Certificate, issued, now time.Time) error {
	if bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		return ErrSelfSigned
	}
	if t.Roots == nil {
		return fmt.Errorf("%w: no authorities given", ErrUntrusted)
	}
	issuer, err := t.chain(leaf, brought, now)
	if errors.Is(err, ErrExpired) && t.stored {
		if issued.Before(leaf.NotBefore) {
			issued = leaf.NotBefore
		}
		issuer, err = t.chain(leaf, brought, issued)
	}
	if err != nil {
		return err
	}
	if t.Issuer != nil && !t.Issuer(issuer.Subject.CommonName) {
		return fmt.Errorf("%w: another authority than the issuing one", ErrUntrusted)
	}
	accept := t.Signer
	if accept == nil {
		accept = PlatformSigner
	}
	if !accept(leaf) {
		return ErrSigner
	}
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if leaf.IsCA || leaf.KeyUsage != 0 && leaf.KeyUsage&signing == 0 {
		return fmt.Errorf("%w: certificate not meant for signing", ErrSigner)
	}
	return nil
}

// chain finds the authority that issued leaf under the pinned ones.
func (t *Trust) chain(leaf *x509.Certificate, brought []*x509.Certificate, at time.Time) (*x509.Certificate, error) {
	pool := x509.NewCertPool()
	if t.Intermediates != nil {
		pool = t.Intermediates.Clone()
	}
	for _, c := range brought {
		pool.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: t.Roots, Intermediates: pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return nil, ErrExpired
	}
	if err != nil {
		return nil, ErrUntrusted // the library's text quotes names
	}
	for _, c := range chains {
		if len(c) > 1 {
			return c[1], nil
		}
	}
	return nil, fmt.Errorf("%w: the end certificate is pinned itself", ErrUntrusted)
}

// XAdES (ETSI TS 101 903 1.3.2).
const (
	nsXAdES              = "http://uri.etsi.org/01903/v1.3.2#"
	typeSignedProperties = "http://uri.etsi.org/01903#SignedProperties"
	sha512URI            = "http://www.w3.org/2001/04/xmlenc#sha512"
)

// checkXAdES wants the signed properties of this very signature among what was signed.
func checkXAdES(sig *xmltree.Node, v *dsig.Verified) error {
	var props *xmltree.Node
	for object := range sig.Elements() {
		if !object.Is(dsig.NS, "Object") {
			continue
		}
		if p := object.Child(nsXAdES, "QualifyingProperties").Child(nsXAdES, "SignedProperties"); p != nil {
			if props != nil {
				return fmt.Errorf("%w: twice", ErrXAdES)
			}
			props = p
		}
	}
	if props == nil {
		return fmt.Errorf("%w: absent", ErrXAdES)
	}
	signed := false
	for _, r := range v.Refs {
		signed = signed || r.Node == props && r.Type == typeSignedProperties
	}
	if !signed {
		return fmt.Errorf("%w: not signed", ErrXAdES)
	}
	id, _ := sig.Attr("", "Id")
	if target, _ := props.Parent().Attr("", "Target"); target != "" && target != "#"+id {
		return fmt.Errorf("%w: of another signature", ErrXAdES)
	}
	of := props.Child(nsXAdES, "SignedSignatureProperties")
	for _, name := range []string{"SigningCertificate", "SigningCertificateV2"} {
		if c := of.Child(nsXAdES, name); c != nil {
			if err := namesCertificate(c, v.Certificate); err != nil {
				return err
			}
		}
	}
	return nil
}

// namesCertificate checks that the first certificate digest is the signer's.
func namesCertificate(n *xmltree.Node, leaf *x509.Certificate) error {
	d := n.Child(nsXAdES, "Cert").Child(nsXAdES, "CertDigest")
	alg, _ := d.Child(dsig.NS, "DigestMethod").Attr("", "Algorithm")
	text, err := d.Child(dsig.NS, "DigestValue").Text()
	if err != nil || len(text) > maxText {
		return fmt.Errorf("%w: certificate digest", ErrXAdES)
	}
	want, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return fmt.Errorf("%w: certificate digest", ErrXAdES)
	}
	var got []byte
	switch alg {
	case dsig.SHA256:
		sum := sha256.Sum256(leaf.Raw)
		got = sum[:]
	case sha512URI:
		sum := sha512.Sum512(leaf.Raw)
		got = sum[:]
	default:
		return fmt.Errorf("%w: digest method of the certificate", ErrXAdES)
	}
	if subtle.ConstantTimeCompare(got, want) != 1 {
		return fmt.Errorf("%w: another certificate", ErrXAdES)
	}
	return nil
}
