package kmehr

import "testing"

func BenchmarkWrite(b *testing.B) {
	p := sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	doc := must[[]byte](b)(Write(sample()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(doc); err != nil {
			b.Fatal(err)
		}
	}
}
