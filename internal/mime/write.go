package mime

import (
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// rootType is the media type of the root part: SOAP 1.1.
const rootType = "text/xml"

// Message is a message to be written.
type Message struct {
	boundary, start string
	root            []byte
	parts           []Part
}

// New makes a message of an envelope and its parts, with a random boundary of 128 bits. The error wraps ErrPart.
func New(root []byte, parts ...Part) (*Message, error) {
	token := strings.ToLower(rand.Text())
	return NewWith(root, "MIMEBoundary_"+token, "root."+token+"@ehealth-continuity", parts...)
}

// NewWith is New with a given boundary and Content-ID of the root part, for a message that must be the same each time
// it is made. No part may contain the boundary.
func NewWith(root []byte, boundary, start string, parts ...Part) (*Message, error) {
	if !validBoundary(boundary) {
		return nil, fmt.Errorf("%w: boundary", ErrPart)
	}
	seen := map[string]bool{start: true}
	for _, p := range parts {
		switch {
		case !validID(p.ID) || seen[p.ID]:
			return nil, fmt.Errorf("%w: Content-ID missing, not printable or used twice", ErrPart)
		case p.Type == "" || !printable(p.Type):
			return nil, fmt.Errorf("%w: Content-Type", ErrPart)
		case p.Open == nil || p.Size < 0:
			return nil, fmt.Errorf("%w: no content", ErrPart)
		}
		seen[p.ID] = true
	}
	if !validID(start) {
		return nil, fmt.Errorf("%w: Content-ID of the root", ErrPart)
	}
	return &Message{boundary: boundary, start: start, root: root, parts: parts}, nil
}

// ContentType is the value of the header for the whole message.
func (m *Message) ContentType() string {
	return `multipart/related; type="` + rootType + `"; start="<` + m.start + `>"; boundary="` + m.boundary + `"`
}

// Size is the length of the whole message in bytes.
func (m *Message) Size() int64 {
	n := int64(len(m.head(rootType+"; charset=utf-8", "8bit", m.start, true)) + len(m.root))
	for _, p := range m.parts {
		n += int64(len(m.head(p.Type, "binary", p.ID, false))) + p.Size
	}
	return n + int64(len(m.tail()))
}

// head is the delimiter before a part and its headers.
func (m *Message) head(typ, encoding, id string, first bool) string {
	delimiter := "\r\n--"
	if first {
		delimiter = "--"
	}
	return delimiter + m.boundary + "\r\nContent-Type: " + typ + "\r\nContent-Transfer-Encoding: " + encoding +
		"\r\nContent-ID: <" + id + ">\r\n\r\n"
}

func (m *Message) tail() string { return "\r\n--" + m.boundary + "--\r\n" }

// Reader gives the message from its start, each time it is called. It fails with ErrPart when a part's content is
// shorter or longer than its Size. Close may be called while another goroutine reads.
func (m *Message) Reader() io.ReadCloser { return &reader{m: m, next: -1} }

// reader goes through the root (next = -1), the parts and the tail.
type reader struct {
	m *Message

	mu     sync.Mutex
	next   int
	text   []byte        // to be given before the open part
	part   io.ReadCloser // nil = none open
	left   int64         // of the open part
	closed bool
	err    error
}

func (r *reader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	for r.err == nil {
		if len(b) == 0 {
			return 0, nil
		}
		if len(r.text) > 0 {
			n := copy(b, r.text)
			r.text = r.text[n:]
			return n, nil
		}
		if r.part == nil {
			r.err = r.advance()
			continue
		}
		n, err := r.content(b)
		if err != nil {
			r.err = err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, r.err
}

// advance goes to the next piece; io.EOF after the last.
func (r *reader) advance() error {
	m := r.m
	i := r.next
	r.next++
	switch {
	case i < 0:
		head := m.head(rootType+"; charset=utf-8", "8bit", m.start, true)
		r.text = append([]byte(head), m.root...)
	case i < len(m.parts):
		p := m.parts[i]
		part, err := p.Open()
		if err != nil {
			return fmt.Errorf("mime: part %s cannot be opened: %w", strconv.Itoa(i+1), err)
		}
		r.part, r.left = part, p.Size
		r.text = []byte(m.head(p.Type, "binary", p.ID, false))
	case i == len(m.parts):
		r.text = []byte(m.tail())
	default:
		return io.EOF
	}
	return nil
}

// content reads from the open part, which must end exactly where its Size says: the length of the whole was announced.
func (r *reader) content(b []byte) (int, error) {
	if r.left == 0 {
		var one [1]byte
		n, err := io.ReadFull(r.part, one[:])
		if n > 0 {
			return 0, fmt.Errorf("%w: longer than its size", ErrPart)
		}
		if err != io.EOF {
			return 0, err
		}
		err = r.part.Close()
		r.part = nil
		return 0, err
	}
	n, err := r.part.Read(b[:min(int64(len(b)), r.left)])
	r.left -= int64(n)
	if err == io.EOF {
		if err = nil; r.left > 0 {
			err = fmt.Errorf("%w: shorter than its size", ErrPart)
		}
	}
	return n, err
}

// Close closes the part that is open.
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.part == nil {
		return nil
	}
	err := r.part.Close()
	r.part = nil
	return err
}

// validBoundary: the characters of RFC 2046 section 5.1.1, at most 70, without the blank.
func validBoundary(b string) bool {
	if b == "" || len(b) > 70 {
		return false
	}
	for i := range len(b) {
		c := b[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && strings.IndexByte("'()+_,-./:=?", c) < 0 {
			return false
		}
	}
	return true
}

// validID: what may stand between the angle brackets of a Content-ID.
func validID(id string) bool {
	return id != "" && len(id) <= maxID && printable(id) && !strings.ContainsAny(id, "<> \"")
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
