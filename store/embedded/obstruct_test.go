package embedded

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"hakanai/store"
	"hakanai/store/storetest"
)

// obstruct makes a secret's blob one that cannot be destroyed: a directory that is not empty. It returns what ends that.
func obstruct(t *testing.T, s *Store, id store.ID) (end func()) {
	t.Helper()
	path, aside := segmentOf(t, s, id), filepath.Join(s.dir, hex.EncodeToString(id[:]))
	for _, step := range []func() error{
		func() error { return os.Rename(path, aside) },
		func() error { return os.MkdirAll(filepath.Join(path, "inside"), 0o700) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, step := range []func() error{
			func() error { return os.RemoveAll(path) }, func() error { return os.Rename(aside, path) },
		} {
			if err := step(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestACiphertextThatCannotBeDestroyedKeepsNoOtherAndIsTriedAgain(t *testing.T) {
	var reported atomic.Int64
	s, err := Open(Options{Dir: t.TempDir(), Report: func(error) { reported.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	// All end in one batch; in the index's order, at least one comes after one of the obstructed.
	var ends []func()
	for i := range 20 {
		id := storetest.Create(t, s, storetest.Bytes(large+i), 4*time.Second)
		if i%2 == 0 {
			ends = append(ends, obstruct(t, s, id))
		}
	}
	storetest.Eventually(t, "some cannot be destroyed", func() bool { return reported.Load() > 0 })
	wantOwn(t, s, len(ends))
	for _, end := range ends {
		end()
	}
	wantOwn(t, s, 0)
}
