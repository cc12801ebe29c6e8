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
	for _, c := range []struct {
		store string
		n     int // each point once, and a few more
	}{{boltStore, 40}, {pgStore, 40}} {
		t.Run(c.store, func(t *testing.T) {
			t.Parallel()
			var server *pgtest.Server
			if c.store == pgStore {
				server = pgtest.Restartable(t)
			}
			if _, _, err := campaigns(t.Output(), c.store, server, t.TempDir(), c.n, 14, uint64(time.Now().UnixNano())); err != nil {
				t.Fatal(err)
			}
		})
	}
}
