package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
)

// Stage says how far an attempt had come when it failed. The zero value is an
// unknown stage and counts as sent, unless the error itself proves that no
// connection was made.
type Stage uint8

// The stages, in order.
const (
	Dialing   Stage = iota + 1 // name lookup and connection
	Handshake                  // TLS, before the first byte of the request
	Writing                    // the request, not yet whole
	Written                    // the last byte was handed to the connection
	Reading                    // the answer, or what came of it
)

// String returns a lower-case English word.
func (s Stage) String() string {
	switch s {
	case Dialing:
		return "dialing"
	case Handshake:
		return "handshake"
	case Writing:
		return "writing"
	case Written:
		return "written"
	case Reading:
		return "reading"
	}
	return "unknown stage"
}

// Transport classifies an attempt that ended without an HTTP answer, or whose
// answer broke off. The outcome follows from the stage: a request that was not
// handed over whole was not carried out; from the last byte on it is Unknown.
// The Kind follows from the error:
//
//   - Canceled, when the caller's context was canceled;
//   - Security, for refused certificates and other failures of TLS: no other
//     endpoint may be tried silently;
//   - Timeout, for deadlines and whatever calls itself a timeout;
//   - Protocol, for an answer that is not HTTP;
//   - Local, for an address that does not parse;
//   - Unavailable, for everything else.
//
// A nil error is no failure: zero Kind, Done. Dossier 01 section E.3, 06
// section A.0.2.
func Transport(err error, stage Stage) (Kind, Outcome) {
	if err == nil {
		return 0, Done
	}
	return transportKind(err), transportOutcome(err, stage)
}

// TransportRule is Transport with advice: what was not sent may go to the same
// or another endpoint; what may have been sent only if it is a read. Nothing is
// repeated after Security, Canceled, Protocol and Local.
func TransportRule(err error, stage Stage) Rule {
	k, o := Transport(err, stage)
	r := Rule{Kind: k, Outcome: o}
	switch {
	case k == Security:
		r.Action = ActionCheckSecurity
	case k == Protocol || k == Local:
		r.MarkBad, r.Action = true, ActionFixEndpoint
	case !k.Temporary():
	case o == NotSent:
		r.Retry, r.Switch, r.Action = RetryWithBackoff, SwitchYes, ActionRetry
	default:
		r.Retry, r.Switch, r.Action = RetryReadsOnly, SwitchReadsOnly, ActionRetryReads
	}
	return r
}

func transportOutcome(err error, stage Stage) Outcome {
	switch stage {
	case Dialing, Handshake, Writing:
		return NotSent
	case Written, Reading:
		return Unknown
	}
	// The stage is not known. Only an error of the dialer proves something.
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return NotSent
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return NotSent
	}
	return Unknown
}

func transportKind(err error) Kind {
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case isTLS(err):
		return Security
	case isTimeout(err):
		return Timeout
	case isHTTPProtocol(err):
		return Protocol
	}
	if u, ok := errors.AsType[*url.Error](err); ok && u.Op == "parse" {
		return Local
	}
	return Unavailable
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

func isHTTPProtocol(err error) bool {
	return as[textproto.ProtocolError](err) || as[*http.MaxBytesError](err)
}

// isTLS reports failures of TLS itself, as opposed to connections that broke
// during the handshake. The alert "internal error" is not among them: servers
// send it when they are overloaded, and it proves nothing about who they are.
func isTLS(err error) bool {
	if errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	switch {
	case as[*tls.CertificateVerificationError](err), as[tls.RecordHeaderError](err), as[*tls.ECHRejectionError](err),
		as[x509.UnknownAuthorityError](err), as[x509.HostnameError](err), as[x509.CertificateInvalidError](err),
		as[x509.UnhandledCriticalExtension](err), as[x509.InsecureAlgorithmError](err), as[x509.ConstraintViolationError](err),
		as[x509.SystemRootsError](err):
		return true
	}
	if a, ok := errors.AsType[tls.AlertError](err); ok {
		return a != alertInternalError
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if isAlert(e) {
			return e.Error() != alertInternalError.Error()
		}
	}
	return false
}

const alertInternalError tls.AlertError = 80

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
