package wsse_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func Example() {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // a pharmacy's keystore, a card, an HSM
	cred := newIdentity("pharmacy", key).cred

	msg, err := wsse.X509([]byte(`<Question xmlns="urn:example"/>`), cred, wsse.Stamp{Now: now})
	if err != nil {
		fmt.Println(err)
		return
	}

	root, err := xmltree.Parse(msg, xmltree.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := wsse.Verify(root, wsse.Policy{Now: now.Add(time.Second)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.Profile, v.Certificate.Subject.CommonName, v.Expires.Sub(v.Created))

	_, err = wsse.Verify(root, wsse.Policy{Now: now.Add(time.Hour)})
	fmt.Println(err)
	// Output:
	// X.509 SSIN=pharmacy 1m0s
	// wsse: message expired: past its Expires
}
