package insurability

import "fmt"

const (
	// ServiceGenIns is the id of the generic insurability service in the signed service list.
	ServiceGenIns = "uddi:ehealth-fgov-be:business:genericinsurability:v1"
	// ActionGenIns is the SOAPAction of getInsurability.
	ActionGenIns = "urn:be:fgov:ehealth:genericinsurability:protocol:v1:GetInsurability"

	nsGenInsProtocol = "urn:be:fgov:ehealth:genericinsurability:protocol:v1"
	nsGenInsCore     = "urn:be:fgov:ehealth:genericinsurability:core:v1"
)

var (
	genInsProtocol = namespace{"p", nsGenInsProtocol}
	genInsCore     = namespace{"c", nsGenInsCore}
)

// GenInsRequest is GetInsurabilityRequest of generic insurability v1.1 (dossier 05 section 1.3), field by field. Not
// carried: the attributes ValueRef, Id and Ref, which no client uses.
type GenInsRequest struct {
	CommonInput       CommonInput
	RecordCommonInput RecordCommonInput
	Request           SingleRequest
}

// CommonInput says who asks, with which software.
type CommonInput struct {
	IsTest         bool // GenIns clients send false everywhere
	Origin         Origin
	InputReference string // our reference, at most 14 characters; comes back in the answer
	NIPReference   string // at most 14 characters; clients leave it out
}

// RecordCommonInput holds our reference of the single question.
type RecordCommonInput struct {
	InputReference string // digits only, at most 14; comes back in the answer
}

// SingleRequest is the question itself.
type SingleRequest struct {
	Header       MessageHeader // leave empty
	CareReceiver CareReceiverID
	Detail       RequestDetail
}

// MessageHeader holds the attributes that GenIns inherited from its flat predecessor. Clients should not send them.
type MessageHeader struct {
	MessageName       string // M801000, M801000ERR, …
	Version           string // 2 digits
	Duplicate         Tristate
	TestFlag          Tristate
	SenderReference   string // 1 to 14 digits
	ReceiverReference string // 1 to 14 digits
	Synchronous       Tristate
}

// RequestDetail is what is asked; the answer echoes it.
type RequestDetail struct {
	RequestType RequestType
	Period      Period
	ContactType ContactType
	Reference   string // at most 25 capitals, digits and some punctuation; echoed
}

// RequestType of a question.
type RequestType string

// The values of RequestType.
const (
	Information RequestType = "information" // the only one the platform supports today
	Invoicing   RequestType = "invoicing"   // in the schema, not supported
)

// ContactType of a question: how the patient is cared for.
type ContactType string

// The values of ContactType.
const (
	AmbulatoryCare        ContactType = "ambulatory_care"        // not in hospital; the usual one
	HospitalizedForDay    ContactType = "hospitalized_for_day"   // day clinic
	HospitalizedElsewhere ContactType = "hospitalized_elsewhere" // the answer tells where; refused (42) when he is not
	OtherContact          ContactType = "other"
)

func (r *GenInsRequest) wire(c *codec) {
	one(c, "CommonInput", &r.CommonInput, (*CommonInput).wire)
	one(c, "RecordCommonInput", &r.RecordCommonInput, (*RecordCommonInput).wire)
	one(c, "Request", &r.Request, (*SingleRequest).wire)
}

func (i *CommonInput) wire(c *codec) {
	one(c, "Request", &i.IsTest, func(b *bool, c *codec) { c.boolean("IsTest", b) })
	one(c, "Origin", &i.Origin, (*Origin).wire)
	text(c, "InputReference", &i.InputReference, optional)
	text(c, "NIPReference", &i.NIPReference, optional)
}

func (i *RecordCommonInput) wire(c *codec) { c.number("InputReference", &i.InputReference) }

func (r *SingleRequest) wire(c *codec) {
	r.Header.wire(c)
	one(c, "CareReceiverId", &r.CareReceiver, (*CareReceiverID).wireGenIns)
	one(c, "InsurabilityRequestDetail", &r.Detail, (*RequestDetail).wire)
}

func (h *MessageHeader) wire(c *codec) {
	attrText(c, "MessageName", &h.MessageName)
	attrText(c, "Version", &h.Version)
	c.attrTristate("Duplicate", &h.Duplicate)
	c.attrTristate("TestFlag", &h.TestFlag)
	attrText(c, "SenderReference", &h.SenderReference)
	attrText(c, "ReceiverReference", &h.ReceiverReference)
	c.attrTristate("Synchronous", &h.Synchronous)
}

func (d *RequestDetail) wire(c *codec) {
	text(c, "InsurabilityRequestType", &d.RequestType, required)
	one(c, "Period", &d.Period, wirePeriod)
	text(c, "InsurabilityContactType", &d.ContactType, required)
	text(c, "InsurabilityReference", &d.Reference, optional)
}

func wirePeriod(p *Period, c *codec) {
	c.date("PeriodStart", &p.Start, optional)
	c.date("PeriodEnd", &p.End, optional)
}

func (r *GenInsRequest) encode() ([]byte, error) {
	return encode(genInsProtocol, genInsCore, "GetInsurabilityRequest", r, (*GenInsRequest).wire)
}

// Format implements [fmt.Formatter]: every verb shows a line without personal data.
func (r GenInsRequest) Format(f fmt.State, _ rune) {
	redact(f, "GetInsurabilityRequest "+r.CommonInput.InputReference+" [patient withheld]")
}
