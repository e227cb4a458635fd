package embedded

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes a file's content durable. fdatasync leaves out what no reader needs, such as the time of change.
func syncData(file *os.File) error {
	return withDescriptor(file, unix.Fdatasync)
}

// punch gives a part of a file back to the file system; it reads as zeros then. Error: errors.ErrUnsupported.
func punch(file *os.File, offset, length int64) error {
	return withDescriptor(file, func(fd int) error {
		return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
	})
}

// allocate makes a file longer, by blocks that are there and hold nothing. Error: errors.ErrUnsupported.
func allocate(file *os.File, offset, length int64) error {
	return withDescriptor(file, func(fd int) error { return unix.Fallocate(fd, 0, offset, length) })
}

// roomOf tells how many bytes are free on a directory's disk.
func roomOf(dir *os.File) (int64, error) {
	var disk unix.Statfs_t
	err := withDescriptor(dir, func(fd int) error { return unix.Fstatfs(fd, &disk) })
	return int64(disk.Bavail) * int64(disk.Bsize), err //nolint:unconvert // another type on other processors
}

func withDescriptor(file *os.File, call func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Control(func(fd uintptr) {
		for result = unix.EINTR; errors.Is(result, unix.EINTR); {
			result = call(int(fd))
		}
	})
	if err != nil {
		return err
	}
	return result
}
