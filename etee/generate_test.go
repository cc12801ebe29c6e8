package etee_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/internal/p12"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// issued is when all certificates of the vectors begin; they last thirty years unless a vector is about that.
var issued = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// mint makes keys, certificates, key stores, ETKs and messages and writes them into testdata/vectors.
type mint struct {
	testing.TB
	serial                   int64
	keys                     map[string]*rsa.PrivateKey
	root, ca, ra, otherRoot  *x509.Certificate
	messages                 []map[string]any
	etks                     []map[string]any
	doctor, hospital, nobody keystore.Credential
}

func generate(t testing.TB) {
	check(t, os.RemoveAll(ownVectors))
	m := &mint{TB: t, keys: map[string]*rsa.PrivateKey{}}
	m.authorities()
	m.parties()
	m.tokens()
	m.accepted()
	m.badSignatures()
	m.badCertificates()
	m.badStructures()
	m.badEncryption()
	b, err := json.MarshalIndent(map[string]any{
		"password": "ehealth-test", "trust": "pki/root.pem", "messages": m.messages, "etks": m.etks,
	}, "", " ")
	check(t, err)
	m.write("manifest.json", append(b, '\n'))
}

func (m *mint) write(name string, b []byte) {
	path := filepath.Join(ownVectors, filepath.FromSlash(name))
	check(m, os.MkdirAll(filepath.Dir(path), 0o755))
	check(m, os.WriteFile(path, b, 0o644))
}

func (m *mint) key(name string, bits int) *rsa.PrivateKey {
	if m.keys[name] == nil {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		check(m, err)
		m.keys[name] = k
	}
	return m.keys[name]
}

// spec is a certificate to issue.
type spec struct {
	subject          pkix.RDNSequence
	key              *rsa.PrivateKey
	usage            x509.KeyUsage
	ca               bool
	notBefore, until time.Time
	keyID            []byte
}

func (m *mint) issue(s spec, parent *x509.Certificate, parentKey *rsa.PrivateKey) *x509.Certificate {
	m.serial++
	raw, err := asn1.Marshal(s.subject)
	check(m, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1_000_000 + m.serial), RawSubject: raw, KeyUsage: s.usage, NotBefore: s.notBefore,
		NotAfter: s.until, IsCA: s.ca, BasicConstraintsValid: s.ca, SubjectKeyId: s.keyID,
	}
	if s.notBefore.IsZero() {
		tmpl.NotBefore = issued
	}
	if s.until.IsZero() {
		tmpl.NotAfter = issued.AddDate(30, 0, 0)
	}
	if parent == nil {
		parent, parentKey = tmpl, s.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &s.key.PublicKey, parentKey)
	check(m, err)
	c, err := x509.ParseCertificate(der)
	check(m, err)
	return c
}

// name makes a subject of attributes C, O, OU, CN and SERIALNUMBER, in the order given.
func name(parts ...string) (seq pkix.RDNSequence) {
	types := map[string]asn1.ObjectIdentifier{
		"C": {2, 5, 4, 6}, "O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "CN": {2, 5, 4, 3}, "SERIALNUMBER": {2, 5, 4, 5},
	}
	for _, p := range parts {
		kind, value, _ := strings.Cut(p, "=")
		seq = append(seq, pkix.RelativeDistinguishedNameSET{{Type: types[kind], Value: value}})
	}
	return seq
}

func subject(number, owner string) pkix.RDNSequence {
	return name("C=BE", "O=Federal Government", "OU="+number, "OU="+owner, "OU=eHealth-platform Belgium", "CN="+number)
}

const (
	usageAuth    = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment
	usageEncrypt = x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment
)

func (m *mint) authorities() {
	m.root = m.issue(spec{subject: name("C=BE", "CN=Invented root"), key: m.key("root", 2048), ca: true, usage: x509.KeyUsageCertSign}, nil, nil)
	m.otherRoot = m.issue(spec{subject: name("C=BE", "CN=Another root"), key: m.key("other", 2048), ca: true, usage: x509.KeyUsageCertSign}, nil, nil)
	m.ca = m.issue(spec{subject: name("C=BE", "CN=Invented issuing CA"), key: m.key("ca", 2048), ca: true, usage: x509.KeyUsageCertSign}, m.root, m.key("root", 0))
	m.ra = m.issue(spec{subject: name("C=BE", "CN=ETK-RA"), key: m.key("ra", 2048), usage: x509.KeyUsageDigitalSignature}, m.ca, m.key("ca", 0))
	m.write("pki/root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.root.Raw}))
}

// authentication issues a certificate to sign with.
func (m *mint) authentication(s spec) keystore.Credential {
	if s.usage == 0 {
		s.usage = usageAuth
	}
	c := m.issue(s, m.ca, m.key("ca", 0))
	return keystore.Credential{Alias: "authentication", Certificate: c, Chain: []*x509.Certificate{m.ca}, Signer: s.key}
}

// encryption issues a certificate to encrypt with, by the authentication key, as eHealth has it.
func (m *mint) encryption(auth keystore.Credential, s spec) keystore.Credential {
	if s.usage == 0 {
		s.usage = usageEncrypt
	}
	parent := *auth.Certificate
	parent.PublicKey = auth.Signer.Public() // else a forged certificate could not be made
	c := m.issue(s, &parent, auth.Signer.(*rsa.PrivateKey))
	return keystore.Credential{
		Alias: c.SerialNumber.String(), Certificate: c, Chain: []*x509.Certificate{auth.Certificate, m.ca}, Signer: s.key,
	}
}

func (m *mint) store(file string, list ...keystore.Credential) {
	entries := make([]p12.Entry, len(list))
	for i, c := range list {
		entries[i] = p12.Entry{Alias: c.Alias, Key: c.Signer, Certificate: c.Certificate, Chain: c.Chain}
	}
	b, err := p12.Encode(entries, "ehealth-test", p12.Iterations(1000))
	check(m, err)
	m.write("keystores/"+file+".p12", b)
}

func (m *mint) parties() {
	doctor, hospital := subject("SSIN=70010100188", "ALICE EEN"), subject("NIHII-HOSPITAL=79999957", "TESTZIEKENHUIS")
	m.doctor = m.authentication(spec{subject: doctor, key: m.key("doctor", 2048)})
	m.store("doctor", m.doctor, m.encryption(m.doctor, spec{subject: doctor, key: m.key("doctor-enc", 2048)}))

	h := m.authentication(spec{subject: hospital, key: m.key("hospital", 2048)})
	old := m.encryption(h, spec{subject: hospital, key: m.key("hospital-old", 2048), until: issued.AddDate(0, 3, 0)})
	m.hospital = m.encryption(h, spec{subject: hospital, key: m.key("hospital-enc", 2048), notBefore: issued.AddDate(0, 1, 0), keyID: []byte("hospital's key")})
	m.store("hospital", h, m.hospital, old)
	m.keys["old"] = m.key("hospital-old", 0)

	eid := name("C=BE", "CN=Bob Test (Authentication)", "SERIALNUMBER=70010100287")
	a := m.authentication(spec{subject: eid, key: m.key("eid", 2048), usage: x509.KeyUsageDigitalSignature})
	s := m.authentication(spec{
		subject: name("C=BE", "CN=Bob Test (Signature)", "SERIALNUMBER=70010100287"), key: m.key("eid-sign", 2048), usage: x509.KeyUsageContentCommitment,
	})
	m.store("eid", a)
	m.store("eid-signature", s)

	n := subject("NIHII-PHARMACY=27999940", "TESTAPOTHEEK")
	pharmacy := m.authentication(spec{subject: n, key: m.key("pharmacy", 2048)})
	m.nobody = m.encryption(pharmacy, spec{subject: n, key: m.key("pharmacy-enc", 2048)})
	m.store("pharmacy", pharmacy, m.nobody)
}

// token writes an ETK as the depot has them: PKCS #1 v1.5 without signed attributes.
func (m *mint) token(file, what string, enc, auth *x509.Certificate, change func(*cms.SignOptions), mangle func([]byte) []byte, errors ...string) {
	o := cms.SignOptions{
		Certificate: m.ra, Signer: m.key("ra", 0), Scheme: cms.PKCS1v15WithSHA256, NoAttributes: true, BareRSA: true,
		Include: []*x509.Certificate{m.ra, auth, m.ca},
	}
	if change != nil {
		change(&o)
	}
	m.write("etk/"+file+".etk", apply(signed(m, enc.Raw, o), mangle))
	m.etks = append(m.etks, map[string]any{
		"file": "etk/" + file + ".etk", "what": what, "cmsSignatureOK": mangle == nil,
		"reference": map[string]any{"ok": len(errors) == 0, "errors": append([]string{}, errors...)},
	})
}

func (m *mint) tokens() {
	doctor := subject("SSIN=70010100188", "ALICE EEN")
	key := m.key("doctor-enc", 0)
	good := m.encryption(m.doctor, spec{subject: doctor, key: key}).Certificate
	auth := m.doctor.Certificate
	m.token("doctor", "good", good, auth, nil, nil)
	m.token("hospital", "good", m.hospital.Certificate, m.hospital.Chain[0], nil, nil)
	m.token("pharmacy", "good", m.nobody.Certificate, m.nobody.Chain[0], nil, nil)
	m.token("attributes", "with signed attributes, PSS, DER", good, auth, func(o *cms.SignOptions) {
		o.NoAttributes, o.Scheme, o.Encoding = false, cms.PSSWithSHA256, cms.DER
	}, nil)
	m.token("order", "certificates in another order, one twice, root too", good, auth, func(o *cms.SignOptions) {
		o.Include = []*x509.Certificate{m.root, m.ca, auth, auth, m.ra}
	}, nil)
	m.token("case", "names differ in case only", m.encryption(m.doctor, spec{subject: subject("SSIN=70010100188", "Alice Een"), key: key}).Certificate, auth, nil, nil)
	m.token("registration", "registration authority's signature broken", good, auth, func(o *cms.SignOptions) { o.Encoding = cms.DER },
		surgery(m, flip(func(n *node) *node { i := signerInfo(n); return i.kids[len(i.kids)-1] })))
	old := spec{subject: doctor, key: key, until: issued.AddDate(0, 1, 0)}
	m.token("expired", "encryption certificate expired", m.encryption(m.doctor, old).Certificate, auth, nil, nil, "ETK_ENCRYPTION_CERT_EXPIRED")
	future := spec{subject: doctor, key: key, notBefore: issued.AddDate(29, 0, 0)}
	m.token("future", "encryption certificate not yet valid", m.encryption(m.doctor, future).Certificate, auth, nil, nil, "ETK_ENCRYPTION_CERT_NOT_YET_VALID")
	usage := spec{subject: doctor, key: key, usage: x509.KeyUsageKeyEncipherment}
	m.token("usage", "encryption certificate without dataEncipherment", m.encryption(m.doctor, usage).Certificate, auth, nil, nil, "ETK_ENCRYPTION_CERT_HAS_INVALID_KEYUSAGE")
	weak := spec{subject: doctor, key: m.key("weak", 1024)}
	m.token("weak", "encryption key of 1024 bits", m.encryption(m.doctor, weak).Certificate, auth, nil, nil, "ETK_ENCRYPTION_CERT_HAS_INVALID_KEY")
	other := m.encryption(m.doctor, spec{subject: subject("SSIN=70010100287", "BOB TWEE"), key: key})
	m.token("names", "names differ", other.Certificate, auth, nil, nil, "ETK_CERTS_DO_NOT_MATCH")
	thief := m.doctor
	thief.Signer = m.key("pharmacy", 0)
	m.token("forged", "encryption certificate signed by another key", m.encryption(thief, spec{subject: doctor, key: key}).Certificate, auth, nil, nil, "ETK_ENCRYPTION_CERT_SIGNATURE_NOT_VALID")
	stranger := m.issue(spec{subject: doctor, key: m.key("doctor", 0), usage: usageAuth}, m.otherRoot, m.key("other", 0))
	m.token("untrusted", "authentication certificate of an unrelated CA", good, stranger, nil, nil, "ETK_AUTHENTICATION_CERT_STATUS_UNKNOWN")
	signing := m.authentication(spec{subject: doctor, key: m.key("doctor", 0), usage: x509.KeyUsageKeyEncipherment})
	m.token("authentication", "authentication certificate without digitalSignature", good, signing.Certificate, nil, nil, "ETK_AUTHENTICATION_CERT_HAS_INVALID_KEYUSAGE")
	m.write("etk/hospital.etk.b64", []byte(base64.StdEncoding.EncodeToString(readFile(m, "etk/hospital.etk"))))
}

func readFile(m *mint, name string) []byte {
	b, err := os.ReadFile(filepath.Join(ownVectors, filepath.FromSlash(name)))
	check(m, err)
	return b
}

// vectorOptions are what a vector says beside the message.
type vectorOptions struct {
	store           string // "hospital" when empty, "-" for none
	kek             []byte
	nonRepudiation  []string // errors with non-repudiation, when they differ
	errors, warning []string
	time            time.Time
}

var vectorTime = time.Date(2026, 4, 5, 6, 7, 8, 0, time.UTC)

func (m *mint) message(file, what string, f forge, o vectorOptions) {
	m.raw(file, what, f.content, f.build(m), o)
}

func (m *mint) raw(file, what string, content, sealed []byte, o vectorOptions) {
	m.write("msg/"+file+".cms", sealed)
	sum := sha256.Sum256(content)
	plain := "plain/" + base64.RawURLEncoding.EncodeToString(sum[:6]) + ".bin"
	m.write(plain, content)
	at := o.time
	if at.IsZero() {
		at = vectorTime
	}
	judged := func(errors []string) map[string]any {
		return map[string]any{
			"ok": len(errors) == 0, "errors": append([]string{}, errors...), "warnings": append([]string{}, o.warning...), "signingTime": at.Format(time.RFC3339),
		}
	}
	v := map[string]any{
		"file": "msg/" + file + ".cms", "what": what, "plain": plain, "accept": len(o.errors) == 0,
		"reference": judged(o.errors), "referenceNonRepudiation": judged(o.errors),
	}
	if o.nonRepudiation != nil {
		v["referenceNonRepudiation"] = judged(o.nonRepudiation)
	}
	switch o.store {
	case "":
		v["keystore"] = "keystores/hospital.p12"
	case "-":
	default:
		v["keystore"] = "keystores/" + o.store + ".p12"
	}
	if o.kek != nil {
		v["kek"], v["kekId"] = o.kek, []byte("an identifier")
	}
	m.messages = append(m.messages, v)
}

func errs(codes ...string) vectorOptions { return vectorOptions{errors: codes} }

// base is a good message by the doctor for the hospital.
func (m *mint) base() forge { return newForge(m.doctor, m.hospital.Certificate, vectorTime) }

var kekBytes = []byte("sixteen bytes !!")

func (m *mint) accepted() {
	b := m.base()
	m.message("one", "one recipient", b, vectorOptions{})
	m.message("one-der", "all layers in DER", b.in(cms.DER), vectorOptions{})
	m.message("empty", "nothing sealed", b.with(func(f *forge) { f.content = nil }), vectorOptions{})
	m.message("segments", "several segments in all layers", b.with(func(f *forge) { f.content = bytes.Repeat([]byte("0123456789a"), 300) }), vectorOptions{})
	three := b.with(func(f *forge) {
		f.envelope.Targets = append(f.envelope.Targets, cms.ForCertificate{Certificate: m.nobody.Certificate}, cms.ForCertificate{Certificate: m.doctor.Certificate})
	})
	m.message("three-as-hospital", "three recipients", three, vectorOptions{})
	m.message("three-as-pharmacy", "three recipients", three, vectorOptions{store: "pharmacy"})
	kek := b.with(func(f *forge) {
		f.envelope.Targets = []cms.Target{cms.ForKEK{ID: []byte("an identifier"), Key: kekBytes}}
	})
	m.message("kek", "unknown recipient", kek, vectorOptions{store: "-", kek: kekBytes})
	m.message("kek-der", "unknown recipient, in DER", kek.in(cms.DER), vectorOptions{store: "-", kek: kekBytes})
	mixed := b.with(func(f *forge) { f.envelope.Targets = append(f.envelope.Targets, kek.envelope.Targets...) })
	m.message("mixed-kek", "known and unknown recipient", mixed, vectorOptions{store: "-", kek: kekBytes})
	m.message("mixed-key", "known and unknown recipient", mixed, vectorOptions{})
	m.message("pkcs1", "PKCS #1 v1.5 in both layers", b.with(func(f *forge) {
		f.inner.Scheme, f.outer.Scheme = cms.PKCS1v15WithSHA256, cms.PKCS1v15WithSHA256
	}), vectorOptions{})
	m.message("pkcs1-bare", "rsaEncryption as signature algorithm", b.with(func(f *forge) {
		f.inner.Scheme, f.outer.Scheme, f.inner.BareRSA, f.outer.BareRSA = cms.PKCS1v15WithSHA256, cms.PKCS1v15WithSHA256, true, true
	}), vectorOptions{})
	m.message("inner-certificates", "inner layer with certificates", b.with(func(f *forge) { f.inner.Include = f.outer.Include }), vectorOptions{})
	m.message("reversed", "certificates from the root to the leaf", b.with(func(f *forge) {
		f.outer.Include = []*x509.Certificate{m.root, m.ca, m.doctor.Certificate}
	}), vectorOptions{})
	m.message("no-protection", "without algorithm protection", b.with(func(f *forge) { f.inner.NoProtection, f.outer.NoProtection = true, true }), vectorOptions{})
	missing := vectorOptions{warning: []string{"SIGNING_TIME_MISSING"}}
	m.message("no-time", "without signing time", b.with(func(f *forge) { f.inner.SigningTime, f.outer.SigningTime = time.Time{}, time.Time{} }), missing)
	m.message("no-attributes", "version 1: without signed attributes", b.with(func(f *forge) { f.inner.NoAttributes, f.outer.NoAttributes = true, true }), missing)
	m.message("key-identifier", "recipient by subject key identifier", b.with(func(f *forge) {
		f.envelope.Targets = []cms.Target{cms.ForCertificate{Certificate: m.hospital.Certificate, ByKeyID: true}}
	}), vectorOptions{})
	m.message("serial-only", "recipient with our serial number under another issuer", b.with(func(f *forge) {
		c := *m.hospital.Certificate
		c.RawIssuer = m.root.RawSubject
		f.envelope.Targets = []cms.Target{cms.ForCertificate{Certificate: &c}}
	}), vectorOptions{})
	m.message("empty-unsigned", "empty unsigned attributes, as the official library writes them", b.in(cms.DER).with(func(f *forge) {
		add := surgery(m, func(n *node) { i := signerInfo(n); i.kids = append(i.kids, &node{tag: 0xa1}) })
		f.onInner, f.onOuter = add, add
	}), vectorOptions{})
	only := m.authentication(spec{subject: subject("SSIN=70010100188", "ALICE EEN"), key: m.key("doctor", 0), usage: x509.KeyUsageDigitalSignature})
	m.message("no-non-repudiation", "signer with digitalSignature only", newForge(only, m.hospital.Certificate, vectorTime),
		vectorOptions{nonRepudiation: []string{"INNER_CERTIFICATE_HAS_INVALID_KEYUSAGE"}})
	expired := m.authentication(spec{subject: subject("SSIN=70010100188", "ALICE EEN"), key: m.key("doctor", 0), until: issued.AddDate(0, 6, 0)})
	m.message("backdated", "signer expired since", newForge(expired, m.hospital.Certificate, vectorTime), vectorOptions{})
}

func (m *mint) badSignatures() {
	b := m.base().in(cms.DER)
	value := func(n *node) *node { return signerInfo(n).kids[len(signerInfo(n).kids)-1] }
	attribute := func(i int) func(*node) *node { return func(n *node) *node { return signerInfo(n).at(3, i, 1, 0) } }
	m.message("neg-outer-signature", "bit of the outer signature", b.with(func(f *forge) { f.onOuter = surgery(m, flip(value)) }),
		errs("OUTER_SIGNATURE_DOES_NOT_MATCH_AUTHENTICATION_CERTIFICATE"))
	m.message("neg-outer-content", "bit of the outer content", b.with(func(f *forge) {
		f.onOuter = surgery(m, flip(func(n *node) *node { return n.at(1, 0, 2, 1, 0) }))
	}), errs("OUTER_SIGNATURE_COULD_NOT_BE_VERIFIED"))
	m.message("neg-outer-time", "signing time changed", b.with(func(f *forge) {
		f.onOuter = surgery(m, func(n *node) { attribute(1)(n).body = []byte("260405060709Z") })
	}), errs("OUTER_SIGNATURE_DOES_NOT_MATCH_AUTHENTICATION_CERTIFICATE"))
	m.message("neg-outer-digest", "bit of the message digest", b.with(func(f *forge) { f.onOuter = surgery(m, flip(attribute(2))) }),
		errs("OUTER_SIGNATURE_COULD_NOT_BE_VERIFIED"))
	m.message("neg-inner-content", "content changed inside", b.with(func(f *forge) {
		f.onInner = surgery(m, flip(func(n *node) *node { return n.at(1, 0, 2, 1, 0) }))
	}), errs("INNER_SIGNATURE_COULD_NOT_BE_VERIFIED"))
	m.message("neg-inner-signature", "bit of the inner signature", b.with(func(f *forge) { f.onInner = surgery(m, flip(value)) }),
		errs("INNER_SIGNATURE_DOES_NOT_MATCH_SIGNATURE_CERTIFICATE"))
	m.message("neg-inner-other-key", "inner layer by another key", b.with(func(f *forge) {
		f.inner.Certificate, f.inner.Signer = m.nobody.Certificate, m.nobody.Signer
	}), errs("INNER_SIGNATURE_DOES_NOT_MATCH_SIGNATURE_CERTIFICATE"))
	other := m.authentication(spec{subject: subject("SSIN=70010100287", "BOB TWEE"), key: m.key("eid", 0)})
	m.message("neg-inner-other-subject", "inner layer by another party", b.with(func(f *forge) {
		f.inner.Certificate, f.inner.Signer, f.inner.Include = other.Certificate, other.Signer, []*x509.Certificate{other.Certificate, m.ca}
	}), errs("MESSAGE_INTEGRITY_INVALID"))
	m.message("neg-mixed-policies", "inner layer PKCS #1, outer PSS", b.with(func(f *forge) { f.inner.Scheme = cms.PKCS1v15WithSHA256 }), errs("MESSAGE_INTEGRITY_INVALID"))
	m.message("neg-sha512", "SHA-512", b.with(func(f *forge) {
		f.inner.Scheme, f.outer.Scheme = cms.Scheme{Padding: cms.PSS, Hash: crypto.SHA512}, cms.Scheme{Padding: cms.PSS, Hash: crypto.SHA512}
	}), errs("OUTER_SIGNATURE_DIGEST_ALGORITHM_UNAUTHORIZED", "INNER_SIGNATURE_DIGEST_ALGORITHM_UNAUTHORIZED"))
}

func (m *mint) badCertificates() {
	doctor := subject("SSIN=70010100188", "ALICE EEN")
	by := func(s spec) forge {
		s.subject = doctor
		if s.key == nil {
			s.key = m.key("doctor", 0)
		}
		return newForge(m.authentication(s), m.hospital.Certificate, vectorTime)
	}
	m.message("neg-expired", "signer expired when signing", by(spec{until: issued.AddDate(0, 1, 0)}), errs("OUTER_CERTIFICATE_EXPIRED", "OUTER_CERTIFICATE_CHAIN_NOT_TRUSTED"))
	m.message("neg-future", "signer not yet valid", by(spec{notBefore: issued.AddDate(0, 11, 0)}), errs("OUTER_CERTIFICATE_NOT_YET_VALID", "OUTER_CERTIFICATE_CHAIN_NOT_TRUSTED"))
	m.message("neg-usage", "signer may not sign", by(spec{usage: x509.KeyUsageKeyEncipherment}), errs("OUTER_CERTIFICATE_HAS_INVALID_KEYUSAGE", "INNER_CERTIFICATE_HAS_INVALID_KEYUSAGE"))
	m.message("neg-weak", "signer with 1024 bits", by(spec{key: m.key("weak", 1024)}), errs("OUTER_SIGNATURE_KEY_LENGTH_UNAUTHORIZED"))
	stranger := m.doctor
	stranger.Certificate = m.issue(spec{subject: doctor, key: m.key("doctor", 0), usage: usageAuth}, m.otherRoot, m.key("other", 0))
	stranger.Chain = []*x509.Certificate{m.otherRoot}
	m.message("neg-untrusted", "signer of an unrelated CA", newForge(stranger, m.hospital.Certificate, vectorTime), errs("OUTER_CERTIFICATE_CHAIN_NOT_TRUSTED"))
	b := m.base()
	m.message("neg-no-certificate", "outer layer without certificates", b.with(func(f *forge) { f.outer.Include = nil }), errs("OUTER_CERTIFICATE_EXPECTED_BUT_NOT_PRESENT"))
	m.message("neg-broken-certificate", "signer's certificate is no certificate", b.in(cms.DER).with(func(f *forge) {
		f.outer.Include = []*x509.Certificate{m.doctor.Certificate}
		f.onOuter = surgery(m, func(n *node) { n.at(1, 0, 3, 0).kids = n.at(1, 0, 3, 0).kids[:1] })
	}), errs("MESSAGE_OUTER_SIGNED_PART_CONTAINS_INCORRECTLY_ENCODED_CERTIFICATES_SET"))
	m.message("neg-inner-no-certificate", "inner layer with certificates, but not the signer's", b.with(func(f *forge) {
		f.inner.Include = []*x509.Certificate{m.ca}
	}), errs("INNER_CERTIFICATE_EXPECTED_BUT_NOT_PRESENT"))
}

func (m *mint) badStructures() {
	b := m.base().in(cms.DER)
	two := surgery(m, func(n *node) { s := n.at(1, 0); set := s.kids[len(s.kids)-1]; set.kids = append(set.kids, set.kids[0]) })
	none := surgery(m, func(n *node) { s := n.at(1, 0); s.kids[len(s.kids)-1].kids = nil })
	detach := surgery(m, func(n *node) { n.at(1, 0, 2).kids = n.at(1, 0, 2).kids[:1] })
	m.message("neg-two-signers", "two outer signers", b.with(func(f *forge) { f.onOuter = two }), errs("MESSAGE_OUTER_SIGNED_PART_HAS_MORE_THAN_ONE_SIGNER_INFORMATION"))
	m.message("neg-no-signer", "no outer signer", b.with(func(f *forge) { f.onOuter = none }), errs("MESSAGE_OUTER_SIGNED_PART_HAS_MORE_THAN_ONE_SIGNER_INFORMATION"))
	m.message("neg-detached", "no outer content", b.with(func(f *forge) { f.onOuter = detach }), errs("OUTER_SIGNED_DATA_CONTENT_MISSING"))
	m.message("neg-inner-two-signers", "two inner signers", b.with(func(f *forge) { f.onInner = two }), errs("MESSAGE_INNER_SIGNED_PART_HAS_MORE_THAN_ONE_SIGNER_INFORMATION"))
	m.message("neg-inner-detached", "no inner content", b.with(func(f *forge) { f.onInner = detach }), errs("INNER_SIGNED_DATA_CONTENT_MISSING"))
	m.message("neg-truncated", "cut off", b.with(func(f *forge) { f.onOuter = func(b []byte) []byte { return b[:len(b)*2/3] } }), errs("OUTER_SIGNED_DATA_STRUCTURE_INCORRECT"))
	m.message("neg-trailing", "bytes after the end", b.with(func(f *forge) { f.onOuter = func(b []byte) []byte { return append(b, 0) } }), errs("OUTER_SIGNED_DATA_STRUCTURE_INCORRECT"))
	m.message("neg-garbage", "no ASN.1", b.with(func(f *forge) { f.onOuter = func([]byte) []byte { return []byte("Dear colleague") } }), errs("OUTER_SIGNED_DATA_STRUCTURE_INCORRECT"))
	m.message("neg-not-enveloped", "never encrypted", b.with(func(f *forge) { f.onEnvelope = func([]byte) []byte { return signed(m, f.content, f.inner) } }), errs("ENVELOPED_DATA_STRUCTURE_INCORRECT"))
	m.message("neg-inner-garbage", "what was encrypted is no message", b.with(func(f *forge) { f.onInner = func([]byte) []byte { return []byte("Dear colleague") } }), errs("INNER_SIGNED_DATA_STRUCTURE_INCORRECT"))
}

func (m *mint) badEncryption() {
	b := m.base()
	m.message("neg-other-recipient", "for the pharmacy", newForge(m.doctor, m.nobody.Certificate, vectorTime), errs("DECRYPTION_PRIVATE_KEY_NOT_FOUND"))
	kek := func(key []byte) forge {
		return b.with(func(f *forge) { f.envelope.Targets = []cms.Target{cms.ForKEK{ID: []byte("an identifier"), Key: key}} })
	}
	m.message("neg-kek-as-hospital", "unknown recipient, opened with a private key", kek(kekBytes), errs("ENVELOPED_DATA_CONTAINS_NO_KEYTRANSRECIPIENTINFOS"))
	m.message("neg-other-kek", "another KEK", kek([]byte("another 16 bytes")), vectorOptions{store: "-", kek: kekBytes, errors: []string{"SECRET_KEY_CAN_NOT_DECRYPT_KEKRECIPIENTINFOS"}})
	m.message("neg-no-kek", "KEK given, none in the message", b, vectorOptions{store: "-", kek: kekBytes, errors: []string{"ENVELOPED_DATA_CONTAINS_NO_KEKRECIPIENTINFOS"}})
	long := []byte("thirty-two bytes of key material")
	m.message("neg-kek256", "KEK of 256 bits", kek(long), vectorOptions{store: "-", kek: long, errors: []string{"DECRYPTION_ASYMMETRIC_KEY_ALGORITHM_UNAUTHORIZED"}})
	m.message("neg-aes256", "AES-256-CBC", b.with(func(f *forge) { f.envelope.Cipher = cms.AES256CBC }), errs("DECRYPTION_SYMMETRIC_KEY_ALGORITHM_UNAUTHORIZED"))
	m.message("neg-oaep", "RSAES-OAEP", b.with(func(f *forge) {
		f.envelope.Targets = []cms.Target{cms.ForCertificate{Certificate: m.hospital.Certificate, Padding: cms.OAEP}}
	}), errs("DECRYPTION_ASYMMETRIC_KEY_ALGORITHM_UNAUTHORIZED"))
	d := b.in(cms.DER)
	m.message("neg-wrapped-key", "bit of the wrapped key, before the outer signature", d.with(func(f *forge) {
		f.onEnvelope = surgery(m, flip(func(n *node) *node { return n.at(1, 0, 1, 0, 3) }))
	}), errs("INNER_SIGNED_DATA_STRUCTURE_INCORRECT"))
	m.message("neg-last-block", "bit of the last block, before the outer signature", d.with(func(f *forge) {
		f.onEnvelope = surgery(m, func(n *node) { c := n.at(1, 0, 2, 2); c.body[len(c.body)-1] ^= 1 })
	}), errs("INNER_SIGNED_DATA_STRUCTURE_INCORRECT"))
}
