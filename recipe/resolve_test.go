package recipe_test

import (
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// bothLost loses every answer of both addresses.
const bothLost = "recipe-presc 0 to_end lost_ack p=1\nrecipe-direct 0 to_end lost_ack p=1"

// both is one row for both addresses.
func both(row string) string {
	return "recipe-presc 0 to_end " + row + "\nrecipe-direct 0 to_end " + row
}

// lose creates a prescription whose answer is lost.
func (s *surgery) lose(reference string) {
	s.t.Helper()
	ok(s.t, s.p.Prepare(s.t.Context(), s.patient.SSIN, 1))
	cancel := s.inject(bothLost)
	_, err := s.create(reference)
	s.wantUnsure(reference, err)
	cancel()
}

// live counts the prescriptions that are not revoked.
func (s *surgery) live() (n int) {
	for _, p := range s.sb.Prescriptions() {
		if p.Status != sandbox.Revoked {
			n++
		}
	}
	return n
}

// What is found on two pages is one prescription, and not one too many.
func TestFoundTwice(t *testing.T) {
	for _, gen := range []protocol.Generation{protocol.Gen2023, protocol.Gen2021} {
		t.Run(gen.String(), func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				s.sb.SetRecipe(sandbox.RecipeBehaviour{PageSize: 2})
				s.lose("lost")
				for _, ref := range []string{"a", "b", "c"} {
					s.mustCreate(ref)
				}
				s.work()
				out, err := s.p.Wait(t.Context(), "lost")
				ok(t, err)
				time.Sleep(time.Hour)
				if p, _ := s.sb.Prescription(out.RID.Reveal()); out.State != recipe.OutcomeCreated || p.Status != sandbox.NotDelivered || s.live() != 4 {
					t.Fatalf("%s, %s, %d live", out.State, p.Status, s.live())
				}
			}, recipe.WithGeneration(gen))
		})
	}
}

// Every page of a list that has no session is read, and each prescription shown once, from whichever number pages are counted.
func TestPagesWithoutSession(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		for _, ref := range []string{"a", "b", "c", "d", "e"} {
			s.mustCreate(ref)
		}
		for _, fromZero := range []bool{false, true} {
			s.sb.SetRecipe(sandbox.RecipeBehaviour{PageSize: 2, PagesFromZero: fromZero})
			seen, n := map[string]bool{}, 0
			for l, err := range s.p.List(t.Context(), recipe.ListQuery{Patient: s.patient.SSIN, Own: true, WithoutContent: true}) {
				ok(t, err)
				seen[l.RID.Reveal()] = true
				n++
			}
			if n != 5 || len(seen) != 5 {
				t.Errorf("pages from zero %t: %d shown, %d different", fromZero, n, len(seen))
			}
		}
	})
}

// A prescription that is not shown, for whatever reason, is not one that was not made.
func TestNotShown(t *testing.T) {
	for _, row := range []string{"inner code=500", "inner code=400", "inner code=300", "inner code=300;status=Archived"} {
		t.Run(row, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				s.lose("lost")
				cancel := s.inject(both(row + ";op=getPrescription"))
				s.work()
				time.Sleep(time.Hour)
				s.state("lost", recipe.OutcomeUnsure)
				cancel()
				s.settles("lost")
			}, recipe.WithGeneration(protocol.Gen2021))
		})
	}
}

// What was there before and is not shown does not keep a question open, where lists show keys.
func TestOthersNotShown(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		s.mustCreate("other")
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
		cancel := s.inject(both("inner code=500;op=createPrescription"))
		_, err := s.create("gone")
		s.wantUnsure("gone", err)
		cancel()
		s.inject(both("inner code=300;status=Archived;op=getPrescription"))
		s.work()
		out, err := s.p.Wait(t.Context(), "gone")
		ok(t, err)
		if out.State != recipe.OutcomeNotCreated || s.made() != 1 {
			t.Errorf("%s, %d made", out.State, s.made())
		}
	})
}
