package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// rxPatience is how long a person waits for one call.
const rxPatience = 1500 * time.Millisecond

// prescribe does the tasks of a child over its store.
func (w *worker) prescribe(ctx context.Context, b *back) error {
	known, err := readWorld(w.World)
	if err != nil {
		return errors.Join(err, b.store.Close())
	}
	hold := sometimes(10)
	if w.Finish {
		hold = nil
	}
	desk, err := known.desk(w.World, b, hold)
	if err != nil {
		return errors.Join(err, b.store.Close())
	}
	desk.w = w
	keys := make([]outbox.Key, len(w.Keys))
	for i, n := range w.Keys {
		if keys[i], err = sealingKey(n); err != nil {
			return errors.Join(err, b.store.Close())
		}
	}
	opts := append(desk.handlers(), outbox.WithLease(lease), outbox.WithPace(-1, -1, -1), outbox.WithGrace(-time.Nanosecond))
	box, err := outbox.Open(ctx, b.store, outbox.NewKeys(keys[0], keys[1:]...), opts...)
	if err != nil {
		return err
	}
	desk.box = box
	desk.prescriber.Use(box)
	desk.dispenser.Use(box)
	return errors.Join(desk.work(ctx), box.Close())
}

// work does the tasks with a worker beside them, as a program does.
func (d *rxDesk) work(ctx context.Context) error {
	w := d.w
	if w.Rotate {
		if _, err := d.box.Rotate(ctx); err != nil {
			return err
		}
		w.tell(report{What: "rotated"})
	}
	limit := time.Duration(w.For) * time.Millisecond
	if w.Finish {
		limit = finishLimit
	}
	work, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	run, stop := context.WithCancel(work)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- d.box.Run(run) }()
	err := d.tasks(work)
	if err == nil {
		err = d.idle(work)
	}
	stop()
	if err := errors.Join(err, <-ended); err != nil || !w.Finish {
		return err
	}
	if work.Err() != nil {
		return fmt.Errorf("%w: %v, left %s", errUnfinished, limit, d.left(ctx))
	}
	return d.account(ctx)
}

// idle waits until nothing waits in the box any more, or the time is over.
func (d *rxDesk) idle(work context.Context) error {
	for work.Err() == nil {
		c, err := d.box.Stats(work)
		if work.Err() != nil {
			return nil // a read that was cut off
		}
		if err != nil || c.Open() == 0 {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// tasks does some beside each other, and at the end of a campaign each until it is settled.
func (d *rxDesk) tasks(work context.Context) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	places := make(chan struct{}, rxBeside)
	for i := range d.w.Rx.Tasks {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if err := d.until(work, &d.w.Rx.Tasks[i]); err != nil && work.Err() == nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// rxBeside is how many people work with one program.
const rxBeside = 4

// until does a task, and at the end of a campaign also what is to follow it.
func (d *rxDesk) until(work context.Context, t *rxTask) error {
	for work.Err() == nil {
		again, err := d.task(work, t)
		switch {
		case err != nil:
			return fmt.Errorf("%s of %s: %w", t.What, t.Ref, err)
		case !d.w.Finish:
			return nil
		case again:
		case t.What == taskCreate && t.RID != "" && t.Then != "":
			t.What = t.Then
		default:
			return nil
		}
	}
	return nil
}

// left describes what is open, for the report of a failure.
func (d *rxDesk) left(ctx context.Context) string {
	var b strings.Builder
	for v, err := range d.box.List(ctx, outbox.Filter{}) {
		if err != nil {
			fmt.Fprintf(&b, "%v; ", err)
		} else if v.State.Open() || v.State == outbox.Parked {
			fmt.Fprintf(&b, "%s %s attempts %d %s due %v expires %v horizon %v last %+v; ", v.Kind, v.State, v.Attempts, v.Reason, v.Due, v.Expires, v.Horizon, v.Last)
		}
	}
	return b.String()
}

// task does one; again tells that it did not come to an end.
func (d *rxDesk) task(work context.Context, t *rxTask) (again bool, err error) {
	ctx, cancel := context.WithTimeout(work, rxPatience)
	defer cancel()
	if t.What == taskCreate {
		return d.create(ctx, work, t)
	}
	rid, err := identity.ParseRID(t.RID)
	if err != nil {
		return false, err
	}
	switch t.What {
	case taskDispense:
		_, err = d.dispenser.Dispense(ctx, recipe.Dispensing{RID: rid, Reference: t.Ref, Archive: recipe.ArchiveNow})
	case taskDeliver:
		err = d.deliver(ctx, rid)
	case taskRevoke:
		err = d.prescriber.QueueRevoke(ctx, rid, identity.Hide("not needed"))
	}
	if err != nil && over(ctx) && !errors.Is(err, outbox.ErrQueued) && !errors.Is(err, outbox.ErrUnknown) {
		return true, nil
	}
	return d.accepted(t, err)
}

// accepted tells a caller what became of a write that is carried out now or later.
func (d *rxDesk) accepted(t *rxTask, err error) (again bool, _ error) {
	fail.Point("ack.before")
	switch {
	case err == nil:
		d.w.tell(report{What: "finished", Ref: t.Ref})
	case errors.Is(err, outbox.ErrQueued), errors.Is(err, outbox.ErrUnknown):
		d.w.tell(report{What: "asked", Ref: t.Ref})
	case passing(err):
		return true, nil
	default:
		return false, err
	}
	return false, nil
}

// create ends with a RID, with a permit for paper, or unsure.
func (d *rxDesk) create(ctx, work context.Context, t *rxTask) (again bool, err error) {
	if t.Unsure && d.w.Finish {
		if _, err := d.prescriber.Wait(work, t.Ref); err != nil {
			return false, err
		}
	}
	req, err := d.request(t)
	if err != nil {
		return false, err
	}
	made, err := d.prescriber.Create(ctx, req)
	fail.Point("ack.before")
	var unsure *recipe.UnsureError
	var not *recipe.NotCreatedError
	switch {
	case err == nil:
		d.created(t, made.RID)
		return false, nil
	case errors.Is(err, recipe.ErrPaperGiven):
		d.w.tell(report{What: "paper", Ref: t.Ref})
		return false, nil
	case errors.As(err, &unsure):
		return d.unsure(work, t, req)
	case errors.As(err, &not):
		return d.paper(work, t)
	case passing(err), over(ctx):
		return true, nil
	}
	return false, err
}

func (d *rxDesk) created(t *rxTask, rid identity.RID) {
	t.RID = rid.Reveal()
	d.w.tell(report{What: "created", Ref: t.Ref, Answer: rid.Reveal()})
}

// unsure tries for paper at once, as an impatient person does: it must be refused, or be found to be in order.
func (d *rxDesk) unsure(work context.Context, t *rxTask, req recipe.CreateRequest) (again bool, err error) {
	t.Unsure = true
	d.w.tell(report{What: "unsure", Ref: t.Ref})
	if d.w.Rx.Careless {
		req.Reference += "/again"
		ctx, cancel := context.WithTimeout(work, rxPatience)
		defer cancel()
		_, err := d.prescriber.Create(ctx, req)
		return true, ignore(err)
	}
	return d.paper(work, t)
}

// ignore is what somebody does who does not look.
func ignore(error) error { return nil }

// paper asks whether paper may be given.
func (d *rxDesk) paper(work context.Context, t *rxTask) (again bool, err error) {
	ctx, cancel := context.WithTimeout(work, paperPatience)
	defer cancel()
	fail.Point("paper.before")
	_, err = d.prescriber.Paper(ctx, t.Ref)
	fail.Point("paper.after")
	if err == nil {
		d.w.tell(report{What: "paper", Ref: t.Ref})
		return false, nil
	}
	if _, ok := errors.AsType[*recipe.UnsureError](err); ok {
		t.Unsure = true
		return true, nil
	}
	if e, ok := errors.AsType[*recipe.CreatedError](err); ok {
		d.created(t, e.RID)
		return false, nil
	}
	if passing(err) || over(ctx) {
		return true, nil
	}
	return false, err
}

// paperPatience is longer: the line may be on loan to a process that was killed.
const paperPatience = 2 * lease

// over tells that the time of a call is over, or as good as.
func over(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && time.Until(end) < 100*time.Millisecond
}

// deliver does what a pharmacy does that has the patient at the counter.
func (d *rxDesk) deliver(ctx context.Context, rid identity.RID) error {
	if _, err := d.executor.Get(ctx, rid); err != nil {
		if state, ok := errors.AsType[*recipe.StateError](err); !ok || !state.Own {
			return err
		}
	}
	later := func(err error) bool { return errors.Is(err, outbox.ErrQueued) || errors.Is(err, outbox.ErrUnknown) }
	if _, err := d.dispenser.Deliver(ctx, rid); err != nil && !later(err) {
		return err
	}
	_, err := d.dispenser.Archive(ctx, rid)
	return err
}

// request is the prescription of a task, the same one whenever it is asked for.
func (d *rxDesk) request(t *rxTask) (recipe.CreateRequest, error) {
	patient, err := identity.ParseSSIN(t.Patient)
	if err != nil {
		return recipe.CreateRequest{}, err
	}
	until, err := kmehr.ParseDay(t.Until)
	if err != nil {
		return recipe.CreateRequest{}, err
	}
	born, month, day, _ := patient.BirthDate()
	h := identity.Hide
	return recipe.CreateRequest{Reference: t.Ref, Type: identity.PrescriptionP0, Prescription: kmehr.Prescription{
		Expires: until,
		Author: kmehr.Author{
			NIHII: d.doctor.NIHII, FirstName: h("Zoë"), FamilyName: h("Janssens"), Phone: h("02 000 00 00"),
			Address: kmehr.Address{Zip: h("1000"), City: h("Bruxelles"), Street: h("Rue Haute"), Number: h("1")},
		},
		Software: kmehr.Software{Name: "Crashtest", Version: "1.0", Phone: "02 000 00 00", Email: "support@example.be"},
		Source:   kmehr.Source{Version: "E.20300101_000000"},
		Patient: kmehr.Patient{
			SSIN: patient, FirstName: h("Anne"), FamilyName: h("Exemple"), Birth: kmehr.NewDay(born, time.Month(month), day), Sex: kmehr.Female,
		},
		Items: []kmehr.Item{{
			Group:    &kmehr.Group{Code: h("0012345"), Name: h("sampleprazole 20 mg")},
			Posology: kmehr.Text{Lang: "fr", Text: h("1 par jour")},
		}},
	}}, nil
}

// account tells what is left in the box: nothing that somebody would have to look at.
func (d *rxDesk) account(ctx context.Context) error {
	v, err := d.box.Verify(ctx)
	if err != nil {
		return err
	}
	if !v.OK() || v.Old > 0 && len(d.w.Keys) == 1 {
		return fmt.Errorf("verify: %+v", v)
	}
	for view, err := range d.box.List(ctx, outbox.Filter{}) {
		if err != nil {
			return err
		}
		r := report{What: "rx-state", Ref: string(view.Kind), Text: view.State.String()}
		refused := view.State == outbox.Rejected && view.Kind != recipe.KindCreate && view.Kind != recipe.KindPaper
		if view.Doubled || view.State == outbox.Parked || view.State.Open() && view.State != outbox.Held || refused {
			r.Answer = fmt.Sprintf("%s %s", view.Reason, view.ID)
		}
		d.w.tell(r)
	}
	return nil
}
