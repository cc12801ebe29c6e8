package sandbox

// Namespaces of GenIns v1.1 (dossier 05 1.1): the root and its direct children stand in the protocol namespace,
// everything deeper in the core namespace.
const (
	nsGenIns     = "urn:be:fgov:ehealth:genericinsurability:protocol:v1"
	nsGenInsCore = "urn:be:fgov:ehealth:genericinsurability:core:v1"
)

// geninsRequestType is GetInsurabilityAsXmlOrFlatRequestType of ehealth-genins-protocol-1_1.xsd, written out by
// hand: tables that a reader can hold beside the schema, and no schema file in the module.
var geninsRequestType = func() *xsType {
	const c = nsGenInsCore
	period := &xsType{name: qname{c, "PeriodType"}, seq: []xsParticle{
		xsOpt(c, "PeriodStart", xsLeaf(xsDate)),
		xsOpt(c, "PeriodEnd", xsLeaf(xsDate)),
	}}
	detail := &xsType{name: qname{c, "InsurabilityRequestDetailType"}, seq: []xsParticle{
		xsOne(c, "InsurabilityRequestType", xsLeaf(xsEnum(c, "InsurabilityRequestTypeType", "information", "invoicing"))),
		xsOne(c, "Period", period),
		xsOne(c, "InsurabilityContactType", xsLeaf(xsEnum(c, "InsurabilityContactTypeType",
			"ambulatory_care", "hospitalized_for_day", "hospitalized_elsewhere", "other"))),
		xsOpt(c, "InsurabilityReference", xsLeaf(xsPattern(c, "InsurabilityReferenceType",
			`[0-9A-ZÖËÜ '\.*+,-/:;=?()\]\[<>]{0,25}`))),
	}}
	careReceiver := &xsType{name: qname{c, "CareReceiverIdType"}, seq: []xsParticle{
		xsOpt(c, "Inss", xsLeaf(xsPattern(c, "InssType", `[0-9]{11}`))),
		xsOpt(c, "RegNrWithMut", xsLeaf(xsLength(c, "RegNrWithMutType", 0, 13))),
		xsOpt(c, "Mutuality", xsLeaf(xsPattern(c, "MutualityType", `750|999|[1-69][0-9]{2}`))),
	}}
	reference := xsLeaf(xsLength(c, "StringReferenceType", 0, 14))
	common := &xsType{name: qname{c, "CommonInputType"}, seq: []xsParticle{
		xsOne(c, "Request", &xsType{name: qname{c, "RequestType"}, seq: []xsParticle{xsOne(c, "IsTest", xsLeaf(xsBoolean))}}),
		xsOne(c, "Origin", originType(c, true)),
		xsOpt(c, "InputReference", reference),
		xsOpt(c, "NIPReference", reference),
	}}
	record := &xsType{name: qname{c, "RecordCommonInputType"}, seq: []xsParticle{
		xsOpt(c, "InputReference", xsLeaf(xsNum14(c, "Num14ReferenceType"))),
	}}
	single := &xsType{name: qname{c, "SingleInsurabilityRequestType"}, attrs: messageHeader(c), seq: []xsParticle{
		xsOne(c, "CareReceiverId", careReceiver),
		xsOne(c, "InsurabilityRequestDetail", detail),
	}}
	return &xsType{name: qname{nsGenIns, "GetInsurabilityAsXmlOrFlatRequestType"}, seq: []xsParticle{
		xsOne(nsGenIns, "CommonInput", common),
		xsOne(nsGenIns, "RecordCommonInput", record),
		xsOne(nsGenIns, "Request", single),
	}}
}()

// messageHeader is the attribute group of the same name: the header zones of the old flat message.
func messageHeader(c string) []xsAttr {
	reference := xsPattern(c, "MessageReferenceType", `[0-9]{1,14}`)
	return []xsAttr{
		{local: "MessageName", typ: xsEnum(c, "MessageNameType",
			"M801000", "M801000ERR", "M801001", "M801900",
			"M410000", "M410001", "M410000ERR", "M410900", "M410908", "M410999",
			"M420000", "M420001", "M420000ERR", "M420900", "M420999",
			"M430000", "M430001", "M430000ERR", "M891000")},
		{local: "Version", typ: xsPattern(c, "MessageVersionType", `[0-9]{2}`)},
		{local: "Duplicate", typ: xsBoolean},
		{local: "TestFlag", typ: xsBoolean},
		{local: "SenderReference", typ: reference},
		{local: "ReceiverReference", typ: reference},
		{local: "Synchronous", typ: xsBoolean},
	}
}

// originType is OriginType, which GenIns and the pharmacist service share but for SiteID.
func originType(c string, siteID bool) *xsType {
	selfRef := []xsAttr{{local: "Id", typ: xsID}, {local: "Ref", typ: xsAnyURI}}
	text := &xsType{name: qname{c, "ValueRefString"}, simple: xsString, attrs: []xsAttr{{local: "ValueRef", typ: xsAnyURI}}}
	plain := &xsType{name: xsString.name, simple: xsString, derived: []*xsType{text}}
	nihii := &xsType{name: qname{c, "NihiiType"}, attrs: selfRef, seq: []xsParticle{
		xsOpt(c, "Quality", plain),
		xsOpt(c, "Value", text),
	}}
	id := &xsType{name: qname{c, "IdType"}, attrs: selfRef, seq: []xsParticle{
		xsOpt(c, "Name", text),
		xsOpt(c, "Nihii", nihii),
		xsOpt(c, "Ssin", text),
		xsOpt(c, "Cbe", text),
	}}
	pkg := &xsType{name: qname{c, "PackageType"}, attrs: selfRef, seq: []xsParticle{
		xsOpt(c, "Name", text),
		xsOne(c, "License", &xsType{name: qname{c, "LicenseType"}, seq: []xsParticle{
			xsOne(c, "Username", plain),
			xsOne(c, "Password", plain),
		}}),
	}}
	provider := &xsType{name: qname{c, "CareProviderType"}, seq: []xsParticle{
		xsOne(c, "Nihii", nihii),
		xsOpt(c, "PhysicalPerson", id),
		xsOpt(c, "Organization", id),
	}}
	seq := []xsParticle{xsOne(c, "Package", pkg)}
	if siteID {
		seq = append(seq, xsOpt(c, "SiteID", text))
	}
	return &xsType{name: qname{c, "OriginType"}, seq: append(seq, xsOpt(c, "CareProvider", provider))}
}
