package wsse

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Defaults of Policy: WSS4J's limit on age (dossier 09), and as much for a clock that runs ahead.
const (
	DefaultMaxAge = 5 * time.Minute
	DefaultSkew   = 5 * time.Minute
)

// Policy is what a server accepts.
type Policy struct {
	// Now is the server's time.
	Now time.Time
	// MaxAge is how long after Created a message is accepted, whatever its Expires; 0 = DefaultMaxAge, negative = no limit.
	MaxAge time.Duration
	// Skew is how far Created may lie in the future; 0 = DefaultSkew, negative = not at all. Expires gets no grace.
	Skew time.Duration
	// AllowSHA1 also accepts rsa-sha1 and sha1 digests.
	AllowSHA1 bool
	// Replay is called last, for a message that is otherwise accepted, with a value that identifies it and the instant from
	// which it would be refused anyway; it returns true when it was called with that value before. It must be safe
	// for concurrent use. nil = replays are not noticed.
	Replay func(sigValue string, expires time.Time) bool
}

// Profile is the way a message is secured.
type Profile uint8

// The profiles of dossier 01 C.1.
const (
	X509Token Profile = iota + 1
	HolderOfKeyToken
)

// String returns the profile's name.
func (p Profile) String() string {
	switch p {
	case X509Token:
		return "X.509"
	case HolderOfKeyToken:
		return "SAML holder-of-key"
	}
	return "none"
}

// Verified is what a valid message says about itself.
type Verified struct {
	Profile Profile
	// Certificate made the signature: the BinarySecurityToken, or the holder's certificate in the assertion. It is not checked
	// against any root or date.
	Certificate *x509.Certificate
	// Assertion is the SAML token, nil in the X.509 profile. Only its structure is checked.
	Assertion        *saml.Assertion
	Created, Expires time.Time
	// Body is the signed soapenv:Body of the tree given to Verify.
	Body *xmltree.Node
}

// Verify checks the Security header of an envelope: exactly one, of one of the two profiles; one signature, which covers Body,
// Timestamp and, in the X.509 profile, the token of this very tree; a timestamp that is fresh; and no replay, in that
// order. envelope must be the root element.
func Verify(envelope *xmltree.Node, p Policy) (*Verified, error) {
	h, err := readHeader(envelope)
	if err != nil {
		return nil, err
	}
	v := &Verified{Profile: X509Token, Body: h.body}
	if h.assertion != nil {
		v.Profile = HolderOfKeyToken
	}
	if v.Created, v.Expires, err = readTimestamp(h.timestamp); err != nil {
		return nil, err
	}
	signed, err := dsig.Verify(h.signature, dsig.Policy{
		IDs:       []dsig.IDAttr{{Space: NSWSU, Local: "Id"}},
		AllowSHA1: p.AllowSHA1,
		Key: func(keyInfo *xmltree.Node) (cert *x509.Certificate, err error) {
			cert, v.Assertion, err = h.token(keyInfo)
			return cert, err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("wsse: %w", err)
	}
	v.Certificate = signed.Certificate
	if err := h.covered(signed); err != nil {
		return nil, err
	}
	if err := p.fresh(v.Created, v.Expires); err != nil {
		return nil, err
	}
	if p.Replay != nil && p.Replay(replayKey(signed), p.horizon(v)) {
		return nil, ErrReplay
	}
	return v, nil
}

// header holds the parts of a message that matter here.
type header struct {
	body, timestamp, signature *xmltree.Node
	bst, assertion             *xmltree.Node // exactly one is set
}

// readHeader finds the parts of the one Security header.
func readHeader(envelope *xmltree.Node) (*header, error) {
	if envelope.Parent() != nil {
		return nil, fmt.Errorf("%w: envelope is not the root", ErrShape)
	}
	msg, err := soap.FromTree(envelope)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShape, err)
	}
	security, err := oneSecurity(envelope, msg.Header)
	if err != nil {
		return nil, err
	}
	h := &header{body: msg.Body}
	kids, err := elements(security)
	if err != nil {
		return nil, err
	}
	for _, k := range kids {
		if err := h.add(k); err != nil {
			return nil, err
		}
	}
	if h.timestamp == nil || h.signature == nil {
		return nil, fmt.Errorf("%w: no Timestamp or no Signature", ErrShape)
	}
	if (h.bst == nil) == (h.assertion == nil) {
		return nil, fmt.Errorf("%w: neither of the two profiles", ErrShape)
	}
	return h, h.onlyAssertion(msg.Header)
}

// oneSecurity finds the Security header. One that stands anywhere else, say in a wrapper or in the payload, is a copy that was
// moved there.
func oneSecurity(envelope, head *xmltree.Node) (*xmltree.Node, error) {
	var security *xmltree.Node
	for n := range envelope.Descendants() {
		if !n.Is(NSWSSE, "Security") {
			continue
		}
		if security != nil {
			return nil, fmt.Errorf("%w: second Security", ErrShape)
		}
		security = n
	}
	if security == nil {
		return nil, ErrNoSecurity
	}
	if head == nil || security.Parent() != head {
		return nil, fmt.Errorf("%w: Security is not a header", ErrShape)
	}
	return security, nil
}

// add takes one child of Security.
func (h *header) add(n *xmltree.Node) error {
	var slot **xmltree.Node
	switch {
	case n.Is(NSWSU, "Timestamp"):
		slot = &h.timestamp
	case n.Is(dsig.NS, "Signature"):
		slot = &h.signature
	case n.Is(NSWSSE, "BinarySecurityToken"):
		slot = &h.bst
	case n.Is(saml.NS, "Assertion"):
		slot = &h.assertion
	default:
		return fmt.Errorf("%w: unexpected element in Security", ErrShape)
	}
	if *slot != nil {
		return fmt.Errorf("%w: second %s", ErrShape, n.Local())
	}
	*slot = n
	return nil
}

// onlyAssertion refuses a second assertion anywhere in the header, inside the first one included.
func (h *header) onlyAssertion(head *xmltree.Node) error {
	for n := range head.Descendants() {
		if n.Is(saml.NS, "Assertion") && n != h.assertion {
			return fmt.Errorf("%w: second Assertion", ErrShape)
		}
	}
	return nil
}

// covered tells whether the signature covers what the profile says.
func (h *header) covered(v *dsig.Verified) error {
	if !v.Covers(h.body) || !v.Covers(h.timestamp) || h.bst != nil && !v.Covers(h.bst) {
		return ErrUnsigned
	}
	return nil
}

// readTimestamp reads Created and Expires, both required.
func readTimestamp(n *xmltree.Node) (created, expires time.Time, err error) {
	kids, err := elements(n)
	if err != nil {
		return created, expires, err
	}
	if len(kids) != 2 || !kids[0].Is(NSWSU, "Created") || !kids[1].Is(NSWSU, "Expires") {
		return created, expires, fmt.Errorf("%w: Timestamp is not Created and Expires", ErrShape)
	}
	for i, t := range []*time.Time{&created, &expires} {
		text, err := kids[i].Text()
		if err == nil {
			*t, err = saml.ParseTime(trim(text))
		}
		if err != nil {
			return created, expires, fmt.Errorf("%w: %s is not a time", ErrShape, kids[i].Local())
		}
	}
	if expires.Before(created) {
		err = fmt.Errorf("%w: expires before it is created", ErrShape)
	}
	return created, expires, err
}

// fresh applies the three limits on time.
func (p *Policy) fresh(created, expires time.Time) error {
	switch {
	case created.After(p.Now.Add(max(orDefault(p.Skew, DefaultSkew), 0))):
		return ErrFuture
	case !p.Now.Before(expires):
		return fmt.Errorf("%w: past its Expires", ErrExpired)
	}
	if age := orDefault(p.MaxAge, DefaultMaxAge); age > 0 && p.Now.Sub(created) > age {
		return fmt.Errorf("%w: created too long ago", ErrExpired)
	}
	return nil
}

// horizon is the first instant at which the message is refused for its age.
func (p *Policy) horizon(v *Verified) time.Time {
	age := orDefault(p.MaxAge, DefaultMaxAge)
	if oldest := v.Created.Add(age + time.Nanosecond); age > 0 && oldest.Before(v.Expires) {
		return oldest
	}
	return v.Expires
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// replayKey identifies a message by what was signed and by whom. The signature value itself will not do: anyone can turn a valid
// ECDSA value (r, s) into the equally valid (r, n-s). What was signed alone will not do either: another key holder could
// sign the same SignedInfo first and have the true message refused.
func replayKey(v *dsig.Verified) string {
	signer := sha256.Sum256(v.Certificate.Raw)
	key := sha256.Sum256(append(v.Digest[:], signer[:]...))
	return base64.StdEncoding.EncodeToString(key[:])
}

// elements returns the element children of an element-only container.
func elements(n *xmltree.Node) ([]*xmltree.Node, error) {
	kids, err := dsig.Elements(n)
	if err != nil {
		return nil, fmt.Errorf("%w: text, comment or processing instruction between elements", ErrShape)
	}
	return kids, nil
}

// trim removes white space as XML defines it.
func trim(s string) string { return strings.Trim(s, " \t\r\n") }
