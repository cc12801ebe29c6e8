package cms

import (
	"crypto"
	"iter"
)

// Octets is the value of an OCTET STRING inside a parsed message, possibly in segments. It refers to the bytes that were
// parsed and holds no copy.
type Octets struct {
	b     []byte // the value, or the segments with their headers
	n     int
	whole bool
}

// Len is the number of octets.
func (o Octets) Len() int { return o.n }

// Segments yields the octets in order, as they stand in the message.
func (o Octets) Segments() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if o.whole {
			if o.n > 0 {
				yield(o.b)
			}
			return
		}
		// The reader has checked the structure: what remains is a row of headers, pieces and end-of-contents.
		r := reader{b: o.b, elements: len(o.b)}
		for r.pos < len(o.b) {
			if r.atEOC() {
				r.pos += 2
				continue
			}
			h, err := r.header()
			if err != nil {
				return
			}
			if h.tag&constructed != 0 {
				r.pos = h.body
				continue
			}
			r.pos = h.end
			if h.end > h.body && !yield(o.b[h.body:h.end:h.end]) {
				return
			}
		}
	}
}

// Bytes returns the octets in one new slice.
func (o Octets) Bytes() []byte {
	out := make([]byte, 0, o.n)
	for s := range o.Segments() {
		out = append(out, s...)
	}
	return out
}

// Compact returns the octets in one slice without taking new memory: segments are moved together within the bytes that
// were parsed. The Octets itself, and any message around it, must not be used afterwards.
func (o Octets) Compact() []byte {
	if o.whole {
		return o.b
	}
	n := 0
	for s := range o.Segments() {
		// A segment moves to the left, over its own header and over what was yielded before.
		n += copy(o.b[n:], s)
	}
	return o.b[:n:n]
}

// Digest hashes the octets, without tags, lengths and segmentation (RFC 5652 section 5.4). It returns nil for a hash
// that is not linked into the program.
func (o Octets) Digest(h crypto.Hash) []byte {
	if !h.Available() {
		return nil
	}
	d := h.New()
	for s := range o.Segments() {
		d.Write(s)
	}
	return d.Sum(nil)
}
