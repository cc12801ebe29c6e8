package insurability

import (
	"errors"
	"strings"
	"testing"
)

func TestCorrelateGenIns(t *testing.T) {
	const other = "15073199817"
	for _, tt := range []struct {
		name, answer string
		question     func(*GenInsRequest)
		change       func(*GenInsResponse)
		field        string // "" = accepted
	}{
		{name: "all there", answer: "insured"},
		{
			name: "reference of another", answer: "insured", field: "CommonOutput/InputReference",
			change: func(r *GenInsResponse) { r.CommonOutput.InputReference = "20300115103009" },
		},
		{
			name: "record reference of another", answer: "insured", field: "RecordCommonOutput/InputReference",
			change: func(r *GenInsResponse) { r.RecordCommonOutput.InputReference = "20300115103009" },
		},
		{
			name: "record reference as another decimal", answer: "insured",
			change: func(r *GenInsResponse) { r.RecordCommonOutput.InputReference = "+020300115103001.0" },
		},
		{
			name: "other patient", answer: "insured", field: "CareReceiverDetail/SSIN",
			change: func(r *GenInsResponse) { r.Response.Patient.SSIN = Hide(other) },
		},
		{
			name: "other patient refused", answer: "fault-input", field: "CareReceiverId/SSIN",
			change: func(r *GenInsResponse) { r.Response.CareReceiver.SSIN = Hide(other) },
		},
		{
			name: "other start", answer: "insured", field: "PeriodStart",
			change: func(r *GenInsResponse) { r.Response.RequestDetail.Period.Start = sampleDay.AddDays(-1) },
		},
		{
			name: "other end", answer: "insured", field: "PeriodEnd",
			change: func(r *GenInsResponse) { r.Response.RequestDetail.Period.End = sampleDay.AddDays(1) },
		},
		{
			name: "other question reference", answer: "insured", field: "InsurabilityReference",
			change: func(r *GenInsResponse) { r.Response.RequestDetail.Reference = "REF-0002" },
		},
		{
			name: "references only", answer: "insured",
			change: func(r *GenInsResponse) { r.Response.Patient.SSIN = Private{} },
		},
		{name: "patient only", answer: "insured", change: withoutReferences},
		{
			name: "nothing of ours", answer: "insured", field: "neither",
			change: func(r *GenInsResponse) { withoutReferences(r); r.Response.Patient.SSIN = Private{} },
		},
		{
			name: "period alone proves nothing", answer: "not-insured", field: "neither",
			question: func(q *GenInsRequest) { q.CommonInput.InputReference = ""; q.RecordCommonInput.InputReference = "" },
			change:   func(r *GenInsResponse) { r.Response.RequestDetail.Reference = ""; r.Response.Patient.SSIN = Private{} },
		},
		{name: "registration number", answer: "insured", question: byRegNr, change: withoutReferences},
		{
			name: "registration number, padded", answer: "insured",
			question: func(q *GenInsRequest) { byRegNr(q); q.Request.CareReceiver.RegNr = Hide("999999999") },
			change: func(r *GenInsResponse) {
				withoutReferences(r)
				r.Response.Detail.List.Items[0].RegNr = Hide("0000999999999")
			},
		},
		{
			name: "other registration number", answer: "insured", field: "InsurabilityItem/RegNrWithMut", question: byRegNr,
			change: func(r *GenInsResponse) { r.Response.Detail.List.Items[0].RegNr = Hide("1") },
		},
		{
			name: "same number at another mutuality", answer: "insured", field: "InsurabilityItem/RegNrWithMut", question: byRegNr,
			change: func(r *GenInsResponse) { r.Response.Detail.List.Items[0].Mutuality = "126" },
		},
		{
			name: "refusal for another registration number", answer: "fault-noio", field: "CareReceiverId/RegNrWithMut", question: byRegNr,
			change: func(r *GenInsResponse) {
				r.Response.CareReceiver = &CareReceiverID{RegNr: Hide("1"), Mutuality: "319"}
			},
		},
		{
			name: "refusal for another mutuality", answer: "fault-noio", field: "CareReceiverId/Mutuality", question: byRegNr,
			change: func(r *GenInsResponse) {
				r.Response.CareReceiver = &CareReceiverID{RegNr: Hide("9999999999999"), Mutuality: "126"}
			},
		},
		{
			name: "a mutuality is news, not an identification", answer: "fault-noio",
			question: func(q *GenInsRequest) { q.Request.CareReceiver.Mutuality = "300" },
			change:   func(r *GenInsResponse) { r.Response.CareReceiver.Mutuality = "319" },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := new(GenInsRequest)
			n := parse(t, sample(t, "genins-request-ssin.xml"))
			if err := decode(n, genInsProtocol, genInsCore, n.Local(), q, (*GenInsRequest).wire); err != nil {
				t.Fatal(err)
			}
			r, err := decodeGenIns(parse(t, sample(t, "genins-response-"+tt.answer+".xml")))
			if err != nil {
				t.Fatal(err)
			}
			if tt.question != nil {
				tt.question(q)
			}
			if tt.change != nil {
				tt.change(r)
			}
			checkMismatch(t, correlateGenIns(q)(parse(t, encodeAny(t, r))), tt.field)
		})
	}
}

func withoutReferences(r *GenInsResponse) {
	r.CommonOutput.InputReference, r.RecordCommonOutput.InputReference = "", ""
	r.Response.RequestDetail.Reference = ""
}

func byRegNr(q *GenInsRequest) {
	q.Request.CareReceiver = CareReceiverID{RegNr: Hide("9999999999999"), Mutuality: "319"}
}

func checkMismatch(t *testing.T, err error, field string) {
	t.Helper()
	if field == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var m *MismatchError
	if !errors.As(err, &m) || !errors.Is(err, ErrMismatch) || !strings.HasPrefix(m.Field, field) {
		t.Errorf("got %v, want a mismatch of %s", err, field)
	}
}

func TestCorrelatePharmacist(t *testing.T) {
	bare := func(r *PharmacistResponse) { r.Body.RecordCommonOutput = PharmacistRecordOutput{} }
	for _, tt := range []struct {
		name   string
		change func(*PharmacistResponse)
		field  string
	}{
		{name: "all there"},
		{"reference of another", func(r *PharmacistResponse) { r.Body.RecordCommonOutput.Reference = "1" }, "RecordCommonOutput/Reference"},
		{"user reference of another", func(r *PharmacistResponse) { r.Body.RecordCommonOutput.UserReference = "X" }, "RecordCommonOutput/UserReference"},
		{"other patient", func(r *PharmacistResponse) { r.Body.Response.CareReceiver.ID.SSIN = Hide("15073199817") }, "CareReceiver/SSIN"},
		{"other day", func(r *PharmacistResponse) { r.Body.Response.Requested = sampleDay.AddDays(1) }, "Requested"},
		{"patient only", bare, ""},
		{"reference only", func(r *PharmacistResponse) { r.Body.Response.CareReceiver.ID = CareReceiverID{} }, ""},
		{"nothing of ours", func(r *PharmacistResponse) { bare(r); r.Body.Response.CareReceiver.ID = CareReceiverID{} }, "neither"},
		{"a status alone", func(r *PharmacistResponse) { r.Status.Code, r.Body = "500", nil }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := new(PharmacistRequest)
			n := parse(t, sample(t, "pharmacist-request.xml"))
			if err := decode(n, pharmacistProtocol, pharmacistCore, n.Local(), q, (*PharmacistRequest).wire); err != nil {
				t.Fatal(err)
			}
			r, err := decodePharmacist(parse(t, sample(t, "pharmacist-response-insured.xml")))
			if err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				tt.change(r)
			}
			checkMismatch(t, correlatePharmacist(q)(parse(t, encodeAny(t, r))), tt.field)
		})
	}
}

// An element of another service answers another question.
func TestCorrelateWrongElement(t *testing.T) {
	n := parse(t, sample(t, "pharmacist-response-insured.xml"))
	checkMismatch(t, correlateGenIns(new(GenInsRequest))(n), "root element")
	checkMismatch(t, correlatePharmacist(new(PharmacistRequest))(parse(t, sample(t, "genins-response-insured.xml"))), "root element")
}
