package recipe

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// What fails for a reason that is not the prescription (no token of Recip-e in the depot, a question that it cannot read, a
// gateway that refuses) is tried again until it works: nothing is parked or given up, at any step.
func TestRefusedForNoFaultOfThePrescription(t *testing.T) {
	for name, c := range map[string]struct {
		kind    fault.Kind
		outcome fault.Outcome
	}{
		"no token": {fault.NotFound, fault.NotSent}, "not read": {fault.Invalid, fault.Rejected}, "no sense": {fault.Protocol, fault.Rejected},
		"odd key": {fault.Security, fault.Rejected}, "own fault": {fault.Invalid, fault.NotSent}, "local": {fault.Local, fault.Rejected},
		"conflict": {fault.Conflict, fault.Rejected}, "denied": {fault.Denied, fault.Rejected},
	} {
		for _, op := range []string{"status", "get", "deliver", "archive", "reserve"} {
			t.Run(name+" "+op, func(t *testing.T) {
				atDesk(t, func(t *testing.T) {
					p := newDesk(t)
					rids := someRIDs(t, 2)
					p.fake.add(rids...)
					p.fake.setDown(true)
					for _, rid := range rids {
						if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); !errors.Is(err, outbox.ErrQueued) {
							t.Fatal(err)
						}
					}
					p.fake.setDown(false)
					until := time.Now().Add(20 * time.Minute)
					p.fake.trip = func(o string, _ int, after bool) error {
						if o == op && !after && time.Now().Before(until) {
							return &fault.Error{Op: "fake", Kind: c.kind, Outcome: c.outcome}
						}
						return nil
					}
					p.drain()
					p.fake.once(t, rids...)
					if n := len(p.all()); n != 0 {
						t.Errorf("%d reports", n)
					}
				})
			})
		}
	}
}

// A report function that panics does not keep the dispensing from being done, and the report is there.
func TestReportFunctionPanics(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		p.open(WithReports(func(Report) { panic("no screen") }))
		rid := someRIDs(t, 1)[0]
		p.fake.add(rid)
		got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Items: []DispensedItem{gaveItem(t, "2711456", 2)}})
		if err != nil || got.Report == nil || got.State != DispensedConfirmed {
			t.Errorf("got %+v, %v", got, err)
		}
		if n := len(p.all()); n != 1 {
			t.Errorf("%d reports", n)
		}
	})
}

// frail is a store of which one call fails, or after one write of which the program is gone.
type frail struct {
	outbox.Store
	mu   sync.Mutex
	n    int
	at   int  // 0 = never
	dead bool // after it nothing works
	gone bool
	loads,
	writes bool
}

var errFrail = &fault.Error{Op: "store", Kind: fault.Unavailable, Outcome: fault.NotSent}

func (f *frail) hit(counted bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return errors.Join(errKilled, outbox.ErrBroken)
	}
	if !counted {
		return nil
	}
	if f.n++; f.n != f.at {
		return nil
	}
	if f.dead {
		f.gone = true
		return errors.Join(errKilled, outbox.ErrBroken)
	}
	return errFrail
}

func (f *frail) Insert(ctx context.Context, e outbox.Entry, c *outbox.Claim) (outbox.Inserted, error) {
	if err := f.hit(f.writes); err != nil {
		return outbox.Inserted{}, err
	}
	return f.Store.Insert(ctx, e, c)
}

func (f *frail) Load(ctx context.Context, id outbox.ID) (outbox.Entry, error) {
	if err := f.hit(f.loads); err != nil {
		return outbox.Entry{}, err
	}
	return f.Store.Load(ctx, id)
}

func (f *frail) Headers(ctx context.Context, ids []outbox.ID) ([]outbox.Entry, error) {
	if err := f.hit(f.loads); err != nil {
		return nil, err
	}
	return f.Store.Headers(ctx, ids)
}

func (f *frail) Swap(ctx context.Context, e outbox.Entry, g outbox.Guard) error {
	if err := f.hit(f.writes); err != nil {
		return err
	}
	return f.Store.Swap(ctx, e, g)
}

func (f *frail) Claim(ctx context.Context, c outbox.Claim) (outbox.Claimed, error) {
	if err := f.hit(false); err != nil {
		return outbox.Claimed{}, err
	}
	return f.Store.Claim(ctx, c)
}

func (f *frail) List(ctx context.Context, q outbox.Query) (outbox.Page, error) {
	if err := f.hit(false); err != nil {
		return outbox.Page{}, err
	}
	return f.Store.List(ctx, q)
}

func (f *frail) Close() error { return nil }

// Whichever write of a dispensing is the last one of the program, and whichever question to the store fails once: it is
// delivered and archived once, its differences are told, and the document is kept for the archive.
func TestStoreFailsAtEachStep(t *testing.T) {
	for name, c := range map[string]*frail{
		"killed at write": {dead: true, writes: true}, "failed write": {writes: true}, "failed read": {loads: true},
	} {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				reached := false
				atDesk(t, func(t *testing.T) {
					p := newDesk(t)
					rid := someRIDs(t, 1)[0]
					p.fake.add(rid)
					p.fake.setDown(true)
					if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Items: []DispensedItem{gaveItem(t, "2711456", 2)}}); !errors.Is(err, outbox.ErrQueued) {
						t.Fatal(err)
					}
					p.fake.setDown(false)
					time.Sleep(time.Minute)
					plain := p.store
					bad := &frail{Store: plain, at: at, dead: c.dead, writes: c.writes, loads: c.loads}
					p.store = bad
					p.open()
					if err := p.box.Drain(t.Context(), nil); err != nil && !c.dead {
						t.Errorf("call %d: %v", at, err)
					}
					bad.mu.Lock()
					reached = bad.n >= at
					bad.mu.Unlock()
					p.store = plain
					p.open()
					p.drain()
					p.fake.once(t, rid)
					all := p.all()
					if len(all) != 1 || !all[0].Compared || all[0].Conflict != 0 || len(all[0].Difference) != 1 {
						t.Errorf("call %d: %d reports", at, len(all))
					}
					got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid})
					if err != nil || got.Document == nil || !got.Before {
						t.Errorf("call %d: the document is lost: %v", at, err)
					}
				})
				if !reached || at > 60 {
					break
				}
			}
		})
	}
}

// Taken back without the Dispenser (by another desk, another program, Executor.Undeliver), a prescription can be dispensed
// again, and let go of again: what was done earlier does not count for it.
func TestTakenBackElsewhere(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.add(rid)
		for round := 1; round <= 3; round++ {
			got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid})
			if err != nil || got.Status != protocol.Delivered || got.Document == nil || got.Before {
				t.Fatalf("round %d: %+v, %v", round, got, err)
			}
			if n := len(p.fake.executed("deliver")); n != round {
				t.Fatalf("round %d: delivered %d times", round, n)
			}
			if err := p.fake.Undeliver(t.Context(), rid); err != nil {
				t.Fatal(err)
			}
		}
		// Two times in process, two times let go.
		for n := 1; n <= 2; n++ {
			if _, err := p.fake.Get(t.Context(), rid); err != nil {
				t.Fatal(err)
			}
			if got, err := p.d.Undeliver(t.Context(), rid); err != nil || got.Status != protocol.NotDelivered {
				t.Fatalf("%d: %+v, %v", n, got, err)
			}
			if s := p.fake.rx[rid.Reveal()].state; s != protocol.NotDelivered {
				t.Fatalf("%d: let go, and it is %s", n, s)
			}
		}
		// The same for a mark.
		for n := 1; n <= 2; n++ {
			if _, err := p.fake.Get(t.Context(), rid); err != nil {
				t.Fatal(err)
			}
			if _, err := p.d.Deliver(t.Context(), rid); err != nil {
				t.Fatal(err)
			}
			if s := p.fake.rx[rid.Reveal()].state; s != protocol.Delivered {
				t.Fatalf("%d: marked, and it is %s", n, s)
			}
			if err := p.fake.Undeliver(t.Context(), rid); err != nil {
				t.Fatal(err)
			}
		}
		// Delivered by another pharmacy meanwhile: that is told, not that it was done.
		p.fake.set(rid, protocol.Delivered, otherPharmacy)
		if got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); got == nil || got.State != DispensedConflict || !errors.Is(err, fault.ErrConflict) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// A prescription that this pharmacy has delivered before, when nothing here remembers it any more (after a month, with another
// program, on another computer), is told as dispensed before: nobody gives the medicine a second time without hearing it.
func TestDispensedBeforeElsewhereInThePharmacy(t *testing.T) {
	for name, wait := range map[string]bool{"at once": false, "in an outage": true} {
		for _, state := range []protocol.PrescriptionStatus{protocol.Delivered, protocol.Archived} {
			t.Run(name+" "+string(state), func(t *testing.T) {
				atDesk(t, func(t *testing.T) {
					p := newDesk(t)
					rid := someRIDs(t, 1)[0]
					p.fake.set(rid, state, ownPharmacy)
					p.fake.setDown(wait)
					x := Dispensing{RID: rid, Reference: "sale 7", ForceMajeure: true}
					got, err := p.d.Dispense(t.Context(), x)
					if wait {
						p.fake.setDown(false)
						p.drain()
						if got, err = p.d.Dispense(t.Context(), x); !got.Before {
							t.Error("not told")
						}
					}
					if err != nil || !got.Before || got.State != DispensedConfirmed || got.Report == nil || got.Report.Conflict != ConflictBefore {
						t.Errorf("got %+v, %v", got, err)
					}
					all := p.all()
					if len(all) != 1 || all[0].Conflict != ConflictBefore || all[0].Reference != "sale 7" || !all[0].Force {
						t.Fatalf("%d reports", len(all))
					}
					if err := p.d.Acknowledge(t.Context(), all[0]); err != nil || len(p.all()) != 0 {
						t.Errorf("not acknowledged: %v", err)
					}
				})
			})
		}
	}
}

// What is dispensed in an outage and taken back in the same outage is not archived in between: an archived prescription cannot
// be taken back.
func TestTakenBackWhileItWaits(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.add(rid)
		p.fake.setDown(true)
		for _, archive := range []ArchiveWhen{ArchiveWaited, ArchiveNow} {
			if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: archive}); !errors.Is(err, outbox.ErrQueued) {
				t.Fatal(err)
			}
			if _, err := p.d.Undeliver(t.Context(), rid); !errors.Is(err, outbox.ErrQueued) {
				t.Fatal(err)
			}
		}
		p.fake.setDown(false)
		p.drain()
		if x := p.fake.rx[rid.Reveal()]; x.state != protocol.NotDelivered || x.archived != 0 {
			t.Errorf("got %+v", x)
		}
		if n := len(p.all()); n != 0 {
			t.Errorf("%d reports", n)
		}
	})
}

// What came too late can be read and acknowledged too.
func TestTooLateIsAcknowledged(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.add(rid)
		p.fake.setDown(true)
		if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Reference: "sale 3"}); !errors.Is(err, outbox.ErrQueued) {
			t.Fatal(err)
		}
		time.Sleep(61 * 24 * time.Hour)
		p.drain()
		all := p.all()
		if len(all) != 1 || all[0].Conflict != ConflictTooLate || all[0].Reference != "sale 3" {
			t.Fatalf("%d reports", len(all))
		}
		for range 2 {
			if err := p.d.Acknowledge(t.Context(), all[0]); err != nil {
				t.Error(err)
			}
		}
		if n := len(p.all()); n != 0 {
			t.Errorf("%d reports after it was read", n)
		}
	})
}

// A month later, when the outbox has forgotten the first dispensing, the conflict of the second one is a report of its own,
// whatever was acknowledged.
func TestConflictAgainAfterAMonth(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.set(rid, protocol.Delivered, otherPharmacy)
		if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); !errors.Is(err, fault.ErrConflict) {
			t.Fatal(err)
		}
		time.Sleep(20 * 24 * time.Hour)
		for _, r := range p.all() {
			if err := p.d.Acknowledge(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(15 * 24 * time.Hour)
		if _, err := p.box.Forget(t.Context(), time.Now().Add(-30*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		p.fake.setDown(true)
		if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Reference: "second"}); !errors.Is(err, outbox.ErrQueued) {
			t.Fatal(err)
		}
		p.fake.setDown(false)
		p.drain()
		if all := p.all(); len(all) != 1 || all[0].Reference != "second" {
			t.Errorf("%d reports", len(all))
		}
	})
}

// A feedback that needs a person, or was refused while nobody waited, shows in the reports.
func TestFeedbackIsReported(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.add(rid)
		f := Feedback{RID: rid, Prescriber: identity.MustNIHII("10000007004"), Text: identity.Hide("Not in stock.")}
		p.fake.trip = func(string, int, bool) error { return failed(fault.Timeout, fault.Unknown) }
		if err := p.d.Feedback(t.Context(), "note 1", f); !errors.Is(err, outbox.ErrUnknown) {
			t.Fatal(err)
		}
		p.drain()
		all := p.all()
		if len(all) != 1 || all[0].Conflict != ConflictFeedback || all[0].Reference != "note 1" || all[0].RID.Reveal() != rid.Reveal() {
			t.Fatalf("%d reports", len(all))
		}
		if err := p.d.Acknowledge(t.Context(), all[0]); err != nil {
			t.Error(err)
		}
		if n := len(p.all()); n != 0 {
			t.Errorf("%d reports after it was read", n)
		}
	})
}

// A refusal while nobody waits is told like any other report.
func TestRefusalInTheBackgroundIsTold(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.setDown(true)
		if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Reference: "sale 4"}); !errors.Is(err, outbox.ErrQueued) {
			t.Fatal(err)
		}
		p.fake.setDown(false)
		p.drain()
		if len(p.reports) != 1 || p.reports[0].Conflict != ConflictRefused || p.reports[0].Reference != "sale 4" {
			t.Errorf("%d told", len(p.reports))
		}
	})
}
