package postgres_test

import (
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/pgtest"
	"github.com/ehealth-continuity/ehealth/postgres"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/resilience/outbox/outboxtest"
)

func open(t testing.TB, dsn string, opts ...postgres.Option) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), dsn, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// TestOutboxPassesTheSuite gives each handle connections of its own, as processes have them.
func TestOutboxPassesTheSuite(t *testing.T) {
	outboxtest.Run(t, func(t testing.TB) outboxtest.Backend {
		dsn := pgtest.DSN(t)
		var all []*postgres.Outbox
		open := func(t testing.TB) outbox.Store {
			s := open(t, dsn, postgres.WithMaxConns(2)).TestOutbox()
			all = append(all, s)
			return s
		}
		return outboxtest.Backend{Open: open, Again: func(t testing.TB) outbox.Store {
			for _, s := range all {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			all = nil
			return open(t)
		}}
	})
}
