package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hakanai/httpapi/api"
	"hakanai/store"
	"hakanai/webui"
)

const legalText = "Who runs this:\n\n<b>somebody</b>"

// newFullSite is a site with everything that a server can offer.
func newFullSite(t testing.TB, change ...func(*Server)) *site {
	return newSite(t, append([]func(*Server){func(s *Server) {
		s.impressum, s.privacy = legalText, legalText
		s.adminTokens = true
		s.trustedRanges = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		s.trustedProxies = DefaultTrustedProxies()
		s.mux = router{}
		s.routes()
		s.mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("on purpose") })
	}}, change...)...)
}

// asset is the path of the only file in assets/ with an extension.
func asset(t testing.TB, extension string) string {
	t.Helper()
	names, err := fs.Glob(webui.Files(), "assets/*"+extension)
	if err != nil || len(names) != 1 {
		t.Fatalf("the files with %s are %v (%v)", extension, names, err)
	}
	return "/" + names[0]
}

func TestEveryPageIsTheSameBytesOnEveryServer(t *testing.T) {
	full, bare := newFullSite(t), newSite(t)
	want, err := fs.ReadFile(webui.Files(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	id := full.create([]byte("still here"))
	for _, s := range []*site{full, bare} {
		for _, path := range []string{"/", "/create", "/get", "/share", "/s/" + id, "/impressum", "/privacy", "/nothing", "/s/x"} {
			status, page, _ := s.do(http.MethodGet, path, nil, "Accept", "text/html")
			if page != string(want) {
				t.Errorf("%s is another page: %d %.80q", path, status, page)
			}
		}
	}
	full.wantThere(id, []byte("still here"))
}

func TestPathsThatAreNoneAreSaidToBrowsersAsPagesAndToOthersInAWord(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		path, accept string
		status       int
		page         bool
	}{
		{"/nothing", "text/html", 404, true},
		{"/nothing", "*/*", 404, false},
		{"/impressum", "text/html", 404, true},
		{"/impressum.txt", "*/*", 404, false},
		{"/s/x", "text/html", 400, true},
		{"/s/x", "*/*", 400, false},
		{"/index.html", "*/*", 404, false},
		{"/assets/", "*/*", 404, false},
		{"/create/", "*/*", 404, false},
		{api.SecretPath + "/x", "text/html", 400, false},
		{"/api/v1/nothing", "text/html", 404, false},
	} {
		status, answer, _ := s.do(http.MethodGet, test.path, nil, "Accept", test.accept)
		if status != test.status || strings.Contains(answer, "<html") != test.page {
			t.Errorf("%s for %s is %d %.60q", test.path, test.accept, status, answer)
		}
	}
}

func TestTheOperatorsTextsArePlain(t *testing.T) {
	s := newFullSite(t)
	for _, path := range []string{"/impressum.txt", "/privacy.txt"} {
		status, text, h := s.do(http.MethodGet, path, nil)
		if status != 200 || text != legalText || h.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s is %d %q, %s", path, status, text, h.Get("Content-Type"))
		}
	}
	if _, config, _ := s.do(http.MethodGet, api.ConfigPath, nil); !strings.Contains(config, `"impressum":true,"privacy":true`) {
		t.Errorf("the configuration is %s", config)
	}
}

// TestThePageChecksWhatItLoads compares the hashes in the page with the files, and finds nothing loaded without one.
func TestThePageChecksWhatItLoads(t *testing.T) {
	page, err := fs.ReadFile(webui.Files(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	tags := regexp.MustCompile(`<script[^>]*>|<link rel="stylesheet"[^>]*>`).FindAllString(string(page), -1)
	if len(tags) != 2 {
		t.Fatalf("the page loads %q", tags)
	}
	for _, tag := range tags {
		match := regexp.MustCompile(`(?:src|href)="/(assets/[^"]+)" integrity="sha384-([^"]+)"`).FindStringSubmatch(tag)
		if match == nil {
			t.Fatalf("%s has no hash", tag)
		}
		content, err := fs.ReadFile(webui.Files(), match[1])
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha512.Sum384(content); base64.StdEncoding.EncodeToString(sum[:]) != match[2] {
			t.Errorf("%s has another hash", match[1])
		}
	}
	if inline := regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\son[a-z]+=|\sstyle=|javascript:|https?://`).FindString(string(page)); inline != "" {
		t.Errorf("the page holds %q", inline)
	}
}

func TestFilesAreCompressedForWhoAcceptsIt(t *testing.T) {
	s := newSite(t)
	path := asset(t, ".js")
	_, plain, h := s.do(http.MethodGet, path, nil, "Accept-Encoding", "identity")
	if h.Get("Content-Encoding") != "" || h.Get("Vary") != "Accept-Encoding" {
		t.Errorf("plain: %v", h)
	}
	for _, accept := range []string{"gzip", "br, gzip;q=0.5", "deflate, GZIP", "gzip;q=1.0"} {
		_, compressed, h := s.do(http.MethodGet, path, nil, "Accept-Encoding", accept)
		z, err := gzip.NewReader(strings.NewReader(compressed))
		if err != nil || h.Get("Content-Encoding") != "gzip" || h.Get("Content-Length") != fmt.Sprint(len(compressed)) {
			t.Fatalf("%s: %v %v", accept, h, err)
		}
		if got, err := io.ReadAll(z); err != nil || string(got) != plain {
			t.Errorf("%s: other bytes (%v)", accept, err)
		}
	}
	for _, refuse := range []string{"gzip;q=0", "gzip; q=0.000", "br", "x-gzip", "*"} {
		if _, _, h := s.do(http.MethodGet, path, nil, "Accept-Encoding", refuse); h.Get("Content-Encoding") != "" {
			t.Errorf("%s gets %s", refuse, h.Get("Content-Encoding"))
		}
	}
	_, body, h := s.do(http.MethodHead, path, nil, "Accept-Encoding", "gzip")
	if body != "" || h.Get("Content-Encoding") != "gzip" || h.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %q %v", body, h)
	}
}

// TestTheFirstVisitIsSmall adds up what a browser loads for /create.
func TestTheFirstVisitIsSmall(t *testing.T) {
	const most = 60 << 10
	s := newSite(t)
	total := 0
	for _, path := range []string{"/create", asset(t, ".js"), asset(t, ".css"), asset(t, ".svg"), "/manifest.webmanifest", api.ConfigPath} {
		_, body, h := s.do(http.MethodGet, path, nil, "Accept-Encoding", "gzip")
		total += len(body)
		for name, values := range h {
			total += len(name) + len(strings.Join(values, "")) + len(": \r\n")
		}
	}
	t.Logf("%d bytes with headers", total)
	if total > most {
		t.Errorf("it takes %d bytes, and %d at most are promised", total, most)
	}
}

func TestStrictTransportIsAskedForOverTLSAlone(t *testing.T) {
	s := newFullSite(t)
	for forwarded, want := range map[string]bool{"https": true, "HTTPS": true, "http": false, "": false, "https, http": false} {
		if _, _, h := s.do(http.MethodGet, "/", nil, "X-Forwarded-Proto", forwarded); (h.Get("Strict-Transport-Security") != "") != want {
			t.Errorf("%q gives %q", forwarded, h.Get("Strict-Transport-Security"))
		}
	}
	direct := newSite(t, func(s *Server) { s.trustedProxies = nil })
	if _, _, h := direct.do(http.MethodGet, "/", nil, "X-Forwarded-Proto", "https"); h.Get("Strict-Transport-Security") != "" {
		t.Error("a stranger's word is believed")
	}
}

// TestHeadersOfEveryRouteAndStatus compares them with testdata/headers.txt; UPDATE_GOLDEN=1 writes it anew.
func TestHeadersOfEveryRouteAndStatus(t *testing.T) {
	answers := collectAnswers(t)
	const path = "testdata/headers.txt"
	got := formatHeaders(answers)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("headers have changed; got:\n%s", got)
	}
	for _, a := range answers {
		if a.header.Get("Set-Cookie") != "" || a.header.Get("Content-Security-Policy") != contentSecurityPolicy {
			t.Errorf("%s: %v", a.name, a.header)
		}
	}
}

type namedAnswer struct {
	name   string // method, route, what about it, status
	header http.Header
}

// collectAnswers asks for everything in every way that ends differently.
func collectAnswers(t *testing.T) (answers []namedAnswer) {
	var fault atomic.Pointer[error]
	s := newFullSite(t, func(s *Server) {
		s.countryHeader = "Cf-Ipcountry"
		s.store = faultyStore{s.store, &fault}
		s.uploadSizeLimit = 64 << 10
	})
	auth := []string{"Authorization", "Bearer " + s.token}
	secret := func(restrictions string) string {
		body := `{"data":"QUJD","expires_in":3600` + restrictions + `}`
		status, answer, _ := s.do(http.MethodPost, api.SecretPath, strings.NewReader(body), auth...)
		match := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(answer)
		if match == nil {
			t.Fatalf("creating: %d %s", status, answer)
		}
		return match[1]
	}
	ask := func(method, route, path, body, about string, want int, header ...string) {
		t.Helper()
		var reader io.Reader
		if body != "" {
			reader = strings.NewReader(body)
		}
		status, answer, h := s.do(method, path, reader, header...)
		if status != want {
			t.Errorf("%s %s %s is %d %.80q, want %d", method, route, about, status, answer, want)
		}
		answers = append(answers, namedAnswer{strings.Join(strings.Fields(fmt.Sprint(method, " ", route, " ", about, " ", status)), " "), h})
	}
	page := []string{"Accept", "text/html", "If-None-Match", "*", "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"}
	cli := []string{"User-Agent", "hakanai-cli/1", "Accept", "text/plain"}
	hash := strings.Repeat("a", 64)

	for _, route := range []string{"/", "/create", "/get", "/share", "/impressum", "/privacy"} {
		ask("GET", route, route, "", "", 200, page...)
		ask("HEAD", route, route, "", "", 200, page...)
		ask("POST", route, route, "x", "", 405)
	}
	for _, route := range []string{
		"/impressum.txt", "/privacy.txt", "/robots.txt", "/manifest.webmanifest", "/icon-192.png", api.ConfigPath, "/ready", "/healthy",
	} {
		ask("GET", route, route, "", "", 200)
		ask("POST", route, route, "x", "", 405)
	}
	for _, extension := range []string{".js", ".css", ".svg"} {
		ask("GET", "/assets/*"+extension, asset(t, extension), "", "plain", 200, "Accept-Encoding", "identity")
		ask("GET", "/assets/*"+extension, asset(t, extension), "", "compressed", 200, "Accept-Encoding", "gzip")
		ask("POST", "/assets/*"+extension, asset(t, extension), "x", "", 405)
	}
	ask("GET", "/nothing", "/nothing", "", "as a page", 404, page...)
	ask("GET", "/nothing", "/nothing", "", "as text", 404)
	ask("GET", "/nothing", "/nothing", "", "as JSON", 404, "Accept", "application/json")
	ask("GET", "/panic", "/panic", "", "", 500)

	ask("POST", api.SecretPath, api.SecretPath, `{"data":"QUJD","expires_in":60}`, "", 200, auth...)
	ask("POST", api.SecretPath, api.SecretPath, `{`, "", 400, auth...)
	ask("POST", api.SecretPath, api.SecretPath, `{}`, "without a token", 401)
	ask("POST", api.SecretPath, api.SecretPath, `{}`, "with a wrong token", 401, "Authorization", "Bearer x")
	ask("GET", api.SecretPath, api.SecretPath, "", "", 405)
	ask("POST", api.SecretPath, api.SecretPath, strings.Repeat("x", 1<<20), "", 413, auth...)
	ask("POST", api.SecretPath, api.SecretPath, `{}`, "compressed", 415, append(auth, "Content-Encoding", "gzip")...)
	asn := `{"data":"QUJD","expires_in":60,"restrictions":{"allowed_asns":[1]}}`
	ask("POST", api.SecretPath, api.SecretPath, asn, "", 501, auth...)
	for status, err := range map[int]error{429: store.ErrQuota, 503: store.ErrDown, 507: store.ErrFull} {
		fault.Store(&err)
		ask("POST", api.SecretPath, api.SecretPath, `{"data":"QUJD","expires_in":60}`, "", status, auth...)
	}
	fault.Store(nil)

	for _, r := range []struct {
		route  string
		header []string
	}{{api.SecretPath, nil}, {api.LinkPath, cli}} {
		route := r.route + "/{id}"
		ask("GET", route, r.route+"/x", "", "of a client", 400, r.header...)
		ask("GET", route, r.route+"/"+secret(`,"restrictions":{"passphrase_hash":"`+hash+`"}`), "", "of a client", 401, r.header...)
		ask("GET", route, r.route+"/"+secret(`,"restrictions":{"allowed_countries":["DE"]}`), "", "of a client", 403, r.header...)
		ask("GET", route, r.route+"/00000000-0000-4000-8000-000000000000", "", "of a client", 404, r.header...)
		id := secret("")
		ask("HEAD", route, r.route+"/"+id, "", "of a client", 405, r.header...)
		claiming := append(slices.Clone(r.header), api.ClaimHeader, newValue())
		ask("DELETE", route, r.route+"/"+id, "", "of a client", 400, r.header...)
		ask("DELETE", route, r.route+"/"+id, "", "of a client", 404, claiming...)
		leased := secret("")
		ask("GET", route, r.route+"/"+leased, "", "of a claimant", 200, claiming...)
		ask("GET", route, r.route+"/"+leased, "", "of a claimant", 206, append(slices.Clone(claiming), "Range", "bytes=1-")...)
		ask("GET", route, r.route+"/"+leased, "", "of a claimant", 416, append(slices.Clone(claiming), "Range", "bytes=99-")...)
		ask("DELETE", route, r.route+"/"+leased, "", "of a claimant", 204, claiming...)
		ask("DELETE", route, r.route+"/"+leased, "", "of a claimant", 410, claiming...)
		ask("GET", route, r.route+"/"+id, "", "of a client", 416, append(r.header, "Range", "bytes=0-1")...)
		err := store.ErrDown
		fault.Store(&err)
		ask("GET", route, r.route+"/"+id, "", "of a client", 503, r.header...)
		fault.Store(nil)
		ask("GET", route, r.route+"/"+id, "", "of a client", 200, r.header...)
		ask("GET", route, r.route+"/"+id, "", "of a client", 410, r.header...)
		guarded := secret(`,"restrictions":{"passphrase_hash":"` + hash + `"}`)
		wrong := append(slices.Clone(r.header), api.PassphraseHeader, strings.Repeat("b", 64))
		for range guessLimits.Near {
			s.do(http.MethodGet, r.route+"/"+guarded, nil, wrong...)
		}
		ask("GET", route, r.route+"/"+guarded, "", "of a client", 429, wrong...)
	}
	ask("GET", "/s/{id}", "/s/"+secret(""), "", "of a browser", 200, page...)
	ask("HEAD", "/s/{id}", "/s/"+secret(""), "", "of a browser", 200, page...)
	ask("GET", "/s/{id}", "/s/x", "", "of a browser", 400, page...)
	ask("POST", "/s/{id}", "/s/"+secret(""), "x", "of a browser", 405, page...)

	ask("GET", api.AdminTokensPath, api.AdminTokensPath, "", "", 405)
	ask("POST", api.AdminTokensPath, api.AdminTokensPath, "{}", "from elsewhere", 403, auth...)
	ask("POST", api.AdminTokensPath, api.AdminTokensPath, "{}", "with a user token", 401, append(auth, "X-Forwarded-For", "192.0.2.1")...)

	s.server.health = health{check: func(context.Context) error { return errors.New("ill") }}
	ask("GET", "/healthy", "/healthy", "", "", 503)
	s.server.draining.Store(true)
	ask("GET", "/ready", "/ready", "", "", 503)
	return answers
}

// faultyStore is a store that fails as the test wants it to.
type faultyStore struct {
	store.Store
	fault *atomic.Pointer[error]
}

func (s faultyStore) Draft(ctx context.Context, id store.ID) (store.Draft, error) {
	draft, err := s.Store.Draft(ctx, id)
	return faultyDraft{draft, s.fault}, err
}

type faultyDraft struct {
	store.Draft
	fault *atomic.Pointer[error]
}

func (d faultyDraft) Commit(ctx context.Context, secret store.Secret) error {
	if err := d.fault.Load(); err != nil {
		return *err
	}
	return d.Draft.Commit(ctx, secret)
}

func (s faultyStore) ClaimUnseen(
	ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration, most int64,
) (store.Claim, error) {
	if err := s.fault.Load(); err != nil {
		return nil, *err
	}
	return s.Store.ClaimUnseen(ctx, id, claimant, lease, most)
}

func (s faultyStore) Look(ctx context.Context, id store.ID) (store.Secret, error) {
	if err := s.fault.Load(); err != nil {
		return store.Secret{}, *err
	}
	return s.Store.Look(ctx, id)
}

// formatHeaders writes what all answers have in common once, and then of each what is its own.
func formatHeaders(answers []namedAnswer) string {
	lines := func(a namedAnswer) (lines []string) {
		for name, values := range a.header {
			switch name {
			case "Date", "Content-Length":
				continue
			case "Retry-After", api.LeaseHeader:
				values = []string{"(seconds)"}
			}
			for _, value := range values {
				lines = append(lines, name+": "+value)
			}
		}
		slices.Sort(lines)
		return lines
	}
	common := lines(answers[0])
	for _, a := range answers {
		its := lines(a)
		common = slices.DeleteFunc(common, func(line string) bool { return !slices.Contains(its, line) })
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "every answer\n\t%s\n", strings.Join(common, "\n\t"))
	slices.SortFunc(answers, func(a, b namedAnswer) int { return strings.Compare(a.name, b.name) })
	for _, a := range answers {
		fmt.Fprintf(&b, "\n%s\n", a.name)
		for _, line := range lines(a) {
			if !slices.Contains(common, line) {
				fmt.Fprintf(&b, "\t%s\n", line)
			}
		}
	}
	return b.String()
}

// TestBotsLeaveSecretsAlone asks as the link previews, scanners and crawlers that there are.
func TestBotsLeaveSecretsAlone(t *testing.T) {
	s := newSite(t)
	id := s.create([]byte("still here"))
	bots := strings.Split(strings.TrimSpace(readFile(t, "testdata/bots.txt")), "\n")
	if len(bots) < 40 {
		t.Fatalf("there are %d bots", len(bots))
	}
	for _, bot := range bots {
		for _, accept := range []string{"", "*/*", "text/html", "application/json"} {
			for _, extra := range [][]string{nil, {"Purpose", "prefetch"}, {"Sec-Purpose", "prefetch"}, {"Sec-Purpose", "prefetch;prerender"}, {"X-Moz", "prefetch"}} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					header := append([]string{"User-Agent", bot, "Accept", accept}, extra...)
					if status, answer, _ := s.do(method, api.LinkPath+"/"+id, nil, header...); status != 200 || method == http.MethodGet && !strings.Contains(answer, "<html") {
						t.Errorf("%s with %v gives %d %.60q", method, header, status, answer)
					}
				}
			}
		}
	}
	s.wantThere(id, []byte("still here"))
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
