package commands

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

// saver saves a file in a directory: whole or not at all, for its owner alone, and never over another. It works inside
// an os.Root, so that no name leads out of the directory.
type saver struct {
	dir      string
	filename string // the user's choice; "" for the sender's
}

// newSaver takes apart what the user chose.
func newSaver(dir, filename string) (saver, error) {
	if filename != "" {
		parent, base := filepath.Split(filename)
		if base == "" || base == "." || base == ".." {
			return saver{}, usageError("--filename must end with the name of a file")
		}
		if parent != "" && dir != "" {
			return saver{}, usageError("--filename names a directory, and so does --output-dir")
		}
		filename = base
		if parent != "" {
			dir = parent
		}
	}
	if dir == "" {
		dir = "."
	}
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return saver{}, usageError("%s is not a directory that exists", dir)
	}
	return saver{dir: dir, filename: filename}, nil
}

// probe makes and removes a file, to know beforehand that one can be saved.
func (s saver) probe() error {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing was written to it
	name := temporaryName()
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), root.Remove(name))
}

func temporaryName() string { return ".hakanai-" + uuid.NewString() }

// save writes a file and returns its path. Where the name is taken, the time is added to it.
func (s saver) save(name string, data []byte) (path string, err error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return "", err
	}
	defer root.Close() //nolint:errcheck // the files in it have been synced
	temporary := temporaryName()
	if err := writeWhole(root, temporary, data); err != nil {
		return "", errors.Join(err, removeIfThere(root, temporary))
	}
	name, err = place(root, temporary, name)
	if err != nil {
		return "", errors.Join(err, removeIfThere(root, temporary))
	}
	return filepath.Join(s.dir, name), nil
}

// writeWhole writes and syncs a new file.
func writeWhole(root *os.Root, name string, data []byte) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

// place gives a file its name, or the first free one that is like it.
func place(root *os.Root, temporary, name string) (string, error) {
	free := name
	for try := range 100 {
		if try > 0 {
			free = name + "." + strconv.FormatInt(time.Now().Unix()+int64(try-1), 10)
		}
		err := renameExclusively(root, temporary, free)
		if !errors.Is(err, fs.ErrExist) {
			return free, err
		}
	}
	return "", fmt.Errorf("every name like %s is taken", printablePath(name))
}

// renameExclusively renames a file to a name that is free. Error: fs.ErrExist.
func renameExclusively(root *os.Root, from, to string) error {
	err := root.Link(from, to)
	if err == nil {
		return root.Remove(from)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	// The file system has no links: take the name, then rename over what took it.
	file, err := root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), root.Rename(from, to))
}

func removeIfThere(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
