package kmehr

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of what Write takes. The platform documents none (dossier 04 section 12.3); these are far above what people write
// and keep a document within MaxBytes.
const (
	maxText      = 10_000 // characters of one text
	maxRegimen   = 200
	maxCompounds = 100
	maxNotes     = 50
)

// inputs collects what is wrong with the fields of a prescription: what neither schema nor assert rules look at, and what
// could not be written down at all. The rest is found on the finished document.
type inputs struct {
	at    string // what the names of fields stand behind, such as "Items[0]"
	found []Violation
}

func (c *inputs) must(ok bool, field, message string) {
	if !ok {
		c.found = append(c.found, Violation{Rule: "input", Field: c.at + field, Message: message})
	}
}

// atMost says how many of something there may be.
func (c *inputs) atMost(n, most int, field, what string) {
	if n > most {
		c.must(false, field, "at most "+strconv.Itoa(most)+" "+what)
	}
}

func checkInput(p *Prescription) []Violation {
	c := &inputs{}
	c.author(p)
	c.patient(p)
	created := DayOf(p.Created)
	c.must(p.Created.Year() >= 1901 && p.Created.Year() <= 9999, "Created", "a date between 1901 and 9999")
	c.must(p.Expires.Whole(), "Expires", "a whole date")
	c.must(!p.Expires.Before(created), "Expires", "not before the day on which the prescription is made")
	c.must(!LastExpiry(p.Created).Before(p.Expires), "Expires", "at most one year minus one day after the prescription is made")
	if n := len(p.Items); n < 1 || n > MaxItems {
		c.must(false, "Items", "1 to "+strconv.Itoa(MaxItems)+" items")
	}
	for k := range p.Items {
		c.at = "Items[" + strconv.Itoa(k) + "]"
		c.item(&p.Items[k], p)
	}
	c.at = ""
	for _, e := range p.Extra {
		c.must(e.under != "item" && placed(e), "Extra", "an element that has a place in a message, as it was read")
	}
	return c.found
}

// typeOf is the type of the elements that keep others without a field.
var typeOf = map[string]string{"header": "header", "folder": "folder", "patient": "person", "transaction": "transaction", "item": "item"}

func placed(e Element) bool {
	t := schema[typeOf[e.under]]
	return t != nil && t.types[e.name] != "" && !e.xml.IsZero()
}

func (c *inputs) author(p *Prescription) {
	c.must(len(p.Author.NIHII.Reveal()) == 11, "Author.NIHII", "a number of eleven digits")
	c.must(!blank(p.Author.FamilyName) || !blank(p.Author.Name), "Author.FamilyName", "the name of the prescriber")
	c.must(!blank(p.Author.Phone), "Author.Phone", "a telephone number")
	for _, f := range []struct {
		name string
		text Private
	}{
		{"Author.FirstName", p.Author.FirstName},
		{"Author.FamilyName", p.Author.FamilyName},
		{"Author.Name", p.Author.Name},
		{"Author.Phone", p.Author.Phone},
		{"Author.Address.Zip", p.Author.Address.Zip},
		{"Author.Address.City", p.Author.Address.City},
		{"Author.Address.Street", p.Author.Address.Street},
		{"Author.Address.Number", p.Author.Address.Number},
		{"Author.Address.Box", p.Author.Address.Box},
	} {
		c.text(f.name, f.text)
	}
	if h := p.Hospital; h != nil {
		c.must(!h.NIHII.IsZero(), "Hospital.NIHII", "the number of the hospital")
		c.must(!blank(h.Name), "Hospital.Name", "the name of the hospital")
	}
	c.must(p.Software.Name != "", "Software.Name", "the name of the program")
	c.must(p.Software.Version != "", "Software.Version", "the version of the program")
	c.must(p.Software.Phone != "", "Software.Phone", "a telephone number of the maker")
	c.must(p.Software.Email != "", "Software.Email", "a mail address of the maker")
	c.must(p.Source.Version != "", "Source.Version", "the version of the database of medicines")
}

func (c *inputs) patient(p *Prescription) {
	c.must(!p.Patient.SSIN.IsZero(), "Patient.SSIN", "the patient's number")
	c.must(!blank(p.Patient.FamilyName), "Patient.FamilyName", "the patient's name")
	c.must(!p.Patient.Birth.IsZero(), "Patient.Birth", "the date of birth, or its year")
	c.text("Patient.FirstName", p.Patient.FirstName)
	c.text("Patient.FamilyName", p.Patient.FamilyName)
}

func (c *inputs) item(i *Item, p *Prescription) {
	kinds := 0
	for _, there := range []bool{i.Medicine != nil, i.Group != nil, i.Magistral != nil} {
		if there {
			kinds++
		}
	}
	c.must(kinds == 1, "", "exactly one of Medicine, Group and Magistral")
	if i.Medicine != nil {
		c.must(!blank(i.Medicine.Name), ".Medicine.Name", "the name of the product")
		c.text(".Medicine.Name", i.Medicine.Name)
	}
	if i.Group != nil {
		c.must(!blank(i.Group.Name), ".Group.Name", "the name of the group")
		c.must(digits(i.Group.Code, 7), ".Group.Code", "seven digits")
		c.text(".Group.Name", i.Group.Name)
	}
	if i.Magistral != nil {
		c.magistral(i.Magistral)
	}
	c.must(!blank(i.Posology.Text), ".Posology", "how to take it, in words")
	c.must(i.Group == nil || i.Quantity == Quantity{} || i.Group.Code.Reveal() == "0000000", ".Quantity",
		"no quantity for a group: its amount follows from the duration")
	c.must(i.Group != nil || i.Quantity.Value != "", ".Quantity", "a quantity")
	c.must(i.Quantity.Value == "" || positive(i.Quantity.Value), ".Quantity", "a number greater than 0")
	c.must(i.Duration == Duration{} || positive(i.Duration.Value) && i.Duration.Unit != "", ".Duration",
		"a number greater than 0 and its unit")
	c.days(i, p)
	c.must(i.Renewal.Times == "" || i.Renewal.Text.IsZero(), ".Renewal", "a number or a text, not both")
	c.atMost(len(i.Regimen), maxRegimen, ".Regimen", "lines")
	c.atMost(len(i.DayPeriods), maxRegimen, ".DayPeriods", "entries")
	c.atMost(len(i.Notes), maxNotes, ".Notes", "notes")
	item := c.at
	for k := range i.Regimen {
		c.at = item + ".Regimen[" + strconv.Itoa(k) + "]"
		c.intake(&i.Regimen[k])
	}
	c.at = item
	for _, t := range append([]Text{i.Posology, i.Renewal.Text, i.ForPatient, i.ForReimbursement, i.ForOverdosing}, i.Notes...) {
		c.must(t.IsZero() || t.Lang != "", "", "a language for every text")
		c.text("", t.Text)
	}
	c.text(".Proof", i.Proof)
	for _, e := range i.Extra {
		c.must(e.under == "item" && placed(e), ".Extra", "an element that has a place in an item, as it was read")
	}
}

func (c *inputs) days(i *Item, p *Prescription) {
	begin := i.Begin
	if begin.IsZero() {
		begin = DayOf(p.Created)
	}
	c.must(begin.Whole(), ".Begin", "a whole date")
	c.must(i.End.IsZero() || i.End.Whole() && !i.End.Before(begin), ".End", "a whole date, not before the first day")
}

func (c *inputs) magistral(m *Magistral) {
	kinds := 0
	for _, there := range []bool{!m.Text.IsZero(), m.Formulary != nil, len(m.Compounds) > 0} {
		if there {
			kinds++
		}
	}
	c.must(kinds == 1, ".Magistral", "exactly one of Text, Formulary and Compounds")
	c.must(m.Text.IsZero() || m.Text.Lang != "" && !blank(m.Text.Text), ".Magistral.Text", "a text with its language")
	c.must(m.Form.IsZero() || m.Form.Lang != "", ".Magistral.Form", "a language for every text")
	c.atMost(len(m.Compounds), maxCompounds, ".Magistral.Compounds", "compounds")
	c.text(".Magistral.Text", m.Text.Text)
	for k, x := range m.Compounds {
		at := ".Magistral.Compounds[" + strconv.Itoa(k) + "]"
		c.must((x.Medicine != nil) != !x.Substance.IsZero(), at, "exactly one of Medicine and Substance")
		c.must(x.Medicine == nil || !blank(x.Medicine.Name), at+".Medicine.Name", "the name of the product")
		c.must(x.Quantity.Value == "" || positive(x.Quantity.Value), at+".Quantity", "a number greater than 0")
	}
}

func (c *inputs) intake(i *Intake) {
	days := 0
	for _, there := range []bool{i.DayNumber != 0, !i.Date.IsZero(), i.Weekday != ""} {
		if there {
			days++
		}
	}
	c.must(days <= 1, "", "at most one of DayNumber, Date and Weekday")
	c.must(i.DayNumber >= 0, ".DayNumber", "1 or more")
	c.must(i.Date.IsZero() || i.Date.Whole(), ".Date", "a whole date")
	c.must(i.Time == "" || i.Period == "", "", "at most one of Time and Period")
	c.must(positive(i.Amount), ".Amount", "a number greater than 0")
}

func (c *inputs) text(field string, p Private) {
	if s := p.Reveal(); len(s) > maxText {
		c.atMost(utf8.RuneCountInString(s), maxText, field, "characters")
	}
}

func blank(p Private) bool { return strings.TrimSpace(p.Reveal()) == "" }

func digits(p Private, n int) bool {
	s := p.Reveal()
	return len(s) == n && strings.Trim(s, "0123456789") == ""
}

// positive takes what xs:decimal and every reader take: digits, at most one point with digits on both sides.
func positive(d Decimal) bool {
	whole, part, pointed := strings.Cut(string(d), ".")
	all := whole + part
	return whole != "" && (part != "" || !pointed) && len(all) <= 18 && strings.Trim(all, "0123456789") == "" && strings.Trim(all, "0") != ""
}
