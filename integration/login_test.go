package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sts"
)

// TestLogin logs in in every role and checks what was granted against the claims of the quality (dossier 01 A.12).
func TestLogin(t *testing.T) {
	for _, c := range []struct {
		role       string
		challenged bool     // the one who identifies is not the holder of the key
		granted    []string // claims without which the quality is worth nothing
	}{
		{"", false, []string{"urn:be:fgov:person:ssin"}},
		{"doctor", false, []string{"urn:be:fgov:person:ssin:doctor:boolean", "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11"}},
		{"dentist", false, []string{"urn:be:fgov:person:ssin:ehealth:1.0:nihii:dentist:nihii11"}},
		{"nurse", false, []string{"urn:be:fgov:person:ssin:ehealth:1.0:nihii:nurse:nihii11"}},
		{"midwife", false, []string{"urn:be:fgov:person:ssin:ehealth:1.0:nihii:midwife:nihii11"}},
		{"physiotherapist", false, []string{"urn:be:fgov:person:ssin:ehealth:1.0:nihii:physiotherapist:nihii11"}},
		{"logopedist", false, []string{"urn:be:fgov:person:ssin:ehealth:1.0:nihii:logopedist:nihii11"}},
		{"pharmacist", true, []string{
			"urn:be:fgov:person:ssin", "urn:be:fgov:ehealth:1.0:pharmacy:nihii-number:recognisedpharmacy:boolean",
			"urn:be:fgov:person:ssin:ehealth:1.0:pharmacy-holder:certified:nihii11",
		}},
		{"hospital", false, []string{"urn:be:fgov:ehealth:1.0:hospital:nihii-number:recognisedhospital:nihii11"}},
		{"medicalhouse", false, []string{"urn:be:fgov:ehealth:1.0:medicalhouse:nihii-number:recognisedmedicalhouse:nihii11"}},
		{"guardpost", false, []string{"urn:be:fgov:ehealth:1.0:guardpost:nihii-number:recognisedguardpost:nihii11"}},
		{"groupofnurses", false, []string{"urn:be:fgov:ehealth:1.0:groupofnurses:nihii-number:recognisedgroupofnurses:nihii11"}},
	} {
		t.Run(or(c.role, "caller of the file"), func(t *testing.T) {
			p := open(t, c.role, nil)
			before := 0
			if inSandbox() {
				before = counted(t).Counters["sts.challenged"]
			}
			tok, err := p.Tokens.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range c.granted {
				if !tok.Has(name) {
					t.Errorf("%s was not granted", name)
				}
			}
			if inSandbox() && len(tok.Refused) > 0 { // elsewhere rights are what they are
				t.Errorf("refused: %v", tok.Refused)
			}
			validToken(t, tok)
			if inSandbox() {
				if n := counted(t).Counters["sts.challenged"] - before; (n == 1) != c.challenged {
					t.Errorf("%d challenges", n)
				}
			}
			again, err := p.Tokens.Token(t.Context())
			if err != nil || again != tok {
				t.Errorf("a second login was made although the token is good: %v", err)
			}
		})
	}
}

// validToken checks what every token promises.
func validToken(t *testing.T, tok *sts.Token) {
	t.Helper()
	now := time.Now()
	switch {
	case tok.Issuer != sts.Issuer:
		t.Errorf("issuer is %s", tok.Issuer)
	case !tok.Valid(now, 0) || now.Before(tok.NotBefore):
		t.Errorf("valid from %v to %v, it is %v", tok.NotBefore, tok.NotOnOrAfter, now)
	case tok.NotOnOrAfter.After(now.Add(sts.DefaultValidity + sts.DefaultSkew)):
		t.Errorf("lives until %v, longer than asked", tok.NotOnOrAfter)
	case len(tok.Raw) == 0 || tok.ID == "" || !strings.Contains(string(tok.Raw), tok.ID):
		t.Error("token and id do not belong together")
	case tok.Credential.Signer == nil:
		t.Error("token without the key it is bound to")
	}
}

// TestRenew exchanges a token for a newer one of the same holder.
func TestRenew(t *testing.T) {
	for _, role := range []string{"", "pharmacist"} {
		t.Run(or(role, "caller of the file"), func(t *testing.T) {
			client, id := stsClient(t, config(t, role))
			tok, err := client.Issue(t.Context(), sts.Request{Identity: id})
			if err != nil {
				t.Fatal(err)
			}
			next, err := client.Renew(t.Context(), tok)
			if err != nil {
				t.Fatal(err)
			}
			validToken(t, next)
			if next.ID == tok.ID || next.NotOnOrAfter.Before(tok.NotOnOrAfter) {
				t.Errorf("renewed until %v, the old token lives until %v", next.NotOnOrAfter, tok.NotOnOrAfter)
			}
			if a, b := names(tok), names(next); !slices.Equal(a, b) {
				t.Errorf("claims changed from %v to %v", a, b)
			}
		})
	}
}

func names(tok *sts.Token) (out []string) {
	for _, a := range tok.Attributes {
		out = append(out, a.Name)
	}
	slices.Sort(out)
	return out
}

// stsClient is the login client behind a Platform, for what its cache does not offer.
func stsClient(t *testing.T, cfg ehealth.Config) (*sts.Client, sts.Identity) {
	t.Helper()
	p, err := ehealth.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	full := p.Config()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	transport := &http11{roots: cfg.Trust.TLS}
	t.Cleanup(transport.close)
	x, err := exchange.New(exchange.Options{
		HTTP: transport.client(), Directory: resilience.Static(full.Services), UserAgent: "Integration/1.0", From: "support@example.be",
	})
	if err != nil {
		t.Fatal(err)
	}
	hok := authentication(t, cfg.Identity)
	login := hok
	if cfg.Login != nil {
		login = authentication(t, cfg.Login)
	}
	client, err := sts.New(x, sts.Config{
		Identification: login, HolderOfKey: hok, Trust: sts.Trust{Roots: cfg.Trust.STS, SignerCN: cfg.Trust.STSSigner},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, full.Session
}

func authentication(t *testing.T, src keystore.Source) keystore.Credential {
	t.Helper()
	store, err := src.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	c, err := store.Authentication()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// TestSharedLogin: however many ask at once, the STS is asked once.
func TestSharedLogin(t *testing.T) {
	p := open(t, "", nil)
	before := 0
	if inSandbox() {
		before = counted(t).Effects["sts.issued"]
	}
	const callers = 20
	tokens := make(chan *sts.Token, callers)
	for range callers {
		go func() {
			tok, err := p.Tokens.Token(t.Context())
			if err != nil {
				t.Error(err)
			}
			tokens <- tok
		}()
	}
	first := <-tokens
	for range callers - 1 {
		if tok := <-tokens; tok != first {
			t.Error("two tokens were given out")
		}
	}
	if inSandbox() {
		if n := counted(t).Effects["sts.issued"] - before; n != 1 {
			t.Errorf("the STS issued %d tokens", n)
		}
	}
}

// TestClaimsRefused asks for what the caller is not: the claim is reported as data, and the login stands.
func TestClaimsRefused(t *testing.T) {
	client, id := stsClient(t, config(t, ""))
	if id.Quality != identity.Doctor {
		skip(t, "the caller of the file is not a doctor")
	}
	const other = "urn:be:fgov:person:ssin:ehealth:1.0:nihii:dentist:nihii11"
	tok, err := client.Issue(t.Context(), sts.Request{Identity: id, Extra: []sts.Claim{{Namespace: sts.NSCertified, Name: other}}})
	if err != nil {
		t.Fatal(err)
	}
	reported := slices.ContainsFunc(tok.Refused, func(c sts.Claim) bool { return c.Name == other })
	if tok.Has(other) || !reported || inSandbox() && len(tok.Refused) != 1 {
		t.Errorf("refused: %v", tok.Refused)
	}
}

// sessionOf is who logs in with a configuration.
func sessionOf(c ehealth.Config) sts.Identity {
	if c.Session.Quality != "" {
		return c.Session
	}
	return sts.Identity{Quality: c.Caller.Quality, SSIN: c.Caller.SSIN, NIHII: c.Caller.NIHII}
}
