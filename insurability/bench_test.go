package insurability

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// signedAnswer is a GenIns answer with five periods in a signed message of some eight kilobytes.
func signedAnswer(b *testing.B, now time.Time) []byte {
	b.Helper()
	payload, err := encode(genInsProtocol, genInsCore, "GetInsurabilityResponse", fullResponse(), (*GenInsResponse).wire)
	if err != nil {
		b.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	doc, err := wsse.X509(payload, wsse.Credential{Certificate: cert, Signer: key}, wsse.Stamp{Now: now})
	if err != nil {
		b.Fatal(err)
	}
	return doc
}

// From the bytes of a signed answer to the typed one: parse, verify the signature over Body, Timestamp and token,
// correlate, decode. The floor is one SHA-256 over the same bytes.
func BenchmarkVerifyDecodeGenIns(b *testing.B) {
	now := time.Now()
	doc := signedAnswer(b, now)
	q := fullRequest()
	q.CommonInput.InputReference, q.RecordCommonInput.InputReference = "a", "1"
	read := func(b *testing.B, verify bool) {
		m, err := soap.Parse(doc, xmltree.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		if verify {
			v, err := wsse.Verify(m.Root, wsse.Policy{Now: now})
			if err != nil {
				b.Fatal(err)
			}
			if v.Body != m.Body {
				b.Fatal("another body was signed")
			}
		}
		if err := correlateGenIns(q)(m.Payload); err != nil {
			b.Fatal(err)
		}
		r, err := decodeGenIns(m.Payload)
		if err != nil || len(r.Response.Detail.List.Items) != 5 {
			b.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		f    func(*testing.B)
	}{
		{"verify+decode", func(b *testing.B) { read(b, true) }},
		{"decode", func(b *testing.B) { read(b, false) }},
		{"floor-sha256", func(*testing.B) { sha256.Sum256(doc) }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				tt.f(b)
			}
		})
	}
}
