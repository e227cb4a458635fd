package commands

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"hakanai/httpapi/api"
	"hakanai/httpapi/apitest"
)

// TestTheServerAnswersAsItDescribes makes requests from the description that the real server gives of itself, right ones
// and broken ones. Whatever is asked, the answer is one that is described; what is broken is refused and consumes nothing.
// HAKANAI_SEED makes other requests.
func TestTheServerAnswersAsItDescribes(t *testing.T) {
	const requests = 6000
	seed := uint64(1)
	if text := os.Getenv("HAKANAI_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	impressum := filepath.Join(t.TempDir(), "impressum.txt")
	if err := os.WriteFile(impressum, []byte("somebody"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startServe(t, []string{
		"--data-dir", t.TempDir(), "--enable-admin-token", "--trusted-ip-ranges", guessers + "0/24," + admins + "0/24",
		"--asn-header", "x-asn", "--cors-allowed-origins", "https://app.example.com", "--impressum-file", impressum,
	})
	f := newFuzzer(t, d, seed)
	for range requests {
		f.ask()
	}
	f.wantAllKept()
	t.Logf("seed %d: %d requests, of them %d broken; answers by status: %v", seed, requests, f.broken, f.answers)
	for status, n := range map[int]int{
		200: 500, 204: 5, 206: 5, 400: 500, 401: 50, 403: 10, 404: 100, 405: 100, 410: 10, 416: 10, 429: 1, 501: 10,
	} {
		if f.answers[status] < n {
			t.Errorf("only %d requests were answered %d", f.answers[status], status)
		}
	}
	for _, word := range []string{"panicked", `"level":"error"`, `"level":"warn"`, "ERR", "WRN"} {
		if lines := d.logged(word); len(lines) > 0 {
			t.Errorf("the log says %s", lines)
		}
	}
}

// Trusted networks: of those who guess admin tokens, and are soon heard no more, and of those who have it.
const (
	guessers = "192.0.2."
	admins   = "198.51.100."
)

// fuzzer makes requests and judges the answers.
type fuzzer struct {
	t           *testing.T
	d           *daemon
	g           *apitest.Generator
	description *apitest.Description
	operations  []fuzzed

	conn   net.Conn
	reader *bufio.Reader

	kept    []string // ids of secrets that only broken requests ask for
	guarded []string // likewise, with a passphrase
	fresh   []string // of those that may be taken
	taken   []string
	leased  []lease
	answers map[int]int
	broken  int
}

// lease is what a secret was claimed with.
type lease struct{ id, value string }

// fuzzed is an operation.
type fuzzed struct {
	path, method string
	item         *openapi3.PathItem
	*openapi3.Operation
}

// request is one that is being made.
type request struct {
	method, target string
	header         [][2]string
	body           []byte
	broken         bool // it must be refused
	right          bool // it must be accepted, as far as the description can say
	noPage         bool // it must not ask for a page
}

func (r *request) set(name, value string) { r.header = append(r.header, [2]string{name, value}) }

const (
	keptSecret  = "still here"
	passphrase  = "c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a"
	createsKept = `{"data":"c3RpbGwgaGVyZQ==","expires_in":3600`
)

func newFuzzer(t *testing.T, d *daemon, seed uint64) *fuzzer {
	response, err := http.Get(d.url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	document, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	description, err := apitest.Load(document)
	if err != nil {
		t.Fatal(err)
	}
	f := &fuzzer{t: t, d: d, g: description.NewGenerator(seed), description: description, answers: make(map[int]int)}
	paths := description.Doc.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		operations := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			times := 1
			switch { // there is more to break
			case operations[method].RequestBody != nil:
				times = 25
			case strings.Contains(path, "{id}"):
				times = 10
			}
			for range times {
				f.operations = append(f.operations, fuzzed{path, method, paths[path], operations[method]})
			}
		}
	}
	for range 20 {
		f.kept = append(f.kept, f.create(createsKept+`}`))
	}
	for range 2 { // few, so that some are guessed at too often
		f.guarded = append(f.guarded, f.create(createsKept+`,"restrictions":{"passphrase_hash":"`+passphrase+`"}}`))
	}
	return f
}

func (f *fuzzer) create(body string) string {
	f.t.Helper()
	r := &request{method: http.MethodPost, target: api.SecretPath, body: []byte(body)}
	r.set("Authorization", "Bearer "+f.d.token)
	response, answer := f.send(r)
	var created api.CreateResponse
	if err := json.Unmarshal(answer, &created); err != nil {
		f.t.Fatalf("creating: %d %s", response.StatusCode, answer)
	}
	return created.ID
}

// ask makes one request, and compares the answer with the description.
func (f *fuzzer) ask() {
	operation := apitest.Pick(f.g, f.operations...)
	r := f.request(operation)
	if f.g.IntN(2) == 0 {
		f.breakRequest(operation, r)
	}
	f.decorate(r)
	if r.broken {
		f.broken++
	}
	response, answer := f.send(r)
	f.answers[response.StatusCode]++
	header := make(http.Header)
	for _, h := range r.header {
		header.Add(h[0], h[1])
	}
	err := f.description.Check(apitest.Exchange{
		Method: r.method, Target: r.target, Header: header, Body: r.body,
		Status: response.StatusCode, AnswerHeader: response.Header, Answer: answer,
	})
	status := response.StatusCode
	switch {
	case err == nil && r.broken && (status < 400 || status >= 500):
		err = fmt.Errorf("it is broken, and the answer is %d", status)
	case err == nil && r.right && status != http.StatusOK && status != http.StatusNotImplemented:
		err = fmt.Errorf("it is right, and the answer is %d", status)
	case err == nil && status >= 500 && (status != http.StatusNotImplemented || !bytes.Contains(r.body, []byte("allowed_countries"))):
		err = fmt.Errorf("the answer is %d", status)
	}
	if err != nil {
		f.t.Errorf("%v\n%s %.200s\n%.500q\n%.500q\nis answered %d %.200q", err, r.method, r.target, r.header, r.body, status, answer)
	}
	var created api.CreateResponse
	if status == http.StatusOK && r.target == api.SecretPath && json.Unmarshal(answer, &created) == nil && !bytes.Contains(r.body, []byte("restrictions")) {
		f.fresh = append(f.fresh, created.ID)
	}
}

// request is an operation's request that is right.
func (f *fuzzer) request(operation fuzzed) *request {
	r := &request{method: operation.method, target: operation.path, right: true}
	switch {
	case strings.Contains(operation.path, "{id}"):
		r.right = false
		r.target = strings.Replace(operation.path, "{id}", f.freshID(r), 1)
	case strings.Contains(operation.path, "{file}"):
		r.target, r.right = "/assets/"+apitest.Pick(f.g, "x.js", "index.css", "..", "a%20b"), false
	case strings.Contains(operation.path, "privacy"):
		r.right = false // this server has none
	case operation.method == http.MethodOptions:
		r.right = false
		if f.g.IntN(4) > 0 {
			r.set("Access-Control-Request-Method", apitest.Pick(f.g, "GET", "POST", "DELETE", "PUT", "x"))
			r.set("Access-Control-Request-Headers", apitest.Pick(f.g, "content-type", "x-hakanai-claim,range", "x-odd", ""))
		}
	}
	if operation.RequestBody != nil {
		r.body, _ = f.g.Body(operation.RequestBody.Value.Content["application/json"].Schema, 0)
		r.set("Content-Type", "application/json")
	}
	if operation.Security != nil {
		for scheme := range (*operation.Security)[0] {
			r.set("Authorization", "Bearer "+map[string]string{"token": f.d.token, "adminToken": f.d.admin}[scheme])
			if scheme == "adminToken" {
				r.set("X-Forwarded-For", admins+strconv.Itoa(f.g.IntN(256)))
			}
		}
	}
	return r
}

// freshID is one of a secret that may be taken, or of none. What was taken once is asked for again, and ended, by who has
// it and by others.
func (f *fuzzer) freshID(r *request) string {
	if f.g.IntN(3) == 0 || r.method == http.MethodDelete {
		r.set("User-Agent", "hakanai-test/1")
	}
	switch n := len(f.fresh); {
	case len(f.leased) > 0 && f.g.IntN(2) == 0:
		l := apitest.Pick(f.g, f.leased...)
		r.set(api.ClaimHeader, apitest.Pick(f.g, l.value, l.value, l.value, f.claim()))
		if f.g.IntN(2) == 0 {
			r.noPage = true
			r.set("Range", apitest.Pick(f.g, "bytes=0-", "bytes=2-", "bytes=1-2", "bytes=-3", "bytes=9-2", "bytes=999999-", "bytes=0-0,2-2", "x"))
		}
		return l.id
	case r.method == http.MethodGet && n > 0 && f.g.IntN(2) == 0:
		id := f.fresh[n-1]
		f.fresh, f.taken = f.fresh[:n-1], append(f.taken, id)
		if f.g.IntN(3) > 0 {
			l := lease{id, f.claim()}
			r.set(api.ClaimHeader, l.value)
			f.leased = append(f.leased, l)
		}
		return id
	case len(f.taken) > 0 && f.g.IntN(2) == 0:
		return apitest.Pick(f.g, f.taken...)
	default:
		return fmt.Sprintf("%08x-0000-4000-8000-%012x", f.g.Uint32(), f.g.Uint32())
	}
}

func (f *fuzzer) claim() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%016x%016x", f.g.Uint64(), f.g.Uint64()))
}

// breakRequest does one thing to a request that makes it wrong, or that might.
func (f *fuzzer) breakRequest(operation fuzzed, r *request) {
	r.right = false
	if strings.Contains(operation.path, "{id}") { // whatever comes of it, these secrets stay
		r.target = strings.Replace(operation.path, "{id}", apitest.Pick(f.g, f.kept...), 1)
		f.breakRetrieval(r)
		return
	}
	switch {
	case operation.RequestBody != nil && f.g.IntN(4) > 0:
		var allowed bool
		r.body, allowed = f.g.Body(operation.RequestBody.Value.Content["application/json"].Schema, 1+f.g.IntN(2))
		r.broken = !allowed
	case operation.RequestBody != nil && f.g.IntN(2) == 0:
		f.breakToken(r)
	case f.g.IntN(2) == 0:
		f.breakPath(r)
	default:
		f.breakMethod(operation, r)
	}
}

// breakRetrieval makes a request for a secret wrong in a way that must not consume it.
func (f *fuzzer) breakRetrieval(r *request) {
	r.broken = true
	r.header = nil
	if strings.HasPrefix(r.target, api.LinkPath) {
		r.set("User-Agent", "hakanai-test/1")
	}
	if r.method == http.MethodDelete { // nobody has claimed these
		r.set(api.ClaimHeader, apitest.Pick(f.g, f.claim(), strings.Map(printable, f.g.OddText())))
		return
	}
	switch f.g.IntN(7) {
	case 0:
		f.breakPath(r)
	case 1, 2:
		r.noPage = true
		r.target = r.target[:strings.LastIndexByte(r.target, '/')+1] + apitest.Pick(f.g, f.guarded...)
		if f.g.IntN(4) > 0 {
			r.set(api.PassphraseHeader, strings.Map(printable, apitest.Pick(
				f.g, strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 64), strings.ToUpper(passphrase), passphrase[1:], f.g.OddText())))
		}
	case 3:
		r.noPage = true
		r.set(api.ClaimHeader, apitest.Pick(f.g, "", "x", f.claim()[1:], f.claim()+"A", f.claim()[1:]+"=", f.claim()[1:]+"B", strings.Map(printable, f.g.OddText())))
	case 4:
		r.noPage = true
		r.set("Range", apitest.Pick(f.g, "bytes=0-0", "bytes=0-", "bytes=-1", "bytes=5-1", "bytes=0-1,3-4", "lines=1-2", "x"))
	case 5:
		if id := r.target[strings.LastIndexByte(r.target, '/')+1:]; f.g.IntN(2) == 0 {
			r.target = strings.Replace(r.target, id, apitest.Pick(f.g, id[:35], id+"0", "urn:uuid:"+id, strings.ReplaceAll(id, "-", ""), "x", id[:35]+"g"), 1)
			break
		}
		r.header = nil
		fallthrough
	default:
		r.method = apitest.Pick(f.g, "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "QUERY", "get", "GETT", "PROPFIND", "X-Ü"[:2])
	}
}

func (f *fuzzer) breakPath(r *request) {
	r.broken = true
	dir, last := r.target[:strings.LastIndexByte(r.target, '/')+1], r.target[strings.LastIndexByte(r.target, '/')+1:]
	odd := []string{
		r.target + "/x", r.target + "//", "/" + r.target, r.target + "/.", r.target + "/../" + last, dir + "./" + last, r.target + ";x", r.target + "%00",
		r.target + "%2F", r.target + "é", r.target + "/儚い", r.target + "%20", strings.Replace(r.target, "/", "//", 1), "/%2e" + r.target, r.target + strings.Repeat("x", 4000),
	}
	if last != "" {
		odd = append(odd, dir+"%"+fmt.Sprintf("%02x", last[0])+last[1:], strings.ToUpper(dir)+"X"+last, r.target+"/")
	}
	r.target = apitest.Pick(f.g, odd...)
}

func (f *fuzzer) breakMethod(operation fuzzed, r *request) {
	method := apitest.Pick(f.g, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "get", "PROPFIND")
	if operation.item.Operations()[method] == nil {
		r.method, r.broken = method, true
	}
}

func (f *fuzzer) breakToken(r *request) {
	r.broken = true
	r.header = nil
	r.set("X-Forwarded-For", apitest.Pick(f.g, guessers+"9", "203.0.113.9", "", "x", "unknown, "+guessers+"9"))
	if token := apitest.Pick(f.g, "", "Bearer", "Bearer ", "Bearer x", "Basic eDp4", "Bearer "+f.d.token+"x", "bearer"+f.d.token, "Bearer \xff\xfe", "Token "+f.d.admin); token != "" {
		r.set("Authorization", token)
	}
}

// decorate adds what changes nothing but how the answer is written.
func (f *fuzzer) decorate(r *request) {
	if !r.noPage && f.g.IntN(2) == 0 {
		r.set("Accept", apitest.Pick(f.g, "*/*", "application/json", "text/html", "text/plain, application/json;q=0.1", "text/html,*/*", "x", "é"))
	}
	if f.g.IntN(4) == 0 {
		r.set(
			apitest.Pick(f.g, "X-Request-Id", "X-Asn", "If-None-Match", "If-Modified-Since", "Accept-Encoding", "Cookie", "X-Odd", "X-Forwarded-Proto", "Accept-Language"),
			strings.Map(printable, apitest.Pick(f.g, "https", "gzip", "*", "DE", f.g.OddText())))
	}
	if f.g.IntN(8) == 0 || r.method == http.MethodOptions {
		f.asPage(r)
	}
	if f.g.IntN(4) == 0 {
		r.target += apitest.Pick(f.g, "?", "?x", "?id=1&id=2", "?%zz", "?"+strings.Repeat("x", 2000), "?%00")
	}
}

// asPage makes a request as the page of a site does.
func (f *fuzzer) asPage(r *request) {
	r.right = false // it may be any site
	r.set("Origin", apitest.Pick(f.g, "https://app.example.com", "https://app.example.com", "https://app.example.com.evil.example", "null", "x", "http://x"))
	if f.g.IntN(2) == 0 {
		r.set("Sec-Fetch-Site", apitest.Pick(f.g, "cross-site", "same-site", "same-origin", "none", "x"))
	}
}

// printable keeps what a header's value can hold.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// send sends a request as it is, over a connection that is kept.
func (f *fuzzer) send(r *request) (*http.Response, []byte) {
	f.t.Helper()
	if f.conn == nil {
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.d.url, "http://"))
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() { conn.Close() })
		f.conn, f.reader = conn, bufio.NewReader(conn)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\n", r.method, r.target)
	for _, h := range r.header {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if len(r.body) > 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n")
	b.Write(r.body)
	if _, err := f.conn.Write(b.Bytes()); err != nil {
		f.t.Fatalf("%.2000q: %v", b.Bytes(), err)
	}
	response, err := http.ReadResponse(f.reader, &http.Request{Method: r.method})
	if err != nil {
		f.t.Fatalf("%.2000q: %v", b.Bytes(), err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatalf("%.2000q: %v", b.Bytes(), err)
	}
	if response.Close {
		f.conn.Close()
		f.conn = nil
	}
	return response, answer
}

// wantAllKept takes the secrets that only broken requests have asked for. Guesses were made from this machine: who has the
// passphrase comes from elsewhere.
func (f *fuzzer) wantAllKept() {
	for _, id := range slices.Concat(f.kept, f.guarded) {
		r := &request{method: http.MethodGet, target: api.SecretPath + "/" + id}
		r.set(api.PassphraseHeader, passphrase)
		r.set("X-Forwarded-For", "203.0.113.1")
		if response, text := f.send(r); response.StatusCode != http.StatusOK || string(text) != base64.StdEncoding.EncodeToString([]byte(keptSecret)) {
			f.t.Errorf("a secret that nobody has asked for rightly is %d", response.StatusCode)
		}
	}
}
