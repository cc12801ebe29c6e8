package kmehr

import (
	"strconv"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// itemWriters write the children of an item that have a field.
var itemWriters = map[string]func(*builder){
	"id":          func(b *builder) { b.id("ID-KMEHR", b.number) },
	"cd":          func(b *builder) { b.cd("CD-ITEM", svItem, "medication") },
	"content":     func(b *builder) { b.contents(b.item) },
	"text":        func(b *builder) { b.notes(b.item.Notes) },
	"beginmoment": func(b *builder) { b.begin(b.item.Begin) },
	"endmoment":   func(b *builder) { b.moment("endmoment", b.item.End) },
	"lifecycle":   func(b *builder) { b.wrapped("lifecycle", "CD-LIFECYCLE", svLifecycle, "prescribed") },
	"temporality": func(b *builder) { b.wrapped("temporality", "CD-TEMPORALITY", "1.0", string(b.item.Temporality)) },
	"quantity":    func(b *builder) { b.quantity(b.item.Quantity) },
	"frequency":   func(b *builder) { b.frequency(b.item.Periodicity) },
	"dayperiod":   func(b *builder) { b.dayPeriods(b.item.DayPeriods) },
	"duration":    func(b *builder) { b.duration(b.item.Duration) },
	"posology":    func(b *builder) { b.posology(b.item.Posology) },
	"regimen":     func(b *builder) { b.regimen(b.item.Regimen) },
	"renewal":     func(b *builder) { b.renewal(b.item.Renewal) },
	"route":       func(b *builder) { b.wrapped("route", "CD-DRUG-ROUTE", svRoute, b.item.Route) },

	"instructionforoverdosing":    func(b *builder) { b.text("instructionforoverdosing", b.item.ForOverdosing) },
	"instructionforpatient":       func(b *builder) { b.text("instructionforpatient", b.item.ForPatient) },
	"instructionforreimbursement": func(b *builder) { b.text("instructionforreimbursement", b.item.ForReimbursement) },
	"issubstitutionallowed":       func(b *builder) { b.substitution(b.item.Substitution) },
}

var itemLayout = layOut("item", "item", itemWriters)

// render returns what one field of an item writes, within an element of no meaning; "" when it cannot be written.
func render(p *Prescription, i *Item, write func(*builder)) string {
	b := &builder{Writer: xmltree.NewWriter(), p: p, item: i, number: "1"}
	b.Start("", "item")
	b.NS("", Namespace)
	write(b)
	b.End()
	xml, err := b.Bytes()
	if err != nil {
		return ""
	}
	return string(xml)
}

func (b *builder) contents(i *Item) {
	b.Start("", "content")
	switch {
	case i.Medicine != nil:
		b.medicine(i.Medicine)
	case i.Group != nil:
		b.group(i.Group)
	case i.Magistral != nil:
		b.magistral(i.Magistral)
	}
	b.End()
	if i.Proof.IsZero() {
		return
	}
	b.Start("", "content")
	b.Start("", "cd")
	b.Attr("", "S", "LOCAL")
	b.Attr("", "SV", "1.0")
	b.Attr("", "SL", "SAMPROOF")
	b.Text(i.Proof.Reveal())
	b.End()
	b.End()
}

func (b *builder) medicine(m *Medicine) {
	cnk, origin := m.CNK.Reveal(), m.Origin
	switch {
	case cnk == "" || cnk == noCNK:
		cnk, origin = noCNK, FromLocal
	case origin == "":
		origin = FromSAM
	}
	b.Start("", "medicinalproduct")
	b.code("intendedcd", "CD-DRUG-CNK", string(origin), cnk)
	b.Leaf("", "intendedname", m.Name.Reveal())
	b.End()
}

// noCNK is written for a product without a code, from no database but the local one.
const noCNK = "0000000"

func (b *builder) group(g *Group) {
	kind, origin := g.Kind, g.Origin
	if kind == "" {
		kind = VMPGroup
	}
	if origin == "" {
		origin = FromSAM
	}
	b.Start("", "substanceproduct")
	b.code("intendedcd", string(kind), string(origin), g.Code.Reveal())
	b.Leaf("", "intendedname", g.Name.Reveal())
	b.End()
}

func (b *builder) magistral(m *Magistral) {
	b.Start("", "compoundprescription")
	for k := range m.Compounds {
		b.compound(&m.Compounds[k])
	}
	if f := m.Formulary; f != nil {
		b.Start("", "formularyreference")
		b.Start("", "cd")
		b.Attr("", "S", "CD-FORMULARYREFERENCE")
		b.Attr("", "SV", "1.0")
		b.Attr("", "DN", f.Name.Reveal())
		b.Attr("", "L", f.Lang)
		b.Text(f.Code.Reveal())
		b.End()
		b.End()
	}
	b.text("magistraltext", m.Text)
	if !m.Form.IsZero() {
		b.Start("", "galenicform")
		b.text("galenicformtext", m.Form)
		b.End()
	}
	b.End()
}

func (b *builder) compound(c *Compound) {
	b.Start("", "compound")
	if c.Medicine != nil {
		b.medicine(c.Medicine)
	} else {
		b.Start("", "substance")
		b.Leaf("", "substancename", c.Substance.Reveal())
		b.End()
	}
	b.wrapped("quantityprefix", "CD-QUANTITYPREFIX", svUnit, c.Prefix)
	b.quantity(c.Quantity)
	b.End()
}

func (b *builder) notes(all []Text) {
	for _, t := range all {
		b.text("text", t)
	}
}

func (b *builder) begin(d Day) {
	if d.IsZero() {
		d = DayOf(b.p.Created)
	}
	b.moment("beginmoment", d)
}

func (b *builder) moment(name string, d Day) {
	if d.IsZero() {
		return
	}
	b.Start("", name)
	b.Leaf("", dayElement(d), d.Reveal())
	b.End()
}

func (b *builder) quantity(q Quantity) {
	if q.Value == "" {
		return
	}
	b.Start("", "quantity")
	b.Leaf("", "decimal", string(q.Value))
	b.wrapped("unit", "CD-UNIT", svUnit, q.Unit)
	b.End()
}

func (b *builder) frequency(code string) {
	if code == "" {
		return
	}
	b.Start("", "frequency")
	b.wrapped("periodicity", "CD-PERIODICITY", svPeriodicity, code)
	b.End()
}

func (b *builder) dayPeriods(all []DayPeriod) {
	for _, p := range all {
		b.wrapped("dayperiod", "CD-DAYPERIOD", svUnit, string(p))
	}
}

func (b *builder) duration(d Duration) {
	if d.Value == "" {
		return
	}
	b.Start("", "duration")
	b.Leaf("", "decimal", string(d.Value))
	b.wrapped("unit", "CD-TIMEUNIT", svTimeUnit, string(d.Unit))
	b.End()
}

func (b *builder) posology(t Text) {
	b.Start("", "posology")
	b.text("text", t)
	b.End()
}

func (b *builder) regimen(all []Intake) {
	if len(all) == 0 {
		return
	}
	b.Start("", "regimen")
	for _, i := range all {
		switch {
		case i.DayNumber > 0:
			b.Leaf("", "daynumber", strconv.Itoa(i.DayNumber))
		case !i.Date.IsZero():
			b.Leaf("", "date", i.Date.Reveal())
		case i.Weekday != "":
			b.wrapped("weekday", "CD-WEEKDAY", svUnit, i.Weekday)
		}
		if i.Time != "" || i.Period != "" {
			b.Start("", "daytime")
			b.optional("time", i.Time)
			b.wrapped("dayperiod", "CD-DAYPERIOD", svUnit, string(i.Period))
			b.End()
		}
		b.Start("", "quantity")
		b.Leaf("", "decimal", string(i.Amount))
		b.wrapped("unit", "CD-ADMINISTRATIONUNIT", svUnit, i.Unit)
		b.End()
	}
	b.End()
}

func (b *builder) renewal(r Renewal) {
	if r.IsZero() {
		return
	}
	b.Start("", "renewal")
	if r.Times != "" {
		b.Leaf("", "decimal", string(r.Times))
		b.duration(r.Interval)
	}
	b.text("text", r.Text)
	b.End()
}

func (b *builder) substitution(s Substitution) {
	switch s {
	case SubstitutionAllowed:
		b.Leaf("", "issubstitutionallowed", "true")
	case SubstitutionForbidden:
		b.Leaf("", "issubstitutionallowed", "false")
	}
}
