package outbox

import (
	"context"
	"time"
)

// Store keeps entries and lends lines to workers. It holds no secret: what it gets is sealed.
// The Box decides every state; a store compares, sets, orders and leases. Whatever passes
// package outboxtest is a store.
//
// Every method that changes something is one atomic, durable write: when it returns nil, the
// change survives the loss of power; when it returns one of the errors named, nothing changed.
// Any other error leaves open whether the write happened: ErrBroken or an error of a network.
type Store interface {
	// Insert adds e with Rev 1 and the next Seq. When c is not nil and e's line was empty and
	// free, the line is leased for c in the same write, and e is its head: a Claim by the same
	// owner would say no more than that. ErrExists: the id is taken. ErrFull.
	Insert(ctx context.Context, e Entry, c *Claim) (Inserted, error)
	// Load returns the entry whole. ErrNotFound.
	Load(ctx context.Context, id ID) (Entry, error)
	// Headers returns the entries of ids without payloads and answers, all as they were at one moment: who
	// sees a write in one of them sees in the others all writes that were made before it. They come in
	// the order asked, those that are not there are left out, and an id that is given twice comes twice.
	// One whose header cannot be read, or that was set aside and not inserted since, comes with its ID
	// only. ErrInvalid: more than MaxHeaders ids.
	Headers(ctx context.Context, ids []ID) ([]Entry, error)
	// Swap replaces the entry by e when the stored Rev is e.Rev-1, else ErrStale; ErrNotFound.
	// A nil Payload or Answer leaves what is stored; g.Drop removes the payload. When g.Lease is
	// not nil it must be the lease that holds the line now, else ErrLeaseLost (whether its time
	// is over does not matter as long as nobody else took the line); g.Release gives the line
	// back in the same write.
	Swap(ctx context.Context, e Entry, g Guard) error
	// Claim leases a line and returns its head. ErrNothing: see Claimed.Next; ErrLeased: the line
	// asked for is held by another.
	Claim(ctx context.Context, c Claim) (Claimed, error)
	// Release gives a line back early. A lease that is no longer held is not an error.
	Release(ctx context.Context, l Lease) error
	// List returns one page of headers, without payloads and answers.
	List(ctx context.Context, q Query) (Page, error)
	// Count returns how many entries there are of each kind and state.
	Count(ctx context.Context) (Counts, error)
	// Remove deletes the entry when its Rev is rev (0 = any). With a reason it is set aside as it
	// is, out of its line, for a person to look at. ErrStale, ErrNotFound.
	Remove(ctx context.Context, id ID, rev uint64, reason string) error
	// Mark keeps small values beside the entries. It sets name to next when what is stored is
	// old (nil = nothing) and next is not nil, and returns what is stored afterwards.
	Mark(ctx context.Context, name string, old, next []byte) ([]byte, error)
	// Close ends the store; whatever is under way is finished first.
	Close() error
}

// MaxHeaders bounds how many entries are asked for at once.
const MaxHeaders = 1000

// Line names the items that share an ordering key, by a keyed digest.
type Line [16]byte

// Entry is what a store keeps of an item: a header in clear, and parts that only the Box reads.
type Entry struct {
	ID       ID
	Line     Line
	Seq      uint64 // place in the line, given by the store; grows with time
	Rev      uint64 // 1, then one more with every write
	Kind     Kind
	State    State
	Priority Priority
	Attempt  uint32    // how many attempts were begun
	Due      time.Time // when there is something to do for it; zero = at once
	Expires  time.Time // zero = never
	Changed  time.Time // when State was last set
	Meta     []byte    // sealed
	Payload  []byte    // sealed; nil in lists
	Answer   []byte    // sealed; nil in lists and when there is none
}

// Lease is the right to work on one line until an instant.
type Lease struct {
	Line  Line
	Owner string
	Epoch uint64    // differs for every lease of a line ever given
	Until time.Time // exclusive end, on the clock of the Claim's Now
}

// Claim asks for a line.
type Claim struct {
	Owner string // unique per worker in the world
	// Now is the caller's clock. A store for many nodes may go by its own clock instead, as long
	// as Lease.Until is translated to the caller's. A lease may be taken by another when Now is
	// after its Until.
	Now time.Time
	For time.Duration // length of the lease
	// Line asks for this line, due or not; a lease the owner has already is extended, never
	// shortened, and keeps its epoch.
	Line *Line
	// Kinds asks for a line whose head is of one of these kinds, is due, and is free: the best
	// priority first, then the earliest due, then the lowest Line. Ignored with Line.
	Kinds []Kind
	// Urgent considers only heads of priority Interactive.
	Urgent bool
}

// Claimed is a line on loan.
type Claimed struct {
	Lease Lease
	Head  Entry     // the first open entry of the line, whole
	Next  time.Time // with ErrNothing: when a head of the kinds asked for is due; zero = none waits
}

// Inserted tells where an entry went.
type Inserted struct {
	Seq   uint64
	Lease *Lease // nil when none was asked for or the line was not free and empty
}

// Guard is what a Swap demands besides the revision.
type Guard struct {
	Lease   *Lease
	Release bool
	Drop    bool
}

// Query selects a page of entries. Without State or Overdue all are listed, in any order that is
// stable under changes of the entries.
type Query struct {
	State   State     // those in this state; settled, held and parked ones oldest change first
	Before  time.Time // with a settled State, Held or Parked: changed before; zero = all
	Overdue time.Time // instead of State: waiting ones (State.Waiting) that expire at or before, soonest first
	Aside   bool      // instead of State: those set aside; only ID and Kind are certain
	After   []byte    // Page.More of the page before
	Limit   int       // 0 = 100; at most 1000
}

// Page is a part of a list.
type Page struct {
	Entries []Entry
	More    []byte // nil = no more
}

// Counts holds numbers of entries.
type Counts struct {
	By    map[Kind]map[State]int
	Aside int // set aside as damaged
}

// Of sums one state over all kinds.
func (c Counts) Of(s State) int {
	n := 0
	for _, by := range c.By {
		n += by[s]
	}
	return n
}

// Open sums what waits in lines, of the given kinds, or of all when none is given.
func (c Counts) Open(kinds ...Kind) int {
	n := 0
	add := func(by map[State]int) {
		for s, k := range by {
			if s.Open() {
				n += k
			}
		}
	}
	if len(kinds) == 0 {
		for _, by := range c.By {
			add(by)
		}
	}
	for _, k := range kinds {
		add(c.By[k])
	}
	return n
}

// Checker is implemented by stores that can compare their indexes with their entries.
type Checker interface {
	// Check returns an error wrapping ErrCorrupt when they disagree.
	Check(ctx context.Context) error
}

// Waker is implemented by stores that hear of the writes of other processes.
type Waker interface {
	// Wake returns a channel that gets a value when another process put or freed something. Lost
	// values do not matter: workers look every minute anyway.
	Wake() <-chan struct{}
}
