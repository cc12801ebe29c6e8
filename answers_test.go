package ehealth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// noted is what a platform told about stored answers.
type noted struct {
	mu     sync.Mutex
	events []string
	checks []insurability.Recheck
}

func (n *noted) listen(cfg ehealth.Config) ehealth.Config {
	cfg.OnAnswers = func(e cache.AnswersEvent) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.events = append(n.events, e.Kind.String())
	}
	cfg.OnRecheck = func(r insurability.Recheck) { n.mu.Lock(); defer n.mu.Unlock(); n.checks = append(n.checks, r) }
	return cfg
}

func (n *noted) told() string { n.mu.Lock(); defer n.mu.Unlock(); return fmt.Sprint(n.events) }

// TestStoredAnswers goes down the ladder and up again: live, stored over a restart, and checked when the service is back.
func TestStoredAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, cfg := scene(t)
		cfg.DataDir = t.TempDir()
		var n noted
		cfg = n.listen(cfg)
		p := open(t, cfg)
		live := check(t, p)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		unreadable(t, cfg.DataDir, patient.Reveal(), live.References.Ours, live.Person.LastName.Reveal(), cfg.Caller.NIHII.Reveal())
		var back []func()
		for _, row := range []string{"genins 0 to_end fault code=SOA-02001", "genins-direct 0 to_end refuse"} {
			back = append(back, inject(t, sb, row))
		}
		time.Sleep(50 * time.Hour)
		p = open(t, cfg)
		a := check(t, p)
		if a.Source != insurability.Stored || a.Insured != live.Insured || a.References != live.References || a.DaysOld() != 2 || a.Recheck == "" {
			t.Fatalf("%v %+v", a, a.Provenance)
		}
		if m, ok := a.Message(); !ok || m.ID() != notice.IDInsCached {
			t.Error(m)
		}
		time.Sleep(time.Hour)
		for _, f := range back {
			f()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		n.mu.Lock()
		if len(n.checks) != 1 || n.checks[0].Ref != a.Recheck || n.checks[0].Differs || n.checks[0].After.Source != insurability.Live {
			t.Errorf("checks %+v", n.checks)
		}
		n.mu.Unlock()
		if s, _ := p.Health.Function(ehealth.FunctionInsurability); s.Condition != resilience.OK {
			t.Errorf("%+v", s)
		}
		if a := check(t, p); a.Source != insurability.Live {
			t.Error(a)
		}
		if n.told() != "[]" {
			t.Error(n.told())
		}
	})
}

// TestAnswersOpen: what becomes of a store that cannot be used as it should.
func TestAnswersOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cfg := scene(t)
		if p := open(t, cfg); p.Answers != nil {
			t.Error("stored answers without DataDir")
		}
		cfg.DataDir = t.TempDir()
		cfg.NoStoredAnswers = true
		if p := open(t, cfg); p.Answers != nil {
			t.Error("stored answers although there are to be none")
		}
		cfg.NoStoredAnswers = false
		var first, second noted
		p := open(t, first.listen(cfg))
		check(t, p)

		q := open(t, second.listen(cfg)) // another process with the same DataDir
		check(t, q)
		if first.told() != "[]" || second.told() != "[in use]" {
			t.Error(first.told(), second.told())
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * cache.DefaultTakeOver)
		if second.told() != "[in use taken over]" {
			t.Error(second.told())
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}

		file := filepath.Join(cfg.DataDir, "answers.db")
		if err := os.WriteFile(file, bytes.Repeat([]byte("damaged "), 8192), 0o600); err != nil {
			t.Fatal(err)
		}
		var third noted
		p = open(t, third.listen(cfg))
		check(t, p)
		if third.told() != "[damaged]" {
			t.Error(third.told())
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}

		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(file, 0o700); err != nil {
			t.Fatal(err)
		}
		var fourth noted
		p = open(t, fourth.listen(cfg))
		check(t, p)
		if fourth.told() != "[not read]" {
			t.Error(fourth.told())
		}
	})
}

// TestAnswersOfAnotherKey: a store of several nodes that was filled with another key is refused when the platform is
// opened.
func TestAnswersOfAnotherKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cfg := scene(t)
		cfg.NoFallback = true
		var keys [2]cache.Key
		for i := range keys {
			var err error
			if keys[i], err = cache.KeyFromBytes(bytes.Repeat([]byte{byte(i + 1)}, cache.KeySize)); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(t.TempDir(), "shared.db")
		for i, want := range []error{nil, cache.ErrKey} {
			store, err := cache.OpenRecords(path)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Answers, cfg.DataKey = store, &keys[i]
			p, err := ehealth.Open(context.Background(), cfg)
			if !errors.Is(err, want) {
				t.Errorf("node %d: %v", i, err)
			}
			if err == nil {
				check(t, p)
				err = p.Close()
			} else {
				err = store.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// TestAnswersFile: the configuration file can say that nothing is to be stored.
func TestAnswersFile(t *testing.T) {
	sb, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	dir := t.TempDir()
	if err := sb.WriteEnvironment(dir); err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(filepath.Join(dir, "sandbox.json"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{``: false, `"noStoredAnswers": false,`: false, `"noStoredAnswers": true,`: true} {
		name := filepath.Join(dir, "config.json")
		if err := os.WriteFile(name, append([]byte("{"+text), plain[1:]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if cfg, err := ehealth.LoadConfig(name); err != nil || cfg.NoStoredAnswers != want {
			t.Errorf("%q: %v, %v", text, cfg.NoStoredAnswers, err)
		}
	}
}
