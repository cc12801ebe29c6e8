package xmltree

import (
	"iter"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Kind tells what a node is.
type Kind uint8

// The kinds of node. CDATA sections are Text.
const (
	Element Kind = iota
	Text
	Comment
	ProcInst
)

// Name is a resolved qualified name. Names are shared between nodes: read them,
// never assign to their fields.
type Name struct {
	Prefix string // as written; "" when there was none
	Space  string // namespace URI; "" = no namespace
	Local  string
}

// Attr is one attribute; its fields are Prefix, Space, Local and Value, the
// last one normalised as XML 1.0 section 3.3.3 says. Namespace declarations
// are not attributes, see [Node.Namespaces].
type Attr struct {
	*Name
	Value string
}

// Namespace is one namespace declaration. Prefix "" is the default namespace;
// URI "" (only with Prefix "") takes it away.
type Namespace struct {
	Prefix, URI string
}

// Node is one node of a parsed document. Nodes are immutable and belong to
// their tree; two nodes are the same node when their pointers are equal.
type Node struct {
	parent, first, next *Node

	name  *Name  // of an element; of a ProcInst: Local is the target
	extra *extra // attributes and declarations; nil = none
	data  string // Text, Comment, ProcInst: content; Element: its source text
	kind  Kind
}

// extra is held apart because most elements have neither attributes nor
// declarations.
type extra struct {
	attrs []Attr
	ns    []Namespace
}

// noName stands in for the name of a node that has none.
var noName = &Name{}

func (n *Node) qname() *Name {
	if n == nil || n.name == nil {
		return noName
	}
	return n.name
}

// Kind returns what n is.
func (n *Node) Kind() Kind {
	if n == nil {
		return Element
	}
	return n.kind
}

// Prefix returns the prefix of an element as written, "" when it has none.
func (n *Node) Prefix() string { return n.qname().Prefix }

// Space returns the namespace URI of an element, "" when it has none.
func (n *Node) Space() string { return n.qname().Space }

// Local returns the local name of an element, the target of a ProcInst.
func (n *Node) Local() string { return n.qname().Local }

// Is reports whether n is an element with that expanded name.
func (n *Node) Is(space, local string) bool {
	return n != nil && n.kind == Element && n.name.Local == local && n.name.Space == space
}

// Data returns the content of a Text, Comment or ProcInst node, "" for an
// element.
func (n *Node) Data() string {
	if n == nil || n.kind == Element {
		return ""
	}
	return n.data
}

// Parent returns the parent element, nil for the root.
func (n *Node) Parent() *Node {
	if n == nil {
		return nil
	}
	return n.parent
}

// FirstChild returns the first child of any kind, or nil.
func (n *Node) FirstChild() *Node {
	if n == nil {
		return nil
	}
	return n.first
}

// NextSibling returns the next node under the same parent, or nil.
func (n *Node) NextSibling() *Node {
	if n == nil {
		return nil
	}
	return n.next
}

// Children yields the children of all kinds in document order.
func (n *Node) Children() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for c := n.FirstChild(); c != nil; c = c.next {
			if !yield(c) {
				return
			}
		}
	}
}

// Elements yields the element children in document order.
func (n *Node) Elements() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for c := n.FirstChild(); c != nil; c = c.next {
			if c.kind == Element && !yield(c) {
				return
			}
		}
	}
}

// Descendants yields n itself, when it is an element, and all elements below
// it in document order.
func (n *Node) Descendants() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for c := n; c != nil; c = c.following(n) {
			if c.kind == Element && !yield(c) {
				return
			}
		}
	}
}

// following returns the node after n in document order within the subtree of
// top, or nil at its end.
func (n *Node) following(top *Node) *Node {
	if n.first != nil {
		return n.first
	}
	for n != top {
		if n.next != nil {
			return n.next
		}
		n = n.parent
	}
	return nil
}

// Child returns the first element child with that expanded name, or nil.
func (n *Node) Child(space, local string) *Node {
	for c := n.FirstChild(); c != nil; c = c.next {
		if c.Is(space, local) {
			return c
		}
	}
	return nil
}

// Attrs returns the attributes in document order, without namespace
// declarations. The slice belongs to the tree.
func (n *Node) Attrs() []Attr {
	if n == nil || n.extra == nil {
		return nil
	}
	return n.extra.attrs
}

// Attr returns the value of the attribute with that expanded name. An attribute
// without prefix has space "".
func (n *Node) Attr(space, local string) (value string, ok bool) {
	for _, a := range n.Attrs() {
		if a.Local == local && a.Space == space {
			return a.Value, true
		}
	}
	return "", false
}

// Namespaces returns the declarations written on this very element, in document
// order. The slice belongs to the tree.
func (n *Node) Namespaces() []Namespace {
	if n == nil || n.extra == nil {
		return nil
	}
	return n.extra.ns
}

// LookupPrefix returns the namespace that prefix stands for at n. The empty
// prefix is always known: "" with ok = true where no default namespace is in
// scope. The prefix xml is always bound.
func (n *Node) LookupPrefix(prefix string) (uri string, ok bool) {
	if n == nil {
		return "", false
	}
	if prefix == "xml" {
		return xmlURI, true
	}
	for ; n != nil; n = n.parent {
		for _, d := range n.Namespaces() {
			if d.Prefix == prefix {
				return d.URI, true
			}
		}
	}
	return "", prefix == ""
}

// Text returns the text of a leaf, "" when it is empty. It fails with ErrContent
// when n is not an element or has a child that is not text: a comment that cuts
// a value in two must never yield half of it.
func (n *Node) Text() (string, error) {
	if n == nil || n.kind != Element {
		return "", ErrContent
	}
	c := n.first
	if c == nil {
		return "", nil
	}
	// The parser joins adjacent text, so a leaf has one child.
	if c.kind != Text || c.next != nil {
		return "", ErrContent
	}
	return c.data, nil
}

// Source returns an element's bytes exactly as received, from "<" to ">". They
// are part of the document given to Parse and must not be modified; a prefix
// declared further up is not declared in them. It is nil for other kinds.
func (n *Node) Source() []byte {
	if n == nil || n.kind != Element {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(n.data), len(n.data))
}

// maxPathName bounds what one name may add to a path, in bytes: paths end up in
// error messages.
const maxPathName = 64

// Path returns the local names from the root to n, such as "Envelope/Body/Fault",
// for error messages. A long name is cut.
func (n *Node) Path() string {
	var names []string
	for ; n != nil; n = n.parent {
		if n.kind == Element {
			names = append(names, clip(n.name.Local))
		}
	}
	for i, j := 0, len(names)-1; i < j; i, j = i+1, j-1 {
		names[i], names[j] = names[j], names[i]
	}
	return strings.Join(names, "/")
}

func clip(name string) string {
	if len(name) <= maxPathName {
		return name
	}
	cut := maxPathName
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut]
}
