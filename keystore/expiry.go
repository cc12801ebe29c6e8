package keystore

import (
	"log/slog"
	"time"
)

// NoticeExpiry is the id of the text to show with a [Warning] (dossier 06 part D);
// its parameter {d} is the day of Warning.Date.
const NoticeExpiry = "D-CERT-SOON"

// Level says how near a certificate is to its end.
type Level uint8

// Levels, in growing urgency. A day is 24 hours; a boundary belongs to the more
// urgent side: exactly 30 days before the end is Within30Days.
const (
	Fresh        Level = iota // more than 30 days to go
	Within30Days              // at most 30 days
	Within14Days              // at most 14 days
	Within7Days               // at most 7 days, the last instant included
	Expired                   // past NotAfter
)

// String returns "fresh", "30 days", "14 days", "7 days" or "expired".
func (l Level) String() string {
	names := [...]string{"fresh", "30 days", "14 days", "7 days", "expired"}
	if int(l) < len(names) {
		return names[l]
	}
	return "invalid"
}

// Warning tells that a certificate must be renewed.
type Warning struct {
	Level Level
	// Date is the last instant at which the certificate is valid (RFC 5280
	// 4.1.2.5: NotAfter is included), in UTC; set at every level.
	Date time.Time
	// Notice is [NoticeExpiry], or empty when Level is Fresh.
	Notice string
}

// LogValue shows level and date.
func (w Warning) LogValue() slog.Value {
	return slog.GroupValue(slog.String("level", w.Level.String()), slog.Time("date", w.Date))
}

// Expiry compares the certificate's end with now.
func (c Credential) Expiry(now time.Time) Warning { return expiry(c.Certificate.NotAfter, now) }

// Expiry is the most urgent warning over the keys in use: the authentication key
// and the newest encryption key. Old encryption certificates are expected to have
// expired and count only when nothing else is there.
func (s *Store) Expiry(now time.Time) Warning {
	var ends []time.Time
	if s.auth >= 0 {
		ends = append(ends, s.all[s.auth].Certificate.NotAfter)
	}
	if len(s.encryption) > 0 {
		ends = append(ends, s.encryption[0].Certificate.NotAfter)
	}
	if len(ends) == 0 {
		return Warning{}
	}
	first := ends[0]
	for _, e := range ends[1:] {
		if e.Before(first) {
			first = e
		}
	}
	return expiry(first, now)
}

func expiry(end, now time.Time) Warning {
	const day = 24 * time.Hour
	w := Warning{Date: end.UTC(), Notice: NoticeExpiry}
	switch left := end.Sub(now); {
	case left < 0:
		w.Level = Expired
	case left <= 7*day:
		w.Level = Within7Days
	case left <= 14*day:
		w.Level = Within14Days
	case left <= 30*day:
		w.Level = Within30Days
	default:
		w.Notice = ""
	}
	return w
}
