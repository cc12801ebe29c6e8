package cache

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/crypto/chacha20poly1305"
)

const (
	// DefaultMemory is how many answers are held in memory: what a busy counter asks in a day.
	DefaultMemory = 2048
	// MaxInMemory bounds an answer that is held in memory, in bytes; larger ones are on disk only.
	MaxInMemory = 64 << 10
	// DefaultPurge is the time between two removals of what is no longer valid.
	DefaultPurge = time.Hour
	// DefaultTakeOver is the time between two looks whether a file is free that another process
	// had open.
	DefaultTakeOver = time.Minute
	// MaxWaiting bounds the writes that wait for the store.
	MaxWaiting = 4096

	storeTimeout = 10 * time.Second // bounds one access of the background to the store
	closeTimeout = 30 * time.Second // bounds all of them once Close was called
)

// AnswerID names an answer; see [Answers.ID].
type AnswerID [32]byte

// Stored is an answer with where and when it came from, and how long it may be used. No way of
// printing it shows its Value.
type Stored struct {
	Value     []byte    // must not be changed
	At        time.Time // when the answer was given; its age counts from here, never from a read
	Until     time.Time // it is not returned from then on
	Service   string    // which service gave it
	Endpoint  string    // which address
	Alternate bool      // that was not the service's usual address
}

// Age is how old the answer is; negative when the clock was set back since.
func (s Stored) Age(now time.Time) time.Duration { return now.Sub(s.At) }

// String returns a fixed text.
func (Stored) String() string { return "cache.Stored" }

// Format implements fmt.Formatter, so that no verb prints the answer.
func (s Stored) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText implements encoding.TextMarshaler, so that an answer is not dumped as JSON either.
func (s Stored) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Stored) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Answers keeps answers of the platform for as long as they may be used: a bounded number in
// memory, all of them sealed in a [RecordStore]. It is safe for concurrent use; Close ends it.
//
// The store learns how many answers there are, about how long they are and until when they are
// valid. Ids are keyed digests; everything else is encrypted (XChaCha20-Poly1305) and bound to its
// id and its end, so that an answer copied to another id, or given a longer life, is refused.
type Answers struct {
	memory *lru.Cache[AnswerID, Stored]
	aead   cipher.AEAD
	names  []byte // makes ids
	keyID  [keyIDSize]byte
	opt    answersOptions
	reopen func() (RecordStore, error) // nil = there is nothing to take over

	closing RecordStore // what NewAnswers was given
	failing error       // why it was not taken over the last time, see reasonOf

	base context.Context // of the background's accesses
	end  context.CancelFunc

	mu      sync.Mutex
	store   RecordStore // nil = memory only
	waiting map[AnswerID]*write
	order   []*write
	busy    bool          // the writer runs
	idle    chan struct{} // closed when it ends
	changes uint64        // counts them
	closed  bool
	wrong   contradicted
	upkeep  *time.Timer
	keeping sync.WaitGroup // upkeep under way
}

type answersOptions struct {
	memory   int
	purge    time.Duration
	takeOver time.Duration
	records  []RecordsOption
	onEvent  func(AnswersEvent)
}

// AnswersOption changes how answers are kept.
type AnswersOption func(*answersOptions) error

// WithMemory sets how many answers are held in memory; 0 = [DefaultMemory], negative = none.
func WithMemory(n int) AnswersOption {
	return func(o *answersOptions) error {
		if n != 0 {
			o.memory = n
		}
		return nil
	}
}

// WithPurge sets the time between two purges; 0 = [DefaultPurge], negative = only when opened.
func WithPurge(d time.Duration) AnswersOption {
	return func(o *answersOptions) error {
		if d != 0 {
			o.purge = d
		}
		return nil
	}
}

// WithTakeOver lets [OpenAnswers] succeed although another process has the file open, and
// [NewAnswers] although the store cannot be reached: answers are then kept in memory only, and the
// store is tried again every so often; 0 = [DefaultTakeOver], negative = never again.
func WithTakeOver(every time.Duration) AnswersOption {
	return func(o *answersOptions) error {
		if every == 0 {
			every = DefaultTakeOver
		}
		o.takeOver = every
		return nil
	}
}

// WithRecords passes options to [OpenRecords].
func WithRecords(opts ...RecordsOption) AnswersOption {
	return func(o *answersOptions) error { o.records = append(o.records, opts...); return nil }
}

// OnAnswers is told what goes wrong, and right again, where no caller waits for it. f must return
// soon and may not call the Answers.
func OnAnswers(f func(AnswersEvent)) AnswersOption {
	return func(o *answersOptions) error { o.onEvent = f; return nil }
}

// AnswersEventKind says what happened to stored answers.
type AnswersEventKind uint8

// The kinds.
const (
	NotStored AnswersEventKind = iota + 1 // an answer could not be stored; it is in memory only
	NotRead                               // the store could not be read
	Damaged                               // a record, or the file, was damaged and set aside
	NotPurged                             // what is no longer valid could not be removed
	InUse                                 // another process has the file open: memory only
	TakenOver                             // the file is free, or the store can be reached, at last
)

var answersEvents = [...]string{"unknown", "not stored", "not read", "damaged", "not purged", "in use", "taken over"}

// String returns a lower-case English text.
func (k AnswersEventKind) String() string {
	if int(k) < len(answersEvents) {
		return answersEvents[k]
	}
	return answersEvents[0]
}

// AnswersEvent is told to [OnAnswers]. It holds no personal data.
type AnswersEvent struct {
	Kind AnswersEventKind
	Err  error // nil for TakenOver
}

// NewAnswers returns answers over store, which Close closes; a nil store keeps them in memory only.
// A store that was filled with another key is refused with [ErrKey] and left as it is. One that
// cannot be reached fails it, unless [WithTakeOver] says to go on in memory and to try again.
func NewAnswers(ctx context.Context, store RecordStore, key Key, opts ...AnswersOption) (*Answers, error) {
	a, err := newAnswers(key, opts)
	if err != nil {
		return nil, err
	}
	if store == nil {
		return a, nil
	}
	a.closing = store
	switch err := a.claim(ctx, store); {
	case err == nil:
		a.store = store
	case a.opt.takeOver <= 0, errors.Is(err, ErrKey), errors.Is(err, ErrVersion), errors.Is(err, ErrCorrupt):
		return nil, err
	default:
		a.tell(NotRead, err)
		a.reopen = func() (RecordStore, error) {
			return store, a.inTime(func(ctx context.Context) error { return a.claim(ctx, store) })
		}
	}
	a.schedule()
	return a, nil
}

func newAnswers(key Key, opts []AnswersOption) (*Answers, error) {
	o := answersOptions{memory: DefaultMemory, purge: DefaultPurge, onEvent: func(AnswersEvent) {}}
	for _, f := range opts {
		if err := f(&o); err != nil {
			return nil, err
		}
	}
	if o.onEvent == nil {
		o.onEvent = func(AnswersEvent) {}
	}
	if !key.Valid() {
		return nil, fmt.Errorf("%w: an empty Key", ErrUnsuitable)
	}
	a := &Answers{opt: o, waiting: map[AnswerID]*write{}, wrong: contradicted{ids: map[AnswerID]uint64{}}}
	a.base, a.end = context.WithCancel(context.Background())
	secret := key.Derive("answers")
	var errs []error
	part := func(use string, n int) []byte {
		b, err := hkdf.Key(sha256.New, secret[:], nil, "ehealth answers v1 "+use, n)
		errs = append(errs, err)
		return b
	}
	seal := part("records", chacha20poly1305.KeySize)
	a.names = part("ids", KeySize)
	copy(a.keyID[:], part("key id", keyIDSize))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	var err error
	if a.aead, err = chacha20poly1305.NewX(seal); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if o.memory > 0 {
		if a.memory, err = lru.New[AnswerID, Stored](o.memory); err != nil {
			return nil, fmt.Errorf("cache: %w", err)
		}
	}
	return a, nil
}

// ID makes the id of what is named by these texts, in their order: who asks, about whom, what. It is
// a keyed digest (HMAC-SHA256), so that nobody finds out by trying all patients' numbers whether one
// of them is in the store.
func (a *Answers) ID(parts ...string) (id AnswerID) {
	m := hmac.New(sha256.New, a.names)
	for _, p := range parts {
		m.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		m.Write([]byte(p))
	}
	copy(id[:], m.Sum(nil))
	return id
}

// Get returns a valid answer. [ErrNotFound]: there is none; [ErrCorrupt]: the record is not what was
// stored under this id, and was set aside; [ErrKey]: another key sealed it, it was left as it is;
// otherwise the store failed.
func (a *Answers) Get(ctx context.Context, id AnswerID) (Stored, error) {
	now := time.Now()
	if a.memory != nil {
		if s, ok := a.memory.Get(id); ok {
			if now.Before(s.Until) {
				return s, nil
			}
			a.forget(id, s)
		}
	}
	a.mu.Lock()
	store, w, closed, seen, horizon := a.store, a.waiting[id], a.closed, a.changes, a.wrong.horizon
	change, void := uint64(0), false
	if w != nil {
		change, void = w.change, w.remove || w.void
	}
	void = void || a.wrong.superseded(id, change)
	a.mu.Unlock()
	switch {
	case closed:
		return Stored{}, ErrClosed
	case void, w == nil && store == nil:
		return Stored{}, ErrNotFound
	case w != nil:
		return valid(w.stored, now)
	}
	b, err := store.Load(ctx, id)
	if err != nil {
		return Stored{}, err
	}
	if b == nil {
		return Stored{}, ErrNotFound
	}
	s, err := a.open(id, b)
	if errors.Is(err, ErrCorrupt) {
		return Stored{}, a.setAside(ctx, id, b)
	}
	if err != nil {
		return Stored{}, err
	}
	if suspect(s, horizon, now) {
		return Stored{}, ErrNotFound
	}
	if s, err = valid(s, now); err == nil {
		a.remember(id, s, seen)
	}
	return s, err
}

func valid(s Stored, now time.Time) (Stored, error) {
	if !now.Before(s.Until) {
		return Stored{}, ErrNotFound
	}
	return s, nil
}

// remember puts what was read into memory, unless something has been changed since the reading began:
// it could be what was read.
func (a *Answers) remember(id AnswerID, s Stored, seen uint64) {
	if a.memory == nil || len(s.Value) > MaxInMemory {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changes == seen && !a.closed {
		a.memory.Add(id, s)
	}
}

// forget takes an answer that is no longer valid out of memory, unless another one took its place.
func (a *Answers) forget(id AnswerID, old Stored) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.memory.Peek(id); ok && s.Until.Equal(old.Until) {
		a.memory.Remove(id)
	}
}

func (a *Answers) tell(k AnswersEventKind, err error) { a.opt.onEvent(AnswersEvent{Kind: k, Err: err}) }

// Close writes what waits for the store, tells it once more what it refused before, and closes it. A store that hangs holds it up for half a
// minute: what could not be written then is told to [OnAnswers] as not stored. Later calls fail with
// [ErrClosed].
func (a *Answers) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	for _, t := range []*time.Timer{a.upkeep, a.wrong.timer} {
		if t != nil {
			t.Stop()
		}
	}
	a.retry()
	idle := a.idle
	a.mu.Unlock()
	late := time.AfterFunc(closeTimeout, a.end)
	defer func() { late.Stop(); a.end() }()
	if idle != nil {
		<-idle
	}
	a.keeping.Wait()
	if a.memory != nil {
		a.memory.Purge()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.store == nil {
		a.store = a.closing
	}
	if a.store == nil {
		return nil
	}
	return a.store.Close()
}
