package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

const (
	pathGenIns = "/GenericInsurability/v1"
	pathSTS    = "/IAM/SecurityTokenService/v1"
)

// refusedLogin is how a question ends when the login was refused: the question was never sent.
var refusedLogin = end{fault.Denied, fault.NotSent, "D-AUTH-NONE", "SOA-01001"}

// refusedMessage is how it ends when the service refuses the message.
var refusedMessage = end{fault.Denied, fault.Rejected, "", "SOA-01001"}

// TestWrongClock: a client whose clock is wrong talks to a platform whose clock is right. The client lives in a bubble,
// whose time is its own; the platform outside, behind real sockets.
func TestWrongClock(t *testing.T) {
	w := newWorld(t, sandbox.Config{Listen: "127.0.0.1:0"})
	defer w.sb.Close()
	now := time.Now()
	for _, c := range []struct {
		name string
		at   time.Time
		want end
		skew time.Duration
	}{
		{"20 minutes fast", now.Add(20 * time.Minute), end{fault.Denied, fault.NotSent, "D-CLOCK", "SOA-01001"}, 20 * time.Minute},
		{"20 minutes slow", now.Add(-20 * time.Minute), end{fault.Denied, fault.NotSent, "D-CLOCK", "SOA-01001"}, -20 * time.Minute},
		// So far off that the server's certificate does not hold: nothing is sent at all.
		{"years slow", time.Time{}, end{fault.Security, fault.NotSent, "D-KEY", ""}, 0},
		{"ten years fast", now.AddDate(10, 0, 0), end{fault.Security, fault.NotSent, "D-KEY", ""}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := w.doctor(t, 0)
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(c.at))
				cfg.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: cfg.Trust.TLS, MinVersion: tls.VersionTLS12}}
				p := w.open(t, cfg)
				a, err := w.ask(t, p, sandbox.Insured)
				w.ends(t, a, err, c.want)
				skew, found := errors.AsType[*exchange.SkewError](err)
				if found != (c.skew != 0) || found && skew.Skew.Round(time.Minute) != c.skew {
					t.Errorf("the error says %v", skew)
				}
				_, err = p.Tokens.Token(t.Context())
				if c.want.kind == fault.Denied {
					c.want.outcome = fault.Rejected // of the login itself
				}
				w.fails(t, err, c.want)
			})
		})
	}
	if n := w.sb.State().Requests["genins"]; n != 0 {
		t.Errorf("%d questions were sent without a login", n)
	}
}

// TestWrongCertificate: certificates that the platform does not accept.
func TestWrongCertificate(t *testing.T) {
	for _, c := range []struct {
		name  string
		get   func(*sandbox.Sandbox, *sandbox.Person) (sandbox.Credential, error)
		level keystore.Level
	}{
		{"expired", (*sandbox.Sandbox).Expired, keystore.Expired},
		{"foreign", (*sandbox.Sandbox).Foreign, keystore.Fresh},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				cfg := w.doctor(t, 0)
				good := cfg.Identity
				bad := holder(t)(c.get(w.sb, w.sb.Person(identity.Doctor, 0)))
				cfg.Identity = bad
				p := w.open(t, cfg)
				if p.Expiry.Level != c.level {
					t.Errorf("expiry is %v", p.Expiry.Level)
				}
				a, err := w.ask(t, p, sandbox.Insured)
				w.ends(t, a, err, refusedLogin)
				_, err = p.Tokens.Token(t.Context())
				w.fails(t, err, end{fault.Denied, fault.Rejected, "D-AUTH-NONE", "SOA-01001"})

				// Only the login card is bad, or only the key that the token would be bound to.
				cfg.Login, cfg.Identity, cfg.NoFallback = bad, good, true
				a, err = w.ask(t, w.open(t, cfg), sandbox.Insured)
				w.ends(t, a, err, refusedLogin)
				cfg.Login, cfg.Identity = good, bad
				a, err = w.ask(t, w.open(t, cfg), sandbox.Insured)
				w.ends(t, a, err, refusedLogin)
				if n := w.sb.State().Requests["genins"]; n != 0 {
					t.Errorf("%d questions were sent without a login", n)
				}

				// With the eHealth certificate to fall back on, a bad card stops nobody, and it is announced.
				var said []string
				cfg.Login, cfg.Identity, cfg.NoFallback = bad, good, false
				cfg.OnSession = func(e sts.Event) { said = append(said, e.Notice) }
				p = w.open(t, cfg)
				if a, err = w.ask(t, p, sandbox.Insured); err != nil || a.Insured != insurability.Yes {
					t.Fatalf("with a fallback: %v", err)
				}
				if !slices.Contains(said, "D-AUTH-USED") {
					t.Errorf("announced %v", said)
				}
			})
		})
	}
}

// TestTampered changes messages of an honest client on their way.
func TestTampered(t *testing.T) {
	other := "15073199817" // another patient of the sandbox
	for _, c := range []struct {
		name   string
		tamper func(t *testing.T, w *world) func([]byte) []byte
	}{
		{"the patient asked about", func(t *testing.T, w *world) func([]byte) []byte {
			return replace(t, w.sb.Patient(sandbox.Insured).SSIN.Reveal(), other)
		}},
		{"the timestamp", func(t *testing.T, _ *world) func([]byte) []byte {
			return replace(t, "<wsu:Expires>2000-01-01T", "<wsu:Expires>2000-01-02T")
		}},
		{"a claim in the token", func(t *testing.T, w *world) func([]byte) []byte {
			return replace(t, ">true<", ">True<")
		}},
		{"the body's id, with a decoy", func(t *testing.T, _ *world) func([]byte) []byte {
			return func(b []byte) []byte { return wrap(t, b) }
		}},
		{"the signature removed", func(t *testing.T, _ *world) func([]byte) []byte {
			return func(b []byte) []byte {
				from, to := bytes.LastIndex(b, []byte("<ds:Signature ")), bytes.LastIndex(b, []byte("</ds:Signature>"))
				if from < 0 || to < from {
					t.Error("no signature to remove")
					return b
				}
				return append(bytes.Clone(b[:from]), b[to+len("</ds:Signature>"):]...)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				cfg := w.doctor(t, 0)
				mitm := &between{next: cfg.Transport, path: pathGenIns, request: c.tamper(t, w)}
				cfg.Transport = mitm
				p := w.open(t, cfg)
				w.login(t, p)
				a, err := w.ask(t, p, sandbox.Insured)
				w.ends(t, a, err, refusedMessage)
				if n := w.sb.State().Counters["genins.answered"]; n != 0 {
					t.Errorf("the platform answered %d times", n)
				}
				if mitm.passed != 2 { // once more with a new token, and no more
					t.Errorf("%d messages were sent", mitm.passed)
				}
			})
		})
	}
}

// wrap moves the signed body away and puts a body of its own where the service looks.
func wrap(t *testing.T, b []byte) []byte {
	from, to := bytes.Index(b, []byte("<soapenv:Body")), bytes.Index(b, []byte("</soapenv:Body>"))
	if from < 0 || to < from {
		t.Error("no body to move")
		return b
	}
	body := bytes.Clone(b[from : to+len("</soapenv:Body>")])
	decoy := bytes.ReplaceAll(bytes.ReplaceAll(body, []byte(`wsu:Id="`), []byte(`wsu:Id="evil`)), []byte("85073199704"), []byte("15073199817"))
	out := bytes.Replace(b, body, decoy, 1)
	return bytes.Replace(out, []byte("</soapenv:Header>"), append(append([]byte("<x>"), body...), "</x></soapenv:Header>"...), 1)
}

// TestReplayed sends the very bytes of an earlier question instead of a new one.
func TestReplayed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		cfg := w.doctor(t, 0)
		var first []byte
		cfg.Transport = &between{next: cfg.Transport, path: pathGenIns, request: func(b []byte) []byte {
			if first == nil {
				first = b
			}
			return first
		}}
		p := w.open(t, cfg)
		w.login(t, p)
		if _, err := w.ask(t, p, sandbox.Insured); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // well within the life of the timestamp
		a, err := w.ask(t, p, sandbox.Preferential)
		w.ends(t, a, err, refusedMessage)
		if n := w.sb.State().Counters["genins.answered"]; n != 1 {
			t.Errorf("the platform answered %d times", n)
		}
		time.Sleep(time.Hour) // and long after
		a, err = w.ask(t, p, sandbox.Preferential)
		w.ends(t, a, err, end{fault.Denied, fault.Rejected, "", "SOA-01001"})
	})
}

// security is the real one with something wrong in it.
type security struct {
	tokens     sts.TokenSource
	shift      time.Duration        // of the timestamp
	credential *keystore.Credential // signs instead of the token's
}

func (s security) Secure(ctx context.Context, body []byte) ([]byte, error) {
	tok, err := s.tokens.Token(ctx)
	if err != nil {
		return nil, err
	}
	c := tok.Credential
	if s.credential != nil {
		c = *s.credential
	}
	stamp := wsse.Stamp{Now: time.Now().Add(s.shift)}
	return wsse.HolderOfKey(body, tok.Raw, tok.ID, wsse.Credential{Certificate: c.Certificate, Signer: c.Signer}, stamp)
}

func (security) Refused(context.Context, *fault.Error) bool { return false }

// asker asks with that security, in the name of cfg's caller.
func asker(t *testing.T, cfg ehealth.Config, sec exchange.Security) *insurability.Client {
	t.Helper()
	x, err := exchange.New(exchange.Options{
		HTTP: &http.Client{Transport: cfg.Transport}, Directory: resilience.Static(cfg.Services), UserAgent: "Tests/1.0", From: cfg.Software.Contact,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := insurability.New(x, sec, cfg.Caller, insurability.Software{Name: "Tests", Licence: cfg.Software.Licence})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWrongStamp: timestamps beyond what the platform grants, and within it. A message lives a minute by its own
// Expires, so a slow clock is forgiven less than a fast one.
func TestWrongStamp(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		cfg := w.doctor(t, 0)
		p := w.open(t, cfg)
		w.login(t, p)
		q := insurability.Query{Patient: w.sb.Patient(sandbox.Insured).SSIN}
		for _, shift := range []time.Duration{-time.Hour, -6 * time.Minute, -time.Minute, 6 * time.Minute, 24 * time.Hour} {
			a, err := asker(t, cfg, security{tokens: p.Tokens, shift: shift}).Check(t.Context(), q)
			w.ends(t, a, err, refusedMessage)
		}
		for _, shift := range []time.Duration{-50 * time.Second, 0, 4 * time.Minute} {
			if _, err := asker(t, cfg, security{tokens: p.Tokens, shift: shift}).Check(t.Context(), q); err != nil {
				t.Errorf("%v off: %v", shift, err)
			}
		}
	})
}

// TestStolenToken: the token of one doctor with the key of another.
func TestStolenToken(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		victim, thief := w.doctor(t, 0), w.doctor(t, 1)
		p := w.open(t, victim)
		w.login(t, p)
		key := authentication(t, thief.Identity)
		q := insurability.Query{Patient: w.sb.Patient(sandbox.Insured).SSIN}
		// In the name of the victim, and in his own.
		for _, cfg := range []ehealth.Config{victim, thief} {
			a, err := asker(t, cfg, security{tokens: p.Tokens, credential: &key}).Check(t.Context(), q)
			w.ends(t, a, err, refusedMessage)
		}
		// The token in the hands of its owner, but a question in the name of somebody else.
		a, err := asker(t, thief, security{tokens: p.Tokens}).Check(t.Context(), q)
		w.ends(t, a, err, end{fault.Denied, fault.Rejected, "", "SOA-01002"})
		if n := w.sb.State().Counters["genins.answered"]; n != 0 {
			t.Errorf("the platform answered %d times", n)
		}
	})
}

// TestExpiredToken: what the official connector does, sending a token that is over, ends here before anything is sent.
func TestExpiredToken(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		cfg := w.doctor(t, 0)
		cfg.TokenValidity = time.Hour
		p := w.open(t, cfg)
		tok, err := p.Tokens.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.login(t, p)
		frozen := sts.TokenSourceFunc(func(context.Context) (*sts.Token, error) { return tok, nil })
		time.Sleep(time.Until(tok.NotOnOrAfter))
		q := insurability.Query{Patient: w.sb.Patient(sandbox.Insured).SSIN}
		a, err := asker(t, cfg, sts.HolderOfKey(frozen)).Check(t.Context(), q)
		w.ends(t, a, err, end{fault.Denied, fault.NotSent, "D-AUTH-NONE", ""})
		if n := w.sb.State().Requests["genins"]; n != 0 {
			t.Errorf("%d messages were sent with an expired token", n)
		}
		// Sent all the same, it is refused.
		a, err = asker(t, cfg, security{tokens: frozen}).Check(t.Context(), q)
		w.ends(t, a, err, refusedMessage)
		// The client as it is fetches a new token by itself.
		if _, err := w.ask(t, p, sandbox.Insured); err != nil {
			t.Error(err)
		}
	})
}
