//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// server is a process that is measured.
type server struct {
	name    string
	honest  bool // it gives back what it was given
	address string
	token   string
	command *exec.Cmd
	ended   chan struct{}
}

// programs are the files that are run: Hakanai, this program, and Valkey's server.
type programs struct {
	hakanai      []string // may be more than one word
	self, valkey string
}

// startFloor starts this program as a server that is a measure: floor, or disk with a directory.
func (p programs) startFloor(args ...string) (*server, error) {
	s := &server{name: args[0], token: "none"}
	address := make(chan string, 1)
	err := s.start(exec.Command(p.self, args...), func(line string) { address <- line }) //nolint:gosec,noctx // itself
	if err != nil {
		return nil, err
	}
	s.address, err = s.await(address)
	return s, err
}

// startHakanai starts hakanai serve on a store that flags name. Its log goes to a file: a server's log goes somewhere. Without
// a token the store is new, and the server prints one.
func (p programs) startHakanai(name, log, token string, flags ...string) (*server, error) {
	s := &server{name: name, honest: true, token: token}
	file, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // one of its own
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the process has it
	args := slices.Concat(p.hakanai, []string{"serve", "--port", "0"}, flags)
	command := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // what was built
	command.Stderr = file
	if err := s.start(command, nil); err != nil {
		return nil, err
	}
	listening, printed := regexp.MustCompile(`"address":"http://([^"]+)"`), regexp.MustCompile(`HAKANAI_TOKEN=(\S+)`)
	for range 10_000 {
		text, err := os.ReadFile(log) //nolint:gosec // as above
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
		if found := printed.FindSubmatch(text); found != nil {
			s.token = string(found[1])
		}
		if found := listening.FindSubmatch(text); found != nil && s.token != "" {
			s.address = string(found[1])
			return s, s.awaitReady()
		}
		select {
		case <-s.ended:
			return nil, fmt.Errorf("%s has ended: %s", name, text)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not listen", name), s.stop())
}

// awaitReady waits until the server's store is well.
func (s *server) awaitReady() error {
	c, err := dial(s.address)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // all was answered
	for range 4000 {
		if status, _, err := c.do([]byte("GET /ready HTTP/1.1\r\nHost: bench\r\n\r\n")); err != nil || status == 200 {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.Join(fmt.Errorf("%s is not ready", s.name), s.stop())
}

// startValkey starts Valkey, which writes to its disk before it answers.
func (p programs) startValkey(dir string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // finds a free port
	if err != nil {
		return nil, err
	}
	s := &server{name: "valkey-server", address: listener.Addr().String()}
	_, port, err := net.SplitHostPort(s.address)
	if err := errors.Join(err, listener.Close()); err != nil {
		return nil, err
	}
	ready := make(chan string, 1)
	err = s.start(exec.Command(p.valkey, //nolint:gosec,noctx // what is installed
		"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--auto-aof-rewrite-percentage", "0"), func(line string) {
		if strings.Contains(line, "eady to accept connections") {
			ready <- line
		}
	})
	if err != nil {
		return nil, err
	}
	_, err = s.await(ready)
	return s, err
}

// start starts the process, which ends with this one. What it prints goes to line, a line at a time.
func (s *server) start(command *exec.Cmd, line func(string)) error {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.command, s.ended = command, make(chan struct{})
	var lines io.Reader = strings.NewReader("")
	if line != nil {
		pipe, err := command.StdoutPipe()
		if err != nil {
			return err
		}
		lines = pipe
	}
	if err := command.Start(); err != nil {
		return err
	}
	go func() {
		for scanner := bufio.NewScanner(lines); scanner.Scan(); {
			line(scanner.Text())
		}
		_ = command.Wait() // how a server ends that is told to is of no interest
		close(s.ended)
	}()
	return nil
}

func (s *server) await(line <-chan string) (string, error) {
	select {
	case text := <-line:
		return text, nil
	case <-s.ended:
		return "", fmt.Errorf("%s has ended", s.name)
	case <-time.After(20 * time.Second):
		return "", errors.Join(fmt.Errorf("%s does not listen", s.name), s.stop())
	}
}

func (s *server) stop() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(40 * time.Second):
		return errors.Join(fmt.Errorf("%s does not end", s.name), s.command.Process.Kill())
	}
}

// cpu is the time, user and system, that the process has had so far.
func (s *server) cpu() (time.Duration, error) {
	// The clock of a process: see clock_getcpuclockid(3).
	const perProcess = 2
	var t unix.Timespec
	err := unix.ClockGettime(int32(^s.command.Process.Pid<<3|perProcess), &t)
	return time.Duration(t.Nano()), err
}

// memory reads a line of the process' status: VmRSS is what it has, VmHWM the most it has had, in MiB.
func (s *server) memory(line string) (mebibytes float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(line + `:\s*(\d+) kB`).FindSubmatch(status)
	if found == nil {
		return 0, fmt.Errorf("there is no %s", line)
	}
	kibibytes, err := strconv.Atoi(string(found[1]))
	return float64(kibibytes) / 1024, err
}

// build builds Hakanai as task build does.
func build(dir string) (p programs, err error) {
	path := filepath.Join(dir, "hakanai")
	p.hakanai = []string{path}
	command := exec.CommandContext(context.Background(), //nolint:gosec // a path of its own
		"go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "hakanai")
	command.Env, command.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	if err := command.Run(); err != nil {
		return p, fmt.Errorf("building hakanai: %w", err)
	}
	if p.self, err = os.Executable(); err != nil {
		return p, err
	}
	for _, name := range []string{"valkey-server", "redis-server"} {
		if p.valkey, err = exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return p, errors.New("valkey-server is missing: tools/need-valkey installs it")
}
