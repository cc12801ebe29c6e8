package cache

import (
	"context"
	"errors"
	"time"
)

// MaxRecord bounds a record of a [RecordStore], in bytes.
const MaxRecord = 1 << 20

// What a record store may answer, beside [ErrKey], [ErrCorrupt], [ErrVersion] and [ErrTooLarge];
// for errors.Is.
var (
	// ErrClosed reports a store that was closed.
	ErrClosed = errors.New("cache: closed")
	// ErrInUse reports a file that another process has open. Nothing was read or written.
	ErrInUse = errors.New("cache: another process has the file open")
	// ErrBusy reports more writes waiting than are allowed to.
	ErrBusy = errors.New("cache: too many writes are waiting")
	// ErrFull reports a disk, or a database, without room. What was stored before is still there.
	ErrFull = errors.New("cache: no room left")
)

// RecordStore keeps sealed records under opaque ids. It sees neither whom a record is about nor
// what it says: [Answers] makes the ids with a key and seals the records above it. The file of
// [OpenRecords] is one, package postgres has another; the test suite for more is package
// cache/cachetest.
//
// A store is safe for concurrent use. A method whose ctx has ended before it begins changes nothing
// and returns its error; a write that is under way may still be finished.
type RecordStore interface {
	// Load returns the record of that id, which belongs to the caller, or nil and nil when
	// there is none. Whether a record whose time is over but that no Purge took is still
	// returned is the store's choice.
	Load(ctx context.Context, id [32]byte) ([]byte, error)
	// Save puts a record in place of an earlier one of that id, whole or not at all, and has it
	// on disk when it returns nil. It keeps no hold of record. Beyond MaxRecord it fails with
	// ErrTooLarge.
	Save(ctx context.Context, id [32]byte, record []byte, expires time.Time) error
	// Remove removes the record of that id; that there is none is no error.
	Remove(ctx context.Context, id [32]byte) error
	// Purge removes the records that expire before that time and returns their number. It may
	// do part of it and return what it did, together with an error or not; it holds up others
	// for short moments only.
	Purge(ctx context.Context, before time.Time) (int, error)
	// Each calls f for every record, in no order, until f fails, and returns what f returned.
	// f may not keep or change the record, nor call the store.
	Each(ctx context.Context, f func(id [32]byte, record []byte) error) error
	// Close ends the use of the store. Later calls fail with ErrClosed; a second Close does
	// nothing.
	Close() error
}
