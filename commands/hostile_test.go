package commands

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"hakanai/crypto"
)

// hostileNames are those of the package that saves files.
func hostileNames(t *testing.T) (names []string) {
	t.Helper()
	corpus, err := os.ReadFile("../files/testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(corpus))
	for lines.Scan() {
		quoted, err := strconv.QuotedPrefix(lines.Text())
		if err != nil {
			continue // a comment
		}
		name, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatal(err)
		}
		times, err := strconv.Atoi(strings.TrimSpace(lines.Text()[len(quoted):]))
		if err != nil {
			times = 1
		}
		names = append(names, strings.Repeat(name, times))
	}
	if len(names) < 300 {
		t.Fatalf("there are only %d names", len(names))
	}
	return names
}

// TestWhateverASenderCallsAFileItIsSavedInsideTheDirectory goes from what get has opened to the disk and the terminal.
func TestWhateverASenderCallsAFileItIsSavedInsideTheDirectory(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "dir")
	for _, name := range hostileNames(t) {
		if name == "" {
			continue // a text has no name
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		p := &program{out: &out, err: &errs, outTerminal: true, errTerminal: true}
		if err := p.hand(crypto.Content{Filename: name, Data: []byte("secret")}, getOptions{dir: dir}); err != nil {
			t.Errorf("%.80q: %v", name, err)
		}
		saved := listed(t, dir)
		if len(saved) != 1 || len(listed(t, top)) != 1 || out.Len() > 0 {
			t.Fatalf("%.80q leaves %q in %q, and prints %q", name, saved, listed(t, top), out.String())
		}
		if content, err := os.ReadFile(filepath.Join(dir, saved[0])); err != nil || string(content) != "secret" {
			t.Errorf("%.80q holds %q (%v)", name, content, err)
		}
		if !strings.HasSuffix(errs.String(), "saved "+filepath.Join(dir, saved[0])+" (6 bytes)\n") {
			t.Errorf("%.80q is told of as %q", name, errs.String())
		}
		for _, r := range strings.TrimSuffix(errs.String(), "\n") {
			if !unicode.IsPrint(r) {
				t.Errorf("%.80q prints %q", name, errs.String())
				break
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}
