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
	open   sync.Map     // connections
}

// never is the cut of a line that does not break by itself.
func never() int { return 0 }

func startBadLine(t *testing.T, server string, cut func() int, pause time.Duration) *badLine {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	l := &badLine{address: "http://" + listener.Addr().String(), cut: cut, pause: pause}
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

// connect makes connections go to a server; those that go elsewhere break, with what is on its way.
func (l *badLine) connect(t *testing.T, server string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	l.target.Store(&u.Host)
	l.open.Range(func(near, _ any) bool { return near.(net.Conn).Close() == nil || true })
}

func (l *badLine) carry(near net.Conn) {
	defer near.Close()
	l.open.Store(near, nil)
	defer l.open.Delete(near)
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
		const size = 20_000
		line := startBadLine(t, d.url, func() int { return 1 + mathrand.IntN(size*4/3*4/3) }, 0) // the whole answer is hardly longer
		recipient := newClient(t, line.address)
		var all sync.WaitGroup
		var whole atomic.Int64
		places := make(chan struct{}, 32)
		for range 1000 {
			places <- struct{}{}
			all.Go(func() {
				defer func() { <-places }()
				data := storetest.Bytes(size)
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
		if line.broken.Load() < 1500 {
			t.Error("it broke too rarely for the test to mean anything")
		}
	})
}

func TestOfTenThousandClaimersOneWinsAndMayRepeat(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place)
		user, _ := d.firstTokens(false)
		http1 := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
		t.Cleanup(http1.CloseIdleConnections)
		ask := func(method, id, value string) int {
			r, err := http.NewRequest(method, d.url+api.SecretPath+"/"+id, nil)
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
		// race lets 10,000 ask, every 200th of them with the same value, and tells how many of these and of the others won.
		race := func(id, value string) (same, others int64) {
			var all sync.WaitGroup
			var won [2]atomic.Int64
			places := make(chan struct{}, 256)
			for i := range 10_000 {
				places <- struct{}{}
				all.Go(func() {
					defer func() { <-places }()
					kind, mine := 1, ""
					switch {
					case i%200 == 0:
						kind, mine = 0, value
					case i%2 == 0:
						mine = newValue()
					}
					switch status := ask(http.MethodGet, id, mine); status {
					case http.StatusOK:
						won[kind].Add(1)
					case http.StatusGone:
					default:
						t.Errorf("a claimer gets %d", status)
					}
				})
			}
			all.Wait()
			return won[0].Load(), won[1].Load()
		}
		create := func() string {
			id, status := d.create(http1, user, storetest.Bytes(1000))
			if status != http.StatusOK {
				t.Fatalf("creating gives %d", status)
			}
			return id
		}
		const repeats = 50
		id, value := create(), newValue()
		if same, others := race(id, value); !(same == repeats && others == 0 || same == 0 && others == 1) { //nolint:staticcheck // as one says it
			t.Errorf("%d requests with one value won, and %d others", same, others)
		}
		id = create()
		if status := ask(http.MethodGet, id, value); status != http.StatusOK {
			t.Fatalf("claiming gives %d", status)
		}
		if same, others := race(id, value); same != repeats || others != 0 {
			t.Errorf("among others %d of the claimant's requests won, and %d of theirs", same, others)
		}
		if status := ask(http.MethodDelete, id, value); status != http.StatusNoContent {
			t.Errorf("ending it gives %d", status)
		}
		if same, others := race(id, value); same+others != 0 {
			t.Errorf("after its end it was had %d times", same+others)
		}
	})
}

func TestAServerThatIsKilledInTheMiddleOfADownloadIsAskedForTheRest(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		place = append(place, "--upload-size-limit", "64m")
		d := startServe(t, place)
		d.awaitReady()
		user, _ := d.firstTokens(false)
		data := storetest.Bytes(12 << 20)
		id, fragment := d.secretOn(user, data)
		line := startBadLine(t, d.url, never, 5*time.Millisecond)
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
			storetest.Eventually(t, "a part has arrived", func() bool { return line.passed.Load() > before+3<<20 })
			d.end(syscall.SIGKILL)
			line.broken.Add(1)
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
	t.Parallel() // it takes a minute, which is the shortest lease
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	dir, server := t.TempDir(), valkeytest.Standalone(t, nil)
	for name, kept := range map[string]struct {
		place []string
		count func() int // ciphertexts
	}{
		"embedded": {[]string{"--data-dir", dir}, func() int { return len(blobFiles(t, dir)) }},
		"valkey": {[]string{"--redis-dsn", server.DSN()}, func() int {
			return len(strings.Fields(server.MustCommand("--scan", "--pattern", "hakanai:*:claimed:*")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startAt(t, kept.place)
			user, _ := d.firstTokens(false)
			line := startBadLine(t, d.url, never, 20*time.Millisecond)
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, storetest.Bytes(4<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			send := exec.Command(program, "send", "--server", d.url, "--file", file, "--quiet")
			send.Env = append(os.Environ(), "HAKANAI_TOKEN="+user)
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
			if n := kept.count(); n != 1 {
				t.Errorf("under the lease there are %d ciphertexts", n)
			}
			for range 5 { // half a minute each
				if time.Sleep(30 * time.Second); kept.count() == 0 {
					return
				}
			}
			t.Error("the ciphertext has outlived its lease")
		})
	}
}

func TestASentinelFailoverInTheMiddleOfADownloadLosesNothing(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	f := startFleet(t, servers.DSN())
	defer f.stop()
	data := storetest.Bytes(3 << 20)
	for range 3 {
		id, fragment := f.servers[0].secretOn(f.token, data)
		line := startBadLine(t, f.servers[0].url, never, 10*time.Millisecond)
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
