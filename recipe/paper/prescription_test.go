package paper

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
)

func prescription() *kmehr.Prescription {
	h := identity.Hide
	return &kmehr.Prescription{
		Created: time.Date(2030, 1, 15, 9, 30, 0, 0, time.UTC), Expires: kmehr.NewDay(2030, 4, 14),
		Author: kmehr.Author{
			NIHII: identity.MustNIHII("10000007004"), FirstName: h("Zoë"), FamilyName: h("Janssens"), Phone: h("02 000 00 00"),
			Address: kmehr.Address{Zip: h("1000"), City: h("Bruxelles"), Street: h("Rue Haute"), Number: h("1"), Box: h("b")},
		},
		Patient: kmehr.Patient{FirstName: h("Anne"), FamilyName: h("Exemple"), Birth: kmehr.NewDay(1961, 2, 0)},
		Items: []kmehr.Item{
			{
				Medicine: &kmehr.Medicine{Name: h("Examplamine 500 mg")}, Posology: kmehr.Text{Lang: "fr", Text: h("1 le matin")},
				Quantity: kmehr.Quantity{Value: "2", Unit: "pkg"}, Begin: kmehr.NewDay(2030, 1, 20), End: kmehr.NewDay(2030, 2, 20),
				Duration: kmehr.Duration{Value: "4", Unit: kmehr.Weeks}, Substitution: kmehr.SubstitutionForbidden,
				Renewal:    kmehr.Renewal{Times: "3", Interval: kmehr.Duration{Value: "1", Unit: kmehr.Months}},
				ForPatient: kmehr.Text{Lang: "fr", Text: h("à jeun")}, ForReimbursement: kmehr.Text{Text: h("tiers payant")},
				ForOverdosing: kmehr.Text{Text: h("dose voulue")}, Notes: []kmehr.Text{{Text: h("note une")}, {Text: h("note deux")}},
			},
			{
				Group: &kmehr.Group{Name: h("sampleprazole 20 mg")}, Posology: kmehr.Text{Text: h("1 le soir")}, Begin: kmehr.NewDay(2030, 1, 15),
				Substitution: kmehr.SubstitutionAllowed, Renewal: kmehr.Renewal{Text: kmehr.Text{Text: h("selon besoin")}},
			},
			{
				Magistral: &kmehr.Magistral{
					Text: kmehr.Text{Text: h("crème selon")}, Formulary: &kmehr.Formulary{Code: h("0512345"), Name: h("Formule exemple")},
					Compounds: []kmehr.Compound{
						{Substance: h("acide exemplaire"), Quantity: kmehr.Quantity{Value: "2.5", Unit: "gm"}},
						{Medicine: &kmehr.Medicine{Name: h("Basis")}, Prefix: "ad", Quantity: kmehr.Quantity{Value: "50", Unit: "gm"}},
					},
					Form: kmehr.Text{Text: h("pommade")},
				},
				Posology: kmehr.Text{Text: h("2 x par jour")}, Quantity: kmehr.Quantity{Value: "100", Unit: "gm"}, Begin: kmehr.NewDay(2030, 1, 15),
			},
		},
	}
}

// TestOf: everything of a prescription that is in words or has words stands on paper.
func TestOf(t *testing.T) {
	for lang, notes := range map[Language][]string{
		FR: {"À partir du: 20/01/2030", "Jusqu'au: 20/02/2030", "Durée: 4 semaine(s)", "Renouvellements: 3 tous les 1 mois", "Ne pas substituer", "Substitution autorisée"},
		NL: {"Vanaf: 20/01/2030", "Tot en met: 20/02/2030", "Duur: 4 week (weken)", "Hernieuwingen: 3 om de 1 maand(en)", "Niet substitueren", "Substitutie toegestaan"},
		DE: {"Ab: 20/01/2030", "Bis einschließlich: 20/02/2030", "Dauer: 4 Woche(n)", "Wiederholungen: 3 alle 1 Monat(e)", "Nicht austauschen", "Austausch erlaubt"},
	} {
		c, err := Of(lang, prescription())
		if err != nil {
			t.Fatal(err)
		}
		text := said(render(t, form, c))
		for _, want := range append(notes,
			"Zoë Janssens", "10000007004", "Rue Haute 1 b\n1000 Bruxelles", "02 000 00 00", "Anne Exemple", "02/1961", "15/01/2030", "14/04/2030",
			"Examplamine 500 mg", ": 2\n", "1 le matin", "à jeun\ntiers payant\ndose voulue\nnote une\nnote deux",
			"sampleprazole 20 mg", "selon besoin", "crème selon\nFormule exemple 0512345\nacide exemplaire 2.5 gm\nBasis ad 50 gm\npommade\n", ": 100 gm",
		) {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in\n%s", lang, want, text)
			}
		}
		if n := strings.Count(text, "15/01/2030"); n != 2 {
			t.Errorf("%s: the day of issue stands there %d times, want as date and as first day", lang, n)
		}
	}
	if _, err := Of("en", prescription()); err == nil {
		t.Error("a form in English")
	}
}

// TestOfSamples puts the official shapes on paper: what they hold is read, and nothing of an unknown shape is left out.
func TestOfSamples(t *testing.T) {
	dir := oracle.Shared(t, "samples", "recipe", "kmehr")
	files, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := kmehr.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		p := m.Prescription()
		c, err := Of(NL, &p)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		text := said(render(t, form, c))
		for i := range p.Items {
			if posology := p.Items[i].Posology.Text.Reveal(); posology == "" || !strings.Contains(text, posology) {
				t.Errorf("%s: no posology", filepath.Base(f))
			}
		}
	}
}

func TestOfRefuses(t *testing.T) {
	p := prescription()
	p.Items[1].Extra = make([]kmehr.Element, 1)
	_, err := Of(FR, p)
	if e, ok := errors.AsType[*FieldError](err); !ok || e.Field != "Items[1].Extra" {
		t.Error(err)
	}
}
