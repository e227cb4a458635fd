package commands

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestOrdinaryNamesAreKept(t *testing.T) {
	for _, name := range []string{
		"report.pdf", "Prüfbericht 2025 – 最終.pdf", "a b.tar.gz", "Makefile", "x", "ÄÖÜ", "🎉.png", "a'b(c)[d]{e}&f;g,h=i+j@k#l%m!.txt",
		strings.Repeat("n", maxName), "console.log", "com.txt", "nul1", "COM10.txt", "auxiliary",
	} {
		if got := safeName(name); got != name {
			t.Errorf("%q becomes %q", name, got)
		}
	}
}

func TestHostileNamesAreMadeSafe(t *testing.T) {
	for name, want := range map[string]string{
		"": "secret", ".": "secret", "..": "secret", "/": "secret", `\`: "secret", "...": "secret", " ": "secret", "\x00": "secret",
		"../../etc/passwd": "passwd", "/etc/passwd": "passwd", `..\..\boot.ini`: "boot.ini", `C:\Windows\win.ini`: "win.ini", "C:evil": "C_evil",
		`\\server\share\x`: "x", "a/": "secret", "x/..": "secret", ".bashrc": "_bashrc", ".ssh/authorized_keys": "authorized_keys",
		"-rf": "_rf", "--help": "_-help", "a\x1b[2Jb": "a_[2Jb", "a\nb": "a_b", "a\u202egnp.exe": "a_gnp.exe", "a\u200bb": "a_b", "a\u0085b": "a_b",
		"file.txt:stream": "file.txt_stream", "a.txt.": "a.txt", "a.txt ": "a.txt", "a. . .": "a", " a": "a", "\xff\xfe": "secret", "a\xffb": "a_b",
		"CON": "_CON", "con.txt": "_con.txt", "Nul": "_Nul", "aux.tar.gz": "_aux.tar.gz", "COM1": "_COM1", "lpt9.x": "_lpt9.x", "COM¹": "_COM¹",
		"CONIN$": "_CONIN$", "con .txt": "_con .txt", `<>:"|?*`: "secret", "a*b?": "a_b_", "\ufeffa": "_a",
	} {
		if got := safeName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func TestALongNameKeepsItsExtension(t *testing.T) {
	for _, stem := range []string{"n", "界", "é"} {
		got := safeName(strings.Repeat(stem, 10_000) + ".pdf")
		if len(got) > maxName || !strings.HasSuffix(got, ".pdf") || !utf8.ValidString(got) {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, name := range []string{"", "report.pdf", "../x", `C:\x`, "\x1b[2J", "con.txt", strings.Repeat("x", 500), ".\u202e."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := safeName(name)
		if got == "" || len(got) > maxName+1 || !utf8.ValidString(got) || !filepath.IsLocal(got) || strings.ContainsAny(got, `/\:<>"|?*`) ||
			strings.HasPrefix(got, ".") || strings.HasPrefix(got, "-") || strings.HasSuffix(got, ".") || strings.HasSuffix(got, " ") || isReserved(got) {
			t.Errorf("%q becomes %q", name, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%q becomes %q", name, got)
			}
		}
		if again := safeName(got); again != got {
			t.Errorf("%q becomes %q, and that %q", name, got, again)
		}
	})
}

func FuzzVisible(f *testing.F) {
	for _, text := range []string{"plain\n\ttext\r\n", "\x1b]52;c;eA==\x07", "\u202e", "\xff\xc3", "\u0085\u2028"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := string(visible(text))
		for _, r := range got {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) {
				t.Errorf("%q is shown with %q", text, r)
			}
		}
		if again := string(visible([]byte(got))); again != got {
			t.Errorf("%q is shown as %q, and that as %q", text, got, again)
		}
	})
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestSavingNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := (saver{dir: dir}).save("same", []byte{byte(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	seen := make(map[byte]bool)
	for _, name := range files(t, dir) {
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
	path, err := (saver{dir: dir}).save("link", []byte("x"))
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
		if path, err := (saver{dir: dir}).save(name, []byte("x")); err == nil {
			t.Errorf("%q was saved as %s", name, path)
		}
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}
