package recipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// Report is what a pharmacist must know about a dispensing: that it could not be confirmed as wanted, that something else was
// dispensed than prescribed, or that something is wrong with the prescription. It stays readable until it is acknowledged. No
// way of printing it shows which prescription it is about.
type Report struct {
	ID         outbox.ID // of the dispensing in the outbox
	RID        identity.RID
	Reference  string    // of the pharmacy
	At         time.Time // when it was dispensed
	Found      time.Time // when this was found out
	Force      bool      // dispensed on the paper proof
	Conflict   Conflict  // 0 = it was confirmed
	State      protocol.PrescriptionStatus
	Updater    identity.Private // who brought the prescription there; zero = not said
	Compared   bool             // what was prescribed was compared with what was dispensed
	Difference []Difference
	Alarm      string // label of an [AuthorMismatchError], or "stamp" for a [StampError]
	Unread     string // why the prescription could not be opened: the word of a fault.Kind
	// Notice is what to show to the person: D-RX-TWICE, else nothing. Recip-e does not say on which day it was dispensed
	// elsewhere, so the notice names none.
	Notice notice.Notice
}

const shownReport = "recipe.Report(redacted)"

// Format writes a fixed text whatever the verb.
func (Report) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shownReport) }

// LogValue returns id and conflict.
func (r Report) LogValue() slog.Value {
	return slog.GroupValue(slog.String("item", r.ID.String()), slog.String("conflict", r.Conflict.String()))
}

// MarshalJSON writes a fixed text.
func (Report) MarshalJSON() ([]byte, error) { return json.Marshal(shownReport) }

// report is what is to be told about an answer; nil = nothing.
func (a *dispenseAnswer) report(id outbox.ID) *Report {
	f := a.Fetched
	if f == nil {
		f = &fetchRecord{}
	}
	conflict := a.Conflict
	if conflict == 0 && a.Before {
		conflict = ConflictBefore
	}
	if conflict == 0 && len(f.Differences) == 0 && f.Alarm == "" && f.Unread == "" {
		return nil
	}
	rid, err := identity.ParseRIDLenient(a.RID)
	if err != nil {
		return nil // it was one when the item was made
	}
	r := &Report{
		ID: id, RID: rid, Reference: a.Reference, At: a.At, Found: a.Found, Force: a.Force, Conflict: conflict, State: a.State,
		Updater: identity.Hide(a.Updater), Compared: f.Compared, Difference: f.Differences, Alarm: f.Alarm, Unread: f.Unread,
	}
	if a.Conflict == ConflictTwice {
		r.Notice = notice.PrescriptionTwice(a.RID, time.Time{})
	}
	return r
}

// document is what was fetched, nil when nothing was.
func (a *dispenseAnswer) document() *Document {
	if a.Fetched == nil || len(a.Fetched.Document) == 0 {
		return nil
	}
	return NewDocument(a.Fetched.Document, a.Fetched.KeyID, received(a.Fetched.Created))
}

// fault is the error of a conflict.
func (a *dispenseAnswer) fault() *fault.Error {
	e := &fault.Error{Op: opDispense, Service: ServiceExecutor, Kind: fault.Conflict, Outcome: fault.Rejected, Err: &StateError{
		RefusedError: RefusedError{protocol.Status{Code: protocol.CodeRefuse, PrescriptionStatus: a.State, StatusUpdater: identity.Hide(a.Updater)}},
		State:        a.State, Updater: identity.Hide(a.Updater), Own: a.Conflict == ConflictArchived, Twice: a.Conflict == ConflictTwice,
	}}
	if rid, err := identity.ParseRIDLenient(a.RID); err == nil && a.Conflict == ConflictTwice {
		e.Notice, e.Err = NoticeTwice, &twiceError{e.Err, rid}
	}
	return e
}

// report stores what is to be told, before the item is done, and tells it.
func (d *Dispenser) report(ctx context.Context, id outbox.ID, a *dispenseAnswer) error {
	r := a.report(id)
	if r == nil {
		return nil
	}
	d.mu.Lock()
	known := d.told[id] == a.Conflict && a.Conflict == ConflictElsewhere
	if a.Conflict == ConflictElsewhere {
		d.told[id] = a.Conflict
	} else {
		delete(d.told, id)
	}
	d.mu.Unlock()
	if known {
		return nil // it waits for the other pharmacy, and was told so
	}
	if err := d.keepReport(ctx, *r, a); err != nil {
		return err
	}
	d.tell(*r)
	return nil
}

// keepReport puts a report into the outbox, where it is held until it is acknowledged. Each conflict of an item is one report,
// however often the item is tried.
func (d *Dispenser) keepReport(ctx context.Context, r Report, a *dispenseAnswer) error {
	box := d.box.Load()
	if box == nil {
		return d.invalid(ErrNoOutbox)
	}
	slim := *a
	if a.Fetched != nil {
		f := *a.Fetched
		f.Document = nil // the answer of the item has it
		slim.Fetched = &f
	}
	payload, err := json.Marshal(reportRecord{ID: r.ID.String(), Answer: &slim})
	if err != nil {
		return d.invalid(errDispenseRecord)
	}
	_, err = box.Put(context.WithoutCancel(ctx), outbox.Item{
		Kind: KindReport, Ref: r.ref(), Held: true, Priority: outbox.Background, Payload: payload,
	})
	if errors.Is(err, outbox.ErrConflict) {
		return nil // from an earlier try: found at another instant
	}
	return err
}

// ref names a report in the outbox. The instant of dispensing is in it because the outbox forgets items, and may give the same
// id again.
func (r Report) ref() string { return fmt.Sprintf("%s/%s/%d", r.ID, r.Conflict, r.At.UnixNano()) }

// reportRecord is a report as it lies in the outbox.
type reportRecord struct {
	ID     string          `json:"id"`
	Answer *dispenseAnswer `json:"answer"`
}

// Reports goes through all reports that nobody has acknowledged, and the items that ended without an answer: refused for
// another reason than the state, parked, or expired after [DispenseDays]; of feedback too.
func (d *Dispenser) Reports(ctx context.Context) iter.Seq2[Report, error] {
	const op = "recipe.dispenser.Reports"
	box := d.box.Load()
	if box == nil {
		return failing[Report](d.refuse(op, ErrNoOutbox))
	}
	return func(yield func(Report, error) bool) {
		for v, err := range box.List(ctx, outbox.Filter{Kind: KindReport, State: outbox.Held}) {
			r, ok, err := d.stored(ctx, box, v, err)
			if (ok || err != nil) && !yield(r, d.ledger(op, err)) {
				return
			}
		}
		for _, k := range append(d.Kinds(), KindFeedback) {
			for _, s := range []outbox.State{outbox.Rejected, outbox.Parked, outbox.Expired} {
				for v, err := range box.List(ctx, outbox.Filter{Kind: k, State: s}) {
					r, ok, err := d.over(ctx, box, v, err)
					if (ok || err != nil) && !yield(r, d.ledger(op, err)) {
						return
					}
				}
			}
		}
	}
}

// stored reads a report that was kept.
func (d *Dispenser) stored(ctx context.Context, box *outbox.Box, v outbox.View, err error) (Report, bool, error) {
	if err != nil {
		return Report{}, false, err
	}
	it, err := box.Reveal(ctx, v.ID)
	if errors.Is(err, outbox.ErrNotFound) || err == nil && len(it.Payload) == 0 {
		return Report{}, false, nil // acknowledged meanwhile
	}
	if err != nil {
		return Report{}, false, err
	}
	rec := reportRecord{}
	if err := json.Unmarshal(it.Payload, &rec); err != nil || rec.Answer == nil {
		return Report{}, false, d.invalid(errDispenseRecord)
	}
	id, err := outbox.ParseID(rec.ID)
	if err != nil {
		return Report{}, false, d.invalid(errDispenseRecord)
	}
	r := rec.Answer.report(id)
	if r == nil {
		return Report{}, false, nil
	}
	return *r, true, nil
}

// over makes a report of an item that nothing more happens to.
func (d *Dispenser) over(ctx context.Context, box *outbox.Box, v outbox.View, err error) (Report, bool, error) {
	if err != nil {
		return Report{}, false, err
	}
	it, err := box.Reveal(ctx, v.ID)
	if errors.Is(err, outbox.ErrNotFound) || err == nil && len(it.Payload) == 0 {
		return Report{}, false, nil
	}
	if err != nil {
		return Report{}, false, err
	}
	rec, err := decodeDispense(it.Payload)
	if err != nil {
		return Report{}, false, d.invalid(err)
	}
	rid, err := rec.rid()
	if err != nil {
		return Report{}, false, d.invalid(err)
	}
	r := Report{ID: v.ID, RID: rid, Reference: rec.Reference, At: rec.At, Found: v.Changed, Force: rec.Force, Conflict: ConflictRefused}
	switch {
	case v.Kind == KindFeedback:
		r.Conflict = ConflictFeedback
	case v.State == outbox.Expired:
		r.Conflict = ConflictTooLate
	}
	return r, true, nil
}

// Acknowledge says that a person has read a report: it is not in Reports any more. Of an item that was refused or parked, the
// item itself is given up; an expired one, and a feedback, likewise.
func (d *Dispenser) Acknowledge(ctx context.Context, r Report) error {
	const op = "recipe.dispenser.Acknowledge"
	box := d.box.Load()
	if box == nil {
		return d.refuse(op, ErrNoOutbox)
	}
	if r.Conflict == ConflictRefused || r.Conflict == ConflictTooLate || r.Conflict == ConflictFeedback {
		if err := giveUp(ctx, box, r.ID); err != nil {
			return d.ledger(op, err)
		}
		d.drop(ctx, box, keptRef(r.ID, r.At)) // what was fetched for it; a program that begins drops what is left
		return nil
	}
	err := box.Cancel(ctx, box.ID(KindReport, r.ref()))
	if errors.Is(err, outbox.ErrNotFound) {
		return nil // acknowledged already, or never kept
	}
	return d.ledger(op, err)
}

// giveUp cancels an item that a person has read about. One of which nobody knows whether it arrived counts as not arrived.
func giveUp(ctx context.Context, box *outbox.Box, id outbox.ID) error {
	err := box.Cancel(ctx, id)
	state, ok := errors.AsType[*outbox.StateError](err)
	switch {
	case ok && state.State == outbox.Cancelled, errors.Is(err, outbox.ErrNotFound):
		return nil // read already
	case ok && state.Pending && state.State == outbox.Parked:
		if err := box.Decide(ctx, id, false); err != nil {
			return err
		}
		return box.Cancel(ctx, id)
	}
	return err
}
