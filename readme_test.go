package ehealth_test

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeShowsTheQuickstart keeps the README's program the one that a test runs.
func TestReadmeShowsTheQuickstart(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("examples/quickstart/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```go\n")
	if !ok {
		t.Fatal("README has no Go program")
	}
	shown, _, ok := strings.Cut(rest, "\n```")
	if !ok || !strings.Contains(string(program), shown) {
		t.Error("the README's program is not that of examples/quickstart")
	}
	if n := strings.Count(shown, "\n") + 1; n > 35 {
		t.Errorf("the README's program has %d lines", n)
	}
}
