package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// TestAWriteThatMayHaveHappenedIsNeverNotSent: the answer to a write is lost and the server stays away. That the last try
// did not even connect says nothing about the first one.
func TestAWriteThatMayHaveHappenedIsNeverNotSent(t *testing.T) {
	dsn := pgtest.DSN(t)
	c := connect(t, dsn)
	db := lossy(t, dsn)
	db.db.Patience(0)
	db.lose("insert(")
	db.gone = true
	_, err := db.store.Insert(t.Context(), entry(1, 1), nil)
	if fault.OutcomeOf(err) != fault.Unknown || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("insert: %v, %s", err, fault.OutcomeOf(err))
	}
	if n := number(t, c, "SELECT count(*) FROM ehealth.item"); n != 1 || db.lost != 1 {
		t.Fatalf("%d items, %d answers lost: this test tests nothing", n, db.lost)
	}
	// Nothing was under way: certainly not sent.
	if _, err := db.store.Insert(t.Context(), entry(2, 2), nil); fault.OutcomeOf(err) != fault.NotSent {
		t.Errorf("insert without a server: %v, %s", err, fault.OutcomeOf(err))
	}
}

// TestServersOfAllLanguages: a server translates the severity of its errors, and says it untranslated, too.
func TestServersOfAllLanguages(t *testing.T) {
	for severity, want := range map[string]fault.Outcome{"ERROR": fault.Rejected, "FATAL": fault.Unknown} {
		err := &pgconn.PgError{Severity: "ERREUR", SeverityUnlocalized: severity, Code: "23514"}
		if got := fault.OutcomeOf(postgres.Wrap("Insert", true, err)); got != want {
			t.Errorf("%s: %s, want %s", severity, got, want)
		}
	}
}

// TestSessionsOfAnotherIsolation: with the snapshot of REPEATABLE READ, the end of a line's last item would not see the one
// that was put meanwhile, and that would stand in no line and be sent never. Such sessions are refused, also those that
// became so later.
func TestSessionsOfAnotherIsolation(t *testing.T) {
	dsn := pgtest.DSN(t)
	if _, err := postgres.Open(t.Context(), dsn+` options='-c default_transaction_isolation=repeatable\\ read'`); !errors.Is(err, outbox.ErrInvalid) {
		t.Fatalf("open: %v", err)
	}
	s := open(t, dsn).Outbox()
	insert(t, s, entry(1, 1), entry(2, 1))
	c := connect(t, dsn)
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		err := pgx.BeginTxFunc(t.Context(), c, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "SELECT ehealth.remove((SELECT head FROM ehealth.line), 0, '')")
			return err
		})
		if pe, is := errors.AsType[*pgconn.PgError](err); !is || pe.Code != "25000" {
			t.Errorf("%s: %v", level, err)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAWorkerIsNotHeldUpByACutNetwork: a worker has no deadline, and what it sends is not answered, nor refused.
func TestAWorkerIsNotHeldUpByACutNetwork(t *testing.T) {
	db := lossy(t, pgtest.DSN(t))
	db.db.SetMaxClaim(time.Second)
	insert(t, db.store, entry(1, 1))
	db.cut = true
	db.lose("claim(")
	got, err := db.store.Claim(t.Context(), claimAt("a", time.Now()))
	for n := 0; err != nil && n < 20; n++ { // a busy machine may need longer than a second
		got, err = db.store.Claim(t.Context(), claimAt("a", time.Now()))
	}
	if err != nil || got.Head.ID != entry(1, 1).ID || db.lost != 1 {
		t.Fatalf("%v, %d statements lost", err, db.lost)
	}
}
