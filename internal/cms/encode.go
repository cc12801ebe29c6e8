package cms

import (
	"bytes"
	"io"
	"math/big"
	"slices"
	"sync"
)

// Encoding is how a message is written.
type Encoding uint8

const (
	// BER is what the official library writes: indefinite lengths, and strings in segments of 1000 octets. The size of
	// the content need not be known.
	BER Encoding = iota
	// DER has definite lengths and strings in one piece. The size of the content must be known.
	DER
)

// segment is the length of all segments but the last (dossier 02, summary 4).
const segment = 1000

// batch is how many octets, 16 segments with their headers, go to the next writer at once.
const batch = 16 * (segment + len(fullHeader))

// appendHeader appends identifier and definite length in DER.
func appendHeader(dst []byte, tag byte, length int) []byte {
	if length < 0x80 {
		return append(dst, tag, byte(length))
	}
	n := 1
	for v := length >> 8; v > 0; v >>= 8 {
		n++
	}
	dst = append(dst, tag, 0x80|byte(n))
	for n--; n >= 0; n-- {
		dst = append(dst, byte(length>>(8*n)))
	}
	return dst
}

// headerSize is the length of what appendHeader appends.
func headerSize(length int64) int64 {
	n := int64(2)
	if length >= 0x80 {
		for ; length > 0; length >>= 8 {
			n++
		}
	}
	return n
}

// wrapSize is the size of an element with so much content.
func wrapSize(length int64) int64 { return headerSize(length) + length }

// der returns an element with the parts as content.
func der(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := appendHeader(make([]byte, 0, n+6), tag, n)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// derSet is der with the parts in the order that DER gives a SET OF.
func derSet(tag byte, parts [][]byte) []byte {
	slices.SortFunc(parts, bytes.Compare)
	return der(tag, parts...)
}

func derOID(o OID) []byte { // of at most 127 octets
	return append(append(make([]byte, 0, 16), tagOID, byte(len(o))), o...)
}

func derInt(v int) []byte { return []byte{tagInteger, 1, byte(v)} } // 0 to 127

var derNull = []byte{tagNull, 0}

// derSerial writes an INTEGER in two's complement.
func derSerial(v *big.Int) []byte {
	b := v.Bytes()
	if v.Sign() < 0 {
		// The shortest that holds it: n bits for 2^(8n-1) >= -v.
		n := uint(new(big.Int).Not(v).BitLen()/8 + 1)
		b = new(big.Int).Add(v, new(big.Int).Lsh(big.NewInt(1), 8*n)).Bytes()
		return der(tagInteger, b)
	}
	if len(b) == 0 || b[0] >= 0x80 {
		b = append([]byte{0}, b...)
	}
	return der(tagInteger, b)
}

func (a Algorithm) der() []byte { return der(tagSequence, derOID(a.OID), a.Parameters) }

// segmenter cuts what is written to it into OCTET STRINGs of 1000 octets.
type segmenter struct {
	w    io.Writer
	buf  []byte // segments with their headers, the last one unfinished
	fill int    // octets in the unfinished segment
	used int    // the most that was in buf
}

// fullHeader is that of a segment of 1000 octets.
var fullHeader = [4]byte{tagOctetString, 0x82, segment >> 8, segment & 0xff}

func newSegmenter(w io.Writer) *segmenter {
	return &segmenter{w: w, buf: borrow()}
}

// buffers are pieces of memory of messages that are done. Most messages are shorter than one.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

const bufferSize = max(batch, cbcBuffer)

// borrow returns an empty buffer of bufferSize bytes.
func borrow() []byte {
	return buffers.Get().(*[bufferSize]byte)[:0] //nolint:forcetypeassert // nothing else is in there
}

// giveBack takes a buffer that nobody uses any more. Used is how much of it may hold content.
func giveBack(b []byte, used int) {
	if cap(b) < bufferSize {
		return
	}
	clear(b[:used])
	buffers.Put((*[bufferSize]byte)(b[:bufferSize]))
}

// Write takes octets in.
func (s *segmenter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if s.fill == 0 {
			s.buf = append(s.buf, fullHeader[:]...)
		}
		take := min(len(p), segment-s.fill)
		s.buf = append(s.buf, p[:take]...)
		p = p[take:]
		if s.fill += take; s.fill == segment {
			s.fill = 0
			if len(s.buf) == batch {
				if err := s.flush(); err != nil {
					return 0, err
				}
			}
		}
	}
	return n, nil
}

func (s *segmenter) flush() error {
	s.used = max(s.used, len(s.buf))
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}

// Close writes what is left; the last segment is shorter.
func (s *segmenter) Close() error {
	if s.fill > 0 {
		start := len(s.buf) - s.fill - len(fullHeader)
		s.used = max(s.used, len(s.buf)) // its header may be shorter
		var header [4]byte
		last := s.buf[start+len(fullHeader):]
		short := appendHeader(header[:0], tagOctetString, len(last))
		n := copy(s.buf[start:], short)
		n += copy(s.buf[start+n:], last)
		s.buf, s.fill = s.buf[:start+n], 0
	}
	err := s.flush()
	giveBack(s.buf, s.used)
	s.buf = nil
	return err
}

// nopCloser is the DER counterpart of a segmenter.
type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
