package integration

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// want is what a question must lead to. The fields below "exact" hold for the sandbox's population only.
type want struct {
	insured insurability.Tristate
	// refusals
	kind  fault.Kind
	code  string
	union []string
	// exact
	mutuality, ct1, ct2 string
	preferential, payer insurability.Tristate
	also                func(*testing.T, *insurability.Answer)
}

// TestScenariosAsDoctor asks GenIns about each of the eight patients of dossier 05 section 8.
func TestScenariosAsDoctor(t *testing.T) {
	today := insurability.Today()
	year := today.Start().Year()
	january := insurability.Day(year, time.January, 1)
	multiIO := want{kind: fault.Conflict, code: "MULTIIO_ERROR/44", union: []string{"1", "3"}}
	notHospitalised := want{kind: fault.Conflict, code: "INPUT_ERROR/42"}
	elsewhere := insurability.HospitalizedElsewhere
	for _, c := range []struct {
		scenario  sandbox.Scenario
		mutuality string
		contact   insurability.ContactType
		want      want
	}{
		{sandbox.Insured, "", "", want{
			insured: insurability.Yes, mutuality: "319", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.No,
			also: func(t *testing.T, a *insurability.Answer) {
				if a.Coverage != insurability.OneDay(today) || a.Person.Birthday != insurability.Day(1985, time.July, 31) || a.Person.Sex != insurability.Male {
					t.Errorf("coverage %v, person born %v, %v", a.Coverage, a.Person.Birthday, a.Person.Sex)
				}
			},
		}},
		{sandbox.Preferential, "", "", want{
			insured: insurability.Yes, mutuality: "319", ct1: "111", ct2: "111", preferential: insurability.Yes, payer: insurability.Yes,
			also: func(t *testing.T, a *insurability.Answer) {
				if !slices.Equal(a.MaxInvoiced, []int{year - 1}) || a.SpecialSocialCategory != insurability.Yes {
					t.Errorf("maximum bill %v, special category %v", a.MaxInvoiced, a.SpecialSocialCategory)
				}
			},
		}},
		{sandbox.Transferred, "", "", want{
			insured: insurability.Yes, mutuality: "203", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.Yes,
			also: func(t *testing.T, a *insurability.Answer) {
				s := a.Situation
				if s == nil || s.Event != insurability.ChangeDuring || len(s.Transfers) != 1 ||
					s.Transfers[0] != (insurability.Transfer{Direction: insurability.FromOtherIO, Insurer: "100", Date: january}) {
					t.Errorf("situation is %+v", s)
				}
				h := a.MedicalHouse
				if h == nil || h.Nurse != insurability.Yes || h.Medical != insurability.Yes || h.Kine != insurability.No {
					t.Errorf("medical house is %+v", h)
				}
				if len(a.Items) != 2 || a.Coverage.Start != january || a.Truncated != insurability.No {
					t.Errorf("%d periods, covered %v, truncated %v", len(a.Items), a.Coverage, a.Truncated)
				}
			},
		}},
		{sandbox.NotInsured, "", "", want{
			insured: insurability.No, payer: insurability.No,
			also: func(t *testing.T, a *insurability.Answer) {
				if a.Situation == nil || a.Situation.Event != insurability.ClosedBefore || len(a.Items) != 0 {
					t.Errorf("situation %+v, %d periods", a.Situation, len(a.Items))
				}
			},
		}},
		{sandbox.SeveralIO, "", "", multiIO},
		{sandbox.SeveralIO, "319", "", want{insured: insurability.Yes, mutuality: "319", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.No}},
		{sandbox.SeveralIO, "101", "", want{insured: insurability.Yes, mutuality: "101", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.No}},
		{sandbox.NoIO, "", "", want{kind: fault.NotFound, code: "NO_IO_ERROR/43"}},
		{sandbox.Hospitalised, "", "", want{insured: insurability.Yes, mutuality: "403", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.Yes}},
		{sandbox.Hospitalised, "", elsewhere, want{
			insured: insurability.Yes, mutuality: "403", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.Yes,
			also: func(t *testing.T, a *insurability.Answer) {
				if h := a.Hospitalized; h == nil || h.Hospital != "070999941000" || h.Admission != today.AddDays(-1) || h.Service != "210" {
					t.Errorf("hospitalised is %+v", h)
				}
			},
		}},
		{sandbox.Insured, "", elsewhere, notHospitalised},
		{sandbox.Preferential, "", elsewhere, notHospitalised},
		{sandbox.UnknownPerson, "", "", want{kind: fault.NotFound, code: "INPUT_ERROR/23"}},
	} {
		t.Run(string(c.scenario)+c.mutuality+string(c.contact), func(t *testing.T) {
			p := open(t, "", nil)
			q := insurability.Query{Patient: patient(t, c.scenario), ContactType: c.contact}
			if c.mutuality != "" {
				if !inSandbox() {
					skip(t, "which insurers know the patient is known in a sandbox only")
				}
				q.Mutuality = mutuality(t, c.mutuality)
			}
			a, err := p.Insurability.Check(t.Context(), q)
			if c.want.kind != 0 {
				refused(t, a, err, c.want)
				return
			}
			answered(t, p, q, a, err, c.want)
			if a.GenIns == nil || a.Pharmacist != nil {
				t.Error("not an answer of generic insurability")
			}
		})
	}
}

// TestScenariosAsPharmacist asks the pharmacist service, whose return codes the sandbox had to invent.
func TestScenariosAsPharmacist(t *testing.T) {
	for _, c := range []struct {
		scenario  sandbox.Scenario
		mutuality string
		regime    insurability.ThirdPartyPayer
		want      want
	}{
		{sandbox.Insured, "", insurability.ThirdPartyStandard, want{insured: insurability.Yes, mutuality: "319", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.Yes}},
		{sandbox.Preferential, "", insurability.ThirdPartyElevated, want{insured: insurability.Yes, mutuality: "319", ct1: "111", ct2: "111", preferential: insurability.Yes, payer: insurability.Yes}},
		{sandbox.Transferred, "", insurability.ThirdPartyStandard, want{insured: insurability.Yes, mutuality: "203", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.Yes}},
		{sandbox.NotInsured, "", "", want{insured: insurability.NotKnown}},
		{sandbox.SeveralIO, "", "", want{kind: fault.Conflict, code: "02-00-00044", union: []string{"1", "3"}}},
		{sandbox.SeveralIO, "319", insurability.ThirdPartyStandard, want{insured: insurability.Yes, mutuality: "319", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.Yes}},
		{sandbox.NoIO, "", "", want{kind: fault.Invalid, code: "02-00-00043"}},
		{sandbox.Hospitalised, "", insurability.ThirdPartyStandard, want{insured: insurability.Yes, mutuality: "403", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.Yes}},
		{sandbox.UnknownPerson, "", "", want{kind: fault.Invalid, code: "02-00-00023"}},
	} {
		t.Run(string(c.scenario)+c.mutuality, func(t *testing.T) {
			p := open(t, "pharmacist", nil)
			q := insurability.Query{Patient: patient(t, c.scenario)}
			if c.mutuality != "" {
				if !inSandbox() {
					skip(t, "which insurers know the patient is known in a sandbox only")
				}
				q.Mutuality = mutuality(t, c.mutuality)
			}
			a, err := p.Insurability.Check(t.Context(), q)
			if c.want.kind != 0 {
				refused(t, a, err, c.want)
				return
			}
			answered(t, p, q, a, err, c.want)
			if a.Pharmacist == nil || a.GenIns != nil {
				t.Error("not an answer of the pharmacist service")
			}
			if !inSandbox() {
				return
			}
			if a.Regime != c.regime || a.MessageID == "" {
				t.Errorf("regime %q, message id %q", a.Regime, a.MessageID)
			}
			v := a.PaymentApproval
			if approved := len(v.PaymentApproval) == 32 && len(v.PaymentApprovalSeed) == 10 && len(v.InvoicingOfficeCheckDigit) == 2; approved != (a.Insured == insurability.Yes) {
				t.Errorf("insured %v, approval of %d, %d and %d characters", a.Insured, len(v.PaymentApproval), len(v.PaymentApprovalSeed), len(v.InvoicingOfficeCheckDigit))
			}
			if a.Insured == insurability.Yes && a.Coverage.End != insurability.Today().AddDays(30) {
				t.Errorf("covered until %v", a.Coverage.End)
			}
		})
	}
}

// TestOtherCallers asks as everybody else whom the environment offers.
func TestOtherCallers(t *testing.T) {
	for _, role := range []string{
		"doctor", "dentist", "nurse", "midwife", "physiotherapist", "logopedist", "hospital", "medicalhouse", "guardpost", "groupofnurses",
	} {
		t.Run(role, func(t *testing.T) {
			p := open(t, role, nil)
			q := insurability.Query{Patient: patient(t, sandbox.Insured)}
			a, err := p.Insurability.Check(t.Context(), q)
			answered(t, p, q, a, err, want{insured: insurability.Yes, mutuality: "319", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.No})
		})
	}
}

// TestPeriods: organisations may ask up to a year, people one day (dossier 05 section 1.7, details 30, 31, 32, 40).
func TestPeriods(t *testing.T) {
	today := insurability.Today()
	for _, c := range []struct {
		name, role string
		period     insurability.Period
		date       insurability.Date
		want       want
		local      error
	}{
		{name: "a month, medical house", role: "medicalhouse", period: insurability.Period{Start: today.AddDays(-30), End: today}, want: want{insured: insurability.Yes, mutuality: "319", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.No}},
		{name: "a month, hospital", role: "hospital", period: insurability.Period{Start: today.AddDays(-30), End: today}, want: want{insured: insurability.Yes, mutuality: "319", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.No}},
		{name: "two years, medical house", role: "medicalhouse", period: insurability.Period{Start: today.AddDays(-730), End: today}, want: want{kind: fault.Invalid, code: "INPUT_ERROR/32"}},
		{name: "yesterday, doctor", date: today.AddDays(-1), want: want{insured: insurability.Yes, mutuality: "319", ct1: "110", ct2: "110", preferential: insurability.No, payer: insurability.No}},
		{name: "long ago, doctor", date: insurability.Day(1000, time.January, 1), want: want{kind: fault.NotFound, code: "INPUT_ERROR/40"}},
		{name: "a month, doctor", period: insurability.Period{Start: today.AddDays(-30), End: today}, local: insurability.ErrPeriodForSector},
		{name: "tomorrow, doctor", date: today.AddDays(1), local: insurability.ErrPeriodInFuture},
		{name: "backwards, hospital", role: "hospital", period: insurability.Period{Start: today, End: today.AddDays(-1)}, local: insurability.ErrPeriodReversed},
		{name: "a month, pharmacist", role: "pharmacist", period: insurability.Period{Start: today.AddDays(-30), End: today}, local: insurability.ErrPeriodForSector},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := open(t, c.role, nil)
			q := insurability.Query{Patient: patient(t, sandbox.Insured), Date: c.date, Period: c.period}
			a, err := p.Insurability.Check(t.Context(), q)
			switch {
			case c.local != nil:
				if !errors.Is(err, c.local) || !errors.Is(err, fault.ErrInvalid) || !errors.Is(err, fault.ErrNotSent) || a != nil {
					t.Errorf("answer %v, error %v", a, err)
				}
				ofEnvironment(t).check(t, err)
			case c.want.kind != 0:
				refused(t, a, err, c.want)
			default:
				answered(t, p, q, a, err, c.want)
			}
		})
	}
}

// TestByRegistration identifies the patient by the number with the mutuality.
func TestByRegistration(t *testing.T) {
	for _, role := range []string{"", "pharmacist"} {
		t.Run(or(role, "caller of the file"), func(t *testing.T) {
			needSandbox(t)
			p := open(t, role, nil)
			ssin := patient(t, sandbox.Insured)
			q := insurability.Query{RegNr: insurability.Hide("00" + ssin.Reveal()), Mutuality: mutuality(t, "319")}
			a, err := p.Insurability.Check(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if a.SSIN.Reveal() != ssin.Reveal() || a.Insured != insurability.Yes {
				t.Errorf("insured %v, or of somebody else", a.Insured)
			}
			q.Mutuality = mutuality(t, "101")
			a, err = p.Insurability.Check(t.Context(), q)
			w := want{kind: fault.NotFound, code: "INPUT_ERROR/23"}
			if role == "pharmacist" {
				w = want{kind: fault.Invalid, code: "02-00-00023"}
			}
			refused(t, a, err, w)
		})
	}
}

// TestReferences: ours are unique and come back, the caller's own comes back as it was.
func TestReferences(t *testing.T) {
	for _, role := range []string{"", "pharmacist"} {
		t.Run(or(role, "caller of the file"), func(t *testing.T) {
			p := open(t, role, nil)
			seen := map[string]bool{}
			for _, own := range []string{"", "VISIT-2026-0001", ""} {
				a, err := p.Insurability.Check(t.Context(), insurability.Query{Patient: patient(t, sandbox.Insured), Reference: own})
				if err != nil {
					t.Fatal(err)
				}
				r := a.References
				if r.Ours == "" || len(r.Ours) > 14 || strings.Trim(r.Ours, "0123456789") != "" || seen[r.Ours] {
					t.Errorf("our reference %q is not new, or not of 14 digits", r.Ours)
				}
				seen[r.Ours] = true
				if own != "" && r.Caller != own {
					t.Errorf("reference %q came back as %q", own, r.Caller)
				}
				if r.Output == "" || r.Record == "" {
					t.Errorf("the platform's references are missing: %q, %q", r.Output, r.Record)
				}
				if a.GenIns != nil && (a.GenIns.CommonOutput.InputReference != r.Ours || r.NIP == "") {
					t.Error("the references of the message are not ours")
				}
				if a.Pharmacist != nil && a.Pharmacist.Body.RecordCommonOutput.UserReference != r.Caller {
					t.Error("the user's reference did not come back")
				}
			}
		})
	}
}

// TestWrongRight: a caller may not ask in the name of somebody else, and who may not ask is told so once.
func TestWrongRight(t *testing.T) {
	t.Run("another doctor's number", func(t *testing.T) {
		needSandbox(t)
		doctors := 0
		p := open(t, "doctor", func(c *ehealth.Config) {
			for _, x := range env.facts.People {
				if x.Role != "doctor" {
					continue
				}
				if doctors++; doctors == 2 {
					c.Session = sessionOf(*c)
					number, err := identity.ParseNIHII(x.Caller.NIHII)
					if err != nil {
						t.Fatal(err)
					}
					c.Caller.NIHII = number
				}
			}
		})
		if doctors < 2 {
			t.Fatal("the sandbox has one doctor only")
		}
		before := counted(t)
		a, err := p.Insurability.Check(t.Context(), insurability.Query{Patient: patient(t, sandbox.Insured)})
		e := failed(t, a, err, fault.Denied, fault.Rejected, "")
		if e != nil && (e.Code != "SOA-01002" || e.Ticket == "" || e.Attempts != 1) {
			t.Errorf("code %q, ticket %q, attempts %d", e.Code, e.Ticket, e.Attempts)
		}
		if after := counted(t); after.Requests["genins-direct"] != before.Requests["genins-direct"] {
			t.Error("a missing right was asked for at another address")
		}
	})
	t.Run("enterprise", func(t *testing.T) {
		needSandbox(t)
		_, err := ehealth.Open(t.Context(), func() ehealth.Config {
			c := config(t, "")
			c.Caller.Quality = identity.Enterprise
			return c
		}())
		if !errors.Is(err, insurability.ErrCaller) {
			t.Errorf("error is %v", err)
		}
		ofEnvironment(t).check(t, err)
	})
}

func mutuality(t *testing.T, s string) identity.Mutuality {
	t.Helper()
	m, err := identity.ParseMutuality(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// answered checks an answer: everywhere what is promised, in a sandbox the values.
func answered(t *testing.T, p *ehealth.Platform, q insurability.Query, a *insurability.Answer, err error, w want) {
	t.Helper()
	if err != nil {
		ofEnvironment(t).check(t, err)
		t.Fatal(err)
	}
	if a.Insured != w.insured {
		t.Errorf("insured is %v", a.Insured)
	}
	if got := a.SSIN.Reveal(); got != "" && got != q.Patient.Reveal() {
		t.Error("the answer is about somebody else")
	}
	if a.Source != insurability.Live || a.Notice != "" || a.Attempts != 1 {
		t.Errorf("source %v, notice %q, attempts %d", a.Source, a.Notice, a.Attempts)
	}
	known := false
	for _, eps := range p.Config().Services {
		for _, e := range eps {
			known = known || e.URL == a.Endpoint
		}
	}
	if age := time.Since(a.ConsultedAt); !known || age < 0 || age > time.Minute {
		t.Errorf("from %s, %v ago", a.Endpoint, age)
	}
	ofEnvironment(t).check(t, a)
	ofEnvironment(t).check(t, *a)
	if !inSandbox() {
		return
	}
	if a.Mutuality != w.mutuality || a.CT1 != w.ct1 || a.CT2 != w.ct2 || a.Preferential != w.preferential || a.ThirdPartyPayer != w.payer {
		t.Errorf("mutuality %s, codes %s/%s, preferential %v, third-party payer %v", a.Mutuality, a.CT1, a.CT2, a.Preferential, a.ThirdPartyPayer)
	}
	if a.Person.LastName.IsZero() || a.Person.FirstName.IsZero() || a.Person.Birthday.IsZero() || (a.RegNr.IsZero() != (a.Mutuality == "")) {
		t.Error("the person is incomplete")
	}
	if w.also != nil {
		w.also(t, a)
	}
}

// refused checks a business refusal.
func refused(t *testing.T, a *insurability.Answer, err error, w want) {
	t.Helper()
	e := failed(t, a, err, w.kind, fault.Rejected, "")
	if e == nil {
		return
	}
	if e.Code != w.code || e.Attempts != 1 || e.Ticket == "" || e.Endpoint == "" {
		t.Errorf("code %q, attempts %d, ticket %q at %q", e.Code, e.Attempts, e.Ticket, e.Endpoint)
	}
	f, general := errors.AsType[*insurability.MessageFault](err)
	r, pharmacists := errors.AsType[*insurability.Refusal](err)
	switch {
	case general == pharmacists:
		t.Errorf("the cause is %T", e.Err)
	case general:
		if !slices.Equal(f.MultiIO, w.union) || len(f.Details) == 0 || f.Details[0].Meaning() == "" {
			t.Errorf("insurers %v, details %v", f.MultiIO, f.Details)
		}
		if w.code == "INPUT_ERROR/23" && !strings.HasPrefix(f.Details[0].Field(), "CareReceiverId/") {
			t.Errorf("field %q", f.Details[0].Field())
		}
	case !slices.Equal(r.MultipleIO, w.union):
		t.Errorf("insurers %v", r.MultipleIO)
	}
}

// failed checks that nothing came but a typed error without personal data.
func failed(t *testing.T, a *insurability.Answer, err error, k fault.Kind, o fault.Outcome, notice string) *fault.Error {
	t.Helper()
	if a != nil {
		t.Error("an answer came with the error")
	}
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Errorf("error is %T: %v", err, err)
		return nil
	}
	if e.Kind != k || e.Outcome != o || e.Notice != notice {
		t.Errorf("kind %v, outcome %v, notice %q, want %v, %v, %q: %v", e.Kind, e.Outcome, e.Notice, k, o, notice, e)
	}
	ofEnvironment(t).check(t, err)
	return e
}
