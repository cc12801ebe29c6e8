package cms

import (
	"bytes"
	"io"
	"testing"
)

// What was in a buffer is gone when the next message gets it, however short its last segment was.
func TestBuffersGoBackEmpty(t *testing.T) {
	for _, size := range []int{0, 1, segment, 16*segment - 1, 16 * segment, 16*segment + 100, 40*segment + 1} {
		s := newSegmenter(io.Discard)
		whole := s.buf[:cap(s.buf)]
		if _, err := s.Write(bytes.Repeat([]byte{7}, size)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(whole, []byte{7}); n > 0 {
			t.Errorf("%d bytes of %d are left", n, size)
		}
	}
}
