package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
	"testing"
	"time"
)

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

var sha256RSA = Algorithm{OIDSHA256WithRSA, derNull}

// signAttributes makes a signer information whose signature over the attributes is good, whatever they say.
func signAttributes(t testing.TB, signature Algorithm, attributes ...[]byte) *SignerInfo {
	t.Helper()
	set := der(tagSet, attributes...)
	sum := sha256.Sum256(set)
	value, err := rsa.SignPKCS1v15(nil, testKey(), crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	i := &SignerInfo{
		Digest: Algorithm{OIDSHA256, derNull}, Signature: signature, Value: value, HasSigned: true,
		signedBytes: content(set), contentType: OIDData,
	}
	if i.Signed, err = newReader(set, Limits{}.withDefaults()).attributes(tagSet, Limits{}.withDefaults()); err != nil {
		t.Fatal(err)
	}
	return i
}

func attribute(o OID, values ...[]byte) []byte {
	return der(tagSequence, derOID(o), der(tagSet, values...))
}

func TestSignedAttributes(t *testing.T) {
	sum := sha256.Sum256([]byte("content"))
	kind := attribute(OIDContentType, derOID(OIDData))
	digest := attribute(OIDMessageDigest, der(tagOctetString, sum[:]))
	protect := func(d, s Algorithm) []byte {
		return attribute(OIDAlgorithmProtection, der(tagSequence, d.der(), der(context1|constructed, derOID(s.OID), s.Parameters)))
	}
	sha := Algorithm{OIDSHA256, derNull}
	for _, c := range []struct {
		name       string
		attributes [][]byte
		err        error
	}{
		{"what must be", [][]byte{kind, digest}, nil},
		{"digest in segments", [][]byte{kind, attribute(OIDMessageDigest, der(0x24, der(tagOctetString, sum[:9]), der(tagOctetString, sum[9:])))}, nil},
		{"protected", [][]byte{kind, digest, protect(sha, sha256RSA)}, nil},
		{"protected, parameters absent instead of NULL", [][]byte{kind, digest, protect(Algorithm{OID: OIDSHA256}, Algorithm{OID: OIDSHA256WithRSA})}, nil},
		{"unknown attribute", [][]byte{kind, digest, attribute(OIDMGF1, derInt(1), derInt(2))}, nil},
		{"content type missing", [][]byte{digest}, ErrAttributes},
		{"content type of another content", [][]byte{attribute(OIDContentType, derOID(OIDEnvelopedData)), digest}, ErrAttributes},
		{"content type no identifier", [][]byte{attribute(OIDContentType, derInt(1)), digest}, ErrAttributes},
		{"content type twice", [][]byte{kind, kind, digest}, ErrAttributes},
		{"content type without value", [][]byte{attribute(OIDContentType), digest}, ErrAttributes},
		{"digest missing", [][]byte{kind}, ErrAttributes},
		{"digest twice", [][]byte{kind, digest, digest}, ErrAttributes},
		{"digest with two values", [][]byte{kind, attribute(OIDMessageDigest, der(tagOctetString, sum[:]), der(tagOctetString, sum[:]))}, ErrAttributes},
		{"digest no string", [][]byte{kind, attribute(OIDMessageDigest, derInt(1))}, ErrAttributes},
		{"digest too short", [][]byte{kind, attribute(OIDMessageDigest, der(tagOctetString, sum[:31]))}, ErrDigest},
		{"other digest", [][]byte{kind, attribute(OIDMessageDigest, der(tagOctetString, make([]byte, 32)))}, ErrDigest},
		{"other digest algorithm protected", [][]byte{kind, digest, protect(Algorithm{OIDSHA512, derNull}, sha256RSA)}, ErrProtection},
		{"other signature algorithm protected", [][]byte{kind, digest, protect(sha, Algorithm{OIDRSAEncryption, derNull})}, ErrProtection},
		{"protection malformed", [][]byte{kind, digest, attribute(OIDAlgorithmProtection, derInt(1))}, ErrAttributes},
		{"protected twice", [][]byte{kind, digest, protect(sha, sha256RSA), protect(sha, sha256RSA)}, ErrAttributes},
	} {
		i := signAttributes(t, sha256RSA, c.attributes...)
		o := VerifyOptions{Accept: []Scheme{PKCS1v15WithSHA256}}
		if err := i.Verify(sum[:], &testKey().PublicKey, o); !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		o.IgnoreProtection = true
		if err := i.Verify(sum[:], &testKey().PublicKey, o); c.err == ErrProtection && err != nil {
			t.Errorf("%s, ignored: %v", c.name, err)
		}
	}
}

func TestSigningTime(t *testing.T) {
	for _, c := range []struct {
		name  string
		value []byte
		want  time.Time
		ok    bool
	}{
		{"UTCTime", der(tagUTCTime, []byte("260304050607Z")), time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), true},
		{"2049", der(tagUTCTime, []byte("491231235959Z")), time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC), true},
		{"1950", der(tagUTCTime, []byte("500101000000Z")), time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), true},
		{"1969", der(tagUTCTime, []byte("690101000000Z")), time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC), true},
		{"GeneralizedTime", der(tagGenTime, []byte("20500101000000Z")), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), true},
		{"no seconds", der(tagUTCTime, []byte("2603040506Z")), time.Time{}, false},
		{"zone", der(tagUTCTime, []byte("260304050607+0100")), time.Time{}, false},
		{"month 13", der(tagUTCTime, []byte("261304050607Z")), time.Time{}, false},
		{"not a time", derInt(1), time.Time{}, false},
		{"two values", append(der(tagUTCTime, []byte("260304050607Z")), der(tagUTCTime, []byte("260304050607Z"))...), time.Time{}, false},
	} {
		i := signAttributes(t, sha256RSA, attribute(OIDSigningTime, c.value))
		at, ok, err := i.SigningTime()
		if ok != c.ok || !at.Equal(c.want) || (err == nil) != c.ok || err != nil && !errors.Is(err, ErrAttributes) {
			t.Errorf("%s: %v, %v, %v", c.name, at, ok, err)
		}
	}
	if _, ok, err := signAttributes(t, sha256RSA).SigningTime(); ok || err != nil {
		t.Errorf("absent: %v, %v", ok, err)
	}
}

func TestScheme(t *testing.T) {
	pss := func(parts ...[]byte) Algorithm { return Algorithm{OIDRSAPSS, der(tagSequence, parts...)} }
	params := paddingParameters(crypto.SHA256, crypto.SHA256)
	salt := func(n int) []byte { return der(context2|constructed, derInt(n)) }
	trailer := func(n int) []byte { return der(context3|constructed, derInt(n)) }
	for _, c := range []struct {
		name      string
		digest    OID
		signature Algorithm
		want      Scheme
		salt      int
		bad       bool
	}{
		{"PSS", OIDSHA256, pss(params, salt(32)), PSSWithSHA256, 32, false},
		{"PSS, trailer written out", OIDSHA256, pss(params, salt(32), trailer(1)), PSSWithSHA256, 32, false},
		{"PSS, salt by default", OIDSHA256, pss(params), PSSWithSHA256, 20, false},
		{"PSS, all by default", OIDSHA1, pss(), Scheme{PSS, crypto.SHA1}, 20, false},
		{"PSS, SHA-512", OIDSHA512, pss(paddingParameters(crypto.SHA512, crypto.SHA512), salt(64)), Scheme{PSS, crypto.SHA512}, 64, false},
		{"PSS of another digest", OIDSHA512, pss(params, salt(32)), Scheme{}, 0, true},
		{"PSS, mask with SHA-1", OIDSHA256, pss(paddingParameters(crypto.SHA256, crypto.SHA1), salt(32)), Scheme{}, 0, true},
		{"PSS, other trailer", OIDSHA256, pss(params, salt(32), trailer(2)), Scheme{}, 0, true},
		{"PSS, more", OIDSHA256, pss(params, salt(32), trailer(1), derNull), Scheme{}, 0, true},
		{"PSS without parameters", OIDSHA256, Algorithm{OID: OIDRSAPSS}, Scheme{}, 0, true},
		{"PSS with unknown digest", OIDSHA256, pss(der(context0|constructed, Algorithm{OIDMGF1, derNull}.der())), Scheme{}, 0, true},
		{"PSS with unknown mask", OIDSHA256, pss(der(context1|constructed, Algorithm{OIDSHA256, derNull}.der())), Scheme{}, 0, true},
		{"PKCS #1", OIDSHA256, sha256RSA, PKCS1v15WithSHA256, -1, false},
		{"PKCS #1 without NULL", OIDSHA256, Algorithm{OID: OIDSHA256WithRSA}, PKCS1v15WithSHA256, -1, false},
		{"rsaEncryption", OIDSHA384, Algorithm{OIDRSAEncryption, derNull}, Scheme{PKCS1v15, crypto.SHA384}, -1, false},
		{"SHA-1", OIDSHA1, Algorithm{OIDSHA1WithRSA, derNull}, Scheme{PKCS1v15, crypto.SHA1}, -1, false},
		{"PKCS #1 of another digest", OIDSHA512, sha256RSA, Scheme{}, 0, true},
		{"PKCS #1 with parameters", OIDSHA256, Algorithm{OIDSHA256WithRSA, derInt(1)}, Scheme{}, 0, true},
		{"unknown", OIDSHA256, Algorithm{OIDMGF1, nil}, Scheme{0, crypto.SHA256}, -1, false},
		{"unknown digest", OIDMGF1, Algorithm{OIDRSAEncryption, derNull}, Scheme{PKCS1v15, 0}, -1, false},
	} {
		i := &SignerInfo{Digest: Algorithm{c.digest, derNull}, Signature: c.signature}
		got, n, err := i.Scheme()
		if (err != nil) != c.bad || err != nil && !errors.Is(err, ErrAlgorithm) || !c.bad && (got != c.want || n != c.salt) {
			t.Errorf("%s: %v, salt %d, %v", c.name, got, n, err)
		}
		// Whatever it is, it is not accepted where only the usual is.
		err = i.Verify(make([]byte, 32), &testKey().PublicKey, VerifyOptions{Accept: []Scheme{{}, {PSS, 0}}})
		if !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: accepted as nothing: %v", c.name, err)
		}
	}
}

func TestLooksLikeAttributes(t *testing.T) {
	digest := attribute(OIDMessageDigest, der(tagOctetString, make([]byte, 32)))
	for _, c := range []struct {
		in   []byte
		want bool
	}{
		{der(tagSet, digest), true},
		{der(tagSet, attribute(OIDContentType, derOID(OIDData)), digest), true},
		{der(tagSet, attribute(OIDContentType, derOID(OIDData))), false},
		{der(tagSequence, digest), false},
		{append(der(tagSet, digest), 0), false},
		{nil, false},
		{[]byte("1 apple"), false},
	} {
		if LooksLikeAttributes(c.in) != c.want {
			t.Errorf("%x", c.in)
		}
	}
}

// token is a key in a card: it knows no session keys, as crypto11, and refuses that option before it looks at the ciphertext.
type token struct {
	key  *rsa.PrivateKey
	asks int
}

func (k *token) Public() crypto.PublicKey { return &k.key.PublicKey }

func (k *token) Decrypt(_ io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	k.asks++
	//lint:ignore SA1019 as in keytrans.go
	if o, ok := opts.(*rsa.PKCS1v15DecryptOptions); ok && o.SessionKeyLen != 0 {
		return nil, errors.New("unsupported option")
	}
	return k.key.Decrypt(rand.Reader, msg, opts)
}

// TestUnwrapTellsNothing: a wrong padding, a wrong length inside and a ciphertext for somebody else all give a key of the
// right length and no error, from keys in memory and in cards.
func TestUnwrapTellsNothing(t *testing.T) {
	key := testKey()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	want := []byte("sixteen bytes !!")
	encrypt := func(pub *rsa.PublicKey, b []byte) []byte {
		//lint:ignore SA1019 as in envelope.go
		c, err := rsa.EncryptPKCS1v15(rand.Reader, pub, b)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	oaep, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, want, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := encrypt(&key.PublicKey, want)
	broken := bytes.Clone(good)
	broken[100] ^= 1
	v15 := Algorithm{OIDRSAEncryption, derNull}
	withOAEP := Algorithm{OIDRSAOAEP, der(tagSequence, paddingParameters(crypto.SHA256, crypto.SHA256))}
	for _, d := range []crypto.Decrypter{key, &token{key: key}} {
		for _, c := range []struct {
			name      string
			algorithm Algorithm
			key       []byte
			good      bool
		}{
			{"good", v15, good, true},
			{"padding", v15, broken, false},
			{"too short inside", v15, encrypt(&key.PublicKey, want[:15]), false},
			{"too long inside", v15, encrypt(&key.PublicKey, append(want[:16:16], 0)), false},
			{"nothing inside", v15, encrypt(&key.PublicKey, nil), false},
			{"for another", v15, encrypt(&other.PublicKey, want), false},
			{"OAEP as PKCS #1", v15, oaep, false},
			{"not as long as the modulus", v15, good[:255], false},
			{"above the modulus", v15, bytes.Repeat([]byte{0xff}, 256), false},
			{"zero", v15, make([]byte, 256), false},
			{"good OAEP", withOAEP, oaep, true},
			{"broken OAEP", withOAEP, broken, false},
		} {
			k := &KeyTransRecipient{Algorithm: c.algorithm, Key: c.key}
			first, err1 := k.Unwrap(d, 16)
			second, err2 := k.Unwrap(d, 16)
			if err1 != nil || err2 != nil || len(first) != 16 || len(second) != 16 {
				t.Fatalf("%T, %s: %v, %v", d, c.name, err1, err2)
			}
			if c.good != bytes.Equal(first, want) || !c.good && bytes.Equal(first, second) {
				t.Errorf("%T, %s: %x, then %x", d, c.name, first, second)
			}
		}
	}
	for _, k := range []KeyTransRecipient{
		{Algorithm: Algorithm{OIDRSAEncryption, derInt(1)}, Key: good},
		{Algorithm: Algorithm{OIDRSAOAEP, nil}, Key: good},
		{Algorithm: Algorithm{OIDAES128CBC, nil}, Key: good},
	} {
		if _, err := k.Unwrap(key, 16); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%v: %v", k.Algorithm.OID, err)
		}
	}
}

// TestKEKIdentifier: what else RFC 5652 section 6.2.3 allows in it is stepped over.
func TestKEKIdentifier(t *testing.T) {
	id := der(tagOctetString, []byte("id"))
	date := der(tagGenTime, []byte("20260304050607Z"))
	for _, c := range []struct {
		in   []byte
		want string
		err  error
	}{
		{der(tagSequence, id), "id", nil},
		{der(tagSequence, id, date), "id", nil},
		{der(tagSequence, id, date, der(tagSequence, derOID(OIDData), derNull)), "id", nil},
		{der(tagSequence), "", ErrSyntax},
		{der(tagSequence, date), "", ErrSyntax},
		{der(tagSequence, der(tagOctetString, make([]byte, 1025))), "", ErrLimit},
	} {
		got, err := newReader(c.in, Limits{}.withDefaults()).kekID()
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%x: %q, %v", c.in, got, err)
		}
	}
}

// TestDecryptTellsNothing: what is wrong with a ciphertext gives one error.
func TestDecryptTellsNothing(t *testing.T) {
	key := make([]byte, 16)
	e := func(ciphertext []byte) *EnvelopedData {
		return &EnvelopedData{
			Algorithm:  Algorithm{OIDAES128CBC, der(tagOctetString, make([]byte, 16))},
			Ciphertext: Octets{b: ciphertext, n: len(ciphertext), whole: true},
		}
	}
	for _, c := range [][]byte{nil, make([]byte, 15), make([]byte, 16), make([]byte, 33), bytes.Repeat([]byte{1}, 64)} {
		if got, err := e(c).Decrypt(key); err != ErrDecrypt || got != nil {
			t.Errorf("%d bytes: %v", len(c), err)
		}
	}
	if _, err := e(make([]byte, 16)).Decrypt(key[:15]); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("short key: %v", err)
	}
	bad := e(make([]byte, 16))
	bad.Algorithm.Parameters = der(tagOctetString, make([]byte, 15))
	if _, err := bad.Decrypt(key); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("short vector: %v", err)
	}
}
