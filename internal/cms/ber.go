package cms

import "math"

// Limits bounds what a parser accepts. A zero field means its default.
type Limits struct {
	Bytes        int // size of the whole; default 64 MiB
	Depth        int // nesting; default 32, a sealed message has 11
	Elements     int // visited elements, segments of strings among them; default 1 000 000
	Certificates int // default 32
	Signers      int // default 8
	Recipients   int // default 4096
	Attributes   int // per signer, signed and unsigned each; default 64
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Bytes, 64<<20)
	set(&l.Depth, 32)
	set(&l.Elements, 1_000_000)
	set(&l.Certificates, 32)
	set(&l.Signers, 8)
	set(&l.Recipients, 4096)
	set(&l.Attributes, 64)
	return l
}

// Identifier octets (X.690 section 8.1.2) of what CMS is made of.
const (
	tagBoolean     = 0x01
	tagInteger     = 0x02
	tagOctetString = 0x04
	tagNull        = 0x05
	tagOID         = 0x06
	tagUTCTime     = 0x17
	tagGenTime     = 0x18
	tagSequence    = 0x30
	tagSet         = 0x31

	constructed = 0x20
	context0    = 0x80
	context1    = 0x81
	context2    = 0x82
	context3    = 0x83
	highTag     = 0x1f

	indefinite = -1
)

// reader walks over BER (X.690 section 8) from left to right: an element is entered and left, read, or skipped whole. It never
// looks at a byte twice for the sake of nesting, so that its time is linear in the input whatever the input is, and it
// copies nothing.
type reader struct {
	b        []byte
	pos      int
	open     []frame
	depth    int // limit
	elements int // left
}

// frame is an element that was entered.
type frame struct {
	end   int // indefinite, or where its content ends
	bound int // where the nearest definite element around the content ends
}

// header is the identifier and length of an element.
type header struct {
	tag  byte // first identifier octet
	body int  // where the content begins
	end  int  // where it ends, or indefinite
}

func newReader(b []byte, l Limits) *reader {
	return &reader{b: b, depth: l.Depth, elements: l.Elements}
}

func (r *reader) fail(reason string) error { return &SyntaxError{Offset: r.pos, Reason: reason} }

func (r *reader) limit(what string) error {
	return &SyntaxError{Offset: r.pos, Reason: what, Limit: true}
}

// bound is the offset that no element at pos may cross.
func (r *reader) bound() int {
	if len(r.open) == 0 {
		return len(r.b)
	}
	return r.open[len(r.open)-1].bound
}

// more reports whether another element follows in the one that is open.
func (r *reader) more() bool {
	if n := len(r.open); n > 0 && r.open[n-1].end == indefinite {
		return !r.atEOC()
	}
	return r.pos < r.bound()
}

// atEOC reports whether the end-of-contents octets stand at pos.
func (r *reader) atEOC() bool {
	return r.pos+2 <= r.bound() && r.b[r.pos] == 0 && r.b[r.pos+1] == 0
}

// tag returns the identifier octet of the next element, 0 when there is none.
func (r *reader) tag() byte {
	if !r.more() || r.pos >= r.bound() {
		return 0
	}
	return r.b[r.pos]
}

// header reads identifier and length and leaves pos where it is.
func (r *reader) header() (header, error) {
	if r.elements--; r.elements < 0 {
		return header{}, r.limit("too many elements")
	}
	bound, p := r.bound(), r.pos
	if p >= bound {
		return header{}, r.fail("element missing")
	}
	h := header{tag: r.b[p]}
	p++
	if h.tag == 0 {
		return header{}, r.fail("end-of-contents out of place")
	}
	if h.tag&highTag == highTag {
		for n := 0; ; n++ {
			if p >= bound || n == 4 {
				return header{}, r.fail("tag number")
			}
			p++
			if r.b[p-1] < 0x80 {
				break
			}
		}
	}
	length, p, err := r.length(p, bound)
	if err != nil {
		return header{}, err
	}
	h.body = p
	switch {
	case length == indefinite && h.tag&constructed == 0:
		return header{}, r.fail("primitive of indefinite length")
	case length == indefinite:
		h.end = indefinite
	case length > bound-p:
		return header{}, r.fail("longer than what holds it")
	default:
		h.end = p + length
	}
	return h, nil
}

// length reads the length octets at p. Long forms may have leading zeros: BER allows it.
func (r *reader) length(p, bound int) (length, next int, err error) {
	if p >= bound {
		return 0, 0, r.fail("length missing")
	}
	first := r.b[p]
	p++
	switch {
	case first < 0x80:
		return int(first), p, nil
	case first == 0x80:
		return indefinite, p, nil
	case first > 0x88:
		return 0, 0, r.fail("length of length")
	}
	for range first & 0x7f {
		if p >= bound {
			return 0, 0, r.fail("length cut off")
		}
		if length > math.MaxInt32>>8 {
			return 0, 0, r.limit("length")
		}
		length = length<<8 | int(r.b[p])
		p++
	}
	return length, p, nil
}

// enter opens the next element, which must be constructed with that tag.
func (r *reader) enter(tag byte) error {
	h, err := r.header()
	if err != nil {
		return err
	}
	if h.tag != tag {
		return r.fail("unexpected element")
	}
	if len(r.open) >= r.depth {
		return r.limit("nested too deep")
	}
	f := frame{end: h.end, bound: h.end}
	if h.end == indefinite {
		f.bound = r.bound()
	}
	r.open = append(r.open, f)
	r.pos = h.body
	return nil
}

// leave closes the element opened last; nothing may be left in it.
func (r *reader) leave() error {
	if r.more() {
		return r.fail("unexpected element at the end")
	}
	f := r.open[len(r.open)-1]
	if f.end == indefinite {
		if !r.atEOC() {
			return r.fail("end-of-contents missing")
		}
		r.pos += 2
	}
	r.open = r.open[:len(r.open)-1]
	return nil
}

// primitive reads the content of the next element, which must be primitive with that tag.
func (r *reader) primitive(tag byte) ([]byte, error) {
	h, err := r.header()
	if err != nil {
		return nil, err
	}
	if h.tag != tag {
		return nil, r.fail("unexpected element")
	}
	r.pos = h.end
	return r.b[h.body:h.end:h.end], nil
}

// raw skips the next element, whatever it is, and returns it as it stands there. What is inside an element of definite
// length is not looked at.
func (r *reader) raw() ([]byte, error) {
	start, depth := r.pos, 0
	for {
		if depth > 0 && r.atEOC() {
			r.pos += 2
			depth--
		} else {
			h, err := r.header()
			if err != nil {
				return nil, err
			}
			if h.end == indefinite {
				if depth++; len(r.open)+depth > r.depth {
					return nil, r.limit("nested too deep")
				}
				r.pos = h.body
			} else {
				r.pos = h.end
			}
		}
		if depth == 0 {
			return r.b[start:r.pos:r.pos], nil
		}
	}
}

// done fails when something follows the last element.
func (r *reader) done() error {
	if r.pos != len(r.b) {
		return r.fail("trailing bytes")
	}
	return nil
}

// octets reads an OCTET STRING with that primitive tag, in one piece or in segments (X.690 section 8.7). Segments may
// again be in segments.
func (r *reader) octets(tag byte) (Octets, error) {
	if r.tag() == tag {
		b, err := r.primitive(tag)
		return Octets{b: b, n: len(b), whole: true}, err
	}
	if err := r.enter(tag | constructed); err != nil {
		return Octets{}, err
	}
	base, n := len(r.open), 0
	start, end := r.pos, r.pos
	for len(r.open) >= base {
		switch {
		case !r.more():
			end = r.pos
			if err := r.leave(); err != nil {
				return Octets{}, err
			}
		case r.tag() == tagOctetString:
			b, err := r.primitive(tagOctetString)
			if err != nil {
				return Octets{}, err
			}
			n += len(b)
		default:
			if err := r.enter(tagOctetString | constructed); err != nil {
				return Octets{}, err
			}
		}
	}
	return Octets{b: r.b[start:end:end], n: n}, nil
}
