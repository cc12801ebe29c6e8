package sts

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/keystore"
)

// Why a returned assertion was refused; for errors.Is. None of them carries a value of it.
var (
	// ErrUntrusted reports an assertion that is not signed, or not by whom [Trust] names.
	ErrUntrusted error = reason("sts: the assertion is not signed by a trusted STS")
	// ErrIssuer reports an assertion of another issuer.
	ErrIssuer error = reason("sts: the assertion has another issuer")
	// ErrHolder reports an assertion for another holder-of-key certificate than ours.
	ErrHolder error = reason("sts: the assertion is for another certificate")
	// ErrPerson reports an assertion about somebody else than whom we asked for.
	ErrPerson error = reason("sts: the assertion is about somebody else")
	// ErrNotYetValid reports an assertion that begins later than the tolerated clock skew.
	ErrNotYetValid error = reason("sts: the assertion is not yet valid")
	// ErrNoToken reports an answer without exactly one readable SAML 1.1 assertion.
	ErrNoToken error = reason("sts: no usable assertion")
)

// wanted is what the returned assertion must be about.
type wanted struct {
	asserted, requested []Claim
	hok                 keystore.Credential
	trust               Trust
	skew                time.Duration
}

// correlate tells whether payload is the answer to the request with this Context: it says so,
// and the token in it, if any, is for our certificate and our person. What else may be wrong
// with the token is judged by token; asking again would not help there.
func (w *wanted) correlate(context string) func(*xmltree.Node) error {
	return func(payload *xmltree.Node) error {
		if err := checkContext(payload, context); err != nil {
			return err
		}
		a, err := readAnswer(payload)
		if err != nil || a.challenged {
			return nil
		}
		asn, err := saml.Parse(a.assertion)
		if err != nil {
			return nil
		}
		return w.ours(asn)
	}
}

// ours compares the assertion with the request. An asserted claim that came back must have
// our value, and at least one must have come back: an assertion that names nobody could be
// anybody's.
func (w *wanted) ours(a *saml.Assertion) error {
	if a.HolderOfKey == nil || !bytes.Equal(a.HolderOfKey.Raw, w.hok.Certificate.Raw) {
		return ErrHolder
	}
	found := len(w.asserted) == 0
	for _, c := range w.asserted {
		for _, got := range a.Attributes {
			if got.Name != c.Name {
				continue
			}
			if !sameValues(got.Values, c.Values) {
				return ErrPerson
			}
			found = true
		}
	}
	if !found {
		return ErrPerson
	}
	return nil
}

// token checks the assertion under node and turns it into a Token. It works on the very bytes
// that later go into messages, parsed on their own, so that what is checked is what is used.
func (w *wanted) token(node *xmltree.Node, now time.Time) (*Token, error) {
	received, err := saml.Parse(node)
	if err != nil {
		return nil, noToken(err)
	}
	raw := bytes.Clone(received.Raw)
	root, err := xmltree.Parse(raw, xmltree.Limits{})
	if err != nil {
		return nil, noToken(err)
	}
	a, err := saml.Parse(root)
	if err != nil {
		return nil, noToken(err)
	}
	trust := w.trust.saml()
	if a.Issuer != trust.Issuer {
		return nil, ErrIssuer
	}
	if err := a.Verify(trust, now); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if err := w.ours(a); err != nil {
		return nil, err
	}
	if a.NotOnOrAfter.IsZero() {
		return nil, fmt.Errorf("%w: it has no end", ErrNoToken)
	}
	if now.Add(w.skew).Before(a.NotBefore) {
		return nil, ErrNotYetValid
	}
	if !now.Before(a.NotOnOrAfter) {
		return nil, ErrExpired
	}
	return w.view(a, raw), nil
}

func (w *wanted) view(a *saml.Assertion, raw []byte) *Token {
	t := &Token{
		ID: a.ID, Raw: raw, Issuer: a.Issuer, IssuedAt: a.IssueInstant,
		NotBefore: a.NotBefore, NotOnOrAfter: a.NotOnOrAfter,
		AuthenticationMethod: a.AuthMethod, Credential: w.hok,
		asserted: w.asserted, requested: w.requested,
	}
	for _, at := range a.Attributes {
		t.Attributes = append(t.Attributes, Attribute{Namespace: at.Namespace, Name: at.Name, Values: slices.Clone(at.Values)})
	}
	seen := make(map[string]bool)
	for _, c := range slices.Concat(w.asserted, w.requested) {
		if !seen[c.Name] && !t.Has(c.Name) {
			t.Refused = append(t.Refused, Claim{Namespace: c.Namespace, Name: c.Name})
		}
		seen[c.Name] = true
	}
	return t
}

func noToken(err error) error { return fmt.Errorf("%w: %w", ErrNoToken, err) }

// refusedAnswer is the error for an answer that was read but must not be used. Whether a
// token was issued is not known and does not matter: asking again is harmless.
func refusedAnswer(op, endpoint string, err error) *fault.Error {
	fe := &fault.Error{
		Op: op, Service: ServiceID, Endpoint: endpoint, Attempts: 1,
		Kind: fault.Security, Outcome: fault.Unknown, Notice: noticeNoLogin, Err: fault.AsSafe(err),
	}
	switch {
	case errors.Is(err, ErrHolder), errors.Is(err, ErrPerson):
		fe.Notice = noticeWrong
	case errors.Is(err, ErrUntrusted), errors.Is(err, ErrIssuer):
		fe.Notice = noticeKey
	case errors.Is(err, ErrExpired), errors.Is(err, ErrNotYetValid):
		fe.Notice = noticeClock
	}
	return fe
}
