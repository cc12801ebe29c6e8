package ehbox

import (
	"errors"
	"strings"
	"time"
	_ "time/tzdata" // Belgian time must be known on machines without a zone database
)

// brussels is the zone of days without an offset.
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

// Date is a calendar day as the messages carry it (xs:date), usually with the offset of the zone in which it is meant.
// The zero value means absent. Dates order nothing: a list is synchronised by message ids (dossier 03 section 1).
type Date struct {
	year       int16
	month, day uint8
	zone       string // "", "Z" or "+01:00"
}

// Day returns that day in Belgium, with its offset. Values outside their usual range are normalised as [time.Date] does.
func Day(year int, month time.Month, day int) Date {
	t := time.Date(year, month, day, 0, 0, 0, 0, brussels)
	y, m, d := t.Date()
	return Date{int16(y), uint8(m), uint8(d), t.Format("Z07:00")}
}

// DateOf returns the day of t in Belgium; the zero instant gives the zero Date.
func DateOf(t time.Time) Date {
	if t.IsZero() {
		return Date{}
	}
	return Day(t.In(brussels).Date())
}

// ParseDate reads xs:date. A date with a time behind it is taken for its day.
func ParseDate(s string) (Date, error) {
	s = trim(s)
	if len(s) < 10 {
		return Date{}, errDate
	}
	t, err := time.Parse(time.DateOnly, s[:10])
	if err != nil || t.Year() < 1 {
		return Date{}, errDate
	}
	zone := s[10:]
	if strings.HasPrefix(zone, "T") {
		if zone = ""; strings.HasSuffix(s, "Z") {
			zone = "Z"
		} else if i := strings.LastIndexAny(s, "+-"); i > 10 {
			zone = s[i:]
		}
	}
	if zone != "" {
		if _, err := time.Parse("Z07:00", zone); err != nil {
			return Date{}, errDate
		}
	}
	return Date{int16(t.Year()), uint8(t.Month()), uint8(t.Day()), strings.Clone(zone)}, nil
}

// IsZero tells that there is no date.
func (d Date) IsZero() bool { return d == Date{} }

// Start is the first instant of the day, in the zone that it names, else in Belgium.
func (d Date) Start() time.Time {
	if d.IsZero() {
		return time.Time{}
	}
	loc := brussels
	if d.zone != "" {
		if t, err := time.Parse("Z07:00", d.zone); err == nil {
			loc = t.Location()
		}
	}
	return time.Date(int(d.year), time.Month(d.month), int(d.day), 0, 0, 0, 0, loc)
}

// String returns xs:date as it was read.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return time.Date(int(d.year), time.Month(d.month), int(d.day), 0, 0, 0, 0, time.UTC).Format(time.DateOnly) + d.zone
}

// parseTime reads xs:dateTime; one without a zone is meant in Belgium.
func parseTime(s string) (time.Time, error) {
	s = trim(s)
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05.999999999", s, brussels)
	if err != nil {
		return time.Time{}, errTime
	}
	return t, nil
}

// trim removes the white space that XML Schema collapses.
func trim(s string) string { return strings.Trim(s, " \t\r\n") }
