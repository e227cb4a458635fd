//go:build unix

package browsertest

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// watch is what has been seen of a tab from its beginning.
type watch struct {
	origin string

	mu         sync.Mutex
	complaints []string         // of the browser, and of this package
	expected   []*regexp.Regexp // complaints that belong to the test
	requests   []string         // method and path
	pending    map[network.RequestID]bool
	config     network.RequestID
	configs    int             // answers to the question what the server offers
	hits       int             // presses of the mouse where they should be
	misses     int             // and elsewhere
	received   float64         // bytes, with headers, as they came over the network
	asked      int             // times that the browser asked before it left a page
	heap       strings.Builder // what the page's scripts had in memory, when that was asked
}

func newWatch(origin string) *watch {
	return &watch{origin: origin, pending: make(map[network.RequestID]bool)}
}

// notice is told all that happens in the tab, in order.
func (b *tab) notice(event any) {
	w := b.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		w.request(event.Request)
		w.pending[event.RequestID] = true
		if strings.HasSuffix(event.Request.URL, "/config.json") {
			w.config = event.RequestID
		}
	case *network.EventLoadingFinished:
		w.received += event.EncodedDataLength
		w.answer(event.RequestID)
	case *network.EventLoadingFailed:
		w.answer(event.RequestID)
	case *runtime.EventBindingCalled:
		if event.Payload == "hit" {
			w.hits++
		} else {
			w.misses++
		}
	case *network.EventWebSocketCreated:
		w.complain("a web socket to %s", event.URL)
	case *runtime.EventConsoleAPICalled:
		w.complain("console: %s", consoleText(event.Args))
	case *runtime.EventExceptionThrown:
		w.complain("exception: %s", exceptionText(event.ExceptionDetails))
	case *log.EventEntryAdded:
		w.complain("%s %s: %s (%s)", event.Entry.Source, event.Entry.Level, event.Entry.Text, event.Entry.URL)
	case *audits.EventIssueAdded:
		w.complain("issue: %s", event.Issue.Code)
	case *page.EventWindowOpen:
		w.complain("a window for %s", event.URL)
	case *page.EventFrameAttached:
		w.complain("a frame")
	case *heapprofiler.EventAddHeapSnapshotChunk:
		w.heap.WriteString(event.Chunk)
	case *page.EventJavascriptDialogOpening:
		if event.Type == page.DialogTypeBeforeunload {
			w.asked++
		} else {
			w.complain("a dialog says %q", event.Message)
		}
		go func() { // the listener must not wait
			_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}()
	}
}

func (w *watch) request(r *network.Request) {
	w.requests = append(w.requests, r.Method+" "+strings.TrimPrefix(r.URL, w.origin))
	if strings.HasPrefix(r.URL, "blob:"+w.origin) || r.URL == "about:blank" {
		return
	}
	address, err := url.Parse(r.URL)
	if err != nil || address.Scheme+"://"+address.Host != w.origin {
		w.complain("a request to %s", r.URL)
	}
	for name, value := range r.Headers {
		if strings.EqualFold(name, "Referer") && value != "" {
			w.complain("a request with a referrer: %s", value)
		}
	}
}

func (w *watch) complain(format string, args ...any) {
	w.complaints = append(w.complaints, fmt.Sprintf(format, args...))
}

func consoleText(args []*runtime.RemoteObject) string {
	var texts []string
	for _, arg := range args {
		texts = append(texts, string(arg.Value)+arg.Description)
	}
	return strings.Join(texts, " ")
}

func exceptionText(details *runtime.ExceptionDetails) string {
	if details.Exception != nil {
		return details.Exception.Description
	}
	return details.Text
}

// expect says that the browser will complain, and how: it does of every answer with the status of a failure.
func (b *tab) expect(pattern string) {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	b.watch.expected = append(b.watch.expected, regexp.MustCompile(pattern))
}

// requested counts the requests that begin so.
func (b *tab) requested(prefix string) (count int) {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	for _, request := range b.watch.requests {
		if strings.HasPrefix(request, prefix) {
			count++
		}
	}
	return count
}

func (w *watch) answer(id network.RequestID) {
	delete(w.pending, id)
	if id == w.config {
		w.configs++
	}
}

// configs counts how often the server has told what it offers, or could not.
func (b *tab) configs() int {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	return b.watch.configs
}

// presses counts presses of the mouse that have arrived where they should, and elsewhere.
func (b *tab) presses() (hits, misses int) {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	return b.watch.hits, b.watch.misses
}

// askedToStay counts how often the browser asked whether the page should be left.
func (b *tab) askedToStay() int {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	return b.watch.asked
}

// check is the end of every tab: nothing has happened that must never happen, and nothing is left that must not be.
func (b *tab) check() {
	b.t.Helper()
	b.checkPlaces()
	b.checkStorage()
	b.checkComplaints()
}

func (b *tab) checkComplaints() {
	b.t.Helper()
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	came := make(map[*regexp.Regexp]bool)
	for _, complaint := range b.watch.complaints {
		i := slices.IndexFunc(b.watch.expected, func(pattern *regexp.Regexp) bool { return pattern.MatchString(complaint) })
		if i < 0 {
			b.t.Error(complaint)
			continue
		}
		came[b.watch.expected[i]] = true
	}
	for _, pattern := range b.watch.expected {
		if !came[pattern] && !b.t.Failed() {
			b.t.Errorf("the browser has not complained: %s", pattern)
		}
	}
}

// checkPlaces looks for keys in the address bar and the history, and for windows that nobody opened.
func (b *tab) checkPlaces() {
	b.t.Helper()
	history := call(b, page.GetNavigationHistory, cdp.Empty{})
	for _, entry := range history.Entries {
		if strings.Contains(entry.URL, "#") {
			b.t.Errorf("the history keeps %s", entry.URL)
		}
	}
	targets, err := chromedp.Targets(b.ctx)
	if err != nil {
		b.t.Error(err)
	}
	for _, target := range targets {
		if target.OpenerID != "" {
			b.t.Errorf("there is a window of %s", target.URL)
		}
	}
}

// checkStorage looks at all the ways there are for a page to keep something.
func (b *tab) checkStorage() {
	b.t.Helper()
	cookies, err := chromedp.CallBrowser(b.ctx, storage.GetCookies, storage.GetCookiesParams{
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	if err != nil {
		b.t.Error(err)
	}
	for _, cookie := range cookies.Cookies {
		b.t.Errorf("there is a cookie %s", cookie.Name)
	}
	kept, err := try[[]string](b, `(async () => [
		...Object.keys(localStorage).map((key) => "local " + key),
		...Object.keys(sessionStorage).map((key) => "session " + key),
		...(globalThis.caches ? await caches.keys() : []).map((key) => "cache " + key),
		...(await indexedDB.databases()).map(({ name }) => "database " + name),
		...(navigator.serviceWorker ? await navigator.serviceWorker.getRegistrations() : []).map(({ scope }) => "worker " + scope),
		...(history.state === null ? [] : ["history state"]),
		...(name === "" ? [] : ["window name"]),
	])()`)
	if err != nil {
		b.t.Error(err)
	}
	for _, what := range kept {
		if !slices.Contains([]string{"local theme", "local language", "session token"}, what) {
			b.t.Errorf("the page keeps %s", what)
		}
	}
}

func TestWhatMustNotHappenIsNoticed(t *testing.T) {
	t.Parallel()
	b := visit(serve(t, open...), "/")
	b.expect(`^console: "said"$`)
	eval[bool](b, `console.warn("said")`)
	b.expect(`^exception: .*thrown`)
	b.expect(`^a dialog says "alert"$`)
	eval[int](b, `setTimeout(() => { throw new Error("thrown"); })`)
	eval[bool](b, `alert("alert")`)
	b.expect(`content security policy: img-src http://hakanai.test`)
	b.expect(`security error: .*http://hakanai.test`)
	b.expect(`issue: ContentSecurityPolicyIssue`)
	eval[bool](b, `document.body.append(Object.assign(new Image(), { src: "http://hakanai.test:1/" }))`)
	b.expect(`content security policy: require-trusted-types-for`)
	b.expect(`TrustedHTML`)
	eval[int](b, `setTimeout(() => { document.body.innerHTML = "<b>"; })`)
	b.await("all of it", `new Promise((done) => setTimeout(() => done(true)))`)
	b.expect(`^a request to http://hakanai.test`)
	b.expect(`Cross-Origin-Opener-Policy header has been ignored`)
	b.open(strings.Replace(b.server.url, "127.0.0.1", notSafe, 1))
	b.open("/")
}
