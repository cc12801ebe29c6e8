package sandbox

import (
	"time"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// geninsRequest is what the sandbox reads from a GetInsurabilityRequest that conforms to its schema.
type geninsRequest struct {
	origin    origin
	reference *string // CommonInput/InputReference
	record    *string // RecordCommonInput/InputReference
	test      bool

	inss, regNr, mutuality *string

	kind, contact string
	start, end    *string // as sent, for the echo
	from, to      time.Time
	own           *string // InsurabilityReference
}

// origin is who asks, as the request says it.
type origin struct {
	present                 bool // CareProvider is there
	quality, number         string
	personQuality, personID string // PhysicalPerson/Nihii
	personSSIN              string
	orgQuality, orgID       string // Organization/Nihii
}

func decodeGenIns(n *xmltree.Node) *geninsRequest {
	const p, c = nsGenIns, nsGenInsCore
	common := n.Child(p, "CommonInput")
	single := n.Child(p, "Request")
	care := nodeAt(single, c, "CareReceiverId")
	detail := nodeAt(single, c, "InsurabilityRequestDetail")
	q := &geninsRequest{
		origin:    decodeOrigin(nodeAt(common, c, "Origin"), c),
		reference: optional(common.Child(c, "InputReference")),
		record:    optional(nodeAt(n.Child(p, "RecordCommonInput"), c, "InputReference")),
		test:      isTrueText(textOf(nodeAt(common, c, "Request", "IsTest"))),
		inss:      optional(care.Child(c, "Inss")),
		regNr:     optional(care.Child(c, "RegNrWithMut")),
		mutuality: optional(care.Child(c, "Mutuality")),
		kind:      textOf(detail.Child(c, "InsurabilityRequestType")),
		contact:   textOf(detail.Child(c, "InsurabilityContactType")),
		start:     optional(nodeAt(detail, c, "Period", "PeriodStart")),
		end:       optional(nodeAt(detail, c, "Period", "PeriodEnd")),
		own:       optional(detail.Child(c, "InsurabilityReference")),
	}
	if q.start != nil {
		q.from, _ = parseDate(collapse(*q.start))
	}
	if q.end != nil {
		q.to, _ = parseDate(collapse(*q.end))
	}
	return q
}

// decodeOrigin reads Origin; both services have the same one.
func decodeOrigin(n *xmltree.Node, c string) origin {
	provider := n.Child(c, "CareProvider")
	if provider == nil {
		return origin{}
	}
	value := func(steps ...string) string { return collapse(textOf(nodeAt(provider, c, steps...))) }
	return origin{
		present: true,
		quality: value("Nihii", "Quality"), number: value("Nihii", "Value"),
		personQuality: value("PhysicalPerson", "Nihii", "Quality"), personID: value("PhysicalPerson", "Nihii", "Value"),
		personSSIN: value("PhysicalPerson", "Ssin"),
		orgQuality: value("Organization", "Nihii", "Quality"), orgID: value("Organization", "Nihii", "Value"),
	}
}

// optional is the text of an element that may be absent.
func optional(n *xmltree.Node) *string {
	if n == nil {
		return nil
	}
	t := textOf(n)
	return &t
}

func isTrueText(s string) bool {
	s = collapse(s)
	return s == "true" || s == "1"
}

// givenText is the text, "" when absent.
func givenText(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
