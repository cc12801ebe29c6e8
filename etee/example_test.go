package etee_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// exampleTrust stands for the trust anchors of an environment.
func exampleTrust() etee.Trust {
	roots := x509.NewCertPool()
	pem, err := os.ReadFile("testdata/vectors/pki/root.pem")
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		log.Fatal("no trust anchors")
	}
	return etee.Trust{Roots: roots}
}

func open(file string) *keystore.Store {
	store, err := keystore.OpenFile(file, "ehealth-test")
	if err != nil {
		log.Fatal(err)
	}
	return store
}

// A doctor seals a letter for a hospital, whose ETK comes from the depot, and the hospital opens it.
func Example() {
	auth, err := open("testdata/vectors/keystores/doctor.p12").Authentication()
	if err != nil {
		log.Fatal(err)
	}
	fromTheDepot, err := os.ReadFile("testdata/vectors/etk/hospital.etk.b64")
	if err != nil {
		log.Fatal(err)
	}
	token, err := etee.ParseETKBase64(fromTheDepot)
	if err != nil {
		log.Fatal(err)
	}
	hospital, err := token.Check(exampleTrust(), etee.Policy{}, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	sealer, err := etee.NewSealer(auth)
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := sealer.Seal([]byte("Dear colleague, …"), hospital)
	if err != nil {
		log.Fatal(err)
	}

	opener, err := etee.NewOpener(open("testdata/vectors/keystores/hospital.p12"), exampleTrust(), etee.Policy{NonRepudiation: true})
	if err != nil {
		log.Fatal(err)
	}
	msg, err := opener.Open(sealed)
	if err != nil {
		log.Fatal(err)
	}
	sender, err := msg.Report.Sender()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(msg.Content))
	fmt.Println(sender.Type, msg.Report)
	// Output:
	// Dear colleague, …
	// SSIN etee.Report(accepted)
}

// For a recipient who is not known yet the message is sealed with a key that the platform keeps and hands out.
func ExampleForKEK() {
	auth, err := open("testdata/vectors/keystores/doctor.p12").Authentication()
	if err != nil {
		log.Fatal(err)
	}
	key, err := etee.NewKEK([]byte("identifier from the KGSS"), []byte("key of the KGSS!"))
	if err != nil {
		log.Fatal(err)
	}
	sealer, err := etee.NewSealer(auth)
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := sealer.Seal([]byte("prescription"), etee.ForKEK(key))
	if err != nil {
		log.Fatal(err)
	}
	opener, err := etee.NewOpener(nil, exampleTrust(), etee.Policy{NonRepudiation: true})
	if err != nil {
		log.Fatal(err)
	}
	msg, err := opener.Open(sealed, etee.WithKEK(key))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(msg.Content))
	// Output: prescription
}

// A refusal does not say why; its report does, for the own log.
func ExampleRefusal() {
	opener, err := etee.NewOpener(open("testdata/vectors/keystores/hospital.p12"), exampleTrust(), etee.Policy{})
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := os.ReadFile("testdata/vectors/msg/neg-expired.cms")
	if err != nil {
		log.Fatal(err)
	}
	_, err = opener.Open(sealed)
	fmt.Println(err)
	if refusal, ok := errors.AsType[*etee.Refusal](err); ok {
		fmt.Println(refusal.Report.Errors)
	}
	fmt.Println(errors.Is(err, etee.OuterCertificateExpired))
	// Output:
	// etee: refused
	// [etee: OUTER_CERTIFICATE_EXPIRED etee: OUTER_CERTIFICATE_CHAIN_NOT_TRUSTED]
	// true
}
