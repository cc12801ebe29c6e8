package sandbox

import (
	"math/big"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const nsXS = "http://www.w3.org/2001/XMLSchema"

// xsSimple is a simple type: a name for messages and a test of the text.
type xsSimple struct {
	name     qname
	collapse bool // white space is collapsed before the test (everything but xs:string)
	check    func(string) bool
}

func (s *xsSimple) valid(text string) bool {
	if s.collapse {
		text = collapse(text)
	}
	return s.check(text)
}

// collapse does what whiteSpace="collapse" asks for (XML Schema part 2, section 4.3.6).
func collapse(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r == ' ' || r == '\t' || r == '\n' || r == '\r'
	}), " ")
}

func xsBuiltin(local string, check func(string) bool) *xsSimple {
	return &xsSimple{qname{nsXS, local}, local != "string", check}
}

// The built-in types that the requests use.
var (
	xsString   = xsBuiltin("string", func(string) bool { return true })
	xsBoolean  = xsBuiltin("boolean", isBoolean)
	xsDate     = xsBuiltin("date", func(s string) bool { _, ok := parseDate(s); return ok })
	xsDateTime = xsBuiltin("dateTime", func(s string) bool { _, ok := parseDateTime(s); return ok })
	xsAnyURI   = xsBuiltin("anyURI", isAnyURI)
	xsID       = xsBuiltin("ID", isNCName)
	xsInteger  = xsBuiltin("integer", regexp.MustCompile(`\A[+-]?[0-9]+\z`).MatchString)
	xsBase64   = xsBuiltin("base64Binary", func(s string) bool { _, err := decodeBase64(s); return err == nil })
)

// xsPattern restricts xs:string by a regular expression, written without anchors.
func xsPattern(space, local, expr string) *xsSimple {
	return &xsSimple{qname{space, local}, false, regexp.MustCompile(`\A(?:` + expr + `)\z`).MatchString}
}

// xsLength restricts xs:string to a number of characters.
func xsLength(space, local string, least, most int) *xsSimple {
	return &xsSimple{qname{space, local}, false, func(s string) bool {
		n := utf8.RuneCountInString(s)
		return least <= n && n <= most
	}}
}

// xsEnum restricts a type to a list of values.
func xsEnum(space, local string, values ...string) *xsSimple {
	return &xsSimple{qname{space, local}, false, func(s string) bool {
		for _, v := range values {
			if s == v {
				return true
			}
		}
		return false
	}}
}

// xsNum14 is Num14ReferenceType: xs:decimal from 0 to 99999999999999.
func xsNum14(space, local string) *xsSimple {
	limit := new(big.Rat).SetInt64(99999999999999)
	return &xsSimple{qname{space, local}, true, func(s string) bool {
		if !decimalForm.MatchString(s) || len(s) > maxDecimal {
			return false
		}
		r, ok := new(big.Rat).SetString(s)
		return ok && r.Sign() >= 0 && r.Cmp(limit) <= 0
	}}
}

// maxDecimal bounds the text of a decimal, so that a long one costs nothing.
const maxDecimal = 64

var decimalForm = regexp.MustCompile(`\A[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)\z`)

func isBoolean(s string) bool { return s == "true" || s == "false" || s == "1" || s == "0" }

var (
	dateForm     = regexp.MustCompile(`\A(-?(?:[1-9][0-9]{4,8}|[0-9]{4}))-([0-9]{2})-([0-9]{2})(Z|[+-][0-9]{2}:[0-9]{2})?\z`)
	dateTimeForm = regexp.MustCompile(`\A([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,12})?)(Z|[+-][0-9]{2}:[0-9]{2})?\z`)
	zoneForm     = regexp.MustCompile(`\A(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?\z`)
)

// parseDate reads an xs:date. The zone, which GenIns dates do not carry, is checked and ignored: what is asked is a
// calendar day. The day is given as midnight UTC.
func parseDate(s string) (time.Time, bool) {
	m := dateForm.FindStringSubmatch(s)
	if m == nil || !zoneForm.MatchString(m[4]) {
		return time.Time{}, false
	}
	year, _ := strconv.Atoi(m[1])
	month, _ := strconv.Atoi(m[2])
	day, _ := strconv.Atoi(m[3])
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if year == 0 || t.Year() != year || t.Month() != time.Month(month) || t.Day() != day {
		return time.Time{}, false
	}
	return t, true
}

// parseDateTime reads an xs:dateTime; without a zone it is taken as UTC.
func parseDateTime(s string) (time.Time, bool) {
	m := dateTimeForm.FindStringSubmatch(s)
	if m == nil || !zoneForm.MatchString(m[2]) {
		return time.Time{}, false
	}
	zone := m[2]
	if zone == "" {
		zone = "Z"
	}
	t, err := time.Parse(time.RFC3339Nano, m[1]+zone)
	return t, err == nil
}

// isAnyURI follows libxml2: characters that RFC 3986 forbids count as escaped, the rest must parse.
func isAnyURI(s string) bool {
	b := []byte(s)
	for i, c := range b {
		if c <= ' ' || c >= 127 || strings.IndexByte("<>\"{}|\\^`", c) >= 0 {
			b[i] = '_'
		}
	}
	_, err := url.Parse(string(b))
	return err == nil
}

var ncName = regexp.MustCompile(`\A[\p{L}_][\p{L}\p{M}\p{N}._\-\x{B7}]*\z`)

func isNCName(s string) bool { return ncName.MatchString(s) }
