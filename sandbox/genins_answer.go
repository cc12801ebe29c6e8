package sandbox

import (
	"time"
	_ "time/tzdata" // "today" is a day in Brussels, also on machines without zone files

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// How far back the insurers answer (dossier 05 3.3 says five years for MemberData; GenIns refuses "too far" without
// a number) and how long a period an organisation may ask about (dossier 05 1.7: a medical house may ask a year).
const (
	yearsBack  = 5
	sectorYear = 1
)

// Places of the request as MyCareNet names them: relative to the Detail element.
const (
	whereInss      = "../../../../CareReceiverId/Inss"
	whereRegNr     = "../../../../CareReceiverId/RegNrWithMut"
	whereMutuality = "../../../../CareReceiverId/Mutuality"
	whereKind      = "../../../../InsurabilityRequestDetail/InsurabilityRequestType"
	whereStart     = "../../../../InsurabilityRequestDetail/Period/PeriodStart"
	whereEnd       = "../../../../InsurabilityRequestDetail/Period/PeriodEnd"
	whereContact   = "../../../../InsurabilityRequestDetail/InsurabilityContactType"
)

// geninsDetail is one Detail of a MessageFault.
type geninsDetail struct{ code, location, text string }

// geninsFault is a MessageFault: a business refusal, which travels under Status 200.
type geninsFault struct {
	code, text string
	unions     []string // MultiIO
	details    []geninsDetail
}

// geninsAnswer is what the insurers say.
type geninsAnswer struct {
	fault     *geninsFault
	patient   *Patient
	mutuality string // the one that answers
	today     time.Time
}

var brussels = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		return time.FixedZone("CET", 3600)
	}
	return zone
}()

// dayIn is the calendar day in Brussels, as midnight UTC, which is how dates without a zone are held here.
func dayIn(t time.Time) time.Time {
	y, m, d := t.In(brussels).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

func inputError(details ...geninsDetail) *geninsFault {
	return &geninsFault{code: "INPUT_ERROR", text: "Input error", details: details}
}

// insure answers a question in the order of dossier 05 section 8: format, period, sector, routing, answer.
func (s *Sandbox) insure(q *geninsRequest, now time.Time) *geninsAnswer {
	a := &geninsAnswer{today: dayIn(now)}
	if details := q.formatErrors(); len(details) > 0 {
		a.fault = inputError(details...)
		return a
	}
	if a.fault = q.periodError(a.today); a.fault != nil {
		return a
	}
	s.route(q, a)
	if a.fault == nil && q.contact == "hospitalized_elsewhere" && a.patient.Scenario != Hospitalised {
		a.fault = inputError(geninsDetail{"42", whereContact, "patient not hospitalised on these dates"})
	}
	return a
}

// formatErrors finds what is missing or ill formed. The schema catches ill-formed numbers of patients and insurers
// before, so detail 11 is only left for registration numbers.
func (q *geninsRequest) formatErrors() []geninsDetail {
	var out []geninsDetail
	missing := func(where string) { out = append(out, geninsDetail{"10", where, "mandatory field missing"}) }
	if q.inss == nil && q.regNr == nil {
		missing(whereInss)
	}
	if q.regNr != nil && q.mutuality == nil {
		missing(whereMutuality)
	}
	if q.start == nil {
		missing(whereStart)
	}
	if q.end == nil {
		missing(whereEnd)
	}
	if q.inss != nil {
		if _, err := identity.ParseSSIN(*q.inss); err != nil {
			out = append(out, geninsDetail{"12", whereInss, "check digit"})
		}
	}
	if q.regNr != nil && !isAlphanumeric(*q.regNr) {
		out = append(out, geninsDetail{"11", whereRegNr, "invalid format"})
	}
	if q.kind != "information" { // the only type that is supported
		out = append(out, geninsDetail{"99", whereKind, "value not allowed"})
	}
	return out
}

func isAlphanumeric(s string) bool {
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return s != ""
}

func (q *geninsRequest) periodError(today time.Time) *geninsFault {
	switch {
	case q.from.After(today):
		return inputError(geninsDetail{"30", whereStart, "starts in the future"})
	case q.to.Before(q.from):
		return inputError(geninsDetail{"31", whereEnd, "end before start"})
	case q.from.Before(today.AddDate(-yearsBack, 0, 0)):
		return inputError(geninsDetail{"40", "", "no data that far in the past"})
	case individual(q.origin.quality) && !q.to.Equal(q.from),
		q.to.After(q.from.AddDate(sectorYear, 0, 0)):
		return inputError(geninsDetail{"32", whereEnd, "period not allowed for this sector"})
	}
	return nil
}

// route finds the patient and the insurer that answers.
func (s *Sandbox) route(q *geninsRequest, a *geninsAnswer) {
	mutuality := givenText(q.mutuality)
	if mutuality != "" && !knownInsurer(mutuality) {
		a.fault = inputError(geninsDetail{"21", whereMutuality, "insurer unknown"})
		return
	}
	p, found := s.patientOf(q)
	if !found || p.Scenario == UnknownPerson {
		where := whereInss
		if q.inss == nil {
			where = whereRegNr
		}
		a.fault = inputError(geninsDetail{"23", where, "not found in the routing table"})
		return
	}
	a.patient, a.mutuality = p, p.Mutuality
	unions := unionsOf(p)
	switch {
	case p.Scenario == NoIO, mutuality != "" && !contains(unions, mutuality[:1]):
		a.fault = &geninsFault{
			code: "NO_IO_ERROR", text: "No insurance organisation found",
			details: []geninsDetail{{"43", whereStart, "no IO found"}},
		}
	case p.Scenario == SeveralIO && mutuality == "":
		a.fault = &geninsFault{
			code: "MULTIIO_ERROR", text: "Several insurance organisations found", unions: unions,
			details: []geninsDetail{{"44", whereStart, "multi IO found"}},
		}
	case p.Scenario == SeveralIO && mutuality[:1] != p.Mutuality[:1]:
		a.mutuality = otherMutuality
	}
}

// otherMutuality is the second insurer of the patient with several, and the former one of those who changed.
const otherMutuality = "101"

// unionsOf are the national unions that know a patient, as first digits of their codes.
func unionsOf(p *Patient) []string {
	if p.Scenario == SeveralIO || p.Scenario == Transferred {
		return []string{otherMutuality[:1], p.Mutuality[:1]}
	}
	return []string{p.Mutuality[:1]}
}

func contains(list []string, x string) bool {
	for _, s := range list {
		if s == x {
			return true
		}
	}
	return false
}

// knownInsurer accepts the codes of the unions, those of the population, and 690 (MediPrima).
func knownInsurer(code string) bool {
	switch code {
	case "100", "200", "300", "400", "500", "600", "690", "900":
		return true
	}
	return contains(insurers, code)
}

func (s *Sandbox) patientOf(q *geninsRequest) (*Patient, bool) {
	if q.inss != nil {
		return s.people.patient(*q.inss)
	}
	return s.people.member(*q.mutuality, *q.regNr)
}

// write writes the first part of C:Response: who, and the fault or the answer.
func (a *geninsAnswer) write(w *xmltree.Writer, q *geninsRequest) {
	if a.fault != nil {
		w.Start("c", "CareReceiverId")
		leafIf(w, "Inss", q.inss)
		leafIf(w, "RegNrWithMut", q.regNr)
		leafIf(w, "Mutuality", q.mutuality)
		w.End()
		a.fault.write(w)
		return
	}
	p := a.patient
	w.Start("c", "CareReceiverDetail")
	w.Leaf("c", "Inss", p.SSIN.Reveal())
	w.Leaf("c", "FirstName", p.FirstName)
	w.Leaf("c", "LastName", p.LastName)
	w.Leaf("c", "Birthday", p.Birth.Format(time.DateOnly))
	if day := a.death(); !day.Before(q.from) && !day.After(q.to) {
		w.Leaf("c", "Deceased", day.Format(time.DateOnly))
	}
	w.Leaf("c", "Sex", p.Sex)
	w.End()
	w.Start("c", "InsurabilityResponseDetail")
	a.writeSituation(w, q)
	a.writePayment(w)
	if q.contact == "hospitalized_elsewhere" {
		w.Start("c", "Hospitalized")
		w.Leaf("c", "Hospital", "070999941000")
		w.Leaf("c", "AdmissionDate", q.from.AddDate(0, 0, -1).Format(time.DateOnly))
		w.Leaf("c", "AdmissionService", "210")
		w.End()
	}
	if p.Scenario == Transferred {
		w.Start("c", "MedicalHouse")
		w.Attr("", "Nurse", "true")
		w.Attr("", "Medical", "true")
		w.Attr("", "Kine", "false")
		w.Leaf("c", "PeriodStart", a.turn().AddDate(0, -7, 0).Format(time.DateOnly))
		w.End()
	}
	a.writeList(w, q)
	w.End()
}

func (f *geninsFault) write(w *xmltree.Writer) {
	message := func(text string) {
		w.Start("c", "Message")
		w.Attr("xml", "lang", "en")
		w.Text(text)
		w.End()
	}
	w.Start("c", "MessageFault")
	w.Leaf("c", "FaultCode", f.code)
	w.Leaf("c", "FaultSource", "MYCARENET")
	if len(f.unions) > 0 {
		w.Start("c", "MultiIO")
		for _, u := range f.unions {
			w.Leaf("c", "IO", u)
		}
		w.End()
	}
	message(f.text)
	w.Start("c", "Details")
	for _, d := range f.details {
		w.Start("c", "Detail")
		w.Leaf("c", "DetailCode", d.code)
		if d.location != "" {
			w.Leaf("c", "Location", d.location)
		}
		message(d.text)
		w.End()
	}
	w.End()
	w.End()
}
