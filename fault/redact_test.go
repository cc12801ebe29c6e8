package fault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What must never be printed. All synthetic.
const (
	ssin   = "85073199704"
	name   = "Janssens-Peeters"
	bearer = "eyJhbGciOiJSUzI1NiJ9.secret"
	pass   = "correct horse battery"
)

var personal = []string{ssin, "85.07.31-997.04", "15073199817", name, bearer, pass, "patient"}

type odd struct{ who string }

func (o odd) Error() string { return "patient " + o.who }

type panics struct{}

func (*panics) Error() string     { return "patient " + name }
func (*panics) SafeError() string { panic("patient " + name) }

// causes are errors that carry personal data in every place where one can.
func causes() []error {
	leak := "patient " + name + " " + ssin
	return []error{
		errors.New(leak),
		fmt.Errorf("%s: %w", leak, io.EOF),
		fmt.Errorf("%s: %w", leak, errors.New(leak)),
		odd{ssin},
		&odd{ssin},
		errors.Join(errors.New(leak), io.ErrUnexpectedEOF, odd{ssin}, errors.New(leak), errors.New(leak), errors.New(leak)),
		&url.Error{Op: "Post " + leak, URL: "https://u:" + pass + "@h/" + ssin + "?q=" + name, Err: errors.New(leak)},
		&net.OpError{Op: "dial", Net: leak, Err: errors.New(leak)},
		&net.OpError{Op: leak, Err: syscall.ECONNREFUSED},
		&net.DNSError{Err: leak, Name: name + ".example", Server: leak},
		&fs.PathError{Op: "open", Path: "/home/" + name + "/" + ssin, Err: fs.ErrNotExist},
		&os.LinkError{Op: "rename", Old: name, New: ssin, Err: errors.New(leak)},
		&os.SyscallError{Syscall: leak, Err: syscall.EIO},
		x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{name}}, Host: name},
		x509.UnknownAuthorityError{Cert: &x509.Certificate{}},
		x509.CertificateInvalidError{Reason: x509.CANotAuthorizedForThisName, Detail: leak},
		&tls.CertificateVerificationError{Err: errors.New(leak)},
		tls.RecordHeaderError{Msg: leak},
		&json.UnmarshalTypeError{Value: leak, Field: name},
		&panics{},
		(*panics)(nil),
		AsSafe(errors.New("reference " + ssin + " is not signed")), // vouched for, and still masked
		&Error{Op: "sts.Issue", Message: leak, Err: errors.New(leak)},
		vouchedCopy(leak),
	}
}

// vouchedCopy nests a leaking error under several wrappers.
func vouchedCopy(leak string) error {
	err := errors.New(leak)
	for range 40 {
		err = fmt.Errorf("%s %w", leak, err)
	}
	return err
}

func errorWith(err error) *Error {
	leak := "patient " + name + " " + ssin
	return &Error{
		Op: "insurability.Check", Service: "genericinsurability", Kind: Unavailable, Outcome: Unknown, Attempts: 2,
		Endpoint: "https://user:" + pass + "@services.example:8443/a/" + ssin + "?patient=" + name + "#" + bearer,
		Ticket:   "T " + leak, Code: leak, Message: leak, RetryAfter: time.Second, Notice: leak, Err: err,
	}
}

func renderings(e *Error) map[string]string {
	out := map[string]string{"Error": e.Error(), "SafeError": e.SafeError()}
	all := []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%T", "%t", "%5.1f"}
	// For the last shapes, fmt finds no method to call and prints pointers, but
	// follows them for verbs that do not fit a pointer (see the package comment).
	fitting := []string{"%v", "%+v", "%#v", "%d", "%x", "%X", "%T"}
	for _, shape := range []struct {
		label string
		v     any
		verbs []string
	}{
		{"pointer", e, all},
		{"value", *e, all},
		{"slice", []error{e}, all},
		{"field", struct{ E error }{e}, all},
		{"map", map[string]error{"e": e}, all},
		{"hidden", struct{ e error }{e}, fitting},
		{"hidden pointer", struct{ e *Error }{e}, fitting},
		{"wrapped", fmt.Errorf("x: %w", e), []string{"%v", "%+v", "%#v", "%d", "%x", "%X", "%T", "%s", "%q"}},
		{"joined", errors.Join(e, e), []string{"%v", "%+v", "%#v", "%d", "%x", "%X", "%T", "%s", "%q"}},
		{"cause of another", &Error{Kind: Local, Err: e}, all},
	} {
		label, v := shape.label, shape.v
		for _, verb := range shape.verbs {
			out[label+" "+verb] = fmt.Sprintf(verb, v)
		}
		var buf bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&buf, nil), slog.NewJSONHandler(&buf, nil)} {
			slog.New(h).Error("m", "err", v, slog.Group("g", "err", v))
		}
		out[label+" slog"] = buf.String()
		j, err := json.Marshal(v)
		out[label+" json"] = string(j) + fmt.Sprint(err)
	}
	return out
}

func TestNoPersonalData(t *testing.T) {
	for i, c := range causes() {
		for how, text := range renderings(errorWith(c)) {
			for _, p := range personal {
				if strings.Contains(text, p) || strings.Contains(text, fmt.Sprintf("%x", p)) || strings.Contains(text, fmt.Sprintf("%X", p)) {
					t.Errorf("cause %d (%T), %s shows %q: %s", i, c, how, p, text)
				}
			}
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, w := range []struct {
		e    Error
		want string
	}{
		{Error{}, "unclassified (outcome unknown)"},
		{
			Error{
				Op: "insurability.Check", Service: "genericinsurability", Endpoint: "https://services.example/GenericInsurability/v1?x=1", Kind: Unavailable,
				Code: "SOA-02002", Ticket: "7f1c-22", Outcome: Rejected, Attempts: 2, Message: "not printed",
			},
			"insurability.Check: unavailable, service genericinsurability at services.example/GenericInsurability/v1 (outcome rejected, code SOA-02002, ticket 7f1c-22, attempts 2)",
		},
		{
			Error{Op: "sts.Issue", Kind: Timeout, Err: context.DeadlineExceeded},
			"sts.Issue: timeout (outcome unknown): context deadline exceeded",
		},
		{
			Error{Kind: Denied, Outcome: NotSent, Err: &Error{Op: "sts.Issue", Kind: Denied, Outcome: Rejected, Code: "SOA-01001"}},
			"denied (outcome not sent): sts.Issue: denied (outcome rejected, code SOA-01001)",
		},
		{Error{Kind: Security, Err: AsSafe(errors.New("dsig: digest differs"))}, "security (outcome unknown): dsig: digest differs"},
		{Error{Kind: Local, Err: errors.New("secret")}, "local (outcome unknown): *errors.errorString"},
		{Error{Kind: Local, Endpoint: "://"}, "local (outcome unknown)"},
		{Error{Kind: Local, Endpoint: "mailto:x@y"}, "local (outcome unknown)"},
		{Error{Kind: Local, Endpoint: "https://h/" + strings.Repeat("x", 3000)}, "local (outcome unknown)"},
		{Error{Kind: Local, Code: "a b", Ticket: strings.Repeat("1", 81)}, "local (outcome unknown, code (not printable), ticket (too long))"},
		{Error{Op: "a\nb", Kind: Local}, "a?b: local (outcome unknown)"},
		{Error{Op: "check " + ssin, Kind: Local}, "check [masked]: local (outcome unknown)"},
	} {
		if got := w.e.Error(); got != w.want {
			t.Errorf("got  %s\nwant %s", got, w.want)
		}
		if got := fmt.Sprintf("%v|%s|%q", w.e, &w.e, w.e); got != fmt.Sprintf("%s|%s|%q", w.want, w.want, w.want) {
			t.Errorf("Format: %s", got)
		}
	}
}

func TestCauseText(t *testing.T) {
	deep := error(io.EOF)
	for range 40 {
		deep = fmt.Errorf("x %w", deep)
	}
	for _, w := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{io.EOF, "EOF"},
		{fmt.Errorf("patient x: %w", io.EOF), "EOF"},
		{deep, "*fmt.wrapError"},
		{errors.Join(io.EOF, net.ErrClosed), "EOF; use of closed network connection"},
		{errors.Join(io.EOF, io.EOF, io.EOF, io.EOF, io.EOF), "EOF; EOF; EOF; EOF; …"},
		{&net.OpError{Op: "dial", Err: &os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED}}, "dial: connect: connection refused"},
		{&net.OpError{Op: "read"}, "read"},
		{&os.SyscallError{Err: syscall.EIO}, "input/output error"},
		{&net.DNSError{IsNotFound: true}, "dns: no such host"},
		{&net.DNSError{IsTimeout: true}, "dns: timeout"},
		{&net.DNSError{}, "dns: lookup failed"},
		{&fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist}, "open: file does not exist"},
		{&os.LinkError{Op: "rename", Err: syscall.ENOSPC}, "rename: no space left on device"},
		{x509.UnknownAuthorityError{}, "certificate signed by an unknown authority"},
		{x509.HostnameError{}, "certificate is for another host"},
		{x509.CertificateInvalidError{Reason: x509.Expired}, "certificate expired or not yet valid"},
		{x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}, "certificate signed by one that may not sign"},
		{x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}, "certificate for another usage"},
		{x509.CertificateInvalidError{Reason: x509.NameMismatch}, "certificate issuer does not match"},
		{x509.CertificateInvalidError{Reason: x509.TooManyIntermediates}, "certificate chain too long"},
		{x509.CertificateInvalidError{Reason: x509.NoValidChains}, "certificate not valid"},
		{x509.UnhandledCriticalExtension{}, "certificate with an unhandled critical extension"},
		{x509.InsecureAlgorithmError(x509.MD5WithRSA), "certificate signed with an insecure algorithm"},
		{x509.ConstraintViolationError{}, "certificate violates a constraint"},
		{x509.SystemRootsError{}, "no system roots"},
		{tls.RecordHeaderError{}, "answer is not TLS"},
		{tls.AlertError(40), "tls: handshake failure"},
		{ErrDenied, "fault: denied"},
		{ErrUnknownOutcome, "fault: outcome unknown"},
		{AsSafe(nil), ""},
		{AsSafe(errors.New(strings.Repeat("ab", 500))), strings.Repeat("ab", 200) + "…"},
		{AsSafe(errors.New("two\nlines")), "two?lines"},
		{(*panics)(nil), "*fault.panics"},
	} {
		if got := cause(w.err); got != w.want {
			t.Errorf("%T: %q, want %q", w.err, got, w.want)
		}
	}
	base := errors.New("base")
	if v := AsSafe(base); !errors.Is(v, base) || v.Error() != "base" {
		t.Error("AsSafe hides the error")
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		ssin:                                "[masked]",
		"x" + ssin + "y":                    "x[masked]y",
		ssin + "," + ssin:                   "[masked],[masked]",
		"15073199817":                       "[masked]",
		"85.07.31-997.04":                   "[masked]",
		"85 07 31 997 04.":                  "[masked].",
		"85073199705":                       "85073199705",  // not a number of anybody
		"850731997040":                      "850731997040", // twelve digits
		"1" + ssin:                          "1" + ssin,
		"ab12cd34ef56ab78":                  "ab12cd34ef56ab78",
		"8507319970":                        "8507319970",
		"123-" + ssin:                       "123-[masked]",
		"services.example:8443/a/b/" + ssin: "services.example:8443/a/b/[masked]",
	} {
		if got := mask(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzMask(f *testing.F) {
	for _, s := range []string{ssin, "85.07.31-997.04", "x15073199817", "1 2 3", "…"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := mask(s)
		if mask(m) != m && !strings.Contains(m, "[masked]") {
			t.Fatalf("%q", m)
		}
		for i := range len(m) {
			if ssinAt(m, i) != 0 {
				t.Fatalf("left in: %q", m)
			}
		}
	})
}

func TestLogValue(t *testing.T) {
	e := &Error{
		Op: "insurability.Check", Service: "s", Endpoint: "https://u:p@h.example/p?q", Ticket: "t1", Kind: Throttled, Code: "429", Message: "m",
		Attempts: 3, Outcome: Rejected, RetryAfter: 90 * time.Second, Notice: "D-SLOW", Err: io.EOF,
	}
	want := "[op=insurability.Check service=s endpoint=h.example/p ticket=t1 kind=throttled code=429 outcome=rejected attempts=3 retry_after=1m30s notice=D-SLOW cause=EOF]"
	if got := e.LogValue().String(); got != want {
		t.Errorf("%s", got)
	}
	if got := (Error{}).LogValue().String(); got != "[kind=unclassified outcome=unknown]" {
		t.Errorf("%s", got)
	}
	j, err := json.Marshal(e)
	if want := `{"op":"insurability.Check","service":"s","endpoint":"h.example/p","ticket":"t1","kind":"throttled","code":"429","outcome":"rejected","attempts":3,"retry_after":90,"notice":"D-SLOW","cause":"EOF"}`; err != nil || string(j) != want {
		t.Errorf("%s %v", j, err)
	}
	if s := fmt.Sprintf("%#v", e); !strings.HasPrefix(s, "fault.Error{insurability.Check: throttled") {
		t.Error(s)
	}
}
