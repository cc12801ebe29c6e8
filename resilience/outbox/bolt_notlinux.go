//go:build !linux

package outbox

import "os"

// datasync makes the contents last.
func datasync(f *os.File) error { return f.Sync() }
