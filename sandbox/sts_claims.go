package sandbox

import (
	"crypto/x509"
	"strings"
)

// Namespaces of claims in an assertion and the stems of their names (dossier 01 A.12). WS-Trust requests carry names
// only; the namespace is the STS's knowledge.
const (
	nsIdentification = "urn:be:fgov:identification-namespace"
	nsCertified      = "urn:be:fgov:certified-namespace:ehealth"

	claimEH = "urn:be:fgov:ehealth:1.0:"
	claimPS = "urn:be:fgov:person:ssin"
	// claimPSE is the stem of what eHealth certifies about a person.
	claimPSE = claimPS + ":ehealth:1.0:"

	claimHolderSSIN  = claimEH + "certificateholder:person:ssin"
	claimPharmacy    = claimEH + "pharmacy:nihii-number"
	claimOwner       = claimPSE + "pharmacy-holder"
	claimOwnerNIHII  = claimOwner + ":certified:nihii11"
	claimIsPharmacy  = claimPharmacy + ":recognisedpharmacy:boolean"
	claimIsOwner     = claimPharmacy + ":person:ssin:ehealth:1.0:pharmacy-holder:boolean"
	claimRecognised  = claimEH + "certificateholder:recognisedorganization:boolean"
	claimUserSession = claimEH + "certificateholder:person:ssin:usersession:boolean"
	claimEnterprise  = claimEH + "certificateholder:enterprise:cbe-number"
	claimCBE         = "urn:be:fgov:kbo-bce:organization:cbe-number"
)

// claimant is who asks for a token, as far as the registry knows.
type claimant struct {
	ident    certHolder    // of the certificate that identifies
	identOrg *Organisation // when that is an organisation's
	keyOrg   *Organisation // when the holder-of-key is an organisation's
	person   *Person       // of the asserted SSIN, when registered
	asserted map[string]string
}

// claimRule answers a claim that was asked for: its value, or false when the claimant is not entitled to it.
type claimRule func(*claimant) (string, bool)

// grant checks the asserted claims against the registry and answers those asked for. An asserted claim that is not
// true refuses the whole request; a requested one that cannot be given is left out, or "false" where the name ends
// in boolean (A.8).
func (s *Sandbox) grant(ident, key *x509.Certificate, asked []claimAsked) ([]attribute, *refused) {
	c := &claimant{ident: certHolderOf(ident), asserted: map[string]string{}}
	c.identOrg = s.organisationOf(c.ident)
	c.keyOrg = s.organisationOf(certHolderOf(key))
	for _, a := range asked {
		if !a.asserted {
			continue
		}
		if len(a.values) != 1 {
			return nil, notTrue
		}
		c.asserted[a.name] = a.values[0]
	}
	for name, value := range c.asserted {
		if !c.isTrue(name, value) {
			return nil, notTrue
		}
	}
	if ssin := c.asserted[claimPS]; ssin != "" {
		c.person = s.personOf(ssin)
	}
	var out []attribute
	done := map[string]bool{}
	for _, a := range asked {
		if done[a.name] {
			continue // samlp asks for what it asserts, too
		}
		done[a.name] = true
		if value, ok := c.asserted[a.name]; ok {
			out = append(out, attribute{nsIdentification, a.name, []string{value}})
			continue
		}
		rule, ok := certifiedClaims[a.name]
		if !ok {
			continue
		}
		if value, ok := rule(c); ok {
			space := nsCertified
			if a.name == claimCBE {
				space = nsIdentification
			}
			out = append(out, attribute{space, a.name, []string{value}})
		}
	}
	return out, nil
}

var notTrue = &refused{code: "SOA-01002", why: "an asserted claim is not true for this certificate", wst: "RequestFailed"}

// isTrue checks one asserted claim. What a certificate holder claims about itself must be in the certificate that
// identifies; an organisation may also be the holder of the key, as a pharmacy is (A.12).
func (c *claimant) isTrue(name, value string) bool {
	switch name {
	case claimPS, claimHolderSSIN:
		return c.ident.typ == "SSIN" && c.ident.number == value
	case claimOwner:
		org := c.orgFor("pharmacy", false)
		return org != nil && org.Holder != nil && org.Holder.SSIN.Reveal() == value && c.asserted[claimPharmacy] == org.Number
	case claimEnterprise:
		return c.ident.typ == "CBE" && c.ident.number == value
	case claimEH + "organization:ehp-number", claimEH + "certificateholder:organization:ehp-number":
		return c.ident.typ == "EHP" && c.ident.number == value
	}
	role, ok := strings.CutPrefix(name, claimEH)
	if !ok {
		return false
	}
	role, self := strings.CutPrefix(role, "certificateholder:")
	role, ok = strings.CutSuffix(role, ":nihii-number")
	if !ok {
		return false
	}
	org := c.orgFor(role, self)
	return org != nil && org.Number == value
}

// orgFor is the organisation of that role which one of the two certificates proves; self: only the identifying one.
func (c *claimant) orgFor(role string, self bool) *Organisation {
	if c.identOrg != nil && string(c.identOrg.Role) == role {
		return c.identOrg
	}
	if !self && c.keyOrg != nil && string(c.keyOrg.Role) == role {
		return c.keyOrg
	}
	return nil
}

// assertedOrg is the organisation behind an asserted number of that role.
func (c *claimant) assertedOrg(role string, self bool) *Organisation {
	name := claimEH + role + ":nihii-number"
	if self {
		name = claimEH + "certificateholder:" + role + ":nihii-number"
	}
	if c.asserted[name] == "" {
		return nil
	}
	return c.orgFor(role, self)
}

// certifiedClaims are the claims that the STS certifies, by name.
var certifiedClaims = func() map[string]claimRule {
	rules := map[string]claimRule{
		claimPSE + "givenname": aboutPerson(func(p *Person) string { return p.FirstName }),
		claimPSE + "surname":   aboutPerson(func(p *Person) string { return p.LastName }),
		claimOwnerNIHII: func(c *claimant) (string, bool) {
			org := c.assertedOrg("pharmacy", false)
			if org == nil || c.asserted[claimOwner] == "" {
				return "", false
			}
			return org.Holder.NIHII.Full(), true
		},
		claimIsOwner: whether(func(c *claimant) bool {
			return c.assertedOrg("pharmacy", false) != nil && c.asserted[claimOwner] != ""
		}),
		claimIsPharmacy:  whether(func(c *claimant) bool { return c.assertedOrg("pharmacy", false) != nil }),
		claimRecognised:  whether(func(c *claimant) bool { return c.identOrg != nil }),
		claimUserSession: whether(func(c *claimant) bool { return c.ident.typ == "SSIN" }),
		claimCBE: func(c *claimant) (string, bool) {
			return c.ident.number, c.ident.typ == "CBE"
		},
		claimEnterprise + ":ehealth:1.0:cbe_daas_authorized:boolean": whether(func(*claimant) bool { return false }),
		claimEH + "organization:ehp-number:recognisedehp:boolean":    whether(func(c *claimant) bool { return c.ident.typ == "EHP" }),
		claimPS + ":mandate:insurability:boolean":                    whether(func(*claimant) bool { return false }),
		claimPSE + "recognisedmandatary:boolean":                     whether(func(*claimant) bool { return false }),
	}
	personClaims(rules)
	organisationClaims(rules)
	return rules
}()

// personClaims adds the claims of the care professions. Doctors and nurses have names of their own, from before the
// scheme that the others follow; nurses have both.
func personClaims(rules map[string]claimRule) {
	for _, role := range []string{
		"doctor", "dentist", "nurse", "physiotherapist", "midwife", "logopedist", "dietician",
		"clinicalpsychologist", "optician", "podologist", "pharmacist",
	} {
		is := whether(func(c *claimant) bool { return c.person != nil && string(c.person.Role) == role })
		nihii := func(c *claimant) (string, bool) {
			if c.person == nil || string(c.person.Role) != role || c.person.NIHII.IsZero() {
				return "", false
			}
			return c.person.NIHII.Full(), true
		}
		if role == "doctor" || role == "nurse" {
			rules[claimPS+":"+role+":boolean"] = is
			rules[claimPSE+role+":nihii11"] = nihii
		}
		if role != "doctor" {
			rules[claimPSE+"nihii:"+role+":nihii11"] = nihii
			rules[claimPSE+"professional:"+role+":boolean"] = is
		}
		rules[claimPSE+"fpsph:"+role+":boolean"] = is
	}
}

// organisationClaims adds the claims of organisations.
func organisationClaims(rules map[string]claimRule) {
	for _, role := range []string{
		"medicalhouse", "guardpost", "sortingcenter", "officedoctors", "groupofnurses", "reeducation", "hospital", "pharmacy", "labo",
	} {
		for _, self := range []bool{false, true} {
			stem := claimEH + role + ":nihii-number:recognised" + role
			if self {
				stem = claimEH + "certificateholder:" + role + ":nihii-number:recognised" + role
			}
			rules[stem+":boolean"] = whether(func(c *claimant) bool { return c.assertedOrg(role, self) != nil })
			rules[stem+":nihii11"] = func(c *claimant) (string, bool) {
				org := c.assertedOrg(role, self)
				if org == nil {
					return "", false
				}
				return org.Number + "000", true
			}
		}
	}
}

func aboutPerson(field func(*Person) string) claimRule {
	return func(c *claimant) (string, bool) {
		if c.person == nil {
			return "", false
		}
		return field(c.person), true
	}
}

func whether(is func(*claimant) bool) claimRule {
	return func(c *claimant) (string, bool) {
		if is(c) {
			return "true", true
		}
		return "false", true
	}
}

// organisationOf and personOf look up the registry.
func (s *Sandbox) organisationOf(h certHolder) *Organisation {
	if h.typ == "" || h.typ == "SSIN" {
		return nil
	}
	org, ok := s.people.organisation(h.typ, h.number)
	if !ok {
		return nil
	}
	return org
}

func (s *Sandbox) personOf(ssin string) *Person {
	p, ok := s.people.person(ssin)
	if !ok {
		return nil
	}
	return p
}
