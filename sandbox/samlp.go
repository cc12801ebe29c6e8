package sandbox

import (
	"bytes"
	"context"
	"crypto/x509"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/saml"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// samlpOperations: the WSDL and the deployed clients disagree on the SOAPAction (dossier 01 A.2); both pass.
var samlpOperations = []operation{{
	qname{saml.NSProtocol, "Request"},
	[]string{actionIssue, "urn:be:fgov:ehealth:sts:protocol:v1:RequestSecureToken"},
}}

// samlpRecipient is the Recipient of an answer: no source says which URI the platform puts there.
const samlpRecipient = "urn:be:fgov:ehealth:sts:requester"

// samlpRequestType is samlp:Request with one AttributeQuery about a holder-of-key (dossier 01 A.7).
var samlpRequestType = func() *xsType {
	const a, p = saml.NS, saml.NSProtocol
	whatever := &xsType{any: true}
	confirmation := &xsType{name: qname{a, "SubjectConfirmationType"}, seq: []xsParticle{
		{qname{a, "ConfirmationMethod"}, xsLeaf(xsAnyURI), 1, -1},
		xsOpt(a, "SubjectConfirmationData", whatever),
		xsOpt(dsig.NS, "KeyInfo", whatever),
	}}
	subject := &xsType{name: qname{a, "SubjectType"}, seq: []xsParticle{
		xsOne(a, "NameIdentifier", &xsType{
			name: qname{a, "NameIdentifierType"}, simple: xsString,
			attrs: []xsAttr{{local: "NameQualifier", typ: xsString}, {local: "Format", typ: xsAnyURI}},
		}),
		xsOne(a, "SubjectConfirmation", confirmation),
	}}
	designator := &xsType{name: qname{a, "AttributeDesignatorType"}, attrs: []xsAttr{
		{local: "AttributeName", typ: xsString, required: true},
		{local: "AttributeNamespace", typ: xsAnyURI, required: true},
	}}
	return &xsType{
		name: qname{p, "RequestType"},
		attrs: []xsAttr{
			{local: "RequestID", typ: xsID, required: true},
			{local: "MajorVersion", typ: xsInteger, required: true},
			{local: "MinorVersion", typ: xsInteger, required: true},
			{local: "IssueInstant", typ: xsDateTime, required: true},
		},
		seq: []xsParticle{
			xsMany(p, "RespondWith", xsLeaf(xsString)),
			xsOpt(dsig.NS, "Signature", whatever),
			xsOne(p, "AttributeQuery", &xsType{
				name: qname{p, "AttributeQueryType"}, attrs: []xsAttr{{local: "Resource", typ: xsAnyURI}},
				seq: []xsParticle{xsOne(a, "Subject", subject), xsMany(a, "AttributeDesignator", designator)},
			}),
		},
	}
}()

// samlp is the older door of the STS (dossier 01 A.7): one message, and an inner signature instead of a challenge.
// Deployed connectors sign here with SHA-1, so this address alone accepts it. What the gateway refuses is a SOAP
// fault; what the STS itself refuses is a StatusCode in an ordinary answer.
func (v *services) samlp(_ context.Context, s *Sandbox, rq *request) *response {
	m, _, r := open(rq, samlpOperations)
	if r != nil {
		return v.fault(s, rq, r)
	}
	cert, r := v.identified(s, rq, m, true)
	if r == nil {
		r = conforms(m.Payload, samlpRequestType)
	}
	if r != nil {
		return v.fault(s, rq, r)
	}
	id, _ := m.Payload.Attr("", "RequestID")
	o, denied := samlpOrder(s, m.Payload, cert, rq.At)
	if denied != nil {
		s.count(rq.Service + ".refused." + denied.code)
		return v.samlpAnswer(s, rq, id, denied, nil, "")
	}
	token, _, err := s.newAssertion(o, rq.At)
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "assertion not signed"))
	}
	out := v.samlpAnswer(s, rq, id, nil, token, askerKey(o.key, ""))
	out.Effect = "sts.issued"
	return out
}

// samlpDenial is a refusal by the STS: SAML 1.1 status codes, the second below the first.
type samlpDenial struct{ code, sub, message string }

func requester(sub, message string) *samlpDenial { return &samlpDenial{"Requester", sub, message} }

// samlpOrder reads the request and decides whether its token may be issued.
func samlpOrder(s *Sandbox, n *xmltree.Node, cert *x509.Certificate, now time.Time) (*tokenOrder, *samlpDenial) {
	major, _ := n.Attr("", "MajorVersion")
	minor, _ := n.Attr("", "MinorVersion")
	if collapse(major) != "1" || collapse(minor) != "1" {
		return nil, &samlpDenial{"VersionMismatch", "", "SAML 1.1 expected"}
	}
	query := n.Child(saml.NSProtocol, "AttributeQuery")
	confirmation := nodeAt(query, saml.NS, "Subject", "SubjectConfirmation")
	for c := range confirmation.Elements() {
		if c.Is(saml.NS, "ConfirmationMethod") && collapse(textOf(c)) != confirmationOfKey {
			return nil, requester("RequestDenied", "only holder-of-key tokens are issued here")
		}
	}
	key, r := certificateIn(nodeAt(confirmation, dsig.NS, "KeyInfo", "X509Data", "X509Certificate"))
	if r != nil {
		return nil, requester("", "SubjectConfirmation has no readable certificate")
	}
	if _, r := chained(s, key, now); r != nil {
		return nil, requester("RequestDenied", "certificate of the holder-of-key not accepted")
	}
	if !provesKey(n, key, cert) {
		return nil, requester("RequestDenied", "request not signed by the holder of the key")
	}
	o := &tokenOrder{ident: cert, key: key}
	asked, until, d := samlpClaims(query, confirmation, now)
	if d != nil {
		return nil, d
	}
	o.until = until
	if o.claims, r = s.grant(cert, key, asked); r != nil {
		return nil, requester("RequestDenied", r.why)
	}
	return o, nil
}

// provesKey checks the inner signature. It may be missing only when the key is the one that signs the message.
func provesKey(n *xmltree.Node, key, cert *x509.Certificate) bool {
	sig := n.Child(dsig.NS, "Signature")
	if sig == nil {
		return bytes.Equal(key.Raw, cert.Raw)
	}
	v, err := dsig.Verify(sig, dsig.Policy{
		IDs: []dsig.IDAttr{{Local: "RequestID"}}, MaxRefs: 1, AllowSHA1: true,
		// KeyInfo may be a certificate or a bare key (property sts.keyinfo); what counts is the key to be proven.
		Key: func(*xmltree.Node) (*x509.Certificate, error) { return key, nil },
	})
	return err == nil && v.Covers(n)
}

// samlpClaims reads the asserted attributes of the embedded assertion, its Conditions, and the designators. Both
// dialects meet in grant, which knows the namespaces; only identification attributes may be asserted.
func samlpClaims(query, confirmation *xmltree.Node, now time.Time) ([]claimAsked, time.Time, *samlpDenial) {
	var asked []claimAsked
	var until time.Time
	seen := map[string]bool{}
	inner := nodeAt(confirmation, saml.NS, "SubjectConfirmationData", "Assertion")
	if c := nodeAt(inner, saml.NS, "Conditions"); c != nil {
		if text, ok := c.Attr("", "NotOnOrAfter"); ok {
			if until, ok = parseDateTime(collapse(text)); !ok || !until.After(now) {
				return nil, until, requester("", "Conditions are not a time range that a token can have")
			}
		}
	}
	if inner != nil {
		for st := range inner.Elements() {
			if !st.Is(saml.NS, "AttributeStatement") {
				continue
			}
			for a := range st.Elements() {
				if !a.Is(saml.NS, "Attribute") {
					continue
				}
				name, _ := a.Attr("", "AttributeName")
				space, _ := a.Attr("", "AttributeNamespace")
				if space != nsIdentification || seen[name] {
					return nil, until, requester("RequestDenied", "attribute cannot be asserted")
				}
				seen[name] = true
				asked = append(asked, claimAsked{name: name, asserted: true, values: attributeValues(a)})
			}
		}
	}
	for d := range query.Elements() {
		if d.Is(saml.NS, "AttributeDesignator") {
			name, _ := d.Attr("", "AttributeName")
			asked = append(asked, claimAsked{name: name})
		}
	}
	return asked, until, nil
}

func attributeValues(a *xmltree.Node) []string {
	var out []string
	for value := range a.Elements() {
		if value.Is(saml.NS, "AttributeValue") {
			out = append(out, collapse(textOf(value)))
		}
	}
	return out
}

// samlpAnswer writes the samlp:Response: Status first, then the assertion of a success.
func (v *services) samlpAnswer(s *Sandbox, rq *request, id string, d *samlpDenial, token []byte, asker string) *response {
	w := xmltree.NewWriter()
	w.Start("samlp", "Response")
	w.NS("samlp", saml.NSProtocol)
	for _, kv := range [][2]string{
		{"ResponseID", "_" + randomHex(16)},
		{"InResponseTo", collapse(id)},
		{"IssueInstant", wireTime(rq.At)},
		{"MajorVersion", "1"},
		{"MinorVersion", "1"},
		{"Recipient", samlpRecipient},
	} {
		w.Attr("", kv[0], kv[1])
	}
	w.Start("samlp", "Status")
	w.Start("samlp", "StatusCode")
	if d == nil {
		w.Attr("", "Value", "samlp:Success")
		w.End()
	} else {
		w.Attr("", "Value", "samlp:"+d.code)
		if d.sub != "" {
			w.Start("samlp", "StatusCode")
			w.Attr("", "Value", "samlp:"+d.sub)
			w.End()
		}
		w.End()
		w.Leaf("samlp", "StatusMessage", d.message)
	}
	w.End()
	w.Raw(token)
	w.End()
	payload, err := w.Bytes()
	if err != nil {
		return v.fault(s, rq, refuse("SOA-00001", "answer not encodable"))
	}
	return v.answer(s, rq, nil, payload, asker)
}
