package fault

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func yes() *bool { v := true; return &v }

func no() *bool { v := false; return &v }

// Dossier 01 section E.2, row by row; with Retry absent, true and false.
func TestSOATable(t *testing.T) {
	rows := []struct {
		code, origin string
		kind         Kind
		outcome      Outcome
		retry        RetryPolicy
		change       SwitchPolicy
		drop         bool
		action       Action
		changeNo     SwitchPolicy // with Retry false
	}{
		{"SOA-00001", "unknown", Unavailable, Unknown, RetryReadsOnly, SwitchAfterRepeat, false, ActionRetryReads, SwitchAfterRepeat},
		{"SOA-01001", "Consumer", Denied, Rejected, RetryNo, SwitchNo, true, ActionRenewToken, SwitchNo},
		{"SOA-01002", "Consumer", Denied, Rejected, RetryNo, SwitchNo, false, ActionAskRight, SwitchNo},
		{"SOA-02001", "Provider", Unavailable, Rejected, RetryNo, SwitchYes, false, ActionSwitch, SwitchYes},
		{"SOA-02002", "Provider", Unavailable, Rejected, RetryWithBackoff, SwitchAfterRepeat, false, ActionRetry, SwitchYes},
		{"SOA-03001", "Consumer", Invalid, Rejected, RetryNo, SwitchNo, false, ActionFixRequest, SwitchNo},
		{"SOA-03002", "Consumer", Invalid, Rejected, RetryNo, SwitchNo, false, ActionFixRequest, SwitchNo},
		{"SOA-03003", "Consumer", Invalid, Rejected, RetryNo, SwitchNo, false, ActionFixRequest, SwitchNo},
		{"SOA-03004", "Consumer", Invalid, Rejected, RetryNo, SwitchNo, false, ActionFixRequest, SwitchNo},
		{"SOA-03005", "Consumer", Invalid, Rejected, RetryNo, SwitchNo, false, ActionFixRequest, SwitchNo},
		{"SOA-03006", "Consumer", Invalid, Rejected, RetryNo, SwitchNo, false, ActionFixRequest, SwitchNo},
		{"SOA-03007", "Consumer", Invalid, Rejected, RetryNo, SwitchNo, false, ActionFixRequest, SwitchNo},
	}
	if len(rows) != len(SOATable()) {
		t.Fatalf("the table has %d rows", len(SOATable()))
	}
	for i, w := range rows {
		r := SOA(w.code, nil)
		if SOATable()[i] != r || r.Code != w.code || r.Origin != w.origin || !r.Known || r.Meaning == "" {
			t.Errorf("%s: %+v", w.code, r)
		}
		if r.Kind != w.kind || r.Outcome != w.outcome || r.Retry != w.retry || r.Switch != w.change || r.DropToken != w.drop || r.Action != w.action {
			t.Errorf("%s: %+v", w.code, r.Rule)
		}
		may, must := SOA(w.code, yes()), SOA(w.code, no())
		if may.Retry != RetryWithBackoff || may.Switch != w.change || may.Outcome != w.outcome || may.Kind != w.kind {
			t.Errorf("%s with Retry true: %+v", w.code, may.Rule)
		}
		if must.Retry != RetryNo || must.Switch != w.changeNo || must.Outcome != w.outcome || must.DropToken != w.drop {
			t.Errorf("%s with Retry false: %+v", w.code, must.Rule)
		}
	}
	SOATable()[0].Kind = Local
	if SOA("SOA-00001", nil).Kind != Unavailable {
		t.Error("SOATable hands out the table itself")
	}
}

func TestSOAUnknownCodes(t *testing.T) {
	for code, kind := range map[string]Kind{
		"SOA-01999": Denied, "SOA-02999": Unavailable, "SOA-03999": Invalid, "SOA-99999": Unavailable, "": Unavailable, "300": Unavailable,
	} {
		r := SOA(code, nil)
		if r.Known || r.Kind != kind || r.Outcome != Unknown || r.Retry == RetryWithBackoff || r.Switch == SwitchYes {
			t.Errorf("%q: %+v", code, r)
		}
	}
	if r := SOA("\n SOA-02002 ", nil); !r.Known || r.Code != "SOA-02002" {
		t.Error("white space around the code")
	}
	if !IsSOA(" SOA-00001") || IsSOA("soa-00001") || IsSOA("") {
		t.Error("IsSOA")
	}
}

func TestFromSOA(t *testing.T) {
	e, r := FromSOA(SOAFault{ID: " T-1 ", Code: "SOA-02002", Message: "later, please"})
	if e.Kind != Unavailable || e.Outcome != Rejected || e.Ticket != "T-1" || e.Code != "SOA-02002" || e.Message != "later, please" {
		t.Errorf("%#v", *e)
	}
	if r != SOA("SOA-02002", nil).Rule {
		t.Errorf("%+v", r)
	}
	// A business error with a code of the service is a refusal.
	e, r = FromSOA(SOAFault{Business: true, Code: "INVALID_LICENSE"})
	if !errors.Is(e, ErrInvalid) || !errors.Is(e, ErrRejected) || r.Retry != RetryNo || r.Switch != SwitchNo {
		t.Errorf("%+v", r)
	}
	if _, r = FromSOA(SOAFault{Business: true, Code: "INVALID_LICENSE", Retry: yes()}); r.Retry != RetryWithBackoff {
		t.Errorf("Retry outranks: %+v", r)
	}
	// With a code of the platform the code decides, whatever the element is called.
	if _, r = FromSOA(SOAFault{Business: true, Code: "SOA-02001"}); r.Kind != Unavailable {
		t.Errorf("%+v", r)
	}
	// A system error with an unknown code may have been carried out.
	if e, _ = FromSOA(SOAFault{Code: "X-1"}); e.Outcome != Unknown {
		t.Errorf("%v", e)
	}
}

// Dossier 01 section A.10: every code that is named there.
func TestFaultCode(t *testing.T) {
	for _, w := range []struct {
		codes       []string
		kind        Kind
		drop, clock bool
	}{
		{[]string{"wsu:MessageExpired", "wst:InvalidTimeRange", "wst:ExpiredData"}, Denied, false, true},
		{[]string{
			"wsse:FailedAuthentication", "wst:FailedAuthentication", "wsse:InvalidSecurity", "wsse:InvalidSecurityToken", "wst:InvalidSecurityToken",
			"wsse:SecurityTokenUnavailable", "wsse:FailedCheck", "wst:RenewNeeded",
		}, Denied, true, true},
		{[]string{
			"wst:InvalidRequest", "wst:BadRequest", "wst:AuthenticationBadElements", "wst:InvalidScope", "wsse:UnsupportedSecurityToken", "wsse:UnsupportedAlgorithm",
		}, Invalid, false, false},
		{[]string{"wst:RequestFailed", "wst:UnableToRenew"}, Denied, false, false},
	} {
		for _, c := range w.codes {
			r, ok := FaultCode(c)
			if !ok || r.Kind != w.kind || r.DropToken != w.drop || r.CheckClock != w.clock || r.Outcome != Rejected || r.Retry != RetryNo || r.Switch != SwitchNo {
				t.Errorf("%s: %v %+v", c, ok, r)
			}
		}
	}
	if r, ok := FaultCode("FailedAuthentication"); !ok || !r.DropToken {
		t.Error("a code without prefix")
	}
	for _, c := range []string{"soapenv:Server", "Client", "", "x:"} {
		if r, ok := FaultCode(c); ok || r != (Rule{}) {
			t.Errorf("%q is classified", c)
		}
	}
}

// Dossier 01 section E.3 and 06 section A.0.2, the rows about HTTP.
func TestHTTPStatus(t *testing.T) {
	for _, w := range []struct {
		status  int
		kind    Kind
		outcome Outcome
		retry   RetryPolicy
		change  SwitchPolicy
		bad     bool
		after   bool
	}{
		{500, Unavailable, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
		{502, Unavailable, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
		{504, Unavailable, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
		{501, Unavailable, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
		{599, Unavailable, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
		{503, Unavailable, Rejected, RetryWithBackoff, SwitchYes, false, true},
		{429, Throttled, Rejected, RetryWithBackoff, SwitchYes, false, true},
		{400, Protocol, Rejected, RetryNo, SwitchNo, true, false},
		{404, Protocol, Rejected, RetryNo, SwitchNo, true, false},
		{405, Protocol, Rejected, RetryNo, SwitchNo, true, false},
		{415, Protocol, Rejected, RetryNo, SwitchNo, true, false},
		{413, Protocol, Rejected, RetryNo, SwitchNo, true, false},
		{401, Denied, Rejected, RetryNo, SwitchNo, false, false},
		{403, Denied, Rejected, RetryNo, SwitchNo, false, false},
		{407, Denied, Rejected, RetryNo, SwitchNo, false, false},
		{408, Timeout, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
		{200, Protocol, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false}, // "gray screen"
		{204, Protocol, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
		{302, Protocol, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
		{100, Protocol, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
		{0, Protocol, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
		{600, Protocol, Unknown, RetryReadsOnly, SwitchReadsOnly, false, false},
	} {
		r := HTTPStatus(w.status, false)
		if r.Kind != w.kind || r.Outcome != w.outcome || r.Retry != w.retry || r.Switch != w.change || r.MarkBad != w.bad ||
			r.HonourRetryAfter != w.after || r.ByBody || r.Action == ActionNone {
			t.Errorf("%d: %+v", w.status, r)
		}
	}
	if r := HTTPStatus(200, true); r != (Rule{Outcome: Done, ByBody: true}) {
		t.Errorf("200 with SOAP: %+v", r)
	}
	for _, s := range []int{400, 403, 404, 500, 502, 503, 429} {
		r := HTTPStatus(s, true)
		if !r.ByBody || r.Outcome != Unknown || r.MarkBad || r.HonourRetryAfter != (s == 503 || s == 429) {
			t.Errorf("%d with SOAP: %+v", s, r)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, w := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"", 0, false},
		{"0", 0, true},
		{"120", 2 * time.Minute, true},
		{" 7 ", 7 * time.Second, true},
		{"3600", time.Hour, true},
		{"3601", time.Hour, true},
		{"99999999999999999999999999", time.Hour, true},
		{"-5", 0, false},
		{"+5", 0, false},
		{"1.5", 0, false},
		{"5s", 0, false},
		{"Mon, 02 Mar 2026 09:01:30 GMT", 90 * time.Second, true},
		{"Monday, 02-Mar-26 09:01:30 GMT", 90 * time.Second, true},
		{"Mon Mar  2 09:01:30 2026", 90 * time.Second, true},
		{"Mon, 02 Mar 2026 08:00:00 GMT", 0, true},
		{"Tue, 03 Mar 2026 09:00:00 GMT", time.Hour, true},
		{"Mon, 32 Mar 2026 09:00:00 GMT", 0, false},
		{"tomorrow", 0, false},
		{"0000000000000000000000000000000000000000000000000000000000000000000000000001", 0, false},
	} {
		if got, ok := ParseRetryAfter(w.in, now); got != w.want || ok != w.ok {
			t.Errorf("%q: %v %v, want %v %v", w.in, got, ok, w.want, w.ok)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"0", "120", "Mon, 02 Mar 2026 09:01:30 GMT", "-1", "99999999999999999999"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := ParseRetryAfter(s, now)
		if d < 0 || d > MaxRetryAfter || !ok && d != 0 {
			t.Fatalf("%v %v", d, ok)
		}
	})
}

func TestPolicyNames(t *testing.T) {
	got := fmt.Sprint(RetryNo, "|", RetryWithBackoff, "|", RetryReadsOnly, "|", SwitchNo, "|", SwitchYes, "|", SwitchAfterRepeat, "|", SwitchReadsOnly)
	if want := "no|with backoff|reads only|no|yes|after repeat|reads only"; got != want {
		t.Errorf("%s", got)
	}
}
