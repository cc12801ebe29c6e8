package insurability

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

const (
	urlLive      = "https://services.example.test/GenericInsurability/v1"
	urlAlternate = "https://mycarenet.example.test:9443/ehealth/bcp/genericinsurability/v1"
)

// plain is a Security that adds nothing.
type plain struct{}

func (plain) Secure(_ context.Context, body []byte) ([]byte, error) { return soap.Envelope(nil, body) }
func (plain) Refused(context.Context, *fault.Error) bool            { return false }

// platform is the other side: it answers per URL and remembers the payloads it got.
type platform struct {
	answer map[string]func(payload *xmltree.Node) (int, io.Reader)
	mu     sync.Mutex
	asked  []string // URL of every request
	action []string
}

func (p *platform) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.asked, p.action = append(p.asked, r.URL.String()), append(p.action, r.Header.Get("SOAPAction"))
	f := p.answer[r.URL.String()]
	p.mu.Unlock()
	if f == nil {
		return nil, errors.New("connection refused")
	}
	m, err := soap.Parse(b, xmltree.Limits{})
	if err != nil {
		return nil, err
	}
	status, body := f(m.Payload)
	if status == 0 { // never answers
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"text/xml; charset=utf-8"}}, Body: io.NopCloser(body), Request: r,
	}, nil
}

func connect(t *testing.T, p *platform, caller Caller, opts ...Option) *Client {
	t.Helper()
	ends := []resilience.Endpoint{{URL: urlLive, Active: true}, {URL: urlAlternate, Order: 1}}
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: p}, UserAgent: "test/1.0", From: "support@example.test",
		Directory: resilience.Static{ServiceGenIns: ends, ServicePharmacist: ends, ServiceMemberData: ends}, MaxAnswer: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(x, plain{}, caller, software, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// genIns answers with a sample that is made to fit the question, then changed.
func genIns(t *testing.T, name string, change func(*GenInsResponse)) func(*xmltree.Node) (int, io.Reader) {
	return func(payload *xmltree.Node) (int, io.Reader) {
		q := new(GenInsRequest)
		if err := decode(payload, genInsProtocol, genInsCore, payload.Local(), q, (*GenInsRequest).wire); err != nil {
			t.Error(err)
		}
		r, err := decodeGenIns(parse(t, sample(t, name)))
		if err != nil {
			t.Error(err)
		}
		r.CommonOutput.InputReference = q.CommonInput.InputReference
		r.RecordCommonOutput.InputReference = q.RecordCommonInput.InputReference
		r.Response.RequestDetail = q.Request.Detail
		if r.Response.Detail != nil && r.Response.Detail.List != nil {
			r.Response.Detail.List.Items[0].Period = q.Request.Detail.Period
		}
		if change != nil {
			change(r)
		}
		return http.StatusOK, envelope(t, encodeAny(t, r))
	}
}

func pharmacist(t *testing.T, change func(*PharmacistResponse)) func(*xmltree.Node) (int, io.Reader) {
	return func(payload *xmltree.Node) (int, io.Reader) {
		q := new(PharmacistRequest)
		if err := decode(payload, pharmacistProtocol, pharmacistCore, payload.Local(), q, (*PharmacistRequest).wire); err != nil {
			t.Error(err)
		}
		r, err := decodePharmacist(parse(t, sample(t, "pharmacist-response-insured.xml")))
		if err != nil {
			t.Error(err)
		}
		day := q.Request.Date
		r.Body.RecordCommonOutput = PharmacistRecordOutput{Reference: q.Record.Reference, UserReference: q.Record.UserReference}
		r.Body.Response.Requested, r.Body.Response.Coverage.Period = day, Period{day, day.AddDays(30)}
		if change != nil {
			change(r)
		}
		return http.StatusOK, envelope(t, encodeAny(t, r))
	}
}

func envelope(t *testing.T, payload []byte) io.Reader {
	t.Helper()
	b, err := soap.Envelope([]byte(`<wsa:MessageID xmlns:wsa="`+nsAddressing+`">urn:uuid:1</wsa:MessageID>`), payload)
	if err != nil {
		t.Error(err)
	}
	return strings.NewReader(string(b))
}

func reply(status int, body string) func(*xmltree.Node) (int, io.Reader) {
	return func(*xmltree.Node) (int, io.Reader) { return status, strings.NewReader(body) }
}

func TestCheckLive(t *testing.T) {
	p := &platform{answer: map[string]func(*xmltree.Node) (int, io.Reader){urlLive: genIns(t, "genins-response-insured.xml", nil)}}
	before := time.Now()
	a, err := connect(t, p, doctor).Check(t.Context(), Query{Patient: ssinInsured, Reference: "VISIT-1"})
	if err != nil {
		t.Fatal(err)
	}
	if a.Source != Live || a.Notice != "" || a.Endpoint != urlLive || a.Attempts != 1 || a.MessageID != "urn:uuid:1" {
		t.Errorf("provenance %+v", a.Provenance)
	}
	if a.ConsultedAt.Before(before) || a.ConsultedAt.After(time.Now()) {
		t.Errorf("consulted at %v", a.ConsultedAt)
	}
	if a.Insured != Yes || a.CT1 != "110" || a.References.Caller != "VISIT-1" || len(a.References.Ours) != 14 || a.Asked != OneDay(DateOf(before)) && a.Asked != OneDay(Today()) {
		t.Errorf("%v %+v", a, a.References)
	}
	if p.action[0] != `"`+ActionGenIns+`"` {
		t.Errorf("SOAPAction %s", p.action[0])
	}
}

func TestCheckPharmacist(t *testing.T) {
	p := &platform{answer: map[string]func(*xmltree.Node) (int, io.Reader){urlLive: pharmacist(t, nil)}}
	a, err := connect(t, p, pharmacy).Check(t.Context(), Query{Patient: ssinInsured})
	if err != nil {
		t.Fatal(err)
	}
	if a.Insured != Yes || a.Source != Live || a.PaymentApproval.PaymentApproval == "" || a.Pharmacist == nil || a.References.Caller != a.References.Ours {
		t.Errorf("%v %+v", a, a.References)
	}
	if p.action[0] != `"`+ActionPharmacist+`"` {
		t.Errorf("SOAPAction %s", p.action[0])
	}
}

func TestCheckAlternate(t *testing.T) {
	for name, first := range map[string]func(*xmltree.Node) (int, io.Reader){
		"no connection": nil,
		"fault":         reply(http.StatusInternalServerError, string(sample(t, "genins-soapfault-SOA-02002.xml"))),
		"gray page":     reply(http.StatusServiceUnavailable, "<html>"),
		"wrong patient": genIns(t, "genins-response-insured.xml", func(r *GenInsResponse) {
			r.Response.Patient.SSIN = Hide("15073199817")
		}),
	} {
		t.Run(name, func(t *testing.T) {
			p := &platform{answer: map[string]func(*xmltree.Node) (int, io.Reader){
				urlLive: first, urlAlternate: genIns(t, "genins-response-insured.xml", nil),
			}}
			if first == nil {
				delete(p.answer, urlLive)
			}
			a, err := checkVirtually(t, p)
			if err != nil {
				t.Fatal(err)
			}
			if a.Source != Alternate || a.Notice != NoticeDirect || a.Endpoint != urlAlternate || a.Attempts < 2 || a.Insured != Yes {
				t.Errorf("%v %+v", a, a.Provenance)
			}
		})
	}
}

// checkVirtually asks in virtual time, so that pauses between attempts take none.
func checkVirtually(t *testing.T, p *platform) (a *Answer, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		a, err = connect(t, p, doctor).Check(t.Context(), Query{Patient: ssinInsured})
		if d := time.Since(start); d > DefaultTimeout {
			t.Errorf("took %v", d)
		}
	})
	return a, err
}

// fromExchange stands for a code that is not this package's to choose.
const fromExchange = "*"

func TestCheckFails(t *testing.T) {
	insured := "genins-response-insured.xml"
	bomb := `<!DOCTYPE e [<!ENTITY a "aaaaaaaaaa">]><soapenv:Envelope xmlns:soapenv="` + soap.NS + `"><soapenv:Body>&a;</soapenv:Body></soapenv:Envelope>`
	for _, tt := range []struct {
		name   string
		answer func(*xmltree.Node) (int, io.Reader)
		kind   fault.Kind
		out    fault.Outcome
		code   string
		notice string
	}{
		{"check digits", genIns(t, "genins-response-fault-input.xml", nil), fault.Invalid, fault.Rejected, "INPUT_ERROR/12", ""},
		{"no insurer", genIns(t, "genins-response-fault-noio.xml", nil), fault.NotFound, fault.Rejected, "NO_IO_ERROR/43", ""},
		{"several insurers", genIns(t, "genins-response-fault-multiio.xml", nil), fault.Conflict, fault.Rejected, "MULTIIO_ERROR/44", ""},
		{"other patient", genIns(t, insured, func(r *GenInsResponse) { r.Response.Patient.SSIN = Hide("15073199817") }), fault.Security, fault.Unknown, "", "D-WRONG"},
		{"other reference", genIns(t, insured, func(r *GenInsResponse) { r.CommonOutput.InputReference = "20300115103000" }), fault.Security, fault.Unknown, "", "D-WRONG"},
		{"nothing of ours", genIns(t, insured, func(r *GenInsResponse) { withoutReferences(r); r.Response.Patient.SSIN = Private{} }), fault.Security, fault.Unknown, "", "D-WRONG"},
		{"other service", pharmacistAlways(t), fault.Security, fault.Unknown, "", "D-WRONG"},
		{"status 400", genIns(t, insured, func(r *GenInsResponse) { r.Status.Code = "400" }), fault.Invalid, fault.Rejected, "STATUS/400", ""},
		{"status 500", genIns(t, insured, func(r *GenInsResponse) { r.Status.Code = "500" }), fault.Unavailable, fault.Rejected, "STATUS/500", NoticeUnknown},
		{"status alone", damaged(t, `<Status><Code>300</Code><Message>SYNTHETIC</Message></Status>`), fault.Protocol, fault.Rejected, "STATUS/300", ""},
		{"damaged", damaged(t, `<Status><Code>200</Code><Message>SYNTHETIC</Message></Status>`), fault.Protocol, fault.Unknown, "", NoticeUnknown},
		{"entity bomb", reply(http.StatusOK, bomb), fault.Protocol, fault.Unknown, fromExchange, NoticeUnknown},
		{"huge", func(*xmltree.Node) (int, io.Reader) { return http.StatusOK, zeros{} }, fault.Protocol, fault.Unknown, fromExchange, NoticeUnknown},
		{"down", reply(http.StatusInternalServerError, string(sample(t, "genins-soapfault-SOA-02002.xml"))), fault.Unavailable, fault.Rejected, "SOA-02002", NoticeUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &platform{answer: map[string]func(*xmltree.Node) (int, io.Reader){urlLive: tt.answer, urlAlternate: tt.answer}}
			a, err := checkVirtually(t, p)
			checkFault(t, a, err, tt.kind, tt.out, tt.code, tt.notice)
		})
	}
	t.Run("no connection", func(t *testing.T) {
		a, err := checkVirtually(t, &platform{})
		var fe *fault.Error
		if a != nil || !errors.As(err, &fe) || fe.Kind != fault.Unavailable || fe.Notice != NoticeUnknown {
			t.Errorf("got %v, %+v", a, err)
		}
	})
	t.Run("no answer in time", func(t *testing.T) {
		p := &platform{answer: map[string]func(*xmltree.Node) (int, io.Reader){urlLive: reply(0, ""), urlAlternate: reply(0, "")}}
		a, err := checkVirtually(t, p)
		checkFault(t, a, err, fault.Timeout, fault.Unknown, fromExchange, NoticeUnknown)
	})
	t.Run("not sent", func(t *testing.T) {
		p := &platform{}
		a, err := connect(t, p, doctor).Check(t.Context(), Query{Patient: ssinInsured, Date: Today().AddDays(2)})
		checkFault(t, a, err, fault.Invalid, fault.NotSent, "", "")
		if !errors.Is(err, ErrPeriodInFuture) || len(p.asked) != 0 {
			t.Errorf("%v, %d requests", err, len(p.asked))
		}
	})
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func pharmacistAlways(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
	return func(*xmltree.Node) (int, io.Reader) {
		return http.StatusOK, envelope(t, rewrite(t, sample(t, "pharmacist-response-insured.xml")))
	}
}

func damaged(t *testing.T, content string) func(*xmltree.Node) (int, io.Reader) {
	return func(*xmltree.Node) (int, io.Reader) {
		return http.StatusOK, envelope(t, []byte(`<p:GetInsurabilityResponse xmlns:p="`+nsGenInsProtocol+`">`+content+`</p:GetInsurabilityResponse>`))
	}
}

func checkFault(t *testing.T, a *Answer, err error, kind fault.Kind, out fault.Outcome, code, notice string) {
	t.Helper()
	var fe *fault.Error
	if a != nil || !errors.As(err, &fe) {
		t.Fatalf("got %v, %v", a, err)
	}
	if fe.Kind != kind || fe.Outcome != out || code != fromExchange && fe.Code != code || fe.Notice != notice {
		t.Errorf("got %v %v %q %q (%v)", fe.Kind, fe.Outcome, fe.Code, fe.Notice, fe)
	}
	leaks(t, "error", err.Error())
	if strings.Contains(err.Error(), "15073199817") {
		t.Errorf("error shows the other patient: %v", err)
	}
}

func TestBusinessFaultIsFound(t *testing.T) {
	p := &platform{answer: map[string]func(*xmltree.Node) (int, io.Reader){urlLive: genIns(t, "genins-response-fault-multiio.xml", nil)}}
	_, err := connect(t, p, doctor).Check(t.Context(), Query{Patient: ssinInsured})
	var f *MessageFault
	if !errors.As(err, &f) || strings.Join(f.MultiIO, "") != "13" || f.Message.Value.Reveal() != "Several insurance organisations found" {
		t.Fatalf("got %v", err)
	}
	var fe *fault.Error
	if errors.As(err, &fe); fe.Ticket != "SBX00000000001" || len(p.asked) != 1 {
		t.Errorf("ticket %q, %d requests", fe.Ticket, len(p.asked))
	}
}

func TestPharmacistRefusal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*PharmacistResponse)
		kind   fault.Kind
		out    fault.Outcome
		code   string
	}{
		{"refused", func(r *PharmacistResponse) { r.Body.ReturnInfo.Code = ReturnCode{"02", "03", "00017"} }, fault.Invalid, fault.Rejected, "02-03-00017"},
		{"several insurers", func(r *PharmacistResponse) {
			r.Body.ReturnInfo = ReturnInfo{Code: ReturnCode{"02", "00", "00000"}, MultipleIO: []string{"1", "3"}}
		}, fault.Conflict, fault.Rejected, "02-00-00000"},
		{"status alone", func(r *PharmacistResponse) { r.Status.Code, r.Body = "400", nil }, fault.Invalid, fault.Rejected, "STATUS/400"},
		{"accepted without content", func(r *PharmacistResponse) { r.Body = nil }, fault.Protocol, fault.Unknown, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &platform{answer: map[string]func(*xmltree.Node) (int, io.Reader){urlLive: pharmacist(t, tt.change)}}
			a, err := connect(t, p, pharmacy).Check(t.Context(), Query{Patient: ssinInsured})
			notice := ""
			if tt.kind == fault.Protocol {
				notice = NoticeUnknown
			}
			checkFault(t, a, err, tt.kind, tt.out, tt.code, notice)
			var r *Refusal
			if errors.As(err, &r) != strings.HasPrefix(tt.code, "02-") || r != nil && r.Major != "02" {
				t.Errorf("refusal %+v", r)
			}
		})
	}
}

// The low-level operations send what they are given.
func TestGetInsurability(t *testing.T) {
	var got []byte
	p := &platform{answer: map[string]func(*xmltree.Node) (int, io.Reader){urlLive: func(n *xmltree.Node) (int, io.Reader) {
		got = append([]byte(nil), n.Source()...)
		return http.StatusOK, envelope(t, rewrite(t, sample(t, "genins-response-insured.xml")))
	}}}
	c := connect(t, p, doctor)
	q, err := c.NewGenInsRequest(Query{Patient: ssinInsured})
	if err != nil {
		t.Fatal(err)
	}
	// The sample's answer lies in the future, so the question does too and must be stopped.
	q.CommonInput.InputReference, q.RecordCommonInput.InputReference, q.Request.Detail.Reference = "20300115103000", sampleRef, "REF-0001"
	q.Request.Detail.Period = OneDay(Today().AddDays(1))
	if _, err := c.GetInsurability(t.Context(), q); !errors.Is(err, ErrPeriodInFuture) || got != nil {
		t.Fatalf("got %v", err)
	}
	if _, err := connect(t, p, pharmacy).NewGenInsRequest(Query{Patient: ssinInsured}); !errors.Is(err, ErrCaller) {
		t.Errorf("a pharmacy asks generic insurability: %v", err)
	}
	if _, err := c.NewPharmacistRequest(Query{Patient: ssinInsured}); !errors.Is(err, ErrCaller) {
		t.Errorf("a doctor asks the pharmacist service: %v", err)
	}
	p.answer[urlLive] = genIns(t, "genins-response-insured.xml", nil)
	q.Request.Detail.Period = OneDay(Today())
	r, err := c.GetInsurability(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if r.Provenance.Source != Live || r.Response.RequestDetail != q.Request.Detail || r.Response.Patient == nil {
		t.Errorf("got %v", r)
	}
	q.CommonInput.Origin.Package.Name = "\x01"
	if _, err := c.GetInsurability(t.Context(), q); !errors.Is(err, ErrUnwritable) {
		t.Errorf("got %v", err)
	}
}

func TestGetInsurabilityForPharmacist(t *testing.T) {
	p := &platform{answer: map[string]func(*xmltree.Node) (int, io.Reader){urlAlternate: pharmacist(t, nil)}}
	c := connect(t, p, pharmacy, WithPharmacistRequestType("2"))
	q, err := c.NewPharmacistRequest(Query{Patient: ssinInsured})
	if err != nil {
		t.Fatal(err)
	}
	if q.Request.RequestType != "2" || q.IsTest != No {
		t.Errorf("request type %q, test %v", q.Request.RequestType, q.IsTest)
	}
	q.IsTest = NotKnown // leaves the element out
	r, err := c.GetInsurabilityForPharmacist(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if r.Provenance.Notice != NoticeDirect || r.Body.ReturnInfo.Code.Major != "01" {
		t.Errorf("got %+v", r.Provenance)
	}
	q.Request.CareReceiver = CareReceiverID{}
	if _, err := c.GetInsurabilityForPharmacist(t.Context(), q); !errors.Is(err, ErrNoPatient) || !errors.Is(err, fault.ErrNotSent) {
		t.Errorf("got %v", err)
	}
	if _, err := c.NewPharmacistRequest(Query{}); !errors.Is(err, ErrNoPatient) || !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
