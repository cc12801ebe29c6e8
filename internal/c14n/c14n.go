package c14n

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const xmlURI = "http://www.w3.org/XML/1998/namespace"

// Options selects the algorithm. The zero value is exclusive canonicalisation
// without comments, http://www.w3.org/2001/10/xml-exc-c14n#.
type Options struct {
	// Inclusive selects Canonical XML 1.0,
	// http://www.w3.org/TR/2001/REC-xml-c14n-20010315.
	Inclusive bool
	// Comments keeps comments (the #WithComments variants).
	Comments bool
	// Prefixes is the InclusiveNamespaces PrefixList of the exclusive form;
	// "#default" is the default namespace. Ignored when Inclusive is set.
	Prefixes []string
	// Omit is left out with all that is below it; nil = nothing.
	Omit *xmltree.Node
}

// ErrTooLarge is returned by Write when the canonical form exceeds the larger of
// 64 MiB and four times the element's own size.
var ErrTooLarge = errors.New("c14n: canonical form too large")

const (
	minOutput    = 64 << 20 // always allowed, in bytes
	outputFactor = 4        // times the source, for documents beyond that
	flushAt      = 8 << 10  // bytes gathered before they go to the writer
)

// measureFrom is the size of source, in bytes, from which Append measures the
// output first: growing a large buffer step by step costs several times its
// final size in memory, and the second pass runs at memory speed.
const measureFrom = 256 << 10

// measure counts what is written to it.
type measure int

func (m *measure) Write(p []byte) (int, error) {
	*m += measure(len(p))
	return len(p), nil
}

// Append appends the canonical form of n to dst. When that would be too large in
// the sense of ErrTooLarge it appends nothing; canonicalise what a stranger
// sent with [Write], which says so.
func Append(dst []byte, n *xmltree.Node, o Options) []byte {
	size := len(n.Source())
	grow := size + size/16
	if size >= measureFrom {
		var m measure
		if Write(&m, n, o) != nil {
			return dst
		}
		grow = int(m)
	}
	c := newCanon(o, size)
	c.out = slices.Grow(dst, grow)
	c.base = len(dst)
	c.walk(n)
	if c.err != nil {
		return dst
	}
	return c.out
}

// Write writes the canonical form of n to w, through a small buffer: hand it a
// hash. It fails with ErrTooLarge or with the error of w.
func Write(w io.Writer, n *xmltree.Node, o Options) error {
	c := newCanon(o, len(n.Source()))
	c.w = w
	room := buffers.Get().(*[]byte) //nolint:forcetypeassert // nothing else is in there
	c.out = *room
	c.walk(n)
	c.flush()
	if cap(c.out) <= maxKept { // else a text was that long
		clear(c.out[:cap(c.out)])
		*room = c.out[:0]
		buffers.Put(room)
	}
	return c.err
}

// buffers are those of earlier calls of Write.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2*flushAt); return &b }}

const maxKept = 64 << 10

// canon is one canonicalisation under way.
type canon struct {
	Options
	out  []byte
	base int       // what out held before us
	w    io.Writer // nil: everything stays in out
	left int       // bytes that may still be written
	err  error

	listed map[string]bool      // Prefixes, "" for #default
	ns     map[string]*rendered // by prefix
	undo   []undo
	marks  []int // length of undo before each open element

	decls []xmltree.Namespace // scratch: to be rendered on one element
	attrs []xmltree.Attr      // scratch: sorted
}

// rendered is the declaration of a prefix in force in the output; URI "" is
// none, which is also what an undeclared default namespace looks like.
type rendered struct{ uri string }

type undo struct {
	r   *rendered
	uri string
}

func newCanon(o Options, size int) *canon {
	c := &canon{Options: o, left: max(minOutput, outputFactor*size), ns: make(map[string]*rendered, 8)}
	if len(o.Prefixes) > 0 && !o.Inclusive {
		c.listed = make(map[string]bool, len(o.Prefixes))
		for _, p := range o.Prefixes {
			if p == "#default" {
				p = ""
			}
			c.listed[p] = true
		}
	}
	return c
}

// walk visits the subtree of top in document order. It has no recursion, so
// that depth costs no stack.
func (c *canon) walk(top *xmltree.Node) {
	if top == nil {
		return
	}
	for n := top; c.err == nil; {
		if n != c.Omit {
			c.enter(n, n == top)
			if child := n.FirstChild(); child != nil {
				n = child
				continue
			}
			c.leave(n)
		}
		for n != top && n.NextSibling() == nil {
			n = n.Parent()
			c.leave(n)
		}
		if n == top {
			return
		}
		n = n.NextSibling()
	}
}

func (c *canon) enter(n *xmltree.Node, apex bool) {
	switch n.Kind() {
	case xmltree.Element:
		c.startTag(n, apex)
	case xmltree.Text:
		c.text(n.Data())
	case xmltree.Comment:
		if c.Comments {
			c.put("<!--")
			c.put(n.Data())
			c.put("-->")
		}
	case xmltree.ProcInst:
		c.put("<?")
		c.put(n.Local())
		if n.Data() != "" {
			c.put(" ")
			c.put(n.Data())
		}
		c.put("?>")
	}
	c.bound()
}

func (c *canon) leave(n *xmltree.Node) {
	if n.Kind() != xmltree.Element {
		return
	}
	c.put("</")
	c.name(n.Prefix(), n.Local())
	c.put(">")
	last := len(c.marks) - 1
	for i := len(c.undo) - 1; i >= c.marks[last]; i-- {
		c.undo[i].r.uri = c.undo[i].uri
	}
	c.undo = c.undo[:c.marks[last]]
	c.marks = c.marks[:last]
}

func (c *canon) startTag(n *xmltree.Node, apex bool) {
	c.marks = append(c.marks, len(c.undo))
	c.decls, c.attrs = c.decls[:0], append(c.attrs[:0], n.Attrs()...)
	if c.Inclusive {
		c.inclusiveNamespaces(n, apex)
		if apex {
			c.inheritXML(n)
		}
	} else {
		c.exclusiveNamespaces(n, apex)
	}
	c.put("<")
	c.name(n.Prefix(), n.Local())
	if len(c.decls) > 1 {
		slices.SortFunc(c.decls, func(a, b xmltree.Namespace) int { return strings.Compare(a.Prefix, b.Prefix) })
	}
	for _, d := range c.decls {
		c.put(" xmlns")
		if d.Prefix != "" {
			c.put(":")
			c.put(d.Prefix)
		}
		c.value(d.URI)
	}
	if len(c.attrs) > 1 {
		slices.SortFunc(c.attrs, func(a, b xmltree.Attr) int {
			return cmp.Or(strings.Compare(a.Space, b.Space), strings.Compare(a.Local, b.Local))
		})
	}
	for _, a := range c.attrs {
		c.put(" ")
		c.name(a.Prefix, a.Local)
		c.value(a.Value)
	}
	c.put(">")
}

// exclusiveNamespaces collects what n uses visibly, and what the PrefixList
// asks to treat as inclusive does (Exclusive XML Canonicalization 1.0, 3).
func (c *canon) exclusiveNamespaces(n *xmltree.Node, apex bool) {
	c.declare(n.Prefix(), n.Space())
	for _, a := range c.attrs {
		if a.Prefix != "" {
			c.declare(a.Prefix, a.Space)
		}
	}
	if c.listed == nil {
		return
	}
	for _, d := range n.Namespaces() {
		if c.listed[d.Prefix] {
			c.declare(d.Prefix, d.URI)
		}
	}
	if !apex {
		return
	}
	for p := range c.listed {
		if uri, ok := n.LookupPrefix(p); ok {
			c.declare(p, uri)
		}
	}
}

// inclusiveNamespaces collects the declarations of n; at the apex, all that
// are in scope.
func (c *canon) inclusiveNamespaces(n *xmltree.Node, apex bool) {
	for _, d := range n.Namespaces() {
		c.declare(d.Prefix, d.URI)
	}
	if !apex {
		return
	}
	seen := make(map[string]bool)
	for ; n != nil; n = n.Parent() {
		for _, d := range n.Namespaces() {
			if !seen[d.Prefix] {
				seen[d.Prefix] = true
				c.declare(d.Prefix, d.URI)
			}
		}
	}
}

// declare renders a declaration on the present element unless the output has it
// in force. The prefix xml is never declared.
func (c *canon) declare(prefix, uri string) {
	if prefix == "xml" {
		return
	}
	r := c.ns[prefix]
	if r == nil {
		r = &rendered{}
		c.ns[prefix] = r
	}
	if r.uri == uri {
		return
	}
	c.undo = append(c.undo, undo{r, r.uri})
	r.uri = uri
	c.decls = append(c.decls, xmltree.Namespace{Prefix: prefix, URI: uri})
}

// inheritXML adds the nearest xml: attributes of the ancestors that the apex
// does not have itself (Canonical XML 1.0, 2.4).
func (c *canon) inheritXML(n *xmltree.Node) {
	for p := n.Parent(); p != nil; p = p.Parent() {
		for _, a := range p.Attrs() {
			if a.Space == xmlURI && !slices.ContainsFunc(c.attrs, func(b xmltree.Attr) bool {
				return b.Space == xmlURI && b.Local == a.Local
			}) {
				c.attrs = append(c.attrs, a)
			}
		}
	}
}
