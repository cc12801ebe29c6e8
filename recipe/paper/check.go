package paper

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
)

// What a document cannot be without.
var (
	// ErrRID: a proof was asked for without a RID. There is no proof of what does not exist (dossier 04 15.2).
	ErrRID = errors.New("paper: no RID of Recip-e")
	// ErrPermit: a form was asked for although it is not certain that there is no electronic prescription: there is no permit, or
	// it is for another patient or other medicines, or the content was not made by [Of], so that this cannot be told.
	ErrPermit = errors.New("paper: no permit for a prescription on paper")
)

// The bounds of what is printed.
const (
	maxItems = 10   // a prescription has no more (dossier 04 12.3 rules 42-48)
	maxText  = 2000 // characters of a field; a page holds fewer than 6000
)

// printable is a content that was checked, in the encoding of the fonts.
type printable struct {
	words
	language            Language
	prescriber, patient [][]byte // in lines
	items               []printableItem
	issued, from, until string
	created             time.Time
}

type printableItem struct{ medicine, quantity, posology, note []byte }

// checker collects the fields, and the first thing that is wrong with one.
type checker struct{ err error }

func (k *checker) fail(field string, r rune, rule string) {
	if k.err == nil {
		k.err = &FieldError{Field: field, Rune: r, Rule: rule}
	}
}

func (k *checker) text(field string, p identity.Private, required bool) []byte {
	s := p.Reveal()
	switch {
	case strings.TrimSpace(s) == "" && required:
		k.fail(field, 0, "is missing")
	case !utf8.ValidString(s):
		k.fail(field, 0, "is not UTF-8")
	case utf8.RuneCountInString(s) > maxText:
		k.fail(field, 0, fmt.Sprintf("has more than %d characters", maxText))
	}
	if k.err != nil {
		return nil
	}
	text, bad := latin(s)
	switch {
	case bad != 0:
		k.fail(field, bad, "")
	case required && len(bytes.TrimSpace(text)) == 0:
		k.fail(field, 0, "is missing")
	}
	return text
}

func (k *checker) day(field string, d kmehr.Day) string {
	if !d.Whole() {
		k.fail(field, 0, "is not a day")
	}
	return shownDay(d)
}

// check is the only way from a Content to a page.
func (c Content) check() (*printable, error) {
	t, ok := texts[c.Language]
	k := &checker{}
	if !ok {
		k.fail("Language", 0, "is none of fr, nl and de")
	}
	issued := kmehr.DayOf(c.Issued)
	if c.From.IsZero() {
		c.From = issued
	}
	p := &printable{
		words: t, language: c.Language, created: c.Issued.UTC(),
		issued: k.day("Issued", issued), from: k.day("From", c.From), until: k.day("Until", c.Until),
	}
	if c.From.Before(issued) || c.Until.Before(c.From) {
		k.fail("Until", 0, "Issued, From and Until are not in order")
	}
	p.people(k, c)
	if len(c.Items) == 0 || len(c.Items) > maxItems {
		k.fail("Items", 0, fmt.Sprintf("are not 1 to %d", maxItems))
	}
	for i, it := range c.Items {
		at := func(name string) string { return fmt.Sprintf("Items[%d].%s", i, name) }
		p.items = append(p.items, printableItem{
			medicine: k.text(at("Medicine"), it.Medicine, true), quantity: k.text(at("Quantity"), it.Quantity, false),
			posology: k.text(at("Posology"), it.Posology, true), note: k.text(at("Note"), it.Note, false),
		})
		if k.err != nil {
			break
		}
	}
	return p, k.err
}

func (p *printable) people(k *checker, c Content) {
	label := func(name string, value []byte) []byte {
		b, _ := latin(name)
		return append(append(b, ' '), value...)
	}
	p.prescriber = append(p.prescriber, k.text("Prescriber.Name", c.Prescriber.Name, true))
	if n := c.Prescriber.NIHII; n.IsZero() {
		k.fail("Prescriber.NIHII", 0, "is missing")
	} else {
		p.prescriber = append(p.prescriber, label(p.nihii, []byte(n.Reveal())))
	}
	if a := k.text("Prescriber.Address", c.Prescriber.Address, false); len(a) > 0 {
		p.prescriber = append(p.prescriber, a)
	}
	if t := k.text("Prescriber.Phone", c.Prescriber.Phone, false); len(t) > 0 {
		p.prescriber = append(p.prescriber, label(p.phone, t))
	}
	first, family := k.text("Patient.FirstName", c.Patient.FirstName, false), k.text("Patient.FamilyName", c.Patient.FamilyName, true)
	p.patient = append(p.patient, bytes.TrimSpace(append(append(first, ' '), family...)))
	if !c.Patient.Born.IsZero() {
		p.patient = append(p.patient, label(p.born, []byte(shownDay(c.Patient.Born))))
	}
}
