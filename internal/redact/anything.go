package redact

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// anything cleans a value of a type that slog does not know. Handlers print such a value by its
// Error, String or MarshalText method, by %+v or as JSON: it stays only when none of these holds
// something to replace, and becomes a string otherwise.
func anything(v slog.Value, x any) (slog.Value, bool) {
	if b, ok := raw(x); ok {
		return slog.StringValue(bytesText(b)), true
	}
	if e, ok := x.(error); ok && simple(x) { // by far the most frequent
		s, ok := call(e.Error)
		if !ok {
			return unprintable(x), true
		}
		if clean := String(s); clean != s {
			return slog.StringValue(clean), true
		}
		return v, false
	}
	plain, ok := call(func() string { return fmt.Sprintf("%+v", x) })
	if !ok {
		return unprintable(x), true
	}
	doc, isDoc := asJSON(x)
	text, isText := own(x)
	if isText && !dirty(text) && !dirty(plain) && (!isDoc || !dirty(doc)) || !isText && !dirty(plain) && isDoc && !dirty(doc) {
		return v, false
	}
	clean := plain
	switch {
	case isText:
		clean = String(text)
	case isDoc: // names and values are told apart in it, as they are not in %+v
		clean = String(doc)
	}
	if dirty(clean) || numbers(plain) && !isText {
		return unprintable(x), true
	}
	return slog.StringValue(clean), true
}

// simple reports whether an error has one form only.
func simple(x any) bool {
	switch x.(type) {
	case fmt.Formatter, json.Marshaler, encoding.TextMarshaler:
		return false
	}
	return true
}

// own returns the text that the type itself makes.
func own(x any) (string, bool) {
	switch x := x.(type) {
	case encoding.TextMarshaler:
		return call(func() string {
			b, err := x.MarshalText()
			if err != nil {
				return "[no text]"
			}
			return string(b)
		})
	case error:
		return call(x.Error)
	case fmt.Stringer:
		return call(x.String)
	}
	return "", false
}

// asJSON renders as the JSON handler does, without escaping < and >.
func asJSON(x any) (string, bool) {
	failed := false
	s, ok := call(func() string {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		failed = enc.Encode(x) != nil
		return strings.TrimSuffix(b.String(), "\n")
	})
	return s, ok && !failed
}

// call survives methods that panic, such as those of nil pointers.
func call(f func() string) (s string, ok bool) {
	defer func() {
		if recover() != nil {
			s, ok = "", false
		}
	}()
	return f(), true
}

func unprintable(x any) slog.Value {
	return slog.StringValue("[unprintable " + reflect.TypeOf(x).String() + "]")
}

// dirty reports whether a printed value holds something to replace, or bytes printed as numbers,
// which may spell anything.
func dirty(s string) bool {
	return String(s) != s || numbers(s)
}

// numbers finds eight numbers below 256 in a row, "[80 97 116 ...]" or "[80,97,...]".
func numbers(s string) bool {
	const enough = 8
	row := 0
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			row = 0
			continue
		}
		j := i
		for j < len(s) && isDigit(s[j]) {
			j++
		}
		if n, err := strconv.Atoi(s[i:j]); err != nil || n > 255 {
			row = 0
		} else if row++; row >= enough {
			return true
		}
		if j < len(s) && s[j] != ' ' && s[j] != ',' {
			row = 0
		}
		i = j
	}
	return false
}

// raw returns the bytes of a []byte or of a named type of it, such as json.RawMessage.
func raw(x any) ([]byte, bool) {
	if b, ok := x.([]byte); ok {
		return b, true
	}
	if t := reflect.TypeOf(x); t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		if _, ok := x.(fmt.Stringer); ok { // net.IP and its like have a text
			return nil, false
		}
		return reflect.ValueOf(x).Bytes(), true
	}
	return nil, false
}

func bytesText(b []byte) string {
	if !utf8.Valid(b) {
		return "[" + strconv.Itoa(len(b)) + " bytes]"
	}
	return String(string(b))
}
