package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ehealth-continuity/ehealth/internal/pgtest"
)

// cluster is the PostgreSQL server of a campaign, which dies now and then. A nil one is always calm.
type cluster struct {
	mu     sync.RWMutex // held for writing while the server is down
	server *pgtest.Server
	ends   atomic.Int64
}

// startLimit bounds a start with its recovery.
const startLimit = 2 * time.Minute

func newCluster() (*cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	s, err := pgtest.Start(ctx)
	return &cluster{server: s}, err
}

func (k *cluster) database() (string, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return k.server.Database(ctx)
}

// calm counts how often the server has ended so far; same tells whether it has not ended since.
func (k *cluster) calm() int64 {
	if k == nil {
		return 0
	}
	return k.ends.Load()
}

func (k *cluster) same(calm int64) bool { return k.calm() == calm }

// await returns when the server is up.
func (k *cluster) await() {
	if k != nil {
		k.mu.RLock()
		defer k.mu.RUnlock()
	}
}

// torment kills the server every few seconds until nothing is left to do.
func (k *cluster) torment(left *atomic.Int64, rng *rand.Rand) (map[string]int, error) {
	killed := map[string]int{}
	for left.Load() > 0 {
		next := time.Now().Add(5*time.Second + time.Duration(rng.IntN(10_000))*time.Millisecond)
		for left.Load() > 0 && time.Now().Before(next) {
			time.Sleep(20 * time.Millisecond)
		}
		if left.Load() <= 0 {
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
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	err := k.server.Start(ctx)
	k.ends.Add(1) // whoever began while it was down is excused too
	return err
}
