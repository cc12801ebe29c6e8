package xmltree

import (
	"strings"
	"unicode/utf8"
)

// Classes of ASCII bytes, one bit each.
const (
	cNameStart = 1 << iota // may start an NCName
	cName                  // may continue an NCName
	cSpace                 // white space, production S
	cTextStop              // ends a plain run of character data
	cAttrStop              // ends a plain run of an attribute value
	cTextRef               // is written as a reference in character data
	cAttrRef               // is written as a reference in an attribute value
)

var class = func() (t [256]uint8) {
	for c := range 128 {
		b := byte(c)
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', b == '_':
			t[b] |= cNameStart | cName
		case '0' <= b && b <= '9', b == '-', b == '.':
			t[b] |= cName
		}
	}
	for _, b := range []byte(" \t\r\n") {
		t[b] |= cSpace
	}
	for _, b := range []byte("<&\r]") {
		t[b] |= cTextStop
	}
	for _, b := range []byte("<&\r\n\t\"'") {
		t[b] |= cAttrStop
	}
	for c := range t {
		if references[c].text != "" {
			t[c] |= cTextRef
		}
		if references[c].attr != "" {
			t[c] |= cAttrRef
		}
	}
	return t
}()

// isNameStart is NameStartChar of XML 1.0 fifth edition without the colon.
func isNameStart(r rune) bool {
	if r < 0x80 {
		return r >= 0 && class[r]&cNameStart != 0
	}
	return 0xC0 <= r && r <= 0x2FF && r != 0xD7 && r != 0xF7 ||
		0x370 <= r && r <= 0x1FFF && r != 0x37E ||
		r == 0x200C || r == 0x200D ||
		0x2070 <= r && r <= 0x218F ||
		0x2C00 <= r && r <= 0x2FEF ||
		0x3001 <= r && r <= 0xD7FF ||
		0xF900 <= r && r <= 0xFDCF ||
		0xFDF0 <= r && r <= 0xFFFD ||
		0x10000 <= r && r <= 0xEFFFF
}

// isNameChar is NameChar of XML 1.0 fifth edition without the colon.
func isNameChar(r rune) bool {
	if r < 0x80 {
		return r >= 0 && class[r]&cName != 0
	}
	return isNameStart(r) || r == 0xB7 || 0x300 <= r && r <= 0x36F || r == 0x203F || r == 0x2040
}

// isNCName reports whether s is a name without colon, in valid UTF-8.
func isNCName(s string) bool {
	ascii := 0
	for ascii < len(s) && class[s[ascii]]&cName != 0 {
		ascii++
	}
	if ascii > 0 && ascii == len(s) {
		return class[s[0]]&cNameStart != 0
	}
	for i, r := range s {
		if r == utf8.RuneError && isBadByte(s[i:]) {
			return false
		}
		if i == 0 && !isNameStart(r) || !isNameChar(r) {
			return false
		}
	}
	return s != ""
}

// isBadByte tells an invalid byte at the start of s from a real U+FFFD.
func isBadByte(s string) bool {
	_, size := utf8.DecodeRuneInString(s)
	return size <= 1
}

// isChar is production Char of XML 1.0.
func isChar(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r <= 0xD7FF:
		return true
	}
	return 0xE000 <= r && r <= 0xFFFD || 0x10000 <= r && r <= 0x10FFFF
}

// badChar returns the offset of the first byte of s that is not part of a valid
// XML character in UTF-8, or -1.
func badChar(s string) int {
	for i := 0; i < len(s); {
		for len(s)-i >= 8 && isPlain(s[i:i+8]) {
			i += 8
		}
		for end := min(i+8, len(s)); i < end; {
			c := s[i]
			if c-0x20 < 0x60 { // 0x20..0x7F, the common case
				i++
				continue
			}
			if c < 0x20 {
				if class[c]&cSpace == 0 {
					return i
				}
				i++
				continue
			}
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size <= 1 || !isChar(r) {
				return i
			}
			i += size
		}
	}
	return -1
}

// isPlain reports whether the first eight bytes of s are all within 0x20..0x7F. They are tested in one word: a byte below 0x80
// reaches 0x80 by adding 0x60 when it is at least 0x20, and the only bytes that carry into the next one are themselves refused.
func isPlain(s string) bool {
	_ = s[7]
	w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	const high = 0x8080808080808080
	return (w+0x6060606060606060)&^w&high == high
}

// lacks reports whether none of the bytes stands in s. strings.IndexByte looks at many bytes at a time.
func lacks(s, bytes string) bool {
	for i := range len(bytes) {
		if strings.IndexByte(s, bytes[i]) >= 0 {
			return false
		}
	}
	return true
}
