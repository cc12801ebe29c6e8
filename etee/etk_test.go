package etee_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/internal/cms"
	"github.com/ehealth-continuity/ehealth/keystore"
)

func TestETK(t *testing.T) {
	m := own(t)
	k := token(t, "hospital")
	again, err := etee.ParseETKBase64(m.read(t, "etk/hospital.etk.b64"))
	check(t, err)
	if !bytes.Equal(k.Bytes(), again.Bytes()) || !bytes.Equal(k.Bytes(), m.read(t, "etk/hospital.etk")) {
		t.Error("other bytes")
	}
	holder, err := k.Holder()
	if check(t, err); holder.Type != "NIHII-HOSPITAL" || holder.Reveal() != "79999957" {
		t.Errorf("holder %v", holder.Type)
	}
	if !k.Encryption().Equal(encryption(t, "hospital").Certificate) || !k.Authentication().Equal(auth(t, "hospital").Certificate) {
		t.Error("certificates swapped")
	}
	if !k.ExpiresAt().Equal(issued.AddDate(30, 0, 0)) {
		t.Errorf("expires %v", k.ExpiresAt())
	}
	if e := token(t, "expired").ExpiresAt(); !e.Equal(issued.AddDate(0, 1, 0)) {
		t.Errorf("expired token expires %v", e)
	}
	var zero etee.ETK
	if _, err := zero.Check(ownTrust(t), etee.Policy{}, time.Now()); !errors.Is(err, etee.ErrETK) {
		t.Errorf("zero: %v", err)
	}
	if _, err := zero.Holder(); !errors.Is(err, keystore.ErrSubject) || zero.Bytes() != nil || zero.Encryption() != nil || zero.Authentication() != nil || !zero.ExpiresAt().IsZero() {
		t.Errorf("zero: %v", err)
	}
}

// TestETKOfTheTime: the time of the check decides, so that a token from a cache is refused once it has expired.
func TestETKOfTheTime(t *testing.T) {
	k := token(t, "expired")
	for at, want := range map[time.Time][]etee.Code{
		issued.AddDate(0, 0, 10): nil,
		issued.AddDate(0, 2, 0):  {etee.ETKEncryptionExpired},
		issued.AddDate(0, 0, -1): {etee.ETKEncryptionTooEarly, etee.ETKAuthenticationTooEarly, etee.ETKAuthenticationStatus},
		issued.AddDate(40, 0, 0): {etee.ETKEncryptionExpired, etee.ETKAuthenticationExpired},
	} {
		if _, err := k.Check(ownTrust(t), etee.Policy{}, at); !slices.Equal(codes(t, err), want) {
			t.Errorf("%v: %v", at, codes(t, err))
		}
	}
}

// TestETKRegistration: who signed the token is a warning when it cannot be told, and an error when it is a lie.
func TestETKRegistration(t *testing.T) {
	good := token(t, "hospital")
	other := auth(t, "doctor") // may sign as well as any registration authority
	self := other
	self.Certificate = selfSigned(t, other)
	build := func(signer keystore.Credential, include ...*x509.Certificate) etee.ETK {
		k, err := etee.ParseETK(signed(t, good.Encryption().Raw, cms.SignOptions{
			Certificate: signer.Certificate, Signer: signer.Signer, Scheme: cms.PKCS1v15WithSHA256, NoAttributes: true, Include: include,
		}))
		check(t, err)
		return k
	}
	ca := auth(t, "doctor").Chain[0]
	for _, c := range []struct {
		name string
		k    etee.ETK
		warn []etee.Code
	}{
		{"another authority under the same root", build(other, other.Certificate, good.Authentication(), ca), nil},
		{"certificates of others beside the holder's", build(other, other.Certificate, auth(t, "pharmacy").Certificate, good.Authentication(), auth(t, "eid").Certificate, ca), nil},
		{"certificate missing", build(other, good.Authentication(), ca), []etee.Code{etee.ETKRegistrationNotTrusted}},
		{"authority of another root", build(self, self.Certificate, good.Authentication(), ca), []etee.Code{etee.ETKRegistrationNotTrusted}},
	} {
		if !c.k.Authentication().Equal(good.Authentication()) {
			t.Errorf("%s: another holder", c.name)
		}
		r, err := c.k.Check(ownTrust(t), etee.Policy{}, time.Now())
		if err != nil || !slices.Equal(r.Warnings(), c.warn) {
			t.Errorf("%s: %v, %v", c.name, r.Warnings(), codes(t, err))
		}
		_, err = c.k.Check(ownTrust(t), etee.Policy{Refuse: []etee.Code{etee.ETKRegistrationNotTrusted}}, time.Now())
		if !slices.Equal(codes(t, err), c.warn) {
			t.Errorf("%s, refused: %v", c.name, codes(t, err))
		}
	}
}

func TestNotETK(t *testing.T) {
	good := token(t, "hospital")
	doctor := auth(t, "doctor")
	o := cms.SignOptions{Certificate: doctor.Certificate, Signer: doctor.Signer, Include: []*x509.Certificate{doctor.Certificate, good.Authentication()}, Encoding: cms.DER}
	whole := signed(t, good.Encryption().Raw, o)
	two := surgery(t, func(n *node) { s := n.at(1, 0); set := s.kids[len(s.kids)-1]; set.kids = append(set.kids, set.kids[0]) })
	detach := surgery(t, func(n *node) { n.at(1, 0, 2).kids = n.at(1, 0, 2).kids[:1] })
	none := o
	none.Include = o.Include[:1]
	for name, b := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "a message": good.Encryption().Raw, "content no certificate": signed(t, []byte("x"), o),
		"two signers": two(whole), "no content": detach(whole), "no authentication certificate": signed(t, good.Encryption().Raw, none),
		"too long": make([]byte, etee.MaxETK+1), "trailing": append(bytes.Clone(whole), 0),
	} {
		if _, err := etee.ParseETK(b); !errors.Is(err, etee.ErrETK) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := etee.ParseETK(whole); err != nil {
		t.Errorf("the good one: %v", err)
	}
	for name, text := range map[string][]byte{"not base64": []byte("!"), "too long": bytes.Repeat([]byte("A"), 3*etee.MaxETK), "empty": nil} {
		if _, err := etee.ParseETKBase64(text); !errors.Is(err, etee.ErrETK) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzETK: no input panics, and no token is accepted for another encryption certificate than one that its holder signed.
func FuzzETK(f *testing.F) {
	m := own(f)
	files, err := filepath.Glob(filepath.Join(ownVectors, "etk", "*.etk"))
	check(f, err)
	genuine := map[string]bool{}
	trust, now := m.trust(f), time.Now()
	for _, name := range files {
		b, err := os.ReadFile(name)
		check(f, err)
		f.Add(b)
		k, err := etee.ParseETK(b)
		check(f, err)
		if r, err := k.Check(trust, etee.Policy{}, now); err == nil {
			genuine[string(r.Certificate().Raw)] = true
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := etee.ParseETK(in)
		if err != nil {
			return
		}
		_, _ = k.Holder()
		for _, p := range []etee.Policy{{}, {Off: etee.Advised}} {
			if r, err := k.Check(trust, p, now); err == nil && !genuine[string(r.Certificate().Raw)] {
				t.Fatal("a token that nobody made")
			}
		}
	})
}

// FuzzOpen: no input panics, and what is accepted is one of the contents that were sealed.
func FuzzOpen(f *testing.F) {
	m := own(f)
	sealed := map[string]bool{}
	for _, v := range m.Messages {
		f.Add(m.read(f, v.File))
		if v.Accept {
			sealed[string(m.read(f, v.Plain))] = true
		}
	}
	var openers []*etee.Opener
	for _, p := range []etee.Policy{{}, lenient(false)} {
		o, err := etee.NewOpener(ownKeys(f, "hospital"), m.trust(f), p)
		check(f, err)
		openers = append(openers, o)
	}
	kek := ownKEK(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, o := range openers {
			for _, opts := range [][]etee.OpenOption{nil, {etee.WithKEK(kek)}} {
				if msg, err := o.Open(in, opts...); err == nil && !sealed[string(msg.Content)] {
					t.Fatal("opened what nobody sealed")
				}
			}
		}
	})
}
