package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// officialRule is an assert rule of the official file: an expression, and how many nodes it must find, "" for a boolean one.
type officialRule struct{ number, expr, least, most string }

var ruleLine = regexp.MustCompile(`(?m)^kmehr\.assert\.(P[01])\.(\d+) *= *(.*?)\s*$`)

func officialRules(t *testing.T, typ string) (rules []officialRule) {
	t.Helper()
	properties, err := os.ReadFile(recipeXSD(t, "conf", "validation.properties"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ruleLine.FindAllSubmatch(properties, -1) {
		if string(m[1]) != typ {
			continue
		}
		parts := regexp.MustCompile(`^(.*?)(?:;(\d+))?(?:;(\d+))?$`).FindStringSubmatch(string(m[3]))
		rules = append(rules, officialRule{string(m[2]), parts[1], parts[2], parts[3]})
	}
	if len(rules) < 70 {
		t.Fatalf("%d rules", len(rules))
	}
	return rules
}

// holds judges an answer of the JDK.
func (r officialRule) holds(answer string) bool {
	nodes, is := strings.CutPrefix(answer, "X")
	if !is {
		return answer == "B true"
	}
	n := len(strings.Fields(nodes))
	if r.least == "" {
		return n > 0
	}
	least, _ := strconv.Atoi(r.least)
	most, err := strconv.Atoi(r.most)
	return n >= least && (err != nil || n <= most)
}

// brokenByJDK are the numbers of the official rules that each document breaks, as the JDK evaluates them.
func brokenByJDK(t *testing.T, rules []officialRule, docs ...[]byte) []map[string]bool {
	t.Helper()
	var in bytes.Buffer
	for _, r := range rules {
		in.WriteString("E " + base64.StdEncoding.EncodeToString([]byte(r.expr)) + "\n")
	}
	for _, d := range docs {
		in.WriteString("D " + base64.StdEncoding.EncodeToString(d) + "\n")
	}
	out := program(t, in.Bytes(), "java", oracle.JavaClass(t, filepath.Join(oracle.ModuleRoot(t), "recipe", "kmehr", "testdata", "XPathJudge.java"))...)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(rules)*len(docs) {
		t.Fatalf("%d answers to %d rules on %d documents", len(lines), len(rules), len(docs))
	}
	all := make([]map[string]bool, len(docs))
	for i, line := range lines {
		d, r := i/len(rules), rules[i%len(rules)]
		if all[d] == nil {
			all[d] = map[string]bool{}
		}
		if !r.holds(line) {
			all[d][r.number] = true
		}
	}
	return all
}

// validByXSD tells which documents xmllint finds valid, in one run.
func validByXSD(t *testing.T, schema string, docs [][]byte) []bool {
	t.Helper()
	dir := t.TempDir()
	args := []string{"--nonet", "--noout", "--schema", schema}
	for i, d := range docs {
		file := filepath.Join(dir, strconv.Itoa(i)+".xml")
		if err := os.WriteFile(file, d, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	out, err := exec.CommandContext(t.Context(), oracle.Tool(t, "xmllint"), args...).CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	valid := make([]bool, len(docs))
	n := 0
	for _, m := range regexp.MustCompile(`(?m)/(\d+)\.xml (validates|fails to validate)$`).FindAllSubmatch(out, -1) {
		i, _ := strconv.Atoi(string(m[1]))
		valid[i], n = string(m[2]) == "validates", n+1
	}
	if n != len(docs) {
		t.Fatalf("xmllint judged %d of %d documents", n, len(docs))
	}
	return valid
}

// spot is an element of a document by where it stands.
type spot struct {
	from, inside, out, to int // of the start tag, the content and the end tag
	leaf                  bool
}

func spots(t *testing.T, doc []byte) (all []spot) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(doc))
	var open []int
	for {
		at := int(d.InputOffset())
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch tok.(type) {
		case xml.StartElement:
			if len(open) > 0 {
				all[open[len(open)-1]].leaf = false
			}
			open = append(open, len(all))
			all = append(all, spot{from: at, inside: int(d.InputOffset()), leaf: true})
		case xml.EndElement:
			s := &all[open[len(open)-1]]
			s.out, s.to = at, int(d.InputOffset())
			open = open[:len(open)-1]
		}
	}
}

var (
	texts = []string{
		"", " ", "x", "1", "0", "true", "false", "P", "0000000", "1234566", "8012345", "7012345", "0512345", "051234😀", "2030-02-30", "2030-04-14", "-1", "1e3",
		"99999999999999999999", "0.5", "&amp;&lt;", "UN", "D", "work", "phone", "persdentist", "persnurse", "application", " true ", "00000000196", "😀😀😀😀😀😀😀😀😀😀😀",
		"<!-- c -->true", "tr<!-- c -->ue", "<![CDATA[true]]>", "1<?pi x?>", "&#x9;", "\u00a0", "CD-DRUG-CNK",
	}
	values = []string{"", "1.0", "1.1", "1.11", "1.15", "LOCAL", "LOCALDB", "WSSAMv2", "CD-DRUG-CNK", "CD-VMPGROUP", "CD-INNCLUSTER", "ID-KMEHR", "fr", "nl", "de", "SAMPROOF", " 1.0"}
	extras = []string{
		`<deliverydate>2030-01-15</deliverydate>`, `<text L="fr">x</text>`, `<posology><text L="nl"></text></posology>`, `<quantity><decimal>1</decimal></quantity>`,
		`<id S="LOCAL" SV="1.0">x</id>`, `<cd S="LOCAL" SV="1.0" SL="SAMPROOF">x</cd>`, `<name>x</name>`, `<lnk TYPE="multimedia"/>`, `<x:y xmlns:x="urn:x"/>`,
		`<frequency><periodicity><cd S="CD-PERIODICITY" SV="1.1">UQ</cd></periodicity></frequency>`, `<temporality><cd S="CD-TEMPORALITY" SV="1.0">acute</cd></temporality>`,
		`<content><cd S="LOCAL" SV="1.0" SL="SAMPROOF">x</cd></content>`,
	}
	attribute = regexp.MustCompile(` ([A-Z]+)="([^"]*)"`)
)

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// mutate changes one thing in a document.
func mutate(t *testing.T, r *rand.Rand, doc []byte) []byte {
	t.Helper()
	all := spots(t, doc)[1:] // the root stays
	s := pick(r, all)
	cut := func(from, to int, with string) []byte { return slices.Concat(doc[:from], []byte(with), doc[to:]) }
	switch r.IntN(8) {
	case 0:
		return cut(s.from, s.to, "")
	case 1:
		return cut(s.to, s.to, string(doc[s.from:s.to]))
	case 2: // the next brother goes first
		for _, n := range all {
			if n.from == s.to {
				return cut(s.from, n.to, string(doc[n.from:n.to])+string(doc[s.from:s.to]))
			}
		}
	case 3:
		return cut(s.inside, s.inside, pick(r, extras))
	case 4:
		return cut(s.to, s.to, pick(r, extras))
	case 5:
		tag := doc[s.from:s.inside]
		if found := attribute.FindAllSubmatchIndex(tag, -1); len(found) > 0 {
			m := pick(r, found)
			if r.IntN(3) == 0 {
				return cut(s.from+m[0], s.from+m[1], "")
			}
			return cut(s.from+m[4], s.from+m[5], pick(r, values))
		}
	}
	for !s.leaf || s.out == s.inside {
		s = pick(r, all)
	}
	return cut(s.inside, s.out, pick(r, texts))
}

// TestKMEHRAgainstJudges: the official rules, evaluated by the JDK, and the official schema, by xmllint, find in many
// damaged documents what this module finds.
func TestKMEHRAgainstJudges(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the JDK")
	}
	w := newWorld(t, sandbox.Config{})
	t.Cleanup(func() { _ = w.sb.Close() })
	p := w.prescription(t, 1)
	for len(p.Items) < 10 {
		p.Items = append(p.Items, p.Items[len(p.Items)%3])
	}
	own, err := kmehr.Write(p)
	if err != nil {
		t.Fatal(err)
	}
	docs := [][]byte{own}
	samples, err := filepath.Glob(oracle.Shared(t, "samples", "recipe", "kmehr") + "/*.xml")
	if err != nil || len(samples) < 4 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, s := range samples {
		b, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, b)
	}
	originals := len(docs)
	r := rand.New(rand.NewPCG(3, kmehrSeed)) //nolint:gosec // tests repeat
	for len(docs) < originals+kmehrMutants {
		d := docs[len(docs)%originals]
		for range 1 + r.IntN(2) {
			d = mutate(t, r, d)
		}
		docs = append(docs, d)
	}
	rules := officialRules(t, "P0")
	broken := brokenByJDK(t, rules, docs...)
	valid := validByXSD(t, recipeXSD(t, "conf", "XSD", "xsd-kmehr-1.28.0", "ehealth-kmehr", "XSD", "kmehr_elements-1_28.xsd"), docs)
	properties, err := os.ReadFile(recipeXSD(t, "conf", "validation.properties"))
	if err != nil {
		t.Fatal(err)
	}
	official, err := kmehr.ParseRules(properties)
	if err != nil {
		t.Fatal(err)
	}
	good, bad, refused := 0, 0, 0
	var written [][]byte
	for i, d := range docs {
		m, err := kmehr.Parse(d)
		if err != nil {
			if refused++; valid[i] {
				t.Errorf("document %d is valid, and cannot be read: %v\n%s", i, err, show(t, i, d))
			}
			continue
		}
		// Documents of other versions of the standard are read leniently; rule 1 refuses them all.
		if ours := len(m.Structure()) == 0; ours != valid[i] && !broken[i]["1"] {
			t.Errorf("document %d: xmllint says %v, we say %v\n%s", i, valid[i], m.Structure(), show(t, i, d))
		}
		for name, rules := range map[string]kmehr.Rules{"own": kmehr.DefaultRules(), "official": official} {
			got := map[string]bool{}
			for _, v := range rules.Check(m, "P0") {
				if n, is := strings.CutPrefix(v.Rule, "P0."); is {
					got[n] = true
				}
			}
			if !maps.Equal(got, broken[i]) {
				t.Errorf("document %d, %s rules: the JDK says %v, we say %v\n%s", i, name, numbers(broken[i]), numbers(got), show(t, i, d))
			}
		}
		if len(broken[i]) > 0 || !valid[i] {
			bad++
			continue
		}
		good++
		again, err := kmehr.Write(m.Prescription())
		if err != nil { // the rules let empty names and empty contents pass, which we do not write
			if !errors.As(err, new(*kmehr.InvalidError)) || i < originals {
				t.Errorf("document %d cannot be written again: %v\n%s", i, err, show(t, i, d))
			}
			continue
		}
		if back, err := kmehr.Parse(again); err != nil || back.Digest() != m.Digest() {
			t.Errorf("document %d loses something medical when it is read and written again (%v)\n%s", i, err, show(t, i, d))
		}
		written = append(written, again)
	}
	schema := recipeXSD(t, "conf", "XSD", "xsd-kmehr-1.28.0", "ehealth-kmehr", "XSD", "kmehr_elements-1_28.xsd")
	if i := slices.Index(validByXSD(t, schema, written), false); i >= 0 {
		t.Errorf("written again, good document %d is not valid", i)
	}
	for i, b := range brokenByJDK(t, rules, written...) {
		if len(b) > 0 {
			t.Errorf("written again, good document %d breaks %s", i, numbers(b))
		}
	}
	if len(written) < good*8/10 {
		t.Errorf("%d of %d good documents were written again", len(written), good)
	}
	if good < originals || bad < kmehrMutants/2 {
		t.Errorf("%d good documents, %d bad ones", good, bad)
	}
	t.Logf("%d documents: %d good, %d bad, %d not read", len(docs), good, bad, refused)
}

const (
	kmehrMutants = 150
	kmehrSeed    = 1
)

func numbers(m map[string]bool) string { return fmt.Sprint(slices.Sorted(maps.Keys(m))) }

// show keeps a document for who looks into a failure, where the test is told to.
func show(t *testing.T, i int, doc []byte) string {
	t.Helper()
	dir := os.Getenv("KMEHR_MUTANTS")
	if dir == "" {
		return ""
	}
	file := filepath.Join(dir, strconv.Itoa(i)+".xml")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
