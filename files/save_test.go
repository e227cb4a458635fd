package files

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func TestSavingNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := Save(dir, "same", []byte{byte(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	seen := make(map[byte]bool)
	for _, name := range names(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(b) != 1 || !strings.HasPrefix(name, "same") {
			t.Errorf("%s holds %v (%v)", name, b, err)
			continue
		}
		seen[b[0]] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 are there", len(seen))
	}
}

func TestSavingFollowsNoLinkAndIsForTheOwnerAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir, trap := t.TempDir(), filepath.Join(t.TempDir(), "trap")
	if err := os.Symlink(trap, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	path, err := Save(dir, "link", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(trap); err == nil {
		t.Error("the link was followed")
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode is %v (%v)", info.Mode(), err)
	}
}

func TestWhatCannotBeSavedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"../x", "/tmp/x", "no/such/dir", strings.Repeat("n", 300)} {
		if path, err := Save(dir, name, []byte("x")); err == nil {
			t.Errorf("%q was saved as %s", name, path)
		}
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}
