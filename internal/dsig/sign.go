package dsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Ref is one thing to sign.
type Ref struct {
	// Node is the element to sign, in the tree of the message as it will be sent; its namespace context must be the
	// one that the receiver will see. Nil: the element that KeyInfo or Objects write into the signature itself, found
	// by the value of its Id attribute (XAdES SignedProperties, dossier 01 D.5).
	Node *xmltree.Node
	// URI is "#id", id being the value of an attribute of that element.
	URI string
	// Enveloped adds the enveloped-signature transform: the signature will be placed inside Node.
	Enveloped bool
	// Type is the optional Type attribute, e.g. "http://uri.etsi.org/01903#SignedProperties".
	Type string
	// Prefixes is the PrefixList of exclusive C14N; nil = no InclusiveNamespaces, as the official connector does.
	// Needs Node.
	Prefixes []string
}

// SignOptions says what a signature carries besides its references.
type SignOptions struct {
	// ID is the Id attribute of ds:Signature; "" = none.
	ID string
	// Prefixes is the PrefixList for the canonicalisation of SignedInfo; nil = none. Each is declared on
	// ds:Signature with the meaning that it has at Parent; a prefix that Parent does not know is left out.
	Prefixes []string
	// Parent is the element that the signature will be placed in. Only needed with Prefixes.
	Parent *xmltree.Node
	// KeyInfo writes the content of ds:KeyInfo, attributes of ds:KeyInfo first; nil = no KeyInfo. The prefix ds is declared.
	KeyInfo func(*xmltree.Writer)
	// Objects writes whole ds:Object elements; nil = none. The prefix ds is declared.
	Objects func(*xmltree.Writer)
}

// Sign signs refs with key and returns the ds:Signature element, self-contained and without insignificant white space:
// exclusive C14N, SHA-256 digests, RSA-SHA256 or ECDSA-SHA256 (P-256, P-384, P-521) after the kind of key.
//
// The key is only asked for Public and Sign. Errors: ErrKey for a key of another kind or one whose answer is not a
// signature, ErrReference for a Ref that a verifier could not resolve, ErrFormat for an option that is not XML, or the
// error of the signer itself, wrapped.
func Sign(key crypto.Signer, refs []Ref, o SignOptions) ([]byte, error) {
	alg, err := signingMethod(key)
	if err != nil {
		return nil, err
	}
	if len(refs) == 0 {
		return nil, fmt.Errorf("%w: nothing to sign", ErrReference)
	}
	head, tail, err := frame(o)
	if err != nil {
		return nil, err
	}
	info, err := signedInfo(alg, refs, o.Prefixes, head, tail)
	if err != nil {
		return nil, err
	}
	hashed, err := hashInfo(info, o.Prefixes, head, tail)
	if err != nil {
		return nil, err
	}
	value, err := signHash(key, hashed)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(head)+len(info)+len(tail)+base64.StdEncoding.EncodedLen(len(value))+96)
	out = append(append(out, head...), openInfo...)
	out = append(append(out, info...), "<ds:SignatureValue>"...)
	out = base64.StdEncoding.AppendEncode(out, value)
	out = append(out, "</ds:SignatureValue>"...)
	return append(out, tail...), nil
}

// openInfo is the start tag of SignedInfo as sent, openCanonicalInfo as signed: the rest of it is written in canonical
// form, so the two differ in nothing else (exclusive C14N, no PrefixList).
const (
	openInfo          = "<ds:SignedInfo>"
	openCanonicalInfo = `<ds:SignedInfo xmlns:ds="` + NS + `">`
)

// signingMethod chooses the signature algorithm for a key.
func signingMethod(key crypto.Signer) (string, error) {
	if key == nil {
		return "", fmt.Errorf("%w: no key", ErrKey)
	}
	switch pub := key.Public().(type) {
	case *rsa.PublicKey:
		return RSASHA256, nil
	case *ecdsa.PublicKey:
		if namedCurve(pub.Curve) {
			return ECDSASHA256, nil
		}
		return "", fmt.Errorf("%w: curve", ErrKey)
	}
	return "", fmt.Errorf("%w: neither RSA nor ECDSA", ErrKey)
}

// signHash asks the key for a signature over a SHA-256 value and brings it into the form of XML-DSig.
func signHash(key crypto.Signer, hashed []byte) ([]byte, error) {
	sig, err := key.Sign(rand.Reader, hashed, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("xml signature: signing key: %w", err)
	}
	switch pub := key.Public().(type) {
	case *ecdsa.PublicKey:
		return rawECDSA(sig, pub.Curve)
	case *rsa.PublicKey:
		if len(sig) != pub.Size() {
			return nil, fmt.Errorf("%w: the signer returned a value of the wrong length", ErrKey)
		}
	}
	return sig, nil
}

// frame writes what surrounds SignedInfo and SignatureValue: the start tag, and everything that follows them.
func frame(o SignOptions) (head, tail []byte, err error) {
	w := xmltree.NewWriter()
	w.Start("ds", "Signature")
	w.NS("ds", NS)
	for _, p := range o.Prefixes {
		if p == "#default" {
			p = ""
		}
		if uri, ok := o.Parent.LookupPrefix(p); ok && uri != "" && p != "xml" {
			w.NS(p, uri)
		}
	}
	if o.ID != "" {
		w.Attr("", "Id", o.ID)
	}
	w.Raw(nil) // closes the start tag
	n := w.Len()
	if o.KeyInfo != nil {
		w.Start("ds", "KeyInfo")
		o.KeyInfo(w)
		w.End()
	}
	if o.Objects != nil {
		o.Objects(w)
	}
	w.End()
	b, err := w.Bytes()
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return b[:n:n], b[n:], nil
}

// signedInfo writes SignedInfo without its start tag, in canonical form.
func signedInfo(alg string, refs []Ref, prefixes []string, head, tail []byte) ([]byte, error) {
	b := make([]byte, 0, 256+len(refs)*512)
	b = appendCanon(b, "CanonicalizationMethod", prefixes)
	b = appendAlgorithm(b, "SignatureMethod", alg)
	var own *xmltree.Node // the signature so far, parsed when a reference points into it
	for _, r := range refs {
		id, ok := strings.CutPrefix(r.URI, "#")
		if !ok || !plainID(id) {
			return nil, fmt.Errorf("%w: URI must be \"#id\"", ErrReference)
		}
		if strings.ContainsAny(r.Type, "&<>\"\t\r\n") {
			return nil, fmt.Errorf("%w: Type is not a URI", ErrReference)
		}
		n := r.Node
		if n == nil {
			var err error
			if own == nil {
				if own, err = xmltree.Parse(append(append([]byte(nil), head...), tail...), xmltree.Limits{}); err != nil {
					return nil, fmt.Errorf("%w: %w", ErrFormat, err)
				}
			}
			if n, err = ownElement(own, id); err != nil {
				return nil, err
			}
			if len(r.Prefixes) > 0 || r.Enveloped {
				return nil, fmt.Errorf("%w: an own element takes no PrefixList and is not enveloping", ErrReference)
			}
		}
		if !bears(n, id) {
			return nil, fmt.Errorf("%w: the element does not bear this id", ErrReference)
		}
		h := sha256.New()
		if err := c14n.Write(h, n, c14n.Options{Prefixes: r.Prefixes}); err != nil {
			return nil, err
		}
		b = appendReference(b, r, h.Sum(nil))
	}
	return append(b, "</ds:SignedInfo>"...), nil
}

// ownElement finds the element of the signature that bears the id.
func ownElement(own *xmltree.Node, id string) (*xmltree.Node, error) {
	var found *xmltree.Node
	for n := range own.Descendants() {
		if n != own && bears(n, id) {
			if found != nil {
				return nil, fmt.Errorf("%w in the signature", ErrDuplicateID)
			}
			found = n
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: nothing in the signature bears this id", ErrReference)
	}
	return found, nil
}

func bears(n *xmltree.Node, id string) bool {
	for _, a := range n.Attrs() {
		if a.Value == id && idLike(a.Local) {
			return true
		}
	}
	return false
}

// hashInfo hashes the canonical SignedInfo.
func hashInfo(info []byte, prefixes []string, head, tail []byte) ([]byte, error) {
	h := sha256.New()
	if len(prefixes) == 0 {
		h.Write([]byte(openCanonicalInfo))
		h.Write(info)
		return h.Sum(nil), nil
	}
	doc := make([]byte, 0, len(head)+len(openInfo)+len(info)+len(tail))
	doc = append(append(append(append(doc, head...), openInfo...), info...), tail...)
	root, err := xmltree.Parse(doc, xmltree.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := c14n.Write(h, root.Child(NS, "SignedInfo"), c14n.Options{Prefixes: prefixes}); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

func appendReference(b []byte, r Ref, digest []byte) []byte {
	b = append(b, "<ds:Reference"...)
	if r.Type != "" {
		b = append(append(append(b, ` Type="`...), r.Type...), '"')
	}
	b = append(append(append(b, ` URI="`...), r.URI...), `"><ds:Transforms>`...)
	if r.Enveloped {
		b = appendAlgorithm(b, "Transform", EnvelopedSignature)
	}
	b = appendCanon(b, "Transform", r.Prefixes)
	b = append(b, "</ds:Transforms>"...)
	b = appendAlgorithm(b, "DigestMethod", SHA256)
	b = append(b, "<ds:DigestValue>"...)
	b = base64.StdEncoding.AppendEncode(b, digest)
	return append(b, "</ds:DigestValue></ds:Reference>"...)
}

func appendAlgorithm(b []byte, element, uri string) []byte {
	b = append(append(append(b, "<ds:"...), element...), ` Algorithm="`...)
	b = append(append(b, uri...), `"></ds:`...)
	return append(append(b, element...), '>')
}

func appendCanon(b []byte, element string, prefixes []string) []byte {
	if len(prefixes) == 0 {
		return appendAlgorithm(b, element, ExcC14N)
	}
	b = append(append(append(b, "<ds:"...), element...), ` Algorithm="`+ExcC14N+`">`...)
	b = append(b, `<ec:InclusiveNamespaces xmlns:ec="`+ExcC14N+`" PrefixList="`...)
	b = append(append(b, strings.Join(prefixes, " ")...), `"></ec:InclusiveNamespaces></ds:`...)
	return append(append(b, element...), '>')
}
