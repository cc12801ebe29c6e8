package kmehr

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr/internal/xpath"
)

// question asks for the value of each expression on a document.
type question struct {
	exprs []string
	doc   []byte
}

// jdk answers with the XPath of the JDK, without namespaces.
func jdk(t *testing.T, questions []question) [][]string {
	t.Helper()
	java := oracle.Tool(t, "java")
	var in bytes.Buffer
	for _, q := range questions {
		in.WriteString("C\n")
		for _, e := range q.exprs {
			in.WriteString("E " + base64.StdEncoding.EncodeToString([]byte(e)) + "\n")
		}
		in.WriteString("D " + base64.StdEncoding.EncodeToString(q.doc) + "\n")
	}
	cmd := exec.CommandContext(t.Context(), java, oracle.JavaClass(t, filepath.Join("testdata", "XPathJudge.java"))...)
	cmd.Stdin = &in
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var answers [][]string
	for _, q := range questions {
		if len(lines) < len(q.exprs) {
			t.Fatal("too few answers")
		}
		answers, lines = append(answers, lines[:len(q.exprs)]), lines[len(q.exprs):]
	}
	return answers
}

// ours answers in the form of the judge.
func ours(e *xpath.Expr, root *xmltree.Node) string {
	v, err := e.Eval(xpath.Document(root), 1_000_000)
	enc := func(s string) string { return "=" + base64.StdEncoding.EncodeToString([]byte(s)) }
	switch {
	case err != nil:
		return "ERR"
	case v.IsNodes():
		out := "X"
		for _, i := range v.Nodes() {
			out += " " + enc(i.Text())
		}
		return out
	}
	switch v.Kind() {
	case "boolean":
		return "B " + strconv.FormatBool(v.Bool())
	case "number":
		return "N " + strconv.FormatFloat(v.Number(), 'f', -1, 64)
	}
	return "S " + enc(v.Text())
}

// sameAnswer compares numbers by value: the two programs print them differently.
func sameAnswer(a, b string) bool {
	x, isX := strings.CutPrefix(a, "N ")
	y, isY := strings.CutPrefix(b, "N ")
	if !isX || !isY {
		return a == b
	}
	f, err := strconv.ParseFloat(x, 64)
	g, err2 := strconv.ParseFloat(y, 64)
	return err == nil && err2 == nil && (f == g || f != f && g != g)
}

// expressions are what the rules in use do not need, and what newer ones may.
var expressions = []string{
	"1 + 2 * 3 - 4 div 2", "7 mod 3", "-7 mod 3", "7 mod -3", "1 div 0", "-1 div 0", "0 div 0", "-(-3)", "5 - -2", ".5 + 1.",
	"1 = 1.0", "'1' = 1", "'a' < 'b'", "true() > false()", "'' = false()", "true() = 'x'", "1 < 2 = true()", "1 or 0 and 0", "not(1)",
	"string(1)", "string(1.50)", "string(-0)", "string(100000000000)", "string(0.1)", "string(1 div 0)", "string(0 div 0)", "string(true())",
	"number('  12 ')", "number('1e3')", "number('+1')", "number('-.5')", "number('')", "number('5.')", "number(true())",
	"floor(-1.5)", "ceiling(-1.5)", "round(-1.5)", "round(2.5)", "round(-2.6)", "floor('x')",
	"concat('a', 1, true())", "contains('abc', 'b')", "contains('', '')", "starts-with('abc', '')", "substring-before('a-b-c', '-')",
	"substring-after('a-b-c', '-')", "substring-before('abc', 'x')", "substring-after('abc', 'x')", "substring('12345', 2, 3)",
	"substring('12345', 1.5, 2.6)", "substring('12345', 0, 3)", "substring('12345', 0 div 0, 3)", "substring('12345', -42, 1 div 0)",
	"substring('12345', 2)", "translate('bar', 'abc', 'AB')", "translate('--aaa--', 'abc-', 'ABC')", "normalize-space('  a   b ')",
	"string-length('héé')", "string-length('a😀𝒜')", "string-length('')", "boolean('false')", "boolean(0)",
	"count(//item)", "count(//cd)", "count(//*)", "count(//@S)", "count(//text())", "count(//node())", "count(/)", "count(/*)", "count(.)",
	"//item[2]/id", "(//item)[2]/id", "//item[last()]/id", "//item[position() > 2]/id", "//item[position() = last()]/id", "//cd[1]",
	"//item/*[1]", "//item/*[last()]", "//item[id = '3']/id", "//item[quantity]/id", "//item[not(quantity)]/id", "//item[quantity][2]/id",
	"//item[content/medicinalproduct or content/compoundprescription]/id", "//cd/..", "//decimal/../..", "//decimal/parent::quantity",
	"//intendedcd/@SV", "//intendedcd[@SV]", "//intendedcd[@XX]", "//@*[. = '1.0']", "//cd[@S = 'CD-ITEM' and @SV != '1.11']",
	"//item/id | //heading/id", "//heading/id | //item/id | //item/id", "count(//id | //cd)", "/kmehrmessage/folder//text()[. = '1']",
	"//item[.//intendedcd]/id", ".//item/id", "./kmehrmessage/folder/id", "kmehrmessage/folder/id", "../kmehrmessage",
	"/kmehrmessage/header/id[2][@S='LOCAL']/@SL", "/kmehrmessage/header/id[@S='LOCAL'][1]", "string(//item/id)", "number(//item[2]/id) + 1",
	"sum(//item/id)", "sum(//decimal)", "//item/id = 3", "//item/id != 3", "//item/id > 4", "//item/id > 5", "3 < //item/id", "//item/id = //decimal",
	"//xx = //item", "//xx != //item", "//xx = false()", "//item = true()", "string-length(//xx)", "name(//item)", "local-name(/*)", "name(//@S)",
	"//item[starts-with(content/substanceproduct/intendedcd, '8')]/id", "//text[@L = 'fr'][string-length(text()) > 3]", "//posology/text/text()",
	"child::kmehrmessage/child::folder/child::id", "/descendant::item[3]/id", "/descendant-or-self::node()/attribute::DN", "//item/self::item/id",
	"//item/self::node()/id", "//self::item/id", "count(//item/descendant::cd)", "count(//heading/descendant-or-self::*)", "//*[@S and not(@SV)]",
	"//item[count(content) = 2]/id", "boolean(//item[11])", "//and | //or | //div", "//item[id mod 2 = 1]/id", "//item[id*2=4]/id", "//telecom/cd[2]",
	"(//telecom/cd)[2]", "//telecom[cd = 'phone']/telecomnumber", "count(//item[5]/preceding)", "'a' = \"a\"", "\"it's\"", "//item[id=2]/../id",
	"count(//item/node())", "//item/node()[1]", "//posology/node()", "//posology/text/text()[2]", "string(//item/node())", "//posology/node()/..",
	"//heading/..//id[. = '1']", "//content[1]/..", "(//item | //heading)/id", "(//item/id)[. > 2][1]", "string(//birthdate/date)", "//item [ 1 ] / id",
	// What is no expression, for both.
	"", "(", "//", "a b", "1 +", "@", "item[", "item]", "count(1)", "count()", "not()", "sum('x')", "'open", "$x", "unknown()", "//item[@]", "a::b", "1 | 2",
	"substring('a')", "(1)[1]", "!", "a[1]b", "..a", "text(1)", "'a'/b",
}

func TestXPathAgainstTheJDK(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the JDK")
	}
	text, err := os.ReadFile(oracle.Shared(t, "schemas", "recipe", "conf", "validation.properties"))
	if err != nil {
		t.Fatal(err)
	}
	platform := map[int]string{}
	all := slices.Clone(expressions)
	for key, value := range readProperties(text) {
		if name, ok := strings.CutPrefix(key, assertPrefix+"P0."); ok {
			number := must[int](t)(strconv.Atoi(name))
			platform[number] = splitOutsideQuotes(value)[0]
			all = append(all, platform[number])
		}
	}
	for _, a := range general {
		all = append(all, places.Replace(a.test))
	}
	for _, a := range perItem { // the same test, asked of the first item
		all = append(all, "boolean("+items+"[1]["+a.test+"])")
	}
	doc := string(must[[]byte](t)(Write(full())))
	commented := strings.NewReplacer("<item>", "<item><!--c-->", "</posology>", "<?p i?></posology>", " par ", " <![CDATA[&]]>par<!--c--> ").Replace(doc)
	questions := []question{{all, []byte(doc)}, {all, []byte(commented)}}
	for _, d := range sharedSamples(t) {
		questions = append(questions, question{all, d})
	}
	for k, mu := range mutants {
		// The rules that it breaks, and some that it does not.
		exprs := []string{platform[1+k%81], platform[1+(k+27)%81], platform[1+(k+54)%81]}
		for _, n := range mu.rules {
			exprs = append(exprs, platform[n])
		}
		questions = append(questions, question{exprs, mu.apply(t, doc)})
	}
	compareWithJDK(t, questions)
}

func compareWithJDK(t *testing.T, questions []question) {
	t.Helper()
	compared := 0
	for k, answers := range jdk(t, questions) {
		q := questions[k]
		root := must[*xmltree.Node](t)(xmltree.Parse(q.doc, xmltree.Limits{}))
		for n, want := range answers {
			got := "ERR"
			compiled, err := xpath.Compile(q.exprs[n])
			if err == nil {
				got = ours(compiled, root)
			}
			if compared++; !sameAnswer(got, want) {
				t.Errorf("%s\nours %.200s\nJDK  %.200s (%v)", q.exprs[n], got, want, err)
			}
		}
	}
	t.Logf("%d evaluations on %d documents", compared, len(questions))
}
