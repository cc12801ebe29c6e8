package fault

import (
	"slices"
	"strings"
)

// SOARule is one row of the table of the platform's fault codes.
type SOARule struct {
	Rule
	Code    string
	Origin  string // who is at fault as the platform says: "Consumer", "Provider" or "unknown"
	Meaning string // short English description
	Known   bool   // false: not in the table, judged by its family
}

// soaTable is dossier 01 section E.2. The outcome follows from where the codes
// are produced: 01xxx, 02001, 02002 and 03xxx by the gateway, before or instead
// of the call to the service; SOA-00001 by anything.
//
// The official connector switches endpoints on 01001 and 01002 too. A refused
// token is refused everywhere, so we do not (dossier 01 section I).
var soaTable = []SOARule{
	soaRow("SOA-00001", "unknown", "general service error", Rule{
		Kind: Unavailable, Outcome: Unknown, Retry: RetryReadsOnly, Switch: SwitchAfterRepeat, Action: ActionRetryReads,
	}),
	soaRow("SOA-01001", "Consumer", "call not authenticated", Rule{
		Kind: Denied, Outcome: Rejected, DropToken: true, CheckClock: true, Action: ActionRenewToken,
	}),
	soaRow("SOA-01002", "Consumer", "call not authorised", Rule{
		Kind: Denied, Outcome: Rejected, Action: ActionAskRight,
	}),
	soaRow("SOA-02001", "Provider", "service not available", Rule{
		Kind: Unavailable, Outcome: Rejected, Switch: SwitchYes, Action: ActionSwitch,
	}),
	soaRow("SOA-02002", "Provider", "service temporarily not available", Rule{
		Kind: Unavailable, Outcome: Rejected, Retry: RetryWithBackoff, Switch: SwitchAfterRepeat, Action: ActionRetry,
	}),
	soaRow("SOA-03001", "Consumer", "malformed message", fixRequest),
	soaRow("SOA-03002", "Consumer", "message is not SOAP", fixRequest),
	soaRow("SOA-03003", "Consumer", "message without a SOAP body", fixRequest),
	soaRow("SOA-03004", "Consumer", "message does not comply with WS-I", fixRequest),
	soaRow("SOA-03005", "Consumer", "message does not comply with the WSDL", fixRequest),
	soaRow("SOA-03006", "Consumer", "message does not comply with the XSD", fixRequest),
	soaRow("SOA-03007", "Consumer", "content of the message failed validation", fixRequest),
}

var fixRequest = Rule{Kind: Invalid, Outcome: Rejected, Action: ActionFixRequest}

func soaRow(code, origin, meaning string, r Rule) SOARule {
	return SOARule{Rule: r, Code: code, Origin: origin, Meaning: meaning, Known: true}
}

// SOATable returns a copy of the table, in the order of the codes.
func SOATable() []SOARule { return slices.Clone(soaTable) }

// SOA returns the rule of a fault code. retry is the fault's Retry element, nil
// when absent; it outranks the table (dossier 01 section E.1):
//
//   - true: the same endpoint may be asked again with backoff. The outcome stays
//     what the table says, because the element does not say that nothing was done.
//   - false: the same endpoint is not asked again. Where the table wanted a
//     repeat before switching and the request was certainly not carried out, the
//     switch comes at once.
//
// A code that is not in the table gets the Kind of its family (01 Denied, 02
// Unavailable, 03 Invalid, else Unavailable) and the outcome Unknown, because
// nothing is known about where it was produced. So does a fault without a code.
func SOA(code string, retry *bool) SOARule {
	code = strings.TrimSpace(code)
	r := soaLookup(code)
	if retry == nil {
		return r
	}
	if *retry {
		r.Retry = RetryWithBackoff
		return r
	}
	r.Retry = RetryNo
	if r.Switch == SwitchAfterRepeat && r.Outcome == Rejected {
		r.Switch = SwitchYes
	}
	return r
}

func soaLookup(code string) SOARule {
	for _, r := range soaTable {
		if r.Code == code {
			return r
		}
	}
	r := SOARule{Code: code, Origin: "unknown", Meaning: "code not in the table"}
	switch {
	case strings.HasPrefix(code, "SOA-01"):
		r.Rule = Rule{Kind: Denied, Action: ActionAskRight}
	case strings.HasPrefix(code, "SOA-03"):
		r.Rule = Rule{Kind: Invalid, Action: ActionFixRequest}
	default:
		r.Rule = soaTable[0].Rule
	}
	return r
}

// IsSOA reports whether a code has the form of the platform's fault codes.
func IsSOA(code string) bool { return strings.HasPrefix(strings.TrimSpace(code), "SOA-") }

// SOAFault is what FromSOA needs of the detail of a SOAP fault.
type SOAFault struct {
	Business bool   // BusinessError: a functional refusal; false: SystemError
	ID       string // ticket
	Code     string
	Message  string // in the preferred language
	Retry    *bool  // nil: element absent
}

// FromSOA classifies the SystemError or BusinessError of a fault. A
// BusinessError whose code is not one of the platform's is a functional
// refusal: Invalid, Rejected, no retry and no switch unless Retry says so.
func FromSOA(f SOAFault) (*Error, Rule) {
	var r Rule
	if f.Business && !IsSOA(f.Code) {
		r = fixRequest
		if f.Retry != nil && *f.Retry {
			r.Retry = RetryWithBackoff
		}
	} else {
		r = SOA(f.Code, f.Retry).Rule
	}
	e := r.Error(nil)
	e.Code, e.Ticket, e.Message = strings.TrimSpace(f.Code), strings.TrimSpace(f.ID), f.Message
	return e, r
}

// FaultCode classifies the fault codes of WS-Security and WS-Trust, given as
// local name or with a prefix; ok is false for others, such as Server or
// Client. None of them may be sent again unchanged: a refused token is replaced
// once, a message that was too old is sent again once the clock is right.
// Dossier 01 section A.10, 04 section 13.2.
func FaultCode(code string) (r Rule, ok bool) {
	code = strings.TrimSpace(code)
	if i := strings.LastIndexByte(code, ':'); i >= 0 {
		code = code[i+1:]
	}
	switch code {
	case "MessageExpired", "InvalidTimeRange", "ExpiredData":
		return Rule{Kind: Denied, Outcome: Rejected, CheckClock: true, Action: ActionFixClock}, true
	case "FailedAuthentication", "InvalidSecurity", "InvalidSecurityToken", "SecurityTokenUnavailable", "FailedCheck", "RenewNeeded":
		return Rule{Kind: Denied, Outcome: Rejected, DropToken: true, CheckClock: true, Action: ActionRenewToken}, true
	case "InvalidRequest", "BadRequest", "AuthenticationBadElements", "InvalidScope", "UnsupportedSecurityToken", "UnsupportedAlgorithm":
		return fixRequest, true
	case "RequestFailed", "UnableToRenew":
		return Rule{Kind: Denied, Outcome: Rejected, Action: ActionAskRight}, true
	}
	return Rule{}, false
}
