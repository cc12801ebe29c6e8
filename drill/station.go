package drill

import (
	"errors"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// station is where a program runs: in a pharmacy, or in the practice of a doctor.
type station struct {
	org    *sandbox.Organisation // nil in a practice
	person *sandbox.Person       // who logs in
}

func atPharmacy(o *sandbox.Organisation) station { return station{o, o.Holder} }

func atPractice(p *sandbox.Person) station { return station{nil, p} }

// errNobody: the sandbox has nobody for a station.
var errNobody = errors.New("drill: the sandbox has nobody of that profession")

// config is that of a client of this module at this station. No service list is read.
func (st station) config(s *sandbox.Sandbox) (ehealth.Config, error) {
	if st.org != nil {
		return configFor(s, st.org)
	}
	own, err := source(st.person.Authentication())
	if err != nil {
		return ehealth.Config{}, err
	}
	d := st.person
	return baseConfig(s, ehealth.Config{
		Identity: own, Login: own,
		Caller: insurability.Caller{Quality: d.Role, NIHII: d.NIHII, SSIN: d.SSIN, Name: d.Name()},
	}), nil
}

// identity is who logs in, for clients that ask for their session themselves.
func (st station) identity(cfg ehealth.Config) sts.Identity {
	if st.org == nil {
		return sts.Identity{Quality: st.person.Role, SSIN: st.person.SSIN}
	}
	h := cfg.Caller.Holder
	return sts.Identity{Quality: identity.Pharmacy, SSIN: h.SSIN, NIHII: cfg.Caller.NIHII, Holder: h.SSIN}
}

// number is the one under which Recip-e knows who works here: eleven digits of a doctor, eight of a pharmacy.
func (st station) number() string {
	if st.org == nil {
		return st.person.NIHII.Full()
	}
	return st.org.Number
}

// keys is the key store of whose certificate signs the messages.
func (st station) keys() (*keystore.Store, error) {
	open := st.person.Keystore
	if st.org != nil {
		open = st.org.Keystore
	}
	file, err := open("drill")
	if err != nil {
		return nil, err
	}
	return keystore.Load(file, "drill")
}

// doctor finds the n-th doctor of a sandbox.
func doctor(s *sandbox.Sandbox, n int) (station, error) {
	p := s.Person(identity.Doctor, n)
	if p == nil {
		return station{}, errNobody
	}
	return atPractice(p), nil
}
