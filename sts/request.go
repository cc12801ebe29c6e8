package sts

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Wire names of WS-Trust as the platform speaks it (dossier 01 A.2 to A.4).
const (
	nsTrust = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	nsAuth  = "http://docs.oasis-open.org/wsfed/authorization/200706"

	tokenType    = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"
	requestIssue = nsTrust + "/Issue"
	requestRenew = nsTrust + "/Renew"
	dialect      = nsAuth + "/authclaims"
	// keyType is misspelt (wstrust instead of ws-trust) by every client that the platform
	// knows, so the misspelling is the protocol.
	keyType = "http://docs.oasis-open.org/ws-sx/wstrust/200512/PublicKey"

	actionRequest   = "urn:be:fgov:ehealth:sts:protocol:v1:RequestSecurityToken"
	actionChallenge = "urn:be:fgov:ehealth:sts:protocol:v1:Challenge"

	// ServiceID is the UDDI id under which a directory lists the WS-Trust door of the STS
	// (dossier 01 A.1).
	ServiceID = "uddi:ehealth-fgov-be:business:iamsecuritytokenservice:v1"
)

// instant is xsd:dateTime in UTC with milliseconds, the form used in the security header.
const instant = "2006-01-02T15:04:05.000Z"

// issueBody writes the RequestSecurityToken of dossier 01 A.5.1. The order of its children is
// fixed, and nothing stands between them.
func issueBody(context string, asserted, requested []Claim, created, expires time.Time, hok *x509.Certificate) ([]byte, error) {
	w := xmltree.NewWriter()
	startRST(w, context)
	w.NS("auth", nsAuth)
	w.NS("wsu", wsse.NSWSU)
	w.NS("wsse", wsse.NSWSSE)
	w.NS("ds", dsig.NS)
	typeOf(w, requestIssue)

	w.Start("wst", "Claims")
	w.Attr("", "Dialect", dialect)
	writeClaims(w, asserted, requested)
	w.End()

	w.Start("wst", "Lifetime")
	w.Leaf("wsu", "Created", created.UTC().Format(instant))
	w.Leaf("wsu", "Expires", expires.UTC().Format(instant))
	w.End()

	w.Leaf("wst", "KeyType", keyType)

	w.Start("wst", "UseKey")
	w.Start("wsse", "SecurityTokenReference")
	w.Start("ds", "X509Data")
	w.Leaf("ds", "X509Certificate", base64.StdEncoding.EncodeToString(hok.Raw))
	w.End()
	w.End()
	w.End()

	w.End()
	return w.Bytes()
}

// writeClaims writes the asserted claims and then those asked for. A name stands there only
// once, and an asserted one wins (dossier 01 A.5.1).
func writeClaims(w *xmltree.Writer, asserted, requested []Claim) {
	written := make(map[string]bool, len(asserted)+len(requested))
	for _, c := range asserted {
		w.Start("auth", "ClaimType")
		w.Attr("", "Uri", c.Name)
		w.Leaf("auth", "Value", strings.Join(c.Values, ";"))
		w.End()
		written[c.Name] = true
	}
	for _, c := range requested {
		if written[c.Name] {
			continue
		}
		w.Start("auth", "ClaimType")
		w.Attr("", "Uri", c.Name)
		w.End()
		written[c.Name] = true
	}
}

// renewBody writes the RequestSecurityToken of dossier 01 A.5.4 around the old assertion,
// whose bytes must be self-contained. Nothing in it carries a validity: the STS decides.
func renewBody(context, id string, assertion []byte) ([]byte, error) {
	w := xmltree.NewWriter()
	startRST(w, context)
	w.NS("wsu", wsse.NSWSU)
	w.NS("wsse", wsse.NSWSSE)
	typeOf(w, requestRenew)
	w.Start("wst", "RenewTarget")
	w.Start("wsse", "SecurityTokenReference")
	w.Start("wsse", "Embedded")
	w.Attr("wsu", "Id", id)
	w.Raw(assertion)
	w.End()
	w.End()
	w.End()
	w.End()
	return w.Bytes()
}

// challengeBody writes the answer of dossier 01 A.5.2. The challenge is opaque and goes back
// as it came.
func challengeBody(context, challenge string) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("wst", "RequestSecurityTokenResponse")
	w.NS("wst", nsTrust)
	w.Attr("", "Context", context)
	w.Start("wst", "SignChallengeResponse")
	w.Leaf("wst", "Challenge", challenge)
	w.End()
	w.End()
	return w.Bytes()
}

func startRST(w *xmltree.Writer, context string) {
	w.Start("wst", "RequestSecurityToken")
	w.NS("wst", nsTrust)
	w.Attr("", "Context", context)
}

func typeOf(w *xmltree.Writer, request string) {
	w.Leaf("wst", "TokenType", tokenType)
	w.Leaf("wst", "RequestType", request)
}

// uuid returns a random UUID (RFC 9562, version 4) as text, the form the official connector
// uses for Context.
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
