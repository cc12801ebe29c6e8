package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

func tokens(t *testing.T, db *postgres.DB, key cache.Key) sts.Store {
	t.Helper()
	s, err := db.Tokens(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokensAreSealed(t *testing.T) {
	dsn := pgtest.DSN(t)
	a, b, c := tokens(t, open(t, dsn), cacheKey(t, 1)), tokens(t, open(t, dsn), cacheKey(t, 1)), connect(t, dsn)
	load := func(s sts.Store, want string) {
		t.Helper()
		got, err := s.Load(t.Context(), "somebody")
		if err != nil || string(got) != want || want == "" && got != nil {
			t.Fatalf("%d bytes: %v", len(got), err)
		}
	}
	load(a, "")
	for _, record := range []string{"a token of somebody", "another token"} {
		if err := a.Save(t.Context(), "somebody", []byte(record)); err != nil {
			t.Fatal(err)
		}
		load(b, record)
	}
	load(tokens(t, open(t, dsn), cacheKey(t, 2)), "") // another key neither sees nor destroys it
	load(a, "another token")
	var name, record []byte
	if err := c.QueryRow(t.Context(), "SELECT name, record FROM ehealth.token").Scan(&name, &record); err != nil {
		t.Fatal(err)
	}
	for _, clear := range []string{"somebody", "token"} {
		if bytes.Contains(name, []byte(clear)) || bytes.Contains(record, []byte(clear)) {
			t.Fatal("the database can read")
		}
	}
	for _, damage := range []string{
		"SET record = set_byte(record, 30, get_byte(record, 30) # 1)", "SET record = '\\x01'", "SET record = ''",
		"SET record = set_byte(record, 0, 2)",
	} {
		if err := a.Save(t.Context(), "somebody", []byte("good")); err != nil {
			t.Fatal(err)
		}
		exec(t, c, "UPDATE ehealth.token "+damage)
		if _, err := a.Load(t.Context(), "somebody"); !errors.Is(err, cache.ErrCorrupt) || fault.KindOf(err) != fault.Security {
			t.Errorf("%s: %v", damage, err)
		}
	}
	if err := b.Delete(t.Context(), "somebody"); err != nil {
		t.Fatal(err)
	}
	load(a, "")
	if err := a.Save(t.Context(), "somebody", make([]byte, cache.MaxRecord+1)); !errors.Is(err, cache.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := open(t, dsn).Tokens(cache.Key{}); !errors.Is(err, outbox.ErrInvalid) {
		t.Error("no key:", err)
	}
}

// TestTokensMovedBetweenNames: a record is bound to its name.
func TestTokensMovedBetweenNames(t *testing.T) {
	dsn := pgtest.DSN(t)
	s, c := tokens(t, open(t, dsn), cacheKey(t, 1)), connect(t, dsn)
	for _, who := range []string{"a", "b"} {
		if err := s.Save(t.Context(), who, []byte("of "+who)); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, c, "UPDATE ehealth.token t SET record = o.record FROM ehealth.token o WHERE t.name <> o.name")
	for _, who := range []string{"a", "b"} {
		if got, err := s.Load(t.Context(), who); !errors.Is(err, cache.ErrCorrupt) {
			t.Errorf("%s got %q: %v", who, got, err)
		}
	}
}

func TestOldTokensAreForgotten(t *testing.T) {
	dsn := pgtest.DSN(t)
	s, c := tokens(t, open(t, dsn), cacheKey(t, 1)), connect(t, dsn)
	exec(t, c, "INSERT INTO ehealth.token VALUES ('old', '', now() - interval '8 days'), ('new', '', now() - interval '6 days')")
	if err := s.Save(t.Context(), "somebody", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if n := number(t, c, "SELECT count(*) FROM ehealth.token"); n != 2 {
		t.Fatalf("%d records", n)
	}
}

// ours selects the advisory locks of this database.
const ours = "locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"

// waiting blocks until so many sessions wait for a lock.
func waiting(t *testing.T, c *pgx.Conn, n int) {
	t.Helper()
	for number(t, c, "SELECT count(*) FROM pg_locks WHERE NOT granted AND "+ours) != n {
	}
}

func TestLockExcludesAndEnds(t *testing.T) {
	dsn := pgtest.DSN(t)
	first, second := open(t, dsn), open(t, dsn)
	a, b, watch := tokens(t, first, cacheKey(t, 1)), tokens(t, second, cacheKey(t, 1)), connect(t, dsn)
	unlock, err := a.Lock(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.Lock(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	other()

	// The end of ctx ends the wait: for another process, and inside one.
	for name, s := range map[string]sts.Store{"another process": b, "this process": a} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { _, err := s.Lock(ctx, "k"); done <- err }()
		if s == b {
			waiting(t, watch, 1)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	waiting(t, watch, 0)

	// The lock of a dead holder is free: here its connection is cut.
	got := make(chan func(), 1)
	go func() {
		u, err := b.Lock(t.Context(), "k")
		if err != nil {
			t.Error(err)
		}
		got <- u
	}()
	waiting(t, watch, 1)
	exec(t, watch, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE granted AND "+ours)
	(<-got)()
	unlock()
	unlock() // harmless

	// Locks are bounded, and what waits for a free one ends with the DB.
	var held []func()
	for i := range postgres.DefaultLocks {
		u, err := b.Lock(t.Context(), strings.Repeat("x", i+1))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, u)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Lock(ctx, "one more"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, u := range held {
		u()
	}
	for number(t, watch, "SELECT count(*) FROM pg_locks WHERE "+ours) != 0 { // the server needs a moment to see that they hung up
	}
}

// TestLockOfAPausedHolderEnds: a process that was paused keeps its connection, yet not its lock.
func TestLockOfAPausedHolderEnds(t *testing.T) {
	dsn := pgtest.DSN(t)
	paused := open(t, dsn)
	paused.SetMaxHold(time.Second)
	unlock, err := tokens(t, paused, cacheKey(t, 1)).Lock(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	next, err := tokens(t, open(t, dsn), cacheKey(t, 1)).Lock(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	unlock() // it is back, and disturbs nobody
	if n := number(t, connect(t, dsn), "SELECT count(*) FROM pg_locks WHERE granted AND "+ours); n != 1 {
		t.Errorf("%d locks", n)
	}
	next()
}
