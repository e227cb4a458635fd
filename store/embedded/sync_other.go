//go:build !linux

package embedded

import (
	"errors"
	"os"
)

// syncData makes a file's content durable.
func syncData(file *os.File) error { return file.Sync() }

// punch would give a part of a file back to the file system.
func punch(*os.File, int64, int64) error { return errors.ErrUnsupported }

// roomOf would tell how many bytes are free on a directory's disk. This is little on any.
func roomOf(*os.File) (int64, error) { return 2 << 30, nil }

// allocate would make a file longer without writing it.
func allocate(*os.File, int64, int64) error { return errors.ErrUnsupported }
