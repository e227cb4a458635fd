package commands

import (
	"bytes"
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

	mu    sync.Mutex
	shown bytes.Buffer
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
		_, _ = io.Copy(p, p.master) // it ends with an error when the last writer is gone
	})
	t.Cleanup(func() { _ = p.master.Close() })
	return p
}

// Write implements io.Writer: it is what the terminal shows.
func (p *person) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown.Write(text)
}

func (p *person) seen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown.String()
}

func (p *person) press(keys string) {
	p.t.Helper()
	if _, err := io.WriteString(p.master, keys); err != nil {
		p.t.Fatal(err)
	}
}

// answer waits until a question is on the terminal and what is typed is hidden, and types.
func (p *person) answer(question, keys string) {
	p.t.Helper()
	storetest.Eventually(p.t, "asked for: "+question, func() bool {
		state, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
		return err == nil && state.Lflag&unix.ECHO == 0 && strings.HasSuffix(p.seen(), question)
	})
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
