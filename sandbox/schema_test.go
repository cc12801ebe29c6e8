package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// requestSchemas are the schemas that tables were written for, with the real ones beside them.
var requestSchemas = []struct {
	name    string
	root    qname
	typ     *xsType
	schema  []string
	samples []string
}{
	{
		"genins",
		qname{nsGenIns, "GetInsurabilityRequest"},
		geninsRequestType,
		[]string{"schemas", "ehealth-mycarenet-genins", "XSD", "ehealth-genins-protocol-1_1.xsd"},
		[]string{"genins-request-ssin.xml", "genins-request-regnr.xml", "genins-request-hospitalized.xml"},
	},
	{
		"pharmacist",
		qname{nsPharma, "GetInsurabilityForPharmacistRequest"},
		pharmaRequestType,
		[]string{"schemas", "ehealth-insurability", "XSD", "insurabilityservices_protocol-2_0.xsd"},
		[]string{"pharmacist-request.xml"},
	},
}

// schemaVerdict is what open and conforms do together: the root's name, then the type.
func schemaVerdict(t *testing.T, root qname, typ *xsType, doc []byte) error {
	t.Helper()
	n, err := xmltree.Parse(doc, xmltree.Limits{})
	if err != nil {
		t.Fatalf("mutant is not well-formed: %v", err)
	}
	if !n.Is(root.space, root.local) {
		return errSchema
	}
	return typ.validate(n)
}

func TestSchemaAcceptsSamples(t *testing.T) {
	for _, rs := range requestSchemas {
		for _, name := range rs.samples {
			doc, err := os.ReadFile(oracle.Shared(t, "samples", "insurability", name))
			if err != nil {
				t.Fatal(err)
			}
			if err := schemaVerdict(t, rs.root, rs.typ, doc); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestSchemaAgreesWithXMLLint changes every sample in every place in many ways, and compares our verdict with that of
// xmllint on the real schema.
func TestSchemaAgreesWithXMLLint(t *testing.T) {
	if testing.Short() {
		t.Skip("only computes: run without -short")
	}
	xmllint := oracle.Tool(t, "xmllint")
	for _, rs := range requestSchemas {
		t.Run(rs.name, func(t *testing.T) {
			schema := oracle.Shared(t, rs.schema...)
			var mutants []mutant
			for i, name := range rs.samples {
				doc, err := os.ReadFile(oracle.Shared(t, "samples", "insurability", name))
				if err != nil {
					t.Fatal(err)
				}
				mutants = append(mutants, mutate(t, doc, i > 0)...)
			}
			want := xmllintVerdicts(t, xmllint, schema, mutants)
			good, bad := 0, 0
			for i, m := range mutants {
				err := schemaVerdict(t, rs.root, rs.typ, m.doc)
				if (err == nil) != want[i] {
					t.Errorf("%s: we say %v, xmllint says valid=%v", m.what, err, want[i])
				}
				if err != nil && !errors.Is(err, errSchema) {
					t.Errorf("%s: error is not errSchema: %v", m.what, err)
				}
				if want[i] {
					good++
				} else {
					bad++
				}
			}
			t.Logf("%d mutants: %d valid, %d not", len(mutants), good, bad)
			if good < 100 || bad < 100 {
				t.Errorf("mutants are lopsided: %d valid, %d not", good, bad)
			}
		})
	}
}

// xmllintVerdicts judges all documents in a few runs of xmllint.
func xmllintVerdicts(t *testing.T, xmllint, schema string, mutants []mutant) []bool {
	t.Helper()
	dir := memoryDir(t)
	verdicts := map[string]bool{} // by document: several mutations may come to the same
	var ask []mutant
	for _, m := range mutants {
		if _, ok := verdicts[string(m.doc)]; !ok {
			verdicts[string(m.doc)] = false
			ask = append(ask, m)
		}
	}
	for batch := range slices.Chunk(ask, 500) {
		args := []string{"--nonet", "--noout", "--schema", schema}
		for i, m := range batch {
			name := filepath.Join(dir, strconv.Itoa(i)+".xml")
			if err := os.WriteFile(name, m.doc, 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, name)
		}
		said, _ := exec.Command(xmllint, args...).CombinedOutput() // non-zero when one is invalid
		judged := map[int]bool{}
		for line := range strings.Lines(string(said)) {
			name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			i, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), ".xml"))
			if err != nil || (rest != "validates" && rest != "fails to validate") {
				continue
			}
			verdicts[string(batch[i].doc)] = rest == "validates"
			judged[i] = true
		}
		for i, m := range batch {
			if !judged[i] {
				t.Fatalf("xmllint did not judge %s", m.what)
			}
		}
	}
	out := make([]bool, len(mutants))
	for i, m := range mutants {
		out[i] = verdicts[string(m.doc)]
	}
	return out
}

// memoryDir is a directory without a disk below it where there is one: thousands of documents pass through it.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sandbox-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// mutant is a changed document.
type mutant struct {
	what string
	doc  []byte
}

// texts are put in place of the text of every leaf: values that some type refuses, or that look wrong and are not.
var texts = []string{
	"", " ", "true", "1", " false ", "TRUE", "2", "abc", "REF-1", "ref-1", "ÖËÜ '.*+,-/:;=?()][<>", "A&B", "A_B", "Ä",
	"85073199704", "8507319970", "850731997040", " 85073199704", "85073199704 ", "8507319970a",
	"319", "0", "00", "000", "750", "751", "999", "998", "690", "719", "800", "1000", " 319", "31",
	"9999999999999", "99999999999999", "100000000000000", "99999999999999.0", "99999999999999.5", "-1", "-0", "+5", "1.5", ".5", "5.", ".", "1e3", " 12 ",
	"12345678901234", "123456789012345", "1234567890123", "éèêëàâäîïôöû", "éèêëàâäîïôöûüç", "éèêëàâäîïôöûüçœ",
	"2030-01-15", "2030-1-15", "2030-02-29", "2028-02-29", "2030-13-01", "2030-00-10", "2030-01-32", "1000-01-01", "12030-01-15", "02030-01-15",
	"-2030-01-15", "2030-01-15Z", "2030-01-15+01:00", "2030-01-15+14:00", "2030-01-15+14:01", "2030-01-15+15:00", "2030-01-15-13:59", "2030-01-15T10:00:00",
	"information", "invoicing", "Information", "ambulatory_care", "hospitalized_for_day", "hospitalized_elsewhere", "other", "none", " other",
	"ABCDEFGHIJKLMNOPQRSTUVWXY", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "A\tB", "A\nB", "é", "éé",
}

// attributes are added to every element, one at a time.
var attributes = [][2]string{
	{"Id", "x1"},
	{"Id", "1x"},
	{"Id", ""},
	{"Id", " x2 "},
	{"Ref", "urn:a"},
	{"Ref", "#x1"},
	{"Ref", "a b"},
	{"Ref", "%zz"},
	{"ValueRef", "http://a/b"},
	{"ValueRef", ""},
	{"Unknown", "x"},
	{"xml:lang", "fr"},
	{"c:Id", "x1"},
	{"xsi:nil", "true"},
	{"xsi:nil", "false"},
	{"xsi:type", "c:CareProviderType"},
	{"xsi:type", "c:NihiiType"},
	{"xsi:type", "c:ValueRefString"},
	{"xsi:type", "c:IdType"},
	{"xsi:type", "c:InssType"},
	{"xsi:type", "c:PackageType"},
	{"xsi:type", "xs:string"},
	{"xsi:type", "xs:date"},
	{"xsi:type", "xs:boolean"},
	{"xsi:type", "nowhere:X"},
	{"xsi:schemaLocation", "urn:a b.xsd"},
	{"xsi:noNamespaceSchemaLocation", "b.xsd"},
	{"MessageName", "M801000"},
	{"MessageName", "M801002"},
	{"Version", "01"},
	{"Version", "1"},
	{"Duplicate", "false"},
	{"TestFlag", "maybe"},
	{"SenderReference", "12345678901234"},
	{"SenderReference", "123456789012345"},
	{"ReceiverReference", ""},
	{"Synchronous", "0"},
}

// mutate makes the mutants of one document. Every element is visited, or, for a sample that differs from another one
// only in how it names the patient, those below CareReceiverId.
func mutate(t *testing.T, doc []byte, patientOnly bool) []mutant {
	t.Helper()
	var out []mutant
	do := func(what string, i int, do func(e *etree.Element)) {
		d := read(t, doc)
		d.Root().CreateAttr("xmlns:xsi", nsXSI)
		d.Root().CreateAttr("xmlns:xs", nsXS)
		d.Root().CreateAttr("xmlns:saml2", nsSAML2)
		e := walk(d.Root(), nil)[i]
		path := e.GetPath()
		do(e)
		raw, err := d.WriteToBytes()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, mutant{path + ": " + what, raw})
	}
	for i, e := range walk(read(t, doc).Root(), nil) {
		if patientOnly && !strings.Contains(e.GetPath(), "CareReceiverId") {
			continue
		}
		mutateElement(do, i, len(e.ChildElements()) == 0)
	}
	return out
}

// TestDates holds what libxml2 sees differently: it refuses white space around dates, which the standard collapses,
// as the platform's parser does.
func TestDates(t *testing.T) {
	for text, want := range map[string]string{
		" 2030-01-15\n": "2030-01-15", "2030-01-15Z": "2030-01-15", "2030-01-15-12:00": "2030-01-15", "2028-02-29": "2028-02-29",
		"1000-01-01": "1000-01-01", "2030-02-29": "", "0000-01-01": "", "99999999999-01-01": "", "2030-01-15+14:30": "", "": "",
	} {
		day, ok := parseDate(collapse(text))
		if ok != (want != "") || ok && day.Format(time.DateOnly) != want {
			t.Errorf("parseDate(%q) = %v, %v; want %q", text, day, ok, want)
		}
	}
	for text, want := range map[string]string{
		"2030-01-15T10:00:00Z": "2030-01-15T10:00:00.000Z", "2030-01-15T10:00:00.1234567+01:00": "2030-01-15T09:00:00.123Z",
		"2030-01-15T10:00:00": "2030-01-15T10:00:00.000Z", "2030-01-15T25:00:00Z": "", "2030-01-15": "", "2030-01-15T10:00Z": "",
	} {
		at, ok := parseDateTime(text)
		if ok != (want != "") || ok && wireTime(at) != want {
			t.Errorf("parseDateTime(%q) = %v, %v; want %q", text, at, ok, want)
		}
	}
}
