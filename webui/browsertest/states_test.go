//go:build unix

package browsertest

import (
	"strings"
	"testing"
)

// states are the pages, and what becomes of them, each with the way to it.
var states = []struct {
	name string
	show func(s *server, b *tab)
}{
	{"home", func(_ *server, b *tab) {
		b.open("/")
		b.press("#link-open")
		b.see("#link-fault")
	}},
	{"get", func(_ *server, b *tab) { b.open("/get") }},
	{"create", func(_ *server, b *tab) {
		b.open("/create")
		b.see("#token")
	}},
	{"create, filled in", func(s *server, b *tab) {
		b.open("/create")
		b.write("#text", strings.Repeat("unbreakable", 50))
		b.write("#token", s.token)
		b.press("#more summary")
		b.press("label:has(#separate-key)")
		b.write("#passphrase", "12345678")
		b.write("#addresses", "2001:db8:1111:2222:3333:4444:5555:6666, 192.0.2.0/33")
		b.press("#create")
		b.see("#addresses-fault")
	}},
	{"create, files", func(_ *server, b *tab) {
		b.open("/create")
		b.press("label:has(#kind-files)")
		b.upload("#file-input", file(b.t, "a.txt", "a"), file(b.t, strings.Repeat("long", 40)+".txt", bytesOf(100_000)))
		b.see("#files")
	}},
	{"create, refused", func(_ *server, b *tab) {
		b.open("/create")
		b.press("#create")
		b.see("#compose-fault")
	}},
	{"link ready", func(s *server, b *tab) {
		b.open("/create")
		b.write("#token", s.token)
		b.press("#more summary")
		b.press("label:has(#separate-key)")
		b.write("#passphrase", "correct horse")
		b.write("#addresses", strings.Repeat("2001:db8:1111:2222:3333:4444:5555:6666 ", 5))
		b.share("a secret")
		b.press("#show-qr")
		b.see("#qr")
	}},
	{"reveal", func(s *server, b *tab) { b.open(s.send("a secret")) }},
	{"reveal, passphrase", func(s *server, b *tab) {
		b.expect("status of 401")
		b.reveal(s.send("a secret", "--require-passphrase", "correct horse"))
		b.see("#passphrase-input")
	}},
	{"reveal, key", func(s *server, b *tab) {
		link, _, _ := strings.Cut(s.send("a secret"), "#")
		b.reveal(link)
		b.see("#key-input-fault")
	}},
	{"revealed text", func(s *server, b *tab) {
		b.reveal(s.send(strings.Repeat("unbreakable", 50) + "\n" + strings.Repeat("many lines\n", 100)))
		b.see("#secret")
	}},
	{"revealed file", func(s *server, b *tab) {
		b.reveal(s.send("content", "--filename", strings.Repeat("long", 40)+".txt"))
		b.see("#save")
	}},
	{"revealed files", func(s *server, b *tab) {
		b.reveal(s.send("", "--file", file(b.t, "a.txt", "a"), "--file",
			file(b.t, strings.Repeat("long", 40)+".txt", "b")))
		b.see("#entries")
	}},
	{"released", func(s *server, b *tab) {
		b.reveal(s.send("a secret"))
		b.press("#release")
		b.see("#released")
	}},
	{"gone", func(s *server, b *tab) {
		link := s.send("a secret")
		s.get(link)
		b.expect("status of 410")
		b.reveal(link)
		b.see("#over-gone")
	}},
	{"share", func(_ *server, b *tab) { b.open("/share") }},
	{"share, preview", func(_ *server, b *tab) {
		b.expect("status of 401")
		b.open(handOver(strings.Repeat("unbreakable", 50), "", strings.Repeat("x", 43), "600"))
		b.see("#confirm")
	}},
	{"impressum", func(_ *server, b *tab) {
		b.open("/impressum")
		b.see("#legal-text")
	}},
	{"privacy", func(_ *server, b *tab) {
		b.open("/privacy")
		b.see("#legal-text")
	}},
	{"nowhere", func(_ *server, b *tab) {
		b.expect("status of 404")
		b.open("/nowhere")
	}},
}

// serveStates starts a server on which there are all states.
func serveStates(t *testing.T) *server {
	t.Helper()
	return serve(t, "--country-header", "cf-ipcountry", "--asn-header", "x-asn",
		"--impressum-file", file(t, "impressum", "Somebody\nSomewhere 7\n\nhttps://example.com/"+strings.Repeat("long", 60)),
		"--privacy-file", file(t, "privacy", strings.Repeat("Nothing is kept. ", 100)))
}
