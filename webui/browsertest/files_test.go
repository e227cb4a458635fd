//go:build unix

package browsertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// file writes a file, and returns its path.
func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bytesOf are n bytes of all values, the same in every run.
func bytesOf(n int) string {
	var b strings.Builder
	for state := uint32(1); b.Len() < n; {
		state = state*1664525 + 1013904223
		b.WriteByte(byte(state >> 24))
	}
	return b.String()
}

// downloads is where a tab saves files.
type downloads struct {
	b   *tab
	dir string
}

// download lets the tab save files, from the next page on, and notes of what type they are.
func (b *tab) download() downloads {
	b.t.Helper()
	d := downloads{b, b.t.TempDir()}
	_, err := chromedp.CallBrowser(b.ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: d.dir,
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.beforeAll(`globalThis.savedTypes = [];
		URL.createObjectURL = ((make) => (blob) => { savedTypes.push(blob.type); return make.call(URL, blob); })(URL.createObjectURL)`)
	return d
}

// want waits until a file has been saved, as nothing but bytes, and checks what is in it.
func (d downloads) want(name, content string) {
	d.b.t.Helper()
	got, saved := d.next()
	same(d.b.t, "the name", got, name)
	same(d.b.t, name, saved, content)
}

// next waits for the next file that is saved.
func (d downloads) next() (name, content string) {
	d.b.t.Helper()
	d.b.until("a file", func() bool {
		names := d.names()
		if len(names) == 1 && !strings.HasSuffix(names[0], ".crdownload") && !strings.HasPrefix(names[0], ".") {
			name = names[0]
		}
		return name != ""
	})
	path := filepath.Join(d.dir, name)
	raw, err := os.ReadFile(path)
	if err != nil {
		d.b.t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		d.b.t.Fatal(err)
	}
	for _, kind := range eval[[]string](d.b, `savedTypes`) {
		if kind != "application/octet-stream" {
			d.b.t.Errorf("a file is saved as %s", kind)
		}
	}
	return name, string(raw)
}

func (d downloads) names() (names []string) {
	d.b.t.Helper()
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		d.b.t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
