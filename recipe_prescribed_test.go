package ehealth

import (
	"testing"

	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// A change of a prescription is told where no call tells of it, and to its author only.
func TestPrescribed(t *testing.T) {
	for _, c := range []struct {
		kind     outbox.Kind
		priority outbox.Priority
		from, to outbox.State
		want     notice.ID
	}{
		{recipe.KindHeld, outbox.Normal, outbox.Held, outbox.Prepared, ""},
		{recipe.KindHeld, outbox.Normal, outbox.Held, outbox.Cancelled, ""}, // for paper
		{recipe.KindHeld, outbox.Normal, outbox.Sending, outbox.Done, ""},
		{recipe.KindHeld, outbox.Normal, outbox.Ready, outbox.Expired, notice.IDRxPaper},
		{recipe.KindHeld, outbox.Normal, outbox.Sending, outbox.Parked, ""}, // not certain before it is taken back
		{recipe.KindHeld, outbox.Normal, outbox.Parked, outbox.Cancelled, notice.IDRxPaper},
		{recipe.KindCreate, outbox.Normal, outbox.Sending, outbox.Rejected, notice.IDRxPaper},
		{recipe.KindCreate, outbox.Normal, outbox.Parked, outbox.Cancelled, notice.IDRxPaper},
		{recipe.KindCreate, outbox.Normal, outbox.Expired, outbox.Cancelled, ""},
		{recipe.KindCreate, outbox.Interactive, outbox.Sending, outbox.Rejected, ""}, // the call says so
		{recipe.KindCreate, outbox.Interactive, outbox.Parked, outbox.Cancelled, ""},
		{recipe.KindCreate, outbox.Interactive, outbox.Sending, outbox.Unknown, notice.IDUnsure},
		{recipe.KindCreate, outbox.Interactive, outbox.Unknown, outbox.Done, notice.IDRxPrint},
		{recipe.KindCreate, outbox.Interactive, outbox.Unknown, outbox.Rejected, notice.IDRxPaper},
		{recipe.KindRevoke, outbox.Normal, outbox.Sending, outbox.Unknown, notice.IDUnsure},
		{recipe.KindNumber, outbox.Normal, outbox.Sending, outbox.Unknown, ""},
	} {
		e := outbox.Event{Kind: c.kind, Priority: c.priority, From: c.from, To: c.to}
		if n := prescribed(e); n.ID() != c.want {
			t.Errorf("%s %s %s to %s: %v", c.kind, c.priority, c.from, c.to, n)
		}
		e.Foreign = true
		if n := prescribed(e); !n.IsZero() {
			t.Errorf("%s %s to %s: another one is told %v", c.kind, c.from, c.to, n)
		}
	}
}
