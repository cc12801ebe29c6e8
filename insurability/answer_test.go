package insurability

import (
	"testing"
	"time"
)

func TestInsured(t *testing.T) {
	day := OneDay(sampleDay)
	year := Period{Day(2029, time.January, 16), sampleDay}
	item := func(start, end Date) InsurabilityItem { return InsurabilityItem{Period: Period{start, end}} }
	event := func(e Event) *GeneralSituation { return &GeneralSituation{Event: e} }
	end := Day(9999, 12, 31)
	for _, tt := range []struct {
		name      string
		asked     Period
		items     []InsurabilityItem
		truncated bool
		situation *GeneralSituation
		want      Tristate
	}{
		{"the day itself", day, []InsurabilityItem{item(sampleDay, sampleDay)}, false, nil, Yes},
		{"open end", day, []InsurabilityItem{item(sampleDay.AddDays(-9), Date{})}, false, nil, Yes},
		{"open start", day, []InsurabilityItem{item(Date{}, sampleDay)}, false, nil, Yes},
		{"end of time", day, []InsurabilityItem{item(sampleDay, end)}, false, nil, Yes},
		{"second item", day, []InsurabilityItem{item(sampleDay.AddDays(-9), sampleDay.AddDays(-1)), item(sampleDay, end)}, false, nil, Yes},
		{"ended the day before", day, []InsurabilityItem{item(sampleDay.AddDays(-9), sampleDay.AddDays(-1))}, false, nil, No},
		{"starts the day after", day, []InsurabilityItem{item(sampleDay.AddDays(1), Date{})}, false, nil, No},
		{"not covered but truncated", day, []InsurabilityItem{item(sampleDay.AddDays(1), Date{})}, true, nil, NotKnown},
		{"item without period", day, []InsurabilityItem{{}}, false, nil, NotKnown},
		{"no items, closed", day, nil, false, event(ClosedBefore), No},
		{"no items, later", day, nil, false, event(StartLater), No},
		{"no items, change", day, nil, false, event(ChangeDuring), NotKnown},
		{"no items, several", day, nil, false, event(Multiple), NotKnown},
		{"no items, no word", day, nil, false, nil, NotKnown},
		{"closed, but an item covers", day, []InsurabilityItem{item(sampleDay, sampleDay)}, false, event(ClosedBefore), Yes},
		{"year in one", year, []InsurabilityItem{item(Date{}, end)}, false, nil, Yes},
		{"year in two", year, []InsurabilityItem{item(Day(2030, 1, 1), end), item(Day(2029, 1, 1), Day(2029, 12, 31))}, false, nil, Yes},
		{"year with a hole", year, []InsurabilityItem{item(Day(2030, 1, 2), end), item(Day(2029, 1, 1), Day(2029, 12, 31))}, false, nil, NotKnown},
		{"last part of a year", year, []InsurabilityItem{item(Day(2030, 1, 1), end)}, false, nil, NotKnown},
		{"before the year", year, []InsurabilityItem{item(Date{}, Day(2029, 1, 15))}, false, nil, No},
	} {
		if got := insured(tt.asked, tt.items, tt.truncated, tt.situation); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestPreferential(t *testing.T) {
	for ct1, want := range map[string]Tristate{
		"110": No, "111": Yes, "451": Yes, "114": NotKnown, "": NotKnown, "11": NotKnown, "1110": NotKnown, "1a1": NotKnown,
	} {
		if got := preferential(ct1); got != want {
			t.Errorf("preferential(%q) = %v, want %v", ct1, got, want)
		}
	}
}

func TestAnswerGenIns(t *testing.T) {
	for _, tt := range []struct {
		sample string
		asked  Period
		check  func(*Answer) bool
	}{
		{"insured", OneDay(sampleDay), func(a *Answer) bool {
			return a.Insured == Yes && a.Mutuality == "319" && a.RegNr.Reveal() == "9999999999999" && a.CT1 == "110" && a.CT2 == "110" &&
				a.Preferential == No && a.ThirdPartyPayer == Yes && a.SpecialSocialCategory == No && len(a.MaxInvoiced) == 1 &&
				a.MaxInvoiced[0] == 2029 && a.Communicated == sampleDay && a.Coverage == OneDay(sampleDay) &&
				a.SSIN.Reveal() == "85073199704" && a.Person.LastName.Reveal() == "SYNTHETIC" && a.Person.Sex == Male &&
				a.Person.Birthday == Day(1985, 7, 31) && a.Truncated == No &&
				a.References == References{Ours: "O", Caller: "C", NIP: "SBX00000000001", Output: "SBX00000000002", Record: "30000000000001"}
		}},
		{"not-insured", OneDay(sampleDay), func(a *Answer) bool {
			return a.Insured == No && a.Mutuality == "" && a.Preferential == NotKnown && a.ThirdPartyPayer == No &&
				a.Situation.Event == ClosedBefore && len(a.Items) == 0
		}},
		{"hospitalized", OneDay(sampleDay), func(a *Answer) bool {
			return a.Insured == Yes && a.Hospitalized.Hospital == "070999941000" && a.Hospitalized.Service == "210" &&
				a.Hospitalized.Admission == sampleDay.AddDays(-1) && a.CT1 == "130" && a.CT2 == "131" && a.Preferential == No
		}},
		{"transfer-medicalhouse", OneDay(sampleDay), func(a *Answer) bool {
			return a.Insured == Yes && a.Mutuality == "319" && a.MedicalHouse.Nurse == Yes && a.MedicalHouse.Kine == No &&
				a.MedicalHouse.Period.End.IsZero() && a.Situation.Transfers[0].Direction == FromOtherIO && len(a.Items) == 2
		}},
		{"transfer-medicalhouse", OneDay(Day(2029, 12, 31)), func(a *Answer) bool {
			return a.Insured == Yes && a.Mutuality == "126" && a.Preferential == Yes
		}},
		{"transfer-medicalhouse", Period{Day(2029, 1, 16), sampleDay}, func(a *Answer) bool {
			return a.Insured == Yes && a.Mutuality == "319"
		}},
	} {
		r, err := decodeGenIns(parse(t, sample(t, "genins-response-"+tt.sample+".xml")))
		if err != nil {
			t.Fatal(err)
		}
		q := new(GenInsRequest)
		q.CommonInput.InputReference, q.Request.Detail = "O", RequestDetail{Period: tt.asked, Reference: "C"}
		if a := answerGenIns(q, r); !tt.check(a) || a.GenIns != r || a.Asked != tt.asked {
			t.Errorf("%s %v: %v %+v", tt.sample, tt.asked, a, *a.GenIns.Response.Detail)
		}
	}
	identified := &GenInsResponse{Response: SingleResponse{CareReceiver: &CareReceiverID{}}}
	if a := answerGenIns(new(GenInsRequest), identified); a.Insured != NotKnown || a.ThirdPartyPayer != NotKnown {
		t.Errorf("an answer that says nothing is read as %v", a)
	}
}

func TestAnswerPharmacist(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*PharmacistBody)
		check  func(*Answer) bool
	}{
		{"insured", nil, func(a *Answer) bool {
			return a.Insured == Yes && a.Mutuality == "319" && a.CT1 == "111" && a.CT2 == "111" && a.Preferential == Yes &&
				a.ThirdPartyPayer == Yes && a.Regime == ThirdPartyElevated && a.Coverage == Period{sampleDay, sampleDay.AddDays(30)} &&
				a.PaymentApproval == Verification{"DAEBE133028938BF7E315AAAC3FF20B6", "2030011501", "42"} &&
				a.References == References{Ours: "O", Caller: "C", Output: "SBX00000000001", Record: "30000000000001"} &&
				a.Person.FirstName.Reveal() == "SAMPLE" && a.SSIN.Reveal() == "85073199704"
		}},
		{"another period", func(b *PharmacistBody) { b.Response.Coverage.Period = OneDay(sampleDay.AddDays(1)) }, func(a *Answer) bool {
			return a.Insured == No && a.CT1 == "" && a.Preferential == NotKnown
		}},
		{"no coverage", func(b *PharmacistBody) { b.Response.Coverage = nil }, func(a *Answer) bool {
			return a.Insured == NotKnown && a.ThirdPartyPayer == NotKnown && a.PaymentApproval.PaymentApproval != ""
		}},
		{"no verification", func(b *PharmacistBody) { b.Response.Verification = nil }, func(a *Answer) bool {
			return a.Insured == Yes && a.PaymentApproval == Verification{}
		}},
		{"no third party", func(b *PharmacistBody) { b.Response.Coverage.ThirdParty = ThirdPartyNone }, func(a *Answer) bool {
			return a.ThirdPartyPayer == No
		}},
		{"new regime", func(b *PharmacistBody) { b.Response.Coverage.ThirdParty = "partial" }, func(a *Answer) bool {
			return a.ThirdPartyPayer == NotKnown && a.Regime == "partial"
		}},
	} {
		r, err := decodePharmacist(parse(t, sample(t, "pharmacist-response-preferential.xml")))
		if err != nil {
			t.Fatal(err)
		}
		if tt.change != nil {
			tt.change(r.Body)
		}
		q := &PharmacistRequest{Record: PharmacistRecord{"O", "C"}, Request: PharmacistQuestion{Date: sampleDay}}
		if a := answerPharmacist(q, r); !tt.check(a) || a.Pharmacist != r {
			t.Errorf("%s: %v", tt.name, a)
		}
	}
}
