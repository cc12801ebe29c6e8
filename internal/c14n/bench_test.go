package c14n

import (
	"crypto/sha256"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// list returns an answer of about size bytes such as a list operation gives:
// nested elements with prefixes, some attributes, leaves of 20 to 40 bytes.
func list(size int) []byte {
	var b strings.Builder
	b.Grow(size + 1024)
	b.WriteString(`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><ns2:ListResponse` +
		` xmlns:ns2="urn:be:fgov:ehealth:example:protocol:v1" xmlns:ns3="urn:be:fgov:ehealth:example:core:v2" Id="R1">`)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `<ns2:Message><ns3:MessageId Type="ID-EHBOX">00000%08dABCDEF</ns3:MessageId><ns2:Sender><ns3:Identifier Quality="DOCTOR" Source="NIHII">1%010d000000000</ns3:Identifier>`+
			`<ns3:Name>Praktijk van dokter nummer %d</ns3:Name></ns2:Sender><ns2:Content><ns3:Title>Verslag &amp; brief van %d</ns3:Title>`+
			`<ns3:MimeType>application/octet-stream</ns3:MimeType></ns2:Content><ns2:PublicationDateTime>2024-02-29T12:00:00.000+01:00</ns2:PublicationDateTime></ns2:Message>`, i, i, i, i)
	}
	b.WriteString(`</ns2:ListResponse></soap:Body></soap:Envelope>`)
	return []byte(b.String())
}

const tenMB = 10_000_000

func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// maxRatio is the project's bound on bytes allocated per byte of input for
// parsing and canonicalising.
const maxRatio = 6.0

func TestAllocationRatio(t *testing.T) {
	doc := list(tenMB)
	for name, canonicalise := range map[string]func(*xmltree.Node){
		"Append": func(n *xmltree.Node) { Append(nil, n, Options{}) },
		"Write":  func(n *xmltree.Node) { _ = Write(sha256.New(), n, Options{}) },
	} {
		got := allocated(func() {
			root, err := xmltree.Parse(doc, xmltree.Limits{})
			if err != nil {
				t.Error(err)
				return
			}
			canonicalise(root)
		})
		ratio := float64(got) / float64(len(doc))
		t.Logf("parse and %s: %.2f bytes allocated per byte", name, ratio)
		if ratio > maxRatio {
			t.Errorf("parse and %s: %.2f bytes allocated per byte, want at most %.0f", name, ratio, maxRatio)
		}
	}
}

func BenchmarkParseC14N10MB(b *testing.B) {
	doc := list(tenMB)
	b.SetBytes(int64(len(doc)))
	total := 0
	for b.Loop() {
		total += allocated(func() {
			root, err := xmltree.Parse(doc, xmltree.Limits{})
			if err != nil {
				b.Fatal(err)
			}
			Append(nil, root, Options{})
		})
	}
	b.ReportMetric(float64(total)/float64(b.N)/float64(len(doc)), "alloc-B/B")
}

func BenchmarkParse(b *testing.B) {
	for _, size := range []int{2_000, 50_000, tenMB} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			doc := list(size)
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := xmltree.Parse(doc, xmltree.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkC14N(b *testing.B) {
	for _, size := range []int{2_000, 50_000, tenMB} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			doc := list(size)
			root := parse(b, string(doc))
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(io.Discard, root, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
