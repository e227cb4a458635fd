package commands

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hakanai/crypto"
)

// crawl is a server that takes and gives secrets slowly, a piece every while.
type crawl struct {
	every  time.Duration
	pieces int
	text   []byte // what it has
}

func (c *crawl) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
		for range c.pieces { // then nothing for a while, so that buffers on the way fill up
			time.Sleep(c.every)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"id":"00000000-0000-4000-8000-000000000000"}`)
	case strings.HasPrefix(r.URL.Path, "/api/v1/secret/"):
		w.Header().Set("Content-Length", strconv.Itoa(len(c.text)))
		for i := range c.pieces {
			piece := c.text[i*len(c.text)/c.pieces : (i+1)*len(c.text)/c.pieces]
			_, _ = w.Write(piece)
			w.(http.Flusher).Flush()
			time.Sleep(c.every)
		}
	default:
		http.NotFound(w, r)
	}
}

// startCrawl starts such a server, with a secret, and gives its address and the link to the secret.
func startCrawl(t *testing.T, every time.Duration, size int) (address, link string) {
	t.Helper()
	data := make([]byte, size)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	ciphertext, fragment, err := crypto.Seal(rand.Reader, crypto.Content{Data: data, Filename: "large"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&crawl{every: every, pieces: 30, text: []byte(base64.StdEncoding.EncodeToString(ciphertext))})
	t.Cleanup(server.Close)
	l, err := crypto.ParseLink(server.URL + "/s/00000000-0000-4000-8000-000000000000#" + fragment.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return server.URL, l.Encode()
}

// transfers are a send and a get.
func transfers(t *testing.T, every time.Duration, size int, flags ...string) map[string]*exec.Cmd {
	t.Helper()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	address, link := startCrawl(t, every, size)
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := map[string]*exec.Cmd{
		"sending":    exec.Command(program, append([]string{"send", "--server", address, "--file", file}, flags...)...),
		"retrieving": exec.Command(program, append([]string{"get", link}, flags...)...),
	}
	for _, cmd := range commands {
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "TERM=xterm")
	}
	return commands
}

const (
	slowly = 90 * time.Millisecond
	large  = 10 << 20
)

func TestALongTransferShowsHowFarItIs(t *testing.T) {
	for what, cmd := range transfers(t, slowly, large) {
		cmd.Stdin = bytes.NewReader(nil)
		seen := string(onTerminalError(t, cmd))
		if cmd.ProcessState.ExitCode() != 0 {
			t.Fatalf("%s: %q", what, seen)
		}
		for _, shown := range []string{what, "%", "MiB", "MiB/s"} {
			if !strings.Contains(seen, shown) {
				t.Errorf("%s: %q is not shown: %q", what, shown, seen)
			}
		}
		last := seen[strings.LastIndex(seen, what+" "):]
		if blank := "\r" + strings.Repeat(" ", 60); !strings.Contains(last, blank) {
			t.Errorf("%s: the bar is not taken away: %q", what, seen)
		}
	}
}

func TestNothingIsShownOfATransferThatIsQuickOrThatNobodyWatches(t *testing.T) {
	check := func(what, how, seen string, cmd *exec.Cmd) {
		if cmd.ProcessState.ExitCode() != 0 || strings.Contains(seen, "%") || strings.Contains(seen, "MiB") || strings.Contains(seen, "\r ") {
			t.Errorf("%s, %s: exit status %d, %q", what, how, cmd.ProcessState.ExitCode(), seen)
		}
	}
	for what, cmd := range transfers(t, 0, 100) {
		check(what, "quick", string(onTerminalError(t, cmd)), cmd)
	}
	for what, cmd := range transfers(t, slowly, large, "--quiet") {
		seen := string(onTerminalError(t, cmd))
		check(what, "quiet", seen, cmd)
		if seen != "" {
			t.Errorf("%s, quiet: %q", what, seen)
		}
	}
	for what, cmd := range transfers(t, slowly, large) {
		var errs bytes.Buffer
		cmd.Stderr = &errs
		_ = cmd.Run() // looked at below
		check(what, "piped", errs.String(), cmd)
	}
}
