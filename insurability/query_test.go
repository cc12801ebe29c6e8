package insurability

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
)

func TestQueryValidation(t *testing.T) {
	yesterday, tomorrow := sampleDay.AddDays(-1), sampleDay.AddDays(1)
	for _, tt := range []struct {
		name   string
		caller Caller
		q      Query
		want   error // nil = accepted
	}{
		{"today", doctor, Query{Patient: ssinInsured}, nil},
		{"a day of the past", doctor, Query{Patient: ssinInsured, Date: Day(1000, 1, 1)}, nil},
		{"one day as a period", doctor, Query{Patient: ssinInsured, Period: OneDay(yesterday)}, nil},
		{"nobody", doctor, Query{}, ErrNoPatient},
		{"registration number without mutuality", doctor, Query{RegNr: Hide("1")}, ErrNoPatient},
		{"mutuality without registration number", doctor, Query{Mutuality: mutuality}, ErrNoPatient},
		{"long registration number", doctor, Query{RegNr: Hide("12345678901234"), Mutuality: mutuality}, ErrRegNr},
		{"tomorrow", doctor, Query{Patient: ssinInsured, Date: tomorrow}, ErrPeriodInFuture},
		{"person asks two days", doctor, Query{Patient: ssinInsured, Period: Period{yesterday, sampleDay}}, ErrPeriodForSector},
		{"organisation asks a year", medicalHouse, Query{Patient: ssinInsured, Period: Period{sampleDay.AddDays(-365), sampleDay}}, nil},
		{"organisation asks beyond today", medicalHouse, Query{Patient: ssinInsured, Period: Period{sampleDay, tomorrow}}, nil},
		{"reversed", medicalHouse, Query{Patient: ssinInsured, Period: Period{sampleDay, yesterday}}, ErrPeriodReversed},
		{"future", medicalHouse, Query{Patient: ssinInsured, Period: Period{tomorrow, tomorrow}}, ErrPeriodInFuture},
		{"no end", medicalHouse, Query{Patient: ssinInsured, Period: Period{Start: yesterday}}, ErrPeriod},
		{"no start", medicalHouse, Query{Patient: ssinInsured, Period: Period{End: yesterday}}, ErrPeriod},
		{"day and period", medicalHouse, Query{Patient: ssinInsured, Date: sampleDay, Period: OneDay(sampleDay)}, ErrPeriod},
		{"reference", doctor, Query{Patient: ssinInsured, Reference: "ÖËÜ '.*+,-/:;=?()[]<>AZ09"}, nil},
		{"lower case reference", doctor, Query{Patient: ssinInsured, Reference: "visit-1"}, ErrReference},
		{"long reference", doctor, Query{Patient: ssinInsured, Reference: strings.Repeat("A", 26)}, ErrReference},
		{"pharmacy", pharmacy, Query{Patient: ssinInsured, Reference: "TILL-1"}, nil},
		{"pharmacy asks yesterday", pharmacy, Query{Patient: ssinInsured, Date: yesterday}, nil},
		{"pharmacy asks two days", pharmacy, Query{Patient: ssinInsured, Period: Period{yesterday, sampleDay}}, ErrPeriodForSector},
		{"pharmacy asks tomorrow", pharmacy, Query{Patient: ssinInsured, Date: tomorrow}, ErrPeriodInFuture},
		{"pharmacy with contact type", pharmacy, Query{Patient: ssinInsured, ContactType: AmbulatoryCare}, ErrContactType},
		{"pharmacy reference", pharmacy, Query{Patient: ssinInsured, Reference: "TILL/1"}, ErrReference},
		{"pharmacy without patient", pharmacy, Query{}, ErrNoPatient},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := client(t, tt.caller)
			var err error
			if c.caller.pharmacy() {
				_, err = c.buildPharmacist(tt.q, sampleDay, sampleRef)
			} else {
				_, err = c.buildGenIns(tt.q, sampleDay, sampleRef)
			}
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// Requests made by hand are judged as well, before anything is sent.
func TestRequestValidation(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*GenInsRequest)
		want   error
	}{
		{"bad check digits", func(r *GenInsRequest) { r.Request.CareReceiver.SSIN = Hide("85073199705") }, identity.ErrCheck},
		{"bad mutuality", func(r *GenInsRequest) { r.Request.CareReceiver.Mutuality = "800" }, ErrNoPatient},
		{"no licence", func(r *GenInsRequest) { r.CommonInput.Origin.Package.Licence = Licence{} }, ErrLicence},
		{"no request type", func(r *GenInsRequest) { r.Request.Detail.RequestType = "" }, ErrRequestType},
		{"no contact type", func(r *GenInsRequest) { r.Request.Detail.ContactType = "" }, ErrContactType},
		{"long reference", func(r *GenInsRequest) { r.CommonInput.InputReference = "123456789012345" }, ErrReference},
		{"letters in the record", func(r *GenInsRequest) { r.RecordCommonInput.InputReference = "A1" }, ErrReference},
	} {
		r := fullRequest()
		r.Request.Detail.Period = OneDay(sampleDay)
		tt.change(r)
		if err := r.validate(sampleDay); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*PharmacistRequest)
		want   error
	}{
		{"request type", func(r *PharmacistRequest) { r.Request.RequestType = "12" }, ErrRequestType},
		{"half a licence", func(r *PharmacistRequest) { r.Origin.Package.Licence.Password = Private{} }, ErrLicence},
		{"site", func(r *PharmacistRequest) { r.Origin.SiteID = "S" }, ErrCaller},
		{"reference", func(r *PharmacistRequest) { r.Record.Reference = "-1" }, ErrReference},
		{"no day", func(r *PharmacistRequest) { r.Request.Date = Date{} }, ErrPeriod},
	} {
		r := fullPharmacistRequest()
		tt.change(r)
		if err := r.validate(sampleDay); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestCallerValidation(t *testing.T) {
	change := func(c Caller, f func(*Caller)) Caller { f(&c); return c }
	for _, tt := range []struct {
		name string
		c    Caller
		ok   bool
	}{
		{"doctor", doctor, true},
		{"medical house", medicalHouse, true},
		{"hospital", hospital, true},
		{"pharmacy", pharmacy, true},
		{"pharmacist", change(pharmacy, func(c *Caller) { c.Quality = identity.Pharmacist }), true},
		{"no number", change(doctor, func(c *Caller) { c.NIHII = identity.NIHII{} }), false},
		{"short number of a person", change(doctor, func(c *Caller) { c.NIHII = identity.MustNIHII("19999915") }), false},
		{"person without SSIN", change(doctor, func(c *Caller) { c.SSIN = identity.SSIN{} }), false},
		{"quality of another service", change(doctor, func(c *Caller) { c.Quality = identity.SortingCenter }), false},
		{"no quality", change(doctor, func(c *Caller) { c.Quality = "" }), false},
		{"doctor with holder", change(doctor, func(c *Caller) { c.Holder = pharmacy.Holder }), false},
		{"organisation with SSIN", change(medicalHouse, func(c *Caller) { c.SSIN = ssinDoctor }), false},
		{"pharmacy without holder", change(pharmacy, func(c *Caller) { c.Holder = nil }), false},
		{"pharmacy with SSIN", change(pharmacy, func(c *Caller) { c.SSIN = ssinDoctor }), false},
		{"pharmacy with site", change(pharmacy, func(c *Caller) { c.SiteID = "S" }), false},
	} {
		if err := tt.c.validate(); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrCaller) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestReferences(t *testing.T) {
	a, err := newReferences()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newReferences()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for range 10_000 {
		for _, r := range []string{a.take(), b.take()} {
			if seen[r] || len(r) != 14 || !isDigits(r) || r[0] == '0' {
				t.Fatalf("reference %q", r)
			}
			seen[r] = true
		}
	}
	a.next.Store(referenceCount - 2) // and around the end of the range
	for _, want := range []string{"99999999999999", "10000000000000"} {
		if got := a.take(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for in, want := range map[string]string{
		"7": "7", "007": "7", "+7": "7", "7.0": "7", "7.": "7", " 7\n": "7", "0": "0", "000": "0", "7.5": "7.5", "": "", "x": "x", "-7": "-7",
	} {
		if got := decimal(in); got != want {
			t.Errorf("decimal(%q) = %q, want %q", in, got, want)
		}
	}
}

// secrets stand in everything that privacyValues returns.
var secrets = []string{
	"85073199704", "90022999836", "19999915", "29999922", "9999999999999", "Synthetic", "SYNTHETIC", "SAMPLE", "sandbox-user", "sandbox-secret",
	"1985",
}

func privacyValues(t *testing.T) []any {
	c := client(t, doctor)
	q := Query{Patient: ssinInsured, RegNr: Hide("9999999999999")}
	req, err := c.buildGenIns(q, sampleDay, sampleRef)
	if err != nil {
		t.Fatal(err)
	}
	preq, err := client(t, pharmacy).buildPharmacist(q, sampleDay, sampleRef)
	if err != nil {
		t.Fatal(err)
	}
	r, err := decodeGenIns(parse(t, sample(t, "genins-response-insured.xml")))
	if err != nil {
		t.Fatal(err)
	}
	pr, err := decodePharmacist(parse(t, sample(t, "pharmacist-response-insured.xml")))
	if err != nil {
		t.Fatal(err)
	}
	a, pa := answerGenIns(req, r), answerPharmacist(preq, pr)
	return []any{
		q, &q, doctor, pharmacy, pharmacy.Holder, software, software.Licence, req, *req, preq, *preq, r, *r, pr, *pr, a, *a, pa,
		a.Person, a.SSIN, req.Request.CareReceiver, r.Response.Patient, r.Response, pr.Body, pr.Body.Response, pr.Body.Response.CareReceiver,
		[]any{a, req},
		map[string]*Answer{"x": a},
	}
}

func TestNothingPrivateIsPrinted(t *testing.T) {
	for _, v := range privacyValues(t) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			leaks(t, fmt.Sprintf("%T %s", v, verb), fmt.Sprintf(verb, v))
		}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		if _, ok := v.(slog.LogValuer); ok {
			leaks(t, fmt.Sprintf("slog of %T", v), log.String())
		}
	}
	// An unexported field keeps fmt from calling methods; the identifiers must hold out even then.
	hiding := struct {
		q Query
		l Licence
	}{Query{Patient: ssinInsured, RegNr: Hide("9999999999999")}, software.Licence}
	leaks(t, "unexported field", fmt.Sprintf("%+v %#v", hiding, hiding))
}

func leaks(t *testing.T, what, s string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(s, secret) {
			t.Errorf("%s shows %q: %s", what, secret, s)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	x, sec := new(exchange.Exchanger), plain{}
	for name, f := range map[string]func() (*Client, error){
		"exchanger":    func() (*Client, error) { return New(nil, sec, doctor, software) },
		"security":     func() (*Client, error) { return New(x, nil, doctor, software) },
		"caller":       func() (*Client, error) { return New(x, sec, Caller{}, software) },
		"licence":      func() (*Client, error) { return New(x, sec, doctor, Software{}) },
		"timeout":      func() (*Client, error) { return New(x, sec, doctor, software, WithTimeout(-1)) },
		"request type": func() (*Client, error) { return New(x, sec, doctor, software, WithPharmacistRequestType("12")) },
	} {
		if c, err := f(); err == nil || c != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	c, err := New(x, sec, doctor, software, WithTimeout(0), WithPharmacistRequestType(""), WithTest(true))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Config{Timeout: 5 * time.Second, Test: true, PharmacistRequestType: "1"}); c.Config() != want {
		t.Errorf("config %+v, want %+v", c.Config(), want)
	}
}

func TestFaultTable(t *testing.T) {
	for code, want := range map[string]fault.Kind{
		"10": fault.Invalid, "11": fault.Invalid, "12": fault.Invalid, "21": fault.Invalid, "23": fault.NotFound,
		"30": fault.Invalid, "31": fault.Invalid, "32": fault.Invalid, "40": fault.NotFound, "42": fault.Conflict,
		"43": fault.NotFound, "44": fault.Conflict, "99": fault.Invalid,
	} {
		f := &MessageFault{FaultCode: InputError, Details: []FaultDetail{{Code: code}}}
		if f.kind() != want || f.Details[0].Meaning() == "" || f.Code() != "INPUT_ERROR/"+code {
			t.Errorf("%s: %v %q %s", code, f.kind(), f.Details[0].Meaning(), f.Code())
		}
	}
	if len(details) != 13 {
		t.Errorf("%d details, the dossier has 13", len(details))
	}
	for code, want := range map[FaultCode]fault.Kind{
		InputError: fault.Invalid, NoIOError: fault.NotFound, MultiIOError: fault.Conflict, "NEW_ERROR": fault.Invalid,
	} {
		f := &MessageFault{FaultCode: code, Details: []FaultDetail{{Code: "77"}}}
		if f.kind() != want || f.Error() != "insurability: refused: "+string(code)+"/77" {
			t.Errorf("%s: %v %v", code, f.kind(), f)
		}
	}
	hostile := &MessageFault{FaultCode: "Peeters 85073199704", Details: []FaultDetail{{Code: "85073199704"}}}
	if got := hostile.Error(); got != "insurability: refused: ?/?" {
		t.Errorf("a code may say anything: %s", got)
	}
	if got := (FaultDetail{Location: " ../../../../CareReceiverId/Inss "}).Field(); got != "CareReceiverId/Inss" {
		t.Errorf("field %q", got)
	}
}
