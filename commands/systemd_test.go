//go:build unix

package commands

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notifySocket is where systemd would listen. It is told through the environment.
func notifySocket(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return socket
}

func hear(t *testing.T, socket *net.UnixConn) string {
	t.Helper()
	buffer := make([]byte, 1000)
	if err := socket.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := socket.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func TestSystemdIsToldOfReadinessAndOfTheStop(t *testing.T) {
	for name, path := range map[string]string{"a file": filepath.Join(t.TempDir(), "notify"), "an abstract one": "@hakanai-test-" + filepath.Base(t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			socket := notifySocket(t, path)
			d := startDaemon(t, t.TempDir())
			if got := hear(t, socket); got != "READY=1" {
				t.Errorf("it says %q", got)
			}
			if a := d.ask(http.MethodGet, "/ready", ""); a.status != http.StatusOK {
				t.Errorf("and it is not: %d", a.status)
			}
			if status := d.end(syscall.SIGTERM); status != 0 {
				t.Errorf("it ended with %d", status)
			}
			if got := hear(t, socket); got != "STOPPING=1" {
				t.Errorf("then it says %q", got)
			}
		})
	}
}

func TestWhatDoesNotStartIsNotReady(t *testing.T) {
	socket := notifySocket(t, filepath.Join(t.TempDir(), "notify"))
	dir := t.TempDir()
	d := startDaemon(t, dir)
	if got := hear(t, socket); got != "READY=1" {
		t.Errorf("it says %q", got)
	}
	if out, err := exec.Command(d.cmd.Path, "serve", "--port", "0", "--data-dir", dir).CombinedOutput(); err == nil { // it is in use
		t.Errorf("the other one ended well:\n%s", out)
	}
	d.end(syscall.SIGTERM)
	if got := hear(t, socket); got != "STOPPING=1" {
		t.Errorf("the next word is %q", got)
	}
}

func TestASystemdThatDoesNotListenIsNoHindrance(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	d := startDaemon(t, t.TempDir())
	if a := d.ask(http.MethodGet, "/ready", ""); a.status != http.StatusOK {
		t.Errorf("it is not ready: %d", a.status)
	}
	if status := d.end(syscall.SIGTERM); status != 0 || len(d.logged("systemd is not told")) != 2 {
		t.Errorf("it ended with %d, and says:\n%s", status, strings.Join(d.logged(""), "\n"))
	}
}

// onSockets is the program started as systemd does that has opened sockets for it: they are its descriptors from 3 on.
func onSockets(t *testing.T, flags []string, addresses ...string) *exec.Cmd {
	t.Helper()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	script := []string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh", program, "serve", "--data-dir", t.TempDir()}
	cmd := exec.Command("sh", append(script, flags...)...)
	cmd.Env = append(os.Environ(), "LISTEN_FDS="+strconv.Itoa(len(addresses)))
	for _, address := range addresses {
		network := "tcp"
		if strings.HasPrefix(address, "/") {
			network = "unix"
		}
		listener, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		file, err := listener.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		t.Cleanup(func() { file.Close() })
		t.Cleanup(func() { listener.Close() })
	}
	return cmd
}

func TestASocketOfSystemdIsUsed(t *testing.T) {
	cmd := onSockets(t, []string{"--listen", "192.0.2.1", "--port", "1"}, "127.0.0.1:0") // the flags would fail
	d := start(t, cmd)
	if a := d.ask(http.MethodGet, "/ready", ""); a.status != http.StatusOK {
		t.Errorf("it answers %d", a.status)
	}
	address, err := net.FileListener(cmd.ExtraFiles[0])
	if err != nil {
		t.Fatal(err)
	}
	defer address.Close()
	if d.url != "http://"+address.Addr().String() {
		t.Errorf("it listens at %s", d.url)
	}
	if status := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("it ended with %d", status)
	}
}

func TestSocketsOfSystemdThatAreNotOneAreRefused(t *testing.T) {
	for name, addresses := range map[string][]string{
		"two": {"127.0.0.1:0", "127.0.0.1:0"}, "one of a file": {filepath.Join(t.TempDir(), "socket")},
	} {
		out, err := onSockets(t, nil, addresses...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != statusUsage || !strings.Contains(string(out), "systemd must give one socket") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
