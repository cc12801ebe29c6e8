package paper

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
)

// Of makes the content of a document from a prescription, so that paper and message say the same. The prescription must be
// complete, as [kmehr.Prescription.Fill] or [kmehr.Parse] leaves it.
//
// Posology and instructions are printed in their own words; the structured scheme of intakes beside them is not. An item
// with an element that [kmehr.Item] has no field for is a [*FieldError]: what cannot be printed is not left out.
func Of(lang Language, p *kmehr.Prescription) (Content, error) {
	const op = "paper.Of"
	t, ok := labels[lang]
	if !ok {
		return Content{}, invalid(op, &FieldError{Field: "Language", Rule: "is none of fr, nl and de"})
	}
	whole := *p
	whole.Items = slices.Clone(p.Items)
	c := Content{
		of: &whole, Language: lang, Issued: p.Created, Until: p.Expires,
		Prescriber: prescriberOf(&p.Author),
		Patient:    Patient{FirstName: p.Patient.FirstName, FamilyName: p.Patient.FamilyName, Born: p.Patient.Birth},
	}
	issued := kmehr.DayOf(p.Created)
	for i := range p.Items {
		it := &p.Items[i]
		if len(it.Extra) > 0 {
			return Content{}, invalid(op, &FieldError{Field: fmt.Sprintf("Items[%d].Extra", i), Rule: "has an element that cannot be printed"})
		}
		c.Items = append(c.Items, Item{
			Medicine: productOf(it), Quantity: quantityOf(it.Quantity), Posology: it.Posology.Text, Note: t.note(it, issued),
		})
	}
	return c, nil
}

func prescriberOf(a *kmehr.Author) Prescriber {
	name := joined(" ", a.FirstName, a.FamilyName)
	if a.FamilyName.IsZero() {
		name = a.Name
	}
	street := joined(" ", a.Address.Street, a.Address.Number, a.Address.Box)
	return Prescriber{
		Name: name, NIHII: a.NIHII, Phone: a.Phone,
		Address: joined("\n", street, joined(" ", a.Address.Zip, a.Address.City)),
	}
}

func joined(sep string, parts ...identity.Private) identity.Private {
	var out []string
	for _, p := range parts {
		if s := strings.TrimSpace(p.Reveal()); s != "" {
			out = append(out, s)
		}
	}
	return identity.Hide(strings.Join(out, sep))
}

func productOf(it *kmehr.Item) identity.Private {
	switch {
	case it.Medicine != nil:
		return it.Medicine.Name
	case it.Group != nil:
		return it.Group.Name
	case it.Magistral != nil:
		return magistralOf(it.Magistral)
	}
	return identity.Private{}
}

func magistralOf(m *kmehr.Magistral) identity.Private {
	lines := []identity.Private{m.Text.Text}
	if m.Formulary != nil {
		lines = append(lines, joined(" ", m.Formulary.Name, m.Formulary.Code))
	}
	for _, c := range m.Compounds {
		name := c.Substance
		if c.Medicine != nil {
			name = c.Medicine.Name
		}
		lines = append(lines, joined(" ", name, identity.Hide(c.Prefix), quantityOf(c.Quantity)))
	}
	return joined("\n", append(lines, m.Form.Text)...)
}

func quantityOf(q kmehr.Quantity) identity.Private {
	if q.Unit == "pkg" {
		q.Unit = ""
	}
	return joined(" ", identity.Hide(string(q.Value)), identity.Hide(q.Unit))
}

// label are the words around what an item has besides its posology.
type label struct {
	begin, end, duration, renewal, every, original, free string
	units                                                map[kmehr.TimeUnit]string
}

var labels = map[Language]label{
	FR: {
		"À partir du", "Jusqu'au", "Durée", "Renouvellements", "tous les", "Ne pas substituer", "Substitution autorisée",
		map[kmehr.TimeUnit]string{kmehr.Hours: "heure(s)", kmehr.Days: "jour(s)", kmehr.Weeks: "semaine(s)", kmehr.Months: "mois", kmehr.Years: "an(s)"},
	},
	NL: {
		"Vanaf", "Tot en met", "Duur", "Hernieuwingen", "om de", "Niet substitueren", "Substitutie toegestaan",
		map[kmehr.TimeUnit]string{kmehr.Hours: "uur", kmehr.Days: "dag(en)", kmehr.Weeks: "week (weken)", kmehr.Months: "maand(en)", kmehr.Years: "jaar"},
	},
	DE: {
		"Ab", "Bis einschließlich", "Dauer", "Wiederholungen", "alle", "Nicht austauschen", "Austausch erlaubt",
		map[kmehr.TimeUnit]string{kmehr.Hours: "Stunde(n)", kmehr.Days: "Tag(e)", kmehr.Weeks: "Woche(n)", kmehr.Months: "Monat(e)", kmehr.Years: "Jahr(e)"},
	},
}

// note is one line for each thing said of an item.
func (l label) note(it *kmehr.Item, issued kmehr.Day) identity.Private {
	var out []identity.Private
	add := func(name string, value identity.Private) {
		if !value.IsZero() {
			out = append(out, identity.Hide(name+": "+value.Reveal()))
		}
	}
	if it.Begin != issued {
		add(l.begin, dayText(it.Begin))
	}
	add(l.end, dayText(it.End))
	add(l.duration, l.span(it.Duration))
	again := identity.Hide(string(it.Renewal.Times))
	if every := l.span(it.Renewal.Interval); !again.IsZero() && !every.IsZero() {
		again = joined(" ", again, identity.Hide(l.every), every)
	}
	add(l.renewal, again)
	out = append(out, it.Renewal.Text.Text)
	switch it.Substitution {
	case kmehr.SubstitutionForbidden:
		out = append(out, identity.Hide(l.original))
	case kmehr.SubstitutionAllowed:
		out = append(out, identity.Hide(l.free))
	}
	out = append(out, it.ForPatient.Text, it.ForReimbursement.Text, it.ForOverdosing.Text)
	for _, n := range it.Notes {
		out = append(out, n.Text)
	}
	return joined("\n", out...)
}

func (l label) span(d kmehr.Duration) identity.Private {
	if d.Value == "" {
		return identity.Private{}
	}
	unit := l.units[d.Unit]
	if unit == "" {
		unit = string(d.Unit)
	}
	return identity.Hide(string(d.Value) + " " + unit)
}

func dayText(d kmehr.Day) identity.Private { return identity.Hide(shownDay(d)) }

// shownDay writes a day as Belgians do, with what is known of it.
func shownDay(d kmehr.Day) string {
	y, m, day := d.Date()
	switch {
	case d.IsZero():
		return ""
	case m == 0:
		return fmt.Sprintf("%04d", y)
	case day == 0:
		return fmt.Sprintf("%02d/%04d", int(m), y)
	}
	return fmt.Sprintf("%02d/%02d/%04d", day, int(m), y)
}
