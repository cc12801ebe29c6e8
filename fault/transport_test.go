package fault

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func dialError(err error) error {
	return &url.Error{Op: "Post", URL: "https://services.example/x", Err: &net.OpError{Op: "dial", Net: "tcp", Err: err}}
}

func readError(err error) error {
	return &url.Error{Op: "Post", URL: "https://services.example/x", Err: &net.OpError{Op: "read", Net: "tcp", Err: err}}
}

// Dossier 06 section A.0.2 and 01 section E.3, the rows about the transport.
func TestTransport(t *testing.T) {
	for _, w := range []struct {
		name    string
		err     error
		stage   Stage
		kind    Kind
		outcome Outcome
	}{
		{"refused", dialError(&os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED}), Dialing, Unavailable, NotSent},
		{"host unreachable", dialError(&os.SyscallError{Syscall: "connect", Err: syscall.EHOSTUNREACH}), Dialing, Unavailable, NotSent},
		{"network unreachable", dialError(&os.SyscallError{Syscall: "connect", Err: syscall.ENETUNREACH}), Dialing, Unavailable, NotSent},
		{"no such host", dialError(&net.DNSError{Err: "no such host", Name: "services.example", IsNotFound: true}), Dialing, Unavailable, NotSent},
		{"resolver timeout", dialError(&net.DNSError{Err: "timeout", Name: "services.example", IsTimeout: true}), Dialing, Timeout, NotSent},
		{"connect timeout", dialError(timeoutError{}), Dialing, Timeout, NotSent},
		{"unknown authority", dialError(x509.UnknownAuthorityError{}), Handshake, Security, NotSent},
		{"verification", &url.Error{Op: "Post", Err: &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}}, Handshake, Security, NotSent},
		{"wrong host", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}, Handshake, Security, NotSent},
		{"expired", x509.CertificateInvalidError{Reason: x509.Expired}, Handshake, Security, NotSent},
		{"constraint", x509.ConstraintViolationError{}, Handshake, Security, NotSent},
		{"weak", x509.InsecureAlgorithmError(x509.MD5WithRSA), Handshake, Security, NotSent},
		{"extension", x509.UnhandledCriticalExtension{}, Handshake, Security, NotSent},
		{"no roots", x509.SystemRootsError{}, Handshake, Security, NotSent},
		{"not TLS", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, Handshake, Security, NotSent},
		{"plain HTTP", &url.Error{Op: "Post", Err: http.ErrSchemeMismatch}, Handshake, Security, NotSent},
		{"alert", tls.AlertError(40), Handshake, Security, NotSent},
		{"alert internal error", tls.AlertError(80), Handshake, Unavailable, NotSent},
		{"reset in handshake", readError(syscall.ECONNRESET), Handshake, Unavailable, NotSent},
		{"EOF in handshake", io.EOF, Handshake, Unavailable, NotSent},
		{"handshake timeout", timeoutError{}, Handshake, Timeout, NotSent},
		{"write timeout", os.ErrDeadlineExceeded, Writing, Timeout, NotSent},
		{"broken pipe", &net.OpError{Op: "write", Err: syscall.EPIPE}, Writing, Unavailable, NotSent},
		{"reset while writing", &net.OpError{Op: "write", Err: syscall.ECONNRESET}, Writing, Unavailable, NotSent},
		{"read timeout", readError(os.ErrDeadlineExceeded), Written, Timeout, Unknown},
		{"deadline", context.DeadlineExceeded, Written, Timeout, Unknown},
		{"reset after writing", readError(syscall.ECONNRESET), Written, Unavailable, Unknown},
		{"EOF after writing", io.EOF, Written, Unavailable, Unknown},
		{"cut answer", io.ErrUnexpectedEOF, Reading, Unavailable, Unknown},
		{"reset in the answer", readError(syscall.ECONNRESET), Reading, Unavailable, Unknown},
		{"closed", net.ErrClosed, Reading, Unavailable, Unknown},
		{"answer too long", &http.MaxBytesError{Limit: 1}, Reading, Protocol, Unknown},
		{"malformed header", textproto.ProtocolError("malformed MIME header line"), Reading, Protocol, Unknown},
		{"canceled early", context.Canceled, Dialing, Canceled, NotSent},
		{"canceled late", &url.Error{Op: "Post", Err: context.Canceled}, Reading, Canceled, Unknown},
		{"bad address", &url.Error{Op: "parse", URL: ":", Err: errors.New("missing protocol scheme")}, Dialing, Local, NotSent},
		{"anything", errors.New("anything"), Written, Unavailable, Unknown},
		{"nothing", nil, Reading, 0, Done},
		// The stage is not known: only the dialer's own errors prove something.
		{"stage unknown, refused", dialError(syscall.ECONNREFUSED), 0, Unavailable, NotSent},
		{"stage unknown, DNS", &net.DNSError{IsNotFound: true}, 0, Unavailable, NotSent},
		{"stage unknown, reset", readError(syscall.ECONNRESET), 0, Unavailable, Unknown},
		{"stage unknown, EOF", io.EOF, 0, Unavailable, Unknown},
		{"stage out of range", io.EOF, 77, Unavailable, Unknown},
	} {
		t.Run(w.name, func(t *testing.T) {
			if k, o := Transport(w.err, w.stage); k != w.kind || o != w.outcome {
				t.Errorf("%v, %v; want %v, %v", k, o, w.kind, w.outcome)
			}
			wrapped := w.err
			if wrapped != nil {
				wrapped = fmt.Errorf("attempt 1: %w", w.err)
			}
			if k, o := Transport(wrapped, w.stage); k != w.kind || o != w.outcome {
				t.Errorf("wrapped: %v, %v", k, o)
			}
		})
	}
}

func TestTransportRule(t *testing.T) {
	for _, w := range []struct {
		err    error
		stage  Stage
		retry  RetryPolicy
		change SwitchPolicy
		bad    bool
		action Action
	}{
		{dialError(syscall.ECONNREFUSED), Dialing, RetryWithBackoff, SwitchYes, false, ActionRetry},
		{timeoutError{}, Writing, RetryWithBackoff, SwitchYes, false, ActionRetry},
		{timeoutError{}, Written, RetryReadsOnly, SwitchReadsOnly, false, ActionRetryReads},
		{io.ErrUnexpectedEOF, Reading, RetryReadsOnly, SwitchReadsOnly, false, ActionRetryReads},
		{x509.UnknownAuthorityError{}, Handshake, RetryNo, SwitchNo, false, ActionCheckSecurity},
		{context.Canceled, Dialing, RetryNo, SwitchNo, false, ActionNone},
		{textproto.ProtocolError("x"), Reading, RetryNo, SwitchNo, true, ActionFixEndpoint},
		{nil, Reading, RetryNo, SwitchNo, false, ActionNone},
	} {
		r := TransportRule(w.err, w.stage)
		if r.Retry != w.retry || r.Switch != w.change || r.MarkBad != w.bad || r.Action != w.action {
			t.Errorf("%v at %v: %+v", w.err, w.stage, r)
		}
	}
}

func TestStageNames(t *testing.T) {
	got := fmt.Sprint(Dialing, Handshake, Writing, Written, Reading, Stage(0))
	if got != "dialing handshake writing written reading unknown stage" {
		t.Error(got)
	}
}

// The same against Go's real client and server, because the types that the
// standard library returns are what counts.
func TestTransportReal(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "short")
		case "/drop":
			panic(http.ErrAbortHandler)
		case "/hang":
			<-r.Context().Done()
		}
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "https://" + closed.Addr().String()
	_ = closed.Close()

	post := func(ctx context.Context, c *http.Client, target string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader("<x/>"))
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return err
	}
	wrongName := srv.Client().Transport.(*http.Transport).Clone()
	wrongName.TLSClientConfig.ServerName = "other.example"
	oldTLS := srv.Client().Transport.(*http.Transport).Clone()
	oldTLS.TLSClientConfig.MaxVersion = tls.VersionTLS11
	oldTLS.TLSClientConfig.MinVersion = tls.VersionTLS10
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()

	for _, w := range []struct {
		name   string
		ctx    context.Context
		client *http.Client
		target string
		stage  Stage
		kind   Kind
		text   string // how the cause is printed
	}{
		{"refused", t.Context(), srv.Client(), gone, Dialing, Unavailable, "dial: connect: connection refused"},
		{"unknown authority", t.Context(), &http.Client{Transport: &http.Transport{}}, srv.URL, Handshake, Security, "certificate signed by an unknown authority"},
		{"wrong name", t.Context(), &http.Client{Transport: wrongName}, srv.URL, Handshake, Security, "certificate is for another host"},
		{"protocol version", t.Context(), &http.Client{Transport: oldTLS}, srv.URL, Handshake, Security, "remote error: tls: protocol version not supported"},
		{"not TLS", t.Context(), srv.Client(), strings.Replace(plain.URL, "http:", "https:", 1), Handshake, Security, "http: server gave HTTP response to HTTPS client"},
		{"cut answer", t.Context(), srv.Client(), srv.URL + "/cut", Reading, Unavailable, "unexpected EOF"},
		{"dropped", t.Context(), srv.Client(), srv.URL + "/drop", Written, Unavailable, "EOF"},
		{"canceled", canceled, srv.Client(), srv.URL, Dialing, Canceled, "context canceled"},
		{"expired", expired, srv.Client(), srv.URL, Dialing, Timeout, "context deadline exceeded"},
	} {
		t.Run(w.name, func(t *testing.T) {
			err := post(w.ctx, w.client, w.target)
			if err == nil {
				t.Fatal("no error")
			}
			k, _ := Transport(err, w.stage)
			if k != w.kind {
				t.Errorf("%v (%T %v), want %v", k, err, err, w.kind)
			}
			if c := cause(err); !strings.HasSuffix(c, w.text) {
				t.Errorf("cause is printed as %q, want %q", c, w.text)
			}
		})
	}
}

// http.Client's own timeout, in virtual time.
func TestTransportClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		go func() {
			_, _ = http.ReadRequest(bufio.NewReader(server))
		}()
		c := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil },
		}}
		_, err := c.Post("http://services.example/x", "text/xml", strings.NewReader("<x/>"))
		if k, o := Transport(err, Written); k != Timeout || o != Unknown {
			t.Errorf("%v %v: %T %v", k, o, err, err)
		}
		_ = server.Close()
		c.CloseIdleConnections()
	})
}

// An expired certificate, through a real handshake.
func TestTransportExpiredCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"services.example"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1000, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.StartTLS()
	defer srv.Close()
	conn, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "services.example"})
	if err == nil {
		_ = conn.Close()
	}
	if k, o := Transport(err, Handshake); k != Security || o != NotSent {
		t.Errorf("%v %v: %v", k, o, err)
	}
	if c := cause(err); c != "certificate expired or not yet valid" {
		t.Errorf("printed as %q", c)
	}
}
