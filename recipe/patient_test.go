package recipe

import (
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// A mandate that has ended is none: making it anew must not count as done.
func TestMandateInForce(t *testing.T) {
	now := time.Date(2030, 1, 15, 12, 0, 0, 0, time.UTC)
	holder, other := identity.MustSSIN("00000000394"), "00000000295"
	for _, c := range []struct {
		who  string
		end  time.Time
		want bool
	}{
		{holder.Reveal(), time.Time{}, true},
		{holder.Reveal(), now.Add(time.Second), true},
		{holder.Reveal(), now, false},
		{holder.Reveal(), now.AddDate(-1, 0, 0), false},
		{other, time.Time{}, false},
		{"", time.Time{}, false},
	} {
		if got := inForce(protocol.Relation{MandateHolderID: identity.Hide(c.who), EndDate: c.end}, holder, now); got != c.want {
			t.Errorf("end %v, holder %t: %t", c.end, c.who == holder.Reveal(), got)
		}
	}
}
