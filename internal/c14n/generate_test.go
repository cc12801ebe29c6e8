package c14n

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// feature switches one peculiarity of XML on in generated documents.
type feature uint32

const (
	rebound feature = 1 << iota
	defaultNS
	undeclaredDefault
	comments
	procInsts
	cdata
	charRefs
	crlf
	unicode
	qualifiedAttrs
	xmlAttrs
	attrSpace
	everything feature = 1<<iota - 1
)

// classes are the kinds of document compared with other implementations.
var classes = []struct {
	name string
	has  feature
}{
	{"plain prefixes", 0},
	{"rebound prefixes", rebound},
	{"default namespace", defaultNS},
	{"undeclared default namespace", defaultNS | undeclaredDefault},
	{"comments", comments},
	{"processing instructions", procInsts},
	{"CDATA", cdata},
	{"character references", charRefs},
	{"CRLF", crlf},
	{"unicode", unicode},
	{"qualified attributes", qualifiedAttrs},
	{"xml attributes", xmlAttrs},
	{"white space in attributes", attrSpace},
	{"everything", everything},
}

// generator writes one random document.
type generator struct {
	*rand.Rand
	has feature
	b   strings.Builder
	n   int // elements so far
}

// scopes maps prefixes to the namespaces in scope.
type scopes map[string]string

var (
	prefixes = []string{"p", "q", "r", "s", "ns10", "ns2"}
	// Not in the order of the prefixes, so that sorting by one is not sorting
	// by the other.
	spaces = []string{"urn:z", "urn:b", "http://example.org/m", "urn:a", "urn:a:b", "http://example.org/k?x=1&y=2"}
	locals = []string{"a", "B", "c1", "longer-name", "x.y", "_u", "Id"}
)

// document returns a document and the number of its elements.
func document(r *rand.Rand, has feature) (doc string, elements int) {
	g := &generator{Rand: r, has: has}
	g.element(scopes{}, 0)
	return g.b.String(), g.n
}

func (g *generator) on(f feature, oneIn int) bool { return g.has&f != 0 && g.IntN(oneIn) == 0 }

func pick[T any](r *rand.Rand, s []T) T { return s[r.IntN(len(s))] }

func (g *generator) element(outer scopes, depth int) {
	g.n++
	in, decls := g.declare(outer)
	name := g.qname(in, true)
	g.b.WriteString("<" + name)
	parts := append(decls, g.attributes(in)...)
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	for _, p := range parts {
		g.b.WriteString(g.gap() + p)
	}
	if g.IntN(5) == 0 {
		g.b.WriteString("/>")
		return
	}
	g.b.WriteString(">")
	for range g.IntN(5) {
		g.child(in, depth)
	}
	g.b.WriteString("</" + name + ">")
}

// gap is white space between attributes, which canonical form drops.
func (g *generator) gap() string {
	if g.on(crlf, 4) {
		return "\r\n\t"
	}
	return pick(g.Rand, []string{" ", " ", "  ", "\n "})
}

// declare makes up namespace declarations and returns the new scope.
func (g *generator) declare(outer scopes) (scopes, []string) {
	in := scopes{}
	for p, u := range outer {
		in[p] = u
	}
	var decls []string
	add := func(prefix, uri string) {
		in[prefix] = uri
		name := "xmlns"
		if prefix != "" {
			name += ":" + prefix
		}
		decls = append(decls, name+`="`+strings.ReplaceAll(uri, "&", "&amp;")+`"`)
	}
	for i, p := range prefixes {
		_, bound := outer[p]
		switch {
		case !bound && g.IntN(4) == 0:
			add(p, spaces[i])
		case bound && g.IntN(12) == 0:
			add(p, outer[p]) // said again
		case g.on(rebound, 5):
			add(p, pick(g.Rand, spaces))
		}
	}
	switch {
	case g.on(undeclaredDefault, 4):
		add("", "")
	case g.on(defaultNS, 3):
		add("", pick(g.Rand, spaces))
	}
	return in, decls
}

// qname returns a name with a prefix in scope, or none.
func (g *generator) qname(in scopes, mayBePlain bool) string {
	local := pick(g.Rand, locals)
	if g.on(unicode, 3) {
		local = pick(g.Rand, []string{"é", "naïf", "漢字", "Ωm"})
	}
	var bound []string
	for _, p := range prefixes {
		if in[p] != "" {
			bound = append(bound, p)
		}
	}
	if len(bound) == 0 || mayBePlain && g.IntN(3) == 0 {
		return local
	}
	return pick(g.Rand, bound) + ":" + local
}

func (g *generator) attributes(in scopes) []string {
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		prefix, local, ok := strings.Cut(name, ":")
		key := "|" + name
		if ok {
			key = in[prefix] + "|" + local
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, name+"="+g.value())
		}
	}
	for range g.IntN(4) {
		if g.on(qualifiedAttrs, 1) {
			add(g.qname(in, false))
		} else {
			add(pick(g.Rand, locals))
		}
	}
	if g.on(xmlAttrs, 3) {
		add(pick(g.Rand, []string{"xml:lang", "xml:space", "xml:base"}))
	}
	return out
}

// value returns a quoted attribute value.
func (g *generator) value() string {
	quote, other := `"`, `'`
	if g.IntN(3) == 0 {
		quote, other = other, quote
	}
	var b strings.Builder
	for range g.IntN(4) {
		b.WriteString(g.piece())
		switch {
		case g.IntN(6) == 0:
			b.WriteString(other)
		case g.on(attrSpace, 2):
			b.WriteString(pick(g.Rand, []string{"\t", "\n", "\n\n", " \t "}))
		}
	}
	return quote + b.String() + quote
}

// piece is a bit of text that is legal in content and in attribute values.
func (g *generator) piece() string {
	switch {
	case g.on(charRefs, 2):
		return pick(g.Rand, []string{
			"&#13;", "&#xD;", "&#10;", "&#9;", "&#x20;", "&#60;", "&#x26;", "&#34;", "&#39;", "&#x1F600;", "&#233;", "&#xFFFD;", "&apos;", "&#0065;",
		})
	case g.on(crlf, 2):
		return pick(g.Rand, []string{"\r\n", "\r", "\n", "\r\r\n", "\n\r"})
	case g.on(unicode, 2):
		return pick(g.Rand, []string{"é", "漢", "😀", "\u0085", "\u2028", "\u007f", "\ufffd", "\U0010FFFD", "e\u0301", "\ufeff", "\ue000"})
	}
	return pick(g.Rand, []string{"text", " ", "&amp;", "&lt;", "&gt;", "&quot;", "x=1;", "]]", "--", "1 > 0", ""})
}

func (g *generator) child(in scopes, depth int) {
	switch {
	case g.on(comments, 3):
		g.b.WriteString("<!--" + pick(g.Rand, []string{"", " c ", "<a & b>", " - - ", "é" + g.newline()}) + "-->")
	case g.on(procInsts, 3):
		g.b.WriteString("<?" + pick(g.Rand, []string{"t?>", "t ?>", "t  data ?>", "xml-s a=\"1\" <&?>", "t a" + g.newline() + "b?>"}))
	case g.on(cdata, 3):
		g.b.WriteString("<![CDATA[" + pick(g.Rand, []string{"", "<a>&amp;</a>", "]]", " x ", ">", "a" + g.newline() + "b"}) + "]]>")
	case depth < 5 && g.IntN(2) == 0:
		g.element(in, depth+1)
	default:
		// "]]" before ">" would be illegal.
		s := g.piece() + g.piece()
		g.b.WriteString(strings.ReplaceAll(s, "]]1 >", "1 >"))
	}
}

func (g *generator) newline() string {
	if g.has&crlf != 0 {
		return pick(g.Rand, []string{"\r\n", "\r", "\n"})
	}
	return "\n"
}

// mode is one way to canonicalise.
type mode struct {
	Inclusive, Comments bool
	List                bool // exclusive with a random PrefixList
}

var modes = []mode{
	{},
	{Comments: true},
	{List: true},
	{List: true, Comments: true},
	{Inclusive: true},
	{Inclusive: true, Comments: true},
}

// prefixList returns a random PrefixList, with names that may not be in scope.
func prefixList(r *rand.Rand) []string {
	var out []string
	for _, p := range append([]string{"#default", "unknown"}, prefixes...) {
		if r.IntN(2) == 0 {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return []string{"p"}
	}
	return out
}

func (m mode) String() string {
	return fmt.Sprintf("inclusive=%v comments=%v list=%v", m.Inclusive, m.Comments, m.List)
}
