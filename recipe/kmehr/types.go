package kmehr

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Private is a piece of text about a person or a prescription; only Reveal shows it. See [identity.Private].
type Private = identity.Private

// Hide makes a Private of s; the empty string gives the zero value.
func Hide(s string) Private { return identity.Hide(s) }

// Namespace is that of every element of a KMEHR message.
const Namespace = "http://www.ehealth.fgov.be/standards/kmehr/schema/v1"

// The standard that Write uses (dossier 04 section 12.1).
const (
	Standard        = "20190301" // text of header/standard/cd
	StandardVersion = "1.29"     // its SV; the schema set is that of 1.28
)

// MaxItems is how many items a prescription may have. One product per prescription is what the platform recommends.
const MaxItems = 10

// Prescription is one prescription of medicines. The zero values of ID, LocalID, Created and Expires are filled in by
// [Prescription.Fill], which [Write] calls. No way of printing it shows its content.
type Prescription struct {
	// ID is the KMEHR number of the document, <NIHII11>.<yyyyMMddHHmmssSSS>; empty = made from the author and the clock.
	ID Private
	// LocalID is our own number of the document; empty = a random UUID. The two tell documents apart when the answer to a
	// create is lost (dossier 04 section 14.2).
	LocalID Private
	// Created is when the prescription is made, to the second; zero = now.
	Created time.Time
	// Expires is the last day on which it can be delivered; zero = [DefaultExpiry]. At most [LastExpiry].
	Expires Day

	Author   Author
	Hospital *Hospital // who sends it, when that is a hospital and not the author
	Software Software
	Source   Source // reference database of medicines
	Patient  Patient
	Items    []Item // 1 to MaxItems

	// Extra are the elements outside the items for which there is no field, as read; Write puts them back where they belong.
	Extra []Element
}

// Profession is the code of a prescriber (table CD-HCPARTY).
type Profession string

// The professions that may prescribe.
const (
	Physician Profession = "persphysician"
	Midwife   Profession = "persmidwife"
	Dentist   Profession = "persdentist"
)

// Author is the prescriber.
type Author struct {
	NIHII      identity.NIHII // the form of eleven digits
	Profession Profession     // empty = Physician
	FirstName  Private
	FamilyName Private
	Name       Private // read where a message has one name instead of two; Write takes it when FamilyName is empty
	Address    Address
	Phone      Private
}

// Address is where the author works.
type Address struct {
	Country string // code, lower case; empty = "be"
	Zip     Private
	City    Private
	Street  Private
	Number  Private
	Box     Private
}

// Hospital is a hospital that sends the prescriptions of its prescribers.
type Hospital struct {
	NIHII identity.NIHII
	Name  Private
}

// Software is the program that makes the document, and how to reach its maker. All of it is required.
type Software struct {
	Name    string
	Version string
	Phone   string
	Email   string
}

// Source is the reference database that the products were chosen from.
type Source struct {
	Name    string // empty = "samv2"
	Version string // as the database names its release; required
}

// Sex is the administrative sex (table CD-SEX).
type Sex string

// The values of Sex.
const (
	Female     Sex = "female"
	Male       Sex = "male"
	Changed    Sex = "changed"
	SexUnknown Sex = "unknown"
	Undefined  Sex = "undefined"
)

// Patient is who the medicines are for.
type Patient struct {
	SSIN       identity.SSIN
	FirstName  Private // may be empty: some people have one name only
	FamilyName Private
	Birth      Day // day, month and day, or all of it may be unknown to the register; the year is needed
	Sex        Sex // empty = SexUnknown
}

// Text is text in a language.
type Text struct {
	Lang string // "fr", "nl", "de" or "en"
	Text Private
}

// IsZero tells that there is no text.
func (t Text) IsZero() bool { return t.Text.IsZero() }

// Element is a part of a document that no field holds, or that the fields do not hold whole, kept as XML.
type Element struct {
	under string // local name of the element it stands in: header, folder, patient, transaction, item
	name  string
	xml   Private
	// was is what the field for this element would write as long as nobody changed it: then the element is written instead.
	// Empty where there is no field.
	was Private
}

// Name returns where the element stands and how it is called, such as "item/regimen".
func (e Element) Name() string { return e.under + "/" + e.name }

// XML returns the element as XML whose default namespace is [Namespace].
func (e Element) XML() Private { return e.xml }

// HeaderIDs are the two numbers of a document by which it is found again (dossier 04 section 14.2).
type HeaderIDs struct {
	KMEHR Private // S=ID-KMEHR
	Local Private // S=LOCAL
}

// HeaderIDs returns ID and LocalID.
func (p Prescription) HeaderIDs() HeaderIDs { return HeaderIDs{p.ID, p.LocalID} }

func redact(f fmt.State, what string) { _, _ = io.WriteString(f, what) }

const (
	shownPrescription = "kmehr.Prescription(redacted)"
	shownAuthor       = "kmehr.Author(redacted)"
	shownPatient      = "kmehr.Patient(redacted)"
	shownElement      = "kmehr.Element(redacted)"
)

// Format writes the redacted form whatever the verb.
func (p Prescription) Format(f fmt.State, _ rune) { redact(f, shownPrescription) }

// LogValue returns the redacted form.
func (p Prescription) LogValue() slog.Value { return slog.StringValue(shownPrescription) }

// Format writes the redacted form whatever the verb.
func (a Author) Format(f fmt.State, _ rune) { redact(f, shownAuthor) }

// LogValue returns the redacted form.
func (a Author) LogValue() slog.Value { return slog.StringValue(shownAuthor) }

// Format writes the redacted form whatever the verb.
func (p Patient) Format(f fmt.State, _ rune) { redact(f, shownPatient) }

// LogValue returns the redacted form.
func (p Patient) LogValue() slog.Value { return slog.StringValue(shownPatient) }

// Format writes the redacted form whatever the verb.
func (e Element) Format(f fmt.State, _ rune) { redact(f, shownElement) }

// LogValue returns the redacted form.
func (e Element) LogValue() slog.Value { return slog.StringValue(shownElement) }
