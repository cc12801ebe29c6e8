package kmehr

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// MaxBytes is the size of the largest document that Parse reads and Write makes. One item takes some 2 KiB.
const MaxBytes = 1 << 20

var limits = xmltree.Limits{Bytes: 2 * MaxBytes, Depth: 40, Nodes: 50_000, Attrs: 32}

var (
	errTooLong = errors.New("kmehr: document too long")
	errRoot    = errors.New("kmehr: the root is not a kmehrmessage")
)

// Message is a document as read. It keeps every byte of it, and is immutable and safe for concurrent use.
type Message struct {
	doc       []byte
	root      *xmltree.Node
	view      func() Prescription // read when somebody asks
	structure []Violation
}

// Parse reads a document of any version of KMEHR. It fails with a *fault.Error of Kind Protocol when the bytes are no XML, are
// longer than MaxBytes, or their root is no kmehrmessage; a byte order mark and the encoding ISO-8859-1 are understood. Whatever
// else is wrong with a document does not make it unreadable: [Message.Structure] and [Rules.Check] say what it is.
func Parse(doc []byte) (*Message, error) {
	if len(doc) > MaxBytes {
		return nil, unreadable(errTooLong)
	}
	return parse(bytes.Clone(doc))
}

// parse is Parse of bytes that nobody changes any more.
func parse(doc []byte) (*Message, error) {
	m := &Message{doc: doc}
	root, err := xmltree.Parse(toUTF8(m.doc), limits)
	if err != nil {
		return nil, unreadable(fault.AsSafe(err))
	}
	if root.Local() != "kmehrmessage" {
		return nil, unreadable(fault.AsSafe(errRoot))
	}
	m.root = root
	m.view = sync.OnceValue(func() Prescription { return read(root) })
	m.structure = checkStructure(m)
	return m, nil
}

func unreadable(err error) error {
	return &fault.Error{Op: "kmehr.Parse", Kind: fault.Protocol, Outcome: fault.Done, Err: err}
}

// toUTF8 rewrites a document that says it is ISO-8859-1. Other encodings are left to the parser, which refuses them.
func toUTF8(doc []byte) []byte {
	doc = bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
	if !bytes.HasPrefix(doc, []byte("<?xml")) {
		return doc
	}
	end := bytes.Index(doc, []byte("?>"))
	if end < 0 || end > 200 {
		return doc
	}
	switch declaration := strings.ToLower(string(doc[:end])); {
	case strings.Contains(declaration, "iso-8859-1\""), strings.Contains(declaration, "iso-8859-1'"):
	default:
		return doc
	}
	body := doc[end+2:]
	out := make([]byte, 0, len(body)+len(body)/8)
	for _, c := range body {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

// Bytes returns a copy of the document as it was read, byte for byte.
func (m *Message) Bytes() []byte { return bytes.Clone(m.doc) }

// Prescription returns what the document says in the fields of this package, with what they do not hold in the Extra lists, so
// that Write of the result is the same prescription. What is not medical is written as Write has it, and stands as it was read
// in Bytes only: the recipient, numbers within the document, life cycle and versions of code tables, further telephone numbers
// of the author, further data of the source. Fields that cannot be read are absent; a number with wrong check digits is taken
// where its kind allows that.
func (m *Message) Prescription() Prescription { return read(m.root) }

// Structure returns what is wrong with the structure of the document: for version 20190301 all that the schema of KMEHR 1.28
// demands of a prescription, for other versions the parts without which it cannot be read. nil = nothing.
func (m *Message) Structure() []Violation { return m.structure }

// HeaderIDs returns the numbers of the document.
func (m *Message) HeaderIDs() HeaderIDs { return m.view().HeaderIDs() }

// AuthorNIHII returns the number of the prescriber, absent when it cannot be read. Compare it with SameBase.
func (m *Message) AuthorNIHII() identity.NIHII { return m.view().Author.NIHII }

// Standard returns the text of header/standard/cd, such as "20190301".
func (m *Message) Standard() string {
	return clean(down(m.root, "header", "standard", "cd"))
}

// RevealExpiry returns the text of transaction/expirationdate as it stands, blanks and offset included; "" when the document has
// none. It must be the same text as the expirationDate that is sent beside the document (dossier 04 section 9.7), and XML allows
// other texts for the same day.
func (m *Message) RevealExpiry() string {
	n := down(m.root, "folder", "transaction", "expirationdate")
	if n == nil {
		return ""
	}
	return ownText(n)
}

// Version returns the version of the standard as the services want it in PrescriptionVersion: kmehr_ and the SV of
// header/standard/cd, such as "kmehr_1.29" (dossier 04 section 4.4); "" when the document has none.
func (m *Message) Version() string {
	sv, _ := down(m.root, "header", "standard", "cd").Attr("", "SV")
	if sv == "" {
		return ""
	}
	return "kmehr_" + sv
}

// Unknown is the ReferenceSource of a document that names no source.
const Unknown = "Unknown"

// ReferenceSource returns the database of medicines as the services want it in ReferenceSourceVersion: name and version, such
// as "samv2:2030.01", or Unknown.
func (m *Message) ReferenceSource() string { return m.view().Source.Reference() }

// Reference returns name and version as the services want them, or Unknown.
func (s Source) Reference() string {
	if s.Name == "" || s.Version == "" {
		return Unknown
	}
	return s.Name + ":" + s.Version
}

const shownMessage = "kmehr.Message(redacted)"

// Format writes the redacted form whatever the verb.
func (m Message) Format(f fmt.State, _ rune) { redact(f, shownMessage) }

// LogValue returns the redacted form.
func (m Message) LogValue() slog.Value { return slog.StringValue(shownMessage) }

// child returns the first child with that local name: reading is lenient about namespaces, Structure is not.
func child(n *xmltree.Node, name string) *xmltree.Node {
	for c := range n.Elements() {
		if c.Local() == name {
			return c
		}
	}
	return nil
}

func down(n *xmltree.Node, names ...string) *xmltree.Node {
	for _, name := range names {
		n = child(n, name)
	}
	return n
}

func children(n *xmltree.Node, name string) []*xmltree.Node {
	var all []*xmltree.Node
	for c := range n.Elements() {
		if c.Local() == name {
			all = append(all, c)
		}
	}
	return all
}

// clean is the text of a leaf without blanks around; "" for nil.
func clean(n *xmltree.Node) string {
	if n == nil {
		return ""
	}
	return strings.Trim(ownText(n), " \t\r\n")
}

func hidden(n *xmltree.Node) Private {
	if n == nil {
		return Private{}
	}
	return Hide(ownText(n))
}

func attr(n *xmltree.Node, name string) string {
	v, _ := n.Attr("", name)
	return v
}

// readInstant puts xs:date and xs:time together; without an offset they are meant in Belgium.
func readInstant(date, clock string) time.Time {
	day, err := ParseDay(date)
	if err != nil {
		return time.Time{}
	}
	for _, layout := range []string{"15:04:05", "15:04:05Z07:00"} {
		if t, err := time.ParseInLocation(time.DateOnly+"T"+layout, day.Reveal()+"T"+clock, brussels); err == nil {
			return t.In(brussels)
		}
	}
	return day.Start()
}

// checkStructure applies the schema to documents of its version, and asks of others what nobody can do without.
func checkStructure(m *Message) []Violation {
	c := &checker{}
	if m.Standard() == Standard {
		c.element(m.root, schema["message"])
		return c.found
	}
	for _, path := range needed {
		n := m.root
		for _, name := range strings.Split(path, "/") {
			next := child(n, name)
			if next == nil {
				c.missing(n, name)
				break
			}
			n = next
		}
	}
	return c.found
}

// needed are the parts of a prescription of any version.
var needed = []string{
	"header/standard/cd", "header/id", "header/date", "header/time", "header/sender/hcparty", "header/recipient/hcparty",
	"folder/id", "folder/patient/id", "folder/patient/familyname", "folder/transaction/id", "folder/transaction/cd",
	"folder/transaction/date", "folder/transaction/time", "folder/transaction/author/hcparty", "folder/transaction/iscomplete",
	"folder/transaction/isvalidated",
}

// missing reports each element once, although several paths lead through it.
func (c *checker) missing(n *xmltree.Node, name string) {
	path := nodePath(n) + "/" + name
	if !slices.ContainsFunc(c.found, func(v Violation) bool { return v.XPath == path }) {
		c.report(n, name, "the element is missing")
	}
}
