package embedded

import (
	"fmt"
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
	path := filepath.Join(s.dir, secretsName, s.index.name(id).file())
	for _, step := range []func() error{
		func() error { return os.Rename(path, path+".aside") },
		func() error { return os.MkdirAll(filepath.Join(path, "inside"), 0o700) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, step := range []func() error{
			func() error { return os.RemoveAll(path) }, func() error { return os.Rename(path+".aside", path) },
		} {
			if err := step(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestACiphertextThatCannotBeDestroyedKeepsNoOtherAndIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	var reported atomic.Int64
	s, err := Open(Options{Dir: dir, Report: func(error) { reported.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	// All end in one batch; in the index's order, at least one comes after one of the obstructed.
	var ends []func()
	for i := range 20 {
		id := storetest.Create(t, s, []byte(fmt.Sprint("secret ", i)), time.Second)
		if i%2 == 0 {
			ends = append(ends, obstruct(t, s, id))
		}
	}
	left := func() int {
		files, err := os.ReadDir(filepath.Join(dir, secretsName))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	storetest.Eventually(t, "the others are destroyed", func() bool { return reported.Load() > 0 && left() == 2*len(ends) })
	for _, end := range ends {
		end()
	}
	storetest.Eventually(t, "the obstructed are destroyed", func() bool { return left() == 0 })
}

func TestWhatIsToBeDestroyedLaterIsDestroyedByTheSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	id := storetest.Create(t, s, []byte("secret"), time.Hour)
	wantBlobs(t, dir, 1)
	s.destroyLater(s.index.name(id))
	storetest.Eventually(t, "it is destroyed", func() bool {
		files, err := os.ReadDir(filepath.Join(dir, secretsName))
		return err == nil && len(files) == 0
	})
}
