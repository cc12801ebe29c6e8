package redact

import "strings"

// What stands in the place of what was taken out.
const (
	ssinMark   = "[ssin]"
	xmlMark    = "[xml]"
	pemMark    = "[pem]"
	tokenMark  = "[token]"
	emailMark  = "[email]"
	maskedMark = "[masked]"
)

// String returns s with everything replaced that the package comment lists. It returns s itself,
// without allocating, when there is nothing.
func String(s string) string {
	var t text
	t.s = s
	t.scan()
	if t.out == nil {
		return s
	}
	return string(append(t.out, s[t.done:]...))
}

// text is the scan of one string: what is before done stands in out or was replaced.
type text struct {
	s    string
	out  []byte
	done int
}

func (t *text) replace(from, to int, mark string) int {
	from = max(from, t.done)
	if t.out == nil {
		t.out = make([]byte, 0, len(t.s)+len(mark))
	}
	t.out = append(append(t.out, t.s[t.done:from]...), mark...)
	t.done = to
	return to
}

// special marks the bytes at which something can start.
var special = func() (set [256]bool) {
	for c := range 256 {
		set[c] = inRun(byte(c))
	}
	for _, c := range []byte("<&\\%@:") {
		set[c] = true
	}
	return set
}()

func (t *text) scan() {
	s, run := t.s, 0 // run: end of the run of token characters that was judged
	for i := 0; i < len(s); {
		c := s[i]
		if !special[c] {
			i++
			continue
		}
		if i >= run && inRun(c) {
			run = runEnd(s, i)
			if from, to := tokenAt(s, i, run); to > 0 && !strings.HasPrefix(s[i:], "-----BEGIN ") {
				t.inside(i, from)
				i = t.replace(from, to, tokenMark)
				run = i
				continue
			}
		}
		if next := t.at(i, c); next > i {
			i = next
			continue
		}
		if isAlnum(c) && !isDigit(c) { // the rest of a word starts nothing, digits excepted
			for i++; i < len(s) && (isLower(s[i]) || isUpper(s[i])); i++ {
			}
			continue
		}
		i++
	}
}

// inside looks for SSINs in the part of a run before its token ("85073199704=...").
func (t *text) inside(i, from int) {
	for ; i < from; i++ {
		if n := ssinAt(t.s, i); n > 0 && i+n <= from {
			i = t.replace(i, i+n, ssinMark) - 1
		}
	}
}

// at replaces what starts at i and returns where to go on, 0 when nothing does.
func (t *text) at(i int, c byte) int {
	s := t.s
	switch {
	case isDigit(c):
		if n := ssinAt(s, i); n > 0 {
			return t.replace(i, i+n, ssinMark)
		}
	case c == '<':
		if strings.HasPrefix(s[i:], "<nil>") {
			return i + len("<nil>")
		}
		return t.markup(i, "<", ">")
	case c == '&' && strings.HasPrefix(s[i:], "&lt;"):
		return t.markup(i, "&lt;", "&gt;")
	case c == '\\' && len(s)-i >= 6 && fold(s[i:i+6], `\u003c`):
		return t.markup(i, s[i:i+6], `\u003`+string(s[i+5]+2))
	case c == '%' && len(s)-i >= 3 && fold(s[i:i+3], "%3c"):
		return t.markup(i, s[i:i+3], "%3"+string(s[i+2]+2))
	case c == '-' && strings.HasPrefix(s[i:], "-----BEGIN "):
		return t.replace(i, pemEnd(s, i), pemMark)
	case c == '@':
		return t.address(i)
	case c == '=' || c == ':':
		if from, to := valueAt(s, i, t.done); to > from {
			return t.replace(from, to, maskedMark)
		}
	}
	return 0
}

// markup replaces from a tag that opens at i to the last end of a tag; to the end of the text when
// an element stays open, since what follows is then its content.
func (t *text) markup(i int, open, end string) int {
	after := i + len(open)
	if after < len(t.s) {
		switch c := t.s[after]; {
		case isUpper(c), isLower(c), c == '/', c == '?', c == '!', c == '_', c >= 0x80, c == '%', c == '\\', c == '&':
		default:
			return 0
		}
	}
	if after == len(t.s) && i > 0 && t.s[i-1] == ' ' {
		return 0
	}
	to := len(t.s)
	if last := strings.LastIndex(t.s, end); last > i && closed(t.s[i:last], open, end) {
		to = last + len(end)
	}
	return t.replace(i, to, xmlMark)
}

// closed reports whether as many elements end as start in a document whose last end mark is cut
// off.
func closed(doc, open, end string) bool {
	depth := 0
	for tag := range strings.SplitSeq(doc, open) {
		if tag == "" {
			continue
		}
		name, _, _ := strings.Cut(tag, end)
		switch c := tag[0]; {
		case c == '/', c == '%' && strings.HasPrefix(tag, "%2"):
			depth--
		case c == '?', c == '!', strings.HasSuffix(name, "/"), strings.HasSuffix(name, "%2F"), strings.HasSuffix(name, "%2f"):
		default:
			depth++
		}
	}
	return depth <= 0
}

func pemEnd(s string, i int) int {
	const end = "-----END "
	n := strings.Index(s[i:], end)
	if n < 0 {
		return len(s)
	}
	i += n + len(end)
	if n = strings.Index(s[i:], "-----"); n < 0 {
		return len(s)
	}
	return i + n + len("-----")
}

const (
	maxLocal  = 128
	maxDomain = 255
)

// address replaces an e-mail address around the @ at i, or what stands before it in a URL.
func (t *text) address(i int) int {
	s, from := t.s, i
	for from > t.done && i-from < maxLocal && !strings.ContainsRune(" \t\r\n\"'<>()[]{},;/|@", rune(s[from-1])) {
		from--
	}
	if from == i && i != t.done {
		return 0
	}
	if from >= 2 && s[from-1] == '/' && s[from-2] == '/' { // scheme://user:password@host
		return t.replace(from, i, maskedMark) + 1
	}
	to := domainEnd(s, i+1)
	if to == 0 {
		return 0
	}
	if n := strings.LastIndexAny(s[from:i], ":="); n >= 0 { // mailto:, from=
		from += n + 1
	}
	return t.replace(from, to, emailMark)
}

// domainEnd returns the end of the domain at i: labels with dots, the last of letters ("v1.2" is
// a version). 0 when there is none.
func domainEnd(s string, i int) int {
	to := i
	for to < len(s) && to-i < maxDomain && (isAlnum(s[to]) || s[to] == '.' || s[to] == '-') {
		to++
	}
	for to > i && (s[to-1] == '.' || s[to-1] == '-') { // the full stop of the sentence
		to--
	}
	dot := strings.LastIndexByte(s[i:to], '.')
	if dot <= 0 || to-i-dot < len(".be") {
		return 0
	}
	for _, c := range []byte(s[i+dot+1 : to]) {
		if isDigit(c) {
			return 0
		}
	}
	return to
}
