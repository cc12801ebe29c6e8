package insurability

import (
	"errors"
	"strconv"
	"time"
	_ "time/tzdata" // the zone must be known on machines without a zone database (Windows, minimal containers)
)

// brussels is the zone in which "today" is meant by every message of the two services (dossier 05 section 0).
var brussels = func() *time.Location {
	loc, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		// Cannot happen with the embedded database; a fixed offset is still closer to the truth than a panic.
		return time.FixedZone("CET", 3600)
	}
	return loc
}()

var errDate = errors.New("not a calendar date yyyy-mm-dd")

// Date is a calendar day without a time of day and without a zone, as the messages carry it (xs:date). The zero
// value means absent. Values are comparable with ==.
type Date struct {
	year       int16
	month, day uint8
}

// Day returns that day of the calendar. Values outside their usual range are normalised as [time.Date] does; years
// outside 1…9999 give the zero Date.
func Day(year int, month time.Month, day int) Date {
	return fromTime(time.Date(year, month, day, 12, 0, 0, 0, time.UTC))
}

// DateOf returns the calendar day of the instant t in Belgium (Europe/Brussels); the zero instant gives the zero Date.
func DateOf(t time.Time) Date {
	if t.IsZero() {
		return Date{}
	}
	return fromTime(t.In(brussels))
}

// Today returns the current calendar day in Belgium.
func Today() Date { return DateOf(time.Now()) }

func fromTime(t time.Time) Date {
	y, m, d := t.Date()
	if y < 1 || y > 9999 {
		return Date{}
	}
	return Date{year: int16(y), month: uint8(m), day: uint8(d)}
}

// ParseDate reads "yyyy-mm-dd", with or without the zone that xs:date allows ("Z", "+01:00"). The zone is ignored:
// the day as written is what the sender meant. A day that does not exist is an error.
func ParseDate(s string) (Date, error) {
	if len(s) < 10 || !validZone(s[10:]) {
		return Date{}, errDate
	}
	t, err := time.Parse(time.DateOnly, s[:10])
	if err != nil || t.Year() < 1 {
		return Date{}, errDate
	}
	return fromTime(t), nil
}

// validZone tells whether z is a legal zone suffix of xs:date or xs:gYear: none, Z, or a signed hh:mm.
func validZone(z string) bool {
	if z == "" || z == "Z" {
		return true
	}
	if len(z) != 6 || (z[0] != '+' && z[0] != '-') || z[3] != ':' {
		return false
	}
	return isDigits(z[1:3]) && isDigits(z[4:6])
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// IsZero tells that no date is given.
func (d Date) IsZero() bool { return d == Date{} }

// Before tells that d lies before e.
func (d Date) Before(e Date) bool { return d.ordinal() < e.ordinal() }

// After tells that d lies after e.
func (d Date) After(e Date) bool { return d.ordinal() > e.ordinal() }

func (d Date) ordinal() int { return int(d.year)<<9 | int(d.month)<<5 | int(d.day) }

// AddDays returns the day n days later (earlier when n is negative).
func (d Date) AddDays(n int) Date { return Day(int(d.year), time.Month(d.month), int(d.day)+n) }

// Date returns the three parts.
func (d Date) Date() (year int, month time.Month, day int) {
	return int(d.year), time.Month(d.month), int(d.day)
}

// Start returns the first instant of the day in Belgium; the zero Date gives the zero instant.
func (d Date) Start() time.Time {
	if d.IsZero() {
		return time.Time{}
	}
	return time.Date(int(d.year), time.Month(d.month), int(d.day), 0, 0, 0, 0, brussels)
}

// String returns "yyyy-mm-dd", or "" for the zero value.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	b := make([]byte, 0, 10)
	b = appendPadded(b, int(d.year), 4)
	b = appendPadded(append(b, '-'), int(d.month), 2)
	b = appendPadded(append(b, '-'), int(d.day), 2)
	return string(b)
}

func appendPadded(b []byte, n, width int) []byte {
	s := strconv.Itoa(n)
	for range width - len(s) {
		b = append(b, '0')
	}
	return append(b, s...)
}

// MarshalText writes the form of [Date.String].
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form of [ParseDate]; empty text gives the zero value.
func (d *Date) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Date{}
		return nil
	}
	v, err := ParseDate(string(text))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// Period is a span of calendar days, both ends included. A zero Start means "from the beginning", a zero End "still
// running".
type Period struct{ Start, End Date }

// OneDay returns the period that is exactly d.
func OneDay(d Date) Period { return Period{Start: d, End: d} }

// IsZero tells that neither end is given.
func (p Period) IsZero() bool { return p == Period{} }

// Covers tells that d lies in the period. A period without any end given covers nothing: it says nothing.
func (p Period) Covers(d Date) bool {
	if p.IsZero() || d.IsZero() || d.Before(p.Start) {
		return false
	}
	return p.End.IsZero() || !d.After(p.End)
}

// String returns "start…end".
func (p Period) String() string { return p.Start.String() + "…" + p.End.String() }

// Tristate is the answer to a yes-or-no question that may not have been answered.
type Tristate uint8

// The values of Tristate.
const (
	NotKnown Tristate = iota // the message does not say
	No
	Yes
)

// Is returns Yes or No.
func Is(b bool) Tristate {
	if b {
		return Yes
	}
	return No
}

// String returns "yes", "no" or "not known".
func (t Tristate) String() string {
	switch t {
	case Yes:
		return "yes"
	case No:
		return "no"
	default:
		return "not known"
	}
}

// MarshalText writes "yes", "no" or "not known".
func (t Tristate) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
