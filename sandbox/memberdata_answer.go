package sandbox

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// memberAnswer is what the insurers say.
type memberAnswer struct {
	behaviour MemberDataBehaviour
	asker     string // NIHII number
	at        time.Time

	fault    *memberFault
	warnings []memberFault
	genins   *geninsAnswer // whose patient and situation are told
	insurer  string
	spans    []span
	facets   []string // those that are answered
}

// midnight writes the first instant of a calendar day in Belgium.
func midnight(day time.Time) string {
	y, m, d := day.Date()
	return brusselsTime(time.Date(y, m, d, 0, 0, 0, 0, brussels))
}

func brusselsTime(t time.Time) string {
	return t.In(brussels).Format("2006-01-02T15:04:05.000Z07:00")
}

// encodeMember writes the MemberDataConsultationResponse.
func (v *services) encodeMember(q *memberQuery, a *memberAnswer) ([]byte, error) {
	nip, output, record := v.nextReferences()
	doc, err := a.document(q, record)
	if err != nil {
		return nil, err
	}
	if a.behaviour.Wrong != nil {
		doc = a.behaviour.Wrong(doc)
	}
	w := xmltree.NewWriter()
	w.Start("md", "MemberDataConsultationResponse")
	w.NS("md", nsMember)
	w.NS("mcp", nsMemberCommons)
	w.NS("mc", nsMemberCore)
	w.Attr("", "Id", "ID_"+randomHex(16))
	w.Attr("", "InResponseTo", q.envelope)
	w.Attr("", "IssueInstant", brusselsTime(a.at))
	w.Start("mcp", "Return")
	w.Start("mcp", "CommonOutput")
	w.Leaf("mc", "InputReference", q.reference)
	w.Leaf("mc", "NIPReference", nip)
	w.Leaf("mc", "OutputReference", output)
	w.End()
	w.Start("mcp", "Detail")
	w.Attr("", "ContentType", "text/xml")
	content, encoding := doc, "none"
	if a.behaviour.Deflate {
		if content, err = deflate(doc); err != nil {
			return nil, err
		}
		encoding = "deflate"
	}
	sum := sha256.Sum256(doc)
	w.Attr("", "ContentEncoding", encoding)
	w.Attr("", "HashValue", base64.StdEncoding.EncodeToString(sum[:]))
	w.Attr("", "Id", "_"+randomHex(16))
	w.Text(base64.StdEncoding.EncodeToString(content))
	w.End()
	w.End()
	w.End()
	return w.Bytes()
}

func deflate(doc []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(doc); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

// document writes the samlp:Response.
func (a *memberAnswer) document(q *memberQuery, record string) ([]byte, error) {
	issuer := "urn:nip:issuer:io:300"
	if a.insurer != "" {
		issuer = "urn:nip:issuer:io:" + a.insurer
	}
	w := &memberWriter{Writer: xmltree.NewWriter(), q: q, a: a, issuer: issuer}
	w.Start("samlp", "Response")
	w.NS("samlp", nsSAMLP2)
	w.NS("saml", nsSAML2)
	w.NS("ext", nsMemberExt)
	w.NS("xsi", nsXSI)
	w.head()
	w.Attr("", "InResponseTo", q.id)
	w.Leaf("saml", "Issuer", issuer)
	w.status()
	if a.fault == nil {
		w.assertions(record)
	}
	w.End()
	return w.Bytes()
}

// memberWriter writes the document of one answer.
type memberWriter struct {
	*xmltree.Writer
	q      *memberQuery
	a      *memberAnswer
	issuer string
}

func (w *memberWriter) head() {
	w.Attr("", "ID", "_"+randomHex(16))
	w.Attr("", "IssueInstant", brusselsTime(w.a.at))
	w.Attr("", "Version", "2.0")
}

func (w *memberWriter) status() {
	top, sub, faults := "Success", "", w.a.warnings
	switch {
	case w.a.fault != nil:
		top, sub, faults = w.a.fault.top, w.a.fault.sub, []memberFault{*w.a.fault}
	case len(faults) > 0:
		sub = "PartialAnswer"
	}
	w.Start("samlp", "Status")
	w.Start("samlp", "StatusCode")
	w.Attr("", "Value", "urn:oasis:names:tc:SAML:2.0:status:"+top)
	if sub != "" {
		w.Start("samlp", "StatusCode")
		w.Attr("", "Value", "urn:be:cin:nippin:SAML:status:"+sub)
		w.End()
	}
	w.End()
	if len(faults) > 0 {
		w.Start("samlp", "StatusDetail")
		w.fault(faults)
		w.End()
	}
	w.End()
}

func (w *memberWriter) fault(list []memberFault) {
	code, source, prefix := "WARNING", "MYCARENET", "cin"
	if f := w.a.fault; f != nil {
		code, source = f.code, f.source
	}
	if w.a.behaviour.BareFault {
		prefix = ""
	}
	message := func(text string) {
		w.Start("cin", "Message")
		w.Attr("xml", "lang", "en")
		w.Text(text)
		w.End()
	}
	w.Start(prefix, "Fault")
	w.NS("cin", nsCIN)
	w.Leaf("cin", "FaultCode", code)
	w.Leaf("cin", "FaultSource", source)
	message(list[0].text)
	w.Start("cin", "Details")
	for _, f := range list {
		w.Start("cin", "Detail")
		w.Leaf("cin", "DetailCode", f.detail)
		w.Leaf("cin", "DetailSource", source)
		if f.location != "" {
			w.Leaf("cin", "Location", f.location)
		}
		message(f.text)
		w.End()
	}
	w.End()
	w.End()
}

// memberAttribute is a name with its values; one without a value is left out.
type memberAttribute struct {
	name   string
	values []string
}

// assertion writes one assertion; period are the days it is about.
func (w *memberWriter) assertion(typ, facet, notBefore, notOnOrAfter string, attributes ...memberAttribute) {
	w.Start("saml", "Assertion")
	w.head()
	w.Leaf("saml", "Issuer", w.issuer)
	w.Start("saml", "Subject")
	w.Start("saml", "NameID")
	w.Attr("", "Format", w.q.nameFormat)
	w.Text(w.q.nameID)
	w.End()
	w.Start("saml", "SubjectConfirmation")
	w.Attr("", "Method", facetPrefix+"memberIdentification")
	w.Start("saml", "SubjectConfirmationData")
	w.Attr("", "NotBefore", notBefore)
	w.Attr("", "NotOnOrAfter", notOnOrAfter)
	w.End()
	w.End()
	w.End()
	w.Start("saml", "Advice")
	w.Leaf("ext", "AssertionType", facetPrefix+typ)
	w.Start("ext", "Facet")
	w.Attr("", "id", facet)
	w.End()
	w.End()
	if len(attributes) > 0 {
		w.Start("saml", "AttributeStatement")
		for _, a := range attributes {
			if len(a.values) == 0 || a.values[0] == "" {
				continue
			}
			w.Start("saml", "Attribute")
			w.Attr("", "Name", a.name)
			for _, v := range a.values {
				w.Leaf("saml", "AttributeValue", v)
			}
			w.End()
		}
		w.End()
	}
	w.End()
}

func nippin(name string, values ...string) memberAttribute {
	return memberAttribute{facetPrefix + name, values}
}

func (w *memberWriter) assertions(record string) {
	if w.a.has(facetInsurability) {
		w.insurability(record)
	}
	p := w.a.genins.patient
	if w.a.has(facetChronic) && (p.Scenario == Insured || p.Scenario == Preferential) {
		year := w.q.now.Year()
		w.assertion("chronicCondition", facetChronic, w.q.notBefore, w.q.notOnOrAf,
			nippin("chronicCondition:year", strconv.Itoa(year-1), strconv.Itoa(year)))
	}
}

// insurability writes the assertions of the facet, which tell what GenIns tells (dossier 05 3.5).
func (w *memberWriter) insurability(record string) {
	g, q := w.a.genins, w.q
	p := g.patient
	about := func(typ string, attributes ...memberAttribute) {
		w.assertion(typ, facetInsurability, q.notBefore, q.notOnOrAf, attributes...)
	}
	deceased := ""
	if day := g.death(); !day.Before(q.from) && !day.After(q.to) {
		deceased = day.Format(time.DateOnly)
	}
	about("insurability:patientData",
		memberAttribute{"urn:be:fgov:person:ssin", []string{p.SSIN.Reveal()}},
		nippin("careReceiver:name", p.LastName), nippin("careReceiver:firstName", p.FirstName),
		nippin("careReceiver:birthDate", p.Birth.Format(time.DateOnly)), nippin("careReceiver:gender", p.Sex),
		nippin("careReceiver:deceasedDate", deceased))
	approval := ""
	for _, s := range w.a.spans {
		if q.kind == "invoicing" {
			approval, _, _ = paymentApproval(w.a.asker, p.SSIN.Reveal(), s.from, record)
		}
		w.assertion("insurability:period", facetInsurability, midnight(s.from), midnight(s.to.AddDate(0, 0, 1)),
			nippin("careReceiver:registrationNumber", p.RegNr), nippin("careReceiver:mutuality", s.mutuality),
			nippin("cb1", p.CT1), nippin("cb2", p.CT2), nippin("communicationDate", g.today.Format(time.DateOnly)),
			nippin("paymentApproval", approval))
	}
	byIO := "False" // capitalised on the wire
	if p.Scenario == Preferential || p.Scenario == Transferred || p.Scenario == Hospitalised {
		byIO = "True"
	}
	about("insurability:payment", nippin("payment:byIO", byIO))
	if event := w.event(); event != "" {
		about("insurability:generalSituation", nippin("generalSituation:event", event))
	}
	if p.Scenario == Transferred {
		about("medicalHouse", nippin("medicalHouse:type", "Nurse", "Medical"))
	}
	if q.contact == "hospitalized" {
		about("hospitalisation") // its attributes are not published
	}
}

// event is what is special about the patient in the asked days, in the words of GenIns.
func (w *memberWriter) event() string {
	g := w.a.genins
	switch g.patient.Scenario {
	case NotInsured:
		if g.reason() == startLater {
			return "startLater"
		}
		return "closedBefore"
	case Transferred:
		if w.q.from.Before(g.turn()) && !w.q.to.Before(g.turn()) {
			return "multiple"
		}
		return "changeDuring"
	}
	return ""
}
