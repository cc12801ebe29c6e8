package sandbox

import (
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// Places of a question as MyCareNet names them (dossier 05 3.6).
const (
	whereIssuer   = "/AttributeQuery/Issuer"
	whereFacets   = "/AttributeQuery/Extensions"
	whereSubject  = "/AttributeQuery/Subject"
	whereNameID   = "/AttributeQuery/Subject/NameID"
	whereConfirm  = "/AttributeQuery/Subject/SubjectConfirmation"
	whereDateSpan = "/AttributeQuery/Subject/SubjectConfirmation/SubjectConfirmationData"
)

// Facets of dossier 05 3.3.
const (
	facetPrefix       = "urn:be:cin:nippin:"
	facetInsurability = facetPrefix + "insurability"
	facetCarePath     = facetPrefix + "carePath"
	facetChronic      = facetPrefix + "chronicCondition"
)

// memberFacets are the facets that exist, with the dimensions each must have.
var memberFacets = map[string][]string{
	facetInsurability:                 {"requestType", "contactType"},
	facetCarePath:                     {"carePathType"},
	facetChronic:                      nil,
	facetPrefix + "referencePharmacy": nil,
	facetPrefix + "globalMedicalFile": nil,
	facetPrefix + "palliativeStatus":  nil,
	facetPrefix + "maxInvoiced":       nil,
	facetPrefix + "unitIssuance":      nil,
}

// memberForbidden are the facets that a quality may not see.
var memberForbidden = map[string][]string{"physiotherapist": {facetCarePath, facetPrefix + "referencePharmacy"}}

// memberQuery is what the sandbox reads from a question.
type memberQuery struct {
	origin    origin
	envelope  string // Id of the request
	reference string // InputReference
	now       time.Time

	id                   string
	nameFormat, nameID   string
	ssin, regNr          string
	mutuality            string
	notBefore, notOnOrAf string // as sent, for the echo
	from, to             time.Time
	facets               []string
	kind, contact        string // dimensions of the facet insurability
}

// read reads and judges a question in the order of dossier 05 section 8: crosscheck, format, period, sector.
func (q *memberQuery) read(n *xmltree.Node, c *caller) *memberFault {
	q.id, _ = n.Attr("", "ID")
	for _, judge := range []func(*xmltree.Node) *memberFault{
		func(n *xmltree.Node) *memberFault { return q.crosscheck(n, c) },
		q.extensions, q.subject, q.confirmation, q.period,
	} {
		if f := judge(n); f != nil {
			return f
		}
	}
	if n.Child(nsSAML2, "Attribute") != nil {
		return queryError("FORBIDDEN_ATTRIBUTES", "/AttributeQuery/Attribute", "attributes not allowed")
	}
	return nil
}

// crosscheck compares question, envelope and token.
func (q *memberQuery) crosscheck(n *xmltree.Node, c *caller) *memberFault {
	if q.id != "_"+q.reference || q.reference == "" {
		return crosscheck("CROSSCHECK_ID", "/AttributeQuery/@ID")
	}
	issuer := n.Child(nsSAML2, "Issuer")
	if issuer == nil {
		return queryError("MISSING_ISSUER_TAG", whereIssuer, "issuer missing")
	}
	format, ok := issuer.Attr("", "Format")
	value := collapse(textOf(issuer))
	switch {
	case !ok:
		return queryError("MISSING_ISSUER_FORMAT", whereIssuer, "format missing")
	case format != facetPrefix+"nihii11" && format != "urn:be:fgov:kbo-bce:organization:cbe-number":
		return queryError("INVALID_ISSUER_FORMAT", whereIssuer, "format not known")
	case format == facetPrefix+"nihii11" && !isDigits(value, 11):
		return queryError("INVALID_ISSUER_VALUE", whereIssuer, "not a number of 11 digits")
	case value != q.origin.number, c.matches(q.origin) != nil:
		return crosscheck("CROSSCHECK_ISSUER", whereIssuer)
	}
	return nil
}

// extensions reads the facets.
func (q *memberQuery) extensions(n *xmltree.Node) *memberFault {
	ext := n.Child(nsSAMLP2, "Extensions")
	if ext == nil {
		return queryError("MISSING_EXTENSIONS_TAG", whereFacets, "extensions missing")
	}
	value, _ := ext.Attr(nsXSI, "type")
	prefix, local, ok := strings.Cut(collapse(value), ":")
	if !ok {
		prefix, local = "", prefix
	}
	if space, bound := ext.LookupPrefix(prefix); !bound || space != nsMemberExt || local != "ExtensionsType" {
		return queryError("MISSING_OR_BAD_EXTENSIONS_TYPE", whereFacets, "xsi:type is not ExtensionsType")
	}
	for f := range ext.Elements() {
		id, _ := f.Attr("", "id")
		where := "Facet[" + id + "]"
		if _, known := memberFacets[id]; !known || !f.Is(nsMemberExt, "Facet") {
			return queryError("UNKNOWN_FACET", whereFacets, "facet not known")
		}
		if contains(q.facets, id) {
			return queryError("DUPLICATED_FACET", where, "facet stands twice")
		}
		q.facets = append(q.facets, id)
		if fault := q.dimensions(f, id, where); fault != nil {
			return fault
		}
	}
	if len(q.facets) == 0 {
		return &memberFault{"Responder", "InternalError", "GENERIC_ERROR", "MYCARENET", "NO_FACET", whereFacets, "no facet asked"}
	}
	for _, id := range memberForbidden[q.origin.quality] {
		if contains(q.facets, id) {
			return &memberFault{
				"Requester", "AttributeQueryError", "AUTHORIZATION_ERROR", "MYCARENET", "UNAUTHORIZED_FACET", "Facet[" + id + "]", "facet not for this sector",
			}
		}
	}
	return nil
}

// dimensions reads the dimensions of a facet.
func (q *memberQuery) dimensions(f *xmltree.Node, id, where string) *memberFault {
	allowed := memberFacets[id]
	seen := map[string]bool{}
	for d := range f.Elements() {
		name, _ := d.Attr("", "id")
		at := where + "/Dimension[" + name + "]"
		value := collapse(textOf(d))
		switch {
		case !d.Is("", "Dimension") || !contains(allowed, name):
			return queryError("INVALID_DIMENSION_ID", where, "dimension not known")
		case seen[name] && name != "carePathType":
			return queryError("DUPLICATED_DIMENSION", at, "dimension stands twice")
		case value == "":
			return queryError("EMPTY_"+strings.ToUpper(name), at, "value missing")
		case !dimensionAllows(name, value):
			return queryError("UNALLOWED_"+strings.ToUpper(name), at, "value not allowed")
		}
		seen[name] = true
		switch name {
		case "requestType":
			q.kind = value
		case "contactType":
			q.contact = value
		}
	}
	for _, name := range allowed {
		if !seen[name] {
			return queryError("MISSING_DIMENSION", where, name+" missing")
		}
	}
	return nil
}

func dimensionAllows(name, value string) bool {
	switch name {
	case "requestType":
		return value == "information" || value == "invoicing"
	case "contactType":
		return value == "other" || value == "hospitalized"
	default:
		return value == "diabetes" || value == "renalinsufficiency"
	}
}

// subject reads the patient.
func (q *memberQuery) subject(n *xmltree.Node) *memberFault {
	id := nodeAt(n, nsSAML2, "Subject", "NameID")
	if id == nil {
		return queryError("MISSING_NAMEID", whereSubject, "NameID missing")
	}
	var ok bool
	if q.nameFormat, ok = id.Attr("", "Format"); !ok {
		return queryError("MISSING_NAMEID_FORMAT", whereNameID, "format missing")
	}
	q.nameID = collapse(textOf(id))
	left, right, cut := strings.Cut(q.nameID, "@")
	switch q.nameFormat {
	case "urn:be:fgov:person:ssin":
		q.ssin = q.nameID
	case facetPrefix + "member:ssin@mut":
		q.ssin, q.mutuality = left, right
	case facetPrefix + "careReceiver:registrationNumber@mut":
		if q.regNr, q.mutuality = left, right; left == "" {
			return queryError("EMPTY_REG_NUM", whereNameID, "registration number missing")
		}
	default:
		return queryError("INVALID_NAMEID_FORMAT", whereNameID, "format not known")
	}
	withInsurer := q.nameFormat != "urn:be:fgov:person:ssin"
	switch {
	case withInsurer && !cut:
		return queryError("INVALID_NAMEID_VALUE", whereNameID, "no insurer behind the number")
	case withInsurer && q.mutuality == "":
		return queryError("EMPTY_IO", whereNameID, "insurer missing")
	case withInsurer && !isDigits(q.mutuality, 3):
		return queryError("INVALID_IO_FORMAT", whereNameID, "insurer is not three digits")
	case withInsurer && !isMutuality(q.mutuality):
		return queryError("INVALID_IO_VALUE", whereNameID, "no such insurer")
	case q.regNr != "" && (len(q.regNr) > 13 || !isAlphanumeric(q.regNr)):
		return queryError("INVALID_NAMEID_VALUE", whereNameID, "registration number has an invalid format")
	case q.regNr != "":
		return nil
	case q.ssin == "":
		return queryError("EMPTY_INSS", whereNameID, "number missing")
	case !isDigits(q.ssin, 11):
		return queryError("INVALID_INSS_FORMAT", whereNameID, "The INSS has an invalid format")
	}
	if _, err := identity.ParseSSIN(q.ssin); err != nil {
		return queryError("INVALID_INSS_VALUE", whereNameID, "check digits wrong")
	}
	return nil
}

// confirmation reads the asked days.
func (q *memberQuery) confirmation(n *xmltree.Node) *memberFault {
	confirm := nodeAt(n, nsSAML2, "Subject", "SubjectConfirmation")
	if confirm == nil {
		return queryError("MISSING_SUBJECT_CONFIRMATION_TAG", whereSubject, "SubjectConfirmation missing")
	}
	if m, _ := confirm.Attr("", "Method"); m != facetPrefix+"memberIdentification" {
		return queryError("INVALID_SUBJECT_CONFIRMATION_METHOD_VALUE", whereConfirm, "method not known")
	}
	for _, local := range []string{"NameID", "BaseID", "EncryptedID"} {
		if confirm.Child(nsSAML2, local) != nil {
			return queryError("SUBJECT_CONFIRMATION_WITH_ID", whereConfirm, "no identification allowed here")
		}
	}
	data := confirm.Child(nsSAML2, "SubjectConfirmationData")
	if data == nil {
		return queryError("MISSING_SUBJECT_CONFIRMATION_DATA_TAG", whereConfirm, "SubjectConfirmationData missing")
	}
	q.notBefore, _ = data.Attr("", "NotBefore")
	q.notOnOrAf, _ = data.Attr("", "NotOnOrAfter")
	switch {
	case collapse(q.notBefore) == "":
		return queryError("EMPTY_STARTDATE", whereDateSpan, "start missing")
	case collapse(q.notOnOrAf) == "":
		return queryError("EMPTY_ENDDATE", whereDateSpan, "end missing")
	}
	start, ok := parseDateTime(collapse(q.notBefore))
	end, ok2 := parseDateTime(collapse(q.notOnOrAf))
	if !ok || !ok2 || !end.After(start) {
		return queryError("INVALID_PERIOD", whereDateSpan, "not a period")
	}
	q.from, q.to = dayIn(start), dayIn(end.Add(-time.Nanosecond)) // the end is the first instant behind the period
	return nil
}

// period judges the asked days by the rules of the sector.
func (q *memberQuery) period(*xmltree.Node) *memberFault {
	switch {
	case q.from.After(q.now):
		return memberInput("Requester", "START_DATE_IN_FUTURE", whereDateSpan, "starts in the future")
	case q.from.Before(q.now.AddDate(-yearsBack, 0, 0)):
		return memberInput("Requester", "PERIOD_TOO_FAR_IN_PAST", whereDateSpan, "no data that far in the past")
	case individual(q.origin.quality) && !q.to.Equal(q.from), q.to.After(q.from.AddDate(sectorYear, 0, 0)):
		return memberInput("Requester", "INVALID_PERIOD_FOR_SECTOR", whereDateSpan, "period not allowed for this sector")
	}
	return nil
}
