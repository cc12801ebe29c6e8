package recipe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

const opDispense = "recipe.dispense"

// DispenseDays is how long a dispensing may wait for Recip-e: pharmacies have two months to send prescriptions to the
// tarification office (dossier 06 B.4.3).
const DispenseDays = 60

// Dispenser is the pharmacy's side of Recip-e through an outbox: what was dispensed is confirmed exactly once, when Recip-e
// answers at once and when it does not answer for days.
//
//	d, err := recipe.NewDispenser(executor)
//	box, err := outbox.Open(ctx, store, keys, d.Handle()...)
//	d.Use(box)
//	got, err := d.Dispense(ctx, recipe.Dispensing{RID: rid, Items: items})
//	if errors.Is(err, outbox.ErrQueued) {
//		// dispense on the paper proof; show got.Notices; the rest happens by itself
//	}
//
// What was done already shows in the state of the prescription, which is asked for anew after every failure and every restart:
// each step is carried out once. After an outage the oldest dispensing finds out whether Recip-e answers; then up to 200 are
// taken into process and confirmed in the order in which they were given. One that is cancelled in the outbox after that stays in process
// at this pharmacy: let go of it with [Executor.Undeliver].
//
// It is safe for concurrent use.
type Dispenser struct {
	c        counter
	reserve  bool
	onReport func(Report)
	box      atomic.Pointer[outbox.Box]

	mu       sync.Mutex
	order    order
	told     map[outbox.ID]Conflict
	finished []string // names of what was kept for items that should be done by now
	cleaned  bool     // what earlier programs left was dropped
}

// DispenserOption changes a default of [NewDispenser].
type DispenserOption func(*Dispenser) error

// WithoutReservation leaves out putRidsInProcess. By default, when several dispensings wait and Recip-e answers again, all of
// them are taken into process first, ten with each call, oldest first, so that no other pharmacy can dispense them meanwhile.
func WithoutReservation() DispenserOption {
	return func(d *Dispenser) error { d.reserve = false; return nil }
}

// WithReports calls f with every report that a try finds, in the goroutine that found it; f must not block, and its panic is
// no failure. After a crash it may be called twice with the same one. [Dispenser.Reports] has them all, those of items whose
// time was over included.
func WithReports(f func(Report)) DispenserOption {
	return func(d *Dispenser) error { d.onReport = f; return nil }
}

// NewDispenser makes a Dispenser that speaks through x.
func NewDispenser(x *Executor, opts ...DispenserOption) (*Dispenser, error) {
	if x == nil {
		return nil, reason("recipe: a dispenser needs an executor")
	}
	return newDispenser(x, opts)
}

func newDispenser(c counter, opts []DispenserOption) (*Dispenser, error) {
	d := &Dispenser{c: c, reserve: true, told: map[outbox.ID]Conflict{}, order: order{
		inTurn: map[outbox.ID]bool{}, yielded: map[outbox.ID]bool{}, reserved: map[outbox.ID]bool{},
	}}
	for _, o := range opts {
		if err := o(d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Use says which outbox the dispensings go through. It must have the handlers of [Dispenser.Handlers].
func (d *Dispenser) Use(b *outbox.Box) { d.box.Store(b) }

// ArchiveWhen says when a dispensing is archived by the Dispenser.
type ArchiveWhen uint8

// When to archive.
const (
	// ArchiveWaited: a dispensing that had to wait is archived with its confirmation, because it was made on the proof; one
	// that Recip-e confirms at once is only delivered. It is the default.
	ArchiveWaited ArchiveWhen = iota
	// ArchiveNow: always with the confirmation.
	ArchiveNow
	// ArchiveNever: see [Dispenser.Archive].
	ArchiveNever
)

// Dispensing is a prescription that was dispensed.
type Dispensing struct {
	// RID is what stands on the proof.
	RID identity.RID
	// Reference is the pharmacy's own, such as the number of the sale. It comes back in reports. At most 200 bytes.
	Reference string
	// At is when it was dispensed; zero = now.
	At time.Time
	// ForceMajeure marks a dispensing on the paper proof (dossier 04 section 15.1).
	ForceMajeure bool
	// Items are what was given, to be compared with what was prescribed; none = nothing is compared.
	Items []DispensedItem
	// Archive says when it is archived.
	Archive ArchiveWhen
	// Fetched is what [Executor.Get] gave, when it did: then it is not fetched again, and confirming is one request.
	Fetched *Fetched
}

// DispensedState is how far a dispensing is.
type DispensedState uint8

// The states of a dispensing.
const (
	// DispensedConfirmed: Recip-e knows.
	DispensedConfirmed DispensedState = iota + 1
	// DispensedQueued: it is on disk, and is confirmed by itself when Recip-e answers.
	DispensedQueued
	// DispensedUnknown: it was sent without an answer. It is looked up and completed by itself.
	DispensedUnknown
	// DispensedConflict: it cannot be confirmed; see Report.
	DispensedConflict
)

// String returns a lower-case English word.
func (s DispensedState) String() string {
	words := [...]string{"?", "confirmed", "queued", "unknown", "conflict"}
	if int(s) >= len(words) {
		return words[0]
	}
	return words[s]
}

// Dispensed is what became of a dispensing so far.
type Dispensed struct {
	State  DispensedState
	ID     outbox.ID                   // of the item in the outbox
	Before bool                        // it was known before this call: the same prescription was scanned twice
	Status protocol.PrescriptionStatus // where the prescription stands; "" = not known
	// Document is the prescription as Recip-e gave it, for the archive of the pharmacy; nil when it was not fetched by this
	// dispensing. It opens with [Executor.Open].
	Document *Document
	// Report tells of a conflict, or of differences between what was prescribed and what was dispensed; nil = none.
	Report *Report
	// Notices are what to show to the person, in this order.
	Notices []notice.Notice
}

// Dispense confirms a dispensing, or keeps it until it can be confirmed. With a nil error Recip-e knows it. When errors.Is says
// outbox.ErrQueued or outbox.ErrUnknown there is a Dispensed too, whose State and Notices say so, and nothing is to be done.
// After a conflict the error is a *fault.Error around a [*StateError], and Report is set. When Recip-e refuses what is asked, such
// as a number that it does not know, it is one around a [*RefusedError] and the Report is of [ConflictRefused]: that is not tried
// again. After any other error nothing is known to be kept, because the store does not work: scan it again later, or mark it with
// the [Executor].
//
// The same RID again is the same dispensing, until it was taken back with Undeliver or, as Recip-e says when it answers,
// otherwise. A prescription that this pharmacy had delivered before, which the outbox does not know, is confirmed too, with
// Before set and a Report of [ConflictBefore]. Dispense ends within ctx's deadline, and
// after at most 15 s; after at most 5 s when Recip-e did not answer in the last two minutes.
func (d *Dispenser) Dispense(ctx context.Context, x Dispensing) (*Dispensed, error) {
	rec, err := x.record()
	if err != nil {
		return nil, d.invalid(err)
	}
	return d.put(ctx, KindDispense, rec)
}

// Deliver marks a prescription that is in process at this pharmacy as delivered, or sees to it later.
func (d *Dispenser) Deliver(ctx context.Context, rid identity.RID) (*Dispensed, error) {
	return d.mark(ctx, KindDeliver, rid)
}

// Archive marks a delivered prescription as archived, or sees to it later.
func (d *Dispenser) Archive(ctx context.Context, rid identity.RID) (*Dispensed, error) {
	return d.mark(ctx, KindArchive, rid)
}

// Undeliver takes a delivery back, or sees to it later. Afterwards the prescription can be dispensed anew. It is settled when
// what was asked before about the same prescription is: an archive that was not carried out yet is left out, and one that was is
// final, which is a conflict of [ConflictArchived].
func (d *Dispenser) Undeliver(ctx context.Context, rid identity.RID) (*Dispensed, error) {
	return d.mark(ctx, KindUndeliver, rid)
}

func (d *Dispenser) mark(ctx context.Context, k outbox.Kind, rid identity.RID) (*Dispensed, error) {
	rec, err := (Dispensing{RID: rid}).record()
	if err != nil {
		return nil, d.invalid(err)
	}
	return d.put(ctx, k, rec)
}

func (d *Dispenser) invalid(err error) *fault.Error {
	return &fault.Error{Op: opDispense, Service: ServiceExecutor, Kind: fault.Invalid, Outcome: fault.NotSent, Err: fault.AsSafe(err)}
}

// record checks a dispensing and makes what is kept of it.
func (x Dispensing) record() (*dispenseRecord, error) {
	if x.RID.IsZero() || len(x.Reference) > 200 || len(x.Items) > maxDispensed || x.Archive > ArchiveNever {
		return nil, ErrRequest
	}
	if x.Fetched != nil && x.Fetched.RID.Reveal() != x.RID.Reveal() {
		return nil, ErrRequest
	}
	if x.At.IsZero() {
		x.At = time.Now()
	}
	r := &dispenseRecord{
		Version: recordVersion, RID: x.RID.Reveal(), Reference: x.Reference, At: x.At.Round(0).UTC(), Force: x.ForceMajeure,
		Archive: x.Archive, Items: itemRecords(x.Items),
	}
	if x.Fetched != nil {
		r.Fetched = keep(x.Fetched, nil, x.Items)
	}
	return r, nil
}

// foreground marks the context of a call that a person waits for; its value is that of slot.asked.
type foreground struct{}

// put gives an item to the outbox, or joins the one that is there for the same prescription.
func (d *Dispenser) put(ctx context.Context, k outbox.Kind, rec *dispenseRecord) (*Dispensed, error) {
	box := d.box.Load()
	if box == nil {
		return nil, d.invalid(ErrNoOutbox)
	}
	ctx, cancel := context.WithTimeout(ctx, d.patience())
	defer cancel()
	for {
		place, err := d.slot(ctx, box, k, rec.RID)
		if err != nil {
			return nil, d.unkept(err, fault.NotSent)
		}
		if place.settled {
			res, err := box.Result(ctx, place.id)
			return d.said(ctx, box, rec, res, err, true)
		}
		payload := place.payload
		if payload == nil {
			if payload, err = rec.encode(); err != nil {
				return nil, d.invalid(err)
			}
		}
		res, err := box.Do(context.WithValue(ctx, foreground{}, place.asked), outbox.Item{
			Kind: k, Key: "rx/" + rec.RID, Ref: place.ref, Priority: outbox.Background, Expiry: outbox.Days(DispenseDays), Payload: payload,
		})
		if errors.Is(err, outbox.ErrConflict) && ctx.Err() == nil {
			continue // somebody else scanned it at the same moment
		}
		d.clean(ctx, box, false)
		if refusedForGood(err) {
			return &Dispensed{State: DispensedConflict, ID: place.id, Before: place.payload != nil, Report: refusal(payload, place.id, time.Now())},
				throughOutbox(opDispense, ServiceExecutor, err)
		}
		return d.said(ctx, box, rec, res, err, place.payload != nil)
	}
}

const (
	// hurried is how long a person waits when Recip-e did not answer lately, and lately how long that counts.
	hurried = 5 * time.Second
	lately  = 2 * time.Minute
)

// patience is how long a person waits for Recip-e: the queue at the desk is served in an outage too.
func (d *Dispenser) patience() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.order.failedAt.IsZero() && time.Since(d.order.failedAt) < lately {
		return hurried
	}
	return outbox.DefaultDeadline
}

// slot is where an item of a prescription goes.
type slot struct {
	ref     string
	id      outbox.ID
	settled bool   // it is there, and done
	payload []byte // it is there, and waits: what it holds
	asked   bool   // it waits for another pharmacy, and a person wants to know whether that one has let go
}

// maxSlots bounds how often one prescription may be dispensed and taken back, and cancelled in between.
const maxSlots = 100

// slot finds the item of this kind for a prescription: the one that is there, or the next free place. A dispensing that
// was taken back is over; so is one that was cancelled, refused, or ended in a conflict, which may be gone.
func (d *Dispenser) slot(ctx context.Context, box *outbox.Box, k outbox.Kind, rid string) (*slot, error) {
	known := &shelf{box: box, kind: k, rid: rid}
	round, err := known.round(ctx)
	if err != nil {
		return nil, err
	}
	for n := range maxSlots {
		s := &slot{ref: slotRef(rid, round, n)}
		s.id = box.ID(k, s.ref)
		v, err := known.at(ctx, k, round, n)
		switch {
		case err != nil:
			return nil, err
		case v == nil:
			return s, nil
		case v.State == outbox.Cancelled, v.State == outbox.Expired, v.State == outbox.Rejected, v.State == outbox.Parked:
			continue
		case v.State == outbox.Done:
			over, err := conflicted(ctx, box, s.id)
			if over || err == nil && d.undone(ctx, k, rid) {
				continue
			}
			s.settled = true
			return s, err
		}
		if v.Last != nil && v.Last.Code == codeElsewhere {
			s.asked = true
			if err := box.Retry(ctx, s.id); err != nil && !errors.Is(err, outbox.ErrState) {
				return nil, err
			}
		}
		it, err := box.Reveal(ctx, s.id)
		s.payload = it.Payload
		return s, err
	}
	return nil, d.invalid(outbox.ErrConflict)
}

// shelf is what the outbox has of a prescription. It is read some at a time: each read may be a trip to a server, and a person
// waits.
type shelf struct {
	box  *outbox.Box
	kind outbox.Kind
	rid  string
	read map[outbox.ID]*outbox.View // nil = it was not there
}

// shelfWidth is how many rounds, and slots of a round, are read with the one that is asked for: most prescriptions have one of each.
const shelfWidth = 3

func slotRef(rid string, round, n int) string { return fmt.Sprintf("%s/%d/%d", rid, round, n) }

// at is the item of a kind in a slot; nil = there is none.
func (s *shelf) at(ctx context.Context, k outbox.Kind, round, n int) (*outbox.View, error) {
	id := s.box.ID(k, slotRef(s.rid, round, n))
	if v, done := s.read[id]; done {
		return v, nil
	}
	ids := []outbox.ID{id}
	for i := range shelfWidth {
		ids = append(ids, s.box.ID(s.kind, slotRef(s.rid, round, n+i)))
		for _, first := range []outbox.Kind{KindUndeliver, KindDispense, KindDeliver, KindArchive} {
			ids = append(ids, s.box.ID(first, slotRef(s.rid, round+i, 0)))
		}
	}
	views, err := s.box.ShowAll(ctx, ids...)
	if err != nil {
		return nil, err
	}
	if s.read == nil {
		s.read = map[outbox.ID]*outbox.View{}
	}
	for _, id := range ids {
		s.read[id] = nil
		if v, there := views[id]; there && v.State != 0 { // without: it was damaged, and Recip-e knows whether it was done
			s.read[id] = &v
		}
	}
	return s.read[id], nil
}

// round counts how often a delivery of this prescription was taken back. Taking back itself belongs to the round that it
// ends: asked for twice, it is one.
func (s *shelf) round(ctx context.Context) (int, error) {
	n := 0
	for ; n < maxSlots; n++ {
		v, err := s.at(ctx, KindUndeliver, n, 0)
		if err != nil {
			return 0, err
		}
		if v == nil {
			break
		}
	}
	if s.kind != KindUndeliver || n == 0 {
		return n, nil
	}
	for _, other := range []outbox.Kind{KindDispense, KindDeliver, KindArchive} {
		if v, err := s.at(ctx, other, n, 0); err != nil || v != nil {
			return n, err
		}
	}
	return n - 1, nil
}

// conflicted tells that an item is done without having reached its goal.
func conflicted(ctx context.Context, box *outbox.Box, id outbox.ID) (bool, error) {
	res, err := box.Result(ctx, id)
	if err != nil {
		return false, err
	}
	a, err := decodeDispenseAnswer(res.Answer)
	return err == nil && a.Conflict != 0, err
}

// told1 turns what the outbox says into what the caller hears.
func (d *Dispenser) said(ctx context.Context, box *outbox.Box, rec *dispenseRecord, res *outbox.Result, err error, joined bool) (*Dispensed, error) {
	out := &Dispensed{Before: joined}
	if q, ok := errors.AsType[*outbox.QueuedError](err); ok {
		out.State, out.ID = DispensedQueued, q.ID
		return d.pending(box, out, !elsewhere(q.Err)), d.kept(err, !elsewhere(q.Err))
	}
	if u, ok := errors.AsType[*outbox.UnknownError](err); ok {
		out.State, out.ID = DispensedUnknown, u.ID
		return d.pending(box, out, !elsewhere(u.Err)), d.kept(err, !elsewhere(u.Err))
	}
	if errors.Is(err, outbox.ErrFull) {
		return nil, d.unkept(err, fault.NotSent)
	}
	if err != nil {
		return nil, d.unkept(err, fault.Unknown)
	}
	a, err := decodeDispenseAnswer(res.Answer)
	if err != nil {
		return nil, &fault.Error{Op: opDispense, Service: ServiceExecutor, Kind: fault.Local, Outcome: fault.Done, Err: err}
	}
	out.State, out.ID, out.Status, out.Before = DispensedConfirmed, res.ID, a.State, joined || res.Before || a.Before
	out.Document = a.document()
	out.Report = a.report(res.ID)
	if out.Report != nil && !out.Report.Notice.IsZero() {
		out.Notices = append(out.Notices, out.Report.Notice)
	}
	if a.Conflict != 0 {
		out.State = DispensedConflict
		return out, a.fault()
	}
	return out, nil
}

// elsewhere tells that Recip-e answers, and that another pharmacy has the prescription.
func elsewhere(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && e.Code == codeElsewhere
}

// pending adds what to show about what waits: that the proof will do, and how many dispensings wait, unless the store cannot
// tell.
func (d *Dispenser) pending(box *outbox.Box, out *Dispensed, proof bool) *Dispensed {
	if proof {
		d.mu.Lock()
		d.order.failedAt = time.Now()
		d.mu.Unlock()
		out.Notices = append(out.Notices, notice.PrescriptionProof())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c, err := box.Stats(ctx); err == nil {
		if n := c.Open(d.Kinds()...); n > 0 {
			out.Notices = append(out.Notices, notice.PrescriptionsPending(n))
		}
	}
	return out
}

// Waiting counts the prescriptions that are still to be confirmed with Recip-e, for notice D-RX-LATER.
func (d *Dispenser) Waiting(ctx context.Context) (int, error) {
	const op = "recipe.dispenser.Waiting"
	box := d.box.Load()
	if box == nil {
		return 0, d.refuse(op, ErrNoOutbox)
	}
	c, err := box.Stats(ctx)
	if err != nil {
		return 0, d.ledger(op, err)
	}
	return c.Open(d.Kinds()...), nil
}

// bounded is the context of everything that is sent for one attempt.
func bounded(ctx context.Context, a outbox.Attempt) context.Context {
	return exchange.WithExpires(ctx, a.Expires)
}
