package bcp

import (
	"errors"
	"strings"
	"time"
)

// maxDuration bounds the life of a cached answer: nothing that a list could sensibly say is longer.
const maxDuration = 10 * 365 * 24 * time.Hour

var errDuration = errors.New("not a duration")

// unit is a designator of xs:duration. Years and months count as 365 and 30 days: a life of an answer needs no calendar.
type unit struct {
	name byte
	size time.Duration
}

var (
	dateUnits = []unit{{'Y', 365 * 24 * time.Hour}, {'M', 30 * 24 * time.Hour}, {'D', 24 * time.Hour}}
	timeUnits = []unit{{'H', time.Hour}, {'M', time.Minute}, {'S', time.Second}}
)

// parseDuration reads an xs:duration that is not negative and not above maxDuration (XML Schema part 2, 3.2.6).
func parseDuration(s string) (time.Duration, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), "P")
	if !ok || rest == "" {
		return 0, errDuration
	}
	date, clock, hasClock := strings.Cut(rest, "T")
	if hasClock && clock == "" {
		return 0, errDuration
	}
	d, err := sumUnits(date, dateUnits)
	if err != nil {
		return 0, err
	}
	c, err := sumUnits(clock, timeUnits)
	if err != nil || d+c > maxDuration {
		return 0, errDuration
	}
	return d + c, nil
}

// sumUnits adds up numbers with designators, each at most once and in order.
func sumUnits(s string, units []unit) (total time.Duration, err error) {
	for s != "" {
		n := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 {
			return 0, errDuration
		}
		i := 0
		for i < len(units) && units[i].name != s[n] {
			i++
		}
		if i == len(units) {
			return 0, errDuration
		}
		d, err := quantity(s[:n], units[i])
		if err != nil {
			return 0, err
		}
		if total += d; total > maxDuration {
			return 0, errDuration
		}
		s, units = s[n+1:], units[i+1:]
	}
	return total, nil
}

// quantity is number × unit. Only seconds may have decimals; those below a nanosecond are dropped.
func quantity(number string, u unit) (time.Duration, error) {
	whole, decimals, fraction := strings.Cut(number, ".")
	if whole == "" || len(whole) > 10 || fraction && (u.name != 'S' || u.size != time.Second || decimals == "" || strings.Contains(decimals, ".")) {
		return 0, errDuration
	}
	var n int64
	for _, c := range whole {
		n = n*10 + int64(c-'0')
	}
	if n > int64(maxDuration/u.size) {
		return 0, errDuration
	}
	d := time.Duration(n) * u.size
	for i, scale := 0, time.Second/10; i < len(decimals) && scale > 0; i, scale = i+1, scale/10 {
		d += time.Duration(decimals[i]-'0') * scale
	}
	return d, nil
}
