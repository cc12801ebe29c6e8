package c14n

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// TestTextOfAnyLength: text is written alike whatever its length and wherever a character stands that needs a reference, to a
// writer and to a slice.
func TestTextOfAnyLength(t *testing.T) {
	for _, size := range []int{1, 8, longText - 1, longText, longText + 1, flushAt - 1, flushAt, flushAt + 1, 3*flushAt + 5} {
		for in, want := range map[string]string{"": "", "&amp;": "&amp;", "&lt;": "&lt;", ">": "&gt;", "&#13;": "&#xD;", "\r\n": "\n", `"`: `"`, "\t": "\t", "é": "é"} {
			for _, at := range []int{0, size / 2, size} {
				before, after := strings.Repeat("A", at), strings.Repeat("B", size-at)
				root, err := xmltree.Parse([]byte("<a><b>"+before+in+after+"</b><c/></a>"), xmltree.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				canonical := "<a><b>" + before + want + after + "</b><c></c></a>"
				var w bytes.Buffer
				if err := Write(&w, root, Options{}); err != nil || w.String() != canonical {
					t.Fatalf("size %d, %q at %d: written %d bytes, want %d: %v", size, in, at, w.Len(), len(canonical), err)
				}
				if got := Append(nil, root, Options{}); string(got) != canonical {
					t.Fatalf("size %d, %q at %d: appended %d bytes, want %d", size, in, at, len(got), len(canonical))
				}
			}
		}
	}
}
