package etee

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"time"
)

// Trust is whom certificates must come from.
type Trust struct {
	// Roots are the trust anchors, required: nil would mean those of the system, which have nothing to say here.
	Roots *x509.CertPool
	// Intermediates are issuing authorities to use in addition to those that a message or an ETK brings; may be nil.
	Intermediates *x509.CertPool
}

// ErrTrust: no trust anchors were given.
var ErrTrust = errors.New("etee: no trust anchors")

// maxIssuerBits bounds the work that the certificates of a message can make us do.
const maxIssuerBits = 8192

// verify looks for a path from the certificate to a root at that time, through any of the others (PKIX, no revocation: the
// official connectors do not ask for it either, dossier 02 B.2).
func (t Trust) verify(c *x509.Certificate, others []*x509.Certificate, at time.Time) error {
	_, err := t.paths(c, others, at)
	return err
}

// paths is verify that also tells the paths.
func (t Trust) paths(c *x509.Certificate, others []*x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	pool := x509.NewCertPool()
	if t.Intermediates != nil {
		pool = t.Intermediates.Clone()
	}
	for _, o := range others {
		if k, ok := o.PublicKey.(*rsa.PublicKey); o != c && (!ok || k.N.BitLen() <= maxIssuerBits) {
			pool.AddCert(o)
		}
	}
	return c.Verify(x509.VerifyOptions{
		Roots: t.Roots, Intermediates: pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
}

// sameName compares names as the official library does: the same parts in the same order, values without regard to case
// (dossier 02 A.2, check 5).
func sameName(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, okX := parseName(a)
	y, okY := parseName(b)
	if !okX || !okY || len(x) != len(y) {
		return false
	}
	for i := range x {
		if len(x[i]) != len(y[i]) {
			return false
		}
		for j := range x[i] {
			v, okV := x[i][j].Value.(string)
			w, okW := y[i][j].Value.(string)
			if !x[i][j].Type.Equal(y[i][j].Type) || !okV || !okW || !strings.EqualFold(v, w) {
				return false
			}
		}
	}
	return true
}

func parseName(raw []byte) (pkix.RDNSequence, bool) {
	var seq pkix.RDNSequence
	rest, err := asn1.Unmarshal(raw, &seq)
	return seq, err == nil && len(rest) == 0
}

// serialNumbers returns the values of the subject's serialNumber attributes, which hold the national number in
// certificates of identity cards.
func serialNumbers(c *x509.Certificate) []string {
	seq, _ := parseName(c.RawSubject)
	var out []string
	for _, rdn := range seq {
		for _, a := range rdn {
			if v, ok := a.Value.(string); ok && a.Type.Equal(oidSerialNumber) {
				out = append(out, v)
			}
		}
	}
	return out
}

var oidSerialNumber = asn1.ObjectIdentifier{2, 5, 4, 5}

// sameParty reports whether two certificates speak for the same one (dossier 02 B.4 step 7): if either has a serial
// number in its subject these must be equal, else the whole subjects.
func sameParty(a, b *x509.Certificate) bool {
	x, y := serialNumbers(a), serialNumbers(b)
	if len(x) == 0 && len(y) == 0 {
		return sameName(a.RawSubject, b.RawSubject)
	}
	return len(x) == 1 && len(y) == 1 && x[0] == y[0]
}

// rsaBits is the length of the certificate's RSA key, 0 when it has another.
func rsaBits(c *x509.Certificate) int {
	if k, ok := c.PublicKey.(*rsa.PublicKey); ok {
		return k.N.BitLen()
	}
	return 0
}
