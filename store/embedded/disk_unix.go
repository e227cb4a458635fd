//go:build unix

package embedded

import (
	"errors"
	"os"
	"strings"
	"syscall"
)

// isFull tells whether an error means that the disk, or the owner's share of it, is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		strings.Contains(err.Error(), syscall.ENOSPC.Error()) || strings.Contains(err.Error(), syscall.EDQUOT.Error())
}

// syncDir makes the names in a directory durable.
func syncDir(dir *os.File) error { return dir.Sync() }
