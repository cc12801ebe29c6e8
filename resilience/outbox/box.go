package outbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// Box is the outbox of one process. Its methods may be called from any goroutine.
type Box struct {
	store Store
	keys  Keys
	index *index
	cfg   config
	name  string        // of this Box among all workers in the world
	turns atomic.Uint64 // numbers its claims
	wake  map[Kind]chan struct{}
	busy  map[Kind]*traffic

	mu      sync.Mutex
	closed  bool
	pending sync.WaitGroup // calls that may touch the store
}

// Option changes a Box at its making.
type Option func(*config) error

type config struct {
	kinds  map[Kind]*handled
	gate   Gate
	people func() bool
	event  func(Event)
	lease  time.Duration
	spread time.Duration
	pause  int
	pmax   time.Duration
	grace  time.Duration
	keep   time.Duration
	author string
}

type handled struct {
	send    Sender
	resolve Resolver
	policy  Policy
}

// Handle names who sends items of kind k, and how. A ResolvableWrite needs a handler that is a
// [Resolver] too. Items of kinds that are not handled stay where they are.
func Handle(k Kind, h Sender, p Policy) Option {
	return func(c *config) error {
		p, err := p.resolved()
		if err != nil {
			return err
		}
		r, _ := h.(Resolver)
		switch {
		case !k.valid(), h == nil:
			return fmt.Errorf("%w: kind or handler", ErrInvalid)
		case c.kinds[k] != nil:
			return fmt.Errorf("%w: kind %s has two handlers", ErrInvalid, k)
		case p.Class == resilience.ResolvableWrite && r == nil:
			return fmt.Errorf("%w: kind %s needs a resolver", ErrInvalid, k)
		}
		c.kinds[k] = &handled{send: h, resolve: r, policy: p}
		return nil
	}
}

// WithGate asks g before anything is sent or resolved. Default: always open.
func WithGate(g Gate) Option {
	return func(c *config) error { c.gate = g; return nil }
}

// WithPeople lets every kind's worker step aside while people returns true: somebody waits for a
// call that does not go through this Box. It steps aside for at most 30 s in one go, as for
// [Box.Do]; the places of the same kind are looked after by the Box itself. people is called often
// and must not block.
func WithPeople(people func() bool) Option {
	return func(c *config) error { c.people = people; return nil }
}

// WithEvents calls f after every change of a state that this Box made, in the goroutine that made
// it. f must not block.
func WithEvents(f func(Event)) Option {
	return func(c *config) error { c.event = f; return nil }
}

// WithLease sets how long a worker holds a line. Default 2 min 15 s: a message's life and the
// answer to it, with room. 0 = default.
func WithLease(d time.Duration) Option {
	return func(c *config) error {
		if d < 0 {
			return fmt.Errorf("%w: lease", ErrInvalid)
		}
		if d > 0 {
			c.lease = d
		}
		return nil
	}
}

// WithPace sets how a drain spares the service: its start is spread at random over spread (default
// 1 min), and after each send it pauses for factor times the latency of that send (default 20:
// "use at most one twentieth of the time"), at most limit (default 1 min). 0 = default, negative =
// none. With 500 clients of 20 items this drains in 1.15 times the ideal time (dossier 07 section 1).
func WithPace(spread time.Duration, factor int, limit time.Duration) Option {
	return func(c *config) error {
		orDefault(&spread, DefaultSpread)
		orDefault(&limit, DefaultPauseMax)
		if factor == 0 {
			factor = DefaultPause
		}
		c.spread, c.pause, c.pmax = spread, max(factor, 0), limit
		return nil
	}
}

// WithGrace sets how long a worker that is told to stop waits for the answer to what it has
// sent. Default 10 s; negative = not at all.
func WithGrace(d time.Duration) Option {
	return func(c *config) error {
		orDefault(&d, DefaultGrace)
		c.grace = d
		return nil
	}
}

// WithKeep sets how long done and cancelled items are kept as a ledger. Default 30 days; negative
// = for ever. The same reference put again after that is a new item.
func WithKeep(d time.Duration) Option {
	return func(c *config) error {
		if d != 0 {
			c.keep = d
		}
		return nil
	}
}

// WithAuthor names whoever puts items by this Box, so that of several who share a store each knows what is another's: see
// [Event] and [View]. The name is kept as a keyed digest only. "" = nobody in particular.
func WithAuthor(name string) Option {
	return func(c *config) error { c.author = name; return nil }
}

// Event tells of one change.
type Event struct {
	ID       ID
	Kind     Kind
	From, To State
	Reason   Reason
	At       time.Time
	Expires  time.Time // of the item; zero = never
	Priority Priority  // of the item: Interactive = it was put by a call that waited for it
	Foreign  bool      // another author put it, see [WithAuthor]: what there is to tell is not for this one
}

// author is what an item keeps of who put it; nil = nobody in particular.
func (b *Box) author() []byte {
	if b.cfg.author == "" {
		return nil
	}
	d := b.index.digest("author", b.cfg.author)
	return d[:]
}

// foreign tells that another author put an item.
func (b *Box) foreign(r *record) bool {
	return len(r.Author) > 0 && b.cfg.author != "" && !bytes.Equal(r.Author, b.author())
}

// Open makes a Box over store, which it closes with itself. ErrKey: the store was written with a
// key that keys does not have; nothing was touched.
func Open(ctx context.Context, store Store, keys Keys, opts ...Option) (*Box, error) {
	if store == nil || !keys.valid() {
		return nil, fmt.Errorf("%w: store or keys", ErrInvalid)
	}
	b := &Box{store: store, keys: keys, wake: map[Kind]chan struct{}{}, busy: map[Kind]*traffic{}}
	b.cfg = config{
		kinds: map[Kind]*handled{}, lease: DefaultLease, spread: DefaultSpread, pause: DefaultPause,
		pmax: DefaultPauseMax, grace: DefaultGrace, keep: DefaultKeep,
	}
	for _, o := range opts {
		if err := o(&b.cfg); err != nil {
			return nil, err
		}
	}
	for k := range b.cfg.kinds {
		b.wake[k] = make(chan struct{}, 1)
		b.busy[k] = &traffic{}
	}
	if err := b.openIndex(ctx); err != nil {
		return nil, err
	}
	b.name = boxName()
	return b, nil
}

func boxName() string {
	var r [8]byte
	_, _ = rand.Read(r[:]) // never fails
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%d/%s", clip(host), os.Getpid(), hex.EncodeToString(r[:]))
}

const secretName = "index"

// openIndex reads the secret of ids and lines, or makes it in a new store. It is the first thing
// that a wrong key cannot read.
func (b *Box) openIndex(ctx context.Context) error {
	sealed, err := b.store.Mark(ctx, secretName, nil, nil)
	if err != nil {
		return err
	}
	if sealed == nil {
		fresh := make([]byte, 32)
		_, _ = rand.Read(fresh) // never fails
		if sealed, err = b.store.Mark(ctx, secretName, nil, b.keys.seal(bucketSecret, nil, fresh)); err != nil {
			return err
		}
	}
	plain, err := b.keys.open(bucketSecret, nil, sealed)
	if err == ErrCorrupt {
		return &CorruptError{Part: "secret"}
	}
	b.index = newIndex(plain)
	return err
}

// enter counts a call that uses the store; the returned function ends it.
func (b *Box) enter() (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	b.pending.Add(1)
	return b.pending.Done, nil
}

// Close waits for the calls under way and closes the store. Stop Run first, by its context.
func (b *Box) Close() error {
	b.mu.Lock()
	was := b.closed
	b.closed = true
	b.mu.Unlock()
	if was {
		return nil
	}
	b.pending.Wait()
	return b.store.Close()
}

// now drops what entries do not hold: the zone and the monotonic reading.
func now() time.Time { return time.Now().Round(0).UTC() }

// Prepare makes the entry of an item without storing it, for stores that join a transaction of
// the caller's (see package postgres). Everybody else uses Put.
func (b *Box) Prepare(it Item) (Entry, error) {
	_, e, err := b.prepare(it, now())
	return e, err
}

// ID is the id that an item has: the same kind and reference always have the same one in the same store.
func (b *Box) ID(k Kind, ref string) ID { return b.index.digest("id", string(k), ref) }

func (b *Box) prepare(it Item, at time.Time) (*record, Entry, error) {
	if err := it.check(); err != nil {
		return nil, Entry{}, err
	}
	if it.Ref == "" {
		it.Ref = rand.Text()
	}
	r := &record{
		Entry: Entry{
			ID: b.ID(it.Kind, it.Ref), Rev: 1, Kind: it.Kind, State: Prepared, Priority: it.Priority, Changed: at, Due: at,
		},
		meta: meta{Key: it.Key, Ref: it.Ref, Rule: it.Expiry.String(), Created: at, Sum: b.index.sum(it.Payload), Author: b.author()},
	}
	r.Line = b.index.digest("alone", string(r.ID[:]))
	if it.Key != "" {
		r.Line = b.index.digest("line", it.Key)
	}
	if it.Held {
		r.State = Held
	}
	if it.After.After(at) {
		r.Due = it.After.Round(0).UTC()
	}
	if x := it.Expiry.instant(at); !x.IsZero() {
		if r.Expires = x.Round(0).UTC(); r.overdue(at) {
			return nil, Entry{}, &TooLateError{Expires: r.Expires}
		}
	}
	e, err := b.keys.encode(r)
	if err != nil {
		return nil, Entry{}, err
	}
	e.Payload = b.keys.seal(bucketPayload, r.ID[:], it.Payload)
	return r, e, nil
}

// Put stores an item to be sent later and returns its id. When Put returns nil the item is on
// disk. The same Kind and Ref with the same payload again is no error and returns the same id;
// with another payload it is ErrConflict. After an error of Outcome Unknown, from a store on a network,
// it may be stored all the same: put it again, with the same Ref.
func (b *Box) Put(ctx context.Context, it Item) (ID, error) {
	done, err := b.enter()
	if err != nil {
		return ID{}, err
	}
	defer done()
	r, _, err := b.put(ctx, it, nil)
	if err != nil {
		return ID{}, err
	}
	b.stir(r.Kind)
	return r.ID, nil
}

// put stores the item, or finds the one that is there: then the lease is nil. r is what is stored.
func (b *Box) put(ctx context.Context, it Item, c *Claim) (*record, *Lease, error) {
	r, e, err := b.prepare(it, now())
	if err != nil {
		return nil, nil, err
	}
	fail.Point("put.before")
	in, err := b.store.Insert(ctx, e, c)
	fail.Point("put.after")
	if !errors.Is(err, ErrExists) {
		r.Entry = e
		r.Seq, r.plain = in.Seq, it.Payload
		return r, in.Lease, err
	}
	sum := r.Sum
	if r, err = b.read(ctx, r.ID); err != nil {
		return nil, nil, err
	}
	if !bytes.Equal(r.Sum, sum) {
		return nil, nil, ErrConflict
	}
	return r, nil, nil
}

// read opens one record without its contents, which may be some megabytes. A damaged one is set aside.
func (b *Box) read(ctx context.Context, id ID) (*record, error) {
	es, err := b.store.Headers(ctx, []ID{id})
	switch {
	case err != nil:
		return nil, err
	case len(es) == 0:
		return nil, ErrNotFound
	}
	return b.opened(ctx, es[0])
}

// readWhole opens one record with its contents, still sealed. A damaged one is set aside.
func (b *Box) readWhole(ctx context.Context, id ID) (*record, error) {
	e, err := b.store.Load(ctx, id)
	if err != nil {
		return nil, b.aside(ctx, e, err)
	}
	return b.opened(ctx, e)
}

func (b *Box) opened(ctx context.Context, e Entry) (*record, error) {
	r, err := b.keys.decode(e)
	if err != nil {
		return nil, b.aside(ctx, e, err)
	}
	return r, nil
}

// unreadable is a revision that no entry has: who has seen an id only sets aside what a store cannot read, and not one that was put
// under this id since. A store on a server may have it as a signed number.
const unreadable = 1<<63 - 1

// aside moves a damaged entry out of the way of the others.
func (b *Box) aside(ctx context.Context, e Entry, err error) error {
	ce, ok := errors.AsType[*CorruptError](err)
	if !ok || ce.ID.IsZero() {
		return err
	}
	rev := e.Rev
	if e.State == 0 {
		rev = unreadable
	}
	switch rerr := b.store.Remove(ctx, e.ID, rev, ce.Part); {
	case rerr == nil:
		ce.Aside = true
	case (errors.Is(rerr, ErrNotFound) || errors.Is(rerr, ErrStale)) && e.State == 0:
		return ErrNotFound // it was set aside before, and may have been put anew since
	case !errors.Is(rerr, ErrStale) && !errors.Is(rerr, ErrNotFound):
		return errors.Join(ce, rerr)
	}
	return ce
}

// change reads the record, applies move and stores the result, until nobody interferes. The move
// sees what the store holds at that moment (rule 3).
func (b *Box) change(ctx context.Context, id ID, g guard, answer []byte, move func(*record) error) (*record, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	for {
		r, err := b.read(ctx, id)
		if err != nil {
			return nil, err
		}
		from, doubled := r.State, r.Doubled
		err = move(r)
		flagged := r.Doubled && !doubled
		if err != nil && !flagged {
			return r, err
		}
		werr := b.write(ctx, r, g, answer)
		switch {
		case errors.Is(werr, ErrStale):
			continue
		case werr != nil:
			return nil, werr
		}
		b.tell(r, from)
		return r, err
	}
}

// changeOwn is change of a record that this goroutine has written itself: it is what the store holds, unless the store says that it
// has another revision. Then, and when there is anything else about it, it is read. r may not be used afterwards.
func (b *Box) changeOwn(ctx context.Context, r *record, g guard, answer []byte, move func(*record) error) (*record, error) {
	id, from := r.ID, r.State
	if move(r) != nil {
		return b.change(ctx, id, g, answer, move)
	}
	switch err := b.write(ctx, r, g, answer); {
	case errors.Is(err, ErrStale), errors.Is(err, ErrNotFound), errors.Is(err, ErrCorrupt):
		return b.change(ctx, id, g, answer, move)
	case err != nil:
		return nil, err
	}
	b.tell(r, from)
	return r, nil
}

// guard is what a write demands, and when it gives the line back.
type guard struct {
	Guard
	until ID // the write that settles this item gives the line back; zero = as Release says
}

// write seals and stores a record that was changed.
func (b *Box) write(ctx context.Context, r *record, g guard, answer []byte) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	r.Rev++
	e, err := b.keys.encode(r)
	if err != nil {
		return err
	}
	e.Payload, e.Answer = nil, nil
	if answer != nil {
		e.Answer = b.keys.seal(bucketAnswer, r.ID[:], answer)
	}
	if h := b.cfg.kinds[r.Kind]; r.State == Done || r.State == Cancelled {
		g.Drop = h == nil || !h.policy.KeepPayload
	}
	g.Release = g.Release || r.ID == g.until && !r.State.Open()
	if err := b.store.Swap(ctx, e, g.Guard); err != nil {
		return err
	}
	if e.Answer != nil {
		r.Answer = e.Answer // it is on disk now, and does not change: nobody needs to read it back
	}
	return nil
}

func (b *Box) tell(r *record, from State) {
	if b.cfg.event != nil && from != r.State {
		b.cfg.event(Event{
			ID: r.ID, Kind: r.Kind, From: from, To: r.State, Reason: r.Reason, At: r.Changed, Expires: r.Expires, Priority: r.Priority,
			Foreign: b.foreign(r),
		})
	}
}

// stir wakes the worker of a kind.
func (b *Box) stir(k Kind) {
	if c := b.wake[k]; c != nil {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// claim makes a Claim with an owner that no other claim of this Box has, so that two of its
// goroutines never share a lease.
func (b *Box) claim() Claim {
	return Claim{Owner: fmt.Sprintf("%s/%d", b.name, b.turns.Add(1)), Now: now(), For: b.cfg.lease}
}

func jitter() float64 { return mrand.Float64() }
