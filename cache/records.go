package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// DefaultLockWait is how long OpenRecords waits for a process that has the file open.
	DefaultLockWait = 200 * time.Millisecond
	// purgeStep bounds the records that one transaction of Purge removes, so that writers never
	// wait long.
	purgeStep = 500
	// batchDelay is how long a lone Save waits for others to share its sync of the disk.
	batchDelay = 2 * time.Millisecond
)

var (
	bktRecords = []byte("records") // id -> expiry, record
	bktExpiry  = []byte("expiry")  // expiry, id -> nothing
	bktMeta    = []byte("meta")
	keySchema  = []byte("schema")
	schema     = []byte{1}
)

// Record is one record for [Records.SaveAll].
type Record struct {
	ID      [32]byte
	Data    []byte
	Expires time.Time
}

// Records is a [RecordStore] in one bbolt file, for one process at a time. Keep the file on a disk
// of this computer: locks and syncs of network file systems cannot be relied on.
type Records struct {
	path   string
	db     *bolt.DB
	closed atomic.Bool
}

type recordsOptions struct {
	maxSize int
	wait    time.Duration
}

// RecordsOption changes how a file is opened.
type RecordsOption func(*recordsOptions) error

// WithMaxSize bounds the file, in bytes; what does not fit is refused with [ErrFull]. Default and 0:
// no bound but the disk.
func WithMaxSize(n int) RecordsOption {
	return func(o *recordsOptions) error { o.maxSize = max(n, 0); return nil }
}

// WithLockWait sets how long to wait for a process that has the file open; 0 = [DefaultLockWait],
// negative = the shortest there is.
func WithLockWait(d time.Duration) RecordsOption {
	return func(o *recordsOptions) error {
		if d == 0 {
			d = DefaultLockWait
		}
		o.wait = max(d, time.Nanosecond) // bbolt takes 0 for ever
		return nil
	}
}

// OpenRecords opens the file at path, or makes it with mode 0600; its directory must exist.
// [ErrInUse]: another process has it open; [ErrCorrupt]: it is no such file, or damaged, and was
// left as it is; [ErrVersion]: a newer program made it.
func OpenRecords(path string, opts ...RecordsOption) (*Records, error) {
	o := recordsOptions{wait: DefaultLockWait}
	for _, f := range opts {
		if err := f(&o); err != nil {
			return nil, err
		}
	}
	s := &Records{path: path}
	if err := s.open(o); err != nil {
		return nil, err
	}
	if err := s.ready(); err != nil {
		_ = s.db.Close()
		return nil, err
	}
	s.db.MaxBatchDelay = batchDelay
	return s, nil
}

func (s *Records) open(o recordsOptions) (err error) {
	var file *os.File
	b := &bolt.Options{Timeout: o.wait, FreelistType: bolt.FreelistMapType, MaxSize: o.maxSize}
	b.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, mode)
		file = f
		return f, err
	}
	s.db, err = openBolt(s.path, b)
	if err != nil && file != nil {
		unlockFile(file) // bbolt does neither when it panics
		_ = file.Close()
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return ErrInUse
	}
	return trouble("opening the file", err)
}

// openBolt is bolt.Open, which panics on some damaged files.
func openBolt(path string, o *bolt.Options) (db *bolt.DB, err error) {
	defer faults(&err)()
	return bolt.Open(path, fileMode, o)
}

// ready checks what the file holds, and fills an empty one. A file that is as it should be is not
// written to.
func (s *Records) ready() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return clean("looking at the file", err)
	}
	empty := false
	err = s.view(context.Background(), func(tx *bolt.Tx) error {
		if tx.Size() > info.Size() {
			return ErrCorrupt // it lost its end: reading there would be a bus error
		}
		m := tx.Bucket(bktMeta)
		if m == nil {
			empty = true
			return nil
		}
		switch v := m.Get(keySchema); {
		case len(v) != 1 || tx.Bucket(bktRecords) == nil || tx.Bucket(bktExpiry) == nil:
			return ErrCorrupt
		case v[0] > schema[0]:
			return ErrVersion
		}
		return nil
	})
	if err != nil || !empty {
		return err
	}
	return s.update(context.Background(), func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bktRecords, bktExpiry, bktMeta} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bktMeta).Put(keySchema, schema)
	})
}

// Load implements [RecordStore].
func (s *Records) Load(ctx context.Context, id [32]byte) (record []byte, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		if v := tx.Bucket(bktRecords).Get(id[:]); len(v) >= stampSize {
			record = append([]byte{}, v[stampSize:]...)
		}
		return nil
	})
	return record, err
}

// Save implements [RecordStore]. Saves at the same time share one sync of the disk.
func (s *Records) Save(ctx context.Context, id [32]byte, record []byte, expires time.Time) error {
	if len(record) > MaxRecord {
		return ErrTooLarge
	}
	return s.write(ctx, s.db.Batch, func(tx *bolt.Tx) error { return putRecord(tx, Record{id, record, expires}) })
}

// SaveAll is Save of many records in one transaction: all of them or none.
func (s *Records) SaveAll(ctx context.Context, records []Record) error {
	for _, r := range records {
		if len(r.Data) > MaxRecord {
			return ErrTooLarge
		}
	}
	return s.update(ctx, func(tx *bolt.Tx) error {
		for _, r := range records {
			if err := putRecord(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func putRecord(tx *bolt.Tx, r Record) error {
	if err := dropRecord(tx, r.ID[:]); err != nil {
		return err
	}
	at := stamp(r.Expires)
	if err := tx.Bucket(bktExpiry).Put(append(at, r.ID[:]...), nil); err != nil {
		return err
	}
	return tx.Bucket(bktRecords).Put(r.ID[:], append(at[:stampSize:stampSize], r.Data...))
}

func dropRecord(tx *bolt.Tx, id []byte) error {
	old := tx.Bucket(bktRecords).Get(id)
	if old == nil {
		return nil
	}
	if len(old) >= stampSize {
		if err := tx.Bucket(bktExpiry).Delete(append(old[:stampSize:stampSize], id...)); err != nil {
			return err
		}
	}
	return tx.Bucket(bktRecords).Delete(id)
}

// Remove implements [RecordStore].
func (s *Records) Remove(ctx context.Context, id [32]byte) error {
	return s.write(ctx, s.db.Batch, func(tx *bolt.Tx) error { return dropRecord(tx, id[:]) })
}

// Purge implements [RecordStore], in many small transactions.
func (s *Records) Purge(ctx context.Context, before time.Time) (n int, err error) {
	limit := string(stamp(before))
	for {
		var ids [][]byte
		err := s.view(ctx, func(tx *bolt.Tx) error {
			c := tx.Bucket(bktExpiry).Cursor()
			for k, _ := c.First(); len(k) > stampSize && string(k[:stampSize]) < limit && len(ids) < purgeStep; k, _ = c.Next() {
				ids = append(ids, append([]byte{}, k...))
			}
			return nil
		})
		if err != nil || len(ids) == 0 {
			return n, err
		}
		gone := 0
		err = s.update(ctx, func(tx *bolt.Tx) error {
			for _, k := range ids {
				v := tx.Bucket(bktRecords).Get(k[stampSize:])
				if len(v) < stampSize || string(v[:stampSize]) != string(k[:stampSize]) {
					if err := tx.Bucket(bktExpiry).Delete(k); err != nil { // saved anew since, or an entry without a record
						return err
					}
					continue
				}
				if err := dropRecord(tx, k[stampSize:]); err != nil {
					return err
				}
				gone++
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		n += gone
	}
}

// Each implements [RecordStore].
func (s *Records) Each(ctx context.Context, f func(id [32]byte, record []byte) error) error {
	return s.view(ctx, func(tx *bolt.Tx) error {
		return tx.Bucket(bktRecords).ForEach(func(k, v []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if len(k) != 32 || len(v) < stampSize {
				return nil
			}
			return f([32]byte(k), v[stampSize:])
		})
	})
}

// Close implements [RecordStore]. It waits for what is under way.
func (s *Records) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return trouble("closing the file", s.db.Close())
}

func (s *Records) view(ctx context.Context, f func(*bolt.Tx) error) (err error) {
	if err := s.usable(ctx); err != nil {
		return err
	}
	defer func() { err = trouble("reading", err) }()
	defer faults(&err)()
	return s.db.View(f)
}

func (s *Records) update(ctx context.Context, f func(*bolt.Tx) error) error {
	return s.write(ctx, s.db.Update, f)
}

func (s *Records) write(ctx context.Context, how func(func(*bolt.Tx) error) error, f func(*bolt.Tx) error) (err error) {
	if err := s.usable(ctx); err != nil {
		return err
	}
	defer func() { err = trouble("writing", err) }()
	defer faults(&err)()
	return how(func(tx *bolt.Tx) (err error) {
		defer faults(&err)() // a batch runs in a goroutine of its own
		return f(tx)
	})
}

func (s *Records) usable(ctx context.Context) error {
	if s.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

// trouble turns errors of bbolt and of the operating system into those of this package, without
// the path.
func trouble(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, berrors.ErrDatabaseNotOpen), errors.Is(err, berrors.ErrTxClosed):
		return ErrClosed
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return ErrCorrupt
	case errors.Is(err, berrors.ErrMaxSizeReached), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return ErrFull
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return clean(doing, err)
	}
	return err
}

// faults turns panics of bbolt on damaged pages, and faults of the memory map, into ErrCorrupt. It
// is deferred twice: defer faults(&err)().
func faults(err *error) func() {
	was := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(was)
		if recover() != nil {
			*err = ErrCorrupt
		}
	}
}

const stampSize = 12

// stamp writes a time so that bytes compare as times do.
func stamp(t time.Time) []byte {
	b := make([]byte, stampSize, stampSize+32)
	binary.BigEndian.PutUint64(b, uint64(t.Unix())^1<<63)
	binary.BigEndian.PutUint32(b[8:], uint32(t.Nanosecond()))
	return b
}

func unstamp(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(b)^1<<63), int64(binary.BigEndian.Uint32(b[8:])))
}
