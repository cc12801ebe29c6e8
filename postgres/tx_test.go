package postgres_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

func item(ref, payload string) outbox.Item {
	return outbox.Item{Kind: "app.write", Key: "patient 1", Ref: ref, Payload: []byte(payload)}
}

func begin(t *testing.T, c *pgx.Conn) pgx.Tx {
	t.Helper()
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func TestPutTxLivesAndDiesWithTheTransaction(t *testing.T) {
	dsn := pgtest.DSN(t)
	n, c := startNode(t, dsn, ok), connect(t, dsn)
	store := n.db.Outbox()
	exec(t, c, "CREATE TABLE stay (closed bool)")
	for _, end := range []string{"rollback", "commit"} {
		tx := begin(t, c)
		exec(t, tx, "INSERT INTO stay VALUES (true)")
		id, err := postgres.PutTx(t.Context(), tx, n.box, item("ref", "message"))
		if err != nil {
			t.Fatal(err)
		}
		if got := count(t, store).Of(outbox.Prepared); got != 0 {
			t.Fatalf("%d items before the end", got)
		}
		if end == "rollback" {
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := n.box.Show(t.Context(), id); !errors.Is(err, outbox.ErrNotFound) {
				t.Fatalf("after a rollback: %v", err)
			}
			continue
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := n.box.Drain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		res, err := n.box.Result(t.Context(), id)
		if err != nil || string(res.Answer) != "answer to ref" {
			t.Fatalf("%v", err)
		}
	}
	if got := number(t, c, "SELECT count(*) FROM stay"); got != 1 {
		t.Fatalf("%d rows of the caller's", got)
	}
	if err := store.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPutTxTwice(t *testing.T) {
	dsn := pgtest.DSN(t)
	n, c := startNode(t, dsn, ok), connect(t, dsn)
	before, err := n.box.Put(t.Context(), item("before", "a"))
	if err != nil {
		t.Fatal(err)
	}
	tx := begin(t, c)
	first, err := postgres.PutTx(t.Context(), tx, n.box, item("ref", "a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		ref, payload string
		id           outbox.ID
		want         error
	}{
		{"ref", "a", first, nil},
		{"ref", "b", outbox.ID{}, outbox.ErrConflict},
		{"before", "a", before, nil},
		{"before", "b", outbox.ID{}, outbox.ErrConflict},
		{"other", "", outbox.ID{}, outbox.ErrInvalid}, // no kind: see below
	} {
		it := item(step.ref, step.payload)
		if step.ref == "other" {
			it.Kind = ""
		}
		id, err := postgres.PutTx(t.Context(), tx, n.box, it)
		if !errors.Is(err, step.want) || id != step.id {
			t.Errorf("%s %s: %v", step.ref, step.payload, err)
		}
	}
	// None of the refusals spoiled the transaction.
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, err := n.box.Put(t.Context(), item("ref", "a")); err != nil || again != first {
		t.Fatalf("put again outside: %v", err)
	}
	if got := count(t, n.db.Outbox()).Of(outbox.Prepared); got != 2 {
		t.Fatalf("%d items", got)
	}
}

// TestPutTxStandsBehindWhatWasPutMeanwhile: the place in the line is that of the commit, so an
// item never comes to stand before one that may be on its way already.
func TestPutTxStandsBehindWhatWasPutMeanwhile(t *testing.T) {
	dsn := pgtest.DSN(t)
	n, c := startNode(t, dsn, ok), connect(t, dsn)
	store := n.db.Outbox()
	tx := begin(t, c)
	late, err := postgres.PutTx(t.Context(), tx, n.box, item("late", ""))
	if err != nil {
		t.Fatal(err)
	}
	early, err := n.box.Put(t.Context(), item("early", "")) // does not wait for the transaction
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, err1 := store.Load(t.Context(), early)
	b, err2 := store.Load(t.Context(), late)
	if err1 != nil || err2 != nil || a.Seq == 0 || b.Seq <= a.Seq {
		t.Fatalf("places %d and %d: %v %v", a.Seq, b.Seq, err1, err2)
	}
	if err := store.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestPutWaitsForATransactionWithTheSameReference, and gives up with its caller.
func TestPutWaitsForATransactionWithTheSameReference(t *testing.T) {
	dsn := pgtest.DSN(t)
	n, c, watch := startNode(t, dsn, ok), connect(t, dsn), connect(t, dsn)
	tx := begin(t, c)
	first, err := postgres.PutTx(t.Context(), tx, n.box, item("ref", "a"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(ctx context.Context) chan error {
		done := make(chan error, 1)
		go func() {
			id, err := n.box.Put(ctx, item("ref", "a"))
			if err == nil && id != first {
				err = errors.New("another id")
			}
			done <- err
		}()
		for number(t, watch, "SELECT count(*) FROM pg_locks WHERE NOT granted AND "+ours) == 0 {
		}
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := put(ctx)
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	for number(t, watch, "SELECT count(*) FROM pg_locks WHERE NOT granted AND "+ours) != 0 {
	}
	waits := put(t.Context())
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Fatal(err)
	}
}

func TestPutTxRefusesAnotherStore(t *testing.T) {
	dsn, other := pgtest.DSN(t), pgtest.DSN(t)
	n, c := startNode(t, dsn, ok), connect(t, other)
	startNode(t, other, ok)
	bolt, err := outbox.OpenBolt(filepath.Join(t.TempDir(), "box.db"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := outbox.KeyFromBytes(make([]byte, outbox.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	local, err := outbox.Open(t.Context(), bolt, outbox.NewKeys(k))
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	tx := begin(t, c)
	for name, box := range map[string]*outbox.Box{"bbolt": local, "another database": n.box, "none": nil} {
		if _, err := postgres.PutTx(t.Context(), tx, box, item("ref", "")); !errors.Is(err, outbox.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c := count(t, bolt); c.Open() != 0 {
		t.Error("the item was stored outside the transaction")
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	empty := connect(t, pgtest.DSN(t))
	tx = begin(t, empty)
	if _, err := postgres.PutTx(t.Context(), tx, n.box, item("ref", "")); !errors.Is(err, outbox.ErrInvalid) {
		t.Errorf("a database without our schema: %v", err)
	}
}

// TestPutTxOfTransactionsOfAllSorts: savepoints, isolation levels, several items.
func TestPutTxOfTransactionsOfAllSorts(t *testing.T) {
	dsn := pgtest.DSN(t)
	n, c := startNode(t, dsn, ok), connect(t, dsn)
	store := n.db.Outbox()
	put := func(tx pgx.Tx, it outbox.Item) outbox.ID {
		t.Helper()
		id, err := postgres.PutTx(t.Context(), tx, n.box, it)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		ref := func(s string) string { return string(level) + s }
		tx, err := c.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
		if err != nil {
			t.Fatal(err)
		}
		first := put(tx, item(ref("first"), ""))
		inner, err := tx.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		gone := put(inner, item(ref("gone"), ""))
		if err := inner.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		second := put(tx, item(ref("second"), ""))
		held := item(ref("held"), "")
		held.Held = true
		third := put(tx, held)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		var last uint64
		for _, id := range []outbox.ID{first, second, third} {
			e, err := store.Load(t.Context(), id)
			if err != nil || e.Seq <= last {
				t.Errorf("%s: place %d after %d: %v", level, e.Seq, last, err)
			}
			last = e.Seq
		}
		if _, err := store.Load(t.Context(), gone); !errors.Is(err, outbox.ErrNotFound) {
			t.Errorf("%s: behind a savepoint that was rolled back: %v", level, err)
		}
		if err := store.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", level, err)
		}
	}
	if c := count(t, store); c.Of(outbox.Prepared) != 6 || c.Of(outbox.Held) != 3 {
		t.Errorf("%v", c)
	}
}

func TestPutTxInAFailedTransaction(t *testing.T) {
	dsn := pgtest.DSN(t)
	n, c := startNode(t, dsn, ok), connect(t, dsn)
	tx := begin(t, c)
	if _, err := tx.Exec(t.Context(), "SELECT 1/0"); err == nil {
		t.Fatal("1/0 is a number")
	}
	var fe *fault.Error
	if _, err := postgres.PutTx(t.Context(), tx, n.box, item("ref", "")); !errors.As(err, &fe) || fe.Code != "25P02" {
		t.Fatalf("%v", err)
	}
	_ = tx.Rollback(t.Context())
	if err := n.box.Close(); err != nil {
		t.Fatal(err)
	}
	tx = begin(t, c)
	if _, err := postgres.PutTx(t.Context(), tx, n.box, item("ref", "")); !errors.Is(err, outbox.ErrClosed) {
		t.Fatalf("a closed box: %v", err)
	}
	_ = tx.Rollback(t.Context())
}

// TestCommitWakesOtherNodes: no poll is in play, only what the database says.
func TestCommitWakesOtherNodes(t *testing.T) {
	dsn := pgtest.DSN(t)
	n, c := startNode(t, dsn, ok), connect(t, dsn)
	hears := func(db *postgres.DB) <-chan struct{} {
		s := db.Outbox()
		t.Cleanup(func() { _ = s.Close() })
		w := s.Wake()
		<-w // it listens
		return w
	}
	other, same := hears(open(t, dsn)), hears(n.db)

	tx := begin(t, c)
	if _, err := postgres.PutTx(t.Context(), tx, n.box, item("in a transaction", "")); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-other
	<-same // the worker of this process does not know of the commit otherwise

	if _, err := n.box.Put(t.Context(), item("alone", "")); err != nil {
		t.Fatal(err)
	}
	<-other

	// A connection that breaks is made anew, and what may have been missed is looked for.
	exec(t, c, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()")
	<-other
	store := open(t, dsn).Outbox()
	got, err := store.Claim(t.Context(), outbox.Claim{Owner: "w", Now: time.Now(), For: time.Minute, Kinds: []outbox.Kind{"app.write"}})
	if err != nil {
		t.Fatal(err)
	}
	select { // what the claim has nothing to do with
	case <-other:
	default:
	}
	if err := store.Release(t.Context(), got.Lease); err != nil {
		t.Fatal(err)
	}
	<-other
}
