package postgres_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/postgres"
)

// lossyDB is a store whose connections can lose an answer: what the client sends arrives, the server
// does it, and the connection breaks when it says so.
type lossyDB struct {
	db    *postgres.DB
	store *postgres.Outbox
	mu    sync.Mutex
	text  string // the answer to a statement with this text is the next to be lost; "" = none
	lost  int
	gone  bool // after a loss nobody answers any more
	cut   bool // the statement is lost on its way, and nobody says so
}

func (l *lossyDB) lose(text string) { l.mu.Lock(); defer l.mu.Unlock(); l.text, l.lost = text, 0 }

type lossyConn struct {
	net.Conn
	l  *lossyDB
	mu sync.Mutex
	on bool // the answer to what was sent is to be lost
}

func (c *lossyConn) Write(b []byte) (int, error) {
	c.l.mu.Lock()
	if c.l.text != "" && bytes.Contains(b, []byte(c.l.text)) {
		c.l.text = ""
		c.l.lost++
		if c.l.cut {
			c.l.mu.Unlock()
			return len(b), nil
		}
		c.mu.Lock()
		c.on = true
		c.mu.Unlock()
	}
	c.l.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on && n > 0 {
		_ = c.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// lossy gives a store over one connection at a time.
func lossy(t *testing.T, dsn string) *lossyDB {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec // one message and one answer for a statement
	l := &lossyDB{}
	dial := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		l.mu.Lock()
		gone := l.gone && l.lost > 0
		l.mu.Unlock()
		if gone {
			return nil, syscall.ECONNREFUSED
		}
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &lossyConn{Conn: c, l: l}, nil
	}
	var mu sync.Mutex
	var conn *pgx.Conn
	db, err := postgres.OpenShared(t.Context(), func(ctx context.Context) (*pgx.Conn, func(), error) {
		mu.Lock()
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
				mu.Unlock()
				return nil, nil, err
			}
		}
		return conn, mu.Unlock, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l.db, l.store = db, db.Outbox()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if conn != nil {
			_ = conn.Close(context.Background())
		}
	})
	return l
}
