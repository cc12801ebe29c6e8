package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

type outboxDecideCmd struct {
	Happened bool   `help:"It was carried out." xor:"found" required:""`
	Not      bool   `help:"It was not carried out." xor:"found" required:""`
	RID      string `name:"rid" help:"With --happened and one item of kind recipe.create: the prescription's number, which Recip-e must confirm." placeholder:"RID"`
	items
}

// Help is shown below the summary.
func (c *outboxDecideCmd) Help() string {
	return "An item of kind recipe.create is a prescription. What is decided about it counts for its paper as well: with --happened, paper " +
		"that was given makes the electronic one be revoked; with --not, paper may be given, and the item is cancelled. With --happened and " +
		"without --rid its number is looked for by its key: now, and by the program that owns the outbox as long as Recip-e does not answer. " +
		"A number can still be given after an item was decided without one. It takes the configuration of the prescriber who " +
		"created it."
}

var (
	errOneRID      = errors.New("--rid is the number of one prescription: it goes with --happened and one item of kind recipe.create")
	errNoPrescribe = errors.New("this item is a prescription, and the caller of this configuration does not prescribe: " +
		"give --config, or --as, of the prescriber who created it, or decide in the program that owns the outbox (recipe.Prescriber.Decide)")
)

// prescribers are those whose prescriptions wait in an outbox.
var prescribers = []identity.Quality{
	identity.Doctor, identity.Dentist, identity.Midwife, identity.Nurse, identity.Physiotherapist, identity.Hospital,
}

func (c *outboxDecideCmd) Run(ctx context.Context, s streams) error {
	ids, err := c.parsed()
	if err != nil {
		return err
	}
	d := recipe.Decision{Created: c.Happened}
	if c.RID != "" {
		if d.RID, err = identity.ParseRID(strings.ToUpper(strings.Join(strings.Fields(c.RID), ""))); err != nil {
			return usageError{fmt.Errorf("--rid: %w", err)} // an identity.ParseError does not quote it
		}
		if !c.Happened || len(ids) != 1 {
			return usageError{errOneRID}
		}
	}
	return c.changed(ctx, func(cfg *ehealth.Config) {
		if cfg.Recipe == nil && slices.Contains(prescribers, cfg.Caller.Quality) {
			cfg.Recipe = &ehealth.Recipe{}
		}
	}, func(p *ehealth.Platform) error {
		return c.eachOf(ctx, s, p, ids, func(id outbox.ID) error { return c.decide(ctx, p, id, d) })
	})
}

// decide records the decision about one item where it counts: that of a prescription is the prescriber's, who looks for its number.
func (c *outboxDecideCmd) decide(ctx context.Context, p *ehealth.Platform, id outbox.ID, d recipe.Decision) error {
	v, err := p.Outbox.Show(ctx, id)
	switch {
	case err != nil:
		return mistake(err)
	case v.Kind == recipe.KindCreate:
		return c.prescription(ctx, p, v, d)
	case !d.RID.IsZero():
		return usageError{errOneRID}
	}
	return mistake(p.Outbox.Decide(ctx, id, d.Created))
}

func (c *outboxDecideCmd) prescription(ctx context.Context, p *ehealth.Platform, v outbox.View, d recipe.Decision) error {
	if p.Recipe == nil || p.Recipe.Prescriber == nil {
		return usageError{errNoPrescribe}
	}
	if !v.Pending && v.State != outbox.Done { // the reference may have a later item, of which nothing was said
		return usageError{&outbox.StateError{ID: v.ID, State: v.State}}
	}
	it, err := p.Outbox.Reveal(ctx, v.ID)
	if err != nil {
		return mistake(err)
	}
	began := time.Now()
	_, err = p.Recipe.Prescriber.Decide(ctx, recipe.ReferenceOf(it), d)
	switch {
	case errors.Is(err, recipe.ErrNumber):
		return c.failed(notice.RecipE, began, exitError{err, exitRefused})
	case errors.Is(err, recipe.ErrNotYet), errors.Is(err, recipe.ErrReference), errors.Is(err, outbox.ErrState), errors.As(err, new(*recipe.CreatedError)):
		return c.failed(notice.RecipE, began, exitError{err, exitUsage})
	case err != nil:
		return c.failed(notice.RecipE, began, err)
	}
	return nil
}
