package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// pharmaOrigin is the CareProvider of a pharmacy (dossier 05 2.2).
func pharmaOrigin(p *Person) string {
	holder := p.Pharmacy.Holder
	return `<c:CareProvider><c:Nihii><c:Quality>PHARMACY-HOLDER</c:Quality><c:Value>` + holder.NIHII.Full() + `</c:Value></c:Nihii>` +
		`<c:PhysicalPerson><c:Name>` + holder.Name() + `</c:Name><c:Ssin>` + holder.SSIN.Reveal() + `</c:Ssin></c:PhysicalPerson>` +
		`<c:Organization><c:Name>` + p.Pharmacy.Name + `</c:Name><c:Nihii><c:Quality>PHARMACY</c:Quality><c:Value>` + p.Pharmacy.Number +
		`</c:Value></c:Nihii></c:Organization></c:CareProvider>`
}

// pharmaQuestion is a GetInsurabilityForPharmacistRequest about a day so many days from today.
func pharmaQuestion(origin, care string, day int) string {
	return `<p:GetInsurabilityForPharmacistRequest xmlns:p="urn:be:fgov:ehealth:insurability:protocol:v2" xmlns:c="urn:be:fgov:ehealth:insurability:core:v2">` +
		`<p:CommonInput><c:Request><c:IsTest>false</c:IsTest></c:Request><c:Origin><c:Package><c:Name>test</c:Name><c:License><c:Username>u</c:Username>` +
		`<c:Password>p</c:Password></c:License></c:Package>` + origin + `</c:Origin></p:CommonInput><p:RecordCommonInput><c:Reference>20300115103001</c:Reference>` +
		`<c:UserReference>till-1-0001</c:UserReference></p:RecordCommonInput><p:InsurabilityRequest><c:Date>` +
		dayIn(time.Now()).AddDate(0, 0, day).Format(time.DateOnly) + `</c:Date><c:RequestType>1</c:RequestType><c:CareReceiver>` + care +
		`</c:CareReceiver></p:InsurabilityRequest><p:ExtendedInformation/></p:GetInsurabilityForPharmacistRequest>`
}

func ssin(n string) string { return `<c:Ssin>` + n + `</c:Ssin>` }

// pharmacore reads below an element of the answer.
func pharmacore(n *xmltree.Node, part, path string) string {
	return textOf(nodeAt(n.Child(nsPharma, part), nsPharmaCore, strings.Split(path, "/")...))
}

func (w *world) askPharma(path string, tk token, q string) *xmltree.Node {
	w.t.Helper()
	r := w.call(path, nsPharma+":GetInsurabilityForPharmacist", w.message(q, tk))
	n := w.answered(r)
	oracle.ValidateXSD(w.t, sharedXSD(w.t, "ehealth-insurability", "insurabilityservices_protocol-2_0.xsd"), n.Source())
	m, err := soap.Parse(r.Body, xmltree.Limits{})
	if err != nil {
		w.t.Fatal(err)
	}
	if id := textOf(m.Header.Child(nsWSA, "MessageID")); len(id) != len("urn:uuid:")+36 {
		w.t.Errorf("MessageID %q", id)
	}
	if textOf(nodeAt(n, "", "Status", "Code")) != "200" || r.Effect != "" || r.Asker == "" {
		w.t.Errorf("status, effect %q or asker %q", r.Effect, r.Asker)
	}
	if pharmacore(n, "RecordCommonOutput", "Reference") != "20300115103001" || pharmacore(n, "RecordCommonOutput", "UserReference") != "TILL-1-0001" {
		w.t.Error("references do not come back")
	}
	return n
}

func TestPharmacistAnswers(t *testing.T) {
	w := newWorld(t)
	p, tk := w.pharmacyToken(0)
	employee, etk := w.pharmacyToken(2)
	today := dayIn(time.Now())
	for _, c := range []struct {
		name, path, care string
		day              int
		by               *Person
		tk               token
		code1, regime    string
	}{
		{"insured", pathPharma, ssin("85073199704"), 0, p, tk, "110", "standard"},
		{"insured, direct", pathPharmaDirect, ssin("85073199704"), 0, p, tk, "110", "standard"},
		{"insured, yesterday", pathPharma, ssin("85073199704"), -1, p, tk, "110", "standard"},
		{"preferential", pathPharma, ssin("15073199817"), 0, p, tk, "111", "elevated"},
		{"one of several insurers", pathPharma, ssin("90022999836") + "<c:Mutuality>319</c:Mutuality>", 0, p, tk, "110", "standard"},
		{"asked by who does not hold the pharmacy", pathPharma, ssin("85073199704"), 0, employee, etk, "110", "standard"},
		{"not insured", pathPharma, ssin("85273199747"), 0, p, tk, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := (&world{t, w.s}).askPharma(c.path, c.tk, pharmaQuestion(pharmaOrigin(c.by), c.care, c.day))
			get := func(path string) string { return pharmacore(n, "InsurabilityResponse", path) }
			if got := pharmacore(n, "ReturnInfo", "ReturnCode/Major") + pharmacore(n, "ReturnInfo", "ReturnCode/Minor") + pharmacore(n, "ReturnInfo", "ReturnCode/Detail"); got != "010000000" {
				t.Fatalf("return code %s", got)
			}
			day := today.AddDate(0, 0, c.day)
			if !strings.Contains(c.care, get("CareReceiver/Ssin")) || get("Requested") != day.Format(time.DateOnly) {
				t.Error("another patient or another day")
			}
			if get("Coverage/Entitlement/Code1") != c.code1 || get("Coverage/Entitlement/ThirdPartyPayerRegime") != c.regime {
				t.Errorf("entitlement %s, %s", get("Coverage/Entitlement/Code1"), get("Coverage/Entitlement/ThirdPartyPayerRegime"))
			}
			if c.code1 == "" {
				return
			}
			if get("Coverage/Period/BeginDate") != day.Format(time.DateOnly) || get("Coverage/Period/EndDate") != day.AddDate(0, 0, 30).Format(time.DateOnly) ||
				get("Coverage/Communicated") != today.Format(time.DateOnly) {
				t.Error("coverage is not 30 days from the day asked about")
			}
			if len(get("Verification/PaymentApproval")) != 32 || len(get("Verification/PaymentApprovalSeed")) != 10 || len(get("Verification/InvoicingOfficeCheckDigit")) != 2 {
				t.Error("verification is not 32, 10 and 2 characters")
			}
		})
	}
	q := pharmaQuestion(pharmaOrigin(p), ssin("85073199704"), 0)
	approval := func() string {
		return pharmacore(w.askPharma(pathPharma, tk, q), "InsurabilityResponse", "Verification/PaymentApproval")
	}
	if first, second := approval(), approval(); first == second {
		t.Error("two questions, one approval")
	}
}

func TestPharmacistRefusals(t *testing.T) {
	w := newWorld(t)
	p, tk := w.pharmacyToken(0)
	o := pharmaOrigin(p)
	for _, c := range []struct {
		name, care string
		day        int
		detail, io string
	}{
		{"nobody", "", 0, "00010", ""},
		{"registration number alone", "<c:RegNrWithMut>1</c:RegNrWithMut>", 0, "00010", ""},
		{"insurer of three letters", ssin("85073199704") + "<c:Mutuality>abc</c:Mutuality>", 0, "00011", ""},
		{"check digits", ssin("85073199705"), 0, "00012", ""},
		{"unknown insurer", ssin("85073199704") + "<c:Mutuality>999</c:Mutuality>", 0, "00021", ""},
		{"unknown to routing", ssin("00000000097"), 0, "00023", ""},
		{"tomorrow", ssin("85073199704"), 1, "00030", ""},
		{"long ago", ssin("85073199704"), -6 * 365, "00040", ""},
		{"no insurer", ssin("00010199747"), 0, "00043", ""},
		{"several insurers", ssin("90022999836"), 0, "00044", "1 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := (&world{t, w.s}).askPharma(pathPharma, tk, pharmaQuestion(o, c.care, c.day))
			if major, detail := pharmacore(n, "ReturnInfo", "ReturnCode/Major"), pharmacore(n, "ReturnInfo", "ReturnCode/Detail"); major != "02" || detail != c.detail {
				t.Errorf("return code %s %s", major, detail)
			}
			if got := pharmacore(n, "ReturnInfo", "MultipleIO"); got != c.io {
				t.Errorf("insurers %q", got)
			}
			if nodeAt(n.Child(nsPharma, "InsurabilityResponse"), nsPharmaCore, "Coverage") != nil {
				t.Error("a refusal with coverage")
			}
		})
	}
}

func TestPharmacistRights(t *testing.T) {
	w := newWorld(t)
	p, tk := w.pharmacyToken(0)
	rival, _ := w.pharmacyToken(1)
	_, doctor := w.doctorToken(0)
	pc := w.must(p.Authentication())
	o, ok := pharmaOrigin(p), ssin("85073199704")
	holder := p.Pharmacy.Holder
	alone := w.issue(pc, claimPS+"="+p.SSIN.Reveal(), claimPSE+"nihii:pharmacist:nihii11", claimIsPharmacy, claimIsOwner)
	for _, c := range []struct{ name, q, code string }{
		{"as it should be", pharmaQuestion(o, ok, 0), ""},
		{"number of 8 digits", pharmaQuestion(strings.Replace(o, holder.NIHII.Full(), holder.NIHII.Base(), 1), ok, 0), ""},
		{"number of 11 digits", pharmaQuestion(strings.Replace(o, p.Pharmacy.Number, p.Pharmacy.Number+"000", 1), ok, 0), ""},
		{"nobody", pharmaQuestion("", ok, 0), "SOA-01002"},
		{"another holder", pharmaQuestion(strings.Replace(o, holder.NIHII.Full(), rival.NIHII.Full(), 1), ok, 0), "SOA-01002"},
		{"another qualification", pharmaQuestion(strings.Replace(o, holder.NIHII.Full(), holder.NIHII.Base()+"999", 1), ok, 0), "SOA-01002"},
		{"another person", pharmaQuestion(strings.Replace(o, holder.SSIN.Reveal(), rival.SSIN.Reveal(), 1), ok, 0), "SOA-01002"},
		{"another pharmacy", pharmaQuestion(strings.Replace(o, p.Pharmacy.Number, rival.Pharmacy.Number, 1), ok, 0), "SOA-01002"},
		{"quality in lower case", pharmaQuestion(strings.Replace(o, "PHARMACY-HOLDER", "pharmacy-holder", 1), ok, 0), "SOA-01002"},
		{"other quality", pharmaQuestion(strings.Replace(o, "<c:Quality>PHARMACY<", "<c:Quality>HOSPITAL<", 1), ok, 0), "SOA-01002"},
		{"GenIns name of the patient", pharmaQuestion(o, "<c:Inss>85073199704</c:Inss>", 0), "SOA-03006"},
		{"twelve digits", pharmaQuestion(o, ssin("850731997040"), 0), "SOA-03006"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{t, w.s}
			if c.code == "" {
				w.askPharma(pathPharma, tk, c.q)
				return
			}
			w.refusedWith(w.call(pathPharma, "", w.message(c.q, tk)), c.code)
		})
	}
	for name, tk := range map[string]token{"doctor": doctor, "pharmacist without pharmacy": alone} {
		if why := w.refusedWith(w.call(pathPharma, "", w.message(pharmaQuestion(o, ok, 0), tk)), "SOA-01002"); !strings.Contains(why, "pharmacy") {
			t.Errorf("%s: %s", name, why)
		}
	}
	if w.s.Organisation(identity.Pharmacy, 0) != p.Pharmacy {
		t.Error("the first pharmacist is not in the first pharmacy")
	}
}
