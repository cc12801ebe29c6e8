package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// personOrigin is the CareProvider of a person (dossier 05 1.4).
func personOrigin(quality string, p *Person) string {
	nihii := `<c:Nihii><c:Quality>` + quality + `</c:Quality><c:Value>` + p.NIHII.Full() + `</c:Value></c:Nihii>`
	return `<c:CareProvider>` + nihii + `<c:PhysicalPerson><c:Name>` + p.Name() + `</c:Name>` + nihii + `<c:Ssin>` + p.SSIN.Reveal() +
		`</c:Ssin></c:PhysicalPerson></c:CareProvider>`
}

func doctorOrigin(p *Person) string { return personOrigin("doctor", p) }

func organisationOrigin(o *Organisation) string {
	nihii := `<c:Nihii><c:Quality>` + string(o.Role) + `</c:Quality><c:Value>` + o.Number + `000</c:Value></c:Nihii>`
	return `<c:CareProvider>` + nihii + `<c:Organization><c:Name>` + o.Name + `</c:Name>` + nihii + `</c:Organization></c:CareProvider>`
}

// question is a GetInsurabilityRequest in parts.
type question struct {
	root, origin, care, kind, period, contact string
}

func (q question) String() string {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&q.root, "GetInsurabilityRequest")
	def(&q.kind, "information")
	def(&q.contact, "ambulatory_care")
	def(&q.period, period(0, 0))
	return `<p:` + q.root + ` xmlns:p="urn:be:fgov:ehealth:genericinsurability:protocol:v1" xmlns:c="urn:be:fgov:ehealth:genericinsurability:core:v1">` +
		`<p:CommonInput><c:Request><c:IsTest>false</c:IsTest></c:Request><c:Origin><c:Package><c:Name>test</c:Name><c:License><c:Username>u</c:Username>` +
		`<c:Password>p</c:Password></c:License></c:Package>` + q.origin + `</c:Origin><c:InputReference>20300115103000</c:InputReference></p:CommonInput>` +
		`<p:RecordCommonInput><c:InputReference>20300115103001</c:InputReference></p:RecordCommonInput>` +
		`<p:Request><c:CareReceiverId>` + q.care + `</c:CareReceiverId><c:InsurabilityRequestDetail><c:InsurabilityRequestType>` + q.kind +
		`</c:InsurabilityRequestType><c:Period>` + q.period + `</c:Period><c:InsurabilityContactType>` + q.contact + `</c:InsurabilityContactType>` +
		`<c:InsurabilityReference>REF-0001</c:InsurabilityReference></c:InsurabilityRequestDetail></p:Request></p:` + q.root + `>`
}

// period is a Period from and to so many days from today.
func period(from, to int) string {
	today := dayIn(time.Now())
	return `<c:PeriodStart>` + today.AddDate(0, 0, from).Format(time.DateOnly) + `</c:PeriodStart><c:PeriodEnd>` +
		today.AddDate(0, 0, to).Format(time.DateOnly) + `</c:PeriodEnd>`
}

func inss(n string) string { return `<c:Inss>` + n + `</c:Inss>` }

// geninsQuestion asks about today.
func geninsQuestion(origin, ssin string) string {
	return question{origin: origin, care: inss(ssin)}.String()
}

// ask sends a question and checks what every answer has: schema, Status, references, the question again.
func (w *world) ask(tk token, q question) *xmltree.Node {
	w.t.Helper()
	r := w.call(pathGenIns, "", w.message(q.String(), tk))
	n := w.answered(r)
	oracle.ValidateXSD(w.t, sharedXSD(w.t, "ehealth-mycarenet-genins", "ehealth-genins-protocol-1_1.xsd"), n.Source())
	if r.Effect != "" || r.Asker == "" {
		w.t.Errorf("effect %q, asker %q", r.Effect, r.Asker)
	}
	const c = nsGenInsCore
	out := n.Child(nsGenIns, "Response")
	for want, got := range map[string]string{
		"200":            textOf(nodeAt(n, "", "Status", "Code")),
		"20300115103000": textOf(nodeAt(n.Child(nsGenIns, "CommonOutput"), c, "InputReference")),
		"20300115103001": textOf(nodeAt(n.Child(nsGenIns, "RecordCommonOutput"), c, "InputReference")),
		"REF-0001":       textOf(nodeAt(out, c, "InsurabilityRequestDetail", "InsurabilityReference")),
	} {
		if got != want {
			w.t.Errorf("got %q, want %q", got, want)
		}
	}
	for e := range n.Elements() {
		if !e.Is("", "Status") {
			w.t.Errorf("first child is %s", e.Local())
		}
		break
	}
	return out
}

// core says what stands at a path below an answer; "@x" at the end asks for an attribute.
func core(n *xmltree.Node, path string) string {
	steps := strings.Split(path, "/")
	if last := steps[len(steps)-1]; strings.HasPrefix(last, "@") {
		v, _ := nodeAt(n, nsGenInsCore, steps[:len(steps)-1]...).Attr("", last[1:])
		return v
	}
	return textOf(nodeAt(n, nsGenInsCore, steps...))
}

func TestGenInsAnswers(t *testing.T) {
	w := newWorld(t)
	p, tk := w.doctorToken(0)
	o := doctorOrigin(p)
	today := dayIn(time.Now())
	year := today.Format("2006")
	const detail, item = "InsurabilityResponseDetail/", "InsurabilityResponseDetail/InsurabilityList/InsurabilityItem/"
	regnr := func(sc Scenario) string {
		x := w.s.Patient(sc)
		return `<c:RegNrWithMut>` + x.RegNr + `</c:RegNrWithMut><c:Mutuality>` + x.Mutuality + `</c:Mutuality>`
	}
	for _, c := range []struct {
		name string
		q    question
		want map[string]string
	}{
		{"insured", question{care: inss("85073199704")}, map[string]string{
			"CareReceiverDetail/Inss": "85073199704", "CareReceiverDetail/Sex": "male", "CareReceiverDetail/Birthday": "1985-07-31",
			detail + "Payment/PaymentByIo": "false", item + "CT1": "110", item + "CT2": "110", item + "Mutuality": "319",
			item + "Period/PeriodStart": today.Format(time.DateOnly), item + "InsurabilityDate": today.Format(time.DateOnly),
			detail + "InsurabilityList/@Truncated": "false", detail + "GeneralSituation/@Event": "",
		}},
		{"insured yesterday", question{care: inss("85073199704"), period: period(-1, -1)}, map[string]string{
			item + "Period/PeriodStart": today.AddDate(0, 0, -1).Format(time.DateOnly),
		}},
		{"by registration number", question{care: regnr(Insured)}, map[string]string{
			"CareReceiverDetail/Inss": "85073199704", item + "RegNrWithMut": w.s.Patient(Insured).RegNr,
		}},
		{"with the right insurer", question{care: inss("85073199704") + "<c:Mutuality>319</c:Mutuality>"}, map[string]string{item + "Mutuality": "319"}},
		{"preferential", question{care: inss("15073199817")}, map[string]string{
			item + "CT1": "111", item + "CT2": "111", detail + "Payment/PaymentByIo": "true", detail + "Payment/SpecialSocialCategory": "true",
		}},
		{"transfer and medical house", question{care: inss("85473199790")}, map[string]string{
			detail + "GeneralSituation/@Event": "changeDuring", detail + "GeneralSituation/Transfer/@Direction": "fromOtherIo",
			detail + "GeneralSituation/Transfer/InsuranceOrg": "100", detail + "GeneralSituation/Transfer/TransferDate": year + "-01-01",
			detail + "MedicalHouse/@Nurse": "true", detail + "MedicalHouse/@Kine": "false", item + "Mutuality": "101",
		}},
		{"not insured", question{care: inss("85273199747")}, map[string]string{
			detail + "GeneralSituation/@Event": "closedBefore", item + "Mutuality": "", detail + "Payment/PaymentByIo": "false",
		}},
		{"several insurers, one named", question{care: inss("90022999836") + "<c:Mutuality>319</c:Mutuality>"}, map[string]string{item + "Mutuality": "319"}},
		{"several insurers, the other named", question{care: inss("90022999836") + "<c:Mutuality>100</c:Mutuality>"}, map[string]string{item + "Mutuality": "101"}},
		{"hospitalised", question{care: inss("00010199776"), contact: "hospitalized_elsewhere"}, map[string]string{
			detail + "Hospitalized/Hospital": "070999941000", detail + "Hospitalized/AdmissionService": "210", item + "CT1": "110",
		}},
		{"hospitalised, asked otherwise", question{care: inss("00010199776"), contact: "other"}, map[string]string{
			detail + "Hospitalized/Hospital": "", item + "CT1": "110",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.origin = o
			n := (&world{t, w.s}).ask(tk, c.q)
			if fault := core(n, "MessageFault/FaultCode"); fault != "" {
				t.Fatalf("fault %s %s", fault, core(n, "MessageFault/Details/Detail/DetailCode"))
			}
			for path, want := range c.want {
				if got := core(n, path); got != want {
					t.Errorf("%s = %q, want %q", path, got, want)
				}
			}
		})
	}
}

func TestGenInsFaults(t *testing.T) {
	w := newWorld(t)
	p, tk := w.doctorToken(0)
	o := doctorOrigin(p)
	ok := inss("85073199704")
	mut := func(m string) string { return "<c:Mutuality>" + m + "</c:Mutuality>" }
	reg := func(r string) string { return "<c:RegNrWithMut>" + r + "</c:RegNrWithMut>" }
	start, end, _ := strings.Cut(period(0, 0), "<c:PeriodEnd>")
	end = "<c:PeriodEnd>" + end
	for _, c := range []struct {
		name                  string
		q                     question
		fault, code, location string
	}{
		{"nobody", question{care: ""}, "INPUT_ERROR", "10", "CareReceiverId/Inss"},
		{"insurer alone", question{care: mut("319")}, "INPUT_ERROR", "10", "CareReceiverId/Inss"},
		{"registration number alone", question{care: reg("9999999999999")}, "INPUT_ERROR", "10", "CareReceiverId/Mutuality"},
		{"no start", question{care: ok, period: end}, "INPUT_ERROR", "10", "InsurabilityRequestDetail/Period/PeriodStart"},
		{"no end", question{care: ok, period: start}, "INPUT_ERROR", "10", "InsurabilityRequestDetail/Period/PeriodEnd"},
		{"blank registration number", question{care: reg(" ") + mut("319")}, "INPUT_ERROR", "11", "CareReceiverId/RegNrWithMut"},
		{"check digits", question{care: inss("85073199705")}, "INPUT_ERROR", "12", "CareReceiverId/Inss"},
		{"unknown insurer", question{care: ok + mut("999")}, "INPUT_ERROR", "21", "CareReceiverId/Mutuality"},
		{"unknown to routing", question{care: inss("00000000097")}, "INPUT_ERROR", "23", "CareReceiverId/Inss"},
		{"stranger", question{care: inss(p.SSIN.Reveal())}, "INPUT_ERROR", "23", "CareReceiverId/Inss"},
		{"unknown registration number", question{care: reg("1") + mut("319")}, "INPUT_ERROR", "23", "CareReceiverId/RegNrWithMut"},
		{"tomorrow", question{care: ok, period: period(1, 1)}, "INPUT_ERROR", "30", "InsurabilityRequestDetail/Period/PeriodStart"},
		{"end before start", question{care: ok, period: period(0, -1)}, "INPUT_ERROR", "31", "InsurabilityRequestDetail/Period/PeriodEnd"},
		{"two days for a doctor", question{care: ok, period: period(-1, 0)}, "INPUT_ERROR", "32", "InsurabilityRequestDetail/Period/PeriodEnd"},
		{"year 1000", question{care: ok, period: "<c:PeriodStart>1000-01-01</c:PeriodStart><c:PeriodEnd>1000-01-01</c:PeriodEnd>"}, "INPUT_ERROR", "40", ""},
		{"six years ago", question{care: ok, period: period(-6*365, -6*365)}, "INPUT_ERROR", "40", ""},
		{"not in hospital", question{care: ok, contact: "hospitalized_elsewhere"}, "INPUT_ERROR", "42", "InsurabilityRequestDetail/InsurabilityContactType"},
		{"no insurer", question{care: inss("00010199747")}, "NO_IO_ERROR", "43", "InsurabilityRequestDetail/Period/PeriodStart"},
		{"another insurer", question{care: ok + mut("101")}, "NO_IO_ERROR", "43", "InsurabilityRequestDetail/Period/PeriodStart"},
		{"several insurers", question{care: inss("90022999836")}, "MULTIIO_ERROR", "44", "InsurabilityRequestDetail/Period/PeriodStart"},
		{"invoicing", question{care: ok, kind: "invoicing"}, "INPUT_ERROR", "99", "InsurabilityRequestDetail/InsurabilityRequestType"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.origin = o
			n := (&world{t, w.s}).ask(tk, c.q)
			const d = "MessageFault/Details/Detail/"
			if core(n, "MessageFault/FaultCode") != c.fault || core(n, d+"DetailCode") != c.code || core(n, "MessageFault/FaultSource") != "MYCARENET" {
				t.Errorf("fault %s, detail %s", core(n, "MessageFault/FaultCode"), core(n, d+"DetailCode"))
			}
			if got := strings.TrimPrefix(core(n, d+"Location"), "../../../../"); got != c.location {
				t.Errorf("location %q, want %q", got, c.location)
			}
			if c.code == "44" {
				var ios []string
				for e := range nodeAt(n, nsGenInsCore, "MessageFault", "MultiIO").Elements() {
					ios = append(ios, textOf(e))
				}
				if strings.Join(ios, " ") != "1 3" {
					t.Errorf("insurers %v", ios)
				}
			}
		})
	}
}

// TestGenInsSectors: persons ask about one day, organisations about up to a year.
func TestGenInsSectors(t *testing.T) {
	w := newWorld(t)
	organisation := func(role identity.Quality) (string, token) {
		o, c := w.organisation(role, 0)
		stem := claimEH + string(role) + ":nihii-number"
		return organisationOrigin(o), w.issue(c, stem+"="+o.Number, claimEH+"certificateholder:"+string(role)+":nihii-number="+o.Number,
			stem+":recognised"+string(role)+":nihii11", stem+":recognised"+string(role)+":boolean", claimRecognised)
	}
	person := func(role identity.Quality) (string, token) {
		p, c := w.person(role, 0)
		ssin := p.SSIN.Reveal()
		return personOrigin(string(role), p), w.issue(c, claimHolderSSIN+"="+ssin, claimPS+"="+ssin,
			claimPSE+"nihii:"+string(role)+":nihii11", claimPSE+"professional:"+string(role)+":boolean")
	}
	house, houseToken := organisation(identity.MedicalHouse)
	for _, c := range []struct {
		name, origin string
		tk           token
		period, code string
	}{
		{"medical house, a year", house, houseToken, period(-365, 0), ""},
		{"medical house, more", house, houseToken, period(-367, 0), "32"},
	} {
		n := w.ask(c.tk, question{origin: c.origin, care: inss("85073199704"), period: c.period})
		if got := core(n, "MessageFault/Details/Detail/DetailCode"); got != c.code {
			t.Errorf("%s: detail %q, want %q", c.name, got, c.code)
		}
	}
	for _, role := range []identity.Quality{identity.Hospital, identity.GuardPost, identity.GroupOfNurses} {
		origin, tk := organisation(role)
		if n := w.ask(tk, question{origin: origin, care: inss("85073199704"), period: period(-30, 0)}); core(n, "MessageFault/FaultCode") != "" {
			t.Errorf("%s: refused", role)
		}
	}
	for _, role := range []identity.Quality{identity.Nurse, identity.Dentist, identity.Physiotherapist, identity.Midwife, identity.Logopedist} {
		origin, tk := person(role)
		if n := w.ask(tk, question{origin: origin, care: inss("85073199704")}); core(n, "MessageFault/FaultCode") != "" {
			t.Errorf("%s: refused", role)
		}
		if n := w.ask(tk, question{origin: origin, care: inss("85073199704"), period: period(-1, 0)}); core(n, "MessageFault/Details/Detail/DetailCode") != "32" {
			t.Errorf("%s: may ask about two days", role)
		}
	}
}

// TestGenInsSituations: what only questions about long or past periods show.
func TestGenInsSituations(t *testing.T) {
	w := newWorld(t)
	o, c := w.organisation(identity.MedicalHouse, 0)
	stem := claimEH + "medicalhouse:nihii-number"
	tk := w.issue(c, stem+"="+o.Number, stem+":recognisedmedicalhouse:nihii11", stem+":recognisedmedicalhouse:boolean")
	today := dayIn(time.Now())
	last := int(today.Sub((&geninsAnswer{today: today}).turn())/(24*time.Hour)) + 1 // days since the last of last year
	insured := *w.s.people.patients[0]
	for i, digit := range "147" { // reasons of the seed, on patients of our own
		x := insured
		x.Scenario, x.SSIN, x.RegNr = NotInsured, w.s.Person(identity.Doctor, i).SSIN, "123456789012"+string(digit)
		w.s.people.addPatient(&x)
	}
	const detail = "InsurabilityResponseDetail/"
	byNumber := func(digit string) string {
		return "<c:RegNrWithMut>123456789012" + digit + "</c:RegNrWithMut><c:Mutuality>319</c:Mutuality>"
	}
	for _, q := range []struct {
		name, care string
		from, to   int
		want       map[string]string
		items      int
	}{
		{"before the transfer", inss("85473199790"), -last, -last, map[string]string{
			detail + "GeneralSituation/@Event": "changeDuring", detail + "GeneralSituation/Transfer/@Direction": "toOtherIo",
			detail + "GeneralSituation/Transfer/InsuranceOrg": "200",
		}, 1},
		{"across the transfer", inss("85473199790"), -last, 0, map[string]string{detail + "GeneralSituation/@Event": "multiple"}, 2},
		{"more than five periods", inss("90022999836") + "<c:Mutuality>319</c:Mutuality>", -360, 0, map[string]string{detail + "InsurabilityList/@Truncated": "true"}, 5},
		{"five periods", inss("90022999836") + "<c:Mutuality>319</c:Mutuality>", -299, 0, map[string]string{detail + "InsurabilityList/@Truncated": "false"}, 5},
		{"ended", byNumber("1"), 0, 0, map[string]string{detail + "GeneralSituation/@Event": "closedBefore"}, 0},
		{"begins later", byNumber("4"), 0, 0, map[string]string{detail + "GeneralSituation/@Event": "startLater"}, 0},
		{"died within the period", byNumber("7"), -60, 0, map[string]string{
			detail + "GeneralSituation/@Event": "closedBefore", "CareReceiverDetail/Deceased": today.AddDate(0, 0, -deathBefore).Format(time.DateOnly),
		}, 0},
		{"died before the period", byNumber("7"), 0, 0, map[string]string{detail + "GeneralSituation/@Event": "closedBefore", "CareReceiverDetail/Deceased": ""}, 0},
	} {
		t.Run(q.name, func(t *testing.T) {
			n := (&world{t, w.s}).ask(tk, question{origin: organisationOrigin(o), care: q.care, period: period(q.from, q.to)})
			for path, want := range q.want {
				if got := core(n, path); got != want {
					t.Errorf("%s = %q, want %q", path, got, want)
				}
			}
			items := 0
			for range nodeAt(n, nsGenInsCore, "InsurabilityResponseDetail", "InsurabilityList").Elements() {
				items++
			}
			if items != q.items {
				t.Errorf("%d periods, want %d", items, q.items)
			}
		})
	}
}

// TestGenInsRights: tokens without the right, and requests in the name of others.
func TestGenInsRights(t *testing.T) {
	w := newWorld(t)
	p, tk := w.doctorToken(0)
	colleague, _ := w.person(identity.Doctor, 1)
	nurse, nc := w.person(identity.Nurse, 0)
	ssin := p.SSIN.Reveal()
	_, pharmacy := w.pharmacyToken(0)
	o, ok := doctorOrigin(p), inss("85073199704")
	for _, c := range []struct {
		name string
		tk   token
		q    question
		code string
	}{
		{"no claims", w.issue(tk.key), question{origin: o, care: ok}, "SOA-01002"},
		{"number not asked for", w.issue(tk.key, claimPS+"="+ssin, claimPS+":doctor:boolean"), question{origin: o, care: ok}, "SOA-01002"},
		{"pharmacy", pharmacy, question{origin: o, care: ok}, "SOA-01002"},
		{"nurse as doctor", w.issue(nc, claimPS+"="+nurse.SSIN.Reveal(), claimPSE+"nurse:nihii11"), question{origin: doctorOrigin(nurse), care: ok}, "SOA-01002"},
		{"nobody", tk, question{care: ok}, "SOA-01002"},
		{"colleague", tk, question{origin: doctorOrigin(colleague), care: ok}, "SOA-01002"},
		{"colleague's person", tk, question{origin: strings.Replace(o, ssin, colleague.SSIN.Reveal(), 1), care: ok}, "SOA-01002"},
		{"colleague's number in the person", tk, question{origin: replaceLast(o, p.NIHII.Full(), colleague.NIHII.Full()), care: ok}, "SOA-01002"},
		{"other quality", tk, question{origin: strings.Replace(o, "doctor", "dentist", 1), care: ok}, "SOA-01002"},
		{"unknown quality", tk, question{origin: strings.ReplaceAll(o, "doctor", "Doctor"), care: ok}, "SOA-01002"},
		{"right before schema", w.issue(tk.key), question{origin: o, care: "<c:Wrong/>"}, "SOA-01002"},
		{"schema", tk, question{origin: o, care: "<c:Wrong/>"}, "SOA-03006"},
		{"schema before identity", tk, question{origin: doctorOrigin(colleague), care: inss("123")}, "SOA-03006"},
		{"invented contact", tk, question{origin: o, care: ok, contact: "elsewhere"}, "SOA-03006"},
		{"flat", tk, question{root: "GetInsurabilityAsFlatRequest", origin: o, care: ok}, "SOA-03005"},
		{"flat, without the right", pharmacy, question{root: "GetInsurabilityAsFlatRequest", origin: o, care: ok}, "SOA-01002"},
	} {
		t.Run(c.name, func(t *testing.T) {
			(&world{t, w.s}).refusedWith(w.call(pathGenIns, "", w.message(c.q.String(), c.tk)), c.code)
		})
	}
}

func replaceLast(s, old, put string) string {
	i := strings.LastIndex(s, old)
	return s[:i] + put + s[i+len(old):]
}

// TestGenInsTolerance: what deployed clients do differently and the platform takes (dossier 09): zeep declares
// prefixes of its own and indents, .NET puts the namespaces on every element.
func TestGenInsTolerance(t *testing.T) {
	w := newWorld(t)
	p, tk := w.doctorToken(0)
	plain := geninsQuestion(doctorOrigin(p), "85073199704")
	zeep := strings.NewReplacer("<p:", "<ns0:", "</p:", "</ns0:", "xmlns:p=", "xmlns:ns0=", "<c:", "<ns1:", "</c:", "</ns1:", "xmlns:c=", "xmlns:ns1=").Replace(plain)
	local := strings.NewReplacer(` xmlns:c="`+nsGenInsCore+`"`, "", "<p:", "<", "</p:", "</", "xmlns:p=", "xmlns=").Replace(plain)
	for _, name := range []string{"Request", "Origin", "InputReference", "CareReceiverId", "InsurabilityRequestDetail"} {
		local = strings.ReplaceAll(local, "<c:"+name+">", `<c:`+name+` xmlns:c="`+nsGenInsCore+`">`)
	}
	for name, text := range map[string]string{
		"plain":        plain,
		"zeep":         strings.ReplaceAll(zeep, "><", ">\n    <"),
		"declarations": strings.Replace(plain, "<p:GetInsurabilityRequest ", `<p:GetInsurabilityRequest xmlns:xsi="`+nsXSI+`" xmlns:x="urn:x" xsi:schemaLocation="urn:x x.xsd" `, 1),
		"local":        local,
		"comment":      strings.Replace(plain, "<c:Origin>", "<c:Origin><!-- who asks -->", 1),
		"date in zone": strings.NewReplacer("</c:PeriodStart>", "+01:00</c:PeriodStart>", "</c:PeriodEnd>", "Z</c:PeriodEnd>").Replace(plain),
	} {
		for _, path := range []string{pathGenIns, pathGenInsDirect} {
			for _, action := range []string{"", nsGenIns + ":GetInsurability"} {
				if r := w.call(path, action, w.message(text, tk)); r.Status != 200 {
					t.Errorf("%s at %s: %s", name, path, r.Body)
				}
			}
		}
	}
}
