package ehealth

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
	"github.com/ehealth-continuity/ehealth/sts"
)

// state is what a platform keeps in its DataDir. nil keeps nothing.
type state struct {
	dir   string
	vault *cache.Vault

	mu      sync.Mutex
	pending *time.Timer // a write that gathers what changes within saveDelay
	closed  bool
}

const (
	stateBucket = "resilience"
	stateName   = "addresses"
	// saveDelay gathers changes of addresses, which come in swarms when an outage begins.
	saveDelay = time.Second
	// saveTimeout bounds one write.
	saveTimeout = 5 * time.Second
)

// kept is the record about addresses.
type kept struct {
	Breakers []resilience.Snapshot `json:"breakers"`
	Modes    json.RawMessage       `json:"modes"`
}

func openState(cfg *Config, hok keystore.Credential) (*state, error) {
	if cfg.DataDir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, err
	}
	key, err := dataKey(cfg, hok)
	if err != nil {
		return nil, err
	}
	vault, err := cache.OpenVault(filepath.Join(cfg.DataDir, "vault"), key)
	if err != nil {
		return nil, err
	}
	return &state{dir: cfg.DataDir, vault: vault}, nil
}

func dataKey(cfg *Config, hok keystore.Credential) (cache.Key, error) {
	if cfg.DataKey != nil {
		return *cfg.DataKey, nil
	}
	key, err := cache.KeyFromSigner(hok.Signer)
	if errors.Is(err, cache.ErrUnsuitable) {
		return cache.KeyFromFile(filepath.Join(cfg.DataDir, "vault.key"))
	}
	return key, err
}

func (s *state) listDir() string {
	if s == nil {
		return ""
	}
	return filepath.Join(s.dir, "servicelist")
}

func (s *state) tokens() sts.Store {
	if s == nil {
		return nil
	}
	return sts.FileStore(s.vault)
}

// restore takes over what was known about addresses. A record that is absent, damaged or too
// old is no reason not to start: everything in it can be learned again.
func (s *state) restore(ctx context.Context, e *resilience.Engine, r *bcp.Router) error {
	if s == nil {
		return nil
	}
	b, err := s.vault.Get(ctx, stateBucket, stateName)
	if errors.Is(err, cache.ErrKey) {
		return err // the same key cannot read the token either: this is the wrong directory
	}
	var k kept
	if err != nil || json.Unmarshal(b, &k) != nil {
		return nil
	}
	e.Restore(k.Breakers)
	if err := r.Import(k.Modes); err != nil && !errors.Is(err, bcp.ErrState) {
		return err
	}
	return nil
}

// changed writes the state soon.
func (s *state) changed(e *resilience.Engine, r *bcp.Router) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.pending != nil {
		return
	}
	s.pending = time.AfterFunc(saveDelay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pending = nil
		if !s.closed {
			// What cannot be written now is written with the next change, or by Close, which reports it.
			_ = s.save(e, r)
		}
	})
}

func (s *state) save(e *resilience.Engine, r *bcp.Router) error {
	modes, err := r.Export()
	if err != nil {
		return err
	}
	b, err := json.Marshal(kept{Breakers: e.Breakers(), Modes: modes})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	return s.vault.Put(ctx, stateBucket, stateName, b)
}

func (s *state) close(e *resilience.Engine, r *bcp.Router) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.pending != nil {
		s.pending.Stop()
	}
	if e == nil || r == nil {
		return nil
	}
	return s.save(e, r)
}
