package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

// secrets are what must not come out, whatever it was put into.
var secrets = []string{
	"85073199704", "85.07.31-997.04", "Janssens", "JANSSENS", "JANSSENS-19850731", "jan.janssens@example.be", "19850731", "1985-07-31",
	"<Patient>Jan</Patient>", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI4NTA3MzE5OTcwNCJ9.c2lnbmF0dXJl", "hunter2",
}

// dump is everything that came out, as text.
func (r *rig) dump() string {
	var b strings.Builder
	for name, ps := range r.metrics() {
		fmt.Fprintln(&b, name, ps)
	}
	for _, s := range r.spans.GetSpans() {
		fmt.Fprintln(&b, s.Name, s.Status, attrMap(s.Attributes))
		for _, e := range s.Events {
			fmt.Fprintln(&b, e.Name, attrMap(e.Attributes))
		}
	}
	return b.String() + r.out.String()
}

func (r *rig) leaks(where string) {
	r.t.Helper()
	out := r.dump()
	if len(out) < 200 {
		r.t.Fatalf("nothing came out: %q", out)
	}
	for _, s := range secrets {
		if strings.Contains(out, s) {
			i := strings.Index(out, s)
			r.t.Errorf("%s: %q came out: ...%s...", where, s, out[max(0, i-120):min(len(out), i+60)])
		}
	}
}

// TestPrivacyOfErrors puts personal data into every field of an error that a server or a careless
// caller fills, and runs it through the real pipeline.
func TestPrivacyOfErrors(t *testing.T) {
	for _, secret := range secrets {
		t.Run(secret, func(t *testing.T) {
			r := newRig(t)
			p := quick()
			p.Breaker.Consecutive = 2
			e := r.engine(resilience.Config{Policy: p, Functions: []resilience.Function{{Name: "insurability", Needs: []resilience.Need{{Service: testService}}}}})
			bad := func() error {
				return &fault.Error{
					Kind: fault.Unavailable, Outcome: fault.NotSent, Message: secret, Code: secret, Ticket: secret, Notice: secret,
					Endpoint: "https://" + "u:hunter2@services.example.be/patient/" + secret + "?q=" + secret, Err: errors.New(secret),
				}
			}
			for range 4 {
				_ = r.do(context.Background(), e, resilience.Call{Endpoints: bothAddresses[:1]}, answers(bad(), errors.New(secret), bad(), fmt.Errorf("%s: %w", secret, context.DeadlineExceeded)))
			}
			_ = r.do(context.Background(), e, resilience.Call{Endpoints: []resilience.Endpoint{{URL: "https://u:hunter2@other.example.be/" + secret + "?" + secret}}}, answers(bad()))
			if !strings.Contains(r.out.String(), "breaker open") {
				t.Error("the breaker did not open")
			}
			r.leaks("errors")
		})
	}
}

// TestPrivacyOfEvents puts personal data where only a mistake of ours could put it. A word that
// looks like a name of an operation cannot be told from one; the rest must not come out.
func TestPrivacyOfEvents(t *testing.T) {
	r := newRig(t)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, s := range secrets {
		cause := fmt.Errorf("%w: GET https://u:hunter2@proxy.example.be/%s: %s", bcp.ErrUnreachable, s, s)
		r.Observer()(resilience.Event{Call: true, Op: "insurability.Check", Service: testService, Endpoint: "services.example.be", Kind: fault.Denied, Code: s})
		r.Observer()(resilience.Event{Op: "insurability.Check", Service: testService, Endpoint: "services.example.be", Kind: fault.Denied, Code: s})
		r.List(bcp.Event{Kind: bcp.Unreachable, Err: cause})
		r.List(bcp.Event{Kind: bcp.Refused, Err: errors.New(s)})
		r.Session(SessionEvent{Kind: s, Until: at, Notice: s, Cause: fault.Kind(200)})
	}
	for _, s := range []string{"85073199704", "85.07.31-997.04", "jan.janssens@example.be", "<Patient>Jan</Patient>"} {
		call := resilience.Event{Call: true, Op: s, Service: s, Endpoint: s, Kind: fault.Denied, Why: resilience.Why(s)}
		r.Observer()(call)
		call.Call = false
		r.Observer()(call)
		r.Breaker()(resilience.Change{To: resilience.Snapshot{Service: s, Endpoint: "https://" + s + "/" + s, State: resilience.Open, Reason: s, LastErr: s}})
		r.Health()(resilience.Status{Function: s, Condition: resilience.Down, With: s, Service: s, Notice: s})
		r.Session(SessionEvent{Kind: "renewed", Login: s})
		r.List(bcp.Event{Kind: bcp.Ignored, Service: s})
		r.List(bcp.Event{Kind: bcp.Installed, Changes: []bcp.Change{{Service: s, To: s}}})
	}
	r.leaks("events")
}

func TestCodeLike(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "SOA-02002": "SOA-02002", "HTTP-503": "HTTP-503", "300001": "300001", "ERR200009": "ERR200009", "INPUT_ERROR": "INPUT_ERROR",
		"INPUT_ERROR/12": "INPUT_ERROR/12", "4001013": "4001013", "wsse:FailedAuthentication": "FailedAuthentication", "Janssens:Server": "Server",
		"InvalidSecurityToken": "InvalidSecurityToken", "soapenv:Client": "Client",
		"Janssens": other, "JANSSENS": other, "jan.janssens1": other, "85073199704": other, "19850731": other, "1985-07-31": other, "85.07.31-997.04": other,
		"SOA 02002": other, "SOA-02002\n": other, "<a>1</a>": other, strings.Repeat("A1", 21): other, "Jan:Janssens": other, "é1": other, "hunter2": other,
	} {
		if got := codeLike(in); got != want {
			t.Errorf("codeLike(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTicketLike(t *testing.T) {
	for in, want := range map[string]bool{
		"": false, testTicket: true, "2024010100001": true, "MID-4711": true, "7f1c-22": true, "T-4711": true, "deadbeef01": true, "85073199704": false, "85.07.31-997.04": false, "Janssens": false, "Jan Janssens 12": false,
		"12345678901": false, "19850731": false, "1985-07-31": false, "JANSSENS-19850731": false, "Jans-12": false, "x" + strings.Repeat("1", 80): false, "a\n12": false, "jan.janssens@example.be12": false,
	} {
		if got := ticketLike(in); got != "" != want || got != "" && got != in {
			t.Errorf("ticketLike(%q) = %q", in, got)
		}
	}
}

// TestCardinality: whatever servers and callers do, the number of time series stays finite, and
// nothing is kept of what was not shown.
func TestCardinality(t *testing.T) {
	r := newRig(t)
	for i := range 10_000 {
		ev := resilience.Event{
			Call: i%2 == 0, Op: fmt.Sprintf("op%d", i), Service: fmt.Sprintf("s%d", i), Endpoint: fmt.Sprintf("h%d.example.be", i), Kind: fault.Denied,
			Code: fmt.Sprintf("E%d", i), Why: resilience.Why(fmt.Sprintf("why%d", i)),
		}
		r.Observer()(ev)
		r.Health()(resilience.Status{Function: fmt.Sprintf("f%d", i)})
		r.Breaker()(resilience.Change{To: resilience.Snapshot{Service: ev.Service, Endpoint: "https://" + ev.Endpoint}})
		r.Session(SessionEvent{Kind: fmt.Sprintf("kind%d", i)})
		r.startOf(&resilience.Call{Op: ev.Op, Service: ev.Service})
	}
	values := map[string]map[string]bool{}
	series := 0
	for name, ps := range r.metrics() {
		series += len(ps)
		if len(ps) > maxSets+1 {
			t.Errorf("%s: %d series", name, len(ps))
		}
		for _, p := range ps {
			for k, v := range p.attrs {
				if values[k] == nil {
					values[k] = map[string]bool{}
				}
				values[k][v] = true
			}
		}
	}
	for k, most := range map[string]int{
		"ehealth.operation": maxNames, "ehealth.service": maxNames, "server.address": maxHosts, "ehealth.error.code": maxCodes,
		"ehealth.call.end": 0, "ehealth.attempt.reason": 0, "ehealth.session.event": 0, "ehealth.function": maxNames,
	} {
		if n := len(values[k]); n == 0 || n > most+1 {
			t.Errorf("%s has %d values, at most %d wanted", k, n, most+1)
		}
	}
	if n := len(r.health); n > maxNames {
		t.Errorf("%d functions are kept", n)
	}
	if m := r.starts.m.Load(); len(*m) > maxSets {
		t.Errorf("%d starts are kept", len(*m))
	}
	before := r.sparse.Load()
	for i := range 100 {
		r.Observer()(resilience.Event{Op: fmt.Sprintf("not a name %d", i), Endpoint: fmt.Sprintf("not a host %d", i)})
	}
	if r.sparse.Load() != before {
		t.Error("what has no form was kept")
	}
	t.Logf("%d series", series)
}

func TestHost(t *testing.T) {
	r := newRig(t)
	for in, want := range map[string]string{
		"services.example.be": "services.example.be 0", "services.example.be:8443": "services.example.be 8443", "": " 0", "[::1]:8443": "::1 8443", "[::1]": "::1 0",
		"127.0.0.1": "127.0.0.1 0", "a b": other + " 0", "85.07.31-997.04": other + " 0",
	} {
		host, port := r.host(in)
		if got := fmt.Sprint(host, " ", port); got != want {
			t.Errorf("host(%q) = %q, want %q", in, got, want)
		}
	}
}
