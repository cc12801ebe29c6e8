package recipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// The table of what to do next, whole (dossier 04 sections 11.1, 14.3, 15.2).
func TestNext(t *testing.T) {
	type row struct {
		at       protocol.PrescriptionStatus
		who      holder
		fetched  bool
		deliver  string // goal delivered
		archive  string // goal archived
		takeBack string // goal not delivered
		settled  string // goal settled
	}
	words := map[step]string{stepFetch: "fetch", stepDeliver: "deliver", stepArchive: "archive", stepUndeliver: "undeliver", stepEnd: "end"}
	say := func(s step, c Conflict) string {
		if s == stepConflict {
			return c.String()
		}
		return words[s]
	}
	for _, r := range []row{
		{protocol.NotDelivered, unsaid, false, "fetch", "fetch", "end", "end"},
		{protocol.NotDelivered, another, false, "fetch", "fetch", "end", "end"},
		{protocol.NotDelivered, ours, true, "fetch", "fetch", "end", "end"},
		{protocol.InProcess, ours, false, "fetch", "fetch", "undeliver", "end"},
		{protocol.InProcess, ours, true, "deliver", "deliver", "undeliver", "end"},
		{protocol.InProcess, unsaid, false, "fetch", "fetch", "undeliver", "end"},
		{protocol.InProcess, unsaid, true, "deliver", "deliver", "undeliver", "end"},
		{protocol.InProcess, another, false, "elsewhere", "elsewhere", "elsewhere", "end"},
		{protocol.InProcess, another, true, "elsewhere", "elsewhere", "elsewhere", "end"},
		{protocol.Delivered, ours, false, "end", "archive", "undeliver", "end"},
		{protocol.Delivered, ours, true, "end", "archive", "undeliver", "end"},
		{protocol.Delivered, unsaid, true, "deliver", "archive", "undeliver", "end"},
		{protocol.Delivered, another, true, "twice", "twice", "twice", "twice"},
		{protocol.Archived, ours, false, "end", "end", "archived", "end"},
		{protocol.Archived, unsaid, true, "archive", "archive", "unclear", "end"},
		{protocol.Archived, another, false, "twice", "twice", "twice", "twice"},
		{protocol.Revoked, ours, false, "revoked", "revoked", "revoked", "revoked"},
		{protocol.Revoked, another, true, "revoked", "revoked", "revoked", "revoked"},
		{protocol.Expired, unsaid, false, "expired", "expired", "expired", "expired"},
		{"Suspended", ours, true, "unclear", "unclear", "unclear", "unclear"},
		{"", unsaid, false, "unclear", "unclear", "unclear", "unclear"},
	} {
		got := [4]string{}
		for i, g := range []goal{goalDelivered, goalArchived, goalNotDelivered, goalSettled} {
			got[i] = say(next(g, r.at, r.who, r.fetched))
		}
		if want := [4]string{r.deliver, r.archive, r.takeBack, r.settled}; got != want {
			t.Errorf("%s of %d, fetched %v: %v, want %v", r.at, r.who, r.fetched, got, want)
		}
	}
}

func ids(d *Dispensed) []notice.ID {
	var out []notice.ID
	for _, n := range d.Notices {
		out = append(out, n.ID())
	}
	return out
}

// When Recip-e answers, a dispensing is confirmed at once, with no more requests than needed.
func TestDispenseAtOnce(t *testing.T) {
	rid := someRIDs(t, 1)[0]
	for name, c := range map[string]struct {
		x     func(t *testing.T, p *pharmacyDesk) Dispensing
		state protocol.PrescriptionStatus
		calls int
	}{
		"scanned":          {func(*testing.T, *pharmacyDesk) Dispensing { return Dispensing{} }, protocol.Delivered, 3},
		"archived at once": {func(*testing.T, *pharmacyDesk) Dispensing { return Dispensing{Archive: ArchiveNow} }, protocol.Archived, 4},
		"fetched before": {func(t *testing.T, p *pharmacyDesk) Dispensing {
			f, err := p.fake.Get(t.Context(), rid)
			if err != nil {
				t.Fatal(err)
			}
			p.fake.calls = 0
			return Dispensing{Fetched: f}
		}, protocol.Delivered, 1},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t)
				p.fake.add(rid)
				x := c.x(t, p)
				x.RID, x.Items, x.Reference = rid, []DispensedItem{gaveItem(t, "2711456", 1)}, "sale 1"
				got, err := p.d.Dispense(t.Context(), x)
				if err != nil || got.State != DispensedConfirmed || got.Status != c.state || got.Before || got.Report != nil || len(got.Notices) != 0 {
					t.Fatalf("got %+v, %v", got, err)
				}
				if p.fake.calls != c.calls {
					t.Errorf("%d calls, want %d", p.fake.calls, c.calls)
				}
				if got.Document == nil || string(got.Document.Bytes()) != "sealed "+rid.Reveal() || got.Document.KeyID() != "a2V5" {
					t.Error("the document is not there")
				}
				again, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, At: time.Now().Add(time.Hour), Reference: "sale 2"})
				if err != nil || !again.Before || again.ID != got.ID || p.fake.calls != c.calls+1 { // asked whether it still stands
					t.Errorf("second scan: %+v, %v, %d calls", again, err, p.fake.calls)
				}
				if n := len(p.all()); n != 0 {
					t.Errorf("%d reports", n)
				}
			})
		})
	}
}

// T10 (dossier 06 B.6), INC-2019-08-RECIPE: what is dispensed on the proof while Recip-e is down is confirmed afterwards by
// itself, oldest first, everything taken into process before the first is dealt with, each exactly once.
func TestDispenseInAnOutage(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rids := someRIDs(t, 25)
		p.fake.add(rids...)
		p.fake.setDown(true)
		ctx, stop := context.WithCancel(t.Context())
		running := make(chan error, 1)
		go func() { running <- p.box.Run(ctx) }()
		for i, rid := range rids {
			began := time.Now()
			got, err := p.d.Dispense(t.Context(), Dispensing{
				RID: rid, Reference: fmt.Sprint("sale ", i), ForceMajeure: true, Items: []DispensedItem{gaveItem(t, "2711456", 1)},
			})
			if !errors.Is(err, outbox.ErrQueued) || got == nil || got.State != DispensedQueued {
				t.Fatalf("got %+v, %v", got, err)
			}
			if want := []notice.ID{notice.IDRxProof, notice.IDRxLater}; !slices.Equal(ids(got), want) || got.Notices[1].Params().N != i+1 {
				t.Errorf("notices %v", got.Notices)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("the pharmacist waited %v", took)
			}
			// The same prescription scanned a second time is the same dispensing.
			if i%5 == 0 {
				if again, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); !errors.Is(err, outbox.ErrQueued) || again.ID != got.ID || !again.Before {
					t.Errorf("second scan: %+v, %v", again, err)
				}
			}
			time.Sleep(7 * time.Minute)
		}
		if n, err := p.d.Waiting(t.Context()); err != nil || n != len(rids) {
			t.Errorf("%d wait, %v", n, err)
		}
		p.fake.setDown(false)
		time.Sleep(15 * time.Minute)
		if n, err := p.d.Waiting(t.Context()); err != nil || n != 0 {
			t.Errorf("%d wait, %v", n, err)
		}
		stop()
		if err := <-running; err != nil {
			t.Error(err)
		}
		p.fake.once(t, rids...)
		var want []string
		for _, r := range rids {
			want = append(want, r.Reveal())
		}
		for _, op := range []string{"reserve", "get", "deliver", "archive"} {
			if got := p.fake.executed(op); !slices.Equal(got, want) {
				t.Errorf("%s: not oldest first, or not once each: %d of %d", op, len(got), len(want))
			}
		}
		if i := slices.IndexFunc(p.fake.log, func(l string) bool { return !strings.HasPrefix(l, "reserve ") }); i != len(rids) {
			t.Errorf("something else after %d reservations", i)
		}
		if n := len(p.all()) + len(p.reports); n != 0 {
			t.Errorf("%d reports", n)
		}
		// The archive of the pharmacy finds what was fetched.
		got, err := p.d.Dispense(t.Context(), Dispensing{RID: rids[7]})
		if err != nil || !got.Before || got.Status != protocol.Archived || string(got.Document.Bytes()) != "sealed "+rids[7].Reveal() {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// Without the option of reservation, nothing is reserved; and a dispensing of ArchiveNever is delivered only.
func TestWithoutReservation(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t, WithoutReservation())
		rids := someRIDs(t, 3)
		p.fake.add(rids...)
		p.fake.setDown(true)
		for _, rid := range rids {
			if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNever}); !errors.Is(err, outbox.ErrQueued) {
				t.Fatal(err)
			}
		}
		p.fake.setDown(false)
		p.drain()
		if got := p.fake.executed("reserve"); len(got) != 0 {
			t.Errorf("%d reserved", len(got))
		}
		for _, rid := range rids {
			if x := p.fake.rx[rid.Reveal()]; x.state != protocol.Delivered || x.delivered != 1 || x.archived != 0 {
				t.Errorf("got %+v", x)
			}
		}
	})
}

// An answer that is lost, at every step and every way of losing it: one effect.
func TestLostAnswers(t *testing.T) {
	for _, op := range []string{"status", "get", "deliver", "archive"} {
		for _, times := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("%s %d", op, times), func(t *testing.T) {
				atDesk(t, func(t *testing.T) {
					p := newDesk(t)
					rid := someRIDs(t, 1)[0]
					p.fake.add(rid)
					left := times
					p.fake.trip = func(o string, _ int, after bool) error {
						if o == op && after && left > 0 {
							left--
							return failed(fault.Timeout, fault.Unknown)
						}
						return nil
					}
					got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNow, Items: []DispensedItem{gaveItem(t, "2711456", 1)}})
					if !errors.Is(err, outbox.ErrUnknown) && !errors.Is(err, outbox.ErrQueued) {
						t.Fatalf("got %+v, %v", got, err)
					}
					if want := []notice.ID{notice.IDRxProof, notice.IDRxLater}; !slices.Equal(ids(got), want) {
						t.Errorf("notices %v", got.Notices)
					}
					p.drain()
					p.fake.once(t, rid)
					if len(p.fake.executed("deliver")) != 1 || len(p.fake.executed("archive")) != 1 || len(p.all()) != 0 {
						t.Errorf("log %d, reports %v", len(p.fake.log), p.all())
					}
				})
			})
		}
	}
}

// The program dies around every call of a dispensing that waits: restarted, it completes it, and nothing happens twice. What
// was fetched before the end of the program is compared and kept all the same.
func TestKilledAtEachStep(t *testing.T) {
	steps := 0
	for n := 1; ; n++ {
		reached := false
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d, executed %v", n, after), func(t *testing.T) {
				atDesk(t, func(t *testing.T) {
					p := newDesk(t)
					rids := someRIDs(t, 2)
					p.fake.add(rids...)
					p.fake.setDown(true)
					for _, rid := range rids {
						if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Items: []DispensedItem{gaveItem(t, "2711456", 2)}}); !errors.Is(err, outbox.ErrQueued) {
							t.Fatal(err)
						}
						time.Sleep(time.Minute)
					}
					p.fake.setDown(false)
					first := p.fake.calls
					p.fake.trip = func(_ string, call int, done bool) error {
						if call == first+n && done == after {
							reached = true
							p.life.kill()
							return failed(fault.Canceled, fault.Unknown)
						}
						return nil
					}
					if err := p.box.Drain(t.Context(), nil); !reached && err != nil || reached && !errors.Is(err, outbox.ErrBroken) {
						t.Fatal(err)
					}
					p.fake.trip = nil
					p.reports = nil
					p.open()
					p.drain()
					p.fake.once(t, rids...)
					all := p.all()
					if len(all) != 2 {
						t.Fatalf("%d reports", len(all))
					}
					for _, r := range all {
						if !r.Compared || len(r.Difference) != 1 || r.Difference[0].Kind != DifferentQuantity || r.Conflict != 0 {
							t.Errorf("got %v of %v, compared %v", r.Difference, r.Conflict, r.Compared)
						}
						got, err := p.d.Dispense(t.Context(), Dispensing{RID: r.RID})
						if err != nil || got.Document == nil {
							t.Errorf("the document is lost: %v", err)
						}
					}
				})
			})
		}
		if !reached {
			break
		}
		steps = n
	}
	if steps != 9 { // one reservation, and status, get, deliver, archive of each
		t.Errorf("%d calls", steps)
	}
}

// What stands in the way after the outage ends the item as a report, which stays until somebody has read it.
func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		name     string
		state    protocol.PrescriptionStatus
		by       identity.Private
		mute     bool
		conflict Conflict
		notice   notice.ID
	}{
		{"delivered elsewhere", protocol.Delivered, otherPharmacy, false, ConflictTwice, notice.IDRxTwice},
		{"archived elsewhere", protocol.Archived, otherPharmacy, false, ConflictTwice, notice.IDRxTwice},
		{"revoked", protocol.Revoked, identity.Hide("10000007004"), false, ConflictRevoked, ""},
		{"expired", protocol.Expired, identity.Private{}, false, ConflictExpired, ""},
		{"delivered by nobody", protocol.Delivered, otherPharmacy, true, ConflictUnclear, ""},
		{"archived by nobody", protocol.Archived, otherPharmacy, true, ConflictUnclear, ""},
		{"a new state", "Suspended", identity.Private{}, false, ConflictUnclear, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t)
				rid := someRIDs(t, 1)[0]
				p.fake.add(rid)
				p.fake.setDown(true)
				at := time.Now()
				if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, ForceMajeure: true, Reference: "sale 9"}); !errors.Is(err, outbox.ErrQueued) {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				p.fake.set(rid, c.state, c.by)
				p.fake.mute = c.mute
				p.fake.setDown(false)
				p.drain()
				p.open() // what is told survives the program
				all := p.all()
				if len(all) != 1 || len(p.reports) != 1 {
					t.Fatalf("%d reports, %d told", len(all), len(p.reports))
				}
				r := all[0]
				if r.RID.Reveal() != rid.Reveal() || r.Conflict != c.conflict || r.Notice.ID() != c.notice || !r.At.Equal(at) || !r.Force || r.Reference != "sale 9" || r.State != c.state {
					t.Errorf("got %s, notice %v, state %s", r.Conflict, r.Notice, r.State)
				}
				if x := p.fake.rx[rid.Reveal()]; x.delivered+x.archived != 0 {
					t.Errorf("got %+v", x)
				}
				// Asked again, Recip-e is asked again: the conflict may be gone.
				got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid})
				state, is := errors.AsType[*StateError](err)
				if !is || state.Twice != (c.conflict == ConflictTwice) || got.State != DispensedConflict || got.Report == nil || !errors.Is(err, fault.ErrConflict) {
					t.Errorf("got %+v, %v", got, err)
				}
				for _, r := range p.all() {
					if err := p.d.Acknowledge(t.Context(), r); err != nil {
						t.Error(err)
					}
				}
				if all := p.all(); len(all) != 0 {
					t.Errorf("%d reports after they were read", len(all))
				}
			})
		})
	}
}

// Another pharmacy has it in process: it is told once, and waits until that one lets go.
func TestElsewhere(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.set(rid, protocol.InProcess, otherPharmacy)
		got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid})
		if !errors.Is(err, outbox.ErrQueued) || !errors.As(err, new(*StateError)) || !slices.Equal(ids(got), []notice.ID{notice.IDRxLater}) {
			t.Fatalf("got %+v, %v", got, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		running := make(chan error, 1)
		go func() { running <- p.box.Run(ctx) }()
		time.Sleep(10 * time.Hour)
		if all := p.all(); len(all) != 1 || all[0].Conflict != ConflictElsewhere || len(p.reports) != 1 {
			t.Errorf("%d reports, %d told", len(all), len(p.reports))
		}
		p.fake.set(rid, protocol.NotDelivered, otherPharmacy)
		time.Sleep(3 * time.Hour)
		stop()
		<-running
		p.fake.once(t, rid)
	})
}

// One prescription that Recip-e always fails on holds up no other, also when it is the oldest.
func TestPoisonedPrescription(t *testing.T) {
	for name, opts := range map[string][]DispenserOption{"reserved": nil, "not reserved": {WithoutReservation()}} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t, opts...)
				rids := someRIDs(t, 12)
				p.fake.add(rids...)
				p.fake.setDown(true)
				for _, rid := range rids {
					if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); !errors.Is(err, outbox.ErrQueued) {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
				}
				p.open(opts...) // nothing is remembered of the order
				p.fake.poison = rids[0].Reveal()
				p.fake.setDown(false)
				ctx, stop := context.WithCancel(t.Context())
				running := make(chan error, 1)
				go func() { running <- p.box.Run(ctx) }()
				time.Sleep(30 * time.Minute)
				p.fake.once(t, rids[1:]...)
				if got := p.fake.executed("deliver"); !slices.IsSorted(got) {
					t.Error("not oldest first")
				}
				p.fake.mu.Lock()
				p.fake.poison = ""
				p.fake.mu.Unlock()
				time.Sleep(15 * time.Minute)
				stop()
				<-running
				p.fake.once(t, rids...)
			})
		})
	}
}

// More than are put in order at once: those that come later wait for their turn, and one of them that somebody takes back or
// completes by hand holds up nobody.
func TestManyWait(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rids := someRIDs(t, maxOrdered+30)
		p.fake.add(rids...)
		p.fake.setDown(true)
		var cancelled outbox.ID
		for i, rid := range rids {
			got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid})
			if !errors.Is(err, outbox.ErrQueued) {
				t.Fatal(err)
			}
			if i == 150 {
				cancelled = got.ID
			}
			time.Sleep(time.Second)
		}
		p.open()
		p.fake.setDown(false)
		done := 0
		p.fake.trip = func(op string, _ int, after bool) error {
			if op != "archive" || !after {
				return nil
			}
			if done++; done == 20 { // in the middle of it
				if err := p.box.Cancel(t.Context(), cancelled); err != nil {
					t.Error(err)
				}
			}
			return nil
		}
		ctx, stop := context.WithCancel(t.Context())
		running := make(chan error, 1)
		go func() { running <- p.box.Run(ctx) }()
		time.Sleep(time.Hour)
		stop()
		<-running
		p.fake.once(t, append(slices.Clone(rids[:150]), rids[151:]...)...)
		if x := p.fake.rx[rids[150].Reveal()]; x.delivered != 0 {
			t.Error("delivered what was cancelled")
		}
		if got := p.fake.executed("deliver"); !slices.IsSorted(got) {
			t.Error("not oldest first")
		}
	})
}

// A delivery that is taken back can be made anew, as often as wanted; each click counts once.
func TestTakenBack(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.add(rid)
		for round := 1; round <= 3; round++ {
			for range 2 {
				if got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); err != nil || got.Status != protocol.Delivered {
					t.Fatalf("round %d: %+v, %v", round, got, err)
				}
			}
			for range 2 {
				if got, err := p.d.Undeliver(t.Context(), rid); err != nil || got.Status != protocol.NotDelivered {
					t.Fatalf("round %d: %+v, %v", round, got, err)
				}
			}
			if d, u := len(p.fake.executed("deliver")), len(p.fake.executed("undeliver")); d != round || u != round {
				t.Errorf("round %d: delivered %d times, taken back %d times", round, d, u)
			}
		}
	})
}

// Marks through the outbox: in the order in which they were made, each once, also when their answers are lost.
func TestMarks(t *testing.T) {
	for _, lost := range []string{"", "deliver", "archive", "undeliver"} {
		t.Run("lost "+lost, func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t)
				rids := someRIDs(t, 2)
				p.fake.set(rids[0], protocol.InProcess, ownPharmacy)
				p.fake.set(rids[1], protocol.InProcess, ownPharmacy)
				once := true
				p.fake.trip = func(op string, _ int, after bool) error {
					if op == lost && after && once {
						once = false
						return failed(fault.Timeout, fault.Unknown)
					}
					return nil
				}
				for _, f := range []func() (*Dispensed, error){
					func() (*Dispensed, error) { return p.d.Deliver(t.Context(), rids[0]) },
					func() (*Dispensed, error) { return p.d.Archive(t.Context(), rids[0]) },
					func() (*Dispensed, error) { return p.d.Deliver(t.Context(), rids[1]) },
					func() (*Dispensed, error) { return p.d.Undeliver(t.Context(), rids[1]) },
				} {
					if _, err := f(); err != nil && !errors.Is(err, outbox.ErrQueued) && !errors.Is(err, outbox.ErrUnknown) {
						t.Fatal(err)
					}
				}
				p.drain()
				p.fake.once(t, rids[0])
				if x := p.fake.rx[rids[1].Reveal()]; x.state != protocol.NotDelivered || x.delivered != 1 || len(p.fake.executed("undeliver")) != 1 {
					t.Errorf("got %+v", x)
				}
				if all := p.all(); len(all) != 0 {
					t.Errorf("%d reports", len(all))
				}
			})
		})
	}
}

// An answer that was carried out and cannot be used, to any question, does not make the dispensing done.
func TestUselessAnswers(t *testing.T) {
	for _, op := range []string{"status", "get", "deliver", "archive"} {
		t.Run(op, func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t)
				rid := someRIDs(t, 1)[0]
				p.fake.add(rid)
				left := 2
				p.fake.trip = func(o string, _ int, after bool) error {
					if o == op && after && left > 0 {
						left--
						return failed(fault.Protocol, fault.Done)
					}
					return nil
				}
				_, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNow})
				if !errors.Is(err, outbox.ErrUnknown) && !errors.Is(err, outbox.ErrQueued) {
					t.Fatal(err)
				}
				p.drain()
				p.fake.once(t, rid)
			})
		})
	}
}

// What cannot be opened or raises an alarm is told, and does not hold up the confirmation.
func TestOddPrescriptions(t *testing.T) {
	for name, c := range map[string]struct {
		get            func(*Fetched) (*Fetched, error)
		unread, alarms string
	}{
		"key refused": {func(f *Fetched) (*Fetched, error) {
			f.Message = nil
			return f, failed(fault.Denied, fault.Done)
		}, "denied", ""},
		"key service down": {func(f *Fetched) (*Fetched, error) {
			f.Message = nil
			return f, failed(fault.Unavailable, fault.Done)
		}, "unavailable", ""},
		"another author": {func(f *Fetched) (*Fetched, error) {
			return f, &fault.Error{Kind: fault.Security, Outcome: fault.Done, Err: &AuthorMismatchError{LabelToken}}
		}, "", LabelToken},
		"bad signature": {func(f *Fetched) (*Fetched, error) {
			return f, &fault.Error{Kind: fault.Security, Outcome: fault.Done, Err: &StampError{errStampSigner}}
		}, "", alarmStamp},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t)
				rid := someRIDs(t, 1)[0]
				p.fake.add(rid)
				p.fake.get = c.get
				got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNow, Items: []DispensedItem{gaveItem(t, "2711456", 1)}})
				if err != nil || got.Report == nil || got.Report.Unread != c.unread || got.Report.Alarm != c.alarms || got.Document == nil {
					t.Fatalf("got %+v, %v", got, err)
				}
				p.fake.once(t, rid)
				if all := p.all(); len(all) != 1 || all[0].Conflict != 0 {
					t.Errorf("%d reports", len(all))
				}
			})
		})
	}
}

// Refused for another reason than the state, and too late: told too.
func TestEndsWithoutAnAnswer(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rids := someRIDs(t, 2)
		if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rids[0]}); !errors.As(err, new(*RefusedError)) {
			t.Fatalf("got %v", err)
		}
		p.fake.setDown(true)
		if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rids[1]}); !errors.Is(err, outbox.ErrQueued) {
			t.Fatal(err)
		}
		time.Sleep(61 * 24 * time.Hour)
		p.drain()
		got := map[string]Conflict{}
		for _, r := range p.all() {
			got[r.RID.Reveal()] = r.Conflict
		}
		if len(got) != 2 || got[rids[0].Reveal()] != ConflictRefused || got[rids[1].Reveal()] != ConflictTooLate {
			t.Errorf("got %d reports: %v, %v", len(got), got[rids[0].Reveal()], got[rids[1].Reveal()])
		}
		for _, r := range p.all() {
			if r.Conflict == ConflictRefused {
				if err := p.d.Acknowledge(t.Context(), r); err != nil {
					t.Error(err)
				}
			}
		}
		if n := len(p.all()); n != 1 {
			t.Errorf("%d reports", n)
		}
	})
}

// A feedback goes once; when nobody knows whether it arrived, a person must decide.
func TestFeedbackLater(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.add(rid)
		f := Feedback{RID: rid, Prescriber: identity.MustNIHII("10000007004"), Text: identity.Hide("Not in stock.")}
		p.fake.setDown(true)
		if err := p.d.Feedback(t.Context(), "note 1", f); !errors.Is(err, outbox.ErrQueued) {
			t.Fatal(err)
		}
		p.fake.setDown(false)
		p.drain()
		if err := p.d.Feedback(t.Context(), "note 1", f); err != nil {
			t.Error(err)
		}
		p.fake.trip = func(op string, _ int, after bool) error {
			if after {
				return failed(fault.Timeout, fault.Unknown)
			}
			return nil
		}
		calls := p.fake.calls
		if err := p.d.Feedback(t.Context(), "note 2", f); !errors.Is(err, outbox.ErrUnknown) {
			t.Fatal(err)
		}
		p.drain()
		if p.fake.calls != calls+1 {
			t.Errorf("sent %d times", p.fake.calls-calls)
		}
		if err := p.d.Feedback(t.Context(), "note 3", Feedback{RID: rid}); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("got %v", err)
		}
	})
}

// Nothing that is printed tells what was dispensed.
func TestDispensePrintsNothing(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.set(rid, protocol.Delivered, otherPharmacy)
		x := Dispensing{RID: rid, Reference: "sale", Items: []DispensedItem{gaveItem(t, "2711456", 1)}}
		got, err := p.d.Dispense(t.Context(), x)
		if err == nil {
			t.Fatal("no conflict")
		}
		fake := newFakeCounter(t)
		fake.add(rid)
		f, ferr := fake.Get(t.Context(), rid)
		printed := fmt.Sprintf("%v %+v %#v %s %v %+v %v %+v %v", x, x, x, err, err, *got, got, got.Report, got.Document)
		printed += fmt.Sprintf("%v %+v %#v %v %+v", f, f, f, ferr, p.reports)
		printed += asJSON(got.Report) + asJSON(f) + asJSON(p.reports) + asJSON(x) + logged(got.Report, f, err, x)
		for _, secret := range []string{rid.Reveal(), "Secretin", "271145", "sealed", "20000113", "2000.0113", "00000000196"} {
			if strings.Contains(printed, secret) {
				t.Errorf("%q is printed: %s", secret, printed)
			}
		}
	})
}
