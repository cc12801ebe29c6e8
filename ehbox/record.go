package ehbox

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

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

// maxFields of a record: version, two messages, their keys and all attachments.
const maxFields = 1000

// encode writes the record as a list of fields, each behind its length. It is the same each time for the same content.
func (r *record) encode() ([]byte, error) {
	out := []byte{recordVersion}
	out, err := appendRequest(out, r.plain)
	if err != nil || r.sealed == nil {
		return out, err
	}
	out = appendField(out, []byte(r.key))
	return appendRequest(out, r.sealed)
}

// digest names the content of the letter, whatever it is sealed for.
func (r *record) digest() (string, error) {
	b, err := (&record{plain: r.plain}).encode()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

func appendField(out, b []byte) []byte {
	return append(binary.AppendUvarint(out, uint64(len(b))), b...)
}

func appendRequest(out []byte, r *SendMessageRequest) ([]byte, error) {
	xml, err := encode(nsPublication, send.request, r, (*SendMessageRequest).wire)
	if err != nil {
		return nil, err
	}
	out = appendField(out, xml)
	out = binary.AppendUvarint(out, uint64(len(r.Parts)))
	for i := range r.Parts {
		data, err := r.Parts[i].bytes()
		if err != nil {
			return nil, err
		}
		out = appendField(appendField(appendField(out, []byte(r.Parts[i].ID)), []byte(r.Parts[i].Type)), data)
	}
	return out, nil
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
	if n > maxFields {
		f.bad = true
	}
	for i := uint64(0); i < n && !f.bad; i++ {
		id, typ := string(f.next()), string(f.next())
		r.Parts = append(r.Parts, Part(mime.Bytes(id, typ, f.next())))
	}
	return r
}
