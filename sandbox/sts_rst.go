package sandbox

import (
	"crypto/x509"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Namespaces and constants of WS-Trust as eHealth uses it (dossier 01 A.3, A.4).
const (
	nsTrust = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	nsAuth  = "http://docs.oasis-open.org/wsfed/authorization/200706"

	tokenTypeSAML11 = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"
	requestIssue    = nsTrust + "/Issue"
	requestRenew    = nsTrust + "/Renew"
	claimsDialect   = nsAuth + "/authclaims"
	keyTypePublic   = nsTrust + "/PublicKey"
	// keyTypeSent lacks the hyphen of ws-trust: what every known client sends.
	keyTypeSent = "http://docs.oasis-open.org/ws-sx/wstrust/200512/PublicKey"
)

// issueType and renewType are the two shapes of a RequestSecurityToken. The real schema is a wildcard; these are the
// templates of the clients, whose child order is fixed (A.5.1, A.5.4).
var issueType, renewType, challengeType = func() (issue, renew, challenge *xsType) {
	uri := xsLeaf(xsAnyURI)
	dateTime := &xsType{name: qname{wsse.NSWSU, "AttributedDateTime"}, simple: xsDateTime, foreign: true}
	claim := &xsType{
		name: qname{nsAuth, "ClaimType"}, foreign: true,
		attrs: []xsAttr{{local: "Uri", typ: xsAnyURI, required: true}, {local: "Optional", typ: xsBoolean}},
		seq:   []xsParticle{xsOpt(nsAuth, "Value", xsLeaf(xsString))},
	}
	reference := func(inner ...xsParticle) *xsType {
		str := &xsType{name: qname{wsse.NSWSSE, "SecurityTokenReferenceType"}, foreign: true, seq: inner}
		return &xsType{seq: []xsParticle{xsOne(wsse.NSWSSE, "SecurityTokenReference", str)}}
	}
	context := []xsAttr{{local: "Context", typ: xsAnyURI}}
	name := qname{nsTrust, "RequestSecurityTokenType"}
	issue = &xsType{name: name, attrs: context, foreign: true, seq: []xsParticle{
		xsOne(nsTrust, "TokenType", uri),
		xsOne(nsTrust, "RequestType", uri),
		xsOne(nsTrust, "Claims", &xsType{
			name: qname{nsTrust, "ClaimsType"}, foreign: true,
			attrs: []xsAttr{{local: "Dialect", typ: xsAnyURI, required: true}},
			seq:   []xsParticle{xsMany(nsAuth, "ClaimType", claim)},
		}),
		xsOne(nsTrust, "Lifetime", &xsType{name: qname{nsTrust, "LifetimeType"}, seq: []xsParticle{
			xsOne(wsse.NSWSU, "Created", dateTime),
			xsOne(wsse.NSWSU, "Expires", dateTime),
		}}),
		xsOne(nsTrust, "KeyType", uri),
		xsOne(nsTrust, "UseKey", reference(xsOne(dsig.NS, "X509Data", &xsType{seq: []xsParticle{
			xsOne(dsig.NS, "X509Certificate", xsLeaf(xsBase64)),
		}}))),
	}}
	renew = &xsType{name: name, attrs: context, foreign: true, seq: []xsParticle{
		xsOne(nsTrust, "TokenType", uri),
		xsOne(nsTrust, "RequestType", uri),
		xsOne(nsTrust, "RenewTarget", reference(xsOne(wsse.NSWSSE, "Embedded", &xsType{
			name: qname{wsse.NSWSSE, "EmbeddedType"}, foreign: true,
			attrs: []xsAttr{{local: "ValueType", typ: xsAnyURI}},
			seq:   []xsParticle{xsOne(saml.NS, "Assertion", &xsType{any: true})},
		}))),
	}}
	challenge = &xsType{
		name: qname{nsTrust, "RequestSecurityTokenResponseType"}, attrs: context, foreign: true,
		seq: []xsParticle{xsOne(nsTrust, "SignChallengeResponse", &xsType{
			name: qname{nsTrust, "SignChallengeType"}, foreign: true,
			seq: []xsParticle{xsOne(nsTrust, "Challenge", xsLeaf(xsString))},
		})},
	}
	return issue, renew, challenge
}()

// rst is a RequestSecurityToken.
type rst struct {
	context          string
	claims           []claimAsked
	created, expires time.Time
	useKey           *x509.Certificate
	renew            *xmltree.Node // the old assertion; nil for Issue
}

// claimAsked is one ClaimType: asserted when it has a value, else asked for.
type claimAsked struct {
	name     string
	values   []string
	asserted bool
}

func badRST(why string) *refused { return &refused{code: "SOA-03007", why: why, wst: "BadRequest"} }

// parseRST reads a RequestSecurityToken for Issue with a holder-of-key, or for Renew.
func parseRST(n *xmltree.Node) (*rst, *refused) {
	q := &rst{}
	q.context, _ = n.Attr("", "Context")
	kind := collapse(textOf(n.Child(nsTrust, "RequestType")))
	shape := issueType
	if kind == requestRenew {
		shape = renewType
	}
	if n.Child(nsTrust, "OnBehalfOf") != nil {
		return nil, badRST("sender-vouches tokens are not issued here")
	}
	if r := conforms(n, shape); r != nil {
		return nil, r
	}
	if collapse(textOf(n.Child(nsTrust, "TokenType"))) != tokenTypeSAML11 {
		return nil, badRST("TokenType is not SAML 1.1")
	}
	switch kind {
	case requestRenew:
		q.renew = nodeAt(nodeAt(n.Child(nsTrust, "RenewTarget"), wsse.NSWSSE, "SecurityTokenReference", "Embedded"), saml.NS, "Assertion")
		return q, nil
	case requestIssue:
		return q, q.issue(n)
	}
	return nil, badRST("RequestType is neither Issue nor Renew")
}

// issue reads what only an Issue has.
func (q *rst) issue(n *xmltree.Node) *refused {
	claims := n.Child(nsTrust, "Claims")
	if d, _ := claims.Attr("", "Dialect"); collapse(d) != claimsDialect {
		return badRST("unknown claims dialect")
	}
	seen := map[string]bool{}
	for c := range claims.Elements() {
		uri, _ := c.Attr("", "Uri")
		uri = collapse(uri)
		if seen[uri] {
			return badRST("a claim is named twice")
		}
		seen[uri] = true
		a := claimAsked{name: uri}
		if value := c.Child(nsAuth, "Value"); value != nil {
			a.asserted, a.values = true, strings.Split(strings.TrimSpace(textOf(value)), ";")
		}
		q.claims = append(q.claims, a)
	}
	q.created, _ = parseDateTime(collapse(textOf(nodeAt(n.Child(nsTrust, "Lifetime"), wsse.NSWSU, "Created"))))
	q.expires, _ = parseDateTime(collapse(textOf(nodeAt(n.Child(nsTrust, "Lifetime"), wsse.NSWSU, "Expires"))))
	if k := collapse(textOf(n.Child(nsTrust, "KeyType"))); k != keyTypeSent && k != keyTypePublic {
		return badRST("KeyType is not a public key")
	}
	str := nodeAt(n.Child(nsTrust, "UseKey"), wsse.NSWSSE, "SecurityTokenReference")
	var r *refused
	q.useKey, r = certificateIn(nodeAt(str, dsig.NS, "X509Data", "X509Certificate"))
	return r
}

// certificateIn decodes an X509Certificate element.
func certificateIn(n *xmltree.Node) (*x509.Certificate, *refused) {
	der, err := decodeBase64(textOf(n))
	if err != nil {
		return nil, badRST("certificate is not base64")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, badRST("certificate not readable")
	}
	return cert, nil
}
