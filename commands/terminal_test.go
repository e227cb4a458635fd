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
