package sandbox

import (
	"bytes"
	"crypto/x509"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// challengeLife is how long a challenge may be answered; one time only (dossier 01 A.5.2: assume short and one-time).
const challengeLife = 2 * time.Minute

// challengeStore keeps the orders that wait for an answer to their challenge.
type challengeStore struct {
	mu   sync.Mutex
	open map[string]pending
}

type pending struct {
	order *tokenOrder
	until time.Time
}

func (c *challengeStore) put(text string, o *tokenOrder, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[string]pending{}
	}
	for k, p := range c.open {
		if !now.Before(p.until) {
			delete(c.open, k)
		}
	}
	c.open[text] = pending{o, now.Add(challengeLife)}
}

// take returns the order of a challenge and forgets it, whatever becomes of the answer.
func (c *challengeStore) take(text string, now time.Time) *tokenOrder {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.open[text]
	delete(c.open, text)
	if !ok || !now.Before(p.until) {
		return nil
	}
	return p.order
}

// challenge asks the holder of UseKey to sign: it did not sign the request itself.
func (v *services) challenge(s *Sandbox, rq *request, o *tokenOrder) *response {
	text := randomHex(20)
	v.challenges.put(text, o, rq.At)
	w := startRSTR(o.context)
	w.Start("wst", "SignChallenge")
	w.Leaf("wst", "Challenge", text)
	w.End()
	w.End()
	payload, err := w.Bytes()
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	s.count("sts.challenged")
	return v.answer(s, rq, nil, payload, askerKey(o.key, ""))
}

// challengeAnswered is the second leg. The message must be signed with the key of UseKey and repeat the challenge;
// a Context may be left out, but not be another one (A.5.1).
func (v *services) challengeAnswered(s *Sandbox, rq *request, n *xmltree.Node, cert *x509.Certificate) *response {
	if r := conforms(n, challengeType); r != nil {
		return v.fault(s, rq, r)
	}
	o := v.challenges.take(textOf(nodeAt(n, nsTrust, "SignChallengeResponse", "Challenge")), rq.At)
	if o == nil {
		return v.fault(s, rq, &refused{code: "SOA-01001", why: "challenge unknown, used or expired", wst: "FailedAuthentication"})
	}
	if !bytes.Equal(o.key.Raw, cert.Raw) {
		return v.fault(s, rq, &refused{code: "SOA-01001", why: "challenge not signed by the holder of the key", wst: "FailedAuthentication"})
	}
	if context, ok := n.Attr("", "Context"); ok && context != o.context {
		return v.fault(s, rq, &refused{code: "SOA-01001", why: "challenge of another context", wst: "FailedAuthentication"})
	}
	if !o.until.IsZero() && !o.until.After(rq.At) {
		return v.fault(s, rq, &refused{code: "SOA-03007", why: "Lifetime is over", wst: "InvalidTimeRange"})
	}
	return v.issue(s, rq, o)
}
