package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/cms"
)

// vectors are the messages that package etee keeps.
func vectors(t testing.TB) (out [][]byte) {
	t.Helper()
	for _, pattern := range []string{"msg/*.cms", "etk/*.etk"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "etee", "testdata", "vectors", filepath.FromSlash(pattern)))
		check(t, err)
		for _, f := range files {
			b, err := os.ReadFile(f)
			check(t, err)
			out = append(out, b)
		}
	}
	if len(out) == 0 {
		t.Fatal("no vectors")
	}
	return out
}

// FuzzParse: no input makes the parsers panic or give something that does not hang together, and a message that was read
// and is written again in DER reads the same.
func FuzzParse(f *testing.F) {
	for _, b := range vectors(f) {
		f.Add(b)
		if s, err := cms.ParseSignedData(b, cms.Limits{}); err == nil {
			f.Add(s.Content.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := cms.ParseSignedData(in, cms.Limits{}); err == nil {
			content := s.Content.Bytes()
			if len(content) != s.Content.Len() || len(content) > len(in) {
				t.Fatalf("%d octets, %d announced", len(content), s.Content.Len())
			}
			for i := range s.Signers {
				signer := &s.Signers[i]
				s.Signer(signer)
				scheme, _, _ := signer.Scheme()
				_, _, _ = signer.SigningTime()
				if err := signer.Verify(s.Content.Digest(scheme.Hash), &alice().key.PublicKey, cms.VerifyOptions{Accept: []cms.Scheme{scheme}}); err == nil {
					t.Fatal("signed by a key that has signed nothing")
				}
			}
			if s, err = cms.ParseSignedData(bytes.Clone(in), cms.Limits{}); err != nil || !bytes.Equal(s.Content.Compact(), content) {
				t.Fatalf("compact gives something else: %v", err)
			}
		}
		if e, err := cms.ParseEnvelopedData(in, cms.Limits{}); err == nil {
			for _, r := range e.Recipients {
				if r.KeyTrans != nil {
					r.KeyTrans.Padding()
				}
				if r.KEK != nil {
					_, _ = r.KEK.Unwrap(make([]byte, 16))
				}
			}
			_, first := e.Decrypt(make([]byte, 16))
			again, err := cms.ParseEnvelopedData(bytes.Clone(in), cms.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if _, second := again.DecryptInPlace(make([]byte, 16)); (first == nil) != (second == nil) {
				t.Fatalf("%v, in place %v", first, second)
			}
		}
	})
}

// TestLimits: each limit is kept, and a message just within it is read.
func TestLimits(t *testing.T) {
	p := alice()
	msg := sign(t, text(5000), cms.SignOptions{Certificate: p.cert, Signer: p.key, SigningTime: now, Include: certs(p, bob())})
	env := envelop(t, text(5000), cms.EnvelopeOptions{Targets: []cms.Target{cms.ForCertificate{Certificate: p.cert}, cms.ForCertificate{Certificate: bob().cert}}})
	for _, c := range []struct {
		name      string
		good, bad cms.Limits
	}{
		{"bytes", cms.Limits{Bytes: max(len(msg), len(env))}, cms.Limits{Bytes: min(len(msg), len(env)) - 1}},
		{"depth", cms.Limits{Depth: 8}, cms.Limits{Depth: 4}},
		{"elements", cms.Limits{Elements: 80}, cms.Limits{Elements: 20}},
	} {
		if _, err := cms.ParseSignedData(msg, c.good); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := cms.ParseEnvelopedData(env, c.good); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		_, serr := cms.ParseSignedData(msg, c.bad)
		_, eerr := cms.ParseEnvelopedData(env, c.bad)
		if !isLimit(serr) || !isLimit(eerr) {
			t.Errorf("%s: %v, %v", c.name, serr, eerr)
		}
	}
	for name, l := range map[string]cms.Limits{"certificates": {Certificates: 1}, "attributes": {Attributes: 3}} {
		if _, err := cms.ParseSignedData(msg, l); !isLimit(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	large := *p.cert
	large.Raw = append([]byte{0x30, 0x82, 0x80, 0x00}, make([]byte, 32<<10)...)
	if _, err := cms.ParseSignedData(sign(t, nil, cms.SignOptions{Certificate: p.cert, Signer: p.key, Include: []*x509.Certificate{&large}}), cms.Limits{}); !isLimit(err) {
		t.Errorf("large certificate: %v", err)
	}
	if _, err := cms.ParseSignedData(msg, cms.Limits{Certificates: 2, Attributes: 4, Signers: 1}); err != nil {
		t.Error(err)
	}
	if _, err := cms.ParseEnvelopedData(env, cms.Limits{Recipients: 1}); !isLimit(err) {
		t.Errorf("recipients: %v", err)
	}
	if _, err := cms.ParseSignedData(env, cms.Limits{}); !isType(err) {
		t.Errorf("EnvelopedData as SignedData: %v", err)
	}
	if _, err := cms.ParseEnvelopedData(msg, cms.Limits{}); !isType(err) {
		t.Errorf("SignedData as EnvelopedData: %v", err)
	}
}

// TestCutOff: no beginning of a message is a message, and bytes after it are refused.
func TestCutOff(t *testing.T) {
	p := alice()
	msg := sign(t, text(1100), cms.SignOptions{Certificate: p.cert, Signer: p.key})
	env := envelop(t, text(1100), cms.EnvelopeOptions{Targets: []cms.Target{cms.ForCertificate{Certificate: p.cert}}})
	for n := range msg {
		if _, err := cms.ParseSignedData(msg[:n], cms.Limits{}); err == nil {
			t.Fatalf("%d of %d bytes", n, len(msg))
		}
	}
	for n := range env {
		if _, err := cms.ParseEnvelopedData(env[:n], cms.Limits{}); err == nil {
			t.Fatalf("%d of %d bytes", n, len(env))
		}
	}
	if _, err := cms.ParseSignedData(append(msg, 0), cms.Limits{}); err == nil {
		t.Error("trailing byte")
	}
}

// TestReadWithoutCopy: reading and verifying a message takes hardly any memory beyond the message.
func TestReadWithoutCopy(t *testing.T) {
	p := alice()
	content := text(4 << 20)
	msg := sign(t, content, cms.SignOptions{Certificate: p.cert, Signer: p.key, Include: certs(p)})
	took := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, err := cms.ParseSignedData(msg, cms.Limits{})
			check(b, err)
			check(b, s.Signers[0].Verify(s.Content.Digest(crypto.SHA256), p.cert.PublicKey, cms.VerifyOptions{Accept: []cms.Scheme{cms.PSSWithSHA256}}))
		}
	}).AllocedBytesPerOp()
	if took > 64<<10 {
		t.Errorf("%d bytes allocated to read %d", took, len(msg))
	}
}
