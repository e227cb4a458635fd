package embedded

import (
	"os"
	"syscall"
)

// syncData makes a file's content durable. fdatasync leaves out what no reader needs, such as the time of change.
func syncData(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var sync error
	err = raw.Control(func(fd uintptr) {
		for sync = syscall.EINTR; sync == syscall.EINTR; {
			sync = syscall.Fdatasync(int(fd))
		}
	})
	if err != nil {
		return err
	}
	return sync
}
