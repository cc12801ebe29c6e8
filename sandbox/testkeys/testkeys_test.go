package testkeys_test

import (
	"testing"

	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sandbox/internal/keypool"
	_ "github.com/ehealth-continuity/ehealth/sandbox/testkeys"
)

// TestKeys: each is a good one of the size of the platform's, and the sandbox's default source hands it out.
func TestKeys(t *testing.T) {
	const published = 72
	seen := map[string]bool{}
	for i := range published {
		k := keypool.Ready(i)
		if k == nil || k.N.BitLen() != 2048 || k.E != 65537 || seen[k.N.String()] {
			t.Fatalf("key %d is missing, of another size, or not the only one", i)
		}
		seen[k.N.String()] = true
	}
	for _, i := range []int{-1, published} {
		if keypool.Ready(i) != nil {
			t.Errorf("key %d", i)
		}
	}
	k, err := sandbox.SharedKeys().RSA(3)
	if err != nil || !k.Equal(keypool.Ready(3)) {
		t.Errorf("the sandbox made a key of its own: %v", err)
	}
	fresh, err := sandbox.FreshKeys().RSA(3)
	if err != nil || seen[fresh.N.String()] {
		t.Errorf("a fresh key is a published one: %v", err)
	}
}
