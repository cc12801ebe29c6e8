package bcp_test

import (
	"context"
	"fmt"
	"log"

	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

func Example() {
	platform, err := sandbox.New(sandbox.Config{Patients: -1})
	if err != nil {
		log.Fatal(err)
	}
	defer platform.Close()

	dir, err := bcp.New(bcp.Config{
		Environment: "Simulation",
		URLs:        []string{platform.ListURL(1)},
		HTTP:        platform.HTTPClient(),
		Trust:       bcp.Trust{Roots: platform.Roots()},
		OnEvent: func(e bcp.Event) {
			fmt.Println(e.Kind, "from", e.Source)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer dir.Close()
	// dir.Start() would poll in the background; this asks now.
	ctx := context.Background()
	if err := dir.Refresh(ctx); err != nil {
		log.Fatal(err)
	}
	const service = "uddi:ehealth-fgov-be:business:genericinsurability:v1"
	router := bcp.NewRouter(bcp.RouterConfig{Directory: dir})
	e, _ := router.Route(service, resilience.Read).Endpoint()
	fmt.Println("at rest:", e.URL)

	// The platform orders a switch.
	if err := platform.SetList(sandbox.ListState{Set: []sandbox.ListEntry{{Service: "genins", Order: 1, Active: true}}}); err != nil {
		log.Fatal(err)
	}
	if err := dir.Refresh(ctx); err != nil {
		log.Fatal(err)
	}
	e, _ = router.Route(service, resilience.Read).Endpoint()
	fmt.Println("ordered:", e.URL)

	// Somebody else's list changes nothing.
	if err := platform.SetList(sandbox.ListState{Defect: sandbox.ListSelfSigned}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(dir.Refresh(ctx))
	e, _ = router.Route(service, resilience.Read).Endpoint()
	fmt.Println("still:  ", e.URL)
	// Output:
	// installed from network
	// at rest: https://genins.sandbox.test/GenericInsurability/v1
	// installed from network
	// ordered: https://genins-direct.sandbox.test/ehealth/bcp/genericinsurability/v1
	// refused from network
	// service list: self-signed signer
	// still:   https://genins-direct.sandbox.test/ehealth/bcp/genericinsurability/v1
}
