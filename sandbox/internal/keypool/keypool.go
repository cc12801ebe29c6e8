// Package keypool is where package testkeys leaves RSA keys for the sandboxes of a test program: the two must not import each
// other, because the sandbox's own tests use both.
package keypool

import (
	"crypto/rsa"
	"sync/atomic"
)

var source atomic.Pointer[func(int) *rsa.PrivateKey]

// Use makes key the place where keys are looked for. It returns nil for an index that it does not have.
func Use(key func(index int) *rsa.PrivateKey) { source.Store(&key) }

// Ready returns the key of an index, nil when it must be made.
func Ready(index int) *rsa.PrivateKey {
	key := source.Load()
	if key == nil {
		return nil
	}
	return (*key)(index)
}
