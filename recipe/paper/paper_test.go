package paper

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
)

var update = flag.Bool("update", false, "write the golden files anew")

const testRID = "BEP0ABCDEFGH"

func content(lang Language) Content {
	h := identity.Hide
	return Content{
		Language: lang,
		Prescriber: Prescriber{
			Name: h("Zoë Janssens"), NIHII: identity.MustNIHII("10000007004"), Address: h("Rue Haute 1\n1000 Bruxelles"), Phone: h("02 000 00 00"),
		},
		Patient: Patient{FirstName: h("Łukasz"), FamilyName: h("D’Hôtel-Grzegorzewski"), Born: kmehr.NewDay(1961, 2, 3)},
		Items: []Item{
			{Medicine: h("Examplamine 500 mg (20 compr.)"), Quantity: h("1"), Posology: h("1 compr. (matin) ≥ 7 jours"), Note: h("Ne pas substituer")},
			{Medicine: h("Groupe VMP: sampleprazole 20 µg"), Posology: h("1⅓ par jour")},
		},
		Issued: time.Date(2030, 1, 15, 23, 30, 0, 0, time.UTC), // the 16th in Belgium
		Until:  kmehr.NewDay(2030, 4, 15),
	}
}

func electronic(lang Language) Electronic {
	return Electronic{Content: content(lang), RID: identity.MustRID(testRID)}
}

func form(w io.Writer, c Content) error { return fallback("paper.Fallback", w, c) }

func proof(w io.Writer, c Content) error {
	return Proof(w, Electronic{Content: c, RID: identity.MustRID(testRID)})
}

func render(t *testing.T, write func(io.Writer, Content) error, c Content) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out, c); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var shown = regexp.MustCompile(`BT ([0-9.]+) ([0-9.]+) Td \(((?:[^\\)]|\\.)*)\) Tj ET`)

// said is the text of a page, a line each, as any reader of PDF finds it in the stream.
func said(pdf []byte) string {
	var b strings.Builder
	for _, m := range shown.FindAllSubmatch(pdf, -1) {
		for _, c := range regexp.MustCompile(`\\(.)`).ReplaceAll(m[3], []byte("$1")) {
			b.WriteRune(decode(c))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

var both = map[string]func(io.Writer, Content) error{"fallback": form, "proof": proof}

// TestGolden holds what is said on each document in each language; and the same content gives the same bytes.
func TestGolden(t *testing.T) {
	for name, write := range both {
		for _, lang := range []Language{FR, NL, DE} {
			t.Run(name+"-"+string(lang), func(t *testing.T) {
				pdf := render(t, write, content(lang))
				if !bytes.Equal(pdf, render(t, write, content(lang))) {
					t.Error("the same content makes another file")
				}
				if n := bytes.Count(pdf, []byte("/Type /Page\n")); n != 1 {
					t.Errorf("%d pages", n)
				}
				if !bytes.Contains(pdf, []byte("/MediaBox [0 0 595.28 841.89]")) {
					t.Error("not A4")
				}
				path := filepath.Join("testdata", name+"-"+string(lang)+".txt")
				got := said(pdf)
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("says\n%s\nwant\n%s", got, want)
				}
				if strings.Contains(got, "?") || strings.Contains(got, "\ufffd") {
					t.Error("a character was lost")
				}
			})
		}
	}
}

// TestMetadata: nothing of the content is outside the page.
func TestMetadata(t *testing.T) {
	for name, write := range both {
		pdf := render(t, write, content(FR))
		begin, end := bytes.Index(pdf, []byte("stream\n")), bytes.Index(pdf, []byte("endstream"))
		outside := string(pdf[:begin]) + string(pdf[end:])
		for _, w := range []string{"Lukasz", "Grzeg", "Zo", "Janssens", "Examplamine", "10000007", testRID, "1961"} {
			if strings.Contains(outside, w) {
				t.Errorf("%s: %q stands outside the page", name, w)
			}
		}
		info := outside[strings.Index(outside, "/Producer"):]
		if want := "/CreationDate (D:20300115233000)\n/ModDate (D:20300115233000)\n"; !strings.Contains(info, want) {
			t.Errorf("%s: the dates are not those of the prescription: %s", name, info)
		}
		if strings.Contains(info, "/Author") || strings.Contains(info, "/Subject") || strings.Contains(info, "/Keywords") || strings.Contains(info, "/Creator") {
			t.Errorf("%s: %s", name, info)
		}
	}
}

// TestPoppler lets another program find text, pages and size.
func TestPoppler(t *testing.T) {
	tool := oracle.Tool(t, "pdftotext")
	for name, write := range both {
		path := filepath.Join(t.TempDir(), "page.pdf")
		if err := os.WriteFile(path, render(t, write, content(NL)), 0o600); err != nil {
			t.Fatal(err)
		}
		text := runTool(t, tool, "-layout", "-enc", "UTF-8", path, "-")
		for _, want := range []string{
			"Zoë Janssens", "Lukasz D’Hôtel-Grzegorzewski", "03/02/1961", "16/01/2030", "15/04/2030", "RIZIV-nr. 10000007004",
			"Examplamine 500 mg (20 compr.)", ">= 7 jours", "1 1/3 par jour", "20 µg", "Patiënt",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not found in\n%s", name, want, text)
			}
		}
		if got := strings.Count(text, "\f"); got != 1 {
			t.Errorf("%s: %d pages", name, got)
		}
		if strings.Contains(text, "BEP0") != (name == "proof") {
			t.Errorf("%s: RID there or not there:\n%s", name, text)
		}
	}
}

func TestOverflow(t *testing.T) {
	long := identity.Hide(strings.Repeat("dreimal täglich eine Tablette nach dem Essen ", 12))
	for name, write := range both {
		fits := 0
		for n := 1; n <= 10; n++ {
			c := content(DE)
			c.Items = nil
			for range n {
				c.Items = append(c.Items, Item{Medicine: identity.Hide("Examplamine"), Quantity: identity.Hide("1"), Posology: long})
			}
			var out bytes.Buffer
			err := write(&out, c)
			if e, ok := errors.AsType[*OverflowError](err); ok {
				if out.Len() > 0 || e.Items != n || e.Fit != fits || !errors.Is(err, fault.ErrInvalid) || !errors.Is(err, fault.ErrNotSent) {
					t.Errorf("%s: %d bytes written, %+v after %d: %v", name, out.Len(), e, fits, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if fits = n; strings.Count(said(out.Bytes()), "Examplamine") != n {
				t.Errorf("%s: not all of %d are there", name, n)
			}
			lowest(t, out.Bytes())
		}
		if fits < 3 || fits == 10 {
			t.Errorf("%s: %d fit", name, fits)
		}
	}
	c := content(FR)
	c.Patient.FirstName = identity.Hide(strings.Repeat("Anne ", 300))
	err := form(io.Discard, c)
	if e, ok := errors.AsType[*OverflowError](err); !ok || e.Fit != 0 || e.Items != 2 {
		t.Errorf("a name that fills the page: %v", err)
	}
}

// lowest checks that no text is below the margin or beside the page.
func lowest(t *testing.T, pdf []byte) {
	t.Helper()
	for _, m := range shown.FindAllSubmatch(pdf, -1) {
		var x, y float64
		if _, err := fmt.Sscan(string(m[1])+" "+string(m[2]), &x, &y); err != nil {
			t.Fatal(err)
		}
		if y < 30 || y > 812 || x < 40 || x > 550 {
			t.Errorf("text at %v, %v", x, y)
		}
	}
}

// TestTenItems: as many as a prescription may have, with instructions of usual length, go on one page.
func TestTenItems(t *testing.T) {
	for name, write := range both {
		c := content(NL)
		for len(c.Items) < maxItems {
			c.Items = append(c.Items, Item{
				Medicine: identity.Hide("Samplofenac 75 mg zakje met poeder"), Posology: identity.Hide("1 zakje om de 12 uur gedurende 5 dagen"),
			})
		}
		if got := strings.Count(said(render(t, write, c)), "Samplofenac"); got != 8 {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestRefused(t *testing.T) {
	h := identity.Hide
	for _, tc := range []struct {
		name   string
		change func(*Content)
		field  string
		r      rune
	}{
		{"language", func(c *Content) { c.Language = "en" }, "Language", 0},
		{"no name", func(c *Content) { c.Patient.FamilyName = h("") }, "Patient.FamilyName", 0},
		{"blank name", func(c *Content) { c.Patient.FamilyName = h(" \u200b") }, "Patient.FamilyName", 0},
		{"cyrillic", func(c *Content) { c.Patient.FamilyName = h("Жуков") }, "Patient.FamilyName", 'Ж'},
		{"arabic", func(c *Content) { c.Patient.FirstName = h("محمد") }, "Patient.FirstName", 'م'},
		{"power", func(c *Content) { c.Items[1].Posology = h("10⁶ IE") }, "Items[1].Posology", '⁶'},
		{"control", func(c *Content) { c.Items[0].Medicine = h("a\x00b") }, "Items[0].Medicine", 0},
		{"bidi", func(c *Content) { c.Items[0].Medicine = h("a\u202eb") }, "Items[0].Medicine", '\u202e'},
		{"not UTF-8", func(c *Content) { c.Items[0].Note = h("\xff") }, "Items[0].Note", 0},
		{"too long", func(c *Content) { c.Items[0].Note = h(strings.Repeat("a", maxText+1)) }, "Items[0].Note", 0},
		{"no posology", func(c *Content) { c.Items[0].Posology = h("") }, "Items[0].Posology", 0},
		{"no items", func(c *Content) { c.Items = nil }, "Items", 0},
		{"eleven", func(c *Content) { c.Items = make([]Item, 11) }, "Items", 0},
		{"no number", func(c *Content) { c.Prescriber.NIHII = identity.NIHII{} }, "Prescriber.NIHII", 0},
		{"no date", func(c *Content) { c.Issued = time.Time{} }, "Issued", 0},
		{"no end", func(c *Content) { c.Until = kmehr.Day{} }, "Until", 0},
		{"half an end", func(c *Content) { c.Until = kmehr.NewDay(2030, 4, 0) }, "Until", 0},
		{"end before begin", func(c *Content) { c.Until = kmehr.DayOf(c.Issued.AddDate(0, 0, -1)) }, "Until", 0},
		{"begin before issue", func(c *Content) { c.From = kmehr.DayOf(c.Issued.AddDate(0, 0, -1)) }, "Until", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, write := range both {
				c := content(FR)
				tc.change(&c)
				var out bytes.Buffer
				err := write(&out, c)
				e, ok := errors.AsType[*FieldError](err)
				if !ok || e.Field != tc.field || tc.r != 0 && e.Rune != tc.r || out.Len() > 0 || !errors.Is(err, fault.ErrInvalid) {
					t.Errorf("%s: %v, %d bytes written", name, err, out.Len())
				}
				if strings.ContainsAny(err.Error(), "ЖукмحدГ") {
					t.Errorf("%s: the error shows the field: %v", name, err)
				}
			}
		})
	}
	if err := Proof(io.Discard, Electronic{Content: content(FR)}); !errors.Is(err, ErrRID) {
		t.Errorf("a proof of nothing: %v", err)
	}
	lenient, err := identity.ParseRIDLenient("BEP0ABCDEFGO")
	if err != nil {
		t.Fatal(err)
	}
	if err := Proof(io.Discard, Electronic{Content: content(FR), RID: lenient}); !errors.Is(err, ErrRID) {
		t.Errorf("a proof with a RID that has a letter too many: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriterFails(t *testing.T) {
	err := form(failing{}, content(FR))
	if !errors.Is(err, io.ErrClosedPipe) || !errors.Is(err, fault.ErrLocal) {
		t.Error(err)
	}
}

// TestPrinted: the structs show nothing of what they hold.
func TestPrinted(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		s := fmt.Sprintf(verb, electronic(FR))
		for _, w := range []string{"ukasz", "Grzeg", "Examplamine", testRID, "Janssens"} {
			if strings.Contains(s, w) {
				t.Errorf("%s shows %s: %s", verb, w, s)
			}
		}
	}
}
