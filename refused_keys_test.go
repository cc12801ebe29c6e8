package ehealth_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/sts"
)

// TestUnreadablePrescriptions: a list in which the caller may not read some prescriptions is not an outage of the login, and costs
// neither tokens nor a second question for each.
func TestUnreadablePrescriptions(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long under the race detector, and says nothing there: run without -short")
	}
	synctest.Test(t, func(t *testing.T) {
		sb, plain := scene(t)
		d := open(t, prescribing(t, sb, plain))
		cfg := prescribing(t, sb, plain)
		cfg.Recipe.Options = []recipe.Option{recipe.WithReaders(recipe.ReaderPharmacy())}
		blind := open(t, cfg)
		create := func(p *recipe.Prescriber, ref string) identity.RID {
			t.Helper()
			made, err := p.Create(t.Context(), recipe.CreateRequest{Reference: ref, Prescription: prescription(sb, 1), Type: identity.PrescriptionP0})
			if err != nil {
				t.Fatal(err)
			}
			return made.RID
		}
		if _, err := d.Recipe.Prescriber.Get(t.Context(), create(d.Recipe.Prescriber, "own")); err != nil {
			t.Fatal(err)
		}
		const hidden = 6
		for i := range hidden {
			create(blind.Recipe.Prescriber, fmt.Sprint("blind ", i))
		}
		before := sb.State().Requests
		denied := 0
		for l, err := range d.Recipe.Prescriber.List(t.Context(), recipe.ListQuery{Patient: sb.Patients()[1].SSIN}) {
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case l.Message != nil:
			case errors.Is(l.Err, fault.ErrDenied) && !errors.Is(l.Err, sts.ErrGroup):
				denied++
			default:
				t.Errorf("a prescription that the caller may not read: %v", l.Err)
			}
		}
		after := sb.State().Requests
		if kgss, logins := after["kgss"]-before["kgss"], after["sts"]-before["sts"]; denied != hidden || kgss > hidden+1 || logins > 2 {
			t.Errorf("%d denied, %d questions to the key service, %d to the STS", denied, kgss, logins)
		}
	})
}
