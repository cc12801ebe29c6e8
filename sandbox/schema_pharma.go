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
		xsOpt(c, "Request", &xsType{name: qname{c, "RequestType"}, seq: []xsParticle{xsOne(c, "IsTest", xsLeaf(xsBoolean))}}),
		xsOne(c, "Origin", originType(c, false)),
	}}
	record := &xsType{name: qname{c, "RecordCommonInputType"}, seq: []xsParticle{
		xsOpt(c, "Reference", xsLeaf(xsNum14(c, "RecordReferenceType"))),
		xsOpt(c, "UserReference", xsLeaf(xsLength(c, "UserReferenceType", 0, 25))),
	}}
	request := &xsType{name: qname{c, "InsurabilityForPharmacistRequestType"}, seq: []xsParticle{
		xsOne(c, "Date", xsLeaf(xsDate)),
		xsOne(c, "RequestType", xsLeaf(xsLength(c, "RequestTypeType", 1, 1))),
		xsOne(c, "CareReceiver", &xsType{name: qname{c, "CareReceiverIdType"}, seq: []xsParticle{
			xsOpt(c, "Ssin", xsLeaf(xsLength(nsCommons, "SsinType", 11, 11))),
			xsOpt(c, "RegNrWithMut", xsLeaf(xsLength(c, "RegNrWithMutType", 0, 13))),
			xsOpt(c, "Mutuality", xsLeaf(xsLength(c, "MutualityType", 3, 3))),
		}}),
	}}
	attribute := &xsType{
		name: qname{nsSAML2, "AttributeType"}, foreign: true,
		attrs: []xsAttr{
			{local: "Name", typ: xsString, required: true},
			{local: "NameFormat", typ: xsAnyURI},
			{local: "FriendlyName", typ: xsString},
		},
		seq: []xsParticle{xsMany(nsSAML2, "AttributeValue", &xsType{any: true})},
	}
	return &xsType{name: qname{nsPharma, "GetInsurabilityForPharmacistRequestType"}, seq: []xsParticle{
		xsOne(nsPharma, "CommonInput", common),
		xsOne(nsPharma, "RecordCommonInput", record),
		xsOne(nsPharma, "InsurabilityRequest", request),
		xsOpt(nsPharma, "ExtendedInformation", &xsType{
			name: qname{c, "SamlAttributeType"},
			seq:  []xsParticle{xsMany(nsSAML2, "Attribute", attribute)},
		}),
	}}
}()
