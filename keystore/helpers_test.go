package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/p12"
)

const password = "correct horse battery staple"

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// RSA keys are slow to make: each is made once for the test binary.
var rsaKey = func() func(i int) *rsa.PrivateKey {
	var mu sync.Mutex
	made := map[int]*rsa.PrivateKey{}
	return func(i int) *rsa.PrivateKey {
		mu.Lock()
		defer mu.Unlock()
		if made[i] == nil {
			k, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				panic(err)
			}
			made[i] = k
		}
		return made[i]
	}
}()

var ecKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

const (
	signs    = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment
	encrypts = x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment
)

// spec is a certificate to make; zero fields get harmless values.
type spec struct {
	subject   pkix.RDNSequence
	serial    int64
	usage     x509.KeyUsage
	notBefore time.Time
	notAfter  time.Time
	ca        bool
}

// issue signs a certificate; parent nil makes it self-signed.
func issue(t testing.TB, s spec, key crypto.Signer, parent *x509.Certificate, parentKey crypto.Signer) *x509.Certificate {
	t.Helper()
	if s.subject == nil {
		s.subject = person
	}
	if s.notBefore.IsZero() {
		s.notBefore = begin
	}
	if s.notAfter.IsZero() {
		s.notAfter = s.notBefore.AddDate(3, 0, 0)
	}
	raw, err := asn1.Marshal(s.subject)
	check(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(s.serial + 1), RawSubject: raw, KeyUsage: s.usage,
		NotBefore: s.notBefore, NotAfter: s.notAfter, IsCA: s.ca, BasicConstraintsValid: s.ca,
	}
	if parent == nil {
		parent, parentKey = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), parentKey)
	check(t, err)
	c, err := x509.ParseCertificate(der)
	check(t, err)
	return c
}

// Attribute types of the subjects below.
var (
	oidC      = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidO      = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU     = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidCN     = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidSerial = asn1.ObjectIdentifier{2, 5, 4, 5}
)

// dn writes a subject from pairs of type and value, in that order.
func dn(parts ...any) pkix.RDNSequence {
	var seq pkix.RDNSequence
	for i := 0; i < len(parts); i += 2 {
		seq = append(seq, pkix.RelativeDistinguishedNameSET{{Type: parts[i].(asn1.ObjectIdentifier), Value: parts[i+1]}})
	}
	return seq
}

// person is the layout of dossier 02 A.5 with an invented national number.
var person = dn(oidC, "BE", oidO, "Federal Government", oidOU, "SSIN=70010100188", oidOU, "ALICE EEN",
	oidOU, "eHealth-platform Belgium", oidCN, "SSIN=70010100188")

// fixture is a renewed eHealth certificate: one authentication key and three
// generations of encryption keys, the oldest first in the file.
type fixture struct {
	ca, auth      *x509.Certificate
	enc           [3]*x509.Certificate // newest last
	entries       []p12.Entry
	authKey       *rsa.PrivateKey
	encryptionKey [3]*rsa.PrivateKey
}

func newFixture(t testing.TB) fixture {
	t.Helper()
	f := fixture{authKey: rsaKey(0)}
	f.ca = issue(t, spec{subject: dn(oidC, "BE", oidCN, "TEST CA"), serial: 900, usage: x509.KeyUsageCertSign, ca: true}, ecKey(), nil, nil)
	f.auth = issue(t, spec{serial: 100, usage: signs}, f.authKey, f.ca, ecKey())
	for i := range f.enc {
		f.encryptionKey[i] = rsaKey(1 + i)
		f.enc[i] = issue(t, spec{serial: int64(8223049227 + i), usage: encrypts, notBefore: begin.AddDate(i-2, 0, 0)}, f.encryptionKey[i], f.auth, f.authKey)
		f.entries = append(f.entries, p12.Entry{
			Alias: f.enc[i].SerialNumber.String(), Key: f.encryptionKey[i], Certificate: f.enc[i], Chain: []*x509.Certificate{f.auth, f.ca},
		})
	}
	f.entries = append(f.entries, p12.Entry{Alias: "authentication", Key: f.authKey, Certificate: f.auth, Chain: []*x509.Certificate{f.ca}})
	return f
}

func (f fixture) file(t testing.TB) []byte { return encode(t, f.entries...) }

func encode(t testing.TB, entries ...p12.Entry) []byte {
	t.Helper()
	der, err := p12.Encode(entries, password, p12.Iterations(1))
	check(t, err)
	return der
}
