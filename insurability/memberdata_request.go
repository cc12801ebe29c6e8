package insurability

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const (
	nsMemberData    = "urn:be:fgov:ehealth:mycarenet:memberdata:protocol:v1"
	nsMemberCommons = "urn:be:fgov:ehealth:mycarenet:commons:protocol:v3"
	nsMemberCore    = "urn:be:fgov:ehealth:mycarenet:commons:core:v3"
	nsSAMLP         = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsMemberExt     = "urn:be:cin:nippin:memberdata:saml:extension"
	nsCIN           = "urn:be:cin:types:v1"
	nsXSI           = "http://www.w3.org/2001/XMLSchema-instance"

	formatSSIN    = "urn:be:fgov:person:ssin"
	formatSSINMut = "urn:be:cin:nippin:member:ssin@mut"
	formatRegNr   = "urn:be:cin:nippin:careReceiver:registrationNumber@mut"
	formatNIHII   = "urn:be:cin:nippin:nihii11"

	methodMember = "urn:be:cin:nippin:memberIdentification"
)

// The three namespaces of the envelope (root, its children, everything deeper) and those of the document in it.
var (
	memberProtocol = namespace{"md", nsMemberData}
	memberCommons  = namespace{"mcp", nsMemberCommons}
	memberCore     = namespace{"mc", nsMemberCore}
	samlProtocol   = namespace{"samlp", nsSAMLP}
	samlAssertion  = namespace{"saml", nsSAML2}
	memberExt      = namespace{"ext", nsMemberExt}
	cinTypes       = namespace{"cin", nsCIN}
)

// maxDocument bounds the document in a Blob after inflating, in bytes.
const maxDocument = 8 << 20

// memberLimits bounds the document in an answer: some hundred assertions with all their attributes.
var memberLimits = xmltree.Limits{Bytes: maxDocument, Depth: 64, Nodes: 200_000}

// MemberDataRequest is MemberDataConsultationRequest v1 (dossier 05 section 3.2) in its clear form, with the question
// that its Detail holds. Not carried: Routing and Xades, which no client sends.
type MemberDataRequest struct {
	ID           string    // of the envelope; comes back in the answer
	IssueInstant time.Time // of the envelope
	CommonInput  CommonInput
	DetailID     string // of the Detail; optional
	Query        AttributeQuery
}

// AttributeQuery is the SAML 2.0 question (dossier 05 section 3.3).
type AttributeQuery struct {
	ID           string // "_" and the InputReference, else the platform answers CROSSCHECK_ID
	IssueInstant time.Time
	Issuer       NameID // the NIHII number of CommonInput in 11 digits
	Facets       []Facet
	Subject      Subject
}

// NameID is an identification in SAML: a value of the kind that Format names.
type NameID struct {
	Format string
	Value  Private
}

// Subject is the patient and a span of time: in a question the asked days, in an assertion the days it is about.
type Subject struct {
	NameID       NameID
	Method       string    // of the confirmation; always the member identification of MyCareNet
	NotBefore    time.Time // first instant
	NotOnOrAfter time.Time // first instant behind the span; zero in an assertion that has no end
}

// Facet is one subject of a question, or what an assertion belongs to.
type Facet struct {
	ID         FacetID
	Dimensions []Dimension
}

// Dimension narrows a facet.
type Dimension struct{ ID, Value string }

// under runs f one namespace deeper: ns is that of the current element's children and of all below them.
func (c *codec) under(ns namespace, f func()) {
	saved, core := c.ns, c.core
	c.ns, c.core = ns, ns
	f()
	c.ns, c.core = saved, core
}

func (r *MemberDataRequest) wire(c *codec) {
	attrText(c, "Id", &r.ID)
	c.attrInstant("IssueInstant", &r.IssueInstant)
	one(c, "CommonInput", &r.CommonInput, (*CommonInput).wire)
	b := Blob{ContentType: "text/xml", ContentEncoding: encodingNone, ID: r.DetailID}
	if c.writing() {
		doc, err := r.Query.encode()
		if err != nil && c.err == nil {
			c.err = err
		}
		b.Content = doc
	}
	one(c, "Detail", &b, (*Blob).wire)
	if c.writing() || c.err != nil {
		return
	}
	r.DetailID = b.ID
	doc, err := b.Open()
	if err == nil {
		err = r.Query.decode(doc)
	}
	if err != nil {
		c.fail("Detail", err)
	}
}

func (r *MemberDataRequest) encode() ([]byte, error) {
	return encodeMemberData("MemberDataConsultationRequest", r, (*MemberDataRequest).wire)
}

// encodeMemberData writes an envelope: its root stands in another namespace than its children.
func encodeMemberData[T any](root string, v *T, wire func(*T, *codec)) ([]byte, error) {
	w := xmltree.NewWriter()
	c := &codec{core: memberCore, ns: memberCommons, w: w}
	w.Start(memberProtocol.prefix, root)
	for _, ns := range []namespace{memberProtocol, memberCommons, memberCore} {
		w.NS(ns.prefix, ns.uri)
	}
	wire(v, c)
	w.End()
	return finish(c, root)
}

func decodeMemberData[T any](n *xmltree.Node, root string, v *T, wire func(*T, *codec)) error {
	if n == nil || !n.Is(nsMemberData, root) {
		return &MessageError{Path: root, Reason: "another element stands in its place"}
	}
	c := &codec{core: memberCore, ns: memberCommons, n: n}
	wire(v, c)
	return c.err
}

// encodeSAML writes a document in the namespaces of SAML.
func encodeSAML[T any](root string, v *T, wire func(*T, *codec)) ([]byte, error) {
	w := xmltree.NewWriter()
	c := &codec{core: samlProtocol, ns: samlProtocol, w: w}
	w.Start(samlProtocol.prefix, root)
	for _, ns := range []namespace{samlProtocol, samlAssertion, memberExt, {"xsi", nsXSI}} {
		w.NS(ns.prefix, ns.uri)
	}
	wire(v, c)
	w.End()
	return finish(c, root)
}

func decodeSAML[T any](doc []byte, root string, v *T, wire func(*T, *codec)) error {
	doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
	n, err := xmltree.Parse(doc, memberLimits)
	if err != nil {
		return errDocument
	}
	return decodeSAMLNode(n, root, v, wire)
}

func decodeSAMLNode[T any](n *xmltree.Node, root string, v *T, wire func(*T, *codec)) error {
	if !n.Is(nsSAMLP, root) {
		return &MessageError{Path: root, Reason: "another element stands in its place"}
	}
	c := &codec{core: samlProtocol, ns: samlProtocol, n: n}
	wire(v, c)
	return c.err
}

func finish(c *codec, root string) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	b, err := c.w.Bytes()
	if err != nil {
		return nil, fmt.Errorf("insurability: %s cannot be written: %w", root, err)
	}
	return b, nil
}

func (q *AttributeQuery) encode() ([]byte, error) {
	return encodeSAML("AttributeQuery", q, (*AttributeQuery).wire)
}

func (q *AttributeQuery) decode(doc []byte) error {
	return decodeSAML(doc, "AttributeQuery", q, (*AttributeQuery).wire)
}

func (q *AttributeQuery) wire(c *codec) {
	samlHead(c, &q.ID, nil, &q.IssueInstant)
	c.under(samlAssertion, func() { one(c, "Issuer", &q.Issuer, (*NameID).wire) })
	one(c, "Extensions", q, func(q *AttributeQuery, c *codec) {
		if c.writing() { // the type must be said, with a prefix that is declared (dossier 05 section 3.3 rule 3)
			c.w.Attr("xsi", "type", "ext:ExtensionsType")
		}
		c.under(memberExt, func() { many(c, "Facet", &q.Facets, (*Facet).wire) })
	})
	c.under(samlAssertion, func() { one(c, "Subject", &q.Subject, (*Subject).wire) })
}

// samlHead handles the attributes that questions, answers and assertions have in common.
func samlHead(c *codec, id, inResponseTo *string, at *time.Time) {
	attrText(c, "ID", id)
	if inResponseTo != nil {
		attrText(c, "InResponseTo", inResponseTo)
	}
	c.attrInstant("IssueInstant", at)
	version := "2.0"
	attrText(c, "Version", &version)
}

func (n *NameID) wire(c *codec) {
	attrText(c, "Format", &n.Format)
	c.content(n.Value.Reveal, func(s string) error { n.Value = Hide(trim(s)); return nil })
}

func (s *Subject) wire(c *codec) {
	one(c, "NameID", &s.NameID, (*NameID).wire)
	confirmed := s
	if c.writing() && s.Method == "" {
		confirmed = nil
	}
	maybe(c, "SubjectConfirmation", &confirmed, func(t *Subject, c *codec) {
		attrText(c, "Method", &t.Method)
		data := t
		if c.writing() && t.NotBefore.IsZero() && t.NotOnOrAfter.IsZero() {
			data = nil
		}
		maybe(c, "SubjectConfirmationData", &data, func(u *Subject, c *codec) {
			c.attrInstant("NotBefore", &u.NotBefore)
			c.attrInstant("NotOnOrAfter", &u.NotOnOrAfter)
		})
		if data != nil {
			t.NotBefore, t.NotOnOrAfter = data.NotBefore, data.NotOnOrAfter
		}
	})
	if confirmed != nil {
		s.Method, s.NotBefore, s.NotOnOrAfter = confirmed.Method, confirmed.NotBefore, confirmed.NotOnOrAfter
	}
}

func (f *Facet) wire(c *codec) {
	attrText(c, "id", &f.ID)
	c.in(unqualified, func() { // dossier 05 section 3.3 rule 4
		many(c, "Dimension", &f.Dimensions, func(d *Dimension, c *codec) {
			attrText(c, "id", &d.ID)
			c.content(
				func() string { return d.Value },
				func(s string) error { d.Value = strings.Clone(trim(s)); return nil })
		})
	})
}

var (
	errInstant  = errors.New("not an instant")
	errBase64   = errors.New("not base64")
	errInflate  = errors.New("content cannot be inflated, or is larger than allowed")
	errHash     = errors.New("content does not have the digest that is given with it")
	errSealed   = errors.New("content is sealed, and the question was not")
	errEncoding = errors.New("content has an encoding that is not known")
	errDocument = errors.New("content is not XML, or larger than allowed")
)

// attrInstant handles an optional xs:dateTime.
func (c *codec) attrInstant(local string, v *time.Time) {
	c.attr("", local,
		func() string { return formatInstant(*v) },
		func(s string) (err error) { *v, err = parseInstant(trim(s)); return err })
}

// formatInstant writes an instant in Belgian time to the millisecond, as the platform's own clients do.
func formatInstant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(brussels)
	if t.Year() < 1900 { // local mean time, whose offset has seconds
		t = t.UTC()
	}
	return t.Format("2006-01-02T15:04:05.000Z07:00")
}

// parseInstant reads an xs:dateTime; without a zone it is Belgian time.
func parseInstant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.ParseInLocation("2006-01-02T15:04:05.999999999", s, brussels)
	}
	if err != nil || t.Year() < 2 || t.Year() > 9998 {
		return time.Time{}, errInstant
	}
	return t.In(brussels), nil
}

const (
	encodingNone    = "none"
	encodingDeflate = "deflate"
)

// Blob is content in base64 with what must be known to read it (BlobType of MyCareNet commons v3).
type Blob struct {
	ContentType       string
	ContentEncoding   string // "none" or "deflate" (raw); absent means deflate
	ContentEncryption string // "" = clear
	HashValue         string // SHA-256 of the inflated content, base64; optional
	ID                string
	Content           []byte // as carried, deflated if the encoding says so
}

func (b *Blob) wire(c *codec) {
	attrText(c, "ContentType", &b.ContentType)
	attrText(c, "ContentEncoding", &b.ContentEncoding)
	attrText(c, "ContentEncryption", &b.ContentEncryption)
	attrText(c, "HashValue", &b.HashValue)
	attrText(c, "Id", &b.ID)
	c.content(
		func() string { return base64.StdEncoding.EncodeToString(b.Content) },
		func(s string) (err error) {
			if b.Content, err = unbase64(s); err != nil {
				return errBase64
			}
			return nil
		})
}

// unbase64 decodes base64 with any white space in it.
func unbase64(s string) ([]byte, error) {
	return base64.StdEncoding.Strict().DecodeString(strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, s))
}

// Open returns the document that the Blob carries: inflated, and with the digest that goes with it, if one does. Senders
// are known to name the wrong encoding, so what is there decides between the two (dossier 05 section 3.2).
func (b *Blob) Open() ([]byte, error) {
	if b.ContentEncryption != "" {
		return nil, errSealed
	}
	var doc []byte
	switch b.ContentEncoding {
	case encodingNone, encodingDeflate, "":
		doc = b.Content
		if !bytes.HasPrefix(bytes.TrimLeft(doc, "\ufeff \t\r\n"), []byte("<")) {
			var err error
			if doc, err = inflate(doc); err != nil {
				return nil, err
			}
		}
	default:
		return nil, errEncoding
	}
	if b.HashValue != "" {
		sum := sha256.Sum256(doc)
		if want, err := unbase64(b.HashValue); err != nil || !bytes.Equal(want, sum[:]) {
			return nil, errHash
		}
	}
	return doc, nil
}

func inflate(raw []byte) ([]byte, error) {
	doc, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw)), maxDocument+1))
	if err != nil || len(doc) > maxDocument {
		return nil, errInflate
	}
	return doc, nil
}

// Format implements [fmt.Formatter]: every verb shows a line without personal data.
func (r MemberDataRequest) Format(f fmt.State, _ rune) {
	redact(f, "MemberDataConsultationRequest "+safeReference(r.CommonInput.InputReference)+" [patient withheld]")
}

// Format implements [fmt.Formatter]: no verb shows the patient.
func (q AttributeQuery) Format(f fmt.State, _ rune) { redact(f, "AttributeQuery [patient withheld]") }

// Format implements [fmt.Formatter]: no verb shows the content.
func (b Blob) Format(f fmt.State, _ rune) { redact(f, "[content withheld]") }

// MarshalText writes the form of Format, so that a message dumped as JSON stays private.
func (b Blob) MarshalText() ([]byte, error) { return []byte("[content withheld]"), nil }

// Format implements [fmt.Formatter]: no verb shows the patient.
func (s Subject) Format(f fmt.State, _ rune) { redact(f, "[patient withheld]") }

// safeReference shows a reference only when it has the form of ours.
func safeReference(s string) string {
	if len(s) == referenceDigits && isDigits(s) {
		return s
	}
	return "?"
}
