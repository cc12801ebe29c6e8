package etee_test

import (
	"crypto/x509"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
)

// TestETKVerifiedOnce: what was verified is not verified again within a minute, and all that may change is looked at each time.
func TestETKVerifiedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later()
		w := theWorld()
		short := w.party("NIHII-HOSPITAL=79999957", "hospital", spec{until: time.Now().Add(3 * time.Hour)})
		token, err := etee.ParseETK(short.token)
		check(t, err)
		asked := 0
		var objection error
		guarded := func() etee.Trust {
			pool := x509.NewCertPool()
			pool.AddCertWithConstraint(w.root, func([]*x509.Certificate) error {
				asked++
				return objection
			})
			return etee.Trust{Roots: pool}
		}
		trust := guarded()
		step := func(name string, trust etee.Trust, at time.Time, accepted, verified bool) {
			t.Helper()
			before := asked
			_, err := token.Check(trust, etee.Policy{}, at)
			if refusal := new(etee.Refusal); (err == nil) != accepted || err != nil && !errors.As(err, &refusal) {
				t.Errorf("%s: %v", name, err)
			}
			if (asked > before) != verified {
				t.Errorf("%s: trust anchors were asked %d times", name, asked-before)
			}
		}
		step("first", trust, time.Now(), true, true)
		step("again", trust, time.Now(), true, false)
		step("after its time", trust, time.Now().Add(4*time.Hour), false, false)
		step("other anchors", guarded(), time.Now(), true, true)
		step("no anchors", etee.Trust{Roots: x509.NewCertPool()}, time.Now(), false, false)
		step("the first anchors again", trust, time.Now(), true, true)
		objection = errors.New("not any more")
		step("within the minute", trust, time.Now(), true, false)
		time.Sleep(time.Minute)
		step("after a minute", trust, time.Now(), false, true)
		step("failures are not remembered", trust, time.Now(), false, true)
		objection = nil
		step("trusted again", trust, time.Now(), true, true)
		time.Sleep(3 * time.Hour)
		step("expired", trust, time.Now(), false, true)
	})
}
