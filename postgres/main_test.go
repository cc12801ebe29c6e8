package postgres_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func cacheKey(t testing.TB, n byte) cache.Key {
	t.Helper()
	k, err := cache.KeyFromBytes(bytes.Repeat([]byte{n}, cache.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// node is a DB and a box over it, as one process of a hospital has them.
type node struct {
	db  *postgres.DB
	box *outbox.Box
}

// sender answers, or does what f says.
type sender func(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error)

func (f sender) Send(ctx context.Context, it outbox.Item, a outbox.Attempt) (outbox.Answer, error) {
	return f(ctx, it, a)
}

func startNode(t testing.TB, dsn string, send sender, opts ...outbox.Option) node {
	t.Helper()
	db := open(t, dsn)
	k, err := outbox.KeyFromBytes(bytes.Repeat([]byte{7}, outbox.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	opts = append([]outbox.Option{
		outbox.Handle("app.write", send, outbox.Policy{Class: resilience.IdempotentWrite}),
		outbox.WithPace(-1, -1, -1),
	}, opts...)
	box, err := outbox.Open(t.Context(), db.Outbox(), outbox.NewKeys(k), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	return node{db, box}
}

// ok is a sender that answers with the reference.
func ok(_ context.Context, it outbox.Item, _ outbox.Attempt) (outbox.Answer, error) {
	return outbox.Answer("answer to " + it.Ref), nil
}

func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func exec(t testing.TB, c interface {
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
}, sql string, args ...any,
) {
	t.Helper()
	if _, err := c.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func number(t testing.TB, c *pgx.Conn, sql string, args ...any) (n int) {
	t.Helper()
	if err := c.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func count(t testing.TB, s outbox.Store) outbox.Counts {
	t.Helper()
	c, err := s.Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
