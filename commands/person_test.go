package commands

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hakanai/store/storetest"
)

// person sits at a terminal at which a command runs, and nothing but that.
type person struct {
	t             *testing.T
	cmd           *exec.Cmd
	master, slave *os.File
	reading       sync.WaitGroup
	shown         lockedBuffer
	answered      int // what was shown by then, bytes
}

// asks tells whether a question is the last of what was written after so many bytes, and hidden what is typed at a terminal. That
// is looked at last: what was typed before the question was hidden too.
func (l *lockedBuffer) asks(question string, after int, terminal *os.File) bool {
	if !strings.HasSuffix(l.String()[after:], question) {
		return false
	}
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	return err == nil && state.Lflag&unix.ECHO == 0
}

// sitDown starts a command at a terminal of its own.
func sitDown(t *testing.T, cmd *exec.Cmd) *person {
	t.Helper()
	p := &person{t: t, cmd: cmd}
	p.master, p.slave = openTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.slave, p.slave, p.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.reading.Go(func() {
		_, _ = io.Copy(&p.shown, p.master) // it ends with an error when the last writer is gone
	})
	t.Cleanup(func() { _ = p.master.Close() })
	return p
}

func (p *person) seen() string { return p.shown.String() }

func (p *person) press(keys string) {
	p.t.Helper()
	if _, err := io.WriteString(p.master, keys); err != nil {
		p.t.Fatal(err)
	}
}

// answer waits until a question is on the terminal and what is typed is hidden, and types.
func (p *person) answer(question, keys string) {
	p.t.Helper()
	storetest.Eventually(p.t, "asked for: "+question, func() bool { return p.shown.asks(question, p.answered, p.slave) })
	p.answered = len(p.seen())
	p.press(keys)
}

// await waits until a text is on the terminal.
func (p *person) await(text string) {
	p.t.Helper()
	storetest.Eventually(p.t, "shown: "+text, func() bool { return strings.Contains(p.seen(), text) })
}

// leave waits until the command ends, and returns all that was shown, its exit status, and whether the terminal shows
// again what is typed.
func (p *person) leave() (seen string, status int, echo bool) {
	p.t.Helper()
	_ = p.cmd.Wait() // the status is looked at
	state, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = p.slave.Close()
	p.reading.Wait()
	return p.seen(), p.cmd.ProcessState.ExitCode(), state.Lflag&unix.ECHO != 0
}
