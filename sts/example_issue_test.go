package sts

import (
	"context"
	"fmt"

	"github.com/ehealth-continuity/ehealth/identity"
)

// A doctor logs in with an identity card; the token is bound to the eHealth certificate. The
// STS of this example is a stand-in that grants everything but the recognition as doctor.
func ExampleClient_Issue() {
	standIn := &fakeSTS{order: func(o *order) { o.attributes[2].Values = []string{"false"} }}
	client, err := New(exchanger(standIn, nil), Config{
		Identification: world().card,    // keystore: the card
		HolderOfKey:    world().ehealth, // keystore: the .p12 file
		Trust:          Trust{Roots: world().roots},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := client.Issue(context.Background(), Request{
		Identity: Identity{Quality: identity.Doctor, SSIN: testSSIN},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("messages:", standIn.count())
	for _, claim := range token.Refused {
		fmt.Println("not granted:", claim.Name)
	}
	// Output:
	// messages: 2
	// not granted: urn:be:fgov:person:ssin:doctor:boolean
}
