package exchange

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/soap"
)

// Notices of dossier 06 part D that this layer decides on.
const (
	noticeWrong  = "D-WRONG"
	noticeUnsure = "D-UNSURE"
	noticeKey    = "D-KEY"
	noticeClock  = "D-CLOCK"
	noticeDown   = "D-DOWN"
)

// Fault is the cause of an error that a SOAP fault reported. Its text is the fault's code
// only: what else stands in a fault may be about a person.
type Fault struct{ *soap.Fault }

// Error returns the code of the fault.
func (f *Fault) Error() string {
	if f.SOA != nil {
		return "SOAP fault " + f.SOA.Code
	}
	return "SOAP fault " + f.FaultCode
}

// SafeError is Error: a code holds no personal data.
func (f *Fault) SafeError() string { return f.Error() }

// SkewError says that this computer's clock and the platform's differ, as seen in the Date
// header of a refusal.
type SkewError struct{ Skew time.Duration } // positive: our clock is ahead

// Error names the difference in whole minutes.
func (e *SkewError) Error() string {
	return fmt.Sprintf("this computer's clock is off by %d minutes", int(e.Skew.Round(time.Minute).Minutes()))
}

// Minutes is the difference in whole minutes, without its sign.
func (e *SkewError) Minutes() int { return int(e.Skew.Abs().Round(time.Minute).Minutes()) }

// SafeError is Error.
func (e *SkewError) SafeError() string { return e.Error() }

// soapFault classifies a fault: by the platform's own detail (dossier 01 E.2), else by the
// standard code of WS-Security or WS-Trust (dossier 01 A.10), else as unknown.
func soapFault(fe *fault.Error, f *soap.Fault, h http.Header) *failure {
	var e *fault.Error
	var r fault.Rule
	switch standard, ok := fault.FaultCode(f.FaultCode); {
	case f.SOA != nil:
		e, r = fault.FromSOA(fault.SOAFault{Business: f.SOA.Business, ID: f.SOA.ID, Code: f.SOA.Code, Message: text(f.SOA.Messages), Retry: f.SOA.Retry})
	case fault.IsSOA(f.FaultString):
		e, r = fault.FromSOA(fault.SOAFault{Code: f.FaultString})
	case ok && f.FaultSpace != soap.NS:
		r = standard
		e = &fault.Error{Kind: r.Kind, Outcome: r.Outcome, Code: f.FaultCode, Message: f.FaultString}
	default:
		r = fault.SOA("SOA-00001", nil).Rule
		e = &fault.Error{Kind: r.Kind, Outcome: r.Outcome, Code: f.FaultCode, Message: f.FaultString}
	}
	e.Op, e.Service, e.Endpoint, e.Err = fe.Op, fe.Service, fe.Endpoint, &Fault{f}
	if d, ok := fault.ParseRetryAfter(h.Get("Retry-After"), time.Now()); ok {
		e.RetryAfter = d
	}
	if r.CheckClock {
		if skew, ok := clockSkew(h, time.Now()); ok && skew.Abs() > ClockSkew {
			e.Notice, e.Err = noticeClock, errors.Join(&SkewError{skew}, e.Err)
		}
	}
	return &failure{Fault: e, Rule: r}
}

// text picks the English message, else the first one.
func text(all []soap.Text) string {
	for _, m := range all {
		if m.Lang == "en" || m.Lang == "EN" {
			return m.Value
		}
	}
	if len(all) > 0 {
		return all[0].Value
	}
	return ""
}

// clockSkew compares our clock with the platform's Date header, which has a resolution of a
// second. ok is false when there is no such header.
func clockSkew(h http.Header, now time.Time) (time.Duration, bool) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, false
	}
	return now.Sub(date).Truncate(time.Second), true
}

// doubt makes of a refusal because the service is not available one of which nobody knows: it may come from behind the
// gateway, and does not show from where.
func doubt(f *failure) {
	if f.Rule.Outcome != fault.Rejected || f.Rule.Kind != fault.Unavailable && f.Rule.Kind != fault.Throttled {
		return
	}
	f.Rule.Outcome, f.Rule.Retry, f.Rule.Switch = fault.Unknown, fault.RetryNo, fault.SwitchNo
	f.Fault.Outcome = fault.Unknown
}
