package dsig

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Bounds on what a signature may ask of its verifier.
const (
	maxValueText  = 16 << 10 // characters of a SignatureValue or DigestValue, white space included
	maxPrefixList = 4 << 10  // characters of one PrefixList
	maxObjects    = 16       // ds:Object elements
)

// signature is a ds:Signature taken apart; nothing in it is verified yet.
type signature struct {
	node, info, keyInfo *xmltree.Node
	canon               canon
	method              method
	refs                []reference
	value               []byte
}

// canon is one canonicalisation step.
type canon struct {
	inclusive bool
	prefixes  []string
}

func (c canon) options(omit *xmltree.Node) c14n.Options {
	return c14n.Options{Inclusive: c.inclusive, Prefixes: c.prefixes, Omit: omit}
}

// reference is one ds:Reference.
type reference struct {
	id, typ   string
	enveloped bool
	canon     canon
	hash      crypto.Hash
	digest    []byte
}

// Elements returns the element children of an element that has nothing else: white space between them is fine; text, comments
// and processing instructions are an ErrFormat.
func Elements(n *xmltree.Node) ([]*xmltree.Node, error) {
	var out []*xmltree.Node
	for c := range n.Children() {
		switch c.Kind() {
		case xmltree.Element:
			out = append(out, c)
		case xmltree.Text:
			if strings.TrimFunc(c.Data(), isSpace) != "" {
				return nil, fmt.Errorf("%w: text between elements of %s", ErrFormat, n.Local())
			}
		default:
			return nil, fmt.Errorf("%w: comment or processing instruction in %s", ErrFormat, n.Local())
		}
	}
	return out, nil
}

// cursor walks the children of a container in schema order.
type cursor struct {
	parent string
	rest   []*xmltree.Node
}

func newCursor(n *xmltree.Node) (*cursor, error) {
	kids, err := Elements(n)
	return &cursor{n.Local(), kids}, err
}

// take returns the next child if it is ds:local, else nil.
func (c *cursor) take(local string) *xmltree.Node {
	if len(c.rest) == 0 || !c.rest[0].Is(NS, local) {
		return nil
	}
	n := c.rest[0]
	c.rest = c.rest[1:]
	return n
}

func (c *cursor) must(local string) (*xmltree.Node, error) {
	if n := c.take(local); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: %s expected in %s", ErrFormat, local, c.parent)
}

func (c *cursor) end() error {
	if len(c.rest) > 0 {
		return fmt.Errorf("%w: unexpected element in %s", ErrFormat, c.parent)
	}
	return nil
}

// parseSignature takes a ds:Signature apart and applies the policy's algorithm rules.
func parseSignature(n *xmltree.Node, p *Policy) (*signature, error) {
	if n == nil || !n.Is(NS, "Signature") {
		return nil, fmt.Errorf("%w: not a ds:Signature", ErrFormat)
	}
	cur, err := newCursor(n)
	if err != nil {
		return nil, err
	}
	s := &signature{node: n}
	if s.info, err = cur.must("SignedInfo"); err != nil {
		return nil, err
	}
	value, err := cur.must("SignatureValue")
	if err != nil {
		return nil, err
	}
	if s.value, err = Base64(value); err != nil {
		return nil, err
	}
	s.keyInfo = cur.take("KeyInfo")
	for i := 0; cur.take("Object") != nil; i++ {
		if i == maxObjects {
			return nil, fmt.Errorf("%w: too many objects", ErrFormat)
		}
	}
	if err := cur.end(); err != nil {
		return nil, err
	}
	return s, s.parseInfo(p)
}

// parseInfo reads ds:SignedInfo.
func (s *signature) parseInfo(p *Policy) error {
	cur, err := newCursor(s.info)
	if err != nil {
		return err
	}
	n, err := cur.must("CanonicalizationMethod")
	if err != nil {
		return err
	}
	if s.canon, err = parseCanon(n, p); err != nil {
		return err
	}
	if n, err = cur.must("SignatureMethod"); err != nil {
		return err
	}
	uri, err := algorithm(n)
	if err != nil {
		return err
	}
	if s.method, err = signatureMethod(uri, p); err != nil {
		return err
	}
	for n = cur.take("Reference"); n != nil; n = cur.take("Reference") {
		if len(s.refs) == p.maxRefs() {
			return fmt.Errorf("%w: too many references", ErrReference)
		}
		r, err := parseReference(n, p)
		if err != nil {
			return err
		}
		s.refs = append(s.refs, r)
	}
	if len(s.refs) == 0 {
		return fmt.Errorf("%w: no reference", ErrReference)
	}
	return cur.end()
}

// parseReference reads one ds:Reference.
func parseReference(n *xmltree.Node, p *Policy) (reference, error) {
	var r reference
	uri, _ := n.Attr("", "URI")
	id, ok := strings.CutPrefix(uri, "#")
	if !ok || !plainID(id) {
		return r, fmt.Errorf("%w: only \"#id\" is accepted", ErrReference)
	}
	r.id = id
	r.typ, _ = n.Attr("", "Type")
	cur, err := newCursor(n)
	if err != nil {
		return r, err
	}
	if err := r.parseTransforms(cur.take("Transforms"), p); err != nil {
		return r, err
	}
	m, err := cur.must("DigestMethod")
	if err != nil {
		return r, err
	}
	alg, err := algorithm(m)
	if err != nil {
		return r, err
	}
	if r.hash, err = digestMethod(alg, p); err != nil {
		return r, err
	}
	v, err := cur.must("DigestValue")
	if err != nil {
		return r, err
	}
	if r.digest, err = Base64(v); err != nil {
		return r, err
	}
	return r, cur.end()
}

// parseTransforms accepts [enveloped-signature] then [C14N]. Without a C14N step XML-DSig canonicalises inclusively.
func (r *reference) parseTransforms(n *xmltree.Node, p *Policy) error {
	canonical := false
	if n != nil {
		cur, err := newCursor(n)
		if err != nil {
			return err
		}
		if len(cur.rest) == 0 {
			return fmt.Errorf("%w: empty Transforms", ErrFormat)
		}
		for t := cur.take("Transform"); t != nil; t = cur.take("Transform") {
			if canonical {
				return fmt.Errorf("%w: transform after canonicalisation", ErrAlgorithm)
			}
			if uri, err := algorithm(t); uri == EnvelopedSignature && err == nil && !r.enveloped {
				r.enveloped = true
				continue
			}
			if r.canon, err = parseCanon(t, p); err != nil {
				return err
			}
			canonical = true
		}
		if err := cur.end(); err != nil {
			return err
		}
	}
	if !canonical {
		if !p.AllowInclusive {
			return fmt.Errorf("%w: reference without canonicalisation", ErrAlgorithm)
		}
		r.canon = canon{inclusive: true}
	}
	return nil
}

// algorithm reads the Algorithm attribute of an element that takes no parameters.
func algorithm(n *xmltree.Node) (string, error) {
	uri, _ := n.Attr("", "Algorithm")
	kids, err := Elements(n)
	if err == nil && len(kids) > 0 {
		err = fmt.Errorf("%w: parameters in %s", ErrAlgorithm, n.Local())
	}
	return uri, err
}

// parseCanon reads a CanonicalizationMethod or a canonicalising Transform with its optional PrefixList.
func parseCanon(n *xmltree.Node, p *Policy) (canon, error) {
	uri, _ := n.Attr("", "Algorithm")
	kids, err := Elements(n)
	if err != nil {
		return canon{}, err
	}
	switch {
	case uri == ExcC14N && len(kids) == 0:
		return canon{}, nil
	case uri == ExcC14N && len(kids) == 1 && kids[0].Is(ExcC14N, "InclusiveNamespaces"):
		list, _ := kids[0].Attr("", "PrefixList")
		if len(list) > maxPrefixList {
			return canon{}, fmt.Errorf("%w: PrefixList too long", ErrFormat)
		}
		if inner, err := Elements(kids[0]); err != nil || len(inner) > 0 {
			return canon{}, fmt.Errorf("%w: content in InclusiveNamespaces", ErrFormat)
		}
		return canon{prefixes: strings.FieldsFunc(list, isSpace)}, nil
	case uri == C14N10 && p.AllowInclusive && len(kids) == 0:
		return canon{inclusive: true}, nil
	}
	return canon{}, fmt.Errorf("%w: canonicalisation or transform", ErrAlgorithm)
}

// Base64 reads a leaf of base64 text of up to 16 KiB, which must not be empty; else ErrFormat. White space is skipped, CR included: the official connector writes its
// line ends as "&#13;" LF (dossier 09). Everything else is strict: alphabet, padding, trailing bits.
func Base64(n *xmltree.Node) ([]byte, error) {
	text, err := n.Text()
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not plain text", ErrFormat, n.Local())
	}
	if len(text) > maxValueText {
		return nil, fmt.Errorf("%w: %s too long", ErrFormat, n.Local())
	}
	b, err := base64.StdEncoding.Strict().DecodeString(strings.Join(strings.FieldsFunc(text, isSpace), ""))
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("%w: %s is not base64", ErrFormat, n.Local())
	}
	return b, nil
}

// plainID accepts the characters of ids that are in use: NCName characters, also at the start (UUIDs begin with digits),
// and any character beyond ASCII. That leaves out XPointer, percent escapes and white space.
func plainID(id string) bool {
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.', c >= 0x80:
		default:
			return false
		}
	}
	return id != ""
}

// isSpace is white space as XML defines it, nothing more.
func isSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }
