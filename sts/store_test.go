package sts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
)

// memory is a Store in memory, with failures to order.
type memory struct {
	fails error

	mu      sync.Mutex
	records map[string][]byte
	lock    chan struct{}
}

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[key], m.fails
}

func (m *memory) Save(_ context.Context, key string, b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails == nil {
		if m.records == nil {
			m.records = map[string][]byte{}
		}
		m.records[key] = b
	}
	return m.fails
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, key)
	return m.fails
}

func (m *memory) Lock(ctx context.Context, _ string) (func(), error) {
	m.mu.Lock()
	if m.lock == nil {
		m.lock = make(chan struct{}, 1)
	}
	fails := m.fails
	m.mu.Unlock()
	if fails != nil {
		return nil, fails
	}
	select {
	case m.lock <- struct{}{}:
		return func() { <-m.lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func vaultStore(t testing.TB, dir string) Store {
	t.Helper()
	key, err := cache.KeyFromFile(filepath.Join(filepath.Dir(dir), "key"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := cache.OpenVault(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	return FileStore(v)
}

// process is a DurableSource in front of c that shares s, as one process of several.
func process(t testing.TB, c *Client, s Store, j *journal, opts ...DurableOption) *DurableSource {
	t.Helper()
	if j == nil {
		j = &journal{}
	}
	d, err := Durable(c.Source(doctor), append(opts, WithStore(s, c.Binding(doctor)), OnEvent(j.note))...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestStoreRestart: a restarted process does not call the STS, and what is on the disk tells nothing.
func TestStoreRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, dir := &fakeSTS{}, filepath.Join(t.TempDir(), "vault")
		c := newClient(t, f, challenged)
		d := process(t, c, vaultStore(t, dir), nil)
		tok := mustToken(t, d)
		asked := f.count()
		d.Close()
		f.first = nil
		time.Sleep(11 * time.Hour)
		j := &journal{}
		d = process(t, c, vaultStore(t, dir), j)
		defer d.Close()
		again := mustToken(t, d)
		if f.count() != asked || again.ID != tok.ID || !bytes.Equal(again.Raw, tok.Raw) || !again.NotOnOrAfter.Equal(tok.NotOnOrAfter) ||
			len(again.Attributes) != len(tok.Attributes) || again.Credential.Signer == nil || len(again.Refused) != len(tok.Refused) {
			t.Errorf("%d more requests, %v, %v", f.count()-asked, tok, again)
		}
		synctest.Wait()
		if e := j.of(); len(e) != 1 || e[0].Kind != Adopted || !e[0].Until.Equal(tok.NotOnOrAfter) {
			t.Error(e)
		}
		if _, err := c.Renew(t.Context(), again); err != nil {
			t.Error("a stored token cannot be renewed:", err)
		}
		unreadable(t, dir, tok)
	})
}

// unreadable looks for what must not be found in the files and names below dir.
func unreadable(t *testing.T, dir string, tok *Token) {
	t.Helper()
	secrets := []string{testSSIN.Reveal(), tok.ID, "Assertion", "urn:be:fgov", string(tok.Raw[:40]), string(tok.Credential.Certificate.Raw[:40])}
	n := 0
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		for _, s := range secrets {
			if strings.Contains(string(b), s) || strings.Contains(p, s) {
				t.Errorf("%q is readable on the disk", s)
			}
		}
		n++
		return err
	})
	if err != nil || n < 2 {
		t.Errorf("%d files, %v", n, err)
	}
}

// TestStoreNotTrusted: what comes from a store is checked as if it came from the STS.
func TestStoreNotTrusted(t *testing.T) {
	tests := map[string]struct {
		f       func(*fakeSTS)             // how the stored token was issued
		change  func(r *record, m *memory) // how the record was changed afterwards
		binding func(*Binding)             // what is demanded at the restart
		wait    time.Duration
		adopted bool
		cause   fault.Kind // of the StoreFailed event; 0 = none
	}{
		"untouched": {adopted: true},
		"changed": {change: func(r *record, _ *memory) {
			r.Assertion = bytes.Replace(r.Assertion, []byte("doctor"), []byte("dictor"), 1)
		}, cause: fault.Security},
		"later end":       {change: func(r *record, _ *memory) { r.Assertion = later(r.Assertion) }, cause: fault.Security},
		"cut":             {change: func(r *record, _ *memory) { r.Assertion = r.Assertion[:100] }, cause: fault.Local},
		"other version":   {change: func(r *record, _ *memory) { r.Version = 9 }, cause: fault.Local},
		"another signer":  {f: func(f *fakeSTS) { f.order = func(o *order) { o.signer = world().foreignSTS } }, binding: func(b *Binding) {}, cause: fault.Security},
		"expired":         {wait: 24 * time.Hour},
		"another person":  {binding: func(b *Binding) { b.Request.Identity.SSIN = otherSSIN }},
		"another key":     {binding: func(b *Binding) { b.HolderOfKey = world().card }},
		"trust withdrawn": {binding: func(b *Binding) { b.Trust.SignerCN = func(string) bool { return false } }, cause: fault.Security},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, m := &fakeSTS{}, &memory{}
				c := newClient(t, f, nil)
				if tt.f != nil {
					tt.f(f)
					c.cfg.Trust.Roots = c.cfg.Trust.Roots.Clone()
					c.cfg.Trust.Roots.AddCert(world().foreign.Certificate)
				}
				d := process(t, c, m, nil)
				mustToken(t, d)
				d.Close()
				rewrite(t, m, tt.change)
				time.Sleep(tt.wait)
				b := c.Binding(doctor)
				b.Trust.Roots = world().roots
				if tt.binding != nil {
					tt.binding(&b)
				}
				j := &journal{}
				asked := false
				d, err := Durable(TokenSourceFunc(func(context.Context) (*Token, error) {
					asked = true
					return nil, failure(fault.Unavailable)
				}), WithStore(m, b), OnEvent(j.note))
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				_, err = d.Token(t.Context())
				if (err == nil) != tt.adopted || asked == tt.adopted {
					t.Error(err, asked)
				}
				failed := j.of(StoreFailed)
				if (len(failed) == 1) != (tt.cause != 0) || len(failed) == 1 && failed[0].Cause != tt.cause {
					t.Error(failed)
				}
			})
		})
	}
}

func later(assertion []byte) []byte {
	const name = `NotOnOrAfter="`
	i := bytes.Index(assertion, []byte(name)) + len(name)
	out := bytes.Clone(assertion)
	copy(out[i:], "2099")
	return out
}

func rewrite(t *testing.T, m *memory, change func(*record, *memory)) {
	t.Helper()
	if change == nil {
		return
	}
	for k, b := range m.records {
		var r record
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		change(&r, m)
		m.records[k] = must(json.Marshal(r))
	}
}

// TestStoreFails: a store that does not work stops nobody, and is announced once.
func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m, j := &fakeSTS{}, &memory{fails: errors.New("disk full")}, &journal{}
		d := process(t, newClient(t, f, nil), m, j)
		defer d.Close()
		tok := mustToken(t, d)
		if e := j.of(StoreFailed); len(e) != 1 || e[0].Cause != fault.Local || e[0].Notice != "" {
			t.Error(e)
		}
		m.fails = nil
		if !d.Drop(tok) {
			t.Fatal("not dropped")
		}
		if again := mustToken(t, d); again.ID == tok.ID || len(m.records) != 1 {
			t.Error("the store is not used again")
		}
	})
}

// TestStoreGarbage: a record that is no record is not a token.
func TestStoreGarbage(t *testing.T) {
	for _, garbage := range []string{"", "x", "null", "[]", `{"version":1}`, `{"version":1,"assertion":"PGEvPg=="}`} {
		synctest.Test(t, func(t *testing.T) {
			m := &memory{records: map[string][]byte{}}
			c := newClient(t, &fakeSTS{}, nil)
			k := must(newKeeper(m, c.Binding(doctor)))
			m.records[k.key] = []byte(garbage)
			if tok, err := k.load(t.Context(), time.Now()); tok != nil || err == nil {
				t.Errorf("%q: %v", garbage, err)
			}
			d := process(t, c, m, nil)
			defer d.Close()
			mustToken(t, d)
		})
	}
}

// TestStoreShared: processes that share a store log in once, and renew once, between them.
func TestStoreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "vault")
		f := &fakeSTS{}
		c := newClient(t, f, nil)
		var all []*DurableSource
		for range 5 {
			d := process(t, c, vaultStore(t, dir), nil, Idle(-1))
			defer d.Close()
			all = append(all, d)
		}
		var wg sync.WaitGroup
		ids := make([]string, len(all))
		for i, d := range all {
			wg.Go(func() { ids[i] = mustToken(t, d).ID })
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Error("different tokens")
			}
		}
		if f.count() != 1 {
			t.Errorf("%d logins", f.count())
		}
		const days = 10
		time.Sleep(days * 24 * time.Hour)
		// Five independent moments between half and three quarters: the first is near the half.
		if n := f.count() - 1; n < days*24/18 || n > days*24/12 {
			t.Errorf("%d renewals in %d days", n, days)
		}
	})
}

// TestStoreOtherProcessLoggedIn: a process in its pause takes the token that another one got.
func TestStoreOtherProcessLoggedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m := &fakeSTS{}, &memory{}
		c := newClient(t, f, nil)
		down := TokenSourceFunc(func(context.Context) (*Token, error) { return nil, failure(fault.Unavailable) })
		waiting, err := Durable(down, WithStore(m, c.Binding(doctor)))
		if err != nil {
			t.Fatal(err)
		}
		defer waiting.Close()
		for range 20 {
			if _, err := waiting.Token(t.Context()); err == nil {
				t.Fatal("a token from nowhere")
			}
			time.Sleep(time.Minute)
		}
		other := process(t, c, m, nil)
		defer other.Close()
		tok := mustToken(t, other)
		time.Sleep(DefaultMinDelay)
		if got, err := waiting.Token(t.Context()); err != nil || got.ID != tok.ID {
			t.Error(err)
		}
	})
}

// TestStoreDropped: a refused token is not taken from the store again, the successor of another
// process is.
func TestStoreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m := &fakeSTS{}, &memory{}
		c := newClient(t, f, nil)
		a, b := process(t, c, m, nil), process(t, c, m, nil)
		defer a.Close()
		defer b.Close()
		old := mustToken(t, a)
		mustToken(t, b)
		time.Sleep(time.Second)
		a.Drop(old)
		fresh := mustToken(t, a)
		b.Drop(old)
		if got := mustToken(t, b); fresh.ID == old.ID || got.ID != fresh.ID || f.count() != 2 {
			t.Errorf("%d logins", f.count())
		}
	})
}

// TestStoreStuckProcess: a process that holds the lock and does nothing delays the others, no more.
func TestStoreStuckProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m, j := &fakeSTS{}, &memory{}, &journal{}
		if _, err := m.Lock(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		d := process(t, newClient(t, f, nil), m, j)
		defer d.Close()
		start := time.Now()
		mustToken(t, d)
		if waited := time.Since(start); waited != DefaultIssueTimeout+lockGrace || len(j.of(StoreFailed)) != 1 {
			t.Error(waited, j.of())
		}
	})
}

// TestStoreCorruptVault: a damaged file on the disk costs one login.
func TestStoreCorruptVault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, dir := &fakeSTS{}, filepath.Join(t.TempDir(), "vault")
		c := newClient(t, f, nil)
		d := process(t, c, vaultStore(t, dir), nil)
		mustToken(t, d)
		d.Close()
		for _, p := range must(filepath.Glob(filepath.Join(dir, "*.rec"))) {
			if filepath.Base(p) == "vault.rec" {
				continue
			}
			b := must(os.ReadFile(p))
			b[len(b)-1] ^= 1
			if err := os.WriteFile(p, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		j := &journal{}
		d = process(t, c, vaultStore(t, dir), j)
		defer d.Close()
		mustToken(t, d)
		if e := j.of(StoreFailed); f.count() != 2 || len(e) != 1 || e[0].Cause != fault.Security {
			t.Error(f.count(), e)
		}
	})
}
