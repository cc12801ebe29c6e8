package outbox

import "slices"

// State is where an item stands. docs/outbox.md draws the machine.
type State uint8

const (
	// Held: on disk, not to be sent until released (see [Box.Release]).
	Held State = iota + 1
	// Prepared: on disk, never sent.
	Prepared
	// Ready: an attempt was made and is known not to have been carried out; to be sent again.
	Ready
	// Sending: an attempt is on disk and may be on the wire.
	Sending
	// Unknown: an attempt was made and nobody knows what became of it; to be resolved.
	Unknown
	// Parked: cannot go on without a person; the reason is kept.
	Parked
	// Done: carried out; the answer is kept.
	Done
	// Rejected: the service refused it for good.
	Rejected
	// Expired: its time was over before it could be sent. A person who has read so may cancel it.
	Expired
	// Cancelled by a person before it was sent. Final.
	Cancelled
)

var stateNames = [...]string{
	"", "held", "prepared", "ready", "sending", "unknown", "parked", "done", "rejected", "expired", "cancelled",
}

// States lists all states in the order in which people look at them.
func States() []State {
	return []State{Held, Prepared, Ready, Sending, Unknown, Parked, Done, Rejected, Expired, Cancelled}
}

// String returns a lower-case English word; ParseState reads it.
func (s State) String() string {
	if int(s) < len(stateNames) && s != 0 {
		return stateNames[s]
	}
	return "state(?)"
}

// ParseState reads what String writes.
func ParseState(text string) (State, bool) {
	i := slices.Index(stateNames[1:], text)
	return State(i + 1), i >= 0
}

// Open tells whether the item still waits in its line: everything behind it with the same key
// waits too.
func (s State) Open() bool { return s >= Prepared && s <= Unknown }

// Waiting tells whether the item may expire or be cancelled: nothing of it is on its way.
func (s State) Waiting() bool { return s == Held || s == Prepared || s == Ready }

// moves is the whole machine: what is not listed cannot happen.
var moves = map[State][]State{
	Held:     {Prepared, Expired, Cancelled},
	Prepared: {Sending, Parked, Expired, Cancelled},
	Ready:    {Sending, Parked, Expired, Cancelled},
	Sending:  {Done, Rejected, Unknown, Ready, Parked},
	Unknown:  {Done, Rejected, Ready, Parked, Unknown},
	Parked:   {Ready, Unknown, Done, Rejected, Cancelled, Parked},
	Rejected: {Ready, Cancelled},
	Expired:  {Cancelled},
}

// CanBecome tells whether the machine allows the move.
func (s State) CanBecome(next State) bool { return slices.Contains(moves[s], next) }
