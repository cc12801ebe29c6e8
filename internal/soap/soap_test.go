package soap

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const head = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">`

func TestParseShape(t *testing.T) {
	for _, c := range []struct {
		name, doc string
		want      error
	}{
		{"body only", head + `<soapenv:Body><a/></soapenv:Body></soapenv:Envelope>`, nil},
		{"header and white space", head + "\n<soapenv:Header/>\n<!-- c --><soapenv:Body>\n<a/>\n</soapenv:Body>\n</soapenv:Envelope>", nil},
		{"other prefix", `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><a/></S:Body></S:Envelope>`, nil},
		{"SOAP 1.2", `<S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope"><S:Body><a/></S:Body></S:Envelope>`, ErrNotSOAP},
		{"not an envelope", `<html/>`, ErrNotSOAP},
		{"no body", head + `<soapenv:Header/></soapenv:Envelope>`, ErrNoBody},
		{"empty body", head + `<soapenv:Body> </soapenv:Body></soapenv:Envelope>`, ErrNoBody},
		{"two payloads", head + `<soapenv:Body><a/><b/></soapenv:Body></soapenv:Envelope>`, ErrShape},
		{"two bodies", head + `<soapenv:Body><a/></soapenv:Body><soapenv:Body><b/></soapenv:Body></soapenv:Envelope>`, ErrShape},
		{"two headers", head + `<soapenv:Header/><soapenv:Header/><soapenv:Body><a/></soapenv:Body></soapenv:Envelope>`, ErrShape},
		{"header after body", head + `<soapenv:Body><a/></soapenv:Body><soapenv:Header/></soapenv:Envelope>`, ErrShape},
		{"text in envelope", head + `x<soapenv:Body><a/></soapenv:Body></soapenv:Envelope>`, ErrShape},
		{"text in body", head + `<soapenv:Body>x<a/></soapenv:Body></soapenv:Envelope>`, ErrShape},
		{"foreign element", head + `<soapenv:Body><a/></soapenv:Body><x/></soapenv:Envelope>`, ErrShape},
		{"processing instruction", head + `<?x y?><soapenv:Body><a/></soapenv:Body></soapenv:Envelope>`, ErrShape},
		{"doctype", `<!DOCTYPE x>` + head + `<soapenv:Body><a/></soapenv:Body></soapenv:Envelope>`, xmltree.ErrDoctype},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse([]byte(c.doc), xmltree.Limits{})
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil && m.Payload.Local() != "a" {
				t.Fatalf("payload is %q", m.Payload.Local())
			}
		})
	}
}

func TestFaultRoundTrip(t *testing.T) {
	yes := true
	in := &Fault{
		FaultCode: "Server", FaultString: "SOA-02002",
		SOA: &SOAError{
			ID: "ticket-1", Origin: "Provider", Code: "SOA-02002", Retry: &yes, Contact: "desk", Environment: "Test",
			Messages: []Text{{"en", "try later"}, {"fr", "réessayez"}},
		},
	}
	doc, err := in.Encode()
	if err != nil {
		t.Fatal(err)
	}
	out := parseFault(t, doc)
	if out.FaultCode != "Server" || out.FaultSpace != NS || out.FaultString != "SOA-02002" {
		t.Errorf("fault is %+v", out)
	}
	s := out.SOA
	if s == nil || s.Business || s.ID != "ticket-1" || s.Origin != "Provider" || s.Code != "SOA-02002" || s.Retry == nil || !*s.Retry ||
		s.Contact != "desk" || s.Environment != "Test" || len(s.Messages) != 2 || s.Messages[1] != (Text{"fr", "réessayez"}) {
		t.Errorf("detail is %+v", s)
	}
}

func TestFaultForms(t *testing.T) {
	for _, c := range []struct {
		name, fault       string
		code, space, soa  string
		business, noRetry bool
	}{
		{
			"qualified children", `<faultcode>soapenv:Client</faultcode><faultstring/><detail><e:BusinessError xmlns:e="urn:be:fgov:ehealth:errors:soa:v1"><e:Origin>Consumer</e:Origin><e:Code>SOA-01002</e:Code></e:BusinessError></detail>`,
			"Client", NS, "SOA-01002", true, true,
		},
		{"no detail", `<faultcode>soapenv:Server</faultcode><faultstring>SOA-02001</faultstring>`, "Server", NS, "", false, true},
		{
			"WS-Trust code", `<faultcode xmlns:w="http://docs.oasis-open.org/ws-sx/ws-trust/200512">w:FailedAuthentication</faultcode><faultstring>x</faultstring>`,
			"FailedAuthentication", "http://docs.oasis-open.org/ws-sx/ws-trust/200512", "", false, true,
		},
		{"unbound prefix", `<faultcode>zz:Odd</faultcode><faultstring>x</faultstring>`, "Odd", "", "", false, true},
		{"comment in code", `<faultcode>soapenv:Ser<!-- x -->ver</faultcode><faultstring>x</faultstring>`, "", "", "", false, true},
		{
			"service variant", `<faultcode>soapenv:Server</faultcode><faultstring>x</faultstring><detail><s:SystemError xmlns:s="urn:be:fgov:ehealth:errors:service:v1" Id="T"><Origin>Server</Origin><Code>X-1</Code><Retry>maybe</Retry></s:SystemError></detail>`,
			"Server", NS, "X-1", false, true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := parseFault(t, []byte(head+`<soapenv:Body><soapenv:Fault>`+c.fault+`</soapenv:Fault></soapenv:Body></soapenv:Envelope>`))
			if f.FaultCode != c.code || f.FaultSpace != c.space {
				t.Errorf("code %q in %q", f.FaultCode, f.FaultSpace)
			}
			if c.soa == "" {
				if f.SOA != nil {
					t.Errorf("unexpected detail %+v", f.SOA)
				}
				return
			}
			if f.SOA == nil || f.SOA.Code != c.soa || f.SOA.Business != c.business || (f.SOA.Retry == nil) != c.noRetry {
				t.Errorf("detail is %+v", f.SOA)
			}
		})
	}
}

func parseFault(t *testing.T, doc []byte) *Fault {
	t.Helper()
	m, err := Parse(doc, xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	f, ok := m.Fault()
	if !ok {
		t.Fatal("not a fault")
	}
	return f
}

func TestEnvelopeKeepsPayloadBytes(t *testing.T) {
	payload := []byte(`<a xmlns="urn:x"  b = 'c'><!-- kept --></a>`)
	doc, err := Envelope([]byte(`<h/>`), payload)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(doc, xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(m.Payload.Source()); got != string(payload) {
		t.Errorf("payload became %s", got)
	}
	if m.Header == nil {
		t.Error("header is missing")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + `<soapenv:Body><a/></soapenv:Body></soapenv:Envelope>`))
	fault, _ := (&Fault{FaultCode: "Server", SOA: &SOAError{Code: "SOA-00001", Environment: "Test"}}).Encode()
	f.Add(fault)
	shared := os.Getenv("EHEALTH_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	files, _ := filepath.Glob(filepath.Join(shared, "samples/insurability/*soapfault*.xml"))
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		m, err := Parse(doc, xmltree.Limits{})
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Fatal("error without text")
			}
			return
		}
		if m.Payload.Parent() != m.Body || m.Body.Parent() != m.Root {
			t.Fatal("payload does not stand in Body")
		}
		if fl, ok := m.Fault(); ok && fl.SOA != nil && fl.Detail == nil {
			t.Fatal("platform detail without a detail element")
		}
	})
}
