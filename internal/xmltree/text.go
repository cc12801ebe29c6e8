package xmltree

import (
	"strings"
	"unicode/utf8"
)

const (
	unclosedComment = "unclosed comment"
	openCDATA       = "<![CDATA["
)

// text reads character data, references and CDATA sections up to other markup,
// as one Text node.
func (p *parser) text() *SyntaxError {
	if end := strings.IndexByte(p.s[p.pos:], '<'); end > 0 && lacks(p.s[p.pos:p.pos+end], "&\r]") {
		data := p.s[p.pos : p.pos+end]
		if p.pos += end; !p.at(openCDATA) {
			return p.addText(data)
		}
		p.pos -= end
	}
	return p.mixedText()
}

// mixedText is text for what is more than one plain run.
func (p *parser) mixedText() *SyntaxError {
	start, plain := p.pos, true
	p.buf = p.buf[:0]
	run := p.pos // start of what is not yet in buf
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		if class[c]&cTextStop == 0 {
			p.pos++
			continue
		}
		if c == ']' {
			if p.at("]]>") {
				return p.syntax("]]> in text")
			}
			p.pos++
			continue
		}
		if c == '<' && !p.at(openCDATA) {
			break
		}
		plain = false
		p.buf = append(p.buf, p.s[run:p.pos]...)
		if err := p.textSpecial(c); err != nil {
			return err
		}
		run = p.pos
	}
	data := p.s[start:p.pos]
	if !plain {
		p.buf = append(p.buf, p.s[run:p.pos]...)
		data = string(p.buf)
	}
	if data == "" { // only an empty CDATA section
		return nil
	}
	return p.addText(data)
}

func (p *parser) addText(data string) *SyntaxError {
	n, err := p.node(Text)
	if err != nil {
		return err
	}
	n.data = data
	return nil
}

// textSpecial appends to buf what the construct starting with c stands for.
func (p *parser) textSpecial(c byte) *SyntaxError {
	switch c {
	case '&':
		return p.reference()
	case '\r':
		p.lineEnd()
		p.buf = append(p.buf, '\n')
		return nil
	}
	p.pos += len(openCDATA)
	end := strings.Index(p.s[p.pos:], "]]>")
	if end < 0 {
		return p.syntax("unclosed CDATA section")
	}
	p.buf = appendLines(p.buf, p.s[p.pos:p.pos+end])
	p.pos += end + len("]]>")
	return nil
}

// lineEnd steps over CR or CR LF (XML 1.0, 2.11).
func (p *parser) lineEnd() {
	p.pos++
	if p.at("\n") {
		p.pos++
	}
}

// appendLines appends s with CR and CR LF made LF.
func appendLines(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, '\r')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(append(dst, s[:i]...), '\n')
		s = strings.TrimPrefix(s[i+1:], "\n")
	}
}

func (p *parser) lines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	p.buf = appendLines(p.buf[:0], s)
	return string(p.buf)
}

// attrValue reads a quoted attribute value, normalised as CDATA (XML 1.0,
// 3.3.3): literal white space becomes a space, character references stay.
func (p *parser) attrValue() (string, *SyntaxError) {
	if !p.at(`"`) && !p.at("'") {
		return "", p.syntax("quoted attribute value expected")
	}
	quote := p.s[p.pos]
	p.pos++
	start, run, plain := p.pos, p.pos, true
	p.buf = p.buf[:0]
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		if class[c]&cAttrStop == 0 {
			p.pos++
			continue
		}
		switch c {
		case quote:
			value := p.s[start:p.pos]
			if !plain {
				p.buf = append(p.buf, p.s[run:p.pos]...)
				value = string(p.buf)
			}
			p.pos++
			return value, nil
		case '"', '\'': // the other quote
			p.pos++
			continue
		case '<':
			return "", p.syntax("'<' in attribute value")
		}
		plain = false
		p.buf = append(p.buf, p.s[run:p.pos]...)
		if err := p.attrSpecial(c); err != nil {
			return "", err
		}
		run = p.pos
	}
	return "", p.syntax("unclosed attribute value")
}

func (p *parser) attrSpecial(c byte) *SyntaxError {
	switch c {
	case '&':
		return p.reference()
	case '\r':
		p.lineEnd()
	default: // TAB, LF
		p.pos++
	}
	p.buf = append(p.buf, ' ')
	return nil
}

// maxReference bounds the length of a reference; a character reference may
// have leading zeros.
const maxReference = 32

// reference reads &name; or &#n; and appends the character to buf.
func (p *parser) reference() *SyntaxError {
	rest := p.s[p.pos:]
	end := strings.IndexByte(rest[:min(len(rest), maxReference)], ';')
	if end < 0 {
		return p.syntax("malformed reference")
	}
	body := rest[1:end]
	if digits, ok := strings.CutPrefix(body, "#"); ok {
		r, ok := charRef(digits)
		if !ok {
			return p.syntax("invalid character reference")
		}
		p.buf = utf8.AppendRune(p.buf, r)
	} else {
		c := entity(body)
		if c == 0 {
			return p.syntax("undefined entity")
		}
		p.buf = append(p.buf, c)
	}
	p.pos += end + 1
	return nil
}

// entity returns the character of a predefined entity, 0 for any other name.
func entity(name string) byte {
	switch name {
	case "lt":
		return '<'
	case "gt":
		return '>'
	case "amp":
		return '&'
	case "apos":
		return '\''
	case "quot":
		return '"'
	}
	return 0
}

// charRef reads "10" or "x0A" (lower case x only).
func charRef(digits string) (rune, bool) {
	base := rune(10)
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	if digits == "" {
		return 0, false
	}
	var r rune
	for i := range len(digits) {
		d := digitValue(digits[i])
		if d >= base {
			return 0, false
		}
		r = r*base + d
		if r > utf8.MaxRune {
			return 0, false
		}
	}
	return r, isChar(r)
}

func digitValue(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return 99
}

// comment reads a comment and returns its text.
func (p *parser) comment() (string, *SyntaxError) {
	body := p.s[p.pos+len("<!--"):]
	end := strings.Index(body, "--")
	if end < 0 {
		return "", p.syntax(unclosedComment)
	}
	if !strings.HasPrefix(body[end:], "-->") {
		return "", p.syntax("-- in comment")
	}
	p.pos += len("<!--") + end + len("-->")
	return p.lines(body[:end]), nil
}

// procInst reads a processing instruction.
func (p *parser) procInst() (target, data string, err *SyntaxError) {
	start := p.pos
	body := p.s[p.pos+len("<?"):]
	end := strings.Index(body, "?>")
	if end < 0 {
		return "", "", p.syntax("unclosed processing instruction")
	}
	body = body[:end]
	target, data = body, ""
	if i := strings.IndexAny(body, " \t\r\n"); i >= 0 {
		target, data = body[:i], strings.TrimLeft(body[i:], " \t\r\n")
	}
	switch {
	case strings.Contains(target, ":"):
		return "", "", p.fail(ErrNamespace, start, "colon in a processing instruction target")
	case !isNCName(target):
		return "", "", p.fail(ErrSyntax, start, "invalid processing instruction target")
	case strings.EqualFold(target, "xml"):
		return "", "", p.fail(ErrSyntax, start, "misplaced or reserved xml processing instruction")
	}
	p.pos += len("<?") + end + len("?>")
	return target, p.lines(data), nil
}
