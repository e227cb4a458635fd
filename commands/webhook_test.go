//go:build unix

package commands

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
	"hakanai/store/storetest"
)

// hookReceiver is a server that webhooks are sent to, and what it got.
type hookReceiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []receivedHook
}

type receivedHook struct {
	api.Webhook
	header http.Header
	body   string
}

// receiveHooks starts a receiver. answer may be nil, and is told which hook it answers, from 1.
func receiveHooks(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) *hookReceiver {
	t.Helper()
	receiver := &hookReceiver{}
	receiver.Server = httptest.NewServer(receiver.handler(t, answer))
	t.Cleanup(receiver.Close)
	return receiver
}

func (receiver *hookReceiver) handler(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := receivedHook{header: r.Header, body: string(body)}
		decoder := json.NewDecoder(strings.NewReader(got.body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got.Webhook); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s %s: %v", r.Method, body, err)
		}
		receiver.mu.Lock()
		receiver.got = append(receiver.got, got)
		n := len(receiver.got)
		receiver.mu.Unlock()
		if answer != nil {
			answer(w, r, n)
		}
	}
}

func (receiver *hookReceiver) all() []receivedHook {
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	return slices.Clone(receiver.got)
}

// next waits for the hook of a number, from 1.
func (receiver *hookReceiver) next(t *testing.T, n int) receivedHook {
	t.Helper()
	storetest.Eventually(t, fmt.Sprintf("webhook %d has come", n), func() bool { return len(receiver.all()) >= n })
	return receiver.all()[n-1]
}

func TestWebhooksTellWhatBecomesOfSecrets(t *testing.T) {
	const token, key = "the-token-of-the-webhook", "the-key-of-the-signature"
	settings := func(url string) [][3]string {
		return [][3]string{
			{"webhook-url", "HAKANAI_WEBHOOK_URL", url + "/hook"}, {"webhook-token", "HAKANAI_WEBHOOK_TOKEN", token},
			{"webhook-signing-key", "HAKANAI_WEBHOOK_SIGNING_KEY", key}, {"webhook-allow-private", "HAKANAI_WEBHOOK_ALLOW_PRIVATE", "true"},
			{"webhook-headers", "HAKANAI_WEBHOOK_HEADERS", "X-Asked-For, user-agent,authorization,cookie,x-secret-passphrase,x-hakanai-claim"},
			{"allow-anonymous", "HAKANAI_ALLOW_ANONYMOUS", "true"}, {"trusted-ip-ranges", "HAKANAI_TRUSTED_IP_RANGES", "198.51.100.0/24"},
			{"country-header", "HAKANAI_COUNTRY_HEADER", "x-country"}, {"asn-header", "HAKANAI_ASN_HEADER", "x-asn"},
		}
	}
	check := func(t *testing.T, receiver *hookReceiver, place []string, flags ...string) {
		d := startServe(t, slices.Concat(place, flags))
		d.awaitReady()
		user, _ := d.firstTokens(false)
		hash := strings.Repeat("ab", 32)
		restrictions := `{"allowed_ips":["192.0.2.0/24"],"allowed_countries":["DE"],"allowed_asns":[64500],"passphrase_hash":"` + hash + `"}`
		told := 0
		expect := func(action, path, want string) {
			t.Helper()
			told++
			got := receiver.next(t, told)
			details, _ := json.Marshal(got.Details)
			if id := strings.TrimPrefix(path, api.SecretPath+"/"); got.SecretID != id || got.Action != action || string(details) != want {
				t.Errorf("webhook %d is %s, want %s of %s with %s", told, got.body, action, id, want)
			}
			if _, err := uuid.Parse(got.header.Get(api.DeliveryHeader)); err != nil || got.header.Get("Authorization") != "Bearer "+token {
				t.Errorf("%v", got.header)
			}
			at, mac, _ := strings.Cut(strings.TrimPrefix(got.header.Get(api.SignatureHeader), "t="), ",v1=")
			wanted := hmac.New(sha256.New, []byte(key))
			_, _ = io.WriteString(wanted, at+"."+got.body)
			if mac != hex.EncodeToString(wanted.Sum(nil)) {
				t.Errorf("the signature is %q", got.header.Get(api.SignatureHeader))
			}
		}
		create := func(token, address, restrictions string) string {
			t.Helper()
			a := d.ask(http.MethodPost, api.SecretPath, createBody(100, restrictions), "Authorization", bearerOf(token), "X-Forwarded-For", address,
				"User-Agent", "test/1", "X-Asked-For", "this", "X-Not-Asked-For", "that", "Cookie", "a=b")
			var created api.CreateResponse
			if err := json.Unmarshal([]byte(a.body), &created); err != nil || a.status != http.StatusOK {
				t.Fatalf("creating: %d %s", a.status, a.body)
			}
			return api.SecretPath + "/" + created.ID
		}
		take := func(path string, want int, headers ...string) {
			t.Helper()
			if a := d.ask(http.MethodGet, path, "", append(headers, "User-Agent", "test/2", "X-Asked-For", "this too")...); a.status != want {
				t.Fatalf("retrieving: %d, want %d", a.status, want)
			}
		}

		plain := create("", "192.0.2.1", "")
		expect(api.Created, plain, `{"user-agent":"test/1","user_type":"anonymous","x-asked-for":"this"}`)
		restricted := create(user, "192.0.2.1", restrictions)
		expect(api.Created, restricted, `{"restrictions":"allowed_ips: 192.0.2.0/24; allowed_countries: DE; allowed_asns: 64500",`+
			`"user-agent":"test/1","user_type":"authenticated","x-asked-for":"this"}`)
		guarded := create(user, "198.51.100.1", `{"passphrase_hash":"`+hash+`"}`)
		expect(api.Created, guarded, `{"user-agent":"test/1","user_type":"whitelisted","x-asked-for":"this"}`)

		// What comes to nothing is not told.
		if a := d.ask(http.MethodPost, api.SecretPath, `{"data":"QUJD","expires_in":0}`, "Authorization", bearerOf(user)); a.status != 400 {
			t.Errorf("a bad request: %d", a.status)
		}
		take(restricted, 403, "X-Forwarded-For", "203.0.113.1")
		take(guarded, 401, api.PassphraseHeader, strings.Repeat("cd", 32))
		take(plain, 416, "Range", "bytes=0-1")
		take(api.SecretPath+"/"+uuid.NewString(), 404)

		retrieved := `{"user-agent":"test/2","x-asked-for":"this too"}`
		take(plain, 200)
		expect(api.Retrieved, plain, retrieved)
		take(plain, 410)
		take(guarded, 200, api.PassphraseHeader, hash)
		expect(api.Retrieved, guarded, retrieved)
		take(restricted, 200, api.PassphraseHeader, hash, "X-Forwarded-For", "192.0.2.9", "X-Country", "DE", "X-Asn", "64500")
		expect(api.Retrieved, restricted, retrieved)

		for _, got := range receiver.all() {
			for _, secret := range []string{user, hash, "a=b", "that", key} {
				if strings.Contains(got.body, secret) || strings.Contains(fmt.Sprint(got.header), secret) {
					t.Errorf("a webhook has %q: %v %s", secret, got.header, got.body)
				}
			}
		}
		for _, secret := range []string{token, key, "/hook"} {
			if lines := d.logged(secret); len(lines) > 0 {
				t.Errorf("the log has %q: %s", secret, lines)
			}
		}
		d.stopAndCheckThat(t, receiver, told)
	}
	t.Run("flags", func(t *testing.T) {
		onBothStores(t, func(t *testing.T, place []string) {
			receiver := receiveHooks(t, nil)
			var flags []string
			for _, s := range settings(receiver.URL) {
				flags = append(flags, "--"+s[0]+"="+s[2])
			}
			check(t, receiver, place, flags...)
		})
	})
	t.Run("variables", func(t *testing.T) {
		onBothStores(t, func(t *testing.T, place []string) {
			receiver := receiveHooks(t, nil)
			for _, s := range settings(receiver.URL) {
				t.Setenv(s[1], s[2])
			}
			check(t, receiver, place)
		})
	})
}

// stopAndCheckThat so many webhooks were sent in all, each once.
func (d *daemon) stopAndCheckThat(t *testing.T, receiver *hookReceiver, told int) {
	t.Helper()
	if status := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
	ids := make(map[string]bool)
	for _, got := range receiver.all() {
		ids[got.header.Get(api.DeliveryHeader)] = true
	}
	if len(ids) != told || len(receiver.all()) != told {
		t.Errorf("%d webhooks of %d ids have come, want %d", len(receiver.all()), len(ids), told)
	}
}

// startHooked starts a server that anybody may use and that tells a receiver.
func startHooked(t *testing.T, url string, flags ...string) *daemon {
	t.Helper()
	d := startServe(t, slices.Concat([]string{
		"--data-dir", t.TempDir(), "--allow-anonymous", "--anonymous-quota", "none", "--webhook-url", url, "--webhook-allow-private",
	}, flags))
	d.awaitReady()
	return d
}

// leave creates a small secret without a token, and returns the status.
func (d *daemon) leave() int {
	return d.ask(http.MethodPost, api.SecretPath, createBody(10, "")).status
}

func TestWebhooksTellTheUsualHeadersUnlessOthersAreChosen(t *testing.T) {
	for flags, want := range map[string]string{
		"": `{"user-agent":"Go-http-client/1.1","user_type":"anonymous","x-forwarded-for":"192.0.2.1","x-forwarded-proto":"https",` +
			`"x-real-ip":"192.0.2.2","x-request-id":"00000000-0000-4000-8000-000000000000"}`,
		"--webhook-headers=none": `{"user_type":"anonymous"}`,
	} {
		receiver := receiveHooks(t, nil)
		d := startHooked(t, receiver.URL, strings.Fields(flags)...)
		d.ask(http.MethodPost, api.SecretPath, createBody(10, ""), "X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "https",
			"X-Real-Ip", "192.0.2.2", "X-Request-Id", "00000000-0000-4000-8000-000000000000", "Referer", "https://example.com")
		got := receiver.next(t, 1)
		if details, _ := json.Marshal(got.Details); string(details) != want {
			t.Errorf("%s: got %s", flags, details)
		}
		if got.header.Get("Authorization") != "" || got.header.Get(api.SignatureHeader) != "" {
			t.Errorf("%v", got.header)
		}
		d.stopAndCheckThat(t, receiver, 1)
	}
}

func TestAWebhookThatFailsIsSentAgain(t *testing.T) {
	receiver := receiveHooks(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	d := startHooked(t, receiver.URL)
	d.leave()
	first, second := receiver.next(t, 1), receiver.next(t, 2)
	if first.header.Get(api.DeliveryHeader) != second.header.Get(api.DeliveryHeader) || first.body != second.body {
		t.Errorf("again it is %v %s, and was %v %s", second.header, second.body, first.header, first.body)
	}
	if status := d.end(syscall.SIGTERM); status != 0 || len(receiver.all()) != 2 {
		t.Errorf("the server ended with %d, after %d tries", status, len(receiver.all()))
	}
}

func TestAReceiverThatIsAwayOrStallsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	receiver := receiveHooks(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
	})
	d := startHooked(t, receiver.URL)
	const secrets = 1500 // more than the queue holds
	var statuses statuses
	flood(secrets, func(int) {
		statuses.add(d.leave())
	})
	if statuses.n[http.StatusOK] != secrets {
		t.Errorf("creating gives %v", statuses.n)
	}
	if lines := d.logged("the queue is full"); len(lines) != 1 {
		t.Errorf("the log has %d lines on the queue: %s", len(lines), lines)
	}
	close(goOn)
	storetest.Eventually(t, "it is delivered again", func() bool { return len(d.logged("webhooks are delivered again")) == 1 })
	if status := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
}

func TestAStopDeliversWhatIsQueued(t *testing.T) {
	goOn := make(chan struct{})
	receiver := receiveHooks(t, func(_ http.ResponseWriter, _ *http.Request, n int) {
		if n <= 2 {
			<-goOn
		}
	})
	d := startHooked(t, receiver.URL)
	const secrets = 100
	for range secrets {
		d.leave()
	}
	receiver.next(t, 2)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the server stops", func() bool { return len(d.logged("stopping")) == 1 })
	close(goOn)
	if err := d.cmd.Wait(); err != nil {
		t.Error(err)
	}
	told := make(map[string]bool)
	for _, got := range receiver.all() {
		told[got.SecretID] = true
	}
	if len(told) != secrets {
		t.Errorf("%d of %d are told", len(told), secrets)
	}
}

func TestAStopDoesNotWaitForEver(t *testing.T) {
	t.Parallel() // it takes the whole grace time
	receiver := receiveHooks(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	d := startHooked(t, receiver.URL)
	for range 100 {
		d.leave()
	}
	receiver.next(t, 2)
	if status := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
	storetest.Eventually(t, "it says what is lost", func() bool { return len(d.logged("webhooks were not delivered in time")) == 1 })
}

func TestRedirectsOfWebhooksAreNotFollowed(t *testing.T) {
	other := receiveHooks(t, nil)
	targets := []string{other.URL, "http://169.254.169.254/latest/meta-data/", "http://[::ffff:127.0.0.1]/"}
	receiver := receiveHooks(t, func(w http.ResponseWriter, r *http.Request, n int) {
		http.Redirect(w, r, targets[(n-1)%len(targets)], http.StatusTemporaryRedirect)
	})
	d := startHooked(t, receiver.URL+"/opensesame", "--webhook-token", "opensesame")
	for range 6 {
		d.leave()
	}
	receiver.next(t, 6)
	d.stopAndCheckThat(t, receiver, 6)
	if lines := d.logged("redirects are not followed"); len(other.all()) != 0 || len(lines) != 1 {
		t.Errorf("%d were followed; the log says %s", len(other.all()), lines)
	}
	if lines := d.logged("opensesame"); len(lines) != 0 {
		t.Errorf("the log says %s", lines)
	}
}

func TestAReceiversCertificateIsVerified(t *testing.T) {
	receiver := &hookReceiver{}
	receiver.Server = httptest.NewUnstartedServer(receiver.handler(t, nil))
	receiver.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes
	receiver.StartTLS()
	defer receiver.Close()
	d := startHooked(t, receiver.URL)
	d.leave()
	if status := d.end(syscall.SIGTERM); status != 0 { // which tries again until it has failed
		t.Errorf("the server ended with %d", status)
	}
	if lines := d.logged("certificate is not trusted"); len(receiver.all()) != 0 || len(lines) != 1 {
		t.Errorf("%d have come; the log says %s", len(receiver.all()), lines)
	}

	file := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	trusting := startHooked(t, receiver.URL)
	trusting.leave()
	receiver.next(t, 1)
	trusting.stopAndCheckThat(t, receiver, 1)
}

// TestTheReceiverInTheDocsReceives runs what docs/webhooks.md shows.
func TestTheReceiverInTheDocsReceives(t *testing.T) {
	const key = "the-key-of-the-signature"
	text, err := os.ReadFile("../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, snippet, _ := strings.Cut(string(text), "```python\n")
	snippet, _, found := strings.Cut(snippet, "```")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if !found || !strings.Contains(snippet, "9000") {
		t.Fatal("there is no receiver in the docs")
	}
	receiver := exec.Command("python3", "-c", strings.Replace(snippet, "9000", port, 1))
	receiver.Env = append(os.Environ(), "KEY="+key)
	out, err := receiver.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := receiver.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = receiver.Wait() }()
	defer func() { _ = receiver.Process.Kill() }()
	storetest.Eventually(t, "the receiver listens", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	url := "http://127.0.0.1:" + port
	d := startHooked(t, url, "--webhook-signing-key", key)
	d.leave()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"action":"Created"`) {
		t.Errorf("it says %q", lines.Text())
	}
	if status := d.end(syscall.SIGTERM); status != 0 || len(d.logged("webhooks fail")) != 0 {
		t.Errorf("the server ended with %d:\n%s", status, d.logged("webhooks fail"))
	}

	forger := startHooked(t, url, "--webhook-signing-key", "another-key-than-that")
	forger.leave()
	if status := forger.end(syscall.SIGTERM); status != 0 || len(forger.logged("answers with status 401")) != 1 {
		t.Errorf("another key: the server ended with %d:\n%s", status, strings.Join(forger.logged(""), "\n"))
	}
}
