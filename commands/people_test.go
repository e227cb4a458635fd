package commands

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// sent sends something, and returns the lines of standard output.
func (d *daemon) sent(program, secret string, args ...string) []string {
	d.t.Helper()
	send := d.client(program, append([]string{"send"}, args...)...)
	send.Stdin = strings.NewReader(secret)
	out, err := send.Output()
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestAPersonSeesTheLinkSetOff(t *testing.T) {
	program, d := startForPeople(t)
	p := sitDown(t, d.client(program, "send"))
	p.await("type the secret, and end it with ctrl-d on a line of its own")
	p.press("for you\n\x04")
	seen, status, _ := p.leave()
	if !regexp.MustCompile(`\r\n\r\n {4}http://127.0.0.1:\d+/s/\S+#\S+:\S+\r\n\r\nhakanai: the first to`).MatchString(seen) || status != 0 {
		t.Errorf("%d %q", status, seen)
	}
	p = sitDown(t, d.client(program, "send", "--separate-key", "--file", "/etc/hostname"))
	seen, status, _ = p.leave()
	if !regexp.MustCompile(`^\r\nLink:\r\n\r\n {4}http\S+/s/[0-9a-f-]+\r\n\r\nKey:\r\n\r\n {4}\S+:\S+\r\n\r\n`).MatchString(seen) || status != 0 {
		t.Errorf("%d %q", status, seen)
	}
}

func TestAPersonIsAskedForTheLinkTheKeyAndThePassphrase(t *testing.T) {
	program, d := startForPeople(t)
	lines := d.sent(program, "for you", "--separate-key", "--passphrase-file", passphraseFile(t))
	p := sitDown(t, d.client(program, "get"))
	p.answer("link: ", lines[0]+"\n")
	p.answer("key of the link: ", lines[1]+"\n")
	p.answer("passphrase of the secret: ", "wrong one\n")
	p.answer("passphrase of the secret: ", "open sesame\n")
	seen, status, echo := p.leave()
	if status != 0 || !echo || !strings.HasSuffix(seen, "for you\r\n") || !strings.Contains(seen, "that is not the passphrase") {
		t.Errorf("%d %t %q", status, echo, seen)
	}
	for _, hidden := range []string{lines[0], lines[1], "wrong one", "open sesame"} {
		if strings.Contains(seen, hidden) {
			t.Errorf("%q is shown", hidden)
		}
	}
}

func passphraseFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(path, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAPassphraseThatNobodySeesIsAskedForTwice(t *testing.T) {
	program, d := startForPeople(t)
	for again, want := range map[string]int{"open sesame\n": 0, "open sesama\n": 2} {
		p := sitDown(t, d.client(program, "send", "--passphrase-file", "-", "--file", "/etc/hostname"))
		p.answer("passphrase of the secret: ", "open sesame\n")
		p.answer("the same again: ", again)
		seen, status, echo := p.leave()
		if status != want || !echo || strings.Contains(seen, "sesam") || strings.Contains(seen, "/s/") != (want == 0) {
			t.Errorf("%q gives %d %t %q", again, status, echo, seen)
		}
	}
}

func TestAnInterruptedQuestionLeavesTheTerminalAsItWas(t *testing.T) {
	program, d := startForPeople(t)
	link := d.sent(program, "for you", "--passphrase-file", passphraseFile(t))[0]
	for _, end := range []func(p *person){
		func(p *person) { p.press("\x03") }, // ctrl-c
		func(p *person) { _ = p.cmd.Process.Signal(unix.SIGTERM) },
	} {
		p := sitDown(t, d.client(program, "get", link))
		p.answer("passphrase of the secret: ", "")
		end(p)
		seen, status, echo := p.leave()
		if status != statusInterrupted || !echo || !strings.Contains(seen, "interrupted\r\n") || !strings.Contains(seen, "the secret is still there") {
			t.Errorf("%d %t %q", status, echo, seen)
		}
	}
	get := d.client(program, "get", link, "--passphrase-file", passphraseFile(t))
	if out, err := get.Output(); err != nil || string(out) != "for you" {
		t.Errorf("afterwards: %q (%v)", out, err)
	}
}

func TestColoursAreForTerminalsThatWantThem(t *testing.T) {
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		variable string
		want     bool
	}{{"X=", true}, {"NO_COLOR=1", false}, {"NO_COLOR=", true}, {"TERM=dumb", false}} {
		cmd := exec.Command(program, "get", "nonsense")
		cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=", test.variable)
		seen, status, _ := sitDown(t, cmd).leave()
		if status != statusUsage || strings.Contains(seen, "\x1b[1;31merror: \x1b[0m") != test.want || strings.Contains(seen, "\x1b") != test.want {
			t.Errorf("%s: %q", test.variable, seen)
		}
	}
	out, err := exec.Command(program, "get", "nonsense").CombinedOutput()
	if err == nil || strings.Contains(string(out), "\x1b") {
		t.Errorf("piped: %q (%v)", out, err)
	}
}

func TestNamesAndServersDoNotSteerATerminal(t *testing.T) {
	program, d := startForPeople(t)
	hostile := "a\x1b]0;title\x07\x1b[2Jb\u202ec\u009bd"
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, hostile), 0o700); err != nil {
		t.Fatal(err)
	}
	link := d.sent(program, "x", "--filename", hostile)[0]
	for _, args := range [][]string{
		{"get", link, "-o", dir}, {"get", hostile}, {"send", "-f", filepath.Join(dir, hostile)}, {"send", "-f", hostile}, {hostile},
		{"send", "--" + hostile}, {"send", "--ttl", hostile}, {"get", "x", "-o", hostile}, {"get", "x", "--exec", "--", hostile},
	} {
		cmd := d.client(program, args...)
		cmd.Env = append(cmd.Env, "NO_COLOR=1")
		seen, _, _ := sitDown(t, cmd).leave()
		for _, steering := range []string{"\x1b", "\x07", "\u202e", "\u009b"} {
			if strings.Contains(seen, steering) {
				t.Errorf("%q prints %q", args, seen)
			}
		}
	}
}

func TestAFileThatIsNoTextIsNotPrintedOnATerminal(t *testing.T) {
	program, d := startForPeople(t)
	link := d.sent(program, "\x00\x01\xff", "--filename", "binary")[0]
	get := d.client(program, "get", "--to-stdout", link)
	get.Dir = t.TempDir()
	seen, status, _ := sitDown(t, get).leave()
	saved, err := os.ReadFile(filepath.Join(get.Dir, "binary"))
	if status != 0 || err != nil || string(saved) != "\x00\x01\xff" || !strings.Contains(seen, "it is saved instead") || strings.Contains(seen, "\x00") {
		t.Errorf("%d %q, saved %q (%v)", status, seen, saved, err)
	}
}
