package sandbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// side is one of the hosts of the platform.
type side uint8

const (
	sideESB    side = iota // services behind the ESB
	sideDirect             // the insurers' own address
	sideList               // service list
	sideAdmin
	sides
)

// virtualDomain is the domain of the names that Dial knows: genins.sandbox.test, servicelist.sandbox.test, …
const virtualDomain = ".sandbox.test"

// Limits of the servers.
const (
	maxBody       = 16 << 20 // bytes of a request: a message of 10 MB in base64, with its envelope
	maxHeader     = 64 << 10
	headerTimeout = 10 * time.Second
	bodyTimeout   = 60 * time.Second
	idleTimeout   = 2 * time.Minute
	connectGiveUp = 127 * time.Second // when Linux gives up connecting (tcp_syn_retries = 6)
	maxHold       = 10 * time.Minute  // longest life of an exchange that hangs
)

// network is the listeners, connections and clients of a sandbox.
type network struct {
	s         *Sandbox
	sockets   bool
	listeners [sides]net.Listener // sockets; nil without
	pipe      *pipeListener       // HTTPS of all virtual hosts
	adminPipe *pipeListener
	servers   []*http.Server
	serving   sync.WaitGroup // accept loops and connections

	mu      sync.Mutex
	closed  bool
	conns   map[*conn]http.ConnState
	certs   map[string]tls.Certificate // by virtual host or side
	clients []*http.Transport
}

// newNetwork opens the listeners and serves them.
func newNetwork(s *Sandbox) (*network, error) {
	n := &network{
		s: s, sockets: s.cfg.Listen != "", conns: map[*conn]http.ConnState{}, certs: map[string]tls.Certificate{},
		pipe: newPipeListener(), adminPipe: newPipeListener(),
	}
	if n.sockets {
		if err := n.listen(); err != nil {
			n.close()
			return nil, err
		}
	}
	cert, err := s.pki.issueTLS(n.names(), n.addresses(), false)
	if err != nil {
		n.close()
		return nil, err
	}
	n.certs[""] = cert.TLS()
	n.serve()
	return n, nil
}

// listen opens the sockets.
func (n *network) listen() error {
	host, _, err := net.SplitHostPort(n.s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("sandbox: Listen: %w", err)
	}
	c := n.s.cfg
	for i, addr := range [sides]string{c.Listen, c.ListenDirect, c.ListenList, c.ListenAdmin} {
		if addr == "" && side(i) == sideAdmin {
			addr = "127.0.0.1:0"
		} else if addr == "" {
			addr = net.JoinHostPort(host, "0")
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
		n.listeners[i] = l
	}
	if a, ok := n.listeners[sideAdmin].Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return errors.New("sandbox: the admin API listens on loopback addresses only")
	}
	return nil
}

// names are the DNS names of the server certificate.
func (n *network) names() []string {
	out := []string{"localhost", "*" + virtualDomain}
	if host, _, err := net.SplitHostPort(n.s.cfg.Listen); err == nil && host != "" && net.ParseIP(host) == nil && host != "localhost" {
		out = append(out, host)
	}
	return out
}

func (n *network) addresses() []net.IP {
	out := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, l := range n.listeners {
		if l == nil {
			continue
		}
		if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsUnspecified() && !slices.ContainsFunc(out, a.IP.Equal) {
			out = append(out, a.IP)
		}
	}
	return out
}

// serve starts one HTTP server per listener.
func (n *network) serve() {
	secure := &tls.Config{GetCertificate: n.certificate, MinVersion: tls.VersionTLS12}
	main, admin := http.HandlerFunc(n.s.serveHTTP), n.s.adminHandler()
	n.start(n.pipe, main, secure)
	n.start(n.adminPipe, admin, nil)
	if !n.sockets {
		return
	}
	for i, l := range n.listeners {
		sd := side(i)
		if sd == sideAdmin {
			n.start(&socketListener{Listener: l, n: n, side: sd}, admin, nil)
			continue
		}
		n.start(&socketListener{Listener: l, n: n, side: sd}, main, secure)
	}
}

func (n *network) start(l net.Listener, h http.Handler, secure *tls.Config) {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: quiet, ConnState: n.track,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, inner(c))
		},
	}
	n.servers = append(n.servers, srv)
	n.serving.Go(func() {
		if secure == nil {
			_ = srv.Serve(l)
			return
		}
		srv.TLSConfig = secure.Clone()
		_ = srv.ServeTLS(l, "", "")
	})
}

type connKey struct{}

// track keeps the connections of the servers, to cut them when a fault or Close asks for it.
func (n *network) track(c net.Conn, st http.ConnState) {
	x := inner(c)
	if x == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch st {
	case http.StateNew: // from the accept loop, so serving is not zero here
		n.serving.Add(1)
		if n.closed {
			_ = x.Close()
		}
	case http.StateClosed: // the last thing a connection's goroutine does; nothing here hijacks
		n.serving.Done()
		delete(n.conns, x)
		return
	}
	n.conns[x] = st
}

// close cuts everything. The raw connections go first: closing TLS properly would write to peers that no longer read.
func (n *network) close() {
	n.mu.Lock()
	n.closed = true
	conns := make([]*conn, 0, len(n.conns))
	for c := range n.conns {
		conns = append(conns, c)
	}
	clients := n.clients
	n.mu.Unlock()
	_ = n.pipe.Close()
	_ = n.adminPipe.Close()
	for _, l := range n.listeners {
		if l != nil {
			_ = l.Close()
		}
	}
	for _, c := range conns {
		_ = c.Close()
	}
	for _, srv := range n.servers {
		_ = srv.Close()
	}
	for _, t := range clients {
		t.CloseIdleConnections()
	}
	n.serving.Wait()
}

// closeIdle cuts idle connections that the step concerns, as a host that goes down does.
func (n *network) closeIdle(st *activeStep) {
	n.mu.Lock()
	var hit []*conn
	for c, state := range n.conns {
		if state == http.StateIdle && n.covers(st, c.service, c.side) {
			hit = append(hit, c)
		}
	}
	n.mu.Unlock()
	for _, c := range hit {
		c.reset()
	}
}

// scheduleConnections cuts idle connections when a refuse step starts: a host whose port refuses connections has
// ended those it had.
func (s *Sandbox) scheduleConnections(r *Run) {
	for _, st := range r.steps {
		f, ok := st.Fault.(Refuse)
		if !ok || f.P < 1 {
			continue
		}
		if !st.from.After(time.Now()) { // who asks next must not be faster; what is idle a moment later is cut then
			s.net.closeIdle(st)
		}
		s.background(func() {
			t := time.NewTimer(time.Until(st.from))
			defer t.Stop()
			select {
			case <-t.C:
				s.net.closeIdle(st)
			case <-r.stopped:
			case <-s.closing.Done():
			}
		})
	}
}

// covers reports whether a connection-level step concerns a connection. On pipes each service has a host of its own.
// On sockets the services of a side share a listener, and a step concerns the connection only when it concerns all.
func (n *network) covers(st *activeStep, service string, sd side) bool {
	if sd == sideAdmin {
		return false
	}
	if service != "" {
		return st.services[service]
	}
	any := false
	for svc := range n.s.faults.services {
		if sideOf(svc) == sd {
			if any = true; !st.services[svc] {
				return false
			}
		}
	}
	return any
}

func sideOf(service string) side {
	switch {
	case service == "servicelist":
		return sideList
	case strings.HasSuffix(service, "-direct"):
		return sideDirect
	}
	return sideESB
}

// url is the address of a route.
func (n *network) url(r route) string {
	sd := sideESB
	if r.Direct {
		sd = sideDirect
	}
	return n.base(r.Service, sd) + r.Path
}

// base is scheme and host of a service.
func (n *network) base(service string, sd side) string {
	if n.sockets {
		return "https://" + n.host(sd)
	}
	return "https://" + service + virtualDomain
}

func (n *network) adminURL() string {
	if n.sockets {
		return "http://" + n.host(sideAdmin)
	}
	return "http://admin" + virtualDomain
}

// host is host:port of a listener as clients write it: the name of Listen when that is a name, and loopback when it
// listens on all addresses.
func (n *network) host(sd side) string {
	a, ok := n.listeners[sd].Addr().(*net.TCPAddr)
	if !ok {
		return n.listeners[sd].Addr().String()
	}
	name := a.IP.String()
	if a.IP.IsUnspecified() {
		name = "127.0.0.1"
	}
	if host, _, err := net.SplitHostPort(n.s.cfg.Listen); sd != sideAdmin && err == nil && host != "" && net.ParseIP(host) == nil {
		name = host
	}
	return net.JoinHostPort(name, fmt.Sprint(a.Port))
}

// client makes an HTTP client for this sandbox.
func (n *network) client() *http.Client {
	t := &http.Transport{
		DialContext:         n.s.Dial,
		TLSClientConfig:     &tls.Config{RootCAs: n.s.Roots(), MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second, // as http.DefaultTransport, below idleTimeout
		TLSHandshakeTimeout: 10 * time.Second,
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clients = append(n.clients, t)
	return &http.Client{Transport: t}
}

// certificate picks the server certificate, after carrying out the rotations that are due.
func (n *network) certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := inner(h.Conn)
	if c == nil {
		return nil, errors.New("sandbox: connection of another server")
	}
	key := c.service
	if key == "" {
		key = fmt.Sprint("side ", c.side)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, foreign := range n.s.faults.rotations(key, time.Now(), c.service, c.side) {
		cert, err := n.s.pki.issueTLS(n.names(), n.addresses(), foreign)
		if err != nil {
			return nil, err
		}
		n.certs[key] = cert.TLS()
	}
	if cert, ok := n.certs[key]; ok {
		return &cert, nil
	}
	cert := n.certs[""]
	return &cert, nil
}

// rotations lists the tls_rotate steps that are due for a host and marks them as done for it. A rotation outlives
// its step: a replaced certificate does not come back.
func (e *engine) rotations(key string, now time.Time, service string, sd side) (foreign []bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.runs {
		for _, st := range r.steps {
			f, ok := st.Fault.(TLSRotate)
			if !ok || now.Before(st.from) || st.rotated[key] || !st.concerns(service, sd) {
				continue
			}
			if st.rotated == nil {
				st.rotated = map[string]bool{}
			}
			st.rotated[key] = true
			e.hit(st, st.Service)
			foreign = append(foreign, f.NewIssuer)
		}
	}
	return foreign
}

// concerns is weaker than covers: one service of a listener is enough, since they share the certificate.
func (a *activeStep) concerns(service string, sd side) bool {
	if service != "" {
		return a.services[service]
	}
	for svc := range a.services {
		if sideOf(svc) == sd {
			return true
		}
	}
	return false
}
