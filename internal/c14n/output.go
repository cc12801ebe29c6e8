package c14n

import (
	"strings"
	"unsafe"
)

// escapes are the bytes for which a reference stands, and the references; "" = itself. The first table is what every byte is
// looked up in.
type escapes struct {
	escaped [256]bool
	by      [256]string
}

func escape(by [256]string) (e escapes) {
	for c, s := range by {
		e.escaped[c], e.by[c] = s != "", s
	}
	return e
}

// Canonical XML 1.0, 2.3.
var (
	textEscapes = escape([256]string{'&': "&amp;", '<': "&lt;", '>': "&gt;", '\r': "&#xD;"})
	attrEscapes = escape([256]string{'&': "&amp;", '<': "&lt;", '"': "&quot;", '\t': "&#x9;", '\n': "&#xA;", '\r': "&#xD;"})
)

func (c *canon) put(s string) { c.out = append(c.out, s...) }

func (c *canon) name(prefix, local string) {
	if prefix != "" {
		c.put(prefix)
		c.put(":")
	}
	c.put(local)
}

func (c *canon) value(s string) {
	c.put(`="`)
	c.escaped(s, &attrEscapes)
	c.put(`"`)
}

// text puts character data.
func (c *canon) text(s string) {
	switch {
	case len(s) < longText || !plain(s):
		c.escaped(s, &textEscapes)
	case c.w != nil && len(s) >= flushAt: // it need not be gathered
		c.flush()
		c.pass(unsafe.Slice(unsafe.StringData(s), len(s)))
	default:
		c.put(s)
	}
}

// longText is from where on one byte after the other is looked for, instead of looking at each byte.
const longText = 64

// plain reports whether s is character data that needs no reference.
func plain(s string) bool {
	return strings.IndexByte(s, '&') < 0 && strings.IndexByte(s, '<') < 0 && strings.IndexByte(s, '>') < 0 && strings.IndexByte(s, '\r') < 0
}

func (c *canon) escaped(s string, e *escapes) {
	run := 0
	for i := range len(s) {
		if e.escaped[s[i]] {
			c.put(s[run:i])
			c.put(e.by[s[i]])
			run = i + 1
		}
	}
	c.put(s[run:])
}

// bound is called once per node: it passes on what has gathered and stops an
// output that grows out of proportion.
func (c *canon) bound() {
	switch {
	case c.w != nil:
		if len(c.out) >= flushAt {
			c.flush()
		}
	case len(c.out)-c.base > c.left:
		c.err = ErrTooLarge
	}
}

func (c *canon) flush() {
	if c.w == nil {
		return
	}
	c.pass(c.out)
	c.out = c.out[:0]
}

// pass writes b, which stays as it is.
func (c *canon) pass(b []byte) {
	if c.err != nil {
		return
	}
	c.left -= len(b)
	if c.left < 0 {
		c.err = ErrTooLarge
		return
	}
	_, c.err = c.w.Write(b)
}
