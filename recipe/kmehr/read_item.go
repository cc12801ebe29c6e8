package kmehr

import (
	"regexp"
	"strconv"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// itemReaders read the children of an item into its fields, as far as they go.
var itemReaders = map[string]func(*Item, *xmltree.Node){
	"content":     readContent,
	"text":        func(i *Item, n *xmltree.Node) { i.Notes = append(i.Notes, readText(n)) },
	"beginmoment": func(i *Item, n *xmltree.Node) { i.Begin = readMoment(n) },
	"endmoment":   func(i *Item, n *xmltree.Node) { i.End = readMoment(n) },
	"temporality": func(i *Item, n *xmltree.Node) { i.Temporality = Temporality(clean(child(n, "cd"))) },
	"quantity":    func(i *Item, n *xmltree.Node) { i.Quantity = readQuantity(n) },
	"frequency":   func(i *Item, n *xmltree.Node) { i.Periodicity = clean(down(n, "periodicity", "cd")) },
	"dayperiod":   func(i *Item, n *xmltree.Node) { i.DayPeriods = append(i.DayPeriods, DayPeriod(clean(child(n, "cd")))) },
	"duration":    func(i *Item, n *xmltree.Node) { i.Duration = readDuration(n) },
	"posology":    func(i *Item, n *xmltree.Node) { i.Posology = readText(child(n, "text")) },
	"regimen":     func(i *Item, n *xmltree.Node) { i.Regimen = readRegimen(n) },
	"renewal":     func(i *Item, n *xmltree.Node) { i.Renewal = readRenewal(n) },
	"route":       func(i *Item, n *xmltree.Node) { i.Route = clean(child(n, "cd")) },

	"instructionforpatient":       func(i *Item, n *xmltree.Node) { i.ForPatient = readText(n) },
	"instructionforreimbursement": func(i *Item, n *xmltree.Node) { i.ForReimbursement = readText(n) },
	"instructionforoverdosing":    func(i *Item, n *xmltree.Node) { i.ForOverdosing = readText(n) },
	"issubstitutionallowed":       func(i *Item, n *xmltree.Node) { i.Substitution = readSubstitution(n) },
}

// fixed are the children of an item that are the same in every prescription.
var fixed = map[string]bool{"id": true, "cd": true, "lifecycle": true}

func readItem(p *Prescription, n *xmltree.Node) Item {
	var i Item
	groups := map[string][]*xmltree.Node{}
	var names []string
	for c := range n.Elements() {
		name := c.Local()
		if groups[name] == nil {
			names = append(names, name)
		}
		// Of what can stand only once the first counts.
		if read := itemReaders[name]; read != nil && (groups[name] == nil || !schema["item"].single[name]) {
			read(&i, c)
		}
		groups[name] = append(groups[name], c)
	}
	var extra []Element
	for _, name := range names {
		if fixed[name] {
			continue
		}
		was := ""
		if itemReaders[name] != nil {
			if was = render(p, &i, itemWriters[name]); sameBut(was, groups[name]) {
				continue
			}
		}
		for _, c := range groups[name] {
			e := keep(c, "item")
			e.was = Hide(was)
			extra = append(extra, e)
		}
	}
	i.Extra = extra
	return i
}

var reVersion = regexp.MustCompile(` SV="[^"]*"`)

// sameBut tells that the elements say no more than what the fields write, but for the versions of the code tables: those of a
// new document are its own.
func sameBut(written string, read []*xmltree.Node) bool {
	w := xmltree.NewWriter()
	w.Start("", "item")
	w.NS("", Namespace)
	for _, n := range read {
		copyNode(w, n)
	}
	w.End()
	xml, err := w.Bytes()
	return err == nil && reVersion.ReplaceAllString(written, "") == reVersion.ReplaceAllString(string(xml), "")
}

func readContent(i *Item, n *xmltree.Node) {
	for c := range n.Elements() {
		switch name := c.Local(); {
		case name == "medicinalproduct" && i.Medicine == nil:
			i.Medicine = readMedicine(c)
		case name == "substanceproduct" && i.Group == nil:
			i.Group = readGroup(c)
		case name == "compoundprescription" && i.Magistral == nil:
			i.Magistral = readMagistral(c)
		case name == "cd" && attr(c, "S") == "LOCAL" && attr(c, "SL") == "SAMPROOF" && i.Proof.IsZero():
			i.Proof = hidden(c)
		}
	}
}

func readMedicine(n *xmltree.Node) *Medicine {
	m := &Medicine{Name: hidden(child(n, "intendedname")), Delivered: hidden(child(n, "deliveredname"))}
	found := false
	for _, cd := range children(n, "intendedcd") {
		code := Code{attr(cd, "S"), attr(cd, "SV"), Hide(clean(cd))}
		cnk, err := identity.ParseCNKLenient(clean(cd))
		if err != nil || code.System != "CD-DRUG-CNK" || found {
			m.Codes = append(m.Codes, code)
			continue
		}
		found, m.Origin = true, Origin(code.Version)
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

// readMagistral also takes the text that some documents put straight into the element.
func readMagistral(n *xmltree.Node) *Magistral {
	m := &Magistral{
		Text: readText(child(n, "magistraltext")),
		Form: readText(down(n, "galenicform", "galenicformtext")),
	}
	if cd := down(n, "formularyreference", "cd"); cd != nil {
		m.Formulary = &Formulary{Hide(clean(cd)), Hide(attr(cd, "DN")), attr(cd, "L")}
	}
	for _, c := range children(n, "compound") {
		m.Compounds = append(m.Compounds, readCompound(c))
	}
	if m.Text.IsZero() && m.Formulary == nil && m.Compounds == nil && clean(n) != "" {
		m.Text = Text{attr(n, "L"), Hide(clean(n))}
	}
	return m
}

func readCompound(n *xmltree.Node) Compound {
	c := Compound{
		Substance: hidden(down(n, "substance", "substancename")),
		Prefix:    clean(down(n, "quantityprefix", "cd")),
		Quantity:  readQuantity(child(n, "quantity")),
	}
	if cd := down(n, "substance", "cd"); cd != nil {
		c.Substance = Hide(clean(cd))
	}
	if m := child(n, "medicinalproduct"); m != nil {
		c.Medicine = readMedicine(m)
	}
	return c
}

func readText(n *xmltree.Node) Text {
	if n == nil {
		return Text{}
	}
	return Text{attr(n, "L"), hidden(n)}
}

func readQuantity(n *xmltree.Node) Quantity {
	return Quantity{Decimal(clean(child(n, "decimal"))), clean(down(n, "unit", "cd"))}
}

func readDuration(n *xmltree.Node) Duration {
	return Duration{Decimal(clean(child(n, "decimal"))), TimeUnit(clean(down(n, "unit", "cd")))}
}

func readSubstitution(n *xmltree.Node) Substitution {
	switch clean(n) {
	case "true", "1":
		return SubstitutionAllowed
	case "false", "0":
		return SubstitutionForbidden
	}
	return SubstitutionUnsaid
}

func readRenewal(n *xmltree.Node) Renewal {
	return Renewal{
		Times:    Decimal(clean(child(n, "decimal"))),
		Interval: readDuration(child(n, "duration")),
		Text:     readText(child(n, "text")),
	}
}

// readRegimen cuts the flat list of children into lines: a quantity ends one.
func readRegimen(n *xmltree.Node) (all []Intake) {
	var i Intake
	for c := range n.Elements() {
		switch c.Local() {
		case "daynumber":
			number, err := strconv.Atoi(clean(c))
			if err == nil { // otherwise the element is kept as it is
				i.DayNumber = number
			}
		case "date":
			i.Date = readDay(c)
		case "weekday":
			i.Weekday = clean(child(c, "cd"))
		case "daytime":
			i.Time, i.Period = clean(child(c, "time")), DayPeriod(clean(down(c, "dayperiod", "cd")))
		case "quantity":
			i.Amount, i.Unit = Decimal(clean(child(c, "decimal"))), clean(down(c, "unit", "cd"))
			all = append(all, i)
			i = Intake{}
		}
	}
	return all
}
