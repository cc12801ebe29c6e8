package exchange

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

const (
	service = "uddi:test"
	urlA    = "https://a.test/service"
	urlB    = "https://b.test/service"
)

// step is what a fake platform does with one request.
type step func(*http.Request) (*http.Response, error)

// platform is a scripted http.RoundTripper: each address answers its steps in turn, the last
// one for ever.
type platform struct {
	mu    sync.Mutex
	steps map[string][]step
	asked []string
}

func (p *platform) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	key := r.URL.String()
	p.asked = append(p.asked, r.URL.Host[:1])
	all := p.steps[key]
	if len(all) == 0 {
		p.mu.Unlock()
		return nil, fmt.Errorf("unexpected request to %s", key)
	}
	if len(all) > 1 {
		p.steps[key] = all[1:]
	}
	p.mu.Unlock()
	return all[0](r)
}

func sendBody(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
}

func respond(status int, header http.Header, body string) step {
	return func(r *http.Request) (*http.Response, error) {
		sendBody(r)
		if header == nil {
			header = http.Header{"Content-Type": {"text/xml"}}
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func ok(ref string) step {
	doc, _ := soap.Envelope(nil, []byte(`<answer ref="`+ref+`"/>`))
	return respond(200, nil, string(doc))
}

func soaStep(code string, retry *bool) step {
	doc, _ := (&soap.Fault{FaultCode: "Server", FaultString: code, SOA: &soap.SOAError{ID: "T-" + code, Origin: "Provider", Code: code, Retry: retry, Environment: "Test"}}).Encode()
	return respond(500, nil, string(doc))
}

func refuse(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func hang(r *http.Request) (*http.Response, error) {
	sendBody(r)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func cut(r *http.Request) (*http.Response, error) {
	sendBody(r)
	return nil, io.ErrUnexpectedEOF
}

func badCertificate(*http.Request) (*http.Response, error) {
	return nil, x509.UnknownAuthorityError{}
}

// plain is a Security without any: what is under test is everything around it.
type plain struct{ renewals int }

func (p *plain) Secure(_ context.Context, body []byte) ([]byte, error) {
	return soap.Envelope(nil, body)
}

func (p *plain) Refused(context.Context, *fault.Error) bool { p.renewals++; return true }

func setup(t *testing.T, steps map[string][]step) (*Exchanger, *platform) {
	t.Helper()
	p := &platform{steps: steps}
	var eps []resilience.Endpoint
	for i, u := range []string{urlA, urlB} {
		if steps[u] != nil {
			eps = append(eps, resilience.Endpoint{URL: u, Order: i, Active: i == 0})
		}
	}
	x, err := New(Options{HTTP: &http.Client{Transport: p}, Directory: resilience.Static{service: eps}, UserAgent: "test/1.0", From: "test@example.be", MaxAnswer: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	return x, p
}

func call(class resilience.Class) *Call {
	return &Call{
		Op: "test.Op", Service: service, Action: "urn:test", Class: class, Body: []byte(`<question ref="1"/>`),
		Security: &plain{}, Notice: "D-INS-UNKNOWN", Timeout: 5 * time.Second,
		Correlate: func(p *xmltree.Node) error {
			if ref, _ := p.Attr("", "ref"); ref != "1" {
				return errors.New("reference differs")
			}
			return nil
		},
	}
}

func TestDo(t *testing.T) {
	yes, no := true, false
	html := respond(200, http.Header{"Content-Type": {"text/html"}}, "<html>sorry</html>")
	status := func(n int) step { return respond(n, http.Header{}, "") }
	for _, c := range []struct {
		name    string
		a, b    []step
		class   resilience.Class
		asked   string // hosts in order
		kind    fault.Kind
		outcome fault.Outcome
		code    string
		notice  string
	}{
		{name: "answer", a: []step{ok("1")}, b: []step{ok("1")}, asked: "a"},
		{name: "refused, alternate answers", a: []step{refuse}, b: []step{ok("1")}, asked: "ab"},
		{name: "write, refused: certainly not sent", a: []step{refuse}, b: []step{ok("1")}, class: resilience.UnsafeWrite, asked: "ab"},
		{name: "hangs, alternate answers", a: []step{hang}, b: []step{ok("1")}, asked: "ab"},
		{name: "write hangs: never elsewhere", a: []step{hang}, b: []step{ok("1")}, class: resilience.ResolvableWrite, asked: "a", kind: fault.Timeout, outcome: fault.Unknown, notice: "D-INS-UNKNOWN"},
		{name: "write cut: never again", a: []step{cut}, b: []step{ok("1")}, class: resilience.ResolvableWrite, asked: "a", kind: fault.Unavailable, outcome: fault.Unknown, notice: "D-INS-UNKNOWN"},
		{name: "read cut", a: []step{cut}, b: []step{ok("1")}, asked: "ab"},
		{name: "02001 switches", a: []step{soaStep("SOA-02001", nil)}, b: []step{ok("1")}, asked: "ab"},
		{name: "02001 switches a write: rejected", a: []step{soaStep("SOA-02001", nil)}, b: []step{ok("1")}, class: resilience.UnsafeWrite, asked: "ab"},
		{name: "02002 once more, then switches", a: []step{soaStep("SOA-02002", nil)}, b: []step{ok("1")}, asked: "aab"},
		{name: "02002 recovers", a: []step{soaStep("SOA-02002", nil), ok("1")}, b: []step{ok("1")}, asked: "aa"},
		{name: "02002 Retry=false switches at once", a: []step{soaStep("SOA-02002", &no)}, b: []step{ok("1")}, asked: "ab"},
		{name: "02001 Retry=true, one address", a: []step{soaStep("SOA-02001", &yes), ok("1")}, asked: "aa"},
		{name: "02001, one address: no repeat", a: []step{soaStep("SOA-02001", nil), ok("1")}, asked: "a", kind: fault.Unavailable, outcome: fault.Rejected, code: "SOA-02001", notice: "D-INS-UNKNOWN"},
		{name: "01002 neither repeats nor switches", a: []step{soaStep("SOA-01002", nil)}, b: []step{ok("1")}, asked: "a", kind: fault.Denied, outcome: fault.Rejected, code: "SOA-01002"},
		{name: "01001 renews once", a: []step{soaStep("SOA-01001", nil), ok("1")}, b: []step{ok("1")}, asked: "aa"},
		{name: "01001 twice ends, no switch", a: []step{soaStep("SOA-01001", nil)}, b: []step{ok("1")}, asked: "aa", kind: fault.Denied, outcome: fault.Rejected, code: "SOA-01001"},
		{name: "03006 ends", a: []step{soaStep("SOA-03006", nil)}, b: []step{ok("1")}, asked: "a", kind: fault.Invalid, outcome: fault.Rejected, code: "SOA-03006"},
		{name: "00001 write: unknown", a: []step{soaStep("SOA-00001", nil)}, b: []step{ok("1")}, class: resilience.UnsafeWrite, asked: "a", kind: fault.Unavailable, outcome: fault.Unknown, code: "SOA-00001", notice: "D-INS-UNKNOWN"},
		{name: "503 html", a: []step{respond(503, http.Header{"Content-Type": {"text/html"}}, "<html/>")}, b: []step{ok("1")}, asked: "ab"},
		{name: "one says it is down, the other loses packets", a: []step{status(503)}, b: []step{cut, ok("1")}, asked: "abb"},
		{name: "502 write: unknown", a: []step{status(502)}, b: []step{ok("1")}, class: resilience.UnsafeWrite, asked: "a", kind: fault.Unavailable, outcome: fault.Unknown, code: "HTTP-502", notice: "D-INS-UNKNOWN"},
		{name: "gray screen", a: []step{html}, b: []step{ok("1")}, asked: "ab"},
		{name: "404 at home is our mistake", a: []step{status(404)}, b: []step{ok("1")}, asked: "a", kind: fault.Protocol, outcome: fault.Rejected, code: "HTTP-404", notice: "D-INS-UNKNOWN"},
		{name: "401 does not move", a: []step{status(401)}, b: []step{ok("1")}, asked: "a", kind: fault.Denied, outcome: fault.Rejected, code: "HTTP-401"},
		{name: "fault first, alternate 404: the fault is told", a: []step{soaStep("SOA-02001", nil)}, b: []step{status(404)}, asked: "ab", kind: fault.Unavailable, outcome: fault.Rejected, code: "SOA-02001", notice: "D-INS-UNKNOWN"},
		{name: "bad certificate never switches", a: []step{badCertificate}, b: []step{ok("1")}, asked: "a", kind: fault.Security, outcome: fault.NotSent, notice: "D-KEY"},
		{name: "wrong asker, asked again elsewhere", a: []step{ok("2")}, b: []step{ok("1")}, asked: "ab"},
		{name: "wrong asker, always", a: []step{ok("2")}, asked: "aaaa", kind: fault.Security, outcome: fault.Unknown, notice: "D-WRONG"},
		{name: "wrong asker, write", a: []step{ok("2")}, b: []step{ok("1")}, class: resilience.ResolvableWrite, asked: "a", kind: fault.Security, outcome: fault.Unknown, notice: "D-UNSURE"},
		{name: "DOCTYPE", a: []step{respond(200, nil, `<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`)}, asked: "aaaa", kind: fault.Protocol, outcome: fault.Unknown, code: "HTTP-200", notice: "D-INS-UNKNOWN"},
		{name: "redirect is not followed", a: []step{respond(302, http.Header{"Location": {urlB}}, "")}, asked: "aaaa", kind: fault.Protocol, outcome: fault.Unknown, code: "HTTP-302", notice: "D-INS-UNKNOWN"},
		{name: "too large", a: []step{respond(200, nil, strings.Repeat("x", 1<<17))}, asked: "a", kind: fault.Protocol, outcome: fault.Unknown, notice: "D-INS-UNKNOWN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				steps := map[string][]step{urlA: c.a}
				if c.b != nil {
					steps[urlB] = c.b
				}
				x, p := setup(t, steps)
				start := time.Now()
				ans, err := x.Do(t.Context(), call(c.class))
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("took %v, beyond the deadline", d)
				}
				if got := strings.Join(p.asked, ""); got != c.asked {
					t.Errorf("asked %q, want %q", got, c.asked)
				}
				if c.kind == 0 {
					if err != nil {
						t.Fatalf("failed: %v", err)
					}
					if ans.Alternate != strings.HasSuffix(c.asked, "b") || ans.Attempts != len(c.asked) {
						t.Errorf("answer says alternate %v, attempts %d", ans.Alternate, ans.Attempts)
					}
					return
				}
				if ans != nil {
					t.Error("an answer came with the error")
				}
				checkError(t, err, c.kind, c.outcome, c.code, c.notice, len(c.asked))
			})
		})
	}
}

// What refuses a write because the service is not available proves nothing where the call says so; everything else is as ever.
func TestRefusalsUncertain(t *testing.T) {
	yes := true
	status := func(n int) step { return respond(n, http.Header{"Retry-After": {"1"}}, "") }
	for _, c := range []struct {
		name    string
		a       step
		asked   string
		kind    fault.Kind
		outcome fault.Outcome
		code    string
	}{
		{"02001", soaStep("SOA-02001", nil), "a", fault.Unavailable, fault.Unknown, "SOA-02001"},
		{"02002", soaStep("SOA-02002", nil), "a", fault.Unavailable, fault.Unknown, "SOA-02002"},
		{"02002 says retry", soaStep("SOA-02002", &yes), "a", fault.Unavailable, fault.Unknown, "SOA-02002"},
		{"503", status(503), "a", fault.Unavailable, fault.Unknown, "HTTP-503"},
		{"429", status(429), "a", fault.Throttled, fault.Unknown, "HTTP-429"},
		{"01001 is renewed", soaStep("SOA-01001", nil), "aa", fault.Denied, fault.Rejected, "SOA-01001"},
		{"01002", soaStep("SOA-01002", nil), "a", fault.Denied, fault.Rejected, "SOA-01002"},
		{"03006", soaStep("SOA-03006", nil), "a", fault.Invalid, fault.Rejected, "SOA-03006"},
		{"refused connection", refuse, "ab", 0, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, p := setup(t, map[string][]step{urlA: {c.a}, urlB: {ok("1")}})
				q := call(resilience.ResolvableWrite)
				q.RefusalsUncertain = true
				_, err := x.Do(t.Context(), q)
				if got := strings.Join(p.asked, ""); got != c.asked {
					t.Errorf("asked %q", got)
				}
				if c.kind == 0 {
					if err != nil {
						t.Error(err)
					}
					return
				}
				notice := ""
				if c.kind.Temporary() {
					notice = q.Notice
				}
				checkError(t, err, c.kind, c.outcome, c.code, notice, len(c.asked))
			})
		})
	}
}

func checkError(t *testing.T, err error, kind fault.Kind, outcome fault.Outcome, code, notice string, attempts int) {
	t.Helper()
	e, isFault := errors.AsType[*fault.Error](err)
	if !isFault {
		t.Fatalf("error is %T", err)
	}
	if e.Kind != kind || e.Outcome != outcome || e.Code != code || e.Notice != notice || e.Attempts != attempts {
		t.Errorf("kind %v, outcome %v, code %q, notice %q, attempts %d: %v", e.Kind, e.Outcome, e.Code, e.Notice, e.Attempts, e)
	}
	if e.Op != "test.Op" || e.Service != service || e.Endpoint == "" {
		t.Errorf("op %q, service %q, endpoint %q", e.Op, e.Service, e.Endpoint)
	}
}

func TestHangingAddressIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, p := setup(t, map[string][]step{urlA: {hang}, urlB: {ok("1")}})
		for range 3 {
			if _, err := x.Do(t.Context(), call(resilience.Read)); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(p.asked, ""); got != "abbb" {
			t.Errorf("asked %q: the address that hung must cost one call only", got)
		}
		time.Sleep(resilience.RestMax)
		p.steps[urlA] = []step{ok("1")}
		p.asked = nil
		for range 2 {
			if _, err := x.Do(t.Context(), call(resilience.Read)); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(p.asked, ""); got != "aa" {
			t.Errorf("asked %q: after its rest the first choice is tried and kept", got)
		}
	})
}

func TestRetryAfterBeyondDeadlineEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, p := setup(t, map[string][]step{urlA: {respond(503, http.Header{"Retry-After": {"30"}}, "")}})
		start := time.Now()
		_, err := x.Do(t.Context(), call(resilience.Read))
		e, _ := errors.AsType[*fault.Error](err)
		if e == nil || e.RetryAfter != 30*time.Second || len(p.asked) != 1 || time.Since(start) != 0 {
			t.Errorf("error %v after %v and %d requests", err, time.Since(start), len(p.asked))
		}
	})
}

func TestClockIsBlamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		doc, _ := (&soap.Fault{FaultCode: "Server", SOA: &soap.SOAError{Code: "SOA-01001", Environment: "Test"}}).Encode()
		date := time.Now().Add(20 * time.Minute).UTC().Format(http.TimeFormat)
		x, _ := setup(t, map[string][]step{urlA: {respond(500, http.Header{"Date": {date}}, string(doc))}})
		_, err := x.Do(t.Context(), call(resilience.Read))
		e, _ := errors.AsType[*fault.Error](err)
		skew, found := errors.AsType[*SkewError](err)
		if e == nil || e.Notice != "D-CLOCK" || !found || skew.Skew != -20*time.Minute {
			t.Errorf("error is %v", err)
		}
	})
}

func TestCanceledByCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, p := setup(t, map[string][]step{urlA: {hang}, urlB: {ok("1")}})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		_, err := x.Do(ctx, call(resilience.Read))
		if !errors.Is(err, fault.ErrCanceled) || !errors.Is(err, fault.ErrUnknownOutcome) || len(p.asked) != 1 {
			t.Errorf("error %v after %d requests", err, len(p.asked))
		}
	})
}

func TestUnknownService(t *testing.T) {
	x, _ := setup(t, map[string][]step{})
	_, err := x.Do(t.Context(), call(resilience.Read))
	if !errors.Is(err, ErrNoAddress) || !errors.Is(err, fault.ErrNotSent) {
		t.Errorf("error is %v", err)
	}
}

// TestOnePost counts requests on a real server for the ways a connection can end before an
// answer: one POST must stay one POST, on a new connection and on a reused one.
func TestOnePost(t *testing.T) {
	for _, reused := range []bool{false, true} {
		for _, rst := range []bool{false, true} {
			t.Run(fmt.Sprintf("reused=%v rst=%v", reused, rst), func(t *testing.T) {
				var mu sync.Mutex
				var seen []string
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					b, _ := io.ReadAll(r.Body)
					mu.Lock()
					seen = append(seen, string(b))
					n := len(seen)
					mu.Unlock()
					if reused && n == 1 {
						doc, _ := soap.Envelope(nil, []byte(`<answer ref="1"/>`))
						_, _ = w.Write(doc)
						return
					}
					c, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					if tcp, isTCP := c.(*net.TCPConn); isTCP && rst {
						_ = tcp.SetLinger(0)
					}
					_ = c.Close()
				}))
				defer srv.Close()
				x, err := New(Options{HTTP: srv.Client(), Directory: resilience.Static{service: {{URL: srv.URL, Active: true}}}, UserAgent: "test/1.0", From: "test@example.be"})
				if err != nil {
					t.Fatal(err)
				}
				want := 1
				if reused {
					want = 2
					if _, err := x.Do(t.Context(), call(resilience.ResolvableWrite)); err != nil {
						t.Fatal(err)
					}
				}
				_, err = x.Do(t.Context(), call(resilience.ResolvableWrite))
				if !errors.Is(err, fault.ErrUnknownOutcome) {
					t.Errorf("error is %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				if len(seen) != want {
					t.Errorf("the server saw %d requests, want %d", len(seen), want)
				}
			})
		}
	}
}

func TestRequestHeaders(t *testing.T) {
	var got http.Header
	x, _ := setup(t, map[string][]step{urlA: {func(r *http.Request) (*http.Response, error) {
		got = r.Header.Clone()
		return ok("1")(r)
	}}})
	if _, err := x.Do(t.Context(), call(resilience.Read)); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{"Soapaction": `"urn:test"`, "Content-Type": "text/xml; charset=utf-8", "User-Agent": "test/1.0", "From": "test@example.be"} {
		if v := got.Get(k); v != want {
			t.Errorf("%s is %q, want %q", k, v, want)
		}
	}
	for k := range got {
		if slices.Contains([]string{"Idempotency-Key", "X-Idempotency-Key"}, k) {
			t.Errorf("%s would let the HTTP stack replay a POST", k)
		}
	}
}

func TestLastByteHandedOverMeansSent(t *testing.T) {
	p := &progress{}
	body := p.body(bytes.Repeat([]byte("x"), 10))
	buf := make([]byte, 9)
	_, _ = body.Read(buf)
	if p.stage() >= fault.Written {
		t.Error("counts as sent one byte too early")
	}
	_, _ = body.Read(buf)
	if p.stage() != fault.Written {
		t.Error("the last byte is gone, and it does not count as sent")
	}
	p.reach(fault.Dialing)
	if p.stage() != fault.Written {
		t.Error("a second connection must not make it unsent")
	}
}

// TestDescribe pins the chain: what happens once per call and what per attempt, in which order.
func TestDescribe(t *testing.T) {
	x, _ := setup(t, map[string][]step{urlA: {ok("1")}})
	want := []string{
		"call/event", "call/bulkhead", "call/rate", "call/retry",
		"attempt/hedge", "attempt/breaker", "attempt/limit", "attempt/event", "attempt/send",
		"send/secure", "send/post", "send/parse", "send/correlate",
	}
	if got := x.Describe(); !slices.Equal(got, want) {
		t.Errorf("the chain is %q", got)
	}
}
