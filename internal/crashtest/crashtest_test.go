package main

import (
	"os"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/pgtest"
)

func TestMain(m *testing.M) {
	if childArgs() != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// T18 of dossier 06 B.6: a process killed at each step of a send. A short batch; the long one is
// go run ./internal/crashtest -n 10000.
func TestCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for a while")
	}
	t.Parallel()
	for _, store := range []string{boltStore, pgStore} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			var server *pgtest.Server
			if store == pgStore {
				server = pgtest.Restartable(t)
			}
			if _, _, err := campaigns(t.Output(), store, server, t.TempDir(), 0, 6, uint64(time.Now().UnixNano())); err != nil {
				t.Fatal(err)
			}
		})
	}
}
