package kmehr

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

// full has one item of each kind and every part that a rule looks at.
func full() Prescription {
	p := sample()
	a := product()
	a.Proof, a.Temporality, a.Periodicity = Hide("sample-sam-proof"), Acute, "D"
	b := preparation()
	b.Magistral = &Magistral{Formulary: &Formulary{Hide("0512345"), Hide("Sample preparation"), "fr"}}
	c := group()
	c.Group = &Group{Kind: INNCluster, Code: Hide("8012345"), Name: Hide("Samplinum")}
	p.Items = []Item{a, group(), preparation(), b, c}
	return p
}

// mutant changes the document of full. It breaks exactly the rules named, and the schema where it says so.
type mutant struct {
	name     string
	old, new string // the first occurrence is replaced
	rules    []int
	schema   bool
}

const (
	hdr     = `<id S="ID-HCPARTY" SV="1.0">10000007004</id><cd S="CD-HCPARTY" SV="1.15">persphysician</cd>`
	tel     = `<telecom><cd S="CD-ADDRESS" SV="1.1">work</cd><cd S="CD-TELECOM" SV="1.0">phone</cd><telecomnumber>+3220000000</telecomnumber></telecom>`
	itemID  = `<item><id S="ID-KMEHR" SV="1.0">1</id>`
	itemCD  = `<cd S="CD-ITEM" SV="1.11">medication</cd>`
	authorH = `<author><hcparty>` + hdr
	headID  = `<heading><id S="ID-KMEHR" SV="1.0">1</id><cd S="CD-HEADING" SV="1.2">prescription</cd>`
	noItem  = `<item><id S="ID-KMEHR" SV="1.0">9</id><cd S="CD-ITEM" SV="1.11">medication</cd></item>`
)

var mutants = []mutant{
	{"older standard", ">20190301<", ">20181201<", []int{1}, false},
	{"standard of another version", `SV="1.29">20190301`, `SV="1.28">20190301`, []int{1}, false},
	{"third number", `<date>2030-01-15</date>`, `<id S="LOCAL" SV="1.0">x</id><date>2030-01-15</date>`, []int{2}, false},
	{"one number", `<id S="LOCAL" SL="sample-software" SV="1.0">00000000-0000-4000-8000-0000000000b1</id>`, ``, []int{2, 4}, false},
	{"first number of another scheme", `<id S="ID-KMEHR" SV="1.0">10000007004.`, `<id S="LOCAL" SV="1.0">10000007004.`, []int{3}, false},
	{"first number of another version", `<id S="ID-KMEHR" SV="1.0">10000007004.`, `<id S="ID-KMEHR" SV="1.1">10000007004.`, []int{3}, false},
	{"second number not local", `<id S="LOCAL" SL`, `<id S="ID-KMEHR" SL`, []int{4}, false},
	{"no program", `<hcparty><cd S="CD-HCPARTY" SV="1.15">application</cd><name>sample-software</name>` + tel + strings.ReplaceAll(strings.ReplaceAll(tel, "phone", "email"), "+3220000000", "support@example.invalid") + `</hcparty>`, ``, []int{5, 8, 10, 11, 12, 13, 14}, false},
	{"sender without number", `<sender><hcparty><id S="ID-HCPARTY" SV="1.0">10000007004</id>`, `<sender><hcparty>`, []int{6}, false},
	{"sender of another table", `<cd S="CD-HCPARTY" SV="1.15">persphysician`, `<cd S="CD-HCPARTY" SV="1.14">persphysician`, []int{7}, false},
	{"sender a nurse", `>persphysician<`, `>persnurse<`, []int{7}, false},
	{"program not so called", `>application<`, `>hub<`, []int{8}, false},
	{"nobody has a name", `<firstname>Sample</firstname><familyname>Prescriber</familyname></hcparty><hcparty><cd S="CD-HCPARTY" SV="1.15">application</cd><name>sample-software</name>`, `</hcparty><hcparty><cd S="CD-HCPARTY" SV="1.15">application</cd>`, []int{9}, false},
	{"address table", `<cd S="CD-ADDRESS" SV="1.1">work`, `<cd S="CD-ADDRESS" SV="1.2">work`, []int{10}, false},
	{"telecom table", `<cd S="CD-TELECOM" SV="1.0">phone`, `<cd S="CD-TELECOM" SV="1.1">phone`, []int{11}, false},
	{"no telephone of the maker", `>phone<`, `>fax<`, []int{12}, false},
	{"no mail of the maker", `>email<`, `>fax<`, []int{13}, false},
	{"another recipient", `>RECIPE<`, `>OTHER<`, []int{15}, false},
	{"recipient of another kind", `>orgpublichealth<`, `>orgpharmacy<`, []int{16}, false},
	{"recipient of another name", `>Recip-e<`, `>Recipe<`, []int{17}, false},
	{"folder 2", `<folder><id S="ID-KMEHR" SV="1.0">1`, `<folder><id S="ID-KMEHR" SV="1.0">2`, []int{18}, false},
	{"two patients", `<patient>`, `<patient><id S="ID-PATIENT" SV="1.0">00000000295</id><firstname>A</firstname><familyname>B</familyname><birthdate><year>1990</year></birthdate><sex><cd S="CD-SEX" SV="1.1">male</cd></sex></patient><patient>`, []int{19, 20, 21, 22, 23, 24, 25}, true},
	{"two numbers of the patient", `<id S="ID-PATIENT"`, `<id S="LOCAL" SV="1.0">x</id><id S="ID-PATIENT"`, []int{20}, false},
	{"short number of the patient", `>00000000196<`, `>0000000196<`, []int{21}, false},
	{"number of the patient of another scheme", `<id S="ID-PATIENT"`, `<id S="INSS"`, []int{21}, false},
	{"two first names", `<firstname>Sample</firstname><familyname>Patient`, `<firstname>Sample</firstname><firstname>Second</firstname><familyname>Patient`, []int{22}, false},
	{"no family name", `<familyname>Patient</familyname>`, ``, []int{23}, true},
	{"no birth", `<birthdate><date>2000-01-01</date></birthdate>`, ``, []int{24}, false},
	{"sex of another table", `<cd S="CD-SEX" SV="1.1">`, `<cd S="CD-SEX" SV="1.0">`, []int{25}, false},
	{"no sex", `<sex><cd S="CD-SEX" SV="1.1">unknown</cd></sex>`, ``, []int{25}, true},
	{"transaction 2", `<transaction><id S="ID-KMEHR" SV="1.0">1`, `<transaction><id S="ID-KMEHR" SV="1.0">2`, []int{26}, false},
	{"another transaction", `>pharmaceuticalprescription<`, `>prescription<`, []int{27}, false},
	{"two authors", `</hcparty></author>`, `</hcparty><hcparty><cd S="CD-ROLE" SV="1.0">x</cd></hcparty></author>`, []int{28, 31}, false},
	{"two numbers of the author", authorH, `<author><hcparty><id S="INSS" SV="1.0">x</id>` + hdr, []int{29}, false},
	{"short number of the author", authorH, strings.Replace(authorH, "10000007004", "10000007", 1), []int{30}, false},
	{"two professions", authorH, authorH + `<cd S="CD-ROLE" SV="1.0">x</cd>`, []int{31}, false},
	{"author a nurse", authorH, strings.Replace(authorH, "persphysician", "persnurse", 1), []int{32}, false},
	{"author without name", `<firstname>Sample</firstname><familyname>Prescriber</familyname><address>`, `<address>`, []int{33}, false},
	{"author without address", `<address><cd S="CD-ADDRESS" SV="1.1">work</cd><country><cd S="CD-FED-COUNTRY" SV="1.2">be</cd></country><zip>1000</zip><city>Samplecity</city><street>Samplestreet</street><housenumber>1</housenumber></address>`, ``, []int{34, 35}, false},
	{"author's home", `<address><cd S="CD-ADDRESS" SV="1.1">work`, `<address><cd S="CD-ADDRESS" SV="1.1">home`, []int{35}, false},
	{"author's telephone at home", `</address><telecom><cd S="CD-ADDRESS" SV="1.1">work`, `</address><telecom><cd S="CD-ADDRESS" SV="1.1">home`, []int{36}, false},
	{"author's mobile", `</address>` + tel, `</address>` + strings.Replace(tel, "phone", "mobile", 1), []int{37}, false},
	{"author's telephone empty", `</address>` + tel, `</address>` + strings.Replace(tel, "+3220000000", "", 1), []int{38}, false},
	{"not complete", `<iscomplete>true`, `<iscomplete>false`, []int{39}, false},
	{"complete as a number", `<iscomplete>true`, `<iscomplete>1`, []int{39}, false},
	{"not validated", `<isvalidated>true`, `<isvalidated>false`, []int{40}, false},
	{"no last day", `<expirationdate>2030-04-14</expirationdate>`, ``, []int{41}, false},
	{"two headings", `</heading>`, `</heading><heading><id S="ID-KMEHR" SV="1.0">2</id><cd S="CD-HEADING" SV="1.2">note</cd><lnk TYPE="multimedia"></lnk></heading>`, []int{42}, false},
	{"item outside the heading", `</heading>`, `</heading>` + noItem, []int{43}, false},
	{"heading 2", headID, strings.Replace(headID, ">1<", ">2<", 1), []int{44}, false},
	{"another heading", headID, strings.Replace(headID, ">prescription<", ">history<", 1), []int{45}, false},
	{"heading in the heading", `</heading>`, `<heading><id S="ID-KMEHR" SV="1.0">1</id><cd S="CD-HEADING" SV="1.2">prescription</cd><lnk TYPE="multimedia"></lnk></heading></heading>`, []int{46}, false},
	{"text in the heading", `</heading>`, `<text L="fr">x</text></heading>`, []int{47}, false},
	{"item of another scheme", itemID, strings.Replace(itemID, "ID-KMEHR", "LOCAL", 1), []int{49}, false},
	{"item of another version", itemID, strings.Replace(itemID, `"1.0"`, `"1.1"`, 1), []int{50}, false},
	{"item code of another table", itemCD, strings.Replace(itemCD, "CD-ITEM", "CD-LAB", 1), []int{51}, false},
	{"item code of another version", itemCD, strings.Replace(itemCD, "1.11", "1.10", 1), []int{52}, false},
	{"item no medication", itemCD, strings.Replace(itemCD, "medication", "vaccine", 1), []int{53}, false},
	{"product by another code", `S="CD-DRUG-CNK"`, `S="CD-AMP"`, []int{54}, false},
	{"product from elsewhere", `S="CD-DRUG-CNK" SV="WSSAMv2"`, `S="CD-DRUG-CNK" SV="OTHER"`, []int{55}, false},
	{"no code but from the service", `SV="WSSAMv2">1234566`, `SV="WSSAMv2">0000000`, []int{56}, false},
	{"product without name", `<intendedname>Sample product 10 mg 30 tablets<`, `<intendedname><`, []int{57}, false},
	{"group from elsewhere", `S="CD-VMPGROUP" SV="WSSAMv2"`, `S="CD-VMPGROUP" SV="SAM"`, []int{59}, false},
	{"group without name", `<intendedname>Samplinum oral 10 mg<`, `<intendedname><`, []int{60}, false},
	{"group of another table", `S="CD-VMPGROUP"`, `S="CD-ATC"`, []int{58}, true},
	{"formulary number", `>0512345<`, `>0412345<`, []int{61}, false},
	{"formulary number too short", `>0512345<`, `>051234<`, []int{61}, false},
	{"formulary in German", `DN="Sample preparation" L="fr"`, `DN="Sample preparation" L="de"`, []int{61}, false},
	{"formulary without name", `DN="Sample preparation" `, ``, []int{61}, false},
	{"life cycle", `>prescribed<`, `>planned<`, []int{62}, false},
	{"no life cycle", `<lifecycle><cd S="CD-LIFECYCLE" SV="1.9">prescribed</cd></lifecycle>`, ``, []int{62}, false},
	{"life cycle of another version", `"CD-LIFECYCLE" SV="1.9"`, `"CD-LIFECYCLE" SV="1.8"`, []int{62}, false},
	{"temporality of another version", `"CD-TEMPORALITY" SV="1.0"`, `"CD-TEMPORALITY" SV="1.1"`, []int{63}, false},
	{"preparation without quantity", `</magistraltext></compoundprescription></content><beginmoment><date>2030-01-15</date></beginmoment><lifecycle><cd S="CD-LIFECYCLE" SV="1.9">prescribed</cd></lifecycle><quantity><decimal>1</decimal></quantity>`, `</magistraltext></compoundprescription></content><beginmoment><date>2030-01-15</date></beginmoment><lifecycle><cd S="CD-LIFECYCLE" SV="1.9">prescribed</cd></lifecycle>`, []int{64}, false},
	{"product without quantity", `<quantity><decimal>1</decimal></quantity>`, ``, []int{65}, false},
	{"group with quantity", `<duration>`, `<quantity><decimal>1</decimal></quantity><duration>`, []int{66}, false},
	{"no posology", `<posology><text L="fr">1 comprime par jour</text></posology>`, ``, []int{67}, false},
	{"posology in figures", `<text L="fr">1 comprime par jour</text>`, `<high>1</high><unit><cd S="CD-ADMINISTRATIONUNIT" SV="1.0">00001</cd></unit><takes><high>1</high></takes>`, []int{67}, false},
	{"posology empty", `>1 comprime par jour<`, `><`, []int{68}, false},
	{"no first day", `<beginmoment><date>2030-01-15</date></beginmoment>`, ``, []int{69}, false},
	{"first day a year", `<beginmoment><date>2030-01-15</date>`, `<beginmoment><year>2030</year>`, []int{69}, false},
	{"periodicity in use", `>D</cd></periodicity>`, `>UN</cd></periodicity>`, []int{70}, false},
	{"periodicity of another version", `"CD-PERIODICITY" SV="1.1"`, `"CD-PERIODICITY" SV="1.0"`, []int{71}, false},
	{"frequency in words", `<frequency><periodicity><cd S="CD-PERIODICITY" SV="1.1">D</cd></periodicity>`, `<frequency><text L="fr">x</text>`, []int{71}, false},
	{"group of six digits", `>0012345<`, `>012345<`, []int{72}, false},
	{"cluster with 7", `>8012345<`, `>7012345<`, []int{73}, false},
	{"day of delivery", `</item>`, `<deliverydate>2030-01-15</deliverydate></item>`, []int{74}, false},
	{"third content", `</content><beginmoment>`, `</content><content><cd S="LOCAL" SV="1.0" SL="SAMPROOF">x</cd></content><beginmoment>`, []int{76}, false},
	{"second content something else", `SL="SAMPROOF"`, `SL="OTHER"`, []int{77}, false},
	{"proof first", `<content><medicinalproduct>`, `<content><cd S="LOCAL" SV="1.0" SL="SAMPROOF">x</cd></content><content><medicinalproduct>`, []int{76, 78}, false},
	{"no source", `<externalsource><source><cd S="CD-EXTERNALSOURCE" SV="1.0">samv2</cd><version>SAMPLE</version></source></externalsource>`, ``, []int{79, 80, 81}, false},
	{"source without name", `>samv2<`, `><`, []int{80}, false},
	{"source without version", `<version>SAMPLE</version>`, ``, []int{81}, false},

	// What only the schema forbids.
	{"three codes of a way to reach somebody", tel, strings.Replace(tel, `<telecomnumber>`, `<cd S="CD-TELECOM" SV="1.0">mobile</cd><telecomnumber>`, 1), nil, true},
	{"date and time exchanged", `<date>2030-01-15</date><time>09:30:00</time><sender>`, `<time>09:30:00</time><date>2030-01-15</date><sender>`, nil, true},
	{"source before the recipient", `<recipient>`, `<externalsource><source><cd S="CD-EXTERNALSOURCE" SV="1.0">x</cd></source></externalsource><recipient>`, []int{79, 80}, true},
	{"time of day", `<time>09:30:00</time><sender>`, `<time>9:30</time><sender>`, nil, true},
	{"no such day", `<expirationdate>2030-04-14`, `<expirationdate>2030-02-30`, nil, true},
	{"no such sex", `>unknown<`, `>other<`, nil, true},
	{"decimal comma", `<decimal>7</decimal>`, `<decimal>7,5</decimal>`, nil, true},
	{"no unit of time", `<decimal>7</decimal><unit><cd S="CD-TIMEUNIT" SV="2.1">d</cd></unit>`, `<decimal>7</decimal>`, nil, true},
	{"text without language", `<text L="fr">1 comprime`, `<text>1 comprime`, nil, true},
	{"unknown element", `</item>`, `<price>1</price></item>`, nil, true},
	{"unknown attribute", `<item>`, `<item kind="x">`, nil, true},
	{"text among elements", `<item>`, `<item>x`, nil, true},
	{"posology before quantity", `<quantity><decimal>1</decimal></quantity>`, `<posology><text L="fr">x</text></posology><quantity><decimal>1</decimal></quantity>`, []int{67}, true},
	{"code without version", `<cd S="CD-LIFECYCLE" SV="1.9">`, `<cd S="CD-LIFECYCLE">`, []int{62}, true},
	{"substitution perhaps", `</item>`, `<issubstitutionallowed>perhaps</issubstitutionallowed></item>`, nil, true},
	{"no such temporality", `>acute<`, `>forever<`, nil, true},
	{"content with two products", `<medicinalproduct>`, `<medicinalproduct><intendedcd S="CD-DRUG-CNK" SV="LOCALDB">0000000</intendedcd><intendedname>x</intendedname></medicinalproduct><medicinalproduct>`, []int{65}, true},
	{"patient in another namespace", `<patient>`, `<patient xmlns="urn:other">`, nil, true},
}

// apply makes the mutated document.
func (m *mutant) apply(t testing.TB, doc string) []byte {
	t.Helper()
	if !strings.Contains(doc, m.old) {
		t.Fatalf("%s: %q is not in the document", m.name, m.old)
	}
	return []byte(strings.Replace(doc, m.old, m.new, 1))
}

// numbers lists the assert rules among violations, and whether there are others.
func numbers(found []Violation) (rules []int, others bool) {
	for _, v := range found {
		_, digits, ok := strings.Cut(v.Rule, ".")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil {
			others = true
		} else if !slices.Contains(rules, n) {
			rules = append(rules, n)
		}
	}
	return rules, others
}

func TestMutantsBreakTheirRule(t *testing.T) {
	doc := string(must[[]byte](t)(Write(full())))
	broken := map[int]bool{}
	for _, mu := range mutants {
		m := must[*Message](t)(Parse(mu.apply(t, doc)))
		found := DefaultRules().Check(m, "P0")
		rules, schema := numbers(found)
		if !slices.Equal(rules, mu.rules) || schema != mu.schema {
			t.Errorf("%s: rules %v, schema %v; want %v, %v: %v", mu.name, rules, schema, mu.rules, mu.schema, found)
		}
		for _, n := range rules {
			broken[n] = true
		}
		for _, v := range found {
			if v.Message == "" || v.XPath == "" {
				t.Errorf("%s: no message or place: %+v", mu.name, v)
			}
		}
	}
	// Eleven items, and a maker who cannot be reached, need more than one replacement.
	eleven := must[*Message](t)(Parse([]byte(strings.Replace(doc, "</heading>", strings.Repeat(doc[strings.Index(doc, "<item>"):strings.Index(doc, "</item>")+7], 6)+"</heading>", 1))))
	if rules, _ := numbers(DefaultRules().Check(eleven, "P0")); !slices.Equal(rules, []int{48}) {
		t.Errorf("eleven items: %v", rules)
	}
	silent := must[*Message](t)(Parse([]byte(strings.Replace(strings.Replace(doc, "<telecomnumber>+3220000000<", "<telecomnumber><", 1), ">support@example.invalid<", "><", 1))))
	if rules, _ := numbers(DefaultRules().Check(silent, "P0")); !slices.Equal(rules, []int{14}) {
		t.Errorf("maker without numbers: %v", rules)
	}
	broken[48], broken[14] = true, true
	for n := 1; n <= 81; n++ {
		if !broken[n] && n != 75 {
			t.Errorf("no mutant breaks rule %d", n)
		}
	}
}

func TestMutantsAgainstSchema(t *testing.T) {
	schema := xsd(t)
	doc := string(must[[]byte](t)(Write(full())))
	for _, mu := range mutants {
		body := mu.apply(t, doc)
		m := must[*Message](t)(Parse(body))
		ours, judge := m.Structure(), oracle.XSDError(t, schema, body)
		if (judge == nil) != (len(ours) == 0) {
			t.Errorf("%s: ours %v, xmllint %v", mu.name, ours, judge)
		}
	}
}

func official(t testing.TB) Rules {
	t.Helper()
	text, err := os.ReadFile(oracle.Shared(t, "schemas", "recipe", "conf", "validation.properties"))
	if err != nil {
		t.Fatal(err)
	}
	return must[Rules](t)(ParseRules(text))
}

func TestOwnRulesAgreeWithThePlatforms(t *testing.T) {
	theirs := official(t)
	if got := fmt.Sprint(theirs.Types()); got != "[P0 P1]" || theirs.Len("P0") != 81 || theirs.Len("P1") != 81 {
		t.Fatalf("types %s, %d and %d rules", got, theirs.Len("P0"), theirs.Len("P1"))
	}
	docs := map[string][]byte{}
	for name, doc := range sharedSamples(t) {
		docs[name] = doc
	}
	doc := must[[]byte](t)(Write(full()))
	docs["full"] = doc
	for _, mu := range mutants {
		docs["mutant: "+mu.name] = mu.apply(t, string(doc))
	}
	for name, doc := range docs {
		m := must[*Message](t)(Parse(doc))
		for _, typ := range []identity.PrescriptionType{"P0", "P1"} {
			a, _ := numbers(DefaultRules().Check(m, typ))
			b, _ := numbers(theirs.Check(m, typ))
			if !slices.Equal(a, b) {
				t.Errorf("%s as %s: ours %v, theirs %v", name, typ, a, b)
			}
		}
	}
}

func TestPlatformsRulesNameTheField(t *testing.T) {
	doc := must[[]byte](t)(Write(full()))
	m := must[*Message](t)(Parse(bytes.Replace(doc, []byte(">8012345<"), []byte(">801234<"), 1)))
	found := official(t).Check(m, "P0")
	if len(found) != 1 || found[0].Field != "Items[4].Group.Code" {
		t.Errorf("%+v", found)
	}
}
