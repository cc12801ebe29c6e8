package ehealth_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// BenchmarkCheck is one question from the public door to the sandbox and back: HTTP, TLS on a connection that stays
// open, our signature, the sandbox's checks of signature and token. It states the time as a multiple of one RSA-2048
// signature, measured alternately in the same run. The parts have benchmarks of their own: signing in internal/wsse,
// verifying and decoding in insurability, parsing and canonicalising in internal/c14n.
func BenchmarkCheck(b *testing.B) {
	platform, err := sandbox.New(sandbox.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer platform.Close()
	cfg, err := doctor(platform)
	if err != nil {
		b.Fatal(err)
	}
	p, err := ehealth.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Tokens.Token(b.Context()); err != nil { // the login is not measured
		b.Fatal(err)
	}
	key, err := platform.Person(identity.Doctor, 0).Authentication()
	if err != nil {
		b.Fatal(err)
	}
	q := insurability.Query{Patient: platform.Patient(sandbox.Insured).SSIN}
	digest := sha256.Sum256([]byte("floor"))
	var ours, floor time.Duration
	b.ReportAllocs()
	for b.Loop() {
		t0 := time.Now()
		if _, err := p.Insurability.Check(b.Context(), q); err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		if _, err := key.Key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
		ours, floor = ours+t1.Sub(t0), floor+time.Since(t1)
	}
	b.ReportMetric(float64(ours)/float64(floor), "x-signature")
	b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "us/question")
}
