package xmltree

import "strings"

// tagAttr is an attribute before the prefixes of its element are known.
type tagAttr struct {
	raw   *rawName
	value string
	at    int
}

// attrKey is an expanded attribute name.
type attrKey struct {
	uri   *uri
	local string
}

// startTag reads a start tag or an empty-element tag and makes its node.
func (p *parser) startTag() (*Node, *SyntaxError) {
	start := p.pos
	if len(p.open) >= p.lim.Depth {
		return nil, p.fail(ErrLimit, start, "elements nested too deeply")
	}
	p.pos++
	nameAt := p.pos
	raw, err := p.rawName()
	if err != nil {
		return nil, err
	}
	written := p.s[nameAt:p.pos]
	empty, err := p.tagAttrs()
	if err != nil {
		return nil, err
	}
	n, err := p.node(Element)
	if err != nil {
		return nil, err
	}
	p.open = append(p.open, open{node: n, raw: written, start: start, undo: len(p.undo)})
	if err := p.element(n, raw, nameAt); err != nil {
		return nil, err
	}
	if p.interned() > maxNames {
		return nil, p.fail(ErrLimit, start, "too many different names")
	}
	if empty {
		p.close()
	}
	return n, nil
}

// tagAttrs reads up to and including the ">" of a start tag into p.tag.
func (p *parser) tagAttrs() (empty bool, err *SyntaxError) {
	p.tag = p.tag[:0]
	for {
		spaced := p.space()
		if p.pos == len(p.s) {
			return false, p.syntax("unclosed start tag")
		}
		switch p.s[p.pos] {
		case '>':
			p.pos++
			return false, nil
		case '/':
			if !p.at("/>") {
				return false, p.syntax("unexpected character in start tag")
			}
			p.pos += len("/>")
			return true, nil
		}
		if !spaced {
			return false, p.syntax("white space expected between attributes")
		}
		if len(p.tag) >= p.lim.Attrs {
			return false, p.fail(ErrLimit, p.pos, "too many attributes")
		}
		a := tagAttr{at: p.pos}
		if a.raw, err = p.rawName(); err != nil {
			return false, err
		}
		if err = p.equals(); err != nil {
			return false, err
		}
		if a.value, err = p.attrValue(); err != nil {
			return false, err
		}
		p.tag = append(p.tag, a)
	}
}

// equals is production Eq.
func (p *parser) equals() *SyntaxError {
	p.space()
	if !p.at("=") {
		return p.syntax("'=' expected after attribute name")
	}
	p.pos++
	p.space()
	return nil
}

// rawName reads a qualified name and returns its interned form.
func (p *parser) rawName() (*rawName, *SyntaxError) {
	start, end := p.pos, p.pos
	for end < len(p.s) && (class[p.s[end]]&cName != 0 || p.s[end] == ':' || p.s[end] >= 0x80) {
		end++
	}
	p.pos = end
	s := p.s[start:end]
	if r := p.raws[s]; r != nil {
		return r, nil
	}
	prefix, local, colon := strings.Cut(s, ":")
	if !colon {
		prefix, local = "", s
	}
	switch {
	case s == "":
		return nil, p.fail(ErrSyntax, start, "name expected")
	case colon && (prefix == "" || local == "" || strings.Contains(local, ":")):
		return nil, p.fail(ErrNamespace, start, "misplaced colon in a name")
	case colon && !isNCName(prefix), !isNCName(local):
		return nil, p.fail(ErrSyntax, start, "invalid character in a name")
	}
	r := p.written()
	r.prefix, r.local, r.binding = prefix, local, p.binding(prefix)
	p.raws[s] = r
	return r, nil
}

// element resolves the names of a start tag; declarations come first because
// they apply to the tag they stand on.
func (p *parser) element(n *Node, raw *rawName, nameAt int) *SyntaxError {
	if err := p.spend(len(p.tag)); err != nil {
		return err
	}
	decls := 0
	for i := range p.tag {
		if isDeclaration(p.tag[i].raw) {
			decls++
		}
	}
	if len(p.tag) > 0 {
		n.extra = p.extras.one()
		n.extra.ns = p.ns.many(decls)[:0]
		n.extra.attrs = p.attrs.many(len(p.tag) - decls)[:0]
	}
	if decls > 0 {
		if err := p.declare(n.extra); err != nil {
			return err
		}
	}
	if raw.prefix == "xmlns" {
		return p.fail(ErrNamespace, nameAt, "element with prefix xmlns")
	}
	if raw.binding.uri == nil {
		return p.fail(ErrNamespace, nameAt, "element prefix not declared")
	}
	n.name = p.resolve(raw, raw.binding.uri)
	if len(p.tag) > decls {
		return p.attributes(n.extra)
	}
	return nil
}

func isDeclaration(r *rawName) bool {
	return r.prefix == "xmlns" || r.prefix == "" && r.local == "xmlns"
}

// declare applies the namespace declarations of a start tag.
func (p *parser) declare(x *extra) *SyntaxError {
	mark := p.open[len(p.open)-1].undo
	for _, a := range p.tag {
		if !isDeclaration(a.raw) {
			continue
		}
		prefix := ""
		if a.raw.prefix != "" {
			prefix = a.raw.local
		}
		if reason := badDeclaration(prefix, a.value); reason != "" {
			return p.fail(ErrNamespace, a.at, reason)
		}
		if len(a.value) > maxURI {
			return p.fail(ErrLimit, a.at, "namespace name too long")
		}
		b := p.binding(prefix)
		for _, u := range p.undo[mark:] {
			if u.b == b {
				return p.fail(ErrDuplicateAttr, a.at, "prefix declared twice")
			}
		}
		p.bind(prefix, a.value)
		x.ns = append(x.ns, Namespace{Prefix: prefix, URI: a.value})
	}
	return nil
}

// badDeclaration tells what Namespaces in XML 1.0, section 3, has against a
// declaration; "" means nothing.
func badDeclaration(prefix, name string) string {
	switch {
	case prefix == "xmlns":
		return "prefix xmlns must not be declared"
	case name == xmlnsURI:
		return "the xmlns namespace must not be declared"
	case (prefix == "xml") != (name == xmlURI):
		return "prefix xml and its namespace belong together"
	case prefix != "" && name == "":
		return "a prefix cannot be undeclared"
	}
	return ""
}

// attributes resolves the attributes of a start tag and refuses duplicates.
func (p *parser) attributes(x *extra) *SyntaxError {
	if len(p.tag) > smallTag {
		if p.seen == nil {
			p.seen = make(map[attrKey]struct{})
		}
		clear(p.seen)
	}
	for _, a := range p.tag {
		if isDeclaration(a.raw) {
			continue
		}
		u := p.none
		if a.raw.prefix != "" {
			u = a.raw.binding.uri
		}
		if u == nil {
			return p.fail(ErrNamespace, a.at, "attribute prefix not declared")
		}
		name := p.resolve(a.raw, u)
		if p.duplicate(x.attrs, name, u) {
			return p.fail(ErrDuplicateAttr, a.at, "attribute given twice")
		}
		x.attrs = append(x.attrs, Attr{name, a.value})
	}
	return nil
}

// smallTag is the number of attributes up to which comparing each with each
// is cheaper than a map.
const smallTag = 8

func (p *parser) duplicate(attrs []Attr, name *Name, u *uri) bool {
	if len(p.tag) > smallTag {
		k := attrKey{u, name.Local}
		_, dup := p.seen[k]
		p.seen[k] = struct{}{}
		return dup
	}
	for _, a := range attrs {
		// Interned namespaces share their bytes, so equal ones compare at once.
		if a.Name == name || a.Local == name.Local && a.Space == name.Space {
			return true
		}
	}
	return false
}
