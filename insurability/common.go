package insurability

import (
	"fmt"
	"strings"
)

// Text is a message in one language. Its words come from the platform or an insurer and may name a patient.
type Text struct {
	Lang  string // "FR", "nl", …; "" when not given
	Value Private
}

// wireXMLLang reads and writes the form with xml:lang.
func (t *Text) wireXMLLang(c *codec) {
	c.attr("xml", "lang",
		func() string { return t.Lang },
		func(s string) error { t.Lang = strings.Clone(s); return nil })
	c.content(t.Value.Reveal, t.setValue)
}

// wireLang reads and writes the form of eHealth commons, with an attribute Lang.
func (t *Text) wireLang(c *codec) {
	attrText(c, "Lang", &t.Lang)
	c.content(t.Value.Reveal, t.setValue)
}

func (t *Text) setValue(s string) error { t.Value = Hide(s); return nil }

// Status is the technical verdict at the head of every answer (eHealth commons 1.7, StatusType).
type Status struct {
	Code     string // "200" or "100" = accepted; refusals for business reasons travel under them too
	Messages []Text // at least one
}

// Accepted tells that the message was accepted: code 200 (GenIns and pharmacist) or 100 (seen on the wire).
func (s Status) Accepted() bool { return s.Code == "200" || s.Code == "100" }

func (s *Status) wire(c *codec) {
	text(c, "Code", &s.Code, required)
	many(c, "Message", &s.Messages, (*Text).wireLang)
}

// wireStatus handles the one part of an answer that stands in no namespace.
func wireStatus(c *codec, s *Status) {
	c.in(unqualified, func() { one(c, "Status", s, (*Status).wire) })
}

// Origin says which software asks, and for whom.
type Origin struct {
	Package      Package
	SiteID       string // GenIns only; seen with hospitals
	CareProvider *CareProvider
}

func (o *Origin) wire(c *codec) {
	one(c, "Package", &o.Package, (*Package).wire)
	text(c, "SiteID", &o.SiteID, optional)
	maybe(c, "CareProvider", &o.CareProvider, (*CareProvider).wire)
}

// Package is the software package as MyCareNet knows it.
type Package struct {
	Name    string
	Licence Licence
}

func (p *Package) wire(c *codec) {
	text(c, "Name", &p.Name, optional)
	one(c, "License", &p.Licence, (*Licence).wire)
}

// Licence is the MyCareNet licence of a software package, issued per package and environment. Both parts are secrets:
// no form of printing shows them.
type Licence struct{ Username, Password Private }

// NewLicence returns the licence with that user name and password.
func NewLicence(username, password string) Licence {
	return Licence{Username: Hide(username), Password: Hide(password)}
}

func (l Licence) complete() bool { return !l.Username.IsZero() && !l.Password.IsZero() }

func (l *Licence) wire(c *codec) {
	c.private("Username", &l.Username, required)
	c.private("Password", &l.Password, required)
}

// CareProvider is the care provider in whose name the question is asked (dossier 05 section 1.4 and 2.2).
type CareProvider struct {
	NIHII          NIHII
	PhysicalPerson *Party
	Organization   *Party
}

func (p *CareProvider) wire(c *codec) {
	one(c, "Nihii", &p.NIHII, (*NIHII).wire)
	maybe(c, "PhysicalPerson", &p.PhysicalPerson, (*Party).wire)
	maybe(c, "Organization", &p.Organization, (*Party).wire)
}

// NIHII is a NIHII number with the quality it was given for, as the wire has it: GenIns wants 11 digits and
// lower-case qualities, the pharmacist service PHARMACY-HOLDER and PHARMACY.
type NIHII struct {
	Quality string
	Value   Private
}

func (n *NIHII) wire(c *codec) {
	text(c, "Quality", &n.Quality, optional)
	c.private("Value", &n.Value, optional)
}

// Party is a person or an organisation behind a NIHII number.
type Party struct {
	Name  Private
	NIHII *NIHII
	SSIN  Private
	CBE   Private
}

func (p *Party) wire(c *codec) {
	c.private("Name", &p.Name, optional)
	maybe(c, "Nihii", &p.NIHII, (*NIHII).wire)
	c.private("Ssin", &p.SSIN, optional)
	c.private("Cbe", &p.CBE, optional)
}

// CareReceiverID identifies the patient: the SSIN, or the registration number together with the mutuality. SSIN with
// mutuality picks one insurer after several were found (fault 44).
type CareReceiverID struct {
	SSIN      Private // 11 digits
	RegNr     Private // at most 13 characters
	Mutuality string  // 3 digits
}

func (r *CareReceiverID) wireGenIns(c *codec)     { r.wire(c, "Inss") }
func (r *CareReceiverID) wirePharmacist(c *codec) { r.wire(c, "Ssin") }

func (r *CareReceiverID) wire(c *codec, ssin string) {
	c.private(ssin, &r.SSIN, optional)
	c.private("RegNrWithMut", &r.RegNr, optional)
	text(c, "Mutuality", &r.Mutuality, optional)
}

// Sex of a patient as registered.
type Sex string

// The values of Sex; the zero value means not given.
const (
	Male   Sex = "male"
	Female Sex = "female"
)

// Person is what an insurer says about the patient's person.
type Person struct {
	FirstName Private
	LastName  Private
	Birthday  Date
	Deceased  Date // only when the death falls within the asked period
	Sex       Sex
}

func (p *Person) wire(c *codec) {
	c.private("FirstName", &p.FirstName, optional)
	c.private("LastName", &p.LastName, optional)
	c.date("Birthday", &p.Birthday, optional)
	c.date("Deceased", &p.Deceased, optional)
	text(c, "Sex", &p.Sex, optional)
}

// Format implements [fmt.Formatter]: no verb shows personal data.
func (p Person) Format(f fmt.State, _ rune) { redact(f, "[person withheld]") }
