package kmehr

import (
	"fmt"
	"log/slog"
	"strconv"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Item is one line of a prescription: exactly one of Medicine, Group and Magistral, and how to take it.
type Item struct {
	Medicine  *Medicine  // a product of the market, by CNK
	Group     *Group     // an active substance, by VMP group or INN cluster: the pharmacist chooses the product
	Magistral *Magistral // a preparation that the pharmacist makes
	// Proof is the SAM proof of a reimbursed product that needs one (content SAMPROOF).
	Proof Private

	// Posology is how to take it, in words; required, and the same as on the printed proof. Where there is nothing to say,
	// see [NotApplicable] and [KnownUse].
	Posology Text
	// Quantity is the number of packages or, for a preparation, the amount. Required but for a Group, which must have none.
	Quantity Quantity
	// Duration is how long to take it; what a Group has instead of a quantity.
	Duration Duration
	Begin    Day // first day; zero = the day on which the prescription is made
	End      Day
	// Periodicity is how often (table CD-PERIODICITY), for instance "D" for daily; UQ, US, UN, UX and UE are not allowed.
	Periodicity string
	DayPeriods  []DayPeriod
	Regimen     []Intake // the scheme of intakes in structured form, beside Posology
	Renewal     Renewal
	Route       string // table CD-DRUG-ROUTE
	Temporality Temporality
	// Substitution says whether another product may be delivered.
	Substitution Substitution

	ForPatient       Text // instruction for the patient
	ForReimbursement Text // instruction about reimbursement, such as third-party payment or the first dose
	ForOverdosing    Text // what an unusual dose is for
	Notes            []Text

	// Extra are the elements that no field holds, and those of which a field holds a part only (a display name of a code, the
	// time of a first day), as read. Write puts the former where they belong, and writes the latter instead of the field as
	// long as the field is unchanged.
	Extra []Element
}

// NotApplicable returns the posology of a product for which there is none to give. Languages other than nl get the French text.
func NotApplicable(lang string) Text {
	if lang == "nl" {
		return Text{"nl", Hide("niet van toepassing")}
	}
	return Text{"fr", Hide("pas d'application")}
}

// KnownUse returns the posology of a product that the patient knows how to use. Languages other than nl get the French text.
func KnownUse(lang string) Text {
	if lang == "nl" {
		return Text{"nl", Hide("gebruik gekend")}
	}
	return Text{"fr", Hide("usage connu")}
}

// Origin is where a code of a product comes from (the SV of its code).
type Origin string

// The origins of a code.
const (
	FromSAM   Origin = "WSSAMv2" // the web service of SAM version 2
	FromLocal Origin = "LOCALDB" // a local database
)

// Medicine is a product of the market.
type Medicine struct {
	CNK    identity.CNK // absent = the product has none: written as 0000000
	Name   Private      // required
	Origin Origin       // empty = FromSAM, or FromLocal without a CNK
	Codes  []Code       // further or other codes, as read; a change of them is not written
	// Delivered is what was given instead, as read; a change of it is not written.
	Delivered Private
}

// Code is one code of a table.
type Code struct {
	System  string // S
	Version string // SV
	Value   Private
}

// GroupKind is the table of the code of a Group.
type GroupKind string

// The kinds of Group.
const (
	VMPGroup   GroupKind = "CD-VMPGROUP"
	INNCluster GroupKind = "CD-INNCLUSTER"
)

// Group is a group of products with the same active substance, strength and form.
type Group struct {
	Kind   GroupKind // empty = VMPGroup
	Code   Private   // seven digits; an INN cluster starts with 8 or 0
	Name   Private   // required
	Origin Origin    // empty = FromSAM
	// Delivered is what was given, as read; a change of it is not written.
	Delivered Private
}

// Magistral is a preparation: its text, or a reference to the formulary, or its compounds.
type Magistral struct {
	Text      Text
	Formulary *Formulary
	Compounds []Compound
	Form      Text // galenic form in words
}

// Formulary is an entry of the therapeutic formulary of magistral preparations.
type Formulary struct {
	Code Private // seven characters starting with 05
	Name Private // required
	Lang string  // of Name: fr or nl
}

// Compound is one component of a Magistral: a product, or a substance by its name.
type Compound struct {
	Medicine  *Medicine
	Substance Private
	Prefix    string // table CD-QUANTITYPREFIX: ana, anaad, ad, qs
	Quantity  Quantity
}

// Decimal is an exact number as text, such as "1" or "0.5"; "" = absent. A comma is no decimal point here.
type Decimal string

// Int returns n as a Decimal.
func Int(n int) Decimal { return Decimal(strconv.Itoa(n)) }

// Quantity is an amount with an optional unit (table CD-UNIT, such as "mg" or "pkg").
type Quantity struct {
	Value Decimal
	Unit  string
}

// TimeUnit is a unit of time (table CD-TIMEUNIT).
type TimeUnit string

// The units of time.
const (
	Hours  TimeUnit = "hr"
	Days   TimeUnit = "d"
	Weeks  TimeUnit = "wk"
	Months TimeUnit = "mo"
	Years  TimeUnit = "a"
)

// Duration is a length of time in calendar units.
type Duration struct {
	Value Decimal
	Unit  TimeUnit
}

// Renewal says how often the delivery may be repeated, and at which interval.
type Renewal struct {
	Times    Decimal
	Interval Duration
	Text     Text // instead of Times
}

// IsZero tells that nothing is said about renewal.
func (r Renewal) IsZero() bool { return r.Times == "" && r.Text.IsZero() }

// Intake is one line of a regimen.
type Intake struct {
	// When the day is: at most one of the three; none = every day.
	DayNumber int
	Date      Day
	Weekday   string // table CD-WEEKDAY, such as "monday"

	Time   string    // hh:mm:ss, or
	Period DayPeriod // a part of the day
	Amount Decimal   // required
	Unit   string    // table CD-ADMINISTRATIONUNIT
}

// DayPeriod is a part of the day (table CD-DAYPERIOD).
type DayPeriod string

// Some parts of the day; the table has more.
const (
	Morning         DayPeriod = "morning"
	Afternoon       DayPeriod = "afternoon"
	Evening         DayPeriod = "evening"
	Night           DayPeriod = "night"
	BeforeBreakfast DayPeriod = "beforebreakfast"
	DuringBreakfast DayPeriod = "duringbreakfast"
	AfterBreakfast  DayPeriod = "afterbreakfast"
	BeforeLunch     DayPeriod = "beforelunch"
	DuringLunch     DayPeriod = "duringlunch"
	AfterLunch      DayPeriod = "afterlunch"
	BeforeDinner    DayPeriod = "beforedinner"
	DuringDinner    DayPeriod = "duringdinner"
	AfterDinner     DayPeriod = "afterdinner"
	BedTime         DayPeriod = "thehourofsleep"
)

// Temporality is the course of the treatment (table CD-TEMPORALITY).
type Temporality string

// The temporalities; the table also has reactivation, remission and subacute.
const (
	Acute   Temporality = "acute"
	Chronic Temporality = "chronic"
	OneShot Temporality = "oneshot"
)

// Substitution says whether another product may be delivered.
type Substitution uint8

// The values of Substitution.
const (
	SubstitutionUnsaid Substitution = iota
	SubstitutionAllowed
	SubstitutionForbidden
)

const (
	shownItem      = "kmehr.Item(redacted)"
	shownMedicine  = "kmehr.Medicine(redacted)"
	shownGroup     = "kmehr.Group(redacted)"
	shownMagistral = "kmehr.Magistral(redacted)"
)

// Format writes the redacted form whatever the verb.
func (i Item) Format(f fmt.State, _ rune) { redact(f, shownItem) }

// LogValue returns the redacted form.
func (i Item) LogValue() slog.Value { return slog.StringValue(shownItem) }

// Format writes the redacted form whatever the verb.
func (m Medicine) Format(f fmt.State, _ rune) { redact(f, shownMedicine) }

// LogValue returns the redacted form.
func (m Medicine) LogValue() slog.Value { return slog.StringValue(shownMedicine) }

// Format writes the redacted form whatever the verb.
func (g Group) Format(f fmt.State, _ rune) { redact(f, shownGroup) }

// LogValue returns the redacted form.
func (g Group) LogValue() slog.Value { return slog.StringValue(shownGroup) }

// Format writes the redacted form whatever the verb.
func (m Magistral) Format(f fmt.State, _ rune) { redact(f, shownMagistral) }

// LogValue returns the redacted form.
func (m Magistral) LogValue() slog.Value { return slog.StringValue(shownMagistral) }
