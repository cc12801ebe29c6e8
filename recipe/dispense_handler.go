package recipe

import (
	"context"
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// The kinds of a Dispenser's items in the outbox.
const (
	KindDispense   outbox.Kind = "recipe.dispense" // status, fetch, deliver, archive: whatever is left to do
	KindDeliver    outbox.Kind = "recipe.deliver"
	KindArchive    outbox.Kind = "recipe.archive"
	KindUndeliver  outbox.Kind = "recipe.undeliver"
	KindFeedback   outbox.Kind = "recipe.feedback"
	KindReport     outbox.Kind = "recipe.report"  // a report that nobody has acknowledged yet: never sent
	kindKeptRecord outbox.Kind = "recipe.fetched" // what was fetched for an item that is not done: never sent
)

// Kinds are the kinds that wait for Recip-e, for counting.
func (d *Dispenser) Kinds() []outbox.Kind {
	return []outbox.Kind{KindDispense, KindDeliver, KindArchive, KindUndeliver}
}

const (
	// firstPause is longer than a person waits: who dispenses in an outage is told at once and does not wait for a second try.
	firstPause = 30 * time.Second
	// feedbackTries is how often a feedback may be refused for a while.
	feedbackTries = 150
)

// DispensePolicy is what the outbox must know about the kinds that are judged by the state of the prescription. They are
// repeated: what was done already shows in the state. An outage of any length parks nothing; the items live for
// [DispenseDays].
func DispensePolicy() outbox.Policy {
	return outbox.Policy{Class: resilience.IdempotentWrite, Tries: -1, Backoff: firstPause, Ask: firstPause}
}

// FeedbackPolicy is what the outbox must know about feedback: it is not repeated when nobody knows whether it arrived.
func FeedbackPolicy() outbox.Policy {
	return outbox.Policy{Class: resilience.UnsafeWrite, Tries: feedbackTries}
}

// Handlers are all kinds of a Dispenser, for outboxes that are put together otherwise than with [Dispenser.Handle].
func (d *Dispenser) Handlers() []Handler {
	out := []Handler{{KindFeedback, outbox.SendFunc(d.sendFeedback), FeedbackPolicy(), ServiceExecutor}}
	for k, g := range map[outbox.Kind]goal{KindDeliver: goalDelivered, KindArchive: goalArchived, KindUndeliver: goalNotDelivered} {
		out = append(out, Handler{k, d.marker(g), DispensePolicy(), ServiceExecutor})
	}
	// What is only kept is done when somebody releases it by hand.
	for _, k := range []outbox.Kind{KindReport, kindKeptRecord} {
		out = append(out, Handler{k, outbox.SendFunc(func(context.Context, outbox.Item, outbox.Attempt) (outbox.Answer, error) {
			return nil, nil
		}), DispensePolicy(), ""})
	}
	return append(out, Handler{KindDispense, outbox.SendFunc(d.sendDispensing), DispensePolicy(), ServiceExecutor})
}

// Handle are the options that make an outbox work for the Dispenser.
func (d *Dispenser) Handle() []outbox.Option { return handle(d.Handlers()) }

// unreadable parks an item that cannot be made into a message.
func (d *Dispenser) unreadable(err error) error { return d.invalid(err) }

// marker sends the kinds that only mark: nothing is fetched for them.
func (d *Dispenser) marker(g goal) outbox.SendFunc {
	return func(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
		rec, err := decodeDispense(it.Payload)
		if err != nil {
			return nil, d.unreadable(err)
		}
		rid, err := rec.rid()
		if err != nil {
			return nil, d.unreadable(err)
		}
		ctx = bounded(ctx, a)
		r := &run{c: d.c, rec: rec, rid: rid, goal: g, fetched: true, only: true, back: d.backOf(it)}
		r.assume(g)
		ans, err := r.to(ctx)
		return d.conclude(ctx, it, a, ans, err)
	}
}

// assume lets a mark begin with its own operation instead of a question: it is refused with the state if it does not fit.
func (r *run) assume(g goal) {
	switch g {
	case goalDelivered:
		r.at, r.who = stateBefore[goalDelivered], ours
	case goalArchived, goalNotDelivered:
		r.at, r.who = stateBefore[goalArchived], ours
	}
}

// sendDispensing is the whole way of a dispensing.
func (d *Dispenser) sendDispensing(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	rec, err := decodeDispense(it.Payload)
	if err != nil {
		return nil, d.unreadable(err)
	}
	rid, err := rec.rid()
	if err != nil {
		return nil, d.unreadable(err)
	}
	ctx = bounded(ctx, a)
	person := ctx.Value(foreground{}) != nil && a.N == 1
	if again, _ := ctx.Value(foreground{}).(bool); !person && !again {
		if box := d.box.Load(); box != nil {
			d.clean(ctx, box, true)
		}
		if err := d.turn(ctx, a.ID); err != nil {
			d.ended(a.ID, err)
			return nil, err
		}
	}
	r := &run{c: d.c, rec: rec, rid: rid, goal: goalArchived, fetched: rec.Fetched != nil}
	if rec.Archive == ArchiveNever || (person && rec.Archive == ArchiveWaited) {
		r.goal = goalDelivered
	}
	r.back = d.backOf(it)
	if person && r.fetched {
		r.assume(goalDelivered)
	}
	if err := d.remember(ctx, r, a.ID); err != nil {
		d.ended(a.ID, err)
		return nil, err
	}
	ans, err := r.to(ctx)
	out, err := d.conclude(ctx, it, a, ans, err)
	if err == nil {
		d.finish(a.ID, rec.At)
		if person {
			d.nudge(ctx)
		}
	}
	return out, err
}

// conclude turns the end of a run into what the outbox keeps.
func (d *Dispenser) conclude(ctx context.Context, it outbox.Item, a outbox.Attempt, ans *dispenseAnswer, err error) (outbox.Answer, error) {
	d.ended(a.ID, err)
	if err != nil {
		d.tellRefusal(it, a.ID, err)
		return nil, err
	}
	if err := d.report(ctx, a.ID, ans); err != nil {
		return nil, err
	}
	if ans.Conflict == ConflictElsewhere && it.Kind != KindUndeliver {
		// The other pharmacy may let it go again: until then it waits.
		e := ans.fault()
		e.Kind, e.Outcome, e.Code, e.RetryAfter = fault.Unavailable, fault.NotSent, codeElsewhere, elsewherePause
		return nil, e
	}
	return ans.encode()
}

// elsewherePause is how long a prescription that another pharmacy has in process is left alone.
const elsewherePause = time.Hour

// Feedback writes to the prescriber of a prescription, or sees to it later. ref is the caller's own reference: the same one
// again is the same message. The error matches outbox.ErrQueued or outbox.ErrUnknown when it is kept.
func (d *Dispenser) Feedback(ctx context.Context, ref string, f Feedback) error {
	const op = "recipe.dispenser.Feedback"
	box := d.box.Load()
	switch {
	case box == nil:
		return d.refuse(op, ErrNoOutbox)
	case ref == "" || len(ref) > 200 || !f.valid():
		return d.refuse(op, ErrRequest)
	}
	rec := &dispenseRecord{Version: recordVersion, RID: f.RID.Reveal(), Reference: ref, Feedback: &messageToOne{
		Prescriber: f.Prescriber.Reveal(), Hospital: f.Hospital, Text: f.Text.Reveal(),
	}}
	payload, err := rec.encode()
	if err != nil {
		return d.refuse(op, err)
	}
	_, err = box.Do(ctx, outbox.Item{
		Kind: KindFeedback, Key: "feedback/" + rec.RID, Ref: ref, Priority: outbox.Background, Expiry: outbox.Days(DispenseDays), Payload: payload,
	})
	return throughOutbox(op, ServiceExecutor, err)
}

func (d *Dispenser) sendFeedback(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	rec, err := decodeDispense(it.Payload)
	if err != nil || rec.Feedback == nil {
		return nil, d.unreadable(errDispenseRecord)
	}
	rid, err := rec.rid()
	if err != nil {
		return nil, d.unreadable(err)
	}
	to, err := identity.ParseNIHIILenient(rec.Feedback.Prescriber)
	if err != nil {
		return nil, d.unreadable(errDispenseRecord)
	}
	return nil, weighed(d.c.Feedback(bounded(ctx, a), Feedback{
		RID: rid, Prescriber: to, Hospital: rec.Feedback.Hospital, Text: identity.Hide(rec.Feedback.Text),
	}))
}

// remember lets a run keep what it fetched until the item is done: a prescription that is delivered already may not be had a
// second time. What was kept must be readable before anything is sent.
func (d *Dispenser) remember(ctx context.Context, r *run, id outbox.ID) error {
	box := d.box.Load()
	if box == nil {
		return nil
	}
	ref := keptRef(id, r.rec.At)
	switch it, err := box.Reveal(ctx, box.ID(kindKeptRecord, ref)); {
	case errors.Is(err, outbox.ErrNotFound), errors.Is(err, outbox.ErrCorrupt):
	case err != nil:
		return d.unstored(err)
	case len(it.Payload) > 0:
		if rec, err := decodeDispense(it.Payload); err == nil && rec.Fetched != nil {
			r.kept, r.fetched = rec.Fetched, true
		}
	}
	r.save = func(ctx context.Context, f *fetchRecord) error {
		payload, err := (&dispenseRecord{Version: recordVersion, RID: r.rec.RID, Fetched: f}).encode()
		if err != nil {
			return d.unreadable(err)
		}
		_, err = box.Put(ctx, outbox.Item{
			Kind: kindKeptRecord, Ref: ref, Held: true, Priority: outbox.Background, Expiry: outbox.Days(DispenseDays + 1), Payload: payload,
		})
		if errors.Is(err, outbox.ErrConflict) {
			return nil // from an earlier try: as good
		}
		return err
	}
	return nil
}
