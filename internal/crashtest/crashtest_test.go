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
	rep, err := runAll(t.TempDir(), 250, 8, uint64(time.Now().UnixNano()))
	rep.print(t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if rep.crashes() < 250 || rep.Lost+rep.Doubled+rep.Disorder > 0 || rep.Dropped == 0 {
		t.Fatal("the batch did not show what it should")
	}
}
