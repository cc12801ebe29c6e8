package recipe_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// Everything that a pharmacy asks works in the older generation of payloads too (dossier 04 section 4.2), and so does an outage.
func TestExecutorOfOlderGeneration(t *testing.T) {
	older := recipe.WithGeneration(protocol.Gen2021)
	inSandbox(t, func(t *testing.T, s *surgery) {
		c, ctx := newChemist(t, s.sb, 0, older), t.Context()
		if c.x.Config().Generation != protocol.Gen2021 {
			t.Fatal("another generation")
		}
		person, client := s.sb.Citizen(s.patient.SSIN), s.sb.HTTPClient()
		t.Cleanup(client.CloseIdleConnections)
		link, _ := linkAs(t, s.sb, person, person, client, sts.Identity{SSIN: person.SSIN})
		p, err := recipe.NewPatient(link, recipe.Caller{SSIN: person.SSIN}, recipe.WithProgramID("test/1.0"), older)
		ok(t, err)
		rids := s.several(5)
		holder := s.sb.Patients()[3].SSIN
		ok(t, p.Reserve(ctx, rids[0], c.number))
		ok(t, p.Relate(ctx, recipe.Mandate{Holder: holder, FirstName: identity.Hide(s.patient.FirstName), LastName: identity.Hide(s.patient.LastName)}))

		taken, err := c.x.Reserve(ctx, rids)
		ok(t, err)
		for i, r := range taken {
			if !r.Got() || r.RID != rids[i] {
				t.Errorf("reservation %d: %s, %v", i, r.State, r.Err)
			}
		}
		got, err := c.x.GetWithInsurability(ctx, rids[0])
		ok(t, err)
		if got.Message == nil || got.Stamp != recipe.StampVerified || len(got.Insurability) == 0 {
			t.Errorf("stamp %v", got.Stamp)
		}
		ok(t, s.p.SetFeedback(ctx, rids[0], true))
		ok(t, c.x.Feedback(ctx, recipe.Feedback{RID: rids[0], Prescriber: s.person.NIHII, Text: identity.Hide("Not in stock")}))
		ok(t, s.p.SendNotification(ctx, recipe.OutgoingNotification{Pharmacy: c.number, Patient: s.patient.SSIN, Text: identity.Hide("Please order")}))
		notes, err := c.x.Notifications(ctx, false)
		ok(t, err)
		ok(t, c.x.Deliver(ctx, rids[0]))
		ok(t, c.x.Archive(ctx, rids[0]))
		ok(t, c.x.Undeliver(ctx, rids[1]))
		ok(t, c.x.Revoke(ctx, rids[2], identity.Hide("wrong patient")))
		where, err := c.x.Status(ctx, rids[2])
		ok(t, err)
		if len(notes) != 1 || notes[0].Err != nil || where.State != protocol.Revoked {
			t.Errorf("%d notes, %s", len(notes), where.State)
		}
		for name, n := range map[string][2]int{
			"in process":           {count(t, c.x.RIDsInProcess(ctx)), 2},
			"open":                 {count(t, c.x.OpenPrescriptions(ctx, s.patient.SSIN, identity.SSIN{})), 3},
			"open, for the holder": {count(t, c.x.OpenPrescriptions(ctx, identity.SSIN{}, holder)), 3},
			"active":               {count(t, c.x.History(ctx, s.patient.SSIN, true)), 3},
			"over":                 {count(t, c.x.History(ctx, s.patient.SSIN, false)), 2},
			"reservations":         {count(t, c.x.Reservations(ctx, time.Now().Add(-time.Hour))), 1},
			"relations":            {count(t, c.x.Relations(ctx, holder)), 1},
		} {
			if n[0] != n[1] {
				t.Errorf("%s: %d, want %d", name, n[0], n[1])
			}
		}

		heal := s.inject(onExecutor("refuse"))
		for _, rid := range []identity.RID{rids[3], rids[1]} {
			_, err := c.d.Dispense(ctx, recipe.Dispensing{RID: rid, ForceMajeure: true, Items: items(t, "654321")})
			if !errors.Is(err, outbox.ErrQueued) {
				t.Fatal(err)
			}
		}
		heal()
		ok(t, c.box.Drain(ctx, nil))
		for _, rid := range []identity.RID{rids[3], rids[1]} {
			at(t, s.sb, rid, sandbox.Archived, 1)
		}
		if all := c.reports(); len(all) != 2 || !all[0].Force || len(all[0].Difference) == 0 || all[0].Conflict != 0 {
			t.Errorf("%d reports", len(all))
		}
	}, older)
}
