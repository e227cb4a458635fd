package packaging_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hakanai/httpapi/api"
)

// proxied is a server behind a proxy with the configuration that is shipped.
type proxied struct {
	t       *testing.T
	program string
	url     string // the proxy's
	plain   string // without TLS; Caddy makes that by itself
	server  *serving
	token   string
	dir     string // where the proxy keeps what it writes
	ca      string // a PEM file
	trust   *x509.CertPool
}

// adapt makes a configuration fit for a test. What it replaces must be there: it is the shipped file that is tested.
func adapt(t *testing.T, file string, oldNew ...string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(string(text), oldNew[i]) {
			t.Fatalf("%s has no %q", file, oldNew[i])
		}
	}
	return strings.NewReplacer(oldNew...).Replace(string(text))
}

// certify writes a certificate for 127.0.0.1 and ::1, and its key.
func certify(t *testing.T, dir string) (certificate, key string, trust *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil) // which has one
	defer server.Close()
	private, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	trust = x509.NewCertPool()
	trust.AddCert(server.Certificate())
	return write("cert.pem", "CERTIFICATE", server.Certificate().Raw), write("key.pem", "PRIVATE KEY", private), trust
}

// startProxied starts a server, and a proxy before it that configure makes: a command that runs until it is ended.
func startProxied(t *testing.T, configure func(p *proxied, upstream, port, certificate, key string) *exec.Cmd) *proxied {
	t.Helper()
	program := hakanaiProgram(t)
	serve := exec.Command(program, "serve", "--port", "0", "--data-dir", t.TempDir(), "--trusted-proxies", "127.0.0.1,::1")
	p := &proxied{t: t, program: program, dir: t.TempDir(), server: startServing(t, serve)}
	p.token = <-p.server.tokens
	certificate, key, trust := certify(t, t.TempDir())
	p.ca, p.trust = certificate, trust
	port := unusedPort(t)
	p.url = "https://127.0.0.1:" + port
	cmd := configure(p, strings.TrimPrefix(p.server.url, "http://"), port, certificate, key)
	log, err := os.Create(filepath.Join(p.dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // what it says is in the log
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); <-ended })
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			return p
		}
		select {
		case <-ended:
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("the proxy has not started:\n%s", said)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func startNginx(t *testing.T) *proxied {
	return startProxied(t, func(p *proxied, upstream, port, certificate, key string) *exec.Cmd {
		plain := unusedPort(t)
		site := adapt(t, "nginx.conf",
			"127.0.0.1:8080", upstream,
			"listen [::]:80;", "", "listen 80;", "listen 127.0.0.1:"+plain+";",
			"listen [::]:443 ssl http2;", "", "listen 443 ssl http2;", "listen 127.0.0.1:"+port+" ssl http2;",
			"/etc/letsencrypt/live/secrets.example.com/fullchain.pem", certificate,
			"/etc/letsencrypt/live/secrets.example.com/privkey.pem", key,
			"/var/log/nginx/hakanai.log", filepath.Join(p.dir, "hakanai.log"))
		// A temporary file cannot be made below what is no directory: whatever needs one fails.
		blocked := filepath.Join(p.dir, "blocked")
		if err := os.WriteFile(blocked, nil, 0o700); err != nil {
			t.Fatal(err)
		}
		var temporary strings.Builder
		for _, kind := range strings.Fields("client_body proxy fastcgi uwsgi scgi") {
			fmt.Fprintf(&temporary, "%s_temp_path %s;\n", kind, blocked)
		}
		conf := filepath.Join(p.dir, "main.conf")
		text := fmt.Sprintf("daemon off;\nuser root;\npid %s/pid;\nerror_log %[1]s/error.log;\nevents {}\nhttp {\naccess_log %[1]s/access.log;\n%[2]s%[3]s}\n",
			p.dir, &temporary, site)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.plain = "http://127.0.0.1:" + plain
		return exec.Command("nginx", "-e", filepath.Join(p.dir, "early.log"), "-p", p.dir, "-c", conf)
	})
}

func startCaddy(t *testing.T) *proxied {
	return startProxied(t, func(p *proxied, upstream, port, certificate, key string) *exec.Cmd {
		conf := filepath.Join(p.dir, "Caddyfile")
		text := adapt(t, "Caddyfile",
			"\n{\n", "\n{\nadmin off\nauto_https disable_redirects\ndefault_bind 127.0.0.1\n",
			"\treverse_proxy", "\ttls "+certificate+" "+key+"\n\treverse_proxy")
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("caddy", "run", "--config", conf, "--adapter", "caddyfile")
		cmd.Env = append(os.Environ(), "SITE="+p.url, "UPSTREAM="+upstream, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir)
		return cmd
	})
}

// client is a browser's or a program's way to the proxy, from an address of this machine.
func (p *proxied) client(from string) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: p.trust}, ForceAttemptHTTP2: true, DisableCompression: true,
	}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask sends a request, from an address of this machine.
func (p *proxied) ask(from, method, path string, body io.Reader, length int64, header ...string) *http.Response {
	p.t.Helper()
	request, err := http.NewRequest(method, p.url+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	request.ContentLength = length
	request.Header.Set("Authorization", "Bearer "+p.token)
	request.Header.Set("Accept", "application/json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := p.client(from).Do(request)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	p.t.Cleanup(func() { response.Body.Close() })
	return response
}

// create leaves a ciphertext of a size, and returns its path and the answer.
func (p *proxied) create(size int64, more string) (path string, response *http.Response) {
	p.t.Helper()
	body := `{"expires_in":600` + more + `,"data":"` + base64.StdEncoding.EncodeToString(make([]byte, size)) + `"}`
	response = p.ask("127.0.0.1", http.MethodPost, api.SecretPath, strings.NewReader(body), int64(len(body)))
	var made api.CreateResponse
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&made); err != nil {
			p.t.Fatal(err)
		}
	}
	return api.SecretPath + "/" + made.ID, response
}

func TestProxies(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *proxied{"nginx": startNginx, "caddy": startCaddy} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			p.passTheLargest()
			p.refuseWhatIsTooLarge()
			p.continueADownload()
			p.knowTheCaller()
			p.speakWell()
			p.leadToTLS()
			p.keepNothing()
		})
	}
}

const uploadLimit = 10 << 20

func (p *proxied) passTheLargest() {
	trust := "SSL_CERT_FILE=" + p.ca
	secret := strings.Repeat("0123456789abcdef", uploadLimit/16)
	link, stderr, status := runClient(p.program, secret, []string{trust, "HAKANAI_TOKEN=" + p.token}, "send", "--server", p.url)
	if status != 0 {
		p.t.Fatalf("the largest secret is not sent: %s", stderr)
	}
	got, stderr, status := runClient(p.program, "", []string{trust}, "get", strings.TrimSpace(link))
	if status != 0 || got != secret {
		p.t.Errorf("the largest secret does not come back: %d bytes, %s", len(got), stderr)
	}

	bound := api.CiphertextBound(uploadLimit)
	path, response := p.create(bound, "")
	if response.StatusCode != http.StatusOK {
		p.t.Fatalf("the largest ciphertext gives %d", response.StatusCode)
	}
	download := p.ask("127.0.0.1", http.MethodGet, path, nil, 0)
	one := make([]byte, 1)
	if _, err := io.ReadFull(download.Body, one); err != nil {
		p.t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // a recipient who is slow: the proxy must not want to keep the rest
	rest, err := io.ReadAll(download.Body)
	if want := base64.StdEncoding.EncodedLen(int(bound)); err != nil || 1+len(rest) != want {
		p.t.Errorf("the largest ciphertext comes back as %d bytes, want %d: %v", 1+len(rest), want, err)
	}
}

func (p *proxied) refuseWhatIsTooLarge() {
	clearly := func(what string, response *http.Response) {
		var said api.ErrorResponse
		err := json.NewDecoder(response.Body).Decode(&said)
		if response.StatusCode != http.StatusRequestEntityTooLarge || err != nil || !strings.Contains(said.Error, strconv.Itoa(uploadLimit)) {
			p.t.Errorf("%s gives %d, %q (%v)", what, response.StatusCode, said.Error, err)
		}
	}
	_, response := p.create(api.CiphertextBound(uploadLimit)+1, "")
	clearly("one byte too many", response)
	const far = 1 << 30
	endless := io.LimitReader(io.MultiReader(strings.NewReader(`{"expires_in":600,"data":"`), zeros{}), far)
	clearly("a gigabyte", p.ask("127.0.0.1", http.MethodPost, api.SecretPath, endless, far))
}

// zeros is base64 of zeros without an end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'A'
	}
	return len(b), nil
}

var claim = base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))

func (p *proxied) continueADownload() {
	const size = 3 << 20
	path, _ := p.create(size, "")
	first := p.ask("127.0.0.1", http.MethodGet, path, nil, 0, api.ClaimHeader, claim)
	if _, err := io.CopyN(io.Discard, first.Body, 100_000); err != nil {
		p.t.Fatal(err)
	}
	first.Body.Close() // the line breaks
	if other := p.ask("127.0.0.1", http.MethodGet, path, nil, 0); other.StatusCode != http.StatusGone {
		p.t.Errorf("somebody else gets %d", other.StatusCode)
	}
	rest := p.ask("127.0.0.1", http.MethodGet, path, nil, 0, api.ClaimHeader, claim, "Range", "bytes=100000-")
	got, err := io.ReadAll(rest.Body)
	if want := base64.StdEncoding.EncodedLen(size) - 100_000; rest.StatusCode != http.StatusPartialContent || len(got) != want || err != nil {
		p.t.Errorf("going on gives %d and %d bytes, want %d: %v", rest.StatusCode, len(got), want, err)
	}
}

func (p *proxied) knowTheCaller() {
	path, response := p.create(100, `,"restrictions":{"allowed_ips":["127.0.0.5"]}`)
	if response.StatusCode != http.StatusOK {
		p.t.Fatalf("a secret for one address gives %d", response.StatusCode)
	}
	for _, c := range []struct {
		from string
		want int
	}{{"127.0.0.6", http.StatusForbidden}, {"127.0.0.5", http.StatusOK}} {
		forged := p.ask(c.from, http.MethodGet, path, nil, 0, "X-Forwarded-For", "127.0.0.5", "X-Real-Ip", "127.0.0.5", "Forwarded", "for=127.0.0.5")
		if forged.StatusCode != c.want {
			p.t.Errorf("%s gets %d, want %d", c.from, forged.StatusCode, c.want)
		}
	}
}

func (p *proxied) speakWell() {
	page := p.ask("127.0.0.1", http.MethodGet, "/", nil, 0, "Accept-Encoding", "gzip")
	if page.ProtoMajor != 2 || page.StatusCode != http.StatusOK {
		p.t.Errorf("it speaks %s, and gives %d", page.Proto, page.StatusCode)
	}
	for name, want := range map[string]string{"Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff"} {
		if got := page.Header.Values(name); len(got) != 1 || got[0] != want {
			p.t.Errorf("%s is %q", name, got)
		}
	}
	// A browser that tells pages by the host alone: the proxy must have left it as it was.
	own := p.ask("127.0.0.1", http.MethodPost, api.SecretPath, strings.NewReader("{}"), 2, "Origin", p.url)
	other := p.ask("127.0.0.1", http.MethodPost, api.SecretPath, strings.NewReader("{}"), 2, "Origin", "https://127.0.0.1")
	if own.StatusCode != http.StatusBadRequest || other.StatusCode != http.StatusForbidden {
		p.t.Errorf("its own page gets %d, another's %d", own.StatusCode, other.StatusCode)
	}
}

// keepNothing looks for ids and claims in all that the proxy has written, after the server has broken off an answer and
// gone away.
func (p *proxied) keepNothing() {
	path, _ := p.create(10<<20, "")
	broken := p.ask("127.0.0.1", http.MethodGet, path, nil, 0, api.ClaimHeader, claim)
	if _, err := io.CopyN(io.Discard, broken.Body, 1); err != nil {
		p.t.Fatal(err)
	}
	p.server.end(syscall.SIGKILL)
	if _, err := io.Copy(io.Discard, broken.Body); err == nil {
		p.t.Error("an answer that was broken off looks whole")
	}
	if gone := p.ask("127.0.0.1", http.MethodGet, path, nil, 0, api.ClaimHeader, claim); gone.StatusCode != http.StatusBadGateway {
		p.t.Errorf("without a server it gives %d", gone.StatusCode)
	}
	files := 0
	err := filepath.WalkDir(p.dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		text, err := os.ReadFile(name)
		for _, secret := range []string{strings.TrimPrefix(path, api.SecretPath+"/"), api.SecretPath, claim, p.token} {
			if bytes.Contains(text, []byte(secret)) {
				p.t.Errorf("%s has %q in it:\n%s", name, secret, text)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		p.t.Errorf("there were %d files: %v", files, err)
	}
}

func (p *proxied) leadToTLS() {
	if p.plain == "" {
		return
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(p.plain + "/s/x")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	if to := response.Header.Get("Location"); to != "https://127.0.0.1/s/x" || response.StatusCode != http.StatusPermanentRedirect {
		p.t.Errorf("without TLS it gives %d, to %s", response.StatusCode, to)
	}
}

func TestTheDocsLeadToFilesThatAreThere(t *testing.T) {
	text, err := os.ReadFile("../docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^)#]+)`).FindAllSubmatch(text, -1)
	for _, link := range links {
		if _, err := os.Stat(filepath.Join("../docs", string(link[1]))); err != nil {
			t.Error(err)
		}
	}
	if len(links) < 5 {
		t.Errorf("there are %d links", len(links))
	}
}
