package redact

import "strings"

// separators are what people put between the parts of an SSIN.
var separators = [...]string{" ", ".", "-", "/", "_", "\t", "\u00a0", "\u202f", "\u2009", "\u2011", "\u2013"}

// maxSeparators is how many may follow each other ("850731 - 997 04").
const maxSeparators = 3

// ssinAt returns the length of the SSIN that starts at s[i], 0 when none does. It must not be
// preceded or followed by a further digit. Separators may stand where people write them:
// YY.MM.DD-NNN.CC, with the date whole or in three parts.
func ssinAt(s string, i int) int {
	if !isDigit(s[i]) || i > 0 && isDigit(s[i-1]) {
		return 0
	}
	var d [11]byte
	var at uint16 // bit n: a separator stands before digit n
	n, j := 0, i
	for n < len(d) {
		if j >= len(s) {
			return 0
		}
		if isDigit(s[j]) {
			d[n] = s[j] - '0'
			n, j = n+1, j+1
			continue
		}
		step := separatorsAt(s, j)
		if step == 0 {
			return 0
		}
		at |= 1 << n
		j += step
	}
	if j < len(s) && isDigit(s[j]) || !written(at) || !checked(d) {
		return 0
	}
	return j - i
}

// separatorsAt returns the length of the separators at s[i] that a digit follows.
func separatorsAt(s string, i int) int {
	j := i
	for range maxSeparators {
		step := 0
		for _, sep := range separators {
			if strings.HasPrefix(s[j:], sep) {
				step = len(sep)
				break
			}
		}
		if step == 0 {
			break
		}
		j += step
	}
	if j == i || j >= len(s) || !isDigit(s[j]) {
		return 0
	}
	return j - i
}

// written accepts separators after the year and the month (both or none), after the date, and
// before the check digits.
func written(at uint16) bool {
	const year, month, date, check = 1 << 2, 1 << 4, 1 << 6, 1 << 9
	return at&^(year|month|date|check) == 0 && (at&year != 0) == (at&month != 0)
}

// checked applies the rule of both centuries (dossier 05 section 6.1).
func checked(d [11]byte) bool {
	rest := 0
	for _, c := range d[:9] {
		rest = (rest*10 + int(c)) % 97
	}
	check := int(d[9])*10 + int(d[10])
	const born2000 = 68 // 2*10^9 mod 97
	return check == 97-rest || check == 97-(rest+born2000)%97
}

// ssinNumber reports whether a number has eleven digits and is one. Shorter ones, whose zeros in
// front are lost, are left: unix times have ten digits.
func ssinNumber(n uint64) bool {
	if n < 1e10 || n >= 1e11 {
		return false
	}
	var d [11]byte
	for i := len(d) - 1; i >= 0; i-- {
		d[i] = byte(n % 10)
		n /= 10
	}
	return checked(d)
}
