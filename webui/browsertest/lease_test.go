//go:build unix

package browsertest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"hakanai/httpapi/api"
)

// line is the way to a server. It can break: Chromium's own tools keep requests from starting, but let those that have
// started come to their end.
type line struct {
	t         testing.TB
	server    string
	bytes     int64 // that come over one connection, before it gets stuck
	mu        sync.Mutex
	connected []net.Conn
}

// line makes all who go to the server go by a line.
func (s *server) line(bytes int64) *line {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	l := &line{t: s.t, server: strings.TrimPrefix(s.url, "http://"), bytes: bytes}
	s.url = "http://" + listener.Addr().String()
	s.t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
	})
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			l.connect(near)
		}
	}()
	return l
}

func (l *line) connect(near net.Conn) {
	far, err := net.Dial("tcp", l.server)
	if err != nil {
		_ = near.Close()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connected = append(l.connected, near, far)
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	go func() {
		if n, _ := io.CopyN(near, far, l.bytes); n < l.bytes {
			_ = near.Close()
		}
	}()
}

// cut ends all connections.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, connection := range l.connected {
		_ = connection.Close()
	}
	l.connected = nil
}

// arrived is how much of a secret the page says that it has, in percent.
const arrived = `parseInt(document.querySelector("#progress .percent")?.textContent ?? "0")`

func TestALineThatBreaksInTheMiddleLosesNothing(t *testing.T) {
	t.Parallel()
	content := bytesOf(8 << 20)
	large := file(t, "large.bin", content)
	for _, language := range []struct{ tag, broke string }{
		{"en", "The connection broke"},
		{"de", "Die Verbindung ist abgebrochen"},
	} {
		s := serve(t, open...)
		line := s.line(6_100_000) // of 14,990,000: a file in base64, encrypted, in base64
		link := s.send("", "--file", large)
		if held := s.held(); held < 8<<20 {
			t.Errorf("the server holds %d bytes", held)
		}
		b := newTab(s)
		b.speak(language.tag)
		saved, claims := b.download(), b.claims()
		b.expect("ERR_INTERNET_DISCONNECTED")
		b.expect("ERR_CONTENT_LENGTH_MISMATCH|ERR_CONNECTION_(RESET|CLOSED)")
		b.reveal(link)
		for _, part := range []int{40, 80} {
			b.await("a part of it", fmt.Sprintf("%s >= %d", arrived, part))
			b.offline(true)
			line.cut()
			b.wantText(`#progress [role="status"]`, language.broke)
			time.Sleep(time.Second) // some attempts
			if got := eval[int](b, arrived); got < part || got > part+3 {
				t.Errorf("while the line is broken, the page says %d %%, and %d %% before it", got, part)
			}
			b.offline(false)
		}
		b.wantText("#file-name", "large.bin")
		b.press("#save")
		saved.want("large.bin", content)

		b.wantNoLease()
		values, ranges := claims()
		if len(values) != 1 || ranges < 2 {
			t.Errorf("there were %d values, and %d requests for the rest", len(values), ranges)
		}
		for _, value := range append(values, "") {
			if status := s.ask(link, value); status != http.StatusGone {
				t.Errorf("whoever asks now, with the value %q, gets %d", value, status)
			}
		}
	}
}

func TestAnAnswerThatIsLostIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	b.beforeAll(`const ask = fetch; let lost = false;
		globalThis.fetch = (path, init) => ask(path, init).then((answer) => {
			if (lost || !path.startsWith("/api/")) return answer;
			lost = true;
			throw new TypeError("lost");
		})`)
	b.reveal(s.send("still mine"))
	b.wantSecret("still mine")
	b.wantNoLease()
	if n := b.requested("GET /api/v1/secret/"); n != 2 {
		t.Errorf("the server was asked %d times", n)
	}
}

// claims notes the values by which the page is known, and counts the requests for a rest.
func (b *tab) claims() func() (values []string, ranges int) {
	b.t.Helper()
	var mu sync.Mutex
	seen := make(map[string]bool)
	var ranges int
	b.do(func() error {
		return chromedp.Listen(b.ctx, func(event any) {
			asked, is := event.(*network.EventRequestWillBeSent)
			if !is || !strings.Contains(asked.Request.URL, api.SecretPath) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for name, value := range asked.Request.Headers {
				switch {
				case strings.EqualFold(name, api.ClaimHeader):
					seen[value.(string)] = true
				case strings.EqualFold(name, "Range"):
					ranges++
				}
			}
		})
	})
	return func() (values []string, count int) {
		mu.Lock()
		defer mu.Unlock()
		for value := range seen {
			values = append(values, value)
		}
		return values, ranges
	}
}

// ask asks for a secret, as a program does, and returns the status.
func (s *server) ask(link, claim string) int {
	s.t.Helper()
	_, id, _ := strings.Cut(link, "/s/")
	id, _, _ = strings.Cut(id, "#")
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.url+api.SecretPath+"/"+id, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if claim != "" {
		r.Header.Set(api.ClaimHeader, claim)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// held is how many bytes the files of ciphertext have: those that nobody needs are emptied some seconds later.
func (s *server) held() (bytes int64) {
	s.t.Helper()
	err := filepath.WalkDir(s.flags[1], func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && filepath.Base(filepath.Dir(path)) == "secrets" {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return bytes
}

// wantNoLease checks that the page ends the lease, and that the server keeps no secret then.
func (b *tab) wantNoLease() {
	b.t.Helper()
	b.until("the secret's end on the server", func() bool { return b.server.held() == 0 })
	if n := b.requested("DELETE /api/v1/secret/"); n != 1 {
		b.t.Errorf("the lease is ended %d times", n)
	}
}
