package ehealth

import (
	"fmt"
	"maps"
	"strings"

	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
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

// list is the name of the environment in service lists.
func (e Environment) list() string {
	switch e {
	case Integration:
		return bcp.Integration
	case Acceptance:
		return bcp.Acceptance
	case Production:
		return bcp.Production
	}
	return "Simulation"
}

// host is where services are that are in no list; "" = nowhere.
func (e Environment) host() string {
	return map[Environment]string{
		Production: "https://services.ehealth.fgov.be", Acceptance: "https://services-acpt.ehealth.fgov.be",
		Integration: "https://services-int.ehealth.fgov.be",
	}[e]
}

// addresses returns what the platform's list held at the end of 2022 (dossier 01 D.4), under
// the ids that this module uses; a list that verifies says what holds today. eHealthBox is in no
// list (dossier 03 section 1).
func (e Environment) addresses() resilience.Static {
	d := resilience.Static{}
	maps.Copy(d, bcp.DefaultAddresses(e.list()))
	maps.Copy(d, mailAddresses(e))
	maps.Copy(d, recipeAddresses(e))
	return d
}
