package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ehealth-continuity/ehealth/identity"
)

// citizens are the patients who have logged in or were asked for, as persons with keys. The zero value is ready.
type citizens struct {
	mu     sync.Mutex
	bySSIN map[string]*Person
}

// citizen finds or makes the keys of a patient.
func (p *population) citizen(k *pki, ssin string) (*Person, bool) {
	x, ok := p.patient(ssin)
	if !ok || x.SSIN.Reveal() != ssin { // patients are found by registration number, too
		return nil, false
	}
	p.citizens.mu.Lock()
	defer p.citizens.mu.Unlock()
	if have := p.citizens.bySSIN[ssin]; have != nil {
		return have, true
	}
	if p.citizens.bySSIN == nil {
		p.citizens.bySSIN = map[string]*Person{}
	}
	c := &Person{FirstName: x.FirstName, LastName: x.LastName, SSIN: x.SSIN}
	c.pki, c.encryption, c.stem = k, 1, fmt.Sprintf("patient-%d", slices.Index(p.patients, x)+1)
	c.subject = subject{typ: "SSIN", num: ssin, name: strings.ToUpper(x.LastName + " " + x.FirstName)}
	p.citizens.bySSIN[ssin] = c
	return c, true
}

// Citizen returns a patient as a person who logs in, as the patient service of Recip-e wants one: with an eHealth
// certificate, an identity card and encryption keys (known to the ETK depot), without profession: Role and NIHII are zero.
// It returns nil for a number that is not a patient's.
func (s *Sandbox) Citizen(ssin identity.SSIN) *Person {
	p, _ := s.people.citizen(s.pki, ssin.Reveal())
	return p
}
