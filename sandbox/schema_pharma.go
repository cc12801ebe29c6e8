package sandbox

// Namespaces of the pharmacist service v2 (dossier 05 2.1), split as in GenIns.
const (
	nsPharma     = "urn:be:fgov:ehealth:insurability:protocol:v2"
	nsPharmaCore = "urn:be:fgov:ehealth:insurability:core:v2"
	nsSAML2      = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsCommons    = "urn:be:fgov:ehealth:commons:core:v1"
)

// pharmaRequestType is GetInsurabilityForPharmacistRequestType of insurabilityservices_protocol-2_0.xsd.
var pharmaRequestType = func() *xsType {
	const c = nsPharmaCore
	common := &xsType{name: qname{c, "CommonInputType"}, seq: []xsParticle{
		opt(c, "Request", &xsType{name: qname{c, "RequestType"}, seq: []xsParticle{one(c, "IsTest", leaf(xsBoolean))}}),
		one(c, "Origin", originType(c, false)),
	}}
	record := &xsType{name: qname{c, "RecordCommonInputType"}, seq: []xsParticle{
		opt(c, "Reference", leaf(num14(c, "RecordReferenceType"))),
		opt(c, "UserReference", leaf(length(c, "UserReferenceType", 0, 25))),
	}}
	request := &xsType{name: qname{c, "InsurabilityForPharmacistRequestType"}, seq: []xsParticle{
		one(c, "Date", leaf(xsDate)),
		one(c, "RequestType", leaf(length(c, "RequestTypeType", 1, 1))),
		one(c, "CareReceiver", &xsType{name: qname{c, "CareReceiverIdType"}, seq: []xsParticle{
			opt(c, "Ssin", leaf(length(nsCommons, "SsinType", 11, 11))),
			opt(c, "RegNrWithMut", leaf(length(c, "RegNrWithMutType", 0, 13))),
			opt(c, "Mutuality", leaf(length(c, "MutualityType", 3, 3))),
		}}),
	}}
	attribute := &xsType{
		name: qname{nsSAML2, "AttributeType"}, foreign: true,
		attrs: []xsAttr{
			{local: "Name", typ: xsString, required: true},
			{local: "NameFormat", typ: xsAnyURI},
			{local: "FriendlyName", typ: xsString},
		},
		seq: []xsParticle{many(nsSAML2, "AttributeValue", &xsType{any: true})},
	}
	return &xsType{name: qname{nsPharma, "GetInsurabilityForPharmacistRequestType"}, seq: []xsParticle{
		one(nsPharma, "CommonInput", common),
		one(nsPharma, "RecordCommonInput", record),
		one(nsPharma, "InsurabilityRequest", request),
		opt(nsPharma, "ExtendedInformation", &xsType{
			name: qname{c, "SamlAttributeType"},
			seq:  []xsParticle{many(nsSAML2, "Attribute", attribute)},
		}),
	}}
}()
