package wsse

import (
	"bytes"
	"fmt"

	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Assertion is a SAML assertion for messages of the holder-of-key profile: octets of its own, read once and found to be what a
// message may carry, so that not each message has to ask. It does not change and may be shared by goroutines.
type Assertion struct {
	raw []byte
	id  string
}

// NewAssertion copies the token as received, self-contained (saml.Assertion.Raw).
//
// Errors: ErrShape when it is not one well-formed element by itself, ErrToken when it is not the SAML 1.1 assertion of that id.
func NewAssertion(token []byte, id string) (*Assertion, error) {
	a := &Assertion{raw: bytes.Clone(token), id: id}
	root, err := xmltree.Parse(a.raw, xmltree.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShape, err)
	}
	if len(root.Source()) != len(a.raw) { // white space too: nobody sends any, and the element alone is what the STS signed
		return nil, fmt.Errorf("%w: the token is not one element", ErrShape)
	}
	if got, _ := root.Attr("", "AssertionID"); !root.Is(saml.NS, "Assertion") || got != id || id == "" {
		return nil, fmt.Errorf("%w: not the assertion of that id", ErrToken)
	}
	return a, nil
}

// Is reports whether a was made of this very token and id; nil was made of none.
func (a *Assertion) Is(token []byte, id string) bool {
	return a != nil && a.id == id && bytes.Equal(a.raw, token)
}

// HolderOfKey returns a message as [HolderOfKey] does.
func (a *Assertion) HolderOfKey(body []byte, c Credential, s Stamp) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	m, err := newMessage(s, len(body)+len(a.raw))
	if err != nil {
		return nil, err
	}
	m.open()
	m.close(body)
	p, err := m.parse(1) // the token was read before, and nothing that is signed stands in it or depends on it
	if err != nil {
		return nil, err
	}
	m.token = a.raw
	return m.sign(c, m.refs(p), func(w *xmltree.Writer) {
		w.Start("wsse", "KeyIdentifier")
		w.Attr("", "ValueType", ValueSAMLAssertionID)
		w.Text(a.id)
		w.End()
	}, true)
}
