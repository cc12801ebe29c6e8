// Package fault is the vocabulary of failure: what went wrong, and above all
// whether the request may have been carried out.
//
// Every failed call of this module ends in an [*Error]. Three of its fields
// drive decisions:
//
//   - [Kind] says what to do about it: correct the input, renew a right, wait,
//     call the helpdesk.
//   - [Outcome] says what is known about the request. [NotSent] and [Rejected]
//     mean that it was not carried out. [Unknown] means that it was sent and no
//     usable answer came: a question may be asked again, a write must first be
//     looked up. [Done] means that it was carried out although the call failed
//     afterwards.
//   - Notice names the text to show to the person, in four languages.
//
// Programs ask with errors.Is and errors.As:
//
//	switch {
//	case errors.Is(err, fault.ErrUnknownOutcome):
//		// never send a write again before it was looked up
//	case errors.Is(err, fault.ErrDenied):
//		// a right is missing: no retry
//	case errors.Is(err, fault.ErrUnavailable), errors.Is(err, fault.ErrTimeout):
//		// not our mistake: stored answer, queue or paper
//	}
//
// # Where the classification comes from
//
// [SOA] is the table of the platform's fault codes, [FaultCode] that of
// WS-Security and WS-Trust, [HTTPStatus] judges answers without a SOAP body and
// [Transport] what never became an answer. They return a [Rule], which is data:
// this package retries nothing itself.
//
// # Personal data
//
// Message comes from a server and Err from anywhere, so both may name a
// patient. Error, LogValue, MarshalJSON and all verbs of package fmt print
// neither. Of Err they print what is known to be safe: errors of the network,
// TLS and context packages by their fixed texts, and errors that implement
// [Safe]; of others only the type. Endpoint is printed without user name, query
// and fragment, and any eleven digits with the check digits of an SSIN are
// masked wherever they stand. Message and Err stay available to code that asks
// for them. What Go does not let an error prevent: a struct that hides an *Error
// in an unexported field must be printed with %v, %+v or %#v; for verbs that do
// not fit a pointer, such as %s, package fmt walks through the hidden fields.
package fault
