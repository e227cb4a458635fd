package commands

import (
	"bytes"
	"image"
	"image/color"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"golang.org/x/sys/unix"
)

// photograph is what a camera sees of a QR code in half blocks: what is a block is light.
func photograph(t *testing.T, lines []string) image.Image {
	t.Helper()
	const zoom = 4
	width := utf8.RuneCountInString(lines[0])
	photo := image.NewGray(image.Rect(0, 0, zoom*width, zoom*2*len(lines)))
	for y, line := range lines {
		if utf8.RuneCountInString(line) != width {
			t.Fatalf("line %d has another width: %q", y, line)
		}
		for x, block := range []rune(line) {
			for half, light := range []bool{strings.ContainsRune("█▀", block), strings.ContainsRune("█▄", block)} {
				for i := range zoom * zoom {
					if light {
						photo.Set(zoom*x+i%zoom, zoom*(2*y+half)+i/zoom, color.White)
					}
				}
			}
		}
	}
	return photo
}

func decodeQR(t *testing.T, lines []string) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(photograph(t, lines))
	if err != nil {
		t.Fatal(err)
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		t.Fatalf("it cannot be read: %v\n%s", err, strings.Join(lines, "\n"))
	}
	return result.GetText()
}

// codeLines are the lines of a text that a QR code is made of.
func codeLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); strings.ContainsAny(line, "█▀▄") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestAQRCodeThatIsPrintedLeadsToTheSecret(t *testing.T) {
	program, d := startForPeople(t)
	for _, separate := range []bool{false, true} {
		send := d.client(program, "send", "--qr-code", "--separate-key="+map[bool]string{true: "true", false: "false"}[separate])
		send.Stdin = strings.NewReader("secret")
		var out, errs bytes.Buffer
		send.Stdout, send.Stderr = &out, &errs
		if err := send.Run(); err != nil {
			t.Fatal(err)
		}
		lines := codeLines(errs.String())
		if strings.Contains(errs.String(), "\x1b") {
			t.Error("what is no terminal gets colours")
		}
		link, _, _ := strings.Cut(out.String(), "\n")
		if got := decodeQR(t, lines); got != link {
			t.Errorf("it leads to %q, want %q", got, link)
		}
		if width := utf8.RuneCountInString(lines[0]); width > 80 {
			t.Errorf("it is %d columns wide", width)
		}
	}
}

func TestAQRCodeIsDarkOnLightOnEveryTerminal(t *testing.T) {
	program, d := startForPeople(t)
	send := d.client(program, "send", "--qr-code")
	send.Stdin = strings.NewReader("secret")
	var out bytes.Buffer
	send.Stdout = &out
	seen := string(onTerminalError(t, send))
	var plainLines []string
	for _, line := range codeLines(seen) {
		code, coloured := strings.CutPrefix(line, "\x1b[97;40m")
		code, ended := strings.CutSuffix(code, "\x1b[0m")
		if !coloured || !ended || strings.Contains(code, "\x1b") {
			t.Fatalf("a line does not bring its colours: %q", line)
		}
		plainLines = append(plainLines, code)
	}
	if got := decodeQR(t, plainLines); got != strings.TrimSpace(out.String()) {
		t.Errorf("it leads to %q, want %q", got, out.String())
	}
}

func TestTheLongestQRCodeFits80Columns(t *testing.T) {
	link := "https://" + strings.Repeat("long-name.", 100)
	for _, length := range []int{maxQR, maxQR + 1} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		(&program{err: w}).showQR(link[:length])
		w.Close()
		var text bytes.Buffer
		if _, err := text.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		lines := codeLines(text.String())
		switch {
		case length > maxQR:
			if len(lines) != 0 || !strings.Contains(text.String(), "too long for a QR code") {
				t.Errorf("%d bytes give %q", length, text.String())
			}
		case decodeQR(t, lines) != link[:length] || utf8.RuneCountInString(lines[0]) > 80:
			t.Errorf("%d bytes give a code of %d columns", length, utf8.RuneCountInString(lines[0]))
		}
	}
}

// startForPeople starts a server that anybody may use.
func startForPeople(t *testing.T, flags ...string) (program string, d *daemon) {
	t.Helper()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	d = startServe(t, append([]string{"--data-dir", t.TempDir(), "--allow-anonymous"}, flags...))
	t.Cleanup(func() { d.end(unix.SIGTERM) })
	return program, d
}

// client is a command that talks to the server.
func (d *daemon) client(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "HAKANAI_SERVER="+d.url, "HAKANAI_TOKEN="+d.token, "NO_COLOR=", "TERM=xterm")
	return cmd
}
