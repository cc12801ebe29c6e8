package ehealth_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
)

// shared is a store of tokens that several platforms share, as that of package postgres.
type shared struct {
	mu      sync.Mutex
	records map[string][]byte
	lock    chan struct{}
}

func newShared() *shared { return &shared{records: map[string][]byte{}, lock: make(chan struct{}, 1)} }

func (s *shared) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[key], nil
}

func (s *shared) Save(_ context.Context, key string, record []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[key] = record
	return nil
}

func (s *shared) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, key)
	return nil
}

func (s *shared) Lock(ctx context.Context, _ string) (func(), error) {
	select {
	case s.lock <- struct{}{}:
		return func() { <-s.lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestTokenStore: platforms with one store log in once, without DataDir and instead of the one in it.
func TestTokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, cfg := scene(t)
		store := newShared()
		cfg.TokenStore = store
		var all sync.WaitGroup
		for i := range 3 {
			cfg := cfg
			if i == 2 {
				cfg.DataDir = t.TempDir()
			}
			p := open(t, cfg)
			all.Go(func() {
				if _, err := p.Tokens.Token(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := sb.State().Requests["sts"]; n != 1 {
			t.Errorf("%d requests to the login service", n)
		}
		if len(store.records) != 1 {
			t.Errorf("%d records in the store", len(store.records))
		}
		inject(t, sb, "sts 0 to_end refuse")
		if _, err := open(t, cfg).Tokens.Token(t.Context()); err != nil {
			t.Errorf("a platform that is opened later does not share the token: %v", err)
		}
	})
}
