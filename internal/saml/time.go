package saml

import (
	"fmt"
	"time"
)

// ParseTime reads an xs:dateTime that says its offset from UTC: "Z" or "+02:00", any number of digits of a second. SAML and
// WS-Security times without offset would mean different instants to different readers; they are refused with ErrFormat.
func ParseTime(s string) (time.Time, error) {
	// time.Parse alone also takes a comma for the point.
	const comma = 19 // index in "2006-01-02T15:04:05,"
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || len(s) > comma && s[comma] == ',' {
		return time.Time{}, fmt.Errorf("%w: not a date and time with offset", ErrFormat)
	}
	return t, nil
}
