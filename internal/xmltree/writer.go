package xmltree

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrWriter is wrapped by every error of [Writer.Bytes].
var ErrWriter = errors.New("xmltree: cannot write")

// Writer builds one well-formed element, without insignificant white space. It
// remembers the first mistake and ignores what follows; [Writer.Bytes] reports
// it. A Writer is used once and by one goroutine.
type Writer struct {
	buf   []byte
	err   error
	open  []frame
	decls []Namespace // in scope, innermost last
	attrs []writtenAttr
	inTag bool // a start tag awaits its ">"
	done  bool // the outermost element is closed

	first struct { // what most elements can do with
		open  [8]frame
		decls [4]Namespace
		attrs [4]writtenAttr
	}
}

type frame struct {
	prefix, local string
	mark          int // length of decls outside the element
}

type writtenAttr struct{ prefix, local string }

// NewWriter returns an empty Writer.
func NewWriter() *Writer {
	w := &Writer{buf: make([]byte, 0, minRoom)}
	w.open, w.decls, w.attrs = w.first.open[:0], w.first.decls[:0], w.first.attrs[:0]
	return w
}

func (w *Writer) fail(reason string) {
	if w.err == nil {
		w.err = fmt.Errorf("%w: %s in %s", ErrWriter, reason, w.path())
	}
}

func (w *Writer) path() string {
	if len(w.open) == 0 {
		return "document"
	}
	names := make([]string, len(w.open))
	for i, f := range w.open {
		names[i] = clip(f.local)
	}
	return strings.Join(names, "/")
}

// Start opens an element; prefix "" puts it in the default namespace in scope.
// Its prefix may be declared before or by a following NS.
func (w *Writer) Start(prefix, local string) {
	w.closeTag()
	if w.err != nil {
		return
	}
	if w.done {
		w.fail("second root element")
		return
	}
	if !validQName(prefix, local) || prefix == "xmlns" {
		w.fail("invalid element name")
		return
	}
	w.open = append(w.open, frame{prefix, local, len(w.decls)})
	w.buf = append(w.buf, '<')
	w.buf = appendQName(w.buf, prefix, local)
	w.inTag = true
}

// NS declares a namespace on the element just opened; nothing is written when
// the same binding is already in scope. Prefix "" is the default namespace.
func (w *Writer) NS(prefix, uri string) {
	if !w.tag("namespace declaration") {
		return
	}
	if prefix != "" && !isNCName(prefix) {
		w.fail("invalid prefix")
		return
	}
	if reason := badDeclaration(prefix, uri); reason != "" {
		w.fail(reason)
		return
	}
	f := w.open[len(w.open)-1]
	for _, d := range w.decls[f.mark:] {
		if d.Prefix == prefix {
			if d.URI != uri {
				w.fail("prefix declared twice")
			}
			return
		}
	}
	if have, ok := w.lookup(prefix); ok && have == uri {
		return
	}
	w.decls = append(w.decls, Namespace{Prefix: prefix, URI: uri})
	if prefix == "" {
		w.attr("", "xmlns", uri)
	} else {
		w.attr("xmlns", prefix, uri)
	}
}

// Attr adds an attribute to the element just opened. Its prefix may be declared
// by a later NS on the same element.
func (w *Writer) Attr(prefix, local, value string) {
	if !w.tag("attribute") {
		return
	}
	if !validQName(prefix, local) || prefix == "xmlns" || prefix == "" && local == "xmlns" {
		w.fail("invalid attribute name")
		return
	}
	w.attrs = append(w.attrs, writtenAttr{prefix, local})
	w.attr(prefix, local, value)
}

func (w *Writer) tag(what string) bool {
	if w.err == nil && !w.inTag {
		w.fail(what + " outside a start tag")
	}
	return w.err == nil
}

func (w *Writer) attr(prefix, local, value string) {
	w.check(value)
	w.buf = append(w.buf, ' ')
	w.buf = appendQName(w.buf, prefix, local)
	w.buf = append(w.buf, '=', '"')
	w.buf = appendEscaped(w.buf, value, cAttrRef)
	w.buf = append(w.buf, '"')
}

func (w *Writer) check(s string) {
	if badChar(s) >= 0 {
		w.fail("invalid character")
	}
}

// lookup resolves a prefix among the declarations in scope.
func (w *Writer) lookup(prefix string) (string, bool) {
	if prefix == "xml" {
		return xmlURI, true
	}
	for i := len(w.decls) - 1; i >= 0; i-- {
		if w.decls[i].Prefix == prefix {
			return w.decls[i].URI, true
		}
	}
	return "", prefix == ""
}

// closeTag ends a start tag once its prefixes are known.
func (w *Writer) closeTag() {
	if !w.inTag || w.err != nil {
		return
	}
	w.checkTag()
	w.inTag = false
	w.buf = append(w.buf, '>')
}

// checkTag verifies prefixes and uniqueness of the names of a start tag.
func (w *Writer) checkTag() {
	if _, ok := w.lookup(w.open[len(w.open)-1].prefix); !ok {
		w.fail("element prefix not declared")
	}
	for i, a := range w.attrs {
		space := ""
		if a.prefix != "" {
			uri, ok := w.lookup(a.prefix)
			if !ok {
				w.fail("attribute prefix not declared")
				break
			}
			space = uri
		}
		for _, b := range w.attrs[:i] {
			if b.local != a.local {
				continue
			}
			if uri, _ := w.lookup(b.prefix); b.prefix == a.prefix || b.prefix != "" && uri == space {
				w.fail("attribute given twice")
			}
		}
	}
	w.attrs = w.attrs[:0]
}

// Text adds character data, escaped so that it reads back as the same string.
func (w *Writer) Text(s string) {
	if !w.content() {
		return
	}
	w.check(s)
	w.room(len(s))
	if len(s) >= longText && lacks(s, "&<>\r") {
		w.buf = append(w.buf, s...)
		return
	}
	w.buf = appendEscaped(w.buf, s, cTextRef)
}

// longText is from where on looking for one byte after the other is faster than looking at each byte.
const longText = 64

// room makes room for a piece of n bytes and, when that needs another buffer, for the markup that may follow it as well.
func (w *Writer) room(n int) {
	if n > cap(w.buf)-len(w.buf) {
		w.buf = slices.Grow(w.buf, n+minRoom)
	}
}

const minRoom = 512

// Raw adds well-formed content verbatim: one or more elements, or text that is
// already escaped. It is not checked. Prefixes it uses must be declared in
// it or in scope, and an element of it without prefix takes on the default
// namespace in scope.
func (w *Writer) Raw(xml []byte) {
	if !w.content() {
		return
	}
	w.room(len(xml))
	w.buf = append(w.buf, xml...)
}

// Base64 adds raw as text, in standard base64 with padding (RFC 4648, section 4).
func (w *Writer) Base64(raw []byte) {
	if !w.content() {
		return
	}
	w.room(base64.StdEncoding.EncodedLen(len(raw)))
	w.buf = base64.StdEncoding.AppendEncode(w.buf, raw)
}

// content makes sure that character data may follow here.
func (w *Writer) content() bool {
	w.closeTag()
	if w.err == nil && len(w.open) == 0 {
		w.fail("content outside the root element")
	}
	return w.err == nil
}

// End closes the innermost element.
func (w *Writer) End() {
	if w.err != nil {
		return
	}
	if len(w.open) == 0 {
		w.fail("end without start")
		return
	}
	f := w.open[len(w.open)-1]
	if w.inTag {
		w.checkTag()
		w.inTag = false
		w.buf = append(w.buf, '/', '>')
	} else {
		w.buf = append(w.buf, '<', '/')
		w.buf = appendQName(w.buf, f.prefix, f.local)
		w.buf = append(w.buf, '>')
	}
	w.decls = w.decls[:f.mark]
	w.open = w.open[:len(w.open)-1]
	w.done = len(w.open) == 0
}

// Leaf writes a whole element with text content: Start, Text, End.
func (w *Writer) Leaf(prefix, local, text string) {
	w.Start(prefix, local)
	if text != "" {
		w.Text(text)
	}
	w.End()
}

// Len returns the number of bytes written so far.
func (w *Writer) Len() int { return len(w.buf) }

// Bytes returns the element written. It fails, wrapping ErrWriter, with the first
// mistake made: unclosed element, undeclared prefix, invalid name or character,
// duplicate attribute, second root. Errors name the element's path, no values.
func (w *Writer) Bytes() ([]byte, error) {
	if w.err == nil && len(w.open) > 0 {
		w.fail("unclosed element")
	}
	if w.err == nil && len(w.buf) == 0 {
		w.fail("no root element")
	}
	if w.err != nil {
		return nil, w.err
	}
	return w.buf, nil
}

func validQName(prefix, local string) bool {
	return (prefix == "" || isNCName(prefix)) && isNCName(local)
}

func appendQName(dst []byte, prefix, local string) []byte {
	if prefix != "" {
		dst = append(append(dst, prefix...), ':')
	}
	return append(dst, local...)
}

// references are what stands for a byte in character data and in an attribute value; "" = itself. They are those of Canonical XML
// 1.0, so that what is written is already in canonical form. What every byte is looked up in is class.
var references = [256]struct{ text, attr string }{
	'&': {"&amp;", "&amp;"}, '<': {"&lt;", "&lt;"}, '>': {text: "&gt;"}, '"': {attr: "&quot;"},
	'\t': {attr: "&#x9;"}, '\n': {attr: "&#xA;"}, '\r': {"&#xD;", "&#xD;"},
}

// appendEscaped appends s with references for the bytes of that class, cTextRef or cAttrRef.
func appendEscaped(dst []byte, s string, ref uint8) []byte {
	run := 0
	for i := range len(s) {
		if class[s[i]]&ref == 0 {
			continue
		}
		dst = append(dst, s[run:i]...)
		if ref == cTextRef {
			dst = append(dst, references[s[i]].text...)
		} else {
			dst = append(dst, references[s[i]].attr...)
		}
		run = i + 1
	}
	return append(dst, s[run:]...)
}
