package notice

import "time"

// Recovered is D-OK: svc works again since a time.
func Recovered(svc Service, since time.Time) Notice {
	return of(IDOK, Params{Service: svc, Time: since})
}

// Slow is D-SLOW: svc is slow; one can carry on.
func Slow(svc Service) Notice { return of(IDSlow, Params{Service: svc}) }

// Down is D-DOWN: svc has not answered since a time, zero = not known, and the fault is not on this computer. Use
// OwnNetwork when it is.
func Down(svc Service, since time.Time) Notice {
	return of(IDDown, Params{Service: svc, Time: since})
}

// OwnNetwork is D-NET: the internet connection does not work.
func OwnNetwork() Notice { return of(IDNet, Params{}) }

// Expected is D-ETA: eHealth itself gave a time at which svc will be back. Never use it with an
// estimate of ours.
func Expected(svc Service, at time.Time) Notice {
	return of(IDETA, Params{Service: svc, Time: at})
}

// NoTimeKnown is D-NOETA: no time of recovery is known; the last check was at a time.
func NoTimeKnown(lastCheck time.Time) Notice { return of(IDNoETA, Params{Time: lastCheck}) }

// Planned is D-PLAN: svc will be unavailable from an instant on, for planned work.
func Planned(svc Service, from time.Time) Notice {
	return of(IDPlan, Params{Service: svc, Time: from, Date: from})
}

// LoginFallback is D-AUTH-FALLBACK: eID or itsme fails, the eHealth certificate would do.
func LoginFallback() Notice { return of(IDAuthFallback, Params{}) }

// LoginFallbackUsed is D-AUTH-USED: logged in with the eHealth certificate until a time.
func LoginFallbackUsed(until time.Time) Notice { return of(IDAuthUsed, Params{Time: until}) }

// SessionKept is D-AUTH-KEPT: the login service is down, the session stays valid until a time.
func SessionKept(until time.Time) Notice { return of(IDAuthKept, Params{Time: until}) }

// SessionEnds is D-AUTH-UNTIL: the session ends at a time and cannot be renewed yet. It is shown
// 30 minutes before.
func SessionEnds(at time.Time) Notice { return of(IDAuthUntil, Params{Time: at}) }

// NoSession is D-AUTH-NONE: login is not possible now; work is kept.
func NoSession() Notice { return of(IDAuthNone, Params{}) }

// GroupRefusal is D-AUTH-GROUP: eHealth refuses many users at once; rights have not changed.
func GroupRefusal() Notice { return of(IDAuthGroup, Params{}) }

// ClockWrong is D-CLOCK: the clock of this computer is wrong by some minutes. The sign does not
// matter; less than half a minute counts as not known, and then the text names no number.
func ClockWrong(by time.Duration) Notice {
	return of(IDClock, Params{N: int(by.Abs().Round(time.Minute) / time.Minute)})
}

// InsuranceDirect is D-INS-DIRECT: insurability was checked over the second path.
func InsuranceDirect() Notice { return of(IDInsDirect, Params{}) }

// InsuranceStored is D-INS-CACHED: insurability as stored on a day, so many days ago. guaranteed
// may be true only when the stored answer was positive and the procedure of the profession gives
// a payment guarantee (dossier 06 B.4.2: pharmacists, guard posts, GPs); otherwise the text does
// not speak of payment.
func InsuranceStored(checked time.Time, days int, guaranteed bool) Notice {
	return of(IDInsCached, Params{Date: checked, N: days, Guaranteed: guaranteed})
}

// InsuranceUnknown is D-INS-UNKNOWN: no usable answer; the patient's word, or Annex 30.
func InsuranceUnknown() Notice { return of(IDInsUnknown, Params{}) }

// PrescriptionPaper is D-RX-PAPER: the electronic prescription was not created.
func PrescriptionPaper() Notice { return of(IDRxPaper, Params{}) }

// PrescriptionPrint is D-RX-PRINT: created, but the service is unstable: print the proof.
func PrescriptionPrint() Notice { return of(IDRxPrint, Params{}) }

// PrescriptionProof is D-RX-PROOF: retrieval is impossible; dispense on the paper proof.
func PrescriptionProof() Notice { return of(IDRxProof, Params{}) }

// PrescriptionsPending is D-RX-LATER: n prescriptions are still to be confirmed with Recip-e.
func PrescriptionsPending(n int) Notice { return of(IDRxLater, Params{N: n}) }

// PrescriptionTwice is D-RX-TWICE: the prescription was already dispensed elsewhere on a day; the zero day is not known.
func PrescriptionTwice(prescription string, on time.Time) Notice {
	return of(IDRxTwice, Params{Prescription: prescription, Date: on})
}

// MessagesQueued is D-MSG-QUEUED: n messages wait for eHealthBox.
func MessagesQueued(n int) Notice { return of(IDMsgQueued, Params{N: n}) }

// MessageSetAside is D-MSG-BAD: one message could not be opened, all others are available.
func MessageSetAside() Notice { return of(IDMsgBad, Params{}) }

// Unsure is D-UNSURE: not known whether it was received; do not send it again.
func Unsure() Notice { return of(IDUnsure, Params{}) }

// Received is D-SURE-YES: found out that it was received at a time.
func Received(at time.Time) Notice { return of(IDSureYes, Params{Time: at}) }

// NotReceived is D-SURE-NO: found out that it was not received, and it is sent again now; for a
// prescription it is D-RX-PAPER, since those are never sent again by themselves.
func NotReceived(op Operation) Notice { return of(IDSureNo, Params{}).For(op) }

// AttestsToday is D-ATT-TODAY: n attests must leave before midnight.
func AttestsToday(n int) Notice { return of(IDAttToday, Params{N: n}) }

// Expired is D-EXPIRED: an item could not be sent in time, which ended on a day.
func Expired(on time.Time) Notice { return of(IDExpired, Params{Date: on}) }

// Draining is D-DRAIN: svc is back, n waiting items are being sent, and it takes about so long.
func Draining(svc Service, n int, left time.Duration) Notice {
	return of(IDDrain, Params{Service: svc, N: n, Duration: left})
}

// WrongAnswer is D-WRONG: an answer to another question was dropped, and the question is asked
// again; for anything sent it is D-UNSURE.
func WrongAnswer(op Operation) Notice { return of(IDWrong, Params{}).For(op) }

// KeyProblem is D-KEY: no secure connection with svc, and nothing was sent. ticket is what the
// helpdesk needs, "" when there is none.
func KeyProblem(svc Service, ticket string) Notice {
	return of(IDKey, Params{Service: svc, Ticket: ticket})
}

// CertificateExpires is D-CERT-SOON: the person's own certificate expires on a day.
func CertificateExpires(on time.Time) Notice { return of(IDCertSoon, Params{Date: on}) }
