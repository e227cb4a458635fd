package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
)

// silence is long enough for a busy machine to make progress within, and short enough to wait for.
const silence = time.Second

func newClient(t testing.TB, server string) *Client {
	t.Helper()
	c, err := New(Options{Server: server, Version: "1.2.3", Token: "canary-token", SilenceTimeout: silence})
	if err != nil {
		t.Fatal(err)
	}
	c.askTime = 2 * silence
	return c
}

// serve answers every request with a handler.
func serve(t testing.TB, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClient(t, server.URL)
}

// serveRaw answers every request, once its head has been read, with bytes, and closes the connection. It counts.
func serveRaw(t testing.TB, answer func(net.Conn)) (*Client, *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	requests := new(atomic.Int32)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var head []byte
				for !bytes.Contains(head, []byte("\r\n\r\n")) {
					b := make([]byte, 4096)
					n, err := conn.Read(b)
					if err != nil {
						return
					}
					head = append(head, b[:n]...)
				}
				requests.Add(1)
				answer(conn)
			}()
		}
	}()
	return newClient(t, "http://"+listener.Addr().String()), requests
}

func TestServerAddresses(t *testing.T) {
	for _, good := range []string{"http://localhost:8080", "https://example.com", "https://example.com/", "HTTPS://example.com", "http://[::1]:80"} {
		if _, err := New(Options{Server: good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "example.com", "localhost:8080", "ftp://example.com", "http://", "https:///s", "https://user:canary@example.com",
		"https://example.com/path", "https://example.com/?q", "https://example.com?", "https://example.com/#f", "https://exa mple.com",
	} {
		if _, err := New(Options{Server: bad}); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q gives %v", bad, err)
		}
	}
}

func TestSendSaysWhatTheProtocolSays(t *testing.T) {
	id := uuid.New()
	for _, size := range []int{1, 2, 3, 48 << 10, 48<<10 + 1, 200_000} {
		ciphertext := bytes.Repeat([]byte{0xfe}, size)
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			want := `{"data":"` + base64.StdEncoding.EncodeToString(ciphertext) + `","expires_in":90}`
			if err != nil || string(body) != want || r.ContentLength != int64(len(want)) {
				t.Errorf("a body of %d bytes came, declared %d (%v)", len(body), r.ContentLength, err)
			}
			if r.Method != http.MethodPost || r.URL.Path != api.SecretPath || r.UserAgent() != "hakanai-cli/1.2.3" ||
				r.Header.Get("Authorization") != "Bearer canary-token" || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s with %v", r.Method, r.URL, r.Header)
			}
			_, _ = fmt.Fprintf(w, `{"id":%q}`, id)
		})
		if got, err := c.Send(t.Context(), ciphertext, 90*time.Second+time.Millisecond, api.Restrictions{}); err != nil || got != id {
			t.Errorf("%d bytes: %v, %v", size, got, err)
		}
	}
}

func TestWithoutATokenThereIsNoHeader(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header["Authorization"] != nil {
			t.Error("there is one")
		}
		_, _ = fmt.Fprintf(w, `{"id":%q}`, uuid.New())
	})
	c.token = ""
	if _, err := c.Send(t.Context(), []byte("x"), time.Second, api.Restrictions{}); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeSentIsNot(t *testing.T) {
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("there was a request") })
	if _, err := c.Send(t.Context(), []byte("x"), time.Second-1, api.Restrictions{}); err == nil {
		t.Error("a life under a second was sent")
	}
	if _, err := c.Send(t.Context(), nil, time.Second, api.Restrictions{}); err == nil {
		t.Error("nothing was sent")
	}
}

func TestAnswersWithoutAnIDAreErrors(t *testing.T) {
	for _, answer := range []string{
		``, `x`, `{}`, `{"id":""}`, `{"id":1}`, `{"id":"x"}`, `{"id":"{0f8fad5b-d9cb-469f-a165-70867728950e}"}`,
		`{"id":"0f8fad5bd9cb469fa16570867728950e"}`, `{"id":"urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e"}`,
		`{"id":"0f8fad5b-d9cb-469f-a165-7086772895zz"}`, strings.Repeat(" ", 1<<20) + `{"id":"0f8fad5b-d9cb-469f-a165-70867728950e"}`,
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
		if id, err := c.Send(t.Context(), []byte("x"), time.Second, api.Restrictions{}); err == nil {
			t.Errorf("%.60q gives %v", answer, id)
		}
	}
}

func TestEachStatusHasItsError(t *testing.T) {
	for status, want := range map[int]error{
		400: ErrBadRequest, 401: ErrUnauthorized, 403: ErrForbidden, 404: ErrNotFound, 410: ErrGone, 413: ErrTooLarge,
		429: ErrTooManyRequests, 501: ErrUnsupported, 503: ErrUnavailable, 507: ErrStoreFull, 418: nil, 500: nil, 204: nil,
	} {
		for _, asJSON := range []bool{false, true} {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(status)
				if asJSON {
					_, _ = io.WriteString(w, `{"error":"own words"}`)
				} else {
					_, _ = io.WriteString(w, "own words\n")
				}
			})
			_, sendErr := c.Send(t.Context(), []byte("x"), time.Second, api.Restrictions{})
			_, getErr := c.Get(t.Context(), uuid.New(), "")
			for _, err := range []error{sendErr, getErr} {
				var e *StatusError
				if !errors.As(err, &e) || e.Status != status || e.RetryAfter != 7*time.Second || status != 204 && e.Message != "own words" {
					t.Errorf("%d gives %v", status, err)
				}
				if want != nil && !errors.Is(err, want) {
					t.Errorf("%d is not %v", status, want)
				}
				if errors.Is(err, ErrGone) != (status == http.StatusGone) {
					t.Errorf("%d is ErrGone", status)
				}
			}
		}
	}
}

func TestAServersWordsAreHarmless(t *testing.T) {
	for body, want := range map[string]string{
		"plain\n":                         "plain",
		"two\nlines\tand  spaces":         "two lines and spaces",
		"\x1b]0;title\x07\x1b[2J":         "?]0;title??[2J",
		"\u202egnp.exe\u200b":             "?gnp.exe?",
		"\xff\xfe":                        "??",
		`{"error":"\u001b[31mred\r\n"}`:   "?[31mred",
		"<html><body>proxy</body></html>": "",
		`{"other":1}`:                     "",
		"":                                "",
		strings.Repeat("x", 1<<20):        strings.Repeat("x", maxMessage-1),
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, body)
		})
		_, err := c.Get(t.Context(), uuid.New(), "")
		var e *StatusError
		if !errors.As(err, &e) || e.Message != want {
			t.Errorf("%.40q is passed on as %.40q", body, e.Message)
		}
	}
}

func TestARefusalWhileUploadingIsTheRefusal(t *testing.T) {
	ciphertext := make([]byte, 32<<20)
	for status, want := range map[int]error{401: ErrUnauthorized, 413: ErrTooLarge} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if _, err := c.Send(t.Context(), ciphertext, time.Minute, api.Restrictions{}); !errors.Is(err, want) {
			t.Errorf("%d gives %v", status, err)
		}
	}
}

func TestSendingCopiesNoCiphertext(t *testing.T) {
	ciphertext := make([]byte, 32<<20)
	c, _ := serveRaw(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		b := make([]byte, 64<<10)
		for n := 0; n < len(ciphertext)/3*4; {
			m, err := conn.Read(b)
			if err != nil {
				return
			}
			n += m
		}
		body := fmt.Sprintf(`{"id":%q}`, uuid.New())
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		_, _ = io.Copy(io.Discard, conn)
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := c.Send(t.Context(), ciphertext, time.Minute, api.Restrictions{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
		t.Errorf("sending 32 MiB allocates %d bytes", n)
	}
}

const text = "QUJDREVGR0g=" // ABCDEFGH

func TestGetUnderstandsEveryKindOfAnswer(t *testing.T) {
	for name, answer := range map[string]string{
		"with a length":           "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + text,
		"in chunks":               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nQUJDR\r\n7\r\nEVGR0g=\r\n0\r\n\r\n",
		"without a length":        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + text,
		"of HTTP/1.0":             "HTTP/1.0 200 OK\r\n\r\n" + text,
		"with a line end":         "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + text + "\n",
		"after an early response": "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + text,
	} {
		c, requests := serveRaw(t, func(conn net.Conn) { _, _ = io.WriteString(conn, answer) })
		got, err := c.Get(t.Context(), uuid.New(), "")
		if err != nil || string(got.Ciphertext) != "ABCDEFGH" || requests.Load() != 1 {
			t.Errorf("%s: %v, %v, after %d requests", name, got, err, requests.Load())
		}
	}
}

func TestAnAnswerIsDecodedWhereItStaysAndIsNotBelievedPastABound(t *testing.T) {
	want := bytes.Repeat([]byte("ABCDEF"), 100_000)
	body := base64.StdEncoding.EncodeToString(want)
	for name, row := range map[string]struct {
		answer  string
		buffers int
		largest int
	}{
		"a length":    {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body), 1, 64<<10 + len(want)},
		"no length":   {"Connection: close\r\n\r\n" + body, 6, 8 * len(want)},
		"a false one": {"Content-Length: 1152921504606846976\r\n\r\n" + body, 1, maxBelieved + 64<<10},
	} {
		c, _ := serveRaw(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+row.answer) })
		buffers, largest := 0, 0
		c.memory = func(capacity int) []byte {
			buffers, largest = buffers+1, max(largest, capacity)
			return make([]byte, 0, capacity)
		}
		got, err := c.Get(t.Context(), uuid.New(), "")
		if name != "a false one" && (err != nil || !bytes.Equal(got.Ciphertext, want)) {
			t.Errorf("%s: %v", name, err)
		}
		if buffers > row.buffers || largest > row.largest {
			t.Errorf("%s: %d buffers, the largest of %d bytes, want %d and %d at most", name, buffers, largest, row.buffers, row.largest)
		}
	}
}

func TestGetSaysWhenTheSecretIsLost(t *testing.T) {
	for answer, want := range map[string]error{
		"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + text:                       ErrInterrupted,
		"HTTP/1.1 200 OK\r\nContent-Length: 1152921504606846976\r\n\r\n" + text[:8]:  ErrInterrupted,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nQUJDREVG\r\n":     ErrInterrupted,
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + text[:7]:                    ErrInterrupted,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":                               ErrInterrupted,
		"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n<html></html":                  ErrMalformed,
		"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nQUJDREVGR0h=":                  ErrMalformed, // bits that stand for nothing
		"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nQUJD_-VGR0g=":                  ErrMalformed,
		"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + text + "QUJD":              ErrMalformed,
		"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + strings.Repeat("QUJD", 10): ErrTooLong,
	} {
		c, requests := serveRaw(t, func(conn net.Conn) { _, _ = io.WriteString(conn, answer) })
		c.maxCiphertext = 20
		if got, err := c.Get(t.Context(), uuid.New(), ""); !errors.Is(err, want) || got != nil || requests.Load() != 1 {
			t.Errorf("%v gives %v and %v, want %v", answer, got, err, want)
		}
	}
}

func TestAnEndlessAnswerEnds(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for b := bytes.Repeat([]byte("QUJD"), 1000); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	})
	c.maxCiphertext = 1 << 20
	if _, err := c.Get(t.Context(), uuid.New(), ""); !errors.Is(err, ErrTooLong) {
		t.Errorf("it gives %v", err)
	}
}

func TestAGetIsNeverRepeatedOnAServerWithoutLeases(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var requests atomic.Int32
	var breaking atomic.Bool
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { // answers as long as it is asked on one connection, until it is to break
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					request, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if request.URL.Path == api.ConfigPath { // it knows no leases
						_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
						continue
					}
					requests.Add(1)
					if breaking.Load() {
						return
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"+text)
				}
			}()
		}
	}()
	c := newClient(t, "http://"+listener.Addr().String())
	// First the control: on connections that were used before, Go's transport does repeat.
	plain := new(http.Client)
	get := func() (err error) {
		response, err := plain.Get("http://" + listener.Addr().String())
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	breaking.Store(true)
	before := requests.Load()
	if err := get(); err == nil || requests.Load()-before < 2 {
		t.Fatalf("the control made %d requests (%v)", requests.Load()-before, err)
	}
	for range 5 {
		breaking.Store(false)
		if _, err := c.Get(t.Context(), uuid.New(), ""); err != nil {
			t.Fatal(err)
		}
		breaking.Store(true)
		before := requests.Load()
		if _, err := c.Get(t.Context(), uuid.New(), ""); err == nil {
			t.Error("it succeeded")
		}
		if n := requests.Load() - before; n != 1 {
			t.Errorf("one Get asked %d times for the secret", n)
		}
	}
}

func TestSlownessIsPatientlyBorneAndSilenceIsNot(t *testing.T) {
	id := uuid.New()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for _, b := range []byte(strings.Repeat("QUJD", 8)) { // three times as long as the silence that is borne
			_, _ = w.Write([]byte{b})
			_ = http.NewResponseController(w).Flush()
			time.Sleep(silence / 10)
		}
	})
	if got, err := c.Get(t.Context(), id, ""); err != nil || string(got.Ciphertext) != strings.Repeat("ABC", 8) {
		t.Errorf("a slow answer gives %v, %v", got, err)
	}
	quiet := make(chan struct{})
	defer close(quiet)
	c, _ = serveRaw(t, func(net.Conn) { <-quiet })
	if _, err := c.Get(t.Context(), id, ""); !errors.Is(err, ErrSilence) {
		t.Errorf("silence gives %v", err)
	}
	if _, err := c.Send(t.Context(), []byte("x"), time.Minute, api.Restrictions{}); !errors.Is(err, ErrSilence) {
		t.Errorf("silence gives %v", err)
	}
	c, _ = serveRaw(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nQUJD")
		<-quiet
	})
	if _, err := c.Get(t.Context(), id, ""); !errors.Is(err, ErrSilence) || !errors.Is(err, ErrInterrupted) {
		t.Errorf("silence in the middle gives %v", err)
	}
}

func TestACallersContextCounts(t *testing.T) {
	quiet := make(chan struct{})
	defer close(quiet)
	c, _ := serveRaw(t, func(net.Conn) { <-quiet })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(silence/10, cancel)
	if _, err := c.Get(ctx, uuid.New(), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("it gives %v", err)
	}
}

func TestRedirectsStayOnTheServer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another server was asked: %s %s with %v", r.Method, r.URL, r.Header)
	}))
	defer other.Close()
	for _, target := range []string{other.URL + "/x", "https://" + strings.TrimPrefix(other.URL, "http://"), "http://\u202e.example/"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", target)
				w.WriteHeader(status)
			})
			var redirect *RedirectError
			if _, err := c.Get(t.Context(), uuid.New(), ""); !errors.As(err, &redirect) || strings.Contains(err.Error(), "\u202e") {
				t.Errorf("%d to %q gives %v", status, target, err)
			}
			if _, err := c.Send(t.Context(), []byte("x"), time.Minute, api.Restrictions{}); err == nil {
				t.Errorf("%d to %q was followed by a POST", status, target)
			}
		}
	}
	followed := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/new" {
			http.Redirect(w, r, "/new", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, text)
	})
	if got, err := followed.Get(t.Context(), uuid.New(), ""); err != nil || string(got.Ciphertext) != "ABCDEFGH" {
		t.Errorf("on the same server: %v, %v", got, err)
	}
	loop := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) })
	if _, err := loop.Get(t.Context(), uuid.New(), ""); err == nil {
		t.Error("a loop ends without an error")
	}
}

func TestErrorsGiveNothingAway(t *testing.T) {
	id := uuid.New()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	broken, _ := serveRaw(t, func(net.Conn) {})
	for _, c := range []*Client{newClient(t, "http://"+nobody.Addr().String()), broken, newClient(t, "http://nobody.invalid")} {
		_, sendErr := c.Send(t.Context(), []byte("x"), time.Minute, api.Restrictions{})
		_, getErr := c.Get(t.Context(), id, "")
		for _, err := range []error{sendErr, getErr} {
			if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), id.String()) {
				t.Errorf("error is %v", err)
			}
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, body := range []string{"plain", `{"error":"\u001b[2J"}`, "\x1b]52;c;\x07\u202e\xff", "<html>", strings.Repeat("界", 500)} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text := message(body)
		if len(text) > maxMessage || !utf8.ValidString(text) {
			t.Errorf("%d bytes: %q", len(text), text)
		}
		for _, r := range text {
			if !unicode.IsPrint(r) {
				t.Errorf("%q holds %q", text, r)
			}
		}
	})
}

func FuzzCiphertext(f *testing.F) {
	for _, body := range []string{text, text + "\n", "QQ==QQ==", "", "Q", "QUJ_"} {
		f.Add([]byte(body))
	}
	c, err := New(Options{Server: "http://localhost", MaxCiphertext: 1000})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want, wantErr := base64.StdEncoding.Strict().DecodeString(string(body))
		good := wantErr == nil && len(want) > 0 && len(want) <= 1000 && int64(len(body)) <= c.maxText()
		for _, announced := range []int64{-1, 0, int64(len(body)), math.MaxInt64} {
			got, err := c.readCiphertext(bytes.NewReader(body), announced)
			if (err == nil) != good || err == nil && !bytes.Equal(got, want) {
				t.Errorf("%q, announced as %d, gives %q and %v, want %q and %v", body, announced, got, err, want, wantErr)
			}
		}
	})
}
