package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// metaPage is what we know of a bbolt meta page: 16 bytes of page header, then magic, version, page
// size, flags, root (2 words), freelist, high-water mark, transaction, FNV-64a of all that.
type metaPage struct {
	at    int64
	pages uint64
	tx    uint64
	ok    bool
}

const (
	metaMagic = 0xED0CDAED
	metaSize  = 64
)

func metas(f *os.File) (out [2]metaPage, pageSize int64) {
	pageSize = int64(os.Getpagesize())
	for i := range out {
		b := make([]byte, metaSize)
		at := int64(i)*pageSize + 16
		if _, err := f.ReadAt(b, at); err != nil {
			continue
		}
		h := fnv.New64a()
		h.Write(b[:56])
		out[i] = metaPage{
			at: at, pages: binary.LittleEndian.Uint64(b[40:]), tx: binary.LittleEndian.Uint64(b[48:]),
			ok: binary.LittleEndian.Uint32(b) == metaMagic && binary.LittleEndian.Uint64(b[56:]) == h.Sum64(),
		}
	}
	return out, pageSize
}

// newestTx is the transaction that an opener would find.
func newestTx(path string) uint64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	var tx uint64
	m, _ := metas(f)
	for _, p := range m {
		if p.ok {
			tx = max(tx, p.tx)
		}
	}
	return tx
}

// tear does to the file what a loss of power may do when a commit was under way: the meta page
// that was being written is half there, or the pages beyond the old end are not. It returns what
// it did; "" = there was nothing that it may do.
func tear(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "commit"))
	if err != nil {
		return "", nil
	}
	_ = os.Remove(filepath.Join(dir, "commit"))
	var what string
	var tx, off uint64
	if _, err := fmt.Sscan(string(b), &what, &tx, &off); err != nil {
		return "", nil
	}
	switch {
	case what == "journaling":
		return tearJournal(dir, tx, int64(off))
	case what != "committing", tx == 0:
		return "", nil
	}
	f, err := os.OpenFile(filepath.Join(dir, "box.db"), os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	m, pageSize := metas(f)
	var old *metaPage
	torn := ""
	for i := range m {
		switch {
		case m[i].ok && m[i].tx == tx:
			old = &m[i]
		case m[i].ok && m[i].tx > tx:
			if _, err := f.WriteAt(make([]byte, metaSize/2), m[i].at+metaSize/2); err != nil {
				return "", err
			}
			torn = "meta page torn"
		}
	}
	if old == nil {
		return torn, nil
	}
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if end := int64(old.pages) * pageSize; info.Size() > end {
		if err := f.Truncate(end); err != nil {
			return "", err
		}
		if torn == "" {
			torn = "file cut"
		}
	}
	return torn, nil
}

// A record of the journal is magic, generation, length, checksum and body, at a multiple of 8.
const recordHead = 24

// recordAt returns generation and length of what looks like a record.
func recordAt(b []byte, off int64) (gen uint64, n int64) {
	if off+recordHead > int64(len(b)) || string(b[off:off+8]) != "outbxjnl" {
		return 0, 0
	}
	n = int64(binary.BigEndian.Uint32(b[off+16:])) + recordHead
	if off+n > int64(len(b)) {
		return 0, 0
	}
	return binary.BigEndian.Uint64(b[off+8:]), n
}

// journalEnd returns the generation of the record at the start of the journal, and where the last
// of that generation ends: there, or at the start, the next will be.
func journalEnd(dir string) (gen, end uint64) {
	b, err := os.ReadFile(filepath.Join(dir, "box.db.journal"))
	if err != nil {
		return 0, 0
	}
	gen, _ = recordAt(b, 0)
	var off int64
	for gen != 0 {
		g, n := recordAt(b, off)
		if g != gen {
			break
		}
		off += (n + 7) &^ 7
	}
	return gen, uint64(off)
}

// replayable tells whether an opener of the file would find something in its journal.
func replayable(dir string) (bool, error) {
	journal, end := journalEnd(dir)
	if end == 0 {
		return false, nil
	}
	db, err := bolt.Open(filepath.Join(dir, "box.db"), 0o600, &bolt.Options{ReadOnly: true, Timeout: 5 * time.Second})
	if err != nil {
		return false, err
	}
	var gen uint64
	err = db.View(func(tx *bolt.Tx) error {
		if m := tx.Bucket([]byte("meta")); m != nil {
			if v := m.Get([]byte("generation")); len(v) == 8 {
				gen = binary.BigEndian.Uint64(v)
			}
		}
		return nil
	})
	return gen == journal, errors.Join(err, db.Close())
}

// tearJournal spoils the second half of the record that was being written.
func tearJournal(dir string, gen uint64, off int64) (string, error) {
	path := filepath.Join(dir, "box.db.journal")
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	g, n := recordAt(b, off)
	if g != gen || n == 0 {
		off = 0
		if g, n = recordAt(b, 0); g <= gen {
			return "", nil
		}
	}
	half := off + n/2
	spoilt := b[half : off+n]
	for i := range spoilt {
		spoilt[i] ^= 0xff
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	_, err = f.WriteAt(spoilt, half)
	return "journal torn", errors.Join(err, f.Close())
}
