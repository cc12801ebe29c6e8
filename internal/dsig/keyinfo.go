package dsig

import (
	"bytes"
	"crypto/x509"
	"fmt"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// maxCertificates bounds what one KeyInfo may make us parse.
const maxCertificates = 10

// Certificates returns the certificates of all ds:X509Data in a ds:KeyInfo, in document order; none is no error.
// Other content of KeyInfo is passed over.
func Certificates(keyInfo *xmltree.Node) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for data := range keyInfo.Elements() {
		if !data.Is(NS, "X509Data") {
			continue
		}
		for n := range data.Elements() {
			if !n.Is(NS, "X509Certificate") {
				continue
			}
			if len(out) == maxCertificates {
				return nil, fmt.Errorf("%w: too many certificates", ErrKey)
			}
			c, err := parseCertificate(n)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

func parseCertificate(n *xmltree.Node) (*x509.Certificate, error) {
	der, err := Base64(n)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		// The parser's text may quote what is in the certificate, and certificates bear names.
		return nil, fmt.Errorf("%w: not an X.509 certificate", ErrKey)
	}
	return c, nil
}

// Leaf returns the one certificate that did not issue another one of the list: XML-DSig gives certificates in any order.
func Leaf(certs []*x509.Certificate) (*x509.Certificate, error) {
	var leaf *x509.Certificate
	for i, c := range certs {
		issued := false
		for j, d := range certs {
			issued = issued || i != j && bytes.Equal(c.RawSubject, d.RawIssuer) && !bytes.Equal(c.Raw, d.Raw)
		}
		if issued || leaf != nil && bytes.Equal(leaf.Raw, c.Raw) {
			continue
		}
		if leaf != nil {
			return nil, fmt.Errorf("%w: more than one end certificate", ErrKey)
		}
		leaf = c
	}
	if leaf == nil {
		return nil, fmt.Errorf("%w: no end certificate", ErrKey)
	}
	return leaf, nil
}

// WriteX509Data writes ds:X509Data with the certificates, base64 on one line each, for SignOptions.KeyInfo.
func WriteX509Data(w *xmltree.Writer, certs ...*x509.Certificate) {
	w.Start("ds", "X509Data")
	for _, c := range certs {
		w.Start("ds", "X509Certificate")
		w.Base64(c.Raw)
		w.End()
	}
	w.End()
}
