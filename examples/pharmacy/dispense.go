package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// patience is how long a customer waits for Recip-e.
const patience = 5 * time.Second

// scan fetches the prescription whose barcode a customer shows, and reserves it for this pharmacy. It returns what is to be
// dispensed, for the pharmacist to fill in what is taken from the shelf; nil = nothing is.
func (c *counter) scan(ctx context.Context, sale, barcode string) *recipe.Dispensing {
	rid, err := identity.ParseRID(barcode)
	if err != nil {
		c.say("%s: this is not the barcode of a prescription", sale)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// ArchiveNow: the sale is final when the medicine is handed over. Who archives at the end of the day leaves it out, and
	// calls Dispenser.Archive.
	d := &recipe.Dispensing{RID: rid, Reference: sale, Archive: recipe.ArchiveNow}
	d.Fetched, err = c.platform.Recipe.Executor.Get(ctx, rid)
	told, _ := notice.FromError(err, notice.RecipE)
	switch state, refused := errors.AsType[*recipe.StateError](err); {
	case err == nil:
		for _, l := range d.Fetched.Message.Summary() {
			c.say("%s: prescribed: %s, %s: %s", sale, l.Name.Reveal(), l.Quantity.Reveal(), l.Posology.Reveal())
		}
		return d
	case told.ID() == notice.IDRxProof: // the proof in the customer's hand says what is prescribed, and is kept
		c.say("%s: on the proof", sale)
		c.show(told)
		d.Fetched, d.ForceMajeure = nil, true
		return d
	case refused:
		c.say("%s: not to be dispensed: %s", sale, state.State)
	default: // not known to Recip-e, or something is wrong with it: ask the prescriber
		c.say("%s: not to be dispensed", sale)
	}
	if !told.IsZero() {
		c.show(told)
	}
	return nil
}

// dispense confirms what was dispensed. What cannot be confirmed now is on disk when this returns, and is confirmed by itself,
// exactly once, after a restart of this program too.
func (c *counter) dispense(ctx context.Context, d recipe.Dispensing) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done, err := c.platform.Recipe.Dispenser.Dispense(ctx, d)
	switch {
	case err == nil:
		c.say("%s: confirmed", d.Reference)
	case errors.Is(err, outbox.ErrQueued), errors.Is(err, outbox.ErrUnknown):
		c.say("%s: dispensed, to be confirmed", d.Reference)
		c.proofs = append(c.proofs, d.Reference)
	case done == nil: // not even kept
		c.say("%s: keep the proof, and confirm this sale by hand: %v", d.Reference, err)
		return
	}
	for _, n := range done.Notices {
		if n.ID() == notice.IDRxLater {
			c.show(n)
		}
	}
	if done.Report == nil {
		return
	}
	if err := c.read(ctx, *done.Report); err != nil { // it stays where it is, for the next look
		c.say("%s: %v", d.Reference, err)
	}
}

// settle waits until nothing is left to be confirmed, and tells how it ended.
func (c *counter) settle(ctx context.Context) error {
	for {
		n, err := c.platform.Recipe.Dispenser.Waiting(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		select {
		case <-c.stirred:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	reported, err := c.reports(ctx)
	if err != nil {
		return err
	}
	for _, sale := range c.proofs {
		if !slices.Contains(reported, sale) {
			c.say("%s: confirmed", sale)
		}
	}
	c.proofs = nil
	return nil
}

// reports shows what a person must look at: conflicts, and medicines that are not those that were prescribed, by sale. Reports
// outlive the program, until somebody has read them, so it is called when the program starts too.
func (c *counter) reports(ctx context.Context) (sales []string, err error) {
	var all []recipe.Report
	for r, err := range c.platform.Recipe.Dispenser.Reports(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	for _, r := range all {
		sales = append(sales, r.Reference)
		if err := c.read(ctx, r); err != nil {
			return nil, err
		}
	}
	return sales, nil
}

// read shows a report. In a real program the person says when it was read.
func (c *counter) read(ctx context.Context, r recipe.Report) error {
	if r.Conflict != 0 {
		c.say("%s: look at it: not confirmed: %s", r.Reference, r.Conflict)
	}
	for _, d := range r.Difference {
		c.say("%s: look at it: confirmed, with a difference: %s", r.Reference, d.Kind)
	}
	if r.Alarm != "" || r.Unread != "" {
		c.say("%s: look at it: ask the prescriber: the prescription could not be compared", r.Reference)
	}
	if !r.Notice.IsZero() {
		c.show(r.Notice)
	}
	return c.platform.Recipe.Dispenser.Acknowledge(ctx, r)
}
