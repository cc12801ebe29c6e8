package kmehr

import (
	"strings"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// read fills the fields of a prescription from a document, whatever its state.
func read(root *xmltree.Node) Prescription {
	header, folder := child(root, "header"), child(root, "folder")
	transaction := child(folder, "transaction")
	p := Prescription{
		Author:  readAuthor(down(transaction, "author", "hcparty")),
		Patient: readPatient(child(folder, "patient")),
		Expires: readDay(child(transaction, "expirationdate")),
		Created: readInstant(clean(child(transaction, "date")), clean(child(transaction, "time"))),
	}
	for _, id := range children(header, "id") {
		switch {
		case attr(id, "S") == "ID-KMEHR" && p.ID.IsZero():
			p.ID = Hide(clean(id))
		case attr(id, "S") == "LOCAL" && p.LocalID.IsZero():
			p.LocalID = Hide(clean(id))
			p.Software.Name, p.Software.Version = attr(id, "SL"), attr(id, "SV")
		}
	}
	readSender(&p, child(header, "sender"))
	source := down(header, "externalsource", "source")
	p.Source = Source{clean(child(source, "cd")), clean(child(source, "version"))}
	readItems(&p, transaction)
	p.Extra = extras(header, "header", "standard", "id", "date", "time", "sender", "recipient", "externalsource")
	p.Extra = append(p.Extra, extras(folder, "folder", "id", "patient", "transaction")...)
	p.Extra = append(p.Extra, extras(child(folder, "patient"), "patient", "id", "firstname", "familyname", "birthdate", "sex")...)
	p.Extra = append(p.Extra, extras(transaction, "transaction", "id", "cd", "date", "time", "author", "iscomplete", "isvalidated",
		"expirationdate", "heading", "item")...)
	return p
}

// readItems reads all items, in whatever heading they stand, or in none: there may be one heading only, and who gets a document
// that has more must not miss a medicine.
func readItems(p *Prescription, n *xmltree.Node) {
	for c := range n.Elements() {
		switch c.Local() {
		case "item":
			p.Items = append(p.Items, readItem(p, c))
		case "heading":
			readItems(p, c)
		}
	}
}

// extras keeps the children of n that have no field.
func extras(n *xmltree.Node, under string, known ...string) []Element {
	if n == nil {
		return nil
	}
	var all []Element
next:
	for c := range n.Elements() {
		for _, name := range known {
			if c.Local() == name {
				continue next
			}
		}
		all = append(all, keep(c, under))
	}
	return all
}

// keep writes an element anew, so that it stands for itself wherever it is put back.
func keep(n *xmltree.Node, under string) Element {
	w := xmltree.NewWriter()
	copyNode(w, n)
	xml, err := w.Bytes()
	if err != nil {
		// What was parsed can be written; if that should ever fail, the element is named and Write refuses it.
		return Element{under: under, name: n.Local()}
	}
	return Element{under: under, name: n.Local(), xml: Hide(string(xml))}
}

// copyNode leaves out blanks between elements, and prefixes of KMEHR's own elements.
func copyNode(w *xmltree.Writer, n *xmltree.Node) {
	prefix := n.Prefix()
	if n.Space() == Namespace {
		prefix = ""
	}
	w.Start(prefix, n.Local())
	w.NS(prefix, n.Space())
	for _, a := range n.Attrs() {
		if a.Prefix != "" && a.Prefix != "xml" {
			w.NS(a.Prefix, a.Space)
		}
	}
	leaf := true
	for range n.Elements() {
		leaf = false
	}
	for _, a := range n.Attrs() {
		w.Attr(a.Prefix, a.Local, a.Value)
	}
	for c := range n.Children() {
		switch {
		case c.Kind() == xmltree.Element:
			copyNode(w, c)
		case c.Kind() == xmltree.Text && (leaf || strings.Trim(c.Data(), " \t\r\n") != ""):
			w.Text(c.Data())
		}
	}
	w.End()
}

func readDay(n *xmltree.Node) Day {
	d, err := ParseDay(clean(n))
	if err != nil {
		return Day{} // absent: Structure names the place
	}
	return d
}

// readMoment reads the day of a moment, the zero Day when it has none.
func readMoment(n *xmltree.Node) Day {
	for c := range n.Elements() {
		switch c.Local() {
		case "date", "yearmonth", "year":
			return readDay(c)
		}
	}
	return Day{}
}

func readAuthor(n *xmltree.Node) Author {
	a := Author{
		Profession: Profession(clean(child(n, "cd"))),
		FirstName:  hidden(child(n, "firstname")),
		FamilyName: hidden(child(n, "familyname")),
		Name:       hidden(child(n, "name")),
	}
	a.NIHII = readNIHII(of(n, "id", "ID-HCPARTY"))
	ad := child(n, "address")
	a.Address = Address{
		Country: clean(down(ad, "country", "cd")),
		Zip:     hidden(child(ad, "zip")),
		City:    hidden(child(ad, "city")),
		Street:  hidden(child(ad, "street")),
		Number:  hidden(child(ad, "housenumber")),
		Box:     hidden(child(ad, "postboxnumber")),
	}
	a.Phone = Hide(telecom(n, "phone"))
	return a
}

// of is the first child of that name from a table, nil when there is none.
func of(n *xmltree.Node, local, table string) *xmltree.Node {
	for _, c := range children(n, local) {
		if attr(c, "S") == table {
			return c
		}
	}
	return nil
}

func readNIHII(n *xmltree.Node) identity.NIHII {
	v, err := identity.ParseNIHIILenient(clean(n))
	if err != nil {
		return identity.NIHII{} // absent: the rules about the author name the place
	}
	return v
}

// telecom returns the number of the first telecom of that kind.
func telecom(n *xmltree.Node, kind string) string {
	for _, t := range children(n, "telecom") {
		for _, cd := range children(t, "cd") {
			if attr(cd, "S") == "CD-TELECOM" && clean(cd) == kind {
				return clean(child(t, "telecomnumber"))
			}
		}
	}
	return ""
}

func readSender(p *Prescription, sender *xmltree.Node) {
	for _, party := range children(sender, "hcparty") {
		switch clean(of(party, "cd", "CD-HCPARTY")) {
		case "orghospital":
			p.Hospital = &Hospital{Name: hidden(child(party, "name")), NIHII: readNIHII(of(party, "id", "ID-HCPARTY"))}
		case "application":
			if name := clean(child(party, "name")); name != "" {
				p.Software.Name = name
			}
			p.Software.Phone, p.Software.Email = telecom(party, "phone"), telecom(party, "email")
		}
	}
}

func readPatient(n *xmltree.Node) Patient {
	p := Patient{FamilyName: hidden(child(n, "familyname")), Sex: Sex(clean(down(n, "sex", "cd")))}
	for _, id := range children(n, "id") {
		if s := attr(id, "S"); s == "ID-PATIENT" || s == "INSS" {
			ssin, err := identity.ParseSSINLenient(clean(id))
			if err == nil && p.SSIN.IsZero() {
				p.SSIN = ssin
			}
		}
	}
	var first []string
	for _, f := range children(n, "firstname") {
		first = append(first, ownText(f))
	}
	p.FirstName = Hide(strings.Join(first, " "))
	p.Birth = readMoment(child(n, "birthdate"))
	return p
}
