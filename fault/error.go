package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Error is the failure of one call.
type Error struct {
	Op         string        // what the caller asked for, e.g. "insurability.Check"
	Service    string        // which service, e.g. "genericinsurability" or a UDDI id; "" when none was involved
	Endpoint   string        // URL of the last attempt; printed without user name, query and fragment
	Ticket     string        // the platform's number for this failure, to give to its service desk
	Kind       Kind          // what sort of failure
	Code       string        // the platform's code, e.g. "SOA-02002", or a status of the service
	Message    string        // the server's own text: may hold personal data, is never printed
	Attempts   int           // how often the request was tried, 0 when never
	Outcome    Outcome       // whether it may have been carried out
	RetryAfter time.Duration // what the server asked for or we advise, 0 = nothing known
	Notice     string        // id of the text for the person (dossier 06 part D, e.g. "D-INS-UNKNOWN"), "" = none
	Err        error         // the cause; printed only as far as it is known to be safe
}

// Error describes the failure in one line without personal data.
func (e *Error) Error() string {
	if e == nil {
		return "<nil>"
	}
	return e.line()
}

func (e Error) line() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteString(": ")
	}
	b.WriteString(e.Kind.String())
	if e.Service != "" {
		b.WriteString(", service ")
		b.WriteString(e.Service)
	}
	if ep := endpoint(e.Endpoint); ep != "" {
		b.WriteString(" at ")
		b.WriteString(ep)
	}
	b.WriteString(" (outcome ")
	b.WriteString(e.Outcome.String())
	if c := token(e.Code); c != "" {
		b.WriteString(", code ")
		b.WriteString(c)
	}
	if t := token(e.Ticket); t != "" {
		b.WriteString(", ticket ")
		b.WriteString(t)
	}
	if e.Attempts > 0 {
		b.WriteString(", attempts ")
		b.WriteString(strconv.Itoa(e.Attempts))
	}
	b.WriteByte(')')
	if c := cause(e.Err); c != "" {
		b.WriteString(": ")
		b.WriteString(c)
	}
	return mask(printable(b.String()))
}

// SafeError is Error.
func (e *Error) SafeError() string { return e.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Is matches the sentinels of this package by Kind and by Outcome. An error
// further down the chain of causes does not lend its Kind: an unavailable
// service because of a refused token is unavailable, and its cause is denied.
func (e *Error) Is(target error) bool {
	if e == nil {
		return false
	}
	switch t := target.(type) {
	case kindSentinel:
		return e.Kind == Kind(t)
	case outcomeSentinel:
		return e.Outcome == Outcome(t)
	}
	return false
}

// Temporary is Kind.Temporary; with Timeout it makes *Error a net.Error.
func (e *Error) Temporary() bool { return e != nil && e.Kind.Temporary() }

// Timeout reports whether no answer came in time.
func (e *Error) Timeout() bool { return e != nil && e.Kind == Timeout }

// Format writes Error whatever the verb, so that no verb prints the fields.
func (e Error) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('#'):
		_, _ = io.WriteString(f, "fault.Error{"+e.line()+"}")
	case verb == 'q':
		_, _ = io.WriteString(f, strconv.Quote(e.line()))
	default:
		_, _ = io.WriteString(f, e.line())
	}
}

// LogValue returns a group of the printable fields, in the order op, service,
// endpoint, ticket, kind, code, outcome, attempts, retry_after, notice, cause;
// empty ones are left out.
func (e Error) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 11)
	text := func(key, v string) {
		if v != "" {
			attrs = append(attrs, slog.String(key, mask(printable(v))))
		}
	}
	text("op", e.Op)
	text("service", e.Service)
	text("endpoint", endpoint(e.Endpoint))
	text("ticket", token(e.Ticket))
	text("kind", e.Kind.String())
	text("code", token(e.Code))
	text("outcome", e.Outcome.String())
	if e.Attempts > 0 {
		attrs = append(attrs, slog.Int("attempts", e.Attempts))
	}
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	text("notice", token(e.Notice))
	text("cause", cause(e.Err))
	return slog.GroupValue(attrs...)
}

// MarshalJSON writes the fields of LogValue as one object; retry_after is in
// seconds. There is no way back: an error is not stored, it is reported.
func (e Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Op         string  `json:"op,omitempty"`
		Service    string  `json:"service,omitempty"`
		Endpoint   string  `json:"endpoint,omitempty"`
		Ticket     string  `json:"ticket,omitempty"`
		Kind       string  `json:"kind"`
		Code       string  `json:"code,omitempty"`
		Outcome    string  `json:"outcome"`
		Attempts   int     `json:"attempts,omitempty"`
		RetryAfter float64 `json:"retry_after,omitempty"`
		Notice     string  `json:"notice,omitempty"`
		Cause      string  `json:"cause,omitempty"`
	}{
		mask(e.Op), mask(e.Service), mask(endpoint(e.Endpoint)), mask(token(e.Ticket)), e.Kind.String(), mask(token(e.Code)),
		e.Outcome.String(), e.Attempts, e.RetryAfter.Seconds(), mask(token(e.Notice)), mask(cause(e.Err)),
	})
}

// KindOf returns the Kind of the first *Error in err's tree, 0 when there is
// none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok && e != nil {
		return e.Kind
	}
	return 0
}

// OutcomeOf returns the Outcome of the first *Error in err's tree. It is Done
// for nil, and Unknown for an error of another type.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Done
	}
	if e, ok := errors.AsType[*Error](err); ok && e != nil {
		return e.Outcome
	}
	return Unknown
}
