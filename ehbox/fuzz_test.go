package ehbox

import (
	"path/filepath"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Whatever is read is written again, reads back, and is then written the same.
func FuzzMessage(f *testing.F) {
	files, err := filepath.Glob("testdata/samples/*.xml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		f.Add(sample(f, filepath.Base(name)))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		root, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 18, Nodes: 1 << 14})
		if err != nil {
			return
		}
		rewrite := rewriters[root.Local()]
		if rewrite == nil {
			return
		}
		b, _, err := rewrite(root)
		if err != nil {
			return
		}
		c, _, err := rewrite(parse(t, b))
		if err != nil {
			return // what was missing and was left empty may be refused
		}
		if d, _, err := rewrite(parse(t, c)); err != nil || string(c) != string(d) {
			t.Errorf("%v\n%s\n%s", err, c, d)
		}
	})
}

// A record of the outbox that was tampered with is refused, or reads as something that can be written.
func FuzzRecord(f *testing.F) {
	l := letter("x")
	for _, r := range []*record{{plain: l.request("1234567890ABC")}, {plain: l.request("1234567890ABC"), key: "k", sealed: l.request("1234567890ABC")}} {
		b, err := r.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		c, err := r.encode()
		if err != nil {
			return
		}
		if _, err := decodeRecord(c); err != nil {
			t.Errorf("what was written does not read: %v", err)
		}
	})
}
