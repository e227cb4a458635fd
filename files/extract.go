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
	"syscall"
)

// What an archive may unpack to. The rest is a bomb, or close enough.
const (
	maxEntries = 10_000
	maxDepth   = 32 // directories within directories
	maxPath    = 1024
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
	names, err := extract(root, entries, budget(len(archive)), (*os.File).Sync)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths, nil
}

// extract unpacks the entries into the root, and returns the names of what is new there.
func extract(root *os.Root, entries []entry, left int64, sync syncer) (names []string, err error) {
	temporary := temporaryName()
	if err := root.Mkdir(temporary, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		// Once all has been moved out, the directory is empty: that it stays is no failure.
		if remove := root.RemoveAll(temporary); err != nil {
			err = errors.Join(err, remove)
		}
	}()
	if err := unpack(root, temporary, entries, left); err != nil {
		return nil, err
	}
	if err := syncTree(root, temporary, sync); err != nil {
		return nil, err
	}
	if names, err = moveOut(root, temporary); err != nil {
		return nil, err
	}
	syncDirectory(root, ".", sync)
	return names, nil
}

// budget is how many bytes an archive of a size may unpack to.
func budget(size int) int64 { return min(max(freeTotal, maxRatio*int64(size)), maxTotal) }

// entry is one of an archive's, checked.
type entry struct {
	file      *zip.File
	path      string // safe, with slashes
	directory bool
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
	directories := make(map[string]bool)
	for _, file := range reader.File {
		e, err := check(file)
		if err != nil {
			return nil, err
		}
		for dir := path.Dir(e.path); dir != "."; dir = path.Dir(dir) {
			directories[dir] = true
		}
		entries = append(entries, e)
	}
	if len(directories) > maxEntries {
		return nil, refuse("it has over %d directories", maxEntries)
	}
	return entries, nil
}

// check makes an entry's path safe, or tells why the archive is refused.
func check(file *zip.File) (e entry, err error) {
	const encrypted = 1
	mode, name := file.Mode(), strings.ReplaceAll(file.Name, `\`, "/")
	e = entry{file: file, directory: mode.IsDir() || strings.HasSuffix(name, "/")}
	switch {
	case file.Flags&encrypted != 0:
		return e, refuse("%q in it is encrypted", shown(file))
	case mode&fs.ModeSymlink != 0:
		return e, refuse("%q in it is a symbolic link", shown(file))
	case !mode.IsRegular() && !mode.IsDir():
		return e, refuse("%q in it is neither a file nor a directory", shown(file))
	case e.directory && file.UncompressedSize64 > 0:
		return e, refuse("%q in it is a directory, and has content", shown(file))
	case file.Method != zip.Store && file.Method != zip.Deflate:
		return e, refuse("%q in it is compressed in a way that is not known", shown(file))
	case strings.HasPrefix(name, "/") || len(name) > 1 && name[1] == ':':
		return e, refuse("%q in it leads out of the directory", shown(file))
	}
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return e, refuse("%q in it leads out of the directory", shown(file))
		default:
			e.path = path.Join(e.path, SafeName(part))
		}
	}
	if e.path == "" && !e.directory {
		e.path = noName
	}
	if strings.Count(e.path, "/") >= maxDepth || len(e.path) > maxPath {
		return e, refuse("%q in it is too deep", shown(file))
	}
	return e, nil
}

// shown is an entry's name as far as a message has room for it.
func shown(file *zip.File) string {
	const room = 100
	if len(file.Name) > room {
		return file.Name[:room] + "…"
	}
	return file.Name
}

// unpack writes the entries into a directory of the root. No more than left bytes are written in all, whatever the
// entries say of their sizes.
func unpack(root *os.Root, dir string, entries []entry, left int64) error {
	for _, e := range entries {
		target := path.Join(dir, e.path)
		parent := path.Dir(target)
		if e.directory {
			parent = target
		}
		if err := root.MkdirAll(parent, 0o700); errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrExist) {
			return refuse("%q in it is below a file", shown(e.file))
		} else if err != nil {
			return err
		}
		if e.directory {
			continue
		}
		if err := e.write(root, target, &left); err != nil {
			return fmt.Errorf("%q in the archive: %w", shown(e.file), err)
		}
	}
	return nil
}

// write writes an entry's content to a file, or to one whose name is like it if that is taken by another entry.
func (e entry) write(root *os.Root, target string, left *int64) error {
	content, err := e.file.Open()
	if err != nil {
		return refuse("%w", err)
	}
	var file *os.File
	_, err = firstFree(target, func(name string) (err error) {
		file, err = openNew(root, name)
		return err
	})
	if err != nil {
		return errors.Join(err, content.Close())
	}
	_, err = io.Copy(file, &boundedReader{content, left})
	return errors.Join(err, content.Close(), file.Close())
}

// syncTree makes a directory of the root and all that is in it last: all at once, which is faster than one after the
// other as it is written.
func syncTree(root *os.Root, dir string, sync syncer) error {
	return fs.WalkDir(root.FS(), dir, func(name string, found fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if found.IsDir() {
			syncDirectory(root, name, sync)
			return nil
		}
		file, err := root.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(sync(file), file.Close())
	})
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
		name, err := firstFree(f.Name(), func(name string) error { return rename(root, path.Join(dir, f.Name()), name) })
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
