package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"sync"
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

// Patient is one synthetic insured person. Fixed patients are those of dossier 05 section 8; the others follow from
// the seed. Their order numbers (the digits behind the date) lie above 900, which the national register does not
// reach, so that no number belongs to a living person.
type Patient struct {
	SSIN      identity.SSIN
	Scenario  Scenario
	FirstName string
	LastName  string
	Birth     time.Time // midnight UTC of the day
	Sex       string    // "male" or "female"
	Mutuality string    // three digits
	RegNr     string    // registration number with that mutuality, 13 digits
	CT1, CT2  string    // three digits each
}

// Organisation is a pharmacy, hospital, medical house, guard post or enterprise with its own certificate.
type Organisation struct {
	Role   identity.Quality        // identity.Pharmacy, identity.Hospital, …
	Type   identity.IdentifierType // of the certificate: "NIHII-PHARMACY", …
	Number string                  // 8 digits, 10 for CBE
	Name   string
	// Holder is the pharmacist who holds a pharmacy; nil for other organisations.
	Holder *Person

	certified
}

// Person is one care professional with an eHealth certificate and an identity card.
type Person struct {
	Role      identity.Quality // identity.Doctor, identity.Pharmacist, …
	FirstName string
	LastName  string
	SSIN      identity.SSIN
	NIHII     identity.NIHII // 11 digits
	// Pharmacy is where a pharmacist works; nil for other professions.
	Pharmacy *Organisation

	certified
	eid lazyCredentials
}

// certified is what persons and organisations have in common: certificates, made on first use.
type certified struct {
	pki        *pki
	subject    subject
	encryption int // how many encryption keys the store holds
	stem       string
	lazy       lazyCredentials

	mu      sync.Mutex
	renewed []Credential // encryption keys made by RotateKey, the newest first
}

func (h *certified) credentials() ([]Credential, error) {
	made, err := h.lazy.all(func() ([]Credential, error) { return h.pki.issueEHealth(h.subject, h.encryption) })
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Concat(made[:1], h.renewed, made[1:]), nil
}

// rotate makes a new encryption key. The former ones stay behind it, as after a renewal (dossier 02 D).
func (h *certified) rotate() error {
	all, err := h.credentials()
	if err != nil {
		return err
	}
	c, err := h.pki.issueEncryption(all[0], h.pki.from, h.pki.to)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.renewed = slices.Insert(h.renewed, 0, c)
	return nil
}

// Authentication returns the credential of the alias "authentication". It is made on first use, which takes as long
// as making an RSA key; an error means that this failed.
func (h *certified) Authentication() (Credential, error) {
	cs, err := h.credentials()
	if err != nil {
		return Credential{}, err
	}
	return cs[0], nil
}

// Encryption returns the encryption credentials, the current one first.
func (h *certified) Encryption() ([]Credential, error) {
	cs, err := h.credentials()
	if err != nil {
		return nil, err
	}
	return slices.Clone(cs[1:]), nil
}

// EID returns the authentication credential of the person's identity card.
func (p *Person) EID() (Credential, error) {
	return p.eid.get(func() ([]Credential, error) {
		return p.pki.issueEID(p.SSIN.Reveal(), p.FirstName, p.LastName)
	})
}

// Name is the first and the last name.
func (p *Person) Name() string { return p.FirstName + " " + p.LastName }

// Expired returns a credential for the person whose validity ended a day before the sandbox began.
func (s *Sandbox) Expired(p *Person) (Credential, error) {
	return s.pki.special(s.pki.ehealth, p.subject, s.pki.from.AddDate(-2, 0, 0), s.pki.from)
}

// Foreign returns a credential that names the person but was issued by a CA the sandbox does not know.
func (s *Sandbox) Foreign(p *Person) (Credential, error) {
	return s.pki.special(s.pki.other, p.subject, s.pki.from, s.pki.to)
}

// population is everybody in a sandbox. It does not change after it was made, but for encryption keys (RotateKey) and for
// those of patients, which are made when they are needed.
type population struct {
	patients      []*Patient
	people        []*Person
	organisations []*Organisation

	bySSIN   map[string]*Patient
	persons  map[string]*Person
	orgs     map[string]*Organisation
	personID map[string]*Person
	citizens citizens
}

// patient finds a patient by the eleven digits.
func (p *population) patient(ssin string) (*Patient, bool) {
	x, ok := p.bySSIN[ssin]
	return x, ok
}

// member finds a patient by mutuality and registration number.
func (p *population) member(mutuality, regNr string) (*Patient, bool) {
	x, ok := p.bySSIN[mutuality+"/"+regNr]
	return x, ok
}

// person finds a professional by the eleven digits of the SSIN.
func (p *population) person(ssin string) (*Person, bool) {
	x, ok := p.persons[ssin]
	return x, ok
}

// personByNIHII finds a professional by the number's first eight digits.
func (p *population) personByNIHII(number string) (*Person, bool) {
	if len(number) > 8 {
		number = number[:8]
	}
	x, ok := p.personID[number]
	return x, ok
}

// organisation finds an organisation by identifier type and number, for example "NIHII-PHARMACY", "21999994".
func (p *population) organisation(typ, number string) (*Organisation, bool) {
	x, ok := p.orgs[typ+"="+number]
	return x, ok
}

func (p *population) addPatient(x *Patient) {
	p.patients = append(p.patients, x)
	p.bySSIN[x.SSIN.Reveal()] = x
	p.bySSIN[x.Mutuality+"/"+x.RegNr] = x
}

func (p *population) addPerson(k *pki, x *Person) {
	x.pki, x.encryption = k, 1
	x.subject = subject{typ: "SSIN", num: x.SSIN.Reveal(), name: strings.ToUpper(x.LastName + " " + x.FirstName)}
	n := 1
	for _, o := range p.people {
		if o.Role == x.Role {
			n++
		}
	}
	if n == 1 && x.Role == identity.Doctor {
		x.encryption = 2 // somebody has an older key as well, as people who renewed do
	}
	x.stem = fmt.Sprintf("%s-%d", x.Role, n)
	p.people = append(p.people, x)
	p.persons[x.SSIN.Reveal()] = x
	p.personID[x.NIHII.Base()] = x
}

func (p *population) addOrganisation(k *pki, x *Organisation) {
	x.pki, x.encryption = k, 1
	x.subject = subject{typ: string(x.Type), num: x.Number, name: x.Name}
	n := 1
	for _, o := range p.organisations {
		if o.Role == x.Role {
			n++
		}
	}
	x.stem = fmt.Sprintf("%s-%d", x.Role, n)
	p.organisations = append(p.organisations, x)
	p.orgs[string(x.Type)+"="+x.Number] = x
}

// People returns the professionals, in a fixed order for a seed.
func (s *Sandbox) People() []*Person { return slices.Clone(s.people.people) }

// Person returns the n-th professional (from 0) of a profession, or nil.
func (s *Sandbox) Person(role identity.Quality, n int) *Person {
	for _, p := range s.people.people {
		if p.Role == role {
			if n == 0 {
				return p
			}
			n--
		}
	}
	return nil
}

// Organisations returns the organisations, in a fixed order for a seed.
func (s *Sandbox) Organisations() []*Organisation { return slices.Clone(s.people.organisations) }

// Organisation returns the n-th organisation (from 0) of a kind, or nil.
func (s *Sandbox) Organisation(role identity.Quality, n int) *Organisation {
	for _, o := range s.people.organisations {
		if o.Role == role {
			if n == 0 {
				return o
			}
			n--
		}
	}
	return nil
}

// Patients returns the patients: first the eight of the fixed scenarios, then those of the seed.
func (s *Sandbox) Patients() []Patient {
	out := make([]Patient, len(s.people.patients))
	for i, p := range s.people.patients {
		out[i] = *p
	}
	return out
}

// Patient returns the first patient of a scenario.
func (s *Sandbox) Patient(sc Scenario) Patient {
	for _, p := range s.people.patients {
		if p.Scenario == sc {
			return *p
		}
	}
	return Patient{}
}
