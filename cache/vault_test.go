package cache

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if os.Getenv(crashEnv) != "" {
		crashMain()
	}
	goleak.VerifyTestMain(m)
}

func newKey(t testing.TB) Key {
	t.Helper()
	secret := make([]byte, KeySize)
	_, _ = rand.Read(secret)
	k, err := KeyFromBytes(secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func openVault(t testing.TB, dir string, k Key) *Vault {
	t.Helper()
	v, err := OpenVault(dir, k)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func put(t testing.TB, v *Vault, bucket, name, value string) {
	t.Helper()
	if err := v.Put(t.Context(), bucket, name, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, v *Vault, bucket, name string) string {
	t.Helper()
	b, err := v.Get(t.Context(), bucket, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files returns the names in dir that end in ext.
func files(t testing.TB, dir, ext string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ext) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out
}

// record returns the file of the one record in dir.
func record(t testing.TB, dir string) string {
	t.Helper()
	for _, f := range files(t, dir, extRecord) {
		if filepath.Base(f) != headFile {
			return f
		}
	}
	t.Fatal("no record")
	return ""
}

func TestVault(t *testing.T) {
	dir, k := filepath.Join(t.TempDir(), "a", "vault"), newKey(t)
	v := openVault(t, dir, k)
	if _, err := v.Get(t.Context(), "b", "n"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	put(t, v, "b", "n", "one")
	put(t, v, "b", "n", "two")
	put(t, v, "bn", "", "other")
	put(t, v, "", "bn", "")
	v = openVault(t, dir, k)
	if get(t, v, "b", "n") != "two" || get(t, v, "bn", "") != "other" || get(t, v, "", "bn") != "" {
		t.Error("records differ")
	}
	for range 2 {
		if err := v.Delete(t.Context(), "b", "n"); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.Get(t.Context(), "b", "n"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if get(t, v, "bn", "") != "other" {
		t.Error("another record was deleted")
	}
	if runtime.GOOS != "windows" {
		modes(t, dir)
	}
}

func modes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", p, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestVaultReader: without the key nothing of a record can be found on the disk.
func TestVaultReader(t *testing.T) {
	dir := t.TempDir()
	v := openVault(t, dir, newKey(t))
	const ssin, token, bucket = "85073199704", "<Assertion AssertionID=", "token"
	for i := range 50 {
		put(t, v, bucket, fmt.Sprintf("%s-%d", ssin, i), token+ssin)
	}
	unlock, err := v.Lock(t.Context(), ssin)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	found := 0
	for _, f := range files(t, dir, "") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{ssin, token, bucket} {
			if bytes.Contains(b, []byte(secret)) || strings.Contains(f, secret) {
				t.Errorf("%q is readable in %s", secret, f)
			}
		}
		found++
	}
	if found < 52 {
		t.Errorf("looked at %d files", found)
	}
}

func TestVaultWrongKey(t *testing.T) {
	dir, k := t.TempDir(), newKey(t)
	v := openVault(t, dir, k)
	put(t, v, "b", "n", "secret")
	if _, err := OpenVault(dir, newKey(t)); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
	if _, err := OpenVault(dir, Key{}); !errors.Is(err, ErrUnsuitable) {
		t.Error(err)
	}
	// A record that another key wrote in its place is reported, and left as it is.
	other := openVault(t, t.TempDir(), newKey(t))
	put(t, other, "b", "n", "foreign")
	copyFile(t, record(t, other.dir), record(t, dir))
	if _, err := v.Get(t.Context(), "b", "n"); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
	if n := len(files(t, dir, extBad)); n != 0 {
		t.Errorf("%d records set aside", n)
	}
	put(t, v, "b", "n", "again")
	if get(t, openVault(t, dir, k), "b", "n") != "again" {
		t.Error("the vault does not work any more")
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, fileMode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestVaultCorrupt flips every byte of a record, cuts it at every length, and makes it too long.
func TestVaultCorrupt(t *testing.T) {
	dir := t.TempDir()
	v := openVault(t, dir, newKey(t))
	put(t, v, "b", "n", "secret")
	path := record(t, dir)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := [][]byte{append(bytes.Clone(good), 0), make([]byte, maxFile+1)}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1
		damaged = append(damaged, b, good[:i])
	}
	aside := 0
	for i, b := range damaged {
		if err := os.WriteFile(path, b, fileMode); err != nil {
			t.Fatal(err)
		}
		_, err := v.Get(t.Context(), "b", "n")
		switch {
		case errors.Is(err, ErrCorrupt):
			aside++
			if _, err := v.Get(t.Context(), "b", "n"); !errors.Is(err, ErrNotFound) {
				t.Errorf("%d: after that %v", i, err)
			}
		case errors.Is(err, ErrKey) && len(b) == len(good) && !bytes.Equal(b[1:head], good[1:head]):
		default:
			t.Errorf("%d: %v", i, err)
		}
	}
	if n := len(files(t, dir, extBad)); n != aside || aside != len(damaged)-keyIDSize {
		t.Errorf("%d of %d damaged records set aside, %d files", aside, len(damaged), n)
	}
	newer := bytes.Clone(good)
	newer[0] = version + 1
	if err := os.WriteFile(path, newer, fileMode); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get(t.Context(), "b", "n"); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("a newer record was moved")
	}
}

// TestVaultMoved: a record in the place of another is not believed.
func TestVaultMoved(t *testing.T) {
	dir := t.TempDir()
	v := openVault(t, dir, newKey(t))
	put(t, v, "b", "mine", "my token")
	put(t, v, "b", "yours", "your token")
	copyFile(t, v.path("b", "yours"), v.path("b", "mine"))
	if b, err := v.Get(t.Context(), "b", "mine"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%q, %v", b, err)
	}
	if get(t, v, "b", "yours") != "your token" {
		t.Error("the other record is gone")
	}
}

func TestVaultDamagedHead(t *testing.T) {
	dir, k := t.TempDir(), newKey(t)
	put(t, openVault(t, dir, k), "b", "n", "kept")
	if err := os.WriteFile(filepath.Join(dir, headFile), []byte{version}, fileMode); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenVault(dir, k); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
	if get(t, openVault(t, dir, k), "b", "n") != "kept" {
		t.Error("lost a record")
	}
}

func TestVaultBounds(t *testing.T) {
	v := openVault(t, t.TempDir(), newKey(t))
	if err := v.Put(t.Context(), "b", "n", make([]byte, MaxValue)); err != nil {
		t.Error(err)
	}
	long := strings.Repeat("x", MaxName+1)
	for name, err := range map[string]error{
		"value":  v.Put(t.Context(), "b", "n", make([]byte, MaxValue+1)),
		"bucket": v.Put(t.Context(), long, "n", nil),
		"name":   v.Delete(t.Context(), "b", long),
		"lock":   func() error { _, err := v.Lock(t.Context(), long); return err }(),
		"get":    func() error { _, err := v.Get(t.Context(), "b", long); return err }(),
	} {
		if !errors.Is(err, ErrTooLarge) {
			t.Error(name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"put":    v.Put(ctx, "b", "n", nil),
		"delete": v.Delete(ctx, "b", "n"),
		"get":    func() error { _, err := v.Get(ctx, "b", "n"); return err }(),
		"lock":   func() error { _, err := v.Lock(ctx, "n"); return err }(),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Error(name, err)
		}
	}
}

// TestVaultErrorsNameNothing: no error of a vault that cannot be written holds a path or a name.
func TestVaultErrorsNameNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Janssens")
	v := openVault(t, dir, newKey(t))
	put(t, v, "Peeters", "n", "x")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, fileMode); err != nil { // a file where the directory was
		t.Fatal(err)
	}
	_, errGet := v.Get(t.Context(), "Peeters", "n")
	_, errLock := v.Lock(t.Context(), "Peeters")
	_, errOpen := OpenVault(filepath.Join(dir, "x"), newKey(t))
	_, errKey := KeyFromFile(filepath.Join(dir, "x"))
	for i, err := range []error{errGet, errLock, errOpen, errKey, v.Put(t.Context(), "Peeters", "n", nil), v.Delete(t.Context(), "Peeters", "n")} {
		if err == nil || strings.Contains(err.Error(), "Janssens") || strings.Contains(err.Error(), "Peeters") {
			t.Error(i, err)
		}
	}
}

// TestVaultSweep: a temporary file goes once it is old, and not before.
func TestVaultSweep(t *testing.T) {
	dir, k := t.TempDir(), newKey(t)
	openVault(t, dir, k)
	for name, age := range map[string]time.Duration{"old": 2 * tempAge, "new": 0} {
		path := filepath.Join(dir, name+tempMark+"1")
		if err := os.WriteFile(path, nil, fileMode); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	openVault(t, dir, k)
	if left := files(t, dir, tempMark+"1"); len(left) != 1 || filepath.Base(left[0]) != "new"+tempMark+"1" {
		t.Error(left)
	}
}

// TestVaultModel compares a vault, reopened at random, with a map.
func TestVaultModel(t *testing.T) {
	k := newKey(t)
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "v")
		if err != nil {
			rt.Fatal(err)
		}
		v, model := openVault(t, dir, k), map[[2]string]string{}
		word := rapid.SampledFrom([]string{"", "a", "b", "ab"})
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				id := [2]string{word.Draw(rt, "bucket"), word.Draw(rt, "name")}
				model[id] = rapid.String().Draw(rt, "value")
				put(t, v, id[0], id[1], model[id])
			},
			"delete": func(rt *rapid.T) {
				id := [2]string{word.Draw(rt, "bucket"), word.Draw(rt, "name")}
				delete(model, id)
				if err := v.Delete(t.Context(), id[0], id[1]); err != nil {
					rt.Fatal(err)
				}
			},
			"reopen": func(*rapid.T) { v = openVault(t, dir, k) },
			"": func(rt *rapid.T) {
				id := [2]string{word.Draw(rt, "bucket"), word.Draw(rt, "name")}
				b, err := v.Get(t.Context(), id[0], id[1])
				want, ok := model[id]
				if ok != (err == nil) || !ok && !errors.Is(err, ErrNotFound) || string(b) != want {
					rt.Fatalf("got %q, %v; want %q, %v", b, err, want, ok)
				}
			},
		})
	})
}
