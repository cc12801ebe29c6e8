package xmltree

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestWriter(t *testing.T) {
	for _, tc := range []struct {
		name  string
		write func(w *Writer)
		want  string
	}{
		{"empty element", func(w *Writer) { w.Start("", "a"); w.End() }, `<a/>`},
		{"leaf", func(w *Writer) { w.Leaf("", "a", "x") }, `<a>x</a>`},
		{"base64", func(w *Writer) { w.Start("", "a"); w.Base64([]byte{0xfb, 0xff, 0}); w.Base64([]byte("b")); w.End() }, `<a>+/8AYg==</a>`},
		{"empty base64", func(w *Writer) { w.Start("", "a"); w.Base64(nil); w.End() }, `<a></a>`},
		{"long leaf", func(w *Writer) { w.Leaf("", "a", strings.Repeat("x", 2*minRoom)) }, `<a>` + strings.Repeat("x", 2*minRoom) + `</a>`},
		{"deep", func(w *Writer) {
			for range 20 {
				w.Start("p", "a")
				w.NS("p", fmt.Sprint("u", len(w.open)))
				w.Attr("", "b", "1")
			}
			for range 20 {
				w.End()
			}
		}, deep(20)},
		{"empty leaf", func(w *Writer) { w.Leaf("", "a", "") }, `<a/>`},
		{"default namespace", func(w *Writer) { w.Start("", "a"); w.NS("", "u"); w.Leaf("", "b", ""); w.End() }, `<a xmlns="u"><b/></a>`},
		{"undeclared default", func(w *Writer) {
			w.Start("", "a")
			w.NS("", "u")
			w.Start("", "b")
			w.NS("", "")
			w.End()
			w.End()
		}, `<a xmlns="u"><b xmlns=""/></a>`},
		{"no default to take away", func(w *Writer) { w.Start("", "a"); w.NS("", ""); w.End() }, `<a/>`},
		{"declared once", func(w *Writer) {
			w.Start("p", "a")
			w.NS("p", "u")
			w.NS("p", "u")
			w.Start("p", "b")
			w.NS("p", "u")
			w.End()
			w.Start("p", "c")
			w.NS("p", "v")
			w.End()
			w.Leaf("p", "d", "")
			w.End()
		}, `<p:a xmlns:p="u"><p:b/><p:c xmlns:p="v"/><p:d/></p:a>`},
		{"again after its scope", func(w *Writer) {
			w.Start("", "a")
			for range 2 {
				w.Start("p", "b")
				w.NS("p", "u")
				w.End()
			}
			w.End()
		}, `<a><p:b xmlns:p="u"/><p:b xmlns:p="u"/></a>`},
		{"attribute before its declaration", func(w *Writer) { w.Start("", "a"); w.Attr("p", "b", "1"); w.NS("p", "u"); w.End() }, `<a p:b="1" xmlns:p="u"/>`},
		{"xml attribute", func(w *Writer) { w.Start("", "a"); w.Attr("xml", "lang", "nl"); w.NS("xml", xmlURI); w.End() }, `<a xml:lang="nl"/>`},
		{"same local name", func(w *Writer) {
			w.Start("", "a")
			w.NS("p", "u")
			w.Attr("p", "x", "1")
			w.Attr("", "x", "2")
			w.End()
		}, `<a xmlns:p="u" p:x="1" x="2"/>`},
		{"escapes", func(w *Writer) {
			w.Start("", "a")
			w.Attr("", "b", "<>&\"'\t\n\r")
			w.Text("<>&\"'\t\n\r]]>")
			w.End()
		}, "<a b=\"&lt;>&amp;&quot;'&#x9;&#xA;&#xD;\">&lt;&gt;&amp;\"'\t\n&#xD;]]&gt;</a>"},
		{"raw", func(w *Writer) { w.Start("", "a"); w.Raw([]byte(`<b  c='1'/>`)); w.End() }, `<a><b  c='1'/></a>`},
	} {
		w := NewWriter()
		tc.write(w)
		got, err := w.Bytes()
		if err != nil || string(got) != tc.want || w.Len() != len(tc.want) {
			t.Errorf("%s: %s, %v; want %s", tc.name, got, err, tc.want)
			continue
		}
		if _, err := Parse(got, Limits{}); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// deep returns n elements, each in the one before and each with its own meaning of the prefix.
func deep(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `<p:a xmlns:p="u%d" b="1"`, i+1)
		if i < n-1 {
			b.WriteString(">")
		}
	}
	return b.String() + "/>" + strings.Repeat("</p:a>", n-1)
}

// TestWriterTextOfAnyLength: a character that needs a reference gets one wherever it stands, and one that is not allowed is refused.
func TestWriterTextOfAnyLength(t *testing.T) {
	for _, size := range []int{0, 1, longText - 1, longText, minRoom, 3 * minRoom} {
		for in, want := range map[string]string{"": "", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;", "é": "é", "\x00": "?", "\xff": "?"} {
			for _, at := range []int{0, size / 2, size} {
				before, after := strings.Repeat("A", at), strings.Repeat("B", size-at)
				w := NewWriter()
				w.Start("", "a")
				w.Text(before + in + after)
				w.End()
				got, err := w.Bytes()
				if want == "?" {
					if !errors.Is(err, ErrWriter) {
						t.Fatalf("%q at %d of %d: %v", in, at, size, err)
					}
					continue
				}
				if err != nil || string(got) != "<a>"+before+want+after+"</a>" {
					t.Fatalf("%q at %d of %d: %d bytes, %v", in, at, size, len(got), err)
				}
			}
		}
	}
}

func TestWriterErrors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		write func(w *Writer)
		want  string
	}{
		{"nothing", func(*Writer) {}, "no root"},
		{"unclosed", func(w *Writer) { w.Start("", "a") }, "unclosed element in a"},
		{"end too many", func(w *Writer) { w.Leaf("", "a", ""); w.End() }, "end without start"},
		{"two roots", func(w *Writer) { w.Leaf("", "a", ""); w.Leaf("", "b", "") }, "second root"},
		{"text outside", func(w *Writer) { w.Text("x") }, "outside the root"},
		{"raw outside", func(w *Writer) { w.Leaf("", "a", ""); w.Raw([]byte("<b/>")) }, "outside the root"},
		{"undeclared element prefix", func(w *Writer) { w.Start("", "r"); w.Leaf("p", "a", ""); w.End() }, "element prefix not declared in r/a"},
		{"undeclared attribute prefix", func(w *Writer) { w.Start("", "a"); w.Attr("p", "b", ""); w.End() }, "attribute prefix not declared"},
		{"prefix out of scope", func(w *Writer) {
			w.Start("", "r")
			w.Start("p", "a")
			w.NS("p", "u")
			w.End()
			w.Leaf("p", "b", "")
			w.End()
		}, "not declared"},
		{"bad element name", func(w *Writer) { w.Start("", "a b") }, "invalid element name"},
		{"empty element name", func(w *Writer) { w.Start("", "") }, "invalid element name"},
		{"colon in name", func(w *Writer) { w.Start("", "p:a") }, "invalid element name"},
		{"invalid UTF-8 in name", func(w *Writer) { w.Start("", "a\xff") }, "invalid element name"},
		{"element prefix xmlns", func(w *Writer) { w.Start("xmlns", "a") }, "invalid element name"},
		{"bad attribute name", func(w *Writer) { w.Start("", "a"); w.Attr("", `b="1" c`, "") }, "invalid attribute name"},
		{"xmlns as attribute", func(w *Writer) { w.Start("", "a"); w.Attr("", "xmlns", "u") }, "invalid attribute name"},
		{"xmlns:p as attribute", func(w *Writer) { w.Start("", "a"); w.Attr("xmlns", "p", "u") }, "invalid attribute name"},
		{"bad prefix", func(w *Writer) { w.Start("", "a"); w.NS("1", "u") }, "invalid prefix"},
		{"prefix undeclared", func(w *Writer) { w.Start("", "a"); w.NS("p", "") }, "cannot be undeclared"},
		{"xml rebound", func(w *Writer) { w.Start("", "a"); w.NS("xml", "u") }, "belong together"},
		{"xmlns rebound", func(w *Writer) { w.Start("", "a"); w.NS("xmlns", xmlnsURI) }, "must not be declared"},
		{"prefix declared twice", func(w *Writer) { w.Start("", "a"); w.NS("p", "u"); w.NS("p", "v") }, "declared twice"},
		{"attribute twice", func(w *Writer) { w.Start("", "a"); w.Attr("", "b", ""); w.Attr("", "b", ""); w.End() }, "given twice"},
		{"attribute twice by namespace", func(w *Writer) {
			w.Start("", "a")
			w.NS("p", "u")
			w.NS("q", "u")
			w.Attr("p", "b", "")
			w.Attr("q", "b", "")
			w.End()
		}, "given twice"},
		{"late attribute", func(w *Writer) { w.Start("", "a"); w.Text(""); w.Attr("", "b", "") }, "outside a start tag"},
		{"late declaration", func(w *Writer) { w.Start("", "a"); w.Text(""); w.NS("p", "u") }, "outside a start tag"},
		{"attribute without element", func(w *Writer) { w.Attr("", "b", "") }, "outside a start tag"},
		{"control character", func(w *Writer) { w.Leaf("", "a", "secret\x01") }, "invalid character in a"},
		{"NUL in attribute", func(w *Writer) { w.Start("", "a"); w.Attr("", "b", "secret\x00"); w.End() }, "invalid character"},
		{"U+FFFF", func(w *Writer) { w.Leaf("", "a", "\uFFFF") }, "invalid character"},
		{"invalid UTF-8", func(w *Writer) { w.Leaf("", "a", "\xff") }, "invalid character"},
		{"first error stays", func(w *Writer) { w.Start("", "a"); w.Leaf("", "1", ""); w.Leaf("p", "b", "\x00"); w.End() }, "invalid element name in a"},
	} {
		w := NewWriter()
		tc.write(w)
		got, err := w.Bytes()
		if got != nil || !errors.Is(err, ErrWriter) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %q, %v; want error with %q", tc.name, got, err, tc.want)
		}
	}
}

// TestWriterRoundTrip: what is written reads back as the same strings.
func TestWriterRoundTrip(t *testing.T) {
	pieces := []string{"\r", "\n", "\t", "\r\n", " ", "&", "<", ">", `"`, "'", "]]>", "&amp;", "é", "😀", "\u0085", "\U0010FFFF", "\uFFFD", "x", "-->", "\u007f"}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var text, value strings.Builder
		for range r.IntN(8) {
			text.WriteString(pieces[r.IntN(len(pieces))])
			value.WriteString(pieces[r.IntN(len(pieces))])
		}
		w := NewWriter()
		w.Start("p", "a")
		w.NS("p", "urn:p?a=1&b=2")
		w.Attr("p", "v", value.String())
		w.Text(text.String())
		w.End()
		b, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		n := mustParse(t, string(b))
		gotText, err := n.Text()
		if gotText != text.String() || err != nil {
			t.Errorf("text %q came back as %q, %v", text.String(), gotText, err)
		}
		if got, _ := n.Attr("urn:p?a=1&b=2", "v"); got != value.String() {
			t.Errorf("value %q came back as %q", value.String(), got)
		}
	}
}

func ExampleWriter() {
	w := NewWriter()
	w.Start("v1", "Request")
	w.NS("v1", "urn:be:example:v1")
	w.Attr("", "Id", "R1")
	w.Leaf("v1", "Name", "A & B")
	w.End()
	b, err := w.Bytes()
	fmt.Println(string(b), err)
	// Output: <v1:Request xmlns:v1="urn:be:example:v1" Id="R1"><v1:Name>A &amp; B</v1:Name></v1:Request> <nil>
}
