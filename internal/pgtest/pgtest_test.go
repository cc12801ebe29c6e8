package pgtest

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func TestDatabasesAreFreshAndSafe(t *testing.T) {
	a, b := connect(t, DSN(t)), connect(t, DSN(t))
	if _, err := a.Exec(t.Context(), "CREATE TABLE x (n int)"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Exec(t.Context(), "SELECT * FROM x"); err == nil {
		t.Fatal("two tests share a database")
	}
	if os.Getenv("EHEALTH_POSTGRES") != "" {
		return
	}
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var v string
		if err := a.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&v); err != nil || v != "on" {
			t.Errorf("%s is %q: %v", name, v, err)
		}
	}
}

func TestKilledServerComesBackWithWhatWasCommitted(t *testing.T) {
	s := Restartable(t)
	dsn, err := s.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, dsn)
	if _, err := c.Exec(t.Context(), "CREATE TABLE x AS SELECT 7 AS n"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Kill9(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Fatal("a killed server answers")
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var n int
		c = connect(t, dsn)
		if err := c.QueryRow(t.Context(), "SELECT n FROM x").Scan(&n); err != nil || n != 7 {
			t.Fatalf("n = %d: %v", n, err)
		}
	}
	if err := s.Kill9(); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill9(); err == nil {
		t.Fatal("killed twice")
	}
}

// TestServerEndsWithAKilledProcess kills a process that started a server.
func TestServerEndsWithAKilledProcess(t *testing.T) {
	if os.Getenv("PGTEST_CHILD") != "" {
		s, err := private(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("dir " + strings.Fields(s.admin)[0] + "\n")
		select {}
	}
	Restartable(t) // skips when there is none
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerEndsWithAKilledProcess$")
	cmd.Env = append(os.Environ(), "PGTEST_CHILD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := ""
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "dir host="); ok {
			dir = rest
		}
	}
	if dir == "" {
		t.Fatal("the child started no server")
	}
	pid, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(syscall.SIGKILL)
	_ = cmd.Wait()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a minute later the server's directory is still there: %v", err)
		}
	}
	line, _, _ := strings.Cut(string(pid), "\n")
	if b, err := os.ReadFile("/proc/" + line + "/cmdline"); err == nil && strings.Contains(string(b), dir) {
		t.Fatal("the server still runs")
	}
}

func TestWithDatabase(t *testing.T) {
	for _, c := range []struct{ dsn, want string }{
		{"host=/x dbname=a", "b"}, {"postgres://u@h/a?sslmode=disable", "b"}, {"postgresql://u@h", "b"},
	} {
		got, err := pgx.ParseConfig(withDatabase(c.dsn, "b"))
		if err != nil || got.Database != c.want {
			t.Errorf("%s: %v", c.dsn, err)
		}
	}
}
