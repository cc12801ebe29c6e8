package recipe_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// refused is a row of a service that takes no connection.
const refusing = "recipe-presc 0 to_end refuse\nrecipe-direct 0 to_end refuse"

// hold prescribes in an outage and keeps it; the outage goes on until heal.
func (s *surgery) hold(reference string) (heal func()) {
	s.t.Helper()
	heal = s.inject(refusing)
	r := s.request(reference)
	r.Hold = true
	_, err := s.p.Create(s.t.Context(), r)
	if e, is := errors.AsType[*recipe.NotCreatedError](err); !is || !e.Held {
		s.t.Fatalf("error %v", err)
	}
	return heal
}

// What a prescriber has begun is neither settled nor sent by another one who opens the same outbox.
func TestOtherPrescriber(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.lose("lost")
		heal := s.hold("held")
		ok(t, s.p.Confirm(t.Context(), "held"))
		s.close()
		heal()
		o := newSurgery(t, s.sb, 1)
		o.close()
		o.file = s.file
		o.open()
		o.work()
		time.Sleep(2 * time.Hour)
		o.state("lost", recipe.OutcomeUnsure)
		o.state("held", recipe.OutcomeHeld)
		o.close()
		s.open()
		s.work()
		for _, reference := range []string{"lost", "held"} {
			out, err := s.p.Wait(t.Context(), reference)
			ok(t, err)
			if p, _ := s.sb.Prescription(out.RID.Reveal()); out.State != recipe.OutcomeCreated || p.Prescriber != s.person.NIHII.Reveal() {
				t.Errorf("%s is %s", reference, out.State)
			}
		}
		if s.made() != 2 {
			t.Errorf("%d made", s.made())
		}
	})
}

// A reference is not tried so often that the ledger loses count.
func TestManyTries(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		cancel := s.inject(both("inner message=error.x.y"))
		for range 101 {
			if _, err := s.create("many"); err == nil || errors.As(err, new(*recipe.UnsureError)) {
				t.Fatal(err)
			}
		}
		cancel()
		_, err := s.create("many")
		s.wantNotCreated("many", err)
	})
}

// What an outbox has forgotten does not hide what came later.
func TestForgottenTries(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.rarely()
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 2))
		cancel := s.inject(refusing)
		for range 5 {
			if _, err := s.create("x"); !errors.As(err, new(*recipe.NotCreatedError)) {
				t.Fatal(err)
			}
		}
		cancel()
		time.Sleep(time.Hour)
		s.mustCreate("y") // it is healthy again
		for i := range 2 {
			s.engine.CloseBreaker(recipe.ServicePrescriber, s.sb.URL(recipe.ServicePrescriber, i))
		}
		s.inject(bothLost)
		_, err := s.create("x")
		s.wantUnsure("x", err)
		s.work()
		time.Sleep(3 * 24 * time.Hour)
		s.stop() // nothing is left to be asked; a worker that waits for weeks costs more than all of that
		time.Sleep(37 * 24 * time.Hour)
		s.work() // and forgets
		time.Sleep(time.Hour)
		s.state("x", recipe.OutcomeUnsure)
		if _, err := s.p.Paper(t.Context(), "x"); !errors.As(err, new(*recipe.UnsureError)) {
			t.Errorf("paper: %v", err)
		}
	})
}

// A reference is known for as long as CreateRequest says, and not longer.
func TestForgottenReference(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		first := s.mustCreate("one").RID
		_, err := s.p.Paper(t.Context(), "two")
		ok(t, err)
		forget := func() { // as the worker does
			_, err := s.box.Forget(t.Context(), time.Now().Add(-outbox.DefaultKeep))
			ok(t, err)
		}
		time.Sleep(outbox.DefaultKeep - time.Hour)
		forget()
		if again := s.mustCreate("one"); again.RID != first || !again.Before {
			t.Errorf("%d made", s.made())
		}
		if _, err := s.create("two"); !errors.Is(err, recipe.ErrPaperGiven) {
			t.Errorf("beside paper: %v", err)
		}
		time.Sleep(2 * time.Hour)
		forget()
		for _, reference := range []string{"one", "two"} {
			s.state(reference, recipe.OutcomeNotTried)
		}
		if second := s.mustCreate("one"); second.RID == first || second.Before || s.made() != 2 {
			t.Errorf("%d made", s.made())
		}
	})
}

// What was confirmed and may have been sent is not sent again, however long lists hide it.
func TestLaterOnce(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.hold("held")()
		s.sb.SetRecipe(sandbox.RecipeBehaviour{ListLag: 25 * time.Minute})
		cancel := s.inject(both("missing op=createPrescription"))
		s.work()
		ok(t, s.p.Confirm(t.Context(), "held"))
		time.Sleep(time.Minute)
		cancel()
		time.Sleep(3 * time.Hour)
		if n := s.sb.State().Effects["recipe.created"]; n != 1 {
			t.Errorf("executed %d times", n)
		}
		s.state("held", recipe.OutcomeNotCreated)
	})
}

// A person who found out that it was created says so; nobody knows its number.
func TestDecided(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.rarely()
		s.lose("lost")
		s.inject(bothLost)
		s.work()
		time.Sleep(4 * 24 * time.Hour)
		for v, err := range s.box.List(t.Context(), outbox.Filter{State: outbox.Parked}) {
			ok(t, err)
			ok(t, s.box.Decide(t.Context(), v.ID, true))
		}
		if out := s.state("lost", recipe.OutcomeCreated); !out.RID.IsZero() || out.Notice != recipe.NoticeUnsure {
			t.Errorf("notice %q", out.Notice)
		}
		var e *recipe.CreatedError
		if _, err := s.p.Paper(t.Context(), "lost"); !errors.As(err, &e) || !e.RID.IsZero() {
			t.Errorf("paper: %v", err)
		}
		ok(t, s.p.PaperGiven(t.Context(), "lost"))
		for e := range s.events {
			if e.Kind == recipe.EventNotRevoked && e.RID.IsZero() && e.Reference == "lost" {
				break
			}
		}
		time.Sleep(time.Minute) // the event is told before it is kept that it was
		if _, err := s.p.Paper(t.Context(), "lost"); !errors.As(err, &e) {
			t.Errorf("paper: %v", err)
		}
	})
}

// After paper was given and the electronic one could not be taken back, nobody gets a permit for a second paper.
func TestNoPermitBesideSurplus(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.lose("lost")
		ok(t, s.p.PaperGiven(t.Context(), "lost"))
		s.deliver(s.sb.Prescriptions()[0].RID)
		s.work()
		time.Sleep(time.Hour)
		var e *recipe.CreatedError
		if permit, err := s.p.Paper(t.Context(), "lost"); !errors.As(err, &e) || !permit.IsZero() || e.RID.Reveal() != s.sb.Prescriptions()[0].RID {
			t.Errorf("error %v", err)
		}
	})
}

// onLoad is a store that lets something happen before it is asked.
type onLoad struct {
	outbox.Store
	before atomic.Pointer[func()]
}

func (h *onLoad) happen() {
	if f := h.before.Swap(nil); f != nil {
		(*f)()
	}
}

func (h *onLoad) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	h.happen()
	return h.Store.Load(ctx, id)
}

func (h *onLoad) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	h.happen()
	return h.Store.Headers(ctx, ids)
}

// An outcome that is read while what is held becomes what is being created is not "not created": also when the ledger is so long
// that it takes several reads.
func TestOutcomeWhileReleased(t *testing.T) {
	for _, earlier := range []int{0, 2} {
		happened := true
		for skip := 0; happened; skip++ {
			inSandbox(t, func(t *testing.T, s *surgery) {
				s.close()
				key, err := outbox.KeyFromBytes(make([]byte, 32))
				ok(t, err)
				disk, err := outbox.OpenBolt(s.file)
				ok(t, err)
				store := &onLoad{Store: disk}
				s.box, err = outbox.Open(t.Context(), store, outbox.NewKeys(key), append(s.p.Handle(), outbox.WithPace(-1, -1, -1), outbox.WithGrace(-1))...)
				ok(t, err)
				s.p.Use(s.box)
				for n := range earlier { // given up before
					s.hold("held")()
					ok(t, s.box.Cancel(t.Context(), s.box.ID(recipe.KindHeld, fmt.Sprint("held/", n+1))))
				}
				s.hold("held")()
				ok(t, s.p.Confirm(t.Context(), "held"))
				s.inject(both("slow median_ms=3000;cap_ms=3000"))
				left := skip
				happened = false
				var happen func()
				happen = func() {
					if left--; left >= 0 {
						store.before.Store(&happen)
						return
					}
					happened = true
					s.work()
					time.Sleep(7 * time.Second)
				}
				store.before.Store(&happen)
				out, err := s.p.Outcome(t.Context(), "held")
				ok(t, err)
				store.before.Store(nil)
				if out.State == recipe.OutcomeNotCreated || out.State == recipe.OutcomeNotTried || fault.OutcomeOf(err) == fault.Unknown {
					t.Errorf("%d earlier, read %d: %s while it is sent", earlier, skip+1, out.State)
				}
				if earlier > 0 && skip == 1 && !happened {
					t.Error("one read: this shows nothing")
				}
			})
		}
	}
}

// What was confirmed is not bound to the address that answered the read before it: when that one fails, it goes to the other.
func TestLaterElsewhere(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.hold("held")()
		cancel := s.inject("recipe-presc 0 to_end refuse")
		m := between(s)
		m.set(nil, func(operation string, a *http.Response) *http.Response {
			if operation == "listOpenRids" { // from now on the other one works
				cancel()
				s.inject("recipe-direct 0 to_end refuse")
			}
			return a
		})
		s.work()
		ok(t, s.p.Confirm(t.Context(), "held"))
		time.Sleep(30 * time.Hour)
		s.state("held", recipe.OutcomeCreated)
	})
}
