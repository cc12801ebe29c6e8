package xpath

import (
	"strconv"
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

type itemKind uint8

const (
	isDocument itemKind = iota
	isElement
	isAttribute
	isText
	isOther // comment or processing instruction
)

// Item is a node of XPath's data model: the document, an element, an attribute, a piece of text, a comment or a processing
// instruction. Items are comparable.
type Item struct {
	node *xmltree.Node // the root element for the document, the owner for an attribute
	attr int
	kind itemKind
}

// Document returns the document node above a root element.
func Document(root *xmltree.Node) Item { return Item{node: root} }

// Element returns n as an item.
func Element(n *xmltree.Node) Item { return Item{node: n, kind: isElement} }

// Node returns the element, the text node, or the element that an attribute stands on; the root element for the document.
func (i Item) Node() *xmltree.Node { return i.node }

// Element returns the element that the item is, stands on or lies in; nil for the document.
func (i Item) Element() *xmltree.Node {
	switch i.kind {
	case isElement, isAttribute:
		return i.node
	case isText, isOther:
		return i.node.Parent()
	}
	return nil
}

// Path returns a location path that leads to the item, such as /kmehrmessage/folder/patient/id[2]/@SV; to one of several texts
// or comments of an element it leads to all of them.
func (i Item) Path() string {
	switch i.kind {
	case isAttribute:
		return elementPath(i.node) + "/@" + i.node.Attrs()[i.attr].Local
	case isText:
		return elementPath(i.node.Parent()) + "/text()"
	case isOther:
		return elementPath(i.node.Parent()) + "/node()"
	case isElement:
		return elementPath(i.node)
	}
	return "/"
}

func elementPath(n *xmltree.Node) string {
	var parts []string
	for ; n != nil; n = n.Parent() {
		part := n.Local()
		if k, more := index(n); k > 1 || more {
			part += "[" + strconv.Itoa(k) + "]"
		}
		parts = append(parts, part)
	}
	var b strings.Builder
	for k := len(parts) - 1; k >= 0; k-- {
		b.WriteString("/" + parts[k])
	}
	return b.String()
}

// index returns the place of n among the siblings with its local name, and whether there are others behind it.
func index(n *xmltree.Node) (place int, more bool) {
	if n.Parent() == nil {
		return 1, false
	}
	behind := false
	for e := range n.Parent().Elements() {
		switch {
		case e.Local() != n.Local():
		case behind:
			return place, true
		default:
			place++
			behind = e == n
		}
	}
	return place, false
}

// text is the string value of XPath 1.0 section 5.
func (i Item) text() string {
	switch i.kind {
	case isAttribute:
		return i.node.Attrs()[i.attr].Value
	case isText, isOther:
		return i.node.Data()
	}
	if first := i.node.FirstChild(); first == nil {
		return ""
	} else if first.Kind() == xmltree.Text && first.NextSibling() == nil {
		return first.Data()
	}
	var b strings.Builder
	gather(&b, i.node)
	return b.String()
}

// gather goes as deep as the document, whose depth is bounded when it is parsed.
func gather(b *strings.Builder, n *xmltree.Node) {
	for c := range n.Children() {
		switch c.Kind() {
		case xmltree.Text:
			b.WriteString(c.Data())
		case xmltree.Element:
			gather(b, c)
		}
	}
}

func (i Item) name() string {
	switch i.kind {
	case isAttribute:
		return i.node.Attrs()[i.attr].Local
	case isElement:
		return i.node.Local()
	}
	return ""
}

func (i Item) parent() (Item, bool) {
	switch i.kind {
	case isDocument:
		return Item{}, false
	case isAttribute:
		return Element(i.node), true
	}
	if up := i.node.Parent(); up != nil {
		return Element(up), true
	}
	return Document(i.node), true
}

// Text is the string value of the item: content of the document.
func (i Item) Text() string { return i.text() }
