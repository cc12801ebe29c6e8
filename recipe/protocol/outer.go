package protocol

import (
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Administrative is what the platform reads of a prescription without opening it.
type Administrative struct {
	PrescriptionType       string // createPrescription only; equal to the sealed one
	PrescriptionVersion    string // "kmehr_1.29"
	ReferenceSourceVersion string // "samv2:" and a version, or "Unknown"
	KeyID                  string // createPrescription only; the keyId of the sealed param, sent as AdministrativeKeyIdentifier
}

// Request is the body element of a request, <Stem>Request: all that the platform itself reads.
type Request struct {
	Operation      Operation
	ID             string // "id" and a UUID: it must begin with a letter
	IssueInstant   time.Time
	ProgramID      string // vendor and version, see dossier 04 section 3.3
	SecuredContent []byte // the param, sealed for Recip-e
	// Administrative is demanded for createPrescription, and optional for putVisionForPrescriber, where the schema demands
	// it and known programs leave it out.
	Administrative *Administrative
	// DisableInsurabilityCheck is sent with getPrescriptionForExecutor only.
	DisableInsurabilityCheck bool
}

// Encode writes the body element. It fails with a *[MessageError] when something that must be there is absent.
func (r *Request) Encode() ([]byte, error) {
	if r.Operation.IsZero() {
		return nil, &MessageError{Path: "Request", Reason: "no operation"}
	}
	return writeRoot(&codec{}, "v4", nsProtocol, r.Operation.Stem+"Request", r.wire)
}

// DecodeRequest reads a body element. The role says which operation of that name is meant.
func DecodeRequest(role Role, n *xmltree.Node) (*Request, Deviations, error) {
	for _, o := range operations {
		if n == nil || o.Role != role || n.Local() != o.Stem+"Request" {
			continue
		}
		r := &Request{Operation: o}
		dev, err := readRoot(n, []string{n.Local()}, r.wire)
		return r, dev, err
	}
	return nil, Deviations{}, &MessageError{Path: "Request", Reason: "not a request of that role"}
}

func (r *Request) wire(c *codec) {
	attrText(c, "Id", &r.ID, wanted)
	c.attr("IssueInstant", wanted, func() string { return formatTime(r.IssueInstant) },
		func(s string) (err error) { r.IssueInstant, err = parseTime(s); return err })
	attrText(c, "ProgramId", &r.ProgramID, wanted)
	stem := r.Operation.Stem
	one(c, "Secured"+stem+"Request", &r.SecuredContent, must, wireSecured)
	switch stem {
	case "CreatePrescription":
		if c.writing() && r.Administrative == nil {
			c.fail("AdministrativeInformation", errMissing)
		}
		maybe(c, "AdministrativeInformation", &r.Administrative, (*Administrative).wireCreate)
	case "PutVisionForPrescriber":
		maybe(c, "AdministrativeInformation", &r.Administrative, (*Administrative).wireVersions)
	case "GetPrescriptionForExecutor":
		c.boolean("DisablePatientInsurabilityCheckParam", &r.DisableInsurabilityCheck, wanted)
	}
}

func wireSecured(b *[]byte, c *codec) { c.bytes("SecuredContent", b, must) }

func (a *Administrative) wireCreate(c *codec) {
	text(c, "PrescriptionType", &a.PrescriptionType, wanted)
	a.wireVersions(c)
	id := []byte(a.KeyID)
	c.bytes("KeyIdentifier", &id, wanted)
	a.KeyID = string(id)
}

func (a *Administrative) wireVersions(c *codec) {
	text(c, "PrescriptionVersion", &a.PrescriptionVersion, wanted)
	text(c, "ReferenceSourceVersion", &a.ReferenceSourceVersion, wanted)
}

// StatusSuccess is the outer status of an answer that was not refused by the platform.
const StatusSuccess = "urn:be:fgov:ehealth:2.0:status:Success"

// OuterStatus is the judgement outside the seal. It says whether the answer has a sealed part, not whether the operation
// was carried out.
type OuterStatus struct {
	Code    string           // a URI
	SubCode string           // a URI, refines Code
	Message identity.Private // server text: may name somebody
}

// OK tells success; besides the URI, 100 and 200 were seen.
func (s OuterStatus) OK() bool {
	return s.Code == StatusSuccess || s.Code == CodeOK || s.Code == CodeOKToo
}

// SafeCode returns the last parts of the code and the sub-code for logs and errors, such as "Responder/Invalid".
func (s OuterStatus) SafeCode() string {
	last := func(uri string) string {
		t := Status{Code: uri[strings.LastIndexByte(uri, ':')+1:]}
		return t.SafeCode()
	}
	if s.SubCode == "" {
		return last(s.Code)
	}
	return last(s.Code) + "/" + last(s.SubCode)
}

// Response is the body element of an answer, <Stem>Response.
type Response struct {
	Operation        Operation
	ID, InResponseTo string
	IssueInstant     time.Time
	Status           OuterStatus
	SecuredContent   []byte // the result, sealed with the ResponseKey; nil when the platform refused
	PrescriptionType string // getPrescriptionForExecutor only
	// Insurability is the element GetInsurabilityForPharmacistResponse of getPrescriptionForExecutor, as received; nil when
	// absent.
	Insurability *xmltree.Node
}

// DecodeResponse reads the answer to an operation. It fails with a *[MessageError] when n is the answer to another
// operation, or has no status. A success without sealed part is left to the caller.
func DecodeResponse(o Operation, n *xmltree.Node) (*Response, Deviations, error) {
	name := o.Stem + "Response"
	if n == nil || o.IsZero() || n.Local() != name {
		return nil, Deviations{}, &MessageError{Path: name, Reason: "another element stands in its place"}
	}
	r := &Response{Operation: o}
	dev, err := readRoot(n, []string{name}, r.wire)
	return r, dev, err
}

// Encode writes the body element as the platform does. It is for tests and simulations.
func (r *Response) Encode() ([]byte, error) {
	if r.Operation.IsZero() {
		return nil, &MessageError{Path: "Response", Reason: "no operation"}
	}
	return writeRoot(&codec{}, "v4", nsProtocol, r.Operation.Stem+"Response", r.wire)
}

func (r *Response) wire(c *codec) {
	attrText(c, "Id", &r.ID, wanted)
	attrText(c, "InResponseTo", &r.InResponseTo, optional)
	c.attr("IssueInstant", wanted, func() string { return formatTime(r.IssueInstant) },
		func(s string) (err error) { r.IssueInstant, err = parseTime(s); return err })
	if c.writing() {
		r.Status.write(c)
	} else {
		one(c, "Status", &r.Status, must, (*OuterStatus).read)
	}
	secured := "Secured" + r.Operation.Stem + "Response"
	if c.writing() && r.SecuredContent != nil || !c.writing() && c.has(secured) {
		one(c, secured, &r.SecuredContent, must, wireSecured)
	}
	if r.Operation.Stem != "GetPrescriptionForExecutor" {
		return
	}
	text(c, "PrescriptionType", &r.PrescriptionType, optional)
	const insurability = "GetInsurabilityForPharmacistResponse"
	switch {
	case c.err != nil:
	case !c.writing():
		r.Insurability = c.find(insurability, optional)
	case r.Insurability != nil:
		c.w.Raw(r.Insurability.Source())
	}
}

func (c *codec) has(local string) bool {
	for e := range c.n.Elements() {
		if e.Local() == local {
			return true
		}
	}
	return false
}

func (s *OuterStatus) read(c *codec) {
	one(c, "StatusCode", s, must, func(s *OuterStatus, c *codec) {
		attrText(c, "Value", &s.Code, wanted)
		if c.has("StatusCode") {
			one(c, "StatusCode", s, optional, func(s *OuterStatus, c *codec) {
				attrText(c, "Value", &s.SubCode, wanted)
				c.known = append(c.known, "StatusCode")
			})
		}
	})
	c.private("StatusMessage", &s.Message, optional)
	c.known = append(c.known, "StatusDetail")
}

func (s *OuterStatus) write(c *codec) {
	c.w.NS("c", nsCommons)
	c.w.Start("c", "Status")
	c.w.Start("c", "StatusCode")
	c.w.Attr("", "Value", s.Code)
	if s.SubCode != "" {
		c.w.Start("c", "StatusCode")
		c.w.Attr("", "Value", s.SubCode)
		c.w.End()
	}
	c.w.End()
	if !s.Message.IsZero() {
		c.w.Leaf("c", "StatusMessage", s.Message.Reveal())
	}
	c.w.End()
}
