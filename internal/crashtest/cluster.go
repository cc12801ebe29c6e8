package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ehealth-continuity/ehealth/internal/pgtest"
)

// cluster is the PostgreSQL server of a campaign, which dies now and then. A nil one is always calm.
type cluster struct {
	mu     sync.RWMutex // held for writing while the server is down
	server *pgtest.Server
	dsn    string
	ends   atomic.Int64
}

// startLimit bounds a start with its recovery.
const startLimit = 2 * time.Minute

// newCluster makes the one database, in which each campaign has a schema.
func newCluster(s *pgtest.Server) (*cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	dsn, err := s.Database(ctx)
	if err != nil {
		return nil, err
	}
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	_, err = c.Exec(ctx, vendorTable)
	return &cluster{server: s, dsn: dsn}, errors.Join(err, c.Close(ctx))
}

// calm waits until the server is up and tells how often it has ended so far; same tells whether it
// has not ended since.
func (k *cluster) calm() int64 {
	if k == nil {
		return 0
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.ends.Load()
}

func (k *cluster) same(calm int64) bool { return k == nil || k.ends.Load() == calm }

// torment kills the server every 8 to 20 s until nothing is left to do.
func (k *cluster) torment(more func() bool, rng *rand.Rand) (map[string]int, error) {
	killed := map[string]int{}
	for more() {
		next := time.Now().Add(8*time.Second + time.Duration(rng.IntN(12_000))*time.Millisecond)
		for more() && time.Now().Before(next) {
			time.Sleep(20 * time.Millisecond)
		}
		if !more() {
			break
		}
		if err := k.fell(); err != nil {
			return killed, err
		}
		killed["server killed"]++
	}
	return killed, nil
}

func (k *cluster) fell() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ends.Add(1)
	if err := k.server.Kill9(); err != nil {
		return err
	}
	if err := k.killLate(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return k.server.Start(ctx)
}

// killLate kills what the server was just starting when the others were killed: it may wait for
// ever for one of them, and no new server starts before it is gone.
func (k *cluster) killLate() error {
	cfg, err := pgx.ParseConfig(k.dsn)
	if err != nil {
		return err
	}
	return waitFor(startLimit, func() (bool, error) {
		all, err := filepath.Glob("/proc/[0-9]*/cwd")
		gone := true
		for _, link := range all {
			if dir, err := os.Readlink(link); err == nil && dir == filepath.Join(cfg.Host, "data") {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
				_ = syscall.Kill(pid, syscall.SIGKILL)
				gone = false
			}
		}
		return gone, err
	})
}
