//go:build unix

package browsertest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"hakanai/crypto"
)

func TestASecondViewerIsToldThatItIsGone(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	link := s.send("only once")
	first, second := newTab(s), newTab(s)
	first.open(link)
	second.open(link) // both look at the page at the same time
	first.press("#reveal")
	first.wantSecret("only once")
	second.expect("status of 410")
	second.press("#reveal")
	second.wantText("#over-gone", "Somebody has opened it already")
}

func TestReloadingShowsNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	link := s.send("only here")
	b := newTab(s)
	b.reveal(link)
	b.wantSecret("only here")
	b.reload()
	if strings.Contains(b.shows(), "only here") {
		t.Error("the secret is still in the page")
	}
	_, key, _ := strings.Cut(link, "#")
	b.write("#key-input", key)
	b.expect("status of 410")
	b.press("#reveal")
	b.see("#over-gone")
}

func TestWhoeverLeavesThePageLeavesNothingInIt(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/")
	b.reveal(s.send("to be forgotten"))
	b.wantSecret("to be forgotten")
	b.follow(".brand")
	b.back()
	b.see("#reveal-form")
	b.see("#key-input") // the key is forgotten too
	if strings.Contains(eval[string](b, `document.documentElement.outerHTML`), "to be forgotten") {
		t.Error("going back brings the secret back")
	}

	// Also where a browser would keep the page as it is: nothing is in it any more when it is put aside.
	b.reveal(s.send("to be forgotten"))
	b.wantSecret("to be forgotten")
	eval[bool](b, `dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }))`)
	if strings.Contains(eval[string](b, `document.documentElement.outerHTML`), "to be forgotten") {
		t.Error("a page that is put aside keeps the secret")
	}
	b.load(func() {
		eval[bool](b, `dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))`)
	})
	b.see("#reveal-form")
}

func TestASecretVanishes(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	b.reveal(s.send("like snow"))
	b.press("#release")
	b.await("it to be seen vanishing", `document.querySelector("#released") !== null ||
		document.getAnimations().some(({ animationName }) => animationName === "vanish")`)
	b.wantText("#released", "It is gone")
	if b.has("#secret") || strings.Contains(b.shows(), "like snow") {
		t.Error("it is still there")
	}
}

func TestWhatFailsIsExplained(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	link := s.send("x")
	place, key, _ := strings.Cut(link, "#")
	b := newTab(s)

	b.expect("status of 404")
	b.reveal(s.url + "/s/00000000-0000-4000-8000-000000000000#" + key)
	b.wantText("#over-never", "expired, or it never was")

	// A link that is damaged is recognized without the server.
	b.expect("status of 400")
	b.open(s.url + "/s/00000000-0000-4000-8000#" + key)
	b.wantText("#over-badID", "damaged")
	for _, damaged := range []string{key[:20], key[:43], key[:50], key + "x", "?" + key, strings.ReplaceAll(key, ":", "")} {
		b.open("/") // a change of the fragment alone would not load the page again
		b.open(place + "#" + damaged)
		b.see("#key-input-fault")
	}
	if n := b.requested("GET /api/"); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
	// The right key is all that it needed.
	b.write("#key-input", key)
	b.press("#reveal")
	b.wantSecret("x")
	b.open("/nowhere/at/all")
	b.wantText("h1", "There is nothing here")
}

func TestASecretExpires(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	const life = 3 * time.Second // in which the page is there
	expires := time.Now().Add(life)
	b.open(s.leave(crypto.Content{Data: []byte("x")}, life))
	time.Sleep(time.Until(expires.Add(1500 * time.Millisecond)))
	b.expect("status of 404")
	b.press("#reveal")
	b.wantText("#over-never", "expired, or it never was")
}

func TestAWrongKeyDoesNotLoseTheSecret(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	_, other, _ := strings.Cut(s.send("another"), "#")
	for name, damage := range map[string]func(key string) string{
		"key of another secret": func(string) string { return other },
		"wrong hash":            func(key string) string { return key[:44] + other[44:] },
	} {
		t.Log(name)
		link := s.send("kept")
		place, key, _ := strings.Cut(link, "#")
		b := newTab(s)
		b.reveal(place + "#" + damage(key))
		b.wantText("#reveal-form h1", "The key does not fit")
		if strings.Contains(b.shows(), "kept for whoever") {
			t.Error("it is shown all the same")
		}
		b.write("#key-input", damage(key))
		b.press("#reveal")
		b.wantText("#key-input-fault", "does not fit")
		b.write("#key-input", key)
		b.press("#reveal")
		b.wantSecret("kept")
		if n := b.requested("GET /api/"); n != 1 {
			t.Errorf("the server was asked %d times", n)
		}
	}
}

func TestALinkIsPasted(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	for _, path := range []string{"/", "/get"} {
		link := s.send("pasted at " + path)
		b := visit(s, path)
		b.write("#link-input", "this is no link")
		b.press("#link-open")
		b.wantText("#link-fault", "not a link")
		b.write("#link-input", strings.Replace(link, "127.0.0.1", "192.0.2.1", 1))
		b.press("#link-open")
		b.wantText("#link-fault", "another server")
		b.write("#link-input", "  "+link+"\n")
		b.press("#link-open")
		b.see("#reveal")
		if n := b.requested("GET /api/"); n != 0 {
			t.Errorf("opening the page asks the server %d times", n)
		}
		b.press("#reveal")
		b.wantSecret("pasted at " + path)
	}
}

func TestAFragmentThatChangesIsReadAndHidden(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	link := s.send("found")
	place, key, _ := strings.Cut(link, "#")
	b := visit(s, strings.TrimPrefix(place, s.url))
	b.see("#key-input")
	eval[string](b, `location.hash = `+quote(key))
	b.miss("#key-input")
	b.press("#reveal")
	b.wantSecret("found")
}

func TestLookingAtALinkTakesNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	link := s.send("still there")
	place, _, _ := strings.Cut(link, "#")
	for _, headers := range []network.Headers{
		{}, {"Sec-Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"},
		{"User-Agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}, {"User-Agent": "WhatsApp/2.23.20.0"},
	} {
		b := newTab(s)
		b.comeFrom(headers)
		b.open(link)
		b.see("#reveal")
		b.reload()
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r, err := http.NewRequestWithContext(context.Background(), method, place, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", "text/html")
			for name, value := range headers {
				r.Header.Set(name, value.(string))
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		if n := b.requested("GET /api/") + b.requested("HEAD"); n != 0 {
			t.Errorf("the page asks for the secret %d times by itself", n)
		}
	}
	if got := s.get(link); got != "still there" {
		t.Errorf("it was %q", got)
	}
}
