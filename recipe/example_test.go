package recipe_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// A doctor prescribes. Whatever happens, the patient leaves with an electronic prescription, or with paper, or is told that nobody
// knows yet: never with both.
func ExamplePrescriber_Create() {
	prescribe := func(ctx context.Context, p *recipe.Prescriber, consultation string, x kmehr.Prescription) error {
		created, err := p.Create(ctx, recipe.CreateRequest{Reference: consultation, Prescription: x, Type: identity.PrescriptionP0})
		if err == nil {
			fmt.Println("the number on the proof:", created.RID.Reveal())
			return nil
		}
		switch {
		case errors.As(err, new(*recipe.NotCreatedError)): // there certainly is none
			permit, err := p.PaperFor(ctx, consultation, x)
			if err != nil {
				return err
			}
			fmt.Println("paper may be given:", !permit.IsZero()) // package recipe/paper renders the form with the permit
			return nil
		case errors.As(err, new(*recipe.UnsureError)): // it is being found out
			out, err := p.Wait(ctx, consultation)
			if err != nil {
				return err
			}
			fmt.Println(out.State)
			return nil
		}
		return err // refused: what is wrong with it must be put right
	}
	_ = prescribe
}

// After days without an answer a person finds out what became of a prescription, and says so.
func ExamplePrescriber_Decide() {
	decide := func(ctx context.Context, p *recipe.Prescriber, consultation string, heard recipe.Decision) error {
		out, err := p.Decide(ctx, consultation, heard)
		switch {
		case errors.Is(err, recipe.ErrNotYet):
			return nil // it is still being found out without anybody's help
		case errors.Is(err, recipe.ErrNumber):
			return errors.New("that is another prescription's number")
		case err != nil:
			return err
		}
		fmt.Println(out.State, out.RID.IsZero())
		return nil
	}
	_ = decide
}

// A patient hides a prescription from all pharmacies but one, and reserves it there.
func ExamplePatient() {
	reserve := func(ctx context.Context, p *recipe.Patient, pharmacy identity.NIHII) error {
		for open, err := range p.OpenRIDs(ctx) {
			if err != nil {
				return err
			}
			if err := p.PutVision(ctx, open.RID, protocol.VisionPharmacy(pharmacy)); err != nil {
				return err
			}
			if err := p.Reserve(ctx, open.RID, pharmacy); fault.OutcomeOf(err) != fault.Done {
				return err // Unknown: the list could not be had; asking again later does no harm
			}
		}
		return nil
	}
	_ = reserve
}
