package insurability

import (
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// ConditionsSkew is how far our clock and the insurer's may differ before an assertion counts as expired, or as not valid
// yet (dossier 01 H.3 grants as much to tokens).
const ConditionsSkew = 5 * time.Minute

// correlateMemberData returns the judge of answers to req. Besides what binding asks for, the document itself must be
// ours: the envelope is written by the platform, the document by an insurer, and the two can be mixed up between them. A
// success is believed only when the document repeats the id of the question or names the patient.
func correlateMemberData(req *MemberDataRequest, clock func() time.Time) func(*xmltree.Node) error {
	return func(n *xmltree.Node) error {
		r, err := decodeMemberDataResponse(n)
		if err != nil {
			return unreadable(n, nsMemberData, "MemberDataConsultationResponse")
		}
		b := &binding{}
		b.tie("InResponseTo", req.ID, r.InResponseTo)
		b.tie("CommonOutput/InputReference", req.CommonInput.InputReference, r.CommonOutput.InputReference)
		if r.Response.Status.Top == statusSuccess {
			b.bound = false // by the envelope alone, a success is not
		}
		b.document(req, &r.Response, clock())
		return b.verdict()
	}
}

// document compares the SAML answer with the question.
func (b *binding) document(req *MemberDataRequest, r *SAMLResponse, now time.Time) {
	b.tie("Response/InResponseTo", req.Query.ID, r.InResponseTo)
	ours := req.Query.Subject.NameID
	for i := range r.Assertions {
		a := &r.Assertions[i]
		if a.Subject == nil {
			b.refuse("Assertion/Subject")
			return
		}
		b.subject(ours, a.Subject.NameID)
		b.conditions(a.Conditions, now)
		if id := memberOf(ours); id.ssin != "" {
			for _, v := range a.Values(attrSSIN) {
				b.same("Attribute/ssin", id.ssin, v.Reveal())
			}
		}
	}
	b.members(ours, r.Assertions)
}

// refuse makes the answer another question's for a reason that no comparison finds.
func (b *binding) refuse(field string) {
	if b.err == nil {
		b.err = &MismatchError{Field: field}
	}
}

// member is whom a NameID names.
type member struct{ ssin, regNr, mutuality string }

// memberOf reads the three kinds of NameID; another kind names nobody.
func memberOf(id NameID) member {
	v := trim(id.Value.Reveal())
	left, right, _ := strings.Cut(v, "@")
	switch id.Format {
	case formatSSIN:
		return member{ssin: v}
	case formatSSINMut:
		return member{ssin: left, mutuality: right}
	case formatRegNr:
		return member{regNr: registration(Hide(left)), mutuality: right}
	default:
		return member{}
	}
}

// subject compares whom we asked about with whom an assertion is about. It repeats our identification (dossier 05 section
// 3.5); one that cannot be compared with it is not believed.
func (b *binding) subject(ours, theirs NameID) {
	o, t := memberOf(ours), memberOf(theirs)
	switch {
	case o.ssin != "" && t.ssin != "":
		b.same("Assertion/Subject", o.mutuality, t.mutuality)
		b.tie("Assertion/Subject", o.ssin, t.ssin)
	case o.regNr != "" && t.regNr != "":
		b.same("Assertion/Subject", o.mutuality, t.mutuality)
		b.tie("Assertion/Subject", o.regNr, t.regNr)
	default:
		b.refuse("Assertion/Subject")
	}
}

// conditions refuses an assertion that may not be used now.
func (b *binding) conditions(c *Conditions, now time.Time) {
	if c == nil {
		return
	}
	if !c.NotBefore.IsZero() && now.Add(ConditionsSkew).Before(c.NotBefore) ||
		!c.NotOnOrAfter.IsZero() && !now.Add(-ConditionsSkew).Before(c.NotOnOrAfter) {
		b.refuse("Assertion/Conditions")
	}
}

// members compares what the attributes say about the patient: one person in the whole answer, and when we asked with a
// registration number, one period must carry it; others may belong to an earlier or later insurer.
func (b *binding) members(ours NameID, list []Assertion) {
	var person string
	o, numbered, found := memberOf(ours), false, false
	for i := range list {
		a := &list[i]
		for _, v := range a.Values(attrSSIN) {
			b.same("Attribute/ssin", person, v.Reveal())
			person = v.Reveal()
		}
		mutuality := a.first(attrMutuality).Reveal()
		for _, v := range a.Values(attrRegNr) {
			numbered = true
			found = found || registration(v) == o.regNr && (mutuality == "" || mutuality == o.mutuality)
		}
	}
	if o.regNr != "" && numbered && !found {
		b.refuse("Attribute/registrationNumber")
	}
}
