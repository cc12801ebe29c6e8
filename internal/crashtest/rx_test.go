package main

import (
	"slices"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/sandbox"
)

// TestPrescriptions kills programs that prescribe and dispense. A short batch; the long one is
// go run ./internal/crashtest -store recipe -n 2100.
func TestPrescriptions(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for a while")
	}
	t.Parallel()
	if _, _, err := prescriptions(t.Output(), t.TempDir(), &fleet{seed: uint64(time.Now().UnixNano())}, 0, 6, badPrescribing); err != nil {
		t.Fatal(err)
	}
}

// TestCarelessIsFound is the control: prescribers who prescribe again when they are unsure make doubles, and the campaign
// says so.
func TestCarelessIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for a while")
	}
	t.Parallel()
	f := &fleet{seed: 1, careless: true, points: slices.DeleteFunc(pointsOf(rxStore), func(p point) bool {
		return !slices.Contains([]string{"send.written", "send.answered", "record.after"}, p.name)
	})}
	sum, _, err := prescriptions(t.Output(), t.TempDir(), f, 0, 2, "recipe-presc 0 to_end lost_ack p=0.6\nrecipe-direct 0 to_end lost_ack p=0.6")
	if err == nil || sum.Doubled+sum.Rx.Both+sum.Rx.Ghosts == 0 {
		t.Errorf("doubled %d, both %d, ghosts %d: %v", sum.Doubled, sum.Rx.Both, sum.Rx.Ghosts, err)
	}
}

// TestAccount: each way of losing or doubling a prescription is seen.
func TestAccount(t *testing.T) {
	ev := func(s ...sandbox.PrescriptionStatus) (out []sandbox.PrescriptionEvent) {
		for _, x := range s {
			out = append(out, sandbox.PrescriptionEvent{Status: x})
		}
		return out
	}
	one := func(rid string, s ...sandbox.PrescriptionStatus) sandbox.Prescription {
		s = append([]sandbox.PrescriptionStatus{sandbox.NotDelivered}, s...)
		return sandbox.Prescription{RID: rid, Status: s[len(s)-1], Events: ev(s...)}
	}
	var c *rxCase
	for _, tc := range []struct {
		name string
		said func()
		made []sandbox.Prescription
		want rxTotals
		lost int
		twin int
	}{
		{"created", func() { c.RID = "A" }, []sandbox.Prescription{one("A")}, rxTotals{Electronic: 1}, 0, 0},
		{"paper", func() { c.paper = true }, nil, rxTotals{Paper: 1}, 0, 0},
		{"lost", func() { c.RID = "A" }, nil, rxTotals{}, 1, 0},
		{"neither", func() {}, nil, rxTotals{Neither: 1}, 0, 0},
		{"ghost", func() {}, []sandbox.Prescription{one("A")}, rxTotals{Ghosts: 1}, 0, 0},
		{"other RID", func() { c.RID = "B" }, []sandbox.Prescription{one("A")}, rxTotals{Ghosts: 1}, 0, 0},
		{"both", func() { c.paper = true }, []sandbox.Prescription{one("A")}, rxTotals{Both: 1}, 0, 0},
		{"twice", func() { c.RID = "A" }, []sandbox.Prescription{one("A"), one("B")}, rxTotals{}, 0, 1},
		{"archived", func() { c.RID, c.second, c.asked = "A", taskDispense, true }, []sandbox.Prescription{one("A", sandbox.InProcess, sandbox.Delivered, sandbox.Archived)}, rxTotals{Electronic: 1, Archived: 1}, 0, 0},
		{"not archived", func() { c.RID, c.second, c.asked = "A", taskDeliver, true }, []sandbox.Prescription{one("A", sandbox.InProcess, sandbox.Delivered)}, rxTotals{Electronic: 1}, 1, 0},
		{"delivered twice", func() { c.RID, c.second, c.asked = "A", taskDispense, true }, []sandbox.Prescription{one("A", sandbox.InProcess, sandbox.Delivered, sandbox.Delivered, sandbox.Archived)}, rxTotals{Electronic: 1, Archived: 1}, 0, 1},
		{"revoked", func() { c.RID, c.second, c.asked = "A", taskRevoke, true }, []sandbox.Prescription{one("A", sandbox.Revoked)}, rxTotals{Electronic: 1, Revoked: 1}, 0, 0},
		{"revoked by nobody", func() { c.RID = "A" }, []sandbox.Prescription{one("A", sandbox.Revoked)}, rxTotals{Electronic: 1}, 0, 1},
		{"not revoked", func() { c.RID, c.second, c.asked = "A", taskRevoke, true }, []sandbox.Prescription{one("A")}, rxTotals{Electronic: 1}, 1, 0},
		{"nobody took it up", func() { c.RID, c.second = "A", taskRevoke }, []sandbox.Prescription{one("A")}, rxTotals{Electronic: 1}, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c = &rxCase{rxTask: rxTask{Ref: "r", Patient: "p", Until: "d"}}
			tc.said()
			sum := newTotals(rxStore)
			r := &rxCases{all: []*rxCase{c}}
			err := r.account(sum, map[string][]sandbox.Prescription{"p d": tc.made}, &rxAccount{})
			if sum.Rx != tc.want || sum.Lost != tc.lost || sum.Doubled != tc.twin {
				t.Errorf("%+v, lost %d, doubled %d, want %+v", sum.Rx, sum.Lost, sum.Doubled, tc.want)
			}
			if fails := tc.lost+tc.twin+tc.want.Both+tc.want.Neither+tc.want.Ghosts > 0; fails == sum.good() || fails != (err != nil) {
				t.Errorf("good %v, %v", sum.good(), err)
			}
		})
	}
}

// TestPatients: no two prescriptions have both patient and day in common.
func TestPatients(t *testing.T) {
	seen := map[string]bool{}
	for no := range maxRxCampaigns {
		for n := range 600 {
			p, err := patientOf(no, n)
			if err != nil {
				t.Fatal(err)
			}
			key := p.Reveal() + string(rune('0'+n%rxPerPatient))
			if seen[key] {
				t.Fatalf("campaign %d, %d: a patient of another", no, n)
			}
			seen[key] = true
		}
	}
	if names := pointsOf(rxStore); slices.ContainsFunc(names, func(p point) bool { return p.store == pgStore }) || len(names) != len(pointsOf(boltStore))+len(rxPoints) {
		t.Errorf("points %v", names)
	}
}
