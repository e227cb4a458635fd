package commands

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hakanai/crypto"
	"hakanai/store/storetest"
)

// A secret can be retrieved once. These tests take away, one after another, the places where it could go.

// fetch runs get behind a prefix of other commands, with a directory for temporary files and for what is the user's own.
func (d *daemon) fetch(program string, prefix []string, temporary string, args ...string) (stdout, stderr string, status int) {
	d.t.Helper()
	words := slices.Concat(prefix, []string{program, "get"}, args)
	get := exec.Command(words[0], words[1:]...)
	get.Env = append(os.Environ(), "TMPDIR="+temporary, "HOME="+temporary)
	get.Dir = temporary
	var out, errs bytes.Buffer
	get.Stdout, get.Stderr = &out, &errs
	_ = get.Run() // the status is looked at
	return out.String(), errs.String(), get.ProcessState.ExitCode()
}

func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

var noise = strings.Repeat("0123456789abcde\x00", 20_000)

func TestADirectoryThatIsFullOrReadOnlyIsFoundBeforeTheSecretIsRetrieved(t *testing.T) {
	program, d := startForPeople(t)
	link := d.sent(program, noise, "--filename", "large")[0]
	dir, temporary := t.TempDir(), t.TempDir()
	fill := append(onSmallDisk(dir, "64k"), "sh", "-c", `cat /dev/zero >"$0/fill" 2>/dev/null; exec "$@"`, dir)
	for name, prefix := range map[string][]string{"full": fill, "read-only": onSmallDisk(dir, "1m,ro")} {
		out, errs, status := d.fetch(program, prefix, temporary, link, "-o", dir)
		if status != statusFailed || out != "" || !strings.Contains(errs, "a file could not be saved") || !strings.Contains(errs, "the secret has not been retrieved") {
			t.Errorf("%s: %d %q %q", name, status, out, errs)
		}
	}
	if out, errs, status := d.fetch(program, nil, temporary, link, "--to-stdout"); status != 0 || out != noise {
		t.Errorf("afterwards: %d, %d bytes, %q", status, len(out), errs)
	}
}

func TestWhatDoesNotFitIsSavedElsewhereAndTheErrorSaysWhere(t *testing.T) {
	program, d := startForPeople(t)
	dir, temporary := t.TempDir(), t.TempDir()
	archive := filepath.Join(t.TempDir(), "archive.zip")
	if err := os.WriteFile(archive, zipOf(t, "zeros", strings.Repeat("\x00", 900_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		link, want string
		args       []string
	}{
		"a file":              {d.sent(program, noise, "--filename", "../large")[0], noise, nil},
		"a text under a name": {d.sent(program, noise)[0], noise, []string{"--filename", "mine"}},
	} {
		t.Run(name, func(t *testing.T) {
			look := append(onSmallDisk(dir, "128k"), "sh", "-c", `"$@"; status=$?; ls -A "$0"; exit $status`, dir)
			out, errs, status := d.fetch(program, look, temporary, append(test.args, test.link, "-o", dir)...)
			where := regexp.MustCompile(`the secret is not lost: it is in (\S+)\n`).FindStringSubmatch(errs)
			if status != statusFailed || where == nil || filepath.Dir(where[1]) != temporary || !strings.Contains(errs, "no space left") {
				t.Fatalf("%d %q", status, errs)
			}
			saved, err := os.ReadFile(where[1])
			if err != nil || string(saved) != test.want {
				t.Errorf("there are %d bytes (%v)", len(saved), err)
			}
			if out != "" {
				t.Errorf("in the full directory there is %q", out)
			}
		})
	}
	t.Run("an archive that does not fit unpacked", func(t *testing.T) {
		link := d.sent(program, "", "--file", archive)[0]
		look := append(onSmallDisk(dir, "128k"), "sh", "-c", `"$@"; status=$?; ls -A "$0"; exit $status`, dir)
		out, errs, status := d.fetch(program, look, temporary, link, "--extract", "-o", dir)
		if status != statusFailed || out != "archive.zip\n" || !strings.Contains(errs, "the archive itself is in "+dir+"/archive.zip") {
			t.Errorf("%d %q %q", status, out, errs)
		}
	})
}

func TestWhereNothingCanBeSavedTheSecretIsPrinted(t *testing.T) {
	program, d := startForPeople(t)
	link := d.sent(program, noise, "--filename", "large")[0]
	dir := t.TempDir()
	inside := append(onSmallDisk(dir, "128k"), "sh", "-c", `cd "$0" && exec "$@"`, dir)
	out, errs, status := d.fetch(program, inside, dir, link, "-o", dir)
	if status != statusFailed || out != noise || !strings.Contains(errs, "the secret is not lost: it went to standard output") {
		t.Errorf("%d, %d bytes, %q", status, len(out), errs)
	}
}

func TestWhatCannotBePrintedIsSaved(t *testing.T) {
	program, d := startForPeople(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	r, broken, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer broken.Close()
	for name, out := range map[string]*os.File{"full": full, "broken": broken} {
		for _, flag := range []string{"--quiet", "--json"} {
			temporary := t.TempDir()
			get := exec.Command(program, "get", flag, d.sent(program, "for you")[0])
			get.Env = append(os.Environ(), "TMPDIR="+temporary)
			get.Stdout = out
			var errs bytes.Buffer
			get.Stderr = &errs
			_ = get.Run() // the status is looked at
			saved, err := os.ReadFile(filepath.Join(temporary, "secret"))
			if err != nil || string(saved) != "for you" || get.ProcessState.ExitCode() != statusFailed ||
				!strings.Contains(errs.String(), "the secret is not lost: it is in "+temporary) {
				t.Errorf("%s, %s: %d, saved %q (%v): %q", name, flag, get.ProcessState.ExitCode(), saved, err, errs.String())
			}
		}
	}
}

// silent is a server that takes a request and says nothing, or begins to answer and goes no further.
func silent(t *testing.T, answer string) (address string, asked <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	came := make(chan struct{}, 10)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				request := make([]byte, 4<<10)
				n, _ := connection.Read(request)
				if bytes.Contains(request[:n], []byte("config.json")) {
					_, _ = connection.Write([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
					_ = connection.Close()
					return
				}
				_, _ = connection.Write([]byte(answer))
				came <- struct{}{}
			}()
		}
	}()
	return "http://" + listener.Addr().String(), came
}

func TestAnInterruptEndsWhatWaitsAndSaysWhatMayHaveHappened(t *testing.T) {
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	fragment := crypto.Fragment{}.Encode()
	for name, test := range map[string]struct {
		answer, command, want string
	}{
		"get, before an answer": {"", "get", "hint: the secret may or may not be there still"},
		"get, in the middle":    {"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\nQUJD", "get", "hint: ask the sender to send it again"},
		"send":                  {"", "send", "hint: nothing was sent, or nobody has the link to it"},
	} {
		for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			t.Run(name, func(t *testing.T) {
				address, asked := silent(t, test.answer)
				cmd := exec.Command(program, "get", address+"/s/00000000-0000-4000-8000-000000000000#"+fragment)
				if test.command == "send" {
					cmd = exec.Command(program, "send", "--server", address)
					cmd.Stdin = strings.NewReader("secret")
				}
				cmd.Dir = t.TempDir()
				var errs bytes.Buffer
				cmd.Stderr = &errs
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				<-asked
				time.Sleep(50 * time.Millisecond) // what has been answered arrives
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait() // the status is looked at
				if cmd.ProcessState.ExitCode() != statusInterrupted || !strings.Contains(errs.String(), test.want) {
					t.Errorf("%d %q", cmd.ProcessState.ExitCode(), errs.String())
				}
				if left := listed(t, cmd.Dir); len(left) > 0 {
					t.Errorf("%q is left", left)
				}
			})
		}
	}
}

func TestAnInterruptDoesNotKeepARetrievedSecretFromItsCommand(t *testing.T) {
	program, d := startForPeople(t)
	ready := filepath.Join(t.TempDir(), "ready")
	get := d.client(program, "get", d.sent(program, "for you")[0], "--exec", "--",
		"sh", "-c", `touch "$0"; while [ -e "$0" ]; do sleep 0.05; done; cat`, ready)
	var out bytes.Buffer
	get.Stdout = &out
	if err := get.Start(); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the command runs", func() bool {
		_, err := os.Stat(ready)
		return err == nil
	})
	for range 3 {
		if err := get.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(ready); err != nil {
		t.Fatal(err)
	}
	if err := get.Wait(); err != nil || out.String() != "for you" {
		t.Errorf("the command had %q (%v)", out.String(), err)
	}
}
