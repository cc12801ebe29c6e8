//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package cache

import (
	"context"
	"os"
)

func lockFile(ctx context.Context, path string) (func(), error) { return exclusive(ctx, path) }

// syncDir does nothing: these systems have no way to sync a directory, and write its changes
// in order.
func syncDir(string) error { return nil }

// unlockFile does nothing here: the lock ends with the file.
func unlockFile(*os.File) {}
