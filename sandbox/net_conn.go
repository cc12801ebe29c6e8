package sandbox

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// quiet takes what http.Server wants to say about connections that faults cut.
var quiet = log.New(io.Discard, "", 0)

// conn is a server-side connection, with what the engine wants to know about it.
type conn struct {
	net.Conn
	service string // of the virtual host; "" on sockets
	side    side
	born    time.Time
}

// reset cuts the connection: with RST on TCP, by closing on pipes.
func (c *conn) reset() {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// inner finds our connection below TLS.
func inner(c net.Conn) *conn {
	switch x := c.(type) {
	case *conn:
		return x
	case *tls.Conn:
		return inner(x.NetConn())
	}
	return nil
}

// socketListener applies connection-level steps that concern the whole listener.
type socketListener struct {
	net.Listener
	n    *network
	side side
}

// Accept returns the next connection that no step takes away.
func (l *socketListener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		now := time.Now()
		c := &conn{Conn: raw, side: l.side, born: now}
		covers := func(st *activeStep) bool { return l.n.covers(st, "", l.side) }
		switch l.n.s.faults.dial(sideNames[l.side], now, covers) {
		case connectOK:
			return c, nil
		case connectRefused, connectLost:
			c.reset()
		case connectDropped:
			if !l.n.s.background(func() { l.n.s.swallow(c) }) {
				c.reset()
			}
		}
	}
}

// sideNames name listeners in the hit counters.
var sideNames = [sides]string{"esb", "direct", "servicelist", "admin"}

// swallow reads and forgets what comes until the peer or the sandbox has enough.
func (s *Sandbox) swallow(c *conn) {
	stop := context.AfterFunc(s.closing, func() { _ = c.Close() })
	defer stop()
	_ = c.SetDeadline(time.Now().Add(connectGiveUp))
	_, _ = io.Copy(io.Discard, c)
	c.reset()
}

// pipeListener hands the server ends of pipes to an http.Server.
type pipeListener struct {
	ch   chan net.Conn
	done chan struct{}
	once sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{ch: make(chan net.Conn), done: make(chan struct{})}
}

// Accept waits for the next Dial.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ch:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is the address of a pipe.
func (l *pipeListener) Addr() net.Addr { return hostAddr("sandbox") }

// hostAddr is the address of a virtual host.
type hostAddr string

// Network returns "pipe".
func (hostAddr) Network() string { return "pipe" }

// String returns the host and port.
func (a hostAddr) String() string { return string(a) }

// Dial connects to a host of the sandbox; use it as DialContext of an http.Transport. Names ending in .sandbox.test
// are reached through net.Pipe and work inside a testing/synctest bubble; other addresses are dialled as usual when
// the sandbox has sockets and are refused when it has none.
//
// Connection-level steps act here exactly: a refused connection is a *net.OpError of operation "dial" with
// ECONNREFUSED, a black hole blocks until ctx is done (or 127 s, then ETIMEDOUT, as Linux does), a lost
// attempt is EHOSTUNREACH.
func (s *Sandbox) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, dialError(addr, err)
	}
	service, ours := strings.CutSuffix(host, virtualDomain)
	switch {
	case ours && service == "admin" && port == "80":
		return s.pipeTo(ctx, s.net.adminPipe, addr, "", sideAdmin)
	case ours && s.faults.services[service] && port == "443":
		return s.dialService(ctx, addr, service)
	case s.net.sockets && !ours:
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return nil, dialError(addr, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true})
}

// dialService applies the connection-level steps of one virtual host.
func (s *Sandbox) dialService(ctx context.Context, addr, service string) (net.Conn, error) {
	covers := func(st *activeStep) bool { return st.services[service] }
	switch s.faults.dial(service, time.Now(), covers) {
	case connectRefused:
		return nil, dialError(addr, os.NewSyscallError("connect", syscall.ECONNREFUSED))
	case connectLost:
		return nil, dialError(addr, os.NewSyscallError("connect", syscall.EHOSTUNREACH))
	case connectDropped:
		t := time.NewTimer(connectGiveUp)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return nil, dialError(addr, givenUp(ctx))
		case <-s.closing.Done():
			return nil, dialError(addr, net.ErrClosed)
		case <-t.C:
			return nil, dialError(addr, os.NewSyscallError("connect", syscall.ETIMEDOUT))
		}
	}
	return s.pipeTo(ctx, s.net.pipe, addr, service, sideOf(service))
}

// pipeTo connects to a listener.
func (s *Sandbox) pipeTo(ctx context.Context, l *pipeListener, addr, service string, sd side) (net.Conn, error) {
	client, server := net.Pipe()
	c := &conn{Conn: server, service: service, side: sd, born: time.Now()}
	select {
	case l.ch <- c:
		return &pipeEnd{client, hostAddr(addr)}, nil
	case <-ctx.Done():
		return nil, dialError(addr, givenUp(ctx))
	case <-l.done:
		return nil, dialError(addr, os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
}

// pipeEnd is the client's end, with an address that says where it leads.
type pipeEnd struct {
	net.Conn
	to hostAddr
}

// RemoteAddr returns the virtual host.
func (p *pipeEnd) RemoteAddr() net.Addr { return p.to }

func dialError(addr string, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: hostAddr(addr), Err: err}
}

// givenUp is the error of a dial whose context ended, in the form package net gives it.
func givenUp(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return dialTimeout{}
	}
	return ctx.Err()
}

// dialTimeout is a net.Error like that of a net.Dialer whose context expired.
type dialTimeout struct{}

func (dialTimeout) Error() string   { return "i/o timeout" }
func (dialTimeout) Timeout() bool   { return true }
func (dialTimeout) Temporary() bool { return true }

// Is makes errors.Is(err, context.DeadlineExceeded) true.
func (dialTimeout) Is(err error) bool { return err == context.DeadlineExceeded }
