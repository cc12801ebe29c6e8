package bcp

import "github.com/ehealth-continuity/ehealth/resilience"

// Values of Environment in lists (dossier 01 D.2). That of the integration environment was never seen and is assumed.
const (
	Production  = "Production"
	Acceptance  = "Acceptation"
	Integration = "Integration"
)

const uddi = "uddi:ehealth-fgov-be:business:"

// DefaultURL is the base of the published list of an environment, without suffix (dossier 01 D.1); "" when it has none.
func DefaultURL(environment string) string {
	switch environment {
	case Production:
		return "https://servicelist.ehealth.fgov.be/servicelist"
	case Acceptance:
		return "https://servicelist-acpt.ehealth.fgov.be/servicelist"
	case Integration:
		return "https://bcp-int.ehealth.fgov.be/current_status"
	}
	return ""
}

// DefaultHosts are the domains that addresses of an environment may be on: those of the platform, of its second site and
// of the insurers (dossier 01 D.4); nil for an unknown environment.
func DefaultHosts(environment string) []string {
	if DefaultURL(environment) == "" {
		return nil
	}
	return []string{".ehealth.fgov.be", ".ehealth2.be", ".mycarenet.be"}
}

// DefaultAliases are services that one source calls otherwise than another (dossier 01 D.4), both ways.
func DefaultAliases() map[string]string {
	return map[string]string{uddi + "mycarenetmemberdata:v1": uddi + "memberdata:v1"}
}

// staticRow is one row of dossier 01 D.4: paths on the platform (P), and on the second site: M or R, or none.
type staticRow struct{ id, path, mycarenet, second string }

var staticRows = []staticRow{
	{id: "kgss:v1", path: "/Kgss/v1"},
	{id: "etkdepot:v1", path: "/EtkDepot/v1"},
	{id: "iamattributeauthority:v1", path: "/IAM/AttributeAuthority/v1"},
	{id: "iamsaml11tokenservice:v1", path: "/IAM/Saml11TokenService/v1"},
	{id: "iamsecuritytokenservice:v1", path: "/IAM/SecurityTokenService/v1"},
	{id: "metahub:v2", path: "/MetaHub/v2"},
	{id: "timestampauthority:v1", path: "/TimestampAuthority/v1"},
	{id: "timestampauthority:v2", path: "/TimestampAuthority/v2"},
	{id: "insurability:v2", path: "/Insurability/v2", mycarenet: "/ehealth/bcp/insurability"},
	{id: "genericinsurability:v1", path: "/GenericInsurability/v1", mycarenet: "/ehealth/bcp/genericinsurability/v1"},
	{id: "mycareneteattest:v1", path: "/MyCareNet/eAttest/v1", mycarenet: "/ehealth/bcp/eattest/v1"},
	{id: "mycareneteattest:v2", path: "/MyCareNet/eAttest/v2", mycarenet: "/ehealth/bcp/eattest/v2"},
	{id: "mycareneteattest:v3", path: "/MyCareNet/eAttest/v3", mycarenet: "/ehealth/bcp/eattest/v3"},
	{id: "mycareneteagreement:v1", path: "/MyCareNet/eAgreement/v1", mycarenet: "/ehealth/bcp/eagreement"},
	{id: "memberdata:v1", path: "/MyCareNet/MemberData/v1", mycarenet: "/mycarenet/bed/bcp/memberData"},
	{id: "mycarenettarification:v1", path: "/MyCareNet/Tarification/v1", mycarenet: "/ehealth/bcp/tarification/v1"},
	{
		id: "mycarenettarificationmediprima:v1", path: "/MyCareNet/TarificationMediPrima/v1",
		mycarenet: "/ehealth/bcp/TarificationMediPrima/v1",
	},
	{
		id: "chapterivchapterivagreementadmission:v1", path: "/ChapterIV/ChapterIVAgreementAdmission/v1",
		mycarenet: "/ehealth/bcp/ChapterIVAgreementAdmission/v1",
	},
	{
		id: "chapterivchapterivagreementconsultation:v1", path: "/ChapterIV/ChapterIVAgreementConsultation/v1",
		mycarenet: "/ehealth/bcp/ChapterIVAgreementConsultation/v1",
	},
	{id: "recip-eexecutor:v2", path: "/Recip-e/v2/Executor_v2", second: "/Recip-e/v2/Executor_v2"},
	{id: "recip-eexecutor:v3", path: "/Recip-e/v3/Executor_v3", second: "/Recip-e/v3/Executor_v3"},
	{id: "recip-eexecutor:v4", path: "/Recip-e/v4/Executor", second: "/Recip-e/v4/Executor"},
	{id: "recip-eprescriber:v1", path: "/Recip-e/v1/Prescriber_v1", second: "/Recip-e/v1/Prescriber_v1"},
	{id: "recip-eprescriber:v4", path: "/Recip-e/v4/Prescriber", second: "/Recip-e/v4/Prescriber"},
}

// DefaultAddresses are the addresses that the lists held in December 2022 (dossier 01 D.4): Order 0 active, the second
// site inactive. This is a table, not a signed list; it serves until a list that verifies says otherwise. Of the
// integration environment only the platform's own addresses are known. nil for an unknown environment.
func DefaultAddresses(environment string) resilience.Static {
	var p, m, r string
	switch environment {
	case Production:
		p, m, r = "https://services.ehealth.fgov.be", "https://prod.mycarenet.be:9443", "https://services.ehealth2.be"
	case Acceptance:
		p, m, r = "https://services-acpt.ehealth.fgov.be", "https://pilot.mycarenet.be:9443", "https://services-acpt.ehealth2.be"
	case Integration:
		p = "https://services-int.ehealth.fgov.be"
	default:
		return nil
	}
	out := make(resilience.Static, len(staticRows))
	for _, row := range staticRows {
		eps := []resilience.Endpoint{{URL: p + row.path, Active: true}}
		switch {
		case row.mycarenet != "" && m != "":
			eps = append(eps, resilience.Endpoint{URL: m + row.mycarenet, Order: 1})
		case row.second != "" && r != "":
			eps = append(eps, resilience.Endpoint{URL: r + row.second, Order: 1})
		}
		out[uddi+row.id] = eps
	}
	return out
}
