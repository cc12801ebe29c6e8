package xpath

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const doc = `<a xmlns="urn:a" xmlns:p="urn:p" k="1"><b i="1">x</b><p:b p:i="2">y<!--c-->z</p:b><c><b/>12</c></a>`

func parse(t testing.TB, s string) Item {
	t.Helper()
	root, err := xmltree.Parse([]byte(s), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return Document(root)
}

func TestEval(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{"count(/a/b)", "2"}, // prefixes and namespaces do not count
		{"count(//b)", "3"},
		{"/a/q:b[@i='2']/text()", "y"}, // a comment cuts text in two, as it does in the JDK
		{"count(/a/b[2]/text())", "2"},
		{"string(/a/b[2])", "yz"},
		{"/a/b[text()='z']/@i", "2"},
		{"count(/a/@*)", "1"}, // declarations are no attributes
		{"--3", "3"},
		{"-(2 - 5) * 2", "6"},
		{"/a/c/node()[2]", "12"},
		{"string(/)", "xyz12"},
		{"name(/a/c/..)", "a"},
		{"count(/..)", "0"},
		{"count(//b/..)", "2"},
		{"normalize-space(' a  b ')", "a b"},
		{"count(//text()/parent::*)", "3"},
		{"name(//@i/..)", "b"},
		{"count(//@i/node())", "0"},
	} {
		e, err := Compile(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		v, err := e.Eval(parse(t, doc), 1000)
		if err != nil || v.Text() != c.want {
			t.Errorf("%s = %q, %v; want %q", c.expr, v.Text(), err, c.want)
		}
	}
}

// TestFunctions holds results of the JDK, which judges more of them in the package above.
func TestFunctions(t *testing.T) {
	for expr, want := range map[string]string{
		"7 mod 3": "1", "-7 mod 3": "-1", "1 div 0": "Infinity", "-1 div 0": "-Infinity", "0 div 0": "NaN", "5 - -2": "7", "2 * 3 + 1": "7",
		"'1' = 1": "true", "'a' < 'b'": "false", "true() > false()": "true", "'' = false()": "true", "1 or 0 and 0": "true", "2 >= 3": "false",
		"2 <= 2": "true", "'a' != 'b'": "true", "true() = 'x'": "true", "string(1.50)": "1.5", "string(-0)": "0", "number('  12 ')": "12",
		"number('1e3')": "NaN", "number('-.5')": "-0.5", "number(true())": "1", "number(false())": "0", "floor(-1.5)": "-2", "ceiling(-1.5)": "-1",
		"round(2.5)": "3", "round(-1.5)": "-1", "round(0 div 0)": "NaN", "concat('a', 1, true())": "a1true", "contains('abc', 'b')": "true",
		"starts-with('abc', '')": "true", "substring-before('a-b-c', '-')": "a", "substring-before('a', '-')": "", "substring-after('a-b-c', '-')": "b-c",
		"substring('12345', 1.5, 2.6)": "234", "substring('12345', 0, 3)": "12", "substring('12345', 2)": "2345",
		"translate('--aaa--', 'abca-', 'ABC')": "AAA", "string-length('hé')": "2", "boolean('false')": "true", "boolean(0)": "false",
		"sum(/a/b/@i)": "3", "sum(//x)": "0", "local-name(/a/@k)": "k", "name(/)": "", "name(//x)": "", "string(//x)": "", "not(//x)": "true",
		"//b/@i = 2": "true", "2 < //b/@i": "false", "//b = //b": "true", "//x = //b": "false", "//b = true()": "true", "//x = false()": "true",
		"count(//b | //c | //b)": "4", "string((//b | //c)[2])": "yz", "name((//b)[last()]/..)": "c", "count(//c/descendant::*)": "1",
		"count(/a/descendant-or-self::node())": "10", "//b[position() = 2]": "yz", "name(/a/*[last()])": "c", "count(/a/c/self::c)": "1",
		"count(/a/attribute::k)": "1", "number(/a/@k) + 1": "2", "/a[@k = '1']/@k": "1", "string(/a/@*)": "1", "string-length(/a/c)": "2",
	} {
		e, err := Compile(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if v, err := e.Eval(parse(t, doc), 1000); err != nil || v.Text() != want {
			t.Errorf("%s = %q, %v; want %q", expr, v.Text(), err, want)
		}
	}
	at := MustCompile("/a/c")
	v, err := at.Eval(parse(t, doc), 100)
	if err != nil {
		t.Fatal(err)
	}
	for expr, want := range map[string]string{
		"string()": "12", "number()": "12", "name()": "c", "string-length()": "2", "normalize-space()": "12", "position()": "1", "last()": "1",
	} {
		if r, err := MustCompile(expr).Eval(v.Nodes()[0], 100); err != nil || r.Text() != want || r.IsNodes() || r.Kind() == "nodes" {
			t.Errorf("%s = %q, %v", expr, r.Text(), err)
		}
	}
	if at.String() != "/a/c" || !at.IsNodes() || v.Nodes()[0].Element() == nil || v.Nodes()[0].Node() != v.Nodes()[0].Element() {
		t.Error("what an expression says about itself")
	}
}

func TestEvalAtAnElement(t *testing.T) {
	c := MustCompile("/a/c")
	v, err := c.Eval(parse(t, doc), 100)
	if err != nil {
		t.Fatal(err)
	}
	at := v.Nodes()[0]
	for expr, want := range map[string]float64{"count(b)": 1, "count(/a/b)": 2, "count(../b)": 2, "position()": 1, "last()": 1} {
		if v, err := MustCompile(expr).Eval(at, 100); err != nil || v.Number() != want {
			t.Errorf("%s = %v, %v", expr, v.Number(), err)
		}
	}
}

func TestPath(t *testing.T) {
	for expr, want := range map[string]string{
		"/": "/", "/a": "/a", "/a/b[1]": "/a/b[1]", "/a/b[2]/@i": "/a/b[2]/@i", "/a/c/b": "/a/c/b", "/a/c/text()": "/a/c/text()",
	} {
		d := parse(t, doc)
		v, err := MustCompile(expr).Eval(d, 100)
		if err != nil || len(v.Nodes()) != 1 {
			t.Fatal(expr, err)
		}
		i := v.Nodes()[0]
		if i.Path() != want {
			t.Errorf("%s: %s", expr, i.Path())
		}
		if v, err = MustCompile(i.Path()).Eval(d, 100); err != nil || len(v.Nodes()) != 1 || v.Nodes()[0] != i {
			t.Errorf("%s does not find the node again", i.Path())
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for expr, want := range map[string]error{
		"":                             ErrSyntax,
		"a[":                           ErrSyntax,
		"a]":                           ErrSyntax,
		"'x":                           ErrSyntax,
		"a b":                          ErrSyntax,
		"a::b":                         ErrUnsupported,
		"following::b":                 ErrUnsupported,
		"$x":                           ErrUnsupported,
		"id('x')":                      ErrUnsupported,
		"lang('fr')":                   ErrUnsupported,
		"comment()":                    ErrUnsupported,
		"count(1)":                     ErrSyntax,
		"count()":                      ErrSyntax,
		"1 | a":                        ErrSyntax,
		"'a'[1]":                       ErrSyntax,
		"a\xff":                        ErrSyntax,
		"#":                            ErrSyntax,
		"9" + strings.Repeat("9", 400): ErrSyntax,
		strings.Repeat("(", 100) + "1" + strings.Repeat(")", 100):  ErrLimit,
		strings.Repeat("a[", 100) + "1" + strings.Repeat("]", 100): ErrLimit,
		strings.Repeat("a/", 10_000) + "a":                         ErrLimit,
	} {
		_, err := Compile(expr)
		var syntax *SyntaxError
		if !errors.Is(err, want) || !errors.As(err, &syntax) {
			t.Errorf("%.40q: %v, want %v", expr, err, want)
		}
	}
}

func TestEvalStops(t *testing.T) {
	var b strings.Builder
	b.WriteString("<a>")
	for range 300 {
		b.WriteString("<b><c/></b>")
	}
	b.WriteString("</a>")
	wide := parse(t, b.String())
	for _, expr := range []string{
		"count(//*[//*[//*]])", "//b = //b", "//b[. != //c]", "count(//c/..//c/..//c)", "sum(//*) + sum(//*) + count(//*) + count(//*//*)",
		"concat(" + strings.Repeat("'"+strings.Repeat("x", 1000)+"', ", 7) + "'')",
	} {
		if _, err := MustCompile(expr).Eval(wide, 100); !errors.Is(err, ErrLimit) {
			t.Errorf("%.40s: %v", expr, err)
		}
	}
	if _, used, err := MustCompile("count(//c)").Run(wide, 10_000); err != nil || used < 300 {
		t.Errorf("used %d, %v", used, err)
	}
}

func TestConcatIsBounded(t *testing.T) {
	big := parse(t, "<a>"+strings.Repeat("x", 200_000)+"</a>")
	expr := MustCompile("concat(/a, /a, /a, /a, /a, /a)")
	if _, err := expr.Eval(big, 1_000_000); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{"/a/b[@i='1' and (text()='x')]", "count(//b) = 1 + 2", "//a | b[last()]/..", "-1 div 0", "substring('a', 2)", strconv.Itoa(1)} {
		f.Add(s, doc)
	}
	f.Fuzz(func(t *testing.T, expr, document string) {
		e, err := Compile(expr)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset > len(expr) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		root, err := xmltree.Parse([]byte(document), xmltree.Limits{Nodes: 1000})
		if err != nil {
			return
		}
		v, err := e.Eval(Document(root), 10_000)
		if err == nil && v.IsNodes() != e.IsNodes() {
			t.Fatal("the kind of the result is not what Compile said")
		}
		for _, i := range v.Nodes() {
			if i.Path() == "" {
				t.Fatal("a node without a path")
			}
		}
	})
}

// One runner says of many expressions what each says alone, whatever was evaluated, freed or cut short before.
func TestRunnerOfMany(t *testing.T) {
	at := parse(t, `<a><b k="1"><c>x</c><c>y</c></b><b k="2"><c>z</c><d/></b><e>5</e></a>`)
	var all []*Expr
	for _, src := range []string{
		"/a/b", "/a/b/c", "count(/a/b/c)", "count(/a/b) = 2", "/a/b/c[2]", "/a/b[2]/c", "/a/b[c='z']/@k", "/a/b/c | /a/e", "(/a/b/c)[3]",
		"count(/a/b[count(/a/b/c) = 3])", "/a/b/c = /a/b/c", "/a/b/../e", "//c", "/a/x/y", "count(/a/x/y)", "/a/e + count(/a/b)",
	} {
		all = append(all, MustCompile(src))
	}
	var x Runner
	for range 3 {
		for _, e := range all {
			want, err := e.Eval(at, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for steps := range 12 {
				if v, _, err := x.Run(e, at, steps); err == nil {
					x.Free(v)
				}
			}
			got, _, err := x.Run(e, at, 1000)
			if err != nil || got.kind != want.kind || got.Text() != want.Text() || !slices.Equal(got.set, want.set) {
				t.Errorf("%s: %q, %v; want %q", e.src, got.Text(), err, want.Text())
			}
			x.Free(got)
		}
	}
}
