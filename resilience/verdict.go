package resilience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
)

// Verdict is what one attempt says about the address that it went to.
type Verdict uint8

// The verdicts.
const (
	Ignored Verdict = iota // nothing: the caller's mistake, or it never left
	Success                // it works
	Failed                 // it does not
)

// Judge returns the verdict of an attempt that ended in err after latency.
//
// Unavailable, Timeout, Throttled, Protocol and Security are failures of the address; Invalid,
// Denied, NotFound, Conflict, Canceled and Local are the caller's and are ignored, and so is
// what this package refused by itself and a [Failure] that says NotHere. A good answer that took longer than p.Slow is a
// failure; a time-out of an attempt that had less than p.Patience is ignored.
func (p BreakerPolicy) Judge(err error, latency time.Duration) Verdict {
	if err == nil {
		if p.Slow > 0 && latency > p.Slow {
			return Failed
		}
		return Success
	}
	if _, ok := errors.AsType[*Refusal](err); ok {
		return Ignored
	}
	if f, ok := errors.AsType[*Failure](err); ok && f.NotHere {
		return Ignored
	}
	kind := fault.KindOf(err)
	if kind == 0 {
		kind = bareKind(err)
	}
	switch kind {
	case fault.Timeout:
		if latency < p.Patience {
			return Ignored
		}
		return Failed
	case fault.Unavailable, fault.Throttled, fault.Protocol, fault.Security:
		return Failed
	}
	return Ignored
}

// bareKind is the kind of an error that nobody classified.
func bareKind(err error) fault.Kind {
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Timeout
	}
	return fault.Unavailable
}

// errSlow is kept as the last error of a breaker that counts a slow answer.
const errSlow sentinel = "resilience: answer was slow"

// safeText is what may be kept of an error: see fault.Safe.
func safeText(err error) string {
	switch e := err.(type) { //nolint:errorlint // the outermost error speaks
	case nil:
		return ""
	case fault.Safe:
		return e.SafeError()
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Error()
	}
	return fmt.Sprintf("%T", err)
}
