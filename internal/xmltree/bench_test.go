package xmltree

import (
	"os"
	"strings"
	"testing"
)

// BenchmarkParse reads a signed message of 4 kB.
func BenchmarkParse(b *testing.B) {
	doc, err := os.ReadFile("../wsse/testdata/signed-hok.xml")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(doc, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWrite writes 60 small elements and a text of 16 kB.
func BenchmarkWrite(b *testing.B) {
	long := strings.Repeat("AbC+/789", 2<<10)
	b.ReportAllocs()
	for b.Loop() {
		w := NewWriter()
		w.Start("p", "request")
		w.NS("p", "urn:example:prescription:request:v1")
		for range 60 {
			w.Leaf("", "prescriptionDate", "2026-11-22")
		}
		w.Leaf("", "SecuredContent", long)
		w.End()
		if _, err := w.Bytes(); err != nil {
			b.Fatal(err)
		}
	}
}
