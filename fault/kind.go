package fault

import "fmt"

// Kind says what sort of failure it is, and so who can do something about it.
type Kind uint8

// The kinds. The zero value is no kind: an Error without one is a mistake of
// the code that made it, and prints as "unclassified".
const (
	// Invalid: the request is wrong (field, form, content). Correct it; sending
	// it again unchanged cannot help. Never a reason to switch endpoints.
	Invalid Kind = iota + 1
	// Denied: not authenticated or not authorised. After a new token was tried
	// once, tell the user; when many users get it at once it is an outage.
	Denied
	// NotFound: the thing asked for does not exist. An answer, not a breakdown.
	NotFound
	// Conflict: the state of the thing forbids the operation (already done,
	// already revoked). Look up the state.
	Conflict
	// Throttled: too many requests. Wait RetryAfter, then go slowly.
	Throttled
	// Unavailable: the service or the way to it is down. Retry, another endpoint,
	// stored answer, queue or paper, as Outcome allows.
	Unavailable
	// Timeout: no answer in time. As Unavailable; look at Outcome first.
	Timeout
	// Protocol: something answered, but not as the protocol says (a page of a
	// proxy, an answer that does not parse). Configuration or a defect.
	Protocol
	// Security: a certificate, signature, seal or correlation check failed. Drop
	// the answer, show nothing, never go on silently with another endpoint.
	Security
	// Canceled: the caller gave up. Outcome still tells what is known.
	Canceled
	// Local: a failure on this computer: disk, configuration, clock, key.
	Local
)

var kindNames = [...]string{
	"unclassified", "invalid", "denied", "not found", "conflict", "throttled", "unavailable",
	"timeout", "protocol", "security", "canceled", "local",
}

// String returns a lower-case English word; it is part of the log format.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Temporary reports whether the very same request may succeed later without
// anybody changing anything: Throttled, Unavailable and Timeout. Whether it may
// be sent again is for Outcome to say.
func (k Kind) Temporary() bool { return k == Throttled || k == Unavailable || k == Timeout }

// Outcome says what is known about the execution of a request whose call failed.
type Outcome uint8

// The outcomes. The zero value is the careful one.
const (
	// Unknown: the request was sent, or may have been, and no usable answer came.
	// Reads may be repeated; a write is resolved first, by asking the platform
	// with our own reference.
	Unknown Outcome = iota
	// NotSent: the request certainly did not reach the service whole. It may be
	// sent again, anywhere.
	NotSent
	// Rejected: the service (or the gateway before it) answered that it refuses.
	// It was not carried out; whether to repeat is for the Rule to say.
	Rejected
	// Done: it was carried out; what failed came afterwards. Never repeat.
	Done
)

var outcomeNames = [...]string{"unknown", "not sent", "rejected", "done"}

// String returns a lower-case English word; it is part of the log format.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Executed reports whether the request was carried out; known is false for
// Unknown.
func (o Outcome) Executed() (executed, known bool) {
	return o == Done, o == Done || o == NotSent || o == Rejected
}

// Repeatable reports whether sending the request again does no harm: always
// after NotSent and Rejected, after Unknown only for reads, never after Done.
// It says nothing about whether it would help.
func (o Outcome) Repeatable(read bool) bool {
	switch o {
	case NotSent, Rejected:
		return true
	case Unknown:
		return read
	}
	return false
}

type (
	kindSentinel    Kind
	outcomeSentinel Outcome
)

func (s kindSentinel) Error() string     { return "fault: " + Kind(s).String() }
func (s kindSentinel) SafeError() string { return s.Error() }

func (s outcomeSentinel) Error() string     { return "fault: outcome " + Outcome(s).String() }
func (s outcomeSentinel) SafeError() string { return s.Error() }

// Sentinels for errors.Is. Each matches every *Error of that Kind.
var (
	ErrInvalid     error = kindSentinel(Invalid)
	ErrDenied      error = kindSentinel(Denied)
	ErrNotFound    error = kindSentinel(NotFound)
	ErrConflict    error = kindSentinel(Conflict)
	ErrThrottled   error = kindSentinel(Throttled)
	ErrUnavailable error = kindSentinel(Unavailable)
	ErrTimeout     error = kindSentinel(Timeout)
	ErrProtocol    error = kindSentinel(Protocol)
	ErrSecurity    error = kindSentinel(Security)
	ErrCanceled    error = kindSentinel(Canceled)
	ErrLocal       error = kindSentinel(Local)
)

// Sentinels for errors.Is. Each matches every *Error of that Outcome.
var (
	ErrUnknownOutcome error = outcomeSentinel(Unknown)
	ErrNotSent        error = outcomeSentinel(NotSent)
	ErrRejected       error = outcomeSentinel(Rejected)
	ErrDone           error = outcomeSentinel(Done)
)
