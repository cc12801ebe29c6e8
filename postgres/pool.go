package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// DefaultMaxConns bounds the connections of [Open]: a node sends and stores a few items at a
	// time, and a server has a hundred connections for all.
	DefaultMaxConns = 8

	idleCheck = time.Second     // a connection that was idle longer is asked whether it lives
	pingWait  = 2 * time.Second // bounds that question
	idleMax   = 5 * time.Minute // a connection is not kept idle longer
	maxLife   = time.Hour       // nor at all: after a failover all find the new server
)

var errPoolClosed = errors.New("the pool is closed")

// pool is a bounded set of connections without a goroutine of its own.
type pool struct {
	cfg   *pgx.ConnConfig
	slots chan struct{} // one for each connection lent

	mu     sync.Mutex
	closed bool
	idle   []idleConn // the latest used last
}

type idleConn struct {
	*pgx.Conn
	born, since time.Time
}

func newPool(cfg *pgx.ConnConfig, n int) *pool { return &pool{cfg: cfg, slots: make(chan struct{}, n)} }

// acquire lends a connection that answered a moment ago, or a new one.
func (p *pool) acquire(ctx context.Context) (*pgx.Conn, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	c, err := p.get(ctx)
	if err != nil {
		<-p.slots
		return nil, nil, err
	}
	return c.Conn, func() { p.put(c) }, nil
}

func (p *pool) get(ctx context.Context) (idleConn, error) {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return idleConn{}, errPoolClosed
		}
		n := len(p.idle) - 1
		if n < 0 {
			p.mu.Unlock()
			c, err := pgx.ConnectConfig(ctx, p.cfg)
			return idleConn{Conn: c, born: time.Now()}, err
		}
		c := p.idle[n]
		p.idle = p.idle[:n]
		p.mu.Unlock()
		if c.alive(ctx) {
			return c, nil
		}
		hangUp(c.Conn)
		if err := ctx.Err(); err != nil {
			return idleConn{}, err
		}
	}
}

func (c idleConn) alive(ctx context.Context) bool {
	idle := time.Since(c.since)
	switch {
	case c.IsClosed(), idle > idleMax, time.Since(c.born) > maxLife:
		return false
	case idle < idleCheck:
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, pingWait)
	defer cancel()
	return c.Ping(ctx) == nil
}

// put takes a connection back. One in which something was left undone is closed.
func (p *pool) put(c idleConn) {
	defer func() { <-p.slots }()
	c.since = time.Now()
	p.mu.Lock()
	keep := !p.closed && !c.IsClosed() && c.PgConn().TxStatus() == 'I'
	if keep {
		p.idle = append(p.idle, c)
	}
	var old []idleConn
	for len(p.idle) > 0 && c.since.Sub(p.idle[0].since) > idleMax {
		old, p.idle = append(old, p.idle[0]), p.idle[1:]
	}
	p.mu.Unlock()
	if !keep {
		hangUp(c.Conn)
	}
	for _, c := range old {
		hangUp(c.Conn)
	}
}

// close waits for what is lent and closes all.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	for _, c := range idle {
		hangUp(c.Conn)
	}
	for range cap(p.slots) {
		<-p.slots
	}
}

// hangUp closes a connection without waiting long for a server that may be gone.
func hangUp(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), pingWait)
	defer cancel()
	_ = c.Close(ctx) // there is nobody to tell, and nothing was under way
}
