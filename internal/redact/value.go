package redact

import "strings"

// maxName bounds how far left of a separator a name is looked for.
const maxName = 48

// valueAt finds the value to mask behind a telling name: name=value, name:value,
// "name":"value", name: value. i is the place of '=' or ':', least where the name may begin.
func valueAt(s string, i, least int) (from, to int) {
	j := i
	if j > least && s[j-1] == ' ' && s[i] == '=' {
		j--
	}
	quoted := false
	if j > least && (s[j-1] == '"' || s[j-1] == '\'' || s[j-1] == '`') {
		j, quoted = j-1, true
		if j > least && s[j-1] == '\\' {
			j--
		}
	}
	k := j
	for k > least && j-k < maxName && (isAlnum(s[k-1]) || s[k-1] == '_' || s[k-1] == '-' || s[k-1] == '.') {
		k--
	}
	if k == j {
		return 0, 0
	}
	r, counting := judge(s[k:j])
	if r <= opaque || counting {
		return 0, 0
	}
	from = i + 1
	for from < len(s) && s[from] == ' ' {
		if s[i] == ':' && !quoted && r != strong {
			return 0, 0 // a sentence: "sts: token: refused"
		}
		from++
	}
	return from, valueEnd(s, from, r == strong && !quoted)
}

// valueEnd returns the end of the value at i; i itself when it needs no mask. A greedy value may
// hold punctuation, as passwords do.
func valueEnd(s string, i int, greedy bool) int {
	rest := s[i:]
	switch {
	case rest == "", strings.HasPrefix(rest, "//"), strings.HasPrefix(rest, "<nil>"), strings.HasPrefix(rest, "null"),
		rest[0] == '[' && marked(rest):
		return i
	}
	for _, q := range [...]string{`\"`, `"`, `'`, "`"} {
		if strings.HasPrefix(rest, q) {
			return quotedEnd(s, i+len(q), q)
		}
	}
	if n := strings.IndexAny(rest, "{["); n >= 0 && opening(rest[:n]) {
		return bracketEnd(s, i+n)
	}
	stop := " \t\r\n&\"]}"
	if !greedy {
		stop += ",;)'<>"
	}
	if n := strings.IndexAny(rest, stop); n >= 0 {
		return i + n
	}
	return len(s)
}

// quotedEnd returns the place after the closing quote; a quote behind a backslash does not close
// what a bare quote opened.
func quotedEnd(s string, i int, q string) int {
	for j := i; j < len(s); j++ {
		switch {
		case strings.HasPrefix(s[j:], q):
			return j + len(q)
		case s[j] == '\\' && q == `"`:
			j++
		}
	}
	return len(s)
}

// opening reports whether what stands before a bracket belongs to it: nothing, or as package fmt
// prints pointers and maps.
func opening(s string) bool { return s == "" || s == "&" || s == "map" || s == "&map" }

// bracketEnd returns the place after the bracket that closes the one at i, quotes left aside.
func bracketEnd(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '"':
			i = quotedEnd(s, i+1, `"`)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return len(s)
}

func marked(s string) bool {
	for _, m := range [...]string{ssinMark, xmlMark, pemMark, tokenMark, emailMark, maskedMark} {
		if strings.HasPrefix(s, m) {
			return true
		}
	}
	return false
}
