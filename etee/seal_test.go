package etee_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/keystore"
)

func sealer(t testing.TB, opts ...etee.SealerOption) *etee.Sealer {
	t.Helper()
	s, err := etee.NewSealer(auth(t, "doctor"), opts...)
	check(t, err)
	return s
}

func TestSealAndOpen(t *testing.T) {
	strict := etee.Policy{NonRepudiation: true, Also: etee.ExactRecipient | etee.SignedAttributes, Refuse: []etee.Code{etee.SigningTimeExpired, etee.SigningTimeMissing}}
	for name, s := range map[string]*etee.Sealer{
		"BER": sealer(t), "DER": sealer(t, etee.InDER()), "EID profile": sealer(t, etee.WithProfile(etee.EID)),
		"inner certificates": sealer(t, etee.ContentSigner(auth(t, "doctor"))),
	} {
		for _, content := range contents {
			sealed, err := s.Seal(content, recipient(t, "pharmacy"), recipient(t, "hospital"), etee.ForKEK(ownKEK(t)))
			check(t, err)
			for _, opts := range [][]etee.OpenOption{nil, {etee.WithKEK(ownKEK(t))}} {
				msg, err := openAs(t, strict, sealed, opts...)
				if err != nil {
					t.Fatalf("%s: %v", name, codes(t, err))
				}
				if !bytes.Equal(msg.Content, content) || !msg.Report.Authentication.Equal(auth(t, "doctor").Certificate) || msg.Report.Warnings != nil {
					t.Errorf("%s: %v", name, msg)
				}
			}
			if limit := len(content) + len(content)/80 + 6<<10; len(sealed) > limit {
				t.Errorf("%s: %d bytes sealed are %d", name, len(content), len(sealed))
			}
		}
	}
}

// TestLooksLikeTheOfficialOne compares the structure of our message, element by element, with the one that the official
// library made: same tags, same forms of length, same segmentation, in all layers.
func TestLooksLikeTheOfficialOne(t *testing.T) {
	m := sharedManifest(t)
	var theirs []byte
	for _, v := range m.Messages {
		if v.File == "msg/known-big.der" {
			theirs = m.read(t, v.File)
		}
	}
	doctor, err := m.store(t, "keystores/doctor.p12").Authentication()
	check(t, err)
	hospital := m.store(t, "keystores/hospital.p12")
	s, err := etee.NewSealer(doctor)
	check(t, err)
	ours, err := s.Seal(make([]byte, 70_001), etee.ForCertificate(hospital.Encryption()[0].Certificate))
	check(t, err)
	for layer := range 3 {
		// The one difference: they add empty unsigned attributes, A1 00, which RFC 5652 forbids and readers need not mind.
		want := bytes.ReplaceAll(skeleton(theirs), []byte("a1+."), []byte("."))
		if got := skeleton(ours); !bytes.Equal(got, want) {
			t.Fatalf("layer %d:\n%s\nwant\n%s", layer, got, want)
		}
		ours, theirs = peel(t, ours, hospital), peel(t, theirs, hospital)
	}
}

// skeleton writes the tags of a BER message, "*" after an indefinite length and the length of segments.
func skeleton(b []byte) []byte {
	var out []byte
	const hex = "0123456789abcdef"
	for depth := 0; len(b) > 2; {
		tag, length := b[0], int(b[1])
		b = b[2:]
		if tag == 0 {
			depth--
			out = append(out, '.')
			continue
		}
		out = append(out, hex[tag>>4], hex[tag&15])
		if length == 0x80 {
			depth++
			out = append(out, '*')
			continue
		}
		if length > 0x80 {
			n := length & 0x7f
			length = 0
			for _, c := range b[:n] {
				length = length<<8 | int(c)
			}
			b = b[n:]
		}
		if tag == 0x04 && length == 1000 {
			out = append(out, '1')
		}
		if tag&0x20 != 0 {
			out = append(out, '+')
			continue
		}
		b = b[min(length, len(b)):]
	}
	return out
}

// peel returns what is inside a layer.
func peel(t testing.TB, b []byte, keys *keystore.Store) []byte {
	t.Helper()
	if s, err := cms.ParseSignedData(b, cms.Limits{}); err == nil {
		return s.Content.Bytes()
	}
	e, err := cms.ParseEnvelopedData(b, cms.Limits{})
	check(t, err)
	c, ok := keys.EncryptionBySerial(e.Recipients[0].KeyTrans.ID.Serial)
	if !ok {
		t.Fatal("recipient")
	}
	key, err := e.Recipients[0].KeyTrans.Unwrap(decrypter(t, c), 16)
	check(t, err)
	plain, err := e.Decrypt(key)
	check(t, err)
	return plain
}

func TestSealForIdentityCard(t *testing.T) {
	store := ownKeys(t, "eid")
	a, err := store.Authentication()
	check(t, err)
	if _, err := etee.NewSealer(a, etee.ContentSigner(auth(t, "doctor"))); !errors.Is(err, etee.ErrSigner) {
		t.Errorf("two parties: %v", err)
	}
	s, err := etee.NewSealer(a)
	check(t, err)
	sealed, err := s.Seal([]byte("x"), recipient(t, "hospital"))
	check(t, err)
	msg, err := openAs(t, etee.Policy{}, sealed)
	check(t, err)
	if msg.Report.Profile != etee.EID {
		t.Errorf("profile %v", msg.Report.Profile)
	}
	if _, err := openAs(t, etee.Policy{NonRepudiation: true}, sealed); !errors.Is(err, etee.InnerKeyUsage) {
		t.Errorf("the authentication key cannot sign with non-repudiation: %v", err)
	}
	// With the card's other key inside it can.
	s, err = etee.NewSealer(a, etee.ContentSigner(cardSignature(t)))
	check(t, err)
	sealed, err = s.Seal([]byte("x"), recipient(t, "hospital"))
	check(t, err)
	msg, err = openAs(t, etee.Policy{NonRepudiation: true}, sealed)
	check(t, err)
	if !msg.Report.Authentication.Equal(a.Certificate) || !msg.Report.Signature.Equal(cardSignature(t).Certificate) {
		t.Error("signers swapped")
	}
}

// cardSignature is the other key of the card.
func cardSignature(t testing.TB) keystore.Credential {
	t.Helper()
	m := own(t)
	s, err := keystore.Load(m.read(t, "keystores/eid-signature.p12"), m.Password)
	check(t, err)
	c, err := s.Authentication()
	check(t, err)
	return c
}

func TestSealerRefuses(t *testing.T) {
	doctor, hospital := auth(t, "doctor"), encryption(t, "hospital")
	swapped := doctor
	swapped.Signer = hospital.Signer
	cannotSign := hospital
	for name, c := range map[string]keystore.Credential{
		"nothing": {}, "no signer": {Certificate: doctor.Certificate}, "another key": swapped, "key usage": cannotSign,
	} {
		if _, err := etee.NewSealer(c); !errors.Is(err, etee.ErrSigner) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := etee.NewSealer(doctor, etee.WithProfile(7)); !errors.Is(err, etee.ErrPolicy) {
		t.Errorf("profile: %v", err)
	}
	s := sealer(t)
	expired := *hospital.Certificate
	expired.NotAfter = time.Now().Add(-time.Second)
	future := *hospital.Certificate
	future.NotBefore = time.Now().Add(time.Hour)
	usage := *hospital.Certificate
	usage.KeyUsage = x509.KeyUsageKeyEncipherment
	long, err := etee.NewKEK(nil, make([]byte, 32))
	check(t, err)
	for _, c := range []struct {
		name string
		to   []etee.Recipient
		want error
	}{
		{"nobody", nil, etee.ErrNoRecipient},
		{"the zero recipient", []etee.Recipient{{}}, etee.ErrNoRecipient},
		{"no certificate", []etee.Recipient{etee.ForCertificate(nil)}, etee.ErrKEK},
		{"expired", []etee.Recipient{recipient(t, "hospital"), etee.ForCertificate(&expired)}, etee.ErrRecipient},
		{"not yet valid", []etee.Recipient{etee.ForCertificate(&future)}, etee.ErrRecipient},
		{"key usage", []etee.Recipient{etee.ForCertificate(&usage)}, etee.ErrRecipient},
		{"short key", []etee.Recipient{etee.ForCertificate(token(t, "weak").Encryption())}, etee.ErrRecipient},
		{"KEK of 256 bits", []etee.Recipient{etee.ForKEK(long)}, etee.ErrKEK},
		{"no KEK", []etee.Recipient{etee.ForKEK(etee.KEK{})}, etee.ErrKEK},
		{"two KEKs", []etee.Recipient{etee.ForKEK(ownKEK(t)), etee.ForKEK(ownKEK(t))}, etee.ErrKEK},
	} {
		if got, err := s.Seal([]byte("x"), c.to...); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, n := range []int{0, 15, 17, 33} {
		if _, err := etee.NewKEK(nil, make([]byte, n)); !errors.Is(err, etee.ErrKEK) {
			t.Errorf("KEK of %d bytes: %v", n, err)
		}
	}
	if err := sealer(t, etee.InDER()).SealTo(io.Discard, bytes.NewReader(nil), recipient(t, "hospital")); !errors.Is(err, etee.ErrPolicy) {
		t.Errorf("DER stream: %v", err)
	}
}

func TestSealerRefusesExpiredSigner(t *testing.T) {
	s, to := sealer(t), recipient(t, "hospital")
	synctest.Test(t, func(t *testing.T) { // in the year 2000
		if _, err := s.Seal([]byte("x"), to); !errors.Is(err, etee.ErrSigner) {
			t.Errorf("before the certificate: %v", err)
		}
		time.Sleep(time.Until(issued.AddDate(31, 0, 0)))
		if _, err := s.Seal([]byte("x"), to); !errors.Is(err, etee.ErrSigner) {
			t.Errorf("after the certificate: %v", err)
		}
	})
}

var errCard = errors.New("card taken out")

// brokenCard fails at its n-th signature.
type brokenCard struct {
	crypto.Signer
	n *int
}

func (b brokenCard) Sign(r io.Reader, d []byte, o crypto.SignerOpts) ([]byte, error) {
	if *b.n--; *b.n <= 0 {
		return nil, errCard
	}
	return b.Signer.Sign(r, d, o)
}

func TestSealReportsCardAndStreams(t *testing.T) {
	for n := 1; n <= 2; n++ {
		c, left := auth(t, "doctor"), n
		c.Signer = brokenCard{c.Signer, &left}
		s, err := etee.NewSealer(c)
		check(t, err)
		if _, err := s.Seal([]byte("x"), recipient(t, "hospital")); !errors.Is(err, errCard) {
			t.Errorf("signature %d: %v", n, err)
		}
	}
	s := sealer(t)
	if err := s.SealTo(io.Discard, iotest.ErrReader(errCard), recipient(t, "hospital")); !errors.Is(err, errCard) {
		t.Errorf("reader: %v", err)
	}
	var out bytes.Buffer
	check(t, s.SealTo(&out, iotest.HalfReader(bytes.NewReader(contents[4])), recipient(t, "hospital")))
	msg, err := openAs(t, etee.Policy{}, out.Bytes())
	if check(t, err); !bytes.Equal(msg.Content, contents[4]) {
		t.Error("another content")
	}
}

func TestRecipientsCountOnce(t *testing.T) {
	to := recipient(t, "hospital")
	sealed, err := sealer(t).Seal([]byte("x"), to, recipient(t, "pharmacy"), to, recipient(t, "hospital"))
	check(t, err)
	e, err := cms.ParseEnvelopedData(peel(t, sealed, nil), cms.Limits{})
	if check(t, err); len(e.Recipients) != 2 {
		t.Errorf("%d recipients", len(e.Recipients))
	}
}

// TestMemory: sealing from a stream holds a fixed amount, and opening in place nothing beyond the message.
func TestMemory(t *testing.T) {
	const size = 10 << 20
	s, to := sealer(t), recipient(t, "hospital")
	var sealed bytes.Buffer
	sealed.Grow(size + size/64)
	took := allocated(func() { check(t, s.SealTo(&sealed, io.LimitReader(zeros{}, size), to)) })
	if took > 1<<20 {
		t.Errorf("SealTo allocated %d bytes", took)
	}
	o, err := etee.NewOpener(ownKeys(t, "hospital"), ownTrust(t), etee.Policy{})
	check(t, err)
	took = allocated(func() {
		msg, err := o.Open(sealed.Bytes())
		if check(t, err); len(msg.Content) != size {
			t.Errorf("%d bytes", len(msg.Content))
		}
	})
	if limit := uint64(sealed.Len() + 1<<20); took > limit {
		t.Errorf("Open allocated %d bytes for %d", took, sealed.Len())
	}
	took = allocated(func() {
		_, err := o.OpenInPlace(sealed.Bytes())
		check(t, err)
	})
	if took > 1<<20 {
		t.Errorf("OpenInPlace allocated %d bytes", took)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
