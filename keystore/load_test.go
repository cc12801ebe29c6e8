package keystore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/p12"
)

func TestLoad(t *testing.T) {
	f := newFixture(t)
	s, err := Load(f.file(t), password)
	check(t, err)

	auth, err := s.Authentication()
	check(t, err)
	if !auth.Certificate.Equal(f.auth) || auth.Alias != "authentication" {
		t.Errorf("another authentication entry: %s", auth.Alias)
	}
	if len(auth.Chain) != 1 || !auth.Chain[0].Equal(f.ca) {
		t.Errorf("chain of %d certificates, want the CA", len(auth.Chain))
	}
	signAndVerify(t, auth)

	enc := s.Encryption()
	if len(enc) != 3 {
		t.Fatalf("%d encryption keys, want 3", len(enc))
	}
	for i, c := range enc { // the file has them oldest first
		want := f.enc[2-i]
		if !c.Certificate.Equal(want) {
			t.Errorf("encryption key %d: serial %v, want %v", i, c.Certificate.SerialNumber, want.SerialNumber)
		}
		// Issuer and subject have the same name: the chain must not stop or turn
		// in a circle there.
		if len(c.Chain) != 2 || !c.Chain[0].Equal(f.auth) || !c.Chain[1].Equal(f.ca) {
			t.Errorf("encryption key %d: chain of %d", i, len(c.Chain))
		}
		found, ok := s.EncryptionBySerial(want.SerialNumber)
		if !ok || !found.Certificate.Equal(want) {
			t.Errorf("serial %v not found", want.SerialNumber)
		}
		decrypt(t, c)
	}
	for _, n := range []*big.Int{nil, big.NewInt(-1), big.NewInt(99999), f.auth.SerialNumber} {
		if _, ok := s.EncryptionBySerial(n); ok {
			t.Errorf("serial %v found", n)
		}
	}
}

func signAndVerify(t *testing.T, c Credential) {
	t.Helper()
	sum := sha256.Sum256([]byte("message"))
	sig, err := c.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	check(t, err)
	algorithm := x509.SHA256WithRSA
	if c.Certificate.PublicKeyAlgorithm == x509.ECDSA {
		algorithm = x509.ECDSAWithSHA256
	}
	if err := c.Certificate.CheckSignature(algorithm, []byte("message"), sig); err != nil {
		t.Errorf("%s: %v", c, err)
	}
}

func decrypt(t *testing.T, c Credential) {
	t.Helper()
	//lint:ignore SA1019 the platform's sealed messages use this padding
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, c.Certificate.PublicKey.(*rsa.PublicKey), []byte("content key"))
	check(t, err)
	d, ok := c.Decrypter()
	if !ok {
		t.Fatal("not a decrypter")
	}
	plain, err := d.Decrypt(rand.Reader, sealed, nil)
	if err != nil || string(plain) != "content key" {
		t.Errorf("decrypted %q, %v", plain, err)
	}
}

func TestPasswordTypes(t *testing.T) {
	f := newFixture(t)
	file := encode(t, f.entries[3])
	type named []byte
	wipe := []byte(password)
	if _, err := Load(file, wipe); err != nil || string(wipe) != password {
		t.Errorf("[]byte: %v, or changed", err)
	}
	if _, err := Load(file, named(password)); err != nil {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "a.p12")
	check(t, os.WriteFile(path, file, 0o600))
	src := File(path, wipe)
	clear(wipe) // the source has its own copy
	if _, err := src.Open(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLoadRefuses(t *testing.T) {
	f := newFixture(t)
	good := encode(t, f.entries[3])
	// Iterations are the last integer of the file: 65 000 and 8 388 607 have the
	// same length.
	slow, err := p12.Encode(f.entries[3:], password, p12.Iterations(65_000))
	check(t, err)
	tail := slow[len(slow)-5:]
	if !bytes.Equal(tail, []byte{2, 3, 0x00, 0xFD, 0xE8}) {
		t.Fatalf("file ends with %x", tail)
	}
	tail[2], tail[3], tail[4] = 0x7F, 0xFF, 0xFF
	negative := bytes.Clone(slow)
	negative[len(negative)-3] = 0x80
	flipped := bytes.Clone(good)
	flipped[100] ^= 1

	for name, tc := range map[string]struct {
		file     []byte
		password string
		want     error
	}{
		"wrong password":      {good, "guess", ErrPassword},
		"empty password":      {good, "", ErrPassword},
		"password beyond BMP": {good, "\U0001F511", ErrPassword},
		"damaged content":     {flipped, password, ErrPassword}, // a MAC cannot tell the two apart
		"empty":               {nil, password, ErrNotKeystore},
		"text":                {[]byte("-----BEGIN CERTIFICATE-----"), password, ErrNotKeystore},
		"a certificate":       {f.auth.Raw, password, ErrNotKeystore},
		"cut off":             {good[:len(good)-1], password, ErrNotKeystore},
		"something behind":    {append(bytes.Clone(good), 0), password, ErrNotKeystore},
		"too big":             {make([]byte, MaxSize+1), password, ErrNotKeystore},
		"endless iterations":  {slow, password, ErrNotKeystore},
		"negative iterations": {negative, password, ErrNotKeystore},
		"no MAC":              {withoutMAC(t, good), password, ErrNotKeystore},
		"no MAC, empty":       {withoutMAC(t, good), "", ErrNotKeystore},
		"deeply nested MAC":   {nestedMAC(), password, ErrNotKeystore},
		"BER of open length":  {[]byte{0x30, 0x80}, password, ErrNotKeystore},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Load(tc.file, tc.password)
			if !errors.Is(err, tc.want) || s != nil {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "guess") {
				t.Errorf("the password stands in the error: %v", err)
			}
		})
	}
}

// tlv encodes one DER element of less than 64 KiB.
func tlv(tag byte, content ...[]byte) []byte {
	body := slices.Concat(content...)
	return append([]byte{tag, 0x82, byte(len(body) >> 8), byte(len(body))}, body...)
}

// withoutMAC leaves MacData out of a PFX.
func withoutMAC(t *testing.T, file []byte) []byte {
	t.Helper()
	const header = 4 // SEQUENCE with a length of two bytes
	version, rest := file[header:header+3], file[header+3:]
	if rest[0] != 0x30 || rest[1] != 0x82 {
		t.Fatalf("authSafe begins with %x", rest[:2])
	}
	safe := rest[:4+int(rest[2])<<8+int(rest[3])]
	out := slices.Concat(version, safe)
	return append([]byte{0x30, 0x82, byte(len(out) >> 8), byte(len(out))}, out...)
}

func nestedMAC() []byte {
	mac := []byte{2, 1, 1}
	for range 100 {
		mac = append([]byte{0x30, 0x82, byte(len(mac) >> 8), byte(len(mac))}, mac...)
	}
	return append([]byte{0x30, 0x82, byte((len(mac) + 5) >> 8), byte(len(mac) + 5), 2, 1, 3, 0x30, 0}, mac...)
}

// Pairing, when the file was written by something else than the eHealth tools.
func TestPair(t *testing.T) {
	f := newFixture(t)
	newer := issue(t, spec{serial: 300, usage: signs, notBefore: begin.AddDate(1, 0, 0)}, f.authKey, f.ca, ecKey())
	key := func(k *rsa.PrivateKey, alias, id string) *pem.Block {
		return &pem.Block{Type: "PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k), Headers: map[string]string{"friendlyName": alias, "localKeyId": id}}
	}
	cert := func(c *x509.Certificate, alias, id string) *pem.Block {
		return &pem.Block{Type: "CERTIFICATE", Bytes: bytes.Clone(c.Raw), Headers: map[string]string{"friendlyName": alias, "localKeyId": id}}
	}
	sec1, err := x509.MarshalECPrivateKey(ecKey())
	check(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(f.authKey)
	check(t, err)

	for name, tc := range map[string]struct {
		blocks []*pem.Block
		want   *x509.Certificate
		alias  string
		err    error
	}{
		"by localKeyId":                  {[]*pem.Block{key(f.authKey, "a", "01"), cert(newer, "a", "02"), cert(f.auth, "b", "01")}, f.auth, "a", nil},
		"by alias":                       {[]*pem.Block{key(f.authKey, "a", ""), cert(newer, "b", ""), cert(f.auth, "a", "")}, f.auth, "a", nil},
		"by public key":                  {[]*pem.Block{key(f.authKey, "", ""), cert(f.ca, "", ""), cert(f.auth, "x", "")}, f.auth, "x", nil},
		"newest of equals":               {[]*pem.Block{key(f.authKey, "a", ""), cert(f.auth, "", ""), cert(newer, "", "")}, newer, "a", nil},
		"localKeyId of another key":      {[]*pem.Block{key(f.authKey, "a", "01"), cert(f.enc[0], "a", "01"), cert(f.auth, "", "")}, f.auth, "a", nil},
		"no names at all":                {[]*pem.Block{key(f.authKey, "", ""), cert(f.auth, "", "")}, f.auth, f.auth.SerialNumber.String(), nil},
		"unreadable certificate beside":  {[]*pem.Block{key(f.authKey, "a", ""), {Type: "CERTIFICATE", Bytes: []byte{1}}, cert(f.auth, "", "")}, f.auth, "a", nil},
		"EC key":                         {[]*pem.Block{{Type: "PRIVATE KEY", Bytes: sec1}, cert(f.ca, "ca", "")}, f.ca, "ca", nil},
		"PKCS#8 key":                     {[]*pem.Block{{Type: "PRIVATE KEY", Bytes: pkcs8}, cert(f.auth, "p8", "")}, f.auth, "p8", nil},
		"key without certificate beside": {[]*pem.Block{key(f.encryptionKey[0], "x", ""), key(f.authKey, "a", ""), cert(f.auth, "", "")}, f.auth, "a", nil},
		"key without certificate":        {[]*pem.Block{key(f.authKey, "a", ""), cert(f.ca, "", "")}, nil, "", ErrNoKey},
		"certificates only":              {[]*pem.Block{cert(f.auth, "a", "")}, nil, "", ErrNoKey},
		"nothing":                        {nil, nil, "", ErrNoKey},
		"unknown key":                    {[]*pem.Block{{Type: "PRIVATE KEY", Bytes: []byte{0x30, 0}}}, nil, "", ErrNotKeystore},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := pair(tc.blocks)
			if tc.err != nil {
				if !errors.Is(err, tc.err) {
					t.Fatalf("got %v, want %v", err, tc.err)
				}
				return
			}
			check(t, err)
			if len(all) != 1 || !all[0].Certificate.Equal(tc.want) || all[0].Alias != tc.alias {
				t.Fatalf("%d pairs, first %q", len(all), all[0].Alias)
			}
		})
	}
}

// Two CAs that certified each other are a circle by name and signature.
func TestChainCircle(t *testing.T) {
	a, b := dn(oidCN, "A"), dn(oidCN, "B")
	keyA, keyB := rsaKey(0), rsaKey(1)
	rootA := issue(t, spec{subject: a, serial: 1, ca: true, usage: x509.KeyUsageCertSign}, keyA, nil, nil)
	rootB := issue(t, spec{subject: b, serial: 2, ca: true, usage: x509.KeyUsageCertSign}, keyB, nil, nil)
	ab := bag{certificate: issue(t, spec{subject: a, serial: 3, ca: true, usage: x509.KeyUsageCertSign}, keyA, rootB, keyB)}
	ba := bag{certificate: issue(t, spec{subject: b, serial: 4, ca: true, usage: x509.KeyUsageCertSign}, keyB, rootA, keyA)}
	leaf := issue(t, spec{serial: 5}, rsaKey(2), rootA, keyA)
	if got := chain(leaf, []bag{ab, ba}); len(got) != 2 {
		t.Errorf("chain of %d, want 2", len(got))
	}
}

func TestOpenFile(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	// As the eHealth tools name them: the name alone is personal data.
	path := filepath.Join(dir, "SSIN=70010100188-20260101-120000.acc.p12")
	_, err := OpenFile(path, password)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	_, dirErr := OpenFile(dir, password)
	check(t, os.WriteFile(path, f.file(t), 0o600))
	_, wrong := OpenFile(path, "guess")
	for _, err := range []error{err, dirErr, wrong} {
		if err == nil || strings.Contains(err.Error(), "70010100188") || strings.Contains(err.Error(), dir) {
			t.Errorf("error is nil or shows the path: %v", err)
		}
	}
	s, err := OpenFile(path, []byte(password))
	check(t, err)
	if len(s.Encryption()) != 3 {
		t.Error("keys missing")
	}

	big := filepath.Join(dir, "big.p12")
	check(t, os.WriteFile(big, make([]byte, MaxSize+100), 0o600))
	if _, err := OpenFile(big, password); !errors.Is(err, ErrNotKeystore) {
		t.Errorf("big file: %v", err)
	}
}

// A source reads the file at every Open: a renewed certificate is picked up.
func TestFileSourceReadsAgain(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "a.p12")
	src := File(path, password)
	for _, entries := range [][]p12.Entry{f.entries[3:], f.entries} {
		check(t, os.WriteFile(path, encode(t, entries...), 0o600))
		s, err := src.Open(t.Context())
		check(t, err)
		if len(s.Encryption()) != len(entries)-1 {
			t.Errorf("%d encryption keys, want %d", len(s.Encryption()), len(entries)-1)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := src.Open(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
}

// The key stores of the reference vectors, written as eHealth's own tools write
// them; manifest.json has the password.
func TestVectors(t *testing.T) {
	if testing.Short() {
		t.Skip("only computes: run without -short")
	}
	dir := oracle.Shared(t, "vectors", "etee")
	var manifest struct{ Password string }
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	check(t, err)
	check(t, json.Unmarshal(data, &manifest))
	files, err := filepath.Glob(filepath.Join(dir, "keystores", "*.p12"))
	check(t, err)
	if len(files) < 15 {
		t.Fatalf("%d key stores", len(files))
	}
	stores := map[string]*Store{}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".p12")
		t.Run(name, func(t *testing.T) {
			s, err := OpenFile(path, manifest.Password)
			check(t, err)
			stores[name] = s
			auth, err := s.Authentication()
			check(t, err)
			if auth.Alias != "authentication" || len(auth.Chain) != 1 {
				t.Errorf("alias %q, chain of %d", auth.Alias, len(auth.Chain))
			}
			signAndVerify(t, auth)
			want := 1
			if name == "hospital" {
				want = 2
			}
			enc := s.Encryption()
			if len(enc) != want {
				t.Fatalf("%d encryption keys, want %d", len(enc), want)
			}
			for _, c := range enc {
				if c.Alias != c.Certificate.SerialNumber.String() {
					t.Errorf("alias %q is not the serial", c.Alias)
				}
				if len(c.Chain) < 1 || !c.Chain[0].Equal(auth.Certificate) {
					t.Error("encryption certificate is not chained to the authentication certificate")
				}
				decrypt(t, c)
			}
			if _, err := ParseSubject(auth.Certificate); err != nil {
				t.Error(err)
			}
		})
	}
	old, modern := stores["doctor"], stores["doctor-pbes2"]
	if old == nil || modern == nil || !slices.EqualFunc(old.all, modern.all, func(a, b Credential) bool {
		return a.Alias == b.Alias && a.Certificate.Equal(b.Certificate) && a.Signer.(*rsa.PrivateKey).Equal(b.Signer.(*rsa.PrivateKey))
	}) {
		t.Error("doctor.p12 and doctor-pbes2.p12 have the same content and did not give it")
	}
}

// What openssl and keytool write themselves.
func TestForeignFiles(t *testing.T) {
	openssl, keytool := oracle.Tool(t, "openssl"), oracle.Tool(t, "keytool")
	f := newFixture(t)
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
		}
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(f.authKey)
	check(t, err)
	in := filepath.Join(dir, "in.pem")
	text := slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.auth.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.ca.Raw}))
	check(t, os.WriteFile(in, text, 0o600))
	modern, legacy, copied := filepath.Join(dir, "m.p12"), filepath.Join(dir, "l.p12"), filepath.Join(dir, "k.p12")
	run(openssl, "pkcs12", "-export", "-in", in, "-out", modern, "-passout", "pass:"+password)
	run(openssl, "pkcs12", "-export", "-in", in, "-out", legacy, "-passout", "pass:"+password, "-legacy", "-name", "Authentication")
	run(keytool, "-importkeystore", "-noprompt", "-srckeystore", legacy, "-srcstoretype", "PKCS12", "-srcstorepass", password,
		"-destkeystore", copied, "-deststoretype", "PKCS12", "-deststorepass", password)
	for _, path := range []string{modern, legacy, copied} {
		s, err := OpenFile(path, password)
		check(t, err)
		auth, err := s.Authentication()
		check(t, err)
		if !auth.Certificate.Equal(f.auth) || len(auth.Chain) != 1 || !auth.Signer.(*rsa.PrivateKey).Equal(f.authKey) {
			t.Errorf("%s: something else came back", filepath.Base(path))
		}
	}
}

func FuzzLoad(f *testing.F) {
	fix := newFixture(f)
	good := encode(f, fix.entries[3])
	f.Add(good, password)
	f.Add(good, "")
	f.Add(good[:len(good)/2], password)
	f.Add(nestedMAC(), "x")
	f.Add(tlv(0x30, []byte{2, 1, 3}, tlv(0x30), tlv(0x30)), "")
	f.Fuzz(func(t *testing.T, file []byte, password string) {
		s, err := Load(file, password)
		if (s == nil) == (err == nil) {
			t.Fatalf("store %v, error %v", s, err)
		}
		if err != nil && !errors.Is(err, ErrPassword) && !errors.Is(err, ErrNotKeystore) && !errors.Is(err, ErrNoKey) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
