package sandbox

// Namespaces of MemberData v1 (dossier 05 3.1 and 3.3): the root, its children, everything deeper; then those of the
// document in the envelope.
const (
	nsMember        = "urn:be:fgov:ehealth:mycarenet:memberdata:protocol:v1"
	nsMemberCommons = "urn:be:fgov:ehealth:mycarenet:commons:protocol:v3"
	nsMemberCore    = "urn:be:fgov:ehealth:mycarenet:commons:core:v3"
	nsSAMLP2        = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsMemberExt     = "urn:be:cin:nippin:memberdata:saml:extension"
	nsCIN           = "urn:be:cin:types:v1"
)

var xsNCName = xsBuiltin("NCName", isNCName)

// memberRequestType is SendRequestMemberDataType of mycarenet-memberdata-protocol-1_0.xsd with what it extends.
var memberRequestType = func() *xsType {
	const p, c = nsMemberCommons, nsMemberCore
	origin := originType(c, true)
	provider := origin.seq[len(origin.seq)-1].typ
	origin.seq = append(origin.seq, xsOpt(c, "Sender", &xsType{name: qname{c, "PartyType"}, seq: provider.seq[1:]}))
	text := &xsType{name: xsString.name, simple: xsString, derived: []*xsType{{
		name: qname{c, "ValueRefString"}, simple: xsString, attrs: []xsAttr{{local: "ValueRef", typ: xsAnyURI}},
	}}}
	common := &xsType{name: qname{c, "CommonInputType"}, seq: []xsParticle{
		xsOne(c, "Request", &xsType{name: qname{c, "RequestType"}, seq: []xsParticle{xsOne(c, "IsTest", xsLeaf(xsBoolean))}}),
		xsOne(c, "Origin", origin),
		xsOpt(c, "InputReference", text),
		xsOpt(c, "NIPReference", text),
	}}
	routing := &xsType{name: qname{c, "RoutingType"}, seq: []xsParticle{
		xsOne(c, "CareReceiver", &xsType{name: qname{c, "CareReceiverIdType"}, seq: []xsParticle{
			xsOpt(c, "Ssin", text), xsOpt(c, "RegNrWithMut", text), xsOpt(c, "Mutuality", text),
		}}),
		xsOne(c, "ReferenceDate", xsLeaf(xsDate)),
		xsOpt(c, "Period", &xsType{name: qname{c, "PeriodType"}, seq: []xsParticle{
			xsOne(c, "Start", xsLeaf(xsDate)), xsOne(c, "End", xsLeaf(xsDate)),
		}}),
	}}
	blob := &xsType{name: qname{c, "BlobType"}, simple: xsBase64, attrs: []xsAttr{
		{local: "ContentType", typ: xsString, required: true},
		{local: "ContentEncoding", typ: xsString},
		{local: "ContentEncryption", typ: xsString},
		{local: "HashValue", typ: xsBase64},
		{local: "Id", typ: xsNCName},
	}}
	return &xsType{
		name: qname{nsMember, "SendRequestMemberDataType"},
		attrs: []xsAttr{ // the schema lets Id be absent; the service does not (dossier 05 3.2)
			{local: "Id", typ: xsID, required: true},
			{local: "IssueInstant", typ: xsDateTime, required: true},
		},
		seq: []xsParticle{
			xsOne(p, "CommonInput", common),
			xsOpt(p, "Routing", routing),
			xsOne(p, "Detail", blob),
			xsOpt(p, "Xades", &xsType{name: xsBase64.name, simple: xsBase64, foreign: true}),
		},
	}
}()

// memberQueryType is AttributeQueryType of saml-schema-protocol-2.0.xsd as far as a question to MemberData may use it,
// with the extension of Extensions-simplified.xsd. What has a detail code of its own is found before.
var memberQueryType = func() *xsType {
	const a, p, e = nsSAML2, nsSAMLP2, nsMemberExt
	nameID := &xsType{name: qname{a, "NameIDType"}, simple: xsString, attrs: []xsAttr{
		{local: "NameQualifier", typ: xsString},
		{local: "SPNameQualifier", typ: xsString},
		{local: "Format", typ: xsAnyURI},
		{local: "SPProvidedID", typ: xsString},
	}}
	dimension := &xsType{name: qname{"", "Dimension"}, simple: xsString, attrs: []xsAttr{{local: "id", typ: xsAnyURI, required: true}}}
	facet := &xsType{
		name: qname{e, "Facet"}, attrs: []xsAttr{{local: "id", typ: xsAnyURI, required: true}},
		seq: []xsParticle{xsMany("", "Dimension", dimension)},
	}
	facets := []xsParticle{{qname{e, "Facet"}, facet, 1, -1}}
	confirmation := &xsType{
		name: qname{a, "SubjectConfirmationType"}, attrs: []xsAttr{{local: "Method", typ: xsAnyURI, required: true}},
		seq: []xsParticle{xsOne(a, "SubjectConfirmationData", &xsType{
			name:  qname{a, "SubjectConfirmationDataType"},
			attrs: []xsAttr{{local: "NotBefore", typ: xsDateTime}, {local: "NotOnOrAfter", typ: xsDateTime}},
		})},
	}
	return &xsType{
		name: qname{p, "AttributeQueryType"},
		attrs: []xsAttr{
			{local: "ID", typ: xsID, required: true},
			{local: "Version", typ: xsString, required: true},
			{local: "IssueInstant", typ: xsDateTime, required: true},
			{local: "Destination", typ: xsAnyURI},
			{local: "Consent", typ: xsAnyURI},
		},
		seq: []xsParticle{
			xsOne(a, "Issuer", nameID),
			xsOne(p, "Extensions", &xsType{
				name: qname{p, "ExtensionsType"}, seq: facets,
				derived: []*xsType{{name: qname{e, "ExtensionsType"}, seq: facets}},
			}),
			xsOne(a, "Subject", &xsType{name: qname{a, "SubjectType"}, seq: []xsParticle{
				xsOne(a, "NameID", nameID), xsOne(a, "SubjectConfirmation", confirmation),
			}}),
		},
	}
}()
