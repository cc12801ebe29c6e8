package sandbox

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

// clockSkew is what the platform grants between two clocks (dossier 01 H.3: five minutes, inferred).
const clockSkew = 5 * time.Minute

// stsIssuer is the Issuer of every assertion (dossier 01 A.4).
const stsIssuer = "urn:be:fgov:ehealth:sts:1_0"

var base64Std = base64.StdEncoding.Strict()

func dropSpace(r rune) rune {
	switch r {
	case ' ', '\t', '\r', '\n':
		return -1
	}
	return r
}

// replayGuard remembers signature values until the messages that bore them have expired.
type replayGuard struct {
	mu   sync.Mutex
	seen map[string]time.Time
	next int // size at which the map is swept again
}

// replayFloor is the size below which sweeping is not worth it.
const replayFloor = 1024

// again reports whether value was seen before and is remembered from now on. The same message at another address
// counts as another message: the alternates are other systems.
func (g *replayGuard) again(where, value string, expires, now time.Time) bool {
	key := where + "\x00" + value
	g.mu.Lock()
	defer g.mu.Unlock()
	if until, ok := g.seen[key]; ok && now.Before(until) {
		return true
	}
	if g.seen == nil {
		g.seen, g.next = map[string]time.Time{}, replayFloor
	}
	if len(g.seen) >= g.next {
		for k, until := range g.seen {
			if !now.Before(until) {
				delete(g.seen, k)
			}
		}
		g.next = max(2*len(g.seen), replayFloor)
	}
	g.seen[key] = expires
	return false
}

// verify checks the WS-Security header of m: timestamp, signature, what it covers, and that it was not seen before.
func (v *services) verify(rq *request, m *soap.Message, profile wsse.Profile, allowSHA1 bool) (*wsse.Verified, *refused) {
	got, err := wsse.Verify(m.Root, wsse.Policy{
		Now: rq.At, MaxAge: clockSkew, Skew: clockSkew, AllowSHA1: allowSHA1,
		Replay: func(value string, expires time.Time) bool { return v.replays.again(rq.Path, value, expires, rq.At) },
	})
	if err != nil {
		return nil, notAuthenticated(err)
	}
	if got.Profile != profile {
		return nil, &refused{code: "SOA-01001", why: "security token of another kind expected", wst: "FailedAuthentication"}
	}
	return got, nil
}

// notAuthenticated turns an error of the wire packages into SOA-01001 with the reason in words of ours.
func notAuthenticated(err error) *refused {
	r := &refused{code: "SOA-01001", why: "security header not accepted", wst: "FailedAuthentication"}
	for _, c := range []struct {
		err error
		why string
	}{
		{wsse.ErrNoSecurity, "no security header"},
		{wsse.ErrExpired, "timestamp expired"},
		{wsse.ErrFuture, "timestamp lies in the future"},
		{wsse.ErrReplay, "message was received before"},
		{wsse.ErrToken, "security token not accepted"},
		{dsig.ErrDuplicateID, "an id occurs twice"},
		{dsig.ErrDigest, "signed content was changed"},
		{dsig.ErrSignature, "signature value is wrong"},
		{dsig.ErrAlgorithm, "algorithm not accepted"},
		{dsig.ErrReference, "signature reference not accepted"},
		{dsig.ErrKey, "signing key not accepted"},
		{wsse.ErrShape, "security header is not as the profile asks"},
	} {
		if errors.Is(err, c.err) {
			r.why = c.why
			break
		}
	}
	return r
}

// chained checks that a certificate is one of the sandbox's own and valid now.
func chained(s *Sandbox, cert *x509.Certificate, now time.Time) (eid bool, r *refused) {
	eid, err := s.pki.clientChain(cert, now)
	switch {
	case err == nil:
		return eid, nil
	case errors.Is(err, errCertExpired):
		return eid, &refused{code: "SOA-01001", why: "certificate not valid at this time", wst: "InvalidSecurityToken"}
	}
	return eid, &refused{code: "SOA-01001", why: "certificate not accepted", wst: "InvalidSecurityToken"}
}

// caller is who asks a business service, as proven by the token.
type caller struct {
	token *saml.Assertion
	cert  *x509.Certificate
	eid   bool // identified with an identity card
}

// claim is the first value of a claim, "" when it was not granted.
func (c *caller) claim(name string) string {
	values, ok := c.token.Attribute(name)
	if !ok || len(values) == 0 {
		return ""
	}
	return values[0]
}

// holderOfKey authenticates a business call: header, then token, then whether fault scripts refuse callers now.
func (v *services) holderOfKey(s *Sandbox, rq *request, m *soap.Message) (*caller, *refused) {
	if s.replays.Load() {
		v = newServices() // that have not seen anything
	}
	got, r := v.verify(rq, m, wsse.HolderOfKeyToken, false)
	if r != nil {
		return nil, r
	}
	if r := s.trusts(got.Assertion, rq.At); r != nil {
		return nil, r
	}
	if _, r := chained(s, got.Certificate, rq.At); r != nil {
		return nil, r
	}
	c := &caller{token: got.Assertion, cert: got.Certificate}
	c.eid = strings.Contains(got.Assertion.Subject, "SERIALNUMBER=")
	if code, no := s.refusal(rq.Service, c.eid); no {
		return nil, refuse(code, "")
	}
	return c, nil
}

// trusts checks that the sandbox's STS issued a and that it may be used now.
func (s *Sandbox) trusts(a *saml.Assertion, now time.Time) *refused {
	trust := saml.Trust{Roots: s.pki.roots(), Issuer: stsIssuer, SignerCN: isSTSSigner}
	switch err := a.Verify(trust, now); {
	case err != nil:
		return &refused{code: "SOA-01001", why: "token not issued by the STS, or changed", wst: "InvalidSecurityToken"}
	case now.Before(a.NotBefore):
		return &refused{code: "SOA-01001", why: "token not valid yet", wst: "InvalidSecurityToken"}
	case !now.Before(a.NotOnOrAfter):
		return &refused{code: "SOA-01001", why: "token expired", wst: "ExpiredData"}
	}
	return nil
}

// isSTSSigner accepts the common name of the certificate that signs assertions (dossier 01 A.8).
func isSTSSigner(cn string) bool { return strings.HasPrefix(cn, "CBE="+eHealthCBE+", IAM") }

// certHolder is whom a certificate names (dossier 01 B.4).
type certHolder struct {
	typ, number string // "SSIN", "CBE", "NIHII-PHARMACY", …
	eid         bool
}

// certHolderOf reads the subject: the OU of the form TYPE=digits, or the SERIALNUMBER of an identity card.
func certHolderOf(cert *x509.Certificate) certHolder {
	if n := cert.Subject.SerialNumber; n != "" {
		return certHolder{"SSIN", n, true}
	}
	for _, ou := range cert.Subject.OrganizationalUnit {
		typ, number, ok := strings.Cut(ou, "=")
		if ok && holderType(typ) && number != "" && strings.Trim(number, "0123456789") == "" {
			return certHolder{typ, number, false}
		}
	}
	return certHolder{}
}

func holderType(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-|_") == ""
}
