package recipe_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// A pharmacy has up to ten prescriptions of one customer taken into process with one call, so that nobody else dispenses them
// meanwhile, and gives back what it does not have.
func ExampleExecutor_Reserve() {
	reserve := func(ctx context.Context, x *recipe.Executor, proofs []identity.RID, inStock func(*recipe.Fetched) bool) error {
		all, err := x.Reserve(ctx, proofs)
		if err != nil {
			return err
		}
		for _, r := range all {
			if !r.Got() {
				fmt.Println("elsewhere:", r.State)
				continue
			}
			got, err := x.Get(ctx, r.RID)
			if err != nil {
				return err
			}
			if !inStock(got) {
				if err := x.Undeliver(ctx, r.RID); err != nil {
					return err
				}
			}
		}
		return nil
	}
	_ = reserve
}

// A pharmacy dispenses what was scanned, whether Recip-e answers or not; the reports are what a pharmacist must look at.
func ExampleDispenser() {
	dispense := func(ctx context.Context, d *recipe.Dispenser, scanned string, cnk identity.CNK) error {
		rid, err := identity.ParseRID(scanned)
		if err != nil {
			return err
		}
		got, err := d.Dispense(ctx, recipe.Dispensing{RID: rid, Reference: "sale 4711", Items: []recipe.DispensedItem{{CNK: cnk, Quantity: 1}}})
		switch {
		case err == nil: // confirmed
		case errors.Is(err, outbox.ErrQueued), errors.Is(err, outbox.ErrUnknown): // confirmed later, by itself
		default:
			return err // delivered elsewhere, revoked, refused
		}
		for _, n := range got.Notices {
			fmt.Println(n.Text(notice.FR))
		}
		for r, err := range d.Reports(ctx) {
			if err != nil {
				return err
			}
			fmt.Println(r.Reference, r.Conflict, len(r.Difference))
		}
		return nil
	}
	_ = dispense
}
