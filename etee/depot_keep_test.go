package etee_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// TestDepotRestart: a process that starts in an outage seals with the tokens of the one before.
func TestDepotRestart(t *testing.T) {
	w := theWorld()
	dir := t.TempDir()
	key, err := cache.KeyFromBytes(bytes.Repeat([]byte{7}, cache.KeySize))
	check(t, err)
	vault, err := cache.OpenVault(dir, key)
	check(t, err)
	good := registry(map[string][]byte{"NIHII-HOSPITAL/79999957": w.hospital.token, "SSIN/70010100188": w.doctor.token})
	p := &platform{answer: good}
	conf := etee.DepotConfig{Store: etee.FileStore(vault), Environment: "acceptance", OnError: func(err error) { t.Error(err) }}
	d := p.depot(t, conf)
	check(t, second(d.Get(t.Context(), w.hospital.id)))
	check(t, second(d.Get(t.Context(), w.doctor.id)))
	hidden(t, dir, "79999957", "70010100188", "SSIN", "HOSPITAL", string(w.doctor.token[200:260]))

	p.set(down)
	d = p.depot(t, conf)
	f, err := d.Get(t.Context(), w.hospital.id)
	check(t, err)
	_, err = must(etee.NewSealer(w.doctor.auth)).Seal([]byte("letter"), f.Recipients()...)
	check(t, err)

	other := conf
	other.Environment = "production"
	if _, err := p.depot(t, other).Get(t.Context(), w.hospital.id); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("tokens of another environment: %v", err)
	}
	if _, err := p.depot(t, etee.DepotConfig{}).Get(t.Context(), w.hospital.id); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
	// What was dropped does not come back with a restart.
	d.Drop(t.Context(), f)
	if _, err := p.depot(t, conf).Get(t.Context(), w.hospital.id); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("dropped: %v", err)
	}
	check(t, second(p.depot(t, conf).Get(t.Context(), w.doctor.id)))
}

// hidden looks for texts in all files and names of a directory.
func hidden(t *testing.T, dir string, texts ...string) {
	t.Helper()
	files := 0
	check(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, s := range texts {
			if bytes.Contains(b, []byte(s)) || strings.Contains(path, s) {
				t.Errorf("%q is readable on the disk", s)
			}
		}
		return err
	}))
	if files < 2 {
		t.Errorf("%d files", files)
	}
}

// memoryStore is a store that can be looked into.
type memoryStore struct {
	mu      sync.Mutex
	records map[string][]byte
	err     error
}

func (s *memoryStore) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[key], s.err
}

func (s *memoryStore) Save(_ context.Context, key string, record []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.records[key] = record
	}
	return s.err
}

// TestDepotStore: the store may fail, lie and grow without harm.
func TestDepotStore(t *testing.T) {
	w := theWorld()
	s := &memoryStore{records: map[string][]byte{}}
	var failures []error
	conf := etee.DepotConfig{Store: s, MaxEntries: 4, OnError: func(err error) { failures = append(failures, err) }}
	p := &platform{answer: registry(map[string][]byte{"NIHII-HOSPITAL/79999957": w.hospital.token})}
	check(t, second(p.depot(t, conf).Get(t.Context(), w.hospital.id)))
	if len(s.records) != 1 || failures != nil {
		t.Fatalf("%d records, %v", len(s.records), failures)
	}
	var record string
	for k, v := range s.records {
		if record = string(v); strings.Contains(k, "79999957") {
			t.Error("the key names the holder")
		}
	}
	for name, changed := range map[string]string{
		"garbage":      "{",
		"newer":        strings.Replace(record, `"v":1`, `"v":2`, 1),
		"other holder": strings.Replace(record, string(must(base64Of(w.hospital.token))), string(must(base64Of(w.doctor.token))), 1),
		"no token":     strings.Replace(record, string(must(base64Of(w.hospital.token))), "AAAA", 1),
		"odd holder":   strings.ReplaceAll(record, "NIHII-HOSPITAL", "x"),
	} {
		for k := range s.records {
			s.records[k] = []byte(changed)
		}
		n := p.asks("NIHII-HOSPITAL/79999957/-")
		if _, err := p.depot(t, conf).Get(t.Context(), w.hospital.id); err != nil || p.asks("NIHII-HOSPITAL/79999957/-") != n+1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	failures, s.err = nil, errors.New("disk full")
	if _, err := p.depot(t, conf).Get(t.Context(), w.hospital.id); err != nil || len(failures) == 0 {
		t.Errorf("%v, %v", err, failures)
	}
}

func base64Of(b []byte) ([]byte, error) {
	s := etkElement(b)
	return []byte(s[len("<e:ETK>") : len(s)-len("</e:ETK>")]), nil
}

// TestDepotBounded: memory and store stop growing.
func TestDepotBounded(t *testing.T) {
	w := theWorld()
	s := &memoryStore{records: map[string][]byte{}}
	p := &platform{answer: func(n *xmltree.Node) (string, error) {
		return response("200", criteria(n), etkElement(w.doctor.token)), nil // any NIHII number may be the doctor's
	}}
	d := p.depot(t, etee.DepotConfig{Store: s, MaxEntries: 4})
	ask := func(i int) {
		t.Helper()
		check(t, second(d.Get(t.Context(), id(t, identity.TypeNIHII, fmt.Sprint(10_000_000+i), ""))))
	}
	for i := range 300 {
		ask(i)
	}
	size := 0
	for _, r := range s.records {
		size += len(r)
	}
	if len(s.records) > 64 || size > 4<<20 {
		t.Errorf("%d records, %d bytes", len(s.records), size)
	}
	p.set(down)
	ask(0) // memory has forgotten it, the store has not
}
