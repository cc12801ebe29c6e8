package sandbox

import (
	"bytes"
	"context"
	"crypto/x509"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// SOAPActions of the STS (dossier 01 A.2).
const (
	actionIssue     = "urn:be:fgov:ehealth:sts:protocol:v1:RequestSecurityToken"
	actionChallenge = "urn:be:fgov:ehealth:sts:protocol:v1:Challenge"
)

var trustOperations = []operation{
	{qname{nsTrust, "RequestSecurityToken"}, []string{actionIssue}},
	{qname{nsTrust, "RequestSecurityTokenResponse"}, []string{actionChallenge}},
}

// maxTokenLife is the longest life of a token; more is capped, not refused (dossier 01 A.13).
const maxTokenLife = 24 * time.Hour

// tokenOrder is a token that may be issued once the holder-of-key has shown that it holds its key.
type tokenOrder struct {
	context string
	ident   *x509.Certificate // who identified
	key     *x509.Certificate // UseKey
	claims  []attribute
	until   time.Time // asked for; zero = as long as the STS grants
}

// trust is the WS-Trust 1.3 door of the STS (dossier 01 A.5): Issue and Renew with a holder-of-key, and the challenge
// round when the key differs from the one that signs the message.
func (v *services) trust(_ context.Context, s *Sandbox, rq *request) *response {
	m, op, r := open(rq, trustOperations)
	if r != nil {
		return v.fault(s, rq, r)
	}
	cert, r := v.identified(s, rq, m, false)
	if r != nil {
		return v.fault(s, rq, r)
	}
	if op.payload.local == "RequestSecurityTokenResponse" {
		return v.challengeAnswered(s, rq, m.Payload, cert)
	}
	o, r := v.order(s, rq, m.Payload, cert)
	if r != nil {
		return v.fault(s, rq, r)
	}
	if !bytes.Equal(o.key.Raw, cert.Raw) {
		return v.challenge(s, rq, o)
	}
	return v.issue(s, rq, o)
}

// identified authenticates the signer of an STS message: X.509 profile, one of our certificates, valid now, and no
// fault script that refuses it.
func (v *services) identified(s *Sandbox, rq *request, m *soap.Message, allowSHA1 bool) (*x509.Certificate, *refused) {
	got, r := v.verify(rq, m, wsse.X509Token, allowSHA1)
	if r != nil {
		return nil, r
	}
	eid, r := chained(s, got.Certificate, rq.At)
	if r != nil {
		return nil, r
	}
	if code, no := s.refusal(rq.Service, eid); no {
		return nil, &refused{code: code, wst: "FailedAuthentication"}
	}
	return got.Certificate, nil
}

// order reads a RequestSecurityToken and decides whether its token may be issued.
func (v *services) order(s *Sandbox, rq *request, rst *xmltree.Node, cert *x509.Certificate) (*tokenOrder, *refused) {
	q, r := parseRST(rst)
	if r != nil {
		return nil, r
	}
	if q.renew != nil {
		return renewal(s, rq, q, cert)
	}
	o := &tokenOrder{context: q.context, ident: cert, key: q.useKey, until: q.expires}
	if _, r := chained(s, q.useKey, rq.At); r != nil {
		return nil, r
	}
	if q.created.After(rq.At.Add(clockSkew)) || !q.expires.After(q.created) || !q.expires.After(rq.At) {
		return nil, &refused{code: "SOA-03007", why: "Lifetime is not a time range that a token can have", wst: "InvalidTimeRange"}
	}
	o.claims, r = s.grant(cert, q.useKey, q.claims)
	return o, r
}

// renewal decides about a Renew: the old assertion must be ours, unchanged, in force, and held by the same person.
func renewal(s *Sandbox, rq *request, q *rst, cert *x509.Certificate) (*tokenOrder, *refused) {
	old, err := saml.Parse(q.renew)
	if err != nil {
		return nil, &refused{code: "SOA-03007", why: "RenewTarget holds no SAML 1.1 assertion", wst: "BadRequest"}
	}
	if r := s.trusts(old, rq.At); r != nil {
		return nil, &refused{code: "SOA-01002", why: "token cannot be renewed: " + r.why, wst: "UnableToRenew"}
	}
	if old.HolderOfKey == nil || old.Subject != dnText(cert.RawSubject) {
		return nil, &refused{code: "SOA-01002", why: "token of somebody else", wst: "UnableToRenew"}
	}
	if _, r := chained(s, old.HolderOfKey, rq.At); r != nil {
		return nil, r
	}
	o := &tokenOrder{context: q.context, ident: cert, key: old.HolderOfKey}
	for _, a := range old.Attributes {
		o.claims = append(o.claims, attribute{a.Namespace, a.Name, a.Values})
	}
	return o, nil
}

// issue makes the token and answers with it.
func (v *services) issue(s *Sandbox, rq *request, o *tokenOrder) *response {
	token, until, err := s.newAssertion(o, rq.At)
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "assertion not signed"))
	}
	w := startRSTR(o.context)
	w.Leaf("wst", "TokenType", tokenTypeSAML11)
	w.Start("wst", "RequestedSecurityToken")
	w.Raw(token)
	w.End()
	w.Start("wst", "Lifetime")
	w.Start("wsu", "Created")
	w.NS("wsu", wsse.NSWSU)
	w.Text(wireTime(rq.At))
	w.End()
	w.Start("wsu", "Expires")
	w.NS("wsu", wsse.NSWSU)
	w.Text(wireTime(until))
	w.End()
	w.End()
	w.End()
	payload, err := w.Bytes()
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	out := v.answer(s, rq, nil, payload, askerKey(o.key, ""))
	out.Effect = "sts.issued"
	return out
}

// startRSTR opens a RequestSecurityTokenResponse. The WSDL of eHealth wants it bare, not in a collection (A.2).
func startRSTR(context string) *xmltree.Writer {
	w := xmltree.NewWriter()
	w.Start("wst", "RequestSecurityTokenResponse")
	w.NS("wst", nsTrust)
	if context != "" {
		w.Attr("", "Context", context)
	}
	return w
}
