package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Bolt is a [Store] in one bbolt file, for one process at a time.
type Bolt struct {
	path string
	opt  boltOptions
	db   *bolt.DB

	live sync.Mutex // held while t is used: its changes are seen only when they are on disk
	t    *boltTx    // what is in the journal and not in the file yet
	j    *journal

	mu      sync.Mutex
	idle    sync.Cond    // signalled when nobody writes any more
	queue   []*operation // waiting for the next transaction
	writing bool         // somebody writes, and will see to the queue
	closed  bool
	broken  error // set once, under live, when nobody knows what the disk holds
}

type boltOptions struct {
	maxSize int
	wait    time.Duration
	share   float64
	atLeast int64
	journal int64
}

// BoltOption changes how a file is opened.
type BoltOption func(*boltOptions) error

// WithMaxSize bounds the file; what does not fit is refused with [ErrFull]. Default: no bound but the
// disk. In bytes.
func WithMaxSize(n int) BoltOption {
	return func(o *boltOptions) error { o.maxSize = max(n, 0); return nil }
}

// WithLockWait sets how long to wait for a process that has the file open. Default 200 ms;
// negative = the shortest there is.
func WithLockWait(d time.Duration) BoltOption {
	return func(o *boltOptions) error {
		orDefault(&d, DefaultLockWait)
		o.wait = max(d, time.Nanosecond) // bbolt takes 0 for ever
		return nil
	}
}

// WithCompaction sets which share of a file of at least so many bytes must be free for it to be
// compacted when it is opened: a bbolt file never shrinks by itself. Default 0.5 of 8 MiB; a
// negative share = never.
func WithCompaction(share float64, atLeast int64) BoltOption {
	return func(o *boltOptions) error {
		if share != 0 {
			o.share = share
		}
		if atLeast > 0 {
			o.atLeast = atLeast
		}
		return nil
	}
}

// WithJournal sets the size of the journal, in bytes. Default 4 MiB; at least 4 KiB. A journal that
// is larger already stays so.
func WithJournal(n int64) BoltOption {
	return func(o *boltOptions) error {
		if n != 0 {
			o.journal = max(n, 4<<10)
		}
		return nil
	}
}

// OpenBolt opens the file at path, or makes it with mode 0600; its directory must exist. It
// migrates older files, and compacts a file that is mostly empty. [LockedError]: another process
// has it open; [CorruptError]: the file is damaged, it was left as it is; [ErrNewer].
//
// Beside the file lie path.journal, which belongs to it and must stay with it, and path.holder,
// which names the process that has it open.
func OpenBolt(path string, opts ...BoltOption) (*Bolt, error) {
	s := &Bolt{path: path, opt: boltOptions{wait: DefaultLockWait, share: 0.5, atLeast: 8 << 20, journal: 4 << 20}}
	s.idle.L = &s.mu
	for _, o := range opts {
		if err := o(&s.opt); err != nil {
			return nil, err
		}
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	if err := s.ready(); err != nil {
		_ = s.db.Close()
		if s.j != nil {
			_ = s.j.f.Close()
		}
		return nil, err
	}
	s.writeHolder()
	return s, nil
}

// ready brings the file to today's content, schema and size, and begins to write.
func (s *Bolt) ready() error {
	for _, step := range []func() error{s.sound, s.replay, s.migrate, s.compact, s.restore} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Bolt) boltOptions() *bolt.Options {
	return &bolt.Options{Timeout: s.opt.wait, FreelistType: bolt.FreelistMapType, MaxSize: s.opt.maxSize}
}

// open opens the file that is at path now. A process that compacts puts another file there while we
// wait for its lock; then what was opened is no longer that file.
func (s *Bolt) open() error {
	for range 10 {
		var file *os.File
		var opened fs.FileInfo
		o := s.boltOptions()
		o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			if err == nil {
				file = f
				opened, err = f.Stat()
			}
			return f, err
		}
		db, err := openFile(s.path, o)
		if err != nil {
			if file != nil {
				unlock(file) // bbolt does neither when it panics
				_ = file.Close()
			}
			return s.openError(err)
		}
		there, err := os.Stat(s.path)
		if err == nil && os.SameFile(opened, there) {
			s.db = db
			return nil
		}
		_ = db.Close()
	}
	return s.locked()
}

// openFile is bolt.Open, which panics on some damaged files.
func openFile(path string, o *bolt.Options) (db *bolt.DB, err error) {
	defer faults(&err)()
	return bolt.Open(path, 0o600, o)
}

func (s *Bolt) openError(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return s.locked()
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, ErrCorrupt):
		return &CorruptError{Part: "file"}
	case full(err):
		return ErrFull
	}
	return clean("opening the file", err)
}

// clean leaves the path out of an error of the operating system: it may name a person.
func clean(doing string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return fmt.Errorf("outbox: %s: %w", doing, err)
}

// sound refuses a file that lost its end: reading there would be a bus error.
func (s *Bolt) sound() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return clean("looking at the file", err)
	}
	return s.view(func(tx *bolt.Tx) error {
		if tx.Size() > info.Size() {
			return &CorruptError{Part: "file"}
		}
		return nil
	})
}

// full tells whether err means that the disk, the quota or the file's bound is used up.
func full(err error) bool {
	return errors.Is(err, berrors.ErrMaxSizeReached) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// faults turns panics of bbolt on damaged pages, and faults of the memory map, into ErrCorrupt. It
// is deferred twice: defer faults(&err)().
func faults(err *error) func() {
	was := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(was)
		if recover() != nil {
			*err = &CorruptError{Part: "file"}
		}
	}
}

// view reads what is in the file, without what is in the journal only.
func (s *Bolt) view(f func(*bolt.Tx) error) (err error) {
	defer faults(&err)()
	return s.db.View(f)
}

// read reads everything.
func (s *Bolt) read(f func(*boltTx) error) (err error) {
	s.live.Lock()
	defer s.live.Unlock()
	if s.t == nil {
		if s.broken != nil {
			return s.broken
		}
		return ErrClosed
	}
	defer faults(&err)()
	return f(s.t)
}

// Close finishes what is under way and closes the file.
func (s *Bolt) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	for s.writing {
		s.idle.Wait()
	}
	s.mu.Unlock()
	if was {
		return nil
	}
	s.live.Lock()
	defer s.live.Unlock()
	var err error
	if s.broken == nil && s.t.changed {
		if err = s.checkpoint(); errors.Is(err, ErrFull) {
			err = nil // the journal has it
		}
	}
	s.drop()
	_ = os.Remove(s.holderPath())
	if cerr := errors.Join(s.db.Close(), s.j.f.Close()); err == nil && cerr != nil {
		err = clean("closing the file", cerr)
	}
	return err
}

// holder is what the sidecar says.
type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

func (s *Bolt) holderPath() string { return s.path + ".holder" }

// writeHolder leaves our name for whoever finds the file locked. It is a courtesy: the lock does
// not depend on it, so a failure is none.
func (s *Bolt) writeHolder() {
	host, _ := os.Hostname()
	b, err := json.Marshal(holder{PID: os.Getpid(), Host: clip(host), Since: time.Now().Round(0)})
	if err != nil {
		return
	}
	tmp := s.holderPath() + ".new"
	if os.WriteFile(tmp, b, 0o600) == nil {
		_ = os.Rename(tmp, s.holderPath())
	}
}

func (s *Bolt) locked() error {
	f, err := os.Open(s.holderPath())
	if err != nil {
		return &LockedError{}
	}
	defer f.Close()
	var h holder
	b := make([]byte, 1024)
	n, _ := f.Read(b)
	if json.Unmarshal(b[:n], &h) != nil {
		return &LockedError{}
	}
	return &LockedError{PID: h.PID, Host: h.Host, Since: h.Since}
}

// syncDir makes a rename last.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
