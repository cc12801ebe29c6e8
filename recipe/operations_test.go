package recipe_test

import (
	"iter"
	"testing"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/sts"
)

func count[T any](t *testing.T, all iter.Seq2[T, error]) (n int) {
	t.Helper()
	for _, err := range all {
		ok(t, err)
		n++
	}
	return n
}

// Everything that a prescriber asks works in both generations of payloads; listing prescriptions is the newer one's alone.
func TestPrescriberOperations(t *testing.T) {
	for _, gen := range []protocol.Generation{protocol.Gen2023, protocol.Gen2021} {
		inSandbox(t, func(t *testing.T, s *surgery) {
			ctx := t.Context()
			rid := s.mustCreate("one").RID
			got, err := s.p.Get(ctx, rid)
			ok(t, err)
			where, err := s.p.Status(ctx, rid)
			ok(t, err)
			if got.Message == nil || where.State != protocol.NotDelivered {
				t.Errorf("%s: %s", gen, where.State)
			}
			if a, b := count(t, s.p.OpenRIDs(ctx, s.patient.SSIN)), count(t, s.p.History(ctx, s.patient.SSIN, true)); a != 1 || b != 1 {
				t.Errorf("%s: %d open, %d in the history", gen, a, b)
			}
			if gen == protocol.Gen2023 {
				if n := count(t, s.p.List(ctx, recipe.ListQuery{Patient: s.patient.SSIN})); n != 1 {
					t.Errorf("%d listed", n)
				}
			} else {
				asked, refused := s.requests(), false
				for _, err := range s.p.List(ctx, recipe.ListQuery{Patient: s.patient.SSIN}) {
					if fault.KindOf(err) != fault.Invalid || fault.OutcomeOf(err) != fault.NotSent {
						t.Errorf("%s: list: %v", gen, err)
					}
					refused = true
				}
				if n := s.requests() - asked; n != 0 || !refused {
					t.Errorf("%s: list: %d requests, refused %t", gen, n, refused)
				}
			}
			ok(t, s.p.SetFeedback(ctx, rid, true))
			locked := protocol.VisionLocked
			ok(t, s.p.PutVision(ctx, rid, recipe.Visibility{Vision: &locked}))
			if gen == protocol.Gen2023 {
				ok(t, s.p.PutVision(ctx, rid, recipe.Visibility{Others: protocol.OthersLocked}))
			}
			if p, _ := s.sb.Prescription(rid.Reveal()); !p.FeedbackAllowed || p.Vision != "locked" {
				t.Errorf("%s: feedback %t, vision %q", gen, p.FeedbackAllowed, p.Vision)
			}
			number, err := identity.ParseNIHII(s.sb.Organisation(identity.Pharmacy, 0).Number)
			ok(t, err)
			ok(t, s.p.SendNotification(ctx, recipe.OutgoingNotification{Pharmacy: number, Patient: s.patient.SSIN, Text: identity.Hide("hello")}))
			x := s.pharmacy()
			_, err = x.Reserve(ctx, []identity.RID{rid})
			ok(t, err)
			ok(t, x.Feedback(ctx, recipe.Feedback{RID: rid, Prescriber: s.person.NIHII, Text: identity.Hide("hello")}))
			back, err := s.p.Feedbacks(ctx, false)
			ok(t, err)
			if len(back) != 1 || back[0].Err != nil || len(s.sb.RecipeNotes()) != 2 {
				t.Errorf("%s: %d feedbacks, %d notes", gen, len(back), len(s.sb.RecipeNotes()))
			}
			if v, err := s.p.ValidationProperties(ctx); err != nil || v.Version == "" {
				t.Errorf("%s: rules: %v", gen, err)
			}
			second := s.mustCreate("two").RID
			ok(t, s.p.Revoke(ctx, second, identity.Hide("mistake")))
			if where, err = s.p.Status(ctx, second); err != nil || where.State != protocol.Revoked {
				t.Errorf("%s: revoked: %v", gen, err)
			}
		}, recipe.WithGeneration(gen))
	}
}

// What a patient asks works in the older generation too.
func TestPatientOfOlderGeneration(t *testing.T) {
	older := recipe.WithGeneration(protocol.Gen2021)
	inSandbox(t, func(t *testing.T, s *surgery) {
		ctx, person, client := t.Context(), s.sb.Citizen(s.patient.SSIN), s.sb.HTTPClient()
		t.Cleanup(client.CloseIdleConnections)
		link, _ := linkAs(t, s.sb, person, person, client, sts.Identity{SSIN: person.SSIN})
		p, err := recipe.NewPatient(link, recipe.Caller{SSIN: person.SSIN}, recipe.WithProgramID("test/1.0"), older)
		ok(t, err)
		number, err := identity.ParseNIHII(s.sb.Organisation(identity.Pharmacy, 0).Number)
		ok(t, err)
		rid := s.mustCreate("one").RID
		if a, b, c := count(t, p.OpenRIDs(ctx)), count(t, p.Prescriptions(ctx)), count(t, p.History(ctx, true)); a != 1 || b != 1 || c != 1 {
			t.Errorf("%d, %d and %d listed", a, b, c)
		}
		got, err := p.Get(ctx, rid)
		ok(t, err)
		if got.Message == nil {
			t.Error("not opened")
		}
		ok(t, p.SetFeedback(ctx, rid, true))
		ok(t, p.PutVision(ctx, rid, protocol.VisionLocked))
		if v, err := p.Vision(ctx, rid); err != nil || !v.Locked() {
			t.Errorf("vision: %v", err)
		}
		ok(t, p.Reserve(ctx, rid, number))
		holder := s.sb.Patients()[3].SSIN
		ok(t, p.Relate(ctx, recipe.Mandate{Holder: holder, FirstName: identity.Hide(s.patient.FirstName), LastName: identity.Hide(s.patient.LastName)}))
		if n := count(t, p.Relations(ctx)); n != 1 {
			t.Errorf("%d mandates", n)
		}
		ok(t, p.Unrelate(ctx, holder))
		ok(t, p.Revoke(ctx, rid, identity.Hide("not needed")))
		if where, err := p.Status(ctx, rid); err != nil || where.State != protocol.Revoked {
			t.Errorf("revoked: %v", err)
		}
	}, older)
}
