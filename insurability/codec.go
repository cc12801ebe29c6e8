package insurability

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// namespace is where the elements of one level of a message live, and the prefix we write for it.
type namespace struct{ prefix, uri string }

var unqualified = namespace{} // the answer's Status and its children (dossier 05 section 1.2)

const nsXML = "http://www.w3.org/XML/1998/namespace"

type presence bool

const (
	required presence = true
	optional presence = false
)

// MessageError says where a message is not what its schema demands. It never quotes content.
type MessageError struct {
	Path   string // local names from the root, for example "GetInsurabilityResponse/Response/Payment"
	Reason string
}

// Error names the place and the reason.
func (e *MessageError) Error() string {
	return "insurability: message not as in its schema: " + e.Path + ": " + e.Reason
}

// SafeError is Error: it may be logged.
func (e *MessageError) SafeError() string { return e.Error() }

// reason is an error whose text is fixed and may be logged.
type reason string

func (r reason) Error() string     { return string(r) }
func (r reason) SafeError() string { return string(r) }

var (
	errMissing  = errors.New("required part is missing")
	errRepeated = errors.New("part stands twice")
	errLeaf     = errors.New("content is not plain text")
	errBoolean  = errors.New("not a boolean")
	errYear     = errors.New("not a year")
	errChoice   = errors.New("neither or both of two alternatives")
)

// codec walks a message type once, in schema order, either writing it (w set) or reading it (n set). One
// description per type serves both directions, so that the two cannot disagree about names, order or namespaces.
//
// Reading ignores elements and attributes it does not know, and the order; it refuses a known element that stands
// twice, because whoever looks at the first one must not be shown the second.
type codec struct {
	core namespace // namespace of everything below the root's children
	ns   namespace // namespace of the children of the current element
	w    *xmltree.Writer
	n    *xmltree.Node
	err  error
}

func (c *codec) writing() bool { return c.w != nil }

// fail keeps the first error; place is a child of the current element, "" the element itself.
func (c *codec) fail(place string, err error) {
	if c.err != nil {
		return
	}
	path := place
	if c.n != nil {
		path = strings.TrimSuffix(c.n.Path()+"/"+place, "/")
	}
	c.err = &MessageError{Path: path, Reason: err.Error()}
}

// find returns the only child with that name, nil when there is none.
func (c *codec) find(local string, need presence) *xmltree.Node {
	var found *xmltree.Node
	for e := range c.n.Elements() {
		if !e.Is(c.ns.uri, local) {
			continue
		}
		if found != nil {
			c.fail(local, errRepeated)
			return nil
		}
		found = e
	}
	if found == nil && need {
		c.fail(local, errMissing)
	}
	return found
}

// in runs f with the namespace of the current element's children set to ns.
func (c *codec) in(ns namespace, f func()) {
	saved := c.ns
	c.ns = ns
	f()
	c.ns = saved
}

// inside runs f with e as the current element and the core namespace for its children, unless the current level is
// unqualified: what lies below an unqualified element is unqualified too.
func (c *codec) inside(local string, e *xmltree.Node, f func()) {
	n, ns := c.n, c.ns
	if c.writing() {
		c.w.Start(ns.prefix, local)
	}
	c.n = e
	if ns != unqualified {
		c.ns = c.core
	}
	f()
	c.n, c.ns = n, ns
	if c.writing() {
		c.w.End()
	}
}

// one handles a required element of a structured type.
func one[T any](c *codec, local string, v *T, wire func(*T, *codec)) {
	if c.err != nil {
		return
	}
	var e *xmltree.Node
	if !c.writing() {
		if e = c.find(local, required); e == nil {
			return
		}
	}
	c.inside(local, e, func() { wire(v, c) })
}

// maybe handles an optional element of a structured type: nil when absent.
func maybe[T any](c *codec, local string, v **T, wire func(*T, *codec)) {
	if c.err != nil {
		return
	}
	var e *xmltree.Node
	if c.writing() {
		if *v == nil {
			return
		}
	} else {
		if e = c.find(local, optional); e == nil {
			return
		}
		*v = new(T)
	}
	c.inside(local, e, func() { wire(*v, c) })
}

// many handles an element that may be repeated.
func many[T any](c *codec, local string, v *[]T, wire func(*T, *codec)) {
	if c.err != nil {
		return
	}
	if c.writing() {
		for i := range *v {
			c.inside(local, nil, func() { wire(&(*v)[i], c) })
		}
		return
	}
	for e := range c.n.Elements() {
		if c.err == nil && e.Is(c.ns.uri, local) {
			var t T
			c.inside(local, e, func() { wire(&t, c) })
			*v = append(*v, t)
		}
	}
}

// leaf handles an element with text: get yields what to write, set takes what was read (never the text of an absent
// element). An optional element with nothing to write is left out.
func (c *codec) leaf(local string, need presence, get func() string, set func(string) error) {
	if c.err != nil {
		return
	}
	if c.writing() {
		if s := get(); s != "" || bool(need) {
			c.w.Leaf(c.ns.prefix, local, s)
		}
		return
	}
	e := c.find(local, need)
	if e == nil {
		return
	}
	s, err := e.Text()
	if err != nil {
		c.fail(local, errLeaf)
		return
	}
	if err := set(s); err != nil {
		c.fail(local, err)
	}
}

// text handles a leaf of any string type. What is read is copied: a value must not keep the whole message alive.
func text[T ~string](c *codec, local string, v *T, need presence) {
	c.leaf(local, need,
		func() string { return string(*v) },
		func(s string) error { *v = T(strings.Clone(s)); return nil })
}

func (c *codec) private(local string, v *Private, need presence) {
	c.leaf(local, need, v.Reveal, func(s string) error { *v = Hide(s); return nil })
}

func (c *codec) date(local string, v *Date, need presence) {
	c.leaf(local, need, v.String, func(s string) (err error) {
		*v, err = ParseDate(trim(s))
		return err
	})
}

// number handles an xs:decimal that serves as a reference: it is kept as written, without white space.
func (c *codec) number(local string, v *string) {
	c.leaf(local, optional,
		func() string { return *v },
		func(s string) error { *v = strings.Clone(trim(s)); return nil })
}

func (c *codec) boolean(local string, v *bool) {
	c.leaf(local, required,
		func() string { return strconv.FormatBool(*v) },
		func(s string) (err error) { *v, err = parseBool(s); return err })
}

func (c *codec) tristate(local string, v *Tristate) {
	c.leaf(local, optional, v.wireText, v.parse)
}

// years handles a repeated xs:gYear.
func (c *codec) years(local string, v *[]int) {
	many(c, local, v, func(y *int, c *codec) {
		c.content(
			func() string { return string(appendPadded(nil, *y, 4)) },
			func(s string) (err error) { *y, err = parseYear(trim(s)); return err })
	})
}

// texts handles a repeated leaf.
func (c *codec) texts(local string, v *[]string) {
	many(c, local, v, func(t *string, c *codec) {
		c.content(
			func() string { return *t },
			func(s string) error { *t = strings.Clone(s); return nil })
	})
}

// content handles the text of the current element.
func (c *codec) content(get func() string, set func(string) error) {
	if c.err != nil {
		return
	}
	if c.writing() {
		c.w.Text(get())
		return
	}
	s, err := c.n.Text()
	if err != nil {
		c.fail("", errLeaf)
		return
	}
	if err := set(s); err != nil {
		c.fail("", err)
	}
}

// attr handles an optional attribute of the current element.
func (c *codec) attr(prefix, local string, get func() string, set func(string) error) {
	if c.err != nil {
		return
	}
	if c.writing() {
		if s := get(); s != "" {
			c.w.Attr(prefix, local, s)
		}
		return
	}
	space := ""
	if prefix == "xml" {
		space = nsXML
	}
	if s, ok := c.n.Attr(space, local); ok {
		if err := set(s); err != nil {
			c.fail("@"+local, err)
		}
	}
}

func attrText[T ~string](c *codec, local string, v *T) {
	c.attr("", local,
		func() string { return string(*v) },
		func(s string) error { *v = T(strings.Clone(s)); return nil })
}

func (c *codec) attrTristate(local string, v *Tristate) { c.attr("", local, v.wireText, v.parse) }

func (t *Tristate) wireText() string {
	if *t == NotKnown {
		return ""
	}
	return strconv.FormatBool(*t == Yes)
}

func (t *Tristate) parse(s string) error {
	b, err := parseBool(s)
	if err == nil {
		*t = Is(b)
	}
	return err
}

// parseBool reads xs:boolean; MyCareNet's sister messages write it capitalised (dossier 05 section 3.5).
func parseBool(s string) (bool, error) {
	switch trim(s) {
	case "true", "1", "True":
		return true, nil
	case "false", "0", "False":
		return false, nil
	}
	return false, errBoolean
}

func parseYear(s string) (int, error) {
	if len(s) < 4 || !isDigits(s[:4]) || !validZone(s[4:]) {
		return 0, errYear
	}
	return strconv.Atoi(s[:4])
}

// trim removes the white space that XML Schema collapses around dates, booleans and numbers.
func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// encode writes one message: root element in protocol, declared there with core.
func encode[T any](protocol, core namespace, root string, v *T, wire func(*T, *codec)) ([]byte, error) {
	w := xmltree.NewWriter()
	c := &codec{core: core, ns: protocol, w: w}
	w.Start(protocol.prefix, root)
	w.NS(protocol.prefix, protocol.uri)
	w.NS(core.prefix, core.uri)
	wire(v, c)
	w.End()
	if c.err != nil {
		return nil, c.err
	}
	b, err := w.Bytes()
	if err != nil {
		return nil, fmt.Errorf("insurability: %s cannot be written: %w", root, err)
	}
	return b, nil
}

// decode reads one message into v.
func decode[T any](n *xmltree.Node, protocol, core namespace, root string, v *T, wire func(*T, *codec)) error {
	if n == nil || !n.Is(protocol.uri, root) {
		return &MessageError{Path: root, Reason: "another element stands in its place"}
	}
	c := &codec{core: core, ns: protocol, n: n}
	wire(v, c)
	return c.err
}
