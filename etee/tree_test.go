package etee_test

import (
	"math/rand/v2"
	"testing"
)

// node is an element of a DER or BER message, for surgery on messages that no writer makes.
type node struct {
	tag  byte
	body []byte // of a primitive
	kids []*node
}

// parseTree reads BER with one-byte tags; nil when it is not that.
func parseTree(b []byte) *node {
	n, rest := parseNode(b, 0)
	if len(rest) != 0 {
		return nil
	}
	return n
}

func parseNode(b []byte, depth int) (n *node, rest []byte) {
	if len(b) < 2 || b[0]&0x1f == 0x1f || depth > 40 {
		return nil, b
	}
	n = &node{tag: b[0]}
	length, body := int(b[1]), b[2:]
	switch {
	case length == 0x80:
		for {
			if len(body) >= 2 && body[0] == 0 && body[1] == 0 {
				return n, body[2:]
			}
			kid, after := parseNode(body, depth+1)
			if kid == nil {
				return nil, b
			}
			n.kids, body = append(n.kids, kid), after
		}
	case length > 0x80:
		octets := length & 0x7f
		if octets > 4 || len(body) < octets {
			return nil, b
		}
		length = 0
		for _, c := range body[:octets] {
			length = length<<8 | int(c)
		}
		body = body[octets:]
	}
	if length > len(body) {
		return nil, b
	}
	body, rest = body[:length], body[length:]
	if n.tag&0x20 == 0 {
		n.body = body
		return n, rest
	}
	for len(body) > 0 {
		kid, after := parseNode(body, depth+1)
		if kid == nil {
			return nil, b
		}
		n.kids, body = append(n.kids, kid), after
	}
	return n, rest
}

// at goes down by indexes.
func (n *node) at(path ...int) *node {
	for _, i := range path {
		n = n.kids[i]
	}
	return n
}

func (n *node) all(f func(*node)) {
	f(n)
	for _, k := range n.kids {
		k.all(f)
	}
}

// der writes the tree with definite lengths, keeping the order of everything.
func (n *node) der() []byte {
	body := n.body
	for _, k := range n.kids {
		body = append(body, k.der()...)
	}
	return header(n.tag, len(body), 0, body)
}

func header(tag byte, length, zeros int, body []byte) []byte {
	if length < 0x80 && zeros == 0 {
		return append([]byte{tag, byte(length)}, body...)
	}
	octets := make([]byte, zeros)
	for shift := 24; shift >= 0; shift -= 8 {
		if v := length >> shift; v > 0 || shift == 0 {
			octets = append(octets, byte(v))
		}
	}
	return append(append([]byte{tag, 0x80 | byte(len(octets))}, octets...), body...)
}

// ber writes the tree in a random one of the encodings that BER has for it: lengths short, long with leading zeros or
// indefinite, and octet strings in segments of segments. Elements for which keep holds stay as they are in DER, and so
// does all within them.
func (n *node) ber(r *rand.Rand, keep func(*node) bool) []byte {
	if keep(n) {
		return n.der()
	}
	if n.tag&0x20 == 0 {
		if (n.tag == 0x04 || n.tag == 0x80) && r.IntN(3) > 0 {
			return construct(r, n.tag|0x20, segments(r, n.body, 3))
		}
		return header(n.tag, len(n.body), r.IntN(3), n.body)
	}
	var body []byte
	for _, k := range n.kids {
		body = append(body, k.ber(r, keep)...)
	}
	return construct(r, n.tag, body)
}

func construct(r *rand.Rand, tag byte, body []byte) []byte {
	if r.IntN(2) == 0 {
		return append(append([]byte{tag, 0x80}, body...), 0, 0)
	}
	return header(tag, len(body), r.IntN(3), body)
}

func segments(r *rand.Rand, b []byte, depth int) (out []byte) {
	for len(b) > 0 || r.IntN(3) == 0 {
		piece := b[:r.IntN(len(b)+1)]
		b = b[len(piece):]
		if depth > 0 && r.IntN(3) == 0 {
			out = append(out, construct(r, 0x24, segments(r, piece, depth-1))...)
		} else {
			out = append(out, header(0x04, len(piece), r.IntN(2), piece)...)
		}
	}
	return out
}

func mustTree(t testing.TB, b []byte) *node {
	t.Helper()
	n := parseTree(b)
	if n == nil {
		t.Fatal("not BER")
	}
	return n
}
