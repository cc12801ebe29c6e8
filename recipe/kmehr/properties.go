package kmehr

import (
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"
)

// readProperties yields the keys and values of a Java properties file: comments, continued lines, escapes. Bytes that are not
// UTF-8 are read as ISO-8859-1, which the format was made for.
func readProperties(data []byte) iter.Seq2[string, string] {
	text := string(data)
	if !utf8.ValidString(text) {
		runes := make([]rune, len(data))
		for k, c := range data {
			runes[k] = rune(c)
		}
		text = string(runes)
	}
	return func(yield func(string, string) bool) {
		lines := strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' })
		for k := 0; k < len(lines); k++ {
			line := strings.TrimLeft(lines[k], " \t\f")
			if line == "" || line[0] == '#' || line[0] == '!' {
				continue
			}
			var whole strings.Builder
			for continued(line) && k+1 < len(lines) {
				whole.WriteString(line[:len(line)-1])
				k++
				line = strings.TrimLeft(lines[k], " \t\f")
			}
			whole.WriteString(line)
			if !yield(splitProperty(whole.String())) {
				return
			}
		}
	}
}

// continued tells that the line ends in an odd number of backslashes.
func continued(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

func splitProperty(line string) (key, value string) {
	end := len(line)
	for k := 0; k < len(line); k++ {
		if line[k] == '\\' {
			k++
		} else if strings.IndexByte("=: \t\f", line[k]) >= 0 {
			end = k
			break
		}
	}
	rest := strings.TrimLeft(line[end:], " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], " \t\f")
	}
	return unescape(line[:end]), unescape(rest)
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for k := 0; k < len(s); k++ {
		if s[k] != '\\' || k+1 == len(s) {
			b.WriteByte(s[k])
			continue
		}
		k++
		switch c := s[k]; c {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			if code, err := strconv.ParseUint(s[min(k+1, len(s)):min(k+5, len(s))], 16, 16); err == nil && k+5 <= len(s) {
				b.WriteRune(rune(code))
				k += 4
				continue
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
