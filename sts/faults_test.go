package sts

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// prefixes are how the dossier writes the namespaces.
var prefixes = map[string]string{"wst": nsTrust, "wsse": wsse.NSWSSE, "wsu": wsse.NSWSU}

// TestFaultTableDossier: the table has exactly the codes of dossier 01 A.10.
func TestFaultTableDossier(t *testing.T) {
	doc, err := os.ReadFile(oracle.Shared(t, "reference", "01-sts-session-bcp.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(doc), "### A.10")
	text, _, _ = strings.Cut(text, "### A.11")
	seen := map[code]bool{}
	for _, m := range regexp.MustCompile(`\b(wst|wsse|wsu):(\w+)`).FindAllStringSubmatch(text, -1) {
		c := code{prefixes[m[1]], m[2]}
		if _, ok := faultTable[c]; !ok {
			t.Errorf("%s is not in the table", m[0])
		}
		seen[c] = true
	}
	if len(seen) != len(faultTable) {
		t.Errorf("the dossier has %d codes, the table %d", len(seen), len(faultTable))
	}
}

// TestFaultTableAgrees: package fault judges the same codes, without their namespace and
// without knowing that the caller is a client of the STS; the Kinds must agree.
func TestFaultTableAgrees(t *testing.T) {
	for c, m := range faultTable {
		r, ok := fault.FaultCode(c.local)
		if !ok || r.Kind != m.kind || r.Retry != fault.RetryNo {
			t.Errorf("%s: %v here, %v there", c.local, m.kind, r.Kind)
		}
	}
}

func TestFaults(t *testing.T) {
	unbound := func() *http.Response {
		return reply(500, []byte(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault>`+
			`<faultcode>wsu:MessageExpired</faultcode><faultstring>x</faultstring></e:Fault></e:Body></e:Envelope>`))
	}
	late := func() *http.Response {
		r := soaFault("SOA-01001")
		r.Header.Set("Date", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat))
		return r
	}
	tests := map[string]struct {
		answer   func() *http.Response
		kind     fault.Kind
		outcome  fault.Outcome
		code     string
		notice   string
		requests int
	}{
		"wst FailedAuthentication": {func() *http.Response { return fault500("FailedAuthentication", nsTrust, "x") }, fault.Denied, fault.Rejected, "FailedAuthentication", "D-AUTH-NONE", 1},
		"wst InvalidTimeRange":     {func() *http.Response { return fault500("InvalidTimeRange", nsTrust, "x") }, fault.Denied, fault.Rejected, "InvalidTimeRange", "D-CLOCK", 1},
		"wsu MessageExpired":       {func() *http.Response { return fault500("MessageExpired", wsse.NSWSU, "x") }, fault.Denied, fault.Rejected, "MessageExpired", "D-CLOCK", 1},
		"unbound prefix":           {unbound, fault.Denied, fault.Rejected, "MessageExpired", "D-CLOCK", 1},
		"wsse FailedCheck":         {func() *http.Response { return fault500("FailedCheck", wsse.NSWSSE, "x") }, fault.Denied, fault.Rejected, "FailedCheck", "D-KEY", 1},
		"wst BadRequest":           {func() *http.Response { return fault500("BadRequest", nsTrust, "x") }, fault.Invalid, fault.Rejected, "BadRequest", "", 1},
		"certificate refused":      {func() *http.Response { return soaFault("SOA-01001") }, fault.Denied, fault.Rejected, "SOA-01001", "D-AUTH-NONE", 1},
		"clock seen":               {late, fault.Denied, fault.Rejected, "SOA-01001", "D-CLOCK", 1},
		"not authorised":           {func() *http.Response { return soaFault("SOA-01002") }, fault.Denied, fault.Rejected, "SOA-01002", "D-AUTH-NONE", 1},
		"not available":            {func() *http.Response { return soaFault("SOA-02001") }, fault.Unavailable, fault.Rejected, "SOA-02001", "D-AUTH-NONE", 1},
		"temporarily":              {func() *http.Response { return soaFault("SOA-02002") }, fault.Unavailable, fault.Rejected, "SOA-02002", "D-AUTH-NONE", resilience.DefaultMaxAttempts},
		"schema":                   {func() *http.Response { return soaFault("SOA-03006") }, fault.Invalid, fault.Rejected, "SOA-03006", "", 1},
		"503":                      {func() *http.Response { return reply(503, nil) }, fault.Unavailable, fault.Rejected, "HTTP-503", "D-AUTH-NONE", resilience.DefaultMaxAttempts},
		"a page":                   {func() *http.Response { return reply(200, []byte("<html></html>")) }, fault.Protocol, fault.Unknown, "", "D-AUTH-NONE", resilience.DefaultMaxAttempts},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeSTS{first: func(int, string) *http.Response { return tt.answer() }}
				_, err := newClient(t, f, nil).Issue(t.Context(), doctor)
				fe := checkError(t, err, tt.kind)
				if fe.Outcome != tt.outcome || fe.Notice != tt.notice || tt.code != "" && fe.Code != tt.code {
					t.Errorf("outcome %v, code %s, notice %s", fe.Outcome, fe.Code, fe.Notice)
				}
				if f.count() != tt.requests {
					t.Errorf("%d requests, want %d", f.count(), tt.requests)
				}
			})
		})
	}
}

func TestExplainOther(t *testing.T) {
	err := errors.New("x")
	if explain(err) != err { //nolint:errorlint // the very value
		t.Error("an error of another type was changed")
	}
	if _, ok := lookup(code{"urn:other", "FailedAuthentication"}); ok {
		t.Error("a code of a foreign namespace was understood")
	}
	if _, ok := lookup(code{"", "Other"}); ok {
		t.Error("an unknown code was understood")
	}
}
