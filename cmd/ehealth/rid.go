package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

type ridCmd struct {
	RID    string `arg:"" name:"rid" help:"The number under the barcode of the proof."`
	Reveal bool   `help:"Show the number of the pharmacy that has it."`
	client
}

// ridResult is the answer. It holds neither the RID nor anybody's number, unless it was asked for.
type ridResult struct {
	State    string `json:"state"`
	Type     string `json:"type"`
	By       string `json:"by"`                 // "", "own" or "other": the pharmacy that has it
	Pharmacy string `json:"pharmacy,omitempty"` // its number
	Role     string `json:"role"`               // the service that was asked
	Took     string `json:"took"`
	// Next is what may be done with it.
	Next string `json:"next"`
}

func (c *ridCmd) Run(ctx context.Context, s streams) error {
	rid, err := identity.ParseRID(strings.ToUpper(strings.Join(strings.Fields(c.RID), "")))
	if err != nil {
		return usageError{fmt.Errorf("RID: %w", err)} // an identity.ParseError does not quote it
	}
	p, err := c.platform(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	began := time.Now()
	role, at, err := standing(ctx, p.Recipe, rid)
	if err != nil {
		return c.failed(notice.RecipE, began, err)
	}
	out := ridResult{State: string(at.State), Type: string(rid.Type()), Role: role, Took: time.Since(began).Round(time.Millisecond).String(), Next: next(at)}
	switch {
	case at.Own:
		out.By = "own"
	case !at.By.IsZero():
		out.By = "other"
	}
	if c.Reveal {
		out.Pharmacy = at.By.Reveal()
	}
	if c.JSON {
		return writeJSON(s.out, out)
	}
	return out.write(s.out)
}

// platform opens the platform with prescriptions and without outbox: one process has that open at a time, and asking does not
// need it.
func (c *ridCmd) platform(ctx context.Context) (*ehealth.Platform, error) {
	cfg, err := c.configured()
	if err != nil {
		return nil, err
	}
	if cfg.Recipe == nil {
		cfg.Recipe = &ehealth.Recipe{}
	}
	cfg.Outbox, cfg.Mail = nil, nil
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		return nil, usageError{err}
	}
	return p, nil
}

var errNoRole = errors.New("the caller of this configuration has no prescriptions")

// standing asks the service that the caller may ask.
func standing(ctx context.Context, r *ehealth.Prescriptions, rid identity.RID) (role string, at *recipe.Standing, err error) {
	switch {
	case r.Prescriber != nil:
		at, err = r.Prescriber.Status(ctx, rid)
		return "prescriber", at, err
	case r.Executor != nil:
		at, err = r.Executor.Status(ctx, rid)
		return "executor", at, err
	case r.Patient != nil:
		at, err = r.Patient.Status(ctx, rid)
		return "patient", at, err
	}
	return "", nil, usageError{errNoRole}
}

// next is what a state allows (dossier 04 section 11.1).
func next(at *recipe.Standing) string {
	switch at.State {
	case "NotDelivered":
		return "any pharmacy may dispense it; the prescriber may revoke it"
	case "InProcess":
		return "the pharmacy that has it may dispense it or give it back"
	case "Delivered":
		return "the pharmacy that dispensed it is to archive it, or may take the delivery back"
	case "Archived", "Revoked", "Expired":
		return "nothing: it is final"
	}
	return "not known"
}

func (r ridResult) write(w io.Writer) error {
	by := map[string]string{"own": ", by the caller", "other": ", by another pharmacy"}[r.By]
	if r.Pharmacy != "" {
		by += " (" + r.Pharmacy + ")"
	}
	_, err := fmt.Fprintf(w, "%s%s\ntype %s, asked as %s in %s\n%s\n", r.State, by, r.Type, r.Role, r.Took, r.Next)
	return err
}
