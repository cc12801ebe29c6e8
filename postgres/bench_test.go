package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// BenchmarkPut compares durable puts of 4 kB with a plain INSERT and COMMIT of one row of 4 kB, by
// the same number of connections, on the same server, in the same run: a slice of one, a slice of
// the other.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(map[int]string{1: "1writer", 16: "16writers"}[writers], func(b *testing.B) {
			dsn := pgtest.DSN(b)
			exec(b, connect(b, dsn), "CREATE TABLE plain (id bigserial PRIMARY KEY, body bytea NOT NULL)")
			body := make([]byte, 4096)
			_, _ = rand.Read(body)
			n := startNodeWith(b, dsn, writers)
			conns := make([]*pgx.Conn, writers)
			for i := range conns {
				conns[i] = connect(b, dsn)
			}
			puts := func(int) error {
				_, err := n.box.Put(b.Context(), outbox.Item{Kind: "app.write", Key: rand.Text(), Payload: body})
				return err
			}
			plain := func(w int) error {
				_, err := conns[w].Exec(b.Context(), "INSERT INTO plain (body) VALUES ($1)", body)
				return err
			}
			slice := max(16, writers)
			crowd(b, writers, slice, puts)
			crowd(b, writers, slice, plain)
			var ours, theirs time.Duration
			b.ResetTimer()
			for done := 0; done < b.N; done += slice {
				ours += crowd(b, writers, min(slice, b.N-done), puts)
				b.StopTimer()
				theirs += crowd(b, writers, min(slice, b.N-done), plain)
				b.StartTimer()
			}
			b.ReportMetric(float64(theirs)/float64(ours), "x-plain-insert")
			b.ReportMetric(float64(theirs.Nanoseconds())/float64(b.N), "plain-ns/op")
		})
	}
}

func startNodeWith(b *testing.B, dsn string, conns int) node {
	db := open(b, dsn, postgres.WithMaxConns(conns))
	k, err := outbox.KeyFromBytes(make([]byte, outbox.KeySize))
	if err != nil {
		b.Fatal(err)
	}
	box, err := outbox.Open(b.Context(), db.Outbox(), outbox.NewKeys(k))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = box.Close() })
	return node{db, box}
}

// crowd lets workers do n things together.
func crowd(b *testing.B, workers, n int, do func(worker int) error) time.Duration {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	begun := time.Now()
	for w := range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(w); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

// million fills the table with parked and waiting items, as an outage of weeks might.
func million(t testing.TB, dsn string, parked, waiting int) *postgres.Outbox {
	t.Helper()
	s, c := open(t, dsn).Outbox(), connect(t, dsn)
	exec(t, c, `INSERT INTO ehealth.item SELECT gen_random_uuid(), gen_random_uuid(), nextval('ehealth.seq'), 1, 'kind.a', 6, 0, 1, 1, 0, n, 'sealed header of an item', 'sealed', NULL
		FROM generate_series(1, $1::int) n`, parked)
	exec(t, c, `INSERT INTO ehealth.item SELECT gen_random_uuid(), gen_random_uuid(), nextval('ehealth.seq'), 1, 'kind.a', 2, 0, 0, n, 0, n, 'sealed header of an item', 'sealed', NULL
		FROM generate_series(1, $1::int) n`, waiting)
	exec(t, c, "INSERT INTO ehealth.line (line, head, kind, rank, due) SELECT line, id, kind, ehealth.rank(priority), due FROM ehealth.item WHERE state = 2")
	exec(t, c, "VACUUM ANALYZE ehealth.item")
	exec(t, c, "VACUUM ANALYZE ehealth.line")
	return s
}

// TestIndexesServeEveryQuestion: among 50 000 items no statement of a worker reads a table from end to
// end. The plans are those of the server for the statements inside the functions.
func TestIndexesServeEveryQuestion(t *testing.T) {
	dsn := pgtest.DSN(t)
	million(t, dsn, 40_000, 10_000)
	c := connect(t, dsn)
	for _, q := range []string{
		`SELECT x FROM ehealth.line x WHERE x.kind = 'kind.a' AND x.rank = 1 AND x.ready <= 9000000000000000000 AND x.due <= 9000000000000000000 AND x.until < 9000000000000000000
			ORDER BY x.ready, x.line LIMIT 1 FOR UPDATE SKIP LOCKED`,
		"SELECT due, until FROM ehealth.line x WHERE x.kind = 'kind.a' AND x.rank = 1 ORDER BY x.ready LIMIT 1",
		"SELECT id, kind, ehealth.rank(priority), due FROM ehealth.item WHERE line = gen_random_uuid() AND state BETWEEN 2 AND 5 ORDER BY seq LIMIT 1",
		"SELECT id FROM ehealth.item WHERE state <= 3 AND expires <> 0 AND expires <= 7 ORDER BY expires, id LIMIT 101",
		"SELECT id FROM ehealth.item WHERE NOT (state BETWEEN 2 AND 5) AND state = 6 AND changed < 500 AND (changed, id) > (10, gen_random_uuid()) ORDER BY changed, id LIMIT 101",
		"SELECT id FROM ehealth.item WHERE id = ANY(ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 39)))",
		"SELECT id FROM ehealth.answer WHERE expires < 7 ORDER BY expires LIMIT 1000",
	} {
		rows, err := c.Query(t.Context(), "EXPLAIN "+q)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		if strings.Contains(text, "Seq Scan") || !strings.Contains(text, "Index") || strings.Contains(text, "answer") != strings.Contains(q, "answer") {
			t.Errorf("%s\n%s", q, text)
		}
	}
	// And what the functions really do, often enough for the server to settle on plans: its count of
	// scans from end to end in one transaction.
	exec(t, c, "BEGIN")
	var mu sync.Mutex
	db, err := postgres.OpenShared(t.Context(), func(context.Context) (*pgx.Conn, func(), error) {
		mu.Lock()
		return c, mu.Unlock, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := db.Outbox()
	for i := range 20 {
		got, err := s.Claim(t.Context(), claimAt(rand.Text(), time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		e := got.Head
		e.Rev, e.State, e.Payload = e.Rev+1, outbox.Parked, nil
		if err := s.Swap(t.Context(), e, outbox.Guard{Lease: &got.Lease, Release: true}); err != nil {
			t.Fatal(err)
		}
		insert(t, s, entry(i, byte(i)))
		if es, err := s.Headers(t.Context(), make([]outbox.ID, 39)); err != nil || len(es) != 0 {
			t.Fatalf("%d headers: %v", len(es), err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := number(t, c, "SELECT sum(seq_scan)::int FROM pg_stat_xact_user_tables WHERE schemaname = 'ehealth' AND relname IN ('item', 'line')"); n != 0 {
		t.Errorf("%d scans from end to end", n)
	}
	if n := number(t, c, "SELECT sum(idx_scan)::int FROM pg_stat_xact_user_tables WHERE schemaname = 'ehealth'"); n < 60 {
		t.Errorf("only %d scans of indexes were counted", n)
	}
	exec(t, c, "ROLLBACK")
}

// BenchmarkClaimAmongAMillion claims, settles and gives back, with a million parked items beside.
func BenchmarkClaimAmongAMillion(b *testing.B) {
	const waiting = 20_000
	s := million(b, pgtest.DSN(b), 1_000_000, waiting)
	step := func(b *testing.B) {
		got, err := s.Claim(b.Context(), claimAt("w", time.Now()))
		if errors.Is(err, outbox.ErrNothing) {
			b.Skip("all were claimed")
		}
		if err != nil {
			b.Fatal(err)
		}
		e := got.Head
		e.Rev, e.State, e.Payload = e.Rev+1, outbox.Parked, nil
		if err := s.Swap(b.Context(), e, outbox.Guard{Lease: &got.Lease, Release: true}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("claim+swap", func(b *testing.B) {
		for b.Loop() {
			step(b)
		}
	})
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Count(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if err := s.Check(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkShow looks for the 39 names that a new prescription could have: all at once, and beside that, in the same run, one after
// another.
func BenchmarkShow(b *testing.B) {
	box := startNodeWith(b, pgtest.DSN(b), 2).box
	ids := make([]outbox.ID, 39)
	for i := range ids {
		ids[i] = box.ID("app.write", rand.Text())
	}
	var single time.Duration
	for b.Loop() {
		if views, err := box.ShowAll(b.Context(), ids...); err != nil || len(views) != 0 {
			b.Fatal(err)
		}
		b.StopTimer()
		begun := time.Now()
		for _, id := range ids {
			if _, err := box.Show(b.Context(), id); !errors.Is(err, outbox.ErrNotFound) {
				b.Fatal(err)
			}
		}
		single += time.Since(begun)
		b.StartTimer()
	}
	b.ReportMetric(float64(single.Nanoseconds())/float64(b.N), "one-by-one-ns/op")
	b.ReportMetric(float64(single)/float64(b.Elapsed()), "times-faster")
}
