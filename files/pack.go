package files

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Source is a file that is to be sent.
type Source struct {
	Path string
	Name string // in an archive: its base name, below the directory that was named if there was one; no two are the same
	Size int64  // bytes; -1 when it is known only at the end, as of a pipe
}

// ErrDirectory says that a directory was named, and that it is not to be packed.
var ErrDirectory = errors.New("is a directory")

// Sources finds the files of the given paths, and tells of every one that cannot be read, before anything is sent.
// Directories are walked if they may be; what is neither file nor directory inside, symbolic links for example, is left
// out and counted. Errors: ErrDirectory, and those of the file system, joined.
func Sources(paths []string, directories bool) (sources []Source, left int, err error) {
	c := collector{names: make(map[string]bool)}
	for _, name := range paths {
		switch info, err := os.Stat(name); {
		case err != nil:
			c.fail(err)
		case !info.IsDir():
			c.add(name, filepath.Base(name), info)
		case !directories:
			c.fail(fmt.Errorf("%s %w", name, ErrDirectory))
		default:
			c.walk(name)
		}
	}
	return c.sources, c.left, errors.Join(c.errs...)
}

type collector struct {
	sources []Source
	names   map[string]bool // that are taken, in lower case: some file systems know no other
	left    int
	errs    []error
}

func (c *collector) fail(err error) { c.errs = append(c.errs, err) }

func (c *collector) walk(dir string) {
	base, err := filepath.Abs(dir) // "." has a name too
	if err != nil {
		c.fail(err)
		return
	}
	base = c.free(strings.Trim(filepath.Base(base), string(filepath.Separator))) // the root of all has none
	err = filepath.WalkDir(dir+string(filepath.Separator), func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			c.fail(err)
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			c.fail(err)
			return nil
		}
		if !info.Mode().IsRegular() {
			c.left++
			return nil
		}
		below, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		c.add(name, path.Join(base, filepath.ToSlash(below)), info)
		return nil
	})
	if err != nil {
		c.fail(err)
	}
}

func (c *collector) add(name, inArchive string, info fs.FileInfo) {
	size := int64(-1)
	if info.Mode().IsRegular() { // what is opened of a pipe is gone for the second time
		file, err := os.Open(name) //nolint:gosec // the user names it
		if err != nil {
			c.fail(err)
			return
		}
		_ = file.Close() // it was only to see that it can be opened
		size = info.Size()
	}
	c.sources = append(c.sources, Source{name, c.free(inArchive), size})
}

// free returns a name that is not taken yet, and takes it.
func (c *collector) free(name string) string {
	extension := path.Ext(name)
	stem := strings.TrimSuffix(name, extension)
	for n := 2; c.names[strings.ToLower(name)]; n++ {
		name = stem + "-" + strconv.Itoa(n) + extension
	}
	c.names[strings.ToLower(name)] = true
	return name
}

// Pack writes a ZIP archive of the files, a piece at a time. An error of w ends it.
func Pack(w io.Writer, sources []Source) error {
	archive := zip.NewWriter(w)
	for _, source := range sources {
		if err := pack(archive, source); err != nil {
			return err
		}
	}
	return archive.Close()
}

func pack(archive *zip.Writer, source Source) error {
	file, err := os.Open(source.Path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	// Of a file's own attributes only its time goes with it.
	entry, err := archive.CreateHeader(&zip.FileHeader{Name: source.Name, Method: zip.Deflate, Modified: info.ModTime()})
	if err != nil {
		return err
	}
	_, err = io.Copy(entry, file)
	return err
}
