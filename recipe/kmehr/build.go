package kmehr

import (
	"strconv"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Versions of code tables that the assert rules fix (dossier 04 section 12.3).
const (
	svHCParty     = "1.15"
	svAddress     = "1.1"
	svTelecom     = "1.0"
	svTransaction = "1.13"
	svHeading     = "1.2"
	svItem        = "1.11"
	svLifecycle   = "1.9"
	svPeriodicity = "1.1"
	svCountry     = "1.2"
	svSex         = "1.1"
)

// Versions of code tables that neither schema nor rules fix.
const (
	svTimeUnit = "2.1"
	svRoute    = "2.0"
	svUnit     = "1.0" // also of administration units, day periods, week days, prefixes
)

type builder struct {
	*xmltree.Writer
	p          *Prescription
	day, clock string // of p.Created
	item       *Item  // the one being written
	number     string // of item
}

// build writes the document, child after child in the order of the schema, with what was read and has no field in between.
func build(p *Prescription) ([]byte, error) {
	b := &builder{Writer: xmltree.NewWriter(), p: p}
	b.day, b.clock, _ = strings.Cut(p.Created.Format(time.DateTime), " ")
	b.Start("", "kmehrmessage")
	b.NS("", Namespace)
	b.header()
	b.folder()
	b.End()
	return b.Bytes()
}

// layout is how the children of an element come in the order of the schema.
type layout struct {
	name string
	kids []kid
}

// kid is one of them; write is nil when no field is about it.
type kid struct {
	name  string
	write func(*builder)
}

func layOut(name, typ string, writers map[string]func(*builder)) *layout {
	l := &layout{name: name}
	for _, child := range schema[typ].order {
		l.kids = append(l.kids, kid{child, writers[child]})
	}
	return l
}

// container writes an element whose children come in schema order: those of the fields, and those that were read.
func (b *builder) container(l *layout, extra []Element) {
	b.Start("", l.name)
	for k := range l.kids {
		b.child(l.name, &l.kids[k], extra)
	}
	b.End()
}

// child writes what its field says, unless that is what was read: then the elements as they were.
func (b *builder) child(under string, c *kid, extra []Element) {
	first := true
	for k := range extra {
		e := &extra[k]
		if e.under != under || e.name != c.name {
			continue
		}
		if first && c.write != nil && b.changed(under, c, e) {
			break
		}
		first = false
		b.Raw([]byte(e.xml.Reveal()))
	}
	if first && c.write != nil {
		c.write(b)
	}
}

// changed tells that a field says something else than when the element was read.
func (b *builder) changed(under string, c *kid, e *Element) bool {
	return under != "item" || Hide(render(b.p, b.item, c.write)) != e.was
}

func (b *builder) code(name, system, version, value string) {
	b.Start("", name)
	b.Attr("", "S", system)
	b.Attr("", "SV", version)
	b.Text(value)
	b.End()
}

func (b *builder) cd(system, version, value string) { b.code("cd", system, version, value) }

func (b *builder) id(system, value string) { b.code("id", system, "1.0", value) }

// wrapped is an element around one code.
func (b *builder) wrapped(name, system, version, value string) {
	if value == "" {
		return
	}
	b.Start("", name)
	b.cd(system, version, value)
	b.End()
}

func (b *builder) text(name string, t Text) {
	if t.IsZero() {
		return
	}
	b.Start("", name)
	b.Attr("", "L", t.Lang)
	b.Text(t.Text.Reveal())
	b.End()
}

func (b *builder) optional(name, value string) {
	if value != "" {
		b.Leaf("", name, value)
	}
}

func (b *builder) date() { b.Leaf("", "date", b.day) }
func (b *builder) time() { b.Leaf("", "time", b.clock) }

var headerLayout = layOut("header", "header", map[string]func(*builder){
	"standard":       func(b *builder) { b.wrapped("standard", "CD-STANDARD", StandardVersion, Standard) },
	"id":             (*builder).headerIDs,
	"date":           (*builder).date,
	"time":           (*builder).time,
	"sender":         (*builder).sender,
	"recipient":      (*builder).recipient,
	"externalsource": (*builder).source,
})

func (b *builder) header() { b.container(headerLayout, b.p.Extra) }

func (b *builder) headerIDs() {
	b.id("ID-KMEHR", b.p.ID.Reveal())
	b.Start("", "id")
	b.Attr("", "S", "LOCAL")
	b.Attr("", "SL", b.p.Software.Name)
	b.Attr("", "SV", b.p.Software.Version)
	b.Text(b.p.LocalID.Reveal())
	b.End()
}

func (b *builder) sender() {
	b.Start("", "sender")
	b.Start("", "hcparty")
	if h := b.p.Hospital; h != nil {
		b.id("ID-HCPARTY", h.NIHII.Full())
		b.cd("CD-HCPARTY", svHCParty, "orghospital")
		b.Leaf("", "name", h.Name.Reveal())
	} else {
		b.authorNames()
	}
	b.End()
	b.Start("", "hcparty")
	b.cd("CD-HCPARTY", svHCParty, "application")
	b.Leaf("", "name", b.p.Software.Name)
	b.telecom("phone", b.p.Software.Phone)
	b.telecom("email", b.p.Software.Email)
	b.End()
	b.End()
}

func (b *builder) authorNames() {
	a := b.p.Author
	b.id("ID-HCPARTY", a.NIHII.Full())
	b.cd("CD-HCPARTY", svHCParty, string(a.Profession))
	if a.FamilyName.IsZero() {
		b.Leaf("", "name", a.Name.Reveal())
		return
	}
	b.Leaf("", "firstname", a.FirstName.Reveal())
	b.Leaf("", "familyname", a.FamilyName.Reveal())
}

func (b *builder) telecom(kind, number string) {
	b.Start("", "telecom")
	b.cd("CD-ADDRESS", svAddress, "work")
	b.cd("CD-TELECOM", svTelecom, kind)
	b.Leaf("", "telecomnumber", number)
	b.End()
}

func (b *builder) recipient() {
	b.Start("", "recipient")
	b.Start("", "hcparty")
	b.id("ID-HCPARTY", "RECIPE")
	b.cd("CD-HCPARTY", svHCParty, "orgpublichealth")
	b.Leaf("", "name", "Recip-e")
	b.End()
	b.End()
}

func (b *builder) source() {
	b.Start("", "externalsource")
	b.Start("", "source")
	b.cd("CD-EXTERNALSOURCE", "1.0", b.p.Source.Name)
	b.Leaf("", "version", b.p.Source.Version)
	b.End()
	b.End()
}

var folderLayout = layOut("folder", "folder", map[string]func(*builder){
	"id":          func(b *builder) { b.id("ID-KMEHR", "1") },
	"patient":     (*builder).patient,
	"transaction": (*builder).transaction,
})

func (b *builder) folder() { b.container(folderLayout, b.p.Extra) }

var patientLayout = layOut("patient", "person", map[string]func(*builder){
	"id":         func(b *builder) { b.id("ID-PATIENT", b.p.Patient.SSIN.Reveal()) },
	"firstname":  func(b *builder) { b.Leaf("", "firstname", b.p.Patient.FirstName.Reveal()) },
	"familyname": func(b *builder) { b.Leaf("", "familyname", b.p.Patient.FamilyName.Reveal()) },
	"birthdate": func(b *builder) {
		b.Start("", "birthdate")
		b.Leaf("", dayElement(b.p.Patient.Birth), b.p.Patient.Birth.Reveal())
		b.End()
	},
	"sex": func(b *builder) { b.wrapped("sex", "CD-SEX", svSex, string(b.p.Patient.Sex)) },
})

func (b *builder) patient() { b.container(patientLayout, b.p.Extra) }

// dayElement is the name under which a day of that precision is written.
func dayElement(d Day) string {
	switch _, month, day := d.Date(); {
	case month == 0:
		return "year"
	case day == 0:
		return "yearmonth"
	}
	return "date"
}

var transactionLayout = layOut("transaction", "transaction", map[string]func(*builder){
	"id":     func(b *builder) { b.id("ID-KMEHR", "1") },
	"cd":     func(b *builder) { b.cd("CD-TRANSACTION", svTransaction, "pharmaceuticalprescription") },
	"date":   (*builder).date,
	"time":   (*builder).time,
	"author": (*builder).author,

	"iscomplete":     func(b *builder) { b.Leaf("", "iscomplete", "true") },
	"isvalidated":    func(b *builder) { b.Leaf("", "isvalidated", "true") },
	"expirationdate": func(b *builder) { b.Leaf("", "expirationdate", b.p.Expires.Reveal()) },
	"heading":        (*builder).heading,
})

func (b *builder) transaction() { b.container(transactionLayout, b.p.Extra) }

func (b *builder) author() {
	a := b.p.Author
	b.Start("", "author")
	b.Start("", "hcparty")
	b.authorNames()
	b.Start("", "address")
	b.cd("CD-ADDRESS", svAddress, "work")
	b.wrapped("country", "CD-FED-COUNTRY", svCountry, a.Address.Country)
	b.optional("zip", a.Address.Zip.Reveal())
	b.optional("city", a.Address.City.Reveal())
	b.optional("street", a.Address.Street.Reveal())
	b.optional("housenumber", a.Address.Number.Reveal())
	b.optional("postboxnumber", a.Address.Box.Reveal())
	b.End()
	b.telecom("phone", a.Phone.Reveal())
	b.End()
	b.End()
}

func (b *builder) heading() {
	b.Start("", "heading")
	b.id("ID-KMEHR", "1")
	b.cd("CD-HEADING", svHeading, "prescription")
	for k := range b.p.Items {
		b.item, b.number = &b.p.Items[k], strconv.Itoa(k+1)
		b.container(itemLayout, b.item.Extra)
	}
	b.End()
}
