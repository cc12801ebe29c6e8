package recipe

import (
	"errors"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Notices that this package decides on (dossier 06 part D).
const (
	// NoticePaper: there is no electronic prescription, and paper may be given.
	NoticePaper = "D-RX-PAPER"
	// NoticePrint: there is one, and the service is unstable: give the patient the proof on paper.
	NoticePrint = "D-RX-PRINT"
	// NoticeProof: a pharmacy may dispense on the paper proof.
	NoticeProof = "D-RX-PROOF"
	// NoticeLater: what was dispensed is still to be confirmed. Its text needs the number.
	NoticeLater = "D-RX-LATER"
	// NoticeTwice: a prescription was dispensed elsewhere already. Its text needs which and when.
	NoticeTwice = "D-RX-TWICE"
	// NoticeUnsure: nobody knows yet whether a write was carried out.
	NoticeUnsure = "D-UNSURE"
	// NoticeDown: Recip-e does not answer.
	NoticeDown = "D-DOWN"
)

// reason is an error whose text is fixed and free of personal data.
type reason string

func (r reason) Error() string     { return string(r) }
func (r reason) SafeError() string { return string(r) }

// What stands in the way. Each is within a *fault.Error.
var (
	// ErrPaperGiven: paper was given for this reference, so there must be no electronic prescription.
	ErrPaperGiven error = reason("recipe: paper was given instead")
	// ErrNotYet: nobody knows yet whether there is an electronic prescription.
	ErrNotYet error = reason("recipe: not known yet whether there is an electronic prescription")
	// ErrAnswer: Recip-e answered something else than its protocol says.
	ErrAnswer error = reason("recipe: answer cannot be read")
	// ErrNoRID: Recip-e says that it created a prescription and not which.
	ErrNoRID error = reason("recipe: answer without a RID")
	// ErrWrongAsker: the answer was made for another question. Nothing of it is shown.
	ErrWrongAsker error = reason("recipe: the answer is not to this question")
	// ErrNobodyWaits: the call that was about to create a prescription is over, so it is not sent.
	ErrNobodyWaits error = reason("recipe: nobody waits for this prescription any more")
	// ErrNoOutbox: a prescriber creates through an outbox, see [Prescriber.Use].
	ErrNoOutbox error = reason("recipe: there is no outbox")
	// ErrReference: the reference of the caller is too long, or not known.
	ErrReference error = reason("recipe: no such reference")
	// ErrContent: a sealed content cannot be unpacked, or is larger than allowed.
	ErrContent error = reason("recipe: content cannot be unpacked")
	// ErrNumber: the number is not that of the prescription, see [Prescriber.Decide].
	ErrNumber error = reason("recipe: this is not the number of the prescription")
	// ErrRequest: the request is not complete.
	ErrRequest error = reason("recipe: request is not complete")
)

// OuterError is a refusal by the platform before Recip-e looked at the request: the outer status (dossier 04 section 13.1,
// row 3).
type OuterError struct{ Status protocol.OuterStatus }

// Error shows the last part of the code.
func (e *OuterError) Error() string { return "recipe: not accepted: " + e.Status.SafeCode() }

// SafeError is Error: it may be logged.
func (e *OuterError) SafeError() string { return e.Error() }

// RefusedError is a refusal by Recip-e (inner status 300 and what else is not success). It was not carried out.
type RefusedError struct{ Status protocol.Status }

// Text is what Recip-e says about it in a language ("fr", "nl", "de", "en"), else in another one, else the code. It may
// speak of the patient.
func (e *RefusedError) Text(lang string) identity.Private { return e.Status.Text(lang) }

// Error shows the code only: texts of the platform may be about a person.
func (e *RefusedError) Error() string { return "recipe: refused: " + e.Status.SafeCode() }

// SafeError is Error: it may be logged.
func (e *RefusedError) SafeError() string { return e.Error() }

// StateError is a refusal because of the state in which a prescription is. errors.As finds a [*RefusedError] in it too.
type StateError struct {
	RefusedError
	// State is where the prescription is now.
	State protocol.PrescriptionStatus
	// Updater is who brought it there, as Recip-e writes it; zero = not said.
	Updater identity.Private
	// Own tells that it was the caller.
	Own bool
	// Twice tells that another pharmacy has delivered it already: notice D-RX-TWICE.
	Twice bool
}

// Error shows the state.
func (e *StateError) Error() string {
	return "recipe: the prescription is " + string(e.State) + " already"
}

// SafeError is Error: it may be logged.
func (e *StateError) SafeError() string { return e.Error() }

// Unwrap returns the RefusedError.
func (e *StateError) Unwrap() error { return &e.RefusedError }

// NotCreatedError says that there certainly is no electronic prescription: paper may be given, see [Prescriber.Paper].
type NotCreatedError struct {
	Reference string // of the request
	// Held: it is kept until [Prescriber.Confirm] says that no paper was given, until midnight at most.
	Held  bool
	Trips []string // as in [Created]
	Err   error    // why
}

// Error says so.
func (e *NotCreatedError) Error() string { return "recipe: not created" + because(e.Err) }

// SafeError is Error: it may be logged.
func (e *NotCreatedError) SafeError() string { return e.Error() }

// Unwrap returns the cause.
func (e *NotCreatedError) Unwrap() error { return e.Err }

// UnsureError says that nobody knows yet whether there is an electronic prescription. It is being found out: see
// [Prescriber.Outcome] and [Prescriber.Wait]. Until then no paper may be given, and the same Reference given again joins.
type UnsureError struct {
	Reference string
	Err       error // what the call ended with
}

// Error says so.
func (e *UnsureError) Error() string {
	return "recipe: not known yet whether it was created" + because(e.Err)
}

// SafeError is Error: it may be logged.
func (e *UnsureError) SafeError() string { return e.Error() }

// Is matches [outbox.ErrUnknown], as every write does of which nobody knows.
func (e *UnsureError) Is(target error) bool { return target == outbox.ErrUnknown }

// Unwrap returns the cause.
func (e *UnsureError) Unwrap() error { return e.Err }

// because prints a cause only when it vouches for its text.
func because(err error) string {
	if s, ok := errors.AsType[interface {
		error
		SafeError() string
	}](err); ok {
		return ": " + s.SafeError()
	}
	return ""
}

// invalid is the error of a request that was not sent.
func (c *client) invalid(op string, err error) *fault.Error {
	return c.local(op, fault.Invalid, err)
}

func (c *client) local(op string, kind fault.Kind, err error) *fault.Error {
	return &fault.Error{Op: op, Service: c.service, Kind: kind, Outcome: fault.NotSent, Err: fault.AsSafe(err)}
}

// throughOutbox is the error of a write that went through the outbox, as a *fault.Error with what its cause says: it matches
// outbox.ErrQueued or outbox.ErrUnknown when it is settled later. nil stays nil.
func throughOutbox(op, service string, err error) error {
	if err == nil {
		return nil
	}
	out := &fault.Error{Op: op, Service: service, Kind: fault.Local, Outcome: fault.NotSent, Err: err}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		out.Kind, out.Endpoint, out.Ticket, out.Code, out.Message = e.Kind, e.Endpoint, e.Ticket, e.Code, e.Message
		out.Attempts, out.RetryAfter, out.Notice, out.Outcome = e.Attempts, e.RetryAfter, e.Notice, e.Outcome
	}
	switch {
	case errors.Is(err, outbox.ErrQueued):
		out.Outcome = fault.NotSent
		if out.Kind == fault.Local {
			out.Kind = fault.Unavailable
		}
	case errors.Is(err, outbox.ErrUnknown):
		out.Outcome, out.Notice = fault.Unknown, NoticeUnsure
	case out.Kind == fault.Local && (errors.Is(err, outbox.ErrConflict) || errors.Is(err, outbox.ErrState)):
		out.Kind = fault.Conflict
	}
	return out
}

// notSent says of a request what an error says of the question that had to come before it: whatever became of that, nothing
// was sent.
func (c *client) notSent(op, notice string, err error) *fault.Error {
	out := &fault.Error{Op: op, Service: c.service, Kind: fault.Unavailable, Outcome: fault.NotSent, Notice: notice, Err: err}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		out.Kind, out.Ticket, out.Code, out.RetryAfter = e.Kind, e.Ticket, e.Code, e.RetryAfter
		if e.Notice != "" {
			out.Notice = e.Notice
		}
	}
	return out
}
