package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// party is a self-signed certificate with its key, made once per test binary.
type party struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

func newParty(name string, serial int64) party {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name, Country: []string{"BE"}},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(20, 0, 0),
		SubjectKeyId: []byte("key of " + name),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return party{key, cert}
}

var (
	alice = sync.OnceValue(func() party { return newParty("Alice", 1000) })
	bob   = sync.OnceValue(func() party { return newParty("Bob", 0x80) })
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sign(t testing.TB, content []byte, o cms.SignOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := cms.NewSignedWriter(&out, int64(len(content)), o)
	check(t, err)
	feed(t, w, content)
	check(t, w.Close())
	return out.Bytes()
}

func envelop(t testing.TB, content []byte, o cms.EnvelopeOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := cms.NewEnvelopedWriter(&out, int64(len(content)), o)
	check(t, err)
	feed(t, w, content)
	check(t, w.Close())
	return out.Bytes()
}

// feed writes in pieces of growing odd lengths, so that the boundaries of pieces, blocks and segments cross.
func feed(t testing.TB, w interface{ Write([]byte) (int, error) }, content []byte) {
	t.Helper()
	for n := 1; len(content) > 0; n = n*3 + 1 {
		n = min(n, len(content))
		_, err := w.Write(content[:n])
		check(t, err)
		content = content[n:]
	}
}

// text returns n bytes that repeat at no segment length.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// sizes stand around the lengths of blocks, segments, batches and length octets.
var sizes = []int{0, 1, 15, 16, 17, 127, 128, 999, 1000, 1001, 2000, 31_999, 32_000, 32_001, 32_767, 32_768, 65_535, 65_536, 100_003}

func TestSignedRoundTrip(t *testing.T) {
	p := alice()
	base := cms.SignOptions{Certificate: p.cert, Signer: p.key, SigningTime: now, Include: []*x509.Certificate{p.cert, bob().cert}}
	with := func(f func(*cms.SignOptions)) cms.SignOptions {
		o := base
		f(&o)
		return o
	}
	options := map[string]cms.SignOptions{
		"pss":           base,
		"pss sha-512":   with(func(o *cms.SignOptions) { o.Scheme = cms.Scheme{Padding: cms.PSS, Hash: crypto.SHA512} }),
		"pss sha-384":   with(func(o *cms.SignOptions) { o.Scheme = cms.Scheme{Padding: cms.PSS, Hash: crypto.SHA384} }),
		"pkcs1":         with(func(o *cms.SignOptions) { o.Scheme = cms.PKCS1v15WithSHA256 }),
		"pkcs1 sha-384": with(func(o *cms.SignOptions) { o.Scheme = cms.Scheme{Padding: cms.PKCS1v15, Hash: crypto.SHA384} }),
		"pkcs1 sha-512": with(func(o *cms.SignOptions) { o.Scheme = cms.Scheme{Padding: cms.PKCS1v15, Hash: crypto.SHA512} }),
		"bare rsa":      with(func(o *cms.SignOptions) { o.Scheme, o.BareRSA = cms.PKCS1v15WithSHA256, true }),
		"by key id":     with(func(o *cms.SignOptions) { o.ByKeyID = true }),
		"no attributes": with(func(o *cms.SignOptions) { o.NoAttributes, o.SigningTime = true, time.Time{} }),
		"no protection": with(func(o *cms.SignOptions) { o.NoProtection = true }),
		"no time":       with(func(o *cms.SignOptions) { o.SigningTime = time.Time{} }),
		"far future":    with(func(o *cms.SignOptions) { o.SigningTime = time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"past":          with(func(o *cms.SignOptions) { o.SigningTime = time.Date(1951, 1, 1, 0, 0, 0, 0, time.UTC) }),
	}
	for name, o := range options {
		for _, enc := range []cms.Encoding{cms.BER, cms.DER} {
			t.Run(fmt.Sprintf("%s/%d", name, enc), func(t *testing.T) {
				o.Encoding = enc
				for _, n := range sizes {
					if n > 100 && name != "pss" {
						continue
					}
					msg := sign(t, text(n), o)
					checkSigned(t, msg, text(n), o)
					size, err := cms.SignedSize(int64(n), o)
					check(t, err)
					if enc == cms.DER && size != int64(len(msg)) {
						t.Fatalf("announced %d bytes, wrote %d", size, len(msg))
					}
				}
			})
		}
	}
}

func checkSigned(t *testing.T, msg, content []byte, o cms.SignOptions) {
	t.Helper()
	s, err := cms.ParseSignedData(msg, cms.Limits{})
	check(t, err)
	if s.Detached || len(s.Signers) != 1 || s.ContentType != cms.OIDData || !bytes.Equal(s.Content.Bytes(), content) {
		t.Fatalf("%d bytes: structure lost", len(content))
	}
	i := &s.Signers[0]
	cert, all, bad := s.Signer(i)
	if cert == nil || !cert.Equal(o.Certificate) || len(all) != 2 || bad != 0 {
		t.Fatalf("signer not found among %d", len(all))
	}
	at, ok, err := i.SigningTime()
	if check(t, err); ok == o.SigningTime.IsZero() || !at.Equal(o.SigningTime) && ok {
		t.Errorf("signing time %v", at)
	}
	scheme, salt, err := i.Scheme()
	check(t, err)
	if want := o.Scheme; want != (cms.Scheme{}) && scheme != want {
		t.Errorf("scheme %v", scheme)
	}
	v := cms.VerifyOptions{Accept: []cms.Scheme{scheme}}
	if scheme.Padding == cms.PSS {
		if salt != scheme.Hash.Size() {
			t.Errorf("salt %d", salt)
		}
		v.Salt = salt
	}
	digest := s.Content.Digest(scheme.Hash)
	check(t, i.Verify(digest, cert.PublicKey, v))
	if err := i.Verify(digest, &bob().key.PublicKey, v); !errors.Is(err, cms.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	other := bytes.Clone(digest)
	other[0] ^= 1
	want := cms.ErrDigest
	if o.NoAttributes {
		want = cms.ErrSignature
	}
	if err := i.Verify(other, cert.PublicKey, v); !errors.Is(err, want) {
		t.Errorf("another content: %v", err)
	}
	if err := i.Verify(digest, cert.PublicKey, cms.VerifyOptions{}); !errors.Is(err, cms.ErrAlgorithm) {
		t.Errorf("nothing accepted: %v", err)
	}
	v.Salt = 20
	if err := i.Verify(digest, cert.PublicKey, v); scheme.Padding == cms.PSS && !errors.Is(err, cms.ErrAlgorithm) {
		t.Errorf("another salt: %v", err)
	}
	// Last, since it moves the bytes.
	if !bytes.Equal(s.Content.Compact(), content) {
		t.Error("Compact gives something else than Bytes")
	}
}

func TestEnvelopedRoundTrip(t *testing.T) {
	a, b := alice(), bob()
	kek := func(n int) cms.ForKEK { return cms.ForKEK{ID: []byte("id"), Key: text(n)} }
	for _, c := range []struct {
		name    string
		version int
		o       cms.EnvelopeOptions
	}{
		{"one", 0, cms.EnvelopeOptions{Targets: []cms.Target{cms.ForCertificate{Certificate: b.cert}}}},
		{"two", 0, cms.EnvelopeOptions{Targets: []cms.Target{cms.ForCertificate{Certificate: a.cert}, cms.ForCertificate{Certificate: b.cert}}}},
		{"by key id", 2, cms.EnvelopeOptions{Targets: []cms.Target{cms.ForCertificate{Certificate: b.cert, ByKeyID: true}}}},
		{"oaep", 0, cms.EnvelopeOptions{Cipher: cms.AES256CBC, Targets: []cms.Target{cms.ForCertificate{Certificate: b.cert, Padding: cms.OAEP}}}},
		{"oaep java", 0, cms.EnvelopeOptions{Cipher: cms.AES192CBC, Targets: []cms.Target{cms.ForCertificate{Certificate: b.cert, Padding: cms.OAEP, MGFHash: crypto.SHA1}}}},
		{"oaep sha-1", 0, cms.EnvelopeOptions{Targets: []cms.Target{cms.ForCertificate{Certificate: b.cert, Padding: cms.OAEP, Hash: crypto.SHA1}}}},
		{"oaep sha-512", 0, cms.EnvelopeOptions{Targets: []cms.Target{cms.ForCertificate{Certificate: b.cert, Padding: cms.OAEP, Hash: crypto.SHA512, MGFHash: crypto.SHA256}}}},
		{"kek 128", 2, cms.EnvelopeOptions{Targets: []cms.Target{kek(16)}}},
		{"kek 192", 2, cms.EnvelopeOptions{Targets: []cms.Target{kek(24)}}},
		{"kek 256", 2, cms.EnvelopeOptions{Cipher: cms.AES256CBC, Targets: []cms.Target{kek(32)}}},
		{"mixed", 2, cms.EnvelopeOptions{Targets: []cms.Target{kek(16), cms.ForCertificate{Certificate: b.cert}}}},
	} {
		for _, enc := range []cms.Encoding{cms.BER, cms.DER} {
			t.Run(fmt.Sprintf("%s/%d", c.name, enc), func(t *testing.T) {
				c.o.Encoding = enc
				for _, n := range sizes {
					if n > 100 && c.name != "one" {
						continue
					}
					msg := envelop(t, text(n), c.o)
					e, err := cms.ParseEnvelopedData(msg, cms.Limits{})
					check(t, err)
					if e.Version != c.version || len(e.Recipients) != len(c.o.Targets) {
						t.Fatalf("version %d, %d recipients", e.Version, len(e.Recipients))
					}
					for _, r := range e.Recipients {
						got, err := e.Decrypt(unwrap(t, e, r))
						if check(t, err); !bytes.Equal(got, text(n)) {
							t.Fatalf("%d bytes: other plaintext", n)
						}
					}
					size, err := cms.EnvelopedSize(int64(n), c.o)
					check(t, err)
					if enc == cms.DER && size != int64(len(msg)) {
						t.Fatalf("announced %d bytes, wrote %d", size, len(msg))
					}
				}
			})
		}
	}
}

func unwrap(t testing.TB, e *cms.EnvelopedData, r cms.RecipientInfo) []byte {
	t.Helper()
	if r.KEK != nil {
		if string(r.KEK.ID) != "id" {
			t.Errorf("key identifier %q", r.KEK.ID)
		}
		key, err := r.KEK.Unwrap(text(r.KEK.KeySize()))
		check(t, err)
		return key
	}
	p := alice()
	if !r.KeyTrans.ID.Matches(p.cert) {
		p = bob()
	}
	if !r.KeyTrans.ID.Matches(p.cert) {
		t.Fatal("recipient of nobody")
	}
	key, err := r.KeyTrans.Unwrap(p.key, e.Cipher().KeySize())
	check(t, err)
	return key
}

func TestWritersReportTheWriterBelow(t *testing.T) {
	p := alice()
	o := cms.SignOptions{Certificate: p.cert, Signer: p.key}
	for _, room := range []int64{0, 10, 40_000} {
		_, err := cms.NewSignedWriter(failing{}, 0, o)
		if err == nil {
			t.Fatal("head written to a broken writer")
		}
		limited := &short{room: room + 200}
		w, err := cms.NewSignedWriter(limited, 0, o)
		check(t, err)
		env, err := cms.NewEnvelopedWriter(w, 0, cms.EnvelopeOptions{Targets: []cms.Target{cms.ForCertificate{Certificate: p.cert}}})
		if err == nil {
			if _, err = env.Write(text(200_000)); err == nil {
				err = env.Close()
			}
		}
		if err == nil {
			err = w.Close()
		}
		if !errors.Is(err, errFull) {
			t.Errorf("room for %d: %v", room, err)
		}
	}
}

var errFull = errors.New("disk full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

type short struct{ room int64 }

func (s *short) Write(p []byte) (int, error) {
	if s.room -= int64(len(p)); s.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWrongSizeInDER(t *testing.T) {
	p := alice()
	so := cms.SignOptions{Encoding: cms.DER, Certificate: p.cert, Signer: p.key}
	eo := cms.EnvelopeOptions{Encoding: cms.DER, Targets: []cms.Target{cms.ForCertificate{Certificate: p.cert}}}
	for _, n := range []int{4, 6} {
		s, err := cms.NewSignedWriter(new(bytes.Buffer), 5, so)
		check(t, err)
		_, werr := s.Write(text(n))
		if werr == nil {
			werr = s.Close()
		}
		e, err := cms.NewEnvelopedWriter(new(bytes.Buffer), 5, eo)
		check(t, err)
		_, eerr := e.Write(text(n))
		if eerr == nil {
			eerr = e.Close()
		}
		if werr == nil || eerr == nil {
			t.Errorf("%d bytes instead of 5: %v, %v", n, werr, eerr)
		}
	}
}

func certs(list ...party) (out []*x509.Certificate) {
	for _, p := range list {
		out = append(out, p.cert)
	}
	return out
}

func isLimit(err error) bool { return errors.Is(err, cms.ErrLimit) }

func isType(err error) bool { return errors.Is(err, cms.ErrContentType) }
