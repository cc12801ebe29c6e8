package wsse_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

func TestVerifyOurs(t *testing.T) {
	for _, who := range []identity{rsaID(), ec(), ec384()} {
		root := parse(t, x509Message(t, who))
		v, err := wsse.Verify(root, wsse.Policy{Now: now})
		if err != nil {
			t.Fatalf("%s X.509: %v", who.name, err)
		}
		if v.Profile != wsse.X509Token || !v.Certificate.Equal(who.cred.Certificate) || v.Assertion != nil || v.Body != find(t, root, "Body") ||
			!v.Created.Equal(now) || !v.Expires.Equal(now.Add(time.Minute)) {
			t.Errorf("%s X.509: %+v", who.name, v)
		}
		root = parse(t, hokMessage(t, who))
		v, err = wsse.Verify(root, wsse.Policy{Now: now})
		if err != nil {
			t.Fatalf("%s HoK: %v", who.name, err)
		}
		if v.Profile != wsse.HolderOfKeyToken || !v.Certificate.Equal(who.cred.Certificate) || v.Assertion.ID != assertionID || v.Body != find(t, root, "Body") {
			t.Errorf("%s HoK: %+v", who.name, v)
		}
	}
	if s := fmt.Sprint(wsse.X509Token, wsse.HolderOfKeyToken, wsse.Profile(0)); s != "X.509 SAML holder-of-key none" {
		t.Error(s)
	}
}

// What real clients send differs in many ways that do not matter.
func TestVerifyAccepts(t *testing.T) {
	who := ec()
	tok := assertion(who)
	all := []string{"id-1", "TS-1", "X509-1"}
	local := `<wsu:Created>2026-01-01T11:00:00+01:00</wsu:Created><wsu:Expires>2026-01-01T11:05:00+01:00</wsu:Expires>`
	millis := "<wsu:Created>\n2026-01-01T10:00:00.123Z </wsu:Created>\n<wsu:Expires>2026-01-01T10:01:00.123Z</wsu:Expires>"
	cert := b64(who.cred.Certificate)
	wrapped := bstOpen + "\n" + cert[:64] + "&#13;\n" + cert[64:] + "\r\n</wsse:BinarySecurityToken>"
	for name, l := range map[string]layout{
		"the connector's order":            {before: "%TS%" + bst(who), ids: all},
		"references in another order":      {before: "%TS%" + bst(who), ids: []string{"X509-1", "TS-1", "id-1"}},
		"token first":                      {before: bst(who) + "%TS%", ids: all},
		"signature first":                  {after: bst(who) + "%TS%", ids: all},
		"token after the signature":        {before: "%TS%", after: bst(who), ids: all},
		"white space in Security":          {before: "\n  %TS%\n " + bst(who) + " ", ids: all},
		"seconds":                          {before: "%TS%" + bst(who), ids: all, timestamp: aMinute},
		"milliseconds and white space":     {before: "%TS%" + bst(who), ids: all, timestamp: millis},
		"local offset":                     {before: "%TS%" + bst(who), ids: all, timestamp: local},
		"InclusiveNamespaces":              {before: "%TS%" + bst(who), ids: all, prefixes: []string{"S", "wsse", "xsd", "#default"}},
		"token with line breaks":           {before: "%TS%" + wrapped, ids: all},
		"token without EncodingType":       {before: "%TS%" + strings.Replace(bst(who), ` EncodingType="`+wsse.EncodingBase64+`"`, "", 1), ids: all},
		"reference without ValueType":      {before: "%TS%" + bst(who), ids: all, str: `<wsse:SecurityTokenReference><wsse:Reference URI="#X509-1"/></wsse:SecurityTokenReference>`},
		"assertion":                        {before: "%TS%" + tok, ids: []string{"TS-1", "id-1"}, str: samlSTR},
		"assertion last":                   {before: "%TS%", after: tok, ids: []string{"id-1", "TS-1"}, str: samlSTR, prefixes: []string{"wsu", "S"}},
		"assertion without TokenType":      {before: "%TS%" + tok, ids: []string{"TS-1", "id-1"}, str: strings.Replace(samlSTR, ` wsse11:TokenType="`+wsse.TokenSAML11+`"`, "", 1)},
		"white space in the KeyIdentifier": {before: "%TS%" + tok, ids: []string{"TS-1", "id-1"}, str: strings.Replace(samlSTR, assertionID, "\n"+assertionID+" ", 1)},
		"more signed than needed":          {before: "%TS%" + bst(who), ids: append(all, "extra"), body: `<S:Body wsu:Id="id-1"><p wsu:Id="extra"/></S:Body>`},
	} {
		if _, err := verify(t, l.sign(t, who), now.Add(time.Second)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSHA1OnlyOnRequest(t *testing.T) {
	doc := edit(t, x509Message(t, rsaID()), dsig.RSASHA256, dsig.RSASHA1)
	if _, err := verify(t, doc, now); !errors.Is(err, dsig.ErrAlgorithm) {
		t.Errorf("by default: %v", err)
	}
	// The value was made with SHA-256, so it is the signature that is now wrong, no longer the algorithm.
	if _, err := wsse.Verify(parse(t, doc), wsse.Policy{Now: now, AllowSHA1: true}); !errors.Is(err, dsig.ErrSignature) {
		t.Errorf("when allowed: %v", err)
	}
}

func TestTimestamps(t *testing.T) {
	who := ec()
	long := `<wsu:Created>2026-01-01T10:00:00Z</wsu:Created><wsu:Expires>2026-01-01T12:00:00Z</wsu:Expires>`
	hour := layout{before: "%TS%" + bst(who), ids: []string{"id-1", "TS-1", "X509-1"}, timestamp: long}.sign(t, who)
	minute := x509Message(t, who)
	for name, c := range map[string]struct {
		doc    string
		policy wsse.Policy
		want   error
	}{
		"at once":                           {minute, wsse.Policy{Now: now}, nil},
		"just before Expires":               {minute, wsse.Policy{Now: now.Add(time.Minute - 1)}, nil},
		"at Expires":                        {minute, wsse.Policy{Now: now.Add(time.Minute)}, wsse.ErrExpired},
		"long after Expires":                {minute, wsse.Policy{Now: now.Add(time.Hour)}, wsse.ErrExpired},
		"MaxAge does not prolong":           {minute, wsse.Policy{Now: now.Add(2 * time.Minute), MaxAge: time.Hour}, wsse.ErrExpired},
		"five minutes old":                  {hour, wsse.Policy{Now: now.Add(5 * time.Minute)}, nil},
		"older, whatever Expires says":      {hour, wsse.Policy{Now: now.Add(5*time.Minute + 1)}, wsse.ErrExpired},
		"a longer MaxAge":                   {hour, wsse.Policy{Now: now.Add(time.Hour), MaxAge: 90 * time.Minute}, nil},
		"no MaxAge":                         {hour, wsse.Policy{Now: now.Add(119 * time.Minute), MaxAge: -1}, nil},
		"no MaxAge, expired":                {hour, wsse.Policy{Now: now.Add(2 * time.Hour), MaxAge: -1}, wsse.ErrExpired},
		"sender's clock five minutes ahead": {minute, wsse.Policy{Now: now.Add(-5 * time.Minute)}, nil},
		"sender's clock further ahead":      {minute, wsse.Policy{Now: now.Add(-5*time.Minute - 1)}, wsse.ErrFuture},
		"a shorter Skew":                    {minute, wsse.Policy{Now: now.Add(-time.Minute), Skew: time.Second}, wsse.ErrFuture},
		"no Skew":                           {minute, wsse.Policy{Now: now.Add(-1), Skew: -1}, wsse.ErrFuture},
		"no Skew, in time":                  {minute, wsse.Policy{Now: now, Skew: -1}, nil},
	} {
		if _, err := wsse.Verify(parse(t, c.doc), c.policy); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMalformedTimestamps(t *testing.T) {
	who := ec()
	const created, expires = `<wsu:Created>2026-01-01T10:00:00Z</wsu:Created>`, `<wsu:Expires>2026-01-01T10:01:00Z</wsu:Expires>`
	for name, content := range map[string]string{
		"missing Expires":        created,
		"missing Created":        expires,
		"empty":                  " ",
		"other order":            expires + created,
		"two Created":            created + created + expires,
		"two Expires":            created + expires + expires,
		"something else":         created + expires + "<x/>",
		"no offset":              strings.Replace(created, "Z<", "<", 1) + expires,
		"no time":                "<wsu:Created/>" + expires,
		"Expires before Created": created + strings.Replace(expires, "10:01", "09:59", 1),
		"element in Created":     strings.Replace(created, "2026", "<b/>2026", 1) + expires,
	} {
		doc := layout{before: "%TS%" + bst(who), ids: []string{"id-1", "TS-1", "X509-1"}, timestamp: content}.sign(t, who)
		if _, err := verify(t, doc, now); !errors.Is(err, wsse.ErrShape) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cache of what was seen, as a server would have.
type seen struct {
	sync.Mutex
	until map[string]time.Time
}

func (s *seen) replay(key string, expires time.Time) bool {
	s.Lock()
	defer s.Unlock()
	_, again := s.until[key]
	s.until[key] = expires
	return again
}

func TestReplay(t *testing.T) {
	s := &seen{until: map[string]time.Time{}}
	p := wsse.Policy{Now: now, Replay: s.replay}
	for _, msg := range []string{x509Message(t, rsaID()), x509Message(t, ec()), hokMessage(t, ec())} {
		if _, err := wsse.Verify(parse(t, msg), p); err != nil {
			t.Fatal(err)
		}
		if _, err := wsse.Verify(parse(t, msg), p); !errors.Is(err, wsse.ErrReplay) {
			t.Errorf("the same message: %v", err)
		}
		if _, err := wsse.Verify(parse(t, strings.Replace(msg, "<soapenv:Header>", "<soapenv:Header>\n", 1)), p); !errors.Is(err, wsse.ErrReplay) {
			t.Errorf("with another space: %v", err)
		}
	}
	for key, until := range s.until {
		if !until.Equal(now.Add(time.Minute)) || len(key) < 32 {
			t.Errorf("remember %q until %v", key, until)
		}
	}
	n := len(s.until)
	if _, err := wsse.Verify(parse(t, edit(t, x509Message(t, ec()), "<Patient>caf", "<Patient>cof")), p); !errors.Is(err, dsig.ErrDigest) || len(s.until) != n {
		t.Errorf("a refused message must not be remembered: %v", err)
	}
}

// From a valid ECDSA value (r, s) anyone makes the valid value (r, n-s).
func TestReplayWithMalleatedSignature(t *testing.T) {
	s := &seen{until: map[string]time.Time{}}
	p := wsse.Policy{Now: now, Replay: s.replay}
	msg := x509Message(t, ec())
	text, _ := find(t, parse(t, msg), "SignatureValue").Text()
	raw, _ := base64.StdEncoding.DecodeString(text)
	low := new(big.Int).SetBytes(raw[32:])
	new(big.Int).Sub(elliptic.P256().Params().N, low).FillBytes(raw[32:])
	twin := edit(t, msg, text, base64.StdEncoding.EncodeToString(raw))
	if _, err := verify(t, twin, now); err != nil {
		t.Fatalf("the test proves nothing: %v", err)
	}
	if _, err := wsse.Verify(parse(t, msg), p); err != nil {
		t.Fatal(err)
	}
	if _, err := wsse.Verify(parse(t, twin), p); !errors.Is(err, wsse.ErrReplay) {
		t.Errorf("the twin: %v", err)
	}
}

func TestReplayHorizon(t *testing.T) {
	who := ec()
	long := `<wsu:Created>2026-01-01T10:00:00Z</wsu:Created><wsu:Expires>2026-01-01T12:00:00Z</wsu:Expires>`
	doc := layout{before: "%TS%" + bst(who), ids: []string{"id-1", "TS-1", "X509-1"}, timestamp: long}.sign(t, who)
	for age, want := range map[time.Duration]time.Duration{0: 5*time.Minute + 1, time.Hour: time.Hour + 1, -1: 2 * time.Hour, 3 * time.Hour: 2 * time.Hour} {
		var until time.Time
		_, err := wsse.Verify(parse(t, doc), wsse.Policy{Now: now, MaxAge: age, Replay: func(_ string, e time.Time) bool { until = e; return false }})
		if err != nil || until.Sub(now) != want {
			t.Errorf("MaxAge %v: remember for %v, %v", age, until.Sub(now), err)
		}
		// From that instant on the message is refused anyway, not before.
		if _, err := wsse.Verify(parse(t, doc), wsse.Policy{Now: until, MaxAge: age}); !errors.Is(err, wsse.ErrExpired) {
			t.Errorf("MaxAge %v: at the horizon: %v", age, err)
		}
		if _, err := wsse.Verify(parse(t, doc), wsse.Policy{Now: until.Add(-1), MaxAge: age}); err != nil {
			t.Errorf("MaxAge %v: before the horizon: %v", age, err)
		}
	}
}
