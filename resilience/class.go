package resilience

import "github.com/ehealth-continuity/ehealth/fault"

// Class tells what repeating an operation may do. It belongs to the declaration of the
// operation, never to a single call.
type Class uint8

const (
	// Read changes nothing: it may be asked again, anywhere, whatever became of the first try.
	Read Class = iota
	// IdempotentWrite carries a key that makes a repeat harmless.
	IdempotentWrite
	// ResolvableWrite must not be repeated after an unknown outcome, but a query can tell
	// whether it happened.
	ResolvableWrite
	// UnsafeWrite must not be repeated after an unknown outcome, and only a person can find out.
	UnsafeWrite
)

var classNames = [...]string{"Read", "IdempotentWrite", "ResolvableWrite", "UnsafeWrite"}

// String returns the name of the class.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "Class(?)"
}

// MayRepeat tells whether an operation of this class may be sent again after an attempt that
// ended in o. Rejected counts only when the refusal itself says that a repeat may help; that
// is the caller's knowledge (a fault code, a Retry element), passed as retryable.
func (c Class) MayRepeat(o fault.Outcome, retryable bool) bool {
	switch o {
	case fault.NotSent:
		return true
	case fault.Rejected:
		return retryable
	case fault.Unknown:
		return retryable && (c == Read || c == IdempotentWrite)
	}
	return false
}
