package kmehr

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
	_ "time/tzdata" // Belgian time must be known on machines without a zone database
	"unique"
)

// brussels is the zone in which days are meant (dossier 04 section 11.2).
var brussels = func() *time.Location {
	loc, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		return time.FixedZone("CET", 3600) // cannot happen with the embedded database
	}
	return loc
}()

var errDay = errors.New("kmehr: not a date yyyy-mm-dd, yyyy-mm or yyyy")

type ymd struct{ year, month, day int }

// Day is a day of the calendar in Belgium: of birth, of a begin, of expiry. For a birth the day, or day and month, may be
// unknown. It says something about a person, so it prints as "[day]"; [Day.Reveal] shows it. Days are comparable, and the
// zero value means absent.
type Day struct{ h unique.Handle[ymd] }

// NewDay returns that day; day, or month and day, may be 0 for "unknown". What is not in the calendar gives the zero Day.
func NewDay(year int, month time.Month, day int) Day {
	v := ymd{year, int(month), day}
	if !v.valid() {
		return Day{}
	}
	return Day{unique.Make(v)}
}

func (v ymd) valid() bool {
	switch {
	case v.year < 1 || v.year > 9999 || v.month < 0 || v.month > 12 || v.day < 0:
		return false
	case v.month == 0:
		return v.day == 0
	case v.day == 0:
		return true
	}
	_, m, d := time.Date(v.year, time.Month(v.month), v.day, 0, 0, 0, 0, time.UTC).Date()
	return int(m) == v.month && d == v.day
}

// DayOf returns the day of t in Belgium, the zero Day for the zero instant.
func DayOf(t time.Time) Day {
	if t.IsZero() {
		return Day{}
	}
	return NewDay(t.In(brussels).Date())
}

// ParseDay reads yyyy-mm-dd, yyyy-mm or yyyy. An offset behind a whole date, which XML allows, is dropped.
func ParseDay(s string) (Day, error) {
	layout := time.DateOnly
	switch {
	case len(s) == 4:
		layout = "2006"
	case len(s) == 7:
		layout = "2006-01"
	case len(s) > 10 && isOffset(s[10:]):
		s = s[:10]
	}
	t, err := time.Parse(layout, s)
	if err != nil || t.Year() < 1 {
		return Day{}, errDay
	}
	v := ymd{t.Year(), int(t.Month()), t.Day()}
	if len(s) < 10 {
		v.day = 0
	}
	if len(s) < 7 {
		v.month = 0
	}
	return Day{unique.Make(v)}, nil
}

func isOffset(s string) bool {
	if s == "Z" {
		return true
	}
	_, err := time.Parse("-07:00", s)
	return err == nil
}

func (d Day) value() ymd {
	if d.IsZero() {
		return ymd{}
	}
	return d.h.Value()
}

// IsZero tells that the day is absent.
func (d Day) IsZero() bool { return d == Day{} }

// Whole tells that year, month and day are known.
func (d Day) Whole() bool { return d.value().day != 0 }

// Date reveals the parts, 0 for those that are not known.
func (d Day) Date() (year int, month time.Month, day int) {
	v := d.value()
	return v.year, time.Month(v.month), v.day
}

// Start reveals the instant at which the day begins in Belgium; unknown parts count as 1. The zero Day gives the zero time.
func (d Day) Start() time.Time {
	if d.IsZero() {
		return time.Time{}
	}
	return d.value().first(brussels)
}

// Reveal returns the text of the message: 2030-01-15, 2030-01 or 2030, "" when absent. The parameter expirationDate of a
// create has the same form.
func (d Day) Reveal() string {
	v := d.value()
	if d.IsZero() {
		return ""
	}
	text := v.first(time.UTC).Format(time.DateOnly)
	switch {
	case v.month == 0:
		return text[:len("2030")]
	case v.day == 0:
		return text[:len("2030-01")]
	}
	return text
}

// first is the instant at which the day begins; unknown parts count as 1.
func (v ymd) first(loc *time.Location) time.Time {
	return time.Date(v.year, time.Month(max(v.month, 1)), max(v.day, 1), 0, 0, 0, 0, loc)
}

// Before compares two days; unknown parts count as 1.
func (d Day) Before(e Day) bool { return d.value().first(time.UTC).Before(e.value().first(time.UTC)) }

// String returns "[day]", or "" when absent.
func (d Day) String() string {
	if d.IsZero() {
		return ""
	}
	return "[day]"
}

// Format writes String whatever the verb.
func (d Day) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }

// LogValue returns the redacted form.
func (d Day) LogValue() slog.Value { return slog.StringValue(d.String()) }

// lastDay is the day before the same day so many months later; where that month is shorter, the day before its last one, as
// calendars of other programs have it.
func lastDay(d Day, months int) Day {
	y, m, day := d.Date()
	last := time.Date(y, m+time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return NewDay(time.Date(y, m+time.Month(months), min(day, last)-1, 0, 0, 0, 0, time.UTC).Date())
}

// DefaultExpiry returns the last day on which a prescription made at that instant can be delivered when the prescriber says
// nothing: three months minus one day (dossier 04 section 11.2). One of 10 November ends with 9 February.
func DefaultExpiry(created time.Time) Day { return lastDay(DayOf(created), 3) }

// LastExpiry returns the latest day that a prescriber may choose: one year minus one day.
func LastExpiry(created time.Time) Day { return lastDay(DayOf(created), 12) }
