package recipe_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// onExecutor is one row for both addresses of the pharmacies.
func onExecutor(row string) string {
	return "recipe-exec 0 to_end " + row + "\nrecipe-direct 0 to_end " + row
}

// asked is how many requests came to the executor service.
func asked(sb *sandbox.Sandbox) int {
	r := sb.State().Requests
	return r["recipe-exec"] + r["recipe-direct"]
}

// A question that is refused for what it asks is refused to the person who asks, at whatever step, with a report that stays until it
// is read; it is not tried again. What is not certain to be so goes on being tried (dossier 04 sections 13.3 and 13.4).
func TestRefusedQuestion(t *testing.T) {
	const status, fetch, deliver, archive = "getPrescriptionStatus", "getPrescriptionForExecutor", "markAsDelivered", "markAsArchived"
	inSandbox(t, func(t *testing.T, s *surgery) {
		p := newChemist(t, s.sb, 0)
		for name, c := range map[string]struct {
			inner string
			final bool
			ops   []string
		}{
			"refused":                        {"code=300;message=error.any", true, []string{status, deliver}},
			"invalid":                        {"code=400;message=error.any", true, []string{status, fetch, deliver, archive}},
			"invalid argument":               {"code=400;message=error.validation.rid", true, []string{fetch}},
			"invalid argument, odd status":   {"code=500;message=error.validation.rid", true, []string{status, archive}},
			"the official module's number":   {"code=500;message=4001018", true, []string{deliver}},
			"technical":                      {"code=500;message=error.technical", false, []string{deliver}},
			"of a kind that nobody has seen": {"code=999;message=error.any", false, []string{status}},
			"invalid, and it says a state":   {"code=400;message=error.any;status=InProcess", false, []string{archive}},
		} {
			for _, op := range c.ops {
				rid := s.mustCreate(name + " " + op).RID
				heal := s.inject(onExecutor("inner " + c.inner + ";op=" + op))
				x := recipe.Dispensing{RID: rid, Reference: op, Archive: recipe.ArchiveNow}
				got, err := p.d.Dispense(t.Context(), x)
				if c.final {
					refused(t, p, got, err, x)
					silent(t, s, []identity.RID{rid}, got, *got, err)
					heal()
					again := func() (*recipe.Dispensed, error) { return p.d.Dispense(t.Context(), x) }
					if op == archive { // it was delivered
						again = func() (*recipe.Dispensed, error) { return p.d.Archive(t.Context(), rid) }
					}
					_, err = again() // nothing is lost: scanned again, it is confirmed
					ok(t, err)
				} else {
					if !errors.Is(err, outbox.ErrUnknown) && !errors.Is(err, outbox.ErrQueued) {
						t.Errorf("%s, %s: not kept: %v", name, op, err)
					}
					p.drainFor(5 * time.Minute)
					heal()
					ok(t, p.box.Drain(t.Context(), nil))
				}
				at(t, s.sb, rid, sandbox.Archived, 1)
			}
		}
		if all := p.reports(); len(all) != 0 {
			t.Errorf("%d reports are left", len(all))
		}
	})
}

// drainFor works for so long.
func (c *chemist) drainFor(d time.Duration) {
	ctx, cancel := context.WithTimeout(c.t.Context(), d)
	defer cancel()
	_ = c.box.Drain(ctx, nil) // its end is that of the time
}

// refused wants a dispensing that was refused, told, and is not tried again.
func refused(t *testing.T, p *chemist, got *recipe.Dispensed, err error, x recipe.Dispensing) {
	t.Helper()
	e, is := errors.AsType[*fault.Error](err)
	if !is || !errors.Is(err, fault.ErrInvalid) || e.Outcome != fault.Rejected || e.Notice == recipe.NoticeUnsure || !errors.As(err, new(*recipe.RefusedError)) ||
		errors.Is(err, outbox.ErrUnknown) || errors.Is(err, outbox.ErrQueued) {
		t.Fatalf("%s: %v", x.Reference, err)
	}
	r := got.Report
	if got.State != recipe.DispensedConflict || r == nil || r.Conflict != recipe.ConflictRefused || r.RID != x.RID || r.Reference != x.Reference || r.At.IsZero() {
		t.Fatalf("%s: %+v", x.Reference, got)
	}
	before := asked(p.sb)
	ok(t, p.box.Drain(t.Context(), nil))
	if n := asked(p.sb) - before; n != 0 {
		t.Errorf("%s: asked %d times more", x.Reference, n)
	}
	if all := p.reports(); len(all) != 1 || all[0].ID != r.ID || all[0].Conflict != recipe.ConflictRefused {
		t.Fatalf("%s: %d reports", x.Reference, len(all))
	}
	ok(t, p.d.Acknowledge(t.Context(), *r))
}

// A number that Recip-e does not know, among those that wait in an outage, is told when it answers again; the others are taken into
// process at once all the same, ten with a call, oldest first.
func TestUnknownAmongReserved(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		p := newChemist(t, s.sb, 0)
		rids := s.several(5)
		wrong := identity.MustRID("BEP0ABCDEFGH")
		_, err := p.x.Status(t.Context(), rids[0])
		ok(t, err)
		heal := s.inject(onExecutor("refuse"))
		for i, rid := range append(append(rids[:2:2], wrong), rids[2:]...) {
			_, err := p.d.Dispense(t.Context(), recipe.Dispensing{RID: rid, ForceMajeure: true})
			if !errors.Is(err, outbox.ErrQueued) {
				t.Fatalf("%d: %v", i, err)
			}
			time.Sleep(time.Minute)
		}
		heal()
		stop := s.inject(onExecutor("inner code=500;op=markAsDelivered")) // what is reserved stays so
		p.work()
		time.Sleep(5 * time.Minute)
		taken := map[string]time.Time{}
		for i, rid := range rids {
			rx, _ := s.sb.Prescription(rid.Reveal())
			if rx.Status != sandbox.InProcess {
				t.Fatalf("prescription %d is %s", i, rx.Status)
			}
			taken[rid.Reveal()] = rx.Events[len(rx.Events)-1].At
		}
		for _, rid := range rids {
			if between := taken[rid.Reveal()].Sub(taken[rids[0].Reveal()]); between < 0 || between > 5*time.Second {
				t.Errorf("taken %s after the first", between)
			}
		}
		stop()
		time.Sleep(time.Hour)
		for _, rid := range rids {
			at(t, s.sb, rid, sandbox.Archived, 1)
		}
		if all := p.reports(); len(all) != 1 || all[0].RID != wrong || all[0].Conflict != recipe.ConflictRefused || !all[0].Force {
			t.Errorf("%d reports", len(all))
		}
	})
}
