package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/postgres"
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
