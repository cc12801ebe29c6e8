package mime

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
)

const (
	// DefaultMaxRoot bounds the root part: a message of 10 MB inline in base64 with its envelope.
	DefaultMaxRoot = 16 << 20
	// DefaultMaxTotal bounds the whole message: eHealthBox allows 10 MB, base64 makes 14 of it.
	DefaultMaxTotal = 32 << 20
	// DefaultMaxParts bounds the number of parts beside the root.
	DefaultMaxParts = 200
	// MaxHeader bounds the headers of one part, in bytes.
	MaxHeader = 16 << 10

	maxID     = 998
	maxFields = 50
	lineSize  = 8 << 10
)

// Limits bounds what Read accepts. A number that is zero or negative takes its default.
type Limits struct {
	Root  int64 // bytes of the root part after decoding
	Total int64 // bytes of the whole message as received
	Part  int64 // bytes of one part after decoding; default: as Total
	Parts int   // parts beside the root
	// Spill takes the content of a part somewhere else than memory; p.Size is not known yet. nil = memory. A nil writer
	// keeps this part in memory. The writer is closed after the last byte, also when the message turns out to be wrong.
	Spill func(p Part) (io.WriteCloser, error)
}

func (l Limits) orDefault() Limits {
	if l.Root <= 0 {
		l.Root = DefaultMaxRoot
	}
	if l.Total <= 0 {
		l.Total = DefaultMaxTotal
	}
	if l.Part <= 0 {
		l.Part = l.Total
	}
	if l.Parts <= 0 {
		l.Parts = DefaultMaxParts
	}
	return l
}

// Received is a message that was read.
type Received struct {
	Root  []byte
	Parts []Part
}

// Part finds the part that a reference ("cid:…") or a Content-ID means.
func (r *Received) Part(ref string) (*Part, bool) {
	id, ok := ID(ref)
	if !ok {
		id = bare(ref)
	}
	for i := range r.Parts {
		if r.Parts[i].ID == id && id != "" {
			return &r.Parts[i], true
		}
	}
	return nil, false
}

// Is tells whether a Content-Type says multipart, whose body Read must read.
func Is(contentType string) bool {
	typ, _, _ := strings.Cut(contentType, ";")
	return strings.HasPrefix(strings.ToLower(strings.Trim(typ, " \t")), "multipart/")
}

// Read reads a message. contentType is the value of the header that came with it.
func Read(contentType string, body io.Reader, lim Limits) (*Received, error) {
	boundary, start, err := parameters(contentType)
	if err != nil {
		return nil, err
	}
	lim = lim.orDefault()
	counted := &counter{r: body, left: lim.Total}
	p := &parser{r: bufio.NewReaderSize(counted, lineSize), delimiter: []byte("--" + boundary), lim: lim, start: start}
	got, err := p.message()
	if counted.over {
		return nil, fmt.Errorf("%w: whole message", ErrLimit)
	}
	if err != nil {
		return nil, err
	}
	return got, nil
}

// parameters reads the header of the whole message.
func parameters(contentType string) (boundary, start string, err error) {
	typ, params, err := mime.ParseMediaType(contentType)
	if err != nil || typ != "multipart/related" {
		return "", "", ErrMedia
	}
	boundary = params["boundary"]
	if boundary == "" || len(boundary) > 70 || !printable(boundary) || strings.HasSuffix(boundary, " ") {
		return "", "", fmt.Errorf("%w: boundary", ErrMedia)
	}
	return boundary, bare(params["start"]), nil
}

// counter ends the input at the bound and remembers that it did.
type counter struct {
	r    io.Reader
	left int64
	over bool
}

func (c *counter) Read(b []byte) (int, error) {
	if int64(len(b)) > c.left+1 {
		b = b[:c.left+1]
	}
	n, err := c.r.Read(b)
	if int64(n) > c.left {
		n, c.over, err = int(c.left), true, io.EOF
	}
	c.left -= int64(n)
	return n, err
}

type parser struct {
	r         *bufio.Reader
	delimiter []byte // "--" and the boundary
	lf        bool   // lines end in LF alone
	start     string
	lim       Limits
}

func (p *parser) message() (*Received, error) {
	last, err := p.preamble()
	if err != nil {
		return nil, err
	}
	var got Received
	seen := map[string]bool{}
	rooted := false
	for i := 0; !last; i++ {
		if i > p.lim.Parts {
			return nil, fmt.Errorf("%w: number of parts", ErrLimit)
		}
		h, err := p.header()
		if err != nil {
			return nil, err
		}
		if h.id != "" && seen[h.id] {
			return nil, fmt.Errorf("%w: two parts of one Content-ID", ErrSyntax)
		}
		seen[h.id] = true
		part := Part{ID: h.id, Type: h.typ}
		if root := !rooted && (p.start == "" || p.start == h.id); root {
			rooted = true
			got.Root, last, err = p.inMemory(h.encoding, p.lim.Root)
		} else {
			last, err = p.attachment(&part, h.encoding)
			got.Parts = append(got.Parts, part)
		}
		if err != nil {
			return nil, err
		}
	}
	if !rooted {
		return p.fallback(&got)
	}
	return &got, nil
}

// fallback takes the first part as root when nothing has the Content-ID that start names and the first has none: that is
// how the official connector writes (dossier 09).
func (p *parser) fallback(got *Received) (*Received, error) {
	if len(got.Parts) == 0 || got.Parts[0].ID != "" || got.Parts[0].Size > p.lim.Root {
		return nil, fmt.Errorf("%w: no root part", ErrSyntax)
	}
	root, err := got.Parts[0].Content()
	if err != nil {
		return nil, fmt.Errorf("%w: no root part", ErrSyntax)
	}
	return &Received{Root: root, Parts: got.Parts[1:]}, nil
}

// preamble skips to the first delimiter; last tells that it is the closing one.
func (p *parser) preamble() (last bool, err error) {
	for range 1000 {
		line, err := p.line()
		if err != nil {
			return false, err
		}
		if rest, ok := bytes.CutPrefix(line, p.delimiter); ok {
			p.lf = !bytes.HasSuffix(rest, []byte("\r\n"))
			if tail, ok := ends(rest); ok {
				return tail, nil
			}
		}
	}
	return false, fmt.Errorf("%w: no delimiter", ErrSyntax)
}

// line reads one line with its end.
func (p *parser) line() ([]byte, error) {
	line, err := p.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%w: a line", ErrLimit)
	case err == io.EOF:
		return nil, fmt.Errorf("%w: cut short", ErrSyntax)
	}
	return line, err
}

// ends judges what stands behind a delimiter on its line: nothing, or "--" for the last one. Blanks may follow.
func ends(rest []byte) (last, ok bool) {
	rest = bytes.TrimRight(rest, " \t\r\n")
	return len(rest) > 0, len(rest) == 0 || string(rest) == "--"
}

type header struct{ id, typ, encoding string }

// header reads the headers of a part, up to the empty line.
func (p *parser) header() (header, error) {
	var h header
	var names, values []string
	size := 0
	for {
		line, err := p.line()
		if err != nil {
			return h, err
		}
		if size += len(line); size > MaxHeader || len(names) > maxFields {
			return h, fmt.Errorf("%w: headers of a part", ErrLimit)
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			break
		}
		if text[0] == ' ' || text[0] == '\t' { // folded
			if len(values) == 0 {
				return h, fmt.Errorf("%w: header", ErrSyntax)
			}
			values[len(values)-1] += " " + strings.Trim(text, " \t")
			continue
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok || name == "" {
			return h, fmt.Errorf("%w: header", ErrSyntax)
		}
		names, values = append(names, strings.ToLower(strings.TrimRight(name, " \t"))), append(values, strings.Trim(value, " \t"))
	}
	return h, h.set(names, values)
}

func (h *header) set(names, values []string) error {
	seen := map[string]bool{}
	for i, n := range names {
		var to *string
		switch n {
		case "content-id":
			to = &h.id
		case "content-type":
			to = &h.typ
		case "content-transfer-encoding":
			to = &h.encoding
		default:
			continue
		}
		if seen[n] {
			return fmt.Errorf("%w: a header stands twice", ErrSyntax)
		}
		seen[n] = true
		*to = values[i]
	}
	h.id, h.encoding = bare(h.id), strings.ToLower(h.encoding)
	if len(h.id) > maxID {
		return fmt.Errorf("%w: Content-ID", ErrLimit)
	}
	return nil
}

// attachment reads the content of a part that is not the root.
func (p *parser) attachment(part *Part, encoding string) (last bool, err error) {
	var w io.WriteCloser
	if p.lim.Spill != nil {
		if w, err = p.lim.Spill(*part); err != nil {
			return false, err
		}
	}
	if w == nil {
		data, last, err := p.inMemory(encoding, p.lim.Part)
		*part = Bytes(part.ID, part.Type, data)
		return last, err
	}
	part.Size, last, err = p.content(w, encoding, p.lim.Part)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return last, err
}

func (p *parser) inMemory(encoding string, limit int64) ([]byte, bool, error) {
	var b bytes.Buffer
	_, last, err := p.content(&b, encoding, limit)
	return b.Bytes(), last, err
}

// content copies a part's decoded content to w and stops behind the delimiter that ends it.
func (p *parser) content(w io.Writer, encoding string, limit int64) (n int64, last bool, err error) {
	raw := &body{p: p}
	var r io.Reader
	switch encoding {
	case "", "7bit", "8bit", "binary":
		r = raw
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, &onlyBase64{r: raw})
	case "quoted-printable":
		r = quotedprintable.NewReader(raw)
	default:
		return 0, false, fmt.Errorf("%w: transfer encoding", ErrSyntax)
	}
	n, err = io.Copy(w, io.LimitReader(r, limit+1))
	switch {
	case n > limit:
		return n, false, fmt.Errorf("%w: a part", ErrLimit)
	case raw.err != nil && raw.err != io.EOF:
		return n, false, raw.err
	case err != nil && (encoding == "base64" || encoding == "quoted-printable"):
		return n, false, fmt.Errorf("%w: transfer encoding: %w", ErrSyntax, err)
	case err != nil:
		return n, false, err
	}
	// A decoder may stop before the delimiter.
	if _, err = io.Copy(io.Discard, raw); err != nil {
		return n, false, err
	}
	return n, raw.last, nil
}

// onlyBase64 leaves out white space, which senders put anywhere. The decoder itself skips line ends only.
type onlyBase64 struct{ r io.Reader }

func (o *onlyBase64) Read(b []byte) (int, error) {
	n, err := o.r.Read(b)
	k := 0
	for _, c := range b[:n] {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			b[k] = c
			k++
		}
	}
	return k, err
}

// body reads the raw content of a part. Its end is a line end, the delimiter, and a line of nothing else.
type body struct {
	p     *parser
	begun bool
	last  bool
	err   error
}

func (b *body) Read(out []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.read(out)
	if err != nil {
		b.err = err
	}
	return n, err
}

func (b *body) read(out []byte) (int, error) {
	p := b.p
	eol := "\r\n"
	if p.lf {
		eol = "\n"
	}
	if !b.begun { // content of no bytes: the delimiter follows the headers at once
		b.begun = true
		if done, err := b.delimiter(""); done || err != nil {
			return 0, orEOF(err)
		}
	}
	if len(out) == 0 {
		return 0, nil
	}
	if _, err := p.r.Peek(1); err != nil {
		return 0, cut(err)
	}
	have, err := p.r.Peek(p.r.Buffered())
	if err != nil {
		return 0, cut(err)
	}
	switch i := bytes.IndexByte(have, eol[0]); {
	case i < 0:
		n := copy(out, have)
		_, err = p.r.Discard(n)
		return n, err
	case i > 0:
		n := copy(out, have[:i])
		_, err = p.r.Discard(n)
		return n, err
	}
	if done, err := b.delimiter(eol); done || err != nil {
		return 0, orEOF(err)
	}
	out[0] = eol[0] // of have nothing is left: looking ahead moved the buffer
	_, err = p.r.Discard(1)
	return 1, err
}

// delimiter looks whether eol, the delimiter and the end of its line come next, and takes them if so.
func (b *body) delimiter(eol string) (bool, error) {
	p := b.p
	n := len(eol) + len(p.delimiter)
	have, err := p.r.Peek(n)
	if err != nil && err != io.EOF {
		return false, err
	}
	if len(have) < n || string(have[:len(eol)]) != eol || !bytes.Equal(have[len(eol):], p.delimiter) {
		return false, nil
	}
	// The rest of the line must fit the buffer together with the delimiter: blanks without end are no line.
	for ahead := n + 1; ; ahead++ {
		have, err = p.r.Peek(ahead)
		switch {
		case err == io.EOF:
			// The last delimiter may stand at the very end without a line end.
			if last, ok := ends(have[n:]); ok && last {
				return b.take(len(have), true)
			}
			return false, nil
		case err == bufio.ErrBufferFull:
			return false, nil
		case err != nil:
			return false, err
		}
		c := have[ahead-1]
		if c == '\n' {
			if last, ok := ends(have[n:]); ok {
				return b.take(ahead, last)
			}
			return false, nil
		}
		if strings.IndexByte("-\r \t", c) < 0 {
			return false, nil
		}
	}
}

func (b *body) take(n int, last bool) (bool, error) {
	b.last = last
	_, err := b.p.r.Discard(n)
	return true, err
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// cut is the error of a message that ends inside a part.
func cut(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: cut short", ErrSyntax)
	}
	return err
}
