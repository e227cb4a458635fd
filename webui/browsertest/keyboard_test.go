//go:build unix

package browsertest

import (
	"testing"

	"github.com/chromedp/cdproto/input"
)

// tabTo presses Tab until an element has the focus. At every stop the focus can be seen.
func (b *tab) tabTo(css string) {
	b.t.Helper()
	for range 40 {
		b.key("Tab")
		if !eval[bool](b, `[document.activeElement, document.activeElement?.nextElementSibling].some((element) => {
			const { outlineStyle, outlineWidth } = element ? getComputedStyle(element) : {};
			return outlineStyle === "solid" && parseFloat(outlineWidth) >= 2;
		}) && document.activeElement.matches(":focus-visible")`) && !eval[bool](b, `document.activeElement === document.body`) {
			b.t.Errorf("the focus cannot be seen on %s", eval[string](b, `document.activeElement.outerHTML.slice(0, 200)`))
		}
		if eval[bool](b, `document.activeElement?.matches(`+quote(css)+`) === true`) {
			return
		}
	}
	b.t.Fatalf("the Tab key does not come to %s; the page shows:\n%s", css, b.shows())
}

func (b *tab) typeIn(text string) {
	b.t.Helper()
	for _, character := range text {
		call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeChar, Text: string(character)})
	}
}

func TestTheKeyboardIsEnough(t *testing.T) {
	t.Parallel()
	s := serve(t)
	b := visit(s, "/")
	b.useClipboard()
	b.tabTo("#go-create")
	b.load(func() { b.key("Enter") })
	b.see("#token")
	b.tabTo("#text")
	b.typeIn("typed by hand")
	b.tabTo("#token")
	b.typeIn(s.token)
	b.tabTo("#remember")
	b.key("Space")
	b.tabTo("#more summary")
	b.key("Enter")
	b.tabTo("#separate-key")
	b.key("Space")
	b.tabTo("#passphrase")
	b.typeIn("correct horse")
	b.tabTo("#passphrase-show")
	b.key("Space")
	b.tabTo("#addresses")
	b.typeIn("127.0.0.0/8")
	b.tabTo("#create")
	b.key("Space")
	link, key := b.text("#link"), b.text("#key")
	b.wantFocus("#result h1") // where a screen reader reads on
	b.tabTo("#copy-link")
	b.key("Enter")
	b.wantText("#copy-link", "Copied")
	b.wantClipboard(link)

	b.reload()
	b.tabTo("#nav-get")
	b.load(func() { b.key("Enter") })
	b.tabTo("#link-input")
	b.typeIn(link + "#" + key)
	b.key("Enter")
	b.see("#reveal")
	b.tabTo("#reveal")
	b.expect("status of 401")
	b.key("Enter")
	b.see("#passphrase-input")
	b.wantFocus("#passphrase-input")
	b.typeIn("correct horse")
	b.key("Enter")
	b.wantSecret("typed by hand")
	b.wantFocus("#revealed h1")
	b.tabTo("#copy-secret")
	b.key("Space")
	b.wantText("#copy-secret", "Copied")
	b.wantClipboard("typed by hand")
	b.tabTo("#release")
	b.key("Enter")
	b.see("#released")
	b.wantFocus("#released h1")
}

func (b *tab) wantFocus(css string) {
	b.t.Helper()
	b.await("the focus on "+css, `document.activeElement?.matches(`+quote(css)+`) === true`)
}

func TestFilesAreChosenAndSavedByTheKeyboard(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	b.tabTo("#kind-text")
	b.key("Right")
	b.see("#drop")
	b.wantFocus("#kind-files")
	b.tabTo("#file-input")
	b.upload("#file-input", file(t, "a.txt", "a"), file(t, "b.txt", "b"))
	b.see("#files")
	b.tabTo("#files li:nth-child(2) .remove")
	b.key("Space")
	b.wantFocus("#file-input")
	b.tabTo("#create")
	b.key("Enter")
	link := b.text("#link")
	saved := b.download()
	b.open(link)
	b.tabTo("#reveal")
	b.key("Enter")
	b.see("#save")
	b.wantFocus("#revealed h1")
	b.tabTo("#save")
	b.key("Enter")
	saved.want("a.txt", "a")
}
