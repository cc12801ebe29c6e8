package recipe

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// The kinds of a prescriber's items in the outbox.
const (
	KindCreate       outbox.Kind = "recipe.create"       // a prescription; never sent later by itself
	KindHeld         outbox.Kind = "recipe.held"         // one that waits for [Prescriber.Confirm]
	KindPaper        outbox.Kind = "recipe.paper"        // paper was given; nothing is sent
	KindRevoke       outbox.Kind = "recipe.revoke"       // [Prescriber.QueueRevoke]
	KindVision       outbox.Kind = "recipe.vision"       // [Prescriber.QueueVision]
	KindFeedbackFlag outbox.Kind = "recipe.feedbackflag" // [Prescriber.QueueFeedbackFlag]
	KindNotify       outbox.Kind = "recipe.notify"       // [Prescriber.QueueNotification]
)

const (
	// maxReference bounds a reference.
	maxReference = 200
	// maxTries bounds how often one reference may be tried.
	maxTries = 100
	// maxGap bounds how many tries in a row may be taken back: an outbox forgets those after some weeks, and what came after
	// them must be found all the same.
	maxGap = 12
	// withdrawWait bounds taking an item back: the caller's time may be over by then.
	withdrawWait = 5 * time.Second
)

// lineOf is the line of a reference. Everything about one prescription goes in one line, so that a worker on another
// computer neither sends nor gives paper while this one does.
func lineOf(reference string) string { return "rx/" + reference }

// refOf is the name of the n-th item of a kind for a reference.
func refOf(reference string, n int) string { return reference + "/" + strconv.Itoa(n) }

// referenceOf is the reverse of refOf.
func referenceOf(ref string) string {
	if i := strings.LastIndexByte(ref, '/'); i >= 0 {
		return ref[:i]
	}
	return ref
}

// item is the latest item of a kind for a reference; n is 0 when there is none.
type item struct {
	n     int
	kept  int // the latest up to it that is never forgotten
	id    outbox.ID
	view  outbox.View
	far   int       // the latest that is there, or was damaged
	aside outbox.ID // one that was damaged and set aside; zero = none
}

// latest is the latest item of a kind for a reference. What may have been created, or given on paper, and was damaged is an error.
func latest(ctx context.Context, box *outbox.Box, kind outbox.Kind, reference string) (item, error) {
	all, err := latestOf(ctx, box, reference, kind)
	if err != nil {
		return item{}, err
	}
	if (kind == KindCreate || kind == KindPaper) && !certain(all[0].view) {
		return all[0], undamaged(all...)
	}
	return all[0], nil
}

// latestOf is the latest item of each kind for a reference. They are looked up by their names: the ledger has no other index, and
// earlier ones may be forgotten already. The last read is one that finds nothing behind what it begins with, and it begins with the
// latest of each kind: so what is latest was so at one moment. For what was tried once, or never, it is the only one.
func latestOf(ctx context.Context, box *outbox.Box, reference string, kinds ...outbox.Kind) ([]item, error) {
	last := make([]item, len(kinds))
	for more := true; more; {
		all := make([]outbox.ID, 0, len(kinds)*(maxGap+1))
		windows := make([][]outbox.ID, len(kinds))
		for i, kind := range kinds {
			from := len(all)
			all = appendWindow(all, box, kind, reference, max(last[i].far, 1))
			windows[i] = all[from:]
		}
		views, err := box.ShowAll(ctx, all...)
		if err != nil {
			return nil, err
		}
		more = false
		for i := range last {
			more = last[i].advance(max(last[i].far, 1), windows[i], views, kinds[i] == KindCreate) || more
		}
	}
	return last, nil
}

// appendWindow adds the ids of one item and of those behind it that may be missing before the next one.
func appendWindow(ids []outbox.ID, box *outbox.Box, kind outbox.Kind, reference string, from int) []outbox.ID {
	for n := from; n <= min(from+maxGap, maxTries); n++ {
		ids = append(ids, box.ID(kind, refOf(reference, n)))
	}
	return ids
}

// advance goes to the latest of a window, which begins with number from, that is there. It tells whether there may be later ones. With once, one that was carried
// out, or may have been, counts for more than a later one that was not: a person may take up an old one.
func (i *item) advance(from int, window []outbox.ID, views map[outbox.ID]outbox.View, once bool) bool {
	for k, id := range window {
		view, there := views[id]
		if !there {
			continue
		}
		if i.far = from + k; view.State == 0 {
			i.aside = id
			continue
		}
		if i.n = from + k; !once || !certain(i.view) || certain(view) {
			i.id, i.view = id, view
		}
		switch view.State {
		case outbox.Done, outbox.Cancelled, outbox.Expired: // one that expired is cancelled when that was told
		default:
			i.kept = i.n
		}
	}
	return i.far > from
}

// certain tells that an item was carried out, or may have been.
func certain(v outbox.View) bool { return v.State == outbox.Done || v.Pending }

// next is the number of the item after this one. It is refused where latest would not find it.
func (i item) next() (int, error) {
	if i.n >= maxTries || i.n-i.kept >= maxGap {
		return 0, errTooOften
	}
	return i.n + 1, nil
}

const (
	errTooOften reason = "recipe: tried too often under this reference"
	errAuthor   reason = "recipe: another prescriber's"
)

// own tells whether this prescriber put an item. Lists show only the caller's own prescriptions, so what another one who works
// with the same outbox has begun is neither sent nor looked for. "" = it was put before authors were kept.
func (p *Prescriber) own(author string) bool { return author == "" || author == p.who.NIHII.Base() }

// foreign is the error of what another prescriber has to do: it waits for that one, no longer the more others look at it.
func (p *Prescriber) foreign(op string) error {
	e := p.local(op, fault.Canceled, errAuthor)
	e.RetryAfter = foreignPause
	return e
}

// foreignPause is how long what is another's is left to that one.
const foreignPause = time.Minute

// fate is what is certain about an item.
type fate uint8

const (
	fateNone    fate = iota // there is none, or it certainly was not and will not be carried out
	fateDone                // it was carried out
	fateUnknown             // nobody knows
	fateWaiting             // it was not carried out, and may be yet
)

func (i item) fate(now time.Time) fate {
	v := i.view
	switch {
	case i.n == 0:
		return fateNone
	case v.State == outbox.Done:
		return fateDone
	case v.Pending:
		return fateUnknown
	case v.State == outbox.Expired, v.State == outbox.Cancelled, !v.Expires.IsZero() && !now.Before(v.Expires):
		return fateNone
	case v.State == outbox.Rejected:
		return fateNone // only a person takes it up again, and then it is looked at anew
	}
	return fateWaiting
}

// entries are all that is known of a reference.
type entries struct {
	state               OutcomeState
	confirmed           bool // with OutcomeHeld: it is to be sent
	create, held, paper item
	given               bool // the paper was recorded while nobody knew, see [Prescriber.PaperGiven]
}

func (p *Prescriber) look(ctx context.Context, box *outbox.Box, reference string) (*entries, error) {
	now := time.Now()
	// What is held becomes one that is created by two writes: that one is put, and then the held one is done. Looked up one after
	// the other the two could fall between; at one moment, who sees the second write sees the first.
	last, err := latestOf(ctx, box, reference, KindHeld, KindCreate, KindPaper)
	if err != nil {
		return nil, err
	}
	st := &entries{held: last[0], create: last[1], paper: last[2]}
	if st.paper.fate(now) == fateWaiting || st.paper.fate(now) == fateUnknown {
		st.given, err = given(ctx, box, st.paper.id)
		if errors.Is(err, errSettled) { // another one may be put, but not for ever
			return p.look(ctx, box, reference)
		}
		if err != nil {
			return nil, err
		}
	}
	switch create, held := st.create.fate(now), st.held.fate(now); {
	case st.paper.fate(now) == fateDone, st.given:
		st.state = OutcomePaper
	case create == fateDone:
		st.state = OutcomeCreated
	case create == fateUnknown:
		st.state = OutcomeUnsure
	case held == fateWaiting, held == fateUnknown:
		st.state, st.confirmed = OutcomeHeld, st.held.view.State != outbox.Held
	case create == fateWaiting && st.held.fate(now) == fateDone:
		st.state, st.confirmed = OutcomeHeld, true
	case create == fateWaiting:
		// Another call is about to send it, or was killed before it could take it back; it expires within a minute.
		st.state = OutcomeUnsure
	case st.create.n > 0, st.held.n > 0:
		st.state = OutcomeNotCreated
	}
	if st.state == OutcomeNotTried || st.state == OutcomeNotCreated {
		if err := undamaged(st.create, st.paper); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// Outcome tells what is known of a prescription with a reference.
func (p *Prescriber) Outcome(ctx context.Context, reference string) (Outcome, error) {
	const op = "recipe.prescriber.Outcome"
	box := p.box.Load()
	if box == nil {
		return Outcome{}, p.local(op, fault.Local, ErrNoOutbox)
	}
	st, err := p.look(ctx, box, reference)
	if err != nil {
		return Outcome{}, p.ledger(op, err)
	}
	out := Outcome{State: st.state, Confirmed: st.confirmed}
	switch st.state {
	case OutcomeNotCreated:
		out.Notice = NoticePaper
	case OutcomeUnsure:
		out.Notice = NoticeUnsure
	}
	if st.create.view.State == outbox.Done {
		if out.RID, err = p.ridIn(ctx, box, reference, st.create.id); err != nil {
			return Outcome{}, p.ledger(op, err)
		}
		if out.RID.IsZero() && out.State == OutcomeCreated {
			out.Notice = NoticeUnsure
		}
	}
	return out, nil
}

// Wait waits until it is known what became of a prescription, or ctx ends. While the outbox is at work it is found out in the
// background, at the latest when Recip-e answers again and the time in which the message might still be carried out is over.
func (p *Prescriber) Wait(ctx context.Context, reference string) (Outcome, error) {
	const first, longest = 100 * time.Millisecond, 5 * time.Second
	for pause := first; ; pause = min(2*pause, longest) {
		out, err := p.Outcome(ctx, reference)
		if err != nil || out.State != OutcomeUnsure && (out.State != OutcomeHeld || !out.Confirmed) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, p.local("recipe.prescriber.Wait", fault.Canceled, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// withdraw takes an item back that was not sent. Only true says that it will not be.
func (p *Prescriber) withdraw(ctx context.Context, box *outbox.Box, id outbox.ID) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawWait)
	defer cancel()
	err := box.Cancel(ctx, id)
	if err == nil {
		return true
	}
	if s, ok := errors.AsType[*outbox.StateError](err); ok && !s.Pending {
		return s.State == outbox.Cancelled || s.State == outbox.Expired
	}
	return false
}

// ledger is the error of an outbox that cannot be asked: nothing was sent by this call.
func (p *Prescriber) ledger(op string, err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Op == op {
		return err
	}
	return p.local(op, fault.Local, err)
}

// ridOf reads a number that was kept.
func ridOf(s string) identity.RID {
	rid, err := identity.ParseRIDLenient(s)
	if err != nil {
		return identity.RID{}
	}
	return rid
}
