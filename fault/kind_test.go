package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

var allKinds = []struct {
	kind      Kind
	name      string
	sentinel  error
	temporary bool
}{
	{Invalid, "invalid", ErrInvalid, false},
	{Denied, "denied", ErrDenied, false},
	{NotFound, "not found", ErrNotFound, false},
	{Conflict, "conflict", ErrConflict, false},
	{Throttled, "throttled", ErrThrottled, true},
	{Unavailable, "unavailable", ErrUnavailable, true},
	{Timeout, "timeout", ErrTimeout, true},
	{Protocol, "protocol", ErrProtocol, false},
	{Security, "security", ErrSecurity, false},
	{Canceled, "canceled", ErrCanceled, false},
	{Local, "local", ErrLocal, false},
}

var allOutcomes = []struct {
	outcome         Outcome
	name            string
	sentinel        error
	executed, known bool
	read, write     bool // repeatable
}{
	{Unknown, "unknown", ErrUnknownOutcome, false, false, true, false},
	{NotSent, "not sent", ErrNotSent, false, true, true, true},
	{Rejected, "rejected", ErrRejected, false, true, true, true},
	{Done, "done", ErrDone, true, true, false, false},
}

func TestKinds(t *testing.T) {
	for _, a := range allKinds {
		if a.kind.String() != a.name || a.kind.Temporary() != a.temporary {
			t.Errorf("%v: temporary %v", a.kind, a.kind.Temporary())
		}
		err := fmt.Errorf("outer: %w", &Error{Kind: a.kind, Err: io.EOF})
		for _, b := range allKinds {
			if errors.Is(err, b.sentinel) != (a.kind == b.kind) {
				t.Errorf("a %v error is %v", a.kind, b.sentinel)
			}
		}
		if KindOf(err) != a.kind {
			t.Errorf("KindOf = %v", KindOf(err))
		}
		if !errors.Is(err, io.EOF) {
			t.Error("the cause is lost")
		}
	}
	if Kind(0).String() != "unclassified" || Kind(200).String() != "Kind(200)" || Kind(0).Temporary() {
		t.Error("names outside the set")
	}
}

func TestOutcomes(t *testing.T) {
	for _, a := range allOutcomes {
		executed, known := a.outcome.Executed()
		if a.outcome.String() != a.name || executed != a.executed || known != a.known {
			t.Errorf("%v: executed %v, known %v", a.outcome, executed, known)
		}
		if a.outcome.Repeatable(true) != a.read || a.outcome.Repeatable(false) != a.write {
			t.Errorf("%v: repeatable", a.outcome)
		}
		err := error(&Error{Kind: Timeout, Outcome: a.outcome})
		for _, b := range allOutcomes {
			if errors.Is(err, b.sentinel) != (a.outcome == b.outcome) {
				t.Errorf("%v matches %v", a.outcome, b.sentinel)
			}
		}
		if OutcomeOf(fmt.Errorf("x: %w", err)) != a.outcome {
			t.Error("OutcomeOf")
		}
	}
	if Outcome(99).String() != "Outcome(99)" || Outcome(99).Repeatable(true) {
		t.Error("outside the set")
	}
	if _, known := Outcome(99).Executed(); known {
		t.Error("outside the set")
	}
}

// The zero value must be the careful one: forgetting the field never causes a
// second prescription.
func TestZeroErrorIsCareful(t *testing.T) {
	err := error(&Error{})
	if !errors.Is(err, ErrUnknownOutcome) || errors.Is(err, ErrNotSent) {
		t.Error("the outcome of an empty Error is not Unknown")
	}
	for _, k := range allKinds {
		if errors.Is(err, k.sentinel) {
			t.Errorf("an empty Error is %v", k.sentinel)
		}
	}
}

func TestOfOtherErrors(t *testing.T) {
	if KindOf(nil) != 0 || KindOf(io.EOF) != 0 || OutcomeOf(nil) != Done || OutcomeOf(io.EOF) != Unknown {
		t.Error("KindOf, OutcomeOf")
	}
	var none *Error
	if none.Unwrap() != nil || none.Is(ErrInvalid) || none.Temporary() || none.Timeout() || none.Error() != "<nil>" {
		t.Error("methods of a nil *Error")
	}
	if KindOf(none) != 0 || OutcomeOf(none) != Unknown {
		t.Error("a nil *Error in an error")
	}
	if s := fmt.Sprintf("%v", none); s != "<nil>" {
		t.Errorf("%%v of nil: %s", s)
	}
}

// An unavailable service behind a refused token: the outer Kind is what the
// caller acts on, and the inner error is found with its own sentinel.
func TestNested(t *testing.T) {
	inner := &Error{Op: "sts.Issue", Kind: Denied, Outcome: Rejected}
	err := error(&Error{Op: "insurability.Check", Kind: Unavailable, Outcome: NotSent, Err: inner})
	if KindOf(err) != Unavailable || OutcomeOf(err) != NotSent {
		t.Error("the outer error decides")
	}
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrDenied) {
		t.Error("errors.Is walks the whole tree")
	}
	if e, ok := errors.AsType[*Error](err); !ok || e.Op != "insurability.Check" {
		t.Error("errors.As finds the outer error first")
	}
}

func TestNetError(t *testing.T) {
	var ne net.Error
	err := error(&Error{Kind: Timeout, Err: context.DeadlineExceeded})
	if !errors.As(err, &ne) || !ne.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
		t.Error("a timeout is a net.Error")
	}
	if e := (&Error{Kind: Unavailable}); e.Timeout() || !e.Temporary() {
		t.Error("unavailable is temporary and no timeout")
	}
}
