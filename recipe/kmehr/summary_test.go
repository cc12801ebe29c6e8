package kmehr

import (
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

func TestSummary(t *testing.T) {
	all := kinds()
	p := sample()
	p.Items = []Item{all["everything"], all["cluster"], all["compounds"], all["formulary"], preparation(), all["without code"]}
	want := []Line{
		{1, KindMedicine, Hide("1234566"), Hide("Sample product 10 mg 30 tablets"), Hide("2 pkg"), Hide("1.5 wk"), Hide("1 comprime par jour")},
		{2, KindGroup, Hide("8000001"), Hide("x"), Private{}, Hide("3 mo"), Hide("x")},
		{3, KindMagistral, Private{}, Hide("s 5 gm; m qs; u ad 100 gm"), Hide("1"), Private{}, Hide("x")},
		{4, KindMagistral, Hide("0512345"), Hide("y"), Hide("30"), Private{}, Hide("x")},
		{5, KindMagistral, Private{}, Hide("Preparation de demonstration"), Hide("1"), Private{}, Hide("1 application par jour")},
		{6, KindMedicine, Private{}, Hide("x"), Hide("1"), Private{}, Hide("1 comprime par jour")},
	}
	m := must[*Message](t)(Parse(must[[]byte](t)(Write(p))))
	for k, got := range m.Summary() {
		if got != want[k] || p.Summary()[k] != want[k] {
			t.Errorf("line %d: %s %s %s %s", k, got.Code.Reveal(), got.Name.Reveal(), got.Quantity.Reveal(), got.Duration.Reveal())
		}
	}
}

func TestSameProduct(t *testing.T) {
	line := func(kind LineKind, code, name, quantity string) Line {
		return Line{Kind: kind, Code: Hide(code), Name: Hide(name), Quantity: Hide(quantity)}
	}
	a := line(KindMedicine, "1234566", "A 10 mg", "1")
	for _, c := range []struct {
		other             Line
		product, quantity bool
	}{
		{line(KindMedicine, "1234566", "another name", "1"), true, true},
		{line(KindMedicine, "1234574", "A 10 mg", "1"), false, true},
		{line(KindMedicine, "", "a  10 MG", "2"), true, false},
		{line(KindMedicine, "", "B", "1"), false, true},
		{line(KindGroup, "1234566", "A 10 mg", "1"), false, true},
	} {
		if a.SameProduct(c.other) != c.product || a.SameQuantity(c.other) != c.quantity {
			t.Error(c.other.Code.Reveal(), c.other.Name.Reveal())
		}
	}
	if amount("1.50", "gm") != "1.5 gm" || amount("2.00", "") != "2" || amount("10", "mg") != "10 mg" || amount("", "") != "" {
		t.Error("amounts")
	}
}

func TestDigest(t *testing.T) {
	base := sample()
	base.Items = []Item{kinds()["everything"], group(), preparation()}
	d := base.Digest()
	same := map[string]func(*Prescription){
		"numbers":   func(p *Prescription) { p.ID, p.LocalID = Hide("x"), Hide("y") },
		"later":     func(p *Prescription) { p.Created = p.Created.Add(time.Hour) },
		"last day":  func(p *Prescription) { p.Expires = NewDay(2030, 2, 1) },
		"software":  func(p *Prescription) { p.Software.Version = "2" },
		"begin":     func(p *Prescription) { p.Items[1].Begin = NewDay(2030, 1, 15) },
		"1 is 1.0":  func(p *Prescription) { p.Items[2].Quantity.Value = "1.0" },
		"its kind":  func(p *Prescription) { p.Items[1].Group.Kind = VMPGroup },
		"telephone": func(p *Prescription) { p.Author.Phone = Hide("0") },
	}
	other := map[string]func(*Prescription){
		"patient":  func(p *Prescription) { p.Patient.SSIN = identity.MustSSIN("00000000295") },
		"author":   func(p *Prescription) { p.Author.NIHII, _ = identity.NewNIHII("100001", "004") },
		"quantity": func(p *Prescription) { p.Items[0].Quantity.Value = "3" },
		"posology": func(p *Prescription) { p.Items[0].Posology.Text = Hide("2") },
		"start":    func(p *Prescription) { p.Items[1].Begin = NewDay(2030, 2, 15) },
		"order":    func(p *Prescription) { p.Items[0], p.Items[1] = p.Items[1], p.Items[0] },
		"less":     func(p *Prescription) { p.Items = p.Items[:2] },
		"cluster":  func(p *Prescription) { p.Items[1].Group.Kind = INNCluster },
		"renewal":  func(p *Prescription) { p.Items[0].Renewal.Times = "3" },
		"regimen":  func(p *Prescription) { p.Items[0].Regimen = p.Items[0].Regimen[1:] },
		"note":     func(p *Prescription) { p.Items[0].Notes = nil },
		"route":    func(p *Prescription) { p.Items[0].Route = "" },
		"proof":    func(p *Prescription) { p.Items[0].Proof = Private{} },
		"unsaid":   func(p *Prescription) { p.Items[0].Substitution = SubstitutionUnsaid },
		"texts": func(p *Prescription) {
			p.Items[0].ForPatient, p.Items[0].ForReimbursement = p.Items[0].ForReimbursement, p.Items[0].ForPatient
		},
	}
	for want, set := range map[bool]map[string]func(*Prescription){true: same, false: other} {
		for name, change := range set {
			p := must[*Message](t)(Parse(must[[]byte](t)(Write(base)))).Prescription()
			if p.Digest() != d {
				t.Fatal("reading changes the digest")
			}
			change(&p)
			if got := p.Digest() == d; got != want {
				t.Errorf("%s: same %v", name, got)
			}
		}
	}
}

func TestDays(t *testing.T) {
	for in, want := range map[string]string{
		"2030-01-15": "2030-01-15", "2030-01-15+01:00": "2030-01-15", "2030-01-15Z": "2030-01-15", "2030-01": "2030-01", "2030": "2030",
		"2030-02-30": "", "2030-13": "", "0000": "", "15/01/2030": "", "": "", "2030-01-15x": "", "2030-1-5": "", "2028-02-29": "2028-02-29",
	} {
		d, err := ParseDay(in)
		if d.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("%q = %q, %v", in, d.Reveal(), err)
		}
	}
	if !NewDay(2030, 2, 30).IsZero() || !NewDay(2030, 0, 1).IsZero() || !NewDay(-1, 1, 1).IsZero() {
		t.Error("days of no calendar")
	}
	if d := DayOf(time.Date(2030, 1, 14, 23, 30, 0, 0, time.UTC)); d != NewDay(2030, 1, 15) || !d.Whole() || NewDay(2030, 1, 0).Whole() {
		t.Error("the day in Belgium", d.Reveal())
	}
	if !DayOf(time.Time{}).IsZero() || !(Day{}).Start().IsZero() || !NewDay(2030, 1, 1).Before(NewDay(2030, 1, 2)) {
		t.Error("the zero day, or the order of days")
	}
}

func TestExpiry(t *testing.T) {
	for day, want := range map[string][2]string{
		"2029-11-10": {"2030-02-09", "2030-11-09"}, // the example of the dossier
		"2030-01-15": {"2030-04-14", "2031-01-14"},
		"2030-11-30": {"2031-02-27", "2031-11-29"}, // three months later is the last of February
		"2028-02-29": {"2028-05-28", "2029-02-27"},
		"2030-12-31": {"2031-03-30", "2031-12-30"},
	} {
		d := must[Day](t)(ParseDay(day))
		at := d.Start().Add(23*time.Hour + 30*time.Minute)
		if got := [2]string{DefaultExpiry(at).Reveal(), LastExpiry(at).Reveal()}; got != want {
			t.Errorf("%s: %v", day, got)
		}
	}
}
