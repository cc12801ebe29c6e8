package sandbox

import (
	"errors"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// errSchema is what a message that breaks its XML Schema matches; the platform says SOA-03006 then.
var errSchema = errors.New("sandbox: message breaks its schema")

const nsXSI = "http://www.w3.org/2001/XMLSchema-instance"

// schemaError says where a message breaks its schema. Path holds names of the schema only, never content.
type schemaError struct {
	Path   string
	Reason string
}

func (e *schemaError) Error() string { return "sandbox: " + e.Path + ": " + e.Reason }

func (e *schemaError) Is(target error) bool { return target == errSchema }

// qname is an expanded XML name.
type qname struct{ space, local string }

// xsType is the type of an element: the part of XML Schema 1.0 that the requests of the platform need.
// Exactly one of simple, seq and any describes the content; a type with none of them is an empty sequence.
type xsType struct {
	name    qname
	simple  *xsSimple    // text only
	seq     []xsParticle // elements only, in this order
	any     bool         // xs:anyType: whatever is well formed
	attrs   []xsAttr
	foreign bool      // anyAttribute namespace="##other" processContents="lax"
	derived []*xsType // types that xsi:type may name in its place

	choice []xsParticle // not a type: the elements of a choice (xsChoice)
}

// xsParticle is one element of a sequence, or a choice of several.
type xsParticle struct {
	name     qname
	typ      *xsType
	min, max int // max < 0: unbounded
}

// xsChoice is a choice of elements, exactly one of which must be there.
func xsChoice(of ...xsParticle) xsParticle {
	return xsParticle{of[0].name, &xsType{choice: of}, 1, 1}
}

// of is the declaration of c, when it may stand here.
func (p *xsParticle) of(c *xmltree.Node) *xsParticle {
	for i := range p.typ.choice {
		if d := p.typ.choice[i].of(c); d != nil {
			return d
		}
	}
	if p.typ.choice == nil && c.Is(p.name.space, p.name.local) {
		return p
	}
	return nil
}

// xsAttr is one attribute in no namespace.
type xsAttr struct {
	local    string
	typ      *xsSimple
	required bool
}

// xsOne, xsOpt and xsMany declare an element with its usual cardinalities: exactly one, at most one, any number.
func xsOne(space, local string, t *xsType) xsParticle {
	return xsParticle{qname{space, local}, t, 1, 1}
}

func xsOpt(space, local string, t *xsType) xsParticle {
	return xsParticle{qname{space, local}, t, 0, 1}
}

func xsMany(space, local string, t *xsType) xsParticle {
	return xsParticle{qname{space, local}, t, 0, -1}
}

// xsLeaf is the type of an element with text only and no attributes.
func xsLeaf(s *xsSimple) *xsType { return &xsType{name: s.name, simple: s} }

// validate checks n against t as XML Schema 1.0 does. The first error wins.
func (t *xsType) validate(n *xmltree.Node) error {
	v := &xsValidator{ids: map[string]bool{}}
	if e := v.element(n, t, n.Local()); e != nil {
		return e
	}
	return nil
}

// xsValidator carries what is unique in a document: the values of type xs:ID.
type xsValidator struct{ ids map[string]bool }

func (v *xsValidator) element(n *xmltree.Node, t *xsType, path string) *schemaError {
	t, e := t.instance(n, path)
	if e != nil {
		return e
	}
	if e := v.attributes(n, t, path); e != nil {
		return e
	}
	switch {
	case t.any:
		return nil
	case t.simple != nil:
		return simpleContent(n, t.simple, path)
	}
	return v.sequence(n, t, path)
}

func simpleContent(n *xmltree.Node, s *xsSimple, path string) *schemaError {
	for range n.Elements() {
		return &schemaError{path, "text expected"}
	}
	if !s.valid(textOf(n)) {
		return &schemaError{path, "value not of type " + s.name.local}
	}
	return nil
}

// sequence matches the element children with the particles. All sequences here are deterministic, so one pass
// without looking back is exact.
func (v *xsValidator) sequence(n *xmltree.Node, t *xsType, path string) *schemaError {
	i, count := 0, 0
	next := func() *schemaError {
		if count < t.seq[i].min {
			return &schemaError{path, "element " + t.seq[i].name.local + " expected"}
		}
		i, count = i+1, 0
		return nil
	}
	for c := range n.Children() {
		switch c.Kind() {
		case xmltree.Text:
			if strings.Trim(c.Data(), " \t\r\n") != "" {
				return &schemaError{path, "text not allowed here"}
			}
			continue
		case xmltree.Element:
		default:
			continue
		}
		for i < len(t.seq) && (t.seq[i].of(c) == nil || count == t.seq[i].max) {
			if e := next(); e != nil {
				return e
			}
		}
		if i == len(t.seq) {
			return &schemaError{path, "unexpected element, or elements out of order"}
		}
		count++
		d := t.seq[i].of(c)
		if e := v.element(c, d.typ, path+"/"+d.name.local); e != nil {
			return e
		}
	}
	for i < len(t.seq) {
		if e := next(); e != nil {
			return e
		}
	}
	return nil
}

func (v *xsValidator) attributes(n *xmltree.Node, t *xsType, path string) *schemaError {
	seen := 0
	for _, a := range n.Attrs() {
		if a.Space == nsXSI {
			if e := xsiAttribute(t, a.Local, path); e != nil {
				return e
			}
			continue
		}
		if a.Space != "" || t.any {
			if !t.foreign && !t.any {
				return &schemaError{path, "unexpected attribute"}
			}
			continue
		}
		d := t.attr(a.Local)
		if d == nil {
			return &schemaError{path, "unexpected attribute"}
		}
		if !d.typ.valid(a.Value) {
			return &schemaError{path + "/@" + d.local, "value not of type " + d.typ.name.local}
		}
		if d.typ == xsID {
			id := collapse(a.Value)
			if v.ids[id] {
				return &schemaError{path + "/@" + d.local, "id is not unique"}
			}
			v.ids[id] = true
		}
		if d.required {
			seen++
		}
	}
	for _, d := range t.attrs {
		if d.required {
			seen--
		}
	}
	if seen != 0 {
		return &schemaError{path, "required attribute missing"}
	}
	return nil
}

func (t *xsType) attr(local string) *xsAttr {
	for i := range t.attrs {
		if t.attrs[i].local == local {
			return &t.attrs[i]
		}
	}
	return nil
}

// instance is the type that n really has: t, or the one that xsi:type names, which must be t or derived from it.
func (t *xsType) instance(n *xmltree.Node, path string) (*xsType, *schemaError) {
	value, ok := n.Attr(nsXSI, "type")
	if !ok || t.any {
		return t, nil
	}
	prefix, local, ok := strings.Cut(collapse(value), ":")
	if !ok {
		prefix, local = "", prefix
	}
	if space, bound := n.LookupPrefix(prefix); bound {
		for _, d := range append([]*xsType{t}, t.derived...) {
			if d.name == (qname{space, local}) {
				return d, nil
			}
		}
	}
	return nil, &schemaError{path, "xsi:type is not the declared type"}
}

// xsiAttribute judges the attributes that every element may carry. No element of these schemas is nillable except
// saml2:AttributeValue, an any here.
func xsiAttribute(t *xsType, local, path string) *schemaError {
	switch local {
	case "schemaLocation", "noNamespaceSchemaLocation", "type":
		return nil
	case "nil":
		if t.any {
			return nil
		}
		return &schemaError{path, "xsi:nil not allowed"}
	}
	return &schemaError{path, "unexpected attribute"}
}

// textOf is the text of a leaf without its comments. Comments are not part of what exclusive C14N signs, so
// joining the text around them gives what was signed; "" for nil.
func textOf(n *xmltree.Node) string {
	if n == nil {
		return ""
	}
	var one string
	var more []string
	for c := range n.Children() {
		if c.Kind() != xmltree.Text {
			continue
		}
		if one == "" {
			one = c.Data()
			continue
		}
		more = append(more, c.Data())
	}
	if len(more) == 0 {
		return one
	}
	return one + strings.Join(more, "")
}

// nodeAt walks down from n by local names in one namespace; nil when a step is missing.
func nodeAt(n *xmltree.Node, space string, steps ...string) *xmltree.Node {
	for _, local := range steps {
		if n == nil {
			return nil
		}
		n = n.Child(space, local)
	}
	return n
}
