package kmehr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
)

// secrets stand in the document of secretive, each in another place.
var secrets = []string{
	"00000000196", "10000007004", "Zebedee", "Quillfeather", "1987-06-05", "Drsurname", "Drfirst", "+3299999999", "Quietstreet", "1234566",
	"Zorbinol", "thrice at noon", "Hushphrase", "0512399", "Elixirium", "8012399", "Clusterine", "ingredientine", "f00dface", "20300115093000777",
	"proofofsam", "keptsecret",
}

func secretive() Prescription {
	p := full()
	p.ID, p.LocalID = Hide("10000007004.20300115093000777"), Hide("f00dface-0000-4000-8000-0000000000b1")
	p.Patient.FirstName, p.Patient.FamilyName, p.Patient.Birth = Hide("Zebedee"), Hide("Quillfeather"), NewDay(1987, 6, 5)
	p.Author.FirstName, p.Author.FamilyName, p.Author.Phone = Hide("Drfirst"), Hide("Drsurname"), Hide("+3299999999")
	p.Author.Address.Street = Hide("Quietstreet")
	p.Items[0].Medicine.Name, p.Items[0].Posology, p.Items[0].Proof = Hide("Zorbinol"), Text{"fr", Hide("thrice at noon")}, Hide("proofofsam")
	p.Items[0].Notes = []Text{{"fr", Hide("Hushphrase")}}
	p.Items[2].Magistral = &Magistral{Compounds: []Compound{{Substance: Hide("ingredientine")}}}
	p.Items[3].Magistral.Formulary = &Formulary{Hide("0512399"), Hide("Elixirium"), "fr"}
	p.Items[4].Group.Code, p.Items[4].Group.Name = Hide("8012399"), Hide("Clusterine")
	return p
}

func leaks(t *testing.T, what, text string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%s shows %s: %.200s", what, s, text)
		}
	}
}

func TestNothingPrintsContent(t *testing.T) {
	doc := must[[]byte](t)(Write(secretive()))
	doc = bytes.Replace(doc, []byte("</lifecycle>"), []byte(`</lifecycle><severity><cd S="CD-SEVERITY" SV="1.0" DN="keptsecret">high</cd></severity>`), 1)
	for _, s := range secrets {
		if !bytes.Contains(doc, []byte(s)) {
			t.Fatalf("%s is not in the document: the test would prove nothing", s)
		}
	}
	m := must[*Message](t)(Parse(doc))
	p := m.Prescription()
	things := map[string]any{
		"message": m, "message by value": *m, "message in a struct": struct{ M Message }{*m}, "pointer to message": &m, "prescription": p, "pointer": &p, "author": p.Author, "patient": p.Patient, "items": p.Items, "item": p.Items[0],
		"medicine": p.Items[0].Medicine, "group": *p.Items[4].Group, "magistral": p.Items[2].Magistral, "formulary": p.Items[3].Magistral.Formulary,
		"compound": p.Items[2].Magistral.Compounds[0], "posology": p.Items[0].Posology, "lines": m.Summary(), "line": m.Summary()[0],
		"ids": m.HeaderIDs(), "birth": p.Patient.Birth, "extra": p.Items[0].Extra, "element": p.Items[0].Extra[0],
		"unexported": struct{ p Prescription }{p}, "unexported line": struct{ l Line }{m.Summary()[0]},
		"unexported item": struct{ i []Item }{p.Items}, "map": map[string]any{"x": p},
	}
	everything(things, "prescription", reflect.ValueOf(&p).Elem())
	everything(things, "lines", reflect.ValueOf(m.Summary()))
	if len(things) < 60 {
		t.Fatalf("only %d things", len(things))
	}
	for name, v := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%g", "%T"} {
			leaks(t, name+" "+verb, fmt.Sprintf(verb, v))
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		leaks(t, name+" slog", log.String())
		if text, err := json.Marshal(v); err == nil {
			leaks(t, name+" json", string(text))
		}
	}
}

// everything adds everything within v, by value and behind a pointer.
func everything(things map[string]any, at string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			everything(things, at, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			everything(things, fmt.Sprintf("%s[%d]", at, i), v.Index(i))
		}
	case reflect.Struct:
		things[at], things["&"+at] = v.Interface(), v.Addr().Interface()
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				everything(things, at+"."+f.Name, v.Field(i))
			}
		}
	}
}

// Numbers stand in fields that are no text.
func TestNumbersPrintNothing(t *testing.T) {
	const secret = "773311"
	for _, v := range []any{
		Quantity{Value: secret},
		Quantity{Unit: secret},
		Duration{Value: secret},
		Renewal{Times: secret},
		Renewal{Interval: Duration{Value: secret}},
		Intake{Amount: secret},
		Compound{Prefix: secret},
		Item{Quantity: Quantity{Value: secret}},
		Magistral{Compounds: []Compound{{Quantity: Quantity{Value: secret}}}},
	} {
		p := reflect.New(reflect.TypeOf(v))
		p.Elem().Set(reflect.ValueOf(v))
		for _, x := range []any{v, p.Interface(), []any{v}} {
			text, err := json.Marshal(x)
			if all := fmt.Sprintf("%v %+v %#v %s %d", x, x, x, x, x) + string(text) + slog.AnyValue(x).Resolve().String(); strings.Contains(all, secret) || err != nil {
				t.Errorf("%T: %s, %v", x, all, err)
			}
		}
	}
}

func TestErrorsHoldNoContent(t *testing.T) {
	doc := string(must[[]byte](t)(Write(secretive())))
	for name, broken := range map[string]string{
		"cut":       doc[:len(doc)-20],
		"content":   strings.ReplaceAll(doc, "<posology>", "<Zorbinol>"),
		"not typed": strings.ReplaceAll(doc, "1987-06-05", "Quillfeather"),
		"attribute": strings.ReplaceAll(doc, `SV="1.15"`, `SV="1.15" Zorbinol="Zebedee"`),
		"rules":     strings.NewReplacer("1234566", "Zorbinol", "8012399", "Clusterine", "00000000196", "Zebedee", "prescribed", "Hushphrase", ">prescription<", ">Quillfeather<").Replace(doc),
		"elements":  strings.NewReplacer("<patient>", "<Zebedee>", "</patient>", "</Zebedee>").Replace(doc),
	} {
		err := Check([]byte(broken), "P0")
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		var invalid *InvalidError
		if errors.As(err, &invalid) {
			leaks(t, name, fmt.Sprintf("%+v", invalid.Violations))
		}
		leaks(t, name, fmt.Sprintf("%+v %v", err, errors.Unwrap(err)))
	}
	p := secretive()
	p.Items[0].Medicine.Name = Hide("Zorbinol\x01")
	p.Items[1].Quantity.Value = "Zorbinol"
	p.Author.NIHII = identity.NIHII{}
	_, err := Write(p)
	if !errors.Is(err, fault.ErrInvalid) {
		t.Fatal(err)
	}
	leaks(t, "Write", fmt.Sprintf("%+v %v", err, errors.Unwrap(err)))
}
