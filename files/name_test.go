package files

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestOrdinaryNamesAreKept(t *testing.T) {
	for _, name := range []string{
		"report.pdf", "Prüfbericht 2025 – 最終.pdf", "a b.tar.gz", "Makefile", "x", "ÄÖÜ", "🎉.png", "a'b(c)[d]{e}&f;g,h=i+j@k#l%m!.txt",
		strings.Repeat("n", maxName), "console.log", "com.txt", "nul1", "COM10.txt", "auxiliary",
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
		"CONIN$": "_CONIN$", "con .txt": "_con .txt", `<>:"|?*`: "secret", "a*b?": "a_b_", "\ufeffa": "_a",
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
	for _, name := range []string{"", "report.pdf", "../x", `C:\x`, "\x1b[2J", "con.txt", strings.Repeat("x", 500), ".\u202e."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := SafeName(name)
		if got == "" || len(got) > maxName+1 || !utf8.ValidString(got) || !filepath.IsLocal(got) || strings.ContainsAny(got, `/\:<>"|?*`) ||
			strings.HasPrefix(got, ".") || strings.HasPrefix(got, "-") || strings.HasSuffix(got, ".") || strings.HasSuffix(got, " ") || isReserved(got) {
			t.Errorf("%q becomes %q", name, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%q becomes %q", name, got)
			}
		}
		if again := SafeName(got); again != got {
			t.Errorf("%q becomes %q, and that %q", name, got, again)
		}
	})
}
