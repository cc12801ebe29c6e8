package kmehr

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr/internal/xpath"
)

const properties = `# rules
! a comment too
kmehr.XSD.28=%CONF%/kmehr.xsd
kmehr.assert.P0.2 = /kmehrmessage/header/id;2;2
kmehr.assert.P0.10: /kmehrmessage/folder/patient[id=';;'];0;0
   kmehr.assert.P0.1=count(/kmehrmessage/folder/transaction/heading/item/posology) \
      =count(/kmehrmessage/folder/transaction/heading/item)
#kmehr.assert.P0.3 = nonsense(
kmehr.assert.P2.1 /kmehrmessage/header/id[\u0040S='ID-KMEHR'];1
`

func TestParseRules(t *testing.T) {
	r := must[Rules](t)(ParseRules([]byte(properties)))
	if !slices.Equal(r.Types(), []identity.PrescriptionType{"P0", "P2"}) || r.Len("P0") != 3 || r.Len("P2") != 1 {
		t.Fatal(r.Types(), r.Len("P0"), r.Len("P2"))
	}
	doc := string(must[[]byte](t)(Write(full())))
	good := must[*Message](t)(Parse([]byte(doc)))
	if v := r.Check(good, "P0"); v != nil {
		t.Error(v)
	}
	bad := must[*Message](t)(Parse([]byte(strings.NewReplacer(
		`<date>2030-01-15</date><time>09:30:00</time><sender>`, `<id S="LOCAL" SV="1">3</id><date>2030-01-15</date><time>09:30:00</time><sender>`,
		`<posology><text L="fr">1 application par jour</text></posology>`, ``,
	).Replace(doc))))
	got := r.Check(bad, "P0")
	want := []Violation{
		{"P0.1", "Items[0].Posology", "/kmehrmessage/folder/transaction/heading/item/posology", "the assertion of the platform does not hold"},
		{"P0.2", "ID", "/kmehrmessage/header/id[3]", "must be there exactly 2 times"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	if v := r.Check(good, "P1"); len(v) != 1 || v[0].Rule != "P1" {
		t.Errorf("no rules for a type: %v", v)
	}
	if v := (Rules{}).Check(good, "P0"); len(v) != 1 {
		t.Errorf("no rules at all: %v", v)
	}
}

func TestParseRulesRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":          {"", ErrRules},
		"other properties": {"a=b\nkmehr.XSD=c", ErrRules},
		"too long":         {strings.Repeat("#", maxProperties+1), ErrRules},
		"too many":         {strings.Repeat("kmehr.assert.P0.1=true()\n", maxRules+1), ErrRules},
		"no number":        {"kmehr.assert.P0=true()", ErrRule},
		"no type":          {"kmehr.assert.1=true()", ErrRule},
		"odd type":         {"kmehr.assert.XYZ.1=true()", ErrRule},
		"number 0":         {"kmehr.assert.P0.0=true()", ErrRule},
		"syntax":           {"kmehr.assert.P0.1=/a[", ErrRule},
		"unknown function": {"kmehr.assert.P0.1=matches(/a, 'x');1", xpath.ErrUnsupported},
		"variable":         {"kmehr.assert.P0.1=$x", xpath.ErrUnsupported},
		"too deep":         {"kmehr.assert.P0.1=" + strings.Repeat("(", 99) + "1" + strings.Repeat(")", 99), xpath.ErrLimit},
		"bound":            {"kmehr.assert.P0.1=/a;one", ErrRule},
		"negative bound":   {"kmehr.assert.P0.1=/a;-1", ErrRule},
		"three bounds":     {"kmehr.assert.P0.1=/a;1;2;3", ErrRule},
		"counted boolean":  {"kmehr.assert.P0.1=true();1", ErrRule},
	} {
		r, err := ParseRules([]byte(c.text))
		if !errors.Is(err, c.want) || !errors.Is(err, fault.ErrProtocol) || r.Types() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`<kmehrmessage xmlns="` + Namespace + `">`)
	for range 20_000 {
		b.WriteString("<a/>")
	}
	b.WriteString("</kmehrmessage>")
	m := must[*Message](t)(Parse([]byte(b.String())))
	var rules strings.Builder
	for k := range 200 {
		rules.WriteString("kmehr.assert.P0." + string(rune('1'+k%9)) + strings.Repeat("0", k/9%3) + " = count(//*[count(//*) > 1]) = 0\n")
	}
	r := must[Rules](t)(ParseRules([]byte(rules.String())))
	if got, _ := numbers(r.Check(m, "P0")); len(got) != r.Len("P0") {
		t.Errorf("%d of %d rules count as broken", len(got), r.Len("P0"))
	}
	many := must[Rules](t)(ParseRules([]byte("kmehr.assert.P0.1=//a;0;0")))
	if got := many.Check(m, "P0"); len(got) > maxViolations {
		t.Errorf("%d violations", len(got))
	}
}

func TestReadProperties(t *testing.T) {
	got := maps.Collect(readProperties([]byte("a=1\r\n  b : 2\nc 3\nd\\=e=f\\\n  g\\u00e9\\t\\q\n#x\n!y\nempty\nlast=\\")))
	want := map[string]string{"a": "1", "b": "2", "c": "3", "d=e": "fgé\tq", "empty": "", "last": `\`}
	if !maps.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := maps.Collect(readProperties([]byte("k=\xe9"))); got["k"] != "é" {
		t.Errorf("%q", got)
	}
}

func TestCheck(t *testing.T) {
	doc := must[[]byte](t)(Write(full()))
	for _, typ := range []identity.PrescriptionType{"P0", "P1"} {
		if err := Check(doc, typ); err != nil {
			t.Error(err)
		}
	}
	var invalid *InvalidError
	if err := Check([]byte(strings.Replace(string(doc), ">D<", ">UN<", 1)), "P1"); !errors.As(err, &invalid) || invalid.Violations[0].Rule != "P1.70" {
		t.Error(err)
	}
	if err := Check([]byte("x"), "P0"); !errors.Is(err, fault.ErrProtocol) {
		t.Error(err)
	}
	if err := Check(doc, "PK"); !errors.As(err, &invalid) {
		t.Error(err)
	}
	if _, err := WriteWith(Rules{}, "P0", sample()); !errors.As(err, &invalid) {
		t.Error("written without rules")
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add([]byte(properties))
	f.Add([]byte("kmehr.assert.P0.1=count(//a)=1;2;\\u00"))
	doc, err := Write(full())
	if err != nil {
		f.Fatal(err)
	}
	m, err := Parse(doc)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRules(text)
		if err != nil {
			if !errors.Is(err, fault.ErrProtocol) {
				t.Fatal(err)
			}
			return
		}
		for _, typ := range r.Types() {
			r.Check(m, typ)
		}
	})
}
