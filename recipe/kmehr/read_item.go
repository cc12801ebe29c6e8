package kmehr

import (
	"strconv"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// itemReaders read the children of an item into its fields. One that answers false met a form that the field cannot hold; the
// element is then kept as it is.
var itemReaders = map[string]func(*Item, *xmltree.Node) bool{
	"text":        func(i *Item, n *xmltree.Node) bool { i.Notes = append(i.Notes, readText(n)); return true },
	"beginmoment": func(i *Item, n *xmltree.Node) (ok bool) { i.Begin, ok = readMoment(n); return ok },
	"endmoment":   func(i *Item, n *xmltree.Node) (ok bool) { i.End, ok = readMoment(n); return ok },
	"quantity":    func(i *Item, n *xmltree.Node) (ok bool) { i.Quantity, ok = readQuantity(n); return ok },
	"duration":    func(i *Item, n *xmltree.Node) (ok bool) { i.Duration, ok = readDuration(n); return ok },
	"regimen":     func(i *Item, n *xmltree.Node) (ok bool) { i.Regimen, ok = readRegimen(n); return ok },
	"renewal":     func(i *Item, n *xmltree.Node) (ok bool) { i.Renewal, ok = readRenewal(n); return ok },
	"posology":    readPosology,
	"frequency":   readFrequency,
	"dayperiod": func(i *Item, n *xmltree.Node) bool {
		i.DayPeriods = append(i.DayPeriods, DayPeriod(clean(child(n, "cd"))))
		return true
	},
	"temporality": func(i *Item, n *xmltree.Node) bool {
		i.Temporality = Temporality(clean(child(n, "cd")))
		return i.Temporality != ""
	},
	"route": func(i *Item, n *xmltree.Node) bool { i.Route = clean(child(n, "cd")); return i.Route != "" },

	"instructionforpatient":       func(i *Item, n *xmltree.Node) bool { i.ForPatient = readText(n); return true },
	"instructionforreimbursement": func(i *Item, n *xmltree.Node) bool { i.ForReimbursement = readText(n); return true },
	"instructionforoverdosing":    func(i *Item, n *xmltree.Node) bool { i.ForOverdosing = readText(n); return true },
	"issubstitutionallowed":       readSubstitution,

	"id": func(*Item, *xmltree.Node) bool { return true }, "cd": func(*Item, *xmltree.Node) bool { return true },
	"lifecycle": func(_ *Item, n *xmltree.Node) bool { return clean(child(n, "cd")) == "prescribed" },
}

func readItem(n *xmltree.Node) Item {
	var i Item
	seen := map[string]bool{}
	for c := range n.Elements() {
		name := c.Local()
		reader := itemReaders[name]
		if name == "content" {
			seen[partlyRead] = !readContent(&i, c) || seen[partlyRead]
			continue
		}
		// A second one of what can stand only once is a mistake of the document; the first counts.
		if again := seen[name] && schema["item"].single[name]; reader == nil || again || !reader(&i, c) {
			i.Extra = append(i.Extra, keep(c, "item"))
		}
		seen[name] = true
	}
	if seen[partlyRead] { // contents belong together: they are written back together, instead of the fields
		for _, c := range children(n, "content") {
			i.Extra = append(i.Extra, keep(c, "item"))
		}
	}
	return i
}

// partlyRead marks an item with a content that the fields cannot hold.
const partlyRead = "content partly read"

func readContent(i *Item, n *xmltree.Node) bool {
	for c := range n.Elements() {
		switch c.Local() {
		case "medicinalproduct":
			if i.Medicine != nil {
				return false
			}
			i.Medicine = readMedicine(c)
		case "substanceproduct":
			if i.Group != nil {
				return false
			}
			i.Group = readGroup(c)
		case "compoundprescription":
			if i.Magistral != nil {
				return false
			}
			m, whole := readMagistral(c)
			if i.Magistral = m; !whole {
				return false
			}
		case "cd":
			if attr(c, "S") != "LOCAL" || attr(c, "SL") != "SAMPROOF" || !i.Proof.IsZero() {
				return false
			}
			i.Proof = hidden(c)
		default:
			return false
		}
	}
	return true
}

func readMedicine(n *xmltree.Node) *Medicine {
	m := &Medicine{Name: hidden(child(n, "intendedname")), Delivered: hidden(child(n, "deliveredname"))}
	for _, cd := range children(n, "intendedcd") {
		code := Code{attr(cd, "S"), attr(cd, "SV"), Hide(clean(cd))}
		cnk, err := identity.ParseCNKLenient(clean(cd))
		if err != nil || code.System != "CD-DRUG-CNK" || !m.CNK.IsZero() {
			m.Codes = append(m.Codes, code)
			continue
		}
		m.Origin = Origin(code.Version)
		if cnk.Reveal() != noCNK {
			m.CNK = cnk
		}
	}
	return m
}

func readGroup(n *xmltree.Node) *Group {
	cd := child(n, "intendedcd")
	return &Group{
		Kind:      GroupKind(attr(cd, "S")),
		Code:      Hide(clean(cd)),
		Origin:    Origin(attr(cd, "SV")),
		Name:      hidden(child(n, "intendedname")),
		Delivered: hidden(child(n, "deliveredname")),
	}
}

// readMagistral also takes the text that older documents put straight into the element.
func readMagistral(n *xmltree.Node) (m *Magistral, whole bool) {
	m = &Magistral{}
	whole = true
	for c := range n.Elements() {
		switch c.Local() {
		case "magistraltext":
			m.Text = readText(c)
		case "formularyreference":
			cds := children(c, "cd")
			if len(cds) != 1 || child(c, "formularyname") != nil {
				whole = false
				continue
			}
			m.Formulary = &Formulary{Hide(clean(cds[0])), Hide(attr(cds[0], "DN")), attr(cds[0], "L")}
		case "compound":
			x, ok := readCompound(c)
			m.Compounds = append(m.Compounds, x)
			whole = whole && ok
		case "galenicform":
			m.Form = readText(child(c, "galenicformtext"))
			whole = whole && child(c, "cd") == nil
		default:
			whole = false
		}
	}
	if m.Text.IsZero() && clean(n) != "" {
		m.Text = Text{attr(n, "L"), Hide(clean(n))}
		whole = false
	}
	return m, whole
}

func readCompound(n *xmltree.Node) (c Compound, whole bool) {
	whole = child(n, "id") == nil
	c.Substance = hidden(down(n, "substance", "substancename"))
	if cd := down(n, "substance", "cd"); cd != nil {
		c.Substance, whole = Hide(clean(cd)), false
	}
	if m := child(n, "medicinalproduct"); m != nil {
		c.Medicine = readMedicine(m)
	}
	c.Prefix = clean(down(n, "quantityprefix", "cd"))
	if q := child(n, "quantity"); q != nil {
		ok := false
		c.Quantity, ok = readQuantity(q)
		whole = whole && ok
	}
	return c, whole
}

func readText(n *xmltree.Node) Text {
	if n == nil {
		return Text{}
	}
	return Text{attr(n, "L"), hidden(n)}
}

// readQuantity refuses units of other tables than CD-UNIT.
func readQuantity(n *xmltree.Node) (Quantity, bool) {
	cd := down(n, "unit", "cd")
	q := Quantity{Decimal(clean(child(n, "decimal"))), clean(cd)}
	return q, q.Value != "" && (cd == nil || attr(cd, "S") == "CD-UNIT")
}

func readDuration(n *xmltree.Node) (Duration, bool) {
	cd := down(n, "unit", "cd")
	d := Duration{Decimal(clean(child(n, "decimal"))), TimeUnit(clean(cd))}
	return d, d.Value != "" && cd != nil && attr(cd, "S") == "CD-TIMEUNIT"
}

func readPosology(i *Item, n *xmltree.Node) bool {
	i.Posology = readText(child(n, "text"))
	return child(n, "text") != nil
}

func readFrequency(i *Item, n *xmltree.Node) bool {
	i.Periodicity = clean(down(n, "periodicity", "cd"))
	return i.Periodicity != ""
}

func readSubstitution(i *Item, n *xmltree.Node) bool {
	switch clean(n) {
	case "true", "1":
		i.Substitution = SubstitutionAllowed
	case "false", "0":
		i.Substitution = SubstitutionForbidden
	default:
		return false
	}
	return true
}

func readRenewal(n *xmltree.Node) (r Renewal, ok bool) {
	r.Times, r.Text, ok = Decimal(clean(child(n, "decimal"))), readText(child(n, "text")), true
	if d := child(n, "duration"); d != nil {
		r.Interval, ok = readDuration(d)
	}
	return r, ok && !r.IsZero()
}

// readRegimen cuts the flat list of children into lines: a quantity ends one.
func readRegimen(n *xmltree.Node) (all []Intake, ok bool) {
	var i Intake
	for c := range n.Elements() {
		switch c.Local() {
		case "daynumber":
			number, err := strconv.Atoi(clean(c))
			if err != nil {
				return nil, false
			}
			i.DayNumber = number
		case "date":
			i.Date = readDay(c)
		case "weekday":
			if child(c, "weeknumber") != nil {
				return nil, false
			}
			i.Weekday = clean(child(c, "cd"))
		case "daytime":
			i.Time, i.Period = clean(child(c, "time")), DayPeriod(clean(down(c, "dayperiod", "cd")))
		case "quantity":
			i.Amount, i.Unit = Decimal(clean(child(c, "decimal"))), clean(down(c, "unit", "cd"))
			all = append(all, i)
			i = Intake{}
		default:
			return nil, false
		}
	}
	return all, len(all) > 0
}
