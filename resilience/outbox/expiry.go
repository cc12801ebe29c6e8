package outbox

import (
	"strconv"
	"time"
	_ "time/tzdata" // Belgian midnight must exist on machines without a zone database
)

// brussels is the zone of every rule that speaks of days.
var brussels = func() *time.Location {
	l, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		return time.FixedZone("CET", 3600) // cannot happen: the database is embedded
	}
	return l
}()

// Expiry says until when an item may be sent. The zero value is no limit. An item that was
// sent in time and whose outcome is unknown does not expire: it is resolved.
type Expiry struct {
	rule byte
	at   time.Time
	days int
}

// At lets an item expire at t.
func At(t time.Time) Expiry { return Expiry{rule: 'a', at: t} }

// Midnight lets an item expire at the midnight (Europe/Brussels) that ends the day of t; the
// zero t means the day on which it is put. It is the rule of an attest, which must be sent on
// the day of the service (dossier 06 B.4.5).
func Midnight(t time.Time) Expiry { return Expiry{rule: 'm', at: t} }

// Days lets an item expire n calendar days after it is put, at the same time of day in
// Belgium. n must be positive.
func Days(n int) Expiry { return Expiry{rule: 'd', days: n} }

// instant is when the item expires that was put at now; zero = never.
func (e Expiry) instant(now time.Time) time.Time {
	switch e.rule {
	case 'a':
		return e.at
	case 'm':
		day := e.at
		if day.IsZero() {
			day = now
		}
		y, m, d := day.In(brussels).Date()
		return time.Date(y, m, d+1, 0, 0, 0, 0, brussels)
	case 'd':
		return now.In(brussels).AddDate(0, 0, e.days)
	}
	return time.Time{}
}

func (e Expiry) valid() bool {
	switch e.rule {
	case 0, 'm':
		return true
	case 'a':
		return !e.at.IsZero()
	case 'd':
		return e.days > 0 && e.days <= 3660
	}
	return false
}

// String names the rule.
func (e Expiry) String() string {
	switch e.rule {
	case 'a':
		return "at " + e.at.UTC().Format(time.RFC3339)
	case 'm':
		return "midnight"
	case 'd':
		return strconv.Itoa(e.days) + " days"
	}
	return "never"
}
