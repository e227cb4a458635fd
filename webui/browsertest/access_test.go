//go:build unix

package browsertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
)

func TestAPassphraseIsAskedFor(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	sender := visit(s, "/create")
	sender.press("#more summary")
	sender.write("#passphrase", "short")
	sender.write("#text", "behind a passphrase")
	sender.press("#create")
	sender.wantText("#passphrase-fault", "8 characters or more")
	sender.write("#passphrase", "  correct horse 馬 ")
	sender.press("#create")
	link := sender.text("#link")
	sender.wantText("#facts .restriction", "needs the passphrase")

	b := newTab(s)
	b.expect("status of 401")
	b.reveal(link)
	b.wantText("#passphrase-input-hint", "It has not been opened yet")
	b.press("#reveal")
	b.wantText("#passphrase-input-fault", "Enter the passphrase")
	b.write("#passphrase-input", "battery staple")
	b.press("#reveal")
	b.wantText("#passphrase-input-fault", "The secret is still there")
	if got := b.value("#passphrase-input"); got != "" {
		t.Errorf("what was wrong is still in the field: %q", got)
	}
	if kind := eval[string](b, `document.querySelector("#passphrase-input").type`); kind != "password" {
		t.Errorf("the field shows what is typed: %s", kind)
	}
	b.press("#passphrase-input-show")
	b.write("#passphrase-input", "correct horse 馬")
	b.press("#reveal")
	b.wantSecret("behind a passphrase")
}

func TestTooManyWrongPassphrasesHaveToWait(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	link := s.send("still there", "--require-passphrase", "correct horse")
	b := newTab(s)
	b.expect("status of 401")
	b.expect("status of 429")
	b.reveal(link)
	b.see("#passphrase-input")
	for range 5 {
		b.write("#passphrase-input", "wrong")
		b.press("#reveal")
		b.wantText("#passphrase-input-fault", "This passphrase is wrong")
		b.await("an empty field", `document.querySelector("#passphrase-input").value === ""`)
	}
	b.write("#passphrase-input", "correct horse")
	b.press("#reveal")
	b.wantText("#passphrase-input-fault", "too many wrong passphrases. The secret is still there: try again in 10 minutes")
	// From elsewhere it can still be had.
	other := newTab(s)
	other.comeFrom(network.Headers{"X-Forwarded-For": "203.0.113.9"})
	other.expect("status of 401")
	other.reveal(link)
	other.write("#passphrase-input", "correct horse")
	other.press("#reveal")
	other.wantSecret("still there")
}

func TestRestrictionsAreOfferedSentAndKept(t *testing.T) {
	t.Parallel()
	s := serve(t, append(slices.Clone(open), "--country-header", "cf-ipcountry", "--asn-header", "x-asn")...)
	sender := visit(s, "/create")
	sender.press("#more summary")
	for field, wrong := range map[string]string{"#addresses": "192.0.2.0/33", "#countries": "DE, XX", "#asns": "AS4294967296"} {
		sender.write("#text", "for a few")
		sender.write(field, wrong)
		sender.press("#create")
		sender.see(field + "-fault")
		sender.write(field, "")
	}
	sender.write("#addresses", "192.0.2.0/24; 2001:db8::1")
	sender.write("#countries", "de jp")
	sender.write("#asns", "AS64500, 64501")
	link := sender.share("for a few")
	facts := strings.Join(sender.texts("#facts .restriction"), "\n")
	want := "It opens only from 192.0.2.0/24, 2001:db8::1.\nIt opens only in Germany, Japan.\n" +
		"It opens only from the networks AS64500, AS64501."
	same(t, "what restricts it", facts, want)

	for _, wrong := range []network.Headers{
		{},
		{"X-Forwarded-For": "203.0.113.9", "Cf-Ipcountry": "DE", "X-Asn": "64500"},
		{"X-Forwarded-For": "192.0.2.7", "Cf-Ipcountry": "FR", "X-Asn": "64500"},
		{"X-Forwarded-For": "192.0.2.7", "Cf-Ipcountry": "DE", "X-Asn": "64499"},
		{"X-Forwarded-For": "192.0.2.7", "Cf-Ipcountry": "DE"},
	} {
		b := newTab(s)
		b.comeFrom(wrong)
		b.expect("status of 403")
		b.reveal(link)
		b.wantText("#problem", "It is still there")
	}
	b := newTab(s)
	b.comeFrom(network.Headers{"X-Forwarded-For": "192.0.2.7", "Cf-Ipcountry": "JP", "X-Asn": "64501"})
	b.reveal(link)
	b.wantSecret("for a few")
}

func TestOnlyRestrictionsThatTheServerCanKeepAreOffered(t *testing.T) {
	t.Parallel()
	for _, offered := range []struct{ flags, fields []string }{
		{nil, nil},
		{[]string{"--country-header", "cf-ipcountry"}, []string{"#countries"}},
		{[]string{"--asn-header", "x-asn"}, []string{"#asns"}},
	} {
		s := serve(t, append(slices.Clone(open), offered.flags...)...)
		b := visit(s, "/create")
		b.wantText("#size", "of 10 MiB") // the server has told what it offers
		b.press("#more summary")
		b.see("#passphrase")
		b.see("#addresses")
		for _, field := range []string{"#countries", "#asns"} {
			if b.has(field) != slices.Contains(offered.fields, field) {
				t.Errorf("%q: %s is there: %t", offered.flags, field, b.has(field))
			}
		}
	}
}

func TestATokenIsNeeded(t *testing.T) {
	t.Parallel()
	s := serve(t)
	b := visit(s, "/create")
	b.see("#token")
	b.write("#text", "with a token")
	b.press("#create")
	b.wantText("#token-fault", "A token is needed")
	b.expect("status of 401")
	b.write("#token", strings.Repeat("x", 43))
	b.wantText("#token-fault", "does not know this token") // before anything is sent
	b.press("#create")
	b.wantText("#token-fault", "What you entered is still here")
	if got := b.value("#text"); got != "with a token" {
		t.Errorf("the text is %q", got)
	}
	b.write("#token", s.token)
	b.press("#create")
	link := b.text("#link")
	b.reload()
	if got := b.value("#token"); got != "" {
		t.Error("a token is remembered that nobody wanted remembered")
	}
	if got := eval[int](b, `sessionStorage.length + localStorage.length`); got != 0 {
		t.Errorf("%d things are kept", got)
	}
	b.reveal(link)
	b.wantSecret("with a token")
}

func TestATokenIsRememberedForThisSessionAlone(t *testing.T) {
	t.Parallel()
	s := serve(t)
	b := visit(s, "/create")
	b.write("#token", s.token)
	b.press("label:has(#remember)")
	b.share("first")
	b.open("/create")
	b.await("the token", `document.querySelector("#token")?.value === `+quote(s.token))
	b.wantText("#size", "of 10 MiB")
	b.share("second")
	if got := eval[string](b, `JSON.stringify({ ...localStorage })`); got != "{}" {
		t.Errorf("what outlives the session is %s", got)
	}
	other := b.another() // another tab has another session
	other.open("/create")
	if got := other.value("#token"); got != "" {
		t.Error("the token is in another tab")
	}
	b.open("/create")
	b.press("label:has(#remember)") // no longer
	b.reload()
	if got := b.value("#token"); got != "" {
		t.Error("the token is not forgotten")
	}
}

func TestATokenAllowsMore(t *testing.T) {
	t.Parallel()
	s := serve(t, "--allow-anonymous", "--anonymous-size-limit", "1k", "--show-token-input", "--upload-size-limit", "64k")
	b := visit(s, "/create")
	b.wantText("#size", "of 1 KiB")
	b.write("#text", strings.Repeat("x", 2000))
	b.press("#create")
	b.wantText("#compose-fault", "too large")
	b.write("#token", s.token)
	b.wantText("#size", "of 64 KiB")
	b.press("#create")
	b.see("#link")
}
