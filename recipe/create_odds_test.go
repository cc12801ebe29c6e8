package recipe_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// rotten is a store on a disk that damages what it has of some items.
type rotten struct {
	outbox.Store

	mu  sync.Mutex
	ids []outbox.ID
}

func (r *rotten) rot(ids ...outbox.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, ids...)
}

func (r *rotten) damaged(e outbox.Entry) outbox.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.ids, e.ID) && len(e.Meta) > 0 {
		e.Meta = slices.Clone(e.Meta)
		e.Meta[len(e.Meta)-1] ^= 1
	}
	return e
}

func (r *rotten) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	e, err := r.Store.Load(ctx, id)
	return r.damaged(e), err
}

func (r *rotten) Claim(ctx context.Context, c outbox.Claim) (outbox.Claimed, error) {
	got, err := r.Store.Claim(ctx, c)
	got.Head = r.damaged(got.Head)
	return got, err
}

func (r *rotten) Remove(ctx context.Context, id outbox.ID, rev uint64, reason string) error {
	r.mu.Lock()
	r.ids = slices.DeleteFunc(r.ids, func(x outbox.ID) bool { return x == id })
	r.mu.Unlock()
	return r.Store.Remove(ctx, id, rev, reason)
}

func (r *rotten) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	es, err := r.Store.Headers(ctx, ids)
	for i := range es {
		es[i] = r.damaged(es[i])
	}
	return es, err
}

// over puts another store over the disk.
func (s *surgery) over(wrap func(outbox.Store) outbox.Store) {
	s.t.Helper()
	s.close()
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	ok(s.t, err)
	disk, err := outbox.OpenBolt(s.file)
	ok(s.t, err)
	s.box, err = outbox.Open(s.t.Context(), wrap(disk), outbox.NewKeys(key), append(s.p.Handle(), outbox.WithPace(-1, -1, -1), outbox.WithGrace(-1))...)
	ok(s.t, err)
	s.p.Use(s.box)
}

// Of a prescription whose entry on disk is damaged nobody knows what became of it: neither another one nor paper, however often
// somebody asks.
func TestDamagedEntry(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		r := &rotten{}
		s.over(func(disk outbox.Store) outbox.Store { r.Store = disk; return r })
		s.lose("lost")
		r.rot(s.box.ID(recipe.KindCreate, "lost/1"))
		for range 3 {
			for range 2 {
				if _, err := s.create("lost"); !errors.As(err, new(*recipe.UnsureError)) {
					t.Errorf("error %v", err)
				}
			}
			if _, err := s.p.Paper(t.Context(), "lost"); err == nil {
				t.Error("paper beside a prescription")
			}
		}
		if s.made() != 1 {
			t.Fatalf("%d made", s.made())
		}
		s.mustCreate("another")
	})
}

// What is held under a reference is not what somebody else prescribes under the same one.
func TestHeldIsAnother(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		for _, reference := range []string{"held", "confirmed"} {
			s.hold(reference)
			if reference == "confirmed" {
				ok(t, s.p.Confirm(t.Context(), reference))
			}
			other := s.request(reference)
			other.Prescription.Items[0].Posology.Text = identity.Hide("2 par jour")
			other.Hold = true
			if _, err := s.p.Create(t.Context(), other); !errors.Is(err, outbox.ErrConflict) {
				t.Errorf("%s: error %v", reference, err)
			}
			var e *recipe.NotCreatedError
			if _, err := s.create(reference); !errors.As(err, &e) || !e.Held {
				t.Errorf("%s: error %v", reference, err)
			}
		}
	})
}

// A second call that looks while the first one ends hears what the first one heard.
func TestEndsWhileJoined(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		store := &onLoad{}
		s.over(func(disk outbox.Store) outbox.Store { store.Store = disk; return store })
		s.lose("lost")
		settles := func() { // before what is to be joined is read
			s.work()
			_, err := s.p.Wait(t.Context(), "lost")
			ok(t, err)
		}
		store.before.Store(&settles)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		c, err := s.p.Create(ctx, s.request("lost"))
		if err != nil || c.RID.IsZero() || s.made() != 1 || store.before.Load() != nil {
			t.Errorf("error %v", err)
		}
	})
}

// What was refused and then put right under the same reference is not sent once more by whoever takes the first one up again.
func TestTakenUpBesideAnother(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.hold("held")()
		cancel := s.inject(both("inner op=createPrescription;message=error.x.y"))
		s.work()
		ok(t, s.p.Confirm(t.Context(), "held"))
		time.Sleep(time.Minute)
		cancel()
		s.state("held", recipe.OutcomeNotCreated)
		right := s.request("held")
		right.Prescription.Items[0].Posology.Text = identity.Hide("2 par jour")
		c, err := s.p.Create(t.Context(), right)
		ok(t, err)
		ok(t, s.box.Retry(t.Context(), s.box.ID(recipe.KindCreate, "held/2")))
		time.Sleep(time.Hour)
		if s.made() != 1 {
			t.Errorf("%d made", s.made())
		}
		if out := s.state("held", recipe.OutcomeCreated); out.RID != c.RID {
			t.Error("another one")
		}
	})
}

// What was given up later under the same reference does not hide what was taken up again.
func TestTakenUpBeforeAnother(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.hold("held")()
		cancel := s.inject(both("inner op=createPrescription;message=error.x.y"))
		s.work()
		ok(t, s.p.Confirm(t.Context(), "held"))
		time.Sleep(time.Minute)
		cancel()
		cancel = s.inject(refusing)
		if _, err := s.create("held"); !errors.As(err, new(*recipe.NotCreatedError)) {
			t.Fatalf("error %v", err)
		}
		cancel()
		ok(t, s.box.Retry(t.Context(), s.box.ID(recipe.KindCreate, "held/2")))
		time.Sleep(time.Hour)
		s.state("held", recipe.OutcomeCreated)
		if _, err := s.p.Paper(t.Context(), "held"); !errors.As(err, new(*recipe.CreatedError)) {
			t.Errorf("paper beside it: %v", err)
		}
		if c := s.mustCreate("held"); !c.Before || s.made() != 1 {
			t.Errorf("%d made", s.made())
		}
	})
}

// A revocation that was refused can be asked for again, when the pharmacy has let go.
func TestRevokeAgain(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		c := s.mustCreate("one")
		x := s.pharmacy()
		_, err := x.Reserve(t.Context(), []identity.RID{c.RID})
		ok(t, err)
		why := identity.Hide("wrong patient")
		if err := s.p.QueueRevoke(t.Context(), c.RID, why); !errors.As(err, new(*recipe.StateError)) {
			t.Fatalf("error %v", err)
		}
		ok(t, x.Undeliver(t.Context(), c.RID))
		ok(t, s.p.QueueRevoke(t.Context(), c.RID, why))
		ok(t, s.p.QueueRevoke(t.Context(), c.RID, identity.Hide("another word")))
		if p, _ := s.sb.Prescription(c.RID.Reveal()); p.Status != sandbox.Revoked {
			t.Errorf("%s", p.Status)
		}

		// Asked for twice with other words it is one.
		c = s.mustCreate("two")
		cancel := s.inject(refusing)
		for _, why := range []string{"wrong", "wrong patient"} {
			if err := s.p.QueueRevoke(t.Context(), c.RID, identity.Hide(why)); !errors.Is(err, outbox.ErrQueued) {
				t.Errorf("error %v", err)
			}
		}
		cancel()
		s.work()
		time.Sleep(time.Hour)
		if p, _ := s.sb.Prescription(c.RID.Reveal()); p.Status != sandbox.Revoked {
			t.Errorf("%s", p.Status)
		}
	})
}

// What is held ends with the day on which it was prescribed, also when its call ended on the next one.
func TestHeldAtMidnight(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		brussels, err := time.LoadLocation("Europe/Brussels")
		ok(t, err)
		y, m, d := time.Now().In(brussels).Date()
		time.Sleep(time.Until(time.Date(y, m, d+1, 0, 0, 0, 0, brussels).Add(-3 * time.Second)))
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
		s.inject(both("hang exec=0"))
		s.inject(refusing)
		r := s.request("")
		r.Hold = true
		_, err = s.p.Create(t.Context(), r)
		e, is := errors.AsType[*recipe.NotCreatedError](err)
		if !is || fault.OutcomeOf(err) == fault.Unknown || e.Held {
			t.Fatalf("error %v", err)
		}
	})
}

// Of two under one key the one that a pharmacy has is kept.
func TestSurplusInAPharmacy(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.sb.SetAcceptReplays(true)
		w := &twice{}
		client := s.sb.HTTPClient()
		t.Cleanup(client.CloseIdleConnections)
		w.RoundTripper = client.Transport
		client.Transport = w
		s.link, s.engine = link(t, s.sb, s.person, client)
		s.reopen()
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
		s.sb.SetRecipe(sandbox.RecipeBehaviour{ListLag: time.Minute})
		w.on.Store(true)
		_, err := s.create("doubled")
		s.wantUnsure("doubled", err)
		rid := s.sb.Prescriptions()[1].RID // lists have it behind the other
		s.deliver(rid)
		s.work()
		out, err := s.p.Wait(t.Context(), "doubled")
		ok(t, err)
		time.Sleep(time.Hour)
		if s.made() != 2 || s.live() != 1 || out.RID.Reveal() != rid {
			t.Errorf("%d made, %d live", s.made(), s.live())
		}
	})
}

// shared opens an outbox that several prescribers use.
func (s *surgery) shared(store outbox.Store) {
	s.t.Helper()
	s.close()
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	ok(s.t, err)
	opts := append(s.p.Handle(), outbox.WithPace(-1, -1, -1), outbox.WithGrace(-1), outbox.WithEvents(func(e outbox.Event) { s.p.Observe(e) }))
	s.box, err = outbox.Open(s.t.Context(), store, outbox.NewKeys(key), opts...)
	ok(s.t, err)
	s.p.Use(s.box)
}

// staying is a store that outlives an outbox.
type staying struct{ outbox.Store }

func (staying) Close() error { return nil }

// However long a prescriber is away, the others who work with the same outbox neither give up what that one began, nor hear of it, and
// it is settled as soon as that one is back.
func TestOthersLeaveItAlone(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		store := staying{outboxtest.NewMemory()}
		s.shared(store)
		s.lose("lost")
		s.hold("held")()
		s.close()
		o := newSurgery(t, s.sb, 1)
		o.shared(store)
		time.Sleep(60 * time.Hour)
		o.work()
		time.Sleep(5 * time.Minute)
		if told := o.told(); len(told) != 0 {
			t.Errorf("another one is told %v", told)
		}
		o.close()
		s.shared(store)
		s.work()
		time.Sleep(2 * time.Minute)
		s.state("lost", recipe.OutcomeCreated)
		s.state("held", recipe.OutcomeNotCreated)
	})
}

// A patient who was prescribed much before does not wait until each of it was fetched.
func TestMuchBefore(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		for n := range 11 {
			s.mustCreate(string(rune('a' + n)))
		}
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
		cancel := s.inject(both("inner code=500;op=createPrescription"))
		_, err := s.create("gone")
		s.wantUnsure("gone", err)
		cancel()
		fetched := 0
		between(s).set(nil, func(operation string, a *http.Response) *http.Response {
			if operation == "getPrescription" {
				fetched++
			}
			return a
		})
		s.work()
		out, err := s.p.Wait(t.Context(), "gone")
		ok(t, err)
		if out.State != recipe.OutcomeNotCreated || fetched > 10 {
			t.Errorf("%s after %d fetched", out.State, fetched)
		}
	})
}
