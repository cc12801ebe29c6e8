package integration

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// TestOutages breaks the platform under a client that is logged in already, and looks at what the person gets.
func TestOutages(t *testing.T) {
	const all = " 0 to_end "
	both := func(kind string) string { return "genins" + all + kind + "\ngenins-direct" + all + kind }
	for _, c := range []struct {
		name     string
		script   string
		attempts int // 0: not looked at
		// no kind: answered by the alternate
		kind    fault.Kind
		outcome fault.Outcome
		code    string
		notice  string
		home    bool // the alternate must not be asked
		patient bool // the client gives up by itself before its time is over
	}{
		{name: "connections are reset", script: "genins" + all + "refuse -", attempts: 2},
		{name: "503 with a page", script: "genins" + all + "http status=503;body=html", attempts: 2},
		{name: "502", script: "genins" + all + "http status=502;body=empty;exec=1", attempts: 2},
		{name: "gray screen", script: "genins" + all + "http status=200;body=html", attempts: 2},
		{name: "not available", script: "genins" + all + "fault code=SOA-02001", attempts: 2},
		{name: "temporarily not available", script: "genins" + all + "fault code=SOA-02002", attempts: 3},
		{name: "answers are lost", script: "genins" + all + "lost_ack p=1", attempts: 2},
		{name: "silence", script: "genins" + all + "hang -", attempts: 2},
		{name: "silence, executed", script: "genins" + all + "hang exec=1", attempts: 2},

		{name: "everything not available", script: both("fault code=SOA-02001"), kind: fault.Unavailable, outcome: fault.Rejected, code: "SOA-02001", notice: "D-INS-UNKNOWN", attempts: 2},
		{name: "everything 503", script: both("http status=503;body=html"), kind: fault.Unavailable, outcome: fault.Rejected, code: "HTTP-503", notice: "D-INS-UNKNOWN", attempts: 6, patient: true},
		{name: "everything silent", script: both("hang -"), kind: fault.Timeout, outcome: fault.Unknown, notice: "D-INS-UNKNOWN", attempts: 2},
		{name: "all answers are lost", script: both("lost_ack p=1"), kind: fault.Unavailable, outcome: fault.Unknown, notice: "D-INS-UNKNOWN"},
		{name: "nothing can be reached", script: "net" + all + "refuse -", kind: fault.Unavailable, outcome: fault.NotSent, notice: "D-INS-UNKNOWN"},

		{name: "not authorised", script: "genins" + all + "refuse_auth code=SOA-01002;scope=all", kind: fault.Denied, outcome: fault.Rejected, code: "SOA-01002", attempts: 1, home: true},
		{name: "not authenticated", script: "genins" + all + "refuse_auth code=SOA-01001;scope=all", kind: fault.Denied, outcome: fault.Rejected, code: "SOA-01001", attempts: 2, home: true},
		{name: "our message is wrong", script: "genins" + all + "fault code=SOA-03006", kind: fault.Invalid, outcome: fault.Rejected, code: "SOA-03006", attempts: 1, home: true},
		{name: "wrong address", script: "genins" + all + "http status=404;body=html", kind: fault.Protocol, outcome: fault.Rejected, code: "HTTP-404", notice: "D-INS-UNKNOWN", attempts: 1, home: true},
	} {
		roles := []string{"", "pharmacist"}
		if c.patient {
			roles = roles[:1]
		}
		for _, role := range roles {
			t.Run(c.name+"/"+or(role, "caller of the file"), func(t *testing.T) {
				needSandbox(t)
				patience := shortTimeout
				if c.patient {
					patience = time.Minute
				}
				p, fresh := openFresh(t, role, patience)
				if _, err := p.Tokens.Token(t.Context()); err != nil {
					t.Fatal(err)
				}
				inject(t, c.script)
				fresh()
				before, start := counted(t).Requests["genins-direct"], time.Now()
				a, err := p.Insurability.Check(t.Context(), insurability.Query{Patient: patient(t, sandbox.Insured)})
				if took := time.Since(start); took > patience+time.Second {
					t.Errorf("took %v", took)
				}
				if asked := counted(t).Requests["genins-direct"] - before; c.home && asked > 0 {
					t.Errorf("the alternate was asked %d times", asked)
				}
				if c.kind == 0 {
					alternate(t, a, err, c.attempts)
					return
				}
				if e := failed(t, a, err, c.kind, c.outcome, c.notice); e != nil && (e.Code != c.code || c.attempts > 0 && e.Attempts != c.attempts) {
					t.Errorf("code %q after %d attempts: %v", e.Code, e.Attempts, e)
				}
			})
		}
	}
}

// shortTimeout is how long one question may take here, so that silence does not cost five seconds a case.
const shortTimeout = 1500 * time.Millisecond

// openFresh opens the platform with a transport whose idle connections fresh closes: a fault that acts on connecting must
// meet a client that connects.
func openFresh(t *testing.T, role string, patience time.Duration) (p *ehealth.Platform, fresh func()) {
	t.Helper()
	var tr *http.Transport
	p = open(t, role, func(c *ehealth.Config) {
		tr = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.Trust.TLS, MinVersion: tls.VersionTLS12}}
		c.Transport, c.InsurabilityTimeout = tr, patience
	})
	return p, tr.CloseIdleConnections
}

func alternate(t *testing.T, a *insurability.Answer, err error, attempts int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if a.Insured != insurability.Yes || a.Source != insurability.Alternate || a.Notice != "D-INS-DIRECT" || a.Attempts != attempts {
		t.Errorf("insured %v, source %v, notice %q, attempts %d", a.Insured, a.Source, a.Notice, a.Attempts)
	}
	if a.SSIN.Reveal() != patient(t, sandbox.Insured).Reveal() {
		t.Error("the answer is about somebody else")
	}
}

// TestLoginOutages breaks the login service: who has a token goes on, who has none is told so, and no service is asked
// without a token.
func TestLoginOutages(t *testing.T) {
	q := func(t *testing.T) insurability.Query { return insurability.Query{Patient: patient(t, sandbox.Insured)} }
	t.Run("logged in before", func(t *testing.T) {
		p, fresh := openFresh(t, "", shortTimeout)
		if _, err := p.Tokens.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		inject(t, "sts 0 to_end http status=503;body=html")
		fresh()
		for range 3 {
			if a, err := p.Insurability.Check(t.Context(), q(t)); err != nil || a.Source != insurability.Live {
				t.Errorf("answer %v, error %v", a, err)
			}
		}
	})
	for _, c := range []struct {
		name, row string
		patience  time.Duration // the STS is asked again a few times, unless the person has gone by then
		kind      fault.Kind
		code      string
	}{
		{"503", "http status=503;body=html", time.Minute, fault.Unavailable, "HTTP-503"},
		{"not available", "fault code=SOA-02001", shortTimeout, fault.Unavailable, "SOA-02001"},
		{"refused", "refuse_auth code=SOA-01001;scope=all", shortTimeout, fault.Denied, "SOA-01001"},
		{"gray screen", "http status=200;body=html", time.Minute, fault.Protocol, "HTTP-200"},
		{"silence", "hang -", shortTimeout, fault.Timeout, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			mend := inject(t, "sts 0 to_end "+c.row)
			p := open(t, "", func(cfg *ehealth.Config) { cfg.InsurabilityTimeout = c.patience })
			before := counted(t).Requests["genins"]
			a, err := p.Insurability.Check(t.Context(), q(t))
			if e := failed(t, a, err, c.kind, fault.NotSent, "D-AUTH-NONE"); e != nil && e.Code != c.code {
				t.Errorf("code %q", e.Code)
			}
			if n := counted(t).Requests["genins"] - before; n != 0 {
				t.Errorf("the service was asked %d times without a token", n)
			}
			// The login under way is shared, so it goes on without the caller who gave up.
			mend()
			if _, err := p.Tokens.Token(t.Context()); c.kind == fault.Timeout && err != nil {
				t.Errorf("the login did not go on: %v", err)
			}
		})
	}
}
