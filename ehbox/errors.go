package ehbox

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
)

// Notices that this package decides on (dossier 06 part D).
const (
	// NoticeDown: eHealthBox does not answer. Its text needs the time since when, which the health of the service knows.
	NoticeDown = "D-DOWN"
	// NoticeQueued: eHealthBox does not answer, and what is to be sent waits. Its text needs the number of letters that wait,
	// which the outbox knows.
	NoticeQueued = "D-MSG-QUEUED"
	// NoticeUnsure: a write was sent, and nobody knows whether it was carried out.
	NoticeUnsure = "D-UNSURE"
	// NoticeBad: one message could not be opened and was set aside.
	NoticeBad = "D-MSG-BAD"
)

// Why a request was not sent. Each stands in a *fault.Error of Kind Invalid.
var (
	ErrRequest       error = reason("ehbox: request is not complete")
	ErrWindow        error = reason("ehbox: a window starts at 1 and has at most 100 rows")
	ErrFolder        error = reason("ehbox: not possible with this folder")
	ErrMessageID     error = reason("ehbox: a message id has 13 letters and digits")
	ErrText          error = reason("ehbox: a text is missing or too long")
	ErrRecipients    error = reason("ehbox: recipients are missing or cannot be sent to")
	ErrParts         error = reason("ehbox: attachments and references do not fit")
	ErrSize          error = reason("ehbox: message is larger than 10 MB")
	ErrPublicationID error = reason("ehbox: a PublicationId has 1 to 13 characters")
)

// StatusError is a refusal by eHealthBox.
type StatusError struct {
	CodeRule
	Known    bool   // the code is in the table
	Messages []Text // what the platform says about it
}

// Error gives the code and our own words for it; the platform's may be about a person.
func (e *StatusError) Error() string {
	return "ehbox: refused: " + safeCode(string(e.Code)) + " " + e.Meaning
}

// SafeError is Error: it may be logged.
func (e *StatusError) SafeError() string { return e.Error() }

// PartialError says for what an operation was not carried out; for everything else it was.
type PartialError struct {
	StatusError
	MessageIDs []MessageID
	OoOIDs     []string
}

// Unwrap gives the StatusError.
func (e *PartialError) Unwrap() error { return &e.StatusError }

// OutOfOfficeError says that recipients are absent and that nothing was sent. The user decides: see [Letter.Despite].
type OutOfOfficeError struct {
	StatusError
	PublicationID string
	Absences      []Absence
}

// Unwrap gives the StatusError.
func (e *OutOfOfficeError) Unwrap() error { return &e.StatusError }

// ErrMismatch reports an answer that belongs to another question. Nothing of it is shown. Every *[MismatchError] matches it.
var ErrMismatch error = reason("ehbox: the answer belongs to another question")

// MismatchError names the field that differs, never its value.
type MismatchError struct{ Field string }

// Error names the field.
func (e *MismatchError) Error() string { return ErrMismatch.Error() + ": " + e.Field }

// SafeError is Error: it may be logged.
func (e *MismatchError) SafeError() string { return e.Error() }

// Is makes errors.Is(err, ErrMismatch) true.
func (e *MismatchError) Is(target error) bool { return target == ErrMismatch }

// invalid is the error of a request that was not sent.
func invalid(op, service string, err error) *fault.Error {
	return &fault.Error{Op: op, Service: service, Kind: fault.Invalid, Outcome: fault.NotSent, Err: fault.AsSafe(err)}
}

// refused is the error of an answer whose status is not success.
func refused(op operation, a *exchange.Answer, r *Reply) *fault.Error {
	e := &fault.Error{
		Op: op.name, Service: op.service, Endpoint: a.Endpoint.URL, Ticket: r.ID, Code: string(r.Code), Attempts: a.Attempts,
		Message: message(r.Messages),
	}
	if fault.IsSOA(string(r.Code)) {
		rule := fault.SOA(string(r.Code), nil)
		e.Kind, e.Outcome, e.Err = rule.Kind, rule.Outcome, &StatusError{
			CodeRule: CodeRule{Code: r.Code, Op: op.name, Kind: rule.Kind, Outcome: rule.Outcome, Meaning: rule.Meaning}, Known: rule.Known, Messages: r.Messages,
		}
		return e
	}
	rule, known := r.Code.Rule(op.name)
	if !known && !r.Code.business() {
		rule.Kind, rule.Outcome = fault.Protocol, fault.Unknown
	}
	e.Kind, e.Outcome = rule.Kind, rule.Outcome
	e.Err = &StatusError{CodeRule: rule, Known: known, Messages: r.Messages}
	return e
}

func message(all []Text) string {
	for _, t := range all {
		if strings.EqualFold(t.Lang, "en") {
			return t.Value.Reveal()
		}
	}
	if len(all) > 0 {
		return all[0].Value.Reveal()
	}
	return ""
}

// judged adds what this service knows of a fault's code. A fault is a refusal like the status of an answer (dossier 03
// section 7).
func judged(op operation, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	f, ok := errors.AsType[*exchange.Fault](e.Err)
	if !ok {
		return err
	}
	code := Code(e.Code)
	if f.SOA == nil { // some stacks leave the detail out: "803: The specified Quality is invalid"
		c, _, _ := strings.Cut(f.FaultString, ":")
		code = Code(trim(c))
	}
	if !code.business() {
		return err
	}
	rule, known := code.Rule(op.name)
	if rule.Class == Accepted { // a fault is no success whatever it says
		rule.Kind, rule.Outcome, rule.Class = fault.Protocol, fault.Unknown, Permanent
	}
	s := &StatusError{CodeRule: rule, Known: known}
	if f.SOA != nil {
		for _, t := range f.SOA.Messages {
			s.Messages = append(s.Messages, Text{Lang: t.Lang, Value: Hide(t.Value)})
		}
	}
	judged := *e
	judged.Kind, judged.Outcome, judged.Code, judged.Notice = rule.Kind, rule.Outcome, string(code), ""
	if rule.Class == Partial { // a fault lists nothing: nothing is known to be done
		judged.Outcome = fault.Rejected
	}
	judged.Err = fault.AsSafe(fmt.Errorf("%w: %w", s, e.Err))
	return &judged
}

// safeCode lets a code of the platform into a text only when it looks like one.
func safeCode(s string) string {
	if s == "" || len(s) > 12 {
		return "?"
	}
	digits := 0
	for i := range len(s) {
		switch b := s[i]; {
		case b >= '0' && b <= '9':
			digits++
		case b >= 'A' && b <= 'Z', b >= 'a' && b <= 'z', b == '_', b == '-', b == '.':
		default:
			return "?"
		}
	}
	if digits > 6 {
		return "?"
	}
	return s
}
