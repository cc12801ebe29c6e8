package kmehr

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// LineKind says what a Line is about.
type LineKind string

// The kinds of Line.
const (
	KindMedicine  LineKind = "medicine"
	KindGroup     LineKind = "group"
	KindMagistral LineKind = "magistral"
)

// Line is an item in a few words, for paper and for comparing what was prescribed with what was dispensed.
type Line struct {
	Number   int // from 1
	Kind     LineKind
	Code     Private // CNK, code of the group or of the formulary; empty when there is none
	Name     Private // name of the product or group, text or components of a preparation
	Quantity Private // such as "2" or "100 gm"; empty for a group
	Duration Private // such as "7 d"; empty when not given
	Posology Private
}

// SameProduct tells that both lines mean the same product or group: by code where both have one of the same kind, otherwise by
// kind and name.
func (l Line) SameProduct(o Line) bool {
	switch {
	case l.Kind != o.Kind:
		return false
	case !l.Code.IsZero() && !o.Code.IsZero():
		return l.Code == o.Code
	}
	return strings.EqualFold(strings.Join(strings.Fields(l.Name.Reveal()), " "), strings.Join(strings.Fields(o.Name.Reveal()), " "))
}

// SameQuantity tells that both lines mean the same quantity and duration.
func (l Line) SameQuantity(o Line) bool { return l.Quantity == o.Quantity && l.Duration == o.Duration }

const shownLine = "kmehr.Line(redacted)"

// Format writes the redacted form whatever the verb.
func (l Line) Format(f fmt.State, _ rune) { redact(f, shownLine) }

// LogValue returns the redacted form.
func (l Line) LogValue() slog.Value { return slog.StringValue(shownLine) }

// Summary returns one line for each item.
func (m *Message) Summary() []Line { return m.view().Summary() }

// Summary returns one line for each item.
func (p Prescription) Summary() []Line {
	lines := make([]Line, len(p.Items))
	for k := range p.Items {
		lines[k] = p.Items[k].line(k + 1)
	}
	return lines
}

func (i *Item) line(number int) Line {
	quantity, duration := i.amounts()
	l := Line{Number: number, Quantity: Hide(quantity), Duration: Hide(duration), Posology: i.Posology.Text}
	var code string
	l.Kind, code, l.Name = i.what()
	l.Code = Hide(code)
	return l
}

func (i *Item) amounts() (quantity, duration string) {
	return amount(string(i.Quantity.Value), i.Quantity.Unit), amount(string(i.Duration.Value), string(i.Duration.Unit))
}

func (i *Item) what() (kind LineKind, code string, name Private) {
	switch {
	case i.Medicine != nil:
		return KindMedicine, i.Medicine.CNK.Reveal(), i.Medicine.Name
	case i.Group != nil:
		return KindGroup, i.Group.Code.Reveal(), i.Group.Name
	case i.Magistral != nil:
		code, name = i.Magistral.line()
		return KindMagistral, code, name
	}
	return "", "", Private{}
}

func (m *Magistral) line() (code string, name Private) {
	switch {
	case m.Formulary != nil:
		return m.Formulary.Code.Reveal(), m.Formulary.Name
	case len(m.Compounds) == 0:
		return "", m.Text.Text
	}
	parts := make([]string, len(m.Compounds))
	for k, c := range m.Compounds {
		what := c.Substance.Reveal()
		if c.Medicine != nil {
			what = c.Medicine.Name.Reveal()
		}
		parts[k] = strings.TrimSpace(what + " " + strings.TrimSpace(c.Prefix+" "+amount(string(c.Quantity.Value), c.Quantity.Unit)))
	}
	return "", Hide(strings.Join(parts, "; "))
}

// amount joins a number, without needless zeros, and its unit.
func amount(value, unit string) string {
	if whole, part, pointed := strings.Cut(value, "."); pointed {
		value = strings.TrimSuffix(whole+"."+strings.TrimRight(part, "0"), ".")
	}
	if unit == "" {
		return strings.TrimSpace(value)
	}
	return strings.TrimSpace(value + " " + unit)
}

// Digest returns a SHA-256 of what is prescribed to whom by whom: patient, author and items, without the numbers of the
// document and without its times. Days of begin and end count from the day on which the prescription is made, so that leaving
// them out and writing that day is the same. The digest of a prescription is that of the document written from it.
func (p Prescription) Digest() [sha256.Size]byte {
	created := p.Created
	if created.IsZero() {
		created = time.Now()
	}
	d := &digest{make([]byte, 0, 1024), DayOf(created)}
	d.add("kmehr.Digest.1", p.Patient.SSIN.Reveal(), p.Author.NIHII.Full(), strconv.Itoa(len(p.Items)))
	for k := range p.Items {
		d.item(&p.Items[k])
	}
	return sha256.Sum256(d.content)
}

// Digest is that of the prescription in the document.
func (m *Message) Digest() [sha256.Size]byte { return m.view().Digest() }

type digest struct {
	content []byte
	created Day
}

// add writes each text behind its length, so that no two lists of texts look alike.
func (d *digest) add(texts ...string) {
	for _, s := range texts {
		d.content = append(binary.BigEndian.AppendUint64(d.content, uint64(len(s))), s...)
	}
}

func (d *digest) item(i *Item) {
	kind, code, name := i.what()
	quantity, duration := i.amounts()
	d.add(string(kind), code, name.Reveal(), quantity, duration, i.Proof.Reveal())
	switch {
	case i.Magistral != nil:
		d.text(i.Magistral.Form)
	case i.Group != nil && i.Group.Kind == INNCluster:
		d.add(string(INNCluster))
	}
	d.text(i.Posology)
	d.add(d.offset(i.Begin), d.offset(i.End), i.Periodicity, i.Route, string(i.Temporality), strconv.Itoa(int(i.Substitution)))
	d.add(strconv.Itoa(len(i.DayPeriods)))
	for _, p := range i.DayPeriods {
		d.add(string(p))
	}
	d.add(strconv.Itoa(len(i.Regimen)))
	for _, r := range i.Regimen {
		d.add(strconv.Itoa(r.DayNumber), d.offset(r.Date), r.Weekday, r.Time, string(r.Period), amount(string(r.Amount), r.Unit))
	}
	d.add(amount(string(i.Renewal.Times), ""), amount(string(i.Renewal.Interval.Value), string(i.Renewal.Interval.Unit)))
	for _, t := range []Text{i.Renewal.Text, i.ForPatient, i.ForReimbursement, i.ForOverdosing} {
		d.text(t)
	}
	d.add(strconv.Itoa(len(i.Notes)))
	for _, t := range i.Notes {
		d.text(t)
	}
	d.add(strconv.Itoa(len(i.Extra)))
	for _, e := range i.Extra {
		d.add(e.name, e.xml.Reveal())
	}
}

func (d *digest) text(t Text) { d.add(t.Lang, t.Text.Reveal()) }

// offset counts days from the day of creation; a day that is absent counts as that day.
func (d *digest) offset(to Day) string {
	if to.IsZero() {
		return "0"
	}
	days := to.value().first(time.UTC).Sub(d.created.value().first(time.UTC)) / (24 * time.Hour)
	return strconv.Itoa(int(days))
}
