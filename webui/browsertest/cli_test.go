//go:build unix

package browsertest

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCommandLineSendsAndTheBrowserReveals(t *testing.T) {
	t.Parallel()
	s := serve(t)
	b := newTab(s)
	saved := b.download()
	for _, text := range []string{"Grüße 秘密 🦊", "\n two lines \n", strings.Repeat("long ", 18_000)} {
		b.reveal(s.send(text))
		b.wantSecret(text)
	}
	for name, content := range map[string]string{
		"Prüfbericht – 最終.pdf": bytesOf(200_000), "naïve résumé.txt": "text as a file", "🦊.bin": "\x00", "e\u0301.bin": "a letter and its accent\x00",
	} {
		b.reveal(s.send("", "--as-file", "--file", file(t, name, content)))
		b.wantText("#file-name", name)
		b.press("#save")
		saved.want(name, content)
	}
	b.reveal(s.send("", "--file", file(t, "一.txt", "one"), "--file", file(t, "二.bin", "two\x00")))
	b.see("#entries")
	b.press("#entries li:nth-child(2) .save-entry")
	saved.want("二.bin", "two\x00")
	b.press("#save") // the browser need not ask before it leaves
	saved.next()

	out := strings.Fields(s.send("key and passphrase", "--separate-key", "--require-passphrase", "correct horse"))
	link, key := "", ""
	for _, word := range out {
		if strings.HasPrefix(word, s.url) {
			link = word
		} else if len(word) == 66 {
			key = word
		}
	}
	b.expect("status of 401")
	b.open(link)
	b.write("#key-input", key)
	b.press("#reveal")
	b.write("#passphrase-input", "correct horse")
	b.press("#reveal")
	b.wantSecret("key and passphrase")
}

func TestTheBrowserSendsAndTheCommandLineGets(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	for _, text := range []string{"Grüße 秘密 🦊", "\n two lines \n"} {
		same(t, "the text", s.get(b.share(text)), text)
		b.press("#another")
	}
	const name = "Prüfbericht – 最終.pdf"
	content := bytesOf(200_000)
	b.press("label:has(#kind-files)")
	b.upload("#file-input", file(t, name, content))
	b.press("#create")
	dir := t.TempDir()
	s.get(b.text("#link"), "--output-dir", dir)
	got, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	same(t, name, string(got), content)

	b.press("#another")
	b.press("label:has(#kind-files)")
	b.upload("#file-input", file(t, "一.txt", "one"), file(t, "二.txt", "two"))
	b.press("#more summary")
	b.press("label:has(#separate-key)")
	b.write("#passphrase", "correct horse")
	b.press("#create")
	dir = t.TempDir()
	s.get(b.text("#link"), "--key", b.text("#key"), "--passphrase", "correct horse", "--output-dir", dir)
	archives, err := filepath.Glob(filepath.Join(dir, "*.zip"))
	if err != nil || len(archives) != 1 {
		t.Fatalf("there are %q (%v)", archives, err)
	}
	archive, err := zip.OpenReader(archives[0])
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for name, want := range map[string]string{"一.txt": "one", "二.txt": "two"} {
		same(t, name, read(t, archive, name), want)
	}
}
