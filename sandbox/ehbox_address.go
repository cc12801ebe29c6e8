package sandbox

import (
	"slices"
	"strings"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Mailbox names an eHealthBox, as BoxId and DestinationContext do (dossier 03 10.1).
type Mailbox struct {
	ID      string // digits; "ALL" only in what is sent
	Type    string // "INSS", "NIHII", "CBE", "EHP"
	SubType string // organisations: "HOSPITAL", "PHARMACY", …; may be left out
	Quality string // "DOCTOR", "HOSPITAL", …
}

// mailQualities are the qualities of professionals (dossier 03 10.2): a box of a person, under INSS or NIHII.
var mailQualities = strings.Fields(`AMBULANCE_RESCUER APPLIED_PSYCH_BACHELOR AUDICIEN AUDIOLOGIST DENTIST DIETICIAN DOCTOR
	FAMILY_SCIENCE_BACHELOR GERONTOLOGY_MASTER IMAGING_TECHNOLOGIST IMPLANTPROVIDER LAB_TECHNOLOGIST LOGOPEDIST MIDWIFE NURSE
	OCCUPATIONAL_THERAPIST OPTICIEN ORTHOPEDAGOGIST_MASTER ORTHOPEDIST ORTHOPTIST PEDIATRIC_NURSE PHARMACIST
	PHARMACIST_ASSISTANT PHYSIOTHERAPIST PODOLOGIST PRACTICALNURSE PSYCHOLOGIST PSYCHOMOTOR_THERAPY READAPTATION_BACHELOR
	SOCIAL_WORKER SPECIALIZED_EDUCATOR TRUSS_MAKER`)

// mailOrganisations are the qualities of organisations with their type and subtype (dossier 03 10.2).
var mailOrganisations = func() map[string][2]string {
	out := map[string][2]string{
		"INSTITUTION": {"CBE", ""}, "TREATMENT_CENTER": {"CBE", "TREATMENT_CENTER"}, "CONSORTIUM": {"CBE", "CONSORTIUM"},
		"INSTITUTION_EHP": {"EHP", ""}, "CTRL_ORGANISM": {"EHP", "CTRL_ORGANISM"},
	}
	for _, q := range strings.Fields(`HOSPITAL PHARMACY OTD_PHARMACY LABO RETIREMENT GROUP GROUP_DOCTORS GUARD_POST HOME_SERVICES
		MEDICAL_HOUSE OFFICE_DENTISTS OFFICE_DOCTORS OF_BAND OF_PHYSIOS PALLIATIVE_CARE PROT_ACC PSYCH_HOUSE REEDUCATION`) {
		out[q] = [2]string{"NIHII", q}
	}
	return out
}()

// mailQualityOf is the quality of the boxes of the sandbox's people and organisations.
var mailQualityOf = map[identity.Quality]string{
	identity.Doctor: "DOCTOR", identity.Dentist: "DENTIST", identity.Nurse: "NURSE", identity.Midwife: "MIDWIFE",
	identity.Physiotherapist: "PHYSIOTHERAPIST", identity.Logopedist: "LOGOPEDIST", identity.Pharmacist: "PHARMACIST",
	identity.Hospital: "HOSPITAL", identity.MedicalHouse: "MEDICAL_HOUSE", identity.GuardPost: "GUARD_POST",
	identity.GroupOfNurses: "GROUP", identity.Labo: "LABO", identity.Pharmacy: "PHARMACY", identity.Enterprise: "INSTITUTION",
}

// Mailbox is the person's box under the SSIN, which is what it shows as sender by default. The same box answers to the
// NIHII, of 8 or 11 digits, with Type NIHII.
func (p *Person) Mailbox() Mailbox {
	return Mailbox{ID: p.SSIN.Reveal(), Type: "INSS", Quality: mailQualityOf[p.Role]}
}

// Mailbox is the organisation's box.
func (o *Organisation) Mailbox() Mailbox {
	q := mailQualityOf[o.Role]
	return Mailbox{ID: o.Number, Type: mailOrganisations[q][0], SubType: mailOrganisations[q][1], Quality: q}
}

// wrong is the code of what is wrong with an address, "" when it is well made (dossier 03 section 7). It says nothing
// about whether there is such a box.
func (m Mailbox) wrong(mass bool) string {
	person := slices.Contains(mailQualities, m.Quality)
	org, organisation := mailOrganisations[m.Quality]
	switch {
	case m.Quality == "CITIZEN":
		return "814"
	case !person && !organisation:
		return "803"
	case !slices.Contains([]string{"INSS", "NIHII", "CBE", "EHP"}, m.Type),
		person && m.Type != "INSS" && m.Type != "NIHII", organisation && m.Type != org[0]:
		return "804"
	case m.SubType != "" && m.SubType != org[1]:
		return "805"
	case m.ID == "ALL" && !mass:
		return "814"
	case m.ID == "ALL":
		return ""
	}
	t := map[string]identity.IdentifierType{
		"INSS": identity.TypeSSIN, "NIHII": identity.TypeNIHII, "CBE": identity.TypeCBE, "EHP": identity.TypeEHP,
	}[m.Type]
	if t == identity.TypeNIHII && person && len(m.ID) == identity.TypeNIHII11.Digits() {
		t = identity.TypeNIHII11
	}
	if len(m.ID) != t.Digits() || t.Check(m.ID) != nil {
		return "802"
	}
	return ""
}

// holderOf finds whose box an address means.
func (s *Sandbox) holderOf(m Mailbox) (p *Person, o *Organisation) {
	if m.wrong(false) != "" {
		return nil, nil
	}
	if org, ok := mailOrganisations[m.Quality]; ok {
		typ := m.Type
		if org[1] != "" {
			typ += "-" + org[1]
		}
		if o, _ = s.people.organisation(typ, m.ID); o == nil || mailQualityOf[o.Role] != m.Quality {
			return nil, nil
		}
		return nil, o
	}
	if m.Type == "INSS" {
		p, _ = s.people.person(m.ID)
	} else if p, _ = s.people.personByNIHII(m.ID); p != nil && len(m.ID) > 8 && p.NIHII.Full() != m.ID {
		p = nil
	}
	if p == nil || mailQualityOf[p.Role] != m.Quality {
		return nil, nil
	}
	return p, nil
}

// mailCaller is who calls, with the boxes that are his, the default one first (dossier 03 2.3).
type mailCaller struct {
	boxes []*mailbox
	ssin  string // of the person, "" with the token of an organisation
}

// mailboxesOf derives the boxes from the claims of the token: an organisation's that is recognised, then the person's in
// each certified quality.
func (s *Sandbox) mailboxesOf(c *caller) mailCaller {
	out := mailCaller{ssin: c.claim(claimPS)}
	add := func(m Mailbox) {
		if b := s.mail.box(s, m); b != nil && !slices.Contains(out.boxes, b) {
			out.boxes = append(out.boxes, b)
		}
	}
	for _, o := range s.people.organisations {
		if c.isOrganisation(o) {
			add(o.Mailbox())
		}
	}
	if p, ok := s.people.person(out.ssin); ok && c.isPerson(p) {
		add(p.Mailbox())
	}
	return out
}

func (c *caller) isOrganisation(o *Organisation) bool {
	if o.Role == identity.Enterprise {
		return c.claim(claimEnterprise) == o.Number || c.claim(claimCBE) == o.Number
	}
	for _, stem := range []string{claimEH + string(o.Role), claimEH + "certificateholder:" + string(o.Role)} {
		stem += ":nihii-number"
		recognised := stem + ":recognised" + string(o.Role)
		if c.claim(stem) == o.Number && (c.claim(recognised+":boolean") == "true" || c.claim(recognised+":nihii11") != "") {
			return true
		}
	}
	return false
}

func (c *caller) isPerson(p *Person) bool {
	role := string(p.Role)
	for _, name := range []string{
		claimPS + ":" + role + ":boolean", claimPSE + "fpsph:" + role + ":boolean", claimPSE + "professional:" + role + ":boolean",
	} {
		if c.claim(name) == "true" {
			return true
		}
	}
	return c.claim(claimPSE+role+":nihii11") != "" || c.claim(claimPSE+"nihii:"+role+":nihii11") != ""
}
