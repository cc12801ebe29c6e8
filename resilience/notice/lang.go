package notice

import (
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the zone must be known on machines without a zone database (Windows, minimal containers)
)

// Lang is a language of the texts: "en", "fr", "nl" or "de". Methods that take a Lang accept
// whatever [ParseLang] accepts, and show English for anything else.
type Lang string

// The languages.
const (
	EN Lang = "en"
	FR Lang = "fr"
	NL Lang = "nl"
	DE Lang = "de"
)

// languages is how many there are; texts are stored in the order EN, FR, NL, DE.
const languages = 4

// Langs returns the languages in the order of the dossier: EN, FR, NL, DE.
func Langs() []Lang { return []Lang{EN, FR, NL, DE} }

// codes are the ISO 639 codes of two and three letters (terminology and bibliography).
var codes = [languages][]string{{"en", "eng"}, {"fr", "fra", "fre"}, {"nl", "nld", "dut"}, {"de", "deu", "ger"}}

// ParseLang reads a language tag: its first part decides, in any case, and what follows
// ("-BE", "_BE.UTF-8", "@euro", ";q=0.8") is ignored. For any other language it returns EN and
// false.
func ParseLang(tag string) (Lang, bool) {
	tag = strings.TrimSpace(tag)
	if i := strings.IndexAny(tag, "-_.@;,"); i >= 0 {
		tag = tag[:i]
	}
	for i, all := range codes {
		for _, c := range all {
			if strings.EqualFold(tag, c) {
				return Langs()[i], true
			}
		}
	}
	return EN, false
}

// index is the place of the language in the tables.
func (l Lang) index() int {
	switch l {
	case EN:
		return 0
	case FR:
		return 1
	case NL:
		return 2
	case DE:
		return 3
	}
	if p, ok := ParseLang(string(l)); ok {
		return p.index()
	}
	return 0
}

var months = [languages][12]string{
	{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
	{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
	{"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"},
	{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
}

// noTime and noDate stand for a moment that was not given.
const (
	noTime = "--:--"
	noDate = "--"
)

var brussels = mustZone("Europe/Brussels")

// mustZone cannot fail: the zone database is part of the program.
func mustZone(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic("notice: " + err.Error())
	}
	return loc
}

// clock shows a time of day in Belgium.
func clock(t time.Time) string {
	if t.IsZero() {
		return noTime
	}
	return t.In(brussels).Format("15:04")
}

// date shows a day in Belgium: "9 August 2018", "1er août 2018", "9 augustus 2018",
// "9. August 2018".
func date(t time.Time, lang int) string {
	if t.IsZero() {
		return noDate
	}
	y, m, d := t.In(brussels).Date()
	day := strconv.Itoa(d)
	switch Langs()[lang] {
	case FR:
		if d == 1 {
			day = "1er"
		}
	case DE:
		day += "."
	}
	return day + " " + months[lang][m-1] + " " + strconv.Itoa(y)
}

// duration shows whole minutes, rounded up, at least one: "1 min", "1 h 20 min". The symbols
// are the same in the four languages.
func duration(d time.Duration) string {
	minutes := max(int64((d+time.Minute-1)/time.Minute), 1)
	if d > time.Duration(1<<62) { // too near the end of the range to round up
		minutes = int64(d / time.Minute)
	}
	h, m := minutes/60, minutes%60
	switch {
	case h == 0:
		return strconv.FormatInt(m, 10) + " min"
	case m == 0:
		return strconv.FormatInt(h, 10) + " h"
	}
	return strconv.FormatInt(h, 10) + " h " + strconv.FormatInt(m, 10) + " min"
}
