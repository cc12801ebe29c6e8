package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

var pharmaOperations = []operation{
	{qname{nsPharma, "GetInsurabilityForPharmacistRequest"}, []string{nsPharma + ":GetInsurabilityForPharmacist"}},
}

// coverageDays is how long an answer to a pharmacist guarantees payment (dossier 05 2.3).
const coverageDays = 30

const nsWSA = "http://www.w3.org/2005/08/addressing"

// pharma is the pharmacist service v2 (dossier 05 section 2), at the ESB and at the direct address. The WSDL has one
// operation; AliveCheck, which a note mentions, is not in it and is refused as unknown.
func (v *services) pharma(_ context.Context, s *Sandbox, rq *request) *response {
	m, _, r := open(rq, pharmaOperations)
	if r != nil {
		return v.fault(s, rq, r)
	}
	c, r := v.holderOfKey(s, rq, m)
	if r == nil {
		r = c.mayAskPharma()
	}
	if r == nil {
		r = conforms(m.Payload, pharmaRequestType)
	}
	if r != nil {
		return v.fault(s, rq, r)
	}
	q := decodePharma(m.Payload)
	if r := c.isPharmacy(q.origin); r != nil {
		return v.fault(s, rq, r)
	}
	a := s.insurePharma(q, rq.At)
	payload, err := v.encodePharma(q, a, c)
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	header, err := messageID()
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	s.count(rq.Service + ".pharmacist." + a.major)
	about := givenText(q.ssin) + "/" + givenText(q.regNr) + "/" + givenText(q.mutuality)
	return v.answer(s, rq, header, payload, askerKey(c.cert, about))
}

// mayAskPharma authorises: only a recognised pharmacy with a certified holder.
func (c *caller) mayAskPharma() *refused {
	if c.claim(claimIsPharmacy) != "true" || c.claim(claimIsOwner) != "true" || c.claim(claimOwnerNIHII) == "" {
		return refuse("SOA-01002", "token is not that of a pharmacy")
	}
	return nil
}

// isPharmacy compares what the request says about its sender with what the token proves (dossier 05 2.2).
func (c *caller) isPharmacy(o origin) *refused {
	switch {
	case !o.present:
		return refuse("SOA-01002", "request does not say who asks")
	case o.quality != "PHARMACY-HOLDER" || !sameNumber(o.number, c.claim(claimOwnerNIHII)):
		return refuse("SOA-01002", "holder is not the one of the token")
	case o.personSSIN != "" && o.personSSIN != c.claim(claimOwner) && o.personSSIN != c.claim(claimPS):
		return refuse("SOA-01002", "person is not the one of the token")
	case o.orgID != "" && (o.orgQuality != "PHARMACY" || !sameNumber(o.orgID, c.claim(claimPharmacy))):
		return refuse("SOA-01002", "pharmacy is not the one of the token")
	}
	return nil
}

// sameNumber compares NIHII numbers of 8 or 11 digits by what both have.
func sameNumber(a, b string) bool {
	switch {
	case a == "" || b == "":
		return false
	case len(a) == 11 && len(b) == 8:
		return a == b+"000"
	case len(a) == 8 && len(b) == 11:
		return a == b[:8]
	}
	return a == b
}

// pharmaRequest is what the sandbox reads from a request that conforms to its schema.
type pharmaRequest struct {
	origin                 origin
	record, user           *string
	date                   time.Time
	ssin, regNr, mutuality *string
}

func decodePharma(n *xmltree.Node) *pharmaRequest {
	const p, c = nsPharma, nsPharmaCore
	record := n.Child(p, "RecordCommonInput")
	single := n.Child(p, "InsurabilityRequest")
	care := nodeAt(single, c, "CareReceiver")
	q := &pharmaRequest{
		origin:    decodeOrigin(nodeAt(n.Child(p, "CommonInput"), c, "Origin"), c),
		record:    optional(record.Child(c, "Reference")),
		user:      optional(record.Child(c, "UserReference")),
		ssin:      optional(care.Child(c, "Ssin")),
		regNr:     optional(care.Child(c, "RegNrWithMut")),
		mutuality: optional(care.Child(c, "Mutuality")),
	}
	q.date, _ = parseDate(collapse(textOf(nodeAt(single, c, "Date"))))
	return q
}

// pharmaAnswer is what the insurers say to a pharmacist. The table of return codes was never published (dossier 05
// section 10): 01/00/00000 is success; for refusals the sandbox says Major 02 and the GenIns detail number.
type pharmaAnswer struct {
	major, minor, detail string
	unions               []string
	patient              *Patient
	mutuality            string
	today                time.Time
}

// insurePharma answers with the rules of GenIns; the pharmacist asks about one day.
func (s *Sandbox) insurePharma(q *pharmaRequest, now time.Time) *pharmaAnswer {
	a := &pharmaAnswer{major: "02", minor: "00", today: dayIn(now)}
	day := q.date.Format(time.DateOnly)
	as := &geninsRequest{
		inss: q.ssin, regNr: q.regNr, mutuality: q.mutuality, kind: "information", contact: "ambulatory_care",
		start: &day, end: &day, from: q.date, to: q.date,
	}
	g := &geninsAnswer{today: a.today}
	switch details := as.formatErrors(); {
	case len(details) > 0:
		g.fault = inputError(details...)
	case q.mutuality != nil && !isMutuality(*q.mutuality):
		g.fault = inputError(geninsDetail{code: "11"})
	default:
		if g.fault = as.periodError(g.today); g.fault == nil {
			s.route(as, g)
		}
	}
	if g.fault != nil {
		a.detail, a.unions = "000"+g.fault.details[0].code, g.fault.unions
		return a
	}
	a.major, a.detail, a.patient, a.mutuality = "01", "00000", g.patient, g.mutuality
	return a
}

// isMutuality: the schema of this service asks for three characters only.
func isMutuality(s string) bool {
	_, err := identity.ParseMutuality(s)
	return err == nil
}

// encodePharma writes the GetInsurabilityForPharmacistResponse.
func (v *services) encodePharma(q *pharmaRequest, a *pharmaAnswer, c *caller) ([]byte, error) {
	_, output, record := v.nextReferences()
	w := xmltree.NewWriter()
	w.Start("p", "GetInsurabilityForPharmacistResponse")
	w.NS("p", nsPharma)
	w.NS("c", nsPharmaCore)
	writeStatus(w)
	w.Start("p", "CommonOutput")
	w.Leaf("c", "Reference", output)
	w.End()
	w.Start("p", "RecordCommonOutput")
	leafIf(w, "Reference", q.record)
	w.Leaf("c", "IoReference", record)
	if q.user != nil { // upper case on the way back (dossier 05 2.2)
		w.Leaf("c", "UserReference", strings.ToUpper(*q.user))
	}
	w.End()
	w.Start("p", "ReturnInfo")
	w.Start("c", "ReturnCode")
	w.Leaf("c", "Major", a.major)
	w.Leaf("c", "Minor", a.minor)
	w.Leaf("c", "Detail", a.detail)
	w.End()
	if len(a.unions) > 0 {
		w.Leaf("c", "MultipleIO", strings.Join(a.unions, " "))
	}
	w.End()
	w.Start("p", "InsurabilityResponse")
	w.Leaf("c", "Requested", q.date.Format(time.DateOnly))
	a.write(w, q, c, record)
	w.End()
	w.End()
	return w.Bytes()
}

func (a *pharmaAnswer) write(w *xmltree.Writer, q *pharmaRequest, c *caller, record string) {
	w.Start("c", "CareReceiver")
	if a.patient == nil {
		leafIf(w, "Ssin", q.ssin)
		leafIf(w, "RegNrWithMut", q.regNr)
		leafIf(w, "Mutuality", q.mutuality)
		w.End()
		return
	}
	p := a.patient
	w.Leaf("c", "Ssin", p.SSIN.Reveal())
	w.Leaf("c", "RegNrWithMut", p.RegNr)
	w.Leaf("c", "Mutuality", a.mutuality)
	w.Leaf("c", "FirstName", p.FirstName)
	w.Leaf("c", "LastName", p.LastName)
	w.Leaf("c", "Birthday", p.Birth.Format(time.DateOnly))
	w.Leaf("c", "Sex", p.Sex)
	w.End()
	if p.Scenario == NotInsured {
		return
	}
	w.Start("c", "Coverage")
	w.Leaf("c", "Communicated", a.today.Format(time.DateOnly))
	w.Start("c", "Period")
	w.Leaf("c", "BeginDate", q.date.Format(time.DateOnly))
	w.Leaf("c", "EndDate", q.date.AddDate(0, 0, coverageDays).Format(time.DateOnly))
	w.End()
	w.Start("c", "Entitlement")
	w.Leaf("c", "Code1", p.CT1)
	w.Leaf("c", "Code2", p.CT2)
	regime := "standard"
	if strings.HasSuffix(p.CT1, "1") {
		regime = "elevated"
	}
	w.Leaf("c", "ThirdPartyPayerRegime", regime)
	w.End()
	w.End()
	approval, seed, check := paymentApproval(c.claim(claimPharmacy), p.SSIN.Reveal(), q.date, record)
	w.Start("c", "Verification")
	w.Leaf("c", "PaymentApproval", approval)
	w.Leaf("c", "PaymentApprovalSeed", seed)
	w.Leaf("c", "InvoicingOfficeCheckDigit", check)
	w.End()
}

// paymentApproval makes an approval of the right form: 32 hexadecimal digits that depend on pharmacy, patient, day
// and seed. Each question gets a seed of its own, hence another approval (dossier 05 2.4).
func paymentApproval(pharmacy, ssin string, day time.Time, record string) (approval, seed, check string) {
	seed = record[len(record)-10:]
	sum := sha256.Sum256([]byte(pharmacy + "|" + ssin + "|" + day.Format(time.DateOnly) + "|" + seed))
	approval = strings.ToUpper(hex.EncodeToString(sum[:16]))
	return approval, seed, fmt.Sprintf("%02d", 1+(int(sum[16])<<8|int(sum[17]))%97)
}

// messageID is the wsa:MessageID header of an answer (dossier 05 2.3).
func messageID() ([]byte, error) {
	h := randomHex(16)
	w := xmltree.NewWriter()
	w.Start("wsa", "MessageID")
	w.NS("wsa", nsWSA)
	w.Text("urn:uuid:" + h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:])
	w.End()
	return w.Bytes()
}
