package soap

import (
	"strings"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

const (
	// NSError is the namespace of the platform's error detail (dossier 01 E.1).
	NSError = "urn:be:fgov:ehealth:errors:soa:v1"
	// NSServiceError is the namespace of the service-side variant, normally rewritten to
	// NSError before it reaches the consumer (dossier 01 E.1).
	NSServiceError = "urn:be:fgov:ehealth:errors:service:v1"
)

// Fault is a SOAP 1.1 fault (SOAP 1.1, section 4.4).
type Fault struct {
	FaultCode   string // local part of the faultcode QName, e.g. "Server"
	FaultSpace  string // namespace its prefix is bound to; "" when the prefix is unbound
	FaultString string
	Actor       string
	Detail      *xmltree.Node // detail element as received, nil when absent
	SOA         *SOAError     // the platform's own detail, nil when absent
}

// SOAError is the detail of a fault of the eHealth platform (dossier 01 E.1).
type SOAError struct {
	Business    bool   // BusinessError: a functional refusal; else SystemError: infrastructure
	ID          string // ticket number for the service desk
	Origin      string // Consumer, Provider, Client or Server
	Code        string // SOA-xxxxx, or a code of the service
	Messages    []Text
	Retry       *bool // "the same request may be sent again"; nil when absent
	Contact     string
	Environment string
}

// Text is a message in one language.
type Text struct{ Lang, Value string }

// Fault returns the fault a message carries, if its payload is one.
func (m *Message) Fault() (*Fault, bool) {
	if !m.Payload.Is(NS, "Fault") {
		return nil, false
	}
	f := &Fault{}
	for c := range m.Payload.Elements() {
		switch c.Local() {
		case "faultcode":
			f.FaultSpace, f.FaultCode = qname(c)
		case "faultstring":
			f.FaultString = leaf(c)
		case "faultactor":
			f.Actor = leaf(c)
		case "detail":
			f.Detail = c
			f.SOA = soaError(c)
		}
	}
	return f, true
}

func qname(n *xmltree.Node) (space, local string) {
	v := leaf(n)
	prefix, local, ok := strings.Cut(v, ":")
	if !ok {
		return "", v
	}
	space, _ = n.LookupPrefix(prefix)
	return space, local
}

// soaError looks below detail for the first element that has a Code child, whatever the
// namespaces are: qualified and unqualified forms were both seen (dossier 01 E.1).
func soaError(detail *xmltree.Node) *SOAError {
	for e := range detail.Elements() {
		if local(e, "Code") == nil {
			continue
		}
		s := &SOAError{Business: e.Local() == "BusinessError"}
		s.ID, _ = e.Attr("", "Id")
		for c := range e.Elements() {
			switch c.Local() {
			case "Origin":
				s.Origin = leaf(c)
			case "Code":
				s.Code = leaf(c)
			case "Message":
				lang, _ := c.Attr("http://www.w3.org/XML/1998/namespace", "lang")
				s.Messages = append(s.Messages, Text{Lang: lang, Value: leaf(c)})
			case "Retry":
				s.Retry = boolean(leaf(c))
			case "Contact":
				s.Contact = leaf(c)
			case "Environment":
				s.Environment = leaf(c)
			}
		}
		return s
	}
	return nil
}

func boolean(v string) *bool {
	var b bool
	switch v {
	case "true", "1":
		b = true
	case "false", "0":
	default:
		return nil
	}
	return &b
}

func local(n *xmltree.Node, name string) *xmltree.Node {
	for c := range n.Elements() {
		if c.Local() == name {
			return c
		}
	}
	return nil
}

// leaf returns the trimmed text of an element, or "" when it is not a plain leaf. A fault
// is informative only, so a malformed part of it must not hide the rest.
func leaf(n *xmltree.Node) string {
	t, err := n.Text()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(t)
}

// Encode writes the whole envelope of the fault. It serves the sandbox: FaultCode is written
// in the SOAP namespace, and of the detail only SOA (element order of
// ehealth-errors-schema-core-1_1).
func (f *Fault) Encode() ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("soapenv", "Fault")
	w.NS("soapenv", NS)
	prefix := "soapenv"
	if f.FaultSpace != "" && f.FaultSpace != NS {
		prefix = "fc"
	}
	w.Start("", "faultcode")
	if prefix == "fc" {
		w.NS(prefix, f.FaultSpace)
	}
	w.Text(prefix + ":" + f.FaultCode)
	w.End()
	w.Leaf("", "faultstring", f.FaultString)
	if f.Actor != "" {
		w.Leaf("", "faultactor", f.Actor)
	}
	if f.SOA != nil {
		w.Start("", "detail")
		f.SOA.encode(w)
		w.End()
	}
	w.End()
	payload, err := w.Bytes()
	if err != nil {
		return nil, err
	}
	return Envelope(nil, payload)
}

func (s *SOAError) encode(w *xmltree.Writer) {
	name := "SystemError"
	if s.Business {
		name = "BusinessError"
	}
	w.Start("soa", name)
	w.NS("soa", NSError)
	if s.ID != "" {
		w.Attr("", "Id", s.ID)
	}
	w.Leaf("", "Origin", s.Origin)
	w.Leaf("", "Code", s.Code)
	for _, m := range s.Messages {
		w.Start("", "Message")
		if m.Lang != "" {
			w.Attr("xml", "lang", m.Lang)
		}
		w.Text(m.Value)
		w.End()
	}
	if s.Retry != nil {
		v := "false"
		if *s.Retry {
			v = "true"
		}
		w.Leaf("", "Retry", v)
	}
	if s.Contact != "" {
		w.Leaf("", "Contact", s.Contact)
	}
	w.Leaf("soa", "Environment", s.Environment)
	w.End()
}
