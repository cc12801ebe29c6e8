package sandbox

import (
	"bytes"
	"compress/flate"
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// MemberData v1 (dossier 05 section 3): service "memberdata" of the fault grammar, its alternate "memberdata-direct". The
// grammar of dossier 06 A.4.1 has no name for it, so incidents reach it through the groups esb and net only.
//
// The clear envelope is answered; a sealed one is refused with SOA-03007. Facets whose attributes are not published (care
// path, reference pharmacy, global medical file, palliative status and the rest) are accepted and answered by no assertion,
// which is how the absence of a status is said.
const (
	uddiMember    = "uddi:ehealth-fgov-be:business:memberdata:v1"
	pathMember    = "/MyCareNet/MemberData/v1"
	pathMemberBCP = "/mycarenet/bed/bcp/memberData"

	maxMemberDocument = 1 << 20 // bytes of a question after inflating
)

// memberOperations: the SOAPAction is not published; this is the value by analogy.
var memberOperations = []operation{
	{qname{nsMember, "MemberDataConsultationRequest"}, []string{nsMember + ":MemberDataConsultation"}},
}

// memberRoute is one of the two addresses, by order in the service list.
func (v *services) memberRoute(order int) route {
	r := route{Service: "memberdata", Path: pathMember, UDDI: uddiMember, Order: order, Name: "MemberData", Handle: v.memberData}
	if order > 0 {
		r.Service, r.Path, r.Direct = "memberdata-direct", pathMemberBCP, true
	}
	return r
}

// MemberDataBehaviour is how MemberData and the insurers behind it behave. The zero value: everything works.
type MemberDataBehaviour struct {
	// Down are the unions that cannot be reached, by the first digit of their codes: "3". "*" is all of them.
	Down []string
	// Partial: of the facets asked, only the first is answered, with the warning MISSING_FACETS.
	Partial bool
	// Deflate: answers are deflated, with their digest.
	Deflate bool
	// BareFault: Fault stands in no namespace, as it does on the wire often enough.
	BareFault bool
	// Wrong changes the document of every answer, for tests of clients that must not believe it. nil: as it is.
	Wrong func(document []byte) []byte
}

// memberState holds the behaviour.
type memberState struct {
	mu        sync.Mutex
	behaviour MemberDataBehaviour
}

// SetMemberData changes how MemberData behaves from now on.
func (s *Sandbox) SetMemberData(b MemberDataBehaviour) {
	b.Down = slices.Clone(b.Down)
	s.member.mu.Lock()
	defer s.member.mu.Unlock()
	s.member.behaviour = b
}

func (m *memberState) get() MemberDataBehaviour {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.behaviour
}

// down tells whether the union of an insurer cannot be reached.
func (b *MemberDataBehaviour) down(mutuality string) bool {
	return slices.Contains(b.Down, "*") || mutuality != "" && slices.Contains(b.Down, mutuality[:1])
}

// memberData is both addresses.
func (v *services) memberData(_ context.Context, s *Sandbox, rq *request) *response {
	m, _, r := open(rq, memberOperations)
	if r != nil {
		return v.fault(s, rq, r)
	}
	c, r := v.holderOfKey(s, rq, m)
	if r == nil {
		r = c.mayAskGenIns()
	}
	if r == nil {
		r = conforms(m.Payload, memberRequestType)
	}
	if r != nil {
		return v.fault(s, rq, r)
	}
	doc, r := memberDocument(m.Payload.Child(nsMemberCommons, "Detail"))
	if r != nil {
		return v.fault(s, rq, r)
	}
	common := m.Payload.Child(nsMemberCommons, "CommonInput")
	q := &memberQuery{
		origin:    decodeOrigin(nodeAt(common, nsMemberCore, "Origin"), nsMemberCore),
		reference: textOf(nodeAt(common, nsMemberCore, "InputReference")),
		now:       dayIn(rq.At),
	}
	q.envelope, _ = m.Payload.Attr("", "Id")
	a := &memberAnswer{behaviour: s.member.get(), asker: q.origin.number, at: rq.At}
	if a.fault = q.read(doc, c); a.fault == nil {
		if r := conforms(doc, memberQueryType); r != nil {
			return v.fault(s, rq, refuse("SOA-03007", "question not as in its schema"))
		}
		s.askMember(q, a)
	}
	payload, err := v.encodeMember(q, a)
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	outcome := "answered"
	switch {
	case a.fault != nil:
		outcome = "fault." + a.fault.detail
	case len(a.warnings) > 0:
		outcome = "partial"
	}
	s.count(rq.Service + "." + outcome)
	return v.answer(s, rq, nil, payload, askerKey(c.cert, q.nameFormat+"/"+q.nameID))
}

// memberDocument opens the blob of a question.
func memberDocument(blob *xmltree.Node) (*xmltree.Node, *refused) {
	attr := func(name, def string) string {
		if v, ok := blob.Attr("", name); ok {
			return v
		}
		return def
	}
	content, err := decodeBase64(textOf(blob))
	switch {
	case err != nil:
		return nil, refuse("SOA-03006", "Detail: value not of type base64Binary")
	case attr("ContentEncryption", "") != "":
		return nil, refuse("SOA-03007", "sealed questions are not offered")
	case attr("ContentType", "") != "text/xml":
		return nil, refuse("SOA-03007", "ContentType is not text/xml")
	}
	switch attr("ContentEncoding", "deflate") {
	case "none":
	case "deflate":
		if content, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(content)), maxMemberDocument)); err != nil {
			return nil, refuse("SOA-03007", "content cannot be inflated")
		}
	default:
		return nil, refuse("SOA-03007", "ContentEncoding not known")
	}
	doc, err := xmltree.Parse(content, requestLimits)
	if err != nil || !doc.Is(nsSAMLP2, "AttributeQuery") {
		return nil, refuse("SOA-03007", "content is not an AttributeQuery")
	}
	return doc, nil
}

// memberFault is a refusal or a warning: a status of two parts and one detail.
type memberFault struct {
	top, sub, code, source string
	detail, location, text string
}

// Shapes of dossier 05 3.6.
func queryError(detail, location, text string) *memberFault {
	return &memberFault{"Requester", "AttributeQueryError", "INPUT_ERROR", "MYCARENET", detail, location, text}
}

func crosscheck(detail, location string) *memberFault {
	return &memberFault{"Requester", "RequestError", "VALIDATION_ERROR", "MYCARENET", detail, location, "does not fit the envelope or the token"}
}

func memberInput(top, detail, location, text string) *memberFault {
	return &memberFault{top, "InputError", "INPUT_ERROR", "MYCARENET", detail, location, text}
}

// insurerFault is a refusal by the insurer itself.
func insurerFault(mutuality, detail, location, text string) *memberFault {
	return &memberFault{"Responder", "InternalError", "INPUT_ERROR", "IO-BE-" + mutuality[:1] + "00", detail, location, text}
}

// askMember answers a question that is in order: routing, insurer, contact type.
func (s *Sandbox) askMember(q *memberQuery, a *memberAnswer) {
	g := &geninsRequest{origin: q.origin, kind: "information", contact: "ambulatory_care", from: q.from, to: q.to}
	if q.ssin != "" {
		g.inss = &q.ssin
	} else {
		g.regNr = &q.regNr
	}
	if q.mutuality != "" {
		g.mutuality = &q.mutuality
	}
	ga := &geninsAnswer{today: q.now}
	s.route(g, ga)
	if ga.fault != nil {
		switch ga.fault.details[0].code {
		case "21":
			a.fault = memberInput("Responder", "UNKNOWN_IO", whereNameID, "insurer unknown")
		case "44":
			a.fault = memberInput("Responder", "MULTIPLE_IO", whereNameID, "several insurers found")
		default:
			a.fault = memberInput("Responder", "UNKNOWN_NISS_ROUTING", whereNameID, "not found in the routing table")
			if q.ssin == "" && !a.behaviour.down(q.mutuality) {
				a.fault = insurerFault(q.mutuality, "BO_UNKNOWN_REGNBR", whereNameID, "regNrWithMut unknown")
			}
		}
		return
	}
	if a.behaviour.down(ga.mutuality) {
		a.fault = &memberFault{
			"Responder", "InternalError", "SEND_ERROR", "MYCARENET", "SEND_TO_IM_EXCEPTION", "", "Connection problem with the insurer",
		}
		return
	}
	if q.contact == "hospitalized" && ga.patient.Scenario != Hospitalised {
		a.fault = queryError("MISMATCHED_CONTACTTYPE", "Facet["+facetInsurability+"]/Dimension[contactType]", "patient not in hospital")
		a.fault.top = "Responder"
		return
	}
	a.genins, a.insurer, a.spans = ga, ga.mutuality[:1]+"00", ga.spans(g)
	if len(a.spans) > mostSpans {
		a.spans = a.spans[:mostSpans]
		a.warn("ONLY_FIVE_PERIODS_RETURNED", "Only five periods are returned")
	}
	if ga.patient.Scenario == Transferred && q.from.Before(ga.turn()) && !q.to.Before(ga.turn()) {
		a.warn("MUTATION", "The patient changed insurer within the period")
	}
	a.facets = q.facets
	if a.behaviour.Partial {
		a.facets = a.facets[:1]
		a.warn("MISSING_FACETS", "Not all requested facets are available")
	}
}

func (a *memberAnswer) warn(detail, text string) {
	a.warnings = append(a.warnings, memberFault{detail: detail, text: text})
}

// has tells whether a facet is answered.
func (a *memberAnswer) has(id string) bool { return slices.Contains(a.facets, id) }

// isDigits tells that s is n digits.
func isDigits(s string, n int) bool { return len(s) == n && strings.Trim(s, "0123456789") == "" }
