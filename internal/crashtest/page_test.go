package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPage: a result takes the place of the former one of its store and leaves everything else.
func TestPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("# Figures\n\nText.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(store string, killed int) {
		t.Helper()
		r := newTotals(store)
		r.Crashes["put.before"] = killed
		if err := writePage(path, r, behaved{Dropped: 1, Requests: 8}, 7); err != nil {
			t.Fatal(err)
		}
	}
	write(boltStore, 11)
	write(pgStore, 22)
	write(rxStore, 44)
	write(boltStore, 33)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for want, n := range map[string]int{
		"# Figures\n\nText.\n": 1, "## Figures 6 and 7": 1, "### bbolt": 1, "### PostgreSQL": 1, "### Prescriptions": 1, "| 12.5 % |": 3, "seed 7": 3,
		"put.before 11": 0, "put.before 22": 1, "put.before 33": 1, "put.before 44": 1, "**ghosts**": 1,
	} {
		if got := strings.Count(page, want); got != n {
			t.Errorf("%q stands there %d times, want %d:\n%s", want, got, n, page)
		}
	}
}
