package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// TestRecipeListsOnce: however the server counts its pages, a list has everything once.
func TestRecipeListsOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		cfg, _, _ := w.prescribes(t, 0)
		d := w.open(t, cfg)
		patient := w.sb.Patients()[1].SSIN
		var want []string
		for i := range 5 {
			made, err := d.Recipe.Prescriber.Create(t.Context(), recipe.CreateRequest{
				Reference: fmt.Sprint("visit ", i), Prescription: w.prescription(t, 1), Type: identity.PrescriptionP0,
			})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, made.RID.Reveal())
		}
		w.sb.SetRecipe(sandbox.RecipeBehaviour{PageSize: 2})
		var listed, open, history []string
		for l, err := range d.Recipe.Prescriber.List(t.Context(), recipe.ListQuery{Patient: patient}) {
			if err != nil {
				t.Fatal(err)
			}
			if l.Err != nil || l.Message == nil {
				t.Errorf("not opened: %v", l.Err)
			}
			listed = append(listed, l.RID.Reveal())
		}
		for rid, err := range d.Recipe.Prescriber.OpenRIDs(t.Context(), patient) {
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, rid.Reveal())
		}
		for s, err := range d.Recipe.Prescriber.History(t.Context(), patient, true) {
			if err != nil {
				t.Fatal(err)
			}
			history = append(history, s.RID.Reveal())
		}
		for name, got := range map[string][]string{"List": listed, "OpenRIDs": open, "History": history} {
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d entries of %d", name, len(got), len(want))
			}
		}
	})
}

// TestRecipeLostOnManyPages: a prescription whose answer was lost is found on a list of many pages, and survives that.
func TestRecipeLostOnManyPages(t *testing.T) {
	for _, gen := range []protocol.Generation{protocol.Gen2023, protocol.Gen2021} {
		t.Run(gen.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				cfg, _, _ := w.prescribes(t, 0)
				cfg.Recipe.Options = []recipe.Option{recipe.WithGeneration(gen)}
				d := w.open(t, cfg)
				rx := d.Recipe.Prescriber
				create := func(ref string) error {
					_, err := rx.Create(t.Context(), recipe.CreateRequest{Reference: ref, Prescription: w.prescription(t, 1), Type: identity.PrescriptionP0})
					return err
				}
				w.inject(t, "recipe-presc 0 to_end lost_ack p=1", "recipe-direct 0 to_end lost_ack p=1")
				w.sb.SetRecipe(sandbox.RecipeBehaviour{PageSize: 1})
				refs := []string{"visit 1", "visit 2", "visit 3"}
				for _, ref := range refs {
					if err := create(ref); err == nil {
						t.Fatal("created, but no answer arrives")
					}
				}
				w.sb.ClearFaults()
				made := len(w.sb.Prescriptions())
				if made == 0 {
					t.Fatal("nothing was created")
				}
				for _, ref := range refs[:made] {
					if out, err := rx.Wait(t.Context(), ref); err != nil || out.State != recipe.OutcomeCreated {
						t.Fatalf("%s: %v, %v", ref, out.State, err)
					}
				}
				time.Sleep(time.Hour) // whatever is queued is done
				for i, p := range w.sb.Prescriptions() {
					if p.Status != sandbox.NotDelivered {
						t.Errorf("prescription %d is %s", i, p.Status)
					}
				}
			})
		})
	}
}
