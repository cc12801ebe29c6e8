package bcp

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// MaxSkew is how far in the future a list may have been issued, by our clock (dossier 01 H, row 3).
const MaxSkew = 5 * time.Minute

// Verify parses a service list and checks everything that makes it the platform's own (dossier 01 D.5):
//
//   - bounds, no DOCTYPE, a ServiceList root of version 1 or 2;
//   - exactly one ds:Signature in the document, as last child of the root; it is valid, and a reference with the
//     enveloped-signature transform covers the very root that is read;
//   - a second reference covers the XAdES SignedProperties of that signature, and SigningCertificate, when present, names
//     the signer's certificate;
//   - the signer's certificate is that of the service list, stands under t.Roots, is valid now, is not self-signed
//     and may sign;
//   - Environment is environment; IssueInstant is not more than MaxSkew in the future and not before that of previous; at the
//     same instant only the same content is accepted. previous may be nil;
//   - addresses are https and on known hosts, see [Trust].Hosts.
//
// Revocation is not checked: the platform publishes no responder address that would answer during an outage.
// doc must not be modified during the call and is not kept. Every error is one of the sentinels Err….
func Verify(doc []byte, t Trust, previous *List, environment string) (*List, error) {
	return verify(doc, &t, previous, environment, time.Now())
}

func verify(doc []byte, t *Trust, previous *List, environment string, now time.Time) (*List, error) {
	root, err := parseTree(doc)
	if err != nil {
		return nil, err
	}
	l, err := parseList(root)
	if err != nil {
		return nil, err
	}
	l.Digest = sha256.Sum256(doc)
	if err := verifySignature(root, t, l.IssueInstant, now); err != nil {
		return nil, err
	}
	if l.Environment != environment {
		return nil, ErrEnvironment
	}
	if !t.stored && l.IssueInstant.After(now.Add(MaxSkew)) {
		return nil, ErrFuture
	}
	if previous != nil {
		switch c := l.IssueInstant.Compare(previous.IssueInstant); {
		case c < 0:
			return nil, ErrOlder
		case c == 0 && l.Digest != previous.Digest && !l.sameContent(previous):
			return nil, ErrConflict
		}
	}
	if err := newHostRule(t, previous).apply(l); err != nil {
		return nil, err
	}
	return l, nil
}

// ids are the attributes that bear ids in a list. Service/@Id is an attribute of that name too, though of type string: a
// list that names a service twice is refused as ambiguous.
var ids = []dsig.IDAttr{{Local: "Id"}}

// verifySignature checks signature, coverage and signer.
func verifySignature(root *xmltree.Node, t *Trust, issued, now time.Time) error {
	sig, err := signature(root)
	if err != nil {
		return err
	}
	v, err := dsig.Verify(sig, dsig.Policy{IDs: ids, Key: signerOf})
	if err != nil {
		return signatureError(err)
	}
	covered := false
	for _, r := range v.Refs {
		covered = covered || r.Node == root && r.Enveloped
	}
	if !covered || !v.Covers(root) {
		return ErrOtherElement
	}
	if err := checkXAdES(sig, v); err != nil {
		return err
	}
	certs, err := dsig.Certificates(sig.Child(dsig.NS, "KeyInfo"))
	if err != nil {
		return signatureError(err)
	}
	return t.check(v.Certificate, certs, issued, now)
}

// syntax names what the parser refused.
func syntax(err error) error {
	switch {
	case errors.Is(err, xmltree.ErrDoctype):
		return ErrDoctype
	case errors.Is(err, xmltree.ErrLimit):
		return ErrTooLarge
	}
	return fmt.Errorf("%w: %w", ErrSyntax, err)
}

// signatureError names what the signature verifier refused.
func signatureError(err error) error {
	if errors.Is(err, dsig.ErrReference) || errors.Is(err, dsig.ErrDuplicateID) {
		return fmt.Errorf("%w: %w", ErrWrapped, err)
	}
	return fmt.Errorf("%w: %w", ErrBadSignature, err)
}
