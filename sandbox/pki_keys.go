package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"

	"github.com/ehealth-continuity/ehealth/sandbox/internal/keypool"
)

// keyBits is the RSA size of people and signers: what eHealth certificates use.
const keyBits = 2048

// KeySource hands out the RSA keys of a sandbox. Within one sandbox every index is asked for at most once and
// belongs to one certificate, so no two certificates of one sandbox share a key. Making a key costs about a tenth
// of a second; a source that gives the same key for the same index to every sandbox of a test program saves most
// of a test's time. These are test keys: never use one outside a sandbox.
type KeySource interface {
	RSA(index int) (*rsa.PrivateKey, error)
}

// SharedKeys is the default source: one pool for all sandboxes of this process, filled as keys are asked for. A test program
// that imports package testkeys finds it filled.
func SharedKeys() KeySource { return &processKeys }

// FreshKeys is a source that makes a new key each time. A sandbox that runs as a server of its own, and writes its
// keys to disk, uses it.
func FreshKeys() KeySource { return freshKeys{} }

var processKeys keyPool

// keyPool makes each key once. The lock is held per slot, so that keys of different indexes are made in parallel.
type keyPool struct {
	mu    sync.Mutex
	slots []*keySlot
}

type keySlot struct {
	once sync.Once
	key  *rsa.PrivateKey
	err  error
}

// RSA returns the key of index, making it when it is asked for the first time.
func (p *keyPool) RSA(index int) (*rsa.PrivateKey, error) {
	if index < 0 {
		return nil, fmt.Errorf("sandbox: negative key index %d", index)
	}
	p.mu.Lock()
	for len(p.slots) <= index {
		p.slots = append(p.slots, new(keySlot))
	}
	s := p.slots[index]
	p.mu.Unlock()
	s.once.Do(func() {
		if s.key = keypool.Ready(index); s.key == nil {
			s.key, s.err = rsa.GenerateKey(rand.Reader, keyBits)
		}
	})
	return s.key, s.err
}

type freshKeys struct{}

// RSA makes a new key, whatever the index.
func (freshKeys) RSA(int) (*rsa.PrivateKey, error) {
	return rsa.GenerateKey(rand.Reader, keyBits)
}
