package xpath

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Bounds of one expression. The longest rule in use has some 500 bytes and four levels.
const (
	maxSource = 8 << 10
	maxDepth  = 40
)

var (
	// ErrUnsupported: valid XPath, perhaps, but beyond this package.
	ErrUnsupported = errors.New("xpath: not supported")
	// ErrLimit: the expression is too long or too deep, or takes too many steps.
	ErrLimit = errors.New("xpath: limit exceeded")
	// ErrSyntax: not an expression.
	ErrSyntax = errors.New("xpath: syntax")
)

// SyntaxError tells why and where an expression was refused.
type SyntaxError struct {
	Offset int    // bytes from the start of the expression
	Reason string // names what is wrong, without quoting
	Err    error  // ErrSyntax, ErrUnsupported or ErrLimit
}

// Error names the reason.
func (e *SyntaxError) Error() string { return e.Err.Error() + ": " + e.Reason }

// Unwrap returns the sentinel.
func (e *SyntaxError) Unwrap() error { return e.Err }

type tokenKind uint8

const (
	tEnd tokenKind = iota
	tPunct
	tOperator
	tName
	tLiteral
	tNumber
)

type token struct {
	kind tokenKind
	text string
	at   int
}

type lexer struct {
	src  string
	pos  int
	prev token // decides whether * and names are operators (XPath 1.0 section 3.7)
}

func lex(src string) ([]token, error) {
	if len(src) > maxSource {
		return nil, &SyntaxError{0, "expression too long", ErrLimit}
	}
	if !utf8.ValidString(src) {
		return nil, &SyntaxError{0, "not UTF-8", ErrSyntax}
	}
	l := &lexer{src: src}
	var all []token
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		all, l.prev = append(all, t), t
		if t.kind == tEnd {
			return all, nil
		}
	}
}

func (l *lexer) next() (token, error) {
	for l.pos < len(l.src) && strings.IndexByte(" \t\r\n", l.src[l.pos]) >= 0 {
		l.pos++
	}
	at := l.pos
	if at == len(l.src) {
		return token{tEnd, "", at}, nil
	}
	rest := l.src[at:]
	for _, p := range []string{"..", "::", "//", "!=", "<=", ">="} {
		if strings.HasPrefix(rest, p) {
			return l.take(len(p)), nil
		}
	}
	switch c := rest[0]; {
	case c == '"' || c == '\'':
		end := strings.IndexByte(rest[1:], c)
		if end < 0 {
			return token{}, &SyntaxError{at, "literal without end", ErrSyntax}
		}
		l.pos += end + 2
		return token{tLiteral, rest[1 : end+1], at}, nil
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]):
		n := numberLen(rest)
		l.pos += n
		return token{tNumber, rest[:n], at}, nil
	case c == '$':
		return token{}, &SyntaxError{at, "variable", ErrUnsupported}
	case strings.IndexByte("()[].@,/|+-=<>*", c) >= 0:
		return l.take(1), nil
	}
	return l.name(rest)
}

// take makes a punctuation or operator token of n bytes.
func (l *lexer) take(n int) token {
	t := token{tPunct, l.src[l.pos : l.pos+n], l.pos}
	switch t.text {
	case "=", "!=", "<", "<=", ">", ">=", "+", "-", "|", "/", "//":
		t.kind = tOperator
	case "*":
		if l.afterOperand() {
			t.kind = tOperator
		} else {
			t.kind = tName
		}
	}
	l.pos += n
	return t
}

func (l *lexer) name(rest string) (token, error) {
	at, n := l.pos, 0
	for n < len(rest) {
		r, size := utf8.DecodeRuneInString(rest[n:])
		colon := r == ':' && n > 0 && !strings.HasPrefix(rest[n:], "::")
		if !colon && !isNameRune(r, n == 0) {
			break
		}
		n += size
	}
	if n == 0 {
		return token{}, &SyntaxError{at, "unexpected character", ErrSyntax}
	}
	l.pos += n
	t := token{tName, rest[:n], at}
	if l.afterOperand() {
		switch t.text {
		case "and", "or", "mod", "div":
			t.kind = tOperator
		default:
			return token{}, &SyntaxError{at, "name where an operator is due", ErrSyntax}
		}
	}
	return t, nil
}

// afterOperand tells that an operator is due.
func (l *lexer) afterOperand() bool {
	switch l.prev.kind {
	case tName, tLiteral, tNumber:
		return true
	case tPunct:
		return l.prev.text == ")" || l.prev.text == "]" || l.prev.text == "." || l.prev.text == ".."
	}
	return false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNameRune(r rune, first bool) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_', r >= 0x80 && r != utf8.RuneError:
		return true
	case first:
		return false
	}
	return r >= '0' && r <= '9' || r == '-' || r == '.'
}

func numberLen(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	if n < len(s) && s[n] == '.' {
		n++
		for n < len(s) && isDigit(s[n]) {
			n++
		}
	}
	return n
}
