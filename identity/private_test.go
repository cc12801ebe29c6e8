package identity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// No way of printing shows the text.
func TestPrivate(t *testing.T) {
	p := Hide("secret")
	if p.Reveal() != "secret" || p.IsZero() || p != Hide("secret") || !Hide("").IsZero() || Hide("").String() != "" {
		t.Fatal("not the text that was hidden")
	}
	type exported struct{ P Private }
	type unexported struct{ p Private }
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{p, &p, exported{p}, unexported{p}, []Private{p}, map[string]Private{"a": p}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb, v)
		}
		log.Info("x", "v", v)
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(j)
	}
	for _, s := range []string{"secret", "736563726574"} {
		if strings.Contains(out.String(), s) {
			t.Errorf("%s stands in %s", s, out.String())
		}
	}
	if !strings.Contains(out.String(), hidden) {
		t.Error("nothing was printed at all")
	}
}
