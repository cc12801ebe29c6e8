package outbox

import (
	"errors"
	"fmt"
	"time"
)

// sentinel is an error whose text is fixed and free of personal data.
type sentinel string

func (s sentinel) Error() string     { return "outbox: " + string(s) }
func (s sentinel) SafeError() string { return s.Error() }

// What can go wrong; errors.Is.
var (
	ErrQueued    error = sentinel("queued: will be sent later")             // see [QueuedError]
	ErrUnknown   error = sentinel("sent, but the outcome is not known yet") // see [UnknownError]
	ErrInvalid   error = sentinel("invalid")                                // a mistake of the caller
	ErrConflict  error = sentinel("another content is stored under this reference")
	ErrNotFound  error = sentinel("no such item")
	ErrState     error = sentinel("the item's state does not allow this") // see [StateError]
	ErrFull      error = sentinel("no room on disk: nothing was stored")
	ErrCorrupt   error = sentinel("damaged data") // see [CorruptError]
	ErrKey       error = sentinel("written with another key: nothing was touched")
	ErrLocked    error = sentinel("the file is in use") // see [LockedError]
	ErrNewer     error = sentinel("written by a newer program")
	ErrBroken    error = sentinel("the disk failed while writing: open the file again")
	ErrClosed    error = sentinel("closed")
	ErrExists    error = sentinel("exists already")                     // of a store
	ErrStale     error = sentinel("changed by another in the meantime") // of a store
	ErrLeaseLost error = sentinel("the lease went to another worker")   // of a store
	ErrLeased    error = sentinel("another worker holds this line")     // of a store
	ErrNothing   error = sentinel("nothing is due")                     // of a store
)

// QueuedError says that the item is on disk and was not carried out yet. It is an [ErrQueued].
type QueuedError struct {
	ID   ID
	Next time.Time // when it will be tried next, as far as known
	Err  error     // why it was not sent now; nil when others wait before it
}

func (e *QueuedError) Error() string { return describe(ErrQueued, e.ID, e.Err) }

// SafeError is Error.
func (e *QueuedError) SafeError() string { return e.Error() }

// Unwrap returns ErrQueued and the cause.
func (e *QueuedError) Unwrap() []error { return causes(ErrQueued, e.Err) }

// UnknownError says that the item was sent and that nobody knows yet what became of it. It is
// resolved in the background and must not be repeated by hand. It is an [ErrUnknown].
type UnknownError struct {
	ID    ID
	Until time.Time // from then on a question to the service settles it; zero when a person must
	Err   error     // what the attempt ended with
}

func (e *UnknownError) Error() string { return describe(ErrUnknown, e.ID, e.Err) }

// SafeError is Error.
func (e *UnknownError) SafeError() string { return e.Error() }

// Unwrap returns ErrUnknown and the cause.
func (e *UnknownError) Unwrap() []error { return causes(ErrUnknown, e.Err) }

// TooLateError says that the time of an item was over before it was put: it was not accepted. It is
// an [ErrInvalid].
type TooLateError struct{ Expires time.Time }

func (e *TooLateError) Error() string { return "outbox: invalid: expired already" }

// SafeError is Error.
func (e *TooLateError) SafeError() string { return e.Error() }

// Unwrap returns ErrInvalid.
func (e *TooLateError) Unwrap() error { return ErrInvalid }

// StateError says that an item cannot do what was asked because of its state. It is an
// [ErrState].
type StateError struct {
	ID      ID
	State   State
	Pending bool  // the outcome of its last attempt is not known
	Err     error // the refusal of the service, when State is Rejected and it is known
}

func (e *StateError) Error() string {
	s := fmt.Sprintf("outbox: item %s is %s", e.ID, e.State)
	if e.Pending {
		s += ", its outcome is not known"
	}
	return s + safeCause(e.Err)
}

// SafeError is Error.
func (e *StateError) SafeError() string { return e.Error() }

// Unwrap returns ErrState and the cause.
func (e *StateError) Unwrap() []error { return causes(ErrState, e.Err) }

// CorruptError names what is damaged. It is an [ErrCorrupt].
type CorruptError struct {
	ID    ID     // of the item; zero when the file itself is damaged
	Part  string // "header", "payload", "answer", "file"
	Aside bool   // it was set aside; the others live
}

func (e *CorruptError) Error() string {
	s := ErrCorrupt.Error() + ": " + e.Part
	if !e.ID.IsZero() {
		s += " of item " + e.ID.String()
	}
	if e.Aside {
		s += ", set aside"
	}
	return s
}

// SafeError is Error.
func (e *CorruptError) SafeError() string { return e.Error() }

// Is matches ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// LockedError names the process that has the file open, as far as it left its name. It is an
// [ErrLocked].
type LockedError struct {
	PID   int       // 0 = not known
	Host  string    // "" = not known
	Since time.Time // zero = not known
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return ErrLocked.Error() + " by a process that left no name"
	}
	return fmt.Sprintf("%s by process %d on %s since %s", ErrLocked, e.PID, e.Host, e.Since.UTC().Format(time.RFC3339))
}

// SafeError is Error.
func (e *LockedError) SafeError() string { return e.Error() }

// Is matches ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

var errTooMany = fmt.Errorf("%w: more than %d ids", ErrInvalid, MaxHeaders)

func describe(what error, id ID, cause error) string {
	return what.Error() + " (item " + id.String() + ")" + safeCause(cause)
}

// safeCause prints only causes that vouch for their text.
func safeCause(err error) string {
	if s, ok := errors.AsType[interface {
		error
		SafeError() string
	}](err); ok {
		return ": " + s.SafeError()
	}
	return ""
}

func causes(what, err error) []error {
	if err == nil {
		return []error{what}
	}
	return []error{what, err}
}
