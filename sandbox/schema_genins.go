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
		opt(c, "PeriodStart", leaf(xsDate)),
		opt(c, "PeriodEnd", leaf(xsDate)),
	}}
	detail := &xsType{name: qname{c, "InsurabilityRequestDetailType"}, seq: []xsParticle{
		one(c, "InsurabilityRequestType", leaf(enum(c, "InsurabilityRequestTypeType", "information", "invoicing"))),
		one(c, "Period", period),
		one(c, "InsurabilityContactType", leaf(enum(c, "InsurabilityContactTypeType",
			"ambulatory_care", "hospitalized_for_day", "hospitalized_elsewhere", "other"))),
		opt(c, "InsurabilityReference", leaf(pattern(c, "InsurabilityReferenceType",
			`[0-9A-ZÖËÜ '\.*+,-/:;=?()\]\[<>]{0,25}`))),
	}}
	careReceiver := &xsType{name: qname{c, "CareReceiverIdType"}, seq: []xsParticle{
		opt(c, "Inss", leaf(pattern(c, "InssType", `[0-9]{11}`))),
		opt(c, "RegNrWithMut", leaf(length(c, "RegNrWithMutType", 0, 13))),
		opt(c, "Mutuality", leaf(pattern(c, "MutualityType", `750|999|[1-69][0-9]{2}`))),
	}}
	reference := leaf(length(c, "StringReferenceType", 0, 14))
	common := &xsType{name: qname{c, "CommonInputType"}, seq: []xsParticle{
		one(c, "Request", &xsType{name: qname{c, "RequestType"}, seq: []xsParticle{one(c, "IsTest", leaf(xsBoolean))}}),
		one(c, "Origin", originType(c, true)),
		opt(c, "InputReference", reference),
		opt(c, "NIPReference", reference),
	}}
	record := &xsType{name: qname{c, "RecordCommonInputType"}, seq: []xsParticle{
		opt(c, "InputReference", leaf(num14(c, "Num14ReferenceType"))),
	}}
	single := &xsType{name: qname{c, "SingleInsurabilityRequestType"}, attrs: messageHeader(c), seq: []xsParticle{
		one(c, "CareReceiverId", careReceiver),
		one(c, "InsurabilityRequestDetail", detail),
	}}
	return &xsType{name: qname{nsGenIns, "GetInsurabilityAsXmlOrFlatRequestType"}, seq: []xsParticle{
		one(nsGenIns, "CommonInput", common),
		one(nsGenIns, "RecordCommonInput", record),
		one(nsGenIns, "Request", single),
	}}
}()

// messageHeader is the attribute group of the same name: the header zones of the old flat message.
func messageHeader(c string) []xsAttr {
	reference := pattern(c, "MessageReferenceType", `[0-9]{1,14}`)
	return []xsAttr{
		{local: "MessageName", typ: enum(c, "MessageNameType",
			"M801000", "M801000ERR", "M801001", "M801900",
			"M410000", "M410001", "M410000ERR", "M410900", "M410908", "M410999",
			"M420000", "M420001", "M420000ERR", "M420900", "M420999",
			"M430000", "M430001", "M430000ERR", "M891000")},
		{local: "Version", typ: pattern(c, "MessageVersionType", `[0-9]{2}`)},
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
	nihii := &xsType{name: qname{c, "NihiiType"}, attrs: selfRef, seq: []xsParticle{
		opt(c, "Quality", leaf(xsString)),
		opt(c, "Value", text),
	}}
	id := &xsType{name: qname{c, "IdType"}, attrs: selfRef, seq: []xsParticle{
		opt(c, "Name", text),
		opt(c, "Nihii", nihii),
		opt(c, "Ssin", text),
		opt(c, "Cbe", text),
	}}
	pkg := &xsType{name: qname{c, "PackageType"}, attrs: selfRef, seq: []xsParticle{
		opt(c, "Name", text),
		one(c, "License", &xsType{name: qname{c, "LicenseType"}, seq: []xsParticle{
			one(c, "Username", leaf(xsString)),
			one(c, "Password", leaf(xsString)),
		}}),
	}}
	provider := &xsType{name: qname{c, "CareProviderType"}, seq: []xsParticle{
		one(c, "Nihii", nihii),
		opt(c, "PhysicalPerson", id),
		opt(c, "Organization", id),
	}}
	seq := []xsParticle{one(c, "Package", pkg)}
	if siteID {
		seq = append(seq, opt(c, "SiteID", text))
	}
	return &xsType{name: qname{c, "OriginType"}, seq: append(seq, opt(c, "CareProvider", provider))}
}
