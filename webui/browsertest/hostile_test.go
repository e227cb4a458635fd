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

	"github.com/chromedp/cdproto/page"

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

// revealAtOnce presses the button as soon as it is there, and tells what is shown then, and what the page is made of.
const revealAtOnce = `new Promise((done) => {
	let pressed = false;
	(function look() {
		const button = document.querySelector("#reveal");
		if (button !== null && !pressed) {
			pressed = true;
			button.click();
		}
		const shown = document.querySelector("#secret, #file-name");
		if (shown === null) return setTimeout(look, 5);
		done([shown.textContent, [...document.querySelectorAll("html, html *")].map((element) => element.tagName +
			[...element.attributes].map(({ name }) => "." + name).sort().join("")).join(" ")]);
	})();
})`

// revealAtOnce reveals a secret without the care that a person takes.
func (b *tab) revealAtOnce(content crypto.Content) (shown, shape string) {
	b.t.Helper()
	call(b, page.Navigate, page.NavigateParams{URL: b.server.leave(content, time.Hour)})
	result := eval[[]string](b, revealAtOnce)
	return result[0], result[1]
}

func TestHostileTextsAreShownAsText(t *testing.T) {
	t.Parallel()
	b := newTab(serve(t, open...))
	_, harmless := b.revealAtOnce(crypto.Content{Data: []byte("harmless")})
	shown := 0
	for _, text := range hostile(t) {
		text = strings.ToValidUTF8(text, "\ufffd")
		if text == "" || strings.Contains(text, "\x00") {
			continue // not a text: offered as a file
		}
		got, shape := b.revealAtOnce(crypto.Content{Data: []byte(text)})
		same(t, "the text", got, text)
		same(t, "the page of "+text, shape, harmless)
		shown++
	}
	if shown < 300 {
		t.Errorf("there were only %d texts", shown)
	}
}

func TestHostileFileNamesAreShownAsText(t *testing.T) {
	t.Parallel()
	b := newTab(serve(t, open...))
	saved := b.download()
	content := func(name string) crypto.Content {
		return crypto.Content{Data: []byte("<script>alert(1)</script>"), Filename: name}
	}
	_, harmless := b.revealAtOnce(content("harmless"))
	names := hostile(t)
	for i := 0; i < len(names); i += 4 { // all of them are in the archive, below
		name := strings.ToValidUTF8(names[i], "\ufffd")
		if name == "" || len(quote(name)) > 1500 || strings.HasSuffix(strings.ToLower(name), ".zip") {
			continue // a text, more than a sender can send, or many files
		}
		got, shape := b.revealAtOnce(content(name))
		if !isSafe(got) {
			t.Errorf("%q is shown as %q", name, got)
		}
		same(t, "the page of "+name, shape, harmless)
		if i%40 == 0 {
			b.press("#save")
			name, content := saved.next() // some names the browser makes safer still
			if !isSafe(name) {
				t.Errorf("it is saved as %q", name)
			}
			same(t, name, content, "<script>alert(1)</script>")
		}
	}
}

// isSafe tells whether a file of a name can be saved anywhere, and shows itself for what it is.
func isSafe(name string) bool {
	return name != "" && len(name) <= 201 && !strings.ContainsAny(name, "/\\:<>\"|?*\x00\n\r\u202e\u200b") && name[0] != '.' && name[0] != '-'
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
		if !isSafe(name) || seen[strings.ToLower(name)] {
			t.Errorf("%q is listed", name)
		}
		seen[strings.ToLower(name)] = true
	}
	tags := eval[[]string](b, `[...new Set([...document.querySelectorAll("#entries *")].map(({ tagName }) => tagName))].sort()`)
	if !slices.Equal(tags, []string{"BDI", "BUTTON", "LI", "SPAN"}) {
		t.Errorf("the list is made of %q", tags)
	}
	b.press("#entries li:nth-child(1) .save-entry")
	saved.want(names[0], hostile(t)[0])
}
