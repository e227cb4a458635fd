package files

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// names are those of what is in a directory.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

// put makes a file.
func put(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSavingNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "same"), "from before")
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
		switch {
		case name == "same" && string(b) == "from before":
		case err != nil || len(b) != 1 || !strings.HasPrefix(name, "same."):
			t.Errorf("%s holds %v (%v)", name, b, err)
		default:
			seen[b[0]] = true
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 are there", len(seen))
	}
}

func TestSavingFollowsNoLink(t *testing.T) {
	outside := t.TempDir()
	victim := put(t, filepath.Join(outside, "victim"), "mine")
	for name, trap := range map[string]func(path string) error{
		"symbolic link":                func(path string) error { return os.Symlink(victim, path) },
		"symbolic link to nothing":     func(path string) error { return os.Symlink(filepath.Join(outside, "new"), path) },
		"symbolic link to a directory": func(path string) error { return os.Symlink(outside, path) },
		"hard link":                    func(path string) error { return os.Link(victim, path) },
		"named pipe":                   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory":                    func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := trap(filepath.Join(dir, "file")); err != nil {
				t.Fatal(err)
			}
			path, err := Save(dir, "file", []byte("secret"))
			if err != nil || !strings.HasPrefix(path, filepath.Join(dir, "file.")) {
				t.Errorf("it is saved as %s (%v)", path, err)
			}
			if found := names(t, outside); !slices.Equal(found, []string{"victim"}) {
				t.Errorf("outside there is %q", found)
			}
			if b, err := os.ReadFile(victim); err != nil || string(b) != "mine" {
				t.Errorf("the victim holds %q (%v)", b, err)
			}
		})
	}
}

func TestWhatIsSavedIsForItsOwnerAloneWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0o000, 0o022, 0o077} {
		old := syscall.Umask(umask)
		dir := t.TempDir()
		path, err := Save(dir, "file", []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := Extract(dir, zipped(t, "dir/file", "x"))
		if err != nil {
			t.Fatal(err)
		}
		syscall.Umask(old)
		for path, want := range map[string]os.FileMode{
			path: 0o600, unpacked[0]: os.ModeDir | 0o700, filepath.Join(unpacked[0], "file"): 0o600,
		} {
			if info, err := os.Lstat(path); err != nil || info.Mode() != want {
				t.Errorf("umask %o: %s has mode %v, want %v (%v)", umask, path, info.Mode(), want, err)
			}
		}
	}
}

func TestWhatCannotBeSavedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"../x", "/tmp/x", "no/such/dir", strings.Repeat("n", 300), "a\x00b", ""} {
		if path, err := Save(dir, name, []byte("x")); err == nil {
			t.Errorf("%q was saved as %s", name, path)
		}
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func TestProbingTellsWhetherAFileCanBeSavedAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := Probe(dir); err != nil {
		t.Error(err)
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
	file := put(t, filepath.Join(dir, "file"), "x")
	for _, place := range []string{"/proc", filepath.Join(dir, "nowhere"), file} {
		if err := Probe(place); err == nil {
			t.Errorf("a file could be saved in %s", place)
		}
	}
}

func TestWhereThereAreNoHardLinksANameIsTakenFirst(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	put(t, filepath.Join(dir, "from"), "new")
	put(t, filepath.Join(dir, "to"), "old")
	if err := takeName(root, "from", "to"); !errors.Is(err, os.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
	if err := takeName(root, "from", "free"); err != nil {
		t.Error(err)
	}
	if found := names(t, dir); !slices.Equal(found, []string{"free", "to"}) {
		t.Errorf("there is %q", found)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "free")); err != nil || string(b) != "new" {
		t.Errorf("it holds %q (%v)", b, err)
	}
}

func TestANameThatCannotBeUsedIsGivenBack(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := takeName(root, "nothing", "to"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("renaming nothing gives %v", err)
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

// recorder writes down what is synced, and for the directory itself what is in it by then.
func recorder(t *testing.T, dir string, synced *[]string) syncer {
	temporary := regexp.MustCompile(`\.hakanai-[0-9a-f-]+`)
	return func(file *os.File) error {
		name, err := filepath.Rel(dir, file.Name())
		if err != nil {
			t.Fatal(err)
		}
		if name == "." {
			name = ". with " + strings.Join(names(t, dir), ", ")
		}
		*synced = append(*synced, temporary.ReplaceAllString(name, "temporary"))
		return nil
	}
}

func TestWhatIsNewIsOnDiskUnderItsName(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var synced []string
	if _, err := save(root, "file", []byte("x"), recorder(t, dir, &synced)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"temporary", ". with file"}; !slices.Equal(synced, want) {
		t.Errorf("a file: %q, want %q", synced, want)
	}
	synced = nil
	entries, err := readEntries(zipped(t, "a/b/c", "x", "a/d/", ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := extract(root, entries, freeTotal, recorder(t, dir, &synced)); err != nil {
		t.Fatal(err)
	}
	want := []string{"temporary", "temporary/a", "temporary/a/b", "temporary/a/b/c", "temporary/a/d", ". with temporary, a, file"}
	if !slices.Equal(synced, want) {
		t.Errorf("an archive: %q, want %q", synced, want)
	}
}

func TestAnEmptyDirectoryThatStaysIsNoFailure(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := readEntries(zipped(t, "file", "x"))
	if err != nil {
		t.Fatal(err)
	}
	// Once the directory itself is synced, only the removal is left, for which the root is closed.
	found, err := extract(root, entries, freeTotal, func(file *os.File) error {
		if name, err := filepath.Rel(dir, file.Name()); err == nil && name == "." {
			return root.Close()
		}
		return nil
	})
	if err != nil || !slices.Equal(found, []string{"file"}) || len(names(t, dir)) != 2 {
		t.Errorf("%q is unpacked, and there is %q (%v)", found, names(t, dir), err)
	}
}
