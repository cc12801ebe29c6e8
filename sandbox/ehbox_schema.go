package sandbox

import (
	"regexp"
	"strconv"
)

// Namespaces of eHealthBox v3 (dossier 03 2.1). Only the root element of a message is in one; all others are in none.
const (
	nsMailRead = "urn:be:fgov:ehealth:ehbox:consultation:protocol:v3"
	nsMailSend = "urn:be:fgov:ehealth:ehbox:publication:protocol:v3"
	nsMailCore = "urn:be:fgov:ehealth:ehbox:core:v3"
)

// xsDefaulted is a simple type of an element with a default: an empty element has that value (XML Schema part 1, 3.3.1).
func xsDefaulted(s *xsSimple) *xsSimple {
	return &xsSimple{s.name, false, func(text string) bool { return text == "" || s.valid(text) }}
}

var intForm = regexp.MustCompile(`\A[+-]?[0-9]+\z`)

// mailIndex is StartIndex and EndIndex: xs:int from 1.
var mailIndex = &xsSimple{qname{nsMailRead, "IndexType"}, true, func(s string) bool {
	n, err := strconv.ParseInt(s, 10, 32)
	return intForm.MatchString(s) && err == nil && n >= 1
}}

// mailTypes are the request types of both services of XSD 3.0.7, by local name of the root element. The length of INSSType
// is 11 in the official set and 8 to 13 in a variant (dossier 03 3.1).
func mailTypes(inssLeast, inssMost int) map[string]*xsType {
	t := mailReadTypes()
	t["SendMessageRequest"] = mailSendType(inssLeast, inssMost)
	return t
}

var (
	mailTypesOfficial = mailTypes(11, 11)
	mailTypesLenient  = mailTypes(8, 13)
)

func mailText(local string, least, most int) *xsType {
	return xsLeaf(xsLength(nsMailCore, local, least, most))
}

// mailIdentifier is IdentifierType and what extends it.
func mailIdentifier(local string, more ...xsParticle) *xsType {
	return &xsType{name: qname{nsMailCore, local}, seq: append([]xsParticle{
		xsOne("", "Id", xsLeaf(xsString)), xsOne("", "Type", xsLeaf(xsString)), xsOpt("", "SubType", xsLeaf(xsString)),
	}, more...)}
}

var mailBoxID = mailIdentifier("BoxIdType", xsOne("", "Quality", xsLeaf(xsString)))

// mailReadTypes are the requests of the consultation service.
func mailReadTypes() map[string]*xsType {
	box := xsOpt("", "BoxId", mailBoxID)
	folder := func(values ...string) *xsSimple { return xsEnum(nsMailRead, "SourceType", values...) }
	four := []string{folderIn, folderSent, folderBinIn, folderBinSent}
	id := xsLeaf(xsPattern(nsMailCore, "MessageIdType", `[a-zA-Z0-9]{13}`))
	ids := xsParticle{name: qname{"", "MessageId"}, typ: id, min: 1, max: 100}
	ooo := xsParticle{name: qname{"", "OoOId"}, typ: mailText("OoOIdType", 1, 13), min: 1, max: -1}
	source := xsOne("", "Source", xsLeaf(xsDefaulted(folder(four...))))
	first := xsOpt("", "StartIndex", xsLeaf(xsDefaulted(mailIndex)))
	last := xsOpt("", "EndIndex", xsLeaf(xsDefaulted(mailIndex)))
	one := xsOne("", "Source", xsLeaf(xsDefaulted(folder(folderIn, folderSent, folderHistory))))
	typ := func(seq ...xsParticle) *xsType { return &xsType{name: qname{nsMailRead, "RequestType"}, seq: seq} }
	return map[string]*xsType{
		"GetBoxInfoRequest":                {seq: []xsParticle{box}, name: qname{nsMailRead, "GetBoxInfoRequestType"}},
		"GetMessagesListRequest":           typ(box, source, first, last),
		"GetAllEhboxesMessagesListRequest": typ(source, first, last),
		"GetFullMessageRequest":            typ(box, one, xsOne("", "MessageId", id)),
		"GetHistoryRequest":                typ(box, one, xsOne("", "MessageId", id)),
		"MoveMessageRequest": typ(box, xsOne("", "Source", xsLeaf(folder(four...))),
			xsOne("", "Destination", xsLeaf(folder(four...))), ids),
		"DeleteMessageRequest":                   typ(box, xsOne("", "Source", xsLeaf(folder(four...))), ids),
		"GetMessageAcknowledgmentsStatusRequest": typ(box, xsOne("", "MessageId", id), first, last),
		"InsertOoORequest": typ(box, xsOne("", "StartDate", xsLeaf(xsDate)), xsOne("", "EndDate", xsLeaf(xsDate)),
			xsMany("", "Substitute", mailBoxID)),
		"DeleteOoORequest":  typ(box, ooo),
		"GetOoOListRequest": typ(box),
	}
}

// mailSendType is the request of the publication service.
func mailSendType(inssLeast, inssMost int) *xsType {
	name := xsLength(nsMailCore, "NameType", 1, 100)
	user := &xsType{
		name: qname{nsMailCore, "UserType"}, simple: xsLength(nsMailCore, "INSSType", inssLeast, inssMost),
		attrs: []xsAttr{{local: "FirstName", typ: name, required: true}, {local: "LastName", typ: name, required: true}},
	}
	destination := mailIdentifier("DestinationContextType",
		xsOne("", "Quality", xsLeaf(xsString)), xsOpt("", "User", user),
		xsOpt("", "Mandate", mailIdentifier("MandateType", xsOpt("", "Name", xsLeaf(xsString)))),
		xsOpt("", "OoOProcessed", xsLeaf(xsBoolean)))
	pair := func(local, left string, right xsParticle) *xsType {
		return &xsType{name: qname{nsMailCore, local}, seq: []xsParticle{xsOne("", left, mailText("KeyType", 1, 250)), right}}
	}
	value := xsOne("", "Value", mailText("ValueType", 1, 250))
	values := value
	values.max = -1
	return &xsType{
		name: qname{nsMailSend, "PublicationMessageType"}, attrs: []xsAttr{{local: "PublicationId", typ: xsLength(nsMailCore, "PublicationIdType", 1, 13)}},
		seq: []xsParticle{
			xsOpt("", "BoxId", mailBoxID),
			{name: qname{"", "DestinationContext"}, typ: destination, min: 1, max: -1},
			xsOne("", "ContentContext", &xsType{name: qname{nsMailSend, "ContentContextType"}, seq: []xsParticle{
				xsOne("", "Content", mailContentType()),
				xsOne("", "ContentSpecification", mailSpecification()),
				{name: qname{"", "CustomMeta"}, typ: pair("CustomMetaType", "Key", value), max: 100},
			}}),
			xsMany("", "Meta", pair("MetaType", "Type", values)),
			xsMany("", "CopyMailTo", mailText("CopyMailToType", 1, 80)),
		},
	}
}

func mailSpecification() *xsType {
	boolean := xsLeaf(xsDefaulted(xsBoolean))
	seq := []xsParticle{
		xsOpt("", "ApplicationName", mailText("ApplicationNameType", 1, 25)),
		xsOne("", "ContentType", xsLeaf(xsEnum(nsMailCore, "ContentTypeType", mailDocument, mailNews, mailAcknowledgment, mailError))),
	}
	for _, local := range []string{"IsImportant", "IsEncrypted", "PublicationReceipt", "ReceivedReceipt", "ReadReceipt"} {
		seq = append(seq, xsOne("", local, boolean))
	}
	return &xsType{name: qname{nsMailSend, "ContentSpecificationType"}, seq: seq}
}

func mailContentType() *xsType {
	binary := xsLeaf(xsBase64)
	content := xsChoice(xsOne("", "EncryptableBinaryContent", xsLeaf(xsAnyURI)), xsOne("", "EncryptableTextContent", binary))
	rest := []xsParticle{
		content,
		xsOne("", "DownloadFileName", mailText("DownloadFileNameType", 1, 255)),
		xsOne("", "MimeType", mailText("MimeTypeType", 1, 255)),
		xsOne("", "Digest", xsLeaf(xsString)),
	}
	document := append([]xsParticle{xsOne("", "Title", mailText("TitleType", 1, 400))}, rest...)
	annex := append([]xsParticle{xsOne("", "EncryptableTitle", binary)}, rest...)
	row := &xsType{name: qname{nsMailCore, "RowType"}, seq: []xsParticle{
		xsOne("", "EncryptableLeftCell", binary), xsOne("", "EncryptableRightCell", binary),
	}}
	free := &xsType{name: qname{nsMailCore, "FreeInformationsType"}, seq: []xsParticle{xsChoice(
		xsOne("", "EncryptableFreeText", binary),
		xsOne("", "Table", &xsType{
			name: qname{nsMailCore, "TableType"}, attrs: []xsAttr{{local: "Title", typ: xsString}},
			seq: []xsParticle{{name: qname{"", "Row"}, typ: row, min: 1, max: -1}},
		}),
		xsOne("", "EncryptableOldFreeInformation", &xsType{
			name: qname{nsMailCore, "OldFreeInformationType"}, simple: xsBase64,
			attrs: []xsAttr{{local: "Render", typ: xsLength(nsMailCore, "RenderType", 1, 1<<30), required: true}},
		}),
	)}}
	return &xsType{name: qname{nsMailSend, "PublicationContentType"}, seq: []xsParticle{
		xsOne("", "Document", &xsType{name: qname{nsMailSend, "PublicationDocumentType"}, seq: document}),
		xsOpt("", "FreeInformations", free),
		xsOpt("", "EncryptableINSSPatient", binary),
		xsMany("", "Annex", &xsType{name: qname{nsMailSend, "PublicationAnnexType"}, seq: annex}),
	}}
}
