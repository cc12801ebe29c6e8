package recipe_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/recipe"
)

// uncertain are refusals that prove nothing when they answer a new prescription (dossier 04 section 14.1).
var uncertain = []string{"http status=503;body=html", "http status=503;body=empty", "http status=429;body=html", "fault code=SOA-02001", "fault code=SOA-02002"}

// wantLost wants that a call which got no usable answer is unsure, or found the prescription by itself.
func (s *surgery) wantLost(reference string, err error) {
	s.t.Helper()
	if err != nil {
		s.wantUnsure(reference, err)
	} else if s.made() != 1 {
		s.t.Fatalf("created, and %d made", s.made())
	}
}

// A refusal because Recip-e is not available may come after the prescription was made: it is looked for, and neither sent again
// nor given on paper before.
func TestUncertainRefusal(t *testing.T) {
	for _, row := range uncertain {
		for _, executed := range []string{"", ";exec=1"} {
			t.Run(row+executed, func(t *testing.T) {
				inSandbox(t, func(t *testing.T, s *surgery) {
					ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
					heal := s.inject("recipe-presc 0 to_end " + row + executed)
					_, err := s.create("lost")
					made := 0
					if executed != "" {
						made = 1
					}
					s.wantLost("lost", err)
					if n := s.sb.State().Effects["recipe.created"]; n != made {
						t.Fatalf("executed %d times", n)
					}
					heal()
					s.work()
					if made == 1 {
						s.settles("lost")
						return
					}
					out, err := s.p.Wait(t.Context(), "lost")
					ok(t, err)
					if out.State != recipe.OutcomeNotCreated || s.sb.State().Effects["recipe.created"] != 0 {
						t.Errorf("%s", out.State)
					}
				})
			})
		}
	}
}

// Refusals of the message itself are certain, and with the option the others are too.
func TestCertainRefusal(t *testing.T) {
	for _, row := range []string{"fault code=SOA-01002", "fault code=SOA-03001", "fault code=SOA-03007", "http status=403;body=html"} {
		inSandbox(t, func(t *testing.T, s *surgery) {
			s.inject("recipe-presc 0 to_end " + row + "\nrecipe-direct 0 to_end " + row)
			_, err := s.create("no")
			if errors.As(err, new(*recipe.UnsureError)) || fault.OutcomeOf(err) == fault.Unknown {
				t.Errorf("%s: %v", row, err)
			}
			if _, err := s.p.Paper(t.Context(), "no"); err != nil {
				t.Errorf("%s: no paper: %v", row, err)
			}
		})
	}
	for _, row := range uncertain {
		inSandbox(t, func(t *testing.T, s *surgery) {
			ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
			heal := s.inject("recipe-presc 0 to_end " + row)
			s.mustCreate("elsewhere")
			heal()
			s.inject("recipe-presc 0 to_end " + row + "\nrecipe-direct 0 to_end " + row)
			_, err := s.create("no")
			if !errors.As(err, new(*recipe.NotCreatedError)) {
				t.Errorf("%s: %v", row, err)
			}
		}, recipe.WithTrustedRefusals())
	}
}

// instead lets the first create be carried out, and answers something else.
func instead(s *surgery, answer func([]byte) (int, []byte)) (sent *int) {
	m, n := between(s), 0
	ok(s.t, s.p.Prepare(s.t.Context(), s.patient.SSIN, 1))
	m.set(nil, func(operation string, a *http.Response) *http.Response {
		if operation != "createPrescription" {
			return a
		}
		if n++; n > 1 {
			return a
		}
		b, err := io.ReadAll(a.Body)
		ok(s.t, err)
		_ = a.Body.Close()
		status, b := answer(b)
		out := with(a, b)
		out.StatusCode = status
		return out
	})
	return &n
}

// A fault that somebody on the way answers although Recip-e has made the prescription.
func TestFaultAfter(t *testing.T) {
	const soa = `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault><faultcode>soap:Server</faultcode>` +
		`<faultstring>CODE</faultstring><detail><e:SystemError xmlns:e="urn:be:fgov:ehealth:errors:soa:v1" Id="x1"><Origin>Provider</Origin><Code>CODE</Code>` +
		`<Message xml:lang="en">x</Message><e:Environment>Test</e:Environment></e:SystemError></detail></soap:Fault></soap:Body></soap:Envelope>`
	for _, code := range []string{"SOA-00001", "SOA-04999", "SOA-00001 retry", "SOA-02002 retry"} {
		inSandbox(t, func(t *testing.T, s *surgery) {
			code, again, _ := strings.Cut(code, " ")
			text := strings.ReplaceAll(soa, "CODE", code)
			if again != "" { // whatever the platform says about asking again
				text = strings.ReplaceAll(text, "<e:Environment>", "<Retry>true</Retry><e:Environment>")
			}
			sent := instead(s, func([]byte) (int, []byte) { return 500, []byte(text) })
			_, err := s.create("one")
			if *sent != 1 || s.made() != 1 {
				t.Errorf("%s: sent %d times, %d made", code, *sent, s.made())
			}
			s.wantLost("one", err)
			s.work()
			s.settles("one")
		})
	}
}

// An outer refusal that does not say to which request it belongs proves nothing about this one.
func TestRefusalOfNobody(t *testing.T) {
	for _, whose := range []string{"", ` InResponseTo="idx"`} {
		inSandbox(t, func(t *testing.T, s *surgery) {
			sent := instead(s, func(b []byte) (int, []byte) {
				b = inResponseTo.ReplaceAllLiteral(secured.ReplaceAllLiteral(b, nil), []byte(whose))
				return 200, bytes.ReplaceAll(b, []byte(":Success"), []byte(":Requester"))
			})
			_, err := s.create("one")
			if *sent != 1 || s.made() != 1 {
				t.Errorf("sent %d times, %d made", *sent, s.made())
			}
			s.wantLost("one", err)
			s.work()
			s.settles("one")
		})
	}
}

// A login that the platform refuses is renewed, and the prescription sent once more: the refusal says that it was not looked at.
func TestLoginRefused(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.mustCreate("before")
		s.inject("recipe-presc 0 to_end refuse_auth scope=all;code=SOA-01001;max=1")
		logins := s.sb.State().Requests["sts"]
		s.mustCreate("one")
		if n := s.sb.State().Requests["sts"] - logins; n != 1 || s.made() != 2 {
			t.Errorf("%d logins, %d made", n, s.made())
		}
	})
}
