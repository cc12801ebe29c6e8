package sts

import (
	"errors"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

// Ids of what to tell the person (dossier 06, part D).
const (
	noticeNoLogin = "D-AUTH-NONE" // no session possible
	noticeClock   = "D-CLOCK"     // the computer's clock is wrong
	noticeKey     = "D-KEY"       // a key or certificate does not do
	noticeWrong   = "D-WRONG"     // an answer to somebody else's question
)

// reason is an error that is one fixed text, and so may be printed.
type reason string

func (r reason) Error() string { return string(r) }

// SafeError implements fault.Safe.
func (r reason) SafeError() string { return string(r) }

// Codes of the platform (dossier 01 E.2).
const (
	codeUnauthenticated = "SOA-01001"
	codeUnauthorised    = "SOA-01002"
)

// code is a faultcode.
type code struct{ space, local string }

// meaning is what a fault code of the STS means for the caller. All of them are refusals:
// nothing was issued, and the same request must not be sent again (dossier 01 A.10), except
// after the clock was corrected.
type meaning struct {
	kind   fault.Kind
	notice string
}

// faultTable holds the fault codes of WS-Trust 1.3 section 11 and of WS-Security 1.0
// section 12, as listed in dossier 01 A.10. No real fault of the platform's STS is public; the
// platform's own SOA codes are in the table of package fault.
var faultTable = map[code]meaning{
	{nsTrust, "InvalidRequest"}:            {fault.Invalid, ""},
	{nsTrust, "FailedAuthentication"}:      {fault.Denied, noticeNoLogin},
	{nsTrust, "RequestFailed"}:             {fault.Denied, noticeNoLogin},
	{nsTrust, "InvalidSecurityToken"}:      {fault.Denied, noticeNoLogin},
	{nsTrust, "AuthenticationBadElements"}: {fault.Invalid, ""},
	{nsTrust, "BadRequest"}:                {fault.Invalid, ""},
	{nsTrust, "ExpiredData"}:               {fault.Denied, noticeNoLogin},
	{nsTrust, "InvalidTimeRange"}:          {fault.Denied, noticeClock},
	{nsTrust, "InvalidScope"}:              {fault.Invalid, ""},
	{nsTrust, "RenewNeeded"}:               {fault.Denied, noticeNoLogin},
	{nsTrust, "UnableToRenew"}:             {fault.Denied, noticeNoLogin},

	{wsse.NSWSSE, "FailedAuthentication"}:     {fault.Denied, noticeNoLogin},
	{wsse.NSWSSE, "InvalidSecurity"}:          {fault.Denied, noticeKey},
	{wsse.NSWSSE, "InvalidSecurityToken"}:     {fault.Denied, noticeKey},
	{wsse.NSWSSE, "SecurityTokenUnavailable"}: {fault.Denied, noticeKey},
	{wsse.NSWSSE, "FailedCheck"}:              {fault.Denied, noticeKey},
	{wsse.NSWSSE, "UnsupportedSecurityToken"}: {fault.Invalid, noticeKey},
	{wsse.NSWSSE, "UnsupportedAlgorithm"}:     {fault.Invalid, noticeKey},

	{wsse.NSWSU, "MessageExpired"}: {fault.Denied, noticeClock},
}

// lookup finds the meaning of a fault code. A code whose prefix is bound to nothing is matched
// by its local name, because servers do forget the declaration.
func lookup(c code) (meaning, bool) {
	if m, ok := faultTable[c]; ok || c.space != "" {
		return m, ok
	}
	for _, space := range []string{nsTrust, wsse.NSWSSE, wsse.NSWSU} {
		if m, ok := faultTable[code{space, c.local}]; ok {
			return m, true
		}
	}
	return meaning{}, false
}

// explain returns err, an error of the exchange, with what the STS's own fault codes say
// and with a notice for every refusal.
func explain(err error) error {
	fe, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	out := *fe
	if f, ok := errors.AsType[*exchange.Fault](err); ok && f.Fault.SOA == nil {
		if m, ok := lookup(code{f.Fault.FaultSpace, f.Fault.FaultCode}); ok {
			out.Kind = m.kind
			if out.Notice == "" {
				out.Notice = m.notice
			}
		}
	}
	if out.Kind == fault.Denied && out.Notice == "" {
		// SOA-01001 at the STS means that the certificate failed, not a token: there is
		// nothing to renew (dossier 01 A.10).
		out.Notice = noticeNoLogin
	}
	return &out
}
