package dsig

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"io"
	"slices"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// defaultMaxRefs bounds the references of one signature: each costs the verifier a walk over its target.
const defaultMaxRefs = 10

// Policy is what a verifier accepts. The zero value accepts nothing, for want of IDs and Key.
type Policy struct {
	// IDs are the attributes that count as ids, e.g. {wsse.NSWSU, "Id"}.
	IDs []IDAttr
	// AllowSHA1 also accepts rsa-sha1 and sha1 digests (old STS tokens, dossier 01 A.8). There is no ECDSA with SHA-1.
	AllowSHA1 bool
	// AllowInclusive also accepts Canonical XML 1.0, and references without any canonicalisation transform, which
	// XML-DSig canonicalises that way.
	AllowInclusive bool
	// AllowShortRSA also accepts RSA keys of 1024 to 2047 bits, which were in use until about 2013. For old samples only.
	AllowShortRSA bool
	// MaxRefs bounds the number of references; 0 = 10. There is no "unlimited".
	MaxRefs int
	// Key chooses the certificate whose key must have made the signature, from ds:KeyInfo (nil when the signature has
	// none). It decides on trust as far as the caller wants that decided here: Verify itself trusts whatever it returns.
	Key func(keyInfo *xmltree.Node) (*x509.Certificate, error)
}

func (p *Policy) maxRefs() int {
	if p.MaxRefs > 0 {
		return p.MaxRefs
	}
	return defaultMaxRefs
}

// Verified is what a valid signature says.
type Verified struct {
	// Certificate is the one that Policy.Key chose; its key made the signature.
	Certificate *x509.Certificate
	// Refs are the elements signed, in the order of the references.
	Refs []VerifiedRef
	// SignatureMethod is the algorithm URI.
	SignatureMethod string
	// Digest is the SHA-256 of the canonical SignedInfo: a name for what was signed that, unlike an ECDSA signature
	// value, nobody else can change into a second valid one. Use it to recognise replays.
	Digest [sha256.Size]byte
}

// VerifiedRef is one signed element.
type VerifiedRef struct {
	URI, Type string
	Node      *xmltree.Node
	// Enveloped: the signature itself, which stands inside Node, is not part of what was signed.
	Enveloped bool
}

// Covers tells whether that very node was signed whole, apart from an enveloped signature itself. A node inside a
// signed node does not count: ask for the signed node and read from there.
func (v *Verified) Covers(n *xmltree.Node) bool {
	return v != nil && n != nil && slices.ContainsFunc(v.Refs, func(r VerifiedRef) bool { return r.Node == n })
}

// Verify checks a ds:Signature inside its document: structure, algorithms, references, key, signature value and
// every digest, in that order. The result points into the same tree. Errors are the sentinels of this package.
func Verify(sig *xmltree.Node, p Policy) (*Verified, error) {
	s, err := parseSignature(sig, &p)
	if err != nil {
		return nil, err
	}
	targets, err := s.resolve(p.IDs)
	if err != nil {
		return nil, err
	}
	v := &Verified{SignatureMethod: s.method.uri}
	if v.Certificate, err = s.key(&p); err != nil {
		return nil, err
	}
	h, name := s.method.hash.New(), sha256.New()
	if err := c14n.Write(io.MultiWriter(h, name), s.info, s.canon.options(nil)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	name.Sum(v.Digest[:0])
	if err := s.method.verify(v.Certificate.PublicKey, h.Sum(nil), s.value); err != nil {
		return nil, err
	}
	for i, r := range s.refs {
		if err := s.checkDigest(r, targets[i]); err != nil {
			return nil, err
		}
		v.Refs = append(v.Refs, VerifiedRef{URI: "#" + r.id, Type: r.typ, Node: targets[i], Enveloped: r.enveloped})
	}
	return v, nil
}

// key asks the policy for the certificate and checks that its key suits the method.
func (s *signature) key(p *Policy) (*x509.Certificate, error) {
	if p.Key == nil {
		return nil, fmt.Errorf("%w: no key policy", ErrKey)
	}
	cert, err := p.Key(s.keyInfo)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if cert == nil {
		return nil, fmt.Errorf("%w: no certificate", ErrKey)
	}
	return cert, s.method.checkKey(cert.PublicKey, p)
}

// checkDigest digests the target of one reference as the reference says.
func (s *signature) checkDigest(r reference, target *xmltree.Node) error {
	var omit *xmltree.Node
	if r.enveloped {
		if target == s.node || !within(s.node, target) {
			return fmt.Errorf("%w: enveloped-signature on an element that does not hold the signature", ErrReference)
		}
		omit = s.node
	}
	h := r.hash.New()
	if err := c14n.Write(h, target, r.canon.options(omit)); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if subtle.ConstantTimeCompare(h.Sum(nil), r.digest) != 1 {
		return ErrDigest
	}
	return nil
}
