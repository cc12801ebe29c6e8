package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// need says what becomes of a part that is not there. Writing, a wanted or must part without a value is refused where an
// empty one cannot be right (numbers, dates, keys, content), and written empty where it can (text). Reading, a message
// without a must part is refused; one without a wanted part has a [Deviation].
type need uint8

const (
	optional need = iota
	wanted
	must
)

// MessageError says where a message is not what the protocol demands. It never quotes content.
type MessageError struct {
	Path   string // local names from the root, for example "listOpenRidsResult/items/rid"
	Reason string
}

// Error names the place and the reason.
func (e *MessageError) Error() string {
	return "recipe: message not as in the protocol: " + e.Path + ": " + e.Reason
}

// SafeError is Error: it may be logged.
func (e *MessageError) SafeError() string { return e.Error() }

// Deviation is a place where a message is not what the schemas say, and was taken all the same: real answers are not
// always clean (dossier 04 section 5). It never quotes content.
type Deviation struct{ Path, Reason string }

// Deviations are those of one message. At most fifty are listed; Unknown counts the elements without a meaning here,
// which are ignored, and is not limited.
type Deviations struct {
	List    []Deviation
	Unknown int
}

// None tells that the message was as the schemas say.
func (d Deviations) None() bool { return len(d.List) == 0 && d.Unknown == 0 }

var (
	errMissing  = errors.New("part is missing")
	errRepeated = errors.New("part stands twice")
	errMany     = errors.New("too many of them")
	errLeaf     = errors.New("content is not plain text")
	errBoolean  = errors.New("not a boolean")
	errNumber   = errors.New("not a number")
	errBase64   = errors.New("not base64")
	errKey      = errors.New("not a key of 24 bytes")
	errRoot     = errors.New("root has another name")
	errValue    = errors.New("not a value of the protocol")
	errNotHere  = errors.New("part does not exist in this generation or role")
)

const (
	maxDeviations = 50
	maxItems      = 10_000
)

// limits bounds a sealed message. The largest known ones carry the schemas of the validation properties.
var limits = xmltree.Limits{Bytes: 16 << 20, Depth: 40, Nodes: 500_000, Attrs: 64}

// codec walks a message type once, in the order of the schema, either writing it (w set) or reading it (n set). One
// description per type serves both directions, so that the two cannot disagree about names.
//
// Reading ignores order, namespaces and what it does not know, and notes what is missing or malformed instead of
// refusing the message. It refuses a known element that stands twice.
type codec struct {
	w     *xmltree.Writer
	n     *xmltree.Node
	err   error
	dev   *Deviations
	role  Role
	gen   Generation
	known []string // names that the description of the current element has asked for
	at    []string // open elements, when writing
}

func (c *codec) writing() bool { return c.w != nil }

func (c *codec) path(place string) string {
	p := strings.Join(c.at, "/")
	if c.n != nil {
		p = c.n.Path()
		// The envelope around a message says nothing.
		if _, after, ok := strings.Cut(p, "Envelope/Body/"); ok {
			p = after
		}
	}
	switch {
	case place == "":
		return p
	case p == "":
		return place
	}
	return p + "/" + place
}

// fail keeps the first error that refuses the message.
func (c *codec) fail(place string, err error) {
	if c.err == nil {
		c.err = &MessageError{Path: c.path(place), Reason: err.Error()}
	}
}

// deviate notes a fault that does not refuse the message.
func (c *codec) deviate(place string, err error) {
	if c.writing() {
		c.fail(place, err)
		return
	}
	if len(c.dev.List) < maxDeviations {
		c.dev.List = append(c.dev.List, Deviation{c.path(place), err.Error()})
	}
}

// find returns the only child of that name, nil when there is none.
func (c *codec) find(local string, n need) *xmltree.Node {
	c.known = append(c.known, local)
	var found *xmltree.Node
	for e := range c.n.Elements() {
		if e.Local() != local {
			continue
		}
		if found != nil {
			c.fail(local, errRepeated)
			return nil
		}
		found = e
	}
	if found == nil {
		switch n {
		case must:
			c.fail(local, errMissing)
		case wanted:
			c.deviate(local, errMissing)
		}
	}
	return found
}

// inside describes one element. Reading, it counts the children that the description did not ask for.
func (c *codec) inside(local string, e *xmltree.Node, f func()) {
	if c.writing() {
		c.w.Start("", local)
		c.at = append(c.at, local)
		f()
		c.at = c.at[:len(c.at)-1]
		c.w.End()
		return
	}
	n, known := c.n, c.known
	c.n, c.known = e, nil
	f()
	c.unknown()
	c.n, c.known = n, known
}

func (c *codec) unknown() {
	for e := range c.n.Elements() {
		if !slices.Contains(c.known, e.Local()) {
			c.dev.Unknown++
		}
	}
}

// one handles an element of a structured type that is always written.
func one[T any](c *codec, local string, v *T, n need, wire func(*T, *codec)) {
	if c.err != nil {
		return
	}
	var e *xmltree.Node
	if !c.writing() {
		if e = c.find(local, n); e == nil {
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

// many handles an element that may be repeated. It is written under the first name and read under all of them.
func many[T any](c *codec, v *[]T, wire func(*T, *codec), local ...string) {
	if c.err != nil {
		return
	}
	if c.writing() {
		for i := range *v {
			c.inside(local[0], nil, func() { wire(&(*v)[i], c) })
		}
		return
	}
	c.known = append(c.known, local...)
	for e := range c.n.Elements() {
		if c.err != nil || !slices.Contains(local, e.Local()) {
			continue
		}
		if len(*v) == maxItems {
			c.fail(local[0], errMany)
			return
		}
		var t T
		c.inside(e.Local(), e, func() { wire(&t, c) })
		*v = append(*v, t)
	}
}

// leaf handles an element with text: get yields what to write, set takes what was read. An optional one is left out when
// get yields nothing.
func (c *codec) leaf(local string, n need, get func() (string, error), set func(string) error) {
	if c.err != nil {
		return
	}
	if c.writing() {
		s, err := get()
		switch {
		case err != nil:
			c.fail(local, err)
		case s != "" || n != optional:
			c.w.Leaf("", local, s)
		}
		return
	}
	if e := c.find(local, n); e != nil {
		c.inside(local, e, func() { c.content(n, nil, set) })
	}
}

// content handles the text of the current element.
func (c *codec) content(n need, get func() (string, error), set func(string) error) {
	if c.err != nil {
		return
	}
	if c.writing() {
		s, err := get()
		if err != nil {
			c.fail("", err)
			return
		}
		c.w.Text(s)
		return
	}
	s, err := c.n.Text()
	if err != nil {
		err = errLeaf
	} else {
		err = set(s)
	}
	switch {
	case err == nil:
	case n == must:
		c.fail("", err)
	default:
		c.deviate("", err)
	}
}

// writeRoot writes one message with a prefix on its root only: a default namespace would capture the children.
func writeRoot(c *codec, prefix, space, root string, wire func(*codec)) ([]byte, error) {
	c.w = xmltree.NewWriter()
	c.at = []string{root}
	c.w.Start(prefix, root)
	c.w.NS(prefix, space)
	wire(c)
	c.w.End()
	if c.err != nil {
		return nil, c.err
	}
	b, err := c.w.Bytes()
	if err != nil {
		return nil, fmt.Errorf("recipe: %s cannot be written: %w", root, err)
	}
	return b, nil
}

// readRoot reads one message. Another name of the root is a deviation only: what answers belong to which request is
// decided by the key that opened them, and readers in use never looked at the name.
func readRoot(n *xmltree.Node, names []string, wire func(*codec)) (Deviations, error) {
	var dev Deviations
	c := &codec{n: n, dev: &dev}
	if !slices.Contains(names, n.Local()) {
		c.deviate("", errRoot)
	}
	wire(c)
	c.unknown()
	return dev, c.err
}

// parse reads a sealed document. Programs that sealed it may have left control characters behind it.
func parse(doc []byte) (*xmltree.Node, error) {
	doc = bytes.TrimRightFunc(doc, func(r rune) bool { return r <= ' ' || r == 0x7f })
	return xmltree.Parse(doc, limits)
}

// trim removes the white space that XML Schema collapses.
func trim(s string) string { return strings.Trim(s, " \t\r\n") }
