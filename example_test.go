package ehealth_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// A doctor asks whether a patient is insured. The platform is a sandbox in this process; for
// the real one leave Services and Transport out, choose another Environment, and take Identity
// from a file with [keystore.File].
func ExampleOpen() {
	platform, err := sandbox.New(sandbox.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer platform.Close()
	cfg, err := doctor(platform)
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	for _, number := range []string{"85073199704", "15073199817", "00000000097"} {
		patient, err := identity.ParseSSIN(number)
		if err != nil {
			fmt.Println(err)
			return
		}
		a, err := p.Insurability.Check(ctx, insurability.Query{Patient: patient})
		switch e, _ := errors.AsType[*ehealth.Error](err); {
		case errors.Is(err, fault.ErrNotFound):
			fmt.Println("not found, outcome", e.Outcome, "code", e.Code)
		case err != nil:
			fmt.Println("no answer; show notice", e.Notice)
		default:
			fmt.Println("insured", a.Insured, a.Mutuality, a.CT1+"/"+a.CT2, "preferential", a.Preferential, "from", a.Source)
		}
	}

	// Output:
	// insured yes 319 110/110 preferential no from live
	// insured yes 319 111/111 preferential yes from live
	// not found, outcome rejected code INPUT_ERROR/23
}

// doctor is the configuration of the sandbox's first doctor.
func doctor(platform *sandbox.Sandbox) (ehealth.Config, error) {
	person := platform.Person(identity.Doctor, 0)
	cert, err := person.Authentication()
	if err != nil {
		return ehealth.Config{}, err
	}
	store, err := keystore.FromSigner(cert.Certificate, cert.Chain, cert.Key)
	if err != nil {
		return ehealth.Config{}, err
	}
	services := make(map[string][]resilience.Endpoint)
	for id, endpoints := range platform.Services() {
		for _, e := range endpoints {
			services[id] = append(services[id], resilience.Endpoint(e))
		}
	}
	return ehealth.Config{
		Environment: ehealth.Sandbox,
		Software: ehealth.Software{
			Name: "MyPractice/4.2", Contact: "support@example.be", Licence: insurability.NewLicence("user", "password"),
		},
		Identity:  store,
		Caller:    insurability.Caller{Quality: identity.Doctor, NIHII: person.NIHII, SSIN: person.SSIN, Name: person.Name()},
		Trust:     ehealth.Trust{STS: platform.Roots()},
		Services:  services,
		Transport: platform.HTTPClient().Transport,
	}, nil
}
