package ehealth

import (
	"fmt"
	"strings"

	"github.com/ehealth-continuity/ehealth/resilience"
)

// Environment names one deployment of the platform.
type Environment string

const (
	// Sandbox is a process of package sandbox, or anything that stands in for the platform:
	// every address comes from the configuration.
	Sandbox Environment = "sandbox"
	// Integration is the platform's integration environment. Whether third parties still
	// reach it is not known (dossier 01 H, row 13).
	Integration Environment = "integration"
	// Acceptance is where software is tested against the real platform with test data.
	Acceptance Environment = "acceptance"
	// Production is the real thing.
	Production Environment = "production"
)

// ParseEnvironment accepts the names above, and the platform's own short forms prd, acc and int.
func ParseEnvironment(s string) (Environment, error) {
	switch strings.ToLower(s) {
	case "sandbox":
		return Sandbox, nil
	case "integration", "int":
		return Integration, nil
	case "acceptance", "acc":
		return Acceptance, nil
	case "production", "prd", "prod":
		return Production, nil
	}
	return "", fmt.Errorf("ehealth: unknown environment %q", s)
}

// UDDI ids of the services this module calls (dossier 01 A.1, D.4).
const (
	ServiceSTS          = "uddi:ehealth-fgov-be:business:iamsecuritytokenservice:v1"
	ServiceGenIns       = "uddi:ehealth-fgov-be:business:genericinsurability:v1"
	ServiceInsurability = "uddi:ehealth-fgov-be:business:insurability:v2"
)

// addresses returns what the platform's list held at the end of 2022 (dossier 01 D.4): the
// address on the eHealth host active, the one at MyCareNet as inactive alternate. The list
// itself is not read yet, so a change of it must be configured.
func (e Environment) addresses() resilience.Static {
	var esb, mcn string
	switch e {
	case Integration:
		esb = "https://services-int.ehealth.fgov.be"
	case Acceptance:
		esb, mcn = "https://services-acpt.ehealth.fgov.be", "https://pilot.mycarenet.be:9443"
	case Production:
		esb, mcn = "https://services.ehealth.fgov.be", "https://prod.mycarenet.be:9443"
	default:
		return resilience.Static{}
	}
	pair := func(path, alternate string) []resilience.Endpoint {
		eps := []resilience.Endpoint{{URL: esb + path, Active: true}}
		if mcn != "" && alternate != "" {
			eps = append(eps, resilience.Endpoint{URL: mcn + alternate, Order: 1})
		}
		return eps
	}
	return resilience.Static{
		ServiceSTS:          pair("/IAM/SecurityTokenService/v1", ""),
		ServiceGenIns:       pair("/GenericInsurability/v1", "/ehealth/bcp/genericinsurability/v1"),
		ServiceInsurability: pair("/Insurability/v2", "/ehealth/bcp/insurability"),
	}
}
