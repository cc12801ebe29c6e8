package recipe_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// wantUnsure wants an unknown outcome, during which neither paper nor another prescription is given.
func (s *surgery) wantUnsure(reference string, err error) {
	s.t.Helper()
	u, is := errors.AsType[*recipe.UnsureError](err)
	f, whole := errors.AsType[*fault.Error](err)
	if !is || !whole || f.Outcome != fault.Unknown || f.Notice != recipe.NoticeUnsure || u.Reference != reference {
		s.t.Fatalf("error %v", err)
	}
	if _, err := s.p.Paper(s.t.Context(), reference); !errors.As(err, new(*recipe.UnsureError)) {
		s.t.Fatalf("paper: %v", err)
	}
	s.state(reference, recipe.OutcomeUnsure)
}

// settles waits for the outcome and wants the one prescription that there is.
func (s *surgery) settles(reference string) {
	s.t.Helper()
	out, err := s.p.Wait(s.t.Context(), reference)
	ok(s.t, err)
	all := s.sb.Prescriptions()
	if len(all) != 1 || out.State != recipe.OutcomeCreated || out.RID.Reveal() != all[0].RID {
		s.t.Fatalf("%s, %d made", out.State, len(all))
	}
	if created := s.mustCreate(reference); created.RID != out.RID || !created.Before {
		s.t.Error("the same reference is another prescription")
	}
	var c *recipe.CreatedError
	if _, err := s.p.Paper(s.t.Context(), reference); !errors.As(err, &c) || c.RID != out.RID {
		s.t.Errorf("paper for what exists: %v", err)
	}
}

// lostAnswers are ways in which a prescription is made and its maker does not hear of it.
var lostAnswers = []string{
	"lost_ack p=1", "hang exec=1", "http status=500;body=html;exec=1", "http status=504;body=empty;exec=1", "corrupt how=bytes", "corrupt how=text",
	"corrupt how=key", "missing", "slow median_ms=20000;cap_ms=25000", "outer exec=1", "inner code=500;exec=1",
}

// A lost answer costs neither the prescription nor its number, and never makes a second one. While nobody answers it is
// unsure; when another address can be asked, the call itself finds out.
func TestLostAnswer(t *testing.T) {
	for _, row := range lostAnswers {
		for _, gen := range []protocol.Generation{protocol.Gen2023, protocol.Gen2021} {
			t.Run(row+"/"+gen.String(), func(t *testing.T) {
				inSandbox(t, func(t *testing.T, s *surgery) {
					ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
					s.inject("recipe-presc 0 60 " + row + "\nrecipe-direct 0 60 " + row)
					_, err := s.create("lost")
					s.wantUnsure("lost", err)
					if s.made() != 1 {
						t.Fatalf("%d made", s.made())
					}
					s.work()
					s.settles("lost")
				}, recipe.WithGeneration(gen))
			})
		}
		t.Run(row+"/one address", func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
				once := ";max=1"
				if !strings.Contains(row, " ") {
					once = " max=1"
				}
				s.inject("recipe-presc 0 60 " + row + once)
				c, err := s.create("lost")
				if err != nil {
					s.wantUnsure("lost", err) // it took all the time there was
				} else if c.Notice != recipe.NoticePrint || c.RID.Reveal() != s.sb.Prescriptions()[0].RID {
					t.Errorf("notice %q", c.Notice)
				}
				s.work()
				s.settles("lost")
			})
		})
	}
}

// Whatever was not executed is known to be so when the message can no longer be carried out, and not before.
func TestNotExecuted(t *testing.T) {
	for _, row := range []string{
		"recipe-presc 0 60 hang", "recipe-presc 0 60 http status=500;body=html", "recipe-presc 0 1200 fault code=SOA-00001",
		"recipe-presc 0 7200 hang\nrecipe-direct 0 7200 hang",
	} {
		t.Run(row, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
				s.inject(row)
				_, err := s.create("gone")
				s.wantUnsure("gone", err)
				s.work()
				time.Sleep(10 * time.Minute)
				s.state("gone", recipe.OutcomeUnsure)
				out, err := s.p.Wait(t.Context(), "gone")
				ok(t, err)
				if out.State != recipe.OutcomeNotCreated || out.Notice != recipe.NoticePaper || s.made() != 0 {
					t.Fatalf("%s, %d made", out.State, s.made())
				}
				if e := <-s.events; e.Kind != recipe.EventSettled || e.Reference != "gone" || e.Outcome.State != recipe.OutcomeNotCreated {
					t.Errorf("event %v %v", e.Kind, e.Outcome.State)
				}
				time.Sleep(3 * time.Hour)
				if s.made() != 0 {
					t.Fatal("sent later by itself")
				}
				// Certain: it may be tried again under the same reference.
				if c := s.mustCreate("gone"); c.RID.IsZero() || s.made() != 1 {
					t.Errorf("%d made", s.made())
				}
			})
		})
	}
}

// Lists that hide what is new for minutes make nothing certain too early.
func TestLaggingLists(t *testing.T) {
	for _, gen := range []protocol.Generation{protocol.Gen2023, protocol.Gen2021} {
		inSandbox(t, func(t *testing.T, s *surgery) {
			s.sb.SetRecipe(sandbox.RecipeBehaviour{ListLag: 4 * time.Minute, PageSize: 2})
			for _, ref := range []string{"a", "b", "c", "d", "e"} { // others, on several pages
				s.p.CreateAll(t.Context(), []recipe.CreateRequest{s.request(ref)})
			}
			cancel := s.inject("recipe-presc 0 to_end lost_ack p=1")
			_, err := s.create("lost")
			s.wantUnsure("lost", err)
			cancel()
			s.work()
			out, err := s.p.Wait(t.Context(), "lost")
			ok(t, err)
			all := s.sb.Prescriptions()
			if len(all) != 6 || out.State != recipe.OutcomeCreated || out.RID.Reveal() != all[5].RID {
				t.Fatalf("%s, %d made", out.State, len(all))
			}
		}, recipe.WithGeneration(gen))
	}
}

// Of two prescribers of one patient each finds his own, and an answer meant for the other is shown to nobody.
func TestMisrouted(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		o := newSurgery(t, s.sb, 1)
		o.patient = s.patient
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 2))
		ok(t, o.p.Prepare(t.Context(), s.patient.SSIN, 2))
		cancel := s.inject("recipe-presc 0 to_end misroute p=1")
		errs := make(chan error, 2)
		for _, x := range []*surgery{s, o} {
			go func() { _, err := x.create("mine"); errs <- err }()
		}
		for range 2 {
			if err := <-errs; err != nil && !errors.As(err, new(*recipe.UnsureError)) {
				t.Errorf("error %v", err)
			}
		}
		cancel()
		if s.sb.State().Hits["recipe-presc"]["misroute"] == 0 {
			t.Fatal("nothing was swapped")
		}
		for _, x := range []*surgery{s, o} {
			x.work()
			out, err := x.p.Wait(t.Context(), "mine")
			ok(t, err)
			if p, found := s.sb.Prescription(out.RID.Reveal()); !found || p.Prescriber != x.person.NIHII.Reveal() {
				t.Error("another prescriber's")
			}
		}
		if s.made() != 2 {
			t.Errorf("%d made", s.made())
		}
	})
}

// A process that ends between writing and the answer leaves what the next one needs.
func TestRestart(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
		s.inject("recipe-presc 0 600 lost_ack p=1\nrecipe-direct 0 600 lost_ack p=1")
		_, err := s.create("lost")
		s.wantUnsure("lost", err)
		s.reopen()
		s.state("lost", recipe.OutcomeUnsure)
		if _, err := s.p.Paper(t.Context(), "lost"); !errors.As(err, new(*recipe.UnsureError)) {
			t.Fatalf("paper: %v", err)
		}
		s.work()
		s.settles("lost")
		if n := s.sb.State().Effects["recipe.created"]; n != 1 {
			t.Errorf("executed %d times", n)
		}
	})
}

// A person who gave paper without knowing says so; what turns up is revoked, unless a pharmacy has it.
func TestPaperGiven(t *testing.T) {
	for _, taken := range []bool{false, true} {
		inSandbox(t, func(t *testing.T, s *surgery) {
			ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
			cancel := s.inject("recipe-presc 0 to_end lost_ack p=1\nrecipe-direct 0 to_end lost_ack p=1")
			_, err := s.create("lost")
			s.wantUnsure("lost", err)
			ok(t, s.p.PaperGiven(t.Context(), "lost"))
			ok(t, s.p.PaperGiven(t.Context(), "lost"))
			s.state("lost", recipe.OutcomePaper)
			if _, err := s.create("lost"); !errors.Is(err, recipe.ErrPaperGiven) {
				t.Errorf("created beside paper: %v", err)
			}
			if taken {
				s.deliver(s.sb.Prescriptions()[0].RID)
			}
			cancel()
			s.work()
			want := map[recipe.EventKind]bool{recipe.EventSurplus: true, recipe.EventRevoked: !taken, recipe.EventNotRevoked: taken}
			for range 3 {
				e := <-s.events
				if e.Kind != recipe.EventSettled && !want[e.Kind] || e.Reference != "lost" {
					t.Errorf("event %s", e.Kind)
				}
			}
			all := s.sb.Prescriptions()
			if len(all) != 1 || (all[0].Status == sandbox.Revoked) == taken {
				t.Errorf("%d made, %s", len(all), all[0].Status)
			}
			s.state("lost", recipe.OutcomePaper)
		})
	}
}

// pharmacy is one in the same sandbox.
func (s *surgery) pharmacy() *recipe.Executor {
	s.t.Helper()
	org := s.sb.Organisation(identity.Pharmacy, 0)
	number, err := identity.ParseNIHII(org.Number)
	ok(s.t, err)
	client := s.sb.HTTPClient()
	s.t.Cleanup(client.CloseIdleConnections)
	platform, _ := linkAs(s.t, s.sb, org, org.Holder, client, sts.Identity{
		Quality: identity.Pharmacist, SSIN: org.Holder.SSIN, NIHII: number, Holder: org.Holder.SSIN,
	})
	x, err := recipe.NewExecutor(platform, recipe.Caller{NIHII: number, Quality: identity.Pharmacy}, recipe.WithProgramID("test/1.0"))
	ok(s.t, err)
	return x
}

// deliver takes a prescription in a pharmacy.
func (s *surgery) deliver(rid string) {
	s.t.Helper()
	x := s.pharmacy()
	r, err := identity.ParseRID(rid)
	ok(s.t, err)
	_, err = x.Reserve(s.t.Context(), []identity.RID{r})
	ok(s.t, err)
	ok(s.t, x.Deliver(s.t.Context(), r))
}

// Held prescriptions wait for the prescriber's word until midnight, and exclude paper.
func TestHold(t *testing.T) {
	hold := func(t *testing.T, s *surgery) func() {
		cancel := s.inject("recipe-presc 0 to_end refuse\nrecipe-direct 0 to_end refuse")
		r := s.request("held")
		r.Hold = true
		_, err := s.p.Create(t.Context(), r)
		if e, is := errors.AsType[*recipe.NotCreatedError](err); !is || !e.Held {
			t.Fatalf("error %v", err)
		}
		s.state("held", recipe.OutcomeHeld)
		s.work()
		return cancel
	}
	t.Run("confirmed", func(t *testing.T) {
		inSandbox(t, func(t *testing.T, s *surgery) {
			cancel := hold(t, s)
			time.Sleep(time.Hour)
			cancel()
			time.Sleep(time.Hour)
			if s.made() != 0 {
				t.Fatal("sent without a word")
			}
			ok(t, s.p.Confirm(t.Context(), "held"))
			s.settles("held")
			ok(t, s.p.Confirm(t.Context(), "held"))
		})
	})
	t.Run("paper", func(t *testing.T) {
		inSandbox(t, func(t *testing.T, s *surgery) {
			cancel := hold(t, s)
			_, err := s.p.Paper(t.Context(), "held")
			ok(t, err)
			cancel()
			if err := s.p.Confirm(t.Context(), "held"); !errors.Is(err, recipe.ErrPaperGiven) {
				t.Errorf("confirmed beside paper: %v", err)
			}
			time.Sleep(time.Hour)
			if s.made() != 0 {
				t.Fatal("made beside paper")
			}
		})
	})
	t.Run("confirmed and taken back", func(t *testing.T) {
		inSandbox(t, func(t *testing.T, s *surgery) {
			cancel := hold(t, s)
			ok(t, s.p.Confirm(t.Context(), "held"))
			time.Sleep(time.Minute)
			_, err := s.p.Paper(t.Context(), "held")
			ok(t, err)
			cancel()
			time.Sleep(12 * time.Hour)
			if s.made() != 0 {
				t.Fatal("made beside paper")
			}
		})
	})
	t.Run("midnight", func(t *testing.T) {
		for _, confirmed := range []bool{false, true} {
			inSandbox(t, func(t *testing.T, s *surgery) {
				cancel := hold(t, s)
				if confirmed {
					ok(t, s.p.Confirm(t.Context(), "held"))
				}
				time.Sleep(25 * time.Hour)
				cancel()
				time.Sleep(time.Hour)
				s.state("held", recipe.OutcomeNotCreated)
				if s.made() != 0 {
					t.Fatal("sent on the next day")
				}
			})
		}
	})
}

// When the service failed lately a read goes first, so that no prescription is the probe.
func TestProbe(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 3))
		url := s.sb.URL(recipe.ServicePrescriber, 0)
		s.engine.Restore([]resilience.Snapshot{{Service: recipe.ServicePrescriber, Endpoint: url, State: resilience.HalfOpen, Since: time.Now()}})
		cancel := s.inject("recipe-presc 0 to_end hang exec=1\nrecipe-direct 0 to_end hang exec=1")
		_, err := s.create("probed")
		s.wantNotCreated("probed", err)
		cancel()
		c := s.mustCreate("after")
		if c.Trips[0] != recipe.TripProbe || c.Notice != recipe.NoticePrint {
			t.Errorf("trips %v, notice %q", c.Trips, c.Notice)
		}
	})
}

// Refusals by Recip-e say why, and are no reason for paper.
func TestRefused(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.inject("recipe-presc 0 to_end inner message=error.x.y")
		_, err := s.create("no")
		r, is := errors.AsType[*recipe.RefusedError](err)
		f, whole := errors.AsType[*fault.Error](err)
		if !is || !whole || f.Outcome != fault.Rejected || f.Notice != "" || r.Text("fr").IsZero() || s.made() != 0 {
			t.Fatalf("error %v", err)
		}
		s.state("no", recipe.OutcomeNotCreated)
	})
	inSandbox(t, func(t *testing.T, s *surgery) {
		bad := s.request("bad")
		bad.Prescription.Items[0].Posology.Text = identity.Hide("")
		_, err := s.p.Create(t.Context(), bad)
		if fault.KindOf(err) != fault.Invalid || fault.OutcomeOf(err) != fault.NotSent || s.requests() != 0 {
			t.Errorf("error %v, %d requests", err, s.requests())
		}
	})
}

// Another content under a reference that is known is refused, whatever became of the first.
func TestConflict(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.mustCreate("one")
		other := s.request("one")
		other.Prescription.Items[0].Posology.Text = identity.Hide("2 par jour")
		if _, err := s.p.Create(t.Context(), other); !errors.Is(err, outbox.ErrConflict) || s.made() != 1 {
			t.Errorf("error %v, %d made", err, s.made())
		}
		// Without a reference the same content on the same day is the same prescription.
		free := s.request("")
		a, err := s.p.Create(t.Context(), free)
		ok(t, err)
		b, err := s.p.Create(t.Context(), free)
		ok(t, err)
		if a.RID != b.RID || !b.Before || s.made() != 2 {
			t.Errorf("%d made", s.made())
		}
	})
}

// Several at once have results of their own.
func TestCreateAll(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		all := make([]recipe.CreateRequest, recipe.MaxCreateAll)
		for i := range all {
			all[i] = s.request(string(rune('A' + i)))
		}
		all[7].Type = "?"
		for i, r := range s.p.CreateAll(t.Context(), all) {
			if (r.Err != nil) != (i == 7) || r.Err == nil && r.Created.RID.IsZero() {
				t.Errorf("%d: %v", i, r.Err)
			}
		}
		if s.made() != recipe.MaxCreateAll-1 {
			t.Errorf("%d made", s.made())
		}
		for _, r := range s.p.CreateAll(t.Context(), append(all, all[0])) {
			if r.Err == nil {
				t.Fatal("31 at once")
			}
		}
	})
}
