package ehbox

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Namespaces of the two services (dossier 03 section 2.1). Only root elements stand in them; everything below is in none.
const (
	nsConsultation = "urn:be:fgov:ehealth:ehbox:consultation:protocol:v3"
	nsPublication  = "urn:be:fgov:ehealth:ehbox:publication:protocol:v3"
	nsCore         = "urn:be:fgov:ehealth:ehbox:core:v3"
)

// need says what becomes of a part that is not there. Writing, all but optional ones are written. Reading, a message
// without a part that is must is refused; one without a part that is wanted has a [Deviation].
type need uint8

const (
	optional need = iota
	wanted
	must
)

// MessageError says where a message is not what its schema demands. It never quotes content.
type MessageError struct {
	Path   string // local names from the root, for example "GetFullMessageResponse/Message"
	Reason string
}

// Error names the place and the reason.
func (e *MessageError) Error() string {
	return "ehbox: message not as in its schema: " + e.Path + ": " + e.Reason
}

// SafeError is Error: it may be logged.
func (e *MessageError) SafeError() string { return e.Error() }

// Deviation is a place where an answer is not what the schema says, and was taken all the same: real answers are not
// always clean (dossier 03 section 3.2). It never quotes content.
type Deviation struct{ Path, Reason string }

// reason is an error whose text is fixed and may be logged.
type reason string

func (r reason) Error() string     { return string(r) }
func (r reason) SafeError() string { return string(r) }

var (
	errMissing  = errors.New("part is missing")
	errRepeated = errors.New("part stands twice")
	errLeaf     = errors.New("content is not plain text")
	errBoolean  = errors.New("not a boolean")
	errNumber   = errors.New("not a number")
	errBase64   = errors.New("not base64")
	errChoice   = errors.New("neither or both of two alternatives")
)

const maxDeviations = 50

// codec walks a message type once, in schema order, either writing it (w set) or reading it (n set). One description per
// type serves both directions, so that the two cannot disagree about names and order.
//
// Reading is lenient: it ignores what it does not know and the order, takes elements with or without a namespace, and
// notes what is missing or malformed instead of refusing the message. It refuses a known element that stands twice.
type codec struct {
	w          *xmltree.Writer
	n          *xmltree.Node
	err        error
	deviations *[]Deviation
}

func (c *codec) writing() bool { return c.w != nil }

func (c *codec) path(place string) string {
	if c.n == nil {
		return place
	}
	p := c.n.Path()
	if place != "" {
		p += "/" + place
	}
	// The envelope around the message says nothing.
	if _, after, ok := strings.Cut(p, "Envelope/Body/"); ok {
		return after
	}
	return p
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
	if len(*c.deviations) < maxDeviations {
		*c.deviations = append(*c.deviations, Deviation{c.path(place), err.Error()})
	}
}

// named tells whether e is the element of that local name: in no namespace, as the schema says, or in one of eHealthBox's.
func named(e *xmltree.Node, local string) bool {
	if e.Local() != local {
		return false
	}
	switch e.Space() {
	case "", nsConsultation, nsPublication, nsCore:
		return true
	}
	return false
}

// find returns the only child of that name, nil when there is none.
func (c *codec) find(local string, n need) *xmltree.Node {
	var found *xmltree.Node
	for e := range c.n.Elements() {
		if !named(e, local) {
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

func (c *codec) inside(local string, e *xmltree.Node, f func()) {
	n := c.n
	if c.writing() {
		c.w.Start("", local)
	}
	c.n = e
	f()
	c.n = n
	if c.writing() {
		c.w.End()
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
		if c.err == nil && named(e, local) {
			var t T
			c.inside(local, e, func() { wire(&t, c) })
			*v = append(*v, t)
		}
	}
}

// leaf handles an element with text: get yields what to write, set takes what was read.
func (c *codec) leaf(local string, n need, get func() string, set func(string) error) {
	if c.err != nil {
		return
	}
	if c.writing() {
		if s := get(); s != "" || n != optional {
			c.w.Leaf("", local, s)
		}
		return
	}
	if e := c.find(local, n); e != nil {
		c.inside(local, e, func() { c.content(n, nil, set) })
	}
}

// content handles the text of the current element.
func (c *codec) content(n need, get func() string, set func(string) error) {
	if c.err != nil {
		return
	}
	if c.writing() {
		c.w.Text(get())
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

// text handles a leaf of any string type. What is read is copied: a value must not keep the whole message alive.
func text[T ~string](c *codec, local string, v *T, n need) {
	c.leaf(local, n,
		func() string { return string(*v) },
		func(s string) error { *v = T(strings.Clone(trim(s))); return nil })
}

func (c *codec) private(local string, v *Private, n need) {
	c.leaf(local, n, v.Reveal, func(s string) error { *v = Hide(strings.Clone(s)); return nil })
}

// id is private for identifiers, around which white space means nothing.
func (c *codec) id(local string, v *Private, n need) {
	c.leaf(local, n, v.Reveal, func(s string) error { *v = Hide(strings.Clone(trim(s))); return nil })
}

func (c *codec) data(local string, v *Data, n need) {
	c.leaf(local, n,
		func() string { return encodeData(*v) },
		func(s string) (err error) { *v, err = parseData(s); return err })
}

func encodeData(d Data) string { return base64.StdEncoding.EncodeToString(d.Bytes()) }

func parseData(s string) (Data, error) {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch s[i] {
		case ' ', '\t', '\r', '\n', '=':
		default:
			b = append(b, s[i])
		}
	}
	n, err := base64.RawStdEncoding.Decode(b, b)
	if err != nil {
		return Data{}, errBase64
	}
	return NewData(b[:n:n]), nil
}

func (c *codec) date(local string, v *Date, n need) {
	c.leaf(local, n, v.String, func(s string) (err error) { *v, err = ParseDate(s); return err })
}

func (c *codec) time(local string, v *time.Time, n need) {
	c.leaf(local, n,
		func() string {
			if v.IsZero() {
				return ""
			}
			return v.Format(time.RFC3339Nano)
		},
		func(s string) (err error) { *v, err = parseTime(s); return err })
}

func (c *codec) boolean(local string, v *bool, n need) {
	c.leaf(local, n,
		func() string {
			if n == optional && !*v {
				return ""
			}
			return strconv.FormatBool(*v)
		},
		func(s string) error {
			switch strings.ToLower(trim(s)) {
			case "true", "1":
				*v = true
			case "false", "0":
				*v = false
			default:
				return errBoolean
			}
			return nil
		})
}

// number handles an integer; with optional, 0 is left out.
func (c *codec) number(local string, v *int64, n need) {
	c.leaf(local, n,
		func() string {
			if n == optional && *v == 0 {
				return ""
			}
			return strconv.FormatInt(*v, 10)
		},
		func(s string) error {
			i, err := strconv.ParseInt(strings.TrimPrefix(trim(s), "+"), 10, 64)
			if err != nil {
				return errNumber
			}
			*v = i
			return nil
		})
}

// texts handles a repeated leaf.
func texts[T ~string](c *codec, local string, v *[]T) {
	many(c, local, v, func(t *T, c *codec) {
		c.content(wanted,
			func() string { return string(*t) },
			func(s string) error { *t = T(strings.Clone(trim(s))); return nil })
	})
}

func (c *codec) privates(local string, v *[]Private) {
	many(c, local, v, func(p *Private, c *codec) {
		c.content(wanted, p.Reveal, func(s string) error { *p = Hide(strings.Clone(s)); return nil })
	})
}

// attr handles an attribute of the current element; an empty one is not written.
func (c *codec) attr(local string, get func() string, set func(string)) {
	if c.err != nil {
		return
	}
	if c.writing() {
		if s := get(); s != "" {
			c.w.Attr("", local, s)
		}
		return
	}
	if s, ok := c.n.Attr("", local); ok {
		set(strings.Clone(s))
	}
}

func attrText[T ~string](c *codec, local string, v *T) {
	c.attr(local, func() string { return string(*v) }, func(s string) { *v = T(s) })
}

func (c *codec) attrPrivate(local string, v *Private) {
	c.attr(local, v.Reveal, func(s string) { *v = Hide(s) })
}

// encode writes one message.
func encode[T any](space, root string, v *T, wire func(*T, *codec)) ([]byte, error) {
	prefix := "c"
	if space == nsPublication {
		prefix = "p"
	}
	w := xmltree.NewWriter()
	c := &codec{w: w}
	w.Start(prefix, root)
	w.NS(prefix, space)
	wire(v, c)
	w.End()
	if c.err != nil {
		return nil, c.err
	}
	b, err := w.Bytes()
	if err != nil {
		return nil, fmt.Errorf("ehbox: %s cannot be written: %w", root, err)
	}
	return b, nil
}

// decode reads one message into v.
func decode[T any](n *xmltree.Node, space, root string, v *T, wire func(*T, *codec)) ([]Deviation, error) {
	if n == nil || !n.Is(space, root) {
		return nil, &MessageError{Path: root, Reason: "another element stands in its place"}
	}
	var deviations []Deviation
	c := &codec{n: n, deviations: &deviations}
	wire(v, c)
	return deviations, c.err
}
