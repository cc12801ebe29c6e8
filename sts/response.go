package sts

import (
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// maxChallenge bounds the challenge text, in bytes. It is a nonce; what is far larger is not one.
const maxChallenge = 64 << 10

var (
	errShape     = reason("sts: the answer is not a RequestSecurityTokenResponse")
	errContext   = reason("sts: the answer has another Context than the request")
	errNoToken   = reason("sts: the answer holds no token")
	errTwoTokens = reason("sts: the answer holds more than one token")
	errChallenge = reason("sts: the challenge is not a plain text")
	errRounds    = reason("sts: a signed challenge was answered with a challenge")
)

// answer is what a RequestSecurityTokenResponse says: a challenge, or a token.
type answer struct {
	challenge  string
	challenged bool
	assertion  *xmltree.Node
}

// checkContext tells whether payload can be the answer to the request with this Context. The
// STS may leave Context out; another one belongs to another request.
func checkContext(payload *xmltree.Node, context string) error {
	switch {
	case payload.Is(nsTrust, "RequestSecurityTokenResponse"):
		return sameContext(payload, context)
	case payload.Is(nsTrust, "RequestSecurityTokenResponseCollection"):
		// WS-Trust 1.3 wants a collection, the platform's WSDL a bare response: both are read
		// (dossier 01 A.2).
		for n := range payload.Elements() {
			if !n.Is(nsTrust, "RequestSecurityTokenResponse") {
				return errShape
			}
			if err := sameContext(n, context); err != nil {
				return err
			}
		}
		return nil
	}
	return errShape
}

func sameContext(rstr *xmltree.Node, context string) error {
	if got, ok := rstr.Attr("", "Context"); ok && got != "" && got != context {
		return errContext
	}
	return nil
}

// readAnswer finds the challenge or the token. The presence of a challenge decides
// (dossier 01 A.5.2).
func readAnswer(payload *xmltree.Node) (answer, error) {
	var challenges, holders []*xmltree.Node
	assertions := 0
	for n := range payload.Descendants() {
		switch {
		case n.Is(nsTrust, "Challenge"):
			challenges = append(challenges, n)
		case n.Is(nsTrust, "RequestedSecurityToken"):
			holders = append(holders, n)
		case n.Is(saml.NS, "Assertion"):
			assertions++
		}
	}
	if len(challenges) > 0 {
		return readChallenge(challenges)
	}
	// One token was asked for. With two, which one is used and which one was checked could
	// differ, so neither is.
	if len(holders) > 1 || assertions > 1 {
		return answer{}, errTwoTokens
	}
	if len(holders) == 0 {
		return answer{}, errNoToken
	}
	var token *xmltree.Node
	for n := range holders[0].Elements() {
		if token != nil {
			return answer{}, errTwoTokens
		}
		token = n
	}
	if token == nil || !token.Is(saml.NS, "Assertion") {
		return answer{}, errNoToken
	}
	return answer{assertion: token}, nil
}

func readChallenge(found []*xmltree.Node) (answer, error) {
	if len(found) > 1 {
		return answer{}, errChallenge
	}
	text, err := found[0].Text()
	if err != nil || text == "" || len(text) > maxChallenge {
		return answer{}, errChallenge
	}
	return answer{challenge: text, challenged: true}, nil
}
