package insurability

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
)

// Assertion types and attribute names that are known (dossier 05 section 3.5).
const (
	typePatient     = "urn:be:cin:nippin:insurability:patientData"
	typePeriod      = "urn:be:cin:nippin:insurability:period"
	typePayment     = "urn:be:cin:nippin:insurability:payment"
	typeSituation   = "urn:be:cin:nippin:insurability:generalSituation"
	typeHospital    = "urn:be:cin:nippin:hospitalisation"
	typeMedical     = "urn:be:cin:nippin:medicalHouse"
	typeChronic     = "urn:be:cin:nippin:chronicCondition"
	attrSSIN        = "urn:be:fgov:person:ssin"
	attrCare        = "urn:be:cin:nippin:careReceiver:"
	attrRegNr       = attrCare + "registrationNumber"
	attrMutuality   = attrCare + "mutuality"
	attrCB1         = "urn:be:cin:nippin:cb1"
	attrCB2         = "urn:be:cin:nippin:cb2"
	attrApproval    = "urn:be:cin:nippin:paymentApproval"
	attrDate        = "urn:be:cin:nippin:communicationDate"
	attrByIO        = "urn:be:cin:nippin:payment:byIO"
	attrEvent       = "urn:be:cin:nippin:generalSituation:event"
	attrMedicalKind = "urn:be:cin:nippin:medicalHouse:type"
	attrYear        = "urn:be:cin:nippin:chronicCondition:year"
)

// MemberDataAnswer is what MemberData says about a patient on the asked days.
type MemberDataAnswer struct {
	Provenance
	References References // Ours, NIP and Output

	// Asked is the day or period asked about, Facets what was asked.
	Asked  Period
	Facets []FacetID
	// Insured: Yes when the periods of the answer cover every asked day, No when they cover none and the answer says so
	// and is whole, else NotKnown.
	Insured Tristate

	// Partial tells that something asked is missing; Warnings says what. Nothing that is not there may be read as a no.
	Partial  bool
	Warnings []MemberDataDetail

	// The following describe the asked day (of a period: its last day) and are empty when it is not covered.
	Mutuality       string // 3 digits
	RegNr           Private
	CT1, CT2        string // cb1 and cb2 on the wire; never interpret the middle digit
	Preferential    Tristate
	Coverage        Period
	Communicated    Date
	PaymentApproval string // with request type invoicing: keep it with the visit

	ThirdPartyPayer Tristate // the insurer pays the provider directly
	Events          []Event  // what is special within the asked days
	MedicalHouses   []MemberMedicalHouse
	ChronicYears    []int    // years for which the patient has the status of a chronic condition
	Hospitalized    Tristate // Yes when the answer says so; its attributes are not published
	Items           []InsurabilityItem

	// SSIN and Person as the insurer knows them.
	SSIN   Private
	Person Person

	// Message is the whole answer, nil with Source Unknown. Its Response.Assertions hold what has no field here: care paths, reference pharmacy,
	// global medical file, palliative status, whose attribute names are not published (dossier 05 section 10).
	Message *MemberDataResponse

	question AttributeQuery // what was asked, for the store
}

// MemberMedicalHouse tells that the patient is enrolled in a flat-rate medical house.
type MemberMedicalHouse struct {
	Types  []string // disciplines as received: Kine, Nurse, …
	Period Period
}

// String tells source and result, and nothing about the patient.
func (a MemberDataAnswer) String() string {
	s := "member data answer: " + a.Source.String() + ", insured: " + a.Insured.String()
	if a.Partial {
		s += ", partial"
	}
	return s
}

// Format implements [fmt.Formatter] with the form of String for every verb.
func (a MemberDataAnswer) Format(f fmt.State, _ rune) { redact(f, a.String()) }

// LogValue implements [slog.LogValuer] with the form of String.
func (a MemberDataAnswer) LogValue() slog.Value { return slog.StringValue(a.String()) }

// Has tells whether the answer holds an assertion for a facet. For the facets without published attributes that is all
// that can be concluded; a missing one says nothing when the answer is Partial.
func (a *MemberDataAnswer) Has(id FacetID) bool {
	if a.Message == nil {
		return false
	}
	for _, s := range a.Message.Response.Assertions {
		for _, f := range s.Facets {
			if f.ID == id {
				return true
			}
		}
	}
	return false
}

// answerMemberData reads a correlated answer that is no refusal.
func answerMemberData(req *MemberDataRequest, r *MemberDataResponse) (*MemberDataAnswer, error) {
	q := &req.Query
	asked := Assertion{Subject: &q.Subject}
	a := &MemberDataAnswer{
		Provenance: r.Provenance, Asked: asked.Period(), Message: r,
		References: References{
			Ours: req.CommonInput.InputReference, NIP: r.CommonOutput.NIPReference, Output: r.CommonOutput.OutputReference,
		},
		question: *q,
	}
	for _, f := range q.Facets {
		a.Facets = append(a.Facets, f.ID)
	}
	s := r.Response.Status
	a.Partial = s.Sub != "" || s.Fault != nil // whatever it is, it is not a plain success
	if s.Fault != nil {
		a.Warnings = s.Fault.Details
	}
	for i := range r.Response.Assertions {
		if err := a.read(&r.Response.Assertions[i]); err != nil {
			return nil, err
		}
	}
	a.conclude()
	return a, nil
}

// read takes over one assertion of a known type; the others stay in Message.
func (a *MemberDataAnswer) read(s *Assertion) (err error) {
	switch s.Type {
	case typePatient:
		return a.readPatient(s)
	case typePeriod:
		i := InsurabilityItem{
			RegNr: s.first(attrRegNr), Mutuality: s.first(attrMutuality).Reveal(), Period: s.Period(),
			CT1: s.first(attrCB1).Reveal(), CT2: s.first(attrCB2).Reveal(), PaymentApproval: s.first(attrApproval).Reveal(),
		}
		i.Date, err = s.date(attrDate)
		a.Items = append(a.Items, i)
		return err
	case typePayment:
		if v := s.first(attrByIO); !v.IsZero() {
			return s.bad(attrByIO, a.ThirdPartyPayer.parse(v.Reveal()))
		}
	case typeSituation:
		for _, v := range s.Values(attrEvent) {
			a.Events = append(a.Events, Event(v.Reveal()))
		}
	case typeHospital:
		a.Hospitalized = Yes
	case typeMedical:
		h := MemberMedicalHouse{Period: s.Period()}
		for _, v := range s.Values(attrMedicalKind) {
			h.Types = append(h.Types, v.Reveal())
		}
		a.MedicalHouses = append(a.MedicalHouses, h)
	case typeChronic:
		for _, v := range s.Values(attrYear) {
			y, err := strconv.Atoi(v.Reveal())
			if err != nil || y < 1 || y > 9999 {
				return s.bad(attrYear, errYear)
			}
			a.ChronicYears = append(a.ChronicYears, y)
		}
	}
	return nil
}

func (a *MemberDataAnswer) readPatient(s *Assertion) (err error) {
	a.SSIN = s.first(attrSSIN)
	a.Person = Person{
		FirstName: s.first(attrCare + "firstName"), LastName: s.first(attrCare + "name"), Sex: Sex(s.first(attrCare + "gender").Reveal()),
	}
	if a.Person.Birthday, err = s.date(attrCare + "birthDate"); err == nil {
		a.Person.Deceased, err = s.date(attrCare + "deceasedDate")
	}
	return err
}

// date reads the date in an attribute; the zero Date when there is none.
func (a *Assertion) date(name string) (Date, error) {
	v := a.first(name)
	if v.IsZero() {
		return Date{}, nil
	}
	d, err := ParseDate(v.Reveal())
	return d, a.bad(name, err)
}

// bad turns the error of a value into one of the message, which names the attribute.
func (a *Assertion) bad(name string, err error) error {
	if err == nil {
		return nil
	}
	return &MessageError{Path: "Response/Assertion/AttributeStatement/Attribute[" + name + "]", Reason: err.Error()}
}

// conclude decides over the asked days by the rules of [Answer]. A partial answer never proves a no.
func (a *MemberDataAnswer) conclude() {
	var s *GeneralSituation
	for _, e := range a.Events {
		if s == nil || e == ClosedBefore || e == StartLater {
			s = &GeneralSituation{Event: e}
		}
	}
	a.Insured = insured(a.Asked, a.Items, a.Partial, s)
	for _, i := range a.Items {
		if i.Period.Covers(a.Asked.End) {
			a.Mutuality, a.RegNr, a.CT1, a.CT2 = i.Mutuality, i.RegNr, i.CT1, i.CT2
			a.Coverage, a.Communicated, a.PaymentApproval = i.Period, i.Date, i.PaymentApproval
			a.Preferential = preferential(i.CT1)
			break
		}
	}
}

// Warned tells whether the answer carries a warning with that code.
func (a *MemberDataAnswer) Warned(code string) bool {
	return slices.ContainsFunc(a.Warnings, func(d MemberDataDetail) bool { return d.Code == code })
}
