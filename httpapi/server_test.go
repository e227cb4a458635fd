package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"hakanai/httpapi/api"
	"hakanai/store"
	"hakanai/store/embedded"
	"hakanai/store/storetest"
)

// site is a server on a listener of its own, with an embedded store and a token.
type site struct {
	t      testing.TB
	url    string
	addr   string
	token  string
	store  store.Store
	server *Server
	log    *bytes.Buffer // read it after close
	close  func()
}

// newSite starts a server. change may change it before it serves.
func newSite(t testing.TB, change ...func(*Server)) *site {
	t.Helper()
	secrets, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Report: func(err error) { t.Errorf("reported: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	token, hash, err := NewToken(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := secrets.PutToken(t.Context(), hash, DefaultToken(store.UserToken)); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	server := New(Options{Store: secrets, Log: zerolog.New(zerolog.SyncWriter(log)).Level(zerolog.DebugLevel), UploadSizeLimit: 1 << 20})
	for _, c := range change {
		c(server)
	}
	server.handler = witness(t, server)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	s := &site{
		t: t, addr: listener.Addr().String(), token: token, store: secrets, server: server, log: log,
		url: "http://" + listener.Addr().String(),
	}
	s.close = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
		if err := secrets.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	t.Cleanup(s.close)
	return s
}

// do makes a request and returns status and body.
func (s *site) do(method, path string, body io.Reader, header ...string) (int, string, http.Header) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
		return 0, "", nil
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, string(b), response.Header
}

// post posts a body with the token.
func (s *site) post(body string) (int, string) {
	s.t.Helper()
	status, answer, _ := s.do(http.MethodPost, api.SecretPath, strings.NewReader(body), "Authorization", "Bearer "+s.token)
	return status, answer
}

// create stores a ciphertext and returns its id.
func (s *site) create(ciphertext []byte) string {
	s.t.Helper()
	status, answer := s.post(`{"data":"` + base64.StdEncoding.EncodeToString(ciphertext) + `","expires_in":3600}`)
	if status != 200 {
		s.t.Fatalf("creating: %d %s", status, answer)
	}
	return s.created(answer)
}

// created reads the id from the answer to a create.
func (s *site) created(answer string) string {
	s.t.Helper()
	var created api.CreateResponse
	if err := json.Unmarshal([]byte(answer), &created); err != nil {
		s.t.Fatalf("creating: %s", answer)
	}
	return created.ID
}

func (s *site) get(id string) (int, string) {
	s.t.Helper()
	status, answer, _ := s.do(http.MethodGet, api.SecretPath+"/"+id, nil)
	return status, answer
}

// wantThere takes a secret, to see that nobody has.
func (s *site) wantThere(id string, want []byte) {
	s.t.Helper()
	status, answer := s.get(id)
	if got, err := base64.StdEncoding.DecodeString(answer); status != 200 || err != nil || !bytes.Equal(got, want) {
		s.t.Errorf("the secret is not there: %d %.80q", status, answer)
	}
}

// wantNothing asserts that the store holds no secret, nor a file of one.
func (s *site) wantNothing() {
	s.t.Helper()
	if n, err := s.store.Count(s.t.Context()); err != nil || n.Secrets != 0 {
		s.t.Errorf("%d secrets are stored (%v)", n.Secrets, err)
	}
}

func TestASecretIsRetrievedOnceByteForByte(t *testing.T) {
	s := newSite(t)
	for _, size := range []int{1, 2, 3, 100, 48 << 10, 48<<10 + 1, 700_000} {
		want := storetest.Bytes(size)
		id := s.create(want)
		if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 4 || parsed.String() != id {
			t.Errorf("the id is %q", id)
		}
		status, answer, header := s.do(http.MethodGet, api.SecretPath+"/"+id, nil)
		if status != 200 || answer != base64.StdEncoding.EncodeToString(want) {
			t.Errorf("%d bytes come back as %d with status %d", size, len(answer), status)
		}
		for name, want := range map[string]string{
			"Content-Length": fmt.Sprint((size + 2) / 3 * 4), "Content-Type": "text/plain", "Content-Encoding": "",
			"Cache-Control": "no-cache, no-store, must-revalidate, no-transform",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if status, _ := s.get(id); status != http.StatusGone {
			t.Errorf("a second time it is %d", status)
		}
	}
}

func TestFieldsComeInAnyOrderAndWithEscapes(t *testing.T) {
	s := newSite(t)
	for _, body := range []string{
		`{"data":"%s","expires_in":60}`,
		`{"expires_in":60,"data":"%s"}`,
		" {\n\t\"expires_in\" : 60 , \r\n \"data\" : \"%s\" } \n",
		`{"restrictions":null,"data":"%s","expires_in":60}`,
		`{"data":"%s","restrictions":{},"expires_in":60}`,
		`{"data":"%s","expires_in":60,"restrictions":{"allowed_ips":[],"allowed_asns":null}}`,
		`{"unknown":{"data":["}\"",{"x":[1,2]}]},"data":"%s","more":-1.5e9,"\u0065xpires_in":60,"s":"\\"}`,
	} {
		for _, spell := range []func(string) string{
			func(s string) string { return s },
			func(s string) string { return strings.ReplaceAll(s, "/", `\/`) },
			func(s string) string { return strings.ReplaceAll(s, "A", `\u0041`) },
		} {
			want := append([]byte{0xff, 0xff, 0xff, 0, 0, 0}, storetest.Bytes(1000)...)
			text := spell(base64.StdEncoding.EncodeToString(want))
			status, answer := s.post(fmt.Sprintf(body, text))
			var created api.CreateResponse
			if err := json.Unmarshal([]byte(answer), &created); status != 200 || err != nil {
				t.Fatalf("%s: %d %s", body, status, answer)
			}
			s.wantThere(created.ID, want)
		}
	}
}

func TestBadBodiesAreRefusedAndLeaveNothing(t *testing.T) {
	s := newSite(t)
	long := strings.Repeat("QUJD", 50_000)
	for body, want := range map[string]int{
		``: 400, ` `: 400, `x`: 400, `null`: 400, `[]`: 400, `"data"`: 400, `1`: 400, `{`: 400, `{}`: 400, `{"`: 400, `{,}`: 400,
		`{"data"`: 400, `{"data":`: 400, `{"data":"`: 400, `{"data":"QUJD`: 400, `{"data":"QUJD"`: 400, `{"data":"QUJD",`: 400,
		`{"data":"QUJD"}`:                                                           400,
		`{"data":"QUJD","expires_in":60`:                                            400,
		`{"data":"QUJD","expires_in":60,}`:                                          400,
		`{"data":"QUJD","expires_in":60} x`:                                         400,
		`{"data":"QUJD","expires_in":60}{}`:                                         400,
		`{"data":"QUJD" "expires_in":60}`:                                           400,
		`{"data":"QUJD","data":"QUJD","expires_in":60}`:                             400,
		`{"data":"QUJD","expires_in":60,"data":"QUJD"}`:                             400,
		`{"data":"QUJD","expires_in":60,"expires_in":60}`:                           400,
		`{"data":"QUJD","\u0064ata":"QUJD","expires_in":6}`:                         400,
		`{"DATA":"QUJD","expires_in":60}`:                                           400,
		`{"data":null,"expires_in":60}`:                                             400,
		`{"data":1,"expires_in":60}`:                                                400,
		`{"data":["QUJD"],"expires_in":60}`:                                         400,
		`{"data":{},"expires_in":60}`:                                               400,
		`{"data":"","expires_in":60}`:                                               400,
		`{"data":"QUJ","expires_in":60}`:                                            400,
		`{"data":"QU","expires_in":60}`:                                             400,
		`{"data":"Q","expires_in":60}`:                                              400,
		`{"data":"QUI","expires_in":60}`:                                            400,
		`{"data":"QUI==","expires_in":60}`:                                          400,
		`{"data":"QUJ=","expires_in":60}`:                                           400, // bits that stand for nothing
		`{"data":"QQ==QUJD","expires_in":60}`:                                       400,
		`{"data":"====","expires_in":60}`:                                           400,
		`{"data":"QUJ_","expires_in":60}`:                                           400,
		`{"data":"QUJ-","expires_in":60}`:                                           400,
		`{"data":"QU JD","expires_in":60}`:                                          400,
		`{"data":"QUJD\n","expires_in":60}`:                                         400,
		"{\"data\":\"QUJD\n\",\"expires_in\":60}":                                   400,
		`{"data":"QUJD\x","expires_in":60}`:                                         400,
		`{"data":"QUJD\u00","expires_in":60}`:                                       400,
		`{"data":"QUJD\u00e9","expires_in":60}`:                                     400,
		"{\"data\":\"QUJ\xff\",\"expires_in\":60}":                                  400,
		`{"data":"` + long + `*","expires_in":60}`:                                  400,
		`{"data":"` + long:                                                          400,
		`{"data":"QUJD","expires_in":0}`:                                            400,
		`{"data":"QUJD","expires_in":-1}`:                                           400,
		`{"data":"QUJD","expires_in":1.5}`:                                          400,
		`{"data":"QUJD","expires_in":60.0}`:                                         400,
		`{"data":"QUJD","expires_in":1e3}`:                                          400,
		`{"data":"QUJD","expires_in":604801}`:                                       400,
		`{"data":"QUJD","expires_in":9223372036854775807}`:                          400,
		`{"data":"QUJD","expires_in":9223372036854775808}`:                          400,
		`{"data":"QUJD","expires_in":18446744073709551617}`:                         400,
		`{"data":"QUJD","expires_in":1` + strings.Repeat("0", 400) + `}`:            400,
		`{"data":"QUJD","expires_in":"60"}`:                                         400,
		`{"data":"QUJD","expires_in":null}`:                                         400,
		`{"data":"QUJD","expires_in":true}`:                                         400,
		`{"data":"QUJD","expires_in":060}`:                                          400,
		`{"data":"QUJD","expires_in":+60}`:                                          400,
		`{"data":"QUJD","expires_in":60,"x":[[[[[[[[[1]]]]]]]]]}`:                   400,
		`{"data":"QUJD","expires_in":60,"x":tru}`:                                   400,
		`{"data":"QUJD","expires_in":60,"x":[1,]}`:                                  400,
		`{"data":"QUJD","expires_in":60,"restrictions":1}`:                          400,
		`{"data":"QUJD","expires_in":60,"restrictions":{"allowed_asns":[1]}}`:       501,
		`{"data":"QUJD","expires_in":60,"x":"` + strings.Repeat("x", 70_000) + `"}`: 413,
		`{` + strings.Repeat(" ", 70_000) + `"data":"QUJD","expires_in":60}`:        413,
	} {
		status, answer := s.post(body)
		if status != want {
			t.Errorf("%.80q gives %d, want %d: %s", body, status, want, answer)
		}
		if strings.TrimSpace(answer) == "" || strings.Contains(answer, "\n\n") || len(answer) > 200 {
			t.Errorf("%.80q is answered %q", body, answer)
		}
	}
	s.wantNothing()
}

func TestTheShortestAndLongestLivesAreAccepted(t *testing.T) {
	s := newSite(t)
	for _, seconds := range []int{1, 604800} {
		if status, answer := s.post(fmt.Sprintf(`{"data":"QUJD","expires_in":%d}`, seconds)); status != 200 {
			t.Errorf("%d seconds: %d %s", seconds, status, answer)
		}
	}
}

func TestSizeIsLimitedAsBytesArrive(t *testing.T) {
	s := newSite(t)
	bound := api.CiphertextBound(1 << 20)
	s.wantThere(s.create(make([]byte, bound)), make([]byte, bound))
	body := func(size int64) string {
		return `{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, size)) + `","expires_in":60}`
	}
	if status, answer := s.post(body(bound + 1)); status != 413 {
		t.Errorf("one byte over the bound gives %d %s", status, answer)
	}
	// In chunks, without a length: the body never ends, so the server must stop it.
	endless := io.MultiReader(strings.NewReader(`{"data":"`), endlessly("QUJD"))
	if status, _, _ := s.do(http.MethodPost, api.SecretPath, endless, "Authorization", "Bearer "+s.token); status != 413 {
		t.Errorf("an endless body gives %d", status)
	}
	spaces := io.LimitReader(endlessly("    "), 1<<30)
	if status, _, _ := s.do(http.MethodPost, api.SecretPath, spaces, "Authorization", "Bearer "+s.token); status != 413 {
		t.Errorf("a GiB of spaces gives %d", status)
	}
	s.wantNothing()
}

type repeating struct{ text string }

func endlessly(text string) io.Reader { return &repeating{strings.Repeat(text, 1024)} }

func (r *repeating) Read(p []byte) (int, error) { return copy(p, r.text), nil }

func TestWhatCannotFitIsRefusedBeforeItIsRead(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		header string
		want   string
	}{
		{"Authorization: Bearer " + s.token + "\r\nContent-Length: 1099511627776\r\n", " 413 "},
		{"Content-Length: 1099511627776\r\n", " 401 "},
		{"Authorization: Bearer wrong\r\nContent-Length: 1000\r\n", " 401 "},
		{"Authorization: Bearer " + s.token + "\r\nContent-Length: 100\r\nContent-Encoding: gzip\r\n", " 415 "},
	} {
		answer := s.raw("POST " + api.SecretPath + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + test.header + "\r\n")
		if line, _, _ := strings.Cut(answer, "\r\n"); !strings.Contains(line, test.want) {
			t.Errorf("%q is answered %q, want%s", test.header, line, test.want)
		}
	}
}

// raw sends bytes and returns what is answered until the connection ends or is quiet.
func (s *site) raw(request string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.Proto + " " + response.Status + " \r\n" + string(body)
}

func TestABodyLargerThanDeclaredIsCutOff(t *testing.T) {
	s := newSite(t)
	body := `{"data":"QUJD","expires_in":60}`
	request := "POST " + api.SecretPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.token + "\r\nContent-Length: 10\r\n\r\n" + body
	if answer := s.raw(request); !strings.Contains(answer, " 400 ") {
		t.Errorf("answer is %q", answer)
	}
	s.wantNothing()
}

func TestTokensAreRequired(t *testing.T) {
	s := newSite(t)
	if err := s.store.PutToken(t.Context(), hashToken("expired"), store.Token{Kind: store.UserToken, TTL: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer x", "Basic " + s.token, s.token, "Bearer " + s.token + "x", "Bearer expired"} {
		status, answer, h := s.do(http.MethodPost, api.SecretPath, strings.NewReader(`{"data":"QUJD","expires_in":60}`), "Authorization", header)
		if status != 401 || !strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%q gives %d %s", header, status, answer)
		}
	}
	s.wantNothing()
	status, _, _ := s.do(http.MethodPost, api.SecretPath, strings.NewReader(`{"data":"QUJD","expires_in":60}`), "Authorization", "bearer  "+s.token)
	if status != 200 {
		t.Errorf("the token gives %d", status)
	}
}

func TestATokensOwnLimitCounts(t *testing.T) {
	s := newSite(t)
	if err := s.store.PutToken(t.Context(), hashToken("small"), store.Token{Kind: store.UserToken, TTL: time.Hour, UploadSizeLimit: 1000}); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int64]int{api.CiphertextBound(1000): 200, api.CiphertextBound(1000) + 1: 413} {
		body := `{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, size)) + `","expires_in":60}`
		if status, _, _ := s.do(http.MethodPost, api.SecretPath, strings.NewReader(body), "Authorization", "Bearer small"); status != want {
			t.Errorf("%d bytes give %d, want %d", size, status, want)
		}
	}
}

func TestIDs(t *testing.T) {
	s := newSite(t)
	id := s.create([]byte("secret"))
	plain := strings.ReplaceAll(id, "-", "")
	for _, bad := range []string{
		"x", "1", plain, "{" + id + "}", "urn:uuid:" + id, id + "x", id[1:], id[:35] + "g", strings.Replace(id, "-", "_", 1),
		strings.Repeat("a", 36), "null", "undefined", strings.Repeat("9", 5000),
	} {
		if status, _ := s.get(bad); status != 400 {
			t.Errorf("%.50q gives %d", bad, status)
		}
	}
	if status, _ := s.get(uuid.NewString()); status != 404 {
		t.Errorf("an unknown id gives %d", status)
	}
	s.wantThere(strings.ToUpper(id), []byte("secret"))
}

func TestOnlyAnExactGetConsumes(t *testing.T) {
	s := newSite(t)
	want := []byte("still here")
	id := s.create(want)
	cli := []string{"User-Agent", "hakanai-cli/1"}
	for _, route := range []string{api.SecretPath + "/", api.LinkPath + "/"} {
		path := route + id
		for _, method := range []string{"HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "GETT", "PROPFIND", "QUERY"} {
			want := 405
			if method == "DELETE" { // it ends a claim, and there is none
				want = 400
			}
			if status, _, _ := s.do(method, path, nil, cli...); status != want {
				t.Errorf("%s %s gives %d", method, route, status)
			}
		}
		for _, odd := range []string{
			path + "/", path + "//", "/" + path, "//x/.." + path, strings.ToUpper(route) + id, route + "../" + strings.Trim(route, "/") + "/" + id,
			route + "./" + id, route + "%" + fmt.Sprintf("%02x", id[0]) + id[1:], strings.Replace(path, "s", "%73", 1), path + "%00", path + ";x",
			path + "%2F", path + "/.", path + "/..", strings.Replace(path, "/", "\\", 1),
		} {
			if strings.HasPrefix(odd, "\\") {
				continue // not a request target at all
			}
			if status, _, _ := s.do(http.MethodGet, odd, nil, cli...); status < 400 || status >= 500 {
				t.Errorf("GET %s gives %d", odd, status)
			}
		}
		for _, bad := range []string{"bytes=0-0", "bytes=0-", "bytes=-1", "bytes=5-1", "bytes=0-1,3-4", "lines=1-2", "x"} {
			if status, _, _ := s.do(http.MethodGet, path, nil, append(cli, "Range", bad)...); status != 416 {
				t.Errorf("GET %s with Range %s gives %d", route, bad, status)
			}
		}
	}
	s.wantThere(id, want)
}

func TestLinkPreviewsDoNotConsume(t *testing.T) {
	s := newSite(t)
	id := s.create([]byte("still here"))
	for _, header := range [][]string{
		{},
		{"User-Agent", "Mozilla/5.0", "Accept", "text/html,*/*"},
		{"User-Agent", "Slackbot-LinkExpanding 1.0"},
		{"User-Agent", "curl/8.0"},
		{"User-Agent", "xhakanai-cli/1"},
		{"User-Agent", "Hakanai-cli/1"},
		{"User-Agent", "hakanai-cli/1", "Accept", "text/html"},
		{"User-Agent", "hakanai-cli/1", "Accept", "text/plain, text/html;q=0.1"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			status, answer, h := s.do(method, api.LinkPath+"/"+id, nil, header...)
			if status != 200 || strings.Contains(answer, "c3RpbGwg") || h.Get("Vary") != "User-Agent, Accept" {
				t.Errorf("%s with %v gives %d %q, Vary %q", method, header, status, answer, h.Get("Vary"))
			}
		}
	}
	status, answer, h := s.do(http.MethodGet, api.LinkPath+"/"+id, nil, "User-Agent", "hakanai-client/2.11", "Accept", "*/*")
	if status != 200 || answer != base64.StdEncoding.EncodeToString([]byte("still here")) || !strings.Contains(h.Get("Cache-Control"), "no-store") {
		t.Errorf("a command-line client gets %d %q", status, answer)
	}
}

func TestErrorsAreShortTextOrJSON(t *testing.T) {
	s := newSite(t)
	status, answer, h := s.do(http.MethodGet, api.SecretPath+"/x", nil, "Accept", "text/plain, application/json")
	var e api.ErrorResponse
	if err := json.Unmarshal([]byte(answer), &e); status != 400 || err != nil || e.Error == "" || h.Get("Content-Type") != "application/json" {
		t.Errorf("JSON: %d %q", status, answer)
	}
	status, answer, h = s.do(http.MethodGet, api.SecretPath+"/x", nil)
	if status != 400 || answer != e.Error+"\n" || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Errorf("text: %d %q", status, answer)
	}
	for _, path := range []string{api.SecretPath + "/x", api.SecretPath, "/api/v1/nothing", "/api/v1/admin/tokens"} {
		if _, _, h := s.do(http.MethodGet, path, nil); h.Get("Cache-Control") != "no-cache, no-store, must-revalidate, no-transform" {
			t.Errorf("%s: Cache-Control is %q", path, h.Get("Cache-Control"))
		}
	}
}

func TestOfManyClaimersAtOneInstantOneWins(t *testing.T) {
	s := newSite(t)
	const secrets, claimers = 500, 20
	ids := make([]string, secrets)
	for i := range ids {
		ids[i] = s.create(storetest.Bytes(1024))
	}
	wins, gone := make([]atomic.Int32, secrets), make([]atomic.Int32, secrets)
	starts := make([]sync.WaitGroup, secrets)
	for i := range starts {
		starts[i].Add(claimers)
	}
	var all sync.WaitGroup
	for range claimers {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			for i, id := range ids {
				starts[i].Done()
				starts[i].Wait()
				response, err := client.Get(s.url + api.SecretPath + "/" + id)
				if err != nil {
					t.Error(err)
					continue
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				switch {
				case response.StatusCode == 200 && err == nil && len(body) == 1368:
					wins[i].Add(1)
				case response.StatusCode == http.StatusGone:
					gone[i].Add(1)
				default:
					t.Errorf("%d, %d bytes, %v", response.StatusCode, len(body), err)
				}
			}
		})
	}
	all.Wait()
	for i := range ids {
		if wins[i].Load() != 1 || gone[i].Load() != claimers-1 {
			t.Errorf("secret %d has %d winners and %d losers", i, wins[i].Load(), gone[i].Load())
		}
	}
	s.wantNothing()
}

func TestAClaimIsUndoneWhenItsCallerIsGone(t *testing.T) {
	var holding atomic.Pointer[chan struct{}]
	s := newSite(t, func(s *Server) { s.store = slowClaims{s.store, &holding} })
	for range 20 {
		id := s.create(storetest.Bytes(100_000))
		hold := make(chan struct{})
		holding.Store(&hold)
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET "+api.SecretPath+"/"+id+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-hold // the claim is made
		holding.Store(nil)
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		hold <- struct{}{}
		storetest.Eventually(t, "the secret is back", func() bool {
			status, _ := s.get(id)
			return status == 200
		})
	}
}

// slowClaims is a store that waits after a claim, until the test and then the caller's going have come through.
type slowClaims struct {
	store.Store
	holding *atomic.Pointer[chan struct{}]
}

func (s slowClaims) ClaimUnseen(
	ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration, most int64,
) (store.Claim, error) {
	claim, err := s.Store.ClaimUnseen(ctx, id, claimant, lease, most)
	if hold := s.holding.Load(); hold != nil && err == nil {
		*hold <- struct{}{}
		<-*hold
		<-ctx.Done()
	}
	return claim, err
}

func TestAClaimIsNotUndoneOnceAByteHasLeft(t *testing.T) {
	s := newSite(t)
	want := storetest.Bytes(1 << 20)
	id := s.create(want)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET "+api.SecretPath+"/"+id+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if status, _ := s.get(id); status != http.StatusGone {
			t.Errorf("it is %d", status)
		}
	}
	s.close()
	if log := s.log.String(); !strings.Contains(log, "lost on its way") || strings.Contains(log, "127.0.0.1") {
		t.Errorf("the log says\n%s", log)
	}
}

func TestSlowCallersDoNotHoldUpOthers(t *testing.T) {
	s := newSite(t, func(s *Server) { s.pace.grace = 3 * time.Second })
	const slow = 1000
	var open, served sync.WaitGroup
	var cut atomic.Int32
	open.Add(slow)
	head := "POST " + api.SecretPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.token + "\r\nContent-Length: 100000\r\n\r\n"
	for range slow {
		served.Go(func() {
			conn, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Error(err)
				open.Done()
				return
			}
			defer conn.Close()
			_, err = io.WriteString(conn, head+`{"data":"`)
			open.Done()
			for i := 0; err == nil && i < 60; i++ { // a byte a second, until the server has had enough
				time.Sleep(time.Second)
				_, err = conn.Write([]byte("Q"))
			}
			if err != nil {
				cut.Add(1)
			}
		})
	}
	open.Wait()
	for range 50 {
		want := storetest.Bytes(10_000)
		s.wantThere(s.create(want), want)
	}
	served.Wait()
	if cut.Load() != slow {
		t.Errorf("%d of %d were cut off", cut.Load(), slow)
	}
	s.wantNothing()
}

func TestASlowButSteadyCallerIsServed(t *testing.T) {
	s := newSite(t, func(s *Server) { s.pace.grace, s.pace.silence = 500*time.Millisecond, time.Second })
	want := storetest.Bytes(30_000)
	body := `{"data":"` + base64.StdEncoding.EncodeToString(want) + `","expires_in":60}`
	r, w := io.Pipe()
	go func() {
		for len(body) > 0 {
			n := min(1000, len(body))
			if _, err := io.WriteString(w, body[:n]); err != nil {
				return
			}
			body = body[n:]
			time.Sleep(40 * time.Millisecond)
		}
		w.Close()
	}()
	status, answer, _ := s.do(http.MethodPost, api.SecretPath, r, "Authorization", "Bearer "+s.token)
	var created api.CreateResponse
	if err := json.Unmarshal([]byte(answer), &created); status != 200 || err != nil {
		t.Fatalf("%d %s", status, answer)
	}
	s.wantThere(created.ID, want)
}

func TestASlowStoreIsNotTheCallersDelay(t *testing.T) {
	const patience = 2 * time.Second
	s := newSite(t, func(s *Server) {
		s.pace.grace, s.pace.silence = patience, patience
		s.store = slowStore{s.store, patience + time.Second}
	})
	for _, size := range []int{1000, 200_000} { // a body that has ended when the store takes it, and one that has not
		want := storetest.Bytes(size)
		status, answer := s.get(s.create(want))
		if status != 200 || answer != base64.StdEncoding.EncodeToString(want) {
			t.Errorf("%d, %d bytes come of %d", status, len(answer), size)
		}
	}
}

// slowStore is a store that takes long for the first piece of a ciphertext, either way.
type slowStore struct {
	store.Store
	time time.Duration
}

func (s slowStore) Draft(ctx context.Context, id store.ID) (store.Draft, error) {
	draft, err := s.Store.Draft(ctx, id)
	return &slowDraft{draft, sync.OnceFunc(func() { time.Sleep(s.time) })}, err
}

func (s slowStore) ClaimUnseen(
	ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration, most int64,
) (store.Claim, error) {
	claim, err := s.Store.ClaimUnseen(ctx, id, claimant, lease, most)
	return &slowClaim{claim, sync.OnceFunc(func() { time.Sleep(s.time) })}, err
}

type slowDraft struct {
	store.Draft
	wait func()
}

func (d *slowDraft) Write(p []byte) (int, error) {
	d.wait()
	return d.Draft.Write(p)
}

type slowClaim struct {
	store.Claim
	wait func()
}

func (c *slowClaim) Read(p []byte) (int, error) {
	c.wait()
	return c.Claim.Read(p)
}

func TestAPanicIsAnsweredAndLogsNothingOfTheRequest(t *testing.T) {
	s := newSite(t, func(s *Server) {
		s.mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("on purpose") })
	})
	status, answer, _ := s.do(http.MethodGet, "/panic?canary-query", strings.NewReader("canary-body"), "X-Canary", "canary-header")
	if status != 500 || strings.Contains(answer, "purpose") {
		t.Errorf("%d %s", status, answer)
	}
	if status, _, _ := s.do(http.MethodGet, "/ready", nil); status != 200 {
		t.Errorf("afterwards it is %d", status)
	}
	s.close()
	if log := s.log.String(); strings.Contains(log, "canary") || !strings.Contains(log, "panicked") {
		t.Errorf("the log says %s", log)
	}
}

func TestTheLogNamesNoSecret(t *testing.T) {
	s := newSite(t)
	id := s.create([]byte("canary"))
	s.get(id)
	s.get(id)
	s.get("canary-id")
	s.do(http.MethodGet, "/canary-path?canary-query", nil, "Authorization", "Bearer canary-token", "X-Request-Id", "canary")
	s.do("CANARY-METHOD", "/", nil)
	s.post(`{"canary":`)
	s.close()
	for _, word := range []string{id, id[:8], s.token, "canary", "CANARY", "127.0.0.1"} {
		if strings.Contains(s.log.String(), word) {
			t.Errorf("the log holds %q:\n%s", word, s.log)
		}
	}
	if n := strings.Count(s.log.String(), `"message":"request"`); n != 7 {
		t.Errorf("%d requests are logged:\n%s", n, s.log)
	}
}

func TestMoreTransfersThanMemoryAllowsAreRefusedAndConsumeNothing(t *testing.T) {
	s := newSite(t)
	id := s.create([]byte("still here"))
	for range maxTransfers {
		s.server.transfers <- struct{}{}
	}
	for range 3 {
		if status, answer, h := s.do(http.MethodGet, api.SecretPath+"/"+id, nil); status != 503 || h.Get("Retry-After") == "" {
			t.Errorf("a get gives %d %s", status, answer)
		}
		if status, answer := s.post(`{"data":"QUJD","expires_in":60}`); status != 503 {
			t.Errorf("a create gives %d %s", status, answer)
		}
	}
	for range maxTransfers {
		<-s.server.transfers
	}
	s.wantThere(id, []byte("still here"))
	s.wantNothing()
}

func TestHealth(t *testing.T) {
	s := newSite(t)
	for path, want := range map[string]string{"/ready": "ready\n", "/healthy": "healthy\n"} {
		if status, answer, _ := s.do(http.MethodGet, path, nil); status != 200 || answer != want {
			t.Errorf("%s: %d %q", path, status, answer)
		}
	}
	s.server.health = health{check: func(context.Context) error { return errors.New("canary: no such file") }}
	if status, answer, h := s.do(http.MethodGet, "/healthy", nil); status != 503 || answer != "store\n" || h.Get("Retry-After") == "" {
		t.Errorf("an ill store: %d %q", status, answer)
	}
}

func TestTheStoreIsAskedForItsHealthOnceASecondAtMost(t *testing.T) {
	s := newSite(t)
	var asked atomic.Int64
	s.server.health = health{check: func(context.Context) error { asked.Add(1); return nil }}
	begin := time.Now()
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			for range 20 {
				s.do(http.MethodGet, "/ready", nil)
				s.do(http.MethodGet, "/healthy", nil)
			}
		})
	}
	asking.Wait()
	if n := asked.Load(); n == 0 || n > 1+int64(time.Since(begin)/healthEvery) {
		t.Errorf("the store was asked %d times in %s", n, time.Since(begin))
	}
}

func TestAStopLetsWhatIsUnderWayFinish(t *testing.T) {
	s := newSite(t)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"data":"QUJD","expires_in":60}`
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", api.SecretPath, s.token, len(body))
	if _, err := io.WriteString(conn, head+body[:10]); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the upload is under way", func() bool { return len(s.server.transfers) == 1 })
	closed := make(chan struct{})
	go func() { s.close(); close(closed) }()
	storetest.Eventually(t, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if !s.server.draining.Load() {
		t.Error("the server is not draining")
	}
	if _, err := io.WriteString(conn, body[10:]); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != 200 {
		t.Errorf("what was under way gives %v (%v)", response, err)
	}
	<-closed
}

func TestConnectionsOfOneNetworkAreLimited(t *testing.T) {
	l := limitListener(nil).(*limitedListener)
	network := func(ip string) netip.Prefix { return networkOf(&net.TCPAddr{IP: net.ParseIP(ip)}) }
	for i := range maxConnsPerNetwork {
		if !l.enter(network(fmt.Sprintf("203.0.113.%d", i%256))) {
			t.Fatalf("connection %d is refused", i)
		}
	}
	if l.enter(network("203.0.113.9")) {
		t.Error("one too many of a network is let in")
	}
	for _, other := range []string{"203.0.114.9", "2001:db8::1", "127.0.0.1", "10.0.0.1", "::1", "::ffff:192.168.0.1"} {
		if !l.enter(network(other)) {
			t.Errorf("%s is refused", other)
		}
	}
	l.leave(network("203.0.113.1"))
	if !l.enter(network("203.0.113.2")) {
		t.Error("a place that was given back is not to be had")
	}
	for range maxConnsPerNetwork {
		l.leave(network("203.0.113.3"))
	}
	if _, left := l.perNetwork[network("203.0.113.3")]; left {
		t.Error("the network is remembered without a connection")
	}
	for l.enter(netip.Prefix{}) {
	}
	if l.all != maxConns {
		t.Errorf("%d connections are let in", l.all)
	}
}

func TestTheServerCannotDecrypt(t *testing.T) {
	for _, pkg := range []string{"hakanai/httpapi", "hakanai/store/...", "hakanai/httpapi/client"} {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains("\n"+string(out), "\nhakanai/crypto\n") {
			t.Errorf("%s imports hakanai/crypto", pkg)
		}
	}
}
