package sts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
)

var doctor = Request{Identity: Identity{Quality: identity.Doctor, SSIN: testSSIN}}

const claimDoctor = "urn:be:fgov:person:ssin:doctor:boolean"

func TestIssueDirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSTS{}
		tok, err := newClient(t, f, nil).Issue(t.Context(), doctor)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.seen) != 1 || f.seen[0].action != actionRequest || !f.seen[0].signer.Equal(world().ehealth.Certificate) {
			t.Errorf("%d requests", len(f.seen))
		}
		now := time.Now()
		if !tok.Valid(now, 0) || !tok.Valid(now, 24*time.Hour-time.Second) || tok.Valid(now, 24*time.Hour+time.Second) {
			t.Error("validity is not 24 hours:", tok)
		}
		if tok.ID == "" || tok.Issuer != Issuer || tok.AuthenticationMethod != saml.AuthMethodX509 || tok.IssuedAt.IsZero() ||
			!tok.NotBefore.Equal(now.Add(-5*time.Minute)) || tok.Credential.Certificate != world().ehealth.Certificate {
			t.Errorf("fields of %v", tok)
		}
		if v, ok := tok.Attribute("urn:be:fgov:person:ssin"); !ok || !slices.Equal(v, []string{testSSIN.Reveal()}) {
			t.Error("the person is not in the attributes")
		}
		if len(tok.Refused) != 0 || !tok.Has(claimDoctor) || tok.Has("urn:none") || len(tok.Attributes) != 7 {
			t.Errorf("attributes %v, refused %v", tok.Attributes, tok.Refused)
		}
	})
}

func TestIssueChallenge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSTS{}
		tok, err := newClient(t, f, challenged).Issue(t.Context(), doctor)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.seen) != 2 {
			t.Fatalf("%d requests", len(f.seen))
		}
		first, second := f.seen[0], f.seen[1]
		if first.action != actionRequest || second.action != actionChallenge {
			t.Error(first.action, second.action)
		}
		if !first.signer.Equal(world().card.Certificate) || !second.signer.Equal(world().ehealth.Certificate) {
			t.Error("signed by the wrong credentials")
		}
		if tok.Credential.Certificate != world().ehealth.Certificate {
			t.Error("the token has the wrong credential")
		}
	})
}

// TestIssueBytes makes sure that the token is the assertion as it came, and that a signature
// over it still holds when it stands alone.
func TestIssueBytes(t *testing.T) {
	for _, prefixed := range []bool{false, true} {
		t.Run(fmt.Sprintf("prefixed=%v", prefixed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent string
				f := &fakeSTS{
					order: func(o *order) { o.prefixed = prefixed },
					wrap:  func(p string) string { sent = p; return p },
				}
				tok, err := newClient(t, f, nil).Issue(t.Context(), doctor)
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Contains(sent, string(tok.Raw)); got == prefixed {
					t.Errorf("verbatim: %v", got)
				}
				root, err := xmltree.Parse(tok.Raw, xmltree.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				a, err := saml.Parse(root)
				if err != nil {
					t.Fatal(err)
				}
				if err := a.Verify(saml.Trust{Roots: world().roots}, time.Now()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestIssueCollection(t *testing.T) {
	for name, change := range map[string]func(*Config){"direct": nil, "challenge": challenged} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeSTS{wrap: func(p string) string {
					return `<c:RequestSecurityTokenResponseCollection xmlns:c="` + nsTrust + `"> ` + p + ` </c:RequestSecurityTokenResponseCollection>`
				}}
				if _, err := newClient(t, f, change).Issue(t.Context(), doctor); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestIssueRefusedClaims(t *testing.T) {
	for name, values := range map[string][]string{"absent": nil, "empty": {""}, "false": {"false"}, "no value": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeSTS{order: func(o *order) {
					i := slices.IndexFunc(o.attributes, func(a Attribute) bool { return a.Name == claimDoctor })
					if o.attributes[i].Values = values; values == nil {
						o.attributes = slices.Delete(o.attributes, i, i+1)
					}
				}}
				req := doctor
				req.Extra = []Claim{{Name: "urn:extra:granted"}}
				tok, err := newClient(t, f, nil).Issue(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if len(tok.Refused) != 1 || tok.Refused[0].Name != claimDoctor || tok.Refused[0].Namespace != NSCertified || tok.Has(claimDoctor) {
					t.Errorf("refused %v", tok.Refused)
				}
				if !tok.Has("urn:extra:granted") {
					t.Error("the extra claim was not granted")
				}
			})
		})
	}
}

// refusal is an answer that must not become a token.
type refusal struct {
	order    func(*order)
	wrap     func(string) string
	trust    func(*Trust)
	is       error
	notice   string
	requests int // 0 = 1
}

var refusals = map[string]refusal{
	"wrong holder of key": {order: func(o *order) { o.hok = world().other.Certificate }, is: ErrHolder, notice: "D-WRONG", requests: resilience.DefaultMaxAttempts},
	"another person":      {order: func(o *order) { setSSIN(o, "urn:be:fgov:person:ssin") }, is: ErrPerson, notice: "D-WRONG", requests: resilience.DefaultMaxAttempts},
	"certificate holder":  {order: func(o *order) { setSSIN(o, "urn:be:fgov:ehealth:1.0:certificateholder:person:ssin") }, is: ErrPerson, notice: "D-WRONG", requests: resilience.DefaultMaxAttempts},
	"second value": {order: func(o *order) {
		o.attributes = append(o.attributes, Attribute{NSCertified, "urn:be:fgov:person:ssin", []string{otherSSIN.Reveal()}})
	}, is: ErrPerson, notice: "D-WRONG", requests: resilience.DefaultMaxAttempts},
	"nobody":              {order: func(o *order) { o.attributes = o.attributes[2:] }, is: ErrPerson, notice: "D-WRONG", requests: resilience.DefaultMaxAttempts},
	"wrong issuer":        {order: func(o *order) { o.issuer = "urn:somebody" }, is: ErrIssuer, notice: "D-KEY"},
	"unsigned":            {order: func(o *order) { o.unsigned = true }, is: ErrUntrusted, notice: "D-KEY"},
	"other authority":     {order: func(o *order) { o.signer = world().foreignSTS }, is: ErrUntrusted, notice: "D-KEY"},
	"signed by a person":  {order: func(o *order) { o.signer = world().other }, is: ErrUntrusted, notice: "D-KEY"},
	"signed by ourselves": {order: func(o *order) { o.signer = world().ehealth }, is: ErrUntrusted, notice: "D-KEY"},
	"signer name refused": {trust: func(t *Trust) { t.SignerCN = func(string) bool { return false } }, is: ErrUntrusted, notice: "D-KEY"},
	"tampered claim":      {order: func(o *order) { o.tamper = replace(">true<", ">TRUE<") }, is: ErrUntrusted, notice: "D-KEY"},
	"tampered end":        {order: func(o *order) { o.tamper = replace(`NotOnOrAfter="2000`, `NotOnOrAfter="2001`) }, is: ErrUntrusted, notice: "D-KEY"},
	"expired":             {order: func(o *order) { o.notOn = time.Now() }, is: ErrExpired, notice: "D-CLOCK"},
	"long expired":        {order: func(o *order) { o.notOn = time.Now().Add(-4 * time.Minute) }, is: ErrExpired, notice: "D-CLOCK"},
	"in the future":       {order: func(o *order) { o.notBefore = time.Now().Add(5*time.Minute + time.Millisecond) }, is: ErrNotYetValid, notice: "D-CLOCK"},
	"never valid":         {order: func(o *order) { o.notOn = o.notBefore }, is: ErrNoToken, notice: "D-AUTH-NONE"},
	"no end":              {order: func(o *order) { o.unsigned, o.tamper = true, dropEnd }, is: ErrUntrusted, notice: "D-KEY"},
	"no token":            {wrap: func(string) string { return rstr("") }, is: ErrNoToken, notice: "D-AUTH-NONE"},
	"empty token":         {wrap: func(string) string { return rstr("<RequestedSecurityToken/>") }, is: ErrNoToken, notice: "D-AUTH-NONE"},
	"not an assertion":    {wrap: func(string) string { return rstr("<RequestedSecurityToken><a/></RequestedSecurityToken>") }, is: ErrNoToken, notice: "D-AUTH-NONE"},
	"malformed assertion": {wrap: replace(`MinorVersion="1"`, `MinorVersion="0"`), is: ErrNoToken, notice: "D-AUTH-NONE"},
	"two tokens":          {wrap: twice("RequestedSecurityToken"), is: ErrNoToken, notice: "D-AUTH-NONE"},
	"two assertions":      {wrap: twice("Assertion"), is: ErrNoToken, notice: "D-AUTH-NONE"},
	"wrapped assertion":   {wrap: wrapped, is: ErrNoToken, notice: "D-AUTH-NONE"},
	"empty challenge":     {wrap: func(string) string { return rstr("<SignChallenge><Challenge/></SignChallenge>") }, is: ErrNoToken, notice: "D-AUTH-NONE"},
	"two challenges": {wrap: func(string) string {
		return rstr("<SignChallenge><Challenge>a</Challenge><Challenge>b</Challenge></SignChallenge>")
	}, is: ErrNoToken, notice: "D-AUTH-NONE"},
	"comment in challenge": {wrap: func(string) string { return rstr("<SignChallenge><Challenge>a<!---->b</Challenge></SignChallenge>") }, is: ErrNoToken, notice: "D-AUTH-NONE"},
	"endless challenge": {wrap: func(string) string {
		return rstr("<SignChallenge><Challenge>" + strings.Repeat("x", maxChallenge+1) + "</Challenge></SignChallenge>")
	}, is: ErrNoToken, notice: "D-AUTH-NONE"},
	"another Context":   {wrap: replace(`Context="`, `Context="x`), is: exchange.ErrMismatch, notice: "D-WRONG", requests: resilience.DefaultMaxAttempts},
	"another operation": {wrap: func(string) string { return `<a xmlns="urn:x"/>` }, is: exchange.ErrMismatch, notice: "D-WRONG", requests: resilience.DefaultMaxAttempts},
	"foreign in collection": {wrap: func(string) string {
		return `<RequestSecurityTokenResponseCollection xmlns="` + nsTrust + `"><a/></RequestSecurityTokenResponseCollection>`
	}, is: exchange.ErrMismatch, notice: "D-WRONG", requests: resilience.DefaultMaxAttempts},
}

func setSSIN(o *order, name string) {
	for i, a := range o.attributes {
		if a.Name == name {
			o.attributes[i].Values = []string{otherSSIN.Reveal()}
		}
	}
}

func replace(old, by string) func(string) string {
	return func(s string) string {
		if !strings.Contains(s, old) {
			panic("nothing to replace: " + old)
		}
		return strings.Replace(s, old, by, 1)
	}
}

func dropEnd(s string) string {
	i := strings.Index(s, ` NotOnOrAfter="`)
	return s[:i] + s[i+len(` NotOnOrAfter="`)+strings.IndexByte(s[i+len(` NotOnOrAfter="`):], '"')+1:]
}

func rstr(content string) string {
	return `<RequestSecurityTokenResponse xmlns="` + nsTrust + `">` + content + `</RequestSecurityTokenResponse>`
}

// twice repeats the first element with this local name, whatever its prefix.
func twice(local string) func(string) string {
	return func(s string) string {
		start := strings.LastIndex(s[:strings.Index(s, local)], "<")
		end := strings.LastIndex(s, local+">") + len(local) + 1
		return s[:end] + s[start:end] + s[end:]
	}
}

// wrapped puts the signed assertion inside an unsigned one, where a reader that looks for the
// signature by name finds it.
func wrapped(s string) string {
	start, end := strings.Index(s, "<Assertion"), strings.Index(s, "</wst:RequestedSecurityToken>")
	a := s[start:end]
	outer := strings.Replace(a, testSSIN.Reveal(), otherSSIN.Reveal(), 1)
	outer = strings.Replace(outer, "<Conditions", "<Advice>"+a+"</Advice><Conditions", 1)
	return s[:start] + outer + s[end:]
}

func TestIssueRefusals(t *testing.T) {
	for name, r := range refusals {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeSTS{order: r.order, wrap: r.wrap}
				c := newClient(t, f, func(cfg *Config) {
					if r.trust != nil {
						r.trust(&cfg.Trust)
					}
				})
				tok, err := c.Issue(t.Context(), doctor)
				if tok != nil {
					t.Error("a token was returned")
				}
				fe := checkError(t, err, fault.Security)
				if !errors.Is(err, r.is) {
					t.Errorf("%v is not %v", err, r.is)
				}
				if fe.Outcome != fault.Unknown || fe.Notice != r.notice {
					t.Error(fe.Outcome, fe.Notice)
				}
				if want := max(r.requests, 1); f.count() != want {
					t.Errorf("%d requests, want %d", f.count(), want)
				}
			})
		})
	}
}

// checkError makes sure that err is a *fault.Error of this Kind that shows nothing private.
func checkError(t *testing.T, err error, kind fault.Kind) *fault.Error {
	t.Helper()
	var fe *fault.Error
	if !errors.As(err, &fe) {
		t.Fatalf("not a *fault.Error: %v", err)
	}
	if fe.Kind != kind {
		t.Errorf("Kind %v, want %v: %v", fe.Kind, kind, err)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		noSecrets(t, e.Error())
		noSecrets(t, fmt.Sprintf("%+v", e))
	}
	return fe
}

// TestIssueSkew: a beginning within the tolerance is accepted.
func TestIssueSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSTS{order: func(o *order) { o.notBefore = time.Now().Add(5 * time.Minute) }}
		if _, err := newClient(t, f, nil).Issue(t.Context(), doctor); err != nil {
			t.Error(err)
		}
		_, err := newClient(t, f, func(cfg *Config) { cfg.Skew = -1 }).Issue(t.Context(), doctor)
		if !errors.Is(err, ErrNotYetValid) {
			t.Error(err)
		}
	})
}

func TestIssueRestart(t *testing.T) {
	lost := func(n int, action string) *http.Response { return reply(http.StatusBadGateway, []byte("proxy")) }
	tests := map[string]struct {
		second   func() *http.Response // every answer to a challenge
		kind     fault.Kind
		requests int
	}{
		"challenge refused":    {func() *http.Response { return fault500("FailedAuthentication", nsTrust, "x") }, fault.Denied, 4},
		"answer lost":          {func() *http.Response { return lost(0, "") }, fault.Unavailable, 4},
		"certificate refused":  {func() *http.Response { return soaFault("SOA-01001") }, fault.Denied, 2},
		"not authorised":       {func() *http.Response { return soaFault("SOA-01002") }, fault.Denied, 2},
		"clock":                {func() *http.Response { return fault500("InvalidTimeRange", nsTrust, "x") }, fault.Denied, 2},
		"challenge again":      {func() *http.Response { return challenge("again") }, fault.Security, 2},
		"someone else's token": {func() *http.Response { return reply(200, must(soap.Envelope(nil, []byte(`<a/>`)))) }, fault.Security, 4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeSTS{first: func(_ int, action string) *http.Response {
					if action == actionChallenge {
						return tt.second()
					}
					return nil
				}}
				_, err := newClient(t, f, challenged).Issue(t.Context(), doctor)
				checkError(t, err, tt.kind)
				if f.count() != tt.requests {
					t.Errorf("%d requests, want %d: %v", f.count(), tt.requests, err)
				}
			})
		})
	}
	t.Run("second time succeeds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeSTS{first: func(n int, _ string) *http.Response {
				if n == 2 {
					return lost(0, "")
				}
				return nil
			}}
			if _, err := newClient(t, f, challenged).Issue(t.Context(), doctor); err != nil {
				t.Fatal(err)
			}
			var actions []string
			for _, s := range f.seen {
				actions = append(actions, s.action)
			}
			if !slices.Equal(actions, []string{actionRequest, actionChallenge, actionRequest, actionChallenge}) {
				t.Fatal(actions)
			}
			if f.seen[0].payload == f.seen[2].payload || f.seen[1].payload == f.seen[3].payload {
				t.Error("a message was sent twice")
			}
		})
	})
}

func challenge(text string) *http.Response {
	return reply(200, must(soap.Envelope(nil, []byte(rstr("<SignChallenge><Challenge>"+text+"</Challenge></SignChallenge>")))))
}

// TestIssueChallengeAddress: the answer goes where the challenge came from, even when the
// directory prefers another address meanwhile.
func TestIssueChallengeAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const b = "https://b.test/IAM/SecurityTokenService/v1"
		f := &fakeSTS{}
		var hosts []string
		x := must(exchange.New(exchange.Options{
			HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				hosts = append(hosts, r.URL.Host)
				if r.URL.Host == "sts.test" {
					return nil, io.ErrUnexpectedEOF
				}
				return f.RoundTrip(r)
			})},
			Directory: twoAddresses(b), UserAgent: "test/1", From: "test@example.org",
		}))
		cfg := Config{Trust: Trust{Roots: world().roots}}
		challenged(&cfg)
		c := must(New(x, cfg))
		if _, err := c.Issue(t.Context(), doctor); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(hosts, []string{"sts.test", "b.test", "b.test"}) {
			t.Error(hosts)
		}
	})
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, change := range map[string]func(*Config){"direct": nil, "challenge": challenged} {
			f := &fakeSTS{}
			c := newClient(t, f, change)
			old, err := c.Issue(t.Context(), doctor)
			if err != nil {
				t.Fatal(name, err)
			}
			before := len(f.seen)
			tok, err := c.Renew(t.Context(), old)
			if err != nil {
				t.Fatal(name, err)
			}
			if tok.ID == old.ID || !tok.NotOnOrAfter.Equal(time.Now().Truncate(time.Millisecond).Add(6*time.Hour)) || len(tok.Refused) != 0 {
				t.Error(name, tok)
			}
			p := f.seen[before].payload
			if !strings.Contains(p, string(old.Raw)) || strings.Contains(p, "Lifetime") || strings.Contains(p, "ClaimType") {
				t.Error(name, "the request is not a renewal of the old bytes")
			}
			// The renewed token must still be about us.
			f.order = func(o *order) { setSSIN(o, "urn:be:fgov:person:ssin") }
			_, err = c.Renew(t.Context(), tok)
			if checkError(t, err, fault.Security); !errors.Is(err, ErrPerson) {
				t.Error(name, err)
			}
		}
	})
}

func TestRenewInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSTS{}
		c := newClient(t, f, nil)
		tok, err := c.Issue(t.Context(), doctor)
		if err != nil {
			t.Fatal(err)
		}
		other := newClient(t, f, func(cfg *Config) { cfg.Identification = world().other })
		for _, err := range []error{second(c.Renew(t.Context(), nil)), second(c.Renew(t.Context(), &Token{})), second(other.Renew(t.Context(), tok))} {
			if fe := checkError(t, err, fault.Invalid); fe.Outcome != fault.NotSent {
				t.Error(err)
			}
		}
		if f.count() != 1 {
			t.Error("something was sent")
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestIssueInvalid(t *testing.T) {
	c := newClient(t, &fakeSTS{}, nil)
	for name, req := range map[string]Request{
		"nothing":  {},
		"no SSIN":  {Identity: Identity{Quality: identity.Doctor}},
		"validity": {Identity: doctor.Identity, Validity: -1},
	} {
		_, err := c.Issue(t.Context(), req)
		if fe := checkError(t, err, fault.Invalid); fe.Outcome != fault.NotSent {
			t.Error(name, err)
		}
	}
}

func TestNewInvalid(t *testing.T) {
	x := exchanger(&fakeSTS{}, nil)
	good := Config{Identification: world().ehealth, Trust: Trust{Roots: world().roots}}
	if _, err := New(nil, good); err == nil {
		t.Error("no exchanger")
	}
	for name, change := range map[string]func(*Config){
		"no credential":   func(c *Config) { c.Identification = keystore.Credential{} },
		"no key":          func(c *Config) { c.Identification.Signer = nil },
		"wrong key":       func(c *Config) { c.Identification.Signer = world().other.Signer },
		"half a holder":   func(c *Config) { c.HolderOfKey.Certificate = world().other.Certificate },
		"holder's key":    func(c *Config) { c.HolderOfKey = world().other; c.HolderOfKey.Signer = world().card.Signer },
		"no roots":        func(c *Config) { c.Trust = Trust{} },
		"validity":        func(c *Config) { c.Validity = -1 },
		"timeout":         func(c *Config) { c.Timeout = -1 },
		"nothing changed": nil,
	} {
		cfg := good
		if change != nil {
			change(&cfg)
		}
		if _, err := New(x, cfg); (err == nil) != (change == nil) {
			t.Error(name, err)
		}
	}
}

func TestConfig(t *testing.T) {
	c := newClient(t, &fakeSTS{}, nil).Config()
	if c.Service != ServiceID || c.Validity != 24*time.Hour || c.Skew != 5*time.Minute || c.Timeout != 15*time.Second ||
		c.HolderOfKey.Certificate != world().ehealth.Certificate {
		t.Errorf("defaults: %v %v %v %v", c.Service, c.Validity, c.Skew, c.Timeout)
	}
	c = newClient(t, &fakeSTS{}, func(c *Config) {
		c.Service, c.Validity, c.Skew, c.Timeout = service, time.Hour, -1, time.Second
	}).Config()
	if c.Service != service || c.Validity != time.Hour || c.Skew != 0 || c.Timeout != time.Second {
		t.Errorf("values: %v %v %v %v", c.Service, c.Validity, c.Skew, c.Timeout)
	}
}

func TestIssueCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		c := newClient(t, hang, nil)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := c.Issue(ctx, doctor)
		checkError(t, err, fault.Canceled)

		start := time.Now()
		_, err = c.Issue(t.Context(), doctor)
		fe := checkError(t, err, fault.Timeout)
		if d := time.Since(start); d != DefaultTimeout || fe.Notice != "D-AUTH-NONE" {
			t.Error(d, fe.Notice)
		}
	})
}
