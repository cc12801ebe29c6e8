package drill

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// standIn makes eHealthBox execute whatever arrives, as the recording server of dossier 12 did: what is sent again is
// carried out again.
var standIn = sandbox.MailBehaviour{AcceptReplays: true, KeepDuplicates: true}

// mailSeen is what one call came to: requests to send and to read, and letters carried out.
type mailSeen struct {
	seen
	pub, cons, sent int
}

func (sc *scene) mailTotals() (pub, cons, sent int) {
	st := sc.s.State()
	return st.Requests["ehbox-pub"], st.Requests["ehbox-cons"], st.Effects["ehbox.accepted"]
}

// post makes one call and counts what it caused until it ended.
func (sc *scene) post(call func(context.Context) (shown, error)) mailSeen {
	pub, cons, sent := sc.mailTotals()
	v := mailSeen{seen: sc.do(call)}
	a, b, c := sc.mailTotals()
	v.pub, v.cons, v.sent = a-pub, b-cons, c-sent
	return v
}

func (sc *scene) letter(c correspondent, to *mailroom, ref string) mailSeen {
	return sc.post(func(ctx context.Context) (shown, error) { return c.letter(ctx, to, ref) })
}

func (sc *scene) look(c correspondent) mailSeen {
	return sc.post(func(ctx context.Context) (shown, error) { _, err := c.look(ctx, true); return shown{}, err })
}

// sends compares the requests to send and the letters carried out.
func (sc *scene) sends(what string, v mailSeen, pub, sent int) {
	sc.Helper()
	if v.pub != pub || v.sent != sent {
		sc.Errorf("%s: %d requests, %d letters carried out; want %d, %d (%v, error %v)", what, v.pub, v.sent, pub, sent, v.took, v.err)
	}
}

// boxes are those of the two pharmacies.
func (sc *scene) boxes() (own, other *mailroom) {
	sc.Helper()
	all, err := rooms(sc.s)
	if err != nil {
		sc.Fatal(err)
	}
	return all[0], all[1]
}

// arrived counts the letters of a title in a box.
func (sc *scene) arrived(at *mailroom, title string) (n int) {
	sc.Helper()
	list, err := sc.s.Mail(at.self, string(ehbox.Inbox))
	if err != nil {
		sc.Fatal(err)
	}
	for _, m := range list {
		if m.Title == title {
			n++
		}
	}
	return n
}

// ending is how a connection ends.
type ending struct {
	how    string
	middle bool // after the answer has begun, else before its first byte
}

// The ways in which a TLS connection ends.
const (
	fin    = "FIN"
	notify = "FIN with close_notify"
	rst    = "RST"
)

func (e ending) String() string {
	if e.middle {
		return e.how + " in the middle"
	}
	return e.how + " before the answer"
}

// wire reaches the sandbox. Connections to one service go through a relay that sees what is said, and ends them as it is
// told.
type wire struct {
	s    *sandbox.Sandbox
	host string
	cert tls.Certificate
	pool *x509.CertPool // trusts the sandbox and the relay

	mu      sync.Mutex
	end     *ending // nil: connections are left alone
	cut     int     // connections ended since set
	message []passed
}

// passed is one message to that service.
type passed struct {
	proto         int // of the answer, when there was one
	reused, began bool
}

const (
	pubHost   = "ehbox-pub.sandbox.test"
	prescHost = "recipe-presc.sandbox.test"
)

func newWire(sc *scene) *wire {
	sc.Helper()
	return newWireTo(sc, pubHost)
}

func newWireTo(sc *scene, host string) *wire {
	sc.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		sc.Fatal(err)
	}
	now := time.Now()
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		sc.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		sc.Fatal(err)
	}
	w := &wire{s: sc.s, host: host, cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool: sc.s.Roots().Clone()}
	w.pool.AddCert(leaf)
	return w
}

// set says how connections end from now on.
func (w *wire) set(e *ending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end, w.cut, w.message = e, 0, nil
}

func (w *wire) ending() ending {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end == nil {
		return ending{}
	}
	return *w.end
}

// seen returns the messages and the connections ended since set.
func (w *wire) seen() (m []passed, cut int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]passed(nil), w.message...), w.cut
}

// dial implements dialer.
func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	up, err := w.s.Dial(ctx, network, addr)
	if err != nil || !strings.HasPrefix(addr, w.host) {
		return up, err
	}
	client, down := net.Pipe()
	c := &wired{Conn: client}
	go w.relay(down, up, c)
	return c, nil
}

// wired is the client's side of one connection to that service.
type wired struct {
	net.Conn
	reset atomic.Bool
}

// Read gives the end its name.
func (c *wired) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, io.EOF) && c.reset.Load() {
		err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return n, err
}

// relay passes on what both sides say until one of them ends, or the answer is to be cut.
func (w *wire) relay(down, up net.Conn, c *wired) {
	defer up.Close()
	defer down.Close()
	client := tls.Server(down, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{w.cert}, NextProtos: []string{"h2", "http/1.1"}})
	if client.Handshake() != nil {
		return
	}
	proto := client.ConnectionState().NegotiatedProtocol
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: w.s.Roots(), ServerName: w.host}
	if proto != "" {
		conf.NextProtos = []string{proto}
	}
	server := tls.Client(up, conf)
	if server.Handshake() != nil {
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = up.Close()
	}()
	next := plainPiece
	if proto == "h2" {
		next = framePiece
	}
	for {
		piece, body, err := next(server)
		e := w.ending()
		middle := e.middle && body
		if middle {
			piece = piece[:len(piece)/2]
		}
		if _, werr := client.Write(piece); werr != nil {
			return
		}
		if err == nil && !middle {
			continue
		}
		w.mu.Lock()
		w.cut++
		w.mu.Unlock()
		switch e.how {
		case notify:
			_ = client.Close()
		case rst:
			c.reset.Store(true)
		}
		return
	}
}

// plainPiece reads some of an HTTP/1.1 answer.
func plainPiece(r io.Reader) (piece []byte, body bool, err error) {
	piece = make([]byte, 16<<10)
	n, err := r.Read(piece)
	return piece[:n], n > 0, err
}

// framePiece reads one HTTP/2 frame; body tells that it is one with data of the answer (RFC 9113 section 6.1).
func framePiece(r io.Reader) (piece []byte, body bool, err error) {
	piece = make([]byte, 9)
	if n, err := io.ReadFull(r, piece); err != nil {
		return piece[:n], false, err
	}
	size := int(piece[0])<<16 | int(piece[1])<<8 | int(piece[2])
	piece = append(piece, make([]byte, size)...)
	n, err := io.ReadFull(r, piece[9:])
	return piece[:9+n], piece[3] == 0 && size > 1, err
}

// witness notes what became of the messages to that service.
type witness struct {
	*http.Transport
	w *wire
}

// RoundTrip passes on.
func (t witness) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.URL.Host, t.w.host) {
		return t.Transport.RoundTrip(r)
	}
	var mu sync.Mutex
	var m passed
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn:              func(i httptrace.GotConnInfo) { mu.Lock(); defer mu.Unlock(); m.reused = i.Reused },
		GotFirstResponseByte: func() { mu.Lock(); defer mu.Unlock(); m.began = true },
	})
	resp, err := t.Transport.RoundTrip(r.WithContext(ctx))
	mu.Lock()
	defer mu.Unlock()
	if resp != nil {
		m.proto = resp.ProtoMajor
	}
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.w.message = append(t.w.message, m)
	return resp, err
}

// mailOver opens the mail of ours on a wire, with HTTP/2 or without.
func (sc *scene) mailOver(w *wire, h2 bool, room *mailroom) (*letters, *http.Transport) {
	sc.Helper()
	cfg, err := configFor(sc.s, sc.s.Organisation(identity.Pharmacy, 0))
	if err != nil {
		sc.Fatal(err)
	}
	tr := transport(sc.s, connectLimit)
	tr.DialContext, tr.ForceAttemptHTTP2, tr.TLSClientConfig.RootCAs = w.dial, h2, w.pool
	cfg.Transport = witness{tr, w}
	m := withMail(&cfg, room)
	p, err := ehealth.Open(context.Background(), cfg)
	if err != nil {
		sc.Fatal(err)
	}
	if _, err := p.Tokens.Token(context.Background()); err != nil {
		sc.Fatal(err)
	}
	m.use(p)
	sc.Cleanup(m.close)
	return m, tr
}

// practiceOver opens Recip-e of a connector-like client on a wire.
func (sc *scene) practiceOver(w *wire) *plainRecipe {
	sc.Helper()
	return sc.practice(connectorOptions{dial: w.dial, roots: w.pool})
}

// connectorOver opens the mail of a connector-like client on a wire.
func (sc *scene) connectorOver(w *wire, room *mailroom) *plainMail {
	sc.Helper()
	return sc.process(connectorOptions{dial: w.dial, roots: w.pool}).mail(room)
}
