package main

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
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
	var tx uint64
	if _, err := fmt.Sscan(string(b), &what, &tx); err != nil || what != "committing" || tx == 0 {
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
