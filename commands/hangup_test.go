//go:build unix

package commands

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"hakanai/store/storetest"
)

// hearing keeps the tests from handing on that these signals are ignored, as nohup has it, and returns them.
func hearing(t *testing.T) []os.Signal {
	signals := []os.Signal{syscall.SIGHUP, syscall.SIGQUIT}
	c := make(chan os.Signal, 1)
	signal.Notify(c, signals...)
	t.Cleanup(func() { signal.Stop(c) })
	return signals
}

func TestATerminalThatClosesEndsADownloadAndLeavesNothing(t *testing.T) {
	program, d := startForPeople(t)
	for _, s := range hearing(t) {
		line := startBadLine(t, d.url, never, 20*time.Millisecond)
		link := d.sent(program, strings.Repeat("x", 4<<20), "--filename", "large")[0]
		dir := t.TempDir()
		get := exec.Command(program, "get", strings.Replace(link, d.url, line.address, 1))
		get.Dir = dir
		var errs bytes.Buffer
		get.Stderr = &errs
		if err := get.Start(); err != nil {
			t.Fatal(err)
		}
		storetest.Eventually(t, "a part has arrived", func() bool { return line.passed.Load() > 100_000 })
		_ = get.Process.Signal(s)
		_ = get.Wait() // the status is looked at
		if status := get.ProcessState.ExitCode(); status != statusInterrupted || !strings.Contains(errs.String(), "hint: ask the sender to send it again") {
			t.Errorf("%v: %d %q", s, status, errs.String())
		}
		if left := listed(t, dir); len(left) != 0 {
			t.Errorf("%v: %q is left", s, left)
		}
	}
}

func TestATerminalThatClosesDoesNotEndWhatIsDoneWithTheSecret(t *testing.T) {
	data := t.TempDir()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	d := startServe(t, []string{"--data-dir", data, "--allow-anonymous"})
	defer func() { d.end(syscall.SIGTERM) }()
	signals := hearing(t)
	link := d.sent(program, noise)[0] // more than a pipe holds
	get := exec.Command(program, "get", link, "--to-stdout")
	var errs bytes.Buffer
	get.Stderr = &errs
	out, err := get.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := get.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(out, first); err != nil {
		t.Fatal(err)
	}
	for _, s := range signals {
		_ = get.Process.Signal(s)
	}
	rest, err := io.ReadAll(out)
	if err != nil || string(first)+string(rest) != noise {
		t.Errorf("%d bytes come (%v)", 1+len(rest), err)
	}
	if err := get.Wait(); err != nil || errs.Len() > 0 {
		t.Errorf("it ends with %v: %q", err, errs.String())
	}
	storetest.Eventually(t, "the server was told, and keeps nothing", func() bool { return len(blobFiles(t, data)) == 0 })
	if _, status := d.take(http.DefaultClient, strings.Split(strings.TrimPrefix(link, d.url+"/s/"), "#")[0]); status != http.StatusGone {
		t.Errorf("afterwards somebody else gets %d", status)
	}
}
