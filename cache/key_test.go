package cache

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// pss is a signer that makes signatures of another kind, as some cards do.
type pss struct{ *rsa.PrivateKey }

func (s pss) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return rsa.SignPSS(r, s.PrivateKey, o.HashFunc(), digest, nil)
}

type broken struct{ *rsa.PrivateKey }

var errCard = errors.New("no card")

func (broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errCard }

func same(a, b Key) bool {
	return a.id == b.id && bytes.Equal(a.seal, b.seal) && bytes.Equal(a.name, b.name)
}

func TestKeyFromSigner(t *testing.T) {
	a, err := KeyFromSigner(rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	b, err := KeyFromSigner(rsaKey())
	if err != nil || !same(a, b) || !a.valid() {
		t.Error("another key the second time", err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]crypto.Signer{"none": nil, "ECDSA": ec, "Ed25519": ed, "PSS": pss{rsaKey()}} {
		if _, err := KeyFromSigner(s); !errors.Is(err, ErrUnsuitable) {
			t.Error(name, err)
		}
	}
	if _, err := KeyFromSigner(broken{rsaKey()}); !errors.Is(err, errCard) {
		t.Error(err)
	}
}

func TestKeyFromBytes(t *testing.T) {
	a, b := newKey(t), newKey(t)
	if same(a, b) || bytes.Equal(a.seal, a.name) {
		t.Error("keys do not differ")
	}
	for _, n := range []int{0, 16, 33} {
		if _, err := KeyFromBytes(make([]byte, n)); !errors.Is(err, ErrUnsuitable) {
			t.Error(n, err)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", a)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %x %s", a, a, a, a, a), log.String()} {
		if strings.Contains(s, fmt.Sprintf("%x", a.seal[:4])) || !strings.Contains(s, "cache.Key") {
			t.Error(s)
		}
	}
}

func TestKeyFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.key")
	keys := make([]Key, 8)
	var wg sync.WaitGroup
	for i := range keys { // as many processes at their first start
		wg.Go(func() {
			var err error
			if keys[i], err = KeyFromFile(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if !k.valid() || !same(k, keys[0]) {
			t.Error("processes got different keys")
		}
	}
	if left := files(t, filepath.Dir(path), ""); len(left) != 1 {
		t.Error(left)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != fileMode {
		t.Error(info.Mode(), err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := KeyFromFile(path); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
}

func TestKeyFileDamaged(t *testing.T) {
	for _, n := range []int{0, KeySize - 1, KeySize + 1, 1 << 20} {
		path := filepath.Join(t.TempDir(), "vault.key")
		if err := os.WriteFile(path, make([]byte, n), fileMode); err != nil {
			t.Fatal(err)
		}
		if _, err := KeyFromFile(path); !errors.Is(err, ErrKey) {
			t.Error(n, err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() != int64(n) {
			t.Error("the file was changed")
		}
	}
}

// TestKeyFileWithoutLinks takes the way of file systems that have no hard links.
func TestKeyFileWithoutLinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.key")
	for _, b := range []byte{1, 2} {
		if err := createKeyFile(path, bytes.Repeat([]byte{b}, KeySize)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := readKeyFile(path); err != nil || b[0] != 1 {
		t.Error("the second process replaced the key of the first", err)
	}
}

func TestDerive(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, KeySize)
	a, err := KeyFromBytes(secret)
	if err != nil {
		t.Fatal(err)
	}
	b, err := KeyFromBytes(secret)
	if err != nil {
		t.Fatal(err)
	}
	one := a.Derive("answers")
	if one != b.Derive("answers") || !a.Valid() {
		t.Error("the same key and purpose gave two keys")
	}
	for _, part := range [][]byte{a.seal, a.name, a.root, secret} {
		if bytes.Equal(one[:], part) {
			t.Error("a key of two purposes")
		}
	}
	if one == a.Derive("outbox") || one == newKey(t).Derive("answers") {
		t.Error("purposes or keys are not separated")
	}
	var zero Key
	if guess := zero.Derive("answers"); zero.Valid() || guess == zero.Derive("answers") {
		t.Error("the zero key gives a key that can be guessed")
	}
}
