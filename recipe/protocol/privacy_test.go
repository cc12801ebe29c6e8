package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ehealth-continuity/ehealth/identity"
)

// secretsOf collects every text that names somebody or something in a payload.
func secretsOf(v reflect.Value, found map[string]bool) {
	if !v.CanInterface() {
		return
	}
	switch x := v.Interface().(type) {
	case identity.SSIN:
		found[x.Reveal()] = true
		return
	case identity.NIHII:
		found[x.Reveal()] = true
		return
	case identity.RID:
		found[x.Reveal()] = true
		return
	case identity.Private:
		found[x.Reveal()] = true
		return
	case ResponseKey:
		found[strings.Trim(fmt.Sprint(x.Bytes()), "[]")] = true
		found[string(x.Bytes())] = true
		return
	case Vision:
		found[x.Reveal()] = true
		return
	case time.Time, Date:
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			secretsOf(v.Elem(), found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			secretsOf(v.Index(i), found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			secretsOf(v.Field(i), found)
		}
	}
}

// wrapped holds a payload where fmt cannot call methods of its parts.
type wrapped struct{ p Payload }

func print(t testing.TB, p Payload) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		v := reflect.ValueOf(p).Elem().Interface()
		for _, x := range []any{p, v, []any{v}, map[string]any{"a": v}} {
			fmt.Fprintf(&out, verb, x)
		}
	}
	fmt.Fprintf(&out, "%v %+v %#v", wrapped{p}, wrapped{p}, &wrapped{p})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("p", "p", p)
	slog.New(slog.NewTextHandler(&out, nil)).Info("p", "p", p)
	if b, err := json.Marshal(p); err == nil {
		out.Write(b)
	} else {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

// However a payload is printed, logged or dumped, it names nobody.
func TestNothingIsPrinted(t *testing.T) {
	total := 0
	for root, shape := range shapes {
		gen := rapid.Custom(func(t *rapid.T) Payload {
			p := shape()
			filler{t, true}.fill("", reflect.ValueOf(p).Elem())
			return p
		})
		for seed := range 3 {
			p := gen.Example(seed)
			found := map[string]bool{}
			secretsOf(reflect.ValueOf(p).Elem(), found)
			out := print(t, p)
			for s := range found {
				if len(s) < 6 {
					continue // too short to be told from chance
				}
				total++
				if strings.Contains(out, s) || strings.Contains(out, fmt.Sprintf("%x", s)) {
					t.Errorf("%s: %q is printed: %.2000s", root, s, out)
				}
			}
		}
	}
	if total < 300 {
		t.Errorf("only %d texts were looked for", total)
	}
	// The search finds what is printed.
	if !strings.Contains(print(t, &ValidationPropertiesParam{ClientPropertiesVersion: "85073099704"}), "85073099704") {
		t.Error("the search is blind")
	}
}
