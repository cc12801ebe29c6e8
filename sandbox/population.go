package sandbox

import (
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Scenario says how the insurers answer for a patient (dossier 05 section 8).
type Scenario string

// The scenarios of the synthetic population.
const (
	Insured       Scenario = "insured"         // 110/110, ordinary reimbursement
	Preferential  Scenario = "preferential"    // 111/111, increased reimbursement, third payer
	Transferred   Scenario = "transfer"        // changed insurer within the period, enrolled in a medical house
	NotInsured    Scenario = "not-insured"     // closedBefore, no period
	SeveralIO     Scenario = "multi-io"        // MULTIIO_ERROR 44 between insurers 1 and 3 until one is named
	NoIO          Scenario = "no-io"           // NO_IO_ERROR 43
	Hospitalised  Scenario = "hospitalised"    // in hospital; every other patient then gets detail 42
	UnknownPerson Scenario = "unknown-patient" // INPUT_ERROR 23, not in the routing table
)

// Patient is one synthetic insured person. No field describes a living person.
type Patient struct {
	SSIN      identity.SSIN
	Scenario  Scenario
	FirstName string
	LastName  string
	Birth     time.Time // midnight UTC of the day
	Sex       string    // "male" or "female"
	Mutuality string    // three digits
	RegNr     string    // registration number with that mutuality, 13 characters
	CT1, CT2  string    // three digits each
}

// Organisation is one pharmacy, hospital, medical house, guard post, … with its own certificate.
type Organisation struct {
	Role      string // "pharmacy", "hospital", "medicalhouse", "guardpost", …
	Type      string // identifier type of the certificate: "NIHII-PHARMACY", "NIHII-HOSPITAL", "CBE", …
	Number    string // 8 digits, or 10 for CBE
	Name      string
	Holder    identity.SSIN  // pharmacy: the pharmacist who holds it
	HolderID  identity.NIHII // pharmacy: the holder's NIHII
	credOnce  lazyCredentials
	fileStem  string
	pharmacyN int
}

// Person is one care professional with an eHealth certificate and an identity card.
type Person struct {
	Role      string // quality as the STS knows it: "doctor", "dentist", "nurse", "physiotherapist", "pharmacist", "midwife"
	FirstName string
	LastName  string
	SSIN      identity.SSIN
	NIHII     identity.NIHII // 11 digits
	Pharmacy  *Organisation  // pharmacists: where they work
	credOnce  lazyCredentials
	eidOnce   lazyCredentials
	fileStem  string
}
