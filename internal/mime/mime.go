package mime

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"strings"
)

// What can be wrong. Every error of this package wraps one of them, or is that of a part's source or sink.
var (
	// ErrMedia: a media type that is not multipart/related with a usable boundary.
	ErrMedia = errors.New("mime: not multipart/related")
	// ErrSyntax: delimiters or headers are not as RFC 2046 says, or the message is cut short.
	ErrSyntax = errors.New("mime: not well formed")
	// ErrLimit: a bound of Limits was exceeded.
	ErrLimit = errors.New("mime: larger than allowed")
	// ErrPart: a part that cannot be written: its id or type is unusable, or its source is not as long as it said.
	ErrPart = errors.New("mime: part not usable")
)

// Part is one attachment.
type Part struct {
	ID   string // Content-ID, without angle brackets
	Type string // Content-Type
	Size int64  // of the content, in bytes
	// Open gives the content from its start. It is called once for every time that the message is written. Parts that
	// Read handed to a Spill have none.
	Open func() (io.ReadCloser, error)
}

// Bytes is a part whose content is in memory. data must not be changed while the part is in use.
func Bytes(id, typ string, data []byte) Part {
	return Part{ID: id, Type: typ, Size: int64(len(data)), Open: func() (io.ReadCloser, error) {
		return &memory{Reader: bytes.NewReader(data), data: data}, nil
	}}
}

type memory struct {
	*bytes.Reader
	data []byte
}

func (*memory) Close() error { return nil }

// Content returns the whole content. Of a part in memory, which those of Read without Spill are, it is the memory itself.
func (p *Part) Content() ([]byte, error) {
	if p.Open == nil {
		return nil, ErrPart
	}
	r, err := p.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if m, ok := r.(*memory); ok {
		return m.data, nil
	}
	data, err := io.ReadAll(io.LimitReader(r, p.Size+1))
	if err == nil && int64(len(data)) != p.Size {
		err = ErrPart
	}
	return data, err
}

// Ref is the reference to a part in XML: its Content-ID as a cid URL (RFC 2392).
func Ref(id string) string {
	const plain = "-._~!$&'()*+,;=:@" // of a path segment, beside letters and digits
	var b strings.Builder
	b.WriteString("cid:")
	for i := range len(id) {
		c := id[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		const hex = "0123456789ABCDEF"
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// ID is the Content-ID that a reference means: "cid:" taken off and percent escapes resolved; ok is false for anything
// else.
func ID(ref string) (id string, ok bool) {
	ref = strings.Trim(ref, " \t\r\n")
	if len(ref) < 5 || !strings.EqualFold(ref[:4], "cid:") {
		return "", false
	}
	id, err := url.PathUnescape(ref[4:])
	if err != nil {
		return "", false
	}
	return bare(id), true
}

// bare takes the angle brackets off a Content-ID.
func bare(id string) string {
	id = strings.Trim(id, " \t")
	if len(id) >= 2 && id[0] == '<' && id[len(id)-1] == '>' {
		return id[1 : len(id)-1]
	}
	return id
}
