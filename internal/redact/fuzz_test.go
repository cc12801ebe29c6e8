package redact

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// Another way to find SSINs, to judge ours: a pattern and big numbers.
var (
	ninetySeven = big.NewInt(97)
	sep         = "(?:[ ./_\t-]|\u00a0|\u2013)"
	gap         = sep + "{0,3}"
	form        = regexp.MustCompile(`^(?:\d{6}|\d\d` + sep + `{1,3}\d\d` + sep + `{1,3}\d\d)` + gap + `\d{3}` + gap + `\d\d`)
)

// numbersIn returns the SSINs that a person would read in s, each as it is written.
func numbersIn(s string) (found []string) {
	for i := range len(s) {
		if !isDigit(s[i]) || i > 0 && isDigit(s[i-1]) {
			continue
		}
		m := form.FindString(s[i:])
		if m == "" || i+len(m) < len(s) && isDigit(s[i+len(m)]) {
			continue
		}
		digits := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, m)
		if bySchoolbook(digits) {
			found = append(found, m)
		}
	}
	return found
}

func bySchoolbook(digits string) bool {
	for _, prefix := range []string{"", "2"} {
		n, ok := new(big.Int).SetString(prefix+digits[:9], 10)
		if !ok {
			return false
		}
		check := new(big.Int).Sub(ninetySeven, n.Mod(n, ninetySeven))
		if want, _ := new(big.Int).SetString(digits[9:], 10); check.Cmp(want) == 0 {
			return true
		}
	}
	return false
}

func seeds() []string {
	return []string{
		"", ssin, ssin2000, "85.07.31-997.04 and 85 07 31 997 04", "x" + ssin + "@example.be", "<a>" + ssin + "</a>" + ssin, "&lt;a", `\u003ca`, "%3ca%3e",
		"a=" + aToken, aJWT, "Bearer x1" + ssin, `{"pin":"` + ssin + `","x":{"patient":[1]}}`, "-----BEGIN A-----" + ssin, "https://u:" + ssin + "@h",
		"pin=" + ssin + "&" + ssin, "12.34.56-85.07.31-997.04", aToken + "\n" + ssin + "\n", "\xff" + ssin, "85\u00a007\u00a031997\u201304", strings.Repeat("1", 11),
	}
}

func FuzzString(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := String(s)
		if left := numbersIn(got); len(left) != 0 {
			t.Fatalf("%q: left in %q", left, got)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Fatalf("%q: characters broken in %q", s, got)
		}
	})
}

// texts is what a JSON line says: its strings and names, decoded.
func texts(t *testing.T, data []byte) (all []string) {
	t.Helper()
	for dec := json.NewDecoder(bytes.NewReader(data)); dec.More(); {
		tok, err := dec.Token()
		if err != nil {
			t.Fatalf("%v: %q", err, data)
		}
		if s, ok := tok.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func FuzzHandler(f *testing.F) {
	for _, s := range seeds() {
		f.Add("m "+s, "k", s, int64(85073199704))
		f.Add("m", s, s+" "+s, int64(1))
	}
	f.Fuzz(func(t *testing.T, msg, key, val string, n int64) {
		var b bytes.Buffer
		h := New(slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: noTime}))
		slog.New(h).With(key, val).WithGroup(val).Info(msg, key, val, "n", n, "err", errors.New(val), "s", stringer{val},
			"l", []string{key, val}, "m", map[string]any{key: val}, "p", &person{Name: key, Note: &val}, "b", []byte(val),
			slog.Group(key, "v", valuer{slog.StringValue(val)}, "n", n))
		for _, s := range texts(t, b.Bytes()) {
			if left := numbersIn(s); len(left) != 0 {
				t.Fatalf("%q left in %q", left, b.String())
			}
		}
	})
}
