//go:build unix

package browsertest

import (
	"bytes"
	"image/png"
	"sync"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// clipboard is held by the test that uses it: all tabs of the browser have one.
var clipboard sync.Mutex

// useClipboard lets the page read and write the clipboard, and keeps other tests from it until this one has ended.
func (b *tab) useClipboard() {
	b.t.Helper()
	clipboard.Lock()
	b.t.Cleanup(clipboard.Unlock)
	b.permit("clipboard-read", cdpbrowser.PermissionSettingGranted)
	b.permit("clipboard-write", cdpbrowser.PermissionSettingGranted)
}

// permit answers what the browser would ask the person.
func (b *tab) permit(what string, answer cdpbrowser.PermissionSetting) {
	b.t.Helper()
	_, err := chromedp.CallBrowser(b.ctx, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
		Permission: &cdpbrowser.PermissionDescriptor{Name: what}, Setting: answer, Origin: b.server.url,
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) setClipboard(text string) {
	b.t.Helper()
	eval[bool](b, `navigator.clipboard.writeText(`+quote(text)+`)`)
}

func (b *tab) wantClipboard(want string) {
	b.t.Helper()
	same(b.t, "the clipboard", eval[string](b, `navigator.clipboard.readText()`), want)
}

// scan reads a QR code from what the screen shows.
func (b *tab) scan(css string) string {
	b.t.Helper()
	b.find(css) // scrolls there
	box := eval[[]float64](b, `(({ left, top, width, height }) => [left + scrollX, top + scrollY, width, height])(
		document.querySelector(`+quote(css)+`).getBoundingClientRect())`)
	shot := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{
		Clip: &page.Viewport{X: box[0], Y: box[1], Width: box[2], Height: box[3], Scale: 2},
	})
	picture, err := png.Decode(bytes.NewReader(shot.Data))
	if err != nil {
		b.t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		b.t.Fatal(err)
	}
	code, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		b.t.Fatalf("the QR code cannot be read: %v", err)
	}
	return code.GetText()
}

func TestLinkKeyAndTextAreCopied(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	b.useClipboard()
	b.press("#more summary")
	b.press("label:has(#separate-key)")
	link := b.share("to be copied\n秘密")
	b.press("#copy-link")
	b.wantText("#copy-link", "Copied")
	b.wantClipboard(link)
	b.press("#copy-key")
	b.wantText("#copy-key", "Copied")
	key := b.text("#key")
	b.wantClipboard(key)
	b.reveal(link + "#" + key)
	b.press("#copy-secret")
	b.wantText("#copy-secret", "Copied")
	b.wantClipboard("to be copied\n秘密")
}

func TestACopyThatIsNotAllowedIsSaid(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	b.permit("clipboard-write", cdpbrowser.PermissionSettingDenied)
	b.share("x")
	b.press("#copy-link")
	b.wantText("#result [role=alert]", "Select the text and copy it yourself")
}

func TestTheSystemsShareSheetIsOfferedOnlyWhereThereIsOne(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	b.share("x")
	if eval[bool](b, `"share" in navigator`) || b.has("#share-link") {
		t.Error("it is offered in a browser that has none")
	}
	b.beforeAll(`Navigator.prototype.share = async (data) => { globalThis.passedOn = data; }`)
	b.open("/create")
	link := b.share("x")
	b.press("#share-link")
	b.await("what is passed on", `globalThis.passedOn !== undefined`)
	same(t, "what is passed on", eval[string](b, `JSON.stringify(passedOn)`), `{"url":`+quote(link)+`}`)
}
