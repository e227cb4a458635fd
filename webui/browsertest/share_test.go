//go:build unix

package browsertest

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/network"

	"hakanai/crypto"
)

// handOver is the address in which another program hands over a secret.
func handOver(data, filename, token string, ttl string) string {
	return "/share#data=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(data))) +
		"&filename=" + url.PathEscape(filename) + "&token=" + token + "&ttl=" + ttl
}

func TestAnAppSharesByTheAddress(t *testing.T) {
	t.Parallel()
	s := serve(t)
	b := newTab(s)
	b.useClipboard()
	saved := b.download()
	content := bytesOf(3000)
	b.open(handOver(content, "Foto 最終.jpg", s.token, "600"))
	b.wantText("#result", "It has been copied")
	link := b.text("#link")
	b.wantClipboard(link)
	if place := eval[string](b, `location.href`); place != s.url+"/share" {
		t.Errorf("the address bar shows %s", place)
	}
	b.open("/")
	b.reveal(link)
	b.press("#save")
	saved.want("Foto 最終.jpg", content)
}

func TestAnAppSharesATextOfThePlainestKind(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	b.useClipboard()
	b.open("/share#data=R3LDvMOfZSDnp5jlr4Y") // base64 without padding, and nothing else
	link := b.text("#link")
	b.reveal(link)
	b.wantSecret("Grüße 秘密")
}

func TestWhatAnAppHandsOverWronglyIsNotSent(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	for fragment, field := range map[string]string{
		"data=%%%": "data", "data=": "data", "data=!!!!": "data", "filename=a": "data", "data=eA==&ttl=1.5": "ttl", "data=eA==&ttl=x": "ttl",
	} {
		b.open("/")
		b.open("/share#" + fragment)
		b.wantText("#problem", "“"+field+"”")
	}
	if n := b.requested("POST"); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestATokenThatAnAppHandsOverIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	b := newTab(s)
	b.useClipboard()
	b.expect("status of 401")
	b.open(handOver("kept", "", strings.Repeat("x", 43), "600"))
	b.wantText("#problem", "did not accept the one that was handed over")
	b.wantText("#preview", "kept")
}

func TestAnAppSharesByTheClipboard(t *testing.T) {
	t.Parallel()
	s := serve(t)
	b := visit(s, "/share")
	b.useClipboard()
	b.setClipboard(fmt.Sprintf(`{"data": %q, "filename": "", "token": %q, "ttl": 3600, "restrictions":
		{"allowed_ips": ["192.0.2.0/24"], "passphrase": "correct horse"}}`, base64.StdEncoding.EncodeToString([]byte("<b>秘密</b>")), s.token))
	b.press("#paste")
	b.wantText("#preview pre", "<b>秘密</b>")
	b.wantText("#preview", "It vanishes after 1 hour.")
	b.wantText("#preview", "192.0.2.0/24")
	b.wantText("#preview", "passphrase")
	if n := b.requested("POST"); n != 0 {
		t.Fatal("it is sent before it has been confirmed")
	}
	b.press("#confirm")
	link := b.text("#link")
	b.wantClipboard(link)
	if b.count("#facts .restriction") != 2 {
		t.Errorf("the restrictions are %q", b.texts("#facts .restriction"))
	}

	recipient := newTab(s)
	recipient.comeFrom(network.Headers{"X-Forwarded-For": "192.0.2.7"})
	recipient.expect("status of 401")
	recipient.reveal(link)
	recipient.write("#passphrase-input", "correct horse")
	recipient.press("#reveal")
	recipient.wantSecret("<b>秘密</b>")
}

func TestALargeFileIsSharedByTheClipboard(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	content := bytesOf(3 << 20)
	b := visit(s, "/share")
	b.useClipboard()
	b.setClipboard(`{"filename":"video.mp4","data":"` + base64.StdEncoding.EncodeToString([]byte(content)) + `"}`)
	b.press("#paste")
	b.wantText("#preview", "video.mp4")
	b.wantText("#preview", "It has 3 MiB")
	b.press("#confirm")
	saved := b.download()
	b.reveal(b.text("#link"))
	b.press("#save")
	saved.want("video.mp4", content)
}

func TestAClipboardWithoutASecretIsSaid(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/share")
	b.useClipboard()
	const nothing = "There is nothing in the clipboard"
	for json, problem := range map[string]string{
		"a shopping list": nothing, "[]": nothing, `{"data":7}`: "“data”",
		`{"data":"eA==","restrictions":{"allowed_ip":["::1"]}}`: "“restrictions”",
		`{"data":"eA==","restrictions":{"passphrase":"short"}}`: "“passphrase”",
	} {
		b.setClipboard(json)
		b.press("#paste")
		b.wantText("#problem", problem)
		if b.has("#preview") || b.has("#confirm") {
			t.Errorf("%s can be confirmed", json)
		}
	}
}

func TestAClipboardThatMayNotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/share")
	b.permit("clipboard-read", cdpbrowser.PermissionSettingDenied)
	b.press("#paste")
	b.wantText("#problem", "The clipboard cannot be read")
}

func TestAnAppsLinkThatCannotBeCopiedIsShown(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	b.permit("clipboard-write", cdpbrowser.PermissionSettingDenied)
	b.open(handOver("x", "", "", ""))
	b.wantText("#result", "Whoever opens it first gets the secret")
	if link, err := crypto.ParseLink(b.text("#link")); err != nil || link.Fragment == nil {
		t.Errorf("the link is %s", b.text("#link"))
	}
}
