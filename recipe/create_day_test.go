package recipe_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// toMidnight waits until shortly before midnight in Belgium.
func toMidnight(t *testing.T) {
	t.Helper()
	brussels, err := time.LoadLocation("Europe/Brussels")
	ok(t, err)
	y, m, d := time.Now().In(brussels).Date()
	time.Sleep(time.Until(time.Date(y, m, d+1, 0, 0, 0, 0, brussels)) - 30*time.Second)
}

// Midnight makes no other prescription of one that was begun before it, with or without a reference of the caller's.
func TestOverMidnight(t *testing.T) {
	for _, reference := range []string{"late", ""} {
		for _, lost := range []bool{true, false} {
			inSandbox(t, func(t *testing.T, s *surgery) {
				toMidnight(t)
				ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
				first := &recipe.Created{}
				if lost {
					cancel := s.inject(bothLost)
					if _, err := s.create(reference); fault.OutcomeOf(err) != fault.Unknown {
						t.Fatal(err)
					}
					cancel()
				} else {
					first = s.mustCreate(reference)
				}
				time.Sleep(time.Minute)
				c := s.mustCreate(reference)
				if p := s.sb.Prescriptions()[0]; s.made() != 1 || c.RID.Reveal() != p.RID || !lost && (!c.Before || c.Expires != first.Expires) {
					t.Errorf("%q lost %v: %d made, expires %s", reference, lost, s.made(), c.Expires)
				}
				time.Sleep(24 * time.Hour)
				if c, err := s.create(""); reference == "" && (err != nil || c.Before) {
					t.Errorf("the next day is not another: %v", err)
				}
			})
		}
	}
}

// Without a reference another label makes no second prescription while nobody knows of the first.
func TestOtherLabel(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 2))
		cancel := s.inject(bothLost)
		if _, err := s.create(""); fault.OutcomeOf(err) != fault.Unknown {
			t.Fatal(err)
		}
		cancel()
		r := s.request("")
		r.Feedback, r.Label = true, identity.Hide("other")
		if _, err := s.p.Create(t.Context(), r); !errors.Is(err, outbox.ErrConflict) || s.made() != 1 {
			t.Errorf("%v, %d made", err, s.made())
		}
	})
}

// told are the events so far.
func (s *surgery) told() (out []recipe.Event) {
	for {
		select {
		case e := <-s.events:
			out = append(out, e)
			continue
		default:
		}
		return out
	}
}

// Whatever becomes of a prescription that was confirmed is told, once.
func TestConfirmedIsTold(t *testing.T) {
	for row, want := range map[string]recipe.OutcomeState{
		"": recipe.OutcomeCreated, both("inner code=300;op=createPrescription"): recipe.OutcomeNotCreated, refusing: recipe.OutcomeNotCreated,
		"kgss 0 to_end hang": recipe.OutcomeNotCreated,
	} {
		t.Run(row, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				s.rarely()
				s.hold("held")()
				if row != "" {
					s.inject(row)
				}
				s.work()
				time.Sleep(time.Hour)
				ok(t, s.p.Confirm(t.Context(), "held"))
				time.Sleep(30 * time.Hour)
				all := s.told()
				if len(all) != 1 || all[0].Kind != recipe.EventSettled || all[0].Outcome.State != want || all[0].Reference != "held" {
					t.Errorf("%d events, now %s", len(all), s.state("held", want).State)
				}
			})
		})
	}
}

// A surplus prescription that is not revoked is told of, whyever.
func TestNotRevokedIsTold(t *testing.T) {
	for _, row := range []string{"inner code=300;op=revokePrescription", "inner code=400;op=revokePrescription"} {
		inSandbox(t, func(t *testing.T, s *surgery) {
			s.lose("lost")
			ok(t, s.p.PaperGiven(t.Context(), "lost"))
			s.inject(both(row))
			s.work()
			time.Sleep(48 * time.Hour)
			if !slices.ContainsFunc(s.told(), func(e recipe.Event) bool {
				return e.Kind == recipe.EventNotRevoked && e.RID.Reveal() == s.sb.Prescriptions()[0].RID
			}) {
				t.Errorf("%s: nobody is told", row)
			}
		})
	}
}

// After one create without an answer a read goes before the next, so that only one patient waits.
func TestOnePatientWaits(t *testing.T) {
	for _, row := range []string{"http status=503;body=html", "lost_ack p=1"} {
		inSandbox(t, func(t *testing.T, s *surgery) {
			ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 4))
			cancel := s.inject(both(row))
			_, err := s.create("first")
			s.wantUnsure("first", err)
			made := s.made()
			for _, ref := range []string{"second", "third"} {
				if _, err := s.create(ref); !errors.As(err, new(*recipe.NotCreatedError)) || s.made() != made {
					t.Errorf("%s: %v, %d made", ref, err, s.made())
				}
			}
			cancel()
			time.Sleep(5 * time.Minute)
			if c := s.mustCreate("fourth"); c.Trips[0] != recipe.TripProbe {
				t.Errorf("trips %v", c.Trips)
			}
		})
	}
}

// A permit is for what was to be prescribed, and for nothing else.
func TestPermitCovers(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		mine, other, elsewhere := s.prescription(), s.prescription(), s.prescription()
		other.Items[0].Posology.Text = identity.Hide("2 par jour")
		elsewhere.Patient.SSIN = s.sb.Patients()[3].SSIN
		want := func(p recipe.Permit, err error) {
			t.Helper()
			ok(t, err)
			if p.IsZero() || !p.Covers(mine) || p.Covers(other) || p.Covers(elsewhere) || (recipe.Permit{}).Covers(mine) {
				t.Error("covers something else")
			}
		}
		s.inject(refusing)
		_, err := s.create("tried")
		if !errors.As(err, new(*recipe.NotCreatedError)) {
			t.Fatal(err)
		}
		if _, err := s.p.PaperFor(t.Context(), "tried", other); !errors.Is(err, outbox.ErrConflict) {
			t.Errorf("another content: %v", err)
		}
		want(s.p.Paper(t.Context(), "tried"))
		want(s.p.PaperFor(t.Context(), "fresh", mine))
		s.reopen()
		want(s.p.Paper(t.Context(), "tried"))
		want(s.p.PaperFor(t.Context(), "fresh", mine))
		if _, err := s.p.PaperFor(t.Context(), "fresh", other); !errors.Is(err, outbox.ErrConflict) {
			t.Errorf("another content: %v", err)
		}
		if p, err := s.p.Paper(t.Context(), "unknown"); err != nil || p.Covers(mine) {
			t.Errorf("covers what nobody named: %v", err)
		}
		s.hold("held")
		s.reopen()
		want(s.p.Paper(t.Context(), "held"))
	})
}
