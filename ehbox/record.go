package ehbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"

	"github.com/ehealth-continuity/ehealth/internal/mime"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// record is a letter as it lies in the outbox: in clear, so that it can be sealed anew, and sealed for the keys that were
// known when it was queued. The outbox encrypts both.
type record struct {
	plain  *SendMessageRequest
	key    string              // Keyring.Key of sealed
	sealed *SendMessageRequest // nil = not sealed yet, or not to be
}

const recordVersion = 1

var errRecord = reason("ehbox: queued letter cannot be read")

// maxParts bounds the attachments of one message in a record.
const maxParts = 1000

// write writes the record as a list of fields, each behind its length. It is the same each time for the same content.
func (r *record) write(w io.Writer) error {
	f := &fieldWriter{w: w}
	f.bytes([]byte{recordVersion})
	f.request(r.plain)
	if r.sealed != nil {
		f.field([]byte(r.key))
		f.request(r.sealed)
	}
	return f.err
}

// encode returns what write writes.
func (r *record) encode() ([]byte, error) {
	size := 64 << 10
	for _, m := range []*SendMessageRequest{r.plain, r.sealed} {
		if m != nil {
			size += m.size()
		}
	}
	var b bytes.Buffer
	b.Grow(size)
	if err := r.write(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// size is about how long a message is when it is written.
func (r *SendMessageRequest) size() int {
	n := 0
	for _, d := range r.inline() {
		n += d.Len() * 4 / 3
	}
	for _, p := range r.Parts {
		n += int(p.Size)
	}
	return n
}

// digest names the content of the letter, whatever it is sealed for.
func (r *record) digest() (string, error) {
	h := sha256.New()
	if err := (&record{plain: r.plain}).write(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// fieldWriter keeps the first error.
type fieldWriter struct {
	w   io.Writer
	err error
}

func (f *fieldWriter) bytes(b []byte) {
	if f.err == nil {
		_, f.err = f.w.Write(b)
	}
}

func (f *fieldWriter) number(n int) { f.bytes(binary.AppendUvarint(nil, uint64(n))) }

func (f *fieldWriter) field(b []byte) {
	f.number(len(b))
	f.bytes(b)
}

func (f *fieldWriter) request(r *SendMessageRequest) {
	xml, err := encode(nsPublication, send.request, r, (*SendMessageRequest).wire)
	if err != nil && f.err == nil {
		f.err = err
	}
	f.field(xml)
	f.number(len(r.Parts))
	for i := range r.Parts {
		data, err := r.Parts[i].bytes()
		if err != nil && f.err == nil {
			f.err = err
		}
		f.field([]byte(r.Parts[i].ID))
		f.field([]byte(r.Parts[i].Type))
		f.field(data)
	}
}

func decodeRecord(b []byte) (*record, error) {
	if len(b) == 0 || b[0] != recordVersion {
		return nil, errRecord
	}
	f := &fields{rest: b[1:]}
	r := &record{plain: f.request()}
	if len(f.rest) > 0 && !f.bad {
		r.key = string(f.next())
		r.sealed = f.request()
	}
	if f.bad || len(f.rest) > 0 {
		return nil, errRecord
	}
	return r, nil
}

// fields reads a list of fields; once it failed it stays so.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) number() uint64 {
	n, k := binary.Uvarint(f.rest)
	if k <= 0 || f.bad {
		f.bad = true
		return 0
	}
	f.rest = f.rest[k:]
	return n
}

func (f *fields) next() []byte {
	n := f.number()
	if n > uint64(len(f.rest)) {
		f.bad = true
	}
	if f.bad {
		return nil
	}
	b := f.rest[:n:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) request() *SendMessageRequest {
	r := new(SendMessageRequest)
	root, err := xmltree.Parse(f.next(), xmltree.Limits{})
	if err != nil {
		f.bad = true
		return r
	}
	if dev, err := decode(root, nsPublication, send.request, r, (*SendMessageRequest).wire); err != nil || len(dev) > 0 {
		f.bad = true
	}
	n := f.number()
	if n > maxParts {
		f.bad = true
	}
	for i := uint64(0); i < n && !f.bad; i++ {
		id, typ := string(f.next()), string(f.next())
		r.Parts = append(r.Parts, Part(mime.Bytes(id, typ, f.next())))
	}
	return r
}
