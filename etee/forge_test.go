package etee_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"flag"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/keystore"
)

var (
	update = flag.Bool("update", false, "make testdata/vectors anew, with new keys")
	long   = flag.Bool("long", false, "ten times as many mutated messages, and the bounds on time")
)

const ownVectors = "testdata/vectors"

// own is our set of vectors, made anew with -update.
func own(t testing.TB) *manifest {
	t.Helper()
	generated.Do(func() {
		if *update {
			generate(t)
		}
	})
	return loadManifest(t, ownVectors)
}

var generated sync.Once

// ownTrust, ownKeys, auth and token are the parts of our vectors that tests use.
func ownTrust(t testing.TB) etee.Trust { return own(t).trust(t) }

func ownKeys(t testing.TB, name string) *keystore.Store {
	t.Helper()
	return own(t).store(t, "keystores/"+name+".p12")
}

func auth(t testing.TB, name string) keystore.Credential {
	t.Helper()
	c, err := ownKeys(t, name).Authentication()
	check(t, err)
	return c
}

// encryption is the newest encryption credential.
func encryption(t testing.TB, name string) keystore.Credential {
	t.Helper()
	return ownKeys(t, name).Encryption()[0]
}

func token(t testing.TB, name string) etee.ETK {
	t.Helper()
	k, err := etee.ParseETK(own(t).read(t, "etk/"+name+".etk"))
	check(t, err)
	return k
}

func recipient(t testing.TB, name string) etee.Recipient {
	t.Helper()
	r, err := token(t, name).Check(ownTrust(t), etee.Policy{}, time.Now())
	check(t, err)
	return r
}

// ownKEK is the one of our vectors.
func ownKEK(t testing.TB) etee.KEK {
	t.Helper()
	k, err := etee.NewKEK([]byte("an identifier"), []byte("sixteen bytes !!"))
	check(t, err)
	return k
}

// forge makes messages layer by layer, good ones and others, without package etee.
type forge struct {
	content      []byte
	inner, outer cms.SignOptions
	envelope     cms.EnvelopeOptions
	// Changes to a layer before the next one goes around it.
	onInner, onEnvelope, onOuter func([]byte) []byte
}

// newForge makes what the official library would make: sealed now by one for another.
func newForge(from keystore.Credential, to *x509.Certificate, at time.Time) forge {
	outer := cms.SignOptions{
		Certificate: from.Certificate, Signer: from.Signer, SigningTime: at,
		Include: append([]*x509.Certificate{from.Certificate}, from.Chain...),
	}
	inner := outer
	inner.Include = nil
	return forge{
		content: []byte("A letter to a colleague, invented."), inner: inner, outer: outer,
		envelope: cms.EnvelopeOptions{Targets: []cms.Target{cms.ForCertificate{Certificate: to}}},
	}
}

func (f forge) with(change func(*forge)) forge {
	change(&f)
	return f
}

// in sets the encoding of all layers.
func (f forge) in(e cms.Encoding) forge {
	f.inner.Encoding, f.outer.Encoding, f.envelope.Encoding = e, e, e
	return f
}

func (f forge) build(t testing.TB) []byte {
	t.Helper()
	b := apply(signed(t, f.content, f.inner), f.onInner)
	b = apply(enveloped(t, b, f.envelope), f.onEnvelope)
	return apply(signed(t, b, f.outer), f.onOuter)
}

func apply(b []byte, f func([]byte) []byte) []byte {
	if f == nil {
		return b
	}
	return f(b)
}

func signed(t testing.TB, content []byte, o cms.SignOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := cms.NewSignedWriter(&out, int64(len(content)), o)
	check(t, err)
	_, err = w.Write(content)
	check(t, err)
	check(t, w.Close())
	return out.Bytes()
}

func enveloped(t testing.TB, content []byte, o cms.EnvelopeOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := cms.NewEnvelopedWriter(&out, int64(len(content)), o)
	check(t, err)
	_, err = w.Write(content)
	check(t, err)
	check(t, w.Close())
	return out.Bytes()
}

// surgery changes the tree of a DER message.
func surgery(t testing.TB, f func(*node)) func([]byte) []byte {
	return func(b []byte) []byte {
		n := mustTree(t, b)
		f(n)
		return n.der()
	}
}

// signerInfo is that of a SignedData message: the last element of the SignedData, its first.
func signerInfo(n *node) *node {
	data := n.at(1, 0)
	return data.at(len(data.kids)-1, 0)
}

// flip changes one bit of the primitive that pick finds.
func flip(pick func(*node) *node) func(*node) {
	return func(n *node) {
		p := pick(n)
		p.body = bytes.Clone(p.body)
		p.body[len(p.body)/2] ^= 1
	}
}

// only gives out one credential whatever is asked for.
type only keystore.Credential

func (o only) Encryption() []keystore.Credential {
	return []keystore.Credential{keystore.Credential(o)}
}

func (o only) EncryptionBySerial(serial *big.Int) (keystore.Credential, bool) {
	return keystore.Credential(o), o.Certificate.SerialNumber.Cmp(serial) == 0
}

// selfSigned is a certificate for the key that nobody vouches for.
func selfSigned(t testing.TB, c keystore.Credential) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), RawSubject: c.Certificate.RawIssuer, NotBefore: issued, NotAfter: issued.AddDate(30, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, c.Signer.Public(), c.Signer)
	check(t, err)
	s, err := x509.ParseCertificate(der)
	check(t, err)
	return s
}
