package xmltree

import (
	"strings"
	"sync"
	"unsafe"
)

// Limits bounds what Parse accepts. A field that is zero or negative takes its
// default; there is no way to switch a limit off. Two limits are fixed: a
// namespace name has at most 1,024 bytes, and a document at most 100,000
// different names.
type Limits struct {
	Bytes int // size of the document; default 16 MiB
	Depth int // nested elements, the root being 1; default 100
	Nodes int // nodes, attributes and namespace declarations together; default 2,000,000
	Attrs int // attributes and namespace declarations of one element; default 256
}

// Defaults of Limits.
const (
	defaultBytes = 16 << 20
	defaultDepth = 100
	defaultNodes = 2_000_000
	defaultAttrs = 256
)

func (l Limits) withDefaults() Limits {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&l.Bytes, defaultBytes)
	set(&l.Depth, defaultDepth)
	set(&l.Nodes, defaultNodes)
	set(&l.Attrs, defaultAttrs)
	return l
}

// Parse reads one XML document and returns its root element. Comments and
// processing instructions outside the root are checked and dropped. The tree
// shares doc, which must not be modified afterwards. Errors are *SyntaxError.
func Parse(doc []byte, lim Limits) (*Node, error) {
	p := idle.Get().(*parser) //nolint:forcetypeassert // nothing else is in there
	defer func() {
		if p.rest() {
			idle.Put(p)
		}
	}()
	p.s, p.lim = unsafe.String(unsafe.SliceData(doc), len(doc)), lim.withDefaults()
	root, err := p.document()
	if err != nil {
		return nil, err
	}
	return root, nil
}

// idle are parsers that may read another document: what most of them take, tables of names, costs as much as a short document.
var idle = sync.Pool{New: func() any { return newParser() }}

func newParser() *parser {
	p := &parser{}
	p.scope.init()
	return p
}

// Parsers that a large document made large are not kept.
const (
	keptNames = 256
	keptDepth = 128
	keptText  = 16 << 10
)

// rest makes p forget the document and reports whether it is small enough to be kept. Of the tree it keeps nothing that can be changed.
func (p *parser) rest() bool {
	if p.interned()+len(p.bindings) > keptNames || cap(p.open) > keptDepth || cap(p.tag) > keptDepth || cap(p.undo) > keptDepth || cap(p.buf) > keptText {
		return false
	}
	clear(p.open[:cap(p.open)])
	clear(p.tag[:cap(p.tag)])
	clear(p.buf[:cap(p.buf)])
	p.forget()
	p.s, p.pos, p.lim, p.count, p.seen = "", 0, Limits{}, 0, nil
	p.nodes, p.extras, p.attrs, p.ns = slab[Node]{}, slab[extra]{}, slab[Attr]{}, slab[Namespace]{}
	p.open, p.tag, p.buf = p.open[:0], p.tag[:0], p.buf[:0]
	return true
}

// parser walks over the document once. Errors travel as *SyntaxError.
type parser struct {
	s   string
	pos int
	lim Limits

	scope
	nodes  slab[Node]
	extras slab[extra]
	attrs  slab[Attr]
	ns     slab[Namespace]
	count  int // nodes, attributes and declarations so far

	open []open    // elements not yet closed
	tag  []tagAttr // attributes of the present start tag
	seen map[attrKey]struct{}
	buf  []byte // scratch for text that differs from the source
}

// open is an element whose end tag has not been seen.
type open struct {
	node  *Node
	last  *Node  // its last child so far
	raw   string // its name as written
	start int    // offset of "<"
	undo  int    // mark in scope.undo
}

func (p *parser) fail(kind error, at int, reason string) *SyntaxError {
	return &SyntaxError{Offset: at, Reason: reason, Err: kind}
}

func (p *parser) syntax(reason string) *SyntaxError { return p.fail(ErrSyntax, p.pos, reason) }

// document is production [1] of XML 1.0: prolog element Misc*.
func (p *parser) document() (*Node, *SyntaxError) {
	if len(p.s) > p.lim.Bytes {
		return nil, p.fail(ErrLimit, p.lim.Bytes, "document too large")
	}
	if strings.HasPrefix(p.s, "\uFEFF") {
		p.pos = len("\uFEFF")
	}
	// One pass now, and nothing later has to ask whether a character is legal.
	if i := badChar(p.s[p.pos:]); i >= 0 {
		return nil, p.fail(ErrSyntax, p.pos+i, "not a valid UTF-8 XML character")
	}
	if err := p.xmlDecl(); err != nil {
		return nil, err
	}
	if err := p.misc(); err != nil {
		return nil, err
	}
	if p.pos == len(p.s) {
		return nil, p.syntax("no root element")
	}
	root, err := p.tree()
	if err != nil {
		return nil, err
	}
	if err := p.misc(); err != nil {
		return nil, err
	}
	if p.pos != len(p.s) {
		return nil, p.syntax("second root element")
	}
	return root, nil
}

// misc skips what may stand before and after the root element and stops at its
// start tag or at the end of the document.
func (p *parser) misc() *SyntaxError {
	for {
		p.space()
		var err *SyntaxError
		switch {
		case p.pos == len(p.s):
			return nil
		case p.s[p.pos] != '<':
			return p.syntax("text outside the root element")
		case p.at("<?"):
			_, _, err = p.procInst()
		case p.at("<!--"):
			_, err = p.comment()
		case p.at("<!DOCTYPE"):
			return p.fail(ErrDoctype, p.pos, "document type declaration")
		case p.at("<!"), p.at("</"):
			return p.syntax("unexpected markup outside the root element")
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// tree reads the root element with everything in it. It keeps its own stack:
// depth costs no goroutine stack.
func (p *parser) tree() (*Node, *SyntaxError) {
	root, err := p.startTag()
	for err == nil && len(p.open) > 0 {
		switch {
		case p.pos == len(p.s):
			err = p.syntax("unclosed element")
		case p.s[p.pos] != '<', p.at(openCDATA):
			err = p.text()
		case p.at("</"):
			err = p.endTag()
		case p.at("<?"):
			err = p.addProcInst()
		case p.at("<!--"):
			err = p.addComment()
		case p.at("<!DOCTYPE"):
			err = p.fail(ErrDoctype, p.pos, "document type declaration")
		case p.at("<!"):
			err = p.syntax("unknown markup")
		default:
			_, err = p.startTag()
		}
	}
	return root, err
}

func (p *parser) at(s string) bool { return strings.HasPrefix(p.s[p.pos:], s) }

// space skips white space and reports whether there was any.
func (p *parser) space() bool {
	start := p.pos
	for p.pos < len(p.s) && class[p.s[p.pos]]&cSpace != 0 {
		p.pos++
	}
	return p.pos > start
}

// node appends a child to the innermost open element.
func (p *parser) node(k Kind) (*Node, *SyntaxError) {
	if err := p.spend(1); err != nil {
		return nil, err
	}
	n := p.nodes.one()
	n.kind = k
	if len(p.open) > 0 {
		o := &p.open[len(p.open)-1]
		n.parent = o.node
		if o.last == nil {
			o.node.first = n
		} else {
			o.last.next = n
		}
		o.last = n
	}
	return n, nil
}

// spend counts n towards the limit of nodes.
func (p *parser) spend(n int) *SyntaxError {
	if n > p.lim.Nodes-p.count {
		return p.fail(ErrLimit, p.pos, "too many nodes")
	}
	p.count += n
	return nil
}

func (p *parser) endTag() *SyntaxError {
	o := &p.open[len(p.open)-1]
	start := p.pos
	p.pos += len("</")
	if !p.at(o.raw) {
		return p.syntax("end tag does not match")
	}
	p.pos += len(o.raw)
	p.space()
	if p.pos == len(p.s) || p.s[p.pos] != '>' {
		return p.fail(ErrSyntax, start, "end tag does not match")
	}
	p.pos++
	p.close()
	return nil
}

// close ends the innermost element at the present place.
func (p *parser) close() {
	o := &p.open[len(p.open)-1]
	o.node.data = p.s[o.start:p.pos]
	p.release(o.undo)
	p.open = p.open[:len(p.open)-1]
}

func (p *parser) addComment() *SyntaxError {
	data, err := p.comment()
	if err != nil {
		return err
	}
	n, err := p.node(Comment)
	if err != nil {
		return err
	}
	n.data = data
	return nil
}

func (p *parser) addProcInst() *SyntaxError {
	target, data, err := p.procInst()
	if err != nil {
		return err
	}
	n, err := p.node(ProcInst)
	if err != nil {
		return err
	}
	n.name, n.data = &Name{Local: target}, data
	return nil
}
