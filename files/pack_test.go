package files

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// unzipped gives the names and contents of an archive.
func unzipped(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	contents := make(map[string]string)
	for _, file := range reader.File {
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := contents[file.Name]; twice {
			t.Errorf("%s is in it twice", file.Name)
		}
		contents[file.Name] = string(b)
	}
	return contents
}

func packed(t *testing.T, directories bool, paths ...string) map[string]string {
	t.Helper()
	sources, _, err := Sources(paths, directories)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := Pack(&archive, sources); err != nil {
		t.Fatal(err)
	}
	return unzipped(t, archive.Bytes())
}

func checkContents(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s holds %q, want %q", name, got[name], content)
		}
	}
	if len(got) != len(want) {
		t.Errorf("there are %d: %v, want %d", len(got), got, len(want))
	}
}

func TestFilesOfOneNameAreKeptApart(t *testing.T) {
	dir := t.TempDir()
	paths := []string{
		put(t, filepath.Join(dir, "1", "key.txt"), "one"), put(t, filepath.Join(dir, "2", "key.txt"), "two"),
		put(t, filepath.Join(dir, "3", "KEY.TXT"), "three"), put(t, filepath.Join(dir, "4", "key-2.txt"), "four"),
		put(t, filepath.Join(dir, "5", "key"), "five"), put(t, filepath.Join(dir, "6", "key"), "six"),
	}
	checkContents(t, packed(t, false, append(paths, paths[0])...), map[string]string{
		"key.txt": "one", "key-2.txt": "two", "KEY-3.TXT": "three", "key-2-2.txt": "four", "key": "five", "key-2": "six", "key-4.txt": "one",
	})
}

func TestADirectoryIsPackedWithItsStructureIfItMayBe(t *testing.T) {
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	put(t, filepath.Join(tree, "a"), "A")
	put(t, filepath.Join(tree, "sub", "a"), "B")
	put(t, filepath.Join(tree, "sub", ".hidden"), "C")
	if err := os.Symlink("/etc/passwd", filepath.Join(tree, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(tree, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, left, err := Sources([]string{tree}, true)
	if left != 2 || err != nil {
		t.Errorf("%d are left out, want 2 (%v)", left, err)
	}
	want := map[string]string{"tree/a": "A", "tree/sub/a": "B", "tree/sub/.hidden": "C"}
	checkContents(t, packed(t, true, tree), want)
	checkContents(t, packed(t, true, tree+"/"), want)
	t.Chdir(tree)
	checkContents(t, packed(t, true, "."), want)
	if err := os.Symlink(tree, filepath.Join(dir, "way")); err != nil {
		t.Fatal(err)
	}
	checkContents(t, packed(t, true, filepath.Join(dir, "way")), map[string]string{"way/a": "A", "way/sub/a": "B", "way/sub/.hidden": "C"})

	if _, _, err := Sources([]string{tree}, false); !errors.Is(err, ErrDirectory) || !strings.Contains(err.Error(), tree) {
		t.Errorf("a directory that may not be packed: %v", err)
	}
}

func TestEverythingThatCannotBeReadIsTold(t *testing.T) {
	dir := t.TempDir()
	there := put(t, filepath.Join(dir, "there"), "x")
	_, _, err := Sources([]string{filepath.Join(dir, "no1"), there, filepath.Join(dir, "no2"), dir}, false)
	for _, part := range []string{"no1", "no2", "is a directory"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not told of: %v", part, err)
		}
	}
}

// fullAfter takes so many bytes.
type fullAfter int

var errFull = errors.New("full")

func (f *fullAfter) Write(p []byte) (int, error) {
	if *f -= fullAfter(len(p)); *f < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestPackingEndsWhenThereIsNoMoreRoom(t *testing.T) {
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	path := put(t, filepath.Join(t.TempDir(), "noise"), string(noise))
	sources, _, err := Sources([]string{path}, false)
	if err != nil {
		t.Fatal(err)
	}
	room := fullAfter(1000)
	if err := Pack(&room, slices.Repeat(sources, 3)); !errors.Is(err, errFull) {
		t.Errorf("packing gives %v", err)
	}
}
