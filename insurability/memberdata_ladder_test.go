package insurability

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// memberFor answers questions with a sample that is made to fit them, then changed.
func memberFor(t *testing.T, name string, change func(*MemberDataRequest, *SAMLResponse)) func(*xmltree.Node) (int, io.Reader) {
	return func(payload *xmltree.Node) (int, io.Reader) {
		q := new(MemberDataRequest)
		if err := decodeMemberData(payload, "MemberDataConsultationRequest", q, (*MemberDataRequest).wire); err != nil {
			t.Error(err)
		}
		r := memberResponse(t, name, func(s *SAMLResponse) {
			s.InResponseTo = q.Query.ID
			for i := range s.Assertions {
				s.Assertions[i].Subject = new(q.Query.Subject)
			}
			if change != nil {
				change(q, s)
			}
		})
		r.InResponseTo, r.CommonOutput.InputReference = q.ID, q.CommonInput.InputReference
		b, err := encodeMemberData("MemberDataConsultationResponse", r, (*MemberDataResponse).wire)
		if err != nil {
			t.Error(err)
		}
		return http.StatusOK, envelope(t, b)
	}
}

const memberInsured = "memberdata-inner-response-success.xml"

func (r *rung) askMember(c *Client, q MemberDataQuery, want Source) *MemberDataAnswer {
	r.Helper()
	start := time.Now()
	a, err := c.MemberData(r.Context(), q)
	if d := time.Since(start); d > DefaultTimeout {
		r.Errorf("took %v", d)
	}
	if a == nil || a.Source != want || (err != nil) != (want == Unknown) {
		r.Fatalf("got %v, %v, want %v", a, err, want)
	}
	if want == Unknown && (a.Insured != NotKnown || a.Message != nil || a.Has(FacetInsurability) || a.Notice != NoticeUnknown || len(a.Facets) == 0) {
		r.Errorf("%v says something", a)
	}
	if _, said := a.Provenance.Message(); said != (want != Live) {
		r.Errorf("notice %q", a.Notice)
	}
	return a
}

// TestMemberDataLadder: MemberData is the third question on the ladder.
func TestMemberDataLadder(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		up := memberFor(r.T, memberInsured, nil)
		r.set(up)
		c := r.client(doctor)
		q := MemberDataQuery{Patient: ssinInsured, Facets: sampleFacets}
		live := r.askMember(c, q, Live)
		r.set(nil)
		time.Sleep(3*24*time.Hour + 5*time.Hour)
		a := r.askMember(c, q, Stored)
		if a.Insured != Yes || a.CT1 != "110" || a.SSIN != live.SSIN || a.DaysOld() != 3 || a.Asked != OneDay(Today()) || a.References != live.References || !slices.Equal(a.ChronicYears, live.ChronicYears) {
			r.Errorf("%v %+v", a, a.Provenance)
		}
		if a.PaymentGuaranteed {
			r.Error("a guarantee without approval")
		}
		// Nothing of it stands in for anything else.
		for _, other := range []MemberDataQuery{
			{Patient: identity.MustSSIN("15073199817"), Facets: sampleFacets},
			{Patient: ssinInsured},
			{Patient: ssinInsured, Facets: sampleFacets, RequestType: Invoicing},
			{Patient: ssinInsured, Facets: sampleFacets, Mutuality: mutuality},
		} {
			r.askMember(c, other, Unknown)
		}
		r.askMember(r.client(hospital), q, Unknown)
		time.Sleep(27 * 24 * time.Hour)
		r.askMember(c, q, Unknown)
		if !slices.Equal(r.told, []Source{Live, Stored, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown}) {
			r.Error(r.told)
		}
	})
}

// TestMemberDataLadderInsurerDown: the platform answers and the insurer does not; that is no answer about the patient.
func TestMemberDataLadderInsurerDown(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		r.set(memberFor(r.T, memberInsured, func(q *MemberDataRequest, s *SAMLResponse) {
			for i := range s.Assertions {
				if s.Assertions[i].Type == typePeriod {
					s.Assertions[i].Attributes = append(s.Assertions[i].Attributes, MemberAttribute{attrApproval, []Private{Hide("0123456789ABCDEF")}})
				}
			}
		}))
		c := r.client(doctor)
		q := MemberDataQuery{Patient: ssinInsured, RequestType: Invoicing}
		if a := r.askMember(c, q, Live); !a.PaymentGuaranteed {
			r.Error("an approval without guarantee")
		}
		r.set(memberFor(r.T, "memberdata-inner-response-io-down.xml", nil))
		asked := len(r.p.asked)
		a := r.askMember(c, q, Stored)
		f, ok := errors.AsType[*MemberDataFault](a.Cause)
		if !ok || !f.InsurerDown() || !a.PaymentGuaranteed || len(r.p.asked) != asked+insurerTries {
			r.Errorf("%+v, asked %d times", a.Provenance, len(r.p.asked)-asked)
		}
		for _, url := range r.p.asked[asked:] {
			if url != urlLive {
				r.Errorf("asked %s", url)
			}
		}
		// The check that follows finds nothing new.
		ref := a.Recheck
		r.set(memberFor(r.T, memberInsured, nil))
		time.Sleep(time.Hour)
		x, ok := c.Recheck(ref)
		if !ok || !x.Done || x.Differs || x.MemberData() == nil || x.Answer() != nil {
			r.Errorf("%+v %v", x, ok)
		}
	})
}

// TestMemberDataLadderNo: a no lives for its day, and a refusal takes away what was known.
func TestMemberDataLadderNo(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		yes := memberFor(r.T, memberInsured, nil)
		no := memberFor(r.T, memberInsured, func(_ *MemberDataRequest, s *SAMLResponse) {
			s.Assertions = slices.DeleteFunc(s.Assertions, func(a Assertion) bool { return a.Type == typePeriod })
			for i := range s.Assertions {
				if s.Assertions[i].Type == typeSituation {
					s.Assertions[i].Attributes = []MemberAttribute{{attrEvent, []Private{Hide(string(ClosedBefore))}}}
				}
			}
		})
		unknown := memberFor(r.T, "memberdata-inner-response-input-error.xml", func(_ *MemberDataRequest, s *SAMLResponse) {
			s.Status.Fault.Details[0].Code = "BO_UNKNOWN_NISS"
		})
		c := r.client(doctor)
		q := MemberDataQuery{Patient: ssinInsured}
		r.set(yes)
		r.askMember(c, q, Live)
		r.set(no)
		if a := r.askMember(c, q, Live); a.Insured != No {
			r.Fatal(a)
		}
		r.set(nil)
		if a := r.askMember(c, q, Stored); a.Insured != No {
			r.Error(a)
		}
		time.Sleep(24 * time.Hour)
		r.askMember(c, q, Unknown)
		r.set(yes)
		time.Sleep(2 * time.Hour)
		r.askMember(c, q, Live)
		r.set(unknown)
		if a, err := c.MemberData(r.Context(), q); a != nil || !errors.Is(err, fault.ErrNotFound) {
			r.Errorf("%v %v", a, err)
		}
		r.set(nil)
		time.Sleep(time.Minute)
		r.askMember(c, q, Unknown)
	})
}

// TestMemberDataUnpack: a record of another question is not read, even where the store would give it.
func TestMemberDataUnpack(t *testing.T) {
	req := memberRequest(t, doctor, MemberDataQuery{Patient: ssinInsured, Facets: sampleFacets})
	a, err := readMember(t, req, memberResponse(t, memberInsured, nil))
	if err != nil {
		t.Fatal(err)
	}
	a.ConsultedAt = memberNow
	b, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	key := req.Query.key()
	for what, k := range map[string]memberKey{
		"asker":   {Hide("x"), key.patient, key.scope},
		"patient": {key.asker, Hide("x"), key.scope},
		"scope":   {key.asker, key.patient, ""},
	} {
		if _, ok := unpackMemberData(b, a.Asked, k); ok {
			t.Errorf("the answer of another %s is read", what)
		}
	}
	for _, tt := range []struct {
		days Period
		ok   bool
	}{
		{a.Asked, true},
		{OneDay(sampleDay.AddDays(-1)), false},
		{OneDay(sampleDay.AddDays(29)), true}, // the period repeats the question: its end says nothing
		{Period{sampleDay, sampleDay.AddDays(3)}, true},
	} {
		got, ok := unpackMemberData(b, tt.days, key)
		if ok != tt.ok || ok && (got.Asked != tt.days || got.Insured != Yes || got.CT1 != "110") {
			t.Errorf("%v: %v %v", tt.days, got, ok)
		}
	}
	if _, ok := unpackMemberData([]byte("{}"), a.Asked, key); ok {
		t.Error("nothing is read")
	}
	if other := a.on(OneDay(sampleDay.AddDays(5))); other.Insured != No || other.CT1 != "" || !other.RegNr.IsZero() {
		t.Errorf("%v tells %q about another day", other, other.CT1)
	}
}
