package dsig_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// issue makes a certificate for the P-384 key, signed by the P-256 one.
func issue(t *testing.T, cn string) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, p256().cert, p384().cert.PublicKey, p256().key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLeaf(t *testing.T) {
	ca, leaf, other := p256().cert, issue(t, "leaf"), issue(t, "other")
	for name, c := range map[string]struct {
		in   []*x509.Certificate
		want *x509.Certificate
	}{
		"alone":         {[]*x509.Certificate{leaf}, leaf},
		"self-signed":   {[]*x509.Certificate{ca}, ca},
		"leaf first":    {[]*x509.Certificate{leaf, ca}, leaf},
		"issuer first":  {[]*x509.Certificate{ca, leaf}, leaf},
		"leaf repeated": {[]*x509.Certificate{leaf, ca, leaf}, leaf},
		"two leaves":    {[]*x509.Certificate{leaf, ca, other}, nil},
		"none":          {nil, nil},
	} {
		got, err := dsig.Leaf(c.in)
		if got != c.want || (c.want == nil) != errors.Is(err, dsig.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCertificates(t *testing.T) {
	one := base64.StdEncoding.EncodeToString(p256().cert.Raw)
	cert := func(text string) string { return "<ds:X509Certificate>" + text + "</ds:X509Certificate>" }
	for name, c := range map[string]struct {
		content string
		want    int // -1 = ErrKey
	}{
		"none":          {"", 0},
		"other content": {"<ds:KeyName>x</ds:KeyName><ds:X509Data><ds:X509SubjectName>x</ds:X509SubjectName></ds:X509Data>", 0},
		"one":           {"<ds:X509Data>" + cert(one) + "</ds:X509Data>", 1},
		"line breaks":   {"<ds:X509Data>" + cert("\n"+one[:64]+"&#13;\n"+one[64:]+"\n") + "</ds:X509Data>", 1},
		"two data":      {"<ds:X509Data>" + cert(one) + "</ds:X509Data><ds:X509Data>" + cert(one) + "</ds:X509Data>", 2},
		"comment":       {"<ds:X509Data>" + cert(one[:64]+"<!-- -->"+one[64:]) + "</ds:X509Data>", -1},
		"not DER":       {"<ds:X509Data>" + cert("AAAA") + "</ds:X509Data>", -1},
		"not base64":    {"<ds:X509Data>" + cert("?") + "</ds:X509Data>", -1},
		"empty":         {"<ds:X509Data>" + cert("") + "</ds:X509Data>", -1},
		"too many":      {"<ds:X509Data>" + strings.Repeat(cert(one), 11) + "</ds:X509Data>", -1},
	} {
		certs, err := dsig.Certificates(parse(t, `<ds:KeyInfo xmlns:ds="`+dsig.NS+`">`+c.content+`</ds:KeyInfo>`))
		if c.want < 0 && !errors.Is(err, dsig.ErrKey) || c.want >= 0 && (err != nil || len(certs) != c.want) {
			t.Errorf("%s: %d, %v", name, len(certs), err)
		}
	}
	if certs, err := dsig.Certificates(nil); err != nil || certs != nil {
		t.Errorf("no KeyInfo: %v %v", certs, err)
	}
	w := xmltree.NewWriter()
	w.Start("ds", "KeyInfo")
	w.NS("ds", dsig.NS)
	dsig.WriteX509Data(w, p256().cert, p384().cert)
	w.End()
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if certs, err := dsig.Certificates(parse(t, string(b))); err != nil || len(certs) != 2 || !certs[1].Equal(p384().cert) {
		t.Errorf("written and read back: %v", err)
	}
}
