package drill

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync/atomic"
	"time"
)

// javaHTTP posts as the HTTP client of the JDK does below the official connector: a limit on connecting, a limit on
// every single read of the socket but none on the whole, and one silent repeat of a POST, byte for byte, when the
// connection ends before the first byte of the answer (dossier 12, "Where the double writes come from", 1).
type javaHTTP struct {
	transport *http.Transport
}

// dialer connects to an address.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

func newJavaHTTP(dial dialer, roots *x509.CertPool, connect, read time.Duration) *javaHTTP {
	return &javaHTTP{&http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connect)
			defer cancel()
			c, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &stalling{c, read}, nil
		},
		TLSClientConfig: &tls.Config{
			RootCAs: roots, MinVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.CurveP256}, ClientSessionCache: tls.NewLRUClientSessionCache(8),
		},
		// One connection per message: the JDK keeps them for five seconds only, and Go's own rules of repeating
		// apply to kept ones.
		DisableKeepAlives: true,
	}}
}

// stalling is a connection on which every read may take limit.
type stalling struct {
	net.Conn
	limit time.Duration
}

func (c *stalling) Read(b []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(c.limit))
	return c.Conn.Read(b)
}

// reply is an answer as the connector's SOAP layer gets it.
type reply struct {
	status int
	typ    string // media type
	doc    []byte
}

// errBroken: the answer began and did not end. The connector fails on it with a NullPointerException of its own, which
// is no signal to anything (dossier 12, scenario 4).
var errBroken = errors.New("drill: answer cut short")

// post sends a message, twice when Java would.
func (j *javaHTTP) post(ctx context.Context, url, action string, msg []byte) (*reply, error) {
	r, unanswered, err := j.once(ctx, url, action, msg)
	if err != nil && unanswered {
		r, _, err = j.once(ctx, url, action, msg)
	}
	return r, err
}

// once sends a message. unanswered tells that the connection ended before the first byte of an answer.
func (j *javaHTTP) once(ctx context.Context, url, action string, msg []byte) (r *reply, unanswered bool, err error) {
	var connected, answered atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { connected.Store(true) },
		GotFirstResponseByte: func() { answered.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(msg))
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	if action != "" {
		req.Header.Set("SOAPAction", `"`+action+`"`)
	}
	resp, err := j.transport.RoundTrip(req)
	switch {
	case err != nil && answered.Load() && !isTimeout(err):
		return nil, false, errBroken
	case err != nil:
		return nil, connected.Load() && !answered.Load() && !isTimeout(err), err
	}
	defer resp.Body.Close()
	doc, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil && !isTimeout(err) {
		err = errBroken
	}
	if err != nil {
		return nil, false, err
	}
	typ, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return &reply{resp.StatusCode, typ, doc}, false, nil
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

func (j *javaHTTP) close() { j.transport.CloseIdleConnections() }
