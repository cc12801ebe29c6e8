package wsse_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// request is a payload of about size bytes, of the texture of a GenIns request.
func request(tb testing.TB, size int) []byte {
	tb.Helper()
	w := xmltree.NewWriter()
	w.Start("g", "GetInsurabilityAsXmlOrFlatRequest")
	w.NS("g", "urn:be:fgov:ehealth:genericinsurability:protocol:v1")
	for w.Len() < size {
		w.Start("", "Record")
		w.Attr("", "Type", "A&B")
		w.Leaf("", "Inss", "00000000000")
		w.Leaf("", "Period", "2026-01-01 to 2026-01-02, caf\u00e9")
		w.End()
	}
	w.End()
	b, err := w.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// BenchmarkSign builds, signs and serialises a message around a payload of 5 kB, and states the time as a multiple of its floor, one
// RSA-2048 signature, measured alternately in the same run. Bound: 1.20.
func BenchmarkSign(b *testing.B) {
	body := request(b, 5000)
	key := rsaID().key.(*rsa.PrivateKey)
	cred := wsse.Credential{Certificate: rsaID().cred.Certificate, Signer: key}
	tok := []byte(assertion(rsaID()))
	hash := sha256.Sum256(body)
	for name, build := range map[string]func() ([]byte, error){
		"X509":        func() ([]byte, error) { return wsse.X509(body, cred, wsse.Stamp{Now: now}) },
		"HolderOfKey": func() ([]byte, error) { return wsse.HolderOfKey(body, tok, assertionID, cred, wsse.Stamp{Now: now}) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var ours, floor time.Duration
			for b.Loop() {
				t0 := time.Now()
				if _, err := build(); err != nil {
					b.Fatal(err)
				}
				t1 := time.Now()
				if _, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:]); err != nil {
					b.Fatal(err)
				}
				ours += t1.Sub(t0)
				floor += time.Since(t1)
			}
			b.ReportMetric(float64(ours)/float64(floor), "x-floor")
			b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "us/message")
		})
	}
}

// BenchmarkVerify parses and verifies messages.
func BenchmarkVerify(b *testing.B) {
	for name, size := range map[string]int{"2kB": 2_000, "50kB": 50_000, "1MB": 1_000_000} {
		doc, err := wsse.HolderOfKey(request(b, size), []byte(assertion(rsaID())), assertionID, rsaID().cred, wsse.Stamp{Now: now})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				root, err := xmltree.Parse(bytes.Clone(doc), xmltree.Limits{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := wsse.Verify(root, wsse.Policy{Now: now}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
