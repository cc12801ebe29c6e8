package etee_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"io"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
)

// measure runs ours and the floor alternately and states how long ours takes and its ratio to the floor.
func measure(b *testing.B, ours, floor func()) {
	b.ReportAllocs()
	var o, f time.Duration
	for b.Loop() {
		t0 := time.Now()
		ours()
		t1 := time.Now()
		floor()
		o, f = o+t1.Sub(t0), f+time.Since(t1)
	}
	b.ReportMetric(float64(o.Nanoseconds())/float64(b.N), "ours-ns/op")
	b.ReportMetric(float64(f.Nanoseconds())/float64(b.N), "floor-ns/op")
	b.ReportMetric(float64(o)/float64(f), "ours/floor")
}

// BenchmarkSeal10K seals 10 kB for one recipient. Its floor is two RSA-2048 PSS signatures and one RSA public operation.
// Bound: 1.15.
func BenchmarkSeal10K(b *testing.B) {
	s, to := sealer(b), recipient(b, "hospital")
	content := make([]byte, 10_000)
	key := auth(b, "doctor").Signer.(*rsa.PrivateKey)
	digest := sha256.Sum256(content)
	m := content[:16]
	measure(b, func() {
		_, err := s.Seal(content, to)
		check(b, err)
	}, func() {
		for range 2 {
			_, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
			check(b, err)
		}
		//lint:ignore SA1019 the operation that is measured
		_, err := rsa.EncryptPKCS1v15(rand.Reader, to.Certificate().PublicKey.(*rsa.PublicKey), m)
		check(b, err)
	})
}

// instant signs in no time, so that what is left is what stands around a signature.
type instant struct{ crypto.Signer }

func (i instant) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, i.Public().(*rsa.PublicKey).Size()), nil
}

// BenchmarkSealAround seals 4 kB for a KEK, as the content of a prescription is, without its two signatures.
func BenchmarkSealAround(b *testing.B) {
	credential := auth(b, "doctor")
	credential.Signer = instant{credential.Signer}
	s, err := etee.NewSealer(credential)
	check(b, err)
	kek, err := etee.NewKEK([]byte("id"), make([]byte, 16))
	check(b, err)
	to, content := etee.ForKEK(kek), make([]byte, 4000)
	b.ReportAllocs()
	for b.Loop() {
		_, err := s.Seal(content, to)
		check(b, err)
	}
}

// BenchmarkOpen10K opens what BenchmarkSeal10K seals. Its floor is one RSA-2048 private operation and the verifications: two
// PSS signatures, and the two certificates of the chain. Bound: 1.2.
func BenchmarkOpen10K(b *testing.B) {
	s, to := sealer(b), recipient(b, "hospital")
	sealed, err := s.Seal(make([]byte, 10_000), to)
	check(b, err)
	o, err := etee.NewOpener(ownKeys(b, "hospital"), ownTrust(b), etee.Policy{})
	check(b, err)
	key := encryption(b, "hospital").Signer.(*rsa.PrivateKey)
	//lint:ignore SA1019 the operation that is measured
	wrapped, err := rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, make([]byte, 16))
	check(b, err)
	digest := sha256.Sum256(nil)
	signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
	check(b, err)
	plain, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	check(b, err)
	session := make([]byte, 16)
	measure(b, func() {
		_, err := o.Open(sealed)
		check(b, err)
	}, func() {
		//lint:ignore SA1019 the operation that is measured
		check(b, rsa.DecryptPKCS1v15SessionKey(rand.Reader, key, wrapped, session))
		for range 2 {
			check(b, rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: 32}))
			check(b, rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], plain))
		}
	})
}

// BenchmarkSeal10M seals 10 MB from a stream and hashes the result, as eHealthBox wants it. Its floor are the passes that
// this must make, back to back: three times SHA-256 and once AES-128-CBC. Bound: 1/0.6.
func BenchmarkSeal10M(b *testing.B) {
	const size = 10_000_000
	s, to := sealer(b), recipient(b, "hospital")
	buf := make([]byte, size)
	b.SetBytes(size)
	measure(b, func() {
		digest := sha256.New()
		check(b, s.SealTo(digest, io.LimitReader(zeros{}, size), to))
		digest.Sum(nil)
	}, func() { passes(b, buf, 3, cipher.NewCBCEncrypter) })
}

// BenchmarkOpen10M opens such a message. Its floor are two passes of SHA-256 and one of AES-128-CBC.
func BenchmarkOpen10M(b *testing.B) {
	const size = 10_000_000
	sealed, err := sealer(b).Seal(make([]byte, size), recipient(b, "hospital"))
	check(b, err)
	o, err := etee.NewOpener(ownKeys(b, "hospital"), ownTrust(b), etee.Policy{})
	check(b, err)
	buf := make([]byte, size)
	b.SetBytes(size)
	measure(b, func() {
		_, err := o.Open(sealed)
		check(b, err)
	}, func() { passes(b, buf, 2, cipher.NewCBCDecrypter) })
}

func passes(b *testing.B, buf []byte, hashes int, mode func(cipher.Block, []byte) cipher.BlockMode) {
	b.Helper()
	for range hashes {
		sha256.Sum256(buf)
	}
	block, err := aes.NewCipher(make([]byte, 16))
	check(b, err)
	mode(block, make([]byte, 16)).CryptBlocks(buf, buf)
}

// BenchmarkETK reads and checks a token: five certificates and signatures.
func BenchmarkETK(b *testing.B) {
	text, trust, now := own(b).read(b, "etk/hospital.etk.b64"), ownTrust(b), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		k, err := etee.ParseETKBase64(text)
		check(b, err)
		_, err = k.Check(trust, etee.Policy{}, now)
		check(b, err)
	}
}
