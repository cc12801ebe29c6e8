package xmltree

import (
	"os"
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
