//go:build unix

package browsertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	d.check(name, func(saved string) { same(d.b.t, name, saved, content) })
}

func (d downloads) check(name string, check func(content string)) {
	d.b.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(15 * time.Millisecond) {
		names := d.names()
		if len(names) != 1 || names[0] != name {
			continue
		}
		content, err := os.ReadFile(filepath.Join(d.dir, name))
		if err != nil {
			d.b.t.Fatal(err)
		}
		check(string(content))
		if err := os.Remove(filepath.Join(d.dir, name)); err != nil {
			d.b.t.Fatal(err)
		}
		for _, kind := range eval[[]string](d.b, `savedTypes`) {
			if kind != "application/octet-stream" {
				d.b.t.Errorf("a file is saved as %s", kind)
			}
		}
		return
	}
	d.b.t.Fatalf("%q has not been saved: there is %q", name, d.names())
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
