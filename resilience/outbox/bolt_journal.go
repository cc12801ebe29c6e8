package outbox

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
)

// A commit of bbolt costs two syncs of scattered pages. So a write goes first, as a list of what it
// changes, into a journal that was filled with zeros once and is only overwritten: one sync of a
// few contiguous blocks. The changes themselves stay in a bbolt transaction that is committed when
// the journal is full, and at the end. A process that dies leaves the journal to the next one.
//
// The journal's generation stands in the file and in each record: a commit raises it, in the same
// transaction, and so makes all records worthless at that instant.
type journal struct {
	f    *os.File
	size int64
	off  int64
	gen  uint64
}

// A record is: magic, generation, length, CRC-32C of generation, length and body, body; it begins
// at a multiple of 8.
const (
	journalMagic = "outbxjnl"
	journalHead  = 8 + 8 + 4 + 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	keyGen     = []byte("generation")
)

// openJournal opens the journal beside the file, or makes it. Its blocks are written before they
// are used, so that a sync has no sizes and no blocks to record.
func openJournal(path string, size int64) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() < size {
		_, err = f.WriteAt(make([]byte, size-info.Size()), info.Size())
		if err == nil {
			err = f.Sync()
		}
		if err == nil {
			err = syncDir(path)
		}
	} else if err == nil {
		size = info.Size()
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &journal{f: f, size: size}, nil
}

func align(n int64) int64 { return (n + 7) &^ 7 }

// fits tells whether a body has room.
func (j *journal) fits(body int) bool { return j.off+align(journalHead+int64(body)) <= j.size }

// append writes one record and syncs it.
func (j *journal) append(body []byte) error {
	b := make([]byte, 0, journalHead+len(body))
	b = append(b, journalMagic...)
	b = binary.BigEndian.AppendUint64(b, j.gen)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, crc32.Update(crc32.Checksum(b[8:20], castagnoli), castagnoli, body))
	b = append(b, body...)
	fail.Point("journal.before")
	if _, err := j.f.WriteAt(b, j.off); err != nil {
		return err
	}
	fail.Point("journal.written")
	if err := datasync(j.f); err != nil {
		return err
	}
	fail.Point("journal.after")
	j.off += align(int64(len(b)))
	return nil
}

// load returns the bodies of the records of generation gen and sets the place of the next. Only
// the last record can be half there, for each was synced before the next was begun: one that is
// damaged before others is damage, and then nothing is done.
func (j *journal) load(gen uint64) ([][]byte, error) {
	j.gen, j.off = gen, 0
	all := make([]byte, j.size)
	if _, err := j.f.ReadAt(all, 0); err != nil {
		return nil, err
	}
	var out [][]byte
	for {
		body, n := record0(all[j.off:], gen)
		if n == 0 {
			break
		}
		out = append(out, body)
		j.off += n
	}
	for off := j.off; off < j.size; off += 8 {
		if rest := all[off:]; bytes.HasPrefix(rest, []byte(journalMagic)) {
			if _, n := record0(rest, gen); n != 0 {
				return nil, &CorruptError{Part: "journal"}
			}
		}
	}
	return out, nil
}

// record0 reads the record at the start of b; n is what it occupies, 0 = there is none.
func record0(b []byte, gen uint64) (body []byte, n int64) {
	if len(b) < journalHead || string(b[:8]) != journalMagic || binary.BigEndian.Uint64(b[8:]) != gen {
		return nil, 0
	}
	size := int(binary.BigEndian.Uint32(b[16:]))
	if size > len(b)-journalHead {
		return nil, 0
	}
	body = b[journalHead:][:size]
	if crc32.Update(crc32.Checksum(b[8:20], castagnoli), castagnoli, body) != binary.BigEndian.Uint32(b[20:]) {
		return nil, 0
	}
	return body, min(align(int64(journalHead+size)), int64(len(b)))
}

// A body is a list of changes: what, bucket, lengths, key, value.
const (
	redoPut = 'p'
	redoDel = 'd'
	redoSeq = 's'
)

func appendRedo(b []byte, what byte, bucket, k, v []byte) []byte {
	b = append(b, what, bucketNumber(bucket))
	b = binary.BigEndian.AppendUint32(b, uint32(len(k)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	b = append(b, k...)
	return append(b, v...)
}

func bucketNumber(name []byte) byte {
	for i, b := range buckets {
		if bytes.Equal(b, name) {
			return byte(i)
		}
	}
	return 0xff
}

// redo applies a body. Doing it twice is doing it once.
func redo(tx *bolt.Tx, body []byte) error {
	bad := &CorruptError{Part: "journal"}
	for len(body) > 0 {
		if len(body) < 10 || int(body[1]) >= len(buckets) {
			return bad
		}
		b := tx.Bucket(buckets[body[1]])
		nk, nv := uint64(binary.BigEndian.Uint32(body[2:])), uint64(binary.BigEndian.Uint32(body[6:]))
		if b == nil || 10+nk+nv > uint64(len(body)) {
			return bad
		}
		k, v := body[10:10+nk], body[10+nk:10+nk+nv]
		var err error
		switch {
		case body[0] == redoPut:
			err = b.Put(k, v)
		case body[0] == redoDel:
			err = b.Delete(k)
		case body[0] == redoSeq && len(v) == 8:
			err = b.SetSequence(binary.BigEndian.Uint64(v))
		default:
			return bad
		}
		if err != nil {
			return err
		}
		body = body[10+nk+nv:]
	}
	return nil
}
