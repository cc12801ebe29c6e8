package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"syscall"
)

// Safe is implemented by errors whose text is free of personal data and may be
// printed as part of an [Error].
type Safe interface {
	error
	// SafeError returns the text to print.
	SafeError() string
}

// AsSafe wraps err so that its whole text is printed. The caller vouches that
// it holds no personal data, which is a rule for the errors of this module's
// wire packages and a gamble for all others. nil stays nil.
func AsSafe(err error) error {
	if err == nil {
		return nil
	}
	return vouched{err}
}

type vouched struct{ err error }

func (v vouched) Error() string     { return v.err.Error() }
func (v vouched) SafeError() string { return v.err.Error() }
func (v vouched) Unwrap() error     { return v.err }

// maxCause bounds how deep a chain of causes is followed, and maxText how long
// a vouched text may be.
const (
	maxCause = 16
	maxText  = 400
	maxToken = 80
)

// fixedTexts are values of the standard library whose text is a constant.
var fixedTexts = []error{
	context.DeadlineExceeded, context.Canceled,
	io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, io.ErrShortWrite, io.ErrNoProgress,
	net.ErrClosed, os.ErrDeadlineExceeded,
	fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrInvalid,
	http.ErrSchemeMismatch, http.ErrServerClosed, http.ErrBodyReadAfterClose,
}

// cause renders err as far as it is known to be safe.
func cause(err error) string { return causeAt(err, maxCause) }

func causeAt(err error, depth int) string {
	if err == nil || depth == 0 {
		return ""
	}
	if s, ok := err.(Safe); ok {
		return clip(safeText(s))
	}
	if s := wellKnown(err, depth); s != "" {
		return s
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		if s := causeAt(u.Unwrap(), depth-1); s != "" {
			return s
		}
	case interface{ Unwrap() []error }:
		return joined(u.Unwrap(), depth)
	}
	return fmt.Sprintf("%T", err)
}

// safeText survives a SafeError method that panics, such as one of a nil pointer.
func safeText(s Safe) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("%T", s)
		}
	}()
	return s.SafeError()
}

func joined(errs []error, depth int) string {
	const most = 4
	var parts []string
	for i, e := range errs {
		if i == most {
			parts = append(parts, "…")
			break
		}
		if s := causeAt(e, depth-1); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "; ")
}

// wellKnown renders errors of the standard library by what is fixed in them:
// never by a name, address, path or text that came from outside.
func wellKnown(err error, depth int) string {
	for _, f := range fixedTexts {
		if err == f { //nolint:errorlint // the value itself: a wrapper has a text of its own
			return f.Error()
		}
	}
	switch e := err.(type) { //nolint:errorlint // as above
	case *url.Error:
		return causeAt(e.Err, depth-1)
	case *net.OpError:
		return prefixed(e.Op, causeAt(e.Err, depth-1))
	case *net.DNSError:
		return dnsText(e)
	case *os.SyscallError:
		return prefixed(e.Syscall, causeAt(e.Err, depth-1))
	case *fs.PathError:
		return prefixed(e.Op, causeAt(e.Err, depth-1))
	case *os.LinkError:
		return prefixed(e.Op, causeAt(e.Err, depth-1))
	case syscall.Errno:
		return e.Error()
	case tls.AlertError:
		return e.Error()
	}
	return certificateText(err)
}

// certificateText renders refused certificates: the reason without the names
// that stand in the certificate.
func certificateText(err error) string {
	switch e := err.(type) { //nolint:errorlint // see wellKnown
	case x509.UnknownAuthorityError:
		return "certificate signed by an unknown authority"
	case x509.HostnameError:
		return "certificate is for another host"
	case x509.CertificateInvalidError:
		return invalidCertificate(e.Reason)
	case x509.UnhandledCriticalExtension:
		return "certificate with an unhandled critical extension"
	case x509.InsecureAlgorithmError:
		return "certificate signed with an insecure algorithm"
	case x509.ConstraintViolationError:
		return "certificate violates a constraint"
	case x509.SystemRootsError:
		return "no system roots"
	case tls.RecordHeaderError, *tls.RecordHeaderError:
		return "answer is not TLS"
	}
	if isAlert(err) {
		return err.Error()
	}
	return ""
}

// isAlert recognises the TLS alert that crypto/tls does not export. Its texts
// are constants.
func isAlert(err error) bool {
	t := reflect.TypeOf(err)
	return t != nil && t.PkgPath() == "crypto/tls" && t.Name() == "alert"
}

func invalidCertificate(r x509.InvalidReason) string {
	switch r {
	case x509.Expired:
		return "certificate expired or not yet valid"
	case x509.NotAuthorizedToSign:
		return "certificate signed by one that may not sign"
	case x509.IncompatibleUsage:
		return "certificate for another usage"
	case x509.NameMismatch:
		return "certificate issuer does not match"
	case x509.TooManyIntermediates:
		return "certificate chain too long"
	}
	return "certificate not valid"
}

func dnsText(e *net.DNSError) string {
	switch {
	case e.IsNotFound:
		return "dns: no such host"
	case e.IsTimeout:
		return "dns: timeout"
	}
	return "dns: lookup failed"
}

// prefixed puts the name of an operation before a text; names that are not made
// of one plain word are left out.
func prefixed(op, text string) string {
	switch op {
	case "remote error", "local error": // TLS alerts, the only ones with a space
	default:
		if op = token(op); strings.HasPrefix(op, "(") {
			op = ""
		}
	}
	if op == "" || text == "" {
		return op + text
	}
	return op + ": " + text
}

// endpoint keeps host and path of a URL; "" when there is no host.
func endpoint(raw string) string {
	if raw == "" || len(raw) > 2048 {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return printable(u.Host + u.EscapedPath())
}

// token keeps codes and tickets that look like such; a server may have put
// anything there.
func token(s string) string {
	if len(s) > maxToken {
		return "(too long)"
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("-_.:/+#{}", c) >= 0:
		default:
			return "(not printable)"
		}
	}
	return s
}

// printable replaces control characters and other line breakers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return '?'
		}
		return r
	}, s)
}

func clip(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return printable(s)
}

// mask replaces every run of exactly eleven digits that has the check digits
// of an SSIN, also when written as 85.07.31-997.04. It is the last net: nothing
// that reaches it should hold one.
func mask(s string) string {
	var out []byte
	for i := 0; i < len(s); {
		n := ssinAt(s, i)
		if n == 0 {
			if out != nil {
				out = append(out, s[i])
			}
			i++
			continue
		}
		if out == nil {
			out = append(make([]byte, 0, len(s)), s[:i]...)
		}
		out = append(out, "[masked]"...)
		i += n
	}
	if out == nil {
		return s
	}
	return string(out)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// ssinAt returns the length of the SSIN that starts at s[i], 0 when none does.
func ssinAt(s string, i int) int {
	if !isDigit(s[i]) || i > 0 && isDigit(s[i-1]) {
		return 0
	}
	var d [11]byte
	n, j := 0, i
	for ; j < len(s) && n < len(d); j++ {
		switch c := s[j]; {
		case isDigit(c):
			d[n] = c - '0'
			n++
		case (c == '.' || c == '-' || c == ' ') && isDigit(s[j-1]):
		default:
			return 0
		}
	}
	if n < len(d) || j < len(s) && isDigit(s[j]) || !ssinCheck(d) {
		return 0
	}
	return j - i
}

func ssinCheck(d [11]byte) bool {
	rest := 0
	for _, c := range d[:9] {
		rest = (rest*10 + int(c)) % 97
	}
	check := int(d[9])*10 + int(d[10])
	return check == 97-rest || check == 97-(rest+68)%97 // 68 = 2*10^9 mod 97, born from 2000 on
}
