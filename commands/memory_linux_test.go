package commands

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"unsafe"
)

func TestLargeMemoryIsOfHugePagesWhereTheSystemHasThem(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Logf("this system has none: %v", err)
		return
	}
	memory := largeMemory(8 << 20)
	middle := uint64(uintptr(unsafe.Pointer(&memory[:cap(memory)][cap(memory)/2])))
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range bytes.Lines(maps) {
		var from, to uint64
		if n, _ := fmt.Sscanf(string(line), "%x-%x ", &from, &to); n == 2 {
			inside = from <= middle && middle < to
		}
		if inside && bytes.HasPrefix(line, []byte("VmFlags:")) {
			if !bytes.Contains(line, []byte(" hg")) {
				t.Errorf("huge pages are not asked for: %s", line)
			}
			return
		}
	}
	t.Error("the memory is not in the map")
}

func TestHeadroomTakesNoMemoryItself(t *testing.T) {
	pages := func() (resident int) {
		statm, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscanf(string(statm), "%d %d", new(int), &resident); err != nil {
			t.Fatal(err)
		}
		return resident
	}
	before := pages()
	defer collectRarely()()
	if took := (pages() - before) * os.Getpagesize(); took > headroom/4 {
		t.Errorf("it takes %d bytes", took)
	}
}
