package kmehr

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// older rewrites a document of today as one of an earlier version of the schema.
func older(doc []byte, pairs ...string) []byte {
	source := `<externalsource><source><cd S="CD-EXTERNALSOURCE" SV="1.0">samv2</cd><version>SAMPLE</version></source></externalsource>`
	pairs = append(pairs, source, "")
	return []byte(strings.NewReplacer(pairs...).Replace(string(doc)))
}

func TestParseOlderVersions(t *testing.T) {
	p := sample()
	p.Items = append(p.Items, preparation())
	doc := must[[]byte](t)(Write(p))
	for _, c := range []struct {
		name, dir, file, version string
		pairs                    []string
	}{
		{
			"1.19", "xsd-kmehr-1.19.0", "recipe_PP_kmehr_elements_1_19.xsd", "kmehr_1.20",
			[]string{`SV="1.29">20190301`, `SV="1.20">20161201`, `"CD-HCPARTY" SV="1.15"`, `"CD-HCPARTY" SV="1.11"`, `"CD-TRANSACTION" SV="1.13"`, `"CD-TRANSACTION" SV="1.10"`},
		},
		{
			"1.17", "xsd-kmehr-1.17.1", "recipe_PP_kmehr_elements_1_17.xsd", "kmehr_1.18",
			[]string{
				`SV="1.29">20190301`, `SV="1.18">20160601`, `"CD-HCPARTY" SV="1.15"`, `"CD-HCPARTY" SV="1.9"`, `"CD-TRANSACTION" SV="1.13"`, `"CD-TRANSACTION" SV="1.9"`,
				`"CD-ITEM" SV="1.11"`, `"CD-ITEM" SV="1.9"`, `"CD-LIFECYCLE" SV="1.9"`, `"CD-LIFECYCLE" SV="1.7"`,
			},
		},
	} {
		old := older(doc, c.pairs...)
		oracle.ValidateXSD(t, oracle.Shared(t, "schemas", "recipe", "conf", "XSD", c.dir, "ehealth-kmehr", "XSD", c.file), old)
		m := must[*Message](t)(Parse(old))
		if m.Structure() != nil || m.Version() != c.version || m.ReferenceSource() != Unknown || !bytes.Equal(m.Bytes(), old) {
			t.Errorf("%s: %v %s %s", c.name, m.Structure(), m.Version(), m.ReferenceSource())
		}
		got := m.Prescription()
		if len(got.Items) != 2 || got.Items[0].Medicine == nil || got.Items[1].Magistral.Text != (Text{"fr", Hide("Preparation de demonstration")}) {
			t.Errorf("%s: items %s", c.name, dump(got))
		}
		if rules, _ := numbers(DefaultRules().Check(m, "P0")); !slices.Contains(rules, 1) {
			t.Errorf("%s is taken for a document of today: %v", c.name, rules)
		}
	}
}

// everyPart are children of an item for which there is no field, or not for this form of them.
const everyPart = `<item><id S="ID-KMEHR" SV="1.0">1</id><id S="LOCAL" SV="1.0" SL="x">2</id><cd S="CD-ITEM" SV="1.11">medication</cd>` +
	`<content><medicinalproduct><intendedcd S="CD-DRUG-CNK" SV="WSSAMv2">1234566</intendedcd><intendedcd S="CD-AMP" SV="LOCALDB" DN="d">a</intendedcd><intendedname>n</intendedname><deliveredname>d</deliveredname></medicinalproduct></content>` +
	`<content><cd S="LOCAL" SV="1.0" SL="SAMPROOF">p</cd></content>` +
	`<text L="fr">t</text><author><hcparty><cd S="CD-HCPARTY" SV="1.15">persphysician</cd></hcparty></author>` +
	`<beginmoment><date>2030-01-15</date><time>10:00:00</time></beginmoment><endmoment><text L="fr">plus tard</text></endmoment>` +
	`<iscomplete>true</iscomplete><isvalidated>true</isvalidated><lifecycle><cd S="CD-LIFECYCLE" SV="1.9">prescribed</cd></lifecycle>` +
	`<isrelevant>true</isrelevant><severity><cd S="CD-SEVERITY" SV="1.0">high</cd></severity><certainty><cd S="CD-CERTAINTY" SV="1.0">proven</cd></certainty>` +
	`<urgency><cd S="CD-URGENCY" SV="1.0">day</cd></urgency><quantity><decimal>1</decimal><unit><cd S="UCUM" SV="1.0">g</cd></unit></quantity>` +
	`<strength><decimal>10</decimal><unit><cd S="CD-UNIT" SV="1.0">mg</cd></unit></strength><frequency><periodicity><cd S="CD-PERIODICITY" SV="1.1" DN="daily" L="en">D</cd></periodicity></frequency>` +
	`<site><text L="fr">bras</text></site><cost><decimal>5</decimal><unit><cd S="CD-CURRENCY" SV="1.0">EUR</cd></unit></cost>` +
	`<duration><decimal>1</decimal><unit><cd S="LOCAL" SV="1.0" SL="x">lune</cd></unit></duration><posology><text L="fr">x</text></posology>` +
	`<regimen><weekday><cd S="CD-WEEKDAY" SV="1.0">monday</cd><weeknumber>2</weeknumber></weekday><quantity><decimal>1</decimal></quantity></regimen>` +
	`<batch>b</batch><feedback><reportrequested>true</reportrequested></feedback>` +
	`<local><cd S="LOCAL" SL="x" SV="1.0" DN="d" L="fr">l</cd><content><text L="fr">c</text></content></local>` +
	`<recorddatetime>2030-01-15T09:30:00+01:00</recorddatetime><lnk TYPE="multimedia" MEDIATYPE="text/plain">eA==</lnk></item>`

func TestParseKeepsWhatHasNoField(t *testing.T) {
	doc := string(must[[]byte](t)(Write(sample())))
	first, last := strings.Index(doc, "<item>"), strings.Index(doc, "</item>")+len("</item>")
	doc = doc[:first] + everyPart + doc[last:]
	doc = strings.Replace(doc, "<externalsource>", `<text L="fr">lettre</text><expirationdate>2030-02-01</expirationdate><externalsource>`, 1)
	doc = strings.Replace(doc, "</sex>", `</sex><address><cd S="CD-ADDRESS" SV="1.1">home</cd><text L="fr">x</text></address><usuallanguage>fr</usuallanguage>`, 1)
	doc = strings.Replace(doc, "</transaction>", `<version>1</version></transaction><text L="fr">dossier</text>`, 1)
	oracle.ValidateXSD(t, xsd(t), []byte(doc))
	m := must[*Message](t)(Parse([]byte(doc)))
	if v := m.Structure(); v != nil {
		t.Error(v)
	}
	p := m.Prescription()
	// What the fields cannot hold is written back where it was; the numbers of the item are the document's own.
	want := strings.Replace(doc, `<id S="LOCAL" SV="1.0" SL="x">2</id>`, "", 1)
	got := must[[]byte](t)(build(&p))
	if canonical(t, got) != canonical(t, []byte(want)) {
		t.Errorf("got\n%s\nwant\n%s", canonical(t, got), canonical(t, []byte(want)))
	}
	if i := p.Items[0]; i.Medicine.CNK != identity.MustCNK("1234566") || len(i.Medicine.Codes) != 1 || i.Medicine.Delivered != Hide("d") || i.Proof != Hide("p") {
		t.Error("the fields of the product are not read")
	}
	if n := p.Extra[0].Name(); n != "header/text" {
		t.Error(n)
	}
}

// Rules and schema let a sender have further codes and numbers, in front of those that matter.
func TestParseSendersWithMoreCodes(t *testing.T) {
	p := sample()
	p.Hospital = &Hospital{NIHII: must[identity.NIHII](t)(identity.NewNIHII("710000", "")), Name: Hide("Sample hospital")}
	doc := string(must[[]byte](t)(Write(p)))
	sender, rest, _ := strings.Cut(doc, "</sender>")
	sender = strings.ReplaceAll(sender, `<cd S="CD-HCPARTY"`, `<cd S="CD-ROLE" SV="1.0">x</cd><cd S="CD-HCPARTY"`)
	sender = strings.ReplaceAll(sender, `<id S="ID-HCPARTY"`, `<id S="LOCAL" SL="x" SV="1.0">19999915001</id><id S="ID-HCPARTY"`)
	doc = sender + "</sender>" + rest
	oracle.ValidateXSD(t, xsd(t), []byte(doc))
	m := must[*Message](t)(Parse([]byte(doc)))
	if v := DefaultRules().Check(m, "P0"); v != nil {
		t.Error(v)
	}
	got := m.Prescription()
	if got.Hospital == nil || !got.Hospital.NIHII.SameBase(p.Hospital.NIHII) || got.Software.Name != p.Software.Name || got.Software.Phone != p.Software.Phone {
		t.Error("the sender is not read")
	}
}

func TestParsePrefixesAndEncodings(t *testing.T) {
	doc := must[[]byte](t)(Write(full()))
	want := must[*Message](t)(Parse(doc))
	prefixed := strings.NewReplacer("</", "</k:", "<", "<k:", "xmlns=", "xmlns:k=").Replace(string(doc))
	m := must[*Message](t)(Parse([]byte(prefixed)))
	if m.Structure() != nil || m.Digest() != want.Digest() || DefaultRules().Check(m, "P0") != nil {
		t.Error("a prefix changes the document", m.Structure())
	}
	accented := bytes.ReplaceAll(doc, []byte("1 comprime par jour"), []byte("1 comprim\xe9 par jour"))
	latin := append([]byte(`<?xml version="1.0" encoding="ISO-8859-1"?>`), accented...)
	m = must[*Message](t)(Parse(latin))
	if got := m.Prescription().Items[0].Posology.Text.Reveal(); got != "1 comprimé par jour" || !bytes.Equal(m.Bytes(), latin) {
		t.Errorf("%q", got)
	}
	m = must[*Message](t)(Parse(append([]byte("\xef\xbb\xbf"+`<?xml version="1.0" encoding="UTF-8"?>`), doc...)))
	if m.Digest() != want.Digest() {
		t.Error("a byte order mark changes the document")
	}
}

// TestChangedFieldWins is about a prescription that is renewed: what was kept of the old one must not stand in the way of what the
// prescriber changes.
func TestChangedFieldWins(t *testing.T) {
	doc := string(must[[]byte](t)(Write(sample())))
	first, last := strings.Index(doc, "<item>"), strings.Index(doc, "</item>")+len("</item>")
	p := must[*Message](t)(Parse([]byte(doc[:first] + everyPart + doc[last:]))).Prescription()
	i := &p.Items[0]
	i.Begin, i.End, i.Periodicity, i.Proof = NewDay(2030, 2, 1), NewDay(2030, 3, 1), "W", Private{}
	i.Quantity, i.Duration, i.Regimen = Quantity{Value: "2"}, Duration{"1", Weeks}, []Intake{{Amount: "3"}}
	got := string(must[[]byte](t)(Write(p)))
	for _, want := range []string{
		"<beginmoment><date>2030-02-01</date></beginmoment>", "<endmoment><date>2030-03-01</date></endmoment>", ">W</cd></periodicity>",
		"<quantity><decimal>2</decimal></quantity><strength", "<regimen><quantity><decimal>3</decimal></quantity></regimen>",
		"<duration><decimal>1</decimal>", "1234566</intendedcd><intendedname>n</intendedname></medicinalproduct></content><text",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

func TestParseTextStraightInAPreparation(t *testing.T) {
	p := sample()
	p.Items = []Item{preparation()}
	doc := string(must[[]byte](t)(Write(p)))
	doc = strings.Replace(doc, `<compoundprescription><magistraltext L="fr">Preparation de demonstration</magistraltext>`, `<compoundprescription L="fr">Preparation de demonstration`, 1)
	oracle.ValidateXSD(t, xsd(t), []byte(doc))
	m := must[*Message](t)(Parse([]byte(doc)))
	got := m.Prescription()
	if m.Structure() != nil || got.Items[0].Magistral.Text != p.Items[0].Magistral.Text {
		t.Error(m.Structure(), dump(got))
	}
	if again := must[[]byte](t)(Write(got)); canonical(t, again) != canonical(t, []byte(doc)) {
		t.Errorf("%s", again)
	}
}

// Who gets a document that breaks the rules about headings sees all its medicines, in order, and each once.
func TestParseReadsEveryHeading(t *testing.T) {
	doc := string(must[[]byte](t)(Write(full())))
	all := must[*Message](t)(Parse([]byte(doc))).Prescription()
	const end = "</item>"
	for name, put := range map[string]string{
		"two headings": end + "</heading><heading>", "heading in the heading": end + "<heading>", "outside": end + "</heading>",
		"heading in the heading of another kind": end + "<text/><heading><text/>",
	} {
		parts := strings.SplitAfterN(doc, end, 3)
		changed := parts[0] + strings.TrimSuffix(parts[1], end) + put + parts[2]
		switch {
		case strings.HasPrefix(name, "heading"):
			changed = strings.Replace(changed, "</heading>", "</heading></heading>", 1)
		case name == "outside":
			changed = changed[:strings.LastIndex(changed, "</heading>")] + changed[strings.LastIndex(changed, "</heading>")+len("</heading>"):]
		}
		got := must[*Message](t)(Parse([]byte(changed))).Prescription()
		if got.Digest() != all.Digest() || len(got.Items) != len(all.Items) || len(got.Extra) != len(all.Extra) {
			t.Errorf("%s: %d medicines of %d", name, len(got.Items), len(all.Items))
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, doc := range map[string]string{
		"nothing":     "",
		"no XML":      "PK\x03\x04",
		"other root":  "<html/>",
		"entities":    `<!DOCTYPE a [<!ENTITY x "y">]><kmehrmessage/>`,
		"cut":         `<kmehrmessage xmlns="` + Namespace + `"><header>`,
		"Latin in it": "<kmehrmessage>\xe9</kmehrmessage>",
		"too long":    "<kmehrmessage>" + strings.Repeat(" ", MaxBytes) + "</kmehrmessage>",
		"too deep":    "<kmehrmessage>" + strings.Repeat("<a>", 50) + strings.Repeat("</a>", 50) + "</kmehrmessage>",
		"too many":    "<kmehrmessage>" + strings.Repeat("<a/>", 60_000) + "</kmehrmessage>",
		"UTF-16":      `<?xml version="1.0" encoding="UTF-16"?><kmehrmessage/>`,
	} {
		m, err := Parse([]byte(doc))
		if m != nil || !errors.Is(err, fault.ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStructureNamesWhatIsMissing takes each element of a document away, one after the other: those that the schema demands are
// missed, with their place.
func TestStructureNamesWhatIsMissing(t *testing.T) {
	schema := xsd(t)
	doc := must[[]byte](t)(Write(sample()))
	root := must[*xmltree.Node](t)(xmltree.Parse(doc, xmltree.Limits{}))
	missed := 0
	for n := range root.Descendants() {
		if n == root {
			continue
		}
		w := xmltree.NewWriter()
		without(w, root, n)
		body := must[[]byte](t)(w.Bytes())
		found := must[*Message](t)(Parse(body)).Structure()
		judge := oracle.XSDError(t, schema, body)
		if (judge == nil) != (len(found) == 0) {
			if standardGone(body) {
				continue // without its standard a document is not of this version
			}
			t.Errorf("without %s: ours %v, xmllint %v", nodePath(n), found, judge)
			continue
		}
		if judge != nil {
			missed++
			if up := nodePath(n.Parent()); !strings.HasPrefix(found[0].XPath, up) {
				t.Errorf("without %s: the place is %s", nodePath(n), found[0].XPath)
			}
		}
	}
	if missed < 30 {
		t.Errorf("only %d elements are missed", missed)
	}
}

func standardGone(doc []byte) bool { return !bytes.Contains(doc, []byte(">"+Standard+"<")) }

// without copies n except one element below it.
func without(w *xmltree.Writer, n, skip *xmltree.Node) {
	w.Start("", n.Local())
	w.NS("", n.Space())
	for _, a := range n.Attrs() {
		w.Attr("", a.Local, a.Value)
	}
	for c := range n.Children() {
		switch {
		case c == skip:
		case c.Kind() == xmltree.Text:
			w.Text(c.Data())
		default:
			without(w, c, skip)
		}
	}
	w.End()
}

func TestStructureOfOtherVersions(t *testing.T) {
	for doc, want := range map[string]string{
		`<kmehrmessage/>`: "[/kmehrmessage/header /kmehrmessage/folder]",
		`<kmehrmessage><header><standard><cd/></standard><id/><date/><time/><sender/><recipient><hcparty/></recipient></header><folder/></kmehrmessage>`: "[/kmehrmessage/header/sender/hcparty /kmehrmessage/folder/id /kmehrmessage/folder/patient /kmehrmessage/folder/transaction]",
	} {
		var places []string
		for _, v := range must[*Message](t)(Parse([]byte(doc))).Structure() {
			places = append(places, v.XPath)
		}
		if fmt.Sprint(places) != want {
			t.Errorf("%s: %v", doc, places)
		}
	}
}

func TestMessageAnswers(t *testing.T) {
	p := full()
	m := must[*Message](t)(Parse(must[[]byte](t)(Write(p))))
	if m.Version() != "kmehr_1.29" || m.Standard() != Standard || m.ReferenceSource() != "samv2:SAMPLE" || !m.AuthorNIHII().SameBase(p.Author.NIHII) {
		t.Error(m.Version(), m.Standard(), m.ReferenceSource())
	}
	if m.HeaderIDs() != p.HeaderIDs() || m.Digest() != p.Digest() || m.Prescription().Expires.Reveal() != "2030-04-14" {
		t.Error("numbers, digest or last day")
	}
	empty := must[*Message](t)(Parse([]byte("<kmehrmessage/>")))
	if empty.Version() != "" || empty.ReferenceSource() != Unknown || !empty.AuthorNIHII().IsZero() || empty.Summary() == nil || len(empty.Summary()) != 0 {
		t.Error("an empty document says something")
	}
	if (Source{Name: "samv2"}).Reference() != Unknown {
		t.Error("a source without version")
	}
}

func TestPrescriptionIsACopy(t *testing.T) {
	m := must[*Message](t)(Parse(must[[]byte](t)(Write(full()))))
	p := m.Prescription()
	p.Items[0].Medicine.Name = Hide("other")
	p.Items = p.Items[:1]
	if m.Summary()[0].Name == Hide("other") || len(m.Prescription().Items) != 5 {
		t.Error("the message changed")
	}
}

func TestReadInstant(t *testing.T) {
	for in, want := range map[[2]string]time.Time{
		{"2030-01-15", "09:30:00"}:       created,
		{"2030-01-15", "09:30:00.500"}:   created.Add(500 * time.Millisecond),
		{"2030-01-15", "08:30:00Z"}:      created,
		{"2030-01-15+01:00", "09:30:00"}: created,
		{"2030-01-15", "10:30:00+02:00"}: created,
		{"2030-01-15", "late"}:           time.Date(2030, 1, 15, 0, 0, 0, 0, brussels),
		{"15/01/2030", "09:30:00"}:       {},
	} {
		if got := readInstant(in[0], in[1]); !got.Equal(want) {
			t.Errorf("%v = %v", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	doc, err := Write(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Add([]byte(`<kmehrmessage xmlns="` + Namespace + `"><folder><transaction><heading>` + everyPart + `</heading></transaction></folder></kmehrmessage>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		m, err := Parse(doc)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Bytes(), doc) {
			t.Fatal("Bytes is another document")
		}
		found := DefaultRules().Check(m, "P0")
		again, err := Write(m.Prescription())
		if err != nil {
			return
		}
		n, err := Parse(again)
		if err != nil || DefaultRules().Check(n, "P0") != nil {
			t.Fatal("Write made what is not valid")
		}
		if found == nil && n.Digest() != m.Digest() {
			t.Fatal("a valid document changed its content when written again")
		}
	})
}

// The text of the day of expiry is what stands there, which the day read from it no longer tells.
func TestRevealExpiry(t *testing.T) {
	doc := string(must[[]byte](t)(Write(sample())))
	element := doc[strings.Index(doc, "<expirationdate>") : strings.Index(doc, "</expirationdate>")+len("</expirationdate>")]
	for put, want := range map[string]string{
		element: "2030-04-14",
		"<expirationdate>2030-04-14+02:00</expirationdate>":     "2030-04-14+02:00",
		"<expirationdate> 2030-04-14\n</expirationdate>":        " 2030-04-14\n",
		"<expirationdate>2030<!-- x -->-04-14</expirationdate>": "2030-04-14",
		"<expirationdate/>": "",
		"":                  "",
	} {
		m := must[*Message](t)(Parse([]byte(strings.Replace(doc, element, put, 1))))
		if got := m.RevealExpiry(); got != want {
			t.Errorf("%s: %q", put, got)
		}
	}
}
