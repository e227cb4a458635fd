package commands

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const hugePage = 2 << 20 // bytes, on most processors

// largeMemory is make, and asks for huge pages: a system provides memory when it is first written to, and 2 MiB cost it
// hardly more than 4 KiB. Where it has none, or will not, the memory is as good.
func largeMemory(capacity int) []byte {
	memory := make([]byte, capacity)
	if address := uintptr(unsafe.Pointer(unsafe.SliceData(memory))); capacity >= 2*hugePage { //nolint:gosec // only to be counted with
		first := -address % hugePage
		_ = unix.Madvise(memory[first:first+(uintptr(capacity)-first)/hugePage*hugePage], unix.MADV_HUGEPAGE)
	}
	return memory[:0]
}
