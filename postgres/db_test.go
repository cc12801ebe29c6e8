package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/crashtest/fail"
	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// TestMigrationFromOlderVersions: what was stored stays, and what came later works.
func TestMigrationFromOlderVersions(t *testing.T) {
	for version := range postgres.Versions() {
		dsn := pgtest.DSN(t)
		if err := postgres.OpenVersion(t.Context(), dsn, version); err != nil {
			t.Fatal(err)
		}
		c := connect(t, dsn)
		if version > 0 {
			if n := number(t, c, "SELECT max(version) FROM ehealth.version"); n != version {
				t.Fatalf("version %d, want %d", n, version)
			}
			exec(t, c, "SELECT ehealth.insert($1, $2, 'kind.a', 2::smallint, 0::smallint, 0, 0, 0, 0, 'sealed', 'sealed', NULL, NULL, 0, NULL)",
				[16]byte(entry(1, 1).ID), [16]byte(entry(1, 1).Line))
		}
		if version < postgres.Versions() && number(t, c, "SELECT count(*) FROM pg_tables WHERE schemaname = 'ehealth' AND tablename = 'answer'") != 0 {
			t.Fatal("this is no older version")
		}
		db := open(t, dsn)
		if n := number(t, c, "SELECT max(version) FROM ehealth.version"); n != postgres.Versions() {
			t.Errorf("from %d: version %d", version, n)
		}
		if e, err := db.Outbox().Load(t.Context(), entry(1, 1).ID); version > 0 && (err != nil || string(e.Payload) != "sealed") {
			t.Errorf("from %d: %v", version, err)
		}
		if err := db.Answers().Save(t.Context(), [32]byte{}, []byte("x"), time.Now()); err != nil {
			t.Errorf("from %d: %v", version, err)
		}
	}
}

func TestANewerSchemaIsNotTouched(t *testing.T) {
	dsn := pgtest.DSN(t)
	open(t, dsn)
	c := connect(t, dsn)
	exec(t, c, "INSERT INTO ehealth.version (version, applied) VALUES (99, now())")
	if _, err := postgres.Open(t.Context(), dsn); !errors.Is(err, outbox.ErrNewer) {
		t.Fatal(err)
	}
	if n := number(t, c, "SELECT count(*) FROM ehealth.version"); n != postgres.Versions()+1 {
		t.Fatalf("%d versions", n)
	}
}

func TestNodesThatStartTogetherMigrateOnce(t *testing.T) {
	dsn := pgtest.DSN(t)
	var steps atomic.Int32
	fail.Set(func(name string) {
		if name == "postgres.migrate.step" {
			steps.Add(1)
		}
	})
	defer fail.Set(nil)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			db, err := postgres.Open(t.Context(), dsn)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if int(steps.Load()) != postgres.Versions() {
		t.Errorf("%d steps", steps.Load())
	}
}

func TestSchemasAreSeparate(t *testing.T) {
	dsn := pgtest.DSN(t)
	a, b := open(t, dsn, postgres.WithSchema("one")).Outbox(), open(t, dsn, postgres.WithSchema("two")).Outbox()
	insert(t, a, entry(1, 1))
	if _, err := b.Load(t.Context(), entry(1, 1).ID); !errors.Is(err, outbox.ErrNotFound) {
		t.Error(err)
	}
	insert(t, b, entry(1, 1))
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]postgres.Option{
		"quotes": postgres.WithSchema(`x"; DROP`), "upper case": postgres.WithSchema("Care"), "long": postgres.WithSchema(strings.Repeat("x", 41)),
		"connections": postgres.WithMaxConns(-1), "locks": postgres.WithLocks(-1),
	} {
		if _, err := postgres.Open(t.Context(), "host=/nowhere", o); !errors.Is(err, outbox.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := postgres.OpenShared(t.Context(), nil); !errors.Is(err, outbox.ErrInvalid) {
		t.Error(err)
	}
	_, err := postgres.Open(t.Context(), "postgres://me:s3cret@%zz")
	if !errors.Is(err, outbox.ErrInvalid) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a wrong DSN: %v", err)
	}
	_, err = postgres.Open(t.Context(), "host="+t.TempDir()+" password=s3cret user=me dbname=x")
	if fault.KindOf(err) != fault.Unavailable || fault.OutcomeOf(err) != fault.NotSent || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("no server: %v", err)
	}
}

// TestConnectionsAreBounded: nobody gets more than the bound, and who waits for one can give up.
func TestConnectionsAreBounded(t *testing.T) {
	dsn := pgtest.DSN(t)
	c := connect(t, dsn)
	db := open(t, dsn, postgres.WithMaxConns(2))
	s := db.Outbox()
	insert(t, s, entry(1, 1))
	tx := begin(t, c)
	exec(t, tx, "LOCK TABLE ehealth.item IN ACCESS EXCLUSIVE MODE")
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := s.Load(t.Context(), entry(1, 1).ID); err != nil {
				t.Error(err)
			}
		})
	}
	watch := connect(t, dsn)
	for number(t, watch, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") < 2 {
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Load(ctx, entry(1, 1).ID); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// c and watch are the other two.
	if n := number(t, watch, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"); n > 2+2+1 {
		t.Errorf("%d connections", n) // one more for the notice
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// TestBrokenIdleConnectionsAreNotNoticed: all connections were cut, e.g. by a failover.
func TestBrokenIdleConnectionsAreNotNoticed(t *testing.T) {
	dsn := pgtest.DSN(t)
	s, c := open(t, dsn).Outbox(), connect(t, dsn)
	insert(t, s, entry(1, 1))
	exec(t, c, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	for number(t, c, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()") != 0 {
	}
	if _, err := s.Load(t.Context(), entry(1, 1).ID); err != nil {
		t.Error(err)
	}
	insert(t, s, entry(2, 2))
}

// TestWritesAreDurableThoughTheSessionIsNot: the caller's pool may have switched it off.
func TestWritesAreDurableThoughTheSessionIsNot(t *testing.T) {
	dsn := pgtest.DSN(t)
	n, c := startNode(t, dsn, ok), connect(t, dsn)
	exec(t, c, "SET synchronous_commit = off")
	tx := begin(t, c)
	if _, err := postgres.PutTx(t.Context(), tx, n.box, item("ref", "")); err != nil {
		t.Fatal(err)
	}
	var v string
	if err := tx.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&v); err != nil || v != "on" {
		t.Errorf("%q in the transaction that carries an item: %v", v, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&v); err != nil || v != "off" {
		t.Errorf("%q afterwards: %v", v, err)
	}
}

// TestSharedConnectionsStayOpen, and each kind of mode of the driver serves.
func TestSharedConnectionsStayOpen(t *testing.T) {
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec"} {
		dsn := pgtest.DSN(t)
		c := connect(t, dsn+" default_query_exec_mode="+mode)
		var mu sync.Mutex
		db, err := postgres.OpenShared(t.Context(), func(context.Context) (*pgx.Conn, func(), error) {
			mu.Lock()
			return c, mu.Unlock, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s := db.Outbox()
		insert(t, s, entry(1, 1))
		got, err := s.Claim(t.Context(), claimAt("a", time.Now()))
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		if _, err := s.Claim(t.Context(), claimAt("a", time.Now())); !errors.Is(err, outbox.ErrNothing) {
			t.Fatalf("%s: %v", mode, err)
		}
		e := got.Head
		e.Rev, e.State, e.Payload = 2, outbox.Parked, nil
		if err := s.Swap(t.Context(), e, outbox.Guard{Lease: &got.Lease, Release: true}); err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		if es, err := s.Headers(t.Context(), []outbox.ID{{9}, e.ID}); err != nil || len(es) != 1 || es[0].Rev != 2 {
			t.Fatalf("%s: %d headers: %v", mode, len(es), err)
		}
		if p, err := s.List(t.Context(), outbox.Query{State: outbox.Parked, Before: time.Now()}); err != nil || len(p.Entries) != 1 {
			t.Fatalf("%s: %v", mode, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if number(t, c, "SELECT 1") != 1 {
			t.Fatal("closed")
		}
	}
}
