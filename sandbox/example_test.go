package sandbox_test

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// A sandbox without sockets, a client that reaches it, and a service list that is unavailable for a while.
func Example() {
	sb, err := sandbox.New(sandbox.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer sb.Close()
	client := sb.HTTPClient()

	ask := func() {
		rs, err := client.Get(sb.ListURL(1) + ".sha2")
		if err != nil {
			fmt.Println(err)
			return
		}
		defer rs.Body.Close()
		fmt.Println(rs.StatusCode, http.StatusText(rs.StatusCode))
	}
	ask()
	run, err := sb.Apply(sandbox.Script{Steps: []sandbox.Step{
		{Service: "servicelist", For: time.Hour, Fault: sandbox.HTTPAnswer{Status: 503}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	ask()
	run.Cancel()
	ask()
	// Output:
	// 200 OK
	// 503 Service Unavailable
	// 200 OK
}

// The certificate of a synthetic doctor.
func ExamplePerson_Authentication() {
	sb, err := sandbox.New(sandbox.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer sb.Close()
	doctor := sb.Person(identity.Doctor, 0)
	cred, err := doctor.Authentication()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cred.Certificate.Subject.CommonName == "SSIN="+doctor.SSIN.Reveal())
	fmt.Println(cred.Certificate.Subject.Organization[0])
	// Output:
	// true
	// Federal Government
}

// A script in its text form, read and printed.
func ExampleParseScript() {
	sc, err := sandbox.ParseScript(`
incident MINE 2018-06-12T08:00+02:00
about the ESB slows down, then refuses
esb      0  600  slow    median_ms=4000;sigma=0.8;cap_ms=60000
esb    600  300  refuse`)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sc.ID, "lasts", sc.End())
	fmt.Println(sc.Steps[1])

	_, err = sandbox.ParseScript("esb 600 300 refuse p=2")
	fmt.Println(err)
	// Output:
	// MINE lasts 15m0s
	// esb 600 300 refuse -
	// fault script: line 1, column 20: refuse: p: must be above 0 and at most 1
}
