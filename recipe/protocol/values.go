package protocol

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	_ "time/tzdata" // Belgian time must be known on machines without a zone database

	"github.com/ehealth-continuity/ehealth/identity"
)

// brussels is the zone in which days begin and end (dossier 04 section 11.2).
var brussels = func() *time.Location {
	loc, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		return time.FixedZone("CET", 3600) // cannot happen with the embedded database
	}
	return loc
}()

var (
	errDate = errors.New("not a calendar date yyyy-mm-dd")
	errTime = errors.New("not a date and time")
)

// Date is a calendar day in Belgium. The zero value means absent. Values are comparable.
type Date struct {
	year       int16
	month, day uint8
}

// Day returns that day. Values outside their usual range are normalised as [time.Date] does.
func Day(year int, month time.Month, day int) Date {
	y, m, d := time.Date(year, month, day, 12, 0, 0, 0, time.UTC).Date()
	return Date{int16(y), uint8(m), uint8(d)}
}

// DateOf returns the day of the instant t in Belgium; the zero instant gives the zero Date.
func DateOf(t time.Time) Date {
	if t.IsZero() {
		return Date{}
	}
	return Day(t.In(brussels).Date())
}

// ParseDate reads the ten characters yyyy-mm-dd and nothing else. It fails with a *[ValidationError] of code 500020.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 {
		return Date{}, &ValidationError{Field: "expirationDate", Code: CodeExpirationFormat, Reason: errDate.Error()}
	}
	return Day(t.Date()), nil
}

// parseDate reads xs:date and xs:dateTime, the latter as the day on which it falls in Belgium.
func parseDate(s string) (Date, error) {
	s = trim(s)
	if strings.ContainsRune(s, 'T') {
		t, err := parseTime(s)
		if err != nil {
			return Date{}, errDate
		}
		return DateOf(t), nil
	}
	if len(s) < 10 {
		return Date{}, errDate
	}
	if zone := s[10:]; zone != "" {
		if _, err := time.Parse("Z07:00", zone); err != nil {
			return Date{}, errDate
		}
	}
	t, err := time.Parse(time.DateOnly, s[:10])
	if err != nil || t.Year() < 1 {
		return Date{}, errDate
	}
	return Day(t.Date()), nil
}

// IsZero tells that there is no date.
func (d Date) IsZero() bool { return d == Date{} }

// Compare orders days.
func (d Date) Compare(o Date) int {
	return cmp.Or(cmp.Compare(d.year, o.year), cmp.Compare(d.month, o.month), cmp.Compare(d.day, o.day))
}

// Add returns the day so many years, months and days later, as [time.Time.AddDate] counts.
func (d Date) Add(years, months, days int) Date {
	return Day(int(d.year)+years, time.Month(int(d.month)+months), int(d.day)+days)
}

// Start is the first instant of the day in Belgium, the zero instant when there is no date.
func (d Date) Start() time.Time {
	if d.IsZero() {
		return time.Time{}
	}
	return time.Date(int(d.year), time.Month(d.month), int(d.day), 0, 0, 0, 0, brussels)
}

// String returns yyyy-mm-dd, "" when there is no date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
}

// parseTime reads xs:dateTime; one without a zone is meant in Belgium, and a day alone as its beginning: the newer generation types
// days of expiry as such.
func parseTime(s string) (time.Time, error) {
	s = trim(s)
	if !strings.ContainsRune(s, 'T') {
		d, err := parseDate(s)
		if err != nil {
			return time.Time{}, errTime
		}
		return d.Start(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05.999999999", s, brussels)
	if err != nil {
		return time.Time{}, errTime
	}
	return t, nil
}

// formatTime writes xs:dateTime with milliseconds and zone (dossier 04 sections 3.3 and 5).
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02T15:04:05.000Z07:00")
}

// padSSIN puts back the zeros that a number typed long has lost (dossier 04 section 7.2).
func padSSIN(s string) string { return pad(trim(s), 11) }

// padNIHII puts back lost zeros of an eight or eleven digit number.
func padNIHII(s string) string {
	s = trim(s)
	if len(s) > 8 {
		return pad(s, 11)
	}
	return pad(s, 8)
}

func pad(s string, n int) string {
	if s == "" || strings.Trim(s, "0123456789") != "" || len(s) >= n {
		return strings.Clone(s)
	}
	return strings.Repeat("0", n-len(s)) + s
}

// SameNIHII tells whether a number in an answer is n: the first eight digits decide, dots and spaces do not matter. It is
// how a statusUpdater is compared with the caller (dossier 04 section 14.3).
func SameNIHII(answer identity.Private, n identity.NIHII) bool {
	o, err := identity.ParseNIHIILenient(answer.Reveal())
	return err == nil && o.SameBase(n)
}

// PrescriptionStatus is where a prescription stands (dossier 04 sections 5.1 and 11.1). A word that is none of the
// constants is kept: servers may learn new ones.
type PrescriptionStatus string

// The states of a prescription.
const (
	NotDelivered PrescriptionStatus = "NotDelivered"
	InProcess    PrescriptionStatus = "InProcess"
	Delivered    PrescriptionStatus = "Delivered"
	Revoked      PrescriptionStatus = "Revoked"
	Expired      PrescriptionStatus = "Expired"
	Archived     PrescriptionStatus = "Archived"
)

// Known tells whether s is one of the constants.
func (s PrescriptionStatus) Known() bool {
	switch s {
	case NotDelivered, InProcess, Delivered, Revoked, Expired, Archived:
		return true
	}
	return false
}

// Open tells whether the prescription may still be dispensed by somebody.
func (s PrescriptionStatus) Open() bool { return s == NotDelivered || s == InProcess }

// parseStatus accepts one word of letters.
func parseStatus(s string) (PrescriptionStatus, error) {
	s = trim(s)
	if len(s) > 32 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return "", errValue
	}
	return PrescriptionStatus(strings.Clone(s)), nil
}

// ContactPreference is how a patient with a reservation wants to be reached.
type ContactPreference string

// The preferences.
const (
	NoPreference    ContactPreference = "NO_PREFERENCE"
	EmailAddress    ContactPreference = "EMAIL_ADDRESS"
	TelephoneNumber ContactPreference = "TELEPHONE_NUMBER"
)

// Vision says which pharmacies find a prescription in the lists of the patient (dossier 04 section 11.3). Scanning the
// RID overrides it. As it may name the pharmacy of a patient, it prints as "open", "locked" or "pharmacy"; where it stands
// in an unexported field, package fmt cannot keep to that.
type Vision string

// The visions that do not name a pharmacy.
const (
	VisionOpen   Vision = ""       // every pharmacy
	VisionLocked Vision = "locked" // none
)

const visionPharmacy = "-PHARMACY.NIHII"

// VisionPharmacy lets only that pharmacy find the prescription. Only patients can ask for it.
func VisionPharmacy(n identity.NIHII) Vision { return Vision(n.Base() + visionPharmacy) }

// Pharmacy returns the pharmacy that the vision names, the zero value when it names none.
func (v Vision) Pharmacy() identity.NIHII {
	s, ok := strings.CutSuffix(string(v), visionPharmacy)
	if !ok {
		return identity.NIHII{}
	}
	n, err := identity.ParseNIHIILenient(s)
	if err != nil {
		return identity.NIHII{}
	}
	return n
}

// Open tells whether there is no restriction; older programs write it as "null".
func (v Vision) Open() bool { return v == "" || strings.EqualFold(string(v), "null") }

// Locked tells whether no pharmacy finds the prescription.
func (v Vision) Locked() bool { return strings.EqualFold(string(v), string(VisionLocked)) }

// Reveal returns the text that is sent.
func (v Vision) Reveal() string { return string(v) }

func (v Vision) redacted() string {
	switch {
	case v.Open():
		return "open"
	case v.Locked():
		return "locked"
	case strings.HasSuffix(string(v), visionPharmacy):
		return "pharmacy"
	}
	return "[private]"
}

// String returns "open", "locked", "pharmacy" or, for anything else, "[private]".
func (v Vision) String() string { return v.redacted() }

// Format writes String whatever the verb.
func (v Vision) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(v.redacted())) }

// LogValue returns String.
func (v Vision) LogValue() slog.Value { return slog.StringValue(v.redacted()) }

// MarshalText writes String, so that a value dumped as JSON stays private.
func (v Vision) MarshalText() ([]byte, error) { return []byte(v.redacted()), nil }

// VisionOthers says which other prescribers see a prescription (since December 2023, dossier 04 section 11.3). The zero
// value leaves it to the server.
type VisionOthers string

// The values of VisionOthers.
const (
	OthersOpen   VisionOthers = "open"
	OthersLocked VisionOthers = "locked"
	OthersGMD    VisionOthers = "gmd_prescriber" // only the holder of the patient's global medical file
)

// VisionType says for whom putVision of the newer generation sets the vision.
type VisionType string

// The values of VisionType. Prescribers send [VisionTypePrescriber]; without it the operation failed in practice.
const (
	VisionTypePrescriber VisionType = "prescriber"
	VisionTypeExecutor   VisionType = "executor"
)

// Session is what a list operation returned with its last page. It is opaque and goes back with the next page.
type Session []byte

// Page asks for one page of a list. The next page is the same question with PageNumber one higher and the last Session
// (dossier 04 section 5.1).
type Page struct {
	Month      int // 1 to 12; 0 is sent as 1
	Year       int // 2000 to 2100; 0 is sent as 2000
	PageNumber int
	Context    []byte // nil is left out, as all known programs do
}

func (p *Page) wire(c *codec) {
	q := *p
	if c.writing() {
		if q.Month == 0 {
			q.Month = 1
		}
		if q.Year == 0 {
			q.Year = 2000
		}
	}
	c.number("month", &q.Month)
	c.number("year", &q.Year)
	c.number("pageNumber", &q.PageNumber)
	c.bytes("context", &q.Context, optional)
	if !c.writing() {
		*p = q
	}
}

// Between is a range of days, both ends included; a zero end is open.
type Between struct{ From, To Date }

func (b *Between) wire(c *codec) {
	c.attrDate("from", &b.From, optional)
	c.attrDate("to-inclusive", &b.To, optional)
}
