package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFigures measures two quick figures in processes of their own, prints them and writes the page.
func TestFigures(t *testing.T) {
	page := filepath.Join(t.TempDir(), "figures.md")
	// What another command measured stays.
	if err := os.WriteFile(page, []byte("# Figures\n\nold\n\n## Figures 6 and 7: lost\n\n| kept | 0 |\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"drill", "--figures", "--seeds", "3", "--only", "12,15"}
	r := call(t, append(args, "--json", "--write", page)...)
	var table struct {
		Seeds int
		Rows  []struct {
			Figure, Name string
			Values       map[string][]any
		}
	}
	decode(t, r, done, &table)
	if table.Seeds != 3 || len(table.Rows) != 6 {
		t.Fatalf("%d seeds, %d rows", table.Seeds, len(table.Rows))
	}
	for _, row := range table.Rows {
		if len(row.Values["ours"]) != 3 || row.Figure != "12" && row.Figure != "15" {
			t.Errorf("figure %s, %s: %v", row.Figure, row.Name, row.Values)
		}
	}
	written, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"go run ./cmd/ehealth drill --figures --seeds 3 --only 12,15 --write docs/figures.md", "## Figure 12", "## Figure 15", "\n## Figures 6 and 7: lost\n\n| kept | 0 |\n", "| of them after the restart at noon | ≤ 0 | 0 |"} {
		if !strings.Contains(string(written), want) {
			t.Errorf("page without %q", want)
		}
	}
	if strings.Contains(string(written), "old") {
		t.Error("the old page is still there")
	}

	text := call(t, args...)
	if text.code != done || text.err != "" || !strings.Contains(text.out, "12. Tokens per user and day") || !strings.Contains(text.out, "3 seeds") {
		t.Errorf("exit code %d\n%s%s", text.code, text.out, text.err)
	}
	for _, wrong := range [][]string{{"--seeds", "0"}, {"--only", "6"}} {
		if r := call(t, append([]string{"drill", "--figures"}, wrong...)...); r.code != usage {
			t.Errorf("%v: exit code %d", wrong, r.code)
		}
	}
}
