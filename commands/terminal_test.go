package commands

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hakanai/store/storetest"
)

// openTerminal returns the two ends of a pseudo-terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// onTerminal runs a command whose standard output is a terminal, and returns what a person would see.
func onTerminal(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	master, slave := openTerminal(t)
	defer master.Close()
	cmd.Stdout = slave
	seen := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(master) // it ends with an error when the last writer is gone
		seen <- b
	}()
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	return <-seen
}

func TestATerminalIsNotSteeredByASecret(t *testing.T) {
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, t.TempDir())
	hostile := "\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1bP+q\x1b\\\u009b31m\u202eevil\r\x08\x7f\xff tab\there\nünï 最終"
	for _, terminal := range []bool{true, false} {
		send := exec.Command(program, "send", "--server", d.url)
		send.Env = append(os.Environ(), "HAKANAI_TOKEN="+d.token)
		send.Stdin = strings.NewReader(hostile)
		link, err := send.Output()
		if err != nil {
			t.Fatal(err)
		}
		get := exec.Command(program, "get", strings.TrimSpace(string(link)))
		get.Dir = t.TempDir()
		if !terminal {
			got, err := get.Output()
			if err != nil || string(got) != hostile {
				t.Errorf("piped it is %q (%v)", got, err)
			}
			continue
		}
		got := onTerminal(t, get)
		for _, steering := range []string{"\x1b", "\x07", "\x08", "\x7f", "\u009b", "\u202e", "\xff"} {
			if bytes.Contains(got, []byte(steering)) {
				t.Errorf("%q reached the terminal: %q", steering, got)
			}
		}
		for _, shown := range []string{`\x1b]0;title\a`, `\u202eevil`, `\xff tab`, "ünï 最終\r\n"} {
			if !bytes.Contains(got, []byte(shown)) {
				t.Errorf("%q is not shown: %q", shown, got)
			}
		}
	}
	d.end(unix.SIGTERM)
}

// answering runs a command whose standard input is a terminal at which somebody types lines, each when nothing that is
// typed is shown. It returns what the terminal has shown, and the command's outputs.
func answering(t *testing.T, cmd *exec.Cmd, lines ...string) (shown, stdout, stderr string, status int) {
	t.Helper()
	master, slave := openTerminal(t)
	defer master.Close()
	var out bytes.Buffer
	var errs lockedBuffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	echo := make(chan string)
	go func() {
		b, _ := io.ReadAll(master) // it ends with an error when the last writer is gone
		echo <- string(b)
	}()
	answered := 0
	for _, line := range lines {
		storetest.Eventually(t, "something is asked for", func() bool { return errs.asks(": ", answered, slave) })
		answered = len(errs.String())
		if _, err := io.WriteString(master, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait()
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	return <-echo, out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestWhatIsAskedForOnATerminalIsNotShown(t *testing.T) {
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	d := startServe(t, []string{"--data-dir", t.TempDir(), "--enable-admin-token", "--trusted-ip-ranges", "127.0.0.1"})
	user, admin := d.firstTokens(true)

	shown, token, errs, status := answering(t, exec.Command(program, "token", "--server", d.url), admin)
	if status != 0 || len(strings.TrimSpace(token)) != 43 || !strings.Contains(errs, "admin token: ") || strings.Contains(shown, admin) {
		t.Errorf("making a token: %d %q %q, shown %q", status, token, errs, shown)
	}

	send := exec.Command(program, "send", "--server", d.url, "-p", "open sesame")
	send.Env = append(os.Environ(), "HAKANAI_TOKEN="+user)
	send.Stdin = strings.NewReader("for you")
	link, err := send.Output()
	if err != nil {
		t.Fatal(err)
	}
	get := func() *exec.Cmd { return exec.Command(program, "get", strings.TrimSpace(string(link))) }
	if shown, text, errs, status := answering(t, get(), "guess one", "guess two", "guess three"); status != 1 || text != "" ||
		strings.Count(errs, "that is not the passphrase") != 2 || !strings.Contains(errs, "the secret is still there") || strings.Contains(shown, "guess") {
		t.Errorf("guessing: %d %q %q, shown %q", status, text, errs, shown)
	}
	if shown, text, errs, status := answering(t, get(), "open, please", "open sesame"); status != 0 || text != "for you" ||
		strings.Contains(shown, "open") {
		t.Errorf("knowing: %d %q %q, shown %q", status, text, errs, shown)
	}
	d.end(unix.SIGTERM)
}

// onTerminalError runs a command whose standard error is a terminal, and returns what a person would see of it.
func onTerminalError(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	master, slave := openTerminal(t)
	defer master.Close()
	cmd.Stderr = slave
	seen := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(master) // it ends with an error when the last writer is gone
		seen <- b
	}()
	_ = cmd.Run() // the test looks at what is seen
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	return <-seen
}
