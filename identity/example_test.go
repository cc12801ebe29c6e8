package identity_test

import (
	"errors"
	"fmt"

	"github.com/ehealth-continuity/ehealth/identity"
)

func Example() {
	patient, err := identity.ParseSSIN("85073199704")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(patient)
	fmt.Println(patient.Sex(), patient.Born2000(), patient.BIS())
	fmt.Println(patient.Reveal())

	_, err = identity.ParseSSIN("85073199705")
	fmt.Println(err, errors.Is(err, identity.ErrCheck))
	// Output:
	// SSIN(redacted)
	// male false false
	// 85073199704
	// identity: SSIN: wrong check digits true
}

func ExampleParseNIHIILenient() {
	n, err := identity.ParseNIHIILenient("1-99999-16-001")
	fmt.Println(n, err)
	if !n.CheckOK() {
		fmt.Println("please check the number")
	}
	// Output:
	// NIHII(redacted) <nil>
	// please check the number
}

func ExampleNIHII_Full() {
	house := identity.MustNIHII("89999964")
	fmt.Println(house.Form(), house.Full())
	// Output: organisation 89999964000
}

func ExampleNewSSIN() {
	p, err := identity.NewSSIN(2015, 7, 31, 998)
	fmt.Println(p.Reveal(), err)
	// Output: 15073199817 <nil>
}
