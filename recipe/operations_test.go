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

// Everything that prescribers and patients ask works in the older generation of payloads too; listing prescriptions is the newer
// one's alone. The other tests are in the newer one.
func TestOlderGeneration(t *testing.T) {
	older := recipe.WithGeneration(protocol.Gen2021)
	inSandbox(t, func(t *testing.T, s *surgery) {
		number, err := identity.ParseNIHII(s.sb.Organisation(identity.Pharmacy, 0).Number)
		ok(t, err)
		s.prescriberOperations(number)

		person, client := s.sb.Citizen(s.patient.SSIN), s.sb.HTTPClient()
		t.Cleanup(client.CloseIdleConnections)
		link, _ := linkAs(t, s.sb, person, person, client, sts.Identity{SSIN: person.SSIN})
		p, err := recipe.NewPatient(link, recipe.Caller{SSIN: person.SSIN}, recipe.WithProgramID("test/1.0"), older)
		ok(t, err)
		s.patientOperations(p, number)
	}, older)
}

func (s *surgery) prescriberOperations(pharmacy identity.NIHII) {
	t, ctx := s.t, s.t.Context()
	rid := s.mustCreate("one").RID
	got, err := s.p.Get(ctx, rid)
	ok(t, err)
	where, err := s.p.Status(ctx, rid)
	ok(t, err)
	if got.Message == nil || where.State != protocol.NotDelivered {
		t.Errorf("%s", where.State)
	}
	if a, b := count(t, s.p.OpenRIDs(ctx, s.patient.SSIN)), count(t, s.p.History(ctx, s.patient.SSIN, true)); a != 1 || b != 1 {
		t.Errorf("%d open, %d in the history", a, b)
	}
	asked, refused := s.requests(), false
	for _, err := range s.p.List(ctx, recipe.ListQuery{Patient: s.patient.SSIN}) {
		if refused = true; fault.KindOf(err) != fault.Invalid || fault.OutcomeOf(err) != fault.NotSent {
			t.Errorf("list: %v", err)
		}
	}
	if n := s.requests() - asked; n != 0 || !refused {
		t.Errorf("list: %d requests, refused %t", n, refused)
	}
	locked := protocol.VisionLocked
	ok(t, s.p.PutVision(ctx, rid, recipe.Visibility{Vision: &locked}))
	ok(t, s.p.SetFeedback(ctx, rid, true))
	if p, _ := s.sb.Prescription(rid.Reveal()); !p.FeedbackAllowed || p.Vision != "locked" {
		t.Errorf("feedback %t, vision %q", p.FeedbackAllowed, p.Vision)
	}
	ok(t, s.p.SendNotification(ctx, recipe.OutgoingNotification{Pharmacy: pharmacy, Patient: s.patient.SSIN, Text: identity.Hide("hello")}))
	x := s.pharmacy()
	_, err = x.Reserve(ctx, []identity.RID{rid})
	ok(t, err)
	ok(t, x.Feedback(ctx, recipe.Feedback{RID: rid, Prescriber: s.person.NIHII, Text: identity.Hide("hello")}))
	back, err := s.p.Feedbacks(ctx, false)
	ok(t, err)
	if len(back) != 1 || back[0].Err != nil || len(s.sb.RecipeNotes()) != 2 {
		t.Errorf("%d feedbacks, %d notes", len(back), len(s.sb.RecipeNotes()))
	}
	if v, err := s.p.ValidationProperties(ctx); err != nil || v.Version == "" {
		t.Errorf("rules: %v", err)
	}
	second := s.mustCreate("two").RID
	ok(t, s.p.Revoke(ctx, second, identity.Hide("mistake")))
	if where, err = s.p.Status(ctx, second); err != nil || where.State != protocol.Revoked {
		t.Errorf("revoked: %v", err)
	}
}

func (s *surgery) patientOperations(p *recipe.Patient, pharmacy identity.NIHII) {
	t, ctx := s.t, s.t.Context()
	open := count(t, p.OpenRIDs(ctx))
	rid := s.mustCreate("three").RID
	if a, b, c := count(t, p.OpenRIDs(ctx)), count(t, p.Prescriptions(ctx)), count(t, p.History(ctx, true)); a != open+1 || b != a || c < a {
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
	ok(t, p.Reserve(ctx, rid, pharmacy))
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
}
