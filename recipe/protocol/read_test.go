package protocol

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func elements(n *xmltree.Node) []*xmltree.Node { return slices.Collect(n.Elements()) }

// rewrite writes a document again: space is the namespace of the root, declared as the default one when capture is set;
// children arranges what stands in an element, after is written behind the children of one that has some.
func rewrite(t testing.TB, n *xmltree.Node, space string, capture bool, children func(*xmltree.Node) []*xmltree.Node, after string) []byte {
	t.Helper()
	w := xmltree.NewWriter()
	var walk func(*xmltree.Node, string)
	walk = func(n *xmltree.Node, prefix string) {
		w.Start(prefix, n.Local())
		if n.Parent() == nil && space != "" {
			if capture {
				w.NS("", space)
			} else {
				w.NS(prefix, space)
			}
		}
		for _, a := range n.Attrs() {
			w.Attr("", a.Local, a.Value)
		}
		kids := children(n)
		for _, k := range kids {
			walk(k, "")
		}
		if len(kids) == 0 {
			s, err := n.Text()
			if err != nil {
				t.Fatal(err)
			}
			w.Text(s)
		} else {
			w.Raw([]byte(after))
		}
		w.End()
	}
	prefix := "q"
	if capture || space == "" {
		prefix = ""
	}
	walk(n, prefix)
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Order, namespaces, strange parts and a dirty end do not change what is read from any sample.
func TestReadingIsLenient(t *testing.T) {
	// Groups of one name keep their order: in a list it means something.
	backwards := func(n *xmltree.Node) []*xmltree.Node {
		e := elements(n)
		slices.SortStableFunc(e, func(a, b *xmltree.Node) int { return strings.Compare(b.Local(), a.Local()) })
		return e
	}
	for _, file := range files(t, "sealed") {
		doc := read(t, file)
		n := tree(t, doc)
		want := payloadOf(file)
		if _, err := Decode(doc, want); err != nil {
			t.Fatal(err)
		}
		structured := 0
		for e := range n.Descendants() {
			if len(elements(e)) > 0 {
				structured++
			}
		}
		const strange = `<x:unheardOf xmlns:x="urn:x" a="b"><y/></x:unheardOf><!-- note -->`
		for name, c := range map[string]struct {
			doc     []byte
			unknown int
		}{
			"backwards":       {rewrite(t, n, n.Space(), false, backwards, ""), 0},
			"other namespace": {rewrite(t, n, "urn:be:fgov:ehealth:recipe:protocol:v4", false, elements, ""), 0},
			"no namespace":    {rewrite(t, n, "", false, elements, ""), 0},
			"qualified":       {rewrite(t, n, n.Space(), true, elements, ""), 0},
			"strange parts":   {rewrite(t, n, n.Space(), false, elements, strange), structured},
			"dirty end":       {append(slices.Clone(doc), 0, 1, 7, '\n', 8, 0x7f), 0},
		} {
			got := payloadOf(file)
			dev, err := Decode(c.doc, got)
			if err != nil || len(dev.List) > 0 || dev.Unknown != c.unknown {
				t.Errorf("%s, %s: %v, %+v, want %d unknown", filepath.Base(file), name, err, dev, c.unknown)
			}
			if !reflect.DeepEqual(plain(got), plain(want)) {
				t.Errorf("%s, %s: got %+v\nwant %+v", filepath.Base(file), name, got, want)
			}
		}
	}
}

func TestReading(t *testing.T) {
	const ok = "<status><code>100</code></status>"
	type check func(Payload) bool
	for _, c := range []struct {
		doc  string
		p    Payload
		dev  string // list of "path: reason", "" for none
		good check
	}{
		{
			"<a>" + ok + "<patientId>196</patientId><prescriberId>7004</prescriberId><rid> BEP0ABCDEFGI\n</rid><feedbackAllowed>1</feedbackAllowed></a>",
			new(GetPrescriptionForPatientResult), "a: root has another name",
			func(p Payload) bool {
				r := p.(*GetPrescriptionForPatientResult)
				return r.PatientID.Reveal() == "00000000196" && r.PrescriberID.Reveal() == "00007004" &&
					r.RID.Reveal() == "BEP0ABCDEFGI" && r.FeedbackAllowed
			},
		},
		{
			"<getPrescriptionForExecutorResultUnsealed>" + ok + "<prescriberId>7004001000</prescriberId><feedbackAllowed>false</feedbackAllowed></getPrescriptionForExecutorResultUnsealed>",
			new(GetPrescriptionForExecutorResult), "",
			func(p Payload) bool {
				return p.(*GetPrescriptionForExecutorResult).PrescriberID.Reveal() == "07004001000"
			},
		},
		{ // a day in the place of an instant
			"<getPrescriptionForPrescriberResult>" + ok + "<creationDate>2030-01-15T09:30:00</creationDate><expirationDate>2030-04-14+02:00</expirationDate>" +
				"<feedbackAllowed>false</feedbackAllowed></getPrescriptionForPrescriberResult>",
			new(GetPrescriptionForPrescriberResult), "",
			func(p Payload) bool {
				r := p.(*GetPrescriptionForPrescriberResult)
				return r.ExpirationDate.Equal(Day(2030, 4, 14).Start()) && r.CreationDate.Format(time.RFC3339) == "2030-01-15T09:30:00+01:00"
			},
		},
		{
			"<listRidsHistoryResult>" + ok + "<item><rid>BEP0ABCDEFGH</rid></item><items><rid>BEP1ABCDEFGJ</rid><prescriptionStatus>Sleeping</prescriptionStatus></items></listRidsHistoryResult>",
			new(ListRidsHistoryResult), "",
			func(p Payload) bool {
				i := p.(*ListRidsHistoryResult).Items
				return len(i) == 2 && i[1].PrescriptionStatus == "Sleeping" && !i[1].PrescriptionStatus.Known()
			},
		},
		{
			"<putRidsInProcessResult>" + ok + "<items><rid>BEP0ABCDEFGH</rid><prescriptionStatus>InProcess</prescriptionStatus><statusUpdater>2.000.00-14</statusUpdater></items></putRidsInProcessResult>",
			new(PutRidsInProcessResult), "",
			func(p Payload) bool {
				return SameNIHII(p.(*PutRidsInProcessResult).Items[0].StatusUpdater, identity.MustNIHII("20000014"))
			},
		},
		{
			"<listOpenRidsResult>" + ok + "<prescriptions>BEP0ABCDEFGH</prescriptions><prescriptions>what</prescriptions><prescriptions/></listOpenRidsResult>",
			new(ListOpenRidsResult), "listOpenRidsResult/prescriptions: identity: RID: wrong length; listOpenRidsResult/prescriptions: part is missing",
			func(p Payload) bool {
				l := p.(*ListOpenRidsResult)
				return len(l.Prescriptions) == 1 && len(l.RIDs()) == 1 && l.Unread == 2
			},
		},
		{
			"<createPrescriptionResult>" + ok + "</createPrescriptionResult>",
			new(CreatePrescriptionResult), "createPrescriptionResult/rid: part is missing",
			func(p Payload) bool { return p.(*CreatePrescriptionResult).RID.IsZero() },
		},
		{
			"<createPrescriptionResult><status><code>300</code><messages lang='XX'>a</messages><messages lang='much longer'>b</messages><prescriptionStatus>no word</prescriptionStatus></status></createPrescriptionResult>",
			new(CreatePrescriptionResult),
			"createPrescriptionResult/status/messages/@lang: not a value of the protocol; createPrescriptionResult/status/messages/@lang: not a value of the protocol; createPrescriptionResult/status/prescriptionStatus: not a value of the protocol",
			func(p Payload) bool {
				m := p.(*CreatePrescriptionResult).Status.Messages
				return len(m) == 2 && m[0].Lang == "XX" && m[1].Lang == "" && p.(*CreatePrescriptionResult).Status.PrescriptionStatus == ""
			},
		},
		{
			"<getPrescriptionForPrescriberResult>" + ok + "<feedbackAllowed>perhaps</feedbackAllowed><expirationDate>2030-04-14T00:00:00</expirationDate><creationDate>2030-01-15T08:30:00Z</creationDate><prescription>AA\n==</prescription></getPrescriptionForPrescriberResult>",
			new(GetPrescriptionForPrescriberResult), "getPrescriptionForPrescriberResult/feedbackAllowed: not a boolean",
			func(p Payload) bool {
				r := p.(*GetPrescriptionForPrescriberResult)
				return DateOf(r.ExpirationDate) == Day(2030, 4, 14) && r.CreationDate.Equal(time.Date(2030, 1, 15, 9, 30, 0, 0, brussels)) && len(r.Prescription) == 1
			},
		},
		{
			"<listPrescriptionsResult>" + ok + "<partial hasHidden='true'><hasMoreResults>true</hasMoreResults><prescription rid='BEP0ABCDEFGH' status='NotDelivered' date='2030-01-15+01:00' valid-until='2030-04-13T22:00:00Z' encryption-key='k' encrypted-content='?'/></partial></listPrescriptionsResult>",
			new(ListPrescriptionsResult),
			"listPrescriptionsResult/partial/prescription/@vision-other-prescribers: part is missing; listPrescriptionsResult/partial/prescription/@encrypted-content: not base64; listPrescriptionsResult/partial/prescription/prescriber: part is missing",
			func(p Payload) bool {
				r := p.(*ListPrescriptionsResult).Partial
				return r.HasHidden && r.HasMoreResults && r.Prescriptions[0].Date == Day(2030, 1, 15) && r.Prescriptions[0].ValidUntil == Day(2030, 4, 14)
			},
		},
	} {
		dev, err := Decode([]byte(c.doc), c.p)
		if err != nil {
			t.Errorf("%s: %v", c.doc, err)
			continue
		}
		var list []string
		for _, d := range dev.List {
			list = append(list, d.Path+": "+d.Reason)
		}
		if got := strings.Join(list, "; "); got != c.dev {
			t.Errorf("%s\ngot  %s\nwant %s", c.doc, got, c.dev)
		}
		if !c.good(c.p) {
			t.Errorf("%s: %+v", c.doc, c.p)
		}
	}
}

func TestReadingRefuses(t *testing.T) {
	many := strings.Repeat("<prescriptions>BEP0ABCDEFGH</prescriptions>", maxItems+1)
	for doc, want := range map[string]string{
		"":                                       "not well-formed",
		"\x00\x01":                               "not well-formed",
		"<listOpenRidsResult>":                   "not well-formed",
		"<!DOCTYPE a><a/>":                       "DOCTYPE",
		"<listOpenRidsResult/>":                  "listOpenRidsResult/status: part is missing",
		"<a><status/></a>":                       "a/status/code: part is missing",
		"<a><status><code/><code/></status></a>": "a/status/code: part stands twice",
		"<a><status><code>100</code></status><status/></a>":    "a/status: part stands twice",
		"<a><status><code>1<b/>00</code></status></a>":         "a/status/code: content is not plain text",
		"<a><status><code>100</code></status>" + many + "</a>": "a/prescriptions: too many of them",
		strings.Repeat("<a>", 41) + strings.Repeat("</a>", 41): "limit exceeded",
	} {
		_, err := Decode([]byte(doc), new(ListOpenRidsResult))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", doc, err, want)
		}
	}
	twice := "<createPrescriptionResult><status><code>100</code></status><rid>BEP0ABCDEFGH</rid><rid>BEP1ABCDEFGJ</rid></createPrescriptionResult>"
	if _, err := Decode([]byte(twice), new(CreatePrescriptionResult)); err == nil {
		t.Error("two numbers for one prescription passed")
	}
	for _, key := range []string{"", "AAAA", "?"} {
		p := new(GetVisionParam)
		if _, err := Decode([]byte("<getVisionParam><symmKey>"+key+"</symmKey><rid>BEP0ABCDEFGH</rid></getVisionParam>"), p); err == nil {
			t.Errorf("key %q passed", key)
		}
	}
}

// The number of deviations is bounded, that of unknown elements is a count.
func TestDeviationsAreBounded(t *testing.T) {
	doc := "<listOpenRidsResult><status><code>100</code></status>" + strings.Repeat("<prescriptions>x</prescriptions><y/>", 500) + "</listOpenRidsResult>"
	dev, err := Decode([]byte(doc), new(ListOpenRidsResult))
	if err != nil || len(dev.List) != maxDeviations || dev.Unknown != 500 || dev.None() {
		t.Error(err, len(dev.List), dev.Unknown)
	}
}

// Whatever stands in a leaf or an attribute, no error and no deviation repeats it.
func TestErrorsQuoteNothing(t *testing.T) {
	const secret = "Zz9Secret"
	seen := 0
	for _, file := range files(t, "sealed") {
		n := tree(t, read(t, file))
		for target := range n.Descendants() {
			for _, content := range []string{secret, "<b>" + secret + "</b>", secret + " " + secret} {
				w := xmltree.NewWriter()
				var walk func(*xmltree.Node)
				walk = func(n *xmltree.Node) {
					w.Start("", n.Local())
					for _, a := range n.Attrs() {
						if n == target {
							w.Attr("", a.Local, secret)
						} else {
							w.Attr("", a.Local, a.Value)
						}
					}
					if s, err := n.Text(); n == target {
						w.Raw([]byte(content))
					} else if err == nil {
						w.Text(s)
					}
					for e := range n.Elements() {
						walk(e)
					}
					w.End()
				}
				walk(n)
				doc, err := w.Bytes()
				if err != nil {
					t.Fatal(err)
				}
				dev, err := Decode(doc, payloadOf(file))
				text := fmt.Sprintf("%v %+v", err, dev)
				if strings.Contains(text, secret) {
					t.Errorf("%s: %s", filepath.Base(file), text)
				}
				if err != nil || len(dev.List) > 0 {
					seen++
				}
			}
		}
	}
	if seen < 300 {
		t.Errorf("only %d of the changed messages were found wrong", seen)
	}
}

// Messages with everything that a role and generation know are valid: the order of optional parts is the schema's.
func TestFullMessagesAreValid(t *testing.T) {
	shapesOf(func(name string, r Role, g Generation, shape func() Payload) {
		t.Run(name, func(t *testing.T) {
			doc := rapid.Custom(func(t *rapid.T) []byte {
				p := shape()
				filler{t, true}.fill("", reflect.ValueOf(p).Elem())
				fit(r, g, p)
				b, err := Encode(r, g, p)
				if err != nil {
					t.Fatal(err)
				}
				return b
			})
			root := tree(t, doc.Example(1)).Local()
			for seed := range 2 {
				b := doc.Example(seed)
				err := oracle.XSDError(t, sealedSchema(t, r, g, root), b)
				// The older schema wants a date of eleven characters (dossier 04 section 6.1).
				bad := root == "createPrescriptionParam" && g == Gen2021
				if bad {
					bad = err != nil && strings.Contains(err.Error(), "length")
				}
				if (err != nil) != bad {
					t.Errorf("%v\n%s", err, b)
				}
			}
		})
	})
}

func TestEncodeRefuses(t *testing.T) {
	k := Keyed{NewResponseKey()}
	rid := identity.MustRID("BEP0ABCDEFGH")
	party := Party{PrescriberID: identity.MustNIHII("10000007004")}
	pharmacy := VisionPharmacy(identity.MustNIHII("20000014"))
	patient := Party{PatientID: identity.MustSSIN("00000000196")}
	create := func(change func(*CreatePrescriptionParam)) Payload {
		p := &CreatePrescriptionParam{
			Party: patient, Prescription: []byte("x"), PrescriptionType: identity.PrescriptionP0, KeyID: "k", Keyed: k,
			ExpirationDate: Day(2030, 4, 14),
		}
		change(p)
		return p
	}
	for _, c := range []struct {
		name string
		r    Role
		g    Generation
		p    Payload
		want string // "" when it is written
	}{
		{"no role", 0, 0, &GetVisionParam{k, rid}, "does not know"},
		{"beyond roles", 4, 0, &RevokePrescriptionParam{RID: rid, Keyed: k}, "does not know"},
		{"other role", Executor, 0, &GetVisionParam{k, rid}, "does not know"},
		{"no key", Patient, 0, &GetVisionParam{RID: rid}, "getVisionParam/symmKey: part is missing"},
		{"no rid", Patient, 0, &GetVisionParam{Keyed: k}, "getVisionParam/rid: part is missing"},
		{"eleven", Executor, 0, &PutRidsInProcessParam{RIDs: slices.Repeat([]identity.RID{rid}, 11), Keyed: k}, "too many"},
		{"none", Executor, 0, &PutRidsInProcessParam{Keyed: k}, "rids: part is missing"},
		{"absent", Executor, 0, &PutRidsInProcessParam{RIDs: []identity.RID{{}}, Keyed: k}, "rids: part is missing"},
		{"older list", Prescriber, Gen2021, &ListPrescriptionsParam{Keyed: k}, "does not exist"},
		{"patient's party", Patient, 0, &GetPrescriptionStatusParam{Party: party, RID: rid, Keyed: k}, "does not exist"},
		{"vision of patient", Patient, 0, &PutVisionParam{RID: rid, Vision: &pharmacy, Keyed: k}, ""},
		{"no vision", Patient, 0, &PutVisionParam{RID: rid, Keyed: k}, "vision: part is missing"},
		{"older no vision", Prescriber, Gen2021, &PutVisionParam{RID: rid, Keyed: k}, "vision: part is missing"},
		{"newer no vision", Prescriber, Gen2023, &PutVisionParam{RID: rid, Keyed: k}, ""},
		{"older others", Prescriber, Gen2021, &PutVisionParam{RID: rid, Vision: &pharmacy, VisionOthers: OthersOpen, Keyed: k}, "does not exist"},
		{"newer party", Prescriber, Gen2023, &PutVisionParam{Party: party, RID: rid, Keyed: k}, "does not exist"},
		{"mandate of whom", Executor, 0, &ListRelationsParam{Keyed: k}, "mandateHolderId: part is missing"},
		{"patient's mandate", Patient, 0, &ListRelationsParam{Keyed: k, MandateHolderID: identity.MustSSIN("00000000394")}, "does not exist"},
		{"create", Prescriber, Gen2023, create(func(*CreatePrescriptionParam) {}), ""},
		{"older create", Prescriber, Gen2021, create(func(*CreatePrescriptionParam) {}), ""},
		{"create for nobody", Prescriber, Gen2023, create(func(p *CreatePrescriptionParam) { p.Party = Party{} }), "patientId: part is missing"},
		{"create by", Prescriber, Gen2023, create(func(p *CreatePrescriptionParam) { p.PrescriberID = party.PrescriberID }), "does not exist"},
		{"older create by", Prescriber, Gen2021, create(func(p *CreatePrescriptionParam) { p.PrescriberID = party.PrescriberID }), ""},
		{"older create others", Prescriber, Gen2021, create(func(p *CreatePrescriptionParam) { p.VisionOthers = OthersOpen }), "does not exist"},
		{"create nothing", Prescriber, Gen2023, create(func(p *CreatePrescriptionParam) { p.Prescription = nil }), "prescription: part is missing"},
		{"create no key", Prescriber, Gen2023, create(func(p *CreatePrescriptionParam) { p.KeyID = "" }), "keyId: part is missing"},
		{"create no type", Prescriber, Gen2023, create(func(p *CreatePrescriptionParam) { p.PrescriptionType = "" }), "prescriptionType: part is missing"},
		{"create no end", Prescriber, Gen2023, create(func(p *CreatePrescriptionParam) { p.ExpirationDate = Date{} }), "expirationDate: part is missing"},
	} {
		b, err := Encode(c.r, c.g, c.p)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || b != nil) {
			t.Errorf("%s: %v, want %q\n%s", c.name, err, c.want, b)
		}
	}
}

// Going back to no restriction is an empty element, leaving the vision alone is no element.
func TestVisionEmptyOrAbsent(t *testing.T) {
	open := VisionOpen
	for want, v := range map[string]*Vision{"<vision></vision>": &open, "": nil} {
		p := &PutVisionParam{Type: VisionTypePrescriber, RID: identity.MustRID("BEP0ABCDEFGH"), Vision: v, Keyed: Keyed{NewResponseKey()}}
		b, err := Encode(Prescriber, Gen2023, p)
		if err != nil {
			t.Fatal(err)
		}
		q := new(PutVisionParam)
		if _, err := Decode(b, q); err != nil || (q.Vision == nil) != (v == nil) || strings.Contains(string(b), "<vision") != (want != "") {
			t.Errorf("%v, %s", err, b)
		}
	}
}

// A page that is only a number is sent as the programs in use send it.
func TestPageDefaults(t *testing.T) {
	p := &ListOpenRidsParam{Keyed: Keyed{NewResponseKey()}, Paged: Paged{Page: &Page{PageNumber: 2}, Session: Session("s")}}
	b, err := Encode(Prescriber, Gen2023, p)
	if err != nil || !strings.Contains(string(b), "<page><month>1</month><year>2000</year><pageNumber>2</pageNumber></page><session>cw==</session>") {
		t.Errorf("%v, %s", err, b)
	}
	if p.Page.Month != 0 {
		t.Error("writing changed the value")
	}
}
