package files

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// What an archive may unpack to. The rest is a bomb, or close enough.
const (
	maxEntries = 10_000
	maxDepth   = 32 // directories within directories
	maxTotal   = 1 << 30
	// maxRatio is how many times its own size an archive may unpack to, once that is over freeTotal.
	maxRatio  = 100
	freeTotal = 1 << 20
)

// Errors of Extract.
var (
	// ErrNotArchive says that the data is no ZIP archive.
	ErrNotArchive = errors.New("it is not a ZIP archive")
	// ErrArchive says that the archive is broken, or that something in it is not unpacked.
	ErrArchive = errors.New("the archive cannot be unpacked")
)

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrArchive, fmt.Errorf(format, args...))
}

// IsArchive tells whether data begins like a ZIP archive that has something in it.
func IsArchive(data []byte) bool { return bytes.HasPrefix(data, []byte("PK\x03\x04")) }

// Extract unpacks a ZIP archive into a directory: all of it, or nothing. It returns the paths of what is new in the
// directory. Each part of an entry's name is made as harmless as SafeName makes a file's; an entry that leads out of the
// directory, that is encrypted, or that is neither a file nor a directory makes it refuse the archive, and so does more
// than the limits above. Errors: ErrNotArchive, ErrArchive, and those of the file system.
func Extract(dir string, archive []byte) (paths []string, err error) {
	entries, err := readEntries(archive)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // the files in it have been synced
	temporary := temporaryName()
	if err := root.Mkdir(temporary, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.RemoveAll(temporary)) }()
	if err := unpack(root, temporary, entries, budget(len(archive))); err != nil {
		return nil, err
	}
	names, err := moveOut(root, temporary)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths, nil
}

// budget is how many bytes an archive of a size may unpack to.
func budget(size int) int64 { return min(max(freeTotal, maxRatio*int64(size)), maxTotal) }

// entry is one of an archive's, checked.
type entry struct {
	file *zip.File
	path string // safe, with slashes
}

func readEntries(archive []byte) (entries []entry, err error) {
	if !IsArchive(archive) {
		return nil, ErrNotArchive
	}
	// Before the reader makes something of each of them. Other archives inside count too, if they are not compressed.
	if bytes.Count(archive, []byte("PK\x01\x02")) > maxEntries {
		return nil, refuse("it has over %d entries", maxEntries)
	}
	reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, refuse("%w", err)
	}
	for _, file := range reader.File {
		safe, err := check(file)
		if err != nil {
			return nil, err
		}
		if safe != "" {
			entries = append(entries, entry{file, safe})
		}
	}
	return entries, nil
}

// check returns the safe path of an entry, or why the archive is refused.
func check(file *zip.File) (safe string, err error) {
	const encrypted = 1
	mode := file.Mode()
	switch {
	case file.Flags&encrypted != 0:
		return "", refuse("%q in it is encrypted", file.Name)
	case mode&fs.ModeSymlink != 0:
		return "", refuse("%q in it is a symbolic link", file.Name)
	case !mode.IsRegular() && !mode.IsDir():
		return "", refuse("%q in it is neither a file nor a directory", file.Name)
	case file.Method != zip.Store && file.Method != zip.Deflate:
		return "", refuse("%q in it is compressed in a way that is not known", file.Name)
	}
	parts := strings.Split(strings.ReplaceAll(file.Name, `\`, "/"), "/")
	if parts[0] == "" || len(parts[0]) == 2 && parts[0][1] == ':' {
		return "", refuse("%q in it leads out of the directory", file.Name)
	}
	for _, part := range parts {
		switch part {
		case "", ".":
		case "..":
			return "", refuse("%q in it leads out of the directory", file.Name)
		default:
			safe = path.Join(safe, SafeName(part))
		}
	}
	if strings.Count(safe, "/") >= maxDepth {
		return "", refuse("%q in it is too deep", file.Name)
	}
	return safe, nil
}

// unpack writes the entries into a directory of the root. No more than left bytes are written in all, whatever the
// entries say of their sizes.
func unpack(root *os.Root, dir string, entries []entry, left int64) error {
	for _, e := range entries {
		target := path.Join(dir, e.path)
		parent := path.Dir(target)
		if e.file.Mode().IsDir() {
			parent = target
		}
		if err := root.MkdirAll(parent, 0o700); err != nil {
			return err
		}
		if e.file.Mode().IsDir() {
			continue
		}
		content, err := e.file.Open()
		if err != nil {
			return refuse("%q in it: %w", e.file.Name, err)
		}
		bounded := &boundedReader{content, &left}
		if _, err = create(root, target, bounded); err == nil {
			err = content.Close()
		}
		if err != nil {
			return fmt.Errorf("%q in the archive: %w", e.file.Name, err)
		}
	}
	return nil
}

// boundedReader gives what is left of a budget, and then an error.
type boundedReader struct {
	io.Reader
	left *int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if *b.left -= int64(n); *b.left < 0 {
		return 0, refuse("it unpacks to more than %d times its size, or than %d MiB", maxRatio, maxTotal>>20)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = refuse("%w", err)
	}
	return n, err
}

// moveOut moves what is in a directory of the root to the root, under names that are free. It moves all or nothing.
func moveOut(root *os.Root, dir string) (names []string, err error) {
	found, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		rename := renameFile
		if f.IsDir() {
			rename = renameDirectory
		}
		name, err := place(root, path.Join(dir, f.Name()), f.Name(), rename)
		if err != nil {
			for _, moved := range names {
				err = errors.Join(err, root.RemoveAll(moved))
			}
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}
