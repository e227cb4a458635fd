package embedded

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"

	"hakanai/store"
)

// isFull tells whether an error means that the disk, or the owner's share of it, is full.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL)
}

// syncDir does nothing: Windows journals names by itself, and cannot sync a directory.
func syncDir(*os.File) error { return nil }

// tryLock locks a file for this process, until it is closed. Error: store.ErrInUse.
func tryLock(file *os.File) error {
	// A byte that is never read or written: a lock on Windows keeps others from what it is on.
	beyond := &windows.Overlapped{Offset: ^uint32(0), OffsetHigh: ^uint32(0) >> 1}
	err := windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, beyond)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return store.ErrInUse
	}
	return err
}
