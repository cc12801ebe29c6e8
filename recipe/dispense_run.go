package recipe

import (
	"context"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// counter is what a Dispenser needs of an [Executor].
type counter interface {
	Status(ctx context.Context, rid identity.RID) (*Standing, error)
	Get(ctx context.Context, rid identity.RID) (*Fetched, error)
	Deliver(ctx context.Context, rid identity.RID) error
	Archive(ctx context.Context, rid identity.RID) error
	Undeliver(ctx context.Context, rid identity.RID) error
	Reserve(ctx context.Context, rids []identity.RID) ([]Reserved, error)
	Feedback(ctx context.Context, f Feedback) error
	Caller() Caller
}

// maxSteps bounds one run: the longest way is status, get, deliver, refused, archive, and a state that changes twice.
const maxSteps = 8

// run is one try to bring a prescription to its goal.
type run struct {
	c    counter
	rec  *dispenseRecord
	rid  identity.RID
	goal goal

	at      protocol.PrescriptionStatus
	who     holder
	updater identity.Private
	fetched bool // the content is here, or cannot be had
	moved   bool // something was changed on the platform
	only    bool // nothing but the operation of the goal: for marks, which do not fetch
	tried   map[step]int
	kept    *fetchRecord
	save    func(context.Context, *fetchRecord) error // keeps what was fetched over a crash; nil = it is not kept
	back    func(context.Context) (bool, error)       // tells that it is to be taken back next; nil = it is not
}

// stateBefore is where a prescription stands before a goal, for runs that begin without a question.
var stateBefore = map[goal]protocol.PrescriptionStatus{goalDelivered: protocol.InProcess, goalArchived: protocol.Delivered}

// to reaches the goal or a conflict. An error means that neither is known yet: the run is repeated, and begins with the
// state that the platform has then.
func (r *run) to(ctx context.Context) (*dispenseAnswer, error) {
	r.tried = map[step]int{}
	if r.at == "" {
		if err := r.look(ctx); err != nil {
			return nil, err
		}
	}
	for range maxSteps {
		step, conflict := next(r.goal, r.at, r.who, r.fetched)
		switch {
		case step == stepEnd:
			return r.answer(0), nil
		case step == stepConflict:
			return r.answer(conflict), nil
		case r.tried[step] > 0 && (r.who == unsaid || r.tried[step] > 1), r.only && len(r.tried) > 0:
			// Refused already, and what Recip-e says about it does not tell why.
			return r.answer(ConflictUnclear), nil
		}
		if step == stepArchive {
			back, err := r.takenBack(ctx)
			if err != nil {
				return nil, r.unfinished(err)
			}
			if back {
				continue
			}
		}
		r.tried[step]++
		if err := r.do(ctx, step); err != nil {
			return nil, r.unfinished(err)
		}
	}
	return r.answer(ConflictUnclear), nil
}

// takenBack tells that the delivery is to be taken back next. Then it is not archived, because what is archived cannot be taken
// back; unless an earlier try has archived it, which the platform is asked for where that was not done yet.
func (r *run) takenBack(ctx context.Context) (bool, error) {
	if r.back == nil {
		return false, nil
	}
	back, err := r.back(ctx)
	if err != nil || !back {
		return false, err
	}
	r.goal = goalSettled
	if r.only {
		return true, r.look(ctx)
	}
	return true, nil
}

func (r *run) look(ctx context.Context) error {
	s, err := r.c.Status(ctx, r.rid)
	switch err = weighed(err); {
	case err != nil && neverValid(err):
		return r.unfinished(err)
	case err != nil:
		// A question changes nothing, whatever became of it.
		return r.unfinished(outcome(err, fault.NotSent))
	}
	r.at, r.updater = s.State, s.By
	r.who = holderOf(s.By, r.c.Caller().NIHII)
	return nil
}

// do makes one step. A refusal because of the state is no failure: it says where the prescription stands.
func (r *run) do(ctx context.Context, s step) error {
	var err error
	reached := protocol.NotDelivered
	switch s {
	case stepFetch:
		err, reached = r.fetch(ctx), protocol.InProcess
	case stepDeliver:
		err, reached = r.c.Deliver(ctx, r.rid), protocol.Delivered
	case stepArchive:
		err, reached = r.c.Archive(ctx, r.rid), protocol.Archived
	default:
		err = r.c.Undeliver(ctx, r.rid)
	}
	if state, ok := errors.AsType[*StateError](err); ok {
		r.at, r.updater, r.who = state.State, state.Updater, holderOf(state.Updater, r.c.Caller().NIHII)
		if s == stepFetch {
			r.fetched = true // it is not to be had any more
		}
		return nil
	}
	if err != nil {
		return err
	}
	r.at, r.who, r.moved = reached, ours, true
	r.updater = identity.Hide(r.c.Caller().NIHII.Reveal())
	return nil
}

// fetch takes the prescription into process and compares it with what was dispensed. What cannot be opened now does not
// hold up the delivery: the document is kept, and the report says that nothing was compared.
func (r *run) fetch(ctx context.Context) error {
	f, err := r.c.Get(ctx, r.rid)
	if f == nil {
		return err
	}
	r.fetched = true
	r.kept = keep(f, err, r.rec.items())
	if r.save == nil {
		return nil
	}
	return r.save(ctx, r.kept)
}

// keep makes the record of a prescription that was fetched.
func keep(f *Fetched, err error, items []DispensedItem) *fetchRecord {
	out := &fetchRecord{KeyID: f.KeyID, Created: f.Created}
	if f.Document != nil && len(f.Document.raw) <= maxDocument {
		out.Document = f.Document.raw
	}
	if f.Message != nil && len(items) > 0 {
		out.Compared, out.Differences = true, compare(f.Message, items)
	}
	if alarm, ok := errors.AsType[*AuthorMismatchError](err); ok {
		out.Alarm = alarm.Label
	} else if errors.As(err, new(*StampError)) {
		out.Alarm = alarmStamp
	} else if err != nil {
		out.Unread = fault.KindOf(err).String()
	}
	return out
}

// alarmStamp stands in a record for a [StampError].
const alarmStamp = "stamp"

// unfinished says of the whole run what is known of its last step. What was carried out before it must not be taken for
// nothing: an item of which something was sent is not one that can be cancelled. Nor does the end of one step mean that the
// item is done.
func (r *run) unfinished(err error) error {
	err = passing(weighed(err))
	e, ok := errors.AsType[*fault.Error](err)
	switch {
	case !ok:
		return err
	case e.Outcome == fault.Done, r.moved && e.Outcome != fault.Unknown && e.Kind.Temporary():
		return outcome(err, fault.Unknown)
	}
	return err
}

// outcome is the same error with another outcome.
func outcome(err error, o fault.Outcome) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Outcome == o {
		return err
	}
	out := *e
	out.Outcome, out.Err = o, err
	return &out
}

func (r *run) answer(c Conflict) *dispenseAnswer {
	a := &dispenseAnswer{
		Version: recordVersion, RID: r.rec.RID, Reference: r.rec.Reference, At: r.rec.At, Found: time.Now().Round(0).UTC(), Force: r.rec.Force,
		State: r.at, Updater: r.updater.Reveal(), Conflict: c, Fetched: r.kept,
	}
	if a.Fetched == nil {
		a.Fetched = r.rec.Fetched
	}
	// Each delivery begins with what was fetched for it: what is delivered without was so before.
	a.Before = c == 0 && !r.only && a.Fetched == nil
	return a
}
