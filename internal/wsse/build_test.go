package wsse_test

import (
	"crypto"
	"errors"
	"flag"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

var update = flag.Bool("update", false, "write testdata anew")

// What differs from message to message, or with the key.
var variable = []*regexp.Regexp{
	regexp.MustCompile(`-[0-9a-f]{32}`),
	regexp.MustCompile(`(<ds:DigestValue>)[^<]*`),
	regexp.MustCompile(`(<ds:SignatureValue>)[^<]*`),
	regexp.MustCompile(`(X509v3">)[^<]+`),
	regexp.MustCompile(`(<ds:X509Certificate>)[^<]*`),
}

// The golden files are the shape of dossier 01 A.6 and C.2, with "…" for what varies.
func TestGoldenMessages(t *testing.T) {
	for name, msg := range map[string]string{
		"x509-rsa":  x509Message(t, rsaID()),
		"x509-ec":   x509Message(t, ec()),
		"hok-rsa":   hokMessage(t, rsaID()),
		"hok-ec384": hokMessage(t, ec384()),
	} {
		for _, v := range variable {
			msg = v.ReplaceAllString(msg, "${1}\u2026")
		}
		file := "testdata/" + name + ".xml"
		if *update {
			if err := os.WriteFile(file, []byte(msg), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if msg != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, msg, want)
		}
	}
}

func TestEmbeddedVerbatim(t *testing.T) {
	odd := "<q  a = '1'\n><![CDATA[x<y]]><!-- kept --></q >"
	tok := strings.Replace(assertion(ec()), "<AttributeStatement>", "\n<AttributeStatement\t>", 1)
	hok, err := wsse.HolderOfKey([]byte(odd), []byte(tok), assertionID, ec().cred, wsse.Stamp{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(hok), ">"+odd+"</soapenv:Body>") || !strings.Contains(string(hok), tok) {
		t.Error("payload or assertion rewritten")
	}
	if _, err := verify(t, string(hok), now); err != nil {
		t.Error(err)
	}
}

func TestEveryMessageIsNew(t *testing.T) {
	a, b := x509Message(t, ec()), x509Message(t, ec())
	for _, part := range []string{"Body", "Timestamp", "BinarySecurityToken", "SecurityTokenReference"} {
		if idOf(t, a, part) == idOf(t, b, part) {
			t.Errorf("two messages with the same id on %s", part)
		}
	}
}

func TestStamp(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 123_999_999, time.FixedZone("", 7200))
	for ttl, want := range map[time.Duration]time.Duration{0: time.Minute, 5 * time.Minute: 5 * time.Minute, 1500 * time.Millisecond: 1500 * time.Millisecond} {
		m, err := wsse.X509([]byte(payload), ec().cred, wsse.Stamp{Now: at, TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		created, _ := find(t, parse(t, string(m)), "Created").Text()
		if created != "2026-07-01T10:00:00.123Z" {
			t.Errorf("created %s", created)
		}
		v, err := verify(t, string(m), at)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Expires.Sub(v.Created); got != want {
			t.Errorf("TTL %v gives a life of %v", ttl, got)
		}
	}
}

type brokenSigner struct{ crypto.Signer }

var errCard = errors.New("card removed")

func (brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errCard }

func TestBuildRefuses(t *testing.T) {
	tok, ok := assertion(ec()), wsse.Stamp{Now: now}
	other := wsse.Credential{Certificate: rsaID().cred.Certificate, Signer: ec().cred.Signer}
	broken := wsse.Credential{Certificate: ec().cred.Certificate, Signer: brokenSigner{ec().key}}
	for name, c := range map[string]struct {
		body, assertion, id string
		cred                wsse.Credential
		stamp               wsse.Stamp
		want                error
	}{
		"no payload":               {"", tok, assertionID, ec().cred, ok, wsse.ErrShape},
		"text payload":             {"x", tok, assertionID, ec().cred, ok, wsse.ErrShape},
		"two payloads":             {"<a/><b/>", tok, assertionID, ec().cred, ok, wsse.ErrShape},
		"unbound prefix":           {"<a:a/>", tok, assertionID, ec().cred, ok, wsse.ErrShape},
		"XML declaration":          {`<?xml version="1.0"?><a/>`, tok, assertionID, ec().cred, ok, wsse.ErrShape},
		"DOCTYPE":                  {`<!DOCTYPE a><a/>`, tok, assertionID, ec().cred, ok, wsse.ErrShape},
		"payload leaves the body":  {"<a/></soapenv:Body><soapenv:Body><b/>", tok, assertionID, ec().cred, ok, wsse.ErrShape},
		"payload ends envelope":    {"<a/></soapenv:Body></soapenv:Envelope><x><y>", tok, assertionID, ec().cred, ok, wsse.ErrShape},
		"no assertion":             {"<a/>", "", assertionID, ec().cred, ok, wsse.ErrShape},
		"two assertions":           {"<a/>", tok + tok, assertionID, ec().cred, ok, wsse.ErrShape},
		"text after the assertion": {"<a/>", tok + "x", assertionID, ec().cred, ok, wsse.ErrShape},
		"assertion leaves header":  {"<a/>", tok + "</wsse:Security><wsse:Security>", assertionID, ec().cred, ok, wsse.ErrShape},
		"another id":               {"<a/>", tok, "_other", ec().cred, ok, wsse.ErrToken},
		"no id":                    {"<a/>", strings.Replace(tok, "AssertionID", "ID", 1), "", ec().cred, ok, wsse.ErrToken},
		"not an assertion":         {"<a/>", `<Assertion AssertionID="x"/>`, "x", ec().cred, ok, wsse.ErrToken},
		"no key":                   {"<a/>", tok, assertionID, wsse.Credential{Certificate: ec().cred.Certificate}, ok, wsse.ErrCredential},
		"no certificate":           {"<a/>", tok, assertionID, wsse.Credential{Signer: ec().key}, ok, wsse.ErrCredential},
		"key of another":           {"<a/>", tok, assertionID, other, ok, wsse.ErrCredential},
		"card removed":             {"<a/>", tok, assertionID, broken, ok, errCard},
		"no time":                  {"<a/>", tok, assertionID, ec().cred, wsse.Stamp{}, wsse.ErrShape},
		"negative life":            {"<a/>", tok, assertionID, ec().cred, wsse.Stamp{Now: now, TTL: -1}, wsse.ErrShape},
	} {
		if m, err := wsse.HolderOfKey([]byte(c.body), []byte(c.assertion), c.id, c.cred, c.stamp); !errors.Is(err, c.want) || m != nil {
			t.Errorf("HolderOfKey, %s: %v, want %v", name, err, c.want)
		}
		if strings.Contains(name, "assertion") || strings.Contains(name, "id") {
			continue
		}
		if m, err := wsse.X509([]byte(c.body), c.cred, c.stamp); !errors.Is(err, c.want) || m != nil {
			t.Errorf("X509, %s: %v, want %v", name, err, c.want)
		}
		if errors.Is(c.want, wsse.ErrShape) && c.body != "<a/>" {
			if m, err := wsse.Plain([]byte(c.body)); !errors.Is(err, wsse.ErrShape) || m != nil {
				t.Errorf("Plain, %s: %v", name, err)
			}
		}
	}
}

func TestPlain(t *testing.T) {
	m, err := wsse.Plain([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	if want := `<soapenv:Envelope xmlns:soapenv="` + soap.NS + `"><soapenv:Body>` + payload + `</soapenv:Body></soapenv:Envelope>`; string(m) != want {
		t.Errorf("%s", m)
	}
	if _, err := verify(t, string(m), now); !errors.Is(err, wsse.ErrNoSecurity) {
		t.Errorf("verified: %v", err)
	}
}
