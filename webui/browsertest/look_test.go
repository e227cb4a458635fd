//go:build unix

package browsertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
)

func TestThePageSpeaksThePersonsLanguage(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	for languages, want := range map[string]string{
		"en-GB,en": "en", "de-AT,de,en": "de", "fr,de,en": "de", "fr,ja": "en", "DE": "de",
	} {
		b := newTab(s)
		b.speak(languages)
		b.open("/create")
		b.wantLanguage(want)
	}
}

func (b *tab) wantLanguage(want string) {
	b.t.Helper()
	title := map[string]string{"en": "Share a secret", "de": "Ein Geheimnis teilen"}[want]
	b.wantText("h1", title)
	b.await("the language "+want, `document.documentElement.lang === `+quote(want))
	b.await("the title in "+want, `document.title.startsWith(`+quote(title)+`)`)
}

func TestTheLanguageIsSwitchedAndKept(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	b.wantLanguage("en")
	b.write("#text", "is kept")
	b.press("#language-de")
	b.wantLanguage("de")
	if got := b.value("#text"); got != "is kept" {
		t.Errorf("the text is %q", got)
	}
	if pressed := b.texts(`#language-de[aria-pressed="true"]`); len(pressed) != 1 {
		t.Error("the switch does not show it")
	}
	b.press("#create")
	b.wantText("#result h1", "Dein Link")
	b.open("/create")
	b.wantLanguage("de")
	b.press("#language-en")
	b.reload()
	b.wantLanguage("en")
}

func TestThePageIsLightOrDarkAsThePersonLikes(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	for _, scheme := range []string{"light", "dark"} {
		b.prefer("prefers-color-scheme", scheme)
		b.open("/create")
		b.wantTheme(scheme)
		for _, theme := range []string{"dark", "light"} {
			b.press("#theme-" + theme)
			b.wantTheme(theme)
			b.reload()
			b.wantTheme(theme)
		}
		b.press("#theme-system")
		b.wantTheme(scheme)
		if kept := eval[int](b, `localStorage.length`); kept != 0 {
			t.Errorf("%d things are kept", kept)
		}
	}
}

// wantTheme looks at the colors of page and text.
func (b *tab) wantTheme(theme string) {
	b.t.Helper()
	b.await("a page that is "+theme, `(({ backgroundColor, color }) => {
		const brightness = (color) => color.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3;
		return brightness(`+map[string]string{"light": "backgroundColor", "dark": "color"}[theme]+`) > 200 &&
			brightness(`+map[string]string{"light": "color", "dark": "backgroundColor"}[theme]+`) < 60;
	})(getComputedStyle(document.documentElement))`)
}

// wantNoScrolling checks that the page is not wider than its window, and that no text is cut off.
func (b *tab) wantNoScrolling(what string) {
	b.t.Helper()
	if over := eval[[]string](b, `[...document.querySelectorAll("body *")].filter((element) => {
		const { right, left, width } = element.getBoundingClientRect();
		return width > 1 && (right > innerWidth + 0.5 || left < -0.5) && element.checkVisibility();
	}).map((element) => element.tagName + "#" + element.id)`); len(over) > 0 {
		b.t.Errorf("%s: wider than the window: %q", what, over)
	}
	if wide := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
		b.t.Errorf("%s: %d pixels wider than the window", what, wide)
	}
}

func TestThePagesFitIntoTheNarrowestWindow(t *testing.T) {
	t.Parallel()
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			s := serveStates(t)
			b := newTab(s)
			b.prefer("prefers-reduced-motion", "reduce")
			b.resize(320, 568, 2)
			state.show(s, b)
			for _, language := range []string{"de", "en"} {
				b.press("#language-" + language)
				b.wantNoScrolling("at 320 pixels in " + language)
			}
			// A window of 1280 pixels, zoomed to twice the size, and all text of twice the size in a window of that width.
			b.resize(640, 400, 2)
			b.wantNoScrolling("zoomed to 200 %")
			b.resize(1280, 800, 1)
			eval[string](b, `document.documentElement.style.fontSize = "200%"`)
			b.wantNoScrolling("with text of 200 %")
		})
	}
}

func TestWithoutMotionNothingMoves(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	moves := `document.getAnimations().filter((animation) => animation.effect.getComputedTiming().duration > 0).length`
	for _, motion := range []string{"no-preference", "reduce"} {
		b := newTab(s)
		b.prefer("prefers-reduced-motion", motion)
		b.reveal(s.send("still"))
		b.see("#secret")
		if motion == "reduce" && eval[int](b, moves) != 0 {
			t.Error("a secret that appears moves")
		}
		// It vanishes at the press: what is there then is read in the same moment.
		b.see("#release")
		eval[int](b, `new Promise((resolve) => {
			document.querySelector("#release").addEventListener("click", () => setTimeout(() => { globalThis.moved = `+moves+`; resolve(0); }, 50));
			document.querySelector("#release").click();
		})`)
		b.see("#released")
		if moved := eval[int](b, `moved`); (moved > 0) != (motion != "reduce") {
			t.Errorf("motion: %s, and %d things move", motion, moved)
		}
	}
}

func TestWithoutJavaScriptThePageSaysSo(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	link := s.send("still there")
	b := newTab(s)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	page, _, _ := strings.Cut(link, "#") // nothing but a script could hide the rest
	for _, place := range []string{"/", "/create", "/share", page} {
		b.openWithoutScript(place)
		b.wantText("#no-script", "This page needs JavaScript")
		b.wantText("#no-script", "Diese Seite braucht JavaScript")
		b.miss("#app")
	}
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false})
	b.open("/")
	b.reveal(link)
	b.wantSecret("still there")
}

func TestWithoutASafeConnectionThePageSaysSo(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	link := s.send("still there")
	elsewhere := *s
	elsewhere.url = strings.Replace(s.url, "127.0.0.1", notSafe, 1)
	b := newTab(&elsewhere)
	b.expect("Cross-Origin-Opener-Policy header has been ignored")
	for _, place := range []string{"/create", "/share", strings.TrimPrefix(link, s.url)} {
		b.open(place)
		b.wantText("#no-crypto", "https://")
		if b.count("form") != 0 {
			t.Errorf("%s has a form all the same", place)
		}
	}
	b.open("/")
	b.wantText("h1", "Share a secret once")
	if got := s.get(link); got != "still there" {
		t.Errorf("it was %q", got)
	}
}

func TestWhatTheOperatorPublishesIsText(t *testing.T) {
	t.Parallel()
	text := strings.Join(hostile(t), "\n\n") + "\n\nSee https://example.com/privacy?a=1&b=2."
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
	s := serve(t, append(slices.Clone(open), "--impressum-file", file(t, "impressum", text), "--privacy-file", file(t, "privacy", text))...)
	b := visit(s, "/")
	for _, page := range []string{"impressum", "privacy"} {
		b.follow("#nav-" + page)
		b.see("#legal-text")
		if tags := eval[[]string](b, `[...new Set([...document.querySelectorAll("#legal-text *")].map(({ tagName }) => tagName))].sort()`); !slices.Equal(tags, []string{"A", "P"}) {
			t.Errorf("there are %q", tags)
		}
		for _, link := range eval[[]string](b, `[...document.querySelectorAll("#legal-text a")].map((a) => a.href)`) {
			if !strings.HasPrefix(link, "https://") && !strings.HasPrefix(link, "http://") {
				t.Errorf("there is a link to %s", link)
			}
		}
		squeeze := func(text string) string { return strings.Join(strings.Fields(text), "") }
		same(t, page, squeeze(b.text("#legal-text")), squeeze(text))
	}
	other := visit(serve(t, open...), "/")
	if other.has("#nav-impressum") || other.has("#nav-privacy") {
		t.Error("what is not published is linked to")
	}
	other.expect("status of 404")
	other.open("/impressum")
	other.wantText("#problem", "has not published this")
}
