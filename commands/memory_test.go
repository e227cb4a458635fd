package commands

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"hakanai/store/storetest"
)

func TestLargeMemoryIsAsGoodAsAny(t *testing.T) {
	for _, capacity := range []int{0, 1, 4 << 10, 2 << 20, 4<<20 - 1, 4 << 20, 5<<20 + 4097, 13 << 20} {
		memory := largeMemory(capacity)
		if len(memory) != 0 || cap(memory) != capacity {
			t.Errorf("%d of %d bytes, want none of %d", len(memory), cap(memory), capacity)
		}
		for i := range memory[:capacity] {
			if memory[:capacity][i] != 0 {
				t.Fatalf("byte %d of %d is not zero", i, capacity)
			}
			memory[:capacity][i] = 1
		}
	}
}

func TestGarbageIsCollectedAsEverOnceThereIsSome(t *testing.T) {
	percent := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := debug.SetGCPercent(70)
	defer debug.SetGCPercent(before)
	spareCollections()
	if percent() != 800 {
		t.Errorf("collections come at %d %% already", percent())
	}
	storetest.Eventually(t, "the percentage is as before", func() bool {
		runtime.GC()
		return percent() == 70
	})
}

func TestHeadroomLetsGarbageGather(t *testing.T) {
	defer collectRarely()()
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(sample)
	if next := sample[0].Value.Uint64(); next < 2*headroom {
		t.Errorf("the next collection comes at %d bytes", next)
	}
}
