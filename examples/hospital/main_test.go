package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/pgtest"
)

// TestMain is a node when it is told to be one.
func TestMain(m *testing.M) {
	if os.Getenv(envConfig) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestRun plays it with three processes.
func TestRun(t *testing.T) {
	dsn := pgtest.DSN(t)
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, &out, dsn); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log("\n" + out.String())
	want := []string{
		`three nodes are logged in, with 1 request to the login service`,
		`node 1: insured yes, mutuality 319, live`,
		`the platform is away`,
		`node 2: insured yes, mutuality 319, stored: No connection\. Insurability shown as checked on .+ \(0 days ago\)\.`,
		`node 1: stay 101 closed, report queued`,
		`node 1: stay 102 closed, report queued`,
		`node 1: stay 103 closed, report queued`,
		`node 1: refused: no such stay, nothing is sent`,
		`node 1: 3 waiting, 0 sent by this node: 3 messages are waiting and will be sent by themselves\. Urgent\? Please phone\.`,
		`node 1 is killed`,
		`the platform is back`,
		`node 2: 0 waiting, \d sent by this node`,
		`node 3: 0 waiting, \d sent by this node`,
		`executions of the report of stay 101: 1`,
		`executions of the report of stay 102: 1`,
		`executions of the report of stay 103: 1`,
		`executions of the report of stay 999: 0`,
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d", len(lines), len(want))
	}
	for i, w := range want {
		if !regexp.MustCompile("^" + w + "$").MatchString(lines[i]) {
			t.Errorf("line %d is %q, want %s", i+1, lines[i], w)
		}
	}
	var second, third int
	_, err2 := fmt.Sscanf(lines[11], "node 2: 0 waiting, %d sent", &second)
	_, err3 := fmt.Sscanf(lines[12], "node 3: 0 waiting, %d sent", &third)
	if err2 != nil || err3 != nil || second+third != len(stays) {
		t.Errorf("the others sent %d and %d of %d", second, third, len(stays))
	}
	if m := regexp.MustCompile(`\d{11}`).FindString(out.String()); m != "" {
		t.Error("a number of eleven digits is shown")
	}
	swept(t, dsn)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d files left behind, %v", len(left), err)
	}
}

// swept checks that nothing is left in the database: the next play begins anew.
func swept(t *testing.T, dsn string) {
	t.Helper()
	conn, err := connect(t.Context(), dsn, "public")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'hospital%' OR nspname = 'ehealth'").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d schemas left behind, %v", n, err)
	}
}
