package recipe_test

import (
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// The document and the message around it count alike how long a prescription lives when nobody says, and at most: the document is
// made with the one, and refused by the other.
func TestDaysAgree(t *testing.T) {
	for now := time.Date(2027, 11, 1, 12, 0, 0, 0, time.UTC); now.Before(time.Date(2028, 4, 1, 0, 0, 0, 0, time.UTC)); now = now.AddDate(0, 0, 1) {
		if written, sent := kmehr.DefaultExpiry(now).Reveal(), protocol.DefaultExpiration(now).String(); written != sent {
			t.Errorf("made on %s: until %s and %s", now.Format(time.DateOnly), written, sent)
		}
		last := protocol.Day(kmehr.LastExpiry(now).Date())
		if protocol.CheckExpiration(last, now) != nil || protocol.CheckExpiration(last.Add(0, 0, 1), now) == nil {
			t.Errorf("made on %s: not until %s at most", now.Format(time.DateOnly), last)
		}
	}
}
