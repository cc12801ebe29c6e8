package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// mailSamples are the sample requests by root element.
func mailSamples(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	files, err := filepath.Glob(filepath.Join(oracle.Shared(t, "samples", "ehbox"), "*-request*.xml"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, f := range files {
		doc, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = doc
	}
	return out
}

func mailSchema(t testing.TB, space string) string {
	t.Helper()
	name := "ehealth-ehBox-consultation-schema-protocol-3_0.xsd"
	if space == nsMailSend {
		name = "ehealth-ehBox-publication-schema-protocol-3_0.xsd"
	}
	return sharedXSD(t, "ehealth-ehbox", name)
}

// TestMailSchema: every sample conforms, and mutants of the samples are judged as xmllint judges them with the real schema.
func TestMailSchema(t *testing.T) {
	if testing.Short() {
		t.Skip("only computes: run without -short")
	}
	xmllint := oracle.Tool(t, "xmllint")
	good, bad := 0, 0
	for name, doc := range mailSamples(t) {
		root, err := xmltree.Parse(doc, xmltree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		at := qname{root.Space(), root.Local()}
		if err := mailTypesOfficial[at.local].validate(root); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mutants := mutateMail(t, doc)
		switch name { // the general mutations on one sample of each kind
		case "getMessagesList-request-boxid-page2.xml", "insertOoO-request.xml", "sendMessage-request-news.xml":
			mutants = append(mutants, mutate(t, withPrefixes(doc), false)...)
		}
		mutants = slices.DeleteFunc(mutants, func(m mutant) bool { // a prefix for no namespace
			_, err := xmltree.Parse(m.doc, xmltree.Limits{})
			return errors.Is(err, xmltree.ErrNamespace)
		})
		want := xmllintVerdicts(t, xmllint, mailSchema(t, at.space), mutants)
		for i, m := range mutants {
			err := schemaVerdict(t, at, mailTypesLenient[at.local], m.doc)
			// xmllint passes over what is no base64, and does not collapse white space around a restricted xs:int.
			lax := err != nil && strings.Contains(err.Error(), "base64Binary") ||
				err == nil && strings.Contains(m.what, "Index: text  ")
			if (err == nil) != want[i] && !lax {
				t.Errorf("%s, %s: we say %v, xmllint says valid=%v", name, m.what, err, want[i])
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
	}
	t.Logf("%d valid, %d not", good, bad)
	if good < 100 || bad < 100 {
		t.Errorf("mutants are lopsided: %d valid, %d not", good, bad)
	}
}

// withPrefixes declares the prefixes that mutations use.
func withPrefixes(doc []byte) []byte {
	text := string(doc)
	for _, p := range []string{"c", "p"} {
		if !strings.Contains(text, "xmlns:"+p+"=") {
			text = strings.Replace(text, "Request xmlns:", "Request xmlns:"+p+`="urn:other" xmlns:`, 1)
		}
	}
	return []byte(text)
}

// mutateMail makes the mutations that the other services have no use for: values of eHealthBox, and the parts of choices.
func mutateMail(t *testing.T, doc []byte) []mutant {
	t.Helper()
	var out []mutant
	change := func(what string, i int, do func(e *etree.Element)) {
		d := read(t, doc)
		e := walk(d.Root(), nil)[i]
		what = e.GetPath() + ": " + what
		do(e)
		raw, err := d.WriteToBytes()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, mutant{what, raw})
	}
	long := func(n int) string { return strings.Repeat("é", n) }
	for i, e := range walk(read(t, doc).Root(), nil) {
		if len(e.ChildElements()) > 0 {
			for _, name := range []string{
				"EncryptableTextContent", "EncryptableBinaryContent", "EncryptableFreeText", "SubType", "User", "Mandate", "BoxId", "Source",
			} {
				change("child "+name+" first", i, func(e *etree.Element) { e.InsertChildAt(0, etree.NewElement(name)) })
				change("child "+name+" last", i, func(e *etree.Element) { e.CreateElement(name) })
			}
			for _, a := range [][2]string{{"Title", "x"}, {"Title", ""}, {"PublicationId", ""}, {"PublicationId", "12345678901234"}, {"PublicationId", "é"}} {
				change("@"+a[0]+"="+a[1], i, func(e *etree.Element) { e.CreateAttr(a[0], a[1]) })
			}
			continue
		}
		for _, text := range []string{
			"", " ", "INBOX", " INBOX", "HISTORY", "SENTBOX", "BININBOX", "DOCUMENT", "ERROR", "ACKNOWLEDGEMENT", "2147483647", "2147483648", " 7 ",
			"9Y00000000A01", "9Y00000000A0-", "QQ==", "QQ", "Q Q = =", "cid:a", "cid:a b", "%zz", "1234567890123", "12345678901234",
			long(25), long(26), long(80), long(81), long(250), long(251), long(255), long(256), long(400), long(401),
		} {
			change("text "+text, i, func(e *etree.Element) { e.SetText(text) })
		}
		for _, a := range [][2]string{{"FirstName", ""}, {"LastName", long(101)}, {"Render", ""}, {"Render", "x"}} {
			change("@"+a[0]+"="+a[1], i, func(e *etree.Element) { e.CreateAttr(a[0], a[1]) })
		}
		change("no attributes", i, func(e *etree.Element) { e.Attr = nil })
		if i == 0 {
			continue
		}
		change("a hundred and one", i, func(e *etree.Element) {
			for range 100 {
				e.Parent().InsertChildAt(e.Index(), e.Copy())
			}
		})
	}
	return out
}

// TestMailSchemaINSS: the official set wants eleven characters, the variant eight to thirteen.
func TestMailSchemaINSS(t *testing.T) {
	doc := string(mailSamples(t)["sendMessage-request-document-annex-swaref.xml"])
	if strings.Count(doc, ">99123199771</User>") != 1 {
		t.Fatal("another sample")
	}
	for length, want := range map[int][2]bool{7: {false, false}, 8: {false, true}, 11: {true, true}, 13: {false, true}, 14: {false, false}} {
		n := parsed(t, []byte(strings.Replace(doc, ">99123199771</User>", ">"+strings.Repeat("1", length)+"</User>", 1)))
		for i, types := range []map[string]*xsType{mailTypesOfficial, mailTypesLenient} {
			if ok := types[n.Local()].validate(n) == nil; ok != want[i] {
				t.Errorf("%d characters, set %d: %v", length, i, ok)
			}
		}
	}
}
