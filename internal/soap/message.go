package soap

import (
	"errors"
	"fmt"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// NS is the namespace of SOAP 1.1 envelopes (SOAP 1.1, section 3).
const NS = "http://schemas.xmlsoap.org/soap/envelope/"

// ContentType is the media type of a SOAP 1.1 message without attachments (dossier 01 C.3).
const ContentType = "text/xml; charset=utf-8"

var (
	// ErrNotSOAP reports a document whose root is not a SOAP 1.1 envelope.
	ErrNotSOAP = errors.New("soap: root is not a SOAP 1.1 envelope")
	// ErrShape reports an envelope whose parts are missing, doubled or out of order.
	ErrShape = errors.New("soap: envelope is not well shaped")
	// ErrNoBody reports an envelope without a Body, or a Body without a payload element.
	ErrNoBody = errors.New("soap: no body")
)

// Message is a parsed envelope. Its nodes belong to one tree, so what a signature check
// found on that tree can be compared with Body and Payload by identity.
type Message struct {
	Root    *xmltree.Node // soapenv:Envelope
	Header  *xmltree.Node // soapenv:Header, nil when absent
	Body    *xmltree.Node // soapenv:Body
	Payload *xmltree.Node // the one element in Body
}

// Parse reads one SOAP 1.1 message from doc, which must not be changed afterwards.
// Errors of the XML layer are returned wrapped; see the sentinels of package xmltree.
func Parse(doc []byte, lim xmltree.Limits) (*Message, error) {
	root, err := xmltree.Parse(doc, lim)
	if err != nil {
		return nil, fmt.Errorf("soap: %w", err)
	}
	return FromTree(root)
}

// FromTree reads the message whose root is already parsed.
func FromTree(root *xmltree.Node) (*Message, error) {
	if !root.Is(NS, "Envelope") {
		return nil, ErrNotSOAP
	}
	m := &Message{Root: root}
	for c := range root.Children() {
		switch {
		case c.Is(NS, "Header") && m.Header == nil && m.Body == nil:
			m.Header = c
		case c.Is(NS, "Body") && m.Body == nil:
			m.Body = c
		case !insignificant(c):
			return nil, fmt.Errorf("%w: unexpected content in Envelope", ErrShape)
		}
	}
	if m.Body == nil {
		return nil, ErrNoBody
	}
	for c := range m.Body.Children() {
		switch {
		case c.Kind() == xmltree.Element && m.Payload == nil:
			m.Payload = c
		case !insignificant(c):
			return nil, fmt.Errorf("%w: Body must hold exactly one element", ErrShape)
		}
	}
	if m.Payload == nil {
		return nil, fmt.Errorf("%w: Body is empty", ErrNoBody)
	}
	return m, nil
}

// insignificant tells whether a node between the elements of an envelope may be ignored:
// white space and comments. SOAP 1.1 section 3 forbids processing instructions.
func insignificant(n *xmltree.Node) bool {
	switch n.Kind() {
	case xmltree.Comment:
		return true
	case xmltree.Text:
		for _, b := range []byte(n.Data()) {
			if b != ' ' && b != '\t' && b != '\n' && b != '\r' {
				return false
			}
		}
		return true
	}
	return false
}

// Envelope wraps payload, one self-contained element, in an envelope. header is verbatim
// content of the Header element; without it no Header is written.
func Envelope(header, payload []byte) ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("soapenv", "Envelope")
	w.NS("soapenv", NS)
	if len(header) > 0 {
		w.Start("soapenv", "Header")
		w.Raw(header)
		w.End()
	}
	w.Start("soapenv", "Body")
	w.Raw(payload)
	w.End()
	w.End()
	return w.Bytes()
}
