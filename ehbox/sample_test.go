package ehbox

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/c14n"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, doc []byte) *xmltree.Node {
	t.Helper()
	n, err := xmltree.Parse(doc, xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// compact is the canonical form without white space between elements.
func compact(t testing.TB, doc []byte) string {
	t.Helper()
	w := xmltree.NewWriter()
	copyTree(w, parse(t, doc))
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(c14n.Append(nil, parse(t, b), c14n.Options{}))
}

func copyTree(w *xmltree.Writer, n *xmltree.Node) {
	w.Start(n.Prefix(), n.Local())
	for _, ns := range n.Namespaces() {
		w.NS(ns.Prefix, ns.URI)
	}
	for _, a := range n.Attrs() {
		w.Attr(a.Prefix, a.Local, a.Value)
	}
	for c := range n.Children() {
		switch {
		case c.Kind() == xmltree.Element:
			copyTree(w, c)
		case c.Kind() == xmltree.Text && strings.TrimSpace(c.Data()) != "":
			w.Text(c.Data())
		}
	}
	w.End()
}

// again reads a message and writes it back; found are the deviations.
func again[T any](space, root string, wire func(*T, *codec)) func(*xmltree.Node) ([]byte, []Deviation, error) {
	return func(n *xmltree.Node) ([]byte, []Deviation, error) {
		v := new(T)
		dev, err := decode(n, space, root, v, wire)
		if err != nil {
			return nil, nil, err
		}
		b, err := encode(space, root, v, wire)
		return b, dev, err
	}
}

var rewriters = map[string]func(*xmltree.Node) ([]byte, []Deviation, error){
	"GetBoxInfoRequest":                       again(nsConsultation, "GetBoxInfoRequest", (*GetBoxInfoRequest).wire),
	"GetBoxInfoResponse":                      again(nsConsultation, "GetBoxInfoResponse", (*GetBoxInfoResponse).wire),
	"GetMessagesListRequest":                  again(nsConsultation, "GetMessagesListRequest", (*GetMessagesListRequest).wire),
	"GetMessagesListResponse":                 again(nsConsultation, "GetMessagesListResponse", (*GetMessagesListResponse).wire),
	"GetAllEhboxesMessagesListRequest":        again(nsConsultation, "GetAllEhboxesMessagesListRequest", (*GetAllEhboxesMessagesListRequest).wire),
	"GetAllEhboxesMessagesListResponse":       again(nsConsultation, "GetAllEhboxesMessagesListResponse", (*GetMessagesListResponse).wire),
	"GetFullMessageRequest":                   again(nsConsultation, "GetFullMessageRequest", (*MessageRequest).wire),
	"GetFullMessageResponse":                  again(nsConsultation, "GetFullMessageResponse", (*GetFullMessageResponse).wire),
	"GetHistoryRequest":                       again(nsConsultation, "GetHistoryRequest", (*MessageRequest).wire),
	"GetHistoryResponse":                      again(nsConsultation, "GetHistoryResponse", (*GetHistoryResponse).wire),
	"MoveMessageRequest":                      again(nsConsultation, "MoveMessageRequest", (*MoveMessageRequest).wire),
	"MoveMessageResponse":                     again(nsConsultation, "MoveMessageResponse", (*ChangeResponse).wire),
	"DeleteMessageRequest":                    again(nsConsultation, "DeleteMessageRequest", (*DeleteMessageRequest).wire),
	"DeleteMessageResponse":                   again(nsConsultation, "DeleteMessageResponse", (*ChangeResponse).wire),
	"GetMessageAcknowledgmentsStatusRequest":  again(nsConsultation, "GetMessageAcknowledgmentsStatusRequest", (*GetMessageAcknowledgmentsStatusRequest).wire),
	"GetMessageAcknowledgmentsStatusResponse": again(nsConsultation, "GetMessageAcknowledgmentsStatusResponse", (*GetMessageAcknowledgmentsStatusResponse).wire),
	"InsertOoORequest":                        again(nsConsultation, "InsertOoORequest", (*InsertOoORequest).wire),
	"InsertOoOResponse":                       again(nsConsultation, "InsertOoOResponse", (*InsertOoOResponse).wire),
	"DeleteOoORequest":                        again(nsConsultation, "DeleteOoORequest", (*DeleteOoORequest).wire),
	"DeleteOoOResponse":                       again(nsConsultation, "DeleteOoOResponse", (*DeleteOoOResponse).wire),
	"GetOoOListRequest":                       again(nsConsultation, "GetOoOListRequest", (*GetOoOListRequest).wire),
	"GetOoOListResponse":                      again(nsConsultation, "GetOoOListResponse", (*GetOoOListResponse).wire),
	"SendMessageRequest":                      again(nsPublication, "SendMessageRequest", (*SendMessageRequest).wire),
	"SendMessageResponse":                     again(nsPublication, "SendMessageResponse", (*SendMessageResponse).wire),
}

func schema(t testing.TB, n *xmltree.Node) string {
	name := "ehealth-ehBox-consultation-schema-protocol-3_0.xsd"
	if n.Space() == nsPublication {
		name = "ehealth-ehBox-publication-schema-protocol-3_0.xsd"
	}
	return oracle.Shared(t, "schemas", "ehealth-ehbox", "XSD", name)
}

// Every sample decodes without a deviation; what is written back is the same message, valid for schema 3.0.7.
func TestSamplesRoundTrip(t *testing.T) {
	files, err := filepath.Glob("testdata/samples/*.xml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		name := filepath.Base(f)
		if strings.HasPrefix(name, "fault-") {
			continue
		}
		n++
		t.Run(name, func(t *testing.T) {
			doc := sample(t, name)
			root := parse(t, doc)
			rewrite := rewriters[root.Local()]
			if rewrite == nil {
				t.Fatalf("no type for %s", root.Local())
			}
			b, dev, err := rewrite(root)
			if err != nil || len(dev) > 0 {
				t.Fatalf("%v, deviations %v", err, dev)
			}
			if got, want := string(c14n.Append(nil, parse(t, b), c14n.Options{})), compact(t, doc); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			oracle.ValidateXSD(t, schema(t, root), b)
		})
	}
	if n != 49 {
		t.Errorf("%d samples, want 49", n)
	}
}

// The copies in testdata are those of the project's collection, and none is missing.
func TestSamplesAreCurrent(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(oracle.Shared(t, "samples", "ehbox"), "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, sample(t, filepath.Base(f))) {
			t.Errorf("%s differs from the collection", filepath.Base(f))
		}
	}
}

func TestFaultSamples(t *testing.T) {
	for name, code := range map[string]string{
		"fault-business-803.xml": "803", "fault-business-806.xml": "806",
		"fault-system-SOA-00001.xml": "SOA-00001", "fault-system-SOA-03006.xml": "SOA-03006",
	} {
		m, err := soap.Parse(sample(t, name), xmltree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := m.Fault(); !ok || f.SOA == nil || f.SOA.Code != code {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// edit changes a sample.
func edit(t testing.TB, name string, pairs ...string) *xmltree.Node {
	t.Helper()
	doc := string(sample(t, name))
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(doc, pairs[i]) {
			t.Fatalf("%s has no %q", name, pairs[i])
		}
		doc = strings.ReplaceAll(doc, pairs[i], pairs[i+1])
	}
	return parse(t, []byte(doc))
}

// Real answers are not always clean (dossier 03 section 3.2): what can be read is read, and the rest is told.
func TestLenient(t *testing.T) {
	const file = "getFullMessage-response-document-annex-swaref.xml"
	for name, c := range map[string]struct {
		pairs []string
		dev   string // path that deviates; "" = none
	}{
		"unknown element":    {[]string{"<Sender>", "<New><A/></New><Sender>"}, ""},
		"unknown quality":    {[]string{"<Quality>HOSPITAL</Quality>", "<Quality>SPACESHIP</Quality>"}, ""},
		"other order":        {[]string{"<DownloadFileName>scan.pdf</DownloadFileName>", "", "<MimeType>application/pdf</MimeType>", "<MimeType>application/pdf</MimeType><DownloadFileName>scan.pdf</DownloadFileName>"}, ""},
		"boolean in capital": {[]string{"<IsEncrypted>false", "<IsEncrypted> False "}, ""},
		"boolean as digit":   {[]string{"<IsEncrypted>false", "<IsEncrypted>0"}, ""},
		"no boolean":         {[]string{"<IsEncrypted>false", "<IsEncrypted>maybe"}, "GetFullMessageResponse/Message/ContentContext/ContentSpecification/IsEncrypted"},
		"date and time":      {[]string{"2030-01-15+01:00", "2030-01-15T10:11:12.5+01:00"}, ""},
		"no date":            {[]string{"2030-01-15+01:00", "15/01/2030"}, "GetFullMessageResponse/MessageInfo/PublicationDate"},
		"no info":            {[]string{"<MessageInfo>", "<Other>", "</MessageInfo>", "</Other>"}, "GetFullMessageResponse/MessageInfo"},
		"qualified":          {[]string{"<Sender>", `<c:Sender>`, "</Sender>", "</c:Sender>"}, ""},
		"base64 with lines":  {[]string{"Qm9uam91", "\n  Qm9u\n  am91"}, ""},
		"no padding":         {[]string{"U2Nhbg==", "U2Nhbg"}, ""},
		"bad base64":         {[]string{"U2Nhbg==", "!!"}, "GetFullMessageResponse/Message/ContentContext/Content/Annex/EncryptableTitle"},
		"long user":          {[]string{"<Quality>DOCTOR</Quality>", `<Quality>DOCTOR</Quality><User FirstName="J" LastName="S">12345678</User>`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var v GetFullMessageResponse
			dev, err := decode(edit(t, file, c.pairs...), nsConsultation, "GetFullMessageResponse", &v, (*GetFullMessageResponse).wire)
			if err != nil {
				t.Fatal(err)
			}
			if c.dev == "" && len(dev) > 0 || c.dev != "" && (len(dev) != 1 || dev[0].Path != c.dev) {
				t.Errorf("deviations %v", dev)
			}
			if string(v.Message.Document.Content.Text.Bytes()) != "Bonjour, goedendag é" || v.Message.Annexes[0].MimeType != "application/pdf" {
				t.Error("content lost")
			}
		})
	}
}

// One bad message of a list does not hide the others (INC-2025-11-POISON).
func TestBadEntryIsAlone(t *testing.T) {
	var v GetMessagesListResponse
	n := edit(t, "getMessagesList-response.xml", "<MessageId>9Y00000000N02</MessageId>", "<MessageId>9Y00000000N02</MessageId><MessageId>2</MessageId>",
		"<MessageId>9Y00000000K01</MessageId>", "<MessageId>short</MessageId>")
	if _, err := decode(n, nsConsultation, "GetMessagesListResponse", &v, (*GetMessagesListResponse).wire); err != nil {
		t.Fatal(err)
	}
	var bad []int
	for i, e := range v.Entries {
		if e.Err != nil {
			bad = append(bad, i)
		}
	}
	if len(v.Entries) != 4 || len(bad) != 2 || bad[0] != 1 || bad[1] != 2 {
		t.Errorf("%d entries, bad ones %v", len(v.Entries), bad)
	}
	if m, ok := v.Entries[0].Meta("CorrelationId"); !ok || m.Reveal() != "7F3K9Q2M4X8ZP" {
		t.Error("meta lost")
	}
}

// Version 2 had the content type elsewhere; public examples of version 3 still show it there.
func TestContentTypeOfVersion2(t *testing.T) {
	var v GetMessagesListResponse
	n := edit(t, "getMessagesList-response.xml", "<ContentType>NEWS</ContentType>", "", "<HasAnnex>false</HasAnnex>", "<HasAnnex>false</HasAnnex><ContentType>NEWS</ContentType>")
	if _, err := decode(n, nsConsultation, "GetMessagesListResponse", &v, (*GetMessagesListResponse).wire); err != nil {
		t.Fatal(err)
	}
	if v.Entries[1].Specification.Type != NewsContent {
		t.Errorf("got %q", v.Entries[1].Specification.Type)
	}
}
