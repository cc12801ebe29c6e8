package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth"
)

// secrets are texts that must not appear where errors are printed or logged.
type secrets []string

// add takes texts that are long enough to be recognised; shorter ones occur by chance.
func (s *secrets) add(texts ...string) {
	for _, x := range texts {
		if x = strings.TrimSpace(x); len(x) >= 4 {
			*s = append(*s, x)
		}
	}
}

// ofEnvironment is everything personal or secret that the environment file knows: all people, all patients, passwords.
func ofEnvironment(t testing.TB) (s secrets) {
	t.Helper()
	b, err := os.ReadFile(env.path)
	if err != nil {
		t.Fatal(err)
	}
	var f ehealth.File
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	s.add(f.Software.Licence.Password, f.Identity.Password)
	for _, p := range append(f.People, env.facts.Organisations...) {
		c := p.Caller
		s.add(c.SSIN, c.NIHII, p.Identity.Password)
		s.add(strings.Fields(c.Name)...)
		if h := c.Holder; h != nil {
			s.add(h.SSIN, h.NIHII)
			s.add(strings.Fields(h.Name)...)
		}
	}
	for _, p := range env.facts.Patients {
		s.add(p.SSIN)
	}
	return s
}

// eleven finds what could be somebody's number even when we do not know it.
var eleven = regexp.MustCompile(`(?:^|[^0-9A-Za-z])([0-9]{11})(?:[^0-9A-Za-z]|$)`)

// check renders v in every way that a program prints or logs, and looks for secrets.
func (s secrets) check(t *testing.T, v any) {
	t.Helper()
	for how, text := range renderings(t, v) {
		for _, x := range s {
			if word(text, x) {
				t.Errorf("%s shows a secret of %d characters (starting %.2q)", how, len(x), x)
			}
		}
		if eleven.MatchString(text) {
			t.Errorf("%s shows eleven digits", how)
		}
	}
}

// word tells whether x stands in text as a word of its own.
func word(text, x string) bool {
	letter := func(b byte) bool {
		return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
	}
	for from := 0; ; {
		i := strings.Index(text[from:], x)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(x)
		if (i == 0 || !letter(text[i-1])) && (end == len(text) || !letter(text[end])) {
			return true
		}
		from = i + 1
	}
}

func renderings(t *testing.T, v any) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	if err, ok := v.(error); ok {
		out["Error"] = err.Error()
		out["a wrapped error"] = fmt.Errorf("asking: %w", err).Error()
		out["a struct around it"] = fmt.Sprintf("%+v", struct{ Cause error }{err})
	}
	var text, structured bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&structured, nil)} {
		slog.New(h).LogAttrs(context.Background(), slog.LevelError, "failed", slog.Any("value", v))
	}
	// The time of the line is not ours, and holds digits.
	_, out["slog text"], _ = strings.Cut(text.String(), "level=")
	_, out["slog JSON"], _ = strings.Cut(structured.String(), `"level"`)
	if b, err := json.Marshal(v); err == nil {
		out["JSON"] = string(b)
	}
	return out
}

// TestLeakCheckFinds proves that the check would find what it looks for.
func TestLeakCheckFinds(t *testing.T) {
	s := ofEnvironment(t)
	if len(s) == 0 {
		t.Fatal("no secrets to look for")
	}
	for _, x := range s {
		if !word("patient "+x+" not found", x) || !word(x, x) || word("1"+x+"1", x) {
			t.Fatal("a secret of the environment is not recognised")
		}
	}
	if !eleven.MatchString("nr 85073199704.") || eleven.MatchString("20261121223616") {
		t.Error("numbers are not recognised")
	}
}
