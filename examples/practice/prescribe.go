package main

import (
	"bytes"
	"context"
	"errors"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/paper"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

// visit is a consultation that ends with a prescription. A real program keeps it in the patient's file.
type visit struct {
	name string // the same visit given again is the same prescription
	// rx was filled in when it was written (kmehr.Prescription.Fill), so that message, proof and form say the same.
	rx kmehr.Prescription
	// absent: the patient is not here, and comes for it later. Only then may it be kept for when Recip-e is back.
	absent bool
}

func (v visit) reference() string { return "prescription of " + v.name }

// prescribe ends a visit, and returns what to tell the person. There is an electronic prescription and its proof is printed; or
// there certainly is none and the form is printed; or nobody knows, and then neither is, until settle tells.
func (p *practice) prescribe(ctx context.Context, v visit) (string, error) {
	made, err := p.create(ctx, recipe.CreateRequest{Reference: v.reference(), Prescription: v.rx, Type: identity.PrescriptionP0, Hold: v.absent})
	none, isNone := errors.AsType[*recipe.NotCreatedError](err)
	switch {
	case err == nil && made.Notice == "":
		return "prescribed", p.proof(v, made.RID)
	case err == nil: // the service is not steady: somebody should see that the proof is printed
		return notice.PrescriptionPrint().Text(p.desk.lang), p.proof(v, made.RID)
	case isNone && none.Held:
		return "kept until midnight: confirm that no paper is given, or print the form", nil
	case isNone:
		return p.form(ctx, v)
	case errors.Is(err, recipe.ErrPaperGiven):
		return "is on paper; the form can be printed again", nil
	}
	return p.unsure(err)
}

func (p *practice) create(ctx context.Context, r recipe.CreateRequest) (*recipe.Created, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.platform.Recipe.Prescriber.Create(ctx, r)
}

// unsure tells that nobody knows. Any other error is told as it is: Recip-e refuses what was prescribed, or this computer fails.
func (p *practice) unsure(err error) (string, error) {
	if n, ok := notice.FromError(err, notice.RecipE); ok && n.ID() == notice.IDUnsure {
		return n.Text(p.desk.lang), nil
	}
	return "", err
}

// settle waits until it is known what became of a prescription, and ends the visit accordingly. A program that was restarted
// calls it for the visits of the day that are not ended.
func (p *practice) settle(ctx context.Context, v visit) (string, error) {
	out, err := p.platform.Recipe.Prescriber.Wait(ctx, v.reference())
	if err != nil {
		return "", err
	}
	switch out.State {
	case recipe.OutcomeCreated:
		return notice.PrescriptionPrint().Text(p.desk.lang), p.proof(v, out.RID)
	case recipe.OutcomeNotCreated:
		return p.form(ctx, v)
	}
	return out.State.String(), nil // held, or on paper: a person decided, or is to decide
}

// confirm states that no paper was given for a prescription that is kept: it is sent when Recip-e is back, today.
func (p *practice) confirm(ctx context.Context, v visit) error {
	return p.platform.Recipe.Prescriber.Confirm(ctx, v.reference())
}

// form prints the prescription that takes the place of the electronic one. It needs a permit, which is given when there
// certainly is none, and after which there will be none.
func (p *practice) form(ctx context.Context, v visit) (string, error) {
	content, err := paper.Of(p.desk.paper(), &v.rx) // before the permit, which cannot be given back
	if err != nil {
		return "", err
	}
	permit, err := p.platform.Recipe.Prescriber.PaperFor(ctx, v.reference(), v.rx)
	if made, ok := errors.AsType[*recipe.CreatedError](err); ok {
		return notice.PrescriptionPrint().Text(p.desk.lang), p.proof(v, made.RID)
	}
	if err != nil {
		return p.unsure(err)
	}
	var page bytes.Buffer
	if err := paper.Fallback(&page, paper.Form{Content: content, Permit: permit}); err != nil {
		return "", err
	}
	return notice.PrescriptionPaper().Text(p.desk.lang), p.desk.printer.print("form", page.Bytes())
}

// proof prints what the patient shows in the pharmacy.
func (p *practice) proof(v visit, rid identity.RID) error {
	content, err := paper.Of(p.desk.paper(), &v.rx)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := paper.Proof(&page, paper.Electronic{Content: content, RID: rid}); err != nil {
		return err
	}
	return p.desk.printer.print("proof", page.Bytes())
}
