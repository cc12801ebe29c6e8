package recipe

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

// Executor speaks with Recip-e for one pharmacy. What it marks is marked now or not at all; for what must be confirmed
// whatever happens to the connection, see [Dispenser]. It is safe for concurrent use.
type Executor struct {
	*client
	stamps *StampTrust
}

// NewExecutor makes a client for the pharmacy who. Nothing is asked.
func NewExecutor(p Platform, who Caller, opts ...Option) (*Executor, error) {
	c, err := newClient(protocol.Executor, ServiceExecutor, p, who, opts)
	if err != nil {
		return nil, err
	}
	if who.NIHII.IsZero() {
		return nil, reason("recipe: a pharmacy has a NIHII number")
	}
	return &Executor{client: c}, nil
}

// Config returns the resolved configuration.
func (x *Executor) Config() Config { return x.conf }

// Caller returns who calls.
func (x *Executor) Caller() Caller { return x.who }

// WithStampTrust returns an executor that verifies the signatures of time-stamped prescriptions. Without it they are marked
// [StampUnverified]: who signs them in production is not published.
func (x *Executor) WithStampTrust(t StampTrust) *Executor {
	return &Executor{client: x.client, stamps: &t}
}

func executorOp(name string) operation { return operate(protocol.Executor, name, NoticeDown) }

// The operations of a pharmacy (dossier 04 section 4.2).
var (
	opExecutorGet       = operate(protocol.Executor, "getPrescriptionForExecutor", NoticeProof)
	opExecutorDeliver   = operate(protocol.Executor, "markAsDelivered", NoticeProof)
	opExecutorArchive   = executorOp("markAsArchived")
	opExecutorUndeliver = executorOp("markAsUnDelivered")
	opExecutorRevoke    = executorOp("revokePrescription")
	opExecutorFeedback  = executorOp("createFeedback")
	opExecutorNotes     = executorOp("listNotifications")
	opExecutorReserve   = executorOp("putRidsInProcess")
	opExecutorInProcess = executorOp("listRidsInProcess")
	opExecutorOpen      = executorOp("listOpenPrescriptions")
	opExecutorHistory   = executorOp("listRidsHistory")
	opExecutorReserved  = executorOp("listReservations")
	opExecutorRelations = executorOp("listRelations")
	opExecutorStatus    = executorOp("getPrescriptionStatus")
)

// party names the caller, as the official module does.
func (x *Executor) party() protocol.Party { return protocol.Party{ExecutorID: x.who.NIHII} }

// Standing is where a prescription stands.
type Standing struct {
	State protocol.PrescriptionStatus
	By    identity.Private // the pharmacy that has it, as Recip-e writes it; zero = not said
	Own   bool             // it is the caller
}

func (c *client) standing(state protocol.PrescriptionStatus, by identity.Private) *Standing {
	return &Standing{State: state, By: by, Own: holderOf(by, c.who.NIHII) == ours}
}

// errNoState is a status without the state that was asked for.
const errNoState reason = "recipe: the answer names no state"

// Status asks where a prescription stands.
func (x *Executor) Status(ctx context.Context, rid identity.RID) (*Standing, error) {
	return x.status(ctx, opExecutorStatus, rid, x.party())
}

func (c *client) status(ctx context.Context, op operation, rid identity.RID, party protocol.Party) (*Standing, error) {
	if rid.IsZero() {
		return nil, c.noRID(op)
	}
	a, err := ask(ctx, c, question[*protocol.GetPrescriptionStatusResult]{
		op: op, result: func() *protocol.GetPrescriptionStatusResult { return new(protocol.GetPrescriptionStatusResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.GetPrescriptionStatusParam{Party: party, RID: rid, Keyed: k}
		},
	})
	if err != nil {
		return nil, err
	}
	state, by := a.Result.PrescriptionStatus, a.Result.ExecutorID
	if by.IsZero() {
		by = a.Result.Status.StatusUpdater
	}
	if state == "" {
		return nil, &fault.Error{Op: op.name, Service: c.service, Endpoint: a.Endpoint.URL, Kind: fault.Protocol, Outcome: fault.Done, Err: errNoState}
	}
	return c.standing(state, by), nil
}

// noRID is the refusal of what names no prescription, with the code of the official module (4001018).
func (c *client) noRID(op operation) error {
	_, err := protocol.CheckRID("")
	return c.invalid(op.name, err)
}

// Deliver marks a prescription that is in process at this pharmacy as delivered. That it is delivered by this pharmacy
// already is a success. Otherwise a state that forbids it is a [*StateError], within a *fault.Error; when it was delivered
// elsewhere, with notice D-RX-TWICE.
func (x *Executor) Deliver(ctx context.Context, rid identity.RID) error {
	return marked(x.client, rid, protocol.Delivered, askAbout(ctx, x.client, rid, question[*protocol.MarkAsDeliveredResult]{
		op: opExecutorDeliver, result: func() *protocol.MarkAsDeliveredResult { return new(protocol.MarkAsDeliveredResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.MarkAsDeliveredParam{Party: x.party(), RID: rid, Keyed: k}
		},
	}))
}

// Archive marks a delivered prescription as archived; errors as for Deliver.
func (x *Executor) Archive(ctx context.Context, rid identity.RID) error {
	return marked(x.client, rid, protocol.Archived, askAbout(ctx, x.client, rid, question[*protocol.MarkAsArchivedResult]{
		op: opExecutorArchive, result: func() *protocol.MarkAsArchivedResult { return new(protocol.MarkAsArchivedResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.MarkAsArchivedParam{Party: x.party(), RID: rid, Keyed: k}
		},
	}))
}

// Undeliver takes a delivery back, or lets go of what is in process: every pharmacy may have it again. Errors as for Deliver.
func (x *Executor) Undeliver(ctx context.Context, rid identity.RID) error {
	return marked(x.client, rid, protocol.NotDelivered, askAbout(ctx, x.client, rid, question[*protocol.MarkAsUndeliveredResult]{
		op: opExecutorUndeliver, result: func() *protocol.MarkAsUndeliveredResult { return new(protocol.MarkAsUndeliveredResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.MarkAsUndeliveredParam{Party: x.party(), RID: rid, Keyed: k}
		},
	}))
}

// Revoke takes a prescription away for good. The reason is free text, and required. That it is revoked already is a success;
// errors as for Deliver.
func (x *Executor) Revoke(ctx context.Context, rid identity.RID, why identity.Private) error {
	return x.revokeAs(ctx, opExecutorRevoke, rid, why, x.party())
}

func (c *client) revokeAs(ctx context.Context, op operation, rid identity.RID, why identity.Private, party protocol.Party) error {
	if why.IsZero() {
		return c.invalid(op.name, ErrRequest)
	}
	return marked(c, rid, protocol.Revoked, askAbout(ctx, c, rid, question[*protocol.RevokePrescriptionResult]{
		op: op, result: func() *protocol.RevokePrescriptionResult { return new(protocol.RevokePrescriptionResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.RevokePrescriptionParam{Party: party, RID: rid, Reason: why, Keyed: k}
		},
	}))
}

// askAbout asks a question about one prescription whose answer is a status alone.
func askAbout[R protocol.Result](ctx context.Context, c *client, rid identity.RID, q question[R]) error {
	if rid.IsZero() {
		return c.noRID(q.op)
	}
	_, err := ask(ctx, c, q)
	return err
}

// marked judges a refusal by the state it names (dossier 04 section 14.3): the state that was wanted, caused by the caller,
// is a success. Nobody owns NotDelivered and Revoked: there whoever caused them has done what was wanted.
func marked(c *client, rid identity.RID, want protocol.PrescriptionStatus, err error) error {
	state, ok := errors.AsType[*StateError](err)
	if !ok {
		return err
	}
	anybody := want == protocol.NotDelivered || want == protocol.Revoked
	if state.State == want && (anybody || holderOf(state.Updater, c.who.NIHII) == ours) {
		return nil
	}
	if e, is := errors.AsType[*fault.Error](err); is {
		state.Twice = twice(state.State, holderOf(state.Updater, c.who.NIHII))
		if state.Twice {
			e.Notice, e.Err = NoticeTwice, &twiceError{e.Err, rid}
		}
	}
	return err
}

// twiceError is the cause of an error with notice D-RX-TWICE, whose text names the prescription.
type twiceError struct {
	error
	rid identity.RID
}

// Unwrap returns the cause.
func (e *twiceError) Unwrap() error { return e.error }

// SafeError is that of the cause: the number is not in it.
func (e *twiceError) SafeError() string { return strings.TrimPrefix(because(e.error), ": ") }

// Error is SafeError.
func (e *twiceError) Error() string { return e.SafeError() }

// NoticeParams implements notice.Detailed. Recip-e does not say on which day it was.
func (e *twiceError) NoticeParams() notice.Params { return notice.Params{Prescription: e.rid.Reveal()} }

// twice tells that another pharmacy has delivered a prescription.
func twice(at protocol.PrescriptionStatus, who holder) bool {
	return who == another && (at == protocol.Delivered || at == protocol.Archived)
}

// Reserved is where one prescription stands after [Executor.Reserve].
type Reserved struct {
	RID identity.RID
	Standing
	// Err is why nothing is known of it: Recip-e did not mention it. nil = it did.
	Err error
}

// Got tells that this pharmacy has it in process.
func (r Reserved) Got() bool { return r.Err == nil && r.Own && r.State == protocol.InProcess }

// errNotMentioned is a prescription that an answer leaves out.
const errNotMentioned reason = "recipe: the answer leaves this prescription out"

// Reserve takes one to ten prescriptions into process, so that no other pharmacy can dispense them. There is a result for
// each, in the same order: Recip-e says who has it, whether the caller got it or not. More than ten is an error (500024) and
// nothing is sent; see [Executor.ReserveAll].
func (x *Executor) Reserve(ctx context.Context, rids []identity.RID) ([]Reserved, error) {
	if err := protocol.CheckRIDs(rids); err != nil {
		return nil, x.invalid(opExecutorReserve.name, err)
	}
	a, err := ask(ctx, x.client, question[*protocol.PutRidsInProcessResult]{
		op: opExecutorReserve, result: func() *protocol.PutRidsInProcessResult { return new(protocol.PutRidsInProcessResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.PutRidsInProcessParam{Party: x.party(), RIDs: rids, Keyed: k}
		},
	})
	if err != nil {
		return nil, err
	}
	out := make([]Reserved, len(rids))
	for i, rid := range rids {
		out[i] = Reserved{RID: rid, Err: &fault.Error{
			Op: opExecutorReserve.name, Service: x.service, Kind: fault.Protocol, Outcome: fault.Unknown, Err: errNotMentioned,
		}}
		for _, item := range a.Result.Items {
			if item.RID.Reveal() == rid.Reveal() {
				out[i] = Reserved{RID: rid, Standing: *x.standing(item.PrescriptionStatus, item.StatusUpdater)}
			}
		}
	}
	return out, nil
}

// ReserveAll is Reserve for any number, ten with each call, in the order given. When a call fails the results of those before
// it are returned with its error; the rest was not asked for.
func (x *Executor) ReserveAll(ctx context.Context, rids []identity.RID) ([]Reserved, error) {
	var out []Reserved
	for len(rids) > 0 {
		n := min(len(rids), protocol.MaxRIDsInProcess)
		got, err := x.Reserve(ctx, rids[:n])
		if err != nil {
			return out, err
		}
		out, rids = append(out, got...), rids[n:]
	}
	return out, nil
}

// received is when Recip-e took a content in, as far as it says; answers from the future are not believed.
func received(created time.Time) time.Time {
	if created.After(time.Now()) {
		return time.Time{}
	}
	return created
}
