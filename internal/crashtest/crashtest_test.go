package main

import (
	"os"
	"testing"
	"time"
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
	if err := one(t.Output(), boltStore, t.TempDir(), 80, 8, uint64(time.Now().UnixNano())); err != nil {
		t.Fatal(err)
	}
}
