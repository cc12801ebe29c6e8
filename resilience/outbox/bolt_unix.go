//go:build unix && !solaris && !aix

package outbox

import (
	"os"
	"syscall"
)

// unlock gives back the lock on a file that bbolt left mapped when it panicked: the map keeps the
// lock alive when the file is closed.
func unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
