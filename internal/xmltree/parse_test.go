package xmltree

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// dump writes a tree so that two trees are equal when their dumps are.
func dump(n *Node) string {
	var b strings.Builder
	var walk func(n *Node)
	walk = func(n *Node) {
		switch n.Kind() {
		case Text:
			fmt.Fprintf(&b, "%q", n.Data())
		case Comment:
			fmt.Fprintf(&b, "!%q", n.Data())
		case ProcInst:
			fmt.Fprintf(&b, "?%s %q", n.Local(), n.Data())
		case Element:
			fmt.Fprintf(&b, "(%s{%s}%s", n.Prefix(), n.Space(), n.Local())
			for _, d := range n.Namespaces() {
				fmt.Fprintf(&b, " ns %s=%q", d.Prefix, d.URI)
			}
			for _, a := range n.Attrs() {
				fmt.Fprintf(&b, " %s{%s}%s=%q", a.Prefix, a.Space, a.Local, a.Value)
			}
			for c := range n.Children() {
				b.WriteString(" ")
				walk(c)
			}
			b.WriteString(")")
		}
	}
	walk(n)
	return b.String()
}

func TestAccepted(t *testing.T) {
	for _, tc := range []struct{ name, doc, want string }{
		{"empty element", `<a/>`, `({}a)`},
		{"space in tags", "<a \t\r\n></a \n>", `({}a)`},
		{"byte order mark", "\uFEFF<a/>", `({}a)`},
		{"declaration", `<?xml version="1.0"?><a/>`, `({}a)`},
		{"encoding", "<?xml version = '1.0'\n encoding = 'UTF-8' ?><a/>", `({}a)`},
		{"encoding in lower case", `<?xml version="1.0" encoding="utf-8"?><a/>`, `({}a)`},
		{"standalone", `<?xml version="1.0" encoding="Utf-8" standalone="yes"?> <a/>`, `({}a)`},
		{"standalone without encoding", `<?xml version="1.0" standalone='no'?><a/>`, `({}a)`},
		{"byte order mark and declaration", "\uFEFF<?xml version=\"1.0\"?><a/>", `({}a)`},
		{"misc around the root", "<!--c--> <?p d?>\r\n<a/><!----><?p?>\n", `({}a)`},
		{"target that begins with xml", `<?xml-stylesheet href="x"?><a/>`, `({}a)`},
		{"text", `<a> x </a>`, `({}a " x ")`},
		{"mixed", `<a>x<b/>y<b>z</b></a>`, `({}a "x" ({}b) "y" ({}b "z"))`},
		{"line ends", "<a>1\r\n2\r3\n4\r\r\n5</a>", `({}a "1\n2\n3\n4\n\n5")`},
		{"references keep CR", "<a>&#13;&#xD;\r\n&#xa;</a>", `({}a "\r\r\n\n")`},
		{"predefined entities", `<a>&lt;&gt;&amp;&apos;&quot;</a>`, `({}a "<>&'\"")`},
		{"references", `<a>&#65;&#x1F600;&#x000000000041;&#x10FFFF;</a>`, `({}a "A😀A\U0010ffff")`},
		{"escaped ]]>", `<a>]]&gt; ]] > ]</a>`, `({}a "]]> ]] > ]")`},
		{"CDATA joins text", `<a>1<![CDATA[<2>&amp;]]]]><![CDATA[>]]>3</a>`, `({}a "1<2>&amp;]]>3")`},
		{"CDATA line ends", "<a><![CDATA[\r\n\r]]>\n</a>", `({}a "\n\n\n")`},
		{"empty CDATA is no node", `<a><![CDATA[]]></a>`, `({}a)`},
		{"comment", "<a>1<!-- <b>&\r\n- -->2</a>", `({}a "1" !" <b>&\n- " "2")`},
		{"processing instruction", "<a><?t?><?t ?><?t  d?d ?><?t\r\nx\r\n?></a>", `({}a ?t "" ?t "" ?t "d?d " ?t "x\n")`},
		{"attributes", `<a b="1" c='"' d = "'" e=""/>`, `({}a {}b="1" {}c="\"" {}d="'" {}e="")`},
		{"attribute white space", "<a b='1\t2\n3\r\n4\r5 6'/>", `({}a {}b="1 2 3 4 5 6")`},
		{"attribute references", "<a b='&#9;&#10;&#13;&#32;&lt;&quot;&gt;>'/>", `({}a {}b="\t\n\r <\">>")`},
		{"namespaces", `<p:a xmlns:p="u" p:b="1" b="2"><p:c/></p:a>`, `(p{u}a ns p="u" p{u}b="1" {}b="2" (p{u}c))`},
		{"declaration after use", `<p:a p:b="1" xmlns:p="u"/>`, `(p{u}a ns p="u" p{u}b="1")`},
		{"rebound and restored", `<p:a xmlns:p="u"><p:b xmlns:p="v"/><p:c/></p:a>`, `(p{u}a ns p="u" (p{v}b ns p="v") (p{u}c))`},
		{"default namespace", `<a xmlns="u" b="1"><c xmlns=""><d/></c><e/></a>`, `({u}a ns ="u" {}b="1" ({}c ns ="" ({}d)) ({u}e))`},
		{"same local name in two namespaces", `<a xmlns:p="u" xmlns:q="v" p:x="1" q:x="2" x="3"/>`, `({}a ns p="u" ns q="v" p{u}x="1" q{v}x="2" {}x="3")`},
		{"default namespace is not that of attributes", `<a xmlns="u" xmlns:p="u" p:x="1" x="2"/>`, `({u}a ns ="u" ns p="u" p{u}x="1" {}x="2")`},
		{"namespace name is normalised", "<a xmlns='u&amp;\tv'/>", `({u& v}a ns ="u& v")`},
		{"xml prefix", `<a xml:lang="nl"/>`, `({}a xml{http://www.w3.org/XML/1998/namespace}lang="nl")`},
		{"xml declared as itself", `<a xmlns:xml="http://www.w3.org/XML/1998/namespace"/>`, `({}a ns xml="http://www.w3.org/XML/1998/namespace")`},
		{"unicode names", `<é:漢字 xmlns:é="u" a·b‿c="1"/>`, `(é{u}漢字 ns é="u" {}a·b‿c="1")`},
		{"non-BMP name, fifth edition", "<\U00010400/>", "({}\U00010400)"},
		{"highest characters", "<a>\uD7FF\uE000\uFFFD\U00010000\U0010FFFF\u007f\u0085\u2028</a>", `({}a "\ud7ff\ue000�𐀀\U0010ffff\x7f\u0085\u2028")`},
		{"name characters", `<_a-b.c1/>`, `({}_a-b.c1)`},
	} {
		n, err := Parse([]byte(tc.doc), Limits{})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := dump(n); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

// laughs is the billion laughs document.
const laughs = `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><l>&b;</l>`

func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		name, doc string
		want      error
	}{
		{"nothing", ``, ErrSyntax},
		{"space only", " \n", ErrSyntax},
		{"comment only", `<!--c-->`, ErrSyntax},
		{"byte order mark only", "\uFEFF", ErrSyntax},
		{"two byte order marks", "\uFEFF\uFEFF<a/>", ErrSyntax},

		{"billion laughs", laughs, ErrDoctype},
		{"external entity", `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`, ErrDoctype},
		{"external subset", `<!DOCTYPE a SYSTEM "http://example.org/a.dtd"><a/>`, ErrDoctype},
		{"DOCTYPE after the root", `<a/><!DOCTYPE a>`, ErrDoctype},
		{"DOCTYPE in content", `<a><!DOCTYPE a></a>`, ErrDoctype},
		{"undefined entity", `<a>&x;</a>`, ErrSyntax},
		{"undefined entity in attribute", `<a b="&nbsp;"/>`, ErrSyntax},
		{"entity in upper case", `<a>&LT;</a>`, ErrSyntax},
		{"bare ampersand", `<a>a & b</a>`, ErrSyntax},
		{"unclosed reference", `<a>&amp</a>`, ErrSyntax},
		{"empty reference", `<a>&;</a>`, ErrSyntax},
		{"endless reference", `<a>&` + strings.Repeat("a", 100) + `;</a>`, ErrSyntax},

		{"reference to NUL", `<a>&#0;</a>`, ErrSyntax},
		{"reference to a control character", `<a>&#x1F;</a>`, ErrSyntax},
		{"reference to a surrogate", `<a>&#xD800;</a>`, ErrSyntax},
		{"reference to U+FFFE", `<a b="&#xFFFE;"/>`, ErrSyntax},
		{"reference beyond Unicode", `<a>&#x110000;</a>`, ErrSyntax},
		{"reference that overflows", `<a>&#x100000041;</a>`, ErrSyntax},
		{"reference without digits", `<a>&#;</a>`, ErrSyntax},
		{"reference without hex digits", `<a>&#x;</a>`, ErrSyntax},
		{"reference with X", `<a>&#X41;</a>`, ErrSyntax},
		{"reference with a sign", `<a>&#+65;</a>`, ErrSyntax},
		{"reference with hex digits in decimal", `<a>&#4A;</a>`, ErrSyntax},

		{"NUL", "<a>\x00</a>", ErrSyntax},
		{"control character", "<a>\x1b</a>", ErrSyntax},
		{"control character in attribute", "<a b='\x01'/>", ErrSyntax},
		{"control character in comment", "<a><!--\x02--></a>", ErrSyntax},
		{"control character after the root", "<a/>\x0c", ErrSyntax},
		{"U+FFFE", "<a>\uFFFE</a>", ErrSyntax},
		{"U+FFFF", "<a>\uFFFF</a>", ErrSyntax},
		{"invalid UTF-8", "<a>\xff</a>", ErrSyntax},
		{"overlong UTF-8", "<a>\xc0\xbc</a>", ErrSyntax},
		{"surrogate in UTF-8", "<a>\xed\xa0\x80</a>", ErrSyntax},
		{"truncated UTF-8", "<a>\xe2\x82</a>", ErrSyntax},
		{"Latin-1", "<a>caf\xe9</a>", ErrSyntax},
		{"UTF-16 big endian", "\xfe\xff\x00<\x00a\x00/\x00>", ErrSyntax},
		{"UTF-16 little endian", "\xff\xfe<\x00a\x00/\x00>\x00", ErrSyntax},
		{"UTF-16 without mark", "<\x00a\x00/\x00>\x00", ErrSyntax},

		{"declared Latin-1", `<?xml version="1.0" encoding="ISO-8859-1"?><a/>`, ErrSyntax},
		{"declared UTF-16", `<?xml version="1.0" encoding="UTF-16"?><a/>`, ErrSyntax},
		{"declared UTF-7", `<?xml version="1.0" encoding="UTF-7"?><a/>`, ErrSyntax},
		{"declared empty encoding", `<?xml version="1.0" encoding=""?><a/>`, ErrSyntax},
		{"version 1.1", `<?xml version="1.1"?><a/>`, ErrSyntax},
		{"no version", `<?xml encoding="UTF-8"?><a/>`, ErrSyntax},
		{"declaration without anything", `<?xml ?><a/>`, ErrSyntax},
		{"declaration out of order", `<?xml version="1.0" standalone="yes" encoding="UTF-8"?><a/>`, ErrSyntax},
		{"standalone maybe", `<?xml version="1.0" standalone="maybe"?><a/>`, ErrSyntax},
		{"declaration without space", `<?xml version="1.0"encoding="UTF-8"?><a/>`, ErrSyntax},
		{"declaration with more", `<?xml version="1.0" a="b"?><a/>`, ErrSyntax},
		{"declaration without quotes", `<?xml version=1.0?><a/>`, ErrSyntax},
		{"declaration without equals", `<?xml version "1.0"?><a/>`, ErrSyntax},
		{"unclosed declaration", `<?xml version="1.0`, ErrSyntax},
		{"declaration not closed properly", `<?xml version="1.0">`, ErrSyntax},
		{"declaration not at the start", ` <?xml version="1.0"?><a/>`, ErrSyntax},
		{"declaration in content", `<a><?xml version="1.0"?></a>`, ErrSyntax},
		{"declaration in upper case", `<?XML version="1.0"?><a/>`, ErrSyntax},
		{"bare xml target", `<?xml?><a/>`, ErrSyntax},

		{"two roots", `<a/><b/>`, ErrSyntax},
		{"text before the root", `x<a/>`, ErrSyntax},
		{"text after the root", `<a/>x`, ErrSyntax},
		{"reference after the root", `<a/>&#32;`, ErrSyntax},
		{"CDATA after the root", `<a/><![CDATA[]]>`, ErrSyntax},
		{"end tag first", `</a>`, ErrSyntax},
		{"end tag after the root", `<a/></a>`, ErrSyntax},

		{"unclosed element", `<a>`, ErrSyntax},
		{"unclosed text", `<a>x`, ErrSyntax},
		{"unclosed tag", `<a`, ErrSyntax},
		{"unclosed tag with attribute", `<a b="1"`, ErrSyntax},
		{"unclosed empty tag", `<a/`, ErrSyntax},
		{"unclosed end tag", `<a></a`, ErrSyntax},
		{"unclosed attribute", `<a b="1`, ErrSyntax},
		{"unclosed comment", `<a><!-- `, ErrSyntax},
		{"unclosed CDATA", `<a><![CDATA[ ]]`, ErrSyntax},
		{"unclosed instruction", `<a><?t `, ErrSyntax},
		{"crossed tags", `<a><b></a></b>`, ErrSyntax},
		{"end tag that is longer", `<a></ab>`, ErrSyntax},
		{"end tag that is shorter", `<ab></a>`, ErrSyntax},
		{"end tag with another prefix", `<p:a xmlns:p="u" xmlns:q="u"></q:a>`, ErrSyntax},
		{"end tag with attribute", `<a></a b="1">`, ErrSyntax},
		{"end tag after space", `<a></ a>`, ErrSyntax},
		{"space before the name", `< a/>`, ErrSyntax},
		{"slash in a tag", `<a / >`, ErrSyntax},
		{"unknown markup", `<a><!ELEMENT a></a>`, ErrSyntax},
		{"unknown markup outside", `<!ELEMENT a><a/>`, ErrSyntax},
		{"CDATA in lower case", `<a><![cdata[]]></a>`, ErrSyntax},

		{"]]> in text", `<a>]]></a>`, ErrSyntax},
		{"]]> after brackets", `<a>x]]]]></a>`, ErrSyntax},
		{"-- in comment", `<a><!-- -- --></a>`, ErrSyntax},
		{"comment that ends in --->", `<a><!-- ---></a>`, ErrSyntax},
		{"short comment", `<a><!--></a>`, ErrSyntax},
		{"instruction without target", `<a><? x?></a>`, ErrSyntax},
		{"instruction with bad target", `<a><?1?></a>`, ErrSyntax},
		{"instruction with colon", `<a><?p:t?></a>`, ErrNamespace},

		{"attribute without value", `<a b/>`, ErrSyntax},
		{"attribute without quotes", `<a b=1/>`, ErrSyntax},
		{"attribute without space", `<a b="1"c="2"/>`, ErrSyntax},
		{"attribute without name", `<a ="1"/>`, ErrSyntax},
		{"attribute with <", `<a b="<"/>`, ErrSyntax},
		{"attribute with half a quote", `<a b="1'/>`, ErrSyntax},

		{"name with a digit first", `<1/>`, ErrSyntax},
		{"name with a hyphen first", `<-a/>`, ErrSyntax},
		{"name with ×", `<a×/>`, ErrSyntax},
		{"name with a combining mark first", "<\u0301/>", ErrSyntax},
		{"name with U+037E", "<a\u037e/>", ErrSyntax},
		{"local name with a digit first", `<p:1 xmlns:p="u"/>`, ErrSyntax},

		{"duplicate attribute", `<a b="1" b="2"/>`, ErrDuplicateAttr},
		{"duplicate attribute by two prefixes", `<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>`, ErrDuplicateAttr},
		{"duplicate attribute among many", manyAttrs(20, `p:x="" q:x=""`), ErrDuplicateAttr},
		{"duplicate declaration", `<a xmlns:p="u" xmlns:p="u"/>`, ErrDuplicateAttr},
		{"duplicate default declaration", `<a xmlns="u" xmlns="v"/>`, ErrDuplicateAttr},

		{"undeclared element prefix", `<p:a/>`, ErrNamespace},
		{"undeclared attribute prefix", `<a p:b="1"/>`, ErrNamespace},
		{"prefix out of scope", `<a><b xmlns:p="u"/><p:c/></a>`, ErrNamespace},
		{"prefix undeclared", `<a xmlns:p="u"><b xmlns:p=""/></a>`, ErrNamespace},
		{"xml rebound", `<a xmlns:xml="urn:x"/>`, ErrNamespace},
		{"xml namespace under another prefix", `<a xmlns:p="http://www.w3.org/XML/1998/namespace"/>`, ErrNamespace},
		{"xml namespace by default", `<a xmlns="http://www.w3.org/XML/1998/namespace"/>`, ErrNamespace},
		{"xmlns declared", `<a xmlns:xmlns="http://www.w3.org/2000/xmlns/"/>`, ErrNamespace},
		{"xmlns rebound", `<a xmlns:xmlns="urn:x"/>`, ErrNamespace},
		{"xmlns namespace under another prefix", `<a xmlns:p="http://www.w3.org/2000/xmlns/"/>`, ErrNamespace},
		{"xmlns namespace by default", `<a xmlns="http://www.w3.org/2000/xmlns/"/>`, ErrNamespace},
		{"xmlns namespace, escaped", `<a xmlns="http://www.w3.org/2000/xmlns&#x2F;"/>`, ErrNamespace},
		{"element with prefix xmlns", `<xmlns:a/>`, ErrNamespace},
		{"two colons", `<a:b:c xmlns:a="u"/>`, ErrNamespace},
		{"colon first", `<:a/>`, ErrNamespace},
		{"colon last", `<a: xmlns:a="u"/>`, ErrNamespace},
		{"xmlns with empty prefix", `<a xmlns:="u"/>`, ErrNamespace},
		{"namespace name too long", `<a xmlns="` + strings.Repeat("u", maxURI+1) + `"/>`, ErrLimit},
	} {
		n, err := Parse([]byte(tc.doc), Limits{})
		if !errors.Is(err, tc.want) || n != nil {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
			continue
		}
		var se *SyntaxError
		if !errors.As(err, &se) || se.Offset < 0 || se.Offset > len(tc.doc) || se.Reason == "" {
			t.Errorf("%s: no usable place and reason in %#v", tc.name, err)
		}
	}
}

// manyAttrs returns an element with n attributes and two prefixes for one
// namespace.
func manyAttrs(n int, more string) string {
	var b strings.Builder
	b.WriteString(`<a xmlns:p="u" xmlns:q="u"`)
	for i := range n {
		fmt.Fprintf(&b, ` p:a%d="" a%d=""`, i, i)
	}
	return b.String() + " " + more + "/>"
}

func TestOffset(t *testing.T) {
	for doc, want := range map[string]int{
		"<a>\x00</a>":                     3,
		"\uFEFF<a>\x00</a>":               6,
		`<a b="1" c="2" b="3"/>`:          15,
		`<a><b><p:c/></b></a>`:            7,
		"<?xml version='1.0'?>\n<a/><b/>": 26,
	} {
		_, err := Parse([]byte(doc), Limits{})
		var se *SyntaxError
		if !errors.As(err, &se) || se.Offset != want {
			t.Errorf("%q: %v, want byte %d", doc, err, want)
		}
	}
}

// TestErrorsQuoteNothing: a document may hold names of patients.
func TestErrorsQuoteNothing(t *testing.T) {
	const secret = "janssens"
	for _, doc := range []string{
		"<" + secret + ">", "<a>&" + secret + ";</a>", "<a " + secret + "='1' " + secret + "='2'/>", "<" + secret + ":a/>",
		"<a xmlns:" + secret + "=''/>", "<a></" + secret + ">", "<a b=" + secret + "/>", "<a/>" + secret, "<?" + secret + ":?><a/>",
		`<?xml version="` + secret + `"?><a/>`, `<?xml version="1.0" encoding="` + secret + `"?><a/>`,
	} {
		if _, err := Parse([]byte(doc), Limits{}); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", doc, err)
		}
	}
}

func TestLimits(t *testing.T) {
	nest := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	attrs := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " a%d=''", i)
		}
		return "<a" + b.String() + "/>"
	}
	distinct := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "<a%d/>", i)
		}
		return "<r>" + b.String() + "</r>"
	}
	for _, tc := range []struct {
		name string
		doc  string
		lim  Limits
		ok   bool
	}{
		{"default depth", nest(defaultDepth), Limits{}, true},
		{"beyond default depth", nest(defaultDepth + 1), Limits{}, false},
		{"depth raised", nest(100_000), Limits{Depth: 100_000}, true},
		{"depth 1", nest(1), Limits{Depth: 1}, true},
		{"beyond depth 1", nest(2), Limits{Depth: 1}, false},
		{"siblings are not depth", `<a><b/><b/><b/></a>`, Limits{Depth: 2}, true},
		{"bytes", `<a>12</a>`, Limits{Bytes: 9}, true},
		{"too many bytes", `<a>123</a>`, Limits{Bytes: 9}, false},
		{"default bytes", `<a>` + strings.Repeat("x", defaultBytes) + `</a>`, Limits{}, false},
		{"default attributes", attrs(defaultAttrs), Limits{}, true},
		{"beyond default attributes", attrs(defaultAttrs + 1), Limits{}, false},
		{"declarations count as attributes", `<a xmlns:a="u" xmlns:b="u"/>`, Limits{Attrs: 1}, false},
		{"nodes", `<a x="1">t<!--c--></a>`, Limits{Nodes: 4}, true},
		{"too many nodes: comment", `<a x="1">t<!--c--></a>`, Limits{Nodes: 3}, false},
		{"too many nodes: text", `<a x="1">t</a>`, Limits{Nodes: 2}, false},
		{"too many nodes: attribute", `<a x="1"/>`, Limits{Nodes: 1}, false},
		{"too many nodes: declaration", `<a xmlns="u"/>`, Limits{Nodes: 1}, false},
		{"too many nodes: instruction", `<a><?p?></a>`, Limits{Nodes: 1}, false},
		{"default nodes", `<a>` + strings.Repeat("<b/>", defaultNodes) + `</a>`, Limits{}, false},
		{"many names", distinct(10_000), Limits{}, true},
		{"too many names", distinct(maxNames), Limits{}, false},
		{"negative is default", nest(2), Limits{Bytes: -1, Depth: -1, Nodes: -1, Attrs: -1}, true},
	} {
		_, err := Parse([]byte(tc.doc), tc.lim)
		if tc.ok != (err == nil) || err != nil && !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
