// Package testkeys gives the sandboxes of a test program RSA keys that were made beforehand, so that a test does not begin
// with some seconds of making keys. Import it for its effect, in test files only:
//
//	import _ "github.com/ehealth-continuity/ehealth/sandbox/testkeys"
//
// From then on sandbox.SharedKeys, the default of every sandbox, takes the first 72 keys from here. They are 2048 bits long
// like those of the platform, and everybody knows them: keys.txt is published with the source. In a program that is not a
// test the package does nothing, and a sandbox that is given sandbox.FreshKeys never uses them.
//
// A file that cannot be read, or that has fewer keys than a test asks for, costs the time of making them and nothing else.
package testkeys

import (
	"crypto/rsa"
	_ "embed"
	"encoding/base64"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/ehealth-continuity/ehealth/sandbox/internal/keypool"
)

//go:generate go run make.go

// keys.txt has one key per line: its two primes in base64.
//
//go:embed keys.txt
var published string

var lines = sync.OnceValue(func() []string { return strings.Split(strings.TrimSpace(published), "\n") })

func init() {
	if testing.Testing() {
		keypool.Use(key)
	}
}

// key reads the key of an index, nil when there is none.
func key(index int) *rsa.PrivateKey {
	if index < 0 || index >= len(lines()) {
		return nil
	}
	p, q, ok := strings.Cut(lines()[index], " ")
	if !ok {
		return nil
	}
	k, err := assemble(p, q)
	if err != nil {
		return nil
	}
	return k
}

// assemble computes a key from its primes.
func assemble(primes ...string) (*rsa.PrivateKey, error) {
	const exponent = 65537
	one := big.NewInt(1)
	n, phi := big.NewInt(1), big.NewInt(1)
	k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: exponent}}
	for _, text := range primes {
		raw, err := base64.RawStdEncoding.DecodeString(text)
		if err != nil {
			return nil, err
		}
		prime := new(big.Int).SetBytes(raw)
		k.Primes = append(k.Primes, prime)
		n.Mul(n, prime)
		phi.Mul(phi, new(big.Int).Sub(prime, one))
	}
	k.D = new(big.Int).ModInverse(big.NewInt(exponent), phi)
	if k.D == nil {
		return nil, rsa.ErrVerification
	}
	k.Precompute()
	return k, k.Validate()
}
