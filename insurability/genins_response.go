package insurability

import (
	"fmt"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// GenInsResponse is GetInsurabilityResponse of generic insurability v1.1 (dossier 05 section 1.5), field by field.
type GenInsResponse struct {
	Provenance Provenance // not on the wire

	ID                 string // attribute Id of the answer
	Status             Status
	CommonOutput       CommonOutput
	RecordCommonOutput RecordCommonOutput
	Response           SingleResponse

	bare bool // nothing but a Status that refuses the message
}

// CommonOutput returns our references and adds the platform's.
type CommonOutput struct {
	InputReference  string // ours
	NIPReference    string // MyCareNet's
	OutputReference string // MyCareNet's
}

// RecordCommonOutput returns our reference of the single question and adds the platform's.
type RecordCommonOutput struct{ InputReference, OutputReference string }

// SingleResponse is the answer to the question: either CareReceiver (with Fault when the question was refused), or
// Patient and Detail. RequestDetail repeats the question.
type SingleResponse struct {
	Header        MessageHeader
	CareReceiver  *CareReceiverID
	Fault         *MessageFault
	Patient       *CareReceiverDetail
	Detail        *ResponseDetail
	RequestDetail RequestDetail
}

// CareReceiverDetail is the patient as the insurer knows him.
type CareReceiverDetail struct {
	SSIN   Private // absent for some newborns and foreigners
	Person Person
}

// ResponseDetail holds the rights.
type ResponseDetail struct {
	Situation    *GeneralSituation
	Payment      Payment
	Hospitalized *Hospitalized // only for questions with contact type hospitalized_elsewhere
	MedicalHouse *MedicalHouse
	List         *InsurabilityList
}

// Event is something special within the asked period.
type Event string

// The values of Event.
const (
	ChangeDuring Event = "changeDuring" // rights change within the period
	Multiple     Event = "multiple"     // several situations
	ClosedBefore Event = "closedBefore" // the insurance ended before the period
	StartLater   Event = "startLater"   // the insurance starts after the period
)

// GeneralSituation tells of an event in the asked period.
type GeneralSituation struct {
	Event     Event
	Transfers []Transfer // at most two
}

// Direction of a transfer between insurers.
type Direction string

// The values of Direction.
const (
	ToOtherIO   Direction = "toOtherIo"   // leaves the insurer that answers
	FromOtherIO Direction = "fromOtherIo" // comes to the insurer that answers
)

// Transfer is a move between insurers. Insurer and Date may both be absent.
type Transfer struct {
	Direction Direction
	Insurer   string // national union: 000, 100, 200, 300, 400, 500, 600 or 900
	Date      Date
}

// Payment tells how care is paid.
type Payment struct {
	ByIO                  bool  // the insurer pays the provider directly
	MaxInvoiced           []int // years in which the maximum bill is reached, at most three
	SpecialSocialCategory Tristate
}

// Hospitalized tells where the patient is admitted.
type Hospitalized struct {
	Hospital  string // 12 digits
	Admission Date
	Service   string // 3 digits
}

// MedicalHouse tells that the patient is enrolled in a flat-rate medical house, and for which disciplines.
type MedicalHouse struct {
	Nurse, Medical, Kine Tristate
	Period               Period
}

// InsurabilityList holds at most five periods.
type InsurabilityList struct {
	Truncated Tristate // Yes: more periods exist than the answer holds
	Items     []InsurabilityItem
}

// InsurabilityItem is one period with one insurer.
type InsurabilityItem struct {
	RegNr           Private
	Mutuality       string
	Period          Period
	CT1, CT2        string // code titulaire, gerechtigdencode: three digits each, both needed on an invoice
	PaymentApproval string // opaque; the schema says it is never provided for questions of type information
	Date            Date   // date of the information
}

func (r *GenInsResponse) wire(c *codec) {
	attrText(c, "Id", &r.ID)
	wireStatus(c, &r.Status)
	if !c.writing() && c.err == nil && !r.Status.Accepted() && c.find("CommonOutput", optional) == nil {
		r.bare = true // the schema wants the rest; a message that was refused early may not have it
		return
	}
	one(c, "CommonOutput", &r.CommonOutput, (*CommonOutput).wire)
	one(c, "RecordCommonOutput", &r.RecordCommonOutput, (*RecordCommonOutput).wire)
	one(c, "Response", &r.Response, (*SingleResponse).wire)
}

func (o *CommonOutput) wire(c *codec) {
	text(c, "InputReference", &o.InputReference, optional)
	text(c, "NIPReference", &o.NIPReference, optional)
	text(c, "OutputReference", &o.OutputReference, optional)
}

func (o *RecordCommonOutput) wire(c *codec) {
	c.number("InputReference", &o.InputReference)
	c.number("OutputReference", &o.OutputReference)
}

func (r *SingleResponse) wire(c *codec) {
	r.Header.wire(c)
	maybe(c, "CareReceiverId", &r.CareReceiver, (*CareReceiverID).wireGenIns)
	maybe(c, "MessageFault", &r.Fault, (*MessageFault).wire)
	maybe(c, "CareReceiverDetail", &r.Patient, (*CareReceiverDetail).wire)
	maybe(c, "InsurabilityResponseDetail", &r.Detail, (*ResponseDetail).wire)
	one(c, "InsurabilityRequestDetail", &r.RequestDetail, (*RequestDetail).wire)
	refused := r.CareReceiver != nil
	if refused == (r.Patient != nil) || refused == (r.Detail != nil) || (r.Fault != nil && !refused) {
		c.fail("", errChoice)
	}
}

func (r *CareReceiverDetail) wire(c *codec) {
	c.private("Inss", &r.SSIN, optional)
	r.Person.wire(c)
}

func (d *ResponseDetail) wire(c *codec) {
	maybe(c, "GeneralSituation", &d.Situation, (*GeneralSituation).wire)
	one(c, "Payment", &d.Payment, (*Payment).wire)
	maybe(c, "Hospitalized", &d.Hospitalized, (*Hospitalized).wire)
	maybe(c, "MedicalHouse", &d.MedicalHouse, (*MedicalHouse).wire)
	maybe(c, "InsurabilityList", &d.List, (*InsurabilityList).wire)
}

func (s *GeneralSituation) wire(c *codec) {
	attrText(c, "Event", &s.Event)
	many(c, "Transfer", &s.Transfers, (*Transfer).wire)
}

func (t *Transfer) wire(c *codec) {
	attrText(c, "Direction", &t.Direction)
	text(c, "InsuranceOrg", &t.Insurer, optional)
	c.date("TransferDate", &t.Date, optional)
}

func (p *Payment) wire(c *codec) {
	c.boolean("PaymentByIo", &p.ByIO)
	c.years("MaxInvoiced", &p.MaxInvoiced)
	c.tristate("SpecialSocialCategory", &p.SpecialSocialCategory)
}

func (h *Hospitalized) wire(c *codec) {
	text(c, "Hospital", &h.Hospital, required)
	c.date("AdmissionDate", &h.Admission, optional)
	text(c, "AdmissionService", &h.Service, optional)
}

func (m *MedicalHouse) wire(c *codec) {
	c.attrTristate("Nurse", &m.Nurse)
	c.attrTristate("Medical", &m.Medical)
	c.attrTristate("Kine", &m.Kine)
	c.date("PeriodStart", &m.Period.Start, required)
	c.date("PeriodEnd", &m.Period.End, optional)
}

func (l *InsurabilityList) wire(c *codec) {
	c.attrTristate("Truncated", &l.Truncated)
	many(c, "InsurabilityItem", &l.Items, (*InsurabilityItem).wire)
}

func (i *InsurabilityItem) wire(c *codec) {
	c.private("RegNrWithMut", &i.RegNr, optional)
	text(c, "Mutuality", &i.Mutuality, required)
	one(c, "Period", &i.Period, wirePeriod)
	text(c, "CT1", &i.CT1, optional)
	text(c, "CT2", &i.CT2, optional)
	text(c, "PaymentApproval", &i.PaymentApproval, optional)
	c.date("InsurabilityDate", &i.Date, required)
}

func decodeGenIns(n *xmltree.Node) (*GenInsResponse, error) {
	r := new(GenInsResponse)
	if err := decode(n, genInsProtocol, genInsCore, "GetInsurabilityResponse", r, (*GenInsResponse).wire); err != nil {
		return nil, err
	}
	return r, nil
}

// Format implements [fmt.Formatter]: every verb shows a line without personal data.
func (r GenInsResponse) Format(f fmt.State, _ rune) {
	redact(f, "GetInsurabilityResponse status "+safeCode(r.Status.Code)+" [content withheld]")
}

// Format implements [fmt.Formatter]: no verb shows personal data.
func (r SingleResponse) Format(f fmt.State, _ rune) { redact(f, "[answer withheld]") }

// Format implements [fmt.Formatter]: no verb shows personal data.
func (r CareReceiverDetail) Format(f fmt.State, _ rune) { redact(f, "[person withheld]") }
