//go:build pkcs11

package keystore

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ThalesGroup/crypto11"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

const (
	userPIN = "48151623"
	hsmName = "ehealth test"
)

// hsm is a SoftHSM token in a directory of its own.
type hsm struct {
	module, util string
	slot         int
}

// newHSM initialises an empty token.
func newHSM(t *testing.T) hsm {
	t.Helper()
	h := hsm{util: oracle.Tool(t, "softhsm2-util")}
	for _, path := range []string{
		"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so",
	} {
		if _, err := os.Stat(path); err == nil {
			h.module = path
		}
	}
	if h.module == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("libsofthsm2.so is not installed")
		}
		t.Skip("libsofthsm2.so is not installed")
	}
	dir := t.TempDir()
	tokens, conf := filepath.Join(dir, "tokens"), filepath.Join(dir, "softhsm2.conf")
	check(t, os.Mkdir(tokens, 0o700))
	check(t, os.WriteFile(conf, []byte("directories.tokendir = "+tokens+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600))
	t.Setenv("SOFTHSM2_CONF", conf) // read by the module when it is loaded
	out := h.run(t, "--init-token", "--free", "--label", hsmName, "--pin", userPIN, "--so-pin", "12345678")
	_, number, ok := strings.Cut(out, "reassigned to slot ")
	if _, err := fmt.Sscan(number, &h.slot); !ok || err != nil {
		t.Fatalf("softhsm2-util says %q", out)
	}
	return h
}

func (h hsm) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(h.util, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	return string(out)
}

func pin(p string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return []byte(p), nil }
}

func (h hsm) token() Token { return Token{Module: h.module, Label: hsmName, PIN: pin(userPIN)} }

// fill runs f with the token open.
func (h hsm) fill(t *testing.T, f func(*crypto11.Context)) {
	t.Helper()
	c, err := crypto11.Configure(&crypto11.Config{Path: h.module, TokenLabel: hsmName, Pin: userPIN})
	check(t, err)
	defer func() { check(t, c.Close()) }()
	f(c)
}

// certify makes a certificate for a key in the token, signed by that key, and
// stores it beside the key.
func certify(t *testing.T, c *crypto11.Context, id byte, label string, key crypto.Signer, s spec) *x509.Certificate {
	t.Helper()
	cert := issue(t, s, key, nil, nil)
	check(t, c.ImportCertificateWithLabel([]byte{id}, []byte(label), cert))
	return cert
}

// verifyWithOpenSSL judges a signature over "message" independently.
func verifyWithOpenSSL(t *testing.T, cert *x509.Certificate, sig []byte, args ...string) {
	t.Helper()
	openssl, dir := oracle.Tool(t, "openssl"), t.TempDir()
	spki, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	check(t, err)
	for name, data := range map[string][]byte{
		"key": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), "sig": sig, "msg": []byte("message"),
	} {
		check(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	args = append([]string{"dgst", "-sha256", "-verify", "key", "-signature", "sig"}, args...)
	cmd := exec.Command(openssl, append(args, "msg")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Verified OK") {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

func sign(t *testing.T, s crypto.Signer, opts crypto.SignerOpts) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte("message"))
	sig, err := s.Sign(rand.Reader, sum[:], opts)
	check(t, err)
	return sig
}

// The eHealth shape in a token: RSA authentication key generated there, encryption
// key imported from a file under its serial number.
func TestPKCS11RSA(t *testing.T) {
	h := newHSM(t)
	encKey := rsaKey(1)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(encKey)
	check(t, err)
	file := filepath.Join(t.TempDir(), "key.pem")
	check(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	enc := issue(t, spec{serial: 1700, usage: encrypts}, encKey, nil, nil)
	h.run(t, "--import", file, "--token", hsmName, "--label", enc.SerialNumber.String(), "--id", "02", "--pin", userPIN)

	var auth *x509.Certificate
	h.fill(t, func(c *crypto11.Context) {
		key, err := c.GenerateRSAKeyPairWithLabel([]byte{1}, []byte("Authentication"), 2048)
		check(t, err)
		auth = certify(t, c, 1, "Authentication", key, spec{serial: 1600, usage: signs})
		check(t, c.ImportCertificateWithLabel([]byte{2}, []byte("encryption"), enc))
		// A key without certificate, and one that is not for authentication, as on
		// an identity card.
		_, err = c.GenerateRSAKeyPairWithLabel([]byte{3}, []byte("lonely"), 2048)
		check(t, err)
		key, err = c.GenerateRSAKeyPairWithLabel([]byte{4}, []byte("Signature"), 2048)
		check(t, err)
		certify(t, c, 4, "Signature", key, spec{serial: 1800, usage: x509.KeyUsageContentCommitment, notBefore: begin.AddDate(1, 0, 0)})
	})

	s, err := PKCS11(h.token()).Open(t.Context())
	check(t, err)
	defer s.Close()
	c, err := s.Authentication()
	check(t, err)
	if !c.Certificate.Equal(auth) || c.Alias != "Authentication" {
		t.Errorf("authentication is %q", c.Alias)
	}
	if _, inMemory := c.Signer.(*rsa.PrivateKey); inMemory {
		t.Fatal("the key has left the token")
	}
	signAndVerify(t, c)
	verifyWithOpenSSL(t, auth, sign(t, c.Signer, crypto.SHA256))
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	verifyWithOpenSSL(t, auth, sign(t, c.Signer, pss), "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32")

	keys := s.Encryption()
	if len(keys) != 1 || !keys[0].Certificate.Equal(enc) {
		t.Fatalf("%d encryption keys", len(keys))
	}
	found, ok := s.EncryptionBySerial(enc.SerialNumber)
	if !ok {
		t.Fatal("encryption key not found by serial number")
	}
	decrypt(t, found)

	var wg sync.WaitGroup // more signatures at a time than sessions
	for range 20 {
		wg.Go(func() { signAndVerify(t, c) })
	}
	wg.Wait()

	check(t, s.Close())
	check(t, s.Close())
	sum := sha256.Sum256([]byte("message"))
	if _, err := c.Signer.Sign(rand.Reader, sum[:], crypto.SHA256); err == nil {
		t.Error("a signer of a closed store signs")
	}
}

func TestPKCS11ECDSA(t *testing.T) {
	h := newHSM(t)
	certs := map[string]*x509.Certificate{}
	h.fill(t, func(c *crypto11.Context) {
		for i, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
			label := curve.Params().Name
			key, err := c.GenerateECDSAKeyPairWithLabel([]byte{byte(i)}, []byte(label), curve)
			check(t, err)
			certs[label] = certify(t, c, byte(i), label, key, spec{serial: int64(i), usage: signs})
		}
	})
	for label, want := range certs {
		tok := h.token()
		tok.Key = strings.ToLower(label)
		s, err := OpenToken(t.Context(), tok)
		check(t, err)
		c, err := s.Authentication()
		check(t, err)
		if !c.Certificate.Equal(want) {
			t.Errorf("asked for %s, got %s", label, c)
		}
		signAndVerify(t, c)
		verifyWithOpenSSL(t, want, sign(t, c.Signer, crypto.SHA256))
		check(t, s.Close())
	}

	tok := h.token()
	tok.Key = "not there"
	s, err := OpenToken(t.Context(), tok)
	check(t, err)
	defer s.Close()
	if _, err := s.Authentication(); !errors.Is(err, ErrNoAuthentication) {
		t.Errorf("key that is not there: %v", err)
	}
}

func TestPKCS11Refuses(t *testing.T) {
	h := newHSM(t)
	slot := 1 << 20
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	asked := errors.New("window closed")
	for name, tc := range map[string]struct {
		change func(*Token)
		ctx    context.Context
		want   error
	}{
		"wrong PIN":         {func(k *Token) { k.PIN = pin("00000000") }, nil, ErrPassword},
		"PIN too short":     {func(k *Token) { k.PIN = pin("1") }, nil, ErrPassword},
		"PIN not given":     {func(k *Token) { k.PIN = func(context.Context) ([]byte, error) { return nil, asked } }, nil, asked},
		"empty token":       {func(*Token) {}, nil, ErrNoKey},
		"no such token":     {func(k *Token) { k.Label = "other" }, nil, ErrNoToken},
		"no such slot":      {func(k *Token) { k.Label, k.Slot = "", &slot }, nil, ErrNoToken},
		"no such module":    {func(k *Token) { k.Module = filepath.Join(t.TempDir(), "none.so") }, nil, ErrNoToken},
		"no module":         {func(k *Token) { k.Module = "" }, nil, nil},
		"neither of two":    {func(k *Token) { k.Label = "" }, nil, nil},
		"both label, slot":  {func(k *Token) { k.Slot = &slot }, nil, nil},
		"context has ended": {func(*Token) {}, canceled, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			tok, ctx := h.token(), tc.ctx
			tc.change(&tok)
			if ctx == nil {
				ctx = t.Context()
			}
			s, err := OpenToken(ctx, tok)
			if s != nil || err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if strings.Contains(err.Error(), userPIN) || strings.Contains(fmt.Sprintf("%+v %#v", tok, tok), userPIN) {
				t.Errorf("the PIN shows: %v", err)
			}
		})
	}
}

// Without login a token hides its private keys; only middleware that asks for the
// PIN itself shows them.
func TestPKCS11WithoutLogin(t *testing.T) {
	h := newHSM(t)
	h.fill(t, func(c *crypto11.Context) {
		key, err := c.GenerateECDSAKeyPairWithLabel([]byte{1}, []byte("authentication"), elliptic.P256())
		check(t, err)
		certify(t, c, 1, "authentication", key, spec{usage: signs})
	})
	tok := h.token()
	tok.PIN = nil
	if _, err := OpenToken(t.Context(), tok); !errors.Is(err, ErrNoKey) {
		t.Errorf("without login: %v", err)
	}
	tok = Token{Module: h.module, Slot: &h.slot, PIN: pin(userPIN)}
	s, err := OpenToken(t.Context(), tok)
	check(t, err)
	defer s.Close()
	c, err := s.Authentication()
	check(t, err)
	signAndVerify(t, c)
}
