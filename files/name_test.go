package files

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostileNames are those of testdata/names.txt.
func hostileNames(t testing.TB) (names []string) {
	t.Helper()
	file, err := os.Open("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		name, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if times := strings.TrimSpace(line[len(quoted):]); times != "" {
			n, err := strconv.Atoi(times)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			name = strings.Repeat(name, n)
		}
		names = append(names, name)
	}
	if len(names) < 300 {
		t.Fatalf("there are only %d names", len(names))
	}
	return names
}

// isHarmless tells whether a name can do nothing on any of the systems that people use.
func isHarmless(name string) bool {
	for _, r := range name {
		if !unicode.IsPrint(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) {
			return false
		}
	}
	return name != "" && len(name) <= maxName+len(".1234567890") && utf8.ValidString(name) && filepath.IsLocal(name) &&
		!strings.ContainsAny(name, `/\:<>"|?*`) && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "-") &&
		!strings.HasPrefix(name, " ") && !strings.HasSuffix(name, ".") && !strings.HasSuffix(name, " ") && !isReserved(name)
}

func TestEveryHostileNameIsSavedInsideTheDirectoryUnderAHarmlessName(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b", "c")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, name := range hostileNames(t) {
		content := strconv.Itoa(i)
		path, err := Save(dir, SafeName(name), []byte(content))
		if err != nil {
			t.Errorf("%.80q: %v", name, err)
			continue
		}
		saved, err := os.ReadFile(path)
		if err != nil || string(saved) != content || filepath.Dir(path) != dir || !isHarmless(filepath.Base(path)) {
			t.Errorf("%.80q is saved as %q, with %q (%v)", name, path, saved, err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("%.80q has mode %v (%v)", name, info.Mode(), err)
		}
		if found := names(t, dir); len(found) != 1 {
			t.Errorf("%.80q leaves %q", name, found)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, above := range []string{top, filepath.Join(top, "a"), filepath.Join(top, "a", "b")} {
		if found := names(t, above); len(found) != 1 {
			t.Errorf("%q is outside the directory", found)
		}
	}
}

func TestOrdinaryNamesAreKept(t *testing.T) {
	for _, name := range []string{
		"report.pdf", "Prüfbericht 2025 – 最終.pdf", "a b.tar.gz", "Makefile", "x", "ÄÖÜ", "🎉.png", "❤️.txt", "a'b(c)[d]{e}&f;g,h=i+j@k#l%m!.txt",
		strings.Repeat("n", maxName), "console.log", "com.txt", "nul1", "COM10.txt", "auxiliary", "שלום.txt", "résumé.doc",
	} {
		if got := SafeName(name); got != name {
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
		"CONIN$": "_CONIN$", "con .txt": "_con .txt", `<>:"|?*`: "secret", "a*b?": "a_b_", "\ufeffa": "_a", "a\u3164": "a_",
	} {
		if got := SafeName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func TestALongNameKeepsItsExtension(t *testing.T) {
	for _, stem := range []string{"n", "界", "é"} {
		got := SafeName(strings.Repeat(stem, 10_000) + ".pdf")
		if len(got) > maxName || !strings.HasSuffix(got, ".pdf") || !utf8.ValidString(got) {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, name := range hostileNames(f) {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := SafeName(name)
		if !isHarmless(got) || len(got) > maxName {
			t.Errorf("%q becomes %q", name, got)
		}
		if again := SafeName(got); again != got {
			t.Errorf("%q becomes %q, and that %q", name, got, again)
		}
	})
}
