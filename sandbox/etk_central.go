package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// centralService is a service of the platform that has keys of its own.
type centralService struct {
	certified
	typ, number, app string

	later sync.Mutex
	next  map[string]*centralService // what key_rotate makes of it, by the new number
}

func newCentral(k *pki, typ, number, app, name string) *centralService {
	c := &centralService{typ: typ, number: number, app: app, next: map[string]*centralService{}}
	c.pki, c.encryption = k, 1
	c.subject = subject{typ: typ, num: number, name: name, app: app}
	return c
}

// after is the same service with a new identity and new keys.
func (c *centralService) after(number string) *centralService {
	c.later.Lock()
	defer c.later.Unlock()
	n := c.next[number]
	if n == nil {
		n = newCentral(c.pki, c.typ, number, c.app, c.subject.name)
		c.next[number] = n
	}
	return n
}

// newCentrals makes the central services: the well-known tokens of dossier 02 A.4.
func newCentrals(k *pki) ([]*centralService, error) {
	hub, err := identity.NewEHP(hubBase)
	if err != nil {
		return nil, err
	}
	return []*centralService{
		newCentral(k, "CBE", eHealthCBE, "KGSS", "EHEALTH-PLATFORM"),
		newCentral(k, "CBE", eHealthCBE, "CODAGE", "EHEALTH-PLATFORM"),
		newCentral(k, "CBE", recipeCBE, "", "RECIPE"),
		newCentral(k, "CBE", myCareNetCBE, "MYCARENET", "MYCARENET"),
		newCentral(k, "CBE", myCareNetCBE, "", "MYCARENET"),
		newCentral(k, "EHP", hub.Reveal(), "HUBSBX", "SANDBOX HUB"),
	}, nil
}

// central finds a central service by its identity at rest.
func (s *Sandbox) central(typ, number, app string) *centralService {
	i := slices.IndexFunc(s.centrals, func(c *centralService) bool { return c.typ == typ && c.number == number && c.app == app })
	if i < 0 {
		return nil
	}
	return s.centrals[i]
}

// published lists the central services that the depot knows under a number now. While a key_rotate step is in force, the
// services of its old number stand under the new one, with new keys.
func (s *Sandbox) published(typ, number string) []*centralService {
	var out []*centralService
	rotations := s.faults.keyRotations(time.Now(), number)
	for _, c := range s.centrals {
		if c.typ != typ {
			continue
		}
		at := c
		for _, r := range rotations {
			if r.published && c.number == r.Old {
				at = c.after(r.New)
			}
		}
		if at.number == number {
			out = append(out, at)
		}
	}
	return out
}

// serviceKeys are the credentials with which a central service opens what it gets now, as certified.credentials has them:
// authentication first. While a key_rotate step is in force, the keys change lag_s after its start, and what is sealed
// for the other key is not opened.
func (s *Sandbox) serviceKeys(typ, number, app string) ([]Credential, error) {
	c := s.central(typ, number, app)
	if c == nil {
		return nil, fmt.Errorf("sandbox: no service %s with application %q", typ, app)
	}
	for _, r := range s.faults.keyRotations(time.Now(), "") {
		if typ == "CBE" && r.accepted && r.Old == number {
			c = c.after(r.New)
			break
		}
	}
	return c.credentials()
}

// keyRotation is a key_rotate step as it stands at one instant.
type keyRotation struct {
	KeyRotate
	published bool // the depot has the new token
	accepted  bool // the service has the new key
}

// keyRotations lists the key_rotate steps that matter now. A lookup of one of their numbers counts as a hit.
func (e *engine) keyRotations(now time.Time, lookup string) []keyRotation {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []keyRotation
	for _, r := range e.runs {
		for _, st := range r.steps {
			f, ok := st.Fault.(KeyRotate)
			if !ok || (!st.to.IsZero() && !now.Before(st.to)) {
				continue
			}
			x := keyRotation{KeyRotate: f, published: !now.Before(st.from), accepted: !now.Before(st.from.Add(f.Lag))}
			if !x.published && !x.accepted {
				continue
			}
			out = append(out, x)
			if x.published && (lookup == f.Old || lookup == f.New) {
				e.hit(st, "etk")
			}
		}
	}
	return out
}

// ErrNobody: the sandbox has nobody of that identity.
var ErrNobody = errors.New("sandbox: nobody of that identity")

// Holder names somebody who has an encryption token, as the ETK depot does.
type Holder struct {
	Type        identity.IdentifierType
	Number      string // of the length of its type; eight digits for the NIHII of a person
	Application string // "" = none
}

// RotateKey gives a person, an organisation or a central service a new encryption key, as a renewal does: the depot serves
// the new token at once, messages under the former key can still be opened, and Keystore holds both. The error is
// ErrNobody.
//
// The fault step key_rotate is something else: an identity that changes without that.
func (s *Sandbox) RotateKey(who Holder) error {
	h := s.holder(string(who.Type), who.Number, who.Application)
	if h == nil {
		return ErrNobody
	}
	return h.rotate()
}

// ETK returns the current encryption token of somebody. The error is ErrNobody.
func (s *Sandbox) ETK(who Holder) ([]byte, error) {
	h := s.holder(string(who.Type), who.Number, who.Application)
	if h == nil {
		return nil, ErrNobody
	}
	all, err := h.credentials()
	if err != nil {
		return nil, err
	}
	return s.tokenFor(all[0], all[1])
}

// holder finds who has keys under an identity at rest.
func (s *Sandbox) holder(typ, number, app string) *certified {
	if c := s.central(typ, number, app); c != nil {
		return &c.certified
	}
	if app != "" {
		return nil
	}
	if o, ok := s.people.organisation(typ, number); ok {
		return &o.certified
	}
	var p *Person
	switch {
	case typ == "SSIN":
		if p, _ = s.people.person(number); p == nil {
			p, _ = s.people.citizen(s.pki, number)
		}
	case typ == "NIHII" || typ == "NIHII11":
		p, _ = s.people.personByNIHII(number)
	}
	if p == nil {
		return nil
	}
	return &p.certified
}
