package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout bounds the start of a cluster, also on a machine that is busy with other things.
const startTimeout = 2 * time.Minute

// ErrAbsent says that there is no PostgreSQL on this machine.
var ErrAbsent = errors.New("pgtest: no initdb and postgres on the path or in /usr/lib/postgresql/*/bin, and EHEALTH_POSTGRES is not set")

// shared is the cluster of this test binary.
var shared = sync.OnceValues(func() (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return Start(ctx)
})

// DSN returns the address of a fresh database. On a server that is not ours it is dropped when the
// test ends; on a private one it ends with the server, because dropping would cost a checkpoint.
func DSN(t testing.TB) string {
	t.Helper()
	s, err := shared()
	if err != nil {
		absent(t, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	dsn, name, err := s.create(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("EHEALTH_POSTGRES") == "" {
		return dsn
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if err := s.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("pgtest: dropping the database: %v", err)
		}
	})
	return dsn
}

// Restartable starts a server for one test, which may kill it and start it again, and stops it at
// the end. It is skipped when there is none to start, also with $EHEALTH_POSTGRES: somebody else's
// server is not ours to kill.
func Restartable(t testing.TB) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s, err := private(ctx)
	if err != nil {
		absent(t, err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("pgtest: stopping the server: %v", err)
		}
	})
	return s
}

func absent(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrAbsent) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	t.Fatal(err)
}

// Start returns the server of $EHEALTH_POSTGRES, or starts a private one. [ErrAbsent]: there is
// none. A private server ends with [Server.Stop], or with this process.
func Start(ctx context.Context) (*Server, error) {
	if dsn := os.Getenv("EHEALTH_POSTGRES"); dsn != "" {
		return &Server{admin: dsn}, nil
	}
	return private(ctx)
}

// Database makes a fresh database and returns its address. It stays until it is dropped, or until
// the private server ends.
func (s *Server) Database(ctx context.Context) (string, error) {
	dsn, _, err := s.create(ctx)
	return dsn, err
}

func (s *Server) create(ctx context.Context) (dsn, name string, err error) {
	name = "ehealth_test_" + strings.ToLower(rand.Text())
	if err := s.exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", "", err
	}
	return withDatabase(s.admin, name), name, nil
}

// withDatabase names another database in a DSN. Of a keyword given twice the last one counts.
func withDatabase(dsn, name string) string {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		if u, err := url.Parse(dsn); err == nil {
			u.Path = "/" + name
			return u.String()
		}
	}
	return dsn + " dbname=" + name
}

// exec runs one statement on a connection of its own.
func (s *Server) exec(ctx context.Context, sql string) error {
	c, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	_, err = c.Exec(ctx, sql)
	return err
}
