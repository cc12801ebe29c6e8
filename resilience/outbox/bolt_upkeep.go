package outbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
)

// schema is the layout of the file. 1 had only given buckets and looked through all items; 2 has
// the derived ones and the counters.
const schema = 2

var keySchema = []byte("schema")

// generation is the one of the journal's records that are not in the file; 0 = the file is not of
// today's schema, and no record is.
func generation(tx *bolt.Tx) uint64 {
	m := tx.Bucket(bktMeta)
	if m == nil {
		return 0
	}
	v, g := m.Get(keySchema), m.Get(keyGen)
	if len(v) != 8 || binary.BigEndian.Uint64(v) != schema || len(g) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(g)
}

// replay brings what a process left in the journal into the file.
func (s *Bolt) replay() (err error) {
	if s.j, err = openJournal(s.path+".journal", s.opt.journal); err != nil {
		return s.openError(err)
	}
	defer faults(&err)()
	tx, err := s.db.Begin(true)
	if err != nil {
		return clean("replaying the journal", err)
	}
	defer func() { _ = tx.Rollback() }() // no-op after a commit
	gen := generation(tx)
	if gen == 0 {
		return nil
	}
	bodies, err := s.j.load(gen)
	if errors.Is(err, ErrCorrupt) {
		return err
	}
	if err != nil {
		return clean("reading the journal", err)
	}
	if len(bodies) == 0 {
		return nil
	}
	for _, body := range bodies {
		if err := redo(tx, body); err != nil {
			return err
		}
	}
	if err := tx.Bucket(bktMeta).Put(keyGen, be64(gen+1)); err != nil {
		return clean("replaying the journal", err)
	}
	fail.Point("replay.before")
	if err := tx.Commit(); err != nil {
		if full(err) {
			return nil // it stays in the journal, and in memory
		}
		return clean("replaying the journal", err)
	}
	fail.Point("replay.after")
	return nil
}

// migrate makes the buckets of a new file, or brings an older one to today's schema, in one
// transaction: a process that dies on the way leaves the old file.
func (s *Bolt) migrate() (err error) {
	defer faults(&err)()
	tx, err := s.db.Begin(true)
	if err != nil {
		return clean("beginning a migration", err)
	}
	defer func() { _ = tx.Rollback() }() // no-op after a commit
	t := newBoltTx(tx)
	was := uint64(schema)
	if m := tx.Bucket(bktMeta); m != nil {
		v := m.Get(keySchema)
		if len(v) != 8 {
			return &CorruptError{Part: "file"}
		}
		was = binary.BigEndian.Uint64(v)
		if was == schema {
			return nil
		}
	} else if k, _ := tx.Cursor().First(); k != nil {
		return &CorruptError{Part: "file"} // somebody else's
	}
	if was > schema {
		return ErrNewer
	}
	fail.Point("migrate.before")
	for _, b := range buckets {
		if _, err := tx.CreateBucketIfNotExists(b); err != nil {
			return clean("migrating", err)
		}
	}
	if was < 2 {
		if err := t.derive(); err != nil {
			return clean("migrating", err)
		}
	}
	if t.b(bktMeta).Get(keyGen) == nil {
		if err := t.put(bktMeta, keyGen, be64(1)); err != nil {
			return clean("migrating", err)
		}
	}
	if err := errors.Join(t.flush(), t.put(bktMeta, keySchema, be64(schema))); err != nil {
		return clean("migrating", err)
	}
	fail.Point("migrate.derived")
	if err := tx.Commit(); err != nil {
		if full(err) {
			return ErrFull
		}
		return clean("migrating", err)
	}
	fail.Point("migrate.after")
	return nil
}

// derive makes the derived buckets and the counters anew from the items. Leases are kept.
func (t *boltTx) derive() error {
	leases := map[Line]lineRec{}
	var seq, epoch uint64
	if b := t.Bucket(bktLine); b != nil {
		seq, epoch = b.Sequence(), t.Bucket(bktDue).Sequence()
		for c, k, _ := first(b); k != nil; k, _ = c.Next() {
			if len(k) == 16 {
				r, _ := t.line(Line(k))
				r.due = nil
				leases[Line(k)] = r
			}
		}
	}
	t.dirty, t.large = true, true
	clear(t.bkt)
	for _, name := range [][]byte{bktLine, bktDue, bktSettled, bktExpiry} {
		if err := t.DeleteBucket(name); err != nil {
			return err
		}
		if _, err := t.CreateBucket(name); err != nil {
			return err
		}
	}
	clear(t.counts)
	if err := t.clearCounts(); err != nil {
		return err
	}
	lines, last, err := t.fileAll()
	if err != nil {
		return err
	}
	if err := errors.Join(t.b(bktLine).SetSequence(max(seq, last)), t.b(bktDue).SetSequence(epoch)); err != nil {
		return err
	}
	for l := range lines {
		if err := t.settle(l, leases[l]); err != nil {
			return err
		}
	}
	return nil
}

func first(b *bolt.Bucket) (*bolt.Cursor, []byte, []byte) {
	c := b.Cursor()
	k, v := c.First()
	return c, k, v
}

func (t *boltTx) clearCounts() error {
	var old [][]byte
	c := t.b(bktMeta).Cursor()
	for k, _ := c.Seek([]byte(countPrefix)); bytes.HasPrefix(k, []byte(countPrefix)); k, _ = c.Next() {
		old = append(old, bytes.Clone(k))
	}
	for _, k := range old {
		if err := t.del(bktMeta, k); err != nil {
			return err
		}
	}
	return nil
}

// fileAll files every item, and returns the lines with open ones and the last place given. An
// item without a readable header is left for whoever loads it.
func (t *boltTx) fileAll() (map[Line]bool, uint64, error) {
	lines := map[Line]bool{}
	var last uint64
	for c, k, v := first(t.b(bktItem)); k != nil; k, v = c.Next() {
		if len(k) != 16 {
			continue
		}
		e, err := parseHeader(ID(k), v)
		if err != nil {
			continue
		}
		last = max(last, e.Seq)
		if err := t.file(&e, true); err != nil {
			return nil, 0, err
		}
		if e.State.Open() {
			lines[e.Line] = true
		}
	}
	return lines, last, nil
}

// compact copies a file that is mostly empty into a new one, which then takes its place. The new
// file is locked before it is there to be found.
func (s *Bolt) compact() error {
	tmp := s.path + ".compact"
	_ = os.Remove(tmp) // of a process that died on the way
	if s.opt.share < 0 {
		return nil
	}
	var used int64 // the file is longer: bbolt lets it grow in large steps
	if err := s.view(func(tx *bolt.Tx) error { used = tx.Size(); return nil }); err != nil {
		return err
	}
	free := int64(s.db.Stats().FreePageN) * int64(s.db.Info().PageSize)
	if used < s.opt.atLeast || float64(free) < s.opt.share*float64(used) {
		return nil
	}
	db, err := s.copyTo(tmp)
	if err != nil {
		_ = os.Remove(tmp)
		if full(err) || errors.Is(err, ErrCorrupt) {
			return nil // the file is good as it is
		}
		return clean("compacting", err)
	}
	fail.Point("compact.synced")
	if err := os.Rename(tmp, s.path); err != nil {
		_ = db.Close()
		return clean("compacting", err)
	}
	fail.Point("compact.renamed")
	old := s.db
	s.db = db
	if err := errors.Join(syncDir(s.path), old.Close()); err != nil {
		return clean("compacting", err)
	}
	fail.Point("compact.after")
	return nil
}

// copyTo fills a new file and syncs it once, at the end.
func (s *Bolt) copyTo(path string) (db *bolt.DB, err error) {
	defer faults(&err)()
	o := s.boltOptions()
	o.NoSync = true
	if db, err = bolt.Open(path, 0o600, o); err != nil {
		return nil, err
	}
	fail.Point("compact.begun")
	if err := bolt.Compact(db, s.db, 1<<20); err != nil {
		_ = db.Close()
		return nil, err
	}
	fail.Point("compact.copied")
	db.NoSync = false
	if err := db.Sync(); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// Check implements [Checker]: it compares the derived buckets with what they are derived from, and
// lets bbolt look at the pages of the file.
func (s *Bolt) Check(context.Context) error {
	err := s.view(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			if err != nil {
				return &CorruptError{Part: "file"}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.read(func(t *boltTx) error {
		n := map[string]int{}
		for c, k, v := first(t.b(bktItem)); k != nil; k, v = c.Next() {
			e, err := parseHeader(ID(k), v)
			if err != nil {
				continue
			}
			n[countKey(e.Kind, e.State)]++
			if !t.filed(&e) {
				return &CorruptError{Part: "index"}
			}
		}
		for c, k, v := first(t.b(bktMeta)); k != nil; k, v = c.Next() {
			if bytes.HasPrefix(k, []byte(countPrefix)) {
				if int(binary.BigEndian.Uint64(v)) != n[string(k)] {
					return &CorruptError{Part: "index"}
				}
				delete(n, string(k))
			}
		}
		if len(n) != 0 || !t.linesAgree() {
			return &CorruptError{Part: "index"}
		}
		return nil
	})
}

// filed tells whether e is where the derived buckets should have it.
func (t *boltTx) filed(e *Entry) bool {
	if e.State.Open() {
		if !bytes.Equal(t.b(bktLine).Get(seqKey(e.Line, e.Seq)), e.ID[:]) {
			return false
		}
	} else if t.b(bktSettled).Get(settledKey(e.State, e.Changed, e.ID)) == nil {
		return false
	}
	return e.Expires.IsZero() || !e.State.Waiting() || t.b(bktExpiry).Get(expiryKey(e.Expires, e.ID)) != nil
}

// linesAgree compares each line's record with its head and with the due bucket.
func (t *boltTx) linesAgree() bool {
	lines := 0
	for c, k, _ := first(t.b(bktLine)); k != nil; k, _ = c.Next() {
		if len(k) != 16 {
			continue
		}
		lines++
		rec, ok := t.line(Line(k))
		head, some, err := t.head(Line(k))
		if !ok || !some || err != nil || !bytes.Equal(rec.due, dueKey(&head, Line(k), rec.until)) || t.b(bktDue).Get(rec.due) == nil {
			return false
		}
	}
	due := 0
	for c, k, _ := first(t.b(bktDue)); k != nil; k, _ = c.Next() {
		due++
	}
	return lines == due
}
