// Package files is where what a stranger has sent meets the disk. It reads what is to be sent, packs several files into
// one archive, saves a file, and unpacks an archive.
//
// What it promises: whatever a sender calls a file, it ends up inside the directory that the user chose, under a name
// that is harmless there, readable by its owner alone, whole or not at all, and never over another file. Everything
// happens inside an os.Root, so that neither a name nor a symbolic link leads out.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// probeSize is how much Probe writes, in bytes: enough for a full disk to say so.
const probeSize = 64 << 10

// Probe tells whether a file could be saved in a directory: it writes one, and removes it.
func Probe(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing in it is to be kept
	name := temporaryName()
	return errors.Join(write(root, name, make([]byte, probeSize), (*os.File).Sync), removeIfThere(root, name))
}

// Save writes a file into a directory, and returns its path. Where the name is taken, the time is added to it. Then the
// file is on disk, and so is its name, where the system can say so.
func Save(dir, name string, data []byte) (path string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close() //nolint:errcheck // the files in it have been synced
	if name, err = save(root, name, data, (*os.File).Sync); err != nil {
		return "", err
	}
	return filepath.Join(dir, name), nil
}

// syncer makes a file or a directory last: (*os.File).Sync.
type syncer func(*os.File) error

// save writes a file into the root, and returns its name there.
func save(root *os.Root, name string, data []byte, sync syncer) (free string, err error) {
	temporary := temporaryName()
	if err = write(root, temporary, data, sync); err == nil {
		free, err = firstFree(name, func(name string) error { return renameFile(root, temporary, name) })
	}
	if err != nil {
		return "", errors.Join(err, removeIfThere(root, temporary))
	}
	syncDirectory(root, ".", sync)
	return free, nil
}

// temporaryName is a file's until it is whole.
func temporaryName() string { return ".hakanai-" + uuid.NewString() }

// write writes and syncs a new file.
func write(root *os.Root, name string, data []byte, sync syncer) error {
	file, err := openNew(root, name)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, sync(file), file.Close())
}

// openNew makes a file for its owner alone. Error: fs.ErrExist.
func openNew(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// syncDirectory makes the names of new files last, where the system can do that.
func syncDirectory(root *os.Root, name string, sync syncer) {
	if dir, err := root.Open(name); err == nil {
		_ = sync(dir)
		_ = dir.Close()
	}
}

// firstFree takes a name, or the first like it that is not taken. take says so with fs.ErrExist.
func firstFree(name string, take func(name string) error) (free string, err error) {
	for try := range 100 {
		free = name
		if try > 0 {
			free += "." + strconv.FormatInt(time.Now().Unix()+int64(try-1), 10)
		}
		if err := take(free); !errors.Is(err, fs.ErrExist) {
			return free, err
		}
	}
	return "", fmt.Errorf("every name like %q is taken", name)
}

// renameFile renames a file to a name that is free. Error: fs.ErrExist.
func renameFile(root *os.Root, from, to string) error {
	err := root.Link(from, to)
	if err == nil {
		return root.Remove(from)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	return takeName(root, from, to) // the file system has no links
}

// takeName takes a name, and then renames over what took it, or gives the name back. Error: fs.ErrExist.
func takeName(root *os.Root, from, to string) error {
	file, err := openNew(root, to)
	if err != nil {
		return err
	}
	if err = file.Close(); err == nil {
		err = root.Rename(from, to)
	}
	if err != nil {
		return errors.Join(err, removeIfThere(root, to))
	}
	return nil
}

// renameDirectory renames a directory to a name that is free. Error: fs.ErrExist.
func renameDirectory(root *os.Root, from, to string) error {
	if err := root.Mkdir(to, 0o700); err != nil { // takes the name
		return err
	}
	if root.Rename(from, to) == nil { // over the empty one, where the system can
		return nil
	}
	return errors.Join(root.Remove(to), root.Rename(from, to))
}

func removeIfThere(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
