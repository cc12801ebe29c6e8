package outbox

import (
	"os"
	"syscall"
)

// datasync makes the contents last, not the time of the change: that would cost another sync.
func datasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return err
		}
	}
}
