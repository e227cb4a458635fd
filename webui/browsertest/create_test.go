//go:build unix

package browsertest

import (
	"archive/zip"
	"fmt"
	"image/png"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestATextIsSharedAndRevealedOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	sender, recipient := visit(s, "/create"), newTab(s)
	for name, text := range map[string]string{
		"plain":        "the wifi password is hunter2",
		"of all kinds": "Grüße, 秘密, סוד, \u200fسر, e\u0301 é 🦊 👩‍👩‍👧 \u202egnp.exe\u202c\t\"quotes\" <b>&amp;</b> \\ end",
		"of lines":     "\n\n  first\n\tsecond\n\n\nlast  \n",
		"of one space": " ",
	} {
		t.Log(name)
		recipient.reveal(sender.share(text))
		recipient.wantSecret(text)
		sender.press("#another")
		if sender.value("#text") != "" {
			t.Error("the last secret is still in the form")
		}
	}
}

func TestALongTextIsShownInPartAndCopiedAndSavedWhole(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	var text strings.Builder
	for i := 0; text.Len() < 8<<20; i++ {
		fmt.Fprintf(&text, "Zeile %06d: 秘密 und noch ein paar Wörter, damit es voll wird.\n", i)
	}
	b := visit(s, "/create")
	b.useClipboard()
	b.setClipboard(text.String())
	b.press("#text")
	b.key("Paste")
	b.press("#create")
	link := b.text("#link")
	saved := b.download()
	b.reveal(link)
	shown, more := strings.CutSuffix(b.text("#secret"), "…")
	if !more || len(shown) < 100_000 || !strings.HasPrefix(text.String(), shown) {
		t.Errorf("%d bytes are shown", len(shown))
	}
	b.press("#copy-secret")
	b.wantText("#copy-secret", "Copied")
	b.wantClipboard(text.String())
	b.press("#save-text")
	saved.want("secret.txt", text.String())
}

func TestAFileIsSharedAndSavedByteForByte(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	const name = "Prüfbericht 2026 – 最終.pdf"
	content := bytesOf(1_000_003)
	sender := visit(s, "/create")
	sender.press("label:has(#kind-files)")
	sender.upload("#file-input", file(t, name, content))
	sender.wantText("#files", name)
	sender.wantText("#size", "976 KiB of 10 MiB")
	sender.press("#create")
	link := sender.text("#link")

	recipient := newTab(s)
	saved := recipient.download()
	recipient.reveal(link)
	recipient.wantText("#file-name", name)
	recipient.wantText("#file-size", "976 KiB")
	if names := saved.names(); len(names) > 0 {
		t.Errorf("without a press %q is saved", names)
	}
	recipient.press("#save")
	saved.want(name, content)
	recipient.wantText("#revealed", "Saved.")
}

func TestAFileThatIsNotSavedIsNotLeftByMistake(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	for _, save := range []bool{false, true} {
		b := newTab(s)
		saved := b.download()
		b.reveal(s.send("content", "--filename", "a.txt"))
		b.see("#save")
		if save {
			b.press("#save")
			saved.want("a.txt", "content")
		}
		b.open("/")
		if asked := b.askedToStay(); (asked == 0) != save {
			t.Errorf("saved: %t, and the browser asked %d times whether to leave", save, asked)
		}
	}
}

func TestThreeFilesBecomeAZIPThatIsSavedWholeOrFileByFile(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	contents := map[string]string{"a.txt": "first", "Bericht – 最終.bin": bytesOf(300_000), "a (2).txt": strings.Repeat("third", 50_000)}
	sender := visit(s, "/create")
	sender.press("label:has(#kind-files)")
	sender.upload("#file-input", file(t, "a.txt", contents["a.txt"]), file(t, "Bericht – 最終.bin", contents["Bericht – 最終.bin"]))
	sender.upload("#file-input", file(t, "not this one", "x"))
	sender.upload("#file-input", file(t, "a.txt", contents["a (2).txt"])) // the same name, from another folder
	sender.press("#files li:nth-child(3) .remove")
	sender.await("three files", `document.querySelectorAll("#files li").length === 3`)
	sender.press("#create")

	recipient := newTab(s)
	saved := recipient.download()
	recipient.reveal(sender.text("#link"))
	recipient.see("#entries")
	for i, name := range recipient.texts("#entries bdi") {
		recipient.press(fmt.Sprintf("#entries li:nth-child(%d) .save-entry", i+1))
		saved.want(name, contents[name])
	}
	if names := recipient.texts("#entries bdi"); len(names) != 3 {
		t.Errorf("the entries are %q", names)
	}
	recipient.press("#save")
	name, archive := saved.next()
	same(t, "the archive's name", name, recipient.text("#file-name"))
	files, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range contents {
		same(t, name, read(t, files, name), content)
	}
}

// read reads a file of an archive.
func read(t *testing.T, files fs.FS, name string) string {
	t.Helper()
	content, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestFilesAreDropped(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	saved := b.download()
	b.write("#text", "a text that is not sent")
	b.drop("h1", file(t, "dropped.txt", "what was dropped anywhere"))
	b.wantText("#files", "dropped.txt")
	b.press("#files .remove")
	b.miss("#files")
	b.drop("#drop", file(t, "again.txt", "what was dropped where it should be"))
	b.wantText("#files", "again.txt")
	b.press("#create")
	b.reveal(b.text("#link"))
	b.press("#save")
	saved.want("again.txt", "what was dropped where it should be")
}

func TestTextAndFilesArePasted(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	b.useClipboard()
	b.setClipboard("pasted 秘密")
	b.press("#text")
	b.key("Paste")
	b.await("the text", `document.querySelector("#text").value === "pasted 秘密"`)

	eval[bool](b, `(async () => {
		const canvas = new OffscreenCanvas(7, 5);
		canvas.getContext("2d").fillRect(0, 0, 7, 5);
		await navigator.clipboard.write([new ClipboardItem({ "image/png": await canvas.convertToBlob() })]);
		return true;
	})()`)
	saved := b.download()
	b.key("Paste")
	b.wantText("#files", "image.png")
	b.press("#create")
	b.reveal(b.text("#link"))
	b.press("#save")
	_, content := saved.next()
	picture, err := png.Decode(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X != 7 || size.Y != 5 {
		t.Errorf("the picture is %v", size)
	}
}

func TestTheKeyGoesAnotherWay(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	sender := visit(s, "/create")
	sender.press("#more summary")
	sender.press("label:has(#separate-key)")
	link := sender.share("in two parts")
	key := sender.text("#key")
	if strings.Contains(link, "#") || strings.Contains(link, key) {
		t.Errorf("the link %s has the key in it", link)
	}

	b := visit(s, strings.TrimPrefix(link, s.url))
	b.press("#reveal")
	b.wantText("#key-input-fault", "incomplete")
	b.write("#key-input", key[:30])
	b.press("#reveal")
	b.wantText("#key-input-fault", "incomplete")
	b.write("#key-input", key[:43])
	b.press("#reveal")
	b.wantText("#key-input-fault", "The end of the key is missing")
	if n := b.requested("GET /api/"); n != 0 {
		t.Errorf("with a key that is cut off the server is asked %d times", n)
	}
	b.write("#key-input", " "+key+"\n")
	b.press("#reveal")
	b.wantSecret("in two parts")
}

func TestWhatIsSharedIsSaid(t *testing.T) {
	t.Parallel()
	s := serve(t, append(slices.Clone(open), "--max-ttl", "2h")...)
	b := visit(s, "/create")
	b.await("the server's own limit", `document.querySelector("#ttl").options.length === 3`)
	if got := strings.Join(b.texts("#ttl option"), ", "); got != "10 minutes, 1 hour, 2 hours" {
		t.Errorf("offered are %s", got)
	}
	b.choose("#ttl", "600")
	b.share("x")
	b.wantText("#facts", "It can be opened once.")
	b.wantText("#expires", "If nobody opens it, it vanishes on ")
	if b.count("#facts .restriction") != 0 || b.has("#key") || b.has("#qr") {
		t.Error("more is said than there is to say")
	}
}

func TestNothingIsNotShared(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	b.press("#create")
	b.wantText("#compose-fault", "nothing to share")
	b.press("label:has(#kind-files)")
	b.miss("#compose-fault")
	b.press("#create")
	b.wantText("#compose-fault", "Choose a file")
	b.upload("#file-input", file(t, "empty", ""))
	b.press("#create")
	b.wantText("#compose-fault", "is empty")
	if n := b.requested("POST"); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestWhatIsTooLargeIsSaidBeforeItIsSent(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	s := serve(t, "--allow-anonymous", "--anonymous-size-limit", fmt.Sprint(limit))
	b := visit(s, "/create")
	b.wantText("#size", "0 B of 97 KiB")
	b.write("#text", strings.Repeat("界", limit/3)+"xy")
	b.press("#create")
	b.wantText("#compose-fault", "too large")
	b.press("label:has(#kind-files)")
	b.upload("#file-input", file(t, "large", bytesOf(limit+1)))
	b.press("#create")
	b.wantText("#compose-fault", "too large")
	b.upload("#file-input", file(t, "larger", bytesOf(limit))) // together they are too large as a ZIP, too
	b.press("#create")
	b.wantText("#problem", "too large")
	if n := b.requested("POST"); n != 0 {
		t.Errorf("%d requests were sent", n)
	}

	// Exactly the limit is not too large.
	b.press("#files .remove")
	b.await("one file", `document.querySelectorAll("#files li").length === 1`)
	b.press("#create")
	b.see("#link")
	b.press("#another")
	text := strings.Repeat("界", limit/3) + "x"
	b.reveal(b.share(text))
	b.wantSecret(text)
}

func TestTheQRCodeIsTheLink(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	for _, scheme := range []string{"light", "dark"} {
		b := newTab(s)
		b.prefer("prefers-color-scheme", scheme)
		b.open("/create")
		link := b.share("scanned")
		b.press("#show-qr")
		same(t, "the QR code in the "+scheme, b.scan("#qr"), link)
		b.press("#show-qr")
		b.miss("#qr")
	}
}
