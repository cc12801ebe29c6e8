package keystore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/p12"
)

func TestRoles(t *testing.T) {
	const enc, sign, none = encrypts, signs, x509.KeyUsage(0)
	type key struct {
		alias string
		usage x509.KeyUsage
		year  int // of NotBefore, after 2026
	}
	for name, tc := range map[string]struct {
		keys       []key
		auth       int
		encryption []int
	}{
		"as eHealth writes it":           {[]key{{"authentication", sign, 0}, {"17", enc, 0}}, 0, []int{1}},
		"alias in capitals":              {[]key{{"other", sign, 0}, {"AUTHENTICATION", sign, 0}}, 1, []int{0}},
		"alias beats key usage":          {[]key{{"x", sign, 5}, {"authentication", none, 0}}, 1, []int{0}},
		"by key usage":                   {[]key{{"17", enc, 0}, {"1", sign, 0}}, 1, []int{0}},
		"by key usage, newest":           {[]key{{"a", sign, 0}, {"b", sign, 2}, {"c", sign, 1}}, 1, []int{2, 0}},
		"two of that alias, newest":      {[]key{{"authentication", sign, 0}, {"Authentication", sign, 1}}, 1, []int{0}},
		"encryption only":                {[]key{{"17", enc, 0}, {"18", enc, 1}}, -1, []int{1, 0}},
		"one certificate for everything": {[]key{{"authentication", sign | enc, 0}}, 0, []int{0}},
		"serial as alias, no usage":      {[]key{{"authentication", sign, 0}, {"17", none, 0}, {"x", none, 0}}, 0, []int{1}},
		"newest first":                   {[]key{{"authentication", sign, 0}, {"1", enc, 1}, {"2", enc, 3}, {"3", enc, 2}}, 0, []int{2, 3, 1}},
		"nothing to use":                 {[]key{{"x", x509.KeyUsageContentCommitment, 0}}, -1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var all []Credential
			for i, k := range tc.keys {
				all = append(all, Credential{Alias: k.alias, Certificate: &x509.Certificate{
					Raw: []byte{byte(i)}, SerialNumber: big.NewInt(int64(1000 + i)), KeyUsage: k.usage,
					NotBefore: begin.AddDate(k.year, 0, 0), NotAfter: begin.AddDate(k.year+3, 0, 0),
				}})
			}
			s := newStore(all, authentication(all))
			auth, err := s.Authentication()
			if tc.auth < 0 {
				if !errors.Is(err, ErrNoAuthentication) {
					t.Errorf("got %v", err)
				}
			} else if err != nil || auth.Certificate != all[tc.auth].Certificate {
				t.Errorf("authentication is %q (%v)", auth.Alias, err)
			}
			got := s.Encryption()
			if len(got) != len(tc.encryption) {
				t.Fatalf("%d encryption keys, want %d", len(got), len(tc.encryption))
			}
			for i, want := range tc.encryption {
				if got[i].Certificate != all[want].Certificate {
					t.Errorf("encryption key %d is %q", i, got[i].Alias)
				}
			}
		})
	}
}

// Old stores may have an alias that is not the serial of the certificate beside it;
// the certificate's own serial goes first.
func TestEncryptionBySerialAlias(t *testing.T) {
	f := newFixture(t)
	s, err := Load(encode(t,
		p12.Entry{Alias: "777", Key: f.encryptionKey[0], Certificate: f.enc[0]},
		p12.Entry{Alias: f.enc[0].SerialNumber.String(), Key: f.encryptionKey[1], Certificate: f.enc[1]},
	), password)
	check(t, err)
	for serial, want := range map[int64]*x509.Certificate{
		777:                           f.enc[0],
		f.enc[0].SerialNumber.Int64(): f.enc[0],
		f.enc[1].SerialNumber.Int64(): f.enc[1],
	} {
		if c, ok := s.EncryptionBySerial(big.NewInt(serial)); !ok || !c.Certificate.Equal(want) {
			t.Errorf("serial %d: found %v", serial, ok)
		}
	}
}

func TestDecimal(t *testing.T) {
	for alias, want := range map[string]bool{
		"0": true, "82230492276784228898843151729189711553": true, strings.Repeat("9", 49): true,
		"": false, "-1": false, "+1": false, "1 ": false, "0x1": false, "1_0": false, "١": false, strings.Repeat("9", 50): false,
	} {
		if _, ok := decimal(alias); ok != want {
			t.Errorf("%q: %v", alias, ok)
		}
	}
}

// opaque is a signer as a card gives it: public key and Sign, nothing else.
type opaque struct{ inner crypto.Signer }

func (o opaque) Public() crypto.PublicKey { return o.inner.Public() }

func (o opaque) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.inner.Sign(r, digest, opts)
}

type broken struct{ opaque }

func (broken) Public() crypto.PublicKey { return "no key" }

func TestFromSigner(t *testing.T) {
	f := newFixture(t)
	for name, key := range map[string]crypto.Signer{"RSA": f.authKey, "ECDSA": ecKey()} {
		cert := issue(t, spec{usage: signs}, key, nil, nil)
		chain := []*x509.Certificate{f.ca}
		s, err := FromSigner(cert, chain, opaque{key})
		check(t, err)
		chain[0] = nil // the store has its own slice
		c, err := s.Authentication()
		check(t, err)
		signAndVerify(t, c)
		if _, ok := c.Decrypter(); ok || len(s.Encryption()) != 0 || len(c.Chain) != 1 || c.Chain[0] != f.ca {
			t.Errorf("%s: a signer became more than that", name)
		}
		check(t, s.Close())
		check(t, s.Close())
		if opened, err := Source(s).Open(t.Context()); err != nil || opened != s {
			t.Errorf("%s: a store as source: %v", name, err)
		}
	}
	for name, signer := range map[string]crypto.Signer{"nil": nil, "another key": f.encryptionKey[0], "another kind": ecKey(), "no public key": broken{}} {
		if s, err := FromSigner(f.auth, nil, signer); !errors.Is(err, ErrNoKey) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := FromSigner(nil, nil, f.authKey); !errors.Is(err, ErrNoKey) {
		t.Errorf("no certificate: %v", err)
	}
}

func TestWithOlder(t *testing.T) {
	f := newFixture(t)
	load := func(entries ...p12.Entry) *Store {
		s, err := Load(encode(t, entries...), password)
		check(t, err)
		return s
	}
	current, old, oldest := load(f.entries[2], f.entries[3]), load(f.entries[1], f.entries[2]), load(f.entries[0])
	merged := current.WithOlder(oldest, old)
	got := merged.Encryption()
	if len(got) != 3 {
		t.Fatalf("%d encryption keys, want 3", len(got))
	}
	for i, c := range got {
		if !c.Certificate.Equal(f.enc[2-i]) {
			t.Errorf("key %d: serial %v", i, c.Certificate.SerialNumber)
		}
	}
	if c, err := merged.Authentication(); err != nil || !c.Certificate.Equal(f.auth) {
		t.Errorf("authentication: %v", err)
	}
	if len(current.Encryption()) != 1 || len(old.Encryption()) != 2 {
		t.Error("a store changed")
	}
	got[0] = Credential{}
	if merged.Encryption()[0].Certificate == nil {
		t.Error("the caller's slice is the store's")
	}
	if none := oldest.WithOlder(current); !errors.Is(second(none.Authentication()), ErrNoAuthentication) {
		t.Error("an older store gave its authentication key")
	}
}

func second[T any](_ T, err error) error { return err }

// Nothing that prints may show a password, a key, an alias, a number or a name, not
// even from the unexported field of a struct around it.
func TestNothingShows(t *testing.T) {
	f := newFixture(t)
	const secretPassword = "Zq7-Kornblume"
	der, err := p12.Encode(f.entries, secretPassword, p12.Iterations(1))
	check(t, err)
	path := filepath.Join(t.TempDir(), "SSIN=70010100188.p12")
	check(t, os.WriteFile(path, der, 0o600))
	src := File(path, secretPassword)
	store, err := src.Open(t.Context())
	check(t, err)
	auth, err := store.Authentication()
	check(t, err)
	subject, err := ParseSubject(auth.Certificate)
	check(t, err)

	type hidden struct {
		src     Source
		store   *Store
		subject Subject
		Shown   any
	}
	values := []any{
		src, store, auth, subject, store.Encryption(),
		Credential{},
		hidden{src, store, subject, []any{auth, src, store, subject}},
		&hidden{src, store, subject, auth},
	}
	var text strings.Builder
	logger := slog.New(slog.NewTextHandler(&text, nil))
	jsonLogger := slog.New(slog.NewJSONHandler(&text, nil))
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&text, verb+"\n", v)
		}
	}
	for _, v := range values[:4] {
		logger.Info("test", "value", v)
		jsonLogger.Info("test", "value", fmt.Sprint(v))
	}
	jsonLogger.Info("test", "store", store, "credential", auth, "subject", subject)
	all := text.String()
	for what, secret := range map[string]string{
		"password": secretPassword, "password in hex": fmt.Sprintf("%x", secretPassword),
		"password as numbers": strings.Trim(fmt.Sprint([]byte(secretPassword)), "[]"),
		"number":              "70010100188", "name": "ALICE", "alias": f.entries[0].Alias,
		"private exponent": f.authKey.D.String(), "path": filepath.Dir(path),
	} {
		if strings.Contains(all, secret) {
			t.Errorf("%s shows in\n%s", what, all)
		}
	}
	for _, want := range []string{"keystore.Store(1 authentication, 3 encryption)", "keystore.Credential(RSA-2048)", "keystore.Subject(SSIN, redacted)"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q does not show", want)
		}
	}
	ec := Credential{Certificate: f.ca, Signer: ecKey()}
	if ec.String() != "keystore.Credential(P-256)" {
		t.Error(ec.String())
	}
}

func TestStoreIsConcurrent(t *testing.T) {
	f := newFixture(t)
	s, err := Load(f.file(t), password)
	check(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, err := s.Authentication()
			if err != nil {
				t.Error(err)
				return
			}
			signAndVerify(t, c)
			for _, e := range s.Encryption() {
				if found, ok := s.EncryptionBySerial(e.Certificate.SerialNumber); !ok || !bytes.Equal(found.Certificate.Raw, e.Certificate.Raw) {
					t.Error("not found")
				}
			}
			_ = s.Expiry(begin)
		})
	}
	wg.Wait()
}
