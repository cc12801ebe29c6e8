package sts

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	testSSIN   = mustSSIN(1975, 3, 14, 1)
	otherSSIN  = mustSSIN(1968, 11, 2, 1)
	testNIHII  = mustNIHII("100000", "001")
	testCBE    = must(identity.NewCBE("08094394"))
	testEHP    = must(identity.NewEHP("19000001"))
	testNames  = regexp.MustCompile("`([^`]+)`|\\b(givenname|surname)\\b")
	testInCell = regexp.MustCompile("`([^`]+)`")
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func mustSSIN(y, m, d, n int) identity.SSIN  { return must(identity.NewSSIN(y, m, d, n)) }
func mustNIHII(six, q string) identity.NIHII { return must(identity.NewNIHII(six, q)) }

// whole is an identity that has every number.
func whole(q identity.Quality) Identity {
	return Identity{Quality: q, SSIN: testSSIN, NIHII: testNIHII, CBE: testCBE, EHP: testEHP}
}

// TestClaimsGolden shows every row as it is used: role, namespace, name and which number is asserted.
func TestClaimsGolden(t *testing.T) {
	numbers := map[string]string{
		testSSIN.Reveal(): "SSIN", otherSSIN.Reveal(): "SSIN of the holder", testNIHII.Base(): "NIHII8",
		testCBE.Reveal(): "CBE", testEHP.Reveal(): "EHP",
	}
	ns := map[string]string{NSIdentification: "I", NSCertified: "C"}
	var b strings.Builder
	for _, q := range Qualities() {
		id := whole(q)
		id.Holder = otherSSIN
		asserted, requested, err := ClaimsFor(id)
		if err != nil {
			t.Fatal(q, err)
		}
		fmt.Fprintf(&b, "%s\n", string(q))
		for _, c := range asserted {
			if len(c.Values) != 1 {
				t.Fatalf("%s: %s has %d values", q, c.Name, len(c.Values))
			}
			fmt.Fprintf(&b, "  asserted  %s %s = %s\n", ns[c.Namespace], c.Name, numbers[c.Values[0]])
		}
		for _, c := range requested {
			if len(c.Values) != 0 {
				t.Fatalf("%s: %s is asked for with a value", q, c.Name)
			}
			fmt.Fprintf(&b, "  requested %s %s\n", ns[c.Namespace], c.Name)
		}
	}
	golden(t, "claims.txt", []byte(b.String()))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/golden/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs\n got: %s\nwant: %s", name, got, want)
	}
}

// TestClaimsDossier compares the table with the text that it was made from.
func TestClaimsDossier(t *testing.T) {
	doc, err := os.ReadFile(oracle.Shared(t, "reference", "01-sts-session-bcp.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(doc), "### A.12")
	if !ok {
		t.Fatal("no section A.12")
	}
	text, _, _ = strings.Cut(text, "### A.13")
	seen := map[identity.Quality]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			continue
		}
		for _, q := range qualitiesOf(cells[1]) {
			seen[q] = true
			checkRow(t, q, cells[2])
		}
	}
	checkPharmacist(t, text)
	seen[identity.Pharmacist], seen[identity.Pharmacy] = true, true
	for _, q := range Qualities() {
		if !seen[q] {
			t.Errorf("%s is not in the dossier", q)
		}
	}
	if len(seen) != len(Qualities()) {
		t.Errorf("the dossier has %d rows, the table %d", len(seen), len(Qualities()))
	}
}

// qualitiesOf reads the first cell of a row: "doctor", "optician, podologist (X)", "hospital (EHI)".
func qualitiesOf(cell string) []identity.Quality {
	var out []identity.Quality
	cell, _, _ = strings.Cut(cell, "(")
	for w := range strings.SplitSeq(cell, ",") {
		if q := identity.Quality(strings.TrimSpace(w)); q.Known() {
			out = append(out, q)
		}
	}
	return out
}

func checkRow(t *testing.T, q identity.Quality, cell string) {
	t.Helper()
	asserted, requested, err := ClaimsFor(whole(q))
	if err != nil {
		t.Fatal(q, err)
	}
	for _, mark := range []string{"; C: ", "requested: that, "} {
		if before, after, ok := strings.Cut(cell, mark); ok {
			if want := dossierNames(before, q); !slices.Equal(names(asserted), want) {
				t.Errorf("%s asserts %v, the dossier says %v", q, names(asserted), want)
			}
			cell = after
		}
	}
	want := append(names(asserted), dossierNames(cell, q)...)
	if !slices.Equal(names(requested), want) {
		t.Errorf("%s asks for\n%v\nthe dossier says\n%v", q, names(requested), want)
	}
}

// dossierNames expands the names of a cell. "…:b" stands for the name before it with its end replaced.
func dossierNames(cell string, q identity.Quality) []string {
	var out []string
	prev := ""
	for _, m := range testNames.FindAllStringSubmatch(cell, -1) {
		n := m[1]
		if m[2] != "" {
			n = "PS:ehealth:1.0:" + m[2]
		}
		if rest, ok := strings.CutPrefix(n, "…:"); ok {
			segs, tail := strings.Split(prev, ":"), strings.Split(rest, ":")
			n = strings.Join(append(segs[:len(segs)-len(tail)], tail...), ":")
		}
		prev = n
		n = strings.ReplaceAll(n, ":X:", ":"+string(q)+":")
		n = strings.Replace(n, "EH:", "urn:be:fgov:ehealth:1.0:", 1)
		n = strings.Replace(n, "PS:", "urn:be:fgov:person:ssin:", 1)
		out = append(out, n)
	}
	return out
}

func checkPharmacist(t *testing.T, text string) {
	t.Helper()
	var asserted, requested []string
	for line := range strings.SplitSeq(text, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		switch strings.TrimSpace(cells[1]) {
		case "asserted":
			n := testInCell.FindStringSubmatch(cells[2])[1]
			if n == "PS" {
				n = "urn:be:fgov:person:ssin"
			}
			asserted = append(asserted, dossierNames("`"+n+"`", "")...)
		case "requested":
			requested = append(slices.Clone(asserted), dossierNames(cells[2], "")...)
		}
	}
	a, r, err := ClaimsFor(whole(identity.Pharmacist))
	if err != nil {
		t.Fatal(err)
	}
	if len(asserted) != 4 || !slices.Equal(names(a), asserted) {
		t.Errorf("asserted %v, the dossier says %v", names(a), asserted)
	}
	if len(requested) != 7 || !slices.Equal(names(r), requested) {
		t.Errorf("asked for %v, the dossier says %v", names(r), requested)
	}
}

func names(claims []Claim) []string {
	out := make([]string, len(claims))
	for i, c := range claims {
		out[i] = c.Name
	}
	return out
}

func TestClaimsMandate(t *testing.T) {
	id := Identity{Quality: identity.Enterprise, CBE: testCBE, InsurabilityMandate: true, MandateService: "example"}
	a, r, err := ClaimsFor(id)
	if err != nil {
		t.Fatal(err)
	}
	if last := a[len(a)-1]; last.Name != "urn:be:fgov:ehealth:1.0:servicename:external" || last.Namespace != NSIdentification || last.Values[0] != "example" {
		t.Errorf("asserted %v", a)
	}
	want := []string{
		"urn:be:fgov:person:ssin:mandate:insurability:boolean",
		"urn:be:fgov:ehealth:1.0:servicename:external",
		"urn:be:fgov:person:ssin:ehealth:1.0:recognisedmandatary:boolean",
	}
	if got := names(r)[len(r)-3:]; !slices.Equal(got, want) {
		t.Errorf("asked for %v", got)
	}
}

func TestClaimsRefused(t *testing.T) {
	long := make([]Claim, maxClaims+1)
	for i := range long {
		long[i].Name = fmt.Sprintf("urn:x:%d", i)
	}
	tests := map[string]struct {
		id    Identity
		extra []Claim
	}{
		"no claim":           {},
		"unknown quality":    {id: whole("wizard")},
		"quality, no row":    {id: whole(identity.Trussmaker)},
		"person, no SSIN":    {id: Identity{Quality: identity.Doctor, NIHII: testNIHII}},
		"no NIHII":           {id: Identity{Quality: identity.Hospital, SSIN: testSSIN}},
		"pharmacy, no NIHII": {id: Identity{Quality: identity.Pharmacist, SSIN: testSSIN}},
		"pharmacy, no SSIN":  {id: Identity{Quality: identity.Pharmacist, NIHII: testNIHII}},
		"no CBE":             {id: Identity{Quality: identity.Enterprise}},
		"no EHP":             {id: Identity{Quality: identity.EHPOrganisation}},
		"asserted twice":     {id: whole(identity.Doctor), extra: []Claim{{Name: "urn:be:fgov:person:ssin", Values: []string{"1"}}}},
		"separator in value": {extra: []Claim{{Name: "urn:x", Values: []string{"a;b"}}}},
		"empty value":        {extra: []Claim{{Name: "urn:x", Values: []string{""}}}},
		"padded value":       {extra: []Claim{{Name: "urn:x", Values: []string{" a"}}}},
		"no URN":             {extra: []Claim{{Name: "x"}}},
		"blank in name":      {extra: []Claim{{Name: "urn:x y"}}},
		"too many":           {extra: long},
		"mandate, separator": {id: Identity{MandateService: "a;b"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, r, err := ClaimsFor(tt.id)
			if err == nil {
				_, _, err = merge(a, r, tt.extra)
			}
			if !errors.Is(err, ErrClaims) {
				t.Fatal(err)
			}
			noSecrets(t, err.Error())
		})
	}
}

// TestClaimsNotShared makes sure that callers cannot change the table or each other's claims.
func TestClaimsNotShared(t *testing.T) {
	a, r, _ := ClaimsFor(whole(identity.Doctor))
	a[0].Name, r[0].Name, r[len(r)-1].Name = "x", "x", "x"
	_ = append(r[:2], Claim{Name: "y"})
	extra := []Claim{{Name: "urn:x", Values: []string{"1"}}}
	m, _, err := merge(nil, nil, extra)
	if err != nil {
		t.Fatal(err)
	}
	extra[0].Values[0] = "2"
	if m[0].Values[0] != "1" {
		t.Error("merge kept the caller's values")
	}
	a, r, _ = ClaimsFor(whole(identity.Doctor))
	for _, c := range slices.Concat(a, r) {
		if len(c.Name) < 2 {
			t.Error("the table was changed")
		}
	}
}

func TestGranted(t *testing.T) {
	for _, tt := range []struct {
		values []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{" "}, false},
		{[]string{"false"}, false},
		{[]string{" FALSE\n"}, false},
		{[]string{"", "false"}, false},
		{[]string{"true"}, true},
		{[]string{"10000000001"}, true},
		{[]string{"false", "x"}, true},
	} {
		if got := granted(tt.values); got != tt.want {
			t.Errorf("granted(%q) = %v", tt.values, got)
		}
	}
}

func TestRedaction(t *testing.T) {
	v := testSSIN.Reveal()
	tok := &Token{
		ID: "_" + v, Raw: []byte(v), Attributes: []Attribute{{Name: "urn:x", Values: []string{v}}},
		Refused: []Claim{{Name: "urn:y"}}, asserted: []Claim{{Name: "urn:x", Values: []string{v}}},
	}
	req := Request{Identity: whole(identity.Doctor), Extra: tok.asserted}
	for _, x := range []any{tok, tok.Attributes[0], tok.asserted[0], tok.Attributes, tok.asserted, req, req.Identity, struct{ T *Token }{tok}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			noSecrets(t, fmt.Sprintf(verb, x))
		}
		var b strings.Builder
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", x)
		noSecrets(t, b.String())
	}
	if s := (*Token)(nil).String(); s != "sts.Token(none)" {
		t.Error(s)
	}
}

// noSecrets fails when text shows one of the numbers or names that the tests use.
func noSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{
		testSSIN.Reveal(), otherSSIN.Reveal(), testNIHII.Base(), fmt.Sprintf("%x", testSSIN.Reveal()),
		"Federal Government", "AttributeValue", "SignatureValue",
	} {
		if strings.Contains(text, secret) {
			t.Errorf("shows %q: %s", secret, text)
		}
	}
}
