//go:build unix

package browsertest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hakanai/crypto"
	"hakanai/httpapi/api"
	"hakanai/httpapi/client"
)

// buildProgram builds the real, static binary once, as it is shipped.
var buildProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "hakanai")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "hakanai")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("building: %w: %s", err, out)
	}
	return path, err
})

// program is a command of the real binary.
func program(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, args...)
}

// server is a real `hakanai serve`, on a free port of this machine.
type server struct {
	t     testing.TB
	url   string
	token string // of its first start
	flags []string
	cmd   *exec.Cmd
	ended chan struct{}
}

// open lets everybody share what is small enough for a test.
var open = []string{"--allow-anonymous", "--anonymous-size-limit", "10m"}

// serve starts a server with a place of its own for secrets, and waits until it listens.
func serve(t testing.TB, flags ...string) *server {
	t.Helper()
	s := &server{t: t, flags: append([]string{"--data-dir", t.TempDir()}, flags...)}
	s.start("0")
	t.Cleanup(func() { s.stop() })
	return s
}

var (
	addressLine = regexp.MustCompile(`"address":"(http://[^"]+)"`)
	tokenLine   = regexp.MustCompile(`^    ([A-Za-z0-9_-]{43})$`)
)

func (s *server) start(port string) {
	s.t.Helper()
	s.cmd = program(s.t, slices.Concat([]string{"serve", "--port", port}, s.flags)...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan struct{})
	lines := bufio.NewScanner(stderr)
	var log []string
	for lines.Scan() {
		log = append(log, lines.Text())
		if found := tokenLine.FindStringSubmatch(lines.Text()); found != nil {
			s.token = found[1]
		}
		if found := addressLine.FindStringSubmatch(lines.Text()); found != nil {
			s.url = found[1]
			go func(ended chan struct{}) {
				defer close(ended)
				_, _ = io.Copy(io.Discard, stderr)
			}(s.ended)
			return
		}
	}
	s.t.Fatalf("the server has not started:\n%s", strings.Join(log, "\n"))
}

// stop ends the server, if it runs.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.ended
	_ = s.cmd.Wait()
	s.cmd = nil
}

// startAgain starts a server that was stopped, with its secrets, at its old address.
func (s *server) startAgain() {
	s.t.Helper()
	address, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.start(address.Port())
}

// send sends a secret by the command line, and returns the link. A content of "" is that of files among the flags.
func (s *server) send(content string, flags ...string) string {
	s.t.Helper()
	return strings.TrimSpace(s.run(content, slices.Concat([]string{"send", "--server", s.url}, flags)...))
}

// get retrieves a secret by the command line.
func (s *server) get(link string, flags ...string) string {
	s.t.Helper()
	return s.run("", slices.Concat([]string{"get", link}, flags)...)
}

// run runs the command line, which must succeed, and returns what it prints.
func (s *server) run(input string, args ...string) string {
	s.t.Helper()
	cmd := program(s.t, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(input), &stderr
	cmd.Env = append(os.Environ(), "HAKANAI_TOKEN="+s.token)
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("hakanai %s: %v: %s", args[0], err, stderr.String())
	}
	return string(out)
}

// leave leaves a secret as no honest sender would: under any name, with any content, for as long as it likes.
func (s *server) leave(content crypto.Content, ttl time.Duration) string {
	s.t.Helper()
	sender, err := client.New(client.Options{Server: s.url, Token: s.token})
	if err != nil {
		s.t.Fatal(err)
	}
	ciphertext, fragment, err := crypto.Seal(rand.Reader, content)
	if err != nil {
		s.t.Fatal(err)
	}
	id, err := sender.Send(context.Background(), ciphertext, ttl, api.Restrictions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return crypto.Link{Server: s.url, ID: id, Fragment: &fragment}.Encode()
}
