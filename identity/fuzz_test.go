package identity

import "testing"

// revealer is what all identifiers have.
type revealer interface {
	Reveal() string
	IsZero() bool
}

// fuzzParser checks what holds for every parser: a refused input gives the
// absent value, an accepted one parses again to the same value.
func fuzzParser[T interface {
	comparable
	revealer
}](f *testing.F, strict, lenient func(string) (T, error), seeds ...string) {
	for _, s := range append(seeds, "", "85.07.31-997.04", "BE 0820.563.481", "٨٥", "\x00") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := strict(s)
		if (err == nil) == v.IsZero() {
			t.Fatalf("error %v, zero %v", err, v.IsZero())
		}
		l, lerr := lenient(s)
		if err == nil && (lerr != nil || l != v) {
			t.Fatalf("strict accepts and lenient says %v", lerr)
		}
		if lerr != nil {
			return
		}
		if again, err := lenient(l.Reveal()); err != nil || again != l {
			t.Fatalf("a revealed value does not parse to itself: %v", err)
		}
	})
}

func FuzzSSIN(f *testing.F) {
	fuzzParser(f, ParseSSIN, ParseSSINLenient, "85073199704", "15073199817", "85473199790", "85273199747", "90022999836", "00000000097")
}

func FuzzNIHII(f *testing.F) {
	fuzzParser(f, ParseNIHII, ParseNIHIILenient, "19999915001", "21999994", "70999941000", "19999916")
}

func FuzzCBE(f *testing.F) {
	fuzzParser(f, ParseCBE, ParseCBELenient, "0820563481", "820563481")
}

func FuzzEHP(f *testing.F) {
	fuzzParser(f, ParseEHP, ParseEHPLenient, "1990000035", "1990000036")
}

func FuzzCNK(f *testing.F) {
	fuzzParser(f, ParseCNK, ParseCNKLenient, "9999996", "1234567")
}

func FuzzMutuality(f *testing.F) {
	fuzzParser(f, ParseMutuality, ParseMutuality, "319", "750", "999", "800")
}

func FuzzRID(f *testing.F) {
	fuzzParser(f, ParseRID, ParseRIDLenient, "BEP0ABCDEFGH", "BEPKABCDEFGI", " BEP0ABCDEFGH\n")
}

func FuzzIdentifierType(f *testing.F) {
	f.Add("NIHII-PHARMACY", "21999994")
	f.Add("SSIN", "85073199704")
	f.Add("X", "1")
	f.Fuzz(func(t *testing.T, typ, number string) {
		p, err := ParseIdentifierType(typ)
		if err != nil {
			return
		}
		padded, err := p.Pad(number)
		if err != nil {
			return
		}
		if n := p.Digits(); n != 0 && len(padded) != n {
			t.Fatalf("%d digits, want %d", len(padded), n)
		}
		if again, err := p.Pad(padded); err != nil || again != padded {
			t.Fatal("padding twice is not padding once")
		}
		_ = p.Check(padded)
		p.EHBox()
	})
}
