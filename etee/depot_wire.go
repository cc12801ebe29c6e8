package etee

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// ServiceDepot is the UDDI id of the ETK depot (dossier 02 A.3).
const ServiceDepot = "uddi:ehealth-fgov-be:business:etkdepot:v1"

const (
	nsDepot = "urn:be:fgov:ehealth:etkdepot:1_0:protocol"
	opDepot = "etee.GetEtk"

	// maxMatches bounds the tokens of one holder: applications times types.
	maxMatches = 32
)

// Codes of a [DepotError] (dossier 02 A.3).
const (
	NoMatchingETK      = "NO_MATCHING_ETK"
	InvalidNIHIINumber = "INVALID_NIHII_NUMBER"
	InvalidCBENumber   = "INVALID_CBE_NUMBER"
	InvalidSSINNumber  = "INVALID_SSIN_NUMBER"
)

// DepotError is the depot's answer that it has no token, or that the question is wrong.
type DepotError struct {
	// Code is one of the constants or another of the depot's; empty when the depot answered with a status alone, or with
	// nothing.
	Code string
	// Status is the code of the answer's Status; "200" in a good one.
	Status string
}

// Error shows code and status.
func (e *DepotError) Error() string {
	return "etee: ETK depot: " + safeCode(e.Code) + ", status " + safeCode(e.Status)
}

// SafeError is Error: it may be logged.
func (e *DepotError) SafeError() string { return e.Error() }

func (e *DepotError) kind() fault.Kind {
	switch {
	case e.Code == NoMatchingETK, e.Code == "" && e.Status == statusOK:
		return fault.NotFound
	case strings.HasPrefix(e.Code, "INVALID_"):
		return fault.Invalid
	}
	if k := statusKind(e.Status); k != 0 {
		return k
	}
	if e.Code == "" {
		return fault.NotFound // what the official connector makes of any other status
	}
	return fault.Invalid
}

const statusOK = "200"

// statusKind judges a status by the family of its code, 0 for one that tells nothing.
func statusKind(code string) fault.Kind {
	switch {
	case len(code) != 3:
		return 0
	case code == "401" || code == "403":
		return fault.Denied
	case code == "404":
		return fault.NotFound
	case code == "429":
		return fault.Throttled
	case code[0] == '4':
		return fault.Invalid
	case code[0] == '5':
		return fault.Unavailable
	}
	return 0
}

// safeCode lets a code of the platform into a text only when it looks like one.
func safeCode(s string) string {
	if s == "" || len(s) > 40 {
		return "?"
	}
	digits := 0
	for i := range len(s) {
		b := s[i]
		switch {
		case b >= '0' && b <= '9':
			digits++
		case b >= 'A' && b <= 'Z', b >= 'a' && b <= 'z', b == '_', b == '-', b == '.':
		default:
			return "?"
		}
	}
	if digits > 6 { // long enough to be somebody's number
		return "?"
	}
	return s
}

// question is an identifier as it goes over the wire.
type question struct {
	Identifier
	// emptyApplication sends an empty ApplicationID instead of none: the depot itself told so in a MatchingEtk, and
	// without it the answer would be the same list again.
	emptyApplication bool
}

func (q question) encode() ([]byte, error) {
	w := xmltree.NewWriter()
	w.Start("e", "GetEtkRequest")
	w.NS("e", nsDepot)
	w.Start("e", "SearchCriteria")
	w.Start("e", "Identifier")
	w.Leaf("e", "Type", string(q.Type))
	w.Leaf("e", "Value", q.Reveal())
	if q.Application != "" || q.emptyApplication {
		w.Leaf("e", "ApplicationID", q.Application)
	}
	w.End()
	w.End()
	w.End()
	return w.Bytes()
}

// depotAnswer is a GetEtkResponse.
type depotAnswer struct {
	status  string
	given   *question  // nil = not echoed
	etk     []byte     // base64; nil = absent
	matches []question // first identifier of each MatchingEtk
	code    string     // of the first Error
	failed  bool       // there is an Error
}

var (
	errAnswer = fault.AsSafe(errors.New("etee: answer is not what the schema says"))
	errOther  = fault.AsSafe(errors.New("etee: answer to another question"))
	errHolder = fault.AsSafe(errors.New("etee: token of another holder"))
)

// named finds children by local name whatever their namespace: Status is qualified and its children are not in the depot,
// and in the KGSS nothing of it is (dossier 02 A.3, C.2).
func named(n *xmltree.Node, local string) (out []*xmltree.Node) {
	if n == nil {
		return nil
	}
	for c := range n.Elements() {
		if c.Local() == local {
			out = append(out, c)
		}
	}
	return out
}

// leaf is the text of the only child of that name; "" when there is none.
func leaf(n *xmltree.Node, local string) (string, bool, error) {
	list := named(n, local)
	switch len(list) {
	case 0:
		return "", false, nil
	case 1:
		s, err := list[0].Text()
		if err != nil {
			return "", true, errAnswer
		}
		return strings.Clone(strings.TrimSpace(s)), true, nil
	}
	return "", true, errAnswer
}

// decodeStatus reads the code of the one Status.
func decodeStatus(n *xmltree.Node) (string, error) {
	list := named(n, "Status")
	if len(list) != 1 {
		return "", errAnswer
	}
	code, ok, err := leaf(list[0], "Code")
	if err != nil || !ok {
		return "", errAnswer
	}
	return code, nil
}

func decodeDepot(n *xmltree.Node) (*depotAnswer, error) {
	if n == nil || !n.Is(nsDepot, "GetEtkResponse") {
		return nil, errOther
	}
	a := &depotAnswer{}
	var err error
	if a.status, err = decodeStatus(n); err != nil {
		return nil, err
	}
	if list := named(n, "GivenSearchCriteria"); len(list) > 1 {
		return nil, errAnswer
	} else if len(list) == 1 {
		ids := named(list[0], "Identifier")
		if len(ids) != 1 { // we ask for one
			return nil, errOther
		}
		q, err := decodeIdentifier(ids[0])
		if err != nil {
			return nil, err
		}
		a.given = &q
	}
	if text, ok, err := leaf(n, "ETK"); err != nil {
		return nil, err
	} else if ok {
		a.etk = []byte(text)
	}
	matches := named(n, "MatchingEtk")
	if len(matches) > maxMatches {
		return nil, fmt.Errorf("%w: more than %d tokens", errAnswer, maxMatches)
	}
	for _, m := range matches {
		ids := named(m, "Identifier")
		if len(ids) == 0 {
			return nil, errAnswer
		}
		q, err := decodeIdentifier(ids[0])
		if err != nil {
			continue // nobody whom we could ask for; the others count
		}
		a.matches = append(a.matches, q)
	}
	failures := named(n, "Error")
	if len(failures) > 0 {
		a.failed = true
		if a.code, _, err = leaf(failures[0], "Code"); err != nil {
			return nil, err
		}
	}
	if a.etk != nil && (len(matches) > 0 || a.failed) || len(matches) > 0 && a.failed {
		return nil, errAnswer
	}
	return a, nil
}

func decodeIdentifier(n *xmltree.Node) (q question, err error) {
	var texts [3]string
	var have [3]bool
	for i, name := range [...]string{"Type", "Value", "ApplicationID"} {
		if texts[i], have[i], err = leaf(n, name); err != nil {
			return q, err
		}
	}
	q.Identifier, err = identifierFrom(texts[0], texts[1], texts[2])
	if err != nil {
		return q, errAnswer
	}
	q.emptyApplication = have[2] && texts[2] == ""
	return q, nil
}

// verdict returns why the answer holds no token; nil when it holds one, or a list.
func (a *depotAnswer) verdict() *DepotError {
	if !a.failed && a.status == statusOK && (a.etk != nil || a.matches != nil) {
		return nil
	}
	return &DepotError{Code: a.code, Status: a.status}
}

// correlate judges whether an answer is to this question. The schema has the question in every answer that says anything; a
// token is tied by its certificate as well, but for a person's that is found under the NIHII number. On behalf of whom a list is
// walked is looked at later.
func (q question) correlate(n *xmltree.Node) error {
	a, err := decodeDepot(n)
	switch {
	case errors.Is(err, errOther):
		return err
	case err != nil:
		return nil // reported as damaged; nothing of it is used
	case a.given != nil && a.given.Identifier != q.Identifier:
		return errOther
	case a.given == nil && (a.matches != nil || a.failed):
		return errOther
	case a.etk == nil:
		return nil
	}
	k, err := ParseETKBase64(a.etk)
	if err != nil {
		return nil // reported as damaged
	}
	s, err := k.Holder()
	switch {
	case err != nil || !q.holds(s):
		return errHolder
	case a.given == nil && s.Type != q.Type: // any person's token holds for any NIHII number
		return errOther
	}
	return nil
}

// plain is the security of messages without any: the depot's, and the requests for new keys, which are sealed themselves.
type plain struct{}

func (plain) Secure(_ context.Context, body []byte) ([]byte, error) { return soap.Envelope(nil, body) }

func (plain) Refused(context.Context, *fault.Error) bool { return false }

var _ exchange.Security = plain{}
