package etee_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/cms"
)

// codes are the errors of a refusal, nil when there was none.
func codes(t testing.TB, err error) []etee.Code {
	t.Helper()
	if err == nil {
		return nil
	}
	r, ok := errors.AsType[*etee.Refusal](err)
	if !ok {
		t.Fatalf("not a refusal: %v", err)
	}
	return r.Report.Errors
}

// good is a message by the doctor for the hospital, signed a moment ago.
func good(t testing.TB) forge {
	t.Helper()
	return newForge(auth(t, "doctor"), encryption(t, "hospital").Certificate, time.Now())
}

func openAs(t testing.TB, p etee.Policy, sealed []byte, opts ...etee.OpenOption) (*etee.Message, error) {
	t.Helper()
	o, err := etee.NewOpener(ownKeys(t, "hospital"), ownTrust(t), p)
	check(t, err)
	return o.Open(sealed, opts...)
}

// TestStrictness: each check refuses by default (or when asked for) what is accepted without it.
func TestStrictness(t *testing.T) {
	kek := cms.ForKEK{ID: []byte("an identifier"), Key: kekBytes}
	other := cms.ForKEK{ID: []byte("another identifier"), Key: kekBytes}
	for _, c := range []struct {
		name string
		s    etee.Strictness
		f    forge
		opts []etee.OpenOption
		want etee.Code
	}{
		{"KEK identifier", etee.KEKIdentifier, good(t).with(func(f *forge) { f.envelope.Targets = []cms.Target{other} }), []etee.OpenOption{etee.WithKEK(ownKEK(t))}, etee.SecretKeyCannotDecrypt},
		{"two KEKs", etee.SingleKEK, good(t).with(func(f *forge) { f.envelope.Targets = []cms.Target{kek, other} }), []etee.OpenOption{etee.WithKEK(ownKEK(t))}, etee.EnvelopeStructureIncorrect},
		{"serial number alone", etee.ExactRecipient, good(t).with(func(f *forge) {
			c := *encryption(t, "hospital").Certificate
			c.RawIssuer = auth(t, "doctor").Certificate.RawIssuer
			f.envelope.Targets = []cms.Target{cms.ForCertificate{Certificate: &c}}
		}), nil, etee.DecryptionPrivateKeyNotFound},
		{"no signed attributes", etee.SignedAttributes, good(t).with(func(f *forge) { f.inner.NoAttributes, f.outer.NoAttributes = true, true }), nil, etee.OuterNotVerified},
		{"no signed attributes inside", etee.SignedAttributes, good(t).with(func(f *forge) { f.inner.NoAttributes = true }), nil, etee.InnerNotVerified},
		{"salt", etee.Salt32, good(t).with(func(f *forge) { f.outer.Signer = salted{f.outer.Signer} }).in(cms.DER).with(func(f *forge) {
			f.outer.NoProtection = true
			f.onOuter = surgery(t, func(n *node) { p := signerInfo(n).at(4, 1); p.kids[2].kids[0].body = []byte{20} })
		}), nil, etee.OuterSignatureAlgorithm},
		{"protected algorithm", etee.AlgorithmProtection, good(t).in(cms.DER).with(func(f *forge) {
			f.inner.Scheme, f.outer.Scheme, f.outer.BareRSA = cms.PKCS1v15WithSHA256, cms.PKCS1v15WithSHA256, true
			f.onOuter = surgery(t, func(n *node) { signerInfo(n).at(4, 0).body = []byte(cms.OIDSHA256WithRSA) })
		}), nil, etee.OuterNotVerified},
	} {
		sealed := c.f.build(t)
		if _, err := openAs(t, etee.Policy{Off: c.s}, sealed, c.opts...); err != nil {
			t.Errorf("%s: refused without the check: %v", c.name, codes(t, err))
		}
		if _, err := openAs(t, etee.Policy{Also: c.s}, sealed, c.opts...); !slices.Equal(codes(t, err), []etee.Code{c.want}) {
			t.Errorf("%s: %v", c.name, codes(t, err))
		}
		if _, err := openAs(t, etee.Policy{}, sealed, c.opts...); (err != nil) != (etee.Advised&c.s != 0) {
			t.Errorf("%s: by default %v", c.name, err)
		}
	}
}

var saltOf20 = &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256}

// salted signs with a salt of 20 bytes whatever it is asked for.
type salted struct{ crypto.Signer }

func (s salted) Sign(r io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return s.Signer.Sign(r, digest, saltOf20)
}

// TestVerifyFirst: with it the private key is not used when the outer layer is bad; without it the report tells of the inner
// layer too, and there is no content all the same.
func TestVerifyFirst(t *testing.T) {
	sealed := good(t).in(cms.DER).with(func(f *forge) {
		bad := surgery(t, flip(func(n *node) *node { i := signerInfo(n); return i.kids[len(i.kids)-1] }))
		f.onInner, f.onOuter = bad, bad
	}).build(t)
	for _, c := range []struct {
		p    etee.Policy
		uses int
		want []etee.Code
	}{
		{etee.Policy{}, 0, []etee.Code{etee.OuterSignatureMismatch}},
		{etee.Policy{Off: etee.VerifyFirst}, 1, []etee.Code{etee.OuterSignatureMismatch, etee.InnerSignatureMismatch}},
	} {
		k := &counting{Signer: encryption(t, "hospital").Signer}
		o, err := etee.NewOpener(only{Certificate: encryption(t, "hospital").Certificate, Signer: k}, ownTrust(t), c.p)
		check(t, err)
		msg, err := o.Open(sealed)
		if msg != nil || !slices.Equal(codes(t, err), c.want) || k.uses != c.uses {
			t.Errorf("%v: %v, private key used %d times", c.p.Name(), codes(t, err), k.uses)
		}
	}
}

// counting is a key that is not in memory as far as the code under test can see.
type counting struct {
	crypto.Signer
	uses int
}

func (c *counting) Decrypt(r io.Reader, msg []byte, o crypto.DecrypterOpts) ([]byte, error) {
	c.uses++
	return c.Signer.(crypto.Decrypter).Decrypt(r, msg, o)
}

func TestOpensWithAnyDecrypter(t *testing.T) {
	f := good(t)
	k := &counting{Signer: encryption(t, "hospital").Signer}
	o, err := etee.NewOpener(only{Certificate: encryption(t, "hospital").Certificate, Signer: k}, ownTrust(t), etee.Policy{})
	check(t, err)
	msg, err := o.Open(f.build(t))
	if check(t, err); !bytes.Equal(msg.Content, f.content) || k.uses != 1 || !msg.Report.Recipient.Equal(encryption(t, "hospital").Certificate) {
		t.Errorf("%v, used %d times", msg, k.uses)
	}
	// A key that can only sign opens nothing.
	o, err = etee.NewOpener(only{Certificate: encryption(t, "hospital").Certificate, Signer: signerOnly{k.Signer}}, ownTrust(t), etee.Policy{})
	check(t, err)
	if _, err := o.Open(f.build(t)); !errors.Is(err, etee.DecryptionPrivateKeyNotFound) {
		t.Error(err)
	}
}

type signerOnly struct{ s crypto.Signer }

func (s signerOnly) Public() crypto.PublicKey { return s.s.Public() }

func (s signerOnly) Sign(r io.Reader, d []byte, o crypto.SignerOpts) ([]byte, error) {
	return s.s.Sign(r, d, o)
}

// TestReceivedAt: the time of receipt decides about certificates instead of the claimed one (a time-mark).
func TestReceivedAt(t *testing.T) {
	m := own(t)
	backdated := m.read(t, "msg/backdated.cms")
	for _, c := range []struct {
		name     string
		received time.Time
		warnings []etee.Code
		errors   []etee.Code
	}{
		{"not known", time.Time{}, []etee.Code{etee.SigningTimeExpired}, nil},
		{"at the claimed time", vectorTime.Add(time.Minute), nil, nil},
		{"while the certificate was good", vectorTime.AddDate(0, 1, 0), []etee.Code{etee.SigningTimeExpired}, nil},
		{"after the certificate expired", issued.AddDate(0, 7, 0), []etee.Code{etee.SigningTimeExpired}, []etee.Code{etee.OuterCertificateExpired, etee.OuterChainNotTrusted}},
		{"before it was signed", vectorTime.Add(-time.Hour), []etee.Code{etee.SigningTimeExpired}, nil},
	} {
		msg, err := openAs(t, etee.Policy{}, backdated, etee.ReceivedAt(c.received))
		if !slices.Equal(codes(t, err), c.errors) {
			t.Errorf("%s: %v", c.name, codes(t, err))
		}
		if err == nil && !slices.Equal(msg.Report.Warnings, c.warnings) {
			t.Errorf("%s: %v", c.name, msg.Report)
		}
		if want := c.received; err == nil && !want.IsZero() && !msg.Report.ValidatedAt.Equal(want) {
			t.Errorf("%s: validated at %v", c.name, msg.Report.ValidatedAt)
		}
	}
	msg, err := openAs(t, etee.Policy{}, m.read(t, "msg/no-time.cms"), etee.ReceivedAt(vectorTime))
	if check(t, err); !msg.Report.ValidatedAt.Equal(vectorTime) || !slices.Equal(msg.Report.Warnings, []etee.Code{etee.SigningTimeMissing}) {
		t.Errorf("without signing time: %v, %v", msg.Report, msg.Report.ValidatedAt)
	}
}

// TestSigningTimeWindow runs on virtual time, which begins in the year 2000: certificates are looked at at the claimed time.
func TestSigningTimeWindow(t *testing.T) {
	sealed, trust, keys := own(t).read(t, "msg/one.cms"), ownTrust(t), ownKeys(t, "hospital")
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			p    etee.Policy
			age  time.Duration
			want []etee.Code
			ok   bool
		}{
			{etee.Policy{}, -5*time.Minute - time.Second, []etee.Code{etee.SigningTimeExpired}, true},
			{etee.Policy{}, -5 * time.Minute, nil, true},
			{etee.Policy{}, 10 * time.Minute, nil, true},
			{etee.Policy{}, 10*time.Minute + time.Second, []etee.Code{etee.SigningTimeExpired}, true},
			{etee.Policy{Window: time.Hour, Skew: time.Minute}, 61 * time.Minute, nil, true},
			{etee.Policy{Window: time.Hour, Skew: time.Minute}, 61*time.Minute + time.Second, []etee.Code{etee.SigningTimeExpired}, true},
			{etee.Policy{Window: -1}, 100 * time.Hour, nil, true},
			{etee.Policy{Refuse: []etee.Code{etee.SigningTimeExpired}}, 100 * time.Hour, nil, false},
		} {
			time.Sleep(time.Until(vectorTime.Add(c.age)))
			if now := time.Now(); now.After(vectorTime.Add(c.age)) {
				t.Fatal("the table is not in order of time")
			}
			o, err := etee.NewOpener(keys, trust, c.p)
			check(t, err)
			msg, err := o.Open(sealed)
			if (err == nil) != c.ok || c.ok && !slices.Equal(msg.Report.Warnings, c.want) {
				t.Errorf("%v: %v, %v", c.age, msg, err)
			}
		}
	})
}

func TestFrom(t *testing.T) {
	sealed := good(t).build(t)
	doctor, pharmacy := auth(t, "doctor").Certificate, auth(t, "pharmacy").Certificate
	for _, c := range []struct {
		list []*x509.Certificate
		want []etee.Code
	}{
		{[]*x509.Certificate{doctor}, nil},
		{[]*x509.Certificate{pharmacy, doctor}, nil},
		{[]*x509.Certificate{pharmacy}, []etee.Code{etee.OuterNotExpectedSigner}},
		{nil, []etee.Code{etee.OuterNotExpectedSigner}},
	} {
		if _, err := openAs(t, etee.Policy{}, sealed, etee.From(c.list...)); !slices.Equal(codes(t, err), c.want) {
			t.Errorf("%d signers: %v", len(c.list), codes(t, err))
		}
	}
}

func TestProfiles(t *testing.T) {
	pkcs1 := good(t).with(func(f *forge) { f.inner.Scheme, f.outer.Scheme = cms.PKCS1v15WithSHA256, cms.PKCS1v15WithSHA256 }).build(t)
	pss := good(t).build(t)
	for _, c := range []struct {
		profiles []etee.Profile
		pss      []etee.Code
		pkcs1    []etee.Code
	}{
		{nil, nil, nil},
		{[]etee.Profile{etee.EHealthCertificate}, nil, []etee.Code{etee.OuterSignatureAlgorithm}},
		{[]etee.Profile{etee.EID}, []etee.Code{etee.OuterSignatureAlgorithm}, nil},
	} {
		_, err := openAs(t, etee.Policy{Profiles: c.profiles}, pss)
		_, err1 := openAs(t, etee.Policy{Profiles: c.profiles}, pkcs1)
		if !slices.Equal(codes(t, err), c.pss) || !slices.Equal(codes(t, err1), c.pkcs1) {
			t.Errorf("%v: %v, %v", c.profiles, codes(t, err), codes(t, err1))
		}
	}
}

// TestSignedAttributesAsContent: a signature over attributes must not pass as a signature over a content that is those
// attributes. Only the layer without signed attributes is open to it.
func TestSignedAttributesAsContent(t *testing.T) {
	attributes := []byte{0x31, 0x10, 0x30, 0x0e, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04, 0x31, 0x01, 0x00}
	attributes = append([]byte{0x31, byte(len(attributes) - 2)}, attributes[2:]...)
	f := good(t).with(func(f *forge) { f.content, f.inner.NoAttributes = attributes, true })
	if _, err := openAs(t, etee.Policy{}, f.build(t)); !slices.Equal(codes(t, err), []etee.Code{etee.InnerNotVerified}) {
		t.Errorf("%v", codes(t, err))
	}
	f.inner.NoAttributes = false
	if msg, err := openAs(t, etee.Policy{}, f.build(t)); err != nil || !bytes.Equal(msg.Content, attributes) {
		t.Errorf("with signed attributes it is a content like any other: %v", err)
	}
}

func TestOpenInPlace(t *testing.T) {
	f := good(t).with(func(f *forge) { f.content = bytes.Repeat([]byte("0123456789"), 1000) })
	o, err := etee.NewOpener(ownKeys(t, "hospital"), ownTrust(t), etee.Policy{})
	check(t, err)
	buf := f.build(t)
	msg, err := o.OpenInPlace(buf)
	if check(t, err); !bytes.Equal(msg.Content, f.content) || &msg.Content[0] == &buf[0] && cap(msg.Content) != len(msg.Content) {
		t.Error("another content")
	}
	bad := f.build(t)
	bad[len(bad)-20] ^= 1
	if _, err := o.OpenInPlace(bad); err == nil || bytes.ContainsFunc(bad, func(r rune) bool { return r != 0 }) {
		t.Errorf("refused, but something is left: %v", err)
	}
	if _, err := o.Open(make([]byte, etee.MaxSealed+1)); !errors.Is(err, etee.OuterStructureIncorrect) {
		t.Errorf("too long: %v", err)
	}
}

func TestOpenerNeedsTrust(t *testing.T) {
	if _, err := etee.NewOpener(ownKeys(t, "hospital"), etee.Trust{}, etee.Policy{}); !errors.Is(err, etee.ErrTrust) {
		t.Error(err)
	}
	if _, err := token(t, "doctor").Check(etee.Trust{}, etee.Policy{}, time.Now()); !errors.Is(err, etee.ErrTrust) {
		t.Error(err)
	}
	o, err := etee.NewOpener(nil, ownTrust(t), etee.Policy{})
	check(t, err)
	if _, err := o.Open(good(t).build(t)); !errors.Is(err, etee.DecryptionPrivateKeyNotFound) {
		t.Errorf("without keys: %v", err)
	}
	if _, err := o.Open(good(t).build(t), etee.WithKEK(etee.KEK{})); !errors.Is(err, etee.NoKEKRecipients) {
		t.Errorf("no KEK in either: %v", err)
	}
}

// TestNothingPersonalPrinted prints everything with every verb.
func TestNothingPersonalPrinted(t *testing.T) {
	msg, err := openAs(t, etee.Policy{}, good(t).build(t))
	check(t, err)
	_, refusal := openAs(t, etee.Policy{}, own(t).read(t, "msg/neg-untrusted.cms"))
	sender, err := msg.Report.Sender()
	check(t, err)
	if sender.Reveal() != "70010100188" {
		t.Errorf("sender %s", sender.Reveal())
	}
	printed, err := json.Marshal(msg.Report)
	check(t, err)
	text := string(printed)
	for _, v := range []any{msg, msg.Report, refusal, refusal.(*etee.Refusal).Report, ownKEK(t), recipient(t, "doctor"), token(t, "doctor"), etee.ForKEK(ownKEK(t)), struct{ a any }{ownKEK(t)}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text += fmt.Sprintf(verb, v) + "\n"
		}
		var b bytes.Buffer
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
		text += b.String()
	}
	for _, secret := range []string{"70010100188", "ALICE", "letter", "sixteen", "SSIN=", "an identifier", "TESTZ"} {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("%q is printed", secret)
		}
	}
	if !errors.Is(refusal, fault.ErrSecurity) || errors.Is(refusal, fault.ErrDenied) || strings.Contains(refusal.Error(), "TRUST") {
		t.Errorf("refusal: %v", refusal)
	}
	if f := (&fault.Error{Kind: fault.Security, Err: refusal}); !strings.Contains(f.Error(), "etee: refused") {
		t.Errorf("inside a fault: %v", f)
	}
}

func TestPolicyNames(t *testing.T) {
	for _, text := range []string{
		"non-repudiation", "without-non-repudiation", "without-non-repudiation,-salt-32,+exact-recipient",
		"non-repudiation,-verify-first,-salt-32,-algorithm-protection,-kek-identifier,-single-kek,-ra-signature,+signed-attributes",
	} {
		p, err := etee.ParsePolicy(text)
		if err != nil || p.Name() != text {
			t.Errorf("%s: %s, %v", text, p.Name(), err)
		}
	}
	if p, err := etee.ParsePolicy("non-repudiation,-salt-32,+salt-32"); err != nil || p.Name() != "non-repudiation" {
		t.Errorf("the last switch counts: %s, %v", p.Name(), err)
	}
	for _, text := range []string{"", "repudiation", "non-repudiation,salt-32", "non-repudiation,-salt", "non-repudiation,", "non-repudiation, -salt-32"} {
		if _, err := etee.ParsePolicy(text); !errors.Is(err, etee.ErrPolicy) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if id := ownKEK(t).ID(); string(id) != "an identifier" || (etee.KEK{}).ID() != nil {
		t.Errorf("identifier %q", id)
	}
	if got := etee.Advised.String(); got != "verify-first,salt-32,algorithm-protection,kek-identifier,single-kek,ra-signature" {
		t.Errorf("advised: %s", got)
	}
}

// TestCertificateWithMore: an element after the signature of a certificate is signed by nobody, and package x509 does not
// mind it. Found by TestMutated.
func TestCertificateWithMore(t *testing.T) {
	more := func(n *node) { n.kids = append(n.kids, n.kids[1]) }
	sealed := good(t).in(cms.DER).with(func(f *forge) {
		f.outer.Include = f.outer.Include[:1]
		f.onOuter = surgery(t, func(n *node) { more(n.at(1, 0, 3, 0)) })
	}).build(t)
	if _, err := openAs(t, etee.Policy{}, sealed); !errors.Is(err, etee.OuterCertificatesBroken) {
		t.Errorf("message: %v", codes(t, err))
	}
	doctor := auth(t, "doctor")
	certificate := mustTree(t, token(t, "doctor").Encryption().Raw)
	more(certificate)
	_, err := etee.ParseETK(signed(t, certificate.der(), cms.SignOptions{
		Certificate: doctor.Certificate, Signer: doctor.Signer, Include: []*x509.Certificate{doctor.Certificate, auth(t, "pharmacy").Certificate},
	}))
	if !errors.Is(err, etee.ErrETK) {
		t.Errorf("token: %v", err)
	}
}

// TestHugeKeys: a message or a token with a key of its own making, 200 000 bits long, costs no time.
func TestHugeKeys(t *testing.T) {
	huge := *auth(t, "doctor").Certificate
	n := new(big.Int).Lsh(big.NewInt(1), 200_000)
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 1<<31 - 1})
	check(t, err)
	tree := mustTree(t, huge.Raw)
	for _, k := range tree.at(0).kids {
		if k.tag == 0x30 && len(k.kids) == 2 && k.kids[1].tag == 0x03 {
			*k = *mustTree(t, der)
		}
	}
	huge.Raw = tree.der()
	if _, err := x509.ParseCertificate(huge.Raw); err != nil {
		t.Fatal(err)
	}
	sealed := good(t).with(func(f *forge) { f.outer.Include = []*x509.Certificate{&huge} }).build(t)
	doctor := auth(t, "doctor")
	tok := signed(t, token(t, "doctor").Encryption().Raw, cms.SignOptions{
		Certificate: doctor.Certificate, Signer: doctor.Signer, Include: []*x509.Certificate{&huge, auth(t, "pharmacy").Certificate},
	})
	start := time.Now()
	for range 8 { // each verification with such a key would take a fair part of a second
		if _, err := openAs(t, etee.Policy{}, sealed); !errors.Is(err, etee.OuterSignatureMismatch) {
			t.Errorf("message: %v", codes(t, err))
		}
		k, err := etee.ParseETK(tok)
		check(t, err)
		if _, err := k.Check(ownTrust(t), etee.Policy{}, time.Now()); err == nil {
			t.Error("token accepted")
		}
	}
	// One verification with such a key takes seconds, sixteen take minutes: no busy machine blurs that.
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}
