package embedded

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/windows"
)

// isFull tells whether an error means that the disk, or the owner's share of it, is full.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || strings.Contains(err.Error(), windows.ERROR_DISK_FULL.Error())
}

// syncDir does nothing: Windows journals names by itself, and cannot sync a directory.
func syncDir(*os.File) error { return nil }
