package integration

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// memberWant is what a question to MemberData must lead to.
type memberWant struct {
	insured insurability.Tristate
	kind    fault.Kind
	code    string
	also    func(*testing.T, *insurability.MemberDataAnswer)
}

var bothFacets = []insurability.FacetID{insurability.FacetInsurability, insurability.FacetChronicCondition}

// TestMemberData asks about the patients of dossier 05 section 8, in the environment under test.
func TestMemberData(t *testing.T) {
	today := insurability.Today()
	year := today.Start().Year()
	for _, c := range []struct {
		scenario  sandbox.Scenario
		mutuality string
		contact   insurability.MemberContact
		want      memberWant
	}{
		{sandbox.Insured, "", "", memberWant{insured: insurability.Yes, also: func(t *testing.T, a *insurability.MemberDataAnswer) {
			if a.Mutuality != "319" || a.CT1 != "110" || a.CT2 != "110" || a.Preferential != insurability.No || a.ThirdPartyPayer != insurability.No ||
				a.Coverage != insurability.OneDay(today) || a.Communicated != today || a.Person.Sex != insurability.Male || a.Person.Birthday != insurability.Day(1985, time.July, 31) {
				t.Errorf("%q %q %q %v %v %v %v", a.Mutuality, a.CT1, a.CT2, a.Preferential, a.ThirdPartyPayer, a.Coverage, a.Communicated)
			}
			if !slices.Equal(a.ChronicYears, []int{year - 1, year}) || !a.Has(insurability.FacetChronicCondition) || a.Partial {
				t.Errorf("years %v, partial %v", a.ChronicYears, a.Partial)
			}
			if a.SSIN.Reveal() != "85073199704" || a.References.NIP == "" || len(a.References.Ours) != 14 || a.Source != insurability.Live {
				t.Errorf("references %+v, source %v", a.References, a.Source)
			}
		}}},
		{sandbox.Preferential, "", "", memberWant{insured: insurability.Yes, also: func(t *testing.T, a *insurability.MemberDataAnswer) {
			if a.Preferential != insurability.Yes || a.ThirdPartyPayer != insurability.Yes || a.CT1 != "111" {
				t.Errorf("%v %v %s", a.Preferential, a.ThirdPartyPayer, a.CT1)
			}
		}}},
		{sandbox.Transferred, "", "", memberWant{insured: insurability.Yes, also: func(t *testing.T, a *insurability.MemberDataAnswer) {
			if !slices.Equal(a.Events, []insurability.Event{insurability.ChangeDuring}) || len(a.Items) != 2 || a.Mutuality != "203" {
				t.Errorf("%v, %d periods, %s", a.Events, len(a.Items), a.Mutuality)
			}
			if len(a.MedicalHouses) != 1 || !slices.Equal(a.MedicalHouses[0].Types, []string{"Nurse", "Medical"}) {
				t.Errorf("medical houses %v", a.MedicalHouses)
			}
		}}},
		{sandbox.NotInsured, "", "", memberWant{insured: insurability.No, also: func(t *testing.T, a *insurability.MemberDataAnswer) {
			if !slices.Equal(a.Events, []insurability.Event{insurability.ClosedBefore}) || len(a.Items) != 0 || a.Positive() {
				t.Errorf("%v, %d periods", a.Events, len(a.Items))
			}
		}}},
		{sandbox.SeveralIO, "", "", memberWant{kind: fault.Conflict, code: "INPUT_ERROR/MULTIPLE_IO"}},
		{sandbox.SeveralIO, "319", "", memberWant{insured: insurability.Yes}},
		{sandbox.NoIO, "", "", memberWant{kind: fault.NotFound, code: "INPUT_ERROR/UNKNOWN_NISS_ROUTING"}},
		{sandbox.UnknownPerson, "", "", memberWant{kind: fault.NotFound, code: "INPUT_ERROR/UNKNOWN_NISS_ROUTING"}},
		{sandbox.Hospitalised, "", insurability.MemberHospitalized, memberWant{insured: insurability.Yes, also: func(t *testing.T, a *insurability.MemberDataAnswer) {
			if a.Hospitalized != insurability.Yes {
				t.Error("not in hospital")
			}
		}}},
		{sandbox.Insured, "", insurability.MemberHospitalized, memberWant{kind: fault.Conflict, code: "INPUT_ERROR/MISMATCHED_CONTACTTYPE"}},
	} {
		t.Run(string(c.scenario)+c.mutuality+string(c.contact), func(t *testing.T) {
			if !inSandbox() {
				skip(t, "the attributes of other environments' patients are not known")
			}
			p := open(t, "", nil)
			q := insurability.MemberDataQuery{Patient: patient(t, c.scenario), ContactType: c.contact, Facets: bothFacets}
			if c.mutuality != "" {
				q.Mutuality = mutuality(t, c.mutuality)
			}
			a, err := p.Insurability.MemberData(t.Context(), q)
			if c.want.kind != 0 {
				var f *insurability.MemberDataFault
				if e, ok := errors.AsType[*fault.Error](err); a != nil || !ok || e.Kind != c.want.kind || e.Code != c.want.code || e.Outcome != fault.Rejected || e.Ticket == "" || !errors.As(err, &f) {
					t.Errorf("ended with %v, want %v %s", err, c.want.kind, c.want.code)
				}
				ofEnvironment(t).check(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a.Insured != c.want.insured {
				t.Errorf("insured %v, want %v", a.Insured, c.want.insured)
			}
			if c.want.also != nil {
				c.want.also(t, a)
			}
			ofEnvironment(t).check(t, a)
			ofEnvironment(t).check(t, *a)
			ofEnvironment(t).check(t, a.Message)
			ofEnvironment(t).check(t, q)
		})
	}
}

// TestMemberDataCallers asks as everybody else: organisations up to a year, physiotherapists not for every facet,
// pharmacies not at all.
func TestMemberDataCallers(t *testing.T) {
	today := insurability.Today()
	for _, role := range []string{"dentist", "nurse", "midwife", "physiotherapist", "hospital", "medicalhouse", "guardpost"} {
		t.Run(role, func(t *testing.T) {
			p := open(t, role, nil)
			a, err := p.Insurability.MemberData(t.Context(), insurability.MemberDataQuery{Patient: patient(t, sandbox.Insured)})
			if err != nil || a.Insured != insurability.Yes {
				t.Fatalf("%v %v", a, err)
			}
		})
	}
	if !inSandbox() {
		skip(t, "the rest needs a sandbox")
	}
	house := open(t, "medicalhouse", nil)
	ask := func(p *ehealth.Platform, q insurability.MemberDataQuery) (*insurability.MemberDataAnswer, error) {
		return p.Insurability.MemberData(t.Context(), q)
	}
	year := insurability.MemberDataQuery{
		Patient: patient(t, sandbox.SeveralIO), Mutuality: mutuality(t, "319"), RequestType: insurability.Invoicing,
		Period: insurability.Period{Start: today.AddDays(-350), End: today},
	}
	a, err := ask(house, year)
	if err != nil || !a.Partial || !a.Warned("ONLY_FIVE_PERIODS_RETURNED") || len(a.Items) != 5 || a.Insured != insurability.NotKnown || len(a.Items[0].PaymentApproval) != 32 {
		t.Errorf("%v %v", a, err)
	}
	regNr := insurability.MemberDataQuery{RegNr: insurability.Hide("0085073199704"), Mutuality: mutuality(t, "319")}
	if a, err := ask(house, regNr); err != nil || a.Insured != insurability.Yes || a.RegNr.IsZero() {
		t.Errorf("%v %v", a, err)
	}
	regNr.RegNr = insurability.Hide("0085073199799")
	if _, err := ask(house, regNr); !errors.Is(err, fault.ErrNotFound) || !strings.Contains(err.Error(), "BO_UNKNOWN_REGNBR") {
		t.Errorf("unknown registration number: %v", err)
	}
	if _, err := ask(open(t, "", nil), year); !errors.Is(err, insurability.ErrPeriodForSector) || !errors.Is(err, fault.ErrNotSent) {
		t.Errorf("a doctor asks about a year: %v", err)
	}
	year.Period.Start = today.AddDays(-400)
	if _, err := ask(house, year); !errors.Is(err, fault.ErrInvalid) || !strings.Contains(err.Error(), "INVALID_PERIOD_FOR_SECTOR") {
		t.Errorf("a house asks about more than a year: %v", err)
	}
	paths := insurability.MemberDataQuery{
		Patient: patient(t, sandbox.Insured), Facets: []insurability.FacetID{insurability.FacetInsurability, insurability.FacetCarePath},
		CarePaths: []insurability.CarePath{insurability.CarePathDiabetes, insurability.CarePathRenalInsufficiency},
	}
	if a, err := ask(house, paths); err != nil || a.Has(insurability.FacetCarePath) || len(a.Facets) != 2 {
		t.Errorf("%v %v", a, err)
	}
	if _, err := ask(open(t, "physiotherapist", nil), paths); !errors.Is(err, fault.ErrDenied) || !strings.Contains(err.Error(), "UNAUTHORIZED_FACET") {
		t.Errorf("a physiotherapist asks for care paths: %v", err)
	}
	if _, err := ask(open(t, "pharmacist", nil), insurability.MemberDataQuery{Patient: patient(t, sandbox.Insured)}); !errors.Is(err, insurability.ErrCaller) || !errors.Is(err, fault.ErrNotSent) {
		t.Errorf("a pharmacy asks: %v", err)
	}
}

// memberAsk asks with both facets.
func (w *world) memberAsk(t *testing.T, p *ehealth.Platform, sc sandbox.Scenario) (*insurability.MemberDataAnswer, error) {
	t.Helper()
	return p.Insurability.MemberData(t.Context(), insurability.MemberDataQuery{Patient: w.sb.Patient(sc).SSIN, Facets: bothFacets})
}

func (w *world) memberEnds(t *testing.T, a *insurability.MemberDataAnswer, err error, want end) {
	t.Helper()
	if a != nil {
		t.Error("an answer is shown")
	}
	w.fails(t, err, want)
}

// TestMemberDataForms: what the document looks like on the wire must not matter.
func TestMemberDataForms(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		p := w.open(t, w.doctor(t, 0))
		for _, b := range []sandbox.MemberDataBehaviour{{Deflate: true}, {BareFault: true}, {Deflate: true, BareFault: true}} {
			w.sb.SetMemberData(b)
			if a, err := w.memberAsk(t, p, sandbox.Insured); err != nil || a.Insured != insurability.Yes {
				t.Errorf("%v %v", a, err)
			}
			a, err := w.memberAsk(t, p, sandbox.NoIO)
			w.memberEnds(t, a, err, end{fault.NotFound, fault.Rejected, "", "INPUT_ERROR/UNKNOWN_NISS_ROUTING"})
		}
	})
}

// TestMemberDataInsurerDown: the insurer is behind every address, so none is switched; the question is repeated once.
func TestMemberDataInsurerDown(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		p := w.open(t, w.doctor(t, 0))
		w.sb.SetMemberData(sandbox.MemberDataBehaviour{Down: []string{"3"}})
		before := time.Now()
		a, err := w.memberAsk(t, p, sandbox.Insured)
		w.memberEnds(t, a, err, end{fault.Unavailable, fault.Rejected, "D-INS-UNKNOWN", "SEND_ERROR/SEND_TO_IM_EXCEPTION"})
		f, ok := errors.AsType[*insurability.MemberDataFault](err)
		if !ok || !f.InsurerDown() || f.Source != "MYCARENET" {
			t.Errorf("fault %v", f)
		}
		if n := w.sb.State().Requests; n["memberdata"] != 2 || n["memberdata-direct"] != 0 {
			t.Errorf("asked %v", n)
		}
		if d := time.Since(before); d > insurability.DefaultTimeout {
			t.Errorf("took %v", d)
		}
		if a, err := w.memberAsk(t, p, sandbox.Hospitalised); err != nil || a.Insured != insurability.Yes {
			t.Errorf("patient of another insurer: %v %v", a, err)
		}
		// It comes back between the two tries.
		go func() {
			time.Sleep(100 * time.Millisecond)
			w.sb.SetMemberData(sandbox.MemberDataBehaviour{})
		}()
		if a, err = w.memberAsk(t, p, sandbox.Insured); err != nil || a.Insured != insurability.Yes || a.Attempts != 2 || a.Source != insurability.Live {
			t.Errorf("%v %v", a, err)
		}
	})
}

// TestMemberDataPartial: what is missing is said, and proves nothing.
func TestMemberDataPartial(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		p := w.open(t, w.doctor(t, 0))
		w.sb.SetMemberData(sandbox.MemberDataBehaviour{Partial: true})
		a, err := w.memberAsk(t, p, sandbox.Insured)
		if err != nil || !a.Partial || !a.Warned("MISSING_FACETS") || a.Insured != insurability.Yes || a.Has(insurability.FacetChronicCondition) {
			t.Errorf("%v %v", a, err)
		}
		if a, err = w.memberAsk(t, p, sandbox.NotInsured); err != nil || a.Insured != insurability.NotKnown {
			t.Errorf("a partial answer proves a no: %v %v", a, err)
		}
	})
}

// TestMemberDataFaults: every kind of fault of the grammar acts on it, and the alternate answers for it.
func TestMemberDataFaults(t *testing.T) {
	for _, c := range []struct {
		rows      []string
		alternate bool
		want      end
	}{
		{rows: []string{"memberdata 0 to_end fault code=SOA-02001"}, alternate: true},
		{rows: []string{"memberdata 0 to_end http status=503;body=html"}, alternate: true},
		{rows: []string{"memberdata 0 to_end refuse"}, alternate: true},
		{rows: []string{"memberdata 0 to_end hang p=1"}, alternate: true},
		{rows: []string{"esb 60 to_end blackhole"}, alternate: false}, // not begun: the ordinary way
		{
			rows: []string{"memberdata 0 to_end fault code=SOA-02002", "memberdata-direct 0 to_end fault code=SOA-02002"},
			want: end{fault.Unavailable, fault.Rejected, "D-INS-UNKNOWN", "SOA-02002"},
		},
		{rows: []string{"memberdata 0 to_end capacity rps=0.0001;queue=0;over=503", "memberdata-direct 0 to_end slow median_ms=300;sigma=0.1"}, alternate: false},
	} {
		t.Run(strings.Join(c.rows, " + "), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				p := w.open(t, w.doctor(t, 0))
				w.login(t, p)
				w.inject(t, c.rows...)
				a, err := w.memberAsk(t, p, sandbox.Insured)
				if c.want.kind != 0 {
					w.memberEnds(t, a, err, c.want)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if (a.Source == insurability.Alternate) != c.alternate || c.alternate && a.Notice != "D-INS-DIRECT" || a.Insured != insurability.Yes {
					t.Errorf("%v from %v, notice %q", a, a.Endpoint, a.Notice)
				}
			})
		})
	}
}

// wrongAnswer is how an answer ends that is not ours.
var wrongAnswer = end{fault.Security, fault.Unknown, "D-WRONG", ""}

// TestMemberDataMisrouted: the answers of two patients are swapped. Where the alternate has the right one, that is shown;
// where it has none, nothing is.
func TestMemberDataMisrouted(t *testing.T) {
	for _, both := range []bool{false, true} {
		inBubble(t, func(t *testing.T, w *world) {
			p, q := w.open(t, w.doctor(t, 0)), w.open(t, w.doctor(t, 1))
			if _, err := w.memberAsk(t, q, sandbox.Preferential); err != nil {
				t.Fatal(err)
			}
			w.login(t, p)
			w.inject(t, "memberdata 0 to_end misroute p=1")
			if both {
				w.inject(t, "memberdata-direct 0 to_end refuse")
			}
			a, err := w.memberAsk(t, p, sandbox.Insured)
			switch {
			case both:
				if a != nil || !errors.Is(err, fault.ErrUnavailable) && !errors.Is(err, fault.ErrSecurity) {
					t.Errorf("%v %v", a, err)
				}
				w.private.check(t, err)
			case err != nil || a.Source != insurability.Alternate || a.SSIN.Reveal() != w.sb.Patient(sandbox.Insured).SSIN.Reveal():
				t.Errorf("%v %v", a, err)
			}
			if w.sb.State().Hits["memberdata"]["misroute"] == 0 {
				t.Error("nothing was misrouted")
			}
		})
	}
}

// TestMemberDataWrong: documents that are not ours, in an envelope that is.
func TestMemberDataWrong(t *testing.T) {
	const other = "15073199817"
	for _, c := range []struct {
		name  string
		wrong func(t *testing.T, w *world) func([]byte) []byte
		want  end
	}{
		{"another patient everywhere", func(t *testing.T, w *world) func([]byte) []byte {
			return replace(t, w.sb.Patient(sandbox.Insured).SSIN.Reveal(), other)
		}, wrongAnswer},
		{"one assertion of another subject", func(t *testing.T, w *world) func([]byte) []byte {
			return func(b []byte) []byte {
				own := []byte(">" + w.sb.Patient(sandbox.Insured).SSIN.Reveal() + "</saml:NameID>")
				i := bytes.LastIndex(b, own)
				return append(append(bytes.Clone(b[:i]), bytes.Replace(b[i:], own, []byte(">"+other+"</saml:NameID>"), 1)...), nil...)
			}
		}, wrongAnswer},
		{"another patient in an attribute", func(t *testing.T, w *world) func([]byte) []byte {
			own := w.sb.Patient(sandbox.Insured).SSIN.Reveal()
			return replace(t, ">"+own+"</saml:AttributeValue>", ">"+other+"</saml:AttributeValue>")
		}, wrongAnswer},
		{"another query's document", func(t *testing.T, _ *world) func([]byte) []byte {
			return replace(t, `InResponseTo="_`, `InResponseTo="_9`)
		}, wrongAnswer},
		{"no subject", func(t *testing.T, _ *world) func([]byte) []byte {
			return func(b []byte) []byte { return cutElement(b, "saml:Subject") }
		}, wrongAnswer},
		{"subject of a kind that we did not use", func(t *testing.T, _ *world) func([]byte) []byte {
			return replace(t, "urn:be:fgov:person:ssin\">", "urn:be:cin:nippin:other\">")
		}, wrongAnswer},
		{"expired", conditions(`NotOnOrAfter="1999-12-31T22:00:00Z"`), wrongAnswer},
		{"not valid yet", conditions(`NotBefore="2100-01-01T00:00:00Z"`), wrongAnswer},
		{"not XML", func(*testing.T, *world) func([]byte) []byte {
			return func([]byte) []byte { return []byte("<not xml") }
		}, end{fault.Protocol, fault.Unknown, "D-INS-UNKNOWN", ""}},
		{"a status that does not exist", func(t *testing.T, _ *world) func([]byte) []byte {
			return replace(t, "status:Success", "status:Perhaps")
		}, end{fault.Protocol, fault.Unknown, "D-INS-UNKNOWN", ""}},
		{"a date that is none", func(t *testing.T, _ *world) func([]byte) []byte {
			return replace(t, ">1985-07-31<", ">1985-02-31<")
		}, end{fault.Protocol, fault.Unknown, "D-INS-UNKNOWN", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				p := w.open(t, w.doctor(t, 0))
				w.login(t, p)
				w.sb.SetMemberData(sandbox.MemberDataBehaviour{Wrong: c.wrong(t, w)})
				a, err := w.memberAsk(t, p, sandbox.Insured)
				w.memberEnds(t, a, err, c.want)
				if mismatch := errors.Is(err, insurability.ErrMismatch); mismatch != (c.want == wrongAnswer) {
					t.Errorf("mismatch %v: %v", mismatch, err)
				}
			})
		})
	}
}

// conditions puts Conditions into the first assertion, in the place that the schema gives them.
func conditions(attr string) func(*testing.T, *world) func([]byte) []byte {
	return func(*testing.T, *world) func([]byte) []byte {
		return func(b []byte) []byte {
			return bytes.Replace(b, []byte("</saml:Subject>"), []byte(`</saml:Subject><saml:Conditions `+attr+`/>`), 1)
		}
	}
}

// cutElement removes the first element with that name.
func cutElement(b []byte, name string) []byte {
	start := bytes.Index(b, []byte("<"+name+">"))
	end := bytes.Index(b, []byte("</"+name+">")) + len("</"+name+">")
	return append(bytes.Clone(b[:start]), b[end:]...)
}

// TestMemberDataEnvelope: envelopes that are not ours, and attacks on the content of one that is.
func TestMemberDataEnvelope(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new string
		want     end
	}{
		{"another request's answer", `InResponseTo="ID_`, `InResponseTo="ID_9`, wrongAnswer},
		{"another reference", `<mc:InputReference>`, `<mc:InputReference>9`, wrongAnswer},
		{"content changed under its digest", `HashValue="`, `HashValue="AAAA`, end{fault.Protocol, fault.Unknown, "D-INS-UNKNOWN", ""}},
		{"content said to be sealed", `ContentEncoding="none"`, `ContentEncoding="none" ContentEncryption="encryptedForKnownBED"`, end{fault.Protocol, fault.Unknown, "D-INS-UNKNOWN", ""}},
		{"content in another encoding", `ContentEncoding="none"`, `ContentEncoding="gzip"`, end{fault.Protocol, fault.Unknown, "D-INS-UNKNOWN", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				cfg := w.doctor(t, 0)
				cfg.Transport = &between{next: cfg.Transport, path: "emberData", response: replace(t, c.old, c.new)}
				p := w.open(t, cfg)
				w.login(t, p)
				a, err := w.memberAsk(t, p, sandbox.Insured)
				w.memberEnds(t, a, err, c.want)
			})
		})
	}
}

// TestMemberDataTampered: what is changed on the way to the platform is refused there.
func TestMemberDataTampered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Config{})
		defer w.sb.Close()
		cfg := w.doctor(t, 0)
		cfg.Transport = &between{next: cfg.Transport, path: "emberData", request: replace(t, `ContentEncoding="none"`, `ContentEncoding="deflate"`)}
		a, err := w.memberAsk(t, w.open(t, cfg), sandbox.Insured)
		w.memberEnds(t, a, err, refusedMessage)
		// Somebody else's number in an honest signature: the insurers' own check finds it.
		cfg = w.doctor(t, 0)
		o := w.sb.Person(identity.Doctor, 1)
		cfg.Caller.NIHII, cfg.Caller.SSIN, cfg.Caller.Name = o.NIHII, o.SSIN, o.Name()
		a, err = w.memberAsk(t, w.open(t, cfg), sandbox.Insured)
		if e, ok := errors.AsType[*fault.Error](err); a != nil || !ok || e.Kind != fault.Denied {
			t.Errorf("%v %v", a, err)
		}
		w.private.check(t, err)
	})
}

// TestMemberDataKept: an answer that went through a store is the same answer, for the same question only.
func TestMemberDataKept(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		p := w.open(t, w.doctor(t, 0))
		q := insurability.MemberDataQuery{Patient: w.sb.Patient(sandbox.Insured).SSIN, Facets: bothFacets}
		a, err := p.Insurability.MemberData(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := a.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var again insurability.MemberDataAnswer
		if err := again.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		if again.CT1 != a.CT1 || again.Insured != insurability.Yes || !again.ConsultedAt.Equal(a.ConsultedAt) || again.References != a.References || again.Person != a.Person {
			t.Errorf("came back as %v %+v", again, again.References)
		}
		if bytes.Contains(b, []byte(licence)) {
			t.Error("the licence is kept")
		}
		today := insurability.Today()
		if !again.Positive() || !again.Covers(today) || again.Covers(today.AddDays(1)) {
			t.Error("other days are covered")
		}
	})
}
