package p12

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"software.sslmate.com/src/go-pkcs12"
)

const password = "ehealth-test é" // é: PBES2 takes UTF-8, the MAC UTF-16

// readBack is go-pkcs12 as an independent reader.
func readBack(der []byte, password string) ([]*pem.Block, error) {
	//lint:ignore SA1019 the only function of that package that returns several keys
	return pkcs12.ToPEM(der, password)
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", filepath.Base(name), err, out, stderr.Bytes())
	}
	return out
}

// issue makes a certificate for subject; parent nil means self-signed.
func issue(t *testing.T, cn string, key crypto.Signer, parent *x509.Certificate, parentKey crypto.Signer, usage x509.KeyUsage) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn, Country: []string{"BE"}}, KeyUsage: usage,
		NotBefore: time.Unix(1767225600, 0), NotAfter: time.Unix(2398377600, 0),
		IsCA: usage&x509.KeyUsageCertSign != 0, BasicConstraintsValid: usage&x509.KeyUsageCertSign != 0,
	}
	if parent == nil {
		parent, parentKey = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// keys are slow to make, so one set serves the whole test binary.
var keys = sync.OnceValue(func() (k struct{ ca, auth, enc, old crypto.Signer }) {
	r := func() crypto.Signer {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return key
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	k.ca, k.auth, k.enc, k.old = e, r(), r(), e
	return k
})

// store is the eHealth shape: authentication and two encryption keys, one of
// them on a curve so that both key types are judged.
func store(t *testing.T) []Entry {
	t.Helper()
	k := keys()
	ca := issue(t, "TEST CA", k.ca, nil, nil, x509.KeyUsageCertSign)
	auth := issue(t, "SSIN=70010100188", k.auth, ca, k.ca, x509.KeyUsageDigitalSignature)
	enc := issue(t, "SSIN=70010100188", k.enc, auth, k.auth, x509.KeyUsageKeyEncipherment|x509.KeyUsageDataEncipherment)
	old := issue(t, "SSIN=70010100188", k.old, auth, k.auth, x509.KeyUsageKeyEncipherment|x509.KeyUsageDataEncipherment)
	return []Entry{
		{"authentication", k.auth, auth, []*x509.Certificate{ca}},
		{enc.SerialNumber.String(), k.enc, enc, []*x509.Certificate{auth, ca}},
		{old.SerialNumber.String(), k.old, old, []*x509.Certificate{auth, ca}},
	}
}

func pkcs8(t *testing.T, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestGoPKCS12Reads(t *testing.T) {
	entries := store(t)
	der, err := Encode(entries, password)
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := readBack(der, password)
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) != 3+3+1 {
		t.Fatalf("%d bags, want 3 keys, 3 certificates and the CA once", len(blocks))
	}
	for i, e := range entries {
		key, cert := blocks[i], blocks[3+i]
		raw := key.Bytes
		if k, ok := e.Key.(*rsa.PrivateKey); ok && !bytes.Equal(raw, x509.MarshalPKCS1PrivateKey(k)) {
			t.Errorf("entry %d: another RSA key came back", i)
		}
		if k, ok := e.Key.(*ecdsa.PrivateKey); ok {
			if want, err := x509.MarshalECPrivateKey(k); err != nil || !bytes.Equal(raw, want) {
				t.Errorf("entry %d: another EC key came back (%v)", i, err)
			}
		}
		if !bytes.Equal(cert.Bytes, e.Certificate.Raw) {
			t.Errorf("entry %d: another certificate came back", i)
		}
		for _, b := range []*pem.Block{key, cert} {
			if b.Headers["friendlyName"] != e.Alias {
				t.Errorf("entry %d: friendlyName %q", i, b.Headers["friendlyName"])
			}
		}
		if id := key.Headers["localKeyId"]; id == "" || id != cert.Headers["localKeyId"] {
			t.Errorf("entry %d: localKeyId of key and certificate differ", i)
		}
	}
	if _, err := readBack(der, password+"x"); err != pkcs12.ErrIncorrectPassword {
		t.Errorf("wrong password: %v", err)
	}
}

func TestOpenSSLReads(t *testing.T) {
	openssl := oracle.Tool(t, "openssl")
	entries := store(t)
	file := write(t, entries, password)
	out := run(t, openssl, "pkcs12", "-in", file, "-passin", "pass:"+password, "-nodes", "-info")
	checkPEM(t, out, entries)

	cmd := exec.Command(openssl, "pkcs12", "-in", file, "-passin", "pass:wrong", "-nodes")
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("invalid password")) {
		t.Errorf("openssl with a wrong password: %v\n%s", err, out)
	}
}

// checkPEM compares what openssl printed with the entries, keys byte for byte.
func checkPEM(t *testing.T, out []byte, entries []Entry) {
	t.Helper()
	var gotKeys, gotCerts [][]byte
	for rest := out; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type == "PRIVATE KEY" {
			gotKeys = append(gotKeys, b.Bytes)
		} else {
			gotCerts = append(gotCerts, b.Bytes)
		}
	}
	if len(gotKeys) != len(entries) || len(gotCerts) != len(entries)+1 {
		t.Fatalf("%d keys and %d certificates, want %d and %d", len(gotKeys), len(gotCerts), len(entries), len(entries)+1)
	}
	for i, e := range entries {
		if !bytes.Equal(gotKeys[i], pkcs8(t, e.Key)) {
			t.Errorf("entry %d: another key came back", i)
		}
		if !bytes.Equal(gotCerts[i], e.Certificate.Raw) {
			t.Errorf("entry %d: another certificate came back", i)
		}
		if n := bytes.Count(out, []byte("friendlyName: "+e.Alias+"\n")); n != 2 {
			t.Errorf("entry %d: alias printed %d times, want 2 (key and certificate)", i, n)
		}
	}
}

func write(t *testing.T, entries []Entry, password string, opts ...Option) string {
	t.Helper()
	der, err := Encode(entries, password, opts...)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "store.p12")
	if err := os.WriteFile(file, der, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestKeytoolReads(t *testing.T) {
	keytool := oracle.Tool(t, "keytool")
	entries := store(t)
	const ascii = "ehealth-test" // keytool reads arguments in the platform's charset
	file := write(t, entries, ascii)
	args := []string{"-J-Duser.language=en", "-keystore", file, "-storetype", "PKCS12", "-storepass", ascii}
	list := string(run(t, keytool, append([]string{"-list", "-v"}, args...)...))

	for _, e := range entries {
		// The certificate printed under the alias must be that alias's own.
		want := regexp.MustCompile(`(?s)Alias name: ` + e.Alias + `\s.{0,120}?Entry type: PrivateKeyEntry.*?Serial number: ` + e.Certificate.SerialNumber.Text(16) + `\s`)
		if !want.MatchString(list) {
			t.Errorf("keytool does not show %s as a key with its own certificate:\n%s", e.Alias, list)
		}
	}
	if !strings.Contains(list, "contains 3 entries") {
		t.Errorf("keytool does not count 3 entries:\n%s", list)
	}

	// keytool can open the keys, not only list them: it writes each of them
	// into a store of its own, which openssl then prints.
	openssl := oracle.Tool(t, "openssl")
	copied := filepath.Join(t.TempDir(), "copy.p12")
	run(t, keytool, "-importkeystore", "-noprompt", "-srckeystore", file, "-srcstoretype", "PKCS12", "-srcstorepass", ascii,
		"-destkeystore", copied, "-deststoretype", "PKCS12", "-deststorepass", ascii)
	out := run(t, openssl, "pkcs12", "-in", copied, "-passin", "pass:"+ascii, "-nodes", "-nocerts")
	var got [][]byte
	for rest := out; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		got = append(got, b.Bytes)
	}
	for i, e := range entries {
		if !slices.ContainsFunc(got, func(der []byte) bool { return sameKey(t, der, e.Key) }) {
			t.Errorf("entry %d: its key did not survive keytool", i)
		}
	}
}

// sameKey compares values, since the JDK leaves the public point out of EC keys.
func sameKey(t *testing.T, der []byte, want crypto.PrivateKey) bool {
	t.Helper()
	got, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return got.(interface{ Equal(crypto.PrivateKey) bool }).Equal(want)
}

func TestIterations(t *testing.T) {
	openssl := oracle.Tool(t, "openssl")
	entries := store(t)
	for _, n := range []int{0, 1, 123_457} {
		file := write(t, entries, password, Iterations(n))
		want := n
		if n == 0 {
			want = DefaultIterations
		}
		cmd := exec.Command(openssl, "pkcs12", "-in", file, "-passin", "pass:"+password, "-info", "-noout")
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl: %v\n%s", err, out)
		}
		text := string(out)
		if !strings.Contains(text, "MAC: sha256, Iteration "+big.NewInt(int64(want)).String()+"\n") {
			t.Errorf("%d rounds: MAC line differs:\n%s", n, text)
		}
		line := "PBES2, PBKDF2, AES-256-CBC, Iteration " + big.NewInt(int64(want)).String() + ", PRF hmacWithSHA256"
		if strings.Count(text, line) != 4 { // three keys and the certificates
			t.Errorf("%d rounds: want 4 lines %q:\n%s", n, line, text)
		}
	}
	for _, n := range []int{-1, MaxIterations + 1} {
		if _, err := Encode(entries, password, Iterations(n)); err == nil {
			t.Errorf("%d rounds accepted", n)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	good := store(t)
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Entry)) []Entry {
		e := slices.Clone(good)
		change(&e[1])
		return e
	}
	for name, tc := range map[string]struct {
		entries  []Entry
		password string
	}{
		"no entries":            {nil, password},
		"empty password":        {good, ""},
		"password outside BMP":  {good, "\U0001F511"},
		"password not UTF-8":    {good, "a\xff"},
		"alias outside BMP":     {with(func(e *Entry) { e.Alias = "\U0001F511" }), password},
		"alias empty":           {with(func(e *Entry) { e.Alias = "" }), password},
		"alias taken":           {with(func(e *Entry) { e.Alias = "Authentication" }), password},
		"no certificate":        {with(func(e *Entry) { e.Certificate = nil }), password},
		"nil in chain":          {with(func(e *Entry) { e.Chain = []*x509.Certificate{nil} }), password},
		"no key":                {with(func(e *Entry) { e.Key = nil }), password},
		"typed nil key":         {with(func(e *Entry) { e.Key = (*rsa.PrivateKey)(nil) }), password},
		"key of another kind":   {with(func(e *Entry) { e.Key = ed }), password},
		"key of another person": {with(func(e *Entry) { e.Key = good[0].Key }), password},
	} {
		t.Run(name, func(t *testing.T) {
			der, err := Encode(tc.entries, tc.password)
			if err == nil || der != nil {
				t.Fatalf("accepted: %d bytes, %v", len(der), err)
			}
			for _, secret := range []string{password, good[1].Alias, "70010100188"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error text holds %q: %v", secret, err)
				}
			}
		})
	}
}

// Two stores with the same content share neither salt nor IV.
func TestFreshRandomness(t *testing.T) {
	seen := make(map[string]bool)
	for range 2 {
		c, err := newCipher(password, 1)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(c.salt)], seen[string(c.iv)] = true, true

		der, err := Encode(store(t)[:1], password, Iterations(1))
		if err != nil {
			t.Fatal(err)
		}
		const iterations = 3 // the INTEGER 1 ends the file, the MAC's salt stands before it
		seen[string(der[len(der)-iterations-saltSize:len(der)-iterations])] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d different values, want 6", len(seen))
	}
}

func ExampleEncode() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(42), Subject: pkix.Name{CommonName: "CBE=0809394427"},
		NotBefore: time.Unix(1767225600, 0), NotAfter: time.Unix(2398377600, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	file, err := Encode([]Entry{
		{Alias: "authentication", Key: key, Certificate: cert},
		{Alias: cert.SerialNumber.String(), Key: key, Certificate: cert},
	}, "a long random password")
	if err != nil {
		panic(err)
	}
	blocks, err := readBack(file, "a long random password")
	if err != nil {
		panic(err)
	}
	for _, b := range blocks {
		fmt.Println(b.Type, b.Headers["friendlyName"])
	}
	// Output:
	// PRIVATE KEY authentication
	// PRIVATE KEY 42
	// CERTIFICATE authentication
	// CERTIFICATE 42
}
