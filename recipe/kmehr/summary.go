package kmehr

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
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
	l := Line{
		Number:   number,
		Quantity: Hide(amount(string(i.Quantity.Value), i.Quantity.Unit)),
		Duration: Hide(amount(string(i.Duration.Value), string(i.Duration.Unit))),
		Posology: i.Posology.Text,
	}
	switch {
	case i.Medicine != nil:
		l.Kind, l.Code, l.Name = KindMedicine, Hide(i.Medicine.CNK.Reveal()), i.Medicine.Name
	case i.Group != nil:
		l.Kind, l.Code, l.Name = KindGroup, i.Group.Code, i.Group.Name
	case i.Magistral != nil:
		l.Kind = KindMagistral
		l.Code, l.Name = i.Magistral.line()
	}
	return l
}

func (m *Magistral) line() (code, name Private) {
	switch {
	case m.Formulary != nil:
		return m.Formulary.Code, m.Formulary.Name
	case len(m.Compounds) == 0:
		return Private{}, m.Text.Text
	}
	parts := make([]string, len(m.Compounds))
	for k, c := range m.Compounds {
		what := c.Substance.Reveal()
		if c.Medicine != nil {
			what = c.Medicine.Name.Reveal()
		}
		parts[k] = strings.TrimSpace(what + " " + strings.TrimSpace(c.Prefix+" "+amount(string(c.Quantity.Value), c.Quantity.Unit)))
	}
	return Private{}, Hide(strings.Join(parts, "; "))
}

// amount joins a number, without needless zeros, and its unit.
func amount(value, unit string) string {
	if whole, part, pointed := strings.Cut(value, "."); pointed {
		value = strings.TrimSuffix(whole+"."+strings.TrimRight(part, "0"), ".")
	}
	return strings.TrimSpace(value + " " + unit)
}

// Digest returns a SHA-256 of what is prescribed to whom by whom: patient, author and items, without the numbers of the
// document and without its times. Days of begin and end count from the day on which the prescription is made, so that leaving
// them out and writing that day is the same. The digest of a prescription is that of the document written from it.
func (p Prescription) Digest() [sha256.Size]byte {
	d := &digest{sha256.New()}
	created := p.Created
	if created.IsZero() {
		created = time.Now()
	}
	d.add("kmehr.Digest.1", p.Patient.SSIN.Reveal(), p.Author.NIHII.Full(), strconv.Itoa(len(p.Items)))
	for k := range p.Items {
		d.item(&p.Items[k], DayOf(created))
	}
	return [sha256.Size]byte(d.Sum(nil))
}

// Digest is that of the prescription in the document.
func (m *Message) Digest() [sha256.Size]byte { return m.view().Digest() }

type digest struct{ hash.Hash }

// add writes each text behind its length, so that no two lists of texts look alike.
func (d *digest) add(texts ...string) {
	for _, s := range texts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		d.Write(n[:])
		d.Write([]byte(s))
	}
}

func (d *digest) item(i *Item, created Day) {
	l := i.line(0)
	d.add(string(l.Kind), l.Code.Reveal(), l.Name.Reveal(), l.Quantity.Reveal(), l.Duration.Reveal(), i.Proof.Reveal())
	switch {
	case i.Magistral != nil:
		d.text(i.Magistral.Form)
	case i.Group != nil && i.Group.Kind == INNCluster:
		d.add(string(INNCluster))
	}
	d.text(i.Posology)
	d.add(offset(created, i.Begin), offset(created, i.End), i.Periodicity, i.Route, string(i.Temporality), strconv.Itoa(int(i.Substitution)))
	d.add(strconv.Itoa(len(i.DayPeriods)))
	for _, p := range i.DayPeriods {
		d.add(string(p))
	}
	d.add(strconv.Itoa(len(i.Regimen)))
	for _, r := range i.Regimen {
		d.add(strconv.Itoa(r.DayNumber), offset(created, r.Date), r.Weekday, r.Time, string(r.Period), amount(string(r.Amount), r.Unit))
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
func offset(created, d Day) string {
	if d.IsZero() {
		return "0"
	}
	y, m, day := created.Date()
	from := time.Date(y, m, day, 12, 0, 0, 0, time.UTC)
	y, m, day = d.Date()
	to := time.Date(y, max(m, 1), max(day, 1), 12, 0, 0, 0, time.UTC)
	return strconv.Itoa(int(to.Sub(from) / (24 * time.Hour)))
}
