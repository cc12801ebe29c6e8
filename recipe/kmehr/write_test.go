package kmehr

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func with(change func(*Item)) Item {
	i := product()
	change(&i)
	return i
}

// kinds are all sorts of items, by name.
func kinds() map[string]Item {
	cnk := identity.MustCNK("1234566")
	fr := func(s string) Text { return Text{"fr", Hide(s)} }
	everything := with(func(i *Item) {
		i.Proof, i.Begin, i.End = Hide("proof"), NewDay(2030, 1, 16), NewDay(2030, 2, 16)
		i.Quantity = Quantity{"2", "pkg"}
		i.Duration, i.Periodicity = Duration{"1.5", Weeks}, "W"
		i.DayPeriods = []DayPeriod{Morning, BedTime}
		i.Regimen = []Intake{
			{DayNumber: 1, Time: "08:00:00", Amount: "1", Unit: "00005"},
			{Date: NewDay(2030, 1, 17), Period: AfterDinner, Amount: "0.5"},
			{Weekday: "monday", Amount: "1"},
			{Amount: "2"},
		}
		i.Renewal = Renewal{Times: "2", Interval: Duration{"1", Months}}
		i.Route, i.Temporality, i.Substitution = "00060", Chronic, SubstitutionForbidden
		i.ForPatient, i.ForReimbursement, i.ForOverdosing = fr("a"), fr("b"), fr("c")
		i.Notes = []Text{fr("d"), {"nl", Hide("e & <f>")}}
	})
	return map[string]Item{
		"product":           product(),
		"without code":      with(func(i *Item) { i.Medicine = &Medicine{Name: Hide("x")} }),
		"local code":        with(func(i *Item) { i.Medicine = &Medicine{CNK: cnk, Name: Hide("x"), Origin: FromLocal} }),
		"not applicable":    with(func(i *Item) { i.Posology = NotApplicable("nl") }),
		"apostrophe":        with(func(i *Item) { i.Posology = NotApplicable("fr") }),
		"known use":         with(func(i *Item) { i.Posology = KnownUse("nl") }),
		"renewal in words":  with(func(i *Item) { i.Renewal = Renewal{Text: fr("une fois")} }),
		"renewal, no pause": with(func(i *Item) { i.Renewal = Renewal{Times: "1"} }),
		"substitution":      with(func(i *Item) { i.Substitution = SubstitutionAllowed }),
		"group":             group(),
		"group of no code": {
			Group: &Group{Code: Hide("0000000"), Name: Hide("x"), Origin: FromLocal}, Quantity: Quantity{Value: "1"}, Posology: fr("x"),
		},
		"cluster": {
			Group: &Group{Kind: INNCluster, Code: Hide("8000001"), Name: Hide("x")}, Duration: Duration{"3", Months}, Posology: fr("x"),
		},
		"preparation": preparation(),
		"formulary": {
			Magistral: &Magistral{Formulary: &Formulary{Hide("0512345"), Hide("y"), "nl"}, Form: fr("gelule")},
			Quantity:  Quantity{"30", ""}, Posology: fr("x"),
		},
		"compounds": {
			Magistral: &Magistral{Compounds: []Compound{
				{Substance: Hide("s"), Quantity: Quantity{"5", "gm"}},
				{Medicine: &Medicine{CNK: cnk, Name: Hide("m")}, Prefix: "qs"},
				{Substance: Hide("u"), Prefix: "ad", Quantity: Quantity{"100", "gm"}},
			}, Form: fr("creme")},
			Quantity: Quantity{Value: "1"}, Posology: fr("x"),
		},
		"everything": everything,
	}
}

func TestWriteIsValidAndReadsBack(t *testing.T) {
	schema := xsd(t)
	for name, item := range kinds() {
		p := sample()
		p.Items = []Item{item}
		p = must[Prescription](t)(p.Fill(created))
		doc, err := Write(p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		oracle.ValidateXSD(t, schema, doc)
		m := must[*Message](t)(Parse(doc))
		for _, typ := range []identity.PrescriptionType{"P0", "P1"} {
			if v := official(t).Check(m, typ); v != nil {
				t.Errorf("%s: %v", name, v)
			}
		}
		got := m.Prescription()
		normalise(&p)
		if !reflect.DeepEqual(got, p) {
			t.Errorf("%s reads back differently:\n%s\n%s", name, dump(got), dump(p))
		}
		if again := must[[]byte](t)(Write(got)); !bytes.Equal(again, doc) {
			t.Errorf("%s: written again differently:\n%s\n%s", name, doc, again)
		}
	}
}

// normalise puts in what Write puts in for a field that is left empty.
func normalise(p *Prescription) {
	for k := range p.Items {
		i := &p.Items[k]
		if i.Begin.IsZero() {
			i.Begin = DayOf(p.Created)
		}
		medicines := []*Medicine{i.Medicine}
		if i.Magistral != nil {
			for _, c := range i.Magistral.Compounds {
				medicines = append(medicines, c.Medicine)
			}
		}
		for _, m := range medicines {
			if m != nil && m.Origin == "" {
				if m.Origin = FromSAM; m.CNK.IsZero() {
					m.Origin = FromLocal
				}
			}
		}
		if g := i.Group; g != nil {
			if g.Kind == "" {
				g.Kind = VMPGroup
			}
			if g.Origin == "" {
				g.Origin = FromSAM
			}
		}
	}
}

// dump shows what the types hide: for tests only.
func dump(p Prescription) string {
	doc, err := build(&p)
	return fmt.Sprintf("%s %v", doc, err)
}

func TestWriteGolden(t *testing.T) {
	p := sample()
	p.Items = []Item{kinds()["everything"], group(), kinds()["compounds"]}
	p.Hospital = &Hospital{Name: Hide("Sample hospital")}
	var err error
	if p.Hospital.NIHII, err = identity.NewNIHII("710000", ""); err != nil {
		t.Fatal(err)
	}
	p.Patient.Birth, p.Patient.Sex = NewDay(1985, 7, 0), Female
	doc := must[[]byte](t)(Write(p))
	golden := filepath.Join("testdata", "prescription.xml")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, doc, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := must[[]byte](t)(os.ReadFile(golden))
	if !bytes.Equal(doc, want) {
		t.Errorf("got\n%s\nwant\n%s", doc, want)
	}
	oracle.ValidateXSD(t, xsd(t), doc)
}

func TestWriteRefusesInput(t *testing.T) {
	for _, c := range []struct {
		field  string
		change func(*Prescription)
	}{
		{"Author.NIHII", func(p *Prescription) { p.Author.NIHII = identity.NIHII{} }},
		{"Author.NIHII", func(p *Prescription) { p.Author.NIHII, _ = identity.NewNIHII("100000", "") }},
		{"Author.FamilyName", func(p *Prescription) { p.Author.FamilyName = Hide(" ") }},
		{"Author.Phone", func(p *Prescription) { p.Author.Phone = Private{} }},
		{"Author.Profession", func(p *Prescription) { p.Author.Profession = "persnurse" }},
		{"Author.Address.Street", func(p *Prescription) { p.Author.Address.Street = Hide(strings.Repeat("x", maxText+1)) }},
		{"Hospital.NIHII", func(p *Prescription) { p.Hospital = &Hospital{Name: Hide("x")} }},
		{"Software.Name", func(p *Prescription) { p.Software.Name = "" }},
		{"Software.Version", func(p *Prescription) { p.Software.Version = "" }},
		{"Software.Phone", func(p *Prescription) { p.Software.Phone = "" }},
		{"Software.Email", func(p *Prescription) { p.Software.Email = "" }},
		{"Source.Version", func(p *Prescription) { p.Source.Version = "" }},
		{"Patient.SSIN", func(p *Prescription) { p.Patient.SSIN = identity.SSIN{} }},
		{"Patient.FamilyName", func(p *Prescription) { p.Patient.FamilyName = Private{} }},
		{"Patient.Birth", func(p *Prescription) { p.Patient.Birth = Day{} }},
		{"Patient.Sex", func(p *Prescription) { p.Patient.Sex = "other" }},
		{"Created", func(p *Prescription) { p.Created = time.Date(1800, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"Expires", func(p *Prescription) { p.Expires = NewDay(2030, 1, 14) }},
		{"Expires", func(p *Prescription) { p.Expires = NewDay(2031, 1, 15) }},
		{"Expires", func(p *Prescription) { p.Expires = NewDay(2030, 3, 0) }},
		{"Items", func(p *Prescription) { p.Items = nil }},
		{"Items", func(p *Prescription) { p.Items = make([]Item, 11) }},
		{"Items[0]", func(p *Prescription) { p.Items[0].Medicine = nil }},
		{"Items[0]", func(p *Prescription) { p.Items[0].Group = &Group{Code: Hide("0012345"), Name: Hide("x")} }},
		{"Items[0].Medicine.Name", func(p *Prescription) { p.Items[0].Medicine.Name = Hide("\n") }},
		{"Items[0].Quantity", func(p *Prescription) { p.Items[0].Quantity = Quantity{} }},
		{"Items[0].Quantity", func(p *Prescription) { p.Items[0].Quantity.Value = "0.0" }},
		{"Items[0].Quantity", func(p *Prescription) { p.Items[0].Quantity.Value = "-1" }},
		{"Items[0].Quantity", func(p *Prescription) { p.Items[0].Quantity.Value = "1," }},
		{"Items[0].Quantity", func(p *Prescription) { p.Items[0].Quantity.Value = "1." }},
		{"Items[0].Posology", func(p *Prescription) { p.Items[0].Posology = Text{} }},
		{"Items[0]", func(p *Prescription) { p.Items[0].Posology.Lang = "" }},
		{"Items[0].Posology", func(p *Prescription) { p.Items[0].Posology.Lang = "f r" }},
		{"Items[0].Duration", func(p *Prescription) { p.Items[0].Duration = Duration{Value: "1"} }},
		{"Items[0].Begin", func(p *Prescription) { p.Items[0].Begin = NewDay(2030, 0, 0) }},
		{"Items[0].End", func(p *Prescription) { p.Items[0].End = NewDay(2030, 1, 1) }},
		{"Items[0].Periodicity", func(p *Prescription) { p.Items[0].Periodicity = "UN" }},
		{"Items[0].DayPeriods", func(p *Prescription) { p.Items[0].DayPeriods = []DayPeriod{"teatime"} }},
		{"Items[0].Temporality", func(p *Prescription) { p.Items[0].Temporality = "x" }},
		{"Items[0].Regimen[0].Amount", func(p *Prescription) { p.Items[0].Regimen = []Intake{{}} }},
		{"Items[0].Regimen[0]", func(p *Prescription) { p.Items[0].Regimen = []Intake{{DayNumber: 1, Weekday: "monday", Amount: "1"}} }},
		{"Items[0].Regimen", func(p *Prescription) { p.Items[0].Regimen = []Intake{{Time: "8h", Amount: "1"}} }},
		{"Items[0].Regimen", func(p *Prescription) { p.Items[0].Regimen = make([]Intake, maxRegimen+1) }},
		{"Items[0].Renewal", func(p *Prescription) { p.Items[0].Renewal = Renewal{Times: "1", Text: Text{"fr", Hide("x")}} }},
		{"Items[0].Renewal", func(p *Prescription) { p.Items[0].Renewal = Renewal{Times: "x"} }},
		{"Items[0].Group.Code", func(p *Prescription) { p.Items[0] = group(); p.Items[0].Group.Code = Hide("12345") }},
		{"Items[0].Group.Code", func(p *Prescription) {
			p.Items[0] = group()
			p.Items[0].Group.Kind, p.Items[0].Group.Code = INNCluster, Hide("7000001")
		}},
		{"Items[0].Quantity", func(p *Prescription) { p.Items[0] = group(); p.Items[0].Quantity.Value = "1" }},
		{"Items[0].Magistral", func(p *Prescription) { p.Items[0] = preparation(); p.Items[0].Magistral.Text = Text{} }},
		{"Items[0].Magistral.Formulary", func(p *Prescription) {
			p.Items[0] = preparation()
			p.Items[0].Magistral = &Magistral{Formulary: &Formulary{Hide("0612345"), Hide("x"), "fr"}}
		}},
		{"Items[0].Magistral.Compounds[0]", func(p *Prescription) {
			p.Items[0] = preparation()
			p.Items[0].Magistral = &Magistral{Compounds: []Compound{{}}}
		}},
		{"", func(p *Prescription) { p.Patient.FirstName = Hide("a\x01b") }},
	} {
		p := sample()
		c.change(&p)
		_, err := Write(p)
		var invalid *InvalidError
		if !errors.As(err, &invalid) || !errors.Is(err, fault.ErrInvalid) || !errors.Is(err, fault.ErrNotSent) {
			t.Errorf("%s: %v", c.field, err)
			continue
		}
		if invalid.Violations[0].Field != c.field {
			t.Errorf("%s: first is %+v", c.field, invalid.Violations)
		}
	}
}

func TestFill(t *testing.T) {
	p := sample()
	p.ID, p.LocalID, p.Created = Private{}, Private{}, time.Time{}
	now := time.Date(2030, 7, 31, 22, 30, 0, 123e6, time.UTC)
	a := must[Prescription](t)(p.Fill(now))
	if a.ID.Reveal() != "10000007004.20300801003000123" || a.Expires.Reveal() != "2030-10-31" || len(a.LocalID.Reveal()) != 36 {
		t.Error(a.ID.Reveal(), a.Expires.Reveal(), a.LocalID.Reveal())
	}
	seen := map[HeaderIDs]bool{}
	for range 100 {
		b := must[Prescription](t)(p.Fill(now))
		seen[HeaderIDs{KMEHR: b.ID}], seen[HeaderIDs{Local: b.LocalID}] = true, true
	}
	if len(seen) != 200 {
		t.Errorf("%d different numbers of 200", len(seen))
	}
	if again := must[Prescription](t)(a.Fill(now.Add(time.Hour))); !reflect.DeepEqual(again, a) {
		t.Error("Fill changes what is filled")
	}
	doc := must[[]byte](t)(Write(a))
	if m := must[*Message](t)(Parse(doc)); m.HeaderIDs() != a.HeaderIDs() || !m.Prescription().Created.Equal(a.Created) {
		t.Error("the document has other numbers or times")
	}
}

// canonical is the canonical form without the blanks between elements.
func canonical(t testing.TB, doc []byte) string {
	t.Helper()
	root := must[*xmltree.Node](t)(xmltree.Parse(doc, xmltree.Limits{}))
	w := xmltree.NewWriter()
	var walk func(n *xmltree.Node)
	walk = func(n *xmltree.Node) {
		w.Start(n.Prefix(), n.Local())
		w.NS(n.Prefix(), n.Space())
		for _, a := range n.Attrs() {
			w.Attr(a.Prefix, a.Local, a.Value)
		}
		leaf := true
		for range n.Elements() {
			leaf = false
		}
		for c := range n.Children() {
			switch {
			case c.Kind() == xmltree.Element:
				walk(c)
			case leaf || strings.TrimSpace(c.Data()) != "":
				w.Text(c.Data())
			}
		}
		w.End()
	}
	walk(root)
	return string(c14n.Append(nil, must[*xmltree.Node](t)(xmltree.Parse(must[[]byte](t)(w.Bytes()), xmltree.Limits{})), c14n.Options{}))
}

func TestSamplesAreWrittenBackAlike(t *testing.T) {
	for name, doc := range sharedSamples(t) {
		m := must[*Message](t)(Parse(doc))
		if !bytes.Equal(m.Bytes(), doc) {
			t.Errorf("%s: Bytes is another document", name)
		}
		again := must[[]byte](t)(Write(m.Prescription()))
		if canonical(t, again) != canonical(t, doc) {
			t.Errorf("%s\n%s\n%s", name, canonical(t, again), canonical(t, doc))
		}
	}
}
