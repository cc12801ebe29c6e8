package identity

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

// holder keeps an identifier where fmt cannot call its methods.
type holder[T any] struct {
	name   string
	hidden T
	ptr    *T
	list   []T
	any    any
	Open   T
}

// shows tells whether a text holds the number, as it is or as hexadecimal digits of its bytes.
func shows(text, clear string) bool {
	if len(clear) <= 3 { // within an address it occurs by chance
		return regexp.MustCompile(`\b` + regexp.QuoteMeta(clear) + `\b`).MatchString(text)
	}
	hex := fmt.Sprintf("%x", clear)
	return strings.Contains(text, clear) || strings.Contains(text, hex) || strings.Contains(text, strings.ToUpper(hex))
}

// fixture is an identifier with what the redaction tests need of it.
type fixture struct {
	label, clear string
	value        any   // the identifier
	values       []any // the shapes to print: the value, its address, holders
}

func fixtureOf[T interface {
	comparable
	fmt.Stringer
	Reveal() string
}](label string, v T) fixture {
	h := holder[T]{name: "x", hidden: v, ptr: &v, list: []T{v}, any: v, Open: v}
	return fixture{label, v.Reveal(), v, []any{v, &v, h, &h, []T{v}, map[T]int{v: 1}, map[string]any{"k": v}, struct{ v T }{v}}}
}

func fixtures() []fixture {
	return []fixture{
		fixtureOf("SSIN", MustSSIN("85073199704")),
		fixtureOf("NIHII", MustNIHII("19999915001")),
		fixtureOf("CBE", MustCBE("0820563481")),
		fixtureOf("EHP", MustEHP("1999999943")),
		fixtureOf("CNK", MustCNK("9999996")),
		fixtureOf("mutuality", MustMutuality("319")),
		fixtureOf("RID", MustRID("BEP0ABCDEFGH")),
	}
}

func refuseSecret(t *testing.T, where, clear, text string) {
	t.Helper()
	if shows(text, clear) {
		t.Errorf("%s shows the number: %s", where, text)
	}
}

// TestShows: the search finds what it is made for.
func TestShows(t *testing.T) {
	for text, found := range map[string]bool{
		"{319}": true, "x 319": true, `"319"`: true, "%!d(string=319)": true, "{31994856179392}": false, "c000319aa0": false,
	} {
		if shows(text, "319") != found {
			t.Errorf("%s: %v", text, !found)
		}
	}
	for _, text := range []string{"a85073199704b", "3835303733313939373034"} {
		if !shows(text, "85073199704") {
			t.Error(text)
		}
	}
}

func TestRedactionFmt(t *testing.T) {
	for _, f := range fixtures() {
		for i, v := range f.values {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%+s", "%q", "%d", "%x", "%X", "%o", "%b", "%U", "%t", "%c", "%8.3f", "%30v", "%-30s|", "% x", "%#x", "%T"} {
				refuseSecret(t, fmt.Sprintf("%s, shape %d, %s", f.label, i, verb), f.clear, fmt.Sprintf(verb, v))
			}
			refuseSecret(t, f.label, f.clear, fmt.Sprint(v))
			refuseSecret(t, f.label, f.clear, fmt.Errorf("wrapped: %v", v).Error())
		}
	}
}

func TestRedactionSlog(t *testing.T) {
	for _, f := range fixtures() {
		for i, v := range f.values {
			var buf bytes.Buffer
			for _, h := range []slog.Handler{slog.NewTextHandler(&buf, nil), slog.NewJSONHandler(&buf, nil)} {
				slog.New(h).Info("m", "value", v, slog.Group("g", "inner", v))
			}
			refuseSecret(t, fmt.Sprintf("%s, shape %d, slog", f.label, i), f.clear, buf.String())
		}
		var buf bytes.Buffer
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", "value", f.value)
		if !strings.Contains(buf.String(), f.label+"(redacted)") {
			t.Errorf("the log does not say that a %s was there: %s", f.label, buf.String())
		}
	}
}

func TestRedactionEncoders(t *testing.T) {
	for _, f := range fixtures() {
		for i, v := range f.values {
			where := fmt.Sprintf("%s, shape %d", f.label, i)
			j, err := json.Marshal(v)
			refuseSecret(t, where+", json", f.clear, string(j)+fmt.Sprint(err))
			x, err := xml.Marshal(v)
			refuseSecret(t, where+", xml", f.clear, string(x)+fmt.Sprint(err))
			var g bytes.Buffer
			err = gob.NewEncoder(&g).Encode(v)
			refuseSecret(t, where+", gob", f.clear, g.String()+fmt.Sprint(err))
		}
		if _, err := json.Marshal(f.value); !errors.Is(err, ErrReveal) {
			t.Errorf("%s: json of a present value must fail with ErrReveal, got %v", f.label, err)
		}
	}
}

func TestText(t *testing.T) {
	for _, f := range fixtures() {
		s := f.value.(fmt.Stringer)
		if s.String() != f.label+"(redacted)" {
			t.Errorf("String %q", s.String())
		}
		if g := fmt.Sprintf("%#v", f.value); g != "identity."+f.label+"(redacted)" || g != f.value.(fmt.GoStringer).GoString() {
			t.Errorf("%%#v %q", g)
		}
		if q := fmt.Sprintf("%q", f.value); q != `"`+f.label+`(redacted)"` {
			t.Errorf("%%q %s", q)
		}
		if w := fmt.Sprintf("%-30v|", f.value); len(w) != 31 {
			t.Errorf("width is ignored: %q", w)
		}
	}
	if s := fmt.Sprintf("%v %s %#v", SSIN{}, NIHII{}, RID{}); s != "SSIN(absent) NIHII(absent) identity.RID(absent)" {
		t.Error(s)
	}
}

func TestUnmarshalText(t *testing.T) {
	var in struct {
		Patient  SSIN
		Provider NIHII
		Org      CBE
		Hub      EHP
		Product  CNK
		Fund     Mutuality
		Rx       RID
	}
	text := `{"Patient":"85073199704","Provider":"19999915001","Org":"820563481","Hub":"1990000035","Product":"9999996","Fund":"319","Rx":"BEP0ABCDEFGH"}`
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		t.Fatal(err)
	}
	if in.Patient != MustSSIN("85073199704") || in.Provider != MustNIHII("19999915001") || in.Org != MustCBE("0820563481") ||
		in.Hub != MustEHP("1990000035") || in.Product != MustCNK("9999996") || in.Fund != MustMutuality("319") || in.Rx != MustRID("BEP0ABCDEFGH") {
		t.Errorf("decoded %+v", in)
	}
	if err := json.Unmarshal([]byte(`{"Patient":""}`), &in); err != nil || !in.Patient.IsZero() {
		t.Errorf("empty text must mean absent: %v", err)
	}
	before := MustSSIN("85073199704")
	in.Patient = before
	err := json.Unmarshal([]byte(`{"Patient":"85073199705"}`), &in)
	if !errors.Is(err, ErrCheck) || strings.Contains(err.Error(), "85073199705") || in.Patient != before {
		t.Errorf("strict parse: %v", err)
	}
	var m encoding.TextMarshaler = SSIN{}
	if b, err := m.MarshalText(); err != nil || len(b) != 0 {
		t.Errorf("absent: %q %v", b, err)
	}
	out, err := json.Marshal(struct {
		A SSIN `json:"a"`
		B SSIN `json:"b,omitzero"`
	}{})
	if err != nil || string(out) != `{"a":""}` {
		t.Errorf("%s %v", out, err)
	}
}

func TestEqualityAndKeys(t *testing.T) {
	a, b := MustSSIN("85073199704"), MustSSIN("8507319970"+string([]byte{'4'}))
	if a != b {
		t.Error("two parses of the same number differ")
	}
	m := map[SSIN]int{a: 1}
	if m[b] != 1 || a == MustSSIN("15073199817") {
		t.Error("not usable as a key")
	}
}

func TestErrorsDoNotQuote(t *testing.T) {
	inputs := []string{"85073199705", "8507319970x", "850731997041", "BEP0ABCDEFGI", "Jan Peeters", "0820563482", "1234567", "800"}
	for _, in := range inputs {
		for name, parse := range parsers() {
			err := parse(in)
			if err != nil && strings.Contains(err.Error(), in) {
				t.Errorf("%s quotes its input: %v", name, err)
			}
			var pe *ParseError
			if err != nil && !errors.As(err, &pe) {
				t.Errorf("%s: %T", name, err)
			}
		}
	}
}

func parsers() map[string]func(string) error {
	return map[string]func(string) error{
		"SSIN":             func(s string) error { _, err := ParseSSIN(s); return err },
		"SSIN lenient":     func(s string) error { _, err := ParseSSINLenient(s); return err },
		"NIHII":            func(s string) error { _, err := ParseNIHII(s); return err },
		"NIHII lenient":    func(s string) error { _, err := ParseNIHIILenient(s); return err },
		"CBE":              func(s string) error { _, err := ParseCBE(s); return err },
		"CBE lenient":      func(s string) error { _, err := ParseCBELenient(s); return err },
		"EHP":              func(s string) error { _, err := ParseEHP(s); return err },
		"EHP lenient":      func(s string) error { _, err := ParseEHPLenient(s); return err },
		"CNK":              func(s string) error { _, err := ParseCNK(s); return err },
		"CNK lenient":      func(s string) error { _, err := ParseCNKLenient(s); return err },
		"mutuality":        func(s string) error { _, err := ParseMutuality(s); return err },
		"union":            func(s string) error { _, err := ParseUnion(s); return err },
		"RID":              func(s string) error { _, err := ParseRID(s); return err },
		"RID lenient":      func(s string) error { _, err := ParseRIDLenient(s); return err },
		"quality":          func(s string) error { _, err := ParseQuality(s); return err },
		"identifier type":  func(s string) error { _, err := ParseIdentifierType(s); return err },
		"pad":              func(s string) error { _, err := TypeCBE.Pad(s); return err },
		"check identifier": func(s string) error { return TypeSSIN.Check(s) },
	}
}

// must panics with an error that does not name the input.
func TestMustPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"SSIN":      func() { MustSSIN("85073199705") },
		"NIHII":     func() { MustNIHII("19999916") },
		"CBE":       func() { MustCBE("0820563482") },
		"EHP":       func() { MustEHP("1990000036") },
		"CNK":       func() { MustCNK("1234567") },
		"mutuality": func() { MustMutuality("800") },
		"RID":       func() { MustRID("BEP0ABCDEFGI") },
	} {
		func() {
			defer func() {
				if err, ok := recover().(*ParseError); !ok || err.Type != name {
					t.Errorf("%s: panic with %v", name, err)
				}
			}()
			f()
			t.Errorf("%s: no panic", name)
		}()
	}
}
