package sts

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ehealth-continuity/ehealth/identity"
)

// ErrClaims reports claims that cannot be sent: an identity without the number that its
// quality needs, a quality without a known set of claims, or a malformed extra claim.
var ErrClaims error = reason("sts: claims cannot be made")

// Identity says who logs in, and in which capacity.
type Identity struct {
	// Quality selects the row of the claims table. identity.Pharmacist and identity.Pharmacy
	// are the same row: a pharmacist at work in a pharmacy. The zero value with an SSIN is a
	// person without a profession, such as a patient of Recip-e (dossier 04 section 3.2); without
	// one it is allowed only with extra claims in the [Request].
	Quality identity.Quality
	// SSIN is required for people and for pharmacists.
	SSIN identity.SSIN
	// NIHII is required for organisations and for pharmacists (the pharmacy's number). The
	// claims carry its first eight digits.
	NIHII identity.NIHII
	// CBE is required for identity.Enterprise.
	CBE identity.CBE
	// EHP is required for identity.EHPOrganisation.
	EHP identity.EHP
	// Holder is the holder of the pharmacy. Zero: the pharmacist who logs in is the holder.
	Holder identity.SSIN
	// InsurabilityMandate asks for the right to insurability by mandate, beside the claims of
	// the quality.
	InsurabilityMandate bool
	// MandateService is the service name of a mandatary organisation. eHealth assigns it to
	// the integrator. When set, it is asserted and recognition as mandatary is asked for.
	MandateService string
}

// ClaimsFor returns the claims of an identity by the tables of dossier 01 A.12, in their
// order: those to assert, with values, and those to ask for. A name may be in both; the
// request then carries it once, asserted. The error wraps [ErrClaims].
func ClaimsFor(id Identity) (asserted, requested []Claim, err error) {
	if id.Quality != "" || !id.SSIN.IsZero() {
		r, ok := claimTable[id.Quality]
		if !ok {
			return nil, nil, fmt.Errorf("%w: no claims are known for this quality", ErrClaims)
		}
		if asserted, requested, err = r.claims(id); err != nil {
			return nil, nil, err
		}
	}
	if id.InsurabilityMandate {
		requested = append(requested, certified("PS:mandate:insurability:boolean"))
	}
	if id.MandateService != "" {
		c := identifying("EH:servicename:external")
		requested = append(requested, c, certified("PS:ehealth:1.0:recognisedmandatary:boolean"))
		c.Values = []string{id.MandateService}
		asserted = append(asserted, c)
	}
	return asserted, requested, nil
}

// Qualities returns the qualities that have a row in the claims table, sorted.
func Qualities() []identity.Quality {
	out := make([]identity.Quality, 0, len(claimTable))
	for q := range claimTable {
		if q != "" {
			out = append(out, q)
		}
	}
	slices.Sort(out)
	return out
}

// number is the kind of number that an asserted claim carries.
type number uint8

const (
	ssin number = iota
	nihii8
	cbe
	ehp
	holder
)

func (n number) of(id Identity) (value, name string) {
	switch n {
	case ssin:
		return id.SSIN.Reveal(), "SSIN"
	case nihii8:
		return id.NIHII.Base(), "NIHII"
	case cbe:
		return id.CBE.Reveal(), "CBE"
	case ehp:
		return id.EHP.Reveal(), "EHP"
	case holder:
		if id.Holder.IsZero() {
			return id.SSIN.Reveal(), "SSIN"
		}
		return id.Holder.Reveal(), "SSIN"
	}
	return "", ""
}

// claimRow is one row of the tables of dossier 01 A.12. Names are written as there: EH stands
// for urn:be:fgov:ehealth:1.0 and PS for urn:be:fgov:person:ssin. What is asserted is always
// asked for as well, first.
type claimRow struct {
	asserted  []assertedName
	requested []Claim
}

type assertedName struct {
	name string
	from number
}

func (r claimRow) claims(id Identity) (asserted, requested []Claim, err error) {
	for _, a := range r.asserted {
		v, name := a.from.of(id)
		if v == "" {
			return nil, nil, fmt.Errorf("%w: quality %s needs the %s", ErrClaims, id.Quality, name)
		}
		c := identifying(a.name)
		requested = append(requested, c)
		c.Values = []string{v}
		asserted = append(asserted, c)
	}
	return asserted, append(requested, r.requested...), nil
}

func expand(name string) string {
	if prefix, rest, _ := strings.Cut(name, ":"); prefix == "EH" {
		return "urn:be:fgov:ehealth:1.0:" + rest
	} else if prefix == "PS" {
		return strings.TrimSuffix("urn:be:fgov:person:ssin:"+rest, ":")
	}
	return name
}

func identifying(name string) Claim { return Claim{Namespace: NSIdentification, Name: expand(name)} }
func certified(name string) Claim   { return Claim{Namespace: NSCertified, Name: expand(name)} }

// person is a row of the table of persons; names are in the certified namespace.
func person(names ...string) claimRow {
	return claimRow{
		asserted:  []assertedName{{"EH:certificateholder:person:ssin", ssin}, {"PS", ssin}},
		requested: allCertified(names),
	}
}

// organisation is a row of the table of organisations known by a number of eight digits.
func organisation(x string, names ...string) claimRow {
	return claimRow{
		asserted: []assertedName{
			{"EH:" + x + ":nihii-number", nihii8},
			{"EH:certificateholder:" + x + ":nihii-number", nihii8},
		},
		requested: allCertified(names),
	}
}

func allCertified(names []string) []Claim {
	out := make([]Claim, len(names))
	for i, n := range names {
		out[i] = certified(n)
	}
	return out
}

// pharmacy is the table of the pharmacist in a pharmacy: two credentials, hence a challenge.
var pharmacy = claimRow{
	asserted: []assertedName{
		{"EH:certificateholder:person:ssin", ssin},
		{"EH:pharmacy:nihii-number", nihii8},
		{"PS", ssin},
		{"PS:ehealth:1.0:pharmacy-holder", holder},
	},
	requested: allCertified([]string{
		"EH:pharmacy:nihii-number:recognisedpharmacy:boolean",
		"PS:ehealth:1.0:pharmacy-holder:certified:nihii11",
		"EH:pharmacy:nihii-number:person:ssin:ehealth:1.0:pharmacy-holder:boolean",
	}),
}

// claimTable is dossier 01 A.12 as data.
var claimTable = map[identity.Quality]claimRow{
	"": person(),
	identity.Doctor: person(
		"PS:doctor:boolean",
		"PS:ehealth:1.0:doctor:nihii11",
		"PS:ehealth:1.0:givenname",
		"PS:ehealth:1.0:surname",
		"PS:ehealth:1.0:fpsph:doctor:boolean",
	),
	identity.Dentist: person(
		"PS:ehealth:1.0:fpsph:dentist:boolean",
		"PS:ehealth:1.0:nihii:dentist:nihii11",
		"PS:ehealth:1.0:professional:dentist:boolean",
	),
	identity.Nurse: person(
		"PS:nurse:boolean",
		"PS:ehealth:1.0:nurse:nihii11",
		"PS:ehealth:1.0:nihii:nurse:nihii11",
		"PS:ehealth:1.0:givenname",
		"PS:ehealth:1.0:surname",
		"PS:ehealth:1.0:fpsph:nurse:boolean",
	),
	identity.Physiotherapist: person(
		"PS:ehealth:1.0:professional:physiotherapist:boolean",
		"PS:ehealth:1.0:nihii:physiotherapist:nihii11",
		"PS:ehealth:1.0:givenname",
		"PS:ehealth:1.0:surname",
		"PS:ehealth:1.0:fpsph:physiotherapist:boolean",
		"EH:certificateholder:person:ssin:usersession:boolean",
	),
	identity.Logopedist:           professional("logopedist"),
	identity.Dietician:            professional("dietician"),
	identity.ClinicalPsychologist: professional("clinicalpsychologist"),
	identity.Midwife:              professional("midwife"),
	identity.Optician:             named("optician"),
	identity.Podologist:           named("podologist"),

	identity.MedicalHouse: organisation("medicalhouse",
		"EH:medicalhouse:nihii-number:recognisedmedicalhouse:nihii11",
		"EH:medicalhouse:nihii-number:recognisedmedicalhouse:boolean",
		"EH:certificateholder:recognisedorganization:boolean",
	),
	identity.GuardPost: organisation("guardpost",
		"EH:guardpost:nihii-number:recognisedguardpost:nihii11",
		"EH:guardpost:nihii-number:recognisedguardpost:boolean",
		"EH:certificateholder:recognisedorganization:boolean",
	),
	identity.SortingCenter: organisation("sortingcenter",
		"EH:certificateholder:sortingcenter:nihii-number",
		"EH:sortingcenter:nihii-number:recognisedsortingcenter:nihii11",
		"EH:sortingcenter:nihii-number:recognisedsortingcenter:boolean",
		"EH:certificateholder:recognisedorganization:boolean",
	),
	identity.OfficeDoctors: organisation("officedoctors",
		"EH:certificateholder:officedoctors:nihii-number",
		"EH:officedoctors:nihii-number:recognisedofficedoctors:nihii11",
		"EH:officedoctors:nihii-number:recognisedofficedoctors:boolean",
	),
	identity.GroupOfNurses: organisation("groupofnurses",
		"EH:certificateholder:groupofnurses:nihii-number",
		"EH:groupofnurses:nihii-number:recognisedgroupofnurses:nihii11",
		"EH:certificateholder:groupofnurses:nihii-number:recognisedgroupofnurses:boolean",
	),
	identity.Reeducation: organisation("reeducation",
		"EH:reeducation:nihii-number:recognisedreeducation:boolean",
		"EH:certificateholder:reeducation:nihii-number:recognisedreeducation:boolean",
		"EH:reeducation:nihii-number:recognisedreeducation:nihii11",
		"EH:certificateholder:recognisedorganization:boolean",
	),
	identity.Hospital: organisation("hospital",
		"EH:certificateholder:hospital:nihii-number:recognisedhospital:boolean",
		"EH:hospital:nihii-number:recognisedhospital:nihii11",
	),
	identity.Enterprise: {
		asserted: []assertedName{{"EH:certificateholder:enterprise:cbe-number", cbe}},
		requested: []Claim{
			certified("EH:certificateholder:enterprise:cbe-number:ehealth:1.0:cbe_daas_authorized:boolean"),
			certified("EH:certificateholder:recognisedorganization:boolean"),
			identifying("urn:be:fgov:kbo-bce:organization:cbe-number"),
		},
	},
	identity.EHPOrganisation: {
		asserted: []assertedName{
			{"EH:organization:ehp-number", ehp},
			{"EH:certificateholder:organization:ehp-number", ehp},
		},
		requested: []Claim{certified("EH:organization:ehp-number:recognisedehp:boolean")},
	},
	identity.Pharmacist: pharmacy,
	identity.Pharmacy:   pharmacy,
}

func professional(x string) claimRow {
	return person(
		"PS:ehealth:1.0:professional:"+x+":boolean",
		"PS:ehealth:1.0:nihii:"+x+":nihii11",
		"PS:ehealth:1.0:givenname",
		"PS:ehealth:1.0:surname",
		"PS:ehealth:1.0:fpsph:"+x+":boolean",
	)
}

func named(x string) claimRow {
	return person(
		"PS:ehealth:1.0:nihii:"+x+":nihii11",
		"PS:ehealth:1.0:givenname",
		"PS:ehealth:1.0:surname",
	)
}
