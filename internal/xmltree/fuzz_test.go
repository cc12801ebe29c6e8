package xmltree_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// sampleFiles returns the real messages among the shared samples, if present.
func sampleFiles(dir string) []string {
	var out []string
	for _, depth := range []string{"*", "*/*", "*/*/*"} {
		found, _ := filepath.Glob(filepath.Join(dir, depth+".xml"))
		out = append(out, found...)
	}
	return out
}

// TestSamples reads every sample message and compares it with libxml2.
func TestSamples(t *testing.T) {
	var docs [][]byte
	var names []string
	for _, name := range sampleFiles(oracle.Shared(t, "samples")) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		root, err := xmltree.Parse(b, xmltree.Limits{})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
			continue
		}
		docs, names = append(docs, root.Source()), append(names, filepath.Base(name))
	}
	if len(docs) < 50 {
		t.Fatalf("only %d samples", len(docs))
	}
	for i, want := range oracle.XMLLintC14N(t, docs, true) {
		root, err := xmltree.Parse(docs[i], xmltree.Limits{})
		if err != nil {
			t.Fatalf("%s: its own source does not parse: %v", names[i], err)
		}
		got := c14n.Append(nil, root, c14n.Options{Inclusive: true, Comments: true})
		if !bytes.Equal(got, want) {
			t.Errorf("%s: libxml2 reads it differently", names[i])
		}
	}
	t.Logf("%d samples", len(docs))
}

// canonical is a whole document in inclusive form.
func canonical(n *xmltree.Node) []byte {
	return c14n.Append(nil, n, c14n.Options{Inclusive: true, Comments: true})
}

// FuzzParse: nothing panics; the source of an accepted root is the same
// document again; every node's source lies within that of its parent.
func FuzzParse(f *testing.F) {
	for _, doc := range []string{
		`<?xml version="1.0" encoding="utf-8"?><!--c--><a xmlns="u" b='&#13;&lt;'>x<![CDATA[<]]><p:c xmlns:p="v" p:d="1"/><?t d?></a>`,
		"\uFEFF<a>\r\n</a>", `<!DOCTYPE a><a/>`, `<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>`,
	} {
		f.Add([]byte(doc))
	}
	for _, name := range sampleFiles("../../../shared/samples") { // absent: fewer seeds
		if b, err := os.ReadFile(name); err == nil && len(b) < 20_000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		before := bytes.Clone(doc)
		root, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 20})
		if !bytes.Equal(before, doc) {
			t.Fatal("the document was modified")
		}
		if err != nil {
			return
		}
		again, err := xmltree.Parse(root.Source(), xmltree.Limits{})
		if err != nil {
			t.Fatalf("source does not parse: %v", err)
		}
		if !bytes.Equal(canonical(root), canonical(again)) {
			t.Fatal("source reads differently")
		}
		for n := range root.Descendants() {
			if p := n.Parent(); p != nil && !bytes.Contains(p.Source(), n.Source()) {
				t.Fatalf("source of %s is not in its parent's", n.Path())
			}
		}
	})
}
