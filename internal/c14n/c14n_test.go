package c14n

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func parse(t testing.TB, doc string) *xmltree.Node {
	t.Helper()
	n, err := xmltree.Parse([]byte(doc), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// find returns the first element named local.
func find(t testing.TB, root *xmltree.Node, local string) *xmltree.Node {
	t.Helper()
	for n := range root.Descendants() {
		if n.Local() == local {
			return n
		}
	}
	t.Fatalf("no element %s", local)
	return nil
}

const soapDoc = `<s:E xmlns:s="urn:s" xmlns:w="urn:wsu" xmlns="urn:d" xml:lang="nl"><s:Body w:Id="T" s:m="1"><x a="&#9;"/><!--c--><y xmlns="">&#13;</y></s:Body></s:E>`

func TestCanonicalForms(t *testing.T) {
	for _, tc := range []struct {
		name, doc, apex string
		o               Options
		want            string
	}{
		{
			"attributes sort by namespace, then name", `<r xmlns:b="urn:1" xmlns:a="urn:2" a:x="1" b:z="2" b:y="3" q="4"/>`, "r",
			Options{},
			`<r xmlns:a="urn:2" xmlns:b="urn:1" q="4" b:y="3" b:z="2" a:x="1"></r>`,
		},
		{
			"exclusive", soapDoc, "Body",
			Options{},
			`<s:Body xmlns:s="urn:s" xmlns:w="urn:wsu" s:m="1" w:Id="T"><x xmlns="urn:d" a="&#x9;"></x><y>&#xD;</y></s:Body>`,
		},
		{
			"exclusive with comments", soapDoc, "Body",
			Options{Comments: true},
			`<s:Body xmlns:s="urn:s" xmlns:w="urn:wsu" s:m="1" w:Id="T"><x xmlns="urn:d" a="&#x9;"></x><!--c--><y>&#xD;</y></s:Body>`,
		},
		{
			"default namespace in the PrefixList", soapDoc, "Body",
			Options{Prefixes: []string{"#default"}},
			`<s:Body xmlns="urn:d" xmlns:s="urn:s" xmlns:w="urn:wsu" s:m="1" w:Id="T"><x a="&#x9;"></x><y xmlns="">&#xD;</y></s:Body>`,
		},
		{
			"inclusive inherits namespaces and xml:lang", soapDoc, "y",
			Options{Inclusive: true},
			`<y xmlns:s="urn:s" xmlns:w="urn:wsu" xml:lang="nl">&#xD;</y>`,
		},
		{
			"exclusive does not", soapDoc, "y",
			Options{Prefixes: []string{"xml", "nowhere"}},
			`<y>&#xD;</y>`,
		},
		{
			"PrefixList declares unused prefixes once", soapDoc, "E",
			Options{Prefixes: []string{"w"}},
			`<s:E xmlns:s="urn:s" xmlns:w="urn:wsu" xml:lang="nl"><s:Body s:m="1" w:Id="T"><x xmlns="urn:d" a="&#x9;"></x><y>&#xD;</y></s:Body></s:E>`,
		},
		{
			"a declaration of the xml prefix disappears", `<a xmlns:xml="http://www.w3.org/XML/1998/namespace" xml:id="1"/>`, "a",
			Options{Inclusive: true},
			`<a xml:id="1"></a>`,
		},
		{
			"escapes", `<a b="&lt;&amp;&quot;&#10;>'">&lt;&amp;&quot;&gt;&#10;'</a>`, "a",
			Options{},
			`<a b="&lt;&amp;&quot;&#xA;>'">&lt;&amp;"&gt;` + "\n" + `'</a>`,
		},
		{
			"siblings each declare what they use", `<r xmlns:p="urn:p"><p:a/><p:b><p:c/></p:b></r>`, "r",
			Options{},
			`<r><p:a xmlns:p="urn:p"></p:a><p:b xmlns:p="urn:p"><p:c></p:c></p:b></r>`,
		},
		{
			"processing instructions", `<r><?t?><?t  a ?></r>`, "r", Options{}, `<r><?t?><?t a ?></r>`,
		},
	} {
		got := string(Append(nil, find(t, parse(t, tc.doc), tc.apex), tc.o))
		if got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestOmit(t *testing.T) {
	root := parse(t, `<a><b>1</b><sig><c>x</c></sig>tail<d/></a>`)
	for _, tc := range []struct{ omit, want string }{
		{"sig", `<a><b>1</b>tail<d></d></a>`},
		{"b", `<a><sig><c>x</c></sig>tail<d></d></a>`},
		{"d", `<a><b>1</b><sig><c>x</c></sig>tail</a>`},
		{"c", `<a><b>1</b><sig></sig>tail<d></d></a>`},
		{"a", ``},
	} {
		if got := string(Append(nil, root, Options{Omit: find(t, root, tc.omit)})); got != tc.want {
			t.Errorf("without %s: %s, want %s", tc.omit, got, tc.want)
		}
	}
	other := parse(t, `<sig/>`)
	if got := string(Append(nil, root.FirstChild(), Options{Omit: other})); got != `<b>1</b>` {
		t.Errorf("a node elsewhere must not matter: %s", got)
	}
}

func TestNothing(t *testing.T) {
	if got := Append([]byte("x"), nil, Options{}); string(got) != "x" {
		t.Errorf("nil node: %q", got)
	}
	text := parse(t, `<a>1&lt;2</a>`).FirstChild()
	if got := Append(nil, text, Options{}); string(got) != "1&lt;2" {
		t.Errorf("text node: %q", got)
	}
}

// TestExplosion: every p:a repeats the long namespace name of the root.
func TestExplosion(t *testing.T) {
	doc := `<r xmlns:p="` + strings.Repeat("u", 1000) + `">` + strings.Repeat(`<p:a/>`, 100_000) + `</r>`
	root := parse(t, doc)
	var n measure
	if err := Write(&n, root, Options{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Write: %v after %d bytes", err, n)
	}
	if n > minOutput {
		t.Errorf("%d bytes were written", n)
	}
	if got := Append([]byte("kept"), root, Options{}); string(got) != "kept" {
		t.Errorf("Append kept %d bytes", len(got))
	}
	if err := Write(&n, root, Options{Inclusive: true}); err != nil {
		t.Errorf("inclusive form, which does not grow: %v", err)
	}
}

var errFull = errors.New("full")

type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errFull }

func TestWriterError(t *testing.T) {
	root := parse(t, `<a>`+strings.Repeat("<b>text</b>", 5000)+`</a>`)
	if err := Write(fullWriter{}, root, Options{}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

// FuzzTwice: canonical form parses, and is its own canonical form.
func FuzzTwice(f *testing.F) {
	f.Add([]byte(soapDoc))
	for _, pattern := range []string{"../../../shared/samples/*/*.xml", "../../../shared/samples/*/*/*.xml"} {
		files, _ := filepath.Glob(pattern) // absent: fewer seeds
		for _, name := range files {
			if b, err := os.ReadFile(name); err == nil && len(b) < 10_000 {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		root, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 16})
		if err != nil {
			return
		}
		for _, m := range modes {
			o := Options{Inclusive: m.Inclusive, Comments: m.Comments}
			if m.List {
				o.Prefixes = []string{"#default", "p", "s"}
			}
			once := Append(nil, root, o)
			again, err := xmltree.Parse(once, xmltree.Limits{})
			if err != nil {
				t.Fatalf("%v: canonical form does not parse: %v\n%q", m, err, once)
			}
			if twice := Append(nil, again, o); !bytes.Equal(once, twice) {
				t.Fatalf("%v: not stable:\n%q\n%q", m, once, twice)
			}
		}
	})
}
