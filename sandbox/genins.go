package sandbox

import (
	"context"
	"fmt"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

var geninsOperations = []operation{
	{qname{nsGenIns, "GetInsurabilityRequest"}, []string{nsGenIns + ":GetInsurability"}},
	{qname{nsGenIns, "GetInsurabilityAsFlatRequest"}, []string{nsGenIns + ":GetInsurabilityAsFlat"}},
}

// genins is GenIns v1.1 (dossier 05 section 1), at the ESB and at the direct address.
//
// getInsurabilityAsFlat is checked like its sister and then refused with SOA-03005: its answer is a flat CARENET
// record that no current client asks for, and a fault of the 03 family tells a client not to try elsewhere.
func (v *services) genins(_ context.Context, s *Sandbox, rq *request) *response {
	m, op, r := open(rq, geninsOperations)
	if r != nil {
		return v.fault(s, rq, r)
	}
	c, r := v.holderOfKey(s, rq, m)
	if r == nil {
		r = c.mayAskGenIns()
	}
	if r == nil {
		r = conforms(m.Payload, geninsRequestType)
	}
	if r != nil {
		return v.fault(s, rq, r)
	}
	q := decodeGenIns(m.Payload)
	if r := c.matches(q.origin); r != nil {
		return v.fault(s, rq, r)
	}
	if op.payload.local == "GetInsurabilityAsFlatRequest" {
		return v.fault(s, rq, refuse("SOA-03005", "the flat operation is not offered"))
	}
	a := s.insure(q, rq.At)
	payload, err := v.encodeGenIns(q, a, s.ticket())
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	outcome := "answered"
	if a.fault != nil {
		outcome = "fault." + a.fault.details[0].code
	}
	s.count(rq.Service + "." + outcome)
	about := givenText(q.inss) + "/" + givenText(q.regNr) + "/" + givenText(q.mutuality)
	return v.answer(s, rq, nil, payload, askerKey(c.cert, about))
}

// geninsQualities are the qualities that may ask, with the claim that proves the number (dossier 05 1.4).
var geninsQualities = func() map[string]string {
	out := map[string]string{"doctor": claimPSE + "doctor:nihii11"}
	for _, q := range []string{
		"nurse", "physiotherapist", "dentist", "logopedist", "trussmaker", "orthopedist", "midwife", "optician",
		"podologist", "dietician",
	} {
		out[q] = claimPSE + "nihii:" + q + ":nihii11"
	}
	for _, q := range []string{
		"hospital", "groupofnurses", "labo", "retirement", "otdpharmacy", "medicalhouse", "psychiatrichouse",
		"guardpost", "ambulanceservice",
	} {
		out[q] = claimEH + q + ":nihii-number:recognised" + q + ":nihii11"
	}
	out["groupofdoctors"] = claimEH + "officedoctors:nihii-number:recognisedofficedoctors:nihii11"
	return out
}()

// individual tells whether a quality is a person's: persons may ask about one day only (dossier 05 1.7, detail 32).
func individual(quality string) bool { return strings.HasPrefix(geninsQualities[quality], claimPS) }

// number is the proven number in a quality, "" when the token does not prove it.
func (c *caller) number(quality string) string {
	name, ok := geninsQualities[quality]
	if !ok {
		return ""
	}
	n := c.claim(name)
	if n == "" && quality == "nurse" {
		n = c.claim(claimPSE + "nurse:nihii11")
	}
	return n
}

// mayAskGenIns authorises: the token must prove a number in some quality of the service. A claim about that quality
// which is "false" takes the right away.
func (c *caller) mayAskGenIns() *refused {
	for quality := range geninsQualities {
		if c.number(quality) != "" && !c.denied(quality) {
			return nil
		}
	}
	return refuse("SOA-01002", "token proves no quality that may ask")
}

func (c *caller) denied(quality string) bool {
	for _, a := range c.token.Attributes {
		if !strings.HasSuffix(a.Name, ":"+quality+":boolean") && !strings.HasSuffix(a.Name, ":recognised"+quality+":boolean") {
			continue
		}
		for _, value := range a.Values {
			if value == "false" {
				return true
			}
		}
	}
	return false
}

// matches compares what the request says about its sender with what the token proves.
func (c *caller) matches(o origin) *refused {
	number := c.number(o.quality)
	switch {
	case !o.present:
		return refuse("SOA-01002", "request does not say who asks")
	case number == "" || c.denied(o.quality):
		return refuse("SOA-01002", "token does not prove the quality of the request")
	case o.number != number:
		return refuse("SOA-01002", "number of the care provider is not that of the token")
	case o.personID != "" && (o.personID != number || o.personQuality != o.quality),
		o.personSSIN != "" && o.personSSIN != c.claim(claimPS):
		return refuse("SOA-01002", "person is not the one of the token")
	case o.orgID != "" && (o.orgID != number || o.orgQuality != o.quality):
		return refuse("SOA-01002", "organisation is not the one of the token")
	}
	return nil
}

// nextReferences are the platform's references for one answer: two of 14 characters, one of 14 digits.
func (v *services) nextReferences() (nip, output, record string) {
	n := v.refs.Add(1) % 100_000_000_000
	return fmt.Sprintf("SBN%011d", n), fmt.Sprintf("SBX%011d", n), fmt.Sprintf("3%013d", n)
}

// encodeGenIns writes the GetInsurabilityResponse.
func (v *services) encodeGenIns(q *geninsRequest, a *geninsAnswer, id string) ([]byte, error) {
	nip, output, record := v.nextReferences()
	w := xmltree.NewWriter()
	w.Start("p", "GetInsurabilityResponse")
	w.NS("p", nsGenIns)
	w.NS("c", nsGenInsCore)
	w.Attr("", "Id", id)
	writeStatus(w)
	w.Start("p", "CommonOutput")
	leafIf(w, "InputReference", q.reference)
	w.Leaf("c", "NIPReference", nip)
	w.Leaf("c", "OutputReference", output)
	w.End()
	w.Start("p", "RecordCommonOutput")
	leafIf(w, "InputReference", q.record)
	w.Leaf("c", "OutputReference", record)
	w.End()
	w.Start("p", "Response")
	for _, kv := range [][2]string{
		{"MessageName", "M801000"},
		{"Version", "01"},
		{"Duplicate", "false"},
		{"TestFlag", fmt.Sprint(q.test)},
		{"SenderReference", record},
		{"Synchronous", "true"},
	} {
		w.Attr("", kv[0], kv[1])
	}
	a.write(w, q)
	writeRequestDetail(w, q)
	w.End()
	w.End()
	return w.Bytes()
}

// writeStatus writes the Status of eHealth commons 1.7: in no namespace, first child (dossier 05 1.2).
func writeStatus(w *xmltree.Writer) {
	w.Start("", "Status")
	w.Leaf("", "Code", "200")
	w.Start("", "Message")
	w.Attr("", "Lang", "EN")
	w.Text("Success")
	w.End()
	w.End()
}

// leafIf writes an optional leaf in the core namespace.
func leafIf(w *xmltree.Writer, local string, text *string) {
	if text != nil {
		w.Leaf("c", local, *text)
	}
}

// writeRequestDetail repeats the question, which every answer ends with.
func writeRequestDetail(w *xmltree.Writer, q *geninsRequest) {
	w.Start("c", "InsurabilityRequestDetail")
	w.Leaf("c", "InsurabilityRequestType", q.kind)
	w.Start("c", "Period")
	leafIf(w, "PeriodStart", q.start)
	leafIf(w, "PeriodEnd", q.end)
	w.End()
	w.Leaf("c", "InsurabilityContactType", q.contact)
	leafIf(w, "InsurabilityReference", q.own)
	w.End()
}
