package notice

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

// wording returns part D of dossier 06.
func wording(t *testing.T) string {
	t.Helper()
	md, err := os.ReadFile(oracle.Shared(t, "reference", "06-incidents-and-bcp-procedures.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(md), "\n# D. Wording\n")
	if !ok {
		t.Fatal("no part D in the dossier")
	}
	part, _, ok = strings.Cut(part, "\n# E.")
	if !ok {
		t.Fatal("part D has no end")
	}
	return part
}

func TestTextsAreThoseOfTheDossier(t *testing.T) {
	var seen []ID
	for line := range strings.Lines(wording(t)) {
		if !strings.HasPrefix(line, "| D-") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(cells) != 2+languages {
			t.Fatalf("a row with %d cells: %s", len(cells), line)
		}
		id := ID(cells[0])
		seen = append(seen, id)
		for i, lang := range Langs() {
			if got := Template(id, lang); got != cells[2+i] {
				t.Errorf("%s %s:\n got %q\nwant %q", id, lang, got, cells[2+i])
			}
		}
	}
	if !slices.Equal(seen, IDs()) {
		t.Errorf("ids of the dossier %v\nids of the package %v", seen, IDs())
	}
}

func TestServiceNamesAreThoseOfTheDossier(t *testing.T) {
	_, line, ok := strings.Cut(wording(t), "Names for `{svc}`: ")
	if !ok {
		t.Fatal("the dossier names no services")
	}
	line, _, _ = strings.Cut(line, ".\n")
	found := map[string][]string{}
	for one := range strings.SplitSeq(line, "; ") {
		en, rest, translated := strings.Cut(one, " = ")
		found[en] = []string{en, en, en, en}
		if translated {
			found[en] = append([]string{en}, strings.Split(rest, " / ")...)
		}
	}
	for _, s := range Services() {
		if s == Platform {
			continue // ours
		}
		want := found[s.Name(EN)]
		got := []string{s.Name(EN), s.Name(FR), s.Name(NL), s.Name(DE)}
		if !slices.Equal(got, want) {
			t.Errorf("%v: %q, want %q", s, got, want)
		}
		delete(found, s.Name(EN))
	}
	if len(found) != 0 {
		t.Errorf("not in the package: %v", found)
	}
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func placeholders(text string) []string {
	all := placeholder.FindAllString(text, -1)
	slices.Sort(all)
	return all
}

func TestPlaceholdersMatchAcrossLanguages(t *testing.T) {
	known := []string{"{d}", "{id}", "{n}", "{svc}", "{t}"}
	for _, e := range table {
		want := placeholders(e.texts[0])
		for _, p := range want {
			if !slices.Contains(known, p) {
				t.Errorf("%s: unknown placeholder %s", e.id, p)
			}
		}
		for i, lang := range Langs() {
			if got := placeholders(e.texts[i]); !slices.Equal(got, want) {
				t.Errorf("%s %s: placeholders %v, in English %v", e.id, lang, got, want)
			}
		}
	}
}

// Every edit must find its words exactly once, wherever it may be applied, also after another.
func TestVariantsFit(t *testing.T) {
	loses := []struct {
		id   ID
		v    variant
		what string // placeholder that goes with it
	}{
		{IDInsCached, noGuarantee, ""},
		{IDClock, noMinutes, "{n}"},
		{IDKey, noTicket, "{id}"},
		{IDKey, maybeSent, ""},
		{IDRxTwice, noNumber, "{id}"},
		{IDRxTwice, noDay, "{d}"},
		{IDDown, noSince, "{t}"},
	}
	for id, v := range singular {
		loses = append(loses, struct {
			id   ID
			v    variant
			what string
		}{id, v, ""})
	}
	for _, l := range loses {
		for i, lang := range Langs() {
			text := Template(l.id, lang)
			if len(l.v[i]) == 0 {
				t.Errorf("%s %s: no edit", l.id, lang)
			}
			for _, e := range l.v[i] {
				if strings.Count(text, e.from) != 1 {
					t.Errorf("%s %s: %q does not stand in it once", l.id, lang, e.from)
				}
			}
			got := l.v.apply(text, i)
			want := placeholders(text)
			want = slices.DeleteFunc(want, func(p string) bool { return p == l.what })
			if !slices.Equal(placeholders(got), want) {
				t.Errorf("%s %s: placeholders of %q", l.id, lang, got)
			}
			if strings.Contains(got, "  ") || !strings.HasSuffix(got, ".") {
				t.Errorf("%s %s: %q", l.id, lang, got)
			}
		}
	}
	for _, e := range table {
		if _, has := singular[e.id]; has != e.asks("{n}") {
			t.Errorf("%s: has a singular %v, has a number %v", e.id, has, e.asks("{n}"))
		}
	}
}
