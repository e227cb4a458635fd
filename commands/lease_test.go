//go:build unix

package commands

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/crypto"
	"hakanai/httpapi/api"
	"hakanai/httpapi/client"
	"hakanai/store/storetest"
	"hakanai/store/valkey/valkeytest"
)

// badLine is a line to a server that breaks, or that is slow.
type badLine struct {
	address string
	target  atomic.Pointer[string]
	// cut tells after how many bytes of answers a connection breaks; 0 for never.
	cut func() int
	// pause is how long each 16 KiB of an answer take.
	pause  time.Duration
	broken atomic.Int64
	passed atomic.Int64 // bytes of answers
}

func startBadLine(t *testing.T, server string) *badLine {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	l := &badLine{address: "http://" + listener.Addr().String(), cut: func() int { return 0 }}
	l.connect(t, server)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(near)
		}
	}()
	return l
}

// connect makes new connections go to a server.
func (l *badLine) connect(t *testing.T, server string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	l.target.Store(&u.Host)
}

func (l *badLine) carry(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", *l.target.Load())
	if err != nil {
		return
	}
	defer far.Close()
	go func() { _, _ = io.Copy(far, near) }()
	cut, sent := l.cut(), 0
	buffer := make([]byte, 16<<10)
	for {
		n, err := far.Read(buffer)
		if cut > 0 && sent+n >= cut {
			_, _ = near.Write(buffer[:cut-sent])
			l.broken.Add(1)
			_ = near.(*net.TCPConn).SetLinger(0)
			return
		}
		if _, err2 := near.Write(buffer[:n]); err != nil || err2 != nil {
			return
		}
		sent += n
		l.passed.Add(int64(n))
		time.Sleep(l.pause)
	}
}

// secretOn leaves a sealed secret with a server, and returns what is needed to have it back.
func (d *daemon) secretOn(token string, data []byte) (uuid.UUID, crypto.Fragment) {
	d.t.Helper()
	ciphertext, fragment, err := crypto.Seal(rand.Reader, crypto.Content{Data: data, Filename: "file"})
	if err != nil {
		d.t.Fatal(err)
	}
	text, status := d.create(http.DefaultClient, token, ciphertext)
	id, err := uuid.Parse(text)
	if err != nil {
		d.t.Fatalf("creating gives %d", status)
	}
	return id, fragment
}

func newClient(t *testing.T, server string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Server: server})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// receive has a secret back through a client, and tells the server so.
func receive(ctx context.Context, c *client.Client, id uuid.UUID, fragment crypto.Fragment) ([]byte, error) {
	retrieved, err := c.Get(ctx, id, "")
	if err != nil {
		return nil, err
	}
	content, err := crypto.Open(retrieved.Ciphertext, fragment)
	if err != nil {
		return nil, err
	}
	_ = retrieved.Done(ctx) // on a bad line it may not be told
	return content.Data, nil
}

func TestEverySecretArrivesOverALineThatBreaksAllTheTime(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place)
		user, _ := d.firstTokens(false)
		line := startBadLine(t, d.url)
		line.cut = func() int { return 1 + mathrand.IntN(60_000) }
		recipient := newClient(t, line.address)
		var all sync.WaitGroup
		var whole atomic.Int64
		places := make(chan struct{}, 32)
		for i := range 1000 {
			places <- struct{}{}
			all.Go(func() {
				defer func() { <-places }()
				data := storetest.Bytes([]int{10, 3_000, 30_000, 100_000}[i%4])
				id, fragment := d.secretOn(user, data)
				got, err := receive(t.Context(), recipient, id, fragment)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("of %d bytes come %d: %v", len(data), len(got), err)
					return
				}
				whole.Add(1)
				if _, status := d.take(http.DefaultClient, id.String()); status != http.StatusGone {
					t.Errorf("afterwards somebody else gets %d", status)
				}
			})
		}
		all.Wait()
		storetest.Report(t, "%d secrets arrived whole over a line that broke %d times", whole.Load(), line.broken.Load())
		if line.broken.Load() < 500 {
			t.Error("it broke too rarely for the test to mean anything")
		}
	})
}

func TestOfTenThousandClaimersOneWinsAndMayRepeat(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place)
		user, _ := d.firstTokens(false)
		http1 := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
		text, _ := d.create(http1, user, storetest.Bytes(1000))
		ask := func(method, value string) int {
			r, err := http.NewRequest(method, d.url+api.SecretPath+"/"+text, nil)
			if err != nil {
				t.Error(err)
				return 0
			}
			if value != "" {
				r.Header.Set(api.ClaimHeader, value)
			}
			response, err := http1.Do(r)
			if err != nil {
				t.Error(err)
				return 0
			}
			defer response.Body.Close()
			_, _ = io.Copy(io.Discard, response.Body)
			return response.StatusCode
		}
		newValue := func() string { return base64.RawURLEncoding.EncodeToString(storetest.Bytes(32)) }
		winners := make(chan string, 10_000)
		var all sync.WaitGroup
		places := make(chan struct{}, 256)
		for i := range 10_000 {
			places <- struct{}{}
			all.Go(func() {
				defer func() { <-places }()
				value := ""
				if i%2 == 0 {
					value = newValue()
				}
				switch status := ask(http.MethodGet, value); status {
				case http.StatusOK:
					winners <- value
				case http.StatusGone:
				default:
					t.Errorf("a claimer gets %d", status)
				}
			})
		}
		all.Wait()
		if len(winners) != 1 {
			t.Fatalf("%d claimers have won", len(winners))
		}
		if winner := <-winners; winner != "" { // then it may repeat, among others who may not
			var won atomic.Int64
			for i := range 400 {
				places <- struct{}{}
				all.Go(func() {
					defer func() { <-places }()
					value := newValue()
					if i%10 == 0 {
						value = winner
					}
					if status := ask(http.MethodGet, value); status == http.StatusOK {
						won.Add(1)
					} else if value == winner || status != http.StatusGone {
						t.Errorf("the winner gets %d", status)
					}
				})
			}
			all.Wait()
			if won.Load() != 40 {
				t.Errorf("%d of the winner's 40 requests succeeded", won.Load())
			}
			if status := ask(http.MethodDelete, winner); status != http.StatusNoContent {
				t.Errorf("ending it gives %d", status)
			}
			for range 10 {
				if status := ask(http.MethodGet, winner); status != http.StatusGone {
					t.Errorf("after the end the winner gets %d", status)
				}
			}
		}
	})
}

func TestAServerThatIsKilledInTheMiddleOfADownloadIsAskedForTheRest(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startServe(t, place)
		d.awaitReady()
		user, _ := d.firstTokens(false)
		data := storetest.Bytes(4 << 20)
		id, fragment := d.secretOn(user, data)
		line := startBadLine(t, d.url)
		line.pause = 5 * time.Millisecond
		received := make(chan error, 1)
		go func() {
			got, err := receive(t.Context(), newClient(t, line.address), id, fragment)
			if err == nil && !bytes.Equal(got, data) {
				err = io.ErrUnexpectedEOF
			}
			received <- err
		}()
		for range 3 {
			before := line.passed.Load()
			storetest.Eventually(t, "a part has arrived", func() bool { return line.passed.Load() > before+1<<20 })
			d.end(syscall.SIGKILL)
			d = startServe(t, place)
			d.awaitReady()
			line.connect(t, d.url)
			if _, status := d.take(http.DefaultClient, id.String()); status != http.StatusGone {
				t.Errorf("somebody else gets %d", status)
			}
		}
		if err := <-received; err != nil {
			t.Errorf("it does not arrive: %v", err)
		}
		d.end(syscall.SIGTERM)
	})
}

func TestACiphertextWhoseRecipientWasKilledGoesWithItsLease(t *testing.T) {
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	d := startDaemon(t, dir)
	line := startBadLine(t, d.url)
	line.pause = 20 * time.Millisecond
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, storetest.Bytes(4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	send := exec.Command(program, "send", "--server", d.url, "--file", file, "--ttl", "4s", "--quiet") // no lease outlives it
	send.Env = append(os.Environ(), "HAKANAI_TOKEN="+d.token)
	link, err := send.Output()
	if err != nil {
		t.Fatal(err)
	}
	get := exec.Command(program, "get", strings.Replace(strings.TrimSpace(string(link)), d.url, line.address, 1))
	get.Dir = t.TempDir()
	if err := get.Start(); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "a part has arrived", func() bool { return line.passed.Load() > 100_000 })
	_ = get.Process.Kill()
	_ = get.Wait()
	if files := blobFiles(t, dir); len(files) != 1 {
		t.Errorf("under the lease there are %d files", len(files))
	}
	storetest.Eventually(t, "the ciphertext is gone", func() bool { return len(blobFiles(t, dir)) == 0 })
	d.end(syscall.SIGTERM)
}

func TestASentinelFailoverInTheMiddleOfADownloadLosesNothing(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	f := startFleet(t, servers.DSN())
	defer f.stop()
	data := storetest.Bytes(3 << 20)
	for range 3 {
		id, fragment := f.servers[0].secretOn(f.token, data)
		line := startBadLine(t, f.servers[0].url)
		line.pause = 10 * time.Millisecond
		received := make(chan error, 1)
		go func() {
			got, err := receive(t.Context(), newClient(t, line.address), id, fragment)
			if err == nil && !bytes.Equal(got, data) {
				err = io.ErrUnexpectedEOF
			}
			received <- err
		}()
		storetest.Eventually(t, "a part has arrived", func() bool { return line.passed.Load() > 1<<20 })
		primary := servers.Primary()
		primary.Kill()
		for waiting := true; waiting; {
			select {
			case err := <-received:
				if err != nil {
					t.Errorf("it does not arrive: %v", err)
				}
				waiting = false
			case <-time.After(50 * time.Millisecond):
				if _, status := f.take(1, id.String()); status != http.StatusGone && status != http.StatusServiceUnavailable {
					t.Errorf("somebody else gets %d", status)
				}
			}
		}
		servers.AwaitFailover(primary)
		servers.Heal()
		f.serving()
	}
}

func TestAProxyThatRepeatsARequestLosesNothing(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place)
		user, _ := d.firstTokens(false)
		id, _ := d.create(http.DefaultClient, user, []byte("once"))
		r, err := http.NewRequest(http.MethodGet, d.url+api.SecretPath+"/"+id, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(api.ClaimHeader, base64.RawURLEncoding.EncodeToString(storetest.Bytes(32)))
		for range 3 { // as nginx does when a backend is too slow for it: the same request, word for word
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || response.StatusCode != http.StatusOK || string(body) != base64.StdEncoding.EncodeToString([]byte("once")) {
				t.Errorf("it gives %d %q (%v)", response.StatusCode, body, err)
			}
		}
	})
}
