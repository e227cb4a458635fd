//go:build unix

package browsertest

import (
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// open goes to a path of the server or to a link, and waits for the page.
func (b *tab) open(place string) {
	b.t.Helper()
	b.load(func() {
		call(b, page.Navigate, page.NavigateParams{URL: b.address(place)})
	})
}

// openWithoutScript does, where scripts do not run.
func (b *tab) openWithoutScript(place string) {
	b.t.Helper()
	call(b, page.Navigate, page.NavigateParams{URL: b.address(place)})
	b.await("the page", `document.readyState === "complete" && document.querySelector("#no-script") !== null`)
}

// reload loads the page again.
func (b *tab) reload() {
	b.t.Helper()
	b.load(func() { call(b, page.Reload, page.ReloadParams{}) })
}

// back goes back in the history.
func (b *tab) back() {
	b.t.Helper()
	history := call(b, page.GetNavigationHistory, cdp.Empty{})
	entry := history.Entries[history.CurrentIndex-1]
	b.load(func() {
		call(b, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: entry.ID})
	})
}

// load does what loads a document, and waits until its page has been drawn and has heard what the server offers. The old
// document is marked, so as not to be taken for the new one.
func (b *tab) load(navigate func()) {
	b.t.Helper()
	answered := b.configs()
	eval[bool](b, `globalThis.old = true`)
	navigate()
	b.await("the page", `globalThis.old === undefined && document.readyState === "complete" &&
		document.querySelector("#main h1") !== null`)
	b.until("the server's answer", func() bool { return b.configs() > answered })
}

// aim finds the middle of an element that can be pressed: not disabled, at rest, and with nothing in front of it.
const aim = `(async (css) => {
	const middle = () => {
		globalThis.aim = document.querySelector(css);
		if (aim === null || aim.disabled) return null;
		aim.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
		const { left, top, width, height } = aim.getBoundingClientRect();
		const [x, y] = [left + width / 2, top + height / 2];
		return aim.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
	};
	const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
	await drawn(); // pages scroll by themselves when something new has been drawn
	const before = middle();
	await drawn();
	const after = middle();
	return before?.join() === after?.join() ? after : null;
})`

// hear tells where a press of the mouse has arrived.
const hear = `addEventListener("click", (event) => {
	if (globalThis.aim) {
		heard(event.composedPath().includes(aim) ? "hit" : "missed");
		globalThis.aim = null;
	}
}, { capture: true })`

func (b *tab) find(css string) (x, y float64) {
	b.t.Helper()
	var at []float64
	b.until(css+" to be there", func() bool {
		at, _ = try[[]float64](b, aim+`(`+quote(css)+`)`)
		return at != nil
	})
	return at[0], at[1]
}

// press presses an element with the mouse. Who misses, since the page has moved, aims again.
func (b *tab) press(css string) {
	b.t.Helper()
	b.until(css+" to be pressed", func() bool {
		x, y := b.find(css)
		hits, misses := b.presses()
		for _, what := range []input.DispatchMouseEventType{
			input.DispatchMouseEventTypeMouseMoved, input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased,
		} {
			event := input.DispatchMouseEventParams{Type: what, X: x, Y: y}
			if what != input.DispatchMouseEventTypeMouseMoved {
				event.Button, event.ClickCount = input.MouseButtonLeft, 1
			}
			call(b, input.DispatchMouseEvent, event)
		}
		hit := false
		b.until(css+" to hear of it", func() bool {
			h, m := b.presses()
			hit = h > hits
			return hit || m > misses
		})
		return hit
	})
}

// follow presses a link, and waits for the page that it leads to.
func (b *tab) follow(css string) {
	b.t.Helper()
	b.load(func() { b.press(css) })
}

// write puts a text into a field, instead of what is there.
func (b *tab) write(css, text string) {
	b.t.Helper()
	b.press(css)
	eval[bool](b, `document.querySelector(`+quote(css)+`).select()`)
	if text == "" {
		b.key("Delete")
		return
	}
	call(b, input.InsertText, input.InsertTextParams{Text: text})
}

// choose chooses from a list.
func (b *tab) choose(css, value string) {
	b.t.Helper()
	b.see(css)
	eval[bool](b, `((list) => {
		list.value = `+quote(value)+`;
		list.dispatchEvent(new Event("change", { bubbles: true }));
	})(document.querySelector(`+quote(css)+`))`)
	if b.value(css) != value {
		b.t.Fatalf("%s does not offer %s", css, value)
	}
}

// upload chooses files, as in the browser's own dialog.
func (b *tab) upload(css string, paths ...string) {
	b.t.Helper()
	b.await(css, `document.querySelector(`+quote(css)+`) !== null`)
	element := call(b, runtime.Evaluate, runtime.EvaluateParams{Expression: `document.querySelector(` + quote(css) + `)`})
	call(b, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: paths, ObjectID: element.Result.ObjectID})
}

// drop drags files over an element, and lets them fall.
func (b *tab) drop(css string, paths ...string) {
	b.t.Helper()
	x, y := b.find(css)
	for _, what := range []input.DispatchDragEventType{
		input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop,
	} {
		call(b, input.DispatchDragEvent, input.DispatchDragEventParams{
			Type: what, X: x, Y: y, Data: &input.DragData{Items: []*input.DragDataItem{}, Files: paths, DragOperationsMask: 1},
		})
	}
}

// keys are those that are pressed by name.
var keys = map[string]input.DispatchKeyEventParams{
	"Tab":    {Key: "Tab", Code: "Tab", WindowsVirtualKeyCode: 9},
	"Enter":  {Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13, Text: "\r"},
	"Space":  {Key: " ", Code: "Space", WindowsVirtualKeyCode: 32, Text: " "},
	"Delete": {Key: "Delete", Code: "Delete", WindowsVirtualKeyCode: 46},
	"Paste":  {Key: "v", Code: "KeyV", WindowsVirtualKeyCode: 86, Modifiers: 2, Commands: []string{"paste"}},
	"Right":  {Key: "ArrowRight", Code: "ArrowRight", WindowsVirtualKeyCode: 39},
}

// key presses a key.
func (b *tab) key(name string) {
	b.t.Helper()
	event, known := keys[name]
	if !known {
		b.t.Fatalf("there is no key %s", name)
	}
	event.Type = input.DispatchKeyEventTypeKeyDown
	if event.Text == "" {
		event.Type = input.DispatchKeyEventTypeRawKeyDown
	}
	call(b, input.DispatchKeyEvent, event)
	event.Type, event.Text, event.Commands = input.DispatchKeyEventTypeKeyUp, "", nil
	call(b, input.DispatchKeyEvent, event)
}

// visible tells whether an element can be seen.
const visible = `((css) => document.querySelector(css)?.checkVisibility({ visibilityProperty: true }) === true)`

// see waits until an element can be seen.
func (b *tab) see(css string) {
	b.t.Helper()
	b.await(css, visible+`(`+quote(css)+`)`)
}

// miss waits until an element is not there, or not to be seen.
func (b *tab) miss(css string) {
	b.t.Helper()
	b.await("the end of "+css, `!`+visible+`(`+quote(css)+`)`)
}

// has tells whether an element is there now.
func (b *tab) has(css string) bool {
	b.t.Helper()
	return eval[bool](b, `document.querySelector(`+quote(css)+`) !== null`)
}

// count counts elements.
func (b *tab) count(css string) int {
	b.t.Helper()
	return eval[int](b, `document.querySelectorAll(`+quote(css)+`).length`)
}

// text is the text of an element, once it can be seen.
func (b *tab) text(css string) string {
	b.t.Helper()
	b.see(css)
	return eval[string](b, `document.querySelector(`+quote(css)+`).textContent`)
}

// texts are those of all elements.
func (b *tab) texts(css string) []string {
	b.t.Helper()
	return eval[[]string](b, `[...document.querySelectorAll(`+quote(css)+`)].map((element) => element.textContent)`)
}

// value is what is in a field.
func (b *tab) value(css string) string {
	b.t.Helper()
	b.see(css)
	return eval[string](b, `document.querySelector(`+quote(css)+`).value`)
}

// wantText checks that an element says something.
func (b *tab) wantText(css, want string) {
	b.t.Helper()
	b.see(css)
	b.await(css+" to say "+want,
		`(document.querySelector(`+quote(css)+`)?.textContent ?? "").replaceAll("\u00a0", " ").includes(`+quote(want)+`)`)
}

// same checks that two texts are the same, and shows only where they are not.
func same(t testing.TB, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	excerpt := func(text string) string { return text[max(0, at-20):min(len(text), at+60)] }
	t.Errorf("%s: %d bytes, want %d; from byte %d on: %q, want %q", what, len(got), len(want), at, excerpt(got), excerpt(want))
}

// share writes a text on the page for that, and returns the link.
func (b *tab) share(text string) string {
	b.t.Helper()
	b.write("#text", text)
	b.press("#create")
	return b.text("#link")
}

// reveal opens a link and presses its button. It does not wait for what comes.
func (b *tab) reveal(link string) {
	b.t.Helper()
	b.open(link)
	b.press("#reveal")
}

// wantSecret checks the text that was revealed.
func (b *tab) wantSecret(want string) {
	b.t.Helper()
	same(b.t, "the revealed text", b.text("#secret"), want)
}

// prefer sets what the person prefers in all of the system, such as prefers-color-scheme.
func (b *tab) prefer(pairs ...string) {
	b.t.Helper()
	var features []*emulation.MediaFeature
	for i := 0; i < len(pairs); i += 2 {
		features = append(features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
}

// speak sets the languages that the person wants, most wanted first.
func (b *tab) speak(languages string) {
	b.t.Helper()
	call(b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: eval[string](b, `navigator.userAgent`), AcceptLanguage: languages,
	})
}

// resize sets the size of the window, in CSS pixels, and how many pixels of a screen each of them has.
func (b *tab) resize(width, height int64, scale float64) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: scale,
	})
}

// comeFrom makes a proxy of the browser: requests come from an address, or country, as headers tell.
func (b *tab) comeFrom(headers network.Headers) {
	b.t.Helper()
	call(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers})
}
