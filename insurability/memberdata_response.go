package insurability

import (
	"fmt"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// MemberDataResponse is MemberDataConsultationResponse v1 (dossier 05 sections 3.2 and 3.5) with the SAML answer that
// its Detail holds.
type MemberDataResponse struct {
	Provenance Provenance // not on the wire

	ID           string
	InResponseTo string // ID of the request
	IssueInstant time.Time
	CommonOutput CommonOutput
	Detail       Blob
	XadesT       Private // base64, as received; not judged

	Response SAMLResponse // what Detail holds
}

// SAMLResponse is the answer proper: a status, and one assertion per thing that is said.
type SAMLResponse struct {
	ID           string
	InResponseTo string // ID of the AttributeQuery
	IssueInstant time.Time
	Issuer       NameID // of an insurer: urn:nip:issuer:io:300
	Status       SAMLStatus
	Assertions   []Assertion
}

// SAMLStatus is the verdict. Fault explains everything that is not a plain success.
type SAMLStatus struct {
	Top, Sub string // URNs; Sub may be absent
	Fault    *MemberDataFault
}

// Assertion is one statement of an insurer about the patient. [MemberDataAnswer] reads those whose names are known;
// here is every one of them, so that nothing is lost.
type Assertion struct {
	ID           string
	IssueInstant time.Time
	Issuer       NameID
	Subject      *Subject    // who, and for which time
	Conditions   *Conditions // for how long the statement may be used; insurers were not seen to set them
	Type         string      // urn:be:cin:nippin:insurability:period, …
	Facets       []Facet     // which part of the question it answers
	Attributes   []MemberAttribute
}

// Conditions bounds the use of an assertion in time. Zero = no bound.
type Conditions struct{ NotBefore, NotOnOrAfter time.Time }

// MemberAttribute is a name with its values as text.
type MemberAttribute struct {
	Name   string
	Values []Private
}

// Values returns the values of the attribute with that name, nil when the assertion has none.
func (a *Assertion) Values(name string) []Private {
	for i := range a.Attributes {
		if a.Attributes[i].Name == name {
			return a.Attributes[i].Values
		}
	}
	return nil
}

// first is the first value of an attribute, absent when there is none.
func (a *Assertion) first(name string) Private {
	if v := a.Values(name); len(v) > 0 {
		return v[0]
	}
	return Private{}
}

// Period returns the calendar days that the assertion is about; the zero Period when it names none.
func (a *Assertion) Period() Period {
	if a.Subject == nil {
		return Period{}
	}
	p := Period{Start: DateOf(a.Subject.NotBefore)}
	if end := a.Subject.NotOnOrAfter; !end.IsZero() {
		p.End = DateOf(end.Add(-time.Nanosecond))
	}
	return p
}

func (r *MemberDataResponse) wire(c *codec) {
	attrText(c, "Id", &r.ID)
	attrText(c, "InResponseTo", &r.InResponseTo)
	c.attrInstant("IssueInstant", &r.IssueInstant)
	one(c, "Return", r, func(r *MemberDataResponse, c *codec) {
		c.ns = memberCommons // its children stand beside it, not below: dossier 05 section 3.2
		one(c, "CommonOutput", &r.CommonOutput, (*CommonOutput).wire)
		one(c, "Detail", &r.Detail, (*Blob).wire)
		c.private("XadesT", &r.XadesT, optional)
	})
	if c.writing() || c.err != nil {
		return
	}
	doc, err := r.Detail.Open()
	if err == nil {
		err = r.Response.decode(doc)
	}
	if err != nil {
		c.fail("Return/Detail", err)
	}
}

func decodeMemberDataResponse(n *xmltree.Node) (*MemberDataResponse, error) {
	r := new(MemberDataResponse)
	if err := decodeMemberData(n, "MemberDataConsultationResponse", r, (*MemberDataResponse).wire); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *SAMLResponse) encode() ([]byte, error) {
	return encodeSAML("Response", r, (*SAMLResponse).wire)
}

func (r *SAMLResponse) decode(doc []byte) error {
	return decodeSAML(doc, "Response", r, (*SAMLResponse).wire)
}

func (r *SAMLResponse) wire(c *codec) {
	samlHead(c, &r.ID, &r.InResponseTo, &r.IssueInstant)
	c.under(samlAssertion, func() { optionalID(c, "Issuer", &r.Issuer) })
	one(c, "Status", &r.Status, (*SAMLStatus).wire)
	c.under(samlAssertion, func() { many(c, "Assertion", &r.Assertions, (*Assertion).wire) })
}

// optionalID handles an identification that may be absent.
func optionalID(c *codec, local string, v *NameID) {
	var p *NameID
	if c.writing() && *v != (NameID{}) {
		p = v
	}
	maybe(c, local, &p, (*NameID).wire)
	if p != nil {
		*v = *p
	}
}

func (s *SAMLStatus) wire(c *codec) {
	one(c, "StatusCode", s, func(s *SAMLStatus, c *codec) {
		attrText(c, "Value", &s.Top)
		var sub *string
		if c.writing() && s.Sub != "" {
			sub = &s.Sub
		}
		maybe(c, "StatusCode", &sub, func(v *string, c *codec) { attrText(c, "Value", v) })
		if sub != nil {
			s.Sub = *sub
		}
	})
	if c.writing() && s.Fault == nil {
		return
	}
	detail := &s.Fault
	maybe(c, "StatusDetail", &detail, func(f **MemberDataFault, c *codec) {
		space := cinTypes
		if c.writing() && (*f).unqualified || !c.writing() && c.n.Child("", "Fault") != nil {
			space = unqualified // both forms are on the wire (dossier 05 section 3.5)
		}
		c.in(space, func() { maybe(c, "Fault", f, (*MemberDataFault).wire) })
		if *f != nil {
			(*f).unqualified = space == unqualified
		}
	})
	if detail != nil {
		s.Fault = *detail
	}
	if s.Fault != nil {
		s.Fault.Top, s.Fault.Sub = s.Top, s.Sub
	}
}

func (a *Assertion) wire(c *codec) {
	attrText(c, "ID", &a.ID)
	c.attrInstant("IssueInstant", &a.IssueInstant)
	version := "2.0"
	attrText(c, "Version", &version)
	optionalID(c, "Issuer", &a.Issuer)
	maybe(c, "Subject", &a.Subject, (*Subject).wire)
	maybe(c, "Conditions", &a.Conditions, func(t *Conditions, c *codec) {
		c.attrInstant("NotBefore", &t.NotBefore)
		c.attrInstant("NotOnOrAfter", &t.NotOnOrAfter)
	})
	advice := a
	if c.writing() && a.Type == "" && len(a.Facets) == 0 {
		advice = nil
	}
	maybe(c, "Advice", &advice, func(t *Assertion, c *codec) {
		c.under(memberExt, func() {
			text(c, "AssertionType", &t.Type, optional)
			many(c, "Facet", &t.Facets, (*Facet).wire)
		})
	})
	if advice != nil {
		a.Type, a.Facets = advice.Type, advice.Facets
	}
	var statements []Assertion // one is usual, several are allowed
	if c.writing() && len(a.Attributes) > 0 {
		statements = []Assertion{{Attributes: a.Attributes}}
	}
	many(c, "AttributeStatement", &statements, func(t *Assertion, c *codec) {
		many(c, "Attribute", &t.Attributes, (*MemberAttribute).wire)
	})
	a.Attributes = nil
	for i := range statements {
		a.Attributes = append(a.Attributes, statements[i].Attributes...)
	}
}

func (a *MemberAttribute) wire(c *codec) {
	attrText(c, "Name", &a.Name)
	many(c, "AttributeValue", &a.Values, func(v *Private, c *codec) {
		if c.writing() {
			c.w.Text(v.Reveal())
			return
		}
		s, err := c.n.Text()
		if err != nil { // structured: kept as it stands, for whoever knows what it is
			s = string(c.n.Source())
		}
		*v = Hide(strings.Clone(trim(s)))
	})
}

// Format implements [fmt.Formatter]: every verb shows a line without personal data.
func (r MemberDataResponse) Format(f fmt.State, _ rune) {
	redact(f, "MemberDataConsultationResponse "+r.Response.Status.short()+" [content withheld]")
}

// Format implements [fmt.Formatter]: every verb shows a line without personal data.
func (r SAMLResponse) Format(f fmt.State, _ rune) {
	redact(f, "SAML response "+r.Status.short()+" [content withheld]")
}

// Format implements [fmt.Formatter]: no verb shows personal data.
func (a Assertion) Format(f fmt.State, _ rune) { redact(f, "[assertion withheld]") }

// Format implements [fmt.Formatter]: no verb shows personal data.
func (s SAMLStatus) Format(f fmt.State, _ rune) { redact(f, s.short()) }

// short is the last part of the status, for example "Success/PartialAnswer".
func (s SAMLStatus) short() string {
	last := func(urn string) string { return safeCode(urn[strings.LastIndexByte(urn, ':')+1:]) }
	if s.Sub == "" {
		return last(s.Top)
	}
	return last(s.Top) + "/" + last(s.Sub)
}
