package insurability

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const (
	// ServicePharmacist is the id of the pharmacist insurability service in the signed service list.
	ServicePharmacist = "uddi:ehealth-fgov-be:business:insurability:v2"
	// ActionPharmacist is the SOAPAction of getInsurabilityForPharmacist.
	ActionPharmacist = "urn:be:fgov:ehealth:insurability:protocol:v2:GetInsurabilityForPharmacist"

	nsPharmacistProtocol = "urn:be:fgov:ehealth:insurability:protocol:v2"
	nsPharmacistCore     = "urn:be:fgov:ehealth:insurability:core:v2"
	nsSAML2              = "urn:oasis:names:tc:SAML:2.0:assertion"
)

var (
	pharmacistProtocol = namespace{"p", nsPharmacistProtocol}
	pharmacistCore     = namespace{"c", nsPharmacistCore}
	saml2              = namespace{"saml2", nsSAML2}
)

// PharmacistRequest is GetInsurabilityForPharmacistRequest v2 (dossier 05 section 2.2), field by field.
type PharmacistRequest struct {
	IsTest      Tristate // CommonInput/Request/IsTest; NotKnown leaves the element out
	Origin      Origin   // CommonInput/Origin; SiteID does not exist here
	Record      PharmacistRecord
	Request     PharmacistQuestion
	Information *ExtendedInformation
}

// PharmacistRecord holds our references of the question; both come back in the answer.
type PharmacistRecord struct {
	Reference     string // at most 14 digits
	UserReference string // at most 25; upper-cased on the way, of punctuation only "-" is safe
}

// PharmacistQuestion is the question itself.
type PharmacistQuestion struct {
	Date         Date
	RequestType  string // one character; the code list is not published
	CareReceiver CareReceiverID
}

// ExtendedInformation is a list of SAML 2.0 attributes; nobody was seen to fill it.
type ExtendedInformation struct{ Attributes []Attribute }

// Attribute is one SAML 2.0 attribute with its values as text.
type Attribute struct {
	Name, NameFormat, FriendlyName string
	Values                         []Private
}

// PharmacistResponse is GetInsurabilityForPharmacistResponse v2 (dossier 05 section 2.3), field by field. When the
// Status refuses the message, Body is nil.
type PharmacistResponse struct {
	Provenance Provenance // not on the wire

	ID     string
	Status Status
	Body   *PharmacistBody
}

// PharmacistBody is everything after the Status.
type PharmacistBody struct {
	CommonOutput       PharmacistOutput
	RecordCommonOutput PharmacistRecordOutput
	ReturnInfo         ReturnInfo
	Response           PharmacistAnswer
	Information        *ExtendedInformation
}

// PharmacistOutput holds the platform's references of the message, 14 characters each.
type PharmacistOutput struct{ Reference, IOReference string }

// PharmacistRecordOutput returns our references and adds the insurer's.
type PharmacistRecordOutput struct{ Reference, IOReference, UserReference string }

// ReturnInfo is the business verdict. MultipleIO lists the insurers when several were found, one character each.
type ReturnInfo struct {
	Code       ReturnCode
	MultipleIO []string
}

// ReturnCode has three parts; Major "01" is success. The table of the others is not published.
type ReturnCode struct{ Major, Minor, Detail string }

// PharmacistAnswer holds the patient and the rights.
type PharmacistAnswer struct {
	Requested    Date
	CareReceiver PharmacistPatient
	Coverage     *Coverage
	Verification *Verification
}

// PharmacistPatient is the patient as the insurer knows him.
type PharmacistPatient struct {
	ID     CareReceiverID
	Person Person
}

// Coverage is the right to reimbursement.
type Coverage struct {
	Communicated Date
	Period       Period
	Code1, Code2 string // CT1 and CT2 of GenIns
	ThirdParty   ThirdPartyPayer
}

// ThirdPartyPayer is the regime under which the insurer pays the pharmacist directly.
type ThirdPartyPayer string

// The values of ThirdPartyPayer.
const (
	ThirdPartyNone     ThirdPartyPayer = "none"     // the patient pays and is reimbursed later
	ThirdPartyStandard ThirdPartyPayer = "standard" // the insurer pays its ordinary share
	ThirdPartyElevated ThirdPartyPayer = "elevated" // the insurer pays the share of increased reimbursement
)

// Verification holds what tarification needs with the invoice; keep it with the sale. Asking again may give another
// approval: keep the first good one.
type Verification struct {
	PaymentApproval           string // 32 characters, opaque
	PaymentApprovalSeed       string // 10 characters
	InvoicingOfficeCheckDigit string // 2 characters
}

func (r *PharmacistRequest) wire(c *codec) {
	one(c, "CommonInput", r, func(r *PharmacistRequest, c *codec) {
		var test *Tristate
		if r.IsTest != NotKnown {
			test = &r.IsTest
		}
		maybe(c, "Request", &test, func(t *Tristate, c *codec) { c.tristate("IsTest", t) })
		if test != nil {
			r.IsTest = *test
		}
		one(c, "Origin", &r.Origin, (*Origin).wire)
	})
	one(c, "RecordCommonInput", &r.Record, (*PharmacistRecord).wire)
	one(c, "InsurabilityRequest", &r.Request, (*PharmacistQuestion).wire)
	maybe(c, "ExtendedInformation", &r.Information, (*ExtendedInformation).wire)
}

func (r *PharmacistRecord) wire(c *codec) {
	c.number("Reference", &r.Reference)
	text(c, "UserReference", &r.UserReference, optional)
}

func (q *PharmacistQuestion) wire(c *codec) {
	c.date("Date", &q.Date, required)
	text(c, "RequestType", &q.RequestType, required)
	one(c, "CareReceiver", &q.CareReceiver, (*CareReceiverID).wirePharmacist)
}

func (i *ExtendedInformation) wire(c *codec) {
	c.in(saml2, func() { many(c, "Attribute", &i.Attributes, (*Attribute).wire) })
}

func (a *Attribute) wire(c *codec) {
	if c.writing() {
		c.w.NS(saml2.prefix, saml2.uri)
		c.w.Attr("", "Name", a.Name) // required, even when empty
	} else {
		attrText(c, "Name", &a.Name)
	}
	attrText(c, "NameFormat", &a.NameFormat)
	attrText(c, "FriendlyName", &a.FriendlyName)
	c.in(saml2, func() {
		many(c, "AttributeValue", &a.Values, func(v *Private, c *codec) {
			c.content(v.Reveal, func(s string) error { *v = Hide(s); return nil })
		})
	})
}

func (r *PharmacistResponse) wire(c *codec) {
	attrText(c, "Id", &r.ID)
	wireStatus(c, &r.Status)
	if !c.writing() && c.err == nil && c.find("CommonOutput", optional) != nil {
		r.Body = new(PharmacistBody)
	}
	if r.Body != nil {
		r.Body.wire(c)
	}
}

func (b *PharmacistBody) wire(c *codec) {
	one(c, "CommonOutput", &b.CommonOutput, (*PharmacistOutput).wire)
	one(c, "RecordCommonOutput", &b.RecordCommonOutput, (*PharmacistRecordOutput).wire)
	one(c, "ReturnInfo", &b.ReturnInfo, (*ReturnInfo).wire)
	one(c, "InsurabilityResponse", &b.Response, (*PharmacistAnswer).wire)
	maybe(c, "ExtendedInformation", &b.Information, (*ExtendedInformation).wire)
}

func (o *PharmacistOutput) wire(c *codec) {
	text(c, "Reference", &o.Reference, optional)
	text(c, "IoReference", &o.IOReference, optional)
}

func (o *PharmacistRecordOutput) wire(c *codec) {
	c.number("Reference", &o.Reference)
	c.number("IoReference", &o.IOReference)
	text(c, "UserReference", &o.UserReference, optional)
}

func (i *ReturnInfo) wire(c *codec) {
	one(c, "ReturnCode", &i.Code, (*ReturnCode).wire)
	c.leaf("MultipleIO", optional,
		func() string { return strings.Join(i.MultipleIO, " ") },
		func(s string) error { i.MultipleIO = slices.Collect(strings.FieldsSeq(strings.Clone(s))); return nil })
}

func (r *ReturnCode) wire(c *codec) {
	text(c, "Major", &r.Major, required)
	text(c, "Minor", &r.Minor, required)
	text(c, "Detail", &r.Detail, required)
}

func (a *PharmacistAnswer) wire(c *codec) {
	c.date("Requested", &a.Requested, optional)
	one(c, "CareReceiver", &a.CareReceiver, (*PharmacistPatient).wire)
	maybe(c, "Coverage", &a.Coverage, (*Coverage).wire)
	maybe(c, "Verification", &a.Verification, (*Verification).wire)
}

func (p *PharmacistPatient) wire(c *codec) {
	p.ID.wirePharmacist(c)
	p.Person.wire(c)
}

func (v *Coverage) wire(c *codec) {
	c.date("Communicated", &v.Communicated, required)
	one(c, "Period", &v.Period, func(p *Period, c *codec) {
		c.date("BeginDate", &p.Start, required)
		c.date("EndDate", &p.End, required)
	})
	one(c, "Entitlement", v, func(v *Coverage, c *codec) {
		text(c, "Code1", &v.Code1, required)
		text(c, "Code2", &v.Code2, required)
		text(c, "ThirdPartyPayerRegime", &v.ThirdParty, required)
	})
}

func (v *Verification) wire(c *codec) {
	text(c, "PaymentApproval", &v.PaymentApproval, optional)
	text(c, "PaymentApprovalSeed", &v.PaymentApprovalSeed, optional)
	text(c, "InvoicingOfficeCheckDigit", &v.InvoicingOfficeCheckDigit, required)
}

func (r *PharmacistRequest) encode() ([]byte, error) {
	return encode(pharmacistProtocol, pharmacistCore, "GetInsurabilityForPharmacistRequest", r, (*PharmacistRequest).wire)
}

func decodePharmacist(n *xmltree.Node) (*PharmacistResponse, error) {
	r := new(PharmacistResponse)
	err := decode(n, pharmacistProtocol, pharmacistCore, "GetInsurabilityForPharmacistResponse", r, (*PharmacistResponse).wire)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Format implements [fmt.Formatter]: every verb shows a line without personal data.
func (r PharmacistRequest) Format(f fmt.State, _ rune) {
	redact(f, "GetInsurabilityForPharmacistRequest "+r.Record.Reference+" [patient withheld]")
}

// Format implements [fmt.Formatter]: every verb shows a line without personal data.
func (r PharmacistResponse) Format(f fmt.State, _ rune) {
	redact(f, "GetInsurabilityForPharmacistResponse status "+safeCode(r.Status.Code)+" [content withheld]")
}

// Format implements [fmt.Formatter]: no verb shows personal data.
func (b PharmacistBody) Format(f fmt.State, _ rune) { redact(f, "[answer withheld]") }

// Format implements [fmt.Formatter]: no verb shows personal data.
func (a PharmacistAnswer) Format(f fmt.State, _ rune) { redact(f, "[answer withheld]") }

// Format implements [fmt.Formatter]: no verb shows personal data.
func (p PharmacistPatient) Format(f fmt.State, _ rune) { redact(f, "[person withheld]") }
