package recipe

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestPack: what is packed is what any reader of gzip unpacks, at all lengths and for all bytes.
func TestPack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 2*maxFixed)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	text := []byte(strings.Repeat("<cd S=\"CD-ITEM\" SV=\"1.11\">é</cd>", 2*maxFixed/32))
	words := make([]byte, 0, 2*maxFixed)
	for len(words) < maxFixed {
		at := r.IntN(len(text) / 2)
		words = append(words, text[at:at+1+r.IntN(300)]...)
		words = append(words, noise[at:at+r.IntN(9)]...)
	}
	for _, all := range [][]byte{noise, text, words, make([]byte, 2*maxFixed)} {
		for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 257, 258, 259, 260, 261, 262, 263, 264, 517, 1000, maxFixed - 1, maxFixed, maxFixed + 1} {
			content := all[:min(n, len(all))]
			packed, err := pack(content)
			if err != nil {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(bytes.NewReader(packed))
			if err != nil {
				t.Fatal(err)
			}
			back, err := io.ReadAll(z)
			if err != nil || !bytes.Equal(back, content) {
				t.Fatalf("%d bytes: %d came back, %v", n, len(back), err)
			}
			if back, err = unpack(packed); err != nil || !bytes.Equal(back, content) {
				t.Fatalf("%d bytes: %v", n, err)
			}
		}
	}
	if packed, err := pack(text[:3000]); err != nil || len(packed) > 300 {
		t.Errorf("%d bytes, %v", len(packed), err)
	}
}
