package xmltree

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func mustParse(t testing.TB, doc string) *Node {
	t.Helper()
	n, err := Parse([]byte(doc), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const sample = `<s:E xmlns:s="urn:s" xmlns="urn:d"> <s:H/><B id="1" s:id="2" xmlns:q="urn:q"><!--c--><x>one</x><?p i?><x>two</x></B></s:E>`

func TestNavigation(t *testing.T) {
	root := mustParse(t, sample)
	b := root.Child("urn:d", "B")
	if !b.Is("urn:d", "B") || b.Is("urn:s", "B") || b.Is("urn:d", "x") || b.Parent() != root || root.Parent() != nil {
		t.Fatal("wrong element")
	}
	var kinds []Kind
	for c := range b.Children() {
		kinds = append(kinds, c.Kind())
	}
	if want := []Kind{Comment, Element, ProcInst, Element}; !slices.Equal(kinds, want) {
		t.Errorf("children %v, want %v", kinds, want)
	}
	var texts []string
	for c := range b.Elements() {
		s, err := c.Text()
		if err != nil {
			t.Error(err)
		}
		texts = append(texts, s)
	}
	if want := []string{"one", "two"}; !slices.Equal(texts, want) {
		t.Errorf("elements %q, want %q", texts, want)
	}
	var names []string
	for n := range root.Descendants() {
		names = append(names, n.Local())
	}
	if want := []string{"E", "H", "B", "x", "x"}; !slices.Equal(names, want) {
		t.Errorf("descendants %q, want %q", names, want)
	}
	names = nil
	for n := range b.Descendants() {
		if names = append(names, n.Local()); len(names) == 2 {
			break
		}
	}
	if want := []string{"B", "x"}; !slices.Equal(names, want) {
		t.Errorf("descendants of B, stopped: %q, want %q", names, want)
	}
	for range b.Children() {
		break
	}
	for range b.Elements() {
		break
	}
	last := root.FirstChild()
	for last.NextSibling() != nil {
		last = last.NextSibling()
	}
	if last != b {
		t.Error("B is not the last sibling")
	}
}

func TestAttributesAndNamespaces(t *testing.T) {
	root := mustParse(t, sample)
	b := root.Child("urn:d", "B")
	for _, tc := range []struct {
		space, local, want string
		ok                 bool
	}{
		{"", "id", "1", true},
		{"urn:s", "id", "2", true},
		{"urn:d", "id", "", false},
		{"", "xmlns", "", false},
	} {
		if got, ok := b.Attr(tc.space, tc.local); got != tc.want || ok != tc.ok {
			t.Errorf("Attr(%q, %q) = %q, %v", tc.space, tc.local, got, ok)
		}
	}
	if got := b.Namespaces(); len(got) != 1 || got[0] != (Namespace{"q", "urn:q"}) {
		t.Errorf("Namespaces = %v", got)
	}
	for _, tc := range []struct {
		prefix, want string
		ok           bool
	}{
		{"s", "urn:s", true},
		{"", "urn:d", true},
		{"q", "urn:q", true},
		{"xml", xmlURI, true},
		{"nowhere", "", false},
	} {
		if got, ok := b.Child("urn:d", "x").LookupPrefix(tc.prefix); got != tc.want || ok != tc.ok {
			t.Errorf("LookupPrefix(%q) = %q, %v", tc.prefix, got, ok)
		}
	}
	if _, ok := root.LookupPrefix("q"); ok {
		t.Error("q is not in scope at the root")
	}
	if got, ok := mustParse(t, `<a/>`).LookupPrefix(""); got != "" || !ok {
		t.Errorf("no default namespace: %q, %v", got, ok)
	}
}

func TestText(t *testing.T) {
	for _, tc := range []struct {
		doc, want string
		ok        bool
	}{
		{`<a/>`, "", true},
		{`<a></a>`, "", true},
		{`<a> x&amp;<![CDATA[y]]> </a>`, " x&y ", true},
		{`<a>admin<!---->.evil</a>`, "", false},
		{`<a><!---->x</a>`, "", false},
		{`<a>x<?p?></a>`, "", false},
		{`<a><b/></a>`, "", false},
		{`<a>x<b/></a>`, "", false},
	} {
		got, err := mustParse(t, tc.doc).Text()
		if got != tc.want || (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrContent) {
			t.Errorf("%s: %q, %v", tc.doc, got, err)
		}
	}
	if _, err := mustParse(t, `<a>x</a>`).FirstChild().Text(); !errors.Is(err, ErrContent) {
		t.Errorf("text of a text node: %v", err)
	}
}

func TestSourceAndPath(t *testing.T) {
	doc := "<?xml version='1.0'?><a:r  xmlns:a='u'\n><b c = \"&lt;\"\r\n/><b>é<c></c ></b></a:r><!---->"
	root := mustParse(t, doc)
	if got, want := string(root.Source()), doc[21:len(doc)-7]; got != want {
		t.Errorf("root: %q, want %q", got, want)
	}
	first := root.Child("", "b")
	if got, want := string(first.Source()), "<b c = \"&lt;\"\r\n/>"; got != want {
		t.Errorf("first: %q, want %q", got, want)
	}
	c := first.NextSibling().Child("", "c")
	if got := string(c.Source()); got != "<c></c >" || cap(c.Source()) != len(got) {
		t.Errorf("c: %q with capacity %d", got, cap(c.Source()))
	}
	if got := c.Path(); got != "r/b/c" {
		t.Errorf("path %q", got)
	}
	text := first.NextSibling().FirstChild()
	if got := text.Path(); got != "r/b" || text.Source() != nil {
		t.Errorf("text node: path %q, source %q", got, text.Source())
	}
	long := mustParse(t, "<a"+strings.Repeat("é", 500)+"/>")
	if got := long.Path(); len(got) > maxPathName || !strings.HasPrefix(got, "aéé") || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("long name: %q", got)
	}
}

// TestNil: a chain of Child calls needs no check between them.
func TestNil(t *testing.T) {
	n := mustParse(t, `<a/>`).Child("", "b").Child("", "c")
	if n != nil || n.Local() != "" || n.Space() != "" || n.Prefix() != "" || n.Data() != "" || n.Attrs() != nil || n.Namespaces() != nil ||
		n.Parent() != nil || n.FirstChild() != nil || n.NextSibling() != nil || n.Source() != nil || n.Path() != "" || n.Is("", "") || n.Kind() != Element {
		t.Error("a nil node has something")
	}
	if _, err := n.Text(); !errors.Is(err, ErrContent) {
		t.Error(err)
	}
	if _, ok := n.Attr("", "x"); ok {
		t.Error("attribute of nil")
	}
	if _, ok := n.LookupPrefix(""); ok {
		t.Error("prefix at nil")
	}
	for range n.Descendants() {
		t.Error("descendant of nil")
	}
	for range n.Children() {
		t.Error("child of nil")
	}
	if text := mustParse(t, `<a>x</a>`).FirstChild(); text.Local() != "" || text.Space() != "" || text.Is("", "") {
		t.Error("a text node has a name")
	}
}

func TestNodeSize(t *testing.T) {
	if got := unsafe.Sizeof(Node{}); got > 72 {
		t.Errorf("a node has %d bytes", got)
	}
}

func ExampleParse() {
	root, err := Parse([]byte(`<s:Envelope xmlns:s="urn:s"><s:Body><Id>42</Id></s:Body></s:Envelope>`), Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	id := root.Child("urn:s", "Body").Child("", "Id")
	text, err := id.Text()
	fmt.Println(id.Path(), text, err)
	// Output: Envelope/Body/Id 42 <nil>
}
