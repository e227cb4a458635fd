//go:build unix

package embedded

import (
	"errors"
	"os"
	"syscall"

	"hakanai/store"
)

// isFull tells whether an error means that the disk, or the owner's share of it, is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// syncDir makes the names in a directory durable.
func syncDir(dir *os.File) error { return dir.Sync() }

// tryLock locks a file for this process, until it is closed. Error: store.ErrInUse.
func tryLock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return store.ErrInUse
	}
	return err
}
