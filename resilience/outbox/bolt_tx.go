package outbox

import (
	"bytes"
	"encoding/binary"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Buckets of the file. item, payload and answer hold what was given; line, due, settled and expiry are
// derived from item and can be made anew; meta is small and lies inside the root page, so that
// counting costs no page of its own.
var (
	bktMeta    = []byte("meta")    // name -> value; "n/"+kind+"/"+state -> count; "schema"
	bktItem    = []byte("item")    // id -> header, sealed meta
	bktPayload = []byte("payload") // id -> sealed
	bktAnswer  = []byte("answer")  // id -> sealed
	bktLine    = []byte("line")    // line -> lease and place in due; line+seq -> id of an open item
	bktDue     = []byte("due")     // kind+0+rank+due+line: the head of each line
	bktSettled = []byte("settled") // state+changed+id: what is not open
	bktExpiry  = []byte("expiry")  // expires+id: what may still expire
	bktAside   = []byte("aside")   // id+part: what was damaged, as it was

	buckets = [][]byte{bktMeta, bktItem, bktPayload, bktAnswer, bktLine, bktDue, bktSettled, bktExpiry, bktAside}
)

// boltTx is a transaction that keeps the derived buckets in step.
type boltTx struct {
	*bolt.Tx
	dirty   bool             // the operation under way changed something
	changed bool             // something is not in the file yet
	large   bool             // the journal cannot hold what was done: commit
	redo    []byte           // what the operations under way changed, for the journal
	counts  map[string]int64 // changes of counters, written once per batch
	bkt     map[string]*bolt.Bucket
}

func newBoltTx(tx *bolt.Tx) *boltTx {
	return &boltTx{Tx: tx, counts: map[string]int64{}, bkt: map[string]*bolt.Bucket{}}
}

// b returns a bucket; looking it up costs a search of the root page.
func (t *boltTx) b(name []byte) *bolt.Bucket {
	if b := t.bkt[string(name)]; b != nil {
		return b
	}
	b := t.Bucket(name)
	t.bkt[string(name)] = b
	return b
}

// put keeps a copy of v: bbolt does not, and the transaction lives long.
func (t *boltTx) put(bucket, k, v []byte) error {
	t.dirty = true
	t.redo = appendRedo(t.redo, redoPut, bucket, k, v)
	return t.b(bucket).Put(k, append([]byte{}, v...))
}

func (t *boltTx) del(bucket, k []byte) error {
	t.dirty = true
	t.redo = appendRedo(t.redo, redoDel, bucket, k, nil)
	return t.b(bucket).Delete(k)
}

// next returns the next number of a bucket.
func (t *boltTx) next(bucket []byte) (uint64, error) {
	t.dirty = true
	n, err := t.b(bucket).NextSequence()
	t.redo = appendRedo(t.redo, redoSeq, bucket, nil, be64(n))
	return n, err
}

// flush writes the counters.
func (t *boltTx) flush() error {
	for k, d := range t.counts {
		if d == 0 {
			continue
		}
		n := d
		if v := t.b(bktMeta).Get([]byte(k)); len(v) == 8 {
			n += int64(binary.BigEndian.Uint64(v))
		}
		var err error
		if n == 0 {
			err = t.del(bktMeta, []byte(k))
		} else {
			err = t.put(bktMeta, []byte(k), be64(uint64(n)))
		}
		if err != nil {
			return err
		}
	}
	clear(t.counts)
	return nil
}

func be64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

const countPrefix = "n/"

func countKey(k Kind, s State) string { return countPrefix + string(k) + "/" + string(rune('0'+s)) }

// The clear header in front of the sealed one: version 1, state, priority, attempt, rev, seq, due,
// expires, changed, line, length of kind, kind.
const (
	headerVersion = 1
	headerFixed   = 1 + 1 + 1 + 4 + 5*8 + 16 + 1
)

func appendHeader(b []byte, e *Entry) []byte {
	b = append(b, headerVersion, byte(e.State), byte(e.Priority))
	b = binary.BigEndian.AppendUint32(b, e.Attempt)
	for _, n := range []uint64{e.Rev, e.Seq, uint64(stamp(e.Due)), uint64(stamp(e.Expires)), uint64(stamp(e.Changed))} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, e.Line[:]...)
	b = append(b, byte(len(e.Kind)))
	return append(b, e.Kind...)
}

func unstamp(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}

// parseHeader copies everything: values are valid only inside their transaction.
func parseHeader(id ID, v []byte) (Entry, error) {
	bad := &CorruptError{ID: id, Part: "header"}
	if len(v) < headerFixed || v[0] != headerVersion || len(v) < headerFixed+int(v[headerFixed-1]) {
		return Entry{ID: id}, bad
	}
	e := Entry{ID: id, State: State(v[1]), Priority: Priority(v[2]), Attempt: binary.BigEndian.Uint32(v[3:])}
	u := func(i int) uint64 { return binary.BigEndian.Uint64(v[7+8*i:]) }
	e.Rev, e.Seq, e.Due, e.Expires, e.Changed = u(0), u(1), unstamp(u(2)), unstamp(u(3)), unstamp(u(4))
	copy(e.Line[:], v[47:])
	e.Kind = Kind(v[headerFixed:][:v[headerFixed-1]])
	if !e.Kind.valid() || e.State == 0 || e.State > Cancelled || e.Priority > Background {
		return Entry{ID: id}, bad
	}
	e.Meta = bytes.Clone(v[headerFixed+len(e.Kind):])
	return e, nil
}

// entry reads a header; ErrNotFound, CorruptError.
func (t *boltTx) entry(id ID) (Entry, error) {
	v := t.b(bktItem).Get(id[:])
	if v == nil {
		return Entry{ID: id}, ErrNotFound
	}
	return parseHeader(id, v)
}

// whole reads all parts.
func (t *boltTx) whole(id ID) (Entry, error) {
	e, err := t.entry(id)
	if err == nil {
		e.Payload = bytes.Clone(t.b(bktPayload).Get(id[:]))
		e.Answer = bytes.Clone(t.b(bktAnswer).Get(id[:]))
	}
	return e, err
}

// store writes the parts of e that are given, and the header.
func (t *boltTx) store(e *Entry, drop bool) error {
	v := appendHeader(make([]byte, 0, headerFixed+len(e.Kind)+len(e.Meta)), e)
	if err := t.put(bktItem, e.ID[:], append(v, e.Meta...)); err != nil {
		return err
	}
	if e.Payload != nil {
		if err := t.put(bktPayload, e.ID[:], e.Payload); err != nil {
			return err
		}
	} else if drop {
		if err := t.del(bktPayload, e.ID[:]); err != nil {
			return err
		}
	}
	if e.Answer != nil {
		return t.put(bktAnswer, e.ID[:], e.Answer)
	}
	return nil
}

// file puts e into the derived buckets (on) or takes it out.
func (t *boltTx) file(e *Entry, on bool) error {
	change := t.put
	if !on {
		change = func(bucket, k, _ []byte) error { return t.del(bucket, k) }
	}
	if e.State.Open() {
		if err := change(bktLine, seqKey(e.Line, e.Seq), e.ID[:]); err != nil {
			return err
		}
	} else if err := change(bktSettled, settledKey(e.State, e.Changed, e.ID), []byte{}); err != nil {
		return err
	}
	if !e.Expires.IsZero() && e.State.Waiting() {
		if err := change(bktExpiry, expiryKey(e.Expires, e.ID), []byte{}); err != nil {
			return err
		}
	}
	if on {
		t.counts[countKey(e.Kind, e.State)]++
	} else {
		t.counts[countKey(e.Kind, e.State)]--
	}
	return nil
}

func seqKey(l Line, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 24), l[:]...), seq)
}

func settledKey(s State, changed time.Time, id ID) []byte {
	b := append(make([]byte, 0, 25), byte(s))
	b = binary.BigEndian.AppendUint64(b, uint64(stamp(changed)))
	return append(b, id[:]...)
}

func expiryKey(t time.Time, id ID) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 24), uint64(stamp(t))), id[:]...)
}

// lineRec is a line's lease and the key of its head in the due bucket.
type lineRec struct {
	epoch uint64
	until int64 // 0 = free
	owner string
	due   []byte // nil = not there
}

func (t *boltTx) line(l Line) (lineRec, bool) {
	v := t.b(bktLine).Get(l[:])
	if len(v) < 18 || len(v) < 18+int(binary.BigEndian.Uint16(v[16:])) {
		return lineRec{}, false
	}
	n := int(binary.BigEndian.Uint16(v[16:]))
	r := lineRec{epoch: binary.BigEndian.Uint64(v), until: int64(binary.BigEndian.Uint64(v[8:])), owner: string(v[18 : 18+n])}
	if rest := v[18+n:]; len(rest) > 0 {
		r.due = bytes.Clone(rest)
	}
	return r, true
}

func (r lineRec) bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, r.epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(r.until))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.owner)))
	b = append(b, r.owner...)
	return append(b, r.due...)
}

func (r lineRec) free(at time.Time) bool { return r.until == 0 || stamp(at) > r.until }

func (r lineRec) heldBy(l *Lease) bool {
	return r.until != 0 && r.owner == l.Owner && (l.Epoch == 0 || r.epoch == l.Epoch)
}

// dueKey is the place of a line in the due bucket: when its head is due, or when its lease is
// over.
func dueKey(head *Entry, l Line, until int64) []byte {
	at := stamp(head.Due)
	if until != 0 {
		at = max(at, until+1)
	}
	b := append(make([]byte, 0, len(head.Kind)+26), head.Kind...)
	b = append(b, 0, head.Priority.rank())
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	return append(b, l[:]...)
}

// head returns the first open entry of a line. What cannot be read there is set aside: it must
// not hold up the others.
func (t *boltTx) head(l Line) (Entry, bool, error) {
	for {
		k, v := t.b(bktLine).Cursor().Seek(seqKey(l, 0))
		if len(k) != 24 || !bytes.Equal(k[:16], l[:]) {
			return Entry{}, false, nil
		}
		if len(v) == 16 {
			e, err := t.entry(ID(v))
			if err == nil && e.State.Open() && e.Line == l {
				return e, true, nil
			}
		}
		if !t.Writable() {
			return Entry{}, false, &CorruptError{Part: "index"}
		}
		k = bytes.Clone(k)
		if err := t.setAside(v, "header"); err != nil {
			return Entry{}, false, err
		}
		if err := t.del(bktLine, k); err != nil {
			return Entry{}, false, err
		}
	}
}

// settle brings the line's record and its place in the due bucket in step with its head. A line
// without open entries has neither record nor lease.
func (t *boltTx) settle(l Line, r lineRec) error {
	head, ok, err := t.head(l)
	if err != nil {
		return err
	}
	var due []byte
	if ok {
		due = dueKey(&head, l, r.until)
	}
	if r.due != nil && !bytes.Equal(r.due, due) {
		if err := t.del(bktDue, r.due); err != nil {
			return err
		}
	}
	if !ok {
		return t.del(bktLine, l[:])
	}
	if !bytes.Equal(r.due, due) {
		if err := t.put(bktDue, due, []byte{}); err != nil {
			return err
		}
	}
	r.due = due
	return t.put(bktLine, l[:], r.bytes())
}
