package keystore_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/p12"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// demo makes the certificate of an invented pharmacy, valid for 20 days.
func demo() (*ecdsa.PrivateKey, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject: pkix.Name{
			CommonName:         "NIHII-PHARMACY=27999940",
			OrganizationalUnit: []string{"eHealth-platform Belgium", "TESTAPOTHEEK", "NIHII-PHARMACY=27999940"},
		},
		KeyUsage:  x509.KeyUsageDigitalSignature,
		NotBefore: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(2026, 6, 21, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return key, cert
}

func Example() {
	key, cert := demo()
	file, err := p12.Encode([]p12.Entry{{Alias: "authentication", Key: key, Certificate: cert}}, "a long password")
	if err != nil {
		panic(err)
	}

	store, err := keystore.Load(file, "a long password")
	if err != nil {
		panic(err)
	}
	auth, err := store.Authentication()
	if err != nil {
		panic(err)
	}
	subject, err := keystore.ParseSubject(auth.Certificate)
	if err != nil {
		panic(err)
	}
	fmt.Println(store)
	fmt.Println(auth)
	fmt.Println(subject)
	fmt.Println(subject.NIHII.Reveal(), subject.RevealName())

	_, err = keystore.Load(file, "a guess")
	fmt.Println(errors.Is(err, keystore.ErrPassword))
	// Output:
	// keystore.Store(1 authentication, 0 encryption)
	// keystore.Credential(P-256)
	// keystore.Subject(NIHII-PHARMACY, redacted)
	// 27999940 TESTAPOTHEEK
	// true
}

func ExampleFile() {
	key, cert := demo()
	data, err := p12.Encode([]p12.Entry{{Alias: "authentication", Key: key, Certificate: cert}}, "a long password")
	if err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "pharmacy.p12")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		panic(err)
	}

	source := keystore.File(path, "a long password") // nothing is read yet
	store, err := source.Open(context.Background())
	fmt.Println(store, err)

	_, err = keystore.File(filepath.Join(dir, "SSIN=70010100188.p12"), "x").Open(context.Background())
	fmt.Println(err)
	// Output:
	// keystore.Store(1 authentication, 0 encryption) <nil>
	// keystore: read file: no such file or directory
}

// A card, a hardware module or a remote service signs: anything that is a
// crypto.Signer will do.
func ExampleFromSigner() {
	key, cert := demo()
	var card crypto.Signer = key

	store, err := keystore.FromSigner(cert, nil, card)
	if err != nil {
		panic(err)
	}
	auth, err := store.Authentication()
	if err != nil {
		panic(err)
	}
	digest := sha256.Sum256([]byte("message"))
	signature, err := auth.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	fmt.Println(err, auth.Certificate.CheckSignature(x509.ECDSAWithSHA256, []byte("message"), signature))
	// Output: <nil> <nil>
}

func ExampleCredential_Expiry() {
	_, cert := demo()
	auth := keystore.Credential{Certificate: cert}
	for _, day := range []int{1, 7, 14, 21, 22} {
		w := auth.Expiry(time.Date(2026, 6, day, 0, 0, 0, 0, time.UTC))
		fmt.Println(day, "June:", w.Level, w.Notice, w.Date.Format(time.DateOnly))
	}
	// Output:
	// 1 June: 30 days D-CERT-SOON 2026-06-21
	// 7 June: 14 days D-CERT-SOON 2026-06-21
	// 14 June: 7 days D-CERT-SOON 2026-06-21
	// 21 June: 7 days D-CERT-SOON 2026-06-21
	// 22 June: expired D-CERT-SOON 2026-06-21
}

func ExampleParseSubject() {
	_, cert := demo()
	s, err := keystore.ParseSubject(cert)
	if err != nil {
		panic(err)
	}
	fmt.Println(s) // safe to print
	fmt.Println(s.Type, s.Reveal(), s.CheckOK())
	// Output:
	// keystore.Subject(NIHII-PHARMACY, redacted)
	// NIHII-PHARMACY 27999940 true
}
