//go:build unix

package commands

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/crypto"
	"hakanai/httpapi/api"
	"hakanai/store/storetest"
	"hakanai/store/valkey/valkeytest"
	"hakanai/telemetry"
	"hakanai/telemetry/telemetrytest"
)

// buildCanary builds the program that panics, and tells secrets, when a request asks for it (httpapi/planted_canary.go).
var buildCanary = sync.OnceValues(func() (string, error) { return build("canary") })

// canaries are values that must be found nowhere, by name, in every form that they could be found in.
type canaries map[string][][]byte

// add adds a text.
func (c canaries) add(name, text string) string {
	raw := []byte(text)
	c[name] = append(c[name], raw,
		[]byte(base64.StdEncoding.EncodeToString(raw)), []byte(base64.RawURLEncoding.EncodeToString(raw)),
		[]byte(hex.EncodeToString(raw)), []byte(url.QueryEscape(text)))
	return text
}

// addBytes adds bytes that are written as a text, which is given too.
func (c canaries) addBytes(name, text string, raw []byte) string {
	c.add(name, text)
	c[name] = append(c[name], raw)
	return text
}

func (c canaries) addID(name, id string) string {
	parsed := uuid.MustParse(id)
	c.addBytes(name, id, parsed[:])
	c.add(name, strings.ToUpper(id))
	c.add(name, strings.ReplaceAll(id, "-", ""))
	return id
}

// addValue adds 32 bytes that are written as base64url: a token, a claim.
func (c canaries) addValue(name, text string) string {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return c.addBytes(name, text, raw)
}

// in returns the names of those that are in a place.
func (c canaries) in(place []byte) (found []string) {
	for name, forms := range c {
		if slices.ContainsFunc(forms, func(form []byte) bool { return bytes.Contains(place, form) }) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

func randomValue() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// leakTest is a server that is given canaries on every way in, and looked at on every way out.
type leakTest struct {
	*daemon
	canaries  canaries
	collector *telemetrytest.Collector
	headers   []string // with a canary each

	mu    sync.Mutex
	hooks strings.Builder // bodies of webhooks
}

// startLeakTest starts a server that says and exports all that it can.
func startLeakTest(t *testing.T, c canaries, place []string) *leakTest {
	t.Helper()
	program, err := buildCanary()
	if err != nil {
		t.Fatal(err)
	}
	collector := telemetrytest.Start(t)
	exportTo(t, collector.Endpoint(telemetrytest.HTTP), telemetrytest.HTTP)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer "+c.add("the collector's token", "canary-collector-token"))
	l := &leakTest{canaries: c, collector: collector}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing is missed
		l.mu.Lock()
		defer l.mu.Unlock()
		l.hooks.Write(body)
	}))
	t.Cleanup(receiver.Close)
	t.Setenv("HAKANAI_WEBHOOK_TOKEN", c.add("the webhook's token", "canary-webhook-token"))
	t.Setenv("HAKANAI_WEBHOOK_SIGNING_KEY", c.add("the webhook's key", "canary-webhook-signing-key"))
	l.daemon = startProgram(t, program, append(place,
		"--webhook-url", receiver.URL+"/"+c.add("the webhook's path", "canary-webhook-path"), "--webhook-allow-private",
		"--log-level", "debug", "--metrics-listen", "127.0.0.1:0", "--enable-admin-token", "--trusted-ip-ranges", "198.51.100.0/24",
		"--country-header", "cf-ipcountry", "--asn-header", "x-asn"))
	l.awaitReady()
	user, admin := l.firstTokens(true)
	c.addValue("the user token", user)
	c.addValue("the admin token", admin)
	l.headers = []string{"Cf-Ipcountry", "DE", "X-Asn", "64500"}
	for _, name := range []string{
		"User-Agent", "Referer", "Cookie", "Proxy-Authorization", "X-Request-Id", "Accept-Language", "If-None-Match",
		"X-Real-Ip", "Forwarded", "Tracestate", "Baggage", "X-Other",
	} {
		l.headers = append(l.headers, name, c.add("the header "+name, "canary-"+strings.ToLower(name)))
	}
	l.headers = append(l.headers, "X-Forwarded-For", c.add("the address", "198.51.100.77"))
	l.headers = append(l.headers, "Traceparent", "00-"+callersTrace+"-"+callersSpan+"-01")
	return l
}

// send makes a request with a canary in every header, and others that are given.
func (l *leakTest) send(method, path, body string, headers ...string) answer {
	return l.ask(method, path, body, slices.Concat(l.headers, headers)...)
}

// everywhere asks for every path in every way, with canaries of callers who have nothing.
func (l *leakTest) everywhere(ids ...string) {
	c := l.canaries
	token := c.add("a wrong token", "canary-wrong-token")
	guess := c.add("a wrong passphrase's hash", crypto.HashPassphrase([]byte("canary-wrong-passphrase")))
	claim := c.addValue("a wrong claim", randomValue())
	query := "?" + c.add("the query", "canary-query") + "=1"
	word := c.add("the path", "canary-path")
	paths := []string{
		"/", "/create", "/get", "/share", "/docs", "/openapi.json", "/config.json", "/ready", "/healthy", "/metrics", "/impressum",
		"/robots.txt", "/assets/" + word + ".js", "/" + word, "//" + word, "/" + word + "/../x", "/%2e%2e/" + word,
		api.SecretPath, api.AdminTokensPath, api.SecretPath + "/" + word, api.LinkPath + "/" + word, api.SecretPath + "/", "/" + query,
	}
	for _, id := range ids {
		paths = append(paths, api.SecretPath+"/"+id, api.LinkPath+"/"+id, api.SecretPath+"/"+id+"/", "/secret/"+id,
			api.LinkPath+"/"+id+"%23"+word)
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", c.add("the method", "CANARYMETHOD")} {
			if method == "GET" && strings.Contains(path, "/secret/") && len(path) > 40 {
				continue // it would be retrieved
			}
			body := ""
			if method == "POST" {
				body = `{"` + c.add("the body", "canary-body") + `":1,"data":"QUJD","expires_in":60`
			}
			path := path
			if !strings.Contains(path, "?") {
				path += query
			}
			l.send(method, path, body, "Authorization", "Bearer "+token, api.PassphraseHeader, guess, api.ClaimHeader, claim)
			l.send(method, path, body, "Accept", "text/html", "Origin", c.add("the origin", "https://canary-origin.example"))
			l.send(method, path, body, "X-Planted", "panic", "Authorization", "Bearer "+token)
		}
	}
	for _, path := range []string{api.SecretPath + "/" + word, api.LinkPath + "/" + word, "/" + word} {
		l.send("GET", path+query, "", "User-Agent", "hakanai-"+word, "Range", "bytes="+word, api.ClaimHeader, claim)
	}
}

// torn sends requests that are none, or that end too early.
func (l *leakTest) torn() {
	c := l.canaries
	for _, text := range []string{
		c.add("a line", "canary-line") + "\r\n\r\n",
		"GET /canary-line HTTP/9.9\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n" + c.add("a bad header", "canary bad header") + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: canary-line\r\n\r\n",
		"POST " + api.SecretPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + l.token + "\r\nContent-Length: 1000\r\n\r\n{\"data\":\"QUJD",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://"))
		if err != nil {
			l.t.Fatal(err)
		}
		_, _ = io.WriteString(conn, text) // it may be cut off
		time.Sleep(20 * time.Millisecond)
		conn.Close()
	}
}

// secrets creates, guesses, retrieves and ends, as people do. It leaves two secrets that wait, the second without a passphrase.
func (l *leakTest) secrets() (locked, waiting string) {
	l.t.Helper()
	c, t := l.canaries, l.t
	made := l.send("POST", api.AdminTokensPath, `{"ttl_seconds":600}`, "Authorization", "Bearer "+l.admin)
	var token api.TokenResponse
	if err := json.Unmarshal([]byte(made.body), &token); err != nil || made.status != http.StatusOK {
		t.Fatalf("making a token gives %d %s", made.status, made.body)
	}
	c.addValue("a token", token.Token)
	passphrase := c.add("the passphrase", "canary-passphrase")
	sum, err := hex.DecodeString(crypto.HashPassphrase([]byte(passphrase)))
	if err != nil {
		t.Fatal(err)
	}
	hash := c.addBytes("the passphrase's hash", crypto.HashPassphrase([]byte(passphrase)), sum)
	create := func(name, restrictions string) string {
		ciphertext, fragment, err := crypto.Seal(rand.Reader, crypto.Content{
			Data: []byte(c.add("the content", "canary-content")), Filename: c.add("the file name", "canary-file.pdf"),
		})
		if err != nil {
			t.Fatal(err)
		}
		key, _, _ := strings.Cut(fragment.Encode(), ":")
		c.addValue("the key", key)
		body := fmt.Sprintf(`{"data":%q,"expires_in":3600,"restrictions":%s}`, base64.StdEncoding.EncodeToString(ciphertext), restrictions)
		a := l.send("POST", api.SecretPath+"?canary-query", body, "Authorization", "Bearer "+token.Token)
		var created api.CreateResponse
		if err := json.Unmarshal([]byte(a.body), &created); err != nil || a.status != http.StatusOK {
			t.Fatalf("creating gives %d %s", a.status, a.body)
		}
		return c.addID(name, created.ID)
	}
	locked = create("the id of a secret with a passphrase", `{"passphrase_hash":"`+hash+`","allowed_ips":["198.51.100.0/24"]}`)
	for range 7 { // more than may guess
		l.send("GET", api.SecretPath+"/"+locked, "", api.PassphraseHeader, strings.Repeat("a", 64))
	}
	open := create("the id of a secret", `{}`)
	for range 2 {
		l.send("GET", api.LinkPath+"/"+open+"?canary-query", "", "User-Agent", "hakanai-cli")
	}
	right := create("the id of another", `{"passphrase_hash":"`+hash+`"}`)
	claim := c.addValue("the claim", randomValue())
	if a := l.send("GET", api.SecretPath+"/"+right, "", api.PassphraseHeader, hash, api.ClaimHeader, claim); a.status != http.StatusOK {
		t.Errorf("retrieving gives %d %s", a.status, a.body)
	}
	l.send("GET", api.SecretPath+"/"+right, "", api.ClaimHeader, claim, "Range", "bytes=10-")
	l.send("DELETE", api.SecretPath+"/"+right, "", api.ClaimHeader, claim)
	l.send("POST", api.SecretPath, `{"data":"QUJD","expires_in":60,"restrictions":{"allowed_ips":["canary-body"]}}`, "Authorization", "Bearer "+token.Token)
	return locked, create("the id of one that waits", `{"allowed_countries":["DE"],"allowed_asns":[64500]}`)
}

// printed is what the server printed, without the first tokens, which are shown to whoever starts it.
func (l *leakTest) printed() string {
	return regexp.MustCompile(`(?m)^    (echo .*|[A-Za-z0-9_-]{43})$`).ReplaceAllString(strings.Join(l.logged(""), "\n"), "")
}

// told stops the server, and returns all that it told, by where it told it.
func (l *leakTest) told() map[string]string {
	l.t.Helper()
	metrics := l.scrape()
	asking.CloseIdleConnections()
	if status := l.end(syscall.SIGTERM); status != 0 {
		l.t.Errorf("the server ended with %d", status)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return map[string]string{
		"the log": l.printed(), "the metrics": metrics, "the collector": l.collector.Text(), toldToReceivers: l.hooks.String(),
	}
}

// toldToReceivers is what webhooks tell: ids, and the headers that were chosen, on purpose.
const toldToReceivers = "the webhooks"

func (c canaries) forReceivers() canaries {
	left := maps.Clone(c)
	for name := range c {
		if strings.Contains(name, " id ") {
			delete(left, name)
		}
	}
	for _, name := range []string{"the header User-Agent", "the header X-Request-Id", "the header X-Real-Ip", "the address", "the path"} {
		delete(left, name)
	}
	return left
}

func wantNoCanary(t *testing.T, c canaries, where, text string) {
	t.Helper()
	if found := c.in([]byte(text)); len(found) > 0 {
		t.Errorf("in %s are: %s", where, strings.Join(found, ", "))
		for _, line := range strings.Split(text, "\n") {
			if len(c.in([]byte(line))) > 0 {
				t.Logf("%.300s", line)
				break
			}
		}
	}
}

// readAll returns all that is in the files of a directory, and their names.
func readAll(t *testing.T, dir string, except ...string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || slices.Contains(except, entry.Name()) {
			return err
		}
		all.WriteString(path + "\n")
		if !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// checkTold looks for canaries in all that was told, and for fields of the log that are not on the list.
func checkTold(t *testing.T, l *leakTest, told map[string]string) {
	t.Helper()
	for where, text := range told {
		if len(text) < 1000 {
			t.Errorf("%s says next to nothing: %s", where, text)
		}
		c := l.canaries
		if where == toldToReceivers {
			c = c.forReceivers()
		}
		wantNoCanary(t, c, where, text)
	}
	requests := 0
	for _, text := range l.logged("{") {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) != nil {
			t.Errorf("a line is none of the log: %s", text)
		}
		for field := range line {
			if !slices.Contains(telemetry.LogFields(), field) {
				t.Errorf("the log has the field %s: %s", field, text)
			}
		}
		if line["message"] == "request" {
			requests++
		}
	}
	panics := len(l.logged("a request's handler panicked"))
	if panics == 0 || requests < 300 {
		t.Errorf("too little has happened: %d requests, %d panics", requests, panics)
	}
	storetest.Report(t, "canaries: %d values sent on %d requests, %d of which panicked; looked for in %d bytes of log, metrics, traces and store",
		len(l.canaries), requests, panics, len(strings.Join(slices.Collect(maps.Values(told)), "")))
}

func TestNothingThatIsSecretIsToldOnTheEmbeddedStore(t *testing.T) {
	c, dir := make(canaries), t.TempDir()
	l := startLeakTest(t, c, []string{"--data-dir", dir})
	locked, waiting := l.secrets()
	l.everywhere(locked, waiting, c.addID("an id that never was", uuid.NewString()))
	l.torn()
	for _, file := range blobFiles(t, dir) { // what is stored is damaged
		if err := os.Truncate(filepath.Join(dir, "secrets", file.Name()), 10); err != nil {
			t.Fatal(err)
		}
	}
	if a := l.send("GET", api.SecretPath+"/"+waiting, ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("a damaged secret gives %d %s", a.status, a.body)
	}
	told := l.told()
	told["the store"] = readAll(t, dir)
	checkTold(t, l, told)
}

func TestNothingThatIsSecretIsToldOnValkey(t *testing.T) {
	c := make(canaries)
	password := c.add("the password of the DSN", "canary-dsn-password")
	server := valkeytest.Standalone(t, valkeytest.Settings{"requirepass": password})
	l := startLeakTest(t, c, []string{"--redis-dsn", "redis://:" + password + "@" + server.Address()})
	locked, waiting := l.secrets()
	unknown := c.addID("an id that never was", uuid.NewString())
	l.everywhere(locked, waiting, unknown)
	l.torn()
	server.Kill()
	l.send("GET", api.SecretPath+"/"+waiting, "")
	storetest.Eventually(t, "the store is known to be down", func() bool { return l.status("/ready") == http.StatusServiceUnavailable })
	l.everywhere(locked, waiting, unknown)
	server.Start()
	storetest.Eventually(t, "the store is back", func() bool { return l.status("/ready") == http.StatusOK })
	told := l.told()
	told["the store"] = readAll(t, server.Dir, "server.conf")
	checkTold(t, l, told)
}

func TestAWrongPasswordOfValkeyIsNotTold(t *testing.T) {
	c := make(canaries)
	server := valkeytest.Standalone(t, valkeytest.Settings{"requirepass": c.add("the password", "canary-password")})
	d := startServe(t, []string{"--redis-dsn", "redis://:" + c.add("a wrong one", "canary-wrong-password") + "@" + server.Address(), "--log-level", "debug"})
	storetest.Eventually(t, "it is said that Valkey refuses", func() bool { return len(d.logged("waiting for Valkey")) > 0 })
	asking.CloseIdleConnections()
	d.end(syscall.SIGTERM)
	wantNoCanary(t, c, "the log", strings.Join(d.logged(""), "\n"))
}

// TestALeakIsFound plants a secret in each place where the tests above find none.
func TestALeakIsFound(t *testing.T) {
	c, dir := make(canaries), t.TempDir()
	l := startLeakTest(t, c, []string{"--data-dir", dir})
	id := c.addID("the id", uuid.NewString())
	for _, where := range []string{"log", "metrics", "trace"} {
		l.send("GET", api.LinkPath+"/"+id, "", "X-Planted", where)
	}
	told := l.told()
	delete(told, toldToReceivers) // there was nothing to tell
	if err := os.WriteFile(filepath.Join(dir, "planted"), []byte("before "+id+" after"), 0o600); err != nil {
		t.Fatal(err)
	}
	told["the store"] = readAll(t, dir)
	told["a name in the store"] = readAll(t, dir, "planted") + id
	for where, text := range told {
		if found := c.in([]byte(text)); !slices.Equal(found, []string{"the id"}) {
			t.Errorf("in %s %q are found", where, found)
		}
	}
	for _, part := range []string{"log_records", "resource_metrics", "spans"} {
		start := strings.Index(told["the collector"], part)
		if start < 0 {
			t.Errorf("the collector has got no %s", part)
		}
	}
}
