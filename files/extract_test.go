package files

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// zipped makes an archive of names and contents.
func zipped(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var headers []*zip.FileHeader
	var contents []string
	for i := 0; i < len(pairs); i += 2 {
		headers = append(headers, &zip.FileHeader{Name: pairs[i], Method: zip.Deflate})
		contents = append(contents, pairs[i+1])
	}
	return zippedAs(t, headers, contents)
}

func zippedAs(t testing.TB, headers []*zip.FileHeader, contents []string) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for i, header := range headers {
		entry, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(entry, contents[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// withMode makes an archive of one entry that has a mode of Unix.
func withMode(t testing.TB, mode fs.FileMode, name, content string) []byte {
	t.Helper()
	header := &zip.FileHeader{Name: name, Method: zip.Store}
	header.SetMode(mode)
	return zippedAs(t, []*zip.FileHeader{header}, []string{content})
}

// raw makes an archive of one entry, whose header says what it likes.
func raw(t testing.TB, header zip.FileHeader, content []byte) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	header.CompressedSize64 = uint64(len(content))
	entry, err := w.CreateRaw(&header)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// Signatures and sizes of the parts of a ZIP archive, and where in them is what the tests change (APPNOTE.TXT 4.3).
const (
	centralSize, endSize             = 46, 22
	centralNameLength, centralOffset = 28, 42
	endCount, endCentralSize         = 10, 12
)

// multiplied repeats the entry of an archive in its central directory: all of them share one content.
func multiplied(t testing.TB, archive []byte, times int) []byte {
	t.Helper()
	start := bytes.Index(archive, []byte("PK\x01\x02"))
	end := bytes.LastIndex(archive, []byte("PK\x05\x06"))
	entry := archive[start:end]
	many := bytes.Clone(archive[:start])
	name := centralSize + int(binary.LittleEndian.Uint16(entry[centralNameLength:])) - 7
	for i := range times {
		copy(entry[name:], fmt.Sprintf("%07d", i))
		many = append(many, entry...)
	}
	last := bytes.Clone(archive[end:])
	binary.LittleEndian.PutUint16(last[endCount-2:], uint16(times))
	binary.LittleEndian.PutUint16(last[endCount:], uint16(times))
	binary.LittleEndian.PutUint32(last[endCentralSize:], uint32(times*len(entry)))
	return append(many, last...)
}

// altered changes a byte of an archive, counted from a signature.
func altered(archive []byte, signature string, offset int, values ...byte) []byte {
	changed := bytes.Clone(archive)
	copy(changed[bytes.LastIndex(changed, []byte(signature))+offset:], values)
	return changed
}

// unpacked extracts an archive into a directory that has a neighbourhood, and gives the files that are there then. An
// error must be one of an archive, and must leave nothing; nothing may ever be outside.
func unpacked(t *testing.T, archive []byte) (contents map[string]string, err error) {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b", "dir")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	paths, err := Extract(dir, archive)
	if err != nil && !errors.Is(err, ErrArchive) && !errors.Is(err, ErrNotArchive) {
		t.Errorf("the error is not one of an archive: %v", err)
	}
	contents = make(map[string]string)
	walkErr := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, inside := strings.CutPrefix(path, dir+"/")
		switch {
		case entry.Type()&^fs.ModeDir != 0:
			t.Errorf("%s is a %v", path, entry.Type())
		case !inside && !strings.HasPrefix(dir, path):
			t.Errorf("%s is outside", path)
		case inside && entry.IsDir():
			contents[below+"/"] = ""
		case inside:
			b, err := os.ReadFile(path)
			contents[below] = string(b)
			return err
		}
		return nil
	})
	if walkErr != nil {
		t.Error(walkErr)
	}
	for name := range contents {
		for part := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
			if !isHarmless(part) {
				t.Errorf("%q is there", name)
			}
		}
	}
	if top := names(t, dir); len(top) != len(paths) {
		t.Errorf("there are %q, and %q are told of", top, paths)
	}
	if err != nil && len(contents) > 0 {
		t.Errorf("an archive that was refused (%v) leaves %v", err, contents)
	}
	return contents, err
}

func TestAnArchiveIsUnpackedWithItsStructure(t *testing.T) {
	got, err := unpacked(t, zipped(t, "a.txt", "A", "dir/", "", "dir/b.txt", "B", "dir/sub/c", "C", `win\d.txt`, "D", `win\empty\`, ""))
	if err != nil {
		t.Fatal(err)
	}
	checkContents(t, got, map[string]string{
		"a.txt": "A", "dir/": "", "dir/b.txt": "B", "dir/sub/": "", "dir/sub/c": "C", "win/": "", "win/d.txt": "D", "win/empty/": "",
	})
}

func TestWhatIsThereIsNotOverwrittenByAnArchive(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "mine")
	put(t, filepath.Join(dir, "sub", "file"), "mine too")
	paths, err := Extract(dir, zipped(t, "file", "theirs", "sub/file", "theirs too"))
	if err != nil || len(paths) != 2 {
		t.Fatalf("%q (%v)", paths, err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "file"): "mine", filepath.Join(dir, "sub", "file"): "mine too", paths[0]: "theirs",
		filepath.Join(paths[1], "file"): "theirs too",
	} {
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("%s holds %q, want %q (%v)", path, b, want, err)
		}
	}
}

// withoutTimes replaces the times that are added to names which are taken.
func withoutTimes(contents map[string]string) map[string]string {
	added := regexp.MustCompile(`\.\d{10,}`)
	plain := make(map[string]string)
	for name, content := range contents {
		plain[added.ReplaceAllString(name, ".TIME")] = content
	}
	return plain
}

func TestEntriesOfOneNameAreAllKept(t *testing.T) {
	for name, test := range map[string]struct {
		archive []byte
		want    map[string]string
	}{
		"twice":            {zipped(t, "a", "1", "a", "2"), map[string]string{"a": "1", "a.TIME": "2"}},
		"in two spellings": {zipped(t, "a", "1", "./a", "2"), map[string]string{"a": "1", "a.TIME": "2"}},
		"made the same":    {zipped(t, "a?", "1", "a*", "2"), map[string]string{"a_": "1", "a_.TIME": "2"}},
		"but for case":     {zipped(t, "README", "1", "readme", "2"), map[string]string{"README": "1", "readme": "2"}},
		"directory first":  {zipped(t, "a/b", "1", "a", "2"), map[string]string{"a/": "", "a/b": "1", "a.TIME": "2"}},
		"long alike": {
			zipped(t, strings.Repeat("n", 10_000)+"1", "1", strings.Repeat("n", 10_000)+"2", "2"),
			map[string]string{strings.Repeat("n", maxName): "1", strings.Repeat("n", maxName) + ".TIME": "2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := unpacked(t, test.archive)
			if err != nil {
				t.Fatal(err)
			}
			checkContents(t, withoutTimes(got), test.want)
		})
	}
}

func TestHostileNamesInAnArchiveStayInside(t *testing.T) {
	refused := 0
	for _, name := range hostileNames(t) {
		if len(name) > 0xffff {
			continue // no archive can hold it
		}
		var archive bytes.Buffer
		w := zip.NewWriter(&archive)
		entry, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, CompressedSize64: 0, CRC32: 0})
		if err != nil {
			t.Fatalf("%.80q: %v", name, err)
		}
		_ = entry
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := unpacked(t, archive.Bytes())
		switch {
		case err != nil:
			refused++
		case len(got) == 0 && !strings.HasSuffix(strings.ReplaceAll(name, `\`, "/"), "/"):
			t.Errorf("nothing is left of %.80q", name)
		}
	}
	if refused < 30 {
		t.Errorf("only %d are refused", refused)
	}
}

func TestHostileArchivesAreRefusedWhole(t *testing.T) {
	zeros := strings.Repeat("\x00", 30<<20)
	ordinary := zipped(t, "fine.txt", "fine")
	bomb := zipped(t, "zeros00", zeros[:5<<20])
	for name, test := range map[string]struct {
		archive []byte
		want    string // in the error
	}{
		"traversal":              {zipped(t, "fine.txt", "fine", "../x", "x"), "leads out"},
		"traversal below":        {zipped(t, "a/../../x", "x"), "leads out"},
		"traversal back":         {zipped(t, "a/../b", "x"), "leads out"},
		"traversal, backslashes": {zipped(t, `..\..\x`, "x"), "leads out"},
		"traversal, mixed":       {zipped(t, `a\../..\x`, "x"), "leads out"},
		"traversal, directory":   {zipped(t, "../x/", ""), "leads out"},
		"absolute":               {zipped(t, "/etc/cron.d/x", "x"), "leads out"},
		"absolute, backslash":    {zipped(t, `\x`, "x"), "leads out"},
		"share":                  {zipped(t, `\\server\share\x`, "x"), "leads out"},
		"drive":                  {zipped(t, `C:\x`, "x"), "leads out"},
		"drive, relative":        {zipped(t, "C:x", "x"), "leads out"},
		"symbolic link":          {withMode(t, fs.ModeSymlink|0o777, "link", "/etc/passwd"), "symbolic link"},
		"way through a link": {
			zippedAs(t, []*zip.FileHeader{symlink("way"), {Name: "way/x"}}, []string{"/tmp", "x"}), "symbolic link",
		},
		"device":              {withMode(t, fs.ModeDevice|0o666, "sda", ""), "neither a file nor a directory"},
		"character device":    {withMode(t, fs.ModeDevice|fs.ModeCharDevice|0o666, "null", ""), "neither a file nor a directory"},
		"named pipe":          {withMode(t, fs.ModeNamedPipe|0o666, "pipe", ""), "neither a file nor a directory"},
		"socket":              {withMode(t, fs.ModeSocket|0o666, "socket", ""), "neither a file nor a directory"},
		"encrypted":           {raw(t, zip.FileHeader{Name: "x", Flags: 1, UncompressedSize64: 3}, []byte("abc")), "encrypted"},
		"strongly encrypted":  {raw(t, zip.FileHeader{Name: "x", Flags: 0x41, Method: 99, UncompressedSize64: 3}, []byte("abc")), "encrypted"},
		"bzip2":               {raw(t, zip.FileHeader{Name: "x", Method: 12, UncompressedSize64: 3}, []byte("abc")), "way that is not known"},
		"unknown method":      {raw(t, zip.FileHeader{Name: "x", Method: 0xbeef, UncompressedSize64: 3}, []byte("abc")), "way that is not known"},
		"file below a file":   {zipped(t, "a", "1", "a/b", "2"), "below a file"},
		"content directory":   {altered(raw(t, zip.FileHeader{Name: "ax", UncompressedSize64: 3}, []byte("abc")), "PK\x01\x02", centralSize+1, '/'), "directory, and has content"},
		"flat bomb":           {zipped(t, "zeros", zeros), "unpacks to more"},
		"bomb in pieces":      {zipped(t, "1", zeros[:9<<20], "2", zeros[:9<<20]), "unpacks to more"},
		"overlapping bomb":    {multiplied(t, bomb, 2000), "unpacks to more"},
		"bomb that says less": {altered(zipped(t, "zeros", zeros), "PK\x01\x02", 24, 10, 0, 0, 0), "not a valid zip"},
		"says more":           {altered(ordinary, "PK\x01\x02", 24, 0xff, 0xff, 0xff, 0x7f), "unexpected EOF"},
		"wrong checksum":      {altered(ordinary, "PK\x01\x02", 16, 1, 2, 3, 4), "checksum"},
		"no deflate":          {raw(t, zip.FileHeader{Name: "x", Method: zip.Deflate, UncompressedSize64: 5}, []byte("\xff\xff\xff\xff\xff")), "corrupt"},
		"content elsewhere":   {altered(ordinary, "PK\x01\x02", centralOffset, 0xff, 0xff, 0xff, 0x7f), "EOF"},
		"more than there are": {altered(ordinary, "PK\x05\x06", endCount-2, 9, 0, 9, 0), "EOF"},
		"directory elsewhere": {altered(ordinary, "PK\x05\x06", endCentralSize+4, 0xff, 0xff, 0xff, 0x7f), "offset"},
		"no directory":        {ordinary[:bytes.Index(ordinary, []byte("PK\x01\x02"))], "zip"},
		"garbage after PK":    {[]byte("PK\x03\x04 and then nothing of the kind"), "zip"},
		"10,001 entries":      {multiplied(t, zipped(t, "0000000", "x"), 10_001), "over 10000 entries"},
		"1,000,000 entries":   {multiplied(t, zipped(t, "0000000", ""), 1_000_000), "over 10000 entries"},
		"deep":                {zipped(t, strings.Repeat("d/", 40)+"x", "x"), "too deep"},
		"long path":           {zipped(t, strings.Repeat(strings.Repeat("d", 199)+"/", 10)+"x", "x"), "too deep"},
		"many directories":    {manyDirectories(t), "over 10000 directories"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := unpacked(t, test.archive)
			if !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d bytes: %v, %d files", len(test.archive), err, len(got))
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func symlink(name string) *zip.FileHeader {
	header := &zip.FileHeader{Name: name}
	header.SetMode(fs.ModeSymlink | 0o777)
	return header
}

// manyDirectories is an archive with few entries, which are each in directories of their own.
func manyDirectories(t testing.TB) []byte {
	var pairs []string
	for i := range 1000 {
		pairs = append(pairs, fmt.Sprintf("%d/%sx", i, strings.Repeat("d/", 20)), "")
	}
	return zipped(t, pairs...)
}

func TestATruncatedArchiveIsRefused(t *testing.T) {
	archive := zipped(t, "a", strings.Repeat("content ", 50), "dir/b", "x")
	for n := range len(archive) - 1 {
		if got, err := unpacked(t, archive[:n]); err == nil {
			t.Errorf("%d of %d bytes give %v", n, len(archive), got)
		}
	}
}

func TestArchivesInsideAnArchiveStayArchives(t *testing.T) {
	inner := zipped(t, "zeros", strings.Repeat("\x00", 10<<20))
	for range 3 { // 10 MiB, ten times, three times over
		var pairs []string
		for i := range 10 {
			pairs = append(pairs, fmt.Sprintf("%d.zip", i), string(inner))
		}
		inner = zipped(t, pairs...)
	}
	got, err := unpacked(t, inner)
	if err != nil || len(got) != 10 || !IsArchive([]byte(got["0.zip"])) {
		t.Errorf("%d files (%v)", len(got), err)
	}
	t.Logf("10 GiB in %d bytes gives %d files", len(inner), len(got))
}

func TestAnArchiveThatHoldsItselfIsUnpackedOnce(t *testing.T) {
	archive := raw(t, zip.FileHeader{Name: "self.zip", Method: zip.Store}, nil)
	size := uint32(len(archive) - 30 - len("self.zip")) // from its content, which is empty, to its end
	for _, at := range []int{20, 24} {
		archive = altered(archive, "PK\x01\x02", at, byte(size), byte(size>>8), 0, 0)
	}
	got, err := unpacked(t, archive)
	if err != nil || !strings.HasSuffix(string(archive), got["self.zip"]) || len(got) != 1 {
		t.Errorf("it gives %v (%v)", got, err)
	}
}

func TestWhatIsNoArchiveIsNotTakenForOne(t *testing.T) {
	for _, data := range []string{"", "P", "text", "PK", "PK\x05\x06" + strings.Repeat("\x00", 18), "\x1f\x8b\x08", "MZ" + string(zipped(t, "a", "b"))} {
		if _, err := unpacked(t, []byte(data)); !errors.Is(err, ErrNotArchive) || IsArchive([]byte(data)) {
			t.Errorf("%q gives %v", data, err)
		}
	}
}

func TestAnArchiveOfExactlyWhatMayBeIsUnpacked(t *testing.T) {
	free := strings.Repeat("\x00", freeTotal)
	if got, err := unpacked(t, zipped(t, "zeros", free)); err != nil || got["zeros"] != free {
		t.Errorf("%d bytes (%v)", len(got["zeros"]), err)
	}
	if _, err := unpacked(t, zipped(t, "zeros", free+"\x00")); err == nil {
		t.Error("one byte more is unpacked")
	}
	if got, err := unpacked(t, multiplied(t, zipped(t, "0000000", ""), maxEntries)); err != nil || len(got) != maxEntries {
		t.Errorf("%d entries (%v)", len(got), err)
	}
	if _, err := unpacked(t, zipped(t, strings.Repeat("d/", maxDepth-1)+"x", "x")); err != nil {
		t.Error(err)
	}
}

func FuzzExtract(f *testing.F) {
	f.Add(zipped(f, "a", "A", "dir/b", "B"))
	f.Add(zipped(f, "../x", "x", "a", "1", "a/b", "2"))
	f.Add(withMode(f, fs.ModeSymlink|0o777, "link", "/etc/passwd"))
	f.Add(raw(f, zip.FileHeader{Name: "x", Flags: 1, UncompressedSize64: 3}, []byte("abc")))
	f.Add(multiplied(f, zipped(f, "0000000", "x"), 3))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		got, err := unpacked(t, archive)
		total := 0
		for content := range maps.Values(got) {
			total += len(content)
		}
		if err == nil && int64(total) > budget(len(archive)) {
			t.Errorf("%d bytes unpack to %d", len(archive), total)
		}
	})
}
