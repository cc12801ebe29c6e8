package cache_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ehealth-continuity/ehealth/cache"
)

// A secret survives a restart of the program, and is read with the same key only.
func Example() {
	dir, err := os.MkdirTemp("", "vault")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	key, err := cache.KeyFromFile(filepath.Join(dir, "vault.key"))
	if err != nil {
		panic(err)
	}
	vault, err := cache.OpenVault(filepath.Join(dir, "vault"), key)
	if err != nil {
		panic(err)
	}
	if err := vault.Put(ctx, "token", "pharmacy 1", []byte("secret")); err != nil {
		panic(err)
	}

	restarted, err := cache.OpenVault(filepath.Join(dir, "vault"), key)
	if err != nil {
		panic(err)
	}
	secret, err := restarted.Get(ctx, "token", "pharmacy 1")
	fmt.Printf("%s %v\n", secret, err)

	other, _ := cache.KeyFromBytes(make([]byte, cache.KeySize))
	_, err = cache.OpenVault(filepath.Join(dir, "vault"), other)
	fmt.Println(errors.Is(err, cache.ErrKey))
	// Output:
	// secret <nil>
	// true
}
