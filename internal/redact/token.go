package redact

import "strings"

const (
	minBase64 = 32  // 24 bytes; UUIDs without dashes and trace ids have 32 too, but one case only
	minHex    = 48  // 24 bytes; SHA-1 and git hashes have 40
	anyRun    = 256 // longer runs hide something, whatever they look like
	minJWT    = 12
	minBearer = 8
)

// inRun reports whether c belongs to the alphabets of base64, both of them.
func inRun(c byte) bool {
	return isAlnum(c) || c == '+' || c == '/' || c == '-' || c == '_' || c == '='
}

func runEnd(s string, i int) int {
	for i < len(s) && inRun(s[i]) {
		i++
	}
	return i
}

// tokenAt judges the run s[i:end] and returns where what must be replaced starts and ends, 0, 0
// when nothing must.
func tokenAt(s string, i, end int) (from, to int) {
	if s[i] == 'e' && end-i >= minJWT && strings.HasPrefix(s[i:], "eyJ") {
		for end < len(s) && (s[end] == '.' || inRun(s[end])) {
			end++
		}
		return i, end
	}
	// "=" ends base64 and also parts a name from its value.
	if eq := strings.IndexByte(s[i:end], '='); eq >= 0 && eq+1 < end-i && tokenLike(s[i+eq+1:end]) {
		return i + eq + 1, wrapped(s, end)
	}
	if tokenLike(s[i:end]) {
		return i, wrapped(s, end)
	}
	if n := end - i; n == len("bearer") && fold(s[i:end], "bearer") || n == len("basic") && fold(s[i:end], "basic") {
		return credentials(s, end)
	}
	return 0, 0
}

// credentials finds what follows "Bearer" or "Basic"; plain words are left.
func credentials(s string, i int) (from, to int) {
	for i < len(s) && s[i] == ' ' {
		i++
	}
	end := i
	for end < len(s) && (inRun(s[end]) || s[end] == '.' || s[end] == '~') {
		end++
	}
	if end-i < minBearer {
		return 0, 0
	}
	for _, c := range []byte(s[i+1 : end]) {
		if !isLower(c) {
			return i, end
		}
	}
	return 0, 0
}

// tokenLike tells base64 and hexadecimal from words, paths and names by how often neighbours are
// of another class (upper, lower, digit, other): in random base64 at 64 of 100 places, in
// hexadecimal at 47, in a path of CamelCase words at about 25.
func tokenLike(run string) bool {
	if len(run) < minBase64 {
		return false
	}
	var classes [4]int
	changes, last := 0, -1
	for i := range len(run) {
		c := 3
		switch {
		case isUpper(run[i]):
			c = 0
		case isLower(run[i]):
			c = 1
		case isDigit(run[i]):
			c = 2
		}
		classes[c]++
		if c != last && last >= 0 {
			changes++
		}
		last = c
	}
	many := changes*100 >= len(run)*40
	switch {
	case len(run) >= anyRun && classes[0]+classes[1]+classes[2] > len(run)/2:
		return true
	case classes[0] > 0 && classes[1] > 0:
		return many
	}
	return len(run) >= minHex && many && classes[3] < len(run)/16
}

// wrapped extends a token over the lines that follow, since base64 is often broken into lines,
// the last one shorter.
func wrapped(s string, end int) int {
	for {
		next := end
		for next < len(s) && (s[next] == '\r' || s[next] == '\n') {
			next++
		}
		if next == end {
			return end
		}
		stop := runEnd(s, next)
		if stop == next || stop < len(s) && s[stop] != '\n' && s[stop] != '\r' {
			return end
		}
		end = stop
	}
}

// fold compares with a lower-case word.
func fold(s, lowered string) bool {
	if len(s) != len(lowered) {
		return false
	}
	for i := range len(s) {
		if lower(s[i]) != lowered[i] {
			return false
		}
	}
	return true
}
