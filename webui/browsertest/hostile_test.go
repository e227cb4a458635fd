//go:build unix

package browsertest

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hakanai/crypto"
)

// hostile are texts and names of the hostile kind.
func hostile(t testing.TB) (texts []string) {
	t.Helper()
	raw, err := os.ReadFile("../testdata/hostile.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &texts); err != nil {
		t.Fatal(err)
	}
	if len(texts) < 300 {
		t.Fatalf("there are only %d hostile texts", len(texts))
	}
	return texts
}

// shape is what a page is made of, but for its texts: an element more, an attribute more, and it is another.
const shape = `[...document.querySelectorAll("html, html *")].map((element) => element.tagName +
	[...element.attributes].map(({ name }) => "." + name).sort().join("")).join(" ")`

func TestHostileTextsAreShownAsText(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	want := ""
	for _, text := range append([]string{"harmless"}, hostile(t)...) {
		if text == "" || strings.Contains(text, "\x00") {
			continue // not a text: offered as a file
		}
		text = strings.ToValidUTF8(text, "\ufffd")
		b.reveal(s.leave(crypto.Content{Data: []byte(text)}, time.Hour))
		b.wantSecret(text)
		b.wantShape(&want, text)
	}
}

func TestHostileFileNamesAreShownAsText(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	saved := b.download()
	want := ""
	names := append([]string{"harmless"}, hostile(t)...)
	for i := 0; i < len(names); i += 8 { // all of them are in the archive, below
		name := strings.ToValidUTF8(names[i], "\ufffd")
		if name == "" || len(quote(name)) > 1500 || strings.HasSuffix(strings.ToLower(name), ".zip") {
			continue // a text, more than a sender can send, or many files
		}
		b.reveal(s.leave(crypto.Content{Data: []byte("<script>alert(1)</script>"), Filename: name}, time.Hour))
		shown := b.text("#file-name")
		if strings.ContainsAny(shown, "/\\:<>\"|?*\x00\n\r\u202e") || strings.HasPrefix(shown, ".") || len(shown) > 201 {
			t.Errorf("%q is shown as %q", name, shown)
		}
		b.wantShape(&want, name)
		if i%40 == 0 {
			b.press("#save")
			saved.want(shown, "<script>alert(1)</script>")
		}
	}
}

func (b *tab) wantShape(want *string, of string) {
	b.t.Helper()
	got := eval[string](b, shape)
	if *want == "" {
		*want = got
	}
	same(b.t, "the page that shows "+of, got, *want)
}

func TestHostileNamesInAnArchiveAreShownAsText(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	count := 0
	for _, name := range hostile(t) {
		name = strings.ToValidUTF8(name, "\ufffd")
		if name == "" || strings.HasSuffix(name, "/") || len(name) > 10_000 {
			continue // a folder, or longer than a name there can be
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
		count++
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	b := newTab(s)
	saved := b.download()
	b.reveal(s.leave(crypto.Content{Data: archive.Bytes(), Filename: "<img src=x onerror=alert(1)>.zip"}, time.Hour))
	b.see("#entries")
	names := b.texts("#entries bdi")
	if len(names) != count {
		t.Errorf("%d of %d are listed", len(names), count)
	}
	seen := make(map[string]bool)
	for _, name := range names {
		if strings.ContainsAny(name, "/\\:<>\"|?*\x00\n\r\u202e") || strings.HasPrefix(name, ".") || seen[strings.ToLower(name)] {
			t.Errorf("%q is listed", name)
		}
		seen[strings.ToLower(name)] = true
	}
	tags := eval[[]string](b, `[...new Set([...document.querySelectorAll("#entries *")].map(({ tagName }) => tagName))].sort()`)
	if !slices.Equal(tags, []string{"BDI", "BUTTON", "LI", "SPAN"}) {
		t.Errorf("the list is made of %q", tags)
	}
	b.press("#entries li:nth-child(1) .save-entry")
	saved.check(names[0], func(content string) { same(t, "the first", content, hostile(t)[0]) })
}
