//go:build unix

package browsertest

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
)

// overhear stands between the pages and their server, and keeps all that the pages say.
func overhear(t *testing.T, s *server) (through *server, heard func() string) {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said bytes.Buffer
	proxy := httputil.NewSingleHostReverseProxy(target)
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := httputil.DumpRequest(r, true)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		said.Write(request)
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	copied := *s
	copied.url = listener.URL
	return &copied, func() string {
		mu.Lock()
		defer mu.Unlock()
		return said.String()
	}
}

func TestNothingOfASecretLeavesThePage(t *testing.T) {
	t.Parallel()
	s, heard := overhear(t, serve(t, open...))
	b := visit(s, "/create")
	secrets := []string{"the canary of the text", "the-canary-of-names.txt", "the canary of the file", "the canary of passphrases"}
	b.press("#more summary")
	b.write("#passphrase", secrets[3])
	text := b.share(secrets[0])
	b.press("#another")
	b.press("label:has(#kind-files)")
	b.upload("#file-input", file(t, secrets[1], secrets[2]))
	b.press("#create")
	files := b.text("#link")
	b.open("/share#data=" + base64.StdEncoding.EncodeToString([]byte(secrets[0])) + "&filename=" + secrets[1])
	shared := b.text("#link")
	saved := b.download()

	b.expect("status of 401")
	b.reveal(text)
	b.write("#passphrase-input", secrets[3])
	b.press("#reveal")
	b.wantSecret(secrets[0])
	b.reveal(files)
	b.press("#save")
	saved.want(secrets[1], secrets[2])
	b.open("/get")
	b.write("#link-input", shared)
	b.press("#link-open")
	b.press("#reveal")
	b.press("#save")
	saved.want(secrets[1], secrets[0])

	for _, link := range []string{text, files, shared} {
		_, fragment, _ := strings.Cut(link, "#")
		key, hash, _ := strings.Cut(fragment, ":")
		secrets = append(secrets, key, hash)
	}
	said := heard()
	if strings.Count(said, "POST /api/v1/secret") != 3 || strings.Count(said, "GET /api/v1/secret") != 4 {
		t.Errorf("too little was heard for the test to mean anything: %d bytes", len(said))
	}
	for _, secret := range secrets {
		for form, disguise := range map[string]func(string) string{
			"as it is":      func(text string) string { return text },
			"in an address": url.QueryEscape,
			"in base64": func(text string) string {
				return base64.RawStdEncoding.EncodeToString([]byte(text))[:len(text)*4/3/4*4]
			},
		} {
			if strings.Contains(said, disguise(secret)) {
				t.Errorf("%q was sent %s", secret, form)
			}
		}
	}
}

func TestNothingOfASecretStaysInMemory(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	link := s.send("the canary of the heap")
	_, fragment, _ := strings.Cut(link, "#")
	key, _, _ := strings.Cut(fragment, ":")
	b := newTab(s)
	b.reveal(link)
	b.see("#secret")
	if heap := b.memory(); !strings.Contains(heap, "the canary of the heap") {
		t.Error("the secret is not in memory while it is shown: the test means nothing")
	}
	b.follow(".brand")
	b.see("#go-create")
	heap := b.memory()
	for _, secret := range []string{"the canary of the heap", key} {
		if strings.Contains(heap, secret) {
			t.Errorf("%q is still in memory", secret)
		}
	}
	if !strings.Contains(heap, "go-create") {
		t.Error("the memory is not that of the page: the test means nothing")
	}
}

// memory is what the page's scripts have in memory, after what is not used has been cleared away.
func (b *tab) memory() string {
	b.t.Helper()
	b.watch.mu.Lock()
	b.watch.heap.Reset()
	b.watch.mu.Unlock()
	call(b, heapprofiler.CollectGarbage, cdp.Empty{})
	call(b, heapprofiler.TakeHeapSnapshot, heapprofiler.TakeHeapSnapshotParams{})
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	return b.watch.heap.String()
}
