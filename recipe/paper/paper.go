package paper

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
)

// Content is what stands on both documents. [Of] makes it from a prescription.
type Content struct {
	Language   Language   // FR, NL or DE; required
	Prescriber Prescriber // required
	Patient    Patient    // required
	Items      []Item     // 1 to 10 medicines, in this order
	Issued     time.Time  // when it was prescribed; required, printed as the day that it was in Belgium
	From       kmehr.Day  // first day of delivery; zero = that of Issued
	Until      kmehr.Day  // last day of delivery, included; required (dossier 04 11.2)

	of *kmehr.Prescription // what Of made it from
}

// Prescriber is who prescribes.
type Prescriber struct {
	Name    identity.Private // first name and family name; required
	NIHII   identity.NIHII   // required, printed with all its digits
	Address identity.Private // in one line or several; absent = not printed
	Phone   identity.Private // absent = not printed
}

// Patient is who takes the medicines. There is no place for the number of national register: the pharmacy reads it from the
// identity card.
type Patient struct {
	FirstName  identity.Private // absent for people who have one name only
	FamilyName identity.Private // required
	Born       kmehr.Day        // as far as it is known; zero = not printed
}

// Item is one medicine.
type Item struct {
	Medicine identity.Private // name, strength and form, or the composition of a magistral preparation; required
	Quantity identity.Private // e.g. "1" or "2 x 30"; absent = not printed (a group of products has none)
	Posology identity.Private // required
	Note     identity.Private // instructions to patient or pharmacy; absent = not printed
}

// Electronic is a prescription that exists at Recip-e.
type Electronic struct {
	Content
	RID identity.RID // what Recip-e gave out; required, in its strict form
}

// Proof writes the proof of an electronic prescription to w: one page with the RID as barcode (Code 128) and as text. It needs
// no signature. It fails with [ErrRID] without a RID of Recip-e and otherwise as the package says.
func Proof(w io.Writer, e Electronic) error {
	const op = "paper.Proof"
	if _, err := identity.ParseRID(e.RID.Reveal()); err != nil {
		return invalid(op, ErrRID)
	}
	return write(op, w, e.Content, func(p *page) {
		p.heading(p.words.proof, p.words.isProof, p.words.show)
		p.barcode(e.RID)
		p.people()
		p.dates()
		p.items(proofEnd)
		p.foot()
	})
}

// Form is a prescription that does not exist electronically.
type Form struct {
	Content
	// Permit is what [recipe.Prescriber.PaperFor], or Paper, gave for this prescription; required.
	Permit recipe.Permit
}

// Fallback writes the form that takes the place of an electronic prescription to w: one page that says that there is no
// electronic one, to be signed by hand. It has nothing that can be scanned. The content must come from [Of]: it fails with
// [ErrPermit] without a permit for that prescription, and otherwise as the package says. What the caller changes in the content
// afterwards, such as leaving out what goes on a second form, is the caller's responsibility.
func Fallback(w io.Writer, f Form) error {
	const op = "paper.Fallback"
	if f.Permit.IsZero() || f.of == nil || !f.Permit.Covers(*f.of) {
		return invalid(op, ErrPermit)
	}
	return fallback(op, w, f.Content)
}

func fallback(op string, w io.Writer, c Content) error {
	return write(op, w, c, func(p *page) {
		p.heading(p.words.fallback, p.words.none, p.words.isForm)
		p.people()
		p.dates()
		p.items(formEnd)
		p.signature()
	})
}

// write draws a page in memory and hands it to w in one piece, or not at all.
func write(op string, w io.Writer, c Content, draw func(*page)) error {
	t, err := c.check()
	if err != nil {
		return invalid(op, err)
	}
	p := newPage(t)
	draw(p)
	if p.err != nil {
		return invalid(op, p.err)
	}
	var out bytes.Buffer
	if err := p.pdf.Output(&out); err != nil {
		return &fault.Error{Op: op, Kind: fault.Local, Outcome: fault.NotSent, Err: err}
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return &fault.Error{Op: op, Kind: fault.Local, Outcome: fault.NotSent, Err: err}
	}
	return nil
}

func invalid(op string, err error) error {
	return &fault.Error{Op: op, Kind: fault.Invalid, Outcome: fault.NotSent, Err: fault.AsSafe(err)}
}

// OverflowError says that a prescription does not fit on one page: give out two forms.
type OverflowError struct {
	Items int // those given
	Fit   int // the first so many fit; 0 when the people alone fill the page
}

// Error implements error.
func (e *OverflowError) Error() string {
	return fmt.Sprintf("paper: %d of %d medicines fit on one page", e.Fit, e.Items)
}

// FieldError names a field that is missing or cannot be printed.
type FieldError struct {
	Field string // e.g. "Patient.FamilyName" or "Items[2].Posology"
	Rune  rune   // the first character that has no Latin spelling; 0 when the field is missing or breaks another rule
	Rule  string // the rule, for people who read logs
}

// Error implements error. It shows no more of the field than the number of one character.
func (e *FieldError) Error() string {
	if e.Rune != 0 {
		return fmt.Sprintf("paper: %s: no way to print the character %U", e.Field, e.Rune)
	}
	return fmt.Sprintf("paper: %s: %s", e.Field, e.Rule)
}
