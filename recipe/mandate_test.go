package recipe_test

import (
	"errors"
	"iter"
	"net/http"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// citizen is a patient who logs in.
func (s *surgery) citizen(who sandbox.Patient, client *http.Client) *recipe.Patient {
	s.t.Helper()
	person := s.sb.Citizen(who.SSIN)
	link, _ := linkAs(s.t, s.sb, person, person, client, sts.Identity{SSIN: person.SSIN})
	p, err := recipe.NewPatient(link, recipe.Caller{SSIN: person.SSIN}, recipe.WithProgramID("test/1.0"))
	ok(s.t, err)
	return p
}

// last is the error that ends a list, and how much came before.
func last[T any](all iter.Seq2[T, error]) (n int, err error) {
	for _, err = range all {
		if err == nil {
			n++
		}
	}
	return n, err
}

// mandates are a patient, somebody who may have a mandate, and what both were prescribed.
type mandates struct {
	*surgery
	giver, holder *recipe.Patient
	acting        *recipe.Patient // the holder for the patient
	rids          []identity.RID  // of the patient
	own           identity.RID    // of the holder
	given         recipe.Mandate
}

func newMandates(t *testing.T, s *surgery) *mandates {
	t.Helper()
	client := s.sb.HTTPClient()
	t.Cleanup(client.CloseIdleConnections)
	other := s.sb.Patients()[3]
	m := &mandates{surgery: s, giver: s.citizen(s.patient, client), holder: s.citizen(other, client)}
	m.given = recipe.Mandate{
		Holder: other.SSIN, FirstName: identity.Hide(s.patient.FirstName), LastName: identity.Hide(s.patient.LastName), Until: time.Now().Add(time.Hour),
	}
	m.rids = s.several(3)
	patient := s.patient
	s.patient = other
	m.own = s.mustCreate("holder").RID
	s.patient = patient
	var err error
	m.acting, err = m.holder.For(s.patient.SSIN)
	ok(t, err)
	return m
}

// refused is everything that a holder asks for a patient, without a mandate that is in force: Recip-e refuses it, and nothing changes.
func (m *mandates) refused(why string) {
	m.t.Helper()
	ctx, rid := m.t.Context(), m.rids[0]
	before, _ := m.sb.Prescription(rid.Reveal())
	n, open := last(m.acting.OpenRIDs(ctx))
	k, list := last(m.acting.Prescriptions(ctx))
	got, get := m.acting.Get(ctx, rid)
	where, status := m.acting.Status(ctx, rid)
	vision, see := m.acting.Vision(ctx, rid)
	for name, err := range map[string]error{
		"open": open, "list": list, "get": get, "status": status, "vision": see,
		"revoke": m.acting.Revoke(ctx, rid, identity.Hide("not needed")), "flag": m.acting.SetFeedback(ctx, rid, !before.FeedbackAllowed),
		"put vision": m.acting.PutVision(ctx, rid, protocol.VisionLocked),
	} {
		if e, whole := errors.AsType[*fault.Error](err); !whole || e.Kind != fault.Invalid || e.Outcome != fault.Rejected {
			m.t.Errorf("%s, %s: %v", why, name, err)
		}
	}
	if n != 0 || k != 0 || got != nil || where != nil || vision != "" {
		m.t.Errorf("%s: something is shown", why)
	}
	after, _ := m.sb.Prescription(rid.Reveal())
	if after.Status != before.Status || after.FeedbackAllowed != before.FeedbackAllowed || after.Vision != before.Vision || len(after.Events) != len(before.Events) {
		m.t.Errorf("%s: something changed", why)
	}
}

// Who has a mandate asks for the patient, as long as it lasts; before, after, and for anybody else Recip-e refuses him.
func TestMandateHolder(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		m, ctx := newMandates(t, s), t.Context()
		m.refused("without mandate")
		ok(t, m.giver.Relate(ctx, m.given))

		var found []identity.RID
		for r, err := range m.acting.OpenRIDs(ctx) {
			ok(t, err)
			if r.PatientID.Reveal() != s.patient.SSIN.Reveal() {
				t.Error("somebody else's prescription")
			}
			found = append(found, r.RID)
		}
		if n := count(t, m.acting.Prescriptions(ctx)); len(found) != 3 || n != 3 {
			t.Errorf("%d and %d listed", len(found), n)
		}
		if n := count(t, m.holder.OpenRIDs(ctx)); n != 1 {
			t.Errorf("%d of the holder's own", n)
		}
		// Recip-e gives it, and the key service keeps its key for prescribers, pharmacies and the patient.
		got, err := m.acting.Get(ctx, m.rids[0])
		if got == nil || got.Message != nil || got.RID != m.rids[0] || fault.KindOf(err) != fault.Denied {
			t.Errorf("get: %t, %v", got != nil, err)
		}
		ok(t, m.acting.SetFeedback(ctx, m.rids[0], true))
		ok(t, m.acting.PutVision(ctx, m.rids[0], protocol.VisionLocked))
		v, err := m.acting.Vision(ctx, m.rids[0])
		ok(t, err)
		number, err := identity.ParseNIHII(s.sb.Organisation(identity.Pharmacy, 0).Number)
		ok(t, err)
		for range 2 {
			ok(t, m.acting.Reserve(ctx, m.rids[1], number))
		}
		ok(t, m.acting.Revoke(ctx, m.rids[2], identity.Hide("not needed")))
		where, err := m.acting.Status(ctx, m.rids[2])
		ok(t, err)
		if p, _ := s.sb.Prescription(m.rids[0].Reveal()); !p.FeedbackAllowed || !v.Locked() || where.State != protocol.Revoked {
			t.Errorf("feedback %t, vision %v, %s", p.FeedbackAllowed, v, where.State)
		}

		// In the patient's name the holder's own prescription is another patient's, and nobody else's mandate is his.
		_, err = m.acting.Get(ctx, m.own)
		if fault.KindOf(err) != fault.Invalid || fault.OutcomeOf(err) != fault.Rejected {
			t.Errorf("another patient's prescription: %v", err)
		}
		if err = m.acting.Revoke(ctx, m.own, identity.Hide("mistake")); fault.OutcomeOf(err) != fault.Rejected {
			t.Errorf("another patient's prescription: %v", err)
		}
		stranger, err := m.holder.For(s.sb.Patients()[4].SSIN)
		ok(t, err)
		if _, err = last(stranger.OpenRIDs(ctx)); fault.OutcomeOf(err) != fault.Rejected {
			t.Errorf("for another patient: %v", err)
		}
		back, err := m.giver.For(m.given.Holder) // a mandate goes one way
		ok(t, err)
		if _, err = last(back.OpenRIDs(ctx)); fault.OutcomeOf(err) != fault.Rejected {
			t.Errorf("for the holder: %v", err)
		}
		silent(t, s, m.rids, got, *got, m.acting)
		m.cannot()

		time.Sleep(time.Until(m.given.Until))
		m.refused("ended")
		m.given.Until = time.Time{}
		ok(t, m.giver.Relate(ctx, m.given))
		if n := count(t, m.acting.OpenRIDs(ctx)); n != 2 {
			t.Errorf("%d under the new mandate", n)
		}
		ok(t, m.giver.Unrelate(ctx, m.given.Holder))
		m.refused("taken back")
	})
}

// cannot is what a holder cannot ask for a patient: it would be about himself, and is not sent.
func (m *mandates) cannot() {
	m.t.Helper()
	t, ctx, s := m.t, m.t.Context(), m.surgery
	sent := s.requests()
	_, history := last(m.acting.History(ctx, true))
	_, relations := last(m.acting.Relations(ctx))
	_, nobody := m.holder.For(identity.SSIN{})
	given := m.given
	given.Holder = s.sb.Patients()[5].SSIN
	for name, err := range map[string]error{
		"history": history, "relations": relations, "nobody": nobody,
		"relate": m.acting.Relate(ctx, given), "unrelate": m.acting.Unrelate(ctx, m.given.Holder),
	} {
		if fault.KindOf(err) != fault.Invalid || fault.OutcomeOf(err) != fault.NotSent {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.requests() - sent; n != 0 {
		t.Errorf("%d requests", n)
	}
	himself, err := m.acting.For(m.given.Holder) // who logs in is the holder still
	ok(t, err)
	if a, b := count(t, himself.History(ctx, true)), count(t, himself.OpenRIDs(ctx)); a != 1 || b != 1 {
		t.Errorf("%d and %d of his own", a, b)
	}
}
